/*
 * The life of a connection: opening in every order, retransmission, reset, another life on the
 * same ports, the wrap of sequence numbers, a restart; and what is refused.
 */
#include "ao_ends.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static const uint32_t isn_a = 0x11111111, isn_b = 0x22222222;

/* Two ends with one key, closed again after each test. */
struct ends {
    struct tcpao_conn *a, *b;
};

static struct tcpao_conn *one_key(bool a)
{
    const struct tcpao_mkt mkt = key_of(1);

    return conn_of(chain_of(3600, &mkt, 1), a);
}

static int setup(void **state)
{
    static struct ends ends;

    ends = (struct ends){one_key(true), one_key(false)};
    *state = &ends;
    return 0;
}

static int teardown(void **state)
{
    struct ends *e = *state;

    tcpao_conn_free(e->a);
    tcpao_conn_free(e->b);
    return 0;
}

static void assert_isns(const struct tcpao_conn *c, uint32_t local, uint32_t remote)
{
    struct tcpao_conn_state st = state_of(c);

    assert_true(st.local_isn_known && st.remote_isn_known);
    assert_int_equal(st.local_isn, local);
    assert_int_equal(st.remote_isn, remote);
}

/* Data both ways; `n` octets were sent so far from each end besides the SYN. */
static void talk(struct ends *e, uint32_t a, uint32_t b, uint32_t n)
{
    pass(e->a, e->b, 0, seg_of(a + 1 + n, b + 1 + n, PSH | ACK, "from a"));
    pass(e->b, e->a, 0, seg_of(b + 1 + n, a + 7 + n, PSH | ACK, "from b"));
}

/* ---- Opening -------------------------------------------------------------------------------- */

static void open_talk_close(void **state)
{
    struct ends *e = *state;

    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    assert_isns(e->a, isn_a, isn_b);
    assert_isns(e->b, isn_b, isn_a);
    talk(e, isn_a, isn_b, 0);
    /* FIN from both ends, the last ACK and its repetition out of time-wait: as any other. */
    pass(e->a, e->b, 0, seg_of(isn_a + 7, isn_b + 7, FIN | ACK, ""));
    pass(e->b, e->a, 0, seg_of(isn_b + 7, isn_a + 8, FIN | ACK, ""));
    pass(e->a, e->b, 0, seg_of(isn_a + 8, isn_b + 8, ACK, ""));
    pass(e->b, e->a, 0, seg_of(isn_b + 7, isn_a + 8, FIN | ACK, ""));
    pass(e->a, e->b, 0, seg_of(isn_a + 8, isn_b + 8, ACK, ""));
}

static void a_reset_is_signed_as_any_other(void **state)
{
    struct ends *e = *state;

    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    pass(e->a, e->b, 0, seg_of(isn_a + 1, 0, RST, ""));
    pass(e->b, e->a, 0, seg_of(isn_b + 1, isn_a + 1, RST | ACK, ""));
}

static void handshake_segments_may_repeat(void **state)
{
    struct ends *e = *state;

    pass(e->b, e->a, 0, seg_of(isn_b, 0, SYN, ""));
    pass(e->b, e->a, 1, seg_of(isn_b, 0, SYN, ""));
    pass(e->a, e->b, 1, seg_of(isn_a, isn_b + 1, SYN | ACK, ""));
    pass(e->b, e->a, 2, seg_of(isn_b, 0, SYN, ""));
    pass(e->a, e->b, 2, seg_of(isn_a, isn_b + 1, SYN | ACK, ""));
    pass(e->b, e->a, 3, seg_of(isn_b + 1, isn_a + 1, ACK, ""));
    pass(e->a, e->b, 3, seg_of(isn_a, isn_b + 1, SYN | ACK, ""));
    talk(e, isn_a, isn_b, 0);
    assert_isns(e->a, isn_a, isn_b);
}

