#include "daemon/ike.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/log.h"
#include "base/secret.h"
#include "config/ike.h"
#include "config/octets.h"
#include "control/control.h"
#include "control/ike.h"
#include "crypto/cipher.h"
#include "crypto/ke.h"
#include "crypto/prf.h"
#include "daemon/channel.h"
#include "daemon/child.h"
#include "daemon/esp_keys.h"
#include "daemon/esp_messages.h"
#include "daemon/ike_desk.h"
#include "daemon/ike_gatekeeper.h"
#include "daemon/ike_ipsec.h"
#include "daemon/ike_orders.h"
#include "daemon/ike_places.h"
#include "daemon/ike_udp.h"
#include "daemon/randomness.h"
#include "daemon/sandbox.h"
#include "wire/wr.h"

enum {
    EVENTS_WAITING = 4 * 1048576, /* octets for the parent: beyond, events are not told */
    TICK_MAX = 3600 * 1000,
    LINES_A_SECOND = 50, /* of the log: strangers can make events */
    GROUP_MAX = 37       /* the last that crypto/ke.h knows */
};

/* A configuration that was replaced; SAs of it may go on. */
struct past {
    struct past *next;
    struct gh_ike_config *config;
};

struct socket {
    uint16_t zone;
    uint16_t port;
    bool v6;
    int error;              /* why there is none; 0: not heard of yet */
    struct gh_ike_udp *udp; /* NULL: none */
};

struct ike {
    uv_loop_t loop;
    uv_timer_t timer;
    uv_prepare_t prepare;
    bool unsettled; /* the core was called: see settle() */
    struct gh_channel *parent;
    bool monitored;    /* somebody wants to be told of events */
    struct gh_now now; /* frozen for a batch of datagrams */
    struct gh_random random;
    struct ike2 *core; /* NULL before the first configuration */
    struct gh_ike_config *config;
    struct past *past;
    struct gh_ike_notes *notes;
    struct gh_ike_desk *desk;
    struct gh_ike_gatekeeper *gatekeeper;
    struct gh_ike_ipsec *ipsec;
    int key_logs[GH_KEY_LOGS];      /* -1: keys are told to nobody */
    int next_key_logs[GH_KEY_LOGS]; /* from the next configuration on */
    uint8_t crash_secret[IKE2_CRASH_SECRET];
    bool has_crash_secret;
    void *tickets, *next_tickets; /* memory of the parent's; NULL: none */
    uint8_t *orders;              /* of the `ike` before, until there is a core */
    size_t orders_len;
    struct gh_ike_batch *batch;
    struct gh_ike_places *places;
    struct socket *sockets;
    size_t socket_count;
    uint64_t udp[GH_IKE_UDP_COUNT];
    uint64_t log_second; /* monotonic */
    unsigned log_lines, log_left_out;
};

/* ---- After each call of the core ------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer);

static void forget_past(struct ike *ike)
{
    struct past **at = &ike->past;

    while (*at != NULL) {
        struct past *p = *at;

        if (!gh_ike_config_idle(p->config)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        gh_ike_config_free(p->config);
        free(p);
    }
}

/* Sends what the core said, and sets the timer by it. */
static void settle_now(struct ike *ike)
{
    struct gh_now at = gh_clock_now();
    uint64_t deadline, gatekeeper, now = at.mono_ms, wait;

    gh_ike_gatekeeper_settle(ike->gatekeeper, at, ike->core);
    gh_ike_ipsec_settle(ike->ipsec, at, ike->core);
    deadline = ike2_next_deadline(ike->core);
    gatekeeper = gh_ike_gatekeeper_next_deadline(ike->gatekeeper);
    if (gatekeeper < deadline)
        deadline = gatekeeper;
    wait = deadline > now ? deadline - now : 0;
    for (size_t i = 0; i < ike->socket_count; i++)
        if (ike->sockets[i].udp != NULL)
            gh_ike_udp_flush(ike->sockets[i].udp);
    uv_timer_start(&ike->timer, on_timer, wait < TICK_MAX ? wait : TICK_MAX, 0);
    ike->unsettled = false;
}

/* Once for all that one turn of the loop brings: datagrams, answers, the timer. */
static void settle(struct ike *ike)
{
    ike->unsettled = true;
}

/* The loop is about to wait. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct ike *ike = prepare->data;

    if (ike->unsettled)
        settle_now(ike);
    gh_ike_desk_flush(ike->desk);
    gh_channel_flush(ike->parent);
}

static void on_timer(uv_timer_t *timer)
{
    struct ike *ike = timer->data;

    ike2_tick(ike->core, gh_clock_now());
    gh_ike_notes_look(ike->notes, ike->core);
    forget_past(ike);
    settle(ike);
}

/* ---- What the core asks for ----------------------------------------------------------------- */

static void core_random(void *ctx, void *out, size_t len)
{
    struct ike *ike = ctx;

    gh_random_take(&ike->random, out, len);
}

