/*
 * ESP through the engine: packets of the standards, every algorithm in tunnel and transport mode
 * with all IP versions inside and outside, what headers become, and what has to be refused.
 */
#include "ipsec_pair.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "ipsec/engine.h"
#include "ipsec_vectors.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct buffer one, two;

static const struct ipsec_crypt_algs *every_alg(size_t *count)
{
    static struct ipsec_crypt_algs all[32];
    size_t n = 0;

    all[n++] = algs_of(GH_ENC_3DES, 0, GH_INTEG_HMAC_MD5_96);
    all[n++] = algs_of(GH_ENC_NULL, 0, GH_INTEG_HMAC_SHA1_96);
    all[n++] = algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA1_96);
    all[n++] = algs_of(GH_ENC_AES_CBC, 192, GH_INTEG_HMAC_SHA2_384_192);
    all[n++] = algs_of(GH_ENC_AES_CBC, 256, GH_INTEG_HMAC_SHA2_512_256);
    all[n++] = algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_AES_XCBC_96);
    all[n++] = algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_AES_CMAC_96);
    all[n++] = algs_of(GH_ENC_AES_CTR, 128, GH_INTEG_HMAC_SHA2_256_128);
    all[n++] = algs_of(GH_ENC_AES_CTR, 256, GH_INTEG_HMAC_SHA2_256_128);
    all[n++] = algs_of(GH_ENC_CAMELLIA_CBC, 256, GH_INTEG_HMAC_SHA2_256_128);
    all[n++] = algs_of(GH_ENC_AES_CCM_8, 128, GH_INTEG_NONE);
    all[n++] = algs_of(GH_ENC_AES_CCM_12, 192, GH_INTEG_NONE);
    all[n++] = algs_of(GH_ENC_AES_CCM_16, 256, GH_INTEG_NONE);
    all[n++] = algs_of(GH_ENC_AES_GCM_8, 128, GH_INTEG_NONE);
    all[n++] = algs_of(GH_ENC_AES_GCM_12, 192, GH_INTEG_NONE);
    all[n++] = algs_of(GH_ENC_AES_GCM_16, 256, GH_INTEG_NONE);
    all[n++] = algs_of(GH_ENC_NULL_AES_GMAC, 128, GH_INTEG_NONE);
    all[n++] = algs_of(GH_ENC_NULL_AES_GMAC, 256, GH_INTEG_NONE);
    all[n++] = algs_of(GH_ENC_CHACHA20_POLY1305, 0, GH_INTEG_NONE);
    all[n++] = algs_of(GH_ENC_AES_CCM_8_IIV, 256, GH_INTEG_NONE);
    all[n++] = algs_of(GH_ENC_AES_GCM_16_IIV, 128, GH_INTEG_NONE);
    all[n++] = algs_of(GH_ENC_CHACHA20_POLY1305_IIV, 0, GH_INTEG_NONE);
    if (gh_enc_available(GH_ENC_DES, 0))
        all[n++] = algs_of(GH_ENC_DES, 0, GH_INTEG_HMAC_MD5_96);
    else
        print_message("no DES: OpenSSL's legacy provider is not installed\n");
    *count = n;
    return all;
}

/* RFC 3602 4, cases 5 to 8, with an ICV behind them that the test computes itself. */
static const struct {
    enum ipsec_mode mode;
    uint64_t seq;
    uint32_t spi;
    const char *dst, *key, *iv, *original, *header, *sealed;
} cbc[] = {
    {IPSEC_TRANSPORT, 1, 0x4321, "192.168.123.100", "90d382b410eeba7ad938c46cec1a82bf",
     "e96e8c08ab465763fd098d45dd3ff893",
     "4500005408f200004001f9fec0a87b03c0a87b64"
     "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f1011121314151617"
     "18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
     "4500007c08f200004032f9a5c0a87b03c0a87b64",
     "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856"
     "a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874a"
     "a269add047ad2d5913ac19b7cfbad4a6"},
    {IPSEC_TRANSPORT, 8, 0x4321, "192.168.123.100", "90d382b410eeba7ad938c46cec1a82bf",
     "69d08df7d203329db093fc4924e5bd80",
     "4500003008fe00004001fa16c0a87b03c0a87b64"
     "0800b5e8a80a0500a69c083d0b660e00777777777777777777777777",
     "4500004c08fe00004032f9c9c0a87b03c0a87b64",
     "f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75"},
    {IPSEC_TUNNEL, 2, 0x8765, "192.168.123.200", "0123456789abcdef0123456789abcdef",
     "f4e765244f6407adf13dc1380f673f37",
     "45000054090400004001f988c0a87b03c0a87bc8"
     "08009f76a90a0100b49c083d02a2040008090a0b0c0d0e0f1011121314151617"
     "18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
     "4500008c090500004032f91ec0a87b03c0a87bc8",
     "773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8"
     "e4ecaec78ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5"
     "c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d"},
    {IPSEC_TUNNEL, 5, 0x8765, "192.168.123.200", "0123456789abcdef0123456789abcdef",
     "85d47224b5f3dd5d2101d4ea8dffab22",
     "45000044090c00004001f990c0a87b03c0a87bc8"
     "0800d63caa0a0200c69c083da3de0300ffffffffffffffffffffffffffffffff"
     "ffffffffffffffffffffffffffffffff",
     "4500007c090d00004032f926c0a87b03c0a87bc8",
     "15b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb5"
     "0f980a08c9843fd3a1b06d5c07ff9639b7eb7dfb3512e5de435e7207ed971ef3"
     "d2726d9b5ef6affc6d17a0decbb13892"},
};

