/*
 * Session resumption (RFC 5723): resume.c. The setup of an IKE SA has what is known of the one
 * before.
 */
#ifndef IKE2_RESUME_H
#define IKE2_RESUME_H

#include "ike/v2/priv.h"

/* Of an IKE SA that comes again. */
struct ike2_resumed {
    struct ike2_suite suite;
    bool ppk_used;
    struct gh_identity local, remote;
    struct gh_secret sk_d, ticket; /* ticket: as client, and the next two */
    int64_t expires;
    uint64_t sa;                /* whose ticket it is */
    struct ike2_ticket_ref ref; /* as gateway, and the SA of before */
    uint8_t spi_i[IKE_SPI_LEN], spi_r[IKE_SPI_LEN];
};

void ike2_resume_free(struct ike2 *c);
/* The policy is another now, or gone: who was believed by it has to show again who it is. */
void ike2_resume_forget(struct ike2 *c, const struct ike2_policy *p);
void ike2_resumed_free(struct ike2_resumed *r);
void ike2_resume_ask(struct ike2_sa *sa, struct ike_out *o);
void ike2_resume_give(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
void ike2_resume_take(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
void ike2_resume_ended(struct ike2 *c, const struct ike2_sa *sa, enum ike2_removal why);
/* True: there is a ticket for the policy of this new SA, which has it now. */
bool ike2_resume_possible(struct ike2 *c, struct ike2_sa *sa);
void ike2_resume_start(struct ike2 *c, struct ike2_sa *sa);
void ike2_resume_response(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                          const struct ike_message *m);
void ike2_resume_request(struct ike2 *c, const struct ike2_datagram *d,
                         const struct ike_message *m);
bool ike2_resume_gave_up(struct ike2 *c, struct ike2_sa *sa);
/* AUTH of a resumed IKE SA: ours, the peer's. */
bool ike2_resume_begin_auth(struct ike2_sa *sa, struct gh_secret *value);
bool ike2_resume_prove(struct ike2_sa *sa, struct gh_secret *value);
bool ike2_resume_believes(struct ike2_sa *sa, const struct ike_payloads *in);
void ike2_resume_done(struct ike2 *c, struct ike2_sa *sa);

#endif
