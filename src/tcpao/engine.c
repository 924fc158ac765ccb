/* The engine's life: policies come and go, time passes, packets are dispatched. */
#include "tcpao/engine_priv.h"

#include <stdlib.h>
#include <string.h>

static void session_clear(struct ao_session *s)
{
    free((void *)(uintptr_t)s->policy.name);
    free((void *)(uintptr_t)s->policy.chain_name);
    free((void *)(uintptr_t)s->policy.zone_name);
    free((void *)(uintptr_t)s->policy.warn_before);
    tcpao_chain_put(s->policy.chain);
}

static void sessions_free(struct ao_session *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        session_clear(&list[i]);
    free(list);
}

/* accept-mismatch of a session is Cisco's flag on each of its keys. */
static struct tcpao_chain *chain_accepting_mismatch(const struct tcpao_chain *chain)
{
    struct tcpao_chain *copy = tcpao_chain_new(tcpao_chain_tolerance(chain));
    size_t n = tcpao_chain_count(chain);

    for (size_t i = 0; copy != NULL && i < n; i++) {
        struct tcpao_mkt mkt = *tcpao_chain_at(chain, i);

        mkt.accept_mismatch = true;
        if (tcpao_chain_add(copy, &mkt, NULL) != TCPAO_CHAIN_OK) {
            tcpao_chain_put(copy);
            copy = NULL;
        }
    }
    return copy;
}

static uint8_t largest_option(const struct tcpao_chain *chain)
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

static bool session_init(struct ao_session *s, const struct ao_policy *p)
{
    int64_t *warn = calloc(p->warn_count + 1, sizeof(*warn));

    s->policy = *p;
    s->policy.name = copy_name(p->name);
    s->policy.chain_name = copy_name(p->chain_name);
    s->policy.zone_name = copy_name(p->zone_name);
    s->policy.chain = p->mode == AO_ACCEPT_MISMATCH ? chain_accepting_mismatch(p->chain)
                                                    : tcpao_chain_get(p->chain);
    s->policy.warn_before = warn;
    s->zone_id = ao_zone_id(p->zone_name);
    if (warn == NULL || s->policy.name == NULL || s->policy.chain_name == NULL ||
        s->policy.zone_name == NULL || s->policy.chain == NULL)
        return false;
    if (p->warn_count > 0)
        memcpy(warn, p->warn_before, p->warn_count * sizeof(*warn));
    s->option_space = largest_option(s->policy.chain);
    return true;
}

static struct ao_session *sessions_copy(const struct ao_policy *list, size_t count)
{
    struct ao_session *copy = calloc(count + 1, sizeof(*copy));

    for (size_t i = 0; copy != NULL && i < count; i++) {
        if (!session_init(&copy[i], &list[i])) {
            sessions_free(copy, i + 1);
            return NULL;
        }
    }
    return copy;
}

/* Counters of a session of the same name go on, key by key. */
static void carry_counters(struct ao_session *to, struct ao_session *from)
{
    size_t n = tcpao_chain_count(from->policy.chain);

    memcpy(to->counters, from->counters, sizeof(to->counters));
    memcpy(to->refusals, from->refusals, sizeof(to->refusals));
    memcpy(to->refusal_event_ms, from->refusal_event_ms, sizeof(to->refusal_event_ms));
    memcpy(to->last_event, from->last_event, sizeof(to->last_event));
    to->packets_in = from->packets_in;
    to->packets_out = from->packets_out;
    to->last_in_wall = from->last_in_wall;
    to->last_out_wall = from->last_out_wall;
    to->last_event_wall = from->last_event_wall;
    for (size_t i = 0; i < n; i++) {
        struct ao_key_counters *k =
            ao_key_counters(to, tcpao_chain_at(from->policy.chain, i)->number);

        if (k != NULL)
            *k = from->keys[i];
    }
}

static struct ao_session *session_by_name(struct ao_session *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].policy.name, name) == 0)
            return &list[i];
    }
    return NULL;
}

static const struct ao_session *session_in_zone(const struct ao_engine *e, uint64_t id)
{
    for (size_t i = 0; i < e->session_count; i++) {
        if (e->sessions[i].zone_id == id)
            return &e->sessions[i];
    }
    return NULL;
}

