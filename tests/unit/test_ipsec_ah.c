/*
 * AH through the engine: ICVs against OpenSSL's own HMAC and GMAC, what is mutable, all IP versions
 * inside and outside, and AH around ESP.
 */
#include "ipsec_pair.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "ipsec/ah.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct buffer one, two;

static const char *const ends[2][2] = {{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}};
static const char *const hosts[2][2] = {{"10.1.0.1", "10.2.0.2"},
                                        {"2001:db8:a::1", "2001:db8:b::2"}};

static void plan(struct pair *x, struct ipsec_crypt_algs algs, enum ipsec_mode mode, int outside)
{
    pair_plan(x, algs, ends[outside][0], ends[outside][1]);
    x->out.protocol = x->in.protocol = IPSEC_AH;
    x->out.mode = x->in.mode = mode;
}

static struct ipsec_crypt_algs sha1(void)
{
    return algs_of(GH_ENC_NULL, 0, GH_INTEG_HMAC_SHA1_96);
}

/* The ICV of a packet without options: the header with zeros by RFC 4302 3.3.3.1, AH with zeros in
 * the ICV's place, the rest, and with ESN the high half. */
static void icv_is_hmac(void **state)
{
    for (int i = 0; i < 8; i++) {
        bool v6 = i & 1, esn = i & 2, tunnel = i & 4;
        size_t header = v6 ? 40 : 20, len;
        uint8_t covered[2048], icv[20];
        struct pair x;

        plan(&x, sha1(), tunnel ? IPSEC_TUNNEL : IPSEC_TRANSPORT, v6);
        x.out.esn = esn;
        x.out.last_seq = esn ? 0x700000000 : 0;
        pair_up(&x, NULL, NULL);
        make_packet(&one, ends[v6][0], ends[v6][1], 41, 0xb9, true);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        len = one.p.len;
        assert_int_equal(len, header + 24 + 41 + (tunnel ? header : 0));
        memcpy(covered, octets_of(&one), len);
        if (v6) {
            covered[0] = 0x60;
            memset(covered + 1, 0, 3);
            covered[7] = 0;
        } else {
            covered[1] = covered[8] = 0;
            memset(covered + 6, 0, 2);
            memset(covered + 10, 0, 2);
        }
        assert_int_equal(covered[header], tunnel ? (v6 ? 41 : 4) : 17);
        assert_int_equal(covered[header + 1], 4); /* 24 octets in words, less two */
        memset(covered + header + 12, 0, 12);
        if (esn) {
            memcpy(covered + len, "\0\0\0\7", 4);
            len += 4;
        }
        assert_non_null(HMAC(EVP_sha1(), pair_secret, 20, covered, len, icv, NULL));
        assert_memory_equal(octets_of(&one) + header + 12, icv, 12);
        pair_down(&x);
    }
}

/* RFC 4543 4: IV, then the tag, all of the packet as associated data. */
static void icv_is_gmac(void **state)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t covered[2048], nonce[12], tag[16];
    struct pair x;
    int n;

    plan(&x, algs_of(GH_ENC_NULL_AES_GMAC, 128, GH_INTEG_NONE), IPSEC_TRANSPORT, 0);
    pair_up(&x, NULL, NULL);
    make_packet(&one, ends[0][0], ends[0][1], 30, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(one.p.len, 20 + 36 + 30);
    memcpy(covered, octets_of(&one), one.p.len);
    covered[1] = covered[8] = 0;
    memset(covered + 6, 0, 2);
    memset(covered + 10, 0, 2);
    memcpy(nonce, pair_secret + 16, 4);
    memcpy(nonce + 4, covered + 32, 8);
    memset(covered + 40, 0, 16);
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, pair_secret, nonce), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, covered, (int)one.p.len), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, covered, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, tag), 1);
    assert_memory_equal(octets_of(&one) + 40, tag, 16);
    EVP_CIPHER_CTX_free(ctx);
    pair_down(&x);
}

