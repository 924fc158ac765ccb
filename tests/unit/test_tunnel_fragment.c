/*
 * Fragmentation and reassembly of both IP versions, and what strangers may not do with it.
 */
#include "tunnel_packets.h"

#include "tunnel/reassembly.h"

enum { PARTS = 128, UDP = 17, ESP = 50 };

static struct buffer sent, got, part[PARTS];
static const struct gh_hash_seed seed = {{1, 2}};

static const struct pair {
    const char *src, *dst;
} ends[] = {{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}};

static struct tunnel_reassembly *new_table(struct tunnel_reassembly_limits limits)
{
    struct tunnel_reassembly *r = tunnel_reassembly_new(&limits, &seed);

    assert_non_null(r);
    return r;
}

/* Everything that was dropped or is there again is not counted any more. */
static void assert_empty(struct tunnel_reassembly *r)
{
    assert_int_equal(tunnel_reassembly_octets(r), 0);
    assert_int_equal(tunnel_reassembly_datagrams(r), 0);
    tunnel_reassembly_free(r);
}

static size_t cut(size_t mtu)
{
    struct tunnel_cut c;
    size_t n = 0;

    assert_result(tunnel_cut_begin(&c, octets_of(&sent), sent.p.len, mtu, 0x01020304), TUNNEL_OK);
    while (tunnel_cut_more(&c)) {
        assert_true(n < PARTS);
        assert_result(tunnel_cut_next(&c, empty(&part[n])), TUNNEL_OK);
        assert_well_formed(&part[n]);
        assert_true(part[n].p.len <= mtu);
        n++;
    }
    return n;
}

static enum tunnel_result give(struct tunnel_reassembly *r, uint64_t now, struct buffer *b)
{
    empty(&got);
    return tunnel_reassemble(r, now, &b->p, &got.p);
}

static void there_and_back(void **state)
{
    for (size_t v = 0; v < 2; v++)
        for (size_t len = 600; len < 5000; len += 93)
            for (size_t mtu = 256; mtu < 1500; mtu += 171) {
                struct tunnel_reassembly *r;
                size_t n;

                make(&sent, ends[v].src, ends[v].dst, UDP, len);
                if (sent.p.len <= mtu)
                    continue;
                r = new_table((struct tunnel_reassembly_limits){.fragments = PARTS});
                set_ds(&sent, 0xb9); /* DSCP EF, ECT(1) */
                n = cut(mtu);
                assert_true(n > 1);
                /* Odd ones backwards, then even ones. */
                for (size_t i = n; i-- > 0;)
                    if (i % 2 == 1)
                        assert_result(give(r, 1, &part[i]), TUNNEL_KEPT);
                for (size_t i = 0; i < n; i += 2)
                    assert_result(give(r, 1, &part[i]), i + 2 < n ? TUNNEL_KEPT : TUNNEL_OK);
                assert_well_formed(&got);
                assert_same_packet(&sent, &got);
                assert_empty(r);
            }
}

/* A fragment of a fragment is a fragment of the datagram. */
static void cut_again(void **state)
{
    struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){0});
    static struct buffer whole, first[4];
    size_t n;

    make(&whole, ends[0].src, ends[0].dst, UDP, 3000);
    copy(&sent, &whole);
    n = cut(1500);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++)
        copy(&first[i], &part[i]);
    for (size_t i = 0; i < n; i++) {
        size_t m;

        copy(&sent, &first[i]);
        m = cut(576);
        for (size_t k = 0; k < m; k++)
            assert_result(give(r, 1, &part[k]), i == n - 1 && k == m - 1 ? TUNNEL_OK : TUNNEL_KEPT);
    }
    assert_same_packet(&whole, &got);
    assert_empty(r);
}

/* RFC 791 3.1: the security option is copied into all fragments, record route is not. */
static void options(void **state)
{
    static const uint8_t with[] = {0x82, 3, 9, 0x01, 0x07, 7, 4, 0, 0, 0, 0, 0};
    static const uint8_t without[] = {0x82, 3, 9, 0x00};
    struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){0});
    size_t n;

    make(&sent, ends[0].src, ends[0].dst, UDP, 1400);
    sent.p.at -= 12;
    sent.p.len += 12;
    memmove(octets_of(&sent), octets_of(&sent) + 12, 20);
    memcpy(octets_of(&sent) + 20, with, 12);
    octets_of(&sent)[0] = 0x48;
    assert_true(ipsec_header_fix(octets_of(&sent), sent.p.len, 9, UDP));
    n = cut(600);
    assert_int_equal(n, 3);
    assert_memory_equal(octets_of(&part[0]) + 20, with, 12);
    for (size_t i = 1; i < n; i++) {
        assert_int_equal(octets_of(&part[i])[0], 0x46);
        assert_memory_equal(octets_of(&part[i]) + 20, without, 4);
    }
    for (size_t i = n; i-- > 0;)
        assert_result(give(r, 1, &part[i]), i > 0 ? TUNNEL_KEPT : TUNNEL_OK);
    assert_same_packet(&sent, &got);
    assert_empty(r);
}

