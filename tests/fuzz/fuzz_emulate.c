/*
 * Hostile programs: sequences of socket option calls, connects, listens and ends with any octets,
 * on a few sockets whose states change as they like. Whatever a table becomes, its successor must
 * be able to read it, and no call may touch octets that are not the program's.
 *
 * Input: records of an octet that says what is done, one that says to which socket in which state,
 * and the value's length (of two octets for an option), then the value. A value that the fuzzer
 * leaves short is filled up from a good one, so that it gets past the sizes.
 */
#include <stdlib.h>
#include <string.h>

#include "emulate/emulate.h"
#include "tcpao/engine.h"
#include "unit/emulate_values.h"
#include "wire/rd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct gh_now now = {.wall = 1700000000, .mono_ms = 1000};

struct shell {
    struct ao_engine *engine;
    struct emu *emu;
    bool reading; /* what is kept is not read again meanwhile */
    uint8_t again[65536];
    size_t again_len;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool is_vrf(void *ctx, uint16_t zone, uint32_t ifindex)
{
    return ifindex == 200;
}

static void flows_changed(void *ctx, uint16_t zone)
{
}

static void note_again(void *ctx, uint64_t cookie, const uint8_t *data, size_t len)
{
    struct shell *s = ctx;

    require(len <= sizeof(s->again));
    memcpy(s->again, data, len);
    s->again_len = len;
}

static struct emu *new_emu(struct shell *s, void (*keep)(void *ctx, uint64_t cookie,
                                                         const uint8_t *data, size_t len))
{
    const struct emu_settings settings = {.engine = s->engine,
                                          .is_vrf = is_vrf,
                                          .keep = keep,
                                          .flows_changed = flows_changed,
                                          .ctx = s};
    struct emu *e = emu_new(&settings);

    require(e != NULL);
    return e;
}

static void ignore_flow(void *ctx, const struct emu_flow *flow)
{
    require(flow->peer.addr.len == 4 || flow->peer.addr.len == 16);
    require(flow->peer.bits <= 8 * flow->peer.addr.len && flow->local_port != 0);
}

/* A successor over an engine of its own reads what is kept. */
static void keep(void *ctx, uint64_t cookie, const uint8_t *data, size_t len)
{
    const struct ao_engine_settings settings = {.max_connections = 4};
    struct shell next = {.reading = true};

    if (len == 0)
        return;
    require(data[0] != 0);
    next.engine = ao_engine_new(&settings);
    require(next.engine != NULL);
    next.emu = new_emu(&next, note_again);
    require(emu_restore(next.emu, now, cookie, data, len));
    emu_each_flow(next.emu, 0, ignore_flow, NULL);
    emu_free(next.emu);
    ao_engine_free(next.engine);
}

static struct emu_facts facts_of(uint8_t which)
{
    struct emu_facts f = {.cookie = which & 3,
                          .zone_name = "",
                          .ipv6 = (which & 2) != 0,
                          .state = (enum emu_tcp_state)((which >> 2 & 3) % 3),
                          .repair = (which & 16) != 0,
                          .bound_ifindex = which & 32 ? 200 : 0,
                          .optmem_left = 4096,
                          .program = "fuzz[1]",
                          .v6only = (which & 64) != 0,
                          .snd_una = 7,
                          .rcv_nxt = 9};

