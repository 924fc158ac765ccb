/*
 * The inside of the IKEv2 core: what all its files share, an IKE SA, its Child SAs and tasks, and
 * the core itself. Nothing outside of src/ike/v2 includes it but tests. What a file does for the
 * others is in the header of its name (core.c's in core_priv.h):
 *
 *     core.c      input, time, the keeper's answers
 *     tables.c    where SAs are found              deadlines.c  which is next
 *     configure.c policies                         command.c    what is asked for
 *     whose.c     which is a peer's
 *     view.c      what there is                    tell.c       what is said
 *     memory.c    in octets
 *     sa.c        an IKE SA's life: state, end     sa_time.c   its deadlines
 *     tasks.c     what it has to do
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

#include "crypto/prf.h"
#include "ike/cookie.h"
#include "ike/nonce.h"
#include "ike/notify_data.h"
#include "ike/out.h"
#include "ike/puzzle.h"
#include "ike/v2/core.h"
#include "pki/auth.h"

enum {
    IKE2_SCRATCH = 65536,
    IKE2_NONCE = 32, /* ours */
    IKE2_ADDKES = 7, /* ADDKE1 … ADDKE7 */
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
    bool fragments_also;
    bool no_tfc;       /* as in struct ike2_child_view */
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
    struct ike2_proven proven;
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

static inline struct gh_view ike2_view(const struct gh_secret *s)
{
    return gh_view_of(s->data, s->len);
}

#endif
