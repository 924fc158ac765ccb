#include "daemon/ao_sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "daemon/ao_cookies.h"
#include "daemon/ao_facts.h"
#include "daemon/ao_md5.h"
#include "daemon/ao_shim.h"
#include "daemon/ao_steer.h"
#include "daemon/ao_zones.h"
#include "daemon/keep.h"
#include "daemon/socket_flows.h"
#include "tcpao/engine.h"
#include "wire/wr.h"

enum {
    OPTMEM_DEFAULT = 131072, /* net.core.optmem_max where the library could not read it */
    OPTMEM_MOST = 1048576,   /* whatever a program says that it has read: some 5000 keys */
    PENDING_MS = 20,
    STRICT_MS = 60 * 1000,    /* after somebody read a namespace's counters */
    FLOWS_ROOM = 1024 * 1024, /* octets of one FLOWS */
    OUTCOME_MAX = GH_SHIM_BODY_MAX
};

/* What a request will be answered once the parent has done its part. */
struct outcome {
    enum gh_shim_action action;
    int error;
    uint8_t *body; /* owned; wiped */
    size_t len, reported;
};

enum wait_kind { WAIT_ZONE, WAIT_FLOWS, WAIT_WATCH };

struct wait {
    struct wait *next;
    enum wait_kind kind;
    uint32_t id;
    uint32_t client;
    uint64_t netns; /* WAIT_ZONE: of the socket */
    uint16_t zone;  /* WAIT_FLOWS: whose */
    struct outcome outcome;
};

struct kept {
    struct kept *next;
    uint64_t cookie;
    size_t len;
    uint8_t data[];
};

struct gh_ao_sockets {
    uv_loop_t *loop;
    struct gh_channel *parent;
    bool kernel_has_ao;
    gh_ao_flush_fn flush;
    void *flush_ctx;
    struct ao_engine *engine;
    struct emu *emu;
    struct gh_kernel *kernel;
    const struct gh_setup *setup;
    struct gh_shim_server *server;
    struct gh_ao_zones zones;
    struct gh_md5_list md5;
    struct gh_cookies watched;
    struct wait *waits;
    uint32_t next_id;
    bool watching;          /* the request under way has made the parent watch its socket */
    struct kept *kept;      /* until there is an engine */
    struct gh_keep pending; /* to be told to the parent */
    uv_timer_t pending_timer;
    uint8_t *flows; /* [FLOWS_ROOM] */
};

/* ---- What the parent is asked for ----------------------------------------------------------- */

static struct wait *add_wait(struct gh_ao_sockets *s, enum wait_kind kind, uint32_t client)
{
    struct wait *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->kind = kind;
    if (++s->next_id == 0)
        s->next_id = 1; /* 0: nobody waits */
    w->id = s->next_id;
    w->client = client;
    w->next = s->waits;
    s->waits = w;
    return w;
}

static struct wait *take_wait(struct gh_ao_sockets *s, enum wait_kind kind, uint32_t id)
{
    struct wait **at = &s->waits, *w;

    while (*at != NULL && ((*at)->kind != kind || (*at)->id != id))
        at = &(*at)->next;
    w = *at;
    if (w != NULL)
        *at = w->next;
    return w;
}

static void fetch(void *ctx, uint32_t id, uint32_t pid, uint64_t cookie, uint64_t inode)
{
    struct gh_ao_sockets *s = ctx;
    uint8_t body[24];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u32(&w, id);
    gh_wr_u32(&w, pid);
    gh_wr_u64(&w, cookie);
    gh_wr_u64(&w, inode);
    gh_channel_send(s->parent, GH_MESSAGE_FETCH, body, w.len, -1);
}

static void watch(void *ctx, uint16_t zone, uint64_t cookie)
{
    struct gh_ao_sockets *s = ctx;
    uint8_t body[10];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (!gh_cookies_add(&s->watched, cookie))
        return;
    gh_wr_u16(&w, zone);
    gh_wr_u64(&w, cookie);
    gh_channel_send(s->parent, GH_MESSAGE_WATCH, body, w.len, -1);
    s->watching = true;
}

