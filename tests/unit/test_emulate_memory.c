/*
 * The emulation of Linux's socket options without memory: ENOMEM and nothing changed, or done. Each
 * step of a socket's life is tried with its first allocation failing, then its second, and so on.
 */
#include "failing_memory.h"

#include <errno.h>
#include <stdlib.h>

#include "emulate/emulate.h"
#include "emulate_values.h"
#include "tcpao/engine.h"

static const struct gh_now now = {.wall = 1700000000, .mono_ms = 1000};

struct host {
    struct ao_engine *engine;
    struct emu *emu;
    struct emu_facts f;
};

static bool is_vrf(void *ctx, uint16_t zone, uint32_t ifindex)
{
    return false;
}

static void keep(void *ctx, uint64_t cookie, const uint8_t *data, size_t len)
{
}

static void flows_changed(void *ctx, uint16_t zone)
{
}

static void host_start(struct host *h)
{
    const struct ao_engine_settings s = {.max_connections = 8};
    struct emu_settings e = {.is_vrf = is_vrf, .keep = keep, .flows_changed = flows_changed};

    e.engine = h->engine = ao_engine_new(&s);
    assert_non_null(h->engine);
    assert_true(ao_engine_set_policies(h->engine, now, NULL, 0));
    h->emu = emu_new(&e);
    assert_non_null(h->emu);
    h->f = (struct emu_facts){
        .cookie = 1, .zone_name = "", .optmem_left = 131072, .program = "test[1]"};
}

static void host_end(struct host *h)
{
    emu_free(h->emu);
    ao_engine_free(h->engine);
}

static uint32_t count_keys(struct host *h)
{
    uint8_t value[GET_SIZE] = {0};
    size_t len = sizeof(value), reported;

    value_u16(value, GET_BITS, GET_ALL);
    if (emu_getsockopt(h->emu, now, &h->f, EMU_TCP_AO_GET_KEYS, value, sizeof(value), &len,
                       &reported) != 0)
        return 0;
    return value_at32(value, GET_NKEYS);
}

struct counted {
    size_t flows, keys;
};

static void count_flow(void *ctx, const struct ao_flow_counters *flow)
{
    struct counted *c = ctx;

    c->flows++;
    c->keys += tcpao_chain_count(flow->chain);
}

static struct counted in_engine(struct host *h)
{
    struct counted c = {.flows = 0};

    ao_engine_each_flow(h->engine, h->f.cookie, count_flow, &c);
    return c;
}

static int add(struct host *h, const char *addr, uint8_t id)
{
    uint8_t value[ADD_SIZE];

    value_add(value, addr, 32, id, id);
    return emu_setsockopt(h->emu, now, &h->f, EMU_TCP_AO_ADD_KEY, value, sizeof(value));
}

static int add_first(struct host *h)
{
    return add(h, "10.0.0.1", 1);
}

static int add_second(struct host *h)
{
    return add(h, "10.0.0.1", 2);
}

static int add_third(struct host *h)
{
    return add(h, "10.0.0.2", 3);
}

static int del_second(struct host *h)
{
    uint8_t value[DEL_SIZE];

    value_del(value, "10.0.0.1", 32, 2, 2);
    return emu_setsockopt(h->emu, now, &h->f, EMU_TCP_AO_DEL_KEY, value, sizeof(value));
}

static int require_ao(struct host *h)
{
    uint8_t value[INFO_SIZE] = {0};

    value_u32(value, INFO_BITS, INFO_AO_REQUIRED);
    return emu_setsockopt(h->emu, now, &h->f, EMU_TCP_AO_INFO, value, sizeof(value));
}

static int start_listening(struct host *h)
{
    bool bind_first;

    h->f.local.port = 179;
    return emu_listen(h->emu, now, &h->f, &bind_first);
}

static int start_connecting(struct host *h)
{
    static const struct tcpao_endpoint peer = {.addr = {10, 0, 0, 1}, .addr_len = 4, .port = 179};
    bool bind_first;

    h->f.local.port = 5000;
    return emu_connect(h->emu, now, &h->f, &peer, &bind_first);
}

/* Returns how often it was refused before it had what it needs. */
static int persist(struct host *h, int (*step)(struct host *h))
{
    uint32_t keys = count_keys(h);

    for (int n = 0;; n++) {
        struct counted before = in_engine(h), after;
        int error;

        countdown = n;
        error = step(h);
        countdown = -1;
        if (error == 0)
            return n;
        assert_int_equal(error, ENOMEM);
        after = in_engine(h);
        assert_int_equal(count_keys(h), keys);
        assert_int_equal(after.flows, before.flows);
        assert_int_equal(after.keys, before.keys);
    }
}

static void a_listener_without_memory(void **state)
{
    struct host h;

    host_start(&h);
    assert_true(persist(&h, add_first) > 0);
    assert_true(persist(&h, start_listening) > 0);
    h.f.state = EMU_LISTEN;
    assert_int_equal(in_engine(&h).keys, 1);
    assert_true(persist(&h, add_second) > 0);
    assert_true(persist(&h, add_third) > 0);
    assert_int_equal(in_engine(&h).keys, 3);
    assert_true(persist(&h, del_second) > 0);
    assert_int_equal(in_engine(&h).keys, 2);
    assert_true(persist(&h, require_ao) > 0);
    assert_int_equal(count_keys(&h), 2);
    host_end(&h);
}

static void a_caller_without_memory(void **state)
{
    struct host h;

    host_start(&h);
    assert_true(persist(&h, add_first) > 0);
    assert_true(persist(&h, add_second) > 0);
    assert_true(persist(&h, start_connecting) > 0);
    assert_int_equal(in_engine(&h).flows, 1);
    assert_int_equal(in_engine(&h).keys, 2);
    host_end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_without_memory),
        cmocka_unit_test(a_caller_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
