/*
 * The other end's configuration, in the words of its vendor, from ours.
 *
 * A chain and a session of ours go in; what a router at the far end needs comes out, ids crossed,
 * option flag and MAC length said explicitly wherever the vendor lets one say them. What a vendor
 * cannot do is refused in words. Called by `gatectl key-chain generate` and `peer-config`.
 */
#ifndef GH_CONFIG_VENDOR_H
#define GH_CONFIG_VENDOR_H

#include "config/config.h"

enum gh_vendor {
    GH_VENDOR_GATEHOUSE,
    GH_VENDOR_IOS_XE,
    GH_VENDOR_IOS_XR,
    GH_VENDOR_JUNOS,
    GH_VENDOR_SR_OS,
    GH_VENDOR_BIRD,
    GH_VENDOR_COUNT
};

enum { GH_WHY_TEXT = 256 };

/* All from this end's point of view. */
struct gh_far_end {
    const struct gh_key_chain *chain;
    const struct gh_session *session; /* or NULL: the key chain alone */
    uint32_t as, peer_as;             /* autonomous systems for BGP; 0: not known */
    int64_t now;
    bool show_secrets; /* else a text that says where each is kept */
};

const char *gh_vendor_name(enum gh_vendor v);  /* "ios-xe": for --for */
const char *gh_vendor_title(enum gh_vendor v); /* "Cisco IOS XE" */
bool gh_vendor_parse(const char *name, enum gh_vendor *out);

/* False: `why` says what this vendor cannot do. */
bool gh_vendor_check(enum gh_vendor v, const struct gh_far_end *e, char why[GH_WHY_TEXT]);
void gh_vendor_write(enum gh_vendor v, const struct gh_far_end *e, FILE *out);

/* ---- Shared by the writers, vendor_*.c ---- */

struct gh_secret_text {
    char text[4200];
};

/* The secret, or where it is kept, in angle brackets. Wipe it. */
void gh_far_secret(const struct gh_far_end *e, const struct gh_key *key,
                   struct gh_secret_text *out);
/* This end's address as the other end's neighbour, or a placeholder. */
const char *gh_far_neighbour(const struct gh_far_end *e, char buf[GH_PREFIX_TEXT]);
bool gh_far_knows_neighbour(const struct gh_far_end *e);
/* An AS number, or a placeholder. */
const char *gh_far_as(uint32_t as, const char *placeholder, char buf[16]);
/* A start to write where the key has none. */
int64_t gh_far_start(const struct gh_key *key);

void gh_write_gatehouse(const struct gh_far_end *e, FILE *out);
void gh_write_ios_xe(const struct gh_far_end *e, FILE *out);
void gh_write_ios_xr(const struct gh_far_end *e, FILE *out);
void gh_write_junos(const struct gh_far_end *e, FILE *out);
void gh_write_sr_os(const struct gh_far_end *e, FILE *out);
void gh_write_bird(const struct gh_far_end *e, FILE *out);

enum { GH_PORT_BGP = 179, GH_PORT_LDP = 646, GH_PORT_LISP = 4342, GH_PORT_RTR = 323 };

#endif
