/*
 * The replay window: edges of every size, against a model that remembers everything, and the high
 * half of extended sequence numbers (RFC 4303 appendix A).
 */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ipsec/replay.h"

#define HIGH(n) ((uint64_t)(n) << 32)

static struct ipsec_replay made(uint32_t window, uint64_t top)
{
    struct ipsec_replay r;

    assert_true(ipsec_replay_init(&r, window, top));
    return r;
}

static void sizes(void **state)
{
    struct ipsec_replay r;

    assert_false(ipsec_replay_init(&r, 31, 0));
    assert_false(ipsec_replay_init(&r, 8193, 0));
    assert_false(ipsec_replay_init(&r, 1, 0));
    for (uint32_t window = 32; window <= 8192; window += window < 200 ? 1 : 997) {
        uint64_t top = 100000;

        r = made(window, 0);
        assert_int_equal(ipsec_replay_check(&r, 0), IPSEC_OLD); /* the first is 1 */
        assert_int_equal(ipsec_replay_commit(&r, top), IPSEC_OK);
        assert_int_equal(ipsec_replay_check(&r, top), IPSEC_REPLAY);
        assert_int_equal(ipsec_replay_check(&r, top - window), IPSEC_OLD);
        assert_int_equal(ipsec_replay_commit(&r, top - window + 1), IPSEC_OK);
        assert_int_equal(ipsec_replay_commit(&r, top - window + 1), IPSEC_REPLAY);
        /* One further: what was the last of the window is behind it. */
        assert_int_equal(ipsec_replay_commit(&r, top + 1), IPSEC_OK);
        assert_int_equal(ipsec_replay_check(&r, top - window + 1), IPSEC_OLD);
        assert_int_equal(ipsec_replay_check(&r, top - window + 2), IPSEC_OK);
        ipsec_replay_free(&r);
    }
}

/* Asking changes nothing. */
static void check_does_not_commit(void **state)
{
    struct ipsec_replay r = made(64, 0);

    assert_int_equal(ipsec_replay_check(&r, 5000), IPSEC_OK);
    assert_int_equal(ipsec_replay_check(&r, 5000), IPSEC_OK);
    assert_int_equal(ipsec_replay_check(&r, 1), IPSEC_OK);
    ipsec_replay_free(&r);
}

static void without_window(void **state)
{
    struct ipsec_replay r = made(0, 0);

    assert_int_equal(ipsec_replay_commit(&r, 7), IPSEC_OK);
    assert_int_equal(ipsec_replay_commit(&r, 7), IPSEC_OK);
    assert_int_equal(ipsec_replay_commit(&r, 0), IPSEC_OK);
    assert_int_equal(r.top, 7);
    ipsec_replay_free(&r);
}

/* Random walks: jumps, steps back, repetitions; the model remembers each number. */
static void against_a_model(void **state)
{
    enum { SPAN = 1 << 17, STEPS = 60000 };
    static const uint32_t windows[] = {32, 33, 64, 65, 127, 500, 1024, 8191, 8192};
    static uint8_t seen[SPAN];

    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        uint32_t window = windows[i];
        struct ipsec_replay r = made(window, 0);
        uint64_t top = 0;
        unsigned random = 12345 + window;

        memset(seen, 0, sizeof(seen));
        for (size_t step = 0; step < STEPS; step++) {
            enum ipsec_result want;
            uint64_t seq;

            random = random * 1103515245 + 12345;
            if (random >> 28 == 0)
                seq = top + (random >> 8) % (window * 2);
            else if (random >> 28 < 4)
                seq = top + 1;
            else
                seq = top - (random >> 8) % (window + 5 < top ? window + 5 : top + 1);
            if (seq >= SPAN)
                break;
            if (seq == 0 || (seq <= top && top - seq >= window))
                want = IPSEC_OLD;
            else
                want = seen[seq] ? IPSEC_REPLAY : IPSEC_OK;
            assert_int_equal(ipsec_replay_check(&r, seq), want);
            assert_int_equal(ipsec_replay_commit(&r, seq), want);
            if (want == IPSEC_OK)
                seen[seq] = 1;
            top = want == IPSEC_OK && seq > top ? seq : top;
            assert_int_equal(r.top, top);
        }
        assert_true(top > 1000);
        ipsec_replay_free(&r);
    }
}

/* A new instance accepts nothing that the one before may have accepted. */
static void carried_on(void **state)
{
    for (uint64_t top = 1; top < 300; top++) {
        struct ipsec_replay r = made(128, top);

        for (uint64_t seq = 0; seq <= top; seq++)
            assert_int_not_equal(ipsec_replay_check(&r, seq), IPSEC_OK);
        for (uint64_t seq = top + 1; seq < top + 200; seq++)
            assert_int_equal(ipsec_replay_commit(&r, seq), IPSEC_OK);
        for (uint64_t seq = top + 1; seq < top + 200; seq++)
            assert_int_not_equal(ipsec_replay_check(&r, seq), IPSEC_OK);
        ipsec_replay_free(&r);
    }
}