static void core_send(void *ctx, const struct ike2_datagram *d)
{
    struct ike *ike = ctx;

    for (size_t i = 0; i < ike->socket_count; i++) {
        struct socket *s = &ike->sockets[i];

        if (s->udp != NULL && s->zone == d->local.zone && s->port == d->local.port &&
            s->v6 == (d->remote.addr.len == 16)) {
            gh_ike_udp_send(s->udp, d);
            return;
        }
    }
    ike->udp[GH_IKE_UDP_NO_SOCKET]++;
}

static bool core_ask(void *ctx, const struct gh_keeper_request *r)
{
    struct ike *ike = ctx;

    return gh_ike_desk_ask(ike->desk, ike, r);
}

/* One write a line, so that lines of several processes do not mix. */
static void write_keys(int fd, const char *line)
{
    struct iovec parts[] = {{.iov_base = (void *)(uintptr_t)line, .iov_len = strlen(line)},
                            {.iov_base = (void *)(uintptr_t) "\n", .iov_len = 1}};

    if (fd >= 0 && writev(fd, parts, 2) < 0)
        gh_warning("the key log: %s", strerror(errno));
}

static void core_key_log(void *ctx, const char *line)
{
    struct ike *ike = ctx;

    write_keys(ike->key_logs[GH_KEY_LOG_IKE], line);
}

static void log_child_keys(struct ike *ike, const struct ike2_child_view *c)
{
    char line[GH_ESP_KEYS_LINE];

    for (int out = 0; ike->key_logs[GH_KEY_LOG_ESP] >= 0 && out < 2; out++)
        if (gh_esp_keys_line(c, out == 1, line))
            write_keys(ike->key_logs[GH_KEY_LOG_ESP], line);
    gh_wipe(line, sizeof(line));
}

static bool core_child_install(void *ctx, const struct ike2_child_view *c)
{
    struct ike *ike = ctx;
    uint16_t zone = c->policy->private_zone > 0 ? c->policy->private_zone : c->local.zone;

    if (c->mode == IKE2_TCP_AO)
        return gk_child_installed(gh_ike_gatekeeper_core(ike->gatekeeper), ike->now, c);
    log_child_keys(ike, c);
    return gh_ike_ipsec_install(ike->ipsec, c, gh_ike_place_netns(ike->places, zone),
                                gh_ike_place_vrf(ike->places, zone));
}

static void core_child_remove(void *ctx, uint32_t id, enum ike2_removal why)
{
    struct ike *ike = ctx;

    if (!gk_child_removed(gh_ike_gatekeeper_core(ike->gatekeeper), ike->now, id, why))
        gh_ike_ipsec_remove(ike->ipsec, id, why);
}

static bool core_child_spi(void *ctx, const struct ike2_child_policy *p, uint8_t *spi, size_t len)
{
    struct ike *ike = ctx;

    if (p->mode == IKE2_TCP_AO)
        return gk_child_spi(gh_ike_gatekeeper_core(ike->gatekeeper), ike->now, p->name, spi);
    do
        core_random(ctx, spi, len);
    while (spi[0] == 0 && spi[1] == 0 && spi[2] == 0); /* 0 … 255 are reserved */
    gh_esp_mark_spi(spi, p->kernel);
    return true;
}

static enum ike2_way core_source(void *ctx, uint16_t zone, const struct gh_addr *remote,
                                 struct gh_addr *out)
{
    struct ike *ike = ctx;

    return gh_ike_way(ike->places, zone, remote, out, NULL);
}

static const struct gh_addr *core_addresses(void *ctx, uint16_t zone, size_t *count, size_t *fit)
{
    struct ike *ike = ctx;

    return gh_ike_place_list(ike->places, zone, count, fit);
}

static void core_event(void *ctx, const struct ike2_event *e);

static void core_child_update(void *ctx, const struct ike2_child_view *c)
{
    struct ike *ike = ctx;
    char here[GH_ADDR_TEXT], there[GH_ADDR_TEXT], text[2 * GH_ADDR_TEXT + 80];
    const struct ike2_event e = {.kind = IKE2_EVENT_CHILD_MOVED,
                                 .policy = c->policy->name,
                                 .sa = c->sa,
                                 .child = c->id,
                                 .remote = &c->remote,
                                 .text = text};

    snprintf(text, sizeof(text), "from %s port %u to %s port %u%s",
             gh_addr_format(&c->local.addr, here), c->local.port,
             gh_addr_format(&c->remote.addr, there), c->remote.port,
             c->udp_encapsulation ? ", in UDP" : "");
    gh_ike_ipsec_update(ike->ipsec, c);
    core_event(ctx, &e);
}

static enum gh_log_level level_of(enum ike2_event_kind kind)
{
    switch (kind) {
    case IKE2_EVENT_SA_FAILED:
    case IKE2_EVENT_CHILD_FAILED:
    case IKE2_EVENT_NOT_MOVED:
    case IKE2_EVENT_GATEWAY:
    case IKE2_EVENT_LIMIT:
        return GH_LOG_WARNING;
    case IKE2_EVENT_SA_BEGUN:
    case IKE2_EVENT_CHILD_REKEYED:
    case IKE2_EVENT_SA_REKEYED:
        return GH_LOG_INFO;
    case IKE2_EVENT_STORY:
        return GH_LOG_DEBUG;
    default:
        return GH_LOG_NOTICE;
    }
}

