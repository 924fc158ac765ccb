/* gatehouse.conf, IKE's part: what is read, what is refused and on which line, what reaches the
 * process that runs IKE, and that no secret is in it. */
#include "made_certs.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "config/ike_ts_text.h"
#include "config/ike_words.h"
#include "config/lint.h"
#include "crypto/ke.h"
#include "ike/codes.h"
#include "pki/auth.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct gh_config_options skip = {.skip_secrets = true};
static char dir[] = "/tmp/gh-ikecfg-XXXXXX";

/* ---- Helpers -------------------------------------------------------------------------------- */

static struct gh_config *parse_with(const char *text, const struct gh_config_options *options,
                                    struct gh_problems *p)
{
    return gh_config_parse("t.conf", text, strlen(text), options, p);
}

static struct gh_config *must_parse(const char *text, const struct gh_config_options *options)
{
    struct gh_problems p = {0};
    struct gh_config *c = parse_with(text, options, &p);

    if (c == NULL) {
        gh_problems_print(&p, stderr);
        fail_msg("refused: %s", text);
    }
    gh_problems_clear(&p);
    return c;
}

static const struct gh_problem *find(const struct gh_problems *p, const char *rule, int line)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->list[i].rule, rule) == 0 && p->list[i].line == line)
            return &p->list[i];
    }
    return NULL;
}

/* It is refused, by this rule, on this line. */
static void must_refuse(const char *text, const struct gh_config_options *options, const char *rule,
                        int line)
{
    struct gh_problems p = {0};
    struct gh_config *c = parse_with(text, options, &p);
    const struct gh_problem *q = find(&p, rule, line);

    if (c != NULL || q == NULL || q->severity != GH_PROBLEM_ERROR) {
        gh_problems_print(&p, stderr);
        fail_msg("not refused as [%s] on line %d: %s", rule, line, text);
    }
    gh_problems_clear(&p);
}

static char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;

    va_start(ap, fmt);
    assert_true(vasprintf(&text, fmt, ap) >= 0);
    va_end(ap);
    return text;
}

static const char *path_of(const char *name)
{
    static char path[8][256];
    static unsigned next;

    next = (next + 1) % 8;
    snprintf(path[next], sizeof(path[next]), "%s/%s", dir, name);
    return path[next];
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static void write_cert(const char *name, struct made_plan plan)
{
    X509 *x = made_x509(&plan);
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, x), 1);
    fclose(f);
    chmod(path_of(name), 0644);
    X509_free(x);
}

static void write_key(const char *name, EVP_PKEY *key)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    assert_int_equal(PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    chmod(path_of(name), 0600);
}

