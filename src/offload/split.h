/*
 * A packet from a tunnel device as the packets that it stands for: its segments one by one
 * (TSO, USO), and the checksum that the kernel left to us. Pure; owns nothing.
 */
#ifndef OFFLOAD_SPLIT_H
#define OFFLOAD_SPLIT_H

#include <stddef.h>

#include "offload/note.h"

struct offload_split {
    const uint8_t *packet; /* the caller's */
    size_t count;          /* of segments: 1 or more */
    size_t size;           /* payload octets of each but the last */
    size_t ip, header;     /* octets of IP's headers; of all that is repeated */
    size_t payload;
    bool v6, tcp;
    uint16_t id; /* IPv4's Identification of the first */
    uint32_t seq;
    uint8_t flags;
    uint32_t sum; /* of what all have in common: pseudo-header without length, ports … */
};

/* Of a packet whose note says WHOLE: completes its checksum if it is due. False: the note does not
 * go with the packet. */
bool offload_complete(const struct offload_note *n, uint8_t *packet, size_t len);

/* Of a packet that is to be cut. False: as above. */
bool offload_split(struct offload_split *s, const struct offload_note *n, const uint8_t *packet,
                   size_t len);
/* Octets of segment `i`, below count. */
size_t offload_segment_len(const struct offload_split *s, size_t i);
/* Writes it, its checksums included, to `out`, which has room for offload_segment_len(). */
void offload_segment(const struct offload_split *s, size_t i, uint8_t *out);

#endif
