/* show key-chain: Junos' columns; with detail one block a chain. */
#include "cli/render.h"

#include "cli/table.h"
#include "control/format.h"

/* "1 (3)": key 1, id 3 on the wire. */
static void id_cell(struct cli_table *t, size_t column, const json_t *id)
{
    if (json_is_object(id))
        cli_table_cell(t, column, "%" JSON_INTEGER_FORMAT " (%" JSON_INTEGER_FORMAT ")",
                       cli_integer(id, "key"), cli_integer(id, "id"));
    else
        cli_table_cell(t, column, "none");
}

static void span_cell(struct cli_table *t, size_t column, const json_t *o, const char *field,
                      const char *otherwise)
{
    char span[GH_SPAN_TEXT];

    if (!cli_has(o, field))
        cli_table_cell(t, column, "%s", otherwise);
    else if (cli_integer(o, field) <= 0)
        cli_table_cell(t, column, "over");
    else
        cli_table_cell(t, column, "%s", gh_span_format(cli_integer(o, field), span));
}

static void summary(const struct cli_render *r, const json_t *chains)
{
    static const char *const titles[] = {"Keychain",     "Active-ID send",  "Active-ID receive",
                                         "Next-ID send", "Next-ID receive", "Transition",
                                         ">Tolerance",   "Expires"};
    struct cli_table t;
    const json_t *c;
    size_t i;

    cli_table_init(&t, titles, 8);
    json_array_foreach(chains, i, c)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%s", cli_text(c, "name"));
        id_cell(&t, 1, json_object_get(c, "active_send"));
        id_cell(&t, 2, json_object_get(c, "active_receive"));
        id_cell(&t, 3, json_object_get(c, "next_send"));
        id_cell(&t, 4, json_object_get(c, "next_receive"));
        span_cell(&t, 5, c, "transition_in", "never");
        cli_table_cell(&t, 6, "%" JSON_INTEGER_FORMAT, cli_integer(c, "tolerance"));
        span_cell(&t, 7, c, "expires_in", cli_has(c, "expires") ? "never" : "no key");
    }
    cli_table_print(&t, 0, r->out);
}

static void lifetime(const struct cli_render *r, const char *label, const json_t *l)
{
    fprintf(r->out, "    %s %s to %s\n", label, cli_text(l, "from"), cli_text(l, "until"));
}

static void key_block(const struct cli_render *r, const json_t *k)
{
    char span[GH_SPAN_TEXT];

    fprintf(r->out,
            "  Id %" JSON_INTEGER_FORMAT ": send-id %" JSON_INTEGER_FORMAT
            ", recv-id %" JSON_INTEGER_FORMAT "\n",
            cli_integer(k, "key"), cli_integer(k, "send_id"), cli_integer(k, "recv_id"));
    fprintf(r->out, "    Algorithm:       %s, MAC of %" JSON_INTEGER_FORMAT " octets\n",
            cli_text(k, "algorithm"), cli_integer(k, "mac_length"));
    fprintf(r->out, "    State:           %s\n", cli_text(k, "state"));
    fprintf(r->out, "    Option:          tcp-ao, other TCP options %s\n",
            cli_true(k, "include_tcp_options") ? "covered" : "not covered");
    fprintf(r->out, "    Mode:            %s%s\n", cli_text(k, "mode"),
            cli_true(k, "accept_mismatch") ? ", WRONG MACS ACCEPTED" : "");
    lifetime(r, "Send lifetime:  ", json_object_get(k, "send_lifetime"));
    lifetime(r, "Accept lifetime:", json_object_get(k, "accept_lifetime"));
    if (cli_has(k, "expires_in") && cli_integer(k, "expires_in") > 0)
        fprintf(r->out, "    Time left:       %s\n",
                gh_span_format(cli_integer(k, "expires_in"), span));
    else
        fprintf(r->out, "    Time left:       %s\n", cli_has(k, "expires_in") ? "none" : "no end");
    fprintf(r->out, "    Secret:          %s\n", cli_text(k, "secret_source"));
}

static void users(const struct cli_render *r, const json_t *names)
{
    const json_t *name;
    size_t i;

    fputs("  Used by:           ", r->out);
    if (json_array_size(names) == 0)
        fputs("no session", r->out);
    json_array_foreach(names, i, name)
    {
        fputs(i > 0 ? ", " : "", r->out);
        cli_put(cli_string(name), r->out);
    }
    fputc('\n', r->out);
}

static void outlook(const struct cli_render *r, const json_t *c)
{
    static const char *const titles[] = {"", "Send", "Receive"};
    char span[GH_SPAN_TEXT];
    struct cli_table t;

    cli_table_init(&t, titles, 3);
    cli_table_row(&t);
    cli_table_cell(&t, 0, "Active key (id):");
    id_cell(&t, 1, json_object_get(c, "active_send"));
    id_cell(&t, 2, json_object_get(c, "active_receive"));
    cli_table_row(&t);
    cli_table_cell(&t, 0, "Next key (id):");
    id_cell(&t, 1, json_object_get(c, "next_send"));
    id_cell(&t, 2, json_object_get(c, "next_receive"));
    cli_table_print(&t, 2, r->out);
    if (cli_has(c, "transition"))
        fprintf(r->out, "  Transition:        %s, in %s\n", cli_text(c, "transition"),
                gh_span_format(cli_integer(c, "transition_in"), span));
    if (!cli_has(c, "expires"))
        fputs("  Expires:           has no key\n", r->out);
    else if (!cli_has(c, "expires_in"))
        fputs("  Expires:           never\n", r->out);
    else if (cli_integer(c, "expires_in") > 0)
        fprintf(r->out, "  Expires:           %s, in %s\n", cli_text(c, "expires"),
                gh_span_format(cli_integer(c, "expires_in"), span));
    else
        fprintf(r->out, "  Expired:           %s, %s ago\n", cli_text(c, "expires"),
                gh_span_format(-cli_integer(c, "expires_in"), span));
}

static void block(const struct cli_render *r, const json_t *c)
{
    const json_t *k;
    size_t i;

    fputs("Keychain ", r->out);
    cli_put(cli_text(c, "name"), r->out);
    fprintf(r->out, ", tolerance %" JSON_INTEGER_FORMAT " s\n", cli_integer(c, "tolerance"));
    if (cli_has(c, "description"))
        cli_wrap("  Description:       ", 21, cli_text(c, "description"), r->width, r->out);
    outlook(r, c);
    users(r, json_object_get(c, "sessions"));
    cli_render_warnings(r, c, "  WARNING: ");
    json_array_foreach(json_object_get(c, "keys"), i, k) key_block(r, k);
}

void cli_render_key_chain(const struct cli_render *r, const json_t *answer)
{
    const json_t *chains = json_object_get(answer, "key_chains"), *c;
    size_t i;

    if (json_array_size(chains) == 0)
        fputs("No key chain is configured.\n", r->out);
    if (!r->detail) {
        summary(r, chains);
        json_array_foreach(chains, i, c) cli_render_warnings(r, c, "WARNING: ");
        return;
    }
    json_array_foreach(chains, i, c)
    {
        if (i > 0)
            fputc('\n', r->out);
        block(r, c);
    }
}
