/* The firewall rules in words: golden texts, and which flows are left out as covered. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/rules_text.h"
#include "platform/mss_rules.h"
#include "platform/unprotected.h"

static struct gh_flow flow(const char *vrf, uint16_t queue, const char *peer, const char *local,
                           uint16_t port)
{
    struct gh_flow f = {.vrf = vrf, .queue = queue, .port = port};

    assert_true(gh_prefix_parse(peer, &f.peer));
    if (local != NULL)
        assert_true(gh_prefix_parse(local, &f.local));
    return f;
}

static size_t example(struct gh_flow list[8])
{
    list[0] = flow(NULL, 17900, "192.0.2.2", NULL, 179);
    list[1] = flow(NULL, 17900, "2001:db8::2", "2001:db8::1", 179);
    list[2] = flow("red", 17901, "192.0.2.2", NULL, 179);
    list[3] = flow(NULL, 17900, "198.51.100.0/24", NULL, 179);
    list[4] = flow(NULL, 17900, "198.51.100.7", NULL, 179); /* within the prefix: left out */
    list[5] = flow(NULL, 17900, "198.51.100.7", NULL, 646); /* another port: not */
    list[6] = flow(NULL, 17900, "192.0.2.2", NULL, 179);    /* twice */
    list[7] = flow("blue", 17902, "10.0.0.0/8", "10.0.0.1", 179);
    return 8;
}

static void expect(char *text, const char *golden)
{
    assert_non_null(text);
    assert_string_equal(text, golden);
    free(text);
}

static void nftables(void **state)
{
    struct gh_flow list[8];
    size_t n = example(list);

    expect(gh_rules_nft_text(list, n, NULL, 0),
           "table inet gatehouse\n"
           "delete table inet gatehouse\n"
           "table inet gatehouse {\n"
           "\tchain input {\n"
           "\t\ttype filter hook input priority mangle; policy accept;\n"
           "\t\tmeta l4proto != { tcp, icmp, ipv6-icmp } return\n"
           "\t\tiifname \"blue\" ip saddr 10.0.0.0/8 ip daddr 10.0.0.1 tcp sport 179 queue num "
           "17902\n"
           "\t\tiifname \"blue\" ip saddr 10.0.0.0/8 ip daddr 10.0.0.1 tcp dport 179 queue num "
           "17902\n"
           "\t\tiifname \"blue\" icmp type destination-unreachable icmp code 2-4 queue num 17902 "
           "bypass\n"
           "\t\tiifname \"blue\" return\n"
           "\t\tiifname \"red\" ip saddr 192.0.2.2 tcp sport 179 queue num 17901\n"
           "\t\tiifname \"red\" ip saddr 192.0.2.2 tcp dport 179 queue num 17901\n"
           "\t\tiifname \"red\" icmp type destination-unreachable icmp code 2-4 queue num 17901 "
           "bypass\n"
           "\t\tiifname \"red\" return\n"
           "\t\tip saddr { 192.0.2.2, 198.51.100.0/24 } tcp sport 179 queue num 17900\n"
           "\t\tip saddr { 192.0.2.2, 198.51.100.0/24 } tcp dport 179 queue num 17900\n"
           "\t\tip saddr 198.51.100.7 tcp sport 646 queue num 17900\n"
           "\t\tip saddr 198.51.100.7 tcp dport 646 queue num 17900\n"
           "\t\ticmp type destination-unreachable icmp code 2-4 queue num 17900 bypass\n"
           "\t\tip6 saddr 2001:db8::2 frag nexthdr { 0, 43, 44, 51, 60 } drop\n"
           "\t\tip6 saddr 2001:db8::2 ip6 daddr 2001:db8::1 tcp sport 179 queue num 17900\n"
           "\t\tip6 saddr 2001:db8::2 ip6 daddr 2001:db8::1 tcp dport 179 queue num 17900\n"
           "\t\ticmpv6 type destination-unreachable icmpv6 code { 1, 4 } queue num 17900 bypass\n"
           "\t\ticmpv6 type packet-too-big queue num 17900 bypass\n"
           "\t}\n"
           "\tchain output {\n"
           "\t\ttype filter hook output priority mangle; policy accept;\n"
           "\t\tmeta l4proto != { tcp, icmp, ipv6-icmp } return\n"
           "\t\toifname \"blue\" ip daddr 10.0.0.0/8 ip saddr 10.0.0.1 tcp sport 179 queue num "
           "17902\n"
           "\t\toifname \"blue\" ip daddr 10.0.0.0/8 ip saddr 10.0.0.1 tcp dport 179 queue num "
           "17902\n"
           "\t\toifname \"blue\" return\n"
           "\t\toifname \"red\" ip daddr 192.0.2.2 tcp sport 179 queue num 17901\n"
           "\t\toifname \"red\" ip daddr 192.0.2.2 tcp dport 179 queue num 17901\n"
           "\t\toifname \"red\" return\n"
           "\t\ttcp option 29 exists return\n"
           "\t\tip daddr { 192.0.2.2, 198.51.100.0/24 } tcp sport 179 queue num 17900\n"
           "\t\tip daddr { 192.0.2.2, 198.51.100.0/24 } tcp dport 179 queue num 17900\n"
           "\t\tip daddr 198.51.100.7 tcp sport 646 queue num 17900\n"
           "\t\tip daddr 198.51.100.7 tcp dport 646 queue num 17900\n"
           "\t\tip6 daddr 2001:db8::2 ip6 saddr 2001:db8::1 tcp sport 179 queue num 17900\n"
           "\t\tip6 daddr 2001:db8::2 ip6 saddr 2001:db8::1 tcp dport 179 queue num 17900\n"
           "\t}\n"
           "}\n");
}

