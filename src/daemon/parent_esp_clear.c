/*
 * What comes in clear although a tunnel is for it (platform/unprotected.h): its firewall rules in
 * each namespace, made again when somebody takes them away, and how much that was.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config/alloc.h"
#include "config/ike.h"
#include "control/control.h"
#include "daemon/parent_esp_spd.h"
#include "daemon/parent_priv.h"
#include "platform/rules_watch.h"
#include "platform/unprotected.h"

struct gh_esp_clear {
    uv_poll_t poll; /* first: closing frees it */
    struct gh_parent *parent;
    struct gh_parent_place *place;
    int fd; /* hears of changes */
};

static bool collect(void *ctx, struct gh_parent_place *place, const struct ike2_policy *policy,
                    const struct ike2_child_policy *child)
{
    struct gh_unprotected_range **list = ctx;
    size_t *count = &place->esp.clear_ranges;

    for (size_t i = 0; i < child->local.count; i++) {
        *list = gh_config_grow(*list, *count, sizeof(**list));
        (*list)[(*count)++] =
            (struct gh_unprotected_range){child->local.ts[i].start, child->local.ts[i].end};
    }
    return false;
}

static bool install(const struct gh_parent *p, struct gh_parent_place *place,
                    char said[GH_RULES_SAID])
{
    struct gh_unprotected_range *list = NULL;
    struct ipsec_selector *selectors;
    size_t count;
    struct gh_clear_entry *entries = gh_parent_spd_rules(p, place, &count, &selectors);
    bool good;

    place->esp.clear_ranges = 0;
    if (!p->config->ike->settings.pass_unprotected)
        gh_parent_esp_each_child(p, place, collect, &list);
    good =
        gh_unprotected_install(place->netns, list, place->esp.clear_ranges, entries, count, said);
    free(list);
    free(entries);
    free(selectors);
    return good;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void forget(struct gh_parent_place *place)
{
    struct gh_esp_clear *clear = place->esp.clear;

    place->esp.clear = NULL;
    if (clear == NULL)
        return;
    uv_poll_stop(&clear->poll);
    uv_close((uv_handle_t *)&clear->poll, on_closed);
    close(clear->fd);
}

static void on_heard(uv_poll_t *poll, int status, int events)
{
    struct gh_esp_clear *clear = (struct gh_esp_clear *)poll;

    if (!gh_rules_watch_read_table(clear->fd, "gatehouse-ipsec"))
        return;
    gh_warning("somebody removed the firewall rules against what should be protected; they are "
               "installed again");
    gh_parent_esp_clear_follow(clear->parent, clear->place);
}

static void watch(struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_esp_clear *clear = place->esp.clear;
    int fd;

    if (clear != NULL) { /* what it has heard was we */
        gh_rules_watch_read_table(clear->fd, "gatehouse-ipsec");
        return;
    }
    fd = gh_rules_watch_open(place->netns);
    clear = calloc(1, sizeof(*clear));
    if (clear == NULL || fd < 0 || uv_poll_init(&p->loop, &clear->poll, fd) != 0) {
        free(clear);
        if (fd >= 0)
            close(fd);
        return;
    }
    clear->parent = p;
    clear->place = place;
    clear->fd = fd;
    place->esp.clear = clear;
    uv_poll_start(&clear->poll, UV_READABLE, on_heard);
}

void gh_parent_esp_clear_follow(struct gh_parent *p, struct gh_parent_place *place)
{
    char said[GH_RULES_SAID] = "";
    bool failed = place->esp.clear_failed;

    if (place->vrf != NULL)
        return;
    if (p->config->ike->settings.pass_unprotected && p->config->ike->spd_count == 0) {
        gh_parent_esp_clear_leave(place);
        return;
    }
    place->esp.clear_failed = !install(p, place, said);
    if (!place->esp.clear_failed)
        watch(p, place);
    else if (!failed)
        gh_warning("what comes in clear although a tunnel is for it is not dropped, nor what an "
                   "ipsec-policy discards beside tunnels: %s",
                   said);
}

void gh_parent_esp_clear_leave(struct gh_parent_place *place)
{
    char said[GH_RULES_SAID];

    if (place->vrf != NULL)
        return;
    forget(place);
    gh_unprotected_remove(place->netns, said);
}

/* ---- How much ------------------------------------------------------------------------------- */

/* Also what entries of the SPD counted, into `entries`. */
static json_t *count_of(const struct gh_parent *p, const struct gh_parent_place *place,
                        json_t *entries)
{
    static char text[GH_UNPROTECTED_JSON];
    json_t *answer = gh_unprotected_read(place->netns, text) ? json_loads(text, 0, NULL) : NULL;
    json_t *list = json_object_get(answer, "nftables"), *item, *object, *all = json_object();
    size_t i;

    object = json_pack("{s:s?, s:n, s:n}", "netns", place->netns, "packets", "octets");
    json_array_foreach(list, i, item)
    {
        json_t *counter = json_object_get(item, "counter");

        const char *name = json_string_value(json_object_get(counter, "name"));

        if (name == NULL)
            continue;
        json_object_set(all, name, json_object_get(counter, "packets"));
        if (strcmp(name, "unprotected") != 0)
            continue;
        json_object_set(object, "packets", json_object_get(counter, "packets"));
        json_object_set(object, "octets", json_object_get(counter, "bytes"));
    }
    gh_parent_spd_show(p, place, all, entries);
    json_decref(all);
    json_decref(answer);
    return object;
}

json_t *gh_parent_esp_clear_show(const struct gh_parent *p)
{
    json_t *list = json_array(), *entries = json_array();

    for (size_t i = 0; i < p->ike.place_count; i++)
        if (p->ike.places[i]->vrf == NULL)
            json_array_append_new(list, count_of(p, p->ike.places[i], entries));
    return json_pack("{s:b, s:b, s:o, s:o}", "ok", 1, "drop",
                     !p->config->ike->settings.pass_unprotected, "namespaces", list, "policies",
                     entries);
}
