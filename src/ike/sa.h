/*
 * The Security Association payload (RFC 7296 3.3): proposals, their transforms and attributes.
 *
 * Any protocol number and any transform type is taken without loss; proposal.h chooses. Transforms
 * of a proposal stand in the order in which they came.
 */
#ifndef IKE_SA_H
#define IKE_SA_H

#include "ike/out.h"
#include "ike/payload.h"

enum { IKE_PROPOSALS_MAX = 32, IKE_TRANSFORMS_MAX = 64, IKE_SA_SPI_MAX = 16 };

struct ike_transform {
    uint8_t type;
    uint16_t id;
    uint16_t key_bits;  /* Key Length attribute; 0: none */
    struct gh_view odd; /* all attributes as they came, if there is one that we do not
                         * understand; such a transform is never chosen */
};

struct ike_proposal {
    uint8_t number;   /* from 1 in an offer */
    uint8_t protocol; /* enum ike_protocol */
    uint8_t spi[IKE_SA_SPI_MAX];
    uint8_t spi_len;
    struct ike_transform transform[IKE_TRANSFORMS_MAX];
    size_t count;
};

struct ike_sa {
    struct ike_proposal proposal[IKE_PROPOSALS_MAX];
    size_t count;
};

/* IKE_TOO_MANY: more proposals or transforms than the limits, or an SPI above 16 octets. */
enum ike_fault ike_sa_parse(struct gh_view body, struct ike_sa *out);
void ike_sa_emit(struct ike_out *o, const struct ike_sa *sa);
/* An SA payload with one proposal: an answer. */
void ike_sa_emit_one(struct ike_out *o, const struct ike_proposal *proposal);

/* The first transform of a type, or NULL. */
const struct ike_transform *ike_proposal_find(const struct ike_proposal *p, uint8_t type);
/* Its number, or 0: IKE_ENCR_…, IKE_KE_…; 0 is NONE where a type has that. */
uint16_t ike_proposal_id(const struct ike_proposal *p, uint8_t type);
/* False: full. */
bool ike_proposal_add(struct ike_proposal *p, uint8_t type, uint16_t id, uint16_t key_bits);

/* "ENCR_AES_CBC_256": its name, or its number, and the length of its key. */
enum { IKE_TRANSFORM_TEXT = 64 };
const char *ike_transform_text(const struct ike_transform *t, char buf[IKE_TRANSFORM_TEXT]);

/* "IKE: ENCR_AES_CBC_256 PRF_HMAC_SHA2_256 …" for logs; cut off where buf ends. */
const char *ike_proposal_format(const struct ike_proposal *p, char *buf, size_t len);

#endif