static void nftables_any_peer(void **state)
{
    struct gh_flow list[] = {flow(NULL, 1, "2001:db8::2", NULL, 179),
                             flow(NULL, 1, "::/0", NULL, 179)};
    char *text = gh_rules_nft_text(list, 2, NULL, 0);

    assert_non_null(strstr(text, "\t\tmeta nfproto ipv6 tcp sport 179 queue num 1\n"));
    assert_non_null(
        strstr(text, "\t\tmeta nfproto ipv6 frag nexthdr { 0, 43, 44, 51, 60 } drop\n"));
    assert_null(strstr(text, "2001:db8"));
    free(text);
}

static void iptables_one_port(void **state)
{
    struct gh_flow list[] = {flow(NULL, 17900, "192.0.2.2", NULL, 179),
                             flow("red", 17901, "198.51.100.0/24", "198.51.100.1", 179),
                             flow(NULL, 17900, "2001:db8::2", NULL, 179)};

    expect(gh_rules_iptables_text(list, 3, NULL, 0, 4, false, true),
           "*mangle\n"
           ":GATEHOUSE-IN - [0:0]\n"
           ":GATEHOUSE-IN-SOCK - [0:0]\n"
           ":GATEHOUSE-IN-TCP - [0:0]\n"
           ":GATEHOUSE-OUT - [0:0]\n"
           ":GATEHOUSE-OUT-SOCK - [0:0]\n"
           ":GATEHOUSE-OUT-TCP - [0:0]\n"
           "-I INPUT 1 -j GATEHOUSE-IN\n"
           "-A GATEHOUSE-IN -p tcp --sport 179 -g GATEHOUSE-IN-TCP\n"
           "-A GATEHOUSE-IN -p tcp --dport 179 -g GATEHOUSE-IN-TCP\n"
           "-A GATEHOUSE-IN-TCP -i red -s 198.51.100.0/24 -d 198.51.100.1 -p tcp -j NFQUEUE "
           "--queue-num 17901\n"
           "-A GATEHOUSE-IN -i red -p icmp --icmp-type 3/2 -j NFQUEUE --queue-num 17901 "
           "--queue-bypass\n"
           "-A GATEHOUSE-IN -i red -p icmp --icmp-type 3/3 -j NFQUEUE --queue-num 17901 "
           "--queue-bypass\n"
           "-A GATEHOUSE-IN -i red -p icmp --icmp-type 3/4 -j NFQUEUE --queue-num 17901 "
           "--queue-bypass\n"
           "-A GATEHOUSE-IN-TCP -i red -j RETURN\n"
           "-A GATEHOUSE-IN -i red -j RETURN\n"
           "-A GATEHOUSE-IN-TCP -s 192.0.2.2 -p tcp -j NFQUEUE --queue-num 17900\n"
           "-A GATEHOUSE-IN -p icmp --icmp-type 3/2 -j NFQUEUE --queue-num 17900 --queue-bypass\n"
           "-A GATEHOUSE-IN -p icmp --icmp-type 3/3 -j NFQUEUE --queue-num 17900 --queue-bypass\n"
           "-A GATEHOUSE-IN -p icmp --icmp-type 3/4 -j NFQUEUE --queue-num 17900 --queue-bypass\n"
           "-A GATEHOUSE-OUT -p tcp --sport 179 -g GATEHOUSE-OUT-TCP\n"
           "-A GATEHOUSE-OUT -p tcp --dport 179 -g GATEHOUSE-OUT-TCP\n"
           "-A GATEHOUSE-OUT-TCP -o red -d 198.51.100.0/24 -s 198.51.100.1 -p tcp -j NFQUEUE "
           "--queue-num 17901\n"
           "-A GATEHOUSE-OUT-TCP -o red -j RETURN\n"
           "-A GATEHOUSE-OUT-TCP -p tcp --tcp-option 29 -j RETURN\n"
           "-A GATEHOUSE-OUT-TCP -d 192.0.2.2 -p tcp -j NFQUEUE --queue-num 17900\n"
           "COMMIT\n");
}

static void iptables_two_ports_check_both_ends(void **state)
{
    struct gh_flow list[] = {flow(NULL, 17900, "2001:db8::2", NULL, 179),
                             flow(NULL, 17900, "2001:db8::/64", NULL, 646)};
    char *text = gh_rules_iptables_text(list, 2, NULL, 0, 16, true, true);

    assert_null(strstr(text, "-I "));
    assert_non_null(strstr(text, "-A GATEHOUSE-IN-TCP -s 2001:db8::2 -p tcp --sport 179 -j "
                                 "NFQUEUE --queue-num 17900\n"
                                 "-A GATEHOUSE-IN-TCP -s 2001:db8::2 -p tcp --dport 179 -j "
                                 "NFQUEUE --queue-num 17900\n"
                                 "-A GATEHOUSE-IN-TCP -s 2001:db8::/64 -p tcp --sport 646 -j "));
    assert_non_null(strstr(text, "-A GATEHOUSE-IN -p icmpv6 --icmpv6-type 2 -j NFQUEUE "
                                 "--queue-num 17900 --queue-bypass\n"));
    free(text);
}

