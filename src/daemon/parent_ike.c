/* IKE in the parent: the processes `keeper` and `ike`. Their sockets are in parent_ike_places.c. */
#include "daemon/parent_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "control/control.h"
#include "control/ike.h"
#include "daemon/keeper.h"
#include "daemon/sealed.h"
#include "wire/wr.h"

/* ---- What the children are told ------------------------------------------------------------- */

static void send_file(struct gh_child *child, enum gh_message type, size_t len,
                      const uint32_t *generation, int fd)
{
    uint8_t body[12];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u64(&w, len);
    if (generation != NULL)
        gh_wr_u32(&w, *generation);
    gh_channel_send(child->channel, type, body, w.len, fd);
}

/* A new pair: `ike` asks at one end, the keeper answers at the other. */
static void open_desk(struct gh_parent *p)
{
    struct gh_parent_ike *k = &p->ike;
    int pair[2];

    if (!k->keeper_ready || k->ike.channel == NULL)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        gh_error("a socket between ike and keeper: %s", strerror(errno));
        return;
    }
    /* A keeper that has just died opens the next one when it is there again: until then nobody who
     * waits for it may use up its tries. */
    if (gh_channel_send(k->keeper.channel, GH_MESSAGE_KEEPER_CLIENT, NULL, 0, pair[0]))
        gh_channel_send(k->ike.channel, GH_MESSAGE_DESK, NULL, 0, pair[1]);
    close(pair[0]);
    close(pair[1]);
}

void gh_parent_open_gatekeeper(struct gh_parent *p)
{
    int pair[2];

    if (p->ao.channel == NULL || p->ike.ike.channel == NULL)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        gh_error("a socket between ao and ike: %s", strerror(errno));
        return;
    }
    gh_channel_send(p->ao.channel, GH_MESSAGE_GATEKEEPER, NULL, 0, pair[0]);
    gh_channel_send(p->ike.ike.channel, GH_MESSAGE_GATEKEEPER, NULL, 0, pair[1]);
    close(pair[0]);
    close(pair[1]);
}

/* Whoever reads the file can decrypt: only root, and only as long as the operator wants it. */
static void send_key_log(struct gh_parent *p, enum gh_key_log which, const char *path)
{
    const uint8_t body = (uint8_t)which;
    int fd;

    if (path == NULL)
        return;
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        gh_error("%s %s: %s", which == GH_KEY_LOG_IKE ? "key-log" : "esp-key-log", path,
                 strerror(errno));
        return;
    }
    gh_warning("THE KEYS of %s made from now on are written to %s: whoever reads it can "
               "decrypt them",
               which == GH_KEY_LOG_IKE ? "IKE SAs" : "Child SAs", path);
    gh_channel_send(p->ike.ike.channel, GH_MESSAGE_KEY_LOG, &body, sizeof(body), fd);
    close(fd);
}

/* With what stands before it: what the configuration names and `ike` cannot open. */
static void send_config(struct gh_parent *p, bool fresh)
{
    const struct gh_ike_config *config = p->config->ike;

    gh_ike_kept_tell(&p->ike.kept, p->ike.ike.channel, fresh);
    if (fresh && p->ike.orders_len > 0)
        gh_channel_send(p->ike.ike.channel, GH_MESSAGE_IKE_ORDERS, p->ike.orders, p->ike.orders_len,
                        -1);
    if (config != NULL) {
        send_key_log(p, GH_KEY_LOG_IKE, config->settings.key_log);
        send_key_log(p, GH_KEY_LOG_ESP, config->settings.esp_key_log);
    }
    send_file(&p->ike.ike, GH_MESSAGE_CONFIG, p->ike.setup_len, &p->generation, p->ike.setup);
}

/* Sockets and the keeper first: with its policies `ike` begins. */
static void on_ike_started(void *ctx)
{
    struct gh_parent *p = ctx;

    gh_parent_ike_places_tell(p);
    open_desk(p);
    gh_parent_tell_ike_of_monitors(p);
    gh_parent_open_children(p);
    send_config(p, true);
    gh_parent_open_gatekeeper(p);
}

static void on_keeper_started(void *ctx)
{
    struct gh_parent *p = ctx;

    send_file(&p->ike.keeper, GH_MESSAGE_KEEPER_ORDER, p->ike.order_len, NULL, p->ike.order);
}

/* ---- What they tell ------------------------------------------------------------------------- */

/* Most of the time nobody listens, and events are not worth their while. */
void gh_parent_tell_ike_of_monitors(struct gh_parent *p)
{
    uint8_t any = p->control != NULL && gh_control_server_has_monitors(p->control);

    if (p->ike.ike.channel != NULL)
        gh_channel_send(p->ike.ike.channel, GH_MESSAGE_MONITORS, &any, sizeof(any), -1);
}

