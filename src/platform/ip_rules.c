#include "platform/ip_rules.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "platform/netlink.h"
#include "platform/routes.h"
#include "platform/sockmark.h"

enum {
    FIRST = 1100,   /* after the rule of VRFs (1000), which have tables of their own */
    LENGTHS = 1110, /* two for each length, the longest first */
    LAST = 1399
};

/* ---- Planning ------------------------------------------------------------------------------- */

struct plan {
    struct gh_ip_rule *out;
    size_t count;
    bool v6;
};

static struct gh_ip_rule *add(struct plan *p, uint32_t preference, uint8_t action, uint32_t to)
{
    struct gh_ip_rule *r = &p->out[p->count++];

    *r = (struct gh_ip_rule){
        .v6 = p->v6, .preference = preference, .action = action, .to = to, .suppress = -1};
    return r;
}

static void exempt(struct plan *p, uint32_t preference, uint8_t protocol, uint16_t port)
{
    struct gh_ip_rule *r = add(p, preference, FR_ACT_GOTO, LAST);

    r->local = true;
    r->protocol = protocol;
    r->port = port;
}

static void plan_family(struct plan *p, const bool *lengths, unsigned most)
{
    static const uint16_t ports[] = {500, 4500};
    bool any = false;

    for (unsigned i = 0; i <= most; i++)
        any |= lengths[i];
    if (!any)
        return;
    add(p, LAST, FR_ACT_NOP, 0);
    add(p, FIRST, FR_ACT_GOTO, LAST)->mark = GH_SOCKET_MARK;
    exempt(p, FIRST + 1, IPPROTO_ESP, 0);
    exempt(p, FIRST + 2, IPPROTO_AH, 0);
    for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
        exempt(p, FIRST + 3 + i, IPPROTO_UDP, ports[i]);
    for (unsigned i = 0; i <= most; i++) {
        unsigned bits = most - i;

        if (!lengths[bits])
            continue;
        if (bits < most)
            add(p, LENGTHS + 2 * i, FR_ACT_TO_TBL, RT_TABLE_MAIN)->suppress = (int)bits;
        add(p, LENGTHS + 2 * i + 1, FR_ACT_TO_TBL, GH_DETOUR_TABLE + bits);
    }
}

size_t gh_ip_rules_plan(const struct gh_detours *d, struct gh_ip_rule out[GH_IP_RULES_MAX])
{
    struct plan p = {.out = out};

    plan_family(&p, d->v4, 32);
    p.v6 = true;
    plan_family(&p, d->v6, 128);
    return p.count;
}

/* ---- The kernel's words --------------------------------------------------------------------- */

bool gh_ip_rules_same(const struct gh_ip_rule *a, const struct gh_ip_rule *b)
{
    return a->v6 == b->v6 && a->action == b->action && a->local == b->local &&
           a->protocol == b->protocol && a->preference == b->preference && a->to == b->to &&
           a->suppress == b->suppress && a->mark == b->mark && a->port == b->port;
}

void gh_ip_rules_put(struct gh_wr *w, uint16_t type, uint16_t flags, const struct gh_ip_rule *r)
{
    const struct fib_rule_hdr head = {.family = r->v6 ? AF_INET6 : AF_INET, .action = r->action};
    const struct fib_rule_port_range ports = {r->port, r->port};
    const uint32_t suppress = (uint32_t)r->suppress;
    const uint8_t protocol = GH_ROUTE_PROTOCOL;
    size_t start = gh_nl_begin(w, type, flags | NLM_F_REQUEST | NLM_F_ACK, 1);

    gh_wr_bytes(w, &head, sizeof(head));
    gh_nl_put_attr(w, FRA_PRIORITY, &r->preference, sizeof(r->preference));
    gh_nl_put_attr(w, FRA_PROTOCOL, &protocol, sizeof(protocol));
    if (r->action == FR_ACT_TO_TBL)
        gh_nl_put_attr(w, FRA_TABLE, &r->to, sizeof(r->to));
    if (r->action == FR_ACT_GOTO)
        gh_nl_put_attr(w, FRA_GOTO, &r->to, sizeof(r->to));
    if (r->suppress >= 0)
        gh_nl_put_attr(w, FRA_SUPPRESS_PREFIXLEN, &suppress, sizeof(suppress));
    if (r->mark != 0)
        gh_nl_put_attr(w, FRA_FWMARK, &r->mark, sizeof(r->mark));
    if (r->local)
        gh_nl_put_attr(w, FRA_IIFNAME, "lo", 3);
    if (r->protocol != 0)
        gh_nl_put_attr(w, FRA_IP_PROTO, &r->protocol, sizeof(r->protocol));
    if (r->port != 0) {
        gh_nl_put_attr(w, FRA_SPORT_RANGE, &ports, sizeof(ports));
        gh_nl_put_attr(w, FRA_DPORT_RANGE, &ports, sizeof(ports));
    }
    gh_nl_end(w, start);
}

