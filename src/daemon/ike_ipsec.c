#include "daemon/ike_ipsec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config/ike_slots.h"
#include "crypto/hash.h"
#include "daemon/channel.h"
#include "daemon/esp_messages.h"
#include "daemon/ike_spread.h"
#include "ike/codes.h"
#include "platform/spi.h"

enum {
    MARK_WAIT_MS = 500,
    KERNEL_SLOT = 0 /* whose process tells the kernel's plane */
};

/* What is wanted of the IKE core. */
struct wish {
    struct wish *next;
    enum { ACQUIRE, USED, REKEY, REFUSED, STRANGER } kind;
    struct gh_esp_wanted wanted;
    struct gh_esp_stranger stranger;
    struct gh_esp_usage usage; /* id: of REKEY, too */
    struct gh_esp_refusal refusal;
};

/* The process of one slot. */
struct line {
    struct gh_ike_ipsec *owner;
    uint8_t slot;
    struct gh_channel *channel; /* NULL: it is away */
};

struct gh_ike_ipsec {
    uv_loop_t *loop;
    uint64_t epoch;
    const struct gh_ike_ipsec_ops *ops;
    void *ctx;
    struct line lines[GH_SPI_SLOTS];
    struct gh_ike_spread *spread;
    bool several; /* slots; else nobody asks which */
    struct wish *wishes, **end;
    bool unmarked;          /* the kernel is to have more than at the last mark */
    uint64_t mark, reached; /* the last that `esp` was asked for, and that it has answered */
    uint64_t marked_ms;     /* monotonic: when it was asked */
};

/* ---- Marks ---------------------------------------------------------------------------------- */

uint64_t gh_ike_ipsec_mark(const struct gh_ike_ipsec *g)
{
    return g->mark + (g->unmarked ? 1 : 0);
}

uint64_t gh_ike_ipsec_next_deadline(const struct gh_ike_ipsec *g)
{
    return g->reached < g->mark ? g->marked_ms + MARK_WAIT_MS : UINT64_MAX;
}

uint64_t gh_ike_ipsec_reached(const struct gh_ike_ipsec *g)
{
    return g->reached;
}

static void send_mark(struct gh_ike_ipsec *g, struct gh_now now)
{
    struct gh_channel *channel = g->lines[KERNEL_SLOT].channel;
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    g->unmarked = false;
    g->mark++;
    g->marked_ms = now.mono_ms;
    gh_wr_u64(&w, g->mark);
    if (channel == NULL || !gh_channel_send(channel, GH_MESSAGE_CHILD_MARK, body, w.len, -1))
        g->reached = g->mark;
}

static bool take_marked(struct gh_ike_ipsec *g, struct gh_rd *body)
{
    uint64_t mark = gh_rd_u64(body);

    if (mark > g->reached && mark <= g->mark)
        g->reached = mark;
    return true;
}

/* ---- What `esp` wants ----------------------------------------------------------------------- */

static struct wish *wish(struct gh_ike_ipsec *g, int kind)
{
    struct wish *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        gh_error("IPsec: no memory");
        return NULL;
    }
    w->kind = kind;
    *g->end = w;
    g->end = &w->next;
    return w;
}

static void tell_stranger(struct gh_ike_ipsec *g, struct gh_now now, struct ike2 *core,
                          const struct gh_esp_stranger *x)
{
    uint16_t zone = g->ops->zone(g->ctx, x->netns, x->vrf);
    uint8_t spi[4];
    struct gh_wr w = gh_wr_make(spi, sizeof(spi));

    gh_wr_u32(&w, x->spi);
    if (zone != UINT16_MAX)
        ike2_spi_unknown(core, now, zone, &x->local, &x->remote, spi);
}

static void grant(struct gh_ike_ipsec *g, struct gh_now now, struct ike2 *core)
{
    while (g->wishes != NULL) {
        struct wish *w = g->wishes;
        const struct gh_esp_usage *u = &w->usage;

        g->wishes = w->next;
        if (g->wishes == NULL)
            g->end = &g->wishes;
        if (w->kind == ACQUIRE) {
            ike2_acquire(core, now, w->wanted.peer, w->wanted.name, &w->wanted.local,
                         &w->wanted.remote);
        } else if (w->kind == USED) {
            ike2_child_used(core, now, u->id, u->octets, u->packets, u->incoming);
        } else if (w->kind == STRANGER) {
            tell_stranger(g, now, core, &w->stranger);
        } else if (w->kind == REKEY) {
            ike2_rekey_child(core, now, u->id);
        } else {
            ike2_child_refused(core, now, w->refusal.id, w->refusal.why);
        }
        free(w);
    }
}

