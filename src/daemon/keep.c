#include "daemon/keep.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* Where it is, or where it belongs. */
static size_t place_of(const struct gh_keep *k, uint64_t cookie)
{
    size_t low = 0, high = k->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (k->list[middle].cookie < cookie)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct gh_keep *k, size_t i, uint64_t cookie)
{
    return i < k->count && k->list[i].cookie == cookie;
}

static void let_go(struct gh_keep *k, struct gh_kept *entry)
{
    k->octets -= entry->len;
    gh_wipe(entry->data, entry->len);
    free(entry->data);
}

bool gh_keep_put(struct gh_keep *k, uint64_t cookie, const void *data, size_t len)
{
    size_t i = place_of(k, cookie), before = is_at(k, i, cookie) ? k->list[i].len : 0;
    bool earlier = false;
    uint8_t *copy;

    if (k->octets - before + len > GH_KEEP_OCTETS ||
        (!is_at(k, i, cookie) && k->count >= GH_KEEP_ENTRIES))
        return false;
    if (k->list == NULL)
        k->list = calloc(GH_KEEP_ENTRIES, sizeof(*k->list));
    copy = malloc(len + 1);
    if (k->list == NULL || copy == NULL) {
        free(copy);
        return false;
    }
    memcpy(copy, data, len);
    if (is_at(k, i, cookie)) {
        earlier = k->list[i].earlier;
        let_go(k, &k->list[i]);
    } else {
        memmove(&k->list[i + 1], &k->list[i], (k->count - i) * sizeof(*k->list));
        k->count++;
    }
    k->list[i] = (struct gh_kept){.cookie = cookie, .data = copy, .len = len, .earlier = earlier};
    k->octets += len;
    k->changed = true;
    return true;
}

struct gh_kept *gh_keep_find(const struct gh_keep *k, uint64_t cookie)
{
    size_t i = place_of(k, cookie);

    return is_at(k, i, cookie) ? &k->list[i] : NULL;
}

void gh_keep_drop(struct gh_keep *k, uint64_t cookie)
{
    size_t i = place_of(k, cookie);

    if (!is_at(k, i, cookie))
        return;
    let_go(k, &k->list[i]);
    k->changed = true;
    k->count--;
    memmove(&k->list[i], &k->list[i + 1], (k->count - i) * sizeof(*k->list));
}

void gh_keep_clear(struct gh_keep *k)
{
    for (size_t i = 0; i < k->count; i++)
        let_go(k, &k->list[i]);
    free(k->list);
    *k = (struct gh_keep){.list = NULL};
}
