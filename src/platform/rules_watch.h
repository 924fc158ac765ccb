/*
 * Hears when somebody takes our firewall rules away (`nft flush ruleset`, `iptables -F`): without
 * them segments would pass unprotected.
 *
 * It knows of nftables, and of iptables where that is a front end of it; nobody tells of rules of
 * the older iptables.
 */
#ifndef GH_PLATFORM_RULES_WATCH_H
#define GH_PLATFORM_RULES_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A socket that hears of changes in a namespace (gh_netns_enter()), or a negative errno. It does
 * not block. */
int gh_rules_watch_open(const char *netns);
/* Reads what has come. True: rules of ours may be gone. */
bool gh_rules_watch_read(int fd);

/* The same of one table, by its name. */
bool gh_rules_watch_read_table(int fd, const char *table);

/* One datagram of such a socket: pure, for tests. */
bool gh_rules_watch_parse(const uint8_t *data, size_t len);

#endif
