/* Cookies and puzzles. */
#include "unit.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "ike/cookie.h"
#include "ike/puzzle.h"
#include "shared.h"

static const uint8_t nonce[16] = {1, 2, 3}, spi[8] = {4, 5, 6};
static const struct gh_addr addr = {{192, 0, 2, 1}, 4};

static struct ike_cookie_peer peer_of(void)
{
    return (struct ike_cookie_peer){gh_view_of(nonce, 16), spi, &addr};
}

static void cookies_outlive_one_secret(void **state)
{
    struct ike_cookie_secrets s = {0};
    struct ike_cookie_peer peer = peer_of();
    struct ike_puzzle puzzle;
    uint8_t cookie[IKE_COOKIE_LEN], secret[IKE_COOKIE_SECRET_LEN] = {7};
    struct gh_view view = gh_view_of(cookie, sizeof(cookie));

    memset(cookie, 0, sizeof(cookie));
    assert_false(ike_cookie_make(&s, &peer, NULL, cookie));
    assert_int_equal(ike_cookie_check(&s, &peer, view, &puzzle), IKE_COOKIE_BAD);
    for (unsigned round = 0; round < 600; round++) { /* past the wrap of the version */
        secret[1] = (uint8_t)round;
        secret[2] = (uint8_t)(round >> 8);
        ike_cookie_renew(&s, secret);
        assert_true(ike_cookie_make(&s, &peer, NULL, cookie));
        assert_int_equal(ike_cookie_check(&s, &peer, view, &puzzle), IKE_COOKIE_GOOD);
        secret[3]++;
        ike_cookie_renew(&s, secret);
        assert_int_equal(ike_cookie_check(&s, &peer, view, &puzzle), IKE_COOKIE_GOOD);
        secret[3]++;
        ike_cookie_renew(&s, secret);
        assert_int_equal(ike_cookie_check(&s, &peer, view, &puzzle), IKE_COOKIE_BAD);
    }
}

static void cookies_are_bound(void **state)
{
    static const uint8_t other_nonce[16] = {1, 2, 4}, other_spi[8] = {4, 5, 7};
    static const struct gh_addr other_addr = {{192, 0, 2, 2}, 4};
    struct ike_cookie_secrets s = {0};
    struct ike_cookie_peer peer = peer_of(), other;
    struct ike_puzzle puzzle = {5, 16}, asked = {0};
    uint8_t cookie[IKE_COOKIE_LEN], secret[IKE_COOKIE_SECRET_LEN] = {9};
    struct gh_view view = gh_view_of(cookie, sizeof(cookie));

    ike_cookie_renew(&s, secret);
    assert_true(ike_cookie_make(&s, &peer, &puzzle, cookie));
    assert_int_equal(ike_cookie_check(&s, &peer, view, &asked), IKE_COOKIE_GOOD_PUZZLE);
    assert_int_equal(asked.prf, 5);
    assert_int_equal(asked.difficulty, 16);
    other = peer;
    other.nonce.p = other_nonce;
    assert_int_equal(ike_cookie_check(&s, &other, view, &asked), IKE_COOKIE_BAD);
    other = peer;
    other.spi_i = other_spi;
    assert_int_equal(ike_cookie_check(&s, &other, view, &asked), IKE_COOKIE_BAD);
    other = peer;
    other.addr = &other_addr;
    assert_int_equal(ike_cookie_check(&s, &other, view, &asked), IKE_COOKIE_BAD);
    other = peer;
    other.zone = 1;
    assert_int_equal(ike_cookie_check(&s, &other, view, &asked), IKE_COOKIE_BAD);
    for (unsigned i = 0; i < sizeof(cookie); i++) { /* the puzzle cannot be wished away */
        cookie[i] ^= 1;
        assert_int_equal(ike_cookie_check(&s, &peer, view, &asked), IKE_COOKIE_BAD);
        cookie[i] ^= 1;
    }
    for (view.len = 0; view.len < sizeof(cookie); view.len++)
        assert_int_equal(ike_cookie_check(&s, &peer, view, &asked), IKE_COOKIE_BAD);
}

static void zero_bits(void **state)
{
    assert_int_equal(ike_puzzle_zero_bits(gh_view_of("\377", 1)), 0);
    assert_int_equal(ike_puzzle_zero_bits(gh_view_of("\1\200", 2)), 7);
    assert_int_equal(ike_puzzle_zero_bits(gh_view_of("\2\0\0", 3)), 17);
    assert_int_equal(ike_puzzle_zero_bits(gh_view_of("\0\0", 2)), 16);
    assert_int_equal(ike_puzzle_zero_bits((struct gh_view){0}), 0);
}

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

