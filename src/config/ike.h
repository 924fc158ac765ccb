/*
 * The configuration of IKE as a checked value: the peers' policies and all that they borrow.
 *
 * gh_config_load() makes it in the parent; gh_ike_config_encode() carries it to the `ike` process,
 * which decodes the same value. No secret is in it: policies name secrets, and struct
 * gh_keeper_order, which stands beside it, says where each is found.
 *
 * IKE SAs keep references to policies, and policies borrow certificates, CAs and client databases
 * from here: a configuration that was replaced is freed when gh_ike_config_idle().
 */
#ifndef GH_CONFIG_IKE_H
#define GH_CONFIG_IKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"
#include "config/spd.h"
#include "config/tunnels.h"
#include "gatekeeper/gatekeeper.h"
#include "ike/lockout.h"
#include "ike/ts.h"
#include "ike/v2/policy.h"
#include "keeper/request.h"
#include "pki/client_db.h"
#include "pki/profile.h"
#include "pki/trust.h"

enum {
    /* Names of IKE's sections: with "/8000" behind it one is still a name for the keeper. */
    GH_IKE_NAME_MAX = 58,
    GH_IKE_TRANSFORMS = 4, /* that one policy or child names */
    GH_IKE_PEERS = 16384,
    GH_IKE_ZONES = 1024,
    GH_LIFETIME_MIN = 1200, /* seconds, of IKE and Child SAs */
    GH_LIFETIME_MAX = 31536000,
    GH_CHILD_LIFETIME = 3600,
    GH_IDLE_MIN = 10, /* seconds, of Child SAs without packets */
    GH_IDLE_MAX = 604800,
    GH_REVERT_MIN = 60, /* seconds at a backup gateway */
    GH_REVERT_MAX = 604800,
    GH_PUZZLE_BITS_MAX = 28, /* beyond, nobody would wait for the solution */
    GH_PUZZLE_UNSOLVED_MAX = 1000,
    GH_TICKET_SECONDS_MIN = 60,
    GH_TICKET_SECONDS_MAX = 604800, /* as long as the core keeps a key of tickets at least */
    GH_TCP_AO_REKEY = 3600,         /* seconds between keys of TCP-AO sessions */
    GH_TCP_AO_LIFETIME_MIN = 15,    /* that a key of those may live */
    GH_SLOTS = 16,                  /* processes that carry packets, of all tunnel groups */
    GH_SPARES = 16                  /* processes in reserve, of all */
};
#define GH_PUZZLES_NEVER UINT32_MAX

/* What holds for all peers: `ike { … }`. */
struct gh_ike_settings {
    uint32_t sas_max;             /* IKE SAs of all kinds */
    uint32_t sas_high, sas_low;   /* told at the first, and below the second again; 0, 0: parts
                                   * of sas_max */
    uint32_t half_open_max;       /* of those as responder */
    uint32_t half_open_cookie;    /* from here on cookies are asked for */
    uint32_t half_open_puzzle;    /* and from here on solved puzzles; GH_PUZZLES_NEVER */
    uint8_t puzzle_bits;          /* their difficulty */
    uint32_t puzzle_legacy;       /* of a thousand that solve none: let in all the same */
    uint32_t puzzle_budget;       /* keys that we try in one turn, as initiator */
    uint32_t children_max;        /* of one IKE SA */
    uint32_t reassembly_ms;       /* a message of which fragments are missing */
    uint32_t reduced_exchange_ms; /* half-open SAs while cookies are asked for */
    uint32_t ticket_seconds;      /* that a ticket for resumption is good at most */
    uint32_t strays_per_second;   /* answers to messages with unknown SPIs */
    uint32_t path_mtu_seconds;    /* that what was learned of a path is believed */
    uint16_t prohibited_messages; /* ICMP errors for what policy does not let out, in … */
    uint16_t prohibited_seconds;  /* … so long; 0 messages: none */
    uint8_t tcp_ao_protocol;      /* of TCP-AO's keys, for private use: 201 … 255 */
    bool lock_out;
    struct gh_lockout_settings lockout; /* the seed is not set */
    bool drop_fragments;                /* what is protected and came in fragments is not taken */
    bool pass_unprotected; /* what should have come through a tunnel may come in clear */
    char *key_log;         /* owned; a file for Wireshark; NULL: none */
    char *esp_key_log;     /* the same for Child SAs of ESP */
};
struct gh_ike_settings gh_ike_default_settings(void); /* clients that fail are not locked out */

/* From where on, and below what, IKE SAs are many: what is written, or a part of the limit. */
uint32_t gh_ike_sas_high(const struct gh_ike_settings *s);
uint32_t gh_ike_sas_low(const struct gh_ike_settings *s);

struct gh_ike_profile {
    char *name;
    struct gh_cert_profile *profile;
    int line;
    int entry_lines[GH_PROFILE_ENTRIES];
};

