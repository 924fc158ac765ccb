/*
 * What outlives single IKE SAs: which of several gateways is in use, what is administratively down,
 * Child SAs that nobody uses or that one end has lost, and the limit of IKE SAs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike_check.h"
#include "ike_mutate.h"

#include "ike/v2/child.h"
#include "ike/v2/core_priv.h"
#include "ike/v2/priv.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"
#include "unit.h"

/* Host 0 is the branch; hosts 1 and 2 are the primary and the backup of one site. */
struct site {
    struct ike_world *w;
    struct ike_host *branch, *primary, *backup;
    struct ike2_policy *p;
};

static struct site site_new(void)
{
    struct site s = {.w = ike_world_new(1, 3)};
    struct ike2_policy *one, *two;

    s.w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    s.branch = &s.w->hosts[0];
    s.primary = &s.w->hosts[1];
    s.backup = &s.w->hosts[2];
    s.p = ike_world_policy(s.w, 0, 1);
    one = ike_world_policy(s.w, 1, 0);
    two = ike_world_policy(s.w, 2, 0);
    two->children[0].local = one->children[0].local; /* the same site */
    s.p->backups[0] = s.backup->addr;
    s.p->backup_count = 1;
    s.p->retransmits = 1;
    s.p->liveness_ms = 10000;
    s.p->liveness_retries = 2;
    s.p->children[0].start = true;
    return s;
}

static void run(struct site *s, uint64_t ms)
{
    ike_world_run(s->w, ms);
    if (s->w->wrong[0] != '\0')
        fail_msg("%s", s->w->wrong);
}

static void begin(struct site *s)
{
    for (size_t i = s->w->host_count; i-- > 0;)
        ike_world_configure(s->w, i);
    run(s, 3000);
}

