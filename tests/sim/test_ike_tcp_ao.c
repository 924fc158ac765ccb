/* TCP-AO's keys as Child SAs, core against core (docs/specs/ikev2-tcp-ao.md). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/notify.h"
#include "ike/v2/priv.h"
#include "ike_mutate.h"
#include "ike_world.h"
#include "unit.h"

enum { BGP = 179 };

static struct ike_ts tcp(const struct ike_host *h, uint16_t first, uint16_t last)
{
    return (struct ike_ts){.type = IKE_TS_IPV4,
                           .protocol = 6,
                           .start_port = first,
                           .end_port = last,
                           .start = h->addr,
                           .end = h->addr};
}

static struct ike2_child_policy *child_policy(struct ike_world *w, size_t i)
{
    return &w->hosts[i].policies[0]->children[0];
}

static void turn_into_tcp_ao(struct ike_world *w, size_t i, size_t j, struct ike2_child_policy *p)
{
    struct ike_sa offer;

    p->mode = IKE2_TCP_AO;
    p->tcp_ao = (struct ike_tcp_ao){.mac_len = 12, .options_covered = true};
    ike2_default_proposals(IKE_PROTO_TCP_AO, &offer);
    assert_true(ike_proposals_set(&p->proposals, &offer));
    p->local = p->remote = (struct ike_ts_list){.count = 1};
    p->local.ts[0] = tcp(&w->hosts[i], 0, 65535);
    p->remote.ts[0] = tcp(&w->hosts[j], 0, 65535);
}

static void make_tcp_ao(struct ike_world *w, size_t i, size_t j)
{
    ike_world_policy(w, i, j);
    turn_into_tcp_ao(w, i, j, child_policy(w, i));
}

static struct ike_world *pair(uint64_t seed)
{
    struct ike_world *w = ike_world_new(seed, 2);

    w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    make_tcp_ao(w, 0, 1);
    make_tcp_ao(w, 1, 0);
    return w;
}

static void configure(struct ike_world *w)
{
    ike_world_configure(w, 0);
    ike_world_configure(w, 1);
}

/* Host i opens a connection from `port` to the other's BGP port. */
static void acquire_as(struct ike_world *w, size_t i, uint16_t port, const char *child)
{
    struct ike_ts local = tcp(&w->hosts[i], port, port), remote = tcp(&w->hosts[!i], BGP, BGP);

    assert_true(ike2_acquire(w->hosts[i].core, ike_world_now(&w->hosts[i]),
                             i == 0 ? "to-1" : "to-0", child, &local, &remote));
}

static void acquire(struct ike_world *w, size_t i, uint16_t port)
{
    acquire_as(w, i, port, "net");
}

static const struct world_child *child_number(const struct ike_host *h, size_t nth)
{
    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[i].used && nth-- == 0)
            return &h->child[i];
    return NULL;
}

static void assert_children(struct ike_world *w, size_t count)
{
    const char *wrong;

    ike_world_run(w, 5000);
    wrong = ike_world_agree(&w->hosts[0], &w->hosts[1]);
    if (wrong != NULL)
        fail_msg("%s", wrong);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(w->hosts[i].child_count, count);
}

static void one_key_for_one_connection(void **state)
{
    struct ike_world *w = pair(1);
    const struct world_child *a, *b;

    configure(w);
    acquire(w, 0, 40000);
    acquire(w, 0, 40000); /* the SYN again */
    assert_children(w, 1);
    a = child_number(&w->hosts[0], 0);
    b = child_number(&w->hosts[1], 0);
    assert_int_equal(a->mode, IKE2_TCP_AO);
    assert_int_equal(a->spi_in[0], b->spi_out[0]);
    assert_int_equal(a->spi_out[0], b->spi_in[0]);
    assert_int_equal(a->key_in_len, 16); /* AES-128-CMAC goes first */
    assert_int_equal(a->key_out_len, 16);
    assert_memory_equal(a->key_in, a->key_out, 16);
    assert_memory_equal(a->key_in, b->key_in, 16);
    assert_int_equal(a->local.count, 1);
    assert_int_equal(a->local.ts[0].start_port, 40000);
    assert_int_equal(a->local.ts[0].end_port, 40000);
    assert_int_equal(b->local.ts[0].start_port, BGP);
    assert_int_equal(b->remote.ts[0].start_port, 40000);
    ike_world_free(w);
}

