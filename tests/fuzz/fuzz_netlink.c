/*
 * What the kernel says of devices, of routes and of rules that choose tables: a rule of ours that
 * is taken is written down and taken again as the same.
 */
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "platform/ip_rules.h"
#include "platform/netlink.h"
#include "platform/routes.h"
#include "platform/tunnel_device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void again(const struct gh_ip_rule *rule)
{
    uint8_t mem[256];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_ip_rule back;
    struct gh_nl_message m;
    struct gh_rd r;

    gh_ip_rules_put(&w, RTM_NEWRULE, 0, rule);
    r = gh_rd_make(mem, w.len);
    if (!gh_wr_ok(&w) || !gh_nl_next(&r, &m) || !gh_ip_rules_parse(&m, &back))
        abort();
    /* Others may have made it with what ours never have. */
    if ((rule->action == FR_ACT_TO_TBL || rule->action == FR_ACT_GOTO) && rule->suppress >= -1 &&
        !gh_ip_rules_same(rule, &back))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_nl_message m;

    while (gh_nl_next(&r, &m)) {
        struct gh_tunnel_device_state device;
        struct gh_ip_rule rule;
        struct gh_prefix to;
        uint32_t table;

        if (gh_routes_parse(&m, &table, &to) && to.bits > 8 * to.addr.len)
            abort();
        if (gh_tunnel_device_parse(&m, &device) &&
            (device.ifindex == 0 || strnlen(device.name, sizeof(device.name)) == 16 ||
             strnlen(device.alias, sizeof(device.alias)) > GH_TUNNEL_ALIAS))
            abort();
        if (gh_ip_rules_parse(&m, &rule))
            again(&rule);
    }
    return 0;
}
