/*
 * IKEv2 messages: every payload written, read and written again; what is malformed refused; limits.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "ike/notify_data.h"
#include "ike_random.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum { ROOM = 1 << 16, ROUNDS = 3000 };

static uint8_t first_copy[ROOM], second_copy[ROOM];

static const struct ike_header header = {.spi_i = {1, 2, 3, 4, 5, 6, 7, 8},
                                         .spi_r = {9, 10, 11, 12, 13, 14, 15, 16},
                                         .version = IKE_VERSION_2,
                                         .exchange = IKE_X_SA_INIT,
                                         .flags = IKE_FLAG_INITIATOR,
                                         .id = 0x01020304};

static void header_layout(void **state)
{
    static const uint8_t octets[] = {1,  2,  3,  4,    5,  6,    7, 8, 9, 10, 11, 12, 13, 14,
                                     15, 16, 33, 0x20, 34, 0x28, 1, 2, 3, 4,  0,  0,  0,  28};
    struct ike_header h = {0};
    struct gh_wr w = gh_wr_make(first_copy, sizeof(first_copy));

    assert_int_equal(ike_header_parse(gh_view_of(octets, sizeof(octets)), &h), IKE_OK);
    assert_int_equal(h.next, IKE_P_SA);
    assert_int_equal(h.exchange, IKE_X_SA_INIT);
    assert_true(ike_header_is_response(&h) && ike_header_from_initiator(&h));
    assert_int_equal(h.id, 0x01020304);
    assert_int_equal(h.length, 28);
    ike_header_emit(&w, &h);
    assert_memory_equal(first_copy, octets, sizeof(octets));
    for (size_t len = 0; len < sizeof(octets); len++)
        assert_int_equal(ike_header_parse(gh_view_of(octets, len), &h), IKE_NO_IKE);
}

static void versions_and_length(void **state)
{
    struct ike_header h = header;

    h.length = 28;
    assert_int_equal(ike_header_check(&h, 28), IKE_OK);
    assert_int_equal(ike_header_check(&h, 29), IKE_NO_IKE);
    assert_int_equal(ike_header_check(&h, 27), IKE_NO_IKE);
    h.version = 0x2f; /* a minor version says nothing */
    assert_int_equal(ike_header_check(&h, 28), IKE_OK);
    h.version = 0x10;
    assert_int_equal(ike_header_check(&h, 28), IKE_OLD_VERSION);
    h.version = 0x30;
    assert_int_equal(ike_header_check(&h, 99), IKE_NEW_VERSION);
    assert_int_equal(ike_fault_notify(IKE_NEW_VERSION), IKE_N_INVALID_MAJOR_VERSION);
}

/* Trap of other implementations: the critical bit is 0x80, the first on the wire. */
static void critical_bit(void **state)
{
    static const uint8_t chain[] = {0, 0x80, 0, 4};
    struct ike_payloads p;

    assert_int_equal(ike_payloads_parse(60, gh_view_of(chain, 4), &p), IKE_OK);
    assert_true(p.payload[0].critical);
    assert_int_equal(ike_payloads_parse(60, gh_view_of((uint8_t[]){0, 0x7f, 0, 4}, 4), &p), IKE_OK);
    assert_false(p.payload[0].critical);
}

static void every_payload_is_what_was_written(void **state)
{
    struct ike_rng rng = {20240917};

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct ike_out o = ike_out_message(first_copy, ROOM, &header);
        struct ike_message m;
        struct gh_view wrote, again;
        uint8_t types[12];
        size_t n = rng_below(&rng, ARRAY_LEN(types) + 1);

        for (size_t i = 0; i < n; i++)
            rng_payload(&rng, &o, types[i] = rng_type(&rng));
        assert_true(ike_out_done(&o, &wrote));
        assert_int_equal(ike_message_parse(wrote, &m), IKE_OK);
        assert_int_equal(m.clear.count, n);
        assert_int_equal(m.sealed.type, 0);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(m.clear.payload[i].type, types[i]);
            assert_int_equal(ike_payload_check(&m.clear.payload[i]), IKE_OK);
        }
        o = ike_out_message(second_copy, ROOM, &m.h);
        assert_int_equal(ike_chain_again(&o, &m.clear), IKE_OK);
        assert_true(ike_out_done(&o, &again));
        assert_true(gh_view_equal(wrote, again));
    }
}

