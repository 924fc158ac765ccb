/*
 * Keys on the kernel's sockets (src/tcpao/kernel_plan.c): each step must be one that the kernel
 * takes, in that order; and two such ends, with clocks that differ, roll over without losing a
 * segment. The kernel is a model of what Linux does with keys, as the system tests see it do.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "tcpao/kernel_plan.h"

enum { HOUR = 3600, TOLERANCE = 600 };

static const enum ao_kernel_role LISTEN = AO_KERNEL_LISTENER, CONNECTED = AO_KERNEL_CONNECTION;

/* ---- A socket of the kernel's ---- */

struct model {
    enum ao_kernel_role role;
    struct ao_kernel_key keys[AO_KERNEL_KEYS_MAX];
    size_t count;
    struct tcpao_conn_state st;
};

static size_t find(const struct model *m, int send_id, int recv_id)
{
    for (size_t i = 0; i < m->count; i++)
        if ((send_id < 0 || m->keys[i].send_id == send_id) &&
            (recv_id < 0 || m->keys[i].recv_id == recv_id))
            return i;
    return m->count;
}

static void model_add(struct model *m, const struct ao_kernel_step *s)
{
    struct ao_kernel_key key = {.send_id = s->send_id,
                                .recv_id = s->recv_id,
                                .known = s->kind == AO_KERNEL_ADD,
                                .lock = s->kind == AO_KERNEL_ADD_LOCK};

    assert_int_equal(find(m, s->send_id, -1), m->count); /* EEXIST */
    assert_int_equal(find(m, -1, s->recv_id), m->count);
    if (key.known) {
        key.number = s->mkt->number;
        assert_int_equal(s->mkt->send_id, s->send_id);
        assert_int_equal(s->mkt->recv_id, s->recv_id);
    }
    m->keys[m->count++] = key;
}

static void model_move(struct model *m, const struct ao_kernel_step *s)
{
    size_t current = find(m, s->send_id, -1), rnext = find(m, -1, s->recv_id);

    assert_int_equal(m->role, CONNECTED); /* EINVAL */
    assert_true(current < m->count);      /* ENOENT */
    assert_true(rnext < m->count);
    for (size_t i = 0; i < m->count; i++) {
        m->keys[i].current = i == current;
        m->keys[i].rnext = i == rnext;
    }
}

static void model_delete(struct model *m, const struct ao_kernel_step *s)
{
    size_t at = find(m, s->send_id, s->recv_id);

    assert_true(at < m->count);        /* ENOENT */
    assert_false(m->keys[at].current); /* EBUSY */
    assert_false(m->keys[at].rnext);
    m->keys[at] = m->keys[--m->count];
}

/* Plans and does it; a second plan right after has nothing to add. Returns how many steps. */
static size_t follow(struct model *m, const struct tcpao_chain *chain, int64_t now, bool *locked)
{
    static struct ao_kernel_plan plan;
    size_t steps;

    ao_kernel_plan(chain, now, m->role, m->keys, m->count, &m->st, &plan);
    for (size_t i = 0; i < plan.count; i++) {
        switch (plan.steps[i].kind) {
        case AO_KERNEL_ADD:
        case AO_KERNEL_ADD_LOCK:
            model_add(m, &plan.steps[i]);
            break;
        case AO_KERNEL_MOVE:
            model_move(m, &plan.steps[i]);
            break;
        case AO_KERNEL_DELETE:
            model_delete(m, &plan.steps[i]);
            break;
        }
    }
    if (locked != NULL)
        *locked = plan.locked;
    steps = plan.count;
    assert_true(m->count > 0); /* what is not signed must be refused */
    ao_kernel_plan(chain, now, m->role, m->keys, m->count, &m->st, &plan);
    assert_int_equal(plan.count, 0);
    return steps;
}

static const struct ao_kernel_key *current_of(const struct model *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->keys[i].current)
            return &m->keys[i];
    return NULL;
}

static const struct ao_kernel_key *rnext_of(const struct model *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->keys[i].rnext)
            return &m->keys[i];
    return NULL;
}

static bool has(const struct model *m, uint32_t number)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->keys[i].known && m->keys[i].number == number)
            return true;
    return false;
}

static void assert_uses(const struct model *m, uint32_t current, uint32_t rnext)
{
    assert_true(current_of(m)->known);
    assert_int_equal(current_of(m)->number, current);
    assert_true(rnext_of(m)->known);
    assert_int_equal(rnext_of(m)->number, rnext);
}

/* ---- Chains ---- */

