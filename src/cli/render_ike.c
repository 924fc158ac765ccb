/* show ike …. */
#include "cli/render.h"

#include <string.h>

#include "cli/table.h"
#include "control/format.h"

enum { PLACE_TEXT = 320 };

/* " in blue, VRF red", or nothing. */
static const char *place(const json_t *object, char *buf, size_t size)
{
    bool netns = cli_has(object, "netns"), vrf = cli_has(object, "vrf");

    (void)snprintf(buf, size, "%s%s%s%s", netns || vrf ? " in " : "",
                   netns ? cli_text(object, "netns") : "", vrf ? netns ? ", VRF " : "VRF " : "",
                   vrf ? cli_text(object, "vrf") : "");
    return buf;
}

/* The address of ours that a peer is called from, or why there is none. */
static const char *source(const json_t *peer)
{
    if (cli_has(peer, "source"))
        return cli_text(peer, "source");
    if (cli_has(peer, "source_error"))
        return cli_text(peer, "source_error");
    return cli_true(peer, "responder_only") ? "any" : "not known yet";
}

/* ---- Peers ---------------------------------------------------------------------------------- */

void cli_render_ike_peer(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {"Peer",    "State", ">SAs",    ">Children",
                                         "Gateway", "From",  "Last up", "Last failure"};
    const json_t *peers = json_object_get(answer, "peers"), *p, *failure;
    char where[PLACE_TEXT];
    struct cli_table t;
    size_t i;

    if (json_array_size(peers) == 0)
        fputs("No IKE peer is configured.\n", r->out);
    cli_table_init(&t, titles, 8);
    json_array_foreach(peers, i, p)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%s", cli_text(p, "name"));
        cli_table_cell(&t, 1, "%s", cli_text(p, "state"));
        cli_table_cell(&t, 2, "%" JSON_INTEGER_FORMAT, cli_integer(p, "sas"));
        cli_table_cell(&t, 3, "%" JSON_INTEGER_FORMAT, cli_integer(p, "children"));
        cli_table_cell(&t, 4, "%s", cli_text(p, cli_has(p, "gateway") ? "gateway" : "remote"));
        cli_table_cell(&t, 5, "%s%s", source(p), place(p, where, sizeof(where)));
        cli_table_cell(&t, 6, "%s", cli_has(p, "last_up") ? cli_text(p, "last_up") : "never");
        failure = json_object_get(p, "last_failure");
        if (cli_has(failure, "reason"))
            cli_table_cell(&t, 7, "%s %s", cli_text(failure, "time"), cli_text(failure, "reason"));
    }
    cli_table_print(&t, 0, r->out);
}

/* ---- SAs ------------------------------------------------------------------------------------ */

static void line(const struct cli_render *r, const char *label, const char *text)
{
    fprintf(r->out, "  %-22s ", label);
    cli_put(text, r->out);
    fputc('\n', r->out);
}

static void child_line(const struct cli_render *r, const json_t *c)
{
    char local[400], remote[400];

    fprintf(r->out, "  Child SA %" JSON_INTEGER_FORMAT " (", cli_integer(c, "id"));
    cli_put(cli_text(c, "name"), r->out);
    fprintf(r->out, "): %s %s, SPI in %s out %s\n    %s === %s\n", cli_text(c, "protocol"),
            cli_text(c, "mode"), cli_text(c, "spi_in"), cli_text(c, "spi_out"),
            cli_joined(json_object_get(c, "local_ts"), local, sizeof(local)),
            cli_joined(json_object_get(c, "remote_ts"), remote, sizeof(remote)));
}

/* How an end authenticated. */
static const char *by(const json_t *s, const char *field)
{
    return cli_has(s, field) ? cli_text(s, field) : "nothing yet, or a ticket";
}

