#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "daemon/ao_kernel_priv.h"
#include "platform/borrow.h"

bool gh_kernel_has_ao(void)
{
    return gh_kernel_ao_supported();
}

struct gh_kernel *gh_kernel_new(struct ao_engine *engine, bool has_ao,
                                const struct gh_kernel_ops *ops)
{
    struct gh_kernel *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return NULL;
    k->engine = engine;
    k->has_ao = has_ao;
    k->ops = *ops;
    if (getrandom(k->lock_secret, sizeof(k->lock_secret), 0) != sizeof(k->lock_secret)) {
        free(k);
        return NULL;
    }
    k->lock = (struct tcpao_mkt){.alg = TCPAO_HMAC_SHA_1,
                                 .mac_len = 12,
                                 .options_covered = true,
                                 .secret = k->lock_secret,
                                 .secret_len = sizeof(k->lock_secret)};
    return k;
}

void gh_kernel_free(struct gh_kernel *k)
{
    struct kernel_socket *next;

    for (struct kernel_socket *s = k->sockets; s != NULL; s = next) {
        next = s->next;
        kernel_free_socket(s);
    }
    kernel_drop_setup(k);
    gh_wipe(k->lock_secret, sizeof(k->lock_secret));
    free(k);
}

/* ---- Sockets that programs bring ------------------------------------------------------------ */

/* The next look: soon, and at once when a lifetime begins or ends. */
static void plan_next_look(const struct gh_kernel *k, struct gh_now now, struct kernel_socket *s)
{
    bool opening = !s->listening && s->state != AO_STATE_ESTABLISHED &&
                   now.mono_ms - s->tracked_ms < KERNEL_YOUNG;

    s->due_ms = now.mono_ms + (opening ? KERNEL_POLL_OPENING : KERNEL_POLL);
    for (size_t i = 0; i < s->name_count; i++) {
        long session = kernel_find_session(k, s->names[i]);
        int64_t change;

        if (session < 0)
            continue;
        change = ao_kernel_next_change(kernel_chain(k, (size_t)session), now.wall, &s->st);
        if (change != TCPAO_TIME_MAX && change - now.wall < KERNEL_POLL / 1000 &&
            now.mono_ms + (uint64_t)(change - now.wall) * 1000 < s->due_ms)
            s->due_ms = now.mono_ms + (uint64_t)(change - now.wall) * 1000;
    }
}

static enum gh_shim_action refuse(int *error, int with)
{
    *error = with;
    return GH_SHIM_DONE;
}

/* The session of a connection, if it is the kernel's. *action: what to answer where it is not. */
static long session_for(const struct gh_kernel *k, const struct gh_socket_facts *f,
                        const struct tcpao_endpoint *peer, bool active, int *error,
                        enum gh_shim_action *action)
{
    long i = kernel_match(k, f->emu.zone, &f->emu.local, peer, active);

    *error = 0;
    *action = GH_SHIM_PASS;
    if (i < 0 || k->sessions[i].can)
        return i;
    if (kernel_session(k, (size_t)i)->backend == GH_BACKEND_KERNEL)
        *action = refuse(error, EKEYREJECTED); /* said at the start: the kernel cannot */
    return KERNEL_NO_SESSION;
}

static enum gh_shim_action no_key(const struct gh_session *x, struct gh_now now, int *error)
{
    char when[32];

    gh_error("%s: no key of its chain may be sent with at %s, so nothing connects", x->name,
             gh_time_format(now.wall, when, sizeof(when)));
    return refuse(error, EKEYREJECTED);
}

static const char *why_not(int error)
{
    return error == EKEYREJECTED ? "it has a TCP-MD5 key for the same peer" : strerror(error);
}

