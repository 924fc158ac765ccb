#include "config/ike_slots.h"

#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"

/* Peers with the same addresses somewhere belong together. */
struct span {
    enum { REMOTE, GATEWAY } kind;
    uint16_t zone;
    struct gh_addr start, end;
    struct gh_addr local; /* GATEWAY: len 0: any of ours */
    size_t policy;
};

struct work {
    const struct gh_ike_config *c;
    struct span *spans;
    size_t span_count;
    size_t *leader; /* of each policy; itself: it leads */
};

bool gh_ike_has_ipsec(const struct ike2_policy *p)
{
    for (size_t i = 0; i < p->child_count; i++)
        if (p->children[i].mode != IKE2_TCP_AO)
            return true;
    return false;
}

/* ---- Who belongs together ------------------------------------------------------------------- */

static size_t leader_of(struct work *w, size_t i)
{
    while (w->leader[i] != i) {
        w->leader[i] = w->leader[w->leader[i]];
        i = w->leader[i];
    }
    return i;
}

/* The first in the configuration leads. */
static void join(struct work *w, size_t a, size_t b)
{
    a = leader_of(w, a);
    b = leader_of(w, b);
    if (a < b)
        w->leader[b] = a;
    else
        w->leader[a] = b;
}

static void add_span(struct work *w, const struct span *s)
{
    w->spans = gh_config_grow(w->spans, w->span_count, sizeof(*w->spans));
    w->spans[w->span_count++] = *s;
}

static void add_child(struct work *w, size_t at, const struct ike2_child_policy *child)
{
    const struct ike2_policy *p = w->c->policies[at];
    uint16_t zone = p->private_zone > 0 ? p->private_zone : p->zone;

    for (size_t i = 0; child->mode != IKE2_TCP_AO && i < child->remote.count; i++) {
        struct span s = {.kind = REMOTE,
                         .zone = zone,
                         .start = child->remote.ts[i].start,
                         .end = child->remote.ts[i].end,
                         .policy = at};

        /* Transport mode goes to the peer alone. */
        if (child->mode == IKE2_TRANSPORT && p->gateway.len == s.start.len)
            s.start = s.end = p->gateway;
        add_span(w, &s);
    }
}

static void add_all(struct work *w)
{
    for (size_t i = 0; i < w->c->policy_count; i++) {
        const struct ike2_policy *p = w->c->policies[i];

        w->leader[i] = i;
        for (size_t k = 0; k < p->child_count; k++)
            add_child(w, i, &p->children[k]);
        for (size_t k = 0; gh_ike_has_ipsec(p) && k < ike2_gateway_count(p); k++)
            add_span(w, &(struct span){.kind = GATEWAY,
                                       .zone = p->zone,
                                       .start = *ike2_gateway(p, k),
                                       .end = *ike2_gateway(p, k),
                                       .local = p->local,
                                       .policy = i});
    }
}

static int compare_addr(const struct gh_addr *a, const struct gh_addr *b)
{
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return memcmp(a->octets, b->octets, a->len);
}

static int by_place(const void *one, const void *two)
{
    const struct span *a = one, *b = two;
    int order;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->zone != b->zone)
        return a->zone < b->zone ? -1 : 1;
    order = compare_addr(&a->start, &b->start);
    return order != 0 ? order : compare_addr(&a->local, &b->local);
}

/* In their order each has only to be held against the one before that reaches farthest. */
static void join_spans(struct work *w)
{
    const struct span *far = NULL;

    if (w->span_count > 1)
        qsort(w->spans, w->span_count, sizeof(*w->spans), by_place);
    for (size_t i = 0; i < w->span_count; i++) {
        const struct span *s = &w->spans[i];

        if (far != NULL && far->kind == s->kind && far->zone == s->zone &&
            compare_addr(&s->start, &far->end) <= 0) {
            if (s->kind == REMOTE || far->local.len == 0 || gh_addr_equal(&s->local, &far->local))
                join(w, s->policy, far->policy);
            else
                far = s;
            if (compare_addr(&s->end, &far->end) > 0)
                far = s;
        } else {
            far = s;
        }
    }
}

/* ---- Where to ------------------------------------------------------------------------------- */

static bool is_first(const struct gh_ike_config *c, const struct ike2_policy *p)
{
    if (p->manual) /* their SPIs say so */
        return true;
    for (size_t i = 0; i < p->child_count; i++)
        if (p->children[i].kernel)
            return true;
    for (size_t i = 0; i < c->tunnel_count; i++)
        if (gh_config_text_equal(c->tunnels[i].peer, p->name))
            return true;
    return false;
}

