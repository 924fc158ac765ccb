/*
 * `tunnel NAME { … }`: GRE and IP in IP, each with a device of its own through which packets are
 * routed. Part of struct gh_ike_config, for who protects them is an IKE peer.
 */
#ifndef GH_CONFIG_TUNNELS_H
#define GH_CONFIG_TUNNELS_H

#include "base/addr.h"
#include "config/octets.h"
#include "ike/v2/policy.h"
#include "tunnel/tunnel.h"

enum {
    GH_TUNNELS = 1024,
    GH_TUNNEL_ADDRESSES = 16,
    GH_TUNNEL_DEVICE = 15, /* characters of a device's name */
    GH_TUNNEL_MIN = 61     /* octets of one, at least: no count may promise more than there are */
};

struct gh_tunnel {
    char *name;
    char *device;
    char *netns, *vrf;      /* where the device is; NULL: the daemon's own, none */
    char *peer;             /* that protects it; NULL: nobody does, and that is what is wanted */
    enum ike2_plane plane;  /* what is wanted; of the parent's value alone */
    bool kernel;            /* the device is the kernel's: its packets never come to `esp` */
    char *not_kernel;       /* why not, though it may be; NULL: it is, or may not. */
    int line;               /* of the parent's value alone */
    uint16_t zone;          /* of the packets outside: that of struct ike2_policy */
    struct tunnel_params p; /* id and places are not set */
    uint32_t reassembly_ms; /* 0: fragments are dropped */
    uint16_t too_big_messages, too_big_seconds;      /* as in ike/v2/child_path.h */
    struct gh_prefix addresses[GH_TUNNEL_ADDRESSES]; /* of the device, host parts included */
    size_t address_count;
};

void gh_tunnel_free(struct gh_tunnel *t); /* what it owns */

void gh_tunnels_put(struct gh_wr *w, const struct gh_tunnel *list, size_t count);
/* Sticky, as octets.h. zones: how many there are. *list is to be freed, each after
 * gh_tunnel_free(). */
void gh_tunnels_get(struct gh_rd *r, size_t zones, struct gh_tunnel **list, size_t *count);

/* The MTU of its device. */
static inline uint16_t gh_tunnel_device_mtu(const struct gh_tunnel *t)
{
    return t->p.mtu.clear_df || t->p.mtu.ipv6 == TUNNEL_MTU_IPV6_WHOLE ? TUNNEL_MTU_MAX
                                                                       : t->p.mtu.ip_mtu;
}

#endif
