/*
 * What comes in: packets of a real sender that the fuzzer changes, and packets that it makes.
 *
 * Input: which SA (see kinds), then records of [what, …], see apply(). Beyond not crashing: nothing
 * passes as clear, and what passes as protected must be something that the sender sent, once.
 */
#include <stdlib.h>
#include <string.h>

#include "ipsec/ah.h"
#include "ipsec/ipsec.h"
#include "wire/ip.h"
#include "wire/rd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { KEPT = 8, ROOM = 1024, AT = 160, MAX = 600, POLICY = 1, ESP_ID = 2, AH_ID = 3 };

static const uint8_t secret[64] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static const struct kind {
    enum ipsec_protocol protocol;
    enum ipsec_mode mode;
    enum gh_enc_alg enc;
    enum gh_integ_alg integ;
    bool v6, esn, encapsulated, bundle;
} kinds[] = {
    {IPSEC_ESP, IPSEC_TUNNEL, GH_ENC_AES_GCM_16, GH_INTEG_NONE, .esn = true},
    {IPSEC_ESP, IPSEC_TUNNEL, GH_ENC_AES_CBC, GH_INTEG_HMAC_SHA2_256_128, .v6 = true},
    {IPSEC_ESP, IPSEC_TUNNEL, GH_ENC_AES_GCM_8, GH_INTEG_NONE, .encapsulated = true},
    {IPSEC_ESP, IPSEC_TRANSPORT, GH_ENC_NULL, GH_INTEG_HMAC_SHA1_96},
    {IPSEC_ESP, IPSEC_TRANSPORT, GH_ENC_NULL_AES_GMAC, GH_INTEG_NONE, .v6 = true},
    {IPSEC_ESP, IPSEC_TRANSPORT, GH_ENC_AES_CTR, GH_INTEG_AES_XCBC_96, .encapsulated = true},
    {IPSEC_AH, IPSEC_TUNNEL, GH_ENC_NULL, GH_INTEG_HMAC_SHA1_96, .esn = true},
    {IPSEC_AH, IPSEC_TRANSPORT, GH_ENC_NULL, GH_INTEG_HMAC_SHA2_256_128, .v6 = true},
    {IPSEC_ESP, IPSEC_TUNNEL, GH_ENC_AES_CBC, GH_INTEG_HMAC_SHA1_96, .bundle = true},
};

struct packet {
    uint8_t mem[ROOM];
    size_t at, len;
    bool passed;
};

static struct packet sent[KEPT], sealed[KEPT];

static bool no_luck(void *arg, uint8_t *out, size_t len)
{
    memset(out, 0x5a, len);
    return true;
}

static struct gh_addr addr(bool v6, uint8_t last)
{
    struct gh_addr a = {.octets = {192, 0, 2}, .len = v6 ? 16 : 4};

    a.octets[a.len - 1] = last;
    return a;
}

static struct ipsec *engine(void)
{
    static const struct gh_prefix any[2] = {{.addr = {.len = 4}}, {.addr = {.len = 16}}};
    const struct ipsec_selector s[2] = {ipsec_selector_between(&any[0], &any[0]),
                                        ipsec_selector_between(&any[1], &any[1])};
    const struct ipsec_policy p = {.id = POLICY,
                                   .action = IPSEC_PROTECT,
                                   .out = true,
                                   .in = true,
                                   .selectors = s,
                                   .selector_count = 2};
    const struct ipsec_setup setup = {.random = no_luck};
    struct ipsec *e = ipsec_new(&setup);

    if (e == NULL || !ipsec_set_policies(e, &p, 1))
        abort();
    return e;
}

static void add(struct ipsec *e, const struct kind *k, bool out, uint32_t policy)
{
    static const struct gh_prefix any[2] = {{.addr = {.len = 4}}, {.addr = {.len = 16}}};
    const struct ipsec_selector s[2] = {ipsec_selector_between(&any[0], &any[0]),
                                        ipsec_selector_between(&any[1], &any[1])};
    unsigned bits = gh_enc_known(k->enc, 128) ? 128 : 0;
    struct ipsec_sa_params p = {
        .id = k->protocol == IPSEC_AH ? AH_ID : ESP_ID,
        .spi = 0x1234,
        .protocol = k->protocol,
        .mode = k->mode,
        .way = out ? IPSEC_OUT : IPSEC_IN,
        .policy = policy,
        .local = addr(k->v6, out ? 1 : 2),
        .remote = addr(k->v6, out ? 2 : 1),
        .algs = {.enc = k->enc,
                 .bits = bits,
                 .integ = k->integ,
                 .enc_key = {secret, gh_enc_key_len(k->enc, bits)},
                 .integ_key = {secret, gh_integ_key_len(k->integ)}},
        .esn = k->esn,
        .window = out ? 0 : 32,
        .selectors = s,
        .selector_count = 2,
        .fragments_also = true,
        .outer = k->bundle ? AH_ID : 0,
        .last_seq = k->esn ? 0x1ffffffffc : 0,
    };

    if (k->encapsulated)
        p.local_port = p.remote_port = 4500;
    if (!ipsec_add_sa(e, &p))
        abort();
    if (k->bundle) {
        const struct kind ah = {IPSEC_AH, IPSEC_TRANSPORT, GH_ENC_NULL, GH_INTEG_HMAC_SHA1_96};

        add(e, &ah, out, POLICY + 1);
    }
}

