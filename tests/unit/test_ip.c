/* IP, TCP and ICMP headers, and the Internet checksum. */
#include "unit.h"

#include <string.h>

#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/wr.h"

enum { SYN_LEN = 24 };

/* A SYN from port 1000 to 179 with an MSS option. */
static void put_syn(struct gh_wr *w)
{
    gh_wr_u16(w, 1000);
    gh_wr_u16(w, 179);
    gh_wr_u32(w, 0x01020304);
    gh_wr_u32(w, 0);
    gh_wr_u16(w, 6 << 12 | GH_TCP_SYN);
    gh_wr_u16(w, 4096);
    gh_wr_u32(w, 0xabcd0000);
    gh_wr_u32(w, 0x020405b4);
}

static void put_v4(struct gh_wr *w, size_t options, size_t l4_len, uint8_t protocol,
                   uint16_t fragment)
{
    gh_wr_u8(w, 0x40 | (5 + options / 4));
    gh_wr_u8(w, 0);
    gh_wr_u16(w, 20 + options + l4_len);
    gh_wr_u16(w, 0x1234);
    gh_wr_u16(w, fragment);
    gh_wr_u8(w, 64);
    gh_wr_u8(w, protocol);
    gh_wr_u16(w, 0);
    gh_wr_u32(w, 0x0a0b0c0d);
    gh_wr_u32(w, 0xac1b1c1d);
    for (size_t i = 0; i < options; i++)
        gh_wr_u8(w, 1);
}

static void put_v6(struct gh_wr *w, uint8_t next, size_t payload)
{
    gh_wr_u32(w, 0x60000000);
    gh_wr_u16(w, payload);
    gh_wr_u8(w, next);
    gh_wr_u8(w, 64);
    gh_wr_u64(w, 0xfd00000000000000ull);
    gh_wr_u64(w, 1);
    gh_wr_u64(w, 0xfd00000000000000ull);
    gh_wr_u64(w, 2);
}

/* An IPv6 fragment header. */
static void put_fragment(struct gh_wr *w, uint8_t next, uint16_t offset_and_more)
{
    gh_wr_u8(w, next);
    gh_wr_u8(w, 0);
    gh_wr_u16(w, offset_and_more);
    gh_wr_u32(w, 7);
}

static void v4_with_options_and_padding(void **state)
{
    uint8_t mem[128];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_ip_packet ip;
    struct gh_tcp_segment tcp;
    char text[GH_ADDR_TEXT];

    put_v4(&w, 8, SYN_LEN, GH_IP_TCP, 0x4000); /* DF is no fragment */
    put_syn(&w);
    gh_wr_zero(&w, 6); /* as Ethernet pads */
    assert_int_equal(gh_ip_parse(mem, w.len, &ip), GH_IP_OK);
    assert_int_equal(ip.version, 4);
    assert_int_equal(ip.protocol, GH_IP_TCP);
    assert_int_equal(ip.header_len, 28);
    assert_int_equal(ip.l4_len, SYN_LEN);
    assert_int_equal(ip.total_len, 28 + SYN_LEN);
    assert_false(ip.fragment);
    assert_string_equal(gh_addr_format(&ip.src, text), "10.11.12.13");
    assert_string_equal(gh_addr_format(&ip.dst, text), "172.27.28.29");

    assert_int_equal(gh_tcp_parse(mem + ip.header_len, ip.l4_len, &tcp), GH_IP_OK);
    assert_int_equal(tcp.src_port, 1000);
    assert_int_equal(tcp.dst_port, 179);
    assert_int_equal(tcp.seq, 0x01020304);
    assert_int_equal(tcp.flags, GH_TCP_SYN);
    assert_int_equal(tcp.window, 4096);
    assert_int_equal(tcp.checksum, 0xabcd);
    assert_int_equal(tcp.header_len, 24);
    assert_int_equal(tcp.payload_len, 0);
}

static void cut_packet_keeps_its_headers(void **state)
{
    uint8_t mem[128];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_ip_packet ip;

    put_v4(&w, 0, SYN_LEN + 1000, GH_IP_TCP, 0);
    put_syn(&w);
    assert_int_equal(gh_ip_parse(mem, w.len, &ip), GH_IP_CUT);
    assert_int_equal(ip.l4_len, SYN_LEN);
    assert_int_equal(ip.total_len, 20 + SYN_LEN + 1000);
}

