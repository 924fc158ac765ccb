/* The zones that programs' sockets live in, and the rules for their flows: ZONE and FLOWS. */
#include "daemon/parent_priv.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/socket_flows.h"
#include "wire/wr.h"

enum { NO_ZONE = 65535 };

/* A FLOWS that is not answered yet. */
struct gh_asked {
    uint32_t id;
    uint16_t zone;
};

/* ---- ZONE ----------------------------------------------------------------------------------- */

/* ioctl() of a TCP socket yields a descriptor of its namespace. */
static const struct gh_zone *zone_of(struct gh_parent *p, int fd, bool open)
{
    int netns = ioctl(fd, SIOCGSKNS);
    const struct gh_zone *zone = netns >= 0 ? gh_zones_of_netns(&p->zones, netns, open) : NULL;

    if (netns >= 0)
        close(netns);
    return zone;
}

bool gh_parent_zone(struct gh_parent *p, struct gh_rd *body, int fd)
{
    uint32_t id = gh_rd_u32(body);
    uint8_t open = gh_rd_u8(body);
    const struct gh_zone *zone = zone_of(p, fd, open == 1);
    uint8_t answer[6];
    struct gh_wr w = gh_wr_make(answer, sizeof(answer));

    gh_borrow_return(fd);
    gh_wr_u32(&w, id);
    gh_wr_u16(&w, zone != NULL ? zone->index : NO_ZONE);
    gh_channel_send(p->ao.channel, GH_MESSAGE_ZONED, answer, w.len, -1);
    return open <= 1;
}

void gh_parent_leave_zone(struct gh_parent *p, const struct gh_zone *zone)
{
    char said[GH_RULES_SAID];

    gh_rules_guard_drop(p->guard, zone->netns);
    gh_rules_note_drop(&p->note, zone->netns);
    if (gh_parent_has_other_rules(p, zone))
        p->rules_due = true;
    else if (!gh_rules_remove(p->backend, zone->netns, said))
        gh_warning("cannot remove the rules for programs' sockets: %s", said);
}

/* ---- FLOWS ---------------------------------------------------------------------------------- */

static void answer_flows(struct gh_parent *p, uint32_t id, bool done)
{
    uint8_t body[5];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u32(&w, id);
    gh_wr_u8(&w, done);
    gh_channel_send(p->ao.channel, GH_MESSAGE_FLOWED, body, w.len, -1);
}

/* What came meanwhile is installed at once, and then all are answered. */
static void on_due(uv_timer_t *timer)
{
    struct gh_parent *p = timer->data;
    struct gh_asked *asked = p->asked;
    size_t count = p->asked_count;

    p->asked = NULL;
    p->asked_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct gh_zone *zone = gh_zones_find(&p->zones, asked[i].zone);

        answer_flows(p, asked[i].id,
                     zone != NULL && zone->queue >= 0 &&
                         (!zone->rules_due || gh_parent_install_zone(p, zone)));
    }
    free(asked);
}

static bool ask(struct gh_parent *p, uint32_t id, uint16_t zone)
{
    struct gh_asked *more = realloc(p->asked, (p->asked_count + 1) * sizeof(*more));

    if (more == NULL)
        return false;
    p->asked = more;
    p->asked[p->asked_count++] = (struct gh_asked){.id = id, .zone = zone};
    uv_timer_start(&p->flows_due, on_due, 0, 0);
    return true;
}

void gh_parent_forget_asked(struct gh_parent *p)
{
    free(p->asked);
    p->asked = NULL;
    p->asked_count = 0;
}

/* Into zeroed memory, padding included: lists of rules are compared. */
static void fill_rule(struct gh_socket_rule *r, const struct gh_socket_flow *f, uint16_t queue)
{
    static const enum gh_rule_kind kinds[] = {[GH_FLOW_QUEUE] = GH_RULE_QUEUE,
                                              [GH_FLOW_GUARD] = GH_RULE_GUARD,
                                              [GH_FLOW_STRICT] = GH_RULE_STRICT,
                                              [GH_FLOW_KEYED] = GH_RULE_KEYED};

    r->kind = kinds[f->kind];
    r->queue = queue;
    memcpy(r->peer.addr.octets, f->peer.addr.octets, sizeof(r->peer.addr.octets));
    r->peer.addr.len = f->peer.addr.len;
    r->peer.bits = f->peer.bits;
    memcpy(r->local.octets, f->local.octets, sizeof(r->local.octets));
    r->local.len = f->local.len;
    r->local_port = f->local_port;
    r->remote_port = f->remote_port;
}

/* False: malformed. *rules NULL: no memory, or no flows. */
static bool take_rules(struct gh_rd *body, uint16_t queue, struct gh_socket_rule **rules,
                       size_t *count)
{
    struct gh_rd again = *body;
    struct gh_socket_flow flow;

    *count = 0;
    *rules = NULL;
    while (gh_rd_left(&again) > 0) {
        if (!gh_socket_flow_take(&again, &flow))
            return false;
        (*count)++;
    }
    if (*count > 0)
        *rules = calloc(*count, sizeof(**rules));
    for (size_t i = 0; *rules != NULL && i < *count && gh_socket_flow_take(body, &flow); i++)
        fill_rule(&(*rules)[i], &flow, queue);
    return true;
}

bool gh_parent_flows(struct gh_parent *p, struct gh_rd *body)
{
    uint32_t id = gh_rd_u32(body);
    uint16_t index = gh_rd_u16(body);
    struct gh_zone *zone = gh_zones_find(&p->zones, index);
    struct gh_socket_rule *rules;
    size_t count;

    if (!take_rules(body, zone != NULL ? zone->number : 0, &rules, &count))
        return false;
    if (zone == NULL || zone->queue < 0 || (count > 0 && rules == NULL) || !ask(p, id, index)) {
        free(rules);
        answer_flows(p, id, false);
        return true;
    }
    if (zone->has_rules && count == zone->rule_count &&
        (count == 0 || memcmp(rules, zone->rules, count * sizeof(*rules)) == 0)) {
        free(rules); /* as they are */
        return true;
    }
    free(zone->rules);
    zone->rules = rules;
    zone->rule_count = count;
    zone->rules_due = zone->has_rules = true;
    p->orphans_changed = true;
    return true;
}