/* Each octet of a valid message changed, and each shorter one: refused or taken, never beyond. */
static void broken_messages_stay_in_bounds(void **state)
{
    struct ike_rng rng = {7};
    size_t refused = 0, taken = 0;

    for (unsigned round = 0; round < 60; round++) {
        struct ike_out o = ike_out_inner(first_copy, ROOM);
        struct ike_payloads p;
        struct gh_view wrote;

        rng_payload(&rng, &o, rng_type(&rng));
        rng_payload(&rng, &o, rng_type(&rng));
        assert_true(ike_out_done(&o, &wrote));
        for (size_t i = 0; i < wrote.len && i < 600; i++) {
            uint8_t *copy = malloc(wrote.len);

            assert_non_null(copy);
            memcpy(copy, wrote.p, wrote.len);
            copy[i] ^= (uint8_t)(1 + rng_below(&rng, 255));
            if (ike_payloads_parse(o.first, gh_view_of(copy, wrote.len), &p) == IKE_OK) {
                taken++;
                for (size_t j = 0; j < p.count; j++)
                    (void)ike_payload_check(&p.payload[j]);
            } else {
                refused++;
            }
            free(copy);
            copy = malloc(i > 0 ? i : 1);
            assert_non_null(copy);
            memcpy(copy, wrote.p, i);
            if (i != wrote.len)
                assert_int_equal(ike_payloads_parse(o.first, gh_view_of(copy, i), &p), IKE_SYNTAX);
            free(copy);
        }
    }
    assert_true(refused > 100 && taken > 100);
}

static void chains(void **state)
{
    static const struct {
        const char *what;
        uint8_t octets[12];
        size_t len;
        enum ike_fault fault;
    } table[] = {
        {"nothing although one was announced", {0}, 0, IKE_SYNTAX},
        {"length below the header's", {0, 0, 0, 3}, 4, IKE_SYNTAX},
        {"length 0", {0, 0, 0, 0}, 4, IKE_SYNTAX},
        {"longer than what is there", {0, 0, 0, 5}, 4, IKE_SYNTAX},
        {"octets behind the end", {0, 0, 0, 4, 9}, 5, IKE_SYNTAX},
        {"one more announced", {43, 0, 0, 4}, 4, IKE_SYNTAX},
        {"an envelope inside", {46, 0, 0, 4, 0, 0, 0, 4}, 8, IKE_SYNTAX},
        {"a fragment inside", {53, 0, 0, 4, 0, 0, 0, 4}, 8, IKE_SYNTAX},
        {"empty body", {0, 0, 0, 4}, 4, IKE_OK},
        {"two", {43, 0, 0, 5, 1, 0, 0, 0, 4}, 9, IKE_OK},
    };
    struct ike_payloads p = {.count = 77};

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        p.count = 77;
        if (ike_payloads_parse(IKE_P_VENDOR, gh_view_of(table[i].octets, table[i].len), &p) !=
            table[i].fault)
            fail_msg("%s", table[i].what);
        assert_true((p.count == 77) == (table[i].fault != IKE_OK)); /* untouched */
    }
    assert_int_equal(ike_payloads_parse(0, (struct gh_view){0}, &p), IKE_OK);
    assert_int_equal(p.count, 0);
    assert_int_equal(ike_payloads_parse(0, gh_view_of("x", 1), &p), IKE_SYNTAX);
}

static void envelopes_end_the_message(void **state)
{
    struct ike_out o = ike_out_message(first_copy, ROOM, &header);
    struct ike_message m;
    struct gh_view wrote;

    ike_vendor_emit(&o, gh_view_of("vv", 2));
    ike_out_payload(&o, IKE_P_SK, false, gh_view_of("sealed", 6));
    gh_wr_put_u8(&o.w, o.start_at, IKE_P_IDI);
    assert_true(ike_out_done(&o, &wrote));
    assert_int_equal(ike_message_parse(wrote, &m), IKE_OK);
    assert_int_equal(m.clear.count, 1);
    assert_int_equal(m.sealed.type, IKE_P_SK);
    assert_int_equal(m.sealed.first, IKE_P_IDI);
    assert_int_equal(m.sealed.offset, 34);
    assert_true(gh_view_equal(m.sealed.body, gh_view_of("sealed", 6)));
    first_copy[wrote.len] = 0;
    gh_wr_put_u32(&o.w, IKE_HEADER_LENGTH, wrote.len + 1);
    assert_int_equal(ike_message_parse(gh_view_of(first_copy, wrote.len + 1), &m), IKE_SYNTAX);
}

