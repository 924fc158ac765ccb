/* Additional key exchanges in proposals (RFC 9370): addke.c. */
#ifndef IKE2_ADDKE_H
#define IKE2_ADDKE_H

#include "ike/v2/priv.h"

/* The proposals that can be done here, numbered from 1. additional: with RFC 9370; else ADDKE types
 * are left out where they may be NONE, and proposals with others. */
void ike2_offer(const struct ike_proposals *proposals, bool additional, struct ike_sa *out);
bool ike2_has_addke(const struct ike_sa *sa);
bool ike2_proposal_has_addke(const struct ike_proposal *p);
/* The nth (from 0) additional key exchange of a suite; NONE: there is none any more. */
uint16_t ike2_addke(const struct ike2_suite *s, unsigned n);

#endif
