/*
 * What strangers send to a tunnel's end: fragments, GRE, IP in IP, ICMP errors with quotes.
 *
 * Input: records of [what, …], see one_step(). Beyond not crashing: memory of reassembly is what it
 * says and within its limits, a whole datagram is well-formed and cuts into what makes it again,
 * what comes out of a tunnel is well-formed and goes in and out again, and an error of ours quotes
 * what can be read.
 */
#include <stdlib.h>
#include <string.h>

#include "ipsec/header.h"
#include "tunnel/fragment.h"
#include "tunnel/icmp.h"
#include "tunnel/mss.h"
#include "tunnel/pmtu.h"
#include "tunnel/reassembly.h"
#include "tunnel/table.h"
#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/rd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MAX = 2000, ROOM = 70000, AT = 200, LIMIT = 20000, DATAGRAMS = 6, TUNNELS = 8 };

static const struct gh_hash_seed seed = {{7, 8}};

struct world {
    struct tunnel_reassembly *reassembly;
    struct tunnel_table *tunnels;
    struct tunnel_pmtu *pmtu;
    uint64_t now;
};

static struct gh_addr addr(bool v6, uint8_t last)
{
    struct gh_addr a = {.octets = {192, 0, 2}, .len = v6 ? 16 : 4};

    a.octets[a.len - 1] = last;
    return a;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void add_tunnels(struct tunnel_table *t)
{
    for (uint8_t i = 0; i < TUNNELS; i++) {
        struct tunnel_params p = {.id = i + 1u,
                                  .kind = i & 1 ? TUNNEL_GRE : TUNNEL_IP_IP,
                                  .place = 1,
                                  .private_place = i & 4 ? 1 : 2,
                                  .local = addr(i & 2, 1),
                                  .remote = addr(i & 2, i & 4 ? 3 : 2),
                                  .reassembly = i & 4,
                                  .mss = i & 4 ? 1000 : 0};

        if (i & 1) {
            p.has_receive_key = p.has_send_key = i & 4;
            p.receive_key = p.send_key = 7;
            p.ignore_key = !(i & 4);
            p.check_sequence = p.send_sequence = i & 4;
            p.send_checksum = true;
        }
        must(tunnel_table_add(t, &p) == TUNNEL_ADDED);
    }
}

static void assert_well_formed(const struct ipsec_packet *p)
{
    struct tunnel_fragment f;

    must(tunnel_fragment_read(ipsec_packet_data(p), p->len, &f) == TUNNEL_OK);
    must(f.total_len <= p->len);
}

/* A datagram that is whole: its fragments make it again. */
static void cut_and_join(const struct ipsec_packet *whole, uint16_t mtu)
{
    static uint8_t part_mem[ROOM], again_mem[ROOM];
    struct tunnel_reassembly *r = tunnel_reassembly_new(
        &(struct tunnel_reassembly_limits){.octets = 1 << 20, .fragments = 10000, .smallest = 1},
        &seed);
    struct ipsec_packet part = {.mem = part_mem, .cap = ROOM}, again = part;
    enum tunnel_result result = TUNNEL_KEPT;
    struct tunnel_fragment f;
    struct tunnel_cut c;

    again.mem = again_mem;
    must(r != NULL);
    must(tunnel_fragment_read(ipsec_packet_data(whole), whole->len, &f) == TUNNEL_OK);
    if (f.total_len > mtu && !f.is_fragment &&
        tunnel_cut_begin(&c, ipsec_packet_data(whole), whole->len, mtu, 1) == TUNNEL_OK) {
        while (tunnel_cut_more(&c)) {
            must(result == TUNNEL_KEPT);
            must(tunnel_cut_next(&c, &part) == TUNNEL_OK);
            must(part.len <= mtu);
            assert_well_formed(&part);
            result = tunnel_reassemble(r, 1, &part, &again);
            if (result == TUNNEL_FRAGMENT_CHAIN || result == TUNNEL_FRAGMENT_LENGTH)
                break; /* headers that do not fit into the first */
        }
        if (result == TUNNEL_OK) {
            must(again.len == f.total_len);
            must(memcmp(again.mem + f.data_at, ipsec_packet_data(whole) + f.data_at,
                        f.total_len - f.data_at) == 0);
        }
    }
    tunnel_reassembly_free(r);
}

static void reassemble(struct world *w, const struct ipsec_packet *p, uint8_t mtu)
{
    static uint8_t mem[ROOM];
    struct ipsec_packet whole = {.mem = mem, .cap = ROOM, .at = AT};

    if (tunnel_reassemble(w->reassembly, w->now, p, &whole) == TUNNEL_OK) {
        assert_well_formed(&whole);
        cut_and_join(&whole, (uint16_t)(60 + mtu * 6));
    }
    must(tunnel_reassembly_octets(w->reassembly) <= LIMIT);
    must(tunnel_reassembly_datagrams(w->reassembly) <= DATAGRAMS);
    must((tunnel_reassembly_datagrams(w->reassembly) == 0) ==
         (tunnel_reassembly_octets(w->reassembly) == 0));
}

/* What came out goes in again, and comes out as it was. */
static void turn_round(const struct tunnel *t, const struct ipsec_packet *inner)
{
    static uint8_t mem[ROOM];
    struct ipsec_packet p = {.mem = mem, .cap = ROOM, .at = AT, .len = inner->len};
    struct tunnel_params back = t->p;
    struct tunnel there, here;
    uint32_t pointer = 0;

    tunnel_init(&here, &t->p);
    back.local = t->p.remote;
    back.remote = t->p.local;
    tunnel_init(&there, &back);
    memcpy(mem + AT, ipsec_packet_data(inner), inner->len);
    if (tunnel_encapsulate(&here, 1, &p, &pointer) != TUNNEL_OK) {
        must(pointer < inner->len);
        return;
    }
    assert_well_formed(&p);
    if (tunnel_decapsulate(&there, &p) == TUNNEL_KEEPALIVE)
        return;
    must(p.len == inner->len &&
         memcmp(ipsec_packet_data(&p), ipsec_packet_data(inner), p.len) == 0);
}

static void decapsulate(struct world *w, struct ipsec_packet *p)
{
    struct tunnel *t;
    enum tunnel_result result = tunnel_table_find(w->tunnels, p, &t);

    must((result == TUNNEL_OK) == (t != NULL));
    if (t == NULL)
        return;
    result = tunnel_decapsulate(t, p);
    must(tunnel_result_passes(result) || result > TUNNEL_KEEPALIVE);
    if (result == TUNNEL_OK || (result == TUNNEL_KEEPALIVE && p->len > 0))
        assert_well_formed(p);
    if (result == TUNNEL_OK)
        turn_round(t, p);
}

static void hear(struct world *w, const struct ipsec_packet *p)
{
    struct tunnel_quote q;
    struct tunnel_path path = {.place = 1};
    uint16_t mtu;
    bool lower;

    if (tunnel_quote_read(ipsec_packet_data(p), p->len, &q) != TUNNEL_OK ||
        tunnel_pmtu_learn(w->pmtu, w->now, 1, &q, &mtu, &lower) != TUNNEL_OK)
        return;
    path.local = q.local;
    path.remote = q.remote;
    must(mtu >= (q.version == 4 ? TUNNEL_PMTU_FLOOR : TUNNEL_IPV6_MTU_MIN));
    must(tunnel_pmtu_get(w->pmtu, w->now, &path) == mtu);
}

/* The checksum of an ICMP error is mended, else no fuzzer gets through it. */
static void mend(struct ipsec_packet *p)
{
    uint8_t *octets = ipsec_packet_data(p);
    struct gh_ip_packet ip;
    struct gh_wr w;
    bool v6;

    if (gh_ip_parse(octets, p->len, &ip) != GH_IP_OK || ip.l4_len < 8)
        return;
    v6 = ip.version == 6;
    w = gh_wr_make(octets + ip.header_len, 4);
    gh_wr_bytes(&w, octets + ip.header_len, 2);
    gh_wr_u16(&w, 0);
    gh_wr_put_u16(
        &w, 2,
        gh_sum_fold(
            gh_sum(octets + ip.header_len, ip.l4_len,
                   v6 ? gh_sum_pseudo(&ip.src, &ip.dst, GH_IP_ICMPV6, (uint32_t)ip.l4_len) : 0)));
}

static void tell(const struct ipsec_packet *p)
{
    static uint8_t mem[ROOM];
    struct ipsec_packet out = {.mem = mem, .cap = ROOM};
    struct gh_addr us = addr(p->len > 0 && ipsec_packet_data(p)[0] >> 4 == 6, 9);
    struct tunnel_quote q;

    if (tunnel_icmp_too_big(p, 1300, &us, &out) != TUNNEL_OK)
        return;
    assert_well_formed(&out);
    must(tunnel_quote_read(mem, out.len, &q) == TUNNEL_OK && q.mtu == 1300);
}

static void sizes(struct ipsec_packet *p, uint8_t n)
{
    const struct tunnel_mtu m = {.ip_mtu = (uint16_t)(512 + n),
                                 .encapsulated_ip_mtu = 512,
                                 .clear_df = n & 1,
                                 .ipv6 = n & 2 ? TUNNEL_MTU_IPV6_WHOLE : TUNNEL_MTU_IPV6_DROP};

    (void)tunnel_mss_lower(ipsec_packet_data(p), p->len, n);
    if (tunnel_mtu_before(&m, 0, 1, p) == TUNNEL_TO_FRAGMENT)
        cut_and_join(p, p->mtu);
    if (tunnel_mtu_after(&m, 0, 1, p) == TUNNEL_TO_FRAGMENT)
        cut_and_join(p, p->mtu);
}

static void one_step(struct world *w, struct gh_rd *r)
{
    uint8_t what = gh_rd_u8(r), n = gh_rd_u8(r), *mem;
    size_t len = gh_rd_u16(r);
    struct ipsec_packet p = {.place = 1};

    if (len > gh_rd_left(r))
        len = gh_rd_left(r);
    if (len > MAX)
        len = MAX;
    /* In memory of its own, with no octet to spare. */
    mem = malloc(len + 1);
    must(mem != NULL);
    gh_rd_copy(r, mem, len);
    p.mem = mem;
    p.cap = p.len = len;
    w->now += n & 0x80 ? 700 : 1;
    switch (what % 6) {
    case 0:
    case 1:
        reassemble(w, &p, n);
        break;
    case 2:
        decapsulate(w, &p);
        break;
    case 3:
        mend(&p);
        hear(w, &p);
        break;
    case 4:
        tell(&p);
        break;
    default:
        sizes(&p, n);
    }
    free(mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct world w = {.reassembly = tunnel_reassembly_new(
                          &(struct tunnel_reassembly_limits){.octets = LIMIT,
                                                             .datagrams = DATAGRAMS,
                                                             .of_a_source = 4,
                                                             .fragments = 8,
                                                             .smallest = 8},
                          &seed),
                      .tunnels = tunnel_table_new(TUNNELS, &seed),
                      .pmtu = tunnel_pmtu_new(&(struct tunnel_pmtu_setup){.paths = 4}, &seed),
                      .now = 1};

    must(w.reassembly != NULL && w.tunnels != NULL && w.pmtu != NULL);
    add_tunnels(w.tunnels);
    while (gh_rd_left(&r) > 0)
        one_step(&w, &r);
    tunnel_reassembly_tick(w.reassembly, UINT64_MAX);
    must(tunnel_reassembly_octets(w.reassembly) == 0);
    tunnel_reassembly_free(w.reassembly);
    tunnel_table_free(w.tunnels);
    tunnel_pmtu_free(w.pmtu);
    return 0;
}
