#include "daemon/esp.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <openssl/crypto.h>

#include "base/log.h"
#include "config/ike.h"
#include "config/octets.h"
#include "control/control.h"
#include "crypto/cipher.h"
#include "daemon/channel.h"
#include "daemon/child.h"
#include "daemon/esp_capture.h"
#include "daemon/esp_children.h"
#include "daemon/esp_devices.h"
#include "daemon/esp_kernel.h"
#include "daemon/esp_net.h"
#include "daemon/esp_path.h"
#include "daemon/esp_raw.h"
#include "daemon/esp_reverse.h"
#include "daemon/esp_show.h"
#include "daemon/esp_spd.h"
#include "daemon/esp_strangers.h"
#include "daemon/esp_tunnels.h"
#include "daemon/esp_waiting.h"
#include "daemon/randomness.h"
#include "daemon/sandbox.h"
#include "ike/codes.h"

enum {
    TICK_MS = 500,
    STRAYS_WAITING = 1048576, /* octets to `ike`; what comes then is lost */
    WANTED_MS = 1000          /* at most one call for SAs of one policy in so long */
};

struct esp {
    uv_loop_t loop;
    uv_timer_t timer;
    struct gh_channel *parent, *keyer; /* keyer NULL: `ike` is away */
    struct gh_random random;
    struct ipsec *engine;
    struct gh_esp_names policies, places;
    struct gh_esp_outers outers;
    uint32_t *protects; /* [policies]: the place of what it protects; UINT32_MAX: not configured */
    size_t protects_count;
    struct gh_esp_children *children;
    struct gh_esp_net *net;
    struct gh_esp_kernel *kernel;
    struct gh_esp_path *path;
    struct gh_esp_raw *raw;
    struct gh_esp_names tunnel_names;
    struct gh_esp_tunnels *tunnels;
    struct gh_esp_devices *devices;
    struct gh_esp_capture *capture;
    struct ipsec_event moved[IPSEC_BATCH]; /* told while the engine was at work */
    size_t moved_count;
    struct gh_esp_spd spd;
    struct gh_esp_strangers strangers;
    uint64_t *wanted_ms; /* [policies]: when SAs were last called for */
    size_t wanted_count;
    struct gh_esp_reverse *reverse;
    struct gh_esp_waiting *waiting;
    uint32_t lacking[IPSEC_BATCH]; /* the policies of packets that met no SA, in their order */
    size_t lacking_count;
    uint64_t since_ms;  /* not 0: of the packet that has waited and goes on now */
    uv_timer_t release; /* with it the packets of these policies go on: */
    uint32_t *ready;
    size_t ready_count;
};

static void tell_keyer(struct esp *esp, enum gh_message type, const struct gh_wr *w)
{
    if (esp->keyer != NULL && gh_wr_ok(w))
        gh_channel_send(esp->keyer, type, w->base, w->len, -1);
}

static void tell_number(struct esp *esp, enum gh_message type, uint32_t id)
{
    uint8_t body[4];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u32(&w, id);
    tell_keyer(esp, type, &w);
}

/* ---- What the engine tells ------------------------------------------------------------------ */

static bool on_random(void *arg, uint8_t *out, size_t len)
{
    struct esp *esp = arg;

    gh_random_take(&esp->random, out, len);
    return true;
}

static struct ike_ts ts_of(const struct ipsec_flow *f, const struct gh_addr *addr, uint16_t port)
{
    bool any = !f->ports || f->one_sided;

    return (struct ike_ts){.type = addr->len == 4 ? IKE_TS_IPV4 : IKE_TS_IPV6,
                           .protocol = f->protocol,
                           .start_port = any ? 0 : port,
                           .end_port = any ? UINT16_MAX : port,
                           .start = *addr,
                           .end = *addr};
}

/* False: it was not long ago. */
static bool may_want(struct esp *esp, uint32_t policy)
{
    uint64_t now = gh_clock_now().mono_ms;

    if (policy >= esp->policies.count)
        return false;
    if (policy >= esp->wanted_count) {
        uint64_t *more = realloc(esp->wanted_ms, esp->policies.count * sizeof(*more));

        if (more == NULL)
            return false;
        memset(more + esp->wanted_count, 0,
               (esp->policies.count - esp->wanted_count) * sizeof(*more));
        esp->wanted_ms = more;
        esp->wanted_count = esp->policies.count;
    }
    if (esp->wanted_ms[policy] != 0 && now - esp->wanted_ms[policy] < WANTED_MS)
        return false;
    esp->wanted_ms[policy] = now;
    return true;
}

