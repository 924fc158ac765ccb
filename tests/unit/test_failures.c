/*
 * When memory or the cryptographic library fails: an error and no change, never a MAC that is
 * wrong or empty. Allocations of libtcpao (by the linker's --wrap) and of libcrypto (by its own
 * hook) fail one after the other.
 */
#include "ao_ends.h"
#include "failing_memory.h"

#include <stdlib.h>

static struct tcpao_mkt cmac_key(uint32_t number)
{
    struct tcpao_mkt mkt = key_of(number);

    mkt.alg = TCPAO_AES_128_CMAC;
    return mkt;
}

static void chains_without_memory(void **state)
{
    const struct tcpao_mkt mkt = key_of(1);
    struct tcpao_chain *c;
    int failed = 0;

    countdown = 0;
    assert_null(tcpao_chain_new(0));
    c = tcpao_chain_new(0);
    assert_non_null(c);
    for (int n = 0; tcpao_chain_count(c) == 0; n++) {
        enum tcpao_chain_result r;

        countdown = n;
        r = tcpao_chain_add(c, &mkt, NULL);
        countdown = -1;
        if (r != TCPAO_CHAIN_OK) {
            assert_int_equal(r, TCPAO_CHAIN_NO_MEMORY);
            failed++;
        }
    }
    assert_int_equal(failed, 2);
    countdown = 0;
    assert_null(tcpao_conn_new(c, &end_a, &end_b));
    countdown = -1;
    tcpao_chain_put(c);
}

/* Each step of a connection with AES-128-CMAC, whose contexts libcrypto allocates: fails until the
 * failing allocation is beyond the last, and then works. */
static unsigned fail_to_sign(struct tcpao_conn *c, struct seg in, struct seg *out)
{
    const struct tcpao_conn_state before = state_of(c);
    unsigned failed = 0;

    for (int n = 0;; n++) {
        enum tcpao_result r;

        countdown = n;
        r = sign(c, 0, &in, out);
        countdown = -1;
        if (r == TCPAO_OK)
            return failed;
        assert_int_equal(r, TCPAO_CRYPTO_FAILED);
        assert_int_equal(out->hdr_len, 0);
        assert_unchanged(c, &before);
        failed++;
    }
}

static unsigned fail_to_verify(struct tcpao_conn *c, const struct seg *s, struct tcpao_seen *seen)
{
    const struct tcpao_conn_state before = state_of(c);
    unsigned failed = 0;

    for (int n = 0;; n++) {
        enum tcpao_result r;

        countdown = n;
        r = verify(c, 0, s, seen);
        countdown = -1;
        if (r == TCPAO_OK)
            return failed;
        assert_int_equal(r, TCPAO_CRYPTO_FAILED);
        assert_unchanged(c, &before);
        failed++;
    }
}

static void a_connection_without_memory(void **state)
{
    const struct tcpao_mkt mkt = cmac_key(1);
    struct tcpao_conn *a = conn_of(chain_of(0, &mkt, 1), true);
    struct tcpao_conn *b = conn_of(chain_of(0, &mkt, 1), false);
    struct seg s = seg_of(2000, 0, SYN, "");
    struct tcpao_seen seen;
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX];

    /* libcrypto loads its ciphers with the first use, which it does not survive without memory. */
    assert_int_equal(tcpao_kdf(mkt.alg, mkt.secret, mkt.secret_len, &end_a, &end_b, 0, 0, key),
                     TCPAO_OK);
    assert_true(fail_to_sign(b, s, &s) > 0);
    assert_true(fail_to_verify(a, &s, &seen) > 0);
    tcpao_conn_accept_syn(a, 0, 2000, &seen);
    s = seg_of(1000, 2001, SYN | ACK, "");
    assert_true(fail_to_sign(a, s, &s) > 0);
    assert_true(fail_to_verify(b, &s, &seen) > 0);
    s = seg_of(2001, 1001, ACK, "");
    assert_true(fail_to_sign(b, s, &s) > 0);
    assert_true(fail_to_verify(a, &s, &seen) > 0);

    /* From now on nothing is allocated, so nothing can fail. */
    s = seg_of(2001, 1001, ACK, "data");
    assert_int_equal(fail_to_sign(b, s, &s), 0);
    assert_int_equal(fail_to_verify(a, &s, &seen), 0);
    tcpao_conn_free(a);
    tcpao_conn_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_without_memory),
        cmocka_unit_test(a_connection_without_memory),
    };

    if (!fail_libcrypto_too())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