/* An event also tells whether `ike` knows that the last monitor has gone. */
static bool take_event(struct gh_parent *p, struct gh_rd *body)
{
    if (p->control != NULL && !gh_control_server_has_monitors(p->control))
        gh_parent_tell_ike_of_monitors(p);
    return gh_parent_tell_monitors(p, body);
}

/* Not read here: it is for the next `ike`, which is as little trusted. */
static bool keep_orders(struct gh_parent *p, struct gh_rd *body)
{
    size_t len = gh_rd_left(body);
    uint8_t *octets = malloc(len + 1);

    if (octets == NULL)
        return true;
    gh_rd_copy(body, octets, len);
    free(p->ike.orders);
    p->ike.orders = octets;
    p->ike.orders_len = len;
    return true;
}

static bool on_ike_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct gh_parent *p = ctx;

    switch (frame->type) {
    case GH_MESSAGE_READY:
    case GH_MESSAGE_PONG:
        return true;
    case GH_MESSAGE_CONFIGURED:
        gh_rd_skip(&frame->body, 4);
        return gh_rd_u8(&frame->body) == 1; /* else no memory there: a new one starts with more */
    case GH_MESSAGE_ANSWER:
        return gh_parent_answer(p, GH_ANSWERER_IKE, &frame->body);
    case GH_MESSAGE_EVENT:
        return take_event(p, &frame->body);
    case GH_MESSAGE_IKE_ASK_WAY:
        return gh_parent_ike_ask_way(p, &frame->body);
    case GH_MESSAGE_IKE_ORDERS:
        return keep_orders(p, &frame->body);
    case GH_MESSAGE_DESK_LOST:
        open_desk(p);
        return true;
    default:
        if (fd >= 0)
            close(fd);
        return false;
    }
}

static bool on_keeper_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct gh_parent *p = ctx;

    if (frame->type == GH_MESSAGE_READY) {
        p->ike.keeper_ready = true;
        open_desk(p);
        return true;
    }
    if (fd >= 0)
        close(fd);
    return frame->type == GH_MESSAGE_PONG;
}

static void on_ike_ended(void *ctx, uint64_t wait)
{
    struct gh_parent *p = ctx;

    gh_warning("ike starts again %s; its SAs are gone", wait == 0 ? "at once" : "soon");
    gh_control_server_refuse_waiting(p->control, GH_ANSWERER_IKE,
                                     "the IKE process has just ended and starts again");
    gh_parent_publish(p, "ike-restarted",
                      "the IKE process ended and is started again; its SAs are "
                      "gone");
}

static void on_keeper_ended(void *ctx, uint64_t wait)
{
    struct gh_parent *p = ctx;

    p->ike.keeper_ready = false;
    gh_warning("keeper starts again %s; who authenticates waits", wait == 0 ? "at once" : "soon");
}

/* ---- Starting and stopping ------------------------------------------------------------------ */

void gh_parent_start_child(struct gh_parent *p, struct gh_child *child, const char *role,
                           const struct gh_child_ops *ops)
{
    gh_parent_start_child_of(p, child, role, ops, p);
}

void gh_parent_start_child_of(struct gh_parent *p, struct gh_child *child, const char *role,
                              const struct gh_child_ops *ops, void *ctx)
{
    child->loop = &p->loop;
    child->role = role;
    child->log_level = p->options->log_level;
    child->lock = p->lock;
    child->ops = ops;
    child->ctx = ctx;
    child->failures = 0;
    if (!gh_parent_find_user(p->config, &child->uid, &child->gid) || !gh_child_start(child))
        gh_error("%s: not started; IKE does not work. `gatectl reload` tries again", role);
}

static void start_keeper(struct gh_parent *p);
static void start_ike(struct gh_parent *p);

static void on_keeper_stopped(void *ctx)
{
    struct gh_parent *p = ctx;

    if (p->stopping)
        gh_parent_child_stopped(p);
    else if (p->ike.peers > 0)
        start_keeper(p);
}

/* Peers may have come back meanwhile. */
static void on_ike_stopped(void *ctx)
{
    struct gh_parent *p = ctx;

    if (p->control != NULL)
        gh_control_server_refuse_waiting(p->control, GH_ANSWERER_IKE,
                                         "there are no IKE peers any more");
    if (p->stopping)
        gh_parent_child_stopped(p);
    else if (p->ike.peers > 0)
        start_ike(p);
}

static void start_keeper(struct gh_parent *p)
{
    static const struct gh_child_ops ops = {.started = on_keeper_started,
                                            .ended = on_keeper_ended,
                                            .stopped = on_keeper_stopped,
                                            .message = on_keeper_message};

    gh_parent_start_child(p, &p->ike.keeper, "keeper", &ops);
}

static void start_ike(struct gh_parent *p)
{
    static const struct gh_child_ops ops = {.started = on_ike_started,
                                            .ended = on_ike_ended,
                                            .stopped = on_ike_stopped,
                                            .message = on_ike_message};

    gh_parent_start_child(p, &p->ike.ike, "ike", &ops);
}