/* BGP multisession: sessions between the same addresses, each with a key of its own. */
static void several_connections(void **state)
{
    struct ike_world *w = pair(2);

    configure(w);
    acquire(w, 0, 40000);
    acquire(w, 0, 40001); /* before the IKE SA is up */
    assert_children(w, 2);
    acquire(w, 0, 40002);
    acquire(w, 1, 40000); /* the other way round: another connection */
    assert_children(w, 4);
    acquire(w, 0, 40002);
    assert_children(w, 4);
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(child_number(&w->hosts[0], i)->key_in,
                                    child_number(&w->hosts[0], k)->key_in, 16);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 1);
    ike_world_free(w);
}

static void both_ends_open_at_once(void **state)
{
    struct ike_world *w = pair(3);

    configure(w);
    acquire(w, 0, 40000);
    acquire(w, 1, 50000);
    ike_world_run(w, 10000);
    assert_children(w, w->hosts[0].child_count);
    assert_true(w->hosts[0].child_count >= 2);
    ike_world_free(w);
}

/* The old key stays at both ends until whoever rekeyed says that nobody uses it. */
static void rekeying_and_deletion(void **state)
{
    struct ike_world *w = pair(4);

    configure(w);
    acquire(w, 0, 40000);
    assert_children(w, 1);
    for (size_t i = 0; i < 2; i++) {
        struct ike_host *h = &w->hosts[i];
        struct world_child old = *child_number(h, 0);
        const struct world_child *fresh;

        assert_true(ike2_rekey_child(h->core, ike_world_now(h), old.id));
        assert_children(w, 2);
        fresh = child_number(h, 0)->id == old.id ? child_number(h, 1) : child_number(h, 0);
        assert_int_equal(fresh->replaces, old.id);
        assert_int_not_equal(fresh->spi_in[0], old.spi_in[0]);
        assert_memory_not_equal(fresh->key_in, old.key_in, 16);
        assert_int_equal(fresh->local.ts[0].start_port, old.local.ts[0].start_port);
        ike_world_run(w, 1000 * 1000);
        assert_children(w, 2);
        assert_false(ike2_terminate_child(h->core, ike_world_now(h), old.id));
        assert_true(ike2_retire_child(h->core, ike_world_now(h), old.id));
        assert_false(ike2_retire_child(h->core, ike_world_now(h), old.id));
        assert_children(w, 1);
        assert_int_equal(child_number(h, 0)->id, fresh->id);
    }
    assert_true(ike2_terminate_child(w->hosts[1].core, ike_world_now(&w->hosts[1]),
                                     child_number(&w->hosts[1], 0)->id));
    assert_children(w, 0);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 1);
    ike_world_free(w);
}

/* Keys for single connections are made for the same again. */
static void reauthentication(void **state)
{
    struct ike_world *w = pair(5);
    struct world_child old[2];

    w->hosts[0].policies[0]->reauthenticate = true;
    w->hosts[0].policies[0]->lifetime.seconds = 60;
    configure(w);
    acquire(w, 0, 40000);
    acquire(w, 0, 40001);
    assert_children(w, 2);
    for (size_t i = 0; i < 2; i++)
        old[i] = *child_number(&w->hosts[0], i);
    ike_world_run(w, 57000);
    assert_children(w, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct world_child *c = child_number(&w->hosts[0], i);

        assert_true(c->id != old[0].id && c->id != old[1].id);
        assert_true(c->local.ts[0].start_port == 40000 || c->local.ts[0].start_port == 40001);
    }
    ike_world_free(w);
}

/* ---- What both must agree upon --------------------------------------------------------------- */

static void change_number(struct ike_world *w, size_t i, uint8_t protocol)
{
    struct ike_sa offer;

    ike_proposals_get(&child_policy(w, i)->proposals, &offer);
    offer.proposal[0].protocol = protocol;
    assert_true(ike_proposals_set(&child_policy(w, i)->proposals, &offer));
}

static void keep_only(struct ike_world *w, size_t i, uint16_t prf, uint16_t integ)
{
    struct ike_sa offer = {.count = 1};

    offer.proposal[0] = (struct ike_proposal){.number = 1, .protocol = IKE_PROTO_TCP_AO};
    assert_true(ike_proposal_add(&offer.proposal[0], IKE_T_PRF, prf, 0));
    assert_true(ike_proposal_add(&offer.proposal[0], IKE_T_INTEG, integ, 0));
    assert_true(ike_proposals_set(&child_policy(w, i)->proposals, &offer));
}

