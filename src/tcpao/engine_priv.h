/*
 * What the files of the engine share; nobody else includes it.
 *
 *   engine.c      life, reload, ticks             policy.c   which policy a packet belongs to
 *   session.c     a policy with its counters      flows.c    the same of sockets with own keys
 *   own_keys.c    their connections' keys         zones.c    what is counted for a zone
 *   table.c       the connections                 saved.c    what survives the process
 *   outgoing.c    segments of the local stack     incoming.c segments of the peer
 *   options.c     TCP options that must change    rewrite.c  the packet that leaves
 *   icmp.c        RFC 5925 7.8                    notes.c    counters, refusals, events
 *   silence.c     what the local stack gave up    views.c    show, clear, reset
 *   adopt.c       connections that change hands   foreign.c  those that the kernel carries
 *   foreign_syn.c their SYNs, where keys are negotiated
 */
#ifndef GH_TCPAO_ENGINE_PRIV_H
#define GH_TCPAO_ENGINE_PRIV_H

#include "tcpao/endpoint.h"
#include "tcpao/engine.h"
#include "wire/ip.h"

/* The name of the chain of every socket's flow. */
#define AO_SOCKET_CHAIN "(socket)"

enum ao_limits {
    AO_NAME = 257,
    AO_STORY = 160,
    AO_REFUSAL_EVENT_MS = 10 * 1000, /* one event per session and reason in this time */
    AO_TOLD_BURST = 64,              /* such events at once, of all sessions together */
    AO_TOLD_MS = 100,                /* and then one in this time: each may need a diagnosis */
    AO_HALF_OPEN_MS = 130 * 1000,    /* Linux gives up a SYN after 127 s */
    AO_CLOSING_MS = 300 * 1000,      /* FIN seen, then silence */
    AO_FOREIGN_MS = 600 * 1000,      /* nobody spoke of the kernel's connection */
    AO_CLOSED_MS = 120 * 1000,       /* TIME-WAIT and late segments */
    AO_IDLE_MS = 24 * 3600 * 1000,   /* established but silent: gives way when the table is full */
    AO_SILENT_MS = 20 * 1000,        /* nothing from the peer: does the stack still have it? */
    AO_ASK_AGAIN_MS = 30 * 1000,     /* … as long as it stays silent */
    AO_ASK_MAX = 128,                /* … and how many in a sweep, to the end of a bucket */
    AO_SWEEP_MS = 10 * 1000,         /* how often old connections are looked for */
    AO_RESERVED_OPTION = 20,         /* octets that a key which comes later may need: a MAC of 16 */
    AO_ORPHANS = 64                  /* connections older than the engine, remembered for reset */
};

/* A policy in force, or a socket's flow, with what was counted for it. */
struct ao_session {
    struct ao_policy policy; /* strings and lists owned */
    uint64_t zone_id;        /* hash of the zone's name */
    uint8_t option_space;    /* the largest AO option that a key of the chain makes */
    size_t connections;
    uint64_t counters[AO_COUNTERS];
    uint64_t packets_in, packets_out;
    int64_t last_in_wall, last_out_wall;
    struct ao_refusal *refusals;            /* [AO_COUNTERS]; NULL: nothing was refused */
    uint64_t refusal_event_ms[AO_COUNTERS]; /* when the last event of this kind went out */
    uint64_t refusal_held[AO_COUNTERS];     /* how many were not told since */
    struct ao_key_counters *keys;           /* by position in the chain, unless negotiated */
    size_t key_count;
    int64_t last_event_wall;
    char last_event[AO_STORY];
    enum ao_foreign_keys foreign;
    struct ao_session *next_same_hash; /* index of host policies, or of flows by place */
    /* Flows of sockets only. */
    bool own_keys;
    struct ao_socket_flow flow; /* name and chain are in `policy` */
    uint64_t generation;        /* of the chain, when the flow was set */
    bool kept;                  /* its owner's latest word still has it */
    bool gone;                  /* taken away, but it has connections */
    struct ao_session *next_same_owner;
    struct ao_session *next_flow, *previous_flow;
};

