/* What `esp` tells of dropped packets: seldom, what is new, and in words. */
#include "unit.h"

#include "daemon/esp_drops.h"
#include "ipsec_pair.h"

static struct buffer one;

static void damaged(struct pair *x)
{
    make_packet(&one, "10.1.0.1", "10.2.0.2", 100, 0, true);
    assert_int_equal(send_one(x, &one), IPSEC_OK);
    octets_of(&one)[one.p.len - 1] ^= 1;
    assert_int_equal(receive_one(x, &one), IPSEC_ICV);
}

/* "": nothing is told. */
static void assert_told(struct gh_esp_drops *d, const struct pair *x, uint64_t now_ms,
                        const char *expected)
{
    uint8_t body[GH_ESP_DROPS_MAX];
    struct gh_wr w = gh_wr_make(body, sizeof(body));
    char text[GH_ESP_DROPS_TEXT] = "";
    struct gh_rd r;

    if (gh_esp_drops_put(d, x->b, now_ms, &w)) {
        r = gh_rd_make(body, w.len);
        assert_true(gh_esp_drops_take(&r, text));
        for (size_t len = 0; len < w.len; len++) {
            r = gh_rd_make(body, len);
            assert_false(gh_esp_drops_take(&r, (char[GH_ESP_DROPS_TEXT]){0}));
        }
    }
    assert_string_equal(text, expected);
}

static void told_once_a_minute(void **state)
{
    struct gh_esp_drops d = {.next_ms = 0};
    struct pair x;

    pair_plan(&x, algs_of(GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE), "192.0.2.1", "192.0.2.2");
    pair_up(&x, NULL, NULL);
    assert_told(&d, &x, 1000, "");
    damaged(&x);
    damaged(&x);
    assert_told(&d, &x, 2000, "in: icv 2");
    damaged(&x);
    assert_told(&d, &x, 2000 + GH_ESP_DROPS_MS - 1, "");
    make_packet(&one, "10.1.0.1", "10.2.0.2", 100, 0, true); /* and one that should be protected */
    assert_int_equal(receive_one(&x, &one), IPSEC_CLEAR);
    assert_told(&d, &x, 2000 + GH_ESP_DROPS_MS, "in: clear 1, icv 1");
    assert_told(&d, &x, 1000000, "");
    pair_down(&x);
}

static void what_no_parent_reads(void **state)
{
    static const uint8_t none[] = {0}, way[] = {1, 2, 1, 0, 0, 0, 1};
    static const uint8_t result[] = {1, 0, IPSEC_RESULT_COUNT, 0, 0, 0, 1};
    static const uint8_t more[] = {1, 0, 1, 0, 0, 0, 1, 0};
    static const struct gh_view bad[] = {
        {none, sizeof(none)}, {way, sizeof(way)}, {result, sizeof(result)}, {more, sizeof(more)}};
    uint8_t many[1 + 255 * 6] = {255};
    char text[GH_ESP_DROPS_TEXT];
    struct gh_rd r = gh_rd_make(many, sizeof(many));

    assert_false(gh_esp_drops_take(&r, text));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        r = gh_rd_make(bad[i].p, bad[i].len);
        assert_false(gh_esp_drops_take(&r, text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_once_a_minute),
        cmocka_unit_test(what_no_parent_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
