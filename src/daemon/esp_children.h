/*
 * The Child SAs that the `esp` process carries: what `ike` said of them, what the engine has of
 * them, and their octets in memory that outlives this process.
 *
 * That memory is the parent's (a file without a name, never on a disk). It holds for each child the
 * message that installed it, keys included, and the sequence numbers that were used: a new instance
 * carries on where a killed one stopped, and neither uses a number twice nor takes one again.
 *
 * A child belongs to the `ike` that made it, told by its epoch. When that ends, its children go on
 * until a later `ike` has made another for the same, or their time is up.
 */
#ifndef GH_DAEMON_ESP_CHILDREN_H
#define GH_DAEMON_ESP_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/manual.h"
#include "daemon/esp_messages.h"
#include "daemon/esp_names.h"
#include "ike/v2/core.h"
#include "ipsec/ipsec.h"

enum { GH_ESP_CHILDREN_MAX = 32768, GH_ESP_MANUAL_MAX = 2 * GH_MANUAL_SAS };

struct gh_esp_children;

/* All pairs of both sides that can be. 0: none, or too many. */
size_t gh_esp_selectors(const struct ike_ts_list *local, const struct ike_ts_list *remote,
                        struct ipsec_selector out[IPSEC_SELECTORS_MAX]);

/* One direction as SAs have it; no id, place, policy, or sequence number. `selectors` is borrowed.
 * False: the key is too short. */
bool gh_esp_child_params(const struct gh_esp_child *d, enum ipsec_way way,
                         struct ipsec_selector selectors[IPSEC_SELECTORS_MAX],
                         struct ipsec_sa_params *out);

/* Who carries SAs beside the engine: the kernel (esp_kernel.h). */
struct gh_esp_plane_sa {
    uint64_t id;
    enum ipsec_way way;
    uint32_t policy;
    uint32_t
        *tie;   /* 0: the plane writes one, and gets the same for the same child after a restart */
    bool there; /* an earlier instance has given it to the plane */
    const struct gh_esp_child *child;
};
struct gh_esp_plane {
    /* What it is refused for, it tells later (gh_esp_children_fail()). The same once more: see
     * gh_esp_children_again(). */
    bool (*add)(void *ctx, const struct gh_esp_plane_sa *sa);
    void (*move)(void *ctx, const struct gh_esp_plane_sa *sa);
    void (*remove)(void *ctx, uint64_t sa);
    /* What is known of it by now: p.way, seq, replay.top, counts, last_used_ms; without a key. */
    const struct ipsec_sa *(*get)(void *ctx, uint64_t sa);
    void *ctx;
};

struct gh_esp_children_ops {
    void (*used)(void *ctx, const struct gh_esp_usage *u);
    /* `ike` has it, and we do not. */
    void (*missing)(void *ctx, uint32_t id);
    /* A direction has carried all that it may: the child has ended. */
    void (*used_up)(void *ctx, uint32_t id);
    /* It has come, and is refused where this says false; it has gone, or was refused. `owner` is a
     * number for it meanwhile. Not of those that the kernel carries. Both may be NULL. */
    bool (*came)(void *ctx, uint32_t owner, const struct gh_esp_child *d);
    void (*gone)(void *ctx, uint32_t owner, const struct gh_esp_child *d);
    /* An outgoing SA of the engine's is new, or goes elsewhere. NULL: nobody asks. */
    void (*changed)(void *ctx, uint64_t sa);
};

/* policies, places: the numbers of the SPD. NULL: no memory. */
struct gh_esp_children *gh_esp_children_new(struct ipsec *engine, struct gh_esp_names *policies,
                                            struct gh_esp_names *places,
                                            const struct gh_esp_children_ops *ops, void *ctx);
/* What is in the memory stays there for the next instance; the engine's SAs are the engine's. NULL
 * is fine. */
void gh_esp_children_free(struct gh_esp_children *c);

/* Octets of the memory. */
size_t gh_esp_children_memory(void);
/* Before all others: maps it, and takes over what is in it. False: cannot be mapped. */
bool gh_esp_children_map(struct gh_esp_children *c, int fd, uint64_t now_ms);

