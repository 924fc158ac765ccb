/* "Why is it not up?" over facts made up here: each cause is found by its evidence, and first. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/explain.h"
#include "control/format.h"
#include "control/outlook.h"

enum { NOW = 1800000000, HOUR = 3600, DAY = 86400 };

struct facts {
    struct gh_session session;
    struct tcpao_chain *chain;
    struct ao_policy policy;
    uint64_t counters[AO_COUNTERS];
    struct ao_refusal refusals[AO_COUNTERS];
    struct ao_key_counters keys[TCPAO_CHAIN_KEYS_MAX];
    struct ao_session_view view;
    struct ao_connection_view connection;
    struct gh_evidence evidence;
    struct gh_explanation x;
};

static struct tcpao_endpoint endpoint(const char *text, uint16_t port)
{
    struct tcpao_endpoint e = {.port = port};
    struct gh_addr a;

    assert_true(gh_addr_parse(text, &a));
    memcpy(e.addr, a.octets, a.len);
    e.addr_len = a.len;
    return e;
}

static void add_key(struct facts *f, uint32_t number, uint8_t send_id, uint8_t recv_id,
                    int64_t from, int64_t until)
{
    struct tcpao_mkt k = {.number = number,
                          .send_id = send_id,
                          .recv_id = recv_id,
                          .alg = TCPAO_HMAC_SHA_1,
                          .mac_len = 12,
                          .options_covered = true,
                          .send = {from, until},
                          .accept = {from, until},
                          .secret = (const uint8_t *)"gate",
                          .secret_len = 4};

    assert_int_equal(tcpao_chain_add(f->chain, &k, NULL), TCPAO_CHAIN_OK);
}

/* A session with 192.0.2.2 and one infinite key, 3/8; no packet seen. */
static struct facts *facts_new(bool with_key)
{
    static char name[] = "upstream";
    struct facts *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->session = (struct gh_session){.name = name, .port = 179};
    assert_true(gh_prefix_parse("192.0.2.2", &f->session.peer));
    f->chain = tcpao_chain_new(HOUR);
    if (with_key)
        add_key(f, 1, 3, 8, TCPAO_TIME_MIN, TCPAO_TIME_MAX);
    f->policy = (struct ao_policy){.name = name, .chain_name = "core", .chain = f->chain};
    f->view = (struct ao_session_view){
        .policy = &f->policy, .counters = f->counters, .refusals = f->refusals, .keys = f->keys};
    f->connection = (struct ao_connection_view){.session = name,
                                                .chain_name = "core",
                                                .local = endpoint("192.0.2.1", 40000),
                                                .remote = endpoint("192.0.2.2", 179),
                                                .chain = f->chain,
                                                .since = NOW - 7200,
                                                .active = true,
                                                .counters = f->counters};
    f->evidence = (struct gh_evidence){.session = &f->session,
                                       .chain_name = "core",
                                       .chain = f->chain,
                                       .view = &f->view,
                                       .connections = &f->connection,
                                       .warn_before = 30 * DAY,
                                       .now = {.wall = NOW}};
    return f;
}

static void facts_free(struct facts *f)
{
    tcpao_chain_put(f->chain);
    free(f);
}

static void traffic(struct facts *f, uint64_t in, int64_t in_ago, uint64_t out, int64_t out_ago)
{
    f->view.packets_in = in;
    f->view.packets_out = out;
    f->view.last_in_wall = in > 0 ? NOW - in_ago : 0;
    f->view.last_out_wall = out > 0 ? NOW - out_ago : 0;
}

static struct ao_refusal *refuse(struct facts *f, unsigned counter, int64_t ago, enum ao_way way,
                                 uint8_t keyid)
{
    struct ao_refusal *r = &f->refusals[counter];

    f->counters[counter] = 3;
    *r = (struct ao_refusal){.seen = true,
                             .wall = NOW - ago,
                             .way = way,
                             .local = endpoint("192.0.2.1", 40000),
                             .remote = endpoint("192.0.2.2", 179),
                             .option = {.ao = true, .keyid = keyid, .rnext = 3, .mac_len = 12},
                             .tcp_flags = 0x12};
    if (f->view.packets_in == 0)
        traffic(f, 3, ago, 3, ago);
    return r;
}

