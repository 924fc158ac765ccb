/* reset-session: `ao` asks for a connection's end, and only those of its sessions are ended. */
#include "daemon/parent_priv.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "platform/sockets.h"

static struct tcpao_endpoint take_end(struct gh_rd *r)
{
    struct tcpao_endpoint end = {.addr_len = gh_rd_u8(r)};

    if (end.addr_len != 4 && end.addr_len != 16)
        r->bad = true;
    else
        gh_rd_copy(r, end.addr, end.addr_len);
    end.port = gh_rd_u16(r);
    return end;
}

static bool is_protected(const struct gh_parent *p, uint16_t zone,
                         const struct tcpao_endpoint *local, const struct tcpao_endpoint *remote)
{
    struct gh_addr peer = gh_addr_from(remote->addr, remote->addr_len);

    for (size_t i = 0; i < p->config->session_count; i++) {
        const struct gh_session *s = &p->config->sessions[i];

        if (p->session_zones[i] == zone && gh_prefix_contains(&s->peer, &peer) &&
            (s->port == local->port || s->port == remote->port))
            return true;
    }
    return false;
}

bool gh_parent_abort(struct gh_parent *p, struct gh_rd *body)
{
    uint16_t number = gh_rd_u16(body);
    struct tcpao_endpoint local = take_end(body), remote = take_end(body);
    const struct gh_zone *zone = gh_zones_find(&p->zones, number);
    int result;

    if (body->bad || gh_rd_left(body) > 0 || local.addr_len != remote.addr_len || zone == NULL)
        return false;
    if (!is_protected(p, number, &local, &remote))
        return true; /* a reload came between */
    result = gh_socket_abort(zone->netns, zone->vrf, &local, &remote);
    if (result != 0 && result != -ENOENT)
        gh_warning("the kernel does not abort a connection on demand (%s): the reset follows its "
                   "next incoming segment",
                   strerror(-result));
    return true;
}