static void want(struct esp *esp, uint32_t policy, const struct ipsec_flow *flow)
{
    struct gh_esp_wanted x = {.local = ts_of(flow, &flow->local, flow->local_port),
                              .remote = ts_of(flow, &flow->remote, flow->remote_port)};
    uint8_t body[512];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (!may_want(esp, policy))
        return;
    snprintf(x.peer, sizeof(x.peer), "%s", esp->policies.list[policy].first);
    snprintf(x.name, sizeof(x.name), "%s", esp->policies.list[policy].second);
    gh_esp_put_wanted(&w, &x);
    tell_keyer(esp, GH_MESSAGE_CHILD_WANTED, &w);
}

static void on_event(void *arg, const struct ipsec_event *e)
{
    struct esp *esp = arg;
    uint32_t id;

    switch (e->kind) {
    case IPSEC_ACQUIRE:
        want(esp, e->policy, e->flow);
        if (esp->lacking_count < IPSEC_BATCH)
            esp->lacking[esp->lacking_count++] = e->policy;
        break;
    case IPSEC_SOFT:
    case IPSEC_SEQ_LOW:
        if (gh_esp_children_id(esp->children, e->sa, &id))
            tell_number(esp, GH_MESSAGE_CHILD_WORN, id);
        break;
    case IPSEC_MOVED:
        if (esp->moved_count < IPSEC_BATCH)
            esp->moved[esp->moved_count++] = *e;
        break;
    case IPSEC_HARD:
        break;
    }
}

/* ---- Packets -------------------------------------------------------------------------------- */

/* `ike` installs before it answers, and only after the answer can a packet be here: no packet meets
 * an SA that is still in the socket. */
static void on_arrived(void *ctx)
{
    struct esp *esp = ctx;

    gh_channel_read(esp->keyer);
}

/* Whoever sends by an SA that is not there hears so from `ike`. */
static void tell_strangers(struct esp *esp, const struct ipsec_packet *packets, size_t count)
{
    struct gh_esp_stranger x;
    uint8_t body[512];

    for (size_t i = 0; i < count; i++) {
        struct gh_wr w = gh_wr_make(body, sizeof(body));

        if (packets[i].result != IPSEC_UNKNOWN_SPI || packets[i].place >= esp->places.count ||
            !gh_esp_stranger(&esp->strangers, &packets[i], gh_clock_now().mono_ms, &x))
            continue;
        snprintf(x.netns, sizeof(x.netns), "%s", esp->places.list[packets[i].place].first);
        snprintf(x.vrf, sizeof(x.vrf), "%s", esp->places.list[packets[i].place].second);
        gh_esp_put_stranger(&w, &x);
        tell_keyer(esp, GH_MESSAGE_CHILD_STRANGER, &w);
    }
}

static void keep_waiting(struct esp *esp, const struct ipsec_packet *packets, size_t count)
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
    struct esp *esp = ctx;

    esp->since_ms = since_ms;
    gh_esp_net_again(esp->net, place, packet, len);
    esp->since_ms = 0;
}

static void on_release(uv_timer_t *timer)
{
    struct esp *esp = timer->data;

    for (size_t i = 0; i < esp->ready_count; i++)
        gh_esp_waiting_release(esp->waiting, esp->ready[i], go_on, esp);
    esp->ready_count = 0;
}

/* Not at once: a batch of other packets may be half way through the engine. */
static void release_soon(struct esp *esp, uint32_t id)
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
    struct esp *esp = ctx;
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
    tell_strangers(esp, packets, count);
}