/* Exactly one tunnel, to this gateway. */
static void assert_at(const struct site *s, const struct ike_host *gateway)
{
    struct ike2_sa_view v;
    const char *wrong = ike_world_agree(s->branch, gateway);

    assert_int_equal(ike_world_sas(s->branch, &v), 1);
    assert_true(gh_addr_equal(&v.remote.addr, &gateway->addr));
    assert_int_equal(ike_world_children(s->branch), 1);
    assert_int_equal(s->p->gateway_now, gateway == s->primary ? 0 : 1);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static void the_next_gateway_is_tried(void **state)
{
    struct site s = site_new();

    s.primary->dead = true;
    begin(&s);
    assert_int_equal(ike_world_sas(s.branch, NULL), 0);
    run(&s, 5000);
    assert_at(&s, s.backup);
    assert_int_equal(s.p->failovers, 1);
    assert_non_null(strstr(s.branch->last[IKE2_EVENT_GATEWAY], "does not answer"));
    ike_world_free(s.w);
}

static void all_are_tried_in_turn(void **state)
{
    struct site s = site_new();

    s.primary->dead = s.backup->dead = true;
    begin(&s);
    run(&s, 20000);
    assert_true(s.p->failovers >= 4);
    s.primary->dead = false;
    run(&s, 10000);
    assert_at(&s, s.primary);
    ike_world_free(s.w);
}

static struct ike_ts anything_of(const struct ike_ts *ts)
{
    struct ike_ts one = *ts;

    one.end = one.start;
    return one;
}

/* What is made on demand is tried once with each, not for ever. */
static void who_wants_packets_through_is_tried_at_each(void **state)
{
    struct site s = site_new();
    struct ike_ts local = anything_of(&s.p->children[0].local.ts[0]);
    struct ike_ts remote = anything_of(&s.p->children[0].remote.ts[0]);

    s.p->children[0].start = false;
    s.primary->dead = s.backup->dead = true;
    begin(&s);
    assert_true(ike2_acquire(s.branch->core, s.w->now, "to-1", "net", &local, &remote));
    run(&s, 60000);
    assert_int_equal(s.p->failovers, 2);
    assert_null(s.p->sas);
    s.backup->dead = false;
    assert_true(ike2_acquire(s.branch->core, s.w->now, "to-1", "net", &local, &remote));
    run(&s, 10000);
    assert_at(&s, s.backup);
    ike_world_free(s.w);
}

static void it_moves_when_the_gateway_dies(void **state)
{
    struct site s = site_new();

    begin(&s);
    assert_at(&s, s.primary);
    s.primary->dead = true;
    run(&s, 30000);
    assert_at(&s, s.backup);
    ike_world_free(s.w);
}

static void a_backup_may_call(void **state)
{
    struct site s = site_new();

    s.p->children[0].start = false;
    begin(&s);
    assert_true(ike2_initiate(s.backup->core, s.w->now, "to-0", "net"));
    run(&s, 3000);
    assert_int_equal(ike_world_sas(s.backup, NULL), 1);
    assert_int_equal(ike_world_children(s.branch), 1);
    ike_world_free(s.w);
}

static void the_operator_has_it_go_back(void **state)
{
    struct site s = site_new();

    s.primary->dead = true;
    begin(&s);
    run(&s, 5000);
    assert_at(&s, s.backup);
    assert_false(ike2_revert(s.branch->core, s.w->now, "to-7"));
    /* It is not there yet: nothing is lost by trying. */
    assert_true(ike2_revert(s.branch->core, s.w->now, "to-1"));
    assert_false(ike2_revert(s.branch->core, s.w->now, "to-1"));
    run(&s, 1000);
    assert_int_equal(ike_world_children(s.branch), 1);
    run(&s, 10000);
    assert_at(&s, s.backup);
    s.primary->dead = false;
    assert_true(ike2_revert(s.branch->core, s.w->now, "to-1"));
    run(&s, 5000);
    assert_at(&s, s.primary);
    assert_int_equal(ike_world_sas(s.backup, NULL), 0);
    assert_false(ike2_revert(s.branch->core, s.w->now, "to-1"));
    ike_world_free(s.w);
}

static void it_goes_back_by_itself(void **state)
{
    struct site s = site_new();

    s.p->revert_ms = 60000;
    s.primary->dead = true;
    begin(&s);
    run(&s, 5000);
    assert_at(&s, s.backup);
    run(&s, 60000); /* tried, in vain */
    assert_at(&s, s.backup);
    s.primary->dead = false;
    run(&s, 70000);
    assert_at(&s, s.primary);
    ike_world_free(s.w);
}

/* The same gateways in another configuration: it stays where it is. */
static void a_reload_keeps_the_gateway(void **state)
{
    struct site s = site_new();
    struct ike2_policy *old = s.p, *next;

    s.primary->dead = true;
    begin(&s);
    run(&s, 5000);
    s.branch->policy_count = 0;
    next = s.p = ike_world_policy(s.w, 0, 1);
    next->backups[0] = s.backup->addr;
    next->backup_count = 1;
    next->children[0].start = true;
    ike_world_configure(s.w, 0);
    ike2_policy_free(old);
    assert_at(&s, s.backup);
    s.branch->policy_count = 0;
    s.p = ike_world_policy(s.w, 0, 1);
    s.p->backups[0] = s.primary->addr; /* others */
    s.p->backup_count = 1;
    ike_world_configure(s.w, 0);
    ike2_policy_free(next);
    assert_int_equal(s.p->gateway_now, 0);
    ike_world_free(s.w);
}

/* … and ends the attempt to go back, which is the old configuration's. */
static void a_reload_ends_the_way_back(void **state)
{
    struct site s = site_new();
    struct ike2_policy *old = s.p;

    s.primary->dead = true;
    begin(&s);
    run(&s, 5000);
    assert_true(ike2_revert(s.branch->core, s.w->now, "to-1"));
    s.branch->policy_count = 0;
    s.p = ike_world_policy(s.w, 0, 1);
    s.p->backups[0] = s.backup->addr;
    s.p->backup_count = 1;
    s.p->children[0].start = true;
    ike_world_configure(s.w, 0);
    ike2_policy_free(old);
    s.primary->dead = false;
    run(&s, 5000);
    assert_at(&s, s.backup);
    assert_int_equal(ike_world_sas(s.primary, NULL), 0);
    assert_true(ike2_revert(s.branch->core, s.w->now, "to-1"));
    run(&s, 5000);
    assert_at(&s, s.primary);
    ike_world_free(s.w);
}

/* ---- Administratively down ------------------------------------------------------------------- */

static uint64_t count(const struct ike_host *h, enum ike2_count what)
{
    return ike2_counters(h->core)[what];
}

static void a_peer_that_is_down(void **state)
{
    struct site s = site_new();
    struct ike_ts local = anything_of(&s.p->children[0].local.ts[0]);
    struct ike_ts remote = anything_of(&s.p->children[0].remote.ts[0]);

    s.p->backup_count = 0;
    begin(&s);
    assert_at(&s, s.primary);
    s.branch->commanded = s.primary->commanded = true;
    assert_false(ike2_set_down(s.branch->core, s.w->now, "to-9", NULL, true));
    assert_false(ike2_set_down(s.branch->core, s.w->now, "to-1", "net9", true));
    assert_true(ike2_set_down(s.branch->core, s.w->now, "to-1", NULL, true));
    run(&s, 3000);
    assert_null(s.p->sas);
    assert_int_equal(ike_world_sas(s.primary, NULL), 0);
    assert_false(ike2_initiate(s.branch->core, s.w->now, "to-1", "net"));
    assert_false(ike2_initiate(s.branch->core, s.w->now, "to-1", NULL));
    assert_false(ike2_acquire(s.branch->core, s.w->now, "to-1", "net", &local, &remote));
    /* Who calls is told at once. */
    assert_true(ike2_initiate(s.primary->core, s.w->now, "to-0", "net"));
    run(&s, 1000);
    assert_true(count(s.branch, IKE2_COUNT_ADMIN_DOWN) >= 1);
    assert_int_equal(count(s.primary, IKE2_COUNT_NO_PROPOSAL), 1);
    run(&s, 200000);
    assert_int_equal(ike_world_sas(s.primary, NULL), 0);
    /* Not by a reload that does not speak of it. */
    ike_world_configure(s.w, 0);
    run(&s, 3000);
    assert_null(s.p->sas);
    assert_true(ike2_set_down(s.branch->core, s.w->now, "to-1", NULL, false));
    run(&s, 3000);
    assert_at(&s, s.primary);
    ike_world_free(s.w);
}

/* Its first child has other addresses than the second. */
static void narrow(struct ike2_policy *p)
{
    struct ike_ts *both[] = {&p->children[0].local.ts[0], &p->children[0].remote.ts[0]};

    for (size_t i = 0; i < 2; i++) {
        both[i]->start.octets[3] = 128;
        both[i]->end.octets[3] = 255;
    }
}

static void a_child_that_is_down(void **state)
{
    struct site s = site_new();

    s.p->backup_count = 0;
    narrow(s.p);
    narrow(s.primary->policies[0]);
    ike_world_child(s.p, 0, 1, 1)->start = true;
    ike_world_child(s.primary->policies[0], 1, 0, 1);
    begin(&s);
    assert_int_equal(ike_world_children(s.branch), 2);
    s.branch->commanded = s.primary->commanded = true;
    assert_true(ike2_set_down(s.branch->core, s.w->now, "to-1", "net", true));
    run(&s, 3000);
    assert_int_equal(ike_world_children(s.branch), 1);
    assert_int_equal(ike_world_children(s.primary), 1);
    assert_int_equal(ike_world_sas(s.branch, NULL), 1);
    assert_false(ike2_initiate(s.branch->core, s.w->now, "to-1", "net"));
    assert_true(ike2_initiate(s.primary->core, s.w->now, "to-0", "net"));
    run(&s, 3000);
    assert_int_equal(ike_world_children(s.branch), 1);
    assert_true(count(s.branch, IKE2_COUNT_TS_UNACCEPTABLE) >= 1);
    assert_true(ike2_set_down(s.branch->core, s.w->now, "to-1", "net", false));
    run(&s, 3000);
    assert_int_equal(ike_world_children(s.branch), 2);
    ike_world_free(s.w);
}

static void count_order(void *ctx, const struct ike2_order_view *v)
{
    ++*(unsigned *)ctx;
}

static unsigned orders(const struct site *s)
{
    unsigned n = 0;

    ike2_each_order(s->branch->core, count_order, &n);
    return n;
}

static void configure_admin(struct site *s, enum ike2_admin admin)
{
    struct ike2_policy *old = s->p;

    s->branch->policy_count = 0;
    s->p = ike_world_policy(s->w, 0, 1);
    s->p->children[0].start = true;
    s->p->admin = admin;
    ike_world_configure(s->w, 0);
    ike2_policy_free(old);
    run(s, 3000);
}

static void the_configuration_and_orders(void **state)
{
    struct site s = site_new();
    struct ike2_order_view kept = {.policy = "to-1", .down = true, .configured = IKE2_ADMIN_UNSAID};

    s.branch->commanded = s.primary->commanded = true;
    s.p->backup_count = 0;
    /* As the core before left it. */
    assert_true(ike2_order_take(s.branch->core, &kept));
    begin(&s);
    assert_null(s.p->sas);
    /* A configuration without a word on it leaves it, … */
    configure_admin(&s, IKE2_ADMIN_UNSAID);
    assert_null(s.p->sas);
    /* … and one that says otherwise overrules it. */
    configure_admin(&s, IKE2_ADMIN_UP);
    assert_int_equal(orders(&s), 0);
    assert_at(&s, s.primary);
    configure_admin(&s, IKE2_ADMIN_DOWN);
    assert_null(s.p->sas);
    assert_true(ike2_set_down(s.branch->core, s.w->now, "to-1", NULL, false));
    assert_int_equal(orders(&s), 1);
    run(&s, 3000);
    assert_at(&s, s.primary);
    configure_admin(&s, IKE2_ADMIN_DOWN); /* as before: the order stays */
    assert_at(&s, s.primary);
    assert_true(ike2_set_down(s.branch->core, s.w->now, "to-1", NULL, true));
    assert_int_equal(orders(&s), 0);
    ike_world_free(s.w);
}

/* ---- Child SAs ------------------------------------------------------------------------------- */

static const struct world_child *child_of(const struct ike_host *h)
{
    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[i].used)
            return &h->child[i];
    fail_msg("no Child SA");
    return NULL;
}

