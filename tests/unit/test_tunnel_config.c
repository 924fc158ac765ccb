/* `tunnel NAME { … }`: what is read, what goes through octets, and what is wrong with the rest. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/tunnel_cover.h"

#define PEER                                                                                       \
    "ike-peer p { remote = 192.0.2.2 local = 192.0.2.1 psk-secret = \"0123456789abcdefghij\"\n"    \
    " child t { mode = transport local-ts = \"192.0.2.1 47\" remote-ts = { \"192.0.2.2 47\", "     \
    "\"192.0.2.9 47\" } } child u { local-ts = \"2001:db8::1 4\" remote-ts = \"2001:db8::2 4\" } " \
    "}\n"
#define ENDS "local = 192.0.2.1 remote = 192.0.2.2 "
#define KERNEL_PEER                                                                                \
    "ike-peer k { remote = 192.0.2.8 local = 192.0.2.1 psk-secret = \"0123456789abcdefghij\"\n"    \
    "dataplane = kernel child t { mode = transport local-ts = \"192.0.2.1 47\" remote-ts = "       \
    "\"192.0.2.8 47\" } } "
#define OPEN "tunnel t { " ENDS "unprotected = yes dataplane = kernel "

static struct gh_config *parse(const char *text, struct gh_problems *p)
{
    const struct gh_config_options options = {.skip_secrets = true};

    return gh_config_parse("test.conf", text, strlen(text), &options, p);
}

static void check(const struct gh_ike_config *c)
{
    const struct gh_tunnel *t;
    char text[GH_ADDR_TEXT];

    assert_int_equal(c->tunnel_count, 3);
    t = &c->tunnels[0];
    assert_string_equal(t->name, "core");
    assert_string_equal(t->device, "gre1");
    assert_string_equal(t->netns, "blue");
    assert_string_equal(t->vrf, "red");
    assert_string_equal(t->peer, "p");
    assert_int_equal(t->p.kind, TUNNEL_GRE);
    assert_string_equal(gh_addr_format(&t->p.remote, text), "192.0.2.2");
    assert_string_equal(gh_addr_format(&t->p.backup, text), "192.0.2.9");
    assert_true(t->p.has_send_key && t->p.send_key == 1 && t->p.has_receive_key &&
                t->p.receive_key == UINT32_MAX);
    assert_true(t->p.send_checksum && t->p.send_sequence && t->p.check_sequence);
    assert_int_equal(t->p.ttl, 9);
    assert_true(t->p.set_dscp && t->p.dscp == 46);
    assert_int_equal(t->p.df, TUNNEL_DF_CLEAR);
    assert_int_equal(t->reassembly_ms, 5000);
    assert_int_equal(t->p.mtu.ip_mtu, 9000);
    assert_int_equal(t->p.mtu.encapsulated_ip_mtu, 512);
    assert_true(t->p.mtu.clear_df);
    assert_int_equal(t->p.mtu.ipv6, TUNNEL_MTU_IPV6_WHOLE);
    assert_int_equal(t->p.mss, 1200);
    assert_int_equal(t->too_big_messages, 10);
    assert_int_equal(t->too_big_seconds, 1);
    assert_int_equal(t->address_count, 2);
    assert_int_equal(t->addresses[0].bits, 30);
    assert_string_equal(gh_addr_format(&t->addresses[0].addr, text), "10.0.0.1");
    assert_int_equal(t->p.dest_count, 3);

    t = &c->tunnels[1];
    assert_int_equal(t->p.kind, TUNNEL_IP_IP);
    assert_string_equal(t->device, "six");
    assert_true(t->p.has_encapsulation_limit && t->p.encapsulation_limit == 3);
    assert_int_equal(t->p.mtu.ip_mtu, 1390 - 48);
    assert_int_equal(t->reassembly_ms, 0);
    assert_true(!t->p.reassembly && !t->p.set_dscp);

    t = &c->tunnels[2];
    assert_null(t->peer);
    assert_true(t->p.ignore_key && !t->p.has_send_key);
    assert_int_equal(t->p.mtu.ip_mtu, 1500 - 24);
    assert_int_equal(t->p.mss, 1500 - 24 - 60);
    assert_int_equal(t->too_big_messages, 0);
}

static void all_words_are_read_and_carried(void **state)
{
    struct gh_problems p = {0};
    struct gh_config *c = parse(
        PEER
        "tunnel core { type = gre " ENDS "backup-remote = 192.0.2.9 protect = p device = gre1\n"
        " netns = blue vrf = red address = { 10.0.0.1/30, \"2001:db8:1::1/64\" }\n"
        " dest = { 10.0.0.2, 2001:db8:1::2, fe80::2 } send-key = 1 receive-key = 4294967295\n"
        " checksum = yes sequence = check ttl = 9 dscp = 46 outer-df = clear reassembly = 5000\n"
        " ip-mtu = 9000 encapsulated-ip-mtu = 512 clear-df = yes long-ipv6 = whole mss = 1200\n"
        " icmp-too-big = 10/1 description = \"x y\" }\n"
        "tunnel six { type = ipip local = 2001:db8::1 remote = 2001:db8::2 protect = p\n"
        " encapsulation-limit = 3 reassembly = off dscp = copy }\n"
        "tunnel open { " ENDS
        "unprotected = yes dataplane = auto ignore-key = yes mss = auto icmp-too-big = off }\n",
        &p);
    struct gh_ike_config *again;
    uint8_t *octets;
    size_t len;

    if (c == NULL)
        gh_problems_print(&p, stderr);
    assert_non_null(c);
    check(c->ike);
    c->ike->tunnels[1].kernel = true;
    octets = gh_ike_config_encode(c->ike, &len);
    again = gh_ike_config_decode(gh_view_of(octets, len));
    assert_non_null(again);
    check(again);
    assert_true(again->tunnels[1].kernel && !again->tunnels[0].kernel);
    gh_ike_config_free(again);
    for (size_t i = 1; i < 120; i++) /* none of what is missing at its end is taken for the whole */
        assert_null(gh_ike_config_decode(gh_view_of(octets, len - i)));
    free(octets);
    gh_config_free(c);
    gh_problems_clear(&p);
}

