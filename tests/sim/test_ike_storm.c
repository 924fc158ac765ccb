/*
 * Many IKEv2 hosts while everything goes wrong: loss, repetition, late datagrams, rekeying from
 * both ends, restarts, clocks that jump, NATs that forget, hosts that vanish, an attacker on the
 * path. Invariants are looked at after each step; afterwards all agree and everything is up again.
 *
 * GATEHOUSE_SIM_SEED begins elsewhere (a failure names its seed), GATEHOUSE_SIM_EXCHANGES runs
 * until so many exchanges are completed, GATEHOUSE_SIM_VERBOSE tells everything.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike_check.h"
#include "ike_creds.h"
#include "ike_mutate.h"

enum {
    LOSS = 300, /* of a thousand */
    EXCHANGES = 10000,
    ROUNDS = 100,
    PEERS = 200
};

struct storm {
    struct ike_world *w;
    uint64_t seed;
    bool commands, attacked, nonsense;
};

static uint32_t chance(struct storm *s, uint32_t bound)
{
    return ike_world_random(s->w, bound);
}

/* ---- Built ----------------------------------------------------------------------------------- */

static void prefer(struct ike_proposals *proposals, uint16_t first, uint16_t second)
{
    struct ike_sa sa;
    struct ike_proposal *p = &sa.proposal[0];
    size_t at = 0;
    const uint16_t groups[2] = {first, second};

    ike_proposals_get(proposals, &sa);
    for (size_t i = 0; i < p->count; i++)
        if (p->transform[i].type == IKE_T_KE && at < 2)
            p->transform[i].id = groups[at++];
    if (!ike_proposals_set(proposals, &sa))
        abort();
}

struct link {
    enum ike2_auth auth[2];
    enum creds_kind kind[2];
    size_t children;
    bool transport, fragments, force_nat_t, narrow, contact;
    uint32_t child_life, life, liveness; /* seconds, seconds, milliseconds; 0: no limit */
    uint16_t groups[2];                  /* preferred by each end */
    uint8_t window[2];
};

static struct link draw_link(struct storm *s)
{
    static const uint16_t groups[2] = {IKE_KE_CURVE25519, IKE_KE_ECP_256};
    struct link l = {.children = 1 + chance(s, chance(s, 4) == 0 ? 8 : 3),
                     .transport = chance(s, 4) == 0,
                     .fragments = chance(s, 4) == 0,
                     .force_nat_t = chance(s, 4) == 0,
                     .narrow = chance(s, 3) == 0,
                     .contact = chance(s, 3) != 0,
                     .child_life = chance(s, 5) == 0 ? 0 : 30 + chance(s, 90),
                     .life = 100 + chance(s, 300),
                     .liveness = 500 + chance(s, 8000)};

    for (int i = 0; i < 2; i++) {
        l.auth[i] = chance(s, 2) ? IKE2_AUTH_PSK : (enum ike2_auth)chance(s, 4);
        l.kind[i] = chance(s, 2) ? CREDS_RSA : CREDS_ED25519;
        l.groups[i] = groups[chance(s, 2)];
        l.window[i] = (uint8_t)(1 + chance(s, 8));
    }
    return l;
}

static void one_end(struct storm *s, size_t i, size_t j, const struct link *l, bool second)
{
    struct ike_world *w = s->w;
    struct ike2_policy *p = ike_world_policy(w, i, j);

    creds_use(p, l->auth[second], l->kind[second]);
    p->remote_auths = 1u << l->auth[!second];
    for (size_t k = 1; k < l->children; k++)
        ike_world_child(p, i, j, k);
    for (size_t k = 0; k < l->children; k++) {
        struct ike2_child_policy *child = &p->children[k];

        child->mode = l->transport ? IKE2_TRANSPORT : IKE2_TUNNEL;
        child->lifetime.seconds = l->child_life;
        child->start = !second;
        prefer(&child->proposals, l->groups[second],
               l->groups[second] == IKE_KE_ECP_256 ? IKE_KE_CURVE25519 : IKE_KE_ECP_256);
    }
    if (l->narrow && second) /* the responder has less to offer */
        p->children[0].local.ts[0].end.octets[3] = 127;
    prefer(&p->proposals, l->groups[second],
           l->groups[second] == IKE_KE_ECP_256 ? IKE_KE_CURVE25519 : IKE_KE_ECP_256);
    p->lifetime.seconds = l->life;
    p->liveness_ms = l->liveness;
    p->liveness_retries = 8;
    p->retransmit_ms = 300;
    p->retransmits = 8;
    p->mtu = l->fragments ? 576 : 1500;
    p->force_nat_t = l->force_nat_t;
    p->initial_contact = l->contact;
    p->window = l->window[second];
    if (w->hosts[j].behind_nat) { /* nobody can begin with who is behind a NAT */
        p->gateway.len = 0;
        p->remote = (struct gh_prefix){.addr = w->hosts[j].nat_addr, .bits = 32};
    }
}