static const struct {
    const char *what;
    uint64_t top;
    uint32_t low;
    bool found;
    uint64_t seq;
} inferences[] = {
    /* Window of 64. Case A: the window is within one subspace. */
    {"ahead in the same", HIGH(1) + 1000, 2000, true, HIGH(1) + 2000},
    {"in the window", HIGH(1) + 1000, 950, true, HIGH(1) + 950},
    {"the window's last", HIGH(1) + 1000, 937, true, HIGH(1) + 937},
    {"behind the window: the next subspace", HIGH(1) + 1000, 936, true, HIGH(2) + 936},
    {"zero: the next subspace", HIGH(1) + 1000, 0, true, HIGH(2)},
    {"the last of a subspace", HIGH(1) + 0xfffffff0, 0xffffffff, true, HIGH(1) + 0xffffffff},
    {"over the edge", HIGH(1) + 0xfffffff0, 5, true, HIGH(2) + 5},
    /* Tl = W - 1, the first of case A: Bl = 0, everything is here. */
    {"the edge of the cases", HIGH(3) + 63, 0, true, HIGH(3)},
    {"the edge of the cases", HIGH(3) + 63, 0xffffffff, true, HIGH(3) + 0xffffffff},
    /* Case B: the window spans two. */
    {"the one before", HIGH(3) + 10, 0xfffffff0, true, HIGH(2) + 0xfffffff0},
    {"the window's last, in the one before", HIGH(3) + 62, 0xffffffff, true, HIGH(2) + 0xffffffff},
    {"here", HIGH(3) + 10, 5, true, HIGH(3) + 5},
    {"ahead", HIGH(3) + 10, 0x80000000, true, HIGH(3) + 0x80000000},
    /* At both ends of all numbers. */
    {"before the first", 10, 0xfffffff0, false, 0},
    {"the first", 0, 1, true, 1},
    {"nothing yet, from the end", 0, 0xffffffff, false, 0},
    {"after the last", UINT64_MAX, 1, false, 0},
    {"the last again", UINT64_MAX, 0xffffffff, true, UINT64_MAX},
};

static void high_half(void **state)
{
    for (size_t i = 0; i < sizeof(inferences) / sizeof(inferences[0]); i++) {
        struct ipsec_replay r = made(64, 0);
        uint64_t seq = 0;

        r.top = inferences[i].top;
        if (ipsec_replay_infer(&r, inferences[i].low, &seq) != inferences[i].found ||
            (inferences[i].found && seq != inferences[i].seq))
            fail_msg("%s", inferences[i].what);
        ipsec_replay_free(&r);
    }
}

/* Whatever is sent within a window of the newest, and anything ahead by less than 2^32 - W, is
 * told right: for each window size, around the edge of a subspace. */
static void inference_is_right_where_it_must(void **state)
{
    static const uint32_t windows[] = {32, 64, 1000, 8192};

    for (size_t i = 0; i < 4; i++)
        for (int64_t offset = -9000; offset < 9000; offset += 61) {
            struct ipsec_replay r = made(windows[i], 0);
            uint64_t top = HIGH(5) + (uint64_t)offset;
            const uint64_t near[] = {
                top - windows[i] + 1,         top - 1, top, top + 1, top + windows[i],
                top + UINT32_MAX - windows[i]};
            uint64_t seq;

            r.top = top;
            for (size_t n = 0; n < sizeof(near) / sizeof(near[0]); n++) {
                assert_true(ipsec_replay_infer(&r, (uint32_t)near[n], &seq));
                assert_int_equal(seq, near[n]);
            }
            ipsec_replay_free(&r);
        }
}

/* The window slides from one subspace into the next without a seam. */
static void across_the_edge(void **state)
{
    struct ipsec_replay r = made(256, HIGH(1) - 500);

    for (uint64_t n = 1; n < 1000; n++) {
        uint64_t want = HIGH(1) - 500 + (n ^ 1), seq; /* neighbours changed */

        assert_true(ipsec_replay_infer(&r, (uint32_t)want, &seq));
        assert_int_equal(seq, want);
        assert_int_equal(ipsec_replay_commit(&r, seq),
                         want == HIGH(1) - 500 ? IPSEC_REPLAY : IPSEC_OK);
        assert_int_not_equal(ipsec_replay_check(&r, seq), IPSEC_OK);
    }
    ipsec_replay_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(check_does_not_commit),
        cmocka_unit_test(without_window),
        cmocka_unit_test(against_a_model),
        cmocka_unit_test(carried_on),
        cmocka_unit_test(high_half),
        cmocka_unit_test(inference_is_right_where_it_must),
        cmocka_unit_test(across_the_edge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
