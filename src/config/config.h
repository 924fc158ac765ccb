/*
 * The configuration as a checked, immutable value.
 *
 * gh_config_load() reads a file, checks it completely and either returns a whole configuration or
 * a list of problems with file:line and remedy; a bad file never yields half a configuration.
 * The daemon's parent, gatectl's offline commands (lint, simulate, generate, verify-pcap) and the
 * tests use it. The value owns everything it points to, secrets included, and wipes them.
 */
#ifndef GH_CONFIG_CONFIG_H
#define GH_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/secret.h"
#include "config/ike.h"
#include "config/manual.h"
#include "keeper/order.h"
#include "tcpao.h"

enum {
    GH_NAME_MAX = 256, /* characters of a chain's or a session's name */
    GH_WARN_TIMES_MAX = 8,
    GH_MAC_MIN = 4,   /* octets: the shortest MAC that we agree to configure */
    GH_KEYS_MAX = 64, /* in one chain */
    GH_CONNECTIONS_DEFAULT = 16384
};

/* One `key N { … }`. */
struct gh_key {
    struct tcpao_mkt mkt; /* mkt.secret points into `secret` */
    struct gh_secret secret;
    char *secret_source; /* "file /etc/…", "credential NAME", "inline": for show and errors */
    bool secret_hex;     /* the file or credential holds hexadecimal digits */
    bool send_set;       /* a send lifetime (or start-time) was written */
    bool accept_set;     /* an accept lifetime was written; else it follows send */
    int line;
};

/* One `key-chain NAME { … }`; keys are sorted by number. */
struct gh_key_chain {
    char *name;
    char *description;                      /* or NULL */
    uint32_t tolerance;                     /* seconds */
    int64_t warn_before[GH_WARN_TIMES_MAX]; /* seconds before the chain's expiry, descending */
    size_t warn_count;
    struct gh_key *keys;
    size_t key_count;
    int line;
};

enum gh_mode { GH_REQUIRED, GH_ALLOW_WITHOUT_AO, GH_ACCEPT_MISMATCH };
enum gh_direction { GH_BOTH, GH_ACTIVE, GH_PASSIVE }; /* who opens: either, we, the peer */
/* Who signs and verifies: our engine, or the kernel's own TCP-AO on the programs' sockets. Auto:
 * the kernel for sockets that come through the preload library and that it can do, else the engine.
 */
enum gh_backend { GH_BACKEND_AUTO, GH_BACKEND_ENGINE, GH_BACKEND_KERNEL };

/* One `tcp-ao NAME { … }`. */
struct gh_session {
    char *name;
    char *description;      /* or NULL */
    struct gh_prefix peer;  /* a host, or a prefix of dynamic neighbours */
    struct gh_prefix local; /* addr.len 0: any */
    uint16_t port;          /* the service's port: remote when we open, local when the peer does */
    enum gh_direction direction;
    enum gh_mode mode;
    enum gh_backend backend;
    bool accept_icmp;                   /* do not ignore ICMP hard errors (RFC 5925 7.8) */
    char *netns;                        /* name of a network namespace, or NULL: the daemon's own */
    char *vrf;                          /* name of a VRF device, or NULL */
    uint16_t source_first, source_last; /* ports of the side that opens; both 0: any */
    size_t chain;        /* index into gh_config.chains; GH_NO_CHAIN: its keys are IKE's alone */
    char *ike_peer;      /* with whom its keys are negotiated, or NULL: they are the chain's */
    bool fallback;       /* … whose keys are then used while there is none of IKE's */
    char *ike_text;      /* how they are negotiated, in canonical form, or NULL: by the defaults */
    uint8_t ike_mac_len; /* of their MACs, in octets; 0: none are negotiated */
    int line;
};
#define GH_NO_CHAIN SIZE_MAX

enum gh_firewall { GH_FIREWALL_AUTO, GH_FIREWALL_NFTABLES, GH_FIREWALL_IPTABLES };

