/*
 * The inside of the IKEv2 core, shared by its files. Nothing outside of src/ike/v2
 * includes it but the simulator's invariants (tests/sim).
 *
 *     core.c      input, time, the keeper's answers
 *     tables.c    where SAs are found              deadlines.c  which is next
 *     configure.c policies                         command.c    what is asked for
 *     whose.c     which is a peer's
 *     view.c      what there is                    tell.c       what is said
 *     memory.c    in octets
 *     sa.c        an IKE SA's life: state, deadlines, end
 *     keys.c      SKEYSEED, SK_*, KEYMAT, ciphers
 *     flight.c    sealed messages: Message IDs, fragments, retransmission, repeated requests
 *     window.c    how many requests are out at a time, what is kept of the peer's
 *     init.c      IKE_SA_INIT                      auth.c    IKE_AUTH, with proof.c
 *     proof.c     who we are, who the peer is      child.c   Child SAs
 *     create.c    CREATE_CHILD_SA                  create_answer.c  the same as responder
 *     succeed.c   what takes the place of SAs      inform.c         INFORMATIONAL
 *     settings.c  what holds for all peers
 *     ppk.c       post-quantum preshared keys      intermediate.c  IKE_INTERMEDIATE
 *     addke.c     additional key exchanges in proposals    followup.c      IKE_FOLLOWUP_KE
 *
 * Extensions, each in a file of its own; extend.c is where the exchanges above ask them:
 *     crash.c     unknown SPIs, and the peer's crash noticed quickly (RFC 6290)
 *     mobike.c    addresses that change (RFC 4555)
 *     resume.c    session resumption (RFC 5723)    tickets.c its tickets
 *     redirect.c  to another gateway (RFC 5685)
 *     admin.c     what is administratively down   failover.c several gateways of one peer
 *     stray.c     ESP and AH with unknown SPIs
 *     gate.c      cookies and puzzles: who is let in when there are many (RFC 8019)
 */
#ifndef IKE2_PRIV_H
#define IKE2_PRIV_H

#include "crypto/cipher.h"
#include "crypto/ke.h"
#include "crypto/prf.h"
#include "ike/admission.h"
#include "ike/cookie.h"
#include "ike/fragment.h"
#include "ike/nonce.h"
#include "ike/notify_data.h"
#include "ike/out.h"
#include "ike/proposal.h"
#include "ike/puzzle.h"
#include "ike/sk.h"
#include "ike/ts_set.h"
#include "ike/v2/core.h"
#include "pki/auth.h"
#include "pki/bodies.h"
#include "wire/rd.h"

enum {
    IKE2_SCRATCH = 65536,
    IKE2_NONCE = 32, /* ours */
    IKE2_ADDKES = 7, /* ADDKE1 … ADDKE7 */
    IKE2_INT_AUTH_MAX = 2 * GH_PRF_MAX + 4,
    IKE2_HALF_OPEN_RESPONSE_MS = 30 * 1000,
    IKE2_DELETE_MS = 60 * 1000,       /* how long a replaced SA waits for its end by the peer */
    IKE2_RETRY_MS = 5 * 1000,         /* after TEMPORARY_FAILURE or a failed rekey */
    IKE2_OUT_OF_SYNC_MS = 180 * 1000, /* of TEMPORARY_FAILURE: the ends do not agree (2.25) */
    IKE2_STRANGERS_S = 10 /* at most one refusal of strangers is told in so many seconds */
};

/* What an IKE SA or a Child SA is protected by. */
struct ike2_suite {
    uint16_t encr, encr_bits, prf, integ, ke, sn;
    uint16_t addke[IKE2_ADDKES]; /* by transform type; NONE: there is none */
    uint8_t protocol;
};

/* One message as it went: to be sent again. */
struct ike2_flight {
    struct ike2_flight *next; /* of responses */
    uint32_t id;
    uint32_t len;
    uint8_t octets[]; /* u16 length and octets of each datagram */
};

/* A message of which fragments are missing. */
struct ike2_partial {
    struct ike2_partial *next;
    uint32_t id;
    bool response;
    struct ike_reassembly r;
};

struct ike2_child {
    struct ike2_child *next, *next_id; /* of the SA; hash chain */
    struct ike2_sa *sa;
    uint32_t id;
    const struct ike2_child_policy *policy; /* of the SA's */
    struct ike2_suite suite;
    uint8_t spi_len, spi_in[4], spi_out[4];
    bool initiator; /* we asked for it */
    bool installed;
    bool transport;
    bool going;        /* a task of ours rekeys or deletes it */
    bool replaced;     /* a rekey made its successor: it waits for its deletion */
    uint32_t replaces; /* whose successor the peer made it */
    struct ike_ts *ts; /* local ones, then remote ones */
    uint8_t local_count, remote_count;
    uint64_t rekey_at, expire_at; /* 0: never */
    uint64_t octets, packets;
    uint64_t made_ms;
    uint64_t idle_at; /* if no packet comes until then; 0: never */
};

enum ike2_task_kind {
    IKE2_TASK_NONE,
    IKE2_TASK_INIT,
    IKE2_TASK_INTERMEDIATE,
    IKE2_TASK_AUTH,
    IKE2_TASK_CHILD_NEW,
    IKE2_TASK_CHILD_REKEY,
    IKE2_TASK_CHILD_DELETE,
    IKE2_TASK_IKE_REKEY,
    IKE2_TASK_IKE_DELETE,
    IKE2_TASK_LIVENESS,
    IKE2_TASK_WINDOW,      /* SET_WINDOW_SIZE, after a rekeying */
    IKE2_TASK_BEYOND,      /* INVALID_MESSAGE_ID */
    IKE2_TASK_TOKEN,       /* of RFC 6290, after we rekeyed */
    IKE2_TASK_MOVE,        /* UPDATE_SA_ADDRESSES */
    IKE2_TASK_ROUTABILITY, /* COOKIE2: is the peer where it says */
    IKE2_TASK_ADDRESSES,   /* ADDITIONAL_IP*_ADDRESS: the list is another */
    IKE2_TASK_RESUME,      /* in the place of INIT */
    IKE2_TASK_TICKET,      /* TICKET_REQUEST */
    IKE2_TASK_REDIRECT,    /* to `to` */
    IKE2_TASK_TCP_AO,      /* TCP_AO_SUPPORTED: the configuration is another */
    IKE2_TASK_INVALID_SPI
};

/* What we wait for after CREATE_CHILD_SA is answered: additional key exchanges (RFC 9370). */
struct ike2_followup {
    struct ike2_suite suite;
    unsigned done;
    struct gh_ke *ke;
    struct gh_secret more;   /* SK(1) | SK(2) | … */
    struct gh_secret link;   /* the peer's words */
    struct gh_secret answer; /* content of CREATE_CHILD_SA's response */
    uint8_t answer_first;
};

/* For which packets a Child SA was asked for. */
struct ike2_packets {
    struct ike_ts local, remote;
};

/* vain.c: packets that the peer grants no Child SA for. */
struct ike2_vain {
    const struct ike2_child_policy *policy; /* to compare only: it may be gone */
    struct ike2_packets packets;
    uint64_t until; /* 0: nothing */
};

enum { IKE2_DELETED_KEPT = 16 };

