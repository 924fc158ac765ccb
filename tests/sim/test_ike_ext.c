/* Extensions of IKEv2, core against core: each with what it is for, and with whoever lies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/cookie.h"
#include "ike/nonce.h"
#include "ike/notify.h"
#include "ike/puzzle.h"
#include "ike_world.h"
#include "unit.h"

static struct ike_world *pair(uint64_t seed)
{
    struct ike_world *w = ike_world_new(seed, 2);

    w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    ike_world_policy(w, 0, 1);
    ike_world_policy(w, 1, 0);
    return w;
}

static struct ike2_policy *policy(struct ike_world *w, size_t host)
{
    return w->hosts[host].policies[0];
}

static void begin(struct ike_world *w)
{
    for (size_t i = 0; i < w->host_count; i++)
        ike_world_configure(w, i);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
}

static void assert_up(struct ike_world *w, size_t children)
{
    const char *wrong = ike_world_agree(&w->hosts[0], &w->hosts[1]);

    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 1);
    assert_int_equal(ike_world_sas(&w->hosts[1], NULL), 1);
    assert_int_equal(ike_world_children(&w->hosts[0]), children);
    assert_int_equal(ike_world_children(&w->hosts[1]), children);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static uint64_t count(const struct ike_host *h, enum ike2_count what)
{
    return ike2_counters(h->core)[what];
}

static struct ike2_sa_view sa_of(const struct ike_host *h)
{
    struct ike2_sa_view v;

    assert_int_equal(ike_world_sas(h, &v), 1);
    return v;
}

/* ---- Unknown SPIs (RFC 6290) ---------------------------------------------------------------- */

static const uint8_t crash_secret[IKE2_CRASH_SECRET] = "a secret that outlives a process";

/* Host 1 makes tokens; `of_1` NULL: it does not. Host 0 asks only every hour whether it lives. */
static struct ike_world *with_tokens(uint64_t seed, const uint8_t *of_1)
{
    struct ike_world *w = pair(seed);

    w->hosts[1].settings.crash_secret = of_1;
    ike_world_restart(w, 1);
    policy(w, 0)->liveness_ms = 3600 * 1000;
    policy(w, 0)->children[0].start = true;
    policy(w, 1)->liveness_ms = 0;
    begin(w);
    assert_up(w, 1);
    return w;
}

/* Any request of host 0 under its SA. */
static void say_something(struct ike_world *w)
{
    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, w->hosts[0].child[0].id));
}

static void a_crash_is_noticed_at_once(void **state)
{
    struct ike_world *w = with_tokens(1, crash_secret);

    ike_world_restart(w, 1);
    say_something(w);
    ike_world_run(w, 100);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_INVALID_SPI_SENT), 1);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_CRASHED), 1);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_DEAD), 0);
    assert_up(w, 1); /* the policy wants it: it is there again */
    ike_world_free(w);
}

static void tokens_change_with_the_ike_sa(void **state)
{
    for (size_t who = 0; who < 2; who++) {
        struct ike_world *w = with_tokens(2 + who, crash_secret);
        struct ike_host *h = &w->hosts[who];

        assert_true(ike2_rekey_ike(h->core, w->now, sa_of(h).id));
        ike_world_run(w, 1000);
        assert_up(w, 1);
        ike_world_restart(w, 1);
        say_something(w);
        ike_world_run(w, 100);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_CRASHED), 1);
        assert_up(w, 1);
        ike_world_free(w);
    }
}

static void without_a_token_nothing_is_believed(void **state)
{
    struct ike_world *w = with_tokens(4, NULL);

    ike_world_restart(w, 1);
    say_something(w);
    ike_world_run(w, 5000);
    assert_true(count(&w->hosts[0], IKE2_COUNT_INVALID_SPI_HEARD) >= 1);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_CRASHED), 0);
    assert_int_equal(ike_world_children(&w->hosts[0]), 1);
    ike_world_run(w, 300 * 1000); /* retransmission tells in the end */
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_DEAD), 1);
    ike_world_free(w);
}

/* INVALID_IKE_SPI for host 0's SA from nowhere; token NULL: without one. */
static void forge_invalid_spi(struct ike_world *w, const uint8_t *token)
{
    struct ike2_sa_view v = sa_of(&w->hosts[0]);
    struct ike_header h = {.version = IKE_VERSION_2,
                           .exchange = IKE_X_INFORMATIONAL,
                           .flags = IKE_FLAG_RESPONSE,
                           .id = v.next_send_id};
    uint8_t octets[200];
    struct ike_out o;
    struct gh_view whole;
    struct ike2_datagram d = {.local = v.local, .remote = v.remote};

    memcpy(h.spi_i, v.spi_i, IKE_SPI_LEN);
    memcpy(h.spi_r, v.spi_r, IKE_SPI_LEN);
    o = ike_out_message(octets, sizeof(octets), &h);
    ike_notify_emit_data(&o, IKE_N_INVALID_IKE_SPI, gh_view_of(NULL, 0));
    if (token != NULL)
        ike_notify_emit_data(&o, IKE_N_QUICK_CRASH_DETECTION, gh_view_of(token, 32));
    assert_true(ike_out_done(&o, &whole));
    d.data = octets;
    d.len = whole.len;
    ike_world_push(w, 0, &d);
}

static void a_forged_invalid_spi_changes_nothing(void **state)
{
    struct ike_world *w = with_tokens(5, crash_secret);
    uint32_t asked = sa_of(&w->hosts[0]).next_send_id;
    const uint8_t token[32] = {1, 2, 3};

    for (unsigned i = 0; i < 100; i++) {
        forge_invalid_spi(w, i % 2 ? token : NULL);
        ike_world_run(w, 100);
    }
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_INVALID_SPI_HEARD), 100);
    assert_int_equal(sa_of(&w->hosts[0]).next_send_id,
                     asked + 1); /* one question whether it lives */
    assert_int_equal(w->hosts[0].removed, 0);
    assert_up(w, 1);
    ike_world_free(w);
}

/* Of four tokens one may be right: the peer has had several secrets (RFC 6290 4.5). */
static void the_right_token_may_be_the_fourth(void **state)
{
    for (unsigned right = 3; right < 5; right++) {
        struct ike_world *w = with_tokens(7, crash_secret);
        struct ike2_sa_view v = sa_of(&w->hosts[0]);
        const uint8_t role = 0; /* the maker is the responder */
        const struct gh_view parts[] = {gh_view_of(&role, 1), gh_view_of(v.spi_i, IKE_SPI_LEN),
                                        gh_view_of(v.spi_r, IKE_SPI_LEN)};
        uint8_t tokens[5][GH_PRF_MAX] = {{1}, {2}, {3}, {4}, {5}}, octets[512];
        struct ike_header h = {
            .version = IKE_VERSION_2, .exchange = IKE_X_INFORMATIONAL, .flags = IKE_FLAG_RESPONSE};
        struct ike2_datagram d = {.local = v.local, .remote = v.remote, .data = octets};
        struct gh_view whole;
        struct ike_out o;

        assert_true(gh_prf(GH_PRF_HMAC_SHA2_256, gh_view_of(crash_secret, IKE2_CRASH_SECRET), parts,
                           3, tokens[right]));
        memcpy(h.spi_i, v.spi_i, IKE_SPI_LEN);
        memcpy(h.spi_r, v.spi_r, IKE_SPI_LEN);
        d.remote.addr.octets[3]++; /* from wherever */
        o = ike_out_message(octets, sizeof(octets), &h);
        ike_notify_emit_data(&o, IKE_N_INVALID_IKE_SPI, gh_view_of(NULL, 0));
        for (size_t i = 0; i < 5; i++)
            ike_notify_emit_data(&o, IKE_N_QUICK_CRASH_DETECTION, gh_view_of(tokens[i], 32));
        assert_true(ike_out_done(&o, &whole));
        d.len = whole.len;
        ike_world_push(w, 0, &d);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_CRASHED), right == 3);
        ike_world_free(w);
    }
}

struct catcher {
    unsigned caught, most;
    uint8_t octets[512];
    size_t len;
};

