/* Netlink messages as bytes: queue packets, verdicts and interfaces, whole and cut anywhere. */
#include "unit.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/links.h"
#include "platform/nfqueue.h"
#include "platform/nfqueue_message.h"
#include "platform/paths.h"
#include "platform/rules_watch.h"
#include "platform/socket_watch.h"
#include "platform/sockets.h"

static const uint8_t ip[] = {0x45, 0, 0, 20, 1, 2, 3};

/* A packet message as the kernel sends it. */
static size_t packet_message(uint8_t *mem, size_t cap, uint32_t whole)
{
    struct gh_wr w = gh_wr_make(mem, cap);
    const uint8_t header[] = {0, 0, 1, 2, 8, 0, NF_INET_LOCAL_OUT};
    const uint8_t ifindex[] = {0, 0, 0, 7};
    const uint8_t cap_len[] = {0, 0, 0, (uint8_t)whole};
    size_t start = gh_nl_begin(&w, 3 << 8 | NFQNL_MSG_PACKET, 0, 0);

    gh_wr_u32(&w, 0); /* struct nfgenmsg */
    gh_nl_put_attr(&w, NFQA_PACKET_HDR, header, sizeof(header));
    gh_nl_put_attr(&w, NFQA_IFINDEX_OUTDEV, ifindex, sizeof(ifindex));
    if (whole > 0)
        gh_nl_put_attr(&w, NFQA_CAP_LEN, cap_len, sizeof(cap_len));
    gh_nl_put_attr(&w, NFQA_PAYLOAD, ip, sizeof(ip));
    gh_nl_end(&w, start);
    assert_true(gh_wr_ok(&w));
    return w.len;
}

static bool parse(const uint8_t *data, size_t len, struct gh_nfq_message *out)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_nl_message m;

    memset(out, 0, sizeof(*out));
    return gh_nl_next(&r, &m) && gh_nfq_is_packet(m.type) && gh_nfq_parse(m.body, out);
}

static void a_packet(void **state)
{
    uint8_t mem[256];
    size_t len = packet_message(mem, sizeof(mem), 0);
    struct gh_nfq_message m;

    assert_true(parse(mem, len, &m));
    assert_true(m.has_id);
    assert_int_equal(m.id, 0x0102);
    assert_int_equal(m.hook, NF_INET_LOCAL_OUT);
    assert_int_equal(m.outdev, 7);
    assert_int_equal(m.indev, 0);
    assert_int_equal(m.len, sizeof(ip));
    assert_memory_equal(m.data, ip, sizeof(ip));
    assert_false(m.truncated);
}

static void a_cut_packet_is_told(void **state)
{
    uint8_t mem[256];
    size_t len = packet_message(mem, sizeof(mem), 200);
    struct gh_nfq_message m;

    assert_true(parse(mem, len, &m));
    assert_true(m.truncated);
}

static void cut_anywhere(void **state)
{
    uint8_t mem[256];
    size_t len = packet_message(mem, sizeof(mem), 0), last = len - 1; /* without the padding */
    struct gh_nfq_message m;

    for (size_t n = 0; n < last; n++) {
        uint8_t exact[256];

        memcpy(exact, mem, n);
        assert_false(parse(exact, n, &m));
    }
}

/* The message says it is whole, but an attribute in it does not fit. */
static void attribute_beyond_the_message(void **state)
{
    uint8_t mem[256];
    size_t len = packet_message(mem, sizeof(mem), 0);
    const uint16_t huge = 0xfff0, tiny = 3;
    struct gh_nfq_message m;

    memcpy(mem + len - 12, &huge, sizeof(huge)); /* the payload's length */
    assert_false(parse(mem, len, &m));
    assert_true(m.has_id); /* so that the packet can be dropped */
    memcpy(mem + len - 12, &tiny, sizeof(tiny));
    assert_false(parse(mem, len, &m));
}