static void on_stray(void *ctx, const struct gh_esp_net_stray *x)
{
    struct esp *esp = ctx;
    const struct gh_esp_name *place = &esp->places.list[x->place];
    struct gh_esp_stray stray = {.local = x->local,
                                 .remote = x->remote,
                                 .port = x->port,
                                 .data = gh_view_of(x->data, x->len)};
    uint8_t body[GH_ESP_STRAY_MAX];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (esp->keyer == NULL || esp->keyer->out_len > STRAYS_WAITING)
        return;
    snprintf(stray.netns, sizeof(stray.netns), "%s", place->first);
    snprintf(stray.vrf, sizeof(stray.vrf), "%s", place->second);
    gh_esp_put_stray(&w, &stray);
    tell_keyer(esp, GH_MESSAGE_CHILD_STRAY, &w);
}

static void path_random(void *ctx, void *out, size_t len)
{
    gh_random_take(&((struct esp *)ctx)->random, out, len);
}

static void path_passed(void *ctx, const struct ipsec_packet *p)
{
    gh_esp_children_passed(((struct esp *)ctx)->children, p, 1);
}

static void path_send(void *ctx, struct ipsec_packet *p)
{
    gh_esp_net_send(((struct esp *)ctx)->net, p);
}

/* What was too long may have been a tunnel's: then it makes the next ones shorter. */
static void path_deliver(void *ctx, struct ipsec_packet *p)
{
    struct esp *esp = ctx;

    if (!gh_esp_tunnels_icmp(esp->tunnels, gh_clock_now().mono_ms, p->place, true,
                             ipsec_packet_data(p), p->len))
        gh_esp_net_deliver(esp->net, p);
}

static void on_raw(void *ctx, uint8_t protocol, struct ipsec_packet *p)
{
    struct esp *esp = ctx;
    uint64_t now = gh_clock_now().mono_ms;

    if (protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6) {
        gh_esp_tunnels_clear(esp->tunnels, now, p);
        return;
    }
    gh_esp_path_icmp(esp->path, now, p->place, ipsec_packet_data(p), p->len);
    gh_esp_tunnels_icmp(esp->tunnels, now, p->place, false, ipsec_packet_data(p), p->len);
}

/* ---- Tunnels -------------------------------------------------------------------------------- */

static void tunnels_passed(void *ctx, struct ipsec_packet *packets, size_t count)
{
    on_passed(ctx, IPSEC_OUT, packets, count);
}

static bool tunnels_deliver(void *ctx, uint32_t tunnel, struct ipsec_packet *p)
{
    return gh_esp_devices_put(((struct esp *)ctx)->devices, tunnel, p);
}

static void on_device(void *ctx, uint32_t number, struct ipsec_packet *packets, size_t count)
{
    gh_esp_tunnels_out(((struct esp *)ctx)->tunnels, gh_clock_now().mono_ms, number, packets,
                       count);
}

static bool device_stays(void *ctx, uint32_t number)
{
    return gh_esp_tunnels_has(((struct esp *)ctx)->tunnels, number);
}

static bool take_device(struct esp *esp, struct gh_rd *body, int fd)
{
    char *name = gh_get_text(body, true);
    uint32_t number = body->bad ? UINT32_MAX : gh_esp_number(&esp->tunnel_names, name, NULL);

    free(name);
    if (number != UINT32_MAX)
        return gh_esp_devices_open(esp->devices, number, fd);
    close(fd);
    return false;
}

static bool lose_device(struct esp *esp, struct gh_rd *body)
{
    char *name = gh_get_text(body, true);

    if (!body->bad)
        gh_esp_devices_close(esp->devices, gh_esp_number(&esp->tunnel_names, name, NULL));
    free(name);
    return !body->bad;
}

static bool take_reach(struct esp *esp, struct gh_rd *body)
{
    struct gh_esp_reach reach;

    if (!gh_esp_take_reach(body, &reach))
        return false;
    gh_esp_tunnels_reach(esp->tunnels, &reach);
    return true;
}

