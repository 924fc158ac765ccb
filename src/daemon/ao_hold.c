#include "daemon/ao_hold.h"

#include <stdlib.h>
#include <string.h>

struct item {
    struct item *next;
    struct gh_held held;
    uint64_t until;
    char *session;
};

struct gh_ao_hold {
    gh_hold_fn fn;
    void *ctx;
    struct item *first, **end;
    size_t count;
};

struct gh_ao_hold *gh_ao_hold_new(gh_hold_fn fn, void *ctx)
{
    struct gh_ao_hold *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return NULL;
    h->fn = fn;
    h->ctx = ctx;
    h->end = &h->first;
    return h;
}

static void free_item(struct item *item)
{
    free(item->held.data);
    free(item->session);
    free(item);
}

static struct item *take(struct gh_ao_hold *h, struct item **at)
{
    struct item *item = *at;

    *at = item->next;
    if (item->next == NULL)
        h->end = at;
    h->count--;
    return item;
}

static void drop(struct gh_ao_hold *h, struct item **at)
{
    struct item *item = take(h, at);

    h->fn(h->ctx, &item->held, false);
    free_item(item);
}

void gh_ao_hold_free(struct gh_ao_hold *h)
{
    if (h == NULL)
        return;
    while (h->first != NULL)
        free_item(take(h, &h->first));
    free(h);
}

/* The IP and TCP headers up to the sequence number's end, as far as it is of the same length. */
static bool is_repeated(const struct gh_held *a, const struct gh_held *b)
{
    size_t ends = a->len > 0 && a->data[0] >> 4 == 6 ? 8 : 12; /* where the addresses begin */

    return a->zone == b->zone && a->way == b->way && a->len == b->len && ends + 40 <= a->len &&
           memcmp(a->data + ends, b->data + ends, a->data[0] >> 4 == 6 ? 40 : 16) == 0;
}

bool gh_ao_hold_add(struct gh_ao_hold *h, uint64_t now_ms, const struct gh_held *held)
{
    struct item *item = calloc(1, sizeof(*item));

    if (item != NULL) {
        item->held = *held;
        item->held.data = malloc(held->len > 0 ? held->len : 1);
        item->session = strdup(held->session);
    }
    if (item == NULL || item->held.data == NULL || item->session == NULL) {
        if (item != NULL)
            free_item(item);
        return false;
    }
    memcpy(item->held.data, held->data, held->len);
    item->held.session = item->session;
    item->until = now_ms + (held->way == AO_OUT ? GH_HOLD_OUT_MS : GH_HOLD_IN_MS);
    for (struct item **at = &h->first; *at != NULL; at = &(*at)->next)
        if (is_repeated(&(*at)->held, &item->held)) {
            drop(h, at);
            break;
        }
    if (h->count == GH_HOLD_MAX)
        drop(h, &h->first);
    *h->end = item;
    h->end = &item->next;
    h->count++;
    return true;
}

void gh_ao_hold_release(struct gh_ao_hold *h, const char *session)
{
    struct item **at = &h->first;

    while (*at != NULL) {
        struct item *item;

        if (strcmp((*at)->session, session) != 0) {
            at = &(*at)->next;
            continue;
        }
        item = take(h, at);
        h->fn(h->ctx, &item->held, true);
        free_item(item);
    }
}

void gh_ao_hold_forget(struct gh_ao_hold *h, uint16_t zone)
{
    struct item **at = &h->first;

    while (*at != NULL) {
        if ((*at)->held.zone == zone)
            free_item(take(h, at));
        else
            at = &(*at)->next;
    }
}

void gh_ao_hold_tick(struct gh_ao_hold *h, uint64_t now_ms)
{
    struct item **at = &h->first;

    while (*at != NULL) {
        if (now_ms >= (*at)->until)
            drop(h, at);
        else
            at = &(*at)->next;
    }
}

uint64_t gh_ao_hold_next_deadline(const struct gh_ao_hold *h)
{
    uint64_t due = UINT64_MAX;

    for (const struct item *item = h->first; item != NULL; item = item->next)
        if (item->until < due)
            due = item->until;
    return due;
}

size_t gh_ao_hold_count(const struct gh_ao_hold *h)
{
    return h->count;
}