/* An exchange that we begin: under way, or waiting for its turn. */
struct ike2_task {
    struct ike2_task *next;
    enum ike2_task_kind kind;
    struct ike2_flight *request; /* NULL: none that waits for its answer */
    unsigned transmissions;      /* of it; 0: the window has no room yet */
    uint64_t retransmit_at;
    uint32_t beyond;                        /* the Message ID that INVALID_MESSAGE_ID is about */
    uint32_t child;                         /* rekeyed, deleted */
    const struct ike2_child_policy *policy; /* new, rekeyed */
    struct ike2_packets *packets;           /* of a new one; NULL: all of the policy's */
    uint8_t spi[IKE_SPI_LEN], spi_len;      /* ours, of what is being made, or the peer has alone */
    uint8_t protocol;                       /* of that */
    uint64_t refused_at;                    /* the first TEMPORARY_FAILURE; 0: none */
    uint8_t nonce[IKE2_NONCE];
    uint16_t group;
    struct gh_ke *ke;
    bool group_retried;
    struct ike2_followup *followup; /* CREATE_CHILD_SA is answered, but there is more to do */
    enum ike2_removal why;          /* of a deletion */
    struct gh_addr to;              /* of a redirect */
    /* The peer rekeys the same at the same time (RFC 7296 2.8.1). */
    bool collided;
    uint8_t their_nonce[IKE_NONCE_MAX]; /* the lower one of that exchange */
    size_t their_nonce_len;
    uint32_t their_child; /* what it made */
    /* SPIs of the peer's deletions that nothing was found for: the last */
    uint8_t deleted[IKE2_DELETED_KEPT][4];
    uint8_t deleted_count;
    struct ike2_sa *their_sa; /* of an IKE SA; NULL if gone; its rival_of points back */
};

/* Of the exchanges between IKE_SA_INIT and IKE_AUTH (RFC 9242). */
struct ike2_intermediate {
    unsigned done;               /* how many are over */
    uint8_t auth[2][GH_PRF_MAX]; /* IntAuth_r, IntAuth_i so far */
};

/* Of a post-quantum preshared key (RFC 8784). */
struct ike2_ppk {
    bool agreed;                /* USE_PPK went both ways */
    unsigned keys;              /* how many of SK_d, SK_pi and SK_pr the keeper has answered */
    struct gh_secret other;     /* SK_* with it, or without it if sa->sk has it */
    struct gh_secret own_auth;  /* our AUTH data without it, for NO_PPK_AUTH */
    struct gh_secret peer_auth; /* AUTH's body made from the peer's NO_PPK_AUTH, if that counts */
};

/* A ticket that we gave; key 0: none. */
struct ike2_ticket_ref {
    uint32_t key, serial;
};

/* What is in a ticket. */
struct ike2_ticket_state {
    int64_t expires;
    uint8_t spi_i[IKE_SPI_LEN], spi_r[IKE_SPI_LEN]; /* of the IKE SA of which it is */
    struct ike2_suite suite;
    bool ppk_used;
    char policy[IKE2_NAME + 1];
    struct gh_identity client, gateway;
    uint8_t sk_d[GH_PRF_MAX], sk_d_len;
};

/* Of an IKE SA that comes again. */
struct ike2_resumed {
    struct ike2_suite suite;
    bool ppk_used;
    struct gh_identity local, remote;
    struct gh_secret sk_d, ticket; /* ticket: as client, and the next two */
    int64_t expires;
    uint64_t sa;                /* whose ticket it is */
    struct ike2_ticket_ref ref; /* as gateway, and the SA of before */
    uint8_t spi_i[IKE_SPI_LEN], spi_r[IKE_SPI_LEN];
};

/* What is needed until the IKE SA is established. */
struct ike2_setup {
    uint64_t begun_ms;
    struct gh_secret request, response; /* IKE_SA_INIT as they went */
    uint8_t nonce_i[IKE_NONCE_MAX], nonce_r[IKE_NONCE_MAX];
    size_t nonce_i_len, nonce_r_len;
    struct gh_ke *ke;
    uint16_t group;
    bool group_retried;
    struct gh_view cookie;
    unsigned cookies_taken;
    uint8_t cookie_octets[IKE_COOKIE_MAX];
    struct ike_puzzle_search search; /* under way while the SA's puzzle_at is set */
    struct gh_view solution;         /* to the puzzle of the moment, held by `search` */
    struct ike_puzzle auth_puzzle;   /* before IKE_AUTH; difficulty 0: none */
    struct ike2_resumed *resumed;    /* NULL: it begins with a key exchange */
    bool ticket_wanted;              /* by the peer */
    unsigned peer_hashes;            /* SIGNATURE_HASH_ALGORITHMS; 0: not sent */
    bool peer_childless;
    bool refused; /* as responder: AUTHENTICATION_FAILED is said, nothing else is heard */
    struct gh_secret certreqs; /* bodies: u16 length and octets */
    struct gh_secret inner;    /* of the IKE_AUTH message that waits for the keeper */
    uint8_t inner_first;
    uint32_t id; /* of that request */
    struct gh_sign_params sign;
    const struct gh_cert_entry *cert;
    struct ike2_ppk ppk;
    struct ike2_intermediate intermediate;
};

enum { IKE2_COOKIE2 = 16 };

/* Of an IKE SA whose both ends have MOBIKE. */
struct ike2_mobile {
    bool first;  /* we began the first IKE SA: where it runs is ours to decide */
    bool again;  /* moved once more while the peer was being told */
    bool moved;  /* `was_…` is where Child SAs still are */
    bool marked; /* was_local's marker */
    struct ike2_endpoint was_local, was_remote;
    struct gh_addr others[IKE2_ADDRESSES]; /* the peer's */
    uint8_t other_count, tried;            /* of them, since an answer came */
    uint8_t tried_own;                     /* of our others, when all of the peer's were */
    struct gh_addr told[IKE2_ADDRESSES];   /* what the peer knows of ours */
    uint8_t told_count;
    struct gh_addr told_from;
    unsigned refusals;            /* UNEXPECTED_NAT_DETECTED, one after the other */
    uint8_t cookie[IKE2_COOKIE2]; /* of the task under way */
    struct ike2_endpoint asked;   /* where it went */
    uint8_t seen[20];             /* NAT_DETECTION_DESTINATION_IP of the peer's last answer */
    bool has_seen;
    uint32_t updated; /* Message ID of the peer's newest word on addresses */
};

/* What the keeper was asked for. */
enum ike2_job { IKE2_JOB_NONE, IKE2_JOB_OWN_AUTH, IKE2_JOB_PEER_PSK, IKE2_JOB_PPK };

/* Where datagrams go and come from. */
struct ike2_path {
    struct ike2_endpoint local, remote;
    bool marker;
};

