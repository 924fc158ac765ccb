#include "daemon/ao.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "control/control.h"
#include "daemon/ao_facts.h"
#include "daemon/ao_gatekeeper.h"
#include "daemon/ao_hold.h"
#include "daemon/ao_sockets.h"
#include "daemon/channel.h"
#include "daemon/child.h"
#include "daemon/ends.h"
#include "daemon/mtus.h"
#include "daemon/policies.h"
#include "daemon/sandbox.h"
#include "daemon/state.h"
#include "platform/nfqueue.h"
#include "tcpao/engine.h"
#include "wire/wr.h"

enum {
    BATCHES_A_TURN = 16,         /* of one queue, before others and the parent get theirs */
    FLUSH_MS = 5,                /* of a flood a program does not await the end */
    TICK_MAX = 1000,             /* milliseconds: the wall clock may be set at any time */
    EVENTS_WAITING = 4 * 1048576 /* octets: beyond, a parent that does not read loses events */
};

struct ao;

struct queue {
    uv_poll_t poll; /* first */
    struct ao *ao;
    struct queue *next;
    uint16_t zone;
    struct gh_nfqueue q;
    struct gh_mtus mtus;
};

struct ao {
    uv_loop_t loop;
    uv_timer_t timer;
    struct gh_channel *parent;
    struct gh_now started, now; /* now: frozen for a batch of packets */
    void *memory;
    size_t memory_len;
    struct ao_engine *engine;
    struct gh_setup setup;
    struct gh_ao_sockets *sockets;
    struct gh_ao_gatekeeper *gatekeeper;
    struct gh_ao_hold *hold;
    bool kernel_has_md5;
    struct queue *queues;
    struct gh_nfqueue_batch *batch;
};

/* ---- Packets -------------------------------------------------------------------------------- */

static void set_timer(struct ao *ao, struct gh_now now);

static void hold(struct queue *queue, const struct gh_nfqueue_packet *packet,
                 const struct ao_packet *p, struct ao_result *result)
{
    struct ao *ao = queue->ao;
    const struct gh_held held = {.zone = queue->zone,
                                 .id = packet->id,
                                 .way = p->way,
                                 .mtu = p->mtu,
                                 .data = (uint8_t *)(uintptr_t)p->data,
                                 .len = p->len,
                                 .session = result->session};

    if (!gh_ao_hold_add(ao->hold, ao->now.mono_ms, &held)) {
        result->verdict = AO_DROP;
        return;
    }
    if (p->way == AO_OUT)
        gh_ao_gatekeeper_needed(ao->gatekeeper, result->session);
    else
        gh_ao_gatekeeper_called(ao->gatekeeper, result->session);
    set_timer(ao, ao->now);
}

static void on_packet(void *ctx, const struct gh_nfqueue_packet *packet, struct ao_result *result)
{
    struct queue *queue = ctx;
    struct ao_packet p = {.way = packet->way,
                          .zone = queue->zone,
                          .mtu = gh_mtus_get(&queue->mtus, packet->ifindex),
                          .data = packet->data,
                          .len = packet->len};

    ao_engine_packet(queue->ao->engine, queue->ao->now, &p, result);
    if (result->verdict == AO_HOLD)
        hold(queue, packet, &p, result);
}

/* False: there was nothing in it. */
static bool run_queue(struct queue *queue)
{
    struct ao *ao = queue->ao;
    size_t i = 0;
    int n = 1;

    for (; n > 0 && i < BATCHES_A_TURN; i++) {
        ao->now = gh_clock_now();
        n = gh_nfqueue_run(&queue->q, ao->batch, on_packet, queue);
        if (n > 0)
            gh_ao_sockets_counted(ao->sockets, queue->zone, ao->now, queue->q.judged_ns);
    }
    if (n < 0)
        gh_error("queue %u: %s", queue->q.number, strerror(-n));
    return n > 0 || i > 1;
}

static void on_queue(uv_poll_t *poll, int status, int events)
{
    run_queue((struct queue *)poll);
}

/* A segment that leaves one queue may come to another: of the same namespace over loopback, or of
 * its peer's. All must be empty in the same round. */