static bool make_tunnels(struct esp *esp)
{
    static const struct gh_esp_tunnels_ops ops = {.random = path_random,
                                                  .passed = tunnels_passed,
                                                  .send = path_send,
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

static void on_too_long(void *ctx, uint32_t place, const uint8_t *packet, size_t len)
{
    struct esp *esp = ctx;
    uint64_t now = gh_clock_now().mono_ms;

    gh_esp_path_too_long(esp->path, now, place, packet, len);
    gh_esp_tunnels_too_long(esp->tunnels, now, place, packet, len);
}

static void on_changed(void *ctx, uint64_t sa)
{
    struct esp *esp = ctx;

    if (esp->path != NULL)
        gh_esp_path_changed(esp->path, sa, gh_clock_now().mono_ms);
}

static void on_timer(uv_timer_t *timer)
{
    struct esp *esp = timer->data;

    gh_esp_children_tick(esp->children, gh_clock_now().mono_ms);
    gh_esp_path_tick(esp->path, gh_clock_now().mono_ms);
    gh_esp_tunnels_tick(esp->tunnels, gh_clock_now().mono_ms);
    gh_esp_waiting_tick(esp->waiting, gh_clock_now().mono_ms);
    gh_esp_capture_tick(esp->capture, gh_clock_now().mono_ms);
}

/* ---- The kernel's plane --------------------------------------------------------------------- */

static void on_again(void *ctx)
{
    struct esp *esp = ctx;

    gh_esp_children_again(esp->children);
}

static void on_kernel_refused(void *ctx, uint64_t sa, const char *why)
{
    struct esp *esp = ctx;
    struct gh_esp_child child;
    uint32_t id;

    if (!gh_esp_children_fail(esp->children, sa, &id, &child))
        return;
    gh_error("%s: the kernel does not carry the child %s: %s", child.peer, child.name, why);
    if (id != 0)
        tell_number(esp, GH_MESSAGE_CHILD_REFUSED, id);
}

static void on_worn(void *ctx, uint64_t sa)
{
    struct esp *esp = ctx;
    uint32_t id;

    if (gh_esp_children_id(esp->children, sa, &id))
        tell_number(esp, GH_MESSAGE_CHILD_WORN, id);
}

static void on_kernel_came(void *ctx, uint64_t sa)
{
    struct esp *esp = ctx;

    gh_esp_children_came(esp->children, sa);
}

static void on_moved(void *ctx, uint64_t sa, const struct gh_addr *from, uint16_t from_port)
{
    struct esp *esp = ctx;

    gh_esp_children_moved(esp->children, sa, from, from_port);
}

static void on_wanted(void *ctx, uint32_t policy, const struct ipsec_flow *flow)
{
    want(ctx, policy, flow);
}

static bool fits_plane(void *ctx, uint32_t policy, bool kernel)
{
    struct esp *esp = ctx;

    return gh_esp_kernel_has(esp->kernel, policy) == kernel;
}

/* Children of an earlier configuration go on where they are, but a private side has what the one in
 * force gives it, and nothing else. */
static bool fits(void *ctx, uint32_t policy, uint32_t place, bool kernel)
{
    struct esp *esp = ctx;
    uint32_t now = policy < esp->protects_count ? esp->protects[policy] : UINT32_MAX;

    if (!fits_plane(ctx, policy, kernel))
        return false;
    return now == place || (!gh_esp_outer_is_other(&esp->outers, place) &&
                            (now == UINT32_MAX || !gh_esp_outer_is_other(&esp->outers, now)));
}

/* ---- `ike` ---------------------------------------------------------------------------------- */

static void on_used(void *ctx, const struct gh_esp_usage *u)
{
    uint8_t body[32];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_esp_put_usage(&w, u);
    tell_keyer(ctx, GH_MESSAGE_CHILD_USED, &w);
}

static void on_missing(void *ctx, uint32_t id)
{
    tell_number(ctx, GH_MESSAGE_CHILD_REFUSED, id);
}

static bool on_came(void *ctx, uint32_t owner, const struct gh_esp_child *d)
{
    struct esp *esp = ctx;
    char why[GH_ESP_REVERSE_WHY] = "no memory";
    uint32_t place = gh_esp_number(&esp->places, d->netns, d->vrf);
    bool good = place != UINT32_MAX && gh_esp_reverse_claim(esp->reverse, owner, place, d, why);

    if (!good)
        gh_warning("%s: the child %s is refused: %s", d->peer, d->name, why);
    return good;
}

static void on_gone(void *ctx, uint32_t owner, const struct gh_esp_child *d)
{
    struct esp *esp = ctx;

    gh_esp_reverse_release(esp->reverse, owner, gh_esp_number(&esp->places, d->netns, d->vrf), d);
}

static void on_route(void *ctx, uint32_t place, const struct gh_esp_route_wish *wish)
{
    struct esp *esp = ctx;
    const struct gh_esp_name *name = &esp->places.list[place];
    uint8_t body[512];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_esp_put_route(&w, name->first, name->second, wish);
    if (gh_wr_ok(&w))
        gh_channel_send(esp->parent, GH_MESSAGE_ESP_ROUTE, body, w.len, -1);
}

static bool install(struct esp *esp, struct gh_rd *body)
{
    bool refused;
    uint32_t id;

    if (!gh_esp_children_install(esp->children, body, gh_clock_now().mono_ms, &id, &refused))
        return false;
    if (refused)
        tell_number(esp, GH_MESSAGE_CHILD_REFUSED, id);
    else
        release_soon(esp, id);
    return true;
}

static bool on_keyer_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct esp *esp = ctx;
    uint64_t now = gh_clock_now().mono_ms;

    switch (frame->type) {
    case GH_MESSAGE_CHILD_HELLO:
        return gh_esp_children_hello(esp->children, &frame->body);
    case GH_MESSAGE_CHILD_INSTALL:
        return install(esp, &frame->body);
    case GH_MESSAGE_CHILD_MOVE:
        return gh_esp_children_move(esp->children, &frame->body);
    case GH_MESSAGE_CHILD_REMOVE:
        return gh_esp_children_remove(esp->children, &frame->body, now);
    default:
        return false;
    }
}

static void on_keyer_broken(void *ctx, const char *why)
{
    struct esp *esp = ctx;

    gh_notice("ike: %s; its Child SAs go on", why);
    gh_channel_close(esp->keyer);
    esp->keyer = NULL;
}

static bool open_keyer(struct esp *esp, int fd)
{
    static const struct gh_channel_ops ops = {.message = on_keyer_message,
                                              .broken = on_keyer_broken};

    gh_channel_close(esp->keyer);
    esp->keyer = gh_channel_new(&esp->loop, fd, GH_TO_CARRIER, &ops, esp);
    return esp->keyer != NULL;
}

/* ---- The configuration ---------------------------------------------------------------------- */

/* UINT32_MAX: no memory, or too many. */
static uint32_t place_number(struct esp *esp, const struct gh_ike_zone *zone)
{
    return gh_esp_number(&esp->places, zone != NULL ? zone->netns : NULL,
                         zone != NULL ? zone->vrf : NULL);
}

static bool make_room(struct esp *esp)
{
    uint32_t *more = realloc(esp->protects, (esp->policies.count + 1) * sizeof(*more));

    if (more == NULL)
        return false;
    esp->protects = more;
    esp->protects_count = esp->policies.count;
    for (size_t i = 0; i < esp->protects_count; i++)
        more[i] = UINT32_MAX;
    return true;
}

static bool set_places(struct esp *esp, const struct gh_ike_config *config)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct ike2_policy *p = config->policies[i];
        uint32_t outer = place_number(esp, gh_ike_public_zone(config, p));

        if (!gh_esp_outers_set(&esp->outers, outer, outer) ||
            !gh_esp_outers_set(&esp->outers, place_number(esp, gh_ike_private_zone(config, p)),
                               outer))
            return false;
        for (size_t k = 0; k < p->child_count; k++)
            if (gh_esp_number(&esp->policies, p->name, p->children[k].name) == UINT32_MAX)
                return false;
    }
    if (!make_room(esp))
        return false;
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct ike2_policy *p = config->policies[i];

        for (size_t k = 0; k < p->child_count; k++)
            esp->protects[gh_esp_number(&esp->policies, p->name, p->children[k].name)] =
                place_number(esp, gh_ike_private_zone(config, p));
    }
    return true;
}