static void limits(void **state)
{
    struct ike_out o = ike_out_inner(first_copy, ROOM);
    struct ike_payloads p;
    struct gh_view wrote;
    static struct ike_sa sa;
    struct ike_cp cp = {.type = IKE_CP_REQUEST};
    uint8_t body[8 * 80];

    for (unsigned i = 0; i < IKE_PAYLOADS_MAX; i++)
        ike_vendor_emit(&o, (struct gh_view){0});
    assert_true(ike_out_done(&o, &wrote));
    assert_int_equal(ike_payloads_parse(o.first, wrote, &p), IKE_OK);
    assert_int_equal(p.count, IKE_PAYLOADS_MAX);
    ike_vendor_emit(&o, (struct gh_view){0});
    assert_true(ike_out_done(&o, &wrote));
    assert_int_equal(ike_payloads_parse(o.first, wrote, &p), IKE_TOO_MANY);

    /* 33 proposals of 8 octets, then one proposal of 65 transforms, of which only the count counts
     */
    for (unsigned i = 0; i < 33; i++)
        memcpy(body + i * 8, (uint8_t[]){i == 32 ? 0 : 2, 0, 0, 8, (uint8_t)(i + 1), 1, 0, 0}, 8);
    assert_int_equal(ike_sa_parse(gh_view_of(body, sizeof(uint8_t[33 * 8])), &sa), IKE_TOO_MANY);
    body[31 * 8] = 0;
    assert_int_equal(ike_sa_parse(gh_view_of(body, sizeof(uint8_t[32 * 8])), &sa), IKE_OK);
    assert_int_equal(sa.count, 32);
    memcpy(body, (uint8_t[]){0, 0, 0x02, 0x10, 1, 1, 0, 65}, 8);
    for (unsigned i = 0; i < 65; i++)
        memcpy(body + 8 + i * 8, (uint8_t[]){i == 64 ? 0 : 3, 0, 0, 8, 1, 0, 0, 12}, 8);
    assert_int_equal(ike_sa_parse(gh_view_of(body, 8 + 65 * 8), &sa), IKE_TOO_MANY);

    for (unsigned i = 0; i < IKE_CP_MAX; i++)
        assert_true(ike_cp_add(&cp, 1, (struct gh_view){0}));
    assert_false(ike_cp_add(&cp, 1, (struct gh_view){0}));
    memset(body, 0, 4 + 4 * 65);
    assert_int_equal(ike_cp_parse(gh_view_of(body, 4 + 4 * 64), &cp), IKE_OK);
    assert_int_equal(ike_cp_parse(gh_view_of(body, 4 + 4 * 65), &cp), IKE_TOO_MANY);
}

static void what_does_not_fit_is_told(void **state)
{
    struct ike_rng rng = {99};
    uint8_t mem[200];
    struct gh_view wrote;

    for (size_t cap = 0; cap < sizeof(mem); cap++) {
        struct ike_out o = ike_out_message(mem, cap, &header);
        bool fits;

        ike_nonce_emit(&o, rng_view(&rng, 32));
        ike_vendor_emit(&o, rng_view(&rng, 64));
        fits = cap >= 28 + 36 + 68;
        assert_true(ike_out_done(&o, &wrote) == fits);
    }
}

