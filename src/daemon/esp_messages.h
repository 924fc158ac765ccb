/*
 * What `ike` and the IPsec engine's process tell each other of Child SAs (frame.h: CHILD_…), as
 * octets. Pure.
 */
#ifndef GH_DAEMON_ESP_MESSAGES_H
#define GH_DAEMON_ESP_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"
#include "daemon/frame.h"
#include "ike/ts.h"
#include "ike/v2/policy.h"
#include "ipsec/sa.h"
#include "platform/spi.h"
#include "wire/wr.h"

enum { GH_ESP_NETNS = 256, GH_ESP_VRF = 16, GH_ESP_TUNNEL = 16, GH_ESP_WHO = 96 };

/* As platform/spi.h has it. */
static inline void gh_esp_mark_spi(uint8_t *spi, bool kernel, uint8_t slot)
{
    spi[0] = kernel ? (uint8_t)(spi[0] | 0x80) : (uint8_t)((spi[0] & 0x07) | slot << 3);
    if (spi[0] == 0 && spi[1] == 0)
        spi[1] = GH_SPI_DRAWN >> 16;
}

/* AH around ESP, of keys by hand alone: two children of one name. */
enum gh_esp_bundle { GH_ESP_ALONE, GH_ESP_AROUND, GH_ESP_INSIDE };

/* One Child SA, both directions. */
struct gh_esp_child {
    uint32_t id;       /* of the IKE core that made it */
    uint32_t replaces; /* the child that it rekeys; 0: none */
    bool initiator;    /* of the exchange that made it */
    enum ipsec_protocol protocol;
    enum ipsec_mode mode;
    char netns[GH_ESP_NETNS], vrf[GH_ESP_VRF]; /* of what it protects; "": the daemon's own, none */
    char peer[IKE2_NAME + 1], name[IKE2_NAME + 1];
    uint32_t spi_in, spi_out;
    enum gh_enc_alg enc;
    uint16_t enc_bits;
    enum gh_integ_alg integ;
    bool esn;
    bool kernel;  /* carries it */
    bool follows; /* as in struct ike2_child_view */
    struct gh_addr local, remote;
    uint16_t local_port, remote_port; /* of UDP encapsulation; 0, 0: none */
    uint32_t seconds;                 /* hard lifetime; 0: none */
    uint64_t octets, packets;         /* of each direction; 0: no limit */
    bool icmp_header;                 /* as in struct ike2_child_policy */
    bool fragments_also;              /* as in struct ike2_child_view */
    struct ike_ts_list ts_local, ts_remote;
    bool reverse, overlap; /* as in struct ike2_child_policy: reverse_route, route_overlap */
    uint16_t metric;
    uint8_t tunnel[GH_ESP_TUNNEL]; /* of the peer and the identity that it proved: a digest, */
    char who[GH_ESP_WHO];          /* and that identity for people to read; it may be cut */
    struct ike2_child_traffic traffic;
    enum gh_esp_bundle bundle;
    struct gh_view key_in, key_out; /* borrowed from the message */
};

void gh_esp_put_child(struct gh_wr *w, const struct gh_esp_child *c);
/* False: malformed, or more than can be. What goes together is the engine's to say. */
bool gh_esp_take_child(struct gh_rd *r, struct gh_esp_child *out);

/* Parts of messages. Texts have at most 255 octets; size: of `out`. */
void gh_esp_put_string(struct gh_wr *w, const char *text);
void gh_esp_take_string(struct gh_rd *r, char *out, size_t size);
void gh_esp_put_ts_list(struct gh_wr *w, const struct ike_ts_list *list);
void gh_esp_take_ts_list(struct gh_rd *r, struct ike_ts_list *list);

/* CHILD_HELLO: who speaks, a number drawn at its start, and the children that it has. */
bool gh_esp_take_hello(struct gh_rd *r, uint64_t *epoch, struct gh_rd *ids);

struct gh_esp_ends {
    uint32_t id;
    struct gh_addr local, remote;
    uint16_t local_port, remote_port;
};
void gh_esp_put_ends(struct gh_wr *w, const struct gh_esp_ends *e);
bool gh_esp_take_ends(struct gh_rd *r, struct gh_esp_ends *out);

/* CHILD_REFUSED: it is not carried, or not any more. */
enum { GH_ESP_WHY = 256 };
struct gh_esp_refusal {
    uint32_t id;
    char why[GH_ESP_WHY];
};
void gh_esp_put_refusal(struct gh_wr *w, const struct gh_esp_refusal *x);
bool gh_esp_take_refusal(struct gh_rd *r, struct gh_esp_refusal *out);

struct gh_esp_usage {
    uint32_t id;
    uint64_t octets, packets; /* more than was told before */
    bool incoming;
};
void gh_esp_put_usage(struct gh_wr *w, const struct gh_esp_usage *u);
bool gh_esp_take_usage(struct gh_rd *r, struct gh_esp_usage *out);

/* A packet that met no SA: for the child's exchange (RFC 7296 2.9). */
struct gh_esp_wanted {
    char peer[IKE2_NAME + 1], name[IKE2_NAME + 1];
    struct ike_ts local, remote;
};
void gh_esp_put_wanted(struct gh_wr *w, const struct gh_esp_wanted *x);
bool gh_esp_take_wanted(struct gh_rd *r, struct gh_esp_wanted *out);

/* A packet whose SPI no SA has. */
struct gh_esp_stranger {
    char netns[GH_ESP_NETNS], vrf[GH_ESP_VRF]; /* as in struct gh_esp_child */
    struct gh_addr local, remote;
    uint32_t spi;
};
void gh_esp_put_stranger(struct gh_wr *w, const struct gh_esp_stranger *x);
bool gh_esp_take_stranger(struct gh_rd *r, struct gh_esp_stranger *out);

/* A datagram for `ike` that the kernel gave to `esp`: it came in one piece with ESP before it
 * (UDP_GRO). */
struct gh_esp_stray {
    char netns[GH_ESP_NETNS], vrf[GH_ESP_VRF];
    struct gh_addr local, remote;
    uint16_t port;       /* the remote one */
    struct gh_view data; /* behind the non-ESP marker; borrowed from the message */
};
void gh_esp_put_stray(struct gh_wr *w, const struct gh_esp_stray *x);
bool gh_esp_take_stray(struct gh_rd *r, struct gh_esp_stray *out);

/* To the parent, after the place: a route into the device there. */
struct gh_esp_route_wish {
    bool up; /* else it is to go */
    struct gh_prefix to;
    uint16_t metric;
    bool holds_peer;       /* its own packets go there, too */
    struct gh_addr source; /* what this host sends from; len 0: any */
};
void gh_esp_put_route(struct gh_wr *w, const char *netns, const char *vrf,
                      const struct gh_esp_route_wish *x);
bool gh_esp_take_route(struct gh_rd *r, char netns[GH_ESP_NETNS], char vrf[GH_ESP_VRF],
                       struct gh_esp_route_wish *out);

/* TUNNEL_REACH: to which of a tunnel's remote addresses the host has a route. */
struct gh_esp_reach {
    char tunnel[IKE2_NAME + 1];
    bool primary, backup;
};
void gh_esp_put_reach(struct gh_wr *w, const struct gh_esp_reach *x);
bool gh_esp_take_reach(struct gh_rd *r, struct gh_esp_reach *out);

#endif
