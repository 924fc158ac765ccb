#include "capture/link.h"

#include <pcap/dlt.h>

#include "wire/rd.h"

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_QINQ = 0x88a8,
    ETHERTYPE_QINQ_OLD = 0x9100
};

bool cap_link_known(int link_type)
{
    switch (link_type) {
    case DLT_EN10MB:
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
    case DLT_LINUX_SLL:
    case DLT_LINUX_SLL2:
    case DLT_NULL:
    case DLT_LOOP:
        return true;
    default:
        return false;
    }
}

/* Steps over VLAN tags: each is two octets and the next type. */
static bool skip_vlan_tags(struct gh_rd *r, uint16_t type)
{
    while (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ || type == ETHERTYPE_QINQ_OLD) {
        gh_rd_skip(r, 2);
        type = gh_rd_u16(r);
    }
    return type == ETHERTYPE_IPV4 || type == ETHERTYPE_IPV6;
}

bool cap_link_find_ip(int link_type, const uint8_t *frame, size_t len, size_t *offset)
{
    struct gh_rd r = gh_rd_make(frame, len);
    bool is_ip = true;

    switch (link_type) {
    case DLT_EN10MB:
        gh_rd_skip(&r, 12);
        is_ip = skip_vlan_tags(&r, gh_rd_u16(&r));
        break;
    case DLT_LINUX_SLL:
        gh_rd_skip(&r, 14);
        is_ip = skip_vlan_tags(&r, gh_rd_u16(&r));
        break;
    case DLT_LINUX_SLL2: {
        uint16_t type = gh_rd_u16(&r);

        gh_rd_skip(&r, 18);
        is_ip = skip_vlan_tags(&r, type);
        break;
    }
    case DLT_NULL:
    case DLT_LOOP:
        gh_rd_skip(&r, 4); /* the address family, whose numbers differ: the version tells it */
        break;
    default:
        break;
    }
    *offset = (size_t)(r.p - frame);
    return is_ip && !r.bad;
}
