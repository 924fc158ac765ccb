/* Where from: policies without `local`, addresses and ways that change, and zones; core against
 * core. */
#include <stdlib.h>
#include <string.h>

#include "ike/codes.h"
#include "ike_world.h"
#include "unit.h"

static struct gh_addr address(uint8_t last)
{
    const uint8_t octets[4] = {198, 51, 100, last};

    return gh_addr_from(octets, 4);
}

static struct ike2_policy *policy(struct ike_world *w, size_t host)
{
    return w->hosts[host].policies[0];
}

/* Two hosts that know their paths and have no `local`; nobody has begun. */
static struct ike_world *pair(uint64_t seed)
{
    struct ike_world *w = ike_world_new(seed, 2);

    w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    for (size_t i = 0; i < 2; i++) {
        ike_world_policy(w, i, 1 - i);
        policy(w, i)->local.len = 0;
        policy(w, i)->mobike = policy(w, i)->others_all = true;
        policy(w, i)->liveness_ms = 20 * 1000;
        w->hosts[i].knows_paths = true;
        w->hosts[i].way = IKE2_WAY_THERE;
    }
    for (size_t i = 0; i < 2; i++)
        ike_world_restart(w, i);
    return w;
}

static void begin(struct ike_world *w)
{
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
}

static struct ike2_sa_view sa_of(const struct ike_host *h)
{
    struct ike2_sa_view v;

    assert_int_equal(ike_world_sas(h, &v), 1);
    return v;
}

static void assert_end(struct ike2_endpoint e, const struct gh_addr *a)
{
    assert_true(gh_addr_equal(&e.addr, a));
}

static uint64_t count(const struct ike_host *h, enum ike2_count what)
{
    return ike2_counters(h->core)[what];
}

