#include "daemon/policies.h"

#include <stdlib.h>

#include "tcpao/engine.h"

enum { ZONE_NAME = 512 };

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

static void fill(struct ao_policy *p, const struct gh_session *s, uint16_t zone,
                 const struct gh_key_chain *k, struct tcpao_chain *chain)
{
    *p = (struct ao_policy){.name = s->name,
                            .chain_name = k->name,
                            .chain = chain,
                            .zone = zone,
                            .peer = s->peer,
                            .local = s->local,
                            .port = s->port,
                            .direction = direction_of(s->direction),
                            .mode = mode_of(s->mode),
                            .accept_icmp = s->accept_icmp,
                            .warn_before = k->warn_before,
                            .warn_count = k->warn_count};
}

struct lists {
    struct tcpao_chain **chains;
    struct ao_policy *policies;
    char (*zones)[ZONE_NAME];
};

static bool build(const struct gh_setup *s, struct lists *l)
{
    const struct gh_config *c = s->config;

    l->chains = calloc(c->chain_count + 1, sizeof(struct tcpao_chain *));
    l->policies = calloc(c->session_count + 1, sizeof(*l->policies));
    l->zones = calloc(c->session_count + 1, ZONE_NAME);
    if (l->chains == NULL || l->policies == NULL || l->zones == NULL)
        return false;
    for (size_t i = 0; i < c->chain_count; i++) {
        l->chains[i] = gh_key_chain_build(&c->chains[i]);
        if (l->chains[i] == NULL)
            return false;
    }
    for (size_t i = 0; i < c->session_count; i++) {
        const struct gh_session *session = &c->sessions[i];

        fill(&l->policies[i], session, s->zones[i], &c->chains[session->chain],
             l->chains[session->chain]);
        gh_zone_name(session->netns, session->vrf, l->zones[i], ZONE_NAME);
        l->policies[i].zone_name = l->zones[i];
    }
    return true;
}

bool gh_policies_apply(struct ao_engine *e, struct gh_now now, const struct gh_setup *s)
{
    struct lists l = {.chains = NULL};
    bool good =
        build(s, &l) && ao_engine_set_policies(e, now, l.policies, s->config->session_count);

    for (size_t i = 0; l.chains != NULL && i < s->config->chain_count; i++)
        tcpao_chain_put(l.chains[i]);
    free(l.chains);
    free(l.policies);
    free(l.zones);
    return good;
}
