/*
 * The table of admission: every row with all that it needs and may have, and each thing that it
 * refuses.
 */
#include "unit.h"

#include <string.h>

#include "ike/admission.h"
#include "ike/cookie.h"
#include "ike_random.h"

enum { ROOM = 1 << 15, LAST = IKE_P_PS };

static struct ike_rng rng = {2718};

/* A message under construction: types of its payloads, in clear or as the inner chain. */
struct made {
    uint8_t mem[ROOM];
    struct ike_message m;
    struct ike_payloads inner;
};

static struct made made;

static void one(struct ike_out *o, const struct ike_admission *row, uint8_t type)
{
    if (type == IKE_P_NOTIFY)
        ike_notify_emit_data(o, row->need_notify != 0 ? row->need_notify : 40960,
                             gh_view_of("data", 4));
    else if (type >= IKE_P_GSPM && type <= IKE_P_KD)
        ike_out_payload(o, type, false, gh_view_of("what", 4));
    else
        rng_payload(&rng, o, type);
}

static void finish(struct ike_out *o, const struct ike_admission *row, bool response)
{
    struct gh_view all;

    assert_true(ike_out_done(o, &all));
    memset(&made.m, 0, sizeof(made.m));
    made.m.h.exchange = row->exchange;
    made.m.h.flags = response ? IKE_FLAG_RESPONSE : 0;
    made.inner.count = 0;
    assert_int_equal(ike_payloads_parse(o->first, all, row->sealed ? &made.inner : &made.m.clear),
                     IKE_OK);
    if (row->sealed)
        made.m.sealed.type = IKE_P_SK;
}

static void build(const struct ike_admission *row, bool response, ike_payload_set set,
                  uint8_t extra)
{
    struct ike_out o = ike_out_inner(made.mem, sizeof(made.mem));

    for (uint8_t type = IKE_P_SA; type <= LAST; type++)
        if (set & IKE_SET(type))
            one(&o, row, type);
    if (extra != 0)
        one(&o, row, extra);
    finish(&o, row, response);
}

static bool admitted(enum ike_step step, bool response, struct ike_verdict *v)
{
    const struct ike_admission *row = ike_admission_row(step, response);
    enum ike_state state = (enum ike_state)(row->states & -row->states);

    return ike_admit(step, response, state, &made.m, row->sealed ? &made.inner : NULL, v);
}

static void must_refuse(enum ike_step step, bool response, enum ike_fault fault, uint8_t payload)
{
    struct ike_verdict v;

    if (admitted(step, response, &v) || v.fault != fault || v.payload != payload)
        fail_msg("%s: %s (%s), not %s (%s)", v.story, ike_fault_text(v.fault),
                 ike_payload_name(v.payload), ike_fault_text(fault), ike_payload_name(payload));
    assert_int_equal(v.notify, response ? 0 : ike_fault_notify(fault));
}

static void must_admit(enum ike_step step, bool response)
{
    struct ike_verdict v;

    if (!admitted(step, response, &v))
        fail_msg("%s: %s (%s)", v.story, ike_fault_text(v.fault), ike_payload_name(v.payload));
    assert_int_equal(v.refused, 0);
}

static void the_table_is_sound(void **state)
{
    const char *fault = ike_admission_self_check();

    if (fault != NULL)
        fail_msg("%s", fault);
}

typedef void (*per_row)(enum ike_step step, bool response, const struct ike_admission *row);

static void each_row(per_row look)
{
    for (unsigned step = 0; step < IKE_STEP_COUNT; step++)
        for (unsigned response = 0; response < 2; response++)
            look((enum ike_step)step, response, ike_admission_row((enum ike_step)step, response));
}

static ike_payload_set all_of(const struct ike_admission *row)
{
    return row->need | row->may | row->idle | IKE_SET(IKE_P_NOTIFY) | IKE_SET(IKE_P_VENDOR);
}

static void payload_by_payload(enum ike_step step, bool response, const struct ike_admission *row)
{
    build(row, response, row->need, 0);
    must_admit(step, response);
    build(row, response, all_of(row), 0);
    must_admit(step, response);
    for (uint8_t type = IKE_P_SA; type <= LAST; type++) {
        ike_payload_set bit = IKE_SET(type);

        if (type == IKE_P_SK || type == IKE_P_SKF)
            continue;
        if (row->need & bit) {
            build(row, response, all_of(row) & ~bit, 0);
            must_refuse(step, response, IKE_MISSING, type);
        }
        if ((row->together & bit) != 0) {
            uint8_t absent = type == IKE_P_SA ? IKE_P_TSI : IKE_P_SA;

            build(row, response, row->need | bit, 0);
            must_refuse(step, response, IKE_MISSING, absent);
        }
        build(row, response, row->need, type);
        if (!(all_of(row) & bit) && type >= IKE_P_GSPM && type <= IKE_P_KD)
            must_admit(step, response); /* unknown to us */
        else if (!(all_of(row) & bit))
            must_refuse(step, response, IKE_MISPLACED, type);
        build(row, response, all_of(row), type);
        if (!(all_of(row) & bit))
            continue;
        if ((row->many & bit) || type == IKE_P_NOTIFY || type == IKE_P_VENDOR)
            must_admit(step, response);
        else
            must_refuse(step, response, IKE_TWICE, type);
    }
}