static void put(struct tcpao_chain *c, uint32_t number, uint8_t send_id, uint8_t recv_id,
                int64_t from, int64_t until)
{
    struct tcpao_mkt mkt = {.number = number,
                            .send_id = send_id,
                            .recv_id = recv_id,
                            .alg = TCPAO_HMAC_SHA_1,
                            .mac_len = 12,
                            .options_covered = true,
                            .send = {from, until},
                            .accept = {from, until},
                            .secret = (const uint8_t *)"secret",
                            .secret_len = 6};

    assert_int_equal(tcpao_chain_add(c, &mkt, NULL), TCPAO_CHAIN_OK);
}

/* Two keys, the second from one hour on. */
static struct tcpao_chain *two_keys(void)
{
    struct tcpao_chain *c = tcpao_chain_new(TOLERANCE);

    put(c, 1, 3, 8, 0, HOUR);
    put(c, 2, 4, 9, HOUR, TCPAO_TIME_MAX);
    return c;
}

/* The peer was heard with a key, first at a time. */
static void heard(struct model *m, uint32_t number, int64_t since)
{
    m->st.last_recv_known = true;
    m->st.last_recv_key = number;
    m->st.last_recv_since = since;
}

/* ---- Tests ---- */

static void test_before_connect(void **state)
{
    struct tcpao_chain *c = two_keys();
    struct model m = {.role = CONNECTED};

    follow(&m, c, 100, NULL);
    assert_uses(&m, 1, 1);
    assert_int_equal(m.count, 1);
    m = (struct model){.role = CONNECTED};
    follow(&m, c, HOUR - TOLERANCE, NULL); /* the second is accepted early, but not asked for */
    assert_uses(&m, 1, 1);
    assert_int_equal(m.count, 2);
    m = (struct model){.role = CONNECTED};
    follow(&m, c, HOUR, NULL);
    assert_uses(&m, 2, 2);
    assert_int_equal(m.count, 2);
    tcpao_chain_put(c);
}

static void test_rollover_in_order(void **state)
{
    struct tcpao_chain *c = two_keys();
    struct model m = {.role = CONNECTED};

    follow(&m, c, 100, NULL);
    heard(&m, 1, 100);
    assert_int_equal(ao_kernel_next_change(c, HOUR - TOLERANCE - 100, &m.st), HOUR - TOLERANCE);
    assert_int_equal(follow(&m, c, HOUR - TOLERANCE, NULL), 1); /* added, nothing else */
    assert_uses(&m, 1, 1);
    assert_true(has(&m, 2));
    /* Our clock says so: the peer is asked, and the old key's send lifetime is over. */
    assert_int_equal(follow(&m, c, HOUR, NULL), 1);
    assert_uses(&m, 2, 2);
    assert_true(has(&m, 1)); /* the peer may be late */
    heard(&m, 2, HOUR + 5);
    assert_int_equal(ao_kernel_next_change(c, HOUR + 6, &m.st), HOUR + 5 + TCPAO_DRAIN);
    assert_int_equal(follow(&m, c, HOUR + 5 + TCPAO_DRAIN - 1, NULL), 0);
    assert_int_equal(follow(&m, c, HOUR + 5 + TCPAO_DRAIN, NULL), 1);
    assert_false(has(&m, 1));
    tcpao_chain_put(c);
}

static void test_old_key_goes_when_the_tolerance_is_over(void **state)
{
    struct tcpao_chain *c = two_keys();
    struct model m = {.role = CONNECTED};

    follow(&m, c, 100, NULL);
    heard(&m, 1, 100); /* and the peer stays with it */
    follow(&m, c, HOUR, NULL);
    follow(&m, c, HOUR + TOLERANCE - 1, NULL);
    assert_true(has(&m, 1));
    follow(&m, c, HOUR + TOLERANCE, NULL);
    assert_false(has(&m, 1));
    tcpao_chain_put(c);
}

/* Overlapping send lifetimes: we ask for the new one, and send with the old until the peer asks. */
static void test_current_is_the_peers_to_move(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(TOLERANCE);
    struct model m = {.role = CONNECTED};

    put(c, 1, 3, 8, 0, 2 * HOUR);
    put(c, 2, 4, 9, HOUR, TCPAO_TIME_MAX);
    follow(&m, c, HOUR - 10, NULL);
    follow(&m, c, HOUR, NULL);
    assert_uses(&m, 1, 2);
    follow(&m, c, 2 * HOUR - 1, NULL);
    assert_uses(&m, 1, 2);
    follow(&m, c, 2 * HOUR, NULL);
    assert_uses(&m, 2, 2);
    tcpao_chain_put(c);
}

