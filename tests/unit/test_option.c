/* The option on the wire: found strictly, taken out, appended, and how much room it leaves. */
#include "ao_ends.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define AO_12      29, 16, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
#define TIMESTAMPS 8, 10, 0, 0, 0, 1, 0, 0, 0, 2
#define MD5        19, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
#define ZEROS_19   0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0

struct options {
    const char *what;
    uint8_t octets[40];
    size_t len;
    enum tcpao_result result;
    bool ao, md5;
    uint8_t mac_len, offset;
};

static const struct options table[] = {
    {"none", {0}, 0, TCPAO_OK},
    {"alone", {AO_12}, 16, TCPAO_OK, .ao = true, .mac_len = 12, .offset = 20},
    {"behind timestamps",
     {1, 1, TIMESTAMPS, AO_12},
     28,
     TCPAO_OK,
     .ao = true,
     .mac_len = 12,
     .offset = 32},
    {"in front of timestamps",
     {AO_12, 1, 1, TIMESTAMPS},
     28,
     TCPAO_OK,
     .ao = true,
     .mac_len = 12,
     .offset = 20},
    {"MD5 alone", {MD5, 1, 1}, 20, TCPAO_OK, .md5 = true},
    {"longest MAC that fits",
     {29, 40, 3, 8},
     40,
     TCPAO_OK,
     .ao = true,
     .mac_len = 36,
     .offset = 20},
    {"without MAC", {29, 4, 3, 8}, 4, TCPAO_OK, .ao = true, .offset = 20},
    {"behind the end of options", {0, 0, 0, 0, AO_12}, 20, TCPAO_OK},
    {"length 3", {29, 3, 1, 1}, 4, TCPAO_MALFORMED},
    {"length 2", {29, 2, 1, 1}, 4, TCPAO_MALFORMED},
    {"length 1", {29, 1, 1, 1}, 4, TCPAO_MALFORMED},
    {"length 0", {29, 0, 1, 1}, 4, TCPAO_MALFORMED},
    {"beyond the header",
     {29, 17, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
     16,
     TCPAO_MALFORMED},
    {"length missing", {1, 1, 1, 29}, 4, TCPAO_MALFORMED},
    {"another option of length 0", {8, 0, AO_12, 1, 1}, 20, TCPAO_MALFORMED},
    {"another option of length 1", {8, 1, AO_12, 1, 1}, 20, TCPAO_MALFORMED},
    {"another option beyond the header", {AO_12, 1, 1, 8, 10}, 20, TCPAO_MALFORMED},
    {"twice", {AO_12, AO_12}, 32, TCPAO_DUPLICATE_OPTION},
    {"with MD5", {AO_12, MD5, 1, 1}, 36, TCPAO_DUPLICATE_OPTION},
    {"behind MD5", {MD5, 1, 1, AO_12}, 36, TCPAO_DUPLICATE_OPTION},
    {"MD5 twice", {MD5, MD5}, 36, TCPAO_DUPLICATE_OPTION},
};

static void found_strictly(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct options *t = &table[i];
        struct seg s = seg_with(1, 2, ACK, "", t->octets, t->len);
        struct tcpao_option o;

        print_message("  %s\n", t->what);
        assert_int_equal(tcpao_option_find(s.hdr, s.hdr_len, &o), t->result);
        if (t->result != TCPAO_OK)
            continue;
        assert_int_equal(o.ao, t->ao);
        assert_int_equal(o.md5, t->md5);
        assert_int_equal(o.mac_len, t->mac_len);
        assert_int_equal(o.offset, t->offset);
        if (t->ao) {
            assert_int_equal(o.keyid, 3);
            assert_int_equal(o.rnext, 8);
        }
    }
}

static void headers_must_agree_with_their_length(void **state)
{
    struct seg s = seg_of(1, 2, ACK, "");
    uint8_t long_header[64] = {0};
    struct tcpao_option o;

    for (size_t len = 0; len < 20; len++)
        assert_int_equal(tcpao_option_find(s.hdr, len, &o), TCPAO_MALFORMED);
    assert_int_equal(tcpao_option_find(s.hdr, 20, &o), TCPAO_OK);
    s.hdr[12] = 0x60;
    assert_int_equal(tcpao_option_find(s.hdr, 20, &o), TCPAO_MALFORMED);
    s.hdr[12] = 0x40;
    assert_int_equal(tcpao_option_find(s.hdr, 20, &o), TCPAO_MALFORMED);
    s.hdr[12] = 0x50;
    assert_int_equal(tcpao_option_find(s.hdr, 22, &o), TCPAO_MALFORMED);
    assert_int_equal(tcpao_option_find(long_header, 64, &o), TCPAO_MALFORMED);
}

