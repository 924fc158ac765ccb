/* The kernel's tunnel devices as messages: what is asked for, and what the kernel says of one. */
#include "unit.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/ip6_tunnel.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "platform/tunnel_device.h"

static struct tunnel_params params(enum tunnel_kind kind, const char *local, const char *remote)
{
    struct tunnel_params p = {.kind = kind, .mtu = {.ip_mtu = 1400}};

    assert_true(gh_addr_parse(local, &p.local) && gh_addr_parse(remote, &p.remote));
    return p;
}

static bool find(struct gh_rd r, uint16_t type, struct gh_rd *out)
{
    struct gh_nl_attr a;

    while (gh_nl_next_attr(&r, &a))
        if (a.type == type) {
            *out = a.body;
            return true;
        }
    return false;
}

static uint8_t mem[1024];

/* Of IFLA_INFO_DATA; *m: the message. */
static struct gh_rd put(const struct tunnel_params *p, uint32_t ifindex, struct gh_nl_message *m)
{
    const struct gh_tunnel_device d = {.p = p, .mtu = 1400};
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_rd r, info, kind, data;
    const char *name = gh_tunnel_device_kind(p);

    gh_tunnel_device_put(&w, &d, "new0", ifindex, 5);
    assert_true(gh_wr_ok(&w));
    r = gh_rd_make(mem, w.len);
    assert_true(gh_nl_next(&r, m) && gh_rd_left(&r) == 0);
    assert_int_equal(m->type, RTM_NEWLINK);
    r = m->body;
    gh_rd_skip(&r, sizeof(struct ifinfomsg));
    assert_int_equal(find(r, IFLA_IFNAME, &data), ifindex == 0);
    assert_true(find(r, IFLA_MTU, &data));
    assert_int_equal(gh_nl_u32(&data), 1400);
    assert_true(find(r, IFLA_LINKINFO, &info));
    assert_true(find(info, IFLA_INFO_KIND, &kind));
    assert_memory_equal(kind.p, name, strlen(name) + 1);
    assert_true(find(info, IFLA_INFO_DATA, &data));
    return data;
}

static uint32_t number(struct gh_rd data, uint16_t type)
{
    struct gh_rd v = {.bad = false};

    assert_true(find(data, type, &v));
    return gh_rd_left(&v) == 1 ? gh_rd_u8(&v) : gh_rd_left(&v) == 2 ? gh_nl_u16(&v) : gh_nl_u32(&v);
}

