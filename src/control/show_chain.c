/* show-key-chain: the columns of Junos' `show security keychain` (features J27). */
#include "control/answer.h"

#include <string.h>

#include "control/format.h"
#include "control/outlook.h"

static json_t *lifetime_json(struct tcpao_lifetime l)
{
    return json_pack("{s:o, s:o}", "from", gh_json_time(l.from), "until", gh_json_time(l.until));
}

/* Which key, and its id on the wire in the direction that is meant. */
static json_t *id_json(const struct tcpao_mkt *k, bool send)
{
    if (k == NULL)
        return json_null();
    return json_pack("{s:I, s:i}", "key", (json_int_t)k->number, "id",
                     send ? k->send_id : k->recv_id);
}

static json_t *left(int64_t until, int64_t now)
{
    return until == TCPAO_TIME_MAX || until == TCPAO_TIME_MIN ? json_null()
                                                              : json_integer(until - now);
}

static json_t *key_json(const struct gh_key *key, uint32_t tolerance, int64_t now)
{
    const struct tcpao_mkt *k = &key->mkt;
    json_t *o = json_pack("{s:I, s:i, s:i, s:s, s:s, s:s, s:i}", "key", (json_int_t)k->number,
                          "send_id", k->send_id, "recv_id", k->recv_id, "state",
                          gh_key_state(k, tolerance, now), "mode", gh_key_mode(k), "algorithm",
                          tcpao_alg_name(k->alg, k->mac_len), "mac_length", k->mac_len);

    json_object_set_new(o, "include_tcp_options", json_boolean(k->options_covered));
    json_object_set_new(o, "accept_mismatch", json_boolean(k->accept_mismatch));
    json_object_set_new(o, "send_lifetime", lifetime_json(k->send));
    json_object_set_new(o, "accept_lifetime", lifetime_json(k->accept));
    json_object_set_new(o, "secret_source", gh_json_text(key->secret_source));
    json_object_set_new(o, "expires", gh_json_time(k->send.until));
    json_object_set_new(o, "expires_in", left(k->send.until, now));
    return o;
}

static json_t *users_json(const struct gh_config *config, size_t chain)
{
    json_t *names = json_array();

    for (size_t i = 0; i < config->session_count; i++) {
        if (config->sessions[i].chain == chain)
            json_array_append_new(names, gh_json_text(config->sessions[i].name));
    }
    return names;
}

static json_t *outlook_json(const struct gh_outlook *o, int64_t now)
{
    json_t *object =
        json_pack("{s:o, s:o, s:o, s:o}", "active_send", id_json(o->send, true), "active_receive",
                  id_json(o->receive, false), "next_send", id_json(o->send_next, true),
                  "next_receive", id_json(o->receive_next, false));

    json_object_set_new(object, "transition",
                        o->send_change == TCPAO_TIME_MAX ? json_null()
                                                         : gh_json_time(o->send_change));
    json_object_set_new(object, "transition_in", left(o->send_change, now));
    json_object_set_new(object, "expires",
                        o->expiry == TCPAO_TIME_MIN ? json_null() : gh_json_time(o->expiry));
    json_object_set_new(object, "expires_in", left(o->expiry, now));
    return object;
}

struct tcpao_chain *gh_key_chain_timetable(const struct gh_key_chain *c)
{
    static const uint8_t none[] = "-";
    struct tcpao_chain *chain = tcpao_chain_new(c->tolerance);

    for (size_t i = 0; chain != NULL && i < c->key_count; i++) {
        struct tcpao_mkt mkt = c->keys[i].mkt;

        mkt.secret = none;
        mkt.secret_len = 1;
        if (tcpao_chain_add(chain, &mkt, NULL) != TCPAO_CHAIN_OK) {
            tcpao_chain_put(chain);
            chain = NULL;
        }
    }
    return chain;
}

static json_t *chain_json(const struct gh_config *config, size_t index, int64_t now)
{
    const struct gh_key_chain *c = &config->chains[index];
    struct tcpao_chain *chain = gh_key_chain_timetable(c);
    struct gh_outlook outlook;
    json_t *object, *keys = json_array(), *warnings = json_array();

    if (chain == NULL) {
        json_decref(keys);
        json_decref(warnings);
        return NULL;
    }
    outlook = gh_outlook(chain, now);
    object = json_pack("{s:o, s:o, s:I}", "name", gh_json_text(c->name), "description",
                       gh_json_text(c->description), "tolerance", (json_int_t)c->tolerance);
    json_object_update_new(object, outlook_json(&outlook, now));
    tcpao_chain_put(chain);
    for (size_t i = 0; i < c->key_count; i++)
        json_array_append_new(keys, key_json(&c->keys[i], c->tolerance, now));
    gh_chain_warnings(c, now, warnings);
    json_object_set_new(object, "keys", keys);
    json_object_set_new(object, "sessions", users_json(config, index));
    json_object_set_new(object, "warnings", warnings);
    return object;
}

json_t *gh_show_key_chain(const struct gh_control_view *view, struct gh_now now,
                          const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "name"));
    json_t *chains = json_array();

    for (size_t i = 0; i < view->config->chain_count; i++) {
        if (name == NULL || strcmp(name, view->config->chains[i].name) == 0)
            json_array_append_new(chains, chain_json(view->config, i, now.wall));
    }
    if (name != NULL && json_array_size(chains) == 0) {
        json_decref(chains);
        return gh_control_refusal("`gatectl show key-chain` lists the names",
                                  "no key chain is named \"%.300s\"", name);
    }
    return json_pack("{s:b, s:o}", "ok", 1, "key_chains", chains);
}

/* The widest of the chain's warning times, which are sorted. */
static int64_t warn_before(const struct gh_key_chain *c)
{
    return c->warn_count > 0 ? c->warn_before[0] : 0;
}

static json_t *chain_warning(const struct gh_key_chain *c, const struct gh_outlook *o, int64_t now)
{
    char when[32], span[GH_SPAN_TEXT];

    if (o->expiry == TCPAO_TIME_MIN)
        return gh_json_warning("chain-empty", "key chain %s has no key to send with", c->name);
    gh_time_format(o->expiry, when, sizeof(when));
    if (o->expiry != TCPAO_TIME_MAX && o->expiry <= now)
        return gh_json_warning(
            "chain-expired",
            "the last key of chain %s expired at %s, %s ago: its sessions are down", c->name, when,
            gh_span_format(now - o->expiry, span));
    if (o->send == NULL) {
        gh_time_format(o->send_change, when, sizeof(when));
        return gh_json_warning("chain-gap",
                               "no key of chain %s may be sent with now; the next begins at %s, "
                               "in %s",
                               c->name, when, gh_span_format(o->send_change - now, span));
    }
    if (o->expiry != TCPAO_TIME_MAX && o->expiry - now <= warn_before(c))
        return gh_json_warning("chain-expiring",
                               "the last key of chain %s expires at %s, in %s: add a key", c->name,
                               when, gh_span_format(o->expiry - now, span));
    return NULL;
}

void gh_chain_warnings(const struct gh_key_chain *c, int64_t now, json_t *warnings)
{
    struct tcpao_chain *chain = gh_key_chain_timetable(c);
    struct gh_outlook outlook;
    json_t *warning;

    if (chain == NULL)
        return;
    outlook = gh_outlook(chain, now);
    warning = chain_warning(c, &outlook, now);
    if (warning != NULL)
        json_object_set_new(warning, "key_chain", gh_json_text(c->name));
    if (warning != NULL)
        json_array_append_new(warnings, warning);
    tcpao_chain_put(chain);
}