static void a_verdict(void **state)
{
    uint8_t mem[GH_NFQ_VERDICT_MAX];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_rd r;
    uint32_t len;
    const uint8_t golden[] = {0, 0, 0x45, 0xec};

    gh_nfq_put_verdict(&w, 17900, 0x01020304, NF_ACCEPT, 33);
    assert_true(gh_wr_ok(&w));
    r = gh_rd_make(mem, w.len);
    len = gh_nl_u32(&r);
    assert_int_equal(len, w.len + 33); /* the payload follows from elsewhere */
    assert_int_equal(gh_nl_u16(&r), 3 << 8 | NFQNL_MSG_VERDICT);
    gh_rd_skip(&r, 10);
    assert_memory_equal(gh_rd_bytes(&r, 4), golden, 4);
    assert_int_equal(gh_nl_u16(&r), 12);
    assert_int_equal(gh_nl_u16(&r), NFQA_VERDICT_HDR);
    assert_int_equal(gh_rd_u32(&r), NF_ACCEPT);
    assert_int_equal(gh_rd_u32(&r), 0x01020304);
    assert_int_equal(gh_nl_u16(&r), 4 + 33);
    assert_int_equal(gh_nl_u16(&r), NFQA_PAYLOAD);
    assert_true(gh_rd_done(&r));
}

/* A full queue drops. */
static void queue_parameters(void **state)
{
    uint8_t mem[128];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_rd r;
    struct gh_nl_message m;
    struct gh_nl_attr a;
    uint32_t mask = 0, flags = UINT32_MAX;

    gh_nfq_put_parameters(&w, 17900, 1024);
    assert_true(gh_wr_ok(&w));
    r = gh_rd_make(mem, w.len);
    assert_true(gh_nl_next(&r, &m));
    gh_rd_skip(&m.body, 4); /* struct nfgenmsg */
    while (gh_nl_next_attr(&m.body, &a)) {
        if (a.type == NFQA_CFG_MASK)
            mask = gh_rd_u32(&a.body);
        else if (a.type == NFQA_CFG_FLAGS)
            flags = gh_rd_u32(&a.body);
    }
    assert_true((mask & NFQA_CFG_F_FAIL_OPEN) != 0);
    assert_true((flags & NFQA_CFG_F_FAIL_OPEN) == 0);
}

static void decide(void *ctx, const struct gh_nfqueue_packet *packet, struct ao_result *result)
{
    assert_int_equal(packet->way, AO_OUT);
    assert_int_equal(packet->ifindex, 7);
    assert_int_equal(packet->len, sizeof(ip));
    result->verdict = *(const enum ao_verdict *)ctx;
    memcpy(result->head, "new", 3);
    result->head_len = 3;
    result->tail = 5; /* the last two octets stay */
}

/* The next verdict in what was sent: its kind (verdict or batch), id and payload. */
static uint32_t next_verdict(struct gh_rd *r, uint16_t *kind, uint32_t *id, struct gh_rd *payload)
{
    struct gh_nl_message m;
    struct gh_nl_attr a;
    uint32_t verdict = UINT32_MAX;

    *payload = gh_rd_make(NULL, 0);
    assert_true(gh_nl_next(r, &m));
    *kind = m.type & 0xff;
    gh_rd_skip(&m.body, 4);
    while (gh_nl_next_attr(&m.body, &a)) {
        if (a.type == NFQA_VERDICT_HDR) {
            verdict = gh_rd_u32(&a.body);
            *id = gh_rd_u32(&a.body);
        } else if (a.type == NFQA_PAYLOAD) {
            *payload = a.body;
        }
    }
    return verdict;
}

