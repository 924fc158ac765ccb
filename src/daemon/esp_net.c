#include "daemon/esp_net.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/esp_path.h"
#include "ipsec/header.h"

enum {
    BATCHES_A_TURN = 4, /* then the other sockets have a turn */
    VNET = sizeof(struct virtio_net_hdr),
    HEAD = 256, /* before what is read: IPSEC_HEADROOM, and a header that is put back */
    BODY = 65536,
    TAIL = 128, /* IPSEC_TAILROOM */
    CONTROL = 128,
    IP_AND_UDP = 48
};

struct entry {      /* of a place: one descriptor */
    uv_poll_t poll; /* first: closing frees it */
    struct gh_esp_net *net;
    uint32_t place;
    enum gh_esp_socket kind;
    int fd;
};

struct place {
    struct entry *entries[GH_ESP_SOCKETS];
};

union peer {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct slot {
    union peer peer;
    _Alignas(struct cmsghdr) char control[CONTROL];
    struct iovec part;
    uint8_t mem[HEAD + BODY + TAIL];
};

struct gh_esp_net {
    uv_loop_t *loop;
    struct ipsec *engine;
    const struct gh_esp_net_ops *ops;
    void *ctx;
    struct place *places;
    size_t place_count;
    bool started;
    uint64_t counts[GH_ESP_NET_COUNT];
    struct ipsec_packet packets[IPSEC_BATCH];
    struct mmsghdr headers[IPSEC_BATCH];
    struct slot slots[IPSEC_BATCH]; /* pages are used as packets grow */
    struct slot beside;             /* of gh_esp_net_send() */
};

const char *gh_esp_net_count_name(enum gh_esp_net_count count)
{
    static const char *const names[] = {
#define X(name, text) text,
        GH_ESP_NET_COUNTS(X)
#undef X
    };

    return (unsigned)count < GH_ESP_NET_COUNT ? names[count] : "?";
}

static bool is_v6(enum gh_esp_socket kind)
{
    return kind == GH_ESP_UDP6 || kind == GH_ESP_ESP6 || kind == GH_ESP_AH6;
}

static bool is_udp(enum gh_esp_socket kind)
{
    return kind == GH_ESP_UDP4 || kind == GH_ESP_UDP6;
}

static int fd_of(const struct gh_esp_net *n, uint32_t place, enum gh_esp_socket kind)
{
    return gh_esp_net_has(n, place, kind) ? n->places[place].entries[kind]->fd : -1;
}

static struct ipsec_packet packet_in(struct slot *slot, size_t at, size_t len, uint32_t place)
{
    return (struct ipsec_packet){
        .mem = slot->mem, .cap = sizeof(slot->mem), .at = at, .len = len, .place = place};
}

/* ---- To the network ------------------------------------------------------------------------- */

static void put_control(struct msghdr *h, size_t *used, int level, int type, const void *data,
                        size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)((char *)h->msg_control + *used);

    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), data, len);
    *used += CMSG_SPACE(len);
}

/* The kernel makes an IP header of its own, by the one that the engine made: then it fragments what
 * is too long for the path. `header`: octets of those that it makes. */