/* Secrets pass through: each copy is wiped. */
static void send_kept(struct gh_ao_sockets *s, enum gh_message message, const struct gh_kept *k)
{
    size_t size = sizeof(k->cookie) + k->len;
    uint8_t *body = size <= GH_KEEP_MAX ? malloc(size) : NULL;
    struct gh_wr w = gh_wr_make(body, size);

    if (body == NULL) {
        gh_warning("a socket's keys are too many to be kept over a restart");
        return;
    }
    gh_wr_u64(&w, k->cookie);
    gh_wr_bytes(&w, k->data, k->len);
    gh_channel_send(s->parent, message, body, w.len, -1);
    gh_wipe(body, size);
    free(body);
}

static void send_pending(struct gh_ao_sockets *s)
{
    for (size_t i = 0; i < s->pending.count; i++)
        send_kept(s, GH_MESSAGE_KEEP, &s->pending.list[i]);
    gh_keep_clear(&s->pending);
}

static void on_pending(uv_timer_t *timer)
{
    send_pending(timer->data);
}

/* What a successor of this process goes on from. A program that sets many keys changes the same
 * record with each: the last state is told, a moment later. */
static void keep(void *ctx, uint64_t cookie, const uint8_t *data, size_t len)
{
    struct gh_ao_sockets *s = ctx;
    const struct gh_kept gone = {.cookie = cookie};

    if (len == 0) {
        gh_keep_drop(&s->pending, cookie);
        send_kept(s, GH_MESSAGE_FORGET, &gone);
        return;
    }
    if (!gh_keep_put(&s->pending, cookie, data, len)) {
        send_pending(s);
        gh_keep_put(&s->pending, cookie, data, len);
    }
    if (!uv_is_active((uv_handle_t *)&s->pending_timer))
        uv_timer_start(&s->pending_timer, on_pending, PENDING_MS, 0);
}

static void flows_changed(void *ctx, uint16_t zone)
{
    struct gh_ao_sockets *s = ctx;
    struct gh_ao_zone *z = zone != GH_NO_ZONE ? gh_ao_zone_get(&s->zones, zone) : NULL;

    if (z != NULL)
        z->flows_changed = true;
}

static bool is_vrf(void *ctx, uint16_t zone, uint32_t ifindex)
{
    struct gh_ao_sockets *s = ctx;
    const struct gh_ao_zone *z = gh_ao_zone(&s->zones, zone);

    return z != NULL && gh_ao_zone_is_vrf(z, ifindex);
}

static void put_kernel_flow(void *ctx, const struct gh_socket_flow *flow)
{
    gh_socket_flow_put(ctx, flow);
}

static void steer(void *ctx, const struct emu_flow *flow)
{
    gh_steer_add(ctx, flow);
}

/* Tells the parent a zone's flows. id 0: nobody waits. False: it could not be told. */
static bool send_flows(struct gh_ao_sockets *s, struct gh_ao_zone *z, uint32_t id, uint64_t mono)
{
    static const struct gh_socket_flow strict = {.kind = GH_FLOW_STRICT, .peer.addr.len = 4};
    struct gh_wr w = gh_wr_make(s->flows, FLOWS_ROOM);
    struct gh_steer steered = {.list = NULL};
    bool good;

    gh_wr_u32(&w, id);
    gh_wr_u16(&w, z->index);
    gh_kernel_each_flow(s->kernel, z->index, put_kernel_flow, &w);
    emu_each_flow(s->emu, z->index, steer, &steered);
    good = gh_steer_finish(&steered);
    for (size_t i = 0; i < steered.count; i++)
        gh_socket_flow_put(&w, &steered.list[i]);
    z->strict = steered.count > 0 || mono < z->strict_until;
    ao_engine_set_strict(s->engine, z->index, z->strict);
    if (z->strict)
        gh_socket_flow_put(&w, &strict);
    gh_steer_clear(&steered);
    z->flows_changed = false;
    if (!good || !gh_wr_ok(&w))
        gh_error("%s: too many sockets with keys of their own", z->name);
    z->flows_failed = !good || !gh_wr_ok(&w) ||
                      !gh_channel_send(s->parent, GH_MESSAGE_FLOWS, s->flows, w.len, -1);
    return !z->flows_failed;
}

