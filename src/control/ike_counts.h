/*
 * What the shell of IKE counts on its sockets before the core sees a datagram, and after. Names of
 * the control protocol.
 */
#ifndef GH_CONTROL_IKE_COUNTS_H
#define GH_CONTROL_IKE_COUNTS_H

#define GH_IKE_UDP_COUNTS(X)                                                                       \
    X(KEEPALIVE, "keepalives-in")                                                                  \
    X(ESP, "esp-in")             /* on port 4500, no non-ESP marker: nobody takes it yet */        \
    X(SHORT, "too-short")        /* not even a marker */                                           \
    X(TRUNCATED, "truncated")    /* longer than any IKE message */                                 \
    X(NO_ADDRESS, "not-unicast") /* to a group, or from port 0 */                                  \
    X(NO_SOCKET, "no-socket")    /* to be sent from a port or family without a socket */           \
    X(SEND_FAILED, "send-failed")                                                                  \
    X(SEND_FULL, "send-queue-full")

enum gh_ike_udp_count {
#define GH_IKE_UDP_ENUM(id, name) GH_IKE_UDP_##id,
    GH_IKE_UDP_COUNTS(GH_IKE_UDP_ENUM)
#undef GH_IKE_UDP_ENUM
        GH_IKE_UDP_COUNT
};
const char *gh_ike_udp_count_name(enum gh_ike_udp_count c);

#endif