static void leave_headers(struct msghdr *h, struct slot *slot, uint8_t *packet, size_t header)
{
    size_t used = 0;
    int ds;

    memset(slot->control, 0, sizeof(slot->control));
    h->msg_control = slot->control;
    if (packet[0] >> 4 == 4) {
        struct in_pktinfo info = {.ipi_ifindex = 0};

        memcpy(&info.ipi_spec_dst, packet + 12, 4);
        ds = packet[1];
        put_control(h, &used, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
        put_control(h, &used, IPPROTO_IP, IP_TOS, &ds, sizeof(ds));
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = 0};

        memcpy(&info.ipi6_addr, packet + 8, 16);
        ds = (packet[0] & 15) << 4 | packet[1] >> 4;
        put_control(h, &used, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
        put_control(h, &used, IPPROTO_IPV6, IPV6_TCLASS, &ds, sizeof(ds));
    }
    h->msg_controllen = used;
    slot->part.iov_base = packet + header;
    slot->part.iov_len -= header;
}

/* By which socket a packet of the engine's leaves, and how. GH_ESP_SOCKETS: by none, for it has
 * extension headers, which the kernel would not write. */
static enum gh_esp_socket address(struct msghdr *h, struct slot *slot, uint8_t *packet, size_t len)
{
    bool v4 = packet[0] >> 4 == 4;
    size_t header = v4 ? 4 * (packet[0] & 15u) : IPSEC_IPV6_HEADER;
    uint8_t protocol = packet[v4 ? 9 : 6];

    memset(&slot->peer, 0, sizeof(slot->peer));
    *h = (struct msghdr){.msg_name = &slot->peer, .msg_iov = &slot->part, .msg_iovlen = 1};
    slot->part = (struct iovec){.iov_base = packet, .iov_len = len};
    if (v4) {
        slot->peer.v4.sin_family = AF_INET;
        memcpy(&slot->peer.v4.sin_addr, packet + 16, 4);
        h->msg_namelen = sizeof(slot->peer.v4);
    } else {
        slot->peer.v6.sin6_family = AF_INET6;
        memcpy(&slot->peer.v6.sin6_addr, packet + 24, 16);
        h->msg_namelen = sizeof(slot->peer.v6);
    }
    if (gh_esp_path_is_raw(packet)) /* also AH, whose ICV covers the header */
        return v4 ? GH_ESP_AH4 : GH_ESP_AH6;
    if (protocol == IPSEC_PROTO_UDP) {
        memcpy(v4 ? &slot->peer.v4.sin_port : &slot->peer.v6.sin6_port, packet + header + 2, 2);
        leave_headers(h, slot, packet, header + IPSEC_UDP_HEADER);
        return v4 ? GH_ESP_UDP4 : GH_ESP_UDP6;
    }
    leave_headers(h, slot, packet, header);
    return v4 ? GH_ESP_ESP4 : GH_ESP_ESP6;
}

static void not_sent(struct gh_esp_net *n, uint32_t place, const struct msghdr *h)
{
    n->counts[GH_ESP_NET_SEND_FAILED]++;
    if (errno == EMSGSIZE)
        n->ops->too_long(n->ctx, place, h->msg_iov->iov_base, h->msg_iov->iov_len);
}

/* What the kernel does not take is lost, as on any link. */
static void send_all(struct gh_esp_net *n, uint32_t place, int fd, size_t count)
{
    size_t done = 0;

    while (fd >= 0 && done < count) {
        int sent = sendmmsg(fd, n->headers + done, (unsigned)(count - done), MSG_DONTWAIT);

        if (sent > 0) {
            n->counts[GH_ESP_NET_SENT] += (uint64_t)sent;
            done += (size_t)sent;
        } else if (errno != EINTR) {
            not_sent(n, place, &n->headers[done].msg_hdr);
            done++;
        }
    }
    if (fd < 0)
        n->counts[GH_ESP_NET_NO_SOCKET] += count;
}

/* Neighbours that leave by the same socket go with one call. */
static void send_packets(struct gh_esp_net *n, uint32_t place, size_t count)
{
    enum gh_esp_socket kind = GH_ESP_TUN;
    size_t waiting = 0;

    for (size_t i = 0; i < count; i++) {
        struct ipsec_packet *p = &n->packets[i];
        enum gh_esp_socket next;

        if (p->result != IPSEC_OK)
            continue;
        next = address(&n->headers[waiting].msg_hdr, &n->slots[i], ipsec_packet_data(p), p->len);
        if (next == GH_ESP_SOCKETS) {
            n->counts[GH_ESP_NET_NO_SOCKET]++;
            continue;
        }
        if (next != kind && waiting > 0) {
            struct mmsghdr last = n->headers[waiting];

            send_all(n, place, fd_of(n, place, kind), waiting);
            n->headers[0] = last;
            waiting = 0;
        }
        kind = next;
        waiting++;
    }
    send_all(n, place, fd_of(n, place, kind), waiting);
}

void gh_esp_net_send(struct gh_esp_net *n, struct ipsec_packet *p)
{
    struct msghdr h;
    enum gh_esp_socket kind = address(&h, &n->beside, ipsec_packet_data(p), p->len);
    int fd = kind != GH_ESP_SOCKETS ? fd_of(n, p->place, kind) : -1;

    if (fd < 0)
        n->counts[GH_ESP_NET_NO_SOCKET]++;
    else if (sendmsg(fd, &h, MSG_DONTWAIT) >= 0)
        n->counts[GH_ESP_NET_SENT]++;
    else
        not_sent(n, p->place, &h);
}

/* How many came. */
static size_t from_device(struct gh_esp_net *n, struct entry *e)
{
    size_t count = 0;

    while (count < IPSEC_BATCH) {
        struct slot *slot = &n->slots[count];
        ssize_t len = read(e->fd, slot->mem + HEAD - VNET, BODY + VNET);

        if (len < 0 && errno == EINTR)
            continue;
        if (len <= VNET)
            break;
        n->packets[count++] = packet_in(slot, HEAD, (size_t)len - VNET, e->place);
    }
    n->counts[GH_ESP_NET_FROM_DEVICE] += count;
    if (count > 0)
        ipsec_out(n->engine, gh_clock_now().mono_ms, n->packets, count);
    n->ops->passed(n->ctx, IPSEC_OUT, n->packets, count);
    send_packets(n, e->place, count);
    return count;
}

/* ---- From the network ----------------------------------------------------------------------- */

struct origin {
    struct gh_addr local, remote;
    uint16_t port;
    int ds, ttl;
};

static bool origin_of(const struct entry *e, struct msghdr *h, const struct slot *slot,
                      struct origin *out)
{
    *out = (struct origin){.ttl = 64};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            out->local = gh_addr_from(info.ipi6_addr.s6_addr, 16);
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            out->local = gh_addr_from((const uint8_t *)&info.ipi_addr, 4);
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            out->ds = *(const uint8_t *)CMSG_DATA(c);
        } else if ((c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)) {
            memcpy(&out->ds, CMSG_DATA(c), sizeof(out->ds));
        } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
                   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
            memcpy(&out->ttl, CMSG_DATA(c), sizeof(out->ttl));
        }
    }
    if (is_v6(e->kind)) {
        out->remote = gh_addr_from(slot->peer.v6.sin6_addr.s6_addr, 16);
        out->port = ntohs(slot->peer.v6.sin6_port);
    } else {
        out->remote = gh_addr_from((const uint8_t *)&slot->peer.v4.sin_addr, 4);
        out->port = ntohs(slot->peer.v4.sin_port);
    }
    return out->local.len != 0;
}

