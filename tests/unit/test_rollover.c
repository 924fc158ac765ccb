/*
 * Which key a connection uses: by lifetime with clocks that differ, by RNextKeyID, after removal;
 * and that it fails closed when no key is left.
 */
#include "ao_ends.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static const uint32_t isn_a = 1000, isn_b = 2000;

static uint8_t keyid_of(const struct seg *s)
{
    struct tcpao_option o;

    assert_int_equal(tcpao_option_find(s->hdr, s->hdr_len, &o), TCPAO_OK);
    return o.keyid;
}

static uint8_t rnext_of(const struct seg *s)
{
    struct tcpao_option o;

    assert_int_equal(tcpao_option_find(s->hdr, s->hdr_len, &o), TCPAO_OK);
    return o.rnext;
}

static struct seg ack_from(struct tcpao_conn *c, int64_t now, bool a)
{
    struct seg s = seg_of((a ? isn_a : isn_b) + 1, (a ? isn_b : isn_a) + 1, ACK, "");

    assert_int_equal(sign(c, now, &s, &s), TCPAO_OK);
    return s;
}

/* The KeyID of a segment sent now. */
static uint8_t sends(struct tcpao_conn *c, int64_t now, bool a)
{
    const struct seg s = ack_from(c, now, a);

    return keyid_of(&s);
}

/* ---- Rollover by lifetime, clocks skewed, segments late ------------------------------------- */

enum { KEYS = 30, LIFE = 1000, IN_FLIGHT = 64 };

struct in_flight {
    struct seg seg;
    int64_t arrives; /* true time; 0: free */
    bool to_a;
};

struct network {
    struct tcpao_conn *a, *b;
    int64_t skew_a, skew_b;
    struct in_flight flying[IN_FLIGHT];
    uint64_t random;
    uint32_t seq_a, seq_b;
    unsigned delivered;
};

static uint32_t pick(struct network *n, uint32_t below)
{
    n->random = n->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(n->random >> 33) % below;
}

static void deliver(struct network *n, int64_t now)
{
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        struct in_flight *f = &n->flying[i];

        if (f->arrives == 0 || f->arrives > now)
            continue;
        f->arrives = 0;
        assert_int_equal(
            verify(f->to_a ? n->a : n->b, now + (f->to_a ? n->skew_a : n->skew_b), &f->seg, NULL),
            TCPAO_OK);
        n->delivered++;
    }
}

/* Each segment takes up to a minute, one in ten arrives twice, one in ten never: order is lost. */
static void transmit(struct network *n, int64_t now, bool from_a)
{
    struct seg s =
        seg_of(from_a ? n->seq_a : n->seq_b, from_a ? n->seq_b : n->seq_a, ACK, "octets");
    unsigned copies = pick(n, 10);

    assert_int_equal(sign(from_a ? n->a : n->b, now + (from_a ? n->skew_a : n->skew_b), &s, &s),
                     TCPAO_OK);
    *(from_a ? &n->seq_a : &n->seq_b) += 6;
    copies = copies == 0 ? 0 : copies == 1 ? 2 : 1;
    for (size_t i = 0; i < IN_FLIGHT && copies > 0; i++)
        if (n->flying[i].arrives == 0) {
            n->flying[i] = (struct in_flight){s, now + 1 + pick(n, 60), !from_a};
            copies--;
        }
}

static void roll_over(int64_t skew_a, int64_t skew_b, uint32_t tolerance)
{
    struct tcpao_mkt keys[KEYS];
    struct network n = {.skew_a = skew_a, .skew_b = skew_b, .random = 42};

    for (uint32_t i = 0; i < KEYS; i++)
        keys[i] = key_during(i + 1, i * LIFE, (i + 1) * LIFE);
    n.a = conn_of(chain_of(tolerance, keys, KEYS), true);
    n.b = conn_of(chain_of(tolerance, keys, KEYS), false);
    pass(n.b, n.a, 500, seg_of(isn_b, 0, SYN, ""));
    pass(n.a, n.b, 500, seg_of(isn_a, isn_b + 1, SYN | ACK, ""));
    n.seq_a = isn_a + 1;
    n.seq_b = isn_b + 1;
    for (int64_t now = 501; now < KEYS * LIFE - 500; now++) {
        if (now % 7 == 0)
            transmit(&n, now, now % 2 == 0);
        deliver(&n, now);
    }
    assert_true(n.delivered > KEYS * LIFE / 14);
    assert_int_equal(state_of(n.a).current_key, KEYS);
    assert_int_equal(state_of(n.b).current_key, KEYS);
    assert_int_equal(state_of(n.a).last_recv_key, KEYS);
    tcpao_conn_free(n.a);
    tcpao_conn_free(n.b);
}

