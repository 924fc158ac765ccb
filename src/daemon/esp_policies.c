#include "daemon/esp_priv.h"

#include <stdlib.h>

#include "config/ike_slots.h"

#define ELSEWHERE (UINT32_MAX - 1)

/* UINT32_MAX: no memory, or too many. */
static uint32_t place_number(struct gh_esp *esp, const struct gh_ike_zone *zone)
{
    return gh_esp_number(&esp->places, zone != NULL ? zone->netns : NULL,
                         zone != NULL ? zone->vrf : NULL);
}

static bool make_room(struct gh_esp *esp)
{
    uint32_t *more = realloc(esp->protects, (esp->policies.count + 1) * sizeof(*more));

    if (more == NULL)
        return false;
    esp->protects = more;
    esp->protects_count = esp->policies.count;
    for (size_t i = 0; i < esp->protects_count; i++)
        more[i] = UINT32_MAX;
    return true;
}

static bool set_places(struct gh_esp *esp, const struct gh_ike_config *config)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct ike2_policy *p = config->policies[i];
        uint32_t outer = place_number(esp, gh_ike_public_zone(config, p));

        if (!gh_esp_outers_set(&esp->outers, outer, outer) ||
            !gh_esp_outers_set(&esp->outers, place_number(esp, gh_ike_private_zone(config, p)),
                               outer))
            return false;
        for (size_t k = 0; k < p->child_count; k++)
            if (gh_esp_number(&esp->policies, p->name, p->children[k].name) == UINT32_MAX)
                return false;
    }
    if (!make_room(esp))
        return false;
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct ike2_policy *p = config->policies[i];

        for (size_t k = 0; k < p->child_count; k++)
            esp->protects[gh_esp_number(&esp->policies, p->name, p->children[k].name)] =
                gh_ike_slot(p) == esp->slot ? place_number(esp, gh_ike_private_zone(config, p))
                                            : ELSEWHERE;
    }
    return true;
}

/* What the kernel carries is shown beside the SPD. */
static void note_kernel(struct gh_esp *esp, const struct ike2_policy *p,
                        const struct ike2_child_policy *child, const struct gh_ike_zone *zone,
                        struct gh_esp_spd *spd)
{
    const struct ipsec_policy policy = {.id = gh_esp_number(&esp->policies, p->name, child->name),
                                        .place = place_number(esp, zone),
                                        .action = IPSEC_PROTECT};

    if (policy.id != UINT32_MAX && policy.place != UINT32_MAX)
        gh_esp_spd_add(spd, SIZE_MAX, &policy, child);
}

/* One entry of the SPD for each child of ESP or AH: what its selectors say goes through it, or does
 * not go at all. All else that comes from the device has no policy, and is dropped. */
static size_t make_policies(struct gh_esp *esp, const struct gh_ike_config *config,
                            struct ipsec_policy *out, struct ipsec_selector *selectors,
                            struct gh_esp_spd *spd)
{
    size_t count = 0;

    for (size_t i = 0; i < config->policy_count; i++) {
        const struct ike2_policy *p = config->policies[i];
        const struct gh_ike_zone *zone = gh_ike_private_zone(config, p);

        for (size_t k = 0; gh_ike_slot(p) == esp->slot && k < p->child_count; k++) {
            const struct ike2_child_policy *child = &p->children[k];
            size_t n;

            if (child->mode == IKE2_TCP_AO)
                continue;
            if (child->kernel) {
                note_kernel(esp, p, child, zone, spd);
                continue;
            }
            n = gh_esp_selectors(&child->local, &child->remote, selectors);
            if (n == 0)
                continue;
            out[count++] =
                (struct ipsec_policy){.id = gh_esp_number(&esp->policies, p->name, child->name),
                                      .place = place_number(esp, zone),
                                      .action = IPSEC_PROTECT,
                                      .out = true,
                                      .in = true,
                                      .selectors = selectors,
                                      .selector_count = n};
            gh_esp_spd_add(spd, count - 1, &out[count - 1], child);
            selectors += n;
        }
    }
    return count;
}

bool gh_esp_set_policies(struct gh_esp *esp, const struct gh_ike_config *config)
{
    size_t children = 0, pairs = 0;
    struct gh_esp_spd spd = {.count = 0};
    struct ipsec_policy *policies;
    struct ipsec_selector *selectors;
    bool good;

    if (!set_places(esp, config))
        return false;
    for (size_t i = 0; i < config->policy_count; i++) {
        children += config->policies[i]->child_count;
        for (size_t k = 0; k < config->policies[i]->child_count; k++)
            pairs += config->policies[i]->children[k].local.count *
                     config->policies[i]->children[k].remote.count;
    }
    policies = calloc(children + 1, sizeof(*policies));
    /* gh_esp_selectors() may look at a whole set */
    selectors = calloc(pairs + IPSEC_SELECTORS_MAX, sizeof(*selectors));
    good = policies != NULL && selectors != NULL &&
           ipsec_set_policies(esp->engine, policies,
                              make_policies(esp, config, policies, selectors, &spd));
    if (good) {
        gh_esp_spd_free(&esp->spd);
        esp->spd = spd;
    } else {
        gh_esp_spd_free(&spd);
    }
    free(policies);
    free(selectors);
    return good;
}

/* Children of an earlier configuration go on where they are, but a private side has what the one in
 * force gives it, and nothing else. */
bool gh_esp_fits(void *ctx, uint32_t policy, uint32_t place, bool kernel)
{
    struct gh_esp *esp = ctx;
    uint32_t now = policy < esp->protects_count ? esp->protects[policy] : UINT32_MAX;

    if (now == ELSEWHERE || !gh_esp_fits_plane(ctx, policy, kernel))
        return false;
    return now == place || (!gh_esp_outer_is_other(&esp->outers, place) &&
                            (now == UINT32_MAX || !gh_esp_outer_is_other(&esp->outers, now)));
}
