#include "daemon/esp_devices.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipsec/work.h"

enum {
    BATCHES_A_TURN = 4, /* then others have a turn */
    VNET = sizeof(struct virtio_net_hdr),
    HEAD = 256,
    BODY = 9216, /* more than the largest MTU of a tunnel */
    TAIL = 128
};

struct entry {
    uv_poll_t poll; /* first: closing frees it */
    struct gh_esp_devices *owner;
    struct entry *next;
    uint32_t number;
    int fd;
};

struct gh_esp_devices {
    uv_loop_t *loop;
    gh_esp_devices_fn fn;
    void *ctx;
    bool started;
    struct entry *list;
    struct ipsec_packet packets[IPSEC_BATCH];
    uint8_t mem[IPSEC_BATCH][HEAD + BODY + TAIL];
};

static struct entry *find(const struct gh_esp_devices *d, uint32_t number)
{
    struct entry *e = d->list;

    while (e != NULL && e->number != number)
        e = e->next;
    return e;
}

static size_t read_batch(struct gh_esp_devices *d, const struct entry *e)
{
    size_t count = 0;

    while (count < IPSEC_BATCH) {
        uint8_t *mem = d->mem[count];
        ssize_t len = read(e->fd, mem + HEAD - VNET, BODY + VNET);

        if (len < 0 && errno == EINTR)
            continue;
        if (len <= VNET)
            break;
        d->packets[count++] = (struct ipsec_packet){
            .mem = mem, .cap = sizeof(d->mem[0]), .at = HEAD, .len = (size_t)len - VNET};
    }
    return count;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct entry *e = (struct entry *)poll;
    struct gh_esp_devices *d = e->owner;
    size_t n = IPSEC_BATCH;

    for (size_t i = 0; n == IPSEC_BATCH && i < BATCHES_A_TURN; i++) {
        n = read_batch(d, e);
        if (n > 0)
            d->fn(d->ctx, e->number, d->packets, n);
    }
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

bool gh_esp_devices_open(struct gh_esp_devices *d, uint32_t number, int fd)
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

bool gh_esp_devices_put(struct gh_esp_devices *d, uint32_t number, struct ipsec_packet *p)
{
    const struct entry *e = find(d, number);
    uint8_t *at = e != NULL ? ipsec_packet_push(p, VNET) : NULL;
    ssize_t len;

    if (at == NULL)
        return false;
    memset(at, 0, VNET);
    do
        len = write(e->fd, at, p->len);
    while (len < 0 && errno == EINTR);
    return len >= 0;
}

struct gh_esp_devices *gh_esp_devices_new(uv_loop_t *loop, gh_esp_devices_fn fn, void *ctx)
{
    struct gh_esp_devices *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    d->loop = loop;
    d->fn = fn;
    d->ctx = ctx;
    return d;
}
