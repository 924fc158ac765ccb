/*
 * TCP MSS adjustment for what the kernel's own IPsec carries: a table of nftables of its own (`inet
 * gatehouse-mss`). What the SYNs of both sides announce is lowered, never raised, in packets that
 * go into IPsec and in those that came by it.
 */
#ifndef GH_PLATFORM_MSS_RULES_H
#define GH_PLATFORM_MSS_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/unprotected.h"

struct gh_mss_rule {
    struct gh_unprotected_range local, remote; /* of one IP version */
    uint16_t mss;
};

/* Makes the table, or changes it. False: nothing changed, and why. */
bool gh_mss_install(const char *netns, const struct gh_mss_rule *rules, size_t count,
                    char said[GH_RULES_SAID]);
/* Takes it away, if it is there. */
bool gh_mss_remove(const char *netns, char said[GH_RULES_SAID]);

/* Pure, for tests: to be freed. NULL: no memory. */
char *gh_mss_text(const struct gh_mss_rule *rules, size_t count);

#endif