static void put_u16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* The headers that the kernel took off, as far as it tells what was in them. False: it is longer
 * than any packet. */
static bool put_headers(struct ipsec_packet *p, const struct entry *e, const struct origin *o,
                        uint16_t port)
{
    uint8_t protocol = is_udp(e->kind)         ? IPSEC_PROTO_UDP
                       : e->kind == GH_ESP_AH6 ? IPSEC_PROTO_AH
                                               : IPSEC_PROTO_ESP;
    uint8_t *at;

    if (is_udp(e->kind)) {
        at = ipsec_packet_push(p, IPSEC_UDP_HEADER);
        if (at == NULL)
            return false;
        put_u16(at, o->port);
        put_u16(at + 2, port);
        put_u16(at + 4, p->len);
        put_u16(at + 6, 0);
    }
    at = ipsec_packet_push(p, is_v6(e->kind) ? IPSEC_IPV6_HEADER : IPSEC_IPV4_HEADER);
    if (at == NULL || p->len > UINT16_MAX)
        return false;
    if (is_v6(e->kind)) {
        memset(at, 0, IPSEC_IPV6_HEADER);
        at[0] = (uint8_t)(6 << 4 | (o->ds >> 4 & 15));
        at[1] = (uint8_t)(o->ds << 4);
        put_u16(at + 4, p->len - IPSEC_IPV6_HEADER);
        at[6] = protocol;
        at[7] = (uint8_t)o->ttl;
        memcpy(at + 8, o->remote.octets, 16);
        memcpy(at + 24, o->local.octets, 16);
        return true;
    }
    memset(at, 0, IPSEC_IPV4_HEADER);
    at[0] = 4 << 4 | IPSEC_IPV4_HEADER / 4;
    at[1] = (uint8_t)o->ds;
    put_u16(at + 2, p->len);
    at[8] = (uint8_t)o->ttl;
    at[9] = protocol;
    memcpy(at + 12, o->remote.octets, 4);
    memcpy(at + 16, o->local.octets, 4);
    ipsec_header_set_checksum(at);
    return true;
}