static void iptables_removal(void **state)
{
    expect(gh_rules_iptables_removal(true, false), "*mangle\n"
                                                   ":GATEHOUSE-IN - [0:0]\n"
                                                   ":GATEHOUSE-IN-SOCK - [0:0]\n"
                                                   ":GATEHOUSE-IN-TCP - [0:0]\n"
                                                   ":GATEHOUSE-OUT - [0:0]\n"
                                                   ":GATEHOUSE-OUT-SOCK - [0:0]\n"
                                                   ":GATEHOUSE-OUT-TCP - [0:0]\n"
                                                   "-D INPUT -j GATEHOUSE-IN\n"
                                                   "-X GATEHOUSE-IN\n"
                                                   "-X GATEHOUSE-IN-SOCK\n"
                                                   "-X GATEHOUSE-IN-TCP\n"
                                                   "-X GATEHOUSE-OUT\n"
                                                   "-X GATEHOUSE-OUT-SOCK\n"
                                                   "-X GATEHOUSE-OUT-TCP\n"
                                                   "COMMIT\n");
}

/* ---- Single sockets ------------------------------------------------------------------------- */

static struct gh_socket_rule single(enum gh_rule_kind kind, const char *peer, const char *local,
                                    uint16_t local_port, uint16_t remote_port)
{
    struct gh_socket_rule r = {
        .kind = kind, .queue = 17905, .local_port = local_port, .remote_port = remote_port};

    assert_true(gh_prefix_parse(peer, &r.peer));
    if (local != NULL)
        assert_true(gh_addr_parse(local, &r.local));
    return r;
}

static size_t some_sockets(struct gh_socket_rule list[8])
{
    list[0] = single(GH_RULE_STRICT, "0.0.0.0/0", NULL, 0, 0);
    list[1] = single(GH_RULE_QUEUE, "192.0.2.2", "192.0.2.1", 40000, 179);
    list[2] = single(GH_RULE_QUEUE, "192.0.2.3", "192.0.2.1", 40001, 179);
    list[3] = single(GH_RULE_QUEUE, "192.0.2.2", "192.0.2.1", 40000, 179); /* twice */
    list[4] = single(GH_RULE_QUEUE, "198.51.100.0/24", NULL, 179, 0);
    list[5] = single(GH_RULE_QUEUE, "::/0", NULL, 179, 0);
    list[6] = single(GH_RULE_GUARD, "203.0.113.1", NULL, 179, 0);
    list[7] = single(GH_RULE_GUARD, "203.0.113.1", NULL, 0, 179);
    return 8;
}

