/* `connections adopt FILE`: tells the daemon each of what `connections export` printed. */
#include "cli/command.h"

#include <errno.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/render.h"

static json_t *read_connections(const struct cli *cli, const char *path, json_t **document)
{
    json_error_t error;
    json_t *list;

    *document =
        strcmp(path, "-") == 0 ? json_loadf(stdin, 0, &error) : json_load_file(path, 0, &error);
    list = json_object_get(*document, "connections");
    if (*document == NULL)
        fprintf(cli->err, "gatectl: %s:%d: %s\n", path, error.line, error.text);
    else if (!json_is_array(list))
        fprintf(cli->err,
                "gatectl: %s: no list of connections\n"
                "  Give what `gatectl connections export` wrote.\n",
                path);
    return list;
}

int cli_adopt(const struct cli *cli, const struct cli_command *self, int argc, char **argv)
{
    json_t *document = NULL, *list, *connection;
    size_t i, adopted = 0;
    int status = CLI_OK;

    if (argc != 1) {
        cli_command_usage(self, cli->err);
        return CLI_USAGE;
    }
    list = read_connections(cli, argv[0], &document);
    if (!json_is_array(list)) {
        json_decref(document);
        return CLI_USAGE;
    }
    json_array_foreach(list, i, connection)
    {
        json_t *request = json_pack("{s:s, s:O}", "op", self->op, "connection", connection);
        json_t *answer = cli_converse(cli, request);

        if (answer == NULL)
            status = CLI_UNREACHABLE;
        else if (json_is_true(json_object_get(answer, "ok")))
            adopted++;
        else
            status = CLI_REFUSED;
        if (status == CLI_REFUSED && answer != NULL)
            cli_render_refusal(answer, cli->err);
        json_decref(answer);
        json_decref(request);
        if (status == CLI_UNREACHABLE)
            break;
    }
    if (cli->json)
        fprintf(cli->out, "{\"adopted\": %zu}\n", adopted);
    else
        fprintf(cli->out, "%zu of %zu connections adopted\n", adopted, json_array_size(list));
    json_decref(document);
    return status;
}
