/*
 * IKE's datagrams on one UDP socket, many with each system call.
 *
 * The `ike` process has one of these for each socket that the parent hands over. What comes is
 * sorted on port 4500 by the non-ESP marker (RFC 3948 2.2); the rest goes to the callback with the
 * local address that it came to. What is sent leaves from the address that the datagram says, when
 * gh_ike_udp_flush() is called or many wait.
 */
#ifndef GH_DAEMON_IKE_UDP_H
#define GH_DAEMON_IKE_UDP_H

#include <stdbool.h>
#include <uv.h>

#include "control/ike_counts.h"
#include "ike/v2/core.h"

enum gh_ike_kind { GH_IKE_MESSAGE, GH_IKE_KEEPALIVE, GH_IKE_ESP, GH_IKE_SHORT };
/* Pure. nat_t: it came to port 4500. */
enum gh_ike_kind gh_ike_kind_of(bool nat_t, const uint8_t *data, size_t len);

/* Room for a batch of the largest datagrams, shared by all sockets of a process. */
struct gh_ike_batch;
struct gh_ike_batch *gh_ike_batch_new(void);
void gh_ike_batch_free(struct gh_ike_batch *b); /* NULL is fine */

struct gh_ike_udp;

struct gh_ike_udp_ops {
    void (*datagram)(void *ctx, struct ike2_datagram *d);
    /* A batch has been handed over: time to send and to set timers. */
    void (*done)(void *ctx);
};

struct gh_ike_udp_settings {
    uv_loop_t *loop;
    struct gh_ike_batch *batch;
    const struct gh_ike_udp_ops *ops;
    void *ctx;
    uint64_t *counters; /* [GH_IKE_UDP_COUNT]; outlives the socket */
    uint16_t port;      /* what it is bound to */
    uint16_t zone;      /* where, by the core's number */
    bool nat_t, v6;     /* nat_t: messages have the non-ESP marker */
};

/* Takes the descriptor, and reads nothing before gh_ike_udp_start(). NULL: no memory (then it is
 * closed). */
struct gh_ike_udp *gh_ike_udp_new(int fd, const struct gh_ike_udp_settings *s);
void gh_ike_udp_start(struct gh_ike_udp *u);
/* What still waits is not sent. */
void gh_ike_udp_close(struct gh_ike_udp *u); /* NULL is fine */

/* Copies the datagram; an empty one is a keepalive. d->local.addr of length 0: the kernel chooses.
 * It may be lost as anywhere on its way; then it is counted. It does not leave before a flush with
 * this mark or a greater one; those behind it wait, too. */
void gh_ike_udp_send(struct gh_ike_udp *u, const struct ike2_datagram *d, uint64_t mark);
void gh_ike_udp_flush(struct gh_ike_udp *u, uint64_t reached);

#endif