static void what_is_not_cut(void **state)
{
    struct tunnel_cut c;

    make(&sent, ends[0].src, ends[0].dst, UDP, 1400);
    set_df(&sent);
    assert_result(tunnel_cut_begin(&c, octets_of(&sent), sent.p.len, 600, 1), TUNNEL_TOO_BIG);
    tunnel_clear_df(octets_of(&sent), 0x4321);
    assert_well_formed(&sent);
    assert_int_equal(cut(600), 3);
    assert_int_equal(octets_of(&part[2])[4], 0x43);
    set_df(&part[2]); /* a fragment with DF keeps the identification of its datagram */
    tunnel_clear_df(octets_of(&part[2]), 0x7777);
    assert_well_formed(&part[2]);
    assert_int_equal(octets_of(&part[2])[4], 0x43);
    assert_int_equal(octets_of(&part[2])[6] & 0x40, 0);
    assert_result(tunnel_cut_begin(&c, octets_of(&sent), sent.p.len, 27, 1), TUNNEL_TOO_BIG);
    assert_result(tunnel_cut_begin(&c, octets_of(&sent), sent.p.len - 1, 600, 1), TUNNEL_MALFORMED);

    make(&sent, ends[1].src, ends[1].dst, UDP, 1400);
    assert_int_equal(cut(600), 3);
    assert_result(tunnel_cut_begin(&c, octets_of(&part[0]), part[0].p.len, 500, 1), TUNNEL_TOO_BIG);
    part[0].p.cap = part[0].p.at + 100;
    assert_result(tunnel_cut_begin(&c, octets_of(&sent), sent.p.len, 600, 1), TUNNEL_OK);
    assert_result(tunnel_cut_next(&c, &part[0].p), TUNNEL_NO_ROOM);

    /* The last fragment of a datagram of more than 65,535 octets: no room for its offset. */
    make(&sent, ends[0].src, ends[0].dst, UDP, 1400);
    octets_of(&sent)[6] = 0x1f;
    octets_of(&sent)[7] = 0xff;
    assert_result(tunnel_cut_begin(&c, octets_of(&sent), sent.p.len, 600, 1), TUNNEL_MALFORMED);
}

/* One fragment of [offset, offset + len) of a datagram of ESP. */
static void make_part(struct buffer *b, size_t v, uint32_t id, size_t offset, size_t len, bool more)
{
    uint8_t *p;

    if (v == 0) {
        make(b, ends[0].src, ends[0].dst, ESP, len);
        p = octets_of(b);
        p[4] = (uint8_t)(id >> 8);
        p[5] = (uint8_t)id;
        p[6] = (uint8_t)((more ? 0x20 : 0) | offset >> 11);
        p[7] = (uint8_t)(offset >> 3);
        ipsec_header_set_checksum(p);
        p += 20;
    } else {
        make(b, ends[1].src, ends[1].dst, 44, len + 8);
        p = octets_of(b) + 40;
        *p++ = ESP;
        *p++ = 0;
        *p++ = (uint8_t)(offset >> 8);
        *p++ = (uint8_t)((offset & 0xf8) | more);
        for (unsigned shift = 32; shift > 0; shift -= 8)
            *p++ = (uint8_t)(id >> (shift - 8));
    }
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(offset + i);
}

static enum tunnel_result give_part(struct tunnel_reassembly *r, uint64_t now, size_t v,
                                    uint32_t id, size_t offset, size_t len, bool more)
{
    static struct buffer b;

    make_part(&b, v, id, offset, len, more);
    return give(r, now, &b);
}