static void simultaneous_open_with_syn_acks(void **state)
{
    struct ends *e = *state;
    struct seg syn_a, syn_b, in;

    in = seg_of(isn_a, 0, SYN, "");
    assert_int_equal(sign(e->a, 0, &in, &syn_a), TCPAO_OK);
    in = seg_of(isn_b, 0, SYN, "");
    assert_int_equal(sign(e->b, 0, &in, &syn_b), TCPAO_OK);
    assert_int_equal(receive(e->a, 0, &syn_b), TCPAO_OK);
    assert_int_equal(receive(e->b, 0, &syn_a), TCPAO_OK);
    assert_isns(e->a, isn_a, isn_b);
    pass(e->a, e->b, 0, seg_of(isn_a, isn_b + 1, SYN | ACK, ""));
    pass(e->b, e->a, 0, seg_of(isn_b, isn_a + 1, SYN | ACK, ""));
    talk(e, isn_a, isn_b, 0);
}

static void simultaneous_open_with_plain_acks(void **state)
{
    struct ends *e = *state;
    struct seg syn_a, syn_b, in;

    in = seg_of(isn_a, 0, SYN, "");
    assert_int_equal(sign(e->a, 0, &in, &syn_a), TCPAO_OK);
    in = seg_of(isn_b, 0, SYN, "");
    assert_int_equal(sign(e->b, 0, &in, &syn_b), TCPAO_OK);
    assert_int_equal(receive(e->a, 0, &syn_b), TCPAO_OK);
    pass(e->a, e->b, 0, seg_of(isn_a, isn_b + 1, SYN | ACK, ""));
    assert_int_equal(receive(e->b, 0, &syn_a), TCPAO_OK); /* late */
    pass(e->b, e->a, 0, seg_of(isn_b + 1, isn_a + 1, ACK, ""));
    talk(e, isn_a, isn_b, 0);
}

/* The peer's SYN is verified before our own leaves (they wait in two queues). */
static void simultaneous_open_peer_first(void **state)
{
    struct ends *e = *state;
    struct seg syn_b, in = seg_of(isn_b, 0, SYN, "");

    assert_int_equal(sign(e->b, 0, &in, &syn_b), TCPAO_OK);
    assert_int_equal(receive(e->a, 0, &syn_b), TCPAO_OK);
    pass(e->a, e->b, 0, seg_of(isn_a, 0, SYN, ""));
    assert_isns(e->a, isn_a, isn_b);
    pass(e->b, e->a, 0, seg_of(isn_b + 1, isn_a + 1, ACK, ""));
    pass(e->a, e->b, 0, seg_of(isn_a, isn_b + 1, SYN | ACK, ""));
    talk(e, isn_a, isn_b, 0);
}

static void a_new_syn_begins_a_new_life(void **state)
{
    struct ends *e = *state;
    struct tcpao_conn_state st;

    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    talk(e, isn_a, isn_b, 0);
    pass(e->b, e->a, 0, seg_of(isn_b + 1000, 0, SYN, ""));
    st = state_of(e->b);
    assert_int_equal(st.local_isn, isn_b + 1000);
    assert_false(st.remote_isn_known);
    assert_true(st.snd.highest == isn_b + 1000);
    assert_false(st.last_recv_known);
    /* The passive end changes when it answers, not before. */
    assert_isns(e->a, isn_a, isn_b);
    pass(e->a, e->b, 0, seg_of(isn_a + 1000, isn_b + 1001, SYN | ACK, ""));
    assert_isns(e->a, isn_a + 1000, isn_b + 1000);
    pass(e->b, e->a, 0, seg_of(isn_b + 1001, isn_a + 1001, ACK, ""));
    talk(e, isn_a + 1000, isn_b + 1000, 0);
}

/* Both ends begin a new life at once: the peer's SYN counts when ours leaves. */
static void a_new_life_by_simultaneous_open(void **state)
{
    struct ends *e = *state;
    struct seg syn_b, in = seg_of(isn_b + 1000, 0, SYN, "");

    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    assert_int_equal(sign(e->b, 0, &in, &syn_b), TCPAO_OK);
    assert_int_equal(receive(e->a, 0, &syn_b), TCPAO_OK);
    assert_isns(e->a, isn_a, isn_b);
    pass(e->a, e->b, 0, seg_of(isn_a + 1000, 0, SYN, ""));
    assert_isns(e->a, isn_a + 1000, isn_b + 1000);
    /* Our SYN once more: nothing is forgotten. */
    pass(e->a, e->b, 1, seg_of(isn_a + 1000, 0, SYN, ""));
    assert_isns(e->a, isn_a + 1000, isn_b + 1000);
    pass(e->b, e->a, 1, seg_of(isn_b + 1001, isn_a + 1001, ACK, ""));
    pass(e->a, e->b, 1, seg_of(isn_a + 1000, isn_b + 1001, SYN | ACK, ""));
    talk(e, isn_a + 1000, isn_b + 1000, 0);
}

