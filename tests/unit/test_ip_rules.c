/* Rules that choose a routing table: which there are, and their way to the kernel and back. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "platform/ip_rules.h"
#include "platform/netlink.h"
#include "platform/routes.h"

static const struct gh_ip_rule *by_preference(const struct gh_ip_rule *rules, size_t count, bool v6,
                                              uint32_t preference)
{
    for (size_t i = 0; i < count; i++)
        if (rules[i].v6 == v6 && rules[i].preference == preference)
            return &rules[i];
    return NULL;
}

/* The tables in the order in which they are asked, as "TABLE/SUPPRESSED". */
static const char *order(const struct gh_ip_rule *rules, size_t count, bool v6, char out[1000])
{
    size_t len = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < 32766; i++) {
        const struct gh_ip_rule *r = by_preference(rules, count, v6, i);

        if (r != NULL && r->action == FR_ACT_TO_TBL)
            len += (size_t)snprintf(out + len, 1000 - len, "%s%s%d", len > 0 ? " " : "",
                                    r->to == RT_TABLE_MAIN ? "main>" : "",
                                    r->to == RT_TABLE_MAIN ? r->suppress
                                                           : (int)(r->to - GH_DETOUR_TABLE));
    }
    return out;
}

static void longest_first(void **state)
{
    struct gh_detours d = {.v4 = {[0] = true, [24] = true, [32] = true}, .v6 = {[0] = true}};
    struct gh_ip_rule rules[GH_IP_RULES_MAX];
    size_t count = gh_ip_rules_plan(&d, rules);
    char text[1000];

    assert_string_equal(order(rules, count, false, text), "32 main>24 24 main>0 0");
    assert_string_equal(order(rules, count, true, text), "main>0 0");
    d.v6[0] = false;
    count = gh_ip_rules_plan(&d, rules);
    assert_string_equal(order(rules, count, true, text), "");
    assert_null(by_preference(rules, count, true, 1100));
    assert_int_equal(gh_ip_rules_plan(&(struct gh_detours){.v4 = {false}}, rules), 0);
}

/* As they are added, each one leads to what is there, and the mark's goes before all tables. */
static void the_mark_is_first(void **state)
{
    const struct gh_detours d = {.v4 = {[8] = true}};
    struct gh_ip_rule rules[GH_IP_RULES_MAX];
    size_t count = gh_ip_rules_plan(&d, rules);
    bool marked = false;

    for (size_t i = 0; i < count; i++) {
        const struct gh_ip_rule *r = &rules[i];

        marked |= r->mark != 0;
        if (r->action == FR_ACT_GOTO)
            assert_non_null(by_preference(rules, i, r->v6, r->to));
        if (r->action == FR_ACT_GOTO)
            assert_true(r->to > r->preference);
        assert_true(r->action != FR_ACT_TO_TBL || marked);
    }
    assert_true(marked);
}

static void all_lengths_have_room(void **state)
{
    struct gh_ip_rule rules[GH_IP_RULES_MAX + 100];
    struct gh_detours d;
    size_t count;

    memset(&d, true, sizeof(d));
    for (int in_vrf = 0; in_vrf < 2; in_vrf++) {
        d.vrf = in_vrf ? "red" : NULL;
        d.table = 10;
        memset(rules, 0xee, sizeof(rules));
        count = gh_ip_rules_plan(&d, rules);
        assert_in_range(count, (1 + in_vrf) * (2 * (33 + 129) - 2), GH_IP_RULES_MAX);
        assert_int_equal(((uint8_t *)&rules[GH_IP_RULES_MAX])[0], 0xee);
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < i; k++)
                assert_false(rules[i].v6 == rules[k].v6 && rules[i].sends == rules[k].sends &&
                             rules[i].preference == rules[k].preference);
    }
}

/* Before the rule of all VRFs, with the VRF's own table, for what is sent and what is forwarded;
 * nothing is for those outside of it. */
