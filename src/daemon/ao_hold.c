#include "daemon/ao_hold.h"

#include <stdlib.h>
#include <string.h>

#include "wire/ip.h"

struct item {
    struct item *next;
    struct gh_held held;
    uint64_t until;
    char *session;
    struct gh_addr src, dst;
    uint16_t src_port, dst_port;
    uint32_t seq;
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

static bool read_syn(struct item *item)
{
    struct gh_ip_packet ip;
    struct gh_tcp_segment tcp;

    if (gh_ip_parse(item->held.data, item->held.len, &ip) != GH_IP_OK ||
        gh_tcp_parse(item->held.data + ip.header_len, ip.l4_len, &tcp) != GH_IP_OK)
        return false;
    item->src = ip.src;
    item->dst = ip.dst;
    item->src_port = tcp.src_port;
    item->dst_port = tcp.dst_port;
    item->seq = tcp.seq;
    return true;
}

static bool is_repeated(const struct item *a, const struct item *b)
{
    return a->held.zone == b->held.zone && a->held.way == b->held.way && a->seq == b->seq &&
           a->src_port == b->src_port && a->dst_port == b->dst_port &&
           gh_addr_equal(&a->src, &b->src) && gh_addr_equal(&a->dst, &b->dst);
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
    if (!read_syn(item)) {
        free_item(item);
        return false;
    }
    item->held.session = item->session;
    item->until = now_ms + (held->way == AO_OUT ? GH_HOLD_OUT_MS : GH_HOLD_IN_MS);
    for (struct item **at = &h->first; *at != NULL; at = &(*at)->next)
        if (is_repeated(*at, item)) {
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
        if (strcmp((*at)->session, session) == 0 && h->fn(h->ctx, &(*at)->held, true))
            free_item(take(h, at));
        else
            at = &(*at)->next;
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
