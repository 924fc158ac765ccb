/* Other vendors' configurations read: their documents' own examples, whole routers, and what our
 * generator wrote for each of them. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/commands.h"
#include "config/import.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define DEC_1_2026   INT64_C(1796083200)
#define JAN_1_2027   INT64_C(1798761600)

static struct gh_problems problems;

static struct gh_config *import_as(const char *text, enum gh_vendor from, bool as_peer)
{
    struct gh_import_options o = {.from = from, .as_peer = as_peer, .secret_dir = "/secrets"};

    gh_problems_clear(&problems);
    return gh_import("router.txt", text, strlen(text), &o, &problems);
}

static struct gh_config *import(const char *text)
{
    return import_as(text, GH_VENDOR_COUNT, false);
}

/* The problem with this rule, which there must be. */
static const struct gh_problem *problem(const char *rule)
{
    for (size_t i = 0; i < problems.count; i++) {
        if (strcmp(problems.list[i].rule, rule) == 0)
            return &problems.list[i];
    }
    gh_problems_print(&problems, stderr);
    fail_msg("no problem \"%s\"", rule);
    return NULL;
}

static void assert_no_problem(void)
{
    if (problems.count == 0)
        return;
    gh_problems_print(&problems, stderr);
    fail_msg("there are problems");
}

static const struct gh_key *key_of(const struct gh_config *c, size_t chain, uint32_t number)
{
    assert_true(chain < c->chain_count);
    for (size_t i = 0; i < c->chains[chain].key_count; i++) {
        if (c->chains[chain].keys[i].mkt.number == number)
            return &c->chains[chain].keys[i];
    }
    gh_problems_print(&problems, stderr);
    fail_msg("no key %u", number);
    return NULL;
}

static void assert_key(const struct gh_key *k, unsigned send_id, unsigned recv_id,
                       const char *algorithm, bool covered)
{
    assert_int_equal(k->mkt.send_id, send_id);
    assert_int_equal(k->mkt.recv_id, recv_id);
    assert_string_equal(tcpao_alg_name(k->mkt.alg, k->mkt.mac_len), algorithm);
    assert_int_equal(k->mkt.options_covered, covered);
}

static void assert_secret(const struct gh_key *k, const char *secret)
{
    assert_int_equal(k->secret.len, strlen(secret));
    assert_memory_equal(k->secret.data, secret, strlen(secret));
}

static void assert_peer(const struct gh_session *s, const char *address, unsigned port)
{
    char text[GH_PREFIX_TEXT];

    assert_string_equal(gh_prefix_format(&s->peer, text), address);
    assert_int_equal(s->port, port);
}

/* ---- IOS XE --------------------------------------------------------------------------------- */

/* The commands of the guide, with its prompts, and its slip: "kcl" is defined, "kc1" is used. */
static void the_guide_for_ios_xe_with_its_prompts(void **state)
{
    static const char text[] =
        "Device> enable\nDevice# configure terminal\nDevice(config)# key chain kcl tcp\n"
        "Device(config-keychain-tcp)# key 10\nDevice(config-keychain-tcp-key)# send-id 218\n"
        "Device(config-keychain-tcp-key)# recv-id 218\n"
        "Device(config-keychain-tcp-key)# cryptographic-algorithm hmac-sha-1\n"
        "Device(config-keychain-tcp-key)# include-tcp-options\n"
        "Device(config-keychain-tcp-key)# send-lifetime local 12:00:00 28 Feb 2018 duration 20\n"
        "Device(config-keychain-tcp-key)# key-string abcde\n"
        "Device(config-keychain-tcp-key)# accept-ao-mismatch\n"
        "Device(config-keychain-tcp-key)# end\n"
        "Device(config)# Device lisp\n"
        "Device(config-router-lisp)# tcp auth-option kc1\n"
        "Device(config-router-lisp-tcp-auth-option)# peer 10.10.10.10\n";
    struct gh_config *c;
    const struct gh_key *k;

    setenv("TZ", "UTC", 1);
    c = import(text);
    k = key_of(c, 0, 10);
    assert_key(k, 218, 218, "hmac-sha-1-96", true);
    assert_true(k->mkt.accept_mismatch);
    assert_secret(k, "abcde");
    assert_int_equal(k->mkt.send.from, 1519819200); /* 2018-02-28T12:00:00Z */
    assert_int_equal(k->mkt.send.until, 1519819220);
    assert_int_equal(c->session_count, 0);
    assert_int_equal(problem("unknown-chain")->line, 15);
    assert_string_equal(problem("unknown-chain")->remedy, "did you mean \"kcl\"?");
    assert_int_equal(problem("local-time")->line, 9);
    gh_config_free(c);
}

