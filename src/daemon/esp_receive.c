/*
 * From the network. A message may be a train of datagrams that are equally long, the last perhaps
 * shorter (UDP_GRO); each becomes a packet of its own, with the headers that the kernel took off.
 */
#include "daemon/esp_net_priv.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/clock.h"
#include "ipsec/header.h"
#include "wire/wr.h"

enum { PORT = 4500, TURNS = 4 /* then the other sockets have one */ };

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

/* What the kernel tells of a message, and the headers that its datagrams had, but for lengths. */
struct origin {
    struct gh_addr local, remote;
    uint16_t port;
    int ds, ttl;
    size_t size; /* of each datagram but the last */
    uint8_t header[IPSEC_IPV6_HEADER + IPSEC_UDP_HEADER];
    size_t header_len;
};

static int number(const struct cmsghdr *c)
{
    int value;

    memcpy(&value, CMSG_DATA(c), sizeof(value));
    return value;
}

static void read_control(struct origin *o, const struct cmsghdr *c)
{
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;

        memcpy(&info, CMSG_DATA(c), sizeof(info));
        o->local = gh_addr_from(info.ipi6_addr.s6_addr, 16);
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;

        memcpy(&info, CMSG_DATA(c), sizeof(info));
        o->local = gh_addr_from((const uint8_t *)&info.ipi_addr, 4);
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
        o->ds = *(const uint8_t *)CMSG_DATA(c);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
        o->ds = number(c);
    } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
               (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
        o->ttl = number(c);
    } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO && number(c) > 0) {
        o->size = (size_t)number(c);
    }
}

static void put_ip(struct gh_wr *w, const struct origin *o, uint8_t protocol)
{
    if (o->remote.len == 16) {
        gh_wr_u32(w, 6u << 28 | (uint32_t)(o->ds & 255) << 20);
        gh_wr_u16(w, 0);
        gh_wr_u8(w, protocol);
        gh_wr_u8(w, o->ttl & 255);
    } else {
        gh_wr_u8(w, 4 << 4 | IPSEC_IPV4_HEADER / 4);
        gh_wr_u8(w, o->ds & 255);
        gh_wr_zero(w, 6);
        gh_wr_u8(w, o->ttl & 255);
        gh_wr_u8(w, protocol);
        gh_wr_u16(w, 0);
    }
    gh_wr_bytes(w, o->remote.octets, o->remote.len);
    gh_wr_bytes(w, o->local.octets, o->local.len);
}

/* As far as the kernel tells what was in them. */
static void make_header(struct origin *o, enum gh_esp_socket kind)
{
    struct gh_wr w = gh_wr_make(o->header, sizeof(o->header));

    put_ip(&w, o,
           gh_esp_is_udp(kind)  ? IPSEC_PROTO_UDP
           : kind == GH_ESP_AH6 ? IPSEC_PROTO_AH
                                : IPSEC_PROTO_ESP);
    if (gh_esp_is_udp(kind)) {
        gh_wr_u16(&w, o->port);
        gh_wr_u16(&w, PORT);
        gh_wr_u32(&w, 0);
    }
    o->header_len = w.len;
}

/* False: it does not say where it came to. */
static bool origin_of(const struct gh_esp_entry *e, struct msghdr *h,
                      const struct gh_esp_slot *slot, struct origin *out)
{
    *out = (struct origin){.ttl = 64};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c))
        read_control(out, c);
    if (gh_esp_is_v6(e->kind)) {
        out->remote = gh_addr_from(slot->peer.v6.sin6_addr.s6_addr, 16);
        out->port = ntohs(slot->peer.v6.sin6_port);
    } else {
        out->remote = gh_addr_from((const uint8_t *)&slot->peer.v4.sin_addr, 4);
        out->port = ntohs(slot->peer.v4.sin_port);
    }
    make_header(out, e->kind);
    return out->local.len == out->remote.len;
}

static void put16(uint8_t *at, size_t value)
{
    struct gh_wr w = gh_wr_make(at, 2);

    gh_wr_u16(&w, value);
}

static void put_header(uint8_t *at, const struct origin *o, size_t payload)
{
    size_t len = o->header_len + payload;
    bool v6 = o->remote.len == 16;

    memcpy(at, o->header, o->header_len);
    if (v6)
        put16(at + 4, len - IPSEC_IPV6_HEADER);
    else
        put16(at + 2, len);
    if (at[v6 ? 6 : 9] == IPSEC_PROTO_UDP)
        put16(at + (v6 ? IPSEC_IPV6_HEADER : IPSEC_IPV4_HEADER) + 4, payload + IPSEC_UDP_HEADER);
    if (!v6)
        ipsec_header_set_checksum(at);
}

static void through(struct gh_esp_net *n)
{
    struct gh_esp_batch *b = &n->batch;

    if (b->count == 0)
        return;
    ipsec_in(n->engine, gh_clock_now().mono_ms, b->packets, b->count);
    n->ops->passed(n->ctx, IPSEC_IN, b->packets, b->count);
    gh_esp_to_devices(n);
    gh_esp_batch_clear(b);
}

static uint8_t *add(struct gh_esp_net *n, const struct gh_esp_entry *e, size_t len)
{
    uint8_t *at = gh_esp_batch_add(&n->batch, len, e->place);

    if (at == NULL) {
        through(n);
        at = gh_esp_batch_add(&n->batch, len, e->place);
    }
    if (at != NULL)
        n->batch.packets[n->batch.count - 1].encapsulated = gh_esp_is_udp(e->kind);
    return at;
}

