/* Sizes of packets in the `esp` process: limits of SAs, cutting, refusing, what ICMP errors teach
 * and for how long, the MSS in SYNs. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/esp_path.h"
#include "esp_child.h"
#include "ipsec/header.h"
#include "wire/checksum.h"

enum { ROOM = 12288, HEAD = 256, START_MS = 1000, SENT_MAX = 16 };
enum { DF = 0x4000, TCP = 6 };

struct kept {
    uint8_t octets[ROOM];
    size_t len;
};

static struct {
    struct ipsec *engine;
    struct gh_esp_names policies, places;
    struct gh_esp_outers outers;
    struct gh_esp_children *children;
    struct gh_esp_path *path;
    struct gh_ike_config *config;
    int memory;
    uint32_t told_place; /* where tell() comes in */
    struct kept sent[SENT_MAX], delivered[SENT_MAX];
    size_t sent_count, delivered_count;
} w;

static bool give_random(void *arg, uint8_t *out, size_t len)
{
    memset(out, 7, len);
    return true;
}

static void draw(void *ctx, void *out, size_t len)
{
    memset(out, 9, len);
}

static void on_used(void *ctx, const struct gh_esp_usage *u)
{
}

static void on_missing(void *ctx, uint32_t id)
{
}

static void on_changed(void *ctx, uint64_t sa)
{
    if (w.path != NULL)
        gh_esp_path_changed(w.path, sa, START_MS);
}

static void on_passed(void *ctx, const struct ipsec_packet *p)
{
    gh_esp_children_passed(w.children, p, 1);
}

static void keep(struct kept *list, size_t *count, const struct ipsec_packet *p)
{
    assert_in_range(*count, 0, SENT_MAX - 1);
    memcpy(list[*count].octets, ipsec_packet_data(p), p->len);
    list[(*count)++].len = p->len;
}

static void on_send(void *ctx, struct ipsec_packet *p)
{
    keep(w.sent, &w.sent_count, p);
}

static void on_deliver(void *ctx, struct ipsec_packet *p)
{
    keep(w.delivered, &w.delivered_count, p);
}

static struct ike2_child_path *sizes(void)
{
    return &w.config->policies[0]->children[0].path;
}

static void configure(void)
{
    assert_true(gh_esp_path_configure(w.path, w.config, &w.policies, START_MS));
}

static void install_child(const struct gh_esp_child *c)
{
    uint8_t mem[GH_ESP_CHILD_MAX];
    struct gh_wr out = gh_wr_make(mem, sizeof(mem));
    struct gh_rd r;
    uint32_t got;
    bool refused;

    gh_esp_put_child(&out, c);
    r = gh_rd_make(mem, out.len);
    assert_true(gh_esp_children_install(w.children, &r, START_MS, &got, &refused));
    assert_false(refused);
}

static void install(uint32_t id)
{
    const struct gh_esp_child c = esp_child(id);

    install_child(&c);
}

static int begin(void **state)
{
    static const struct gh_esp_children_ops children_ops = {
        .used = on_used, .missing = on_missing, .changed = on_changed};
    static const struct gh_esp_path_ops path_ops = {
        .random = draw, .passed = on_passed, .send = on_send, .deliver = on_deliver};
    const struct ipsec_setup setup = {.back_end = "openssl", .random = give_random};
    struct gh_esp_child c = esp_child(1);
    struct ipsec_selector s[IPSEC_SELECTORS_MAX];
    struct ipsec_policy policy = {.action = IPSEC_PROTECT, .out = true, .in = true, .selectors = s};
    struct ike2_policy *peer;

    memset(&w, 0, sizeof(w));
    w.engine = ipsec_new(&setup);
    policy.id = gh_esp_number(&w.policies, c.peer, c.name);
    policy.place = gh_esp_number(&w.places, NULL, NULL);
    policy.selector_count = gh_esp_selectors(&c.ts_local, &c.ts_remote, s);
    assert_true(ipsec_set_policies(w.engine, &policy, 1));
    w.children = gh_esp_children_new(w.engine, &w.policies, &w.places, &children_ops, NULL);
    w.memory = memfd_create("test", 0);
    assert_int_equal(ftruncate(w.memory, (off_t)gh_esp_children_memory()), 0);
    assert_true(gh_esp_children_map(w.children, w.memory, START_MS));
    w.path = gh_esp_path_new(w.engine, w.children, &w.outers, &path_ops, NULL);
    w.config = gh_ike_config_new();
    peer = ike2_policy_new("berlin");
    peer->children = calloc(1, sizeof(*peer->children));
    strcpy(peer->children[0].name, "lan");
    peer->children[0].path = ike2_child_path_default();
    peer->child_count = 1;
    w.config->policies = calloc(1, sizeof(struct ike2_policy *));
    w.config->policies[0] = peer;
    w.config->policy_count = 1;
    configure();
    install(1);
    return 0;
}

