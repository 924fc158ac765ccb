#include "daemon/esp_devices.h"

#include <stdlib.h>
#include <unistd.h>

#include "daemon/esp_vnet.h"
#include "tunnel/tunnel.h"

_Static_assert((int)GH_ESP_HEAD >= 2 * (int)IPSEC_HEADROOM + (int)TUNNEL_HEADROOM,
               "room for all headers");

struct entry {
    uv_poll_t poll; /* first: closing frees it */
    struct gh_esp_devices *owner;
    struct entry *next;
    uint32_t number;
    int fd;
    bool datagrams;
};

struct gh_esp_devices {
    uv_loop_t *loop;
    gh_esp_devices_fn fn;
    void *ctx;
    bool started;
    struct entry *list;
    struct gh_esp_batch batch;
    struct gh_esp_vnet_reader reader;
    struct gh_esp_vnet_writer writer;
};

static struct entry *find(const struct gh_esp_devices *d, uint32_t number)
{
    struct entry *e = d->list;

    while (e != NULL && e->number != number)
        e = e->next;
    return e;
}

static void through(void *ctx, uint32_t number)
{
    struct gh_esp_devices *d = ctx;

    d->fn(d->ctx, number, d->batch.packets, d->batch.count);
    gh_esp_batch_clear(&d->batch);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    const struct entry *e = (const struct entry *)poll;

    gh_esp_vnet_read(&e->owner->reader, e->fd, e->number);
}

static void on_closed(uv_handle_t *handle)
{
    struct entry *e = (struct entry *)handle;

    close(e->fd);
    free(e);
}

static void drop(struct gh_esp_devices *d, struct entry **at)
{
    struct entry *e = *at;

    *at = e->next;
    uv_poll_stop(&e->poll);
    uv_close((uv_handle_t *)&e->poll, on_closed);
}

void gh_esp_devices_keep(struct gh_esp_devices *d, bool (*stays)(void *ctx, uint32_t number))
{
    for (struct entry **at = &d->list; *at != NULL;)
        if (stays(d->ctx, (*at)->number))
            at = &(*at)->next;
        else
            drop(d, at);
}

void gh_esp_devices_close(struct gh_esp_devices *d, uint32_t number)
{
    struct entry **at = &d->list;

    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    if (*at != NULL)
        drop(d, at);
}

bool gh_esp_devices_open(struct gh_esp_devices *d, uint32_t number, int fd, bool datagrams)
{
    struct entry *e = calloc(1, sizeof(*e));

    if (e == NULL) {
        close(fd);
        return false;
    }
    gh_esp_devices_close(d, number);
    e->owner = d;
    e->number = number;
    e->fd = fd;
    e->datagrams = datagrams;
    e->next = d->list;
    d->list = e;
    uv_poll_init(d->loop, &e->poll, fd);
    if (d->started)
        uv_poll_start(&e->poll, UV_READABLE, on_poll);
    return true;
}

void gh_esp_devices_start(struct gh_esp_devices *d)
{
    for (struct entry *e = d->list; !d->started && e != NULL; e = e->next)
        uv_poll_start(&e->poll, UV_READABLE, on_poll);
    d->started = true;
}

void gh_esp_devices_fill(struct gh_esp_devices *d, size_t octets)
{
    if (d->batch.fill < octets)
        d->batch.fill = octets;
}

size_t gh_esp_devices_put(struct gh_esp_devices *d, uint32_t number,
                          const struct ipsec_packet *packets, size_t count)
{
    const struct entry *e = find(d, number);

    for (size_t i = 0; i < count; i++)
        d->writer.packets[i] =
            (struct offload_packet){.data = ipsec_packet_data(&packets[i]), .len = packets[i].len};
    return e != NULL ? gh_esp_vnet_write(&d->writer, e->fd, e->datagrams, count) : 0;
}

struct gh_esp_devices *gh_esp_devices_new(uv_loop_t *loop, gh_esp_devices_fn fn, void *ctx)
{
    struct gh_esp_devices *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    d->loop = loop;
    d->fn = fn;
    d->ctx = ctx;
    d->reader.batch = &d->batch;
    d->reader.through = through;
    d->reader.ctx = d;
    return d;
}