static int make_files(void **state)
{
    EVP_PKEY *root = made_key_nth("P-256", 0), *sub = made_key_nth("P-256", 1),
             *leaf = made_key_nth("P-256", 2), *other = made_key_nth("P-256", 3);
    int64_t year = 365 * MADE_DAY;
    FILE *f;

    assert_non_null(mkdtemp(dir));
    write_file("psk", "0s3q2+796tvu8BI0VniavN7w==\n", 0600);
    write_file("short", "0123456789abcde\n", 0600);
    write_file("open", "a secret that others can read\n", 0644);
    write_file("ppk", "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 0600);
    write_file("none.pem", "no certificate\n", 0644);
    write_file("writable.pem", "whatever\n", 0666);
    chmod(path_of("writable.pem"), 0666);
    write_cert(
        "root.pem",
        (struct made_plan){.cn = "Root", .key = root, .basic = MADE_CA, .until = MADE_NOW + year});
    write_cert("sub.pem", (struct made_plan){.cn = "Sub",
                                             .issuer = "Root",
                                             .key = sub,
                                             .signer = root,
                                             .basic = MADE_CA,
                                             .until = MADE_NOW + year});
    write_cert("leaf.pem", (struct made_plan){.cn = "gw",
                                              .issuer = "Sub",
                                              .key = leaf,
                                              .signer = sub,
                                              .san = "DNS:gw.example.net",
                                              .until = MADE_NOW + 40 * MADE_DAY});
    write_cert("other.pem", (struct made_plan){.cn = "other", .key = other});
    write_key("leaf.key", leaf);
    write_key("other.key", other);
    f = fopen(path_of("raw.pem"), "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_PUBKEY(f, other), 1);
    fclose(f);
    chmod(path_of("raw.pem"), 0644);
    return 0;
}

static int remove_files(void **state)
{
    static const char *const names[] = {
        "psk",          "short",    "open",     "ppk",       "none.pem",  "root.pem", "sub.pem",
        "writable.pem", "leaf.pem", "leaf.key", "other.pem", "other.key", "raw.pem"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlink(path_of(names[i]));
    for (unsigned i = 0; i < 9; i++) {
        char name[16];

        snprintf(name, sizeof(name), "ca%u.pem", i);
        unlink(path_of(name));
    }
    return rmdir(dir);
}

/* The text with DIR in place of each "@". */
static char *at_dir(const char *text)
{
    char *all = NULL;
    size_t len;
    FILE *out = open_memstream(&all, &len);

    for (; *text != '\0'; text++) {
        if (*text == '@')
            fputs(dir, out);
        else
            fputc(*text, out);
    }
    fclose(out);
    return all;
}

static char *print(const struct gh_config *c)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    gh_config_print(c, out);
    fclose(out);
    return text;
}

/* ---- What is read --------------------------------------------------------------------------- */

static const char six_lines[] = "ike-peer \"berlin\" {\n"
                                "    remote = \"192.0.2.2\"\n"
                                "    local = \"192.0.2.1\"\n"
                                "    psk-file = \"/etc/gatehouse/secrets/berlin\"\n"
                                "    child \"lan\" { local-ts = \"10.1.0.0/16\"  "
                                "remote-ts = \"10.2.0.0/16\" }\n"
                                "}\n";

static void a_peer_is_six_lines(void **state)
{
    struct gh_problems problems = {0};
    struct gh_config *c = parse_with(six_lines, &skip, &problems);
    const struct ike2_policy *p;
    struct ike2_policy *defaults = ike2_policy_new("berlin");
    const struct gh_order_item *item;
    char text[IKE_TS_TEXT], addr[GH_ADDR_TEXT];

    assert_non_null(c);
    assert_int_equal(problems.count, 0);
    assert_int_equal(c->ike->policy_count, 1);
    p = c->ike->policies[0];
    assert_string_equal(p->name, "berlin");
    assert_int_equal(p->index, 1);
    assert_string_equal(gh_addr_format(&p->gateway, addr), "192.0.2.2");
    assert_string_equal(gh_addr_format(&p->local, addr), "192.0.2.1");
    assert_true(gh_prefix_is_host(&p->remote));
    assert_int_equal(p->port, 500);
    assert_false(p->responder_only);
    assert_int_equal(p->local_auth, IKE2_AUTH_PSK);
    assert_int_equal(p->remote_auths, GH_BIT(IKE2_AUTH_PSK));
    assert_string_equal(p->psk, "berlin");
    assert_null(p->remote_id);
    assert_int_equal(p->proposals.len, defaults->proposals.len);
    assert_memory_equal(p->proposals.octets, defaults->proposals.octets, p->proposals.len);
    assert_int_equal(p->lifetime.seconds, 86400);
    assert_int_equal(p->mtu, 1500);
    assert_int_equal(p->child_count, 1);
    assert_string_equal(p->children[0].name, "lan");
    assert_int_equal(p->children[0].mode, IKE2_TUNNEL);
    assert_int_equal(p->children[0].lifetime.seconds, 3600);
    assert_true(p->children[0].start);
    assert_int_equal(ike_proposals_protocol(&p->children[0].proposals), IKE_PROTO_ESP);
    assert_string_equal(ike_ts_format(&p->children[0].local.ts[0], text), "10.1.0.0/16");
    assert_string_equal(ike_ts_format(&p->children[0].remote.ts[0], text), "10.2.0.0/16");
    assert_false(c->ike->settings.lock_out);
    assert_int_equal(c->ike->settings.sas_max, 65536);
    assert_int_equal(c->ike->settings.half_open_max, 4096);
    assert_int_equal(c->ike->settings.half_open_cookie, 64);
    assert_int_equal(c->ike->settings.children_max, 64);
    assert_int_equal(c->ike->settings.reassembly_ms, 2000);
    assert_int_equal(c->ike->settings.reduced_exchange_ms, 2000);
    assert_int_equal(c->ike->settings.half_open_puzzle, 1024);
    assert_int_equal(c->ike->settings.puzzle_bits, 16);
    assert_int_equal(c->ike->settings.puzzle_legacy, 30);
    assert_int_equal(c->ike->settings.puzzle_budget, 1024);
    assert_int_equal(c->ike->settings.ticket_seconds, 8 * 3600);
    assert_false(c->ike->settings.pass_unprotected || c->ike->settings.drop_fragments);
    assert_int_equal(c->ike->settings.strays_per_second, 20);
    assert_true(p->crash_tokens && !p->resumption && !p->redirects && !p->childless);
    assert_true(p->routability && !p->mobike);
    assert_int_equal(p->plane, IKE2_PLANE_USER);
    assert_false(p->children[0].kernel);
    assert_int_equal(p->redirect_at, IKE2_REDIRECT_NEVER);
    assert_int_equal(p->puzzle_bits, 20);
    assert_null(c->ike->settings.key_log);
    assert_null(c->ike->settings.esp_key_log);
    assert_int_equal(c->keeper.count, 1);
    item = &c->keeper.items[0];
    assert_int_equal(item->kind, GH_SECRET_PSK);
    assert_string_equal(item->name, "berlin");
    assert_int_equal(item->source.place, GH_PLACE_FILE);
    assert_string_equal(item->source.where, "/etc/gatehouse/secrets/berlin");
    assert_int_equal(gh_lint(c, NULL, MADE_NOW, &problems), 0);
    ike2_policy_free(defaults);
    gh_config_free(c);
}

static void without_ike_there_is_none(void **state)
{
    struct gh_config *c = must_parse("gatehouse { }\n", NULL);

    assert_null(c->ike);
    assert_null(c->ike_text);
    assert_int_equal(c->keeper.count, 0);
    gh_config_free(c);
}

static const char everything[] =
    "ike { sa-limit = 5000 half-open-limit = 500 cookie-threshold = 50 child-limit = 20\n"
    "  tcp-ao-protocol = 255"
    "  sa-high-watermark = 4000 sa-low-watermark = 3000 workers = 3"
    "  reassembly-timeout = 5 reduced-exchange-timeout = 60 key-log = /tmp/keys"
    "  esp-key-log = /tmp/esp-keys\n"
    "  puzzle-threshold = 400 puzzle-difficulty = 20 puzzle-unsolved = 1000 puzzle-budget = 64\n"
    "  ticket-lifetime = 1d unknown-spi-answers = 0 unprotected = pass esp-fragments = drop "
    "path-mtu-aging = 1h "
    "icmp-prohibited = 50/5\n"
    "  lockout { attempts = 64 duration = 60 block = 1440 max-ports = 32000 clients = 100 } }\n"
    "ike-psk shared { secret-file = \"@/psk\" }\n"
    "ike-ppk quantum { secret-file = \"@/ppk\" }\n"
    "ike-key gw { key-file = \"@/leaf.key\" }\n"
    "ike-key raw { key-file = \"@/other.key\" }\n"
    "ike-key hsm { key-uri = \"pkcs11:token=HSM;object=own?module-path=/usr/lib/hsm.so\"\n"
    "  pin-file = \"@/psk\" public-key-file = \"@/raw.pem\" }\n"
    "ike-transform strong { encryption = { aes-256-gcm, chacha20-poly1305 }\n"
    "  prf = { hmac-sha-384 } ke = { x25519, 20 } additional-ke-1 = { ecp-521, none } }\n"
    "ike-transform old { encryption = 3des integrity = hmac-md5-96 prf = hmac-md5 ke = { 2, 5 }\n"
    "  legacy = yes }\n"
    "ipsec-transform esp { encryption = aes-128-cbc integrity = hmac-sha-384-192 ke = { 14, none "
    "}\n"
    "  esn = no }\n"
    "ipsec-transform ah { protocol = ah integrity = { hmac-sha-512-256, aes-cmac-96 } }\n"
    "ts-list wide { local = { \"10.0.0.0/8 tcp 80-443\", \"192.0.2.1-192.0.2.9 udp opaque\" }\n"
    "  remote = { \"2001:db8::/32 icmpv6 128/0\", \"198.51.100.0/24\" } }\n"
    "trust-anchor-profile cas { ca-file = { \"@/root.pem\" } intermediate-file = \"@/sub.pem\" }\n"
    "cert-profile certs {\n"
    "  entry 2 { cert-file = \"@/other.pem\" key-file = \"@/other.key\" }\n"
    "  entry 1 { cert-file = \"@/leaf.pem\" key = gw send-chain = { \"@/sub.pem\" }\n"
    "    rsa-signature = pss }\n"
    "  entry 3 { cert-file = \"@/other.pem\"\n"
    "    key-uri = \"pkcs11:serial=7;id=%01;type=private?module-path=/usr/lib/hsm.so\" } }\n"
    "client-db clients { match = { id, address } no-match = fail\n"
    "  client 2 { id = \"*.example.net\" address = 203.0.113.0/24 psk = shared ts-list = wide }\n"
    "  client 1 { description = bad id = \"regex:gw[0-9]+\" address = 0.0.0.0/0 reject = yes } }\n"
    "ike-policy slow { description = \"x y\" ike-transform = { strong, old } prefer = theirs\n"
    "  lifetime = 31536000 liveness-interval = 300 liveness-retries = 5 force-nat-t = yes\n"
    "  nat-keepalive = 600 force-keepalive = yes fragmentation = no fragment-mtu = 9000\n"
    "  exchange-timeout = 60 retransmit-interval = 2 retransmits = 10 reauthenticate = yes\n"
    "  mobike = yes no-nats = no netns = blue\n"
    "  childless = yes initial-contact = no check-routability = no crash-tokens = no resumption = "
    "yes\n"
    "  follow-redirect = yes follow-redirect-to = 198.51.100.0/24 redirect-to = 192.0.2.99\n"
    "  redirect-at = auth puzzle-limit = 12 window = 64 }\n"
    "ike-peer a { remote = 192.0.2.0/24 gateway = 192.0.2.7 local = 192.0.2.1 port = 501\n"
    "  additional-addresses = { 192.0.2.3, 2001:db8::3 } moves-to = 192.0.2.0/24 vrf = red\n"
    "  dataplane = auto"
    "  ike-policy = slow cert-profile = certs trust-anchor-profile = cas local-id = "
    "gw.example.net\n"
    "  remote-id = \"C=CH, O=Net, CN=them\" match-peer-id-to-cert = yes ppk = quantum\n"
    "  ppk-required = yes admin = down\n"
    "  child one { ts-list = wide ipsec-transform = { esp, ah } lifetime = 1200\n"
    "    lifetime-octets = 1000000000000 lifetime-packets = 1048576 start = no admin = up "
    "idle-timeout = 300\n"
    "    reverse-route = yes route-metric = 65535 route-overlap = allow\n"
    "    ip-mtu = 9000 encapsulated-ip-mtu = 512 clear-df = yes outer-df = set long-ipv6 = whole\n"
    "    mss = auto icmp-too-big = 1000/60 icmp-quotes = pass later-fragments = follow\n"
    "    single-sa = yes\n"
    "    replay-window = 8192 tfc-padding = mtu dscp = 46 copy-dscp-in = yes ecn = off }\n"
    "  child two { mode = transport local-ts = 192.0.2.1 remote-ts = 192.0.2.7\n"
    "    path-mtu = ignore mss = 1200 icmp-too-big = off } }\n"
    "ike-peer b { remote = any netns = blue cert-profile = certs psk = shared local-auth = cert\n"
    "  remote-auth = { psk } client-db = clients child c { ts-list = wide } }\n"
    "ike-peer c { remote = 2001:db8::2 backup = { 2001:db8::8, 2001:db8::9 } revert = 10m"
    "  raw-key = raw peer-raw-key-file = \"@/raw.pem\"\n"
    "  remote-id = key-id:abc child c { local-ts = 2001:db8:1::/48 remote-ts = ::/0 } }\n"
    "ike-peer d { remote = 2001:db8::3 raw-key = hsm peer-raw-key-file = \"@/raw.pem\"\n"
    "  remote-id = key-id:def child c { local-ts = 2001:db8:1::/48 remote-ts = ::/0 } }\n"
    "ike-peer e { remote = 192.0.2.20 local = 192.0.2.1 psk = shared private-netns = green"
    "  private-vrf = cyan }\n"
    "ipsec-policy printer { action = bypass netns = blue direction = out\n"
    "  local-ts = { 10.1.0.0/16, \"10.9.0.1-10.9.0.5 tcp 631\" } remote-ts = 0.0.0.0/0 }\n"
    "ipsec-policy rest { action = discard order = after direction = both description = x\n"
    "  local-ts = \"::/0 icmpv6 128-129\" remote-ts = ::/0 }\n"
    "ipsec-policy vrf { action = discard netns = blue vrf = red direction = in order = after\n"
    "  local-ts = 10.1.0.0/16 remote-ts = 0.0.0.0/0 }\n"
    "key-chain static { key 1 { send-id = 3 recv-id = 4 secret-file = \"@/psk\" } }\n"
    "tcp-ao bgp { peer = 192.0.2.20 ike-peer = e port = 179 source-port = 4000-4999\n"
    "  algorithm = { hmac-sha-256-96, aes-128-cmac-96 } include-tcp-options = no\n"
    "  ke = x25519 additional-ke-1 = { ecp-521, none } rekey = 1h rekey-bytes = 1000000\n"
    "  rekey-packets = 10000 patience = 5 key-chain = static fallback = yes }\n";

static struct gh_config *load_everything(void)
{
    char *text = at_dir(everything);
    struct gh_config *c = must_parse(text, NULL);

    free(text);
    return c;
}

static bool traffic_equal(const struct ike2_child_traffic *a, const struct ike2_child_traffic *b)
{
    return a->window == b->window && a->tfc == b->tfc && a->set_dscp == b->set_dscp &&
           a->dscp == b->dscp && a->dscp_from_outer == b->dscp_from_outer && a->no_ecn == b->no_ecn;
}

static void check_traffic(const struct ike2_child_traffic *one,
                          const struct ike2_child_traffic *two)
{
    const struct ike2_child_traffic first = {.window = 8192,
                                             .tfc = IKE2_TFC_MTU,
                                             .set_dscp = true,
                                             .dscp = 46,
                                             .dscp_from_outer = true,
                                             .no_ecn = true};
    const struct ike2_child_traffic none = ike2_child_traffic_default();

    assert_true(traffic_equal(one, &first));
    assert_true(traffic_equal(two, &none));
}

static void check_sizes(const struct ike2_child_path *one, const struct ike2_child_path *two)
{
    assert_int_equal(one->ip_mtu, 9000);
    assert_int_equal(one->encapsulated_ip_mtu, 512);
    assert_true(one->clear_df && one->ipv6_whole && !one->ignores_icmp);
    assert_int_equal(one->df, IKE2_DF_SET);
    assert_int_equal(one->mss, IKE2_MSS_AUTO);
    assert_int_equal(one->too_big_messages, 1000);
    assert_int_equal(one->too_big_seconds, 60);
    assert_int_equal(two->ip_mtu, IKE2_IP_MTU);
    assert_int_equal(two->encapsulated_ip_mtu, 0);
    assert_true(!two->clear_df && !two->ipv6_whole && two->ignores_icmp);
    assert_int_equal(two->df, IKE2_DF_CLEAR);
    assert_int_equal(two->mss, 1200);
    assert_int_equal(two->too_big_messages, 0);
}

static void check_policy_a(const struct ike2_policy *p)
{
    struct ike_sa got, *sa = &got;
    char text[GH_PREFIX_TEXT], addr[GH_ADDR_TEXT];

    ike_proposals_get(&p->proposals, sa);
    assert_string_equal(p->name, "a");
    assert_int_equal(p->port, 501);
    assert_int_equal(sa->count, 2);
    assert_int_equal(sa->proposal[0].number, 1);
    assert_int_equal(sa->proposal[1].number, 2);
    assert_int_equal(ike_proposal_id(&sa->proposal[0], IKE_T_ADDKE1), IKE_KE_ECP_521);
    assert_null(ike_proposal_find(&sa->proposal[0], IKE_T_INTEG));
    assert_int_equal(ike_proposal_id(&sa->proposal[1], IKE_T_KE), IKE_KE_MODP_1024);
    assert_true(p->intermediate);
    assert_true(p->prefer_theirs);
    assert_int_equal(p->lifetime.seconds, 31536000);
    assert_int_equal(p->liveness_ms, 300000);
    assert_int_equal(p->liveness_retries, 5);
    assert_true(p->force_nat_t);
    assert_int_equal(p->nat_keepalive_ms, 600000);
    assert_true(p->force_keepalive);
    assert_false(p->fragmentation);
    assert_int_equal(p->mtu, 9000);
    assert_int_equal(p->half_open_ms, 60000);
    assert_int_equal(p->retransmit_ms, 2000);
    assert_int_equal(p->retransmits, 10);
    assert_int_equal(p->window, 64);
    assert_true(p->reauthenticate && p->mobike && p->childless && !p->initial_contact);
    assert_int_equal(p->other_count, 2);
    assert_int_equal(p->others[1].len, 16);
    assert_false(p->others_all || p->no_nats);
    assert_int_equal(p->moves_to.bits, 24);
    assert_int_equal(p->plane, IKE2_PLANE_AUTO);
    assert_true(!p->crash_tokens && p->resumption && p->redirects && !p->routability);
    assert_string_equal(gh_prefix_format(&p->follows_to, text), "198.51.100.0/24");
    assert_int_equal(p->redirect_at, IKE2_REDIRECT_AUTH);
    assert_string_equal(gh_addr_format(&p->redirect_to, addr), "192.0.2.99");
    assert_int_equal(p->puzzle_bits, 12);
    assert_int_equal(p->local_auth, IKE2_AUTH_CERT);
    assert_int_equal(p->remote_auths, GH_BIT(IKE2_AUTH_CERT));
    assert_int_equal(p->local_id.type, GH_ID_FQDN);
    assert_string_equal(gh_pattern_text(p->remote_id), "C=CH, O=Net, CN=them");
    assert_string_equal(p->ppk, "quantum");
    assert_true(p->ppk_required);
    assert_int_equal(p->admin, IKE2_ADMIN_DOWN);
    assert_int_equal(p->children[0].admin, IKE2_ADMIN_UP);
    assert_int_equal(p->children[1].admin, IKE2_ADMIN_UNSAID);
    assert_int_equal(p->children[0].idle_seconds, 300);
    assert_int_equal(p->child_count, 2);
    ike_proposals_get(&p->children[0].proposals, sa);
    assert_int_equal(sa->count, 2);
    assert_int_equal(sa->proposal[1].protocol, IKE_PROTO_AH);
    assert_true(p->children[0].lifetime.octets == UINT64_C(1000000000000));
    assert_int_equal(p->children[0].lifetime.packets, 1048576);
    assert_false(p->children[0].start);
    assert_int_equal(p->children[0].remote.count, 2);
    assert_true(p->children[0].reverse_route && p->children[0].route_overlap);
    assert_int_equal(p->children[0].route_metric, 65535);
    assert_false(p->children[1].reverse_route || p->children[1].route_overlap);
    assert_int_equal(p->children[1].route_metric, 0);
    assert_true(p->children[0].icmp_header && p->children[0].fragments_also);
    assert_false(p->children[1].icmp_header || p->children[1].fragments_also);
    assert_true(p->children[0].single && !p->children[1].single);
    check_sizes(&p->children[0].path, &p->children[1].path);
    check_traffic(&p->children[0].traffic, &p->children[1].traffic);
    assert_int_equal(p->children[1].mode, IKE2_TRANSPORT);
}

/* More of them in test_session_keys.c. */
static void check_sessions(const struct gh_ike_config *c)
{
    const struct ike2_policy *p = c->policies[4];

    assert_int_equal(p->child_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(p->children[i].mode, IKE2_TCP_AO);
        assert_int_equal(ike_proposals_protocol(&p->children[i].proposals), 255);
        assert_int_equal(p->children[i].lifetime.seconds, 5400);
        assert_int_equal(p->children[i].lifetime.octets, 1000000);
        assert_int_equal(p->children[i].lifetime.packets, 10000);
        assert_int_equal(p->children[i].tcp_ao.mac_len, 12);
        assert_false(p->children[i].tcp_ao.options_covered);
    }
    assert_int_equal(c->session_count, 1);
    assert_string_equal(c->sessions[0].name, "bgp");
    assert_string_equal(c->sessions[0].ike, "e");
    assert_int_equal(c->sessions[0].patience_ms, 5000);
    assert_true(c->sessions[0].fallback);
    assert_int_equal(c->sessions[0].static_send[0], 1 << 3);
    assert_int_equal(c->sessions[0].static_recv[0], 1 << 4);
}

static void check_spd(const struct gh_ike_config *c)
{
    const struct gh_spd_entry *printer = &c->spd[0], *rest = &c->spd[1];
    bool user, kernel;

    assert_int_equal(c->spd_count, 3);
    assert_string_equal(c->zones[c->spd[2].zone - 1].vrf, "red");
    assert_string_equal(printer->name, "printer");
    assert_string_equal(c->zones[printer->zone - 1].netns, "blue");
    assert_true(!printer->discard && printer->out && !printer->in && !printer->after);
    assert_int_equal(printer->local.count, 2);
    assert_int_equal(printer->local.ts[1].start_port, 631);
    assert_true(rest->discard && rest->out && rest->in && rest->after && rest->zone == 0);
    assert_int_equal(rest->local.ts[0].start_port, 128 << 8);
    gh_spd_planes(c, printer->zone, &user, &kernel);
    assert_true(user && !kernel);
}

/* The same for what was read and what came out of the octets. */
static void check_everything(const struct gh_ike_config *c)
{
    const struct gh_cert_entry *e;
    const struct gh_client *client;
    struct gh_identity id;
    struct gh_addr addr;

    assert_int_equal(c->settings.sas_max, 5000);
    assert_int_equal(gh_ike_sas_high(&c->settings), 4000);
    assert_int_equal(gh_ike_sas_low(&c->settings), 3000);
    assert_int_equal(c->settings.half_open_max, 500);
    assert_int_equal(c->settings.half_open_cookie, 50);
    assert_int_equal(c->settings.children_max, 20);
    assert_int_equal(c->settings.reassembly_ms, 5000);
    assert_int_equal(c->settings.reduced_exchange_ms, 60000);
    assert_int_equal(c->settings.half_open_puzzle, 400);
    assert_int_equal(c->settings.puzzle_bits, 20);
    assert_int_equal(c->settings.puzzle_legacy, 1000);
    assert_int_equal(c->settings.puzzle_budget, 64);
    assert_int_equal(c->settings.ticket_seconds, 86400);
    assert_true(c->settings.pass_unprotected && c->settings.drop_fragments);
    assert_int_equal(c->settings.strays_per_second, 0);
    assert_int_equal(c->settings.path_mtu_seconds, 3600);
    assert_int_equal(c->settings.prohibited_messages, 50);
    assert_int_equal(c->settings.prohibited_seconds, 5);
    assert_string_equal(c->settings.key_log, "/tmp/keys");
    assert_string_equal(c->settings.esp_key_log, "/tmp/esp-keys");
    assert_true(c->settings.lock_out);
    assert_int_equal(c->settings.lockout.attempts, 64);
    assert_int_equal(c->settings.lockout.duration, 60);
    assert_int_equal(c->settings.lockout.block, 1440);
    assert_int_equal(c->settings.lockout.max_ports, 32000);
    assert_int_equal(c->settings.lockout.clients, 100);
    assert_int_equal(c->settings.tcp_ao_protocol, 255);
    assert_int_equal(c->policy_count, 5);
    check_sessions(c);
    check_spd(c);
    assert_int_equal(c->policies[0]->zone, 2); /* blue and red; the policy alone has blue */
    assert_int_equal(c->policies[1]->zone, 1);
    assert_int_equal(c->policies[2]->zone, 0);
    assert_int_equal(c->policies[3]->private_zone, 0);
    assert_int_equal(c->policies[4]->zone, 0);
    assert_int_equal(c->policies[4]->private_zone, 3);
    assert_int_equal(c->zone_count, 3);
    assert_string_equal(c->zones[0].netns, "blue");
    assert_null(c->zones[0].vrf);
    assert_string_equal(c->zones[1].netns, "blue");
    assert_string_equal(c->zones[1].vrf, "red");
    assert_string_equal(c->zones[2].netns, "green");
    assert_string_equal(c->zones[2].vrf, "cyan");
    check_policy_a(c->policies[0]);
    assert_ptr_equal(c->policies[0]->cert_profile, c->profiles[0].profile);
    assert_ptr_equal(c->policies[0]->trust, c->trusts[0].trust);
    assert_int_equal(gh_trust_count(c->trusts[0].trust), 1);
    assert_int_equal(c->trusts[0].known_count, 1);
    assert_int_equal(gh_cert_profile_count(c->profiles[0].profile), 3);
    e = gh_cert_profile_entry(c->profiles[0].profile, 0);
    assert_string_equal(e->key_name, "certs/2");
    e = gh_cert_profile_entry(c->profiles[0].profile, 1);
    assert_string_equal(e->key_name, "gw");
    assert_int_equal(e->send_count, 1);
    assert_true(e->pss);
    assert_int_equal(e->compare.count, 3); /* up to the root, which the trust anchors bring */
    assert_true(c->policies[1]->responder_only);
    assert_int_equal(c->policies[1]->remote.bits, 0);
    assert_int_equal(c->policies[1]->local_auth, IKE2_AUTH_CERT);
    assert_int_equal(c->policies[1]->remote_auths, GH_BIT(IKE2_AUTH_PSK));
    assert_string_equal(c->policies[1]->psk, "shared");
    assert_false(c->policies[1]->children[0].start);
    assert_true(gh_identity_from_text("x.example.net", &id, NULL));
    assert_true(gh_addr_parse("203.0.113.9", &addr));
    assert_int_equal(gh_client_db_find(c->policies[1]->client_db, &id, &addr, &client),
                     GH_CLIENT_FOUND);
    assert_int_equal(client->index, 2);
    assert_string_equal(client->gets.psk, "shared");
    assert_int_equal(gh_ike_ts_list(c, client->gets.ts_list)->remote.count, 2);
    assert_ptr_equal(client->gets.ts_local, &gh_ike_ts_list(c, "wide")->local);
    assert_ptr_equal(client->gets.ts_remote, &gh_ike_ts_list(c, "wide")->remote);
    assert_true(gh_identity_from_text("gw17", &id, NULL));
    assert_int_equal(gh_client_db_find(c->policies[1]->client_db, &id, &addr, &client),
                     GH_CLIENT_FOUND);
    assert_true(client->gets.reject);
    assert_true(gh_identity_from_text("nobody", &id, NULL));
    assert_int_equal(gh_client_db_find(c->policies[1]->client_db, &id, &addr, &client),
                     GH_CLIENT_FAIL);
    assert_int_equal(c->policies[2]->backup_count, 2);
    assert_int_equal(c->policies[2]->backups[1].octets[15], 9);
    assert_int_equal(c->policies[2]->revert_ms, 600000);
    assert_int_equal(c->policies[2]->local_auth, IKE2_AUTH_RAW_KEY);
    assert_int_equal(c->policies[2]->remote_auths, GH_BIT(IKE2_AUTH_RAW_KEY));
    assert_string_equal(c->policies[2]->raw_key, "raw");
    assert_true(
        gh_view_equal(c->policies[2]->raw_key_spki, gh_pubkey_spki(c->policies[2]->peer_raw_key)));
    assert_string_equal(c->policies[3]->raw_key, "hsm");
    assert_true(
        gh_view_equal(c->policies[3]->raw_key_spki, gh_pubkey_spki(c->policies[3]->peer_raw_key)));
}

/* What it is to find in a token, and how it knows the key. */
static void check_tokens(const struct gh_keeper_order *o)
{
    static const struct {
        const char *name, *uri, *from;
        enum gh_secret_place pin;
    } want[] = {{"hsm", "pkcs11:token=HSM;object=own?module-path=/usr/lib/hsm.so", "t.conf:10",
                 GH_PLACE_FILE},
                {"certs/3", "pkcs11:serial=7;id=%01;type=private?module-path=/usr/lib/hsm.so",
                 "t.conf:27", GH_PLACE_NONE}};
    size_t found = 0;

    for (size_t i = 0; i < o->count; i++) {
        const struct gh_order_item *item = &o->items[i];

        if (item->source.place != GH_PLACE_TOKEN)
            continue;
        assert_true(found < ARRAY_LEN(want));
        assert_string_equal(item->name, want[found].name);
        assert_string_equal(item->source.where, want[found].uri);
        assert_int_equal(item->passphrase.place, want[found].pin);
        assert_true(item->spki_len > 0);
        assert_string_equal(item->from, want[found++].from);
    }
    assert_int_equal(found, ARRAY_LEN(want));
}

static void every_option_is_read(void **state)
{
    struct gh_config *c = load_everything();

    check_everything(c->ike);
    assert_int_equal(c->keeper.count, 7); /* shared, quantum, gw, raw, hsm, certs/2, certs/3 */
    check_tokens(&c->keeper);
    assert_true(gh_ike_config_idle(c->ike));
    ike2_policy_ref(c->ike->policies[0]);
    assert_false(gh_ike_config_idle(c->ike));
    ike2_policy_free(c->ike->policies[0]);
    gh_config_free(c);
}

static void the_keeper_can_carry_out_the_order(void **state)
{
    struct gh_config *c = load_everything();
    struct gh_keeper_store *store = gh_keeper_store_new();

    assert_int_equal(gh_keeper_load(&c->keeper, store, NULL, NULL), 0);
    assert_int_equal(gh_keeper_store_count(store), 5);
    gh_keeper_store_free(store);
    gh_config_free(c);
}

static void printing_and_reading_is_the_identity(void **state)
{
    struct gh_config *c = load_everything(), *again;
    char *text = print(c), *text_again;

    again = must_parse(text, NULL);
    text_again = print(again);
    assert_string_equal(text, text_again);
    check_everything(again->ike);
    free(text);
    free(text_again);
    gh_config_free(c);
    gh_config_free(again);
}

/* ---- As octets ------------------------------------------------------------------------------ */

static void octets_bring_the_same(void **state)
{
    struct gh_config *c = load_everything();
    size_t len, len_again;
    uint8_t *data = gh_ike_config_encode(c->ike, &len), *data_again;
    struct gh_ike_config *got = gh_ike_config_decode(gh_view_of(data, len));

    assert_non_null(got);
    check_everything(got);
    data_again = gh_ike_config_encode(got, &len_again);
    assert_int_equal(len, len_again);
    assert_memory_equal(data, data_again, len);
    free(data);
    free(data_again);
    gh_ike_config_free(got);
    gh_config_free(c);
}

static void damaged_octets_are_refused(void **state)
{
    struct gh_config *c = load_everything();
    size_t len;
    uint8_t *data = gh_ike_config_encode(c->ike, &len), *longer = malloc(len + 1);
    unsigned survived = 0;

    for (size_t cut = 0; cut < len; cut += 7)
        assert_null(gh_ike_config_decode(gh_view_of(data, cut)));
    memcpy(longer, data, len);
    longer[len] = 0;
    assert_null(gh_ike_config_decode(gh_view_of(longer, len + 1)));
    /* A changed octet may be another value; then it is one that can be written again. */
    for (size_t i = 0; i < len; i += 7) {
        struct gh_ike_config *got;

        data[i] ^= 0x81;
        got = gh_ike_config_decode(gh_view_of(data, len));
        if (got != NULL) {
            size_t len_again;
            uint8_t *again = gh_ike_config_encode(got, &len_again);

            assert_non_null(again);
            survived++;
            free(again);
        }
        gh_ike_config_free(got);
        data[i] ^= 0x81;
    }
    assert_true(survived > 0 && survived < len);
    free(data);
    free(longer);
    gh_config_free(c);
}

static bool holds(const void *haystack, size_t len, const char *needle)
{
    return memmem(haystack, len, needle, strlen(needle)) != NULL;
}

static void secrets_go_to_the_keeper_alone(void **state)
{
    static const char text[] =
        "ike-psk one { secret = \"SECRET-number-one-of-it\" }\n"
        "ike-ppk two { secret = \"SECRET-number-two-of-it\" }\n"
        "client-db d { client 1 { id = any psk-secret = \"SECRET-number-three\" } }\n"
        "ike-peer p { remote = 192.0.2.2 psk-secret = \"SECRET-number-four-i\" ppk = two\n"
        "  client-db = d child c { local-ts = 10.0.0.0/8 remote-ts = 0.0.0.0/0 } }\n"
        "ike-peer q { remote = 192.0.2.3 psk = one\n"
        "  child c { local-ts = 10.0.0.0/8 remote-ts = 192.0.2.3 } }\n";
    struct gh_config *c = must_parse(text, NULL);
    struct gh_problems p = {0};
    char *printed = print(c), *said = NULL;
    size_t len, said_len;
    uint8_t *data = gh_ike_config_encode(c->ike, &len);
    FILE *out = open_memstream(&said, &said_len);

    assert_int_equal(c->keeper.count, 4);
    assert_int_equal(c->keeper.items[0].source.place, GH_PLACE_TEXT);
    assert_memory_equal(c->keeper.items[0].source.text.data, "SECRET-number-one-of-it", 23);
    assert_string_equal(c->keeper.items[2].name, "d/1");
    assert_string_equal(c->ike->policies[0]->psk, "p");
    assert_string_equal(c->ike->policies[1]->psk, "one");
    gh_lint(c, NULL, MADE_NOW, &p);
    gh_problems_print(&p, out);
    fclose(out);
    assert_false(holds(data, len, "SECRET"));
    assert_false(holds(printed, strlen(printed), "SECRET"));
    assert_false(holds(said, said_len, "SECRET"));
    free(data);
    free(printed);
    free(said);
    gh_problems_clear(&p);
    gh_config_free(c);
}

/* Somebody writes the secret where its name is meant. */
static void a_secret_in_the_wrong_place_is_not_shown(void **state)
{
    static const char text[] = "ike-peer p { remote = 192.0.2.2 psk = SECRET-misplaced ppk = "
                               "SECRET-too\n child c { local-ts = 10.0.0.0/8 remote-ts = ::/0 } }\n"
                               "client-db d { client 1 { id = any psk = SECRET-again } }\n";
    struct gh_problems p = {0};
    char *said = NULL;
    size_t len;
    FILE *out = open_memstream(&said, &len);

    assert_null(parse_with(text, NULL, &p));
    assert_int_equal(p.errors, 3);
    gh_problems_print(&p, out);
    fclose(out);
    assert_false(holds(said, len, "SECRET"));
    free(said);
    gh_problems_clear(&p);
}

/* ---- What is refused ------------------------------------------------------------------------ */

#define CHILD "child c { local-ts = 10.1.0.0/16 remote-ts = 10.2.0.0/16 }"
#define PEER  "ike-peer p { remote = 192.0.2.2 psk-file = /k " CHILD " }\n"

#define PEER_OF_ENTRY "ike-peer p { remote = 192.0.2.2 psk-file = /k " CHILD " }\n"
#define ENTRY(options)                                                                             \
    "ipsec-policy e { local-ts = 10.0.0.0/8 remote-ts = 10.0.0.0/8\n " options                     \
    "\n }\n\n" PEER_OF_ENTRY

#define SIZED(options)                                                                             \
    "ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = 10.1.0.0/16 remote-ts = "  \
    "10.2.0.0/16\n " options " } }"

#define KERNEL                                                                                     \
    "ike-peer p { remote = 192.0.2.2 psk-file = /k dataplane = kernel\n child c { local-ts = "     \
    "10.0.0.0/8 remote-ts = 10.9.0.0/16 "
#define MOBILE                                                                                     \
    "ike-policy m { mobike = yes }\n"                                                              \
    "ike-peer p { remote = 192.0.2.2 local = 192.0.2.1 ike-policy = m psk-file = /k\n"
static const struct {
    const char *text, *rule;
    int line;
} refused[] = {
    {"ike-peer p {\n psk-file = /k " CHILD " }", "missing-option", 1},
    {"ike-peer p { remote = 192.0.2.2\n " CHILD " }", "missing-option", 1},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k }", "missing-option", 1},
    {"ike {\n path-mtu-aging = 899 }", "range", 2},
    {"ike {\n icmp-prohibited = 9/10 }", "range", 2},
    {"ike {\n icmp-prohibited = yes }", "range", 2},
    {SIZED("ip-mtu = 511"), "range", 2},
    {SIZED("ip-mtu = 9001"), "range", 2},
    {SIZED("encapsulated-ip-mtu = 100"), "range", 2},
    {SIZED("clear-df = maybe"), "range", 2},
    {SIZED("outer-df = no"), "range", 2},
    {SIZED("outer-df = set path-mtu = ignore"), "range", 2},
    {SIZED("long-ipv6 = cut"), "range", 2},
    {SIZED("path-mtu = 1400"), "range", 2},
    {SIZED("mss = 100"), "range", 2},
    {SIZED("icmp-too-big = 100"), "range", 2},
    {SIZED("icmp-too-big = 9/10"), "range", 2},
    {SIZED("icmp-too-big = 100/61"), "range", 2},
    {SIZED("icmp-too-big = 100/10/1"), "range", 2},
    {ENTRY("action = bypass direction = sideways"), "range", 2},
    {ENTRY("action = allow"), "range", 2},
    {ENTRY("action = discard order = first"), "range", 2},
    {ENTRY("action = discard peer = p"), "unknown-option", 2},
    {ENTRY("direction = in"), "missing-option", 1},
    {ENTRY("action = bypass netns = red"), "netns", 1},
    {ENTRY("action = bypass vrf = red"), "netns", 1},
    {ENTRY("action = bypass vrf = \"a*\""), "range", 2},
    {"ipsec-policy e { action = bypass vrf = cyan local-ts = 10.0.0.0/8 remote-ts = 10.0.0.0/8 }\n"
     "ike-peer p { remote = 192.0.2.2 psk-file = /k private-vrf = cyan " CHILD " }",
     "private-side", 1},
    {"ipsec-policy e { action = bypass local-ts = 10.0.0.0/8 }\n" PEER_OF_ENTRY, "missing-option",
     1},
    {"ipsec-policy e { action = bypass local-ts = 10.0.0.0/8\n remote-ts = ::/0 }\n" PEER_OF_ENTRY,
     "traffic-selector", 1},
    {"ipsec-policy e { action = bypass local-ts = \"10.0.0.0/8 tcp\"\n remote-ts = \"10.0.0.0/8 "
     "udp\" "
     "}\n" PEER_OF_ENTRY,
     "traffic-selector", 1},
    {"ipsec-policy e { action = bypass local-ts = 10.0.0.0/8\n remote-ts = \"10.0.0.0/8 udp "
     "opaque\" "
     "}\n" PEER_OF_ENTRY,
     "traffic-selector", 2},
    {"ipsec-policy e { action = bypass local-ts = ::/0\n remote-ts = \"::/0 mh 5\" "
     "}\n" PEER_OF_ENTRY,
     "traffic-selector", 2},
    {ENTRY("action = bypass") "ipsec-policy e { action = discard local-ts = 10.0.0.0/8 remote-ts = "
                              "10.0.0.0/8 }",
     "duplicate", 6},
    {"ipsec-policy e { action = bypass netns = green local-ts = 10.0.0.0/8 remote-ts = 10.0.0.0/8 "
     "}\n"
     "ike-peer p { remote = 192.0.2.2 psk-file = /k private-netns = green " CHILD " }",
     "private-side", 1},
    {SIZED("replay-window = 31"), "range", 2},
    {SIZED("replay-window = 8193"), "range", 2},
    {SIZED("replay-window = 0"), "range", 2},
    {SIZED("replay-window = off"), "range", 2}, /* the default has ESN */
    {SIZED("tfc-padding = 511"), "range", 2},
    {SIZED("tfc-padding = 9001"), "range", 2},
    {SIZED("tfc-padding = path"), "range", 2},
    {SIZED("dscp = 64"), "range", 2},
    {SIZED("dscp = ef"), "range", 2},
    {SIZED("copy-dscp-in = 1"), "range", 2},
    {SIZED("ecn = maybe"), "range", 2},
    {SIZED("mode = transport tfc-padding = 1000"), "range", 2},
    {SIZED("mode = transport dscp = 10"), "range", 2},
    {SIZED("mode = transport copy-dscp-in = yes"), "range", 2},
    {SIZED("mode = transport ecn = off"), "range", 2},
    {"ipsec-transform ah { protocol = ah integrity = hmac-sha2-256-128 }\n"
     "ike-peer p { remote = 192.0.2.2 psk-file = /k child x { local-ts = 10.1.0.0/16 "
     "remote-ts = 10.2.0.0/16 ipsec-transform = ah\n tfc-padding = mtu } }",
     "range", 3},
    {"ike-peer p { remote = 192.0.2.2/24 psk-file = /k " CHILD " }", "address", 1},
    {"ike-peer p {\n remote = 0.0.0.0 psk-file = /k " CHILD " }", "address", 2},
    {"ike-peer p { remote = 192.0.2.2\n local = 0.0.0.0 psk-file = /k " CHILD " }", "address", 2},
    {"ike-peer p { remote = 192.0.2.2\n local = 2001:db8::1 psk-file = /k " CHILD " }", "address",
     2},
    {"ike-peer p { remote = 192.0.2.0/24\n gateway = 198.51.100.1 psk-file = /k " CHILD " }",
     "address", 2},
    {"ike-peer p { remote = 192.0.2.0/24\n responder-only = no psk-file = /k " CHILD " }",
     "address", 2},
    {"ike-peer p { remote = any psk-file = /k\n"
     " child c { local-ts = 10.0.0.0/8 remote-ts = ::/0 start = yes } }",
     "range", 2},
    {"ike-peer \"a b\" { remote = 192.0.2.2 psk-file = /k " CHILD " }", "name-length", 1},
    {"ike-peer p { remote = 192.0.2.2\n psk-file = k " CHILD " }", "secret-missing", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n psk-credential = k " CHILD " }", "duplicate",
     2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n psk = k " CHILD " }", "duplicate", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n ike-policy = q " CHILD " }",
     "unknown-reference", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n remote-auth = { psk,\n cert } " CHILD " }",
     "missing-option", 3},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n local-auth = cert " CHILD " }",
     "missing-option", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n remote-auth = { } " CHILD " }", "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n remote-auth = eap " CHILD " }", "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n remote-id = \"regex:(\" " CHILD " }",
     "pattern", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n ppk-required = yes " CHILD " }",
     "missing-option", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = ::/0 remote-ts = ::/0\n"
     " route-metric = 5 } }",
     "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = ::/0 remote-ts = ::/0\n"
     " later-fragments = keep } }",
     "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = ::/0 remote-ts = ::/0\n"
     " single-sa = 1 } }",
     "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = ::/0 remote-ts = ::/0\n"
     " mode = transport\n later-fragments = follow } }",
     "range", 3},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = ::/0 remote-ts = ::/0\n"
     " icmp-quotes = look } }",
     "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = ::/0 remote-ts = ::/0\n"
     " reverse-route = yes\n route-metric = 65536 } }",
     "range", 3},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = ::/0 remote-ts = ::/0\n"
     " reverse-route = yes\n route-overlap = override } }",
     "range", 3},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = ::/0 remote-ts = ::/0\n"
     " reverse-route = perhaps } }",
     "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n child c { local-ts = 10.0.0.0/8 } }",
     "missing-option", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k " CHILD "\n " CHILD " }", "duplicate", 2},
    {PEER PEER, "duplicate", 2},
    {PEER "ike-peer q { remote = 192.0.2.2 psk-file = /k " CHILD " }", "peer-overlap", 2},
    {PEER "ike-peer q { remote = 192.0.2.2 netns = blue psk-file = /k " CHILD " }\n"
          "ike-peer r { remote = 192.0.2.2 netns = blue psk-file = /k " CHILD " }",
     "peer-overlap", 3},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n netns = a/b " CHILD " }", "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n private-netns = a/b " CHILD " }", "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k private-vrf = red\n dataplane = kernel " CHILD
     " }",
     "private-side", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k private-netns = blue\n child c { mode = "
     "transport local-ts = 192.0.2.1 remote-ts = 192.0.2.2 } }",
     "private-side", 2},
    {"\nike-peer p { remote = 192.0.2.2 psk-file = /k netns = blue private-netns = blue " CHILD
     " }",
     "private-side", 2},
    {PEER "ike-peer q { remote = 192.0.2.3 netns = blue psk-file = /k " CHILD " }\n"
          "ike-peer r { remote = 192.0.2.4 private-netns = blue psk-file = /k " CHILD " }",
     "private-side", 3},
    {"ike-peer q { remote = 192.0.2.3 private-netns = blue psk-file = /k " CHILD " }\n"
     "ike-peer r { remote = 192.0.2.4 netns = red private-netns = blue psk-file = /k " CHILD " }",
     "private-side", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n vrf = \"a b\" " CHILD " }", "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n dataplane = both " CHILD " }", "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n vrf = red\n dataplane = kernel " CHILD " }",
     "range", 3},
    {"ike-policy q {\n vrf = a-name-that-is-too-long }", "range", 2},
    {"ike-policy q { force-nat-t = yes\n no-nats = yes }", "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n moves-to = 192.0.2.0/24 " CHILD " }", "range",
     2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n additional-addresses = { 192.0.2.1 } " CHILD
     " }",
     "range", 2},
    {MOBILE "moves-to = 192.0.2.1/24 " CHILD " }", "address", 3},
    {MOBILE "additional-addresses = { 192.0.2.1 }" CHILD " }", "duplicate", 3},
    {MOBILE "additional-addresses = { here }" CHILD " }", "address", 3},
    {MOBILE "additional-addresses = { ::1, ::2, ::3, ::4, ::5, ::6, ::7, ::8, ::9 }" CHILD " }",
     "too-many-addresses", 3},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n backup = { here } " CHILD " }", "address", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n backup = { 2001:db8::2 } " CHILD " }",
     "address", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n backup = { 192.0.2.3,\n 192.0.2.2 } " CHILD
     " }",
     "duplicate", 3},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n backup = { ::1 } responder-only = yes " CHILD
     " }",
     "missing-option", 2},
    {"ike-peer p { remote = any psk-file = /k\n backup = { 192.0.2.3 } " CHILD " }",
     "missing-option", 2},
    {"ike-peer p { remote = 192.0.2.1 psk-file = /k\n backup = { 192.0.2.2, 192.0.2.3, 192.0.2.4,"
     " 192.0.2.5, 192.0.2.6, 192.0.2.7, 192.0.2.8,\n 192.0.2.9 } " CHILD " }",
     "too-many-addresses", 3},
    {KERNEL "ip-mtu = 1300 } }", "range", 2},
    {KERNEL "encapsulated-ip-mtu = 1500 } }", "range", 2},
    {KERNEL "clear-df = yes } }", "range", 2},
    {KERNEL "outer-df = copy } }", "range", 2},
    {KERNEL "long-ipv6 = whole } }", "range", 2},
    {KERNEL "path-mtu = ignore } }", "range", 2},
    {KERNEL "icmp-too-big = off } }", "range", 2},
    {"ike-peer p { remote = 192.0.2.2 local = 192.0.2.1 psk-file = /k dataplane = kernel child c { "
     "mode = transport local-ts = 192.0.2.1 remote-ts = 192.0.2.2 } }\n"
     "tunnel t { type = gre local = 192.0.2.1 remote = 192.0.2.2\n protect = p }",
     "range", 3},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n revert = manual " CHILD " }",
     "missing-option", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k backup = { 192.0.2.3 }\n revert = 59 " CHILD
     " }",
     "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n admin = off " CHILD " }", "range", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = 10.0.0.0/8\n"
     " remote-ts = 10.0.0.0/8 idle-timeout = 9 } }",
     "range", 2},
    {"ike { sa-limit = 100\n sa-high-watermark = 101 }", "range", 2},
    {"ike { sa-limit = 100\n sa-low-watermark = 91 }", "range", 2},
    {"ike { sa-limit = 100 sa-high-watermark = 50\n sa-low-watermark = 51 }", "range", 2},
    {PEER "ike-psk p { secret-file = /k }", "duplicate", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n ts-list = x " CHILD " }", "unknown-option",
     2},
    {"ike-transform t {\n encryption = 3des }", "legacy-algorithm", 2},
    {"ike-transform t {\n encryption = des }", "legacy-algorithm", 2},
    {"ike-transform t {\n prf = hmac-md5 }", "legacy-algorithm", 2},
    {"ike-transform t { encryption = aes-128-cbc\n integrity = hmac-md5-96 }", "legacy-algorithm",
     2},
    {"ike-transform t {\n ke = 1 }", "legacy-algorithm", 2},
    {"ike-transform t {\n ke = { 14,\n modp-1024 } }", "legacy-algorithm", 3},
    {"ike-transform t {\n ke = 5 }", "legacy-algorithm", 2},
    {"ipsec-transform t {\n ke = 5 }", "legacy-algorithm", 2},
    {"ike-transform t {\n ke = { 19,\n ecp-256 } }", "duplicate", 3},
    {"ike-transform t {\n ke = none }", "algorithm", 2},
    {"ike-transform t {\n ke = 22 }", "algorithm", 2},
    {"ike-transform t {\n ke = { } }", "range", 2},
    {"ike-transform t {\n encryption = null }", "algorithm", 2},
    {"ike-transform t {\n encryption = aes-128-gmac }", "algorithm", 2},
    {"ike-transform t {\n encryption = { aes-128-gcm, aes-128-cbc } }", "mixed-encryption", 2},
    {"ike-transform t {\n integrity = hmac-sha-256-128 }", "mixed-encryption", 2},
    {"ike-transform t {\n esn = yes }", "unknown-option", 2},
    {"ipsec-transform t {\n prf = hmac-sha-256 }", "unknown-option", 2},
    {"ipsec-transform t { protocol = ah\n encryption = aes-128-gcm }", "algorithm", 2},
    {"ts-list t { local = 10.0.0.0/8 }", "missing-option", 1},
    {"ts-list t { local = 10.0.0.0/8\n remote = { } }", "range", 2},
    {"ts-list t { local = 10.0.0.0/8\n remote = \"10.0.0.0/8 gre 5\" }", "traffic-selector", 2},
    {"trust-anchor-profile t { }", "missing-option", 1},
    {"trust-anchor-profile t {\n ca-file = ca.pem }", "file-missing", 2},
    {"cert-profile c { }", "missing-option", 1},
    {"cert-profile c {\n entry 0 { cert-file = /c key-file = /k } }", "cert-profile", 2},
    {"cert-profile c {\n entry 9 { cert-file = /c key-file = /k } }", "cert-profile", 2},
    {"cert-profile c {\n entry 1 { cert-file = /c } }", "missing-option", 2},
    {"cert-profile c {\n entry 1 { key-uri = \"pkcs11:token=t;object=k?module-path=/m\" } }",
     "missing-option", 2},
    {"ike-key k {\n key-uri = /k }", "key-uri", 2},
    {"ike-key k {\n key-uri = \"pkcs11:token=t;object=k\" }", "key-uri", 2},
    {"ike-key k {\n key-uri = \"pkcs11:token=t;object=k?module-path=/m&pin-value=1234\" }",
     "key-uri", 2},
    {"ike-key k { key-uri = \"pkcs11:token=t;object=k?module-path=/m\"\n passphrase-file = /p }",
     "key-uri", 2},
    {"ike-key k { key-uri = \"pkcs11:token=t;object=k?module-path=/m\"\n key-file = /k }",
     "duplicate", 2},
    {"ike-key k { key-uri = \"pkcs11:token=t;object=k?module-path=/m\" pin-credential = p\n"
     " pin-file = /p }",
     "duplicate", 2},
    {"ike-key k { key-file = /k\n pin-file = /p }", "key-uri", 2},
    {"ike-key k { key-file = /k\n public-key-file = /p }", "key-uri", 2},
    {"cert-profile c {\n entry 1 { cert-file = /c key-file = /k }\n"
     " entry 1 { cert-file = /c key-file = /k } }",
     "duplicate", 3},
    {"client-db d { client 1 { id = any }\n client 1 { id = any } }", "client-index", 2},
    {"client-db d {\n client 8001 { id = any } }", "range", 2},
    {"client-db d {\n client 0 { id = any } }", "range", 2},
    {"client-db d {\n client 1 { address = 10.0.0.0/8 } }", "client-match", 2},
    {"client-db d { match = address\n client 1 { id = any } }", "client-match", 2},
    {"client-db d {\n match = name }", "range", 2},
    {"client-db d {\n client 1 { id = any ts-list = none } }", "unknown-reference", 2},
    {"ike-psk k { }", "missing-option", 1},
    {"ike-key k { }", "missing-option", 1},
    {"ike-key k { key-file = /k passphrase = a\n passphrase-file = /b }", "duplicate", 2},
    {"ike { }\nike { }", "duplicate", 2},
    {"ike x { }", "syntax", 1},
    {"ike-policy { }", "syntax", 1},
    {"ike { cookie-threshold = 3 half-open-limit = 2 }", "range", 1},
    {"ike {\n key-log = relative }", "range", 2},
    {"ike {\n esp-key-log = relative }", "range", 2},
    {"ike {\n esp-key-log = /keys\n esp-key-log = /more }", "duplicate", 3},
    {"ike {\n unprotected = yes }", "range", 2},
    {"ike {\n esp-fragments = off }", "range", 2},
    {"ike { cookie-threshold = 10\n puzzle-threshold = 9 }", "range", 2},
    {"ike { half-open-limit = 100\n puzzle-threshold = 101 }", "range", 2},
    {"ike {\n puzzle-threshold = always }", "range", 2},
    {"ike-policy p {\n follow-redirect-to = 192.0.2.0/24 }", "missing-option", 2},
    {"ike-policy p { follow-redirect = yes\n follow-redirect-to = here }", "address", 2},
    {"ike-policy p {\n redirect-at = auth }", "missing-option", 2},
    {"ike-policy p { redirect-to = 192.0.2.9\n redirect-at = later }", "range", 2},
    {"ike-policy p {\n redirect-to = 192.0.2.0/24 }", "address", 2},
    {"ike-policy r { redirect-to = 192.0.2.9 }\n"
     "ike-peer p { remote = any local = 192.0.2.9 psk-file = /k\n ike-policy = r " CHILD " }",
     "address", 3},
    {"ike-policy r { redirect-to = 192.0.2.9 }\n"
     "ike-peer p { remote = 2001:db8::1 psk-file = /k\n ike-policy = r " CHILD " }",
     "address", 3},
    {"ike { lockout { }\n lockout { } }", "duplicate", 2},
    {"ike-policy p { liveness-reply-only = yes\n liveness-interval = 30 }", "range", 2},
    {"ike-policy p {\n lifetime = soon }", "range", 2},
    {"ike-policy p {\n ike-transform = { a } }", "unknown-reference", 2},
};

