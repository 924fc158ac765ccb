/* Key chains: what may stand beside what, and which key to use when. Algorithm names. */
#include "ao_ends.h"

#include <ctype.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static enum tcpao_chain_result add(struct tcpao_chain *c, struct tcpao_mkt mkt, uint32_t *other)
{
    return tcpao_chain_add(c, &mkt, other);
}

static void adding_copies_and_removing_forgets(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(60);
    uint8_t secret[] = "swordfish";
    struct tcpao_mkt mkt = key_of(7);
    const struct tcpao_mkt *found;

    mkt.secret = secret;
    mkt.secret_len = 9;
    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_OK);
    memset(secret, 'x', sizeof(secret));
    found = tcpao_chain_find(c, 7);
    assert_non_null(found);
    assert_memory_equal(found->secret, "swordfish", 9);
    assert_int_equal(found->send_id, 7);
    assert_int_equal(tcpao_chain_count(c), 1);
    assert_ptr_equal(tcpao_chain_at(c, 0), found);
    assert_null(tcpao_chain_at(c, 1));
    assert_null(tcpao_chain_find(c, 8));

    assert_int_equal(add(c, key_of(8), NULL), TCPAO_CHAIN_OK);
    assert_int_equal(tcpao_chain_remove(c, 7), TCPAO_CHAIN_OK);
    assert_int_equal(tcpao_chain_remove(c, 7), TCPAO_CHAIN_NOT_FOUND);
    assert_null(tcpao_chain_find(c, 7));
    assert_int_equal(tcpao_chain_at(c, 0)->number, 8);
    assert_memory_equal(tcpao_chain_at(c, 0)->secret, key_of(8).secret, 8);
    tcpao_chain_put(c);
}

static void references_and_tolerance(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(60);

    assert_int_equal(tcpao_chain_tolerance(c), 60);
    tcpao_chain_set_tolerance(c, 5);
    assert_int_equal(tcpao_chain_tolerance(c), 5);
    assert_ptr_equal(tcpao_chain_get(c), c);
    tcpao_chain_put(c);
    assert_int_equal(add(c, key_of(1), NULL), TCPAO_CHAIN_OK); /* one reference is left */
    tcpao_chain_put(c);
    tcpao_chain_put(NULL);
}

static void ids_are_unique_where_lifetimes_overlap(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(0);
    struct tcpao_mkt mkt = key_during(1, 100, 200);
    uint32_t other = 0;

    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_OK);
    assert_int_equal(add(c, mkt, &other), TCPAO_CHAIN_DUPLICATE);
    assert_int_equal(other, 1);

    mkt = key_during(2, 199, 300);
    mkt.send_id = 1;
    other = 0;
    assert_int_equal(add(c, mkt, &other), TCPAO_CHAIN_SEND_ID_IN_USE);
    assert_int_equal(other, 1);
    mkt = key_during(2, 199, 300);
    mkt.recv_id = 1;
    other = 0;
    assert_int_equal(add(c, mkt, &other), TCPAO_CHAIN_RECV_ID_IN_USE);
    assert_int_equal(other, 1);

    /* One after the other is fine, and so is an empty lifetime; so are ids that cross. */
    mkt = key_during(2, 200, 300);
    mkt.send_id = mkt.recv_id = 1;
    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_OK);
    mkt = key_during(3, 150, 150);
    mkt.send_id = mkt.recv_id = 1;
    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_OK);
    mkt = key_during(4, 100, 200);
    mkt.send_id = 4;
    mkt.recv_id = 5;
    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_OK);
    mkt = key_during(5, 100, 200);
    mkt.send_id = 5;
    mkt.recv_id = 4;
    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_OK);

    /* Changing a lifetime is checked in the same way and changes nothing when refused. */
    assert_int_equal(tcpao_chain_set_lifetimes(c, 2, (struct tcpao_lifetime){150, 300},
                                               (struct tcpao_lifetime){200, 300}),
                     TCPAO_CHAIN_SEND_ID_IN_USE);
    assert_int_equal(tcpao_chain_find(c, 2)->send.from, 200);
    assert_int_equal(tcpao_chain_set_lifetimes(c, 2, (struct tcpao_lifetime){210, 300},
                                               (struct tcpao_lifetime){205, 310}),
                     TCPAO_CHAIN_OK);
    assert_int_equal(tcpao_chain_find(c, 2)->accept.until, 310);
    assert_int_equal(tcpao_chain_set_lifetimes(c, 99, ALWAYS, ALWAYS), TCPAO_CHAIN_NOT_FOUND);
    tcpao_chain_put(c);
}