static void rfc3602(void **state)
{
    for (size_t i = 0; i < COUNT(cbc); i++) {
        struct octets original = hex(cbc[i].original), header = hex(cbc[i].header);
        struct octets sealed = hex(cbc[i].sealed), iv = hex(cbc[i].iv), key = hex(cbc[i].key);
        size_t covered = 8 + 16 + sealed.len;
        struct pair x;
        uint8_t icv[20];

        pair_plan(&x, algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA1_96), "192.168.123.3",
                  cbc[i].dst);
        x.out.algs.enc_key = x.in.algs.enc_key = view_of(&key);
        x.out.mode = x.in.mode = cbc[i].mode;
        x.out.spi = x.in.spi = cbc[i].spi;
        x.out.last_seq = cbc[i].seq - 1;
        pair_up(&x, "openssl", "openssl");
        memcpy(x.a_hears.iv, iv.p, 16);
        memcpy(one.mem + HEAD, original.p, original.len);
        one.p =
            (struct ipsec_packet){.mem = one.mem, .cap = BUFFER, .at = HEAD, .len = original.len};
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        assert_int_equal(one.p.len, 20 + covered + 12);
        assert_memory_equal(octets_of(&one) + 28, iv.p, 16);
        assert_memory_equal(octets_of(&one) + 44, sealed.p, sealed.len);
        /* Of the header, what does not come from there being an ICV. */
        assert_int_equal(octets_of(&one)[3], header.p[3] + 12);
        assert_int_equal(octets_of(&one)[9], header.p[9]);
        assert_memory_equal(octets_of(&one) + 12, header.p + 12, 8);
        assert_non_null(
            HMAC(EVP_sha1(), pair_secret, 20, octets_of(&one) + 20, covered, icv, NULL));
        assert_memory_equal(octets_of(&one) + 20 + covered, icv, 12);
        assert_int_equal(receive_one(&x, &one), IPSEC_OK);
        assert_packet(&one, &original);
        pair_down(&x);
    }
}

/* The standards' packets behind a made IP header. What is in them is said to be ICMP or IP. */
static void packets_of_the_standards(void **state)
{
    for (size_t i = 0; i < ESP_VECTORS; i++) {
        const struct esp_vector *v = &esp_vectors[i];
        const struct octets key = hex(v->key), plain = hex(v->plain), packet = hex(v->packet);
        uint8_t next = plain.p[plain.len - 1], padding = plain.p[plain.len - 2];
        struct pair x;

        if (packet.p[2] == 0 && packet.p[1] == 0 && packet.p[0] == 0)
            continue; /* an SPI of zero stays where it is, in the back end's test */
        pair_plan(&x, algs_of(v->enc, v->bits, GH_INTEG_NONE), "192.0.2.1", "192.0.2.2");
        x.in.algs.enc_key = view_of(&key);
        x.in.mode = next == 4 ? IPSEC_TUNNEL : IPSEC_TRANSPORT;
        x.in.spi = (uint32_t)packet.p[0] << 24 | (uint32_t)packet.p[1] << 16 |
                   (uint32_t)packet.p[2] << 8 | packet.p[3];
        x.in.esn = v->esn;
        x.in.last_seq = v->seq - 1;
        pair_up(&x, NULL, NULL);
        make_packet(&one, "192.0.2.1", "192.0.2.2", packet.len, 0, true);
        one.mem[HEAD + 9] = 50;
        memcpy(one.mem + HEAD + 20, packet.p, packet.len);
        copy_buffer(&two, &one);
        assert_int_equal(receive_one(&x, &one), IPSEC_OK);
        if (next == 4) {
            assert_int_equal(one.p.len, plain.len - 2 - padding);
            assert_memory_equal(octets_of(&one), plain.p, one.p.len);
        } else {
            assert_int_equal(one.p.len, 20 + plain.len - 2 - padding);
            assert_int_equal(octets_of(&one)[9], next);
            assert_memory_equal(octets_of(&one) + 20, plain.p, one.p.len - 20);
        }
        assert_int_equal(receive_one(&x, &two), IPSEC_REPLAY);
        pair_down(&x);
    }
}

static const char *const ends[2][2] = {{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}};
static const char *const hosts[2][2] = {{"10.1.0.1", "10.2.0.2"},
                                        {"2001:db8:a::1", "2001:db8:b::2"}};

/* Through the pair, and the same comes out. */
static void there_and_back(struct pair *x, struct buffer *b, const char *src, const char *dst,
                           size_t len)
{
    struct octets sent;

    make_packet(b, src, dst, len, 0xb8, true);
    sent = octets_now(b);
    assert_int_equal(send_one(x, b), IPSEC_OK);
    assert_true(b->p.len > sent.len);
    copy_buffer(&two, b);
    assert_int_equal(receive_one(x, b), IPSEC_OK);
    assert_packet(b, &sent);
    assert_int_equal(receive_one(x, &two), IPSEC_REPLAY);
}

static void tunnel_of_all(void **state)
{
    static const char *const back_ends[] = {"openssl", NULL};
    size_t count;
    const struct ipsec_crypt_algs *algs = every_alg(&count);

    for (size_t i = 0; i < count * 8; i++) {
        struct pair x;
        int outside = i / 4 % 2;

        pair_plan(&x, algs[i / 8], ends[outside][0], ends[outside][1]);
        x.out.esn = x.in.esn = i % 2;
        if (i & 2)
            x.out.local_port = x.out.remote_port = x.in.local_port = x.in.remote_port = 4500;
        pair_up(&x, back_ends[i % 2], back_ends[(i + 1) % 2]);
        for (size_t len = 0; len < 70; len++)
            there_and_back(&x, &one, hosts[len % 2][0], hosts[len % 2][1], len);
        there_and_back(&x, &one, hosts[0][0], hosts[0][1], 1400);
        there_and_back(&x, &one, hosts[1][0], hosts[1][1], 1400);
        pair_down(&x);
    }
}