void gh_ike_ipsec_settle(struct gh_ike_ipsec *g, struct gh_now now, struct ike2 *core)
{
    grant(g, now, core);
    if (now.mono_ms >= gh_ike_ipsec_next_deadline(g)) {
        gh_warning("IPsec: the kernel's plane has not answered for %d ms", MARK_WAIT_MS);
        g->reached = g->mark;
    }
    if (g->unmarked)
        send_mark(g, now);
    for (size_t i = 0; i < GH_SPI_SLOTS; i++)
        gh_channel_flush(g->lines[i].channel);
}

static bool take_number(struct gh_ike_ipsec *g, struct gh_rd *body, int kind)
{
    struct wish *w = wish(g, kind);

    if (w != NULL)
        w->usage.id = gh_rd_u32(body);
    return true;
}

static bool take_usage(struct gh_ike_ipsec *g, struct gh_rd *body)
{
    struct wish *w = wish(g, USED);

    return w == NULL || gh_esp_take_usage(body, &w->usage);
}

static bool take_refusal(struct gh_ike_ipsec *g, struct gh_rd *body)
{
    struct wish *w = wish(g, REFUSED);

    return w == NULL || gh_esp_take_refusal(body, &w->refusal);
}

static bool take_wanted(struct gh_ike_ipsec *g, struct gh_rd *body)
{
    struct wish *w = wish(g, ACQUIRE);

    return w == NULL || gh_esp_take_wanted(body, &w->wanted);
}

static bool take_stranger(struct gh_ike_ipsec *g, struct gh_rd *body)
{
    struct wish *w = wish(g, STRANGER);

    return w == NULL || gh_esp_take_stranger(body, &w->stranger);
}

/* Not from within the core: it is the loop that calls, or who reads this socket in between. */
static bool take_stray(struct gh_ike_ipsec *g, struct gh_rd *body)
{
    struct gh_esp_stray stray;

    if (!gh_esp_take_stray(body, &stray))
        return false;
    g->ops->stray(g->ctx, &stray);
    return true;
}

static uint64_t now_ms(void)
{
    return gh_clock_now().mono_ms;
}

static bool take_held(struct line *line, struct gh_rd *body)
{
    const uint32_t owner = gh_rd_u32(body);
    uint8_t number[4];
    struct gh_wr w = gh_wr_make(number, sizeof(number));
    struct gh_esp_child d;

    if (!gh_esp_take_child(body, &d))
        return false;
    gh_wr_u32(&w, owner);
    if (!gh_ike_spread_held(line->owner->spread, line->slot, owner, &d))
        gh_channel_send(line->channel, GH_MESSAGE_CHILD_YIELD, number, w.len, -1);
    return true;
}

static bool take_left(struct line *line, struct gh_rd *body)
{
    gh_ike_spread_left(line->owner->spread, line->slot, gh_rd_u32(body), now_ms());
    return true;
}

static bool hear(struct line *line, struct gh_frame *frame)
{
    struct gh_ike_ipsec *g = line->owner;

    switch (frame->type) {
    case GH_MESSAGE_CHILD_HELD:
        return take_held(line, &frame->body);
    case GH_MESSAGE_CHILD_LEFT:
        return take_left(line, &frame->body);
    case GH_MESSAGE_CHILD_USED:
        return take_usage(g, &frame->body);
    case GH_MESSAGE_CHILD_WANTED:
        return take_wanted(g, &frame->body);
    case GH_MESSAGE_CHILD_STRANGER:
        return take_stranger(g, &frame->body);
    case GH_MESSAGE_CHILD_WORN:
        return take_number(g, &frame->body, REKEY);
    case GH_MESSAGE_CHILD_STRAY:
        return take_stray(g, &frame->body);
    case GH_MESSAGE_CHILD_MARKED:
        return take_marked(g, &frame->body);
    case GH_MESSAGE_CHILD_REFUSED:
        return take_refusal(g, &frame->body);
    default:
        return false;
    }
}

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct line *line = ctx;
    bool good = hear(line, frame);

    line->owner->ops->stirred(line->owner->ctx);
    return good;
}