static void sa_block(const struct cli_render *r, const json_t *s)
{
    char buf[GH_SPAN_TEXT], more[GH_SPAN_TEXT], text[400], where[PLACE_TEXT];
    const json_t *c;
    size_t i;

    fprintf(r->out, "IKE SA %" JSON_INTEGER_FORMAT " with ", cli_integer(s, "id"));
    cli_put(cli_has(s, "peer") ? cli_text(s, "peer") : "(nobody known yet)", r->out);
    fprintf(r->out, ": %s, we are the %s\n", cli_text(s, "state"), cli_text(s, "role"));
    fprintf(r->out, "  %-22s %s, %s%s%s\n", "Local, remote:", cli_text(s, "local"),
            cli_text(s, "remote"), place(s, where, sizeof(where)),
            cli_true(s, "mobike") ? "; both may move" : "");
    line(r, "Local identity:", cli_text(s, "local_id"));
    line(r, "Remote identity:", cli_text(s, "remote_id"));
    fprintf(r->out, "  %-22s we by %s, the peer by %s\n", "Proof:", by(s, "local_auth"),
            by(s, "remote_auth"));
    if (cli_has(s, "certificate"))
        line(r, "Our certificate:", cli_text(s, "certificate"));
    if (cli_has(s, "trust_anchor"))
        line(r, "Trust anchor:", cli_text(s, "trust_anchor"));
    fprintf(r->out, "  %-22s %s, %s\n", "SPIs:", cli_text(s, "spi_i"), cli_text(s, "spi_r"));
    fprintf(r->out, "  %-22s %s%s\n",
            "Algorithms:", cli_joined(json_object_get(s, "suite"), text, sizeof(text)),
            cli_true(s, "ppk") ? ", with a PPK" : "");
    fprintf(r->out, "  %-22s %s, rekeyed %" JSON_INTEGER_FORMAT " times, next in %s\n",
            "Up for:", cli_span(s, "uptime", buf), cli_integer(s, "rekeys"),
            cli_span(s, "rekey_in", more));
    line(r, "Expires in:", cli_span(s, "expires_in", buf));
    fprintf(r->out, "  %-22s %s%s%s\n",
            "Between us:", cli_true(s, "nat_local") ? "a NAT before us, " : "",
            cli_true(s, "nat_remote") ? "a NAT before the peer, " : "",
            cli_true(s, "fragmentation") ? "messages are fragmented" : "no fragmentation");
    fprintf(r->out, "  %-22s %s%s%s\n", "Extensions:", cli_true(s, "mobike") ? "MOBIKE, " : "",
            cli_true(s, "can_redirect") ? "the peer can be sent elsewhere, " : "",
            cli_true(s, "peer_token") ? "a crash of the peer shows at once"
                                      : "a crash of the peer shows by its silence");
    fprintf(r->out,
            "  %-22s next to send %" JSON_INTEGER_FORMAT ", to receive %" JSON_INTEGER_FORMAT "\n",
            "Message IDs:", cli_integer(s, "next_send_id"), cli_integer(s, "next_receive_id"));
    fprintf(r->out, "  %-22s %" JSON_INTEGER_FORMAT ", the peer's %" JSON_INTEGER_FORMAT "\n",
            "Window:", cli_integer(s, "window"), cli_integer(s, "peer_window"));
    json_array_foreach(json_object_get(s, "child_sas"), i, c) child_line(r, c);
}

void cli_render_ike_sa(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {">SA",    "Peer",     "State",     "Remote",
                                         "Uptime", "Rekey in", ">Children", "Algorithms"};
    const json_t *sas = json_object_get(answer, "sas"), *s;
    char buf[GH_SPAN_TEXT], text[400], where[PLACE_TEXT];
    struct cli_table t;
    size_t i;

    if (json_array_size(sas) == 0)
        fputs("There is no IKE SA.\n", r->out);
    cli_table_init(&t, titles, 8);
    json_array_foreach(sas, i, s)
    {
        if (r->detail) {
            if (i > 0)
                fputc('\n', r->out);
            sa_block(r, s);
            continue;
        }
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%" JSON_INTEGER_FORMAT, cli_integer(s, "id"));
        cli_table_cell(&t, 1, "%s", cli_has(s, "peer") ? cli_text(s, "peer") : "-");
        cli_table_cell(&t, 2, "%s", cli_text(s, "state"));
        cli_table_cell(&t, 3, "%s%s", cli_text(s, "remote"), place(s, where, sizeof(where)));
        cli_table_cell(&t, 4, "%s", cli_span(s, "uptime", buf));
        cli_table_cell(&t, 5, "%s", cli_span(s, "rekey_in", buf));
        cli_table_cell(&t, 6, "%" JSON_INTEGER_FORMAT, cli_integer(s, "children"));
        cli_table_cell(&t, 7, "%s", cli_joined(json_object_get(s, "suite"), text, sizeof(text)));
    }
    cli_table_print(&t, 0, r->out);
}

void cli_render_ike_child(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {">Child", ">SA",     "Peer",  "Name",   "Protocol", "Mode",
                                         "SPI in", "SPI out", "Local", "Remote", "From",     "To"};
    const json_t *children = json_object_get(answer, "children"), *c;
    char text[400];
    struct cli_table t;
    size_t i;

    if (json_array_size(children) == 0)
        fputs("There is no Child SA.\n", r->out);
    cli_table_init(&t, titles, 12);
    json_array_foreach(children, i, c)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%" JSON_INTEGER_FORMAT, cli_integer(c, "id"));
        cli_table_cell(&t, 1, "%" JSON_INTEGER_FORMAT, cli_integer(c, "sa"));
        cli_table_cell(&t, 2, "%s", cli_text(c, "peer"));
        cli_table_cell(&t, 3, "%s", cli_text(c, "name"));
        cli_table_cell(&t, 4, "%s", cli_text(c, "protocol"));
        cli_table_cell(&t, 5, "%s", cli_text(c, "mode"));
        cli_table_cell(&t, 6, "%s", cli_text(c, "spi_in"));
        cli_table_cell(&t, 7, "%s", cli_text(c, "spi_out"));
        cli_table_cell(&t, 8, "%s", cli_joined(json_object_get(c, "local_ts"), text, sizeof(text)));
        cli_table_cell(&t, 9, "%s",
                       cli_joined(json_object_get(c, "remote_ts"), text, sizeof(text)));
        cli_table_cell(&t, 10, "%s", cli_text(c, "local"));
        cli_table_cell(&t, 11, "%s", cli_text(c, "remote"));
    }
    cli_table_print(&t, 0, r->out);
}

