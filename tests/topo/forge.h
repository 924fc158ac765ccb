/*
 * Segments as somebody without the key would forge them: the tool of flood.c.
 *
 * Pure: addresses and numbers in, whole IP packets with right checksums out, so that nothing but
 * the authentication can tell them from the peer's.
 */
#ifndef GH_TEST_FORGE_H
#define GH_TEST_FORGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define FORGE_KINDS(X)                                                                             \
    X(BAD_MAC, "bad-mac")             /* data, a KeyID in use, a random MAC */                     \
    X(BAD_MAC_RST, "bad-mac-rst")     /* RST likewise */                                           \
    X(BAD_MAC_FIN, "bad-mac-fin")     /* FIN likewise */                                           \
    X(BAD_MAC_SYN, "bad-mac-syn")     /* SYN likewise */                                           \
    X(UNKNOWN_KEYID, "unknown-keyid") /* data, a KeyID that no key has */                          \
    X(NO_OPTION, "no-option")         /* data without authentication */                            \
    X(RST, "rst")                     /* RST without */                                            \
    X(FIN, "fin")                     /* FIN without */                                            \
    X(SYN, "syn")                     /* SYN without */                                            \
    X(MD5, "md5")                     /* data with a TCP-MD5 option */                             \
    X(DUPLICATE, "duplicate")         /* two TCP-AO options */                                     \
    X(AO_AND_MD5, "ao-and-md5")       /* TCP-AO and TCP-MD5 */                                     \
    X(BAD_LENGTH, "bad-length")       /* a MAC shorter than the key makes it */                    \
    X(SHORT_OPTION, "short-option")   /* a TCP-AO option of three octets */                        \
    X(OVERRUN, "overrun")             /* a TCP-AO option longer than the header */                 \
    X(ZERO_LENGTH, "zero-length")     /* an option of length 0 */                                  \
    X(DATA_OFFSET, "data-offset")     /* a data offset beyond the segment */                       \
    X(TRUNCATED, "truncated")         /* the segment ends within the TCP header */                 \
    X(GARBAGE, "garbage")             /* random octets as options */                               \
    X(ICMP, "icmp")                   /* ICMP hard errors about the peer's connection */

enum forge_kind {
#define FORGE_ENUM(id, name) FORGE_##id,
    FORGE_KINDS(FORGE_ENUM)
#undef FORGE_ENUM
        FORGE_KIND_COUNT
};
const char *forge_name(enum forge_kind kind);

/* The connection that the segments pretend to belong to, seen from the peer: src is the peer. */
struct forge {
    struct gh_addr src, dst;
    uint16_t src_port, dst_port;
    uint32_t seq, ack; /* what the victim expects next, and what it has sent last */
    uint32_t window;   /* sequence numbers are spread over this many octets; 0: exact ones */
    uint8_t keyid, rnext, unknown_keyid;
    uint8_t mac_len;
    uint64_t random; /* state of the generator; any number to begin with */
};

enum { FORGE_PACKET_MAX = 256 };

/* An IPv4 or IPv6 packet; returns its length. */
size_t forge_packet(struct forge *f, enum forge_kind kind, uint8_t out[FORGE_PACKET_MAX]);

#endif
