#include "platform/nfqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "platform/netlink.h"
#include "platform/netns.h"
#include "platform/nfqueue_message.h"

enum {
    BATCH = 64,
    MESSAGE_MAX = UINT16_MAX + 1 + 1024, /* the largest packet and the attributes before it */
    PAYLOAD_MAX = UINT16_MAX - GH_NL_ATTR_HEADER,
    PARTS = 4,                   /* of a verdict: headers, new head, old tail, padding */
    SOCKET_BUFFER = 64 * 1048576 /* octets of packets that wait for us, and of verdicts */
};

/* Verdicts on their way. */
struct out {
    struct iovec *parts;
    size_t count;
    struct gh_wr w; /* their headers */
};

struct gh_nfqueue_batch {
    struct mmsghdr messages[BATCH];
    struct iovec receive[BATCH];
    struct ao_result results[BATCH];
    struct iovec send[BATCH * PARTS + 1];
    uint8_t headers[(BATCH + 1) * GH_NFQ_VERDICT_MAX];
    struct out out; /* over send and headers */
    uint8_t (*buffers)[MESSAGE_MAX];
};

static int configure(int fd, uint16_t number, uint32_t length)
{
    uint8_t mem[128];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    int result;

    gh_nfq_put_bind(&w, number);
    result = gh_nl_request(fd, &w);
    if (result == -EPERM)
        return -EBUSY; /* what the kernel says of a queue that has another owner */
    if (result != 0)
        return result;
    w = gh_wr_make(mem, sizeof(mem));
    gh_nfq_put_parameters(&w, number, length);
    return gh_nl_request(fd, &w);
}

static int set_buffers(int fd)
{
    const int size = SOCKET_BUFFER, on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0 ||
        setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return -errno;
    return 0;
}

int gh_nfqueue_open(const char *netns, uint16_t number, uint32_t length)
{
    int fd, back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    fd = gh_nl_open(NETLINK_NETFILTER, 0);
    result = fd < 0 ? -errno : 0;
    gh_netns_leave(back);
    if (result == 0)
        result = set_buffers(fd);
    if (result == 0)
        result = configure(fd, number, length);
    if (result != 0 && fd >= 0)
        close(fd);
    return result != 0 ? result : fd;
}

struct gh_nfqueue gh_nfqueue_make(int fd, uint16_t number)
{
    return (struct gh_nfqueue){.fd = fd, .number = number};
}

struct gh_nfqueue_batch *gh_nfqueue_batch_new(void)
{
    struct gh_nfqueue_batch *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    b->buffers = calloc(BATCH, sizeof(*b->buffers));
    if (b->buffers == NULL) {
        free(b);
        return NULL;
    }
    for (size_t i = 0; i < BATCH; i++) {
        b->receive[i] = (struct iovec){.iov_base = b->buffers[i], .iov_len = MESSAGE_MAX};
        b->messages[i].msg_hdr.msg_iov = &b->receive[i];
        b->messages[i].msg_hdr.msg_iovlen = 1;
    }
    return b;
}

void gh_nfqueue_batch_free(struct gh_nfqueue_batch *b)
{
    if (b == NULL)
        return;
    free(b->buffers);
    free(b);
}

static void add_part(struct out *o, void *data, size_t len)
{
    if (len > 0)
        o->parts[o->count++] = (struct iovec){.iov_base = data, .iov_len = len};
}

/* Adds what the writer got since `from` as a part, or lengthens the last part with it. */
static void add_written(struct out *o, size_t from)
{
    struct iovec *last = o->count > 0 ? &o->parts[o->count - 1] : NULL;

    if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == o->w.base + from)
        last->iov_len += o->w.len - from;
    else
        add_part(o, o->w.base + from, o->w.len - from);
}

/* A replacement leaves as [headers][new head][rest of the old packet, where it was received]. */
static void add_verdict(struct gh_nfqueue *q, struct out *o, uint32_t id, uint8_t *data, size_t len,
                        struct ao_result *result)
{
    static uint8_t zeroes[NLMSG_ALIGNTO];
    size_t from = o->w.len, tail_len, total;

