/* What the parts of MOBIKE share: mobike.c, mobike_addresses.c, mobike_exchanges.c. */
#ifndef IKE2_MOBIKE_PARTS_H
#define IKE2_MOBIKE_PARTS_H

#include "ike/v2/mobike.h"

/* ---- mobike.c -------------------------------------------------------------------------------- */

bool ike2_mobike_same_endpoint(const struct ike2_endpoint *a, const struct ike2_endpoint *b);

/* Before a move: where the Child SAs are, until it is settled; and what it comes to then. */
void ike2_mobike_remember(struct ike2_sa *sa);
void ike2_mobike_settled(struct ike2 *c, struct ike2_sa *sa);
void ike2_mobike_go_back(struct ike2 *c, struct ike2_sa *sa, const char *why);

/* Whether a request of that kind is under way. */
bool ike2_mobike_asks(const struct ike2_sa *sa, enum ike2_task_kind kind);

/* UPDATE_SA_ADDRESSES is to be sent. */
void ike2_mobike_tell_peer(struct ike2 *c, struct ike2_sa *sa);

/* While both ends rekey, there are two IKE SAs, of which one will stay: both go. */
void ike2_mobike_take_along(struct ike2 *c, const struct ike2_sa *sa);
void ike2_mobike_go_from(struct ike2 *c, struct ike2_sa *sa, const struct ike2_endpoint *local);

/* From where `there` can be reached: from where we are, if that can be. */
bool ike2_mobike_way_from(const struct ike2 *c, const struct ike2_sa *sa,
                          const struct gh_addr *there, struct gh_addr *from);

/* ---- mobike_addresses.c ---------------------------------------------------------------------- */

/* Our addresses beside the one in use; in INFORMATIONAL, where an empty list has to be said. */
void ike2_mobike_put_list(const struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);

/* Whether the peer knows them as they are now. */
bool ike2_mobike_is_told(const struct ike2 *c, const struct ike2_sa *sa);

/* The ways to where the peer may be: asked for early, for the system may answer later. Who follows
 * needs them only when its own address is gone, and may have many thousand peers. */
void ike2_mobike_ask_ways(const struct ike2 *c, const struct ike2_sa *sa);

/* The same of the peer. True: it says something of them. */
bool ike2_mobike_take_addresses(struct ike2_mobile *m, const struct ike_payloads *in);

/* NO_NATS_ALLOWED, where the policy has it. */
void ike2_mobike_put_no_nats(const struct ike2_sa *sa, struct ike_out *o);

#endif
