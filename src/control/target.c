#include "control/answer.h"

#include <string.h>

static bool has_session(const struct gh_config *config, const char *name)
{
    for (size_t i = 0; i < config->session_count; i++) {
        if (strcmp(config->sessions[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool covers_sockets(const struct gh_control_view *view, const struct gh_target *t)
{
    json_t *names = gh_target_sockets(view->engine, t);
    bool some = json_object_size(names) > 0;

    json_decref(names);
    return some;
}

static bool covers_sessions(const struct gh_config *config, const struct gh_target *t)
{
    for (size_t i = 0; i < config->session_count; i++) {
        if (gh_target_covers(t, &config->sessions[i]))
            return true;
    }
    return false;
}

static bool refuse(json_t **refusal, json_t *why)
{
    *refusal = why;
    return false;
}

/* A field that is absent, null or a string. */
static bool string_field(const json_t *request, const char *field, const char **out,
                         json_t **refusal)
{
    const json_t *value = json_object_get(request, field);

    *out = json_string_value(value);
    if (value == NULL || json_is_null(value) || json_is_string(value))
        return true;
    return refuse(refusal, gh_control_refusal(NULL, "\"%s\" must be a string", field));
}

static bool names_something(const struct gh_control_view *view, const char *name,
                            struct gh_target *out)
{
    const struct gh_target socket = {.name = name};

    if (has_session(view->config, name))
        return true;
    out->is_socket = covers_sockets(view, &socket);
    return out->is_socket;
}

bool gh_target_parse(const struct gh_control_view *view, const json_t *request, bool needed,
                     struct gh_target *out, json_t **refusal)
{
    const char *name, *peer;

    memset(out, 0, sizeof(*out));
    if (!string_field(request, "name", &name, refusal) ||
        !string_field(request, "peer", &peer, refusal))
        return false;
    if (name != NULL && names_something(view, name, out))
        out->name = name;
    else if (name != NULL && peer == NULL && gh_addr_parse(name, &out->peer))
        peer = name;
    else if (name != NULL)
        return refuse(refusal, gh_control_refusal("`gatectl show tcp-ao session` lists the names",
                                                  "no session is named \"%.300s\"", name));
    if (peer != NULL && !gh_addr_parse(peer, &out->peer))
        return refuse(refusal, gh_control_refusal("give an IPv4 or IPv6 address",
                                                  "\"%.100s\" is not an address", peer));
    out->has_peer = peer != NULL;
    if (out->has_peer && !out->is_socket)
        out->is_socket = !covers_sessions(view->config, out);
    if (out->has_peer && out->is_socket && !covers_sockets(view, out))
        return refuse(refusal,
                      gh_control_refusal("protect it by a `tcp-ao` section with this peer in the "
                                         "configuration, then `gatectl reload`",
                                         "no session%s%.300s covers the peer %s",
                                         out->name != NULL ? " " : "",
                                         out->name != NULL ? out->name : "", peer));
    if (needed && out->name == NULL && !out->has_peer)
        return refuse(refusal, gh_control_refusal("say which: \"name\" or \"peer\"",
                                                  "a session's name or a peer is needed"));
    return true;
}

bool gh_target_covers(const struct gh_target *t, const struct gh_session *s)
{
    if (t->name != NULL && strcmp(t->name, s->name) != 0)
        return false;
    return !t->has_peer || gh_prefix_contains(&s->peer, &t->peer);
}

bool gh_target_is_remote(const struct gh_target *t, const struct tcpao_endpoint *remote)
{
    struct gh_addr a;

    if (!t->has_peer)
        return true;
    a = gh_addr_from(remote->addr, remote->addr_len);
    return gh_addr_equal(&a, &t->peer);
}

enum gh_carrier gh_carrier_of(const struct gh_control_view *view, const struct gh_session *s)
{
    return view->carrier != NULL ? view->carrier(view->carrier_ctx, s) : GH_CARRIER_ENGINE;
}
