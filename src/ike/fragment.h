/*
 * IKE fragmentation (RFC 7383): a message that would not fit into one datagram goes as several,
 * each of them sealed by itself.
 *
 * Splitting is arithmetic: ike_fragment_plan() once, ike_fragment_seal() for each number. A
 * reassembly belongs to one Message ID of one direction; its owner gives limits and the time, and
 * lets it go at its deadline.
 */
#ifndef IKE_FRAGMENT_H
#define IKE_FRAGMENT_H

#include "base/clock.h"
#include "base/secret.h"
#include "ike/sk.h"

enum {
    IKE_DATAGRAM_IPV4 = 576, /* RFC 7383 2.5.1: what an IP datagram may have if nothing is known */
    IKE_DATAGRAM_IPV6 = 1280,
    IKE_FRAGMENTS_MAX = 256 /* more are refused whatever the caller's limits say */
};

struct ike_fragment_plan {
    size_t chunk; /* octets of content in each but the last */
    uint16_t total;
};

/*
 * datagram_max: the largest IP datagram; ip_header: 20 or 40; marker: port 4500, 4 octets more.
 * `above`: the total of the last attempt, if this is another with a smaller datagram (RFC 7383
 * 2.5.2: the total must grow); else 0. False: does not fit into IKE_FRAGMENTS_MAX.
 */
bool ike_fragment_plan(const struct gh_cipher *c, size_t inner_len, size_t datagram_max,
                       size_t ip_header, bool marker, uint16_t above,
                       struct ike_fragment_plan *plan);
/* Whether the message would fit into one datagram without fragmentation. */
bool ike_fragment_needless(const struct gh_cipher *c, size_t inner_len, size_t datagram_max,
                           size_t ip_header, bool marker);

/* Fragment `number` (from 1) of the plan as a whole message, else as ike_sk_seal(). */
bool ike_fragment_seal(struct gh_cipher *c, const struct ike_header *h, uint8_t first,
                       struct gh_view inner, const struct ike_fragment_plan *plan, uint16_t number,
                       struct gh_view iv, uint8_t *mem, size_t cap, struct gh_view *datagram);
/* The same with a payload in clear in front of fragment 1 (RFC 7383 2.5.3), for which the plan must
 * have left room: ike_sk_seal_beside(). NULL: there is none. */
bool ike_fragment_seal_beside(struct gh_cipher *c, const struct ike_header *h,
                              const struct ike_payload *beside, uint8_t first, struct gh_view inner,
                              const struct ike_fragment_plan *plan, uint16_t number,
                              struct gh_view iv, uint8_t *mem, size_t cap,
                              struct gh_view *datagram);

struct ike_reassembly_limits {
    uint16_t fragments;   /* of one message */
    size_t octets;        /* of content, stored */
    uint64_t lifetime_ms; /* from the first fragment on */
};

/* Zero-initialised is empty and valid. Owns decrypted content: ike_reassembly_clear() wipes it. */
struct ike_reassembly {
    uint32_t id;     /* Message ID */
    uint16_t total;  /* of the set that is being collected; 0: nothing is there */
    uint16_t stored; /* how many are there */
    size_t octets;   /* in all of them */
    uint8_t first;   /* type of the first payload inside, once fragment 1 is there */
    uint8_t flags;   /* of fragment 1's generic header */
    uint64_t deadline_ms;
    struct gh_secret *fragment; /* `total` of them */
    uint8_t have[IKE_FRAGMENTS_MAX / 8];
    struct gh_secret whole; /* once all are there */
};

void ike_reassembly_clear(struct ike_reassembly *r);
/* Something is there and its time is over: the owner clears it. */
bool ike_reassembly_expired(const struct ike_reassembly *r, uint64_t mono_ms);

/* Number and total of an SKF message, not authenticated: for the rule that only fragment 1 of a
 * request makes us repeat the response (RFC 7383 2.6.1). False: no SKF, or out of range. */
bool ike_fragment_number(const struct ike_message *m, uint16_t *number, uint16_t *total);

enum ike_reassembled { IKE_FRAGMENT_REFUSED, IKE_FRAGMENT_STORED, IKE_FRAGMENT_WHOLE };

/*
 * Takes one SKF message: checks its numbers, that it is new, its ICV, then stores it. `datagram` is
 * opened in place. A larger total that is authentic replaces what was there. What is expired at
 * mono_ms is dropped first.
 *
 * WHOLE: `inner` is the content of the message, held by `r` until it is cleared, and r->first its
 * first payload's type. REFUSED: `fault` says why; `r` is as it was.
 */
enum ike_reassembled ike_reassembly_take(struct ike_reassembly *r,
                                         const struct ike_reassembly_limits *limits,
                                         uint64_t mono_ms, struct gh_cipher *c, uint8_t *datagram,
                                         const struct ike_message *m, struct gh_view *inner,
                                         enum ike_fault *fault);

#endif