static void nobody_uses_it(void **state)
{
    struct site s = site_new();

    s.p->children[0].idle_seconds = 60;
    begin(&s);
    for (unsigned i = 0; i < 5; i++) {
        run(&s, 40000);
        ike2_child_used(s.branch->core, s.w->now, child_of(s.branch)->id, 100, 1, i % 2 == 0);
    }
    assert_at(&s, s.primary);
    run(&s, 59000);
    assert_at(&s, s.primary);
    run(&s, 5000);
    assert_int_equal(ike_world_children(s.branch), 0);
    assert_int_equal(ike_world_children(s.primary), 0);
    assert_int_equal(ike_world_sas(s.branch, NULL), 1);
    assert_int_equal(count(s.branch, IKE2_COUNT_CHILD_IDLE), 1);
    ike_world_free(s.w);
}

/* Another configuration lets it live, or not, from its next packet on. */
static void a_reload_changes_the_idle_time(void **state)
{
    struct site s = site_new();
    struct ike2_policy *old = s.p;

    s.p->children[0].idle_seconds = 60;
    begin(&s);
    s.branch->policy_count = 0;
    s.p = ike_world_policy(s.w, 0, 1);
    ike_world_configure(s.w, 0);
    ike2_policy_free(old);
    run(&s, 100000);
    assert_at(&s, s.primary);
    old = s.p;
    s.branch->policy_count = 0;
    s.p = ike_world_policy(s.w, 0, 1);
    s.p->children[0].idle_seconds = 30;
    ike_world_configure(s.w, 0);
    ike2_policy_free(old);
    ike2_child_used(s.branch->core, s.w->now, child_of(s.branch)->id, 100, 1, true);
    run(&s, 40000);
    assert_int_equal(ike_world_children(s.branch), 0);
    ike_world_free(s.w);
}