struct ike2_sa {
    struct ike2_sa *next_spi, *next_init;      /* hash chains */
    struct ike2_sa *next, *previous;           /* all */
    struct ike2_sa *next_peer, *previous_peer; /* of the policy */
    struct ike2_sa *next_name;                 /* hash chain by the peer's identity */
    struct ike2_sa *next_asking;
    struct ike2_sa *next_half, *previous_half; /* half-open, the oldest first */
    struct ike2_sa *rival_of;                  /* the SA whose place both ends want to fill */
    uint64_t id;
    uint8_t spi_i[IKE_SPI_LEN], spi_r[IKE_SPI_LEN];
    bool initiator, in_init_table, named, half_open;
    bool reauthenticated; /* another takes its place; then it is deleted */
    bool reverting;       /* begun with the primary, beside one with a backup */
    enum ike2_state state;
    struct ike2_policy *policy; /* a reference; NULL: not known yet */
    const struct gh_client *client;
    struct ike2_endpoint local, remote;
    uint8_t nat_refusals;     /* UNEXPECTED_NAT_DETECTED in IKE_AUTH, one after the other */
    uint32_t listed;          /* ike2.path_changes when IKE_AUTH had our list of addresses */
    bool local_seen;          /* `local` was among our addresses */
    struct gh_addr init_addr; /* the peer's when it began: as it stands in the table */
    bool marker, nat_local, nat_remote, fragmentation, ppk_used, initial_contact;
    struct ike2_mobile *mobile; /* NULL: one end has no MOBIKE */
    struct ike2_path asked;     /* where the last request came from: there its answer goes */
    struct ike2_suite suite;
    struct gh_secret sk; /* SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr */
    struct gh_cipher *in, *out;
    uint64_t iv;
    uint32_t send_id, receive_id;  /* next of ours; the peer's first that is not answered */
    uint32_t asked_id;             /* the peer's request at hand, or the last one */
    uint64_t answered;             /* bit n: so is receive_id + n */
    uint8_t window, peer_window;   /* requests at a time that we take, that the peer takes */
    struct ike2_flight *responses; /* the newest first, at most `window` */
    struct ike2_partial *partials;
    struct ike2_ticket_ref ticket; /* that we gave for it */
    bool began;                    /* we, the first IKE SA in whose place this one is */
    bool can_redirect;             /* the peer can be sent elsewhere */
    uint8_t peer_tcp_ao;           /* its protocol number of TCP-AO's keys; 0: not said, none */
    uint8_t told_tcp_ao;           /* ours, that the peer was told of; 0: none */
    struct gh_secret token;        /* the peer's of RFC 6290; empty: none */
    uint64_t hinted_ms;            /* when somebody last said that the peer lost this SA */
    struct ike2_task *task;        /* those under way; it is one in half-open SAs, and if it changes
                                    * the SA (ike2_task_is_alone()) */
    struct ike2_task *waiting, *waiting_tail;
    struct ike2_task *acquired;   /* new Child SAs for certain packets, when this one is up */
    struct ike2_vain vain;        /* what the peer does not grant: the last */
    struct ike2_pending *pending; /* what the peer is making by several exchanges, newest first */
    unsigned followups_lost;      /* how often the peer had forgotten ours */
    struct ike2_setup *setup;
    struct gh_identity *local_id, *remote_id;
    struct ike2_child *children;
    size_t child_count;
    uint32_t wanted; /* children of the policy to be made, by index */
    enum ike2_job job;
    uint32_t job_id;
    unsigned rekeys;
    uint64_t established_ms, last_in_ms, last_out_ms;
    uint64_t invalid_spi_at; /* the next INVALID_SPI not before */
    struct ike2_traffic traffic;
    /* Deadlines; 0: none. `due` is the least of them all, as it stands in the heap. */
    uint64_t liveness_at, rekey_at, expire_at, task_at, puzzle_at, revert_at;
    uint64_t due;
    size_t heap_at; /* place in the heap + 1; 0: not there */
};

/* The policies in force, by index, and where they are found. Places are one more than those in
 * `policies`; 0: none. */
struct ike2_whose {
    struct ike2_policy **policies; /* owned, and so is a reference to each */
    size_t count, mask, wide_count;
    uint32_t *by_addr, *by_name;     /* by hash */
    uint32_t *next_addr, *next_name; /* of the same hash, by place */
    uint32_t *wide;                  /* as they stand in `policies`: not for one address */
};

struct ike2 {
    struct ike2_ops ops;
    struct ike2_settings settings;
    struct gh_now now;       /* of the call */
    struct ike2_whose whose; /* the policies */
    struct ike2_sa **by_spi, **by_init, **by_name;
    struct ike2_child **by_child;
    size_t table_mask;
    struct ike2_sa *sas;
    size_t sa_count, half_open;
    struct ike2_sa **heap;
    size_t heap_count, heap_room;
    struct ike2_sa *asking, **asking_end;
    struct ike2_sa *half_first, *half_last;
    struct ike2_ticket_keys *ticket_keys;
    struct ike2_detour *detours;
    struct ike2_order *orders;
    bool crowded;            /* sas_high was reached, and not sas_low since */
    struct ike2_stub *stubs; /* tickets of other gateways */
    struct ike2_sa *dead;    /* chained by next_spi; freed when the call is over */
    struct ike_cookie_secrets cookies;
    uint32_t path_changes;
    uint32_t pause_ms; /* before an IKE SA that begins in this call says its first word */
    uint64_t cookies_at;
    uint64_t version_at;                  /* the next INVALID_MAJOR_VERSION not before */
    uint64_t beyond_at;                   /* the next INVALID_MESSAGE_ID not before */
    const struct ike2_datagram *arriving; /* what is being looked at; NULL: nothing */
    uint8_t crash_secret[IKE2_CRASH_SECRET];
    bool has_crash_secret;
    struct {
        uint64_t since_ms; /* this second's answers to unknown SPIs */
        unsigned sent;
    } strays;
    struct gh_lockout *lockout;
    uint64_t next_id, hash_seed;
    uint32_t next_child, next_job;
    uint64_t counters[IKE2_COUNT_COUNT];
    struct {
        int64_t when;
        char text[400];
    } failures[IKE2_COUNT_COUNT];
    uint8_t inner[IKE2_SCRATCH], out[IKE2_SCRATCH];
};

/* ---- core.c ---- */
/* After whatever happened to the SA: what waits begins, its deadline is known. */
void ike2_settle(struct ike2 *c, struct ike2_sa *sa);
/* Frees those that died in this call; nothing of them is looked at any more. */
void ike2_bury(struct ike2 *c);
bool ike2_ask(struct ike2 *c, struct ike2_sa *sa, enum ike2_job job, struct gh_keeper_request *r);
void ike2_forget_asking(struct ike2 *c, struct ike2_sa *sa);

/* ---- tables.c ---- */
bool ike2_tables_new(struct ike2 *c); /* false: no memory; to be freed all the same */
void ike2_tables_free(struct ike2 *c);
bool ike2_sa_link(struct ike2 *c, struct ike2_sa *sa); /* into the tables; false: no memory */
void ike2_sa_unlink(struct ike2 *c, struct ike2_sa *sa);
struct ike2_sa *ike2_by_spi(const struct ike2 *c, const uint8_t spi[IKE_SPI_LEN]);
/* As responder, by the initiator's SPI and address. */
struct ike2_sa *ike2_by_init(const struct ike2 *c, const uint8_t spi_i[IKE_SPI_LEN],
                             const struct ike2_datagram *d);
/* The peer's identity is known and believed. */
void ike2_sa_name(struct ike2 *c, struct ike2_sa *sa);
/* The next SA after `after` whose peer may have this identity; to be compared. */
struct ike2_sa *ike2_by_name(const struct ike2 *c, const struct gh_identity *id,
                             const struct ike2_sa *after);
struct ike2_sa *ike2_by_number(const struct ike2 *c, uint64_t id);
struct ike2_child *ike2_child_by_number(const struct ike2 *c, uint32_t id);
void ike2_set_policy(struct ike2_sa *sa, struct ike2_policy *policy);
void ike2_child_link(struct ike2 *c, struct ike2_sa *sa, struct ike2_child *child);
void ike2_child_unlink(struct ike2 *c, struct ike2_child *child);
void ike2_new_spi(struct ike2 *c, uint8_t spi[IKE_SPI_LEN]);
bool ike2_spi_is_zero(const uint8_t spi[IKE_SPI_LEN]);

/* ---- deadlines.c ---- */
void ike2_schedule(struct ike2 *c, struct ike2_sa *sa);
void ike2_unschedule(struct ike2 *c, struct ike2_sa *sa);
/* Has a deadline that is neither past nor the one before. */
void ike2_postpone(struct ike2 *c, struct ike2_sa *sa, uint64_t due);

/* ---- whose.c ---- */
/* Takes the list, sorted; the references are the caller's to make and to give back. False: no
 * memory, and the list is the caller's still. */