/* What is counted and asked for per network namespace, where sockets have flows. */
struct ao_zone {
    bool named; /* a flow told its name */
    uint64_t id;
    bool strict;
    uint64_t counters[AO_COUNTERS];
};

struct ao_connection {
    struct ao_connection *next; /* in its hash bucket */
    struct ao_session *session;
    uint16_t zone;
    struct tcpao_endpoint local, remote;
    struct tcpao_conn *conn;
    struct tcpao_conn *pending; /* a verified SYN that the local stack has not answered yet */
    struct tcpao_chain *chain;  /* the chain of `conn`; a reference, or a copy of its own */
    struct tcpao_chain *pending_chain;
    bool in_kernel;             /* the kernel's own TCP-AO carries it */
    bool own_keys, pending_own; /* of a socket's flow: a copy, moved by hand */
    bool accept_icmp;
    struct ao_key_counters *keys; /* own_keys: by position in the chain */
    size_t key_count;
    char chain_name[AO_NAME];
    uint32_t slot; /* in the saved memory */
    enum ao_state state;
    bool active, without_ao, mismatched, restored;
    bool fin_in, fin_out;
    bool reset_wanted;
    uint32_t pending_isn;
    bool plain_syn; /* likewise a SYN without the option (allow-without-ao) */
    uint32_t plain_isn;
    uint32_t last_ack_out; /* what the local stack expects next: the place for a RST */
    int64_t since;
    uint64_t last_ms;    /* of a segment that passed in either direction, or of the end */
    uint64_t last_in_ms; /* of one from the peer */
    uint64_t asked_ms;   /* when the shell was asked whether the stack has it; 0: not yet */
    uint64_t segments_in, segments_out, octets_in, octets_out;
    uint64_t counters[AO_COUNTERS];
    bool keys_known; /* the two below are set */
    uint32_t seen_current, seen_rnext;
    bool leaving_known; /* a key that at least one direction has left */
    uint32_t leaving;
    int64_t last_event_wall;
    char last_event[AO_STORY];
};

/* A connection older than the engine: known by what the local stack sends. */
struct ao_orphan {
    const struct ao_session *session;
    uint16_t zone;
    struct tcpao_endpoint local, remote;
    uint32_t last_ack_out;
    bool reset_wanted;
    uint64_t last_ms;
};

/* One chain, watched for its end; several policies may use it. */
struct ao_chain_watch {
    const struct ao_session *session; /* the first that uses it: names and warning times */
    struct tcpao_chain *chain;        /* borrowed from the session */
    int64_t expiry;
    size_t warned; /* how many of the warning times have been told */
    bool expired_told;
};

struct ao_engine {
    struct ao_engine_settings settings;
    struct ao_session *sessions;
    size_t session_count;
    struct ao_session **host_index; /* by remote address, for policies of one host */
    size_t host_mask;
    struct ao_session **prefixes; /* the others, longest prefix first */
    size_t prefix_count;
    struct ao_session *flows;   /* of sockets, also those that went but have connections */
    struct ao_session **places; /* flows by zone, local port and peer */
    struct ao_session **owners; /* flows by owner */
    size_t flow_mask, flow_count;
    struct ao_zone **zones; /* by number; NULL: no socket was there */
    size_t zone_room;
    bool strict_everywhere;
    struct ao_connection **buckets;
    size_t bucket_mask;
    size_t connection_count;
    uint32_t *free_slots;
    size_t free_slot_count;
    struct ao_orphan orphans[AO_ORPHANS];
    struct ao_chain_watch *watches;
    size_t watch_count;
    int64_t next_change; /* wall time at which a key of some chain moves */
    uint64_t next_sweep_ms;
    size_t ask_next;  /* bucket at which the next sweep goes on to ask about silent connections */
    bool restored;    /* the memory was read */
    uint64_t told_ms; /* the refusals told so far are paid for until then, at AO_TOLD_MS each */
    uint64_t counters[AO_COUNTERS];
};

/* One TCP packet on its way through, with all that was found out about it. */
struct ao_transit {
    struct ao_engine *engine;
    struct gh_now now;
    const struct ao_packet *packet;
    struct gh_ip_packet ip;
    struct gh_tcp_segment tcp;
    const uint8_t *hdr; /* TCP header */
    const uint8_t *payload;
    struct tcpao_option option;
    struct tcpao_endpoint local, remote;
    struct ao_session *session;
    struct ao_connection *connection; /* or NULL */
    struct ao_result *result;
};