static const struct {
    const char *text, *rule;
    int line; /* from the tunnel's first on */
} wrong[] = {
    {"tunnel t { " ENDS "}", "not-protected", 1},
    {"tunnel t { " ENDS "protect = p unprotected = yes }", "not-protected", 1},
    {"tunnel t { " ENDS "\n protect = q }", "unknown-reference", 2},
    {"tunnel t { local = 192.0.2.1 remote = 192.0.2.3\n protect = p }", "not-protected", 2},
    {"tunnel t { type = ipip " ENDS "\n protect = p }", "not-protected", 2},
    {"tunnel t { " ENDS "backup-remote = 192.0.2.77\n protect = p }", "not-protected", 2},
    {"tunnel t { local = 192.0.2.1 protect = p }", "missing-option", 1},
    {"tunnel t { local = 192.0.2.1 remote = 2001:db8::2 unprotected = yes }", "address", 1},
    {"tunnel t { local = 192.0.2.1 remote = 192.0.2.1 unprotected = yes }", "address", 1},
    {"tunnel t { local = 192.0.2.1 remote = 224.0.0.5 unprotected = yes }", "address", 1},
    {"tunnel t {\n type = vxlan " ENDS "protect = p }", "range", 2},
    {"tunnel a-name-that-is-too-long { " ENDS "protect = p }", "range", 1},
    {"tunnel t { " ENDS "protect = p\n device = \"a b\" }", "range", 2},
    {"tunnel t { " ENDS "protect = p\n address = 10.0.0.1/33 }", "address", 2},
    {"tunnel t { " ENDS "protect = p\n address = host }", "address", 2},
    {"tunnel t { " ENDS "protect = p address = 10.0.0.1/30\n dest = 10.0.0.5 }", "address", 2},
    {"tunnel t { " ENDS "protect = p address = 10.0.0.1/30\n dest = x }", "address", 2},
    {"tunnel t { " ENDS "protect = p\n key = 4294967296 }", "range", 2},
    {"tunnel t { " ENDS "protect = p key = 1\n send-key = 2 }", "duplicate", 2},
    {"tunnel t { " ENDS "protect = p key = 1\n ignore-key = yes }", "range", 2},
    {"tunnel t { type = ipip " ENDS "unprotected = yes\n key = 1 }", "range", 2},
    {"tunnel t { " ENDS "protect = p\n sequence = yes }", "range", 2},
    {"tunnel t { " ENDS "protect = p\n ttl = 0 }", "range", 2},
    {"tunnel t { " ENDS "protect = p\n dscp = 64 }", "range", 2},
    {"tunnel t { " ENDS "protect = p\n encapsulation-limit = 4 }", "range", 2},
    {"tunnel t { " ENDS "protect = p\n reassembly = 5001 }", "range", 2},
    {"tunnel t { " ENDS "protect = p\n ip-mtu = 500 }", "range", 2},
    {"tunnel t { " ENDS "protect = p\n mss = 1 }", "range", 2},
    {"tunnel t { " ENDS "protect = p\n icmp-too-big = 1/1 }", "range", 2},
    {"tunnel t { " ENDS "protect = p\n outer-netns = blue }", "range", 2},
    {"ike-peer q { remote = 192.0.2.9 psk-file = /k private-netns = blue\n child c { local-ts = "
     "192.0.2.1 remote-ts = 192.0.2.9 } }\n"
     "tunnel t { local = 192.0.2.1 remote = 192.0.2.9\n protect = q }",
     "private-side", 4},
    {"tunnel t { " ENDS "unprotected = yes outer-vrf = blue }", "place", 1},
    {"tunnel t { " ENDS "protect = p }\ntunnel t { " ENDS "protect = p key = 2 device = d }",
     "duplicate", 2},
    {"tunnel t { " ENDS "protect = p }\ntunnel u { " ENDS "protect = p }", "duplicate", 2},
    {"tunnel t { " ENDS "protect = p }\ntunnel u { " ENDS "protect = p key = 1 device = t }",
     "duplicate", 2},
    {"tunnel t { " ENDS "protect = p }\ntunnel u { local = 192.0.2.1 remote = 192.0.2.9\n"
     " backup-remote = 192.0.2.2 protect = p }",
     "duplicate", 2},
    {"tunnel t { " ENDS "protect = p\n mtu = 1400 }", "unknown-option", 2},
    {"tunnel t { " ENDS "protect = p\n dataplane = fast }", "range", 2},
    {"tunnel t { " ENDS "protect = p\n dataplane = kernel }", "range", 2}, /* its peer is user */
    {KERNEL_PEER "tunnel t { local = 192.0.2.1 remote = 192.0.2.8\n protect = k }", "range", 3},
    {OPEN "\n backup-remote = 192.0.2.9 }", "range", 2},
    {OPEN "\n ignore-key = yes }", "range", 2},
    {OPEN "type = ipip\n outer-df = clear }", "range", 2},
    {OPEN "\n reassembly = off }", "range", 2},
    {OPEN "\n ip-mtu = 1279 }", "range", 2},
    {OPEN "\n encapsulated-ip-mtu = 1400 }", "range", 2},
    {OPEN "\n clear-df = yes }", "range", 2},
    {OPEN "\n long-ipv6 = whole }", "range", 2},
    {OPEN "\n mss = auto }", "range", 2},
    {OPEN "\n icmp-too-big = 10/1 }", "range", 2},
};

