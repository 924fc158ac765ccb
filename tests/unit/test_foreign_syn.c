/* SYNs of sessions that the kernel carries under negotiated keys: which wait, which pass, and which
 * MAC ours leave with. */
#include "unit.h"

#include <string.h>

#include "tcpao/endpoint.h"
#include "tcpao/engine.h"
#include "wire/checksum.h"
#include "wire/ip.h"

enum { SEQ = 0x12345678, SOURCE = 40000, SERVICE = 179, IP = 20, BARE = 40, ROOM = 128 };

static const struct gh_now now = {.wall = 1800000000, .mono_ms = 1000};

static struct gh_addr address(const char *text)
{
    struct gh_addr a;

    assert_true(gh_addr_parse(text, &a));
    return a;
}

/* ---- The session ---- */

struct site {
    struct ao_engine *engine;
    struct tcpao_chain *chain;
};

static struct site begin(enum ao_direction direction, bool negotiated)
{
    const struct ao_engine_settings settings = {.max_connections = 16};
    struct site s = {.engine = ao_engine_new(&settings), .chain = tcpao_chain_new(60)};
    struct ao_policy p = {.name = "s",
                          .chain_name = "c",
                          .chain = s.chain,
                          .port = SERVICE,
                          .direction = direction,
                          .negotiated = negotiated};

    p.peer = (struct gh_prefix){.addr = address("192.0.2.2"), .bits = 32};
    assert_true(ao_engine_set_policies(s.engine, now, &p, 1));
    assert_ptr_equal(ao_engine_chain(s.engine, "s"), s.chain);
    assert_null(ao_engine_chain(s.engine, "t"));
    return s;
}

static void end(struct site s)
{
    ao_engine_free(s.engine);
    tcpao_chain_put(s.chain);
}

static struct tcpao_mkt key(uint32_t number, uint8_t send_id, uint8_t recv_id, uint8_t mac_len)
{
    return (struct tcpao_mkt){.number = number,
                              .send_id = send_id,
                              .recv_id = recv_id,
                              .alg = TCPAO_AES_128_CMAC,
                              .mac_len = mac_len,
                              .options_covered = true,
                              .send = {(int64_t)number, TCPAO_TIME_MAX},
                              .accept = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                              .secret = (const uint8_t *)"sixteen octets!!",
                              .secret_len = 16};
}

static void add(struct tcpao_chain *c, struct tcpao_mkt mkt)
{
    assert_int_equal(tcpao_chain_add(c, &mkt, NULL), TCPAO_CHAIN_OK);
}

/* ---- SYNs ---- */

/* As Linux sends them: MSS, SACK permitted, timestamps, window scale. */
static const uint8_t bare[BARE] = {SOURCE >> 8, SOURCE & 0xff,
                                   0,           SERVICE,
                                   0x12,        0x34,
                                   0x56,        0x78,
                                   0,           0,
                                   0,           0,
                                   0xa0,        0x02,
                                   0xfa,        0xf0,
                                   0,           0,
                                   0,           0,
                                   2,           4,
                                   5,           0xb4,
                                   4,           2,
                                   8,           10,
                                   1,           2,
                                   3,           4,
                                   0,           0,
                                   0,           0,
                                   1,           3,
                                   3,           7};

struct syn {
    uint8_t data[ROOM];
    size_t len;
    struct tcpao_endpoint from, to;
};

/* Signed with the only key of a chain, as a kernel does it. */
static struct syn syn_with(const char *from, const char *to, struct tcpao_mkt mkt)
{
    struct gh_addr src = address(from), dst = address(to);
    struct syn s = {.from = ao_endpoint_of(&src, SOURCE), .to = ao_endpoint_of(&dst, SERVICE)};
    struct tcpao_chain *chain = tcpao_chain_new(60);
    struct tcpao_conn *c = tcpao_conn_new(chain, &s.from, &s.to);
    uint8_t hdr[TCPAO_TCP_HEADER_MAX];
    uint16_t sum;
    size_t len;

