/*
 * IKE_FOLLOWUP_KE (RFC 9370): followup.c, which create.c and create_answer.c begin. The IKE SA has
 * what is made until its key exchanges are over.
 */
#ifndef IKE2_FOLLOWUP_H
#define IKE2_FOLLOWUP_H

#include "ike/v2/child.h"
#include "ike/v2/priv.h"

/* What we wait for after CREATE_CHILD_SA is answered: additional key exchanges (RFC 9370). */
struct ike2_followup {
    struct ike2_suite suite;
    unsigned done;
    struct gh_ke *ke;
    struct gh_secret more;   /* SK(1) | SK(2) | … */
    struct gh_secret link;   /* the peer's words */
    struct gh_secret answer; /* content of CREATE_CHILD_SA's response */
    uint8_t answer_first;
};

/* What the peer asked for by CREATE_CHILD_SA, until its additional key exchanges are over. */
struct ike2_pending {
    struct ike2_pending *next;
    struct ike2_suite suite; /* protocol: of a Child SA, or IKE */
    unsigned done;
    struct gh_secret shared, more, link;
    uint8_t ni[IKE_NONCE_MAX], nr[IKE2_NONCE];
    size_t ni_len, nr_len;
    uint8_t spi[IKE_SPI_LEN], peer_spi[IKE_SPI_LEN];
    struct ike2_wish wish; /* of a Child SA */
    uint32_t old;          /* which it rekeys; 0: none */
    uint64_t expire_at;
};

/* As initiator: the suite has a key exchange that is not done yet. */
bool ike2_followup_wanted(const struct ike2_task *t, const struct ike2_suite *suite);
/* `in` is CREATE_CHILD_SA's response; it comes to ike2_create_response() again at the end. */
bool ike2_followup_begin(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                         const struct ike2_suite *suite, const struct ike_payloads *in,
                         uint8_t first, struct gh_view octets);
void ike2_followup_response(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                            const struct ike_payloads *in);
struct gh_view ike2_followup_keys(const struct ike2_task *t); /* SK(1) | … */
void ike2_followup_free(struct ike2_followup *f);
/* As responder; takes `shared`. old: the Child SA that it is to replace; 0: none. NULL: no memory.
 */
struct ike2_pending *ike2_pending_new(struct ike2 *c, struct ike2_sa *sa, uint32_t old,
                                      const struct ike2_suite *suite, struct gh_secret *shared,
                                      struct gh_view ni, struct gh_view nr);
void ike2_pending_put(const struct ike2_pending *p, struct ike_out *o); /* the link */
void ike2_pending_clear(struct ike2_sa *sa);
void ike2_pending_expire(struct ike2 *c, struct ike2_sa *sa);
/* The peer rekeys this Child SA. */
bool ike2_pending_replaces(const struct ike2_sa *sa, uint32_t child);
/* The peer rekeys the IKE SA: our own exchanges wait. */
bool ike2_pending_holds(const struct ike2_sa *sa);
void ike2_followup_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);

#endif
