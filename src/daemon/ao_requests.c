/* What a program asks of its socket, and what it is answered: at once, or when the parent has done
 * its part. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "daemon/ao_facts.h"
#include "daemon/ao_sockets_priv.h"
#include "wire/wr.h"

enum {
    OPTMEM_DEFAULT = 131072, /* net.core.optmem_max where the library could not read it */
    OPTMEM_MOST = 1048576,   /* whatever a program says that it has read: some 5000 keys */
    STRICT_MS = 60 * 1000,   /* after somebody read a namespace's counters */
    OUTCOME_MAX = GH_SHIM_BODY_MAX
};

/* ---- Answers -------------------------------------------------------------------------------- */

void gh_sockets_answer(struct gh_ao_sockets *s, uint32_t client, struct gh_sockets_outcome *o)
{
    gh_shim_answer(s->server, client, o->action, o->error, o->body, o->len, o->reported);
    if (o->body != NULL)
        gh_wipe(o->body, o->len);
    free(o->body);
    o->body = NULL;
}

/* The socket is held until the parent watches it: a program that ends at once would take it along,
 * unheard. The answer to a question that asks for nothing tells when it does. */
static bool wait_for_watch(struct gh_ao_sockets *s, uint32_t client,
                           const struct gh_sockets_outcome *o)
{
    const struct gh_shim_request *r = gh_shim_waiting(s->server, client);
    struct gh_sockets_wait *w =
        s->watching && r != NULL ? gh_sockets_wait(s, GH_WAIT_WATCH, client) : NULL;
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
    gh_sockets_wait_over(s, GH_WAIT_WATCH, w->id);
    free(w);
    return false;
}

/* The program goes on when the rules of its sockets' flows are in force, not before: a socket with
 * keys also not when they could not be installed for somebody earlier. */
static void answer_after_flows(struct gh_ao_sockets *s, uint32_t client, uint16_t zone,
                               bool has_keys, uint64_t mono, struct gh_sockets_outcome *o)
{
    struct gh_ao_zone *z = gh_ao_zone(&s->zones, zone);
    struct gh_sockets_wait *w;

    if (z == NULL || !(z->flows_changed || (has_keys && z->flows_failed))) {
        if (!wait_for_watch(s, client, o))
            gh_sockets_answer(s, client, o);
        return;
    }
    w = gh_sockets_wait(s, GH_WAIT_FLOWS, client);
    if (w != NULL) {
        w->zone = zone;
        w->outcome = *o;
        if (gh_sockets_send_flows(s, z, w->id, mono))
            return;
        gh_sockets_wait_over(s, GH_WAIT_FLOWS, w->id);
        free(w);
    }
    o->action = GH_SHIM_DONE;
    o->error = ENOBUFS;
    gh_sockets_answer(s, client, o);
}

/* ---- Requests ------------------------------------------------------------------------------- */

static bool is_ao(int option)
{
    return option >= EMU_TCP_AO_ADD_KEY && option <= EMU_TCP_AO_REPAIR;
}

