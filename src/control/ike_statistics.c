/* show-ike-statistics: how fast SAs come up, and why others do not. */
#include "control/ike_parts.h"

#include <stdio.h>
#include <string.h>

const char *gh_ike_udp_count_name(enum gh_ike_udp_count c)
{
    static const char *const names[] = {
#define GH_IKE_UDP_NAME(id, name) name,
        GH_IKE_UDP_COUNTS(GH_IKE_UDP_NAME)
#undef GH_IKE_UDP_NAME
    };

    return (unsigned)c < GH_IKE_UDP_COUNT ? names[c] : "?";
}

static json_t *counters_json(const uint64_t *counters)
{
    json_t *o = json_object();

    for (unsigned i = 0; i < IKE2_COUNT_COUNT; i++)
        json_object_set_new(o, ike2_count_name(i), json_integer((json_int_t)counters[i]));
    return o;
}

static json_t *udp_json(const uint64_t *counters)
{
    json_t *o = json_object();

    for (unsigned i = 0; i < GH_IKE_UDP_COUNT; i++)
        json_object_set_new(o, gh_ike_udp_count_name(i), json_integer((json_int_t)counters[i]));
    return o;
}

/* Those that have happened. */
static json_t *failures_json(const struct ike2 *core)
{
    const uint64_t *counters = ike2_counters(core);
    json_t *list = json_array();

    for (unsigned i = 0; i < IKE2_COUNT_COUNT; i++) {
        int64_t when = 0;
        const char *text;

        if (!gh_ike_count_is_failure(i) || counters[i] == 0)
            continue;
        text = ike2_last_failure(core, i, &when);
        json_array_append_new(list, json_pack("{s:s, s:I, s:o, s:o}", "reason", ike2_count_name(i),
                                              "count", (json_int_t)counters[i], "time",
                                              gh_json_past(when), "text", gh_json_text(text)));
    }
    return list;
}

static void count_state(void *ctx, const struct ike2_sa_view *v)
{
    json_int_t *counts = ctx;

    counts[v->state]++;
}

static json_t *states_json(const struct ike2 *core)
{
    json_int_t counts[IKE2_STATE_COUNT] = {0};
    json_t *o = json_object();

    ike2_each_sa(core, count_state, counts);
    for (unsigned i = 0; i < IKE2_STATE_COUNT; i++)
        if (i != IKE2_STATE_DEAD)
            json_object_set_new(o, ike2_state_name(i), json_integer(counts[i]));
    return o;
}

static json_t *rates_json(const struct gh_ike_notes *notes, struct gh_now now)
{
    return json_pack("{s:i, s:i, s:i}", "last_second", (int)gh_ike_notes_rate(notes, now, 1),
                     "last_10_seconds", (int)gh_ike_notes_rate(notes, now, 10), "last_60_seconds",
                     (int)gh_ike_notes_rate(notes, now, 60));
}

static json_t *sockets_json(const struct gh_ike_view *view)
{
    json_t *list = json_array();

    for (size_t i = 0; i < view->socket_count; i++) {
        const struct gh_ike_socket_view *s = &view->sockets[i];

        json_t *o =
            json_pack("{s:i, s:s, s:b, s:o}", "port", (int)s->port, "family",
                      s->v6 ? "ipv6" : "ipv4", "open", s->open, "error",
                      s->open || s->error == 0 ? json_null() : gh_json_text(strerror(s->error)));

        gh_ike_put_place(view, s->zone, o);
        json_array_append_new(list, o);
    }
    return list;
}

json_t *gh_ike_show_statistics(const struct gh_ike_view *view, struct gh_now now,
                               const json_t *request)
{
    (void)request;
    return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:{s:b, s:I}}", "ok", 1, "time",
                     gh_json_time(now.wall), "set_ups", rates_json(view->notes, now), "sas",
                     states_json(view->core), "counters", counters_json(ike2_counters(view->core)),
                     "failures", failures_json(view->core), "udp", udp_json(view->udp), "sockets",
                     sockets_json(view), "memory", (json_int_t)ike2_memory(view->core), "keeper",
                     "connected", view->keeper, "waiting", (json_int_t)view->keeper_waiting);
}
