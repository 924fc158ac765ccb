/* show ipsec tunnel, show ipsec gateway, show ipsec policy. */
#include "cli/render.h"

#include <stdint.h>
#include <string.h>

#include "cli/table.h"
#include "control/format.h"

enum { LIST_TEXT = 400, LABEL = 18 };

static void line(const struct cli_render *r, const char *label, const char *text)
{
    fprintf(r->out, "  %-*s ", LABEL, label);
    cli_put(text, r->out);
    fputc('\n', r->out);
}

static void where(const struct cli_render *r, const json_t *o)
{
    if (cli_has(o, "netns"))
        line(r, "Namespace:", cli_text(o, "netns"));
    if (cli_has(o, "vrf"))
        line(r, "VRF:", cli_text(o, "vrf"));
}

/* "down (admin)" tells what nobody need look after. */
static const char *state(const json_t *o)
{
    if (cli_has(o, "stopped")) /* whatever IKE says: nobody carries its packets */
        return "stopped";
    return strcmp(cli_text(o, "admin"), "down") == 0 && strcmp(cli_text(o, "state"), "up") != 0
               ? "admin down"
               : cli_text(o, "state");
}

/* ---- Tunnels -------------------------------------------------------------------------------- */

/* Packets of a direction, of all its SAs. */
static json_int_t packets(const json_t *tunnel, const char *way)
{
    const json_t *sa;
    json_int_t sum = 0;
    size_t i;

    json_array_foreach(json_object_get(tunnel, "sas"), i, sa) sum +=
        cli_integer(json_object_get(sa, way), "packets");
    return sum;
}

static json_int_t drops(const json_t *tunnel)
{
    const json_t *sa;
    json_int_t sum = 0;
    size_t i;

    json_array_foreach(json_object_get(tunnel, "sas"), i, sa)
    {
        for (int way = 0; way < 2; way++) {
            json_t *counts = json_object_get(json_object_get(sa, way == 0 ? "in" : "out"), "drops");
            const char *name;
            json_t *value;

            json_object_foreach(counts, name, value) sum += json_integer_value(value);
        }
    }
    return sum;
}

static void error_line(const struct cli_render *r, const json_t *tunnel)
{
    const json_t *e = json_object_get(tunnel, "last_error");

    if (!cli_has(e, "reason"))
        return;
    fprintf(r->out, "  %-*s %s, %s, %" JSON_INTEGER_FORMAT " times\n", LABEL,
            "Last failure:", cli_text(e, "time"), cli_text(e, "reason"), cli_integer(e, "count"));
    line(r, "", cli_text(e, "text"));
}

static void proof_lines(const struct cli_render *r, const json_t *ike)
{
    if (cli_has(ike, "local_auth") || cli_has(ike, "remote_auth"))
        fprintf(r->out, "  %-*s we by %s, the peer by %s\n", LABEL,
                "Proof:", cli_has(ike, "local_auth") ? cli_text(ike, "local_auth") : "a ticket",
                cli_has(ike, "remote_auth") ? cli_text(ike, "remote_auth") : "a ticket");
    if (cli_has(ike, "certificate"))
        line(r, "Our certificate:", cli_text(ike, "certificate"));
    if (cli_has(ike, "trust_anchor"))
        line(r, "Trust anchor:", cli_text(ike, "trust_anchor"));
}

