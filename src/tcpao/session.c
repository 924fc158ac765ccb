/* Sessions: a policy, or one flow of a socket, with what was counted for it. */
#include "tcpao/engine_priv.h"

#include <stdlib.h>
#include <string.h>

struct tcpao_chain *ao_chain_copy(const struct tcpao_chain *chain, bool accept_mismatch)
{
    struct tcpao_chain *copy = tcpao_chain_new(tcpao_chain_tolerance(chain));
    size_t n = tcpao_chain_count(chain);

    for (size_t i = 0; copy != NULL && i < n; i++) {
        struct tcpao_mkt mkt = *tcpao_chain_at(chain, i);

        mkt.accept_mismatch |= accept_mismatch;
        if (tcpao_chain_add(copy, &mkt, NULL) != TCPAO_CHAIN_OK) {
            tcpao_chain_put(copy);
            copy = NULL;
        }
    }
    return copy;
}

uint8_t ao_largest_option(const struct tcpao_chain *chain)
{
    size_t n = tcpao_chain_count(chain), space = 0;

    for (size_t i = 0; i < n; i++) {
        size_t s = tcpao_option_space(tcpao_chain_at(chain, i)->mac_len);

        space = s > space ? s : space;
    }
    return (uint8_t)space;
}

static char *copy_name(const char *name)
{
    return strndup(name != NULL ? name : "", AO_NAME - 1);
}

bool ao_session_init(struct ao_session *s, const struct ao_policy *p)
{
    int64_t *warn = calloc(p->warn_count + 1, sizeof(*warn));

    s->policy = *p;
    s->policy.name = copy_name(p->name);
    s->policy.chain_name = copy_name(p->chain_name);
    s->policy.zone_name = copy_name(p->zone_name);
    /* accept-mismatch of a session is Cisco's flag on each of its keys. */
    s->policy.chain =
        p->mode == AO_ACCEPT_MISMATCH ? ao_chain_copy(p->chain, true) : tcpao_chain_get(p->chain);
    s->policy.warn_before = warn;
    s->zone_id = ao_zone_id(p->zone_name);
    if (warn == NULL || s->policy.name == NULL || s->policy.chain_name == NULL ||
        s->policy.zone_name == NULL || s->policy.chain == NULL)
        return false;
    if (p->warn_count > 0)
        memcpy(warn, p->warn_before, p->warn_count * sizeof(*warn));
    s->option_space = ao_largest_option(s->policy.chain);
    return ao_counters_follow(&s->keys, &s->key_count, s->policy.chain);
}

void ao_session_clear(struct ao_session *s)
{
    free((void *)(uintptr_t)s->policy.name);
    free((void *)(uintptr_t)s->policy.chain_name);
    free((void *)(uintptr_t)s->policy.zone_name);
    free((void *)(uintptr_t)s->policy.warn_before);
    tcpao_chain_put(s->policy.chain);
    free(s->keys);
    free(s->refusals);
}

void ao_session_carry_keys(struct ao_session *to, const struct ao_session *from)
{
    for (size_t i = 0; i < from->key_count; i++) {
        struct ao_key_counters *k = ao_key_counters(to, from->keys[i].number);

        if (k != NULL)
            *k = from->keys[i];
    }
}

void ao_session_carry(struct ao_session *to, struct ao_session *from)
{
    struct ao_refusal *refusals = to->refusals;

    memcpy(to->counters, from->counters, sizeof(to->counters));
    to->refusals = from->refusals;
    from->refusals = refusals;
    memcpy(to->refusal_event_ms, from->refusal_event_ms, sizeof(to->refusal_event_ms));
    memcpy(to->last_event, from->last_event, sizeof(to->last_event));
    to->packets_in = from->packets_in;
    to->packets_out = from->packets_out;
    to->last_in_wall = from->last_in_wall;
    to->last_out_wall = from->last_out_wall;
    to->last_event_wall = from->last_event_wall;
    ao_session_carry_keys(to, from);
}

struct ao_session *ao_session_by_name(struct ao_session *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].policy.name, name) == 0)
            return &list[i];
    }
    return NULL;
}