static const char whole_ios_xe[] =
    "version 17.2\nhostname R1\nclock timezone CET 1 0\n"
    "key chain OSPF\n key 1\n  key-string ospf-secret\n"
    "key chain core tcp\n"
    " key 1\n  send-id 3\n  recv-id 8\n  cryptographic-algorithm hmac-sha-256\n"
    "  send-lifetime 00:00:00 1 Dec 2026 00:00:00 1 Jan 2027\n  key-string 7 094F471A1A0A\n"
    " key 2\n  send-id 1\n  recv-id 2\n  cryptographic-algorithm aes-128-cmac\n"
    "  accept-lifetime local 01:00:00 1 Dec 2026 infinite\n"
    "  send-lifetime local 01:00:00 1 Jan 2027 infinite\n  key-string 0 two words\n"
    "  banana 3\n"
    "!\n"
    "interface GigabitEthernet0/0\n ip address 192.0.2.1 255.255.255.252\n!\n"
    "interface Loopback0\n ip address 192.168.0.11 255.255.255.255\n!\n"
    "router bgp 65000\n bgp log-neighbor-changes\n neighbor RR peer-group\n"
    " neighbor RR ao core include-tcp-options\n neighbor RR update-source Loopback0\n"
    " bgp listen range 10.1.0.0/16 peer-group RR\n"
    " neighbor 192.0.2.2 remote-as 65001\n"
    " neighbor 192.0.2.2 ao core accept-ao-mismatch\n"
    " neighbor 192.0.2.2 transport connection-mode passive\n"
    " neighbor 192.168.0.12 peer-group RR\n"
    " neighbor 192.0.2.6 remote-as 65002\n neighbor 192.0.2.6 password 7 0822455D0A16\n"
    " !\n address-family ipv4\n  neighbor 192.0.2.2 activate\n exit-address-family\n!\nend\n";

static void a_whole_router_with_ios_xe(void **state)
{
    struct gh_config *c = import(whole_ios_xe);
    const struct gh_key *k;

    assert_int_equal(c->chain_count, 2); /* one for each way of covering options */
    assert_string_equal(c->chains[0].name, "core");
    k = key_of(c, 0, 1);
    assert_key(k, 3, 8, "hmac-sha-256-256", true);
    assert_int_equal(k->secret.len, 0);
    assert_int_equal(k->mkt.send.from, DEC_1_2026);
    assert_int_equal(k->mkt.send.until, JAN_1_2027);
    k = key_of(c, 0, 2);
    assert_key(k, 1, 2, "aes-128-cmac-96", true);
    assert_secret(k, "two words");
    assert_int_equal(k->mkt.send.from, JAN_1_2027); /* an hour east of Greenwich */
    assert_int_equal(k->mkt.accept.from, DEC_1_2026);
    assert_key(key_of(c, 1, 1), 3, 8, "hmac-sha-256-256", false);
    assert_string_equal(c->chains[1].name, "core-options-excluded");
    assert_string_equal(key_of(c, 1, 1)->secret_source, "file /secrets/core-1");
    assert_int_equal(c->session_count, 3);
    assert_peer(&c->sessions[0], "10.1.0.0/16", 179);
    assert_peer(&c->sessions[1], "192.0.2.2", 179);
    assert_int_equal(c->sessions[1].mode, GH_ACCEPT_MISMATCH);
    assert_int_equal(c->sessions[1].direction, GH_PASSIVE);
    assert_int_equal(c->sessions[1].chain, 1);
    assert_peer(&c->sessions[2], "192.168.0.12", 179);
    assert_int_equal(c->sessions[2].chain, 0);
    assert_int_equal(problem("secret-hidden")->line, 13);
    assert_int_equal(problem("not-carried")->line, 21);
    assert_int_equal(problems.errors, 1);
    assert_int_equal(problems.count, 2);
    gh_config_free(c);
}

static void the_other_end_of_a_whole_router(void **state)
{
    struct gh_config *c = import_as(whole_ios_xe, GH_VENDOR_IOS_XE, true);
    char text[GH_PREFIX_TEXT];
    const struct gh_key *k = key_of(c, 0, 2);

    assert_key(k, 2, 1, "aes-128-cmac-96", true);
    assert_int_equal(k->mkt.send.from, DEC_1_2026); /* what it accepts may be sent */
    assert_int_equal(k->mkt.accept.from, JAN_1_2027);
    assert_int_equal(c->session_count, 3);
    assert_peer(&c->sessions[1], "192.0.2.1", 179); /* by the interface's network */
    assert_int_equal(c->sessions[1].direction, GH_ACTIVE);
    assert_string_equal(gh_prefix_format(&c->sessions[1].local, text), "192.0.2.2");
    assert_peer(&c->sessions[2], "192.168.0.11", 179); /* by update-source */
    gh_config_free(c);
}