bool ike2_whose_make(struct ike2_whose *w, struct ike2_policy **policies, size_t count);
void ike2_whose_clear(struct ike2_whose *w);
struct ike2_policy *ike2_policy_named(const struct ike2_whose *w, const char *name);
/* The policy for a peer's first message: by addresses alone; the next after `after`. */
struct ike2_policy *ike2_policy_for(const struct ike2_whose *w, const struct ike2_endpoint *local,
                                    const struct gh_addr *remote, const struct ike2_policy *after);

/* The same, with those that are administratively down. */
struct ike2_policy *ike2_policy_any(const struct ike2_whose *w, const struct ike2_endpoint *local,
                                    const struct gh_addr *remote, const struct ike2_policy *after);

/* ---- admin.c ---- */
/* Policies or orders are others: orders that the configuration overrules go, … */
void ike2_admin_review(struct ike2 *c);
/* … and what is down by now ends. */
void ike2_admin_apply(struct ike2 *c);
/* Whoever calls from there would be heard, were it not down. */
bool ike2_admin_blocks(const struct ike2_whose *w, const struct ike2_endpoint *local,
                       const struct gh_addr *remote);
void ike2_admin_free(struct ike2 *c);

/* ---- failover.c ---- */
/* Which gateway is in use goes over to the policy of the same name. */
void ike2_failover_keep(struct ike2_policy *p, const struct ike2_policy *was);
/* The peer answers no more. True: it is done with `sa`, which was not up, and another begun where
 * there is one to try. */
bool ike2_failover(struct ike2 *c, struct ike2_sa *sa);
void ike2_failover_up(struct ike2 *c, struct ike2_sa *sa);   /* it is established */
void ike2_failover_tick(struct ike2 *c, struct ike2_sa *sa); /* its revert_at is over */

/* ---- sa.c ---- */
/* When it ends if no packet comes from now on; 0: never. */
uint64_t ike2_idle_at(const struct ike2 *c, const struct ike2_child *child);

/* ---- stray.c ---- */
void ike2_stray_put(const struct ike2_task *t, struct ike_out *o);
void ike2_stray_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);

/* ---- command.c ---- */
/* An IKE SA to this gateway of the policy. NULL: no memory, or too many. */
struct ike2_sa *ike2_begin_at(struct ike2 *c, struct ike2_policy *p, const struct gh_addr *gateway);
/* In the place of one that did not get far: the same from its first exchange on. */
void ike2_begin_anew(struct ike2 *c, struct ike2_sa *sa, const char *why);

/* The selectors to ask with. */
void ike2_acquired_selectors(const struct ike2_sa *sa, const struct ike2_task *t,
                             struct ike_ts_list *local, struct ike_ts_list *remote);
/* IKE_AUTH, the current task, makes the first of those; the others follow when the SA is up. */
void ike2_acquired_first(struct ike2_sa *sa);
void ike2_acquired_rest(struct ike2_sa *sa);

/* ---- vain.c ---- */
/* It is not long ago that the peer did not grant a Child SA for these. */
bool ike2_asked_in_vain(const struct ike2 *c, const struct ike2_sa *sa,
                        const struct ike2_child_policy *p, const struct ike2_packets *packets);
/* The peer does not grant what the task was for, if it was for certain packets. */
void ike2_ask_no_more(const struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t);
/* What the task has made does not have its packets, and others have all that it has: it may go. */
bool ike2_made_in_vain(struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t,
                       const struct ike2_child *fresh);

