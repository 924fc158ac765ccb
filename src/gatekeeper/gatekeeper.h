/*
 * The gatekeeper: TCP-AO sessions keyed by IKEv2.
 *
 * It stands between the TCP-AO engine, which has connections and no keys, and the IKEv2 core, which
 * makes Child SAs and knows nothing of TCP. What it decides: when to ask for a key, under which
 * KeyIDs, when its successor takes over, and when the old one goes, so that no segment is ever sent
 * that the other end cannot verify. Neither side sees the other (docs/specs/ikev2-tcp-ao.md).
 *
 *     gk_need()             the engine has a SYN and no key to sign it with
 *     gk_child_…()          the IKE core's callbacks: an SPI, installed, removed
 *     gk_failed()           the IKE core gave something up
 *     gk_key_unused()       both directions of all connections have left a key
 *     gk_key_used()         how much went by under a key
 *     gk_connection()       a connection of the session came up or ended
 *     gk_revoke()           the operator wants everything fresh
 *
 * Pure: no clock, no I/O; what is to be done goes out through `struct gk_ops`, whose functions may
 * not call back. Called by the `ike` process, the simulator and tests. Owns copies of the keys (a
 * restarted engine gets them again), wiped when they go.
 */
#ifndef GK_GATEKEEPER_H
#define GK_GATEKEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/secret.h"
#include "ike/v2/core.h"
#include "tcpao.h"

enum {
    GK_NAME = IKE2_NAME,
    GK_FIRST_NUMBER = 1 << 20, /* of negotiated keys; those of key chains are smaller */
    GK_TEXT = 200
};

/* The seven steps of "Using IKEv2 with TCP-AO": when each last happened. */
#define GK_STEPS(X)                                                                                \
    X(GK_STEP_DEMANDED, "demanded", "a connection is to be opened")                                \
    X(GK_STEP_ASKED, "asked", "IKE is asked for a key")                                            \
    X(GK_STEP_NEGOTIATED, "negotiated", "a master key is negotiated")                              \
    X(GK_STEP_DELIVERED, "delivered", "the gatekeeper has it")                                     \
    X(GK_STEP_INSTALLED, "installed", "it is an MKT of the key table")                             \
    X(GK_STEP_SIGNED, "signed", "traffic keys are derived, the SYN leaves")                        \
    X(GK_STEP_PROTECTED, "protected", "the connection is up")
#define GK_STEP_ENUM(constant, name, text) constant,
enum gk_step { GK_STEPS(GK_STEP_ENUM) GK_STEP_COUNT };
#undef GK_STEP_ENUM
const char *gk_step_name(enum gk_step step);
const char *gk_step_text(enum gk_step step);

/* One session: connections between two hosts, of which one side has `port`. */
struct gk_policy {
    char name[GK_NAME + 1];       /* of the session */
    char ike[IKE2_NAME + 1];      /* the IKE core's policy */
    char active[IKE2_NAME + 1];   /* its child policy for connections that we open; "": none */
    char passive[IKE2_NAME + 1];  /* for those that the peer opens; "": none */
    struct gh_addr local, remote; /* both known */
    uint16_t port;
    uint16_t source_first, source_last; /* ports of the opening side; 0 … 65535: any */
    /* KeyIDs that are not ours to use: a static chain's of the same session. */
    uint8_t static_send[32], static_recv[32]; /* bit n: KeyID n */
    bool fallback;                            /* without a negotiated key that chain is used */
    uint32_t patience_ms; /* so long IKE may take before the fallback, or a warning */
    /* So long others go before a new key at the responder: its answer may be under way. */
    uint32_t settle_ms;
};

enum gk_key_state {
    GK_KEY_LIVE,     /* IKE has it, it is the one to use */
    GK_KEY_REPLACED, /* another is: until nobody uses it */
    GK_KEY_ORPHAN,   /* its IKE SA is gone: until there is another, or its lifetime is over */
    GK_KEY_LEAVING   /* the peer has it no more, or will not: late segments are still verified */
};
const char *gk_key_state_name(enum gk_key_state state);

struct gk_key {
    struct gk_key *next;
    /* Its lifetimes only say which key goes before which (send.from), so that a clock that is set
     * changes nothing: the gatekeeper itself ends keys, by the monotonic clock. */
    struct tcpao_mkt mkt; /* secret points to `secret` */
    struct gh_secret secret;
    uint32_t child; /* the IKE core's; 0: gone there */
    enum gk_key_state state;
    bool initiator; /* we asked for it */
    bool retiring;  /* the peer is being told that it goes */
    struct gh_now since;
    uint64_t octets, segments; /* that the engine has told of */
    /* Monotonic; 0: not. */
    uint64_t settle_at; /* from then on it goes before older ones */
    uint64_t expire_at; /* its hard lifetime, also when IKE knows it no more */
    uint64_t patience;  /* the peer ought to have deleted it by then */
    uint64_t leave_at;  /* no late segment can come any more */
};