static void transport_of_all(void **state)
{
    size_t count;
    const struct ipsec_crypt_algs *algs = every_alg(&count);

    for (size_t i = 0; i < count * 4; i++) {
        struct pair x;
        const char *const *end = ends[i % 2];

        pair_plan(&x, algs[i / 4], end[0], end[1]);
        x.out.mode = x.in.mode = IPSEC_TRANSPORT;
        x.out.esn = x.in.esn = i / 2 % 2;
        pair_up(&x, NULL, NULL);
        for (size_t len = 0; len < 70; len++)
            there_and_back(&x, &one, end[0], end[1], len);
        pair_down(&x);
    }
}

/* RFC 8750: the packet is that of the algorithm with an IV, which here is the sequence number too,
 * without it. One that comes in another order is opened as well. */
static void implicit_iv(void **state)
{
    static const enum gh_enc_alg algs[][2] = {
        {GH_ENC_AES_CCM_8, GH_ENC_AES_CCM_8_IIV},
        {GH_ENC_AES_GCM_16, GH_ENC_AES_GCM_16_IIV},
        {GH_ENC_CHACHA20_POLY1305, GH_ENC_CHACHA20_POLY1305_IIV}};
    static const uint64_t before[] = {0, 0xffffffe0, 0xffffffff};
    enum { IV = 8, IV_AT = 20 + 8 };

    for (size_t i = 0; i < COUNT(algs) * COUNT(before); i++) {
        unsigned bits = i / COUNT(before) < 2 ? 128 : 0;
        struct pair x[2];

        for (int implicit = 0; implicit < 2; implicit++) {
            struct buffer *b = implicit ? &two : &one;

            pair_plan(&x[implicit], algs_of(algs[i / COUNT(before)][implicit], bits, GH_INTEG_NONE),
                      ends[0][0], ends[0][1]);
            x[implicit].out.esn = x[implicit].in.esn = before[i % COUNT(before)] > 0;
            x[implicit].out.last_seq = x[implicit].in.last_seq = before[i % COUNT(before)];
            pair_up(&x[implicit], implicit ? NULL : "openssl", "openssl");
            make_packet(b, hosts[0][0], hosts[0][1], 51, 0, true);
            assert_int_equal(send_one(&x[implicit], b), IPSEC_OK);
        }
        assert_int_equal(two.p.len + IV, one.p.len);
        assert_memory_equal(octets_of(&two) + 20, octets_of(&one) + 20, 8); /* SPI and number */
        assert_memory_equal(octets_of(&two) + IV_AT, octets_of(&one) + IV_AT + IV,
                            two.p.len - IV_AT);
        copy_buffer(&one, &two);
        make_packet(&two, hosts[0][0], hosts[0][1], 40, 0, true);
        assert_int_equal(send_one(&x[1], &two), IPSEC_OK);
        assert_int_equal(receive_one(&x[1], &two), IPSEC_OK);
        octets_of(&one)[20 + 7] += 16; /* another number is another nonce */
        assert_int_equal(receive_one(&x[1], &one), IPSEC_ICV);
        pair_down(&x[0]);
        pair_down(&x[1]);
    }
}

/* GMAC by OpenSSL directly: everything is associated data (RFC 4543 3.3). */
static void gmac_icv(void **state)
{
    for (int esn = 0; esn < 2; esn++) {
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        uint8_t nonce[12], tag[16], covered[1024];
        size_t len;
        struct pair x;
        int n;

        pair_plan(&x, algs_of(GH_ENC_NULL_AES_GMAC, 128, GH_INTEG_NONE), ends[0][0], ends[0][1]);
        x.out.esn = esn;
        x.out.last_seq = esn ? 0x500000000 : 7;
        pair_up(&x, NULL, NULL);
        make_packet(&one, hosts[0][0], hosts[0][1], 50, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        memcpy(nonce, pair_secret + 16, 4);
        memcpy(nonce + 4, octets_of(&one) + 28, 8);
        len = one.p.len - 20 - 16;
        memcpy(covered, octets_of(&one) + 20, len);
        if (esn) {
            memmove(covered + 8, covered + 4, len - 4);
            memcpy(covered + 4, "\0\0\0\5", 4);
            len += 4;
        }
        assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, pair_secret, nonce), 1);
        assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, covered, (int)len), 1);
        assert_int_equal(EVP_EncryptFinal_ex(ctx, covered, &n), 1);
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, tag), 1);
        assert_memory_equal(octets_of(&one) + one.p.len - 16, tag, 16);
        EVP_CIPHER_CTX_free(ctx);
        pair_down(&x);
    }
}

static struct ipsec_crypt_algs gcm(void)
{
    return algs_of(GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE);
}

/* Any octet changed behind the outer IP header is found, and leaves the window as it was. */
static void every_octet_counts(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct pair x;
        size_t len;

        pair_plan(&x, i ? gcm() : algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA2_256_128),
                  ends[0][0], ends[0][1]);
        pair_up(&x, NULL, NULL);
        make_packet(&one, hosts[0][0], hosts[0][1], 33, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        len = one.p.len;
        for (size_t at = 20; at < len; at++) {
            enum ipsec_result want = IPSEC_ICV;

            copy_buffer(&two, &one);
            octets_of(&two)[at] ^= 0x01;
            if (at < 24)
                want = IPSEC_UNKNOWN_SPI;
            else if (at == 27)
                want = IPSEC_OLD; /* number 0 */
            assert_int_equal(receive_one(&x, &two), want);
        }
        for (size_t cut = 1; cut <= len - 20; cut++) {
            enum ipsec_result result;

            copy_buffer(&two, &one);
            two.p.len -= cut;
            octets_of(&two)[2] = (uint8_t)(two.p.len >> 8);
            octets_of(&two)[3] = (uint8_t)two.p.len;
            result = receive_one(&x, &two);
            assert_true(result == IPSEC_ICV || result == IPSEC_TRUNCATED ||
                        result == IPSEC_UNKNOWN_SPI);
        }
        assert_int_equal(receive_one(&x, &one), IPSEC_OK);
        pair_down(&x);
    }
}