static const struct ike2_policy *find(const struct gh_ike_config *c, const char *name, size_t hint)
{
    for (size_t i = 0; c != NULL && i < c->policy_count; i++) {
        const struct ike2_policy *p = c->policies[(i + hint) % c->policy_count];

        if (strcmp(p->name, name) == 0)
            return p;
    }
    return NULL;
}

static bool is_of(const struct gh_tunnel_group *g, int slot)
{
    return slot >= g->first && slot < g->first + g->active;
}

static int least(const struct gh_tunnel_group *g, const size_t *load)
{
    int best = g->first;

    for (int i = g->first; i < g->first + g->active; i++)
        if (load[i] < load[best])
            best = i;
    return best;
}

/* Of those that belong together the first that is somewhere says where: -1: none is yet. */
static void keep(struct work *w, const struct gh_ike_config *current, int *slots)
{
    for (size_t i = 0; i < w->c->policy_count; i++) {
        const struct ike2_policy *was = find(current, w->c->policies[i]->name, i);
        size_t leader = leader_of(w, i);

        if (was != NULL && gh_ike_has_ipsec(was) && slots[leader] < 0 &&
            is_of(&w->c->groups[w->c->places[leader].group], gh_ike_slot(was)))
            slots[leader] = gh_ike_slot(was);
    }
    for (size_t i = 0; i < w->c->policy_count; i++)
        if (is_first(w->c, w->c->policies[i]))
            slots[leader_of(w, i)] = 0;
}

static bool is_everything(const struct ike_ts *ts)
{
    for (size_t i = 0; i < ts->start.len; i++)
        if (ts->start.octets[i] != 0 || ts->end.octets[i] != UINT8_MAX)
            return false;
    return true;
}

/* Nobody begins with it: whoever calls is one of many. */
static bool is_for_many(const struct ike2_policy *p)
{
    return gh_ike_has_ipsec(p) && ike2_gateway_count(p) == 0;
}

static const char *obstacle_of(const struct ike2_child_policy *child, const char **remedy)
{
    if (!child->reverse_route) {
        *remedy = "add reverse-route = yes to its children";
        return "it has a child without reverse routes";
    }
    if (child->route_overlap) {
        *remedy = "remove route-overlap";
        return "its clients may have the same networks";
    }
    *remedy = "write which networks its clients may have";
    for (size_t i = 0; i < child->remote.count; i++)
        if (is_everything(&child->remote.ts[i]))
            return "its remote-ts is everything";
    return NULL;
}

/* Why its clients' networks do not tell them from each other. NULL: they do. */
static const char *find_obstacle(const struct ike2_policy *p, const char **remedy)
{
    const char *why = NULL;

    for (size_t i = 0; why == NULL && i < p->child_count; i++)
        if (p->children[i].mode != IKE2_TCP_AO)
            why = obstacle_of(&p->children[i], remedy);
    return why;
}

static bool can_spread(const struct gh_ike_config *c, const struct ike2_policy *p)
{
    const char *remedy;

    return is_for_many(p) && !is_first(c, p) && find_obstacle(p, &remedy) == NULL;
}

const char *gh_ike_why_together(const struct gh_ike_config *c, size_t at, const char **remedy)
{
    const struct ike2_policy *p = c->policies[at];
    const char *why;

    if (!is_for_many(p) || is_first(c, p) || gh_ike_is_spread(p) ||
        c->groups[c->places[at].group].active < 2)
        return NULL;
    why = find_obstacle(p, remedy);
    if (why != NULL)
        return why;
    *remedy = "let no other peer have addresses in common with its remote-ts";
    return "a peer that is not so has addresses in common with it";
}

/* Of each leader: do all slots of its group carry what belongs to it? */
static bool *find_spread(struct work *w)
{
    bool *all = gh_config_alloc(w->c->policy_count + 1, sizeof(*all));

    for (size_t i = 0; i < w->c->policy_count; i++)
        if (w->leader[i] == i)
            all[i] = w->c->groups[w->c->places[i].group].active > 1;
    for (size_t i = 0; i < w->c->policy_count; i++)
        if (!can_spread(w->c, w->c->policies[i]))
            all[leader_of(w, i)] = false;
    return all;
}

