/*
 * The control protocol of IKE: what the `ike` process answers and tells.
 *
 * Pure, like control.h, whose requests and refusals it shares: the core and what the shell knows go
 * in, JSON comes out. Answers hold no key.
 */
#ifndef GH_CONTROL_IKE_H
#define GH_CONTROL_IKE_H

#include <jansson.h>

#include "base/clock.h"
#include "control/ike_counts.h"
#include "control/ike_notes.h"
#include "gatekeeper/gatekeeper.h"
#include "ike/v2/core.h"

/* One of the sockets that IKE needs. */
struct gh_ike_socket_view {
    uint16_t zone; /* as in struct ike2_policy */
    uint16_t port;
    bool v6, open;
    int error; /* errno, why it is not open; 0: not heard of yet */
};

/* What the `ike` process knows of the places where peers are: daemon/ike_places.h has it. */
struct gh_ike_place_view {
    const char *netns, *vrf; /* NULL: the daemon's own, none */
};
struct gh_ike_places_view {
    void *ctx;
    struct gh_ike_place_view (*place)(void *ctx, uint16_t zone);
    /* *error: an errno, why there is no way; 0: it is not known yet. */
    enum ike2_way (*way)(void *ctx, uint16_t zone, const struct gh_addr *remote,
                         struct gh_addr *out, int *error);
};

/* What the `ike` process knows; all borrowed. */
struct gh_ike_view {
    struct ike2 *core;
    struct ike2_policy *const *policies; /* of the configuration in force */
    size_t policy_count;
    const struct gh_ike_socket_view *sockets;
    size_t socket_count;
    const struct gh_ike_places_view *places;
    const uint64_t *udp; /* [GH_IKE_UDP_COUNT] */
    const struct gh_ike_notes *notes;
    bool keeper;           /* there is one to ask */
    size_t keeper_waiting; /* requests without an answer */
    struct gk *gatekeeper;
    bool engine;           /* the gatekeeper has one to give keys to */
    const size_t *clients; /* [slot_count]: of peers whose clients are spread over slots */
    size_t slot_count;
};

/* Is it for `ike`? `explain` is not among them: it may concern either. */
bool gh_ike_is_op(const char *op);
/* Answers one request, also `explain`: a new object with "ok". NULL only without memory. */
json_t *gh_ike_handle(const struct gh_ike_view *view, struct gh_now now, const json_t *request);

/* It may have changed what ike2_each_order() tells. */
bool gh_ike_changes_orders(const json_t *request);

/* What `monitor` clients are sent. NULL: nothing (a step for the log alone), or no memory. */
json_t *gh_ike_event_json(const struct ike2_event *e, struct gh_now now);
json_t *gh_gatekeeper_event_json(const struct gk_event *e, struct gh_now now);

#endif