struct strip {
    uint8_t in[40];
    size_t in_len;
    uint8_t out[40];
    size_t out_len;
};

static const struct strip strips[] = {
    {{0}, 0, {0}, 0},
    {{AO_12}, 16, {0}, 0},
    {{1, 1, TIMESTAMPS, AO_12}, 28, {1, 1, TIMESTAMPS}, 12},
    /* NOPs that align what follows stay: a stack's fast path looks for them. */
    {{AO_12, 1, 1, TIMESTAMPS}, 28, {1, 1, TIMESTAMPS}, 12},
    /* NOPs that only padded the option go. */
    {{29, 14, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 1}, 16, {0}, 0},
    {{29, 14, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 1, 1, 1, TIMESTAMPS},
     28,
     {1, 1, TIMESTAMPS},
     12},
    /* What remains is padded anew. */
    {{2, 4, 5, 180, 3, 3, 7, AO_12, 1}, 24, {2, 4, 5, 180, 3, 3, 7, 1}, 8},
    {{29, 14, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 4, 2}, 16, {4, 2, 0, 0}, 4},
    {{MD5, 1, 1}, 20, {MD5, 1, 1}, 20},
};

static void stripped(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(strips); i++) {
        struct seg s = seg_with(1, 2, ACK, "", strips[i].in, strips[i].in_len);
        struct seg expect = seg_with(1, 2, ACK, "", strips[i].out, strips[i].out_len);
        uint8_t out[TCPAO_TCP_HEADER_MAX];
        size_t len = 0;

        s.hdr[12] |= 1; /* reserved bits are not ours */
        expect.hdr[12] |= 1;
        assert_int_equal(tcpao_option_strip(s.hdr, s.hdr_len, out, &len), TCPAO_OK);
        assert_int_equal(len, expect.hdr_len);
        assert_memory_equal(out, expect.hdr, len);
    }
}

static void broken_headers_are_not_stripped(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct seg s = seg_with(1, 2, ACK, "", table[i].octets, table[i].len);
        uint8_t out[TCPAO_TCP_HEADER_MAX];
        size_t len;

        assert_int_equal(tcpao_option_strip(s.hdr, s.hdr_len, out, &len), table[i].result);
    }
}

/* ---- Appending, through a connection that signs a SYN ---------------------------------------- */

/* The usual SYN options of a Linux stack: 20 octets. */
#define SYN_OPTIONS 2, 4, 5, 180, 4, 2, TIMESTAMPS, 1, 3, 3, 7

static enum tcpao_result sign_syn(unsigned mac_len, const uint8_t *options, size_t len,
                                  struct seg *out)
{
    struct tcpao_mkt mkt = key_of(1);
    struct tcpao_conn *c;
    struct seg s = seg_with(1000, 0, SYN, "", options, len);
    enum tcpao_result r;

    mkt.alg = TCPAO_HMAC_SHA_256;
    mkt.mac_len = (uint8_t)mac_len;
    c = conn_of(chain_of(0, &mkt, 1), true);
    r = sign(c, 0, &s, out);
    if (r != TCPAO_OK)
        assert_false(state_of(c).local_isn_known);
    tcpao_conn_free(c);
    return r;
}