/* What a laxer policy let in does not outlive it: neither a connection without the option, nor an
 * old chain whose keys accept wrong MACs. */
static bool outlived(const struct ao_connection *c, const struct ao_session *s)
{
    if (c->without_ao)
        return s->policy.mode != AO_ALLOW_WITHOUT;
    return c->session->policy.mode == AO_ACCEPT_MISMATCH && s->policy.mode != AO_ACCEPT_MISMATCH &&
           strcmp(c->chain_name, s->policy.chain_name) != 0;
}

/* A SYN that waits for its answer was verified by the session's chain. */
static void take_chain(struct ao_connection *c, struct tcpao_chain *chain)
{
    if (c->pending != NULL)
        tcpao_conn_set_chain(c->pending, chain);
    if (c->chain == chain)
        return;
    tcpao_conn_set_chain(c->conn, chain);
    tcpao_chain_put(c->chain);
    c->chain = tcpao_chain_get(chain);
}

/* Gives each connection its new session; those that none covers any more are forgotten. A
 * connection keeps the chain that it has when the session now names another one. */
static void rebind_connections(struct ao_engine *e, struct gh_now now)
{
    for (size_t i = 0; i <= e->bucket_mask; i++) {
        struct ao_connection *next, *c = e->buckets[i];

        for (; c != NULL; c = next) {
            struct ao_session *s;

            next = c->next;
            s = ao_session_find(e, c->zone, &c->local, &c->remote);
            if (s == NULL || outlived(c, s)) {
                ao_table_remove(e, c);
                continue;
            }
            c->session->connections--;
            s->connections++;
            c->session = s;
            if (strcmp(c->chain_name, s->policy.chain_name) == 0) {
                take_chain(c, s->policy.chain);
            } else {
                tcpao_conn_free(c->pending);
                c->pending = NULL;
            }
            tcpao_conn_tick(c->conn, now.wall);
            ao_note_keys(e, now, c);
            ao_saved_write(e, c);
        }
    }
}

/* Zones may be numbered anew by a reload; their names tell which is which. The connections of a
 * zone that went are forgotten first: another zone may have its number now. */
static void renumber_zones(struct ao_engine *e)
{
    for (size_t i = 0; i <= e->bucket_mask; i++) {
        for (struct ao_connection *next, *c = e->buckets[i]; c != NULL; c = next) {
            next = c->next;
            if (session_in_zone(e, c->session->zone_id) == NULL)
                ao_table_remove(e, c);
        }
    }
    for (size_t i = 0; i <= e->bucket_mask; i++) {
        for (struct ao_connection *c = e->buckets[i]; c != NULL; c = c->next)
            c->zone = session_in_zone(e, c->session->zone_id)->policy.zone;
    }
    ao_table_rehash(e);
}

static bool watch_chains(struct ao_engine *e)
{
    struct ao_chain_watch *list = calloc(e->session_count + 1, sizeof(*list));
    size_t n = 0;

    if (list == NULL)
        return false;
    for (size_t i = 0; i < e->session_count; i++) {
        struct ao_session *s = &e->sessions[i];
        bool known = false;

        for (size_t k = 0; k < n && !known; k++)
            known = strcmp(list[k].session->policy.chain_name, s->policy.chain_name) == 0;
        if (known)
            continue;
        list[n++] = (struct ao_chain_watch){
            .session = s, .chain = s->policy.chain, .expiry = tcpao_chain_expiry(s->policy.chain)};
    }
    free(e->watches);
    e->watches = list;
    e->watch_count = n;
    return true;
}

bool ao_engine_set_policies(struct ao_engine *e, struct gh_now now, const struct ao_policy *list,
                            size_t count)
{
    struct ao_session *old = e->sessions, *fresh = sessions_copy(list, count);
    size_t old_count = e->session_count;

    if (fresh == NULL)
        return false;
    e->sessions = fresh;
    e->session_count = count;
    if (!ao_sessions_index(e) || !watch_chains(e)) {
        e->sessions = old;
        e->session_count = old_count;
        sessions_free(fresh, count);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct ao_session *before = session_by_name(old, old_count, fresh[i].policy.name);

        if (before != NULL)
            carry_counters(&fresh[i], before);
    }
    renumber_zones(e);
    memset(e->orphans, 0, sizeof(e->orphans));
    rebind_connections(e, now);
    sessions_free(old, old_count);
    if (!e->restored) {
        e->restored = true;
        ao_saved_restore(e, now);
    }
    e->next_change = now.wall;
    ao_engine_tick(e, now);
    return true;
}

