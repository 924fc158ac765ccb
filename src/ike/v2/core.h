/*
 * The IKEv2 core (RFC 7296): all IKE SAs of a host, without sockets, clock or randomness.
 *
 * Datagrams, commands, results of jobs and the time go in; datagrams, jobs, Child SAs and events
 * come out through `struct ike2_ops`. The callbacks may not call the core back. Time is frozen for
 * one call. One core serves one thread.
 *
 *     ike2_input()     a datagram came
 *     ike2_tick()      ike2_next_deadline() is over
 *     ike2_complete()  the keeper answered a job
 *     ike2_initiate(), ike2_rekey_…(), ike2_terminate_…()   the operator, or a packet without an SA
 */
#ifndef IKE2_CORE_H
#define IKE2_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/view.h"
#include "ike/header.h"
#include "ike/lockout.h"
#include "ike/v2/policy.h"
#include "ike/v2/proven.h"
#include "keeper/request.h"

enum { IKE2_PORT = 500, IKE2_PORT_NAT_T = 4500, IKE2_DATAGRAM_MAX = 65535 - 28 };

struct ike2_endpoint {
    struct gh_addr addr;
    uint16_t port;
    uint16_t zone; /* of an end of ours: where it is, as in struct ike2_policy */
};

/* One UDP datagram without the non-ESP marker, which goes before it if `marker` is set (port 4500
 * at our end). An empty one is a NAT keepalive. */
struct ike2_datagram {
    struct ike2_endpoint local, remote;
    bool marker;
    uint8_t *data; /* input: opened in place */
    size_t len;
};

/* ---- Child SAs ------------------------------------------------------------------------------ */

/* All that its user needs, both directions. Valid during the call; keys are to be copied and wiped.
 * Keys are in the order of RFC 7296 2.17: encryption, then integrity. */
struct ike2_child_view {
    uint32_t id; /* ours, unique in this core */
    uint64_t sa; /* the IKE SA's id */
    const struct ike2_policy *policy;
    const struct ike2_child_policy *child;
    uint8_t protocol; /* IKE_PROTO_ESP … */
    enum ike2_mode mode;
    struct gh_view spi_in, spi_out; /* 4 octets; TCP-AO: 1 */
    const struct ike_proposal *suite;
    struct gh_view key_in, key_out; /* all key material of a direction */
    struct ike2_endpoint local, remote;
    const struct gh_identity *remote_id;
    bool udp_encapsulation;
    /* The peer is behind a NAT, which may give it another address or port at any time: what goes to
     * it may follow where authentic packets come from (RFC 7296 2.23). */
    bool follows;
    bool no_tfc; /* the peer takes no packets filled up (ESP_TFC_PADDING_NOT_SUPPORTED) */
    const struct ike_ts_list *ts_local, *ts_remote;
    uint32_t replaces;   /* the Child SA that this one rekeys; 0: none */
    bool initiator;      /* we asked for it */
    bool redundant;      /* both ends rekeyed at once and the peer's stays: this one goes at once */
    bool fragments_also; /* agreed to: NON_FIRST_FRAGMENTS_ALSO */
    struct ike2_lifetime lifetime;
    struct ike_tcp_ao tcp_ao; /* of IKE2_TCP_AO, as agreed */
};

enum ike2_removal {
    IKE2_REMOVED_DELETED,  /* by the peer */
    IKE2_REMOVED_COMMAND,  /* by the operator */
    IKE2_REMOVED_REPLACED, /* rekeyed, and the old one is no longer used */
    IKE2_REMOVED_EXPIRED,
    IKE2_REMOVED_LOST,   /* with its IKE SA, or by the peer */
    IKE2_REMOVED_IDLE,   /* no packet went through it */
    IKE2_REMOVED_REFUSED /* whoever was to carry it does not, or not any more */
};

/* ---- What the core tells -------------------------------------------------------------------- */

