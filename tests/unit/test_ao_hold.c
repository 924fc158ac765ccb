/* SYNs that wait for a key: for how long, how many, in which order they go on. */
#include "unit.h"

#include <string.h>

#include "daemon/ao_hold.h"
#include "wire/wr.h"

enum { LOG = 2 * GH_HOLD_MAX };

/* What came out of it. */
struct out {
    struct {
        uint32_t id;
        bool again;
    } log[LOG];
    size_t count;
    uint32_t waits_on; /* for which the engine has no key yet; 0: none */
};

static bool on_held(void *ctx, const struct gh_held *held, bool again)
{
    struct out *out = ctx;

    assert_true(out->count < LOG);
    out->log[out->count].id = held->id;
    out->log[out->count].again = again;
    out->count++;
    return !again || held->id != out->waits_on;
}

/* The next that came out, and was not looked at before. */
static void expect(struct out *out, size_t *at, uint32_t id, bool again)
{
    assert_true(*at < out->count);
    assert_int_equal(out->log[*at].id, id);
    assert_int_equal(out->log[*at].again, again);
    ++*at;
}

enum { SYN_4 = 40, SYN_6 = 60, SYN_MAX = 100 };

/* A SYN of a connection, told apart by its source port, as it is sent for the nth time: IPv4's
 * identification and checksums change. */
static struct gh_held syn(uint8_t mem[SYN_MAX], int version, size_t len, uint16_t port, uint8_t nth)
{
    struct gh_wr w = gh_wr_make(mem, SYN_MAX);

    if (version == 4) {
        gh_wr_u16(&w, 0x4500);
        gh_wr_u16(&w, len);
        gh_wr_u16(&w, nth);
        gh_wr_u16(&w, 0x4000);
        gh_wr_u16(&w, 0x4006);
        gh_wr_u16(&w, 0x1000 - nth);
    } else {
        gh_wr_u32(&w, 0x60000000);
        gh_wr_u16(&w, len - 40);
        gh_wr_u16(&w, 0x0640);
        gh_wr_zero(&w, 24);
    }
    gh_wr_u32(&w, 0x0a4d0001);
    gh_wr_u32(&w, 0x0a4d0002);
    gh_wr_u16(&w, port);
    gh_wr_u16(&w, 179);
    gh_wr_u32(&w, 0x11223344);
    gh_wr_u32(&w, 0);
    gh_wr_u32(&w, 0x5002ffff);
    gh_wr_u32(&w, nth * 65536); /* the checksum */
    gh_wr_zero(&w, len - w.len);
    assert_true(gh_wr_ok(&w));
    return (struct gh_held){.zone = 1,
                            .id = port * 10 + nth,
                            .way = AO_OUT,
                            .mtu = 1500,
                            .data = mem,
                            .len = len,
                            .session = "s"};
}

static void add(struct gh_ao_hold *h, uint64_t now_ms, uint16_t port, uint8_t nth, enum ao_way way,
                const char *session)
{
    uint8_t mem[SYN_MAX];
    struct gh_held held = syn(mem, 4, SYN_4, port, nth);

    held.way = way;
    held.session = session;
    assert_true(gh_ao_hold_add(h, now_ms, &held));
}

static void in_their_order_and_no_others(void **state)
{
    struct out out = {.count = 0};
    struct gh_ao_hold *h = gh_ao_hold_new(on_held, &out);
    size_t at = 0;

    add(h, 0, 1, 0, AO_OUT, "one");
    add(h, 0, 2, 0, AO_OUT, "two");
    add(h, 0, 3, 0, AO_IN, "one");
    add(h, 0, 4, 0, AO_OUT, "on");
    add(h, 0, 5, 0, AO_OUT, "one");
    gh_ao_hold_release(h, "one");
    expect(&out, &at, 10, true);
    expect(&out, &at, 30, true);
    expect(&out, &at, 50, true);
    assert_int_equal(out.count, 3);
    assert_int_equal(gh_ao_hold_count(h), 2);
    gh_ao_hold_release(h, "one");
    gh_ao_hold_release(h, "nobody's");
    assert_int_equal(out.count, 3);
    add(h, 0, 6, 0, AO_OUT, "two"); /* the last one went: there is another end of the list */
    gh_ao_hold_release(h, "two");
    expect(&out, &at, 20, true);
    expect(&out, &at, 60, true);
    gh_ao_hold_release(h, "on");
    expect(&out, &at, 40, true);
    assert_int_equal(gh_ao_hold_count(h), 0);
    assert_true(gh_ao_hold_next_deadline(h) == UINT64_MAX);
    add(h, 0, 7, 0, AO_OUT, "one");
    gh_ao_hold_release(h, "one");
    expect(&out, &at, 70, true);
    gh_ao_hold_free(h);
    assert_int_equal(out.count, at);
}

