#include <stdlib.h>
#include <string.h>

#include "daemon/ao_kernel_priv.h"

static int by_name(const void *name, const void *entry)
{
    const struct kernel_name *n = entry;

    return strcmp(name, n->name);
}

long kernel_find_session(const struct gh_kernel *k, const char *name)
{
    const struct kernel_name *at =
        k->session_count > 0 ? bsearch(name, k->by_name, k->session_count, sizeof(*at), by_name)
                             : NULL;

    return at != NULL ? (long)at->session : KERNEL_NO_SESSION;
}

static unsigned local_bits(const struct gh_session *s)
{
    return s->local.addr.len == 0 ? 0 : s->local.bits + 1u;
}

static bool local_fits(const struct gh_session *s, const struct tcpao_endpoint *local)
{
    struct gh_addr a = gh_addr_from(local->addr, local->addr_len);

    return s->local.addr.len == 0 || local->addr_len == 0 || gh_prefix_contains(&s->local, &a);
}

long kernel_match(const struct gh_kernel *k, uint16_t zone, const struct tcpao_endpoint *local,
                  const struct tcpao_endpoint *remote, bool active)
{
    struct gh_addr peer = gh_addr_from(remote->addr, remote->addr_len);
    uint16_t port = active ? remote->port : local->port;
    long best = KERNEL_NO_SESSION;

    for (size_t i = 0; i < k->session_count; i++) {
        const struct gh_session *s = kernel_session(k, i);
        const struct gh_session *b = best < 0 ? NULL : kernel_session(k, (size_t)best);

        if (k->sessions[i].zone != zone || s->port != port ||
            s->direction == (active ? GH_PASSIVE : GH_ACTIVE) ||
            !gh_prefix_contains(&s->peer, &peer) || !local_fits(s, local))
            continue;
        if (b == NULL || s->peer.bits > b->peer.bits ||
            (s->peer.bits == b->peer.bits && local_bits(s) > local_bits(b)))
            best = (long)i;
    }
    return best;
}

static bool family_fits(const struct gh_kernel_socket *sock, const struct kernel_socket *s,
                        uint8_t addr_len)
{
    if (s->local.addr_len != 0)
        return s->local.addr_len == addr_len;
    return addr_len == 16 ? sock->ipv6 : !sock->v6only;
}

bool kernel_serves(const struct gh_kernel *k, const struct kernel_socket *s,
                   const struct gh_kernel_socket *sock, size_t session)
{
    const struct gh_session *x = kernel_session(k, session);

    return k->sessions[session].can && k->sessions[session].zone == s->zone &&
           x->port == s->local.port && x->direction != GH_ACTIVE &&
           family_fits(sock, s, x->peer.addr.len) && local_fits(x, &s->local);
}

const char *kernel_owner(const struct gh_kernel *k, const struct kernel_socket *s,
                         const struct gh_prefix *peer)
{
    for (size_t i = 0; i < s->name_count; i++) {
        long session = kernel_find_session(k, s->names[i]);
        const struct gh_prefix *p = session >= 0 ? &kernel_session(k, (size_t)session)->peer : NULL;

        if (p != NULL && p->bits == peer->bits && gh_addr_equal(&p->addr, &peer->addr))
            return s->names[i];
    }
    return NULL;
}

struct search {
    const char *session;
    bool found;
};

static void look_at(void *ctx, const struct ao_connection_view *c)
{
    struct search *x = ctx;

    if (!c->in_kernel && c->state == AO_STATE_ESTABLISHED && strcmp(c->session, x->session) == 0)
        x->found = true;
}

bool kernel_engine_carries(const struct gh_kernel *k, const char *session)
{
    struct search x = {.session = session};

    ao_engine_each_connection(k->engine, look_at, &x);
    return x.found;
}
