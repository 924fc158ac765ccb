/*
 * Building messages: payloads are appended, next-payload fields and lengths fill themselves in.
 *
 *     struct ike_out o = ike_out_message(mem, sizeof(mem), &header);
 *     ike_sa_emit(&o, &sa);
 *     ike_nonce_emit(&o, nonce);
 *     if (ike_out_done(&o, &datagram)) ...
 *
 * A message with an Encrypted payload is built as an inner chain, which sk.h seals. Writes into the
 * caller's memory; what does not fit is told once, at the end.
 */
#ifndef IKE_OUT_H
#define IKE_OUT_H

#include "ike/payload.h"
#include "wire/wr.h"

struct ike_out {
    struct gh_wr w;
    uint8_t first;   /* type of the first payload: what sk.h wants to know */
    bool message;    /* begins with a header */
    size_t next_at;  /* where the type of the next payload goes */
    size_t start_at; /* of the payload that is open */
};

/* A message; next payload and length of `h` do not count. */
struct ike_out ike_out_message(void *mem, size_t cap, const struct ike_header *h);
/* A chain without header. */
struct ike_out ike_out_inner(void *mem, size_t cap);
/* True if all has fit; `octets` gets what was written. */
bool ike_out_done(struct ike_out *o, struct gh_view *octets);

/* A whole payload from its body: also for types that have no file (Vendor ID, EAP, unknown). */
void ike_out_payload(struct ike_out *o, uint8_t type, bool critical, struct gh_view body);
/* For the payloads' own files: generic header now, its length at the close. */
void ike_out_open(struct ike_out *o, uint8_t type, bool critical);
void ike_out_close(struct ike_out *o);
void ike_out_view(struct ike_out *o, struct gh_view octets);

#endif
