#include "daemon/esp_udp_sum.h"

#include "base/addr.h"
#include "ipsec/header.h"
#include "wire/checksum.h"
#include "wire/wr.h"

void gh_esp_udp_sum(struct ipsec_packet *p)
{
    enum { CHECKSUM_AT = IPSEC_IPV6_HEADER + 6 };
    uint8_t *data = ipsec_packet_data(p);
    struct gh_addr src = gh_addr_from(data + 8, 16), dst = gh_addr_from(data + 24, 16);
    struct gh_wr w = gh_wr_make(data + CHECKSUM_AT, 2);
    size_t len = p->len - IPSEC_IPV6_HEADER;
    uint16_t sum;

    if (data[0] >> 4 != 6 || data[6] != IPSEC_PROTO_UDP || p->len < CHECKSUM_AT + 2)
        return;
    gh_wr_u16(&w, 0);
    sum = gh_sum_fold(gh_sum(data + IPSEC_IPV6_HEADER, len,
                             gh_sum_pseudo(&src, &dst, IPSEC_PROTO_UDP, (uint32_t)len)));
    w = gh_wr_make(data + CHECKSUM_AT, 2);
    gh_wr_u16(&w, sum != 0 ? sum : 0xffff);
}
