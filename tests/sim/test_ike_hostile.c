/*
 * IKEv2 hosts whom somebody wishes ill: floods of half-open SAs from addresses that are not the
 * sender's and from ones that are, peers that authenticate and then say nonsense, and lies on the
 * path.
 *
 * GATEHOUSE_SIM_SEED begins elsewhere; a failure names its seed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike_check.h"
#include "ike_mutate.h"
#include "unit.h"

enum {
    FLOOD = 100000,
    FLOOD_OF_A_SECOND = 2000,
    NONSENSE_WORLDS = 12,
    NONSENSE_ROUNDS = 200,
    MEMORY = 64u << 20 /* octets, whatever comes */
};

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* ---- Floods ---------------------------------------------------------------------------------- */

/* Host 0 takes anybody; host 1 is honest; host 2 is whose first message the flood copies. */
struct flood {
    struct ike_world *w;
    struct ike_host *victim, *honest;
    uint8_t request[2048], cookie[64];
    size_t len, cookie_len;
    bool answers_cookies; /* it is where it says */
    uint64_t sent, most_memory, most_half_open;
};

static struct flood *current;

/* Listens to what the victim sends, and to the first request of host 2. */
static bool listen_to(struct ike_world *w, struct ike_host *from, const struct ike2_datagram *d)
{
    struct ike_message m;
    struct ike_notify n;

    if (from == &w->hosts[2] && current->len == 0) {
        assert_true(d->len <= sizeof(current->request));
        memcpy(current->request, d->data, d->len);
        current->len = d->len;
        return true;
    }
    current->cookie_len = 0;
    if (from != current->victim || d->remote.addr.octets[0] == 192)
        return false;
    if (ike_message_parse(gh_view_of(d->data, d->len), &m) == IKE_OK &&
        ike_find_notify(&m.clear, IKE_N_COOKIE, 0, &n) && n.data.len <= sizeof(current->cookie)) {
        memcpy(current->cookie, n.data.p, n.data.len);
        current->cookie_len = n.data.len;
    }
    return true; /* whoever is there does not want it */
}

static void flood_begin(struct flood *f)
{
    struct ike2_policy *p;

    f->w = ike_world_new(7, 3);
    f->w->verbose = false;
    f->w->after = ike_check_step;
    f->victim = &f->w->hosts[0];
    f->honest = &f->w->hosts[1];
    current = f;
    p = ike_world_policy(f->w, 0, 1);
    p->remote = (struct gh_prefix){.addr = {.len = 4}, .bits = 0};
    p->gateway.len = 0;
    ike_world_policy(f->w, 1, 0);
    ike_world_policy(f->w, 2, 0);
    for (size_t i = 0; i < 3; i++)
        ike_world_configure(f->w, i);
    f->w->meddle = listen_to;
    assert_true(ike2_initiate(f->w->hosts[2].core, f->w->now, "to-0", "net"));
    assert_true(f->len > 0);
    f->w->hosts[2].dead = true;
}

static void put_request(struct flood *f, const struct ike2_endpoint *from, const uint8_t *octets,
                        size_t len)
{
    static uint8_t copy[4096];
    struct ike2_datagram d = {.remote = *from,
                              .local = {.addr = f->victim->addr, .port = IKE2_PORT},
                              .data = copy,
                              .len = len};

    memcpy(copy, octets, len);
    ike2_input(f->victim->core, ike_world_now(f->victim), &d);
}

/* The same again, with the cookie in front (RFC 7296 2.6). */
static void put_cookie(struct flood *f, const struct ike2_endpoint *from)
{
    uint8_t octets[4096];
    struct ike_message m;
    struct gh_view whole;
    struct ike_out o;

    assert_int_equal(ike_message_parse(gh_view_of(f->request, f->len), &m), IKE_OK);
    o = ike_out_message(octets, sizeof(octets), &m.h);
    ike_notify_emit_data(&o, IKE_N_COOKIE, gh_view_of(f->cookie, f->cookie_len));
    for (size_t i = 0; i < m.clear.count; i++)
        ike_out_payload(&o, m.clear.payload[i].type, false, m.clear.payload[i].body);
    assert_true(ike_out_done(&o, &whole));
    put_request(f, from, whole.p, whole.len);
}

static void one_of_the_flood(struct flood *f)
{
    uint8_t octets[4] = {(uint8_t)(11 + ike_world_random(f->w, 100))};
    struct ike2_endpoint from = {.port = (uint16_t)(1024 + ike_world_random(f->w, 60000))};

    for (int i = 1; i < 4; i++)
        octets[i] = (uint8_t)ike_world_random(f->w, 256);
    from.addr = gh_addr_from(octets, 4);
    for (int i = 0; i < IKE_SPI_LEN; i++)
        f->request[i] = (uint8_t)(1 + ike_world_random(f->w, 255));
    f->sent++;
    f->cookie_len = 0;
    put_request(f, &from, f->request, f->len);
    if (f->answers_cookies && f->cookie_len > 0)
        put_cookie(f, &from);
}

static uint64_t count(const struct ike_host *h, enum ike2_count what)
{
    return ike2_counters(h->core)[what];
}

static void count_half_open(void *ctx, const struct ike2_sa_view *v)
{
    uint64_t *half_open = ctx;

    *half_open += v->state < IKE2_STATE_ESTABLISHED;
}