#define IKE2_EVENTS(X)                                                                             \
    X(IKE2_EVENT_SA_BEGUN, "sa-begun")                                                             \
    X(IKE2_EVENT_SA_UP, "sa-up")                                                                   \
    X(IKE2_EVENT_SA_REKEYED, "sa-rekeyed")                                                         \
    X(IKE2_EVENT_SA_DOWN, "sa-down")                                                               \
    X(IKE2_EVENT_SA_FAILED, "sa-failed") /* never came up, or was refused */                       \
    X(IKE2_EVENT_CHILD_UP, "child-up")                                                             \
    X(IKE2_EVENT_CHILD_REKEYED, "child-rekeyed")                                                   \
    X(IKE2_EVENT_CHILD_DOWN, "child-down")                                                         \
    X(IKE2_EVENT_CHILD_FAILED, "child-failed")                                                     \
    X(IKE2_EVENT_CHILD_MOVED, "child-moved") /* told by the shell, of child_update */              \
    X(IKE2_EVENT_MOVED, "moved")             /* an address or port of either end changed */        \
    X(IKE2_EVENT_NOT_MOVED, "not-moved")     /* it would have, but that was refused */             \
    X(IKE2_EVENT_GATEWAY, "gateway")         /* another of the peer's gateways is in use */        \
    X(IKE2_EVENT_LIMIT, "limit")             /* of IKE SAs: nearly reached, or not any more */     \
    X(IKE2_EVENT_STORY, "story")             /* a step of an exchange, for the log */

#define IKE2_EVENT_ENUM(constant, name) constant,
enum ike2_event_kind { IKE2_EVENTS(IKE2_EVENT_ENUM) IKE2_EVENT_COUNT };
#undef IKE2_EVENT_ENUM

struct ike2_event {
    enum ike2_event_kind kind;
    const char *policy; /* name; "" before it is known */
    uint64_t sa;        /* 0: none */
    uint32_t child;     /* 0: none */
    const struct ike2_endpoint *remote;
    const char *text; /* in words: what was proposed, chosen, refused and why */
};
const char *ike2_event_name(enum ike2_event_kind kind);

