/*
 * What a program's socket is, asked of the socket itself: what the preload library passes is looked
 * at, not believed.
 *
 * The `ao` process calls it with each request. It changes nothing of the socket.
 */
#ifndef GH_DAEMON_AO_FACTS_H
#define GH_DAEMON_AO_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tcpao.h"

struct gh_socket_facts;
struct sockaddr_storage;

/* Fills all but pid, uid, program and zone, which others know. False: it is no TCP socket. */
bool gh_facts_read(int fd, struct gh_socket_facts *out);

/* SO_NETNS_COOKIE of any socket; 0: the kernel (before 5.14) does not tell. */
uint64_t gh_facts_netns(int fd);

/* Does the running kernel know TCP-MD5? Before the sandbox: it opens a socket. */
bool gh_facts_kernel_has_md5(void);

/* An endpoint from a sockaddr as a program wrote it, len octets. An IPv4-mapped address counts as
 * IPv4; "any" has addr_len 0. False: it is no address of IPv4 or IPv6. */
bool gh_facts_endpoint(const uint8_t *sockaddr, size_t len, struct tcpao_endpoint *out);

#endif
