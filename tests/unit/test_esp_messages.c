/* What `ike` and `esp` tell each other: there and back, and whatever is malformed refused. */
#include "unit.h"

#include <string.h>

#include "base/secret.h"
#include "daemon/esp_messages.h"
#include "esp_child.h"

enum kind { CHILD, ENDS, USAGE, WANTED, STRAY, STRANGER, REACH, ROUTE, REFUSAL, KINDS };

static struct gh_esp_child full_child(void)
{
    struct gh_esp_child c = esp_child(7);

    c.octets = 1ull << 40;
    c.packets = 1ull << 33;
    c.icmp_header = c.fragments_also = true;
    snprintf(c.who, sizeof(c.who), "b.example.net at 192.0.2.2");
    return c;
}

static size_t put(enum kind kind, uint8_t mem[GH_ESP_CHILD_MAX])
{
    struct gh_wr w = gh_wr_make(mem, GH_ESP_CHILD_MAX);
    struct gh_esp_child child = full_child();
    struct gh_esp_route_wish route = {
        .up = true, .metric = 65535, .holds_peer = true, .source = child.local};

    switch (kind) {
    case CHILD:
        gh_esp_put_child(&w, &child);
        break;
    case ENDS:
        gh_esp_put_ends(&w, &(struct gh_esp_ends){.id = 7,
                                                  .local = child.local,
                                                  .remote = child.remote,
                                                  .local_port = 4500,
                                                  .remote_port = 1025});
        break;
    case USAGE:
        gh_esp_put_usage(&w, &(struct gh_esp_usage){7, UINT64_MAX, 1ull << 40, true});
        break;
    case REACH:
        gh_esp_put_reach(&w, &(struct gh_esp_reach){.tunnel = "t1", .primary = true});
        break;
    case STRAY:
        gh_esp_put_stray(&w, &(struct gh_esp_stray){.netns = "blue",
                                                    .vrf = "red",
                                                    .local = child.local,
                                                    .remote = child.remote,
                                                    .port = 1025,
                                                    .data = gh_view_of("IKE", 3)});
        break;
    case STRANGER:
        gh_esp_put_stranger(&w, &(struct gh_esp_stranger){.netns = "blue",
                                                          .vrf = "red",
                                                          .local = child.local,
                                                          .remote = child.remote,
                                                          .spi = 0xdeadbeef});
        break;
    case REFUSAL:
        gh_esp_put_refusal(&w, &(struct gh_esp_refusal){.id = 7, .why = "it overlaps"});
        break;
    case WANTED:
        gh_esp_put_wanted(&w, &(struct gh_esp_wanted){.peer = "berlin",
                                                      .name = "lan",
                                                      .local = child.ts_local.ts[0],
                                                      .remote = child.ts_remote.ts[0]});
        break;
    default:
        assert_true(gh_prefix_parse("10.2.0.0/16", &route.to));
        gh_esp_put_route(&w, "blue", "red", &route);
    }
    assert_true(gh_wr_ok(&w));
    return w.len;
}

/* Takes it, and writes it down again. */
static bool take(enum kind kind, const uint8_t *data, size_t len, struct gh_wr *again)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_esp_child child;
    struct gh_esp_ends ends;
    struct gh_esp_usage usage;
    struct gh_esp_wanted wanted;
    struct gh_esp_stray stray;
    struct gh_esp_route_wish route;
    char netns[GH_ESP_NETNS], vrf[GH_ESP_VRF];
    struct gh_esp_reach reach;
    struct gh_esp_stranger stranger;
    struct gh_esp_refusal refusal;
    bool good;

    switch (kind) {
    case CHILD:
        good = gh_esp_take_child(&r, &child);
        if (good)
            gh_esp_put_child(again, &child);
        return good;
    case ENDS:
        good = gh_esp_take_ends(&r, &ends);
        if (good)
            gh_esp_put_ends(again, &ends);
        return good;
    case USAGE:
        good = gh_esp_take_usage(&r, &usage);
        if (good)
            gh_esp_put_usage(again, &usage);
        return good;
    case REACH:
        good = gh_esp_take_reach(&r, &reach);
        if (good)
            gh_esp_put_reach(again, &reach);
        return good;
    case STRAY:
        good = gh_esp_take_stray(&r, &stray);
        if (good)
            gh_esp_put_stray(again, &stray);
        return good;
    case STRANGER:
        good = gh_esp_take_stranger(&r, &stranger);
        if (good)
            gh_esp_put_stranger(again, &stranger);
        return good;
    case REFUSAL:
        good = gh_esp_take_refusal(&r, &refusal);
        if (good)
            gh_esp_put_refusal(again, &refusal);
        return good;
    case WANTED:
        good = gh_esp_take_wanted(&r, &wanted);
        if (good)
            gh_esp_put_wanted(again, &wanted);
        return good;
    default:
        good = gh_esp_take_route(&r, netns, vrf, &route);
        if (good)
            gh_esp_put_route(again, netns, vrf, &route);
        return good;
    }
}

