/* Tickets as octets: sealed, opened, spent (tickets.c). For resume.c. */
#ifndef IKE2_TICKETS_H
#define IKE2_TICKETS_H

#include "ike/v2/priv.h"

/* What is in a ticket. */
struct ike2_ticket_state {
    int64_t expires;
    uint8_t spi_i[IKE_SPI_LEN], spi_r[IKE_SPI_LEN]; /* of the IKE SA of which it is */
    struct ike2_suite suite;
    bool ppk_used;
    char policy[IKE2_NAME + 1];
    struct gh_identity client, gateway;
    uint8_t sk_d[GH_PRF_MAX], sk_d_len;
};

bool ike2_ticket_seal(struct ike2 *c, const struct ike2_ticket_state *s, struct gh_wr *out,
                      struct ike2_ticket_ref *ref);
/* False: not of ours, changed, expired or spent. */
bool ike2_ticket_open(struct ike2 *c, struct gh_view ticket, struct ike2_ticket_state *s,
                      struct ike2_ticket_ref *ref);
void ike2_ticket_spend(struct ike2 *c, const struct ike2_ticket_ref *ref);
void ike2_tickets_free(struct ike2 *c);  /* wipes: none that we gave is good any more */
void ike2_tickets_leave(struct ike2 *c); /* those in the shell's memory, to the next core */

#endif