static void connect_hosts(struct storm *s, size_t i, size_t j)
{
    struct link l = draw_link(s);

    one_end(s, i, j, &l, false);
    one_end(s, j, i, &l, true);
}

static void put_behind_nat(struct ike_host *h, size_t i)
{
    const uint8_t outside[4] = {203, 0, (uint8_t)(i >> 8), (uint8_t)i};

    h->behind_nat = true;
    h->nat_addr = gh_addr_from(outside, 4);
    h->nat_port = 20000;
}

/* A hub (host 0) with spokes, or everybody with everybody. */
static struct storm begin(uint64_t seed, size_t hosts, bool hub)
{
    struct storm s = {.w = ike_world_new(seed, hosts), .seed = seed};
    struct ike_world *w = s.w;

    w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    w->after = ike_check_step;
    s.commands = chance(&s, 2) == 0;
    s.attacked = chance(&s, 2) == 0;
    for (size_t i = 0; i < hosts; i++)
        creds_give(&w->hosts[i]);
    for (size_t i = 1; i < hosts; i++)
        if (chance(&s, 4) == 0)
            put_behind_nat(&w->hosts[i], i);
    for (size_t i = 0; i < (hub ? 1 : hosts); i++)
        for (size_t j = i + 1; j < hosts; j++) {
            if (w->hosts[i].behind_nat && w->hosts[j].behind_nat)
                continue;
            if (w->hosts[i].behind_nat || (!w->hosts[j].behind_nat && chance(&s, 2)))
                connect_hosts(&s, i, j);
            else
                connect_hosts(&s, j, i);
        }
    w->loss = LOSS;
    w->duplicated = 100;
    w->delay_most = 50 + chance(&s, 400);
    w->attack = s.attacked ? 100 : 0;
    for (size_t i = 0; i < hosts; i++)
        ike_world_configure(w, i);
    return s;
}

/* ---- Trouble --------------------------------------------------------------------------------- */

static uint32_t any_child(struct storm *s, const struct ike_host *h)
{
    size_t from = h->child_room > 0 ? chance(s, (uint32_t)h->child_room) : 0;

    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[(from + i) % h->child_room].used)
            return h->child[(from + i) % h->child_room].id;
    return 0;
}

struct draw {
    uint32_t skip;
    uint64_t id;
};

static void draw_sa(void *ctx, const struct ike2_sa_view *v)
{
    struct draw *d = ctx;

    if (v->state != IKE2_STATE_ESTABLISHED || (d->id != 0 && d->skip-- == 0))
        return;
    d->id = v->id;
}

static uint64_t any_sa(struct storm *s, const struct ike_host *h)
{
    struct draw d = {.skip = chance(s, 8)};

    ike2_each_sa(h->core, draw_sa, &d);
    return d.id;
}

static void command(struct storm *s)
{
    for (size_t i = 0; i < s->w->host_count; i++)
        s->w->hosts[i].commanded = true;
}

static void rekey_all(struct storm *s, bool children)
{
    for (size_t i = 0; i < s->w->host_count; i++) {
        struct ike_host *h = &s->w->hosts[i];

        if (children)
            ike2_rekey_child(h->core, ike_world_now(h), any_child(s, h));
        else
            ike2_rekey_ike(h->core, ike_world_now(h), any_sa(s, h));
    }
}

