#include "daemon/policies.h"

#include <stdio.h>
#include <stdlib.h>

#include "tcpao/engine.h"

enum { ZONE_NAME = 512, NEGOTIATED_NAME = 2 * GH_NAME_MAX + 16 };

static enum ao_mode mode_of(enum gh_mode mode)
{
    switch (mode) {
    case GH_ALLOW_WITHOUT_AO:
        return AO_ALLOW_WITHOUT;
    case GH_ACCEPT_MISMATCH:
        return AO_ACCEPT_MISMATCH;
    case GH_REQUIRED:
        break;
    }
    return AO_REQUIRED;
}

static enum ao_direction direction_of(enum gh_direction direction)
{
    switch (direction) {
    case GH_ACTIVE:
        return AO_ACTIVE;
    case GH_PASSIVE:
        return AO_PASSIVE;
    case GH_BOTH:
        break;
    }
    return AO_EITHER;
}

struct lists {
    struct tcpao_chain **chains; /* those of the configuration; then one without keys */
    struct ao_policy *policies;
    char (*zones)[ZONE_NAME];
    char (*names)[NEGOTIATED_NAME]; /* of negotiated sessions' chains */
};

static void fill(struct ao_policy *p, const struct gh_session *s, uint16_t zone)
{
    *p = (struct ao_policy){.name = s->name,
                            .zone = zone,
                            .peer = s->peer,
                            .local = s->local,
                            .port = s->port,
                            .source_first = s->source_first,
                            .source_last = s->source_last,
                            .direction = direction_of(s->direction),
                            .mode = mode_of(s->mode),
                            .accept_icmp = s->accept_icmp};
}

static void fill_configured(struct ao_policy *p, const struct gh_key_chain *k,
                            struct tcpao_chain *chain)
{
    p->chain_name = k->name;
    p->chain = chain;
    p->warn_before = k->warn_before;
    p->warn_count = k->warn_count;
}

/* A chain of its own, by whose name the engine knows that connections may go on with it. */
static void fill_negotiated(struct ao_policy *p, const struct gh_session *s,
                            const struct gh_negotiated_chains *from, const struct lists *l,
                            struct tcpao_chain *none, char name[NEGOTIATED_NAME])
{
    snprintf(name, NEGOTIATED_NAME, "ike-peer %s: %s", s->ike_peer, s->name);
    p->negotiated = true;
    p->chain_name = name;
    p->chain = from != NULL
                   ? from->chain_of(from->ctx, s->name, s->fallback ? l->chains[s->chain] : NULL)
                   : none;
}

static bool build_chains(const struct gh_config *c, struct lists *l)
{
    for (size_t i = 0; i < c->chain_count; i++) {
        l->chains[i] = gh_key_chain_build(&c->chains[i]);
        if (l->chains[i] == NULL)
            return false;
    }
    l->chains[c->chain_count] = tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE);
    return l->chains[c->chain_count] != NULL;
}

static bool build(const struct gh_setup *s, const struct gh_negotiated_chains *negotiated,
                  struct lists *l)
{
    const struct gh_config *c = s->config;

    l->chains = calloc(c->chain_count + 1, sizeof(struct tcpao_chain *));
    l->policies = calloc(c->session_count + 1, sizeof(*l->policies));
    l->zones = calloc(c->session_count + 1, ZONE_NAME);
    l->names = calloc(c->session_count + 1, NEGOTIATED_NAME);
    if (l->chains == NULL || l->policies == NULL || l->zones == NULL || l->names == NULL ||
        !build_chains(c, l))
        return false;
    for (size_t i = 0; i < c->session_count; i++) {
        const struct gh_session *session = &c->sessions[i];
        struct ao_policy *p = &l->policies[i];

        fill(p, session, s->zones[i]);
        if (session->ike_peer != NULL)
            fill_negotiated(p, session, negotiated, l, l->chains[c->chain_count], l->names[i]);
        else
            fill_configured(p, gh_config_chain(c, session), l->chains[session->chain]);
        if (p->chain == NULL)
            return false;
        gh_zone_name(session->netns, session->vrf, l->zones[i], ZONE_NAME);
        p->zone_name = l->zones[i];
    }
    return true;
}

bool gh_policies_apply(struct ao_engine *e, struct gh_now now, const struct gh_setup *s,
                       const struct gh_negotiated_chains *negotiated)
{
    struct lists l = {.chains = NULL};
    bool good = build(s, negotiated, &l) &&
                ao_engine_set_policies(e, now, l.policies, s->config->session_count);

    for (size_t i = 0; l.chains != NULL && i <= s->config->chain_count; i++)
        tcpao_chain_put(l.chains[i]);
    free(l.chains);
    free(l.policies);
    free(l.zones);
    free(l.names);
    return good;
}