static void mistakes_are_told_with_their_line(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        must_refuse(refused[i].text, &skip, refused[i].rule, refused[i].line);
}

static void nothing_to_authenticate_by_is_one_mistake(void **state)
{
    struct gh_problems p = {0};

    assert_null(parse_with("ike-peer p { remote = 192.0.2.2 " CHILD " }", NULL, &p));
    assert_int_equal(p.count, 1);
    assert_string_equal(p.list[0].message, "the ike-peer \"p\" has nothing to authenticate by");
    gh_problems_clear(&p);
    must_refuse("cert-profile c { entry 1 { cert-file = /c key-file = /k } }\n"
                "ike-peer p { remote = 192.0.2.2 cert-profile = c " CHILD " }",
                &skip, "missing-option", 2);
    must_refuse("cert-profile c { entry 1 { cert-file = /c key-file = /k } }\n"
                "ike-peer p { remote = 192.0.2.2 cert-profile = c psk-file = /p " CHILD " }",
                &skip, "missing-option", 2);
}

static void overlapping_selectors_name_both_lines(void **state)
{
    static const char text[] = "ts-list t { local = { 10.0.0.0/8,\n"
                               " \"192.0.2.0/24\",\n"
                               " \"10.3.0.0/16 tcp 80\" } remote = 0.0.0.0/0 }";
    struct gh_problems p = {0};
    const struct gh_problem *q;

    assert_null(parse_with(text, NULL, &p));
    q = find(&p, "ts-overlap", 3);
    assert_non_null(q);
    assert_string_equal(q->message, "\"local\": 10.3.0.0/16 tcp 80 (line 3) and 10.0.0.0/8 "
                                    "(line 1) overlap");
    gh_problems_clear(&p);
    /* Ports that differ, or OPAQUE beside a range, do not overlap. */
    gh_config_free(must_parse("ts-list t { local = { \"10.0.0.0/8 tcp 1-79\", \"10.0.0.0/8 tcp "
                              "80\", \"10.0.0.0/8 tcp opaque\" } remote = 0.0.0.0/0 }",
                              NULL));
}

