/*
 * The flows of single sockets as `ao` tells them to the parent (FLOWS), which makes rules of them.
 *
 * After u32 id and u16 zone, each flow is: u8 kind, u8 octets of addresses (4 or 16), peer, u8
 * prefix bits, u8 octets of the local address (0: any), local, u16 local port, u16 remote port (0:
 * any). They replace all earlier ones of the zone; an empty list takes them away. Pure.
 */
#ifndef GH_DAEMON_SOCKET_FLOWS_H
#define GH_DAEMON_SOCKET_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum gh_socket_flow_kind {
    GH_FLOW_QUEUE = 0,  /* to the engine: keys of the socket's own, emulated */
    GH_FLOW_GUARD = 1,  /* the kernel's TCP-AO carries it: what has no option 29 is dropped when it
                           leaves and queued when it comes, for the engine to refuse; what has it is
                           not queued */
    GH_FLOW_STRICT = 2, /* incoming segments with option 29 that nothing else matched are queued;
                          addresses and ports are not used */
    GH_FLOW_KEYED = 3   /* as GUARD, and the SYNs of both ends are queued: they wait for keys */
};

struct gh_socket_flow {
    enum gh_socket_flow_kind kind;
    struct gh_prefix peer;
    struct gh_addr local;             /* len 0: any */
    uint16_t local_port, remote_port; /* 0: any. GUARD of a session: either may be the service's,
                                         so two flows are told */
};

enum { GH_SOCKET_FLOW_MAX = 1 + 1 + 16 + 1 + 1 + 16 + 2 + 2 };

void gh_socket_flow_put(struct gh_wr *w, const struct gh_socket_flow *f);
/* Takes the next. False: malformed. */
bool gh_socket_flow_take(struct gh_rd *r, struct gh_socket_flow *out);

#endif
