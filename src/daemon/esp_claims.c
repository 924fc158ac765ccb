#include "daemon/esp_claims.h"

#include <stdio.h>

bool gh_esp_claims_init(struct gh_esp_claims *c, const struct gh_esp_reverse_ops *ops, void *ctx)
{
    c->reverse = gh_esp_reverse_new(ops, ctx);
    c->overlap = gh_esp_overlap_new();
    return c->reverse != NULL && c->overlap != NULL;
}

void gh_esp_claims_free(struct gh_esp_claims *c)
{
    gh_esp_reverse_free(c->reverse);
    gh_esp_overlap_free(c->overlap);
    *c = (struct gh_esp_claims){.reverse = NULL};
}

bool gh_esp_claims_take(struct gh_esp_claims *c, uint32_t owner, uint32_t place, uint32_t policy,
                        const struct gh_esp_child *d, char why[GH_ESP_WHY])
{
    char unrouted[GH_ESP_REVERSE_WHY] = "no memory";

    if (place == UINT32_MAX || policy == UINT32_MAX ||
        !gh_esp_reverse_claim(c->reverse, owner, place, d, unrouted)) {
        snprintf(why, GH_ESP_WHY, "%s", unrouted);
        return false;
    }
    if (gh_esp_overlap_claim(c->overlap, owner, policy, d, why))
        return true;
    gh_esp_reverse_release(c->reverse, owner, place, d);
    return false;
}

void gh_esp_claims_release(struct gh_esp_claims *c, uint32_t owner, uint32_t place,
                           const struct gh_esp_child *d)
{
    gh_esp_reverse_release(c->reverse, owner, place, d);
    gh_esp_overlap_release(c->overlap, owner);
}
