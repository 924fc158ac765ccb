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

static bool is_in(const struct gh_session *s, const char *netns)
{
    return strcmp(s->netns != NULL ? s->netns : "", netns != NULL ? netns : "") == 0;
}

/* All flows of a namespace; to be freed. */
static struct gh_flow *flows_of(const struct gh_parent *p, const char *netns, size_t *count)
{
    struct gh_flow *list = calloc(p->config->session_count + 1, sizeof(*list));

    *count = 0;
    for (size_t i = 0; list != NULL && i < p->config->session_count; i++) {
        const struct gh_session *s = &p->config->sessions[i];
        const struct gh_zone *zone = gh_zones_find(&p->zones, p->session_zones[i]);

        if (is_in(s, netns))
            list[(*count)++] = (struct gh_flow){.vrf = s->vrf,
                                                .queue = zone->number,
                                                .peer = s->peer,
                                                .local = s->local,
                                                .port = s->port};
    }
    return list;
}

static bool install(struct gh_parent *p, const char *netns)
{
    char said[GH_RULES_SAID] = "no memory";
    size_t count;
    struct gh_flow *flows = flows_of(p, netns, &count);
    bool good = flows != NULL && gh_rules_install(p->backend, netns, flows, count, NULL, 0, said);

    if (!good && !p->rules_failed)
        gh_error("namespace %s: cannot install the firewall rules: %s",
                 netns != NULL ? netns : "(own)", said);
    free(flows);
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
            gh_netns_identify(netns, &id) != 0)
            continue;
        if (!gh_rules_remove(before->backend, netns, said))
            gh_warning("namespace %s: cannot remove old rules: %s",
                       netns[0] != '\0' ? netns : "(own)", said);
    }
}

/* Namespaces of the configuration that exist. */
static bool note_current(const struct gh_parent *p, struct gh_rules_note *n)
{
    *n = (struct gh_rules_note){.known = true, .backend = p->backend};
    for (size_t i = 0; i < p->zones.count; i++) {
        const struct gh_zone *zone = p->zones.list[i];
        struct gh_netns_id id;

        if (zone->used && gh_netns_identify(zone->netns, &id) == 0 &&
            !gh_rules_note_add(n, zone->netns))
            return false;
    }
    return true;
}

bool gh_parent_install_rules(struct gh_parent *p)
{
    struct gh_rules_note before = p->note;
    bool good = true;

    if (!p->rules_due)
        return true;
    if (!note_current(p, &p->note)) {
        gh_rules_note_clear(&p->note);
        p->note = before;
        return false;
    }
    if (!gh_rules_note_save(&p->note, p->options->run_directory))
        gh_warning("cannot note in %s where rules are", p->options->run_directory);
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

void gh_parent_restore_rules(void *parent, const char *netns)
{
    struct gh_parent *p = parent;
    uint64_t now = uv_now(&p->loop);

    p->rules_due = true;
    if (p->ao.stopping || now - p->rules_restored < RESTORE_MS)
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
    gh_rules_note_clear(&note);
    return good ? 0 : 1;
}
