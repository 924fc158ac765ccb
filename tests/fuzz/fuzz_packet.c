/*
 * The packet path: a live protected connection, then packets that the fuzzer makes of real ones.
 *
 * Input: whose keys protect it (a policy's or a socket's own), then records of [way, which packet,
 * edits…], see apply(), or of what programs and the daemon ask of the engine meanwhile, see ask().
 * Beyond not crashing: whatever of this connection comes through from the network must be, octet
 * for octet, something that the peer sent.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"
#include "wire/ip.h"
#include "wire/rd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { KEPT = 16, KEPT_LEN = 600 };

static uint8_t kept[KEPT][KEPT_LEN];
static size_t kept_len[KEPT], kept_count;

static bool keep(struct world *w, struct side *from, uint8_t *packet, size_t *len)
{
    if (kept_count < KEPT && *len <= KEPT_LEN) {
        memcpy(kept[kept_count], packet, *len);
        kept_len[kept_count++] = *len;
    }
    return true;
}

/* A flow that covers this connection and others (which & 2), or this connection only. */
static struct ao_socket_flow flow_of(const struct side *s, uint8_t which)
{
    struct ao_socket_flow f = {.zone_name = "",
                               .name = "socket",
                               .local_port = s->tcp.me.port,
                               .remote_port = which & 2 ? 0 : s->tcp.peer.port,
                               .accept_icmp = which & 1};

    f.peer.addr = gh_addr_from(s->tcp.peer.addr, s->tcp.peer.addr_len);
    f.peer.bits = which & 4 ? 0 : (uint8_t)(s->tcp.peer.addr_len * 8);
    if (f.peer.bits == 0)
        memset(f.peer.addr.octets, 0, sizeof(f.peer.addr.octets));
    return f;
}

static struct tcpao_chain *own_chain(const struct side *s)
{
    struct tcpao_chain *c = tcpao_chain_new(0);

    for (uint32_t i = 1; i <= 2; i++) {
        struct tcpao_mkt mkt =
            test_key(i, (uint8_t)(2 + i), (uint8_t)(7 + i), "own", TCPAO_TIME_MIN, TCPAO_TIME_MAX);

        mkt = s == &s->world->side[0] ? mkt : test_key_crossed(mkt);
        if (tcpao_chain_add(c, &mkt, NULL) != TCPAO_CHAIN_OK)
            abort();
    }
    return c;
}

static void give_socket(struct side *s, uint8_t which, size_t count)
{
    struct ao_socket_flow f = flow_of(s, which);

    f.chain = own_chain(s);
    if (!ao_engine_set_socket(s->engine, side_now(s), which & 3, &f, count))
        abort();
    tcpao_chain_put(f.chain);
}

/* Hands the connection to itself, as far as it is known. */
static void adopt(struct side *s, bool manual)
{
    struct ao_adoption a = {
        .local = s->tcp.me, .remote = s->tcp.peer, .state = AO_STATE_ESTABLISHED, .manual = manual};
    struct ao_connection_keys k;

    if (!ao_engine_get_keys(s->engine, 0, &a.local, &a.remote, &k))
        return;
    a.conn = k.conn;
    if (ao_engine_adopt(s->engine, side_now(s), &a) == AO_ADOPTED &&
        !ao_engine_get_keys(s->engine, 0, &a.local, &a.remote, &k))
        abort();
}

static void speak_for_the_kernel(struct side *s, uint8_t state)
{
    static const uint64_t counters[AO_COUNTERS];
    struct ao_foreign f = {.session = "peer",
                           .local = s->tcp.me,
                           .remote = s->tcp.peer,
                           .state = state % 5,
                           .counters = counters};

    ao_engine_foreign(s->engine, side_now(s), &f);
}

static void ask(struct side *s, uint8_t what, uint8_t arg)
{
    struct ao_keys_change change = {.set_current = arg & 1,
                                    .set_rnext = arg & 2,
                                    .set_accept_icmp = arg & 4,
                                    .current_key = arg >> 4 & 3,
                                    .rnext_key = arg >> 6 & 3};

    switch (what % 8) {
    case 0:
        give_socket(s, arg, 1);
        break;
    case 1:
        give_socket(s, arg, 0);
        break;
    case 2:
        change.chain = arg & 8 ? own_chain(s) : NULL;
        ao_engine_change_keys(s->engine, side_now(s), 0, &s->tcp.me, &s->tcp.peer, &change);
        tcpao_chain_put(change.chain);
        break;
    case 3:
        adopt(s, arg & 1);
        break;
    case 4:
        ao_engine_set_strict(s->engine, 0, arg & 1);
        break;
    case 5:
        ao_engine_set_policies(s->engine, side_now(s), NULL, 0);
        break;
    case 6:
        speak_for_the_kernel(s, arg);
        break;
    default:
        ao_engine_reset(s->engine, side_now(s), "socket", NULL);
    }
}