bool gh_ip_rules_parse(const struct gh_nl_message *m, struct gh_ip_rule *out)
{
    struct gh_rd r = m->body;
    struct fib_rule_hdr head = {.family = 0};
    bool ours = false;
    struct gh_nl_attr a;

    gh_rd_copy(&r, &head, sizeof(head));
    if (m->type != RTM_NEWRULE || r.bad || (head.family != AF_INET && head.family != AF_INET6))
        return false;
    *out = (struct gh_ip_rule){.v6 = head.family == AF_INET6,
                               .action = head.action,
                               .to = head.action == FR_ACT_TO_TBL ? head.table : 0,
                               .suppress = -1};
    while (gh_nl_next_attr(&r, &a)) {
        if (a.type == FRA_PROTOCOL)
            ours = gh_rd_u8(&a.body) == GH_ROUTE_PROTOCOL;
        else if (a.type == FRA_PRIORITY)
            out->preference = gh_nl_u32(&a.body);
        else if ((a.type == FRA_TABLE && head.action == FR_ACT_TO_TBL) ||
                 (a.type == FRA_GOTO && head.action == FR_ACT_GOTO))
            out->to = gh_nl_u32(&a.body);
        else if (a.type == FRA_SUPPRESS_PREFIXLEN)
            out->suppress = (int)gh_nl_u32(&a.body);
        else if (a.type == FRA_FWMARK)
            out->mark = gh_nl_u32(&a.body);
        else if (a.type == FRA_IIFNAME)
            out->local = true;
        else if (a.type == FRA_IP_PROTO)
            out->protocol = gh_rd_u8(&a.body);
        else if (a.type == FRA_SPORT_RANGE)
            out->port = gh_nl_u16(&a.body);
        if (a.body.bad)
            return false;
    }
    return ours && !r.bad;
}

/* ---- Setting -------------------------------------------------------------------------------- */

struct found {
    struct gh_ip_rule *list;
    size_t count;
    bool no_memory;
};

static bool keep(void *ctx, const struct gh_nl_message *m)
{
    struct found *f = ctx;
    struct gh_ip_rule rule;
    void *more;

    if (!gh_ip_rules_parse(m, &rule))
        return true;
    more = realloc(f->list, (f->count + 1) * sizeof(*f->list));
    f->no_memory = more == NULL;
    if (f->no_memory)
        return false;
    f->list = more;
    f->list[f->count++] = rule;
    return true;
}

static int find(int fd, struct found *f)
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    int result = 0;

    for (size_t i = 0; result == 0 && i < sizeof(families); i++) {
        const struct fib_rule_hdr head = {.family = families[i]};
        uint8_t mem[64];
        struct gh_wr w = gh_wr_make(mem, sizeof(mem));
        size_t start = gh_nl_begin(&w, RTM_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, 1);

        gh_wr_bytes(&w, &head, sizeof(head));
        gh_nl_end(&w, start);
        result = gh_nl_ask(fd, &w, keep, f);
        if (result == -EAFNOSUPPORT || result == -EOPNOTSUPP)
            result = 0; /* a kernel without this IP version, or without its rules */
    }
    return f->no_memory ? -ENOMEM : result;
}

static int change(int fd, uint16_t type, uint16_t flags, const struct gh_ip_rule *r)
{
    uint8_t mem[256];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));

    gh_ip_rules_put(&w, type, flags, r);
    return gh_nl_request(fd, &w);
}

static bool has(const struct gh_ip_rule *list, size_t count, const struct gh_ip_rule *r)
{
    size_t i = 0;

    while (i < count && !gh_ip_rules_same(&list[i], r))
        i++;
    return i < count;
}

int gh_ip_rules_set(int fd, const struct gh_ip_rule *rules, size_t count)
{
    struct found f = {.list = NULL};
    int result = find(fd, &f);

    for (size_t i = 0; result == 0 && i < count; i++)
        if (!has(f.list, f.count, &rules[i]))
            result = change(fd, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &rules[i]);
    for (int tables = 1; tables >= 0; tables--)
        for (size_t i = 0; result == 0 && i < f.count; i++)
            if ((f.list[i].action == FR_ACT_TO_TBL) == tables && !has(rules, count, &f.list[i]))
                result = change(fd, RTM_DELRULE, 0, &f.list[i]);
    free(f.list);
    return result;
}