static void test_listener(void **state)
{
    struct tcpao_chain *c = two_keys();
    struct model m = {.role = LISTEN};
    bool locked;

    follow(&m, c, 100, &locked);
    assert_false(locked);
    assert_int_equal(m.count, 1);
    follow(&m, c, HOUR, NULL);
    assert_int_equal(m.count, 2);
    follow(&m, c, HOUR + TOLERANCE, NULL);
    assert_int_equal(m.count, 1);
    assert_true(has(&m, 2));
    tcpao_chain_put(c);
}

static void test_no_key_left(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(TOLERANCE), *more;
    struct model m = {.role = CONNECTED}, listener = {.role = LISTEN};
    bool locked;

    put(c, 1, 3, 8, 0, HOUR);
    follow(&m, c, 100, NULL);
    follow(&listener, c, 100, NULL);
    /* Nothing may be sent; what the peer still sends is accepted within the tolerance. */
    follow(&m, c, HOUR, &locked);
    assert_true(locked);
    assert_true(current_of(&m)->lock);
    assert_true(has(&m, 1));
    follow(&listener, c, HOUR, &locked);
    assert_false(locked);
    follow(&m, c, HOUR + TOLERANCE, &locked);
    assert_int_equal(m.count, 1);
    assert_true(m.keys[0].lock);
    follow(&listener, c, HOUR + TOLERANCE, &locked);
    assert_true(locked);
    assert_true(listener.count == 1 && listener.keys[0].lock);
    /* The operator adds a key: both come back. */
    more = tcpao_chain_new(TOLERANCE);
    put(more, 2, 255, 255, HOUR, TCPAO_TIME_MAX); /* the ids that the lock has taken */
    follow(&m, more, HOUR + TOLERANCE + 1, &locked);
    assert_false(locked);
    assert_uses(&m, 2, 2);
    assert_int_equal(m.count, 1);
    follow(&listener, more, HOUR + TOLERANCE + 1, &locked);
    assert_false(locked);
    assert_true(listener.count == 1 && has(&listener, 2));
    tcpao_chain_put(c);
    tcpao_chain_put(more);
}

static void test_empty_chain(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(TOLERANCE);
    struct model m = {.role = CONNECTED};
    bool locked;

    follow(&m, c, 0, &locked);
    assert_true(locked);
    tcpao_chain_put(c);
}

/* A later key with the ids of an earlier one: the kernel cannot have both. */
static void test_ids_used_again(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(TOLERANCE);
    struct model m = {.role = CONNECTED}, listener = {.role = LISTEN};

    put(c, 1, 5, 5, 0, HOUR);
    put(c, 2, 6, 6, HOUR, 2 * HOUR);
    put(c, 3, 5, 5, 2 * HOUR, TCPAO_TIME_MAX);
    for (int64_t now = 0; now < 3 * HOUR; now += 60) {
        follow(&m, c, now, NULL);
        follow(&listener, c, now, NULL);
    }
    assert_uses(&m, 3, 3);
    assert_int_equal(m.count, 1);
    tcpao_chain_put(c);
}

/* Even with nothing in between: the lock stands in for a moment. */
static void test_ids_used_again_at_once(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(0);
    struct model m = {.role = CONNECTED};

    put(c, 1, 5, 5, 0, HOUR);
    put(c, 2, 5, 5, HOUR, TCPAO_TIME_MAX);
    follow(&m, c, HOUR - 1, NULL);
    assert_uses(&m, 1, 1);
    follow(&m, c, HOUR, NULL);
    assert_uses(&m, 2, 2);
    assert_int_equal(m.count, 1);
    tcpao_chain_put(c);
}

/* After a reload the key on the socket is not the chain's any more: other secret, same ids. */
static void test_a_stale_key_is_replaced(void **state)
{
    struct tcpao_chain *c = two_keys();
    struct model m = {.role = CONNECTED}, listener = {.role = LISTEN};

    follow(&m, c, 100, NULL);
    follow(&listener, c, 100, NULL);
    m.keys[0].known = false;
    listener.keys[0].known = false;
    assert_int_equal(follow(&listener, c, 101, NULL), 2);
    follow(&m, c, 101, NULL);
    assert_uses(&m, 1, 1);
    assert_int_equal(m.count, 1);
    tcpao_chain_put(c);
}

/* A negotiated key that leaves is still verified with; the peer may give its id to the next one,
 * which takes its place, and keeps it (follow()). */