static bool compare(void *ctx, const struct gh_held *held, bool again)
{
    const struct gh_held *expected = ctx;

    assert_int_equal(held->zone, expected->zone);
    assert_int_equal(held->id, expected->id);
    assert_int_equal(held->way, expected->way);
    assert_int_equal(held->mtu, expected->mtu);
    assert_string_equal(held->session, "s");
    assert_int_equal(held->len, expected->len);
    assert_memory_equal(held->data, expected->data, held->len);
    return true;
}

/* It keeps its place and its time. */
static void what_still_has_no_key_waits_on(void **state)
{
    struct out out = {.waits_on = 20};
    struct gh_ao_hold *h = gh_ao_hold_new(on_held, &out);
    size_t at = 0;

    add(h, 0, 1, 0, AO_OUT, "s");
    add(h, 1, 2, 0, AO_OUT, "s");
    add(h, 2, 3, 0, AO_OUT, "s");
    gh_ao_hold_release(h, "s");
    for (uint32_t id = 10; id <= 30; id += 10)
        expect(&out, &at, id, true);
    assert_int_equal(gh_ao_hold_count(h), 1);
    assert_true(gh_ao_hold_next_deadline(h) == 1 + GH_HOLD_OUT_MS);
    add(h, 3, 4, 0, AO_OUT, "s");
    gh_ao_hold_tick(h, 1 + GH_HOLD_OUT_MS);
    expect(&out, &at, 20, false);
    out.waits_on = 0;
    gh_ao_hold_release(h, "s");
    expect(&out, &at, 40, true);
    gh_ao_hold_free(h);
    assert_int_equal(out.count, at);
}

static void it_keeps_a_copy(void **state)
{
    uint8_t mem[SYN_MAX], given[SYN_MAX];
    char session[] = "s";
    struct gh_held expected = syn(mem, 6, SYN_6, 7, 1), held = expected;
    struct gh_ao_hold *h = gh_ao_hold_new(compare, &expected);

    memcpy(given, mem, sizeof(mem));
    held.data = given;
    held.session = session;
    assert_true(gh_ao_hold_add(h, 0, &held));
    memset(given, 0xee, sizeof(given));
    session[0] = 'x';
    gh_ao_hold_release(h, "s");
    assert_int_equal(gh_ao_hold_count(h), 0);
    gh_ao_hold_free(h);
}

static void for_so_long(void **state)
{
    struct out out = {.count = 0};
    struct gh_ao_hold *h = gh_ao_hold_new(on_held, &out);
    const uint64_t start = 5000;
    size_t at = 0;

    assert_true(gh_ao_hold_next_deadline(h) == UINT64_MAX);
    add(h, start, 1, 0, AO_OUT, "s");
    assert_true(gh_ao_hold_next_deadline(h) == start + GH_HOLD_OUT_MS);
    add(h, start + 1, 2, 0, AO_IN, "s");
    add(h, start + 2, 3, 0, AO_OUT, "s");
    assert_true(gh_ao_hold_next_deadline(h) == start + 1 + GH_HOLD_IN_MS);
    gh_ao_hold_tick(h, start + GH_HOLD_IN_MS);
    assert_int_equal(out.count, 0);
    gh_ao_hold_tick(h, start + 1 + GH_HOLD_IN_MS);
    expect(&out, &at, 20, false);
    assert_int_equal(gh_ao_hold_count(h), 2);
    assert_true(gh_ao_hold_next_deadline(h) == start + GH_HOLD_OUT_MS);
    gh_ao_hold_tick(h, start + GH_HOLD_OUT_MS + 1);
    expect(&out, &at, 10, false);
    gh_ao_hold_tick(h, start + GH_HOLD_OUT_MS + 60000);
    expect(&out, &at, 30, false);
    assert_int_equal(out.count, at);
    assert_int_equal(gh_ao_hold_count(h), 0);
    gh_ao_hold_free(h);
}

