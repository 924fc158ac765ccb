/* show status and show counters. */
#include "cli/render.h"

#include "cli/table.h"
#include "control/format.h"

enum { WARNINGS_SHOWN = 20 };

void cli_render_processes(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {"Process", ">Pid", "Uptime", ">Restarts"};
    char span[GH_SPAN_TEXT];
    struct cli_table t;
    const json_t *p;
    size_t i;

    cli_table_init(&t, titles, 4);
    json_array_foreach(json_object_get(answer, "processes"), i, p)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%s", cli_text(p, "name"));
        cli_table_cell(&t, 1, "%" JSON_INTEGER_FORMAT, cli_integer(p, "pid"));
        cli_table_cell(&t, 2, "%s", gh_span_format(cli_integer(p, "uptime"), span));
        cli_table_cell(&t, 3, "%" JSON_INTEGER_FORMAT, cli_integer(p, "restarts"));
    }
    cli_table_print(&t, 0, r->out);
}

static void some_warnings(const struct cli_render *r, const json_t *warnings)
{
    const json_t *w;
    size_t i, count = json_array_size(warnings);

    if (count == 0)
        fputs("No warnings.\n", r->out);
    json_array_foreach(warnings, i, w)
    {
        if (i == WARNINGS_SHOWN)
            break;
        cli_wrap("WARNING: ", 9, cli_text(w, "text"), r->width, r->out);
    }
    if (count > WARNINGS_SHOWN)
        fprintf(r->out, "and %zu more warnings: --json shows all\n", count - WARNINGS_SHOWN);
}

void cli_render_status(const struct cli_render *r, const json_t *answer)
{
    const json_t *sessions = json_object_get(answer, "sessions");
    const json_t *connections = json_object_get(answer, "connections");
    char span[GH_SPAN_TEXT];

    fprintf(r->out, "Gatehouse %s, up %s (since %s)\n", cli_text(answer, "version"),
            gh_span_format(cli_integer(answer, "uptime"), span), cli_text(answer, "started"));
    fprintf(r->out, "Configuration: %s\n", cli_text(answer, "configuration"));
    fprintf(r->out,
            "Sessions:      %" JSON_INTEGER_FORMAT " configured, %" JSON_INTEGER_FORMAT
            " up, %" JSON_INTEGER_FORMAT " opening, %" JSON_INTEGER_FORMAT " down\n",
            cli_integer(sessions, "configured"), cli_integer(sessions, "up"),
            cli_integer(sessions, "opening"), cli_integer(sessions, "down"));
    fprintf(r->out,
            "Connections:   %" JSON_INTEGER_FORMAT " established, %" JSON_INTEGER_FORMAT
            " unprotected, %" JSON_INTEGER_FORMAT " in all\n",
            cli_integer(connections, "established"),
            cli_integer(connections, "unprotected") + cli_integer(connections, "mismatched"),
            cli_integer(connections, "total"));
    some_warnings(r, json_object_get(answer, "warnings"));
}

static void counters_table(const struct cli_render *r, json_t *counters, const json_t *meanings)
{
    static const char *const titles[] = {"Counter", ">Packets", "Meaning"};
    const json_t *value;
    const char *name;
    struct cli_table t;

    cli_table_init(&t, titles, 3);
    json_object_foreach(counters, name, value)
    {
        if (!r->detail && json_integer_value(value) == 0)
            continue;
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%s", name);
        cli_table_cell(&t, 1, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        cli_table_cell(&t, 2, "%s", cli_text(meanings, name));
    }
    cli_table_print(&t, 2, r->out);
}

void cli_render_key_counters(const struct cli_render *r, const json_t *keys)
{
    static const char *const titles[] = {">Key", ">Good in", ">Bad in", ">Out"};
    struct cli_table t;
    const json_t *k;
    size_t i;

    cli_table_init(&t, titles, 4);
    json_array_foreach(keys, i, k)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%" JSON_INTEGER_FORMAT, cli_integer(k, "key"));
        cli_table_cell(&t, 1, "%" JSON_INTEGER_FORMAT, cli_integer(k, "good_in"));
        cli_table_cell(&t, 2, "%" JSON_INTEGER_FORMAT, cli_integer(k, "bad_in"));
        cli_table_cell(&t, 3, "%" JSON_INTEGER_FORMAT, cli_integer(k, "out"));
    }
    cli_table_print(&t, 2, r->out);
}

void cli_render_counters(const struct cli_render *r, const json_t *answer)
{
    const json_t *meanings = json_object_get(answer, "meanings"), *s;
    size_t i;

    fprintf(r->out, "All sessions: %" JSON_INTEGER_FORMAT " packets dropped\n",
            cli_integer(answer, "dropped"));
    counters_table(r, json_object_get(answer, "total"), meanings);
    json_array_foreach(json_object_get(answer, "sessions"), i, s)
    {
        fputs("\nSession ", r->out);
        cli_put(cli_text(s, "name"), r->out);
        fprintf(r->out, ": %" JSON_INTEGER_FORMAT " packets dropped\n", cli_integer(s, "dropped"));
        counters_table(r, json_object_get(s, "counters"), meanings);
        cli_render_key_counters(r, json_object_get(s, "keys"));
    }
    if (!r->detail)
        fputs("\nCounters that are zero are left out; `detail` shows them.\n", r->out);
}