static void spread(struct work *w, int *slots)
{
    size_t load[GH_SLOTS] = {0}, *size = gh_config_alloc(w->c->policy_count + 1, sizeof(*size));
    bool *all = find_spread(w);

    for (size_t i = 0; i < w->c->policy_count; i++) {
        if (all[leader_of(w, i)])
            slots[leader_of(w, i)] = w->c->groups[w->c->places[i].group].first;
        else
            size[leader_of(w, i)] += gh_ike_has_ipsec(w->c->policies[i]);
    }
    for (size_t i = 0; i < w->c->policy_count; i++)
        if (w->leader[i] == i && slots[i] >= 0)
            load[slots[i]] += size[i];
    for (size_t i = 0; i < w->c->policy_count; i++) {
        if (w->leader[i] != i || slots[i] >= 0)
            continue;
        slots[i] = least(&w->c->groups[w->c->places[i].group], load);
        load[slots[i]] += size[i];
    }
    for (size_t i = 0; i < w->c->policy_count; i++) {
        const size_t leader = leader_of(w, i);
        const uint8_t more =
            all[leader] ? (uint8_t)(w->c->groups[w->c->places[i].group].active - 1) : 0;

        for (size_t k = 0; k < w->c->policies[i]->child_count; k++) {
            w->c->policies[i]->children[k].slot = (uint8_t)slots[leader];
            w->c->policies[i]->children[k].last_slot = (uint8_t)(slots[leader] + more);
        }
    }
    free(all);
    free(size);
}

bool gh_ike_assign_slots(struct gh_ike_config *next, const struct gh_ike_config *current, size_t *a,
                         size_t *b)
{
    struct work w = {.c = next};
    int *slots = gh_config_alloc(next->policy_count + 1, sizeof(*slots));
    bool good = true;

    w.leader = gh_config_alloc(next->policy_count + 1, sizeof(*w.leader));
    add_all(&w);
    join_spans(&w);
    for (size_t i = 0; good && i < next->policy_count; i++) {
        slots[i] = -1;
        *a = leader_of(&w, i);
        *b = i;
        good = next->places[*a].group == next->places[i].group;
    }
    if (good) {
        keep(&w, current, slots);
        spread(&w, slots);
    }
    free(w.leader);
    free(w.spans);
    free(slots);
    return good;
}

/* ---- What stays ----------------------------------------------------------------------------- */

static void keep_groups(struct gh_ike_config *next, const struct gh_ike_config *current,
                        const char *path, struct gh_problems *problems)
{
    bool same = next->group_count == current->group_count;

    for (size_t i = 0; same && i < next->group_count; i++) {
        struct gh_tunnel_group *is = &next->groups[i];
        const struct gh_tunnel_group *was = &current->groups[i];

        if (is->automatic && was->automatic)
            is->active = was->active;
        is->first = was->first;
        same = strcmp(is->name, was->name) == 0 && is->active == was->active;
    }
    if (!same)
        gh_problem_add(problems, GH_PROBLEM_ERROR, path, next->groups[next->group_count - 1].line,
                       "tunnel-group-frozen",
                       "restart the daemon with it; `backup` may change at any time",
                       "the tunnel groups and their numbers of active processes cannot change "
                       "while tunnels are carried by them");
}

static size_t place_of(const struct gh_ike_config *c, const struct ike2_policy *p)
{
    for (size_t i = 0; i < c->policy_count; i++)
        if (c->policies[i] == p)
            return i;
    return 0;
}

void gh_ike_keep_slots(struct gh_ike_config *next, const struct gh_ike_config *current,
                       const char *path, struct gh_problems *problems)
{
    size_t before = problems->errors;

    keep_groups(next, current, path, problems);
    for (size_t i = 0; problems->errors == before && i < next->policy_count; i++) {
        const struct ike2_policy *is = next->policies[i], *was = find(current, is->name, i);
        size_t group = was != NULL ? current->places[place_of(current, was)].group : 0;

        if (was != NULL && gh_ike_has_ipsec(was) && was->admin != IKE2_ADMIN_DOWN &&
            group != next->places[i].group)
            gh_problem_add(problems, GH_PROBLEM_ERROR, path, next->places[i].line,
                           "tunnel-group-in-use",
                           "reload with admin = down in the peer's section first, then with the "
                           "other group",
                           "\"%s\" is up in the tunnel group \"%s\" and cannot go to another",
                           is->name, current->groups[group].name);
    }
}
