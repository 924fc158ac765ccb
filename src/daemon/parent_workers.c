/*
 * The processes that carry packets, in the parent: one `esp` for each slot of the configuration's
 * tunnel groups, and those in reserve.
 *
 * What belongs to a slot — the memory that its SAs are in, sockets, devices — is the parent's and
 * outlives the process: packets wait, and the next instance carries on. A process that ends again
 * and again, each time soon after its start, gives its slot to one of its group that stands by, and
 * stands by itself when it comes back. If there is none, the slot is lost: the group is down, the
 * process is tried again all the same, and the other slots go on.
 */
#include "daemon/parent_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "config/ike_slots.h"
#include "control/control.h"
#include "daemon/esp_children.h"
#include "daemon/esp_drops.h"
#include "wire/wr.h"

enum { FAILURES = 3 }; /* in a row, each soon after its start: it cannot be kept running */

const char *gh_parent_worker_name(const struct gh_parent_worker *w, char out[16])
{
    const struct gh_parent *p = w->parent;
    bool alone = p->esp.slot_count == 1 && w->slot == 0;

    if (alone)
        (void)snprintf(out, 16, "esp");
    else if (w->slot < 0)
        (void)snprintf(out, 16, "esp-standby");
    else
        (void)snprintf(out, 16, "esp-%d", w->slot);
    return out;
}

/* By its slot, which the log says, too. */
static void give(struct gh_parent_worker *w, int slot)
{
    w->slot = slot;
    gh_parent_worker_name(w, w->child.name);
}

static struct gh_parent_worker *worker_of(struct gh_parent *p, size_t slot)
{
    return &p->esp.workers[p->esp.slots[slot].worker];
}

static const struct gh_tunnel_group *group_of(const struct gh_parent *p, size_t slot)
{
    return &p->config->ike->groups[p->esp.slots[slot].group];
}

struct gh_channel *gh_parent_worker_channel(const struct gh_parent *p, size_t slot)
{
    return slot < p->esp.slot_count ? p->esp.workers[p->esp.slots[slot].worker].child.channel
                                    : NULL;
}

struct gh_child *gh_parent_worker_for(struct gh_parent *p, const json_t *request)
{
    const json_t *named = json_object_get(request, "slot");
    size_t slot = 0;

    if (json_is_integer(named) && json_integer_value(named) > 0 &&
        json_integer_value(named) < (json_int_t)p->esp.slot_count)
        slot = (size_t)json_integer_value(named);
    while (named == NULL && strcmp(gh_control_op(request), "show-tunnel") != 0 &&
           slot + 1 < p->esp.slot_count && gh_parent_worker_channel(p, slot) == NULL)
        slot++;
    return &worker_of(p, slot)->child;
}

/* ---- What they are told --------------------------------------------------------------------- */

/* Keys by hand, of the configuration that comes next: the first slot's alone. */
static void send_keys(struct gh_parent *p, struct gh_channel *channel)
{
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u64(&w, p->ike.manual_len);
    gh_channel_send(channel, GH_MESSAGE_ESP_KEYS, body, w.len, p->ike.manual);
}

static void send_config(struct gh_parent *p, size_t slot, struct gh_channel *channel)
{
    uint8_t body[12];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (slot == 0)
        send_keys(p, channel);
    gh_wr_u64(&w, p->ike.setup_len);
    gh_wr_u32(&w, p->generation);
    gh_channel_send(channel, GH_MESSAGE_CONFIG, body, w.len, p->ike.setup);
}

static void open_line(struct gh_parent *p, uint8_t slot)
{
    struct gh_channel *esp = gh_parent_worker_channel(p, slot);
    int pair[2];

    if (esp == NULL || p->ike.ike.channel == NULL)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        gh_error("a socket between esp and ike: %s", strerror(errno));
        return;
    }
    gh_channel_send(esp, GH_MESSAGE_CHILDREN, &slot, sizeof(slot), pair[0]);
    gh_channel_send(p->ike.ike.channel, GH_MESSAGE_CHILDREN, &slot, sizeof(slot), pair[1]);
    close(pair[0]);
    close(pair[1]);
}

