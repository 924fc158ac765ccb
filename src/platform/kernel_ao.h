/*
 * The running kernel's own TCP-AO (Linux 6.7 and later, CONFIG_TCP_AO) on one socket: keys in, keys
 * and counters out.
 *
 * Calls on a descriptor that somebody else owns; nothing is kept. ao_kernel.c decides, this file
 * only speaks the kernel's structures, which Debian 12's headers do not have. Errors are negative
 * errno values, as the kernel gave them.
 */
#ifndef GH_PLATFORM_KERNEL_AO_H
#define GH_PLATFORM_KERNEL_AO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "tcpao.h"

enum { GH_KERNEL_SECRET_MAX = 80 }; /* TCP_AO_MAXKEYLEN */

/* Opens a socket to ask. */
bool gh_kernel_ao_supported(void);

/* What the kernel must know of a socket to be given keys. */
struct gh_kernel_socket {
    int fd;
    bool ipv6;   /* AF_INET6 */
    bool v6only; /* … and no IPv4 */
    bool listening;
};
struct gh_kernel_socket gh_kernel_socket_look(int fd);

/* The key for segments from and to these peers. The peer's family must be one that the socket can
 * have. current, rnext: of a socket that does not listen. */
int gh_kernel_ao_add(const struct gh_kernel_socket *s, const struct gh_prefix *peer,
                     const struct tcpao_mkt *mkt, bool current, bool rnext);
/* -EBUSY: it is the current or the rnext key. */
int gh_kernel_ao_delete(const struct gh_kernel_socket *s, const struct gh_prefix *peer,
                        uint8_t send_id, uint8_t recv_id);

/* What the kernel knows of all keys of a socket together. */
struct gh_kernel_info {
    bool current_known, rnext_known;
    uint8_t current, rnext; /* SendID; RecvID */
    bool required, accept_icmps;
    uint64_t good, bad, key_not_found, missing, dropped_icmps;
};
/* -ENOENT: the socket has no TCP-AO. */
int gh_kernel_ao_info(const struct gh_kernel_socket *s, struct gh_kernel_info *out);
/* Sets `required` and `accept_icmps`, and moves current and rnext where they are known. */
int gh_kernel_ao_set(const struct gh_kernel_socket *s, const struct gh_kernel_info *info);

struct gh_kernel_key {
    struct gh_prefix peer;
    uint8_t send_id, recv_id;
    enum tcpao_alg alg; /* 0: one that we do not know */
    uint8_t mac_len;
    bool options_covered;
    bool current, rnext;
    uint64_t good, bad;
    uint8_t secret_len;
    uint8_t secret[GH_KERNEL_SECRET_MAX];
};
/* All keys of a socket; *keys is to be given back below. Without TCP-AO: 0 and none. */
int gh_kernel_ao_keys(const struct gh_kernel_socket *s, struct gh_kernel_key **keys, size_t *count);
void gh_kernel_ao_keys_free(struct gh_kernel_key *keys, size_t count); /* wipes */
/* Is this what gh_kernel_ao_add() made of the MKT? */
bool gh_kernel_ao_is(const struct gh_kernel_key *key, const struct tcpao_mkt *mkt);

/* Where it is bound (addr_len 0: any address). IPv4 on an IPv6 socket is told as IPv4. */
struct tcpao_endpoint gh_kernel_local(const struct gh_kernel_socket *s);
uint64_t gh_kernel_cookie(const struct gh_kernel_socket *s); /* SO_COOKIE */

/* Of TCP_INFO. */
struct gh_kernel_traffic {
    uint8_t state; /* TCP_ESTABLISHED … of <netinet/tcp.h> */
    uint64_t segments_in, segments_out, octets_in, octets_out;
};
int gh_kernel_traffic(const struct gh_kernel_socket *s, struct gh_kernel_traffic *out);

#endif