/* 1 and 2 come twice in one batch: the window refuses the second of each after its ICV. */
static void replay_within_a_batch(void **state)
{
    static struct buffer b[4];
    struct ipsec_packet p[4];
    struct pair x;

    pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
    pair_up(&x, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        make_packet(&b[i], hosts[0][0], hosts[0][1], 33, 0, true);
        assert_int_equal(send_one(&x, &b[i]), IPSEC_OK);
        copy_buffer(&b[i + 2], &b[i]);
    }
    for (int i = 0; i < 4; i++)
        p[i] = b[i].p;
    ipsec_in(x.b, 1, p, 4);
    assert_int_equal(p[0].result, IPSEC_OK);
    assert_int_equal(p[1].result, IPSEC_OK);
    assert_int_equal(p[2].result, IPSEC_REPLAY);
    assert_int_equal(p[3].result, IPSEC_REPLAY);
    assert_int_equal(ipsec_count(x.b, IPSEC_IN, IPSEC_REPLAY), 2);
    assert_int_equal(ipsec_get_sa(x.b, IN_ID)->counts.results[IPSEC_REPLAY], 2);
    assert_int_equal(ipsec_get_sa(x.b, IN_ID)->counts.packets, 2);
    pair_down(&x);
}

static void sequence_numbers_end(void **state)
{
    for (int esn = 0; esn < 2; esn++) {
        uint64_t last = esn ? UINT64_MAX : UINT32_MAX;
        struct pair x;

        pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
        x.out.esn = x.in.esn = esn;
        x.out.last_seq = x.in.last_seq = last - 2;
        pair_up(&x, NULL, NULL);
        there_and_back(&x, &one, hosts[0][0], hosts[0][1], 10);
        there_and_back(&x, &one, hosts[0][0], hosts[0][1], 10);
        make_packet(&one, hosts[0][0], hosts[0][1], 10, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_EXHAUSTED);
        assert_int_equal(send_one(&x, &one), IPSEC_EXHAUSTED);
        assert_int_equal(x.a_hears.count, 1);
        assert_int_equal(x.a_hears.events[0].kind, IPSEC_SEQ_LOW);
        pair_down(&x);
    }
}

/* With ESN, the low half goes round and the receiver follows. */
static void extended_numbers_go_round(void **state)
{
    struct pair x;

    pair_plan(&x, algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA1_96), ends[0][0], ends[0][1]);
    x.out.esn = x.in.esn = true;
    x.out.last_seq = x.in.last_seq = 0x2fffffff0;
    pair_up(&x, NULL, NULL);
    for (int i = 0; i < 40; i++)
        there_and_back(&x, &one, hosts[0][0], hosts[0][1], 20);
    assert_int_equal(ipsec_get_sa(x.b, IN_ID)->replay.top, 0x300000018);
    pair_down(&x);
}

static void lifetimes(void **state)
{
    struct pair x;

    pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
    x.out.lifetime = (struct ipsec_lifetime){.soft_packets = 2, .hard_octets = 200};
    x.in.lifetime = (struct ipsec_lifetime){.hard_packets = 2};
    pair_up(&x, NULL, NULL);
    for (int i = 0; i < 4; i++) { /* of 50 octets each */
        make_packet(&one, hosts[0][0], hosts[0][1], 30, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        assert_int_equal(receive_one(&x, &one), i < 2 ? IPSEC_OK : IPSEC_EXPIRED);
    }
    make_packet(&one, hosts[0][0], hosts[0][1], 30, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_EXPIRED);
    assert_int_equal(x.a_hears.count, 2);
    assert_int_equal(x.a_hears.events[0].kind, IPSEC_SOFT);
    assert_int_equal(x.a_hears.events[1].kind, IPSEC_HARD);
    assert_int_equal(x.b_hears.count, 1);
    assert_int_equal(x.b_hears.events[0].kind, IPSEC_HARD);
    assert_int_equal(x.b_hears.events[0].sa, IN_ID);
    pair_down(&x);
}

static void no_randomness(void **state)
{
    struct pair x;

    pair_plan(&x, algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA1_96), ends[0][0], ends[0][1]);
    pair_up(&x, NULL, NULL);
    x.a_hears.no_random = true;
    make_packet(&one, hosts[0][0], hosts[0][1], 30, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_NO_RANDOM);
    x.a_hears.no_random = false;
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    pair_down(&x);
}