static void room_beside_syn_options(void **state)
{
    static const uint8_t usual[] = {SYN_OPTIONS}, mss[] = {2, 4, 5, 180};
    struct seg out;

    assert_int_equal(sign_syn(12, usual, sizeof(usual), &out), TCPAO_OK);
    assert_int_equal(out.hdr_len, 56);
    assert_int_equal(sign_syn(16, usual, sizeof(usual), &out), TCPAO_OK);
    assert_int_equal(out.hdr_len, 60);
    assert_int_equal(sign_syn(17, usual, sizeof(usual), &out), TCPAO_NO_SPACE);
    assert_int_equal(sign_syn(32, usual, sizeof(usual), &out), TCPAO_NO_SPACE);
    assert_int_equal(sign_syn(32, mss, sizeof(mss), &out), TCPAO_OK);
    assert_int_equal(out.hdr_len, 60);

    /* At every length of other options, aligned or not (an end-of-options octet cuts them). */
    for (unsigned mac_len = TCPAO_MAC_MIN; mac_len <= TCPAO_MAC_MAX; mac_len++)
        for (size_t end = 2; end < 40; end++) {
            uint8_t options[40] = {254, (uint8_t)end};

            assert_int_equal(sign_syn(mac_len, options, 40, &out),
                             end + 4 + mac_len <= 40 ? TCPAO_OK : TCPAO_NO_SPACE);
        }

    assert_int_equal(tcpao_option_space(12), 16);
    assert_int_equal(tcpao_option_space(13), 20);
    assert_int_equal(tcpao_option_space(32), 36);
    assert_int_equal(tcpao_syn_option_room(12), 24);
    assert_int_equal(tcpao_syn_option_room(16), 20);
    assert_int_equal(tcpao_syn_option_room(32), 4);
    assert_int_equal(tcpao_syn_option_room(36), 0);
    assert_int_equal(tcpao_syn_option_room(200), 0);
    /* RFC 5925 7.6: 24 octets, 12 of them for timestamps, leave one SACK block. */
    assert_int_equal(tcpao_sack_blocks_room(12, true), 1);
    assert_int_equal(tcpao_sack_blocks_room(12, false), 2);
    assert_int_equal(tcpao_sack_blocks_room(4, true), 2);
    assert_int_equal(tcpao_sack_blocks_room(16, true), 0);
    assert_int_equal(tcpao_sack_blocks_room(32, false), 0);
}

static void appended_where_a_receiver_finds_it(void **state)
{
    static const uint8_t ended[] = {2, 4, 5, 180, 3, 3, 7, 0};
    static const uint8_t odd[] = {2, 4, 5, 180, 3, 3, 7, 1};
    static const uint8_t nops[] = {2, 4, 5, 180, 1, 1, 1, 1};
    static const uint8_t ones[] = {254, 8, 1, 1, 1, 1, 1, 1};
    struct tcpao_option o;
    struct seg out;

    /* Behind an end-of-options octet nobody would look. */
    assert_int_equal(sign_syn(12, ended, sizeof(ended), &out), TCPAO_OK);
    assert_int_equal(tcpao_option_find(out.hdr, out.hdr_len, &o), TCPAO_OK);
    assert_true(o.ao);
    assert_int_equal(o.offset, 27);
    assert_int_equal(out.hdr_len, 44);
    assert_int_equal(out.hdr[43], 1);
    /* The checksum field is the caller's to fill. */
    assert_int_equal(out.hdr[16] | out.hdr[17], 0);

    assert_int_equal(sign_syn(13, odd, sizeof(odd), &out), TCPAO_OK);
    assert_int_equal(tcpao_option_find(out.hdr, out.hdr_len, &o), TCPAO_OK);
    assert_int_equal(o.offset, 28);
    assert_int_equal(o.mac_len, 13);
    assert_int_equal(out.hdr_len, 48);

    /* Padding makes room where room is short, and only there. */
    assert_int_equal(sign_syn(32, nops, sizeof(nops), &out), TCPAO_OK);
    assert_int_equal(tcpao_option_find(out.hdr, out.hdr_len, &o), TCPAO_OK);
    assert_int_equal(o.offset, 24);
    assert_int_equal(sign_syn(32, ones, sizeof(ones), &out), TCPAO_NO_SPACE);
    assert_int_equal(sign_syn(12, nops, sizeof(nops), &out), TCPAO_OK);
    assert_int_equal(tcpao_option_find(out.hdr, out.hdr_len, &o), TCPAO_OK);
    assert_int_equal(o.offset, 28);
}

static void what_is_signed_is_stripped_again(void **state)
{
    static const uint8_t usual[] = {SYN_OPTIONS};

    for (unsigned mac_len = TCPAO_MAC_MIN; mac_len <= 16; mac_len++) {
        struct seg in = seg_with(1000, 0, SYN, "", usual, sizeof(usual)), out;
        uint8_t bare[TCPAO_TCP_HEADER_MAX];
        size_t len;

        assert_int_equal(sign_syn(mac_len, usual, sizeof(usual), &out), TCPAO_OK);
        assert_int_equal(tcpao_option_strip(out.hdr, out.hdr_len, bare, &len), TCPAO_OK);
        in.hdr[16] = in.hdr[17] = 0;
        assert_int_equal(len, in.hdr_len);
        assert_memory_equal(bare, in.hdr, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_strictly),
        cmocka_unit_test(headers_must_agree_with_their_length),
        cmocka_unit_test(stripped),
        cmocka_unit_test(broken_headers_are_not_stripped),
        cmocka_unit_test(room_beside_syn_options),
        cmocka_unit_test(appended_where_a_receiver_finds_it),
        cmocka_unit_test(what_is_signed_is_stripped_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