static void assert_up(const struct ike_world *w)
{
    const char *wrong = ike_world_agree(&w->hosts[0], &w->hosts[1]);

    sa_of(&w->hosts[0]);
    sa_of(&w->hosts[1]);
    assert_int_equal(ike_world_children(&w->hosts[0]), 1);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static void changed(struct ike_world *w, size_t host)
{
    ike2_paths_changed(w->hosts[host].core, w->now);
}

static void it_waits_until_there_is_a_way(void **state)
{
    struct ike_world *w = pair(1);
    struct ike_host *h = &w->hosts[0];

    h->way = IKE2_WAY_UNKNOWN;
    begin(w);
    assert_int_equal(h->said_count, 0);
    h->way = IKE2_WAY_NONE;
    changed(w, 0);
    ike_world_run(w, 20 * 1000);
    assert_int_equal(h->said_count, 0);
    h->way = IKE2_WAY_THERE;
    changed(w, 0);
    ike_world_run(w, 1000);
    assert_up(w);
    assert_end(sa_of(h).local, &h->addr);
    ike_world_free(w);
}

static void it_gives_up_waiting_and_says_why(void **state)
{
    struct ike_world *w = pair(2);
    struct ike_host *h = &w->hosts[0];

    policy(w, 0)->children[0].start = true;
    h->way = IKE2_WAY_NONE;
    begin(w);
    ike_world_run(w, 300 * 1000);
    assert_int_equal(count(h, IKE2_COUNT_HALF_OPEN_EXPIRED), 1);
    assert_non_null(strstr(h->last[IKE2_EVENT_SA_FAILED], "no way to the peer"));
    assert_int_equal(h->said_count, 0);
    h->way = IKE2_WAY_THERE; /* what is to start does so when there is one */
    changed(w, 0);
    ike_world_run(w, 1000);
    assert_up(w);
    ike_world_free(w);
}

static void it_goes_where_the_way_goes(void **state)
{
    struct ike_world *w = pair(3);
    struct ike_host *h = &w->hosts[0];
    uint64_t id;

    begin(w);
    id = sa_of(h).id;
    for (uint8_t last = 7; last < 10; last++) {
        h->addr = address(last);
        changed(w, 0);
        changed(w, 0); /* twice is once */
        ike_world_run(w, 100);
        assert_end(sa_of(&w->hosts[1]).remote, &h->addr);
        assert_true(gh_addr_equal(&w->hosts[1].child_remote.addr, &h->addr));
        assert_true(gh_addr_equal(&h->child_local.addr, &h->addr));
        assert_int_equal(h->updated, last - 6);
    }
    assert_int_equal(sa_of(h).id, id);
    assert_up(w);
    ike_world_free(w);
}

/* While IKE_AUTH is under way nobody can move: it does so right after. */
static void it_moves_before_it_is_up(void **state)
{
    struct ike_world *w = pair(4);
    struct ike_host *h = &w->hosts[0];

    assert_true(ike2_initiate(h->core, w->now, "to-1", "net"));
    while (ike_world_sas(h, NULL) == 0 && count(h, IKE2_COUNT_OUT) < 2)
        ike_world_run(w, 1);
    h->second = h->addr; /* the old one still works */
    h->addr = address(7);
    changed(w, 0);
    ike_world_run(w, 1000);
    assert_up(w);
    assert_end(sa_of(&w->hosts[1]).remote, &h->addr);
    ike_world_free(w);
}

/* The same of the list: IKE_AUTH had another one. */
static void a_list_that_changes_before_it_is_up(void **state)
{
    for (unsigned change = 0; change < 2; change++) {
        struct ike_world *w = pair(17 + change);
        struct ike_host *h = &w->hosts[0];

        assert_true(ike2_initiate(h->core, w->now, "to-1", "net"));
        while (ike_world_sas(h, NULL) == 0 && count(h, IKE2_COUNT_OUT) < 2)
            ike_world_run(w, 1);
        if (change) {
            h->second = address(99);
            changed(w, 0);
        }
        ike_world_run(w, 1000);
        assert_up(w);
        assert_int_equal(sa_of(h).next_send_id, 2 + change);
        ike_world_free(w);
    }
}

static void a_list_that_changes_is_told_once(void **state)
{
    for (size_t who = 0; who < 2; who++) {
        struct ike_world *w = pair(5 + who);
        struct ike_host *h = &w->hosts[who];
        struct gh_addr was = h->addr;
        unsigned said;

        begin(w);
        said = h->said_count;
        changed(w, who);
        ike_world_run(w, 100);
        assert_int_equal(h->said_count, said);
        h->second = address(99);
        changed(w, who);
        changed(w, who);
        ike_world_run(w, 100);
        assert_int_equal(h->said_count, said + 1);
        h->second.len = 0; /* none is a list, too */
        changed(w, who);
        ike_world_run(w, 100);
        assert_int_equal(h->said_count, said + 2);
        assert_end(sa_of(h).local, &was);
        assert_int_equal(h->updated, 0);
        ike_world_free(w);
    }
}

/* The list that the peer was told last is where it is found. */
static void it_is_found_at_an_address_of_the_list(void **state)
{
    struct ike_world *w = pair(7);
    struct ike_host *h = &w->hosts[1];

    begin(w);
    h->second = address(99);
    changed(w, 1);
    ike_world_run(w, 100);
    h->addr = address(98); /* the old one is silent from here on, and it does not know */
    policy(w, 1)->liveness_ms = 0;
    ike_world_run(w, 200 * 1000);
    assert_up(w);
    assert_end(sa_of(&w->hosts[0]).remote, &h->second);
    ike_world_free(w);
}

static void who_follows_flees_from_an_address_that_is_gone(void **state)
{
    struct ike_world *w = pair(8);
    struct ike_host *h = &w->hosts[1];
    struct gh_addr first = h->addr;

    begin(w);
    h->second = h->addr;
    h->addr = address(7);
    changed(w, 1);
    ike_world_run(w, 100);
    assert_end(sa_of(h).local, &first); /* the other end decides */
    h->second.len = 0;
    changed(w, 1);
    ike_world_run(w, 100);
    assert_end(sa_of(h).local, &h->addr);
    assert_true(gh_addr_equal(&h->child_local.addr, &h->addr));
    ike_world_run(w, 200 * 1000); /* not heard at the old address, the other end tries the list */
    assert_end(sa_of(&w->hosts[0]).remote, &h->addr);
    assert_up(w);
    ike_world_free(w);
}

static bool drop_all(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    return false;
}

/* RFC 4555 3.6: from which of both addresses the list was heard nobody knows, so it is said anew.
 */
static void a_list_said_from_two_addresses_is_said_again(void **state)
{
    struct ike_world *w = pair(15);
    struct ike_host *h = &w->hosts[1];
    uint32_t next;

    begin(w);
    next = sa_of(h).next_send_id;
    w->filter = drop_all;
    h->second = address(99);
    changed(w, 1);
    assert_int_equal(w->lost, 1);
    h->addr = h->second; /* while it is under way */
    h->second.len = 0;
    changed(w, 1);
    assert_int_equal(w->lost, 2);
    assert_int_equal(sa_of(h).next_send_id, next + 1); /* still the same request */
    w->filter = NULL;
    ike_world_run(w, 10 * 1000);
    /* It, the list anew, and whether the peer is where it then says that it is. */
    assert_int_equal(sa_of(h).next_send_id, next + 3);
    assert_end(sa_of(&w->hosts[0]).remote, &h->addr);
    assert_up(w);
    ike_world_free(w);
}

/* Our uplink is dead, and no route says so: the other one is tried. */
struct cut {
    struct gh_addr from;
};

static bool cut_from(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    const struct cut *x = ctx;

    return !gh_addr_equal(&d->local.addr, &x->from) && !gh_addr_equal(&d->remote.addr, &x->from);
}

static void another_address_of_ours_is_tried(void **state)
{
    struct ike_world *w = pair(9);
    struct ike_host *h = &w->hosts[0];
    struct cut x = {.from = h->addr};

    h->second = address(99);
    begin(w);
    w->filter = cut_from;
    w->filter_ctx = &x;
    ike_world_run(w, 200 * 1000);
    assert_up(w);
    assert_end(sa_of(&w->hosts[1]).remote, &h->second);
    assert_int_equal(count(h, IKE2_COUNT_PEER_DEAD), 0);
    ike_world_free(w);
}

/* RFC 4555 3.11: whoever decides is given five minutes to find a way; others are not. */
static void who_follows_is_patient(void **state)
{
    for (unsigned mobike = 0; mobike < 2; mobike++) {
        struct ike_world *w = pair(10 + mobike);

        policy(w, 0)->mobike = mobike;
        policy(w, 0)->retransmits = 20;
        policy(w, 0)->liveness_ms = 3600 * 1000;
        begin(w);
        w->hosts[0].dead = true;
        ike_world_run(w, 240 * 1000);
        w->hosts[0].dead = false;
        ike_world_run(w, 120 * 1000);
        assert_int_equal(count(&w->hosts[1], IKE2_COUNT_PEER_DEAD), !mobike);
        w->hosts[0].dead = true;
        ike_world_run(w, 500 * 1000);
        assert_int_equal(count(&w->hosts[1], IKE2_COUNT_PEER_DEAD), 1);
        ike_world_free(w);
    }
}

/* Without MOBIKE it is only asked whether the peer lives, and then begun anew. */
static void who_cannot_move_begins_anew(void **state)
{
    struct ike_world *w = pair(12);
    struct ike_host *h = &w->hosts[0];
    uint64_t id;

    policy(w, 1)->mobike = false;
    policy(w, 1)->remote = (struct gh_prefix){.addr = {.len = 4}};
    policy(w, 0)->children[0].start = true;
    policy(w, 0)->liveness_ms = 3600 * 1000;
    begin(w);
    id = sa_of(h).id;
    h->addr = address(7);
    changed(w, 0);
    ike_world_run(w, 100 * 1000);
    assert_int_not_equal(sa_of(h).id, id);
    assert_end(sa_of(h).local, &h->addr);
    ike_world_free(w);
}

/* ---- No NATs -------------------------------------------------------------------------------- */

/* Whoever sits on the way writes another source address on IKE_AUTH. */
struct rewriter {
    unsigned rewritten, most;
};

static bool rewrite_auth(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    struct rewriter *r = ctx;
    bool is_auth = d->len > 18 && d->data[18] == IKE_X_AUTH;

    if (from == &from->world->hosts[0] && is_auth && r->rewritten < r->most) {
        r->rewritten++;
        d->local.addr = address(66);
    }
    return true;
}

/* RFC 4555 3.9: one changed packet does not keep anybody away, and all of them do not for ever. */
static void it_begins_anew_where_there_seems_to_be_a_nat(void **state)
{
    for (unsigned most = 1; most < 1000; most += 998) {
        struct ike_world *w = pair(14);
        struct rewriter r = {.most = most};

        for (size_t i = 0; i < 2; i++)
            policy(w, i)->no_nats = true;
        policy(w, 1)->remote = (struct gh_prefix){.addr = {.len = 4}};
        w->hosts[0].second = address(66); /* so that the refusal is heard */
        w->filter = rewrite_auth;
        w->filter_ctx = &r;
        begin(w);
        if (most == 1)
            assert_up(w);
        else
            assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 0);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_SA_INITIATED),
                         1 + (most == 1 ? 1 : policy(w, 0)->retransmits));
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_AUTH_FAILED), most != 1);
        ike_world_free(w);
    }
}