void gh_parent_open_children(struct gh_parent *p)
{
    for (size_t slot = 0; slot < p->esp.slot_count; slot++)
        open_line(p, (uint8_t)slot);
}

/* Memory, sockets and SAs first: with its policies it begins. */
static void tell_all(struct gh_parent *p, size_t slot)
{
    struct gh_channel *channel = gh_parent_worker_channel(p, slot);
    const uint8_t which[] = {(uint8_t)slot, (uint8_t)p->esp.slot_count};
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_parent_esp_routes_forget(p, slot);
    gh_channel_send(channel, GH_MESSAGE_ESP_SLOT, which, sizeof(which), -1);
    gh_wr_u64(&w, gh_esp_children_memory());
    gh_channel_send(channel, GH_MESSAGE_STATE, body, w.len, p->esp.slots[slot].memory);
    gh_parent_esp_tell_sockets(p, slot);
    if (slot == 0) {
        gh_parent_xfrm_link(p);
        gh_parent_tunnels_tell(p);
    }
    open_line(p, (uint8_t)slot);
    send_config(p, slot, channel);
}

/* ---- Who has which slot --------------------------------------------------------------------- */

static void publish(struct gh_parent *p, size_t slot, const char *event, const char *what)
{
    char text[240];

    (void)snprintf(text, sizeof(text), "tunnel group \"%s\": %s", group_of(p, slot)->name, what);
    gh_parent_publish(p, event, text);
}

static bool is_lasting(const struct gh_parent_worker *w)
{
    return w->child.channel != NULL &&
           (w->child.failures < FAILURES || gh_child_settled(&w->child));
}

/* One of its group that stands by; NULL: none. */
static struct gh_parent_worker *find_spare(struct gh_parent *p, size_t slot)
{
    for (size_t i = 0; i < GH_WORKERS; i++) {
        struct gh_parent_worker *w = &p->esp.workers[i];

        if (w->used && w->slot < 0 && w->group == p->esp.slots[slot].group && is_lasting(w))
            return w;
    }
    return NULL;
}

static void take_over(struct gh_parent *p, size_t slot, struct gh_parent_worker *spare)
{
    char text[160];

    give(worker_of(p, slot), -1);
    give(spare, (int)slot);
    p->esp.slots[slot].worker = (size_t)(spare - p->esp.workers);
    (void)snprintf(text, sizeof(text),
                   "a process in reserve has slot %zu now, whose own cannot be kept running", slot);
    gh_warning("tunnel group \"%s\": %s", group_of(p, slot)->name, text);
    publish(p, slot, "ipsec-slot-moved", text);
    tell_all(p, slot);
}

static bool has_lost(const struct gh_parent *p, size_t group)
{
    for (size_t slot = 0; slot < p->esp.slot_count; slot++)
        if (p->esp.slots[slot].group == group && p->esp.slots[slot].lost)
            return true;
    return false;
}

static void lose(struct gh_parent *p, size_t slot)
{
    struct gh_parent_slot *s = &p->esp.slots[slot];
    bool down = has_lost(p, s->group);
    char text[120];

    if (s->lost)
        return;
    s->lost = true;
    (void)snprintf(text, sizeof(text),
                   "down, for the process of slot %zu cannot be kept running and none stands by",
                   slot);
    gh_error("tunnel group \"%s\": %s", group_of(p, slot)->name, text);
    if (!down)
        publish(p, slot, "tunnel-group-down", text);
}

static void regain(struct gh_parent *p, size_t slot)
{
    struct gh_parent_slot *s = &p->esp.slots[slot];

    if (!s->lost)
        return;
    s->lost = false;
    gh_notice("tunnel group \"%s\": slot %zu is carried again", group_of(p, slot)->name, slot);
    if (!has_lost(p, s->group))
        publish(p, slot, "tunnel-group-up", "up again");
}

