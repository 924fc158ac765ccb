/* Where SAs and Child SAs are found: tables.c. */
#ifndef IKE2_TABLES_H
#define IKE2_TABLES_H

#include "ike/v2/priv.h"

bool ike2_tables_new(struct ike2 *c); /* false: no memory; to be freed all the same */
void ike2_tables_free(struct ike2 *c);
bool ike2_sa_link(struct ike2 *c, struct ike2_sa *sa); /* into the tables; false: no memory */
void ike2_sa_unlink(struct ike2 *c, struct ike2_sa *sa);
struct ike2_sa *ike2_by_spi(const struct ike2 *c, const uint8_t spi[IKE_SPI_LEN]);
/* As responder, by the initiator's SPI and address. */
struct ike2_sa *ike2_by_init(const struct ike2 *c, const uint8_t spi_i[IKE_SPI_LEN],
                             const struct ike2_datagram *d);
/* The peer's identity is known and believed. */
void ike2_sa_name(struct ike2 *c, struct ike2_sa *sa);
/* The next SA after `after` whose peer may have this identity; to be compared. */
struct ike2_sa *ike2_by_name(const struct ike2 *c, const struct gh_identity *id,
                             const struct ike2_sa *after);
struct ike2_sa *ike2_by_number(const struct ike2 *c, uint64_t id);
struct ike2_child *ike2_child_by_number(const struct ike2 *c, uint32_t id);
void ike2_set_policy(struct ike2_sa *sa, struct ike2_policy *policy);
void ike2_child_link(struct ike2 *c, struct ike2_sa *sa, struct ike2_child *child);
void ike2_child_unlink(struct ike2 *c, struct ike2_child *child);
void ike2_new_spi(struct ike2 *c, uint8_t spi[IKE_SPI_LEN]);
bool ike2_spi_is_zero(const uint8_t spi[IKE_SPI_LEN]);

#endif