/* ---- Answers -------------------------------------------------------------------------------- */

static void answer(struct gh_ao_sockets *s, uint32_t client, struct outcome *o)
{
    gh_shim_answer(s->server, client, o->action, o->error, o->body, o->len, o->reported);
    if (o->body != NULL)
        gh_wipe(o->body, o->len);
    free(o->body);
    o->body = NULL;
}

/* The socket is held until the parent watches it: a program that ends at once would take it along,
 * unheard. The answer to a question that asks for nothing tells when it does. */
static bool wait_for_watch(struct gh_ao_sockets *s, uint32_t client, const struct outcome *o)
{
    const struct gh_shim_request *r = gh_shim_waiting(s->server, client);
    struct wait *w = s->watching && r != NULL ? add_wait(s, WAIT_WATCH, client) : NULL;
    uint8_t body[5];
    struct gh_wr out = gh_wr_make(body, sizeof(body));

    s->watching = false;
    if (w == NULL)
        return false;
    w->outcome = *o;
    gh_wr_u32(&out, w->id);
    gh_wr_u8(&out, 0);
    if (gh_channel_send(s->parent, GH_MESSAGE_ZONE, body, out.len, r->fd))
        return true;
    take_wait(s, WAIT_WATCH, w->id);
    free(w);
    return false;
}

/* The program goes on when the rules of its sockets' flows are in force, not before: a socket with
 * keys also not when they could not be installed for somebody earlier. */
static void answer_after_flows(struct gh_ao_sockets *s, uint32_t client, uint16_t zone,
                               bool has_keys, uint64_t mono, struct outcome *o)
{
    struct gh_ao_zone *z = gh_ao_zone(&s->zones, zone);
    struct wait *w;

    if (z == NULL || !(z->flows_changed || (has_keys && z->flows_failed))) {
        if (!wait_for_watch(s, client, o))
            answer(s, client, o);
        return;
    }
    w = add_wait(s, WAIT_FLOWS, client);
    if (w != NULL) {
        w->zone = zone;
        w->outcome = *o;
        if (send_flows(s, z, w->id, mono))
            return;
        take_wait(s, WAIT_FLOWS, w->id);
        free(w);
    }
    o->action = GH_SHIM_DONE;
    o->error = ENOBUFS;
    answer(s, client, o);
}

/* ---- Which session a socket is for ---------------------------------------------------------- */

/* Sessions of a namespace are not for its sockets in VRFs: those are zones of their own, which
 * programs' sockets are not told apart by. */
static uint16_t session_zone(const struct gh_ao_sockets *s, const struct gh_socket_facts *f)
{
    const struct gh_ao_zone *z = gh_ao_zone(&s->zones, f->emu.zone);

    return z != NULL && f->emu.bound_ifindex != 0 && gh_ao_zone_is_vrf(z, f->emu.bound_ifindex)
               ? GH_NO_ZONE
               : f->emu.zone;
}

/* bits: of the peer if it is a prefix, which must all be the session's. */
static const struct gh_session *session_for(const struct gh_ao_sockets *s, uint16_t zone,
                                            const struct tcpao_endpoint *peer, uint8_t bits,
                                            uint16_t port)
{
    const struct gh_config *c = s->setup->config;
    struct gh_addr addr = gh_addr_from(peer->addr, peer->addr_len);

    for (size_t i = 0; i < c->session_count && peer->addr_len != 0; i++) {
        const struct gh_session *session = &c->sessions[i];

        if (s->setup->zones[i] == zone && gh_prefix_contains(&session->peer, &addr) &&
            session->peer.bits <= bits && (port == 0 || session->port == port))
            return session;
    }
    return NULL;
}

