#include "cli/render.h"

#include <inttypes.h>
#include <string.h>

#include "cli/table.h"

const char *cli_string(const json_t *value)
{
    const char *text = json_string_value(value);

    return text != NULL ? text : "";
}

const char *cli_text(const json_t *object, const char *field)
{
    return cli_string(json_object_get(object, field));
}

json_int_t cli_integer(const json_t *object, const char *field)
{
    return json_integer_value(json_object_get(object, field));
}

bool cli_true(const json_t *object, const char *field)
{
    return json_is_true(json_object_get(object, field));
}

bool cli_has(const json_t *object, const char *field)
{
    const json_t *value = json_object_get(object, field);

    return value != NULL && !json_is_null(value);
}

const char *cli_joined(const json_t *list, char *buf, size_t size)
{
    const json_t *item;
    size_t i, at = 0;

    buf[0] = '\0';
    json_array_foreach(list, i, item)
    {
        int n = snprintf(buf + at, size - at, "%s%s", i > 0 ? " " : "", cli_string(item));

        if (n < 0 || (size_t)n >= size - at)
            break;
        at += (size_t)n;
    }
    return buf;
}

const char *cli_span(const json_t *object, const char *field, char buf[GH_SPAN_TEXT])
{
    return cli_has(object, field) ? gh_span_format(cli_integer(object, field), buf) : "-";
}

void cli_render_warnings(const struct cli_render *r, const json_t *object, const char *first)
{
    const json_t *warning;
    size_t i;

    json_array_foreach(json_object_get(object, "warnings"), i, warning)
        cli_wrap(first, (int)strlen(first), cli_text(warning, "text"), r->width, r->out);
}

static void render_problems(const json_t *problems, FILE *err)
{
    const json_t *p;
    size_t i;

    json_array_foreach(problems, i, p)
    {
        fprintf(err, "%s:%" JSON_INTEGER_FORMAT ": %s: ", cli_text(p, "file"),
                cli_integer(p, "line"), cli_text(p, "severity"));
        cli_put(cli_text(p, "message"), err);
        if (cli_has(p, "remedy")) {
            fputs("; ", err);
            cli_put(cli_text(p, "remedy"), err);
        }
        fprintf(err, " [%s]\n", cli_text(p, "rule"));
    }
}

void cli_render_refusal(const json_t *answer, FILE *err)
{
    const char *error = cli_text(answer, "error");

    fputs("gatectl: ", err);
    cli_put(error[0] != '\0' ? error : "the daemon refused without a reason", err);
    fputc('\n', err);
    if (cli_has(answer, "remedy")) {
        fputs("  ", err);
        cli_put(cli_text(answer, "remedy"), err);
        fputc('\n', err);
    }
    render_problems(json_object_get(answer, "problems"), err);
}

void cli_render_event(const json_t *event, FILE *out)
{
    fputs(cli_text(event, "time"), out);
    fputc(' ', out);
    cli_put(cli_text(event, "event"), out);
    if (cli_has(event, "session")) {
        fputc(' ', out);
        cli_put(cli_text(event, "session"), out);
    }
    if (cli_has(event, "remote")) {
        fputc(' ', out);
        cli_put(cli_text(event, "remote"), out);
    }
    fputs(": ", out);
    cli_put(cli_text(event, "text"), out);
    fputc('\n', out);
}

static void render_explanation(const struct cli_render *r, const json_t *x)
{
    const json_t *f, *check;
    char number[32];
    size_t i, j;

    cli_wrap("", 0, cli_text(x, "headline"), r->width, r->out);
    json_array_foreach(json_object_get(x, "findings"), i, f)
    {
        /* of a session, where the other findings are of TCP-AO */
        snprintf(number, sizeof(number), "%2zu. %s", i + 1,
                 strcmp(cli_text(f, "layer"), "ike") == 0 ? "IKE: " : "");
        fputc('\n', r->out);
        cli_wrap(number, 4, cli_text(f, "summary"), r->width, r->out);
        if (cli_has(f, "evidence"))
            cli_wrap("    Seen:  ", 11, cli_text(f, "evidence"), r->width, r->out);
        json_array_foreach(json_object_get(f, "checks"), j, check)
        {
            cli_wrap(j == 0 ? "    Check: " : "           ", 11, cli_string(check), r->width,
                     r->out);
        }
    }
}

