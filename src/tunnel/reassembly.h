/*
 * Reassembly of IPv4 and IPv6 datagrams (RFC 791 3.2, RFC 8200 4.5) within limits.
 *
 * Called with every fragment that a tunnel may receive, before ipsec_in() and
 * tunnel_decapsulate(). Strangers fill it, so all of it is bounded and accounted:
 *
 *  - octets, and datagrams at once: the oldest gives way;
 *  - datagrams of one source: the source's new ones are refused. Sources are counted by a seeded
 *    hash, so that a few may share a count;
 *  - fragments of one datagram, their smallest size, and time.
 *
 * Overlapping fragments condemn their datagram: what came of it is freed, what is still to come is
 * dropped until its time is over (RFC 5722, here for IPv4 too). Exact duplicates are dropped alone.
 * An atomic fragment never meets others (RFC 6946). A first fragment must have all headers
 * (RFC 7112). ECN follows RFC 3168 5.3. Not here: the ICMP errors of those who wait in vain.
 *
 * Owns copies of the fragments. No clock: now_ms is any that does not go back. For one thread.
 */
#ifndef TUNNEL_REASSEMBLY_H
#define TUNNEL_REASSEMBLY_H

#include "base/siphash.h"
#include "tunnel/fragment.h"

enum { TUNNEL_REASSEMBLY_WAIT_MS = 2000, TUNNEL_REASSEMBLY_WAIT_MAX_MS = 5000 };

/* 0 is the default, in brackets. */
struct tunnel_reassembly_limits {
    size_t octets;        /* of memory, overhead included [4 MiB] */
    uint32_t datagrams;   /* at once [1024] */
    uint32_t of_a_source; /* datagrams of it at once [64] */
    uint32_t fragments;   /* of one datagram [64] */
    uint32_t smallest;    /* octets of data in a fragment that is not the last [48: what a path with
                             an MTU of 68 makes of an IPv4 packet (RFC 791)] */
    uint32_t wait_ms;     /* from the first that came; 1 to 5000 [2000] */
};

struct tunnel_reassembly;

/* NULL: no memory, or a wait above 5000 ms. */
struct tunnel_reassembly *tunnel_reassembly_new(const struct tunnel_reassembly_limits *limits,
                                                const struct gh_hash_seed *seed);
void tunnel_reassembly_free(struct tunnel_reassembly *r); /* NULL is fine */

/* `in` is a packet; place and addresses tell datagrams apart. OK: `whole` is the packet (what was
 * no fragment, or was atomic), or its datagram, at whole->mem + whole->at; place and encapsulated
 * are those of `in`, which may be the same as `whole`. KEPT: there is no packet yet. Else, why it
 * was dropped; NO_ROOM: a datagram larger than whole's buffer, which is gone now. */
enum tunnel_result tunnel_reassemble(struct tunnel_reassembly *r, uint64_t now_ms,
                                     const struct ipsec_packet *in, struct ipsec_packet *whole);

/* Drops what has waited too long; tunnel_reassemble() does so too. */
void tunnel_reassembly_tick(struct tunnel_reassembly *r, uint64_t now_ms);
/* When the next tick has something to do. UINT64_MAX: never. */
uint64_t tunnel_reassembly_deadline(const struct tunnel_reassembly *r);

/* Memory of what waits, and how many datagrams do. */
size_t tunnel_reassembly_octets(const struct tunnel_reassembly *r);
uint32_t tunnel_reassembly_datagrams(const struct tunnel_reassembly *r);
/* Packets by result since the beginning; of EVICTED and TIMEOUT, the fragments that had come; of
 * OK, datagrams and packets that were no fragments. */
uint64_t tunnel_reassembly_count(const struct tunnel_reassembly *r, enum tunnel_result result);

#endif
