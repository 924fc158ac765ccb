#include "platform/ip_rules.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "platform/netlink.h"
#include "platform/routes.h"
#include "platform/sockmark.h"

enum {
    FIRST = 1100,   /* after the rule of VRFs (1000), which have tables of their own */
    LENGTHS = 1110, /* two for each length, the longest first */
    LAST = 1399,
    VRF_EARLIER = 400 /* in a VRF: before that rule */
};

/* ---- Planning ------------------------------------------------------------------------------- */

struct plan {
    struct gh_ip_rule *out;
    size_t count;
    bool v6;
    const char *vrf;
    bool sends;
    uint32_t main, tables;
};

static struct gh_ip_rule *add(struct plan *p, uint32_t preference, uint8_t action, uint32_t to)
{
    struct gh_ip_rule *r = &p->out[p->count++];

    *r = (struct gh_ip_rule){
        .v6 = p->v6, .preference = preference, .action = action, .to = to, .suppress = -1};
    if (p->vrf == NULL)
        return r;
    (void)snprintf(r->vrf, sizeof(r->vrf), "%s", p->vrf);
    r->sends = p->sends;
    r->preference -= VRF_EARLIER;
    r->to -= action == FR_ACT_GOTO ? VRF_EARLIER : 0;
    return r;
}

static void exempt(struct plan *p, uint32_t preference, uint8_t protocol, uint16_t port)
{
    struct gh_ip_rule *r = add(p, preference, FR_ACT_GOTO, LAST);

    r->local = true;
    r->protocol = protocol;
    r->port = port;
}

/* IPv4 alone has reverse path filters. Of what comes in, the kernel knows protocol and ports only
 * if a rule about them is not for the loopback interface: the last one here, which does nothing. */
static void exempt_ways_back(struct plan *p)
{
    exempt(p, FIRST + 1, IPPROTO_ESP, 0);
    exempt(p, FIRST + 2, IPPROTO_AH, 0);
    exempt(p, FIRST + 3, IPPROTO_UDP, 500);
    exempt(p, FIRST + 4, IPPROTO_UDP, 4500);
    add(p, FIRST + 5, FR_ACT_NOP, 0)->protocol = IPPROTO_ESP;
}

static void plan_family(struct plan *p, const bool *lengths, unsigned most)
{
    bool any = false;

    for (unsigned i = 0; i <= most; i++)
        any |= lengths[i];
    if (!any)
        return;
    add(p, LAST, FR_ACT_NOP, 0);
    add(p, FIRST, FR_ACT_GOTO, LAST)->mark = GH_SOCKET_MARK;
    if (!p->v6 && p->vrf == NULL)
        exempt_ways_back(p);
    for (unsigned i = 0; i <= most; i++) {
        unsigned bits = most - i;

        if (!lengths[bits])
            continue;
        if (bits < most)
            add(p, LENGTHS + 2 * i, FR_ACT_TO_TBL, p->main)->suppress = (int)bits;
        add(p, LENGTHS + 2 * i + 1, FR_ACT_TO_TBL, p->tables + bits);
    }
}

size_t gh_ip_rules_plan(const struct gh_detours *d, struct gh_ip_rule out[GH_IP_RULES_MAX])
{
    struct plan p = {.out = out,
                     .vrf = d->vrf,
                     .main = d->vrf != NULL ? d->table : RT_TABLE_MAIN,
                     .tables = gh_ip_rules_tables(d->vrf != NULL ? d->table : 0)};

    if (p.tables == 0)
        return 0;
    for (int sends = 0; sends < (d->vrf != NULL ? 2 : 1); sends++) {
        p.sends = sends == 1;
        p.v6 = false;
        plan_family(&p, d->v4, 32);
        p.v6 = true;
        plan_family(&p, d->v6, 128);
    }
    return p.count;
}

uint32_t gh_ip_rules_tables(uint32_t vrf_table)
{
    if (vrf_table > GH_DETOUR_VRF_MAX)
        return 0;
    return vrf_table == 0 ? GH_DETOUR_TABLE : GH_DETOUR_VRFS + (vrf_table << 8);
}

/* ---- The kernel's words --------------------------------------------------------------------- */

bool gh_ip_rules_same(const struct gh_ip_rule *a, const struct gh_ip_rule *b)
{
    return a->v6 == b->v6 && a->action == b->action && a->local == b->local &&
           a->protocol == b->protocol && a->preference == b->preference && a->to == b->to &&
           a->suppress == b->suppress && a->mark == b->mark && a->port == b->port &&
           strcmp(a->vrf, b->vrf) == 0 && a->sends == b->sends;
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
    if (r->vrf[0] != '\0')
        gh_nl_put_attr(w, r->sends ? FRA_OIFNAME : FRA_IIFNAME, r->vrf, strlen(r->vrf) + 1);
    if (r->protocol != 0)
        gh_nl_put_attr(w, FRA_IP_PROTO, &r->protocol, sizeof(r->protocol));
    if (r->port != 0) {
        gh_nl_put_attr(w, FRA_SPORT_RANGE, &ports, sizeof(ports));
        gh_nl_put_attr(w, FRA_DPORT_RANGE, &ports, sizeof(ports));
    }
    gh_nl_end(w, start);
}

/* Of ours, "lo" is no VRF's. */
static void read_device(struct gh_nl_attr *a, struct gh_ip_rule *out)
{
    size_t len = gh_rd_left(&a->body);

    memset(out->vrf, 0, sizeof(out->vrf));
    if (len <= sizeof(out->vrf))
        gh_rd_copy(&a->body, out->vrf, len);
    a->body.bad |= len > sizeof(out->vrf) || out->vrf[sizeof(out->vrf) - 1] != '\0';
    out->vrf[sizeof(out->vrf) - 1] = '\0';
    out->sends = a->type == FRA_OIFNAME && out->vrf[0] != '\0';
    out->local = a->type == FRA_IIFNAME && strcmp(out->vrf, "lo") == 0;
    if (out->local)
        out->vrf[0] = '\0';
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
        else if (a.type == FRA_IIFNAME || a.type == FRA_OIFNAME)
            read_device(&a, out);
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
    bool all;        /* else those of: */
    const char *vrf; /* "": none */
};

static bool keep(void *ctx, const struct gh_nl_message *m)
{
    struct found *f = ctx;
    struct gh_ip_rule rule;
    void *more;

    if (!gh_ip_rules_parse(m, &rule) || (!f->all && strcmp(rule.vrf, f->vrf) != 0))
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

static int set(int fd, struct found *f, const struct gh_ip_rule *rules, size_t count)
{
    int result = find(fd, f);

    for (size_t i = 0; result == 0 && i < count; i++)
        if (!has(f->list, f->count, &rules[i]))
            result = change(fd, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &rules[i]);
    for (int tables = 1; tables >= 0; tables--)
        for (size_t i = 0; result == 0 && i < f->count; i++)
            if ((f->list[i].action == FR_ACT_TO_TBL) == tables && !has(rules, count, &f->list[i]))
                result = change(fd, RTM_DELRULE, 0, &f->list[i]);
    free(f->list);
    return result;
}

int gh_ip_rules_set(int fd, const char *vrf, const struct gh_ip_rule *rules, size_t count)
{
    struct found f = {.vrf = vrf != NULL ? vrf : ""};

    return set(fd, &f, rules, count);
}

int gh_ip_rules_remove(int fd)
{
    struct found f = {.all = true};

    return set(fd, &f, NULL, 0);
}