static void no_segment_is_refused_while_keys_roll_over(void **state)
{
    roll_over(0, 0, 300);
    roll_over(+100, -100, 300);
    roll_over(-100, +100, 300);
    roll_over(+400, 0, 500);
    roll_over(0, +400, 500);
}

/* ---- Moves step by step ---------------------------------------------------------------------- */

struct pair {
    struct tcpao_conn *a, *b;
};

static int close_pair(void **state)
{
    struct pair *p = *state;

    tcpao_conn_free(p->a);
    tcpao_conn_free(p->b);
    return 0;
}

/* Both ends have the same keys; opened at `now`. */
static void open_pair(struct pair *p, uint32_t tolerance, const struct tcpao_mkt *keys,
                      size_t count, int64_t now)
{
    p->a = conn_of(chain_of(tolerance, keys, count), true);
    p->b = conn_of(chain_of(tolerance, keys, count), false);
    open_from_b(p->a, p->b, now, isn_a, isn_b);
}

static int no_pair(void **state)
{
    static struct pair pair;

    pair = (struct pair){0};
    *state = &pair;
    return 0;
}

static void announced_then_used(void **state)
{
    struct tcpao_mkt keys[] = {key_during(1, 0, 1000), key_during(2, 900, TCPAO_TIME_MAX)};
    struct pair *p = *state;
    struct tcpao_seen seen;
    struct seg s;

    open_pair(p, 60, keys, 2, 0);
    assert_int_equal(sends(p->a, 899, true), 1);
    /* Both lifetimes overlap from 900 on: the new key is announced, the old one still used … */
    s = ack_from(p->a, 900, true);
    assert_int_equal(keyid_of(&s), 1);
    assert_int_equal(rnext_of(&s), 2);
    /* … until the peer has said that it is ready. */
    assert_int_equal(verify(p->b, 900, &s, &seen), TCPAO_OK);
    assert_true(seen.current_moved);
    s = ack_from(p->b, 900, false);
    assert_int_equal(keyid_of(&s), 2);
    assert_int_equal(verify(p->a, 900, &s, &seen), TCPAO_OK);
    assert_true(seen.current_moved);
    assert_int_equal(sends(p->a, 901, true), 2);
    assert_int_equal(verify(p->a, 901, &s, &seen), TCPAO_OK);
    assert_false(seen.current_moved);
}

static void forced_at_the_end_of_the_send_lifetime(void **state)
{
    struct tcpao_mkt keys[] = {key_during(1, 0, 1000), key_during(2, 1000, 2000)};
    struct pair *p = *state;

    open_pair(p, 60, keys, 2, 0);
    assert_int_equal(sends(p->a, 999, true), 1);
    assert_int_equal(sends(p->a, 1000, true), 2);
    /* The clock is set back: the key in use stays, it is not over. */
    assert_int_equal(sends(p->a, 990, true), 2);
}

static void tick_moves_without_traffic(void **state)
{
    struct tcpao_mkt keys[] = {key_during(1, 0, 1000), key_during(2, 900, 2000)};
    struct pair *p = *state;

    open_pair(p, 60, keys, 2, 0);
    assert_false(tcpao_conn_tick(p->a, 899));
    assert_true(tcpao_conn_tick(p->a, 900));
    assert_int_equal(state_of(p->a).rnext_key, 2);
    assert_int_equal(state_of(p->a).current_key, 1);
    assert_true(tcpao_conn_tick(p->a, 1000));
    assert_int_equal(state_of(p->a).current_key, 2);
    assert_false(tcpao_conn_tick(p->a, 1001));
    assert_true(tcpao_conn_tick(p->a, 2000));
    assert_false(state_of(p->a).current_known);
}

