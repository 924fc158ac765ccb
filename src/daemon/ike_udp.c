#include "daemon/ike_udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BATCH = 32,
    BATCHES_A_TURN = 8, /* then the timer and the other sockets have a turn */
    DATAGRAM_MAX = 65536,
    QUEUE_MAX = 4096, /* datagrams that wait for room in the socket */
    MARKER = 4
};

struct slot {
    union {
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    struct iovec part;
};

struct gh_ike_batch {
    struct mmsghdr headers[BATCH];
    struct slot slots[BATCH];
    uint8_t data[BATCH][DATAGRAM_MAX];
};

/* Waits to be sent. */
struct out {
    struct out *next;
    struct ike2_endpoint local, remote;
    uint64_t mark;
    size_t len;
    uint8_t data[];
};

struct gh_ike_udp {
    uv_poll_t poll; /* first: closing frees it */
    int fd;
    struct gh_ike_udp_settings s;
    struct out *out, **out_end;
    size_t waiting;
    uint64_t reached; /* of the marks */
    bool full;        /* the socket takes no more: waits for room */
};

enum gh_ike_kind gh_ike_kind_of(bool nat_t, const uint8_t *data, size_t len)
{
    static const uint8_t marker[MARKER];

    if (len == 0)
        return GH_IKE_SHORT;
    if (len == 1 && data[0] == 0xff)
        return GH_IKE_KEEPALIVE;
    if (!nat_t)
        return GH_IKE_MESSAGE;
    if (len < MARKER)
        return GH_IKE_SHORT;
    return memcmp(data, marker, MARKER) == 0 ? GH_IKE_MESSAGE : GH_IKE_ESP;
}

struct gh_ike_batch *gh_ike_batch_new(void)
{
    return calloc(1, sizeof(struct gh_ike_batch)); /* pages are used as datagrams grow */
}

void gh_ike_batch_free(struct gh_ike_batch *b)
{
    free(b);
}

/* ---- In ------------------------------------------------------------------------------------- */

static void prepare(struct gh_ike_batch *b)
{
    for (size_t i = 0; i < BATCH; i++) {
        struct slot *slot = &b->slots[i];

        slot->part = (struct iovec){.iov_base = b->data[i], .iov_len = DATAGRAM_MAX};
        b->headers[i].msg_hdr = (struct msghdr){.msg_name = &slot->peer,
                                                .msg_namelen = sizeof(slot->peer),
                                                .msg_iov = &slot->part,
                                                .msg_iovlen = 1,
                                                .msg_control = slot->control,
                                                .msg_controllen = sizeof(slot->control)};
    }
}

/* The address that it was sent to. False: none, or one that we may not answer from. */
static bool local_address(const struct gh_ike_udp *u, struct msghdr *h, struct gh_addr *out)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (u->s.v6 && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            *out = gh_addr_from(info.ipi6_addr.s6_addr, 16);
            return !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
        }
        if (!u->s.v6 && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            *out = gh_addr_from((const uint8_t *)&info.ipi_addr, 4);
            /* For a broadcast the two differ. */
            return info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr;
        }
    }
    return false;
}

static void remote_address(const struct gh_ike_udp *u, const struct slot *slot,
                           struct ike2_endpoint *out)
{
    if (u->s.v6) {
        out->addr = gh_addr_from(slot->peer.v6.sin6_addr.s6_addr, 16);
        out->port = ntohs(slot->peer.v6.sin6_port);
    } else {
        out->addr = gh_addr_from((const uint8_t *)&slot->peer.v4.sin_addr, 4);
        out->port = ntohs(slot->peer.v4.sin_port);
    }
}