static void there_and_back(void **state)
{
    const struct ipsec_crypt_algs algs[] = {
        sha1(),
        algs_of(GH_ENC_NULL, 0, GH_INTEG_HMAC_MD5_96),
        algs_of(GH_ENC_NULL, 0, GH_INTEG_AES_XCBC_96),
        algs_of(GH_ENC_NULL, 0, GH_INTEG_AES_CMAC_96),
        algs_of(GH_ENC_NULL, 0, GH_INTEG_HMAC_SHA2_256_128),
        algs_of(GH_ENC_NULL, 0, GH_INTEG_HMAC_SHA2_384_192),
        algs_of(GH_ENC_NULL, 0, GH_INTEG_HMAC_SHA2_512_256),
        algs_of(GH_ENC_NULL_AES_GMAC, 128, GH_INTEG_NONE),
        algs_of(GH_ENC_NULL_AES_GMAC, 256, GH_INTEG_NONE),
    };

    for (size_t i = 0; i < COUNT(algs) * 8; i++) {
        bool tunnel = i & 1, outside = i & 2;
        struct pair x;

        plan(&x, algs[i / 8], tunnel ? IPSEC_TUNNEL : IPSEC_TRANSPORT, outside);
        x.out.esn = x.in.esn = i & 4;
        pair_up(&x, NULL, NULL);
        for (size_t len = 0; len < 40; len++) {
            const char *const *host = tunnel ? hosts[len % 2] : ends[outside];
            struct octets sent;
            size_t ah;

            make_packet(&one, host[0], host[1], len, 0x28, true);
            sent = octets_now(&one);
            assert_int_equal(send_one(&x, &one), IPSEC_OK);
            ah = (octets_of(&one)[(outside ? 40 : 20) + 1] + 2u) * 4;
            assert_int_equal(ah, ipsec_ah_len(ipsec_get_sa(x.a, OUT_ID)));
            assert_int_equal(ah % (outside ? 8 : 4), 0);
            copy_buffer(&two, &one);
            assert_int_equal(receive_one(&x, &one), IPSEC_OK);
            assert_packet(&one, &sent);
            assert_int_equal(receive_one(&x, &two), IPSEC_REPLAY);
        }
        pair_down(&x);
    }
}

/* Every octet of the packet counts but those that may change on the way. */
static void what_is_covered(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        size_t header = v6 ? 40 : 20, changeable = 0, len;
        struct pair x;

        plan(&x, sha1(), IPSEC_TRANSPORT, v6);
        x.in.any_source = true;
        pair_up(&x, NULL, NULL);
        make_packet(&one, ends[v6][0], ends[v6][1], 30, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        len = one.p.len;
        for (size_t at = 0; at < len; at++) {
            struct listener l = {.count = 0};
            struct ipsec *e = engine(&l, NULL);
            bool may =
                v6 ? at <= 3 || at == 7 : at == 1 || at == 6 || at == 8 || at == 10 || at == 11;

            assert_true(ipsec_add_sa(e, &x.in));
            copy_buffer(&two, &one);
            octets_of(&two)[at] ^= at == 6 && !v6 ? 0x40 : 1; /* DF, not a fragment */
            ipsec_in(e, 1, &two.p, 1);
            assert_true(two.p.result != IPSEC_OK || may);
            assert_true(two.p.result == IPSEC_OK || !may);
            changeable += two.p.result == IPSEC_OK;
            /* The two reserved octets and the addresses are covered too. */
            if (at == header + 2 || at == header + 3 ||
                (at >= (v6 ? 8 : 12) && at < (v6 ? 24 : 16)))
                assert_int_equal(two.p.result, IPSEC_ICV);
            ipsec_free(e);
        }
        assert_int_equal(changeable, 5);
        pair_down(&x);
    }
}

