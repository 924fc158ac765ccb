/* What `show tunnel` answers. */
#include <string.h>

#include "daemon/esp_tunnels_priv.h"

static json_t *address(const struct gh_addr *a)
{
    char text[GH_ADDR_TEXT];

    return a != NULL && a->len != 0 ? json_string(gh_addr_format(a, text)) : json_null();
}

static json_t *key(bool has, uint32_t value)
{
    return has ? json_integer(value) : json_null();
}

static json_t *addresses(const struct gh_addr *list, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, address(&list[i]));
    return array;
}

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
    const struct tunnel_params *p = &t->p;
    json_t *object;

    if (s->name != NULL && strcmp(s->name, name) != 0)
        return;
    object = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:s}", "name", name, "type",
                       p->kind == TUNNEL_GRE ? "gre" : "ipip", "device", own->device, "local",
                       address(&p->local), "remote", address(&p->remote), "backup_remote",
                       address(&p->backup), "oper_remote", address(tunnel_remote(t)), "state",
                       tunnel_remote(t) != NULL ? "up" : "no-route", "netns", outside->first, "vrf",
                       outside->second);
    json_object_set_new(object, "protected_by",
                        own->peer != NULL ? json_string(own->peer) : json_null());
    json_object_set_new(object, "dests", addresses(own->dests, own->dest_count));
    json_object_set_new(object, "send_key", key(p->has_send_key, p->send_key));
    json_object_set_new(object, "receive_key", key(p->has_receive_key, p->receive_key));
    json_object_set_new(object, "checksum", json_boolean(p->send_checksum));
    json_object_set_new(object, "sequence", json_boolean(p->send_sequence));
    json_object_set_new(object, "ttl", json_integer(p->ttl != 0 ? p->ttl : TUNNEL_TTL));
    json_object_set_new(object, "dscp", p->set_dscp ? json_integer(p->dscp) : json_string("copy"));
    json_object_set_new(object, "ip_mtu", json_integer(gh_esp_tunnel_limit(s->x, t, s->now_ms)));
    json_object_set_new(object, "encapsulated_ip_mtu",
                        key(p->mtu.encapsulated_ip_mtu != 0, p->mtu.encapsulated_ip_mtu));
    json_object_set_new(object, "clear_df", json_boolean(p->mtu.clear_df));
    json_object_set_new(object, "reassembly", key(own->reassembly_ms != 0, own->reassembly_ms));
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