static const struct {
    const char *what;
    uint8_t type;
    uint8_t body[48];
    size_t len;
    enum ike_fault fault;
} bodies[] = {
    {"SA: empty", IKE_P_SA, {0}, 0, IKE_SYNTAX},
    {"SA: proposal without transforms", IKE_P_SA, {0, 0, 0, 8, 1, 1, 0, 0}, 8, IKE_OK},
    {"SA: proposal too short", IKE_P_SA, {0, 0, 0, 7, 1, 1, 0}, 7, IKE_SYNTAX},
    {"SA: more announced", IKE_P_SA, {2, 0, 0, 8, 1, 1, 0, 0}, 8, IKE_SYNTAX},
    {"SA: last, but not",
     IKE_P_SA,
     {0, 0, 0, 8, 1, 1, 0, 0, 0, 0, 0, 8, 2, 1, 0, 0},
     16,
     IKE_SYNTAX},
    {"SA: more is 1", IKE_P_SA, {1, 0, 0, 8, 1, 1, 0, 0, 0, 0, 0, 8, 2, 1, 0, 0}, 16, IKE_SYNTAX},
    {"SA: numbers that skip",
     IKE_P_SA,
     {2, 0, 0, 8, 1, 1, 0, 0, 0, 0, 0, 8, 3, 1, 0, 0},
     16,
     IKE_SYNTAX},
    {"SA: two", IKE_P_SA, {2, 0, 0, 8, 1, 1, 0, 0, 0, 0, 0, 8, 2, 1, 0, 0}, 16, IKE_OK},
    {"SA: an answer to the fifth", IKE_P_SA, {0, 0, 0, 8, 5, 1, 0, 0}, 8, IKE_OK},
    {"SA: SPI beyond", IKE_P_SA, {0, 0, 0, 8, 1, 3, 4, 0}, 8, IKE_SYNTAX},
    {"SA: SPI of 17", IKE_P_SA, {0, 0, 0, 25, 1, 9, 17, 0}, 25, IKE_TOO_MANY},
    {"SA: SPI of 16", IKE_P_SA, {0, 0, 0, 24, 1, 6, 16, 0}, 24, IKE_OK},
    {"SA: transform missing", IKE_P_SA, {0, 0, 0, 8, 1, 1, 0, 1}, 8, IKE_SYNTAX},
    {"SA: transform", IKE_P_SA, {0, 0, 0, 16, 1, 1, 0, 1, 0, 0, 0, 8, 1, 0, 0, 12}, 16, IKE_OK},
    {"SA: transform uncounted",
     IKE_P_SA,
     {0, 0, 0, 16, 1, 1, 0, 0, 0, 0, 0, 8, 1, 0, 0, 12},
     16,
     IKE_SYNTAX},
    {"SA: transform says more",
     IKE_P_SA,
     {0, 0, 0, 16, 1, 1, 0, 1, 3, 0, 0, 8, 1, 0, 0, 12},
     16,
     IKE_SYNTAX},
    {"SA: transform says last",
     IKE_P_SA,
     {0, 0, 0, 24, 1, 1, 0, 2, 0, 0, 0, 8, 1, 0, 0, 12, 0, 0, 0, 8, 1, 0, 0, 3},
     24,
     IKE_SYNTAX},
    {"SA: transform too short",
     IKE_P_SA,
     {0, 0, 0, 16, 1, 1, 0, 1, 0, 0, 0, 7, 1, 0, 0, 12},
     16,
     IKE_SYNTAX},
    {"SA: half an attribute",
     IKE_P_SA,
     {0, 0, 0, 18, 1, 1, 0, 1, 0, 0, 0, 10, 1, 0, 0, 12, 0x80, 14},
     18,
     IKE_SYNTAX},
    {"SA: attribute beyond",
     IKE_P_SA,
     {0, 0, 0, 20, 1, 1, 0, 1, 0, 0, 0, 12, 1, 0, 0, 12, 0, 9, 0, 1},
     20,
     IKE_SYNTAX},
    {"SA: key length",
     IKE_P_SA,
     {0, 0, 0, 20, 1, 1, 0, 1, 0, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0},
     20,
     IKE_OK},
    {"KE: no data", IKE_P_KE, {0, 31, 0, 0}, 4, IKE_SYNTAX},
    {"KE: cut", IKE_P_KE, {0, 31, 0}, 3, IKE_SYNTAX},
    {"KE: reserved is ignored", IKE_P_KE, {0, 31, 9, 9, 1}, 5, IKE_OK},
    {"ID: no type", IKE_P_IDI, {0}, 0, IKE_SYNTAX},
    {"ID: IPv4 of 3", IKE_P_IDI, {1, 0, 0, 0, 1, 2, 3}, 7, IKE_SYNTAX},
    {"ID: IPv4", IKE_P_IDR, {1, 0, 0, 0, 1, 2, 3, 4}, 8, IKE_OK},
    {"ID: IPv6 of 4", IKE_P_IDI, {5, 0, 0, 0, 1, 2, 3, 4}, 8, IKE_SYNTAX},
    {"ID: no name", IKE_P_IDI, {2, 0, 0, 0}, 4, IKE_SYNTAX},
    {"ID: NULL", IKE_P_IDI, {13, 0, 0, 0}, 4, IKE_OK},
    {"CERT: nothing", IKE_P_CERT, {0}, 0, IKE_SYNTAX},
    {"CERT: no data", IKE_P_CERT, {4}, 1, IKE_SYNTAX},
    {"CERTREQ: nothing", IKE_P_CERTREQ, {0}, 0, IKE_SYNTAX},
    {"CERTREQ: any authority", IKE_P_CERTREQ, {4}, 1, IKE_OK},
    {"CERTREQ: a part of a hash", IKE_P_CERTREQ, {4, 1, 2}, 3, IKE_SYNTAX},
    {"CERTREQ: OCSP is not of hashes", IKE_P_CERTREQ, {14, 1, 2}, 3, IKE_OK},
    {"AUTH: cut", IKE_P_AUTH, {2, 0, 0}, 3, IKE_SYNTAX},
    {"AUTH: no data", IKE_P_AUTH, {2, 0, 0, 0}, 4, IKE_SYNTAX},
    {"Nonce: 15", IKE_P_NONCE, {0}, 15, IKE_SYNTAX},
    {"Nonce: 16", IKE_P_NONCE, {0}, 16, IKE_OK},
    {"N: cut", IKE_P_NOTIFY, {0, 0, 0}, 3, IKE_SYNTAX},
    {"N: SPI beyond", IKE_P_NOTIFY, {3, 4, 0, 11, 1, 2, 3}, 7, IKE_SYNTAX},
    {"N: SPI", IKE_P_NOTIFY, {3, 4, 0, 11, 1, 2, 3, 4}, 8, IKE_OK},
    {"D: IKE", IKE_P_DELETE, {1, 0, 0, 0}, 4, IKE_OK},
    {"D: IKE with SPIs", IKE_P_DELETE, {1, 4, 0, 1, 1, 2, 3, 4}, 8, IKE_SYNTAX},
    {"D: ESP with SPIs of 8", IKE_P_DELETE, {3, 8, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8}, 12, IKE_SYNTAX},
    {"D: fewer than it says", IKE_P_DELETE, {3, 4, 0, 2, 1, 2, 3, 4}, 8, IKE_SYNTAX},
    {"D: more than it says", IKE_P_DELETE, {3, 4, 0, 0, 1, 2, 3, 4}, 8, IKE_SYNTAX},
    {"D: 65535 of nothing", IKE_P_DELETE, {3, 4, 0xff, 0xff}, 4, IKE_SYNTAX},
    {"TS: none", IKE_P_TSI, {0, 0, 0, 0}, 4, IKE_SYNTAX},
    {"TS: one missing", IKE_P_TSI, {1, 0, 0, 0}, 4, IKE_SYNTAX},
    {"TS: IPv4",
     IKE_P_TSI,
     {1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 0xff, 0xff, 1, 2, 3, 4, 1, 2, 3, 5},
     20,
     IKE_OK},
    {"TS: more than it says",
     IKE_P_TSI,
     {1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 0xff, 0xff, 1, 2, 3, 4, 1, 2, 3, 5, 7},
     21,
     IKE_SYNTAX},
    {"TS: IPv4 of 15",
     IKE_P_TSI,
     {1, 0, 0, 0, 7, 0, 0, 15, 0, 0, 0xff, 0xff, 1, 2, 3, 4, 1, 2, 3},
     19,
     IKE_SYNTAX},
    {"TS: addresses backwards",
     IKE_P_TSI,
     {1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 0xff, 0xff, 1, 2, 3, 5, 1, 2, 3, 4},
     20,
     IKE_SYNTAX},
    {"TS: ports backwards",
     IKE_P_TSI,
     {1, 0, 0, 0, 7, 6, 0, 16, 0, 9, 0, 8, 1, 2, 3, 4, 1, 2, 3, 4},
     20,
     IKE_SYNTAX},
    {"TS: OPAQUE",
     IKE_P_TSI,
     {1, 0, 0, 0, 7, 6, 0, 16, 0xff, 0xff, 0, 0, 1, 2, 3, 4, 1, 2, 3, 4},
     20,
     IKE_OK},
    {"TS: unknown type", IKE_P_TSR, {1, 0, 0, 0, 99, 0, 0, 5, 1}, 9, IKE_OK},
    {"TS: unknown, length 3", IKE_P_TSR, {1, 0, 0, 0, 99, 0, 0, 3, 1}, 9, IKE_SYNTAX},
    {"CP: cut", IKE_P_CP, {1, 0, 0}, 3, IKE_SYNTAX},
    {"CP: nothing asked", IKE_P_CP, {1, 0, 0, 0}, 4, IKE_OK},
    {"CP: value beyond", IKE_P_CP, {1, 0, 0, 0, 0, 1, 0, 4, 1, 2, 3}, 11, IKE_SYNTAX},
    {"EAP: cut", IKE_P_EAP, {1, 0, 0}, 3, IKE_SYNTAX},
    {"EAP: another length", IKE_P_EAP, {1, 0, 0, 6, 1}, 5, IKE_SYNTAX},
    {"EAP: request without type", IKE_P_EAP, {1, 0, 0, 4}, 4, IKE_SYNTAX},
    {"EAP: success", IKE_P_EAP, {3, 0, 0, 4}, 4, IKE_OK},
    {"EAP: success with more", IKE_P_EAP, {3, 0, 0, 5, 1}, 5, IKE_SYNTAX},
    {"EAP: code 5", IKE_P_EAP, {5, 0, 0, 5, 1}, 5, IKE_SYNTAX},
    {"PS: empty", IKE_P_PS, {0}, 0, IKE_SYNTAX},
    {"PS: 6 octets", IKE_P_PS, {0}, 6, IKE_SYNTAX},
};