static void flush_queues(void *ctx)
{
    struct ao *ao = ctx;
    uint64_t end = gh_clock_now().mono_ms + FLUSH_MS;
    bool any = true;

    while (any && gh_clock_now().mono_ms < end) {
        any = false;
        for (struct queue *q = ao->queues; q != NULL; q = q->next)
            if (uv_is_active((uv_handle_t *)&q->poll) && run_queue(q))
                any = true;
    }
}

static struct queue *queue_of(struct ao *ao, uint16_t zone)
{
    for (struct queue *q = ao->queues; q != NULL; q = q->next)
        if (q->zone == zone)
            return q;
    return NULL;
}

/* A SYN that was held goes on, or has waited for too long. */
static bool on_held(void *ctx, const struct gh_held *held, bool again)
{
    struct ao *ao = ctx;
    struct queue *queue = queue_of(ao, held->zone);
    const struct ao_packet p = {.way = held->way,
                                .zone = held->zone,
                                .mtu = held->mtu,
                                .data = held->data,
                                .len = held->len};
    struct ao_result result = {.verdict = AO_DROP};

    if (queue == NULL)
        return true;
    if (again)
        ao_engine_packet(ao->engine, gh_clock_now(), &p, &result);
    if (result.verdict == AO_HOLD)
        return false;
    gh_nfqueue_answer(&queue->q, held->id, held->data, held->len, &result);
    if (again && held->way == AO_OUT && result.verdict == AO_REPLACE)
        gh_ao_gatekeeper_signed(ao->gatekeeper, held->session);
    return true;
}

/* First to the sockets, where the kernel carries the session. */
static void on_keys_changed(void *ctx, const char *session)
{
    struct ao *ao = ctx;

    gh_ao_sockets_keys_changed(ao->sockets, gh_clock_now(), session);
}

static void on_in_line(void *ctx, const char *session)
{
    struct ao *ao = ctx;

    gh_ao_hold_release(ao->hold, session);
}

static void on_queue_closed(uv_handle_t *handle)
{
    struct queue *queue = (struct queue *)handle;

    close(queue->q.fd);
    gh_mtus_clear(&queue->mtus);
    free(queue);
}

static bool close_queue(struct ao *ao, uint16_t zone)
{
    struct queue **at = &ao->queues, *queue;

    while (*at != NULL && (*at)->zone != zone)
        at = &(*at)->next;
    queue = *at;
    if (queue != NULL) {
        *at = queue->next;
        uv_poll_stop(&queue->poll);
        uv_close((uv_handle_t *)&queue->poll, on_queue_closed);
    }
    return true;
}

static bool close_zone(struct ao *ao, uint16_t zone)
{
    gh_ao_hold_forget(ao->hold, zone);
    gh_ao_sockets_zone_closed(ao->sockets, zone);
    return close_queue(ao, zone);
}

/* Queues are read once there are policies: a packet must not pass for want of them. */
static void read_queues(struct ao *ao)
{
    for (struct queue *q = ao->queues; q != NULL && ao->engine != NULL; q = q->next)
        if (!uv_is_active((uv_handle_t *)&q->poll))
            uv_poll_start(&q->poll, UV_READABLE, on_queue);
}

