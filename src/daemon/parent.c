#include "daemon/noted_namespaces.h"
#include "daemon/parent_priv.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/problems_json.h"
#include "control/control.h"
#include "daemon/keep_file.h"
#include "daemon/notify.h"
#include "daemon/state.h"
#include "tcpao/engine.h"
#include "wire/wr.h"

enum {
    PATIENCE_MS = 3000, /* for a queue that an earlier instance still holds */
    TEND_MS = 1000,
    STOP_MS = 2000,
    WATCHDOG_UNANSWERED = 3 /* seconds that `ao` may be silent before systemd is not told */
};

void gh_parent_publish(struct gh_parent *p, const char *event, const char *text)
{
    json_t *object = json_pack("{s:s, s:s}", "event", event, "text", text);
    char time[32];
    size_t len = 0;
    char *line;

    json_object_set_new(object, "time",
                        json_string(gh_time_format(gh_clock_now().wall, time, sizeof(time))));
    line = gh_control_line(object, &len);
    if (line != NULL && p->control != NULL)
        gh_control_server_publish(p->control, line, len);
    free(line);
    json_decref(object);
}

/* ---- What `ao` is told ---------------------------------------------------------------------- */

static void send_state(struct gh_parent *p)
{
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u64(&w, p->state_size);
    gh_channel_send(p->ao.channel, GH_MESSAGE_STATE, body, w.len, p->state);
}

static void send_config(struct gh_parent *p)
{
    uint8_t body[12];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u64(&w, p->setup_len);
    gh_wr_u32(&w, p->generation);
    gh_channel_send(p->ao.channel, GH_MESSAGE_CONFIG, body, w.len, p->setup);
}

static void on_zone_opened(void *ctx, const struct gh_zone *zone)
{
    struct gh_parent *p = ctx;
    uint8_t body[4];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (!zone->dynamic)
        p->rules_due = true;
    gh_wr_u16(&w, zone->index);
    gh_wr_u16(&w, zone->number);
    gh_channel_send(p->ao.channel, GH_MESSAGE_QUEUE, body, w.len, zone->queue);
}

static void on_zone_closed(void *ctx, const struct gh_zone *zone)
{
    struct gh_parent *p = ctx;
    uint8_t body[2];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u16(&w, zone->index);
    gh_parent_unwatch_zone(p, zone); /* first: the number may be another zone's after the close */
    gh_channel_send(p->ao.channel, GH_MESSAGE_QUEUE_CLOSE, body, w.len, -1);
    if (!zone->dynamic)
        p->rules_due = true; /* those of its sockets go, where nothing else keeps it */
}

static void on_zone_leaving(void *ctx, const struct gh_zone *zone)
{
    gh_parent_leave_zone(ctx, zone);
}

static void on_zone_link(void *ctx, const struct gh_zone *zone, const struct gh_link *link)
{
    struct gh_parent *p = ctx;
    uint8_t body[11];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u16(&w, zone->index);
    gh_wr_u32(&w, link->ifindex);
    gh_wr_u32(&w, link->mtu);
    gh_wr_u8(&w, link->is_vrf);
    gh_channel_send(p->ao.channel, GH_MESSAGE_LINK, body, w.len, -1);
}

static void on_ao_started(void *ctx)
{
    struct gh_parent *p = ctx;

    send_state(p);
    for (size_t i = 0; i < p->zones.count; i++)
        if (p->zones.list[i]->queue >= 0)
            on_zone_opened(p, p->zones.list[i]);
    gh_zones_tell_links(&p->zones);
    gh_parent_tell_kept(p);
    send_config(p);
    gh_parent_open_gatekeeper(p);
}

/* ---- The end of a start or of a reload ------------------------------------------------------ */

static void stop(struct gh_parent *p, int status);
static void reload(struct gh_parent *p, uint32_t client);

static void finish_reload(struct gh_parent *p, bool good)
{
    json_t *answer = p->reload_answer;

    p->reload_answer = NULL;
    if (!good) {
        json_object_set_new(answer, "ok", json_false());
        json_object_set_new(answer, "error",
                            json_string("the new configuration is in force, but the firewall rules "
                                        "could not be installed: see the log"));
    }
    if (p->reload_client != 0)
        gh_control_server_answer_json(p->control, p->reload_client, GH_ANSWERER_AO, answer);
    else
        json_decref(answer);
    p->reload_client = 0;
    gh_notice("configuration reloaded from %s", p->options->config);
    gh_parent_publish(p, "reloaded", "a new configuration is in force");
    if (p->reload_again)
        reload(p, 0);
}