struct gh_ike_trust {
    char *name;
    struct gh_trust *trust;
    struct gh_cert *anchors[GH_TRUST_ANCHORS]; /* a reference each, here and below */
    size_t anchor_count;
    struct gh_cert **known; /* the CAs beside the anchors */
    size_t known_count;
    int line;
};

struct gh_ike_client_db {
    char *name;
    unsigned match;
    bool fall_back;
    struct gh_client_db *db;
    struct gh_client *clients; /* what was added to db, which owns the patterns */
    size_t count;
    int line;
};

struct gh_ike_ts_list {
    char *name;
    struct ike_ts_list local, remote;
    int line;
};

/* Where a peer or its private side is, if not where the daemon is. */
struct gh_ike_zone {
    char *netns; /* the name of a network namespace; NULL: the daemon's own */
    char *vrf;   /* the name of a VRF device, or NULL */
};

/* Anything with a name that others may refer to. For lint. */
struct gh_ike_definition {
    const char *section; /* "ike-psk" … */
    char *name;
    uint32_t hash; /* of the name: 10,000 peers are 20,000 definitions, each held against all */
    int line;
    size_t index; /* among those of the section */
    bool used;
};

/* What is known of a secret without having it. For lint. */
struct gh_ike_secret {
    enum gh_secret_kind kind;
    char *name; /* the keeper's */
    int line;
    size_t len;     /* octets; 0: not looked at */
    bool published; /* an example out of documents */
    bool repeats;   /* a few characters again and again */
};

/* Processes that carry packets (`workers`, `tunnel-group`). Each has a slot, which is a number
 * among all groups' and stands in the SPIs of its SAs. */
struct gh_tunnel_group {
    char *name;
    uint8_t first, active; /* slots: from here on so many */
    uint8_t backup;        /* processes in reserve */
    bool automatic;        /* `active` is the number of this machine's processors */
    int line;              /* 0: the default group, which is there without being written */
};
#define GH_DEFAULT_GROUP "default"

/* Where a policy was written, for lint; and what only the parent asks of it. */
struct gh_ike_place {
    int line;
    size_t group; /* of config.groups */
    int child_lines[IKE2_CHILDREN];
};

struct gh_ike_config {
    struct gh_ike_settings settings;
    struct ike2_policy **policies; /* a reference each; by index from 1 */
    size_t policy_count;
    struct gh_ike_profile *profiles;
    size_t profile_count;
    struct gh_ike_trust *trusts;
    size_t trust_count;
    struct gh_ike_client_db *client_dbs;
    size_t client_db_count;
    struct gh_ike_ts_list *ts_lists;
    size_t ts_list_count;
    struct gh_pubkey **raw_keys; /* those that policies show and expect */
    size_t raw_key_count;
    struct gk_policy *sessions; /* those of TCP-AO whose keys are negotiated */
    size_t session_count;
    struct gh_tunnel *tunnels;
    size_t tunnel_count;
    struct gh_spd_entry *spd; /* in their order */
    size_t spd_count;
    struct gh_ike_zone *zones; /* those of the policies, which have their places from 1 on */
    size_t zone_count;
    /* Of the parent's value alone; the `ike` process has none of these. */
    struct gh_tunnel_group *groups; /* the first is the default one */
    size_t group_count;
    struct gh_ike_place *places; /* [policy_count] */
    struct gh_ike_definition *definitions;
    size_t definition_count;
    struct gh_ike_secret *secrets;
    size_t secret_count;
};

/* With default settings and nothing else. Memory as config/alloc.h has it. */
struct gh_ike_config *gh_ike_config_new(void);
void gh_ike_config_free(struct gh_ike_config *c); /* NULL is fine */
/* For the process that runs IKE: what is keyed by hand is none of its peers. */
void gh_ike_config_drop_manual(struct gh_ike_config *c);
/* Nobody else holds a policy of it. */
bool gh_ike_config_idle(const struct gh_ike_config *c);
/* All CAs of it, borrowed, for compare-chains; the array is to be freed. */
struct gh_cert **gh_ike_known_cas(const struct gh_ike_config *c, size_t *count);
/* Where the peer is, and where what its children protect is; NULL: where the daemon is. */
const struct gh_ike_zone *gh_ike_public_zone(const struct gh_ike_config *c,
                                             const struct ike2_policy *p);
const struct gh_ike_zone *gh_ike_private_zone(const struct gh_ike_config *c,
                                              const struct ike2_policy *p);
/* By name, for what the client database names; NULL: there is none. */
const struct gh_ike_ts_list *gh_ike_ts_list(const struct gh_ike_config *c, const char *name);

/* To be freed. NULL: no memory, or more than can be. */
uint8_t *gh_ike_config_encode(const struct gh_ike_config *c, size_t *len);
/* NULL for anything that gh_ike_config_encode() would not write, and without memory. */
struct gh_ike_config *gh_ike_config_decode(struct gh_view data);

#endif
