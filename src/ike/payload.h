/*
 * The chain of payloads (RFC 7296 3.2): what stands in a message, and what is inside of an
 * Encrypted payload once it is open.
 *
 * Parsing splits and bounds; what is in a body is the business of the payload's own file, and
 * whether a payload may stand there at all that of admission.h. Everything borrows the octets.
 */
#ifndef IKE_PAYLOAD_H
#define IKE_PAYLOAD_H

#include "base/view.h"
#include "ike/fault.h"
#include "ike/header.h"

enum { IKE_PAYLOADS_MAX = 64, IKE_PAYLOAD_HEADER_LEN = 4, IKE_CRITICAL_BIT = 0x80 };

struct ike_payload {
    uint8_t type;
    bool critical;
    struct gh_view body; /* behind the generic header */
};

struct ike_payloads {
    struct ike_payload payload[IKE_PAYLOADS_MAX];
    size_t count;
};

/* The Encrypted or Encrypted Fragment payload that ends a message; still closed. */
struct ike_sealed {
    uint8_t type;        /* IKE_P_SK, IKE_P_SKF; 0: the message has none */
    uint8_t first;       /* type of the first payload inside */
    size_t offset;       /* of the generic header in the datagram */
    struct gh_view body; /* SKF: with fragment number and total */
    uint8_t flags;       /* critical and reserved bits of the generic header, as they came */
};

struct ike_message {
    struct ike_header h;
    struct ike_payloads clear; /* in front of `sealed`, or all there is */
    struct ike_sealed sealed;
};

/* A whole datagram without the non-ESP marker. SK and SKF end the chain and the message. */
enum ike_fault ike_message_parse(struct gh_view datagram, struct ike_message *out);
/* A chain of payloads alone, of which the first has type `first` (0: none, and no octets). An
 * Encrypted payload within is IKE_SYNTAX. */
enum ike_fault ike_payloads_parse(uint8_t first, struct gh_view octets, struct ike_payloads *out);

/* The nth (from 0) payload of a type, or NULL. */
const struct ike_payload *ike_find(const struct ike_payloads *p, uint8_t type, size_t nth);
size_t ike_count(const struct ike_payloads *p, uint8_t type);

/* Whether a payload of a known type has a body that its parser takes; unknown types are IKE_OK.
 * admission.h asks for each payload, so that parsing cannot fail later. */
enum ike_fault ike_payload_check(const struct ike_payload *payload);

#endif
