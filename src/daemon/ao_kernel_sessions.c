#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/backend.h"
#include "daemon/ao_kernel_priv.h"
#include "daemon/socket_flows.h"

/* ---- Which sessions are guarded ------------------------------------------------------------- */

struct zones {
    uint8_t marked[65536 / 8];
};

static void mark(struct zones *z, uint16_t zone)
{
    z->marked[zone / 8] |= (uint8_t)(1 << zone % 8);
}

static void tell(const struct gh_kernel *k, const struct zones *z)
{
    for (unsigned zone = 0; zone < 65536; zone++)
        if ((z->marked[zone / 8] & 1 << zone % 8) != 0)
            k->ops.flows_changed(k->ops.ctx, (uint16_t)zone);
}

static void count_sockets(struct gh_kernel *k)
{
    for (size_t i = 0; i < k->session_count; i++) {
        k->sessions[i].sockets = 0;
        k->sessions[i].behind = false;
    }
    for (const struct kernel_socket *s = k->sockets; s != NULL; s = s->next) {
        for (size_t n = 0; n < s->name_count; n++) {
            long session = kernel_find_session(k, s->names[n]);

            if (session < 0)
                continue;
            k->sessions[session].sockets++;
            k->sessions[session].behind |= s->behind;
        }
    }
}

static bool to_guard(const struct gh_kernel *k, size_t session)
{
    const struct kernel_session *x = &k->sessions[session];

    return kernel_session(k, session)->backend == GH_BACKEND_KERNEL || x->sockets > 0 ||
           x->linger_ms != 0;
}

static void tell_engine(struct gh_kernel *k, size_t session)
{
    struct kernel_session *x = &k->sessions[session];
    enum ao_foreign_keys was = x->told;

    x->told = !x->guarded ? AO_FOREIGN_NOT : x->behind ? AO_FOREIGN_BEHIND : AO_FOREIGN_READY;
    if (x->told == was)
        return;
    ao_engine_set_foreign(k->engine, x->name, x->told);
    if (was == AO_FOREIGN_BEHIND)
        k->ops.in_line(k->ops.ctx, x->name);
}

/* After every change of sockets, and with time. */
void kernel_update_guards(struct gh_kernel *k, struct gh_now now)
{
    struct zones z = {.marked = {0}};

    count_sockets(k);
    for (size_t i = 0; i < k->session_count; i++) {
        struct kernel_session *x = &k->sessions[i];

        if (x->sockets > 0)
            x->linger_ms = now.mono_ms + KERNEL_LINGER;
        else if (now.mono_ms >= x->linger_ms)
            x->linger_ms = 0;
        if (x->guarded != to_guard(k, i)) {
            x->guarded = !x->guarded;
            mark(&z, x->zone);
        }
    }
    tell(k, &z);
    for (size_t i = 0; i < k->session_count; i++)
        if (k->sessions[i].keyed)
            tell_engine(k, i);
}

/* ---- Negotiated keys ------------------------------------------------------------------------ */

void gh_kernel_keys_changed(struct gh_kernel *k, struct gh_now now, const char *session)
{
    long i = kernel_find_session(k, session);

    if (i < 0) {
        k->ops.in_line(k->ops.ctx, session);
        return;
    }
    k->sessions[i].had_keys |= tcpao_chain_count(k->sessions[i].chain) > 0;
    for (struct kernel_socket *s = k->sockets; s != NULL; s = s->next) {
        if (kernel_carries(s, session)) {
            s->behind = true;
            s->due_ms = now.mono_ms;
        }
    }
    kernel_update_guards(k, now);
    if (!k->sessions[i].behind)
        k->ops.in_line(k->ops.ctx, session);
    else
        gh_kernel_tick(k, now);
}

/* ---- Flows ---------------------------------------------------------------------------------- */

static void put_flow(const struct gh_session *s, bool local_port,
                     void (*fn)(void *, const struct gh_socket_flow *), void *ctx)
{
    /* Rules know no local prefix: where it is one, they hold for every local address. */
    struct gh_socket_flow flow = {.kind = s->ike_peer != NULL ? GH_FLOW_KEYED : GH_FLOW_GUARD,
                                  .peer = s->peer};

    if (s->local.addr.len != 0 && gh_prefix_is_host(&s->local))
        flow.local = s->local.addr;
    if (local_port)
        flow.local_port = s->port;
    else
        flow.remote_port = s->port;
    fn(ctx, &flow);
}

void gh_kernel_each_flow(const struct gh_kernel *k, uint16_t zone,
                         void (*fn)(void *ctx, const struct gh_socket_flow *flow), void *ctx)
{
    for (size_t i = 0; i < k->session_count; i++) {
        if (k->sessions[i].zone != zone || !k->sessions[i].guarded)
            continue;
        put_flow(kernel_session(k, i), true, fn, ctx);
        put_flow(kernel_session(k, i), false, fn, ctx);
    }
}

enum gh_carrier gh_kernel_carrier(const struct gh_kernel *k, const struct gh_session *session)
{
    long i = kernel_find_session(k, session->name);