static int end(void **state)
{
    gh_esp_path_free(w.path);
    gh_esp_children_free(w.children);
    gh_esp_names_free(&w.policies);
    gh_esp_names_free(&w.places);
    gh_ike_config_free(w.config);
    ipsec_free(w.engine);
    close(w.memory);
    return 0;
}

/* ---- Packets -------------------------------------------------------------------------------- */

static uint8_t mem[ROOM];

static struct ipsec_packet packet(size_t len, uint16_t df, uint8_t protocol)
{
    static const uint8_t from[4] = {10, 1, 0, 1}, to[4] = {10, 2, 0, 1};
    struct gh_wr out = gh_wr_make(mem + HEAD, len);

    memset(mem, 0, sizeof(mem));
    gh_wr_u16(&out, 0x4500);
    gh_wr_u16(&out, len);
    gh_wr_u16(&out, 1);
    gh_wr_u16(&out, df);
    gh_wr_u8(&out, 64);
    gh_wr_u8(&out, protocol);
    gh_wr_u16(&out, 0);
    gh_wr_bytes(&out, from, 4);
    gh_wr_bytes(&out, to, 4);
    ipsec_header_set_checksum(mem + HEAD);
    return (struct ipsec_packet){.mem = mem, .cap = sizeof(mem), .at = HEAD, .len = len};
}

/* What becomes of it. */
static enum ipsec_result go(struct ipsec_packet *p, uint64_t now_ms)
{
    w.sent_count = w.delivered_count = 0;
    ipsec_out(w.engine, now_ms, p, 1);
    gh_esp_path_out(w.path, now_ms, p, 1);
    return p->result;
}

static enum ipsec_result go_long(size_t len, uint16_t df, uint64_t now_ms)
{
    struct ipsec_packet p = packet(len, df, 17);

    return go(&p, now_ms);
}

static uint64_t count(enum gh_esp_path_count which)
{
    return gh_esp_path_counts(w.path)[which];
}

static uint16_t u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void what_fits_is_left_alone(void **state)
{
    assert_int_equal(go_long(1390, DF, START_MS), IPSEC_OK);
    assert_int_equal(go_long(1390, 0, START_MS), IPSEC_OK);
    assert_int_equal(w.sent_count + w.delivered_count, 0);
    assert_int_equal(ipsec_count(w.engine, IPSEC_OUT, IPSEC_ASIDE), 0);
}