/* Too little room in front or behind: the packet is refused and nothing beyond it written. */
static void room(void **state)
{
    struct pair x;
    struct octets sent;
    size_t refused = 0, taken = 0;

    pair_plan(&x, algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA2_512_256), ends[1][0], ends[1][1]);
    x.out.local_port = x.out.remote_port = 4500;
    pair_up(&x, NULL, NULL);
    for (size_t spare = 0; spare < 200; spare++) {
        make_packet(&one, hosts[0][0], hosts[0][1], 30, 0, true);
        sent = octets_now(&one);
        one.p.mem = one.mem + HEAD - (spare < 100 ? spare : 100);
        one.p.at = spare < 100 ? spare : 100;
        one.p.cap = one.p.at + one.p.len + (spare < 100 ? 100 : spare - 100);
        ipsec_out(x.a, 1, &one.p, 1);
        assert_int_equal(one.p.mem[-1], 0xee);
        assert_int_equal(one.p.mem[one.p.cap], 0xee);
        if (one.p.result == IPSEC_NO_ROOM) {
            refused++;
            assert_memory_equal(one.p.mem + one.p.at, sent.p, sent.len);
        } else {
            assert_int_equal(one.p.result, IPSEC_OK);
            taken++;
        }
        assert_true(spare >= IPSEC_HEADROOM || one.p.result == IPSEC_NO_ROOM ||
                    spare >= 40 + 8 + 8 + 16);
        if (spare >= IPSEC_HEADROOM && spare < 100)
            assert_int_equal(one.p.result, IPSEC_OK);
        if (spare >= 100 + IPSEC_TAILROOM)
            assert_int_equal(one.p.result, IPSEC_OK);
    }
    assert_true(refused > 50 && taken > 50);
    pair_down(&x);
}

