/*
 * Other people's TCP sockets: ending one on the operator's word.
 *
 * The parent calls it for reset-session; it needs CAP_NET_ADMIN in the namespace.
 */
#ifndef GH_PLATFORM_SOCKETS_H
#define GH_PLATFORM_SOCKETS_H

#include "tcpao.h"

/* Has the kernel abort the connection between local and remote in a namespace and VRF (NULL: the
 * own, none): its program gets an error, the peer a RST. 0, or a negative errno: -ENOENT where
 * there is no such socket, -EOPNOTSUPP where the kernel cannot (CONFIG_INET_DIAG_DESTROY). */
int gh_socket_abort(const char *netns, const char *vrf, const struct tcpao_endpoint *local,
                    const struct tcpao_endpoint *remote);

#endif
