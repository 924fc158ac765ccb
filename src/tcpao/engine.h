/*
 * The TCP-AO engine's core: whole IP packets of other people's TCP connections in, verdicts out.
 *
 * Outgoing segments of a protected session get the option; incoming ones are verified and
 * stripped, so that a TCP stack that knows nothing of TCP-AO runs over it. Pure: no I/O, no clock,
 * no randomness. The `ao` process, the simulator and the fuzzer are its shells.
 *
 * Everything fails closed: a packet of a protected session that cannot be signed or verified is
 * dropped and counted, unless its policy says otherwise in so many words.
 */
#ifndef GH_TCPAO_ENGINE_H
#define GH_TCPAO_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "tcpao.h"

enum ao_mode {
    AO_REQUIRED,       /* default: nothing passes without a right MAC */
    AO_ALLOW_WITHOUT,  /* Junos allow-without-tcpao: a connection may come up without the option */
    AO_ACCEPT_MISMATCH /* Cisco accept-ao-mismatch: a wrong MAC is counted and passes */
};

enum ao_direction { AO_EITHER, AO_ACTIVE, AO_PASSIVE };

/* One protected session, or a prefix of dynamic neighbours. */
struct ao_policy {
    const char *name;          /* copied by the engine */
    const char *chain_name;    /* copied */
    struct tcpao_chain *chain; /* the engine takes its own reference */
    uint16_t zone;             /* network namespace and VRF, as numbered by the shell */
    const char *zone_name;     /* copied; tells zones apart across restarts. NULL: "" */
    struct gh_prefix peer;
    struct gh_prefix local; /* addr.len 0: any */
    uint16_t port;
    enum ao_direction direction;
    enum ao_mode mode;
    bool accept_icmp;
    /* Keys are negotiated when they are needed: SYNs that come before wait for them (AO_HOLD), and
     * the keys that are in the chain say themselves which goes first. */
    bool negotiated;
    /* Ports of the side that opens; both 0: any. */
    uint16_t source_first, source_last;
    /* Seconds before the chain's last key ends at which to warn, descending. Copied. */
    const int64_t *warn_before;
    size_t warn_count;
};

/* Why a packet was dropped or passed: the counters of a session, of a connection and of the whole
 * engine. The first TCPAO_RESULT_COUNT are libtcpao's results, in its order. */
#define AO_COUNTERS_MORE(X)                                                                        \
    X(SIGNED, "signed", "segments sent with the option")                                           \
    X(SENT_UNSIGNED, "sent-unsigned", "segments sent without it (allow-without-ao)")               \
    X(RECEIVED_UNSIGNED, "received-unsigned", "segments accepted without it (allow-without-ao)")   \
    X(MISMATCH_ACCEPTED, "mismatch-accepted", "wrong MACs let through (accept-mismatch)")          \
    X(REPEATED, "repeated", "verified data that had been acknowledged: sent again, or replayed")   \
    X(NO_CONNECTION, "no-connection", "segments of a connection whose handshake was not seen")     \
    X(UNEXPECTED_AO, "unexpected-ao", "the option on a connection that came up without it")        \
    X(REFUSED_DIRECTION, "refused-direction", "SYNs against the configured direction")             \
    X(ICMP_IGNORED, "icmp-ignored", "ICMP errors ignored (RFC 5925 7.8)")                          \
    X(TABLE_FULL, "table-full", "no room for another connection")                                  \
    X(NOT_TCP, "not-tcp", "packets that could not be parsed")                                      \
    X(FRAGMENT, "fragment", "IP fragments, which cannot be verified")                              \
    X(RESET_INJECTED, "reset-injected", "connections reset on the operator's word")                \
    X(HELD, "held", "SYNs that wait for a key to be negotiated")

enum ao_counter {
    AO_COUNT_RESULTS_END = TCPAO_RESULT_COUNT - 1,
#define AO_COUNTER_ENUM(id, name, text) AO_COUNT_##id,
    AO_COUNTERS_MORE(AO_COUNTER_ENUM)
#undef AO_COUNTER_ENUM
        AO_COUNTERS
};
const char *ao_counter_name(unsigned counter);
const char *ao_counter_text(unsigned counter);