static void bad_keys_are_refused(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(0);
    static const struct {
        enum tcpao_alg alg;
        uint8_t longest;
    } lengths[] = {{TCPAO_HMAC_SHA_1, 20}, {TCPAO_AES_128_CMAC, 16}, {TCPAO_HMAC_SHA_256, 32}};
    uint8_t longest_secret[TCPAO_SECRET_MAX + 1] = {1};
    struct tcpao_mkt mkt;

    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        mkt = key_of(1);
        mkt.alg = lengths[i].alg;
        mkt.mac_len = TCPAO_MAC_MIN - 1;
        assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_BAD_MAC_LEN);
        mkt.mac_len = (uint8_t)(lengths[i].longest + 1);
        assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_BAD_MAC_LEN);
        mkt.mac_len = lengths[i].longest;
        assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_OK);
        assert_int_equal(tcpao_chain_remove(c, 1), TCPAO_CHAIN_OK);
    }
    mkt = key_of(1);
    mkt.alg = (enum tcpao_alg)99;
    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_BAD_ALG);
    mkt = key_of(1);
    mkt.secret_len = 0;
    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_BAD_SECRET);
    mkt.secret = longest_secret;
    mkt.secret_len = sizeof(longest_secret);
    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_BAD_SECRET);
    mkt.secret_len--;
    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_OK);
    mkt.secret = NULL;
    mkt.number = 2;
    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_BAD_SECRET);
    tcpao_chain_put(c);
}

static void as_many_keys_as_there_are_ids(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(0);
    struct tcpao_mkt one_more = key_of(256);

    one_more.send = one_more.accept = (struct tcpao_lifetime){0, 0}; /* no id is free */

    for (uint32_t i = 0; i < TCPAO_CHAIN_KEYS_MAX; i++)
        assert_int_equal(add(c, key_of(i), NULL), TCPAO_CHAIN_OK);
    assert_int_equal(add(c, one_more, NULL), TCPAO_CHAIN_FULL);
    assert_int_equal(tcpao_chain_count(c), TCPAO_CHAIN_KEYS_MAX);
    for (uint32_t i = 0; i < TCPAO_CHAIN_KEYS_MAX; i++)
        assert_memory_equal(tcpao_chain_find(c, i)->secret, key_of(i).secret, 8);
    assert_int_equal(tcpao_chain_remove(c, 0), TCPAO_CHAIN_OK);
    assert_int_equal(add(c, one_more, NULL), TCPAO_CHAIN_OK);
    tcpao_chain_put(c);
}

static uint32_t number_of(const struct tcpao_mkt *mkt)
{
    return mkt == NULL ? 0 : mkt->number;
}

static void the_key_that_started_last_is_preferred(void **state)
{
    const struct tcpao_mkt keys[] = {key_during(1, TCPAO_TIME_MIN, 200), key_during(2, 100, 300),
                                     key_during(3, 100, 150), key_during(4, 400, TCPAO_TIME_MAX)};
    struct tcpao_chain *c = chain_of(50, keys, ARRAY_LEN(keys));

    assert_int_equal(number_of(tcpao_chain_preferred(c, TCPAO_TIME_MIN)), 1);
    assert_int_equal(number_of(tcpao_chain_preferred(c, 99)), 1);
    assert_int_equal(number_of(tcpao_chain_preferred(c, 100)), 3); /* a tie: the higher number */
    assert_int_equal(number_of(tcpao_chain_preferred(c, 150)), 2);
    assert_int_equal(number_of(tcpao_chain_preferred(c, 299)), 2);
    assert_int_equal(number_of(tcpao_chain_preferred(c, 300)), 0); /* no tolerance for sending */
    assert_int_equal(number_of(tcpao_chain_preferred(c, 399)), 0);
    assert_int_equal(number_of(tcpao_chain_preferred(c, TCPAO_TIME_MAX)), 4);
    tcpao_chain_put(c);
}

