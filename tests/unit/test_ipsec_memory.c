/*
 * The IPsec engine without memory: what cannot be made is refused and nothing changed. And packets,
 * which allocate nothing at all. Allocations of ours are seen by the linker's --wrap, those of
 * OpenSSL by its own hook.
 */
#include "failing_memory.h"
#include "ipsec_pair.h"

static struct buffer one, two;

static const struct {
    enum gh_enc_alg enc;
    unsigned bits;
    enum gh_integ_alg integ;
} algs[] = {
    {GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE},     {GH_ENC_AES_CBC, 256, GH_INTEG_HMAC_SHA2_256_128},
    {GH_ENC_AES_CCM_16, 128, GH_INTEG_NONE},     {GH_ENC_AES_CTR, 128, GH_INTEG_AES_XCBC_96},
    {GH_ENC_AES_CBC, 128, GH_INTEG_AES_CMAC_96}, {GH_ENC_CHACHA20_POLY1305, 0, GH_INTEG_NONE},
    {GH_ENC_NULL_AES_GMAC, 128, GH_INTEG_NONE},  {GH_ENC_3DES, 0, GH_INTEG_HMAC_SHA1_96},
};

static void packets_allocate_nothing(void **state)
{
    for (size_t i = 0; i < 2 * sizeof(algs) / sizeof(algs[0]); i++) {
        const char *back_end = i % 2 ? NULL : "openssl";
        struct pair x;
        size_t before;

        pair_plan(&x, algs_of(algs[i / 2].enc, algs[i / 2].bits, algs[i / 2].integ), "192.0.2.1",
                  "192.0.2.2");
        pair_up(&x, back_end, back_end);
        for (int n = 0; n < 5; n++) {
            make_packet(&one, "10.0.0.1", "10.0.0.2", 100, 0, true);
            copy_buffer(&two, &one);
            before = allocations;
            (void)send_one(&x, &one);
            (void)receive_one(&x, &one);
            (void)receive_one(&x, &two); /* clear: refused */
            if (n > 0)                   /* the first may find out something for good */
                assert_int_equal(allocations, before);
            assert_int_equal(one.p.result, IPSEC_OK);
        }
        pair_down(&x);
    }
}

/* With its first allocation failing, then its second, and so on, until it succeeds. */
static void an_engine_or_none(void **state)
{
    struct listener l = {.count = 0};
    struct ipsec_setup setup = {.back_end = "openssl", .random = give_random, .arg = &l};
    struct ipsec *e = NULL;
    int n = 0;

    for (; e == NULL; n++) {
        countdown = n;
        e = ipsec_new(&setup);
        countdown = -1;
        assert_true(n < 100);
    }
    assert_true(n > 5);
    ipsec_free(e);
}

static void an_sa_or_none(void **state)
{
    struct pair x;

    pair_plan(&x, algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA1_96), "192.0.2.1", "192.0.2.2");
    pair_up(&x, NULL, NULL);
    for (int way = 0; way < 2; way++) {
        struct ipsec_sa_params p = way ? x.in : x.out;
        struct ipsec_selector s[40];
        bool added = false;
        int n = 0;

        for (size_t i = 0; i < 40; i++) { /* of as many prefix lengths: a table each */
            struct gh_prefix local = {.addr = {.len = 16}, .bits = (uint8_t)i},
                             remote = {.addr = {.len = 16}};

            s[i] = ipsec_selector_between(&local, &remote);
        }
        p.id = 100;
        p.spi = 0x9000;
        p.selectors = s;
        p.selector_count = 40;
        for (; !added; n++) {
            countdown = n;
            added = ipsec_add_sa(x.a, &p);
            countdown = -1;
            assert_true(n < 300);
            if (!added)
                assert_null(ipsec_get_sa(x.a, 100));
            make_packet(&one, "2001:db8::1", "2001:db8::2", 100, 0, true);
            assert_int_equal(send_one(&x, &one), IPSEC_OK); /* by the SA that was there before */
            assert_int_equal(one.p.sa, added && !way ? 100 : OUT_ID);
        }
        assert_true(n > 3);
        assert_true(ipsec_remove_sa(x.a, 100));
    }
    pair_down(&x);
}

static void policies_or_the_old_ones(void **state)
{
    struct ipsec_selector s[20];
    struct ipsec_policy p = {.id = 5,
                             .action = IPSEC_PASS,
                             .out = true,
                             .in = true,
                             .selectors = s,
                             .selector_count = 20};
    struct pair x;
    bool set = false;
    int n = 0;

    for (size_t i = 0; i < 20; i++) {
        struct gh_prefix local = {.addr = {.len = 4}, .bits = (uint8_t)i},
                         remote = {.addr = {.len = 4}};

        s[i] = ipsec_selector_between(&local, &remote);
    }
    pair_plan(&x, algs_of(GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE), "192.0.2.1", "192.0.2.2");
    pair_up(&x, NULL, NULL);
    for (; !set; n++) {
        countdown = n;
        set = ipsec_set_policies(x.a, &p, 1);
        countdown = -1;
        assert_true(n < 300);
        make_packet(&one, "10.0.0.1", "10.0.0.2", 100, 0, true);
        assert_int_equal(send_one(&x, &one), set ? IPSEC_BYPASS : IPSEC_OK);
    }
    assert_true(n > 20);
    pair_down(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_allocate_nothing),
        cmocka_unit_test(an_engine_or_none),
        cmocka_unit_test(an_sa_or_none),
        cmocka_unit_test(policies_or_the_old_ones),
    };

    if (!fail_libcrypto_too())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