static void the_last_key_fails_closed(void **state)
{
    struct tcpao_mkt keys[] = {key_during(1, 0, 1000)};
    struct pair *p = *state;
    struct tcpao_conn_state before;
    struct seg last, s = seg_of(isn_a + 1, isn_b + 1, ACK, "x");

    open_pair(p, 60, keys, 1, 0);
    last = ack_from(p->b, 999, false);
    before = state_of(p->a);
    assert_int_equal(sign(p->a, 1000, &s, &s), TCPAO_NO_SEND_KEY);
    assert_unchanged(p->a, &before);
    /* What the peer still sends is accepted within the tolerance, not after. */
    assert_int_equal(verify(p->a, 1059, &last, NULL), TCPAO_OK);
    assert_int_equal(verify(p->a, 1060, &last, NULL), TCPAO_KEY_NOT_VALID);
    /* A new SYN is not signed either. */
    s = seg_of(5, 0, SYN, "");
    assert_int_equal(sign(p->a, 1060, &s, &s), TCPAO_NO_SEND_KEY);
    assert_int_equal(state_of(p->a).local_isn, isn_a);
}

static void a_gap_ends_with_the_next_key(void **state)
{
    struct tcpao_mkt keys[] = {key_during(1, 0, 1000), key_during(2, 1500, 2000)};
    struct pair *p = *state;
    struct seg s = seg_of(isn_a + 1, isn_b + 1, ACK, "x");

    open_pair(p, 60, keys, 2, 0);
    assert_int_equal(sign(p->a, 1200, &s, &s), TCPAO_NO_SEND_KEY);
    pass(p->a, p->b, 1500, seg_of(isn_a + 1, isn_b + 1, ACK, "x"));
    assert_int_equal(state_of(p->b).last_recv_key, 2);
}

/* A segment of b with these ids, as a peer with any policy may send it. */
static struct seg forge_choice(uint8_t keyid, uint8_t rnext, uint32_t seq)
{
    const uint8_t ao[16] = {29, 16, keyid, rnext};
    struct seg s = seg_with(seq, isn_a + 1, ACK, "", ao, sizeof(ao));
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX], mac[TCPAO_MAC_MAX];

    assert_int_equal(
        tcpao_kdf(TCPAO_HMAC_SHA_1, key_of(keyid).secret, 8, &end_b, &end_a, isn_b, isn_a, key),
        TCPAO_OK);
    assert_int_equal(tcpao_segment_mac(TCPAO_HMAC_SHA_1, key, true, 12, &end_b, &end_a, 0, s.hdr,
                                       s.hdr_len, NULL, 0, mac),
                     TCPAO_OK);
    memcpy(s.hdr + 24, mac, 12);
    return s;
}

static void the_peer_chooses_our_current_key(void **state)
{
    struct tcpao_mkt keys[] = {key_of(1), key_of(2), key_during(3, 0, 100)};
    struct pair *p = *state;
    struct tcpao_seen seen;
    struct seg s;

    open_pair(p, 60, keys, 3, 200);
    assert_int_equal(sends(p->a, 200, true), 2);
    s = forge_choice(2, 1, isn_b + 1); /* any key with a valid send lifetime, older ones too */
    assert_int_equal(verify(p->a, 200, &s, &seen), TCPAO_OK);
    assert_true(seen.current_moved);
    assert_int_equal(sends(p->a, 200, true), 1);
    s = forge_choice(2, 77, isn_b + 1); /* not there: no action is required */
    assert_int_equal(verify(p->a, 200, &s, &seen), TCPAO_OK);
    assert_false(seen.current_moved);
    s = forge_choice(2, 3, isn_b + 1); /* over, though within the tolerance */
    assert_int_equal(verify(p->a, 130, &s, &seen), TCPAO_OK);
    assert_false(seen.current_moved);
    assert_int_equal(sends(p->a, 130, true), 1);
    s = forge_choice(1, 2, isn_b + 1);
    assert_int_equal(verify(p->a, 200, &s, &seen), TCPAO_OK);
    assert_true(seen.current_moved);
    assert_int_equal(state_of(p->a).last_keyid, 1);
    assert_int_equal(state_of(p->a).last_rnext, 2);
    assert_int_equal(state_of(p->a).last_recv_key, 1);
}

static void a_peer_ahead_of_our_clock(void **state)
{
    struct tcpao_mkt keys[] = {key_during(1, 0, 1000), key_during(2, 1000, 2000)};
    struct pair *p = *state;
    struct tcpao_seen seen;
    struct seg s;

    open_pair(p, 60, keys, 2, 0);
    s = forge_choice(2, 2, isn_b + 1);
    assert_int_equal(verify(p->a, 939, &s, &seen), TCPAO_KEY_NOT_VALID);
    assert_int_equal(verify(p->a, 940, &s, &seen), TCPAO_OK);
    assert_true(seen.current_moved);
    assert_int_equal(sends(p->a, 940, true), 2);
}