static void what_is_wrong_is_named(void **state)
{
    const int before = 3; /* lines of PEER */

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct gh_problems p = {0};
        char text[2048];
        struct gh_config *c;
        bool found = false;

        snprintf(text, sizeof(text), PEER "\n%s\n", wrong[i].text);
        c = parse(text, &p);
        for (size_t k = 0; k < p.count; k++)
            found |= strcmp(p.list[k].rule, wrong[i].rule) == 0 &&
                     p.list[k].line == before + wrong[i].line;
        if (c != NULL || !found) {
            gh_problems_print(&p, stderr);
            fail_msg("%s: not told as %s in line %d", wrong[i].text, wrong[i].rule,
                     before + wrong[i].line);
        }
        gh_problems_clear(&p);
    }
}

/* ---- Who may have what ----------------------------------------------------------------------- */

static const struct {
    const char *text;
    const char *why; /* NULL: a device of the kernel's may be protected so */
} protected_by[] = {
    {"", NULL},
    {"ipsec-policy x { action = bypass local-ts = 192.0.2.1 remote-ts = 192.0.2.8 }",
     "the ipsec-policy \"x\" lets its packets pass"},
    {"ipsec-policy x { action = bypass order = after local-ts = 192.0.2.1 remote-ts = 192.0.2.8 }",
     NULL},
    {"ipsec-policy x { action = bypass local-ts = \"192.0.2.1 6\" remote-ts = 192.0.2.8 }", NULL},
    {"ipsec-policy x { action = discard local-ts = 192.0.2.1 remote-ts = 192.0.2.8 }", NULL},
};

