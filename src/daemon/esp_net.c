#include "daemon/esp_net_priv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *gh_esp_net_count_name(enum gh_esp_net_count count)
{
    static const char *const names[] = {
#define X(name, text) text,
        GH_ESP_NET_COUNTS(X)
#undef X
    };

    return (unsigned)count < GH_ESP_NET_COUNT ? names[count] : "?";
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct gh_esp_entry *e = (struct gh_esp_entry *)poll;

    if (e->kind == GH_ESP_TUN)
        gh_esp_from_device(e->net, e);
    else
        gh_esp_from_network(e->net, e);
}

static void on_closed(uv_handle_t *handle)
{
    struct gh_esp_entry *e = (struct gh_esp_entry *)handle;

    close(e->fd);
    free(e);
}

static void drop(struct gh_esp_net_place *p, enum gh_esp_socket kind)
{
    struct gh_esp_entry *e = p->entries[kind];

    p->entries[kind] = NULL;
    if (e == NULL)
        return;
    uv_poll_stop(&e->poll);
    uv_close((uv_handle_t *)&e->poll, on_closed);
}

struct gh_esp_entry *gh_esp_entry(const struct gh_esp_net *n, uint32_t place,
                                  enum gh_esp_socket kind)
{
    return place < n->place_count ? n->places[place].entries[kind] : NULL;
}

static bool make_room(struct gh_esp_net *n, uint32_t place)
{
    struct gh_esp_net_place *more;

    if (place < n->place_count)
        return true;
    if (place >= GH_ESP_PLACES_MAX)
        return false;
    more = realloc(n->places, (place + 1) * sizeof(*more));
    if (more == NULL)
        return false;
    memset(more + n->place_count, 0, (place + 1 - n->place_count) * sizeof(*more));
    n->places = more;
    n->place_count = place + 1;
    return true;
}

bool gh_esp_net_open(struct gh_esp_net *n, uint32_t place, enum gh_esp_socket kind, int fd,
                     bool datagrams)
{
    struct gh_esp_entry *e = calloc(1, sizeof(*e));

    if (e == NULL || !make_room(n, place)) {
        free(e);
        close(fd);
        return false;
    }
    e->net = n;
    e->place = place;
    e->kind = kind;
    e->fd = fd;
    e->datagrams = datagrams;
    drop(&n->places[place], kind);
    n->places[place].entries[kind] = e;
    uv_poll_init(n->loop, &e->poll, fd);
    if (n->started)
        uv_poll_start(&e->poll, UV_READABLE, on_poll);
    return true;
}

void gh_esp_net_leave(struct gh_esp_net *n, uint32_t place)
{
    for (int kind = 0; place < n->place_count && kind < GH_ESP_SOCKETS; kind++)
        drop(&n->places[place], (enum gh_esp_socket)kind);
}

void gh_esp_net_start(struct gh_esp_net *n)
{
    if (n->started)
        return;
    n->started = true;
    for (size_t i = 0; i < n->place_count; i++)
        for (size_t k = 0; k < GH_ESP_SOCKETS; k++)
            if (n->places[i].entries[k] != NULL)
                uv_poll_start(&n->places[i].entries[k]->poll, UV_READABLE, on_poll);
}

const uint64_t *gh_esp_net_counts(const struct gh_esp_net *n)
{
    return n->counts;
}

struct gh_esp_net *gh_esp_net_new(uv_loop_t *loop, struct ipsec *engine,
                                  const struct gh_esp_outers *outers,
                                  const struct gh_esp_net_ops *ops, void *ctx)
{
    struct gh_esp_net *n = calloc(1, sizeof(*n));

    if (n == NULL)
        return NULL;
    n->loop = loop;
    n->engine = engine;
    n->outers = outers;
    n->ops = ops;
    n->ctx = ctx;
    n->reader.batch = &n->batch;
    n->reader.through = gh_esp_device_through;
    n->reader.ctx = n;
    return n;
}
