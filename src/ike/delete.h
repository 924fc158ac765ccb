/* The Delete payload (RFC 7296 3.11): this IKE SA, or SPIs of AH or ESP. */
#ifndef IKE_DELETE_H
#define IKE_DELETE_H

#include "ike/out.h"
#include "ike/payload.h"

struct ike_delete {
    uint8_t protocol;
    uint8_t spi_len;     /* 0 for IKE, 4 for AH and ESP */
    uint16_t count;      /* 0 for IKE */
    struct gh_view spis; /* count × spi_len octets */
};

enum ike_fault ike_delete_parse(struct gh_view body, struct ike_delete *out);
void ike_delete_emit(struct ike_out *o, const struct ike_delete *d);
/* The nth SPI as it goes into an ESP or AH header; n < count, spi_len 4. */
uint32_t ike_delete_spi(const struct ike_delete *d, size_t n);

#endif