/* A keeper has one order in its life; files that it names may hold something else by now. */
static void renew_keeper(struct gh_parent *p)
{
    p->ike.keeper_ready = false;
    if (!gh_child_stop(&p->ike.keeper))
        start_keeper(p);
}

static void stop_both(struct gh_parent *p)
{
    p->ike.keeper_ready = false;
    gh_child_stop(&p->ike.ike);
    gh_child_stop(&p->ike.keeper);
}

void gh_parent_ike_apply(struct gh_parent *p)
{
    struct gh_child *ike = &p->ike.ike;

    gh_parent_esp_apply(p);
    if (p->ike.peers == 0) {
        stop_both(p);
        gh_parent_ike_places_tend(p);
        return;
    }
    gh_parent_ike_places_tend(p);
    renew_keeper(p);
    gh_ike_kept_open(&p->ike.kept, p->options->state_directory);
    gh_ike_kept_renew(&p->ike.kept);
    if (ike->running && ike->channel != NULL)
        send_config(p, false);
    else if (!gh_child_is_there(ike) && !gh_child_is_waiting(ike))
        start_ike(p); /* else it comes by itself, and is told then */
}

void gh_parent_ike_stop(struct gh_parent *p)
{
    stop_both(p);
}

bool gh_parent_ike_runs(const struct gh_parent *p)
{
    return gh_child_is_there(&p->ike.ike) || gh_child_is_there(&p->ike.keeper);
}

void gh_parent_ike_tend(struct gh_parent *p)
{
    if (p->ike.peers > 0)
        gh_parent_ike_places_tend(p);
    gh_parent_workers_tend(p);
}

/* ---- The configuration ---------------------------------------------------------------------- */

void gh_parent_ike_init(struct gh_parent *p)
{
    p->ike.setup = p->ike.order = p->ike.manual = -1;
    p->ike.kept.tickets = -1;
}

void gh_parent_ike_end(struct gh_parent *p)
{
    gh_ike_kept_clear(&p->ike.kept);
    free(p->ike.orders);
    p->ike.orders = NULL;
}

static void close_file(int fd)
{
    if (fd >= 0)
        close(fd);
}

bool gh_parent_ike_take(struct gh_parent *p, struct gh_ike_plan *plan)
{
    struct gh_parent_ike *k = &p->ike;
    int setup = -1, order = -1, manual = -1;
    size_t order_len = 0;

    if (plan->peers > 0) {
        setup = gh_sealed_file("gatehouse-ike", plan->octets, plan->len);
        order = gh_keeper_order_seal(plan->order, &order_len);
        manual = gh_sealed_file("gatehouse-keys", plan->manual, plan->manual_len);
    }
    if (plan->peers > 0 && (setup < 0 || order < 0 || manual < 0)) {
        close_file(setup);
        close_file(order);
        close_file(manual);
        return false;
    }
    close_file(k->setup);
    close_file(k->order);
    close_file(k->manual);
    k->setup = setup;
    k->setup_len = plan->len;
    k->order = order;
    k->order_len = order_len;
    k->manual = manual;
    k->manual_len = plan->manual_len;
    k->peers = plan->peers;
    gh_ike_plan_clear(plan);
    return true;
}

/* ---- Control -------------------------------------------------------------------------------- */

static bool is_session(const struct gh_config *config, const char *target)
{
    struct gh_addr addr;
    bool is_addr = gh_addr_parse(target, &addr);

    for (size_t i = 0; i < config->session_count; i++)
        if (strcmp(config->sessions[i].name, target) == 0 ||
            (is_addr && gh_prefix_contains(&config->sessions[i].peer, &addr)))
            return true;
    return false;
}

/* Of a name or address that both know, a TCP-AO session is meant; why one has no key is IKE's. */
static bool explains_ike(const struct gh_parent *p, const json_t *request)
{
    const char *target = json_string_value(json_object_get(request, "name"));

    if (json_object_get(request, "keys_of") != NULL)
        return true;
    if (target == NULL)
        target = json_string_value(json_object_get(request, "peer"));
    return target != NULL && !is_session(p->config, target) && gh_ike_plan_knows(p->config, target);
}

bool gh_parent_ike_request(struct gh_parent *p, uint32_t client, const json_t *request,
                           const char *line, size_t len)
{
    const char *op = gh_control_op(request);

    if (strcmp(op, "explain") == 0 ? !explains_ike(p, request) : !gh_ike_is_op(op))
        return false;
    if (p->ike.peers == 0)
        gh_control_server_answer_json(
            p->control, client, GH_ANSWERER_PARENT,
            gh_control_refusal("write one into the configuration, then `gatectl reload`",
                               "no IKE peers are configured"));
    else
        gh_parent_forward(p, &p->ike.ike, client, GH_ANSWERER_IKE, line, len);
    return true;
}
