#include "daemon/esp_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "platform/spi.h"

enum {
    STRAYS_WAITING = 1048576, /* octets to `ike`; what comes then is lost */
    WANTED_MS = 1000          /* at most one call for SAs of one policy in so long */
};

static void tell_keyer(struct gh_esp *esp, enum gh_message type, const struct gh_wr *w)
{
    if (esp->keyer != NULL && gh_wr_ok(w))
        gh_channel_send(esp->keyer, type, w->base, w->len, -1);
}

static void tell_number(struct gh_esp *esp, enum gh_message type, uint32_t id)
{
    uint8_t body[4];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u32(&w, id);
    tell_keyer(esp, type, &w);
}

static void tell_refused(struct gh_esp *esp, uint32_t id, const char *why)
{
    struct gh_esp_refusal x = {.id = id};
    uint8_t body[sizeof(x)];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    snprintf(x.why, sizeof(x.why), "%s", why);
    gh_esp_put_refusal(&w, &x);
    tell_keyer(esp, GH_MESSAGE_CHILD_REFUSED, &w);
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
static bool may_want(struct gh_esp *esp, uint32_t policy)
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

void gh_esp_keyer_want(struct gh_esp *esp, uint32_t policy, const struct ipsec_flow *flow)
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

void gh_esp_keyer_strangers(struct gh_esp *esp, const struct ipsec_packet *packets, size_t count)
{
    struct gh_esp_stranger x;
    uint8_t body[512];

    for (size_t i = 0; i < count; i++) {
        struct gh_wr w = gh_wr_make(body, sizeof(body));

        if (packets[i].result != IPSEC_UNKNOWN_SPI || packets[i].place >= esp->places.count ||
            !gh_esp_stranger(&esp->strangers, &packets[i], gh_clock_now().mono_ms, &x))
            continue;
        if (gh_spi_slot(x.spi) != esp->slot && gh_spi_slot(x.spi) < esp->slots)
            continue; /* another process's, which came in one train with ours */
        snprintf(x.netns, sizeof(x.netns), "%s", esp->places.list[packets[i].place].first);
        snprintf(x.vrf, sizeof(x.vrf), "%s", esp->places.list[packets[i].place].second);
        gh_esp_put_stranger(&w, &x);
        tell_keyer(esp, GH_MESSAGE_CHILD_STRANGER, &w);
    }
}

void gh_esp_keyer_stray(void *ctx, const struct gh_esp_net_stray *x)
{
    struct gh_esp *esp = ctx;
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

static void on_again(void *ctx)
{
    struct gh_esp *esp = ctx;

    gh_esp_children_again(esp->children);
}

static void on_kernel_refused(void *ctx, uint64_t sa, const char *why)
{
    struct gh_esp *esp = ctx;
    struct gh_esp_child child;
    uint32_t id;

    if (!gh_esp_children_fail(esp->children, sa, &id, &child))
        return;
    gh_error("%s: the kernel does not carry the child %s: %s", child.peer, child.name, why);
    if (id != 0)
        tell_refused(esp, id, why);
}

void gh_esp_keyer_worn(void *ctx, uint64_t sa)
{
    struct gh_esp *esp = ctx;
    uint32_t id;

    if (gh_esp_children_id(esp->children, sa, &id))
        tell_number(esp, GH_MESSAGE_CHILD_WORN, id);
}

static void on_kernel_came(void *ctx, uint64_t sa)
{
    struct gh_esp *esp = ctx;

    gh_esp_children_came(esp->children, sa);
}

static void on_marked(void *ctx, uint64_t mark)
{
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u64(&w, mark);
    tell_keyer(ctx, GH_MESSAGE_CHILD_MARKED, &w);
}

static void on_moved(void *ctx, uint64_t sa, const struct gh_addr *from, uint16_t from_port)
{
    struct gh_esp *esp = ctx;

    gh_esp_children_moved(esp->children, sa, from, from_port);
}

static void on_wanted(void *ctx, uint32_t policy, const struct ipsec_flow *flow)
{
    gh_esp_keyer_want(ctx, policy, flow);
}

bool gh_esp_fits_plane(void *ctx, uint32_t policy, bool kernel)
{
    struct gh_esp *esp = ctx;

    return gh_esp_kernel_has(esp->kernel, policy) == kernel;
}

static void on_used(void *ctx, const struct gh_esp_usage *u)
{
    uint8_t body[32];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_esp_put_usage(&w, u);
    tell_keyer(ctx, GH_MESSAGE_CHILD_USED, &w);
}

static void on_missing(void *ctx, uint32_t id)
{
    tell_refused(ctx, id, "the IPsec engine does not have it any more");
}

static void on_used_up(void *ctx, uint32_t id)
{
    tell_refused(ctx, id, "its lifetime of octets or packets is over");
}

static bool on_came(void *ctx, uint32_t owner, const struct gh_esp_child *d)
{
    struct gh_esp *esp = ctx;

    if (gh_esp_claims_take(&esp->claims, owner, gh_esp_number(&esp->places, d->netns, d->vrf),
                           gh_esp_number(&esp->policies, d->peer, d->name), d, esp->why))
        return true;
    gh_warning("%s: the child %s is refused: %s", d->peer, d->name, esp->why);
    return false;
}

static void on_gone(void *ctx, uint32_t owner, const struct gh_esp_child *d)
{
    struct gh_esp *esp = ctx;

    gh_esp_claims_release(&esp->claims, owner, gh_esp_number(&esp->places, d->netns, d->vrf), d);
    gh_esp_held_gone(esp, owner);
}

static void on_route(void *ctx, uint32_t place, const struct gh_esp_route_wish *wish)
{
    struct gh_esp *esp = ctx;
    const struct gh_esp_name *name = &esp->places.list[place];
    uint8_t body[512];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_esp_put_route(&w, name->first, name->second, wish);
    if (gh_wr_ok(&w))
        gh_channel_send(esp->parent, GH_MESSAGE_ESP_ROUTE, body, w.len, -1);
}

static bool install(struct gh_esp *esp, struct gh_rd *body)
{
    bool refused;
    uint32_t id;

    snprintf(esp->why, sizeof(esp->why), "the IPsec engine does not take it");
    if (!gh_esp_children_install(esp->children, body, gh_clock_now().mono_ms, &id, &refused))
        return false;
    if (!refused && !gh_esp_children_check_one(esp->children, id, gh_esp_fits, esp)) {
        snprintf(esp->why, sizeof(esp->why), "it is another data plane's by now");
        refused = true;
    }
    if (refused)
        tell_refused(esp, id, esp->why);
    else
        gh_esp_packets_release(esp, id);
    return true;
}

static bool hello(struct gh_esp *esp, struct gh_rd *body)
{
    if (!gh_esp_children_hello(esp->children, body))
        return false;
    gh_esp_held_tell(esp);
    return true;
}

static bool on_keyer_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct gh_esp *esp = ctx;
    uint64_t now = gh_clock_now().mono_ms;

    switch (frame->type) {
    case GH_MESSAGE_CHILD_HELLO:
        return hello(esp, &frame->body);
    case GH_MESSAGE_CHILD_INSTALL:
        return install(esp, &frame->body);
    case GH_MESSAGE_CHILD_MOVE:
        return gh_esp_children_move(esp->children, &frame->body);
    case GH_MESSAGE_CHILD_REMOVE:
        return gh_esp_children_remove(esp->children, &frame->body, now);
    case GH_MESSAGE_CHILD_YIELD:
        gh_esp_children_yield(esp->children, gh_rd_u32(&frame->body));
        return true;
    case GH_MESSAGE_CHILD_MARK: /* the engine has it already */
        gh_esp_kernel_mark(esp->kernel, gh_rd_u64(&frame->body));
        return true;
    default:
        return false;
    }
}

static void on_keyer_broken(void *ctx, const char *why)
{
    struct gh_esp *esp = ctx;

    gh_notice("ike: %s; its Child SAs go on", why);
    gh_channel_close(esp->keyer);
    esp->keyer = NULL;
}

bool gh_esp_keyer_open(struct gh_esp *esp, int fd)
{
    static const struct gh_channel_ops ops = {.message = on_keyer_message,
                                              .broken = on_keyer_broken};

    gh_channel_close(esp->keyer);
    esp->keyer = gh_channel_new(&esp->loop, fd, GH_TO_CARRIER, &ops, esp);
    return esp->keyer != NULL;
}

bool gh_esp_keyer_make(struct gh_esp *esp)
{
    static const struct gh_esp_children_ops children_ops = {.used = on_used,
                                                            .missing = on_missing,
                                                            .used_up = on_used_up,
                                                            .came = on_came,
                                                            .gone = on_gone,
                                                            .changed = gh_esp_packets_changed};
    static const struct gh_esp_reverse_ops reverse_ops = {.route = on_route};
    static const struct gh_esp_kernel_ops kernel_ops = {.again = on_again,
                                                        .refused = on_kernel_refused,
                                                        .worn = gh_esp_keyer_worn,
                                                        .came = on_kernel_came,
                                                        .moved = on_moved,
                                                        .wanted = on_wanted,
                                                        .marked = on_marked};

    esp->children =
        gh_esp_children_new(esp->engine, &esp->policies, &esp->places, &children_ops, esp);
    esp->kernel = gh_esp_kernel_new(&esp->loop, &esp->policies, &kernel_ops, esp);
    if (esp->children == NULL || esp->kernel == NULL ||
        !gh_esp_claims_init(&esp->claims, &reverse_ops, esp))
        return false;
    gh_esp_children_set_kernel(esp->children, gh_esp_kernel_plane(esp->kernel));
    return true;
}