static bool md5_is_replaced(const struct gh_ao_sockets *s, uint16_t zone,
                            const struct gh_md5_request *r, uint16_t port)
{
    return r->vrf == 0 &&
           session_for(s, zone, &r->peer, r->has_prefix ? r->prefix : UINT8_MAX, port) != NULL;
}

/* A daemon asks for TCP-MD5 with a peer that has a key chain: TCP-AO takes its place. Of a socket
 * that does not listen yet, connect() or listen() will tell whether it is for that session. */
static void replace_md5(struct gh_ao_sockets *s, const struct gh_shim_request *r,
                        const struct gh_socket_facts *f, struct outcome *o)
{
    struct gh_md5_request md5;

    if (!gh_md5_parse(r->option, r->body, r->len, &md5) ||
        !md5_is_replaced(s, session_zone(s, f), &md5,
                         f->emu.state == EMU_LISTEN ? f->emu.local.port : 0))
        return;
    o->action = GH_SHIM_DONE;
    if (!gh_md5_keep(&s->md5, f->emu.cookie, r->option, r->body, &md5))
        o->error = ENOMEM;
    else
        watch(s, f->emu.zone, f->emu.cookie);
}

struct service {
    const struct gh_ao_sockets *sockets;
    uint16_t zone, port;
};

static bool stays_replaced(void *ctx, const struct gh_md5_request *r)
{
    const struct service *v = ctx;

    return md5_is_replaced(v->sockets, v->zone, r, v->port);
}

/* The socket turns out to be for this service's port: keys of other services' peers are TCP-MD5's
 * after all. 0 or an errno. */
static int give_back_md5(struct gh_ao_sockets *s, const struct gh_socket_facts *f, int fd,
                         uint16_t port)
{
    struct service v = {.sockets = s, .zone = session_zone(s, f), .port = port};

    return gh_md5_give(&s->md5, f->emu.cookie, fd, stays_replaced, &v);
}

/* ---- Requests ------------------------------------------------------------------------------- */

static bool is_ao(int option)
{
    return option >= EMU_TCP_AO_ADD_KEY && option <= EMU_TCP_AO_REPAIR;
}

static void set_option(struct gh_ao_sockets *s, struct gh_now now, const struct gh_shim_request *r,
                       const struct gh_socket_facts *f, struct outcome *o)
{
    if (!is_ao(r->option)) {
        replace_md5(s, r, f, o);
        /* Where no zone is, nobody tells of the socket's end, and it cannot have TCP-AO either. */
        if (o->action == GH_SHIM_DONE || s->kernel_has_ao || f->emu.zone == GH_NO_ZONE)
            return;
        o->error = emu_setsockopt(s->emu, now, &f->emu, r->option, r->body, r->len);
        o->action = o->error != 0 ? GH_SHIM_DONE : GH_SHIM_PASS;
    } else if (!s->kernel_has_ao) {
        o->action = GH_SHIM_DONE;
        o->error = emu_setsockopt(s->emu, now, &f->emu, r->option, r->body, r->len);
    }
}

static void get_option(struct gh_ao_sockets *s, struct gh_now now, const struct gh_shim_request *r,
                       const struct gh_socket_facts *f, struct outcome *o)
{
    size_t room = r->room < OUTCOME_MAX ? r->room : OUTCOME_MAX;

    if (s->kernel_has_ao || !is_ao(r->option))
        return;
    o->action = GH_SHIM_DONE;
    if (room < r->len)
        room = r->len;
    o->body = calloc(1, room + 1);
    if (o->body == NULL) {
        o->error = ENOMEM;
        return;
    }
    memcpy(o->body, r->body, r->len);
    o->len = r->len;
    o->error =
        emu_getsockopt(s->emu, now, &f->emu, r->option, o->body, room, &o->len, &o->reported);
}

