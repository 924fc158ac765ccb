/* `gatectl firewall`: what a host's own firewall has to let through. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/holes.h"

#define PSK              "psk-secret = \"0123456789abcdefghij\" "
#define CHILD(name, net) "child " name " { local-ts = 10.1.0.0/24 remote-ts = " net " }"

static void assert_holes(const char *config, const char *expected)
{
    const struct gh_config_options options = {.skip_secrets = true};
    struct gh_problems problems = {0};
    struct gh_config *c = gh_config_parse("test.conf", config, strlen(config), &options, &problems);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (c == NULL)
        gh_problems_print(&problems, stderr);
    assert_non_null(c);
    gh_holes_write(c->ike, "filter", out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
    gh_problems_clear(&problems);
    gh_config_free(c);
}

#define ICMP                                                                                       \
    "        icmp type destination-unreachable accept\n"                                           \
    "        icmpv6 type { destination-unreachable, packet-too-big } accept\n"

static void known_peers(void **state)
{
    assert_holes(
        "ipsec-transform a { protocol = ah }\n"
        "ike-policy n { force-nat-t = yes }\n"
        "ike-peer p { remote = 192.0.2.2 backup = { 192.0.2.9 } " PSK CHILD(
            "c", "10.2.0.0/24") "}\n"
                                "ike-peer q { remote = 2001:db8::2 " PSK
                                "child c { local-ts = 10.1.0.0/24\n"
                                " remote-ts = 10.3.0.0/24 ipsec-transform = { a } } }\n"
                                "ike-peer r { remote = 192.0.2.5 ike-policy = n " PSK CHILD(
                                    "c", "10.4.0.0/24") "}\n"
                                                        "tunnel g { remote = 192.0.2.7 local = "
                                                        "192.0.2.1 unprotected = yes }\n"
                                                        "tunnel i { type = ipip remote = 192.0.2.8 "
                                                        "local = 192.0.2.1 unprotected = yes }\n"
                                                        "tunnel s { remote = 192.0.2.2 local = "
                                                        "192.0.2.1 protect = g }\n"
                                                        "ike-peer g { remote = 192.0.2.6 local = "
                                                        "192.0.2.1 " PSK
                                                        "child c { local-ts = 192.0.2.1 remote-ts "
                                                        "= 192.0.2.2 } }\n",
        "table inet filter {\n"
        "    chain gatehouse-in {\n"
        "        # ike-peer p\n"
        "        ip saddr 192.0.2.2 udp dport { 500, 4500 } accept\n"
        "        ip saddr 192.0.2.2 meta l4proto esp accept\n"
        "        ip saddr 192.0.2.9 udp dport { 500, 4500 } accept\n"
        "        ip saddr 192.0.2.9 meta l4proto esp accept\n"
        "        # ike-peer q\n"
        "        ip6 saddr 2001:db8::2 udp dport { 500, 4500 } accept\n"
        "        ip6 saddr 2001:db8::2 meta l4proto ah accept\n"
        "        # ike-peer r\n"
        "        ip saddr 192.0.2.5 udp dport { 500, 4500 } accept\n"
        "        # ike-peer g\n"
        "        ip saddr 192.0.2.6 udp dport { 500, 4500 } accept\n"
        "        ip saddr 192.0.2.6 meta l4proto esp accept\n"
        "        # tunnel g\n"
        "        ip saddr 192.0.2.7 meta l4proto gre accept\n"
        "        # tunnel i\n"
        "        ip saddr 192.0.2.8 meta l4proto { 4, 41 } accept\n" ICMP "    }\n"
        "    chain gatehouse-out {\n"
        "        # ike-peer p\n"
        "        ip daddr 192.0.2.2 udp sport { 500, 4500 } accept\n"
        "        ip daddr 192.0.2.2 meta l4proto esp accept\n"
        "        ip daddr 192.0.2.9 udp sport { 500, 4500 } accept\n"
        "        ip daddr 192.0.2.9 meta l4proto esp accept\n"
        "        # ike-peer q\n"
        "        ip6 daddr 2001:db8::2 udp sport { 500, 4500 } accept\n"
        "        ip6 daddr 2001:db8::2 meta l4proto ah accept\n"
        "        # ike-peer r\n"
        "        ip daddr 192.0.2.5 udp sport { 500, 4500 } accept\n"
        "        # ike-peer g\n"
        "        ip daddr 192.0.2.6 udp sport { 500, 4500 } accept\n"
        "        ip daddr 192.0.2.6 meta l4proto esp accept\n"
        "        # tunnel g\n"
        "        ip daddr 192.0.2.7 meta l4proto gre accept\n"
        "        # tunnel i\n"
        "        ip daddr 192.0.2.8 meta l4proto { 4, 41 } accept\n"
        "    }\n"
        "}\n");
}

static void peers_that_may_be_elsewhere(void **state)
{
    assert_holes(
        "ike-policy m { mobike = yes }\n"
        "ike-peer w { remote = 192.0.2.2 netns = red ike-policy = m moves-to = 198.51.100.0/24\n"
        " " PSK CHILD("c", "10.2.0.0/24") "}\n"
                                          "ike-peer a { remote = any local = 192.0.2.1 netns = red "
                                          "responder-only = yes\n"
                                          " " PSK CHILD("c", "10.3.0.0/24") "}\n",
        "# Network namespace red\n"
        "table inet filter {\n"
        "    chain gatehouse-in {\n"
        "        # ike-peer w\n"
        "        ip saddr 192.0.2.2 udp dport { 500, 4500 } accept\n"
        "        ip saddr 192.0.2.2 meta l4proto esp accept\n"
        "        ip saddr 198.51.100.0/24 udp dport { 500, 4500 } accept\n"
        "        ip saddr 198.51.100.0/24 meta l4proto esp accept\n"
        "        # ike-peer a\n"
        "        meta nfproto ipv4 udp dport { 500, 4500 } accept\n"
        "        meta nfproto ipv4 meta l4proto esp accept\n" ICMP "    }\n"
        "    chain gatehouse-out {\n"
        "        # ike-peer w\n"
        "        ip daddr 192.0.2.2 udp sport { 500, 4500 } accept\n"
        "        ip daddr 192.0.2.2 meta l4proto esp accept\n"
        "        ip daddr 198.51.100.0/24 udp sport { 500, 4500 } accept\n"
        "        ip daddr 198.51.100.0/24 meta l4proto esp accept\n"
        "        # ike-peer a\n"
        "        meta nfproto ipv4 udp sport { 500, 4500 } accept\n"
        "        meta nfproto ipv4 meta l4proto esp accept\n"
        "    }\n"
        "}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_peers),
        cmocka_unit_test(peers_that_may_be_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