static void ike_lines(const struct cli_render *r, const json_t *ike)
{
    const json_t *messages = json_object_get(ike, "messages");
    const json_t *liveness = json_object_get(ike, "liveness");
    char text[LIST_TEXT], one[GH_SPAN_TEXT], two[GH_SPAN_TEXT], three[GH_SPAN_TEXT];

    if (!json_is_object(ike))
        return;
    fprintf(r->out, "  %-*s %" JSON_INTEGER_FORMAT ", %s, we are the %s\n", LABEL,
            "IKE SA:", cli_integer(ike, "id"), cli_text(ike, "state"), cli_text(ike, "role"));
    fprintf(r->out, "  %-*s %s, %s\n", LABEL, "Ends:", cli_text(ike, "local"),
            cli_text(ike, "remote"));
    line(r, "Local identity:", cli_text(ike, "local_id"));
    line(r, "Remote identity:", cli_text(ike, "remote_id"));
    proof_lines(r, ike);
    line(r, "Algorithms:", cli_joined(json_object_get(ike, "suite"), text, sizeof(text)));
    fprintf(r->out, "  %-*s up for %s, rekeyed in %s, expires in %s\n", LABEL,
            "Lifetime:", cli_span(ike, "uptime", one), cli_span(ike, "rekey_in", two),
            cli_span(ike, "expires_in", three));
    fprintf(r->out,
            "  %-*s %" JSON_INTEGER_FORMAT " in, %" JSON_INTEGER_FORMAT
            " out, %" JSON_INTEGER_FORMAT " of them again, %" JSON_INTEGER_FORMAT " bad\n",
            LABEL, "Messages:", cli_integer(messages, "in"), cli_integer(messages, "out"),
            cli_integer(messages, "retransmitted"), cli_integer(messages, "bad"));
    fprintf(r->out,
            "  %-*s asked %" JSON_INTEGER_FORMAT " times, answered %" JSON_INTEGER_FORMAT
            ", without an answer %" JSON_INTEGER_FORMAT ", was asked %" JSON_INTEGER_FORMAT "\n",
            LABEL, "Liveness:", cli_integer(liveness, "sent"), cli_integer(liveness, "answered"),
            cli_integer(liveness, "timeouts"), cli_integer(liveness, "heard"));
}

static void direction_line(const struct cli_render *r, const json_t *sa, const char *way)
{
    const json_t *one = json_object_get(sa, way);
    json_t *counts = json_object_get(one, "drops");
    const char *name;
    json_t *value;

    if (!json_is_object(one))
        return;
    fprintf(r->out,
            "    %-3s SPI %s: %" JSON_INTEGER_FORMAT " packets, %" JSON_INTEGER_FORMAT
            " octets, by %s",
            way, cli_text(one, "spi"), cli_integer(one, "packets"), cli_integer(one, "octets"),
            cli_text(one, "back_end"));
    json_object_foreach(counts, name, value)
        fprintf(r->out, ", %s %" JSON_INTEGER_FORMAT, name, json_integer_value(value));
    fputc('\n', r->out);
}

static void left_line(const struct cli_render *r, const json_t *sa)
{
    const json_t *algorithms = json_object_get(sa, "algorithms");

    fprintf(r->out,
            "    IV of %" JSON_INTEGER_FORMAT " octets, ICV of %" JSON_INTEGER_FORMAT
            ", replay window %" JSON_INTEGER_FORMAT,
            cli_integer(algorithms, "iv"), cli_integer(algorithms, "icv"),
            cli_integer(json_object_get(sa, "traffic"), "replay_window"));
    if (cli_has(sa, "octets_left"))
        fprintf(r->out, ", %" JSON_INTEGER_FORMAT " octets left", cli_integer(sa, "octets_left"));
    if (cli_has(sa, "packets_left"))
        fprintf(r->out, ", %" JSON_INTEGER_FORMAT " packets left", cli_integer(sa, "packets_left"));
    fputc('\n', r->out);
}

static void sa_lines(const struct cli_render *r, const json_t *sa)
{
    const json_t *algorithms = json_object_get(sa, "algorithms");
    char one[LIST_TEXT], two[LIST_TEXT], left[GH_SPAN_TEXT];

    fprintf(r->out, "  Child SA %" JSON_INTEGER_FORMAT ", %s: %s %s, %s%s%s%s\n",
            cli_integer(sa, "id"), cli_text(sa, "state"), cli_text(sa, "protocol"),
            cli_text(sa, "mode"), cli_text(algorithms, "encryption"),
            cli_has(algorithms, "integrity") ? " " : "", cli_text(algorithms, "integrity"),
            cli_true(algorithms, "esn") ? ", ESN" : "");
    fprintf(r->out, "    %s === %s\n",
            cli_joined(json_object_get(sa, "local_ts"), one, sizeof(one)),
            cli_joined(json_object_get(sa, "remote_ts"), two, sizeof(two)));
    fprintf(r->out, "    expires in %s%s", cli_span(sa, "expires", left),
            cli_true(sa, "udp") ? ", in UDP" : "");
    if (cli_has(sa, "overhead"))
        fprintf(r->out, ", adds up to %" JSON_INTEGER_FORMAT " octets",
                cli_integer(sa, "overhead"));
    if (cli_has(sa, "path_mtu"))
        fprintf(r->out, ", the path takes %" JSON_INTEGER_FORMAT, cli_integer(sa, "path_mtu"));
    fputc('\n', r->out);
    left_line(r, sa);
    direction_line(r, sa, "in");
    direction_line(r, sa, "out");
}