/* Why IKE SAs and Child SAs did not come about, and what was dropped. */
#define IKE2_COUNTS(X)                                                                             \
    X(IKE2_COUNT_IN, "datagrams-in")                                                               \
    X(IKE2_COUNT_OUT, "datagrams-out")                                                             \
    X(IKE2_COUNT_RETRANSMITTED, "retransmitted")                                                   \
    X(IKE2_COUNT_REPEATED, "repeated-requests")                                                    \
    X(IKE2_COUNT_MALFORMED, "malformed")                                                           \
    X(IKE2_COUNT_NOT_AUTHENTIC, "not-authentic")                                                   \
    X(IKE2_COUNT_UNKNOWN_SPI, "unknown-spi")                                                       \
    X(IKE2_COUNT_INVALID_SPI_SENT, "invalid-spi-sent")                                             \
    X(IKE2_COUNT_INVALID_SPI_HEARD, "invalid-spi-heard") /* and not believed */                    \
    X(IKE2_COUNT_PEER_CRASHED, "peer-crashed")                                                     \
    X(IKE2_COUNT_NO_POLICY, "no-policy")                                                           \
    X(IKE2_COUNT_NOT_ADMITTED, "not-admitted")                                                     \
    X(IKE2_COUNT_COOKIES_SENT, "cookies-sent")                                                     \
    X(IKE2_COUNT_BAD_COOKIE, "bad-cookie")                                                         \
    X(IKE2_COUNT_PUZZLES_SENT, "puzzles-sent")                                                     \
    X(IKE2_COUNT_PUZZLES_SOLVED, "puzzles-solved") /* by peers */                                  \
    X(IKE2_COUNT_BAD_PUZZLE, "bad-puzzle")                                                         \
    X(IKE2_COUNT_PUZZLE_TOO_HARD, "puzzle-too-hard") /* for us */                                  \
    X(IKE2_COUNT_HALF_OPEN_LIMIT, "half-open-limit")                                               \
    X(IKE2_COUNT_LOCKED_OUT, "locked-out")                                                         \
    X(IKE2_COUNT_SA_LIMIT, "sa-limit")                                                             \
    X(IKE2_COUNT_ADMIN_DOWN, "admin-down")                                                         \
    X(IKE2_COUNT_NO_MEMORY, "no-memory")                                                           \
    X(IKE2_COUNT_SA_INITIATED, "sa-initiated")                                                     \
    X(IKE2_COUNT_SA_ANSWERED, "sa-answered")                                                       \
    X(IKE2_COUNT_SA_UP, "sa-up")                                                                   \
    X(IKE2_COUNT_REDIRECTS_SENT, "redirects-sent")                                                 \
    X(IKE2_COUNT_REDIRECTED, "redirected")                                                         \
    X(IKE2_COUNT_NOT_REDIRECTED, "not-redirected")                                                 \
    X(IKE2_COUNT_SA_RESUMED, "sa-resumed")                                                         \
    X(IKE2_COUNT_TICKETS_GIVEN, "tickets-given")                                                   \
    X(IKE2_COUNT_BAD_TICKET, "bad-ticket")                                                         \
    X(IKE2_COUNT_SA_REKEYED, "sa-rekeyed")                                                         \
    X(IKE2_COUNT_CHILD_UP, "child-up")                                                             \
    X(IKE2_COUNT_CHILD_REKEYED, "child-rekeyed")                                                   \
    X(IKE2_COUNT_NO_PROPOSAL, "no-proposal-chosen")                                                \
    X(IKE2_COUNT_INVALID_KE, "invalid-ke")                                                         \
    X(IKE2_COUNT_AUTH_FAILED, "authentication-failed")                                             \
    X(IKE2_COUNT_TS_UNACCEPTABLE, "ts-unacceptable")                                               \
    X(IKE2_COUNT_TIMED_OUT, "timed-out")                                                           \
    X(IKE2_COUNT_HALF_OPEN_EXPIRED, "half-open-expired")                                           \
    X(IKE2_COUNT_PEER_DEAD, "peer-dead")                                                           \
    X(IKE2_COUNT_NOT_MOVED, "not-moved")                                                           \
    X(IKE2_COUNT_CHILD_IDLE, "child-idle")                                                         \
    X(IKE2_COUNT_CHILD_SPI_SENT, "child-invalid-spi-sent")                                         \
    X(IKE2_COUNT_CHILD_SPI_HEARD, "child-invalid-spi-heard")                                       \
    X(IKE2_COUNT_COLLISIONS, "rekey-collisions")

#define IKE2_COUNT_ENUM(constant, name) constant,
enum ike2_count { IKE2_COUNTS(IKE2_COUNT_ENUM) IKE2_COUNT_COUNT };
#undef IKE2_COUNT_ENUM
const char *ike2_count_name(enum ike2_count count);

/* ---- The shell's side ------------------------------------------------------------------------ */

/* The Child SA that an SPI is for. */
struct ike2_spi_wish {
    const struct ike2_policy *policy;
    const struct ike2_child_policy *child;
    const struct gh_identity *remote_id; /* NULL: not known yet */
    const struct gh_addr *remote;
    uint32_t replaces; /* the Child SA that is rekeyed; 0: none */
};

enum ike2_way { IKE2_WAY_UNKNOWN, IKE2_WAY_NONE, IKE2_WAY_THERE };