static void every_short_header_is_malformed(void **state)
{
    uint8_t mem[128];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_ip_packet ip;
    struct gh_tcp_segment tcp;

    put_v4(&w, 4, 0, GH_IP_TCP, 0);
    for (size_t len = 0; len < 24; len++)
        assert_int_equal(gh_ip_parse(mem, len, &ip), GH_IP_MALFORMED);
    mem[0] = 0x44; /* a header of 16 octets */
    assert_int_equal(gh_ip_parse(mem, w.len, &ip), GH_IP_MALFORMED);
    mem[0] = 0x46;
    mem[3] = 23; /* a packet shorter than its header */
    assert_int_equal(gh_ip_parse(mem, w.len, &ip), GH_IP_MALFORMED);
    mem[0] = 0x56;
    assert_int_equal(gh_ip_parse(mem, w.len, &ip), GH_IP_MALFORMED);

    w = gh_wr_make(mem, sizeof(mem));
    put_v6(&w, 0, 16);
    gh_wr_u8(&w, GH_IP_TCP);
    gh_wr_u8(&w, 1);
    gh_wr_zero(&w, 14);
    for (size_t len = 0; len < 56; len++)
        assert_int_equal(gh_ip_parse(mem, len, &ip), GH_IP_MALFORMED);

    w = gh_wr_make(mem, sizeof(mem));
    put_syn(&w);
    for (size_t len = 0; len < SYN_LEN; len++)
        assert_int_equal(gh_tcp_parse(mem, len, &tcp), GH_IP_MALFORMED);
    mem[12] = 4 << 4;
    assert_int_equal(gh_tcp_parse(mem, SYN_LEN, &tcp), GH_IP_MALFORMED);
}

static void v4_fragments(void **state)
{
    uint8_t mem[64];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_ip_packet ip;

    put_v4(&w, 0, SYN_LEN, GH_IP_TCP, 0x2000);
    put_syn(&w);
    assert_int_equal(gh_ip_parse(mem, w.len, &ip), GH_IP_OK);
    assert_true(ip.fragment);
    assert_int_equal(ip.fragment_offset, 0);
    gh_wr_put_u16(&w, 6, 3);
    assert_int_equal(gh_ip_parse(mem, w.len, &ip), GH_IP_OK);
    assert_true(ip.fragment);
    assert_int_equal(ip.fragment_offset, 24);
}

static void v6_extension_headers(void **state)
{
    uint8_t mem[160];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_ip_packet ip;

    put_v6(&w, 0, 8 + 16 + 8 + 24 + SYN_LEN);
    gh_wr_u16(&w, 43 << 8); /* hop by hop, 8 octets */
    gh_wr_zero(&w, 6);
    gh_wr_u16(&w, 44 << 8 | 1); /* routing, 16 octets */
    gh_wr_zero(&w, 14);
    put_fragment(&w, 51, 0);
    gh_wr_u16(&w, GH_IP_TCP << 8 | 4); /* authentication, 24 octets */
    gh_wr_zero(&w, 22);
    put_syn(&w);
    assert_int_equal(gh_ip_parse(mem, w.len, &ip), GH_IP_OK);
    assert_int_equal(ip.version, 6);
    assert_int_equal(ip.protocol, GH_IP_TCP);
    assert_int_equal(ip.header_len, 40 + 8 + 16 + 8 + 24);
    assert_int_equal(ip.l4_len, SYN_LEN);
    assert_false(ip.fragment); /* an atomic one */
}

static void v6_fragments(void **state)
{
    uint8_t mem[160];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_ip_packet ip;

    put_v6(&w, 44, 16 + SYN_LEN);
    put_fragment(&w, 44, 1);
    put_fragment(&w, GH_IP_TCP, 0);
    put_syn(&w);
    assert_int_equal(gh_ip_parse(mem, w.len, &ip), GH_IP_OK);
    assert_true(ip.fragment); /* the atomic one behind it hides nothing */

    /* Data that looks like an extension header, in the middle of a datagram. */
    w = gh_wr_make(mem, sizeof(mem));
    put_v6(&w, 44, 8 + SYN_LEN);
    put_fragment(&w, 60, 8 << 3);
    put_syn(&w);
    assert_int_equal(gh_ip_parse(mem, w.len, &ip), GH_IP_OK);
    assert_true(ip.fragment);
    assert_int_equal(ip.fragment_offset, 64);
    assert_int_equal(ip.header_len, 48);
    assert_int_equal(ip.protocol, 60);
}

static void icmp_quotes_a_segment(void **state)
{
    uint8_t mem[128];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_icmp_error icmp;
    char text[GH_ADDR_TEXT];
    size_t quoted;

    gh_wr_u32(&w, 0x03040000);
    gh_wr_u32(&w, 1400);
    quoted = w.len;
    put_v4(&w, 0, SYN_LEN, GH_IP_TCP, 0x4000);
    put_syn(&w);
    assert_int_equal(gh_icmp_embedded(4, mem, quoted + 28, &icmp), GH_IP_OK);
    assert_int_equal(icmp.type, 3);
    assert_int_equal(icmp.code, 4);
    assert_int_equal(icmp.mtu, 1400);
    assert_int_equal(icmp.protocol, GH_IP_TCP);
    assert_int_equal(icmp.src_port, 1000);
    assert_int_equal(icmp.dst_port, 179);
    assert_int_equal(icmp.seq, 0x01020304);
    assert_string_equal(gh_addr_format(&icmp.src, text), "10.11.12.13");
    assert_string_equal(gh_addr_format(&icmp.dst, text), "172.27.28.29");

    assert_int_equal(gh_icmp_embedded(4, mem, quoted + 27, &icmp), GH_IP_MALFORMED);
    assert_int_equal(gh_icmp_embedded(6, mem, w.len, &icmp), GH_IP_MALFORMED);
    mem[0] = 8;
    assert_int_equal(gh_icmp_embedded(4, mem, w.len, &icmp), GH_IP_NOT_ERROR);
    assert_int_equal(gh_icmp_embedded(4, mem, 7, &icmp), GH_IP_MALFORMED);
}