static void mutable_fields(void **state)
{
    static const struct {
        const char *header, *zeroed; /* "": it cannot be told */
    } cases[] = {
        {"45b8003c1234 4000 4033 abcd c0000201c0000202",
         "4500003c1234 0000 0033 0000 c0000201c0000202"},
        /* Router alert stays, record route and an unknown option go, then NOP and the end. */
        {"4c b8003c12344000 4033 abcd c0000201c0000202"
         "94040000 07070401020304 de0400ff 01 01 00 00 aabbccdd 00000000",
         "4c 00003c12340000 0033 0000 c0000201c0000202"
         "94040000 00000000000000 00000000 01 01 00 00 aabbccdd 00000000"},
        {"46b8003c12344000 4033 abcd c0000201c0000202 07070401", ""},
        {"46b8003c12344000 4033 abcd c0000201c0000202 07010401", ""},
        {"6b812345 0030 33 40 20010db8000000000000000000000001 20010db8000000000000000000000002",
         "60000000 0030 33 00 20010db8000000000000000000000001 20010db8000000000000000000000002"},
        /* Hop-by-hop: router alert (0x05) stays, one that may change (0x3e) has its data zeroed. */
        {"60000000 0030 00 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
         "3301 0502abcd 3e04 01020304 0102 0000",
         "60000000 0030 00 00 20010db8000000000000000000000001 20010db8000000000000000000000002"
         "3301 0502abcd 3e04 00000000 0102 0000"},
        {"60000000 0030 00 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
         "3300 3e06 01020304",
         ""},
        {"60000000 0030 2c 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
         "3300000000000000",
         ""},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct octets header = hex(cases[i].header), want = hex(cases[i].zeroed);

        assert_int_equal(ipsec_ah_zero_mutable(header.p, header.len), want.len > 0);
        if (want.len > 0)
            assert_memory_equal(header.p, want.p, want.len);
    }
}