/* An IPv4 or IPv6 packet with something in it. */
static void write_packet(struct packet *p, bool v6, uint8_t n)
{
    static const uint8_t v4_header[20] = {0x45, 2, 0,   0, 0, 1, 0,   0, 64, 17,
                                          0,    0, 192, 0, 2, 1, 192, 0, 2,  2};
    size_t header = v6 ? 40 : 20, inside = 8u + n * 13u;
    struct gh_addr src = addr(v6, 1), dst = addr(v6, 2);

    *p = (struct packet){.at = AT, .len = header + inside};
    if (v6) {
        p->mem[AT] = 0x60;
        p->mem[AT + 5] = (uint8_t)inside;
        p->mem[AT + 6] = 17;
        p->mem[AT + 7] = 64;
        memcpy(p->mem + AT + 8, src.octets, 16);
        memcpy(p->mem + AT + 24, dst.octets, 16);
    } else {
        memcpy(p->mem + AT, v4_header, 20);
        p->mem[AT + 3] = (uint8_t)p->len;
    }
    memset(p->mem + AT + header, n, inside);
}

static void talk(const struct kind *k)
{
    struct ipsec *e = engine();

    add(e, k, true, POLICY);
    for (uint8_t i = 0; i < KEPT; i++) {
        struct ipsec_packet p = {.cap = ROOM};

        write_packet(&sent[i], k->mode == IPSEC_TRANSPORT ? k->v6 : i & 1, i);
        sealed[i] = sent[i];
        p.mem = sealed[i].mem;
        p.at = sealed[i].at;
        p.len = sealed[i].len;
        ipsec_out(e, 1, &p, 1);
        if (p.result != IPSEC_OK)
            abort();
        sealed[i].at = p.at;
        sealed[i].len = p.len;
    }
    ipsec_free(e);
}

/* In a tunnel all but the ECN bits and the checksum; else, what is behind the header (of UDP
 * through a NAT but the checksum). */
static bool same(const struct kind *k, const uint8_t *a, size_t a_len, const struct packet *b)
{
    const uint8_t *p = b->mem + b->at;
    struct gh_ip_packet x, y;

    if (gh_ip_parse(a, a_len, &x) != GH_IP_OK || gh_ip_parse(p, b->len, &y) != GH_IP_OK ||
        x.l4_len != y.l4_len || x.version != y.version ||
        (k->mode == IPSEC_TUNNEL && memcmp(a + x.header_len - 8, p + y.header_len - 8, 8) != 0))
        return false;
    a += x.header_len;
    p += y.header_len;
    if (k->encapsulated && k->mode == IPSEC_TRANSPORT)
        return memcmp(a, p, 6) == 0 && memcmp(a + 8, p + 8, x.l4_len - 8) == 0;
    return memcmp(a, p, x.l4_len) == 0;
}

static void check(const struct kind *k, const struct ipsec_packet *p)
{
    switch (p->result) {
    case IPSEC_BYPASS:
    case IPSEC_NO_POLICY:
        abort();
    case IPSEC_OK:
        break;
    default:
        return;
    }
    for (size_t i = 0; i < KEPT; i++)
        if (!sent[i].passed && same(k, p->mem + p->at, p->len, &sent[i])) {
            sent[i].passed = true;
            return;
        }
    abort();
}

/* One packet into `mem`: of the sender's with some octets changed and the end cut, or from the
 * input. */
static size_t apply(struct gh_rd *r, uint8_t *mem)
{
    uint8_t which = gh_rd_u8(r), edits = gh_rd_u8(r) % 8, cut = gh_rd_u8(r);
    size_t len;

    if (which % (KEPT + 1) < KEPT) {
        const struct packet *p = &sealed[which % (KEPT + 1)];

        len = p->len;
        memcpy(mem, p->mem + p->at, len);
    } else {
        len = gh_rd_left(r) < MAX ? gh_rd_left(r) : MAX;
        gh_rd_copy(r, mem, len);
    }
    for (uint8_t i = 0; i < edits && len > 0; i++) {
        uint16_t at = gh_rd_u16(r);

        mem[at % len] = gh_rd_u8(r);
    }
    return cut < 128 && cut < len ? len - cut : len;
}

/* Each in memory of its own, with no octet to spare behind it or with some. */
static void one_packet(struct ipsec *e, const struct kind *k, struct gh_rd *r)
{
    uint8_t flags = gh_rd_u8(r), made[MAX], *mem;
    size_t len = apply(r, made), tail = flags & 1 ? 4 : 0;
    struct ipsec_packet p = {.at = 64, .len = len, .encapsulated = flags & 2 || k->encapsulated};

    mem = malloc(64 + len + tail);
    if (mem == NULL)
        abort();
    memcpy(mem + 64, made, len);
    if (flags & 4 && len >= 20)
        (void)ipsec_ah_zero_mutable(mem + 64, len); /* alone */
    memcpy(mem + 64, made, len);
    p.mem = mem;
    p.cap = 64 + len + tail;
    if (flags & 8) {
        ipsec_out(e, 1, &p, 1);
    } else {
        ipsec_in(e, 1, &p, 1);
        check(k, &p);
    }
    free(mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct gh_rd r = gh_rd_make(data, len);
    const struct kind *k = &kinds[gh_rd_u8(&r) % (sizeof(kinds) / sizeof(kinds[0]))];
    struct ipsec *e = engine();

    talk(k);
    add(e, k, false, POLICY);
    while (gh_rd_left(&r) > 0)
        one_packet(e, k, &r);
    ipsec_free(e);
    return 0;
}
