/* show tunnel. */
#include "cli/render.h"

#include <stdint.h>
#include <string.h>

#include "cli/table.h"

static json_int_t sum(const json_t *object)
{
    const char *name;
    json_t *value;
    json_int_t all = 0;

    json_object_foreach((json_t *)(uintptr_t)object, name, value) all += json_integer_value(value);
    return all;
}

static void put_row(struct cli_table *t, const json_t *tunnel)
{
    const json_t *in = json_object_get(tunnel, "in"), *out = json_object_get(tunnel, "out");
    bool is_protected = cli_has(tunnel, "protected_by");

    cli_table_row(t);
    cli_table_cell(t, 0, "%s", cli_text(tunnel, "name"));
    cli_table_cell(t, 1, "%s", cli_text(tunnel, "type"));
    cli_table_cell(t, 2, "%s", cli_text(tunnel, "device"));
    cli_table_cell(t, 3, "%s", cli_text(tunnel, "state"));
    cli_table_cell(t, 4, "%s", cli_text(tunnel, "local"));
    cli_table_cell(t, 5, "%s",
                   cli_text(tunnel, cli_has(tunnel, "oper_remote") ? "oper_remote" : "remote"));
    cli_table_cell(t, 6, "%s", is_protected ? cli_text(tunnel, "protected_by") : "nobody");
    cli_table_cell(t, 7, "%s", cli_text(tunnel, "dataplane"));
    cli_table_cell(t, 8, "%" JSON_INTEGER_FORMAT, cli_integer(tunnel, "ip_mtu"));
    cli_table_cell(t, 9, "%" JSON_INTEGER_FORMAT, cli_integer(in, "packets"));
    cli_table_cell(t, 10, "%" JSON_INTEGER_FORMAT, cli_integer(out, "packets"));
    cli_table_cell(t, 11, "%" JSON_INTEGER_FORMAT,
                   sum(json_object_get(in, "drops")) + sum(json_object_get(out, "drops")));
}

static void put_counts(struct cli_table *t, const json_t *tunnel, const char *what,
                       const json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        cli_table_row(t);
        cli_table_cell(t, 0, "%s", cli_text(tunnel, "name"));
        cli_table_cell(t, 1, "%s", what);
        cli_table_cell(t, 2, "%s", name);
        cli_table_cell(t, 3, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    }
}

static void put_why(const struct cli_render *r, const json_t *tunnel)
{
    const char *of = strcmp(cli_text(tunnel, "dataplane"), "kernel") == 0
                         ? cli_text(tunnel, "state")
                         : "not the kernel's";

    if (cli_has(tunnel, "why"))
        fprintf(r->out, "%s is %s: %s\n", cli_text(tunnel, "name"), of, cli_text(tunnel, "why"));
}

void cli_render_tunnels(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {"Tunnel", "Type",   "Device",       "State",
                                         "Local",  "Remote", "Protected by", "Data plane",
                                         ">MTU",   ">In",    ">Out",         ">Drops"};
    static const char *const reasons[] = {"Tunnel", "Way", "What", ">Packets"};
    const json_t *tunnels = json_object_get(answer, "tunnels");
    struct cli_table t;
    const json_t *tunnel;
    size_t i;

    if (json_array_size(tunnels) == 0) {
        fputs("There is no such tunnel.\n", r->out);
        return;
    }
    cli_table_init(&t, titles, sizeof(titles) / sizeof(titles[0]));
    json_array_foreach(tunnels, i, tunnel) put_row(&t, tunnel);
    cli_table_print(&t, 0, r->out);
    json_array_foreach(tunnels, i, tunnel) put_why(r, tunnel);
    cli_table_init(&t, reasons, sizeof(reasons) / sizeof(reasons[0]));
    fputc('\n', r->out);
    json_array_foreach(tunnels, i, tunnel)
    {
        put_counts(&t, tunnel, "in", json_object_get(json_object_get(tunnel, "in"), "drops"));
        put_counts(&t, tunnel, "out", json_object_get(json_object_get(tunnel, "out"), "drops"));
        put_counts(&t, tunnel, "", json_object_get(tunnel, "counts"));
    }
    cli_table_print(&t, 0, r->out);
}
