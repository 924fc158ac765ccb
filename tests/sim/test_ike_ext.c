/* Extensions of IKEv2, core against core: each with what it is for, and with whoever lies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/cookie.h"
#include "ike/notify.h"
#include "ike_world.h"
#include "unit.h"

static struct ike_world *pair(uint64_t seed)
{
    struct ike_world *w = ike_world_new(seed, 2);

    w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    ike_world_policy(w, 0, 1);
    ike_world_policy(w, 1, 0);
    return w;
}

static struct ike2_policy *policy(struct ike_world *w, size_t host)
{
    return w->hosts[host].policies[0];
}

static void begin(struct ike_world *w)
{
    for (size_t i = 0; i < w->host_count; i++)
        ike_world_configure(w, i);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
}

static void assert_up(struct ike_world *w, size_t children)
{
    const char *wrong = ike_world_agree(&w->hosts[0], &w->hosts[1]);

    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 1);
    assert_int_equal(ike_world_sas(&w->hosts[1], NULL), 1);
    assert_int_equal(ike_world_children(&w->hosts[0]), children);
    assert_int_equal(ike_world_children(&w->hosts[1]), children);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static uint64_t count(const struct ike_host *h, enum ike2_count what)
{
    return ike2_counters(h->core)[what];
}

static struct ike2_sa_view sa_of(const struct ike_host *h)
{
    struct ike2_sa_view v;

    assert_int_equal(ike_world_sas(h, &v), 1);
    return v;
}

/* ---- Unknown SPIs (RFC 6290) ---------------------------------------------------------------- */

static const uint8_t crash_secret[IKE2_CRASH_SECRET] = "a secret that outlives a process";

/* Host 1 makes tokens; `of_1` NULL: it does not. Host 0 asks only every hour whether it lives. */
static struct ike_world *with_tokens(uint64_t seed, const uint8_t *of_1)
{
    struct ike_world *w = pair(seed);

    w->hosts[1].settings.crash_secret = of_1;
    ike_world_restart(w, 1);
    policy(w, 0)->liveness_ms = 3600 * 1000;
    policy(w, 0)->children[0].start = true;
    policy(w, 1)->liveness_ms = 0;
    begin(w);
    assert_up(w, 1);
    return w;
}

/* Any request of host 0 under its SA. */
static void say_something(struct ike_world *w)
{
    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, w->hosts[0].child[0].id));
}

static void a_crash_is_noticed_at_once(void **state)
{
    struct ike_world *w = with_tokens(1, crash_secret);

    ike_world_restart(w, 1);
    say_something(w);
    ike_world_run(w, 100);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_INVALID_SPI_SENT), 1);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_CRASHED), 1);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_DEAD), 0);
    assert_up(w, 1); /* the policy wants it: it is there again */
    ike_world_free(w);
}

static void tokens_change_with_the_ike_sa(void **state)
{
    for (size_t who = 0; who < 2; who++) {
        struct ike_world *w = with_tokens(2 + who, crash_secret);
        struct ike_host *h = &w->hosts[who];

        assert_true(ike2_rekey_ike(h->core, w->now, sa_of(h).id));
        ike_world_run(w, 1000);
        assert_up(w, 1);
        ike_world_restart(w, 1);
        say_something(w);
        ike_world_run(w, 100);
        assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_CRASHED), 1);
        assert_up(w, 1);
        ike_world_free(w);
    }
}

static void without_a_token_nothing_is_believed(void **state)
{
    struct ike_world *w = with_tokens(4, NULL);

    ike_world_restart(w, 1);
    say_something(w);
    ike_world_run(w, 5000);
    assert_true(count(&w->hosts[0], IKE2_COUNT_INVALID_SPI_HEARD) >= 1);
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_CRASHED), 0);
    assert_int_equal(ike_world_children(&w->hosts[0]), 1);
    ike_world_run(w, 300 * 1000); /* retransmission tells in the end */
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_PEER_DEAD), 1);
    ike_world_free(w);
}

/* INVALID_IKE_SPI for host 0's SA from nowhere; token NULL: without one. */
static void forge_invalid_spi(struct ike_world *w, const uint8_t *token)
{
    struct ike2_sa_view v = sa_of(&w->hosts[0]);
    struct ike_header h = {.version = IKE_VERSION_2,
                           .exchange = IKE_X_INFORMATIONAL,
                           .flags = IKE_FLAG_RESPONSE,
                           .id = v.next_send_id};
    uint8_t octets[200];
    struct ike_out o;
    struct gh_view whole;
    struct ike2_datagram d = {.local = v.local, .remote = v.remote};

    memcpy(h.spi_i, v.spi_i, IKE_SPI_LEN);
    memcpy(h.spi_r, v.spi_r, IKE_SPI_LEN);
    o = ike_out_message(octets, sizeof(octets), &h);
    ike_notify_emit_data(&o, IKE_N_INVALID_IKE_SPI, gh_view_of(NULL, 0));
    if (token != NULL)
        ike_notify_emit_data(&o, IKE_N_QUICK_CRASH_DETECTION, gh_view_of(token, 32));
    assert_true(ike_out_done(&o, &whole));
    d.data = octets;
    d.len = whole.len;
    ike_world_inject(w, 0, &d);
}