static void icmpv6_quotes_a_segment(void **state)
{
    uint8_t mem[128];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_icmp_error icmp;

    gh_wr_u32(&w, 0x02000000);
    gh_wr_u32(&w, 0x10000);
    put_v6(&w, GH_IP_TCP, SYN_LEN);
    put_syn(&w);
    assert_int_equal(gh_icmp_embedded(6, mem, w.len, &icmp), GH_IP_OK);
    assert_int_equal(icmp.mtu, 0x10000);
    assert_int_equal(icmp.dst_port, 179);
    mem[0] = 135;
    assert_int_equal(gh_icmp_embedded(6, mem, w.len, &icmp), GH_IP_NOT_ERROR);
}

static void checksum_of_known_headers(void **state)
{
    /* RFC 1071 section 3, and an IPv4 header from a real capture. */
    static const uint8_t rfc[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    uint8_t header[20] = {0x45, 0xc0, 0x00, 0x4d, 0xf9, 0x45, 0x40, 0x00, 0x01, 0x06,
                          0x00, 0x00, 0x1f, 0x00, 0x00, 0x01, 0x20, 0x00, 0x00, 0x02};
    uint16_t sum = gh_sum_fold(gh_sum(header, sizeof(header), 0));

    assert_int_equal(gh_sum_fold(gh_sum(rfc, sizeof(rfc), 0)), (uint16_t)~0xddf2);
    header[10] = (uint8_t)(sum >> 8);
    header[11] = (uint8_t)sum;
    assert_int_equal(gh_sum_fold(gh_sum(header, sizeof(header), 0)), 0);
}

/* The sum by its definition, two octets at a time. */
static uint16_t plain_sum(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static void checksum_of_any_length_and_in_pieces(void **state)
{
    uint8_t mem[300];

    for (size_t i = 0; i < sizeof(mem); i++)
        mem[i] = (uint8_t)(255 - i * 7);
    for (size_t len = 0; len <= sizeof(mem); len++) {
        size_t half = len / 4 * 2;
        uint32_t pieces = gh_sum(mem + half, len - half, gh_sum(mem, half, 0));

        assert_int_equal(gh_sum_fold(gh_sum(mem, len, 0)), plain_sum(mem, len));
        assert_int_equal(gh_sum_fold(pieces), plain_sum(mem, len));
    }
}

static void pseudo_header_is_summed_as_written(void **state)
{
    struct gh_addr a = gh_addr_from((const uint8_t *)"\x0a\x0b\x0c\x0d", 4);
    struct gh_addr b = gh_addr_from((const uint8_t *)"\xac\x1b\x1c\x1d", 4);
    const uint8_t v4[] = {10, 11, 12, 13, 0xac, 0x1b, 0x1c, 0x1d, 0, 6, 0x12, 0x34};
    struct gh_addr c, d;
    uint8_t v6[40] = {0};

    assert_int_equal(gh_sum_fold(gh_sum_pseudo(&a, &b, 6, 0x1234)), plain_sum(v4, sizeof(v4)));
    assert_true(gh_addr_parse("fd00::1", &c));
    assert_true(gh_addr_parse("fd00::2:3", &d));
    memcpy(v6, c.octets, 16);
    memcpy(v6 + 16, d.octets, 16);
    v6[33] = 1; /* length 0x10004 */
    v6[35] = 4;
    v6[39] = 6;
    assert_int_equal(gh_sum_fold(gh_sum_pseudo(&c, &d, 6, 0x10004)), plain_sum(v6, sizeof(v6)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v4_with_options_and_padding),
        cmocka_unit_test(cut_packet_keeps_its_headers),
        cmocka_unit_test(every_short_header_is_malformed),
        cmocka_unit_test(v4_fragments),
        cmocka_unit_test(v6_extension_headers),
        cmocka_unit_test(v6_fragments),
        cmocka_unit_test(icmp_quotes_a_segment),
        cmocka_unit_test(icmpv6_quotes_a_segment),
        cmocka_unit_test(checksum_of_known_headers),
        cmocka_unit_test(checksum_of_any_length_and_in_pieces),
        cmocka_unit_test(pseudo_header_is_summed_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
