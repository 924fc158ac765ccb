#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ao_kernel_priv.h"

static enum ao_state state_from(uint8_t tcp_state)
{
    switch (tcp_state) {
    case TCP_SYN_SENT:
        return AO_STATE_SYN_SENT;
    case TCP_SYN_RECV:
        return AO_STATE_SYN_RECEIVED;
    case TCP_ESTABLISHED:
        return AO_STATE_ESTABLISHED;
    case TCP_CLOSE:
        return AO_STATE_CLOSED;
    default:
        return AO_STATE_CLOSING;
    }
}

const struct kernel_seen *kernel_seen_before(const struct kernel_socket *s,
                                             const struct gh_kernel_key *key)
{
    for (size_t i = 0; i < s->seen_count; i++) {
        const struct kernel_seen *x = &s->seen[i];

        if (x->send_id == key->send_id && x->recv_id == key->recv_id &&
            x->peer.bits == key->peer.bits && gh_addr_equal(&x->peer.addr, &key->peer.addr))
            return x;
    }
    return NULL;
}

/* How much a counter has grown. A key that was taken away and put back begins anew. */
static uint64_t grown(uint64_t was, uint64_t is)
{
    return is >= was ? is - was : is;
}

/* Also of a session that has just gone. */
static bool is_ours(const struct gh_kernel *k, const struct kernel_socket *s,
                    const struct gh_kernel_key *key)
{
    const struct kernel_seen *was = kernel_seen_before(s, key);

    return (was != NULL && was->ours) || kernel_owner(k, s, &key->peer) != NULL;
}

static void remember(const struct gh_kernel *k, struct kernel_socket *s,
                     const struct gh_kernel_key *keys, size_t count)
{
    struct kernel_seen *seen = calloc(count + 1, sizeof(*seen));

    if (seen == NULL)
        return; /* growth is then counted once more at the next look: a key stays longer */
    for (size_t i = 0; i < count; i++)
        seen[i] = (struct kernel_seen){.peer = keys[i].peer,
                                       .send_id = keys[i].send_id,
                                       .recv_id = keys[i].recv_id,
                                       .ours = is_ours(k, s, &keys[i]),
                                       .good = keys[i].good,
                                       .bad = keys[i].bad};
    free(s->seen);
    s->seen = seen;
    s->seen_count = count;
}

/* ---- Connections ---------------------------------------------------------------------------- */

static const struct tcpao_mkt *key_of(const struct tcpao_chain *chain,
                                      const struct gh_kernel_key *key)
{
    for (size_t i = 0; i < tcpao_chain_count(chain); i++)
        if (gh_kernel_ao_is(key, tcpao_chain_at(chain, i)))
            return tcpao_chain_at(chain, i);
    return NULL;
}

/* Which key the peer uses is seen by whose counter grows. While an old one's still does, segments
 * of both are under way: the drain begins anew. */
static void follow_peer(struct kernel_socket *s, const struct tcpao_chain *chain,
                        const struct gh_kernel_key *keys, size_t count,
                        const struct gh_kernel_info *info, int64_t now)
{
    for (size_t i = 0; i < count; i++) {
        const struct kernel_seen *was = kernel_seen_before(s, &keys[i]);
        const struct tcpao_mkt *mkt = key_of(chain, &keys[i]);

        if (grown(was != NULL ? was->good : 0, keys[i].good) == 0 || mkt == NULL)
            continue;
        s->st.last_keyid = mkt->recv_id;
        s->st.last_rnext = info->current; /* where it led us */
        if (s->st.last_recv_known && s->st.last_recv_key == mkt->number)
            continue;
        s->st.last_recv_known = true;
        s->st.last_recv_key = mkt->number;
        s->st.last_recv_since = now;
    }
}

/* What the kernel does not count key by key is put down to the keys in use: what left to the one
 * that we sent with at the last look, octets that came to the one that most segments came with. */
