/*
 * The IKE header (RFC 7296 3.1): the fixed 28 octets in front of every message.
 */
#ifndef IKE_HEADER_H
#define IKE_HEADER_H

#include "base/view.h"
#include "ike/fault.h"
#include "wire/wr.h"

enum {
    IKE_HEADER_LEN = 28,
    IKE_SPI_LEN = 8,
    IKE_HEADER_NEXT = 16, /* offsets of what is filled in late */
    IKE_HEADER_LENGTH = 24,
    IKE_VERSION_2 = 0x20,
    IKE_FLAG_INITIATOR = 0x08, /* the sender began the IKE SA */
    IKE_FLAG_VERSION = 0x10,   /* the sender can speak a higher major version */
    IKE_FLAG_RESPONSE = 0x20
};

struct ike_header {
    uint8_t spi_i[IKE_SPI_LEN], spi_r[IKE_SPI_LEN];
    uint8_t next; /* type of the first payload */
    uint8_t version;
    uint8_t exchange;
    uint8_t flags;
    uint32_t id;     /* Message ID */
    uint32_t length; /* of the whole message */
};

/* Reads the fixed octets only: enough to find the SA or to answer with INVALID_MAJOR_VERSION.
 * IKE_NO_IKE if there are fewer than 28. */
enum ike_fault ike_header_parse(struct gh_view datagram, struct ike_header *out);
/* Version 2, and the length is the datagram's: NO_IKE, OLD_VERSION or NEW_VERSION if not. A higher
 * minor version is none of our business (RFC 7296 2.5). */
enum ike_fault ike_header_check(const struct ike_header *h, size_t datagram_len);
void ike_header_emit(struct gh_wr *w, const struct ike_header *h);

static inline bool ike_header_is_response(const struct ike_header *h)
{
    return (h->flags & IKE_FLAG_RESPONSE) != 0;
}

static inline bool ike_header_from_initiator(const struct ike_header *h)
{
    return (h->flags & IKE_FLAG_INITIATOR) != 0;
}

#endif
