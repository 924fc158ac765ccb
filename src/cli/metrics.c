#include "cli/metrics.h"

#include <string.h>

#include "cli/ask.h"
#include "cli/render.h"
#include "cli/slots.h"
#include "control/control.h"

enum { LABELS = 6 };

/* A family that is being written, and the labels of the samples to come. */
struct family {
    FILE *out;
    const char *name;
    struct {
        const char *name, *value;
    } labels[LABELS];
    size_t count;
};

static struct family family(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP gatehouse_%s %s\n# TYPE gatehouse_%s %s\n", name, help, name, type);
    return (struct family){.out = out, .name = name};
}

/* The labels of all samples from now on; those before it stay. */
static void label(struct family *f, size_t at, const char *name, const char *value)
{
    f->labels[at].name = name;
    f->labels[at].value = value;
    f->count = at + 1;
}

static void put_escaped(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            fputs("\\n", out);
        else if (*text == '\\' || *text == '"')
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void sample(const struct family *f, json_int_t value)
{
    fprintf(f->out, "gatehouse_%s", f->name);
    for (size_t i = 0; i < f->count; i++) {
        fprintf(f->out, "%s%s=\"", i == 0 ? "{" : ",", f->labels[i].name);
        put_escaped(f->labels[i].value, f->out);
        fputc('"', f->out);
    }
    fprintf(f->out, "%s %" JSON_INTEGER_FORMAT "\n", f->count > 0 ? "}" : "", value);
}

/* A sample for each number of an object, whose name is the last label's value. */
static void each(struct family *f, size_t at, const char *name, const json_t *numbers)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)numbers, key, value)
    {
        if (json_is_integer(value)) {
            label(f, at, name, key);
            sample(f, json_integer_value(value));
        }
    }
}

static bool is(const json_t *o, const char *field, const char *text)
{
    return strcmp(cli_text(o, field), text) == 0;
}

/* ---- TCP-AO --------------------------------------------------------------------------------- */

static void put_status(const json_t *status, FILE *out)
{
    struct family f;

    if (!json_is_object(status))
        return;
    f = family(out, "info", "gauge", "The version that runs.");
    label(&f, 0, "version", cli_text(status, "version"));
    sample(&f, 1);
}

static void put_sessions(const json_t *answer, FILE *out)
{
    const json_t *sessions = json_object_get(answer, "sessions"), *s;
    struct family f;
    size_t i;

    if (!json_is_array(sessions))
        return;
    f = family(out, "tcp_ao_session_up", "gauge", "Whether a session of TCP-AO is up.");
    json_array_foreach(sessions, i, s)
    {
        if (!cli_true(s, "own_keys")) {
            label(&f, 0, "session", cli_text(s, "name"));
            sample(&f, is(s, "state", "up"));
        }
    }
}

static void put_session_counters(const json_t *answer, FILE *out)
{
    const json_t *s;
    struct family f;
    size_t i;

    if (!json_is_object(answer))
        return;
    f = family(out, "tcp_ao_packets_total", "counter", "Packets of TCP-AO's sessions, by result.");
    json_array_foreach(json_object_get(answer, "sessions"), i, s)
    {
        if (cli_true(s, "own_keys"))
            continue;
        label(&f, 0, "session", cli_text(s, "name"));
        each(&f, 1, "result", json_object_get(s, "counters"));
    }
}

/* ---- IKE ------------------------------------------------------------------------------------ */

static void put_ike(const json_t *answer, FILE *out)
{
    struct family f;

    if (!json_is_object(answer))
        return;
    f = family(out, "ike_sas", "gauge", "IKE SAs by state.");
    each(&f, 0, "state", json_object_get(answer, "sas"));
    f = family(out, "ike_total", "counter", "What happened in IKE: set-ups, failures, messages.");
    each(&f, 0, "what", json_object_get(answer, "counters"));
    f = family(out, "ike_memory_bytes", "gauge", "Memory that holds IKE SAs.");
    sample(&f, cli_integer(answer, "memory"));
}

