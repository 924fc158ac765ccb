#include "daemon/esp_show.h"

#include <stdio.h>
#include <string.h>

#include "control/control.h"
#include "ike/codes.h"
#include "ike/sa.h"
#include "platform/spi.h"

bool gh_esp_is_op(const char *op)
{
    return strcmp(op, "show-ipsec-sa") == 0 || strcmp(op, "show-ipsec-counters") == 0 ||
           strcmp(op, "show-tunnel") == 0 || strcmp(op, "show-ipsec-policy") == 0;
}

/* ---- SAs ------------------------------------------------------------------------------------ */

struct listing {
    const struct gh_esp_path *path;
    json_t *list;
    const char *peer; /* NULL: all */
    uint64_t now_ms;
};

static json_t *spi(uint32_t value)
{
    char text[9];

    snprintf(text, sizeof(text), "%08x", value);
    return json_string(text);
}

static json_t *drops(const struct ipsec_sa *sa)
{
    json_t *object = json_object();

    for (int i = IPSEC_DUMMY; i < IPSEC_RESULT_COUNT; i++)
        if (sa->counts.results[i] > 0)
            json_object_set_new(object, ipsec_result_name((enum ipsec_result)i),
                                json_integer((json_int_t)sa->counts.results[i]));
    return object;
}

/* Packets that were to go through the SA and did not. */
static json_int_t errors(const struct ipsec_sa *sa)
{
    uint64_t all = 0;

    for (int i = IPSEC_DUMMY + 1; i < IPSEC_RESULT_COUNT; i++)
        all += sa->counts.results[i];
    return (json_int_t)all;
}

/* One direction; null: there is none, any more or yet. */
static json_t *direction(const struct ipsec_sa *sa, uint32_t number, uint64_t now_ms)
{
    json_t *object;

    if (sa == NULL)
        return json_null();
    object = json_pack("{s:o, s:I, s:I, s:I, s:I, s:o, s:s}", "spi", spi(number), "packets",
                       (json_int_t)sa->counts.packets, "octets", (json_int_t)sa->counts.octets,
                       "sequence", (json_int_t)(sa->p.way == IPSEC_OUT ? sa->seq : sa->replay.top),
                       "errors", errors(sa), "drops", drops(sa), "back_end",
                       sa->key != NULL ? ipsec_crypt_key_by(sa->key) : "kernel");
    json_object_set_new(object, "idle",
                        sa->last_used_ms != 0
                            ? json_integer((json_int_t)((now_ms - sa->last_used_ms) / 1000))
                            : json_null());
    return object;
}

static json_t *selectors(const struct ike_ts_list *list)
{
    json_t *array = json_array();
    char text[IKE_TS_TEXT];

    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_string(ike_ts_format(&list->ts[i], text)));
    return array;
}

static json_t *algorithms(const struct gh_esp_child *c)
{
    struct ike_transform encr = {
        .type = IKE_T_ENCR, .id = (uint16_t)c->enc, .key_bits = c->enc_bits};
    struct ike_transform integ = {.type = IKE_T_INTEG, .id = (uint16_t)c->integ};
    char text[IKE_TRANSFORM_TEXT];
    json_t *object = json_object();

    json_object_set_new(object, "encryption", json_string(ike_transform_text(&encr, text)));
    json_object_set_new(object, "integrity",
                        c->integ != GH_INTEG_NONE ? json_string(ike_transform_text(&integ, text))
                                                  : json_null());
    json_object_set_new(object, "esn", json_boolean(c->esn));
    return object;
}

/* What the child's SAs do with packets beside protecting them (ike/v2/child_traffic.h). */
static json_t *traffic(const struct ike2_child_traffic *t)
{
    json_t *object =
        json_pack("{s:i, s:o, s:b, s:s}", "replay_window", (int)t->window, "dscp",
                  t->set_dscp ? json_integer(t->dscp) : json_string("copy"), "copy_dscp_in",
                  (int)t->dscp_from_outer, "ecn", t->no_ecn ? "off" : "copy");

    json_object_set_new(object, "tfc_padding",
                        t->tfc == 0              ? json_string("off")
                        : t->tfc == IKE2_TFC_MTU ? json_string("mtu")
                                                 : json_integer(t->tfc));
    return object;
}