struct ike2_ops {
    void *ctx;
    void (*random)(void *ctx, void *out, size_t len);
    void (*send)(void *ctx, const struct ike2_datagram *d);
    /* A request to the keeper; its id comes back with ike2_complete(). False: not possible now. */
    bool (*ask)(void *ctx, const struct gh_keeper_request *r);
    /* False: could not be installed; the exchange fails. */
    bool (*child_install)(void *ctx, const struct ike2_child_view *c);
    /* Its addresses or ports changed, or whether it is encapsulated; keys are not in the view. May
     * be NULL: Child SAs stay where they were. */
    void (*child_update)(void *ctx, const struct ike2_child_view *c);
    void (*child_remove)(void *ctx, uint32_t id, enum ike2_removal why);
    void (*event)(void *ctx, const struct ike2_event *e);
    /* Whether anybody reads the words of events of this kind just now: else they are told without
     * (`text` is empty). NULL: always. */
    bool (*reads)(void *ctx, enum ike2_event_kind kind);
    /* An SPI for us of 1 or 4 octets that nobody uses; NULL: the core draws 4 octets itself. */
    bool (*child_spi)(void *ctx, const struct ike2_spi_wish *w, uint8_t *spi, size_t len);
    /* Where the system would send from, to this address in this zone. What is not known yet is told
     * by ike2_paths_changed() when it is. NULL: policies without `local` cannot begin. */
    enum ike2_way (*source)(void *ctx, uint16_t zone, const struct gh_addr *remote,
                            struct gh_addr *out);
    /* The addresses that we have in a zone, borrowed until the next call of the core; the first
     * `fit` are such that peers may know. NULL, also as answer: not known. */
    const struct gh_addr *(*addresses)(void *ctx, uint16_t zone, size_t *count, size_t *fit);
    /* Each time that an IKE SA's keys are made: a line of Wireshark's ikev2_decryption_table,
     * without the line's end. NULL, as it should be: nothing is told. */
    void (*key_log)(void *ctx, const char *line);
};

struct ike2_settings {
    size_t sas_max;          /* IKE SAs of all kinds */
    size_t sas_high;         /* so many of them are told as an event; 0: none */
    size_t sas_low;          /* and that they are fewer than this again */
    size_t half_open_max;    /* of those as responder; beyond: the oldest goes */
    size_t half_open_cookie; /* from here on cookies are asked for */
    size_t half_open_puzzle; /* and from here on solved puzzles (RFC 8019) */
    uint8_t puzzle_bits;     /* zero bits of those: each doubles the work */
    unsigned puzzle_legacy;  /* of a thousand that solve none: let in all the same */
    unsigned puzzle_budget;  /* keys that we try in one tick, as initiator */
    size_t children_max;     /* of one IKE SA */
    uint32_t reassembly_ms;  /* a message of which fragments are missing is kept so long */
    /* While cookies are asked for, a half-open IKE SA as responder lives no longer than this. */
    uint32_t reduced_exchange_ms;
    const struct gh_lockout_settings *lockout; /* NULL: none */
    uint32_t ticket_seconds;                   /* that a ticket of RFC 5723 is good at most */
    unsigned strays_per_second;                /* answers to messages with unknown SPIs; 0: none */
    /* For tokens by which peers notice at once that we crashed (RFC 6290 5.1): 32 octets, drawn
     * once and kept by the shell for all later lives. Borrowed during the call. NULL: no tokens.
     */
    const uint8_t *crash_secret;
    /* Where the keys of the tickets that we give are, and which tickets are spent:
     * ike2_ticket_memory() octets, zero at first, borrowed for the life of the core. A shell that
     * keeps them for the next core has tickets outlive this one. NULL: the core's own memory. */
    void *ticket_memory;
};
enum { IKE2_CRASH_SECRET = 32 };
struct ike2_settings ike2_default_settings(void);

struct ike2;

/* Copies `ops` and `settings`. NULL: no memory. */
struct ike2 *ike2_new(const struct ike2_ops *ops, const struct ike2_settings *settings,
                      struct gh_now now);
/* Octets that `ticket_memory` must have; aligned as malloc() does. */
size_t ike2_ticket_memory(void);
/* Other settings from now on; SAs beyond new limits stay. Other ticket_memory: tickets are those of
 * that. Without lockout whoever was locked out is heard again; with another, blocks run on. False:
 * no memory, or a setting out of its range, and nothing changed. */
bool ike2_configure(struct ike2 *c, struct gh_now now, const struct ike2_settings *settings);
/* As in `struct ike2_ops`, from now on. */
void ike2_set_key_log(struct ike2 *c, void (*key_log)(void *ctx, const char *line));
/* Nothing is sent; Child SAs are left as they are. Wipes. */
void ike2_free(struct ike2 *c);

/* Takes references. Established SAs go over to the policy of the same name, if that has all of
 * their children: what it says counts from the next rekeying on. Others keep the policy that they
 * have until they end. What is to start and is not up begins. */
bool ike2_set_policies(struct ike2 *c, struct gh_now now, struct ike2_policy *const *policies,
                       size_t count);

