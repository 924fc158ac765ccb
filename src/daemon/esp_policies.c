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
    for (size_t i = 0; i < config->spd_count; i++)
        if (gh_esp_number(&esp->policies, "", config->spd[i].name) == UINT32_MAX)
            return false;
    if (!make_room(esp))
        return false;
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct ike2_policy *p = config->policies[i];

        for (size_t k = 0; k < p->child_count; k++)
            esp->protects[gh_esp_number(&esp->policies, p->name, p->children[k].name)] =
                gh_ike_is_in_slot(p, esp->slot) ? place_number(esp, gh_ike_private_zone(config, p))
                                                : ELSEWHERE;
    }
    return true;
}

/* The SPD on its way: what the engine is given, and what is shown. */
struct making {
    struct gh_esp *esp;
    const struct gh_ike_config *config;
    struct ipsec_policy *list;
    struct ipsec_selector *selectors; /* from here on not used yet */
    struct gh_esp_spd spd;
    size_t count;
};

/* Entries that the engine does not get (kernel alone) are shown beside the others. */
static void add(struct making *m, const struct gh_esp_entry *e, const struct ike_ts_list *local,
                const struct ike_ts_list *remote)
{
    struct gh_esp_entry shown = *e;
    size_t n = e->user ? gh_esp_selectors(local, remote, m->selectors) : 0;

    if (e->id == UINT32_MAX || e->place == UINT32_MAX || (e->user && n == 0))
        return;
    shown.at = SIZE_MAX;
    if (e->user) {
        shown.at = m->count++;
        m->list[shown.at] = (struct ipsec_policy){.id = e->id,
                                                  .place = e->place,
                                                  .action = e->action,
                                                  .out = e->out,
                                                  .in = e->in,
                                                  .selectors = m->selectors,
                                                  .selector_count = n};
        m->selectors += n;
    }
    gh_esp_spd_add(&m->spd, &shown, local, remote);
}

/* `ipsec-policy` sections: of the namespace's, whoever carries its children. */
static void add_entries(struct making *m, bool after)
{
    for (size_t i = 0; i < m->config->spd_count; i++) {
        const struct gh_spd_entry *e = &m->config->spd[i];
        const struct gh_ike_zone *zone = e->zone > 0 ? &m->config->zones[e->zone - 1] : NULL;
        struct gh_esp_entry entry = {.id = gh_esp_number(&m->esp->policies, "", e->name),
                                     .place = place_number(m->esp, zone),
                                     .action = e->discard ? IPSEC_DISCARD : IPSEC_PASS,
                                     .out = e->out,
                                     .in = e->in};

        gh_spd_planes(m->config, e->zone, &entry.user, &entry.kernel);
        if (e->after == after)
            add(m, &entry, &e->local, &e->remote);
    }
}

/* One entry of the SPD for each child of ESP or AH: what its selectors say goes through it, or does
 * not go at all. */
static void add_children(struct making *m)
{
    const struct gh_ike_config *config = m->config;

    for (size_t i = 0; i < config->policy_count; i++) {
        const struct ike2_policy *p = config->policies[i];
        const struct gh_ike_zone *zone = gh_ike_private_zone(config, p);

        for (size_t k = 0; gh_ike_is_in_slot(p, m->esp->slot) && k < p->child_count; k++) {
            const struct ike2_child_policy *child = &p->children[k];
            const struct gh_esp_entry entry = {
                .id = gh_esp_number(&m->esp->policies, p->name, child->name),
                .place = place_number(m->esp, zone),
                .action = IPSEC_PROTECT,
                .mode = child->mode,
                .out = true,
                .in = true,
                .user = !child->kernel,
                .kernel = child->kernel};

            if (child->mode != IKE2_TCP_AO)
                add(m, &entry, &child->local, &child->remote);
        }
    }
}

/* All else that comes from the device has no policy, and is dropped. */
static bool make_policies(struct making *m)
{
    add_entries(m, false);
    add_children(m);
    add_entries(m, true);
    return ipsec_set_policies(m->esp->engine, m->list, m->count);
}

bool gh_esp_set_policies(struct gh_esp *esp, const struct gh_ike_config *config)
{
    size_t entries = config->spd_count, pairs = 0;
    struct making m = {.esp = esp, .config = config};
    struct ipsec_selector *selectors;
    bool good;

    if (!set_places(esp, config))
        return false;
    for (size_t i = 0; i < config->policy_count; i++) {
        entries += config->policies[i]->child_count;
        for (size_t k = 0; k < config->policies[i]->child_count; k++)
            pairs += config->policies[i]->children[k].local.count *
                     config->policies[i]->children[k].remote.count;
    }
    for (size_t i = 0; i < config->spd_count; i++)
        pairs += config->spd[i].local.count * config->spd[i].remote.count;
    m.list = calloc(entries + 1, sizeof(*m.list));
    /* gh_esp_selectors() may look at a whole set */
    m.selectors = selectors = calloc(pairs + IPSEC_SELECTORS_MAX, sizeof(*selectors));
    good = m.list != NULL && selectors != NULL && make_policies(&m);
    if (good) {
        gh_esp_spd_free(&esp->spd);
        esp->spd = m.spd;
    } else {
        gh_esp_spd_free(&m.spd);
    }
    free(m.list);
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
