/* show tcp-ao session: a table, or one block a session with its connections. */
#include "cli/render.h"

#include <string.h>

#include "cli/table.h"
#include "control/format.h"

/* ---- The table ------------------------------------------------------------------------------ */

static void key_cell(struct cli_table *t, size_t column, const json_t *keys, const char *field)
{
    const json_t *k = json_object_get(keys, field);

    if (json_is_object(k))
        cli_table_cell(t, column, "%" JSON_INTEGER_FORMAT, cli_integer(k, "key"));
}

static bool is_kernels(const json_t *connection)
{
    return strcmp(cli_text(connection, "backend"), "kernel") == 0;
}

/* Whose keys it has. */
static const char *keychain(const json_t *session)
{
    return cli_has(session, "ike_peer") ? "by IKE" : cli_text(session, "key_chain");
}

static void connection_row(struct cli_table *t, const json_t *session, const json_t *c)
{
    const json_t *keys = json_object_get(c, "keys");
    const json_t *auth = json_object_get(c, "authentication");
    char span[GH_SPAN_TEXT];

    cli_table_row(t);
    cli_table_cell(t, 0, "%s", cli_text(session, "name"));
    cli_table_cell(t, 1, "%s", cli_text(c, "remote"));
    cli_table_cell(t, 2, "%s", cli_text(c, "state"));
    cli_table_cell(t, 3, "%s", gh_span_format(cli_integer(c, "uptime"), span));
    cli_table_cell(t, 4, "%s", cli_text(c, "type"));
    cli_table_cell(t, 5, "%s", keychain(session));
    key_cell(t, 6, keys, "current");
    key_cell(t, 7, keys, "rnext");
    if (!cli_true(c, "protected"))
        cli_table_cell(t, 8, "UNPROTECTED");
    else
        cli_table_cell(t, 8, "%s%s", cli_text(auth, "algorithm"),
                       is_kernels(c) ? ", by the kernel" : "");
}

static void idle_row(struct cli_table *t, const json_t *session)
{
    const json_t *refusal = json_object_get(session, "last_refusal");

    cli_table_row(t);
    cli_table_cell(t, 0, "%s", cli_text(session, "name"));
    if (json_array_size(json_object_get(session, "peers")) > 1)
        cli_table_cell(t, 1, "%zu peers", json_array_size(json_object_get(session, "peers")));
    else
        cli_table_cell(t, 1, "%s", cli_text(session, "peer"));
    cli_table_cell(t, 2, "%s", cli_true(session, "loaded") ? "no connection" : "not in force");
    cli_table_cell(t, 5, "%s", keychain(session));
    if (json_is_object(refusal))
        cli_table_cell(t, 8, "last refusal: %s at %s", cli_text(refusal, "reason"),
                       cli_text(refusal, "time"));
}

static void summary(const struct cli_render *r, const json_t *sessions)
{
    static const char *const titles[] = {"Session",      "Peer",       "State",
                                         "Uptime",       "Type",       "Keychain",
                                         ">Current key", ">RNext key", "Authentication"};
    const json_t *s, *c;
    struct cli_table t;
    size_t i, j;

    cli_table_init(&t, titles, 9);
    json_array_foreach(sessions, i, s)
    {
        json_array_foreach(json_object_get(s, "connections"), j, c) connection_row(&t, s, c);
        if (json_array_size(json_object_get(s, "connections")) == 0)
            idle_row(&t, s);
    }
    cli_table_print(&t, 0, r->out);
    json_array_foreach(sessions, i, s) cli_render_warnings(r, s, "WARNING: ");
}

/* ---- The blocks ----------------------------------------------------------------------------- */

static void line(const struct cli_render *r, int indent, const char *label, const char *value)
{
    fprintf(r->out, "%*s%-*s ", indent, "", 32 - indent, label);
    cli_put(value, r->out);
    fputc('\n', r->out);
}

static void pair_line(const struct cli_render *r, int indent, const char *label, const json_t *o,
                      const char *a, const char *b)
{
    fprintf(r->out, "%*s%-*s %" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT "\n", indent, "",
            32 - indent, label, cli_integer(o, a), cli_integer(o, b));
}

static void key_line(const struct cli_render *r, const char *label, const json_t *k,
                     const char *id_name, const char *id)
{
    if (!json_is_object(k))
        line(r, 4, label, "none yet");
    else if (!cli_has(k, id))
        fprintf(r->out, "    %-28s %" JSON_INTEGER_FORMAT " (no longer in the chain)\n", label,
                cli_integer(k, "key"));
    else
        fprintf(r->out, "    %-28s %" JSON_INTEGER_FORMAT " (%s %" JSON_INTEGER_FORMAT ", %s)\n",
                label, cli_integer(k, "key"), id_name, cli_integer(k, id),
                cli_text(k, "algorithm"));
}

