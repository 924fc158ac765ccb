#include "daemon/tunnel_show.h"

static json_t *address(const struct gh_addr *a)
{
    char text[GH_ADDR_TEXT];

    return a != NULL && a->len != 0 ? json_string(gh_addr_format(a, text)) : json_null();
}

static json_t *number(bool has, uint32_t value)
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

json_t *gh_tunnel_show(const struct gh_tunnel_shown *s)
{
    const struct tunnel_params *p = s->p;
    json_t *object;

    object =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:s}", "name", s->name, "type",
                  p->kind == TUNNEL_GRE ? "gre" : "ipip", "device", s->device, "local",
                  address(&p->local), "remote", address(&p->remote), "backup_remote",
                  address(&p->backup), "oper_remote", address(s->remote), "state", s->state,
                  "netns", s->netns != NULL ? s->netns : "", "vrf", s->vrf != NULL ? s->vrf : "");
    json_object_set_new(object, "protected_by",
                        s->peer != NULL ? json_string(s->peer) : json_null());
    json_object_set_new(object, "dataplane", json_string(s->dataplane));
    json_object_set_new(object, "dests", addresses(s->dests, s->dest_count));
    json_object_set_new(object, "send_key", number(p->has_send_key, p->send_key));
    json_object_set_new(object, "receive_key", number(p->has_receive_key, p->receive_key));
    json_object_set_new(object, "checksum", json_boolean(p->send_checksum));
    json_object_set_new(object, "sequence", json_boolean(p->send_sequence));
    json_object_set_new(object, "ttl", json_integer(p->ttl != 0 ? p->ttl : TUNNEL_TTL));
    json_object_set_new(object, "dscp", p->set_dscp ? json_integer(p->dscp) : json_string("copy"));
    json_object_set_new(object, "ip_mtu", json_integer(s->ip_mtu));
    json_object_set_new(object, "encapsulated_ip_mtu",
                        number(p->mtu.encapsulated_ip_mtu != 0, p->mtu.encapsulated_ip_mtu));
    json_object_set_new(object, "clear_df", json_boolean(p->mtu.clear_df));
    json_object_set_new(object, "reassembly", number(s->reassembly_ms != 0, s->reassembly_ms));
    return object;
}

json_t *gh_tunnel_show_way(uint64_t packets, uint64_t octets, const struct gh_tunnel_drop *drops,
                           size_t count)
{
    json_t *object = json_object();

    for (size_t i = 0; i < count; i++)
        if (drops[i].count > 0)
            json_object_set_new(object, drops[i].name, json_integer((json_int_t)drops[i].count));
    return json_pack("{s:I, s:I, s:o}", "packets", (json_int_t)packets, "octets",
                     (json_int_t)octets, "drops", object);
}
