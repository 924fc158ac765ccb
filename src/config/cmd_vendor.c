#include "config/cmd_vendor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

static bool one_vendor(const char *name, struct gh_vendor_list *out)
{
    enum gh_vendor v;

    if (strcmp(name, "all") == 0) {
        out->all = true;
        for (unsigned i = 0; i < GH_VENDOR_COUNT; i++)
            out->wanted[i] = true;
        return true;
    }
    if (gh_vendor_parse(name, &v)) {
        out->wanted[v] = true;
        return true;
    }
    fprintf(stderr, "--for: \"%s\" is not known; there are", name);
    for (unsigned i = 0; i < GH_VENDOR_COUNT; i++)
        fprintf(stderr, " %s,", gh_vendor_name((enum gh_vendor)i));
    fprintf(stderr, " all\n");
    return false;
}

bool gh_cmd_vendors(const char *text, struct gh_vendor_list *out)
{
    char copy[256], *rest = copy, *name;

    memset(out, 0, sizeof(*out));
    snprintf(copy, sizeof(copy), "%s", text);
    while ((name = strsep(&rest, ",")) != NULL) {
        if (!one_vendor(name, out))
            return false;
    }
    return true;
}

bool gh_cmd_vendors_check(const struct gh_vendor_list *list, const struct gh_far_end *e)
{
    char why[GH_WHY_TEXT];
    bool good = true;

    for (unsigned v = 0; v < GH_VENDOR_COUNT && !list->all; v++) {
        if (list->wanted[v] && !gh_vendor_check((enum gh_vendor)v, e, why)) {
            fprintf(stderr, "%s\n", why);
            good = false;
        }
    }
    return good;
}

static void write_json(enum gh_vendor v, const struct gh_far_end *e, const char *why, json_t *json)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out;

    if (why != NULL) {
        json_object_set_new(json, gh_vendor_name(v), json_pack("{s:s}", "refused", why));
        return;
    }
    out = open_memstream(&text, &len);
    if (out == NULL)
        return;
    gh_vendor_write(v, e, out);
    fclose(out);
    json_object_set_new(json, gh_vendor_name(v), json_pack("{s:s}", "config", text));
    gh_wipe(text, len);
    free(text);
}

void gh_cmd_vendors_write(const struct gh_vendor_list *list, const struct gh_far_end *e,
                          bool headings, json_t *json)
{
    char why[GH_WHY_TEXT];

    for (unsigned i = 0; i < GH_VENDOR_COUNT; i++) {
        enum gh_vendor v = (enum gh_vendor)i;
        bool can;

        if (!list->wanted[v])
            continue;
        can = gh_vendor_check(v, e, why);
        if (json != NULL) {
            write_json(v, e, can ? NULL : why, json);
            continue;
        }
        if (headings)
            printf("\n# ---- the other end: %s ----\n\n", gh_vendor_title(v));
        if (can)
            gh_vendor_write(v, e, stdout);
        else
            printf("# not possible: %s\n", why);
    }
}

bool gh_cmd_number(const char *option, const char *text, long min, long max, long *out)
{
    char *end;
    long v = strtol(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || v < min || v > max) {
        fprintf(stderr, "%s: a number from %ld to %ld\n", option, min, max);
        return false;
    }
    *out = v;
    return true;
}

bool gh_cmd_as(const char *option, const char *text, uint32_t *out)
{
    long v;

    if (!gh_cmd_number(option, text, 1, 4294967295, &v))
        return false;
    *out = (uint32_t)v;
    return true;
}

bool gh_cmd_host(const char *option, const char *text, struct gh_prefix *out)
{
    if (gh_prefix_parse(text, out) && gh_prefix_is_host(out))
        return true;
    fprintf(stderr, "%s: an IPv4 or IPv6 address\n", option);
    return false;
}