void gh_parent_workers_tend(struct gh_parent *p)
{
    for (size_t slot = 0; p->esp.wanted && slot < p->esp.slot_count; slot++) {
        struct gh_parent_worker *spare;

        if (!p->esp.slots[slot].lost)
            continue;
        spare = is_lasting(worker_of(p, slot)) ? NULL : find_spare(p, slot);
        if (spare != NULL)
            take_over(p, slot, spare);
        if (is_lasting(worker_of(p, slot)))
            regain(p, slot);
    }
}

/* ---- A process ------------------------------------------------------------------------------ */

/* Without a slot, it waits for one and knows nothing. */
static void on_started(void *ctx)
{
    struct gh_parent_worker *w = ctx;

    if (w->slot >= 0)
        tell_all(w->parent, (size_t)w->slot);
}

static void on_ended(void *ctx, uint64_t wait)
{
    struct gh_parent_worker *w = ctx;
    struct gh_parent *p = w->parent;
    char name[16];
    struct gh_parent_worker *spare;

    gh_parent_worker_name(w, name);
    if (w->slot < 0) {
        gh_warning("%s starts again %s", name, wait == 0 ? "at once" : "soon");
        return;
    }
    gh_warning("%s starts again %s; packets wait", name, wait == 0 ? "at once" : "soon");
    gh_control_server_refuse_waiting(p->control, GH_ANSWERER_ESP,
                                     "the IPsec engine has just ended and starts again");
    gh_parent_publish(p, "ipsec-restarted",
                      "the IPsec engine ended and is started again; its SAs go on");
    if (w->child.failures < FAILURES)
        return;
    spare = find_spare(p, (size_t)w->slot);
    if (spare != NULL)
        take_over(p, (size_t)w->slot, spare);
    else
        lose(p, (size_t)w->slot);
}

static void start(struct gh_parent_worker *w);

static void on_stopped(void *ctx)
{
    struct gh_parent_worker *w = ctx;
    struct gh_parent *p = w->parent;

    if (p->control != NULL && !p->esp.wanted)
        gh_control_server_refuse_waiting(p->control, GH_ANSWERER_ESP,
                                         "no peer has a child of IPsec any more");
    if (p->stopping)
        gh_parent_child_stopped(p);
    else if (p->esp.wanted && w->used)
        start(w);
}

static bool take_drops(struct gh_parent *p, struct gh_rd *body)
{
    char drops[GH_ESP_DROPS_TEXT], text[GH_ESP_DROPS_TEXT + 80];

    if (!gh_esp_drops_take(body, drops))
        return false;
    (void)snprintf(text, sizeof(text), "packets were dropped, %s; whose: gatectl show ipsec sa",
                   drops);
    gh_warning("IPsec: %s", text);
    gh_parent_publish(p, "ipsec-drops", text);
    return true;
}

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct gh_parent_worker *w = ctx;
    struct gh_parent *p = w->parent;

    switch (frame->type) {
    case GH_MESSAGE_READY:
    case GH_MESSAGE_PONG:
        return true;
    case GH_MESSAGE_CONFIGURED:
        gh_rd_skip(&frame->body, 4);
        return gh_rd_u8(&frame->body) == 1; /* else no memory there: a new one starts with more */
    case GH_MESSAGE_ANSWER:
        return gh_parent_answer(p, GH_ANSWERER_ESP, &frame->body);
    case GH_MESSAGE_DROPS:
        return take_drops(p, &frame->body);
    case GH_MESSAGE_ESP_ROUTE:
        return w->slot >= 0 && gh_parent_esp_route(p, (size_t)w->slot, &frame->body);
    case GH_MESSAGE_ESP_ROUTES_TOLD:
        if (w->slot >= 0)
            gh_parent_esp_routes_told(p, (size_t)w->slot);
        return w->slot >= 0;
    default:
        if (fd >= 0)
            close(fd);
        return false;
    }
}