static void tolerance_widens_what_is_accepted(void **state)
{
    struct tcpao_mkt keys[] = {key_during(1, 100, 200), key_during(2, 200, 300),
                               key_during(3, 1000, TCPAO_TIME_MAX), key_during(4, 500, 500)};
    struct tcpao_chain *c;

    keys[1].send_id = keys[1].recv_id = 1; /* one id, one after the other */
    c = chain_of(50, keys, ARRAY_LEN(keys));
    assert_int_equal(number_of(tcpao_chain_by_recv_id(c, 1, 49)), 0);
    assert_int_equal(number_of(tcpao_chain_by_recv_id(c, 1, 50)), 1);
    /* Both are within the tolerance: the one whose own lifetime includes now. */
    assert_int_equal(number_of(tcpao_chain_by_recv_id(c, 1, 199)), 1);
    assert_int_equal(number_of(tcpao_chain_by_recv_id(c, 1, 200)), 2);
    assert_int_equal(number_of(tcpao_chain_by_recv_id(c, 1, 349)), 2);
    assert_int_equal(number_of(tcpao_chain_by_recv_id(c, 1, 350)), 0);
    assert_int_equal(number_of(tcpao_chain_by_send_id(c, 1, 50)), 1);
    assert_int_equal(number_of(tcpao_chain_by_send_id(c, 1, 200)), 2);
    assert_int_equal(number_of(tcpao_chain_by_send_id(c, 1, 350)), 0);
    assert_int_equal(number_of(tcpao_chain_by_recv_id(c, 3, 949)), 0);
    assert_int_equal(number_of(tcpao_chain_by_recv_id(c, 3, TCPAO_TIME_MAX)), 3);
    assert_int_equal(number_of(tcpao_chain_by_recv_id(c, 4, 500)), 0); /* empty stays empty */
    assert_true(tcpao_chain_knows_recv_id(c, 4));
    assert_true(tcpao_chain_knows_recv_id(c, 1));
    assert_false(tcpao_chain_knows_recv_id(c, 2));

    /* A tolerance beyond the ends of time is no overflow. */
    tcpao_chain_set_tolerance(c, UINT32_MAX);
    assert_int_equal(tcpao_chain_set_lifetimes(
                         c, 3, (struct tcpao_lifetime){TCPAO_TIME_MIN + 5, TCPAO_TIME_MAX - 5},
                         (struct tcpao_lifetime){TCPAO_TIME_MIN + 5, TCPAO_TIME_MAX - 5}),
                     TCPAO_CHAIN_OK);
    assert_int_equal(number_of(tcpao_chain_by_recv_id(c, 3, TCPAO_TIME_MIN)), 3);
    assert_int_equal(number_of(tcpao_chain_by_recv_id(c, 3, TCPAO_TIME_MAX)), 3);
    tcpao_chain_put(c);
}

static void every_change_is_announced(void **state)
{
    const struct tcpao_mkt keys[] = {key_during(1, TCPAO_TIME_MIN, 200), key_during(2, 150, 300)};
    static const int64_t edges[] = {100, 150, 200, 250, 300, 350, TCPAO_TIME_MAX};
    struct tcpao_chain *c = chain_of(50, keys, ARRAY_LEN(keys));
    int64_t now = 0;

    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        assert_int_equal(tcpao_chain_next_change(c, now), edges[i]);
        now = edges[i];
    }
    assert_int_equal(tcpao_chain_next_change(c, TCPAO_TIME_MIN), 100);
    tcpao_chain_put(c);
}

static void the_last_day(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(50);
    struct tcpao_mkt mkt;

    assert_true(tcpao_chain_expiry(c) == TCPAO_TIME_MIN);
    assert_int_equal(add(c, key_during(1, 500, 500), NULL), TCPAO_CHAIN_OK);
    assert_true(tcpao_chain_expiry(c) == TCPAO_TIME_MIN);
    mkt = key_during(2, 100, 300);
    mkt.accept.until = 900; /* what may still be received does not keep a session alive */
    assert_int_equal(add(c, mkt, NULL), TCPAO_CHAIN_OK);
    assert_int_equal(add(c, key_during(3, 50, 250), NULL), TCPAO_CHAIN_OK);
    assert_int_equal(tcpao_chain_expiry(c), 300);
    assert_int_equal(add(c, key_during(4, 400, TCPAO_TIME_MAX), NULL), TCPAO_CHAIN_OK);
    assert_true(tcpao_chain_expiry(c) == TCPAO_TIME_MAX);
    tcpao_chain_put(c);
}