static void an_spi_that_is_not_known(void **state)
{
    static const uint8_t stranger[4] = {1, 2, 3, 4};
    struct site s = site_new();
    struct gh_addr here, there;
    uint8_t lost[4];

    begin(&s);
    here = s.primary->addr;
    there = s.branch->addr;
    run(&s, 20000);
    memcpy(lost, child_of(s.branch)->spi_out, 4);
    /* Nobody, or one that is there: nothing is said. */
    assert_false(ike2_spi_unknown(s.primary->core, s.w->now, 0, &here, &s.backup->addr, stranger));
    assert_false(ike2_spi_unknown(s.primary->core, s.w->now, 0, &here, &there, lost));
    assert_true(ike2_spi_unknown(s.primary->core, s.w->now, 0, &here, &there, stranger));
    assert_false(ike2_spi_unknown(s.primary->core, s.w->now, 0, &here, &there, stranger));
    run(&s, 2000);
    assert_at(&s, s.primary);
    assert_int_equal(count(s.primary, IKE2_COUNT_CHILD_SPI_SENT), 1);
    assert_int_equal(count(s.branch, IKE2_COUNT_CHILD_SPI_HEARD), 0);
    ike_world_free(s.w);
}

/* The other end says so in the IKE SA: it is asked whether that is true. */
static void one_end_may_have_lost_it(void **state)
{
    struct site s = site_new();
    struct ike2_task *t;
    struct ike2_sa *sa;
    uint8_t lost[4];

    begin(&s);
    run(&s, 20000);
    memcpy(lost, child_of(s.branch)->spi_out, 4);
    sa = s.primary->policies[0]->sas;
    t = ike2_task_add(s.primary->core, sa, IKE2_TASK_INVALID_SPI);
    assert_non_null(t);
    memcpy(t->spi, lost, 4);
    t->spi_len = 4;
    ike2_settle(s.primary->core, sa);
    run(&s, 5000);
    assert_int_equal(count(s.branch, IKE2_COUNT_CHILD_SPI_HEARD), 1);
    assert_int_equal(s.branch->events[IKE2_EVENT_CHILD_REKEYED], 1);
    assert_memory_not_equal(child_of(s.branch)->spi_out, lost, 4);
    assert_at(&s, s.primary);
    ike_world_free(s.w);
}