static void put_gateways(const json_t *answer, FILE *out)
{
    static const char *const modes[] = {"tunnel", "transport"};
    static const char *const states[] = {"up", "down", "admin_down"};
    const json_t *gateways = json_object_get(answer, "gateways"), *g, *failure;
    struct family f;
    size_t i, k;

    if (!json_is_array(gateways))
        return;
    f = family(out, "ipsec_gateway_up", "gauge", "Whether a peer with tunnels has an IKE SA.");
    json_array_foreach(gateways, i, g)
    {
        label(&f, 0, "peer", cli_text(g, "peer"));
        sample(&f, is(g, "state", "up"));
    }
    f = family(out, "ipsec_failovers_total", "counter", "Changes to another gateway of the peer.");
    json_array_foreach(gateways, i, g)
    {
        label(&f, 0, "peer", cli_text(g, "peer"));
        sample(&f, cli_integer(g, "failovers"));
    }
    f = family(out, "ipsec_failures_total", "counter", "Failures of a peer's SAs, by reason.");
    json_array_foreach(gateways, i, g)
    {
        label(&f, 0, "peer", cli_text(g, "peer"));
        json_array_foreach(json_object_get(g, "failures"), k, failure)
        {
            label(&f, 1, "reason", cli_text(failure, "reason"));
            sample(&f, cli_integer(failure, "count"));
        }
    }
    f = family(out, "ipsec_tunnels", "gauge", "Tunnels by mode and state.");
    for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        const json_t *counts = json_object_get(json_object_get(answer, "tunnels"), modes[i]);

        label(&f, 0, "mode", modes[i]);
        for (k = 0; k < sizeof(states) / sizeof(states[0]); k++) {
            label(&f, 1, "state", states[k]);
            sample(&f, cli_integer(counts, states[k]));
        }
    }
}

static void put_tunnels(const json_t *answer, FILE *out)
{
    const json_t *tunnels = json_object_get(answer, "tunnels"), *t;
    struct family f;
    size_t i;

    if (!json_is_array(tunnels))
        return;
    f = family(out, "ipsec_tunnel_up", "gauge", "Whether a child of a peer has a Child SA.");
    json_array_foreach(tunnels, i, t)
    {
        label(&f, 0, "peer", cli_text(t, "peer"));
        label(&f, 1, "child", cli_text(t, "child"));
        sample(&f, is(t, "state", "up"));
    }
}

/* ---- The IPsec engine ----------------------------------------------------------------------- */

/* The labels of a direction of an SA; its number is written to `id`. The SPI is one of them, too:
 * an SA of an `ike` that has ended may have the same number as one of the next. False: there is
 * none. */
static bool direction(struct family *f, const json_t *sa, const char *way, char id[24])
{
    if (!json_is_object(json_object_get(sa, way)))
        return false;
    (void)snprintf(id, 24, "%" JSON_INTEGER_FORMAT, cli_integer(sa, "id"));
    label(f, 0, "peer", cli_text(sa, "peer"));
    label(f, 1, "child", cli_text(sa, "child"));
    label(f, 2, "sa", id);
    label(f, 3, "spi", cli_text(json_object_get(sa, way), "spi"));
    label(f, 4, "way", way);
    return true;
}

static void put_sas(const json_t *answer, FILE *out)
{
    static const struct {
        const char *field, *name, *help;
    } numbers[] = {
        {"packets", "ipsec_sa_packets_total", "Packets that went through a Child SA."},
        {"octets", "ipsec_sa_bytes_total", "Octets of these, before protection or after it."},
        {"drops", "ipsec_sa_dropped_total", "Packets of a Child SA that were dropped, by reason."},
    };
    static const char *const ways[] = {"in", "out"};
    const json_t *sas = json_object_get(answer, "sas"), *sa;
    struct family f;
    char id[24];
    size_t i;

    for (size_t n = 0; json_is_array(sas) && n < sizeof(numbers) / sizeof(numbers[0]); n++) {
        f = family(out, numbers[n].name, "counter", numbers[n].help);
        json_array_foreach(sas, i, sa)
        {
            for (size_t way = 0; way < 2; way++) {
                const json_t *value =
                    json_object_get(json_object_get(sa, ways[way]), numbers[n].field);

                if (!direction(&f, sa, ways[way], id))
                    continue;
                if (json_is_object(value))
                    each(&f, 5, "reason", value);
                else
                    sample(&f, json_integer_value(value));
            }
        }
    }
}

static void put_counters(const json_t *answer, FILE *out)
{
    static const char *const groups[] = {"in", "out", "packets", "waiting", "sizes", "refusals"};
    static const char *const ways[] = {"in", "out"};
    const json_t *kernel = json_object_get(answer, "kernel");
    struct family f;

    if (!json_is_object(answer))
        return;
    f = family(out, "ipsec_packets_total", "counter", "What became of packets at the engine.");
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        label(&f, 0, "where", groups[i]);
        each(&f, 1, "result", json_object_get(answer, groups[i]));
    }
    f = family(out, "ipsec_kernel_dropped_total", "counter", "What the kernel's IPsec dropped.");
    for (size_t i = 0; i < 2; i++) {
        label(&f, 0, "way", ways[i]);
        each(&f, 1, "result", json_object_get(kernel, ways[i]));
    }
}

