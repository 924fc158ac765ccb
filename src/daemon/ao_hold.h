/*
 * SYNs that wait for a key (AO_HOLD): each stays in its queue in the kernel, without a verdict,
 * until the gatekeeper has made one, or for a bounded time. Bounded in number: the oldest makes
 * room. A SYN that is sent again takes the place of the one before.
 *
 * Owned by the `ao` process. Pure but for the verdicts, which go out through a callback.
 */
#ifndef GH_DAEMON_AO_HOLD_H
#define GH_DAEMON_AO_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpao/engine.h"

enum {
    GH_HOLD_MAX = 1024,
    GH_HOLD_OUT_MS = 10 * 1000, /* of a daemon that opens: its own patience is longer */
    GH_HOLD_IN_MS = 1000        /* of a peer: our key is a message away, if it comes at all */
};

struct gh_held {
    uint16_t zone;
    uint32_t id; /* in the zone's queue */
    enum ao_way way;
    uint32_t mtu;
    uint8_t *data;
    size_t len;
    const char *session;
};

/* again: it is to be brought to the engine once more; else to be dropped. False (of `again` alone):
 * it has to wait on. */
typedef bool (*gh_hold_fn)(void *ctx, const struct gh_held *held, bool again);

struct gh_ao_hold;
struct gh_ao_hold *gh_ao_hold_new(gh_hold_fn fn, void *ctx); /* NULL: no memory */
void gh_ao_hold_free(struct gh_ao_hold *h);                  /* without a verdict */

/* Copies what it is given. False: no memory, or no TCP segment; to be dropped. */
bool gh_ao_hold_add(struct gh_ao_hold *h, uint64_t now_ms, const struct gh_held *held);
/* A key may be there: all that wait for this session are tried, in their order. */
void gh_ao_hold_release(struct gh_ao_hold *h, const char *session);
/* A queue is closed: nobody can answer for its packets. */
void gh_ao_hold_forget(struct gh_ao_hold *h, uint16_t zone);
void gh_ao_hold_tick(struct gh_ao_hold *h, uint64_t now_ms);
uint64_t gh_ao_hold_next_deadline(const struct gh_ao_hold *h); /* UINT64_MAX: none */
size_t gh_ao_hold_count(const struct gh_ao_hold *h);

#endif