    add(chain, mkt);
    assert_int_equal(tcpao_conn_sign(c, now.wall, bare, sizeof(bare), NULL, 0, hdr, &len),
                     TCPAO_OK);
    tcpao_conn_free(c);
    tcpao_chain_put(chain);
    sum = gh_sum_fold(gh_sum(hdr, len, gh_sum_pseudo(&src, &dst, GH_IP_TCP, (uint32_t)len)));
    hdr[16] = sum >> 8;
    hdr[17] = sum & 0xff;
    s.len = IP + len;
    memcpy(s.data, (uint8_t[IP]){0x45, [3] = (uint8_t)s.len, [8] = 64, [9] = GH_IP_TCP}, IP);
    memcpy(s.data + IP, hdr, len);
    memcpy(s.data + 12, src.octets, 4);
    memcpy(s.data + 16, dst.octets, 4);
    return s;
}

static enum ao_verdict pass(struct site site, enum ao_way way, const struct syn *s,
                            struct ao_result *result)
{
    const struct ao_packet p = {.way = way, .mtu = 1500, .data = s->data, .len = s->len};

    ao_engine_packet(site.engine, now, &p, result);
    return result->verdict;
}

static const char here[] = "192.0.2.1", there[] = "192.0.2.2";

/* What left: the peer, with the same key and its ids crossed, finds nothing wrong with it; and but
 * for the option it is what the kernel sent. */
static void assert_signed_with(const struct ao_result *r, const struct syn *before,
                               struct tcpao_mkt mkt)
{
    struct tcpao_chain *theirs = tcpao_chain_new(60);
    struct tcpao_mkt crossed = mkt;
    struct gh_ip_packet ip;
    struct tcpao_seen seen;
    uint8_t left[TCPAO_TCP_HEADER_MAX], sent[TCPAO_TCP_HEADER_MAX];
    size_t left_len, sent_len;

    crossed.send_id = mkt.recv_id;
    crossed.recv_id = mkt.send_id;
    add(theirs, crossed);
    assert_int_equal(r->tail, before->len);
    assert_int_equal(gh_ip_parse(r->head, r->head_len, &ip), GH_IP_OK);
    assert_int_equal(tcpao_verify_syn(theirs, &before->to, &before->from, now.wall, r->head + IP,
                                      ip.l4_len, NULL, 0, &seen),
                     TCPAO_OK);
    assert_int_equal(seen.option.rnext, mkt.recv_id);
    assert_int_equal(
        gh_sum_fold(gh_sum(r->head + IP, ip.l4_len,
                           gh_sum_pseudo(&ip.src, &ip.dst, GH_IP_TCP, (uint32_t)ip.l4_len))),
        0);
    assert_int_equal(tcpao_option_strip(r->head + IP, ip.l4_len, left, &left_len), TCPAO_OK);
    assert_int_equal(tcpao_option_strip(before->data + IP, before->len - IP, sent, &sent_len),
                     TCPAO_OK);
    memset(left + 16, 0, 2); /* the checksum */
    memset(sent + 16, 0, 2);
    assert_int_equal(left_len, sent_len);
    assert_memory_equal(left, sent, sent_len);
    tcpao_chain_put(theirs);
}

static void ours_waits_and_leaves_with_its_sockets_key(void **state)
{
    static const uint8_t lengths[] = {12, 16, 8};

    for (size_t i = 0; i < sizeof(lengths); i++) {
        struct site site = begin(AO_EITHER, true);
        struct syn syn = syn_with(here, there, key(1, 255, 255, 12)); /* a lock */
        struct tcpao_mkt first = key(1 << 20, 5, 9, lengths[i]);
        struct tcpao_mkt second = key((1 << 20) + 1, 6, 10, lengths[i]);
        struct ao_result r;

        ao_engine_set_foreign(site.engine, "s", AO_FOREIGN_READY);
        assert_int_equal(pass(site, AO_OUT, &syn, &r), AO_HOLD);
        assert_string_equal(r.session, "s");
        add(site.chain, first);
        ao_engine_set_foreign(site.engine, "s", AO_FOREIGN_BEHIND);
        assert_int_equal(pass(site, AO_OUT, &syn, &r), AO_HOLD);
        ao_engine_set_foreign(site.engine, "s", AO_FOREIGN_READY);
        assert_int_equal(pass(site, AO_OUT, &syn, &r), AO_REPLACE);
        assert_signed_with(&r, &syn, first);
        /* The kernel had the key already; and it may be sent again after a rekeying. */
        syn = syn_with(here, there, first);
        assert_int_equal(pass(site, AO_OUT, &syn, &r), AO_REPLACE);
        assert_signed_with(&r, &syn, first);
        add(site.chain, second);
        assert_int_equal(pass(site, AO_OUT, &syn, &r), AO_REPLACE);
        assert_signed_with(&r, &syn, second);
        end(site);
    }
}

