/* Which session a program's socket is for, and the TCP-MD5 that its TCP-AO replaces. */
#include <errno.h>

#include "daemon/ao_sockets_priv.h"

/* Sessions of a namespace are not for its sockets in VRFs: those are zones of their own, which
 * programs' sockets are not told apart by. */
uint16_t gh_sockets_session_zone(const struct gh_ao_sockets *s, const struct gh_socket_facts *f)
{
    const struct gh_ao_zone *z = gh_ao_zone(&s->zones, f->emu.zone);

    return z != NULL && f->emu.bound_ifindex != 0 && gh_ao_zone_is_vrf(z, f->emu.bound_ifindex)
               ? GH_NO_ZONE
               : f->emu.zone;
}

const struct gh_session *gh_sockets_session_for(const struct gh_ao_sockets *s, uint16_t zone,
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
           gh_sockets_session_for(s, zone, &r->peer, r->has_prefix ? r->prefix : UINT8_MAX, port) !=
               NULL;
}

/* A daemon asks for TCP-MD5 with a peer that has a key chain: TCP-AO takes its place. Of a socket
 * that does not listen yet, connect() or listen() will tell whether it is for that session. */
void gh_sockets_replace_md5(struct gh_ao_sockets *s, const struct gh_shim_request *r,
                            const struct gh_socket_facts *f, struct gh_sockets_outcome *o)
{
    struct gh_md5_request md5;

    if (!gh_md5_parse(r->option, r->body, r->len, &md5) ||
        !md5_is_replaced(s, gh_sockets_session_zone(s, f), &md5,
                         f->emu.state == EMU_LISTEN ? f->emu.local.port : 0))
        return;
    o->action = GH_SHIM_DONE;
    if (!gh_md5_keep(&s->md5, f->emu.cookie, r->option, r->body, &md5))
        o->error = ENOMEM;
    else
        gh_sockets_watch(s, f->emu.zone, f->emu.cookie);
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
int gh_sockets_give_back_md5(struct gh_ao_sockets *s, const struct gh_socket_facts *f, int fd,
                             uint16_t port)
{
    struct service v = {.sockets = s, .zone = gh_sockets_session_zone(s, f), .port = port};

    return gh_md5_give(&s->md5, f->emu.cookie, fd, stays_replaced, &v);
}
