/* Choosing a suite: RFC 7296 2.7 and 3.3, RFC 9370 2.2.1, as responder and as initiator. */
#include "unit.h"

#include <string.h>

#include "ike/miss.h"
#include "ike/proposal.h"
#include "ike/proposals.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum { MAX = 12 };

/* One proposal: protocol and transforms as {type, id, key bits}, closed by type 0. */
struct text {
    uint8_t protocol;
    struct {
        uint8_t type;
        uint16_t id, bits;
    } transform[MAX];
};

#define GCM                                                                                        \
    {                                                                                              \
        1, 20, 256                                                                                 \
    }
#define GCM128                                                                                     \
    {                                                                                              \
        1, 20, 128                                                                                 \
    }
#define CBC                                                                                        \
    {                                                                                              \
        1, 12, 256                                                                                 \
    }
#define PRF                                                                                        \
    {                                                                                              \
        2, 5, 0                                                                                    \
    }
#define SHA256                                                                                     \
    {                                                                                              \
        3, 12, 0                                                                                   \
    }
#define SHA1                                                                                       \
    {                                                                                              \
        3, 2, 0                                                                                    \
    }
#define NOAUTH                                                                                     \
    {                                                                                              \
        3, 0, 0                                                                                    \
    }
#define X25519                                                                                     \
    {                                                                                              \
        4, 31, 0                                                                                   \
    }
#define P256                                                                                       \
    {                                                                                              \
        4, 19, 0                                                                                   \
    }
#define NOKE                                                                                       \
    {                                                                                              \
        4, 0, 0                                                                                    \
    }
#define SN32                                                                                       \
    {                                                                                              \
        5, 0, 0                                                                                    \
    }
#define ESN                                                                                        \
    {                                                                                              \
        5, 1, 0                                                                                    \
    }

static const struct ike_choice_rules plain = {0}, more_ke = {.additional_ke = true};

static void add(struct ike_sa *sa, const struct text *t)
{
    struct ike_proposal *p = &sa->proposal[sa->count++];

    *p = (struct ike_proposal){.number = (uint8_t)sa->count, .protocol = t->protocol};
    if (t->protocol == IKE_PROTO_ESP || t->protocol == IKE_PROTO_AH)
        p->spi_len = 4;
    for (unsigned i = 0; i < MAX && t->transform[i].type != 0; i++)
        assert_true(
            ike_proposal_add(p, t->transform[i].type, t->transform[i].id, t->transform[i].bits));
}

