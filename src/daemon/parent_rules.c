#include "daemon/parent_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { RESTORE_MS = 1000 };

bool gh_parent_choose_rules(struct gh_parent *p)
{
    char said[GH_RULES_SAID] = "";
    bool good;

    switch (p->config->firewall) {
    case GH_FIREWALL_NFTABLES:
        p->backend = GH_RULES_NFTABLES;
        good = gh_rules_usable(p->backend, said);
        break;
    case GH_FIREWALL_IPTABLES:
        p->backend = GH_RULES_IPTABLES;
        good = gh_rules_usable(p->backend, said);
        break;
    default:
        good = gh_rules_detect(&p->backend, said);
        break;
    }
    if (good)
        gh_info("steering by %s", gh_rules_backend_name(p->backend));
    else
        gh_error("no firewall that can queue: %s", said);
    return good;
}

/* Under the same name, or under another one. */
static bool is_in(const struct gh_zone *zone, const char *netns, const struct gh_netns_id *id)
{
    return strcmp(zone->netns != NULL ? zone->netns : "", netns != NULL ? netns : "") == 0 ||
           (zone->queue >= 0 && gh_netns_same(&zone->id, id));
}

/* All flows of a namespace; to be freed. */
static struct gh_flow *flows_of(const struct gh_parent *p, const char *netns,
                                const struct gh_netns_id *id, size_t *count)
{
    struct gh_flow *list = calloc(p->config->session_count + 1, sizeof(*list));

    *count = 0;
    for (size_t i = 0; list != NULL && i < p->config->session_count; i++) {
        const struct gh_session *s = &p->config->sessions[i];
        const struct gh_zone *zone = gh_zones_find(&p->zones, p->session_zones[i]);

        if (is_in(zone, netns, id))
            list[(*count)++] = (struct gh_flow){.vrf = s->vrf,
                                                .queue = zone->number,
                                                .peer = s->peer,
                                                .local = s->local,
                                                .port = s->port};
    }
    return list;
}

/* All rules of sockets in it; to be freed. */
static struct gh_socket_rule *sockets_of(const struct gh_parent *p, const char *netns,
                                         const struct gh_netns_id *id, size_t *count)
{
    const struct gh_orphans *orphans = gh_orphans_of(&p->orphans, id);
    size_t room = orphans != NULL ? orphans->rule_count : 0;
    struct gh_socket_rule *list;

    for (size_t i = 0; i < p->zones.count; i++)
        room += p->zones.list[i]->rule_count;
    list = calloc(room + 1, sizeof(*list));
    *count = 0;
    for (size_t i = 0; list != NULL && i < p->zones.count; i++) {
        const struct gh_zone *zone = p->zones.list[i];

        if (zone->rule_count == 0 || !is_in(zone, netns, id))
            continue;
        memcpy(list + *count, zone->rules, zone->rule_count * sizeof(*list));
        *count += zone->rule_count;
    }
    if (list != NULL && orphans != NULL && orphans->rule_count > 0) {
        memcpy(list + *count, orphans->rules, orphans->rule_count * sizeof(*list));
        *count += orphans->rule_count;
    }
    return list;
}

static bool install(struct gh_parent *p, const char *netns)
{
    char said[GH_RULES_SAID] = "no memory";
    struct gh_netns_id id = {.inode = 0};
    bool known = gh_netns_identify(netns, &id) == 0;
    size_t count, socket_count;
    struct gh_flow *flows = flows_of(p, netns, &id, &count);
    struct gh_socket_rule *sockets = sockets_of(p, netns, &id, &socket_count);
    bool good = flows != NULL && sockets != NULL &&
                gh_rules_install(p->backend, netns, flows, count, sockets, socket_count, said);

    for (size_t i = 0; i < p->zones.count; i++)
        if (known && gh_netns_same(&p->zones.list[i]->id, &id))
            p->zones.list[i]->rules_due = !good;

    if (!good && !p->rules_failed)
        gh_error("namespace %s: cannot install the firewall rules: %s",
                 netns != NULL ? netns : "(own)", said);
    free(flows);
    free(sockets);
    return good;
}

/* Takes rules away that an earlier configuration, or another firewall program, left. A namespace
 * that is gone took its rules along. */
static void remove_others(const struct gh_parent *p, const struct gh_rules_note *before)
{
    char said[GH_RULES_SAID];

    for (size_t i = 0; i < before->count; i++) {
        const char *netns = before->netns[i];
        struct gh_netns_id id;

        if ((before->backend == p->backend && gh_rules_note_has(&p->note, netns)) ||
            gh_netns_is_own_descriptor(netns) || gh_netns_identify(netns, &id) != 0 ||
            (before->backend == p->backend && gh_rules_note_has_id(&p->note, &id)))
            continue; /* a dynamic zone's go with the zone */
        if (!gh_rules_remove(before->backend, netns, said))
            gh_warning("namespace %s: cannot remove old rules: %s",
                       netns[0] != '\0' ? netns : "(own)", said);
    }
}