static void rekey_children_of(struct ike_host *h)
{
    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[i].used)
            ike2_rekey_child(h->core, ike_world_now(h), h->child[i].id);
}

static void begin_all_of(struct ike_host *h)
{
    for (size_t j = 0; j < h->policy_count; j++)
        for (size_t k = 0; k < h->policies[j]->child_count; k++)
            if (h->policies[j]->children[k].start)
                ike2_initiate(h->core, ike_world_now(h), h->policies[j]->name,
                              h->policies[j]->children[k].name);
}

static void trouble(struct storm *s)
{
    struct ike_host *h = &s->w->hosts[chance(s, (uint32_t)s->w->host_count)];
    struct gh_now now = ike_world_now(h);

    switch (chance(s, 18)) {
    case 0:
    case 1:
    case 2:
        ike2_rekey_child(h->core, now, any_child(s, h));
        break;
    case 3:
    case 4:
        ike2_rekey_ike(h->core, now, any_sa(s, h));
        break;
    case 5:
        rekey_all(s, chance(s, 2));
        break;
    case 6:
        if (chance(s, 4) == 0)
            ike_world_restart(s->w, (size_t)(h - s->w->hosts));
        break;
    case 7:
        if (h->behind_nat)
            h->nat_port = (uint16_t)(20000 + 2 * chance(s, 10000));
        break;
    case 8:
        h->wall_ahead = (int64_t)chance(s, 20000000) - 10000000;
        break;
    case 9:
        if (chance(s, 8) == 0)
            h->mono_ahead += chance(s, 100000);
        break;
    case 10:
        h->dead = !h->dead && chance(s, 3) == 0;
        break;
    case 11:
        if (s->commands && chance(s, 4) == 0) {
            command(s);
            ike2_terminate_child(h->core, now, any_child(s, h));
        }
        break;
    case 12:
        if (s->commands && chance(s, 8) == 0) {
            command(s);
            ike2_terminate_ike(h->core, now, any_sa(s, h));
        }
        break;
    case 13:
        if (h->policy_count > 0) {
            const struct ike2_policy *p = h->policies[chance(s, (uint32_t)h->policy_count)];

            ike2_initiate(h->core, now, p->name, p->children[0].name);
        }
        break;
    case 14:
        rekey_children_of(h);
        break;
    case 15:
        begin_all_of(h);
        break;
    default:
        break;
    }
}

/* ---- Peace ----------------------------------------------------------------------------------- */

static const char *all_up(const struct storm *s)
{
    static char text[200];

    for (size_t i = 0; i < s->w->host_count; i++) {
        const struct ike_host *h = &s->w->hosts[i];

        for (size_t j = 0; j < h->policy_count; j++) {
            const struct ike2_policy *p = h->policies[j];

            for (size_t k = 0; k < p->child_count; k++) {
                if (ike_check_children(h, p, &p->children[k]) > 0 || !p->children[k].start)
                    continue;
                snprintf(text, sizeof(text), "host %zu: %s of %s did not come up again", i,
                         p->children[k].name, p->name);
                return text;
            }
        }
    }
    return NULL;
}

static void begin_everything(struct storm *s)
{
    for (size_t i = 0; i < s->w->host_count; i++)
        begin_all_of(&s->w->hosts[i]);
}

static const char *peace(struct storm *s)
{
    struct ike_world *w = s->w;

    w->loss = w->duplicated = w->attack = 0;
    w->meddle = NULL;
    w->delay_most = 5;
    for (size_t i = 0; i < w->host_count; i++)
        w->hosts[i].dead = false;
    ike_world_run(w, 150 * 1000); /* what was lost is noticed */
    begin_everything(s);          /* what was given up or ended */
    ike_world_run(w, 10 * 1000);
    if (w->wrong[0] == '\0' && !ike_check_settle(w, 200 * 1000))
        return "it does not come to rest";
    if (ike_check_agreement(w) != NULL)
        return ike_check_agreement(w);
    return all_up(s);
}

