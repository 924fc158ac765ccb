/* Whose policy it is: a peer's, by its name or its addresses (whose.c). */
#ifndef IKE2_WHOSE_H
#define IKE2_WHOSE_H

#include "ike/v2/priv.h"

/* Takes the list, sorted; the references are the caller's to make and to give back. False: no
 * memory, and the list is the caller's still. */
bool ike2_whose_make(struct ike2_whose *w, struct ike2_policy **policies, size_t count);
void ike2_whose_clear(struct ike2_whose *w);
struct ike2_policy *ike2_policy_named(const struct ike2_whose *w, const char *name);
/* The policy for a peer's first message: by addresses alone; the next after `after`. */
struct ike2_policy *ike2_policy_for(const struct ike2_whose *w, const struct ike2_endpoint *local,
                                    const struct gh_addr *remote, const struct ike2_policy *after);

/* The same, with those that are administratively down. */
struct ike2_policy *ike2_policy_any(const struct ike2_whose *w, const struct ike2_endpoint *local,
                                    const struct gh_addr *remote, const struct ike2_policy *after);

#endif
