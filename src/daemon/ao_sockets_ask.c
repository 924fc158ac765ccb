/* What the parent is asked for and told, for programs' sockets. */
#include <stdlib.h>
#include <uv.h>

#include "base/log.h"
#include "base/secret.h"
#include "daemon/ao_sockets_priv.h"
#include "daemon/ao_steer.h"
#include "daemon/socket_flows.h"
#include "tcpao/engine.h"
#include "wire/wr.h"

enum { PENDING_MS = 20 };

struct gh_sockets_wait *gh_sockets_wait(struct gh_ao_sockets *s, enum gh_sockets_wait_kind kind,
                                        uint32_t client)
{
    struct gh_sockets_wait *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->kind = kind;
    if (++s->next_id == 0)
        s->next_id = 1; /* 0: nobody waits */
    w->id = s->next_id;
    w->client = client;
    w->next = s->waits;
    s->waits = w;
    return w;
}

struct gh_sockets_wait *gh_sockets_wait_over(struct gh_ao_sockets *s,
                                             enum gh_sockets_wait_kind kind, uint32_t id)
{
    struct gh_sockets_wait **at = &s->waits, *w;

    while (*at != NULL && ((*at)->kind != kind || (*at)->id != id))
        at = &(*at)->next;
    w = *at;
    if (w != NULL)
        *at = w->next;
    return w;
}

void gh_sockets_fetch(void *ctx, uint32_t id, uint32_t pid, uint64_t cookie, uint64_t inode)
{
    struct gh_ao_sockets *s = ctx;
    uint8_t body[24];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u32(&w, id);
    gh_wr_u32(&w, pid);
    gh_wr_u64(&w, cookie);
    gh_wr_u64(&w, inode);
    gh_channel_send(s->parent, GH_MESSAGE_FETCH, body, w.len, -1);
}

void gh_sockets_watch(void *ctx, uint16_t zone, uint64_t cookie)
{
    struct gh_ao_sockets *s = ctx;
    uint8_t body[10];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (!gh_cookies_add(&s->watched, cookie))
        return;
    gh_wr_u16(&w, zone);
    gh_wr_u64(&w, cookie);
    gh_channel_send(s->parent, GH_MESSAGE_WATCH, body, w.len, -1);
    s->watching = true;
}

/* Secrets pass through: each copy is wiped. */
static void send_kept(struct gh_ao_sockets *s, enum gh_message message, const struct gh_kept *k)
{
    size_t size = sizeof(k->cookie) + k->len;
    uint8_t *body = size <= GH_KEEP_MAX ? malloc(size) : NULL;
    struct gh_wr w = gh_wr_make(body, size);

    if (body == NULL) {
        gh_warning("a socket's keys are too many to be kept over a restart");
        return;
    }
    gh_wr_u64(&w, k->cookie);
    gh_wr_bytes(&w, k->data, k->len);
    gh_channel_send(s->parent, message, body, w.len, -1);
    gh_wipe(body, size);
    free(body);
}

static void send_pending(struct gh_ao_sockets *s)
{
    for (size_t i = 0; i < s->pending.count; i++)
        send_kept(s, GH_MESSAGE_KEEP, &s->pending.list[i]);
    gh_keep_clear(&s->pending);
}

static void on_pending(uv_timer_t *timer)
{
    send_pending(timer->data);
}

/* What a successor of this process goes on from. A program that sets many keys changes the same
 * record with each: the last state is told, a moment later. */
void gh_sockets_keep(void *ctx, uint64_t cookie, const uint8_t *data, size_t len)
{
    struct gh_ao_sockets *s = ctx;
    const struct gh_kept gone = {.cookie = cookie};

    if (len == 0) {
        gh_keep_drop(&s->pending, cookie);
        send_kept(s, GH_MESSAGE_FORGET, &gone);
        return;
    }
    if (!gh_keep_put(&s->pending, cookie, data, len)) {
        send_pending(s);
        gh_keep_put(&s->pending, cookie, data, len);
    }
    if (!uv_is_active((uv_handle_t *)&s->pending_timer))
        uv_timer_start(&s->pending_timer, on_pending, PENDING_MS, 0);
}

void gh_sockets_flows_changed(void *ctx, uint16_t zone)
{
    struct gh_ao_sockets *s = ctx;
    struct gh_ao_zone *z = zone != GH_NO_ZONE ? gh_ao_zone_get(&s->zones, zone) : NULL;

    if (z != NULL)
        z->flows_changed = true;
}

bool gh_sockets_is_vrf(void *ctx, uint16_t zone, uint32_t ifindex)
{
    struct gh_ao_sockets *s = ctx;
    const struct gh_ao_zone *z = gh_ao_zone(&s->zones, zone);

    return z != NULL && gh_ao_zone_is_vrf(z, ifindex);
}

static void put_kernel_flow(void *ctx, const struct gh_socket_flow *flow)
{
    gh_socket_flow_put(ctx, flow);
}

static void steer(void *ctx, const struct emu_flow *flow)
{
    gh_steer_add(ctx, flow);
}

bool gh_sockets_send_flows(struct gh_ao_sockets *s, struct gh_ao_zone *z, uint32_t id,
                           uint64_t mono)
{
    static const struct gh_socket_flow strict = {.kind = GH_FLOW_STRICT, .peer.addr.len = 4};
    struct gh_wr w = gh_wr_make(s->flows, GH_SOCKETS_FLOWS_ROOM);
    struct gh_steer steered = {.list = NULL};
    bool good;

    gh_wr_u32(&w, id);
    gh_wr_u16(&w, z->index);
    gh_kernel_each_flow(s->kernel, z->index, put_kernel_flow, &w);
    emu_each_flow(s->emu, z->index, steer, &steered);
    good = gh_steer_finish(&steered);
    for (size_t i = 0; i < steered.count; i++)
        gh_socket_flow_put(&w, &steered.list[i]);
    z->strict = steered.count > 0 || mono < z->strict_until;
    ao_engine_set_strict(s->engine, z->index, z->strict);
    if (z->strict)
        gh_socket_flow_put(&w, &strict);
    gh_steer_clear(&steered);
    z->flows_changed = false;
    if (!good || !gh_wr_ok(&w))
        gh_error("%s: too many sockets with keys of their own", z->name);
    z->flows_failed = !good || !gh_wr_ok(&w) ||
                      !gh_channel_send(s->parent, GH_MESSAGE_FLOWS, s->flows, w.len, -1);
    return !z->flows_failed;
}