static void late_segments_do_not_turn_a_rollover_back(void **state)
{
    struct tcpao_mkt keys[] = {key_of(1), key_of(2)};
    struct pair *p = *state;
    struct tcpao_seen seen;
    struct seg s;

    open_pair(p, 60, keys, 2, 0);
    s = forge_choice(2, 2, isn_b + 100);
    assert_int_equal(verify(p->a, 0, &s, &seen), TCPAO_OK);
    s = forge_choice(1, 1, isn_b + 98);
    assert_int_equal(verify(p->a, 0, &s, &seen), TCPAO_OK);
    assert_false(seen.current_moved);
    s = forge_choice(1, 1, isn_b + 99); /* a keep-alive */
    assert_int_equal(verify(p->a, 0, &s, &seen), TCPAO_OK);
    assert_true(seen.current_moved);
    s = forge_choice(2, 2, isn_b + 100);
    assert_int_equal(verify(p->a, 0, &s, &seen), TCPAO_OK);
    assert_true(seen.current_moved);
}

static void an_old_key_goes_when_both_directions_left_it(void **state)
{
    struct tcpao_mkt keys[] = {key_during(1, 0, 1000), key_during(2, 900, TCPAO_TIME_MAX)};
    struct pair *p = *state;
    struct seg old, s;

    open_pair(p, 600, keys, 2, 0);
    old = forge_choice(1, 1, isn_b + 1);
    /* The peer stays with the old key: it is accepted as long as the tolerance says. */
    assert_int_equal(verify(p->a, 1599, &old, NULL), TCPAO_OK);
    assert_true(tcpao_conn_accepts(p->a, 1, 1599));
    assert_false(tcpao_conn_accepts(p->a, 1, 1600));
    assert_false(tcpao_conn_accepts(p->a, 77, 1000));

    /* The peer moves, and so have we: late segments have two minutes. */
    s = forge_choice(2, 2, isn_b + 1);
    assert_int_equal(verify(p->a, 1010, &s, NULL), TCPAO_OK);
    assert_int_equal(sends(p->a, 1010, true), 2);
    assert_int_equal(verify(p->a, 1010 + TCPAO_DRAIN - 1, &old, NULL), TCPAO_OK);
    assert_int_equal(verify(p->a, 1011, &s, NULL), TCPAO_OK);
    assert_true(tcpao_conn_accepts(p->a, 1, 1011 + TCPAO_DRAIN - 1));
    assert_false(tcpao_conn_accepts(p->a, 1, 1011 + TCPAO_DRAIN));
    assert_int_equal(verify(p->a, 1011 + TCPAO_DRAIN, &old, NULL), TCPAO_KEY_NOT_VALID);
    assert_int_equal(verify(p->a, 1011 + TCPAO_DRAIN, &s, NULL), TCPAO_OK);
    assert_true(tcpao_conn_accepts(p->a, 2, 1011 + TCPAO_DRAIN));
}

static void what_we_would_not_accept_is_not_announced(void **state)
{
    struct tcpao_mkt keys[] = {key_of(1), key_of(2)};
    struct pair *p = *state;
    struct seg s;

    keys[1].accept = (struct tcpao_lifetime){500, TCPAO_TIME_MAX};
    open_pair(p, 60, keys, 2, 500);
    keys[1].send.from = 100; /* sent from 100 on, accepted from 500 on */
    tcpao_conn_free(p->a);
    p->a = conn_of(chain_of(60, keys, 2), true);
    s = seg_of(isn_a, 0, SYN, "");
    assert_int_equal(sign(p->a, 200, &s, &s), TCPAO_OK);
    assert_int_equal(keyid_of(&s), 2);
    assert_int_equal(rnext_of(&s), 1);
    s = seg_of(isn_a, 0, SYN, "");
    assert_int_equal(sign(p->a, 500, &s, &s), TCPAO_OK);
    assert_int_equal(rnext_of(&s), 2);
}