/* ML-KEM: it depends on the OpenSSL that runs. NONE beside it does not help. */
static void what_this_openssl_does_not_have_is_refused(void **state)
{
    static const char *const texts[] = {
        "ike-transform t {\n additional-ke-1 = ml-kem-768 }",
        "ike-transform t {\n additional-ke-1 = { ml-kem-768, none } }",
        "ipsec-transform t {\n additional-ke-2 = ml-kem-1024 }",
        "ike-transform t {\n ke = ml-kem-512 }",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (gh_ke_available(GH_KE_ML_KEM_512))
            gh_config_free(must_parse(texts[i], NULL));
        else
            must_refuse(texts[i], NULL, "algorithm-unavailable", 2);
    }
}

static void a_typing_error_is_answered_with_the_right_word(void **state)
{
    struct gh_problems p = {0};

    assert_null(parse_with("ike-policy slow { }\nike-transform t { encryption = aes-256-gmc }\n"
                           "ike-peer p { remote = 192.0.2.2 psk-file = /k ike-policy = slwo " CHILD
                           " }",
                           &skip, &p));
    assert_int_equal(p.errors, 2);
    assert_string_equal(p.list[0].remedy, "did you mean \"aes-256-gcm\"?");
    assert_string_equal(p.list[1].remedy, "did you mean \"slow\"?");
    gh_problems_clear(&p);
}