/* One entry of the SPD for each child of ESP or AH: what its selectors say goes through it, or does
 * not go at all. All else that comes from the device has no policy, and is dropped. */
static void note_kernel(struct esp *esp, const struct ike2_policy *p,
                        const struct ike2_child_policy *child, const struct gh_ike_zone *zone,
                        struct gh_esp_spd *spd)
{
    const struct ipsec_policy policy = {.id = gh_esp_number(&esp->policies, p->name, child->name),
                                        .place = place_number(esp, zone),
                                        .action = IPSEC_PROTECT};

    if (policy.id != UINT32_MAX && policy.place != UINT32_MAX)
        gh_esp_spd_add(spd, SIZE_MAX, &policy, child);
}

static size_t make_policies(struct esp *esp, const struct gh_ike_config *config,
                            struct ipsec_policy *out, struct ipsec_selector *selectors,
                            struct gh_esp_spd *spd)
{
    size_t count = 0;

    for (size_t i = 0; i < config->policy_count; i++) {
        const struct ike2_policy *p = config->policies[i];
        const struct gh_ike_zone *zone = gh_ike_private_zone(config, p);

        for (size_t k = 0; k < p->child_count; k++) {
            const struct ike2_child_policy *child = &p->children[k];
            size_t n;

            if (child->mode == IKE2_TCP_AO)
                continue;
            if (child->kernel) {
                note_kernel(esp, p, child, zone, spd);
                continue;
            }
            n = gh_esp_selectors(&child->local, &child->remote, selectors);
            if (n == 0)
                continue;
            out[count++] =
                (struct ipsec_policy){.id = gh_esp_number(&esp->policies, p->name, child->name),
                                      .place = place_number(esp, zone),
                                      .action = IPSEC_PROTECT,
                                      .out = true,
                                      .in = true,
                                      .selectors = selectors,
                                      .selector_count = n};
            gh_esp_spd_add(spd, count - 1, &out[count - 1], child);
            selectors += n;
        }
    }
    return count;
}

