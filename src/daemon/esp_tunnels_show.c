/* What `show tunnel` answers. */
#include <string.h>

#include "daemon/esp_tunnels_priv.h"
#include "daemon/tunnel_show.h"

static json_t *drops(const uint64_t *results)
{
    json_t *object = json_object();

    for (int i = 0; i < TUNNEL_RESULT_COUNT; i++)
        if (results[i] > 0 && !tunnel_result_passes((enum tunnel_result)i))
            json_object_set_new(object, tunnel_result_name((enum tunnel_result)i),
                                json_integer((json_int_t)results[i]));
    return object;
}

json_t *gh_esp_tunnels_unclear(const struct gh_esp_tunnels *x)
{
    return drops(x->unclear);
}

static json_t *way(const struct tunnel_counts *c)
{
    return json_pack("{s:I, s:I, s:o}", "packets", (json_int_t)c->packets, "octets",
                     (json_int_t)c->octets, "drops", drops(c->results));
}

static json_t *counts(const struct gh_esp_tunnel *own, const struct tunnel *t)
{
    static const char *const names[] = {
#define X(name, text) text,
        GH_TUNNEL_COUNTS(X)
#undef X
    };
    json_t *object = json_object();

    for (int i = 0; i < GH_TUNNEL_COUNT; i++)
        if (own->counts[i] > 0)
            json_object_set_new(object, names[i], json_integer((json_int_t)own->counts[i]));
    if (t->key_ignored > 0)
        json_object_set_new(object, "key-ignored", json_integer((json_int_t)t->key_ignored));
    if (t->sequence_ignored > 0)
        json_object_set_new(object, "sequence-ignored",
                            json_integer((json_int_t)t->sequence_ignored));
    return object;
}

struct showing {
    const struct gh_esp_tunnels *x;
    const char *name;
    uint64_t now_ms;
    json_t *list;
};

static void show_one(void *arg, struct tunnel *t)
{
    const struct showing *s = arg;
    const struct gh_esp_tunnel *own = &s->x->list[t->p.id];
    const struct gh_esp_name *outside = &s->x->setup.places->list[t->p.place];
    const char *name = s->x->setup.names->list[t->p.id].first;
    const struct gh_tunnel_shown shown = {.name = name,
                                          .device = own->device,
                                          .dataplane = "user",
                                          .state = tunnel_remote(t) != NULL ? "up" : "no-route",
                                          .netns = outside->first,
                                          .vrf = outside->second,
                                          .peer = own->peer,
                                          .p = &t->p,
                                          .remote = tunnel_remote(t),
                                          .dests = own->dests,
                                          .dest_count = own->dest_count,
                                          .reassembly_ms = own->reassembly_ms,
                                          .ip_mtu = gh_esp_tunnel_limit(s->x, t, s->now_ms)};
    json_t *object;

    if (s->name != NULL && strcmp(s->name, name) != 0)
        return;
    object = gh_tunnel_show(&shown);
    json_object_set_new(object, "switches", json_integer(t->switches));
    json_object_set_new(object, "in", way(&t->in));
    json_object_set_new(object, "out", way(&t->out));
    json_object_set_new(object, "counts", counts(own, t));
    json_array_append_new(s->list, object);
}

json_t *gh_esp_tunnels_show(const struct gh_esp_tunnels *x, const char *name, uint64_t now_ms)
{
    struct showing s = {.x = x, .name = name, .now_ms = now_ms, .list = json_array()};

    tunnel_table_each(x->table, show_one, &s);
    return s.list;
}
