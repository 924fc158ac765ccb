/* What `esp` shows of its policies, and which unknown SPIs it speaks of. */
#include "ipsec_pair.h"

#include "cli/policy.h"
#include "cli/render.h"
#include "daemon/esp_spd.h"
#include "daemon/esp_strangers.h"

/* ---- Strangers ------------------------------------------------------------------------------- */

static struct buffer one;

/* ESP with this SPI. */
static const struct ipsec_packet *esp(const char *src, const char *dst, uint32_t spi)
{
    struct gh_wr w;
    uint8_t *data;

    make_packet(&one, src, dst, 40, 0, true);
    data = one.mem + (ipsec_packet_data(&one.p) - one.mem);
    data[9] = 50;
    w = gh_wr_make(data + 20, 4);
    gh_wr_u32(&w, spi);
    return &one.p;
}

static void each_once_and_few_of_them(void **state)
{
    struct gh_esp_strangers s = {.next = 0};
    struct gh_esp_stranger x;
    char text[GH_ADDR_TEXT];
    unsigned told = 0;

    assert_true(gh_esp_stranger(&s, esp("192.0.2.2", "192.0.2.1", 0xabcdef01), 1000, &x));
    assert_int_equal(x.spi, 0xabcdef01);
    assert_string_equal(gh_addr_format(&x.remote, text), "192.0.2.2");
    assert_string_equal(gh_addr_format(&x.local, text), "192.0.2.1");
    assert_false(gh_esp_stranger(&s, esp("192.0.2.2", "192.0.2.1", 0xabcdef01), 30000, &x));
    assert_true(gh_esp_stranger(&s, esp("192.0.2.3", "192.0.2.1", 0xabcdef01), 30000, &x));
    assert_true(gh_esp_stranger(&s, esp("192.0.2.2", "192.0.2.1", 0xabcdef01), 62000, &x));
    for (uint32_t i = 0; i < 1000; i++)
        told += gh_esp_stranger(&s, esp("192.0.2.4", "192.0.2.1", 256 + i), 100000 + i, &x);
    assert_int_equal(told, GH_ESP_STRANGERS_A_SECOND);
    assert_true(gh_esp_stranger(&s, esp("192.0.2.4", "192.0.2.1", 9999), 101000, &x));
    one.p.len = 22;
    assert_false(gh_esp_stranger(&s, &one.p, 200000, &x));
}

/* ---- Policies -------------------------------------------------------------------------------- */

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 65536);

    assert_non_null(text);
    if (f != NULL) {
        assert_true(fread(text, 1, 65535, f) < 65535);
        fclose(f);
    }
    return text;
}

static void compare(const char *name, const char *text)
{
    const char *source = getenv("GATEHOUSE_SOURCE"), *mode = getenv("GATEHOUSE_GOLDEN");
    char path[4096], *expected;

    snprintf(path, sizeof(path), "%s/tests/golden/%s.txt", source != NULL ? source : ".", name);
    if (mode != NULL && strcmp(mode, "write") == 0) {
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        fputs(text, f);
        fclose(f);
    }
    expected = read_all(path);
    if (strcmp(expected, text) != 0)
        fail_msg("%s differs; now it is:\n%s", path, text);
    free(expected);
}

static struct ike_ts prefix(const char *text)
{
    struct gh_prefix p;
    struct ipsec_selector s;

    assert_true(gh_prefix_parse(text, &p));
    s = between(text, text);
    return ike_ts_from_range(&s.local.start, &s.local.end);
}

static void add_entry(struct gh_esp_spd *spd, const struct ipsec_policy *p, size_t at,
                      const struct ike2_child_policy *child)
{
    const struct gh_esp_entry e = {.id = p->id,
                                   .place = p->place,
                                   .at = at,
                                   .action = p->action,
                                   .mode = child->mode,
                                   .out = p->out,
                                   .in = p->in,
                                   .user = at != SIZE_MAX,
                                   .kernel = at == SIZE_MAX};

    gh_esp_spd_add(spd, &e, &child->local, &child->remote);
}

static void policies_in_their_order(void **state)
{
    struct listener l = {.count = 0};
    struct ipsec *e = engine(&l, NULL);
    struct gh_esp_names policies = {.count = 0}, places = {.count = 0};
    struct gh_esp_spd spd = {.count = 0};
    const struct ipsec_selector a = between("10.0.0.0/24", "10.1.0.0/24");
    const struct ipsec_selector b = between("10.0.0.0/24", "10.2.0.0/24");
    struct ike2_child_policy lan = {.name = "lan", .mode = IKE2_TUNNEL},
                             hosts = {.name = "hosts", .mode = IKE2_TRANSPORT};
    struct ipsec_policy list[3] = {{.id = gh_esp_number(&policies, "berlin", "lan"),
                                    .place = gh_esp_number(&places, NULL, NULL),
                                    .action = IPSEC_PROTECT,
                                    .out = true,
                                    .in = true,
                                    .selectors = &a,
                                    .selector_count = 1},
                                   {.id = gh_esp_number(&policies, "basel", "hosts"),
                                    .place = gh_esp_number(&places, "blue", "red"),
                                    .action = IPSEC_PROTECT,
                                    .out = true,
                                    .in = true,
                                    .selectors = &b,
                                    .selector_count = 1},
                                   {.id = gh_esp_number(&policies, "", "printer"),
                                    .place = gh_esp_number(&places, NULL, NULL),
                                    .action = IPSEC_DISCARD,
                                    .out = true,
                                    .selectors = &a,
                                    .selector_count = 1}};
    struct cli_render r = {.width = 100};
    char *text = NULL;
    json_t *answer, *of_rules;
    size_t len;

    lan.local.ts[lan.local.count++] = prefix("10.0.0.0/24");
    lan.remote.ts[lan.remote.count++] = prefix("10.1.0.0/24");
    lan.remote.ts[lan.remote.count++] = prefix("2001:db8::/32");
    hosts.local = lan.local;
    hosts.remote.ts[hosts.remote.count++] = prefix("10.2.0.0/24");
    assert_true(ipsec_set_policies(e, list, 3));
    add_entry(&spd, &list[0], 0, &lan);
    add_entry(&spd, &list[0], SIZE_MAX, &hosts);
    add_entry(&spd, &list[1], 1, &hosts);
    add_entry(&spd, &list[2], 2, &lan);
    make_packet(&one, "10.0.0.1", "10.1.0.1", 20, 0, true);
    ipsec_out(e, 1, &one.p, 1);
    answer = json_pack("{s:o}", "policies", gh_esp_spd_json(&spd, e, &policies, &places, NULL));
    /* One packet of it went by another device, where a rule dropped it. */
    of_rules = json_pack("{s:[{s:s, s:n, s:i, s:n}, {s:s, s:i, s:n}]}", "policies", "name",
                         "printer", "netns", "out", 1, "in", "name", "other", "out", 7, "in");
    cli_policies_join(answer, of_rules);
    json_decref(of_rules);
    r.out = open_memstream(&text, &len);
    cli_render_ipsec_policy(&r, answer);
    fclose(r.out);
    compare("ipsec-policy", text);
    json_decref(answer);
    answer = gh_esp_spd_json(&spd, e, &policies, &places, "basel");
    assert_int_equal(json_array_size(answer), 1);
    json_decref(answer);
    free(text);
    gh_esp_spd_free(&spd);
    gh_esp_names_free(&policies);
    gh_esp_names_free(&places);
    ipsec_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_once_and_few_of_them),
        cmocka_unit_test(policies_in_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
