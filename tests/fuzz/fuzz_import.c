/*
 * Other vendors' configurations: whatever stands in one, the result is either a configuration that
 * loads, or there is an error. The first octet says whose words they are and which end is wanted.
 */
#include <stdio.h>
#include <stdlib.h>

#include "config/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* gh_import() has looked itself; here the result is printed and read once more. */
static void check(const struct gh_config *c)
{
    static const struct gh_config_options skip = {.skip_secrets = true};
    struct gh_problems p = {0};
    struct gh_config *again;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        abort();
    gh_import_print(c, out);
    fclose(out);
    again = gh_config_parse("fuzz.conf", text, len, &skip, &p);
    if (again == NULL || again->chain_count != c->chain_count ||
        again->session_count != c->session_count)
        abort();
    gh_config_free(again);
    gh_problems_clear(&p);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct gh_import_options o = {.from = GH_VENDOR_COUNT, .secret_dir = "/secrets"};
    struct gh_problems p = {0};
    bool refused = false;
    struct gh_config *c;

    if (len == 0)
        return 0;
    o.as_peer = (data[0] & 1) != 0;
    if (data[0] >= '4' && data[0] <= '=') /* 4, 5: IOS XE … <, =: BIRD */
        o.from = (enum gh_vendor)(GH_VENDOR_IOS_XE + (data[0] - '4') / 2);
    c = gh_import("router", (const char *)data + 1, len - 1, &o, &p);
    for (size_t i = 0; i < p.count; i++)
        refused = refused || (p.list[i].severity == GH_PROBLEM_ERROR && p.list[i].line == 0);
    if (!refused)
        check(c);
    gh_problems_clear(&p);
    gh_config_free(c);
    return 0;
}
