/* The engine's life: policies come and go, time passes, packets are dispatched. */
#include "tcpao/engine_priv.h"

#include <stdlib.h>
#include <string.h>

static void sessions_free(struct ao_session *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ao_session_clear(&list[i]);
    free(list);
}

static struct ao_session *sessions_copy(const struct ao_policy *list, size_t count)
{
    struct ao_session *copy = calloc(count + 1, sizeof(*copy));

    for (size_t i = 0; copy != NULL && i < count; i++) {
        if (!ao_session_init(&copy[i], &list[i])) {
            sessions_free(copy, i + 1);
            return NULL;
        }
    }
    return copy;
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
    if (c->pending != NULL && !c->pending_own) {
        tcpao_conn_set_chain(c->pending, chain);
        tcpao_chain_put(c->pending_chain);
        c->pending_chain = tcpao_chain_get(chain);
    }
    if (c->chain == chain)
        return;
    tcpao_conn_set_chain(c->conn, chain);
    tcpao_chain_put(c->chain);
    c->chain = tcpao_chain_get(chain);
}

/* The kernel's connections are those of the session that its backend names. */
static struct ao_session *successor_of(const struct ao_engine *e, const struct ao_connection *c)
{
    if (!c->in_kernel)
        return ao_policy_find(e, c->zone, &c->local, &c->remote);
    return ao_session_by_name(e->sessions, e->session_count, c->session->policy.name);
}

/* Gives each connection its new session; those that none covers any more are forgotten. A
 * connection keeps the chain that it has when the session now names another one. Sockets' flows are
 * none of this. */
static void rebind_connections(struct ao_engine *e, struct gh_now now)
{
    for (size_t i = 0; i <= e->bucket_mask; i++) {
        struct ao_connection *next, *c = e->buckets[i];

        for (; c != NULL; c = next) {
            struct ao_session *s;

            next = c->next;
            if (c->session->own_keys)
                continue;
            s = successor_of(e, c);
            if (s == NULL || outlived(c, s)) {
                ao_table_remove(e, c);
                continue;
            }
            ao_table_rehome(e, c, s);
            c->accept_icmp = s->policy.accept_icmp;
            if (strcmp(c->chain_name, s->policy.chain_name) == 0) {
                take_chain(c, s->policy.chain);
            } else if (!c->pending_own) {
                ao_pending_drop(c);
            }
            if (!c->in_kernel)
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
            if (!c->session->own_keys && ao_policy_in_zone(e, c->session->zone_id) == NULL)
                ao_table_remove(e, c);
        }
    }
    for (size_t i = 0; i <= e->bucket_mask; i++) {
        for (struct ao_connection *c = e->buckets[i]; c != NULL; c = c->next) {
            if (!c->session->own_keys)
                c->zone = ao_policy_in_zone(e, c->session->zone_id)->policy.zone;
        }
    }
    ao_flows_renumber(e);
    ao_table_rehash(e);
}

static void forget_orphans(struct ao_engine *e)
{
    for (size_t i = 0; i < AO_ORPHANS; i++) {
        if (e->orphans[i].session != NULL && !e->orphans[i].session->own_keys)
            e->orphans[i].session = NULL;
    }
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
        struct ao_session *before = ao_session_by_name(old, old_count, fresh[i].policy.name);

        if (before != NULL)
            ao_session_carry(&fresh[i], before);
    }
    renumber_zones(e);
    forget_orphans(e);
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
    ao_flows_free(e);
    ao_zones_free(e);
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

/* The SYN that begins another life of an old socket pair. */
static bool begins_anew(const struct ao_transit *t)
{
    struct tcpao_conn_state state;

    if (t->packet->way != AO_OUT)
        return false;
    tcpao_conn_export(t->connection->conn, &state);
    return t->connection->state != AO_STATE_SYN_SENT || !state.local_isn_known ||
           state.local_isn != t->tcp.seq;
}

/* The connection is over and its socket's flow is gone, so the ends are anybody's: a program
 * without TCP-AO may use them now. */
