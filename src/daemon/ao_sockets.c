/* The dispatcher: what the parent says, time, life. */
#include "daemon/ao_sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/secret.h"
#include "daemon/ao_sockets_priv.h"
#include "tcpao/engine.h"

/* ---- The parent's messages ------------------------------------------------------------------ */

static void name_zone(struct gh_ao_sockets *s, struct gh_ao_zone *z, uint64_t netns)
{
    const struct gh_setup *setup = s->setup;

    snprintf(z->name, sizeof(z->name), "ns:%llx", (unsigned long long)netns);
    for (size_t i = 0; i < setup->config->session_count; i++) {
        const struct gh_session *session = &setup->config->sessions[i];

        if (setup->zones[i] == z->index) { /* all of a zone's name it alike */
            gh_zone_name(session->netns, session->vrf, z->name, sizeof(z->name));
            return;
        }
    }
}

static bool take_zoned(struct gh_ao_sockets *s, struct gh_rd *body)
{
    uint32_t id = gh_rd_u32(body);
    uint16_t zone = gh_rd_u16(body);
    struct gh_sockets_wait *w = gh_sockets_wait_over(s, GH_WAIT_ZONE, id);
    const struct gh_shim_request *r;
    struct gh_ao_zone *z;

    if (w == NULL) {
        w = gh_sockets_wait_over(s, GH_WAIT_WATCH, id);
        if (w == NULL)
            return false;
        gh_sockets_answer(s, w->client, &w->outcome);
        free(w);
        return true;
    }
    gh_ao_netns_set(&s->zones, w->netns, zone);
    z = zone != GH_NO_ZONE ? gh_ao_zone_get(&s->zones, zone) : NULL;
    if (z != NULL && z->name[0] == '\0')
        name_zone(s, z, w->netns);
    r = gh_shim_waiting(s->server, w->client);
    if (r != NULL)
        gh_sockets_handle(s, r, z != NULL ? zone : GH_NO_ZONE);
    free(w);
    return true;
}

/* zone GH_NO_ZONE: any of them. */
static void note_failed_flows(struct gh_ao_sockets *s, uint16_t zone)
{
    for (size_t i = 0; i < s->zones.count; i++)
        if (zone == GH_NO_ZONE || s->zones.list[i]->index == zone)
            s->zones.list[i]->flows_failed = true;
}

static bool take_flowed(struct gh_ao_sockets *s, struct gh_rd *body)
{
    uint32_t id = gh_rd_u32(body);
    bool good = gh_rd_u8(body) == 1;
    struct gh_sockets_wait *w = id != 0 ? gh_sockets_wait_over(s, GH_WAIT_FLOWS, id) : NULL;

    if (id != 0 && w == NULL)
        return false;
    if (!good)
        note_failed_flows(s, w != NULL ? w->zone : GH_NO_ZONE);
    if (w == NULL)
        return true;
    if (!good) {
        w->outcome.action = GH_SHIM_DONE;
        w->outcome.error = ENOBUFS;
    }
    gh_sockets_answer(s, w->client, &w->outcome);
    free(w);
    return true;
}

/* The first octet tells whose it is: the kernel backend's begin with zero. */
static void restore(struct gh_ao_sockets *s, struct gh_now now, struct gh_sockets_kept *k)
{
    if (s->kernel_has_ao)
        gh_kernel_restore(s->kernel, k->cookie, k->data, k->len);
    else if (!emu_restore(s->emu, now, k->cookie, k->data, k->len))
        gh_warning("what was kept of a socket cannot be read; it is forgotten");
    gh_wipe(k->data, k->len);
    free(k);
}

static bool take_kept(struct gh_ao_sockets *s, struct gh_rd *body)
{
    uint64_t cookie = gh_rd_u64(body);
    size_t len = gh_rd_left(body);
    struct gh_sockets_kept *k = malloc(sizeof(*k) + len);

    if (k == NULL)
        return true;
    k->cookie = cookie;
    k->len = len;
    gh_rd_copy(body, k->data, len);
    k->next = s->kept;
    s->kept = k;
    return true;
}

static void socket_gone(struct gh_ao_sockets *s, uint64_t cookie)
{
    struct gh_now now = gh_clock_now();

    gh_md5_forget(&s->md5, cookie);
    gh_cookies_remove(&s->watched, cookie);
    if (s->emu == NULL)
        return;
    emu_gone(s->emu, now, cookie);
    gh_kernel_gone(s->kernel, now, cookie);
    gh_sockets_keep(s, cookie, NULL, 0);
}

bool gh_ao_sockets_message(struct gh_ao_sockets *s, struct gh_frame *frame, int fd)
{
    struct gh_rd *body = &frame->body;
    uint32_t id;

    switch (frame->type) {
    case GH_MESSAGE_SHIM:
        id = gh_rd_u32(body);
        gh_shim_server_add(s->server, fd, id, gh_rd_u32(body));
        return true;
    case GH_MESSAGE_ZONED:
        return take_zoned(s, body);
    case GH_MESSAGE_FLOWED:
        return take_flowed(s, body);
    case GH_MESSAGE_FETCHED:
        gh_kernel_fetched(s->kernel, gh_clock_now(), gh_rd_u32(body), fd, 0);
        return true;
    case GH_MESSAGE_FETCH_FAILED:
        id = gh_rd_u32(body);
        gh_kernel_fetched(s->kernel, gh_clock_now(), id, -1, (int)gh_rd_u32(body));
        return true;
    case GH_MESSAGE_KEPT:
        return take_kept(s, body);
    case GH_MESSAGE_SOCKET_GONE:
        socket_gone(s, gh_rd_u64(body));
        return true;
    default:
        return false;
    }
}

