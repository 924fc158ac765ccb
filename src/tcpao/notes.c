/* Counters, the latest refusals, and the events that tell of them. */
#include "tcpao/engine_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcpao/diagnose.h"

const char *ao_counter_name(unsigned counter)
{
    static const char *const names[] = {
#define AO_NAME_OF(id, name, text) [AO_COUNT_##id] = name,
        AO_COUNTERS_MORE(AO_NAME_OF)
#undef AO_NAME_OF
    };

    if (counter < TCPAO_RESULT_COUNT)
        return tcpao_result_name((enum tcpao_result)counter);
    return counter < AO_COUNTERS ? names[counter] : "?";
}

const char *ao_counter_text(unsigned counter)
{
    static const char *const texts[] = {
#define AO_TEXT_OF(id, name, text) [AO_COUNT_##id] = text,
        AO_COUNTERS_MORE(AO_TEXT_OF)
#undef AO_TEXT_OF
    };

    if (counter < TCPAO_RESULT_COUNT)
        return tcpao_result_text((enum tcpao_result)counter);
    return counter < AO_COUNTERS ? texts[counter] : "?";
}

const char *ao_event_name(enum ao_event_kind kind)
{
    static const char *const names[] = {
#define AO_NAME_OF(id, name) [AO_EVENT_##id] = name,
        AO_EVENTS(AO_NAME_OF)
#undef AO_NAME_OF
    };

    return (unsigned)kind < AO_EVENT_COUNT ? names[kind] : "?";
}