/* session.c */
/* False: no memory; ao_session_clear() all the same. */
bool ao_session_init(struct ao_session *s, const struct ao_policy *p);
void ao_session_clear(struct ao_session *s);
/* What was counted goes on in a session of the same name, key by key. */
void ao_session_carry(struct ao_session *to, struct ao_session *from);
void ao_session_carry_keys(struct ao_session *to, const struct ao_session *from);
struct ao_session *ao_session_by_name(struct ao_session *list, size_t count, const char *name);
struct tcpao_chain *ao_chain_copy(const struct tcpao_chain *chain, bool accept_mismatch);
/* The largest AO option that a key of the chain makes. */
uint8_t ao_largest_option(const struct tcpao_chain *chain);

/* flows.c */
struct ao_session *ao_flow_find(const struct ao_engine *e, uint16_t zone,
                                const struct tcpao_endpoint *local,
                                const struct tcpao_endpoint *remote);
/* After one of its connections went: a flow that was taken away goes with its last one. */
void ao_flow_released(struct ao_engine *e, struct ao_session *s);
/* Gives flows and their connections the numbers that the policies' zones have now. The table needs
 * ao_table_rehash() afterwards. */
void ao_flows_renumber(struct ao_engine *e);
/* The number of the zone in which flows with this id are. */
bool ao_flows_zone(const struct ao_engine *e, uint64_t zone_id, uint16_t *zone);
void ao_flows_free(struct ao_engine *e);

/* zones.c */
/* NULL: no memory. */
struct ao_zone *ao_zone_get(struct ao_engine *e, uint16_t zone);
struct ao_zone *ao_zone_look(const struct ao_engine *e, uint16_t zone); /* NULL: there is none */
bool ao_zone_is_strict(const struct ao_engine *e, uint16_t zone);
/* The zone of this name has this number now; who had it takes the other's place. False: no memory.
 */
bool ao_zone_name(struct ao_engine *e, uint16_t zone, uint64_t id);
void ao_zones_free(struct ao_engine *e);

/* own_keys.c */
/* The connection's beginning under a session: conn, and the chain that it uses: the session's, or a
 * copy that is the connection's own. NULL: no memory. */
struct tcpao_conn *ao_keys_begin(const struct ao_session *s, const struct tcpao_endpoint *local,
                                 const struct tcpao_endpoint *remote, struct tcpao_chain **chain);
/* Room that the option takes in segments of this transit, and that to leave for options of keys
 * that may come. */
size_t ao_option_space(const struct ao_transit *t);
size_t ao_option_reserve(const struct ao_transit *t);

/* policy.c */
bool ao_sessions_index(struct ao_engine *e);
/* Flows of sockets first, then policies. */
struct ao_session *ao_session_find(const struct ao_engine *e, uint16_t zone,
                                   const struct tcpao_endpoint *local,
                                   const struct tcpao_endpoint *remote);
/* A policy of the zone with this id, or NULL. */
const struct ao_session *ao_policy_in_zone(const struct ao_engine *e, uint64_t zone_id);
struct ao_session *ao_policy_find(const struct ao_engine *e, uint16_t zone,
                                  const struct tcpao_endpoint *local,
                                  const struct tcpao_endpoint *remote);
/* Does a session of any zone cover it? */
bool ao_session_elsewhere(const struct ao_engine *e, const struct tcpao_endpoint *local,
                          const struct tcpao_endpoint *remote);
uint64_t ao_hash(const void *data, size_t len, uint64_t start);
uint64_t ao_zone_id(const char *name);

/* table.c */
struct ao_connection *ao_table_find(const struct ao_engine *e, uint16_t zone,
                                    const struct tcpao_endpoint *local,
                                    const struct tcpao_endpoint *remote);
/* NULL when the table is full of live connections, or no memory. */
struct ao_connection *ao_table_add(struct ao_engine *e, struct gh_now now, struct ao_session *s,
                                   const struct tcpao_endpoint *local,
                                   const struct tcpao_endpoint *remote);
