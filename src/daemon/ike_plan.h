/*
 * What the configuration asks of IKE's processes: octets for `ike`, which hold no secret, the order
 * for the keeper, which may, and keys by hand for `esp`.
 */
#ifndef GH_DAEMON_IKE_PLAN_H
#define GH_DAEMON_IKE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "keeper/order.h"

/* Zero-initialised is empty. */
struct gh_ike_plan {
    size_t peers;    /* 0: neither process is needed, and the rest is empty */
    uint8_t *octets; /* owned; what gh_ike_config_decode() takes */
    size_t len;
    uint8_t
        *manual; /* owned, holds secrets; what gh_manual_get() takes: for the first `esp` alone */
    size_t manual_len;
    const struct gh_keeper_order *order; /* borrowed from the configuration */
};

/* The configuration must still have its secrets. False: no memory, and *out is empty. */
bool gh_ike_plan_make(const struct gh_config *config, struct gh_ike_plan *out);
void gh_ike_plan_clear(struct gh_ike_plan *p);

/* Is an IKE peer called so, or is this the address of one? */
bool gh_ike_plan_knows(const struct gh_config *config, const char *target);

#endif
