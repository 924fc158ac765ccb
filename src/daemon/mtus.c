#include "daemon/mtus.h"

#include <stdlib.h>
#include <string.h>

struct gh_mtu {
    uint32_t ifindex, mtu;
};

/* Where the interface is, or belongs. */
static size_t position(const struct gh_mtus *m, uint32_t ifindex)
{
    size_t from = 0, to = m->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (m->list[middle].ifindex < ifindex)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool found(const struct gh_mtus *m, size_t at, uint32_t ifindex)
{
    return at < m->count && m->list[at].ifindex == ifindex;
}

static bool grow(struct gh_mtus *m)
{
    size_t capacity = m->capacity * 2 + 8;
    struct gh_mtu *list;

    if (m->count < m->capacity)
        return true;
    list = realloc(m->list, capacity * sizeof(*list));
    if (list == NULL)
        return false;
    m->list = list;
    m->capacity = capacity;
    return true;
}

bool gh_mtus_set(struct gh_mtus *m, uint32_t ifindex, uint32_t mtu)
{
    size_t at = position(m, ifindex);
    bool known = found(m, at, ifindex);

    if (known && mtu == 0) {
        m->count--;
        memmove(&m->list[at], &m->list[at + 1], (m->count - at) * sizeof(m->list[0]));
    } else if (mtu != 0) {
        if (!known && !grow(m))
            return false;
        if (!known) {
            memmove(&m->list[at + 1], &m->list[at], (m->count - at) * sizeof(m->list[0]));
            m->count++;
        }
        m->list[at] = (struct gh_mtu){.ifindex = ifindex, .mtu = mtu};
    }
    return true;
}

uint32_t gh_mtus_get(const struct gh_mtus *m, uint32_t ifindex)
{
    size_t at = position(m, ifindex);

    return found(m, at, ifindex) ? m->list[at].mtu : 0;
}

void gh_mtus_clear(struct gh_mtus *m)
{
    free(m->list);
    *m = (struct gh_mtus){.list = NULL};
}
