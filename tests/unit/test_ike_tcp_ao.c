/* The worked example of docs/specs/ikev2-tcp-ao.md: payloads, key material, a SYN's traffic key. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "ike/delete.h"
#include "ike/proposal.h"
#include "ike/v2/keys.h"
#include "ike/v2/priv.h"
#include "tcpao.h"

static size_t octets_of(const char *hex, uint8_t *out)
{
    size_t n = 0;

    for (; hex[2 * n] != '\0'; n++) {
        char pair[3] = {hex[2 * n], hex[2 * n + 1], '\0'};

        out[n] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return n;
}

static void assert_hex(struct gh_view octets, const char *hex)
{
    uint8_t expected[256];

    assert_int_equal(octets.len, octets_of(hex, expected));
    assert_memory_equal(octets.p, expected, octets.len);
}

static struct ike_ts host(const char *hex, uint16_t first, uint16_t last)
{
    uint8_t addr[4];

    octets_of(hex, addr);
    return (struct ike_ts){.type = IKE_TS_IPV4,
                           .protocol = 6,
                           .start_port = first,
                           .end_port = last,
                           .start = gh_addr_from(addr, 4),
                           .end = gh_addr_from(addr, 4)};
}

static void payloads(void **state)
{
    uint8_t memory[256];
    struct ike_sa offer = {.count = 1}, answer;
    struct ike_proposal *p = &offer.proposal[0], ours = {.number = 1}, chosen;
    const struct ike_choice_rules rules = {.without_ke = true};
    struct ike_ts_list tsi = {.count = 1}, tsr = {.count = 1};
    struct ike_out o;
    struct gh_view octets;

    *p = (struct ike_proposal){.number = 1, .protocol = IKE_PROTO_TCP_AO, .spi_len = 1};
    p->spi[0] = 0x3d;
    ike_proposal_add(p, IKE_T_PRF, IKE_PRF_AES128_CMAC, 0);
    ike_proposal_add(p, IKE_T_PRF, IKE_PRF_HMAC_SHA1, 0);
    ike_proposal_add(p, IKE_T_INTEG, IKE_INTEG_AES_CMAC_96, 0);
    ike_proposal_add(p, IKE_T_INTEG, IKE_INTEG_HMAC_SHA1_96, 0);
    tsi.ts[0] = host("0a0b0c0d", 0, 65535);
    tsr.ts[0] = host("ac1b1c1d", 179, 179);
    o = ike_out_inner(memory, sizeof(memory));
    ike_sa_emit(&o, &offer);
    ike_ts_emit(&o, IKE_P_TSI, &tsi);
    ike_ts_emit(&o, IKE_P_TSR, &tsr);
    assert_true(ike_out_done(&o, &octets));
    assert_hex(octets, "2c00002d0000002901c901043d030000080200000803000008020000020300000803000008"
                       "0000000803000002"
                       "2d00001801000000070600100000ffff0a0b0c0d0a0b0c0d"
                       "00000018010000000706001000b300b3ac1b1c1dac1b1c1d");

    /* The responder knows HMAC-SHA-1 alone. */
    ours.protocol = IKE_PROTO_TCP_AO;
    ike_proposal_add(&ours, IKE_T_PRF, IKE_PRF_HMAC_SHA1, 0);
    ike_proposal_add(&ours, IKE_T_INTEG, IKE_INTEG_HMAC_SHA1_96, 0);
    assert_true(ike_proposal_choose(&offer, &(struct ike_sa){.proposal = {ours}, .count = 1},
                                    &rules, &chosen, NULL));
    chosen.spi[0] = 0x54;
    o = ike_out_inner(memory, sizeof(memory));
    ike_sa_emit_one(&o, &chosen);
    assert_true(ike_out_done(&o, &octets));
    assert_hex(octets, "0000001d0000001901c90102540300000802000002000000080300"
                       "0002");
    answer = (struct ike_sa){.proposal = {chosen}, .count = 1};
    assert_true(ike_proposal_confirm(&answer, &offer, &rules, &chosen, NULL));
}