static void every_payload_in_every_row(void **state)
{
    each_row(payload_by_payload);
}

static void header_by_header(enum ike_step step, bool response, const struct ike_admission *row)
{
    struct ike_verdict v;

    for (unsigned bit = 1; bit <= IKE_STATE_ESTABLISHED; bit <<= 1) {
        build(row, response, row->need, 0);
        assert_int_equal(ike_admit_header(step, response, (enum ike_state)bit, &made.m, &v),
                         (row->states & bit) != 0);
    }
    build(row, response, row->need, 0);
    made.m.h.flags ^= IKE_FLAG_RESPONSE;
    must_refuse(step, response, IKE_WRONG_EXCHANGE, 0);
    build(row, response, row->need, 0);
    made.m.h.exchange = 99;
    if (row->exchange != 0)
        must_refuse(step, response, IKE_WRONG_EXCHANGE, 0);
    build(row, response, row->need, 0);
    if (row->sealed) {
        made.m.sealed.type = 0;
        must_refuse(step, response, IKE_NOT_SEALED, 0);
        made.m.sealed.type = IKE_P_SKF;
        must_admit(step, response);
        /* something in clear beside it */
        made.m.clear = made.inner;
        made.m.clear.count = 1;
        made.m.clear.payload[0].type = IKE_P_VENDOR;
        must_refuse(step, response, IKE_MISPLACED, IKE_P_VENDOR);
        made.m.clear.payload[0].type = 200;
        must_admit(step, response);
        made.m.clear.payload[0].critical = true;
        must_refuse(step, response, IKE_CRITICAL, 200);
        made.m.clear.payload[0] =
            (struct ike_payload){.type = IKE_P_PS, .body = gh_view_of("1234", 4)};
        if (row->beside & IKE_SET(IKE_P_PS)) {
            must_admit(step, response);
            made.m.clear.payload[1] = made.m.clear.payload[0];
            made.m.clear.count = 2;
            must_refuse(step, response, IKE_TWICE, IKE_P_PS);
        } else {
            must_refuse(step, response, IKE_MISPLACED, IKE_P_PS);
        }
    } else {
        made.m.sealed.type = IKE_P_SK;
        must_refuse(step, response, IKE_SEALED, IKE_P_SK);
    }
}

static void every_header_in_every_row(void **state)
{
    each_row(header_by_header);
}

static void unknown_by_row(enum ike_step step, bool response, const struct ike_admission *row)
{
    struct ike_payloads *p = row->sealed ? &made.inner : &made.m.clear;

    build(row, response, row->need, 200);
    p->payload[p->count - 1].critical = false;
    must_admit(step, response);
    p->payload[p->count - 1].critical = true;
    must_refuse(step, response, IKE_CRITICAL, 200);
    /* also where something else is wrong too */
    build(row, response, 0, 200);
    p->payload[p->count - 1].critical = true;
    must_refuse(step, response, IKE_CRITICAL, 200);
    /* of payloads that we know the bit is ignored (RFC 7296 3.2) */
    build(row, response, row->need, IKE_P_VENDOR);
    p->payload[p->count - 1].critical = true;
    must_admit(step, response);
    /* a body that does not parse */
    build(row, response, row->need, IKE_P_NOTIFY);
    p->payload[p->count - 1].body.len = 3;
    must_refuse(step, response, IKE_SYNTAX, IKE_P_NOTIFY);
}

static void unknown_and_broken_in_every_row(void **state)
{
    each_row(unknown_by_row);
}

static void build_notify(const struct ike_admission *row, bool response, uint16_t type)
{
    struct ike_out o = ike_out_inner(made.mem, sizeof(made.mem));

    ike_notify_emit_data(&o, type, gh_view_of("data", 4));
    finish(&o, row, response);
}