/* Keeps what host 1 says in clear. */
static bool catch_clear(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    struct catcher *k = ctx;

    if (from == &from->world->hosts[1] && d->data[16] != IKE_P_SK && d->len <= sizeof(k->octets)) {
        k->caught++;
        memcpy(k->octets, d->data, d->len);
        k->len = d->len;
    }
    return true;
}

/* A message to host 1 with these SPIs that nobody could have sealed. */
static void poke(struct ike_world *w, const uint8_t *spi_i, const uint8_t *spi_r, uint8_t flags)
{
    struct ike_header h = {
        .version = IKE_VERSION_2, .exchange = IKE_X_INFORMATIONAL, .flags = flags};
    uint8_t octets[128];
    const uint8_t sealed[48] = {7};
    struct ike_out o;
    struct gh_view whole;
    struct ike2_datagram d = {
        .local = {w->hosts[1].addr, 500}, .remote = {w->hosts[0].addr, 500}, .data = octets};

    memcpy(h.spi_i, spi_i, IKE_SPI_LEN);
    memcpy(h.spi_r, spi_r, IKE_SPI_LEN);
    o = ike_out_message(octets, sizeof(octets), &h);
    ike_out_payload(&o, IKE_P_SK, false, gh_view_of(sealed, sizeof(sealed)));
    assert_true(ike_out_done(&o, &whole));
    d.len = whole.len;
    ike_world_push(w, 1, &d);
}

static void no_token_is_had_for_an_sa_that_lives(void **state)
{
    struct ike_world *w = with_tokens(6, crash_secret);
    struct ike2_sa_view v = sa_of(&w->hosts[1]);
    const uint8_t other[IKE_SPI_LEN] = {9, 9, 9, 9, 9, 9, 9, 9};
    struct catcher k = {.caught = 0};

    w->filter = catch_clear;
    w->filter_ctx = &k;
    poke(w, v.spi_i, v.spi_r, IKE_FLAG_INITIATOR);
    poke(w, v.spi_i, v.spi_r, 0); /* turned round: SPIi is looked for */
    poke(w, other, v.spi_r, IKE_FLAG_INITIATOR);
    poke(w, v.spi_r, v.spi_i, IKE_FLAG_INITIATOR);
    assert_int_equal(k.caught, 0);
    poke(w, v.spi_i, other, IKE_FLAG_INITIATOR);
    assert_int_equal(k.caught, 1); /* another SA's token, of use to nobody */
    for (unsigned i = 0; i < 1000; i++)
        poke(w, other, other, IKE_FLAG_INITIATOR);
    assert_int_equal(k.caught, w->hosts[1].settings.strays_per_second);
    ike_world_run(w, 1000);
    assert_int_equal(w->hosts[0].removed, 0);
    assert_up(w, 1);
    ike_world_free(w);
}

/* ---- MOBIKE (RFC 4555) ---------------------------------------------------------------------- */

static struct gh_addr address(uint8_t last)
{
    const uint8_t octets[4] = {198, 51, 100, last};

    return gh_addr_from(octets, 4);
}

static void make_mobile(struct ike_world *w)
{
    for (size_t i = 0; i < 2; i++) {
        policy(w, i)->mobike = true;
        policy(w, i)->liveness_ms = 20 * 1000;
    }
}

static struct ike_world *mobile_pair(uint64_t seed)
{
    struct ike_world *w = pair(seed);

    make_mobile(w);
    begin(w);
    assert_up(w, 1);
    assert_true(sa_of(&w->hosts[0]).mobike && sa_of(&w->hosts[1]).mobike);
    return w;
}

static bool move(struct ike_world *w, size_t host, uint8_t last)
{
    const struct ike2_endpoint to = {.addr = address(last)};

    w->hosts[host].addr = to.addr;
    return ike2_move(w->hosts[host].core, w->now, sa_of(&w->hosts[host]).id, &to);
}

/* Both ends, and the users of their Child SAs, think that host 0 is at this address. */
static void assert_at(struct ike_world *w, const struct gh_addr *a)
{
    struct ike2_sa_view v = sa_of(&w->hosts[0]), u = sa_of(&w->hosts[1]);

    assert_true(gh_addr_equal(&u.remote.addr, a));
    assert_true(gh_addr_equal(&v.remote.addr, &u.local.addr));
    assert_true(gh_addr_equal(&w->hosts[1].child_remote.addr, a));
    assert_true(gh_addr_equal(&w->hosts[0].child_local.addr, &v.local.addr));
}

static void assert_seen_at(struct ike_world *w, const struct gh_addr *a)
{
    struct ike2_sa_view v = sa_of(&w->hosts[1]);

    assert_true(gh_addr_equal(&v.remote.addr, a));
}

static void a_host_moves(void **state)
{
    struct ike_world *w = mobile_pair(20);
    struct gh_addr to = address(7), was = w->hosts[1].addr;

    assert_int_equal(sa_of(&w->hosts[0]).remote.port, IKE2_PORT_NAT_T);
    assert_true(move(w, 0, 7));
    ike_world_run(w, 100);
    assert_at(w, &to);
    assert_int_equal(w->hosts[0].updated, 1);
    assert_int_equal(w->hosts[1].updated, 1);
    assert_false(w->hosts[1].child_udp);
    assert_up(w, 1);
    /* After the responder rekeyed, it is still the one who follows. */
    assert_true(ike2_rekey_ike(w->hosts[1].core, w->now, sa_of(&w->hosts[1]).id));
    ike_world_run(w, 1000);
    to = address(8);
    assert_true(move(w, 0, 8));
    ike_world_run(w, 100);
    assert_at(w, &to);
    assert_false(move(w, 1, 8)); /* it is not the one who began */
    w->hosts[1].addr = was;
    ike_world_run(w, 100 * 1000);
    assert_up(w, 1);
    ike_world_free(w);
}

static void without_mobike_nobody_moves(void **state)
{
    for (size_t who = 0; who < 2; who++) {
        struct ike_world *w = pair(21);

        policy(w, who)->mobike = true;
        begin(w);
        assert_up(w, 1);
        assert_false(move(w, 0, 7));
        ike_world_free(w);
    }
}

static void it_moves_before_it_was_heard(void **state)
{
    struct ike_world *w = mobile_pair(22);
    struct gh_addr to = address(9);

    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, w->hosts[0].child[0].id));
    assert_true(move(w, 0, 7)); /* a request is under way */
    ike_world_run(w, 3);
    assert_true(move(w, 0, 8)); /* while the peer is being told */
    ike_world_run(w, 2);
    assert_true(move(w, 0, 9));
    ike_world_run(w, 10 * 1000);
    assert_at(w, &to);
    assert_up(w, 1);
    ike_world_free(w);
}

static void it_moves_behind_a_nat_that_forgets(void **state)
{
    struct ike_world *w = mobile_pair(23);
    struct ike_host *h = &w->hosts[0];
    struct gh_addr outside = address(200);

    h->nat_addr = outside;
    h->nat_port = 30000;
    h->behind_nat = true;
    assert_true(move(w, 0, 7));
    ike_world_run(w, 100);
    assert_at(w, &outside);
    assert_true(w->hosts[0].child_udp && w->hosts[1].child_udp);
    assert_int_equal(w->hosts[1].child_remote.port, 30001);
    ike_world_run(w, 60 * 1000);
    h->nat_port = 40000; /* asked whether the peer lives, it hears that it is seen elsewhere */
    ike_world_run(w, 60 * 1000);
    assert_int_equal(w->hosts[1].child_remote.port, 40001);
    h->behind_nat = false;
    assert_true(move(w, 0, 8));
    ike_world_run(w, 100);
    assert_false(w->hosts[0].child_udp || w->hosts[1].child_udp);
    assert_up(w, 1);
    ike_world_free(w);
}

static void it_may_not_move_anywhere(void **state)
{
    struct ike_world *w = pair(24);
    struct gh_addr old = w->hosts[0].addr;

    make_mobile(w);
    policy(w, 1)->moves_to = (struct gh_prefix){.addr = address(0), .bits = 29};
    begin(w);
    assert_true(move(w, 0, 9));
    ike_world_run(w, 100);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_NOT_MOVED), 1);
    assert_int_equal(w->hosts[0].updated + w->hosts[1].updated, 0);
    assert_seen_at(w, &old);
    assert_true(move(w, 0, 7));
    ike_world_run(w, 100);
    old = address(7);
    assert_at(w, &old);
    ike_world_free(w);
}