struct ao_engine *ao_engine_new(const struct ao_engine_settings *settings)
{
    struct ao_engine *e = calloc(1, sizeof(*e));
    size_t buckets = 64;

    if (e == NULL)
        return NULL;
    e->settings = *settings;
    while (buckets < settings->max_connections)
        buckets *= 2;
    e->buckets = calloc(buckets, sizeof(struct ao_connection *));
    e->bucket_mask = buckets - 1;
    e->free_slots = calloc(settings->max_connections, sizeof(uint32_t));
    if (e->buckets == NULL || e->free_slots == NULL || !ao_saved_setup(e)) {
        free(e->buckets);
        free(e->free_slots);
        free(e);
        return NULL;
    }
    for (uint32_t i = settings->max_connections; i-- > 0;)
        e->free_slots[e->free_slot_count++] = i;
    e->next_change = TCPAO_TIME_MAX;
    return e;
}

/* The memory keeps its records: the next instance takes the connections over. */
void ao_engine_free(struct ao_engine *e)
{
    if (e == NULL)
        return;
    e->settings.memory = NULL;
    ao_table_clear(e);
    sessions_free(e->sessions, e->session_count);
    free(e->host_index);
    free(e->prefixes);
    free(e->watches);
    free(e->buckets);
    free(e->free_slots);
    free(e);
}

static bool parse_tcp(struct ao_transit *t)
{
    const uint8_t *l4 = t->packet->data + t->ip.header_len;

    if (gh_tcp_parse(l4, t->ip.l4_len, &t->tcp) != GH_IP_OK)
        return false;
    t->hdr = l4;
    t->payload = l4 + t->tcp.header_len;
    if (t->packet->way == AO_IN) {
        t->local = ao_endpoint_of(&t->ip.dst, t->tcp.dst_port);
        t->remote = ao_endpoint_of(&t->ip.src, t->tcp.src_port);
    } else {
        t->local = ao_endpoint_of(&t->ip.src, t->tcp.src_port);
        t->remote = ao_endpoint_of(&t->ip.dst, t->tcp.dst_port);
    }
    return true;
}

static void note_traffic(struct ao_transit *t)
{
    if (t->packet->way == AO_IN) {
        t->session->packets_in++;
        t->session->last_in_wall = t->now.wall;
    } else {
        t->session->packets_out++;
        t->session->last_out_wall = t->now.wall;
    }
}

static void tcp_packet(struct ao_transit *t)
{
    enum tcpao_result r;

    t->connection = ao_table_find(t->engine, t->packet->zone, &t->local, &t->remote);
    t->session = t->connection != NULL
                     ? t->connection->session
                     : ao_session_find(t->engine, t->packet->zone, &t->local, &t->remote);
    if (t->session == NULL) {
        /* The rules were wider than the policies. Or they are older and number the queues in
         * another way: then the segment belongs to a session that cannot be told for sure. */
        if (ao_session_elsewhere(t->engine, &t->local, &t->remote))
            ao_refuse(t, AO_COUNT_NO_CONNECTION);
        else
            t->result->verdict = AO_PASS;
        return;
    }
    note_traffic(t);
    r = tcpao_option_find(t->hdr, t->tcp.header_len, &t->option);
    if (r != TCPAO_OK)
        ao_refuse(t, r);
    else if (t->packet->way == AO_IN)
        ao_incoming(t);
    else
        ao_outgoing(t);
}

void ao_engine_packet(struct ao_engine *e, struct gh_now now, const struct ao_packet *packet,
                      struct ao_result *result)
{
    struct ao_transit t = {.engine = e, .now = now, .packet = packet, .result = result};
    bool icmp;