static void a_syn_ack_uses_the_keys_of_the_syn(void **state)
{
    struct tcpao_mkt old = key_of(1), both[] = {key_of(1), key_of(2)};
    struct pair *p = *state;
    struct seg s;

    /* a prefers key 2, b does not have it: a answers with what b asked for. */
    p->a = conn_of(chain_of(60, both, 2), true);
    p->b = conn_of(chain_of(60, &old, 1), false);
    pass(p->b, p->a, 0, seg_of(isn_b, 0, SYN, ""));
    s = seg_of(isn_a, isn_b + 1, SYN | ACK, "");
    assert_int_equal(sign(p->a, 0, &s, &s), TCPAO_OK);
    assert_int_equal(keyid_of(&s), 1);
    assert_int_equal(rnext_of(&s), 2);
    assert_int_equal(receive(p->b, 0, &s), TCPAO_OK);
    pass(p->b, p->a, 0, seg_of(isn_b + 1, isn_a + 1, ACK, ""));
    assert_int_equal(sends(p->a, 0, true), 1);
    assert_int_equal(sends(p->b, 0, false), 1);

    /* The same when the SYN begins another life on the same ports. */
    assert_int_equal(tcpao_conn_tick(p->a, 0), false);
    pass(p->b, p->a, 0, seg_of(isn_b + 1000, 0, SYN, ""));
    s = forge_choice(1, 2, isn_b + 1); /* the old life goes on until the answer */
    assert_int_equal(verify(p->a, 0, &s, NULL), TCPAO_OK);
    assert_int_equal(sends(p->a, 0, true), 2);
    s = seg_of(isn_a + 1000, isn_b + 1001, SYN | ACK, "");
    assert_int_equal(sign(p->a, 0, &s, &s), TCPAO_OK);
    assert_int_equal(keyid_of(&s), 1);
}

/* The peer left the key, but we still sign with it: it stays until the tolerance is over. */
static void a_key_that_one_direction_uses_stays(void **state)
{
    struct tcpao_mkt keys[] = {key_of(1), key_of(2)};
    struct pair *p = *state;
    struct seg s;

    keys[0].accept.until = 1000;
    open_pair(p, 600, keys, 2, 0);
    s = forge_choice(2, 1, isn_b + 1);
    assert_int_equal(verify(p->a, 0, &s, NULL), TCPAO_OK);
    assert_int_equal(sends(p->a, 1500, true), 1);
    s = forge_choice(1, 1, isn_b + 1);
    assert_true(tcpao_conn_accepts(p->a, 1, 1500));
    assert_int_equal(verify(p->a, 1500, &s, NULL), TCPAO_OK);
}

static void the_caller_chooses_the_current_key(void **state)
{
    struct tcpao_mkt keys[] = {key_of(1), key_of(2), key_during(3, 1000, 2000)};
    struct pair *p = *state;

    open_pair(p, 60, keys, 3, 0);
    assert_int_equal(sends(p->a, 0, true), 2);
    assert_true(tcpao_conn_use_key(p->a, 1, 0));
    assert_int_equal(sends(p->a, 0, true), 1);
    assert_false(tcpao_conn_use_key(p->a, 3, 999));
    assert_false(tcpao_conn_use_key(p->a, 4, 0));
    assert_int_equal(sends(p->a, 999, true), 1);
    assert_true(tcpao_conn_use_key(p->a, 3, 1000));
    assert_int_equal(sends(p->a, 1000, true), 3);
}

static void ids_that_differ_per_direction(void **state)
{
    struct tcpao_mkt at_a = key_of(1), at_b = key_of(1);
    struct pair *p = *state;
    struct seg s;

    at_a.send_id = at_b.recv_id = 200;
    at_a.recv_id = at_b.send_id = 0;
    p->a = conn_of(chain_of(60, &at_a, 1), true);
    p->b = conn_of(chain_of(60, &at_b, 1), false);
    open_from_b(p->a, p->b, 0, isn_a, isn_b);
    s = ack_from(p->a, 0, true);
    assert_int_equal(keyid_of(&s), 200);
    assert_int_equal(rnext_of(&s), 0);
    s = ack_from(p->b, 0, false);
    assert_int_equal(keyid_of(&s), 0);
    assert_int_equal(rnext_of(&s), 200);
}

/* ---- Changing the chain under a connection --------------------------------------------------- */