void ike2_input(struct ike2 *c, struct gh_now now, const struct ike2_datagram *d);
void ike2_tick(struct ike2 *c, struct gh_now now);
/* Monotonic milliseconds; UINT64_MAX: none. */
uint64_t ike2_next_deadline(const struct ike2 *c);
void ike2_complete(struct ike2 *c, struct gh_now now, const struct gh_keeper_answer *a);

/* An IKE SA to the peer if there is none, and this child of it; child NULL: as the policy says.
 * Several calls for one child make one. False: no such policy, or no address to begin with. */
bool ike2_initiate(struct ike2 *c, struct gh_now now, const char *policy, const char *child);
/* The same for packets that met no SA: of TCP-AO exactly for these, else for all that the policy
 * has, with these in the first place (RFC 7296 2.9). Nothing is done where a Child SA has them or
 * is about to. */
bool ike2_acquire(struct ike2 *c, struct gh_now now, const char *policy, const char *child,
                  const struct ike_ts *local, const struct ike_ts *remote);
/* sa: its id. False: there is none, or it is on its way already. */
/* A fresh IKE SA to this peer and fresh Child SAs, before the old ones go; where that is the peer's
 * to begin, the Child SAs are rekeyed. False: there is none. */
bool ike2_renew(struct ike2 *c, struct gh_now now, const char *policy);
bool ike2_rekey_ike(struct ike2 *c, struct gh_now now, uint64_t sa);
bool ike2_rekey_child(struct ike2 *c, struct gh_now now, uint32_t child);
bool ike2_terminate_ike(struct ike2 *c, struct gh_now now, uint64_t sa);
/* Of TCP-AO: nobody uses it any more, since another is in its place; the peer is told. */
bool ike2_retire_child(struct ike2 *c, struct gh_now now, uint32_t child);
bool ike2_terminate_child(struct ike2 *c, struct gh_now now, uint32_t child);
/* Whoever was to carry it does not, or not any more: an event says why, and it ends. */
bool ike2_child_refused(struct ike2 *c, struct gh_now now, uint32_t child, const char *why);
/* A peer, or one of its children (NULL: the peer with all of them), is down from now on: it ends
 * here, is not begun, and refused to whoever calls. Or it may be up again. False: there is none. */
bool ike2_set_down(struct ike2 *c, struct gh_now now, const char *policy, const char *child,
                   bool down);
/* Orders that differ from the configuration, for who hands them to the next core. */
struct ike2_order_view {
    char policy[IKE2_NAME + 1], child[IKE2_NAME + 1]; /* child "": the peer */
    bool down;
    enum ike2_admin configured; /* what the configuration said when it was given */
};
void ike2_each_order(const struct ike2 *c, void (*fn)(void *ctx, const struct ike2_order_view *v),
                     void *ctx);
/* Before the first ike2_set_policies(). False: no memory. */
bool ike2_order_take(struct ike2 *c, const struct ike2_order_view *v);
/* From a backup to the primary gateway, as soon as that answers. False: it is there already, is
 * tried already, or cannot be begun. */
bool ike2_revert(struct ike2 *c, struct gh_now now, const char *policy);
/* A packet of ESP or AH came that no SA has: its sender is told, if we have an IKE SA with it; at
 * most once in ten seconds. False: it is not. */
bool ike2_spi_unknown(struct ike2 *c, struct gh_now now, uint16_t zone, const struct gh_addr *local,
                      const struct gh_addr *remote, const uint8_t spi[4]);
/* Addresses or routes of ours are others than before: what ops.source() and ops.addresses() say.
 * What waited for a way begins, and SAs with MOBIKE go where the way is now. */
void ike2_paths_changed(struct ike2 *c, struct gh_now now);
/* The zone is no more, and nothing can be said there: its IKE SAs end at once. */
void ike2_leave_zone(struct ike2 *c, struct gh_now now, uint16_t zone);
/* MOBIKE: the IKE SA and its children go on from this address of ours; port 0: as it was. False: no
 * such SA, the peer has no MOBIKE, or it was the peer that began and so decides. */