static void the_oldest_makes_room(void **state)
{
    struct out out = {.count = 0};
    struct gh_ao_hold *h = gh_ao_hold_new(on_held, &out);
    size_t at = 0;

    for (uint16_t port = 1; port <= GH_HOLD_MAX; port++)
        add(h, port, port, 0, AO_OUT, "s");
    assert_int_equal(gh_ao_hold_count(h), GH_HOLD_MAX);
    assert_int_equal(out.count, 0);
    add(h, 5000, 3000, 0, AO_OUT, "s");
    expect(&out, &at, 10, false);
    assert_int_equal(gh_ao_hold_count(h), GH_HOLD_MAX);
    add(h, 5000, 3, 1, AO_OUT, "s"); /* sent again: takes nobody else's place */
    expect(&out, &at, 30, false);
    assert_int_equal(gh_ao_hold_count(h), GH_HOLD_MAX);
    assert_int_equal(out.count, at);
    gh_ao_hold_release(h, "s");
    expect(&out, &at, 20, true);
    for (uint32_t port = 4; port <= GH_HOLD_MAX; port++)
        expect(&out, &at, port * 10, true);
    expect(&out, &at, 30000, true);
    expect(&out, &at, 31, true);
    assert_int_equal(out.count, at);
    gh_ao_hold_free(h);
}

/* Only the newest goes on, however short the SYN is; its time begins anew. */
static void sent_again(void **state)
{
    static const struct {
        int version;
        size_t len;
    } sizes[] = {{4, 40}, {4, 44}, {4, 60}, {4, 80}, {6, 60}, {6, 80}};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct out out = {.count = 0};
        struct gh_ao_hold *h = gh_ao_hold_new(on_held, &out);
        size_t at = 0;

        for (uint8_t nth = 0; nth < 3; nth++) {
            uint8_t mem[SYN_MAX];
            struct gh_held held = syn(mem, sizes[i].version, sizes[i].len, 1, nth);

            assert_true(gh_ao_hold_add(h, nth * 1000, &held));
            if (gh_ao_hold_count(h) != 1)
                fail_msg("IPv%d, %zu octets: held twice", sizes[i].version, sizes[i].len);
            assert_true(gh_ao_hold_next_deadline(h) == nth * 1000ULL + GH_HOLD_OUT_MS);
        }
        gh_ao_hold_release(h, "s");
        expect(&out, &at, 10, false);
        expect(&out, &at, 11, false);
        expect(&out, &at, 12, true);
        assert_int_equal(out.count, at);
        gh_ao_hold_free(h);
    }
}

/* One thing is not the same: another connection, which nothing of the first's may displace. */
static void not_sent_again(void **state)
{
    enum { ZONE, WAY, SOURCE, DESTINATION, PORT, SERVICE, SEQUENCE, CASES };
    static const int versions[] = {4, 6};

    for (size_t v = 0; v < 2; v++)
        for (int what = ZONE; what < CASES; what++) {
            size_t addresses = versions[v] == 4 ? 12 : 8, ports = versions[v] == 4 ? 20 : 40;
            struct out out = {.count = 0};
            struct gh_ao_hold *h = gh_ao_hold_new(on_held, &out);
            uint8_t mem[SYN_MAX];
            struct gh_held held = syn(mem, versions[v], 60, 1, 0);

            assert_true(gh_ao_hold_add(h, 0, &held));
            if (what == ZONE)
                held.zone++;
            else if (what == WAY)
                held.way = AO_IN;
            else if (what == SOURCE)
                mem[addresses] ^= 1;
            else if (what == DESTINATION)
                mem[ports - 1] ^= 1;
            else if (what == PORT)
                mem[ports + 1] ^= 1;
            else if (what == SERVICE)
                mem[ports + 3] ^= 1;
            else
                mem[ports + 7] ^= 1; /* the sequence number's last octet */
            assert_true(gh_ao_hold_add(h, 0, &held));
            if (gh_ao_hold_count(h) != 2)
                fail_msg("IPv%d, %d: taken for the same", versions[v], what);
            assert_int_equal(out.count, 0);
            gh_ao_hold_free(h);
        }
}