static void authentication_line(const struct cli_render *r, const json_t *auth)
{
    fprintf(r->out, "    %-28s ", "Auth type:");
    if (strcmp(cli_text(auth, "type"), "none") == 0) {
        fputs("NONE: the peer came without TCP-AO\n", r->out);
        return;
    }
    fprintf(r->out, "%s, keychain: ", cli_text(auth, "type"));
    cli_put(cli_text(auth, "key_chain"), r->out);
    if (cli_has(auth, "algorithm"))
        fprintf(r->out, ", algorithm: %s", cli_text(auth, "algorithm"));
    fputc('\n', r->out);
}

static void keys_lines(const struct cli_render *r, const json_t *keys)
{
    key_line(r, "Current key (we send with):", json_object_get(keys, "current"), "SendID",
             "send_id");
    key_line(r, "RNext key (we ask for):", json_object_get(keys, "rnext"), "RecvID", "recv_id");
    key_line(r, "Peer last signed with:", json_object_get(keys, "last_received"), "RecvID",
             "recv_id");
    if (cli_has(keys, "peer_keyid"))
        pair_line(r, 4, "Peer's KeyID/RNextKeyID:", keys, "peer_keyid", "peer_rnextkeyid");
}

static void isn_line(const struct cli_render *r, const char *label, const json_t *s,
                     const char *isn, const char *sne, const char *highest)
{
    fprintf(r->out, "    %-28s ", label);
    if (cli_has(s, isn))
        fprintf(r->out, "ISN %" JSON_INTEGER_FORMAT ", ", cli_integer(s, isn));
    else
        fputs("ISN unknown, ", r->out);
    fprintf(r->out,
            "SNE %" JSON_INTEGER_FORMAT ", highest sequence number %" JSON_INTEGER_FORMAT "\n",
            cli_integer(s, sne), cli_integer(s, highest));
}

static void counters_lines(const struct cli_render *r, int indent, json_t *counters)
{
    const json_t *value;
    const char *name;

    if (json_object_size(counters) == 0)
        return;
    fprintf(r->out, "%*sCounters:\n", indent, "");
    json_object_foreach(counters, name, value)
        fprintf(r->out, "%*s%-*s %" JSON_INTEGER_FORMAT "\n", indent + 2, "", 30 - indent, name,
                json_integer_value(value));
}

static void event_line(const struct cli_render *r, int indent, const json_t *o)
{
    const json_t *event = json_object_get(o, "last_event");

    if (!json_is_object(event))
        return;
    fprintf(r->out, "%*s%-*s %s ", indent, "", 32 - indent, "Last event:", cli_text(event, "time"));
    cli_put(cli_text(event, "text"), r->out);
    fputc('\n', r->out);
}

static void connection_block(const struct cli_render *r, const json_t *c)
{
    const json_t *sequence = json_object_get(c, "sequence");
    char span[GH_SPAN_TEXT];

    fprintf(r->out, "  Connection %s with %s\n", cli_text(c, "local"), cli_text(c, "remote"));
    line(r, 4, "Peer address:port:", cli_text(c, "remote"));
    line(r, 4, "Local address:port:", cli_text(c, "local"));
    line(r, 4, "Session type:", cli_text(c, "type"));
    fprintf(r->out, "    %-28s %s, for %s (since %s)%s\n", "Session state:", cli_text(c, "state"),
            gh_span_format(cli_integer(c, "uptime"), span), cli_text(c, "since"),
            cli_true(c, "restored") ? ", taken over from an earlier instance" : "");
    if (is_kernels(c))
        line(r, 4, "Carried by:", "the kernel's own TCP-AO");
    pair_line(r, 4, "Segments in/out:", c, "segments_in", "segments_out");
    pair_line(r, 4, "Bytes in/out:", c, "bytes_in", "bytes_out");
    authentication_line(r, json_object_get(c, "authentication"));
    keys_lines(r, json_object_get(c, "keys"));
    if (json_is_object(sequence)) {
        isn_line(r, "Sending:", sequence, "local_isn", "send_sne", "send_highest");
        isn_line(r, "Receiving:", sequence, "remote_isn", "receive_sne", "receive_highest");
    }
    event_line(r, 4, c);
    counters_lines(r, 4, json_object_get(c, "counters"));
}

