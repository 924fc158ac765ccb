/* Packets that wait for an SA: bounded in number, octets and time, and in their order. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/esp_waiting.h"

struct seen {
    struct gh_esp_waiting *w;
    char text[256];
    bool again;
    uint64_t since;
};

static void see(void *ctx, uint64_t since_ms, uint32_t place, const uint8_t *packet, size_t len)
{
    struct seen *s = ctx;

    strncat(s->text, (const char *)packet, len);
    assert_int_equal(place, 7);
    s->since = since_ms;
    if (s->again)
        gh_esp_waiting_keep(s->w, since_ms, 3, place, packet, len);
}

static void keep(struct gh_esp_waiting *w, uint64_t since_ms, uint32_t policy, const char *text)
{
    gh_esp_waiting_keep(w, since_ms, policy, 7, (const uint8_t *)text, strlen(text));
}

static void in_their_order(void **state)
{
    struct seen s = {.w = gh_esp_waiting_new()};
    const uint64_t *counts = gh_esp_waiting_counts(s.w);

    keep(s.w, 10, 3, "a");
    keep(s.w, 11, 0, "x");
    keep(s.w, 12, 3, "b");
    keep(s.w, 13, 3, "c");
    gh_esp_waiting_release(s.w, 9, see, &s);
    gh_esp_waiting_release(s.w, 3, see, &s);
    assert_string_equal(s.text, "abc");
    gh_esp_waiting_release(s.w, 3, see, &s);
    assert_string_equal(s.text, "abc");
    assert_int_equal(counts[GH_ESP_WAITING_KEPT], 4);
    assert_int_equal(counts[GH_ESP_WAITING_RELEASED], 3);
    gh_esp_waiting_free(s.w); /* with the one that waits */
}

/* Its time is that of its coming, however often it is tried. */
static void again_is_no_more_time(void **state)
{
    struct seen s = {.w = gh_esp_waiting_new(), .again = true};
    const uint64_t *counts = gh_esp_waiting_counts(s.w);

    keep(s.w, 100, 3, "a");
    keep(s.w, 101, 3, "b");
    gh_esp_waiting_release(s.w, 3, see, &s);
    gh_esp_waiting_release(s.w, 3, see, &s);
    assert_string_equal(s.text, "abab");
    assert_int_equal(s.since, 101);
    assert_int_equal(counts[GH_ESP_WAITING_KEPT], 2);
    assert_int_equal(counts[GH_ESP_WAITING_RELEASED], 0);
    gh_esp_waiting_tick(s.w, 99 + GH_ESP_WAITING_MS, NULL, NULL);
    assert_int_equal(counts[GH_ESP_WAITING_LATE], 0);
    gh_esp_waiting_tick(s.w, 100 + GH_ESP_WAITING_MS, NULL, NULL);
    assert_int_equal(counts[GH_ESP_WAITING_LATE], 1);
    gh_esp_waiting_tick(s.w, 101 + GH_ESP_WAITING_MS, NULL, NULL);
    assert_int_equal(counts[GH_ESP_WAITING_LATE], 2);
    gh_esp_waiting_free(s.w);
}

static void bounds(void **state)
{
    struct seen s = {.w = gh_esp_waiting_new()};
    const uint64_t *counts = gh_esp_waiting_counts(s.w);
    uint8_t *large = calloc(1, GH_ESP_WAITING_OCTETS + 1);

    for (int i = 0; i < GH_ESP_WAITING_PACKETS + 5; i++)
        keep(s.w, 1, 0, "x");
    assert_int_equal(counts[GH_ESP_WAITING_KEPT], GH_ESP_WAITING_PACKETS);
    assert_int_equal(counts[GH_ESP_WAITING_FULL], 5);
    gh_esp_waiting_keep(s.w, 1, 1, 7, large, GH_ESP_WAITING_OCTETS + 1);
    assert_int_equal(counts[GH_ESP_WAITING_FULL], 6);
    gh_esp_waiting_keep(s.w, 1, 1, 7, large, GH_ESP_WAITING_OCTETS);
    keep(s.w, 1, 1, "x");
    assert_int_equal(counts[GH_ESP_WAITING_FULL], 7);
    for (uint32_t i = 2; i < 300; i++)
        gh_esp_waiting_keep(s.w, 1, i, 7, large, GH_ESP_WAITING_OCTETS);
    assert_int_equal(counts[GH_ESP_WAITING_KEPT], GH_ESP_WAITING_PACKETS +
                                                      GH_ESP_WAITING_ALL / GH_ESP_WAITING_OCTETS -
                                                      1); /* 32 octets are of the first ones */
    gh_esp_waiting_tick(s.w, 10000, NULL, NULL);
    keep(s.w, 10000, 299, "x");
    assert_int_equal(counts[GH_ESP_WAITING_KEPT],
                     GH_ESP_WAITING_PACKETS + GH_ESP_WAITING_ALL / GH_ESP_WAITING_OCTETS);
    gh_esp_waiting_free(s.w);
    gh_esp_waiting_free(NULL);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_their_order),
                                       cmocka_unit_test(again_is_no_more_time),
                                       cmocka_unit_test(bounds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