static void tell_ready(struct gh_parent *p)
{
    gh_notify("READY=1\nSTATUS=%zu sessions, %zu key chains", p->config->session_count,
              p->config->chain_count);
    if (p->ready)
        return;
    p->ready = true;
    gh_notice("ready: %zu sessions, %zu key chains, rules by %s", p->config->session_count,
              p->config->chain_count, gh_rules_backend_name(p->backend));
    if (p->options->ready != NULL)
        p->options->ready();
}

static bool on_configured(struct gh_parent *p, struct gh_rd *body)
{
    uint32_t generation = gh_rd_u32(body);
    bool good = gh_rd_u8(body) == 1;

    if (!good)
        return false; /* no memory there: a new one starts with more */
    if (generation != p->generation)
        return true;
    good = gh_parent_install_rules(p);
    if (!good && !p->ready)
        stop(p, 1);
    else
        tell_ready(p);
    if (p->reload_answer != NULL)
        finish_reload(p, good);
    else if (p->reload_again && p->ready)
        reload(p, 0);
    return true;
}

static void reload(struct gh_parent *p, uint32_t client)
{
    struct gh_problems problems = {.list = NULL};
    bool good;

    p->reload_again = false;
    gh_notify("RELOADING=1\nMONOTONIC_USEC=%llu",
              (unsigned long long)gh_clock_now().mono_ms * 1000);
    good = gh_parent_load(p, &problems);
    gh_parent_log_problems(&problems);
    if (good) {
        p->reload_client = client;
        gh_control_server_owed(p->control, client, GH_ANSWERER_AO);
        p->reload_answer =
            json_pack("{s:b, s:o}", "ok", 1, "problems", gh_problems_json(&problems));
        gh_zones_open(&p->zones, 0);
        gh_parent_shim_configure(p);
        gh_parent_ike_apply(p);
        send_config(p);
    } else {
        json_t *answer = gh_control_refusal("mend the file and reload again",
                                            "the configuration has errors; the one in force stays");

        json_object_set_new(answer, "problems", gh_problems_json(&problems));
        gh_error("%s has errors; the configuration in force stays", p->options->config);
        if (client != 0)
            gh_control_server_answer_json(p->control, client, GH_ANSWERER_PARENT, answer);
        else
            json_decref(answer);
        tell_ready(p);
    }
    gh_problems_clear(&problems);
}

/* ---- Messages from `ao` --------------------------------------------------------------------- */

bool gh_parent_answer(struct gh_parent *p, enum gh_answerer from, struct gh_rd *body)
{
    uint32_t client = gh_rd_u32(body);
    size_t len = gh_rd_left(body);

    gh_control_server_answer(p->control, client, from, (const char *)gh_rd_bytes(body, len), len);
    return true;
}

bool gh_parent_tell_monitors(struct gh_parent *p, struct gh_rd *body)
{
    size_t len = gh_rd_left(body);

    if (p->control != NULL)
        gh_control_server_publish(p->control, (const char *)gh_rd_bytes(body, len), len);
    return true;
}

static bool on_ao_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct gh_parent *p = ctx;

    switch (frame->type) {
    case GH_MESSAGE_READY:
    case GH_MESSAGE_PONG:
        return true;
    case GH_MESSAGE_CONFIGURED:
        return on_configured(p, &frame->body);
    case GH_MESSAGE_ANSWER:
        return gh_parent_answer(p, GH_ANSWERER_AO, &frame->body);
    case GH_MESSAGE_ABORT:
        return gh_parent_abort(p, &frame->body);
    case GH_MESSAGE_LOOKUP:
        return gh_parent_lookup(p, &frame->body);
    case GH_MESSAGE_ZONE:
        return gh_parent_zone(p, &frame->body, fd);
    case GH_MESSAGE_FLOWS:
        return gh_parent_flows(p, &frame->body);
    case GH_MESSAGE_FETCH:
        return gh_parent_fetch(p, &frame->body);
    case GH_MESSAGE_WATCH:
        return gh_parent_watch(p, &frame->body);
    case GH_MESSAGE_KEEP:
        return gh_parent_keep(p, &frame->body);
    case GH_MESSAGE_FORGET:
        return gh_parent_forget(p, &frame->body);
    case GH_MESSAGE_EVENT:
        return gh_parent_tell_monitors(p, &frame->body);
    default:
        return false;
    }
}

static void on_ao_ended(void *ctx, uint64_t wait)
{
    struct gh_parent *p = ctx;

    gh_warning("ao starts again %s; segments wait meanwhile", wait == 0 ? "at once" : "soon");
    p->reload_client = 0;
    gh_parent_shim_end_all(p);
    gh_parent_forget_asked(p);
    gh_control_server_refuse_waiting(p->control, GH_ANSWERER_AO,
                                     "the engine has just ended and starts again");
    gh_parent_publish(p, "engine-restarted",
                      "the engine ended and is started again; connections go on");
}

