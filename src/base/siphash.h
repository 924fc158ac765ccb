/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): the hash of tables whose keys strangers choose. Who
 * does not know the seed finds no keys that collide. Pure.
 */
#ifndef GH_BASE_SIPHASH_H
#define GH_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* Random octets, drawn once for each table. */
struct gh_hash_seed {
    uint64_t k[2];
};

uint64_t gh_siphash(const struct gh_hash_seed *seed, const void *data, size_t len);

#endif