#define GK_EVENTS(X)                                                                               \
    X(GK_EVENT_ASKED, "key-asked")                                                                 \
    X(GK_EVENT_INSTALLED, "key-installed")                                                         \
    X(GK_EVENT_REPLACED, "key-replaced")                                                           \
    X(GK_EVENT_GONE, "key-gone")                                                                   \
    X(GK_EVENT_ORPHANED, "key-orphaned")                                                           \
    X(GK_EVENT_FAILED, "key-failed")                                                               \
    X(GK_EVENT_FALLBACK, "fallback")                                                               \
    X(GK_EVENT_RECOVERED, "recovered")                                                             \
    X(GK_EVENT_REVOKED, "revoked")
#define GK_EVENT_ENUM(constant, name) constant,
enum gk_event_kind { GK_EVENTS(GK_EVENT_ENUM) GK_EVENT_COUNT };
#undef GK_EVENT_ENUM
const char *gk_event_name(enum gk_event_kind kind);

struct gk_event {
    enum gk_event_kind kind;
    const char *session;
    uint32_t key;     /* its number; 0: none */
    const char *text; /* one sentence, never a secret */
};

struct gk_ops {
    void *ctx;
    void (*random)(void *ctx, void *out, size_t len);
    /* To the engine. `key` is borrowed for the call; left_ms: of its hard lifetime, 0: no limit. */
    void (*install)(void *ctx, const char *session, const struct tcpao_mkt *key, uint64_t left_ms);
    void (*rank)(void *ctx, const char *session, const struct tcpao_mkt *key); /* its lifetimes */
    void (*remove)(void *ctx, const char *session, uint32_t number);
    void (*fallback)(void *ctx, const char *session, bool on);
    /* To the IKE core, once the call is over: see ike2_acquire(), ike2_retire_child(),
     * ike2_renew() and ike2_child_used(). */
    void (*acquire)(void *ctx, const char *policy, const char *child, const struct ike_ts *local,
                    const struct ike_ts *remote);
    void (*retire)(void *ctx, uint32_t child);
    void (*renew)(void *ctx, const char *policy);
    void (*used)(void *ctx, uint32_t child, uint64_t octets, uint64_t segments);
    void (*event)(void *ctx, const struct gk_event *e);
};

struct gk;
struct gk *gk_new(const struct gk_ops *ops); /* NULL: no memory */
void gk_free(struct gk *g);                  /* wipes; keys stay where they were installed */

/* All sessions; those of the same name go on with their keys. Removed ones' keys are removed from
 * the engine and retired. False (nothing changed): no memory. */
bool gk_set_policies(struct gk *g, struct gh_now now, const struct gk_policy *list, size_t count);

void gk_need(struct gk *g, struct gh_now now, const char *session);
/* up: of the connection; signed: its SYN left. */
void gk_connection(struct gk *g, struct gh_now now, const char *session, bool up);
void gk_signed(struct gk *g, struct gh_now now, const char *session);
void gk_key_unused(struct gk *g, struct gh_now now, const char *session, uint32_t number);
/* So much went by under a key since the engine has it, of both directions: for lifetimes in octets
 * (of TCP payload) and segments. Less than the last time: the engine counts anew. */
void gk_key_used(struct gk *g, const char *session, uint32_t number, uint64_t octets,
                 uint64_t segments);
/* We begin anew and the engine has this key of ours, for so many milliseconds more (0: no limit).
 */
void gk_known(struct gk *g, struct gh_now now, const char *session, const struct tcpao_mkt *key,
              uint64_t left_ms);
/* The engine begins anew and knows nothing: it gets everything again. */
void gk_engine_started(struct gk *g, struct gh_now now);

/* What the IKE core's child_spi, child_install and child_remove are for children of ours. */
bool gk_child_is_ours(const struct gk *g, const char *policy, const char *child);
bool gk_child_spi(struct gk *g, struct gh_now now, const char *child, uint8_t *spi);
bool gk_child_installed(struct gk *g, struct gh_now now, const struct ike2_child_view *v);
/* False: not ours. */
bool gk_child_removed(struct gk *g, struct gh_now now, uint32_t child, enum ike2_removal why);
/* The core failed with this policy: the words of its event, which name the child if it was only
 * that of one session. */
void gk_failed(struct gk *g, struct gh_now now, const char *policy, const char *text);

/* A fresh IKE SA and fresh keys for all sessions of an IKE policy; connections stay up. False: no
 * session has it. */
bool gk_revoke(struct gk *g, struct gh_now now, const char *policy);

void gk_tick(struct gk *g, struct gh_now now);
uint64_t gk_next_deadline(const struct gk *g); /* monotonic milliseconds; UINT64_MAX: none */

/* ---- Looking --------------------------------------------------------------------------------- */

struct gk_view {
    const struct gk_policy *policy;
    const struct gk_key *keys; /* newest first */
    bool negotiating, fallback;
    unsigned connections;
    struct gh_now steps[GK_STEP_COUNT]; /* mono_ms 0: never */
    uint64_t installed, rekeyed, revoked, failed;
    int64_t failed_at; /* wall; 0: never */
    const char *failure;
};
void gk_each(const struct gk *g, void (*fn)(void *ctx, const struct gk_view *v), void *ctx);

#endif