/* False: dropped, and counted. */
static bool take(struct gh_esp_net *n, const struct entry *e, size_t i, struct ipsec_packet *out)
{
    enum { PORT = 4500 };
    struct slot *slot = &n->slots[i];
    struct msghdr *h = &n->headers[i].msg_hdr;
    struct origin origin;

    *out = packet_in(slot, HEAD, n->headers[i].msg_len, e->place);
    out->encapsulated = is_udp(e->kind);
    if ((h->msg_flags & MSG_TRUNC) != 0) {
        n->counts[GH_ESP_NET_TRUNCATED]++;
        return false;
    }
    if (e->kind == GH_ESP_ESP4 || e->kind == GH_ESP_AH4)
        return true; /* with all its headers */
    if (!origin_of(e, h, slot, &origin)) {
        n->counts[GH_ESP_NET_NO_ADDRESS]++;
        return false;
    }
    if (!put_headers(out, e, &origin, PORT)) {
        n->counts[GH_ESP_NET_TRUNCATED]++;
        return false;
    }
    return true;
}

static void prepare(struct gh_esp_net *n)
{
    for (size_t i = 0; i < IPSEC_BATCH; i++) {
        struct slot *slot = &n->slots[i];

        slot->part = (struct iovec){.iov_base = slot->mem + HEAD, .iov_len = BODY};
        n->headers[i].msg_hdr = (struct msghdr){.msg_name = &slot->peer,
                                                .msg_namelen = sizeof(slot->peer),
                                                .msg_iov = &slot->part,
                                                .msg_iovlen = 1,
                                                .msg_control = slot->control,
                                                .msg_controllen = sizeof(slot->control)};
    }
}

static void to_device(struct gh_esp_net *n, struct ipsec_packet *p)
{
    int fd = fd_of(n, p->place, GH_ESP_TUN);
    uint8_t *at = ipsec_packet_push(p, VNET);
    ssize_t len;

    if (fd < 0 || at == NULL) {
        n->counts[GH_ESP_NET_NO_SOCKET]++;
        return;
    }
    memset(at, 0, VNET);
    do
        len = write(fd, at, p->len);
    while (len < 0 && errno == EINTR);
    n->counts[len >= 0 ? GH_ESP_NET_TO_DEVICE : GH_ESP_NET_DEVICE_FAILED]++;
}

void gh_esp_net_deliver(struct gh_esp_net *n, struct ipsec_packet *p)
{
    to_device(n, p);
}