/* And it is: the peer has dropped it without a word. */
static void one_end_has_lost_it(void **state)
{
    struct site s = site_new();
    struct ike2_sa *sa;
    uint8_t lost[4];

    begin(&s);
    run(&s, 20000);
    s.w->after = NULL; /* the invariants know of no such end */
    memcpy(lost, child_of(s.branch)->spi_out, 4);
    sa = s.primary->policies[0]->sas;
    ike2_child_drop(s.primary->core, sa, sa->children, IKE2_REMOVED_LOST);
    assert_true(
        ike2_spi_unknown(s.primary->core, s.w->now, 0, &s.primary->addr, &s.branch->addr, lost));
    run(&s, 5000);
    assert_int_equal(count(s.branch, IKE2_COUNT_CHILD_SPI_HEARD), 1);
    assert_memory_not_equal(child_of(s.branch)->spi_out, lost, 4);
    assert_at(&s, s.primary);
    ike_world_free(s.w);
}

/* ---- The limit ------------------------------------------------------------------------------- */

static void many_are_told(void **state)
{
    struct site s = site_new();
    struct ike2_settings settings = ike2_default_settings();

    settings.sas_max = 1;
    settings.sas_high = 1;
    settings.sas_low = 1;
    s.p->backup_count = 0;
    s.branch->commanded = s.primary->commanded = true;
    assert_true(ike2_configure(s.branch->core, s.w->now, &settings));
    ike_world_policy(s.w, 0, 2);
    begin(&s);
    assert_int_equal(s.branch->events[IKE2_EVENT_LIMIT], 1);
    assert_true(ike2_initiate(s.backup->core, s.w->now, "to-0", "net"));
    run(&s, 2000);
    assert_true(count(s.branch, IKE2_COUNT_SA_LIMIT) >= 1);
    assert_int_equal(ike_world_sas(s.backup, NULL), 0);
    assert_true(ike2_set_down(s.branch->core, s.w->now, "to-1", NULL, true));
    run(&s, 2000);
    assert_true(s.branch->events[IKE2_EVENT_LIMIT] >= 2);
    ike_world_free(s.w);
}