/* What the keys say counts for LISP; BGP heeds its neighbour's words alone. */
static void a_chain_of_ios_xe_for_bgp_and_lisp(void **state)
{
    static const char text[] =
        "key chain k tcp\n key 1\n  send-id 3\n  recv-id 8\n  key-string abc\n"
        "  cryptographic-algorithm hmac-sha-1\n  include-tcp-options\n  accept-ao-mismatch\n"
        "router lisp\n tcp auth-option k\n  peer 10.10.10.10\n !\n"
        "router bgp 1\n neighbor 192.0.2.2 ao k include-tcp-options\n"
        " address-family ipv4 vrf red\n  neighbor 192.0.2.6 ao k\n";
    struct gh_config *c = import(text);

    assert_int_equal(c->session_count, 3);
    assert_peer(&c->sessions[0], "10.10.10.10", 4342);
    assert_true(key_of(c, c->sessions[0].chain, 1)->mkt.accept_mismatch);
    assert_true(key_of(c, c->sessions[1].chain, 1)->mkt.options_covered);
    assert_false(key_of(c, c->sessions[1].chain, 1)->mkt.accept_mismatch);
    assert_false(key_of(c, c->sessions[2].chain, 1)->mkt.options_covered);
    assert_string_equal(c->sessions[2].vrf, "red");
    problem("vrf");
    assert_int_equal(problems.errors, 0);
    gh_config_free(c);
}

static void a_key_that_only_says_when_it_is_accepted_is_always_sent(void **state)
{
    static const char text[] =
        "key chain k tcp\n key 1\n  send-id 3\n  recv-id 8\n  key-string abc\n"
        "  cryptographic-algorithm hmac-sha-1\n"
        "  accept-lifetime 00:00:00 1 Dec 2026 infinite\n";
    struct gh_config *c = import(text);
    const struct gh_key *k = key_of(c, 0, 1);

    assert_no_problem();
    assert_int_equal(k->mkt.send.from, TCPAO_TIME_MIN);
    assert_int_equal(k->mkt.send.until, TCPAO_TIME_MAX);
    assert_int_equal(k->mkt.accept.from, DEC_1_2026);
    gh_config_free(c);
}

/* ---- IOS XR --------------------------------------------------------------------------------- */

static void a_router_with_ios_xr(void **state)
{
    static const char text[] =
        "key chain core\n timezone gmt\n key 1\n"
        "  accept-lifetime 00:00:00 december 01 2026 infinite\n  key-string clear abc\n"
        "  send-lifetime 00:00:00 december 01 2026 infinite\n"
        "  cryptographic-algorithm AES-128-CMAC-96\n !\n accept-tolerance 100\n!\n"
        "key chain isis\n key 1\n  key-string password 104D000A0618\n !\n!\n"
        "tcp ao\n keychain core\n  key 1 SendID 8 ReceiveID 3\n !\n!\n"
        "router bgp 65001\n neighbor-group g\n  ao core include-tcp-options disable\n !\n"
        " neighbor 2001:db8::1\n  remote-as 65000\n  use neighbor-group g\n"
        "  session-open-mode active-only\n"
        "  address-family ipv6 unicast\n   route-policy p in\n  !\n !\n!\n";
    struct gh_config *c = import(text);

    assert_no_problem();
    assert_int_equal(c->chain_count, 1);
    assert_int_equal(c->chains[0].tolerance, 100);
    assert_key(key_of(c, 0, 1), 8, 3, "aes-128-cmac-96", false);
    assert_int_equal(key_of(c, 0, 1)->mkt.send.from, DEC_1_2026);
    assert_int_equal(c->session_count, 1);
    assert_peer(&c->sessions[0], "2001:db8::1", 179);
    assert_int_equal(c->sessions[0].direction, GH_ACTIVE);
    gh_config_free(c);
}

/* ---- Junos ---------------------------------------------------------------------------------- */

/* As the document shows it: no option flag, no algorithm, one secret for both keys. */
static void the_guides_rpki_example_for_junos(void **state)
{
    static const char text[] =
        "user@R1# show security\nauthentication-key-chains\nkey-chain new_auth_key {\n"
        "key 0 {\nsecret \"$ABC123\"; ## SECRET-DATA\nstart-time \"2022-5-18.04:00:00 -0700\";\n"
        "algorithm ao;\nao-attribute {\nsend-id 3;\nrecv-id 8;\n}\n}\n"
        "key 1 {\nsecret \"$ABC123\"; ## SECRET-DATA\nstart-time \"2022-6-18.04:00:00 -0700\";\n"
        "algorithm ao;\nao-attribute {\nsend-id 1;\nrecv-id 2;\n}\n}\n}\n"
        "user@R1# show routing-options\nrouter-id 172.16.255.1;\nautonomous-system 65500;\n"
        "validation {\ngroup to_servers {\nsession 192.168.12.2 {\nauthentication-algorithm ao;\n"
        "authentication-key-chain new_auth_key;\nport 8282;\n}\n}\n}\n";
    struct gh_config *c = import(text);
    const struct gh_key *k = key_of(c, 0, 0);

    assert_key(k, 3, 8, "hmac-sha-1-96", false);
    assert_int_equal(k->mkt.send.from, 1652871600); /* 2022-05-18T11:00:00Z */
    assert_int_equal(k->mkt.send.until, 1655550000);
    assert_int_equal(key_of(c, 0, 1)->mkt.send.until, TCPAO_TIME_MAX);
    assert_int_equal(c->chains[0].tolerance, 3600);
    assert_peer(&c->sessions[0], "192.168.12.2", 8282);
    assert_int_equal(c->sessions[0].direction, GH_ACTIVE);
    assert_int_equal(problem("secret-hidden")->line, 5);
    assert_int_equal(problem("options-default")->line, 5);
    problem("algorithm-default");
    assert_int_equal(problems.errors, 2); /* two secrets to be written */
    gh_config_free(c);
}