static const struct row {
    const char *what;
    struct text offered, ours;
    struct ike_choice_rules rules;
    enum ike_mismatch why;
    uint8_t type;       /* if it is a miss */
    struct text chosen; /* if it is a match */
} rows[] = {
    {"IKE with an AEAD",
     {1, {GCM, PRF, X25519}},
     {1, {GCM, PRF, X25519}},
     {0},
     IKE_MATCH,
     0,
     {1, {GCM, PRF, X25519}}},
    {"our order decides",
     {1, {GCM128, GCM, PRF, P256, X25519}},
     {1, {GCM, GCM128, PRF, X25519, P256}},
     {0},
     IKE_MATCH,
     0,
     {1, {GCM, PRF, X25519}}},
    {"their order decides",
     {1, {GCM128, GCM, PRF, P256, X25519}},
     {1, {GCM, GCM128, PRF, X25519, P256}},
     {.prefer_theirs = true},
     IKE_MATCH,
     0,
     {1, {GCM128, PRF, P256}}},
    {"another key length",
     {1, {GCM128, PRF, X25519}},
     {1, {GCM, PRF, X25519}},
     {0},
     IKE_MISMATCH_COMMON,
     IKE_T_ENCR},
    {"no key length",
     {1, {{1, 20, 0}, PRF, X25519}},
     {1, {GCM, PRF, X25519}},
     {0},
     IKE_MISMATCH_COMMON,
     IKE_T_ENCR},
    {"no PRF", {1, {GCM, X25519}}, {1, {GCM, PRF, X25519}}, {0}, IKE_MISMATCH_ABSENT, IKE_T_PRF},
    {"no KE", {1, {GCM, PRF}}, {1, {GCM, PRF, X25519}}, {0}, IKE_MISMATCH_ABSENT, IKE_T_KE},
    {"no KE, and we would not mind",
     {1, {GCM, PRF}},
     {1, {GCM, PRF}},
     {0},
     IKE_MISMATCH_ABSENT,
     IKE_T_KE},
    {"KE NONE is nothing for an IKE SA",
     {1, {GCM, PRF, NOKE}},
     {1, {GCM, PRF, NOKE, X25519}},
     {0},
     IKE_MISMATCH_COMMON,
     IKE_T_KE},
    {"no INTEG for a cipher that needs one",
     {1, {CBC, PRF, X25519}},
     {1, {CBC, PRF, SHA256, X25519}},
     {0},
     IKE_MISMATCH_ABSENT,
     IKE_T_INTEG},
    {"INTEG NONE for a cipher that needs one",
     {1, {CBC, PRF, NOAUTH, X25519}},
     {1, {CBC, PRF, NOAUTH, X25519}},
     {0},
     IKE_MISMATCH_COMMON,
     IKE_T_INTEG},
    {"another INTEG",
     {1, {CBC, PRF, SHA1, X25519}},
     {1, {CBC, PRF, SHA256, X25519}},
     {0},
     IKE_MISMATCH_COMMON,
     IKE_T_INTEG},
    {"AEAD with INTEG NONE",
     {1, {GCM, PRF, NOAUTH, X25519}},
     {1, {GCM, PRF, X25519}},
     {0},
     IKE_MATCH,
     0,
     {1, {GCM, NOAUTH, PRF, X25519}}},
    {"AEAD with another INTEG",
     {1, {GCM, PRF, SHA256, X25519}},
     {1, {GCM, PRF, X25519}},
     {0},
     IKE_MISMATCH_COMMON,
     IKE_T_INTEG},
    {"AEAD and others in one: what has its INTEG",
     {1, {GCM, CBC, PRF, SHA256, X25519}},
     {1, {GCM, CBC, PRF, SHA256, X25519}},
     {0},
     IKE_MATCH,
     0,
     {1, {CBC, SHA256, PRF, X25519}}},
    {"AEAD and others in one of ours",
     {1, {GCM, PRF, X25519}},
     {1, {CBC, GCM, PRF, SHA256, X25519}},
     {0},
     IKE_MATCH,
     0,
     {1, {GCM, PRF, X25519}}},
    {"a type that nobody knows",
     {1, {GCM, PRF, X25519, {99, 1, 0}}},
     {1, {GCM, PRF, X25519}},
     {0},
     IKE_MISMATCH_UNKNOWN,
     99},
    {"type 0",
     {1, {GCM, PRF, X25519, {13, 1, 0}}},
     {1, {GCM, PRF, X25519}},
     {0},
     IKE_MISMATCH_UNKNOWN,
     13},
    {"a type that only we know",
     {200, {{99, 1, 0}, {98, 7, 0}}},
     {200, {{98, 7, 0}, {99, 1, 0}}},
     {0},
     IKE_MATCH,
     0,
     {200, {{98, 7, 0}, {99, 1, 0}}}},
    {"another protocol", {3, {GCM, SN32}}, {1, {GCM, PRF, X25519}}, {0}, IKE_MISMATCH_PROTOCOL, 0},
    {"ESP", {3, {GCM, SN32}}, {3, {GCM, SN32}}, {0}, IKE_MATCH, 0, {3, {GCM, SN32}}},
    {"ESP without ESN", {3, {GCM}}, {3, {GCM, SN32}}, {0}, IKE_MISMATCH_ABSENT, IKE_T_SN},
    {"ESN or not",
     {3, {GCM, SN32, ESN}},
     {3, {GCM, ESN, SN32}},
     {0},
     IKE_MATCH,
     0,
     {3, {GCM, ESN}}},
    {"ESN or nothing", {3, {GCM, ESN}}, {3, {GCM, SN32}}, {0}, IKE_MISMATCH_COMMON, IKE_T_SN},
    {"ESP that encrypts only",
     {3, {CBC, SN32}},
     {3, {CBC, SN32}},
     {0},
     IKE_MISMATCH_ABSENT,
     IKE_T_INTEG},
    {"PFS that we want",
     {3, {GCM, SN32}},
     {3, {GCM, SN32, X25519}},
     {0},
     IKE_MISMATCH_ABSENT,
     IKE_T_KE},
    {"PFS that we do not mind",
     {3, {GCM, SN32}},
     {3, {GCM, SN32, X25519, NOKE}},
     {0},
     IKE_MATCH,
     0,
     {3, {GCM, SN32}}},
    {"PFS that they want",
     {3, {GCM, SN32, X25519}},
     {3, {GCM, SN32}},
     {0},
     IKE_MISMATCH_COMMON,
     IKE_T_KE},
    {"PFS that they do not mind",
     {3, {GCM, SN32, X25519, NOKE}},
     {3, {GCM, SN32}},
     {0},
     IKE_MATCH,
     0,
     {3, {GCM, SN32, NOKE}}},
    {"in IKE_AUTH our PFS does not count",
     {3, {GCM, SN32}},
     {3, {GCM, SN32, X25519}},
     {.without_ke = true},
     IKE_MATCH,
     0,
     {3, {GCM, SN32}}},
    {"in IKE_AUTH theirs does not either",
     {3, {GCM, SN32, X25519}},
     {3, {GCM, SN32}},
     {.without_ke = true},
     IKE_MATCH,
     0,
     {3, {GCM, SN32}}},
    {"AH", {2, {SHA256, SN32}}, {2, {SHA256, SN32}}, {0}, IKE_MATCH, 0, {2, {SHA256, SN32}}},
    {"AH without INTEG", {2, {SN32}}, {2, {SN32}}, {0}, IKE_MISMATCH_ABSENT, IKE_T_INTEG},
    {"ADDKE without IKE_INTERMEDIATE",
     {1, {GCM, PRF, X25519, {6, 36, 0}}},
     {1, {GCM, PRF, X25519, {6, 36, 0}}},
     {0},
     IKE_MISMATCH_UNKNOWN,
     6},
    {"ours has ADDKE, theirs not, nobody could",
     {1, {GCM, PRF, X25519}},
     {1, {GCM, PRF, X25519, {6, 36, 0}}},
     {0},
     IKE_MATCH,
     0,
     {1, {GCM, PRF, X25519}}},
    {"ADDKE",
     {1, {GCM, PRF, X25519, {6, 36, 0}}},
     {1, {GCM, PRF, X25519, {6, 36, 0}}},
     {.additional_ke = true},
     IKE_MATCH,
     0,
     {1, {GCM, PRF, X25519, {6, 36, 0}}}},
    {"ADDKE that we want",
     {1, {GCM, PRF, X25519}},
     {1, {GCM, PRF, X25519, {6, 36, 0}}},
     {.additional_ke = true},
     IKE_MISMATCH_ABSENT,
     6},
    {"ADDKE that they want",
     {1, {GCM, PRF, X25519, {6, 36, 0}}},
     {1, {GCM, PRF, X25519}},
     {.additional_ke = true},
     IKE_MISMATCH_COMMON,
     6},
    {"ADDKE that they do not mind",
     {1, {GCM, PRF, X25519, {6, 36, 0}, {6, 0, 0}}},
     {1, {GCM, PRF, X25519}},
     {.additional_ke = true},
     IKE_MATCH,
     0,
     {1, {GCM, PRF, X25519, {6, 0, 0}}}},
    /* the example of RFC 9370 2.2.1, with 35, 36, 37 for its three methods */
    {"ADDKE of RFC 9370",
     {1,
      {GCM,
       {4, 16, 0},
       PRF,
       {7, 35, 0},
       {7, 36, 0},
       {8, 35, 0},
       {8, 36, 0},
       {10, 37, 0},
       {10, 0, 0}}},
     {1, {GCM, {4, 16, 0}, PRF, {7, 36, 0}, {7, 35, 0}, {8, 36, 0}, {8, 35, 0}, {10, 0, 0}}},
     {.additional_ke = true},
     IKE_MATCH,
     0,
     {1, {GCM, PRF, {4, 16, 0}, {7, 36, 0}, {8, 35, 0}, {10, 0, 0}}}},
    {"the first gives way so that the second has one",
     {1, {GCM, PRF, X25519, {6, 35, 0}, {6, 36, 0}, {7, 35, 0}}},
     {1, {GCM, PRF, X25519, {6, 35, 0}, {6, 36, 0}, {7, 35, 0}}},
     {.additional_ke = true},
     IKE_MATCH,
     0,
     {1, {GCM, PRF, X25519, {6, 36, 0}, {7, 35, 0}}}},
    {"nothing without repetition",
     {1, {GCM, PRF, X25519, {6, 36, 0}, {7, 36, 0}}},
     {1, {GCM, PRF, X25519, {6, 36, 0}, {7, 36, 0}}},
     {.additional_ke = true},
     IKE_MISMATCH_REPEATED,
     7},
    {"not again what KE is",
     {1, {GCM, PRF, X25519, {6, 31, 0}}},
     {1, {GCM, PRF, X25519, {6, 31, 0}}},
     {.additional_ke = true},
     IKE_MISMATCH_REPEATED,
     6},
    {"NONE may stand there twice",
     {1, {GCM, PRF, X25519, {6, 0, 0}, {7, 0, 0}}},
     {1, {GCM, PRF, X25519, {6, 0, 0}, {7, 0, 0}}},
     {.additional_ke = true},
     IKE_MATCH,
     0,
     {1, {GCM, PRF, X25519, {6, 0, 0}, {7, 0, 0}}}},
};

