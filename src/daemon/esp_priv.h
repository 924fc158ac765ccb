/*
 * Inside of the `esp` process: what its files share. esp.c is its life, what the parent says and
 * what operators ask; esp_policies.c makes the SPD; esp_keyer.c talks with `ike`; esp_packets.c has
 * what packets meet beside the engine. What they put together stands in files of its own
 * (esp_children.h, esp_net.h, esp_path.h …), which do not know this one.
 */
#ifndef GH_DAEMON_ESP_PRIV_H
#define GH_DAEMON_ESP_PRIV_H

#include <uv.h>

#include "config/ike.h"
#include "daemon/channel.h"
#include "daemon/esp_capture.h"
#include "daemon/esp_children.h"
#include "daemon/esp_claims.h"
#include "daemon/esp_devices.h"
#include "daemon/esp_drops.h"
#include "daemon/esp_kernel.h"
#include "daemon/esp_manual.h"
#include "daemon/esp_net.h"
#include "daemon/esp_outers.h"
#include "daemon/esp_path.h"
#include "daemon/esp_raw.h"
#include "daemon/esp_refusals.h"
#include "daemon/esp_spd.h"
#include "daemon/esp_strangers.h"
#include "daemon/esp_tunnels.h"
#include "daemon/esp_waiting.h"
#include "daemon/randomness.h"

struct gh_esp {
    uv_loop_t loop;
    uv_timer_t timer;
    uint8_t slot, slots; /* whose peers' packets we carry, of how many; slots 0: not told yet */
    struct gh_channel *parent, *keyer; /* keyer NULL: `ike` is away */
    struct gh_random random;
    struct ipsec *engine;
    struct gh_esp_names policies, places;
    struct gh_esp_outers outers;
    uint32_t *protects; /* [policies]: the place of what it protects; UINT32_MAX: not configured;
                         * UINT32_MAX - 1: another process carries it */
    size_t protects_count;
    struct gh_esp_children *children;
    struct gh_manual_list manual; /* keys for the configuration that comes */
    struct gh_esp_net *net;
    struct gh_esp_kernel *kernel;
    struct gh_esp_path *path;
    struct gh_esp_raw *raw;
    struct gh_esp_names tunnel_names;
    struct gh_esp_tunnels *tunnels;
    struct gh_esp_devices *devices;
    struct gh_esp_capture *capture;
    struct ipsec_event moved[IPSEC_BATCH]; /* told while the engine was at work */
    size_t moved_count;
    struct gh_esp_spd spd;
    struct gh_esp_strangers strangers;
    struct gh_esp_drops drops;
    uint64_t *wanted_ms; /* [policies]: when SAs were last called for */
    size_t wanted_count;
    struct gh_esp_claims claims;
    bool *held; /* [GH_ESP_CHILDREN_MAX]: `ike` was told that it is here; NULL: none was */
    char why[GH_ESP_WHY]; /* the child that came last was refused */
    struct gh_esp_waiting *waiting;
    struct gh_esp_refusals refusals;
    uint32_t lacking[IPSEC_BATCH]; /* the policies of packets that met no SA, in their order */
    size_t lacking_count;
    uint64_t since_ms;  /* not 0: of the packet that has waited and goes on now */
    uv_timer_t release; /* with it the packets of these policies go on: */
    uint32_t *ready;
    size_t ready_count;
};

/* False: no memory, or a selector that is not valid; the SPD is as it was. */
bool gh_esp_set_policies(struct gh_esp *esp, const struct gh_ike_config *config);

/* Is a child of this policy, carried so and for that place, one of the configuration in force, or
 * at least none that it forbids? */
bool gh_esp_fits(void *ctx, uint32_t policy, uint32_t place, bool kernel);

/* ---- esp_keyer.c ---------------------------------------------------------------------------- */

/* Makes what hears from `ike`: children, their routes, and the kernel's plane. False: no memory. */
bool gh_esp_keyer_make(struct gh_esp *esp);
/* The socket of the `ike` that is there from now on. */
bool gh_esp_keyer_open(struct gh_esp *esp, int fd);
/* A packet of this flow wants an SA, which `ike` hears of now and then. */
void gh_esp_keyer_want(struct gh_esp *esp, uint32_t policy, const struct ipsec_flow *flow);
/* An SA of the engine's wants to be rekeyed. */
void gh_esp_keyer_worn(void *ctx, uint64_t sa);
/* Whoever sends by an SA that is not there hears so from `ike`. */
void gh_esp_keyer_strangers(struct gh_esp *esp, const struct ipsec_packet *packets, size_t count);
void gh_esp_keyer_stray(void *ctx, const struct gh_esp_net_stray *x);
/* Is this policy, a child, carried by that plane? */
bool gh_esp_fits_plane(void *ctx, uint32_t policy, bool kernel);

/* ---- esp_held.c ----------------------------------------------------------------------------- */

/* The `ike` that has just said hello is told which children are here of an earlier one: where
 * clients have one slot of several, they come back to that. */
void gh_esp_held_tell(struct gh_esp *esp);
void gh_esp_held_gone(struct gh_esp *esp, uint32_t owner);

/* ---- esp_packets.c -------------------------------------------------------------------------- */

/* Makes what packets meet, children first. False: no memory. */
bool gh_esp_packets_make(struct gh_esp *esp);
/* Now and then. */
void gh_esp_packets_tick(struct gh_esp *esp, uint64_t now_ms);
void gh_esp_packets_event(void *ctx, const struct ipsec_event *e);
/* A child of `ike` has its SAs: packets that waited for them go on, soon. */
void gh_esp_packets_release(struct gh_esp *esp, uint32_t child);
/* An outgoing SA is new, or goes elsewhere. */
void gh_esp_packets_changed(void *ctx, uint64_t sa);

#endif
