/*
 * What core.c does for the other files of the core: it ends each of their turns, and has the list
 * of those that wait for the keeper.
 */
#ifndef IKE2_CORE_PRIV_H
#define IKE2_CORE_PRIV_H

#include "ike/v2/priv.h"

/* After whatever happened to the SA: what waits begins, its deadline is known. */
void ike2_settle(struct ike2 *c, struct ike2_sa *sa);
/* Frees those that died in this call; nothing of them is looked at any more. */
void ike2_bury(struct ike2 *c);
bool ike2_ask(struct ike2 *c, struct ike2_sa *sa, enum ike2_job job, struct gh_keeper_request *r);
void ike2_forget_asking(struct ike2 *c, struct ike2_sa *sa);

#endif
