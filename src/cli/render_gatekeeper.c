/* show gatekeeper. */
#include "cli/render.h"

#include "cli/table.h"
#include "control/format.h"

static void print_steps(const struct cli_render *r, const json_t *session)
{
    static const char *const titles[] = {">Step", "When", ">After", "What"};
    const json_t *steps = json_object_get(session, "steps"), *step;
    json_int_t before = 0;
    struct cli_table t;
    size_t i;

    cli_table_init(&t, titles, 4);
    json_array_foreach(steps, i, step)
    {
        json_int_t ms = cli_integer(step, "ms");

        cli_table_row(&t);
        cli_table_cell(&t, 0, "%" JSON_INTEGER_FORMAT, cli_integer(step, "step"));
        cli_table_cell(&t, 1, "%s", cli_has(step, "time") ? cli_text(step, "time") : "never");
        if (before != 0 && ms >= before)
            cli_table_cell(&t, 2, "%" JSON_INTEGER_FORMAT " ms", ms - before);
        cli_table_cell(&t, 3, "%s", cli_text(step, "meaning"));
        before = ms;
    }
    cli_table_print(&t, 2, r->out);
}

static void print_keys(const struct cli_render *r, const json_t *session)
{
    static const char *const titles[] = {">Key",     "State", ">Send ID",  ">Recv ID", "MAC",
                                         "Asked by", "Since", "Lives for", ">Segments"};
    const json_t *keys = json_object_get(session, "keys"), *key;
    char span[GH_SPAN_TEXT];
    struct cli_table t;
    size_t i;

    cli_table_init(&t, titles, 9);
    json_array_foreach(keys, i, key)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%" JSON_INTEGER_FORMAT, cli_integer(key, "number"));
        cli_table_cell(&t, 1, "%s", cli_text(key, "state"));
        cli_table_cell(&t, 2, "%" JSON_INTEGER_FORMAT, cli_integer(key, "send_id"));
        cli_table_cell(&t, 3, "%" JSON_INTEGER_FORMAT, cli_integer(key, "recv_id"));
        cli_table_cell(&t, 4, "%s", cli_text(key, "algorithm"));
        cli_table_cell(&t, 5, "%s", cli_text(key, "initiator"));
        cli_table_cell(&t, 6, "%s", cli_text(key, "since"));
        cli_table_cell(&t, 7, "%s",
                       cli_has(key, "seconds_left")
                           ? gh_span_format(cli_integer(key, "seconds_left"), span)
                           : "ever");
        cli_table_cell(&t, 8, "%" JSON_INTEGER_FORMAT, cli_integer(key, "segments"));
    }
    cli_table_print(&t, 2, r->out);
}

static void print_detail(const struct cli_render *r, const json_t *s)
{
    fprintf(r->out, "Session %s: %s%s, by IKE peer %s\n", cli_text(s, "name"), cli_text(s, "state"),
            cli_true(s, "fallback") ? " (its key chain is used)" : "", cli_text(s, "ike_peer"));
    print_steps(r, s);
    print_keys(r, s);
    if (cli_has(s, "last_failure"))
        fprintf(r->out, "  Last failure, %s: %s\n", cli_text(s, "last_failure_time"),
                cli_text(s, "last_failure"));
}

void cli_render_gatekeeper(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {"Session", "IKE peer", "State",     ">Connections",
                                         ">Keys",   ">Rekeyed", ">Failures", "Last failure"};
    const json_t *sessions = json_object_get(answer, "sessions"), *s;
    struct cli_table t;
    size_t i;

    if (json_array_size(sessions) == 0)
        fputs("No session has negotiated keys.\n", r->out);
    if (!cli_true(answer, "engine"))
        fputs("The engine is away: no key reaches it.\n", r->out);
    if (r->detail) {
        json_array_foreach(sessions, i, s) print_detail(r, s);
        return;
    }
    cli_table_init(&t, titles, 8);
    json_array_foreach(sessions, i, s)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%s", cli_text(s, "name"));
        cli_table_cell(&t, 1, "%s", cli_text(s, "ike_peer"));
        cli_table_cell(&t, 2, "%s%s", cli_text(s, "state"),
                       cli_true(s, "fallback") ? ", key chain" : "");
        cli_table_cell(&t, 3, "%" JSON_INTEGER_FORMAT, cli_integer(s, "connections"));
        cli_table_cell(&t, 4, "%" JSON_INTEGER_FORMAT, cli_integer(s, "installed"));
        cli_table_cell(&t, 5, "%" JSON_INTEGER_FORMAT, cli_integer(s, "rekeyed"));
        cli_table_cell(&t, 6, "%" JSON_INTEGER_FORMAT, cli_integer(s, "failed"));
        cli_table_cell(&t, 7, "%s", cli_text(s, "last_failure"));
    }
    cli_table_print(&t, 0, r->out);
}