/* `total` requests, FLOOD_OF_A_SECOND of them; the honest peer begins in the middle of it. */
static void flood_on(struct flood *f, uint64_t total)
{
    for (uint64_t i = 0; i < total; i++) {
        if (i == total / 2)
            assert_true(ike2_initiate(f->honest->core, ike_world_now(f->honest), "to-0", "net"));
        one_of_the_flood(f);
        if (i % (FLOOD_OF_A_SECOND / 100) != 0)
            continue;
        ike_world_run(f->w, 10);
        if (f->w->wrong[0] != '\0')
            fail_msg("%s", f->w->wrong);
        if (i % FLOOD_OF_A_SECOND == 0) {
            uint64_t half_open = 0;
            size_t memory = ike2_memory(f->victim->core);

            ike2_each_sa(f->victim->core, count_half_open, &half_open);
            f->most_memory = memory > f->most_memory ? memory : f->most_memory;
            f->most_half_open = half_open > f->most_half_open ? half_open : f->most_half_open;
        }
    }
}

/* When it is over only the honest peer is left. */
static void flood_ends(struct flood *f)
{
    uint64_t half_open = 0;

    ike_world_run(f->w, 40 * 1000);
    ike2_each_sa(f->victim->core, count_half_open, &half_open);
    assert_int_equal(half_open, 0);
    assert_int_equal(ike_world_sas(f->victim, NULL), 1);
    assert_int_equal(ike_world_children(f->victim), 1);
    assert_null(ike_world_agree(f->victim, f->honest));
    assert_true(ike2_memory(f->victim->core) < 20000);
    print_message("%llu requests; at most %llu half-open and %llu octets; %llu cookies\n",
                  (unsigned long long)f->sent, (unsigned long long)f->most_half_open,
                  (unsigned long long)f->most_memory,
                  (unsigned long long)count(f->victim, IKE2_COUNT_COOKIES_SENT));
    ike_world_free(f->w);
}

static void a_flood_from_addresses_that_are_not_theirs(void **state)
{
    static struct flood f;

    flood_begin(&f);
    flood_on(&f, FLOOD);
    assert_int_equal(ike_world_sas(f.honest, NULL), 1); /* in spite of it */
    assert_true(f.most_half_open <= 64);
    assert_true(count(f.victim, IKE2_COUNT_COOKIES_SENT) > FLOOD * 9 / 10);
    flood_ends(&f);
}

static void a_flood_from_addresses_that_are_theirs(void **state)
{
    static struct flood f = {.answers_cookies = true};

    flood_begin(&f);
    flood_on(&f, FLOOD / 5);
    assert_true(f.most_half_open <= ike2_default_settings().half_open_max);
    assert_true(f.most_memory < MEMORY);
    assert_int_equal(ike_world_sas(f.honest, NULL), 1);
    flood_ends(&f);
}

/* ---- Nonsense -------------------------------------------------------------------------------- */

static uint32_t any_child(struct ike_world *w, const struct ike_host *h)
{
    size_t from = h->child_room > 0 ? ike_world_random(w, (uint32_t)h->child_room) : 0;

    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[(from + i) % h->child_room].used)
            return h->child[(from + i) % h->child_room].id;
    return 0;
}

/* What both hold cannot agree where one says nonsense; all else holds. */
static void nonsense(uint64_t seed)
{
    struct ike_world *w = ike_world_new(seed, 4);
    struct ike2_sa_view v;

    w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    w->after = ike_check_alone;
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++)
            if (i != j) {
                struct ike2_policy *p = ike_world_policy(w, i, j);

                ike_world_child(p, i, j, 1);
                p->children[0].start = true;
                p->children[0].lifetime.seconds = p->children[1].lifetime.seconds = 60;
                p->lifetime.seconds = 200;
                p->retransmit_ms = 300;
                p->liveness_ms = 2000;
            }
        ike_world_configure(w, i);
    }
    w->duplicated = 100;
    w->delay_most = 100;
    w->attack = 200;
    w->meddle = ike_mutate_some;
    for (unsigned i = 0; i < NONSENSE_ROUNDS && w->wrong[0] == '\0'; i++) {
        struct ike_host *h = &w->hosts[ike_world_random(w, 4)];

        ike_world_run(w, ike_world_random(w, 1000));
        if (ike_world_random(w, 2))
            ike2_rekey_child(h->core, ike_world_now(h), any_child(w, h));
        else if (ike_world_sas(h, &v) > 0)
            ike2_rekey_ike(h->core, ike_world_now(h), v.id);
        ike2_initiate(h->core, ike_world_now(h), h->policies[ike_world_random(w, 3)]->name, NULL);
    }
    if (w->wrong[0] != '\0')
        fail_msg("seed %llu: %s", (unsigned long long)seed, w->wrong);
    if (w->mutated < 50 || w->injected < 100)
        fail_msg("seed %llu: only %llu changed, %llu forged", (unsigned long long)seed,
                 (unsigned long long)w->mutated, (unsigned long long)w->injected);
    /* Those who come to their senses and begin anew are well. */
    w->meddle = NULL;
    w->attack = w->duplicated = 0;
    for (size_t i = 0; i < 4; i++)
        ike_world_restart(w, i);
    ike_world_run(w, 100 * 1000);
    if (!ike_check_settle(w, 100 * 1000) || ike_check_agreement(w) != NULL)
        fail_msg("seed %llu: %s", (unsigned long long)seed,
                 ike_check_agreement(w) != NULL ? ike_check_agreement(w) : "no rest");
    for (size_t i = 0; i < 4; i++)
        assert_true(ike_world_children(&w->hosts[i]) >= 3);
    ike_world_free(w);
}

static void peers_that_say_nonsense(void **state)
{
    uint64_t first = from_environment("GATEHOUSE_SIM_SEED", 500);

    for (uint64_t seed = first; seed < first + NONSENSE_WORLDS; seed++)
        nonsense(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_from_addresses_that_are_not_theirs),
        cmocka_unit_test(a_flood_from_addresses_that_are_theirs),
        cmocka_unit_test(peers_that_say_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