/* The first finding; its cause must be the one expected. */
static const struct gh_finding *first(struct facts *f, enum gh_cause cause)
{
    gh_explain(&f->evidence, &f->x);
    assert_true(f->x.count > 0);
    assert_string_equal(gh_cause_name(f->x.findings[0].cause), gh_cause_name(cause));
    assert_true(f->x.findings[0].check_count > 0);
    assert_true(f->x.findings[0].summary[0] != '\0');
    return &f->x.findings[0];
}

static bool has(const struct facts *f, enum gh_cause cause)
{
    for (size_t i = 0; i < f->x.count; i++) {
        if (f->x.findings[i].cause == cause)
            return true;
    }
    return false;
}

#define assert_says(text_, part_)                                                                  \
    do {                                                                                           \
        if (strstr((text_), (part_)) == NULL)                                                      \
            fail_msg("\"%s\" does not say \"%s\"", (text_), (part_));                              \
    } while (0)

/* ---- Our own side --------------------------------------------------------------------------- */

static void a_session_that_is_not_in_force(void **state)
{
    struct facts *f = facts_new(true);

    f->evidence.view = NULL;
    first(f, GH_CAUSE_NOT_LOADED);
    assert_int_equal(f->x.verdict, GH_VERDICT_DOWN);
    assert_int_equal(f->x.count, 1);
    facts_free(f);
}

static void keys_that_are_over_to_come_or_missing(void **state)
{
    struct facts *f = facts_new(false);
    const struct gh_finding *x = first(f, GH_CAUSE_NO_KEYS);

    add_key(f, 1, 3, 8, NOW - 10 * DAY, NOW - DAY);
    x = first(f, GH_CAUSE_KEYS_EXPIRED);
    assert_says(x->summary, "1 d ago");
    add_key(f, 2, 4, 9, NOW + 2 * HOUR, NOW + DAY);
    x = first(f, GH_CAUSE_KEYS_NOT_YET);
    assert_says(x->summary, "key 2");
    assert_says(x->summary, "in 2 h");
    facts_free(f);
}

static void a_key_that_ike_has_not_made(void **state)
{
    static char berlin[] = "berlin";
    struct facts *f = facts_new(false);
    const struct gh_finding *x;

    f->session.ike_peer = berlin;
    f->session.chain = GH_NO_CHAIN;
    x = first(f, GH_CAUSE_NO_KEYS);
    assert_says(x->summary, "negotiated no key with berlin");
    assert_says(x->checks[0], "gatectl explain berlin");
    assert_says(x->checks[1], "show gatekeeper upstream detail");
    facts_free(f);
}

/* ---- What was refused ----------------------------------------------------------------------- */

static void a_wrong_mac(void **state)
{
    struct facts *f = facts_new(true);
    struct ao_refusal *r = refuse(f, TCPAO_BAD_MAC, 5, AO_IN, 8);
    const struct gh_finding *x = first(f, GH_CAUSE_WRONG_KEY);

    assert_says(x->summary, "KeyID 8, our key 1");
    assert_says(x->summary, "secret");
    assert_says(x->evidence, "bad-mac 3 times");
    assert_says(x->evidence, "5 s ago");
    assert_says(x->evidence, "192.0.2.2:179 to 192.0.2.1:40000, SYN+ACK, KeyID 8");
    strcpy(r->diagnosis, "options are not covered at the peer");
    x = first(f, GH_CAUSE_WRONG_KEY);
    assert_says(x->summary, "options are not covered at the peer");
    facts_free(f);
}

static void an_unknown_keyid(void **state)
{
    struct facts *f = facts_new(true);
    const struct gh_finding *x;

    add_key(f, 2, 4, 9, NOW - DAY, TCPAO_TIME_MAX);
    refuse(f, TCPAO_UNKNOWN_KEYID, 5, AO_IN, 77);
    x = first(f, GH_CAUSE_UNKNOWN_KEYID);
    assert_says(x->summary, "KeyID 77");
    assert_says(x->summary, "8 and 9");
    f->refusals[TCPAO_UNKNOWN_KEYID].option.keyid = 3;
    x = first(f, GH_CAUSE_UNKNOWN_KEYID);
    assert_says(x->summary, "not swapped");
    facts_free(f);
}