/* ---- tell.c ---- */
void ike2_tell(struct ike2 *c, const struct ike2_sa *sa, enum ike2_event_kind kind, uint32_t child,
               const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Somebody reads the words: where they are dear to make. */
bool ike2_is_read(const struct ike2 *c, enum ike2_event_kind kind);
/* A step of the story: who offers what. */
void ike2_tell_offer(struct ike2 *c, const struct ike2_sa *sa, const char *who,
                     const struct ike_sa *offer);
/* Counts a reason and keeps its words for `show`. That an SA never comes up or ends for it is told
 * as a failure, so is the refusal of somebody whom nobody knows, if none was lately; else a story.
 */
void ike2_fail(struct ike2 *c, const struct ike2_sa *sa, enum ike2_count reason, const char *format,
               ...) __attribute__((format(printf, 4, 5)));
/* The same of a Child SA that did not come about; child: the one that it was to replace, or 0. */
void ike2_fail_child(struct ike2 *c, const struct ike2_sa *sa, enum ike2_count reason,
                     uint32_t child, const char *format, ...) __attribute__((format(printf, 5, 6)));
enum ike2_count ike2_count_of(uint16_t notify); /* of a refused Child SA */
void ike2_count(struct ike2 *c, enum ike2_count what);

/* ---- sa.c ---- */
struct ike2_sa *ike2_sa_new(struct ike2 *c, struct ike2_policy *policy, bool initiator,
                            const struct ike2_endpoint *local, const struct ike2_endpoint *remote);
void ike2_sa_free(struct ike2_sa *sa);
/* Ends it without a word on the wire; children go. */
void ike2_sa_die(struct ike2 *c, struct ike2_sa *sa, enum ike2_removal why);
void ike2_set_state(struct ike2 *c, struct ike2_sa *sa, enum ike2_state state);
void ike2_sa_established(struct ike2 *c, struct ike2_sa *sa);
/* Deletes SAs in whose place this one, just established, was made. */
/* Begins another in the place of this one, if that is ours to do. */
bool ike2_reauthenticate(struct ike2 *c, struct ike2_sa *sa);
void ike2_end_reauthenticated(struct ike2 *c, struct ike2_sa *fresh);
void ike2_sa_tick(struct ike2 *c, struct ike2_sa *sa);
uint64_t ike2_sa_due(const struct ike2_sa *sa);
/* False: there are too many half-open ones. The oldest that does not wait for the keeper gives way.
 */
bool ike2_half_open_room(struct ike2 *c);
void ike2_setup_free(struct ike2_setup *s);
/* Tries again what the policy wants to be up, after an SA was lost. */
void ike2_begin_again(struct ike2 *c, struct ike2_policy *policy);
/* Ends it without a word on the wire, and begins again after the pause, which keeps two ends that
 * do not understand each other from a storm. */
void ike2_sa_lost(struct ike2 *c, struct ike2_sa *sa, uint32_t pause_ms);
/* A part of a lifetime before its end, at random: 5 to 15 %. */
uint64_t ike2_soft(struct ike2 *c, uint64_t from, uint32_t seconds);

/* ---- tasks (sa.c) ---- */
struct ike2_task *ike2_task_add(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind);
struct ike2_task *ike2_task_first(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind);
/* One of this kind is under way or waits. */
bool ike2_task_waits(const struct ike2_sa *sa, enum ike2_task_kind kind);
/* The one of this kind, about this Child SA, that is under way; NULL: there is none. */
struct ike2_task *ike2_task_under_way(const struct ike2_sa *sa, enum ike2_task_kind kind,
                                      uint32_t child);
/* We delete this Child SA, or are about to. */
bool ike2_task_deletes(const struct ike2_sa *sa, uint32_t child);
/* One that makes Child SAs, rekeys them or (`deletes`) ends them is under way. */
bool ike2_task_makes_children(const struct ike2_sa *sa, bool deletes);
/* It changes the IKE SA itself, or where it runs: nothing else is out at the same time. */
bool ike2_task_is_alone(const struct ike2_task *t);
/* What waits to be done about a Child SA that is gone. */
void ike2_tasks_forget(struct ike2_sa *sa, uint32_t child);
void ike2_task_done(struct ike2_sa *sa, struct ike2_task *t);
/* After IKE2_RETRY_MS. */
void ike2_task_again(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t);
void ike2_task_free(struct ike2_task *t);
void ike2_tasks_free(struct ike2_task **list);
void ike2_tasks_run(struct ike2 *c, struct ike2_sa *sa);

/* ---- keys.c ---- */
struct gh_view ike2_sk_d(const struct ike2_sa *sa);
struct gh_view ike2_sk_p(const struct ike2_sa *sa, bool initiator);
bool ike2_derive(struct ike2_sa *sa, const struct gh_secret *shared, struct gh_view ni,
                 struct gh_view nr);
bool ike2_derive_rekeyed(struct ike2_sa *sa, const struct ike2_sa *old,
                         const struct gh_secret *shared, struct gh_view ni, struct gh_view nr,
                         struct gh_view more); /* SK(1) | … | SK(n) */
bool ike2_derive_resumed(struct ike2_sa *sa, struct gh_view sk_d, struct gh_view ni,
                         struct gh_view nr);
bool ike2_ciphers(struct ike2_sa *sa);      /* made if need be */
void ike2_ciphers_drop(struct ike2_sa *sa); /* an idle SA keeps its keys alone */
bool ike2_keymat(const struct ike2_sa *sa, const struct ike2_suite *child,
                 const struct gh_secret *shared, struct gh_view ni, struct gh_view nr,
                 struct gh_view more, struct gh_secret *i_to_r, struct gh_secret *r_to_i);
bool ike2_suite_of(const struct ike_proposal *p, struct ike2_suite *out);
void ike2_suite_proposal(const struct ike2_suite *s, struct ike_proposal *out);
bool ike2_make_ke(struct ike2 *c, uint16_t group, struct gh_ke **ke);
/* The responder's half. False: the peer's value is refused. */
bool ike2_answer_ke(struct ike2 *c, uint16_t group, struct gh_view peer_public,
                    uint8_t public_value[GH_KE_PUBLIC_MAX], struct gh_secret *shared);

/* ---- keylog.c ---- */
void ike2_log_keys(struct ike2 *c, const struct ike2_sa *sa);

/* ---- flight.c ---- */
struct ike_out ike2_inner(struct ike2 *c);
struct ike_header ike2_header(const struct ike2_sa *sa, uint8_t exchange, uint32_t id,
                              bool response);
/* The task's next request: it goes as soon as the peer's window has room for it. */
bool ike2_request(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t, uint8_t exchange,
                  struct ike_out *inner);
/* The first one of an IKE SA, which is not sealed. */
bool ike2_request_plain(struct ike2 *c, struct ike2_sa *sa, struct gh_view octets);
/* Requests for which the window had no room and has it now. */
void ike2_requests_go(struct ike2 *c, struct ike2_sa *sa);
bool ike2_respond(struct ike2 *c, struct ike2_sa *sa, uint8_t exchange, struct ike_out *inner);
/* A response with one notification. INVALID_SYNTAX ends the IKE SA. */
void ike2_respond_notify(struct ike2 *c, struct ike2_sa *sa, uint8_t exchange, uint16_t type,
                         struct gh_view data);
/* The response to IKE_SA_INIT and the like, to be sent and kept. */
bool ike2_keep_plain(struct ike2_sa *sa, struct gh_view octets);
/* Our requests under way, once more, to where the peer is. */
void ike2_send_requests(struct ike2 *c, struct ike2_sa *sa);
/* A response that is kept, to where its request came from (RFC 7296 2.11). */
void ike2_send_response(struct ike2 *c, struct ike2_sa *sa, uint32_t id);
struct ike2_path ike2_path_of(const struct ike2_datagram *d);
void ike2_send(struct ike2 *c, const struct ike2_endpoint *local,
               const struct ike2_endpoint *remote, bool marker, struct gh_view octets);
/* Its time has come. */
void ike2_retransmit(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t);
/* From the first interval on, for all that is under way. */
void ike2_begin_retransmission(struct ike2 *c, struct ike2_sa *sa);
/* A sealed message for this SA. */
void ike2_sealed(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                 struct ike_message *m);

/* ---- window.c ---- */
/* As a new SA has it: one request at a time, either way. */
void ike2_window_begin(struct ike2_sa *sa);
/* SET_WINDOW_SIZE: ours in IKE_AUTH; ours in INFORMATIONAL, if it was not said yet; the peer's. */
void ike2_window_put(const struct ike2_sa *sa, struct ike_out *o);
void ike2_window_promise(struct ike2_sa *sa, struct ike_out *o);
void ike2_window_heard(struct ike2_sa *sa, const struct ike_payloads *in);
/* The SA is established: what was promised in IKE_AUTH counts. */
void ike2_window_open(struct ike2_sa *sa);
/* After a rekeying it has to be said again: by the initiator in a request, for a request of the
 * other end may be there before the new SA is; by the responder when either asks anything. */
void ike2_window_renew(struct ike2 *c, struct ike2_sa *sa);
/* The peer takes the request with this Message ID before it has answered any that is out. */
bool ike2_window_has(const struct ike2_sa *sa, uint32_t id);
/* What the peer's request is by its Message ID. */
enum ike2_place { IKE2_PLACE_OLD, IKE2_PLACE_NEW, IKE2_PLACE_BEYOND };
enum ike2_place ike2_window_place(const struct ike2_sa *sa, uint32_t id);
/* The request at hand is answered. */
void ike2_window_answered(struct ike2_sa *sa);
void ike2_keep_response(struct ike2_sa *sa, struct ike2_flight *f);
const struct ike2_flight *ike2_kept_response(const struct ike2_sa *sa, uint32_t id);
/* An authentic request that is beyond the window. */
void ike2_window_beyond(struct ike2 *c, struct ike2_sa *sa, uint32_t id);
void ike2_window_beyond_put(const struct ike2_task *t, struct ike_out *o);
void ike2_window_beyond_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* Where the fragments of a message are; NULL: no memory. */
struct ike_reassembly *ike2_partial(struct ike2 *c, struct ike2_sa *sa, bool response, uint32_t id);
void ike2_partial_drop(struct ike2_sa *sa, bool response, uint32_t id);
void ike2_window_free(struct ike2_sa *sa);

/* ---- init.c ---- */
void ike2_init_start(struct ike2 *c, struct ike2_sa *sa);
void ike2_init_request(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m);
void ike2_init_response(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                        const struct ike_message *m);

/* An answer in clear to a first request, for which nothing is kept; `puzzle` may be NULL. */
void ike2_answer_plain(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m,
                       uint16_t type, struct gh_view data, const struct ike_puzzle *puzzle);
void ike2_put_abilities(struct ike_out *o, const struct ike2_policy *p);
void ike2_take_abilities(struct ike2_sa *sa, const struct ike_message *m);
/* The first exchange is over, keys are there: as initiator IKE_AUTH is next; as responder the SA is
 * linked, and the response goes. */
void ike2_first_answered(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m);
void ike2_first_accepted(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d);
/* NAT detection for the SPIs of a message; `in` of the peer's. */
void ike2_put_nat(struct ike_out *o, const uint8_t *spi_i, const uint8_t *spi_r,
                  const struct ike2_sa *sa);
void ike2_detect_nat(struct ike2_sa *sa, const uint8_t *spi_i, const uint8_t *spi_r,
                     const struct ike_payloads *in);

/* ---- auth.c ---- */
void ike2_auth_start(struct ike2 *c, struct ike2_sa *sa);
void ike2_auth_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                       uint8_t first, struct gh_view octets);
void ike2_auth_response(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                        uint8_t first, struct gh_view octets);
void ike2_auth_answered(struct ike2 *c, struct ike2_sa *sa, enum ike2_job job,
                        const struct gh_keeper_answer *a);