/* Whoever sits on the way writes another source address on what host 0 sends. */
struct rewriter {
    unsigned rewritten, most;
};

static bool rewrite(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    struct rewriter *r = ctx;

    if (from == &from->world->hosts[0] && r->rewritten < r->most) {
        r->rewritten++;
        d->local.addr = address(66);
    }
    return true;
}

static void a_peer_is_believed_only_where_it_answers(void **state)
{
    struct ike_world *w = mobile_pair(25);
    struct rewriter r = {.most = 1};
    struct gh_addr to = address(7);

    w->filter = rewrite;
    w->filter_ctx = &r;
    assert_true(move(w, 0, 7));
    ike_world_run(w, 200);
    assert_int_equal(r.rewritten, 1);
    assert_int_equal(w->hosts[1].updated, 0); /* nobody answers at the other address */
    ike_world_run(w, 30 * 1000);              /* said again, it comes from where it was said */
    assert_at(w, &to);
    assert_false(w->hosts[0].child_udp || w->hosts[1].child_udp);
    r.most = 1000; /* who never answers where it is said to be stays where it was */
    w->hosts[1].updated = 0;
    assert_true(move(w, 0, 8));
    ike_world_run(w, 200 * 1000);
    assert_true(r.rewritten > 3);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_NOT_MOVED), 1);
    assert_int_equal(w->hosts[1].updated, 0);
    ike_world_free(w);
}

static void where_no_nat_may_be_none_is_believed(void **state)
{
    for (unsigned most = 1; most < 1000; most += 998) {
        struct ike_world *w = pair(26);
        struct rewriter r = {.most = most};
        struct gh_addr to = address(7), old = w->hosts[0].addr;

        make_mobile(w);
        policy(w, 0)->no_nats = policy(w, 1)->no_nats = true;
        begin(w);
        assert_up(w, 1);
        assert_int_equal(sa_of(&w->hosts[0]).local.port, IKE2_PORT);
        w->filter = rewrite;
        w->filter_ctx = &r;
        assert_true(move(w, 0, 7));
        /* The answer goes to the other address: it is host 0's too, or there would be none. */
        w->hosts[0].second = address(66);
        ike_world_run(w, 5000);
        assert_true(count(&w->hosts[1], IKE2_COUNT_NOT_MOVED) >= 1);
        if (most == 1) { /* one packet of an attacker's is not the end */
            assert_at(w, &to);
        } else {
            assert_int_equal(count(&w->hosts[0], IKE2_COUNT_NOT_MOVED), 1);
            assert_seen_at(w, &old);
            assert_int_equal(w->hosts[0].updated + w->hosts[1].updated, 0);
        }
        ike_world_free(w);
    }
}

static bool first_way_is_cut(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    const struct gh_addr *cut = ctx;

    return !gh_addr_equal(&d->remote.addr, cut) && !gh_addr_equal(&d->local.addr, cut);
}

static void another_address_of_the_peer_is_found(void **state)
{
    struct ike_world *w = pair(27);

    make_mobile(w);
    w->hosts[1].second = address(99);
    policy(w, 1)->others[0] = address(99);
    policy(w, 1)->other_count = 1;
    begin(w);
    assert_up(w, 1);
    w->filter = first_way_is_cut;
    w->filter_ctx = &w->hosts[1].addr;
    policy(w, 1)->liveness_ms = 0;
    ike_world_run(w, 200 * 1000);
    assert_up(w, 1);
    assert_true(gh_addr_equal(&w->hosts[0].child_remote.addr, &w->hosts[1].second));
    assert_true(gh_addr_equal(&w->hosts[1].child_local.addr, &w->hosts[1].second));
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_DEAD), 0);
    ike_world_free(w);
}

/* Moves, rekeying and a bad network; afterwards both know where they are. */
static void a_restless_host(uint64_t seed)
{
    struct ike_world *w = mobile_pair(seed);

    policy(w, 0)->retransmits = policy(w, 1)->retransmits = 12;
    policy(w, 0)->liveness_retries = policy(w, 1)->liveness_retries = 12;
    w->loss = 200;
    w->duplicated = 100;
    w->delay_most = 300;
    for (unsigned i = 0; i < 60; i++) {
        struct ike_host *h = &w->hosts[ike_world_random(w, 2)];
        struct ike2_sa_view v;

        ike_world_run(w, ike_world_random(w, 3000));
        if (ike_world_sas(&w->hosts[0], &v) == 1 && ike_world_random(w, 2) == 0)
            move(w, 0, (uint8_t)(1 + ike_world_random(w, 60)));
        else if (ike_world_sas(h, &v) == 1 && ike_world_random(w, 3) == 0)
            ike2_rekey_ike(h->core, w->now, v.id);
        else if (ike_world_random(w, 3) == 0)
            ike2_rekey_child(h->core, w->now, h->child[0].id);
    }
    w->loss = w->duplicated = 0;
    w->delay_most = 5;
    ike_world_run(w, 1000 * 1000);
    if (ike_world_sas(&w->hosts[0], NULL) != 1)
        fail_msg("seed %llu: %s", (unsigned long long)seed, w->hosts[0].last[IKE2_EVENT_SA_DOWN]);
    move(w, 0, 77);
    ike_world_run(w, 1000);
    assert_up(w, 1);
    assert_at(w, &w->hosts[0].addr);
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_SA_DOWN], 0);
    ike_world_free(w);
}

static void restless_hosts(void **state)
{
    for (uint64_t seed = 2000; seed < 2040; seed++)
        a_restless_host(seed);
}

static void drop_children(struct ike2_policy *p)
{
    while (p->child_count > 0)
        ike_proposals_clear(&p->children[--p->child_count].proposals);
}

/* ---- Childless IKE SAs (RFC 6023) ----------------------------------------------------------- */

static void an_ike_sa_without_a_child(void **state)
{
    struct ike_world *w = pair(40);

    policy(w, 0)->childless = policy(w, 1)->childless = true;
    drop_children(policy(w, 0));
    for (size_t i = 0; i < 2; i++)
        ike_world_configure(w, i);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", NULL));
    ike_world_run(w, 1000);
    assert_up(w, 0);
    assert_int_equal(w->carried, 4);
    /* The other makes one later. */
    assert_true(ike2_rekey_ike(w->hosts[1].core, w->now, sa_of(&w->hosts[1]).id));
    ike_world_run(w, 1000);
    assert_up(w, 0);
    ike_world_free(w);
}

static void children_follow_with_keys_of_their_own(void **state)
{
    struct ike_world *w = pair(41);

    policy(w, 0)->childless = policy(w, 1)->childless = true;
    begin(w);
    assert_up(w, 1);
    assert_int_equal(w->carried, 6);
    ike_world_free(w);
}

/* RFC 6023 4: the notification's protocol is IKE, with no SPI. */
static bool see_childless(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    const uint8_t wanted[] = {0, 8, 1, 0, 16418 >> 8, 16418 & 255};
    unsigned *seen = ctx;

    if (from == &from->world->hosts[1] && d->data[18] == IKE_X_SA_INIT &&
        memmem(d->data, d->len, wanted, sizeof(wanted)) != NULL)
        ++*seen;
    return true;
}

static void the_responder_says_that_it_may_be_childless(void **state)
{
    for (unsigned may = 0; may < 2; may++) {
        struct ike_world *w = pair(45);
        unsigned seen = 0;

        policy(w, 1)->childless = may;
        w->filter = see_childless;
        w->filter_ctx = &seen;
        begin(w);
        assert_int_equal(seen, may);
        ike_world_free(w);
    }
}

static void only_one_side_is_childless(void **state)
{
    struct ike_world *w = pair(42);

    policy(w, 0)->childless = true;
    begin(w); /* as ever, since the peer says nothing */
    assert_up(w, 1);
    assert_int_equal(w->carried, 4);
    ike_world_free(w);

    w = pair(43);
    drop_children(policy(w, 0));
    for (size_t i = 0; i < 2; i++)
        ike_world_configure(w, i);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", NULL));
    ike_world_run(w, 1000);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 0);
    assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_SA_FAILED], "without one"));
    ike_world_free(w);
}