static bool have_memory(struct gh_parent_slot *s)
{
    if (s->memory < 0)
        s->memory = memfd_create("gatehouse-ipsec", MFD_CLOEXEC);
    if (s->memory >= 0 && ftruncate(s->memory, (off_t)gh_esp_children_memory()) == 0)
        return true;
    gh_error("memory for the SAs of IPsec: %s", strerror(errno));
    if (s->memory >= 0)
        close(s->memory);
    s->memory = -1;
    return false;
}

static void start(struct gh_parent_worker *w)
{
    static const struct gh_child_ops ops = {
        .started = on_started, .ended = on_ended, .stopped = on_stopped, .message = on_message};
    struct gh_parent *p = w->parent;

    give(w, w->slot);
    if (w->slot < 0 || have_memory(&p->esp.slots[w->slot]))
        gh_parent_start_child_of(p, &w->child, "esp", &ops, w);
}

/* ---- The plan in force ---------------------------------------------------------------------- */

/* Nothing is carried yet: everything is as the configuration has it. */
void gh_parent_workers_init(struct gh_parent *p)
{
    const struct gh_ike_config *c = p->config->ike;
    struct gh_parent_esp *e = &p->esp;

    e->slot_count = 0;
    for (size_t i = 0; i < GH_WORKERS; i++) {
        e->workers[i].parent = p;
        e->workers[i].used = false;
        e->workers[i].slot = -1;
    }
    for (size_t i = 0; i < c->group_count; i++) {
        for (size_t k = 0; k < c->groups[i].active; k++) {
            size_t slot = e->slot_count++;

            e->slots[slot] = (struct gh_parent_slot){.group = i, .memory = -1, .worker = slot};
            e->workers[slot].used = true;
            e->workers[slot].group = i;
            e->workers[slot].slot = (int)slot;
        }
    }
}

/* Those without a slot are as many as the group is to have in reserve. */
static void count_spares(struct gh_parent *p, size_t group, size_t want)
{
    for (size_t i = 0; i < GH_WORKERS; i++) {
        struct gh_parent_worker *w = &p->esp.workers[i];

        if (!w->used || w->slot >= 0 || w->group != group)
            continue;
        if (want > 0) {
            want--;
        } else {
            w->used = false;
            (void)gh_child_stop(&w->child);
        }
    }
    for (size_t i = 0; want > 0 && i < GH_WORKERS; i++) {
        struct gh_parent_worker *w = &p->esp.workers[i];

        if (w->used)
            continue;
        w->used = true;
        w->slot = -1;
        w->group = group;
        want--;
    }
}

static void tell(struct gh_parent *p, struct gh_parent_worker *w)
{
    if (w->child.running && w->child.channel != NULL) {
        if (w->slot >= 0)
            send_config(p, (size_t)w->slot, w->child.channel);
    } else if (!gh_child_is_there(&w->child) && !gh_child_is_waiting(&w->child)) {
        start(w); /* else it comes by itself, and is told then */
    }
}

void gh_parent_workers_apply(struct gh_parent *p)
{
    if (!p->esp.wanted) {
        gh_parent_workers_stop(p);
        for (size_t slot = 0; slot < p->esp.slot_count; slot++) {
            if (p->esp.slots[slot].memory >= 0)
                close(p->esp.slots[slot].memory);
            p->esp.slots[slot].memory = -1;
        }
        return;
    }
    for (size_t i = 0; i < p->config->ike->group_count; i++)
        count_spares(p, i, p->config->ike->groups[i].backup);
    for (size_t i = 0; i < GH_WORKERS; i++)
        if (p->esp.workers[i].used)
            tell(p, &p->esp.workers[i]);
}