static void algorithms(void **state)
{
    static const struct {
        uint16_t prf, integ;
        size_t key;
    } pairs[] = {{IKE_PRF_HMAC_SHA1, IKE_INTEG_HMAC_SHA1_96, 20},
                 {IKE_PRF_AES128_CMAC, IKE_INTEG_AES_CMAC_96, 16},
                 {IKE_PRF_HMAC_SHA2_256, IKE_INTEG_HMAC_SHA2_256_128, 32},
                 {IKE_PRF_HMAC_SHA2_256, IKE_INTEG_HMAC_SHA1_96, 0},
                 {IKE_PRF_HMAC_SHA2_512, IKE_INTEG_HMAC_SHA2_512_256, 0}};

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct ike_world *w = pair(10 + i);

        keep_only(w, 0, pairs[i].prf, pairs[i].integ);
        keep_only(w, 1, pairs[i].prf, pairs[i].integ);
        configure(w);
        acquire(w, 0, 40000);
        assert_children(w, pairs[i].key > 0 ? 1 : 0);
        if (pairs[i].key > 0)
            assert_int_equal(child_number(&w->hosts[1], 0)->key_in_len, pairs[i].key);
        ike_world_free(w);
    }
}

/* What each end hears: the responder why, the initiator that, and perhaps the reason. */
static void refused_saying(struct ike_world *w, const char *words, const char *reason)
{
    configure(w);
    acquire(w, 0, 40000);
    assert_children(w, 0);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 1);
    if (strstr(w->hosts[1].last[IKE2_EVENT_CHILD_FAILED], words) == NULL)
        fail_msg("not \"%s\": %s", words, w->hosts[1].last[IKE2_EVENT_CHILD_FAILED]);
    if (strcmp(w->hosts[0].last[IKE2_EVENT_CHILD_FAILED], reason) != 0)
        fail_msg("not \"%s\": %s", reason, w->hosts[0].last[IKE2_EVENT_CHILD_FAILED]);
    ike_world_free(w);
}

static void refused_with(struct ike_world *w, const char *words)
{
    refused_saying(w, words, "net: the peer answers with NO_PROPOSAL_CHOSEN");
}

static void what_differs_is_refused(void **state)
{
    struct ike_world *w = pair(20);

    child_policy(w, 0)->tcp_ao.mac_len = 16;
    refused_with(w, "MACs of 16 octets, we of 12");
    w = pair(21);
    child_policy(w, 1)->tcp_ao.options_covered = false;
    refused_with(w, "wants TCP options in the MAC");
    w = pair(22);
    keep_only(w, 0, IKE_PRF_HMAC_SHA1, IKE_INTEG_HMAC_SHA1_96);
    keep_only(w, 1, IKE_PRF_AES128_CMAC, IKE_INTEG_AES_CMAC_96);
    refused_with(w, "no proposal chosen");
    w = pair(23); /* another number for the protocol */
    change_number(w, 0, 210);
    refused_saying(w, "no proposal chosen",
                   "net: the peer answers with NO_PROPOSAL_CHOSEN: the peer's number for TCP-AO "
                   "keys is 201, ours 210");
}

static void longer_macs_without_options(void **state)
{
    struct ike_world *w = pair(30);

    for (size_t i = 0; i < 2; i++)
        child_policy(w, i)->tcp_ao = (struct ike_tcp_ao){.mac_len = 16, .options_covered = false};
    configure(w);
    acquire(w, 1, 40000);
    assert_children(w, 1);
    assert_int_equal(child_number(&w->hosts[0], 0)->tcp_ao.mac_len, 16);
    assert_false(child_number(&w->hosts[0], 0)->tcp_ao.options_covered);
    ike_world_free(w);
}

/* A peer that knows of ESP alone. */
static void a_peer_without_it(void **state)
{
    struct ike_world *w = ike_world_new(31, 2);

    make_tcp_ao(w, 0, 1);
    ike_world_policy(w, 1, 0);
    child_policy(w, 1)->local.ts[0] = tcp(&w->hosts[1], 0, 65535);
    child_policy(w, 1)->remote.ts[0] = tcp(&w->hosts[0], 0, 65535);
    refused_saying(w, "no proposal chosen",
                   "net: the peer answers with NO_PROPOSAL_CHOSEN: the peer does not know TCP-AO "
                   "keys");
}