/* The initiator is made to believe what the responder did not say. */
static bool add_childless(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    static uint8_t octets[2048];
    const uint8_t notify[8] = {0, 0, 0, 8, 0, 0, 16418 >> 8, 16418 & 255};
    size_t at = IKE_HEADER_LEN;

    if (from != &from->world->hosts[1] || d->data[18] != IKE_X_SA_INIT)
        return true;
    memcpy(octets, d->data, d->len);
    while (octets[at] != 0)
        at += (size_t)(octets[at + 2] << 8 | octets[at + 3]);
    octets[at] = IKE_P_NOTIFY;
    memcpy(octets + d->len, notify, sizeof(notify));
    d->data = octets;
    d->len += sizeof(notify);
    octets[26] = (uint8_t)(d->len >> 8);
    octets[27] = (uint8_t)d->len;
    return true;
}

static void who_is_not_childless_refuses(void **state)
{
    struct ike_world *w = pair(44);

    policy(w, 0)->childless = true;
    w->filter = add_childless;
    begin(w);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL) + ike_world_sas(&w->hosts[1], NULL), 0);
    assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_SA_FAILED], "INVALID_SYNTAX"));
    ike_world_free(w);
}

/* ---- Puzzles (RFC 8019) --------------------------------------------------------------------- */

/* Host 1 is under attack: it asks everybody for a puzzle of so many bits. */
static struct ike_world *crowded(uint64_t seed, uint8_t bits)
{
    struct ike_world *w = pair(seed);
    struct ike2_settings *s = &w->hosts[1].settings;

    s->half_open_cookie = s->half_open_puzzle = 0;
    s->puzzle_bits = bits;
    s->puzzle_legacy = 0;
    w->hosts[0].settings.puzzle_budget = 100;
    ike_world_restart(w, 0);
    ike_world_restart(w, 1);
    return w;
}

static void a_puzzle_is_solved(void **state)
{
    struct ike_world *w = crowded(50, 8);

    begin(w);
    assert_up(w, 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_PUZZLES_SENT), 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_PUZZLES_SOLVED), 1);
    ike_world_free(w);
}

static void who_solves_nothing_needs_luck(void **state)
{
    for (unsigned luck = 0; luck < 2; luck++) {
        struct ike_world *w = crowded(51, 8);
        int64_t when;

        w->hosts[1].settings.puzzle_legacy = 1000 * luck;
        ike_world_restart(w, 1);
        policy(w, 0)->puzzle_bits = 7; /* it has no time for 8 */
        begin(w);
        assert_int_equal(ike_world_sas(&w->hosts[1], NULL), luck);
        assert_true(count(&w->hosts[0], IKE2_COUNT_PUZZLE_TOO_HARD) >= 1);
        assert_non_null(
            strstr(ike2_last_failure(w->hosts[0].core, IKE2_COUNT_PUZZLE_TOO_HARD, &when),
                   "puzzle of 8 bits"));
        assert_int_equal(count(&w->hosts[1], IKE2_COUNT_PUZZLES_SOLVED), 0);
        ike_world_free(w);
    }
}

/* Of what host 0 brings, the solution is another. */
static bool spoil_solution(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    struct ike_message m;

    if (from == &from->world->hosts[0] && d->data[18] == IKE_X_SA_INIT &&
        ike_message_parse(gh_view_of(d->data, d->len), &m) == IKE_OK) {
        const struct ike_payload *p = ike_find(&m.clear, IKE_P_PS, 0);

        if (p != NULL) /* the last of the keys is the second last */
            memcpy(d->data + (p->body.p - d->data) + p->body.len / 4 * 3, p->body.p,
                   p->body.len / 4);
    }
    return true;
}

static void a_wrong_solution_opens_nothing(void **state)
{
    struct ike_world *w = crowded(52, 8);

    w->filter = spoil_solution;
    begin(w);
    assert_int_equal(ike_world_sas(&w->hosts[1], NULL), 0);
    assert_true(count(&w->hosts[1], IKE2_COUNT_BAD_PUZZLE) >= 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_PUZZLES_SOLVED), 0);
    ike_world_free(w);
}

/* Keeps what host 0 says first, and lets nothing of its pass while `caught` is below `most`. */
static bool catch_first(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    struct catcher *k = ctx;

    if (from != &from->world->hosts[0] || k->caught >= k->most || d->len > sizeof(k->octets))
        return true;
    if (k->caught++ == 0) {
        memcpy(k->octets, d->data, d->len);
        k->len = d->len;
    }
    return false;
}

/* An answer in clear to it. */
static void forge_answer(struct ike_world *w, const struct catcher *k, uint16_t type,
                         struct gh_view data, bool puzzle)
{
    const uint8_t impossible[3] = {0, IKE_PRF_HMAC_SHA2_256, 255};
    struct ike_header h = {
        .version = IKE_VERSION_2, .exchange = IKE_X_SA_INIT, .flags = IKE_FLAG_RESPONSE};
    uint8_t octets[256];
    struct ike_out o;
    struct gh_view whole;
    struct ike2_datagram d = {
        .local = {w->hosts[0].addr, 500}, .remote = {w->hosts[1].addr, 500}, .data = octets};

    memcpy(h.spi_i, k->octets, IKE_SPI_LEN);
    o = ike_out_message(octets, sizeof(octets), &h);
    ike_notify_emit_data(&o, type, data);
    if (puzzle)
        ike_notify_emit_data(&o, IKE_N_PUZZLE, gh_view_of(impossible, sizeof(impossible)));
    assert_true(ike_out_done(&o, &whole));
    d.len = whole.len;
    ike_world_push(w, 0, &d);
}

static void an_impossible_puzzle_is_left(void **state)
{
    struct ike_world *w = pair(53);
    struct catcher k = {.most = 6};
    uint8_t cookie[20] = {1};

    w->filter = catch_first;
    w->filter_ctx = &k;
    for (size_t i = 0; i < 2; i++)
        ike_world_configure(w, i);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    for (unsigned i = 0; i < 20; i++) {
        cookie[1] = (uint8_t)i;
        forge_answer(w, &k, IKE_N_COOKIE, gh_view_of(cookie, sizeof(cookie)), true);
    }
    assert_int_equal(k.caught, 6); /* five cookies are enough */
    ike_world_run(w, 3000);
    assert_up(w, 1);
    ike_world_free(w);
}

static void a_puzzle_without_a_cookie_is_none(void **state)
{
    struct ike_world *w = pair(54);
    struct catcher k = {.most = 1000};
    const uint8_t puzzle[3] = {0, IKE_PRF_HMAC_SHA2_256, 4};

    w->filter = catch_first;
    w->filter_ctx = &k;
    for (size_t i = 0; i < 2; i++)
        ike_world_configure(w, i);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    forge_answer(w, &k, IKE_N_PUZZLE, gh_view_of(puzzle, sizeof(puzzle)), false);
    ike_world_run(w, 900);
    assert_int_equal(k.caught, 1); /* it goes on waiting */
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_NOT_ADMITTED), 1);
    ike_world_free(w);
}

static void a_puzzle_of_no_difficulty_is_as_hard_as_one_can(void **state)
{
    struct ike_world *w = crowded(55, 0);

    policy(w, 0)->puzzle_bits = 6;
    begin(w);
    assert_up(w, 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_PUZZLES_SOLVED), 1);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PUZZLE_TOO_HARD), 0);
    ike_world_free(w);
}

/* A puzzle is put into host 1's IKE_SA_INIT response, and what host 0 brings with IKE_AUTH is
 * looked at. (The responder knows of no puzzle; that the response was changed would show in AUTH.)
 */
struct auth_puzzle {
    uint8_t bits;
    uint8_t text[IKE_NONCE_MAX + IKE_SPI_LEN];
    size_t text_len;
    unsigned solutions, messages, solved; /* bits */
    size_t longest;
};