static void set_option(struct gh_ao_sockets *s, struct gh_now now, const struct gh_shim_request *r,
                       const struct gh_socket_facts *f, struct gh_sockets_outcome *o)
{
    if (!is_ao(r->option)) {
        gh_sockets_replace_md5(s, r, f, o);
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
                       const struct gh_socket_facts *f, struct gh_sockets_outcome *o)
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
                       const struct gh_socket_facts *f, struct gh_sockets_outcome *o)
{
    struct tcpao_endpoint peer;
    bool bind_first = false, ours;

    if (!gh_facts_endpoint(r->body, r->len, &peer))
        return;
    ours = gh_sockets_session_for(s, gh_sockets_session_zone(s, f), &peer, UINT8_MAX, peer.port) !=
           NULL;
    o->error = gh_sockets_give_back_md5(s, f, r->fd, peer.port);
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
                      const struct gh_socket_facts *f, struct gh_sockets_outcome *o)
{
    bool bind_first = false;

    o->error = gh_sockets_give_back_md5(s, f, r->fd, f->emu.local.port);
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

void gh_ao_sockets_counted(struct gh_ao_sockets *s, uint16_t zone, struct gh_now now, uint64_t ns)
{
    struct gh_ao_zone *z = gh_ao_zone(&s->zones, zone);
    uint64_t values[GH_ZONE_COUNTERS];

    if (z == NULL || s->kernel_has_ao || now.mono_ms >= z->strict_until)
        return;
    emu_counters(s->emu, zone, values);
    gh_ao_zone_count(z, values, ns);
}

/* True: from now on segments of sockets without keys are counted too, which takes rules. */
static bool counters(struct gh_ao_sockets *s, struct gh_now now, const struct gh_shim_request *r,
                     uint16_t zone, struct gh_sockets_outcome *o)
{
    struct gh_ao_zone *z = gh_ao_zone(&s->zones, zone);
    struct gh_rd rd = gh_rd_make(r->body, r->len);
    uint64_t called = gh_rd_u64(&rd), values[GH_ZONE_COUNTERS] = {0};
    struct gh_wr w;

    if (s->kernel_has_ao)
        return false;
    emu_counters(s->emu, zone, values);
    if (z != NULL && now.mono_ms < z->strict_until && called > 0 && called < gh_clock_mono_ns())
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
                          struct gh_sockets_outcome *o)
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

void gh_sockets_handle(struct gh_ao_sockets *s, const struct gh_shim_request *r, uint16_t zone)
{
    const struct gh_ao_zone *z = gh_ao_zone(&s->zones, zone);
    struct gh_now now = gh_clock_now();
    struct gh_sockets_outcome o = {.action = GH_SHIM_PASS};
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
            f.emu.zone = gh_sockets_session_zone(s, &f);
        if (lacks_zone(s, r, &f)) {
            o.action = GH_SHIM_DONE;
            o.error = ENOBUFS;
        } else {
            handle_socket(s, now, r, &f, &o);
        }
        has_keys = s->kernel_has_ao ? o.action == GH_SHIM_DONE : emu_knows(s->emu, &f.emu);
        if (!s->kernel_has_ao && emu_remembers(s->emu, f.emu.cookie))
            gh_sockets_watch(s, zone, f.emu.cookie);
    }
    if (changes)
        answer_after_flows(s, r->id, zone, has_keys, now.mono_ms, &o);
    else if (!wait_for_watch(s, r->id, &o))
        gh_sockets_answer(s, r->id, &o);
}

void gh_sockets_on_request(void *ctx, const struct gh_shim_request *r)
{
    struct gh_ao_sockets *s = ctx;
    struct gh_sockets_outcome hello = {.action = GH_SHIM_DONE, .len = 1},
                              flushed = {.action = GH_SHIM_DONE};
    uint8_t body[5];
    struct gh_wr out = gh_wr_make(body, sizeof(body));
    uint64_t netns;
    uint16_t zone;
    struct gh_sockets_wait *w;

    if (r->op == GH_SHIM_HELLO) {
        hello.body = malloc(1);
        if (hello.body != NULL)
            hello.body[0] = s->kernel_has_ao;
        else
            hello.len = 0;
        gh_sockets_answer(s, r->id, &hello);
        return;
    }
    if (r->op == GH_SHIM_FLUSH) {
        s->ops.flush(s->ops.ctx);
        gh_sockets_answer(s, r->id, &flushed);
        return;
    }
    netns = gh_facts_netns(r->fd);
    if (gh_ao_netns_find(&s->zones, netns, &zone) && (zone != GH_NO_ZONE || !needs_zone(s, r))) {
        gh_sockets_handle(s, r, zone);
        return;
    }
    w = gh_sockets_wait(s, GH_WAIT_ZONE, r->id);
    if (w != NULL) {
        w->netns = netns;
        gh_wr_u32(&out, w->id);
        gh_wr_u8(&out, needs_zone(s, r));
        if (gh_channel_send(s->parent, GH_MESSAGE_ZONE, body, out.len, r->fd))
            return;
        gh_sockets_wait_over(s, GH_WAIT_ZONE, w->id);
        free(w);
    }
    gh_sockets_handle(s, r, GH_NO_ZONE);
}