static void legacy_is_taken_with_a_warning(void **state)
{
    static const char text[] =
        "ike-transform t { legacy = yes encryption = 3des\n integrity = hmac-md5-96 prf = "
        "hmac-md5 ke = { 1, 2, 5 } }";
    struct gh_problems p = {0};
    struct gh_config *c = parse_with(text, NULL, &p);

    assert_non_null(c);
    assert_int_equal(p.errors, 0);
    assert_int_equal(p.count, 6);
    for (size_t i = 0; i < p.count; i++)
        assert_string_equal(p.list[i].rule, "legacy-algorithm");
    gh_problems_clear(&p);
    gh_config_free(c);
}

/* ---- Ranges and limits ---------------------------------------------------------------------- */

static const struct {
    const char *before, *option, *after;
    unsigned long min, max;
} ranges[] = {
    {"ike-policy p { ", "lifetime", " }", 1200, 31536000},
    {"ike-policy p { ", "liveness-interval", " }", 10, 300},
    {"ike-policy p { ", "liveness-retries", " }", 2, 5},
    {"ike-policy p { ", "nat-keepalive", " }", 120, 600},
    {"ike-policy p { ", "fragment-mtu", " }", 512, 9000},
    {"ike-policy p { ", "exchange-timeout", " }", 2, 60},
    {"ike { ", "reassembly-timeout", " }", 1, 5},
    {"ike { ", "reduced-exchange-timeout", " }", 2, 60},
    {"ike { ", "puzzle-difficulty", " }", 1, 28},
    {"ike { ", "puzzle-budget", " }", 64, 1048576},
    {"ike { ", "ticket-lifetime", " }", 60, 604800},
    {"ike { lockout { ", "attempts", " } }", 1, 64},
    {"ike { lockout { ", "duration", " } }", 1, 60},
    {"ike { lockout { ", "block", " } }", 1, 1440},
    {"ike { lockout { ", "max-ports", " } }", 1, 32000},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = ::/0 remote-ts = ::/0 ",
     "lifetime", " } }", 1200, 31536000},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k " CHILD " ", "port", " }", 1, 65535},
};

