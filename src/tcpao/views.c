/* What the operator sees and asks for: sessions, connections, clear, reset. */
#include "tcpao/engine_priv.h"

#include <stdlib.h>
#include <string.h>

static void view_of(const struct ao_connection *c, struct ao_connection_view *v)
{
    *v = (struct ao_connection_view){.session = c->session->policy.name,
                                     .chain_name = c->chain_name,
                                     .zone = c->zone,
                                     .local = c->local,
                                     .remote = c->remote,
                                     .state = c->state,
                                     .active = c->active,
                                     .without_ao = c->without_ao,
                                     .mismatched = c->mismatched,
                                     .restored = c->restored,
                                     .in_kernel = c->in_kernel,
                                     .own_keys = c->own_keys,
                                     .flow_gone = c->own_keys && c->session->gone,
                                     .since = c->since,
                                     .chain = c->chain,
                                     .segments_in = c->segments_in,
                                     .segments_out = c->segments_out,
                                     .octets_in = c->octets_in,
                                     .octets_out = c->octets_out,
                                     .counters = c->counters,
                                     .last_event_wall = c->last_event_wall,
                                     .last_event = c->last_event};
    tcpao_conn_export(c->conn, &v->conn);
}

void ao_engine_each_connection(const struct ao_engine *e, ao_connection_fn fn, void *ctx)
{
    for (size_t i = 0; i <= e->bucket_mask; i++) {
        for (const struct ao_connection *c = e->buckets[i]; c != NULL; c = c->next) {
            struct ao_connection_view v;

            view_of(c, &v);
            fn(ctx, &v);
        }
    }
}

static void view_session(const struct ao_session *s, ao_session_fn fn, void *ctx)
{
    static const struct ao_refusal none[AO_COUNTERS];
    struct ao_session_view v = {.policy = &s->policy,
                                .connections = s->connections,
                                .counters = s->counters,
                                .refusals = s->refusals != NULL ? s->refusals : none,
                                .packets_in = s->packets_in,
                                .packets_out = s->packets_out,
                                .last_in_wall = s->last_in_wall,
                                .last_out_wall = s->last_out_wall,
                                .last_event_wall = s->last_event_wall,
                                .last_event = s->last_event,
                                .keys = s->keys,
                                .key_count = s->key_count,
                                .own_keys = s->own_keys,
                                .owner = s->flow.owner};

    fn(ctx, &v);
}

void ao_engine_each_session(const struct ao_engine *e, ao_session_fn fn, void *ctx)
{
    for (size_t i = 0; i < e->session_count; i++)
        view_session(&e->sessions[i], fn, ctx);
    for (const struct ao_session *s = e->flows; s != NULL; s = s->next_flow)
        view_session(s, fn, ctx);
}

const uint64_t *ao_engine_counters(const struct ao_engine *e)
{
    return e->counters;
}

static bool wanted(const char *session, const struct gh_addr *remote, const struct ao_session *s,
                   const struct tcpao_endpoint *end)
{
    struct gh_addr addr = gh_addr_from(end->addr, end->addr_len);

    return (session == NULL || strcmp(session, s->policy.name) == 0) &&
           (remote == NULL || remote->len == 0 || gh_addr_equal(remote, &addr));
}

/* At both ends a connection older than the engine is cut off: no packet would come that could carry
 * a RST to the local stack. */
static void ask_for_abort(struct ao_engine *e, uint16_t zone, const struct tcpao_endpoint *local,
                          const struct tcpao_endpoint *remote)
{
    if (e->settings.abort != NULL)
        e->settings.abort(e->settings.event_ctx, zone, local, remote);
}

size_t ao_engine_reset(struct ao_engine *e, struct gh_now now, const char *session,
                       const struct gh_addr *remote)
{
    size_t count = 0;

    for (size_t i = 0; i <= e->bucket_mask; i++) {
        for (struct ao_connection *c = e->buckets[i]; c != NULL; c = c->next) {
            if (c->state == AO_STATE_CLOSED || !wanted(session, remote, c->session, &c->remote))
                continue;
            c->reset_wanted = true;
            count++;
            ask_for_abort(e, c->zone, &c->local, &c->remote);
            ao_tell(e, now, AO_EVENT_CONNECTION_RESET, c->session, c, "reset asked for");
        }
    }
    for (size_t i = 0; i < AO_ORPHANS; i++) {
        struct ao_orphan *o = &e->orphans[i];

        if (o->session != NULL && wanted(session, remote, o->session, &o->remote)) {
            o->reset_wanted = true;
            count++;
            ask_for_abort(e, o->zone, &o->local, &o->remote);
        }
    }
    return count;
}

static void clear_session(struct ao_session *s)
{
    memset(s->counters, 0, sizeof(s->counters));
    free(s->refusals);
    s->refusals = NULL;
    memset(s->refusal_held, 0, sizeof(s->refusal_held));
    for (size_t i = 0; i < s->key_count; i++)
        s->keys[i] = (struct ao_key_counters){.number = s->keys[i].number};
    s->packets_in = s->packets_out = 0;
}

bool ao_engine_clear(struct ao_engine *e, const char *session)
{
    bool found = session == NULL;

    for (size_t i = 0; i < e->session_count; i++) {
        if (session == NULL || strcmp(e->sessions[i].policy.name, session) == 0) {
            clear_session(&e->sessions[i]);
            found = true;
        }
    }
    for (struct ao_session *s = e->flows; s != NULL; s = s->next_flow) {
        if (session == NULL || strcmp(s->policy.name, session) == 0) {
            clear_session(s);
            found = true;
        }
    }
    if (found && session == NULL)
        memset(e->counters, 0, sizeof(e->counters));
    for (size_t i = 0; found && i <= e->bucket_mask; i++) {
        for (struct ao_connection *c = e->buckets[i]; c != NULL; c = c->next) {
            if (session == NULL || strcmp(c->session->policy.name, session) == 0)
                memset(c->counters, 0, sizeof(c->counters));
        }
    }
    return found;
}
