/*
 * The Identification payloads IDi and IDr (RFC 7296 3.5): type and octets. What they mean and whom
 * they match is src/pki's.
 */
#ifndef IKE_ID_H
#define IKE_ID_H

#include "ike/out.h"
#include "ike/payload.h"

struct ike_id {
    uint8_t type; /* IKE_ID_… */
    struct gh_view data;
};

/* Addresses of the wrong length and empty names are IKE_SYNTAX; only ID_NULL is empty. */
enum ike_fault ike_id_parse(struct gh_view body, struct ike_id *out);
/* payload: IKE_P_IDI or IKE_P_IDR. */
void ike_id_emit(struct ike_out *o, uint8_t payload, const struct ike_id *id);

#endif
