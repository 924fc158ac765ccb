/*
 * One packet on its way through one SA: what ESP and AH leave for their second half while the
 * back end works on the batch. Owned by the engine, for the length of one call.
 */
#ifndef IPSEC_WORK_H
#define IPSEC_WORK_H

#include "ipsec/packet.h"
#include "ipsec/sa.h"

struct ipsec_work {
    struct ipsec_packet *packet;
    struct ipsec_sa *sa;
    struct ipsec_layout layout; /* of the packet as it came */
    uint64_t seq;
    size_t octets;                  /* of the packet inside */
    const uint8_t *random;          /* OUT: the IV, where it has to be unpredictable */
    uint16_t ip_id;                 /* OUT: for an outer header without DF */
    size_t data_at, ah_len;         /* of the packet: where the payload (AH: the AH) begins */
    uint64_t came_through;          /* IN: the SA around this one; 0: none */
    uint8_t protocol;               /* IN: ESP or AH */
    uint32_t spi;                   /* IN: and what names its SA */
    uint16_t from_port;             /* IN: of UDP encapsulation, or 0 */
    bool moved;                     /* IN: it did not come from where its SA's peer was */
    uint8_t icv[GH_CIPHER_ICV_MAX]; /* AH */
    uint8_t iv[8];                  /* where it is not in the packet */
    struct ipsec_crypt_job job;
};

#endif