/* A queue's socket is played by one end of a pair. */
static void verdicts_are_those_of_the_engine(void **state)
{
    static const enum ao_verdict verdicts[] = {AO_DROP, AO_PASS, AO_REPLACE};
    struct gh_nfqueue_batch *batch = gh_nfqueue_batch_new();
    struct gh_nfqueue q;
    int pair[2];

    assert_non_null(batch);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    q = gh_nfqueue_make(pair[0], 17900);
    for (size_t i = 0; i < 3; i++) {
        enum ao_verdict verdict = verdicts[i];
        uint8_t mem[256];
        size_t len = packet_message(mem, sizeof(mem), 0);
        struct gh_rd r, payload;
        uint16_t kind;
        uint32_t id;
        ssize_t n;

        assert_int_equal(send(pair[1], mem, len, 0), len);
        assert_int_equal(gh_nfqueue_run(&q, batch, decide, &verdict), 1);
        n = recv(pair[1], mem, sizeof(mem), MSG_DONTWAIT);
        assert_true(n > 0);
        r = gh_rd_make(mem, (size_t)n);
        if (i == 0) { /* what an earlier reader left is dropped, up to the packet before */
            assert_int_equal(next_verdict(&r, &kind, &id, &payload), NF_DROP);
            assert_int_equal(kind, NFQNL_MSG_VERDICT_BATCH);
            assert_int_equal(id, 0x0101);
        }
        assert_int_equal(next_verdict(&r, &kind, &id, &payload),
                         verdict == AO_DROP ? NF_DROP : NF_ACCEPT);
        assert_int_equal(kind, NFQNL_MSG_VERDICT);
        assert_int_equal(id, 0x0102);
        assert_int_equal(gh_rd_left(&payload), verdict == AO_REPLACE ? 5 : 0);
        if (verdict == AO_REPLACE)
            assert_memory_equal(payload.p, "new\2\3", 5);
        assert_int_equal(gh_rd_left(&r), 0);
    }
    close(pair[0]);
    close(pair[1]);
    gh_nfqueue_batch_free(batch);
}

struct seen {
    unsigned count;
    uint32_t ifindex, mtu;
    bool is_vrf;
};

static void on_link(void *ctx, const struct gh_link *link)
{
    struct seen *seen = ctx;

    seen->count++;
    seen->ifindex = link->ifindex;
    seen->mtu = link->mtu;
    seen->is_vrf = link->is_vrf;
}

static void put_kind(struct gh_wr *w, const char *kind)
{
    size_t len = strlen(kind) + 1;

    gh_nl_put_attr_header(w, IFLA_LINKINFO, GH_NL_ATTR_HEADER + len + gh_nl_padding(len));
    gh_nl_put_attr(w, IFLA_INFO_KIND, kind, len);
}

static size_t link_message(uint8_t *mem, size_t cap, uint16_t type, uint32_t ifindex, uint32_t mtu,
                           const char *kind)
{
    struct gh_wr w = gh_wr_make(mem, cap);
    size_t start = gh_nl_begin(&w, type, 0, 0);

    gh_wr_u32(&w, 0);
    gh_nl_put_u32(&w, ifindex);
    gh_wr_zero(&w, 8);
    gh_nl_put_attr(&w, IFLA_IFNAME, "eth0", 5);
    gh_nl_put_attr(&w, IFLA_MTU, &mtu, sizeof(mtu));
    if (kind != NULL)
        put_kind(&w, kind);
    gh_nl_end(&w, start);
    assert_true(gh_wr_ok(&w));
    return w.len;
}

static void interfaces(void **state)
{
    uint8_t mem[256];
    struct seen seen = {0};
    size_t len = link_message(mem, sizeof(mem), RTM_NEWLINK, 3, 9000, NULL);

    len += link_message(mem + len, sizeof(mem) - len, RTM_NEWLINK, 4, 1280, "vrf");
    gh_links_parse(mem, len, on_link, &seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.ifindex, 4);
    assert_int_equal(seen.mtu, 1280);
    assert_true(seen.is_vrf);
    len = link_message(mem, sizeof(mem), RTM_DELLINK, 3, 9000, "vrf2");
    gh_links_parse(mem, len, on_link, &seen);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.mtu, 0);
    assert_false(seen.is_vrf);
    for (size_t n = 0; n < len; n++) {
        uint8_t exact[256];

        memcpy(exact, mem, n);
        seen.count = 0;
        gh_links_parse(exact, n, on_link, &seen);
        assert_int_equal(seen.count, 0);
    }
}

