/*
 * How large the packets of a Child SA may be, and what becomes of larger ones: the configuration as
 * the data plane sees it. The core of IKE carries it and does not look.
 */
#ifndef IKE2_CHILD_PATH_H
#define IKE2_CHILD_PATH_H

#include <stdbool.h>
#include <stdint.h>

enum {
    /* With any algorithm, IPv6 and UDP around it, it fits into Ethernet's 1500 octets. */
    IKE2_IP_MTU = 1390,
    IKE2_MSS_AUTO = UINT16_MAX,
    IKE2_TOO_BIG_MESSAGES = 100,
    IKE2_TOO_BIG_SECONDS = 10
};

/* DF of the IPv4 header outside. */
enum ike2_outer_df { IKE2_DF_CLEAR, IKE2_DF_COPY, IKE2_DF_SET };

struct ike2_child_path {
    uint16_t ip_mtu;              /* before protection */
    uint16_t encapsulated_ip_mtu; /* after it; 0: as the path takes it */
    uint16_t mss;                 /* 0: not touched; or IKE2_MSS_AUTO */
    bool clear_df;                /* longer IPv4 packets are fragmented in spite of their DF */
    bool ipv6_whole;              /* longer IPv6 packets go whole, unless shorter than 1280 */
    bool ignores_icmp;            /* nothing is learned of the path's MTU */
    enum ike2_outer_df df;
    uint16_t too_big_messages; /* ICMP errors that we send in … */
    uint16_t too_big_seconds;  /* … so long; 0 messages: none */
};

static inline struct ike2_child_path ike2_child_path_default(void)
{
    return (struct ike2_child_path){.ip_mtu = IKE2_IP_MTU,
                                    .too_big_messages = IKE2_TOO_BIG_MESSAGES,
                                    .too_big_seconds = IKE2_TOO_BIG_SECONDS};
}

#endif