    result->verdict = AO_DROP;
    result->counter = -1;
    result->head_len = 0;
    result->tail = 0;
    if (gh_ip_parse(packet->data, packet->len, &t.ip) != GH_IP_OK) {
        ao_refuse(&t, AO_COUNT_NOT_TCP);
        return;
    }
    icmp = t.ip.protocol == (t.ip.version == 4 ? GH_IP_ICMP : GH_IP_ICMPV6);
    if (t.ip.fragment)
        ao_refuse(&t, AO_COUNT_FRAGMENT);
    else if (icmp)
        ao_icmp(&t);
    else if (t.ip.protocol != GH_IP_TCP || !parse_tcp(&t))
        ao_refuse(&t, AO_COUNT_NOT_TCP);
    else
        tcp_packet(&t);
}

/* ---- Time ----------------------------------------------------------------------------------- */

static void watch_expiry(struct ao_engine *e, struct gh_now now, struct ao_chain_watch *w)
{
    const struct ao_policy *p = &w->session->policy;
    struct ao_session *s = session_by_name(e->sessions, e->session_count, p->name);
    char text[32];

    if (w->expiry == TCPAO_TIME_MAX || w->expired_told)
        return;
    if (w->expiry <= now.wall) {
        w->expired_told = true;
        ao_tell(e, now, AO_EVENT_CHAIN_EXPIRED, s, NULL,
                "key chain %s has no key left to send with since %s: its sessions are closed "
                "(add a key)",
                p->chain_name, gh_time_format(w->expiry, text, sizeof(text)));
        return;
    }
    if (w->warned < p->warn_count && w->expiry - now.wall <= p->warn_before[w->warned]) {
        while (w->warned < p->warn_count && w->expiry - now.wall <= p->warn_before[w->warned])
            w->warned++;
        ao_tell(e, now, AO_EVENT_CHAIN_EXPIRING, s, NULL,
                "the last key of key chain %s ends at %s: add a key before then", p->chain_name,
                gh_time_format(w->expiry, text, sizeof(text)));
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The next wall time at which a key moves or a warning is due. */
static int64_t next_change(const struct ao_engine *e, int64_t now)
{
    int64_t next = TCPAO_TIME_MAX;

    for (size_t i = 0; i < e->watch_count; i++) {
        const struct ao_chain_watch *w = &e->watches[i];
        const struct ao_policy *p = &w->session->policy;

        next = earlier(next, tcpao_chain_next_change(w->chain, now));
        if (w->expiry == TCPAO_TIME_MAX || w->expired_told)
            continue;
        next = earlier(next, w->expiry);
        if (w->warned < p->warn_count)
            next = earlier(next, w->expiry - p->warn_before[w->warned]);
    }
    return next;
}

static void tick_connections(struct ao_engine *e, struct gh_now now)
{
    for (size_t i = 0; i <= e->bucket_mask; i++) {
        for (struct ao_connection *c = e->buckets[i]; c != NULL; c = c->next) {
            if (!tcpao_conn_tick(c->conn, now.wall))
                continue;
            ao_note_keys(e, now, c);
            ao_saved_write(e, c);
        }
    }
}

void ao_engine_tick(struct ao_engine *e, struct gh_now now)
{
    if (now.wall >= e->next_change) {
        for (size_t i = 0; i < e->watch_count; i++)
            watch_expiry(e, now, &e->watches[i]);
        tick_connections(e, now);
        e->next_change = next_change(e, now.wall);
    }
    if (now.mono_ms >= e->next_sweep_ms) {
        ao_table_sweep(e, now);
        ao_silence_sweep(e, now);
        e->next_sweep_ms = now.mono_ms + AO_SWEEP_MS;
    }
}

uint64_t ao_engine_next_deadline(const struct ao_engine *e, struct gh_now now)
{
    int64_t wait;

    if (e->next_change == TCPAO_TIME_MAX)
        return e->next_sweep_ms;
    wait = e->next_change > now.wall ? e->next_change - now.wall : 0;
    if (wait > AO_SWEEP_MS / 1000)
        return e->next_sweep_ms;
    return now.mono_ms + (uint64_t)wait * 1000 < e->next_sweep_ms
               ? now.mono_ms + (uint64_t)wait * 1000
               : e->next_sweep_ms;
}