/* RFC 5722 3, RFC 8200 4.5: the whole datagram goes, what is still to come too. */
static void overlaps(void **state)
{
    static const struct {
        size_t offset, len;
        bool more;
    } over[] = {{0, 128, true}, {56, 64, true}, {64, 72, true}, {128, 128, true}, {192, 64, true},
                {0, 264, true}, {8, 64, true},  {64, 64, true}, {64, 128, false}, {72, 56, false}};

    for (size_t v = 0; v < 2; v++)
        for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++) {
            struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){0});

            assert_result(give_part(r, 1, v, 7, 64, 64, true), TUNNEL_KEPT);
            assert_result(give_part(r, 1, v, 7, 192, 64, true), TUNNEL_KEPT);
            if (over[i].offset == 64 && over[i].len == 64 && over[i].more) {
                assert_result(give_part(r, 1, v, 7, 64, 64, true), TUNNEL_FRAGMENT_DUPLICATE);
                assert_int_equal(tunnel_reassembly_count(r, TUNNEL_FRAGMENT_OVERLAP), 0);
                tunnel_reassembly_free(r);
                continue;
            }
            if (over[i].offset == 192) { /* the same place, other octets */
                static struct buffer b;

                make_part(&b, v, 7, 192, 64, true);
                b.mem[b.p.at + b.p.len - 1] ^= 1;
                assert_result(give(r, 1, &b), TUNNEL_FRAGMENT_OVERLAP);
            } else {
                assert_result(give_part(r, 1, v, 7, over[i].offset, over[i].len, over[i].more),
                              TUNNEL_FRAGMENT_OVERLAP);
            }
            assert_int_equal(tunnel_reassembly_count(r, TUNNEL_FRAGMENT_OVERLAP), 3);
            assert_result(give_part(r, 1, v, 7, 0, 64, true), TUNNEL_FRAGMENT_CONDEMNED);
            assert_result(give_part(r, 1, v, 7, 128, 64, true), TUNNEL_FRAGMENT_CONDEMNED);
            assert_result(give_part(r, 1, v, 7, 256, 64, false), TUNNEL_FRAGMENT_CONDEMNED);
            /* Its time is over: the identification may be used again. */
            assert_result(give_part(r, 2001, v, 7, 0, 64, true), TUNNEL_KEPT);
            assert_result(give_part(r, 2001, v, 7, 64, 8, false), TUNNEL_OK);
            assert_empty(r);
        }
}

static void ends_that_do_not_agree(void **state)
{
    for (size_t v = 0; v < 2; v++) {
        struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){0});

        assert_result(give_part(r, 1, v, 1, 64, 64, false), TUNNEL_KEPT);
        assert_result(give_part(r, 1, v, 1, 128, 64, true), TUNNEL_FRAGMENT_LENGTH);
        assert_result(give_part(r, 1, v, 2, 64, 64, false), TUNNEL_KEPT);
        assert_result(give_part(r, 1, v, 2, 256, 64, false), TUNNEL_FRAGMENT_LENGTH);
        assert_result(give_part(r, 1, v, 3, 128, 64, true), TUNNEL_KEPT);
        assert_result(give_part(r, 1, v, 3, 64, 64, false), TUNNEL_FRAGMENT_LENGTH);
        assert_result(give_part(r, 1, v, 3, 0, 64, true), TUNNEL_FRAGMENT_CONDEMNED);
        /* Alone already. */
        assert_result(give_part(r, 1, v, 4, 0, 65, true), TUNNEL_FRAGMENT_LENGTH);
        assert_result(give_part(r, 1, v, 4, 65472, 100, false), TUNNEL_FRAGMENT_LENGTH);
        assert_result(give_part(r, 1, v, 4, 0, 0, true), TUNNEL_FRAGMENT_LENGTH);
        assert_result(give_part(r, 1, v, 4, 0, 40, true), TUNNEL_FRAGMENT_TINY);
        assert_result(give_part(r, 1, v, 4, 8, 1, false), TUNNEL_KEPT);
        tunnel_reassembly_free(r);
    }
}

static void time_is_over(void **state)
{
    struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){.wait_ms = 5000});

    assert_int_equal(tunnel_reassembly_deadline(r), UINT64_MAX);
    assert_result(give_part(r, 1000, 0, 1, 0, 64, true), TUNNEL_KEPT);
    assert_result(give_part(r, 2000, 1, 1, 0, 64, true), TUNNEL_KEPT);
    assert_result(give_part(r, 5999, 0, 1, 64, 64, true), TUNNEL_KEPT);
    assert_int_equal(tunnel_reassembly_deadline(r), 6000);
    tunnel_reassembly_tick(r, 6000);
    assert_int_equal(tunnel_reassembly_datagrams(r), 1);
    assert_int_equal(tunnel_reassembly_count(r, TUNNEL_FRAGMENT_TIMEOUT), 2);
    assert_result(give_part(r, 6999, 1, 1, 64, 1, false), TUNNEL_OK);
    assert_int_equal(got.p.len, 40 + 65);
    assert_empty(r);
    assert_null(tunnel_reassembly_new(&(struct tunnel_reassembly_limits){.wait_ms = 5001}, &seed));
}

