/* show key-table: RFC 7210's columns. */
#include "cli/render.h"

#include "cli/table.h"

static void when_cell(struct cli_table *t, size_t column, const json_t *key, const char *field,
                      const char *otherwise)
{
    cli_table_cell(t, column, "%s", cli_has(key, field) ? cli_text(key, field) : otherwise);
}

void cli_render_key_table(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {
        "Session", "Peers",    ">Key",      "Origin",  ">Local",      ">Peer",    "Algorithm",
        "State",   "Selected", "Send from", "Send to", "Accept from", "Accept to"};
    const json_t *keys = json_object_get(answer, "keys"), *key;
    size_t columns = r->detail ? 13 : 9, i;
    struct cli_table t;

    if (json_array_size(keys) == 0) {
        fputs("There is no key.\n", r->out);
        return;
    }
    cli_table_init(&t, titles, columns);
    json_array_foreach(keys, i, key)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%s", cli_text(key, "session"));
        cli_table_cell(&t, 1, "%s", cli_text(key, "peers"));
        cli_table_cell(&t, 2, "%" JSON_INTEGER_FORMAT, cli_integer(key, "key"));
        cli_table_cell(&t, 3, "%s", cli_text(key, "origin"));
        cli_table_cell(&t, 4, "%" JSON_INTEGER_FORMAT, cli_integer(key, "local_key_name"));
        cli_table_cell(&t, 5, "%" JSON_INTEGER_FORMAT, cli_integer(key, "peer_key_name"));
        cli_table_cell(&t, 6, "%s", cli_text(key, "alg_id"));
        cli_table_cell(&t, 7, "%s", cli_text(key, "state"));
        cli_table_cell(&t, 8, "%s", cli_true(key, "selected") ? "yes" : "");
        if (!r->detail)
            continue;
        when_cell(&t, 9, key, "send_lifetime_start", "ever");
        when_cell(&t, 10, key, "send_lifetime_end", "ever");
        when_cell(&t, 11, key, "accept_lifetime_start", "ever");
        when_cell(&t, 12, key, "accept_lifetime_end", "ever");
    }
    cli_table_print(&t, 0, r->out);
}