static void algorithm_names(void **state)
{
    static const struct {
        const char *name;
        enum tcpao_alg alg;
        unsigned mac_len;
    } good[] = {
        {"hmac-sha-1-96", TCPAO_HMAC_SHA_1, 12},      {"HMAC-SHA1-96", TCPAO_HMAC_SHA_1, 12},
        {"hmac-sha-1", TCPAO_HMAC_SHA_1, 12},         {"hmac(sha1)", TCPAO_HMAC_SHA_1, 12},
        {"hmac sha1", TCPAO_HMAC_SHA_1, 12},          {"SHA1", TCPAO_HMAC_SHA_1, 12},
        {"HMAC-SHA1-20", TCPAO_HMAC_SHA_1, 20},       {"hmac_sha1_160", TCPAO_HMAC_SHA_1, 20},
        {"aes-128-cmac", TCPAO_AES_128_CMAC, 12},     {"AES-128-CMAC-96", TCPAO_AES_128_CMAC, 12},
        {"cmac(aes128)", TCPAO_AES_128_CMAC, 12},     {"cmac(aes)", TCPAO_AES_128_CMAC, 12},
        {"cmac aes128", TCPAO_AES_128_CMAC, 12},      {"AES128", TCPAO_AES_128_CMAC, 12},
        {"aes-128-cmac-128", TCPAO_AES_128_CMAC, 16}, {"hmac-sha-256", TCPAO_HMAC_SHA_256, 12},
        {"hmac(sha256)", TCPAO_HMAC_SHA_256, 12},     {"hmac-sha-256-96", TCPAO_HMAC_SHA_256, 12},
        {"HMAC-SHA256-128", TCPAO_HMAC_SHA_256, 16},  {"hmac-sha-256-256", TCPAO_HMAC_SHA_256, 32},
    };
    static const char *const bad[] = {"",
                                      "md5",
                                      "hmac-sha-512",
                                      "hmac-sha-1-97",
                                      "hmac-sha-1-256",
                                      "aes-128-cmac-160",
                                      "hmac-sha-1-x",
                                      "hmac-sha-1-9696",
                                      "hmac-sha-1-3",
                                      "hmac-sha-1,96",
                                      "a-name-that-is-much-longer-than-any-algorithm-has"};
    enum tcpao_alg alg;
    unsigned mac_len;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(tcpao_alg_parse(good[i].name, &alg, &mac_len));
        assert_int_equal(alg, good[i].alg);
        assert_int_equal(mac_len, good[i].mac_len);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(tcpao_alg_parse(bad[i], &alg, &mac_len));

    /* Every name that is printed can be read again, but those of very short MACs. */
    for (int a = TCPAO_HMAC_SHA_1; a <= TCPAO_HMAC_SHA_256; a++)
        for (unsigned n = 4; n <= tcpao_mac_len_max((enum tcpao_alg)a); n++) {
            const char *name = tcpao_alg_name((enum tcpao_alg)a, n);

            assert_true(tcpao_alg_parse(name, &alg, &mac_len));
            assert_int_equal(alg, a);
            assert_int_equal(mac_len, n);
        }
    assert_string_equal(tcpao_alg_name(TCPAO_AES_128_CMAC, 1), "aes-128-cmac-8");
    assert_string_equal(tcpao_alg_name(TCPAO_AES_128_CMAC, 0), "unknown");
    assert_string_equal(tcpao_alg_name(TCPAO_AES_128_CMAC, 17), "unknown");
    assert_string_equal(tcpao_alg_name((enum tcpao_alg)99, 12), "unknown");
    assert_int_equal(tcpao_traffic_key_len((enum tcpao_alg)99), 0);
}

static void everything_has_a_text(void **state)
{
    for (int r = 0; r < TCPAO_RESULT_COUNT; r++) {
        assert_true(islower((unsigned char)tcpao_result_name((enum tcpao_result)r)[0]));
        assert_true(strlen(tcpao_result_text((enum tcpao_result)r)) > 8);
    }
    assert_string_equal(tcpao_result_name(TCPAO_BAD_MAC), "bad-mac");
    assert_string_equal(tcpao_result_name(TCPAO_RESULT_COUNT), "unknown");
    assert_string_equal(tcpao_result_text(TCPAO_RESULT_COUNT), "unknown");
    for (int r = 0; r <= TCPAO_CHAIN_NO_MEMORY; r++)
        assert_string_not_equal(tcpao_chain_result_text((enum tcpao_chain_result)r), "unknown");
    assert_string_equal(tcpao_chain_result_text((enum tcpao_chain_result)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adding_copies_and_removing_forgets),
        cmocka_unit_test(references_and_tolerance),
        cmocka_unit_test(ids_are_unique_where_lifetimes_overlap),
        cmocka_unit_test(bad_keys_are_refused),
        cmocka_unit_test(as_many_keys_as_there_are_ids),
        cmocka_unit_test(the_key_that_started_last_is_preferred),
        cmocka_unit_test(tolerance_widens_what_is_accepted),
        cmocka_unit_test(every_change_is_announced),
        cmocka_unit_test(the_last_day),
        cmocka_unit_test(algorithm_names),
        cmocka_unit_test(everything_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