void ao_table_remove(struct ao_engine *e, struct ao_connection *c);
/* Moves the connection to another session. */
void ao_table_rehome(struct ao_engine *e, struct ao_connection *c, struct ao_session *s);
/* Forgets a verified SYN that waits for its answer. */
void ao_pending_drop(struct ao_connection *c);
void ao_table_sweep(struct ao_engine *e, struct gh_now now);
void ao_table_clear(struct ao_engine *e);
/* After zones were numbered anew. */
void ao_table_rehash(struct ao_engine *e);

/* silence.c */
void ao_silence_sweep(struct ao_engine *e, struct gh_now now);

/* saved.c */
bool ao_saved_setup(struct ao_engine *e);
void ao_saved_write(struct ao_engine *e, const struct ao_connection *c);
void ao_saved_erase(struct ao_engine *e, uint32_t slot);
void ao_saved_restore(struct ao_engine *e, struct gh_now now);

/* notes.c */
void ao_count(struct ao_engine *e, struct ao_session *s, struct ao_connection *c, unsigned counter);
void ao_tell(struct ao_engine *e, struct gh_now now, enum ao_event_kind kind, struct ao_session *s,
             struct ao_connection *c, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* Counts a packet that is dropped, remembers it as the session's latest refusal of that kind and
 * tells it unless it told one lately. Always leaves the verdict at AO_DROP. */
void ao_refuse(struct ao_transit *t, unsigned counter);
void ao_hold(struct ao_transit *t);
void ao_set_state(struct ao_engine *e, struct gh_now now, struct ao_connection *c,
                  enum ao_state state);
/* So many segments that the kernel dropped, counted already: remembered and told as a refusal
 * without endpoints. */
void ao_refused_elsewhere(struct ao_engine *e, struct gh_now now, struct ao_session *s,
                          unsigned counter, uint64_t more);
/* Tells key moves of a connection since the last look. */
void ao_note_keys(struct ao_engine *e, struct gh_now now, struct ao_connection *c);
struct ao_key_counters *ao_key_counters(struct ao_session *s, uint32_t key_number);

/* key_counters.c: NULL: none. */
struct ao_key_counters *ao_counters_at(struct ao_key_counters *keys, size_t count,
                                       uint32_t key_number);
/* Counters for the keys of a chain, by position in it; those of keys that stay go on. False
 * (nothing changed): no memory. */
bool ao_counters_follow(struct ao_key_counters **keys, size_t *count,
                        const struct tcpao_chain *chain);

/* outgoing.c, incoming.c, icmp.c */
void ao_outgoing(struct ao_transit *t);
void ao_incoming(struct ao_transit *t);
void ao_icmp(struct ao_transit *t);

/* options.c: each copies a header (20 … 60 octets) to `out` with the data offset set and returns
 * its new length. */
/* What fits of a SYN's options in `room` octets, by a rule that depends on room alone, so that both
 * ends of a handshake agree: below 20 no timestamps, below 12 neither SACK nor window scaling. */
size_t ao_options_limit_syn(const uint8_t *hdr, size_t len, size_t room,
                            uint8_t out[TCPAO_TCP_HEADER_MAX]);
/* Drops SACK blocks from the end until the options fit in `room`. */
size_t ao_options_trim_sack(const uint8_t *hdr, size_t len, size_t room,
                            uint8_t out[TCPAO_TCP_HEADER_MAX]);
/* Lowers the MSS so that segments of the local stack leave room for the option. */
void ao_options_lower_mss(uint8_t *hdr, size_t len, size_t ip_header_len, uint32_t mtu,
                          size_t option_space);

/* foreign_syn.c */
bool ao_is_foreign_syn(const struct ao_transit *t);
void ao_foreign_syn(struct ao_transit *t);

/* rewrite.c */
/* The packet with another TCP header and the same payload. The checksum is updated by the
 * difference, so that damage on the way stays visible. */
void ao_rewrite_header(struct ao_transit *t, const uint8_t *hdr, size_t len);
/* A bare RST to the local stack in place of the packet. */
void ao_rewrite_as_reset(struct ao_transit *t, uint32_t seq);

#endif