/* ---- Statistics ----------------------------------------------------------------------------- */

/* Those that are not zero. */
static void counters_table(const struct cli_render *r, json_t *counters, const char *title)
{
    const char *const titles[] = {title, ">Count"};
    const json_t *value;
    const char *name;
    struct cli_table t;

    cli_table_init(&t, titles, 2);
    json_object_foreach(counters, name, value)
    {
        if (json_integer_value(value) == 0)
            continue;
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%s", name);
        cli_table_cell(&t, 1, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    }
    cli_table_print(&t, 0, r->out);
}

static void failures_table(const struct cli_render *r, const json_t *failures)
{
    static const char *const titles[] = {"Failure", ">Count", "Last", "In words"};
    const json_t *f;
    struct cli_table t;
    size_t i;

    cli_table_init(&t, titles, 4);
    json_array_foreach(failures, i, f)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%s", cli_text(f, "reason"));
        cli_table_cell(&t, 1, "%" JSON_INTEGER_FORMAT, cli_integer(f, "count"));
        cli_table_cell(&t, 2, "%s", cli_text(f, "time"));
        cli_table_cell(&t, 3, "%s", cli_text(f, "text"));
    }
    cli_table_print(&t, 0, r->out);
}

void cli_render_ike_statistics(const struct cli_render *r, const json_t *answer)
{
    const json_t *rates = json_object_get(answer, "set_ups"), *s;
    const json_t *keeper = json_object_get(answer, "keeper");
    char where[PLACE_TEXT];
    size_t i;

    fprintf(r->out,
            "Set-ups:  %" JSON_INTEGER_FORMAT " in the last second, %" JSON_INTEGER_FORMAT
            " in 10 seconds, %" JSON_INTEGER_FORMAT " in 60 seconds\n",
            cli_integer(rates, "last_second"), cli_integer(rates, "last_10_seconds"),
            cli_integer(rates, "last_60_seconds"));
    fprintf(r->out, "Keeper:   %s, %" JSON_INTEGER_FORMAT " requests wait\n",
            cli_true(keeper, "connected") ? "there" : "AWAY", cli_integer(keeper, "waiting"));
    fprintf(r->out, "Memory:   %" JSON_INTEGER_FORMAT " KiB for SAs\n",
            cli_integer(answer, "memory") / 1024);
    json_array_foreach(json_object_get(answer, "sockets"), i, s)
    {
        if (!cli_true(s, "open"))
            fprintf(r->out, "WARNING:  no socket on UDP port %" JSON_INTEGER_FORMAT " (%s)%s: %s\n",
                    cli_integer(s, "port"), cli_text(s, "family"), place(s, where, sizeof(where)),
                    cli_text(s, "error"));
    }
    counters_table(r, json_object_get(answer, "sas"), "IKE SAs");
    failures_table(r, json_object_get(answer, "failures"));
    counters_table(r, json_object_get(answer, "counters"), "Counter");
    counters_table(r, json_object_get(answer, "udp"), "Datagrams");
}

void cli_render_ike_lockout(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {"Client", ">Port", "State", ">Failures", "Ends in"};
    const json_t *clients = json_object_get(answer, "clients"), *c;
    char buf[GH_SPAN_TEXT], where[PLACE_TEXT];
    struct cli_table t;
    size_t i;

    if (!cli_true(answer, "enabled"))
        fputs("Nobody is locked out: it is not configured.\n", r->out);
    else if (json_array_size(clients) == 0)
        fputs("Nobody has failed lately.\n", r->out);
    cli_table_init(&t, titles, 5);
    json_array_foreach(clients, i, c)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%s%s", cli_text(c, "address"), place(c, where, sizeof(where)));
        if (cli_has(c, "port"))
            cli_table_cell(&t, 1, "%" JSON_INTEGER_FORMAT, cli_integer(c, "port"));
        cli_table_cell(&t, 2, "%s", cli_true(c, "blocked") ? "blocked" : "watched");
        cli_table_cell(&t, 3, "%" JSON_INTEGER_FORMAT, cli_integer(c, "failures"));
        cli_table_cell(&t, 4, "%s",
                       cli_has(c, "ends_in") ? cli_span(c, "ends_in", buf) : "when cleared");
    }
    cli_table_print(&t, 0, r->out);
}