/* What a SYN announced is used up by its life, and a repeated SYN announces none. */
static void no_stale_life_is_taken_up(void **state)
{
    struct ends *e = *state;
    struct seg in;

    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    open_from_b(e->a, e->b, 0, isn_a + 1000, isn_b + 1000);
    in = seg_of(isn_a + 2000, 0, SYN, "");
    assert_int_equal(sign(e->a, 0, &in, &in), TCPAO_OK);
    assert_false(state_of(e->a).remote_isn_known);

    pass(e->b, e->a, 0, seg_of(isn_b + 2000, 0, SYN, ""));
    pass(e->a, e->b, 0, seg_of(isn_a + 2000, isn_b + 2001, SYN | ACK, ""));
    pass(e->b, e->a, 0, seg_of(isn_b + 2000, 0, SYN, ""));
    in = seg_of(isn_a + 3000, 0, SYN, "");
    assert_int_equal(sign(e->a, 0, &in, &in), TCPAO_OK);
    assert_false(state_of(e->a).remote_isn_known);
}

/* A SYN's MAC depends on nothing that the receiver chose, so an old one verifies again. It must
 * not disturb the connection that is there. */
static void a_replayed_syn_disturbs_nothing(void **state)
{
    struct ends *e = *state;
    struct seg old, in = seg_of(isn_b - 5000, 0, SYN, "");

    assert_int_equal(sign(e->b, 0, &in, &old), TCPAO_OK);
    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    assert_int_equal(receive(e->a, 0, &old), TCPAO_OK);
    talk(e, isn_a, isn_b, 0);
    assert_isns(e->a, isn_a, isn_b);
    /* Nor one on its way out: a challenge ACK (RFC 5961) is signed with the living ISNs. */
    pass(e->a, e->b, 0, seg_of(isn_a + 7, isn_b + 7, ACK, ""));

    /* Replayed while our own SYN waits for its answer. */
    pass(e->b, e->a, 0, seg_of(isn_b + 9000, 0, SYN, ""));
    tcpao_conn_free(e->a);
    e->a = one_key(true);
    in = seg_of(isn_a + 9000, 0, SYN, "");
    assert_int_equal(sign(e->a, 0, &in, &in), TCPAO_OK);
    assert_int_equal(receive(e->a, 0, &old), TCPAO_OK);
    assert_int_equal(receive(e->b, 0, &in), TCPAO_OK);
    pass(e->b, e->a, 0, seg_of(isn_b + 9000, isn_a + 9001, SYN | ACK, ""));
    assert_isns(e->a, isn_a + 9000, isn_b + 9000);
}

/* ---- A refused SYN -------------------------------------------------------------------------- */

static void a_refusal_is_bound_to_the_syn(void **state)
{
    struct ends *e = *state;
    struct seg in, refusal, other;

    pass(e->b, e->a, 0, seg_of(isn_b, 0, SYN, ""));
    in = seg_of(0, isn_b + 1, RST | ACK, "");
    assert_int_equal(sign(e->a, 0, &in, &refusal), TCPAO_OK);

    /* Another attempt has another ISN: the old refusal does not hit it. */
    in = seg_of(isn_b + 77, 0, SYN, "");
    assert_int_equal(sign(e->b, 0, &in, &other), TCPAO_OK);
    assert_int_equal(verify(e->b, 0, &refusal, NULL), TCPAO_ISN_UNKNOWN);
    put32(refusal.hdr + 8, isn_b + 78);
    assert_int_equal(verify(e->b, 0, &refusal, NULL), TCPAO_BAD_MAC);

    /* Its own does, and teaches nothing of the peer's numbers. */
    assert_int_equal(receive(e->a, 0, &other), TCPAO_OK);
    in = seg_of(0, isn_b + 78, RST | ACK, "");
    assert_int_equal(sign(e->a, 0, &in, &refusal), TCPAO_OK);
    assert_int_equal(verify(e->b, 0, &refusal, NULL), TCPAO_OK);
    assert_false(state_of(e->b).remote_isn_known);

    /* Both ends can still open. */
    open_from_b(e->a, e->b, 0, isn_a, isn_b + 77);
    talk(e, isn_a, isn_b + 77, 0);
}