static void connecting(struct gh_ao_sockets *s, struct gh_now now, const struct gh_shim_request *r,
                       const struct gh_socket_facts *f, struct outcome *o)
{
    struct tcpao_endpoint peer;
    bool bind_first = false, ours;

    if (!gh_facts_endpoint(r->body, r->len, &peer))
        return;
    ours = session_for(s, session_zone(s, f), &peer, UINT8_MAX, peer.port) != NULL;
    o->error = give_back_md5(s, f, r->fd, peer.port);
    if (o->error != 0)
        o->action = GH_SHIM_DONE;
    if (o->error == 0 && s->kernel_has_ao) {
        o->action = gh_kernel_connect(s->kernel, now, r->fd, f, &peer, &o->error);
    } else if (o->error == 0) {
        o->error = emu_connect(s->emu, now, &f->emu, &peer, &bind_first);
        if (o->error != 0)
            o->action = GH_SHIM_DONE;
    }
    if (o->error == 0 && (bind_first || (ours && f->emu.local.port == 0)))
        o->action = GH_SHIM_BIND;
}

static void listening(struct gh_ao_sockets *s, struct gh_now now, const struct gh_shim_request *r,
                      const struct gh_socket_facts *f, struct outcome *o)
{
    bool bind_first = false;

    o->error = give_back_md5(s, f, r->fd, f->emu.local.port);
    if (o->error != 0) {
        o->action = GH_SHIM_DONE;
        return;
    }
    if (s->kernel_has_ao) {
        o->action = gh_kernel_listen(s->kernel, now, r->fd, f, &o->error);
        return;
    }
    o->error = emu_listen(s->emu, now, &f->emu, &bind_first);
    if (bind_first)
        o->action = GH_SHIM_BIND;
    else if (o->error != 0 || emu_knows(s->emu, &f->emu))
        o->action = GH_SHIM_DONE; /* and what it accepts is told */
}

/* True: from now on segments of sockets without keys are counted too, which takes rules. */
static uint64_t monotonic_ns(void)
{
    return uv_hrtime(); /* CLOCK_MONOTONIC, as the library reads it */
}

void gh_ao_sockets_counted(struct gh_ao_sockets *s, uint16_t zone, struct gh_now now)
{
    struct gh_ao_zone *z = gh_ao_zone(&s->zones, zone);
    uint64_t values[GH_ZONE_COUNTERS];

    if (z == NULL || s->kernel_has_ao || now.mono_ms >= z->strict_until)
        return;
    emu_counters(s->emu, zone, values);
    gh_ao_zone_count(z, values, monotonic_ns());
}

static bool counters(struct gh_ao_sockets *s, struct gh_now now, const struct gh_shim_request *r,
                     uint16_t zone, struct outcome *o)
{
    struct gh_ao_zone *z = gh_ao_zone(&s->zones, zone);
    struct gh_rd rd = gh_rd_make(r->body, r->len);
    uint64_t called = gh_rd_u64(&rd), values[GH_ZONE_COUNTERS] = {0};
    struct gh_wr w;

    if (s->kernel_has_ao)
        return false;
    emu_counters(s->emu, zone, values);
    if (z != NULL && now.mono_ms < z->strict_until && called > 0 && called < monotonic_ns())
        memcpy(values, gh_ao_zone_counted(z, called), sizeof(values));
    o->body = malloc(sizeof(values));
    if (o->body == NULL)
        return false;
    w = gh_wr_make(o->body, sizeof(values));
    for (size_t i = 0; i < GH_ZONE_COUNTERS; i++)
        gh_wr_u64(&w, values[i]);
    o->len = o->reported = w.len;
    o->action = GH_SHIM_DONE;
    if (z == NULL)
        return false;
    if (now.mono_ms >= z->strict_until)
        gh_ao_zone_count(z, values, 0);
    z->strict_until = now.mono_ms + STRICT_MS;
    if (z->strict)
        return false;
    z->flows_changed = true;
    return true;
}

/* A namespace without a zone gets one only for what cannot be done without. */
static bool needs_zone(const struct gh_ao_sockets *s, const struct gh_shim_request *r)
{
    if (s->kernel_has_ao)
        return false;
    return r->op == GH_SHIM_COUNTERS ||
           (r->op == GH_SHIM_SETOPT &&
            (r->option == EMU_TCP_AO_ADD_KEY || r->option == EMU_TCP_AO_INFO));
}