static void nftables_of_sockets(void **state)
{
    struct gh_flow flows[] = {flow("red", 17901, "192.0.2.2", NULL, 179),
                              flow(NULL, 17900, "192.0.2.2", NULL, 179)};
    struct gh_socket_rule list[8];
    size_t n = some_sockets(list);

    expect(gh_rules_nft_text(flows, 2, list, n),
           "table inet gatehouse\n"
           "delete table inet gatehouse\n"
           "table inet gatehouse {\n"
           "\tchain input {\n"
           "\t\ttype filter hook input priority mangle; policy accept;\n"
           "\t\tmeta l4proto != { tcp, icmp, ipv6-icmp } return\n"
           "\t\tip saddr 203.0.113.1 tcp dport 179 tcp option 29 missing queue num 17905\n"
           "\t\tip saddr 203.0.113.1 tcp dport 179 return\n"
           "\t\tip saddr 203.0.113.1 tcp sport 179 tcp option 29 missing queue num 17905\n"
           "\t\tip saddr 203.0.113.1 tcp sport 179 return\n"
           "\t\tip saddr . ip daddr . tcp dport . tcp sport { 192.0.2.2 . 192.0.2.1 . 40000 . 179, "
           "192.0.2.3 . 192.0.2.1 . 40001 . 179 } queue num 17905\n"
           "\t\tip saddr 198.51.100.0/24 tcp dport 179 queue num 17905\n"
           "\t\tmeta nfproto ipv6 frag nexthdr { 0, 43, 44, 51, 60 } drop\n"
           "\t\tmeta nfproto ipv6 tcp dport 179 queue num 17905\n"
           "\t\tiifname \"red\" ip saddr 192.0.2.2 tcp sport 179 queue num 17901\n"
           "\t\tiifname \"red\" ip saddr 192.0.2.2 tcp dport 179 queue num 17901\n"
           "\t\tiifname \"red\" icmp type destination-unreachable icmp code 2-4 queue num 17901 "
           "bypass\n"
           "\t\tiifname \"red\" tcp option 29 exists queue num 17905\n"
           "\t\tiifname \"red\" return\n"
           "\t\tip saddr 192.0.2.2 tcp sport 179 queue num 17900\n"
           "\t\tip saddr 192.0.2.2 tcp dport 179 queue num 17900\n"
           "\t\ticmp type destination-unreachable icmp code 2-4 queue num 17900 bypass\n"
           "\t\ticmpv6 type destination-unreachable icmpv6 code { 1, 4 } queue num 17905 bypass\n"
           "\t\ticmpv6 type packet-too-big queue num 17905 bypass\n"
           "\t\ttcp option 29 exists queue num 17905\n"
           "\t}\n"
           "\tchain output {\n"
           "\t\ttype filter hook output priority mangle; policy accept;\n"
           "\t\tmeta l4proto != { tcp, icmp, ipv6-icmp } return\n"
           "\t\tip daddr 203.0.113.1 tcp sport 179 tcp option 29 missing drop\n"
           "\t\tip daddr 203.0.113.1 tcp sport 179 return\n"
           "\t\tip daddr 203.0.113.1 tcp dport 179 tcp option 29 missing drop\n"
           "\t\tip daddr 203.0.113.1 tcp dport 179 return\n"
           "\t\tip daddr . ip saddr . tcp sport . tcp dport { 192.0.2.2 . 192.0.2.1 . 40000 . 179, "
           "192.0.2.3 . 192.0.2.1 . 40001 . 179 } tcp option 29 exists return\n"
           "\t\tip daddr . ip saddr . tcp sport . tcp dport { 192.0.2.2 . 192.0.2.1 . 40000 . 179, "
           "192.0.2.3 . 192.0.2.1 . 40001 . 179 } queue num 17905\n"
           "\t\tip daddr 198.51.100.0/24 tcp sport 179 tcp option 29 exists return\n"
           "\t\tip daddr 198.51.100.0/24 tcp sport 179 queue num 17905\n"
           "\t\tmeta nfproto ipv6 tcp sport 179 tcp option 29 exists return\n"
           "\t\tmeta nfproto ipv6 tcp sport 179 queue num 17905\n"
           "\t\toifname \"red\" ip daddr 192.0.2.2 tcp sport 179 queue num 17901\n"
           "\t\toifname \"red\" ip daddr 192.0.2.2 tcp dport 179 queue num 17901\n"
           "\t\toifname \"red\" return\n"
           "\t\ttcp option 29 exists return\n"
           "\t\tip daddr 192.0.2.2 tcp sport 179 queue num 17900\n"
           "\t\tip daddr 192.0.2.2 tcp dport 179 queue num 17900\n"
           "\t}\n"
           "}\n");
}