/* What is left of a limit by that direction which has used more of it; null: there is no limit. */
static json_t *left(uint64_t limit, uint64_t in, uint64_t out)
{
    uint64_t used = in > out ? in : out;

    if (limit == 0)
        return json_null();
    return json_integer(used < limit ? (json_int_t)(limit - used) : 0);
}

static void put_left(json_t *object, const struct gh_esp_child_view *v)
{
    static const struct ipsec_sa_counts none;
    const struct ipsec_sa_counts *in = v->in != NULL ? &v->in->counts : &none;
    const struct ipsec_sa_counts *out = v->out != NULL ? &v->out->counts : &none;

    json_object_set_new(object, "octets_left", left(v->child->octets, in->octets, out->octets));
    json_object_set_new(object, "packets_left", left(v->child->packets, in->packets, out->packets));
}

/* Octets of each packet: the IV's (0: there is none, or it is implicit) and the ICV's. */
static void put_lengths(json_t *object, const struct gh_esp_child *c)
{
    bool none = c->protocol == IPSEC_AH || gh_enc_iv_implicit(c->enc);

    json_object_set_new(object, "iv", json_integer(none ? 0 : (json_int_t)gh_enc_iv_len(c->enc)));
    json_object_set_new(object, "icv", json_integer((json_int_t)gh_icv_len(c->enc, c->integ)));
}

static json_t *text(const char *s)
{
    return s[0] != '\0' ? json_string(s) : json_null();
}

static json_t *end(const struct gh_addr *addr, uint16_t port)
{
    char text[GH_ADDR_TEXT];

    return json_pack("{s:s, s:i}", "address", gh_addr_format(addr, text), "port", (int)port);
}

/* Octets that a full packet of Ethernet's has beside what is inside, padding included. */
static json_int_t overhead(const struct ipsec_sa *sa)
{
    enum { ETHERNET = 1500 };

    return (json_int_t)(ETHERNET - ipsec_sa_payload_max(sa, ETHERNET));
}

static void list_child(void *ctx, const struct gh_esp_child_view *v)
{
    struct listing *l = ctx;
    const struct gh_esp_child *c = v->child;
    uint16_t inner, path;
    json_t *object;

    if (l->peer != NULL && strcmp(l->peer, c->peer) != 0)
        return;
    object = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "peer",
                       c->peer, "child", c->name, "id", (json_int_t)c->id, "protocol",
                       c->protocol == IPSEC_AH ? "AH" : "ESP", "mode",
                       c->mode == IPSEC_TRANSPORT ? "transport" : "tunnel", "state",
                       v->manual        ? "manual"
                       : v->orphan      ? "orphaned"
                       : v->out == NULL ? "receiving"
                                        : "installed",
                       "udp", c->local_port != 0, "local", end(&c->local, c->local_port), "remote",
                       end(&c->remote, c->remote_port), "algorithms", algorithms(c), "local_ts",
                       selectors(&c->ts_local), "remote_ts", selectors(&c->ts_remote));
    json_object_set_new(object, "expires",
                        v->until_ms > l->now_ms
                            ? json_integer((json_int_t)((v->until_ms - l->now_ms) / 1000))
                            : json_null());
    put_left(object, v);
    put_lengths(json_object_get(object, "algorithms"), c);
    json_object_set_new(object, "netns", text(c->netns));
    json_object_set_new(object, "vrf", text(c->vrf));
    json_object_set_new(object, "traffic", traffic(&c->traffic));
    json_object_set_new(object, "in", direction(v->in, c->spi_in, l->now_ms));
    json_object_set_new(object, "out", direction(v->out, c->spi_out, l->now_ms));
    json_object_set_new(object, "slot",
                        c->kernel ? json_null() : json_integer(gh_spi_slot(c->spi_in)));
    json_object_set_new(object, "overhead",
                        v->out != NULL ? json_integer(overhead(v->out)) : json_null());
    if (v->out != NULL) {
        gh_esp_path_sizes(l->path, v->out, l->now_ms, &inner, &path);
        json_object_set_new(object, "ip_mtu", json_integer(inner));
        json_object_set_new(object, "path_mtu", path != 0 ? json_integer(path) : json_null());
    }
    json_array_append_new(l->list, object);
}

static json_t *show_sas(const struct gh_esp_view *view, struct gh_now now, const json_t *request)
{
    struct listing l = {.path = view->path,
                        .list = json_array(),
                        .peer = json_string_value(json_object_get(request, "name")),
                        .now_ms = now.mono_ms};

    gh_esp_children_each(view->children, list_child, &l);
    return json_pack("{s:b, s:o}", "ok", 1, "sas", l.list);
}

