/*
 * Path MTUs that ICMP errors told of (RFC 1191, RFC 8201), per path, until they are old. A table of
 * a fixed size, which is taken at the beginning; the one heard of longest ago gives way.
 *
 * The caller has looked at who may know the quoted packet (tunnel_quote_fits()). No clock: now_ms
 * is any that does not go back. For one thread.
 */
#ifndef TUNNEL_PMTU_H
#define TUNNEL_PMTU_H

#include "base/siphash.h"
#include "tunnel/quote.h"

enum {
    TUNNEL_PMTU_AGE_MIN_S = 900,
    TUNNEL_PMTU_AGE_MAX_S = 3600,
    TUNNEL_PMTU_AGE_S = 900,
    TUNNEL_PMTU_FLOOR = 576, /* IPv4: no path is believed to be narrower */
    TUNNEL_PMTU_PATHS = 1024
};

struct tunnel_path {
    uint32_t place;
    struct gh_addr local, remote;
};

struct tunnel_pmtu_setup {
    uint32_t paths; /* 0: TUNNEL_PMTU_PATHS */
    uint32_t age_s; /* 0: TUNNEL_PMTU_AGE_S */
    uint16_t floor; /* IPv4, 68 or more; 0: TUNNEL_PMTU_FLOOR. IPv6: 1280 always */
};

struct tunnel_pmtu;

/* NULL: no memory, or not in the ranges. */
struct tunnel_pmtu *tunnel_pmtu_new(const struct tunnel_pmtu_setup *setup,
                                    const struct gh_hash_seed *seed);
void tunnel_pmtu_free(struct tunnel_pmtu *t); /* NULL is fine */
/* Of what is learned from now on. False: not in the ranges; nothing changed. */
bool tunnel_pmtu_set_age(struct tunnel_pmtu *t, uint32_t age_s);

/* What an error says of the path between its quoted addresses. OK: the path's MTU is *mtu now,
 * lower than before (*lower) or the same. MTU_IGNORED: not TOO_BIG, not smaller than the packet it
 * quotes, below what IPv6 allows (RFC 8201 4), or higher than what is known. */
enum tunnel_result tunnel_pmtu_learn(struct tunnel_pmtu *t, uint64_t now_ms, uint32_t place,
                                     const struct tunnel_quote *q, uint16_t *mtu, bool *lower);
/* 0: not known. */
uint16_t tunnel_pmtu_get(const struct tunnel_pmtu *t, uint64_t now_ms,
                         const struct tunnel_path *path);

/* Forgets what is old, and tells of each: larger packets may try again (RFC 1191 6.3). */
void tunnel_pmtu_tick(struct tunnel_pmtu *t, uint64_t now_ms,
                      void (*aged)(void *arg, const struct tunnel_path *path), void *arg);
/* When the next tick has something to do. UINT64_MAX: never. */
uint64_t tunnel_pmtu_deadline(const struct tunnel_pmtu *t);
/* Each known path, the newest last, for `show`. */
void tunnel_pmtu_each(const struct tunnel_pmtu *t,
                      void (*each)(void *arg, const struct tunnel_path *path, uint16_t mtu,
                                   uint64_t until_ms),
                      void *arg);

#endif