static void the_guides_cache_for_junos(void **state)
{
    static const char text[] =
        "[edit security]\n"
        "user@R2# set authentication-key-chains key-chain k key 0 secret secretpassword start-time "
        "2022-5-18.04:00 algorithm ao ao-attribute send-id 8 recv-id 3 cryptographic-algorithm "
        "aes-128-cmac-96 tcp-ao-option enabled\n"
        "[edit security authentication-key-chains key-chain k]\n"
        "user@R2# set key 1 secret secretpassword start-time 2022-6-18.04:00 algorithm ao "
        "ao-attribute send-id 2 recv-id 1 cryptographic-algorithm hmac-sha-1-96 tcp-ao-option "
        "disabled\n"
        "[edit] set logical-systems r routing-options validation local-cache listen-port 8282 set "
        "logical-systems r routing-options validation group d session 192.168.12.1 local-cache set "
        "logical-systems r routing-options validation group d session 192.168.12.1 local-address "
        "192.168.12.2 set logical-systems r routing-options validation group d session "
        "192.168.12.1 authentication-algorithm ao set logical-systems r routing-options validation "
        "group d session 192.168.12.1 authentication-key-chain k\n";
    struct gh_config *c = import_as(text, GH_VENDOR_COUNT, true);
    char local[GH_PREFIX_TEXT];

    assert_no_problem();
    assert_key(key_of(c, 0, 0), 3, 8, "aes-128-cmac-96", true);
    assert_key(key_of(c, 0, 1), 1, 2, "hmac-sha-1-96", false);
    assert_secret(key_of(c, 0, 1), "secretpassword");
    assert_int_equal(c->session_count, 1);
    assert_peer(&c->sessions[0], "192.168.12.2", 8282);
    assert_string_equal(gh_prefix_format(&c->sessions[0].local, local), "192.168.12.1");
    assert_int_equal(c->sessions[0].direction, GH_ACTIVE);
    gh_config_free(c);
}

/* Two routers' results in one, with braces that open instead of closing, and LDP without a
 * neighbour. */
static void the_guides_broken_results_for_junos(void **state)
{
    static const char text[] =
        "set security authentication-key-chains key-chain new_auth_key key 0 secret s3cret\n"
        "set security authentication-key-chains key-chain new_auth_key key 0 algorithm ao\n"
        "set security authentication-key-chains key-chain new_auth_key key 0 ao-attribute send-id "
        "3 "
        "recv-id 8 tcp-ao-option enabled cryptographic-algorithm hmac-sha-1-96\n"
        "user@R1# show protocols\nbgp {\ngroup ebgp_grp {\ntype external;\npeer-as 65500;\n"
        "neighbor 192.0.2.1 {\nauthentication-algorithm ao;\n"
        "authentication-key-chain new_auth_key;\n{\n{\n{\n"
        "bgp {\ngroup ebgp_grp {\ntype external;\npeer-as 65551;\nneighbor 192.0.2.2 {\n"
        "authentication-algorithm ao;\nauthentication-key-chain new_auth_key;\n}\n}\n}\n"
        "user@R1# show protocols\nldp {\ninterface ge-0/0/1.0;\nauthentication-algorithm ao;\n"
        "authentication-key-chain new_auth_key;\n{\n{\n";
    struct gh_config *c = import(text);

    assert_int_equal(c->session_count, 2);
    assert_peer(&c->sessions[0], "192.0.2.1", 179);
    assert_peer(&c->sessions[1], "192.0.2.2", 179);
    assert_int_equal(problem("brace")->line, 12);
    assert_int_equal(problem("no-neighbour")->line, 29);
    assert_int_equal(problems.errors, 0);
    gh_config_free(c);
}