/* ---- Routes and addresses ------------------------------------------------------------------- */

static size_t route_message(uint8_t *mem, size_t cap, const uint8_t *source, size_t len)
{
    struct gh_wr w = gh_wr_make(mem, cap);
    size_t start = gh_nl_begin(&w, RTM_NEWROUTE, 0, 0);

    gh_wr_zero(&w, sizeof(struct rtmsg));
    gh_nl_put_attr(&w, RTA_DST, "\300\0\2\2", 4);
    if (source != NULL)
        gh_nl_put_attr(&w, RTA_PREFSRC, source, len);
    gh_nl_end(&w, start);
    assert_true(gh_wr_ok(&w));
    return w.len;
}

static void a_route_has_a_source(void **state)
{
    const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
    uint8_t mem[256];
    struct gh_addr a;
    size_t len = route_message(mem, sizeof(mem), (const uint8_t *)"\12\115\0\1", 4);

    assert_int_equal(gh_paths_parse_source(mem, len, &a), 0);
    assert_int_equal(a.len, 4);
    assert_memory_equal(a.octets, "\12\115\0\1", 4);
    for (size_t n = 0; n < len; n++) { /* cut anywhere it is none */
        uint8_t exact[256];

        memcpy(exact, mem, n);
        assert_int_not_equal(gh_paths_parse_source(exact, n, &a), 0);
    }
    len = route_message(mem, sizeof(mem), v6, 16);
    assert_int_equal(gh_paths_parse_source(mem, len, &a), 0);
    assert_memory_equal(a.octets, v6, 16);
    len = route_message(mem, sizeof(mem), v6, 5);
    assert_int_equal(gh_paths_parse_source(mem, len, &a), -EADDRNOTAVAIL);
    len = route_message(mem, sizeof(mem), NULL, 0);
    assert_int_equal(gh_paths_parse_source(mem, len, &a), -EADDRNOTAVAIL);
}

struct address_message {
    uint8_t family, scope;
    uint32_t flags;
    const char *address, *local; /* NULL: not there */
};

static bool parse_address(const struct address_message *x, struct gh_paths_address *out,
                          uint32_t *ifindex)
{
    uint8_t mem[256];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t len = x->family == AF_INET6 ? 16 : 4, start = gh_nl_begin(&w, RTM_NEWADDR, 0, 0);
    struct gh_nl_message m;
    struct gh_rd r;

    gh_wr_u8(&w, x->family);
    gh_wr_u8(&w, 24);
    gh_wr_u8(&w, (uint8_t)x->flags);
    gh_wr_u8(&w, x->scope);
    gh_nl_put_u32(&w, 7);
    if (x->address != NULL)
        gh_nl_put_attr(&w, IFA_ADDRESS, x->address, len);
    if (x->local != NULL)
        gh_nl_put_attr(&w, IFA_LOCAL, x->local, len);
    gh_nl_put_attr(&w, IFA_FLAGS, &x->flags, sizeof(x->flags));
    gh_nl_end(&w, start);
    assert_true(gh_wr_ok(&w));
    r = gh_rd_make(mem, w.len);
    assert_true(gh_nl_next(&r, &m));
    return gh_paths_parse_address(&m, out, ifindex);
}

