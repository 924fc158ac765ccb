/*
 * What stands before a packet of a tunnel device: how far the kernel has got with it, and how far
 * it need not go (the header of VIRTIO 1.2, 5.1.6). A packet longer than the link takes is one
 * that is yet to be cut: all its segments repeat its headers.
 *
 * Shared by split.h (from the kernel) and merge.h (to the kernel). Pure.
 */
#ifndef OFFLOAD_NOTE_H
#define OFFLOAD_NOTE_H

#include <stdbool.h>
#include <stdint.h>

enum offload_cut { OFFLOAD_WHOLE, OFFLOAD_TCP4, OFFLOAD_TCP6, OFFLOAD_UDP };

struct offload_note {
    enum offload_cut cut;
    bool checksum_due; /* the field at sum_start + sum_offset has the pseudo-header's sum only */
    bool checksum_good;
    uint16_t header_len; /* octets that each segment repeats; a hint, of the kernel's */
    uint16_t size;       /* payload octets of each segment but the last */
    uint16_t sum_start, sum_offset;
};

enum {
    OFFLOAD_PACKET_MAX = 65535,
    OFFLOAD_TCP_SUM = 16,
    OFFLOAD_UDP_SUM = 6,
    OFFLOAD_UDP_HEADER = 8
};

#endif