    if (f.state != EMU_CLOSED || (which & 128)) {
        f.local = (struct tcpao_endpoint){.addr = {10, 0, 1, 1}, .addr_len = 4, .port = 179};
        if (f.state == EMU_LISTEN)
            f.local.addr_len = 0;
    }
    if (f.state == EMU_CONNECTED)
        f.remote = (struct tcpao_endpoint){.addr = {10, 0, 254, 1}, .addr_len = 4, .port = 5000};
    return f;
}

static int option_of(uint8_t what)
{
    static const int options[] = {EMU_TCP_AO_ADD_KEY,  EMU_TCP_AO_DEL_KEY, EMU_TCP_AO_INFO,
                                  EMU_TCP_AO_GET_KEYS, EMU_TCP_AO_REPAIR,  EMU_TCP_MD5SIG,
                                  EMU_TCP_MD5SIG_EXT,  EMU_TCP_AO_ADD_KEY};

    return options[what & 7];
}

/* A good value of the option, of which the fuzzer's octets take the place of the last ones. */
static size_t fill_up(int option, bool ipv6, uint8_t value[ADD_SIZE])
{
    const char *peer = ipv6 ? "::ffff:10.0.254.1" : "10.0.254.1";

    memset(value, 0, ADD_SIZE);
    switch (option) {
    case EMU_TCP_AO_ADD_KEY:
        value_add(value, peer, 32, 1, 1);
        return ADD_SIZE;
    case EMU_TCP_AO_DEL_KEY:
        value_del(value, peer, 32, 1, 1);
        return DEL_SIZE;
    case EMU_TCP_AO_INFO:
        return INFO_SIZE;
    case EMU_TCP_AO_REPAIR:
        return REPAIR_SIZE;
    default:
        value_md5(value, peer, 32, -1);
        return MD5_SIZE;
    }
}

static void set_option(struct shell *s, const struct emu_facts *f, int option, struct gh_rd *value,
                       bool filled)
{
    uint8_t octets[ADD_SIZE];
    size_t len = gh_rd_left(value), size = fill_up(option, f->ipv6, octets);
    const uint8_t *p = gh_rd_bytes(value, len);

    if (filled && len < size) {
        /* The ids, flags and lengths of all are behind the address. */
        size_t at = option == EMU_TCP_AO_ADD_KEY ? ADD_IFINDEX : 128;

        at = size > at ? at : 0;
        memcpy(octets + at, p, len < size - at ? len : size - at);
        emu_setsockopt(s->emu, now, f, option, octets, size);
        return;
    }
    emu_setsockopt(s->emu, now, f, option, p, len);
}

static void get_option(struct shell *s, const struct emu_facts *f, int option, struct gh_rd *value,
                       uint8_t more, bool told)
{
    size_t given = gh_rd_left(value), room = given + 8 * more, len = told ? given : 0;
    size_t reported = 0;
    uint8_t *octets = malloc(room + 1);

    require(octets != NULL);
    memset(octets, 0, room + 1);
    gh_rd_copy(value, octets, given);
    octets[room] = 0xa5;
    if (emu_getsockopt(s->emu, now, f, option, octets, room, &len, &reported) != 0)
        require(len == 0);
    require(len <= room && octets[room] == 0xa5);
    free(octets);
}

static void do_record(struct shell *s, uint8_t what, uint8_t which, struct gh_rd *value)
{
    struct tcpao_endpoint peer = {.addr = {10, 0, 254, 1}, .addr_len = 4, .port = 179};
    struct emu_facts f = facts_of(which);
    uint64_t counters[5];
    bool bind_first;

    switch (what >> 3 & 7) {
    case 0:
    case 1:
    case 2:
        set_option(s, &f, option_of(what), value, what & 128);
        break;
    case 3:
        get_option(s, &f, option_of(what), value, which, what & 128);
        break;
    case 4:
        gh_rd_copy(value, peer.addr, gh_rd_left(value) < 4 ? gh_rd_left(value) : 4);
        emu_connect(s->emu, now, &f, &peer, &bind_first);
        break;
    case 5:
        emu_listen(s->emu, now, &f, &bind_first);
        emu_note(s->emu, now, &f);
        break;
    case 6:
        emu_gone(s->emu, now, f.cookie);
        break;
    default:
        emu_each_flow(s->emu, 0, ignore_flow, NULL);
        emu_counters(s->emu, 0, counters);
        emu_knows(s->emu, &f);
    }
}

/* Half of the inputs are what an earlier instance might have kept. */
static void restore(struct shell *s, struct gh_rd *r)
{
    size_t len = gh_rd_left(r);
    const uint8_t *octets = gh_rd_bytes(r, len);
    struct emu_facts f = facts_of(0);
    uint8_t value[INFO_SIZE] = {0};

    if (!emu_restore(s->emu, now, 0, octets, len))
        return;
    emu_each_flow(s->emu, 0, ignore_flow, NULL);
    emu_setsockopt(s->emu, now, &f, EMU_TCP_AO_INFO, value, sizeof(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ao_engine_settings settings = {.max_connections = 16};
    struct gh_rd r = gh_rd_make(data, size);
    struct shell s = {.engine = ao_engine_new(&settings)};

    require(s.engine != NULL);
    require(ao_engine_set_policies(s.engine, now, NULL, 0));
    s.emu = new_emu(&s, keep);
    if (gh_rd_u8(&r) & 1)
        restore(&s, &r);
    while (gh_rd_left(&r) >= 4) {
        uint8_t what = gh_rd_u8(&r), which = gh_rd_u8(&r);
        size_t len = gh_rd_u16(&r);
        struct gh_rd value = gh_rd_sub(&r, len < gh_rd_left(&r) ? len : gh_rd_left(&r));

        do_record(&s, what, which, &value);
    }
    emu_free(s.emu);
    ao_engine_free(s.engine);
    return 0;
}
