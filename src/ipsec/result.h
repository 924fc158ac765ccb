/*
 * What became of a packet: one list yields the enum, the text and the counters.
 *
 * Everything but what ipsec_result_passes() names is dropped and counted; nothing is ever logged
 * for a single packet. Auditable events of RFC 4301 to 4303 are the counters of the SA and of the
 * engine.
 */
#ifndef IPSEC_RESULT_H
#define IPSEC_RESULT_H

#include <stdbool.h>

/* name, counter, text. The first five are no drops. */
#define IPSEC_RESULTS(X)                                                                           \
    X(OK, "ok", "protected, or opened and allowed")                                                \
    X(BYPASS, "bypass", "policy lets it pass without IPsec")                                       \
    X(IKE, "ike", "an IKE message on the port of UDP encapsulation")                               \
    X(ASIDE, "aside", "its caller wants to see it before it is protected")                         \
    X(TO_FRAGMENT, "to-fragment", "must be fragmented before it is protected")                     \
    X(KEEPALIVE, "keepalive", "a NAT keepalive")                                                   \
    X(DUMMY, "dummy", "a dummy packet for traffic flow confidentiality")                           \
    X(MALFORMED, "malformed", "no well-formed IP packet")                                          \
    X(NO_ROOM, "no-room", "no room in the buffer for headers or trailer")                          \
    X(NO_POLICY, "no-policy", "no policy for it")                                                  \
    X(DISCARDED, "discarded", "policy discards it")                                                \
    X(CLEAR, "clear", "clear, but policy wants it protected")                                      \
    X(NO_SA, "no-sa", "policy protects it, but there is no SA")                                    \
    X(TOO_BIG, "too-big", "larger than the path takes, and must not be fragmented")                \
    X(FRAGMENT, "fragment", "a fragment where only whole packets can be")                          \
    X(OPTIONS, "options", "IP options or extension headers that cannot be protected")              \
    X(EXHAUSTED, "exhausted", "the sequence numbers of the SA are used up")                        \
    X(EXPIRED, "expired", "the SA has reached its hard lifetime")                                  \
    X(NO_RANDOM, "no-random", "no random octets for the IV")                                       \
    X(CRYPTO, "crypto", "the cryptographic library failed")                                        \
    X(UNKNOWN_SPI, "unknown-spi", "no SA has its SPI")                                             \
    X(ADDRESS, "address", "its addresses are not those of its SA")                                 \
    X(TRUNCATED, "truncated", "too short for its SA's algorithms")                                 \
    X(OLD, "old", "behind the replay window")                                                      \
    X(REPLAY, "replay", "its sequence number was seen before")                                     \
    X(ICV, "icv", "its integrity check value is wrong")                                            \
    X(PADDING, "padding", "its padding is not as it must be")                                      \
    X(NEXT_HEADER, "next-header", "what is in it does not go with the SA's mode")                  \
    X(INNER, "inner", "what is in it is no well-formed IP packet")                                 \
    X(SELECTORS, "selectors", "what is in it is not what its SA is for")                           \
    X(BUNDLE, "bundle", "did not come through the SA that has to protect it too")                  \
    X(ECN, "ecn", "congestion was experienced, which what is in it cannot be told")                \
    X(QUOTED, "quoted", "an ICMP error about a packet that its SA is not for")

enum ipsec_result {
#define X(name, counter, text) IPSEC_##name,
    IPSEC_RESULTS(X)
#undef X
        IPSEC_RESULT_COUNT
};

/* English, one clause, without a full stop. */
const char *ipsec_result_text(enum ipsec_result result);
/* The name of the counter. */
const char *ipsec_result_name(enum ipsec_result result);
/* The packet goes on (IPSEC_OK, IPSEC_BYPASS), or to IKE, or back after it was cut. */
static inline bool ipsec_result_passes(enum ipsec_result result)
{
    return result <= IPSEC_TO_FRAGMENT;
}

#endif
