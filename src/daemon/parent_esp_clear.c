/*
 * What comes in clear although a tunnel is for it (platform/unprotected.h): the firewall rules of
 * each namespace, for all places there, made again when somebody takes them away, and how much that
 * was.
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
#include "platform/tun.h"
#include "platform/unprotected.h"

/* A namespace with rules, or where there should be some. */
struct gh_esp_clear {
    struct gh_esp_clear *next;
    char *netns; /* or NULL */
    bool due;
    bool failed, vrfs_failed; /* the last time */
    uv_poll_t *poll;          /* of fd, which hears of changes; NULL: nobody listens */
    int fd;
};

/* ---- What the rules of a place are ---------------------------------------------------------- */

struct place_rules {
    struct gh_clear_place place;
    struct gh_unprotected_range *ours, *theirs;
    char names[GH_SLOTS][GH_TUN_NAME];
    const char *devices[GH_SLOTS];
    struct gh_clear_entry *entries;
    struct ipsec_selector *selectors;
};

static void add(struct gh_unprotected_range **list, size_t *count, const struct ike_ts_list *from)
{
    for (size_t i = 0; i < from->count; i++) {
        *list = gh_config_grow(*list, *count, sizeof(**list));
        (*list)[(*count)++] = (struct gh_unprotected_range){from->ts[i].start, from->ts[i].end};
    }
}

static bool collect(void *ctx, struct gh_parent_place *place, const struct ike2_policy *policy,
                    const struct ike2_child_policy *child)
{
    struct place_rules *x = ctx;

    add(&x->ours, &x->place.our_count, &child->local);
    add(&x->theirs, &x->place.their_count, &child->remote);
    return false;
}

static void make_rules(const struct gh_parent *p, struct gh_parent_place *place,
                       struct place_rules *x)
{
    x->place.vrf = place->vrf;
    x->entries = gh_parent_spd_rules(p, place, &x->place.entry_count, &x->selectors);
    x->place.entries = x->entries;
    if (!p->config->ike->settings.pass_unprotected)
        gh_parent_esp_each_child(p, place, collect, x);
    x->place.ours = x->ours;
    x->place.theirs = x->theirs;
    x->place.devices = x->devices;
    x->place.members = (const char(*)[GH_PATHS_NAME])place->vrfs.members;
    x->place.member_count = place->vrfs.member_count;
    for (size_t i = 0; i < p->esp.slot_count; i++) {
        char *name = x->names[x->place.device_count];

        if (gh_tun_name(place->netns, place->esp.shares[i].ifindex, name))
            x->devices[x->place.device_count++] = name;
    }
}

static void free_rules(struct place_rules *x)
{
    free(x->ours);
    free(x->theirs);
    free(x->entries);
    free(x->selectors);
}

/* ---- The rules of a namespace --------------------------------------------------------------- */

static bool is_at(const struct gh_parent_place *place, const struct gh_esp_clear *c)
{
    return place->esp.guarded && gh_config_text_equal(place->netns, c->netns);
}

