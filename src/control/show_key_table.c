/*
 * show-key-table: RFC 7210's conceptual database of long-lived keys, a row for each key of each
 * session, those of key chains and those that IKE made.
 */
#include "control/answer.h"

#include <string.h>

#include "control/outlook.h"
#include "gatekeeper/gatekeeper.h"

struct table {
    json_t *wanted; /* names of sessions that have no rows yet: keys of an object */
    json_t *rows;
    int64_t now;
};

/* Whose keys. */
struct owner {
    const char *session, *vrf;
    const struct gh_prefix *peer;
};

static const char *kdf_name(enum tcpao_alg alg)
{
    switch (alg) {
    case TCPAO_HMAC_SHA_1:
        return "KDF_HMAC_SHA1";
    case TCPAO_AES_128_CMAC:
        return "KDF_AES_128_CMAC";
    default:
        return "KDF_HMAC_SHA256";
    }
}

/* Negotiated ones have times of their own, which only say which goes first. */
static json_t *instant(const struct tcpao_mkt *k, int64_t at)
{
    return k->number >= GK_FIRST_NUMBER || at == TCPAO_TIME_MIN || at == TCPAO_TIME_MAX
               ? json_null()
               : gh_json_time(at);
}

static void add_key(struct table *t, const struct owner *o, const struct tcpao_chain *chain,
                    const struct tcpao_mkt *k)
{
    json_t *row =
        json_pack("{s:o, s:I, s:s, s:i, s:i, s:o, s:o, s:s, s:s, s:i, s:b, s:s, s:s, s:s}",
                  "session", gh_json_text(o->session), "key", (json_int_t)k->number, "origin",
                  k->number >= GK_FIRST_NUMBER ? "negotiated" : "manual", "local_key_name",
                  k->recv_id, "peer_key_name", k->send_id, "peers", gh_json_prefix(o->peer),
                  "interfaces", gh_json_text(o->vrf), "protocol", "TCP-AO", "alg_id",
                  tcpao_alg_name(k->alg, k->mac_len), "mac_length", k->mac_len,
                  "include_tcp_options", k->options_covered, "kdf", kdf_name(k->alg), "direction",
                  "both", "state", gh_key_state(k, tcpao_chain_tolerance(chain), t->now));

    json_object_set_new(row, "selected", json_boolean(k == tcpao_chain_preferred(chain, t->now)));
    json_object_set_new(row, "send_lifetime_start", instant(k, k->send.from));
    json_object_set_new(row, "send_lifetime_end", instant(k, k->send.until));
    json_object_set_new(row, "accept_lifetime_start", instant(k, k->accept.from));
    json_object_set_new(row, "accept_lifetime_end", instant(k, k->accept.until));
    json_array_append_new(t->rows, row);
}

static void add_chain(struct table *t, const struct owner *o, const struct tcpao_chain *chain)
{
    for (size_t i = 0; i < tcpao_chain_count(chain); i++)
        add_key(t, o, chain, tcpao_chain_at(chain, i));
}

static void add_session(void *ctx, const struct ao_session_view *v)
{
    const struct ao_policy *p = v->policy;
    struct table *t = ctx;

    if (!v->own_keys && json_object_get(t->wanted, p->name) != NULL) {
        const char *vrf = json_string_value(json_object_get(t->wanted, p->name));
        const struct owner o = {p->name, vrf, &p->peer};

        add_chain(t, &o, p->chain);
        json_object_del(t->wanted, p->name);
    }
}

/* The engine has none: the kernel has. */
static void add_configured(struct table *t, const struct gh_config *config,
                           const struct gh_session *s)
{
    const struct gh_key_chain *configured = gh_config_chain(config, s);
    const struct owner o = {s->name, s->vrf, &s->peer};
    struct tcpao_chain *chain;

    if (configured == NULL || json_object_get(t->wanted, s->name) == NULL)
        return;
    chain = gh_key_chain_timetable(configured);
    if (chain != NULL)
        add_chain(t, &o, chain);
    tcpao_chain_put(chain);
}

json_t *gh_show_key_table(const struct gh_control_view *view, struct gh_now now,
                          const json_t *request)
{
    const struct gh_config *config = view->config;
    struct table t = {.now = now.wall};
    struct gh_target target;
    json_t *refusal = NULL;

    if (!gh_target_parse(view, request, false, &target, &refusal))
        return refusal;
    t.wanted = json_object();
    t.rows = json_array();
    for (size_t i = 0; i < config->session_count; i++) {
        const struct gh_session *s = &config->sessions[i];

        if (gh_target_covers(&target, s))
            json_object_set_new(t.wanted, s->name, gh_json_text(s->vrf));
    }
    ao_engine_each_session(view->engine, add_session, &t);
    for (size_t i = 0; i < config->session_count; i++)
        add_configured(&t, config, &config->sessions[i]);
    json_decref(t.wanted);
    return json_pack("{s:b, s:o}", "ok", 1, "keys", t.rows);
}