/* ---- Counters ------------------------------------------------------------------------------- */

static json_t *results(const struct ipsec *engine, enum ipsec_way way)
{
    json_t *object = json_object();

    for (int i = 0; i < IPSEC_RESULT_COUNT; i++)
        json_object_set_new(
            object, ipsec_result_name((enum ipsec_result)i),
            json_integer((json_int_t)ipsec_count(engine, way, (enum ipsec_result)i)));
    return object;
}

/* As the engine's, of the namespaces where the kernel carries packets. */
static json_t *kernel_results(const struct gh_plane_counts *counts)
{
    json_t *ways[2];

    if (counts == NULL)
        return json_null();
    ways[0] = json_object();
    ways[1] = json_object();
    for (int way = IPSEC_OUT; way <= IPSEC_IN; way++)
        for (int i = 0; i < IPSEC_RESULT_COUNT; i++)
            if (counts->counts[way][i] > 0)
                json_object_set_new(ways[way], ipsec_result_name((enum ipsec_result)i),
                                    json_integer((json_int_t)counts->counts[way][i]));
    return json_pack("{s:o, s:o}", "in", ways[IPSEC_IN], "out", ways[IPSEC_OUT]);
}

static json_t *sizes(const uint64_t *counts)
{
    json_t *object = json_object();

    for (int i = 0; i < GH_ESP_PATH_COUNT; i++)
        json_object_set_new(object, gh_esp_path_count_name((enum gh_esp_path_count)i),
                            json_integer((json_int_t)counts[i]));
    return object;
}

static json_t *refusals(const struct gh_esp_refusals_counts *c)
{
    return json_pack("{s:I, s:I, s:I}", "prohibited", (json_int_t)c->prohibited, "unreachable",
                     (json_int_t)c->unreachable, "icmp-limited", (json_int_t)c->limited);
}

static json_t *show_counters(const struct gh_esp_view *view)
{
    const uint64_t *counts = gh_esp_net_counts(view->net);
    const uint64_t *waits = gh_esp_waiting_counts(view->waiting);
    json_t *net = json_object(), *waiting = json_object();

    for (int i = 0; i < GH_ESP_NET_COUNT; i++)
        json_object_set_new(net, gh_esp_net_count_name((enum gh_esp_net_count)i),
                            json_integer((json_int_t)counts[i]));
    for (int i = 0; i < GH_ESP_WAITING_COUNT; i++)
        json_object_set_new(waiting, gh_esp_waiting_count_name((enum gh_esp_waiting_count)i),
                            json_integer((json_int_t)waits[i]));
    return json_pack("{s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "ok", 1, "back_end",
                     ipsec_back_end(view->engine), "in", results(view->engine, IPSEC_IN), "out",
                     results(view->engine, IPSEC_OUT), "packets", net, "waiting", waiting, "kernel",
                     kernel_results(view->kernel), "sizes", sizes(gh_esp_path_counts(view->path)),
                     "refusals", refusals(&view->refusals->counts));
}

/* ---- Policies ------------------------------------------------------------------------------- */

static json_t *show_policies(const struct gh_esp_view *view, const json_t *request)
{
    return json_pack("{s:b, s:o, s:b}", "ok", 1, "policies",
                     gh_esp_spd_json(view->spd, view->engine, view->policies, view->places,
                                     json_string_value(json_object_get(request, "name"))),
                     "complete", !view->spd->failed);
}

json_t *gh_esp_handle(const struct gh_esp_view *view, struct gh_now now, const json_t *request)
{
    if (strcmp(gh_control_op(request), "show-ipsec-sa") == 0)
        return show_sas(view, now, request);
    if (strcmp(gh_control_op(request), "show-ipsec-counters") == 0)
        return show_counters(view);
    if (strcmp(gh_control_op(request), "show-tunnel") == 0)
        return json_pack("{s:b, s:o, s:o}", "ok", 1, "of_no_tunnel",
                         gh_esp_tunnels_unclear(view->tunnels), "tunnels",
                         gh_esp_tunnels_show(view->tunnels,
                                             json_string_value(json_object_get(request, "name")),
                                             now.mono_ms));
    if (strcmp(gh_control_op(request), "show-ipsec-policy") == 0)
        return show_policies(view, request);
    return gh_control_refusal(NULL, "not a request for IPsec");
}