static bool ask_in_auth(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    static uint8_t octets[2048];
    struct auth_puzzle *k = ctx;
    const uint8_t notify[11] = {0, 0, 0, 11, 0, 0, 16434 >> 8, 16434 & 255, 0, 5, k->bits};
    size_t at = IKE_HEADER_LEN;
    struct ike_message m;

    if (ike_message_parse(gh_view_of(d->data, d->len), &m) != IKE_OK)
        return true;
    if (from == &from->world->hosts[0] && m.h.exchange == IKE_X_AUTH) {
        const struct ike_payload *ps = ike_find(&m.clear, IKE_P_PS, 0);
        struct gh_view solution;

        k->messages++;
        k->longest = d->len > k->longest ? d->len : k->longest;
        if (ps == NULL)
            return true;
        k->solutions++;
        assert_int_equal(k->messages, 1); /* the first fragment */
        assert_int_equal(ike_puzzle_solution_parse(ps->body, &solution), IKE_OK);
        assert_true(ike_puzzle_verify(IKE_PRF_HMAC_SHA2_256, gh_view_of(k->text, k->text_len),
                                      solution, &k->solved));
        return true;
    }
    if (from != &from->world->hosts[1] || m.h.exchange != IKE_X_SA_INIT)
        return true;
    memcpy(k->text, ike_find(&m.clear, IKE_P_NONCE, 0)->body.p, 32);
    memcpy(k->text + 32, m.h.spi_r, IKE_SPI_LEN);
    k->text_len = 32 + IKE_SPI_LEN;
    memcpy(octets, d->data, d->len);
    while (octets[at] != 0)
        at += (size_t)(octets[at + 2] << 8 | octets[at + 3]);
    octets[at] = IKE_P_NOTIFY;
    memcpy(octets + d->len, notify, sizeof(notify));
    d->data = octets;
    d->len += sizeof(notify);
    octets[26] = (uint8_t)(d->len >> 8);
    octets[27] = (uint8_t)d->len;
    return true;
}

static void a_puzzle_before_ike_auth_is_solved(void **state)
{
    static const struct {
        uint8_t bits;
        uint16_t mtu;
        bool solved;
    } cases[] = {{8, 1500, true}, {8, 512, true}, {9, 1500, false}, {0, 1500, false}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ike_world *w = pair(56);
        struct auth_puzzle k = {.bits = cases[i].bits};
        struct ike2_child_policy *child = &policy(w, 0)->children[0];

        policy(w, 0)->puzzle_bits = 8;
        policy(w, 0)->mtu = policy(w, 1)->mtu = cases[i].mtu;
        policy(w, 0)->retransmit_ms = 100 * 1000;
        for (uint8_t n = 1; cases[i].mtu < 1500 && n < 30; n++) { /* more than one datagram */
            child->remote.ts[child->remote.count] = child->remote.ts[0];
            child->remote.ts[child->remote.count].protocol = n;
            child->remote.count++;
        }
        w->filter = ask_in_auth;
        w->filter_ctx = &k;
        begin(w);
        assert_int_equal(k.solutions, cases[i].solved);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PUZZLE_TOO_HARD), cases[i].bits > 8);
        if (cases[i].solved)
            assert_true(k.solved >= cases[i].bits);
        assert_int_equal(k.messages > 1, cases[i].mtu < 1500);
        assert_true(k.longest + 28 <= cases[i].mtu);
        ike_world_free(w);
    }
}

/* ---- Resumption (RFC 5723) ------------------------------------------------------------------ */

static struct ike_world *with_tickets(uint64_t seed)
{
    struct ike_world *w = pair(seed);

    policy(w, 0)->resumption = policy(w, 1)->resumption = true;
    begin(w);
    assert_up(w, 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_TICKETS_GIVEN), 1);
    return w;
}

/* Host 0 no longer hears host 1, gives up, and comes again. */
static void lose_and_begin_again(struct ike_world *w)
{
    w->hosts[1].dead = true;
    ike_world_run(w, 120 * 1000);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 0);
    w->hosts[1].dead = false;
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
}

static void a_lost_sa_comes_again(void **state)
{
    struct ike_world *w = with_tickets(60);
    struct ike2_sa_view v;

    for (unsigned i = 1; i < 4; i++) {
        unsigned asked = w->hosts[0].asked[GH_KEEPER_PSK] + w->hosts[1].asked[GH_KEEPER_PSK];

        lose_and_begin_again(w);
        assert_up(w, 1); /* the old one of host 1 is gone, too */
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_SA_RESUMED), i);
        assert_int_equal(count(&w->hosts[1], IKE2_COUNT_SA_RESUMED), i);
        assert_int_equal(w->hosts[0].asked[GH_KEEPER_PSK] + w->hosts[1].asked[GH_KEEPER_PSK],
                         asked);
        v = sa_of(&w->hosts[0]);
        assert_int_equal(v.ke.id, IKE_KE_CURVE25519);
        assert_true(ike2_rekey_child(w->hosts[1].core, w->now,
                                     v.children == 1 ? w->hosts[1].child[0].id : 0));
        ike_world_run(w, 1000);
        assert_up(w, 1);
    }
    ike_world_free(w);
}

/* RFC 9370 2.2.5: what the additional key exchanges have given is in the ticket's SK_d. They are
 * not made again. */
static void a_hybrid_sa_comes_again(void **state)
{
    struct ike_world *w = pair(68);

    for (size_t i = 0; i < 2; i++) {
        policy(w, i)->resumption = true;
        ike_world_add_transform(&policy(w, i)->proposals, IKE_T_ADDKE1 + 1, IKE_KE_ECP_384);
    }
    begin(w);
    assert_up(w, 1);
    lose_and_begin_again(w);
    assert_up(w, 1);
    for (size_t i = 0; i < 2; i++) {
        struct ike2_sa_view v = sa_of(&w->hosts[i]);

        assert_int_equal(count(&w->hosts[i], IKE2_COUNT_SA_RESUMED), 1);
        assert_int_equal(v.addke[1].id, IKE_KE_ECP_384);
        assert_int_equal(v.next_send_id + v.next_receive_id, 2); /* IKE_AUTH is the second */
    }
    ike_world_free(w);
}

static void a_rekeyed_sa_has_a_new_ticket(void **state)
{
    for (size_t who = 0; who < 2; who++) {
        struct ike_world *w = with_tickets(61 + who);

        assert_true(ike2_rekey_ike(w->hosts[who].core, w->now, sa_of(&w->hosts[who]).id));
        ike_world_run(w, 3000); /* the request may be there before the new SA is */
        assert_int_equal(count(&w->hosts[1], IKE2_COUNT_TICKETS_GIVEN), 2);
        lose_and_begin_again(w);
        assert_up(w, 1);
        assert_int_equal(count(&w->hosts[1], IKE2_COUNT_SA_RESUMED), 1);
        ike_world_free(w);
    }
}

static void who_ended_it_does_not_resume_it(void **state)
{
    for (size_t who = 0; who < 2; who++) {
        struct ike_world *w = with_tickets(63 + who);

        assert_true(ike2_terminate_ike(w->hosts[who].core, w->now, sa_of(&w->hosts[who]).id));
        ike_world_run(w, 1000);
        assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
        ike_world_run(w, 1000);
        assert_up(w, 1);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_SA_RESUMED), 0);
        assert_int_equal(count(&w->hosts[1], IKE2_COUNT_BAD_TICKET), 0);
        ike_world_free(w);
    }
}

static void a_gateway_that_forgot_gets_a_key_exchange(void **state)
{
    struct ike_world *w = with_tickets(65);

    w->hosts[1].dead = true;
    ike_world_run(w, 120 * 1000);
    ike_world_restart(w, 1);
    w->hosts[1].dead = false;
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_BAD_TICKET), 1);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_SA_RESUMED), 0);
    ike_world_free(w);
}

