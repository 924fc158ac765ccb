/* The commands that ask the daemon. */
#include "cli/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/explain.h"
#include "cli/policy.h"
#include "cli/render.h"
#include "cli/slots.h"
#include "cli/tunnel.h"
#include "control/control.h"

static void print_json(const struct cli *cli, const json_t *object, size_t flags)
{
    json_dumpf(object, cli->out, flags);
    fputc('\n', cli->out);
    fflush(cli->out);
}

static bool is_detail(const char *word)
{
    return strlen(word) >= 3 && strncmp("detail", word, strlen(word)) == 0;
}

/* A word that is written for the reader alone: "… to ADDRESS". */
static bool is_filler(const struct cli_command *self, const char *word)
{
    return strcmp(word, "to") == 0 && strstr(self->args, " to ") != NULL;
}

/* A session's name, or an SA's number. False: it is none. */
static bool set_first(json_t *request, enum cli_arg arg, const char *word)
{
    char *end;
    long long id;

    if (arg != CLI_ARG_SA && arg != CLI_ARG_CHILD)
        return json_object_set_new(request, "name", json_string(word)) == 0;
    errno = 0;
    id = strtoll(word, &end, 10);
    return errno == 0 && *end == '\0' && id > 0 &&
           json_object_set_new(request, "id", json_integer(id)) == 0;
}

/* {"op":…} with what the arguments say. NULL: they are wrong, err says how. */
static json_t *build_request(const struct cli *cli, const struct cli_command *self, int argc,
                             char **argv, bool *detail)
{
    json_t *request = json_pack("{s:s}", "op", self->op);
    const char *name = NULL, *second = NULL;
    bool wrong = false;

    *detail = false;
    for (int i = 0; i < argc; i++) {
        if (strstr(self->args, "detail") != NULL && is_detail(argv[i]) &&
            (i == argc - 1 || name != NULL))
            *detail = true;
        else if (self->arg != CLI_ARG_NONE && name == NULL)
            name = argv[i];
        else if (self->second != NULL && second == NULL && is_filler(self, argv[i]))
            continue;
        else if (self->second != NULL && second == NULL)
            second = argv[i];
        else
            wrong = true;
    }
    wrong |= name == NULL && self->arg != CLI_ARG_NONE && self->args[0] != '[';
    wrong |= self->second != NULL && second == NULL && strchr(self->args, '[') == NULL;
    if (!wrong && name != NULL && !set_first(request, self->arg, name)) {
        fprintf(cli->err, "gatectl: \"%s\" is %s\n", name,
                self->arg == CLI_ARG_SA || self->arg == CLI_ARG_CHILD ? "not an SA's number"
                                                                      : "not UTF-8");
        wrong = true;
    } else if (!wrong && second != NULL &&
               json_object_set_new(request, self->second, json_string(second)) != 0) {
        fprintf(cli->err, "gatectl: \"%s\" is not UTF-8\n", second);
        wrong = true;
    } else if (wrong) {
        cli_command_usage(self, cli->err);
    }
    if (*detail)
        json_object_set_new(request, "detail", json_true());
    if (wrong) {
        json_decref(request);
        return NULL;
    }
    return request;
}

/* Sends and receives; NULL: err says why not. */
static json_t *converse(const struct cli *cli, struct cli_client *client, const json_t *request)
{
    json_t *answer;

    if (!cli_client_open(client, cli->socket)) {
        cli_client_explain(cli->socket, errno, cli->err);
        return NULL;
    }
    answer = cli_client_send(client, request) ? cli_client_receive(client) : NULL;
    if (answer == NULL) {
        fprintf(cli->err,
                "gatectl: gatehoused at %s closed the connection without an answer\n"
                "  Its log says why: `journalctl -u gatehouse`.\n",
                cli->socket);
        cli_client_close(client);
    }
    return answer;
}

json_t *cli_converse(const struct cli *cli, const json_t *request)
{
    struct cli_client client;
    json_t *answer = converse(cli, &client, request);

    if (answer != NULL)
        cli_client_close(&client);
    return answer;
}

/* One answer, printed. Returns the status. */
static int show(const struct cli *cli, const char *op, const json_t *answer, bool detail)
{
    bool ok = json_is_true(json_object_get(answer, "ok"));
    struct cli_render r = {.out = cli->out, .width = cli->width, .detail = detail};
    cli_render_fn render = cli_renderer(op);

    if (cli->json)
        print_json(cli, answer, JSON_INDENT(2));
    else if (!ok)
        cli_render_refusal(answer, cli->err);
    else if (render != NULL)
        render(&r, answer);
    else
        fputs("ok\n", cli->out);
    return ok ? CLI_OK : CLI_REFUSED;
}

int cli_ask(const struct cli *cli, const struct cli_command *self, int argc, char **argv)
{
    bool detail;
    json_t *request = build_request(cli, self, argc, argv, &detail), *answer;
    struct cli_client client;
    int status = CLI_UNREACHABLE;

    if (request == NULL)
        return CLI_USAGE;
    answer = converse(cli, &client, request);
    if (answer != NULL) {
        if (strncmp(self->op, "show-ipsec-", 11) == 0)
            cli_join_slots(cli, request, answer);
        if (strcmp(self->op, "explain") == 0)
            cli_explain_keys(cli, answer);
        if (strcmp(self->op, "show-ipsec-tunnel") == 0)
            cli_join_sas(cli, answer);
        if (strcmp(self->op, "show-ipsec-group") == 0)
            cli_join_clients(cli, answer);
        if (strcmp(self->op, "show-ipsec-gateway") == 0)
            cli_join_traffic(cli, answer);
        if (strcmp(self->op, "show-tunnel") == 0)
            cli_join_devices(cli, request, answer);
        if (strcmp(self->op, "show-ipsec-policy") == 0)
            cli_join_counts(cli, answer);
        /* A session that was named is shown as a block: there is room for it. */
        if (strcmp(self->op, "show-session") == 0 && json_object_get(request, "name") != NULL)
            detail = true;
        status = show(cli, self->op, answer, detail);
        cli_client_close(&client);
    }
    json_decref(answer);
    json_decref(request);
    return status;
}

static bool concerns(const json_t *event, const char *session)
{
    return session == NULL || strcmp(cli_text(event, "session"), session) == 0;
}

static int print_events(const struct cli *cli, struct cli_client *client, const char *session)
{
    json_t *event;

    while (errno = 0, (event = cli_client_receive(client)) != NULL) {
        if (concerns(event, session) && cli->json)
            print_json(cli, event, JSON_COMPACT);
        else if (concerns(event, session))
            cli_render_event(event, cli->out);
        fflush(cli->out);
        json_decref(event);
    }
    if (errno == EINTR)
        return CLI_OK;
    fprintf(cli->err, "gatectl: gatehoused has gone\n");
    return CLI_UNREACHABLE;
}

int cli_monitor(const struct cli *cli, const struct cli_command *self, int argc, char **argv)
{
    json_t *request, *answer;
    struct cli_client client;
    int status = CLI_UNREACHABLE;

    if (argc > 1) {
        cli_command_usage(self, cli->err);
        return CLI_USAGE;
    }
    request = json_pack("{s:s}", "op", self->op);
    answer = converse(cli, &client, request);
    if (answer != NULL) {
        status = CLI_OK;
        if (!json_is_true(json_object_get(answer, "ok")))
            status = show(cli, self->op, answer, false);
        else
            status = print_events(cli, &client, argc == 1 ? argv[0] : NULL);
        cli_client_close(&client);
    }
    json_decref(answer);
    json_decref(request);
    return status;
}
