#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/ao_kernel_priv.h"

/* One session's keys on one socket, being brought in line. */
struct work {
    struct gh_kernel *k;
    const struct gh_kernel_socket *sock;
    const struct tcpao_chain *chain;
    struct gh_prefix peer; /* of keys that are added */
    const struct gh_kernel_key *present;
    size_t present_count;
    bool spare; /* unknown keys stay: the peer may sign with them until it hears of others */
};

/* ---- What is there -------------------------------------------------------------------------- */

static bool is_lock(const struct gh_kernel *k, const struct gh_kernel_key *key)
{
    struct tcpao_mkt lock = k->lock;

    lock.send_id = key->send_id;
    lock.recv_id = key->recv_id;
    return gh_kernel_ao_is(key, &lock);
}

/* Which of the chain's keys it is. A chain may have the same key twice: then the one whose time it
 * is. */
static const struct tcpao_mkt *recognise(const struct tcpao_chain *chain,
                                         const struct gh_kernel_key *key, int64_t now)
{
    const struct tcpao_mkt *mkt = tcpao_chain_by_recv_id(chain, key->recv_id, now);

    if (mkt != NULL && gh_kernel_ao_is(key, mkt))
        return mkt;
    for (size_t i = 0; i < tcpao_chain_count(chain); i++) {
        mkt = tcpao_chain_at(chain, i);
        if (gh_kernel_ao_is(key, mkt))
            return mkt;
    }
    return NULL;
}

static bool has_id_of(const struct tcpao_chain *chain, const struct gh_kernel_key *key)
{
    for (size_t i = 0; i < tcpao_chain_count(chain); i++)
        if (tcpao_chain_at(chain, i)->send_id == key->send_id ||
            tcpao_chain_at(chain, i)->recv_id == key->recv_id)
            return true;
    return false;
}

static size_t describe(const struct work *w, int64_t now, struct ao_kernel_key *out)
{
    size_t count = 0;

    for (size_t i = 0; i < w->present_count && count < AO_KERNEL_KEYS_MAX; i++) {
        const struct gh_kernel_key *key = &w->present[i];
        const struct tcpao_mkt *mkt;

        /* A connection has its one peer's keys only, perhaps of a listener's wider prefix. */
        if (w->sock->listening && !gh_prefix_equal(&key->peer, &w->peer))
            continue;
        mkt = recognise(w->chain, key, now);
        if (w->spare && mkt == NULL && !is_lock(w->k, key) && !has_id_of(w->chain, key))
            continue;
        out[count++] = (struct ao_kernel_key){.send_id = key->send_id,
                                              .recv_id = key->recv_id,
                                              .known = mkt != NULL,
                                              .number = mkt != NULL ? mkt->number : 0,
                                              .lock = mkt == NULL && is_lock(w->k, key),
                                              .current = key->current,
                                              .rnext = key->rnext};
    }
    return count;
}

bool kernel_has_other_keys(const struct gh_kernel *k, const struct gh_kernel_socket *sock,
                           size_t session)
{
    const struct tcpao_chain *chain = kernel_chain(k, session);
    struct gh_kernel_key *keys;
    size_t count;
    bool other = false;

    if (gh_kernel_ao_keys(sock, &keys, &count) != 0)
        return true;
    for (size_t i = 0; i < count; i++)
        other |= recognise(chain, &keys[i], 0) == NULL && !is_lock(k, &keys[i]);
    gh_kernel_ao_keys_free(keys, count);
    return other;
}

/* ---- Steps ---------------------------------------------------------------------------------- */

/* The address under which a key is on the socket. */
static const struct gh_prefix *peer_of(const struct work *w, const struct ao_kernel_step *step)
{
    for (size_t i = 0; i < w->present_count; i++) {
        const struct gh_kernel_key *key = &w->present[i];

        if (key->send_id == step->send_id && key->recv_id == step->recv_id &&
            (!w->sock->listening || gh_prefix_equal(&key->peer, &w->peer)))
            return &key->peer;
    }
    return &w->peer;
}