static bool install(const struct gh_parent *p, const struct gh_esp_clear *c, bool vrfs,
                    char said[GH_RULES_SAID])
{
    struct place_rules *list = gh_config_alloc(p->ike.place_count, sizeof(*list));
    struct gh_clear_place *places = gh_config_alloc(p->ike.place_count, sizeof(*places));
    size_t count = 0;
    bool good;

    for (size_t i = 0; i < p->ike.place_count; i++) {
        struct gh_parent_place *place = p->ike.places[i];

        if (!is_at(place, c) || (!vrfs && place->vrf != NULL))
            continue;
        make_rules(p, place, &list[count]);
        places[count] = list[count].place;
        count++;
    }
    good = gh_unprotected_install(c->netns, places, count, said);
    for (size_t i = 0; i < count; i++)
        free_rules(&list[i]);
    free(list);
    free(places);
    return good;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void deafen(struct gh_esp_clear *c)
{
    if (c->poll == NULL)
        return;
    uv_poll_stop(c->poll);
    uv_close((uv_handle_t *)c->poll, on_closed);
    close(c->fd);
    c->poll = NULL;
}

static void on_heard(uv_poll_t *poll, int status, int events)
{
    struct gh_parent *p = poll->data;

    for (struct gh_esp_clear *c = p->esp.clear; c != NULL; c = c->next) {
        if (c->poll != poll || !gh_rules_watch_read_table(c->fd, "gatehouse-ipsec"))
            continue;
        gh_warning("somebody removed the firewall rules against what should be protected; they are "
                   "installed again");
        c->due = true;
    }
    gh_parent_esp_clear_tend(p);
}

static void listen_to(struct gh_parent *p, struct gh_esp_clear *c)
{
    if (c->poll != NULL) { /* what it has heard was we */
        gh_rules_watch_read_table(c->fd, "gatehouse-ipsec");
        return;
    }
    c->fd = gh_rules_watch_open(c->netns);
    c->poll = calloc(1, sizeof(*c->poll));
    if (c->poll == NULL || c->fd < 0 || uv_poll_init(&p->loop, c->poll, c->fd) != 0) {
        free(c->poll);
        c->poll = NULL;
        if (c->fd >= 0)
            close(c->fd);
        return;
    }
    c->poll->data = p;
    uv_poll_start(c->poll, UV_READABLE, on_heard);
}

static void remove_rules(struct gh_esp_clear *c)
{
    char said[GH_RULES_SAID];

    deafen(c);
    gh_unprotected_remove(c->netns, said);
}

/* What a VRF's rules want, older kernels have not: then the others are there at least. */
static void make(struct gh_parent *p, struct gh_esp_clear *c, bool vrfs)
{
    char said[GH_RULES_SAID] = "", said_of_vrfs[GH_RULES_SAID] = "";
    bool failed = c->failed, vrfs_failed = c->vrfs_failed, placed;

    c->vrfs_failed = vrfs && !install(p, c, true, said_of_vrfs);
    placed = !c->vrfs_failed;
    c->failed = (!vrfs || c->vrfs_failed) && !install(p, c, false, said);
    if (vrfs && placed && !gh_unprotected_knows_vrfs()) {
        c->vrfs_failed = true;
        (void)snprintf(said_of_vrfs, sizeof(said_of_vrfs), "Linux does so from 6.1 on");
    }
    if (!c->failed)
        listen_to(p, c);
    if (c->failed && !failed)
        gh_warning("what comes in clear although a tunnel is for it is not dropped, nor what an "
                   "ipsec-policy discards beside tunnels: %s",
                   said);
    else if (!c->failed && c->vrfs_failed && !vrfs_failed)
        gh_warning("in VRFs, what comes in clear although a tunnel is for it is not dropped%s: %s",
                   placed ? "" : ", nor what an ipsec-policy discards beside tunnels",
                   said_of_vrfs);
}

static void follow(struct gh_parent *p, struct gh_esp_clear *c)
{
    const struct gh_ike_config *config = p->config != NULL ? p->config->ike : NULL;
    bool any = false, vrfs = false;

    for (size_t i = 0; i < p->ike.place_count; i++) {
        bool here = is_at(p->ike.places[i], c);

        any |= here;
        vrfs |= here && p->ike.places[i]->vrf != NULL;
    }
    if (!any || !p->esp.wanted || config == NULL ||
        (config->settings.pass_unprotected && config->spd_count == 0))
        remove_rules(c);
    else
        make(p, c, vrfs);
}

void gh_parent_esp_clear_tend(struct gh_parent *p)
{
    for (struct gh_esp_clear *c = p->esp.clear; c != NULL; c = c->next) {
        if (!c->due)
            continue;
        c->due = false;
        follow(p, c);
    }
}

/* They are few, and stay. */
static struct gh_esp_clear *clear_of(struct gh_parent *p, const char *netns)
{
    struct gh_esp_clear *c = p->esp.clear;

    while (c != NULL && !gh_config_text_equal(c->netns, netns))
        c = c->next;
    if (c != NULL)
        return c;
    c = gh_config_alloc(1, sizeof(*c));
    *c = (struct gh_esp_clear){
        .next = p->esp.clear, .netns = netns != NULL ? gh_config_strdup(netns) : NULL, .fd = -1};
    p->esp.clear = c;
    return c;
}

void gh_parent_esp_clear_follow(struct gh_parent *p, struct gh_parent_place *place)
{
    place->esp.guarded = true;
    clear_of(p, place->netns)->due = true;
}

void gh_parent_esp_clear_leave(struct gh_parent *p, struct gh_parent_place *place)
{
    place->esp.guarded = false;
    clear_of(p, place->netns)->due = true;
    gh_parent_esp_clear_tend(p);
}

/* ---- How much ------------------------------------------------------------------------------- */

/* Also what entries of the SPD counted, into `entries`. */
static json_t *count_of(const struct gh_parent *p, const struct gh_parent_place *place,
                        json_t *entries)
{
    static char text[GH_UNPROTECTED_JSON];
    char dropped[GH_CLEAR_COUNTER];
    json_t *answer = gh_unprotected_read(place->netns, text) ? json_loads(text, 0, NULL) : NULL;
    json_t *list = json_object_get(answer, "nftables"), *item, *object, *all = json_object();
    size_t i;

    gh_unprotected_counter(place->vrf, dropped);
    object = json_pack("{s:s?, s:s?, s:n, s:n}", "netns", place->netns, "vrf", place->vrf,
                       "packets", "octets");
    json_array_foreach(list, i, item)
    {
        json_t *counter = json_object_get(item, "counter");
        const char *name = json_string_value(json_object_get(counter, "name"));

        if (name == NULL)
            continue;
        json_object_set(all, name, json_object_get(counter, "packets"));
        if (strcmp(name, dropped) != 0)
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
        json_array_append_new(list, count_of(p, p->ike.places[i], entries));
    return json_pack("{s:b, s:b, s:o, s:o}", "ok", 1, "drop",
                     !p->config->ike->settings.pass_unprotected, "namespaces", list, "policies",
                     entries);
}
