#include "platform/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

size_t gh_nl_padding(size_t n)
{
    return -n & (NLMSG_ALIGNTO - 1);
}

uint16_t gh_nl_u16(struct gh_rd *r)
{
    uint16_t v;

    gh_rd_copy(r, &v, sizeof(v));
    return v;
}

uint32_t gh_nl_u32(struct gh_rd *r)
{
    uint32_t v;

    gh_rd_copy(r, &v, sizeof(v));
    return v;
}

/* Steps over the padding that follows n octets; the last message or attribute may lack it. */
static void skip_padding(struct gh_rd *r, size_t n)
{
    size_t pad = gh_nl_padding(n);

    gh_rd_skip(r, pad < gh_rd_left(r) ? pad : gh_rd_left(r));
}

bool gh_nl_next(struct gh_rd *r, struct gh_nl_message *out)
{
    uint32_t len;

    if (r->bad || gh_rd_left(r) == 0)
        return false;
    len = gh_nl_u32(r);
    out->type = gh_nl_u16(r);
    out->flags = gh_nl_u16(r);
    out->seq = gh_nl_u32(r);
    out->portid = gh_nl_u32(r);
    if (len < GH_NL_HEADER)
        r->bad = true;
    if (r->bad)
        return false;
    out->body = gh_rd_sub(r, len - GH_NL_HEADER);
    skip_padding(r, len);
    return !r->bad;
}

bool gh_nl_next_attr(struct gh_rd *r, struct gh_nl_attr *out)
{
    uint16_t len;

    if (r->bad || gh_rd_left(r) == 0)
        return false;
    len = gh_nl_u16(r);
    out->type = gh_nl_u16(r) & NLA_TYPE_MASK;
    if (len < GH_NL_ATTR_HEADER)
        r->bad = true;
    if (r->bad)
        return false;
    out->body = gh_rd_sub(r, len - GH_NL_ATTR_HEADER);
    skip_padding(r, len);
    return !r->bad;
}

void gh_nl_put_u16(struct gh_wr *w, uint16_t v)
{
    gh_wr_bytes(w, &v, sizeof(v));
}

void gh_nl_put_u32(struct gh_wr *w, uint32_t v)
{
    gh_wr_bytes(w, &v, sizeof(v));
}

size_t gh_nl_begin(struct gh_wr *w, uint16_t type, uint16_t flags, uint32_t seq)
{
    size_t begin = w->len;

    gh_nl_put_u32(w, 0);
    gh_nl_put_u16(w, type);
    gh_nl_put_u16(w, flags);
    gh_nl_put_u32(w, seq);
    gh_nl_put_u32(w, 0);
    return begin;
}

void gh_nl_end_with(struct gh_wr *w, size_t begin, size_t more)
{
    uint32_t len = (uint32_t)(w->len - begin + more);

    if (!w->bad)
        memcpy(w->base + begin, &len, sizeof(len));
}

void gh_nl_end(struct gh_wr *w, size_t begin)
{
    gh_nl_end_with(w, begin, 0);
}

void gh_nl_put_attr_header(struct gh_wr *w, uint16_t type, size_t len)
{
    if (len > UINT16_MAX - GH_NL_ATTR_HEADER)
        w->bad = true;
    gh_nl_put_u16(w, (uint16_t)(len + GH_NL_ATTR_HEADER));
    gh_nl_put_u16(w, type);
}

void gh_nl_put_attr(struct gh_wr *w, uint16_t type, const void *data, size_t len)
{
    gh_nl_put_attr_header(w, type, len);
    gh_wr_bytes(w, data, len);
    gh_wr_zero(w, gh_nl_padding(len));
}

int gh_nl_open(int protocol, uint32_t groups)
{
    struct sockaddr_nl self = {.nl_family = AF_NETLINK, .nl_groups = groups};
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&self, sizeof(self)) != 0 ||
        connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* The error code of the acknowledgement of `seq` in a datagram; 1 when it is not there. */
static int find_ack(const uint8_t *data, size_t len, uint32_t seq)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_nl_message m;

    while (gh_nl_next(&r, &m))
        if (m.type == NLMSG_ERROR && m.seq == seq)
            return (int32_t)gh_nl_u32(&m.body);
    return 1;
}

int gh_nl_request(int fd, const struct gh_wr *request)
{
    struct gh_rd r = gh_rd_make(request->base, request->len);
    struct gh_nl_message m;
    uint8_t answer[8192];

    if (!gh_wr_ok(request) || !gh_nl_next(&r, &m))
        return -EINVAL;
    if (send(fd, request->base, request->len, 0) < 0)
        return -errno;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;
        int ack;

        if (poll(&p, 1, 2000) <= 0)
            return -ETIMEDOUT;
        n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
            return -errno;
        ack = n < 0 ? 1 : find_ack(answer, (size_t)n, m.seq);
        if (ack <= 0)
            return ack;
    }
}

/* What came, or a negative errno; what is late is lost. */
static ssize_t receive(int fd, uint8_t *out, size_t size)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready = poll(&p, 1, 2000);
    ssize_t n = ready > 0 ? recv(fd, out, size, MSG_DONTWAIT) : -1;

    if (ready == 0)
        return -ETIMEDOUT;
    return n >= 0 ? n : -errno;
}

int gh_nl_ask(int fd, const struct gh_wr *request,
              bool (*fn)(void *ctx, const struct gh_nl_message *m), void *ctx)
{
    static uint8_t answer[65536];

    while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) >= 0)
        ; /* of an earlier question that was given up */
    if (!gh_wr_ok(request))
        return -EINVAL;
    if (send(fd, request->base, request->len, 0) < 0)
        return -errno;
    for (;;) {
        ssize_t n = receive(fd, answer, sizeof(answer));
        struct gh_rd r = gh_rd_make(answer, n > 0 ? (size_t)n : 0);
        struct gh_nl_message m;

        if (n < 0 && n != -EINTR)
            return (int)n;
        while (gh_nl_next(&r, &m)) {
            if (m.type == NLMSG_ERROR)
                return (int32_t)gh_nl_u32(&m.body);
            if (m.type == NLMSG_DONE || !fn(ctx, &m))
                return 0;
        }
    }
}
