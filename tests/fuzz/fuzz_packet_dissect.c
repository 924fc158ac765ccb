/*
 * The dissector: any octets as an IP packet, a TCP header and an ICMP error.
 *
 * Beyond not crashing: the lengths it reports add up and stay within what was given.
 */
#include <stdlib.h>

#include "capture/link.h"
#include "wire/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool good)
{
    if (!good)
        abort();
}

static void dissect_ip(const uint8_t *data, size_t len)
{
    struct gh_ip_packet ip;
    struct gh_tcp_segment tcp;
    struct gh_icmp_error icmp;
    enum gh_ip_result result = gh_ip_parse(data, len, &ip);

    if (result == GH_IP_MALFORMED)
        return;
    must(ip.version == 4 || ip.version == 6);
    must(ip.src.len == (ip.version == 4 ? 4 : 16) && ip.dst.len == ip.src.len);
    must(ip.header_len + ip.l4_len <= len);
    must((result == GH_IP_CUT) == (ip.header_len + ip.l4_len < ip.total_len));
    if (gh_tcp_parse(data + ip.header_len, ip.l4_len, &tcp) == GH_IP_OK)
        must(tcp.header_len >= 20 && tcp.header_len + tcp.payload_len == ip.l4_len);
    if (gh_icmp_embedded(ip.version, data + ip.header_len, ip.l4_len, &icmp) == GH_IP_OK)
        must(icmp.src.len == ip.src.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const int link_types[] = {1, 0, 108, 12, 113, 276};
    size_t offset;

    if (len == 0)
        return 0;
    if (!cap_link_find_ip(link_types[data[0] % 6], data + 1, len - 1, &offset))
        return 0;
    must(offset <= len - 1);
    dissect_ip(data + 1 + offset, len - 1 - offset);
    return 0;
}