static void a_whole_router_with_junos(void **state)
{
    static const char text[] =
        "system { host-name R1; /* set by hand */ services { ssh; } }\n"
        "interfaces { ge-0/0/1 { unit 0 { family inet { address 192.0.2.1/30; } } }\n"
        "  lo0 { unit 0 { family inet { address 192.168.0.11/32; } } } }\n"
        "security { authentication-key-chains { key-chain k { description \"of the core\";\n"
        "  tolerance 60;\n"
        "  key 0 { secret \"$9$x\"; algorithm ao; start-time \"2026-12-1.00:00:00 +0000\";\n"
        "   ao-attribute { send-id 3; recv-id 8; tcp-ao-option enabled;\n"
        "    cryptographic-algorithm hmac-sha-1-96; } }\n"
        "  key 1 { secret md5; algorithm md5; start-time 2027-1-1.00:00; } } } }\n"
        "protocols { bgp { group e { tcpao-auth-mismatch allow-without-tcpao;\n"
        "   authentication-algorithm ao; authentication-key-chain k;\n"
        "   neighbor 192.0.2.2 { peer-as 65501; } neighbor 192.0.2.3 {\n"
        "    authentication-algorithm md5; } allow 10.0.0.0/8; } }\n"
        " ldp { session 192.168.0.12 { authentication-algorithm ao;\n"
        "   authentication-key-chain k; } } }\n";
    struct gh_config *c = import_as(text, GH_VENDOR_JUNOS, true);

    assert_int_equal(c->chains[0].key_count, 1);
    assert_int_equal(c->chains[0].tolerance, 60);
    assert_string_equal(c->chains[0].description, "of the core");
    assert_int_equal(key_of(c, 0, 0)->mkt.send.until, TCPAO_TIME_MAX);
    assert_int_equal(c->session_count, 2);
    assert_peer(&c->sessions[0], "192.0.2.1", 179);
    assert_int_equal(c->sessions[0].mode, GH_ALLOW_WITHOUT_AO);
    assert_peer(&c->sessions[1], "192.168.0.11", 646);
    problem("not-tcp-ao");
    problem("secret-hidden");
    problem("own-address"); /* towards 10.0.0.0/8 */
    gh_config_free(c);
}

/* ---- SR OS ---------------------------------------------------------------------------------- */

static void a_tree_of_sr_os(void **state)
{
    static const char text[] =
        "configure {\n router \"Base\" {\n  bgp {\n   group \"e\" {\n"
        "    authentication-keychain \"core\"\n   }\n   neighbor \"192.0.2.1\" {\n"
        "    group \"e\"\n    passive true\n   }\n  }\n }\n system {\n  security {\n"
        "   keychains {\n    keychain \"core\" {\n     admin-state enable\n     receive {\n"
        "      entry 9 {\n       authentication-key \"abc\"\n"
        "       algorithm aes-128-cmac-96\n       begin-time 2026-12-01T00:00:00.0Z\n      }\n"
        "      entry 11 {\n       authentication-key \"other\"\n"
        "       algorithm aes-128-cmac-96\n      }\n     }\n"
        "     send {\n      entry 2 {\n       authentication-key \"abc\"\n"
        "       algorithm aes-128-cmac-96\n       begin-time 2026-12-01T00:00:00.0Z\n      }\n"
        "     }\n     bidirectional {\n      entry 7 {\n"
        "       authentication-key \"zz hash2\"\n       algorithm hmac-sha-1-96\n"
        "       begin-time 2027-01-01T00:00:00.0Z\n      }\n     }\n"
        "     tcp-option-number {\n      receive tcp-ao\n      send tcp-ao\n     }\n"
        "    }\n   }\n  }\n }\n}\n";
    struct gh_config *c = import(text);
    const struct gh_key *k = key_of(c, 0, 2);

    assert_key(k, 2, 9, "aes-128-cmac-96", true);
    assert_secret(k, "abc");
    assert_int_equal(k->mkt.send.from, DEC_1_2026);
    assert_int_equal(k->mkt.send.until, JAN_1_2027);
    assert_int_equal(k->mkt.accept.until, TCPAO_TIME_MAX);
    assert_key(key_of(c, 0, 7), 7, 7, "hmac-sha-1-96", true);
    assert_int_equal(c->chains[0].key_count, 2);
    assert_int_equal(c->chains[0].tolerance, 300);
    assert_int_equal(c->session_count, 1);
    assert_peer(&c->sessions[0], "192.0.2.1", 179);
    assert_int_equal(c->sessions[0].direction, GH_PASSIVE);
    assert_int_equal(problem("no-pair")->line, 25);
    problem("secret-hidden");
    assert_int_equal(problems.count, 2);
    gh_config_free(c);
}

/* ---- BIRD ----------------------------------------------------------------------------------- */

