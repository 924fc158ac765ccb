/*
 * A netfilter queue: packets of the kernel in, verdicts out, in batches.
 *
 * The parent opens queues (it may enter namespaces) and passes the sockets to the `ao` process,
 * which runs them. A socket outlives the process that runs it: while nobody reads, packets wait.
 * Never fail-open: a full queue drops.
 */
#ifndef GH_PLATFORM_NFQUEUE_H
#define GH_PLATFORM_NFQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpao/engine.h"

/* Binds queue `number` of a namespace (gh_netns_enter()) to a new socket, with room for `length`
 * packets. Returns the socket, which does not block, or a negative errno: EBUSY when another
 * process holds that queue. */
int gh_nfqueue_open(const char *netns, uint16_t number, uint32_t length);

struct gh_nfqueue {
    int fd; /* borrowed */
    uint16_t number;
    bool synchronised; /* what an earlier reader left unanswered has been dropped */
    uint64_t packets, malformed, send_errors;
    uint64_t judged_ns; /* of CLOCK_MONOTONIC: before the last verdicts were given */
};

struct gh_nfqueue gh_nfqueue_make(int fd, uint16_t number);

struct gh_nfqueue_packet {
    enum ao_way way;
    uint32_t ifindex;    /* where it came in, or goes out; 0: unknown */
    const uint8_t *data; /* from the IP header on; valid during the callback */
    size_t len;
    uint32_t id; /* in its queue */
};

/* Must fill *result in. AO_HOLD: the packet waits in the kernel for gh_nfqueue_answer(). */
typedef void (*gh_nfqueue_fn)(void *ctx, const struct gh_nfqueue_packet *packet,
                              struct ao_result *result);

/* Buffers of one batch, for any number of queues that are run one after the other. */
struct gh_nfqueue_batch *gh_nfqueue_batch_new(void); /* NULL: no memory */
void gh_nfqueue_batch_free(struct gh_nfqueue_batch *b);

/* Receives up to a batch of packets without waiting, asks `fn` for each and sends the verdicts.
 * Returns how many messages were received, 0 when there was none, or a negative errno. */
int gh_nfqueue_run(struct gh_nfqueue *q, struct gh_nfqueue_batch *b, gh_nfqueue_fn fn, void *ctx);
/* The verdict on a packet that was held; `data` is what it was. AO_HOLD drops it. */
void gh_nfqueue_answer(struct gh_nfqueue *q, uint32_t id, uint8_t *data, size_t len,
                       struct ao_result *result);

#endif