static void refusal_lines(const struct cli_render *r, const json_t *session)
{
    const json_t *x = json_object_get(session, "last_refusal");

    if (!json_is_object(x)) {
        if (json_array_size(json_object_get(session, "connections")) == 0)
            line(r, 2, "No connection:", "nothing was refused");
        return;
    }
    fprintf(r->out, "  %-30s %s %s, %s, ",
            json_array_size(json_object_get(session, "connections")) == 0
                ? "No connection; last refusal:"
                : "Last refusal:",
            cli_text(x, "time"), cli_text(x, "reason"),
            strcmp(cli_text(x, "way"), "in") == 0 ? "from the peer" : "of our own");
    if (cli_has(x, "remote"))
        fprintf(r->out, "%s, %s", cli_text(x, "remote"), cli_text(x, "tcp_flags"));
    else
        fputs("dropped by the kernel", r->out);
    if (cli_has(x, "keyid"))
        fprintf(r->out, ", KeyID %" JSON_INTEGER_FORMAT ", RNextKeyID %" JSON_INTEGER_FORMAT,
                cli_integer(x, "keyid"), cli_integer(x, "rnextkeyid"));
    fputc('\n', r->out);
    if (cli_has(x, "diagnosis"))
        line(r, 2, "Diagnosis:", cli_text(x, "diagnosis"));
}

/* A program gave this socket its keys; nothing of it is configured. */
static void socket_lines(const struct cli_render *r, const json_t *s)
{
    const json_t *peer;
    size_t i;

    line(r, 2, "Keys:", "the socket's own");
    fprintf(r->out, "  %-30s local %s, port %" JSON_INTEGER_FORMAT ", ICMP errors %s%s%s\n",
            "Socket:", cli_text(s, "local"), cli_integer(s, "port"),
            cli_true(s, "accept_icmp") ? "accepted" : "ignored",
            cli_text(s, "zone")[0] != '\0' ? ", in " : "", cli_text(s, "zone"));
    json_array_foreach(json_object_get(s, "peers"), i, peer)
        line(r, 2, i == 0 ? "Peers:" : "", cli_string(peer));
}

static void configured_lines(const struct cli_render *r, const json_t *s)
{
    fprintf(r->out, "  %-30s peer %s, local %s, port %" JSON_INTEGER_FORMAT "%s%s%s%s\n",
            "Configured:", cli_text(s, "peer"), cli_text(s, "local"), cli_integer(s, "port"),
            cli_has(s, "netns") ? ", network namespace " : "", cli_text(s, "netns"),
            cli_has(s, "vrf") ? ", VRF " : "", cli_text(s, "vrf"));
    fprintf(r->out, "  %-30s %s, %s, ICMP errors %s\n", "Mode:", cli_text(s, "mode"),
            strcmp(cli_text(s, "direction"), "active") == 0    ? "we open"
            : strcmp(cli_text(s, "direction"), "passive") == 0 ? "the peer opens"
                                                               : "either end opens",
            cli_true(s, "accept_icmp") ? "accepted" : "ignored");
    if (cli_has(s, "ike_peer"))
        fprintf(r->out, "  %-30s by IKE with %s%s%s\n", "Keychain:", cli_text(s, "ike_peer"),
                cli_true(s, "fallback") ? ", else " : "", cli_text(s, "key_chain"));
    else
        line(r, 2, "Keychain:", cli_text(s, "key_chain"));
    /* The usual case needs no line. */
    if (strcmp(cli_text(s, "backend"), "auto") != 0 ||
        strcmp(cli_text(s, "backend_in_use"), "engine") != 0)
        fprintf(r->out, "  %-30s %s, in use: %s\n", "Backend:", cli_text(s, "backend"),
                cli_text(s, "backend_in_use"));
}

static void session_block(const struct cli_render *r, const json_t *s)
{
    const json_t *c;
    size_t i;

    fputs("Session ", r->out);
    cli_put(cli_text(s, "name"), r->out);
    fprintf(r->out, ": %s\n", cli_true(s, "loaded") ? cli_text(s, "state") : "not in force");
    if (cli_has(s, "description"))
        line(r, 2, "Description:", cli_text(s, "description"));
    cli_render_warnings(r, s, "  WARNING: ");
    if (cli_true(s, "own_keys"))
        socket_lines(r, s);
    else
        configured_lines(r, s);
    pair_line(r, 2, "Packets in/out:", s, "packets_in", "packets_out");
    refusal_lines(r, s);
    event_line(r, 2, s);
    json_array_foreach(json_object_get(s, "connections"), i, c) connection_block(r, c);
    counters_lines(r, 2, json_object_get(s, "counters"));
    cli_render_key_counters(r, json_object_get(s, "keys"));
}

void cli_render_session(const struct cli_render *r, const json_t *answer)
{
    const json_t *sessions = json_object_get(answer, "sessions"), *s;
    size_t i;

    if (json_array_size(sessions) == 0)
        fputs("No session is configured, and no socket has keys of its own.\n", r->out);
    if (!r->detail) {
        summary(r, sessions);
        return;
    }
    json_array_foreach(sessions, i, s)
    {
        if (i > 0)
            fputc('\n', r->out);
        session_block(r, s);
    }
}