static void on_broken(void *ctx, const char *why)
{
    struct line *line = ctx;

    gh_notice("the IPsec engine, slot %u: %s", line->slot, why);
    gh_channel_close(line->channel);
    line->channel = NULL;
    gh_ike_spread_forget_held(line->owner->spread, line->slot, now_ms());
    if (line->slot == KERNEL_SLOT)
        line->owner->reached = line->owner->mark; /* nobody will answer */
}

/* ---- What `esp` is told --------------------------------------------------------------------- */

static bool carried(const struct ike2_child_view *c)
{
    return c->protocol == IKE_PROTO_ESP || c->protocol == IKE_PROTO_AH;
}

static uint32_t spi_of(struct gh_view spi)
{
    struct gh_rd r = gh_rd_make(spi.p, spi.len);

    return gh_rd_u32(&r);
}

/* Who carries it: its SPI says so, wherever its peer belongs by now. */
static struct line *line_of(struct gh_ike_ipsec *g, const struct ike2_child_view *c)
{
    return &g->lines[gh_spi_slot(spi_of(c->spi_in))];
}

static void name_ends(const struct ike2_child_view *c, struct gh_esp_ends *e)
{
    *e = (struct gh_esp_ends){.id = c->id, .local = c->local.addr, .remote = c->remote.addr};
    if (c->udp_encapsulation && c->protocol == IKE_PROTO_ESP) {
        e->local_port = c->local.port;
        e->remote_port = c->remote.port;
    }
}

/* Who proved nothing is told by its address. Gateways that stand in for each other are one peer,
 * whatever each is called. */
static bool name_tunnel(const struct ike2_policy *policy, const struct gh_identity *id,
                        const struct gh_addr *remote, uint8_t out[GH_ESP_TUNNEL])
{
    const bool known = id != NULL && id->type != GH_ID_NULL;
    const bool one = policy->backup_count > 0 || policy->redirects;
    const struct gh_view parts[] = {
        gh_view_of(policy->name, strlen(policy->name) + 1),
        known && !one ? gh_view_of(&id->type, 1) : gh_view_of("", 1),
        one     ? gh_view_of("", 0)
        : known ? gh_view_of(id->data, id->len)
                : gh_view_of(remote->octets, remote->len),
    };
    uint8_t digest[GH_HASH_MAX];

    if (!gh_hash(GH_HASH_SHA2_256, parts, sizeof(parts) / sizeof(parts[0]), digest))
        return false;
    memcpy(out, digest, GH_ESP_TUNNEL);
    return true;
}

static void name_peer(const struct ike2_child_view *c, char out[GH_ESP_WHO])
{
    char id[GH_ID_TEXT], addr[GH_ADDR_TEXT];

    gh_addr_format(&c->remote.addr, addr);
    if (c->remote_id != NULL && c->remote_id->type != GH_ID_NULL)
        snprintf(out, GH_ESP_WHO, "%.40s at %s", gh_identity_format(c->remote_id, id, sizeof(id)),
                 addr);
    else
        snprintf(out, GH_ESP_WHO, "%s", addr);
}

static bool describe(const struct ike2_child_view *c, const char *netns, const char *vrf,
                     struct gh_esp_child *out)
{
    const struct ike_transform *encr = ike_proposal_find(c->suite, IKE_T_ENCR);
    struct gh_esp_ends ends;