static void a_refusal_after_an_earlier_life(void **state)
{
    struct ends *e = *state;

    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    pass(e->b, e->a, 0, seg_of(isn_b + 1000, 0, SYN, ""));
    pass(e->a, e->b, 0, seg_of(0, isn_b + 1001, RST | ACK, ""));
}

static void no_reset_without_state(void **state)
{
    struct ends *e = *state;
    struct seg in = seg_of(5, 0, RST, ""), out;

    assert_int_equal(sign(e->a, 0, &in, &out), TCPAO_ISN_UNKNOWN);
    in = seg_of(0, 6, RST | ACK, "");
    assert_int_equal(sign(e->a, 0, &in, &out), TCPAO_ISN_UNKNOWN);
    pass(e->b, e->a, 0, seg_of(isn_b, 0, SYN, ""));
    in = seg_of(0, 6, RST | ACK, ""); /* not an answer to that SYN */
    assert_int_equal(sign(e->a, 0, &in, &out), TCPAO_ISN_UNKNOWN);
}

/* ---- Sequence number extension --------------------------------------------------------------- */

static void retransmission_across_the_wrap(void **state)
{
    struct ends *e = *state;
    const uint32_t near_end = 0xfffffff0;
    struct seg before, after, in;
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX], mac[TCPAO_MAC_MAX];
    struct tcpao_option o;

    open_from_b(e->a, e->b, 0, near_end, isn_b);
    in = seg_of(near_end + 1, isn_b + 1, ACK, "before the wrap");
    assert_int_equal(sign(e->a, 0, &in, &before), TCPAO_OK);
    in = seg_of(near_end + 16, isn_b + 1, ACK, "after the wrap");
    assert_int_equal(in.hdr[4] | in.hdr[5] | in.hdr[6] | in.hdr[7], 0);
    assert_int_equal(sign(e->a, 0, &in, &after), TCPAO_OK);
    assert_true(state_of(e->a).snd.highest == 1ull << 32);

    /* The later segment arrives first, then the earlier, then both again. */
    assert_int_equal(receive(e->b, 0, &after), TCPAO_OK);
    assert_true(state_of(e->b).rcv.highest == 1ull << 32);
    assert_int_equal(receive(e->b, 0, &before), TCPAO_OK);
    assert_int_equal(receive(e->b, 0, &after), TCPAO_OK);
    assert_true(state_of(e->b).rcv.highest == 1ull << 32);

    /* A retransmission is signed with the SNE it had. */
    in = seg_of(near_end + 1, isn_b + 1, ACK, "before the wrap");
    assert_int_equal(sign(e->a, 0, &in, &in), TCPAO_OK);
    assert_memory_equal(in.hdr, before.hdr, before.hdr_len);

    /* And the SNE is in the MAC: 1 after the wrap. */
    assert_int_equal(
        tcpao_kdf(TCPAO_HMAC_SHA_1, key_of(1).secret, 8, &end_a, &end_b, near_end, isn_b, key),
        TCPAO_OK);
    assert_int_equal(tcpao_option_find(after.hdr, after.hdr_len, &o), TCPAO_OK);
    for (uint32_t sne = 0; sne < 2; sne++) {
        assert_int_equal(tcpao_segment_mac(TCPAO_HMAC_SHA_1, key, true, 12, &end_a, &end_b, sne,
                                           after.hdr, after.hdr_len, after.payload,
                                           after.payload_len, mac),
                         TCPAO_OK);
        assert_int_equal(memcmp(mac, after.hdr + o.offset + 4, 12) == 0, sne == 1);
    }
}

static void four_gigabytes_and_more(void **state)
{
    struct ends *e = *state;
    uint64_t position = isn_a;

    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    for (int i = 0; i < 40; i++) {
        position += 0x3fffffff;
        pass(e->a, e->b, 0, seg_of((uint32_t)position, isn_b + 1, ACK, "x"));
    }
    assert_true(position >> 32 == 10);
    assert_true(state_of(e->b).rcv.highest == position);
}