static void a_router_with_bird(void **state)
{
    static const char text[] =
        "log syslog all; # keys { key { id 1; }; };\nprotocol device {}\n"
        "template bgp tor { authentication ao; keys {\n"
        "  key { send id 1; recv id 2; secret \"old\"; algorithm cmac aes128; deprecated; };\n"
        "  key { id 7; secret hex:00:0a:ff; algorithm hmac sha256; preferred; };\n"
        "  key { id 8; secret \"next\"; algorithm hmac sha1; };\n };\n"
        " ipv4 { import all; }; }\n"
        "protocol bgp one from tor { local 192.0.2.1 port 1179 as 65001;\n"
        "  neighbor 192.0.2.2 port 1790 as 65000; passive on; }\n"
        "protocol bgp two { neighbor 192.0.2.6 as 65000; password \"md5\"; }\n";
    struct gh_config *c = import_as(text, GH_VENDOR_COUNT, true);

    assert_int_equal(c->chain_count, 1);
    assert_string_equal(c->chains[0].name, "tor");
    assert_key(key_of(c, 0, 1), 2, 1, "aes-128-cmac-96", true);
    assert_key(key_of(c, 0, 2), 8, 8, "hmac-sha-1-96", true);
    assert_key(key_of(c, 0, 3), 7, 7, "hmac-sha-256-96", true);
    assert_memory_equal(key_of(c, 0, 3)->secret.data, "\x00\x0a\xff", 3);
    assert_true(key_of(c, 0, 3)->secret_hex);
    assert_int_equal(c->session_count, 1);
    assert_peer(&c->sessions[0], "192.0.2.1", 1790);
    assert_int_equal(c->sessions[0].direction, GH_ACTIVE);
    assert_int_equal(problems.count, 1);
    problem("no-lifetimes");
    gh_config_free(c);
}

/* ---- Round trips ---------------------------------------------------------------------------- */

static const char *const originals[] = {
    "key-chain core {\n"
    "key 1 { send-id = 3 recv-id = 8 secret = Qm4vT8zKx2WcR7nLp9Yd\n"
    "  lifetime = 2026-12-01/2027-01-31 }\n"
    "key 2 { send-id = 1 recv-id = 2 secret = h3Fg6Js1BvN5tXe0UaZk\n"
    "  lifetime = 2027-01-01/infinite algorithm = aes-128-cmac } }\n"
    "tcp-ao s { peer = 192.0.2.2 local = 192.0.2.1 key-chain = core }\n",
    "key-chain one { tolerance = 60\n"
    "key 5 { send-id = 9 recv-id = 9 secret = Qm4vT8zKx2WcR7nLp9Yd } }\n"
    "tcp-ao s { peer = 2001:db8::2 local = 2001:db8::1 key-chain = one }\n",
    "key-chain bare {\n"
    "key 0 { send-id = 0 recv-id = 60 secret = Qm4vT8zKx2WcR7nLp9Yd\n"
    "  include-tcp-options = false lifetime = 2026-12-01/infinite } }\n"
    "tcp-ao s { peer = 192.0.2.2 local = 192.0.2.1 key-chain = bare }\n",
    "key-chain long {\n"
    "key 7 { send-id = 7 recv-id = 6 secret = Qm4vT8zKx2WcR7nLp9Yd\n"
    "  algorithm = hmac-sha-256-256 lifetime = 2026-12-01/infinite } }\n"
    "tcp-ao s { peer = 10.10.10.10 local = 10.1.0.1 port = 4342 key-chain = long }\n",
    "key-chain sha2 {\n"
    "key 7 { send-id = 7 recv-id = 6 secret = Qm4vT8zKx2WcR7nLp9Yd\n"
    "  algorithm = hmac-sha-256-96 lifetime = 2026-12-01/infinite } }\n"
    "tcp-ao s { peer = 192.0.2.2 local = 192.0.2.1 key-chain = sha2 }\n",
    "key-chain ldp {\n"
    "key 7 { send-id = 7 recv-id = 6 secret = Qm4vT8zKx2WcR7nLp9Yd\n"
    "  lifetime = 2026-12-01/infinite } }\n"
    "tcp-ao s { peer = 192.0.2.2 local = 192.0.2.1 port = 646 key-chain = ldp }\n",
};

/* By id, since BIRD's text has no key numbers. */
static const struct gh_key *by_ids(const struct gh_key_chain *c, const struct gh_key *like)
{
    for (size_t i = 0; i < c->key_count; i++) {
        if (c->keys[i].mkt.send_id == like->mkt.send_id &&
            c->keys[i].mkt.recv_id == like->mkt.recv_id)
            return &c->keys[i];
    }
    fail_msg("no key with send-id %u and recv-id %u", like->mkt.send_id, like->mkt.recv_id);
    return NULL;
}

/* On the wire nothing tells the two apart: the same keys, sent and accepted at the same times. Ends
 * and starts that the vendor's words have room for are the same. */
static void assert_same_meaning(const struct gh_key_chain *a, const struct gh_key_chain *b,
                                bool lifetimes)
{
    static const int64_t times[] = {
        DEC_1_2026, DEC_1_2026 + 86400,      JAN_1_2027 - 1,
        JAN_1_2027, JAN_1_2027 + 60 * 86400, JAN_1_2027 + 3650 * INT64_C(86400)};
    struct tcpao_chain *x = gh_key_chain_build(a), *y = gh_key_chain_build(b);

    assert_int_equal(a->key_count, b->key_count);
    for (size_t i = 0; i < a->key_count; i++) {
        const struct gh_key *k = &a->keys[i], *l = by_ids(b, k);

        assert_int_equal(k->mkt.alg, l->mkt.alg);
        assert_int_equal(k->mkt.mac_len, l->mkt.mac_len);
        assert_int_equal(k->mkt.options_covered, l->mkt.options_covered);
        assert_true(gh_secret_equal(&k->secret, &l->secret));
    }
    for (size_t i = 0; i < ARRAY_LEN(times) && lifetimes; i++) {
        const struct tcpao_mkt *m = tcpao_chain_preferred(x, times[i]);
        const struct tcpao_mkt *n = tcpao_chain_preferred(y, times[i]);

        assert_non_null(m);
        assert_non_null(n);
        assert_int_equal(m->send_id, n->send_id);
        assert_non_null(tcpao_chain_by_recv_id(y, m->recv_id, times[i]));
    }
    tcpao_chain_put(x);
    tcpao_chain_put(y);
}