const char *ao_state_name(enum ao_state state)
{
    static const char *const names[] = {
#define AO_NAME_OF(id, name) [AO_STATE_##id] = name,
        AO_STATES(AO_NAME_OF)
#undef AO_NAME_OF
    };

    return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

void ao_count(struct ao_engine *e, struct ao_session *s, struct ao_connection *c, unsigned counter)
{
    struct ao_zone *zone;

    e->counters[counter]++;
    if (s != NULL)
        s->counters[counter]++;
    zone = s != NULL && s->own_keys ? ao_zone_look(e, s->policy.zone) : NULL;
    if (zone != NULL)
        zone->counters[counter]++;
    if (c != NULL)
        c->counters[counter]++;
}

struct ao_key_counters *ao_key_counters(struct ao_session *s, uint32_t key_number)
{
    struct ao_key_counters *k = ao_counters_at(s->keys, s->key_count, key_number);

    if (k == NULL && s->policy.negotiated &&
        ao_counters_follow(&s->keys, &s->key_count, s->policy.chain))
        k = ao_counters_at(s->keys, s->key_count, key_number);
    return k;
}

static void tell(struct ao_engine *e, struct ao_event *event, struct ao_session *s,
                 struct ao_connection *c)
{
    if (s != NULL) {
        event->session = s->policy.name;
        s->last_event_wall = event->now.wall;
        snprintf(s->last_event, sizeof(s->last_event), "%s: %.130s", ao_event_name(event->kind),
                 event->text);
        if (c != NULL) {
            c->last_event_wall = event->now.wall;
            memcpy(c->last_event, s->last_event, sizeof(c->last_event));
        }
    }
    if (e->settings.event != NULL)
        e->settings.event(e->settings.event_ctx, event);
}

void ao_tell(struct ao_engine *e, struct gh_now now, enum ao_event_kind kind, struct ao_session *s,
             struct ao_connection *c, const char *fmt, ...)
{
    struct ao_event event = {.kind = kind, .now = now, .session = "", .counter = -1};
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(event.text, sizeof(event.text), fmt, ap);
    va_end(ap);
    if (c != NULL) {
        event.has_endpoints = true;
        event.local = c->local;
        event.remote = c->remote;
    }
    tell(e, &event, s, c);
}

/* A wrong MAC looks the same whatever its cause: see which of the usual suspects fits. */
static void diagnose(const struct ao_transit *t, char *text, size_t len)
{
    struct tcpao_conn_state state = {0};
    bool syn = (t->tcp.flags & (GH_TCP_SYN | GH_TCP_ACK)) == GH_TCP_SYN;
    bool syn_ack = (t->tcp.flags & GH_TCP_SYN) != 0 && !syn;
    struct ao_specimen specimen = {.chain = t->session->policy.chain,
                                   .src = t->remote,
                                   .dst = t->local,
                                   .from_peer = true,
                                   .hdr = t->hdr,
                                   .hdr_len = t->tcp.header_len,
                                   .payload = t->payload,
                                   .payload_len = t->tcp.payload_len};
    const struct ao_suspects none = {0};

    if (t->connection != NULL && t->connection->own_keys)
        specimen.chain = t->connection->chain;
    if (t->connection != NULL)
        tcpao_conn_export(t->connection->conn, &state);
    if (syn || syn_ack) {
        specimen.src_isn = t->tcp.seq;
        specimen.dst_isn = syn ? 0 : t->tcp.ack - 1;
    } else if (state.local_isn_known && state.remote_isn_known) {
        specimen.src_isn = state.remote_isn;
        specimen.dst_isn = state.local_isn;
        specimen.sne = (uint32_t)(state.rcv.highest >> 32);
    } else {
        return;
    }
    ao_diagnose(&specimen, &none, text, len);
}

void ao_hold(struct ao_transit *t)
{
    t->result->verdict = AO_HOLD;
    t->result->counter = AO_COUNT_HELD;
    t->result->session = t->session->policy.name;
    ao_count(t->engine, t->session, t->connection, AO_COUNT_HELD);
}

static bool mac_trouble(unsigned counter)
{
    return counter == TCPAO_BAD_MAC || counter == TCPAO_BAD_LENGTH ||
           counter == TCPAO_UNKNOWN_KEYID;
}

static void remember_refusal(const struct ao_transit *t, struct ao_refusal *r)
{
    r->seen = true;
    r->wall = t->now.wall;
    r->way = t->packet->way;
    r->local = t->local;
    r->remote = t->remote;
    r->option = t->option;
    r->tcp_flags = t->tcp.flags;
}

/* Refusals are for everyone to cause, on as many sessions as there are: neither diagnoses nor the
 * log may take more than their share. */
static bool may_tell(struct ao_engine *e, const struct ao_session *s, unsigned counter,
                     uint64_t now_ms)
{
    if (s->refusal_event_ms[counter] != 0 &&
        now_ms - s->refusal_event_ms[counter] < AO_REFUSAL_EVENT_MS)
        return false;
    if (e->told_ms < now_ms)
        e->told_ms = now_ms;
    if (e->told_ms - now_ms >= (uint64_t)AO_TOLD_BURST * AO_TOLD_MS)
        return false;
    e->told_ms += AO_TOLD_MS;
    return true;
}

void ao_refuse(struct ao_transit *t, unsigned counter)
{
    struct ao_engine *e = t->engine;
    struct ao_session *s = t->session;
    struct ao_event event = {.kind = counter == AO_COUNT_NO_CONNECTION ? AO_EVENT_NO_HANDSHAKE
                                                                       : AO_EVENT_SEGMENT_REFUSED,
                             .now = t->now,
                             .counter = (int)counter,
                             .has_endpoints = true,
                             .local = t->local,
                             .remote = t->remote};
    struct ao_refusal *r, unkept;
    char held[48] = "", ids[64] = "";

    t->result->verdict = AO_DROP;
    t->result->counter = (int)counter;
    ao_count(e, s, t->connection, counter);
    if (s == NULL)
        return;
    if (s->refusals == NULL)
        s->refusals = calloc(AO_COUNTERS, sizeof(*s->refusals));
    r = s->refusals != NULL ? &s->refusals[counter] : &unkept;
    remember_refusal(t, r);
    if (!may_tell(e, s, counter, t->now.mono_ms)) {
        s->refusal_held[counter]++;
        return;
    }
    r->diagnosis[0] = '\0';
    if (t->packet->way == AO_IN && mac_trouble(counter))
        diagnose(t, r->diagnosis, sizeof(r->diagnosis));
    if (s->refusal_held[counter] > 0)
        snprintf(held, sizeof(held), " (and %llu more)",
                 (unsigned long long)s->refusal_held[counter]);
    if (t->option.ao)
        snprintf(ids, sizeof(ids), ", KeyID %u RNextKeyID %u", t->option.keyid, t->option.rnext);
    s->refusal_event_ms[counter] = t->now.mono_ms;
    s->refusal_held[counter] = 0;
    snprintf(event.text, sizeof(event.text), "%s segment dropped: %s%s%s%s%.120s",
             t->packet->way == AO_IN ? "incoming" : "outgoing", ao_counter_text(counter), ids, held,
             r->diagnosis[0] != '\0' ? ": " : "", r->diagnosis);
    tell(e, &event, s, t->connection);
}

void ao_refused_elsewhere(struct ao_engine *e, struct gh_now now, struct ao_session *s,
                          unsigned counter, uint64_t more)
{
    struct ao_event event = {.kind = AO_EVENT_SEGMENT_REFUSED, .now = now, .counter = (int)counter};

    if (s->refusals == NULL)
        s->refusals = calloc(AO_COUNTERS, sizeof(*s->refusals));
    if (s->refusals != NULL)
        s->refusals[counter] = (struct ao_refusal){.seen = true, .wall = now.wall, .way = AO_IN};
    s->refusal_held[counter] += more;
    if (!may_tell(e, s, counter, now.mono_ms))
        return;
    s->refusal_event_ms[counter] = now.mono_ms;
    snprintf(event.text, sizeof(event.text), "the kernel dropped %llu incoming segment%s: %s",
             (unsigned long long)s->refusal_held[counter], s->refusal_held[counter] == 1 ? "" : "s",
             ao_counter_text(counter));
    s->refusal_held[counter] = 0;
    tell(e, &event, s, NULL);
}

void ao_set_state(struct ao_engine *e, struct gh_now now, struct ao_connection *c,
                  enum ao_state state)
{
    bool first = c->since == 0 || c->state != state;

    if (!first)
        return;
    c->state = state;
    c->since = now.wall;
    switch (state) {
    case AO_STATE_SYN_SENT:
    case AO_STATE_SYN_RECEIVED:
        ao_tell(e, now, AO_EVENT_CONNECTION_OPENING, c->session, c, "%s, %s",
                state == AO_STATE_SYN_SENT ? "active open" : "passive open",
                c->without_ao ? "without TCP-AO" : "under TCP-AO");
        break;
    case AO_STATE_ESTABLISHED:
        ao_tell(e, now, AO_EVENT_CONNECTION_UP, c->session, c, "%s",
                c->without_ao   ? "WITHOUT protection: the peer came without TCP-AO"
                : c->mismatched ? "WITHOUT protection: wrong MACs are accepted by configuration"
                                : "protected by TCP-AO");
        break;
    case AO_STATE_CLOSED:
        ao_tell(e, now, AO_EVENT_CONNECTION_CLOSED, c->session, c, "connection closed");
        break;
    case AO_STATE_CLOSING:
        break;
    }
}

void ao_note_keys(struct ao_engine *e, struct gh_now now, struct ao_connection *c)
{
    struct tcpao_conn_state s;

    tcpao_conn_export(c->conn, &s);
    if (!s.current_known || !s.rnext_known)
        return;
    if (c->keys_known && (c->seen_current != s.current_key || c->seen_rnext != s.rnext_key)) {
        ao_tell(e, now, AO_EVENT_KEY_CHANGED, c->session, c,
                "sending with key %u, asking the peer for key %u", s.current_key, s.rnext_key);
        if (!c->leaving_known) {
            c->leaving_known = true;
            c->leaving = c->seen_current != s.current_key ? c->seen_current : c->seen_rnext;
        }
    }
    if (c->leaving_known && c->leaving != s.current_key && c->leaving != s.rnext_key &&
        s.last_recv_known && s.last_recv_key != c->leaving) {
        ao_tell(e, now, AO_EVENT_KEY_DROPPED, c->session, c, "both directions have left key %u",
                c->leaving);
        c->leaving_known = false;
    }
    c->keys_known = true;
    c->seen_current = s.current_key;
    c->seen_rnext = s.rnext_key;
}
