/*
 * The sockets whose end is waited for, by cookie; and what lists of the sockets that there are say
 * of them, where the kernel does not tell of ends. Pure but for memory. parent_watch.c uses it.
 */
#ifndef GH_DAEMON_WATCHES_H
#define GH_DAEMON_WATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GH_WATCHES_MAX = 65536,
    GH_WATCHES_MISSING = 15 /* lists in a row: longer than a program takes to connect again */
};

struct gh_watched {
    uint64_t cookie;
    uint16_t zone;
    uint8_t missing; /* lists in a row without it */
    bool seen;       /* in a list, once */
    bool there;      /* in the list of the moment */
};

struct gh_watches {
    struct gh_watched *list; /* by cookie */
    size_t count, room;
};

struct gh_watched *gh_watches_find(const struct gh_watches *w, uint64_t cookie);
/* One that is not there yet. False: no room or no memory. */
bool gh_watches_add(struct gh_watches *w, uint64_t cookie, uint16_t zone);
void gh_watches_remove(struct gh_watches *w, struct gh_watched *watched);
void gh_watches_clear(struct gh_watches *w);

/* A list: begin, each socket in it, judge. A socket that was in one and then in none of
 * GH_WATCHES_MISSING is gone: the judge delivers it, and the callee may remove it. With `counts`
 * false the list only shows who is there. */
void gh_watches_begin(struct gh_watches *w);
void gh_watches_there(struct gh_watches *w, uint64_t cookie);
void gh_watches_judge(struct gh_watches *w, uint16_t zone, bool counts,
                      void (*gone)(void *ctx, struct gh_watched *watched), void *ctx);

#endif