static void take(struct gh_ike_udp *u, struct mmsghdr *h, struct slot *slot, uint8_t *data)
{
    struct ike2_datagram d = {
        .local.port = u->s.port, .local.zone = u->s.zone, .marker = u->s.nat_t};
    size_t skip = u->s.nat_t ? MARKER : 0, len = h->msg_len;

    if ((h->msg_hdr.msg_flags & MSG_TRUNC) != 0) {
        u->s.counters[GH_IKE_UDP_TRUNCATED]++;
        return;
    }
    switch (gh_ike_kind_of(u->s.nat_t, data, len)) {
    case GH_IKE_KEEPALIVE:
        u->s.counters[GH_IKE_UDP_KEEPALIVE]++;
        return;
    case GH_IKE_ESP:
        u->s.counters[GH_IKE_UDP_ESP]++;
        return;
    case GH_IKE_SHORT:
        u->s.counters[GH_IKE_UDP_SHORT]++;
        return;
    case GH_IKE_MESSAGE:
        break;
    }
    remote_address(u, slot, &d.remote);
    if (!local_address(u, &h->msg_hdr, &d.local.addr) || d.remote.port == 0) {
        u->s.counters[GH_IKE_UDP_NO_ADDRESS]++;
        return;
    }
    d.data = data + skip;
    d.len = len - skip;
    u->s.ops->datagram(u->s.ctx, &d);
}

/* How many came; an error that the socket has to tell (of a datagram that we sent) is none. */
static int receive(struct gh_ike_udp *u)
{
    struct gh_ike_batch *b = u->s.batch;
    int n;

    prepare(b);
    do
        n = recvmmsg(u->fd, b->headers, BATCH, MSG_DONTWAIT, NULL);
    while (n < 0 && errno == EINTR);
    for (int i = 0; i < n; i++)
        take(u, &b->headers[i], &b->slots[i], b->data[i]);
    return n;
}

/* ---- Out ------------------------------------------------------------------------------------ */

static void on_poll(uv_poll_t *poll, int status, int events);

static void put_peer(const struct out *o, struct slot *slot, struct msghdr *h)
{
    if (o->remote.addr.len == 16) {
        slot->peer.v6 =
            (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(o->remote.port)};
        memcpy(&slot->peer.v6.sin6_addr, o->remote.addr.octets, 16);
        h->msg_namelen = sizeof(slot->peer.v6);
    } else {
        slot->peer.v4 =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(o->remote.port)};
        memcpy(&slot->peer.v4.sin_addr, o->remote.addr.octets, 4);
        h->msg_namelen = sizeof(slot->peer.v4);
    }
    h->msg_name = &slot->peer;
}

static void put_info(struct msghdr *h, struct slot *slot, int level, int type, const void *info,
                     size_t len)
{
    struct cmsghdr *c;

    memset(slot->control, 0, sizeof(slot->control));
    h->msg_control = slot->control;
    h->msg_controllen = CMSG_SPACE(len);
    c = CMSG_FIRSTHDR(h);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), info, len);
}

static void put_local(const struct out *o, struct slot *slot, struct msghdr *h)
{
    struct in6_pktinfo v6 = {.ipi6_ifindex = 0};
    struct in_pktinfo v4 = {.ipi_ifindex = 0};

    if (o->local.addr.len == 16) {
        memcpy(&v6.ipi6_addr, o->local.addr.octets, 16);
        put_info(h, slot, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof(v6));
    } else if (o->local.addr.len == 4) {
        memcpy(&v4.ipi_spec_dst, o->local.addr.octets, 4);
        put_info(h, slot, IPPROTO_IP, IP_PKTINFO, &v4, sizeof(v4));
    }
}

static bool may_leave(const struct gh_ike_udp *u)
{
    return u->out != NULL && u->out->mark <= u->reached;
}

/* The first that wait and may leave, at most a batch. */
static unsigned gather(struct gh_ike_udp *u, struct mmsghdr headers[BATCH],
                       struct slot slots[BATCH])
{
    unsigned n = 0;

    for (struct out *o = u->out; o != NULL && o->mark <= u->reached && n < BATCH;
         o = o->next, n++) {
        struct msghdr *h = &headers[n].msg_hdr;

        *h = (struct msghdr){.msg_iov = &slots[n].part, .msg_iovlen = 1};
        slots[n].part = (struct iovec){.iov_base = o->data, .iov_len = o->len};
        put_peer(o, &slots[n], h);
        put_local(o, &slots[n], h);
    }
    return n;
}