static struct world *talking(bool v6, bool sockets)
{
    struct world *w = world_new(11, v6);

    kept_count = 0;
    w->tap = keep;
    w->side[0].tcp.segment = w->side[1].tcp.segment = 300;
    for (size_t i = 0; i < 2; i++) {
        struct tcpao_chain *c = tcpao_chain_new(0);
        struct tcpao_mkt mkt = test_key(1, 3, 8, "fuzz", TCPAO_TIME_MIN, TCPAO_TIME_MAX);

        mkt = i == 0 ? mkt : test_key_crossed(mkt);
        if (tcpao_chain_add(c, &mkt, NULL) != TCPAO_CHAIN_OK)
            abort();
        side_protect(&w->side[i], c, "core", AO_REQUIRED);
        tcpao_chain_put(c);
        if (sockets)
            give_socket(&w->side[i], i == 0 ? 0 : 2, 1);
    }
    toy_connect(&w->side[0].tcp, 0);
    world_run(w, 1000);
    toy_write(&w->side[0].tcp, w->now_ms, 700);
    toy_write(&w->side[1].tcp, w->now_ms, 700);
    world_run(w, 2000);
    return w;
}

/* TCP header without its checksum, payload and addresses: all that a MAC covers. */
static bool same_segment(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    struct gh_ip_packet x, y;
    const uint8_t *p, *q;

    if (gh_ip_parse(a, a_len, &x) != GH_IP_OK || gh_ip_parse(b, b_len, &y) != GH_IP_OK)
        return false;
    p = a + x.header_len;
    q = b + y.header_len;
    return x.version == y.version && gh_addr_equal(&x.src, &y.src) &&
           gh_addr_equal(&x.dst, &y.dst) && x.l4_len == y.l4_len && memcmp(p, q, 16) == 0 &&
           memcmp(p + 18, q + 18, x.l4_len - 18) == 0;
}

static void check_genuine(const uint8_t *packet, size_t len)
{
    for (size_t i = 0; i < kept_count; i++) {
        if (same_segment(packet, len, kept[i], kept_len[i]))
            return;
    }
    abort();
}

static size_t apply(struct gh_rd *r, uint8_t packet[KEPT_LEN])
{
    uint8_t which = gh_rd_u8(r), edits = gh_rd_u8(r) % 8, cut = gh_rd_u8(r);
    size_t len = 0;

    if (which % (KEPT + 1) < kept_count) {
        len = kept_len[which % (KEPT + 1)];
        memcpy(packet, kept[which % (KEPT + 1)], len);
    } else {
        len = gh_rd_left(r) < KEPT_LEN ? gh_rd_left(r) : KEPT_LEN;
        gh_rd_copy(r, packet, len);
    }
    for (uint8_t i = 0; i < edits && len > 0; i++) {
        uint16_t at = gh_rd_u16(r);

        packet[at % len] = gh_rd_u8(r);
    }
    return cut < 128 && cut < len ? len - cut : len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct gh_rd r = gh_rd_make(data, len);
    uint8_t kind = gh_rd_u8(&r);
    struct world *w = talking(kind & 1, kind & 2);

    while (gh_rd_left(&r) > 0) {
        uint8_t packet[KEPT_LEN];
        uint8_t flags = gh_rd_u8(&r);
        struct side *s = &w->side[flags & 1];
        struct ao_result result;
        struct ao_packet p = {.way = flags & 2 ? AO_OUT : AO_IN, .mtu = 1500, .data = packet};

        if (flags & 0x80) {
            uint8_t what = gh_rd_u8(&r);

            ask(s, what, gh_rd_u8(&r));
            continue;
        }
        p.len = apply(&r, packet);
        ao_engine_packet(s->engine, side_now(s), &p, &result);
        if (result.verdict == AO_REPLACE && p.way == AO_IN && result.counter == TCPAO_OK)
            check_genuine(packet, p.len);
        if (result.verdict == AO_REPLACE && (result.tail > p.len || result.head_len > AO_HEAD_MAX))
            abort();
    }
    world_free(w);
    return 0;
}
