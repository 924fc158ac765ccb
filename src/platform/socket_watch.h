/*
 * When a TCP socket is no more: the kernel says so of each one in a network namespace.
 *
 * The parent keeps one such socket for each zone with sockets to watch. A socket is named by its
 * cookie (SO_COOKIE), which no other gets as long as the machine runs.
 */
#ifndef GH_PLATFORM_SOCKET_WATCH_H
#define GH_PLATFORM_SOCKET_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void (*gh_cookie_fn)(void *ctx, uint64_t cookie);

/* A netlink socket that hears of all TCP sockets destroyed in a namespace (gh_netns_enter()), or a
 * negative errno: then only gh_socket_watch_list() tells. It does not block. */
int gh_socket_watch_open(const char *netns);
/* Delivers the cookies that have come. False: some were lost. */
bool gh_socket_watch_read(int fd, gh_cookie_fn gone, void *ctx);

/* Delivers the cookies of all TCP sockets in a namespace that the kernel can find: those that are
 * bound and listen, or have a connection. A socket that has neither yet, or no more, is in none of
 * its tables: that it is missing does not say that it is gone. 0, or a negative errno (the list is
 * not whole). */
int gh_socket_watch_list(const char *netns, gh_cookie_fn there, void *ctx);

/* Messages of either kind: pure, for tests. */
enum gh_watch_end { GH_WATCH_MORE, GH_WATCH_DONE, GH_WATCH_FAILED };
enum gh_watch_end gh_socket_watch_parse(const uint8_t *data, size_t len, gh_cookie_fn fn,
                                        void *ctx);

#endif