static bool may_log(struct ike *ike)
{
    uint64_t second = ike->now.mono_ms / 1000;

    if (second != ike->log_second) {
        if (ike->log_left_out > 0)
            gh_warning("%u events more, in one second, are not in the log", ike->log_left_out);
        ike->log_second = second;
        ike->log_lines = ike->log_left_out = 0;
    }
    if (ike->log_lines == LINES_A_SECOND) {
        ike->log_left_out++;
        return false;
    }
    ike->log_lines++;
    return true;
}

static bool core_reads(void *ctx, enum ike2_event_kind kind)
{
    const struct ike *ike = ctx;

    if (ike->monitored || kind == IKE2_EVENT_GATEWAY || kind == IKE2_EVENT_SA_FAILED ||
        kind == IKE2_EVENT_CHILD_FAILED)
        return true; /* failures are for `show` and `explain`, too */
    return gh_log_wants(level_of(kind)) &&
           (kind == IKE2_EVENT_STORY || ike->log_lines < LINES_A_SECOND ||
            ike->log_second != ike->now.mono_ms / 1000);
}

static void log_event(struct ike *ike, const struct ike2_event *e)
{
    char remote[GH_ADDR_TEXT] = "";

    if (e->kind != IKE2_EVENT_STORY && !may_log(ike))
        return;
    if (e->remote != NULL)
        gh_addr_format(&e->remote->addr, remote);
    gh_log(level_of(e->kind), "%s%s%s%s%s: %s", e->policy,
           e->policy[0] != '\0' && remote[0] != '\0' ? " " : "", remote,
           e->policy[0] != '\0' || remote[0] != '\0' ? ": " : "", ike2_event_name(e->kind),
           e->text);
}

static void core_event(void *ctx, const struct ike2_event *e)
{
    struct ike *ike = ctx;
    json_t *object = ike->monitored ? gh_ike_event_json(e, ike->now) : NULL;
    size_t len = 0;
    char *line = object != NULL ? gh_control_line(object, &len) : NULL;

    log_event(ike, e);
    if (e->kind == IKE2_EVENT_SA_FAILED || e->kind == IKE2_EVENT_CHILD_FAILED)
        gk_failed(gh_ike_gatekeeper_core(ike->gatekeeper), ike->now, e->policy, e->text);
    gh_ike_notes_event(ike->notes, e, ike->now);
    if (line != NULL && ike->parent->out_len < EVENTS_WAITING)
        gh_channel_send(ike->parent, GH_MESSAGE_EVENT, line, len, -1);
    free(line);
    json_decref(object);
}

static bool take_key_log(struct ike *ike, struct gh_rd *body, int fd)
{
    const uint8_t which = gh_rd_u8(body);

    if (which >= GH_KEY_LOGS) {
        close(fd);
        return false;
    }
    if (ike->next_key_logs[which] >= 0)
        close(ike->next_key_logs[which]);
    ike->next_key_logs[which] = fd;
    return true;
}

/* The configuration that it came with counts. */
static void use_key_logs(struct ike *ike)
{
    for (int i = 0; i < GH_KEY_LOGS; i++) {
        if (ike->key_logs[i] >= 0)
            close(ike->key_logs[i]);
        ike->key_logs[i] = ike->next_key_logs[i];
        ike->next_key_logs[i] = -1;
    }
    ike2_set_key_log(ike->core, ike->key_logs[GH_KEY_LOG_IKE] >= 0 ? core_key_log : NULL);
}

static bool take_crash_secret(struct ike *ike, struct gh_rd *body)
{
    gh_rd_copy(body, ike->crash_secret, sizeof(ike->crash_secret));
    ike->has_crash_secret = true;
    return true;
}

static bool take_orders(struct ike *ike, struct gh_rd *body)
{
    size_t len = gh_rd_left(body);

    if (ike->core != NULL)
        return false;
    free(ike->orders);
    ike->orders = malloc(len + 1);
    ike->orders_len = ike->orders != NULL ? len : 0;
    gh_rd_copy(body, ike->orders, ike->orders_len);
    return true;
}

static void use_orders(struct ike *ike)
{
    if (ike->orders != NULL &&
        !gh_ike_orders_take(ike->core, gh_view_of(ike->orders, ike->orders_len)))
        gh_error("orders of what is to be down could not be taken over");
    free(ike->orders);
    ike->orders = NULL;
}

/* For the next one. */
static void keep_orders(struct ike *ike)
{
    size_t len = 0;
    uint8_t *octets = gh_ike_orders_encode(ike->core, &len);

    if (octets != NULL)
        gh_channel_send(ike->parent, GH_MESSAGE_IKE_ORDERS, octets, len, -1);
    free(octets);
}

