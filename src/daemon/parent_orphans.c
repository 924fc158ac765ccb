/* Sockets with keys of their own over the end of the daemon: what concerns them stays shut out
 * until they are gone (orphans.h). */
#include "daemon/parent_priv.h"

#include <string.h>

#include "base/log.h"
#include "platform/socket_watch.h"

/* The name by which a namespace is known to the next instance: NULL for one that only descriptors
 * of ours name. Its rules stay there as they are. */
static const char *lasting_name(const struct gh_zone *zone)
{
    if (zone->netns == NULL)
        return "";
    return gh_netns_is_own_descriptor(zone->netns) ? NULL : zone->netns;
}

static bool add_zone(const struct gh_parent *p, const struct gh_zone *zone,
                     struct gh_orphan_list *list)
{
    struct gh_orphans *o = gh_orphans_of(list, &zone->id);

    if (o == NULL)
        o = gh_orphans_add(list, &zone->id, lasting_name(zone));
    for (size_t i = 0; o != NULL && i < p->watches.count; i++)
        if (p->watches.list[i].zone == zone->index &&
            !gh_orphans_add_cookie(o, p->watches.list[i].cookie))
            return false;
    for (size_t i = 0; o != NULL && i < zone->rule_count; i++)
        if (zone->rules[i].kind == GH_RULE_QUEUE && !gh_orphans_add_rule(o, &zone->rules[i]))
            return false;
    return o != NULL;
}

static bool has_queue_rules(const struct gh_zone *zone)
{
    for (size_t i = 0; i < zone->rule_count; i++)
        if (zone->rules[i].kind == GH_RULE_QUEUE)
            return true;
    return false;
}

static bool add_earlier(const struct gh_orphans *from, struct gh_orphan_list *list)
{
    struct gh_orphans *o = gh_orphans_of(list, &from->id);

    if (o == NULL)
        o = gh_orphans_add(list, &from->id, from->netns);
    for (size_t i = 0; o != NULL && i < from->cookie_count; i++)
        if (!gh_orphans_add_cookie(o, from->cookies[i]))
            return false;
    for (size_t i = 0; o != NULL && i < from->rule_count; i++)
        if (!gh_orphans_add_rule(o, &from->rules[i]))
            return false;
    return o != NULL;
}

void gh_parent_save_orphans(struct gh_parent *p)
{
    struct gh_orphan_list list = {.list = NULL};
    bool good = true;

    if (!p->orphans_changed)
        return;
    for (size_t i = 0; i < p->orphans.count; i++)
        good = add_earlier(&p->orphans.list[i], &list) && good;
    for (size_t i = 0; i < p->zones.count; i++)
        if (has_queue_rules(p->zones.list[i]))
            good = add_zone(p, p->zones.list[i], &list) && good;
    if (good && gh_orphans_save(&list, p->options->run_directory))
        p->orphans_changed = false;
    gh_orphans_clear(&list);
}

void gh_parent_load_orphans(struct gh_parent *p)
{
    gh_orphans_load(&p->orphans, p->options->run_directory);
    for (size_t i = p->orphans.count; i > 0; i--) {
        struct gh_orphans *o = &p->orphans.list[i - 1];
        struct gh_netns_id id;

        if (o->rule_count == 0 || (o->netns != NULL && (gh_netns_identify(o->netns, &id) != 0 ||
                                                        !gh_netns_same(&id, &o->id))))
            gh_orphans_drop(&p->orphans, o);
    }
    if (p->orphans.count > 0)
        gh_notice("programs' sockets with keys of their own may live on without them: what "
                  "concerns them is dropped until they are gone; restart these programs");
    p->rules_due = p->rules_due || p->orphans.count > 0;
}

/* ---- Are they still there? ------------------------------------------------------------------ */

static void on_there(void *ctx, uint64_t cookie)
{
    struct gh_orphans *o = ctx;

    for (size_t i = 0; i < o->cookie_count && !o->there; i++)
        o->there = o->cookies[i] == cookie;
}

/* How to get there now, or false. */
static bool find_name(const struct gh_parent *p, const struct gh_orphans *o, const char **netns)
{
    *netns = o->netns;
    for (size_t i = 0; o->netns == NULL && i < p->zones.count; i++) {
        const struct gh_zone *zone = p->zones.list[i];

        if (zone->queue >= 0 && gh_netns_same(&zone->id, &o->id)) {
            *netns = zone->netns;
            return true;
        }
    }
    return o->netns != NULL;
}

void gh_parent_look_after_orphans(struct gh_parent *p)
{
    for (size_t i = p->orphans.count; i > 0; i--) {
        struct gh_orphans *o = &p->orphans.list[i - 1];
        const char *netns;

        o->there = false;
        if (!find_name(p, o, &netns) || gh_socket_watch_list(netns, on_there, o) != 0)
            continue;
        o->missing = o->there ? 0 : o->missing + 1;
        if (o->missing < GH_ORPHANS_MISSING)
            continue;
        gh_notice("namespace %s: the programs' sockets of before are gone; their ports are open "
                  "again",
                  netns != NULL && netns[0] != '\0' ? netns : "(own)");
        gh_orphans_drop(&p->orphans, o);
        p->orphans_changed = p->rules_due = true;
    }
}