/* ---- Time and events ------------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer);

static void set_timer(struct ao *ao, struct gh_now now)
{
    uint64_t sockets = gh_ao_sockets_next_deadline(ao->sockets, now);
    uint64_t deadline = ao_engine_next_deadline(ao->engine, now);
    uint64_t wait;

    if (sockets < deadline)
        deadline = sockets;
    if (gh_ao_hold_next_deadline(ao->hold) < deadline)
        deadline = gh_ao_hold_next_deadline(ao->hold);
    wait = deadline > now.mono_ms ? deadline - now.mono_ms : 0;
    uv_timer_start(&ao->timer, on_timer, wait < TICK_MAX ? wait : TICK_MAX, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct ao *ao = timer->data;
    struct gh_now now = gh_clock_now();

    if (ao_engine_next_deadline(ao->engine, now) <= now.mono_ms)
        ao_engine_tick(ao->engine, now);
    gh_ao_sockets_tick(ao->sockets, now);
    gh_ao_hold_tick(ao->hold, now.mono_ms);
    gh_ao_gatekeeper_tick(ao->gatekeeper, now, ao->engine);
    set_timer(ao, now);
}

static enum gh_log_level level_of(enum ao_event_kind kind)
{
    switch (kind) {
    case AO_EVENT_CHAIN_EXPIRED:
        return GH_LOG_ERROR;
    case AO_EVENT_SEGMENT_REFUSED:
    case AO_EVENT_DOWNGRADE:
    case AO_EVENT_NO_HANDSHAKE:
    case AO_EVENT_CHAIN_EXPIRING:
        return GH_LOG_WARNING;
    case AO_EVENT_CONNECTION_OPENING:
        return GH_LOG_INFO;
    default:
        return GH_LOG_NOTICE;
    }
}

static void on_event(void *ctx, const struct ao_event *event)
{
    struct ao *ao = ctx;
    json_t *object = gh_control_event(event);
    size_t len = 0;
    char *line = object != NULL ? gh_control_line(object, &len) : NULL;

    gh_log(level_of(event->kind), "%s: %s", event->session, event->text);
    gh_ao_gatekeeper_event(ao->gatekeeper, event);
    if (line != NULL && ao->parent->out_len < EVENTS_WAITING)
        gh_channel_send(ao->parent, GH_MESSAGE_EVENT, line, len, -1);
    free(line);
    json_decref(object);
}

static void on_abort(void *ctx, uint16_t zone, const struct tcpao_endpoint *local,
                     const struct tcpao_endpoint *remote)
{
    struct ao *ao = ctx;
    uint8_t body[GH_ENDS_MAX];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_ends_put(&w, zone, local, remote);
    gh_channel_send(ao->parent, GH_MESSAGE_ABORT, body, w.len, -1);
}

static void on_lookup(void *ctx, uint16_t zone, const struct tcpao_endpoint *local,
                      const struct tcpao_endpoint *remote)
{
    struct ao *ao = ctx;
    uint8_t body[GH_ENDS_MAX];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_ends_put(&w, zone, local, remote);
    if (ao->parent->out_len < EVENTS_WAITING)
        gh_channel_send(ao->parent, GH_MESSAGE_LOOKUP, body, w.len, -1);
}

/* ---- The parent's messages ------------------------------------------------------------------ */

static bool map_state(struct ao *ao, struct gh_rd *body, int fd)
{
    uint64_t size = gh_rd_u64(body);

    if (ao->memory == NULL) {
        ao->memory = gh_state_map(fd, size);
        ao->memory_len = size;
    }
    close(fd);
    if (ao->memory == NULL)
        gh_error("cannot map the state file: %s", strerror(errno));
    return ao->memory != NULL;
}

static bool make_engine(struct ao *ao, struct gh_now now, uint32_t max_connections)
{
    struct ao_engine_settings settings = {.max_connections = max_connections,
                                          .event = on_event,
                                          .abort = on_abort,
                                          .lookup = on_lookup,
                                          .event_ctx = ao,
                                          .kernel_has_md5 = ao->kernel_has_md5,
                                          .memory = ao->memory,
                                          .memory_len = ao->memory_len};

    if (ao->engine != NULL)
        return true;
    ao->engine = ao_engine_new(&settings);
    return ao->engine != NULL && gh_ao_sockets_start(ao->sockets, now, ao->engine);
}

static struct tcpao_chain *chain_of(void *ctx, const char *session, struct tcpao_chain *fallback)
{
    struct ao *ao = ctx;

    return gh_ao_gatekeeper_chain(ao->gatekeeper, session, fallback);
}

static bool configure(struct ao *ao, struct gh_rd *body, int fd)
{
    const struct gh_negotiated_chains negotiated = {.chain_of = chain_of, .ctx = ao};
    size_t len = gh_rd_u64(body);
    uint32_t generation = gh_rd_u32(body);
    struct gh_now now = gh_clock_now();
    uint8_t answer[5];
    struct gh_wr w = gh_wr_make(answer, sizeof(answer));
    struct gh_setup next, before;
    bool good = gh_setup_open(fd, len, &next);

    close(fd);
    if (!good)
        return false;
    good = make_engine(ao, now, next.config->max_connections) &&
           gh_policies_apply(ao->engine, now, &next, &negotiated);
    if (good) {
        before = ao->setup;
        ao->setup = next;
        gh_ao_sockets_configure(ao->sockets, now, &ao->setup);
        gh_setup_clear(&before);
        gh_ao_gatekeeper_sweep(ao->gatekeeper);
        read_queues(ao);
        set_timer(ao, now);
    } else {
        gh_setup_clear(&next);
    }
    gh_wr_u32(&w, generation);
    gh_wr_u8(&w, good);
    gh_channel_send(ao->parent, GH_MESSAGE_CONFIGURED, answer, w.len, -1);
    return true;
}

