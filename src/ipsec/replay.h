/*
 * The anti-replay window (RFC 4303 3.4.3, RFC 4302 3.4.3) and the high half of extended sequence
 * numbers (RFC 4303 appendix A).
 *
 * Sequence numbers are 64 bits here, always; without extended sequence numbers (ESN) they end at
 * 2^32 - 1. A packet is asked about before its ICV is checked (ipsec_replay_check) and enters the
 * window only after (ipsec_replay_commit), which asks again: two copies of a packet may be in one
 * batch.
 *
 * The bits are a ring of words (as in RFC 6479), so that nothing is shifted when the window moves.
 * Each SA owns one; zero-initialised is empty and accepts everything: no anti-replay.
 */
#ifndef IPSEC_REPLAY_H
#define IPSEC_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "ipsec/result.h"

enum { IPSEC_WINDOW_MIN = 32, IPSEC_WINDOW_MAX = 8192 };

struct ipsec_replay {
    uint64_t top;    /* the highest number that was authenticated; 0: none */
    uint32_t window; /* packets; 0: no anti-replay */
    uint32_t mask;   /* words - 1 */
    uint64_t *seen;  /* bit seq % 64 of word seq / 64 & mask */
};

/*
 * window: 0, or IPSEC_WINDOW_MIN to IPSEC_WINDOW_MAX, any number. top: 0 for a new SA; else the
 * highest number that an earlier instance may have accepted, and nothing up to it is accepted
 * again. False: a window out of range, or no memory; nothing to free then.
 */
bool ipsec_replay_init(struct ipsec_replay *r, uint32_t window, uint64_t top);
void ipsec_replay_free(struct ipsec_replay *r);

/* The whole number of a packet that carries `low` (RFC 4303 A2.2). False: there is none, which
 * also is behind the window. Only for an SA with ESN, which has a window. */
bool ipsec_replay_infer(const struct ipsec_replay *r, uint32_t low, uint64_t *seq);
/* IPSEC_OK, IPSEC_OLD or IPSEC_REPLAY. */
enum ipsec_result ipsec_replay_check(const struct ipsec_replay *r, uint64_t seq);
/* The same, and from now on `seq` has been seen. Only after the ICV was found to be right. */
enum ipsec_result ipsec_replay_commit(struct ipsec_replay *r, uint64_t seq);

#endif