/* Notifications and a Delete payload, each alone in a message. */
static void notifications(void **state)
{
    static const uint8_t number = IKE_PROTO_TCP_AO, mac_len = 16, spi = 0x3d;
    static const struct ike_notify of_all[] = {
        {.type = IKE_N_TCP_AO_SUPPORTED, .data = {&number, 1}},
        {.type = IKE_N_TCP_AO_OPTIONS_NOT_COVERED},
        {.type = IKE_N_TCP_AO_MAC_LENGTH, .data = {&mac_len, 1}},
        {.type = IKE_N_REKEY_SA, .protocol = IKE_PROTO_TCP_AO, .spi = {&spi, 1}},
    };
    static const char *const wanted[] = {"000000090000a009c9", "000000080000a00a",
                                         "000000090000a00b10", "00000009c90140093d"};
    uint8_t memory[64];
    struct gh_view octets;
    struct ike_out o;

    for (size_t i = 0; i < 4; i++) {
        o = ike_out_inner(memory, sizeof(memory));
        ike_notify_emit(&o, &of_all[i]);
        assert_true(ike_out_done(&o, &octets));
        assert_hex(octets, wanted[i]);
    }
    o = ike_out_inner(memory, sizeof(memory));
    ike_delete_emit(&o, &(struct ike_delete){.protocol = IKE_PROTO_TCP_AO,
                                             .spi_len = 1,
                                             .count = 1,
                                             .spis = gh_view_of(&spi, 1)});
    assert_true(ike_out_done(&o, &octets));
    assert_hex(octets, "00000009c90100013d");
}

static void key_material(void **state)
{
    static const struct {
        uint16_t prf, integ;
        enum tcpao_alg alg;
        const char *master, *traffic;
    } cases[] = {{IKE_PRF_HMAC_SHA1, IKE_INTEG_HMAC_SHA1_96, TCPAO_HMAC_SHA_1,
                  "3013987fbf34346337e9cd0e60cb31c35f9dc68d",
                  "0e762d9c294112803bc287b53858d84d3559ad7d"},
                 {IKE_PRF_AES128_CMAC, IKE_INTEG_AES_CMAC_96, TCPAO_AES_128_CMAC,
                  "3013987fbf34346337e9cd0e60cb31c3", "fda857f0f5a3bc4a698e790c5d5edce5"},
                 {IKE_PRF_HMAC_SHA2_256, IKE_INTEG_HMAC_SHA2_256_128, TCPAO_HMAC_SHA_256,
                  "3013987fbf34346337e9cd0e60cb31c35f9dc68dde0b45fb0747ac6ccdcb6138",
                  "043cac3f160bdcf2d496f6c37b68ce2adf3ad20c0bbec3e7b3fa4f5f22a527c8"}};
    const struct tcpao_endpoint from = {{10, 11, 12, 13}, 4, 59863},
                                to = {{172, 27, 28, 29}, 4, 179};
    uint8_t sk_d[32], ni[32], nr[32], traffic[TCPAO_TRAFFIC_KEY_MAX];

    octets_of("202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", sk_d);
    octets_of("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", ni);
    octets_of("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", nr);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ike2_sa sa = {.suite = {.prf = IKE_PRF_HMAC_SHA2_256, .protocol = IKE_PROTO_IKE}};
        const struct ike2_suite child = {
            .protocol = IKE_PROTO_TCP_AO, .prf = cases[i].prf, .integ = cases[i].integ};
        struct gh_secret i_to_r = {.data = NULL}, r_to_i = {.data = NULL};

        sa.sk = (struct gh_secret){.data = sk_d, .len = 32};
        assert_true(ike2_keymat(&sa, &child, NULL, gh_view_of(ni, 32), gh_view_of(nr, 32),
                                gh_view_of(NULL, 0), &i_to_r, &r_to_i));
        assert_hex(gh_view_of(i_to_r.data, i_to_r.len), cases[i].master);
        assert_hex(gh_view_of(r_to_i.data, r_to_i.len), cases[i].master);
        assert_int_equal(
            tcpao_kdf(cases[i].alg, i_to_r.data, i_to_r.len, &from, &to, 0xfbfbab5a, 0, traffic),
            TCPAO_OK);
        assert_hex(gh_view_of(traffic, tcpao_traffic_key_len(cases[i].alg)), cases[i].traffic);
        gh_secret_clear(&i_to_r);
        gh_secret_clear(&r_to_i);
    }
}

