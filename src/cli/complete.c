#include "cli/complete.h"

#include <string.h>

#include "cli/client.h"
#include "cli/render.h"

/* The names in an answer's list, or the numbers. */
static void names(const struct cli *cli, const char *op, const char *list, const char *prefix,
                  cli_candidate_fn fn, void *ctx)
{
    char number[24];
    struct cli_client client;
    json_t *request, *answer;
    const json_t *item;
    size_t i;

    if (!cli_client_open(&client, cli->socket))
        return;
    request = json_pack("{s:s}", "op", op);
    answer = cli_client_send(&client, request) ? cli_client_receive(&client) : NULL;
    json_array_foreach(json_object_get(answer, list), i, item)
    {
        const char *name = cli_text(item, "name");

        if (json_object_get(item, "id") != NULL) {
            snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, cli_integer(item, "id"));
            name = number;
        }
        if (name[0] != '\0' && strncmp(name, prefix, strlen(prefix)) == 0)
            fn(ctx, name);
    }
    json_decref(answer);
    json_decref(request);
    cli_client_close(&client);
}

enum cli_arg cli_candidates(const struct cli *cli, int argc, char *const *argv, cli_candidate_fn fn,
                            void *ctx)
{
    const char *prefix = argc > 0 ? argv[argc - 1] : "";

    enum cli_arg arg = cli_complete(argc > 0 ? argc - 1 : 0, argv, prefix, fn, ctx);

    if (arg == CLI_ARG_SESSION || arg == CLI_ARG_ANYBODY)
        names(cli, "show-session", "sessions", prefix, fn, ctx);
    if (arg == CLI_ARG_PEER || arg == CLI_ARG_ANYBODY)
        names(cli, "show-ike-peer", "peers", prefix, fn, ctx);
    if (arg == CLI_ARG_CHAIN)
        names(cli, "show-key-chain", "key_chains", prefix, fn, ctx);
    else if (arg == CLI_ARG_SA)
        names(cli, "show-ike-sa", "sas", prefix, fn, ctx);
    else if (arg == CLI_ARG_CHILD)
        names(cli, "show-ike-child", "children", prefix, fn, ctx);
    return arg;
}
