/*
 * What the two readers of a session's section share. For load_session.c and load_ike_session.c
 * only.
 */
#ifndef GH_CONFIG_LOAD_SESSION_H
#define GH_CONFIG_LOAD_SESSION_H

#include "config/schema.h"

/* The options by their place in the section's table. */
enum {
    SESSION_DESCRIPTION,
    SESSION_PEER,
    SESSION_LOCAL,
    SESSION_PORT,
    SESSION_SOURCE_PORT,
    SESSION_DIRECTION,
    SESSION_MODE,
    SESSION_BACKEND,
    SESSION_NETNS,
    SESSION_VRF,
    SESSION_ACCEPT_ICMP,
    SESSION_KEY_CHAIN,
    SESSION_IKE_PEER,
    SESSION_FALLBACK,
    /* Those that are shown as they were written: gh_session.ike_text. */
    SESSION_ALGORITHM,
    SESSION_MAC_LENGTH,
    SESSION_TCP_OPTIONS,
    SESSION_KE,
    SESSION_ADDKE1,
    SESSION_ADDKE7 = SESSION_ADDKE1 + 6,
    SESSION_REKEY,
    SESSION_REKEY_BYTES,
    SESSION_REKEY_PACKETS,
    SESSION_PATIENCE,
    SESSION_ITEMS
};

/* What IKE negotiates for a session that names an ike-peer: child policies of that peer, and what
 * the gatekeeper has to know. */
void gh_load_session_ike(struct gh_loader *l, const struct gh_node **got, struct gh_session *s);

#endif