/* With ESN, the high half stands behind the packet while the ICV is computed. */
static void room_behind(void **state)
{
    struct pair x;

    plan(&x, sha1(), IPSEC_TRANSPORT, 0);
    x.out.esn = x.in.esn = true;
    pair_up(&x, NULL, NULL);
    make_packet(&one, ends[0][0], ends[0][1], 30, 0, true);
    one.p.cap = one.p.at + one.p.len + 3;
    assert_int_equal(send_one(&x, &one), IPSEC_NO_ROOM);
    make_packet(&one, ends[0][0], ends[0][1], 30, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    copy_buffer(&two, &one);
    two.p.cap = two.p.at + two.p.len + 3;
    assert_int_equal(receive_one(&x, &two), IPSEC_NO_ROOM);
    one.p.cap = one.p.at + one.p.len + 4;
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    pair_down(&x);
}

/* A routing header is covered as its last destination sees it; on the way there, nothing is taken.
 */
static void routing_headers(void **state)
{
    const struct octets chain = hex("1100040000000000 03e807d000080000");
    struct octets sent;
    struct pair x;

    plan(&x, sha1(), IPSEC_TRANSPORT, 1);
    pair_up(&x, NULL, NULL);
    make_packet(&one, ends[1][0], ends[1][1], chain.len, 0, true);
    one.mem[HEAD + 6] = 43;
    memcpy(one.mem + HEAD + 40, chain.p, chain.len);
    sent = octets_now(&one);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    copy_buffer(&two, &one);
    octets_of(&two)[43] = 1; /* a segment left */
    assert_int_equal(receive_one(&x, &two), IPSEC_OPTIONS);
    copy_buffer(&two, &one);
    octets_of(&two)[44] = 1;
    assert_int_equal(receive_one(&x, &two), IPSEC_ICV);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    assert_packet(&one, &sent);
    pair_down(&x);
}

/* AH as some send it over IPv4, padded to eight octets: 16 octets of ICV make 28, sent as 32. */
static void longer_padding_is_taken(void **state)
{
    uint8_t covered[2048], icv[32];
    struct octets want;
    struct pair x;
    size_t len;

    plan(&x, algs_of(GH_ENC_NULL, 0, GH_INTEG_HMAC_SHA2_256_128), IPSEC_TRANSPORT, 0);
    pair_up(&x, NULL, NULL);
    make_packet(&one, ends[0][0], ends[0][1], 30, 0, true);
    want = octets_now(&one);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    memmove(octets_of(&one) + 20 + 32, octets_of(&one) + 20 + 28, 30);
    memset(octets_of(&one) + 20 + 12, 0, 20);
    octets_of(&one)[20 + 1] = 32 / 4 - 2;
    one.p.len += 4;
    octets_of(&one)[3] += 4;
    ipsec_header_set_checksum(octets_of(&one));
    len = one.p.len;
    memcpy(covered, octets_of(&one), len);
    covered[1] = covered[8] = 0;
    memset(covered + 6, 0, 2);
    memset(covered + 10, 0, 2);
    assert_non_null(HMAC(EVP_sha256(), pair_secret, 32, covered, len, icv, NULL));
    memcpy(octets_of(&one) + 32, icv, 16);
    copy_buffer(&two, &one);
    octets_of(&two)[21] = 36 / 4 - 2;
    assert_int_equal(receive_one(&x, &two), IPSEC_TRUNCATED);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    assert_packet(&one, &want);
    pair_down(&x);
}

/* ESP in a tunnel, and AH in transport mode around what that made. */
static void ah_around_esp(void **state)
{
    for (int outside = 0; outside < 2; outside++) {
        struct ipsec_sa_params ah_out, ah_in;
        struct octets sent;
        struct pair x;

        pair_plan(&x, algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA1_96), ends[outside][0],
                  ends[outside][1]);
        x.out.outer = x.in.outer = 70;
        pair_up(&x, NULL, NULL);
        ah_out = x.out;
        ah_out.id = 70;
        ah_out.spi = 0x7000;
        ah_out.protocol = IPSEC_AH;
        ah_out.mode = IPSEC_TRANSPORT;
        ah_out.algs = sha1();
        ah_out.policy = POLICY + 1; /* no policy asks for it */
        ah_out.outer = 0;
        ah_in = ah_out;
        ah_in.way = IPSEC_IN;
        ah_in.local = x.in.local;
        ah_in.remote = x.in.remote;
        ah_in.window = 64;

        make_packet(&one, hosts[0][0], hosts[0][1], 30, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_BUNDLE); /* the SA around it is not there */
        ah_out.outer = OUT_ID;                              /* a knot */
        assert_true(ipsec_add_sa(x.a, &ah_out));
        make_packet(&one, hosts[0][0], hosts[0][1], 30, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_BUNDLE);
        assert_true(ipsec_remove_sa(x.a, 70));
        ah_out.outer = 0;
        assert_true(ipsec_add_sa(x.a, &ah_out));
        assert_true(ipsec_add_sa(x.b, &ah_in));
        for (size_t i = 0; i < 5; i++) {
            make_packet(&one, hosts[i % 2][0], hosts[i % 2][1], 30 + i, 0, true);
            sent = octets_now(&one);
            assert_int_equal(send_one(&x, &one), IPSEC_OK);
            assert_int_equal(octets_of(&one)[outside ? 6 : 9], 51);
            assert_int_equal(octets_of(&one)[outside ? 40 : 20], 50);
            copy_buffer(&two, &one);
            octets_of(&two)[one.p.len - 20] ^= 1; /* ESP's: AH finds it */
            assert_int_equal(receive_one(&x, &two), IPSEC_ICV);
            assert_int_equal(two.p.sa, 70);
            assert_int_equal(receive_one(&x, &one), IPSEC_OK);
            assert_int_equal(one.p.sa, IN_ID);
            assert_packet(&one, &sent);
        }

        /* The ESP packet alone does not do. */
        assert_true(ipsec_remove_sa(x.a, OUT_ID));
        x.out.outer = 0;
        x.out.last_seq = 100;
        assert_true(ipsec_add_sa(x.a, &x.out));
        make_packet(&one, hosts[0][0], hosts[0][1], 30, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        assert_int_equal(receive_one(&x, &one), IPSEC_BUNDLE);
        pair_down(&x);
    }
}

static void not_with_ah(void **state)
{
    struct pair x;

    plan(&x, sha1(), IPSEC_TRANSPORT, 0);
    pair_up(&x, NULL, NULL);
    x.out.id = 9;
    x.out.local_port = x.out.remote_port = 4500;
    assert_false(ipsec_add_sa(x.a, &x.out));
    x.out.local_port = x.out.remote_port = 0;
    x.out.algs = algs_of(GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE);
    assert_false(ipsec_add_sa(x.a, &x.out));
    pair_down(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(icv_is_hmac),    cmocka_unit_test(icv_is_gmac),
        cmocka_unit_test(there_and_back), cmocka_unit_test(what_is_covered),
        cmocka_unit_test(mutable_fields), cmocka_unit_test(routing_headers),
        cmocka_unit_test(room_behind),    cmocka_unit_test(longer_padding_is_taken),
        cmocka_unit_test(ah_around_esp),  cmocka_unit_test(not_with_ah),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
