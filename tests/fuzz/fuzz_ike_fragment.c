/*
 * Fragments in any order, with any numbers: by a peer with keys, by others, and at any time.
 *
 * The input is a list of steps of four octets: what to do, fragment number, total, time and size.
 * What is put together must be what the numbers say: each fragment's content is its own number.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/fragment.h"
#include "ike/sk_priv.h"
#include "wire/rd.h"

enum { FORGED = 1, RAW = 2, OTHER_ID = 4, ROOM = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_whole(const struct ike_reassembly *r, struct gh_view inner)
{
    unsigned last = 0;

    require(inner.len == r->octets && r->stored == r->total);
    for (size_t i = 0; i < inner.len; i++) {
        require(inner.p[i] >= last && inner.p[i] <= r->total);
        last = inner.p[i];
    }
}

static void take(struct ike_reassembly *r, struct gh_cipher *c, uint64_t now, uint8_t *datagram,
                 size_t len)
{
    static const struct ike_reassembly_limits limits = {20, 600, 50};
    struct ike_reassembly before = *r;
    struct ike_message m;
    struct gh_view inner;
    enum ike_fault fault = IKE_OK;

    if (ike_message_parse(gh_view_of(datagram, len), &m) != IKE_OK)
        return;
    switch (ike_reassembly_take(r, &limits, now, c, datagram, &m, &inner, &fault)) {
    case IKE_FRAGMENT_REFUSED:
        require(fault != IKE_OK && (r->stored == before.stored || r->stored == 0));
        break;
    case IKE_FRAGMENT_STORED:
        require(r->stored < r->total && r->octets <= limits.octets);
        break;
    case IKE_FRAGMENT_WHOLE:
        check_whole(r, inner);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[36] = {1}, iv[8] = {2};
    struct gh_cipher *c = gh_cipher_new(GH_ENC_AES_GCM_16, 256, GH_INTEG_NONE, gh_view_of(key, 36),
                                        (struct gh_view){0});
    struct gh_rd r = gh_rd_make(data, size);
    struct ike_reassembly set = {0};
    uint64_t now = 0;

    require(c != NULL);
    while (gh_rd_left(&r) >= 4) {
        uint8_t what = gh_rd_u8(&r), number = gh_rd_u8(&r), total = gh_rd_u8(&r);
        uint8_t step = gh_rd_u8(&r), prefix[4] = {0, number, 0, total}, content[16], mem[ROOM];
        struct ike_header h = {.version = IKE_VERSION_2, .id = (what & OTHER_ID) ? 1 : 0};
        struct gh_view datagram;

        now += step >> 4;
        memset(content, number, sizeof(content));
        require(ike_envelope_seal(c, &h, NULL, IKE_P_SKF, number == 1 ? IKE_P_IDI : 0,
                                  gh_view_of(prefix, 4), gh_view_of(content, step & 15),
                                  gh_view_of(iv, 8), mem, sizeof(mem), &datagram));
        if (what & FORGED)
            mem[datagram.len - 1] ^= 1;
        take(&set, c, now, mem, datagram.len);
        if (what & RAW) {
            size_t left = gh_rd_left(&r) < ROOM ? gh_rd_left(&r) : ROOM;

            memcpy(mem, gh_rd_bytes(&r, left), left);
            take(&set, c, now, mem, left);
        }
    }
    ike_reassembly_clear(&set);
    gh_cipher_free(c);
    return 0;
}
