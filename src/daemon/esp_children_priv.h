/*
 * Inside of esp_children.h: what its files share. esp_children.c does what `ike` says and has the
 * SAs of both planes; esp_children_manual.c has those that were keyed by hand;
 * esp_children_memory.c takes over what an earlier instance left;
 * esp_children_use.c has what packets and time do to children, and how they look.
 */
#ifndef GH_DAEMON_ESP_CHILDREN_PRIV_H
#define GH_DAEMON_ESP_CHILDREN_PRIV_H

#include "daemon/esp_children.h"

enum { GH_ESP_LATE_MS = 5000 /* packets of a replaced SA may still be on their way */ };

/* In the shared memory: one child. */
struct slot {
    uint64_t epoch;
    uint64_t seq_out, top_in;       /* sequence numbers: used, and taken */
    uint64_t octets[2], packets[2]; /* of the lifetime, by enum ipsec_way */
    uint64_t until_ms;              /* hard lifetime, monotonic; 0: none */
    uint64_t order;                 /* of their coming: the newest carries what goes out */
    uint32_t going;                 /* replaced: only what is still on its way comes in */
    uint32_t tie;                   /* of the kernel's plane; 0: none */
    uint32_t len;
    uint8_t body[GH_ESP_CHILD_MAX]; /* CHILD_INSTALL */
};

/* Pages that no child was in are never touched, and take no memory. */
struct memory {
    uint8_t used[GH_ESP_CHILDREN_MAX]; /* written last, and cleared first */
    struct slot slots[GH_ESP_CHILDREN_MAX];
};

struct child {
    bool there, in, out;
    bool kernel;        /* carries it */
    bool around;        /* others go into it */
    size_t other;       /* of AH around ESP: the slot of the other one + 1; 0: none */
    bool taken_over[2]; /* by enum ipsec_way: was there before us, and so were its counts */
    uint32_t id, replaces, policy, place;
    struct gh_addr remote;
    uint64_t out_due_ms; /* not 0: the SA to the peer waits until then, or for a packet of it */
    uint64_t end_ms;     /* not 0: it is going */
    uint64_t told_octets[2], told_packets[2]; /* by enum ipsec_way */
};

struct gh_esp_children {
    struct ipsec *engine;
    const struct gh_esp_plane *kernel; /* NULL: none */
    struct gh_esp_names *policies, *places;
    const struct gh_esp_children_ops *ops;
    void *ctx;
    struct memory *memory; /* NULL: not mapped yet */
    uint8_t *used;         /* [GH_ESP_CHILDREN_MAX], and so are: */
    struct slot *slots;
    struct child *list;
    size_t top;     /* slots from here on are free */
    uint64_t epoch; /* of the `ike` that spoke last */
    uint64_t order; /* of the last that came */
};

static inline uint64_t gh_esp_sa_id(size_t slot, enum ipsec_way way)
{
    return 2 * slot + 1 + (way == IPSEC_IN);
}

static inline size_t gh_esp_slot_of(uint64_t sa)
{
    return (size_t)((sa - 1) / 2);
}

/* The epoch of what no `ike` made; `ike` draws none such. */
#define GH_ESP_MANUAL UINT64_MAX

static inline bool gh_esp_child_is_manual(const struct gh_esp_children *c, size_t at)
{
    return c->slots[at].epoch == GH_ESP_MANUAL;
}

/* It belongs to an `ike` that has ended, or to none. */
static inline bool gh_esp_child_is_orphan(const struct gh_esp_children *c, size_t at)
{
    return c->slots[at].epoch != c->epoch || gh_esp_child_is_manual(c, at);
}

bool gh_esp_slot_decode(const struct slot *s, struct gh_esp_child *out);
/* GH_ESP_CHILDREN_MAX: all are taken. */
size_t gh_esp_slot_free(const struct gh_esp_children *c);
void gh_esp_slot_fill(struct gh_esp_children *c, size_t at, const struct gh_esp_child *d,
                      uint64_t now_ms);
/* With the one that goes around it, if that is there. */
void gh_esp_child_join(struct gh_esp_children *c, size_t at);
/* False: it is refused; the caller drops it. */
bool gh_esp_child_begin(struct gh_esp_children *c, size_t at, const struct gh_esp_child *d,
                        bool restored);
/* What goes to the peer goes by this child from now on. False: its SA is refused. */
bool gh_esp_child_add_out(struct gh_esp_children *c, size_t at);
void gh_esp_child_drop(struct gh_esp_children *c, size_t at);
/* NULL: not there. */
const struct ipsec_sa *gh_esp_child_sa(const struct gh_esp_children *c, size_t at,
                                       enum ipsec_way way);
/* Of the `ike` that speaks. SIZE_MAX: none. */
size_t gh_esp_child_find(const struct gh_esp_children *c, uint32_t id);

#endif
