#include "daemon/esp_children_priv.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/log.h"

size_t gh_esp_children_memory(void)
{
    return sizeof(struct memory);
}

/* A child of an earlier instance of ours. */
static bool restore(struct gh_esp_children *c, size_t at, uint64_t now_ms)
{
    struct slot *s = &c->slots[at];
    struct gh_esp_child d;
    bool good = (s->until_ms == 0 || now_ms < s->until_ms) && gh_esp_slot_decode(s, &d) &&
                gh_esp_child_begin(c, at, &d, true);

    if (!good)
        gh_esp_child_drop(c, at);
    else if (s->going != 0)
        c->list[at].end_ms = now_ms + GH_ESP_LATE_MS;
    else
        gh_esp_child_add_out(c, at);
    if (s->order > c->order)
        c->order = s->order;
    return good;
}

struct place_in_order {
    uint64_t order;
    size_t at;
};

static int by_order(const void *a, const void *b)
{
    const struct place_in_order *x = a, *y = b;

    return x->order < y->order ? -1 : x->order > y->order;
}

/* False: no memory. */
static bool restore_all(struct gh_esp_children *c, uint64_t now_ms)
{
    struct place_in_order *found = calloc(GH_ESP_CHILDREN_MAX, sizeof(*found));
    size_t count = 0, good = 0;

    for (size_t i = 0; found != NULL && i < GH_ESP_CHILDREN_MAX; i++)
        if (c->used[i] != 0)
            found[count++] = (struct place_in_order){.order = c->slots[i].order, .at = i};
    if (found == NULL)
        return false;
    qsort(found, count, sizeof(*found), by_order);
    for (size_t i = 0; i < count; i++)
        good += restore(c, found[i].at, now_ms);
    free(found);
    if (count > 0)
        gh_notice("%zu Child SAs of %zu go on", good, count);
    return true;
}

bool gh_esp_children_map(struct gh_esp_children *c, int fd, uint64_t now_ms)
{
    struct memory *memory =
        mmap(NULL, gh_esp_children_memory(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED)
        return false;
    c->memory = memory;
    c->used = memory->used;
    c->slots = memory->slots;
    return restore_all(c, now_ms);
}

struct gh_esp_children *gh_esp_children_new(struct ipsec *engine, struct gh_esp_names *policies,
                                            struct gh_esp_names *places,
                                            const struct gh_esp_children_ops *ops, void *ctx)
{
    struct gh_esp_children *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    *c = (struct gh_esp_children){
        .engine = engine, .policies = policies, .places = places, .ops = ops, .ctx = ctx};
    c->list = calloc(GH_ESP_CHILDREN_MAX, sizeof(*c->list));
    if (c->list != NULL)
        return c;
    free(c);
    return NULL;
}

void gh_esp_children_free(struct gh_esp_children *c)
{
    if (c == NULL)
        return;
    if (c->memory != NULL)
        munmap(c->memory, sizeof(*c->memory));
    free(c->list);
    free(c);
}