/* ---- Events: what an operator wants to be told; rate-limited by the engine ------------------ */

#define AO_EVENTS(X)                                                                               \
    X(CONNECTION_OPENING, "connection-opening")                                                    \
    X(CONNECTION_UP, "connection-up")                                                              \
    X(CONNECTION_CLOSED, "connection-closed")                                                      \
    X(KEY_CHANGED, "key-changed") /* current or rnext key moved */                                 \
    X(KEY_DROPPED, "key-dropped") /* both directions have left a key */                            \
    X(SEGMENT_REFUSED, "segment-refused")                                                          \
    X(DOWNGRADE, "downgrade")       /* a connection runs without protection by policy */           \
    X(NO_HANDSHAKE, "no-handshake") /* a connection older than the engine */                       \
    X(CHAIN_EXPIRING, "chain-expiring")                                                            \
    X(CHAIN_EXPIRED, "chain-expired")                                                              \
    X(CONNECTION_RESTORED, "connection-restored")                                                  \
    X(CONNECTION_RESET, "connection-reset")

enum ao_event_kind {
#define AO_EVENT_ENUM(id, name) AO_EVENT_##id,
    AO_EVENTS(AO_EVENT_ENUM)
#undef AO_EVENT_ENUM
        AO_EVENT_COUNT
};
const char *ao_event_name(enum ao_event_kind kind);

struct ao_event {
    enum ao_event_kind kind;
    struct gh_now now;
    const char *session; /* policy name */
    bool has_endpoints;
    struct tcpao_endpoint local, remote;
    int counter;    /* reason of SEGMENT_REFUSED, else -1 */
    char text[384]; /* the story, one sentence, never a secret */
};

typedef void (*ao_event_fn)(void *ctx, const struct ao_event *event);

/* Asks the shell to have the local stack abort a connection (ao_engine_reset()). */
typedef void (*ao_abort_fn)(void *ctx, uint16_t zone, const struct tcpao_endpoint *local,
                            const struct tcpao_endpoint *remote);

/* Asks the shell whether the local stack still has a connection that has been silent for a while.
 * It answers with ao_engine_local_gone(), or not at all. */
typedef void (*ao_lookup_fn)(void *ctx, uint16_t zone, const struct tcpao_endpoint *local,
                             const struct tcpao_endpoint *remote);

/* ---- The engine ----------------------------------------------------------------------------- */

struct ao_engine_settings {
    uint32_t max_connections;
    ao_event_fn event;   /* may be NULL */
    ao_abort_fn abort;   /* may be NULL */
    ao_lookup_fn lookup; /* may be NULL */
    void *event_ctx;     /* of all three */
    /* The kernel knows TCP-MD5: it refuses such segments where no key for them is, so those of
     * sockets with keys of their own are left to it, and counted there as Linux does. */
    bool kernel_has_md5;
    /* Memory that outlives the process (a mapped file), or NULL: ISNs, SNEs and key numbers of each
     * connection are kept there, never a secret. ao_engine_memory_size() octets, 8-aligned. */
    void *memory;
    size_t memory_len;
};

size_t ao_engine_memory_size(uint32_t max_connections);
struct ao_engine *ao_engine_new(const struct ao_engine_settings *s);
void ao_engine_free(struct ao_engine *e);

/* Replaces all policies. Connections that a policy of the same chain name still covers live on
 * with the new chain; others are forgotten. The first call after ao_engine_new() also takes over
 * the connections found in `memory`. Returns false (nothing changed) without memory. */
bool ao_engine_set_policies(struct ao_engine *e, struct gh_now now, const struct ao_policy *list,
                            size_t count);

enum ao_way { AO_IN, AO_OUT }; /* from the network to the local stack, or the reverse */

struct ao_packet {
    enum ao_way way;
    uint16_t zone;
    uint32_t mtu;        /* of the interface; 0: unknown */
    const uint8_t *data; /* IPv4 or IPv6 packet, only read */
    size_t len;
};

/* AO_HOLD: a SYN for which there is no key yet, of a session with negotiated ones. The shell keeps
 * it for a while, has a key made, and brings it again; it drops what nobody made a key for. */
enum ao_verdict { AO_PASS, AO_DROP, AO_REPLACE, AO_HOLD };