/* ---- Refused --------------------------------------------------------------------------------- */

static void assert_refused(struct tcpao_conn *c, const struct seg *s, enum tcpao_result expected)
{
    const struct tcpao_conn_state before = state_of(c);

    assert_int_equal(verify(c, 0, s, NULL), expected);
    assert_unchanged(c, &before);
}

static void every_octet_counts(void **state)
{
    static const uint8_t timestamps[] = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
    struct ends *e = *state;
    struct seg good, in;

    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    in = seg_with(isn_a + 1, isn_b + 1, PSH | ACK, "payload", timestamps, sizeof(timestamps));
    assert_int_equal(sign(e->a, 0, &in, &good), TCPAO_OK);
    for (size_t bit = 0; bit < 8 * (good.hdr_len + good.payload_len); bit++) {
        struct seg bad = good;
        size_t i = bit / 8;
        const struct tcpao_conn_state before = state_of(e->b);

        if (i == 16 || i == 17)
            continue; /* the checksum is not covered: it is made after the MAC */
        if (i < good.hdr_len)
            bad.hdr[i] ^= (uint8_t)(1 << bit % 8);
        else
            bad.payload[i - good.hdr_len] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(verify(e->b, 0, &bad, NULL), TCPAO_OK);
        assert_unchanged(e->b, &before);
    }
    good.payload_len--;
    assert_refused(e->b, &good, TCPAO_BAD_MAC);
    good.payload_len++;
    good.hdr[16] ^= 0xff;
    assert_int_equal(verify(e->b, 0, &good, NULL), TCPAO_OK);
}

static void options_count_if_the_mkt_says_so(void **state)
{
    static const uint8_t timestamps[] = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
    struct tcpao_mkt mkt = key_of(1);
    struct tcpao_conn *a, *b;
    struct seg s;

    mkt.options_covered = false;
    a = conn_of(chain_of(0, &mkt, 1), true);
    b = conn_of(chain_of(0, &mkt, 1), false);
    open_from_b(a, b, 0, isn_a, isn_b);
    s = seg_with(isn_a + 1, isn_b + 1, ACK, "x", timestamps, sizeof(timestamps));
    assert_int_equal(sign(a, 0, &s, &s), TCPAO_OK);
    s.hdr[27] ^= 1; /* a middlebox rewrote a timestamp */
    assert_int_equal(verify(b, 0, &s, NULL), TCPAO_OK);
    s.hdr[32 + 3] ^= 1; /* but RNextKeyID counts always */
    assert_int_equal(verify(b, 0, &s, NULL), TCPAO_BAD_MAC);
    tcpao_conn_free(a);
    tcpao_conn_free(b);
}

static void segments_of_other_connections(void **state)
{
    struct ends *e = *state;
    struct tcpao_endpoint nat = end_a;
    const struct tcpao_mkt mkt = key_of(1);
    struct tcpao_chain *chain = chain_of(0, &mkt, 1);
    struct tcpao_conn *c;
    struct seg s;

    nat.addr[3] = 99;
    c = tcpao_conn_new(chain, &end_b, &nat);
    tcpao_chain_put(chain);
    s = seg_of(isn_a, 0, SYN, "");
    assert_int_equal(sign(e->a, 0, &s, &s), TCPAO_OK);
    assert_int_equal(verify(c, 0, &s, NULL), TCPAO_BAD_MAC);
    tcpao_conn_free(c);
}

