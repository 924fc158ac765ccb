/* The envelope and IKE fragments: sealed, opened, split, put together in any order, refused. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "ike/fragment.h"
#include "ike_random.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum { ROOM = 1 << 15, CONTENT = 4000, IPV4_HEADER = 20, IPV6_HEADER = 40 };

static const struct ike_header header = {.spi_i = {1},
                                         .spi_r = {2},
                                         .version = IKE_VERSION_2,
                                         .exchange = IKE_X_AUTH,
                                         .flags = IKE_FLAG_INITIATOR,
                                         .id = 1};
static const struct ike_reassembly_limits roomy = {64, 65536, 30000};
static uint8_t content[CONTENT];

static const struct {
    enum gh_enc_alg enc;
    unsigned bits;
    enum gh_integ_alg integ;
} suites[] = {
    {GH_ENC_AES_GCM_16, 256, GH_INTEG_NONE},      {GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA2_256_128},
    {GH_ENC_AES_CTR, 192, GH_INTEG_HMAC_SHA1_96}, {GH_ENC_CHACHA20_POLY1305, 0, GH_INTEG_NONE},
    {GH_ENC_AES_CCM_8, 128, GH_INTEG_NONE},       {GH_ENC_3DES, 0, GH_INTEG_HMAC_SHA2_512_256},
};

static struct gh_cipher *cipher(size_t suite)
{
    static const uint8_t key[64] = {1,  2,  3,  4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
                                    14, 15, 16, 0, 9, 8, 7, 6, 5, 4,  3,  2,  1};
    struct gh_cipher *c =
        gh_cipher_new(suites[suite].enc, suites[suite].bits, suites[suite].integ,
                      gh_view_of(key, gh_enc_key_len(suites[suite].enc, suites[suite].bits)),
                      gh_view_of(key, gh_integ_key_len(suites[suite].integ)));

    assert_non_null(c);
    return c;
}

static struct gh_view iv_of(const struct gh_cipher *c)
{
    static uint8_t iv[GH_CIPHER_IV_MAX];

    iv[0]++;
    return gh_view_of(iv, gh_cipher_iv_len(c));
}

static void sealed_and_opened(void **state)
{
    uint8_t mem[ROOM];

    for (size_t suite = 0; suite < ARRAY_LEN(suites); suite++) {
        struct gh_cipher *c = cipher(suite), *peer = cipher(suite);

        for (size_t len = 0; len < 70; len++) {
            struct gh_view datagram, inner;
            struct ike_message m;

            assert_true(ike_sk_seal(c, &header, len > 0 ? IKE_P_IDI : 0, gh_view_of(content, len),
                                    iv_of(c), mem, sizeof(mem), &datagram));
            assert_int_equal(datagram.len, ike_sk_message_len(c, len));
            assert_int_equal(ike_message_parse(datagram, &m), IKE_OK);
            assert_int_equal(m.sealed.first, len > 0 ? IKE_P_IDI : 0);
            assert_int_equal(ike_sk_open(peer, mem, &m, &inner), IKE_OK);
            assert_true(gh_view_equal(inner, gh_view_of(content, len)));
        }
        gh_cipher_free(c);
        gh_cipher_free(peer);
    }
}

static void a_payload_beside(void **state)
{
    struct gh_cipher *c = cipher(1), *peer = cipher(1);
    struct ike_payload ps = {.type = IKE_P_PS, .body = gh_view_of("solution", 8)};
    struct gh_view datagram, inner;
    struct ike_message m;
    uint8_t mem[512];

    for (unsigned changed = 0; changed < 2; changed++) {
        assert_true(ike_sk_seal_beside(c, &header, &ps, IKE_P_IDI, gh_view_of(content, 33),
                                       iv_of(c), mem, sizeof(mem), &datagram));
        mem[IKE_HEADER_LEN + 4] ^= (uint8_t)changed;
        assert_int_equal(ike_message_parse(datagram, &m), IKE_OK);
        assert_int_equal(m.clear.count, 1);
        assert_int_equal(m.clear.payload[0].type, IKE_P_PS);
        assert_int_equal(ike_sk_open(peer, mem, &m, &inner), changed ? IKE_NOT_AUTHENTIC : IKE_OK);
        if (!changed)
            assert_true(gh_view_equal(inner, gh_view_of(content, 33)));
    }
    gh_cipher_free(c);
    gh_cipher_free(peer);
}

/* Any bit of the message, and anything missing: not authentic, and nothing else is said. */
static void every_octet_is_authenticated(void **state)
{
    uint8_t mem[ROOM], copy[512];

    for (size_t suite = 0; suite < ARRAY_LEN(suites); suite++) {
        struct gh_cipher *c = cipher(suite);
        struct gh_view datagram, inner = {content, 77};
        struct ike_message m;

        assert_true(ike_sk_seal(c, &header, IKE_P_IDI, gh_view_of(content, 50), iv_of(c), mem,
                                sizeof(mem), &datagram));
        for (size_t i = 0; i < datagram.len; i++) {
            enum ike_fault fault;

            memcpy(copy, datagram.p, datagram.len);
            copy[i] ^= (uint8_t)(1u << i % 8);
            fault = ike_message_parse(gh_view_of(copy, datagram.len), &m);
            if (fault == IKE_OK && m.sealed.type == IKE_P_SK)
                assert_int_equal(ike_sk_open(c, copy, &m, &inner), IKE_NOT_AUTHENTIC);
        }
        for (size_t body = 0; body < datagram.len - 32; body++) {
            memcpy(copy, datagram.p, datagram.len);
            copy[IKE_HEADER_LEN + 2] = 0;
            copy[IKE_HEADER_LEN + 3] = (uint8_t)(body + 4);
            copy[IKE_HEADER_LENGTH + 3] = (uint8_t)(body + 32);
            assert_int_equal(ike_message_parse(gh_view_of(copy, body + 32), &m), IKE_OK);
            assert_int_equal(ike_sk_open(c, copy, &m, &inner), IKE_NOT_AUTHENTIC);
        }
        assert_int_equal(inner.len, 77); /* untouched */
        gh_cipher_free(c);
    }
}