enum { AO_HEAD_MAX = 512 };

struct ao_result {
    enum ao_verdict verdict;
    int counter;         /* what it was counted as, or -1 */
    const char *session; /* of AO_HOLD: whose key is missing. The engine's */
    /* AO_REPLACE: the new packet is head[0, head_len) and then data[tail, len) of the old one. */
    uint8_t head[AO_HEAD_MAX];
    size_t head_len;
    size_t tail;
};

void ao_engine_packet(struct ao_engine *e, struct gh_now now, const struct ao_packet *packet,
                      struct ao_result *result);

/* Lifetimes, warnings and forgotten connections. Call when ao_engine_next_deadline() has come. */
void ao_engine_tick(struct ao_engine *e, struct gh_now now);
/* When to call ao_engine_tick() next, in monotonic milliseconds. */
uint64_t ao_engine_next_deadline(const struct ao_engine *e, struct gh_now now);

/* Resets the connections of a session (or only those with this remote address; len 0: all), also
 * those that are older than the engine and whose packets it drops. The shell is asked to abort
 * them; where it cannot, the local stack gets a RST with the connection's next incoming packet.
 * Returns how many. */
size_t ao_engine_reset(struct ao_engine *e, struct gh_now now, const char *session,
                       const struct gh_addr *remote);
/* The answer to ao_lookup_fn: the local stack has this connection no more, or (closing) no program
 * uses it any more. Does nothing when segments came since the question. */
void ao_engine_local_gone(struct ao_engine *e, struct gh_now now, uint16_t zone,
                          const struct tcpao_endpoint *local, const struct tcpao_endpoint *remote,
                          bool closing);
/* Zeroes counters of one session, or of all (NULL). False: no such session. */
bool ao_engine_clear(struct ao_engine *e, const char *session);

/* ---- States of a connection ------------------------------------------------------------------ */

#define AO_STATES(X)                                                                               \
    X(SYN_SENT, "syn-sent")                                                                        \
    X(SYN_RECEIVED, "syn-received")                                                                \
    X(ESTABLISHED, "established")                                                                  \
    X(CLOSING, "closing")                                                                          \
    X(CLOSED, "closed")

enum ao_state {
#define AO_STATE_ENUM(id, name) AO_STATE_##id,
    AO_STATES(AO_STATE_ENUM)
#undef AO_STATE_ENUM
};
const char *ao_state_name(enum ao_state state);

struct ao_key_counters {
    uint32_t number;               /* the key's */
    uint64_t good_in, bad_in, out; /* segments */
    uint64_t octets;               /* payload of good ones, both ways */
};

/* ---- Sockets with keys of their own -----------------------------------------------------------
 *
 * A program may bring its own keys (Linux's TCP-AO socket options, which src/emulate answers). Such
 * a socket's flows go before all policies. Lifetimes play no part: connections are manual
 * (tcpao_conn_set_manual()). A connection takes a copy of its flow's keys when it begins, as Linux
 * does; later changes of a listener do not touch it.
 */

struct ao_socket_flow {
    uint64_t owner; /* the socket, as its owner names it */
    uint16_t zone;  /* with the name below as in struct ao_policy */
    const char *zone_name;
    const char *name;      /* for show and events: "bird[812] *:179". Copied. */
    struct gh_prefix peer; /* bits 0: any of this family */
    struct gh_addr local;  /* len 0: any */
    uint16_t local_port;   /* never 0 */
    uint16_t remote_port;  /* 0: any (a listener) */
    bool accept_icmp;      /* of connections that begin here */
    /* The rest of a listener's peers, for whom it has no key: segments without the option are not
     * ours and pass, those with it are refused here. Such a flow stands behind all policies. */
    bool others;
    struct tcpao_chain *chain;       /* a reference is taken. Empty: all is refused (ao_required) */
    bool current_known, rnext_known; /* keys to open with */
    uint32_t current_key, rnext_key;
};

/* Replaces all flows of an owner; none: takes them away. A flow with the same ends as before goes
 * on with its counters. Connections of a flow that went live on with their own keys. The zone's
 * number here is what the zone of this name has from now on, also for earlier flows and connections
 * of sockets. Keys have infinite lifetimes. Flows that are as they were, with the same chain, cost
 * little. False (nothing changed): no memory. */
