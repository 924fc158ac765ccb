/*
 * The kernel backend's insides, shared by its files. Private to them.
 *
 *   ao_kernel.c           what the dispatcher calls about sockets and time
 *   ao_kernel_sessions.c  the configuration: which sessions are the kernel's and guarded; the flows
 *   ao_kernel_match.c     which session a socket belongs to
 *   ao_kernel_table.c     the sockets that are tracked, and what outlives the process
 *   ao_kernel_keys.c      keys brought in line with the chains, on one socket
 *   ao_kernel_status.c    counters read back: for show, explain and for when a key may go
 */
#ifndef GH_DAEMON_AO_KERNEL_PRIV_H
#define GH_DAEMON_AO_KERNEL_PRIV_H

#include "daemon/ao_sockets.h"
#include "platform/kernel_ao.h"
#include "tcpao/engine.h"
#include "tcpao/kernel_plan.h"

enum {
    KERNEL_NO_ZONE = 65535,    /* a namespace that no session is in */
    KERNEL_POLL = 2000,        /* milliseconds between two looks at a socket */
    KERNEL_POLL_OPENING = 250, /* the same while a connection is young and opening */
    KERNEL_YOUNG = 5000,
    KERNEL_FETCHES = 16,      /* questions to the parent at a time */
    KERNEL_ANSWER = 10000,    /* milliseconds until an answer is no longer expected */
    KERNEL_INHERITED = 60000, /* so long keys that an earlier process negotiated stay unknown */
    KERNEL_LINGER =
        20000 /* guarded on after the last socket went: its FIN may still be sent again */
};

/* A key as it was seen on a socket at the last look. */
struct kernel_seen {
    struct gh_prefix peer;
    uint8_t send_id, recv_id;
    bool ours; /* for the peer of a session that the socket carries */
    uint64_t good, bad;
};

struct kernel_socket {
    struct kernel_socket *next;
    uint64_t cookie, inode;
    uint32_t pid;
    uint16_t zone;
    bool listening, active;
    struct tcpao_endpoint local, remote;
    char **names; /* sessions that it carries: a connection's one, a listener's all */
    size_t name_count;
    uint32_t fetch; /* the question in flight, or 0 */
    uint64_t asked_ms, due_ms, tracked_ms;
    bool restored;  /* since then not looked at: counters so far were told by an earlier process */
    bool inherited; /* an earlier process began with it */
    bool behind;    /* a negotiated chain has changed since it was last brought in line */
    bool unseen;    /* it could not be had for the last look */
    bool warned;    /* something went wrong, and was said */
    struct tcpao_conn_state st;
    struct kernel_seen *seen;
    size_t seen_count;
    uint64_t bad, key_not_found, missing; /* refusals told so far */
    bool reported;                        /* the engine knows the connection */
    enum ao_state state;
    struct gh_kernel_traffic traffic;
    uint64_t counters[AO_COUNTERS];
};

/* Beside each configured session. */
struct kernel_session {
    char *name; /* our own copy, and zone: they are needed when the setup is another */
    uint16_t zone;
    struct tcpao_chain *chain; /* a reference */
    bool can;                  /* the kernel can do it, and may */
    size_t sockets;            /* that carry it now */
    uint64_t linger_ms;        /* guarded until then although none does; 0: not */
    bool guarded;              /* as the flows say */
    /* Of negotiated keys alone. */
    bool keyed, had_keys;
    bool behind;               /* a socket that carries it is */
    enum ao_foreign_keys told; /* to the engine */
};

struct kernel_name {
    const char *name; /* of k->sessions[session] */
    size_t session;
};

struct gh_kernel {
    struct ao_engine *engine;
    struct gh_kernel_ops ops;
    bool has_ao;
    const struct gh_setup *setup;    /* borrowed; NULL before the first */
    uint64_t began_ms;               /* with the first */
    struct kernel_session *sessions; /* as in setup->config */
    size_t session_count;
    struct kernel_name *by_name; /* the same, sorted */
    struct kernel_socket *sockets;
    size_t socket_count, fetching;
    uint32_t last_fetch;
    struct tcpao_mkt lock; /* ids are the plan's */
    uint8_t lock_secret[32];
};

