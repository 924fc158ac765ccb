#include "daemon/ao_cookies.h"

#include <stdlib.h>

enum { SMALLEST = 64 };

/* Where it is, or the free slot where it would be. */
static size_t place(const struct gh_cookies *s, uint64_t cookie)
{
    size_t i = (cookie * 0x9e3779b97f4a7c15u >> 32) & s->mask;

    while (s->slots[i] != 0 && s->slots[i] != cookie)
        i = (i + 1) & s->mask;
    return i;
}

/* At least half of the slots stay free. */
static bool grow(struct gh_cookies *s)
{
    struct gh_cookies more = {.mask = s->slots == NULL ? SMALLEST - 1 : 2 * s->mask + 1};

    if (s->slots != NULL && 2 * (s->count + 1) <= s->mask)
        return true;
    more.slots = calloc(more.mask + 1, sizeof(*more.slots));
    if (more.slots == NULL)
        return false;
    for (size_t i = 0; s->slots != NULL && i <= s->mask; i++)
        if (s->slots[i] != 0)
            more.slots[place(&more, s->slots[i])] = s->slots[i];
    more.count = s->count;
    free(s->slots);
    *s = more;
    return true;
}

bool gh_cookies_add(struct gh_cookies *s, uint64_t cookie)
{
    size_t i;

    if (!grow(s))
        return true;
    i = place(s, cookie);
    if (s->slots[i] == cookie)
        return false;
    s->slots[i] = cookie;
    s->count++;
    return true;
}

void gh_cookies_remove(struct gh_cookies *s, uint64_t cookie)
{
    size_t i = s->slots != NULL ? place(s, cookie) : 0;

    if (s->slots == NULL || s->slots[i] != cookie)
        return;
    s->slots[i] = 0;
    s->count--;
    /* What stood behind it may have been pushed there by it. */
    for (size_t k = (i + 1) & s->mask; s->slots[k] != 0; k = (k + 1) & s->mask) {
        uint64_t moved = s->slots[k];

        s->slots[k] = 0;
        s->slots[place(s, moved)] = moved;
    }
}