/* IPv4 options stand between the addresses and the ports. */
static void the_ports_are_behind_the_options(void **state)
{
    struct out out = {.count = 0};
    struct gh_ao_hold *h = gh_ao_hold_new(on_held, &out);

    for (uint16_t port = 1; port <= 2; port++) {
        uint8_t mem[SYN_MAX];
        struct gh_held held = syn(mem, 4, SYN_4, port, 0);

        memmove(mem + 28, mem + 20, SYN_4 - 20);
        memset(mem + 20, 1, 8);
        mem[0] = 0x47;
        mem[3] = (uint8_t)(SYN_4 + 8);
        held.len = SYN_4 + 8;
        assert_true(gh_ao_hold_add(h, 0, &held));
    }
    assert_int_equal(gh_ao_hold_count(h), 2);
    gh_ao_hold_free(h);
}

/* Never from the engine. */
static void what_is_no_tcp_is_not_held(void **state)
{
    struct out out = {.count = 0};
    struct gh_ao_hold *h = gh_ao_hold_new(on_held, &out);
    uint8_t mem[SYN_MAX];
    struct gh_held held = syn(mem, 4, SYN_4, 1, 0);

    for (held.len = 0; held.len < SYN_4; held.len++)
        assert_false(gh_ao_hold_add(h, 0, &held));
    assert_int_equal(gh_ao_hold_count(h), 0);
    gh_ao_hold_free(h);
}

static void a_closed_queue_gets_no_verdicts(void **state)
{
    struct out out = {.count = 0};
    struct gh_ao_hold *h = gh_ao_hold_new(on_held, &out);
    size_t at = 0;

    for (uint16_t i = 1; i <= 5; i++) {
        uint8_t mem[SYN_MAX];
        struct gh_held held = syn(mem, 4, SYN_4, i, 0);

        held.zone = i % 2;
        assert_true(gh_ao_hold_add(h, 0, &held));
    }
    gh_ao_hold_forget(h, 1);
    gh_ao_hold_forget(h, 7);
    assert_int_equal(out.count, 0);
    assert_int_equal(gh_ao_hold_count(h), 2);
    add(h, 0, 6, 0, AO_OUT, "s");
    gh_ao_hold_release(h, "s");
    expect(&out, &at, 20, true);
    expect(&out, &at, 40, true);
    expect(&out, &at, 60, true);
    assert_int_equal(out.count, at);
    gh_ao_hold_free(h);
}

static void at_the_end_there_are_no_verdicts(void **state)
{
    struct out out = {.count = 0};
    struct gh_ao_hold *h = gh_ao_hold_new(on_held, &out);

    add(h, 0, 1, 0, AO_OUT, "s");
    add(h, 0, 2, 0, AO_OUT, "s");
    gh_ao_hold_free(h);
    gh_ao_hold_free(NULL);
    assert_int_equal(out.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_their_order_and_no_others),
        cmocka_unit_test(what_still_has_no_key_waits_on),
        cmocka_unit_test(it_keeps_a_copy),
        cmocka_unit_test(for_so_long),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(sent_again),
        cmocka_unit_test(not_sent_again),
        cmocka_unit_test(the_ports_are_behind_the_options),
        cmocka_unit_test(what_is_no_tcp_is_not_held),
        cmocka_unit_test(a_closed_queue_gets_no_verdicts),
        cmocka_unit_test(at_the_end_there_are_no_verdicts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