static inline const struct gh_session *kernel_session(const struct gh_kernel *k, size_t i)
{
    return &k->setup->config->sessions[i];
}

static inline struct tcpao_chain *kernel_chain(const struct gh_kernel *k, size_t session)
{
    return k->sessions[session].chain;
}

/* ---- ao_kernel_sessions.c ------------------------------------------------------------------- */

/* After every change of sockets, and with time: tells the zones whose flows are others now, and the
 * engine which sessions' sockets have all their keys. */
void kernel_update_guards(struct gh_kernel *k, struct gh_now now);
void kernel_drop_setup(struct gh_kernel *k);

/* ---- ao_kernel_match.c ---------------------------------------------------------------------- */

enum { KERNEL_NO_SESSION = -1 };

/* The configured session's index by its name, or KERNEL_NO_SESSION. */
long kernel_find_session(const struct gh_kernel *k, const char *name);
/* The session that covers these ends best: the engine's rule. local->addr_len 0: any address. */
long kernel_match(const struct gh_kernel *k, uint16_t zone, const struct tcpao_endpoint *local,
                  const struct tcpao_endpoint *remote, bool active);
/* Is this one of the sessions whose peers may open connections to the listener? */
bool kernel_serves(const struct gh_kernel *k, const struct kernel_socket *s,
                   const struct gh_kernel_socket *sock, size_t session);
/* Which of the listener's sessions has this peer. NULL: none. */
const char *kernel_owner(const struct gh_kernel *k, const struct kernel_socket *s,
                         const struct gh_prefix *peer);
/* The engine has an established connection of this session: it keeps the session until its end. */
bool kernel_engine_carries(const struct gh_kernel *k, const char *session);

/* ---- ao_kernel_table.c ---------------------------------------------------------------------- */

struct kernel_socket *kernel_find(const struct gh_kernel *k, uint64_t cookie);
/* Tracked from now on: watched and kept. NULL: no memory. */
struct kernel_socket *kernel_track(struct gh_kernel *k, struct gh_now now,
                                   const struct gh_socket_facts *f);
void kernel_forget(struct gh_kernel *k, struct kernel_socket *s);
bool kernel_carries(const struct kernel_socket *s, const char *session);
/* Adds or takes away one session. False: no memory. */
bool kernel_set_carries(struct kernel_socket *s, const char *session, bool carries);
void kernel_keep(struct gh_kernel *k, const struct kernel_socket *s);
void kernel_free_socket(struct kernel_socket *s);

/* ---- ao_kernel_keys.c ----------------------------------------------------------------------- */

/* Brings the keys of a connection (one that is to be: before connect()) in line. 0, or the errno of
 * the first step that failed; *locked: its chain has no key to send with. */
int kernel_keys_of_connection(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s,
                              const struct gh_kernel_socket *sock, size_t session, bool *locked);
/* The same for a listener and all sessions that it serves. True: which sessions it carries has
 * changed. */
bool kernel_keys_of_listener(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s,
                             const struct gh_kernel_socket *sock);
/* The session's keys are negotiated, and those on the socket are an earlier process's: nobody has
 * told us yet which they are. They stay as they are for a while. */
bool kernel_awaits_keys(const struct gh_kernel *k, struct gh_now now, const struct kernel_socket *s,
                        size_t session);
void kernel_drop_setup(struct gh_kernel *k);
/* Does the socket have keys that are not of this session's chain? */
bool kernel_has_other_keys(const struct gh_kernel *k, const struct gh_kernel_socket *sock,
                           size_t session);

/* ---- ao_kernel_status.c --------------------------------------------------------------------- */

/* The key at the last look, or NULL. */
const struct kernel_seen *kernel_seen_before(const struct kernel_socket *s,
                                             const struct gh_kernel_key *key);
/* Reads counters: before the keys are touched. False: the socket is closed. */
bool kernel_look(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s,
                 const struct gh_kernel_socket *sock);
void kernel_report(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s);
void kernel_report_end(struct gh_kernel *k, struct gh_now now, struct kernel_socket *s);

#endif