/* ---- Zones ---------------------------------------------------------------------------------- */

/* What comes in another zone is somebody else's, although addresses, SPIs and keys are right. */
static bool into_another_zone(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    struct ike_host *to = &from->world->hosts[1];
    struct ike2_datagram copy = *d;
    uint8_t octets[WORLD_DATAGRAM];

    if (from == to || d->len > sizeof(octets))
        return true;
    memcpy(octets, d->data, d->len);
    copy.data = octets;
    copy.local = (struct ike2_endpoint){.addr = to->addr, .port = d->remote.port, .zone = 3};
    copy.remote = d->local;
    ike2_input(to->core, ike_world_now(to), &copy);
    return *(bool *)ctx;
}

static void zones_do_not_mix(void **state)
{
    struct ike_world *w = pair(13);
    struct ike_host *h = &w->hosts[1];
    bool pass = false;

    w->filter = into_another_zone;
    w->filter_ctx = &pass;
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 10);
    assert_true(count(h, IKE2_COUNT_NO_POLICY) > 0); /* nobody is expected there */
    pass = true;
    ike_world_run(w, 5000);
    assert_up(w);
    pass = false;
    w->hosts[0].addr = address(7);
    changed(w, 0);
    ike_world_run(w, 100);
    assert_true(count(h, IKE2_COUNT_UNKNOWN_SPI) > 0);
    assert_int_equal(h->updated, 0);
    assert_int_equal(sa_of(h).local.zone, 0);
    ike_world_free(w);
}