/* Padding beyond the content, authenticated: the peer's own fault. */
static void impossible_padding(void **state)
{
    struct gh_cipher *c = cipher(1);
    struct gh_view iv = iv_of(c), inner;
    struct ike_out o;
    struct ike_message m;
    uint8_t mem[256];

    for (unsigned pad = 14; pad < 18; pad++) {
        struct gh_view all;

        o = ike_out_message(mem, sizeof(mem), &header);
        ike_out_open(&o, IKE_P_SK, false);
        ike_out_view(&o, iv);
        gh_wr_zero(&o.w, 15);
        gh_wr_u8(&o.w, pad);
        gh_wr_zero(&o.w, gh_cipher_icv_len(c));
        ike_out_close(&o);
        assert_true(ike_out_done(&o, &all));
        assert_true(gh_cipher_seal(c, gh_view_of(mem, 32), mem + 32, mem + 48, 16, mem + 64));
        assert_int_equal(ike_message_parse(all, &m), IKE_OK);
        assert_int_equal(ike_sk_open(c, mem, &m, &inner), pad <= 15 ? IKE_OK : IKE_PADDING);
    }
    gh_cipher_free(c);
}

static void no_room_or_a_wrong_iv(void **state)
{
    struct gh_cipher *c = cipher(1);
    struct gh_view out = {0}, iv = iv_of(c);
    uint8_t mem[256];
    size_t len = ike_sk_message_len(c, 50);

    for (size_t cap = 0; cap < len; cap++)
        assert_false(
            ike_sk_seal(c, &header, IKE_P_IDI, gh_view_of(content, 50), iv, mem, cap, &out));
    assert_true(ike_sk_seal(c, &header, IKE_P_IDI, gh_view_of(content, 50), iv, mem, len, &out));
    iv.len--;
    assert_false(ike_sk_seal(c, &header, IKE_P_IDI, gh_view_of(content, 50), iv, mem, 256, &out));
    gh_cipher_free(c);
}

/* A sealed set of fragments. */
struct set {
    struct gh_cipher *c;
    struct ike_fragment_plan plan;
    uint8_t mem[64][1500];
    size_t len[64];
};

static void split(struct set *set, size_t len, size_t datagram_max, uint16_t above)
{
    set->c = cipher(0);
    assert_true(ike_fragment_plan(set->c, len, datagram_max, IPV4_HEADER, true, above, &set->plan));
    assert_true(set->plan.total <= 64);
    for (uint16_t n = 1; n <= set->plan.total; n++) {
        struct gh_view datagram;

        assert_true(ike_fragment_seal(set->c, &header, IKE_P_IDI, gh_view_of(content, len),
                                      &set->plan, n, iv_of(set->c), set->mem[n - 1], 1500,
                                      &datagram));
        assert_true(datagram.len + IPV4_HEADER + 8 + 4 <= datagram_max);
        set->len[n - 1] = datagram.len;
    }
}

static enum ike_reassembled give(struct ike_reassembly *r, struct set *set, unsigned n,
                                 const struct ike_reassembly_limits *limits, uint64_t now,
                                 struct gh_view *inner, enum ike_fault *fault)
{
    uint8_t copy[1500];
    struct ike_message m;