static void tell_use(struct gh_kernel *k, const struct kernel_socket *s, size_t session,
                     const struct gh_kernel_key *keys, size_t count,
                     const struct gh_kernel_traffic *before)
{
    uint64_t out = grown(before->segments_out, s->traffic.segments_out);
    uint64_t octets_out = grown(before->octets_out, s->traffic.octets_out);
    uint64_t octets_in = grown(before->octets_in, s->traffic.octets_in), most = 0;
    const struct gh_kernel_key *busiest = NULL;

    if (s->restored)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct kernel_seen *was = kernel_seen_before(s, &keys[i]);
        uint64_t good = grown(was != NULL ? was->good : 0, keys[i].good);

        if (good > most) {
            most = good;
            busiest = &keys[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct tcpao_mkt *mkt = key_of(kernel_chain(k, session), &keys[i]);
        const struct kernel_seen *was = kernel_seen_before(s, &keys[i]);
        struct ao_key_counters more = {.number = mkt != NULL ? mkt->number : 0};
        bool sent = mkt != NULL && s->st.current_known && s->st.current_key == mkt->number;

        if (mkt == NULL)
            continue;
        more.good_in = grown(was != NULL ? was->good : 0, keys[i].good);
        more.bad_in = grown(was != NULL ? was->bad : 0, keys[i].bad);
        more.out = sent ? out : 0;
        more.octets = (sent ? octets_out : 0) + (&keys[i] == busiest ? octets_in : 0);
        ao_engine_foreign_use(k->engine, s->names[0], &more);
    }
}

static void refuse(struct gh_kernel *k, struct gh_now now, const char *session, unsigned counter,
                   uint64_t more)
{
    if (session != NULL && more > 0)
        ao_engine_foreign_refusals(k->engine, now, session, counter, more);
}

/* Refusals that the kernel tells of a socket as a whole, since the last look. */
static void refuse_unmatched(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s,
                             const char *session, const struct gh_kernel_info *info)
{
    if (!s->restored) {
        refuse(k, now, session, TCPAO_UNKNOWN_KEYID, grown(s->key_not_found, info->key_not_found));
        refuse(k, now, session, TCPAO_MISSING_AO, grown(s->missing, info->missing));
    }
    s->key_not_found = info->key_not_found;
    s->missing = info->missing;
}

/* Refusals are not among them: those are told with their time, which explain wants to know. */
static void count_connection(struct kernel_socket *s, const struct gh_kernel_info *info)
{
    s->counters[TCPAO_OK] = info->good;
    s->counters[AO_COUNT_ICMP_IGNORED] = info->dropped_icmps;
    s->counters[AO_COUNT_SIGNED] = s->traffic.segments_out;
}

static void look_at_connection(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s,
                               const struct gh_kernel_socket *sock,
                               const struct gh_kernel_traffic *before)
{
    long session = s->name_count > 0 ? kernel_find_session(k, s->names[0]) : KERNEL_NO_SESSION;
    struct gh_kernel_info info;
    struct gh_kernel_key *keys;
    size_t count;

    if (session < 0 || gh_kernel_ao_info(sock, &info) != 0 ||
        gh_kernel_ao_keys(sock, &keys, &count) != 0)
        return;
    tell_use(k, s, (size_t)session, keys, count, before);
    follow_peer(s, kernel_chain(k, (size_t)session), keys, count, &info, now.wall);
    count_connection(s, &info);
    if (!s->restored)
        refuse(k, now, s->names[0], TCPAO_BAD_MAC, grown(s->bad, info.bad));
    s->bad = info.bad;
    refuse_unmatched(k, now, s, s->names[0], &info);
    s->restored = false;
    remember(k, s, keys, count);
    gh_kernel_ao_keys_free(keys, count);
}

void kernel_report(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s)
{
    struct ao_foreign f = {.local = s->local,
                           .remote = s->remote,
                           .zone = s->zone,
                           .state = s->state,
                           .active = s->active,
                           .conn = s->st,
                           .segments_in = s->traffic.segments_in,
                           .segments_out = s->traffic.segments_out,
                           .octets_in = s->traffic.octets_in,
                           .octets_out = s->traffic.octets_out,
                           .counters = s->counters};

    if (s->name_count == 0 || (s->state == AO_STATE_CLOSED && !s->reported))
        return; /* before connect() there is nothing to tell */
    f.session = s->names[0];
    s->reported = ao_engine_foreign(k->engine, now, &f) && s->state != AO_STATE_CLOSED;
}

void kernel_report_end(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s)
{
    if (s->listening)
        return;
    s->state = AO_STATE_CLOSED;
    kernel_report(k, now, s);
}

/* ---- Listeners ------------------------------------------------------------------------------ */

static bool has_connection(const struct gh_kernel *k, const char *session)
{
    for (const struct kernel_socket *s = k->sockets; s != NULL; s = s->next)
        if (!s->listening && s->state == AO_STATE_ESTABLISHED && kernel_carries(s, session))
            return true;
    return false;
}

/* Whose peer it was that the listener refused: the kernel tells it of a key, not of what came
 * without one or with an unknown one. Then it is the only session that could be meant, or the only
 * one that is not up; else nobody's. */
static const char *whose(const struct gh_kernel *k, const struct kernel_socket *s)
{
    const char *down = NULL;
    size_t count = 0;

    if (s->name_count == 1)
        return s->names[0];
    for (size_t i = 0; i < s->name_count; i++) {
        if (!has_connection(k, s->names[i])) {
            down = s->names[i];
            count++;
        }
    }
    return count == 1 ? down : NULL;
}

static void look_at_listener(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s,
                             const struct gh_kernel_socket *sock)
{
    struct gh_kernel_info info;
    struct gh_kernel_key *keys;
    size_t count;

    if (s->name_count == 0 || gh_kernel_ao_info(sock, &info) != 0 ||
        gh_kernel_ao_keys(sock, &keys, &count) != 0)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct kernel_seen *was = kernel_seen_before(s, &keys[i]);

        if (!s->restored)
            refuse(k, now, kernel_owner(k, s, &keys[i].peer), TCPAO_BAD_MAC,
                   grown(was != NULL ? was->bad : 0, keys[i].bad));
    }
    refuse_unmatched(k, now, s, whose(k, s), &info);
    s->restored = false;
    remember(k, s, keys, count);
    gh_kernel_ao_keys_free(keys, count);
}

bool kernel_look(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s,
                 const struct gh_kernel_socket *sock)
{
    const struct gh_kernel_traffic before = s->traffic;

    if (gh_kernel_traffic(sock, &s->traffic) != 0)
        return false;
    if (s->listening) {
        look_at_listener(k, now, s, sock);
        return s->traffic.state != TCP_CLOSE;
    }
    s->state = state_from(s->traffic.state);
    s->local = gh_kernel_local(sock);
    look_at_connection(k, now, s, sock, &before);
    return s->state != AO_STATE_CLOSED;
}