static void tunnel_block(const struct cli_render *r, const json_t *t)
{
    char text[LIST_TEXT], idle[GH_SPAN_TEXT];
    const json_t *sa;
    size_t i;

    cli_put(cli_text(t, "peer"), r->out);
    fputc(' ', r->out);
    cli_put(cli_text(t, "child"), r->out);
    fprintf(r->out, ": %s\n", state(t));
    line(r, "Mode:", cli_text(t, "mode"));
    where(r, t);
    if (cli_has(t, "gateway"))
        line(r, "Gateway:", cli_text(t, "gateway"));
    line(r, "Local:", cli_joined(json_object_get(t, "local_ts"), text, sizeof(text)));
    line(r, "Remote:", cli_joined(json_object_get(t, "remote_ts"), text, sizeof(text)));
    if (cli_has(t, "idle_timeout"))
        fprintf(r->out, "  %-*s ends after %s without a packet\n", LABEL,
                "Idle:", cli_span(t, "idle_timeout", idle));
    ike_lines(r, json_object_get(t, "ike_sa"));
    json_array_foreach(json_object_get(t, "sas"), i, sa) sa_lines(r, sa);
    error_line(r, t);
}

void cli_render_ipsec_tunnel(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {"Peer",  "Child",    "State",       "Gateway",
                                         "Local", "Remote",   "Up for",      ">In",
                                         ">Out",  ">Dropped", "Last failure"};
    const json_t *tunnels = json_object_get(answer, "tunnels"), *t;
    char text[LIST_TEXT], up[GH_SPAN_TEXT];
    struct cli_table table;
    size_t i;

    if (json_array_size(tunnels) == 0) {
        fputs("There is no tunnel.\n", r->out);
        return;
    }
    cli_table_init(&table, titles, sizeof(titles) / sizeof(titles[0]));
    json_array_foreach(tunnels, i, t)
    {
        bool is_up = strcmp(cli_text(t, "state"), "up") == 0;

        if (r->detail) {
            fputs(i > 0 ? "\n" : "", r->out);
            tunnel_block(r, t);
            continue;
        }
        cli_table_row(&table);
        cli_table_cell(&table, 0, "%s", cli_text(t, "peer"));
        cli_table_cell(&table, 1, "%s", cli_text(t, "child"));
        cli_table_cell(&table, 2, "%s", state(t));
        cli_table_cell(&table, 3, "%s", cli_text(t, "gateway"));
        cli_table_cell(&table, 4, "%s",
                       cli_joined(json_object_get(t, "local_ts"), text, sizeof(text)));
        cli_table_cell(&table, 5, "%s",
                       cli_joined(json_object_get(t, "remote_ts"), text, sizeof(text)));
        if (is_up)
            cli_table_cell(&table, 6, "%s", cli_span(json_object_get(t, "ike_sa"), "uptime", up));
        cli_table_cell(&table, 7, "%" JSON_INTEGER_FORMAT, packets(t, "in"));
        cli_table_cell(&table, 8, "%" JSON_INTEGER_FORMAT, packets(t, "out"));
        cli_table_cell(&table, 9, "%" JSON_INTEGER_FORMAT, drops(t));
        if (!is_up && cli_has(json_object_get(t, "last_error"), "reason"))
            cli_table_cell(&table, 10, "%s", cli_text(json_object_get(t, "last_error"), "reason"));
    }
    cli_table_print(&table, 0, r->out);
}