static struct gh_config *parse(const char *text)
{
    struct gh_problems p = {0};
    struct gh_config *c = gh_config_parse("t.conf", text, strlen(text), NULL, &p);

    assert_non_null(c);
    gh_problems_clear(&p);
    return c;
}

static bool same_host(const struct gh_prefix *a, const struct gh_prefix *b)
{
    return gh_addr_equal(&a->addr, &b->addr);
}

/* What was written for the far end, read as what it is and as its other end, which we are. */
static unsigned round_trip(const struct gh_config *c, enum gh_vendor v)
{
    struct gh_far_end e = {.chain = &c->chains[0],
                           .session = &c->sessions[0],
                           .as = 65000,
                           .peer_as = 65001,
                           .now = DEC_1_2026,
                           .show_secrets = true};
    bool shows_session = e.session->port == 179 || (v == GH_VENDOR_JUNOS) ||
                         (v == GH_VENDOR_IOS_XE && e.session->port == 4342) || v == GH_VENDOR_BIRD;
    char why[GH_WHY_TEXT], *text = NULL;
    struct gh_config *back, *mirror;
    size_t len;
    FILE *out;

    if (!gh_vendor_check(v, &e, why))
        return 0;
    out = open_memstream(&text, &len);
    gh_vendor_write(v, &e, out);
    fclose(out);
    assert_int_equal(gh_import_guess(text, len), v);
    back = import_as(text, v, true);
    for (size_t i = 0; i < problems.count; i++) {
        const char *rule = problems.list[i].rule;

        if (strcmp(rule, "own-address") != 0 && strcmp(rule, "no-lifetimes") != 0) {
            gh_problems_print(&problems, stderr);
            fail_msg("%s: %s", gh_vendor_name(v), text);
        }
    }
    assert_same_meaning(&c->chains[0], &back->chains[0], v != GH_VENDOR_BIRD);
    mirror = import_as(text, v, false);
    assert_int_equal(mirror->session_count, shows_session);
    if (shows_session) {
        assert_true(same_host(&mirror->sessions[0].peer, &c->sessions[0].local));
        assert_int_equal(mirror->sessions[0].port, c->sessions[0].port);
    }
    assert_int_equal(key_of(mirror, 0, mirror->chains[0].keys[0].mkt.number)->mkt.send_id,
                     by_ids(&back->chains[0], &back->chains[0].keys[0])->mkt.recv_id);
    gh_config_free(back);
    gh_config_free(mirror);
    free(text);
    return 1;
}

static void what_is_written_for_a_vendor_reads_back_as_it_was(void **state)
{
    unsigned done[GH_VENDOR_COUNT] = {0};

    for (size_t i = 0; i < ARRAY_LEN(originals); i++) {
        struct gh_config *c = parse(originals[i]);

        for (unsigned v = GH_VENDOR_IOS_XE; v < GH_VENDOR_COUNT; v++)
            done[v] += round_trip(c, (enum gh_vendor)v);
        gh_config_free(c);
    }
    assert_int_equal(done[GH_VENDOR_IOS_XE], 5);
    assert_int_equal(done[GH_VENDOR_IOS_XR], 4);
    assert_int_equal(done[GH_VENDOR_JUNOS], 4);
    assert_int_equal(done[GH_VENDOR_SR_OS], 4);
    assert_int_equal(done[GH_VENDOR_BIRD], 4);
}

/* ---- Problems and the command --------------------------------------------------------------- */

static void what_is_missing_is_an_error_with_its_line(void **state)
{
    struct gh_config *c = import("key chain k tcp\n key 1\n  send-id 300\n  recv-id 1\n"
                                 "  cryptographic-algorithm md5\n key 2\n  send-id 1\n"
                                 "  recv-id 2\n  key-string x\n");

    assert_int_equal(problem("range")->line, 3);
    assert_int_equal(problem("algorithm")->line, 5);
    assert_int_equal(problem("incomplete-key")->line, 6);
    assert_int_equal(problem("empty-chain")->line, 1);
    assert_int_equal(c->chain_count, 0);
    gh_config_free(c);
    c = import("hostname R1\n");
    problem("vendor");
    gh_config_free(c);
    c = import_as("hostname R1\n", GH_VENDOR_IOS_XE, false);
    problem("nothing-found");
    gh_config_free(c);
    c = import("key chain k tcp\n key 1\n  send-id 3\n  recv-id 1\n  key-string x\n"
               "  cryptographic-algorithm hmac-sha-1\n key 2\n  send-id 3\n  recv-id 2\n"
               "  cryptographic-algorithm hmac-sha-1\n  key-string y\n");
    problem("id-in-use");
    gh_config_free(c);
}

