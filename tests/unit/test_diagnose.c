/* The usual suspects: each mistake of a sender is named, and nothing else is accused. */
#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "made_capture.h"
#include "tcpao/diagnose.h"

enum { OUR_ISN = 0x10203040, PEER_ISN = 0xa0b0c0d0 };

static struct tcpao_endpoint ours, peer;

/* Keys 1 (send 11, recv 21, covered, sha-1, "secret") and 2 (send 12, recv 22, cmac, "other"). */
static struct tcpao_chain *chain_of(const char *secret, size_t secret_len)
{
    struct tcpao_chain *c = tcpao_chain_new(0);
    struct tcpao_mkt k = {.number = 1,
                          .send_id = 11,
                          .recv_id = 21,
                          .alg = TCPAO_HMAC_SHA_1,
                          .mac_len = 12,
                          .options_covered = true,
                          .send = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                          .accept = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                          .secret = (const uint8_t *)secret,
                          .secret_len = secret_len};

    assert_non_null(c);
    assert_int_equal(tcpao_chain_add(c, &k, NULL), TCPAO_CHAIN_OK);
    k.number = 2;
    k.send_id = 12;
    k.recv_id = 22;
    k.alg = TCPAO_AES_128_CMAC;
    k.secret = (const uint8_t *)"other";
    k.secret_len = 5;
    assert_int_equal(tcpao_chain_add(c, &k, NULL), TCPAO_CHAIN_OK);
    return c;
}

/* A segment with data of an established connection, from the peer, as the peer's key 1 makes it. */
static struct made_segment from_peer(void)
{
    struct made_segment s = made_segment(peer, ours, PEER_ISN, OUR_ISN, GH_TCP_ACK | GH_TCP_PSH);

    s.keyid = 21;
    s.rnext = 11;
    s.seq += 1000;
    s.ack += 77;
    s.payload = "data";
    return s;
}

static char text[320];

static bool diagnose_as(const struct made_segment *s, const char *secret, size_t secret_len,
                        bool is_from_peer, const struct ao_suspects *suspects)
{
    uint8_t hdr[TCPAO_TCP_HEADER_MAX];
    struct tcpao_chain *chain = chain_of(secret, secret_len);
    struct ao_specimen specimen = {.chain = chain,
                                   .src = s->src,
                                   .dst = s->dst,
                                   .src_isn = PEER_ISN,
                                   .dst_isn = s->flags == GH_TCP_SYN ? 0 : OUR_ISN,
                                   .sne = 1,
                                   .from_peer = is_from_peer,
                                   .hdr = hdr,
                                   .payload = (const uint8_t *)s->payload,
                                   .payload_len = strlen(s->payload)};
    bool found;

    specimen.hdr_len = made_header(s, hdr);
    found = ao_diagnose(&specimen, suspects, text, sizeof(text));
    tcpao_chain_put(chain);
    return found;
}

static bool diagnose(const struct made_segment *s)
{
    return diagnose_as(s, "secret", 6, true, NULL);
}

