/*
 * Keys moved by hand and by the peer alone: what lifetimes do not do, what a SYN's ids choose, what
 * is refused.
 */
#include "ao_ends.h"

static const uint32_t isn_a = 100, isn_b = 200;

static struct tcpao_mkt crossed(uint32_t number, uint8_t send_id, uint8_t recv_id)
{
    struct tcpao_mkt mkt = key_of(1); /* one secret for all */

    mkt.number = number;
    mkt.send_id = send_id;
    mkt.recv_id = recv_id;
    return mkt;
}

static struct tcpao_conn *manual(const struct tcpao_mkt *keys, size_t count, bool a)
{
    struct tcpao_conn *c = conn_of(chain_of(0, keys, count), a);

    tcpao_conn_set_manual(c, true);
    return c;
}

static void assert_keys(const struct tcpao_conn *c, uint32_t current, uint32_t rnext)
{
    struct tcpao_conn_state st = state_of(c);

    assert_true(st.current_known && st.rnext_known);
    assert_int_equal(st.current_key, current);
    assert_int_equal(st.rnext_key, rnext);
}

static void the_highest_key_where_nothing_was_set(void **state)
{
    const struct tcpao_mkt keys[] = {key_of(4), key_of(9), key_of(5)};
    struct tcpao_conn *a = manual(keys, 3, true), *b = manual(keys, 3, false);

    open_from_b(a, b, 0, isn_a, isn_b);
    assert_keys(b, 9, 9);
    assert_keys(a, 9, 9);
    tcpao_conn_free(a);
    tcpao_conn_free(b);
}

static void a_syn_s_ids_choose(void **state)
{
    const struct tcpao_mkt keys_b[] = {crossed(1, 10, 20), crossed(2, 11, 21)};
    const struct tcpao_mkt keys_a[] = {crossed(6, 20, 10), crossed(7, 21, 11), crossed(8, 30, 31)};
    struct tcpao_conn *a = manual(keys_a, 3, true), *b = manual(keys_b, 2, false);

    assert_true(tcpao_conn_set_current(b, 1)); /* KeyID 10 */
    assert_true(tcpao_conn_set_rnext(b, 2));   /* RNextKeyID 21 */
    open_from_b(a, b, 0, isn_a, isn_b);
    assert_keys(a, 7, 6);
    tcpao_conn_free(a);
    tcpao_conn_free(b);
}

static void unknown_ids_of_a_syn_give_the_highest(void **state)
{
    const struct tcpao_mkt keys_b[] = {crossed(1, 10, 20), crossed(2, 11, 21)};
    const struct tcpao_mkt keys_a[] = {crossed(6, 20, 10), crossed(8, 30, 31)};
    struct tcpao_conn *a = manual(keys_a, 2, true), *b = manual(keys_b, 2, false);

    assert_true(tcpao_conn_set_current(b, 1));
    pass(b, a, 0, seg_of(isn_b, 0, SYN, ""));
    assert_keys(a, 8, 6);
    tcpao_conn_free(a);
    tcpao_conn_free(b);
}

static void the_peer_moves_current_and_nobody_moves_rnext(void **state)
{
    const struct tcpao_mkt keys[] = {key_of(1), key_of(2)};
    struct tcpao_conn *a = manual(keys, 2, true), *b = manual(keys, 2, false);

    open_from_b(a, b, 0, isn_a, isn_b);
    assert_true(tcpao_conn_set_rnext(b, 1));
    pass(b, a, 0, seg_of(isn_b + 1, isn_a + 1, PSH | ACK, "x"));
    assert_keys(a, 1, 2);
    assert_keys(b, 2, 1);
    pass(a, b, 0, seg_of(isn_a + 1, isn_b + 2, PSH | ACK, "y"));
    assert_keys(b, 2, 1);
    /* By hand against the peer's wish, until it says it again. */
    assert_true(tcpao_conn_set_current(a, 2));
    pass(a, b, 0, seg_of(isn_a + 2, isn_b + 2, PSH | ACK, "z"));
    assert_keys(a, 2, 2);
    pass(b, a, 0, seg_of(isn_b + 2, isn_a + 3, PSH | ACK, "x"));
    assert_keys(a, 1, 2);
    tcpao_conn_free(a);
    tcpao_conn_free(b);
}

static void lifetimes_neither_choose_nor_retire(void **state)
{
    struct tcpao_mkt keys[] = {key_during(1, 0, 1000), key_during(2, 500, 2000)};
    struct tcpao_conn *a = manual(keys, 2, true), *b = manual(keys, 2, false);

    open_from_b(a, b, 600, isn_a, isn_b);
    assert_keys(a, 2, 2);
    assert_true(tcpao_conn_set_current(a, 1));
    assert_true(tcpao_conn_set_rnext(b, 1));
    assert_false(tcpao_conn_tick(a, 1900));
    /* Long after both are over, and with both directions elsewhere. */
    pass(a, b, 9000, seg_of(isn_a + 1, isn_b + 1, PSH | ACK, "x"));
    pass(b, a, 9000, seg_of(isn_b + 1, isn_a + 2, PSH | ACK, "y"));
    assert_false(tcpao_conn_tick(a, 9999));
    assert_keys(a, 1, 2);
    assert_keys(b, 2, 1);
    assert_true(tcpao_conn_accepts(a, 1, 9999));
    assert_false(tcpao_conn_accepts(a, 3, 9999));
    tcpao_conn_free(a);
    tcpao_conn_free(b);
}