/* ---- Gateways ------------------------------------------------------------------------------- */

static const json_t *in_use(const json_t *peer)
{
    const json_t *g;
    size_t i;

    json_array_foreach(json_object_get(peer, "gateways"), i, g)
    {
        if (cli_true(g, "in_use"))
            return g;
    }
    return NULL;
}

static void carried_line(const struct cli_render *r, const char *label, const json_t *way)
{
    if (json_is_object(way))
        fprintf(r->out,
                "  %-*s %" JSON_INTEGER_FORMAT " packets, %" JSON_INTEGER_FORMAT
                " octets, by SAs of now\n",
                LABEL, label, cli_integer(way, "packets"), cli_integer(way, "octets"));
}

static void gateway_block(const struct cli_render *r, const json_t *p)
{
    const json_t *tunnels = json_object_get(p, "tunnels"), *g, *f;
    char span_text[GH_SPAN_TEXT];
    size_t i;

    cli_put(cli_text(p, "peer"), r->out);
    fprintf(r->out, ": %s\n", state(p));
    where(r, p);
    json_array_foreach(json_object_get(p, "gateways"), i, g) fprintf(
        r->out, "  %-*s %s, %s%s\n", LABEL, i == 0 ? "Gateways:" : "", cli_text(g, "address"),
        cli_text(g, "role"), cli_true(g, "in_use") ? ", in use" : "");
    if (json_is_integer(json_object_get(p, "revert")))
        fprintf(r->out, "  %-*s tried every %s\n", LABEL,
                "The primary:", cli_span(p, "revert", span_text));
    else if (cli_has(p, "revert"))
        line(r, "The primary:", "by `gatectl ike revert`");
    if (cli_integer(p, "failovers") > 0)
        fprintf(r->out, "  %-*s %" JSON_INTEGER_FORMAT " times, last %s\n", LABEL,
                "Did not answer:", cli_integer(p, "failovers"), cli_text(p, "since"));
    fprintf(r->out,
            "  %-*s %" JSON_INTEGER_FORMAT " up of %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
            " administratively down\n",
            LABEL, "Tunnels:", cli_integer(tunnels, "up"), cli_integer(tunnels, "configured"),
            cli_integer(tunnels, "admin_down"));
    carried_line(r, "Came in:", json_object_get(p, "in"));
    carried_line(r, "Went out:", json_object_get(p, "out"));
    line(r, "Last up:", cli_has(p, "last_up") ? cli_text(p, "last_up") : "never");
    line(r, "Last down:", cli_has(p, "last_down") ? cli_text(p, "last_down") : "never");
    json_array_foreach(json_object_get(p, "failures"), i, f)
    {
        fprintf(r->out, "  %-*s %s, %" JSON_INTEGER_FORMAT " times, first %s, last %s\n", LABEL,
                i == 0 ? "Failures:" : "", cli_text(f, "reason"), cli_integer(f, "count"),
                cli_text(f, "first"), cli_text(f, "time"));
        line(r, "", cli_text(f, "text"));
    }
}

static void totals(const struct cli_render *r, const json_t *answer)
{
    const json_t *limits = json_object_get(answer, "limits");
    const json_t *set_ups = json_object_get(answer, "set_ups");

    fprintf(r->out,
            "IKE SAs: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
            " refused beyond that.  Set-ups: %" JSON_INTEGER_FORMAT
            " IKE SAs, %" JSON_INTEGER_FORMAT " Child SAs; %" JSON_INTEGER_FORMAT
            " in 60 seconds.\n\n",
            cli_integer(limits, "ike_sas"), cli_integer(limits, "limit"),
            cli_integer(limits, "refused"), cli_integer(set_ups, "ike_sas"),
            cli_integer(set_ups, "child_sas"), cli_integer(set_ups, "last_60_seconds"));
}