static void a_zone_that_is_left(void **state)
{
    struct ike_world *w = pair(16);
    struct ike_host *h = &w->hosts[0];

    begin(w);
    ike2_leave_zone(h->core, w->now, 1);
    assert_up(w);
    w->filter = drop_all;
    assert_true(ike2_rekey_child(h->core, w->now, h->child[0].id)); /* whatever is under way */
    ike2_leave_zone(h->core, w->now, 0);
    assert_int_equal(ike_world_sas(h, NULL), 0);
    assert_int_equal(ike_world_children(h), 0);
    w->filter = NULL;
    begin(w);
    assert_int_equal(ike_world_sas(h, NULL), 1);
    ike_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_waits_until_there_is_a_way),
        cmocka_unit_test(it_gives_up_waiting_and_says_why),
        cmocka_unit_test(it_goes_where_the_way_goes),
        cmocka_unit_test(it_moves_before_it_is_up),
        cmocka_unit_test(a_list_that_changes_before_it_is_up),
        cmocka_unit_test(a_list_that_changes_is_told_once),
        cmocka_unit_test(it_is_found_at_an_address_of_the_list),
        cmocka_unit_test(who_follows_flees_from_an_address_that_is_gone),
        cmocka_unit_test(a_list_said_from_two_addresses_is_said_again),
        cmocka_unit_test(another_address_of_ours_is_tried),
        cmocka_unit_test(who_follows_is_patient),
        cmocka_unit_test(who_cannot_move_begins_anew),
        cmocka_unit_test(it_begins_anew_where_there_seems_to_be_a_nat),
        cmocka_unit_test(zones_do_not_mix),
        cmocka_unit_test(a_zone_that_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
