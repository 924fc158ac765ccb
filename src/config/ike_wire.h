/*
 * Numbers that both directions of the encoding of IKE's configuration share. For ike_encode.c and
 * ike_decode.c only.
 *
 * Certificates and raw keys stand in one list each; all else names them, profiles, CAs and client
 * databases by their place in the list, from 1 (0: none).
 */
#ifndef GH_CONFIG_IKE_WIRE_H
#define GH_CONFIG_IKE_WIRE_H

enum {
    GH_IKE_MAGIC = 0x67693037, /* "gi07": changes with the encoding */
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

#endif
