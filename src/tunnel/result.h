/*
 * What became of a packet in the tunnels: one list yields the enum, the text and the counters.
 *
 * Everything but what tunnel_result_passes() names is dropped by the caller and counted; nothing
 * is ever logged for a single packet.
 */
#ifndef TUNNEL_RESULT_H
#define TUNNEL_RESULT_H

#include <stdbool.h>

/* name, counter, text. The first four are no drops. */
#define TUNNEL_RESULTS(X)                                                                          \
    X(OK, "ok", "goes on")                                                                         \
    X(TO_FRAGMENT, "to-fragment", "must be fragmented before it goes on")                          \
    X(KEPT, "kept", "a fragment, kept until the rest of its datagram is here")                     \
    X(KEEPALIVE, "keepalive", "a GRE keepalive")                                                   \
    X(MALFORMED, "malformed", "no well-formed IP packet")                                          \
    X(NO_ROOM, "no-room", "no room in the buffer")                                                 \
    X(NO_TUNNEL, "no-tunnel", "no tunnel has its addresses and key")                               \
    X(DOWN, "down", "neither remote address can be reached")                                       \
    X(LOOP, "loop", "the tunnel would carry its own packets")                                      \
    X(TTL_EXPIRED, "ttl", "its TTL or hop limit is used up")                                       \
    X(ENCAPSULATION_LIMIT, "encapsulation-limit", "nested in more tunnels than its sender allows") \
    X(TOO_BIG, "too-big", "larger than the tunnel takes, and must not be fragmented")              \
    X(GRE_VERSION, "gre-version", "a version of GRE other than 0")                                 \
    X(GRE_ROUTING, "gre-routing", "GRE with the routing of RFC 1701")                              \
    X(GRE_RESERVED, "gre-reserved", "GRE with reserved bits set")                                  \
    X(GRE_CHECKSUM, "gre-checksum", "its GRE checksum is wrong")                                   \
    X(GRE_SEQUENCE, "gre-sequence", "its GRE sequence number has passed already")                  \
    X(PROTOCOL, "protocol", "something other than IP in the tunnel")                               \
    X(INNER, "inner", "what is in it is no well-formed IP packet")                                 \
    X(INNER_SOURCE, "inner-source", "what is in it has a source address that nobody can have")     \
    X(ECN, "ecn", "congestion was experienced, which what is in it cannot be told")                \
    X(REASSEMBLY_OFF, "reassembly-off", "a fragment, and the tunnel does not reassemble")          \
    X(FRAGMENT_LENGTH, "fragment-length", "a fragment of an impossible length or place")           \
    X(FRAGMENT_TINY, "fragment-tiny", "a fragment smaller than any path makes")                    \
    X(FRAGMENT_CHAIN, "fragment-chain", "a first fragment without its whole header chain")         \
    X(FRAGMENT_OVERLAP, "fragment-overlap", "overlaps a fragment of its datagram")                 \
    X(FRAGMENT_DUPLICATE, "fragment-duplicate", "a fragment that is here already")                 \
    X(FRAGMENT_CONDEMNED, "fragment-condemned", "of a datagram that was dropped already")          \
    X(FRAGMENT_ECN, "fragment-ecn", "fragments that do not agree on ECN")                          \
    X(FRAGMENT_TOO_MANY, "fragment-too-many", "more fragments than a datagram may have")           \
    X(FRAGMENT_SHARE, "fragment-share", "its source has its share of datagrams in reassembly")     \
    X(FRAGMENT_NO_MEMORY, "fragment-no-memory", "no memory for fragments")                         \
    X(FRAGMENT_EVICTED, "fragment-evicted", "gave way to a newer datagram")                        \
    X(FRAGMENT_TIMEOUT, "fragment-timeout", "the rest of its datagram did not come in time")       \
    X(RATE, "rate", "more ICMP errors than the limit")                                             \
    X(NO_ICMP, "no-icmp", "a packet about which no ICMP error may be sent")                        \
    X(NOT_QUOTED, "not-quoted", "no ICMP error that quotes a packet")                              \
    X(ICMP_CHECKSUM, "icmp-checksum", "its ICMP checksum is wrong")                                \
    X(MTU_IGNORED, "mtu-ignored", "names no MTU that could be true")

enum tunnel_result {
#define X(name, counter, text) TUNNEL_##name,
    TUNNEL_RESULTS(X)
#undef X
        TUNNEL_RESULT_COUNT
};

/* English, one clause, without a full stop. */
const char *tunnel_result_text(enum tunnel_result result);
/* The name of the counter. */
const char *tunnel_result_name(enum tunnel_result result);
static inline bool tunnel_result_passes(enum tunnel_result result)
{
    return result <= TUNNEL_KEEPALIVE;
}

#endif