static void must_be(const struct row *row, const struct ike_proposal *chosen)
{
    size_t n = 0;

    while (n < MAX && row->chosen.transform[n].type != 0) {
        const struct ike_transform *t = ike_proposal_find(chosen, row->chosen.transform[n].type);

        if (t == NULL || t->id != row->chosen.transform[n].id ||
            t->key_bits != row->chosen.transform[n].bits)
            fail_msg("%s: transform %zu", row->what, n);
        n++;
    }
    if (chosen->count != n)
        fail_msg("%s: %zu transforms", row->what, chosen->count);
}

static void one_against_one(void **state)
{
    static struct ike_sa offered, ours;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ike_proposal chosen;
        struct ike_choice_miss miss = {0};
        bool match;

        offered.count = ours.count = 0;
        add(&offered, &rows[i].offered);
        add(&ours, &rows[i].ours);
        memcpy(offered.proposal[0].spi, "spi!", 4);
        match = ike_proposal_choose(&offered, &ours, &rows[i].rules, &chosen, &miss);
        if (match != (rows[i].why == IKE_MATCH))
            fail_msg("%s: %s, type %u", rows[i].what, ike_mismatch_text(miss.why), miss.type);
        if (match) {
            static struct ike_sa answer;

            must_be(&rows[i], &chosen);
            assert_int_equal(chosen.number, 1);
            assert_memory_equal(chosen.spi, "spi!", 4);
            /* and whoever offered it takes it for an answer */
            answer.count = 1;
            answer.proposal[0] = chosen;
            if (!ike_proposal_confirm(&answer, &offered, &rows[i].rules, &chosen, &miss))
                fail_msg("%s: not confirmed: %s, type %u", rows[i].what,
                         ike_mismatch_text(miss.why), miss.type);
            continue;
        }
        if (miss.why != rows[i].why || miss.type != rows[i].type || miss.number != 1)
            fail_msg("%s: %s, type %u", rows[i].what, ike_mismatch_text(miss.why), miss.type);
    }
}