bool ao_engine_set_socket(struct ao_engine *e, struct gh_now now, uint64_t owner,
                          const struct ao_socket_flow *flows, size_t count);

/* Segments with the option that nobody here expects are refused in this zone, as UNEXPECTED_AO
 * (Linux: TCP_AOUNEXPECTED), instead of passed. */
void ao_engine_set_strict(struct ao_engine *e, uint16_t zone, bool strict);

/* [AO_COUNTERS] of all sockets' flows of a zone, as Linux counts per network namespace; NULL: none
 * was counted. */
const uint64_t *ao_engine_zone_counters(const struct ao_engine *e, uint16_t zone);

/* What one flow counted, its connections' segments included. */
struct ao_flow_counters {
    const struct tcpao_chain *chain;
    const uint64_t *counters;           /* [AO_COUNTERS] */
    const struct ao_key_counters *keys; /* by position in the chain */
    size_t key_count;
};
/* The flows of one owner. */
void ao_engine_each_flow(const struct ao_engine *e, uint64_t owner,
                         void (*fn)(void *ctx, const struct ao_flow_counters *flow), void *ctx);

/* What one connection's own socket may ask and set. Works for every connection in the table. */
struct ao_connection_keys {
    struct tcpao_chain *chain; /* borrowed */
    bool accept_icmp;
    struct tcpao_conn_state conn;
    const uint64_t *counters; /* [AO_COUNTERS] */
    const struct ao_key_counters
        *keys; /* by position in the chain; only for sockets' flows, else NULL */
    size_t key_count;
};
/* False: no such connection. */
bool ao_engine_get_keys(const struct ao_engine *e, uint16_t zone,
                        const struct tcpao_endpoint *local, const struct tcpao_endpoint *remote,
                        struct ao_connection_keys *out);
struct ao_keys_change {
    struct tcpao_chain
        *chain; /* NULL: stays. Key numbers name the same keys, with their counters */
    bool set_current, set_rnext;
    uint32_t current_key, rnext_key;
    bool set_accept_icmp, accept_icmp;
    const uint64_t *counters; /* [AO_COUNTERS], or NULL: stay */
};
/* All or nothing. False: no such connection, no such key in the chain, no memory; or keys of a
 * connection whose keys are a policy's. */
bool ao_engine_change_keys(struct ao_engine *e, struct gh_now now, uint16_t zone,
                           const struct tcpao_endpoint *local, const struct tcpao_endpoint *remote,
                           const struct ao_keys_change *change);

/* ---- Adoption and hand-over --------------------------------------------------------------------
 *
 * A connection that somebody else carried (the kernel, another engine, the process before a
 * checkpoint) with what it takes to go on: ISNs, SNEs, key numbers. No secret.
 */
struct ao_adoption {
    uint16_t zone;
    struct tcpao_endpoint local, remote;
    enum ao_state state; /* ESTABLISHED or CLOSING */
    bool active;
    bool manual;               /* of a socket's flow: with its own chain below */
    struct tcpao_chain *chain; /* NULL: the session's */
    struct tcpao_conn_state conn;
};
enum ao_adopt_result { AO_ADOPTED, AO_ADOPT_NO_SESSION, AO_ADOPT_NO_KEY, AO_ADOPT_FULL };
/* Replaces a connection with the same ends. The session (or socket flow) must cover it, and its
 * chain have the keys that the state names. */
enum ao_adopt_result ao_engine_adopt(struct ao_engine *e, struct gh_now now,
                                     const struct ao_adoption *a);
/* Forgets a connection without touching the local stack: somebody else carries it on. */
bool ao_engine_release(struct ao_engine *e, uint16_t zone, const struct tcpao_endpoint *local,
                       const struct tcpao_endpoint *remote);

/* ---- Connections that the kernel's own TCP-AO carries ------------------------------------------
 *
 * The engine sees none of their segments; their shell (the kernel backend) says now and then how
 * they are, so that show, explain and monitor are the same for every backend.
 */