enum gh_shim_action gh_kernel_connect(struct gh_kernel *k, struct gh_now now, int fd,
                                      const struct gh_socket_facts *f,
                                      const struct tcpao_endpoint *peer, int *error)
{
    enum gh_shim_action action;
    long session = session_for(k, f, peer, true, error, &action);
    struct kernel_socket *s = kernel_find(k, f->emu.cookie);
    struct gh_kernel_socket sock;
    struct gh_kernel_info info;
    const struct gh_session *x;
    bool locked = false;
    int failed;

    if (s != NULL && f->emu.state != EMU_CLOSED)
        return refuse(error, 0); /* connect() once more: it has its keys */
    if (session < 0 || f->emu.state != EMU_CLOSED)
        return action;
    x = kernel_session(k, (size_t)session);
    sock = gh_kernel_socket_look(fd);
    if (x->backend == GH_BACKEND_AUTO &&
        ((s == NULL && kernel_has_other_keys(k, &sock, (size_t)session)) ||
         kernel_engine_carries(k, x->name)))
        return GH_SHIM_PASS;
    s = kernel_track(k, now, f);
    if (s == NULL)
        return refuse(error, ENOMEM);
    s->remote = *peer;
    s->active = true;
    s->st = (struct tcpao_conn_state){.current_known = false};
    while (s->name_count > 0) /* of an earlier attempt with another peer */
        kernel_set_carries(s, s->names[0], false);
    failed = kernel_keys_of_connection(k, now, s, &sock, (size_t)session, &locked);
    if (locked && k->sessions[session].keyed)
        locked = false; /* its SYN waits until a key is negotiated */
    if (failed != 0 || locked || !kernel_set_carries(s, x->name, true)) {
        kernel_forget(k, s);
        kernel_update_guards(k, now);
        if (failed == 0 && locked)
            return no_key(x, now, error);
        failed = failed != 0 ? failed : ENOMEM;
        gh_error("%s: the kernel does not take its keys: %s", x->name, why_not(failed));
        /* Without a single key on the socket the engine can still carry it. */
        if (x->backend == GH_BACKEND_AUTO && failed != EKEYREJECTED &&
            gh_kernel_ao_info(&sock, &info) != 0)
            return GH_SHIM_PASS;
        return refuse(error, failed);
    }
    plan_next_look(k, now, s);
    kernel_keep(k, s);
    kernel_update_guards(k, now);
    return refuse(error, 0);
}

enum gh_shim_action gh_kernel_listen(struct gh_kernel *k, struct gh_now now, int fd,
                                     const struct gh_socket_facts *f, int *error)
{
    struct gh_kernel_socket sock = gh_kernel_socket_look(fd);
    struct kernel_socket *s;

    *error = 0;
    if (!k->has_ao || k->setup == NULL || f->emu.zone == KERNEL_NO_ZONE)
        return GH_SHIM_PASS;
    /* Also one that no session is for: a reload may bring it some. */
    s = kernel_track(k, now, f);
    if (s == NULL)
        return refuse(error, ENOMEM);
    s->listening = true;
    sock.listening = true; /* in a moment: it cannot have current and rnext keys */
    kernel_keys_of_listener(k, now, s, &sock);
    kernel_look(k, now, s, &sock);
    plan_next_look(k, now, s);
    kernel_keep(k, s);
    kernel_update_guards(k, now);
    return s->name_count > 0 ? GH_SHIM_DONE : GH_SHIM_PASS;
}

/* A listener that has given the connection our keys. */
static bool from_our_listener(const struct gh_kernel *k, const struct gh_socket_facts *f,
                              const char *session)
{
    for (const struct kernel_socket *s = k->sockets; s != NULL; s = s->next)
        if (s->listening && s->zone == f->emu.zone && s->local.port == f->emu.local.port &&
            kernel_carries(s, session))
            return true;
    return false;
}

enum gh_shim_action gh_kernel_accepted(struct gh_kernel *k, struct gh_now now, int fd,
                                       const struct gh_socket_facts *f, int *error)
{
    enum gh_shim_action action;
    long session = session_for(k, f, &f->emu.remote, false, error, &action);
    struct gh_kernel_socket sock = gh_kernel_socket_look(fd);
    const struct gh_session *x;
    struct kernel_socket *s;
    struct gh_kernel_info info;
    bool locked = false;
    int failed;

    if (session < 0)
        return action;
    x = kernel_session(k, (size_t)session);
    if (gh_kernel_ao_info(&sock, &info) != 0) { /* the listener had no keys for this peer */
        if (x->backend == GH_BACKEND_AUTO)
            return GH_SHIM_PASS;
        gh_error("%s: a connection came up without TCP-AO; it is refused", x->name);
        return refuse(error, ECONNABORTED);
    }
    if (x->backend == GH_BACKEND_AUTO && !from_our_listener(k, f, x->name) &&
        kernel_has_other_keys(k, &sock, (size_t)session))
        return GH_SHIM_PASS; /* the program's own keys */
    s = kernel_track(k, now, f);
    if (s == NULL || !kernel_set_carries(s, x->name, true)) {
        if (s != NULL)
            kernel_forget(k, s);
        return refuse(error, ENOMEM);
    }
    kernel_look(k, now, s, &sock);
    failed = kernel_keys_of_connection(k, now, s, &sock, (size_t)session, &locked);
    if (failed != 0) {
        gh_error("%s: the kernel does not take its keys for an accepted connection: %s", x->name,
                 strerror(failed));
        kernel_forget(k, s);
        return refuse(error, ECONNABORTED);
    }
    plan_next_look(k, now, s);
    kernel_keep(k, s);
    kernel_update_guards(k, now);
    kernel_report(k, now, s);
    return refuse(error, 0);
}