static void several(void **state)
{
    static struct ike_sa offered, ours;
    struct ike_proposal chosen;
    struct ike_choice_miss miss;
    struct ike_choice_rules theirs = {.prefer_theirs = true};

    offered.count = ours.count = 0;
    add(&offered, &(struct text){1, {CBC, PRF, SHA256, P256}});
    add(&offered, &(struct text){1, {GCM, PRF, X25519}});
    add(&ours, &(struct text){1, {GCM, PRF, X25519}});
    add(&ours, &(struct text){1, {CBC, PRF, SHA256, P256}});
    assert_true(ike_proposal_choose(&offered, &ours, &plain, &chosen, &miss));
    assert_int_equal(chosen.number, 2);
    assert_true(ike_proposal_choose(&offered, &ours, &theirs, &chosen, NULL));
    assert_int_equal(chosen.number, 1);

    /* an unknown type spoils its proposal, not the others; what comes nearest is told */
    assert_true(ike_proposal_add(&offered.proposal[1], 77, 1, 0));
    assert_true(ike_proposal_choose(&offered, &ours, &plain, &chosen, NULL));
    assert_int_equal(chosen.number, 1);
    ours.count = 1;
    assert_false(ike_proposal_choose(&offered, &ours, &plain, &chosen, &miss));
    assert_int_equal(miss.number, 2);
    assert_int_equal(miss.type, 77);
    assert_int_equal(miss.misses, 1);
    assert_int_equal(miss.ours, 0);

    /* a transform with an unknown attribute is not chosen, another of its type is */
    offered.count = 0;
    add(&offered, &(struct text){1, {GCM, GCM128, PRF, X25519}});
    offered.proposal[0].transform[0].odd = gh_view_of("\200\143\0\0", 4);
    ours.count = 0;
    add(&ours, &(struct text){1, {GCM, GCM128, PRF, X25519}});
    assert_true(ike_proposal_choose(&offered, &ours, &plain, &chosen, NULL));
    assert_int_equal(ike_proposal_find(&chosen, IKE_T_ENCR)->key_bits, 128);

    ours.count = 0;
    assert_false(ike_proposal_choose(&offered, &ours, &plain, &chosen, &miss));
    assert_int_equal(miss.why, IKE_MISMATCH_NUMBER);
    ours.count = 1;
    offered.proposal[0].spi_len = 4;
    assert_false(ike_proposal_choose(&offered, &ours, &plain, &chosen, &miss));
    assert_int_equal(miss.why, IKE_MISMATCH_SPI);
}