static void only_what_exists_may_be_set_and_only_by_hand(void **state)
{
    const struct tcpao_mkt keys[] = {key_of(1), key_of(2)};
    struct tcpao_conn *a = manual(keys, 2, true);

    assert_true(tcpao_conn_set_current(a, 1));
    assert_false(tcpao_conn_set_current(a, 3));
    assert_false(tcpao_conn_set_rnext(a, 0));
    assert_true(state_of(a).current_known && state_of(a).current_key == 1);
    assert_false(state_of(a).rnext_known);
    tcpao_conn_set_manual(a, false);
    assert_false(tcpao_conn_set_current(a, 2));
    assert_false(tcpao_conn_set_rnext(a, 2));
    tcpao_conn_free(a);
}

static void a_key_that_is_removed_gives_way_to_the_highest(void **state)
{
    const struct tcpao_mkt keys[] = {key_of(1), key_of(2), key_of(3)};
    struct tcpao_chain *c = chain_of(0, keys, 2);
    struct tcpao_conn *a = manual(keys, 3, true), *b = manual(keys, 3, false);

    open_from_b(a, b, 0, isn_a, isn_b);
    assert_keys(a, 3, 3);
    tcpao_conn_set_chain(a, c);
    tcpao_chain_put(c);
    assert_true(tcpao_conn_tick(a, 0));
    assert_keys(a, 2, 2);
    pass(a, b, 0, seg_of(isn_a + 1, isn_b + 1, PSH | ACK, "x"));
    assert_keys(b, 2, 3);
    tcpao_conn_free(a);
    tcpao_conn_free(b);
}

static void a_crossing_syn_leaves_what_was_chosen(void **state)
{
    const struct tcpao_mkt keys[] = {crossed(1, 5, 7), crossed(2, 7, 5)};
    struct tcpao_conn *a = manual(keys, 2, true), *b = manual(keys, 2, false);
    struct seg syn_a, syn_b, in;

    in = seg_of(isn_a, 0, SYN, "");
    assert_int_equal(sign(a, 0, &in, &syn_a), TCPAO_OK);
    in = seg_of(isn_b, 0, SYN, "");
    assert_int_equal(sign(b, 0, &in, &syn_b), TCPAO_OK);
    assert_int_equal(receive(a, 0, &syn_b), TCPAO_OK);
    assert_int_equal(receive(b, 0, &syn_a), TCPAO_OK);
    assert_keys(a, 2, 2);
    pass(a, b, 0, seg_of(isn_a, isn_b + 1, SYN | ACK, ""));
    pass(b, a, 0, seg_of(isn_b, isn_a + 1, SYN | ACK, ""));
    assert_keys(a, 1, 2); /* the peer asks for KeyID 5 */
    assert_keys(b, 1, 2);
    pass(a, b, 0, seg_of(isn_a + 1, isn_b + 1, PSH | ACK, "x"));
    pass(b, a, 0, seg_of(isn_b + 1, isn_a + 2, PSH | ACK, "y"));
    assert_keys(a, 1, 2);
    tcpao_conn_free(a);
    tcpao_conn_free(b);
}

static void the_state_does_not_say_that_it_is_manual(void **state)
{
    const struct tcpao_mkt keys[] = {key_during(1, 0, 1000), key_during(2, 500, TCPAO_TIME_MAX)};
    struct tcpao_conn *a = manual(keys, 2, true), *b = conn_of(chain_of(0, keys, 2), true);
    struct tcpao_conn_state st;

    assert_true(tcpao_conn_set_current(a, 1));
    assert_true(tcpao_conn_set_rnext(a, 1));
    st = state_of(a);
    tcpao_conn_import(b, &st);
    tcpao_conn_set_manual(b, true);
    assert_false(tcpao_conn_tick(b, 5000));
    assert_keys(b, 1, 1);
    tcpao_conn_set_manual(b, false);
    assert_true(tcpao_conn_tick(b, 5000));
    assert_keys(b, 2, 2);
    tcpao_conn_free(a);
    tcpao_conn_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_key_where_nothing_was_set),
        cmocka_unit_test(a_syn_s_ids_choose),
        cmocka_unit_test(unknown_ids_of_a_syn_give_the_highest),
        cmocka_unit_test(the_peer_moves_current_and_nobody_moves_rnext),
        cmocka_unit_test(lifetimes_neither_choose_nor_retire),
        cmocka_unit_test(only_what_exists_may_be_set_and_only_by_hand),
        cmocka_unit_test(a_key_that_is_removed_gives_way_to_the_highest),
        cmocka_unit_test(a_crossing_syn_leaves_what_was_chosen),
        cmocka_unit_test(the_state_does_not_say_that_it_is_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
