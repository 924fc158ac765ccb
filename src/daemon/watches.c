#include "daemon/watches.h"

#include <stdlib.h>
#include <string.h>

/* Where it is, or where it belongs. */
static size_t place_of(const struct gh_watches *w, uint64_t cookie)
{
    size_t low = 0, high = w->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (w->list[middle].cookie < cookie)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct gh_watched *gh_watches_find(const struct gh_watches *w, uint64_t cookie)
{
    size_t i = place_of(w, cookie);

    return i < w->count && w->list[i].cookie == cookie ? &w->list[i] : NULL;
}

bool gh_watches_add(struct gh_watches *w, uint64_t cookie, uint16_t zone)
{
    size_t i = place_of(w, cookie);

    if (w->count >= GH_WATCHES_MAX)
        return false;
    if (w->count == w->room) {
        size_t room = w->room * 2 + 64;
        struct gh_watched *more = realloc(w->list, room * sizeof(*more));

        if (more == NULL)
            return false;
        w->list = more;
        w->room = room;
    }
    memmove(&w->list[i + 1], &w->list[i], (w->count - i) * sizeof(*w->list));
    w->list[i] = (struct gh_watched){.cookie = cookie, .zone = zone};
    w->count++;
    return true;
}

void gh_watches_remove(struct gh_watches *w, struct gh_watched *watched)
{
    size_t i = (size_t)(watched - w->list);

    w->count--;
    memmove(watched, watched + 1, (w->count - i) * sizeof(*watched));
}

void gh_watches_clear(struct gh_watches *w)
{
    free(w->list);
    *w = (struct gh_watches){.list = NULL};
}

void gh_watches_begin(struct gh_watches *w)
{
    for (size_t i = 0; i < w->count; i++)
        w->list[i].there = false;
}

void gh_watches_there(struct gh_watches *w, uint64_t cookie)
{
    struct gh_watched *watched = gh_watches_find(w, cookie);

    if (watched != NULL)
        watched->there = true;
}

void gh_watches_judge(struct gh_watches *w, uint16_t zone, bool counts,
                      void (*gone)(void *ctx, struct gh_watched *watched), void *ctx)
{
    /* Backwards: who is gone may leave the table. */
    for (size_t i = w->count; i > 0; i--) {
        struct gh_watched *watched = &w->list[i - 1];

        if (watched->zone != zone)
            continue;
        if (watched->there) {
            watched->seen = true;
            watched->missing = 0;
        } else if (counts && watched->seen && ++watched->missing >= GH_WATCHES_MISSING) {
            gone(ctx, watched);
        }
    }
}