static void the_peers_waits_for_the_listener(void **state)
{
    struct site site = begin(AO_EITHER, true);
    struct syn syn = syn_with(there, here, key(1, 9, 5, 12));
    struct ao_result r;

    ao_engine_set_foreign(site.engine, "s", AO_FOREIGN_READY);
    assert_int_equal(pass(site, AO_IN, &syn, &r), AO_HOLD);
    add(site.chain, key(1 << 20, 5, 9, 12));
    ao_engine_set_foreign(site.engine, "s", AO_FOREIGN_BEHIND);
    assert_int_equal(pass(site, AO_IN, &syn, &r), AO_HOLD);
    ao_engine_set_foreign(site.engine, "s", AO_FOREIGN_READY);
    assert_int_equal(pass(site, AO_IN, &syn, &r), AO_PASS); /* as it is, for the kernel to verify */
    syn = syn_with(there, here, key(1, 8, 5, 12));
    assert_int_equal(pass(site, AO_IN, &syn, &r), AO_HOLD);
    end(site);
}

static void who_may_not_open(void **state)
{
    struct site site = begin(AO_ACTIVE, true);
    struct syn syn = syn_with(there, here, key(1, 9, 5, 12));
    struct ao_result r;

    ao_engine_set_foreign(site.engine, "s", AO_FOREIGN_READY);
    assert_int_equal(pass(site, AO_IN, &syn, &r), AO_DROP);
    assert_int_equal(r.counter, AO_COUNT_REFUSED_DIRECTION);
    end(site);
}

/* Without an option it is refused as ever, and so are signed SYNs where the engine carries the
 * session: whose are they? */
static void what_else_comes_is_refused(void **state)
{
    struct site site = begin(AO_EITHER, true);
    struct syn syn = syn_with(here, there, key(1, 5, 9, 12)),
               plain = syn_with(there, here, key(1, 9, 5, 12));
    struct ao_result r;

    add(site.chain, key(1 << 20, 5, 9, 12));
    assert_int_equal(pass(site, AO_OUT, &syn, &r), AO_DROP);
    assert_int_equal(r.counter, TCPAO_DUPLICATE_OPTION);
    ao_engine_set_foreign(site.engine, "s", AO_FOREIGN_READY);
    memcpy(plain.data + IP, bare, BARE);
    plain.data[3] = IP + BARE;
    plain.len = IP + BARE;
    assert_int_equal(pass(site, AO_IN, &plain, &r), AO_DROP);
    assert_int_equal(r.counter, TCPAO_MISSING_AO);
    end(site);
}

static void note_use(void *ctx, const struct ao_session_view *v)
{
    assert_int_equal(v->key_count, 1);
    *(struct ao_key_counters *)ctx = v->keys[0];
}

static void use_is_counted_for_the_key(void **state)
{
    struct site site = begin(AO_EITHER, true);
    const struct ao_key_counters more = {
        .number = 1 << 20, .good_in = 3, .bad_in = 1, .out = 2, .octets = 1000};
    struct ao_key_counters got = {.number = 0};

    add(site.chain, key(1 << 20, 5, 9, 12));
    ao_engine_foreign_use(site.engine, "s", &more);
    ao_engine_foreign_use(site.engine, "s", &more);
    ao_engine_foreign_use(site.engine, "t", &more);
    ao_engine_each_session(site.engine, note_use, &got);
    assert_int_equal(got.number, 1 << 20);
    assert_int_equal(got.good_in, 6);
    assert_int_equal(got.bad_in, 2);
    assert_int_equal(got.out, 4);
    assert_int_equal(got.octets, 2000);
    end(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ours_waits_and_leaves_with_its_sockets_key),
        cmocka_unit_test(the_peers_waits_for_the_listener),
        cmocka_unit_test(who_may_not_open),
        cmocka_unit_test(what_else_comes_is_refused),
        cmocka_unit_test(use_is_counted_for_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