static void a_key_outside_its_lifetime(void **state)
{
    struct facts *f = facts_new(true);
    const struct gh_finding *x;

    add_key(f, 2, 4, 9, NOW + 3 * HOUR, TCPAO_TIME_MAX);
    add_key(f, 3, 5, 10, NOW - DAY, NOW - 3 * HOUR);
    refuse(f, TCPAO_KEY_NOT_VALID, 5, AO_IN, 9);
    x = first(f, GH_CAUSE_KEY_NOT_VALID);
    assert_says(x->summary, "already signs with key 2");
    assert_says(x->summary, "in 2 h"); /* the tolerance opens it an hour earlier */
    f->refusals[TCPAO_KEY_NOT_VALID].option.keyid = 10;
    x = first(f, GH_CAUSE_KEY_NOT_VALID);
    assert_says(x->summary, "still signs with key 3");
    assert_says(x->summary, "2 h ago");
    facts_free(f);
}

static void a_peer_without_ao(void **state)
{
    struct facts *f = facts_new(true);
    struct ao_refusal *r = refuse(f, TCPAO_MISSING_AO, 5, AO_IN, 0);

    r->option = (struct tcpao_option){.ao = false};
    assert_says(first(f, GH_CAUSE_PEER_WITHOUT_AO)->checks[0], "(192.0.2.1)");
    r->tcp_flags = 0x14;
    assert_says(first(f, GH_CAUSE_PEER_REFUSES)->summary, "nobody listens");
    facts_free(f);
}

