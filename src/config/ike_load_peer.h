/*
 * What the two readers of a peer's section share. For load_ike_peer.c and load_ike_auth.c only.
 */
#ifndef GH_CONFIG_IKE_LOAD_PEER_H
#define GH_CONFIG_IKE_LOAD_PEER_H

#include "config/ike_load.h"

/* The options by their place in the section's table. */
enum {
    PEER_DESCRIPTION,
    PEER_REMOTE,
    PEER_LOCAL,
    PEER_ADDITIONAL,
    PEER_MOVES_TO,
    PEER_NETNS,
    PEER_VRF,
    PEER_PRIVATE_NETNS,
    PEER_PRIVATE_VRF,
    PEER_GATEWAY,
    PEER_PORT,
    PEER_RESPONDER_ONLY,
    PEER_POLICY,
    PEER_LOCAL_AUTH,
    PEER_REMOTE_AUTH,
    PEER_LOCAL_ID,
    PEER_REMOTE_ID,
    PEER_MATCH_ID,
    PEER_PSK,
    PEER_PSK_FILE,
    PEER_PSK_CREDENTIAL,
    PEER_PSK_SECRET,
    PEER_PROFILE,
    PEER_TRUST,
    PEER_RAW_KEY,
    PEER_PEER_RAW_KEY,
    PEER_CLIENT_DB,
    PEER_PPK,
    PEER_PPK_REQUIRED,
    PEER_BACKUP,
    PEER_REVERT,
    PEER_ADMIN,
    PEER_DATAPLANE,
    PEER_GROUP,
    PEER_CHILD,
    PEER_ITEMS
};

/* How each end authenticates, by what and as whom. */
void gh_load_ike_auth(struct gh_ike_loader *x, const struct gh_node *section,
                      const struct gh_node **got, struct ike2_policy *p);

/* Other gateways of the peer, and its administrative state. After its addresses. */
void gh_load_ike_gateways(struct gh_ike_loader *x, const struct gh_node **got,
                          struct ike2_policy *p);

/* Who carries the packets: load_ike_plane.c. After netns, vrf and the children. */
/* After its children. */
void gh_load_ike_plane(struct gh_ike_loader *x, const struct gh_node *n,
                       const struct gh_ike_place *place, struct ike2_policy *p);
/* load_ike_private.c; after the children and the plane */
void gh_load_ike_private(struct gh_ike_loader *x, const struct gh_node **got,
                         const struct gh_ike_place *place, struct ike2_policy *p);

/* load_ike_group.c; after the plane */
void gh_load_ike_peer_group(struct gh_ike_loader *x, const struct gh_node *n,
                            const struct ike2_policy *p, struct gh_ike_place *place);

/* Where else the two ends may be (MOBIKE). After local, remote and the ike-policy. */
void gh_load_ike_moves(struct gh_ike_loader *x, const struct gh_node **got, struct ike2_policy *p);

#endif
