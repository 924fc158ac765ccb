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
    for (size_t i = 0; i < k->session_count; i++)
        k->sessions[i].sockets = 0;
    for (const struct kernel_socket *s = k->sockets; s != NULL; s = s->next) {
        for (size_t n = 0; n < s->name_count; n++) {
            long session = kernel_find_session(k, s->names[n]);

            if (session >= 0)
                k->sessions[session].sockets++;
        }
    }
}

static bool to_guard(const struct gh_kernel *k, size_t session)
{
    const struct kernel_session *x = &k->sessions[session];

    return kernel_session(k, session)->backend == GH_BACKEND_KERNEL || x->sockets > 0 ||
           x->linger_ms != 0;
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
}

static void put_flow(const struct gh_session *s, bool local_port,
                     void (*fn)(void *, const struct gh_socket_flow *), void *ctx)
{
    /* Rules know no local prefix: where it is one, they hold for every local address. */
    struct gh_socket_flow flow = {.kind = GH_FLOW_GUARD, .peer = s->peer};

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
    for (size_t i = 0; i < k->chain_count; i++)
        tcpao_chain_put(k->chains[i]);
    for (size_t i = 0; i < k->session_count; i++)
        free(k->sessions[i].name);
    free(k->chains);
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

void gh_kernel_configure(struct gh_kernel *k, struct gh_now now, const struct gh_setup *setup)
{
    const struct gh_config *c = setup->config;
    struct kernel_session *sessions = need(calloc(c->session_count + 1, sizeof(*sessions)));
    struct tcpao_chain **chains = need(calloc(c->chain_count + 1, sizeof(*chains)));
    struct kernel_name *names = need(calloc(c->session_count + 1, sizeof(*names)));
    struct zones z = {.marked = {0}};

    mark_guarded(k, &z);
    for (size_t i = 0; i < c->chain_count; i++)
        chains[i] = need(gh_key_chain_build(&c->chains[i]));
    chains[c->chain_count] = need(tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE));
    for (size_t i = 0; i < c->session_count; i++) {
        long old = kernel_find_session(k, c->sessions[i].name);

        sessions[i].name = need(strdup(c->sessions[i].name));
        sessions[i].zone = setup->zones[i];
        sessions[i].linger_ms = old >= 0 ? k->sessions[old].linger_ms : 0;
        names[i] = (struct kernel_name){.name = sessions[i].name, .session = i};
    }
    qsort(names, c->session_count, sizeof(*names), by_name);
    kernel_drop_setup(k);
    k->setup = setup;
    k->sessions = sessions;
    k->session_count = c->session_count;
    k->chains = chains;
    k->chain_count = c->chain_count + 1;
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