/* Without a zone there are no rules: what the program would take for protected would not be. */
static bool lacks_zone(const struct gh_ao_sockets *s, const struct gh_shim_request *r,
                       const struct gh_socket_facts *f)
{
    bool opens = r->op == GH_SHIM_CONNECT || r->op == GH_SHIM_LISTEN;

    return f->emu.zone == GH_NO_ZONE &&
           (needs_zone(s, r) || (opens && !s->kernel_has_ao && emu_knows(s->emu, &f->emu)));
}

static void handle_socket(struct gh_ao_sockets *s, struct gh_now now,
                          const struct gh_shim_request *r, const struct gh_socket_facts *f,
                          struct outcome *o)
{
    switch (r->op) {
    case GH_SHIM_SETOPT:
        set_option(s, now, r, f, o);
        break;
    case GH_SHIM_GETOPT:
        get_option(s, now, r, f, o);
        break;
    case GH_SHIM_CONNECT:
        connecting(s, now, r, f, o);
        break;
    case GH_SHIM_LISTEN:
        listening(s, now, r, f, o);
        break;
    case GH_SHIM_ACCEPTED:
        if (s->kernel_has_ao)
            o->action = gh_kernel_accepted(s->kernel, now, r->fd, f, &o->error);
        else
            emu_note(s->emu, now, &f->emu);
        break;
    case GH_SHIM_PREPARED:
        emu_note(s->emu, now, &f->emu);
        break;
    default:
        break;
    }
}

/* The zone is known. */
static void handle(struct gh_ao_sockets *s, const struct gh_shim_request *r, uint16_t zone)
{
    const struct gh_ao_zone *z = gh_ao_zone(&s->zones, zone);
    struct gh_now now = gh_clock_now();
    struct outcome o = {.action = GH_SHIM_PASS};
    struct gh_socket_facts f;
    uint32_t optmem = r->room > 0 ? r->room : OPTMEM_DEFAULT;
    bool changes = r->op != GH_SHIM_GETOPT; /* the rules matter to what the program does next */
    bool has_keys = false;

    if (optmem > OPTMEM_MOST)
        optmem = OPTMEM_MOST;

    s->watching = false;
    if (r->op == GH_SHIM_COUNTERS) {
        changes = counters(s, now, r, zone, &o);
    } else if (gh_facts_read(r->fd, &f)) {
        f.pid = r->pid;
        f.emu.program = r->program;
        f.emu.zone = zone;
        f.emu.zone_name = z != NULL ? z->name : "";
        f.emu.optmem_left = optmem > f.optmem_used ? optmem - f.optmem_used : 0;
        if (s->kernel_has_ao)
            f.emu.zone = session_zone(s, &f);
        if (lacks_zone(s, r, &f)) {
            o.action = GH_SHIM_DONE;
            o.error = ENOBUFS;
        } else {
            handle_socket(s, now, r, &f, &o);
        }
        has_keys = s->kernel_has_ao ? o.action == GH_SHIM_DONE : emu_knows(s->emu, &f.emu);
        if (!s->kernel_has_ao && emu_remembers(s->emu, f.emu.cookie))
            watch(s, zone, f.emu.cookie);
    }
    if (changes)
        answer_after_flows(s, r->id, zone, has_keys, now.mono_ms, &o);
    else if (!wait_for_watch(s, r->id, &o))
        answer(s, r->id, &o);
}