static void reasons(void **state)
{
    static const uint8_t md5[] = {19, 18, 1,  2,  3,  4,  5,  6,  7, 8,
                                  9,  10, 11, 12, 13, 14, 15, 16, 1, 1};
    struct ends *e = *state;
    struct seg in, s;
    struct tcpao_seen seen;

    in = seg_of(isn_a + 1, isn_b + 1, ACK, "x");
    assert_int_equal(sign(e->a, 0, &in, &s), TCPAO_ISN_UNKNOWN);
    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    assert_int_equal(sign(e->a, 0, &in, &s), TCPAO_OK);
    tcpao_conn_free(e->b);
    e->b = one_key(false);
    assert_refused(e->b, &s, TCPAO_ISN_UNKNOWN);

    assert_refused(e->a, &in, TCPAO_MISSING_AO);
    in = seg_with(isn_a + 1, isn_b + 1, ACK, "x", md5, sizeof(md5));
    assert_refused(e->a, &in, TCPAO_MD5_CLASH);
    assert_int_equal(sign(e->a, 0, &in, &s), TCPAO_MD5_CLASH);
    in = seg_of(isn_a + 1, isn_b + 1, ACK, "x");
    assert_int_equal(sign(e->a, 0, &in, &s), TCPAO_OK);
    assert_int_equal(sign(e->a, 0, &s, &in), TCPAO_DUPLICATE_OPTION);
    s.hdr[12] = 0xf0;
    assert_refused(e->a, &s, TCPAO_MALFORMED);
    assert_int_equal(sign(e->a, 0, &s, &in), TCPAO_MALFORMED);
    s.hdr[12] = 0x90;
    s.hdr[22] = 9; /* KeyID */
    assert_int_equal(verify(e->a, 0, &s, &seen), TCPAO_UNKNOWN_KEYID);
    assert_true(seen.option.ao);
    assert_int_equal(seen.option.keyid, 9);
    assert_false(seen.key_known);
}

static void length_must_be_the_mkts(void **state)
{
    struct ends *e = *state;
    struct tcpao_mkt mkt = key_of(1);
    struct tcpao_conn *longer;
    struct tcpao_seen seen;
    struct seg s = seg_of(isn_b, 0, SYN, "");

    mkt.mac_len = 16;
    longer = conn_of(chain_of(0, &mkt, 1), false);
    assert_int_equal(sign(longer, 0, &s, &s), TCPAO_OK);
    assert_int_equal(verify(e->a, 0, &s, &seen), TCPAO_BAD_LENGTH);
    assert_true(seen.key_known);
    assert_int_equal(seen.key_number, 1);
    tcpao_conn_free(longer);
}

static void sequence_numbers_before_the_first(void **state)
{
    struct ends *e = *state;
    struct seg s;

    open_from_b(e->a, e->b, 0, 5, isn_b);
    s = seg_of(6, isn_b + 1, ACK, "x");
    assert_int_equal(sign(e->a, 0, &s, &s), TCPAO_OK);
    put32(s.hdr + 4, 0xffffff00);
    assert_refused(e->b, &s, TCPAO_OLD_SEQUENCE);
    s = seg_of(0xffffff00, isn_b + 1, ACK, "x");
    assert_int_equal(sign(e->a, 0, &s, &s), TCPAO_OLD_SEQUENCE);
}

static void only_a_syn_is_verified_as_one(void **state)
{
    struct ends *e = *state;
    const struct tcpao_mkt mkt = key_of(1);
    struct tcpao_chain *chain = chain_of(0, &mkt, 1);
    struct tcpao_seen seen;
    struct seg s = seg_of(isn_b, 0, SYN, "");

    assert_int_equal(sign(e->b, 0, &s, &s), TCPAO_OK);
    assert_int_equal(
        tcpao_verify_syn(chain, &end_a, &end_b, 0, s.hdr, s.hdr_len, s.payload, 0, &seen),
        TCPAO_OK);
    assert_int_equal(
        tcpao_verify_syn(chain, &end_b, &end_a, 0, s.hdr, s.hdr_len, s.payload, 0, &seen),
        TCPAO_BAD_MAC);
    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    s = seg_of(isn_b + 1, isn_a + 1, ACK, "");
    assert_int_equal(sign(e->b, 0, &s, &s), TCPAO_OK);
    assert_int_equal(
        tcpao_verify_syn(chain, &end_a, &end_b, 0, s.hdr, s.hdr_len, s.payload, 0, &seen),
        TCPAO_ISN_UNKNOWN);
    tcpao_chain_put(chain);
}

