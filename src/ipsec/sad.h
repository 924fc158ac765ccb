/*
 * The security association database (RFC 4301 4.4.2): SAs by the caller's id, and what comes in by
 * protocol and SPI, which we chose ourselves and which therefore are enough (4.1: unicast).
 *
 * Owns the SAs.
 */
#ifndef IPSEC_SAD_H
#define IPSEC_SAD_H

#include "ipsec/sa.h"

struct ipsec_sad {
    struct ipsec_sa **by_id, **by_spi;
    size_t buckets, count; /* the former is a power of two, or 0 */
    uint64_t seed;
};

/* Takes the SA over. False: its id, or the SPI of what comes in, is there already; or no memory.
 * Then it stays the caller's. */
bool ipsec_sad_add(struct ipsec_sad *sad, struct ipsec_sa *sa);
/* Gives it back. NULL: not there. */
struct ipsec_sa *ipsec_sad_take(struct ipsec_sad *sad, uint64_t id);
struct ipsec_sa *ipsec_sad_by_id(const struct ipsec_sad *sad, uint64_t id);
/* IPSEC_IN only. */
struct ipsec_sa *ipsec_sad_by_spi(const struct ipsec_sad *sad, uint8_t protocol, uint32_t spi);
/* Of ipsec_sad_by_spi() to come, what it will read, for who has a batch of them (classify.h: the
 * same). First step: fetches the bucket. NULL: nothing to fetch. Second: the first SA in it. */
const void *ipsec_sad_ahead(const struct ipsec_sad *sad, uint8_t protocol, uint32_t spi);
void ipsec_sad_ahead_sa(const void *bucket);
/* IPSEC_OUT: the SPI is the peer's, which may have chosen another peer's too. */
struct ipsec_sa *ipsec_sad_out(const struct ipsec_sad *sad, uint32_t place, uint8_t protocol,
                               uint32_t spi, const struct gh_addr *remote);
/* Frees all. */
void ipsec_sad_clear(struct ipsec_sad *sad);

#endif
