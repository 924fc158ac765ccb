/*
 * What the readers of vendors' texts (import_ios.c, import_junos.c …) find, before it is checked
 * and becomes a configuration (import_build.c). Everything belongs to struct gh_import; texts given
 * to these functions are copied.
 */
#ifndef GH_CONFIG_IMPORT_MODEL_H
#define GH_CONFIG_IMPORT_MODEL_H

#include "config/import.h"

enum { GH_IMPORT_UNSAID = -1 };

struct gh_import_key {
    uint32_t number;
    int line;
    int send_id, recv_id; /* or GH_IMPORT_UNSAID */
    bool has_alg, dropped;
    enum tcpao_alg alg;
    uint8_t mac_len;
    int covered; /* false, true, or GH_IMPORT_UNSAID */
    bool accept_mismatch;
    bool starts; /* send.from is a start, the end comes with the next key's */
    bool send_set, accept_set;
    struct tcpao_lifetime send, accept;
    bool has_secret; /* in plain text, or hidden */
    bool secret_hex;
    struct gh_secret secret; /* empty: hidden */
};

struct gh_import_chain {
    char *name, *description;
    int line;
    bool for_tcp; /* it is known to be one for TCP-AO */
    bool local_time;
    int64_t tolerance; /* or GH_IMPORT_UNSAID */
    struct gh_import_key *keys;
    size_t key_count;
};

/* A neighbour, or a group that neighbours inherit from. What is NULL or GH_IMPORT_UNSAID comes from
 * the parent. */
struct gh_import_peer {
    char *id, *parent;
    int line;
    char *address; /* a host or a prefix; NULL: a group */
    char *chain;
    char *algorithm; /* Junos: "ao" or another protection */
    char *local;     /* the router's own address */
    char *source;    /* the interface whose address that is */
    char *vrf;
    int covered, port, direction, mode;
    bool loopback; /* it speaks from its loopback address (LDP) */
};

/* An address of the router, with its network. */
struct gh_import_address {
    char *interface;
    struct gh_addr addr;
    unsigned bits;
};

struct gh_import {
    const char *file;
    enum gh_vendor vendor;
    struct gh_problems *problems;
    struct gh_import_chain *chains;
    size_t chain_count;
    struct gh_import_peer *peers;
    size_t peer_count;
    struct gh_import_address *addresses;
    size_t address_count;
    char *router_id;
    bool zone_known, zone_moves; /* the router's clock: an offset; with summer time */
    int64_t zone_east;           /* seconds */
};

#define gh_import_error(im, line, rule, remedy, ...)                                               \
    gh_problem_add((im)->problems, GH_PROBLEM_ERROR, (im)->file, (line), (rule), (remedy),         \
                   __VA_ARGS__)
#define gh_import_warn(im, line, rule, remedy, ...)                                                \
    gh_problem_add((im)->problems, GH_PROBLEM_WARNING, (im)->file, (line), (rule), (remedy),       \
                   __VA_ARGS__)

/* Found by name, number or id, else made. Pointers hold until the next one is made. */
struct gh_import_chain *gh_import_chain(struct gh_import *im, const char *name, int line);
struct gh_import_key *gh_import_key(struct gh_import_chain *c, uint32_t number, int line);
struct gh_import_peer *gh_import_peer(struct gh_import *im, const char *id, int line);
/* "192.0.2.1" or "192.0.2.1/30"; a text that is no address is no concern of ours. */
void gh_import_address(struct gh_import *im, const char *interface, const char *text,
                       unsigned bits);

void gh_import_set(char **field, const char *text);

/* ---- Values; each says what is wrong ---- */

bool gh_import_number(struct gh_import *im, int line, const char *what, const char *text,
                      int64_t max, int64_t *out);
void gh_import_id(struct gh_import *im, int line, const char *what, const char *text, int *out);
/* A secret as it stands; obfuscated ones and placeholders are known by their looks. */
void gh_import_secret(struct gh_import *im, struct gh_import_key *k, int line, const char *text);
void gh_import_hidden_secret(struct gh_import *im, struct gh_import_key *k, int line);
/* The vendor's name of an algorithm, any case. */
void gh_import_algorithm(struct gh_import *im, struct gh_import_key *k, int line, const char *text);
/* The line, of which `word` is the one not understood, has no counterpart. */
void gh_import_not_carried(struct gh_import *im, int line, const char *word);

/* ---- The readers. They cut the text into words in place. ---- */

void gh_import_ios(struct gh_import *im, char *text); /* IOS XE and IOS XR */
void gh_import_junos(struct gh_import *im, char *text);
void gh_import_sr_os(struct gh_import *im, char *text);
void gh_import_bird(struct gh_import *im, char *text);

/* `router bgp` of IOS; state is kept from line to line. */
struct gh_ios_bgp {
    bool inside;
    char *vrf;
    int vrf_indent;
    char *peer; /* XR: id of the neighbour or group whose section this is */
    int peer_indent;
};
void gh_import_ios_bgp(struct gh_import *im, struct gh_ios_bgp *b, char **words, size_t count,
                       int indent, int line);

/* Everything checked, settled, and turned into our configuration. */
struct gh_config *gh_import_build(struct gh_import *im, const struct gh_import_options *options);

#endif