static bool take_tickets(struct ike *ike, int fd)
{
    void *memory = mmap(NULL, ike2_ticket_memory(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    close(fd);
    if (ike->next_tickets != NULL)
        munmap(ike->next_tickets, ike2_ticket_memory());
    ike->next_tickets = memory != MAP_FAILED ? memory : NULL;
    return true;
}

static void use_tickets(struct ike *ike)
{
    if (ike->tickets != NULL)
        munmap(ike->tickets, ike2_ticket_memory());
    ike->tickets = ike->next_tickets;
    ike->next_tickets = NULL;
}

/* ---- Datagrams ------------------------------------------------------------------------------ */

static void on_datagram(void *ctx, struct ike2_datagram *d)
{
    struct ike *ike = ctx;

    ike->now = gh_clock_now();
    ike2_input(ike->core, ike->now, d);
    gh_ike_notes_look(ike->notes, ike->core);
}

static void on_stray(void *ctx, const struct gh_esp_stray *x)
{
    struct ike *ike = ctx;
    uint16_t zone = gh_ike_place(ike->places, x->netns, x->vrf);
    uint8_t *data = malloc(x->data.len + 1); /* the core writes into it */
    struct ike2_datagram d = {.local = {.addr = x->local, .port = IKE2_PORT_NAT_T, .zone = zone},
                              .remote = {.addr = x->remote, .port = x->port},
                              .marker = true,
                              .data = data,
                              .len = x->data.len};

    if (data != NULL && zone != UINT16_MAX && ike->core != NULL) {
        memcpy(data, x->data.p, x->data.len);
        on_datagram(ike, &d);
    }
    free(data);
}

static void on_batch(void *ctx)
{
    settle(ctx);
}

/* NULL: no memory. */
static struct socket *socket_at(struct ike *ike, uint16_t zone, uint16_t port, bool v6)
{
    struct socket *more;

    for (size_t i = 0; i < ike->socket_count; i++) {
        struct socket *s = &ike->sockets[i];

        if (s->zone == zone && s->port == port && s->v6 == v6)
            return s;
    }
    more = realloc(ike->sockets, (ike->socket_count + 1) * sizeof(*more));
    if (more == NULL)
        return NULL;
    ike->sockets = more;
    more[ike->socket_count] = (struct socket){.zone = zone, .port = port, .v6 = v6};
    return &more[ike->socket_count++];
}

static void drop_socket(struct ike *ike, struct socket *s)
{
    gh_ike_udp_close(s->udp);
    *s = ike->sockets[--ike->socket_count];
}

/* Sockets are read once there are policies. */
static void read_sockets(struct ike *ike)
{
    for (size_t i = 0; i < ike->socket_count && ike->core != NULL; i++)
        if (ike->sockets[i].udp != NULL)
            gh_ike_udp_start(ike->sockets[i].udp);
}

/* False: no memory, or a bad body. */
static bool get_place(struct ike *ike, struct gh_rd *body, uint16_t *zone)
{
    char *netns = gh_get_text(body, false), *vrf = gh_get_text(body, false);

    *zone = body->bad ? UINT16_MAX : gh_ike_place(ike->places, netns, vrf);
    free(netns);
    free(vrf);
    return *zone != UINT16_MAX;
}

/* The socket that a message is about. */
static struct socket *get_socket(struct ike *ike, struct gh_rd *body)
{
    uint16_t zone, port;
    bool v6;

    if (!get_place(ike, body, &zone))
        return NULL;
    port = gh_rd_u16(body);
    v6 = gh_rd_u8(body) == 1;
    return body->bad ? NULL : socket_at(ike, zone, port, v6);
}

static bool add_socket(struct ike *ike, struct gh_rd *body, int fd)
{
    static const struct gh_ike_udp_ops ops = {.datagram = on_datagram, .done = on_batch};
    struct socket *s = get_socket(ike, body);

    if (s == NULL) {
        close(fd);
        return false;
    }
    gh_ike_udp_close(s->udp);
    s->udp = gh_ike_udp_new(fd, &(struct gh_ike_udp_settings){.loop = &ike->loop,
                                                              .batch = ike->batch,
                                                              .ops = &ops,
                                                              .ctx = ike,
                                                              .counters = ike->udp,
                                                              .port = s->port,
                                                              .zone = s->zone,
                                                              .nat_t = s->port == IKE2_PORT_NAT_T,
                                                              .v6 = s->v6});
    s->error = 0;
    read_sockets(ike);
    return s->udp != NULL;
}

static void end_sas(struct ike *ike, const uint16_t *zone);

static bool note_failed_socket(struct ike *ike, struct gh_rd *body)
{
    struct socket *s = get_socket(ike, body);
    uint32_t error = gh_rd_u32(body);

    if (s == NULL || body->bad)
        return false;
    if (error == 0) {
        if (ike->core != NULL) {
            end_sas(ike, &s->zone);
            ike2_leave_zone(ike->core, ike->now, s->zone);
        }
        drop_socket(ike, s);
        return true;
    }
    gh_ike_udp_close(s->udp);
    s->udp = NULL;
    s->error = (int)error;
    return true;
}

/* ---- Paths ---------------------------------------------------------------------------------- */

static void ask_way(void *ctx, const char *netns, const char *vrf, const struct gh_addr *remote)
{
    struct ike *ike = ctx;
    uint8_t body[700];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_put_text(&w, netns);
    gh_put_text(&w, vrf);
    gh_put_addr(&w, remote);
    gh_channel_send(ike->parent, GH_MESSAGE_IKE_ASK_WAY, body, w.len, -1);
}

/* Those that `show` or `explain` tells and that are begun with: asked for before anybody needs
 * them. */
static void want_ways(struct ike *ike)
{
    struct gh_addr from;

    for (size_t i = 0; ike->config != NULL && i < ike->config->policy_count; i++) {
        const struct ike2_policy *p = ike->config->policies[i];

        if (p->gateway.len != 0 && (p->local.len == 0 || ike2_policy_has_tcp_ao(p)))
            for (size_t n = 0; n < ike2_gateway_count(p); n++)
                gh_ike_way(ike->places, p->zone, ike2_gateway(p, n), &from, NULL);
    }
}

static void paths_changed(struct ike *ike)
{
    if (ike->core == NULL)
        return;
    ike->now = gh_clock_now();
    want_ways(ike);
    ike2_paths_changed(ike->core, ike->now);
    gh_ike_notes_look(ike->notes, ike->core);
    settle(ike);
}

static bool take_addresses(struct ike *ike, struct gh_rd *body)
{
    struct gh_addr *list;
    size_t count, fit = 0;
    uint16_t zone;
    bool known;

    if (!get_place(ike, body, &zone))
        return false;
    known = gh_get_flag(body);
    count = gh_rd_u16(body);
    list = calloc(count + 1, sizeof(*list));
    for (size_t i = 0; list != NULL && !body->bad && i < count; i++) {
        bool is_fit = gh_get_flag(body);

        list[i] = list[fit]; /* those that are fit first */
        gh_get_addr(body, true, &list[is_fit ? fit : i]);
        fit += is_fit;
    }
    if (list != NULL && !body->bad)
        gh_ike_place_addresses(ike->places, zone, known ? list : NULL, count, fit);
    free(list);
    if (list == NULL || body->bad)
        return false;
    if (gh_ike_places_settled(ike->places))
        paths_changed(ike);
    return true;
}

static bool take_way(struct ike *ike, struct gh_rd *body)
{
    struct gh_addr remote, local;
    uint16_t zone;
    int error;

    if (!get_place(ike, body, &zone))
        return false;
    gh_get_addr(body, true, &remote);
    error = (int)gh_rd_u32(body);
    gh_get_addr(body, false, &local);
    if (body->bad)
        return false;
    if (gh_ike_way_answered(ike->places, zone, &remote, local.len != 0 ? &local : NULL, error))
        paths_changed(ike);
    return true;
}

/* ---- The keeper ----------------------------------------------------------------------------- */

static void on_answer(void *asker, const struct gh_keeper_answer *a)
{
    struct ike *ike = asker;

    ike->now = gh_clock_now();
    ike2_complete(ike->core, ike->now, a);
    gh_ike_notes_look(ike->notes, ike->core);
    settle(ike);
}

static void on_desk_lost(void *ctx)
{
    struct ike *ike = ctx;

    gh_channel_send(ike->parent, GH_MESSAGE_DESK_LOST, NULL, 0, -1);
}

static bool open_desk(struct ike *ike, int fd)
{
    gh_ike_desk_open(ike->desk, fd);
    return true;
}

/* ---- The gatekeeper ------------------------------------------------------------------------- */

static void on_gatekeeper_event(void *ctx, const struct gk_event *e)
{
    struct ike *ike = ctx;
    json_t *object = ike->monitored ? gh_gatekeeper_event_json(e, ike->now) : NULL;
    size_t len = 0;
    char *line = object != NULL ? gh_control_line(object, &len) : NULL;

    if (may_log(ike))
        gh_log(e->kind == GK_EVENT_FAILED || e->kind == GK_EVENT_FALLBACK ||
                       e->kind == GK_EVENT_ORPHANED
                   ? GH_LOG_WARNING
                   : GH_LOG_NOTICE,
               "%s: %s: %s", e->session, gk_event_name(e->kind), e->text);
    if (line != NULL && ike->parent->out_len < EVENTS_WAITING)
        gh_channel_send(ike->parent, GH_MESSAGE_EVENT, line, len, -1);
    free(line);
    json_decref(object);
}

static uint16_t on_zone(void *ctx, const char *netns, const char *vrf)
{
    struct ike *ike = ctx;

    return gh_ike_place(ike->places, netns[0] != '\0' ? netns : NULL, vrf[0] != '\0' ? vrf : NULL);
}

static void on_stirred(void *ctx)
{
    struct ike *ike = ctx;

    ike->now = gh_clock_now();
    if (ike->core != NULL)
        settle(ike);
}

/* ---- The configuration ---------------------------------------------------------------------- */

static struct ike2_settings settings_of(const struct ike *ike, const struct gh_ike_settings *config,
                                        const struct gh_lockout_settings *lockout)
{
    struct ike2_settings s = ike2_default_settings();

    s.sas_max = config->sas_max;
    s.sas_high = gh_ike_sas_high(config);
    s.sas_low = gh_ike_sas_low(config);
    s.half_open_max = config->half_open_max;
    s.half_open_cookie = config->half_open_cookie;
    s.half_open_puzzle =
        config->half_open_puzzle == GH_PUZZLES_NEVER ? SIZE_MAX : config->half_open_puzzle;
    s.puzzle_bits = config->puzzle_bits;
    s.puzzle_legacy = config->puzzle_legacy;
    s.puzzle_budget = config->puzzle_budget;
    s.reassembly_ms = config->reassembly_ms;
    s.reduced_exchange_ms = config->reduced_exchange_ms;
    s.children_max = config->children_max;
    s.ticket_seconds = config->ticket_seconds;
    s.strays_per_second = config->strays_per_second;
    s.lockout = config->lock_out ? lockout : NULL;
    s.crash_secret = ike->has_crash_secret ? ike->crash_secret : NULL;
    s.ticket_memory = ike->next_tickets;
    return s;
}

/* Makes the core, or tells it what holds from now on. */
static bool set_core(struct ike *ike, const struct gh_ike_settings *config)
{
    const struct ike2_ops ops = {.ctx = ike,
                                 .random = core_random,
                                 .send = core_send,
                                 .ask = core_ask,
                                 .child_install = core_child_install,
                                 .child_update = core_child_update,
                                 .child_remove = core_child_remove,
                                 .child_spi = core_child_spi,
                                 .event = core_event,
                                 .source = core_source,
                                 .addresses = core_addresses,
                                 .reads = core_reads};
    struct gh_lockout_settings lockout = config->lockout;
    struct ike2_settings settings = settings_of(ike, config, &lockout);

    core_random(ike, &lockout.seed, sizeof(lockout.seed));
    if (ike->core != NULL && !ike2_configure(ike->core, ike->now, &settings))
        return false;
    if (ike->core == NULL)
        ike->core = ike2_new(&ops, &settings, ike->now);
    if (ike->core == NULL)
        return false;
    use_tickets(ike);
    use_key_logs(ike);
    use_orders(ike);
    return true;
}

static void count_one(void *ctx, const struct ike2_sa_view *v)
{
    ++*(size_t *)ctx;
}

/* The one limit that does not take effect at once. */
static void tell_of_limit(const struct ike *ike)
{
    size_t count = 0;

    ike2_each_sa(ike->core, count_one, &count);
    if (count > ike->config->settings.sas_max)
        gh_notice("sa-limit is %u: the %zu IKE SAs that are there stay, and nobody else comes in",
                  ike->config->settings.sas_max, count);
}

/* From the places of the configuration to ours, which have their numbers for good. False: no
 * memory. */
static bool number_places(struct ike *ike, struct gh_ike_config *c)
{
    for (size_t i = 0; i < c->policy_count; i++) {
        struct ike2_policy *p = c->policies[i];
        const struct gh_ike_zone *zone = gh_ike_public_zone(c, p),
                                 *behind = p->private_zone > 0 ? gh_ike_private_zone(c, p) : NULL;

        if (zone != NULL)
            p->zone = gh_ike_place(ike->places, zone->netns, zone->vrf);
        if (behind != NULL)
            p->private_zone = gh_ike_place(ike->places, behind->netns, behind->vrf);
        if (p->zone == UINT16_MAX || p->private_zone == UINT16_MAX)
            return false;
    }
    return true;
}

/* Takes it, whatever happens. */
static bool put_in_force(struct ike *ike, struct gh_ike_config *next)
{
    struct past *past = calloc(1, sizeof(*past));

    if (past == NULL || !number_places(ike, next) || !set_core(ike, &next->settings) ||
        !ike2_set_policies(ike->core, ike->now, next->policies, next->policy_count)) {
        free(past);
        gh_ike_config_free(next);
        return false;
    }
    if (ike->config != NULL) {
        *past = (struct past){.next = ike->past, .config = ike->config};
        ike->past = past;
    } else {
        free(past);
    }
    ike->config = next;
    tell_of_limit(ike);
    keep_orders(ike);
    if (!gk_set_policies(gh_ike_gatekeeper_core(ike->gatekeeper), ike->now, next->sessions,
                         next->session_count))
        gh_error("no memory for sessions with negotiated keys");
    gh_ike_notes_keep(ike->notes, next->policies, next->policy_count);
    gh_ike_notes_look(ike->notes, ike->core);
    forget_past(ike);
    return true;
}

static struct gh_ike_config *open_config(int fd, uint64_t len)
{
    void *data = len > 0 ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    struct gh_ike_config *config;

    close(fd);
    if (data == MAP_FAILED)
        return NULL;
    config = gh_ike_config_decode(gh_view_of(data, len));
    munmap(data, len);
    return config;
}

static bool configure(struct ike *ike, struct gh_rd *body, int fd)
{
    uint64_t len = gh_rd_u64(body);
    uint32_t generation = gh_rd_u32(body);
    struct gh_ike_config *next = open_config(fd, len);
    uint8_t answer[5];
    struct gh_wr w = gh_wr_make(answer, sizeof(answer));
    bool good;

    ike->now = gh_clock_now();
    good = next != NULL && put_in_force(ike, next);
    if (good) {
        read_sockets(ike);
        want_ways(ike);
        settle(ike);
    }
    gh_wr_u32(&w, generation);
    gh_wr_u8(&w, good);
    return gh_channel_send(ike->parent, GH_MESSAGE_CONFIGURED, answer, w.len, -1);
}

/* ---- Control -------------------------------------------------------------------------------- */

static struct gh_ike_place_view view_place(void *ctx, uint16_t zone)
{
    struct ike *ike = ctx;

    return (struct gh_ike_place_view){.netns = gh_ike_place_netns(ike->places, zone),
                                      .vrf = gh_ike_place_vrf(ike->places, zone)};
}

static enum ike2_way view_way(void *ctx, uint16_t zone, const struct gh_addr *remote,
                              struct gh_addr *out, int *error)
{
    struct ike *ike = ctx;

    return gh_ike_way(ike->places, zone, remote, out, error);
}

static json_t *answer_request(struct ike *ike, const char *line, size_t len)
{
    const struct gh_ike_places_view places = {.ctx = ike, .place = view_place, .way = view_way};
    struct gh_ike_socket_view *sockets = calloc(ike->socket_count + 1, sizeof(*sockets));
    struct gh_ike_view view = {.core = ike->core,
                               .sockets = sockets,
                               .places = &places,
                               .udp = ike->udp,
                               .notes = ike->notes,
                               .keeper = gh_ike_desk_is_open(ike->desk),
                               .keeper_waiting = gh_ike_desk_waiting(ike->desk),
                               .gatekeeper = gh_ike_gatekeeper_core(ike->gatekeeper),
                               .engine = gh_ike_gatekeeper_is_open(ike->gatekeeper)};
    json_t *refusal, *request = gh_control_parse(line, len, &refusal), *answer;

    if (request == NULL || sockets == NULL) {
        json_decref(request);
        free(sockets);
        return request == NULL ? refusal : NULL;
    }
    for (size_t i = 0; i < ike->socket_count; i++) {
        const struct socket *s = &ike->sockets[i];

        sockets[view.socket_count++] = (struct gh_ike_socket_view){.zone = s->zone,
                                                                   .port = s->port,
                                                                   .v6 = s->v6,
                                                                   .open = s->udp != NULL,
                                                                   .error = s->error};
    }
    if (ike->core == NULL) {
        answer = gh_control_refusal("try again", "IKE has no configuration yet");
    } else {
        view.policies = ike->config->policies;
        view.policy_count = ike->config->policy_count;
        ike->now = gh_clock_now();
        answer = gh_ike_handle(&view, ike->now, request);
        if (gh_ike_changes_orders(request))
            keep_orders(ike);
        gh_ike_notes_look(ike->notes, ike->core);
        settle(ike);
    }
    json_decref(request);
    free(sockets);
    return answer;
}

static bool handle_request(struct ike *ike, struct gh_rd *body)
{
    const uint8_t *client = gh_rd_bytes(body, 4);
    size_t len = gh_rd_left(body), answer_len = 0;
    json_t *answer = answer_request(ike, (const char *)gh_rd_bytes(body, len), len);
    char *line = answer != NULL ? gh_control_line(answer, &answer_len) : NULL;
    uint8_t *message = line != NULL ? malloc(4 + answer_len) : NULL;

    if (message != NULL) {
        memcpy(message, client, 4);
        memcpy(message + 4, line, answer_len);
        gh_channel_send(ike->parent, GH_MESSAGE_ANSWER, message, 4 + answer_len, -1);
    }
    free(message);
    free(line);
    json_decref(answer);
    return message != NULL;
}

/* ---- The parent ----------------------------------------------------------------------------- */

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct ike *ike = ctx;

    switch (frame->type) {
    case GH_MESSAGE_CONFIG:
        return configure(ike, &frame->body, fd);
    case GH_MESSAGE_IKE_SOCKET:
        return add_socket(ike, &frame->body, fd);
    case GH_MESSAGE_IKE_SOCKET_FAILED:
        return note_failed_socket(ike, &frame->body);
    case GH_MESSAGE_IKE_ADDRESSES:
        return take_addresses(ike, &frame->body);
    case GH_MESSAGE_IKE_WAY:
        return take_way(ike, &frame->body);
    case GH_MESSAGE_DESK:
        return open_desk(ike, fd);
    case GH_MESSAGE_GATEKEEPER:
        gh_ike_gatekeeper_open(ike->gatekeeper, fd);
        return true;
    case GH_MESSAGE_CHILDREN:
        gh_ike_ipsec_open(ike->ipsec, fd, ike->core);
        return true;
    case GH_MESSAGE_KEY_LOG:
        return take_key_log(ike, &frame->body, fd);
    case GH_MESSAGE_CRASH_SECRET:
        return take_crash_secret(ike, &frame->body);
    case GH_MESSAGE_IKE_ORDERS:
        return take_orders(ike, &frame->body);
    case GH_MESSAGE_TICKETS:
        return take_tickets(ike, fd);
    case GH_MESSAGE_REQUEST:
        return handle_request(ike, &frame->body);
    case GH_MESSAGE_MONITORS:
        ike->monitored = gh_rd_u8(&frame->body) == 1;
        return true;
    case GH_MESSAGE_PING:
        return gh_channel_send(ike->parent, GH_MESSAGE_PONG, NULL, 0, -1);
    default:
        return false;
    }
}

struct sa_ids {
    const uint16_t *zone; /* NULL: all */
    uint64_t *list;       /* NULL: only counted */
    size_t count;
};

static void add_id(void *ctx, const struct ike2_sa_view *v)
{
    struct sa_ids *ids = ctx;

    if (ids->zone != NULL && *ids->zone != v->local.zone)
        return;
    if (ids->list != NULL)
        ids->list[ids->count] = v->id;
    ids->count++;
}

/* Nobody will have these SAs after us, or they lose their sockets: the peers are told once, and
 * need not wait until they find out. zone NULL: all. */
static void end_sas(struct ike *ike, const uint16_t *zone)
{
    struct sa_ids ids = {.zone = zone};

    ike->now = gh_clock_now();
    ike2_each_sa(ike->core, add_id, &ids);
    ids.list = calloc(ids.count + 1, sizeof(*ids.list));
    ids.count = 0;
    if (ids.list == NULL)
        return;
    ike2_each_sa(ike->core, add_id, &ids);
    for (size_t i = 0; i < ids.count; i++)
        ike2_terminate_ike(ike->core, ike->now, ids.list[i]);
    settle_now(ike);
    free(ids.list);
}

static void on_broken(void *ctx, const char *why)
{
    struct ike *ike = ctx;

    gh_notice("the parent: %s; ending", why);
    if (ike->core != NULL) {
        end_sas(ike, NULL);
        ike2_free(ike->core); /* wipes */
    }
    gh_wipe(ike->crash_secret, sizeof(ike->crash_secret));
    _exit(0);
}

/* ---- Life ----------------------------------------------------------------------------------- */

/* libcrypto and the C library open files when they are first used; inside the sandbox they may
 * not. */
static void warm_up(void)
{
    const struct gh_view octets = gh_view_of("warm-up", 7);
    uint8_t out[GH_PRF_MAX];

    tzset();
    json_object_seed(0);
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    for (int prf = GH_PRF_NONE; prf <= GH_PRF_AES128_CMAC; prf++)
        if (gh_prf_len(prf) != 0 && !gh_prf(prf, octets, &octets, 1, out))
            gh_warning("libcrypto does not offer PRF %d", prf);
    for (unsigned enc = GH_ENC_DES; enc <= GH_ENC_CHACHA20_POLY1305; enc++)
        for (unsigned bits = 0; bits <= 256; bits += 64)
            if (gh_enc_known(enc, bits))
                gh_enc_available(enc, bits);
    for (unsigned group = 1; group <= GROUP_MAX; group++)
        if (gh_ke_known(group))
            gh_ke_available(group);
}

int gh_ike_main(uid_t uid, gid_t gid)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    static const struct gh_ike_desk_ops desk_ops = {.answer = on_answer, .lost = on_desk_lost};
    static const struct gh_ike_gatekeeper_ops gatekeeper_ops = {
        .random = core_random, .event = on_gatekeeper_event, .stirred = on_stirred};
    static const struct gh_ike_ipsec_ops ipsec_ops = {
        .stray = on_stray, .stirred = on_stirred, .zone = on_zone};
    static const struct gh_ike_places_ops places_ops = {.ask = ask_way};
    uint64_t epoch;
    struct ike ike = {.key_logs = {-1, -1},
                      .next_key_logs = {-1, -1},
                      .batch = gh_ike_batch_new(),
                      .notes = gh_ike_notes_new()};

    /* The parent says when to end, by closing the channel. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "gatehoused-ike");
    ike.places = gh_ike_places_new(&places_ops, &ike);
    if (ike.batch == NULL || ike.notes == NULL || ike.places == NULL ||
        uv_loop_init(&ike.loop) != 0 || uv_timer_init(&ike.loop, &ike.timer) != 0 ||
        uv_prepare_init(&ike.loop, &ike.prepare) != 0)
        return 1;
    ike.timer.data = &ike;
    ike.prepare.data = &ike;
    warm_up();
    if (!gh_sandbox_enter(GH_SANDBOX_IKE, uid, gid))
        return 1;
    ike.parent = gh_channel_new(&ike.loop, GH_CHILD_CHANNEL_FD, GH_TO_IKE, &ops, &ike);
    ike.desk = gh_ike_desk_new(&ike.loop, &desk_ops, &ike);
    ike.gatekeeper = gh_ike_gatekeeper_new(&ike.loop, &gatekeeper_ops, &ike);
    core_random(&ike, &epoch, sizeof(epoch));
    ike.ipsec = gh_ike_ipsec_new(&ike.loop, epoch, &ipsec_ops, &ike);
    if (ike.parent == NULL || ike.desk == NULL || ike.gatekeeper == NULL || ike.ipsec == NULL ||
        !gh_channel_send(ike.parent, GH_MESSAGE_READY, NULL, 0, -1))
        return 1;
    gh_channel_hold(ike.parent);
    uv_prepare_start(&ike.prepare, on_prepare);
    return uv_run(&ike.loop, UV_RUN_DEFAULT);
}
