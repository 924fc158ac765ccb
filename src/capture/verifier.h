/*
 * Recomputes the TCP-AO MACs of a capture, packet by packet.
 *
 * verify-pcap feeds it the packets of a file in order and prints what comes out; the fuzzer does
 * the same without printing. Pure: a packet's own time is "now". It borrows the configuration.
 *
 * It does not use libtcpao's connection: that keeps to one end's view and refuses a key outside its
 * lifetime, while here both ends' segments are judged, and a lifetime is only worth a note.
 */
#ifndef GH_CAPTURE_VERIFIER_H
#define GH_CAPTURE_VERIFIER_H

#include "capture/flow.h"
#include "capture/reader.h"
#include "config/config.h"

/* A diagnosis costs up to some thousand MACs: a capture full of refused segments gets so many. */
enum { CAP_DIAGNOSES_PER_CONNECTION = 16, CAP_DIAGNOSES = 1000 };

struct cap_totals {
    uint64_t sums[CAP_SUMS]; /* segments that count, by what became of them */
    uint64_t other_tcp;      /* TCP without TCP-AO that no session covers */
    uint64_t other_ip;       /* IP but no TCP, later fragments, and what cannot be parsed */
};

struct cap_verifier;

/* only: the one session to consider, or NULL for all. NULL: no memory. */
struct cap_verifier *cap_verifier_new(const struct gh_config *config, const char *only);
void cap_verifier_free(struct cap_verifier *v); /* NULL is fine */

enum cap_outcome { CAP_JUDGED, CAP_IGNORED, CAP_NO_MEMORY };

enum cap_outcome cap_verifier_packet(struct cap_verifier *v, const struct cap_packet *p,
                                     struct cap_segment *out);

const struct cap_totals *cap_verifier_totals(const struct cap_verifier *v);
/* The connections in order of appearance, linked by `next`. */
const struct cap_connection *cap_verifier_connections(const struct cap_verifier *v);

#endif