    memcpy(copy, set->mem[n - 1], set->len[n - 1]);
    assert_int_equal(ike_message_parse(gh_view_of(copy, set->len[n - 1]), &m), IKE_OK);
    *fault = IKE_OK;
    return ike_reassembly_take(r, limits, now, set->c, copy, &m, inner, fault);
}

static void in_any_order_with_duplicates(void **state)
{
    static struct set set;
    struct ike_rng rng = {77};

    split(&set, CONTENT, IKE_DATAGRAM_IPV4, 0);
    assert_true(set.plan.total > 5);
    for (unsigned round = 0; round < 200; round++) {
        struct ike_reassembly r = {0};
        struct gh_view inner = {0};
        enum ike_fault fault;
        bool given[64] = {false};
        unsigned left = set.plan.total;

        while (left > 0) {
            unsigned n = 1 + rng_below(&rng, set.plan.total);
            enum ike_reassembled result = give(&r, &set, n, &roomy, 5, &inner, &fault);

            if (given[n - 1]) {
                assert_int_equal(result, IKE_FRAGMENT_REFUSED);
                assert_int_equal(fault, IKE_FRAGMENT_REPLAY);
                continue;
            }
            given[n - 1] = true;
            left--;
            assert_int_equal(result, left == 0 ? IKE_FRAGMENT_WHOLE : IKE_FRAGMENT_STORED);
        }
        assert_true(gh_view_equal(inner, gh_view_of(content, CONTENT)));
        assert_int_equal(r.first, IKE_P_IDI);
        assert_int_equal(give(&r, &set, 1, &roomy, 5, &inner, &fault), IKE_FRAGMENT_REFUSED);
        assert_int_equal(fault, IKE_FRAGMENT_REPLAY);
        ike_reassembly_clear(&r);
    }
    gh_cipher_free(set.c);
}

static void a_larger_total_replaces(void **state)
{
    static struct set large, small;
    struct ike_reassembly r = {0};
    struct gh_view inner;
    enum ike_fault fault;

    split(&large, CONTENT, 1400, 0);
    split(&small, CONTENT, IKE_DATAGRAM_IPV4, large.plan.total);
    assert_true(small.plan.total > large.plan.total);
    assert_int_equal(give(&r, &large, 1, &roomy, 5, &inner, &fault), IKE_FRAGMENT_STORED);
    /* one that is not authentic does not */
    small.mem[1][small.len[1] - 1] ^= 1;
    assert_int_equal(give(&r, &small, 2, &roomy, 6, &inner, &fault), IKE_FRAGMENT_REFUSED);
    assert_int_equal(fault, IKE_NOT_AUTHENTIC);
    assert_int_equal(r.total, large.plan.total);
    assert_int_equal(r.stored, 1);
    small.mem[1][small.len[1] - 1] ^= 1;
    assert_int_equal(give(&r, &small, 2, &roomy, 7, &inner, &fault), IKE_FRAGMENT_STORED);
    assert_int_equal(r.total, small.plan.total);
    assert_int_equal(r.stored, 1);
    assert_int_equal(r.deadline_ms, 5 + roomy.lifetime_ms); /* not prolonged */
    assert_int_equal(give(&r, &large, 2, &roomy, 8, &inner, &fault), IKE_FRAGMENT_REFUSED);
    assert_int_equal(fault, IKE_FRAGMENT_OLD);
    for (unsigned n = 1; n <= small.plan.total; n++)
        if (n != 2)
            assert_int_equal(give(&r, &small, n, &roomy, 9, &inner, &fault),
                             n == small.plan.total ? IKE_FRAGMENT_WHOLE : IKE_FRAGMENT_STORED);
    assert_true(gh_view_equal(inner, gh_view_of(content, CONTENT)));
    ike_reassembly_clear(&r);
    gh_cipher_free(large.c);
    gh_cipher_free(small.c);
}

static void corrupted_fragments_leave_nothing(void **state)
{
    static struct set set;
    struct ike_reassembly r = {0};
    struct gh_view inner;
    enum ike_fault fault;

    split(&set, 1000, IKE_DATAGRAM_IPV4, 0);
    for (size_t i = IKE_HEADER_LEN + 8; i < set.len[0]; i += 7) {
        set.mem[0][i] ^= 0x40;
        assert_int_equal(give(&r, &set, 1, &roomy, 5, &inner, &fault), IKE_FRAGMENT_REFUSED);
        assert_int_equal(fault, IKE_NOT_AUTHENTIC);
        assert_int_equal(r.total, 0);
        set.mem[0][i] ^= 0x40;
    }
    gh_cipher_free(set.c);
}

