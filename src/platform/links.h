/*
 * The interfaces of a network namespace, their MTUs and which of them are VRF devices, as they are
 * and as they change.
 *
 * The parent keeps one socket per namespace and tells the `ao` process, which may not ask itself.
 */
#ifndef GH_PLATFORM_LINKS_H
#define GH_PLATFORM_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gh_link {
    uint32_t ifindex;
    uint32_t mtu;    /* 0: the interface is gone */
    uint32_t master; /* what it is enslaved to: a VRF, a bridge …; 0: nothing */
    bool is_vrf;     /* a VRF device */
    bool up;         /* as far as the administrator is concerned */
    char name[16];
};

typedef void (*gh_link_fn)(void *ctx, const struct gh_link *link);

/* A socket that hears of changes in a namespace (gh_netns_enter()), or a negative errno. It does
 * not block. */
int gh_links_open(const char *netns);
/* Asks for all interfaces; gh_links_read() delivers them. 0 or a negative errno. */
int gh_links_ask(int fd);
/* Delivers what has arrived. False: changes were lost, so ask again. */
bool gh_links_read(int fd, gh_link_fn fn, void *ctx);

/* One datagram of such a socket: pure, for tests. */
void gh_links_parse(const uint8_t *data, size_t len, gh_link_fn fn, void *ctx);

#endif
