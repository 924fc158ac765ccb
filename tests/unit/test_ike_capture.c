/*
 * A capture of IKEv2 between other people's implementations, with its keys (shared test data):
 * every message must parse, every envelope open, and all of it come out again octet by octet.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../ike_again.h"
#include "capture/reader.h"
#include "ike/admission.h"
#include "ike/sk.h"
#include "shared.h"
#include "wire/ip.h"
#include "wire/rd.h"

enum {
    SAS = 8,
    LINE = 1024,
    FIELDS = 8,
    ROOM = 1 << 16,
    IKE_PORT = 500,
    NAT_T_PORT = 4500,
    UDP = 17
};

struct sa {
    uint8_t spi_i[8], spi_r[8];
    enum gh_enc_alg enc;
    struct gh_cipher *cipher[2]; /* the responder's, the initiator's messages */
    unsigned opened;
};

#define VECTORS "vectors/ikev2-esp-wireshark-wiki/"

static struct sa sas[SAS];
static size_t sa_count;
static unsigned messages, clear_messages, sealed_messages;

static size_t unhex(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = strlen(hex) / 2;

    assert_true(n <= cap);
    for (size_t i = 0; i < n; i++) {
        unsigned octet;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &octet), 1);
        out[i] = (uint8_t)octet;
    }
    return n;
}

static enum gh_enc_alg enc_of(const char *name)
{
    if (strstr(name, "GCM") != NULL)
        return GH_ENC_AES_GCM_16;
    return strstr(name, "CTR") != NULL ? GH_ENC_AES_CTR : GH_ENC_AES_CBC;
}

/* SPIi, SPIr, SK_ei, SK_er, cipher, SK_ai, SK_ar, integrity: as Wireshark keeps them. */
static void load_sa(char *line)
{
    char *field[FIELDS] = {0};
    struct sa *sa = &sas[sa_count++];
    enum gh_integ_alg integ;

    assert_true(sa_count <= SAS);
    for (unsigned i = 0; i < FIELDS; i++)
        field[i] = strsep(&line, ",");
    assert_non_null(field[FIELDS - 1]);
    (void)unhex(field[0], sa->spi_i, 8);
    (void)unhex(field[1], sa->spi_r, 8);
    sa->enc = enc_of(field[4]);
    integ = strstr(field[7], "SHA2_256") != NULL ? GH_INTEG_HMAC_SHA2_256_128 : GH_INTEG_NONE;
    for (unsigned initiator = 0; initiator < 2; initiator++) {
        uint8_t enc_key[64], integ_key[64];
        size_t enc_len = unhex(field[initiator ? 2 : 3], enc_key, sizeof(enc_key));
        size_t integ_len = unhex(field[initiator ? 5 : 6], integ_key, sizeof(integ_key));

        sa->cipher[initiator] = gh_cipher_new(sa->enc, 256, integ, gh_view_of(enc_key, enc_len),
                                              gh_view_of(integ_key, integ_len));
        assert_non_null(sa->cipher[initiator]);
    }
}

static struct sa *find_sa(const struct ike_header *h)
{
    for (size_t i = 0; i < sa_count; i++)
        if (memcmp(sas[i].spi_i, h->spi_i, 8) == 0 && memcmp(sas[i].spi_r, h->spi_r, 8) == 0)
            return &sas[i];
    return NULL;
}

static enum ike_step step_of(const struct ike_message *m, const struct ike_payloads *inner)
{
    switch (m->h.exchange) {
    case IKE_X_SA_INIT:
        return IKE_STEP_SA_INIT;
    case IKE_X_AUTH:
        return IKE_STEP_AUTH;
    case IKE_X_CREATE_CHILD_SA:
        return ike_child_step(inner);
    default:
        assert_int_equal(m->h.exchange, IKE_X_INFORMATIONAL);
        return IKE_STEP_INFORMATIONAL;
    }
}

static void must_be_admitted(const struct ike_message *m, const struct ike_payloads *inner)
{
    enum ike_step step = step_of(m, inner);
    bool response = ike_header_is_response(&m->h);
    enum ike_state state = IKE_STATE_ESTABLISHED;
    struct ike_verdict v;

    if (step == IKE_STEP_SA_INIT)
        state = response ? IKE_STATE_HALF_OPEN : IKE_STATE_NONE;
    else if (step == IKE_STEP_AUTH)
        state = IKE_STATE_HALF_OPEN;
    if (!ike_admit(step, response, state, m, inner, &v))
        fail_msg("%s: %s %s", v.story, ike_fault_text(v.fault), ike_payload_name(v.payload));
}

/*
 * The envelope sealed again with the IV of the capture. How much padding there is was the sender's
 * choice: by ours the content must come out alike, with the sender's (it stands behind `inner` in
 * the opened copy) the whole message.
 */
static void must_seal_alike(struct sa *sa, const struct ike_message *m, uint8_t *opened,
                            struct gh_view inner, const uint8_t *original, size_t len)
{
    static uint8_t mem[ROOM];
    struct gh_cipher *c = sa->cipher[ike_header_from_initiator(&m->h)];
    size_t aad_len = m->sealed.offset + 4, data_at = aad_len + gh_cipher_iv_len(c);
    size_t data_len = len - data_at - gh_cipher_icv_len(c), block = gh_cipher_block(c);
    struct gh_view again, iv = gh_view_of(original + aad_len, gh_cipher_iv_len(c));