static void limits_and_deadlines(void **state)
{
    static struct set set, other;
    struct ike_reassembly r = {0};
    struct ike_reassembly_limits few = {3, 65536, 1000}, tight = {64, 600, 1000};
    struct gh_view inner;
    enum ike_fault fault;

    split(&set, CONTENT, IKE_DATAGRAM_IPV4, 0);
    assert_int_equal(give(&r, &set, 1, &few, 5, &inner, &fault), IKE_FRAGMENT_REFUSED);
    assert_int_equal(fault, IKE_FRAGMENT_LIMIT);
    assert_int_equal(give(&r, &set, 1, &tight, 5, &inner, &fault), IKE_FRAGMENT_STORED);
    assert_int_equal(give(&r, &set, 2, &tight, 6, &inner, &fault), IKE_FRAGMENT_REFUSED);
    assert_int_equal(fault, IKE_FRAGMENT_LIMIT);
    assert_int_equal(r.stored, 1);
    assert_false(ike_reassembly_expired(&r, 1004));
    assert_true(ike_reassembly_expired(&r, 1005));
    /* what is over makes room for what comes */
    assert_int_equal(give(&r, &set, 1, &tight, 1005, &inner, &fault), IKE_FRAGMENT_STORED);
    assert_int_equal(r.deadline_ms, 2005);

    split(&other, CONTENT, IKE_DATAGRAM_IPV4, 0);
    other.mem[1][23] = 9; /* another Message ID */
    assert_int_equal(give(&r, &other, 2, &roomy, 1006, &inner, &fault), IKE_FRAGMENT_REFUSED);
    assert_int_equal(fault, IKE_FRAGMENT_OTHER);
    ike_reassembly_clear(&r);
    gh_cipher_free(set.c);
    gh_cipher_free(other.c);
}

static void impossible_numbers(void **state)
{
    static const struct {
        uint8_t first, prefix[4];
        size_t len;
        bool good;
    } table[] = {
        {35, {0, 1, 0, 1}, 4, true}, {35, {0, 0, 0, 1}, 4, false}, {35, {0, 1, 0, 0}, 4, false},
        {0, {0, 2, 0, 1}, 4, false}, {0, {0, 2, 0, 2}, 4, true},   {35, {0, 2, 0, 2}, 4, false},
        {35, {0, 1, 0}, 3, false},
    };
    uint16_t number, total;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct ike_message m = {
            .sealed = {IKE_P_SKF, table[i].first, 28, {table[i].prefix, table[i].len}}};

        assert_int_equal(ike_fragment_number(&m, &number, &total), table[i].good);
        m.sealed.type = IKE_P_SK;
        assert_false(ike_fragment_number(&m, &number, &total));
    }
}

/* For many sizes: every datagram fits, the parts add up, and a new attempt has a larger total. */
static void plans(void **state)
{
    for (size_t suite = 0; suite < ARRAY_LEN(suites); suite++) {
        struct gh_cipher *c = cipher(suite);

        for (size_t max = 60; max < 1500; max += 13)
            for (size_t len = 0; len < CONTENT; len += 331) {
                struct ike_fragment_plan plan, smaller;

                if (!ike_fragment_plan(c, len, max, IPV6_HEADER, false, 0, &plan))
                    continue;
                assert_true(plan.chunk * plan.total >= len);
                assert_true(len == 0 || plan.chunk * (plan.total - 1u) < len);
                assert_true(IPV6_HEADER + 8 + 4 + ike_sk_message_len(c, plan.chunk) <= max);
                assert_true(ike_fragment_needless(c, len, max + 4, IPV6_HEADER, true) ==
                            ike_fragment_needless(c, len, max, IPV6_HEADER, false));
                if (ike_fragment_plan(c, len, max, IPV6_HEADER, false, plan.total, &smaller)) {
                    assert_true(smaller.total > plan.total && smaller.chunk <= plan.chunk);
                    assert_true(smaller.chunk * smaller.total >= len);
                    assert_true(smaller.chunk * (smaller.total - 1u) < len);
                }
            }
        gh_cipher_free(c);
    }
}

static int fill(void **state)
{
    for (size_t i = 0; i < CONTENT; i++)
        content[i] = (uint8_t)(i * 7 + i / 256);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_and_opened),
        cmocka_unit_test(a_payload_beside),
        cmocka_unit_test(every_octet_is_authenticated),
        cmocka_unit_test(impossible_padding),
        cmocka_unit_test(no_room_or_a_wrong_iv),
        cmocka_unit_test(in_any_order_with_duplicates),
        cmocka_unit_test(a_larger_total_replaces),
        cmocka_unit_test(corrupted_fragments_leave_nothing),
        cmocka_unit_test(limits_and_deadlines),
        cmocka_unit_test(impossible_numbers),
        cmocka_unit_test(plans),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
