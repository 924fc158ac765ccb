/* What `ao` wants of the daemons' sockets: to end one (reset-session) and to know whether one is
 * still there, of its own sessions and of sockets with keys of their own alone; and to have one
 * that a program brought once more. */
#include "daemon/parent_priv.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/ends.h"
#include "platform/sockets.h"
#include "wire/wr.h"

static bool is_protected(const struct gh_parent *p, const struct gh_ends *ends)
{
    struct gh_addr peer = gh_addr_from(ends->remote.addr, ends->remote.addr_len);

    for (size_t i = 0; i < p->config->session_count; i++) {
        const struct gh_session *s = &p->config->sessions[i];

        if (p->session_zones[i] == ends->zone && gh_prefix_contains(&s->peer, &peer) &&
            (s->port == ends->local.port || s->port == ends->remote.port))
            return true;
    }
    return false;
}

/* One of a program's, as `ao` told its flow. */
static bool is_of_socket(const struct gh_zone *zone, const struct gh_ends *ends)
{
    struct gh_addr peer = gh_addr_from(ends->remote.addr, ends->remote.addr_len);

    for (size_t i = 0; i < zone->rule_count; i++) {
        const struct gh_socket_rule *r = &zone->rules[i];

        if (r->kind == GH_RULE_QUEUE && gh_prefix_contains(&r->peer, &peer) &&
            r->local_port == ends->local.port &&
            (r->remote_port == 0 || r->remote_port == ends->remote.port))
            return true;
    }
    return false;
}

bool gh_parent_abort(struct gh_parent *p, struct gh_rd *body)
{
    const struct gh_zone *zone;
    struct gh_ends ends;
    int result;

    if (!gh_ends_take(body, &ends))
        return false;
    zone = gh_zones_find(&p->zones, ends.zone);
    if (zone == NULL || !is_protected(p, &ends))
        return true; /* a reload came between, or the zone's end */
    result = gh_socket_abort(zone->netns, zone->vrf, &ends.local, &ends.remote);
    if (result != 0 && result != -ENOENT)
        gh_warning("the kernel does not abort a connection on demand (%s): the reset follows its "
                   "next incoming segment",
                   strerror(-result));
    return true;
}

bool gh_parent_lookup(struct gh_parent *p, struct gh_rd *body)
{
    uint8_t answer[1 + GH_ENDS_MAX];
    struct gh_wr w = gh_wr_make(answer, sizeof(answer));
    const struct gh_zone *zone;
    struct gh_ends ends;
    enum gh_socket_use use;

    if (!gh_ends_take(body, &ends))
        return false;
    zone = gh_zones_find(&p->zones, ends.zone);
    if (zone != NULL && !is_protected(p, &ends) && !is_of_socket(zone, &ends))
        return true;
    use = zone != NULL ? gh_socket_find(zone->netns, zone->vrf, &ends.local, &ends.remote)
                       : GH_SOCKET_GONE; /* with its namespace */
    if (use != GH_SOCKET_GONE && use != GH_SOCKET_CLOSING)
        return true;
    gh_wr_u8(&w, use == GH_SOCKET_CLOSING);
    gh_ends_put(&w, ends.zone, &ends.local, &ends.remote);
    gh_channel_send(p->ao.channel, GH_MESSAGE_GONE, answer, w.len, -1);
    return true;
}

bool gh_parent_fetch(struct gh_parent *p, struct gh_rd *body)
{
    uint32_t id = gh_rd_u32(body), pid = gh_rd_u32(body);
    uint64_t cookie = gh_rd_u64(body), inode = gh_rd_u64(body);
    int fd = gh_borrow_socket(&p->borrower, pid, cookie, inode);
    uint8_t answer[8];
    struct gh_wr w = gh_wr_make(answer, sizeof(answer));

    gh_wr_u32(&w, id);
    if (fd >= 0) {
        gh_channel_send(p->ao.channel, GH_MESSAGE_FETCHED, answer, w.len, fd);
        gh_borrow_return(fd);
        return true;
    }
    gh_wr_u32(&w, (uint64_t)-fd);
    gh_channel_send(p->ao.channel, GH_MESSAGE_FETCH_FAILED, answer, w.len, -1);
    return true;
}
