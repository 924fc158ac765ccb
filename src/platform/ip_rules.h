/*
 * Rules that choose a routing table ("ip rule"), of Gatehouse's own: for what is led into a tunnel
 * although the tunnel's own packets go the same way. The parent sets them.
 *
 * Routes of that kind stand in tables of their own, one for each length of prefix. The rules make
 * of these and the main table one, in which the longest prefix wins as ever, and of the same length
 * ours; and lead the tunnel's own packets (sockmark.h) past them:
 *
 *     1100: fwmark 0x4748 goto 1399
 *     1101: iif lo ipproto esp goto 1399      also ah, and UDP between two ports 500 or 4500: the
 *                                             way back to a peer is asked for without a mark
 *     1105: ipproto esp nop
 *     1110: lookup main suppress_prefixlength 24
 *     1111: lookup TABLE+24
 *      …
 *     1399: nop
 *
 * In a VRF the same, with its own table instead of the main one, from 700 to 999: before the rule
 * that leads into the tables of VRFs (1000). Each stands there twice, for what this host sends in
 * the VRF (oif) and for what it forwards (iif). There are none for ways back, which no such rule is
 * asked about.
 *
 * Planning and parsing are pure.
 */
#ifndef GH_PLATFORM_IP_RULES_H
#define GH_PLATFORM_IP_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GH_DETOUR_TABLE = 0x47480000, /* + the length of the prefix */
    GH_DETOUR_VRFS = 0x48000000,  /* in a VRF: + 256 times its table, + the length */
    GH_DETOUR_VRF_MAX = 0xffff,   /* the highest table of a VRF that can have any */
    GH_IP_RULES_MAX = 660,        /* of all lengths */
    GH_IP_RULES_DEVICE = 16       /* a device's name */
};

/* The lengths of prefixes, by IP version. */
struct gh_detours {
    const char *vrf; /* NULL: none */
    uint32_t table;  /* of the VRF */
    bool v4[33], v6[129];
};

/* Where the tables for detours begin; 0: there can be none. vrf_table: 0, no VRF. */
uint32_t gh_ip_rules_tables(uint32_t vrf_table);

struct gh_ip_rule {
    bool v6;
    uint8_t action;               /* FR_ACT_… of linux/fib_rules.h: TO_TBL, GOTO, NOP */
    bool local;                   /* iif lo: what this host sends, or asks the way back for */
    char vrf[GH_IP_RULES_DEVICE]; /* or "" */
    bool sends;                   /* in the VRF: this host (oif); else what it forwards (iif) */
    uint8_t protocol;             /* 0: any */
    uint32_t preference;
    uint32_t to;  /* a table, or the preference of GOTO */
    int suppress; /* routes of prefixes as short as this, or shorter, do not count; -1: all do */
    uint32_t mark;
    uint16_t port; /* of UDP, both; 0: any */
};

/* In the order in which they are to be added: the tunnel's own packets never go into it. How many.
 */
size_t gh_ip_rules_plan(const struct gh_detours *d, struct gh_ip_rule out[GH_IP_RULES_MAX]);

/* By a socket of gh_routes_open(): adds what is missing, then takes away what is there of ours for
 * the VRF (NULL: outside of all) besides. 0, or a negative errno. */
int gh_ip_rules_set(int fd, const char *vrf, const struct gh_ip_rule *rules, size_t count);
/* All of ours. */
int gh_ip_rules_remove(int fd);

bool gh_ip_rules_same(const struct gh_ip_rule *a, const struct gh_ip_rule *b);
/* A message about one: RTM_NEWRULE, RTM_DELRULE. */
struct gh_wr;
void gh_ip_rules_put(struct gh_wr *w, uint16_t type, uint16_t flags, const struct gh_ip_rule *r);
/* One RTM_NEWRULE. False: no rule of ours. */
struct gh_nl_message;
bool gh_ip_rules_parse(const struct gh_nl_message *m, struct gh_ip_rule *out);

#endif