/* The peer's word in IKE_AUTH outlives the IKE SA in which it was given. */
static void each_end_says_that_it_knows(void **state)
{
    struct ike_world *w = pair(33);

    change_number(w, 1, 202);
    ike_world_child(w->hosts[1].policies[0], 1, 0, 1); /* and something else */
    configure(w);
    acquire(w, 0, 40000);
    ike_world_run(w, 5000);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(w->hosts[i].core->sas->peer_tcp_ao, i == 0 ? 202 : 201);
    assert_true(
        ike2_rekey_ike(w->hosts[0].core, ike_world_now(&w->hosts[0]), w->hosts[0].core->sas->id));
    ike_world_run(w, 5000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ike_world_sas(&w->hosts[i], NULL), 1);
        assert_int_equal(w->hosts[i].core->sas->rekeys, 1);
        assert_int_equal(w->hosts[i].core->sas->peer_tcp_ao, i == 0 ? 202 : 201);
    }
    ike_world_free(w);
}

/* A configuration in the place of host i's: an ESP child, and perhaps one of TCP-AO. */
static void reload(struct ike_world *w, size_t i, bool tcp_ao)
{
    struct ike_host *h = &w->hosts[i];

    if (h->policy_count > 0)
        ike2_policy_free(h->policies[0]);
    h->policy_count = 0;
    ike_world_policy(w, i, !i);
    if (tcp_ao)
        turn_into_tcp_ao(w, i, !i, ike_world_child(h->policies[0], i, !i, 1));
    ike_world_configure(w, i);
    ike_world_run(w, 1000);
}

/* An IKE SA is older than the sessions: each end says so when it gets them, and when it has them no
 * more; no other IKE SA is made, and what it says of a refusal is true. */
static void what_was_said_may_be_stale(void **state)
{
    static const char *const refusal = "net1: the peer answers with TS_UNACCEPTABLE";
    struct ike_world *w = ike_world_new(34, 2);
    const char *said;

    reload(w, 0, false);
    reload(w, 1, false);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    assert_children(w, 1);
    reload(w, 0, true);
    assert_int_equal(w->hosts[1].core->sas->peer_tcp_ao, IKE_PROTO_TCP_AO);
    assert_int_equal(w->hosts[0].core->sas->peer_tcp_ao, 0);
    acquire_as(w, 0, 40000, "net1");
    assert_children(w, 1);
    said = w->hosts[0].last[IKE2_EVENT_CHILD_FAILED];
    assert_memory_equal(said, refusal, strlen(refusal));
    assert_string_equal(said + strlen(refusal), ": the peer does not know TCP-AO keys");
    reload(w, 1, true);
    assert_int_equal(w->hosts[0].core->sas->peer_tcp_ao, IKE_PROTO_TCP_AO);
    acquire_as(w, 0, 40000, "net1");
    assert_children(w, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ike_world_sas(&w->hosts[i], NULL), 1);
        assert_int_equal(w->hosts[i].core->sas->rekeys, 0);
        assert_int_equal(w->hosts[i].core->counters[IKE2_COUNT_SA_UP], 1);
    }
    ike_world_free(w);

    w = ike_world_new(35, 2); /* and back */
    reload(w, 0, true);
    reload(w, 1, true);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    assert_children(w, 1);
    assert_int_equal(w->hosts[0].core->sas->peer_tcp_ao, IKE_PROTO_TCP_AO);
    reload(w, 1, false);
    assert_int_equal(w->hosts[0].core->sas->peer_tcp_ao, 0);
    ike_world_free(w);
}

/* ---- Nonsense -------------------------------------------------------------------------------- */

/* What the notification of one type is to say instead. */
static struct {
    uint16_t type;
    struct gh_view data;
    unsigned changed;
} lie;

static void tell_a_lie(struct ike_world *w, struct ike_out *o, const struct ike_payloads *in)
{
    struct ike_notify n;

    for (size_t i = 0; i < in->count; i++) {
        const struct ike_payload *p = &in->payload[i];

        if (p->type == IKE_P_NOTIFY && ike_notify_parse(p->body, &n) == IKE_OK &&
            n.type == lie.type) {
            ike_notify_emit_data(o, n.type, lie.data);
            lie.changed++;
        } else {
            ike_out_payload(o, p->type, p->critical, p->body);
        }
    }
}

