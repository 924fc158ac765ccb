/*
 * Packets on their way to a tunnel device, put together where they are segments of one stream
 * (GRO): one write instead of forty. What the kernel then makes of a group, should it have to cut
 * it again, are the same packets, but for IPv4's Identification where DF says that it means nothing
 * (RFC 6864).
 *
 * A group's members are in the order of their coming, and so are the packets of each flow across
 * groups. Only packets whose checksums are right are put together. Pure; owns nothing: packets are
 * the caller's, and the first of each group is changed.
 */
#ifndef OFFLOAD_MERGE_H
#define OFFLOAD_MERGE_H

#include <stddef.h>

#include "offload/note.h"

enum { OFFLOAD_MERGE_MAX = 256 /* packets at a time */ };

struct offload_packet {
    uint8_t *data; /* an IP header begins here */
    size_t len;
    size_t skip; /* result: octets of headers that the group has already */
    size_t next; /* result: the next packet of the group; OFFLOAD_MERGE_MAX: none */
};

struct offload_group {
    struct offload_note note;
    size_t first, last; /* of the packets */
    size_t count, len;  /* packets, and octets in all */
    /* While it is open: */
    bool open, v6, tcp;
    size_t ip, header;
    uint32_t next_seq;
    uint16_t next_id;
};

/* How many groups there are, at most `count`, which is at most OFFLOAD_MERGE_MAX. udp: the device
 * takes datagrams, too, that are put together. */
size_t offload_merge(struct offload_packet *packets, size_t count, bool udp,
                     struct offload_group *groups);

#endif
