/*
 * Lockout: who fails to authenticate too often is not heard for a while.
 *
 * Pure; one table a gateway, time is a parameter (monotonic milliseconds). A client is a source
 * address and port, in a zone (whose numbers are the caller's: the same address in two networks is
 * two clients). `attempts` failures within `duration` from the first of them block it for
 * `block`; more than `max_ports` ports of one address with failures or blocks block the address.
 * The table is bounded: a new client pushes out who failed longest ago.
 */
#ifndef GH_IKE_LOCKOUT_H
#define GH_IKE_LOCKOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum {
    GH_LOCKOUT_ATTEMPTS_MIN = 1,
    GH_LOCKOUT_ATTEMPTS_MAX = 64,
    GH_LOCKOUT_DURATION_MIN = 1, /* minutes, here and below */
    GH_LOCKOUT_DURATION_MAX = 60,
    GH_LOCKOUT_BLOCK_MIN = 1,
    GH_LOCKOUT_BLOCK_MAX = 1440,
    GH_LOCKOUT_PORTS_MIN = 1,
    GH_LOCKOUT_PORTS_MAX = 32000,
    GH_LOCKOUT_CLIENTS = 65536 /* tracked at once, by default */
};

struct gh_lockout_settings {
    unsigned attempts;  /* 3 */
    unsigned duration;  /* minutes: 5 */
    unsigned block;     /* minutes: 10; 0: until cleared */
    unsigned max_ports; /* 16 */
    size_t clients;     /* tracked at once; 0: GH_LOCKOUT_CLIENTS */
    uint64_t seed;      /* random: of the table's hash */
};
/* With the defaults; set the seed. */
struct gh_lockout_settings gh_lockout_defaults(void);

struct gh_lockout;

/* NULL: no memory, or a setting out of its range. */
struct gh_lockout *gh_lockout_new(const struct gh_lockout_settings *s);
void gh_lockout_free(struct gh_lockout *l);
/* Other settings for a table that is in use; the seed stays. Blocks and counts that run go on with
 * the ends that they have. False: a setting out of its range, and nothing changed. */
bool gh_lockout_configure(struct gh_lockout *l, const struct gh_lockout_settings *s);

/* How a peer authenticates, and how that failed: what counts is a table of the two. */
enum gh_lockout_method {
    GH_LOCKOUT_V1_PSK,
    GH_LOCKOUT_V1_PSK_XAUTH, /* plain-psk-xauth */
    GH_LOCKOUT_PSK,
    GH_LOCKOUT_PSK_RADIUS,
    GH_LOCKOUT_CERT,
    GH_LOCKOUT_CERT_RADIUS,
    GH_LOCKOUT_EAP
};
enum gh_lockout_failure {
    GH_LOCKOUT_HASH_I,        /* IKEv1 main mode: HASH_I is wrong */
    GH_LOCKOUT_AUTH,          /* AUTH does not verify */
    GH_LOCKOUT_CHAIN,         /* no chain to a trust anchor */
    GH_LOCKOUT_ACCESS_REJECT, /* RADIUS says no */
    GH_LOCKOUT_OTHER          /* no address to give, no proposal chosen …: never counts */
};
bool gh_lockout_counts(enum gh_lockout_method method, enum gh_lockout_failure failure);

/* Is what comes from there to be dropped? Asked for every IKE packet, before it is read. */
bool gh_lockout_blocked(const struct gh_lockout *l, uint64_t now, uint16_t zone,
                        const struct gh_addr *addr, uint16_t port);

enum gh_lockout_verdict { GH_LOCKOUT_COUNTED, GH_LOCKOUT_PORT_BLOCKED, GH_LOCKOUT_ADDR_BLOCKED };
/* A failure that counts. The verdict is for the log: what this failure brought about. No memory
 * counts nothing. */
enum gh_lockout_verdict gh_lockout_failed(struct gh_lockout *l, uint64_t now, uint16_t zone,
                                          const struct gh_addr *addr, uint16_t port);
/* A success before the block resets the counter. */
void gh_lockout_succeeded(struct gh_lockout *l, uint64_t now, uint16_t zone,
                          const struct gh_addr *addr, uint16_t port);

/* By hand. addr NULL: all; port 0: all of the address, in any zone. How many clients were
 * forgotten. */
size_t gh_lockout_clear(struct gh_lockout *l, const struct gh_addr *addr, uint16_t port);

struct gh_lockout_client {
    uint16_t zone;
    struct gh_addr addr;
    uint16_t port;     /* 0: the whole address */
    unsigned failures; /* of the running duration; 0 when blocked */
    bool blocked;
    uint64_t until; /* end of the block or of the duration; UINT64_MAX: until cleared */
};
/* What `show` prints; what has ended is left out. */
void gh_lockout_each(const struct gh_lockout *l, uint64_t now,
                     void (*each)(void *ctx, const struct gh_lockout_client *client), void *ctx);

#endif
