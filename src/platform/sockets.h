/*
 * Other people's TCP sockets: ending one on the operator's word, and whether one is still there.
 *
 * The parent calls it; ending needs CAP_NET_ADMIN in the namespace.
 */
#ifndef GH_PLATFORM_SOCKETS_H
#define GH_PLATFORM_SOCKETS_H

#include <stdbool.h>

#include "tcpao.h"
#include "wire/rd.h"

/* Has the kernel abort the connection between local and remote in a namespace and VRF (NULL: the
 * own, none): its program gets an error, the peer a RST. 0, or a negative errno: -ENOENT where
 * there is no such socket, -EOPNOTSUPP where the kernel cannot (CONFIG_INET_DIAG_DESTROY). */
int gh_socket_abort(const char *netns, const char *vrf, const struct tcpao_endpoint *local,
                    const struct tcpao_endpoint *remote);

/* In ascending order of weight, where several sockets answer. */
enum gh_socket_use {
    GH_SOCKET_GONE,
    GH_SOCKET_CLOSING, /* FIN-WAIT, CLOSING, LAST-ACK or TIME-WAIT: the kernel's alone, or soon */
    GH_SOCKET_UNKNOWN, /* the kernel does not tell (CONFIG_INET_DIAG), or there is no namespace */
    GH_SOCKET_USED
};

/* Looks for the socket of a connection in a namespace: in the VRF first, and before it says GONE,
 * with any device, for a program may have bound it to one. */
enum gh_socket_use gh_socket_find(const char *netns, const char *vrf,
                                  const struct tcpao_endpoint *local,
                                  const struct tcpao_endpoint *remote);

/* The pure part: what one inet_diag message (its body) says of this connection, GONE if it is of
 * another socket. An IPv4 connection may stand on an IPv6 socket. */
enum gh_socket_use gh_socket_parse(struct gh_rd message, const struct tcpao_endpoint *local,
                                   const struct tcpao_endpoint *remote);

#endif