static int carry_out(const struct work *w, const struct ao_kernel_step *step,
                     const struct gh_kernel_info *flags)
{
    struct gh_kernel_info info = *flags;
    struct tcpao_mkt lock = w->k->lock;

    switch (step->kind) {
    case AO_KERNEL_ADD:
        return gh_kernel_ao_add(w->sock, &w->peer, step->mkt, false, false);
    case AO_KERNEL_ADD_LOCK:
        lock.send_id = step->send_id;
        lock.recv_id = step->recv_id;
        return gh_kernel_ao_add(w->sock, &w->peer, &lock, false, false);
    case AO_KERNEL_MOVE:
        info.current_known = info.rnext_known = true;
        info.current = step->send_id;
        info.rnext = step->recv_id;
        return gh_kernel_ao_set(w->sock, &info);
    case AO_KERNEL_DELETE:
        return gh_kernel_ao_delete(w->sock, peer_of(w, step), step->send_id, step->recv_id);
    }
    return -EINVAL;
}

/* Stops at the first step that fails: the later ones rely on it. */
static int carry_out_all(const struct work *w, const struct ao_kernel_plan *plan,
                         const struct gh_kernel_info *flags)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < plan->count; i++)
        error = carry_out(w, &plan->steps[i], flags);
    return -error;
}

/* Both flags are given with every change, or the kernel clears them. */
static int set_flags(const struct gh_kernel_socket *sock, const struct gh_kernel_info *flags)
{
    struct gh_kernel_info info;
    int error = gh_kernel_ao_info(sock, &info);

    if (error == 0 &&
        (info.required != flags->required || info.accept_icmps != flags->accept_icmps))
        error = gh_kernel_ao_set(sock, flags);
    return -error;
}

static struct gh_prefix host(const struct tcpao_endpoint *e)
{
    return (struct gh_prefix){.addr = gh_addr_from(e->addr, e->addr_len),
                              .bits = (uint8_t)(e->addr_len * 8)};
}

static bool is_inherited(const struct gh_kernel *k, struct gh_now now,
                         const struct kernel_socket *s, size_t session)
{
    return s->inherited && k->sessions[session].keyed &&
           now.mono_ms - k->began_ms < KERNEL_INHERITED;
}

bool kernel_awaits_keys(const struct gh_kernel *k, struct gh_now now, const struct kernel_socket *s,
                        size_t session)
{
    return is_inherited(k, now, s, session) && !k->sessions[session].had_keys;
}

static bool spares_unknown(const struct gh_kernel *k, struct gh_now now,
                           const struct kernel_socket *s, size_t session)
{
    return is_inherited(k, now, s, session) && tcpao_chain_count(kernel_chain(k, session)) > 0;
}

int kernel_keys_of_connection(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s,
                              const struct gh_kernel_socket *sock, size_t session, bool *locked)
{
    static struct ao_kernel_plan plan; /* large; nothing here is entered twice */
    static struct ao_kernel_key described[AO_KERNEL_KEYS_MAX];
    const struct gh_session *x = kernel_session(k, session);
    const struct gh_kernel_info flags = {.required = true, .accept_icmps = x->accept_icmp};
    struct work w = {.k = k,
                     .sock = sock,
                     .chain = kernel_chain(k, session),
                     .peer = host(&s->remote),
                     .spare = spares_unknown(k, now, s, session)};
    struct gh_kernel_key *present;
    int error;

    *locked = false;
    if (kernel_awaits_keys(k, now, s, session))
        return 0;
    error = -gh_kernel_ao_keys(sock, &present, &w.present_count);
    if (error != 0)
        return error;
    w.present = present;
    ao_kernel_plan(w.chain, now.wall, AO_KERNEL_CONNECTION, described,
                   describe(&w, now.wall, described), &s->st, &plan);
    *locked = plan.locked;
    error = carry_out_all(&w, &plan, &flags);
    if (error == 0)
        error = set_flags(sock, &flags);
    if (error == 0)
        s->st = plan.st;
    gh_kernel_ao_keys_free(present, w.present_count);
    return error;
}

/* ---- Listeners ------------------------------------------------------------------------------ */