/* Answers that no honest responder gives. */
static void a_miss_names_what_both_have(void **state)
{
    static struct ike_sa offered, ours;
    struct ike_choice_miss miss;
    struct ike_proposal chosen;
    char text[IKE_MISS_TEXT], small[40];

    offered.count = ours.count = 0;
    add(&offered, &(struct text){1, {GCM128, CBC, PRF, X25519}});
    add(&ours, &(struct text){1, {GCM, PRF, X25519}});
    assert_false(ike_proposal_choose(&offered, &ours, &plain, &chosen, &miss));
    assert_string_equal(ike_miss_format(&offered, &ours, &miss, text, sizeof(text)),
                        "no transform in common: ENCR: ours ENCR_AES_GCM_16_256, offered "
                        "ENCR_AES_GCM_16_128 ENCR_AES_CBC_256");
    assert_string_equal(ike_miss_format(&offered, &ours, &miss, small, sizeof(small)),
                        "no transform in common: ENCR: ours ENCR");
    offered.count = 0;
    add(&offered, &(struct text){1, {GCM128, PRF}});
    add(&offered, &(struct text){1, {GCM, PRF}});
    assert_false(ike_proposal_choose(&offered, &ours, &plain, &chosen, &miss));
    assert_string_equal(ike_miss_format(&offered, &ours, &miss, text, sizeof(text)),
                        "a transform type is absent: KE: ours CURVE25519, offered none (the "
                        "nearest of 2 offered proposals and 1 of ours)");
    offered.count = 0;
    assert_false(ike_proposal_choose(&offered, &ours, &plain, &chosen, &miss));
    assert_string_equal(ike_miss_format(&offered, &ours, &miss, text, sizeof(text)),
                        "a proposal that was not made");
}