bool ike2_move(struct ike2 *c, struct gh_now now, uint64_t sa, const struct ike2_endpoint *local);
/* Tickets of RFC 5723 are good no more, at either end: for when credentials were revoked. A policy
 * that ike2_set_policies() changes or takes away does the same. */
void ike2_forget_tickets(struct ike2 *c);
/* As gateway: the client is to go to another one (RFC 5685 5). False: no such SA, the client
 * cannot, or it was us who began. */
bool ike2_redirect(struct ike2 *c, struct gh_now now, uint64_t sa, const struct gh_addr *to);
/* What the user of a Child SA counted: rekeying by octets and packets, and liveness (traffic that
 * came in is proof enough). */
void ike2_child_used(struct ike2 *c, struct gh_now now, uint32_t child, uint64_t octets,
                     uint64_t packets, bool incoming);

/* ---- Looking ----------------------------------------------------------------------------------
 */

#define IKE2_STATES(X)                                                                             \
    X(IKE2_STATE_INIT, "init") /* IKE_SA_INIT under way */                                         \
    X(IKE2_STATE_AUTH, "auth") /* keys, nobody authenticated */                                    \
    X(IKE2_STATE_ESTABLISHED, "established")                                                       \
    X(IKE2_STATE_REKEYED, "rekeyed") /* another has its children; to be deleted */                 \
    X(IKE2_STATE_DELETING, "deleting")                                                             \
    X(IKE2_STATE_DEAD, "dead")

#define IKE2_STATE_ENUM(constant, name) constant,
enum ike2_state { IKE2_STATES(IKE2_STATE_ENUM) IKE2_STATE_COUNT };
#undef IKE2_STATE_ENUM
const char *ike2_state_name(enum ike2_state state);

/* Messages of one peer and its IKE SA, and of those in whose place it is. */
struct ike2_traffic {
    uint64_t in, out, retransmitted;
    uint64_t bad;               /* that came with its SPIs and did not open, or were malformed */
    uint64_t liveness_timeouts; /* questions that had to be sent again, each time */
    uint64_t liveness_sent, liveness_answered, liveness_heard;
};

struct ike2_sa_view {
    uint64_t id;
    uint8_t spi_i[IKE_SPI_LEN], spi_r[IKE_SPI_LEN];
    bool initiator;
    enum ike2_state state;
    const struct ike2_policy *policy; /* NULL: not known yet */
    struct ike2_endpoint local, remote;
    const struct gh_identity *local_id, *remote_id;
    const struct ike2_proven *proven;
    struct ike_transform encr, prf, integ, ke;
    struct ike_transform addke[IKE_T_ADDKE7 - IKE_T_ADDKE1 + 1]; /* type 0: there is none */
    bool nat_local, nat_remote, fragmentation, mobike;
    bool ppk;          /* one is in its keys, or in those from which they were made (RFC 8784) */
    bool peer_token;   /* we would notice at once that the peer crashed (RFC 6290) */
    bool can_redirect; /* ike2_redirect() is possible */
    uint64_t established_ms, rekey_ms, expire_ms; /* monotonic; 0: none */
    size_t children;
    uint32_t next_send_id, next_receive_id;
    uint8_t window, peer_window; /* requests at a time that we take, that the peer takes */
    unsigned rekeys;
    struct ike2_traffic traffic;
};

void ike2_each_sa(const struct ike2 *c, void (*fn)(void *ctx, const struct ike2_sa_view *v),
                  void *ctx);
void ike2_each_child(const struct ike2 *c, uint64_t sa,
                     void (*fn)(void *ctx, const struct ike2_child_view *v), void *ctx);
const uint64_t *ike2_counters(const struct ike2 *c); /* [IKE2_COUNT_COUNT] */
/* The last failures by reason: when (wall time) and in what words; NULL text: never. */
const char *ike2_last_failure(const struct ike2 *c, enum ike2_count reason, int64_t *when);
struct gh_lockout *ike2_lockout(struct ike2 *c); /* NULL: none */
const struct ike2_settings *ike2_get_settings(const struct ike2 *c);
size_t ike2_memory(const struct ike2 *c); /* octets held for SAs, with all that hangs on them */

#endif