static int keys_of_session(struct gh_kernel *k, struct gh_now now, const struct kernel_socket *s,
                           const struct gh_kernel_socket *sock, size_t session,
                           const struct gh_kernel_key *present, size_t count)
{
    static const struct tcpao_conn_state nothing;
    static struct ao_kernel_plan plan;
    static struct ao_kernel_key described[AO_KERNEL_KEYS_MAX];
    const struct gh_session *x = kernel_session(k, session);
    const struct gh_kernel_info flags = {.required = false};
    const struct work w = {.k = k,
                           .sock = sock,
                           .chain = kernel_chain(k, session),
                           .peer = x->peer,
                           .present = present,
                           .present_count = count,
                           .spare = spares_unknown(k, now, s, session)};

    ao_kernel_plan(w.chain, now.wall, AO_KERNEL_LISTENER, described,
                   describe(&w, now.wall, described), &nothing, &plan);
    return carry_out_all(&w, &plan, &flags);
}

static bool was_present(const struct gh_kernel_key *key, const struct gh_kernel_key *present,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (present[i].send_id == key->send_id && present[i].recv_id == key->recv_id &&
            gh_prefix_equal(&present[i].peer, &key->peer))
            return true;
    return false;
}

/* With some of its keys the listener would want them of a peer that the engine carries. */
static void take_back(const struct gh_kernel_socket *sock, const struct gh_prefix *peer,
                      const struct gh_kernel_key *present, size_t present_count)
{
    struct gh_kernel_key *keys;
    size_t count;

    if (gh_kernel_ao_keys(sock, &keys, &count) != 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (gh_prefix_equal(&keys[i].peer, peer) && !was_present(&keys[i], present, present_count))
            gh_kernel_ao_delete(sock, peer, keys[i].send_id, keys[i].recv_id);
    gh_kernel_ao_keys_free(keys, count);
}

/* The program's own keys for this peer, which are not ours to take away. */
static bool has_own_keys(const struct gh_kernel *k, size_t session,
                         const struct gh_kernel_key *present, size_t count)
{
    const struct gh_session *x = kernel_session(k, session);
    bool own = false;

    for (size_t i = 0; i < count; i++)
        own |= gh_prefix_overlaps(&present[i].peer, &x->peer) &&
               recognise(kernel_chain(k, session), &present[i], 0) == NULL &&
               !is_lock(k, &present[i]);
    return own;
}

/* Keys for peers of sessions that are no longer the listener's. A program's own stay. */
static void drop_others(const struct gh_kernel *k, const struct kernel_socket *s,
                        const struct gh_kernel_socket *sock, const struct gh_kernel_key *present,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct kernel_seen *was = kernel_seen_before(s, &present[i]);

        if (was != NULL && was->ours && kernel_owner(k, s, &present[i].peer) == NULL)
            gh_kernel_ao_delete(sock, &present[i].peer, present[i].send_id, present[i].recv_id);
    }
}

/* A session that the engine has begun to carry stays there until its connection ends. */
static bool to_carry(const struct gh_kernel *k, const struct kernel_socket *s,
                     const struct gh_kernel_socket *sock, size_t session,
                     const struct gh_kernel_key *present, size_t count)
{
    const struct gh_session *x = kernel_session(k, session);

    return kernel_serves(k, s, sock, session) &&
           (x->backend == GH_BACKEND_KERNEL || kernel_carries(s, x->name) ||
            (!kernel_engine_carries(k, x->name) && !has_own_keys(k, session, present, count)));
}

bool kernel_keys_of_listener(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s,
                             const struct gh_kernel_socket *sock)
{
    struct gh_kernel_key *present;
    size_t count;
    bool changed = false;
    int error = -gh_kernel_ao_keys(sock, &present, &count);

    for (size_t i = 0; error == 0 && i < k->session_count; i++) {
        const char *name = kernel_session(k, i)->name;
        bool carries = to_carry(k, s, sock, i, present, count);
        int failed = carries && !kernel_awaits_keys(k, now, s, i)
                         ? keys_of_session(k, now, s, sock, i, present, count)
                         : 0;

        if (failed != 0 && !s->warned) {
            gh_error("%s: the kernel does not take its keys for a listening socket: %s", name,
                     strerror(failed));
            s->warned = true;
        }
        if (failed != 0 && !kernel_carries(s, name)) {
            take_back(sock, &kernel_session(k, i)->peer, present, count);
            carries = false;
        }
        changed |= carries != kernel_carries(s, name);
        kernel_set_carries(s, name, carries);
    }
    if (error == 0)
        drop_others(k, s, sock, present, count);
    gh_kernel_ao_keys_free(present, count);
    return changed;
}