static void what_is_longer_is_cut_or_refused(void **state)
{
    assert_int_not_equal(go_long(3000, 0, START_MS), IPSEC_OK);
    assert_int_equal(w.sent_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_in_range(w.sent[i].len, 200, 1390 + 60);
    assert_int_equal(count(GH_ESP_PATH_CUT), 1);

    assert_int_not_equal(go_long(1391, DF, START_MS), IPSEC_OK);
    assert_int_equal(w.sent_count, 0);
    assert_int_equal(w.delivered_count, 1);
    assert_int_equal(w.delivered[0].octets[9], 1);
    assert_int_equal(w.delivered[0].octets[20], 3);
    assert_int_equal(w.delivered[0].octets[21], 4);
    assert_int_equal(u16(w.delivered[0].octets + 26), 1390);
    assert_memory_equal(w.delivered[0].octets + 12, "\x0a\x02\x00\x01\x0a\x01\x00\x01", 8);

    sizes()->clear_df = true;
    configure();
    assert_int_not_equal(go_long(1391, DF, START_MS), IPSEC_OK);
    assert_int_equal(w.sent_count, 2);
    assert_int_equal(count(GH_ESP_PATH_DF_CLEARED), 1);
}

static void errors_are_limited(void **state)
{
    sizes()->too_big_messages = 10;
    sizes()->too_big_seconds = 60;
    configure();
    for (int i = 0; i < 25; i++)
        go_long(2000, DF, START_MS);
    assert_int_equal(count(GH_ESP_PATH_TOLD), 10);
    assert_int_equal(count(GH_ESP_PATH_NOT_TOLD), 15);
    configure(); /* a reload gives nobody more */
    go_long(2000, DF, START_MS);
    assert_int_equal(count(GH_ESP_PATH_TOLD), 10);
    go_long(2000, DF, START_MS + 6000);
    assert_int_equal(count(GH_ESP_PATH_TOLD), 11);
}

static void what_is_protected_is_cut(void **state)
{
    sizes()->encapsulated_ip_mtu = 600;
    configure();
    assert_int_equal(go_long(500, 0, START_MS), IPSEC_OK);
    assert_int_equal(w.sent_count, 0);
    assert_int_not_equal(go_long(1390, DF, START_MS), IPSEC_OK);
    assert_int_equal(w.sent_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_in_range(w.sent[i].len, 20, 600);
        assert_int_equal(w.sent[i].octets[9], 50);
        assert_true(gh_esp_path_is_raw(w.sent[i].octets));
    }
}

/* ---- Transport mode ------------------------------------------------------------------------- */

/* The child that carries the packets from now on. */
static void install_transport(const char *local_ts)
{
    struct gh_esp_child c = esp_child(2);

    c.mode = IPSEC_TRANSPORT;
    assert_true(gh_addr_parse("10.1.0.1", &c.local) && gh_addr_parse("10.2.0.1", &c.remote));
    c.ts_local.ts[0] = esp_child_ts(local_ts);
    install_child(&c);
}

static struct ipsec_packet fragment(size_t data, uint16_t offset, bool more)
{
    enum { MORE = 0x2000 };

    return packet(20 + data, (uint16_t)(offset / 8 | (more ? MORE : 0)), 17);
}

static void fragments_are_made_whole(void **state)
{
    struct ipsec_packet first = fragment(1360, 0, true), second;

    install_transport("10.1.0.0/24");
    assert_int_equal(go(&first, START_MS), IPSEC_ASIDE);
    assert_int_equal(w.sent_count, 0);
    second = fragment(640, 1360, false);
    assert_int_equal(go(&second, START_MS), IPSEC_ASIDE);
    assert_int_equal(count(GH_ESP_PATH_WHOLE), 1);
    assert_int_equal(w.sent_count, 1);
    assert_in_range(w.sent[0].len, 20 + 8 + 2000, 20 + 2000 + 60);
    assert_int_equal(w.sent[0].octets[9], 50);
    assert_int_equal(u16(w.sent[0].octets + 6), 0); /* neither a fragment nor DF */
    assert_int_equal(ipsec_count(w.engine, IPSEC_OUT, IPSEC_FRAGMENT), 0);
}

static void the_whole_is_cut_for_the_path(void **state)
{
    struct ipsec_packet p;

    sizes()->encapsulated_ip_mtu = 1000;
    configure();
    install_transport("10.1.0.0/24");
    p = fragment(1360, 0, true);
    go(&p, START_MS);
    p = fragment(640, 1360, false);
    go(&p, START_MS);
    assert_int_equal(w.sent_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_in_range(w.sent[i].len, 20, 1000);
}

static void a_part_alone_is_nothing(void **state)
{
    struct ipsec_packet p;

    install_transport("10.1.0.0/24");
    p = fragment(1360, 0, true);
    go(&p, START_MS);
    gh_esp_path_tick(w.path, START_MS + 10000);
    p = fragment(640, 1360, false);
    go(&p, START_MS + 10000);
    assert_int_equal(w.sent_count, 0);
    assert_int_equal(count(GH_ESP_PATH_WHOLE), 0);
}

/* Only the first fragment has a port: the rest has no policy until it is whole. */
static void ports_of_the_whole_count(void **state)
{
    struct ipsec_selector s[IPSEC_SELECTORS_MAX];
    struct ipsec_policy policy = {.action = IPSEC_PROTECT, .out = true, .in = true, .selectors = s};
    struct gh_esp_child c = esp_child(2);
    struct ipsec_packet p;

    c.mode = IPSEC_TRANSPORT;
    assert_true(gh_addr_parse("10.1.0.1", &c.local) && gh_addr_parse("10.2.0.1", &c.remote));
    c.ts_local.ts[0].protocol = 17;
    c.ts_local.ts[0].end_port = 0; /* what packet() has */
    policy.id = gh_esp_number(&w.policies, c.peer, c.name);
    policy.selector_count = gh_esp_selectors(&c.ts_local, &c.ts_remote, s);
    assert_true(ipsec_set_policies(w.engine, &policy, 1));
    install_child(&c);
    w.config->policies[0]->children[0].mode = IKE2_TRANSPORT;
    w.config->policies[0]->children[0].local = c.ts_local;
    w.config->policies[0]->children[0].remote = c.ts_remote;
    configure();
    p = fragment(1360, 0, true);
    assert_int_equal(go(&p, START_MS), IPSEC_ASIDE);
    p = fragment(640, 1360, false);
    assert_int_equal(go(&p, START_MS), IPSEC_NO_POLICY);
    assert_int_equal(w.sent_count, 1);
    assert_int_equal(count(GH_ESP_PATH_WHOLE), 1);
}

/* Tunnel mode takes fragments as they are. */
static void fragments_for_a_tunnel_are_left_alone(void **state)
{
    struct ipsec_packet p = fragment(640, 1360, false);

    assert_int_equal(go(&p, START_MS), IPSEC_OK);
    assert_int_equal(count(GH_ESP_PATH_WHOLE), 0);
}

/* ---- ICMP ----------------------------------------------------------------------------------- */

/* A router's word about the packet that the SA has just made. */
static void tell(struct ipsec_packet *p, uint16_t mtu, uint64_t now_ms)
{
    static const uint8_t router[4] = {192, 0, 2, 99}, us[4] = {192, 0, 2, 1};
    uint8_t error[20 + 8 + 28];
    struct gh_wr out = gh_wr_make(error, sizeof(error));

    gh_wr_u16(&out, 0x4500);
    gh_wr_u16(&out, sizeof(error));
    gh_wr_u32(&out, 0);
    gh_wr_u8(&out, 64);
    gh_wr_u8(&out, 1);
    gh_wr_u16(&out, 0);
    gh_wr_bytes(&out, router, 4);
    gh_wr_bytes(&out, us, 4);
    gh_wr_u16(&out, 0x0304);
    gh_wr_u32(&out, 0);
    gh_wr_u16(&out, mtu);
    gh_wr_bytes(&out, ipsec_packet_data(p), 28);
    gh_wr_put_u16(&out, 22, gh_sum_fold(gh_sum(error + 20, sizeof(error) - 20, 0)));
    ipsec_header_set_checksum(error);
    gh_esp_path_icmp(w.path, now_ms, w.told_place, error, sizeof(error));
}

static void a_path_is_learned_and_forgotten(void **state)
{
    struct ipsec_packet p;

    sizes()->df = IKE2_DF_SET;
    w.config->settings.path_mtu_seconds = 1000;
    configure();
    p = packet(1390, DF, 17);
    assert_int_equal(go(&p, START_MS), IPSEC_OK);
    assert_true(gh_esp_path_is_raw(ipsec_packet_data(&p)));
    tell(&p, 1000, START_MS);
    assert_int_equal(count(GH_ESP_PATH_LEARNED), 1);
    assert_int_not_equal(go_long(1000, DF, START_MS), IPSEC_OK);
    assert_int_equal(w.delivered_count, 1);
    assert_in_range(u16(w.delivered[0].octets + 26), 900, 960);
    assert_int_equal(go_long(900, DF, START_MS), IPSEC_OK);
    install(2); /* new keys, the same path */
    assert_int_not_equal(go_long(1000, DF, START_MS), IPSEC_OK);
    gh_esp_path_tick(w.path, START_MS + 999000);
    assert_int_not_equal(go_long(1000, DF, START_MS + 999000), IPSEC_OK);
    gh_esp_path_tick(w.path, START_MS + 1000000);
    assert_int_equal(go_long(1390, DF, START_MS + 1000000), IPSEC_OK);
}

/* The SA protects what is in place 0, and its packets leave by the sockets of place 1. */
static void a_path_is_of_the_outer_place(void **state)
{
    struct ipsec_packet p = packet(1390, DF, 17);

    sizes()->df = IKE2_DF_SET;
    assert_true(gh_esp_outers_set(&w.outers, 0, 1));
    configure();
    assert_int_equal(go(&p, START_MS), IPSEC_OK);
    tell(&p, 1000, START_MS); /* to place 0, from where nothing leaves */
    assert_int_equal(count(GH_ESP_PATH_LEARNED), 0);
    w.told_place = 1;
    tell(&p, 1000, START_MS);
    assert_int_equal(count(GH_ESP_PATH_LEARNED), 1);
    assert_int_not_equal(go_long(1000, DF, START_MS), IPSEC_OK);
    assert_int_equal(w.delivered_count, 1);
}

static void forged_errors_teach_nothing(void **state)
{
    struct ipsec_packet p = packet(1390, DF, 17);
    uint8_t *esp;

    sizes()->df = IKE2_DF_SET;
    configure();
    assert_int_equal(go(&p, START_MS), IPSEC_OK);
    esp = ipsec_packet_data(&p) + 20;
    esp[3] ^= 1; /* the SPI */
    tell(&p, 1000, START_MS);
    esp[3] ^= 1;
    esp[7] += 1; /* a number that was not used yet */
    tell(&p, 1000, START_MS);
    esp[7] -= 1;
    ipsec_packet_data(&p)[19] ^= 1; /* the other end */
    tell(&p, 1000, START_MS);
    ipsec_packet_data(&p)[19] ^= 1;
    assert_int_equal(count(GH_ESP_PATH_FORGED), 3);
    tell(&p, 1500, START_MS); /* no less than it had */
    assert_int_equal(count(GH_ESP_PATH_IGNORED), 1);
    assert_int_equal(count(GH_ESP_PATH_LEARNED), 0);
    assert_int_equal(go_long(1390, DF, START_MS), IPSEC_OK);
    tell(&p, 70, START_MS); /* believed down to the floor */
    assert_int_equal(count(GH_ESP_PATH_LEARNED), 1);
    assert_int_equal(go_long(500, DF, START_MS), IPSEC_OK);
}

static void an_interface_that_is_narrow_counts_as_a_router(void **state)
{
    struct ipsec_packet p = packet(1390, DF, 17);

    sizes()->df = IKE2_DF_SET;
    configure();
    assert_int_equal(go(&p, START_MS), IPSEC_OK);
    gh_esp_path_too_long(w.path, START_MS, 0, ipsec_packet_data(&p), p.len);
    assert_int_not_equal(go_long(1000, DF, START_MS), IPSEC_OK);
    assert_int_equal(go_long(900, DF, START_MS), IPSEC_OK);
    sizes()->df = IKE2_DF_CLEAR; /* the kernel would have cut it: no word of a path */
    configure();
    p = packet(900, DF, 17);
    assert_int_equal(go(&p, START_MS), IPSEC_OK);
    assert_false(gh_esp_path_is_raw(ipsec_packet_data(&p)));
}

/* ---- TCP ------------------------------------------------------------------------------------ */

static struct ipsec_packet syn(uint8_t flags, uint16_t mss)
{
    struct ipsec_packet p = packet(44, DF, TCP);
    uint8_t *tcp = ipsec_packet_data(&p) + 20;

    tcp[12] = 6 << 4;
    tcp[13] = flags;
    tcp[20] = 2;
    tcp[21] = 4;
    tcp[22] = (uint8_t)(mss >> 8);
    tcp[23] = (uint8_t)mss;
    return p;
}

static void the_mss_of_a_syn_is_lowered(void **state)
{
    struct ipsec_packet p = syn(2, 1460);

    assert_int_equal(go(&p, START_MS), IPSEC_OK);
    assert_int_equal(count(GH_ESP_PATH_MSS), 0);
    sizes()->mss = IKE2_MSS_AUTO;
    configure();
    p = syn(0x12, 1460);
    assert_int_equal(go(&p, START_MS), IPSEC_OK);
    assert_int_equal(count(GH_ESP_PATH_MSS), 1);
    p = syn(0x12, 1350); /* what fits 1390 */
    assert_int_equal(go(&p, START_MS), IPSEC_OK);
    p = syn(0x10, 1460); /* no SYN */
    assert_int_equal(go(&p, START_MS), IPSEC_OK);
    assert_int_equal(count(GH_ESP_PATH_MSS), 1);
    assert_int_equal(ipsec_count(w.engine, IPSEC_OUT, IPSEC_ASIDE), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_fits_is_left_alone, begin, end),
        cmocka_unit_test_setup_teardown(what_is_longer_is_cut_or_refused, begin, end),
        cmocka_unit_test_setup_teardown(errors_are_limited, begin, end),
        cmocka_unit_test_setup_teardown(what_is_protected_is_cut, begin, end),
        cmocka_unit_test_setup_teardown(fragments_are_made_whole, begin, end),
        cmocka_unit_test_setup_teardown(the_whole_is_cut_for_the_path, begin, end),
        cmocka_unit_test_setup_teardown(a_part_alone_is_nothing, begin, end),
        cmocka_unit_test_setup_teardown(ports_of_the_whole_count, begin, end),
        cmocka_unit_test_setup_teardown(fragments_for_a_tunnel_are_left_alone, begin, end),
        cmocka_unit_test_setup_teardown(a_path_is_learned_and_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(a_path_is_of_the_outer_place, begin, end),
        cmocka_unit_test_setup_teardown(forged_errors_teach_nothing, begin, end),
        cmocka_unit_test_setup_teardown(an_interface_that_is_narrow_counts_as_a_router, begin, end),
        cmocka_unit_test_setup_teardown(the_mss_of_a_syn_is_lowered, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
