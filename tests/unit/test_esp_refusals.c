/* Word to who sends what is not let out: which, to whom, how many. */
#include "ipsec_pair.h"

#include "daemon/esp_refusals.h"
#include "tunnel/icmp.h"

static struct buffer one;
static struct {
    unsigned count;
    uint8_t octets[2048];
    size_t len;
    uint32_t place;
} told;

static void on_deliver(void *ctx, struct ipsec_packet *p)
{
    told.count++;
    told.len = p->len;
    told.place = p->place;
    memcpy(told.octets, ipsec_packet_data(p), p->len);
}

static struct gh_esp_refusals *fresh(uint16_t messages)
{
    static struct gh_esp_refusals r;
    const struct gh_ike_settings s = {.prohibited_messages = messages, .prohibited_seconds = 10};

    r = (struct gh_esp_refusals){.deliver = on_deliver};
    memset(&told, 0, sizeof(told));
    gh_esp_refusals_configure(&r, &s, 1000);
    return &r;
}

static void passes(struct gh_esp_refusals *r, uint64_t now_ms, enum ipsec_result result,
                   const char *from, const char *to)
{
    make_packet(&one, from, to, 60, 0, true);
    one.p.result = result;
    one.p.place = 7;
    gh_esp_refusals_out(r, now_ms, &one.p, 1);
}

static void what_policy_does_not_let_out(void **state)
{
    struct gh_esp_refusals *r = fresh(100);

    passes(r, 1000, IPSEC_NO_POLICY, "10.1.0.5", "10.9.0.5");
    assert_int_equal(told.count, 1);
    assert_int_equal(told.place, 7);
    assert_int_equal(told.octets[20], 3);
    assert_int_equal(told.octets[21], 13);
    assert_memory_equal(told.octets + 12, one.mem + HEAD + 16, 4); /* as if its destination … */
    assert_memory_equal(told.octets + 16, one.mem + HEAD + 12, 4); /* … had said so to its source */
    assert_memory_equal(told.octets + 28, one.mem + HEAD, one.p.len);
    passes(r, 1000, IPSEC_DISCARDED, "2001:db8::5", "2001:db8:1::5");
    assert_int_equal(told.count, 2);
    assert_int_equal(told.octets[40], 1);
    assert_int_equal(told.octets[41], 1);
    for (int result = 0; result < IPSEC_RESULT_COUNT; result++)
        if (result != IPSEC_NO_POLICY && result != IPSEC_DISCARDED)
            passes(r, 1000, (enum ipsec_result)result, "10.1.0.5", "10.9.0.5");
    assert_int_equal(told.count, 2);
    passes(r, 1000, IPSEC_NO_POLICY, "10.1.0.5", "224.0.0.5"); /* by the rules of ICMP none */
    assert_int_equal(told.count, 2);
    assert_true(r->counts.prohibited == 2 && r->counts.limited == 1);
}

static void what_has_waited_in_vain(void **state)
{
    struct gh_esp_refusals *r = fresh(100);

    make_packet(&one, "10.1.0.5", "10.9.0.5", 60, 0, true);
    gh_esp_refusals_late(r, 1000, 3, one.mem + HEAD, one.p.len);
    assert_int_equal(told.place, 3);
    assert_int_equal(told.octets[20], 3);
    assert_int_equal(told.octets[21], 1);
    make_packet(&one, "2001:db8::5", "2001:db8:1::5", 60, 0, true);
    gh_esp_refusals_late(r, 1000, 3, one.mem + HEAD, one.p.len);
    assert_int_equal(told.octets[40], 1);
    assert_int_equal(told.octets[41], 3);
    assert_int_equal(r->counts.unreachable, 2);
}

static void not_by_default_and_not_too_many(void **state)
{
    const struct gh_ike_settings as_it_is = {.prohibited_messages = 10, .prohibited_seconds = 10};
    struct gh_esp_refusals *r = fresh(gh_ike_default_settings().prohibited_messages);

    passes(r, 1000, IPSEC_NO_POLICY, "10.1.0.5", "10.9.0.5");
    gh_esp_refusals_late(r, 1000, 3, one.mem + HEAD, one.p.len);
    assert_int_equal(told.count, 0);
    r = fresh(10);
    for (int i = 0; i < 100; i++) {
        passes(r, 1000, IPSEC_NO_POLICY, "10.1.0.5", "10.9.0.5");
        gh_esp_refusals_configure(r, &as_it_is, 1000); /* a reload does not begin anew */
    }
    assert_int_equal(told.count, 10);
    assert_int_equal(r->counts.limited, 90);
    passes(r, 2000, IPSEC_NO_POLICY, "10.1.0.5", "10.9.0.5");
    assert_int_equal(told.count, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_policy_does_not_let_out),
        cmocka_unit_test(what_has_waited_in_vain),
        cmocka_unit_test(not_by_default_and_not_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