static void removing_the_key_in_use(void **state)
{
    struct tcpao_mkt keys[] = {key_of(1), key_of(2)};
    struct tcpao_chain *chain = chain_of(60, keys, 2);
    struct pair *p = *state;
    struct seg s;

    p->a = conn_of(tcpao_chain_get(chain), true);
    p->b = conn_of(chain_of(60, keys, 2), false);
    open_from_b(p->a, p->b, 0, isn_a, isn_b);
    assert_int_equal(sends(p->a, 0, true), 2);
    s = ack_from(p->b, 0, false);
    assert_int_equal(tcpao_chain_remove(chain, 2), TCPAO_CHAIN_OK);
    assert_int_equal(verify(p->a, 0, &s, NULL), TCPAO_UNKNOWN_KEYID);
    assert_int_equal(sends(p->a, 0, true), 1);
    assert_int_equal(tcpao_chain_remove(chain, 1), TCPAO_CHAIN_OK);
    s = seg_of(isn_a + 1, isn_b + 1, ACK, "");
    assert_int_equal(sign(p->a, 0, &s, &s), TCPAO_NO_SEND_KEY);
    tcpao_chain_put(chain);
}

static void a_number_used_again_is_another_key(void **state)
{
    struct tcpao_mkt key = key_of(1);
    struct tcpao_chain *chain = chain_of(60, &key, 1);
    struct pair *p = *state;
    struct seg s;

    p->a = conn_of(tcpao_chain_get(chain), true);
    p->b = conn_of(chain_of(60, &key, 1), false);
    open_from_b(p->a, p->b, 0, isn_a, isn_b);
    s = ack_from(p->b, 0, false);
    assert_int_equal(verify(p->a, 0, &s, NULL), TCPAO_OK);
    assert_int_equal(tcpao_chain_remove(chain, 1), TCPAO_CHAIN_OK);
    key.secret = (const uint8_t *)"another!";
    assert_int_equal(tcpao_chain_add(chain, &key, NULL), TCPAO_CHAIN_OK);
    assert_int_equal(verify(p->a, 0, &s, NULL), TCPAO_BAD_MAC);
    s = ack_from(p->a, 0, true);
    assert_int_equal(verify(p->b, 0, &s, NULL), TCPAO_BAD_MAC);
    tcpao_chain_put(chain);
}

static void forged_key_ids_change_nothing(void **state)
{
    struct tcpao_mkt keys[64];
    struct pair *p = *state;
    struct tcpao_conn_state before;
    struct seg good, bad;

    for (uint32_t i = 0; i < ARRAY_LEN(keys); i++)
        keys[i] = key_of(i);
    open_pair(p, 60, keys, ARRAY_LEN(keys), 0);
    good = ack_from(p->b, 0, false);
    assert_int_equal(verify(p->a, 0, &good, NULL), TCPAO_OK);
    before = state_of(p->a);
    for (int id = 0; id < 256; id++) {
        bad = good;
        bad.hdr[22] = (uint8_t)id;
        if (id == good.hdr[22])
            continue;
        assert_int_equal(verify(p->a, 0, &bad, NULL),
                         id < (int)ARRAY_LEN(keys) ? TCPAO_BAD_MAC : TCPAO_UNKNOWN_KEYID);
    }
    assert_unchanged(p->a, &before);
    assert_int_equal(verify(p->a, 0, &good, NULL), TCPAO_OK);

    /* And every key does work. */
    for (uint8_t id = 0; id < ARRAY_LEN(keys); id++) {
        good = forge_choice(id, id, isn_b + 1);
        assert_int_equal(verify(p->a, 0, &good, NULL), TCPAO_OK);
        assert_int_equal(sends(p->a, 0, true), id);
    }
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, no_pair, close_pair)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_segment_is_refused_while_keys_roll_over),
        T(announced_then_used),
        T(forced_at_the_end_of_the_send_lifetime),
        T(tick_moves_without_traffic),
        T(the_last_key_fails_closed),
        T(a_gap_ends_with_the_next_key),
        T(the_peer_chooses_our_current_key),
        T(a_peer_ahead_of_our_clock),
        T(late_segments_do_not_turn_a_rollover_back),
        T(an_old_key_goes_when_both_directions_left_it),
        T(what_we_would_not_accept_is_not_announced),
        T(a_key_that_one_direction_uses_stays),
        T(a_syn_ack_uses_the_keys_of_the_syn),
        T(the_caller_chooses_the_current_key),
        T(ids_that_differ_per_direction),
        T(removing_the_key_in_use),
        T(a_number_used_again_is_another_key),
        T(forged_key_ids_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