static void answers_that_were_not_offered(void **state)
{
    static const struct {
        const char *what;
        struct text answer;
        uint8_t number;
        enum ike_mismatch why;
        uint8_t type;
    } table[] = {
        {"ours", {1, {GCM, PRF, X25519, {6, 35, 0}}}, 1, IKE_MATCH, 0},
        {"NONE for what may be NONE", {1, {GCM, PRF, X25519, {6, 0, 0}}}, 1, IKE_MATCH, 0},
        {"left out what may be NONE", {1, {GCM, PRF, X25519}}, 1, IKE_MATCH, 0},
        {"a number that was not made", {1, {GCM, PRF, X25519}}, 2, IKE_MISMATCH_NUMBER, 0},
        {"a cipher that was not offered",
         {1, {CBC, PRF, SHA256, X25519}},
         1,
         IKE_MISMATCH_COMMON,
         IKE_T_ENCR},
        {"two ciphers", {1, {GCM, GCM128, PRF, X25519}}, 1, IKE_MISMATCH_COMMON, IKE_T_ENCR},
        {"a type missing", {1, {GCM, X25519}}, 1, IKE_MISMATCH_ABSENT, IKE_T_PRF},
        {"one type more", {1, {GCM, PRF, X25519, {9, 36, 0}}}, 1, IKE_MISMATCH_COMMON, 9},
        {"what KE is once more", {1, {GCM, PRF, X25519, {6, 31, 0}}}, 1, IKE_MISMATCH_REPEATED, 6},
        {"another protocol", {3, {GCM, PRF, X25519}}, 1, IKE_MISMATCH_PROTOCOL, 0},
    };
    static struct ike_sa answer, offered;
    struct ike_proposal chosen;
    struct ike_choice_miss miss;

    offered.count = 0;
    add(&offered,
        &(struct text){1, {GCM, GCM128, PRF, X25519, P256, {6, 35, 0}, {6, 31, 0}, {6, 0, 0}}});
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        bool good;

        answer.count = 0;
        add(&answer, &table[i].answer);
        answer.proposal[0].number = table[i].number;
        good = ike_proposal_confirm(&answer, &offered, &more_ke, &chosen, &miss);
        if (good != (table[i].why == IKE_MATCH) ||
            (!good && (miss.why != table[i].why || miss.type != table[i].type)))
            fail_msg("%s: %s, type %u", table[i].what, ike_mismatch_text(miss.why), miss.type);
    }
    answer.count = 2;
    assert_false(ike_proposal_confirm(&answer, &offered, &more_ke, &chosen, &miss));
    answer.count = 0;
    assert_false(ike_proposal_confirm(&answer, &offered, &more_ke, &chosen, &miss));
}

