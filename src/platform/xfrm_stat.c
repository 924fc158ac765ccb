#include "platform/xfrm_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/netns.h"

/* The kernel's name, which way, the core's result (Documentation/networking/xfrm_proc.rst). */
#define COUNTERS(X)                                                                                \
    X(InError, IN, CRYPTO)                                                                         \
    X(InBufferError, IN, NO_ROOM)                                                                  \
    X(InHdrError, IN, MALFORMED)                                                                   \
    X(InNoStates, IN, UNKNOWN_SPI)                                                                 \
    X(InStateProtoError, IN, ICV)                                                                  \
    X(InStateModeError, IN, NEXT_HEADER)                                                           \
    X(InStateSeqError, IN, REPLAY) /* or behind the window: the SA knows */                        \
    X(InStateExpired, IN, EXPIRED)                                                                 \
    X(InStateMismatch, IN, SELECTORS)                                                              \
    X(InStateInvalid, IN, UNKNOWN_SPI)                                                             \
    X(InStateDirError, IN, UNKNOWN_SPI)                                                            \
    X(InTmplMismatch, IN, CLEAR)                                                                   \
    X(InNoPols, IN, NO_POLICY)                                                                     \
    X(InPolBlock, IN, DISCARDED)                                                                   \
    X(InPolError, IN, NO_POLICY)                                                                   \
    X(InIptfsError, IN, INNER)                                                                     \
    X(FwdHdrError, IN, MALFORMED)                                                                  \
    X(AcquireError, OUT, NO_SA)                                                                    \
    X(OutError, OUT, CRYPTO)                                                                       \
    X(OutBundleGenError, OUT, NO_SA)                                                               \
    X(OutBundleCheckError, OUT, NO_SA)                                                             \
    X(OutNoStates, OUT, NO_SA)                                                                     \
    X(OutStateProtoError, OUT, CRYPTO)                                                             \
    X(OutStateModeError, OUT, OPTIONS)                                                             \
    X(OutStateSeqError, OUT, EXHAUSTED)                                                            \
    X(OutStateExpired, OUT, EXPIRED)                                                               \
    X(OutStateInvalid, OUT, NO_SA)                                                                 \
    X(OutStateDirError, OUT, NO_SA)                                                                \
    X(OutPolBlock, OUT, DISCARDED)                                                                 \
    X(OutPolDead, OUT, NO_POLICY)                                                                  \
    X(OutPolError, OUT, NO_POLICY)                                                                 \
    X(OutNoQueueSpace, OUT, NO_ROOM)

static const struct {
    const char *name;
    enum ipsec_way way;
    enum ipsec_result result;
} counters[] = {
#define X(name, way, result) {"Xfrm" #name, IPSEC_##way, IPSEC_##result},
    COUNTERS(X)
#undef X
};

static void count(struct gh_xfrm_stat *out, const char *name, uint64_t value)
{
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        if (strcmp(counters[i].name, name) == 0)
            out->counts[counters[i].way][counters[i].result] += value;
}

void gh_xfrm_stat_parse(const char *text, size_t len, struct gh_xfrm_stat *out)
{
    const char *end = text + len, *at = text;

    *out = (struct gh_xfrm_stat){0};
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((newline != NULL ? newline : end) - at);
        char line[80], name[40];
        unsigned long long value;

        if (n < sizeof(line)) {
            memcpy(line, at, n);
            line[n] = '\0';
            if (sscanf(line, "%39s %20llu", name, &value) == 2)
                count(out, name, value);
        }
        at += n + 1;
    }
}

int gh_xfrm_stat_open(const char *netns)
{
    int fd, back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    fd = open("/proc/thread-self/net/xfrm_stat", O_RDONLY | O_CLOEXEC);
    result = fd >= 0 ? fd : -errno;
    gh_netns_leave(back);
    return result;
}

bool gh_xfrm_stat_again(int fd, struct gh_xfrm_stat *out)
{
    char text[4096];
    ssize_t n = pread(fd, text, sizeof(text), 0);

    if (n > 0)
        gh_xfrm_stat_parse(text, (size_t)n, out);
    return n > 0;
}

bool gh_xfrm_stat_read(const char *netns, struct gh_xfrm_stat *out)
{
    int fd = gh_xfrm_stat_open(netns);
    bool good = fd >= 0 && gh_xfrm_stat_again(fd, out);

    if (fd >= 0)
        close(fd);
    return good;
}