static bool set_policies(struct esp *esp, const struct gh_ike_config *config)
{
    size_t children = 0, pairs = 0;
    struct gh_esp_spd spd = {.count = 0};
    struct ipsec_policy *policies;
    struct ipsec_selector *selectors;
    bool good;

    for (size_t i = 0; i < config->policy_count; i++) {
        children += config->policies[i]->child_count;
        for (size_t k = 0; k < config->policies[i]->child_count; k++)
            pairs += config->policies[i]->children[k].local.count *
                     config->policies[i]->children[k].remote.count;
    }
    policies = calloc(children + 1, sizeof(*policies));
    /* gh_esp_selectors() may look at a whole set */
    selectors = calloc(pairs + IPSEC_SELECTORS_MAX, sizeof(*selectors));
    good = policies != NULL && selectors != NULL &&
           ipsec_set_policies(esp->engine, policies,
                              make_policies(esp, config, policies, selectors, &spd));
    if (good) {
        gh_esp_spd_free(&esp->spd);
        esp->spd = spd;
    } else {
        gh_esp_spd_free(&spd);
    }
    free(policies);
    free(selectors);
    return good;
}

static bool configure(struct esp *esp, struct gh_rd *body, int fd)
{
    uint64_t len = gh_rd_u64(body);
    uint32_t generation = gh_rd_u32(body);
    void *data = len > 0 ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    struct gh_ike_config *config = NULL;
    uint8_t answer[5];
    struct gh_wr w = gh_wr_make(answer, sizeof(answer));
    bool good;

    close(fd);
    if (data != MAP_FAILED) {
        config = gh_ike_config_decode(gh_view_of(data, len));
        munmap(data, len);
    }
    good = config != NULL && set_places(esp, config) && set_policies(esp, config) &&
           gh_esp_kernel_configure(esp->kernel, config) &&
           gh_esp_path_configure(esp->path, config, &esp->policies, gh_clock_now().mono_ms) &&
           gh_esp_tunnels_configure(esp->tunnels, config, gh_clock_now().mono_ms);
    if (good)
        gh_esp_children_check(esp->children, fits, esp);
    gh_ike_config_free(config);
    if (good) {
        gh_esp_devices_keep(esp->devices, device_stays);
        gh_esp_devices_start(esp->devices);
        gh_esp_net_start(esp->net);
    }
    gh_wr_u32(&w, generation);
    gh_wr_u8(&w, good);
    return gh_channel_send(esp->parent, GH_MESSAGE_CONFIGURED, answer, w.len, -1);
}

/* ---- Control -------------------------------------------------------------------------------- */