    if (i < 0)
        return GH_CARRIER_ENGINE;
    if (k->sessions[i].sockets > 0)
        return GH_CARRIER_KERNEL;
    if (kernel_session(k, (size_t)i)->backend == GH_BACKEND_KERNEL)
        return k->has_ao ? GH_CARRIER_NO_SOCKET : GH_CARRIER_NO_AO;
    return GH_CARRIER_ENGINE;
}

/* ---- Configuration -------------------------------------------------------------------------- */

/* Without memory nothing here could be kept closed: a successor goes on from what was kept. */
static void *need(void *p)
{
    if (p == NULL) {
        gh_error("no memory for the kernel backend");
        abort();
    }
    return p;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct kernel_name *)a)->name, ((const struct kernel_name *)b)->name);
}

void kernel_drop_setup(struct gh_kernel *k)
{
    for (size_t i = 0; i < k->session_count; i++) {
        tcpao_chain_put(k->sessions[i].chain);
        free(k->sessions[i].name);
    }
    free(k->sessions);
    free(k->by_name);
}

static void judge(const struct gh_kernel *k, size_t i)
{
    const struct gh_session *s = kernel_session(k, i);
    char why[GH_BACKEND_WHY_MAX];

    k->sessions[i].can = k->has_ao && s->backend != GH_BACKEND_ENGINE &&
                         gh_backend_kernel_can(k->setup->config, s, why, sizeof(why));
}

/* The zones of guarded sessions: their flows may look different after a change. */
static void mark_guarded(const struct gh_kernel *k, struct zones *z)
{
    for (size_t i = 0; i < k->session_count; i++)
        if (k->sessions[i].guarded)
            mark(z, k->sessions[i].zone);
}

static bool still_covered(const struct gh_kernel *k, const struct kernel_socket *s)
{
    long i = s->name_count > 0 ? kernel_find_session(k, s->names[0]) : KERNEL_NO_SESSION;
    struct gh_addr remote = gh_addr_from(s->remote.addr, s->remote.addr_len);

    return i >= 0 && k->sessions[i].zone == s->zone &&
           gh_prefix_contains(&kernel_session(k, (size_t)i)->peer, &remote);
}

/* A connection whose session is gone keeps its keys, which the kernel does not give back. */
static void forget_strays(struct gh_kernel *k)
{
    struct kernel_socket *next;

    for (struct kernel_socket *s = k->sockets; s != NULL; s = next) {
        next = s->next;
        s->due_ms = 0;
        if (!s->listening && !still_covered(k, s)) {
            gh_notice("%s: the session is gone; its connection goes on with the keys that it has",
                      s->name_count > 0 ? s->names[0] : "?");
            kernel_forget(k, s);
        }
    }
}

/* Each has a reference; those of negotiated keys are the gatekeeper's and change. */
static void take_chains(const struct gh_kernel *k, const struct gh_config *c,
                        struct kernel_session *sessions)
{
    size_t none = c->chain_count;
    struct tcpao_chain **chains = need(calloc(none + 1, sizeof(*chains)));

    for (size_t i = 0; i < none; i++)
        chains[i] = need(gh_key_chain_build(&c->chains[i]));
    chains[none] = need(tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE));
    for (size_t i = 0; i < c->session_count; i++) {
        const struct gh_session *s = &c->sessions[i];

        sessions[i].keyed = s->ike_peer != NULL;
        sessions[i].chain =
            tcpao_chain_get(sessions[i].keyed ? need(ao_engine_chain(k->engine, s->name))
                                              : chains[s->chain < none ? s->chain : none]);
        sessions[i].had_keys |= tcpao_chain_count(sessions[i].chain) > 0;
    }
    for (size_t i = 0; i <= none; i++)
        tcpao_chain_put(chains[i]);
    free(chains);
}

void gh_kernel_configure(struct gh_kernel *k, struct gh_now now, const struct gh_setup *setup)
{
    const struct gh_config *c = setup->config;
    struct kernel_session *sessions = need(calloc(c->session_count + 1, sizeof(*sessions)));
    struct kernel_name *names = need(calloc(c->session_count + 1, sizeof(*names)));
    struct zones z = {.marked = {0}};

    mark_guarded(k, &z);
    if (k->setup == NULL)
        k->began_ms = now.mono_ms;
    for (size_t i = 0; i < c->session_count; i++) {
        long old = kernel_find_session(k, c->sessions[i].name);

        sessions[i].name = need(strdup(c->sessions[i].name));
        sessions[i].zone = setup->zones[i];
        if (old >= 0) {
            sessions[i].linger_ms = k->sessions[old].linger_ms;
            sessions[i].had_keys = k->sessions[old].had_keys;
        }
        names[i] = (struct kernel_name){.name = sessions[i].name, .session = i};
    }
    take_chains(k, c, sessions);
    qsort(names, c->session_count, sizeof(*names), by_name);
    kernel_drop_setup(k);
    k->setup = setup;
    k->sessions = sessions;
    k->session_count = c->session_count;
    k->by_name = names;
    for (size_t i = 0; i < k->session_count; i++)
        judge(k, i);
    forget_strays(k);
    count_sockets(k);
    for (size_t i = 0; i < c->session_count; i++)
        sessions[i].guarded = to_guard(k, i);
    mark_guarded(k, &z);
    tell(k, &z);
    kernel_update_guards(k, now);
}