static void limits(void **state)
{
    struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){
        .octets = 20000, .datagrams = 8, .of_a_source = 100, .fragments = 4});
    size_t most = 0;

    for (size_t i = 0; i < 4; i++)
        assert_result(give_part(r, 1, 0, 1, 64 * i, 64, true), TUNNEL_KEPT);
    assert_result(give_part(r, 1, 0, 1, 256, 64, true), TUNNEL_FRAGMENT_TOO_MANY);
    assert_int_equal(tunnel_reassembly_count(r, TUNNEL_FRAGMENT_TOO_MANY), 5);
    /* Datagrams: the oldest goes. */
    for (uint32_t id = 2; id < 11; id++) {
        assert_result(give_part(r, 1, 0, id, 0, 64, true), TUNNEL_KEPT);
        assert_true(tunnel_reassembly_datagrams(r) <= 8);
    }
    assert_int_equal(tunnel_reassembly_count(r, TUNNEL_FRAGMENT_EVICTED), 1); /* 1 had none left */
    assert_result(give_part(r, 1, 0, 10, 64, 1, false), TUNNEL_OK);
    /* Octets. */
    for (uint32_t id = 20; id < 60; id++) {
        assert_result(give_part(r, 1, 1, id, 0, 4000, true), TUNNEL_KEPT);
        if (tunnel_reassembly_octets(r) > most)
            most = tunnel_reassembly_octets(r);
    }
    assert_true(most <= 20000 && most > 15000);
    assert_result(give_part(r, 1, 1, 59, 4000, 8, false), TUNNEL_OK);
    /* One datagram that is larger than all. */
    assert_result(give_part(r, 1, 1, 100, 0, 12000, true), TUNNEL_KEPT);
    assert_result(give_part(r, 1, 1, 100, 12000, 12000, true), TUNNEL_FRAGMENT_NO_MEMORY);
    assert_result(give_part(r, 1, 1, 101, 0, 30000, true), TUNNEL_FRAGMENT_NO_MEMORY);
    tunnel_reassembly_tick(r, UINT64_MAX);
    assert_empty(r);
}

static void share_of_a_source(void **state)
{
    struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){.of_a_source = 3});

    for (uint32_t id = 0; id < 3; id++)
        assert_result(give_part(r, 1, 0, id, 0, 64, true), TUNNEL_KEPT);
    assert_result(give_part(r, 1, 0, 3, 0, 64, true), TUNNEL_FRAGMENT_SHARE);
    assert_result(give_part(r, 1, 1, 3, 0, 64, true), TUNNEL_KEPT);
    assert_result(give_part(r, 1, 0, 2, 64, 1, false), TUNNEL_OK);
    assert_result(give_part(r, 1, 0, 3, 0, 64, true), TUNNEL_KEPT);
    tunnel_reassembly_tick(r, 5000);
    assert_empty(r);
}

/* RFC 6946: whatever waits with the same identification. */
static void atomic(void **state)
{
    struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){0});

    assert_result(give_part(r, 1, 1, 9, 0, 64, true), TUNNEL_KEPT);
    assert_result(give_part(r, 1, 1, 9, 0, 100, false), TUNNEL_OK);
    assert_well_formed(&got);
    assert_int_equal(got.p.len, 140);
    assert_int_equal(octets_of(&got)[6], ESP);
    assert_int_equal(octets_of(&got)[40 + 99], 99);
    assert_result(give_part(r, 1, 1, 9, 64, 8, false), TUNNEL_OK);
    assert_int_equal(got.p.len, 112);
    /* In its own buffer. */
    make_part(&sent, 1, 9, 0, 100, false);
    assert_result(tunnel_reassemble(r, 1, &sent.p, &sent.p), TUNNEL_OK);
    assert_int_equal(sent.p.len, 140);
    assert_int_equal(octets_of(&sent)[40 + 99], 99);
    /* What is no fragment goes through as it is. */
    make(&sent, ends[0].src, ends[0].dst, UDP, 100);
    assert_result(give(r, 1, &sent), TUNNEL_OK);
    assert_same_packet(&sent, &got);
    assert_result(tunnel_reassemble(r, 1, &sent.p, &sent.p), TUNNEL_OK);
    assert_same_packet(&sent, &got);
    assert_empty(r);
}

