/* show ipsec sa, show ipsec counters, show ipsec unprotected. */
#include "cli/render.h"

#include <stdint.h>
#include <string.h>

#include "cli/table.h"

static void put_counts(char *buf, size_t size, const json_t *object)
{
    const char *name;
    json_t *value;
    size_t len = 0;

    buf[0] = '\0';
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        int n = snprintf(buf + len, size - len, "%s%s %" JSON_INTEGER_FORMAT, len > 0 ? ", " : "",
                         name, json_integer_value(value));

        if (n < 0 || (size_t)n >= size - len)
            return;
        len += (size_t)n;
    }
}

/* What differs from the defaults. */
static void put_traffic(char *buf, size_t size, const json_t *t)
{
    const json_t *tfc = json_object_get(t, "tfc_padding"), *dscp = json_object_get(t, "dscp");
    size_t len = (size_t)snprintf(buf, size, "window %" JSON_INTEGER_FORMAT,
                                  cli_integer(t, "replay_window"));

    if (json_is_integer(tfc))
        len += (size_t)snprintf(buf + len, size - len, ", filled to %" JSON_INTEGER_FORMAT,
                                json_integer_value(tfc));
    else if (strcmp(cli_text(t, "tfc_padding"), "mtu") == 0)
        len += (size_t)snprintf(buf + len, size - len, ", filled to the MTU");
    if (json_is_integer(dscp))
        len += (size_t)snprintf(buf + len, size - len, ", DSCP %" JSON_INTEGER_FORMAT,
                                json_integer_value(dscp));
    if (cli_true(t, "copy_dscp_in"))
        len += (size_t)snprintf(buf + len, size - len, ", DSCP taken in");
    if (strcmp(cli_text(t, "ecn"), "off") == 0)
        (void)snprintf(buf + len, size - len, ", no ECN");
}

static void put_direction(struct cli_table *t, const json_t *sa, const char *way)
{
    const json_t *one = json_object_get(sa, way);
    const json_t *algorithms = json_object_get(sa, "algorithms");
    const json_t *remote = json_object_get(sa, "remote");
    char drops[300], traffic[160];

    if (!json_is_object(one))
        return;
    put_counts(drops, sizeof(drops), json_object_get(one, "drops"));
    cli_table_row(t);
    cli_table_cell(t, 0, "%s", cli_text(sa, "peer"));
    cli_table_cell(t, 1, "%s", cli_text(sa, "child"));
    cli_table_cell(t, 2, "%" JSON_INTEGER_FORMAT, cli_integer(sa, "id"));
    cli_table_cell(t, 3, "%s", cli_text(sa, "state"));
    cli_table_cell(t, 4, "%s", way);
    cli_table_cell(t, 5, "%s", cli_text(one, "spi"));
    cli_table_cell(t, 6, "%s%s%s", cli_text(algorithms, "encryption"),
                   cli_has(algorithms, "integrity") ? " " : "", cli_text(algorithms, "integrity"));
    cli_table_cell(t, 7, "%s%s", cli_text(remote, "address"), cli_true(sa, "udp") ? " (UDP)" : "");
    cli_table_cell(t, 8, "%" JSON_INTEGER_FORMAT, cli_integer(one, "packets"));
    cli_table_cell(t, 9, "%" JSON_INTEGER_FORMAT, cli_integer(one, "octets"));
    cli_table_cell(t, 10, "%s", cli_text(one, "back_end"));
    put_traffic(traffic, sizeof(traffic), json_object_get(sa, "traffic"));
    cli_table_cell(t, 11, "%s", traffic);
    cli_table_cell(t, 12, "%s", drops);
}

void cli_render_ipsec_sa(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {
        "Peer",       "Child",    ">ID",     "State",    "Way",     "SPI",    "Algorithms",
        "Peer's end", ">Packets", ">Octets", "Back end", "Traffic", "Dropped"};
    const json_t *sas = json_object_get(answer, "sas"), *sa;
    struct cli_table t;
    size_t i;

    if (json_array_size(sas) == 0) {
        fputs("There is no SA of IPsec.\n", r->out);
        return;
    }
    cli_table_init(&t, titles, sizeof(titles) / sizeof(titles[0]));
    json_array_foreach(sas, i, sa)
    {
        put_direction(&t, sa, "in");
        put_direction(&t, sa, "out");
    }
    cli_table_print(&t, 0, r->out);
}

static void put_results(struct cli_table *t, const json_t *answer, const char *group,
                        const char *way)
{
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(answer, group), name, value)
    {
        if (json_integer_value(value) == 0)
            continue;
        cli_table_row(t);
        cli_table_cell(t, 0, "%s", way);
        cli_table_cell(t, 1, "%s", name);
        cli_table_cell(t, 2, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    }
}

