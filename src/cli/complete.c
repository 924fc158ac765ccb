#include "cli/complete.h"

#include <string.h>

#include "cli/client.h"
#include "cli/render.h"

/* The names in an answer's list. */
static void names(const struct cli *cli, const char *op, const char *list, const char *prefix,
                  cli_candidate_fn fn, void *ctx)
{
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

    if (arg == CLI_ARG_SESSION)
        names(cli, "show-session", "sessions", prefix, fn, ctx);
    else if (arg == CLI_ARG_CHAIN)
        names(cli, "show-key-chain", "key_chains", prefix, fn, ctx);
    return arg;
}