/* ---- Storms ---------------------------------------------------------------------------------- */

/* What a run was, in one number. */
static uint64_t trace_of(const struct ike_world *w)
{
    uint64_t all[] = {w->seed,  w->exchanges, w->carried,   w->lost,
                      w->steps, w->injected,  w->event_seq, w->lost_with_cause};
    uint64_t sum = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        sum = (sum ^ all[i]) * 0x100000001b3u;
    return sum;
}

static unsigned most_under_way;

static uint64_t weather(uint64_t seed, size_t hosts, bool hub, unsigned rounds, uint64_t *trace)
{
    struct storm s = begin(seed, hosts, hub);
    struct ike_world *w = s.w;
    const char *wrong = NULL;
    uint64_t exchanges;

    for (unsigned i = 0; i < rounds && w->wrong[0] == '\0'; i++) {
        ike_world_run(w, chance(&s, 4000));
        for (unsigned n = chance(&s, (uint32_t)(1 + hosts / 4)) + 1; n > 0; n--)
            trouble(&s);
    }
    exchanges = w->exchanges;
    wrong = w->wrong[0] != '\0' ? w->wrong : peace(&s);
    if (wrong != NULL)
        fail_msg("seed %llu, %zu hosts%s: %s", (unsigned long long)seed, hosts, hub ? ", hub" : "",
                 wrong);
    if (getenv("GATEHOUSE_SIM_NUMBERS") != NULL)
        printf("seed %llu: %zu hosts%s, %llu exchanges, %llu datagrams, %llu lost, %llu forged, "
               "%llu steps, %llu Child SAs lost, %u requests at a time, %llu times out of order\n",
               (unsigned long long)seed, hosts, hub ? " (hub)" : "", (unsigned long long)exchanges,
               (unsigned long long)w->carried, (unsigned long long)w->lost,
               (unsigned long long)w->injected, (unsigned long long)w->steps,
               (unsigned long long)w->lost_with_cause, w->most_under_way,
               (unsigned long long)w->overtaken);
    if (w->most_under_way > most_under_way)
        most_under_way = w->most_under_way;
    if (trace != NULL)
        *trace = trace_of(w);
    ike_world_free(w);
    return exchanges;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* Meshes of two to eight hosts, and hubs. */
static void storms_pass(void **state)
{
    uint64_t seed = from_environment("GATEHOUSE_SIM_SEED", 1);
    uint64_t wanted = from_environment("GATEHOUSE_SIM_EXCHANGES", EXCHANGES), done = 0, worlds = 0;

    for (; done < wanted; seed++, worlds++)
        done += seed % 8 == 7 ? weather(seed, 20, true, ROUNDS, NULL)
                              : weather(seed, 2 + seed % 6, false, ROUNDS, NULL);
    if (wanted >= EXCHANGES)
        assert_true(most_under_way > 3); /* windows are used */
    print_message("%llu exchanges in %llu worlds, up to seed %llu\n", (unsigned long long)done,
                  (unsigned long long)worlds, (unsigned long long)seed - 1);
}

static void the_same_seed_is_the_same_run(void **state)
{
    uint64_t seed = from_environment("GATEHOUSE_SIM_SEED", 1), first, again, other;

    for (uint64_t i = seed; i < seed + 6; i++) {
        weather(i, 5, i % 2, 30, &first);
        weather(i, 5, i % 2, 30, &again);
        weather(i + 100, 5, i % 2, 30, &other);
        assert_int_equal(first, again);
        assert_int_not_equal(first, other);
    }
}

/* One hub and its spokes, and a mesh: hundreds of SAs of one host, and of one world. */
static void hundreds_of_peers(void **state)
{
    uint64_t seed = from_environment("GATEHOUSE_SIM_SEED", 1);
    size_t spokes = (size_t)from_environment("GATEHOUSE_SIM_PEERS", PEERS);

    weather(seed, 1 + spokes, true, 6, NULL);
    weather(seed + 1, 16, false, 6, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_is_the_same_run),
        cmocka_unit_test(hundreds_of_peers),
        cmocka_unit_test(storms_pass),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    creds_free();
    return failed;
}