static bool add_queue(struct ao *ao, struct gh_rd *body, int fd)
{
    uint16_t zone = gh_rd_u16(body), number = gh_rd_u16(body);
    struct queue *queue = calloc(1, sizeof(*queue));

    close_queue(ao, zone);
    if (queue == NULL || uv_poll_init(&ao->loop, &queue->poll, fd) != 0) {
        gh_error("queue %u: cannot poll it", number);
        close(fd);
        free(queue);
        return false;
    }
    queue->ao = ao;
    queue->zone = zone;
    queue->q = gh_nfqueue_make(fd, number);
    queue->next = ao->queues;
    ao->queues = queue;
    gh_ao_sockets_zone_opened(ao->sockets, zone);
    read_queues(ao);
    return true;
}

static bool set_link(struct ao *ao, struct gh_rd *body)
{
    uint16_t zone = gh_rd_u16(body);
    uint32_t ifindex = gh_rd_u32(body), mtu = gh_rd_u32(body);
    bool vrf = gh_rd_u8(body) == 1;
    struct queue *queue = queue_of(ao, zone);

    gh_ao_sockets_link(ao->sockets, zone, ifindex, mtu, vrf);
    return queue == NULL || gh_mtus_set(&queue->mtus, ifindex, mtu);
}

static bool take_gone(struct ao *ao, struct gh_rd *body)
{
    uint8_t closing = gh_rd_u8(body);
    struct gh_ends ends;

    if (!gh_ends_take(body, &ends) || closing > 1)
        return false;
    if (ao->engine != NULL)
        ao_engine_local_gone(ao->engine, gh_clock_now(), ends.zone, &ends.local, &ends.remote,
                             closing == 1);
    return true;
}

static json_t *answer_request(struct ao *ao, const char *line, size_t len)
{
    struct gh_control_view view = {.config = ao->setup.config,
                                   .engine = ao->engine,
                                   .version = GH_VERSION,
                                   .started = ao->started,
                                   .carrier = gh_ao_sockets_carrier,
                                   .carrier_ctx = ao->sockets};
    json_t *refusal, *request = gh_control_parse(line, len, &refusal), *answer;

    if (request == NULL)
        return refusal;
    if (ao->engine == NULL)
        answer = gh_control_refusal("try again", "the engine has no configuration yet");
    else
        answer = gh_control_handle(&view, gh_clock_now(), request);
    json_decref(request);
    return answer;
}

static bool handle_request(struct ao *ao, struct gh_rd *body)
{
    const uint8_t *client = gh_rd_bytes(body, 4);
    size_t len = gh_rd_left(body), answer_len = 0;
    json_t *answer = answer_request(ao, (const char *)gh_rd_bytes(body, len), len);
    char *line = answer != NULL ? gh_control_line(answer, &answer_len) : NULL;
    uint8_t *message = line != NULL ? malloc(4 + answer_len) : NULL;

    if (message != NULL) {
        memcpy(message, client, 4);
        memcpy(message + 4, line, answer_len);
        gh_channel_send(ao->parent, GH_MESSAGE_ANSWER, message, 4 + answer_len, -1);
    }
    free(message);
    free(line);
    json_decref(answer);
    return message != NULL;
}

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct ao *ao = ctx;

    switch (frame->type) {
    case GH_MESSAGE_STATE:
        return map_state(ao, &frame->body, fd);
    case GH_MESSAGE_CONFIG:
        return configure(ao, &frame->body, fd);
    case GH_MESSAGE_QUEUE:
        return add_queue(ao, &frame->body, fd);
    case GH_MESSAGE_QUEUE_CLOSE:
        return close_zone(ao, gh_rd_u16(&frame->body));
    case GH_MESSAGE_LINK:
        return set_link(ao, &frame->body);
    case GH_MESSAGE_REQUEST:
        return handle_request(ao, &frame->body);
    case GH_MESSAGE_GONE:
        return take_gone(ao, &frame->body);
    case GH_MESSAGE_GATEKEEPER:
        gh_ao_gatekeeper_open(ao->gatekeeper, gh_clock_now(), ao->engine, fd);
        return true;
    case GH_MESSAGE_PING:
        return gh_channel_send(ao->parent, GH_MESSAGE_PONG, NULL, 0, -1);
    default:
        return gh_ao_sockets_message(ao->sockets, frame, fd);
    }
}

