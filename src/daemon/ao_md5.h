/*
 * TCP-MD5 keys that programs asked for and that TCP-AO replaces: a daemon may stay configured for
 * TCP-MD5 while its peer's sessions have a key chain.
 *
 * When a socket later turns out to be for another service of the same peer, it gets its TCP-MD5 key
 * after all: it must not go unprotected. Owned by ao_sockets.c; the values are secrets.
 */
#ifndef GH_DAEMON_AO_MD5_H
#define GH_DAEMON_AO_MD5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpao.h"

enum { GH_MD5_VALUE = 216 }; /* octets of struct tcp_md5sig */

struct gh_md5_request {
    struct tcpao_endpoint peer; /* addr_len 0: any */
    bool has_prefix;
    uint8_t prefix;
    int32_t vrf;  /* of this VRF alone; 0: of none, or not said */
    bool removes; /* an empty key */
};

/* Reads the value of TCP_MD5SIG (14) or TCP_MD5SIG_EXT (32). False: the kernel is to refuse it. */
bool gh_md5_parse(int option, const uint8_t *value, size_t len, struct gh_md5_request *out);

struct gh_md5_kept {
    uint64_t cookie;
    int option;
    struct gh_md5_request request;
    uint8_t value[GH_MD5_VALUE];
};

struct gh_md5_list {
    struct gh_md5_kept *list;
    size_t count, cap;
};

/* Remembers the value for a socket, or forgets it if the request removes a key. False: no memory.
 */
bool gh_md5_keep(struct gh_md5_list *l, uint64_t cookie, int option, const uint8_t *value,
                 const struct gh_md5_request *r);
/* Gives a socket the keys that were kept for it, but for those that stay replaced, and forgets
 * them. 0 or an errno. */
int gh_md5_give(struct gh_md5_list *l, uint64_t cookie, int fd,
                bool (*stays)(void *ctx, const struct gh_md5_request *r), void *ctx);
void gh_md5_forget(struct gh_md5_list *l, uint64_t cookie);

#endif
