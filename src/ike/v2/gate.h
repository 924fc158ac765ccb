/* Cookies and puzzles: who is let in when there are many (RFC 8019): gate.c. */
#ifndef IKE2_GATE_H
#define IKE2_GATE_H

#include "ike/v2/priv.h"

/* True: whoever sent this first request is let in. Else it was told what it lacks. `offer` NULL: a
 * request without SA payload. */
bool ike2_gate(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m,
               struct gh_view nonce, const struct ike_sa *offer);
/* The peer answers with a cookie. True: begin again now; false: when a puzzle is solved, or never.
 */
bool ike2_gate_closed(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                      struct gh_view cookie);
void ike2_gate_put(const struct ike2_sa *sa, struct ike_out *o);
/* The first exchange is answered: the answer may have a puzzle for IKE_AUTH. */
void ike2_gate_answered(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m);
/* True: it is to be solved first; ike2_auth_start() comes again then. */
bool ike2_gate_before_auth(struct ike2 *c, struct ike2_sa *sa);
struct gh_view ike2_gate_solution(const struct ike2_sa *sa); /* of that; empty: none */
/* A portion of the search for keys. */
void ike2_puzzle_work(struct ike2 *c, struct ike2_sa *sa);

#endif