    name_ends(c, &ends);
    *out = (struct gh_esp_child){.id = c->id,
                                 .replaces = c->replaces,
                                 .initiator = c->initiator,
                                 .protocol = c->protocol == IKE_PROTO_AH ? IPSEC_AH : IPSEC_ESP,
                                 .mode = c->mode == IKE2_TRANSPORT ? IPSEC_TRANSPORT : IPSEC_TUNNEL,
                                 .spi_in = spi_of(c->spi_in),
                                 .spi_out = spi_of(c->spi_out),
                                 .enc = encr != NULL ? (enum gh_enc_alg)encr->id : GH_ENC_NULL,
                                 .enc_bits = encr != NULL ? encr->key_bits : 0,
                                 .integ = (enum gh_integ_alg)ike_proposal_id(c->suite, IKE_T_INTEG),
                                 .follows = c->follows,
                                 /* as it was when the peer was told of the SPI */
                                 .kernel = (spi_of(c->spi_in) & GH_SPI_KERNEL) != 0,
                                 .esn = ike_proposal_id(c->suite, IKE_T_SN) == 1,
                                 .local = ends.local,
                                 .remote = ends.remote,
                                 .local_port = ends.local_port,
                                 .remote_port = ends.remote_port,
                                 .seconds = c->lifetime.seconds,
                                 .octets = c->lifetime.octets,
                                 .packets = c->lifetime.packets,
                                 .icmp_header = c->child->icmp_header,
                                 .fragments_also = c->fragments_also,
                                 .ts_local = *c->ts_local,
                                 .ts_remote = *c->ts_remote,
                                 .reverse = c->child->reverse_route,
                                 .overlap = c->child->route_overlap,
                                 .metric = c->child->route_metric,
                                 .traffic = c->child->traffic,
                                 .key_in = c->key_in,
                                 .key_out = c->key_out};
    if (c->no_tfc)
        out->traffic.tfc = 0;
    if (!name_tunnel(c->policy, c->remote_id, &c->remote.addr, out->tunnel))
        return false;
    name_peer(c, out->who);
    snprintf(out->peer, sizeof(out->peer), "%s", c->policy->name);
    snprintf(out->name, sizeof(out->name), "%s", c->child->name);
    return snprintf(out->netns, sizeof(out->netns), "%s", netns != NULL ? netns : "") <
               (int)sizeof(out->netns) &&
           snprintf(out->vrf, sizeof(out->vrf), "%s", vrf != NULL ? vrf : "") <
               (int)sizeof(out->vrf);
}

uint8_t gh_ike_ipsec_slot(struct gh_ike_ipsec *g, const struct ike2_spi_wish *w, uint64_t now_ms)
{
    uint8_t tunnel[GH_ESP_TUNNEL];
    uint32_t ready = 0;

    if (w->child->kernel || !gh_ike_is_spread(w->policy) ||
        !name_tunnel(w->policy, w->remote_id, w->remote, tunnel))
        return w->child->slot;
    for (size_t i = 0; i < GH_SPI_SLOTS; i++)
        ready |= (uint32_t)(g->lines[i].channel != NULL) << i;
    return gh_ike_spread_choose(g->spread, tunnel, w->replaces, w->child->slot, w->child->last_slot,
                                ready, now_ms);
}

void gh_ike_ipsec_configure(struct gh_ike_ipsec *g, struct ike2_policy *const *policies,
                            size_t count)
{
    for (size_t i = 0; i < count; i++)
        g->several |= gh_ike_is_spread(policies[i]);
    gh_ike_spread_configure(g->spread, policies, count);
}

size_t gh_ike_ipsec_clients(struct gh_ike_ipsec *g, uint8_t slot)
{
    return gh_ike_spread_count(g->spread, slot, now_ms());
}

/* False: refused; the core hears so as it does of `esp`'s refusals, when it has told the peer of
 * the child. */
static bool may_come(struct gh_ike_ipsec *g, uint8_t slot, const struct gh_esp_child *child)
{
    struct gh_esp_refusal x = {.id = child->id};
    struct wish *w;

    if (!g->several || gh_ike_spread_come(g->spread, slot, child, x.why))
        return true;
    gh_warning("%s: the child %s is refused: %s", child->peer, child->name, x.why);
    w = wish(g, REFUSED);
    if (w != NULL)
        w->refusal = x;
    return false;
}

bool gh_ike_ipsec_install(struct gh_ike_ipsec *g, const struct ike2_child_view *c,
                          const char *netns, const char *vrf)
{
    uint8_t body[GH_ESP_CHILD_MAX];
    struct gh_wr w = gh_wr_make(body, sizeof(body));
    struct gh_channel *channel = line_of(g, c)->channel;
    struct gh_esp_child child;
    bool good = channel != NULL && carried(c) && describe(c, netns, vrf, &child);

    if (good && may_come(g, line_of(g, c)->slot, &child)) {
        gh_esp_put_child(&w, &child);
        good = gh_wr_ok(&w) && gh_channel_send(channel, GH_MESSAGE_CHILD_INSTALL, body, w.len, -1);
        gh_wipe(body, sizeof(body));
        if (!good)
            gh_ike_spread_go(g->spread, c->id, now_ms());
        g->unmarked = g->unmarked || (good && child.kernel);
    }
    return good;
}

void gh_ike_ipsec_update(struct gh_ike_ipsec *g, const struct ike2_child_view *c)
{
    uint8_t body[64];
    struct gh_wr w = gh_wr_make(body, sizeof(body));
    struct gh_esp_ends ends;

    if (!carried(c) || line_of(g, c)->channel == NULL)
        return;
    name_ends(c, &ends);
    gh_esp_put_ends(&w, &ends);
    if (gh_wr_ok(&w))
        gh_channel_send(line_of(g, c)->channel, GH_MESSAGE_CHILD_MOVE, body, w.len, -1);
}