static void test_the_id_of_a_leaving_key(void **state)
{
    struct tcpao_chain *c = tcpao_chain_new(TOLERANCE);
    struct model m = {.role = CONNECTED}, listener = {.role = LISTEN};
    const struct tcpao_lifetime always = {TCPAO_TIME_MIN, TCPAO_TIME_MAX}, never = {0, 0};

    put(c, 1, 5, 9, 1, TCPAO_TIME_MAX);
    assert_int_equal(
        tcpao_chain_set_lifetimes(c, 1, (struct tcpao_lifetime){1, TCPAO_TIME_MAX}, always),
        TCPAO_CHAIN_OK);
    follow(&m, c, 100, NULL);
    follow(&listener, c, 100, NULL);
    assert_int_equal(tcpao_chain_set_lifetimes(c, 1, never, always), TCPAO_CHAIN_OK);
    put(c, 2, 5, 10, 2, TCPAO_TIME_MAX);
    assert_int_equal(
        tcpao_chain_set_lifetimes(c, 2, (struct tcpao_lifetime){2, TCPAO_TIME_MAX}, always),
        TCPAO_CHAIN_OK);
    follow(&m, c, 101, NULL);
    assert_uses(&m, 2, 2);
    follow(&listener, c, 101, NULL);
    assert_true(has(&listener, 2));
    assert_int_equal(listener.count, 1);
    tcpao_chain_put(c);
}

/* ---- Two kernels ---- */

/* A segment arrives: refused, or current follows its RNextKeyID if that key is on the socket. */
static bool deliver(struct model *to, uint8_t keyid, uint8_t rnext, int64_t now_there)
{
    size_t key = find(to, -1, keyid), asked = find(to, rnext, -1);

    if (key == to->count || to->keys[key].lock)
        return false;
    if (!to->st.last_recv_known || to->st.last_recv_key != to->keys[key].number)
        heard(to, to->keys[key].number, now_there);
    if (asked < to->count)
        for (size_t i = 0; i < to->count; i++)
            to->keys[i].current = i == asked;
    return true;
}

static bool talk(struct model *from, struct model *to, int64_t now_there)
{
    return deliver(to, current_of(from)->send_id, rnext_of(from)->recv_id, now_there);
}

enum { KEYS = 20, LIFE = 2 * HOUR };

/* Send and receive ids crossed at the other end, as in two configurations. */
static struct tcpao_chain *long_chain(bool other_end, bool overlapping)
{
    struct tcpao_chain *c = tcpao_chain_new(TOLERANCE);

    for (uint32_t i = 0; i < KEYS; i++) {
        uint8_t x = (uint8_t)(10 + i % 4), y = (uint8_t)(20 + i % 4); /* ids used again */

        put(c, i, other_end ? y : x, other_end ? x : y, i == 0 ? TCPAO_TIME_MIN : i * LIFE,
            i == KEYS - 1 ? TCPAO_TIME_MAX : (i + 1) * LIFE + (overlapping ? HOUR : 0));
    }
    return c;
}

static void roll(int64_t skew, bool overlapping, unsigned period)
{
    struct tcpao_chain *ca = long_chain(false, overlapping), *cb = long_chain(true, overlapping);
    struct model a = {.role = CONNECTED}, b = {.role = CONNECTED};
    unsigned refused = 0;

    for (int64_t now = LIFE / 2; now < KEYS * LIFE; now += period) {
        follow(&a, ca, now, NULL);
        follow(&b, cb, now + skew, NULL);
        refused += !talk(&a, &b, now + skew);
        refused += !talk(&b, &a, now);
    }
    assert_int_equal(refused, 0);
    assert_uses(&a, KEYS - 1, KEYS - 1);
    assert_uses(&b, KEYS - 1, KEYS - 1);
    assert_int_equal(a.count, 1);
    assert_int_equal(b.count, 1);
    tcpao_chain_put(ca);
    tcpao_chain_put(cb);
}

static void test_two_kernels(void **state)
{
    static const int64_t skews[] = {0, 2, -90, 300, -TOLERANCE + 60, TOLERANCE - 60};

    for (size_t i = 0; i < sizeof(skews) / sizeof(skews[0]); i++) {
        roll(skews[i], false, 2);
        roll(skews[i], true, 2);
        roll(skews[i], false, 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_connect),
        cmocka_unit_test(test_rollover_in_order),
        cmocka_unit_test(test_old_key_goes_when_the_tolerance_is_over),
        cmocka_unit_test(test_current_is_the_peers_to_move),
        cmocka_unit_test(test_listener),
        cmocka_unit_test(test_no_key_left),
        cmocka_unit_test(test_empty_chain),
        cmocka_unit_test(test_ids_used_again),
        cmocka_unit_test(test_ids_used_again_at_once),
        cmocka_unit_test(test_a_stale_key_is_replaced),
        cmocka_unit_test(test_the_id_of_a_leaving_key),
        cmocka_unit_test(test_two_kernels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