static void iptables_of_sockets(void **state)
{
    struct gh_flow flows[] = {flow("red", 17901, "192.0.2.2", NULL, 179)};
    struct gh_socket_rule list[8];
    size_t n = some_sockets(list);

    expect(
        gh_rules_iptables_text(flows, 1, list, n, 4, true, true),
        "*mangle\n"
        ":GATEHOUSE-IN - [0:0]\n"
        ":GATEHOUSE-IN-SOCK - [0:0]\n"
        ":GATEHOUSE-IN-TCP - [0:0]\n"
        ":GATEHOUSE-OUT - [0:0]\n"
        ":GATEHOUSE-OUT-SOCK - [0:0]\n"
        ":GATEHOUSE-OUT-TCP - [0:0]\n"
        "-A GATEHOUSE-IN -p tcp --dport 179 -g GATEHOUSE-IN-SOCK\n"
        "-A GATEHOUSE-IN -p tcp --sport 179 -g GATEHOUSE-IN-SOCK\n"
        "-A GATEHOUSE-IN-SOCK -s 203.0.113.1 -p tcp --dport 179 ! --tcp-option 29 -j "
        "NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN-SOCK -s 203.0.113.1 -p tcp --dport 179 -j RETURN\n"
        "-A GATEHOUSE-IN-SOCK -s 203.0.113.1 -p tcp --sport 179 ! --tcp-option 29 -j "
        "NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN-SOCK -s 203.0.113.1 -p tcp --sport 179 -j RETURN\n"
        "-A GATEHOUSE-IN-SOCK -s 192.0.2.2 -d 192.0.2.1 -p tcp --dport 40000 --sport 179 -j "
        "NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN-SOCK -s 192.0.2.3 -d 192.0.2.1 -p tcp --dport 40001 --sport 179 -j "
        "NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN-SOCK -s 198.51.100.0/24 -p tcp --dport 179 -j NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN-SOCK -p tcp --sport 179 -g GATEHOUSE-IN-TCP\n"
        "-A GATEHOUSE-IN-SOCK -p tcp --dport 179 -g GATEHOUSE-IN-TCP\n"
        "-A GATEHOUSE-IN -p tcp --sport 179 -g GATEHOUSE-IN-TCP\n"
        "-A GATEHOUSE-IN -p tcp --dport 179 -g GATEHOUSE-IN-TCP\n"
        "-A GATEHOUSE-IN-TCP -i red -s 192.0.2.2 -p tcp -j NFQUEUE --queue-num 17901\n"
        "-A GATEHOUSE-IN -i red -p icmp --icmp-type 3/2 -j NFQUEUE --queue-num 17901 "
        "--queue-bypass\n"
        "-A GATEHOUSE-IN -i red -p icmp --icmp-type 3/3 -j NFQUEUE --queue-num 17901 "
        "--queue-bypass\n"
        "-A GATEHOUSE-IN -i red -p icmp --icmp-type 3/4 -j NFQUEUE --queue-num 17901 "
        "--queue-bypass\n"
        "-A GATEHOUSE-IN-TCP -i red -p tcp --tcp-option 29 -j NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN-TCP -i red -j RETURN\n"
        "-A GATEHOUSE-IN -i red -p tcp --tcp-option 29 -j NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN -i red -j RETURN\n"
        "-A GATEHOUSE-IN -p icmp --icmp-type 3/2 -j NFQUEUE --queue-num 17905 --queue-bypass\n"
        "-A GATEHOUSE-IN -p icmp --icmp-type 3/3 -j NFQUEUE --queue-num 17905 --queue-bypass\n"
        "-A GATEHOUSE-IN -p icmp --icmp-type 3/4 -j NFQUEUE --queue-num 17905 --queue-bypass\n"
        "-A GATEHOUSE-IN-SOCK -p tcp --tcp-option 29 -j NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN-TCP -p tcp --tcp-option 29 -j NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN -p tcp --tcp-option 29 -j NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-OUT -p tcp --sport 179 -g GATEHOUSE-OUT-SOCK\n"
        "-A GATEHOUSE-OUT -p tcp --dport 179 -g GATEHOUSE-OUT-SOCK\n"
        "-A GATEHOUSE-OUT-SOCK -d 203.0.113.1 -p tcp --sport 179 ! --tcp-option 29 -j DROP\n"
        "-A GATEHOUSE-OUT-SOCK -d 203.0.113.1 -p tcp --sport 179 -j RETURN\n"
        "-A GATEHOUSE-OUT-SOCK -d 203.0.113.1 -p tcp --dport 179 ! --tcp-option 29 -j DROP\n"
        "-A GATEHOUSE-OUT-SOCK -d 203.0.113.1 -p tcp --dport 179 -j RETURN\n"
        "-A GATEHOUSE-OUT-SOCK -d 192.0.2.2 -s 192.0.2.1 -p tcp --sport 40000 --dport 179 "
        "--tcp-option 29 -j RETURN\n"
        "-A GATEHOUSE-OUT-SOCK -d 192.0.2.2 -s 192.0.2.1 -p tcp --sport 40000 --dport 179 -j "
        "NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-OUT-SOCK -d 192.0.2.3 -s 192.0.2.1 -p tcp --sport 40001 --dport 179 "
        "--tcp-option 29 -j RETURN\n"
        "-A GATEHOUSE-OUT-SOCK -d 192.0.2.3 -s 192.0.2.1 -p tcp --sport 40001 --dport 179 -j "
        "NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-OUT-SOCK -d 198.51.100.0/24 -p tcp --sport 179 --tcp-option 29 -j RETURN\n"
        "-A GATEHOUSE-OUT-SOCK -d 198.51.100.0/24 -p tcp --sport 179 -j NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-OUT-SOCK -p tcp --sport 179 -g GATEHOUSE-OUT-TCP\n"
        "-A GATEHOUSE-OUT-SOCK -p tcp --dport 179 -g GATEHOUSE-OUT-TCP\n"
        "-A GATEHOUSE-OUT -p tcp --sport 179 -g GATEHOUSE-OUT-TCP\n"
        "-A GATEHOUSE-OUT -p tcp --dport 179 -g GATEHOUSE-OUT-TCP\n"
        "-A GATEHOUSE-OUT-TCP -o red -d 192.0.2.2 -p tcp -j NFQUEUE --queue-num 17901\n"
        "-A GATEHOUSE-OUT-TCP -o red -j RETURN\n"
        "COMMIT\n");
}

static void iptables_of_sockets_of_the_other_family(void **state)
{
    struct gh_socket_rule list[8];
    size_t n = some_sockets(list);

    expect(
        gh_rules_iptables_text(NULL, 0, list, n, 16, true, true),
        "*mangle\n"
        ":GATEHOUSE-IN - [0:0]\n"
        ":GATEHOUSE-IN-SOCK - [0:0]\n"
        ":GATEHOUSE-IN-TCP - [0:0]\n"
        ":GATEHOUSE-OUT - [0:0]\n"
        ":GATEHOUSE-OUT-SOCK - [0:0]\n"
        ":GATEHOUSE-OUT-TCP - [0:0]\n"
        "-A GATEHOUSE-IN -p tcp --dport 179 -g GATEHOUSE-IN-SOCK\n"
        "-A GATEHOUSE-IN-SOCK -p tcp --dport 179 -j NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN -p icmpv6 --icmpv6-type 1/1 -j NFQUEUE --queue-num 17905 --queue-bypass\n"
        "-A GATEHOUSE-IN -p icmpv6 --icmpv6-type 1/4 -j NFQUEUE --queue-num 17905 --queue-bypass\n"
        "-A GATEHOUSE-IN -p icmpv6 --icmpv6-type 2 -j NFQUEUE --queue-num 17905 --queue-bypass\n"
        "-A GATEHOUSE-IN-SOCK -p tcp --tcp-option 29 -j NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN-TCP -p tcp --tcp-option 29 -j NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-IN -p tcp --tcp-option 29 -j NFQUEUE --queue-num 17905\n"
        "-A GATEHOUSE-OUT -p tcp --sport 179 -g GATEHOUSE-OUT-SOCK\n"
        "-A GATEHOUSE-OUT-SOCK -p tcp --sport 179 --tcp-option 29 -j RETURN\n"
        "-A GATEHOUSE-OUT-SOCK -p tcp --sport 179 -j NFQUEUE --queue-num 17905\n"
        "COMMIT\n");
}