static void a_changed_policy_takes_no_ticket(void **state)
{
    for (unsigned how = 0; how < 3; how++) {
        struct ike_world *w = with_tickets(70);
        struct ike_host *h = &w->hosts[1];

        w->hosts[1].dead = true;
        ike_world_run(w, 120 * 1000);
        w->hosts[1].dead = false;
        if (how == 0) { /* another of the same name */
            struct ike2_policy *was = h->policies[0];

            h->policy_count = 0;
            ike_world_policy(w, 1, 0)->resumption = true;
            ike_world_configure(w, 1);
            ike2_policy_free(was);
        } else if (how == 1) {
            ike2_forget_tickets(h->core);
        } else {
            ike_world_configure(w, 1); /* the same ones again */
        }
        assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
        ike_world_run(w, 1000);
        assert_int_equal(ike_world_children(&w->hosts[0]), 1);
        assert_int_equal(count(h, IKE2_COUNT_BAD_TICKET), how < 2);
        assert_int_equal(count(h, IKE2_COUNT_SA_RESUMED), how == 2);
        ike_world_free(w);
    }
}

/* The gateway is killed and starts again with what its shell kept: the crash is noticed, and the SA
 * comes again by its ticket, which is not good a second time. */
static void tickets_outlive_a_gateway_that_was_killed(void **state)
{
    struct ike_world *w = pair(71);
    struct ike2_settings *s = &w->hosts[1].settings;
    void *memory = calloc(1, ike2_ticket_memory()), *other = calloc(1, ike2_ticket_memory());

    s->crash_secret = crash_secret;
    s->ticket_memory = memory;
    ike_world_restart(w, 1);
    policy(w, 0)->resumption = policy(w, 1)->resumption = true;
    policy(w, 0)->children[0].start = true;
    begin(w);
    for (unsigned i = 1; i < 4; i++) {
        ike_world_restart(w, 1);
        assert_true(ike2_rekey_child(w->hosts[0].core, w->now, w->hosts[0].child[0].id));
        ike_world_run(w, 1000);
        assert_up(w, 1);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_SA_RESUMED), i);
        assert_int_equal(count(&w->hosts[1], IKE2_COUNT_SA_RESUMED), 1); /* in this life */
    }
    /* With other memory, as after a change of the configuration, none is good. */
    s->ticket_memory = other;
    assert_true(ike2_configure(w->hosts[1].core, w->now, s));
    assert_up(w, 1);
    ike_world_restart(w, 1);
    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, w->hosts[0].child[0].id));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_BAD_TICKET), 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_SA_RESUMED), 0);
    for (size_t i = 0; i < 8; i++) /* and its first key is wiped */
        assert_int_equal(((const uint8_t *)memory)[i + 8], 0);
    ike_world_free(w);
    free(memory);
    free(other);
}

/* The network is down for longer than the first attempt lasts. */
static void a_ticket_waits_for_the_network(void **state)
{
    for (unsigned patience = 1; patience < 8; patience += 5) { /* less and more than it is tried */
        struct ike_world *w = with_tickets(74);

        policy(w, 0)->retransmits = patience;
        w->hosts[1].dead = true;
        ike_world_run(w, 120 * 1000);
        assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
        ike_world_run(w, 400 * 1000); /* with the ticket, without, and given up */
        assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 0);
        w->hosts[1].dead = false;
        assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
        ike_world_run(w, 1000);
        assert_up(w, 1);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_SA_RESUMED), 1);
        ike_world_free(w);
    }
}

/* Nor is it used after an SA that came about without it. */
static void a_ticket_ends_with_the_next_sa(void **state)
{
    struct ike_world *w = with_tickets(75);

    w->hosts[1].dead = true;
    ike_world_run(w, 120 * 1000);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 20 * 1000); /* it is being done without by now */
    policy(w, 1)->resumption = false;
    w->hosts[1].dead = false;
    ike_world_run(w, 60 * 1000);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_SA_RESUMED), 0);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 1);
    policy(w, 1)->resumption = true;
    lose_and_begin_again(w);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_SA_RESUMED), 0);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_BAD_TICKET), 0);
    ike_world_free(w);
}

static void only_this_cipher(struct ike2_policy *p, uint16_t bits)
{
    struct ike_sa sa;
    struct ike_proposal *x = &sa.proposal[0];

    ike_proposals_get(&p->proposals, &sa);
    for (size_t t = 0; t < x->count; t++)
        if (x->transform[t].type == IKE_T_ENCR)
            x->transform[t].key_bits = bits;
    assert_true(ike_proposals_set(&p->proposals, &sa));
}

/* The old SA's algorithms must still be allowed, at both ends. */
static void what_is_no_longer_offered_is_not_resumed(void **state)
{
    for (size_t who = 0; who < 2; who++) {
        struct ike_world *w = with_tickets(76 + who);
        struct ike_sa own;

        only_this_cipher(policy(w, 1), 128);
        if (who == 1) { /* the client would take either */
            ike_proposals_get(&policy(w, 0)->proposals, &own);
            own.proposal[1] = own.proposal[0];
            own.proposal[1].number = 2;
            own.count = 2;
            assert_true(ike_proposals_set(&policy(w, 0)->proposals, &own));
        }
        only_this_cipher(policy(w, 0), 128);
        lose_and_begin_again(w);
        assert_up(w, 1);
        assert_int_equal(sa_of(&w->hosts[0]).encr.key_bits, 128);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_SA_RESUMED), 0);
        assert_int_equal(count(&w->hosts[1], IKE2_COUNT_BAD_TICKET), who);
        ike_world_free(w);
    }
}

static void tickets_expire(void **state)
{
    struct ike_world *w = pair(66);

    w->hosts[1].settings.ticket_seconds = 60; /* less than it takes to notice */
    ike_world_restart(w, 1);
    policy(w, 0)->resumption = policy(w, 1)->resumption = true;
    begin(w);
    lose_and_begin_again(w);
    assert_up(w, 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_SA_RESUMED), 0);
    ike_world_free(w);
}

static bool catch_resume(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    struct catcher *k = ctx;

    if (from == &from->world->hosts[0] && d->data[18] == IKE_X_SESSION_RESUME &&
        d->len <= sizeof(k->octets)) {
        k->caught++;
        memcpy(k->octets, d->data, d->len);
        k->len = d->len;
    }
    return true;
}

static void a_ticket_is_good_once(void **state)
{
    struct ike_world *w = with_tickets(67);
    struct catcher k = {.caught = 0};
    struct ike2_datagram d = {
        .local = {w->hosts[1].addr, 500}, .remote = {w->hosts[0].addr, 500}, .data = k.octets};
    struct ike2_sa_view before, after;

    w->filter = catch_resume;
    w->filter_ctx = &k;
    lose_and_begin_again(w);
    assert_up(w, 1);
    assert_int_equal(k.caught, 1);
    before = sa_of(&w->hosts[1]);
    d.len = k.len;
    for (uint8_t i = 0; i < 20; i++) { /* as it was, and as somebody else's */
        if (i > 0)
            k.octets[0] = (uint8_t)(k.octets[0] + 1);
        ike_world_push(w, 1, &d);
    }
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_BAD_TICKET), 19);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_SA_RESUMED), 1);
    ike_world_run(w, 100 * 1000);
    after = sa_of(&w->hosts[1]);
    assert_true(before.id == after.id);
    assert_up(w, 1);
    ike_world_free(w);
}

/* A ticket that was seen, but not used by whom it is: it opens nothing without SK_d. */
static void a_stolen_ticket_ends_nothing(void **state)
{
    struct ike_world *w = with_tickets(68);
    struct catcher k = {.caught = 0};
    struct ike2_datagram d = {
        .local = {w->hosts[1].addr, 500}, .remote = {w->hosts[0].addr, 500}, .data = k.octets};

    w->filter = catch_resume;
    w->filter_ctx = &k;
    w->loss = 1000; /* host 0 tries alone */
    ike_world_run(w, 120 * 1000);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    w->hosts[0].dead = true;
    assert_int_equal(k.caught, 1);
    w->loss = 0;
    d.len = k.len;
    ike_world_push(w, 1, &d);
    ike_world_run(w, 60 * 1000);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_SA_RESUMED), 0);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_HALF_OPEN_EXPIRED), 1);
    for (size_t at = IKE_HEADER_LEN; at < k.len; at += 3) { /* changed anywhere, it is refused */
        k.octets[at] ^= 0x20;
        k.octets[at % IKE_SPI_LEN] ^= 1;
        ike_world_push(w, 1, &d);
        k.octets[at] ^= 0x20;
    }
    ike_world_run(w, 60 * 1000);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_SA_RESUMED), 0);
    ike_world_free(w);
}