void gh_parent_workers_stop(struct gh_parent *p)
{
    for (size_t i = 0; i < GH_WORKERS; i++)
        (void)gh_child_stop(&p->esp.workers[i].child);
}

bool gh_parent_workers_run(const struct gh_parent *p)
{
    for (size_t i = 0; i < GH_WORKERS; i++)
        if (gh_child_is_there(&p->esp.workers[i].child))
            return true;
    return false;
}

/* ---- To look at ----------------------------------------------------------------------------- */

/* Nobody carries its packets: of a peer whose clients are spread, none's. */
static bool is_stopped(const struct gh_parent *p, const struct ike2_policy *policy)
{
    for (size_t slot = 0; slot < p->esp.slot_count; slot++)
        if (gh_ike_is_in_slot(policy, (unsigned)slot) && !p->esp.slots[slot].lost)
            return false;
    return true;
}

/* With the names of those whose packets wait, which are few. */
static json_t *show_slot(const struct gh_parent *p, size_t slot)
{
    const struct gh_ike_config *c = p->config->ike;
    const struct gh_parent_slot *s = &p->esp.slots[slot];
    const struct gh_parent_worker *w = &p->esp.workers[s->worker];
    json_t *waiting = json_array();
    size_t peers = 0;

    for (size_t i = 0; i < c->policy_count; i++) {
        if (!gh_ike_has_ipsec(c->policies[i]) || !gh_ike_is_in_slot(c->policies[i], (unsigned)slot))
            continue;
        peers += !gh_ike_is_spread(c->policies[i]);
        if (s->lost && is_stopped(p, c->policies[i]))
            json_array_append_new(waiting, json_string(c->policies[i]->name));
    }
    return json_pack("{s:I, s:s, s:o, s:s, s:I, s:I, s:o}", "slot", (json_int_t)slot, "state",
                     s->lost            ? "lost"
                     : w->child.running ? "active"
                                        : "starting",
                     "pid", w->child.running ? json_integer(w->child.process.pid) : json_null(),
                     "by", s->worker == slot ? "primary" : "backup", "peers", (json_int_t)peers,
                     "starts", (json_int_t)w->child.starts, "down", waiting);
}

static json_t *show_group(const struct gh_parent *p, size_t group)
{
    const struct gh_tunnel_group *g = &p->config->ike->groups[group];
    json_t *slots = json_array(), *spares = json_array();
    size_t active = 0;

    for (size_t slot = 0; slot < p->esp.slot_count; slot++) {
        if (p->esp.slots[slot].group != group)
            continue;
        json_array_append_new(slots, show_slot(p, slot));
        active += !p->esp.slots[slot].lost;
    }
    for (size_t i = 0; i < GH_WORKERS; i++) {
        const struct gh_parent_worker *w = &p->esp.workers[i];

        if (w->used && w->slot < 0 && w->group == group)
            json_array_append_new(
                spares,
                json_pack("{s:o, s:s}", "pid",
                          w->child.running ? json_integer(w->child.process.pid) : json_null(),
                          "state", is_lasting(w) ? "standby" : "failed"));
    }
    return json_pack("{s:I, s:s, s:i, s:i, s:I, s:s, s:s, s:o, s:o}", "id", (json_int_t)group,
                     "name", g->name, "primary", (int)g->active, "backup", (int)g->backup, "active",
                     (json_int_t)active, "admin", p->esp.wanted ? "up" : "down", "oper",
                     p->esp.wanted && !has_lost(p, group) ? "up" : "down", "slots", slots, "spares",
                     spares);
}

json_t *gh_parent_workers_show(const struct gh_parent *p)
{
    json_t *groups = json_array();

    for (size_t i = 0; p->config->ike != NULL && i < p->config->ike->group_count; i++)
        json_array_append_new(groups, show_group(p, i));
    return json_pack("{s:b, s:o}", "ok", 1, "groups", groups);
}