static void addresses_that_peers_may_know(void **state)
{
    static const char global[] = "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1";
    static const struct {
        struct address_message m;
        bool there, fit;
    } cases[] = {
        {{AF_INET, RT_SCOPE_UNIVERSE, 0, "\12\0\0\1", "\12\0\0\1"}, true, true},
        {{AF_INET, RT_SCOPE_UNIVERSE, IFA_F_SECONDARY, "\12\0\0\1", "\12\0\0\1"}, true, true},
        {{AF_INET, RT_SCOPE_HOST, 0, "\177\0\0\1", "\177\0\0\1"}, true, false},
        {{AF_INET, RT_SCOPE_UNIVERSE, 0, NULL, NULL}, false, false},
        {{AF_INET6, RT_SCOPE_UNIVERSE, IFA_F_PERMANENT, global, NULL}, true, true},
        {{AF_INET6, RT_SCOPE_LINK, IFA_F_PERMANENT, global, NULL}, true, false},
        {{AF_INET6, RT_SCOPE_UNIVERSE, IFA_F_TEMPORARY, global, NULL}, true, false},
        {{AF_INET6, RT_SCOPE_UNIVERSE, IFA_F_DEPRECATED, global, NULL}, true, false},
        {{AF_INET6, RT_SCOPE_UNIVERSE, IFA_F_TENTATIVE, global, NULL}, false, false},
        {{AF_INET6, RT_SCOPE_UNIVERSE, IFA_F_DADFAILED, global, NULL}, false, false},
    };
    struct gh_paths_address a;
    uint32_t ifindex;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse_address(&cases[i].m, &a, &ifindex), cases[i].there);
        if (!cases[i].there)
            continue;
        assert_int_equal(a.fit, cases[i].fit);
        assert_int_equal(ifindex, 7);
    }
    /* Of a link with two ends, ours. */
    assert_true(parse_address(
        &(struct address_message){AF_INET, RT_SCOPE_UNIVERSE, 0, "\12\0\0\2", "\12\0\0\1"}, &a,
        &ifindex));
    assert_memory_equal(a.addr.octets, "\12\0\0\1", 4);
}

/* Our own namespace has at least a loopback. */
static void the_kernel_is_asked(void **state)
{
    static struct gh_paths_address list[GH_PATHS_ADDRESSES];
    const struct gh_addr loopback = gh_addr_from((const uint8_t *)"\177\0\0\1", 4);
    struct gh_paths p;
    struct gh_addr from;
    size_t count = 0, seen = 0;

    assert_int_equal(gh_paths_open(NULL, "no-such-vrf", &p), -ENODEV);
    assert_int_equal(gh_paths_open("no-such-namespace", NULL, &p), -ENOENT);
    assert_int_equal(gh_paths_open(NULL, NULL, &p), 0);
    assert_int_equal(gh_paths_source(&p, &loopback, &from), 0);
    assert_true(gh_addr_equal(&from, &loopback));
    assert_int_equal(gh_paths_addresses(&p, list, &count), 0);
    for (size_t i = 0; i < count; i++)
        seen += gh_addr_equal(&list[i].addr, &loopback) && !list[i].fit;
    assert_int_equal(seen, 1);
    gh_paths_close(&p);
    gh_paths_close(&p);
}

static bool rules_gone(uint16_t kind, const char *table)
{
    uint8_t mem[256];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t start = gh_nl_begin(&w, 10 << 8 | kind, 0, 0);

    gh_wr_u32(&w, 0);
    gh_nl_put_attr(&w, NFTA_RULE_CHAIN, "input", 6);
    gh_nl_put_attr(&w, NFTA_RULE_TABLE, table, strlen(table) + 1);
    gh_nl_end(&w, start);
    assert_true(gh_wr_ok(&w));
    return gh_rules_watch_parse(mem, w.len);
}

static void removed_rules(void **state)
{
    assert_true(rules_gone(NFT_MSG_DELRULE, "gatehouse"));
    assert_true(rules_gone(NFT_MSG_DELCHAIN, "mangle"));
    assert_false(rules_gone(NFT_MSG_NEWRULE, "gatehouse"));
    assert_false(rules_gone(NFT_MSG_DELRULE, "filter"));
    assert_false(rules_gone(NFT_MSG_DELRULE, "gatehouse2"));
}