struct gh_config {
    char *path;
    /* `gatehouse { … }`, all optional */
    char *user;                /* the children's user; default "gatehouse", else "nobody" */
    enum gh_firewall firewall; /* default auto */
    uint16_t queue_base;       /* first NFQUEUE number; default 17900 */
    uint32_t queue_length;     /* packets; default 65535 */
    uint32_t max_connections;  /* default GH_CONNECTIONS_DEFAULT */
    char **shim_users; /* "USER" or "@GROUP": whose preloaded programs are served, beside root's */
    size_t shim_user_count;
    struct gh_key_chain *chains;
    size_t chain_count;
    struct gh_session *sessions;
    size_t session_count;
    struct gh_ike_config *ike;     /* NULL: nothing of IKE is configured */
    struct gh_keeper_order keeper; /* the secrets of IKE and where each is found */
    struct gh_manual_list manual;  /* keys by hand, of policies that are `manual` */
    char *ike_text;                /* IKE's sections in canonical form, or NULL */
};

enum gh_severity { GH_PROBLEM_ERROR, GH_PROBLEM_WARNING };

/* One thing wrong, in words that say what would be right. */
struct gh_problem {
    enum gh_severity severity;
    char *file;
    int line;      /* 0: the file as a whole */
    char *rule;    /* short stable name: "id-in-use", "secret-permissions", "spacing" … */
    char *message; /* what is wrong */
    char *remedy;  /* what to write instead, or NULL */
};

struct gh_problems {
    struct gh_problem *list;
    size_t count;
    size_t errors;
};

void gh_problem_add(struct gh_problems *p, enum gh_severity severity, const char *file, int line,
                    const char *rule, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));
/* "FILE:LINE: error: MESSAGE; REMEDY [rule]" a line. */
void gh_problems_print(const struct gh_problems *p, FILE *out);
void gh_problems_clear(struct gh_problems *p);

struct gh_config_options {
    bool skip_secrets; /* read no secrets and no certificates (lint of a peer's file, simulate …) */
};

/* NULL if there is any error; warnings may be added in either case. */
struct gh_config *gh_config_load(const char *path, const struct gh_config_options *options,
                                 struct gh_problems *problems);
/* The same from memory: `name` stands for the file in messages. For tests and fuzzing. */
struct gh_config *gh_config_parse(const char *name, const char *text, size_t len,
                                  const struct gh_config_options *options,
                                  struct gh_problems *problems);
void gh_config_free(struct gh_config *c); /* wipes secrets; NULL is fine */

const struct gh_session *gh_config_session(const struct gh_config *c,
                                           const char *name); /* or NULL */
/* NULL: the session's keys are IKE's alone. */
const struct gh_key_chain *gh_config_chain(const struct gh_config *c, const struct gh_session *s);
/* Has the chain with this index a session? */
bool gh_config_chain_used(const struct gh_config *c, size_t chain);
/* Of optional texts (netns, vrf): NULL equals NULL alone. */
bool gh_config_text_equal(const char *a, const char *b);

/* "required", "both" … as the configuration writes them. */
const char *gh_config_mode_name(enum gh_mode mode);
const char *gh_config_direction_name(enum gh_direction direction);
const char *gh_config_backend_name(enum gh_backend backend);

/* Writes it back in canonical form; secrets by source, never by value. parse∘print is the identity
 * but for inline secrets, of which only a comment remains. */
void gh_config_print(const struct gh_config *c, FILE *out);
void gh_config_print_chain(const struct gh_key_chain *k, FILE *out);
void gh_config_print_session(const struct gh_session *s, const struct gh_key_chain *chain,
                             FILE *out); /* chain: NULL if it has none */

/* What may not change while keys are in use: problems name each change of `next` that a reload
 * refuses (ids, algorithm, secret of a key whose send or accept lifetime includes now; another
 * chain for a session). Warnings name what is allowed but may lose segments. */
void gh_config_check_change(const struct gh_config *current, const struct gh_config *next,
                            int64_t now, struct gh_problems *problems);
/* From when on the changes of IKE's peers with tunnels count, as warnings. NULL: there are none. */
void gh_config_check_ike_change(const struct gh_ike_config *old, const struct gh_ike_config *next,
                                const char *path, struct gh_problems *problems);

/* A protocol chain with all the keys of a configured one. NULL: no memory, or a key without a
 * secret because the configuration was loaded with skip_secrets. */
struct tcpao_chain *gh_key_chain_build(const struct gh_key_chain *k);

#endif