/* ---- proof.c ---- */
/* InitiatorSignedOctets or ResponderSignedOctets; to be cleared. id_body: of the ID payload. */
bool ike2_signed_octets(const struct ike2_sa *sa, bool initiator, struct gh_view id_body,
                        struct gh_secret *out);
/* Our identity is found in the certificate that is chosen, not in the policy. */
bool ike2_local_id_is_of_cert(const struct ike2_policy *p);
bool ike2_choose_identity(struct ike2 *c, struct ike2_sa *sa, struct gh_pki_error *e);
/* Asks the keeper for our AUTH, or has it at once (NULL authentication): `now` is set. */
bool ike2_prove(struct ike2 *c, struct ike2_sa *sa, struct gh_secret *now, struct gh_pki_error *e);
/* UNSEEN: it is our fault that it could not be looked at. */
enum ike2_proof { IKE2_PROOF_GOOD, IKE2_PROOF_ASKED, IKE2_PROOF_BAD, IKE2_PROOF_UNSEEN };
/* The peer's proof in its IKE_AUTH message. */
enum ike2_proof ike2_check_proof(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                                 struct gh_pki_error *e);
bool ike2_check_psk(struct ike2_sa *sa, const struct ike_payloads *in, struct gh_view value);
void ike2_put_certs(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
void ike2_put_certreq(struct ike2 *c, const struct ike2_policy *p, struct ike_out *o);
bool ike2_take_certreqs(struct ike2_setup *s, const struct ike_payloads *in);

/* ---- addke.c ---- */
/* The proposals that can be done here, numbered from 1. additional: with RFC 9370; else ADDKE types
 * are left out where they may be NONE, and proposals with others. */
void ike2_offer(const struct ike_proposals *proposals, bool additional, struct ike_sa *out);
bool ike2_has_addke(const struct ike_sa *sa);
bool ike2_proposal_has_addke(const struct ike_proposal *p);
/* The nth (from 0) additional key exchange of a suite; NONE: there is none any more. */
uint16_t ike2_addke(const struct ike2_suite *s, unsigned n);

/* ---- intermediate.c ---- */
void ike2_intermediate_put(struct ike_out *o);
bool ike2_intermediate_heard(const struct ike_message *m);
/* The next additional key exchange before IKE_AUTH; NONE: all are over. */
uint16_t ike2_intermediate_next(const struct ike2_sa *sa);
/* As initiator: the next exchange, or IKE_AUTH. */
void ike2_intermediate_go_on(struct ike2 *c, struct ike2_sa *sa);
void ike2_intermediate_start(struct ike2 *c, struct ike2_sa *sa);
void ike2_intermediate_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                               const struct ike_payloads *in, uint8_t first, struct gh_view inner);
void ike2_intermediate_response(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                                const struct ike_payloads *in, uint8_t first, struct gh_view inner);
/* Takes one message of either side into IntAuth. clear: payloads in front of SK; flags: the second
 * octet of SK's generic header. */
bool ike2_int_auth(struct ike2_sa *sa, bool initiator, const struct ike_header *header,
                   struct gh_view clear, uint8_t flags, uint8_t first, struct gh_view inner);
/* What it adds to the signed octets: so many octets. */
size_t ike2_int_auth_put(const struct ike2_sa *sa, uint8_t out[IKE2_INT_AUTH_MAX]);

/* ---- ppk.c ---- */
/* No IKE SA of ours without it. */
bool ike2_ppk_required(const struct ike2_policy *p);
/* USE_PPK in IKE_SA_INIT: the initiator's, the responder's in answer to `m`. */
void ike2_ppk_offer(const struct ike2_policy *p, struct ike_out *o);
void ike2_ppk_answer(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                     struct ike_out *o);
/* As initiator. False: the peer does without, and must not. */
bool ike2_ppk_answered(struct ike2_sa *sa, const struct ike_message *m);
enum ike2_ppk_state {
    IKE2_PPK_NONE,    /* goes on without one */
    IKE2_PPK_ASKED,   /* the keeper is */
    IKE2_PPK_READY,   /* ike2_ppk_swap() puts SK_* in their place */
    IKE2_PPK_UNKNOWN, /* there is no PPK that both have, but must be */
    IKE2_PPK_FAILED   /* no memory, or the keeper cannot */
};
bool ike2_ppk_ask(struct ike2 *c, struct ike2_sa *sa);
/* The keeper's answer. */
enum ike2_ppk_state ike2_ppk_take(struct ike2 *c, struct ike2_sa *sa,
                                  const struct gh_keeper_answer *a);
/* SK_* with the PPK in the place of those without it, or back. */
void ike2_ppk_swap(struct ike2_sa *sa);
/* As initiator: our AUTH is there. True: it is the one for NO_PPK_AUTH, another one is needed. */
bool ike2_ppk_keep_auth(struct ike2_sa *sa, struct gh_view value);
void ike2_ppk_put_identity(const struct ike2_sa *sa, struct ike_out *o);
/* As initiator: the answer with or without PPK_IDENTITY. False: it must be used, but is not. */
bool ike2_ppk_confirm(struct ike2_sa *sa, const struct ike_payloads *in);
/* As responder: what to do with the request, by RFC 8784's table 1. */
enum ike2_ppk_state ike2_ppk_judge(struct ike2 *c, struct ike2_sa *sa,
                                   const struct ike_payloads *in);
/* As responder, the PPK is not known: NO_PPK_AUTH will do (IKE2_PPK_NONE) or not. */
enum ike2_ppk_state ike2_ppk_without(struct ike2_sa *sa, const struct ike_payloads *in);
/* The body of AUTH that is to be verified. */
struct gh_view ike2_ppk_peer_auth(const struct ike2_sa *sa, const struct ike_payloads *in);
void ike2_ppk_clear(struct ike2_ppk *ppk);

/* ---- child.c ---- */
/* What a request for a Child SA asks for and what we make of it. */
struct ike2_wish {
    const struct ike2_child_policy *policy;
    struct ike_proposal chosen; /* the SPI is the peer's */
    struct ike_ts_list local, remote;
    bool transport;
    bool narrowed;
    bool redundant;      /* both ends made one, and this is one too many */
    struct gh_view more; /* SK(1) | … of additional key exchanges */
};

/* What the peer asked for by CREATE_CHILD_SA, until its additional key exchanges are over. */
struct ike2_pending {
    struct ike2_pending *next;
    struct ike2_suite suite; /* protocol: of a Child SA, or IKE */
    unsigned done;
    struct gh_secret shared, more, link;
    uint8_t ni[IKE_NONCE_MAX], nr[IKE2_NONCE];
    size_t ni_len, nr_len;
    uint8_t spi[IKE_SPI_LEN], peer_spi[IKE_SPI_LEN];
    struct ike2_wish wish; /* of a Child SA */
    uint32_t old;          /* which it rekeys; 0: none */
    uint64_t expire_at;
};
/* What a Child SA may have at each end: what the client database has for the peer, else what the
 * child says. */
const struct ike_ts_list *ike2_child_local(const struct ike2_sa *sa,
                                           const struct ike2_child_policy *p);
const struct ike_ts_list *ike2_child_remote(const struct ike2_sa *sa,
                                            const struct ike2_child_policy *p);
/* That we ask for one, for the story. */
void ike2_child_tell_wish(struct ike2 *c, const struct ike2_sa *sa,
                          const struct ike2_child_policy *p);
/* As responder. 0, or the notification to answer with; `why` says more. `old`: the one that is
 * rekeyed, NULL: any of the SA's policies. */
uint16_t ike2_child_judge(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                          bool without_ke, const struct ike2_child *old, struct ike2_wish *out,
                          char why[160]);
/* As initiator: the response must be a part of what we asked for. */
uint16_t ike2_child_confirm(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                            bool without_ke, const struct ike2_child_policy *policy,
                            struct ike2_wish *out, char why[160]);