/* Without a parent there is no one to restart us or to hold the queues: the next one takes over. */
static void on_broken(void *ctx, const char *why)
{
    gh_notice("the parent: %s; ending", why);
    _exit(0);
}

/* ---- Life ----------------------------------------------------------------------------------- */

/* Uses each library once: libcrypto, jansson (which seeds its hashes) and the C library (which
 * looks for the time zone) open files when they are first used, and inside the sandbox they may
 * not. */
static bool warm_up(void)
{
    static const enum tcpao_alg algorithms[] = {TCPAO_HMAC_SHA_1, TCPAO_AES_128_CMAC,
                                                TCPAO_HMAC_SHA_256};
    const struct tcpao_endpoint end = {.addr_len = 4};
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX], mac[TCPAO_MAC_MAX];
    const uint8_t header[40] = {[12] = 9 << 4, [20] = TCPAO_OPTION_KIND, [21] = 16};

    tzset();
    json_object_seed(0);
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        if (tcpao_kdf(algorithms[i], (const uint8_t *)"warm-up", 7, &end, &end, 1, 2, key) !=
                TCPAO_OK ||
            tcpao_segment_mac(algorithms[i], key, true, 12, &end, &end, 0, header, 36, NULL, 0,
                              mac) != TCPAO_OK) {
            gh_error("libcrypto does not offer %s", tcpao_alg_name(algorithms[i], 12));
            return false;
        }
    }
    return true;
}

/* On a busy CPU each segment would wake us before the next is written, and take the CPU from the
 * routing daemon that writes them. A batch process waits for its turn, a few milliseconds at most,
 * and then finds many segments at once; on an idle CPU it runs at once as before. */
static void run_in_batches(void)
{
    const struct sched_param none = {0};

    if (sched_setscheduler(0, SCHED_BATCH, &none) != 0)
        gh_warning("cannot schedule as a batch process: %s", strerror(errno));
}

int gh_ao_main(uid_t uid, gid_t gid, bool emulate)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    static const struct gh_ao_gatekeeper_ops gatekeeper_ops = {.keys_changed = on_keys_changed};
    struct ao ao = {.started = gh_clock_now(), .batch = gh_nfqueue_batch_new()};
    bool kernel_has_ao;

    /* The parent says when to end, by closing the channel. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "gatehoused-ao"); /* else it is called after /proc/self/exe */
    if (ao.batch == NULL || uv_loop_init(&ao.loop) != 0 || uv_timer_init(&ao.loop, &ao.timer) != 0)
        return 1;
    ao.timer.data = &ao;
    run_in_batches();
    kernel_has_ao = !emulate && gh_kernel_has_ao();
    ao.kernel_has_md5 = gh_facts_kernel_has_md5();
    if (!warm_up() || !gh_sandbox_enter(GH_SANDBOX_AO, uid, gid))
        return 1;
    ao.parent = gh_channel_new(&ao.loop, GH_CHILD_CHANNEL_FD, GH_TO_AO, &ops, &ao);
    ao.sockets = gh_ao_sockets_new(
        &ao.loop, ao.parent, kernel_has_ao,
        &(struct gh_ao_sockets_ops){.flush = flush_queues, .in_line = on_in_line, .ctx = &ao});
    ao.gatekeeper = gh_ao_gatekeeper_new(&ao.loop, &gatekeeper_ops, &ao);
    ao.hold = gh_ao_hold_new(on_held, &ao);
    if (ao.parent == NULL || ao.sockets == NULL || ao.gatekeeper == NULL || ao.hold == NULL ||
        !gh_channel_send(ao.parent, GH_MESSAGE_READY, NULL, 0, -1))
        return 1;
    return uv_run(&ao.loop, UV_RUN_DEFAULT);
}
