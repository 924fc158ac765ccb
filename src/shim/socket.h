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
/* Gives the socket a local port if it has none; its address stays. An errno that fits connect(), 0
 * when done. */
int gh_shim_take_port(int fd);

/* Listening sockets that gatehoused has an interest in: whose accepted sockets it is asked about.
 * The table is bounded; the oldest goes first. */
void gh_shim_watch_listener(int fd);
bool gh_shim_watches_listener(int fd);

#endif