static void a_syn_ack_must_answer_our_syn(void **state)
{
    struct ends *e = *state;
    struct seg s = seg_of(isn_b, 0, SYN, ""), answer;

    pass(e->b, e->a, 0, s);
    s = seg_of(isn_a, isn_b + 1, SYN | ACK, "");
    assert_int_equal(sign(e->a, 0, &s, &answer), TCPAO_OK);
    s = seg_of(isn_b + 50, 0, SYN, "");
    assert_int_equal(sign(e->b, 0, &s, &s), TCPAO_OK);
    assert_refused(e->b, &answer, TCPAO_ISN_UNKNOWN);
    tcpao_conn_free(e->b);
    e->b = one_key(false);
    assert_refused(e->b, &answer, TCPAO_ISN_UNKNOWN);
}

/* ---- More ------------------------------------------------------------------------------------ */

static void every_algorithm_and_family(void **state)
{
    for (int alg = TCPAO_HMAC_SHA_1; alg <= TCPAO_HMAC_SHA_256; alg++)
        for (uint8_t mac_len = TCPAO_MAC_MIN; mac_len <= tcpao_mac_len_max((enum tcpao_alg)alg);
             mac_len++)
            for (int v6 = 0; v6 < 2; v6++) {
                struct tcpao_endpoint a = end_a, b = end_b;
                struct tcpao_mkt mkt = key_of(1);
                struct tcpao_chain *chain;
                struct ends e;

                a.addr_len = b.addr_len = v6 ? 16 : 4;
                mkt.alg = (enum tcpao_alg)alg;
                mkt.mac_len = mac_len;
                chain = chain_of(0, &mkt, 1);
                e = (struct ends){tcpao_conn_new(chain, &a, &b), tcpao_conn_new(chain, &b, &a)};
                tcpao_chain_put(chain);
                open_from_b(e.a, e.b, 0, isn_a, isn_b);
                talk(&e, isn_a, isn_b, 0);
                tcpao_conn_free(e.a);
                tcpao_conn_free(e.b);
            }
}

static void addresses_of_one_family(void **state)
{
    struct tcpao_endpoint b = end_b;
    const struct tcpao_mkt mkt = key_of(1);
    struct tcpao_chain *chain = chain_of(0, &mkt, 1);
    struct seg s = seg_of(1, 0, SYN, "");
    struct tcpao_conn *c;

    b.addr_len = 16;
    c = tcpao_conn_new(chain, &end_a, &b);
    assert_int_equal(sign(c, 0, &s, &s), TCPAO_MALFORMED);
    tcpao_conn_free(c);
    tcpao_chain_put(chain);
}

/* The pseudo-header of IPv4 has 16 bits for the length. */
static void longer_than_ip_can_carry(void **state)
{
    static uint8_t payload[65536];
    struct ends *e = *state;
    struct seg in = seg_of(isn_a + 1, isn_b + 1, ACK, "");
    struct tcpao_seen seen;
    uint8_t out[TCPAO_TCP_HEADER_MAX];
    size_t len;

    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    assert_int_equal(tcpao_conn_sign(e->a, 0, in.hdr, 20, payload, 65535 - 36, out, &len),
                     TCPAO_OK);
    assert_int_equal(tcpao_conn_verify(e->b, 0, out, len, payload, 65535 - 36, &seen), TCPAO_OK);
    assert_int_equal(tcpao_conn_verify(e->b, 0, out, len, payload, 65535 - 35, &seen),
                     TCPAO_MALFORMED);
    assert_int_equal(tcpao_conn_sign(e->a, 0, in.hdr, 20, payload, 65535 - 35, out, &len),
                     TCPAO_MALFORMED);
    assert_int_equal(len, 0);
}

static void a_restart_loses_nothing(void **state)
{
    struct ends *e = *state;
    struct tcpao_conn_state st;

    open_from_b(e->a, e->b, 0, 0xfffffff0, isn_b);
    for (int i = 0; i < 8; i++)
        pass(e->a, e->b, 0, seg_of(0xfffffff1 + 4 * (uint32_t)i, isn_b + 1, ACK, "data"));
    st = state_of(e->a);
    assert_true(st.snd.highest >> 32 == 1);
    tcpao_conn_free(e->a);
    e->a = one_key(true);
    tcpao_conn_import(e->a, &st);
    pass(e->a, e->b, 0, seg_of(0x11, isn_b + 1, ACK, "on"));
    pass(e->b, e->a, 0, seg_of(isn_b + 1, 0x13, ACK, "on"));
    st = state_of(e->b);
    tcpao_conn_import(e->b, &st);
    pass(e->a, e->b, 0, seg_of(0x13, isn_b + 3, ACK, "and on"));
}

