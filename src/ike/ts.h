/*
 * Traffic selectors (RFC 7296 3.13): which packets a Child SA is for. As payloads TSi and TSr, and
 * as text. ts_set.h compares and narrows them.
 *
 * A port is the number of TCP, UDP, SCTP; ICMP's type and code (type in the high octet); the
 * mobility header type in the high octet. 0 … 65535 is ANY, also for packets without ports; 65535 …
 * 0 is OPAQUE: only packets whose ports cannot be seen (RFC 4301 4.4.1.1).
 */
#ifndef IKE_TS_H
#define IKE_TS_H

#include "base/addr.h"
#include "ike/out.h"
#include "ike/payload.h"

enum { IKE_TS_MAX = 32, IKE_TS_TEXT = 160 };

struct ike_ts {
    uint8_t type;     /* IKE_TS_IPV4 or IKE_TS_IPV6 */
    uint8_t protocol; /* 0: any */
    uint16_t start_port, end_port;
    struct gh_addr start, end; /* inclusive */
};

struct ike_ts_list {
    struct ike_ts ts[IKE_TS_MAX];
    size_t count;
    size_t unknown; /* selectors of types that we do not know: left out (RFC 7296 2.9) */
    size_t excess;  /* good ones beyond IKE_TS_MAX: left out; answer TS_UNACCEPTABLE */
};

/* A range that begins behind its end is IKE_SYNTAX. `out->count` may be 0 if all are unknown. */
enum ike_fault ike_ts_parse(struct gh_view body, struct ike_ts_list *out);
/* payload: IKE_P_TSI or IKE_P_TSR. */
void ike_ts_emit(struct ike_out *o, uint8_t payload, const struct ike_ts_list *list);

/* A selector for all packets of a prefix. */
struct ike_ts ike_ts_from_prefix(const struct gh_prefix *prefix);
struct ike_ts ike_ts_from_range(const struct gh_addr *start, const struct gh_addr *end);

static inline bool ike_ts_any_port(const struct ike_ts *ts)
{
    return ts->start_port == 0 && ts->end_port == 0xffff;
}

static inline bool ike_ts_opaque(const struct ike_ts *ts)
{
    return ts->start_port == 0xffff && ts->end_port == 0;
}

/* "192.0.2.0/24", "192.0.2.1-192.0.2.9 tcp 179", "2001:db8::/32 icmpv6 128/0", "… udp opaque". */
const char *ike_ts_format(const struct ike_ts *ts, char buf[IKE_TS_TEXT]);

#endif