static void groups_to_guess_and_retry(void **state)
{
    static struct ike_sa ours;

    ours.count = 0;
    assert_int_equal(ike_ke_guess(&ours), IKE_KE_NONE);
    add(&ours, &(struct text){3, {GCM, SN32, NOKE, P256}});
    add(&ours, &(struct text){3, {GCM, SN32, X25519}});
    assert_int_equal(ike_ke_guess(&ours), IKE_KE_ECP_256);
    assert_true(ike_ke_retry(&ours, IKE_KE_ECP_256, IKE_KE_CURVE25519));
    assert_false(ike_ke_retry(&ours, IKE_KE_ECP_256, IKE_KE_ECP_256));
    assert_false(ike_ke_retry(&ours, IKE_KE_ECP_256, IKE_KE_MODP_768));
    assert_false(ike_ke_retry(&ours, IKE_KE_ECP_256, IKE_KE_NONE));
}

/* 64 transforms of all key exchange types, and ours as many: an answer in no time. */
static void hostile_offers_are_answered(void **state)
{
    static struct ike_sa offered, ours;
    struct ike_proposal chosen;
    struct ike_choice_miss miss;

    offered.count = ours.count = 0;
    add(&offered, &(struct text){1, {GCM, PRF, X25519}});
    for (unsigned i = 0; offered.proposal[0].count < IKE_TRANSFORMS_MAX; i++)
        assert_true(ike_proposal_add(&offered.proposal[0], (uint8_t)(6 + i % 7),
                                     (uint16_t)(1 + i / 7 % 6), 0));
    ours = offered;
    for (unsigned i = 0; i < IKE_PROPOSALS_MAX; i++) {
        offered.proposal[i] = offered.proposal[0];
        offered.proposal[i].number = (uint8_t)(i + 1);
    }
    offered.count = IKE_PROPOSALS_MAX;
    /* seven types, six methods */
    assert_false(ike_proposal_choose(&offered, &ours, &more_ke, &chosen, &miss));
    assert_int_equal(miss.why, IKE_MISMATCH_REPEATED);
}

static void proposals_are_kept_in_few_octets(void **state)
{
    static struct ike_sa sa, again;
    struct ike_proposals kept = {.octets = NULL};

    ike_proposals_get(&kept, &again);
    assert_int_equal(again.count, 0);
    assert_int_equal(ike_proposals_protocol(&kept), 0);
    sa.count = 0;
    add(&sa, &(struct text){1, {GCM, PRF, P256}});
    add(&sa, &(struct text){1, {GCM, PRF, X25519}});
    assert_true(ike_proposals_set(&kept, &sa));
    assert_true(kept.len < 100);
    assert_int_equal(ike_proposals_protocol(&kept), IKE_PROTO_IKE);
    ike_proposals_get(&kept, &again);
    assert_int_equal(again.count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_memory_equal(&again.proposal[i], &sa.proposal[i], sizeof(sa.proposal[i]));
    /* The most that a configuration can say. */
    sa.proposal[0].count = 0;
    for (unsigned i = 0; i < IKE_TRANSFORMS_MAX; i++)
        assert_true(ike_proposal_add(&sa.proposal[0], IKE_T_ENCR, (uint16_t)i, 256));
    for (sa.count = 1; sa.count < IKE_PROPOSALS_MAX; sa.count++) {
        sa.proposal[sa.count] = sa.proposal[0];
        sa.proposal[sa.count].number = (uint8_t)(sa.count + 1);
    }
    assert_true(ike_proposals_set(&kept, &sa));
    ike_proposals_get(&kept, &again);
    assert_int_equal(again.count, IKE_PROPOSALS_MAX);
    assert_int_equal(again.proposal[IKE_PROPOSALS_MAX - 1].count, IKE_TRANSFORMS_MAX);
    ike_proposals_clear(&kept);
    assert_int_equal(kept.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_against_one),
        cmocka_unit_test(several),
        cmocka_unit_test(a_miss_names_what_both_have),
        cmocka_unit_test(answers_that_were_not_offered),
        cmocka_unit_test(groups_to_guess_and_retry),
        cmocka_unit_test(hostile_offers_are_answered),
        cmocka_unit_test(proposals_are_kept_in_few_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