static void assert_says(const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static struct made_segment honest(void)
{
    struct made_segment s = from_peer();

    s.sne = 1;
    return s;
}

static void right_mac_accuses_nobody(void **state)
{
    struct made_segment s = honest();

    assert_true(diagnose(&s));
    assert_says("key 1 makes this MAC as configured");
}

static void wrong_secret_fits_no_suspect(void **state)
{
    struct made_segment s = honest();

    s.secret = "Secret";
    assert_false(diagnose(&s));
    assert_string_equal(text, "");
}

static void option_flag(void **state)
{
    struct made_segment s = made_segment(peer, ours, PEER_ISN, 0, GH_TCP_SYN);

    s.keyid = 21;
    s.sne = 1;
    s.covered = false;
    assert_true(diagnose(&s));
    assert_string_equal(text,
                        "options are not covered at the peer: set include-tcp-options = false "
                        "for key 1");
}

static void algorithm_and_length(void **state)
{
    struct made_segment s = honest();

    s.alg = TCPAO_AES_128_CMAC;
    assert_true(diagnose(&s));
    assert_says("the peer uses aes-128-cmac-96");
    assert_says("set algorithm = \"aes-128-cmac-96\" for key 1");
    s.alg = TCPAO_HMAC_SHA_256;
    for (uint8_t len = 4; len <= 32; len++) {
        char name[32];

        s.mac_len = len;
        snprintf(name, sizeof(name), "hmac-sha-256-%u", len * 8);
        assert_true(diagnose(&s));
        assert_says(name);
    }
    s.alg = TCPAO_HMAC_SHA_1;
    s.mac_len = 20;
    assert_true(diagnose(&s));
    assert_says("set algorithm = \"hmac-sha-1-160\" for key 1");
}

static void algorithm_and_option_flag_together(void **state)
{
    struct made_segment s = made_segment(peer, ours, PEER_ISN, 0, GH_TCP_SYN);

    s.keyid = 21;
    s.sne = 1;
    s.covered = false;
    s.alg = TCPAO_HMAC_SHA_256;
    assert_true(diagnose(&s));
    assert_says("set algorithm = \"hmac-sha-256-96\" for key 1");
    assert_says(", and options are not covered at the peer");
}

static void ids(void **state)
{
    struct made_segment s = honest();

    s.keyid = 11;
    assert_true(diagnose(&s));
    assert_string_equal(text, "the ids are swapped: KeyID 11 is the send-id of key 1; exchange its "
                              "send-id and recv-id");
    s.keyid = 21;
    assert_true(diagnose_as(&s, "secret", 6, false, NULL));
    assert_says("KeyID 21 is the recv-id of key 1");
    s.keyid = 99;
    assert_true(diagnose(&s));
    assert_string_equal(text,
                        "key 1 made the MAC, but its recv-id is not KeyID 99: set recv-id = 99 "
                        "for key 1");
}

static void another_key_of_the_chain(void **state)
{
    struct made_segment s = honest();

    s.alg = TCPAO_AES_128_CMAC;
    s.secret = "other";
    s.secret_len = 5;
    assert_true(diagnose(&s));
    assert_says("key 2 made the MAC, but its recv-id is not KeyID 21");
}

static void peer_secret(const char *secret, size_t len, const char *ours_is, size_t ours_len,
                        const char *part)
{
    struct made_segment s = honest();

    s.secret = secret;
    s.secret_len = len;
    assert_true(diagnose_as(&s, ours_is, ours_len, true, NULL));
    assert_says(part);
}

static void secrets_that_look_alike(void **state)
{
    peer_secret("secret\n", 7, "secret", 6, "ends with a newline: remove it there");
    peer_secret("secret\r\n", 8, "secret", 6, "ends with CR LF");
    peer_secret("secret", 6, "secret\n", 7, "has no line end, but ours has one");
    peer_secret("\xca\xfe\x01", 3, "cafE01", 6, "is read as hexadecimal, here as characters");
    peer_secret("cafe01", 6, "\xca\xfe\x01", 3, "is the characters of a hexadecimal number");
    peer_secret("CAFE01", 6, "\xca\xfe\x01", 3, "is the characters of a hexadecimal number");
}

/* HMAC pads its key with zeros, so that only the CMAC key derivation sees a NUL. */
static void secret_with_its_nul(void **state)
{
    struct made_segment s = honest();

    s.keyid = 22;
    s.alg = TCPAO_AES_128_CMAC;
    s.secret = "other";
    s.secret_len = 6;
    assert_true(diagnose(&s));
    assert_says("the secret of key 2 at the peer counts a NUL");
}

static void isns(void **state)
{
    struct made_segment s = honest();

    s.kdf_src_isn = htonl(PEER_ISN);
    s.kdf_dst_isn = htonl(OUR_ISN);
    assert_true(diagnose(&s));
    assert_says("takes the ISNs in host byte order");
    s.kdf_src_isn = s.seq;
    s.kdf_dst_isn = s.ack;
    assert_true(diagnose(&s));
    assert_says("takes SEQ and ACK for the ISNs");
    s.kdf_dst_isn = OUR_ISN;
    assert_true(diagnose(&s));
    assert_says("takes SEQ for its ISN");
    s.kdf_src_isn = OUR_ISN;
    s.kdf_dst_isn = PEER_ISN;
    assert_true(diagnose(&s));
    assert_says("exchanges the ISNs");
    s.kdf_src_isn = PEER_ISN;
    s.kdf_dst_isn = OUR_ISN + 1;
    assert_true(diagnose(&s));
    assert_says("takes ACK for the other end's ISN");
    s.kdf_dst_isn = 0;
    assert_true(diagnose(&s));
    assert_says("leaves out the other end's ISN");
}

static void sne(void **state)
{
    struct made_segment s = honest();

    s.sne = 2;
    assert_true(diagnose(&s));
    assert_says("has sequence number extension 2 where 1 is due");
    s.sne = 0;
    assert_true(diagnose(&s));
    assert_says("has sequence number extension 0 where 1 is due");
    s.sne = 5;
    assert_false(diagnose(&s));
}

static void nat(void **state)
{
    struct tcpao_endpoint real[] = {made_end("10.0.0.7", 0), made_end("10.0.0.8", 4000)};
    struct ao_suspects suspects = {.addresses = real, .count = 2};
    struct made_segment s = honest();

    s.kdf_src = made_end("10.0.0.7", peer.port);
    assert_false(diagnose(&s));
    assert_true(diagnose_as(&s, "secret", 6, true, &suspects));
    assert_says("NAT: the source was 10.0.0.7 port 179 when the MAC was made and is 192.0.2.2 port "
                "179 here");
    s.kdf_src = made_end("10.0.0.8", 4000);
    assert_true(diagnose_as(&s, "secret", 6, true, &suspects));
    assert_says("NAT: the source was 10.0.0.8 port 4000");
    s.kdf_src = s.src;
    s.kdf_dst = made_end("10.0.0.7", ours.port);
    assert_true(diagnose_as(&s, "secret", 6, true, &suspects));
    assert_says("NAT: the destination was 10.0.0.7");
}

static void mss_clamping(void **state)
{
    struct made_segment s = made_segment(peer, ours, PEER_ISN, 0, GH_TCP_SYN);
    uint8_t hdr[TCPAO_TCP_HEADER_MAX];
    struct tcpao_chain *chain = chain_of("secret", 6);
    struct ao_specimen specimen = {.chain = chain,
                                   .src = peer,
                                   .dst = ours,
                                   .src_isn = PEER_ISN,
                                   .from_peer = true,
                                   .hdr = hdr};

    s.keyid = 21;
    specimen.hdr_len = made_header(&s, hdr);
    hdr[22] = 1380 >> 8; /* 1460 as it was signed */
    hdr[23] = 1380 & 0xff;
    assert_true(ao_diagnose(&specimen, NULL, text, sizeof(text)));
    assert_says("the SYN's MSS was 1460 when the MAC was made and is 1380 here");
    hdr[16] = 0xff; /* the checksum is none of it, */
    assert_true(ao_diagnose(&specimen, NULL, text, sizeof(text)));
    hdr[15] ^= 1; /* but the window is */
    assert_false(ao_diagnose(&specimen, NULL, text, sizeof(text)));
    tcpao_chain_put(chain);
}

static void work_is_bounded(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(0);
    struct tcpao_endpoint many[64];
    struct ao_suspects suspects = {.addresses = many, .count = 64};
    struct made_segment s = honest();
    uint8_t hdr[TCPAO_TCP_HEADER_MAX];
    struct ao_specimen specimen = {.chain = c, .src = s.src, .dst = s.dst, .hdr = hdr};

    for (uint32_t i = 0; i < 64; i++) {
        struct tcpao_mkt k = {.number = i,
                              .send_id = (uint8_t)i,
                              .recv_id = 21,
                              .alg = TCPAO_HMAC_SHA_1,
                              .mac_len = 12,
                              .send = {i, i + 1},
                              .accept = {i, i + 1},
                              .secret = (const uint8_t *)"cafe",
                              .secret_len = 4};

        assert_int_equal(tcpao_chain_add(c, &k, NULL), TCPAO_CHAIN_OK);
        many[i] = made_end("10.0.0.1", (uint16_t)(i + 1));
    }
    /* The last suspect of the last key would fit, but lies beyond the limit. */
    s.secret = "cafe";
    s.secret_len = 4;
    s.kdf_dst = many[63];
    specimen.src_isn = PEER_ISN;
    specimen.dst_isn = OUR_ISN;
    specimen.sne = 1;
    specimen.from_peer = true;
    specimen.payload = (const uint8_t *)s.payload;
    specimen.payload_len = strlen(s.payload);
    specimen.hdr_len = made_header(&s, hdr);
    assert_false(ao_diagnose(&specimen, &suspects, text, sizeof(text)));
    suspects.addresses = &many[63];
    suspects.count = 1;
    assert_true(ao_diagnose(&specimen, &suspects, text, sizeof(text)));
    tcpao_chain_put(c);
}

static void broken_segments_are_left_alone(void **state)
{
    struct made_segment s = honest();

    s.no_option = true;
    assert_false(diagnose(&s));
    s.no_option = false;
    s.mac_len = 4;
    s.two_options = true;
    assert_false(diagnose(&s));
    s.two_options = false;
    s.mac_len = 3;
    s.no_option = true;
    assert_false(diagnose(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_mac_accuses_nobody),
        cmocka_unit_test(wrong_secret_fits_no_suspect),
        cmocka_unit_test(option_flag),
        cmocka_unit_test(algorithm_and_length),
        cmocka_unit_test(algorithm_and_option_flag_together),
        cmocka_unit_test(ids),
        cmocka_unit_test(another_key_of_the_chain),
        cmocka_unit_test(secrets_that_look_alike),
        cmocka_unit_test(secret_with_its_nul),
        cmocka_unit_test(isns),
        cmocka_unit_test(sne),
        cmocka_unit_test(nat),
        cmocka_unit_test(mss_clamping),
        cmocka_unit_test(work_is_bounded),
        cmocka_unit_test(broken_segments_are_left_alone),
    };

    ours = made_end("192.0.2.1", 30000);
    peer = made_end("192.0.2.2", 179);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