static void malformed_bodies(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        /* of its own size, so that a sanitizer sees what reads on */
        uint8_t *body = malloc(bodies[i].len > 0 ? bodies[i].len : 1);
        struct ike_payload p = {.type = bodies[i].type, .body = {body, bodies[i].len}};

        assert_non_null(body);
        memcpy(body, bodies[i].body, bodies[i].len);
        if (ike_payload_check(&p) != bodies[i].fault)
            fail_msg("%s: %s", bodies[i].what, ike_fault_text(ike_payload_check(&p)));
        free(body);
    }
}

static void odd_attributes(void **state)
{
    static const struct {
        uint8_t attributes[12];
        size_t len;
        bool odd;
        uint16_t key_bits;
    } table[] = {
        {{0x80, 14, 1, 0}, 4, false, 256},
        {{0x80, 14, 0, 0}, 4, true},                    /* no length */
        {{0x80, 14, 1, 0, 0x80, 14, 0, 128}, 8, true},  /* two */
        {{0x00, 14, 0, 2, 1, 0}, 6, true},              /* the long form */
        {{0x80, 15, 1, 0}, 4, true},                    /* unknown */
        {{0x80, 14, 1, 0, 0x00, 99, 0, 1, 7}, 9, true}, /* known and unknown */
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        static struct ike_sa sa;
        uint8_t body[40] = {0, 0, 0, (uint8_t)(16 + table[i].len), 1, 1, 0, 1,
                            0, 0, 0, (uint8_t)(8 + table[i].len),  1, 0, 0, 12};
        struct ike_out o = ike_out_inner(second_copy, ROOM);
        struct gh_view in = gh_view_of(body, 16 + table[i].len);

        memcpy(body + 16, table[i].attributes, table[i].len);
        assert_int_equal(ike_sa_parse(in, &sa), IKE_OK);
        assert_int_equal(sa.proposal[0].transform[0].odd.len > 0, table[i].odd);
        assert_int_equal(sa.proposal[0].transform[0].key_bits, table[i].key_bits);
        ike_sa_emit(&o, &sa);
        assert_memory_equal(second_copy + 4, body, in.len);
    }
}

