/*
 * A packet in a buffer, which is changed in place: headers go in front of it, a trailer behind.
 *
 * The caller owns the buffer and leaves room around the packet; IPSEC_HEADROOM and IPSEC_TAILROOM
 * are enough for whatever one SA adds (with traffic flow confidentiality, its length besides), and
 * twice of it for AH around ESP. Too little room is IPSEC_NO_ROOM, never an overrun.
 */
#ifndef IPSEC_PACKET_H
#define IPSEC_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipsec/result.h"

enum {
    IPSEC_HEADROOM = 80, /* IPv6, UDP, ESP with an IV of 16 octets; or AH */
    IPSEC_TAILROOM = 64  /* padding, its length, next header, ICV, a sequence number's half */
};

struct ipsec_packet {
    uint8_t *mem;   /* the whole buffer */
    size_t cap;     /* octets of it */
    size_t at, len; /* the packet: an IP header begins at mem + at */
    /* Which SPD: a VRF, namespace or tunnel interface, by a number of the caller's. Of a packet
     * that goes out, its protected side; of one that comes in, where it came in; of what was
     * opened, then the protected side that its SA names. */
    uint32_t place;
    bool encapsulated; /* comes in: it came to the port of UDP encapsulation (RFC 3948) */
    bool seen;         /* goes out: the caller has looked at it, and it is not put aside */

    /* What became of it. */
    enum ipsec_result result;
    uint64_t sa;  /* the (innermost) SA that it went through or failed in; 0: none */
    uint16_t mtu; /* TOO_BIG, TO_FRAGMENT: the largest packet that the SA takes */
};

static inline uint8_t *ipsec_packet_data(const struct ipsec_packet *p)
{
    return p->mem + p->at;
}

static inline size_t ipsec_packet_tailroom(const struct ipsec_packet *p)
{
    return p->cap - p->at - p->len;
}

/* The packet begins n octets earlier. NULL: no room. */
static inline uint8_t *ipsec_packet_push(struct ipsec_packet *p, size_t n)
{
    if (n > p->at)
        return NULL;
    p->at -= n;
    p->len += n;
    return ipsec_packet_data(p);
}

/* The packet begins n octets later. The caller knows that it has as many. */
static inline void ipsec_packet_pull(struct ipsec_packet *p, size_t n)
{
    p->at += n;
    p->len -= n;
}

#endif