static bool is_anybodys(const struct ao_transit *t)
{
    const struct ao_connection *c = t->connection;
    uint8_t handshake = t->tcp.flags & (GH_TCP_SYN | GH_TCP_ACK);
    struct tcpao_conn_state state;

    if (!c->own_keys || !c->session->gone || c->state != AO_STATE_CLOSED || c->pending != NULL ||
        ao_session_find(t->engine, t->packet->zone, &t->local, &t->remote) != NULL)
        return false;
    tcpao_conn_export(c->conn, &state);
    if (t->packet->way == AO_IN)
        return handshake == GH_TCP_SYN && state.remote_isn != t->tcp.seq;
    return handshake == (GH_TCP_SYN | GH_TCP_ACK) && state.remote_isn != t->tcp.ack - 1;
}

/* A connection stays with the session that it began under. A SYN belongs to the flow or policy of
 * today: another socket may stand behind the same ends. Where that changes whose keys they are, our
 * own SYN ends the old connection at once; a peer's waits for the local stack's answer. */
static void find_session(struct ao_transit *t)
{
    bool syn = (t->tcp.flags & (GH_TCP_SYN | GH_TCP_ACK)) == GH_TCP_SYN;
    struct ao_connection *c = ao_table_find(t->engine, t->packet->zone, &t->local, &t->remote);

    t->connection = c;
    if (c != NULL)
        t->session = c->session;
    if (c == NULL || syn)
        t->session = ao_session_find(t->engine, t->packet->zone, &t->local, &t->remote);
    if (c == NULL)
        return;
    if (is_anybodys(t)) {
        t->session = NULL;
        t->connection = NULL;
        if (t->packet->way == AO_OUT) /* its stack took the SYN */
            ao_table_remove(t->engine, c);
    } else if (c->in_kernel) {
        t->session = c->session;
    } else if ((c->own_keys || (t->session != NULL && t->session->own_keys)) && syn &&
               begins_anew(t)) {
        ao_table_remove(t->engine, c);
        t->connection = NULL;
    } else if (t->session == NULL || (syn && t->packet->way == AO_OUT)) {
        t->session = c->session;
    }
}

/* The rules were wider than flows and policies. Or they are older and number the queues in another
 * way: then the segment belongs to a session that cannot be told for sure. */
static void nobodys_packet(struct ao_transit *t)
{
    struct ao_zone *zone = ao_zone_look(t->engine, t->packet->zone);

    t->result->verdict = AO_PASS;
    if (t->option.ao && t->packet->way == AO_IN && ao_zone_is_strict(t->engine, t->packet->zone)) {
        if (zone != NULL)
            zone->counters[AO_COUNT_UNEXPECTED_AO]++;
        ao_refuse(t, AO_COUNT_UNEXPECTED_AO);
    } else if (ao_session_elsewhere(t->engine, &t->local, &t->remote)) {
        ao_refuse(t, AO_COUNT_NO_CONNECTION);
    }
}

/* Of a connection that the kernel carries only what has no option comes here: the rules send it. */
static unsigned why_not_the_kernels(const struct ao_transit *t)
{
    if (t->option.ao)
        return AO_COUNT_NO_CONNECTION;
    return t->option.md5 ? TCPAO_MD5_CLASH : TCPAO_MISSING_AO;
}

static void tcp_packet(struct ao_transit *t)
{
    enum tcpao_result r = tcpao_option_find(t->hdr, t->tcp.header_len, &t->option);

    find_session(t);
    if (t->session == NULL) {
        nobodys_packet(t);
        return;
    }
    if (r == TCPAO_OK && ao_is_foreign_syn(t)) {
        ao_foreign_syn(t); /* the kernel tells its own numbers */
        return;
    }
    note_traffic(t);
    if (t->connection != NULL && t->connection->in_kernel)
        ao_refuse(t, why_not_the_kernels(t));
    else if (r != TCPAO_OK)
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
    struct ao_session *s = ao_session_by_name(e->sessions, e->session_count, p->name);
    char text[32];

    if (w->expiry == TCPAO_TIME_MAX || w->expired_told)
        return;
    if (w->expiry <= now.wall) {
        w->expired_told = true;
        if (p->negotiated) /* another is made when it is needed */
            return;
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
            if (c->in_kernel || !tcpao_conn_tick(c->conn, now.wall))
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