/* ---- Sockets -------------------------------------------------------------------------------- */

static struct tcpao_endpoint end_of(uint8_t octets, uint8_t last, uint16_t port)
{
    struct tcpao_endpoint end = {.addr_len = octets, .port = port};

    end.addr[0] = 10;
    end.addr[octets - 1] = last;
    return end;
}

static void put_address(struct gh_wr *w, uint8_t family, const struct tcpao_endpoint *end)
{
    bool mapped = family == AF_INET6 && end->addr_len == 4;

    if (mapped) {
        gh_wr_zero(w, 10);
        gh_wr_u16(w, 0xffff);
    }
    gh_wr_bytes(w, end->addr, end->addr_len);
    if (family == AF_INET)
        gh_wr_zero(w, 12);
}

/* The kernel's answer about a socket, cut to its first n octets. */
static enum gh_socket_use told(uint8_t family, uint8_t tcp_state, const struct tcpao_endpoint *from,
                               const struct tcpao_endpoint *to, size_t n)
{
    const struct tcpao_endpoint local = end_of(from->addr_len, 1, 179),
                                remote = end_of(to->addr_len, 2, 40000);
    uint8_t mem[sizeof(struct inet_diag_msg)];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));

    gh_wr_u8(&w, family);
    gh_wr_u8(&w, tcp_state);
    gh_wr_zero(&w, 2);
    gh_wr_u16(&w, from->port);
    gh_wr_u16(&w, to->port);
    put_address(&w, family, from);
    put_address(&w, family, to);
    gh_wr_zero(&w, sizeof(mem) - w.len);
    assert_true(gh_wr_ok(&w));
    return gh_socket_parse(gh_rd_make(mem, n), &local, &remote);
}

static void sockets_in_all_states(void **state)
{
    static const enum gh_socket_use expected[] = {
        [TCP_ESTABLISHED] = GH_SOCKET_USED,  [TCP_SYN_SENT] = GH_SOCKET_USED,
        [TCP_SYN_RECV] = GH_SOCKET_USED,     [TCP_FIN_WAIT1] = GH_SOCKET_CLOSING,
        [TCP_FIN_WAIT2] = GH_SOCKET_CLOSING, [TCP_TIME_WAIT] = GH_SOCKET_CLOSING,
        [TCP_CLOSE] = GH_SOCKET_GONE,        [TCP_CLOSE_WAIT] = GH_SOCKET_USED,
        [TCP_LAST_ACK] = GH_SOCKET_CLOSING,  [TCP_LISTEN] = GH_SOCKET_GONE,
        [TCP_CLOSING] = GH_SOCKET_CLOSING};

    for (uint8_t octets = 4; octets <= 16; octets += 12) {
        struct tcpao_endpoint local = end_of(octets, 1, 179), remote = end_of(octets, 2, 40000);

        for (uint8_t s = TCP_ESTABLISHED; s <= TCP_CLOSING; s++) {
            assert_int_equal(told(AF_INET6, s, &local, &remote, sizeof(struct inet_diag_msg)),
                             expected[s]);
            assert_true(octets == 16 || told(AF_INET, s, &local, &remote,
                                             sizeof(struct inet_diag_msg)) == expected[s]);
        }
    }
}

static void other_sockets_and_cut_answers(void **state)
{
    struct tcpao_endpoint local = end_of(4, 1, 179), remote = end_of(4, 2, 40000);
    struct tcpao_endpoint other = end_of(4, 3, 40000), port = end_of(4, 2, 40001);
    const size_t whole = sizeof(struct inet_diag_msg);

    assert_int_equal(told(AF_INET, TCP_ESTABLISHED, &local, &other, whole), GH_SOCKET_GONE);
    assert_int_equal(told(AF_INET, TCP_ESTABLISHED, &local, &port, whole), GH_SOCKET_GONE);
    assert_int_equal(told(AF_INET, TCP_ESTABLISHED, &other, &remote, whole), GH_SOCKET_GONE);
    assert_int_equal(told(AF_INET6, TCP_ESTABLISHED, &local, &other, whole), GH_SOCKET_GONE);
    for (size_t n = 0; n < 40; n++)
        assert_int_equal(told(AF_INET, TCP_CLOSE, &local, &remote, n), GH_SOCKET_UNKNOWN);
}

