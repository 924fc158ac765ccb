#include "platform/rules_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/netlink.h"
#include "platform/netns.h"

int gh_rules_watch_open(const char *netns)
{
    int fd, back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    fd = gh_nl_open(NETLINK_NETFILTER, 1u << (NFNLGRP_NFTABLES - 1));
    result = fd < 0 ? -errno : fd;
    gh_netns_leave(back);
    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        result = -errno;
        close(fd);
    }
    return result;
}

static bool is_removal(uint16_t type)
{
    return type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE) ||
           type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELCHAIN) ||
           type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELRULE);
}

static bool is_text(const struct gh_rd *r, const char *text)
{
    size_t len = strlen(text) + 1;

    return gh_rd_left(r) == len && memcmp(r->p, text, len) == 0;
}

/* Tables, chains and rules all name their table in attribute 1. `table` NULL: those of TCP-AO. */
static bool is_ours(struct gh_rd r, const char *table)
{
    struct gh_nl_attr a;

    gh_rd_skip(&r, sizeof(struct nfgenmsg));
    while (gh_nl_next_attr(&r, &a))
        if (a.type == NFTA_TABLE_NAME)
            return table != NULL ? is_text(&a.body, table)
                                 : is_text(&a.body, "gatehouse") || is_text(&a.body, "mangle");
    return false;
}

static bool parse(const uint8_t *data, size_t len, const char *table)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_nl_message m;

    while (gh_nl_next(&r, &m))
        if (is_removal(m.type) && is_ours(m.body, table))
            return true;
    return false;
}

bool gh_rules_watch_parse(const uint8_t *data, size_t len)
{
    return parse(data, len, NULL);
}

bool gh_rules_watch_read(int fd)
{
    return gh_rules_watch_read_table(fd, NULL);
}

bool gh_rules_watch_read_table(int fd, const char *table)
{
    static uint8_t data[65536];
    bool removed = false;
    ssize_t n;

    while ((n = recv(fd, data, sizeof(data), 0)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            removed = parse(data, (size_t)n, table) || removed;
    return removed || (n < 0 && errno == ENOBUFS);
}