static void excess_selectors_are_counted(void **state)
{
    struct ike_out o = ike_out_inner(first_copy, ROOM);
    struct ike_rng rng = {3};
    struct ike_ts_list list = {.count = IKE_TS_MAX};
    struct ike_payload p = {.type = IKE_P_TSI};

    for (size_t i = 0; i < IKE_TS_MAX; i++)
        do
            list.ts[i] = rng_ts(&rng);
        while (list.ts[i].type != IKE_TS_IPV4);
    ike_ts_emit(&o, IKE_P_TSI, &list);
    memcpy(first_copy + o.w.len, first_copy + 8, 16); /* the first once more */
    first_copy[4] = IKE_TS_MAX + 1;
    p.body = gh_view_of(first_copy + 4, o.w.len - 4 + 16);
    assert_int_equal(ike_ts_parse(p.body, &list), IKE_OK);
    assert_int_equal(list.count, IKE_TS_MAX);
    assert_int_equal(list.excess, 1);
}

static void notification_data(void **state)
{
    uint8_t mem[64];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct ike_redirect redirect = {IKE_GATEWAY_IPV4, gh_view_of("\1\2\3\4", 4),
                                    gh_view_of("nonce", 5)};
    struct ike_id_sync sync = {{1, 2, 3, 4}, 5, 6}, sync_again;
    struct ike_ticket ticket = {3600, gh_view_of("ticket", 6)};
    struct ike_ppk_id ppk = {2, gh_view_of("ppk", 3)};
    struct ike_puzzle puzzle = {5, 20};
    uint32_t set, number;
    uint64_t delta;
    uint16_t method;
    struct gh_addr addr;
    struct ike_ipcomp ipcomp;

    ike_redirect_put(&w, &redirect);
    assert_int_equal(ike_redirect_read(gh_view_of(mem, w.len), &redirect), IKE_OK);
    assert_int_equal(redirect.gateway.len, 4);
    assert_true(gh_view_equal(redirect.nonce, gh_view_of("nonce", 5)));
    assert_int_equal(ike_redirect_read(gh_view_of("\1\3abc", 5), &redirect), IKE_SYNTAX);
    assert_int_equal(ike_redirect_read(gh_view_of("\3\5abc", 5), &redirect), IKE_SYNTAX);

    w = gh_wr_make(mem, sizeof(mem));
    ike_id_sync_put(&w, &sync);
    assert_int_equal(w.len, 12);
    assert_int_equal(ike_id_sync_read(gh_view_of(mem, 12), &sync_again), IKE_OK);
    assert_memory_equal(&sync, &sync_again, sizeof(sync));
    assert_int_equal(ike_id_sync_read(gh_view_of(mem, 11), &sync_again), IKE_SYNTAX);

    w = gh_wr_make(mem, sizeof(mem));
    ike_ticket_put(&w, &ticket);
    assert_int_equal(ike_ticket_read(gh_view_of(mem, w.len), &ticket), IKE_OK);
    assert_int_equal(ticket.lifetime, 3600);
    assert_int_equal(ticket.ticket.len, 6);
    assert_int_equal(ike_ticket_read(gh_view_of(mem, 4), &ticket), IKE_SYNTAX);

    w = gh_wr_make(mem, sizeof(mem));
    ike_ppk_id_put(&w, &ppk);
    assert_int_equal(ike_ppk_id_read(gh_view_of(mem, w.len), &ppk), IKE_OK);
    assert_int_equal(ppk.type, 2);
    assert_int_equal(ike_ppk_id_read(gh_view_of(mem, 1), &ppk), IKE_SYNTAX);

    w = gh_wr_make(mem, sizeof(mem));
    ike_puzzle_put(&w, &puzzle);
    assert_int_equal(ike_puzzle_read(gh_view_of(mem, w.len), &puzzle), IKE_OK);
    assert_int_equal(puzzle.difficulty, 20);
    assert_int_equal(ike_puzzle_read(gh_view_of(mem, 2), &puzzle), IKE_SYNTAX);

    w = gh_wr_make(mem, sizeof(mem));
    ike_hashes_put(&w, 1u << IKE_HASH_SHA2_256 | 1u << IKE_HASH_IDENTITY);
    assert_int_equal(w.len, 4);
    assert_int_equal(ike_hashes_read(gh_view_of(mem, 4), &set), IKE_OK);
    assert_int_equal(set, 1u << IKE_HASH_SHA2_256 | 1u << IKE_HASH_IDENTITY);
    assert_int_equal(ike_hashes_read(gh_view_of("\0\2\0", 3), &set), IKE_SYNTAX);
    assert_int_equal(ike_hashes_read(gh_view_of("\377\377", 2), &set), IKE_OK);
    assert_int_equal(set, 0);

    assert_int_equal(ike_counter_sync_read(gh_view_of("\0\0\1\0", 4), &delta), IKE_OK);
    assert_int_equal(delta, 256);
    assert_int_equal(ike_counter_sync_read(gh_view_of("\0\0\0\1\0\0\0\0", 8), &delta), IKE_OK);
    assert_true(delta == UINT64_C(1) << 32);
    assert_int_equal(ike_counter_sync_read(gh_view_of("\0\0\0\1\0", 5), &delta), IKE_SYNTAX);
    assert_int_equal(ike_invalid_ke_read(gh_view_of("\0\37", 2), &method), IKE_OK);
    assert_int_equal(method, IKE_KE_CURVE25519);
    assert_int_equal(ike_invalid_ke_read(gh_view_of("\0", 1), &method), IKE_SYNTAX);
    assert_int_equal(ike_u32_read(gh_view_of("\0\0\0\5", 4), &number), IKE_OK);
    assert_int_equal(number, 5);
    assert_int_equal(ike_address_read(gh_view_of("\1\2\3\4", 4), &addr), IKE_OK);
    assert_int_equal(ike_address_read(gh_view_of("\1\2\3", 3), &addr), IKE_SYNTAX);
    assert_int_equal(ike_ipcomp_read(gh_view_of("\1\2\3", 3), &ipcomp), IKE_OK);
    assert_int_equal(ipcomp.transform, 3);
}