static void another_generation_of_the_chain(void **state)
{
    struct ends *e = *state;
    struct tcpao_mkt mkt = key_of(1);
    struct tcpao_chain *chain = chain_of(0, &mkt, 1);
    struct seg s;

    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    tcpao_conn_set_chain(e->a, chain);
    tcpao_chain_put(chain);
    talk(e, isn_a, isn_b, 0);

    /* The same number may be another secret: what was derived before is not used. */
    mkt.secret = (const uint8_t *)"another!";
    chain = chain_of(0, &mkt, 1);
    tcpao_conn_set_chain(e->a, chain);
    s = seg_of(isn_a + 7, isn_b + 7, ACK, "x");
    assert_int_equal(sign(e->a, 0, &s, &s), TCPAO_OK);
    assert_int_equal(verify(e->b, 0, &s, NULL), TCPAO_BAD_MAC);
    tcpao_conn_set_chain(e->b, chain);
    tcpao_chain_put(chain);
    assert_int_equal(verify(e->b, 0, &s, NULL), TCPAO_OK);
}

static void mismatch_passes_where_accepted(void **state)
{
    struct ends *e = *state;
    struct tcpao_mkt keys[] = {key_of(1), key_of(2)};
    struct tcpao_conn *lenient;
    struct tcpao_seen seen;
    struct seg s;

    keys[0].accept_mismatch = true;
    keys[0].secret = (const uint8_t *)"mistyped";
    lenient = conn_of(chain_of(0, keys, 2), true);
    s = seg_of(isn_b, 0, SYN, "");
    assert_int_equal(sign(e->b, 0, &s, &s), TCPAO_OK);
    assert_int_equal(verify(lenient, 0, &s, &seen), TCPAO_OK);
    assert_true(seen.mismatch);
    tcpao_conn_accept_syn(lenient, 0, isn_b, &seen);
    s = seg_of(isn_a, isn_b + 1, SYN | ACK, "");
    assert_int_equal(sign(lenient, 0, &s, &s), TCPAO_OK);

    /* A wrong MAC moves no key, whatever RNextKeyID says. */
    tcpao_conn_free(e->a);
    e->a = one_key(true);
    open_from_b(e->a, e->b, 0, isn_a, isn_b);
    s = seg_of(isn_b + 1, isn_a + 1, ACK, "");
    assert_int_equal(sign(e->b, 0, &s, &s), TCPAO_OK);
    s.hdr[23] = 1;
    assert_int_equal(state_of(lenient).current_key, 2);
    assert_int_equal(verify(lenient, 0, &s, &seen), TCPAO_OK);
    assert_true(seen.mismatch);
    assert_false(seen.current_moved);
    assert_int_equal(state_of(lenient).current_key, 2);
    assert_false(state_of(lenient).last_recv_known);
    tcpao_conn_free(lenient);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(open_talk_close),
        T(a_reset_is_signed_as_any_other),
        T(handshake_segments_may_repeat),
        T(simultaneous_open_with_syn_acks),
        T(simultaneous_open_with_plain_acks),
        T(simultaneous_open_peer_first),
        T(a_new_syn_begins_a_new_life),
        T(a_new_life_by_simultaneous_open),
        T(no_stale_life_is_taken_up),
        T(a_replayed_syn_disturbs_nothing),
        T(a_refusal_is_bound_to_the_syn),
        T(a_refusal_after_an_earlier_life),
        T(no_reset_without_state),
        T(retransmission_across_the_wrap),
        T(four_gigabytes_and_more),
        T(every_octet_counts),
        T(options_count_if_the_mkt_says_so),
        T(segments_of_other_connections),
        T(reasons),
        T(length_must_be_the_mkts),
        T(sequence_numbers_before_the_first),
        T(only_a_syn_is_verified_as_one),
        T(a_syn_ack_must_answer_our_syn),
        T(every_algorithm_and_family),
        T(addresses_of_one_family),
        T(longer_than_ip_can_carry),
        T(a_restart_loses_nothing),
        T(another_generation_of_the_chain),
        T(mismatch_passes_where_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