    if (result->verdict != AO_REPLACE) {
        gh_nfq_put_verdict(&o->w, q->number, id, result->verdict == AO_PASS ? NF_ACCEPT : NF_DROP,
                           0);
        add_written(o, from);
        return;
    }
    tail_len = result->tail < len ? len - result->tail : 0;
    total = result->head_len + tail_len;
    if (total == 0 || total > PAYLOAD_MAX) {
        gh_nfq_put_verdict(&o->w, q->number, id, NF_DROP, 0);
        add_written(o, from);
        return;
    }
    gh_nfq_put_verdict(&o->w, q->number, id, NF_ACCEPT, total);
    add_written(o, from);
    add_part(o, result->head, result->head_len);
    add_part(o, data + (len - tail_len), tail_len);
    add_part(o, zeroes, gh_nl_padding(total));
}

/* The first packet that this reader sees: what came before it nobody will ever answer. */
static void synchronise(struct gh_nfqueue *q, struct out *o, uint32_t first_id)
{
    size_t from = o->w.len;

    if (q->synchronised)
        return;
    gh_nfq_put_drop_until(&o->w, q->number, first_id - 1);
    add_written(o, from);
    q->synchronised = true;
}

static void judge(struct gh_nfqueue *q, struct gh_nfqueue_batch *b, size_t i, struct gh_rd body,
                  gh_nfqueue_fn fn, void *ctx)
{
    struct ao_result *result = &b->results[i];
    struct gh_nfq_message m;
    bool good = gh_nfq_parse(body, &m);
    bool out = m.hook == NF_INET_LOCAL_OUT;
    struct gh_nfqueue_packet packet = {.way = out ? AO_OUT : AO_IN,
                                       .ifindex = out ? m.outdev : m.indev,
                                       .data = m.data,
                                       .len = m.len,
                                       .id = m.id};

    result->verdict = AO_DROP;
    if (!good || m.truncated)
        q->malformed++;
    else
        fn(ctx, &packet, result);
    if (!m.has_id)
        return;
    synchronise(q, &b->out, m.id);
    if (result->verdict == AO_HOLD)
        return;
    add_verdict(q, &b->out, m.id, b->buffers[i] + (m.data != NULL ? m.data - b->buffers[i] : 0),
                m.len, result);
}

static void send_verdicts(struct gh_nfqueue *q, const struct out *o)
{
    struct msghdr msg = {.msg_iov = o->parts, .msg_iovlen = o->count};
    ssize_t n;

    if (o->count == 0)
        return;
    q->judged_ns = gh_clock_mono_ns();
    do
        n = sendmsg(q->fd, &msg, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        /* These packets are lost; the next batch drops them, so that the queue does not fill up. */
        q->send_errors++;
        q->synchronised = false;
    }
}

void gh_nfqueue_answer(struct gh_nfqueue *q, uint32_t id, uint8_t *data, size_t len,
                       struct ao_result *result)
{
    struct iovec parts[PARTS];
    uint8_t header[GH_NFQ_VERDICT_MAX];
    struct out o = {.parts = parts, .w = gh_wr_make(header, sizeof(header))};

    add_verdict(q, &o, id, data, len, result);
    send_verdicts(q, &o);
}

int gh_nfqueue_run(struct gh_nfqueue *q, struct gh_nfqueue_batch *b, gh_nfqueue_fn fn, void *ctx)
{
    int n = recvmmsg(q->fd, b->messages, BATCH, MSG_DONTWAIT, NULL);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    b->out = (struct out){.parts = b->send, .w = gh_wr_make(b->headers, sizeof(b->headers))};
    for (size_t i = 0; i < (size_t)n; i++) {
        struct gh_rd r = gh_rd_make(b->buffers[i], b->messages[i].msg_len);
        struct gh_nl_message m;

        if (gh_nl_next(&r, &m) && gh_nfq_is_packet(m.type)) {
            q->packets++;
            judge(q, b, i, m.body, fn, ctx);
        }
    }
    send_verdicts(q, &b->out);
    return n;
}