static void on_request(void *ctx, const struct gh_shim_request *r)
{
    struct gh_ao_sockets *s = ctx;
    struct outcome hello = {.action = GH_SHIM_DONE, .len = 1}, flushed = {.action = GH_SHIM_DONE};
    uint8_t body[5];
    struct gh_wr out = gh_wr_make(body, sizeof(body));
    uint64_t netns;
    uint16_t zone;
    struct wait *w;

    if (r->op == GH_SHIM_HELLO) {
        hello.body = malloc(1);
        if (hello.body != NULL)
            hello.body[0] = s->kernel_has_ao;
        else
            hello.len = 0;
        answer(s, r->id, &hello);
        return;
    }
    if (r->op == GH_SHIM_FLUSH) {
        s->flush(s->flush_ctx);
        answer(s, r->id, &flushed);
        return;
    }
    netns = gh_facts_netns(r->fd);
    if (gh_ao_netns_find(&s->zones, netns, &zone) && (zone != GH_NO_ZONE || !needs_zone(s, r))) {
        handle(s, r, zone);
        return;
    }
    w = add_wait(s, WAIT_ZONE, r->id);
    if (w != NULL) {
        w->netns = netns;
        gh_wr_u32(&out, w->id);
        gh_wr_u8(&out, needs_zone(s, r));
        if (gh_channel_send(s->parent, GH_MESSAGE_ZONE, body, out.len, r->fd))
            return;
        take_wait(s, WAIT_ZONE, w->id);
        free(w);
    }
    handle(s, r, GH_NO_ZONE);
}

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
    struct wait *w = take_wait(s, WAIT_ZONE, id);
    const struct gh_shim_request *r;
    struct gh_ao_zone *z;

    if (w == NULL) {
        w = take_wait(s, WAIT_WATCH, id);
        if (w == NULL)
            return false;
        answer(s, w->client, &w->outcome);
        free(w);
        return true;
    }
    gh_ao_netns_set(&s->zones, w->netns, zone);
    z = zone != GH_NO_ZONE ? gh_ao_zone_get(&s->zones, zone) : NULL;
    if (z != NULL && z->name[0] == '\0')
        name_zone(s, z, w->netns);
    r = gh_shim_waiting(s->server, w->client);
    if (r != NULL)
        handle(s, r, z != NULL ? zone : GH_NO_ZONE);
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
    struct wait *w = id != 0 ? take_wait(s, WAIT_FLOWS, id) : NULL;

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
    answer(s, w->client, &w->outcome);
    free(w);
    return true;
}

/* The first octet tells whose it is: the kernel backend's begin with zero. */
static void restore(struct gh_ao_sockets *s, struct gh_now now, struct kept *k)
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
    struct kept *k = malloc(sizeof(*k) + len);

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
    keep(s, cookie, NULL, 0);
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
    flows_changed(s, zone);
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
            send_flows(s, z, 0, mono);
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

bool gh_ao_sockets_start(struct gh_ao_sockets *s, struct gh_now now, struct ao_engine *engine)
{
    const struct emu_settings emulation = {
        .engine = engine, .is_vrf = is_vrf, .keep = keep, .flows_changed = flows_changed, .ctx = s};
    const struct gh_kernel_ops kernel = {
        .fetch = fetch, .watch = watch, .keep = keep, .flows_changed = flows_changed, .ctx = s};
    struct kept *next;

    s->emu = emu_new(&emulation);
    s->kernel = gh_kernel_new(engine, s->kernel_has_ao, &kernel);
    if (s->emu == NULL || s->kernel == NULL)
        return false;
    s->engine = engine;
    for (struct kept *k = s->kept; k != NULL; k = next) {
        next = k->next;
        restore(s, now, k);
    }
    s->kept = NULL;
    return true;
}

struct gh_ao_sockets *gh_ao_sockets_new(uv_loop_t *loop, struct gh_channel *parent,
                                        bool kernel_has_ao, gh_ao_flush_fn flush, void *flush_ctx)
{
    struct gh_ao_sockets *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    *s = (struct gh_ao_sockets){.loop = loop,
                                .parent = parent,
                                .kernel_has_ao = kernel_has_ao,
                                .flush = flush,
                                .flush_ctx = flush_ctx,
                                .flows = malloc(FLOWS_ROOM)};
    uv_timer_init(loop, &s->pending_timer);
    s->pending_timer.data = s;
    s->server = s->flows != NULL ? gh_shim_server_new(loop, on_request, s) : NULL;
    if (s->server == NULL) {
        free(s->flows);
        free(s);
        return NULL;
    }
    return s;
}