/* NULL: it could not be installed. */
struct ike2_child *ike2_child_make(struct ike2 *c, struct ike2_sa *sa, const struct ike2_wish *w,
                                   bool initiator, const uint8_t *spi_in,
                                   const struct gh_secret *shared, struct gh_view ni,
                                   struct gh_view nr, uint32_t replaces);
void ike2_child_drop(struct ike2 *c, struct ike2_sa *sa, struct ike2_child *child,
                     enum ike2_removal why);
/* The peer has a Child SA with this SPI of ours, and we do not (any more): it is told to go. */
void ike2_child_disown(struct ike2 *c, struct ike2_sa *sa, uint8_t protocol, const uint8_t *spi,
                       uint8_t spi_len);
struct ike2_child *ike2_child_by_id(const struct ike2_sa *sa, uint32_t id);
struct ike2_child *ike2_child_by_out(const struct ike2_sa *sa, uint8_t protocol,
                                     struct gh_view spi);
bool ike2_child_spi(struct ike2 *c, const struct ike2_child_policy *p, uint8_t *spi, uint8_t *len);
void ike2_child_view_of(const struct ike2_sa *sa, const struct ike2_child *child,
                        struct ike2_child_view *v, struct ike_proposal *suite,
                        struct ike_ts_list *local, struct ike_ts_list *remote);
/* Nonce and key exchange of CREATE_CHILD_SA; they stand between SA and TSi. */
struct ike2_fresh {
    struct gh_view nonce, value;
    uint16_t group; /* 0: none */
};
/* USE_TRANSPORT_MODE, SA, TSi, TSr of a request; `fresh` NULL: in IKE_AUTH. */
void ike2_child_put(struct ike_out *o, const struct ike2_child_policy *p,
                    const struct ike_ts_list *local, const struct ike_ts_list *remote,
                    const uint8_t *spi, uint8_t spi_len, const struct ike2_fresh *fresh);
/* without_ke: in IKE_AUTH. */
struct ike_choice_rules ike2_child_rules(bool without_ke);
void ike2_child_put_answer(struct ike_out *o, const struct ike2_wish *w, const uint8_t *spi,
                           uint8_t spi_len, const struct ike2_fresh *fresh);

/* ---- create.c ---- */
void ike2_create_start(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t);
void ike2_create_response(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                          const struct ike_payloads *in, uint8_t first, struct gh_view octets);
/* Our exchange comes to nothing; what the peer made at the same time counts. */
void ike2_create_abandon(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t);
/* The peer began the same as this task of ours, with these nonces (RFC 7296 2.8.1). */
void ike2_note_collision(struct ike2 *c, struct ike2_task *t, struct gh_view ni, struct gh_view nr);

/* ---- create_answer.c ---- */
void ike2_create_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* As responder: `p` has all its keys. `o` is the answer to the last exchange. */
void ike2_create_finish(struct ike2 *c, struct ike2_sa *sa, struct ike2_pending *p,
                        struct ike_out *o);

/* ---- succeed.c ---- */
/* Another is in the place of this Child SA. Its end is the peer's to ask for; ours if it does not.
 */
void ike2_supersede(struct ike2 *c, struct ike2_child *child);
/* The IKE SA that is to be in the place of `old`, up. spi: both, the initiator's first. NULL: no
 * memory. */
struct ike2_sa *ike2_make_ike(struct ike2 *c, struct ike2_sa *old, bool initiator,
                              const uint8_t *spi[2], const struct ike2_suite *suite,
                              const struct gh_secret *shared, struct gh_view ni, struct gh_view nr,
                              struct gh_view more);
/* All that hangs on the old IKE SA goes on with the new one. */
void ike2_inherit(struct ike2 *c, struct ike2_sa *old, struct ike2_sa *sa);

/* ---- followup.c ---- */
/* As initiator: the suite has a key exchange that is not done yet. */
bool ike2_followup_wanted(const struct ike2_task *t, const struct ike2_suite *suite);
/* `in` is CREATE_CHILD_SA's response; it comes to ike2_create_response() again at the end. */
bool ike2_followup_begin(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                         const struct ike2_suite *suite, const struct ike_payloads *in,
                         uint8_t first, struct gh_view octets);
void ike2_followup_response(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                            const struct ike_payloads *in);
struct gh_view ike2_followup_keys(const struct ike2_task *t); /* SK(1) | … */
void ike2_followup_free(struct ike2_followup *f);
/* As responder; takes `shared`. old: the Child SA that it is to replace; 0: none. NULL: no memory.
 */
struct ike2_pending *ike2_pending_new(struct ike2 *c, struct ike2_sa *sa, uint32_t old,
                                      const struct ike2_suite *suite, struct gh_secret *shared,
                                      struct gh_view ni, struct gh_view nr);
void ike2_pending_put(const struct ike2_pending *p, struct ike_out *o); /* the link */
void ike2_pending_clear(struct ike2_sa *sa);
void ike2_pending_expire(struct ike2 *c, struct ike2_sa *sa);
/* The peer rekeys this Child SA. */
bool ike2_pending_replaces(const struct ike2_sa *sa, uint32_t child);
/* The peer rekeys the IKE SA: our own exchanges wait. */
bool ike2_pending_holds(const struct ike2_sa *sa);
void ike2_followup_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);

/* ---- inform.c ---- */
void ike2_inform_start(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t);
void ike2_inform_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
void ike2_inform_response(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                          const struct ike_payloads *in);