/* Counting up from 0 as the vector's author did, the same four keys come out. */
static void the_vector(void **state)
{
    char path[1024];
    uint8_t cookie[64], expected[64];
    size_t cookie_len, len = 0, i;
    json_t *file, *solution;
    struct ike_puzzle_search search;
    struct gh_view found, cookie_view;
    unsigned bits, portions = 0;

    if (!shared_file("vectors/ikev2_puzzle_made.json", path, sizeof(path)))
        skip();
    file = json_load_file(path, 0, NULL);
    assert_non_null(file);
    cookie_len = unhex(json_string_value(json_object_get(file, "cookie")), cookie, sizeof(cookie));
    cookie_view = gh_view_of(cookie, cookie_len);
    json_array_foreach(json_object_get(file, "solutions"), i, solution) len +=
        unhex(json_string_value(json_object_get(solution, "key")), expected + len,
              sizeof(expected) - len);
    assert_int_equal(len, 12);
    assert_true(ike_puzzle_begin(&search, IKE_PRF_HMAC_SHA2_256, 16, 24));
    while (ike_puzzle_search(&search, cookie_view, 10000, &found) == IKE_PUZZLE_MORE)
        portions++;
    assert_true(portions > 5);
    assert_true(gh_view_equal(found, gh_view_of(expected, len)));
    assert_true(ike_puzzle_verify(IKE_PRF_HMAC_SHA2_256, cookie_view, found, &bits));
    assert_int_equal(bits, 16);
    json_decref(file);
}

static void solved_for_each_prf(void **state)
{
    static const uint16_t prfs[] = {IKE_PRF_HMAC_SHA1,     IKE_PRF_AES128_XCBC,
                                    IKE_PRF_HMAC_SHA2_256, IKE_PRF_HMAC_SHA2_384,
                                    IKE_PRF_HMAC_SHA2_512, IKE_PRF_AES128_CMAC};
    struct gh_view cookie = gh_view_of("cookie", 6), solution;
    struct ike_puzzle_search s;
    unsigned bits;

    for (size_t i = 0; i < sizeof(prfs) / sizeof(prfs[0]); i++) {
        assert_true(ike_puzzle_begin(&s, prfs[i], 5, 20));
        assert_int_equal(ike_puzzle_search(&s, cookie, 1000000, &solution), IKE_PUZZLE_SOLVED);
        assert_true(ike_puzzle_verify(prfs[i], cookie, solution, &bits));
        assert_true(bits >= 5);
    }
    assert_false(ike_puzzle_begin(&s, 999, 5, 20));
    assert_false(ike_puzzle_begin(&s, IKE_PRF_HMAC_SHA1, 21, 20));
}

static void false_solutions(void **state)
{
    struct gh_view cookie = gh_view_of("cookie", 6);
    uint8_t keys[4 * 40] = {1, 2, 3, 4};
    unsigned bits;

    assert_true(ike_puzzle_verify(IKE_PRF_HMAC_SHA1, cookie, gh_view_of(keys, 4), &bits));
    keys[3] = 1; /* twice the same */
    assert_false(ike_puzzle_verify(IKE_PRF_HMAC_SHA1, cookie, gh_view_of(keys, 4), &bits));
    keys[3] = 4;
    assert_false(ike_puzzle_verify(IKE_PRF_HMAC_SHA1, cookie, gh_view_of(keys, 0), &bits));
    assert_false(ike_puzzle_verify(IKE_PRF_HMAC_SHA1, cookie, gh_view_of(keys, 3), &bits));
    assert_false(ike_puzzle_verify(999, cookie, gh_view_of(keys, 4), &bits));
    /* longer than the PRF's preferred key; not the fixed length */
    for (unsigned i = 0; i < 4; i++)
        keys[i * 21] = (uint8_t)(i + 9);
    assert_false(ike_puzzle_verify(IKE_PRF_HMAC_SHA1, cookie, gh_view_of(keys, 84), &bits));
    assert_false(ike_puzzle_verify(IKE_PRF_AES128_CMAC, cookie, gh_view_of(keys, 4), &bits));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookies_outlive_one_secret),
        cmocka_unit_test(cookies_are_bound),
        cmocka_unit_test(zero_bits),
        cmocka_unit_test(the_vector),
        cmocka_unit_test(solved_for_each_prf),
        cmocka_unit_test(false_solutions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