/* Host 0 lies. */
static bool lies(struct ike_world *w, struct ike_host *from, const struct ike2_datagram *d)
{
    static uint8_t out[IKE2_SCRATCH];
    size_t len = from == &w->hosts[0] ? ike_change(w, from, d, tell_a_lie, out, sizeof(out)) : 0;

    if (len == 0)
        return false;
    ike_world_inject(w, &d->local, &d->remote, d->marker, gh_view_of(out, len));
    return true;
}

/* Both have MACs of 16 octets and say so. `who` asks: host 0 lies in the request or in the answer.
 */
static void no_key_of_such_a_length(struct gh_view data, size_t who)
{
    struct ike_world *w = pair(40);

    for (size_t i = 0; i < 2; i++)
        child_policy(w, i)->tcp_ao.mac_len = 16;
    configure(w);
    acquire(w, who, 40000); /* so that there is an IKE SA */
    assert_children(w, 1);
    lie.type = IKE_N_TCP_AO_MAC_LENGTH;
    lie.data = data;
    lie.changed = 0;
    w->meddle = lies;
    acquire(w, who, 40001);
    ike_world_run(w, 5000);
    w->meddle = NULL;
    assert_true(lie.changed > 0);
    assert_int_equal(w->hosts[1].child_count, 1);
    assert_children(w, 1); /* what host 0 made was deleted */
    assert_int_equal(ike_world_sas(&w->hosts[1], NULL), 1);
    ike_world_free(w);
}

static void nonsense_of_the_mac_length(void **state)
{
    static const uint8_t octets[][2] = {{16, 0}, {0}, {3}, {12}, {15}, {17}, {255}};

    for (size_t who = 0; who < 2; who++) {
        no_key_of_such_a_length(gh_view_of(octets[0], 2), who);
        no_key_of_such_a_length(gh_view_of(octets[0], 0), who);
        for (size_t i = 1; i < sizeof(octets) / sizeof(octets[0]); i++)
            no_key_of_such_a_length(gh_view_of(octets[i], 1), who);
    }
}

/* An announcement that is none changes nothing: keys are asked for, and made. */
static void nonsense_of_the_announcement(void **state)
{
    static const uint8_t octets[2] = {201, 201};

    for (size_t len = 0; len <= 2; len += 2) {
        struct ike_world *w = pair(50 + len);

        lie.type = IKE_N_TCP_AO_SUPPORTED;
        lie.data = gh_view_of(octets, len);
        lie.changed = 0;
        w->meddle = lies;
        configure(w);
        acquire(w, 0, 40000);
        assert_children(w, 1);
        assert_true(lie.changed > 0);
        assert_int_equal(w->hosts[1].core->sas->peer_tcp_ao, 0);
        assert_int_equal(w->hosts[0].core->sas->peer_tcp_ao, IKE_PROTO_TCP_AO);
        ike_world_free(w);
    }
}

/* The responder's key table has the initiator's KeyID for something else. */
static void a_key_id_that_is_taken(void **state)
{
    struct ike_world *w = pair(32);

    configure(w);
    acquire(w, 0, 40000);
    assert_children(w, 1);
    w->hosts[1].refuses = true;
    acquire(w, 0, 40001);
    ike_world_run(w, 300);
    assert_int_equal(w->hosts[1].child_count, 1);
    w->hosts[1].refuses = false;
    ike_world_run(w, 20000);
    assert_children(w, 2);
    ike_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_key_for_one_connection),
        cmocka_unit_test(several_connections),
        cmocka_unit_test(both_ends_open_at_once),
        cmocka_unit_test(rekeying_and_deletion),
        cmocka_unit_test(reauthentication),
        cmocka_unit_test(algorithms),
        cmocka_unit_test(what_differs_is_refused),
        cmocka_unit_test(longer_macs_without_options),
        cmocka_unit_test(a_peer_without_it),
        cmocka_unit_test(a_key_id_that_is_taken),
        cmocka_unit_test(each_end_says_that_it_knows),
        cmocka_unit_test(what_was_said_may_be_stale),
        cmocka_unit_test(nonsense_of_the_mac_length),
        cmocka_unit_test(nonsense_of_the_announcement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