/* What the kernel put together with ESP before it had anybody look at what is inside: IKE's own
 * messages, and what keeps a NAT's mapping. True: it is none of ours. */
static bool is_other(struct gh_esp_net *n, const struct gh_esp_entry *e, const struct origin *o,
                     const uint8_t *data, size_t len)
{
    static const uint8_t marker[4];

    if (!gh_esp_is_udp(e->kind) || (len >= sizeof(marker) && memcmp(data, marker, 4) != 0))
        return false;
    if (len <= sizeof(marker)) {
        n->counts[GH_ESP_NET_SHORT]++;
        return true;
    }
    n->counts[GH_ESP_NET_STRAY]++;
    n->ops->stray(n->ctx, &(struct gh_esp_net_stray){.place = e->place,
                                                     .local = o->local,
                                                     .remote = o->remote,
                                                     .port = o->port,
                                                     .data = data + sizeof(marker),
                                                     .len = len - sizeof(marker)});
    return true;
}

static void take_datagram(struct gh_esp_net *n, const struct gh_esp_entry *e,
                          const struct origin *o, const uint8_t *data, size_t len)
{
    uint8_t *at;

    n->counts[GH_ESP_NET_RECEIVED]++;
    if (is_other(n, e, o, data, len))
        return;
    at = add(n, e, o->header_len + len);
    if (at == NULL) { /* longer than any packet */
        n->counts[GH_ESP_NET_TRUNCATED]++;
        return;
    }
    put_header(at, o, len);
    memcpy(at + o->header_len, data, len);
}

static bool was_in_fragments(struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c))
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVFRAGSIZE) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVFRAGSIZE))
            return true;
    return false;
}

/* True: it is not to be taken. */
static bool is_refused(struct gh_esp_net *n, struct msghdr *h)
{
    if (!was_in_fragments(h))
        return false;
    n->counts[GH_ESP_NET_REASSEMBLED]++;
    if (!n->drop_fragments)
        return false;
    n->counts[GH_ESP_NET_RECEIVED]++;
    n->counts[GH_ESP_NET_FRAGMENTS]++;
    return true;
}

void gh_esp_net_drop_fragments(struct gh_esp_net *n, bool drop)
{
    n->drop_fragments = drop;
}

static void take(struct gh_esp_net *n, const struct gh_esp_entry *e, size_t i)
{
    const struct gh_esp_slot *slot = &n->slots[i];
    struct msghdr *h = &n->received[i].msg_hdr;
    size_t len = n->received[i].msg_len, done = 0;
    struct origin o = {.header_len = 0};
    uint8_t *at;

    if ((h->msg_flags & MSG_TRUNC) != 0) {
        n->counts[GH_ESP_NET_RECEIVED]++;
        n->counts[GH_ESP_NET_TRUNCATED]++;
        return;
    }
    if (is_refused(n, h))
        return;
    if (e->kind == GH_ESP_ESP4 || e->kind == GH_ESP_AH4) { /* with all its headers */
        n->counts[GH_ESP_NET_RECEIVED]++;
        at = add(n, e, len);
        if (at != NULL)
            memcpy(at, slot->mem, len);
        else
            n->counts[GH_ESP_NET_TRUNCATED]++;
        return;
    }
    if (!origin_of(e, h, slot, &o)) {
        n->counts[GH_ESP_NET_RECEIVED]++;
        n->counts[GH_ESP_NET_NO_ADDRESS]++;
        return;
    }
    if (o.size == 0 || o.size > len)
        o.size = len;
    if (!gh_esp_batch_has_room(&n->batch, o.size > 0 ? len / o.size + 1 : 1))
        through(n);
    do { /* once for a datagram of no octets, too */
        take_datagram(n, e, &o, slot->mem + done, len - done < o.size ? len - done : o.size);
        done += o.size;
    } while (done < len);
}

static void prepare(struct gh_esp_net *n)
{
    for (size_t i = 0; i < GH_ESP_MESSAGES; i++) {
        struct gh_esp_slot *slot = &n->slots[i];

        slot->part = (struct iovec){.iov_base = slot->mem, .iov_len = sizeof(slot->mem)};
        n->received[i].msg_hdr = (struct msghdr){.msg_name = &slot->peer,
                                                 .msg_namelen = sizeof(slot->peer),
                                                 .msg_iov = &slot->part,
                                                 .msg_iovlen = 1,
                                                 .msg_control = slot->control,
                                                 .msg_controllen = sizeof(slot->control)};
    }
}

void gh_esp_from_network(struct gh_esp_net *n, struct gh_esp_entry *e)
{
    for (int turn = 0; turn < TURNS; turn++) {
        int came;

        prepare(n);
        do
            came = recvmmsg(e->fd, n->received, GH_ESP_MESSAGES, MSG_DONTWAIT, NULL);
        while (came < 0 && errno == EINTR);
        if (came <= 0)
            return;
        n->ops->arrived(n->ctx);
        for (int i = 0; i < came; i++)
            take(n, e, (size_t)i);
        through(n);
        if (came < GH_ESP_MESSAGES)
            return;
    }
}
