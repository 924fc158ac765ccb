/*
 * Sizes of packets in the `esp` process: what is too long for its child or for the path is cut, or
 * refused with an ICMP error; what routers say of the path is learned; TCP is told what fits.
 *
 * The engine puts aside what is longer than its SA's limit, and TCP's SYNs where they count
 * (struct ipsec_aside); all else costs one comparison. What was put aside comes here, and goes
 * through the engine again, cut if need be. Kernel and engine do the rest: the device's MTU is the
 * largest that a child of the place has, so that the kernel fragments and refuses as any router
 * does; only what differs from it is looked at here. Fragments of ESP that come in are the kernel's
 * to put together, too.
 *
 * ICMP errors of ours go into the device in the name of the packet's destination: with an address
 * of this host's own, the kernel would drop them as martians.
 *
 * No input or output of its own, and no clock. For one thread.
 */
#ifndef GH_DAEMON_ESP_PATH_H
#define GH_DAEMON_ESP_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "config/ike.h"
#include "daemon/esp_children.h"
#include "daemon/esp_names.h"
#include "daemon/esp_outers.h"
#include "ipsec/ipsec.h"
#include "tunnel/pmtu.h"

/* What happened here. */
#define GH_ESP_PATH_COUNTS(X)                                                                      \
    X(WHOLE, "made-whole")           /* of fragments, for transport mode */                        \
    X(CUT, "fragmented")             /* before protection */                                       \
    X(CUT_AFTER, "fragmented-after") /* after it */                                                \
    X(DF_CLEARED, "df-cleared")                                                                    \
    X(TOO_BIG, "too-big")       /* dropped */                                                      \
    X(TOLD, "too-big-told")     /* … and its sender was told */                                  \
    X(NOT_TOLD, "icmp-limited") /* … and was not, for the limit or the rules of ICMP */          \
    X(MSS, "mss-lowered")                                                                          \
    X(MALFORMED, "malformed")                                                                      \
    X(ICMP, "icmp-received")   /* errors about what we sent */                                     \
    X(LEARNED, "mtu-learned")  /* … that lowered a path's MTU */                                 \
    X(FORGED, "icmp-unknown")  /* … about a packet that no SA has sent */                        \
    X(IGNORED, "icmp-ignored") /* … that say no MTU that could be true, or something else */

enum gh_esp_path_count {
#define X(name, text) GH_ESP_PATH_##name,
    GH_ESP_PATH_COUNTS(X)
#undef X
        GH_ESP_PATH_COUNT
};
const char *gh_esp_path_count_name(enum gh_esp_path_count count);

struct gh_esp_path_ops {
    void (*random)(void *ctx, void *out, size_t len);
    /* One packet went through the engine on its way out: as gh_esp_children_passed(). */
    void (*passed)(void *ctx, const struct ipsec_packet *p);
    void (*send)(void *ctx, struct ipsec_packet *p);    /* to the network, as it is */
    void (*deliver)(void *ctx, struct ipsec_packet *p); /* to the device of its place */
};

struct gh_esp_path;

/* outers: borrowed. NULL: no memory. */
struct gh_esp_path *gh_esp_path_new(struct ipsec *engine, struct gh_esp_children *children,
                                    const struct gh_esp_outers *outers,
                                    const struct gh_esp_path_ops *ops, void *ctx);
void gh_esp_path_free(struct gh_esp_path *p); /* NULL is fine */

/* policies: numbers of the SPD, as gh_esp_number(peer, child). False: no memory. */
bool gh_esp_path_configure(struct gh_esp_path *p, const struct gh_ike_config *config,
                           struct gh_esp_names *policies, uint64_t now_ms);
/* An outgoing SA is new, or goes elsewhere. */
void gh_esp_path_changed(struct gh_esp_path *p, uint64_t sa, uint64_t now_ms);

/* A batch went through the engine. What was put aside is dealt with here; what is not to go on in
 * the batch has another result than OK afterwards. */
void gh_esp_path_out(struct gh_esp_path *p, uint64_t now_ms, struct ipsec_packet *packets,
                     size_t count);
void gh_esp_path_in(struct gh_esp_path *p, uint64_t now_ms, struct ipsec_packet *packets,
                    size_t count);
/* An ICMP packet that came to the place, with its IP header. */
void gh_esp_path_icmp(struct gh_esp_path *p, uint64_t now_ms, uint32_t place, const uint8_t *packet,
                      size_t len);
/* The interface itself does not take a packet that left with all its headers: as if a router had
 * said so, which did not know how much it takes (RFC 1191 5). */
void gh_esp_path_too_long(struct gh_esp_path *p, uint64_t now_ms, uint32_t place,
                          const uint8_t *packet, size_t len);
/* Now and then: forgets what is old. */
void gh_esp_path_tick(struct gh_esp_path *p, uint64_t now_ms);

const uint64_t *gh_esp_path_counts(const struct gh_esp_path *p); /* [GH_ESP_PATH_COUNT] */
/* Known path MTUs, for `show`. */
const struct tunnel_pmtu *gh_esp_path_mtus(const struct gh_esp_path *p);
/* What may go into an outgoing SA whole at present, and what its path takes (0: not known). */
void gh_esp_path_sizes(const struct gh_esp_path *p, const struct ipsec_sa *sa, uint64_t now_ms,
                       uint16_t *inner, uint16_t *path);

/* A packet that leaves with the IP header that it has: a fragment, one with DF, which the kernel
 * would not set, or neither ESP nor UDP. */
bool gh_esp_path_is_raw(const uint8_t *packet);

#endif