static void resumption_asks_for_a_cookie(void **state)
{
    struct ike_world *w = pair(69);

    w->hosts[1].settings.half_open_cookie = w->hosts[1].settings.half_open_puzzle = 0;
    w->hosts[1].settings.puzzle_bits = 4;
    ike_world_restart(w, 1);
    policy(w, 0)->resumption = policy(w, 1)->resumption = true;
    begin(w);
    lose_and_begin_again(w);
    assert_up(w, 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_SA_RESUMED), 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_COOKIES_SENT), 1);
    ike_world_free(w);
}

/* ---- Other settings while it runs ----------------------------------------------------------- */

static void settings_change_while_it_runs(void **state)
{
    struct ike_world *w = pair(72);
    struct ike2_settings *s = &w->hosts[1].settings;
    struct gh_lockout_settings lockout = gh_lockout_defaults();
    struct gh_lockout *table;

    begin(w);
    assert_up(w, 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_PUZZLES_SENT), 0);
    s->half_open_cookie = s->half_open_puzzle = 0;
    s->puzzle_bits = 4;
    s->crash_secret = crash_secret;
    s->lockout = &lockout;
    assert_true(ike2_configure(w->hosts[1].core, w->now, s));
    assert_up(w, 1); /* what is there stays */
    assert_true(ike2_terminate_ike(w->hosts[0].core, w->now, sa_of(&w->hosts[0]).id));
    ike_world_run(w, 1000);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_PUZZLES_SOLVED), 1);
    assert_true(sa_of(&w->hosts[0]).peer_token && !sa_of(&w->hosts[1]).peer_token);
    /* A limit below what is there lets nobody else in. */
    s->sas_max = 1;
    assert_true(ike2_configure(w->hosts[1].core, w->now, s));
    assert_up(w, 1);
    table = ike2_lockout(w->hosts[1].core);
    assert_non_null(table);
    gh_lockout_failed(table, w->now.mono_ms, 0, &w->hosts[0].addr, 500);
    lockout.attempts = 2;
    assert_true(ike2_configure(w->hosts[1].core, w->now, s));
    assert_ptr_equal(ike2_lockout(w->hosts[1].core), table); /* what it counted counts on */
    assert_int_equal(gh_lockout_failed(table, w->now.mono_ms, 0, &w->hosts[0].addr, 500),
                     GH_LOCKOUT_PORT_BLOCKED);
    lockout.attempts = 0;
    s->sas_max = 2;
    assert_false(ike2_configure(w->hosts[1].core, w->now, s));
    s->lockout = NULL;
    assert_true(ike2_configure(w->hosts[1].core, w->now, s));
    assert_null(ike2_lockout(w->hosts[1].core));
    ike_world_free(w);
}

static void keys_are_told_from_when_they_are_wanted(void **state)
{
    struct ike_world *w = pair(73);
    struct ike_host *h = &w->hosts[0];

    begin(w);
    assert_string_not_equal(h->key_line, "");
    ike2_set_key_log(h->core, NULL);
    h->key_line[0] = '\0';
    assert_true(ike2_rekey_ike(h->core, w->now, sa_of(h).id));
    ike_world_run(w, 1000);
    assert_string_equal(h->key_line, "");
    ike_world_free(w);
}

/* ---- Redirect (RFC 5685) -------------------------------------------------------------------- */

/* Host 0 is a client, the others are gateways of one net, each of which may send it to the next. */
static struct ike_world *gateways(uint64_t seed, size_t count_of_them, enum ike2_redirect_at at)
{
    struct ike_world *w = ike_world_new(seed, 1 + count_of_them);
    struct ike2_policy *client = ike_world_policy(w, 0, 1);

    w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    client->redirects = true;
    for (size_t i = 1; i <= count_of_them; i++) {
        struct ike2_policy *p = ike_world_policy(w, i, 0);

        p->children[0].local = client->children[0].remote;
        p->redirect_at = at;
        p->redirect_to = w->hosts[1 + i % count_of_them].addr;
    }
    return w;
}

static void assert_served_by(struct ike_world *w, size_t gateway)
{
    const char *wrong = ike_world_agree(&w->hosts[0], &w->hosts[gateway]);

    if (wrong != NULL)
        fail_msg("%s", wrong);
    assert_int_equal(ike_world_children(&w->hosts[0]), 1);
    for (size_t i = 0; i < w->host_count; i++)
        assert_int_equal(ike_world_sas(&w->hosts[i], NULL), i == 0 || i == gateway);
}

static void a_client_is_sent_elsewhere(void **state)
{
    static const enum ike2_redirect_at when[] = {IKE2_REDIRECT_INIT, IKE2_REDIRECT_AUTH};

    for (size_t i = 0; i < 2; i++) {
        struct ike_world *w = gateways(80, 2, when[i]);

        policy(w, 2)->redirect_at = IKE2_REDIRECT_NEVER;
        begin(w);
        ike_world_run(w, 1000);
        assert_served_by(w, 2);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_REDIRECTED), 1);
        assert_int_equal(w->hosts[1].installed, 0);
        ike_world_run(w, 100 * 1000);
        assert_served_by(w, 2);
        ike_world_free(w);
    }
}

static void who_cannot_go_is_served(void **state)
{
    static const enum ike2_redirect_at when[] = {IKE2_REDIRECT_INIT, IKE2_REDIRECT_AUTH};

    for (size_t i = 0; i < 2; i++) {
        struct ike_world *w = gateways(81, 2, when[i]);

        policy(w, 0)->redirects = false;
        begin(w);
        assert_served_by(w, 1);
        assert_false(
            ike2_redirect(w->hosts[1].core, w->now, sa_of(&w->hosts[1]).id, &w->hosts[2].addr));
        ike_world_free(w);
    }
}

static void a_session_is_sent_elsewhere(void **state)
{
    struct ike_world *w = gateways(82, 2, IKE2_REDIRECT_NEVER);

    begin(w);
    assert_served_by(w, 1);
    assert_false(
        ike2_redirect(w->hosts[0].core, w->now, sa_of(&w->hosts[0]).id, &w->hosts[2].addr));
    assert_true(ike2_rekey_ike(w->hosts[1].core, w->now, sa_of(&w->hosts[1]).id));
    ike_world_run(w, 1000);
    assert_true(ike2_redirect(w->hosts[1].core, w->now, sa_of(&w->hosts[1]).id, &w->hosts[2].addr));
    ike_world_run(w, 1000);
    assert_served_by(w, 2);
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_CHILD_DOWN], 0); /* made before it broke */
    ike_world_free(w);
}

static void a_client_goes_only_where_it_may(void **state)
{
    for (unsigned may = 0; may < 2; may++) {
        struct ike_world *w = gateways(86, 2, IKE2_REDIRECT_AUTH);

        policy(w, 2)->redirect_at = IKE2_REDIRECT_NEVER;
        policy(w, 0)->follows_to = (struct gh_prefix){.addr = w->hosts[1 + may].addr, .bits = 32};
        begin(w);
        ike_world_run(w, 1000);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_REDIRECTED), may);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_NOT_REDIRECTED) > 0, !may);
        if (may)
            assert_served_by(w, 2);
        else
            assert_int_equal(w->hosts[2].installed, 0);
        ike_world_free(w);
    }
}

static void two_that_send_to_each_other(void **state)
{
    struct ike_world *w = gateways(83, 2, IKE2_REDIRECT_INIT);

    begin(w);
    assert_served_by(w, 2); /* it does not send back whoever comes from there */
    ike_world_free(w);
}

static void a_loop_ends(void **state)
{
    struct ike_world *w = gateways(84, 3, IKE2_REDIRECT_INIT);

    begin(w);
    ike_world_run(w, 100 * 1000);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_REDIRECTED), 5);
    assert_true(count(&w->hosts[0], IKE2_COUNT_NOT_REDIRECTED) >= 1);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 0);
    ike_world_run(w, 300 * 1000);
    policy(w, 1)->redirect_at = IKE2_REDIRECT_NEVER; /* put right, it is served */
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_served_by(w, 1);
    ike_world_free(w);
}