static void on_ao_stopped(void *ctx)
{
    gh_parent_child_stopped(ctx);
}

void gh_parent_child_stopped(struct gh_parent *p)
{
    if (p->stopping && !gh_child_is_there(&p->ao) && !gh_parent_ike_runs(p) &&
        !gh_parent_esp_runs(p))
        uv_stop(&p->loop);
}

/* ---- Control -------------------------------------------------------------------------------- */

void gh_parent_forward(struct gh_parent *p, struct gh_child *child, uint32_t client,
                       enum gh_answerer from, const char *line, size_t len)
{
    uint8_t body[4 + GH_REQUEST_MAX];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u32(&w, client);
    gh_wr_bytes(&w, line, len);
    if (gh_wr_ok(&w) && gh_channel_send(child->channel, GH_MESSAGE_REQUEST, body, w.len, -1))
        gh_control_server_owed(p->control, client, from);
    else
        gh_control_server_answer_json(
            p->control, client, GH_ANSWERER_PARENT,
            gh_control_refusal("try again", "the process for it is just starting again"));
}

static void on_request(void *ctx, uint32_t client, const json_t *request, const char *line,
                       size_t len)
{
    struct gh_parent *p = ctx;
    const char *op = gh_control_op(request);

    if (strcmp(op, "monitor") == 0) {
        gh_control_server_answer_json(p->control, client, GH_ANSWERER_PARENT,
                                      json_pack("{s:b}", "ok", 1));
        gh_control_server_subscribe(p->control, client);
        gh_parent_tell_ike_of_monitors(p);
        return;
    }
    if (strcmp(op, "show-processes") == 0) {
        gh_control_server_answer_json(p->control, client, GH_ANSWERER_PARENT,
                                      gh_parent_processes(p));
        return;
    }
    if (strcmp(op, "reload") == 0 && p->reload_answer == NULL) {
        reload(p, client);
        return;
    }
    if (strcmp(op, "reload") == 0) {
        gh_control_server_answer_json(p->control, client, GH_ANSWERER_PARENT,
                                      gh_control_refusal("try again", "a reload is under way"));
        return;
    }
    if (gh_parent_ike_request(p, client, request, line, len) ||
        gh_parent_esp_request(p, client, request, line, len))
        return;
    gh_parent_forward(p, &p->ao, client, GH_ANSWERER_AO, line, len);
}

/* ---- Time and signals ----------------------------------------------------------------------- */

static void save_kept(struct gh_parent *p)
{
    if (p->keep.changed && gh_keep_save(&p->keep, p->options->run_directory))
        p->keep.changed = false;
}

static void on_tend(uv_timer_t *timer)
{
    struct gh_parent *p = timer->data;

    gh_zones_open(&p->zones, 0);
    if (p->ready)
        gh_parent_install_rules(p);
    gh_parent_ike_tend(p);
    save_kept(p);
    gh_parent_look_after_orphans(p);
    gh_parent_save_orphans(p);
}

static void on_watchdog(uv_timer_t *timer)
{
    struct gh_parent *p = timer->data;

    if (p->ao.unanswered <= WATCHDOG_UNANSWERED)
        gh_notify("WATCHDOG=1");
}