static void reasons_with_one_answer(void **state)
{
    static const struct {
        unsigned counter;
        enum ao_way way;
        enum gh_cause cause;
        const char *says;
    } cases[] = {
        {TCPAO_MD5_CLASH, AO_OUT, GH_CAUSE_MD5_CLASH, "The local daemon signs with TCP-MD5"},
        {TCPAO_MD5_CLASH, AO_IN, GH_CAUSE_MD5_CLASH, "The peer signs with TCP-MD5"},
        {AO_COUNT_REFUSED_DIRECTION, AO_IN, GH_CAUSE_DIRECTION, "The peer opens"},
        {AO_COUNT_REFUSED_DIRECTION, AO_OUT, GH_CAUSE_DIRECTION, "The local daemon opens"},
        {TCPAO_BAD_LENGTH, AO_IN, GH_CAUSE_MAC_LENGTH, "octets"},
        {TCPAO_ISN_UNKNOWN, AO_OUT, GH_CAUSE_NO_HANDSHAKE, "older than the protection"},
        {AO_COUNT_NO_CONNECTION, AO_IN, GH_CAUSE_NO_HANDSHAKE, "does not know"},
        {AO_COUNT_UNEXPECTED_AO, AO_IN, GH_CAUSE_AO_CAME_LATER, "came up without it"},
        {TCPAO_NO_SPACE, AO_OUT, GH_CAUSE_NO_SPACE, "does not fit"},
        {AO_COUNT_FRAGMENT, AO_IN, GH_CAUSE_FRAGMENTS, "fragments"},
        {TCPAO_MALFORMED, AO_IN, GH_CAUSE_MALFORMED, "no proper TCP"},
        {TCPAO_DUPLICATE_OPTION, AO_IN, GH_CAUSE_MALFORMED, "two authentication options"},
        {TCPAO_OLD_SEQUENCE, AO_IN, GH_CAUSE_OLD_SEQUENCE, "replays"},
        {AO_COUNT_TABLE_FULL, AO_OUT, GH_CAUSE_TABLE_FULL, "full"},
        {TCPAO_CRYPTO_FAILED, AO_OUT, GH_CAUSE_CRYPTO, "library"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct facts *f = facts_new(true);

        refuse(f, cases[i].counter, 5, cases[i].way, 8)->option.mac_len = 16;
        assert_says(first(f, cases[i].cause)->summary, cases[i].says);
        facts_free(f);
    }
}

static void a_connection_without_handshake_is_offered_a_reset(void **state)
{
    struct facts *f = facts_new(true);

    refuse(f, AO_COUNT_NO_CONNECTION, 5, AO_OUT, 8);
    assert_says(first(f, GH_CAUSE_NO_HANDSHAKE)->checks[0], "gatectl reset-session upstream");
    facts_free(f);
}

static void the_latest_refusal_comes_first(void **state)
{
    struct facts *f = facts_new(true);

    refuse(f, TCPAO_BAD_MAC, 1000, AO_IN, 8);
    refuse(f, TCPAO_UNKNOWN_KEYID, 5, AO_IN, 77);
    traffic(f, 5, 5, 5, 5);
    first(f, GH_CAUSE_UNKNOWN_KEYID);
    assert_true(has(f, GH_CAUSE_WRONG_KEY));
    f->refusals[TCPAO_BAD_MAC].wall = NOW - 1;
    f->refusals[TCPAO_UNKNOWN_KEYID].wall = NOW - 1000;
    first(f, GH_CAUSE_WRONG_KEY);
    f->refusals[TCPAO_BAD_MAC].wall = NOW - 2000; /* now: seconds, minutes, half an hour ago */
    f->refusals[TCPAO_UNKNOWN_KEYID].wall = NOW - 500;
    refuse(f, TCPAO_OLD_SEQUENCE, 5, AO_IN, 8);
    first(f, GH_CAUSE_OLD_SEQUENCE);
    assert_int_equal(f->x.findings[1].cause, GH_CAUSE_UNKNOWN_KEYID);
    assert_int_equal(f->x.findings[2].cause, GH_CAUSE_WRONG_KEY);
    assert_true(f->x.findings[2].rank < f->x.findings[1].rank - 50);
    facts_free(f);
}

static void refusals_of_another_dynamic_neighbour_do_not_count(void **state)
{
    struct facts *f = facts_new(true);

    assert_true(gh_prefix_parse("192.0.2.0/24", &f->session.peer));
    assert_true(gh_addr_parse("192.0.2.9", &f->evidence.peer));
    refuse(f, TCPAO_BAD_MAC, 5, AO_IN, 8);
    gh_explain(&f->evidence, &f->x);
    assert_false(has(f, GH_CAUSE_WRONG_KEY));
    assert_true(gh_addr_parse("192.0.2.2", &f->evidence.peer));
    first(f, GH_CAUSE_WRONG_KEY);
    facts_free(f);
}

/* ---- What was not seen ---------------------------------------------------------------------- */

static void no_packet_at_all(void **state)
{
    struct facts *f = facts_new(true);

    assert_says(first(f, GH_CAUSE_NO_PACKETS)->summary, "either direction");
    f->session.direction = GH_PASSIVE;
    assert_says(first(f, GH_CAUSE_NOBODY_OPENS)->summary, "both ends are passive");
    assert_true(has(f, GH_CAUSE_NO_PACKETS));
    facts_free(f);
}

static void packets_out_but_none_in(void **state)
{
    struct facts *f = facts_new(true);

    traffic(f, 0, 0, 12, 2);
    assert_says(first(f, GH_CAUSE_SILENT_PEER)->evidence, "0 packets from the peer; 12 packets");
    traffic(f, 900, 400, 912, 2); /* it spoke once, long ago */
    first(f, GH_CAUSE_SILENT_PEER);
    f->counters[AO_COUNT_ICMP_IGNORED] = 4;
    first(f, GH_CAUSE_ICMP);
    assert_true(has(f, GH_CAUSE_SILENT_PEER));
    facts_free(f);
}

static void packets_in_but_none_out(void **state)
{
    struct facts *f = facts_new(true);

    traffic(f, 12, 2, 0, 0);
    first(f, GH_CAUSE_NO_LOCAL_ANSWER);
    facts_free(f);
}

static void a_refused_peer_is_not_called_silent(void **state)
{
    struct facts *f = facts_new(true);

    refuse(f, TCPAO_BAD_MAC, 2, AO_IN, 8);
    traffic(f, 12, 2, 0, 0);
    first(f, GH_CAUSE_WRONG_KEY);
    assert_int_equal(f->x.count, 1);
    facts_free(f);
}

static void a_peer_that_hears_nothing_is_not_called_silent(void **state)
{
    struct facts *f = facts_new(true);

    refuse(f, TCPAO_MD5_CLASH, 2, AO_OUT, 0);
    traffic(f, 0, 0, 12, 2);
    first(f, GH_CAUSE_MD5_CLASH);
    assert_int_equal(f->x.count, 1);
    facts_free(f);
}

static void packets_both_ways_and_nothing_refused(void **state)
{
    struct facts *f = facts_new(true);

    traffic(f, 100, 2, 100, 2);
    f->view.last_event = "connection-closed: connection closed";
    assert_says(first(f, GH_CAUSE_NOT_TCP_AO)->checks[1], "connection closed");
    facts_free(f);
}

static void a_syn_ack_without_an_ack(void **state)
{
    struct facts *f = facts_new(true);

    f->evidence.connection_count = 1;
    f->connection.state = AO_STATE_SYN_RECEIVED;
    f->connection.active = false;
    f->connection.since = NOW - 20;
    f->connection.conn.current_known = true;
    f->connection.conn.current_key = 1;
    traffic(f, 3, 3, 3, 3);
    assert_says(first(f, GH_CAUSE_SYN_ACK_REFUSED)->checks[0], "key 1, KeyID 3");
    assert_int_equal(f->x.verdict, GH_VERDICT_OPENING);
    assert_says(f->x.headline, "syn-received for 20 s (the peer opened)");
    traffic(f, 3, 19, 3, 3); /* it sent its SYN again less often than we our answer */
    first(f, GH_CAUSE_SYN_ACK_REFUSED);
    facts_free(f);
}

/* A RST that refuses a SYN can be signed: then the keys are right and somebody does not listen. */
static void refused_opens(void **state)
{
    struct facts *f = facts_new(true);

    f->evidence.connection_count = 1;
    f->connection.state = AO_STATE_CLOSED;
    f->connection.active = true;
    f->connection.conn.local_isn_known = true;
    traffic(f, 3, 3, 3, 3);
    assert_says(first(f, GH_CAUSE_PEER_REFUSES)->summary, "rightly signed");
    f->connection.active = false;
    f->connection.conn.local_isn_known = false;
    f->connection.conn.remote_isn_known = true;
    assert_says(first(f, GH_CAUSE_NO_LOCAL_ANSWER)->checks[0], "listen on port 179");
    f->connection.conn.local_isn_known = true; /* it was open once */
    first(f, GH_CAUSE_NOT_TCP_AO);
    facts_free(f);
}

/* ---- Up ------------------------------------------------------------------------------------- */

static struct facts *facts_up(void)
{
    struct facts *f = facts_new(true);

    f->evidence.connection_count = 1;
    f->connection.state = AO_STATE_ESTABLISHED;
    f->connection.conn = (struct tcpao_conn_state){.current_known = true,
                                                   .current_key = 1,
                                                   .rnext_known = true,
                                                   .rnext_key = 1,
                                                   .last_recv_known = true,
                                                   .last_recv_key = 1,
                                                   .last_keyid = 8,
                                                   .last_rnext = 3};
    traffic(f, 100, 2, 100, 2);
    return f;
}

static void up_and_protected(void **state)
{
    struct facts *f = facts_up();

    gh_explain(&f->evidence, &f->x);
    assert_int_equal(f->x.verdict, GH_VERDICT_UP);
    assert_int_equal(f->x.count, 0);
    assert_string_equal(f->x.headline,
                        "Session upstream is up and protected by key 1 of chain core "
                        "(hmac-sha-1-96): 192.0.2.1:40000 with 192.0.2.2:179, for 2 h, opened by "
                        "us.");
    facts_free(f);
}

static void up_without_protection(void **state)
{
    struct facts *f = facts_up();

    f->connection.without_ao = true;
    first(f, GH_CAUSE_RUNS_UNPROTECTED);
    assert_int_equal(f->x.verdict, GH_VERDICT_UNPROTECTED);
    assert_says(f->x.headline, "WITHOUT protection");
    f->connection.without_ao = false;
    f->connection.mismatched = true;
    first(f, GH_CAUSE_MISMATCH_ACCEPTED);
    assert_int_equal(f->x.verdict, GH_VERDICT_UNPROTECTED);
    facts_free(f);
}

static void up_in_a_rollover(void **state)
{
    struct facts *f = facts_up();
    const struct gh_finding *x;

    add_key(f, 2, 4, 9, NOW - 60, TCPAO_TIME_MAX);
    f->connection.conn.rnext_key = 2;
    x = first(f, GH_CAUSE_ROLLOVER_PENDING);
    assert_int_equal(f->x.verdict, GH_VERDICT_UP);
    assert_says(x->summary, "key 2 should be in use");
    assert_says(x->evidence, "RNextKeyID is 3; key 2 has send-id 4");
    assert_true(has(f, GH_CAUSE_PEER_ON_OLD_KEY));
    f->connection.conn.current_key = 2;
    f->connection.conn.last_recv_key = 2;
    gh_explain(&f->evidence, &f->x);
    assert_int_equal(f->x.count, 0);
    facts_free(f);
}

static void up_with_a_chain_that_ends(void **state)
{
    struct facts *f = facts_up();

    assert_int_equal(tcpao_chain_set_lifetimes(f->chain, 1,
                                               (struct tcpao_lifetime){TCPAO_TIME_MIN, NOW + DAY},
                                               (struct tcpao_lifetime){TCPAO_TIME_MIN, NOW + DAY}),
                     TCPAO_CHAIN_OK);
    assert_says(first(f, GH_CAUSE_CHAIN_EXPIRING)->summary, "in 1 d");
    f->evidence.warn_before = HOUR;
    gh_explain(&f->evidence, &f->x);
    assert_int_equal(f->x.count, 0);
    facts_free(f);
}

static void up_under_fire(void **state)
{
    struct facts *f = facts_up();

    refuse(f, TCPAO_BAD_MAC, 5, AO_IN, 8);
    assert_says(first(f, GH_CAUSE_STRAY_SEGMENTS)->evidence, "bad-mac 3 times");
    assert_int_equal(f->x.verdict, GH_VERDICT_UP);
    f->refusals[TCPAO_BAD_MAC].wall = NOW - 7201; /* before it came up */
    gh_explain(&f->evidence, &f->x);
    assert_int_equal(f->x.count, 0);
    facts_free(f);
}

/* ---- The whole ------------------------------------------------------------------------------ */

static void everything_at_once_fits(void **state)
{
    struct facts *f = facts_new(false);

    f->session.direction = GH_PASSIVE;
    for (unsigned i = 0; i < AO_COUNTERS; i++)
        refuse(f, i, 900, AO_IN, 8);
    traffic(f, 1, 1000, 1, 1000);
    first(f, GH_CAUSE_NO_KEYS);
    assert_int_equal(f->x.count, GH_FINDINGS_MAX);
    for (size_t i = 1; i < f->x.count; i++)
        assert_true(f->x.findings[i - 1].rank >= f->x.findings[i].rank);
    facts_free(f);
}

/* ---- The kernel's sessions ---- */

static void backend_kernel_that_cannot_be(void **state)
{
    struct facts *f = facts_new(true);

    traffic(f, 0, 0, 5, 1);
    f->evidence.carrier = GH_CARRIER_NO_AO;
    assert_says(first(f, GH_CAUSE_KERNEL_WITHOUT_AO)->summary, "the running kernel has no TCP-AO");
    assert_int_equal(f->x.count, 1);
    f->evidence.carrier = GH_CARRIER_NO_SOCKET;
    assert_says(first(f, GH_CAUSE_NO_SOCKET)->summary, "no program has brought a socket");
    assert_int_equal(f->x.count, 1);
    facts_free(f);
}

/* The kernel counts, but keeps no segment: nothing of it may be made up. */
static void refused_by_the_kernel(void **state)
{
    struct facts *f = facts_new(true);

    f->evidence.carrier = GH_CARRIER_KERNEL;
    assert_says(first(f, GH_CAUSE_NOBODY_OPENS)->summary, "nobody opens");
    f->connection.state = AO_STATE_SYN_SENT;
    f->connection.segments_out = 3;
    f->evidence.connection_count = 1;
    assert_says(first(f, GH_CAUSE_SILENT_PEER)->evidence, "3 segments sent");
    f->evidence.connection_count = 0;
    *refuse(f, TCPAO_UNKNOWN_KEYID, 5, AO_IN, 0) =
        (struct ao_refusal){.seen = true, .wall = NOW - 5, .way = AO_IN};
    assert_says(first(f, GH_CAUSE_UNKNOWN_KEYID)->summary, "none of the recv-ids of chain core");
    assert_int_equal(f->x.count, 1);
    f->refusals[TCPAO_UNKNOWN_KEYID].seen = false;
    *refuse(f, TCPAO_BAD_MAC, 5, AO_IN, 0) =
        (struct ao_refusal){.seen = true, .wall = NOW - 5, .way = AO_IN};
    assert_says(first(f, GH_CAUSE_WRONG_KEY)->summary, "MACs do not match");
    f->refusals[TCPAO_BAD_MAC].seen = false;
    *refuse(f, TCPAO_MISSING_AO, 5, AO_IN, 0) =
        (struct ao_refusal){.seen = true, .wall = NOW - 5, .way = AO_IN};
    assert_says(first(f, GH_CAUSE_PEER_WITHOUT_AO)->summary, "no TCP-AO option");
    facts_free(f);
}

static void causes_have_names_of_their_own(void **state)
{
    for (unsigned i = 0; i < GH_CAUSE_COUNT; i++) {
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(gh_cause_name(i), gh_cause_name(j));
    }
}

/* Each cause has a heading in the operators' page, and each heading is a cause. */
static void the_operators_page_explains_every_cause(void **state)
{
    const char *source = getenv("GATEHOUSE_SOURCE");
    bool told[GH_CAUSE_COUNT] = {false};
    char path[4096], line[1024];
    FILE *page;

    assert_non_null(source);
    snprintf(path, sizeof(path), "%s/docs/operators/why-is-it-not-up.md", source);
    page = fopen(path, "r");
    assert_non_null(page);
    while (fgets(line, sizeof(line), page) != NULL) {
        bool known = false;

        if (strncmp(line, "### ", 4) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        for (unsigned i = 0; i < GH_CAUSE_COUNT; i++) {
            if (strcmp(line + 4, gh_cause_name(i)) == 0)
                known = told[i] = true;
        }
        if (!known)
            fail_msg("the page explains \"%s\", which is no cause", line + 4);
    }
    fclose(page);
    for (unsigned i = 0; i < GH_CAUSE_COUNT; i++) {
        if (!told[i])
            fail_msg("the page does not explain \"%s\"", gh_cause_name(i));
    }
}

/* ---- The chain's outlook -------------------------------------------------------------------- */

static void the_outlook_of_a_chain(void **state)
{
    struct facts *f = facts_new(false);
    struct gh_outlook o;

    add_key(f, 1, 3, 8, NOW - DAY, NOW + DAY);
    add_key(f, 2, 4, 9, NOW + HOUR * 4, NOW + 3 * DAY);
    o = gh_outlook(f->chain, NOW);
    assert_int_equal(o.send->number, 1);
    assert_int_equal(o.send_next->number, 2);
    assert_true(o.send_change == NOW + HOUR * 4);
    assert_int_equal(o.receive->number, 1);
    assert_int_equal(o.receive_next->number, 2);
    assert_true(o.receive_change == NOW + HOUR * 3);
    assert_true(o.expiry == NOW + 3 * DAY);
    o = gh_outlook(f->chain, NOW + 2 * DAY);
    assert_int_equal(o.send->number, 2);
    assert_null(o.send_next);
    assert_true(o.send_change == NOW + 3 * DAY);
    assert_null(o.receive_next);
    o = gh_outlook(f->chain, NOW + 4 * DAY);
    assert_null(o.send);
    assert_true(o.send_change == TCPAO_TIME_MAX);
    facts_free(f);
}

static void key_states_follow_the_lifetimes(void **state)
{
    struct tcpao_mkt k = {.send = {NOW, NOW + DAY}, .accept = {NOW - DAY, NOW + DAY}};

    assert_string_equal(gh_key_state(&k, HOUR, NOW - DAY - HOUR - 1), "inactive");
    assert_string_equal(gh_key_state(&k, HOUR, NOW - DAY - HOUR), "receive");
    assert_string_equal(gh_key_state(&k, HOUR, NOW), "send-receive");
    assert_string_equal(gh_key_state(&k, HOUR, NOW + DAY), "receive");
    assert_string_equal(gh_key_state(&k, HOUR, NOW + DAY + HOUR), "inactive");
    assert_string_equal(gh_key_mode(&k), "send-receive");
    k.accept.until = k.accept.from;
    assert_string_equal(gh_key_state(&k, HOUR, NOW), "send");
    assert_string_equal(gh_key_mode(&k), "send");
    k.accept = (struct tcpao_lifetime){TCPAO_TIME_MIN, TCPAO_TIME_MAX};
    assert_true(gh_key_accepts(&k, UINT32_MAX, TCPAO_TIME_MIN));
    assert_true(gh_key_accepts(&k, UINT32_MAX, TCPAO_TIME_MAX - 1));
}

static void durations_and_flags_in_words(void **state)
{
    char buf[GH_SPAN_TEXT], flags[GH_FLAGS_TEXT], end[GH_ENDPOINT_TEXT];
    struct tcpao_endpoint e = endpoint("2001:db8::1", 179);

    assert_string_equal(gh_span_format(-5, buf), "0 s");
    assert_string_equal(gh_span_format(59, buf), "59 s");
    assert_string_equal(gh_span_format(60, buf), "1 min");
    assert_string_equal(gh_span_format(3723, buf), "1 h 2 min");
    assert_string_equal(gh_span_format(86400 * 29 + 3600 * 4 + 59, buf), "29 d 4 h");
    assert_string_equal(gh_tcp_flags_format(0x12, flags), "SYN+ACK");
    assert_string_equal(gh_tcp_flags_format(0, flags), "none");
    assert_string_equal(gh_tcp_flags_format(0xff, flags), "FIN+SYN+RST+PSH+ACK+URG+ECE+CWR");
    assert_string_equal(gh_endpoint_format(&e, end), "[2001:db8::1]:179");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_that_is_not_in_force),
        cmocka_unit_test(keys_that_are_over_to_come_or_missing),
        cmocka_unit_test(a_key_that_ike_has_not_made),
        cmocka_unit_test(a_wrong_mac),
        cmocka_unit_test(an_unknown_keyid),
        cmocka_unit_test(a_key_outside_its_lifetime),
        cmocka_unit_test(a_peer_without_ao),
        cmocka_unit_test(reasons_with_one_answer),
        cmocka_unit_test(a_connection_without_handshake_is_offered_a_reset),
        cmocka_unit_test(the_latest_refusal_comes_first),
        cmocka_unit_test(refusals_of_another_dynamic_neighbour_do_not_count),
        cmocka_unit_test(no_packet_at_all),
        cmocka_unit_test(packets_out_but_none_in),
        cmocka_unit_test(packets_in_but_none_out),
        cmocka_unit_test(a_refused_peer_is_not_called_silent),
        cmocka_unit_test(a_peer_that_hears_nothing_is_not_called_silent),
        cmocka_unit_test(packets_both_ways_and_nothing_refused),
        cmocka_unit_test(a_syn_ack_without_an_ack),
        cmocka_unit_test(refused_opens),
        cmocka_unit_test(up_and_protected),
        cmocka_unit_test(up_without_protection),
        cmocka_unit_test(up_in_a_rollover),
        cmocka_unit_test(up_with_a_chain_that_ends),
        cmocka_unit_test(up_under_fire),
        cmocka_unit_test(everything_at_once_fits),
        cmocka_unit_test(backend_kernel_that_cannot_be),
        cmocka_unit_test(refused_by_the_kernel),
        cmocka_unit_test(causes_have_names_of_their_own),
        cmocka_unit_test(the_operators_page_explains_every_cause),
        cmocka_unit_test(the_outlook_of_a_chain),
        cmocka_unit_test(key_states_follow_the_lifetimes),
        cmocka_unit_test(durations_and_flags_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
