/*
 * `workers` of `ike { … }` and `tunnel-group NAME { … }`: how many processes carry packets, how
 * many stand by, and which peers are theirs.
 */
#include <string.h>
#include <unistd.h>

#include "config/alloc.h"
#include "config/ike_load_peer.h"
#include "config/ike_slots.h"

enum { GROUP_ACTIVE, GROUP_BACKUP, GROUP_DESCRIPTION, GROUP_ITEMS };

static const struct gh_item group_items[GROUP_ITEMS] = {
    [GROUP_ACTIVE] = {"active", GH_ITEM_VALUE},
    [GROUP_BACKUP] = {"backup", GH_ITEM_VALUE},
    [GROUP_DESCRIPTION] = {"description", GH_ITEM_VALUE},
};

static struct gh_tunnel_group *add(struct gh_ike_config *c, const char *name, int line)
{
    c->groups = gh_config_grow(c->groups, c->group_count, sizeof(*c->groups));
    c->groups[c->group_count] =
        (struct gh_tunnel_group){.name = gh_config_strdup(name), .active = 1, .line = line};
    return &c->groups[c->group_count++];
}

void gh_ike_default_group(struct gh_ike_loader *x)
{
    add(x->ike, GH_DEFAULT_GROUP, 0);
}

void gh_load_ike_workers(struct gh_ike_loader *x, const struct gh_node *n,
                         struct gh_tunnel_group *g)
{
    uint32_t v;
    long processors;

    if (n == NULL)
        return;
    if (strcmp(n->values[0], "auto") == 0) {
        processors = sysconf(_SC_NPROCESSORS_ONLN);
        g->active = (uint8_t)(processors < 1          ? 1
                              : processors < GH_SLOTS ? processors
                                                      : (long)GH_SLOTS);
        g->automatic = true;
    } else if (n->values[0][0] < '0' || n->values[0][0] > '9') {
        gh_load_error(x->l, n->line, "range", "write a number from 1 to 16, or auto",
                      "\"%s\" is no number of processes", n->values[0]);
    } else if (gh_ike_u32(x, n, 1, GH_SLOTS, &v)) {
        g->active = (uint8_t)v;
        g->automatic = false;
    }
}

/* A section may write the default group down; `workers` and `active` are the same of it. */
void gh_load_ike_group(struct gh_ike_loader *x, const struct gh_node *section)
{
    const struct gh_node *got[GROUP_ITEMS];
    struct gh_ike_config *c = x->ike;
    const char *name = gh_ike_name(x, section), *text;
    struct gh_tunnel_group *g = &c->groups[0];
    bool standard = strcmp(name, GH_DEFAULT_GROUP) == 0;
    uint32_t v;

    gh_items_collect(x->l, section, group_items, GROUP_ITEMS, got);
    gh_ike_define(x, "tunnel-group", name, section->line, standard ? 0 : c->group_count);
    c->definitions[c->definition_count - 1].used = true;
    if (!standard)
        g = add(c, name, section->line);
    else
        g->line = section->line;
    gh_node_text(x->l, got[GROUP_DESCRIPTION], GH_IKE_DESCRIPTION_MAX, &text);
    if (standard && got[GROUP_ACTIVE] != NULL && (g->automatic || g->active > 1))
        gh_load_error(x->l, got[GROUP_ACTIVE]->line, "duplicate", "write one of the two",
                      "\"workers\" says already how many processes the group \"%s\" has", name);
    gh_load_ike_workers(x, got[GROUP_ACTIVE], g);
    if (gh_ike_u32(x, got[GROUP_BACKUP], 0, GH_SPARES, &v))
        g->backup = (uint8_t)v;
}

void gh_load_ike_peer_group(struct gh_ike_loader *x, const struct gh_node *n,
                            const struct ike2_policy *p, struct gh_ike_place *place)
{
    if (n == NULL)
        return;
    if (strcmp(n->values[0], GH_DEFAULT_GROUP) == 0)
        place->group = 0;
    else if (!gh_ike_refer_option(x, n, "tunnel-group", &place->group))
        return;
    if (place->group > 0 && p->plane != IKE2_PLANE_USER)
        gh_load_error(x->l, n->line, "range", "write dataplane = user, or leave it out",
                      "the packets of \"%s\" may be the kernel's, and no process of a tunnel group "
                      "has those",
                      p->name);
}

static void check_tunnels(struct gh_ike_loader *x)
{
    const struct gh_ike_config *c = x->ike;

    for (size_t i = 0; i < c->policy_count; i++)
        for (size_t k = 0; c->places[i].group > 0 && k < c->tunnel_count; k++)
            if (gh_config_text_equal(c->tunnels[k].peer, c->policies[i]->name))
                gh_load_error(x->l, c->places[i].line, "range",
                              "leave \"tunnel-group\" out, or name the default group",
                              "\"%s\" protects the tunnel \"%s\", and all such peers are in the "
                              "first slot of the default group",
                              c->policies[i]->name, c->tunnels[k].name);
}

/* The machine's processors give way to what is written. */
static void number_slots(struct gh_ike_loader *x)
{
    struct gh_ike_config *c = x->ike;
    size_t slots = 0, spares = 0, written = 0;
    int line = 0;

    for (size_t i = 0; i < c->group_count; i++) {
        written += c->groups[i].automatic ? 1 : c->groups[i].active;
        spares += c->groups[i].backup;
        if (c->groups[i].line > 0)
            line = c->groups[i].line;
    }
    if (written > GH_SLOTS)
        gh_load_error(x->l, line, "range", "give the groups fewer",
                      "the groups have %zu active processes in all, and %d are possible", written,
                      (int)GH_SLOTS);
    if (spares > GH_SPARES)
        gh_load_error(x->l, line, "range", "give the groups fewer",
                      "the groups have %zu processes in reserve in all, and %d are possible",
                      spares, (int)GH_SPARES);
    for (size_t i = 0; i < c->group_count; i++) {
        struct gh_tunnel_group *g = &c->groups[i];

        if (g->automatic && g->active > 1) {
            size_t room = written < GH_SLOTS ? GH_SLOTS - written + 1 : 1;

            if (g->active > room)
                g->active = (uint8_t)room;
            written += g->active - 1u;
        }
        g->first = (uint8_t)slots;
        slots += g->active;
    }
}

void gh_check_ike_groups(struct gh_ike_loader *x)
{
    struct gh_ike_config *c = x->ike;
    size_t a, b;

    check_tunnels(x);
    number_slots(x);
    if (x->l->problems->errors == 0 && !gh_ike_assign_slots(c, NULL, &a, &b))
        gh_load_error(x->l, c->places[b].line, "tunnel-group-overlap",
                      "put both into one group, or make their networks disjoint",
                      "\"%s\" and \"%s\" (line %d) are in different tunnel groups, but have "
                      "addresses of the other side in common",
                      c->policies[b]->name, c->policies[a]->name, c->places[a].line);
}