static json_t *answer_request(struct esp *esp, const char *line, size_t len)
{
    const struct gh_esp_view view = {.engine = esp->engine,
                                     .children = esp->children,
                                     .net = esp->net,
                                     .waiting = esp->waiting,
                                     .kernel = gh_esp_kernel_counts(esp->kernel),
                                     .path = esp->path,
                                     .tunnels = esp->tunnels,
                                     .spd = &esp->spd,
                                     .policies = &esp->policies,
                                     .places = &esp->places};
    json_t *refusal, *request = gh_control_parse(line, len, &refusal), *answer;

    if (request == NULL)
        return refusal;
    answer = gh_esp_capture_is_op(gh_control_op(request))
                 ? gh_esp_capture_handle(esp->capture, gh_clock_now(), request)
                 : gh_esp_handle(&view, gh_clock_now(), request);
    json_decref(request);
    return answer;
}

static bool handle_request(struct esp *esp, struct gh_rd *body)
{
    const uint8_t *client = gh_rd_bytes(body, 4);
    size_t len = gh_rd_left(body), answer_len = 0;
    json_t *answer = answer_request(esp, (const char *)gh_rd_bytes(body, len), len);
    char *line = answer != NULL ? gh_control_line(answer, &answer_len) : NULL;
    uint8_t *message = line != NULL ? malloc(4 + answer_len) : NULL;

    if (message != NULL) {
        memcpy(message, client, 4);
        memcpy(message + 4, line, answer_len);
        gh_channel_send(esp->parent, GH_MESSAGE_ANSWER, message, 4 + answer_len, -1);
    }
    free(message);
    free(line);
    json_decref(answer);
    return message != NULL;
}

/* ---- The parent ----------------------------------------------------------------------------- */

static bool take_memory(struct esp *esp, struct gh_rd *body, int fd)
{
    bool good = gh_rd_u64(body) == gh_esp_children_memory() &&
                gh_esp_children_map(esp->children, fd, gh_clock_now().mono_ms);

    close(fd);
    return good && gh_channel_send(esp->parent, GH_MESSAGE_ESP_ROUTES_TOLD, NULL, 0, -1);
}

/* UINT32_MAX: no memory, or a bad body. */
static uint32_t get_place(struct esp *esp, struct gh_rd *body)
{
    char *netns = gh_get_text(body, false), *vrf = gh_get_text(body, false);
    uint32_t place = body->bad ? UINT32_MAX : gh_esp_number(&esp->places, netns, vrf);

    free(netns);
    free(vrf);
    return place;
}

static bool take_socket(struct esp *esp, struct gh_rd *body, int fd)
{
    uint32_t place = get_place(esp, body);
    uint8_t kind = gh_rd_u8(body);
    bool datagrams = gh_get_flag(body);

    if (body->bad || place == UINT32_MAX || kind >= GH_ESP_SOCKETS) {
        close(fd);
        return false;
    }
    if (kind >= GH_ESP_ICMP4)
        return gh_esp_raw_open(esp->raw, place, kind, fd);
    return gh_esp_net_open(esp->net, place, (enum gh_esp_socket)kind, fd, datagrams);
}

static bool leave_place(struct esp *esp, struct gh_rd *body)
{
    uint32_t place = get_place(esp, body);

    gh_esp_net_leave(esp->net, place);
    gh_esp_raw_leave(esp->raw, place);
    return true;
}

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct esp *esp = ctx;

    switch (frame->type) {
    case GH_MESSAGE_STATE:
        return take_memory(esp, &frame->body, fd);
    case GH_MESSAGE_CONFIG:
        return configure(esp, &frame->body, fd);
    case GH_MESSAGE_ESP_SOCKET:
        return take_socket(esp, &frame->body, fd);
    case GH_MESSAGE_ESP_PLACE_GONE:
        return leave_place(esp, &frame->body);
    case GH_MESSAGE_TUNNEL_DEVICE:
        return take_device(esp, &frame->body, fd);
    case GH_MESSAGE_TUNNEL_GONE:
        return lose_device(esp, &frame->body);
    case GH_MESSAGE_TUNNEL_REACH:
        return take_reach(esp, &frame->body);
    case GH_MESSAGE_CHILDREN:
        return open_keyer(esp, fd);
    case GH_MESSAGE_PLANE:
        return gh_esp_kernel_open(esp->kernel, fd);
    case GH_MESSAGE_REQUEST:
        return handle_request(esp, &frame->body);
    case GH_MESSAGE_PING:
        return gh_channel_send(esp->parent, GH_MESSAGE_PONG, NULL, 0, -1);
    default:
        if (fd >= 0)
            close(fd);
        return false;
    }
}