    assert_true(ike_sk_seal(c, &m->h, m->sealed.first, inner, iv, mem, sizeof(mem), &again));
    assert_true(again.len <= len);
    assert_memory_equal(again.p + data_at, original + data_at, inner.len / block * block);
    if (again.len == len && block == 1)
        assert_memory_equal(again.p, original, len);
    assert_true(gh_cipher_seal(c, gh_view_of(opened, aad_len), iv.p, opened + data_at, data_len,
                               opened + data_at + data_len));
    assert_memory_equal(opened, original, len);
}

static void must_open(const struct ike_message *m, const uint8_t *original, size_t len)
{
    static uint8_t copy[ROOM], mem[ROOM];
    struct sa *sa = find_sa(&m->h);
    struct ike_out o = ike_out_inner(mem, sizeof(mem));
    struct ike_message mine;
    struct ike_payloads p;
    struct gh_view inner, again;
    struct gh_cipher *c;

    assert_non_null(sa);
    c = sa->cipher[ike_header_from_initiator(&m->h)];
    for (unsigned broken = 0; broken < 2; broken++) {
        memcpy(copy, original, len);
        assert_int_equal(ike_message_parse(gh_view_of(copy, len), &mine), IKE_OK);
        if (!broken) {
            copy[len - 1] ^= 1;
            assert_int_equal(ike_sk_open(c, copy, &mine, &inner), IKE_NOT_AUTHENTIC);
        }
    }
    assert_int_equal(ike_sk_open(c, copy, &mine, &inner), IKE_OK);
    assert_int_equal(ike_payloads_parse(mine.sealed.first, inner, &p), IKE_OK);
    assert_int_equal(ike_chain_again(&o, &p), IKE_OK);
    assert_true(ike_out_done(&o, &again));
    assert_true(gh_view_equal(inner, again));
    assert_int_equal(o.first, mine.sealed.first);
    must_be_admitted(&mine, &p);
    must_seal_alike(sa, m, copy, inner, original, len);
    sa->opened++;
    sealed_messages++;
}

static void one_message(const uint8_t *data, size_t len)
{
    static uint8_t mem[ROOM];
    struct ike_message m;

    messages++;
    assert_int_equal(ike_message_parse(gh_view_of(data, len), &m), IKE_OK);
    if (m.sealed.type == 0) {
        struct ike_out o = ike_out_message(mem, sizeof(mem), &m.h);
        struct gh_view again;

        assert_int_equal(ike_chain_again(&o, &m.clear), IKE_OK);
        assert_true(ike_out_done(&o, &again));
        assert_true(gh_view_equal(again, gh_view_of(data, len)));
        must_be_admitted(&m, NULL);
        clear_messages++;
    } else {
        must_open(&m, data, len);
    }
}

static void one_packet(const struct cap_packet *packet)
{
    struct gh_ip_packet ip;
    struct gh_rd r;
    uint16_t from, to;

    if (gh_ip_parse(packet->data, packet->len, &ip) != GH_IP_OK || ip.protocol != UDP)
        return;
    r = gh_rd_make(packet->data + ip.header_len, ip.l4_len);
    from = gh_rd_u16(&r);
    to = gh_rd_u16(&r);
    gh_rd_skip(&r, 4);
    if (from == NAT_T_PORT || to == NAT_T_PORT) {
        if (gh_rd_u32(&r) != 0)
            return; /* ESP, or a keepalive */
    } else if (from != IKE_PORT && to != IKE_PORT) {
        return;
    }
    if (!r.bad && gh_rd_left(&r) > 0)
        one_message(r.p, gh_rd_left(&r));
}

static void a_capture_with_its_keys(void **state)
{
    char path[LINE], line[LINE], error[CAP_ERROR_TEXT];
    struct cap_reader *reader;
    struct cap_packet packet;
    enum cap_next next;
    FILE *table;

    if (!shared_file(VECTORS "ikev2_decryption_table", path, sizeof(path)))
        skip();
    table = fopen(path, "r");
    assert_non_null(table);
    while (fgets(line, sizeof(line), table) != NULL)
        load_sa(line);
    (void)fclose(table);
    if (!shared_file(VECTORS "capture.pcapng", path, sizeof(path)))
        skip();
    reader = cap_reader_open(path, error);
    assert_non_null(reader);
    while ((next = cap_reader_next(reader, &packet, error)) == CAP_PACKET)
        one_packet(&packet);
    assert_int_equal(next, CAP_END);
    cap_reader_close(reader);

    printf("%u messages: %u in clear, %u sealed\n", messages, clear_messages, sealed_messages);
    assert_true(sa_count == 3 && clear_messages >= 6 && sealed_messages >= 6);
    for (size_t i = 0; i < sa_count; i++) {
        assert_true(sas[i].opened >= 2);
        gh_cipher_free(sas[i].cipher[0]);
        gh_cipher_free(sas[i].cipher[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_capture_with_its_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