static size_t from_network(struct gh_esp_net *n, struct entry *e)
{
    size_t count = 0;
    int came;

    prepare(n);
    do
        came = recvmmsg(e->fd, n->headers, IPSEC_BATCH, MSG_DONTWAIT, NULL);
    while (came < 0 && errno == EINTR);
    if (came <= 0)
        return 0;
    n->counts[GH_ESP_NET_RECEIVED] += (uint64_t)came;
    for (int i = 0; i < came; i++)
        if (take(n, e, (size_t)i, &n->packets[count]))
            count++;
    n->ops->arrived(n->ctx);
    ipsec_in(n->engine, gh_clock_now().mono_ms, n->packets, count);
    n->ops->passed(n->ctx, IPSEC_IN, n->packets, count);
    for (size_t i = 0; i < count; i++)
        if (n->packets[i].result == IPSEC_OK)
            to_device(n, &n->packets[i]);
    return (size_t)came;
}

/* ---- Sockets -------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct entry *e = (struct entry *)poll;
    size_t n = IPSEC_BATCH;

    for (size_t i = 0; n == IPSEC_BATCH && i < BATCHES_A_TURN; i++)
        n = e->kind == GH_ESP_TUN ? from_device(e->net, e) : from_network(e->net, e);
}

static void on_closed(uv_handle_t *handle)
{
    struct entry *e = (struct entry *)handle;

    close(e->fd);
    free(e);
}

static void drop(struct place *p, enum gh_esp_socket kind)
{
    struct entry *e = p->entries[kind];

    p->entries[kind] = NULL;
    if (e == NULL)
        return;
    uv_poll_stop(&e->poll);
    uv_close((uv_handle_t *)&e->poll, on_closed);
}

bool gh_esp_net_has(const struct gh_esp_net *n, uint32_t place, enum gh_esp_socket kind)
{
    return place < n->place_count && n->places[place].entries[kind] != NULL;
}

static bool make_room(struct gh_esp_net *n, uint32_t place)
{
    struct place *more;

    if (place < n->place_count)
        return true;
    if (place >= GH_ESP_PLACES_MAX)
        return false;
    more = realloc(n->places, (place + 1) * sizeof(*more));
    if (more == NULL)
        return false;
    memset(more + n->place_count, 0, (place + 1 - n->place_count) * sizeof(*more));
    n->places = more;
    n->place_count = place + 1;
    return true;
}

bool gh_esp_net_open(struct gh_esp_net *n, uint32_t place, enum gh_esp_socket kind, int fd)
{
    struct entry *e = calloc(1, sizeof(*e));

    if (e == NULL || !make_room(n, place)) {
        free(e);
        close(fd);
        return false;
    }
    e->net = n;
    e->place = place;
    e->kind = kind;
    e->fd = fd;
    drop(&n->places[place], kind);
    n->places[place].entries[kind] = e;
    uv_poll_init(n->loop, &e->poll, fd);
    if (n->started)
        uv_poll_start(&e->poll, UV_READABLE, on_poll);
    return true;
}

void gh_esp_net_leave(struct gh_esp_net *n, uint32_t place)
{
    for (int kind = 0; place < n->place_count && kind < GH_ESP_SOCKETS; kind++)
        drop(&n->places[place], (enum gh_esp_socket)kind);
}

void gh_esp_net_start(struct gh_esp_net *n)
{
    if (n->started)
        return;
    n->started = true;
    for (size_t i = 0; i < n->place_count; i++)
        for (size_t k = 0; k < GH_ESP_SOCKETS; k++)
            if (n->places[i].entries[k] != NULL)
                uv_poll_start(&n->places[i].entries[k]->poll, UV_READABLE, on_poll);
}

const uint64_t *gh_esp_net_counts(const struct gh_esp_net *n)
{
    return n->counts;
}

struct gh_esp_net *gh_esp_net_new(uv_loop_t *loop, struct ipsec *engine,
                                  const struct gh_esp_net_ops *ops, void *ctx)
{
    struct gh_esp_net *n = calloc(1, sizeof(*n));

    if (n == NULL)
        return NULL;
    n->loop = loop;
    n->engine = engine;
    n->ops = ops;
    n->ctx = ctx;
    return n;
}