/* A flow with no port at all: all TCP must be looked at. */
static void sockets_of_any_port(void **state)
{
    struct gh_socket_rule list[] = {single(GH_RULE_GUARD, "192.0.2.2", NULL, 0, 0),
                                    single(GH_RULE_GUARD, "192.0.2.3", NULL, 0, 0)};
    char *text = gh_rules_nft_text(NULL, 0, list, 2);

    assert_non_null(strstr(text, "\t\tip saddr { 192.0.2.2, 192.0.2.3 } meta l4proto tcp "
                                 "tcp option 29 missing queue num 17905\n"
                                 "\t\tip saddr { 192.0.2.2, 192.0.2.3 } meta l4proto tcp "
                                 "return\n"));
    assert_null(strstr(text, "icmp type"));
    free(text);
    text = gh_rules_iptables_text(NULL, 0, list, 2, 4, true, true);
    assert_non_null(strstr(text, "-A GATEHOUSE-OUT -p tcp -g GATEHOUSE-OUT-SOCK\n"
                                 "-A GATEHOUSE-OUT-SOCK -d 192.0.2.2 -p tcp ! --tcp-option 29 -j "
                                 "DROP\n"
                                 "-A GATEHOUSE-OUT-SOCK -d 192.0.2.2 -p tcp -j RETURN\n"));
    assert_null(strstr(text, "icmp"));
    free(text);
}

/* Sessions of the kernel's whose keys are negotiated: SYNs come to the queue, both ways. */
static void syns_of_keyed_sessions(void **state)
{
    struct gh_socket_rule list[] = {single(GH_RULE_KEYED, "192.0.2.2", NULL, 179, 0),
                                    single(GH_RULE_GUARD, "192.0.2.3", NULL, 179, 0)};
    char *text = gh_rules_nft_text(NULL, 0, list, 2);

    assert_non_null(strstr(text, "\t\tip saddr 192.0.2.3 tcp dport 179 return\n"
                                 "\t\tip saddr 192.0.2.2 tcp dport 179 tcp option 29 missing "
                                 "queue num 17905\n"
                                 "\t\tip saddr 192.0.2.2 tcp dport 179 tcp flags & (syn | ack) == "
                                 "syn queue num 17905\n"
                                 "\t\tip saddr 192.0.2.2 tcp dport 179 return\n"));
    assert_non_null(strstr(text, "\t\tip daddr 192.0.2.2 tcp sport 179 tcp option 29 missing drop\n"
                                 "\t\tip daddr 192.0.2.2 tcp sport 179 tcp flags & (syn | ack) == "
                                 "syn queue num 17905\n"
                                 "\t\tip daddr 192.0.2.2 tcp sport 179 return\n"));
    free(text);
    text = gh_rules_iptables_text(NULL, 0, list, 2, 4, true, true);
    assert_non_null(strstr(text, "-A GATEHOUSE-OUT-SOCK -d 192.0.2.2 -p tcp --sport 179 ! "
                                 "--tcp-option 29 -j DROP\n"
                                 "-A GATEHOUSE-OUT-SOCK -d 192.0.2.2 -p tcp --sport 179 "
                                 "--tcp-flags SYN,ACK SYN -j NFQUEUE --queue-num 17905\n"
                                 "-A GATEHOUSE-OUT-SOCK -d 192.0.2.2 -p tcp --sport 179 -j "
                                 "RETURN\n"));
    free(text);
}

static void no_flows_no_rules(void **state)
{
    char *text = gh_rules_nft_text(NULL, 0, NULL, 0);

    assert_null(strstr(text, "queue"));
    free(text);
    text = gh_rules_iptables_text(NULL, 0, NULL, 0, 4, true, true);
    assert_null(strstr(text, "NFQUEUE"));
    free(text);
}

/* ---- What comes in clear -------------------------------------------------------------------- */