static void refusals_by_row(enum ike_step step, bool response, const struct ike_admission *row)
{
    static const uint16_t types[] = {IKE_N_NO_PROPOSAL_CHOSEN, IKE_N_COOKIE,
                                     IKE_N_REDIRECT,           IKE_N_TICKET_NACK,
                                     IKE_N_USE_TRANSPORT_MODE, 9999};

    if ((row->need & ~IKE_SET(IKE_P_NOTIFY)) == 0)
        return;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct ike_verdict v;
        bool expected = row->error_instead && types[i] < IKE_N_STATUS;

        for (unsigned j = 0; j < IKE_INSTEAD_MAX; j++)
            expected = expected || row->instead[j] == types[i];
        build_notify(row, response, types[i]);
        assert_int_equal(admitted(step, response, &v), expected);
        assert_int_equal(v.refused, expected ? types[i] : 0);
        assert_int_equal(v.fault, expected ? IKE_OK : IKE_MISSING);
    }
}

static void refusals_stand_instead(void **state)
{
    each_row(refusals_by_row);
}

static void needed_notifications(void **state)
{
    for (unsigned step = 0; step < IKE_STEP_COUNT; step++) {
        struct ike_admission row = *ike_admission_row((enum ike_step)step, false);

        if (row.need_notify == 0)
            continue;
        row.need_notify = 40960; /* another one in its place */
        build(&row, false, row.need, 0);
        must_refuse((enum ike_step)step, false, IKE_MISSING, IKE_P_NOTIFY);
    }
}

/* A Child SA that failed within a good IKE_AUTH. */
static void no_child_in_a_good_auth(void **state)
{
    const struct ike_admission *row = ike_admission_row(IKE_STEP_AUTH, true);
    struct ike_out o = ike_out_inner(made.mem, sizeof(made.mem));
    struct ike_verdict v;

    rng_payload(&rng, &o, IKE_P_IDR);
    rng_payload(&rng, &o, IKE_P_AUTH);
    ike_notify_emit_data(&o, IKE_N_TS_UNACCEPTABLE, (struct gh_view){0});
    finish(&o, row, true);
    assert_true(admitted(IKE_STEP_AUTH, true, &v));
    assert_int_equal(v.refused, 0);
}

static void forms_of_create_child_sa(void **state)
{
    static struct ike_sa sa;
    struct ike_out o = ike_out_inner(made.mem, sizeof(made.mem));
    const struct ike_admission *row = ike_admission_row(IKE_STEP_CHILD_NEW, false);

    sa.count = 1;
    sa.proposal[0] = (struct ike_proposal){.number = 1, .protocol = IKE_PROTO_ESP};
    ike_sa_emit(&o, &sa);
    finish(&o, row, false);
    assert_int_equal(ike_child_step(&made.inner), IKE_STEP_CHILD_NEW);
    ike_notify_emit_data(&o, IKE_N_REKEY_SA, (struct gh_view){0});
    finish(&o, row, false);
    assert_int_equal(ike_child_step(&made.inner), IKE_STEP_CHILD_REKEY);
    o = ike_out_inner(made.mem, sizeof(made.mem));
    sa.proposal[0].protocol = IKE_PROTO_IKE;
    ike_sa_emit(&o, &sa);
    finish(&o, row, false);
    assert_int_equal(ike_child_step(&made.inner), IKE_STEP_IKE_REKEY);
}