static void what_protects_the_kernels(void **state)
{
    for (size_t i = 0; i < sizeof(protected_by) / sizeof(protected_by[0]); i++) {
        struct gh_problems p = {0};
        char text[2048], why[GH_TUNNEL_WHY] = "";
        struct gh_config *c;
        bool good;

        snprintf(
            text, sizeof(text),
            "%s\n" KERNEL_PEER
            "tunnel t { local = 192.0.2.1 remote = 192.0.2.8 protect = k dataplane = kernel }\n",
            protected_by[i].text);
        c = parse(text, &p);
        if (c == NULL)
            gh_problems_print(&p, stderr);
        assert_non_null(c);
        assert_int_equal(c->ike->tunnels[0].plane, IKE2_PLANE_KERNEL);
        assert_false(gh_tunnel_kernel_protects(c->ike, &c->ike->tunnels[0], why));
        assert_string_equal(why, "the child \"t\" of \"k\" is not the kernel's");
        c->ike->policies[0]->children[0].kernel = true;
        good = gh_tunnel_kernel_protects(c->ike, &c->ike->tunnels[0], why);
        assert_int_equal(good, protected_by[i].why == NULL);
        if (!good)
            assert_string_equal(why, protected_by[i].why);
        gh_config_free(c);
        gh_problems_clear(&p);
    }
}

/* Another peer's child that comes first would have the packets. */
static void the_first_child_counts(void **state)
{
    struct gh_problems p = {0};
    char why[GH_TUNNEL_WHY];
    struct gh_config *c = parse(
        "ike-peer a { remote = 192.0.2.7 local = 192.0.2.1 psk-secret = \"0123456789abcdefghij\"\n"
        "dataplane = kernel child t { local-ts = 192.0.2.0/24 remote-ts = 192.0.2.8 } "
        "}\n" KERNEL_PEER
        "tunnel t { local = 192.0.2.1 remote = 192.0.2.8 protect = k dataplane = auto }\n",
        &p);

    assert_non_null(c);
    for (size_t i = 0; i < 2; i++)
        c->ike->policies[i]->children[0].kernel = true;
    assert_false(gh_tunnel_kernel_protects(c->ike, &c->ike->tunnels[0], why));
    assert_string_equal(why, "a child of \"a\" comes first for its packets");
    gh_config_free(c);
    gh_problems_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_words_are_read_and_carried),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(what_protects_the_kernels),
        cmocka_unit_test(the_first_child_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