static void on_broken(void *ctx, const char *why)
{
    struct esp *esp = ctx;

    gh_notice("the parent: %s; ending", why);
    ipsec_free(esp->engine); /* wipes */
    _exit(0);
}

/* ---- Life ----------------------------------------------------------------------------------- */

/* libcrypto and the C library open files when they are first used; inside the sandbox they may
 * not. */
static void warm_up(void)
{
    tzset();
    json_object_seed(0);
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    for (unsigned enc = GH_ENC_DES; enc <= GH_ENC_CHACHA20_POLY1305; enc++)
        for (unsigned bits = 0; bits <= 256; bits += 64)
            if (gh_enc_known(enc, bits))
                gh_enc_available(enc, bits);
}

static bool make_cores(struct esp *esp)
{
    static const struct gh_esp_children_ops children_ops = {.used = on_used,
                                                            .missing = on_missing,
                                                            .came = on_came,
                                                            .gone = on_gone,
                                                            .changed = on_changed};
    static const struct gh_esp_reverse_ops reverse_ops = {.route = on_route};
    static const struct gh_esp_net_ops net_ops = {
        .stray = on_stray, .arrived = on_arrived, .passed = on_passed, .too_long = on_too_long};
    static const struct gh_esp_path_ops path_ops = {
        .random = path_random, .passed = path_passed, .send = path_send, .deliver = path_deliver};
    static const struct gh_esp_kernel_ops kernel_ops = {.again = on_again,
                                                        .refused = on_kernel_refused,
                                                        .worn = on_worn,
                                                        .came = on_kernel_came,
                                                        .moved = on_moved,
                                                        .wanted = on_wanted};
    const struct ipsec_setup setup = {.random = on_random, .event = on_event, .arg = esp};

    esp->engine = ipsec_new(&setup);
    if (esp->engine == NULL)
        return false;
    esp->children =
        gh_esp_children_new(esp->engine, &esp->policies, &esp->places, &children_ops, esp);
    esp->net = gh_esp_net_new(&esp->loop, esp->engine, &esp->outers, &net_ops, esp);
    esp->kernel = gh_esp_kernel_new(&esp->loop, &esp->policies, &kernel_ops, esp);
    esp->waiting = gh_esp_waiting_new();
    esp->reverse = gh_esp_reverse_new(&reverse_ops, esp);
    esp->raw = gh_esp_raw_new(&esp->loop, on_raw, esp);
    esp->capture = gh_esp_capture_new(esp->engine, &esp->policies, fits_plane, esp);
    if (esp->children == NULL || esp->net == NULL || esp->kernel == NULL || esp->waiting == NULL ||
        esp->reverse == NULL || esp->raw == NULL || esp->capture == NULL)
        return false;
    gh_esp_children_set_kernel(esp->children, gh_esp_kernel_plane(esp->kernel));
    esp->path = gh_esp_path_new(esp->engine, esp->children, &esp->outers, &path_ops, esp);
    return esp->path != NULL && make_tunnels(esp);
}

int gh_esp_main(uid_t uid, gid_t gid)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    static struct esp esp;

    /* The parent says when to end, by closing the channel. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "gatehoused-esp");
    warm_up();
    if (uv_loop_init(&esp.loop) != 0 || uv_timer_init(&esp.loop, &esp.timer) != 0 ||
        uv_timer_init(&esp.loop, &esp.release) != 0 || !make_cores(&esp))
        return 1;
    esp.timer.data = esp.release.data = &esp;
    if (!gh_sandbox_enter(GH_SANDBOX_ESP, uid, gid))
        return 1;
    esp.parent = gh_channel_new(&esp.loop, GH_CHILD_CHANNEL_FD, GH_TO_ESP, &ops, &esp);
    if (esp.parent == NULL || !gh_channel_send(esp.parent, GH_MESSAGE_READY, NULL, 0, -1))
        return 1;
    uv_timer_start(&esp.timer, on_timer, TICK_MS, TICK_MS);
    return uv_run(&esp.loop, UV_RUN_DEFAULT);
}