static bool note_zones(const struct gh_parent *p, struct gh_rules_note *n, bool dynamic)
{
    for (size_t i = 0; i < p->zones.count; i++) {
        const struct gh_zone *zone = p->zones.list[i];
        struct gh_netns_id id;

        if (zone->dynamic == dynamic && (zone->used || zone->has_rules) &&
            gh_netns_identify(zone->netns, &id) == 0 && !gh_rules_note_has_id(n, &id) &&
            !gh_rules_note_add(n, zone->netns))
            return false;
    }
    return true;
}

/* Namespaces of the configuration that exist, and of programs' sockets; each under one name, and
 * under one of the configuration if it has one. */
static bool note_current(const struct gh_parent *p, struct gh_rules_note *n)
{
    *n = (struct gh_rules_note){.known = true, .backend = p->backend};
    if (!note_zones(p, n, false) || !note_zones(p, n, true))
        return false;
    for (size_t i = 0; i < p->orphans.count; i++) {
        const struct gh_orphans *o = &p->orphans.list[i];

        if (o->netns != NULL && !gh_rules_note_has_id(n, &o->id) && !gh_rules_note_add(n, o->netns))
            return false;
    }
    return true;
}

/* Notes where rules belong now, before any are there; *before is the caller's. False: no memory. */
static bool note_anew(struct gh_parent *p, struct gh_rules_note *before)
{
    struct gh_rules_note next;

    if (!note_current(p, &next)) {
        gh_rules_note_clear(&next);
        return false;
    }
    *before = p->note;
    p->note = next;
    if (!gh_rules_note_save(&p->note, p->options->run_directory))
        gh_warning("cannot note in %s where rules are", p->options->run_directory);
    return true;
}

bool gh_parent_install_rules(struct gh_parent *p)
{
    struct gh_rules_note before;
    bool good = true;

    if (!p->rules_due)
        return true;
    if (!note_anew(p, &before))
        return false;
    for (size_t i = 0; i < p->note.count; i++) {
        const char *netns = p->note.netns[i];

        good = install(p, netns[0] != '\0' ? netns : NULL) && good;
    }
    if (before.known)
        remove_others(p, &before);
    gh_rules_note_clear(&before);
    gh_rules_guard_set(p->guard, &p->note);
    p->rules_due = !good;
    p->rules_failed = !good;
    return good;
}

bool gh_parent_has_other_rules(const struct gh_parent *p, const struct gh_zone *zone)
{
    for (size_t i = 0; i < p->zones.count; i++) {
        const struct gh_zone *other = p->zones.list[i];

        if (other != zone && (other->used || other->has_rules) && other->queue >= 0 &&
            gh_netns_same(&other->id, &zone->id))
            return true;
    }
    return false;
}

/* The name under which a namespace's rules are noted, or NULL. */
static const char *noted(const struct gh_parent *p, const struct gh_netns_id *id)
{
    for (size_t i = 0; i < p->note.count; i++) {
        struct gh_netns_id its;

        if (gh_netns_identify(p->note.netns[i], &its) == 0 && gh_netns_same(&its, id))
            return p->note.netns[i];
    }
    return NULL;
}

/* The first rules of a namespace's sockets: those of others stay as they are. */
static const char *note_one_more(struct gh_parent *p, const struct gh_netns_id *id)
{
    struct gh_rules_note before;

    if (!note_anew(p, &before))
        return NULL;
    gh_rules_note_clear(&before);
    return noted(p, id);
}

bool gh_parent_install_zone(struct gh_parent *p, struct gh_zone *zone)
{
    const char *name;

    if (p->rules_due) {
        gh_parent_install_rules(p);
        return !zone->rules_due;
    }
    name = noted(p, &zone->id);
    if (name == NULL)
        name = note_one_more(p, &zone->id);
    if (name == NULL || !install(p, name[0] != '\0' ? name : NULL)) {
        p->rules_due = p->rules_failed = true;
        return false;
    }
    gh_rules_guard_replaced(p->guard, name);
    return true;
}

void gh_parent_restore_rules(void *parent, const char *netns)
{
    struct gh_parent *p = parent;
    uint64_t now = uv_now(&p->loop);

    p->rules_due = true;
    if (p->stopping || now - p->rules_restored < RESTORE_MS)
        return;
    p->rules_restored = now;
    gh_warning("namespace %s: somebody removed firewall rules; they are installed again",
               netns[0] != '\0' ? netns : "(own)");
    gh_parent_install_rules(p);
}

int gh_parent_remove_rules(const char *run_directory)
{
    struct gh_rules_note note = {.known = false};
    char said[GH_RULES_SAID], path[GH_PATH];
    int lock = gh_rundir_lock(run_directory);
    bool good = lock >= 0;

    if (!good)
        return 1;
    gh_rules_note_load(&note, run_directory);
    if (!note.known)
        gh_notice("no rules of an earlier instance are known");
    for (size_t i = 0; i < note.count; i++) {
        struct gh_netns_id id;

        if (gh_netns_identify(note.netns[i], &id) != 0)
            continue;
        if (!gh_rules_remove(note.backend, note.netns[i], said)) {
            gh_error("namespace %s: %s", note.netns[i][0] != '\0' ? note.netns[i] : "(own)", said);
            good = false;
        }
    }
    if (good && gh_rundir_path(run_directory, "rules", path))
        remove(path);
    good = gh_parent_esp_remove_routes(run_directory) && good;
    gh_rules_note_clear(&note);
    return good ? 0 : 1;
}