static void protected_addresses(void **state)
{
    static const char *const texts[][2] = {
        {"10.1.0.0", "10.1.255.255"}, {"fd01::", "fd01::ffff"}, {"192.0.2.1", "192.0.2.1"}};
    static const char *const devices[] = {"gh-ipsec0", "gh-ipsec2"};
    struct gh_unprotected_range list[3];
    static const char members[][16] = {"eth1", "bad\"*", "lan"};
    struct gh_clear_place place = {.ours = list,
                                   .our_count = 3,
                                   .theirs = &list[2],
                                   .their_count = 1,
                                   .devices = devices,
                                   .device_count = 2,
                                   .members = members,
                                   .member_count = 3};
    char *text;

    for (size_t i = 0; i < 3; i++)
        assert_true(gh_addr_parse(texts[i][0], &list[i].first) &&
                    gh_addr_parse(texts[i][1], &list[i].last));
    text = gh_unprotected_text(&place, 1);
    assert_non_null(strstr(text, "\nadd element inet gatehouse-ipsec local4 "
                                 "{ 10.1.0.0-10.1.255.255, 192.0.2.1 }\n"));
    assert_non_null(strstr(text, "\nadd element inet gatehouse-ipsec remote4 { 192.0.2.1 }\n"));
    assert_non_null(
        strstr(text, "\nadd element inet gatehouse-ipsec local6 { fd01::-fd01::ffff }\n"));
    assert_non_null(
        strstr(text, "\tip daddr @local4 fib saddr oifname \"gh-ipsec2\" goto clear\n"));
    assert_null(strstr(text, "oifname \"gh-ipsec*\" goto"));
    assert_non_null(strstr(text, "vrf_members { \"eth1\" }\nadd element inet gatehouse-ipsec "
                                 "vrf_members { \"lan\" }\n"));
    assert_non_null(strstr(text, "\ndelete chain inet gatehouse-ipsec vrf_forward\n"));
    free(text);
    place = (struct gh_clear_place){.our_count = 0};
    text = gh_unprotected_text(&place, 1);
    assert_null(strstr(text, "add element"));
    assert_non_null(strstr(text, "counter name unprotected drop"));
    free(text);
}

/* Each VRF has chains and a counter of its own, whether or not something is protected outside. */
static void protected_addresses_in_vrfs(void **state)
{
    struct gh_unprotected_range list[2];
    const struct gh_clear_place places[] = {{.vrf = "red", .ours = &list[0], .our_count = 1},
                                            {.vrf = "blue", .ours = &list[1], .our_count = 1}};
    char counter[2][GH_CLEAR_COUNTER], want[200];
    char *text;

    assert_true(gh_addr_parse("10.1.0.0", &list[0].first) &&
                gh_addr_parse("10.1.255.255", &list[0].last) &&
                gh_addr_parse("fd01::1", &list[1].first));
    list[1].last = list[1].first;
    text = gh_unprotected_text(places, 2);
    assert_non_null(
        strstr(text, "\nadd element inet gatehouse-ipsec vrf0_local4 { 10.1.0.0-10.1.255.255 }\n"));
    assert_non_null(strstr(text, "\nadd element inet gatehouse-ipsec vrf1_local6 { fd01::1 }\n"));
    assert_string_not_equal(gh_unprotected_counter("red", counter[0]),
                            gh_unprotected_counter("blue", counter[1]));
    for (size_t i = 0; i < 2; i++) {
        snprintf(want, sizeof(want), "\t\tcounter name %s drop\n", counter[i]);
        assert_non_null(strstr(text, want));
    }
    assert_non_null(strstr(text, "\t\tiifname \"red\" jump vrf0_in\n"
                                 "\t\tiifname \"blue\" jump vrf1_in\n"));
    assert_null(strstr(text, "counter name unprotected drop"));
    free(text);
}

/* ---- MSS ------------------------------------------------------------------------------------ */

static void mss_both_ways(void **state)
{
    struct gh_mss_rule rules[2] = {{.mss = 1350}, {.mss = 1330}};
    char *text;

    assert_true(gh_addr_parse("10.1.0.0", &rules[0].local.first) &&
                gh_addr_parse("10.1.0.255", &rules[0].local.last) &&
                gh_addr_parse("10.2.0.1", &rules[0].remote.first));
    rules[0].remote.last = rules[0].remote.first;
    assert_true(gh_addr_parse("fd01::", &rules[1].local.first) &&
                gh_addr_parse("fd01::ff", &rules[1].local.last));
    rules[1].remote = rules[1].local;
    text = gh_mss_text(rules, 2);
    assert_non_null(strstr(text,
                           "\nadd rule inet gatehouse-mss forward ip saddr 10.1.0.0-10.1.0.255 "
                           "ip daddr 10.2.0.1-10.2.0.1 rt ipsec exists tcp flags & syn == syn "
                           "tcp option maxseg size set 1350\n"));
    assert_non_null(strstr(text,
                           "\nadd rule inet gatehouse-mss input ip saddr 10.2.0.1-10.2.0.1 ip "
                           "daddr 10.1.0.0-10.1.0.255 meta ipsec exists tcp flags & syn == "
                           "syn tcp option maxseg size set 1350\n"));
    assert_non_null(strstr(text, "output ip6 saddr fd01::-fd01::ff ip6 daddr fd01::-fd01::ff rt"));
    free(text);
    text = gh_mss_text(NULL, 0);
    assert_null(strstr(text, "add rule"));
    free(text);
}

/* ---- Entries beside tunnels ------------------------------------------------------------------ */

static struct ipsec_selector selector(const char *local, const char *remote, uint8_t protocol)
{
    struct gh_prefix a, b;
    struct ipsec_selector s;

    assert_true(gh_prefix_parse(local, &a) && gh_prefix_parse(remote, &b));
    s = ipsec_selector_between(&a, &b);
    s.protocol = protocol;
    return s;
}

/* Which way sees which side as its source; what hooks there are; what carries a tunnel goes first.
 */