/* ---- Sockets' ends -------------------------------------------------------------------------- */

struct cookies {
    uint64_t list[4];
    size_t count;
};

static void on_cookie(void *ctx, uint64_t cookie)
{
    struct cookies *c = ctx;

    assert_true(c->count < 4);
    c->list[c->count++] = cookie;
}

static size_t put_socket(uint8_t *mem, uint64_t cookie)
{
    const struct inet_diag_msg m = {
        .id.idiag_cookie = {(uint32_t)cookie, (uint32_t)(cookie >> 32)}};
    struct gh_wr w = gh_wr_make(mem, 256);
    size_t start = gh_nl_begin(&w, SOCK_DIAG_BY_FAMILY, 0, 0);

    gh_wr_bytes(&w, &m, sizeof(m));
    gh_nl_end(&w, start);
    assert_true(gh_wr_ok(&w));
    return w.len;
}

static size_t put_end(uint8_t *mem, uint16_t type, int32_t error)
{
    struct gh_wr w = gh_wr_make(mem, 256);
    size_t start = gh_nl_begin(&w, type, 0, 1);

    gh_nl_put_u32(&w, (uint32_t)error);
    gh_nl_end(&w, start);
    return w.len;
}

static void cookies_of_sockets(void **state)
{
    uint8_t mem[1024];
    struct cookies seen = {.count = 0};
    size_t len = put_socket(mem, 7), one = len;

    len += put_socket(mem + len, 0x123456789abcull);
    assert_int_equal(gh_socket_watch_parse(mem, len, on_cookie, &seen), GH_WATCH_MORE);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.list[0], 7);
    assert_int_equal(seen.list[1], 0x123456789abcull);
    len += put_end(mem + len, NLMSG_DONE, 0);
    seen.count = 0;
    assert_int_equal(gh_socket_watch_parse(mem, len, on_cookie, &seen), GH_WATCH_DONE);
    assert_int_equal(seen.count, 2);
    len = one + put_end(mem + one, NLMSG_ERROR, -2);
    seen.count = 0;
    assert_int_equal(gh_socket_watch_parse(mem, len, on_cookie, &seen), GH_WATCH_FAILED);
    len = one + put_end(mem + one, NLMSG_DONE, -12); /* a list that was cut short */
    seen.count = 0;
    assert_int_equal(gh_socket_watch_parse(mem, len, on_cookie, &seen), GH_WATCH_FAILED);
    for (size_t n = 1; n < one; n++) {
        uint8_t exact[256];

        memcpy(exact, mem, n);
        seen.count = 0;
        assert_int_equal(gh_socket_watch_parse(exact, n, on_cookie, &seen), GH_WATCH_FAILED);
        assert_int_equal(seen.count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet),
        cmocka_unit_test(a_cut_packet_is_told),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(attribute_beyond_the_message),
        cmocka_unit_test(a_verdict),
        cmocka_unit_test(queue_parameters),
        cmocka_unit_test(verdicts_are_those_of_the_engine),
        cmocka_unit_test(interfaces),
        cmocka_unit_test(a_route_has_a_source),
        cmocka_unit_test(addresses_that_peers_may_know),
        cmocka_unit_test(the_kernel_is_asked),
        cmocka_unit_test(removed_rules),
        cmocka_unit_test(sockets_in_all_states),
        cmocka_unit_test(other_sockets_and_cut_answers),
        cmocka_unit_test(cookies_of_sockets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