static void a_vrf_has_its_own(void **state)
{
    const struct gh_detours d = {.vrf = "red", .table = 10, .v4 = {[0] = true, [24] = true}};
    struct gh_ip_rule rules[GH_IP_RULES_MAX];
    size_t count = gh_ip_rules_plan(&d, rules);

    assert_int_equal(count, 2 * 6);
    for (size_t i = 0; i < count; i++) {
        const struct gh_ip_rule *r = &rules[i];

        assert_string_equal(r->vrf, "red");
        assert_int_equal(r->sends, i >= count / 2);
        assert_in_range(r->preference, 700, 999);
        if (r->action == FR_ACT_GOTO)
            assert_int_equal(r->to, 999);
        if (r->action == FR_ACT_TO_TBL)
            assert_true(r->suppress >= 0 ? r->to == 10
                                         : r->to == 0x48000a00 || r->to == 0x48000a18);
    }
    assert_int_equal(gh_ip_rules_tables(65535), 0x48ffff00);
    assert_int_equal(gh_ip_rules_tables(65536), 0);
    assert_int_equal(
        gh_ip_rules_plan(&(struct gh_detours){.vrf = "red", .table = 65536, .v4 = {true}}, rules),
        0);
}

static void there_and_back(void **state)
{
    struct gh_detours d = {.table = 10, .v4 = {[0] = true, [32] = true}, .v6 = {[64] = true}};
    struct gh_ip_rule rules[GH_IP_RULES_MAX], got;

    for (int in_vrf = 0; in_vrf < 2; in_vrf++) {
        size_t count;

        d.vrf = in_vrf ? "a-long-name-red" : NULL;
        count = gh_ip_rules_plan(&d, rules);
        for (size_t i = 0; i < count; i++) {
            uint8_t mem[256];
            struct gh_wr w = gh_wr_make(mem, sizeof(mem));
            struct gh_nl_message m;
            struct gh_rd r;

            gh_ip_rules_put(&w, RTM_NEWRULE, 0, &rules[i]);
            assert_true(gh_wr_ok(&w));
            r = gh_rd_make(mem, w.len);
            assert_true(gh_nl_next(&r, &m));
            assert_true(gh_ip_rules_parse(&m, &got));
            assert_true(gh_ip_rules_same(&rules[i], &got));
            got.preference++;
            assert_false(gh_ip_rules_same(&rules[i], &got));
        }
    }
}

static void others_are_not_ours(void **state)
{
    const struct fib_rule_hdr head = {.family = AF_INET, .action = FR_ACT_TO_TBL};
    const uint32_t preference = 1100;
    uint8_t mem[128], protocol = RTPROT_STATIC;
    struct gh_ip_rule got;

    for (int kind = 0; kind < 3; kind++) {
        struct gh_wr w = gh_wr_make(mem, sizeof(mem));
        size_t start = gh_nl_begin(&w, kind == 2 ? RTM_NEWROUTE : RTM_NEWRULE, 0, 1);
        struct gh_nl_message m;
        struct gh_rd r;

        gh_wr_bytes(&w, &head, sizeof(head));
        gh_nl_put_attr(&w, FRA_PRIORITY, &preference, sizeof(preference));
        if (kind == 2)
            protocol = GH_ROUTE_PROTOCOL;
        if (kind > 0)
            gh_nl_put_attr(&w, FRA_PROTOCOL, &protocol, 1);
        gh_nl_end(&w, start);
        r = gh_rd_make(mem, w.len);
        assert_true(gh_nl_next(&r, &m));
        assert_false(gh_ip_rules_parse(&m, &got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longest_first),         cmocka_unit_test(the_mark_is_first),
        cmocka_unit_test(all_lengths_have_room), cmocka_unit_test(a_vrf_has_its_own),
        cmocka_unit_test(there_and_back),        cmocka_unit_test(others_are_not_ours)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