static void gre_over_ipv4(void **state)
{
    struct tunnel_params p = params(TUNNEL_GRE, "192.0.2.1", "192.0.2.2");
    struct gh_nl_message m;
    struct gh_rd data, v;

    data = put(&p, 0, &m);
    assert_string_equal(gh_tunnel_device_kind(&p), "gre");
    assert_int_equal(m.flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
    assert_int_equal(number(data, IFLA_GRE_LINK), 5);
    assert_int_equal(number(data, IFLA_GRE_IFLAGS), 0);
    assert_int_equal(number(data, IFLA_GRE_TTL), 255);
    assert_int_equal(number(data, IFLA_GRE_TOS), 1); /* a copy */
    assert_int_equal(number(data, IFLA_GRE_PMTUDISC), 0);
    assert_int_equal(number(data, IFLA_GRE_IGNORE_DF), 0);
    assert_true(find(data, IFLA_GRE_REMOTE, &v));
    assert_memory_equal(v.p, p.remote.octets, 4);
    p.has_send_key = p.send_sequence = p.check_sequence = p.send_checksum = true;
    p.send_key = 77;
    p.ttl = 9;
    p.set_dscp = true;
    p.dscp = 46;
    p.df = TUNNEL_DF_CLEAR;
    data = put(&p, 3, &m);
    assert_int_equal(m.flags, NLM_F_REQUEST | NLM_F_ACK);
    assert_int_equal(number(data, IFLA_GRE_OFLAGS), GRE_KEY | GRE_SEQ | GRE_CSUM);
    assert_int_equal(number(data, IFLA_GRE_IFLAGS), GRE_SEQ | GRE_CSUM);
    assert_int_equal(number(data, IFLA_GRE_OKEY), htonl(77));
    assert_int_equal(number(data, IFLA_GRE_TTL), 9);
    assert_int_equal(number(data, IFLA_GRE_TOS), 46 << 2);
    assert_int_equal(number(data, IFLA_GRE_IGNORE_DF), 1);
    p.df = TUNNEL_DF_SET;
    assert_int_equal(number(put(&p, 3, &m), IFLA_GRE_PMTUDISC), 1);
}

static void the_others(void **state)
{
    struct tunnel_params p = params(TUNNEL_GRE, "2001:db8::1", "2001:db8::2");
    struct gh_nl_message m;
    struct gh_rd data;

    data = put(&p, 0, &m);
    assert_string_equal(gh_tunnel_device_kind(&p), "ip6gre");
    assert_int_equal(number(data, IFLA_GRE_FLAGS),
                     IP6_TNL_F_IGN_ENCAP_LIMIT | IP6_TNL_F_USE_ORIG_TCLASS);
    p = params(TUNNEL_IP_IP, "2001:db8::1", "2001:db8::2");
    p.has_encapsulation_limit = p.set_dscp = true;
    p.encapsulation_limit = 3;
    p.dscp = 10;
    data = put(&p, 0, &m);
    assert_string_equal(gh_tunnel_device_kind(&p), "ip6tnl");
    assert_int_equal(number(data, IFLA_IPTUN_FLAGS), 0);
    assert_int_equal(number(data, IFLA_IPTUN_ENCAP_LIMIT), 3);
    assert_int_equal(number(data, IFLA_IPTUN_FLOWINFO), htonl(10u << 22));
    assert_int_equal(number(data, IFLA_IPTUN_PROTO), 0); /* both versions inside */
    p = params(TUNNEL_IP_IP, "192.0.2.1", "192.0.2.2");
    data = put(&p, 0, &m);
    assert_string_equal(gh_tunnel_device_kind(&p), "sit");
    assert_int_equal(number(data, IFLA_IPTUN_TTL), 255);
    assert_int_equal(number(data, IFLA_IPTUN_PROTO), 0);
}

static void what_the_kernel_says(void **state)
{
    const struct ifinfomsg info = {.ifi_index = 7, .ifi_flags = IFF_UP};
    const struct rtnl_link_stats64 stats = {.rx_packets = 1,
                                            .tx_packets = 2,
                                            .rx_bytes = 3,
                                            .tx_bytes = 4,
                                            .rx_crc_errors = 5,
                                            .rx_fifo_errors = 6,
                                            .tx_carrier_errors = 7};
    const uint32_t mtu = 1400;
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t start = gh_nl_begin(&w, RTM_NEWLINK, 0, 1);
    struct gh_tunnel_device_state s;
    struct gh_nl_message m;
    struct gh_rd r;

    gh_wr_bytes(&w, &info, sizeof(info));
    gh_nl_put_attr(&w, IFLA_IFNAME, "gre1", 5);
    gh_nl_put_attr(&w, IFLA_MTU, &mtu, sizeof(mtu));
    gh_nl_put_attr(&w, IFLA_IFALIAS, "ours", 5);
    gh_nl_put_attr(&w, IFLA_STATS64, &stats, sizeof(stats));
    gh_nl_end(&w, start);
    for (size_t len = 0; len <= w.len; len++) { /* cut anywhere */
        uint32_t cut = (uint32_t)len;

        memcpy(mem, &cut, sizeof(cut));
        r = gh_rd_make(mem, len);
        if (gh_nl_next(&r, &m))
            (void)gh_tunnel_device_parse(&m, &s);
    }
    assert_true(gh_tunnel_device_parse(&m, &s));
    assert_true(s.up && s.ifindex == 7 && s.mtu == 1400);
    assert_string_equal(s.name, "gre1");
    assert_string_equal(s.alias, "ours");
    assert_true(s.rx_packets == 1 && s.tx_packets == 2 && s.rx_octets == 3 && s.tx_octets == 4);
    assert_true(s.rx_checksum == 5 && s.rx_sequence == 6 && s.tx_no_way == 7);
    m.type = RTM_DELLINK;
    assert_false(gh_tunnel_device_parse(&m, &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gre_over_ipv4),
        cmocka_unit_test(the_others),
        cmocka_unit_test(what_the_kernel_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
