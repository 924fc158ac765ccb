/*
 * Numbers that both directions of the encoding of IKE's configuration share. For ike_encode.c,
 * ike_decode.c and spd.c only.
 *
 * Certificates and raw keys stand in one list each; all else names them, profiles, CAs and client
 * databases by their place in the list, from 1 (0: none).
 */
#ifndef GH_CONFIG_IKE_WIRE_H
#define GH_CONFIG_IKE_WIRE_H

#include "ike/ts.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum {
    GH_IKE_MAGIC = 0x67693130, /* "gi10": changes with the encoding */
    GH_IKE_WIRE_MAX = 512 * 1048576,
    /* Least octets of one element: no count may promise more than the octets can hold. */
    GH_IKE_CERT_MIN = 4,
    GH_IKE_TRUST_MIN = 6,
    GH_IKE_PROFILE_MIN = 4,
    GH_IKE_TS_LIST_MIN = 6,
    GH_IKE_CLIENT_DB_MIN = 6,
    GH_IKE_CLIENT_MIN = 8,
    GH_IKE_ZONE_MIN = 4,
    GH_IKE_POLICY_MIN = 94,
    GH_IKE_SESSION_MIN = 96
};

void gh_ike_put_selectors(struct gh_wr *w, const struct ike_ts_list *list);
void gh_ike_get_selectors(struct gh_rd *r, struct ike_ts_list *list);

#endif
