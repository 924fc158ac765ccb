/*
 * The sequence number extension: RFC 9187's own validation sequence, its published algorithm, and
 * an independent model with 64-bit positions.
 */
#include "unit.h"

#include <string.h>

#include "tcpao.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static uint64_t rng_state;

static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}

/* Below n. */
static uint64_t pick(uint64_t n)
{
    return rng() % n;
}

/* The algorithm of RFC 9187 section 5, with its variables' names. */
struct rfc9187 {
    uint32_t rcv_sne, rcv_prev_seq;
    int rcv_sne_flag;
};

static uint32_t distance(uint32_t x, uint32_t y)
{
    return x < y ? y - x : x - y;
}

static uint32_t rfc9187_compute(struct rfc9187 *s, uint32_t seqno)
{
    uint32_t hold_sne = s->rcv_sne;

    if (distance(seqno, s->rcv_prev_seq) < 0x80000000) {
        if (seqno >= 0x80000000 && s->rcv_prev_seq < 0x80000000)
            s->rcv_sne_flag = 0;
        s->rcv_prev_seq = seqno > s->rcv_prev_seq ? seqno : s->rcv_prev_seq;
    } else if (seqno < 0x80000000) {
        s->rcv_prev_seq = seqno;
        if (s->rcv_sne_flag == 0) {
            s->rcv_sne_flag = 1;
            s->rcv_sne++;
            hold_sne = s->rcv_sne;
        }
    } else {
        hold_sne = s->rcv_sne - 1;
    }
    return hold_sne;
}

static uint64_t extend(struct tcpao_sne *s, uint32_t seq)
{
    uint64_t position;

    assert_true(tcpao_sne_extend(s, seq, &position));
    tcpao_sne_commit(s, position);
    return position;
}

/* RFC 9187 section 6. */
static const struct {
    uint32_t sne, seq;
} validation[] = {
    {0, 0x00000000}, {0, 0x30000000}, {0, 0x90000000}, {0, 0x70000000}, {0, 0xa0000000},
    {1, 0x00000001}, {0, 0xe0000000}, {1, 0x00000000}, {1, 0x7fffffff}, {1, 0x00000000},
    {1, 0x50000000}, {1, 0x80000000}, {1, 0x00000001}, {1, 0x40000000}, {1, 0x90000000},
    {1, 0xb0000000}, {2, 0x0fffffff}, {2, 0x20000000}, {2, 0x90000000}, {2, 0x70000000},
    {2, 0xa0000000}, {3, 0x00004000}, {2, 0xd0000000}, {3, 0x20000000}, {3, 0x90000000},
    {3, 0x70000000}, {3, 0xa0000000}, {4, 0x00004000}, {3, 0xd0000000},
};

static void rfc9187_validation_sequence(void **state)
{
    struct tcpao_sne s;
    struct rfc9187 reference = {.rcv_sne_flag = 1};

    tcpao_sne_init(&s, 0);
    for (size_t i = 0; i < ARRAY_LEN(validation); i++) {
        assert_int_equal(extend(&s, validation[i].seq) >> 32, validation[i].sne);
        assert_int_equal(rfc9187_compute(&reference, validation[i].seq), validation[i].sne);
    }
}

/*
 * A sender with 64-bit positions moves ahead, jumps ahead by up to what TCP's window allows, and
 * repeats what lies behind by as much. The receiver sees only the lower halves.
 */
static void million_steps(uint32_t isn, uint64_t reach)
{
    struct tcpao_sne s;
    struct rfc9187 reference = {.rcv_prev_seq = isn, .rcv_sne_flag = isn < 0x80000000 ? 1 : 0};
    uint64_t highest = isn, wraps = 0;

    tcpao_sne_init(&s, isn);
    for (int i = 0; i < 1000000; i++) {
        uint64_t position, behind = highest - isn < reach ? highest - isn : reach;

        if (pick(3) == 0)
            position = highest - pick(behind + 1);
        else
            position = highest + pick(reach);
        if (position > highest) {
            wraps += (position >> 32) - (highest >> 32);
            highest = position;
        }
        assert_true(extend(&s, (uint32_t)position) == position);
        assert_int_equal(rfc9187_compute(&reference, (uint32_t)position), position >> 32);
        assert_true(s.highest == highest);
    }
    assert_true(wraps > 3);
}

static void a_million_segments_against_two_models(void **state)
{
    rng_state = 0x9e3779b97f4a7c15;
    million_steps(0, 1 << 30);
    million_steps(0xfffffff0, 1 << 16);
    million_steps(0x7fffffff, 1 << 20);
    million_steps(0x80000000, 1 << 29);
}

static void retransmission_across_the_wrap_gets_the_earlier_sne(void **state)
{
    struct tcpao_sne s;
    uint64_t position;

    tcpao_sne_init(&s, 0xffffff00);
    assert_true(extend(&s, 0xffffff01) == 0xffffff01);
    assert_true(extend(&s, 0x00000010) == 0x100000010);
    assert_true(extend(&s, 0xffffff01) == 0xffffff01);
    assert_true(s.highest == 0x100000010);
    assert_true(tcpao_sne_extend(&s, 0x00000011, &position));
    assert_true(position == 0x100000011);
}

static void nothing_is_remembered_before_commit(void **state)
{
    struct tcpao_sne s;
    uint64_t position;

    tcpao_sne_init(&s, 100);
    assert_true(tcpao_sne_extend(&s, 0x70000000, &position));
    assert_true(s.highest == 100);
    tcpao_sne_commit(&s, position);
    assert_true(s.highest == 0x70000000);
    tcpao_sne_commit(&s, 101); /* an older segment does not move it back */
    assert_true(s.highest == 0x70000000);
}

static void the_number_space_has_a_start(void **state)
{
    struct tcpao_sne s;
    uint64_t position;

    tcpao_sne_init(&s, 5);
    assert_false(tcpao_sne_extend(&s, 0xffffffff, &position));
    assert_false(tcpao_sne_extend(&s, 0x80000005, &position));
    assert_true(tcpao_sne_extend(&s, 0x80000004, &position));
    assert_true(position == 0x80000004);
    assert_true(tcpao_sne_extend(&s, 0, &position));
    assert_true(position == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc9187_validation_sequence),
        cmocka_unit_test(a_million_segments_against_two_models),
        cmocka_unit_test(retransmission_across_the_wrap_gets_the_earlier_sne),
        cmocka_unit_test(nothing_is_remembered_before_commit),
        cmocka_unit_test(the_number_space_has_a_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