static void outer_header(void **state)
{
    static const struct {
        struct ipsec_tunnel tunnel;
        int inside; /* 0: IPv4 */
        uint8_t ds;
        bool df;
        uint8_t outer_ds, ttl;
        bool outer_df;
    } cases[] = {
        {{.df = IPSEC_DF_COPY}, 0, 0xb9, true, 0xb9, 64, true},
        {{.df = IPSEC_DF_COPY}, 0, 0xb9, false, 0xb9, 64, false},
        {{.df = IPSEC_DF_SET, .ttl = 9}, 0, 0x02, false, 0x02, 9, true},
        {{.df = IPSEC_DF_CLEAR}, 0, 0x03, true, 0x03, 64, false},
        {{.df = IPSEC_DF_COPY, .set_dscp = true, .dscp = 10}, 0, 0xb9, true, 10 << 2 | 1, 64, true},
        {{.df = IPSEC_DF_COPY, .no_ecn = true}, 0, 0xbb, true, 0xb8, 64, true},
        {{.df = IPSEC_DF_COPY}, 1, 0xb9, false, 0xb9, 64, true}, /* IPv6 has no DF: set */
        {{.df = IPSEC_DF_CLEAR}, 1, 0xb9, false, 0xb9, 64, false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pair x;
        const uint8_t *h;

        pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
        x.out.tunnel = cases[i].tunnel;
        pair_up(&x, NULL, NULL);
        make_packet(&one, hosts[cases[i].inside][0], hosts[cases[i].inside][1], 30, cases[i].ds,
                    cases[i].df);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        h = octets_of(&one);
        assert_int_equal(h[1], cases[i].outer_ds);
        assert_int_equal(h[8], cases[i].ttl);
        assert_int_equal(h[6], cases[i].outer_df ? 0x40 : 0);
        assert_int_equal(gh_sum_fold(gh_sum(h, 20, 0)), 0);
        pair_down(&x);

        pair_plan(&x, gcm(), ends[1][0], ends[1][1]);
        x.out.tunnel = cases[i].tunnel;
        pair_up(&x, NULL, NULL);
        make_packet(&one, hosts[cases[i].inside][0], hosts[cases[i].inside][1], 30, cases[i].ds,
                    cases[i].df);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        h = octets_of(&one);
        assert_int_equal((h[0] & 15) << 4 | h[1] >> 4, cases[i].outer_ds);
        assert_int_equal(h[7], cases[i].ttl);
        assert_int_equal((h[1] & 15) << 16 | h[2] << 8 | h[3], 0); /* flow label */
        pair_down(&x);
    }
}

/* RFC 6864 4.3: what may be fragmented on its way has an ID that the next one has not. */
static void ids_of_what_may_be_fragmented(void **state)
{
    uint8_t before[2] = {0, 0};
    struct pair x;

    pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
    pair_up(&x, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        make_packet(&one, hosts[0][0], hosts[0][1], 30, 0, i == 3);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        assert_true(i == 0 || memcmp(octets_of(&one) + 4, before, 2) != 0);
        memcpy(before, octets_of(&one) + 4, 2);
    }
    assert_int_equal(before[0] | before[1], 0); /* DF */
    pair_down(&x);
}

/* RFC 6040 figure 4, with IPv4 and IPv6 inside and out. 9: dropped. */
static void congestion(void **state)
{
    static const uint8_t want[4][4] = {
        /* outer: Not-ECT, ECT(1), ECT(0), CE */
        {0, 0, 0, 9}, /* inner Not-ECT */
        {1, 1, 1, 3}, /* ECT(1) */
        {2, 1, 2, 3}, /* ECT(0) */
        {3, 3, 3, 3}, /* CE */
    };

    for (int i = 0; i < 64; i++) {
        int inner = i % 4, outer = i / 4 % 4, inside = i / 16 % 2, outside = i / 32;
        struct octets sent;
        struct pair x;

        pair_plan(&x, gcm(), ends[outside][0], ends[outside][1]);
        pair_up(&x, NULL, NULL);
        make_packet(&one, hosts[inside][0], hosts[inside][1], 30, (uint8_t)(0x28 | inner), true);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        ipsec_header_set_ds(octets_of(&one), (uint8_t)(0xfc | outer));
        if (want[inner][outer] == 9) {
            assert_int_equal(receive_one(&x, &one), IPSEC_ECN);
        } else {
            assert_int_equal(receive_one(&x, &one), IPSEC_OK);
            copy_buffer(&two, &one);
            make_packet(&two, hosts[inside][0], hosts[inside][1], 30,
                        (uint8_t)(0x28 | want[inner][outer]), true);
            sent = octets_now(&two); /* IPv4's checksum is right too */
            assert_packet(&one, &sent);
        }
        pair_down(&x);
    }
}

static void dscp_into_the_inner_header(void **state)
{
    struct octets want;
    struct pair x;

    pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
    x.in.tunnel.dscp_to_inner = true;
    pair_up(&x, NULL, NULL);
    make_packet(&one, hosts[0][0], hosts[0][1], 30, 0x28, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    ipsec_header_set_ds(octets_of(&one), 0xb8);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    make_packet(&two, hosts[0][0], hosts[0][1], 30, 0xb8, true);
    want = octets_now(&two);
    assert_packet(&one, &want);
    pair_down(&x);
}

/* The largest packet that fits does, one octet more does not, for every MTU. */
static void sizes_and_the_path(void **state)
{
    size_t count;
    const struct ipsec_crypt_algs *algs = every_alg(&count);

    for (size_t i = 0; i < count; i++)
        for (uint16_t mtu = 576; mtu < 600; mtu++) {
            size_t max;
            struct pair x;

            pair_plan(&x, algs[i], ends[mtu % 2][0], ends[mtu % 2][1]);
            x.out.mtu = mtu;
            x.out.tfc = mtu % 3 == 0 ? 65535 : 0;
            pair_up(&x, NULL, NULL);
            max = ipsec_sa_payload_max(ipsec_get_sa(x.a, OUT_ID), mtu);
            make_packet(&one, hosts[0][0], hosts[0][1], max - 20, 0, true);
            assert_int_equal(send_one(&x, &one), IPSEC_OK);
            assert_true(one.p.len <= mtu && one.p.len + 16 > mtu);
            assert_int_equal(receive_one(&x, &one), IPSEC_OK);
            make_packet(&one, hosts[0][0], hosts[0][1], max - 19, 0, true);
            assert_int_equal(send_one(&x, &one), IPSEC_TOO_BIG);
            assert_int_equal(one.p.mtu, max);
            make_packet(&one, hosts[0][0], hosts[0][1], max - 19, 0, false);
            assert_int_equal(send_one(&x, &one), IPSEC_TO_FRAGMENT);
            assert_int_equal(one.p.mtu, max);
            make_packet(&one, hosts[1][0], hosts[1][1], max - 39, 0, false);
            assert_int_equal(send_one(&x, &one), IPSEC_TOO_BIG);
            pair_down(&x);
        }
}

/* In transport mode, what may be fragmented goes on whole: the result may be too. */
static void sizes_in_transport_mode(void **state)
{
    struct pair x;

    pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
    x.out.mode = x.in.mode = IPSEC_TRANSPORT;
    x.out.mtu = 576;
    pair_up(&x, NULL, NULL);
    make_packet(&one, ends[0][0], ends[0][1], 600, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_TOO_BIG);
    assert_in_range(one.p.mtu, 530, 545);
    make_packet(&one, ends[0][0], ends[0][1], 600, 0, false);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    make_packet(&one, ends[0][0], ends[0][1], 500, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_true(one.p.len <= 576);
    pair_down(&x);
}

/* All packets have the same length, and dummies among them are dropped and counted. */
static void traffic_flow_confidentiality(void **state)
{
    struct pair x;
    size_t len = 0;

    pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
    x.out.tfc = 500;
    pair_up(&x, NULL, NULL);
    for (size_t i = 0; i < 480; i += 37) {
        there_and_back(&x, &one, hosts[0][0], hosts[0][1], i);
        assert_true(len == 0 || two.p.len == len);
        len = two.p.len;
    }
    one.p = (struct ipsec_packet){.mem = one.mem, .cap = BUFFER, .at = HEAD};
    ipsec_dummy(x.a, 1, OUT_ID, &one.p, 100);
    assert_int_equal(one.p.result, IPSEC_OK);
    assert_int_equal(one.p.len, len);
    assert_int_equal(receive_one(&x, &one), IPSEC_DUMMY);
    assert_int_equal(ipsec_count(x.b, IPSEC_IN, IPSEC_DUMMY), 1);
    /* Not beyond what its caller wants to see. */
    assert_true(ipsec_set_sa_aside(x.a, OUT_ID, &(struct ipsec_aside){.longer = 300}));
    there_and_back(&x, &one, hosts[0][0], hosts[0][1], 10);
    assert_int_equal(two.p.len, len - 200);
    one.p = (struct ipsec_packet){.mem = one.mem, .cap = BUFFER, .at = HEAD};
    ipsec_dummy(x.a, 1, 99, &one.p, 100);
    assert_int_equal(one.p.result, IPSEC_NO_SA);
    pair_down(&x);
}

/* Seals `plain` with the pair's keys as a packet of its own, with any trailer. */
static void seal_by_hand(struct pair *x, struct buffer *b, const struct octets *plain, uint32_t seq)
{
    static struct ipsec_crypt_job job;
    struct ipsec_crypt_job *jobs = &job;
    struct ipsec_crypt *c = ipsec_crypt_new("openssl");
    struct ipsec_crypt_key *key = ipsec_crypt_key_new(c, &x->out.algs, true, true);
    uint8_t *esp = b->mem + HEAD + 20;

    make_packet(b, ends[0][0], ends[0][1], 16 + plain->len + 16, 0, true);
    b->mem[HEAD + 9] = 50;
    memcpy(esp, "\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    esp[7] = esp[15] = (uint8_t)seq;
    memcpy(esp + 16, plain->p, plain->len);
    job = (struct ipsec_crypt_job){.key = key,
                                   .iv = esp + 8,
                                   .data = esp + 16,
                                   .len = plain->len,
                                   .icv = esp + 16 + plain->len,
                                   .aad_len = 8};
    memcpy(job.aad, esp, 8);
    ipsec_crypt_run(c, &jobs, 1, true);
    assert_true(job.ok);
    ipsec_crypt_key_free(key);
    ipsec_crypt_free(c);
}

/* Authentic, and wrong all the same. */
static void wrong_inside(void **state)
{
#define IN4 "4500001c000000004011 0000 0a010001 0a020002 03e807d000080000"
    static const struct {
        const char *plain;
        enum ipsec_result want;
    } cases[] = {
        {IN4 "0102 02 04", IPSEC_OK},
        {IN4 "0102 02 3b", IPSEC_DUMMY},
        {IN4 "0103 02 04", IPSEC_PADDING},
        {IN4 "0002 02 04", IPSEC_PADDING},
        {IN4 "0102 ff 04", IPSEC_PADDING},
        {IN4 "0102 21 04", IPSEC_PADDING},
        {IN4 "0102 02 29", IPSEC_INNER},        /* says IPv6, is IPv4 */
        {IN4 "0102 02 06", IPSEC_NEXT_HEADER},  /* no tunnel */
        {IN4 "00000000000000 00 04", IPSEC_OK}, /* TFC */
        {"0102 02 04", IPSEC_INNER},
        {"4500001c000000004011 0000 0a010001 0a02 01 01 04", IPSEC_INNER},
        {"5500001c000000004011 0000 0a010001 0a020002 03e807d000080000 00 04", IPSEC_INNER},
        {"4600001c000000004011 0000 0a010001 0a020002 03e8 00 04", IPSEC_INNER},
    };
    struct pair x;

    pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
    pair_up(&x, NULL, NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct octets plain = hex(cases[i].plain);

        seal_by_hand(&x, &one, &plain, (uint32_t)i + 1);
        copy_buffer(&two, &one);
        assert_int_equal(receive_one(&x, &one), cases[i].want);
        assert_int_equal(receive_one(&x, &two), IPSEC_REPLAY);
    }
    pair_down(&x);
}

static void addresses(void **state)
{
    struct gh_addr local = addr(ends[0][1]), remote = addr("192.0.2.77");
    struct pair x;

    pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
    pair_up(&x, NULL, NULL);
    make_packet(&one, hosts[0][0], hosts[0][1], 30, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    copy_buffer(&two, &one);
    octets_of(&two)[15] = 77; /* from 192.0.2.77 */
    assert_int_equal(receive_one(&x, &two), IPSEC_ADDRESS);
    copy_buffer(&two, &one);
    octets_of(&two)[19] = 77;
    assert_int_equal(receive_one(&x, &two), IPSEC_ADDRESS);
    assert_true(ipsec_move_sa(x.b, IN_ID, &local, 0, &remote, 0));
    copy_buffer(&two, &one);
    octets_of(&two)[15] = 77;
    assert_int_equal(receive_one(&x, &two), IPSEC_OK);
    remote = addr("2001:db8::1");
    assert_false(ipsec_move_sa(x.b, IN_ID, &local, 0, &remote, 0));
    assert_false(ipsec_move_sa(x.b, IN_ID, &local, 4500, &local, 0));
    assert_false(ipsec_move_sa(x.b, 77, &local, 0, &local, 0));
    pair_down(&x);
}

static void fragments(void **state)
{
    struct pair x;

    pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
    pair_up(&x, NULL, NULL);
    make_packet(&one, hosts[0][0], hosts[0][1], 30, 0, false);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    copy_buffer(&two, &one);
    octets_of(&two)[6] = 0x20;
    assert_int_equal(receive_one(&x, &two), IPSEC_FRAGMENT);
    copy_buffer(&two, &one);
    octets_of(&two)[7] = 1;
    assert_int_equal(receive_one(&x, &two), IPSEC_FRAGMENT);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    /* In a tunnel, a fragment is a packet like others. */
    make_packet(&one, hosts[0][0], hosts[0][1], 30, 0, false);
    octets_of(&one)[7] = 1;
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    pair_down(&x);

    pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
    x.out.mode = x.in.mode = IPSEC_TRANSPORT;
    pair_up(&x, NULL, NULL);
    make_packet(&one, ends[0][0], ends[0][1], 30, 0, false);
    octets_of(&one)[6] = 0x20;
    assert_int_equal(send_one(&x, &one), IPSEC_FRAGMENT);
    make_packet(&one, hosts[0][0], ends[0][1], 30, 0, false);
    assert_int_equal(send_one(&x, &one), IPSEC_ADDRESS);
    pair_down(&x);
}

/* RFC 4303 3.1.1: ESP stands behind hop-by-hop and routing headers, before destination options;
 * these are sealed with the rest. */
static void extension_headers(void **state)
{
    /* Hop-by-hop (PadN), destination options before routing, routing (no segments left),
     * destination options, then UDP. */
    const struct octets chain = hex("3c00010400000000 2b00010400000000 3c00040000000000"
                                    "1100010400000000 03e807d000080000");
    struct octets sent;
    struct pair x;

    pair_plan(&x, gcm(), ends[1][0], ends[1][1]);
    x.out.mode = x.in.mode = IPSEC_TRANSPORT;
    pair_up(&x, NULL, NULL);
    make_packet(&one, ends[1][0], ends[1][1], chain.len, 0, true);
    one.mem[HEAD + 6] = 0;
    memcpy(one.mem + HEAD + 40, chain.p, chain.len);
    sent = octets_now(&one);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_memory_equal(octets_of(&one) + 40, sent.p + 40, 16);
    assert_int_equal(octets_of(&one)[40 + 16], 50); /* the routing header names ESP */
    assert_int_equal(octets_of(&one)[40 + 24 + 3], 0);
    assert_int_equal(octets_of(&one)[40 + 24 + 2], 0x10); /* its SPI */
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    assert_packet(&one, &sent);

    one.mem[one.p.at + 40 + 16 + 3] = 1; /* a segment left */
    assert_int_equal(send_one(&x, &one), IPSEC_OPTIONS);
    pair_down(&x);
}

/* What cannot be an SA. */
static void parameters_refused(void **state)
{
    struct ipsec_selector backwards = between("10.0.0.0/8", "10.0.0.0/8");
    struct ipsec_sa_params p, good;
    struct pair x;

    backwards.local.end = addr("9.0.0.0");
    pair_plan(&x, gcm(), ends[0][0], ends[0][1]);
    pair_up(&x, NULL, NULL);
    good = x.in;
    good.id = 50;
    good.spi = 0x5000;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        p = good;                                                                                  \
        change;                                                                                    \
        assert_false(ipsec_add_sa(x.b, &p));                                                       \
    } while (0)
    REFUSED(p.id = 0);
    REFUSED(p.id = IN_ID);
    REFUSED(p.spi = x.in.spi);
    REFUSED(p.spi = 255);
    REFUSED(p.window = 16);
    REFUSED(p.window = 10000);
    REFUSED((p.window = 0, p.esn = true));
    REFUSED(p.selector_count = 0);
    REFUSED(p.selectors = &backwards; p.selector_count = 1);
    REFUSED(p.remote = addr("2001:db8::1"));
    REFUSED(p.remote.len = 0);
    REFUSED(p.local_port = 4500);
    REFUSED(p.protocol = IPSEC_AH);
    REFUSED(p.protocol = 6);
    REFUSED(p.algs.enc_key.len--);
    REFUSED(p.algs = algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_NONE));
    REFUSED(p.tunnel.dscp = 64);
    REFUSED(p.tunnel.df = 3);
    REFUSED(p.mode = 2);
    REFUSED(p.way = 2);
    REFUSED((p.tfc = 100, p.mode = IPSEC_TRANSPORT));
    REFUSED(p.outer = p.id);
    assert_true(ipsec_add_sa(x.b, &good));
    assert_true(ipsec_remove_sa(x.b, 50));
    assert_false(ipsec_remove_sa(x.b, 50));
    assert_null(ipsec_get_sa(x.b, 50));
    pair_down(&x);
}

/* More packets than a batch, of several SAs, some of them bad. */
static void many_at_once(void **state)
{
    enum { MANY = 150 };
    static struct buffer b[MANY];
    static struct ipsec_packet p[MANY];
    struct pair x;

    pair_plan(&x, algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA2_256_128), ends[0][0], ends[0][1]);
    x.in.window = 512;
    pair_up(&x, NULL, "openssl");
    for (size_t i = 0; i < MANY; i++) {
        make_packet(&b[i], hosts[i % 2][0], hosts[i % 2][1], 10 + i * 3, 0, true);
        p[i] = b[i].p;
    }
    p[17].len = 19; /* malformed */
    ipsec_out(x.a, 1, p, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(p[i].result, i == 17 ? IPSEC_MALFORMED : IPSEC_OK);
    p[70].mem[p[70].at + 60] ^= 1;
    ipsec_in(x.b, 1, p, MANY);
    for (size_t i = 0; i < MANY; i++) {
        struct octets want;

        if (i == 17 || i == 70) {
            assert_int_equal(p[i].result, i == 17 ? IPSEC_MALFORMED : IPSEC_ICV);
            continue;
        }
        assert_int_equal(p[i].result, IPSEC_OK);
        assert_int_equal(p[i].sa, IN_ID);
        make_packet(&one, hosts[i % 2][0], hosts[i % 2][1], 10 + i * 3, 0, true);
        want = octets_now(&one);
        b[i].p = p[i];
        assert_packet(&b[i], &want);
    }
    assert_int_equal(ipsec_count(x.b, IPSEC_IN, IPSEC_OK), MANY - 2);
    pair_down(&x);
}

static void results_have_names(void **state)
{
    for (int r = 0; r < IPSEC_RESULT_COUNT; r++) {
        assert_true(strlen(ipsec_result_text((enum ipsec_result)r)) > 5);
        for (int other = 0; other < r; other++)
            assert_string_not_equal(ipsec_result_name((enum ipsec_result)r),
                                    ipsec_result_name((enum ipsec_result)other));
    }
    assert_string_equal(ipsec_result_name(IPSEC_UNKNOWN_SPI), "unknown-spi");
    assert_string_equal(ipsec_result_text(IPSEC_RESULT_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc3602),
        cmocka_unit_test(packets_of_the_standards),
        cmocka_unit_test(tunnel_of_all),
        cmocka_unit_test(transport_of_all),
        cmocka_unit_test(implicit_iv),
        cmocka_unit_test(gmac_icv),
        cmocka_unit_test(every_octet_counts),
        cmocka_unit_test(replay_within_a_batch),
        cmocka_unit_test(sequence_numbers_end),
        cmocka_unit_test(extended_numbers_go_round),
        cmocka_unit_test(lifetimes),
        cmocka_unit_test(no_randomness),
        cmocka_unit_test(room),
        cmocka_unit_test(outer_header),
        cmocka_unit_test(ids_of_what_may_be_fragmented),
        cmocka_unit_test(congestion),
        cmocka_unit_test(dscp_into_the_inner_header),
        cmocka_unit_test(sizes_and_the_path),
        cmocka_unit_test(sizes_in_transport_mode),
        cmocka_unit_test(traffic_flow_confidentiality),
        cmocka_unit_test(wrong_inside),
        cmocka_unit_test(addresses),
        cmocka_unit_test(fragments),
        cmocka_unit_test(extension_headers),
        cmocka_unit_test(parameters_refused),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(results_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