static void a_forged_invalid_spi_changes_nothing(void **state)
{
    struct ike_world *w = with_tokens(5, crash_secret);
    uint32_t asked = sa_of(&w->hosts[0]).next_send_id;
    const uint8_t token[32] = {1, 2, 3};

    for (unsigned i = 0; i < 100; i++) {
        forge_invalid_spi(w, i % 2 ? token : NULL);
        ike_world_run(w, 100);
    }
    assert_int_equal(count(&w->hosts[0], IKE2_COUNT_INVALID_SPI_HEARD), 100);
    assert_int_equal(sa_of(&w->hosts[0]).next_send_id,
                     asked + 1); /* one question whether it lives */
    assert_int_equal(w->hosts[0].removed, 0);
    assert_up(w, 1);
    ike_world_free(w);
}

struct catcher {
    unsigned caught;
    uint8_t octets[512];
    size_t len;
};

/* Keeps what host 1 says in clear. */
static bool catch_clear(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    struct catcher *k = ctx;

    if (from == &from->world->hosts[1] && d->data[16] != IKE_P_SK && d->len <= sizeof(k->octets)) {
        k->caught++;
        memcpy(k->octets, d->data, d->len);
        k->len = d->len;
    }
    return true;
}

/* A message to host 1 with these SPIs that nobody could have sealed. */
static void poke(struct ike_world *w, const uint8_t *spi_i, const uint8_t *spi_r, uint8_t flags)
{
    struct ike_header h = {
        .version = IKE_VERSION_2, .exchange = IKE_X_INFORMATIONAL, .flags = flags};
    uint8_t octets[128];
    const uint8_t sealed[48] = {7};
    struct ike_out o;
    struct gh_view whole;
    struct ike2_datagram d = {
        .local = {w->hosts[1].addr, 500}, .remote = {w->hosts[0].addr, 500}, .data = octets};

    memcpy(h.spi_i, spi_i, IKE_SPI_LEN);
    memcpy(h.spi_r, spi_r, IKE_SPI_LEN);
    o = ike_out_message(octets, sizeof(octets), &h);
    ike_out_payload(&o, IKE_P_SK, false, gh_view_of(sealed, sizeof(sealed)));
    assert_true(ike_out_done(&o, &whole));
    d.len = whole.len;
    ike_world_inject(w, 1, &d);
}

static void no_token_is_had_for_an_sa_that_lives(void **state)
{
    struct ike_world *w = with_tokens(6, crash_secret);
    struct ike2_sa_view v = sa_of(&w->hosts[1]);
    const uint8_t other[IKE_SPI_LEN] = {9, 9, 9, 9, 9, 9, 9, 9};
    struct catcher k = {.caught = 0};

    w->filter = catch_clear;
    w->filter_ctx = &k;
    poke(w, v.spi_i, v.spi_r, IKE_FLAG_INITIATOR);
    poke(w, v.spi_i, v.spi_r, 0); /* turned round: SPIi is looked for */
    poke(w, other, v.spi_r, IKE_FLAG_INITIATOR);
    poke(w, v.spi_r, v.spi_i, IKE_FLAG_INITIATOR);
    assert_int_equal(k.caught, 0);
    poke(w, v.spi_i, other, IKE_FLAG_INITIATOR);
    assert_int_equal(k.caught, 1); /* another SA's token, of use to nobody */
    for (unsigned i = 0; i < 1000; i++)
        poke(w, other, other, IKE_FLAG_INITIATOR);
    assert_int_equal(k.caught, w->hosts[1].settings.strays_per_second);
    ike_world_run(w, 1000);
    assert_int_equal(w->hosts[0].removed, 0);
    assert_up(w, 1);
    ike_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_noticed_at_once),
        cmocka_unit_test(tokens_change_with_the_ike_sa),
        cmocka_unit_test(without_a_token_nothing_is_believed),
        cmocka_unit_test(a_forged_invalid_spi_changes_nothing),
        cmocka_unit_test(no_token_is_had_for_an_sa_that_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
