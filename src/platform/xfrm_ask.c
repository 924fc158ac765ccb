#include "platform/xfrm_ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"

enum {
    WAIT_MS = 2000,
    ERRORS = 4095 /* the kernel has no larger one */
};

int gh_xfrm_ask_open(void)
{
    const int on = 1;
    int fd = gh_nl_open(NETLINK_XFRM, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    /* Older kernels have no words. */
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    return fd;
}

/* For kernels without words of their own. */
static void explain(int error, struct gh_xfrm_why *why)
{
    const char *text = error == -EEXIST   ? "there is one already"
                       : error == -ESRCH  ? "there is none"
                       : error == -ENOENT ? "there is none"
                       : error == -EPROTONOSUPPORT
                           ? "the kernel does not have this protocol or mode"
                       : error == -ENOSYS ? "the kernel does not have this algorithm"
                                          : strerror(-error);

    gh_xfrm_refuse(why, text);
}

static void read_words(struct gh_rd *r, struct gh_xfrm_why *why)
{
    struct gh_nl_attr a;

    while (gh_nl_next_attr(r, &a))
        if (a.type == NLMSGERR_ATTR_MSG && gh_rd_left(&a.body) > 1)
            snprintf(why->text, sizeof(why->text), "the kernel says: %.*s",
                     (int)gh_rd_left(&a.body) - 1, (const char *)a.body.p);
}

bool gh_xfrm_parse_end(const struct gh_nl_message *m, int *result, struct gh_xfrm_why *why)
{
    struct gh_rd r = m->body;

    *result = 0;
    if (m->type == NLMSG_DONE)
        return true;
    if (m->type != NLMSG_ERROR)
        return false;
    *result = (int32_t)gh_nl_u32(&r);
    gh_rd_skip(&r,
               GH_NL_HEADER); /* of the request; the rest of it is not there (NETLINK_CAP_ACK) */
    if (*result > 0 || *result < -ERRORS || r.bad)
        *result = -EPROTO;
    if (*result == 0)
        return true;
    explain(*result, why);
    if (m->flags & NLM_F_ACK_TLVS)
        read_words(&r, why);
    return true;
}

/* One datagram of the answer. True: that was the last. */
static bool read_answer(const uint8_t *data, size_t len, uint32_t seq, gh_xfrm_message_fn fn,
                        void *ctx, int *result, struct gh_xfrm_why *why)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_nl_message m;

    while (gh_nl_next(&r, &m)) {
        if (m.seq != seq) /* of an earlier question that was given up */
            continue;
        if (gh_xfrm_parse_end(&m, result, why))
            return true;
        if (fn != NULL)
            fn(ctx, &m);
    }
    return false;
}

int gh_xfrm_ask(int fd, const struct gh_wr *request, gh_xfrm_message_fn fn, void *ctx,
                struct gh_xfrm_why *why)
{
    static uint8_t answer[65536];
    struct gh_rd r = gh_rd_make(request->base, request->len);
    struct gh_nl_message m;
    bool done = false;
    int result = 0;

    if (!gh_wr_ok(request) || !gh_nl_next(&r, &m))
        result = -EINVAL;
    else if (send(fd, request->base, request->len, 0) < 0)
        result = -errno;
    while (result == 0 && !done) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, WAIT_MS);
        ssize_t n = ready > 0 ? recv(fd, answer, sizeof(answer), MSG_DONTWAIT) : -1;

        if (n >= 0) {
            done = read_answer(answer, (size_t)n, m.seq, fn, ctx, &result, why);
            gh_wipe(answer, (size_t)n);
        } else if (ready == 0) {
            result = -ETIMEDOUT;
        } else if (errno != EINTR && errno != EAGAIN) {
            result = -errno;
        }
    }
    if (result != 0 && !done)
        explain(result, why);
    return result;
}