void cli_render_ipsec_gateway(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {"Peer", "State",       "Gateway",
                                         "Role", ">Failovers",  ">Tunnels",
                                         ">Up",  ">Admin down", ">Failures"};
    const json_t *peers = json_object_get(answer, "gateways"), *p, *f;
    struct cli_table table;
    size_t i, k;

    if (json_array_size(peers) == 0) {
        fputs("No IKE peer has a tunnel.\n", r->out);
        return;
    }
    totals(r, answer);
    cli_table_init(&table, titles, sizeof(titles) / sizeof(titles[0]));
    json_array_foreach(peers, i, p)
    {
        const json_t *tunnels = json_object_get(p, "tunnels"), *g = in_use(p);
        json_int_t failures = 0;

        if (r->detail) {
            fputs(i > 0 ? "\n" : "", r->out);
            gateway_block(r, p);
            continue;
        }
        json_array_foreach(json_object_get(p, "failures"), k, f) failures +=
            cli_integer(f, "count");
        cli_table_row(&table);
        cli_table_cell(&table, 0, "%s", cli_text(p, "peer"));
        cli_table_cell(&table, 1, "%s", state(p));
        cli_table_cell(&table, 2, "%s", g != NULL ? cli_text(g, "address") : "any");
        cli_table_cell(&table, 3, "%s", cli_text(g, "role"));
        cli_table_cell(&table, 4, "%" JSON_INTEGER_FORMAT, cli_integer(p, "failovers"));
        cli_table_cell(&table, 5, "%" JSON_INTEGER_FORMAT, cli_integer(tunnels, "configured"));
        cli_table_cell(&table, 6, "%" JSON_INTEGER_FORMAT, cli_integer(tunnels, "up"));
        cli_table_cell(&table, 7, "%" JSON_INTEGER_FORMAT, cli_integer(tunnels, "admin_down"));
        cli_table_cell(&table, 8, "%" JSON_INTEGER_FORMAT, failures);
    }
    cli_table_print(&table, 0, r->out);
}

/* ---- Policies ------------------------------------------------------------------------------- */

static void put_count(struct cli_table *t, size_t column, const json_t *policy, const char *field)
{
    if (cli_has(policy, field))
        cli_table_cell(t, column, "%" JSON_INTEGER_FORMAT, cli_integer(policy, field));
}

void cli_render_ipsec_policy(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {
        ">Order", "Action", "Plane", "Peer",   "Child, name", "Way",         "Namespace",
        "VRF",    "Mode",   "Local", "Remote", ">Packets",    ">Without SA", ">Clear in"};
    const json_t *policies = json_object_get(answer, "policies"), *p;
    char text[LIST_TEXT];
    struct cli_table t;
    size_t i;

    if (json_array_size(policies) == 0) {
        fputs("There is no policy of IPsec.\n", r->out);
        return;
    }
    cli_table_init(&t, titles, sizeof(titles) / sizeof(titles[0]));
    json_array_foreach(policies, i, p)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%" JSON_INTEGER_FORMAT, cli_integer(p, "order"));
        cli_table_cell(&t, 1, "%s", cli_text(p, "action"));
        cli_table_cell(&t, 2, "%s", cli_text(p, "plane"));
        cli_table_cell(&t, 3, "%s", cli_text(p, "peer"));
        cli_table_cell(&t, 4, "%s%s", cli_text(p, "child"), cli_text(p, "name"));
        cli_table_cell(&t, 5, "%s", cli_text(p, "direction"));
        cli_table_cell(&t, 6, "%s", cli_text(p, "netns"));
        cli_table_cell(&t, 7, "%s", cli_text(p, "vrf"));
        cli_table_cell(&t, 8, "%s", cli_text(p, "mode"));
        cli_table_cell(&t, 9, "%s", cli_joined(json_object_get(p, "local_ts"), text, sizeof(text)));
        cli_table_cell(&t, 10, "%s",
                       cli_joined(json_object_get(p, "remote_ts"), text, sizeof(text)));
        put_count(&t, 11, p, "hits");
        put_count(&t, 12, p, "without_sa");
        put_count(&t, 13, p, "clear_in");
    }
    cli_table_print(&t, 0, r->out);
}