static void there_and_back(void **state)
{
    for (enum kind kind = CHILD; kind < KINDS; kind++) {
        uint8_t mem[GH_ESP_CHILD_MAX], again[GH_ESP_CHILD_MAX];
        struct gh_wr w = gh_wr_make(again, sizeof(again));
        size_t len = put(kind, mem);

        assert_true(take(kind, mem, len, &w));
        assert_int_equal(w.len, len);
        assert_memory_equal(mem, again, len);
    }
}

static void all_of_a_child_arrives(void **state)
{
    uint8_t mem[GH_ESP_CHILD_MAX];
    struct gh_rd r = gh_rd_make(mem, put(CHILD, mem));
    struct gh_esp_child want = full_child(), got;

    assert_true(gh_esp_take_child(&r, &got));
    assert_int_equal(got.id, 7);
    assert_string_equal(got.peer, want.peer);
    assert_string_equal(got.name, want.name);
    assert_int_equal(got.spi_in, want.spi_in);
    assert_int_equal(got.spi_out, want.spi_out);
    assert_int_equal(got.enc, want.enc);
    assert_int_equal(got.enc_bits, want.enc_bits);
    assert_true(gh_addr_equal(&got.remote, &want.remote));
    assert_int_equal(got.ts_remote.count, 1);
    assert_true(got.octets == want.octets && got.packets == want.packets);
    assert_true(got.icmp_header && got.fragments_also);
    assert_string_equal(got.who, want.who);
    assert_true(gh_view_equal(got.key_in, want.key_in));
    assert_true(gh_view_equal(got.key_out, want.key_out));
}

static void neither_more_nor_less(void **state)
{
    for (enum kind kind = CHILD; kind < KINDS; kind++) {
        uint8_t mem[GH_ESP_CHILD_MAX + 1] = {0}, again[GH_ESP_CHILD_MAX];
        struct gh_wr w = gh_wr_make(again, sizeof(again));
        size_t len = put(kind, mem);

        for (size_t cut = 0; cut < len; cut++)
            assert_false(take(kind, mem, cut, &w));
        assert_false(take(kind, mem, len + 1, &w));
    }
}

/* With any octet changed it is refused, or says something else in just as many octets. */
static void one_encoding_for_each_value(void **state)
{
    for (enum kind kind = CHILD; kind < KINDS; kind++) {
        uint8_t mem[GH_ESP_CHILD_MAX], again[GH_ESP_CHILD_MAX];
        size_t len = put(kind, mem);

        for (size_t i = 0; i < 255 * len; i++) {
            struct gh_wr w = gh_wr_make(again, sizeof(again));

            mem[i / 255]++;
            if (take(kind, mem, len, &w)) {
                assert_int_equal(w.len, len);
                assert_memory_equal(mem, again, len);
            }
            if (i % 255 == 254)
                mem[i / 255]++;
        }
    }
}

static void hello(void **state)
{
    uint8_t mem[24];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_rd r, ids;
    uint64_t epoch;

    gh_wr_u64(&w, 77);
    gh_wr_u32(&w, 2);
    gh_wr_u32(&w, 5);
    gh_wr_u32(&w, 6);
    r = gh_rd_make(mem, w.len);
    assert_true(gh_esp_take_hello(&r, &epoch, &ids));
    assert_int_equal(epoch, 77);
    assert_int_equal(gh_rd_u32(&ids), 5);
    assert_int_equal(gh_rd_left(&ids), 4);
    r = gh_rd_make(mem, w.len - 1);
    assert_false(gh_esp_take_hello(&r, &epoch, &ids));
    gh_wr_put_u32(&w, 8, UINT32_MAX); /* more than are there */
    r = gh_rd_make(mem, w.len);
    assert_false(gh_esp_take_hello(&r, &epoch, &ids));
}

static void what_cannot_be(void **state)
{
    uint8_t mem[GH_ESP_CHILD_MAX];
    struct gh_esp_child child = esp_child(1), got;
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_rd r;

    child.protocol = (enum ipsec_protocol)6;
    gh_esp_put_child(&w, &child);
    r = gh_rd_make(mem, w.len);
    assert_false(gh_esp_take_child(&r, &got));

    /* the largest that there is still fits */
    child = esp_child(1);
    child.ts_local.count = child.ts_remote.count = IKE_TS_MAX;
    for (size_t i = 0; i < IKE_TS_MAX; i++) {
        child.ts_local.ts[i] = child.ts_remote.ts[i] = child.ts_local.ts[0];
        child.ts_local.ts[i].start.len = child.ts_local.ts[i].end.len = 16;
        child.ts_remote.ts[i] = child.ts_local.ts[i];
    }
    memset(child.netns, 'n', sizeof(child.netns) - 1);
    memset(child.peer, 'p', sizeof(child.peer) - 1);
    memset(child.name, 'c', sizeof(child.name) - 1);
    w = gh_wr_make(mem, sizeof(mem));
    gh_esp_put_child(&w, &child);
    assert_true(gh_wr_ok(&w));
    r = gh_rd_make(mem, w.len);
    assert_true(gh_esp_take_child(&r, &got));
    assert_int_equal(got.ts_remote.count, IKE_TS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(all_of_a_child_arrives),
        cmocka_unit_test(neither_more_nor_less),
        cmocka_unit_test(one_encoding_for_each_value),
        cmocka_unit_test(hello),
        cmocka_unit_test(what_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
