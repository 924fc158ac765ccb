/*
 * What `ao` has the parent keep for its successor: octets under the cookie of a socket.
 *
 * They hold keys of programs: the table owns them and wipes what it lets go. Pure but for memory.
 */
#ifndef GH_DAEMON_KEEP_H
#define GH_DAEMON_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GH_KEEP_ENTRIES = 16384, GH_KEEP_OCTETS = 64 * 1048576 };

struct gh_kept {
    uint64_t cookie;
    uint8_t *data;
    size_t len;
    bool earlier; /* from the file: whether its socket is still there has to be looked at */
};

struct gh_keep {
    struct gh_kept *list; /* by cookie */
    size_t count, octets;
    bool changed; /* since its owner last looked */
};

/* Replaces what there was under the cookie. False: no room or no memory (then that stays). */
bool gh_keep_put(struct gh_keep *k, uint64_t cookie, const void *data, size_t len);
struct gh_kept *gh_keep_find(const struct gh_keep *k, uint64_t cookie); /* or NULL */
void gh_keep_drop(struct gh_keep *k, uint64_t cookie);                  /* if there is any */
void gh_keep_clear(struct gh_keep *k);

#endif
