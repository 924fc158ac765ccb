/*
 * What the tunnels of some processes lay claim to: reverse routes and selectors (esp_reverse.h,
 * esp_overlap.h), as one. `esp` asks it about the children of its slot, `ike` about those of all
 * slots (ike_spread.h): one rule, and the same words. Pure.
 */
#ifndef GH_DAEMON_ESP_CLAIMS_H
#define GH_DAEMON_ESP_CLAIMS_H

#include "daemon/esp_overlap.h"
#include "daemon/esp_reverse.h"

struct gh_esp_claims {
    struct gh_esp_reverse *reverse;
    struct gh_esp_overlap *overlap;
};

/* False: no memory; then it is to be freed, too. */
bool gh_esp_claims_init(struct gh_esp_claims *c, const struct gh_esp_reverse_ops *ops, void *ctx);
void gh_esp_claims_free(struct gh_esp_claims *c);

/* owner, place, policy: as there; UINT32_MAX: no memory for its number. False: refused, nothing was
 * claimed, and `why` says it. */
bool gh_esp_claims_take(struct gh_esp_claims *c, uint32_t owner, uint32_t place, uint32_t policy,
                        const struct gh_esp_child *d, char why[GH_ESP_WHY]);
void gh_esp_claims_release(struct gh_esp_claims *c, uint32_t owner, uint32_t place,
                           const struct gh_esp_child *d);

#endif
