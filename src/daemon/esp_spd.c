#include "daemon/esp_spd.h"

#include <stdlib.h>
#include <string.h>

#include "control/answer.h"

void gh_esp_spd_free(struct gh_esp_spd *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->list[i].ts);
    free(s->list);
    *s = (struct gh_esp_spd){.count = 0};
}

/* False: no memory. */
static bool make_room(struct gh_esp_spd *s)
{
    size_t room = s->room * 2 + 16;
    struct gh_esp_entry *more;

    if (s->count < s->room)
        return true;
    more = realloc(s->list, room * sizeof(*more));
    if (more == NULL)
        return false;
    s->list = more;
    s->room = room;
    return true;
}

void gh_esp_spd_add(struct gh_esp_spd *s, const struct gh_esp_entry *entry,
                    const struct ike_ts_list *local, const struct ike_ts_list *remote)
{
    struct gh_esp_entry *e;

    s->failed = s->failed || !make_room(s);
    if (s->failed)
        return;
    e = &s->list[s->count];
    *e = *entry;
    e->local_count = local->count;
    e->remote_count = remote->count;
    e->ts = calloc(local->count + remote->count + 1, sizeof(struct ike_ts));
    s->failed = e->ts == NULL;
    if (s->failed)
        return;
    memcpy(e->ts, local->ts, local->count * sizeof(*e->ts));
    memcpy(e->ts + local->count, remote->ts, remote->count * sizeof(*e->ts));
    s->count++;
}

/* ---- Shown ---------------------------------------------------------------------------------- */

static const char *action_name(enum ipsec_action action)
{
    switch (action) {
    case IPSEC_PASS:
        return "bypass";
    case IPSEC_PROTECT:
        return "protect";
    default:
        return "discard";
    }
}

static json_t *selectors(const struct ike_ts *ts, size_t count)
{
    json_t *list = json_array();
    char text[IKE_TS_TEXT];

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(ike_ts_format(&ts[i], text)));
    return list;
}

static json_t *name_or_null(const char *name)
{
    return gh_json_text(name[0] != '\0' ? name : NULL);
}

static json_t *count_json(bool ours, uint64_t count)
{
    return ours ? json_integer((json_int_t)count) : json_null();
}

static const char *plane_name(const struct gh_esp_entry *e)
{
    return !e->kernel ? "user" : e->user ? "both" : "kernel";
}

static const char *direction_name(const struct gh_esp_entry *e)
{
    return !e->in ? "out" : e->out ? "both" : "in";
}

static const char *mode_name(const struct gh_esp_entry *e)
{
    if (e->action != IPSEC_PROTECT)
        return NULL;
    return e->mode == IKE2_TRANSPORT ? "transport" : "tunnel";
}

static json_t *entry_json(const struct gh_esp_entry *e, size_t order, const struct ipsec *engine,
                          const struct gh_esp_name *policy, const struct gh_esp_name *place)
{
    struct ipsec_policy_counts counts = {0};
    bool ours = ipsec_policy_look(engine, e->at, &counts) && e->user;
    bool protects = e->action == IPSEC_PROTECT;

    return json_pack(
        "{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:s?, s:o, s:o, s:o, s:o, s:o}", "order",
        (json_int_t)order + 1, "action", action_name(e->action), "plane", plane_name(e), "name",
        name_or_null(protects ? "" : policy->second), "peer", name_or_null(policy->first), "child",
        name_or_null(protects ? policy->second : ""), "netns", name_or_null(place->first), "vrf",
        name_or_null(place->second), "direction", direction_name(e), "mode", mode_name(e),
        "local_ts", selectors(e->ts, e->local_count), "remote_ts",
        selectors(e->ts + e->local_count, e->remote_count), "hits", count_json(ours, counts.out),
        "without_sa", count_json(ours && protects, counts.no_sa), "clear_in",
        count_json(ours, counts.in));
}

json_t *gh_esp_spd_json(const struct gh_esp_spd *s, const struct ipsec *engine,
                        const struct gh_esp_names *policies, const struct gh_esp_names *places,
                        const char *peer)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->count; i++) {
        const struct gh_esp_entry *e = &s->list[i];
        const struct gh_esp_name *policy = &policies->list[e->id], *place = &places->list[e->place];

        if (peer == NULL || strcmp(peer, policy->first) == 0)
            json_array_append_new(list, entry_json(e, i, engine, policy, place));
    }
    return list;
}
