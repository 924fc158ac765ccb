#include "cli/policy.h"

#include <string.h>

#include "cli/ask.h"
#include "cli/render.h"

static void add(json_t *policy, const char *field, const json_t *counted, const char *way)
{
    if (cli_has(counted, way))
        json_object_set_new(policy, field,
                            json_integer(cli_integer(policy, field) + cli_integer(counted, way)));
}

void cli_policies_join(json_t *answer, const json_t *of_rules)
{
    json_t *policy, *counted;
    size_t i, k;

    json_array_foreach(json_object_get(answer, "policies"), i, policy)
    {
        json_array_foreach(json_object_get(of_rules, "policies"), k, counted)
        {
            if (!cli_has(policy, "name") ||
                strcmp(cli_text(policy, "name"), cli_text(counted, "name")) != 0)
                continue;
            add(policy, "hits", counted, "out");
            add(policy, "clear_in", counted, "in");
        }
    }
}

static bool has_entries(const json_t *answer)
{
    json_t *policy;
    size_t i;

    json_array_foreach(json_object_get(answer, "policies"), i, policy)
    {
        if (cli_has(policy, "name"))
            return true;
    }
    return false;
}

void cli_join_counts(const struct cli *cli, json_t *answer)
{
    json_t *request, *of_rules;

    if (!has_entries(answer))
        return;
    request = json_pack("{s:s}", "op", "show-ipsec-unprotected");
    of_rules = request != NULL ? cli_converse(cli, request) : NULL;
    cli_policies_join(answer, of_rules);
    json_decref(of_rules);
    json_decref(request);
}
