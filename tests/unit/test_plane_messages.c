/* What `esp` and `xfrm` tell each other: there and back, and whatever is malformed refused. */
#include "unit.h"

#include <string.h>

#include "base/secret.h"
#include "daemon/plane_messages.h"
#include "platform/spi.h"
#include "esp_child.h"

enum kind { SA, POLICY, USED, WANTED, MOVED, REFUSED, COUNTS, KINDS };

static size_t put(enum kind kind, uint8_t mem[GH_PLANE_SA_MAX])
{
    struct gh_wr w = gh_wr_make(mem, GH_PLANE_SA_MAX);
    struct gh_esp_child child = esp_child(7);
    struct gh_plane_counts counts = {0};

    switch (kind) {
    case SA:
        gh_plane_put_sa(&w,
                        &(struct gh_plane_sa){
                            .id = 14, .way = IPSEC_IN, .tie = 3, .there = true, .child = child});
        break;
    case POLICY:
        gh_plane_put_policy(&w, &(struct gh_plane_policy){.number = 5,
                                                          .tie = 3,
                                                          .action = IPSEC_PROTECT,
                                                          .in = true,
                                                          .protocol = IPSEC_AH,
                                                          .mode = IPSEC_TUNNEL,
                                                          .local = {.len = 4},
                                                          .remote = child.remote,
                                                          .ts_local = child.ts_local,
                                                          .ts_remote = child.ts_remote});
        break;
    case USED:
        gh_plane_put_used(&w, &(struct gh_plane_used){14, UINT64_MAX, 2, 3, 4, 5, 6, 7, true});
        break;
    case WANTED:
        gh_plane_put_wanted(&w, &(struct gh_plane_wanted){.tie = 3,
                                                          .flow = {.local = child.local,
                                                                   .remote = child.remote,
                                                                   .local_port = 0x0800,
                                                                   .protocol = 1,
                                                                   .ports = true,
                                                                   .one_sided = true}});
        break;
    case MOVED:
        gh_plane_put_moved(
            &w, &(struct gh_plane_moved){.id = 14, .from = child.remote, .from_port = 1025});
        break;
    case REFUSED:
        gh_plane_put_refused(&w, &(struct gh_plane_refused){.id = 14, .why = "no such algorithm"});
        break;
    default:
        counts.counts[IPSEC_IN][IPSEC_ICV] = 9;
        gh_plane_put_counts(&w, &counts);
    }
    assert_true(gh_wr_ok(&w));
    return w.len;
}

/* Takes it, and writes it down again. */
static bool take(enum kind kind, const uint8_t *data, size_t len, struct gh_wr *again)
{
    struct gh_rd r = gh_rd_make(data, len);
    union {
        struct gh_plane_sa sa;
        struct gh_plane_policy policy;
        struct gh_plane_used used;
        struct gh_plane_wanted wanted;
        struct gh_plane_moved moved;
        struct gh_plane_refused refused;
        struct gh_plane_counts counts;
    } x;
    bool good;

    switch (kind) {
    case SA:
        if ((good = gh_plane_take_sa(&r, &x.sa)))
            gh_plane_put_sa(again, &x.sa);
        return good;
    case POLICY: /* there are several in a message */
        if ((good = gh_plane_take_policy(&r, &x.policy) && gh_rd_done(&r)))
            gh_plane_put_policy(again, &x.policy);
        return good;
    case USED:
        if ((good = gh_plane_take_used(&r, &x.used)))
            gh_plane_put_used(again, &x.used);
        return good;
    case WANTED:
        if ((good = gh_plane_take_wanted(&r, &x.wanted)))
            gh_plane_put_wanted(again, &x.wanted);
        return good;
    case MOVED:
        if ((good = gh_plane_take_moved(&r, &x.moved)))
            gh_plane_put_moved(again, &x.moved);
        return good;
    case REFUSED:
        if ((good = gh_plane_take_refused(&r, &x.refused)))
            gh_plane_put_refused(again, &x.refused);
        return good;
    default:
        if ((good = gh_plane_take_counts(&r, &x.counts)))
            gh_plane_put_counts(again, &x.counts);
        return good;
    }
}

static void there_and_back(void **state)
{
    for (enum kind kind = SA; kind < KINDS; kind++) {
        uint8_t mem[GH_PLANE_SA_MAX], again[GH_PLANE_SA_MAX];
        struct gh_wr w = gh_wr_make(again, sizeof(again));
        size_t len = put(kind, mem);

        assert_true(take(kind, mem, len, &w));
        assert_int_equal(w.len, len);
        assert_memory_equal(mem, again, len);
    }
}

static void all_of_an_sa_arrives(void **state)
{
    uint8_t mem[GH_PLANE_SA_MAX];
    struct gh_rd r = gh_rd_make(mem, put(SA, mem));
    struct gh_esp_child want = esp_child(7);
    struct gh_plane_sa got;

    assert_true(gh_plane_take_sa(&r, &got));
    assert_int_equal(got.id, 14);
    assert_int_equal(got.way, IPSEC_IN);
    assert_int_equal(got.tie, 3);
    assert_true(got.there);
    assert_int_equal(got.child.spi_in, want.spi_in);
    assert_true(gh_view_equal(got.child.key_in, want.key_in));
}

static void neither_more_nor_less(void **state)
{
    for (enum kind kind = SA; kind < KINDS; kind++) {
        uint8_t mem[GH_PLANE_SA_MAX + 1] = {0}, again[GH_PLANE_SA_MAX];
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
    for (enum kind kind = SA; kind < KINDS; kind++) {
        uint8_t mem[GH_PLANE_SA_MAX], again[GH_PLANE_SA_MAX];
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

static void what_cannot_be(void **state)
{
    uint8_t mem[GH_PLANE_SA_MAX];
    struct gh_plane_sa none = {.child = esp_child(1)}, got; /* an SA without a number */
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_rd r;

    gh_plane_put_sa(&w, &none);
    r = gh_rd_make(mem, w.len);
    assert_false(gh_plane_take_sa(&r, &got));
}

static void spis_tell_their_plane_and_slot(void **state)
{
    uint8_t spi[4] = {0x81, 2, 3, 4}, low[4] = {0x80, 0, 0x3f, 5};

    gh_esp_mark_spi(spi, true, 0);
    assert_int_equal(spi[0], 0x81);
    assert_int_equal(gh_spi_slot(0x81020304), 0); /* the kernel's are no slot's */
    gh_esp_mark_spi(spi, false, 0);
    assert_int_equal(spi[0], 0x01);
    for (uint8_t slot = 0; slot < GH_SPI_SLOTS; slot++) {
        gh_esp_mark_spi(spi, false, slot);
        assert_int_equal(spi[0] & 0x87, 0x01);
        assert_int_equal(gh_spi_slot((uint32_t)spi[0] << 24 | 0x00ffffff), slot);
    }
    gh_esp_mark_spi(low, false, 0); /* 0 … 255 are reserved, to 16383 keyed by hand */
    assert_int_equal(low[0] << 24 | low[1] << 16, GH_SPI_DRAWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),        cmocka_unit_test(all_of_an_sa_arrives),
        cmocka_unit_test(neither_more_nor_less), cmocka_unit_test(one_encoding_for_each_value),
        cmocka_unit_test(what_cannot_be),        cmocka_unit_test(spis_tell_their_plane_and_slot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
