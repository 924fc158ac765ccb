/*
 * Traffic selectors as sets of packets: intersection, containment, narrowing (RFC 7296 2.9).
 */
#ifndef IKE_TS_SET_H
#define IKE_TS_SET_H

#include "ike/ts.h"

/* One side of a packet, for ike_ts_has(). */
struct ike_ts_packet {
    struct gh_addr addr;
    uint8_t protocol;
    bool has_port; /* false: a fragment without them; `port` does not count */
    uint16_t port;
};

bool ike_ts_has(const struct ike_ts *ts, const struct ike_ts_packet *packet);
bool ike_ts_list_has(const struct ike_ts_list *list, const struct ike_ts_packet *packet);

bool ike_ts_equal(const struct ike_ts *a, const struct ike_ts *b);
/* The same in the same order. */
bool ike_ts_list_equal(const struct ike_ts_list *a, const struct ike_ts_list *b);
/* Every packet of `inner` is one of `outer`. */
bool ike_ts_contains(const struct ike_ts *outer, const struct ike_ts *inner);
bool ike_ts_overlap(const struct ike_ts *a, const struct ike_ts *b);
/* What is in both; false: nothing. */
bool ike_ts_intersect(const struct ike_ts *a, const struct ike_ts *b, struct ike_ts *out);

/* The first two of a list that overlap, for the check of a configuration. */
bool ike_ts_list_overlap(const struct ike_ts_list *list, size_t *first, size_t *second);
/* Every packet of `inner` is one of `outer`: rekeying must not narrow (RFC 7296 2.9.2). */
bool ike_ts_list_contains(const struct ike_ts_list *outer, const struct ike_ts_list *inner);

enum ike_narrowed {
    IKE_TS_NOTHING,  /* no packet in common: TS_UNACCEPTABLE */
    IKE_TS_TOO_MANY, /* more than IKE_TS_MAX selectors offered or left: TS_UNACCEPTABLE */
    IKE_TS_NARROWED, /* a part of what was offered */
    IKE_TS_WHOLE     /* all that was offered */
};

/*
 * What is in both lists. In the order of `theirs`, so that the peer's first choice stays first;
 * what another selector contains is left out. `out` is untouched on the first two results.
 */
enum ike_narrowed ike_ts_narrow(const struct ike_ts_list *theirs, const struct ike_ts_list *ours,
                                struct ike_ts_list *out);

#endif