/* What the peer may know of our addresses: all, unless we are told which is ours. */
static void addresses_for_a_peer_that_moves(void **state)
{
    static const struct {
        const char *options;
        bool all;
        size_t count;
    } cases[] = {
        {"", true, 0},
        {"local = 192.0.2.1", false, 0},
        {"additional-addresses = { none }", false, 0},
        {"local = 192.0.2.1 additional-addresses = { all }", true, 0},
        {"additional-addresses = { 192.0.2.3 }", false, 1},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text =
            format("ike-policy m { mobike = yes }\n"
                   "ike-peer p { remote = 192.0.2.2 ike-policy = m psk-file = /k %s " CHILD " }",
                   cases[i].options);
        struct gh_config *c = must_parse(text, &skip);

        assert_int_equal(c->ike->policies[0]->others_all, cases[i].all);
        assert_int_equal(c->ike->policies[0]->other_count, cases[i].count);
        gh_config_free(c);
        free(text);
    }
}

/* The same peer in two namespaces is two peers. */
static void places_tell_peers_apart(void **state)
{
    struct gh_config *c = must_parse(
        PEER "ike-peer q { remote = 192.0.2.2 netns = blue psk-file = /k " CHILD " }\n"
             "ike-peer r { remote = 192.0.2.2 netns = blue vrf = red psk-file = /k " CHILD " }\n"
             "ike-peer s { remote = 192.0.2.2 vrf = red psk-file = /k " CHILD " }",
        &skip);

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(c->ike->policies[i]->zone, i);
    gh_config_free(c);
}

/* Several gateways, and the MSS, are for the kernel's plane, too. */
static void what_the_kernels_plane_knows(void **state)
{
    struct gh_config *c = must_parse(
        "ike-peer q { remote = 192.0.2.3 backup = { 192.0.2.4 } dataplane = kernel psk-file = /k "
        "child c { local-ts = 10.1.0.0/16 remote-ts = 10.2.0.0/16 mss = auto } }",
        &skip);

    assert_int_equal(c->ike->policies[0]->plane, IKE2_PLANE_KERNEL);
    assert_int_equal(c->ike->policies[0]->backup_count, 1);
    assert_int_equal(c->ike->policies[0]->children[0].path.mss, IKE2_MSS_AUTO);
    gh_config_free(c);
}

/* A VRF alone is one of the namespace of the peer; sides may be shared. */
static void private_sides_are_places(void **state)
{
    struct gh_config *c = must_parse(
        PEER "ike-peer q { remote = 192.0.2.3 netns = blue private-vrf = red dataplane = auto "
             "psk-file = /k " CHILD " }\n"
             "ike-peer r { remote = 192.0.2.4 netns = blue private-vrf = red psk-file = /k " CHILD
             " }\n"
             "ike-peer s { remote = 192.0.2.5 vrf = red private-netns = green psk-file = /k " CHILD
             " }\n"
             "ipsec-policy t { action = discard netns = blue vrf = red local-ts = 10.0.0.0/8 "
             "remote-ts = 10.0.0.0/8 }",
        &skip);
    struct ike2_policy **p = c->ike->policies;

    assert_null(gh_ike_private_zone(c->ike, p[0]));
    assert_int_equal(p[1]->private_zone, p[2]->private_zone);
    assert_int_equal(p[1]->plane, IKE2_PLANE_USER);
    assert_string_equal(gh_ike_public_zone(c->ike, p[1])->netns, "blue");
    assert_null(gh_ike_public_zone(c->ike, p[1])->vrf);
    assert_string_equal(gh_ike_private_zone(c->ike, p[1])->netns, "blue");
    assert_string_equal(gh_ike_private_zone(c->ike, p[1])->vrf, "red");
    assert_string_equal(gh_ike_private_zone(c->ike, p[3])->netns, "green");
    assert_null(gh_ike_private_zone(c->ike, p[3])->vrf);
    assert_int_equal(c->ike->spd[0].zone, p[1]->private_zone);
    gh_config_free(c);
}

static void ranges_are_as_documented(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        const unsigned long good[] = {ranges[i].min, ranges[i].max};
        const unsigned long bad[] = {ranges[i].min - 1, ranges[i].max + 1};

        for (size_t k = 0; k < 2; k++) {
            char *text = format("%s%s = %lu%s", ranges[i].before, ranges[i].option, good[k],
                                ranges[i].after);

            gh_config_free(must_parse(text, &skip));
            free(text);
            text = format("%s\n%s = %lu%s", ranges[i].before, ranges[i].option, bad[k],
                          ranges[i].after);
            must_refuse(text, &skip, "range", 2);
            free(text);
        }
    }
}

/* Where only the cookies' is written, the puzzles' does not contradict it. */
static void puzzles_come_after_cookies(void **state)
{
    static const struct {
        const char *text;
        uint32_t threshold;
    } cases[] = {{"ike { cookie-threshold = 2000 }", 2000},
                 {"ike { cookie-threshold = 0 puzzle-threshold = 0 }", 0},
                 {"ike { puzzle-threshold = never }", GH_PUZZLES_NEVER},
                 {"ike { half-open-limit = 100 }", 1024},
                 {"ike { puzzle-unsolved = 0 }", 1024},
                 {"ike-policy p { puzzle-limit = 0 }", 1024}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gh_config *c = must_parse(cases[i].text, NULL);

        assert_int_equal(c->ike->settings.half_open_puzzle, cases[i].threshold);
        gh_config_free(c);
    }
    must_refuse("ike {\n puzzle-unsolved = 1001 }", NULL, "range", 2);
    must_refuse("ike {\n unknown-spi-answers = 10001 }", NULL, "range", 2);
    must_refuse("ike-policy p {\n puzzle-limit = 29 }", NULL, "range", 2);
}

static void clients_are_sent_away_with_the_first_answer(void **state)
{
    struct gh_config *c = must_parse(
        "ike-policy r { redirect-to = 192.0.2.9 }\n"
        "ike-peer p { remote = any local = 192.0.2.1 psk-file = /k ike-policy = r " CHILD " }",
        &skip);

    assert_int_equal(c->ike->policies[0]->redirect_at, IKE2_REDIRECT_INIT);
    assert_false(c->ike->policies[0]->redirects);
    gh_config_free(c);
}

static void a_block_may_be_infinite(void **state)
{
    struct gh_config *c = must_parse("ike { lockout { block = infinite } }", NULL);

    assert_true(c->ike->settings.lock_out);
    assert_int_equal(c->ike->settings.lockout.block, 0);
    assert_int_equal(c->ike->settings.lockout.attempts, 3);
    assert_int_equal(c->ike->settings.lockout.duration, 5);
    assert_int_equal(c->ike->settings.lockout.max_ports, 16);
    gh_config_free(c);
}

/* `before`, then `count` times `each` with a number in it, one a line, then `after`. */
static char *many(const char *before, const char *each, unsigned count, const char *after)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    fprintf(out, "%s", before);
    for (unsigned i = 1; i <= count; i++) {
        const char *at = strchr(each, '%');

        fprintf(out, "\n%.*s%u%s", (int)(at - each), each, i, at + 1);
    }
    fprintf(out, "%s", after);
    fclose(out);
    return text;
}

static const struct {
    const char *before, *each, *after;
    unsigned limit;
    const char *rule;
    int line; /* of the error, which need not be at the element itself */
} limits[] = {
    {"ts-list t { remote = ::/0 local = {", "10.%.0.0/16,", " } }", 32, "too-many-selectors", 34},
    {"ts-list t { local = ::/0 remote = {", "10.%.0.0/16,", " } }", 32, "too-many-selectors", 34},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k child c { local-ts = ::/0 remote-ts = {",
     "10.%.0.0/16,", " } } }", 32, "too-many-selectors", 34},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k",
     "child % { local-ts = 10.0.0.0/8 remote-ts = ::/0 }", " }", 32, "too-many-children", 34},
    {"cert-profile c {", "entry % { cert-file = /c key-file = /k }", " }", 8, "cert-profile", 10},
    {"trust-anchor-profile t { ca-file = {", "/ca%.pem,", " } }", 8, "trust-anchors", 10},
    {"cert-profile c { entry 1 { cert-file = /c key-file = /k send-chain = {", "/ca%.pem,",
     " } } }", 7, "cert-profile", 9},
    {"client-db d {", "client % { id = any }", " }", 1000, "client-db", 1002},
};

static void limits_are_as_documented(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        char *text = many(limits[i].before, limits[i].each, limits[i].limit, limits[i].after);

        gh_config_free(must_parse(text, &skip));
        free(text);
        text = many(limits[i].before, limits[i].each, limits[i].limit + 1, limits[i].after);
        must_refuse(text, &skip, limits[i].rule, limits[i].line);
        free(text);
    }
}

static void four_transforms_and_no_fifth(void **state)
{
    static const char defined[] = "ike-transform a { }\nike-transform b { }\nike-transform c { }\n"
                                  "ike-transform d { }\nike-transform e { }\n";
    char *text = format("%sike-policy p { ike-transform = { a, b, c, d } }", defined);
    struct gh_config *c = must_parse(text, NULL);

    gh_config_free(c);
    free(text);
    text = format("%sike-policy p {\nike-transform = { a, b, c, d, e } }", defined);
    must_refuse(text, NULL, "range", 7);
    free(text);
}

static void names_have_58_characters(void **state)
{
    char name[60], *text;

    memset(name, 'n', sizeof(name));
    name[58] = '\0';
    text = format("client-db %s { client 8000 { id = any psk-secret = 0123456789abcdef } }", name);
    gh_config_free(must_parse(text, NULL));
    free(text);
    name[58] = 'n';
    name[59] = '\0';
    text = format("client-db %s { }", name);
    must_refuse(text, NULL, "name-length", 1);
    free(text);
}

/* ---- Files ---------------------------------------------------------------------------------- */

static void refuse_at(const char *text, const char *rule, int line)
{
    char *full = at_dir(text);

    must_refuse(full, NULL, rule, line);
    free(full);
}

static void files_are_looked_at_when_the_configuration_is_read(void **state)
{
    refuse_at("ike-psk k {\n secret-file = \"@/nowhere\" }", "secret-missing", 2);
    refuse_at("ike-psk k {\n secret-file = \"@/open\" }", "secret-permissions", 2);
    refuse_at("ike-psk k {\n secret = 0xabc }", "secret-format", 2);
    refuse_at("ike-psk k {\n secret = \"\" }", "secret-format", 2);
    refuse_at("ike-key k {\n key-file = \"@/psk\" }", "key-format", 2);
    refuse_at("trust-anchor-profile t {\n ca-file = \"@/nowhere\" }", "file-missing", 2);
    refuse_at("trust-anchor-profile t {\n ca-file = \"@/writable.pem\" }", "file-permissions", 2);
    refuse_at("trust-anchor-profile t {\n ca-file = \"@\" }", "file-permissions", 2);
    refuse_at("trust-anchor-profile t { ca-file = { \"@/root.pem\",\n \"@/none.pem\" } }",
              "cert-file", 2);
    refuse_at("trust-anchor-profile t { ca-file = { \"@/root.pem\",\n \"@/root.pem\" } }",
              "trust-anchors", 2);
    refuse_at("trust-anchor-profile t {\n ca-file = \"@/leaf.pem\" }", "ca-basic-constraints", 2);
    refuse_at("cert-profile c {\n entry 1 { cert-file = \"@/leaf.pem\"\n"
              " key-file = \"@/other.key\" } }",
              "key-mismatch", 2);
    refuse_at("ike-peer p { remote = 192.0.2.2 psk-file = \"@/psk\"\n"
              " remote-auth = raw-key peer-raw-key-file = \"@/none.pem\" " CHILD " }",
              "key-format", 2);
}