static void put_groups(const json_t *answer, FILE *out)
{
    const json_t *groups = json_object_get(answer, "groups"), *g;
    struct family f;
    size_t i;

    if (!json_is_array(groups))
        return;
    f = family(out, "ipsec_group_up", "gauge", "Whether all processes of a tunnel group run.");
    json_array_foreach(groups, i, g)
    {
        label(&f, 0, "group", cli_text(g, "name"));
        sample(&f, is(g, "oper", "up"));
    }
}

static void put_unprotected(const json_t *answer, FILE *out)
{
    const json_t *n;
    struct family f;
    size_t i;

    if (!json_is_object(answer))
        return;
    f = family(out, "ipsec_unprotected_total", "counter", "Packets that came beside a tunnel.");
    json_array_foreach(json_object_get(answer, "namespaces"), i, n)
    {
        if (cli_has(n, "packets")) {
            label(&f, 0, "netns", cli_has(n, "netns") ? cli_text(n, "netns") : "");
            label(&f, 1, "vrf", cli_has(n, "vrf") ? cli_text(n, "vrf") : "");
            sample(&f, cli_integer(n, "packets"));
        }
    }
}

/* ---- GRE and IP in IP ----------------------------------------------------------------------- */

static void put_gre(const json_t *answer, FILE *out)
{
    static const struct {
        const char *field, *name, *help;
    } numbers[] = {
        {"packets", "tunnel_packets_total", "Packets of a GRE or IP-in-IP tunnel."},
        {"octets", "tunnel_bytes_total", "Octets of these."},
        {"drops", "tunnel_dropped_total", "Packets of a tunnel that were dropped, by reason."},
    };
    static const char *const ways[] = {"in", "out"};
    const json_t *tunnels = json_object_get(answer, "tunnels"), *t;
    struct family f;
    size_t i;

    if (!json_is_array(tunnels))
        return;
    f = family(out, "tunnel_up", "gauge", "Whether a remote end of a tunnel can be reached.");
    json_array_foreach(tunnels, i, t)
    {
        label(&f, 0, "tunnel", cli_text(t, "name"));
        sample(&f, is(t, "state", "up"));
    }
    for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
        f = family(out, numbers[n].name, "counter", numbers[n].help);
        json_array_foreach(tunnels, i, t)
        {
            for (size_t way = 0; way < 2; way++) {
                const json_t *value =
                    json_object_get(json_object_get(t, ways[way]), numbers[n].field);

                label(&f, 0, "tunnel", cli_text(t, "name"));
                label(&f, 1, "way", ways[way]);
                if (json_is_object(value))
                    each(&f, 2, "reason", value);
                else if (json_is_integer(value))
                    sample(&f, json_integer_value(value));
            }
        }
    }
}

/* ---- All of it ------------------------------------------------------------------------------ */

static const struct {
    const char *op;
    void (*put)(const json_t *answer, FILE *out);
} parts[] = {
    {"show-status", put_status},
    {"show-session", put_sessions},
    {"show-counters", put_session_counters},
    {"show-ike-statistics", put_ike},
    {"show-ipsec-gateway", put_gateways},
    {"show-ipsec-tunnel", put_tunnels},
    {"show-ipsec-sa", put_sas},
    {"show-ipsec-counters", put_counters},
    {"show-ipsec-group", put_groups},
    {"show-ipsec-unprotected", put_unprotected},
    {"show-tunnel", put_gre},
};

void cli_metrics_write(const json_t *answers, FILE *out)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        parts[i].put(json_object_get(answers, parts[i].op), out);
}

/* What is refused (no IKE peer is configured) has no metrics. NULL: nobody answers. */
static json_t *ask_all(const struct cli *cli)
{
    json_t *answers = json_object();

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        json_t *request = json_pack("{s:s}", "op", parts[i].op);
        json_t *answer = cli_converse(cli, request);

        if (answer == NULL) {
            json_decref(request);
            json_decref(answers);
            return NULL;
        }
        if (json_is_true(json_object_get(answer, "ok"))) {
            if (strncmp(parts[i].op, "show-ipsec-", 11) == 0)
                cli_join_slots(cli, request, answer);
            json_object_set(answers, parts[i].op, answer);
        }
        json_decref(answer);
        json_decref(request);
    }
    return answers;
}

int cli_metrics(const struct cli *cli, const struct cli_command *self, int argc, char **argv)
{
    json_t *answers;

    (void)argv;
    if (argc > 0) {
        cli_command_usage(self, cli->err);
        return CLI_USAGE;
    }
    answers = ask_all(cli);
    if (answers == NULL)
        return CLI_UNREACHABLE;
    if (cli->json) {
        json_dumpf(answers, cli->out, JSON_INDENT(2));
        fputc('\n', cli->out);
    } else {
        cli_metrics_write(answers, cli->out);
    }
    fflush(cli->out);
    json_decref(answers);
    return CLI_OK;
}