static void finding(void **state)
{
    struct ike_out o = ike_out_inner(first_copy, ROOM);
    struct ike_payloads p;
    struct ike_notify n;
    struct ike_certreq req = {IKE_CERT_X509, {first_copy, 40}};
    struct ike_delete d = {IKE_PROTO_ESP, 4, 2, gh_view_of("\1\2\3\4\5\6\7\10", 8)};
    struct gh_view wrote;

    ike_notify_emit_data(&o, IKE_N_COOKIE, gh_view_of("a", 1));
    ike_vendor_emit(&o, gh_view_of("us", 2));
    ike_notify_emit_data(&o, IKE_N_TS_UNACCEPTABLE, (struct gh_view){0});
    ike_notify_emit_data(&o, IKE_N_COOKIE, gh_view_of("bc", 2));
    assert_true(ike_out_done(&o, &wrote));
    assert_int_equal(ike_payloads_parse(o.first, wrote, &p), IKE_OK);
    assert_int_equal(ike_count(&p, IKE_P_NOTIFY), 3);
    assert_ptr_equal(ike_find(&p, IKE_P_NOTIFY, 2), &p.payload[3]);
    assert_null(ike_find(&p, IKE_P_NOTIFY, 3));
    assert_true(ike_find_notify(&p, IKE_N_COOKIE, 1, &n));
    assert_int_equal(n.data.len, 2);
    assert_false(ike_find_notify(&p, IKE_N_COOKIE, 2, &n));
    assert_true(ike_find_error(&p, &n));
    assert_int_equal(n.type, IKE_N_TS_UNACCEPTABLE);
    assert_true(ike_has_vendor(&p, gh_view_of("us", 2)));
    assert_false(ike_has_vendor(&p, gh_view_of("them", 4)));
    assert_true(ike_certreq_asks(&req, first_copy + 20));
    assert_false(ike_certreq_asks(&req, first_copy + 1));
    req.authorities.len = 0;
    assert_true(ike_certreq_asks(&req, first_copy + 1));
    assert_int_equal(ike_delete_spi(&d, 0), 0x01020304);
    assert_int_equal(ike_delete_spi(&d, 1), 0x05060708);
}