/* CREATE_CHILD_SA with a key exchange whose shared secret is 32 octets of 0x55. */
static void fresh_key_material(void **state)
{
    struct ike2_sa sa = {.suite = {.prf = IKE_PRF_HMAC_SHA2_256, .protocol = IKE_PROTO_IKE}};
    const struct ike2_suite child = {
        .protocol = IKE_PROTO_TCP_AO, .prf = IKE_PRF_AES128_CMAC, .integ = IKE_INTEG_AES_CMAC_96};
    struct gh_secret i_to_r = {.data = NULL}, r_to_i = {.data = NULL};
    uint8_t octets[4][32];

    for (size_t i = 0; i < 32; i++) {
        octets[0][i] = (uint8_t)(0x20 + i);
        octets[1][i] = (uint8_t)i;
        octets[2][i] = (uint8_t)(0x80 + i);
        octets[3][i] = 0x55;
    }
    sa.sk = (struct gh_secret){.data = octets[0], .len = 32};
    assert_true(ike2_keymat(&sa, &child, &(struct gh_secret){.data = octets[3], .len = 32},
                            gh_view_of(octets[1], 32), gh_view_of(octets[2], 32),
                            gh_view_of(NULL, 0), &i_to_r, &r_to_i));
    assert_hex(gh_view_of(i_to_r.data, i_to_r.len), "dc67a46dd8c1ddf14aeadcb5d4b077a5");
    gh_secret_clear(&i_to_r);
    gh_secret_clear(&r_to_i);
}

static bool choose(const uint16_t (*theirs)[2], size_t count, uint16_t prf, uint16_t integ,
                   struct ike_choice_miss *miss)
{
    struct ike_sa offer = {.count = 1}, mine = {.count = 1};
    struct ike_proposal chosen;

    offer.proposal[0] =
        (struct ike_proposal){.number = 1, .protocol = IKE_PROTO_TCP_AO, .spi_len = 1};
    mine.proposal[0] = (struct ike_proposal){.number = 1, .protocol = IKE_PROTO_TCP_AO};
    for (size_t i = 0; i < count; i++)
        ike_proposal_add(&offer.proposal[0], (uint8_t)theirs[i][0], theirs[i][1], 0);
    ike_proposal_add(&mine.proposal[0], IKE_T_PRF, prf, 0);
    ike_proposal_add(&mine.proposal[0], IKE_T_INTEG, integ, 0);
    return ike_proposal_choose(&offer, &mine, &(struct ike_choice_rules){.without_ke = true},
                               &chosen, miss);
}

static void what_is_refused(void **state)
{
    static const uint16_t mixed[][2] = {{IKE_T_PRF, IKE_PRF_AES128_CMAC},
                                        {IKE_T_INTEG, IKE_INTEG_HMAC_SHA1_96}};
    static const uint16_t half[][2] = {{IKE_T_PRF, IKE_PRF_HMAC_SHA1}};
    static const uint16_t more[][2] = {{IKE_T_PRF, IKE_PRF_HMAC_SHA1},
                                       {IKE_T_INTEG, IKE_INTEG_HMAC_SHA1_96},
                                       {IKE_T_SN, IKE_SN_32}};
    struct ike_choice_miss miss;

    assert_false(choose(mixed, 2, IKE_PRF_AES128_CMAC, IKE_INTEG_HMAC_SHA1_96, &miss));
    assert_false(choose(half, 1, IKE_PRF_HMAC_SHA1, IKE_INTEG_HMAC_SHA1_96, &miss));
    assert_int_equal(miss.type, IKE_T_INTEG);
    assert_false(choose(more, 3, IKE_PRF_HMAC_SHA1, IKE_INTEG_HMAC_SHA1_96, &miss));
    assert_int_equal(miss.type, IKE_T_SN);
    assert_true(choose(more, 2, IKE_PRF_HMAC_SHA1, IKE_INTEG_HMAC_SHA1_96, &miss));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads),        cmocka_unit_test(notifications),
        cmocka_unit_test(key_material),    cmocka_unit_test(fresh_key_material),
        cmocka_unit_test(what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
