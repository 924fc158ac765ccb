#include "config/spd.h"

#include <stdlib.h>

#include "config/ike.h"
#include "config/ike_wire.h"

enum { ENTRY_MIN = 12 };

void gh_spd_put(struct gh_wr *w, const struct gh_spd_entry *list, size_t count)
{
    gh_wr_u16(w, count);
    for (size_t i = 0; i < count; i++) {
        const struct gh_spd_entry *e = &list[i];

        gh_put_text(w, e->name);
        gh_wr_u16(w, e->zone);
        gh_wr_u8(w, e->discard);
        gh_wr_u8(w, e->out);
        gh_wr_u8(w, e->in);
        gh_wr_u8(w, e->after);
        gh_ike_put_selectors(w, &e->local);
        gh_ike_put_selectors(w, &e->remote);
    }
}

static void get_entry(struct gh_rd *r, size_t zones, struct gh_spd_entry *e)
{
    e->name = gh_get_text(r, true);
    e->zone = (uint16_t)gh_get_below(r, gh_rd_u16(r), zones + 1);
    e->discard = gh_get_flag(r);
    e->out = gh_get_flag(r);
    e->in = gh_get_flag(r);
    e->after = gh_get_flag(r);
    gh_ike_get_selectors(r, &e->local);
    gh_ike_get_selectors(r, &e->remote);
    if (!e->out && !e->in)
        r->bad = true;
}

void gh_spd_get(struct gh_rd *r, size_t zones, struct gh_spd_entry **list, size_t *count)
{
    size_t n = gh_get_below(r, gh_rd_u16(r), GH_SPD_ENTRIES + 1);

    *count = 0;
    *list = gh_get_array(r, n, ENTRY_MIN, sizeof(**list));
    while (!r->bad && *count < n)
        get_entry(r, zones, &(*list)[(*count)++]);
}

void gh_spd_planes(const struct gh_ike_config *c, uint16_t zone, bool *user, bool *kernel)
{
    *user = *kernel = false;
    for (size_t i = 0; i < c->policy_count; i++) {
        const struct ike2_policy *p = c->policies[i];

        if ((p->private_zone > 0 ? p->private_zone : p->zone) != zone)
            continue;
        for (size_t k = 0; k < p->child_count; k++) {
            *kernel |= p->children[k].kernel;
            *user |= p->children[k].mode != IKE2_TCP_AO && !p->children[k].kernel;
        }
    }
}

void gh_spd_free(struct gh_spd_entry *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i].name);
    free(list);
}
