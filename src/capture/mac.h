/*
 * Does a key of the sessions that cover a flow make the MAC of this segment? Pure.
 */
#ifndef GH_CAPTURE_MAC_H
#define GH_CAPTURE_MAC_H

#include "capture/flow.h"

/* What a MAC is computed over, and with. */
struct cap_work {
    const uint8_t *hdr, *payload;
    bool isns_known;
    bool before_start; /* its sequence number lies before the connection's first */
    uint32_t src_isn, dst_isn, sne;
    uint64_t extended; /* sequence number with extension */
};

/* GOOD, BAD (a key has the KeyID, but does not fit or cannot be tried without ISNs) or KEY_UNKNOWN.
 * The session that fits is asked first from now on. `chains` by gh_session.chain; `from` is the
 * side that sent it. */
enum cap_verdict cap_try_matches(struct tcpao_chain *const *chains, struct cap_connection *c,
                                 struct cap_segment *seg, const struct cap_work *w, int from);

#endif