/* ---- extend.c ---- */
/* What extensions say in our IKE_AUTH message, behind AUTH. */
void ike2_extend_auth(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
/* As responder in the first exchange (RFC 6023). */
void ike2_put_childless(struct ike_out *o, const struct ike2_policy *p);
/* What the peer says there; it is believed by now. */
void ike2_extend_auth_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* `sa` takes the place of `old`. */
void ike2_extend_successor(struct ike2 *c, struct ike2_sa *sa, const struct ike2_sa *old);
/* The response that rekeys the IKE SA, by which `sa` came to be: ours, the peer's. */
void ike2_extend_rekeyed(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
void ike2_extend_rekeyed_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* The token that this message of ours has no room for follows it. */
void ike2_extend_token(struct ike2 *c, struct ike2_sa *sa);
/* INFORMATIONAL that a task of ours begins, and its answer; that task is over. */
void ike2_extend_inform(struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t,
                        struct ike_out *o);
void ike2_extend_inform_answered(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind,
                                 const struct ike_payloads *in);
/* INFORMATIONAL of the peer's: `o` is the response in the making. */
void ike2_extend_inform_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                              struct ike_out *o);

/* ---- crash.c ---- */
/* A message for no SA of ours. */
void ike2_stray(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m);
/* A message for this SA that nobody sealed. */
void ike2_hint(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m);
void ike2_crash_put(struct ike2 *c, const struct ike2_sa *sa, struct ike_out *o);
void ike2_crash_take(struct ike2_sa *sa, const struct ike_payloads *in);

/* ---- tcp_ao.c ---- */
/* In IKE_AUTH: nothing where there is nothing to say. */
void ike2_tcp_ao_put(struct ike2_sa *sa, struct ike_out *o);
/* In INFORMATIONAL (IKE2_TASK_TCP_AO): also that there is none any more. */
void ike2_tcp_ao_put_change(struct ike2_sa *sa, struct ike_out *o);
/* The SA has another policy: the peer is told if what it knows is stale. */
void ike2_tcp_ao_changed(struct ike2 *c, struct ike2_sa *sa);
void ike2_tcp_ao_take(struct ike2_sa *sa, const struct ike_payloads *in);
enum { IKE2_TCP_AO_REASON = 80 };
/* Why the peer may have answered a child of ours with this: ": …", or "". Returns `text`. */
const char *ike2_tcp_ao_reason(const struct ike2_sa *sa, const struct ike2_child_policy *p,
                               uint16_t notify, char text[IKE2_TCP_AO_REASON]);

/* ---- tickets.c ---- */
bool ike2_ticket_seal(struct ike2 *c, const struct ike2_ticket_state *s, struct gh_wr *out,
                      struct ike2_ticket_ref *ref);
/* False: not of ours, changed, expired or spent. */
bool ike2_ticket_open(struct ike2 *c, struct gh_view ticket, struct ike2_ticket_state *s,
                      struct ike2_ticket_ref *ref);
void ike2_ticket_spend(struct ike2 *c, const struct ike2_ticket_ref *ref);
void ike2_tickets_free(struct ike2 *c);  /* wipes: none that we gave is good any more */
void ike2_tickets_leave(struct ike2 *c); /* those in the shell's memory, to the next core */

/* ---- resume.c ---- */
void ike2_resume_free(struct ike2 *c);
/* The policy is another now, or gone: who was believed by it has to show again who it is. */
void ike2_resume_forget(struct ike2 *c, const struct ike2_policy *p);
void ike2_resumed_free(struct ike2_resumed *r);
void ike2_resume_ask(struct ike2_sa *sa, struct ike_out *o);
void ike2_resume_give(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
void ike2_resume_take(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
void ike2_resume_ended(struct ike2 *c, const struct ike2_sa *sa, enum ike2_removal why);
/* True: there is a ticket for the policy of this new SA, which has it now. */
bool ike2_resume_possible(struct ike2 *c, struct ike2_sa *sa);
void ike2_resume_start(struct ike2 *c, struct ike2_sa *sa);
void ike2_resume_response(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                          const struct ike_message *m);
void ike2_resume_request(struct ike2 *c, const struct ike2_datagram *d,
                         const struct ike_message *m);
bool ike2_resume_gave_up(struct ike2 *c, struct ike2_sa *sa);
/* AUTH of a resumed IKE SA: ours, the peer's. */
bool ike2_resume_begin_auth(struct ike2_sa *sa, struct gh_secret *value);
bool ike2_resume_prove(struct ike2_sa *sa, struct gh_secret *value);
bool ike2_resume_believes(struct ike2_sa *sa, const struct ike_payloads *in);
void ike2_resume_done(struct ike2 *c, struct ike2_sa *sa);

/* ---- redirect.c ---- */
void ike2_redirect_free(struct ike2 *c);
void ike2_redirect_forget(struct ike2 *c, const struct ike2_policy *p);
/* Where an IKE SA of this policy begins; nothing came of it. */
struct gh_addr ike2_redirect_gateway(const struct ike2 *c, const struct ike2_policy *p);
void ike2_redirect_failed(struct ike2 *c, const struct ike2_policy *p);
void ike2_redirect_put(struct ike2 *c, const struct ike2_sa *sa, struct ike_out *o);
/* We are sent elsewhere in the first exchange; in IKE_AUTH (true: so it is); later. */
void ike2_redirect_first(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m);
bool ike2_redirect_auth(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
void ike2_redirect_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* We send the client elsewhere, at the same places. */
bool ike2_redirect_is_heard(const struct ike_message *m);
bool ike2_redirect_away(struct ike2 *c, const struct ike2_policy *p, const struct ike2_datagram *d,
                        const struct ike_message *m, struct gh_view nonce);
bool ike2_redirect_in_auth(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
void ike2_redirect_leave(struct ike2 *c, struct ike2_sa *sa);
bool ike2_redirect_sa(struct ike2 *c, struct ike2_sa *sa, const struct gh_addr *to);
void ike2_redirect_request(struct ike2 *c, const struct ike2_task *t, struct ike_out *o);

/* ---- paths.c ---- */
/* How long one that begins may take in all. */
uint64_t ike2_begin_ms(const struct ike2_policy *p);
/* Is this an address of ours, there? Yes, if nobody knows. */
bool ike2_path_has(const struct ike2 *c, uint16_t zone, const struct gh_addr *a);
/* From where a peer can be reached at this address of it. */
enum ike2_way ike2_path_from(const struct ike2 *c, const struct ike2_policy *p,
                             const struct gh_addr *remote, struct gh_addr *out);
/* Our addresses beside the one in use that the peer may know; how many. */
size_t ike2_path_others(const struct ike2 *c, const struct ike2_sa *sa,
                        struct gh_addr out[IKE2_ADDRESSES]);
/* One that begins and has no address yet gets one. False: it has to wait. */
bool ike2_path_begin(struct ike2 *c, struct ike2_sa *sa);
/* After a change: one that cannot move may have lost its address. */
void ike2_path_lost(struct ike2 *c, struct ike2_sa *sa);

/* ---- mobike.c ---- */
/* Our addresses or routes changed: is the IKE SA still where it should be? */
void ike2_mobike_look(struct ike2 *c, struct ike2_sa *sa);
/* We follow, and the other end finds out what is wrong: it is given time (RFC 4555 3.11). */
bool ike2_mobike_is_patient(const struct ike2_sa *sa, const struct ike2_task *t);
bool ike2_mobike_move(struct ike2 *c, struct ike2_sa *sa, const struct ike2_endpoint *local);
/* In IKE_AUTH. */
void ike2_mobike_put(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
void ike2_mobike_take(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* False: the addresses of the message at hand are not those that the peer meant. */
bool ike2_mobike_no_nat(const struct ike2 *c, const struct ike2_sa *sa,
                        const struct ike_payloads *in);
void ike2_mobike_inherit(struct ike2 *c, struct ike2_sa *sa, const struct ike2_sa *old);
/* `sa` has the children of `old` by now. */
void ike2_mobike_inherited(struct ike2 *c, const struct ike2_sa *old, struct ike2_sa *sa);
void ike2_mobike_request(struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t,
                         struct ike_out *o);
void ike2_mobike_answered(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind,
                          const struct ike_payloads *in);
void ike2_mobike_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                       struct ike_out *o);
/* No answer where the SA runs: true if there is another way to try. */
bool ike2_mobike_other_way(struct ike2 *c, struct ike2_sa *sa);
/* The peer's request came again, from another address than it is being asked at: ask it there. */
bool ike2_mobike_wonders(const struct ike2_sa *sa);
void ike2_mobike_try(struct ike2 *c, struct ike2_sa *sa);
/* The users of the Child SAs hear of the addresses. */
void ike2_children_moved(struct ike2 *c, struct ike2_sa *sa);

/* ---- gate.c ---- */
/* True: whoever sent this first request is let in. Else it was told what it lacks. `offer` NULL: a
 * request without SA payload. */
bool ike2_gate(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m,
               struct gh_view nonce, const struct ike_sa *offer);
/* The peer answers with a cookie. True: begin again now; false: when a puzzle is solved, or never.
 */
bool ike2_gate_closed(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                      struct gh_view cookie);
void ike2_gate_put(const struct ike2_sa *sa, struct ike_out *o);
/* The first exchange is answered: the answer may have a puzzle for IKE_AUTH. */
void ike2_gate_answered(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m);
/* True: it is to be solved first; ike2_auth_start() comes again then. */
bool ike2_gate_before_auth(struct ike2 *c, struct ike2_sa *sa);
struct gh_view ike2_gate_solution(const struct ike2_sa *sa); /* of that; empty: none */
/* A portion of the search for keys. */
void ike2_puzzle_work(struct ike2 *c, struct ike2_sa *sa);

static inline struct gh_view ike2_view(const struct gh_secret *s)
{
    return gh_view_of(s->data, s->len);
}

#endif
