/*
 * A classifier: of many selectors, the first in order that a flow matches.
 *
 * Selectors stay what they are, ranges; each is filed under the smallest pair of prefixes that
 * covers its two ranges, in a hash table of its pair of prefix lengths ("tuple space search").
 * A lookup asks each pair of lengths in use once, beginning with the pair that has the first
 * selector, and stops when the next pair has nothing earlier: the time depends on how many
 * pairs of lengths there are, not on how many selectors. There is no cache that many flows could
 * thrash. What shares both prefixes is searched in order.
 *
 * Owns its nodes; `owner` is the caller's. For one thread.
 */
#ifndef IPSEC_CLASSIFY_H
#define IPSEC_CLASSIFY_H

#include "ipsec/selector.h"

struct ipsec_classifier;

/* seed: random octets, so that nobody can choose addresses that collide. NULL: no memory. */
struct ipsec_classifier *ipsec_classifier_new(uint64_t seed);
void ipsec_classifier_free(struct ipsec_classifier *c); /* NULL is fine */

/* How many bits the first and the last address of a range have in common. */
uint8_t ipsec_range_bits(const struct ipsec_range *r);

/* order: the lowest comes first. False: not valid, or no memory (nothing changed). */
bool ipsec_classifier_add(struct ipsec_classifier *c, uint32_t place, uint64_t order,
                          const struct ipsec_selector *s, void *owner);
/* Takes out what was added with these; the first of it, if more than once. */
void ipsec_classifier_remove(struct ipsec_classifier *c, uint32_t place, uint64_t order,
                             const struct ipsec_selector *s, const void *owner);

/* The owner of the first selector that matches and that `wanted` accepts (NULL: all). NULL: none.
 */
void *ipsec_classify(const struct ipsec_classifier *c, uint32_t place, const struct ipsec_flow *f,
                     bool (*wanted)(const void *owner, const void *arg), const void *arg);

/*
 * Of a lookup to come, what it will begin with. Among many selectors nothing that a lookup reads is
 * in a cache, and each read waits for the one before; who has a batch of flows takes the same step
 * for all of them, so that memory answers them side by side. Nothing may be added or removed
 * meanwhile.
 */
enum { IPSEC_AHEAD = 2 };
struct ipsec_ahead {
    const void *at[IPSEC_AHEAD];
    size_t count;
};

/* First step: fetches the buckets. */
void ipsec_ahead_begin(const struct ipsec_classifier *c, uint32_t place, const struct ipsec_flow *f,
                       struct ipsec_ahead *a);
/* Second: the first selector of each. */
void ipsec_ahead_selectors(struct ipsec_ahead *a);
/* Third: its owner, for the caller to fetch; i below a->count. NULL: the bucket is empty. */
const void *ipsec_ahead_owner(const struct ipsec_ahead *a, size_t i);

#endif
