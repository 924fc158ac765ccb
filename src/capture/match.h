/*
 * Which sessions of a configuration a flow may belong to, and which of its ends is "we".
 *
 * A capture does not say at which end it was taken, and prefixes may cover both ends: so there may
 * be several answers, ranked by how closely they fit. Pure.
 */
#ifndef GH_CAPTURE_MATCH_H
#define GH_CAPTURE_MATCH_H

#include "config/config.h"

enum { CAP_MATCHES_MAX = 8 };

struct cap_match {
    const struct gh_session *session;
    int local; /* which of the two ends is ours: 0 or 1 */
};

struct cap_matches {
    struct cap_match list[CAP_MATCHES_MAX];
    size_t count;
};

/* Those that fit, longest prefix first, but none whose keys are negotiated: those are in no
 * configuration. `only`: the name of the one session to consider, or NULL. */
void cap_match_sessions(const struct gh_config *config, const char *only,
                        const struct tcpao_endpoint end[2], struct cap_matches *out);

#endif
