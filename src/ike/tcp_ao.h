/*
 * TCP-AO's keys as what IKEv2 negotiates (docs/specs/ikev2-tcp-ao.md): an SA of a protocol with a
 * private number, whose SPIs are the KeyIDs and whose key material is an MKT's master key.
 */
#ifndef IKE_TCP_AO_H
#define IKE_TCP_AO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    IKE_TCP_AO_SPI_LEN = 1, /* the KeyID that its sender wants to receive */
    IKE_TCP_AO_MAC_LEN = 12 /* where nobody says otherwise */
};

/* What an MKT has beside its key (RFC 5925 3.1). */
struct ike_tcp_ao {
    uint8_t mac_len;
    bool options_covered;
};

/* PRF (the KDF) and INTEG (the MAC) go together, as RFC 5926 has them and as Linux couples them.
 * Octets of the master key; 0: no such pair. */
size_t ike_tcp_ao_key_len(uint16_t prf, uint16_t integ);
/* The MAC that belongs to a KDF; 0: none does. */
uint16_t ike_tcp_ao_integ(uint16_t prf);

/* Protocol numbers for private use (RFC 7296 3.3.1) are TCP-AO's here; which one, both ends are
 * told. */
static inline bool ike_protocol_is_tcp_ao(uint8_t protocol)
{
    return protocol >= 201;
}

#endif
