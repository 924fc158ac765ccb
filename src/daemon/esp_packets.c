#include "daemon/esp_priv.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "tunnel/mtu.h"

void gh_esp_packets_event(void *ctx, const struct ipsec_event *e)
{
    struct gh_esp *esp = ctx;

    switch (e->kind) {
    case IPSEC_ACQUIRE:
        gh_esp_keyer_want(esp, e->policy, e->flow);
        if (esp->lacking_count < IPSEC_BATCH)
            esp->lacking[esp->lacking_count++] = e->policy;
        break;
    case IPSEC_SOFT:
    case IPSEC_SEQ_LOW:
        gh_esp_keyer_worn(esp, e->sa);
        break;
    case IPSEC_MOVED:
        if (esp->moved_count < IPSEC_BATCH)
            esp->moved[esp->moved_count++] = *e;
        break;
    case IPSEC_HARD:
        break;
    }
}

/* `ike` installs before it answers, and only after the answer can a packet be here: no packet meets
 * an SA that is still in the socket. */
static void on_arrived(void *ctx)
{
    struct gh_esp *esp = ctx;

    gh_channel_read(esp->keyer);
}

static void keep_waiting(struct gh_esp *esp, const struct ipsec_packet *packets, size_t count)
{
    uint64_t since = esp->since_ms != 0 ? esp->since_ms : gh_clock_now().mono_ms;
    size_t at = 0;

    for (size_t i = 0; i < count && at < esp->lacking_count; i++)
        if (packets[i].result == IPSEC_NO_SA)
            gh_esp_waiting_keep(esp->waiting, since, esp->lacking[at++], packets[i].place,
                                ipsec_packet_data(&packets[i]), packets[i].len);
    esp->lacking_count = 0;
}

static void go_on(void *ctx, uint64_t since_ms, uint32_t place, const uint8_t *packet, size_t len)
{
    struct gh_esp *esp = ctx;

    esp->since_ms = since_ms;
    gh_esp_net_again(esp->net, place, packet, len);
    esp->since_ms = 0;
}

static void on_release(uv_timer_t *timer)
{
    struct gh_esp *esp = timer->data;

    for (size_t i = 0; i < esp->ready_count; i++)
        gh_esp_waiting_release(esp->waiting, esp->ready[i], go_on, esp);
    esp->ready_count = 0;
}

/* Not at once: a batch of other packets may be half way through the engine. */
void gh_esp_packets_release(struct gh_esp *esp, uint32_t id)
{
    uint32_t policy, *more;

    if (!gh_esp_children_policy(esp->children, id, &policy))
        return;
    more = realloc(esp->ready, (esp->ready_count + 1) * sizeof(*more));
    if (more == NULL)
        return; /* they will be late */
    esp->ready = more;
    more[esp->ready_count++] = policy;
    uv_timer_start(&esp->release, on_release, 0, 0);
}

static void on_passed(void *ctx, enum ipsec_way way, struct ipsec_packet *packets, size_t count)
{
    struct gh_esp *esp = ctx;
    uint64_t now = gh_clock_now().mono_ms;

    gh_esp_children_passed(esp->children, packets, count);
    keep_waiting(esp, packets, count);
    if (way == IPSEC_OUT) {
        gh_esp_path_out(esp->path, now, packets, count);
    } else {
        gh_esp_path_in(esp->path, now, packets, count);
        gh_esp_tunnels_in(esp->tunnels, now, packets, count);
    }
    esp->lacking_count = 0; /* of pieces: their sender asks again */
    for (size_t i = 0; i < esp->moved_count; i++)
        gh_esp_children_moved(esp->children, esp->moved[i].sa, &esp->moved[i].from,
                              esp->moved[i].from_port);
    esp->moved_count = 0;
    gh_esp_keyer_strangers(esp, packets, count);
}

/* What came from the device itself. */
static void on_net_passed(void *ctx, enum ipsec_way way, struct ipsec_packet *packets, size_t count)
{
    struct gh_esp *esp = ctx;

    on_passed(ctx, way, packets, count);
    if (way == IPSEC_OUT)
        gh_esp_refusals_out(&esp->refusals, gh_clock_now().mono_ms, packets, count);
}

static void on_late(void *ctx, uint32_t place, const uint8_t *packet, size_t len)
{
    struct gh_esp *esp = ctx;

    gh_esp_refusals_late(&esp->refusals, gh_clock_now().mono_ms, place, packet, len);
}

void gh_esp_packets_tick(struct gh_esp *esp, uint64_t now_ms)
{
    gh_esp_waiting_tick(esp->waiting, now_ms, on_late, esp);
}

static void path_random(void *ctx, void *out, size_t len)
{
    gh_random_take(&((struct gh_esp *)ctx)->random, out, len);
}

static void path_passed(void *ctx, const struct ipsec_packet *p)
{
    gh_esp_children_passed(((struct gh_esp *)ctx)->children, p, 1);
}

static void path_send(void *ctx, struct ipsec_packet *p)
{
    p->result = IPSEC_OK;
    gh_esp_net_send(((struct gh_esp *)ctx)->net, p, 1);
}

