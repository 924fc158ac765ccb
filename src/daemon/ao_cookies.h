/*
 * A set of sockets by their cookies (SO_COOKIE, never 0): those of which `ao` has asked the parent
 * to tell the end. Owned by ao_sockets.c. Pure.
 */
#ifndef GH_DAEMON_AO_COOKIES_H
#define GH_DAEMON_AO_COOKIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gh_cookies {
    uint64_t *slots; /* open addressing; 0: free */
    size_t mask, count;
};

/* True if it was not in the set (or could not be remembered: then it is asked for again). */
bool gh_cookies_add(struct gh_cookies *s, uint64_t cookie);
void gh_cookies_remove(struct gh_cookies *s, uint64_t cookie);

#endif
