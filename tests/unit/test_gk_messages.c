/* What engine and gatekeeper tell each other: there and back, and whatever is malformed refused. */
#include "unit.h"

#include <string.h>

#include "daemon/gk_messages.h"

static const uint8_t secret[] = "thirty-two octets of one secret!";

static const struct tcpao_mkt key = {.number = 0x01020304,
                                     .send_id = 3,
                                     .recv_id = 200,
                                     .alg = TCPAO_HMAC_SHA_256,
                                     .mac_len = 16,
                                     .options_covered = true,
                                     .send = {.from = -7, .until = TCPAO_TIME_MAX},
                                     .accept = {.from = TCPAO_TIME_MIN, .until = 1700000000},
                                     .secret = secret,
                                     .secret_len = 32};

/* The kinds of messages, each with what takes it. */
enum kind { SESSION, KEY, RANK, NUMBER, USAGE, FLAG, KINDS };

static bool take(enum kind kind, struct gh_rd r, struct gh_gk_message *out)
{
    switch (kind) {
    case SESSION:
        return gh_gk_take_session(&r, out);
    case KEY:
        return gh_gk_take_key(&r, true, out);
    case RANK:
        return gh_gk_take_key(&r, false, out);
    case NUMBER:
        return gh_gk_take_number(&r, out);
    case USAGE:
        return gh_gk_take_usage(&r, out);
    default:
        return gh_gk_take_flag(&r, out);
    }
}

/* Fails the test where it does not fit. */
static size_t put(enum kind kind, const char *session, uint8_t mem[GH_GK_MESSAGE])
{
    struct gh_wr w = gh_wr_make(mem, GH_GK_MESSAGE);

    switch (kind) {
    case SESSION:
        gh_gk_put_session(&w, session);
        break;
    case KEY:
        gh_gk_put_key(&w, session, &key, 90 * 1000, true);
        break;
    case RANK:
        gh_gk_put_key(&w, session, &key, 0, false);
        break;
    case NUMBER:
        gh_gk_put_number(&w, session, UINT32_MAX - 1);
        break;
    case USAGE:
        gh_gk_put_usage(&w, session, UINT32_MAX - 1, UINT64_MAX, 1ull << 40);
        break;
    default:
        gh_gk_put_flag(&w, session, true);
        break;
    }
    assert_true(gh_wr_ok(&w));
    return w.len;
}

static bool refused(enum kind kind, const uint8_t *mem, size_t len)
{
    struct gh_gk_message m;

    return !take(kind, gh_rd_make(mem, len), &m);
}

static void assert_key(const struct tcpao_mkt *mkt)
{
    assert_int_equal(mkt->number, key.number);
    assert_int_equal(mkt->send_id, key.send_id);
    assert_int_equal(mkt->recv_id, key.recv_id);
    assert_int_equal(mkt->alg, key.alg);
    assert_int_equal(mkt->mac_len, key.mac_len);
    assert_true(mkt->options_covered);
    assert_false(mkt->accept_mismatch);
    assert_true(mkt->send.from == key.send.from && mkt->send.until == key.send.until);
    assert_true(mkt->accept.from == key.accept.from && mkt->accept.until == key.accept.until);
}

static void there_and_back(void **state)
{
    uint8_t mem[GH_GK_MESSAGE];
    struct gh_gk_message m;

    for (enum kind kind = SESSION; kind < KINDS; kind++) {
        size_t len = put(kind, "bgp \xc3\xa9t\xc3\xa9", mem);

        assert_true(take(kind, gh_rd_make(mem, len), &m));
        assert_string_equal(m.session, "bgp \xc3\xa9t\xc3\xa9");
        assert_int_equal(m.flag, kind == FLAG);
        assert_true(m.left_ms == (kind == KEY ? 90 * 1000 : 0));
        assert_int_equal(m.mkt.secret_len, kind == KEY ? sizeof(secret) - 1 : 0);
        if (kind == NUMBER || kind == USAGE)
            assert_int_equal(m.number, UINT32_MAX - 1);
        assert_true(m.octets == (kind == USAGE ? UINT64_MAX : 0));
        assert_true(m.segments == (kind == USAGE ? 1ull << 40 : 0));
        if (kind == KEY || kind == RANK)
            assert_key(&m.mkt);
        if (kind == KEY) {
            assert_memory_equal(m.mkt.secret, secret, sizeof(secret) - 1);
            assert_true(m.mkt.secret >= mem && m.mkt.secret < mem + len); /* borrowed */
        }
    }
}