/* What was too long may have been a tunnel's: then it makes the next ones shorter. */
static void path_deliver(void *ctx, struct ipsec_packet *p)
{
    struct gh_esp *esp = ctx;

    if (!gh_esp_tunnels_icmp(esp->tunnels, gh_clock_now().mono_ms, p->place, true,
                             ipsec_packet_data(p), p->len))
        gh_esp_net_deliver(esp->net, p);
}

static void on_raw(void *ctx, uint8_t protocol, struct ipsec_packet *packets, size_t count)
{
    struct gh_esp *esp = ctx;
    uint64_t now = gh_clock_now().mono_ms;

    if (protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6) {
        gh_esp_tunnels_clear(esp->tunnels, now, packets, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct ipsec_packet *p = &packets[i];

        gh_esp_path_icmp(esp->path, now, p->place, ipsec_packet_data(p), p->len);
        gh_esp_tunnels_icmp(esp->tunnels, now, p->place, false, ipsec_packet_data(p), p->len);
    }
}

/* ---- Tunnels -------------------------------------------------------------------------------- */

static void tunnels_passed(void *ctx, struct ipsec_packet *packets, size_t count)
{
    on_passed(ctx, IPSEC_OUT, packets, count);
}

static void tunnels_send(void *ctx, struct ipsec_packet *packets, size_t count)
{
    gh_esp_net_send(((struct gh_esp *)ctx)->net, packets, count);
}

static size_t tunnels_deliver(void *ctx, uint32_t tunnel, const struct ipsec_packet *packets,
                              size_t count)
{
    return gh_esp_devices_put(((struct gh_esp *)ctx)->devices, tunnel, packets, count);
}

static void on_device(void *ctx, uint32_t number, struct ipsec_packet *packets, size_t count)
{
    gh_esp_tunnels_out(((struct gh_esp *)ctx)->tunnels, gh_clock_now().mono_ms, number, packets,
                       count);
}

static void on_too_long(void *ctx, uint32_t place, const uint8_t *packet, size_t len)
{
    struct gh_esp *esp = ctx;
    uint64_t now = gh_clock_now().mono_ms;

    gh_esp_path_too_long(esp->path, now, place, packet, len);
    gh_esp_tunnels_too_long(esp->tunnels, now, place, packet, len);
}

/* Packets of an SA with traffic flow confidentiality need room to be filled up. */
static void make_room_to_fill(struct gh_esp *esp, uint64_t id)
{
    const struct ipsec_sa *sa = ipsec_get_sa(esp->engine, id);
    size_t most = sa != NULL ? sa->p.tfc : 0;

    if (most > TUNNEL_MTU_MAX)
        most = TUNNEL_MTU_MAX;
    if (esp->net != NULL)
        gh_esp_net_fill(esp->net, most);
    if (esp->devices != NULL)
        gh_esp_devices_fill(esp->devices, most);
}

void gh_esp_packets_changed(void *ctx, uint64_t sa)
{
    struct gh_esp *esp = ctx;

    make_room_to_fill(esp, sa);

    if (esp->path != NULL)
        gh_esp_path_changed(esp->path, sa, gh_clock_now().mono_ms);
}

/* ---- All of it ------------------------------------------------------------------------------ */

static bool make_tunnels(struct gh_esp *esp)
{
    static const struct gh_esp_tunnels_ops ops = {.random = path_random,
                                                  .passed = tunnels_passed,
                                                  .send = tunnels_send,
                                                  .deliver = tunnels_deliver};
    const struct gh_esp_tunnels_setup setup = {.engine = esp->engine,
                                               .names = &esp->tunnel_names,
                                               .policies = &esp->policies,
                                               .places = &esp->places,
                                               .ops = &ops,
                                               .ctx = esp};

    esp->tunnels = gh_esp_tunnels_new(&setup);
    esp->devices = gh_esp_devices_new(&esp->loop, on_device, esp);
    return esp->tunnels != NULL && esp->devices != NULL;
}

bool gh_esp_packets_make(struct gh_esp *esp)
{
    static const struct gh_esp_net_ops net_ops = {.stray = gh_esp_keyer_stray,
                                                  .arrived = on_arrived,
                                                  .passed = on_net_passed,
                                                  .too_long = on_too_long};
    static const struct gh_esp_path_ops path_ops = {
        .random = path_random, .passed = path_passed, .send = path_send, .deliver = path_deliver};

    if (uv_timer_init(&esp->loop, &esp->release) != 0)
        return false;
    esp->release.data = esp;
    esp->refusals.deliver = path_deliver;
    esp->refusals.ctx = esp;
    esp->net = gh_esp_net_new(&esp->loop, esp->engine, &esp->outers, &net_ops, esp);
    esp->waiting = gh_esp_waiting_new();
    esp->raw = gh_esp_raw_new(&esp->loop, on_raw, esp);
    esp->path = gh_esp_path_new(esp->engine, esp->children, &esp->outers, &path_ops, esp);
    return esp->net != NULL && esp->waiting != NULL && esp->raw != NULL && esp->path != NULL &&
           make_tunnels(esp);
}
