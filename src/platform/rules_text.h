/*
 * The firewall rules in words: pure, for rules.c and its tests.
 *
 * All texts are to be freed with free(); NULL: no memory.
 */
#ifndef GH_PLATFORM_RULES_TEXT_H
#define GH_PLATFORM_RULES_TEXT_H

#include "platform/rules.h"

/* A sorted copy: VRFs by name and flows without one last; then by queue, family, local prefix,
 * port and peer. A peer that an earlier one of the same kind contains is left out. *count changes
 * accordingly. */
struct gh_flow *gh_flows_sorted(const struct gh_flow *flows, size_t *count);
/* Do two flows differ in no more than their peer? */
bool gh_flow_same_kind(const struct gh_flow *a, const struct gh_flow *b);
bool gh_flow_same_vrf(const struct gh_flow *a, const struct gh_flow *b);
/* Of sorted flows, is the i-th the first outside of VRFs, with some in VRFs before it? What leaves
 * through a VRF passes OUTPUT twice, the second time as if it were outside: there it must be told
 * by the option that it has by then. */
bool gh_flow_follows_vrfs(const struct gh_flow *flows, size_t i);

/* ---- Rules of single sockets (socket_rules.c) ----------------------------------------------- */

/* A sorted copy without repetitions: GUARD, KEYED, QUEUE, DROP, STRICT; then those together that
 * differ in addresses and ports alone. *count changes accordingly. */
struct gh_socket_rule *gh_socket_rules_sorted(const struct gh_socket_rule *rules, size_t *count);
/* How many of the first sorted rules may be one with a set: same kind and queue, peers that are
 * hosts, and the same of local address and ports given. */
size_t gh_socket_rules_alike(const struct gh_socket_rule *rules, size_t count);
/* The first STRICT, or NULL. */
const struct gh_socket_rule *gh_socket_rules_strict(const struct gh_socket_rule *rules,
                                                    size_t count);
/* The rule to whose queue ICMP errors of a family (4, 16) go, or NULL: no socket wants them, or
 * sessions outside of VRFs have them all queued already. */
const struct gh_socket_rule *gh_socket_rules_icmp(const struct gh_socket_rule *rules, size_t count,
                                                  const struct gh_flow *flows, size_t flow_count,
                                                  uint8_t family);

/* ---- Texts ---------------------------------------------------------------------------------- */

/* For `nft -f -`. */
char *gh_rules_nft_text(const struct gh_flow *flows, size_t count,
                        const struct gh_socket_rule *sockets, size_t socket_count);
extern const char gh_rules_nft_removal[];
extern const char gh_rules_nft_probe[];

/* For `iptables-restore --noflush` (family 4) and `ip6tables-restore --noflush` (family 16, as
 * gh_addr.len). hooked_in, hooked_out: INPUT and OUTPUT already jump to our chains. */
char *gh_rules_iptables_text(const struct gh_flow *flows, size_t count,
                             const struct gh_socket_rule *sockets, size_t socket_count,
                             uint8_t family, bool hooked_in, bool hooked_out);
char *gh_rules_iptables_removal(bool hooked_in, bool hooked_out);

#endif
