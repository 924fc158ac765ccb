/* Message IDs: how many requests are out at a time, what is kept of the peer's (window.c). */
#ifndef IKE2_WINDOW_H
#define IKE2_WINDOW_H

#include "ike/fragment.h"
#include "ike/v2/priv.h"

/* A message of which fragments are missing. */
struct ike2_partial {
    struct ike2_partial *next;
    uint32_t id;
    bool response;
    struct ike_reassembly r;
};

/* As a new SA has it: one request at a time, either way. */
void ike2_window_begin(struct ike2_sa *sa);
/* SET_WINDOW_SIZE: ours in IKE_AUTH; ours in INFORMATIONAL, if it was not said yet; the peer's. */
void ike2_window_put(const struct ike2_sa *sa, struct ike_out *o);
void ike2_window_promise(struct ike2_sa *sa, struct ike_out *o);
void ike2_window_heard(struct ike2_sa *sa, const struct ike_payloads *in);
/* The SA is established: what was promised in IKE_AUTH counts. */
void ike2_window_open(struct ike2_sa *sa);
/* After a rekeying it has to be said again: by the initiator in a request, for a request of the
 * other end may be there before the new SA is; by the responder when either asks anything. */
void ike2_window_renew(struct ike2 *c, struct ike2_sa *sa);
/* The peer takes the request with this Message ID before it has answered any that is out. */
bool ike2_window_has(const struct ike2_sa *sa, uint32_t id);
/* What the peer's request is by its Message ID. */
enum ike2_place { IKE2_PLACE_OLD, IKE2_PLACE_NEW, IKE2_PLACE_BEYOND };
enum ike2_place ike2_window_place(const struct ike2_sa *sa, uint32_t id);
/* The request at hand is answered. */
void ike2_window_answered(struct ike2_sa *sa);
void ike2_keep_response(struct ike2_sa *sa, struct ike2_flight *f);
const struct ike2_flight *ike2_kept_response(const struct ike2_sa *sa, uint32_t id);
/* An authentic request that is beyond the window. */
void ike2_window_beyond(struct ike2 *c, struct ike2_sa *sa, uint32_t id);
void ike2_window_beyond_put(const struct ike2_task *t, struct ike_out *o);
void ike2_window_beyond_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* Where the fragments of a message are; NULL: no memory. */
struct ike_reassembly *ike2_partial(struct ike2 *c, struct ike2_sa *sa, bool response, uint32_t id);
void ike2_partial_drop(struct ike2_sa *sa, bool response, uint32_t id);
void ike2_window_free(struct ike2_sa *sa);

#endif