static int run_import(char *file, char *dir, char *json)
{
    char name[] = "import", option[] = "--secret-dir";
    char *argv[] = {name, file, option, dir, json, NULL};
    int status, out = dup(1);
    char path[256];

    snprintf(path, sizeof(path), "%s/out", dir);
    fflush(stdout);
    assert_non_null(freopen(path, "w", stdout));
    status = gh_cmd_import(json != NULL ? 5 : 4, argv);
    fflush(stdout);
    dup2(out, 1);
    close(out);
    return status;
}

static char *read_all(const char *dir, const char *name, struct stat *st)
{
    char path[256], *text = calloc(1, 65536);
    FILE *in;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    in = fopen(path, "r");
    assert_non_null(in);
    assert_true(fread(text, 1, 65535, in) > 0);
    fstat(fileno(in), st);
    fclose(in);
    return text;
}

static void write_all(const char *dir, const char *name, const char *text, char path[256])
{
    FILE *out;

    snprintf(path, 256, "%s/%s", dir, name);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void the_command_writes_secrets_and_never_prints_them(void **state)
{
    static const char text[] = "key chain k/1 tcp\n key 1\n  send-id 3\n  recv-id 1\n"
                               "  cryptographic-algorithm hmac-sha-1\n  key-string Tr0ub4dor\n"
                               "router bgp 1\n neighbor 192.0.2.2 ao k/1 include-tcp-options\n";
    char dir[] = "/tmp/gatehouse-import-XXXXXX", path[256], json[] = "--json";
    struct gh_problems p = {0};
    struct gh_config *c;
    struct stat st;
    char *out, *secret;

    assert_non_null(mkdtemp(dir));
    write_all(dir, "router", text, path);
    assert_int_equal(run_import(path, dir, NULL), 0);
    secret = read_all(dir, "k_1-1", &st);
    assert_string_equal(secret, "Tr0ub4dor\n");
    assert_int_equal(st.st_mode & 07777, 0600);
    out = read_all(dir, "out", &st);
    assert_null(strstr(out, "Tr0ub4dor"));
    free(secret);
    free(out);
    snprintf(path, sizeof(path), "%s/out", dir);
    c = gh_config_load(path, NULL, &p); /* with its secrets */
    if (c == NULL)
        gh_problems_print(&p, stderr);
    assert_non_null(c);
    assert_secret(&c->chains[0].keys[0], "Tr0ub4dor");
    assert_int_equal(c->session_count, 1);
    gh_config_free(c);
    gh_problems_clear(&p);
    /* once more is no harm; another secret is not written over it */
    snprintf(path, sizeof(path), "%s/router", dir);
    assert_int_equal(run_import(path, dir, json), 0);
    out = read_all(dir, "out", &st);
    assert_null(strstr(out, "Tr0ub4dor"));
    assert_non_null(strstr(out, "\"from\": \"ios-xe\""));
    free(out);
    write_all(dir, "k_1-1", "another\n", path);
    snprintf(path, sizeof(path), "%s/router", dir);
    assert_int_equal(run_import(path, dir, NULL), 1);
    secret = read_all(dir, "k_1-1", &st);
    assert_string_equal(secret, "another\n");
    free(secret);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, (const char *[]){"router", "out", "k_1-1"}[i]);
        unlink(path);
    }
    rmdir(dir);
}

static int forget_problems(void **state)
{
    gh_problems_clear(&problems);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guide_for_ios_xe_with_its_prompts),
        cmocka_unit_test(a_whole_router_with_ios_xe),
        cmocka_unit_test(the_other_end_of_a_whole_router),
        cmocka_unit_test(a_chain_of_ios_xe_for_bgp_and_lisp),
        cmocka_unit_test(a_key_that_only_says_when_it_is_accepted_is_always_sent),
        cmocka_unit_test(a_router_with_ios_xr),
        cmocka_unit_test(the_guides_rpki_example_for_junos),
        cmocka_unit_test(the_guides_cache_for_junos),
        cmocka_unit_test(the_guides_broken_results_for_junos),
        cmocka_unit_test(a_whole_router_with_junos),
        cmocka_unit_test(a_tree_of_sr_os),
        cmocka_unit_test(a_router_with_bird),
        cmocka_unit_test(what_is_written_for_a_vendor_reads_back_as_it_was),
        cmocka_unit_test(what_is_missing_is_an_error_with_its_line),
        cmocka_unit_test(the_command_writes_secrets_and_never_prints_them),
    };

    return cmocka_run_group_tests(tests, NULL, forget_problems);
}