static void the_other_values(void **state)
{
    uint8_t mem[GH_GK_MESSAGE];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct tcpao_mkt bare = key;
    struct gh_gk_message m;

    gh_gk_put_flag(&w, "s", false);
    assert_true(take(FLAG, gh_rd_make(mem, w.len), &m));
    assert_false(m.flag);
    bare.options_covered = false;
    bare.alg = TCPAO_HMAC_SHA_1;
    w = gh_wr_make(mem, sizeof(mem));
    gh_gk_put_key(&w, "s", &bare, UINT64_MAX, true);
    assert_true(take(KEY, gh_rd_make(mem, w.len), &m));
    assert_false(m.mkt.options_covered);
    assert_int_equal(m.mkt.alg, TCPAO_HMAC_SHA_1);
    assert_true(m.left_ms == UINT64_MAX);
}

/* With a key beside it. The configuration's names are far shorter. */
static void the_longest_name(void **state)
{
    char name[GH_GK_NAME + 1];
    uint8_t mem[GH_GK_MESSAGE];
    struct gh_gk_message m;

    memset(name, 'n', sizeof(name));
    name[GH_GK_NAME - 1] = '\0';
    for (enum kind kind = SESSION; kind < KINDS; kind++) {
        size_t len = put(kind, name, mem);

        assert_true(take(kind, gh_rd_make(mem, len), &m));
        assert_string_equal(m.session, name);
    }
    name[GH_GK_NAME - 1] = 'n';
    name[GH_GK_NAME] = '\0';
    for (enum kind kind = SESSION; kind < KINDS; kind++)
        assert_true(refused(kind, mem, put(kind, name, mem)));
}

static void names_end_where_they_say(void **state)
{
    uint8_t mem[GH_GK_MESSAGE];

    for (enum kind kind = SESSION; kind < KINDS; kind++)
        for (size_t i = 0; i < 4; i++) {
            size_t len = put(kind, "four", mem);

            mem[2 + i] = '\0';
            assert_true(refused(kind, mem, len));
        }
}

static void neither_more_nor_less(void **state)
{
    uint8_t mem[GH_GK_MESSAGE + 1];

    for (enum kind kind = SESSION; kind < KINDS; kind++) {
        size_t len = put(kind, "four", mem);

        for (size_t less = 0; less < len; less++)
            assert_true(refused(kind, mem, less));
        assert_false(refused(kind, mem, len));
        mem[len] = 0;
        assert_true(refused(kind, mem, len + 1));
    }
}

enum { NAME = 2 + 4, ALG = NAME + 4 + 2, COVERED = ALG + 2, SECRET_LEN = COVERED + 1 + 4 * 8 + 8 };

static void values_that_are_none(void **state)
{
    static const struct {
        enum kind kind;
        size_t offset;
        uint8_t value;
    } wrong[] = {
        {FLAG, NAME, 2}, {FLAG, NAME, 255}, {KEY, ALG, 0},         {KEY, ALG, 4},
        {RANK, ALG, 0},  {RANK, ALG, 255},  {KEY, COVERED, 2},     {RANK, COVERED, 2},
        {KEY, 0, 1},     {KEY, 1, 5},       {KEY, SECRET_LEN, 31}, {KEY, SECRET_LEN, 33},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t mem[GH_GK_MESSAGE];
        size_t len = put(wrong[i].kind, "four", mem);

        assert_false(refused(wrong[i].kind, mem, len));
        mem[wrong[i].offset] = wrong[i].value;
        if (!refused(wrong[i].kind, mem, len))
            fail_msg("case %zu was taken", i);
    }
}

/* A key without one must not be put into a chain, and a rank must not carry what is to be wiped. */
static void a_secret_only_where_one_belongs(void **state)
{
    uint8_t mem[GH_GK_MESSAGE];
    size_t len = put(KEY, "four", mem);

    assert_int_equal(mem[SECRET_LEN], sizeof(secret) - 1);
    assert_true(refused(RANK, mem, len));
    len = put(RANK, "four", mem);
    assert_int_equal(mem[SECRET_LEN], 0);
    assert_true(refused(KEY, mem, len));
}

/* No octet of a secret goes where none is asked for. */
static void a_rank_holds_no_secret(void **state)
{
    uint8_t mem[GH_GK_MESSAGE];

    memset(mem, 0, sizeof(mem));
    put(RANK, "four", mem);
    for (size_t i = 0; i + 4 <= sizeof(mem); i++)
        assert_memory_not_equal(mem + i, secret, 4);
}

static void no_room(void **state)
{
    uint8_t mem[GH_GK_MESSAGE];
    size_t len = put(KEY, "four", mem);

    for (size_t cap = 0; cap < len; cap++) {
        struct gh_wr w = gh_wr_make(mem, cap);

        gh_gk_put_key(&w, "four", &key, 90 * 1000, true);
        assert_false(gh_wr_ok(&w));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(the_other_values),
        cmocka_unit_test(the_longest_name),
        cmocka_unit_test(names_end_where_they_say),
        cmocka_unit_test(neither_more_nor_less),
        cmocka_unit_test(values_that_are_none),
        cmocka_unit_test(a_secret_only_where_one_belongs),
        cmocka_unit_test(a_rank_holds_no_secret),
        cmocka_unit_test(no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
