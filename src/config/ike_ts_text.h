/*
 * Traffic selectors as the configuration writes them; ike_ts_format() is the other direction.
 *
 *     ADDRESSES [PROTOCOL [PORTS]]
 *
 * ADDRESSES: a prefix, an address, or FIRST-LAST. PROTOCOL: any, tcp, udp, sctp, icmp, icmpv6, mh,
 * or a number. PORTS: N, N-M, any, opaque; of ICMP TYPE, TYPE/CODE or TYPE/CODE-TYPE/CODE; of the
 * mobility header TYPE.
 */
#ifndef GH_CONFIG_IKE_TS_TEXT_H
#define GH_CONFIG_IKE_TS_TEXT_H

#include <stdbool.h>

#include "ike/ts.h"

/* False: *why says what would be right, in a static text; `out` is untouched. */
bool gh_ike_ts_parse(const char *text, struct ike_ts *out, const char **why);

#endif