static void take_at(const char *text)
{
    char *full = at_dir(text);

    gh_config_free(must_parse(full, NULL));
    free(full);
}

static void our_identity_may_be_found_in_the_certificate(void **state)
{
#define OF_CERT(local)                                                                             \
    "cert-profile c { entry 1 { cert-file = \"@/leaf.pem\" key-file = \"@/leaf.key\" } }\n"        \
    "ike-psk k { secret-file = \"@/psk\" }\n"                                                      \
    "ike-peer p { remote = 192.0.2.2 cert-profile = c psk = k remote-auth = psk\n"                 \
    " local-id = \"" local CHILD " }"
    char *full = at_dir(OF_CERT("cert:fqdn\" local-auth = cert "));
    struct gh_config *c = must_parse(full, NULL);
    size_t len;
    uint8_t *data = gh_ike_config_encode(c->ike, &len);
    struct gh_ike_config *got = gh_ike_config_decode(gh_view_of(data, len));

    assert_non_null(got);
    assert_int_equal(got->policies[0]->local_id.type, GH_ID_FQDN);
    assert_int_equal(got->policies[0]->local_id.len, 0);
    gh_ike_config_free(got);
    gh_config_free(c);
    free(data);
    free(full);
    refuse_at(OF_CERT("cert:email\" local-auth = cert "), "cert-identity", 4);
    refuse_at(OF_CERT("cert:fqdn\" local-auth = psk "), "missing-option", 4);
#undef OF_CERT
}

static void an_encrypted_key_needs_its_passphrase(void **state)
{
    EVP_PKEY *key = made_key_nth("P-256", 2);
    FILE *f = fopen(path_of("locked.key"), "w");

    assert_non_null(f);
    assert_int_equal(
        PEM_write_PKCS8PrivateKey(f, key, EVP_aes_128_cbc(), "open sesame", 11, NULL, NULL), 1);
    fclose(f);
    chmod(path_of("locked.key"), 0600);
    write_file("pass", "open sesame\n", 0600);
    take_at("cert-profile c { entry 1 { cert-file = \"@/leaf.pem\" key-file = \"@/locked.key\"\n"
            " passphrase-file = \"@/pass\" } }");
    take_at("ike-key k { key-file = \"@/locked.key\" passphrase = \"open sesame\" }");
    refuse_at("ike-key k {\n key-file = \"@/locked.key\" }", "key-passphrase", 2);
    refuse_at("ike-key k {\n key-file = \"@/locked.key\" passphrase = wrong }", "key-passphrase",
              2);
    unlink(path_of("locked.key"));
    unlink(path_of("pass"));
}

static void what_a_token_has_is_known_by_its_certificate(void **state)
{
    static const char uri[] = "pkcs11:token=HSM;object=own?module-path=/m.so";
    char *key = format("ike-key k { key-uri = \"%s\"\n pin-file = \"@/psk\" }\n", uri), *text;

    take_at(key);
    text = format("%scert-profile c { entry 1 { cert-file = \"@/leaf.pem\" key = k }\n"
                  " entry 2 { cert-file = \"@/leaf.pem\" key = k } }",
                  key);
    take_at(text);
    free(text);
    text = format("%scert-profile c { entry 1 { cert-file = \"@/leaf.pem\" key = k }\n"
                  " entry 2 { cert-file = \"@/other.pem\" key = k } }",
                  key);
    refuse_at(text, "key-mismatch", 4);
    free(text);
    text = format("%sike-peer p { remote = 192.0.2.2 remote-id = any\n raw-key = k\n"
                  " peer-raw-key-file = \"@/raw.pem\" " CHILD " }",
                  key);
    refuse_at(text, "key-uri", 4);
    free(text);
    free(key);
    text = format("ike-key k { key-uri = \"%s\"\n pin-file = \"@/open\" }", uri);
    refuse_at(text, "secret-permissions", 2);
    free(text);
    refuse_at("ike-key k { key-uri = \"pkcs11:token=HSM;object=own?module-path=/m.so\"\n"
              " public-key-file = \"@/psk\" }",
              "key-format", 2);
}

static void pins_are_not_repeated(void **state)
{
    struct gh_problems p = {0};

    assert_null(parse_with("ike-key k { key-uri = "
                           "\"pkcs11:token=t;object=k?module-path=/m&pin-value=48151623\" }",
                           NULL, &p));
    for (size_t i = 0; i < p.count; i++) {
        assert_null(strstr(p.list[i].message, "48151623"));
        assert_null(strstr(p.list[i].remedy, "48151623"));
    }
    gh_problems_clear(&p);
}

static X509 *read_x509(const char *name)
{
    FILE *f = fopen(path_of(name), "r");
    X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

    assert_non_null(x);
    fclose(f);
    return x;
}

/* The leaf's key and certificate, and the CA above it. */
static void make_pkcs12(const char *name, const char *passphrase)
{
    STACK_OF(X509) *cas = sk_X509_new_null();
    X509 *leaf = read_x509("leaf.pem");
    PKCS12 *p12;
    FILE *f = fopen(path_of(name), "w");

    sk_X509_push(cas, read_x509("sub.pem"));
    p12 = PKCS12_create(passphrase, NULL, made_key_nth("P-256", 2), leaf, cas, 0, 0, 0, 0, 0);
    assert_non_null(p12);
    assert_non_null(f);
    assert_int_equal(i2d_PKCS12_fp(f, p12), 1);
    fclose(f);
    chmod(path_of(name), 0600);
    PKCS12_free(p12);
    X509_free(leaf);
    sk_X509_pop_free(cas, X509_free);
}

/* PKCS #12 has both, and the certificates after its own. */
static void a_certificate_comes_with_its_key(void **state)
{
    struct gh_config *c;
    char *text;

    make_pkcs12("own.p12", "open sesame");
    write_file("pass", "open sesame\n", 0600);
    text = at_dir("cert-profile c { entry 1 { key-file = \"@/own.p12\" passphrase-file = "
                  "\"@/pass\" } }");
    c = must_parse(text, NULL);
    assert_int_equal(gh_cert_profile_count(c->ike->profiles[0].profile), 1);
    assert_int_equal(gh_cert_profile_entry(c->ike->profiles[0].profile, 0)->send_count, 1);
    gh_config_free(c);
    free(text);
    refuse_at("cert-profile c {\n entry 1 { key-file = \"@/leaf.key\" } }", "missing-option", 2);
    /* One mistake, one error: that there is no certificate either is no news. */
    refuse_at("cert-profile c {\n entry 1 { key-file = \"@/own.p12\" passphrase = wrong } }",
              "key-passphrase", 2);
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    take_at("cert-profile c { entry 1 { key-credential = own.p12 passphrase-credential = pass } }");
    unsetenv("CREDENTIALS_DIRECTORY");
    unlink(path_of("own.p12"));
    unlink(path_of("pass"));
}

static void secrets_come_as_credentials(void **state)
{
    unsetenv("CREDENTIALS_DIRECTORY");
    refuse_at("ike-psk k {\n secret-credential = psk }", "secret-missing", 2);
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    take_at("ike-psk k { secret-credential = psk }");
    take_at("ike-key k { key-credential = leaf.key }");
    refuse_at("ike-psk k {\n secret-credential = nowhere }", "secret-missing", 2);
    unsetenv("CREDENTIALS_DIRECTORY");
}

/* What stands behind the certificate in its file is sent with it. */
static void a_file_may_bring_its_chain(void **state)
{
    char *text = at_dir("cert-profile c { entry 1 { cert-file = \"@/chain.pem\" key-file = "
                        "\"@/leaf.key\" send-chain = \"@/root.pem\" } }");
    char octets[8192];
    FILE *out = fopen(path_of("chain.pem"), "w");
    static const char *const parts[] = {"leaf.pem", "sub.pem"};
    const struct gh_cert_entry *e;
    struct gh_config *c;

    assert_non_null(out);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        FILE *in = fopen(path_of(parts[i]), "r");
        size_t n = fread(octets, 1, sizeof(octets), in);

        fclose(in);
        assert_int_equal(fwrite(octets, 1, n, out), n);
    }
    fclose(out);
    chmod(path_of("chain.pem"), 0644);
    c = must_parse(text, NULL);
    e = gh_cert_profile_entry(c->ike->profiles[0].profile, 0);
    assert_int_equal(e->send_count, 2);
    assert_string_equal(gh_cert_subject(e->send[0]), "C=CH, O=Net, CN=Sub");
    assert_string_equal(gh_cert_subject(e->send[1]), "C=CH, O=Net, CN=Root");
    unlink(path_of("chain.pem"));
    gh_config_free(c);
    free(text);
}

static void eight_cas_and_no_ninth(void **state)
{
    char *text, *full;

    for (unsigned i = 0; i < 9; i++) {
        char name[16], cn[16];

        snprintf(name, sizeof(name), "ca%u.pem", i);
        snprintf(cn, sizeof(cn), "CA %u", i);
        write_cert(name,
                   (struct made_plan){.cn = cn, .key = made_key_nth("P-256", i), .basic = MADE_CA});
    }
    text = many("trust-anchor-profile t { ca-file = { \"@/ca0.pem\",", "\"@/ca%.pem\",", 7, " } }");
    full = at_dir(text);
    gh_config_free(must_parse(full, NULL));
    free(full);
    free(text);
    text = many("trust-anchor-profile t { ca-file = { \"@/ca0.pem\",", "\"@/ca%.pem\",", 8, " } }");
    refuse_at(text, "trust-anchors", 9);
    free(text);
}

/* ---- Advice --------------------------------------------------------------------------------- */

/* Lint says this, on this line, and (rule NULL) nothing at all. */
static void lint_says(const char *text, int64_t now, const char *rule, int line, bool error)
{
    char *full = at_dir(text);
    struct gh_config *c = must_parse(full, NULL);
    struct gh_problems p = {0};
    const struct gh_problem *q;

    gh_lint(c, NULL, now, &p);
    q = rule != NULL ? find(&p, rule, line) : NULL;
    if (rule == NULL ? p.count > 0 : q == NULL || (q->severity == GH_PROBLEM_ERROR) != error) {
        gh_problems_print(&p, stderr);
        fail_msg("lint does not say [%s] on line %d: %s", rule != NULL ? rule : "nothing", line,
                 full);
    }
    gh_problems_clear(&p);
    gh_config_free(c);
    free(full);
}

#define GOOD_PEER "ike-peer p { remote = 192.0.2.2 psk-file = \"@/psk\" " CHILD " }\n"
#define CERT_PEER                                                                                  \
    "trust-anchor-profile t { ca-file = \"@/root.pem\" intermediate-file = \"@/sub.pem\" }\n"      \
    "cert-profile c {\n entry 1 { cert-file = \"@/leaf.pem\" key-file = \"@/leaf.key\" } }\n"      \
    "ike-peer p { remote = 192.0.2.2 cert-profile = c trust-anchor-profile = t\n"                  \
    " remote-id = them.example.net " CHILD " }\n"

static void lint_knows_ike(void **state)
{
    lint_says(GOOD_PEER, MADE_NOW, NULL, 0, false);
    lint_says(GOOD_PEER "ike-transform t { }", MADE_NOW, "unused-definition", 2, false);
    lint_says(GOOD_PEER "ike-psk k { secret-file = \"@/psk\" }", MADE_NOW, "unused-definition", 2,
              false);
    lint_says(GOOD_PEER "ike-policy t { }", MADE_NOW, "unused-definition", 2, false);
    lint_says("\nike-peer p { remote = 192.0.2.2 psk-file = \"@/short\" " CHILD " }", MADE_NOW,
              "weak-secret", 2, false);
    lint_says("\nike-psk k { secret = changeme }", MADE_NOW, "known-secret", 2, false);
    lint_says("\nike-psk k { secret = aaaabbbbaaaabbbbaaaa }", MADE_NOW, "weak-secret", 2, false);
    lint_says("\nike-ppk k { secret-file = \"@/psk\" }", MADE_NOW, "weak-secret", 2, false);
    lint_says(GOOD_PEER "ike-peer q { remote = 192.0.2.3 psk-file = \"@/psk\"\n child d { local-ts "
                        "= 10.1.2.0/24 remote-ts = 0.0.0.0/0 } }",
              MADE_NOW, "child-overlap", 3, false);
    lint_says(GOOD_PEER
              "ike-peer q { remote = 192.0.2.3 psk-file = \"@/psk\" private-netns = blue\n"
              "child d { local-ts = 10.1.2.0/24 remote-ts = 0.0.0.0/0 } }",
              MADE_NOW, NULL, 0, false);
    lint_says("ike-peer q { remote = 192.0.2.3 psk-file = \"@/psk\" " CHILD "\n child d { local-ts "
              "= 10.1.2.0/24 remote-ts = 10.2.3.0/24 } }",
              MADE_NOW, "child-overlap", 2, false);
    lint_says(GOOD_PEER "ike-peer q { remote = 192.0.2.3 psk-file = \"@/psk\"\n child d { local-ts "
                        "= 10.1.0.0/16 remote-ts = 10.3.0.0/16 } }",
              MADE_NOW, NULL, 0, false);
    lint_says("\nike-peer q { remote = any psk-file = \"@/psk\" " CHILD " }", MADE_NOW,
              "shared-psk", 2, false);
    lint_says("ipsec-transform n { encryption = null }\nike-peer q { remote = 192.0.2.3 psk-file = "
              "\"@/psk\"\n child d { local-ts = ::/0 remote-ts = ::/0 ipsec-transform = n } }",
              MADE_NOW, "no-encryption", 3, false);
    lint_says("ipsec-transform n { ke = { 14, none } }\nike-peer q { remote = 192.0.2.3 psk-file = "
              "\"@/psk\"\n child d { local-ts = ::/0 remote-ts = ::/0 ipsec-transform = n } }",
              MADE_NOW, "no-pfs", 3, false);
    lint_says("ike-peer q { remote = 192.0.2.3 psk-file = \"@/psk\"\n child d { local-ts = ::/0 "
              "remote-ts = ::/0 lifetime = 2d } }",
              MADE_NOW, "child-lifetime", 2, false);
}