static void notifications_are_heard_at_their_place(void **state)
{
    static const struct {
        enum ike_step step;
        bool response;
        uint16_t type;
        size_t spi, data;
        bool heard;
        enum ike_fault fault;
    } table[] = {
        {IKE_STEP_SA_INIT, false, IKE_N_COOKIE, 0, 8, true, IKE_OK},
        {IKE_STEP_SA_INIT, false, IKE_N_COOKIE, 0, 64, true, IKE_OK},
        {IKE_STEP_SA_INIT, true, IKE_N_COOKIE, 0, 65, true, IKE_SYNTAX},
        {IKE_STEP_SA_INIT, true, IKE_N_COOKIE, 0, 0, true, IKE_SYNTAX},
        {IKE_STEP_AUTH, false, IKE_N_COOKIE, 0, 8, false, IKE_OK},
        {IKE_STEP_SA_INIT, true, IKE_N_INVALID_KE_PAYLOAD, 0, 2, true, IKE_OK},
        {IKE_STEP_SA_INIT, false, IKE_N_INVALID_KE_PAYLOAD, 0, 2, false, IKE_OK},
        {IKE_STEP_INFORMATIONAL, false, IKE_N_AUTHENTICATION_FAILED, 0, 0, true, IKE_OK},
        {IKE_STEP_INFORMATIONAL, false, IKE_N_INVALID_MESSAGE_ID, 0, 4, true, IKE_OK},
        {IKE_STEP_AUTH, false, IKE_N_INVALID_MESSAGE_ID, 0, 4, false, IKE_OK},
        {IKE_STEP_AUTH, true, IKE_N_SET_WINDOW_SIZE, 0, 4, true, IKE_OK},
        {IKE_STEP_INFORMATIONAL, false, IKE_N_SET_WINDOW_SIZE, 0, 5, true, IKE_SYNTAX},
        {IKE_STEP_SA_INIT, false, IKE_N_SET_WINDOW_SIZE, 0, 4, false, IKE_OK},
        {IKE_STEP_CHILD_REKEY, false, IKE_N_REKEY_SA, 4, 0, true, IKE_OK},
        {IKE_STEP_CHILD_REKEY, false, IKE_N_REKEY_SA, 0, 0, true, IKE_SYNTAX},
        {IKE_STEP_AUTH, true, IKE_N_REKEY_SA, 4, 0, false, IKE_OK},
        {IKE_STEP_AUTH, false, IKE_N_FRAGMENTATION_SUPPORTED, 0, 0, false, IKE_OK},
        {IKE_STEP_SA_INIT, true, IKE_N_FRAGMENTATION_SUPPORTED, 0, 0, true, IKE_OK},
        {IKE_STEP_SA_INIT, true, IKE_N_FRAGMENTATION_SUPPORTED, 0, 1, true, IKE_SYNTAX},
        {IKE_STEP_STRAY, false, IKE_N_INVALID_SPI, 0, 4, true, IKE_OK},
        {IKE_STEP_STRAY, true, IKE_N_INVALID_IKE_SPI, 0, 0, true, IKE_OK},
        {IKE_STEP_STRAY, true, IKE_N_QUICK_CRASH_DETECTION, 0, 16, true, IKE_OK},
        {IKE_STEP_STRAY, true, IKE_N_QUICK_CRASH_DETECTION, 0, 15, true, IKE_SYNTAX},
        {IKE_STEP_AUTH, true, IKE_N_TCP_AO_SUPPORTED, 0, 1, true, IKE_OK},
        {IKE_STEP_AUTH, false, IKE_N_TCP_AO_SUPPORTED, 0, 2, true, IKE_SYNTAX},
        {IKE_STEP_AUTH, false, IKE_N_TCP_AO_SUPPORTED, 0, 0, true, IKE_SYNTAX},
        {IKE_STEP_SA_INIT, false, IKE_N_TCP_AO_SUPPORTED, 0, 1, false, IKE_OK},
        {IKE_STEP_INFORMATIONAL, false, IKE_N_TCP_AO_SUPPORTED, 0, 1, true, IKE_OK},
        {IKE_STEP_INFORMATIONAL, true, IKE_N_TCP_AO_SUPPORTED, 0, 1, false, IKE_OK},
        {IKE_STEP_CHILD_NEW, false, IKE_N_TCP_AO_OPTIONS_NOT_COVERED, 0, 1, true, IKE_SYNTAX},
        {IKE_STEP_CHILD_NEW, false, IKE_N_TCP_AO_MAC_LENGTH, 0, 0, true, IKE_SYNTAX},
        {IKE_STEP_CHILD_NEW, true, IKE_N_TCP_AO_MAC_LENGTH, 0, 2, true, IKE_SYNTAX},
        {IKE_STEP_CHILD_NEW, true, IKE_N_TCP_AO_MAC_LENGTH, 4, 1, true, IKE_SYNTAX},
        {IKE_STEP_CHILD_NEW, false, IKE_N_TCP_AO_OPTIONS_NOT_COVERED, 0, 0, true, IKE_OK},
        {IKE_STEP_CHILD_REKEY, true, IKE_N_TCP_AO_MAC_LENGTH, 0, 1, true, IKE_OK},
        {IKE_STEP_IKE_REKEY, true, IKE_N_TCP_AO_MAC_LENGTH, 0, 1, false, IKE_OK},
        {IKE_STEP_AUTH, true, 40960, 0, 0, false, IKE_OK},
        {IKE_STEP_AUTH, true, 9999, 0, 0, true, IKE_OK}, /* an error that we do not know */
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct ike_notify n = {.type = table[i].type,
                               .spi = rng_view(&rng, table[i].spi),
                               .data = rng_view(&rng, table[i].data)};
        enum ike_fault fault;

        if (ike_notify_heard(table[i].step, table[i].response, &n, &fault) != table[i].heard ||
            fault != table[i].fault)
            fail_msg("%zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(every_payload_in_every_row),
        cmocka_unit_test(every_header_in_every_row),
        cmocka_unit_test(unknown_and_broken_in_every_row),
        cmocka_unit_test(refusals_stand_instead),
        cmocka_unit_test(needed_notifications),
        cmocka_unit_test(no_child_in_a_good_auth),
        cmocka_unit_test(forms_of_create_child_sa),
        cmocka_unit_test(notifications_are_heard_at_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