static void a_forged_redirect_changes_nothing(void **state)
{
    struct ike_world *w = gateways(85, 2, IKE2_REDIRECT_NEVER);
    struct catcher k = {.most = 21};
    uint8_t data[6 + 32] = {1, 4};

    memcpy(data + 2, w->hosts[2].addr.octets, 4);
    w->filter = catch_first;
    w->filter_ctx = &k;
    for (size_t i = 0; i < w->host_count; i++)
        ike_world_configure(w, i);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    assert_int_equal(k.caught, 1);
    for (unsigned i = 0; i < 20; i++) { /* with no nonce, and with others */
        data[6] = (uint8_t)i;
        forge_answer(w, &k, IKE_N_REDIRECT, gh_view_of(data, i == 0 ? 6 : 6 + 32), false);
    }
    k.most = 1;
    ike_world_run(w, 3000);
    assert_served_by(w, 1);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_REDIRECTED), 0);
    ike_world_free(w);
}

static void a_gateway_that_is_not_there(void **state)
{
    struct ike_world *w = gateways(86, 2, IKE2_REDIRECT_INIT);

    policy(w, 0)->children[0].start = true;
    w->hosts[2].dead = true;
    begin(w);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 0);
    policy(w, 1)->redirect_at = IKE2_REDIRECT_NEVER;
    ike_world_run(w, 200 * 1000); /* back where it was sent from */
    assert_served_by(w, 1);
    ike_world_free(w);
}

/* ---- All of it at once ---------------------------------------------------------------------- */

/* Two addresses, restarts, rekeying, losses, with every extension; afterwards both ends agree. */
static void everything(uint64_t seed)
{
    struct ike_world *w = pair(seed);
    struct ike_host *h = &w->hosts[0];

    make_mobile(w);
    h->second = address(77);
    for (size_t i = 0; i < 2; i++) {
        w->hosts[i].settings.crash_secret = crash_secret;
        w->hosts[i].settings.half_open_cookie = 0;
        w->hosts[i].settings.half_open_puzzle = i;
        w->hosts[i].settings.puzzle_bits = 4;
        ike_world_restart(w, i);
        policy(w, i)->resumption = policy(w, i)->redirects = true;
        policy(w, i)->childless = seed % 2;
        policy(w, i)->children[0].lifetime.seconds = 60;
        policy(w, i)->lifetime.seconds = 200;
    }
    policy(w, 0)->children[0].start = true;
    policy(w, 1)->remote = (struct gh_prefix){.addr = {.len = 4}};
    w->loss = 250;
    w->duplicated = 100;
    w->delay_most = 300;
    for (size_t i = 0; i < 2; i++)
        ike_world_configure(w, i);
    for (unsigned i = 0; i < 150; i++) {
        size_t who = ike_world_random(w, 2);
        struct ike2_sa_view v;
        bool up = ike_world_sas(&w->hosts[who], &v) > 0;

        ike_world_run(w, ike_world_random(w, 4000));
        switch (ike_world_random(w, 8)) {
        case 0:
            if (up)
                ike2_rekey_ike(w->hosts[who].core, w->now, v.id);
            break;
        case 1:
        case 2:
            if (up && who == 0) {
                struct ike2_endpoint to = {
                    .addr = gh_addr_equal(&v.local.addr, &h->addr) ? h->second : h->addr};

                ike2_move(h->core, w->now, v.id, &to);
            }
            break;
        case 3:
            if (ike_world_random(w, 10) == 0)
                ike_world_restart(w, who);
            break;
        case 4:
            w->hosts[1].dead = ike_world_random(w, 3) == 0;
            break;
        default:
            break;
        }
        assert_true(ike2_memory(h->core) < 400000);
    }
    w->hosts[1].dead = false;
    w->loss = w->duplicated = 0;
    w->delay_most = 5;
    ike_world_run(w, 600 * 1000);
    ike2_initiate(h->core, w->now, "to-1", "net"); /* if its lifetime ended in the storm */
    ike_world_run(w, 1000);
    if (ike_world_agree(h, &w->hosts[1]) != NULL || ike_world_children(h) == 0)
        fail_msg("seed %llu: %s", (unsigned long long)seed,
                 ike_world_children(h) == 0 ? "nothing is up" : ike_world_agree(h, &w->hosts[1]));
    ike_world_free(w);
}

static void everything_at_once(void **state)
{
    for (uint64_t seed = 3000; seed < 3030; seed++)
        everything(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_noticed_at_once),
        cmocka_unit_test(tokens_change_with_the_ike_sa),
        cmocka_unit_test(without_a_token_nothing_is_believed),
        cmocka_unit_test(a_forged_invalid_spi_changes_nothing),
        cmocka_unit_test(the_right_token_may_be_the_fourth),
        cmocka_unit_test(no_token_is_had_for_an_sa_that_lives),
        cmocka_unit_test(a_host_moves),
        cmocka_unit_test(without_mobike_nobody_moves),
        cmocka_unit_test(it_moves_before_it_was_heard),
        cmocka_unit_test(it_moves_behind_a_nat_that_forgets),
        cmocka_unit_test(it_may_not_move_anywhere),
        cmocka_unit_test(a_peer_is_believed_only_where_it_answers),
        cmocka_unit_test(where_no_nat_may_be_none_is_believed),
        cmocka_unit_test(another_address_of_the_peer_is_found),
        cmocka_unit_test(restless_hosts),
        cmocka_unit_test(an_ike_sa_without_a_child),
        cmocka_unit_test(children_follow_with_keys_of_their_own),
        cmocka_unit_test(the_responder_says_that_it_may_be_childless),
        cmocka_unit_test(only_one_side_is_childless),
        cmocka_unit_test(who_is_not_childless_refuses),
        cmocka_unit_test(a_puzzle_is_solved),
        cmocka_unit_test(who_solves_nothing_needs_luck),
        cmocka_unit_test(a_wrong_solution_opens_nothing),
        cmocka_unit_test(an_impossible_puzzle_is_left),
        cmocka_unit_test(a_puzzle_before_ike_auth_is_solved),
        cmocka_unit_test(a_puzzle_without_a_cookie_is_none),
        cmocka_unit_test(a_puzzle_of_no_difficulty_is_as_hard_as_one_can),
        cmocka_unit_test(a_lost_sa_comes_again),
        cmocka_unit_test(a_hybrid_sa_comes_again),
        cmocka_unit_test(a_rekeyed_sa_has_a_new_ticket),
        cmocka_unit_test(who_ended_it_does_not_resume_it),
        cmocka_unit_test(a_gateway_that_forgot_gets_a_key_exchange),
        cmocka_unit_test(a_changed_policy_takes_no_ticket),
        cmocka_unit_test(tickets_outlive_a_gateway_that_was_killed),
        cmocka_unit_test(a_ticket_waits_for_the_network),
        cmocka_unit_test(a_ticket_ends_with_the_next_sa),
        cmocka_unit_test(what_is_no_longer_offered_is_not_resumed),
        cmocka_unit_test(tickets_expire),
        cmocka_unit_test(a_ticket_is_good_once),
        cmocka_unit_test(a_stolen_ticket_ends_nothing),
        cmocka_unit_test(resumption_asks_for_a_cookie),
        cmocka_unit_test(a_client_is_sent_elsewhere),
        cmocka_unit_test(who_cannot_go_is_served),
        cmocka_unit_test(a_session_is_sent_elsewhere),
        cmocka_unit_test(settings_change_while_it_runs),
        cmocka_unit_test(keys_are_told_from_when_they_are_wanted),
        cmocka_unit_test(a_client_goes_only_where_it_may),
        cmocka_unit_test(two_that_send_to_each_other),
        cmocka_unit_test(a_loop_ends),
        cmocka_unit_test(a_forged_redirect_changes_nothing),
        cmocka_unit_test(a_gateway_that_is_not_there),
        cmocka_unit_test(everything_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
