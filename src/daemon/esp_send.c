/*
 * To the network. Neighbours that are equally long and leave alike go as one train (UDP_SEGMENT),
 * which passes the kernel as one datagram for as far as the way to the wire lets it; trains that
 * leave by the same socket go with one call.
 */
#include "daemon/esp_net_priv.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "daemon/esp_path.h"
#include "ipsec/header.h"

enum { TRAIN_PACKETS = 64, TRAIN_MAX = 65000 /* octets, below what UDP can say */ };

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

/* ---- One packet ----------------------------------------------------------------------------- */

static void put_control(struct msghdr *h, int level, int type, const void *data, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)((char *)h->msg_control + h->msg_controllen);

    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), data, len);
    h->msg_controllen += CMSG_SPACE(len);
}

/* The kernel makes an IP header of its own, by the one that the engine made: then it fragments what
 * is too long for the path. */
static void name_header(struct msghdr *h, struct gh_esp_train *t, const uint8_t *packet)
{
    int ds;

    memset(t->control, 0, sizeof(t->control));
    h->msg_control = t->control;
    if (packet[0] >> 4 == 4) {
        struct in_pktinfo info = {.ipi_ifindex = 0};

        memcpy(&info.ipi_spec_dst, packet + 12, 4);
        ds = packet[1];
        put_control(h, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
        put_control(h, IPPROTO_IP, IP_TOS, &ds, sizeof(ds));
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = 0};

        memcpy(&info.ipi6_addr, packet + 8, 16);
        ds = (packet[0] & 15) << 4 | packet[1] >> 4;
        put_control(h, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
        put_control(h, IPPROTO_IPV6, IPV6_TCLASS, &ds, sizeof(ds));
    }
}

static void name_peer(struct msghdr *h, struct gh_esp_train *t, const uint8_t *packet)
{
    memset(&t->peer, 0, sizeof(t->peer));
    h->msg_name = &t->peer;
    if (packet[0] >> 4 == 4) {
        t->peer.v4.sin_family = AF_INET;
        memcpy(&t->peer.v4.sin_addr, packet + 16, 4);
        h->msg_namelen = sizeof(t->peer.v4);
    } else {
        t->peer.v6.sin6_family = AF_INET6;
        memcpy(&t->peer.v6.sin6_addr, packet + 24, 16);
        h->msg_namelen = sizeof(t->peer.v6);
    }
}

/* By which socket a packet leaves. *skip: octets of headers that the kernel makes. */
static enum gh_esp_socket way_of(const uint8_t *packet, size_t *skip)
{
    bool v4 = packet[0] >> 4 == 4;
    uint8_t protocol = packet[v4 ? 9 : 6];

    *skip = 0;
    if (gh_esp_path_is_raw(packet)) /* also AH, whose ICV covers the header */
        return v4 ? GH_ESP_AH4 : GH_ESP_AH6;
    *skip = v4 ? 4 * (packet[0] & 15u) : IPSEC_IPV6_HEADER;
    if (protocol == IPSEC_PROTO_UDP) {
        *skip += IPSEC_UDP_HEADER;
        return v4 ? GH_ESP_UDP4 : GH_ESP_UDP6;
    }
    return v4 ? GH_ESP_ESP4 : GH_ESP_ESP6;
}

/* What policy lets out in clear goes where it would without our routes, for these sockets' packets
 * are led past them (platform/sockmark.h). */
static enum gh_esp_socket as_it_is(const uint8_t *packet, size_t *skip)
{
    *skip = 0;
    return packet[0] >> 4 == 4 ? GH_ESP_AH4 : GH_ESP_AH6;
}

/* ---- Trains --------------------------------------------------------------------------------- */

struct station { /* where a train is put together */
    struct gh_esp_net *net;
    uint32_t place;
    enum gh_esp_socket kind; /* by which the waiting ones leave */
    size_t waiting;          /* trains */
    size_t parts;
};

static void begin_train(struct station *s, const uint8_t *packet, size_t skip, size_t len)
{
    struct gh_esp_net *n = s->net;
    struct gh_esp_train *t = &n->trains[s->waiting];
    struct msghdr *h = &n->headers[s->waiting++].msg_hdr;
    bool v4 = packet[0] >> 4 == 4;

    *h = (struct msghdr){.msg_iov = &n->parts[s->parts], .msg_iovlen = 1};
    name_peer(h, t, packet);
    if (gh_esp_is_udp(s->kind))
        memcpy(v4 ? &t->peer.v4.sin_port : &t->peer.v6.sin6_port,
               packet + skip - IPSEC_UDP_HEADER + 2, 2);
    if (skip > 0)
        name_header(h, t, packet);
    t->header = packet;
    t->len = t->size = len;
    t->closed = false;
}

/* The same but for lengths and what follows from them. */
static bool same_header(const uint8_t *a, const uint8_t *b, size_t skip)
{
    bool v4 = a[0] >> 4 == 4;

    if (a[0] != b[0] || a[1] != b[1])
        return false;
    return v4 ? memcmp(a + 12, b + 12, skip - 12 - 4) == 0
              : memcmp(a + 2, b + 2, 2) == 0 && memcmp(a + 8, b + 8, skip - 8 - 4) == 0;
}

static bool join_train(struct station *s, const uint8_t *packet, size_t skip, size_t len)
{
    struct gh_esp_train *t;
    struct msghdr *h;

    if (s->waiting == 0 || !gh_esp_is_udp(s->kind))
        return false;
    t = &s->net->trains[s->waiting - 1];
    h = &s->net->headers[s->waiting - 1].msg_hdr;
    if (t->closed || len > t->size || t->len + len > TRAIN_MAX || h->msg_iovlen == TRAIN_PACKETS ||
        !same_header(t->header, packet, skip))
        return false;
    h->msg_iovlen++;
    t->len += len;
    t->closed = len < t->size;
    return true;
}

/* ---- The sockets ---------------------------------------------------------------------------- */

static void count_sent(struct gh_esp_net *n, const struct mmsghdr *h)
{
    n->counts[GH_ESP_NET_SENT] += h->msg_hdr.msg_iovlen;
}

/* What the kernel does not take is lost, as on any link. */
static void not_sent(const struct station *s, const struct mmsghdr *h)
{
    struct gh_esp_net *n = s->net;
    bool whole = s->kind == GH_ESP_AH4 || s->kind == GH_ESP_AH6; /* with its IP header */

    n->counts[GH_ESP_NET_SEND_FAILED] += h->msg_hdr.msg_iovlen;
    if (errno == EMSGSIZE && whole)
        n->ops->too_long(n->ctx, s->place, h->msg_hdr.msg_iov->iov_base,
                         h->msg_hdr.msg_iov->iov_len);
}

/* A train that the kernel does not take: its packets are longer than the link takes, or the link
 * has no checksum offload. */
static void send_singly(struct station *s, int fd, const struct mmsghdr *train)
{
    struct mmsghdr one = *train;

    one.msg_hdr.msg_iovlen = 1;
    one.msg_hdr.msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
    for (size_t i = 0; i < train->msg_hdr.msg_iovlen; i++) {
        ssize_t len;

        do
            len = sendmsg(fd, &one.msg_hdr, MSG_DONTWAIT);
        while (len < 0 && errno == EINTR);
        if (len >= 0)
            count_sent(s->net, &one);
        else
            not_sent(s, &one);
        one.msg_hdr.msg_iov++;
    }
}

static bool can_be_cut(const struct mmsghdr *h)
{
    return h->msg_hdr.msg_iovlen > 1 && (errno == EINVAL || errno == EMSGSIZE || errno == EIO);
}

static void send_all(struct station *s, int fd, size_t count)
{
    struct gh_esp_net *n = s->net;
    size_t done = 0;

    while (done < count) {
        int sent = sendmmsg(fd, n->headers + done, (unsigned)(count - done), MSG_DONTWAIT);

        if (sent > 0) {
            for (size_t i = done; i < done + (size_t)sent; i++)
                count_sent(n, &n->headers[i]);
            done += (size_t)sent;
        } else if (errno != EINTR) {
            if (can_be_cut(&n->headers[done]))
                send_singly(s, fd, &n->headers[done]);
            else
                not_sent(s, &n->headers[done]);
            done++;
        }
    }
}

static void leave(struct station *s)
{
    struct gh_esp_net *n = s->net;
    const struct gh_esp_entry *e = gh_esp_entry(n, s->place, s->kind);

    for (size_t i = 0; i < s->waiting; i++) {
        struct msghdr *h = &n->headers[i].msg_hdr;
        uint16_t size = (uint16_t)n->trains[i].size;

        if (e == NULL)
            n->counts[GH_ESP_NET_NO_SOCKET] += h->msg_iovlen;
        else if (h->msg_iovlen > 1)
            put_control(h, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
    }
    if (e != NULL)
        send_all(s, e->fd, s->waiting);
    s->waiting = s->parts = 0;
}

static void send_packets(struct gh_esp_net *n, uint32_t place, struct ipsec_packet *packets,
                         size_t count)
{
    struct station s = {.net = n, .place = gh_esp_outer(n->outers, place)};

    for (size_t i = 0; i < count; i++) {
        struct ipsec_packet *p = &packets[i];
        uint8_t *data = ipsec_packet_data(p);
        enum gh_esp_socket kind;
        size_t skip;

        if (p->result == IPSEC_BYPASS && s.place == place) /* a private side has no way out */
            kind = as_it_is(data, &skip);
        else if (p->result == IPSEC_OK)
            kind = way_of(data, &skip);
        else
            continue;
        if (s.waiting > 0 && kind != s.kind)
            leave(&s);
        s.kind = kind;
        if (!join_train(&s, data, skip, p->len - skip))
            begin_train(&s, data, skip, p->len - skip);
        n->parts[s.parts++] = (struct iovec){.iov_base = data + skip, .iov_len = p->len - skip};
    }
    leave(&s);
}

void gh_esp_send(struct gh_esp_net *n, uint32_t place)
{
    send_packets(n, place, n->batch.packets, n->batch.count);
}

void gh_esp_net_send(struct gh_esp_net *n, struct ipsec_packet *packets, size_t count)
{
    if (count > 0)
        send_packets(n, packets[0].place, packets, count);
}
