/*
 * The Notify payload (RFC 7296 3.10): protocol, SPI, type and data.
 *
 * Data with a layout of its own is read by notify_data.h. Whether a notification is heard at its
 * place is admission.h's business.
 */
#ifndef IKE_NOTIFY_H
#define IKE_NOTIFY_H

#include "ike/out.h"
#include "ike/payload.h"

struct ike_notify {
    uint8_t protocol; /* of the SPI; 0 where there is none */
    uint16_t type;    /* IKE_N_… */
    struct gh_view spi, data;
};

enum ike_fault ike_notify_parse(struct gh_view body, struct ike_notify *out);
void ike_notify_emit(struct ike_out *o, const struct ike_notify *n);
/* The usual kind: no SPI. */
void ike_notify_emit_data(struct ike_out *o, uint16_t type, struct gh_view data);

/* The nth (from 0) well-formed notification of a type. */
bool ike_find_notify(const struct ike_payloads *p, uint16_t type, size_t nth,
                     struct ike_notify *out);
bool ike_has_notify(const struct ike_payloads *p, uint16_t type);
/* The first notification that is an error, also one that we do not know. */
bool ike_find_error(const struct ike_payloads *p, struct ike_notify *out);

#endif
