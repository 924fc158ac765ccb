#include "config/tunnel_cover.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "ipsec/header.h"
#include "tunnel/gre.h"

size_t gh_tunnel_protocols(enum tunnel_kind kind, uint8_t out[2])
{
    out[0] = kind == TUNNEL_GRE ? TUNNEL_PROTO_GRE : IPSEC_PROTO_IPV4;
    out[1] = IPSEC_PROTO_IPV6;
    return kind == TUNNEL_GRE ? 1 : 2;
}

static bool has_protocol(const struct ike_ts *a, const struct ike_ts *b, uint8_t protocol)
{
    return (a->protocol == 0 || a->protocol == protocol) &&
           (b->protocol == 0 || b->protocol == protocol);
}

static bool holds(const struct ike_ts *ts, const struct gh_addr *a)
{
    return ts->start.len == a->len && memcmp(ts->start.octets, a->octets, a->len) <= 0 &&
           memcmp(a->octets, ts->end.octets, a->len) <= 0;
}

/* One packet as its headers are outside. */
struct outer {
    const struct gh_addr *local, *remote;
    uint8_t protocol;
};

static bool lists_have(const struct ike_ts_list *local, const struct ike_ts_list *remote,
                       const struct outer *o)
{
    for (size_t i = 0; i < local->count; i++)
        for (size_t k = 0; k < remote->count; k++)
            if (holds(&local->ts[i], o->local) && holds(&remote->ts[k], o->remote) &&
                has_protocol(&local->ts[i], &remote->ts[k], o->protocol))
                return true;
    return false;
}

static bool child_has(const struct ike2_child_policy *child, const struct outer *o)
{
    return child->mode != IKE2_TCP_AO && lists_have(&child->local, &child->remote, o);
}

bool gh_tunnel_child_covers(const struct ike2_child_policy *child, const struct tunnel_params *t,
                            const struct gh_addr *remote)
{
    uint8_t protocols[2];
    size_t count = gh_tunnel_protocols(t->kind, protocols);
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        const struct outer o = {&t->local, remote, protocols[i]};

        any |= child_has(child, &o);
    }
    return any;
}

bool gh_tunnel_covered(const struct ike2_policy *peer, const struct tunnel_params *t,
                       const struct gh_addr *remote)
{
    for (size_t i = 0; i < peer->child_count; i++)
        if (gh_tunnel_child_covers(&peer->children[i], t, remote))
            return true;
    return false;
}

/* ---- A device of the kernel's --------------------------------------------------------------- */

static const struct gh_spd_entry *let_pass(const struct gh_ike_config *c, const struct gh_tunnel *t,
                                           const struct outer *o)
{
    for (size_t i = 0; i < c->spd_count; i++) {
        const struct gh_spd_entry *e = &c->spd[i];

        if (!e->discard && !e->after && e->zone == t->zone && lists_have(&e->local, &e->remote, o))
            return e;
    }
    return NULL;
}

/* The kernel goes by the order of the configuration: the first child counts. */
static const struct ike2_policy *first_peer(const struct gh_ike_config *c,
                                            const struct gh_tunnel *t, const struct outer *o)
{
    for (size_t i = 0; i < c->policy_count; i++) {
        const struct ike2_policy *p = c->policies[i];

        for (size_t k = 0; p->zone == t->zone && k < p->child_count; k++)
            if (p->children[k].kernel && child_has(&p->children[k], o))
                return p;
    }
    return NULL;
}

static bool is_peer(const struct gh_tunnel *t, const struct ike2_policy *p)
{
    return gh_config_text_equal(t->peer, p->name);
}

/* All of the peer's that are for it. */
static bool children_are_kernels(const struct gh_ike_config *c, const struct gh_tunnel *t,
                                 char why[GH_TUNNEL_WHY])
{
    for (size_t i = 0; i < c->policy_count; i++) {
        const struct ike2_policy *p = c->policies[i];

        for (size_t k = 0; is_peer(t, p) && k < p->child_count; k++)
            if (gh_tunnel_child_covers(&p->children[k], &t->p, &t->p.remote) &&
                !p->children[k].kernel) {
                (void)snprintf(why, GH_TUNNEL_WHY, "the child \"%s\" of \"%s\" is not the kernel's",
                               p->children[k].name, p->name);
                return false;
            }
    }
    return true;
}

static bool is_protected(const struct gh_ike_config *c, const struct gh_tunnel *t,
                         const struct outer *o, char why[GH_TUNNEL_WHY])
{
    const struct gh_spd_entry *e = let_pass(c, t, o);
    const struct ike2_policy *p = first_peer(c, t, o);

    if (e != NULL)
        (void)snprintf(why, GH_TUNNEL_WHY, "the ipsec-policy \"%s\" lets its packets pass",
                       e->name);
    else if (p != NULL && !is_peer(t, p))
        (void)snprintf(why, GH_TUNNEL_WHY, "a child of \"%s\" comes first for its packets",
                       p->name);
    return e == NULL && (p == NULL || is_peer(t, p));
}

bool gh_tunnel_kernel_protects(const struct gh_ike_config *c, const struct gh_tunnel *t,
                               char why[GH_TUNNEL_WHY])
{
    uint8_t protocols[2];
    size_t count = gh_tunnel_protocols(t->p.kind, protocols);

    if (t->peer == NULL)
        return true;
    if (!children_are_kernels(c, t, why))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct outer o = {&t->p.local, &t->p.remote, protocols[i]};

        if (!is_protected(c, t, &o, why))
            return false;
    }
    return true;
}