/* RFC 7112, RFC 8200 4.5: the first fragment has all headers. */
static void header_chain(void **state)
{
    struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){0});
    uint8_t *inside;

    make_part(&sent, 1, 5, 0, 64, true);
    inside = octets_of(&sent) + 48;
    octets_of(&sent)[40] = 60; /* destination options of 64 octets, and nothing behind them */
    inside[0] = UDP;
    inside[1] = 7;
    assert_result(give(r, 1, &sent), TUNNEL_FRAGMENT_CHAIN);
    inside[1] = 6; /* 56 octets, and 8 of UDP */
    assert_result(give(r, 1, &sent), TUNNEL_KEPT);
    octets_of(&sent)[47]++; /* another datagram */
    inside[0] = 44;
    assert_result(give(r, 1, &sent), TUNNEL_FRAGMENT_CHAIN);
    octets_of(&sent)[43] = 0; /* nor may an atomic one */
    assert_result(give(r, 1, &sent), TUNNEL_FRAGMENT_CHAIN);
    tunnel_reassembly_free(r);
}

/* RFC 3168 5.3. */
static void congestion(void **state)
{
    static const struct {
        uint8_t first, second;
        enum tunnel_result result;
        uint8_t whole;
    } cases[] = {{0, 0, TUNNEL_OK, 0},           {2, 3, TUNNEL_OK, 3},
                 {3, 2, TUNNEL_OK, 3},           {1, 3, TUNNEL_OK, 3},
                 {3, 3, TUNNEL_OK, 3},           {1, 1, TUNNEL_OK, 1},
                 {0, 3, TUNNEL_FRAGMENT_ECN, 0}, {3, 0, TUNNEL_FRAGMENT_ECN, 0}};

    for (size_t v = 0; v < 2; v++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){0});

            make_part(&part[0], v, 5, 0, 64, true);
            set_ds(&part[0], cases[i].first | 0x28);
            make_part(&part[1], v, 5, 64, 64, false);
            set_ds(&part[1], cases[i].second | 0x28);
            assert_result(give(r, 1, &part[0]), TUNNEL_KEPT);
            assert_result(give(r, 1, &part[1]), cases[i].result);
            if (cases[i].result == TUNNEL_OK) {
                assert_well_formed(&got);
                assert_int_equal(ds_of(&got), cases[i].whole | 0x28);
            }
            assert_empty(r);
        }
}

static void other_datagrams(void **state)
{
    struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){0});

    make_part(&part[0], 0, 5, 0, 64, true);
    make_part(&part[1], 0, 5, 64, 64, false);
    part[0].p.place = 1;
    assert_result(give(r, 1, &part[0]), TUNNEL_KEPT);
    part[1].p.place = 2;
    assert_result(give(r, 1, &part[1]), TUNNEL_KEPT);
    part[1].p.place = 1;
    octets_of(&part[1])[9] = UDP;
    assert_result(give(r, 1, &part[1]), TUNNEL_KEPT);
    octets_of(&part[1])[9] = ESP;
    assert_result(give(r, 1, &part[1]), TUNNEL_OK);
    assert_int_equal(got.p.place, 1);
    assert_int_equal(tunnel_reassembly_datagrams(r), 2);
    /* Too little room for the whole: it is gone. */
    assert_result(give(r, 1, &part[0]), TUNNEL_KEPT);
    empty(&got)->cap = HEAD + 147;
    assert_result(tunnel_reassemble(r, 1, &part[1].p, &got.p), TUNNEL_NO_ROOM);
    assert_int_equal(tunnel_reassembly_datagrams(r), 2);
    tunnel_reassembly_free(r);
}

static void malformed(void **state)
{
    struct tunnel_reassembly *r = new_table((struct tunnel_reassembly_limits){0});

    for (size_t v = 0; v < 2; v++) {
        make_part(&sent, v, 5, 0, 64, true);
        for (size_t len = 0; len < sent.p.len; len++) {
            uint8_t *alone = malloc(len + 1); /* for the address sanitizer */
            struct ipsec_packet p = {.mem = alone, .cap = len, .len = len};

            assert_non_null(alone);
            memcpy(alone, octets_of(&sent), len);
            empty(&got);
            assert_result(tunnel_reassemble(r, 1, &p, &got.p), TUNNEL_MALFORMED);
            free(alone);
        }
    }
    assert_empty(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),    cmocka_unit_test(cut_again),
        cmocka_unit_test(options),           cmocka_unit_test(what_is_not_cut),
        cmocka_unit_test(overlaps),          cmocka_unit_test(ends_that_do_not_agree),
        cmocka_unit_test(time_is_over),      cmocka_unit_test(limits),
        cmocka_unit_test(share_of_a_source), cmocka_unit_test(atomic),
        cmocka_unit_test(header_chain),      cmocka_unit_test(congestion),
        cmocka_unit_test(other_datagrams),   cmocka_unit_test(malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
