#include "cli/explain.h"

#include <string.h>

#include "cli/ask.h"
#include "cli/render.h"

/* Behind the finding that these explain, which is certain; what is only likely comes later. */
static size_t place_for(const json_t *findings)
{
    const json_t *f;
    size_t i;

    json_array_foreach(findings, i, f)
    {
        if (strcmp(cli_text(f, "cause"), "no-keys") == 0)
            return i + 1;
    }
    return json_array_size(findings);
}

static void add_findings(json_t *findings, const json_t *answer)
{
    size_t at = place_for(findings), i, j;
    const json_t *x;
    json_t *f;

    json_array_foreach(json_object_get(answer, "explanations"), i, x)
    {
        json_array_foreach(json_object_get(x, "findings"), j, f)
        {
            json_object_set_new(f, "layer", json_string("ike"));
            json_array_insert(findings, at++, f);
        }
    }
}

void cli_explain_keys(const struct cli *cli, json_t *answer)
{
    const json_t *x;
    size_t i;

    json_array_foreach(json_object_get(answer, "explanations"), i, x)
    {
        json_t *request, *of_ike;

        if (!cli_has(x, "ike_peer"))
            continue;
        request = json_pack("{s:s, s:s}", "op", "explain", "keys_of", cli_text(x, "session"));
        of_ike = request != NULL ? cli_converse(cli, request) : NULL;
        add_findings(json_object_get(x, "findings"), of_ike);
        json_decref(of_ike);
        json_decref(request);
    }
}
