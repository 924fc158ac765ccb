/*
 * Two routers whose TCP-AO keys IKE makes: engines and toy TCPs (world.h), IKE cores (ike_world.h),
 * and a gatekeeper on each side between them, under one clock.
 */
#ifndef GH_TESTS_GK_WORLD_H
#define GH_TESTS_GK_WORLD_H

#include "gatekeeper/gatekeeper.h"
#include "ike_world.h"
#include "sim/world.h"

struct gk_world;

/* What a gatekeeper wants of the IKE core, once that is not in the midst of something. */
struct gk_wish {
    enum { WISH_ACQUIRE, WISH_RETIRE, WISH_RENEW, WISH_USED } kind;
    char policy[IKE2_NAME + 1], child[IKE2_NAME + 1];
    struct ike_ts local, remote;
    uint32_t id;
    uint64_t octets, segments;
};

struct gk_end {
    struct gk_world *world;
    struct gk *gk;
    struct tcpao_chain *chain;
    struct side *side;
    struct ike_host *host;
    struct gk_wish wishes[16];
    size_t wish_count;
    bool up, release, fallback;
    unsigned events[GK_EVENT_COUNT];
    char last[GK_TEXT];
};

struct gk_world {
    struct world *tcp;
    struct ike_world *ike;
    struct gk_end end[2];
    uint64_t next_look;
    char wrong[400];
};

/* lifetime: of keys. Side 0 opens. */
struct gk_world *gk_world_new(uint64_t seed, struct ike2_lifetime lifetime);
void gk_world_free(struct gk_world *w);
void gk_world_run(struct gk_world *w, uint64_t ms);
/* The process with the IKE core and the gatekeeper ends, and begins anew. */
void gk_world_restart_ike(struct gk_world *w, size_t i);
/* The engine's process, which forgets keys. */
void gk_world_restart_engine(struct gk_world *w, size_t i);
uint64_t gk_world_now(const struct gk_world *w);

#endif
