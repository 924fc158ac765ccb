/*
 * Silent connections: is there still a socket behind them?
 *
 * A stack may give a connection up without a segment on the wire: its timers ran out, or its FIN
 * had to wait for data that nobody acknowledged. So whoever is silent for a while is asked about,
 * a few at a time, and the table follows the answer.
 */
#include "tcpao/engine_priv.h"

static bool to_be_asked(const struct ao_connection *c, struct gh_now now)
{
    return !c->in_kernel && c->state != AO_STATE_CLOSED &&
           now.mono_ms - c->last_in_ms >= AO_SILENT_MS &&
           (c->asked_ms == 0 || now.mono_ms - c->asked_ms >= AO_ASK_AGAIN_MS);
}

/* Goes on where the last sweep came to its limit, so that everybody's turn comes. */
void ao_silence_sweep(struct ao_engine *e, struct gh_now now)
{
    unsigned asked = 0;

    if (e->settings.lookup == NULL)
        return;
    for (size_t i = 0; i <= e->bucket_mask && asked < AO_ASK_MAX; i++) {
        for (struct ao_connection *c = e->buckets[e->ask_next]; c != NULL; c = c->next) {
            if (!to_be_asked(c, now))
                continue;
            c->asked_ms = now.mono_ms;
            asked++;
            e->settings.lookup(e->settings.event_ctx, c->zone, &c->local, &c->remote);
        }
        e->ask_next = (e->ask_next + 1) & e->bucket_mask;
    }
}

/* A segment since the question means that the answer may be about the life before. */
static bool answer_counts(const struct ao_connection *c)
{
    return c != NULL && c->state != AO_STATE_CLOSED && c->asked_ms != 0 && c->last_ms < c->asked_ms;
}

void ao_engine_local_gone(struct ao_engine *e, struct gh_now now, uint16_t zone,
                          const struct tcpao_endpoint *local, const struct tcpao_endpoint *remote,
                          bool closing)
{
    struct ao_connection *c = ao_table_find(e, zone, local, remote);

    if (!answer_counts(c))
        return;
    if (closing) {
        ao_set_state(e, now, c, AO_STATE_CLOSING);
    } else {
        c->state = AO_STATE_CLOSED;
        c->since = now.wall;
        c->last_ms = now.mono_ms;
        ao_tell(e, now, AO_EVENT_CONNECTION_CLOSED, c->session, c,
                "connection closed: the local stack has it no more");
    }
    ao_saved_write(e, c);
}