struct ao_foreign {
    const char *session; /* a policy's name */
    struct tcpao_endpoint local, remote;
    uint16_t zone;
    enum ao_state state;
    bool active;
    struct tcpao_conn_state conn; /* what is known of it */
    uint64_t segments_in, segments_out, octets_in, octets_out;
    const uint64_t *counters; /* [AO_COUNTERS], since the connection began */
};
/* Adds or updates, in place of a connection of the engine's own with the same ends; counters of the
 * session grow by what the connection's grew. False: no such
 * session, or the table is full. */
bool ao_engine_foreign(struct ao_engine *e, struct gh_now now, const struct ao_foreign *f);
/* What a listener of the kernel's refused, for a session: added to its counters, as its latest
 * refusal without endpoints. */
void ao_engine_foreign_refusals(struct ao_engine *e, struct gh_now now, const char *session,
                                unsigned counter, uint64_t more);
/* So much more went by under a key. */
void ao_engine_foreign_use(struct ao_engine *e, const char *session,
                           const struct ao_key_counters *more);

/* A session whose keys are negotiated, carried by the kernel: SYNs come here all the same, signed,
 * and are held until the sockets have the key (AO_HOLD). New policies are AO_FOREIGN_NOT. */
enum ao_foreign_keys {
    AO_FOREIGN_NOT,    /* the engine carries it */
    AO_FOREIGN_BEHIND, /* the chain has changed, and not all sockets follow yet */
    AO_FOREIGN_READY
};
void ao_engine_set_foreign(struct ao_engine *e, const char *session, enum ao_foreign_keys keys);
/* A policy's chain, borrowed. NULL: no such session. */
struct tcpao_chain *ao_engine_chain(const struct ao_engine *e, const char *session);

/* ---- Views, for show and explain ------------------------------------------------------------ */

struct ao_connection_view {
    const char *session, *chain_name;
    uint16_t zone;
    struct tcpao_endpoint local, remote;
    enum ao_state state;
    bool active;     /* we sent the first SYN */
    bool without_ao; /* allow-without-ao: the peer came without */
    bool mismatched; /* accept-mismatch: a wrong MAC was let through */
    bool restored;   /* taken over from an earlier instance, or adopted */
    bool in_kernel;  /* the kernel's own TCP-AO carries it */
    bool own_keys;   /* of a socket's flow: `session` is the flow's name */
    bool flow_gone;  /* … which was taken away since: the connection outlives its socket */
    int64_t since;   /* wall time of the state */
    struct tcpao_conn_state conn;
    struct tcpao_chain *chain; /* borrowed: valid during the callback */
    uint64_t segments_in, segments_out, octets_in, octets_out; /* TCP payload octets */
    const uint64_t *counters;                                  /* [AO_COUNTERS] */
    int64_t last_event_wall;                                   /* 0: none */
    const char *last_event;
};

struct ao_refusal {
    bool seen;
    int64_t wall;
    enum ao_way way;
    struct tcpao_endpoint local, remote;
    struct tcpao_option option; /* of the refused segment */
    uint8_t tcp_flags;
    char diagnosis[200]; /* which usual suspect fits, or empty */
};

struct ao_session_view {
    const struct ao_policy *policy;
    size_t connections;                /* in the table now */
    const uint64_t *counters;          /* [AO_COUNTERS] */
    const struct ao_refusal *refusals; /* [AO_COUNTERS]: the latest of each kind */
    uint64_t packets_in, packets_out;  /* of any kind, since the policy was loaded */
    int64_t last_in_wall, last_out_wall;
    int64_t last_event_wall;
    const char *last_event;
    const struct ao_key_counters *keys; /* of those in the chain when one of them was last used */
    size_t key_count;
    bool own_keys;  /* a socket's flow, and no policy of the configuration */
    uint64_t owner; /* then: whose */
};

typedef void (*ao_connection_fn)(void *ctx, const struct ao_connection_view *view);
typedef void (*ao_session_fn)(void *ctx, const struct ao_session_view *view);

void ao_engine_each_connection(const struct ao_engine *e, ao_connection_fn fn, void *ctx);
void ao_engine_each_session(const struct ao_engine *e, ao_session_fn fn, void *ctx);
const uint64_t *ao_engine_counters(const struct ao_engine *e); /* [AO_COUNTERS], whole engine */

#endif
