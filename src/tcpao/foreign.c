/*
 * Connections that the kernel's own TCP-AO carries: what the kernel backend says of them stands in
 * the table beside the engine's, so that show, explain and monitor are the same for both.
 *
 * They match no packet (one that comes is refused), are not saved, and are forgotten when nobody
 * speaks of them any more.
 */
#include "tcpao/engine_priv.h"

/* What came since the last word. A connection that counts from the beginning again is another. */
static uint64_t growth(uint64_t before, uint64_t after)
{
    return after >= before ? after - before : after;
}

static void take_counters(struct ao_engine *e, struct gh_now now, struct ao_connection *c,
                          const struct ao_foreign *f)
{
    struct ao_session *s = c->session;
    uint64_t in = growth(c->segments_in, f->segments_in);
    uint64_t out = growth(c->segments_out, f->segments_out);

    for (size_t i = 0; i < AO_COUNTERS; i++) {
        uint64_t more = growth(c->counters[i], f->counters[i]);

        e->counters[i] += more;
        s->counters[i] += more;
        c->counters[i] = f->counters[i];
    }
    s->packets_in += in;
    s->packets_out += out;
    if (in > 0)
        s->last_in_wall = now.wall;
    if (out > 0)
        s->last_out_wall = now.wall;
    c->segments_in = f->segments_in;
    c->segments_out = f->segments_out;
    c->octets_in = f->octets_in;
    c->octets_out = f->octets_out;
}

bool ao_engine_foreign(struct ao_engine *e, struct gh_now now, const struct ao_foreign *f)
{
    struct ao_session *s = ao_session_by_name(e->sessions, e->session_count, f->session);
    struct ao_connection *c = ao_table_find(e, f->zone, &f->local, &f->remote);

    if (s == NULL || s->policy.zone != f->zone)
        return false;
    if (c != NULL && (!c->in_kernel || c->session != s)) {
        ao_table_remove(e, c);
        c = NULL;
    }
    if (c == NULL && f->state == AO_STATE_CLOSED)
        return true;
    if (c == NULL) {
        c = ao_table_add(e, now, s, &f->local, &f->remote);
        if (c == NULL)
            return false;
        c->in_kernel = true;
        c->since = 0;
    }
    c->active = f->active;
    c->last_ms = c->last_in_ms = now.mono_ms;
    take_counters(e, now, c, f);
    tcpao_conn_import(c->conn, &f->conn);
    ao_set_state(e, now, c, f->state);
    if (f->state == AO_STATE_CLOSED)
        ao_table_remove(e, c);
    else
        ao_note_keys(e, now, c);
    return true;
}

void ao_engine_foreign_refusals(struct ao_engine *e, struct gh_now now, const char *session,
                                unsigned counter, uint64_t more)
{
    struct ao_session *s = ao_session_by_name(e->sessions, e->session_count, session);

    if (s == NULL || counter >= AO_COUNTERS || more == 0)
        return;
    e->counters[counter] += more;
    s->counters[counter] += more;
    ao_refused_elsewhere(e, now, s, counter, more);
}

void ao_engine_foreign_use(struct ao_engine *e, const char *session,
                           const struct ao_key_counters *more)
{
    struct ao_session *s = ao_session_by_name(e->sessions, e->session_count, session);
    struct ao_key_counters *k = s != NULL ? ao_key_counters(s, more->number) : NULL;

    if (k == NULL)
        return;
    k->good_in += more->good_in;
    k->bad_in += more->bad_in;
    k->out += more->out;
    k->octets += more->octets;
}

void ao_engine_set_foreign(struct ao_engine *e, const char *session, enum ao_foreign_keys keys)
{
    struct ao_session *s = ao_session_by_name(e->sessions, e->session_count, session);

    if (s != NULL)
        s->foreign = keys;
}

struct tcpao_chain *ao_engine_chain(const struct ao_engine *e, const char *session)
{
    const struct ao_session *s = ao_session_by_name(e->sessions, e->session_count, session);

    return s != NULL ? s->policy.chain : NULL;
}