/* The messages of frame.h. False: malformed. */
bool gh_esp_children_hello(struct gh_esp_children *c, struct gh_rd *body);
/* *refused: it cannot be; `*id` is its. */
bool gh_esp_children_install(struct gh_esp_children *c, struct gh_rd *body, uint64_t now_ms,
                             uint32_t *id, bool *refused);
bool gh_esp_children_move(struct gh_esp_children *c, struct gh_rd *body);
bool gh_esp_children_remove(struct gh_esp_children *c, struct gh_rd *body, uint64_t now_ms);

/* A child that no `ike` has any more is not wanted here either. owner: as in struct
 * gh_esp_children_ops. */
void gh_esp_children_yield(struct gh_esp_children *c, uint32_t owner);

/* Those that are keyed by hand, all of them, AH before the ESP that it goes around; `ike` has no
 * part in them. What is there as it should be stays untouched; of others that have the SPI and key
 * of one before, sequence numbers go on. How many could not be. */
size_t gh_esp_children_manual(struct gh_esp_children *c, const struct gh_esp_child *list,
                              size_t count, uint64_t now_ms);

/* Packets went through the engine: before they leave, what was used up is written down. */
void gh_esp_children_passed(struct gh_esp_children *c, const struct ipsec_packet *packets,
                            size_t count);
/* The engine has told IPSEC_MOVED of this SA; not from within a call of the engine. */
void gh_esp_children_moved(struct gh_esp_children *c, uint64_t sa, const struct gh_addr *from,
                           uint16_t from_port);
/* Once a second or so: tells of use, and ends what is due. */
void gh_esp_children_tick(struct gh_esp_children *c, uint64_t now_ms);

/* Before gh_esp_children_map(). Without, the kernel's children are refused. */
void gh_esp_children_set_kernel(struct gh_esp_children *c, const struct gh_esp_plane *kernel);
/* Adds all SAs that the kernel has or is to have once more: it has forgotten. */
void gh_esp_children_again(struct gh_esp_children *c);
/* A packet has come in by this SA of the kernel's. */
void gh_esp_children_came(struct gh_esp_children *c, uint64_t sa);
/* The kernel does not carry this SA: the child ends. Which one it was, without its keys; id 0: no
 * `ike` has it. False: none. */
bool gh_esp_children_fail(struct gh_esp_children *c, uint64_t sa, uint32_t *id,
                          struct gh_esp_child *child);
/* Another configuration: children whose policy is another plane's now, or another private side's,
 * end. place: where they were installed. */
void gh_esp_children_check(struct gh_esp_children *c,
                           bool (*fits)(void *ctx, uint32_t policy, uint32_t place, bool kernel),
                           void *ctx);
/* The same of one that has just come, for `ike` may not have the configuration yet that we have.
 * False: it does not fit, and is gone. */
bool gh_esp_children_check_one(struct gh_esp_children *c, uint32_t id,
                               bool (*fits)(void *ctx, uint32_t policy, uint32_t place,
                                            bool kernel),
                               void *ctx);

/* Of an SA of the engine's: the child of the `ike` that is there now. False: of none. */
bool gh_esp_children_id(const struct gh_esp_children *c, uint64_t sa, uint32_t *id);

/* The policy of a child of that `ike`. False: it is not there. */
bool gh_esp_children_policy(const struct gh_esp_children *c, uint32_t id, uint32_t *policy);

/* All outgoing SAs of the engine's that packets are for. */
void gh_esp_children_each_out(const struct gh_esp_children *c, void (*fn)(void *ctx, uint64_t sa),
                              void *ctx);

/* To look at. */
struct gh_esp_child_view {
    const struct gh_esp_child *child; /* its keys are gone from it */
    const struct ipsec_sa *in, *out;  /* NULL: not there (any more, or yet) */
    uint32_t owner;                   /* as in struct gh_esp_children_ops */
    bool orphan;                      /* of an `ike` that has ended */
    bool manual;                      /* of none */
    uint64_t until_ms;                /* monotonic; 0: no end */
};
void gh_esp_children_each(const struct gh_esp_children *c,
                          void (*fn)(void *ctx, const struct gh_esp_child_view *v), void *ctx);

#endif
