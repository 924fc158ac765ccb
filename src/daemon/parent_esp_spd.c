#include "daemon/parent_esp_spd.h"

#include <string.h>

#include "config/alloc.h"
#include "config/ike.h"
#include "daemon/esp_children.h"
#include "daemon/parent_priv.h"

static bool is_here(const struct gh_ike_config *c, const struct gh_parent_place *place,
                    const struct gh_spd_entry *e)
{
    const struct gh_ike_zone *zone = e->zone > 0 ? &c->zones[e->zone - 1] : NULL;

    return gh_config_text_equal(place->netns, zone != NULL ? zone->netns : NULL) &&
           gh_config_text_equal(place->vrf, zone != NULL ? zone->vrf : NULL);
}

static bool meets(const struct ike_ts *ts, const struct gh_prefix *to)
{
    uint8_t last[sizeof(to->addr.octets)];

    if (ts->start.len != to->addr.len)
        return false;
    memcpy(last, to->addr.octets, to->addr.len);
    for (unsigned bit = to->bits; bit < to->addr.len * 8u; bit++)
        last[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    return memcmp(ts->start.octets, last, to->addr.len) <= 0 &&
           memcmp(ts->end.octets, to->addr.octets, to->addr.len) >= 0;
}

bool gh_parent_spd_lets_out(const struct gh_parent *p, const struct gh_parent_place *place,
                            const struct gh_prefix *to)
{
    const struct gh_ike_config *c = p->config->ike;

    for (size_t i = 0; i < c->spd_count; i++) {
        const struct gh_spd_entry *e = &c->spd[i];

        if (e->discard || !e->out || !is_here(c, place, e))
            continue;
        for (size_t k = 0; k < e->remote.count; k++)
            if (meets(&e->remote.ts[k], to))
                return true;
    }
    return false;
}

/* Where the kernel carries children, its policies hold for what leaves, and what it opened comes by
 * the same interface as what came in clear. */
static struct gh_clear_entry rule_of(const struct gh_ike_config *c, const struct gh_spd_entry *e)
{
    bool user, kernel;

    gh_spd_planes(c, e->zone, &user, &kernel);
    return (struct gh_clear_entry){.name = e->name,
                                   .discard = e->discard,
                                   .out = e->out && !kernel,
                                   .in = e->in && !(kernel && e->discard),
                                   .after = e->after};
}

struct gh_clear_entry *gh_parent_spd_rules(const struct gh_parent *p,
                                           const struct gh_parent_place *place, size_t *count,
                                           struct ipsec_selector **selectors)
{
    const struct gh_ike_config *c = p->config->ike;
    struct gh_clear_entry *list;
    size_t pairs = 0, used = 0;

    *count = 0;
    *selectors = NULL;
    if (c->spd_count == 0)
        return NULL;
    for (size_t i = 0; i < c->spd_count; i++)
        pairs += c->spd[i].local.count * c->spd[i].remote.count;
    list = gh_config_alloc(c->spd_count, sizeof(*list));
    /* gh_esp_selectors() may look at a whole set */
    *selectors = gh_config_alloc(pairs + IPSEC_SELECTORS_MAX, sizeof(**selectors));
    for (size_t i = 0; i < c->spd_count; i++) {
        struct gh_clear_entry rule = rule_of(c, &c->spd[i]);

        if (!is_here(c, place, &c->spd[i]))
            continue;
        rule.selectors = *selectors + used;
        rule.selector_count =
            gh_esp_selectors(&c->spd[i].local, &c->spd[i].remote, *selectors + used);
        used += rule.selector_count;
        list[(*count)++] = rule;
    }
    return list;
}

void gh_parent_spd_show(const struct gh_parent *p, const struct gh_parent_place *place,
                        const json_t *counters, json_t *list)
{
    const struct gh_ike_config *c = p->config->ike;

    for (size_t i = 0; i < c->spd_count; i++) {
        const struct gh_clear_entry rule = rule_of(c, &c->spd[i]);
        const bool has[] = {[IPSEC_OUT] = rule.out, [IPSEC_IN] = rule.in};
        json_t *packets[2];

        if (!is_here(c, place, &c->spd[i]))
            continue;
        for (enum ipsec_way way = IPSEC_OUT; way <= IPSEC_IN; way++) {
            char name[GH_CLEAR_COUNTER];
            json_t *found = json_object_get(counters, gh_clear_counter(rule.name, way, name));

            packets[way] = has[way] && found != NULL ? json_incref(found) : json_null();
        }
        json_array_append_new(list, json_pack("{s:s, s:s?, s:s?, s:o, s:o}", "name", rule.name,
                                              "netns", place->netns, "vrf", place->vrf, "out",
                                              packets[IPSEC_OUT], "in", packets[IPSEC_IN]));
    }
}
