#include "daemon/esp_icmp.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipsec/header.h"
#include "wire/wr.h"

enum {
    A_TURN = 64, /* then packets have a turn */
    ERROR_MAX = 2048,
    CONTROL = 128
};

struct entry {
    uv_poll_t poll; /* first: closing frees it */
    struct gh_esp_icmp *owner;
    struct entry *next;
    uint32_t place;
    bool v6;
    int fd;
};

struct gh_esp_icmp {
    uv_loop_t *loop;
    gh_esp_icmp_fn fn;
    void *ctx;
    struct entry *list;
};

/* The kernel does not give the header of IPv6: this is what it told of it. */
static bool put_header(struct msghdr *h, const struct sockaddr_in6 *from, uint8_t *header,
                       size_t len)
{
    struct gh_wr w = gh_wr_make(header, IPSEC_IPV6_HEADER);
    struct in6_pktinfo info;
    bool known = false;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c))
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            known = true;
        }
    if (!known)
        return false;
    gh_wr_u32(&w, UINT32_C(6) << 28);
    gh_wr_u16(&w, len);
    gh_wr_u8(&w, IPPROTO_ICMPV6);
    gh_wr_u8(&w, 64);
    gh_wr_bytes(&w, from->sin6_addr.s6_addr, 16);
    gh_wr_bytes(&w, info.ipi6_addr.s6_addr, 16);
    return gh_wr_ok(&w);
}

/* False: there is none. */
static bool read_one(const struct entry *e)
{
    _Alignas(struct cmsghdr) char control[CONTROL];
    uint8_t packet[IPSEC_IPV6_HEADER + ERROR_MAX];
    size_t header = e->v6 ? IPSEC_IPV6_HEADER : 0;
    struct sockaddr_in6 from;
    struct iovec part = {.iov_base = packet + header, .iov_len = ERROR_MAX};
    struct msghdr h = {.msg_name = &from,
                       .msg_namelen = sizeof(from),
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    ssize_t len = recvmsg(e->fd, &h, MSG_DONTWAIT);

    if (len < 0)
        return false;
    if ((h.msg_flags & MSG_TRUNC) == 0 && (!e->v6 || put_header(&h, &from, packet, (size_t)len)))
        e->owner->fn(e->owner->ctx, e->place, packet, header + (size_t)len);
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    const struct entry *e = (const struct entry *)poll;

    for (int i = 0; i < A_TURN && read_one(e); i++)
        ;
}

static void on_closed(uv_handle_t *handle)
{
    struct entry *e = (struct entry *)handle;

    close(e->fd);
    free(e);
}

/* Those of the place, of both families or of one. */
static void drop(struct gh_esp_icmp *x, uint32_t place, bool v4, bool v6)
{
    for (struct entry **at = &x->list; *at != NULL;) {
        struct entry *e = *at;

        if (e->place != place || !(e->v6 ? v6 : v4)) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        uv_poll_stop(&e->poll);
        uv_close((uv_handle_t *)&e->poll, on_closed);
    }
}

bool gh_esp_icmp_open(struct gh_esp_icmp *x, uint32_t place, bool v6, int fd)
{
    struct entry *e = calloc(1, sizeof(*e));

    if (e == NULL) {
        close(fd);
        return false;
    }
    drop(x, place, !v6, v6);
    e->owner = x;
    e->place = place;
    e->v6 = v6;
    e->fd = fd;
    e->next = x->list;
    x->list = e;
    uv_poll_init(x->loop, &e->poll, fd);
    uv_poll_start(&e->poll, UV_READABLE, on_poll);
    return true;
}

void gh_esp_icmp_leave(struct gh_esp_icmp *x, uint32_t place)
{
    drop(x, place, true, true);
}

struct gh_esp_icmp *gh_esp_icmp_new(uv_loop_t *loop, gh_esp_icmp_fn fn, void *ctx)
{
    struct gh_esp_icmp *x = calloc(1, sizeof(*x));

    if (x != NULL)
        *x = (struct gh_esp_icmp){.loop = loop, .fn = fn, .ctx = ctx};
    return x;
}