static void lint_looks_at_certificates(void **state)
{
    lint_says(CERT_PEER "ike-peer q { remote = 192.0.2.3 psk-file = \"@/psk\" cert-profile = c\n"
                        " local-auth = psk child d { local-ts = ::/0 remote-ts = ::/0 } }",
              MADE_NOW, "unused-credential", 6, false);
    lint_says(CERT_PEER, MADE_NOW, NULL, 0, false);
    lint_says(CERT_PEER, MADE_NOW + 10 * MADE_DAY - 1, NULL, 0, false);
    lint_says(CERT_PEER, MADE_NOW + 10 * MADE_DAY, "cert-expires", 3, false);
    lint_says(CERT_PEER, MADE_NOW + 40 * MADE_DAY, "cert-expired", 3, true);
    lint_says(CERT_PEER, MADE_NOW - 2 * MADE_DAY, "cert-not-yet-valid", 3, true);
    lint_says(CERT_PEER, MADE_NOW + 340 * MADE_DAY, "cert-expires", 1, false);
    lint_says("cert-profile c {\n entry 1 { cert-file = \"@/leaf.pem\" key-file = \"@/leaf.key\" "
              "send-chain = \"@/root.pem\" } }",
              MADE_NOW, "send-chain", 2, false);
    lint_says("trust-anchor-profile t { ca-file = \"@/root.pem\" }\n"
              "ike-peer p { remote = 192.0.2.2 psk-file = \"@/psk\" local-auth = psk\n"
              " remote-auth = cert trust-anchor-profile = t remote-id = them.example.net\n"
              " match-peer-id-to-cert = no " CHILD " }\n",
              MADE_NOW, "identity-not-in-cert", 2, false);
}

/* ---- Words ---------------------------------------------------------------------------------- */

static void traffic_selectors_read_back(void **state)
{
    static const char *const texts[] = {"10.0.0.0/8",
                                        "192.0.2.1",
                                        "0.0.0.0/0",
                                        "192.0.2.1-192.0.2.9 tcp 179",
                                        "2001:db8::/32 icmpv6 128/0",
                                        "10.0.0.0/8 icmp 8/0-8/255",
                                        "10.0.0.0/8 udp opaque",
                                        "10.0.0.0/8 sctp 1-65534",
                                        "10.0.0.0/8 47",
                                        "2001:db8::/64 mh 5/0"};
    char text[IKE_TS_TEXT];
    struct ike_ts ts;
    const char *why;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_true(gh_ike_ts_parse(texts[i], &ts, &why));
        assert_string_equal(ike_ts_format(&ts, text), texts[i]);
    }
    assert_true(gh_ike_ts_parse(" 10.0.0.0/8\ticmp 8 ", &ts, &why));
    assert_int_equal(ts.start_port, 0x800);
    assert_int_equal(ts.end_port, 0x8ff);
    assert_true(gh_ike_ts_parse("10.0.0.0/8 any any", &ts, &why));
    assert_true(ike_ts_any_port(&ts));
    assert_true(gh_ike_ts_parse("10.0.0.0/8 udp opaque", &ts, &why));
    assert_true(ike_ts_opaque(&ts));
}

static void what_is_no_selector_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "10.0.0.1/8",
                                        "10.0.0.9-10.0.0.1",
                                        "10.0.0.1-::1",
                                        "10.0.0.0/8 tcp 443-80",
                                        "10.0.0.0/8 tcp 65536",
                                        "10.0.0.0/8 tcp 8/0",
                                        "10.0.0.0/8 icmp 256",
                                        "10.0.0.0/8 icmp 8/256",
                                        "10.0.0.0/8 icmpv6",
                                        "2001:db8::/32 icmp",
                                        "10.0.0.0/8 any 80",
                                        "10.0.0.0/8 any opaque",
                                        "10.0.0.0/8 47 80",
                                        "10.0.0.0/8 256",
                                        "10.0.0.0/8 tcp 80 81",
                                        "10.0.0.0/8 tcp -80",
                                        "10.0.0.0/8 tcp 80-",
                                        "tcp"};
    struct ike_ts ts;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const char *why = NULL;

        if (gh_ike_ts_parse(texts[i], &ts, &why))
            fail_msg("taken: %s", texts[i]);
        assert_non_null(why);
    }
}

static void every_algorithm_has_one_word(void **state)
{
    static const uint8_t types[] = {IKE_T_ENCR, IKE_T_PRF, IKE_T_INTEG, IKE_T_KE, IKE_T_SN};

    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        for (const struct gh_ike_word *w = gh_ike_words(types[t]); w->name != NULL; w++) {
            assert_ptr_equal(gh_ike_word(types[t], w->name), w);
            for (const struct gh_ike_word *v = gh_ike_words(types[t]); v < w; v++)
                assert_false(v->id == w->id && v->key_bits == w->key_bits);
        }
    }
    assert_int_equal(gh_ike_word(IKE_T_KE, "14")->id, IKE_KE_MODP_2048);
    assert_null(gh_ike_word(IKE_T_KE, "014"));
    assert_null(gh_ike_word(IKE_T_KE, ""));
    assert_null(gh_ike_word(IKE_T_ENCR, "12"));
}

/* ---- A reload while tunnels are up ----------------------------------------------------------- */

#define UP(more, child)                                                                            \
    "ipsec-transform t { encryption = aes-128-gcm }\n"                                             \
    "ike-transform i { encryption = aes-128-gcm }\n"                                               \
    "ike-policy i { ike-transform = i }\n"                                                         \
    "ike-psk other { secret-file = /k }\n"                                                         \
    "ike-peer p { psk-file = /k " more "\n"                                                        \
    " child c { " child " } }\n"                                                                   \
    "ike-peer q { remote = 192.0.2.9 psk-file = /k " CHILD " }\n"
#define TS "local-ts = 10.1.0.0/16 remote-ts = 10.2.0.0/16"

static const struct {
    const char *text, *rule;
    int line;
    const char *words;
} reloads[] = {
    {UP("remote = 192.0.2.2", TS), NULL, 0, NULL},
    {UP("remote = 192.0.2.2 backup = { 192.0.2.3 } revert = 60 admin = up", TS " start = no"), NULL,
     0, NULL},
    {UP("remote = 192.0.2.3", TS), "tunnel-next-ike-sa", 5, "remote"},
    {UP("remote = 192.0.2.2 local = 192.0.2.1 remote-id = x.example.net", TS), "tunnel-next-ike-sa",
     5, "local, remote-id"},
    {UP("remote = 192.0.2.2 netns = blue", TS), "tunnel-next-ike-sa", 5, "netns or vrf"},
    {UP("remote = 192.0.2.2 ike-policy = i", TS), "tunnel-next-rekeying", 5, "ike-transform"},
    {UP("remote = 192.0.2.2", TS " ipsec-transform = t lifetime = 1800"), "tunnel-next-rekeying", 6,
     "ipsec-transform, lifetime"},
    {UP("remote = 192.0.2.2", TS " mode = transport"), "tunnel-next-rekeying", 6, "mode"},
    {UP("remote = 192.0.2.2", "local-ts = 10.1.0.0/16 remote-ts = { 10.2.0.0/16, 10.3.0.0/16 }"),
     "tunnel-next-rekeying", 6, "remote-ts"},
    {UP("remote = 192.0.2.2 child d { " TS " }", "local-ts = 10.8.0.0/16 remote-ts = 10.9.0.0/16"),
     "tunnel-next-rekeying", 6, "local-ts, remote-ts"},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k\n child d { " TS " } }", "tunnel-gone", 1,
     "\"c\" of \"p\""},
};

static void a_reload_says_from_when_on(void **state)
{
    struct gh_config *before = must_parse(UP("remote = 192.0.2.2", TS), &skip);

    for (size_t i = 0; i < ARRAY_LEN(reloads); i++) {
        struct gh_config *after = must_parse(reloads[i].text, &skip);
        struct gh_problems p = {0};

        gh_config_check_ike_change(before->ike, after->ike, "t.conf", &p);
        if (p.count != (reloads[i].rule != NULL) || p.errors > 0) {
            gh_problems_print(&p, stderr);
            fail_msg("reload %zu: %zu problems", i, p.count);
        }
        if (p.count > 0 && (find(&p, reloads[i].rule, reloads[i].line) == NULL ||
                            strstr(p.list[0].message, reloads[i].words) == NULL)) {
            gh_problems_print(&p, stderr);
            fail_msg("reload %zu: not %s on line %d", i, reloads[i].rule, reloads[i].line);
        }
        gh_problems_clear(&p);
        gh_config_free(after);
    }
    gh_config_check_ike_change(NULL, before->ike, "t.conf", NULL);
    gh_config_check_ike_change(before->ike, NULL, "t.conf", NULL);
    gh_config_free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_is_six_lines),
        cmocka_unit_test(without_ike_there_is_none),
        cmocka_unit_test(every_option_is_read),
        cmocka_unit_test(the_keeper_can_carry_out_the_order),
        cmocka_unit_test(printing_and_reading_is_the_identity),
        cmocka_unit_test(octets_bring_the_same),
        cmocka_unit_test(damaged_octets_are_refused),
        cmocka_unit_test(secrets_go_to_the_keeper_alone),
        cmocka_unit_test(a_secret_in_the_wrong_place_is_not_shown),
        cmocka_unit_test(mistakes_are_told_with_their_line),
        cmocka_unit_test(nothing_to_authenticate_by_is_one_mistake),
        cmocka_unit_test(overlapping_selectors_name_both_lines),
        cmocka_unit_test(what_this_openssl_does_not_have_is_refused),
        cmocka_unit_test(a_typing_error_is_answered_with_the_right_word),
        cmocka_unit_test(legacy_is_taken_with_a_warning),
        cmocka_unit_test(addresses_for_a_peer_that_moves),
        cmocka_unit_test(places_tell_peers_apart),
        cmocka_unit_test(private_sides_are_places),
        cmocka_unit_test(what_the_kernels_plane_knows),
        cmocka_unit_test(ranges_are_as_documented),
        cmocka_unit_test(puzzles_come_after_cookies),
        cmocka_unit_test(clients_are_sent_away_with_the_first_answer),
        cmocka_unit_test(a_block_may_be_infinite),
        cmocka_unit_test(limits_are_as_documented),
        cmocka_unit_test(four_transforms_and_no_fifth),
        cmocka_unit_test(names_have_58_characters),
        cmocka_unit_test(files_are_looked_at_when_the_configuration_is_read),
        cmocka_unit_test(our_identity_may_be_found_in_the_certificate),
        cmocka_unit_test(an_encrypted_key_needs_its_passphrase),
        cmocka_unit_test(what_a_token_has_is_known_by_its_certificate),
        cmocka_unit_test(pins_are_not_repeated),
        cmocka_unit_test(a_certificate_comes_with_its_key),
        cmocka_unit_test(secrets_come_as_credentials),
        cmocka_unit_test(a_file_may_bring_its_chain),
        cmocka_unit_test(eight_cas_and_no_ninth),
        cmocka_unit_test(lint_knows_ike),
        cmocka_unit_test(lint_looks_at_certificates),
        cmocka_unit_test(traffic_selectors_read_back),
        cmocka_unit_test(what_is_no_selector_is_refused),
        cmocka_unit_test(every_algorithm_has_one_word),
        cmocka_unit_test(a_reload_says_from_when_on),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