void cli_render_explanation(const struct cli_render *r, const json_t *answer)
{
    const json_t *x;
    size_t i;

    json_array_foreach(json_object_get(answer, "explanations"), i, x)
    {
        if (i > 0)
            fputc('\n', r->out);
        render_explanation(r, x);
    }
}

static void render_configuration(const struct cli_render *r, const json_t *answer)
{
    fputs(cli_text(answer, "text"), r->out);
}

static void render_reset(const struct cli_render *r, const json_t *answer)
{
    json_int_t n = cli_integer(answer, "reset");

    if (n == 0)
        fputs("There was no connection to reset.\n", r->out);
    else
        fprintf(r->out,
                "%" JSON_INTEGER_FORMAT
                " connection%s will be reset with the next segment from the "
                "peer.\n",
                n, n == 1 ? "" : "s");
}

static void render_reload(const struct cli_render *r, const json_t *answer)
{
    const char *text = cli_text(answer, "text");

    render_problems(json_object_get(answer, "problems"), r->out);
    fprintf(r->out, "%s\n", text[0] != '\0' ? text : "The new configuration is in force.");
}

/* It is for a file and another gatectl, so it is the same with and without --json. */
static void render_export(const struct cli_render *r, const json_t *answer)
{
    json_dumpf(answer, r->out, JSON_INDENT(2));
    fputc('\n', r->out);
}

static void render_terminated(const struct cli_render *r, const json_t *answer)
{
    json_int_t n = cli_integer(answer, "terminated");

    fprintf(r->out, "%" JSON_INTEGER_FORMAT " IKE SA%s end%s.\n", n, n == 1 ? "" : "s",
            n == 1 ? "s" : "");
}

static void render_redirected(const struct cli_render *r, const json_t *answer)
{
    json_int_t n = cli_integer(answer, "redirected");

    fprintf(r->out, "%" JSON_INTEGER_FORMAT " IKE SA%s sent elsewhere.\n", n,
            n == 1 ? " is" : "s are");
}

static void render_cleared(const struct cli_render *r, const json_t *answer)
{
    json_int_t n = cli_integer(answer, "cleared");

    fprintf(r->out, "%" JSON_INTEGER_FORMAT " client%s forgotten.\n", n, n == 1 ? "" : "s");
}

static const struct {
    const char *op;
    cli_render_fn render;
} renderers[] = {
    {"show-key-chain", cli_render_key_chain},
    {"show-key-table", cli_render_key_table},
    {"show-session", cli_render_session},
    {"show-counters", cli_render_counters},
    {"show-status", cli_render_status},
    {"show-processes", cli_render_processes},
    {"show-configuration", render_configuration},
    {"explain", cli_render_explanation},
    {"reset-session", render_reset},
    {"reload", render_reload},
    {"export-connections", render_export},
    {"show-ike-peer", cli_render_ike_peer},
    {"show-ike-sa", cli_render_ike_sa},
    {"show-ike-child", cli_render_ike_child},
    {"show-ike-statistics", cli_render_ike_statistics},
    {"show-ipsec-sa", cli_render_ipsec_sa},
    {"show-ipsec-counters", cli_render_ipsec_counters},
    {"show-ipsec-unprotected", cli_render_ipsec_unprotected},
    {"show-ipsec-group", cli_render_ipsec_groups},
    {"show-tunnel", cli_render_tunnels},
    {"show-ipsec-tunnel", cli_render_ipsec_tunnel},
    {"show-ipsec-gateway", cli_render_ipsec_gateway},
    {"show-ipsec-policy", cli_render_ipsec_policy},
    {"show-gatekeeper", cli_render_gatekeeper},
    {"show-ike-lockout", cli_render_ike_lockout},
    {"ike-terminate-peer", render_terminated},
    {"ike-redirect-peer", render_redirected},
    {"clear-ike-lockout", render_cleared},
};

cli_render_fn cli_renderer(const char *op)
{
    for (size_t i = 0; i < sizeof(renderers) / sizeof(renderers[0]); i++) {
        if (strcmp(op, renderers[i].op) == 0)
            return renderers[i].render;
    }
    return NULL;
}