/* Whoever has it knows it by its number. */
void gh_ike_ipsec_remove(struct gh_ike_ipsec *g, uint32_t id, enum ike2_removal why)
{
    uint8_t body[5];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u32(&w, id);
    gh_wr_u8(&w, why);
    gh_ike_spread_go(g->spread, id, now_ms());
    for (size_t i = 0; i < GH_SPI_SLOTS; i++)
        if (g->lines[i].channel != NULL)
            gh_channel_send(g->lines[i].channel, GH_MESSAGE_CHILD_REMOVE, body, w.len, -1);
}

/* ---- The socket ----------------------------------------------------------------------------- */

struct listing {
    const struct ike2 *core;
    struct line *line;
    struct gh_wr w;
    uint32_t count;
};

static void list_child(void *ctx, const struct ike2_child_view *c)
{
    struct listing *l = ctx;

    if (!carried(c) || line_of(l->line->owner, c) != l->line)
        return;
    gh_wr_u32(&l->w, c->id);
    l->count++;
}

static void list_sa(void *ctx, const struct ike2_sa_view *v)
{
    struct listing *l = ctx;

    ike2_each_child(l->core, v->id, list_child, l);
}

/* Who we are, and which children of its slot we have: of those that `esp` has besides, it was not
 * told the end.
 */
static bool say_hello(struct line *line, const struct ike2 *core)
{
    struct listing l = {.core = core, .line = line};
    uint8_t *body = malloc(GH_ESP_HELLO_MAX);
    bool good;

    l.w = gh_wr_make(body, body != NULL ? GH_ESP_HELLO_MAX : 0);
    gh_wr_u64(&l.w, line->owner->epoch);
    gh_wr_u32(&l.w, 0);
    if (core != NULL)
        ike2_each_sa(core, list_sa, &l);
    gh_wr_put_u32(&l.w, sizeof(uint64_t), l.count);
    good =
        gh_wr_ok(&l.w) && gh_channel_send(line->channel, GH_MESSAGE_CHILD_HELLO, body, l.w.len, -1);
    free(body);
    return good;
}

struct updating {
    struct line *line;
    const struct ike2 *core;
};

static void update_child(void *ctx, const struct ike2_child_view *c)
{
    struct line *line = ctx;

    if (carried(c) && line_of(line->owner, c) == line)
        gh_ike_ipsec_update(line->owner, c);
}

static void update_sa(void *ctx, const struct ike2_sa_view *v)
{
    const struct updating *u = ctx;

    ike2_each_child(u->core, v->id, update_child, u->line);
}

bool gh_ike_ipsec_open(struct gh_ike_ipsec *g, uint8_t slot, int fd, const struct ike2 *core)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    struct line *line = slot < GH_SPI_SLOTS ? &g->lines[slot] : NULL;

    if (line == NULL) {
        close(fd);
        return false;
    }
    gh_channel_close(line->channel);
    gh_ike_spread_forget_held(g->spread, slot, now_ms());
    g->several |= slot > 0;
    if (slot == KERNEL_SLOT)
        g->reached = g->mark;
    line->channel = gh_channel_new(g->loop, fd, GH_TO_KEYER, &ops, line);
    if (line->channel == NULL || !say_hello(line, core))
        gh_error("no memory for the socket of the IPsec engine");
    else
        gh_channel_hold(line->channel);
    if (core != NULL) /* where they are by now */
        ike2_each_sa(core, update_sa, &(struct updating){line, core});
    gh_channel_flush(line->channel);
    return true;
}

struct gh_ike_ipsec *gh_ike_ipsec_new(uv_loop_t *loop, uint64_t epoch,
                                      const struct gh_ike_ipsec_ops *ops, void *ctx)
{
    struct gh_ike_ipsec *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->loop = loop;
    g->epoch = epoch;
    g->ops = ops;
    g->ctx = ctx;
    g->end = &g->wishes;
    g->spread = gh_ike_spread_new();
    if (g->spread == NULL) {
        free(g);
        return NULL;
    }
    for (uint8_t i = 0; i < GH_SPI_SLOTS; i++)
        g->lines[i] = (struct line){.owner = g, .slot = i};
    return g;
}
