/*
 * What the preload library must know of a program's socket. No call changes errno.
 */
#ifndef GH_SHIM_SOCKET_FACTS_H
#define GH_SHIM_SOCKET_FACTS_H

#include <stdbool.h>
#include <stdint.h>

/* A TCP socket over IPv4 or IPv6; not MPTCP, nothing raw, nothing else. */
bool gh_shim_is_tcp(int fd);
bool gh_shim_is_listening(int fd);
/* The kernel's own TCP-AO: it has keys for this socket, perhaps from its listener. */
bool gh_shim_has_kernel_keys(int fd);
/* Gives the socket a local port if it has none; its address stays. An errno that fits connect(), 0
 * when done. */
int gh_shim_take_port(int fd);

/* Sockets to be remembered. Tables are bounded; the oldest goes first. */
enum gh_shim_set {
    GH_SHIM_LISTENERS, /* gatehoused wants to hear of what they accept */
    GH_SHIM_KEYED,     /* the program gave them TCP-AO keys, which gatehoused has */
    GH_SHIM_SETS
};
void gh_shim_remember(enum gh_shim_set set, int fd);
bool gh_shim_remembers(enum gh_shim_set set, int fd);
/* Has this process ever given a socket TCP-AO keys? */
bool gh_shim_signs(void);

#endif