/* ---- ESP_TFC_PADDING_NOT_SUPPORTED ----------------------------------------------------------- */

static const struct ike_host *without_tfc; /* who says so */

static void say_no_tfc(struct ike_world *w, struct ike_out *o, const struct ike_payloads *in)
{
    bool child = ike_find(in, IKE_P_TSI, 0) != NULL;

    for (size_t i = 0; i < in->count; i++) {
        const struct ike_payload *p = &in->payload[i];

        if (child && p->type == IKE_P_SA)
            ike_notify_emit_data(o, IKE_N_ESP_TFC_PADDING_NOT_SUPPORTED, gh_view_of(NULL, 0));
        ike_out_payload(o, p->type, p->critical, p->body);
    }
}

static bool takes_no_tfc(struct ike_world *w, struct ike_host *from, const struct ike2_datagram *d)
{
    static uint8_t out[IKE2_SCRATCH];
    size_t len = from == without_tfc ? ike_change(w, from, d, say_no_tfc, out, sizeof(out)) : 0;

    if (len == 0)
        return false;
    ike_world_inject(w, &d->local, &d->remote, d->marker, gh_view_of(out, len));
    return true;
}

static void note_tfc(void *ctx, const struct ike2_child_view *c)
{
    *(bool *)ctx = c->no_tfc;
}

static bool has_no_tfc(const struct ike_host *h)
{
    bool result = false;
    struct ike2_sa_view v;

    assert_int_equal(ike_world_sas(h, &v), 1);
    assert_int_equal(ike_world_children(h), 1);
    ike2_each_child(h->core, v.id, note_tfc, &result);
    return result;
}

/* The other end is to fill up no packets; of whoever asked for the Child SA, and of the other. */
static void who_takes_no_padding_says_so(void **state)
{
    for (int who = 0; who < 2; who++) {
        struct site s = site_new();

        without_tfc = who == 0 ? s.branch : s.primary;
        s.w->meddle = takes_no_tfc;
        begin(&s);
        assert_int_equal(has_no_tfc(s.branch), without_tfc == s.primary);
        assert_int_equal(has_no_tfc(s.primary), without_tfc == s.branch);
        ike_world_free(s.w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_gateway_is_tried),
        cmocka_unit_test(all_are_tried_in_turn),
        cmocka_unit_test(who_wants_packets_through_is_tried_at_each),
        cmocka_unit_test(it_moves_when_the_gateway_dies),
        cmocka_unit_test(a_backup_may_call),
        cmocka_unit_test(the_operator_has_it_go_back),
        cmocka_unit_test(it_goes_back_by_itself),
        cmocka_unit_test(a_reload_keeps_the_gateway),
        cmocka_unit_test(a_reload_ends_the_way_back),
        cmocka_unit_test(a_peer_that_is_down),
        cmocka_unit_test(a_child_that_is_down),
        cmocka_unit_test(the_configuration_and_orders),
        cmocka_unit_test(nobody_uses_it),
        cmocka_unit_test(a_reload_changes_the_idle_time),
        cmocka_unit_test(an_spi_that_is_not_known),
        cmocka_unit_test(one_end_may_have_lost_it),
        cmocka_unit_test(one_end_has_lost_it),
        cmocka_unit_test(many_are_told),
        cmocka_unit_test(who_takes_no_padding_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
