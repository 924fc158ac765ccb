/*
 * How the SAs of a child treat packets, beside their sizes (child_path.h): the configuration as the
 * data plane sees it. The core of IKE carries it and does not look.
 */
#ifndef IKE2_CHILD_TRAFFIC_H
#define IKE2_CHILD_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

enum {
    IKE2_REPLAY_WINDOW = 1024,
    IKE2_TFC_MTU = UINT16_MAX /* as long as the path and `ip-mtu` let them be */
};

struct ike2_child_traffic {
    uint16_t window;      /* of anti-replay, in packets; 0: none */
    uint16_t tfc;         /* packets inside are filled up to so many octets; 0: they are not */
    bool set_dscp;        /* outside: else that of the packet inside */
    uint8_t dscp;         /* … this one */
    bool dscp_from_outer; /* of what comes in: the DSCP outside goes over to the packet inside */
    bool no_ecn;          /* outside: not ECN-capable, for a peer that does not know ECN */
};

static inline struct ike2_child_traffic ike2_child_traffic_default(void)
{
    return (struct ike2_child_traffic){.window = IKE2_REPLAY_WINDOW};
}

#endif