static void entries_beside_tunnels(void **state)
{
    struct ipsec_selector list[] = {selector("10.1.0.0/16", "192.0.2.9/32", 6),
                                    selector("::/0", "fd02::/64", 58),
                                    selector("0.0.0.0/0", "0.0.0.0/0", 0)};
    struct gh_clear_entry entries[] = {
        {.name = "a", .out = true, .in = true, .selectors = &list[0], .selector_count = 1},
        {.name = "b", .discard = true, .in = true, .selectors = &list[1], .selector_count = 1},
        {.name = "c",
         .discard = true,
         .in = true,
         .after = true,
         .selectors = &list[2],
         .selector_count = 1},
        {.name = "d", .out = true, .in = true, .selectors = &list[0], .selector_count = 1},
        {.name = "e",
         .discard = true,
         .out = true,
         .after = true,
         .selectors = &list[2],
         .selector_count = 1}};
    struct gh_clear_place places[] = {{.entries = entries, .entry_count = 3},
                                      {.vrf = "red", .entries = &entries[3], .entry_count = 2}};
    char counter[2][GH_CLEAR_COUNTER], want[300];
    char *text;

    list[0].remote.start_port = list[0].remote.end_port = 443;
    list[1].remote.start_port = 128 << 8;
    list[1].remote.end_port = 129 << 8 | 0xff;
    text = gh_unprotected_text(places, 1);
    gh_clear_counter("a", IPSEC_OUT, counter[0]);
    gh_clear_counter("a", IPSEC_IN, counter[1]);
    assert_string_not_equal(counter[0], counter[1]);
    snprintf(want, sizeof(want),
             "\tchain entries_out {\n\t\tmeta nfproto ipv4 ip saddr 10.1.0.0-10.1.255.255 ip daddr "
             "192.0.2.9 meta l4proto 6 @th,16,16 443 counter name %s accept\n\t}\n",
             counter[0]);
    assert_non_null(strstr(text, want));
    snprintf(want, sizeof(want),
             "\tchain entries_in {\n\t\tjump carriers\n\t\tmeta nfproto ipv4 ip saddr 192.0.2.9 ip "
             "daddr 10.1.0.0-10.1.255.255 meta l4proto 6 @th,0,16 443 counter name %s accept\n",
             counter[1]);
    assert_non_null(strstr(text, want));
    assert_non_null(strstr(text, "ip6 saddr fd02::-fd02::ffff:ffff:ffff:ffff meta l4proto 58 "
                                 "@th,0,16 32768-33279 counter name "));
    assert_non_null(strstr(text, "\tchain entries_in_after {\n\t\tjump carriers\n"
                                 "\t\tmeta nfproto ipv4 counter name "));
    assert_non_null(strstr(text, "jump entries_out"));
    free(text);
    text = gh_unprotected_text(places, 2);
    /* What carries a tunnel went before, and what this host sends is judged without a way. */
    snprintf(want, sizeof(want),
             "\tchain vrf1_entries_in {\n\t\tmeta nfproto ipv4 ip saddr 192.0.2.9 ip daddr "
             "10.1.0.0-10.1.255.255 meta l4proto 6 @th,0,16 443 counter name %s accept\n",
             gh_clear_counter("d", IPSEC_IN, counter[0]));
    assert_non_null(strstr(text, want));
    assert_non_null(strstr(text,
                           "\tchain vrf1_entries_sent {\n\t\tmeta nfproto ipv4 ip saddr "
                           "10.1.0.0-10.1.255.255 ip daddr 192.0.2.9 meta l4proto 6 @th,16,16 443 "
                           "accept\n\t}\n"));
    assert_non_null(strstr(text, "\t\tiifname \"red\" jump vrf1_entries_out\n"
                                 "\t\tmeta iifkind vrf accept\n"
                                 "\t\tiifname != @vrf_members jump entries_out\n"));
    assert_non_null(strstr(text, "\t\toifname \"red\" jump vrf1_entries_sent\n"
                                 "\t\tmeta oifkind vrf accept\n"
                                 "\t\toifname != @vrf_members jump entries_out\n"));
    free(text);
    places[0] = (struct gh_clear_place){.entries = entries + 1, .entry_count = 2};
    text = gh_unprotected_text(places, 1);
    assert_non_null(strstr(text, "delete chain inet gatehouse-ipsec output\n"));
    assert_null(strstr(text, "jump entries_out"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nftables),
        cmocka_unit_test(nftables_any_peer),
        cmocka_unit_test(iptables_one_port),
        cmocka_unit_test(iptables_two_ports_check_both_ends),
        cmocka_unit_test(iptables_removal),
        cmocka_unit_test(nftables_of_sockets),
        cmocka_unit_test(iptables_of_sockets),
        cmocka_unit_test(iptables_of_sockets_of_the_other_family),
        cmocka_unit_test(sockets_of_any_port),
        cmocka_unit_test(syns_of_keyed_sessions),
        cmocka_unit_test(no_flows_no_rules),
        cmocka_unit_test(entries_beside_tunnels),
        cmocka_unit_test(protected_addresses),
        cmocka_unit_test(protected_addresses_in_vrfs),
        cmocka_unit_test(mss_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
