/* Messages as they go and come: sealed, in fragments, retransmitted, answered again (flight.c). */
#ifndef IKE2_FLIGHT_H
#define IKE2_FLIGHT_H

#include "ike/v2/priv.h"

struct ike_out ike2_inner(struct ike2 *c);
struct ike_header ike2_header(const struct ike2_sa *sa, uint8_t exchange, uint32_t id,
                              bool response);
/* The task's next request: it goes as soon as the peer's window has room for it. */
bool ike2_request(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t, uint8_t exchange,
                  struct ike_out *inner);
/* The first one of an IKE SA, which is not sealed. */
bool ike2_request_plain(struct ike2 *c, struct ike2_sa *sa, struct gh_view octets);
/* Requests for which the window had no room and has it now. */
void ike2_requests_go(struct ike2 *c, struct ike2_sa *sa);
bool ike2_respond(struct ike2 *c, struct ike2_sa *sa, uint8_t exchange, struct ike_out *inner);
/* A response with one notification. INVALID_SYNTAX ends the IKE SA. */
void ike2_respond_notify(struct ike2 *c, struct ike2_sa *sa, uint8_t exchange, uint16_t type,
                         struct gh_view data);
/* The response to IKE_SA_INIT and the like, to be sent and kept. */
bool ike2_keep_plain(struct ike2_sa *sa, struct gh_view octets);
/* Our requests under way, once more, to where the peer is. */
void ike2_send_requests(struct ike2 *c, struct ike2_sa *sa);
/* A response that is kept, to where its request came from (RFC 7296 2.11). */
void ike2_send_response(struct ike2 *c, struct ike2_sa *sa, uint32_t id);
struct ike2_path ike2_path_of(const struct ike2_datagram *d);
void ike2_send(struct ike2 *c, const struct ike2_endpoint *local,
               const struct ike2_endpoint *remote, bool marker, struct gh_view octets);
/* Its time has come. */
void ike2_retransmit(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t);
/* From the first interval on, for all that is under way. */
void ike2_begin_retransmission(struct ike2 *c, struct ike2_sa *sa);
/* A sealed message for this SA. */
void ike2_sealed(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                 struct ike_message *m);

#endif