static void on_late(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void stop(struct gh_parent *p, int status)
{
    if (p->stopping)
        return;
    p->stopping = true;
    p->status = status;
    gh_notify("STOPPING=1");
    if (p->ready)
        gh_notice("stopping; the firewall rules stay, so that nothing passes unprotected "
                  "(gatehoused --remove-rules takes them away)");
    gh_child_stop(&p->ao);
    gh_parent_ike_stop(p);
    gh_parent_esp_stop(p);
    gh_parent_shim_close(p);
    gh_control_server_close(p->control);
    p->control = NULL;
    p->reload_client = 0;
    uv_timer_start(
        &p->tend, on_late,
        gh_child_is_there(&p->ao) || gh_parent_ike_runs(p) || gh_parent_esp_runs(p) ? STOP_MS : 0,
        0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct gh_parent *p = handle->data;

    if (number != SIGHUP)
        stop(p, 0);
    else if (p->reload_answer == NULL && p->ready)
        reload(p, 0);
    else
        p->reload_again = true;
}

/* ---- Life ----------------------------------------------------------------------------------- */

static bool start_loop(struct gh_parent *p)
{
    uv_signal_t *signals[] = {&p->hup, &p->term, &p->interrupt};
    const int numbers[] = {SIGHUP, SIGTERM, SIGINT};

    if (uv_loop_init(&p->loop) != 0)
        return false;
    p->began = uv_now(&p->loop);
    for (size_t i = 0; i < 3; i++) {
        uv_signal_init(&p->loop, signals[i]);
        signals[i]->data = p;
        uv_signal_start(signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(&p->loop, &p->tend);
    uv_timer_init(&p->loop, &p->watchdog);
    uv_timer_init(&p->loop, &p->flows_due);
    uv_timer_init(&p->loop, &p->watch_sweep);
    p->tend.data = p->watchdog.data = p->flows_due.data = p->watch_sweep.data = p;
    p->guard = gh_rules_guard_new(&p->loop, gh_parent_restore_rules, p);
    return p->guard != NULL;
}

static bool load_first(struct gh_parent *p)
{
    struct gh_problems problems = {.list = NULL};
    bool good = gh_parent_load(p, &problems);

    gh_parent_log_problems(&problems);
    gh_problems_clear(&problems);
    return good;
}

static bool open_state(struct gh_parent *p)
{
    char path[GH_PATH];

    p->state_size = ao_engine_memory_size(p->config->max_connections);
    if (!gh_rundir_path(p->options->run_directory, "state", path))
        return false;
    p->state = gh_state_open(path, p->state_size);
    if (p->state < 0)
        gh_error("%s: %s", path, strerror(-p->state));
    return p->state >= 0;
}

static bool open_control(struct gh_parent *p)
{
    const struct group *group = getgrnam("gatehouse");
    char path[GH_PATH];

    if (!gh_rundir_path(p->options->run_directory, "control.sock", path))
        return false;
    p->control =
        gh_control_server_new(&p->loop, path, group != NULL ? group->gr_gid : 0, on_request, p);
    return p->control != NULL;
}

/* The queues come before the rules: from the first steered segment on there is who takes it. */
static bool open_zones(struct gh_parent *p)
{
    static const struct gh_zones_ops ops = {.opened = on_zone_opened,
                                            .closed = on_zone_closed,
                                            .leaving = on_zone_leaving,
                                            .link = on_zone_link};

    p->zones.loop = &p->loop;
    p->zones.ops = &ops;
    p->zones.ctx = p;
    p->zones.length = p->config->queue_length;
    gh_zones_adopt(&p->zones);
    gh_zones_open(&p->zones, PATIENCE_MS);
    gh_zones_drop_stored(&p->zones);
    for (size_t i = 0; i < p->zones.count; i++)
        if (p->zones.list[i]->taken)
            return false; /* segments must not be steered to somebody else */
    return true;
}

static bool start_ao(struct gh_parent *p)
{
    static const struct gh_child_ops ops = {.started = on_ao_started,
                                            .ended = on_ao_ended,
                                            .stopped = on_ao_stopped,
                                            .message = on_ao_message};

    p->ao.loop = &p->loop;
    p->ao.role = "ao";
    p->ao.log_level = p->options->log_level;
    p->ao.emulate_ao = p->options->emulate_ao;
    p->ao.lock = p->lock;
    p->ao.ops = &ops;
    p->ao.ctx = p;
    return gh_parent_find_user(p->config, &p->ao.uid, &p->ao.gid) && gh_child_start(&p->ao);
}

int gh_parent_main(const struct gh_parent_options *options)
{
    struct gh_parent p = {.options = options, .state = -1, .setup = -1};
    uint64_t watchdog = gh_notify_watchdog();

    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_DUMPABLE, 0);
    gh_parent_ike_init(&p);
    p.lock = gh_rundir_lock(options->run_directory);
    if (p.lock >= 0) {
        gh_keep_load(&p.keep, options->run_directory);
        gh_parent_load_orphans(&p);
        (void)gh_noted_namespaces(options->run_directory, gh_parent_devices_remove,
                                  (void *)(uintptr_t)options->run_directory);
    }
    if (p.lock < 0 || !start_loop(&p) || !load_first(&p) || !gh_parent_choose_rules(&p) ||
        !open_state(&p) || !open_control(&p) || !gh_parent_shim_open(&p) || !open_zones(&p) ||
        !start_ao(&p))
        return 1;
    gh_parent_ike_apply(&p);
    gh_rules_note_load(&p.note, options->run_directory);
    uv_timer_start(&p.tend, on_tend, TEND_MS, TEND_MS);
    if (watchdog > 0)
        uv_timer_start(&p.watchdog, on_watchdog, watchdog, watchdog);
    uv_run(&p.loop, UV_RUN_DEFAULT);
    save_kept(&p);
    gh_parent_save_orphans(&p);
    gh_parent_ike_end(&p);
    gh_orphans_clear(&p.orphans);
    gh_keep_clear(&p.keep);
    return p.status;
}