/* The parent has kept the flows that an earlier instance told: it hears of ours, if none as well.
 */
void gh_ao_sockets_zone_opened(struct gh_ao_sockets *s, uint16_t zone)
{
    gh_sockets_flows_changed(s, zone);
}

void gh_ao_sockets_zone_closed(struct gh_ao_sockets *s, uint16_t zone)
{
    if (s->kernel != NULL)
        gh_kernel_zone_closed(s->kernel, gh_clock_now(), zone);
    gh_ao_zone_forget(&s->zones, zone);
}

void gh_ao_sockets_link(struct gh_ao_sockets *s, uint16_t zone, uint32_t ifindex, uint32_t mtu,
                        bool vrf)
{
    struct gh_ao_zone *z = gh_ao_zone_get(&s->zones, zone);

    if (z != NULL)
        gh_ao_zone_set_vrf(z, ifindex, vrf && mtu > 0);
}

/* ---- Time ----------------------------------------------------------------------------------- */

/* Flows that changed without a request: a socket ended, a session moved to another backend. */
static void tell_flows(struct gh_ao_sockets *s, uint64_t mono)
{
    for (size_t i = 0; i < s->zones.count; i++) {
        struct gh_ao_zone *z = s->zones.list[i];

        if (z->flows_changed || (z->strict && z->strict_until != 0 && mono >= z->strict_until)) {
            if (mono >= z->strict_until)
                z->strict_until = 0;
            gh_sockets_send_flows(s, z, 0, mono);
        }
    }
}

enum gh_carrier gh_ao_sockets_carrier(void *sockets, const struct gh_session *session)
{
    const struct gh_ao_sockets *s = sockets;

    return gh_kernel_carrier(s->kernel, session);
}

void gh_ao_sockets_tick(struct gh_ao_sockets *s, struct gh_now now)
{
    if (s->engine == NULL)
        return;
    gh_kernel_tick(s->kernel, now);
    tell_flows(s, now.mono_ms);
}

uint64_t gh_ao_sockets_next_deadline(const struct gh_ao_sockets *s, struct gh_now now)
{
    if (s->engine == NULL)
        return UINT64_MAX;
    for (size_t i = 0; i < s->zones.count; i++)
        if (s->zones.list[i]->flows_changed)
            return now.mono_ms;
    return gh_kernel_next_deadline(s->kernel, now);
}

/* ---- Life ----------------------------------------------------------------------------------- */

void gh_ao_sockets_configure(struct gh_ao_sockets *s, struct gh_now now,
                             const struct gh_setup *setup)
{
    s->setup = setup;
    gh_ao_netns_forget_missing(&s->zones);
    for (size_t i = 0; i < setup->config->session_count; i++) {
        struct gh_ao_zone *z = gh_ao_zone_get(&s->zones, setup->zones[i]);

        if (z != NULL)
            name_zone(s, z, 0);
    }
    gh_kernel_configure(s->kernel, now, setup);
    gh_shim_server_start(s->server);
    tell_flows(s, now.mono_ms);
}

static void in_line(void *ctx, const char *session)
{
    const struct gh_ao_sockets *s = ctx;

    s->ops.in_line(s->ops.ctx, session);
}

void gh_ao_sockets_keys_changed(struct gh_ao_sockets *s, struct gh_now now, const char *session)
{
    if (s->engine != NULL)
        gh_kernel_keys_changed(s->kernel, now, session);
}

bool gh_ao_sockets_start(struct gh_ao_sockets *s, struct gh_now now, struct ao_engine *engine)
{
    const struct emu_settings emulation = {.engine = engine,
                                           .is_vrf = gh_sockets_is_vrf,
                                           .keep = gh_sockets_keep,
                                           .flows_changed = gh_sockets_flows_changed,
                                           .ctx = s};
    const struct gh_kernel_ops kernel = {.fetch = gh_sockets_fetch,
                                         .watch = gh_sockets_watch,
                                         .keep = gh_sockets_keep,
                                         .flows_changed = gh_sockets_flows_changed,
                                         .in_line = in_line,
                                         .ctx = s};
    struct gh_sockets_kept *next;

    s->emu = emu_new(&emulation);
    s->kernel = gh_kernel_new(engine, s->kernel_has_ao, &kernel);
    if (s->emu == NULL || s->kernel == NULL)
        return false;
    s->engine = engine;
    for (struct gh_sockets_kept *k = s->kept; k != NULL; k = next) {
        next = k->next;
        restore(s, now, k);
    }
    s->kept = NULL;
    return true;
}

struct gh_ao_sockets *gh_ao_sockets_new(uv_loop_t *loop, struct gh_channel *parent,
                                        bool kernel_has_ao, const struct gh_ao_sockets_ops *ops)
{
    struct gh_ao_sockets *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    *s = (struct gh_ao_sockets){.loop = loop,
                                .parent = parent,
                                .kernel_has_ao = kernel_has_ao,
                                .ops = *ops,
                                .flows = malloc(GH_SOCKETS_FLOWS_ROOM)};
    uv_timer_init(loop, &s->pending_timer);
    s->pending_timer.data = s;
    s->server = s->flows != NULL ? gh_shim_server_new(loop, gh_sockets_on_request, s) : NULL;
    if (s->server == NULL) {
        free(s->flows);
        free(s);
        return NULL;
    }
    return s;
}