void cli_render_ipsec_counters(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {"Way", "What", ">Packets"};
    const json_t *kernel = json_object_get(answer, "kernel");
    struct cli_table t;

    fprintf(r->out, "Cryptography by %s.\n\n", cli_text(answer, "back_end"));
    cli_table_init(&t, titles, 3);
    put_results(&t, answer, "in", "in");
    put_results(&t, answer, "out", "out");
    put_results(&t, answer, "packets", "packets");
    put_results(&t, answer, "waiting", "waiting");
    put_results(&t, answer, "sizes", "sizes");
    put_results(&t, answer, "refusals", "refusals");
    put_results(&t, kernel, "in", "kernel in");
    put_results(&t, kernel, "out", "kernel out");
    cli_table_print(&t, 0, r->out);
}

void cli_render_ipsec_unprotected(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {"Namespace", "VRF", ">Packets", ">Octets"};
    struct cli_table t;
    json_t *n;
    size_t i;

    if (!cli_true(answer, "drop"))
        fputs("What comes in clear may pass (`unprotected`).\n\n", r->out);
    cli_table_init(&t, titles, 4);
    json_array_foreach(json_object_get(answer, "namespaces"), i, n)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%s", cli_has(n, "netns") ? cli_text(n, "netns") : "(own)");
        if (cli_has(n, "vrf"))
            cli_table_cell(&t, 1, "%s", cli_text(n, "vrf"));
        for (size_t k = 2; k < 4; k++) {
            const char *field = k == 2 ? "packets" : "octets";

            if (cli_has(n, field))
                cli_table_cell(&t, k, "%" JSON_INTEGER_FORMAT, cli_integer(n, field));
            else
                cli_table_cell(&t, k, "not known");
        }
    }
    cli_table_print(&t, 0, r->out);
}

static void put_slot(struct cli_table *t, const json_t *slot)
{
    cli_table_row(t);
    cli_table_cell(t, 7, "%" JSON_INTEGER_FORMAT, cli_integer(slot, "slot"));
    cli_table_cell(t, 8, "%s, %s", cli_text(slot, "state"), cli_text(slot, "by"));
    if (cli_has(slot, "pid"))
        cli_table_cell(t, 9, "%" JSON_INTEGER_FORMAT, cli_integer(slot, "pid"));
    cli_table_cell(t, 10, "%" JSON_INTEGER_FORMAT, cli_integer(slot, "peers"));
    if (cli_has(slot, "clients"))
        cli_table_cell(t, 11, "%" JSON_INTEGER_FORMAT, cli_integer(slot, "clients"));
}

static void put_spare(struct cli_table *t, const json_t *spare)
{
    cli_table_row(t);
    cli_table_cell(t, 8, "%s", cli_text(spare, "state"));
    if (cli_has(spare, "pid"))
        cli_table_cell(t, 9, "%" JSON_INTEGER_FORMAT, cli_integer(spare, "pid"));
}

/* One row for the group, one for each of its processes. */
void cli_render_ipsec_groups(const struct cli_render *r, const json_t *answer)
{
    static const char *const titles[] = {"Id",      "Group", ">Primary", ">Backup",
                                         ">Active", "Admin", "Oper",     ">Slot",
                                         "Process", ">Pid",  ">Peers",   ">Clients"};
    static const char *const numbers[] = {"primary", "backup", "active"};
    const json_t *group, *one;
    struct cli_table t;
    size_t i, k;

    cli_table_init(&t, titles, sizeof(titles) / sizeof(titles[0]));
    json_array_foreach(json_object_get(answer, "groups"), i, group)
    {
        cli_table_row(&t);
        cli_table_cell(&t, 0, "%" JSON_INTEGER_FORMAT, cli_integer(group, "id"));
        cli_table_cell(&t, 1, "%s", cli_text(group, "name"));
        for (k = 0; k < 3; k++)
            cli_table_cell(&t, 2 + k, "%" JSON_INTEGER_FORMAT, cli_integer(group, numbers[k]));
        cli_table_cell(&t, 5, "%s", cli_text(group, "admin"));
        cli_table_cell(&t, 6, "%s", cli_text(group, "oper"));
        json_array_foreach(json_object_get(group, "slots"), k, one) put_slot(&t, one);
        json_array_foreach(json_object_get(group, "spares"), k, one) put_spare(&t, one);
    }
    cli_table_print(&t, 0, r->out);
}
