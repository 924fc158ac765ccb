/*
 * The messages of a netfilter queue as bytes: pure, for nfqueue.c and its tests.
 */
#ifndef GH_PLATFORM_NFQUEUE_MESSAGE_H
#define GH_PLATFORM_NFQUEUE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/netlink.h"

struct gh_nfq_message {
    bool has_id; /* it can be answered */
    uint32_t id;
    uint8_t hook;           /* NF_INET_LOCAL_IN, … */
    uint32_t indev, outdev; /* interface indices, 0: none */
    const uint8_t *data;    /* borrowed; NULL: no payload */
    size_t len;
    bool truncated; /* the payload is not the whole packet */
};

/* Parses one NFQNL_MSG_PACKET's body. False when it is malformed; has_id tells whether it can be
 * answered all the same. */
bool gh_nfq_parse(struct gh_rd body, struct gh_nfq_message *out);

/* Is this netlink message type a packet? */
bool gh_nfq_is_packet(uint16_t type);

enum { GH_NFQ_VERDICT_MAX = 40 }; /* octets that gh_nfq_put_verdict() writes at most */

/* A verdict on packet `id`; verdict is NF_ACCEPT or NF_DROP. With `payload` octets of a replacement
 * the message ends in an attribute header, and that many octets plus padding must follow. */
void gh_nfq_put_verdict(struct gh_wr *w, uint16_t queue, uint32_t id, uint32_t verdict,
                        size_t payload);
/* Drops every packet up to and including `id`. */
void gh_nfq_put_drop_until(struct gh_wr *w, uint16_t queue, uint32_t id);

/* Configuration requests, acknowledged by the kernel. */
void gh_nfq_put_bind(struct gh_wr *w, uint16_t queue);
void gh_nfq_put_parameters(struct gh_wr *w, uint16_t queue, uint32_t length);

#endif