static void drop_first(struct gh_ike_udp *u)
{
    struct out *o = u->out;

    u->out = o->next;
    if (u->out == NULL)
        u->out_end = &u->out;
    u->waiting--;
    free(o);
}

/* Sends what waits, as far as the socket takes it. What the kernel refuses (no route, an address
 * that is not ours any more) is lost: IKE asks again. */
static void send_some(struct gh_ike_udp *u)
{
    struct mmsghdr headers[BATCH];
    struct slot slots[BATCH];

    u->full = false;
    while (may_leave(u) && !u->full) {
        int n = sendmmsg(u->fd, headers, gather(u, headers, slots), MSG_DONTWAIT);

        for (int i = 0; i < n; i++)
            drop_first(u);
        if (n >= 0 || errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == ENOBUFS) {
            u->full = true;
        } else {
            u->s.counters[GH_IKE_UDP_SEND_FAILED]++;
            drop_first(u);
        }
    }
}

void gh_ike_udp_flush(struct gh_ike_udp *u, uint64_t reached)
{
    bool was_full = u->full;

    u->reached = reached;
    if (!was_full)
        send_some(u);
    if (u->full && !was_full)
        uv_poll_start(&u->poll, UV_READABLE | UV_WRITABLE, on_poll);
}

void gh_ike_udp_send(struct gh_ike_udp *u, const struct ike2_datagram *d, uint64_t mark)
{
    size_t skip = d->marker && d->len > 0 ? MARKER : 0, len = d->len > 0 ? d->len : 1;
    struct out *o;

    if (u->waiting == QUEUE_MAX) {
        u->s.counters[GH_IKE_UDP_SEND_FULL]++;
        return;
    }
    o = malloc(sizeof(*o) + skip + len);
    if (o == NULL) {
        u->s.counters[GH_IKE_UDP_SEND_FULL]++;
        return;
    }
    *o = (struct out){.local = d->local, .remote = d->remote, .mark = mark, .len = skip + len};
    memset(o->data, 0, skip);
    o->data[skip] = 0xff;
    if (d->len > 0)
        memcpy(o->data + skip, d->data, len);
    *u->out_end = o;
    u->out_end = &o->next;
    if (++u->waiting >= BATCH)
        gh_ike_udp_flush(u, u->reached);
}

/* ---- Life ----------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct gh_ike_udp *u = (struct gh_ike_udp *)poll;
    int n = BATCH;

    if ((events & UV_WRITABLE) != 0) {
        send_some(u);
        if (!u->full)
            uv_poll_start(&u->poll, UV_READABLE, on_poll);
    }
    for (size_t i = 0; n == BATCH && i < BATCHES_A_TURN; i++)
        n = receive(u);
    u->s.ops->done(u->s.ctx);
}

struct gh_ike_udp *gh_ike_udp_new(int fd, const struct gh_ike_udp_settings *s)
{
    struct gh_ike_udp *u = calloc(1, sizeof(*u));

    if (u == NULL) {
        close(fd);
        return NULL;
    }
    u->fd = fd;
    u->s = *s;
    u->out_end = &u->out;
    uv_poll_init(s->loop, &u->poll, fd);
    return u;
}

void gh_ike_udp_start(struct gh_ike_udp *u)
{
    uv_poll_start(&u->poll, UV_READABLE | (u->full ? UV_WRITABLE : 0), on_poll);
}

static void on_closed(uv_handle_t *handle)
{
    struct gh_ike_udp *u = (struct gh_ike_udp *)handle;

    while (u->out != NULL)
        drop_first(u);
    close(u->fd);
    free(u);
}

void gh_ike_udp_close(struct gh_ike_udp *u)
{
    if (u == NULL)
        return;
    uv_poll_stop(&u->poll);
    uv_close((uv_handle_t *)&u->poll, on_closed);
}