static void names(void **state)
{
    char buf[IKE_CODE_TEXT];
    char text[200];
    struct ike_proposal p = {.protocol = IKE_PROTO_IKE};

    assert_string_equal(ike_exchange_name(35), "IKE_AUTH");
    assert_string_equal(ike_notify_name(16430), "IKEV2_FRAGMENTATION_SUPPORTED");
    assert_string_equal(ike_payload_name(53), "SKF");
    assert_null(ike_notify_name(40960));
    assert_string_equal(ike_code_text(ike_notify_name(40960), 40960, buf), "40960");
    assert_true(ike_encr_is_aead(IKE_ENCR_AES_GCM_16) && ike_encr_is_aead(IKE_ENCR_AES_CCM_8) &&
                ike_encr_is_aead(IKE_ENCR_CHACHA20_POLY1305));
    assert_false(ike_encr_is_aead(IKE_ENCR_AES_CBC) || ike_encr_is_aead(IKE_ENCR_AES_CTR) ||
                 ike_encr_is_aead(IKE_ENCR_NULL) || ike_encr_is_aead(IKE_ENCR_CAMELLIA_CTR) ||
                 ike_encr_is_aead(17) || ike_encr_is_aead(22));
    assert_true(ike_proposal_add(&p, IKE_T_ENCR, IKE_ENCR_AES_GCM_16, 256));
    assert_true(ike_proposal_add(&p, IKE_T_KE, IKE_KE_CURVE25519, 0));
    assert_true(ike_proposal_add(&p, IKE_T_ADDKE1, IKE_KE_ML_KEM_768, 0));
    assert_true(ike_proposal_add(&p, 99, 7, 0));
    assert_string_equal(ike_proposal_format(&p, text, sizeof(text)),
                        "IKE: ENCR_AES_GCM_16_256 CURVE25519 ADDKE1=ML_KEM_768 99=7");
    for (size_t len = 1; len < sizeof(text); len++)
        assert_true(strlen(ike_proposal_format(&p, text, len)) < len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_layout),
        cmocka_unit_test(versions_and_length),
        cmocka_unit_test(critical_bit),
        cmocka_unit_test(every_payload_is_what_was_written),
        cmocka_unit_test(broken_messages_stay_in_bounds),
        cmocka_unit_test(chains),
        cmocka_unit_test(envelopes_end_the_message),
        cmocka_unit_test(limits),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(malformed_bodies),
        cmocka_unit_test(odd_attributes),
        cmocka_unit_test(excess_selectors_are_counted),
        cmocka_unit_test(notification_data),
        cmocka_unit_test(finding),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