void gh_kernel_gone(struct gh_kernel *k, struct gh_now now, uint64_t cookie)
{
    struct kernel_socket *s = kernel_find(k, cookie);

    if (s == NULL)
        return;
    kernel_report_end(k, now, s);
    kernel_forget(k, s);
    kernel_update_guards(k, now);
}

void gh_kernel_zone_closed(struct gh_kernel *k, struct gh_now now, uint16_t zone)
{
    struct kernel_socket *next;

    for (struct kernel_socket *s = k->sockets; s != NULL; s = next) {
        next = s->next;
        if (s->zone == zone)
            kernel_forget(k, s);
    }
    kernel_update_guards(k, now);
}

/* ---- With time ------------------------------------------------------------------------------ */

static void follow_connection(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s,
                              const struct gh_kernel_socket *sock)
{
    long session = s->name_count > 0 ? kernel_find_session(k, s->names[0]) : KERNEL_NO_SESSION;
    bool open = kernel_look(k, now, s, sock), locked = false;
    int failed = open && session >= 0
                     ? kernel_keys_of_connection(k, now, s, sock, (size_t)session, &locked)
                     : 0;

    if (locked && s->state == AO_STATE_SYN_SENT && k->sessions[session].keyed)
        locked = false;
    if (!s->warned && (failed != 0 || locked))
        gh_error("%s: %s%s", s->names[0],
                 locked ? "no key of its chain may be sent with: its connection stands still"
                        : "the kernel does not take its keys: ",
                 locked ? "" : strerror(failed));
    s->warned = failed != 0 || locked;
    kernel_report(k, now, s);
}

static void follow_listener(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s,
                            const struct gh_kernel_socket *sock)
{
    kernel_look(k, now, s, sock);
    if (kernel_keys_of_listener(k, now, s, sock)) {
        kernel_keep(k, s);
        kernel_update_guards(k, now);
    }
}

void gh_kernel_fetched(struct gh_kernel *k, struct gh_now now, uint32_t id, int fd, int error)
{
    struct kernel_socket *s = k->sockets;
    struct gh_kernel_socket sock;
    bool waited_for;

    while (s != NULL && s->fetch != id)
        s = s->next;
    if (s != NULL) {
        s->fetch = 0;
        k->fetching--;
    }
    waited_for = s != NULL && s->behind;
    if (s != NULL)
        s->behind = false; /* what cannot be brought in line now is not waited for */
    if (fd < 0) {
        /* One that has just been closed is heard of in a moment. */
        if (s != NULL && s->unseen && !s->warned)
            gh_warning("a socket of process %" PRIu32 " with keys in the kernel cannot be had: %s",
                       s->pid, strerror(error));
        if (s != NULL) {
            s->warned |= s->unseen;
            s->unseen = true;
        }
    } else {
        sock = gh_kernel_socket_look(fd);
        if (s != NULL)
            s->unseen = false;
        if (s != NULL && k->setup != NULL && gh_kernel_cookie(&sock) == s->cookie)
            s->listening ? follow_listener(k, now, s, &sock) : follow_connection(k, now, s, &sock);
        gh_borrow_return(fd);
    }
    if (s != NULL)
        plan_next_look(k, now, s);
    if (waited_for)
        gh_kernel_tick(k, now); /* others may be, too */
}

static void ask(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s)
{
    if (++k->last_fetch == 0)
        k->last_fetch = 1;
    s->fetch = k->last_fetch;
    s->asked_ms = now.mono_ms;
    k->fetching++;
    k->ops.fetch(k->ops.ctx, s->fetch, s->pid, s->cookie, s->inode);
}

void gh_kernel_tick(struct gh_kernel *k, struct gh_now now)
{
    struct kernel_socket *next;

    if (k->setup == NULL)
        return;
    for (struct kernel_socket *s = k->sockets; s != NULL; s = next) {
        next = s->next; /* the answer may come at once, and never takes a socket away */
        if (s->fetch != 0 && now.mono_ms - s->asked_ms > KERNEL_ANSWER) {
            s->fetch = 0;
            k->fetching--;
        }
        if (s->fetch == 0 && s->due_ms <= now.mono_ms && k->fetching < KERNEL_FETCHES)
            ask(k, now, s);
    }
    kernel_update_guards(k, now);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return b < a ? b : a;
}

uint64_t gh_kernel_next_deadline(const struct gh_kernel *k, struct gh_now now)
{
    uint64_t next = now.mono_ms + KERNEL_POLL;

    for (const struct kernel_socket *s = k->sockets; s != NULL; s = s->next) {
        if (s->fetch != 0)
            next = sooner(next, s->asked_ms + KERNEL_ANSWER + 1);
        else if (k->fetching < KERNEL_FETCHES)
            next = sooner(next, s->due_ms);
    }
    return next;
}
