#include "config/ike_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"

static void put_text(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s != '\0'; s++) {
        if (*s == '\n' || *s == '\t') {
            fputs(*s == '\n' ? "\\n" : "\\t", out);
            continue;
        }
        if (*s == '"' || *s == '\\')
            fputc('\\', out);
        fputc(*s, out);
    }
    fputc('"', out);
}

/* Options whose value is a secret itself. */
static bool is_secret(const char *name)
{
    return strcmp(name, "secret") == 0 || strcmp(name, "psk-secret") == 0 ||
           strcmp(name, "passphrase") == 0;
}

static void put_node(FILE *out, const struct gh_node *n, int depth);

static void put_section(FILE *out, const struct gh_node *n, int depth)
{
    fputs(n->name, out);
    if (n->title != NULL) {
        fputc(' ', out);
        put_text(out, n->title);
    }
    fputs(" {\n", out);
    for (size_t i = 0; i < n->child_count; i++)
        put_node(out, &n->children[i], depth + 1);
    fprintf(out, "%*s}\n", 4 * depth, "");
}

static void put_node(FILE *out, const struct gh_node *n, int depth)
{
    fprintf(out, "%*s", 4 * depth, "");
    if (n->section) {
        put_section(out, n, depth);
        return;
    }
    if (is_secret(n->name)) {
        fprintf(out, "# %s: it stands in the configuration itself and is not shown\n", n->name);
        return;
    }
    fprintf(out, "%s = %s", n->name, n->list ? "{" : "");
    for (size_t i = 0; i < n->value_count; i++) {
        if (n->list)
            fputs(i > 0 ? ", " : " ", out);
        put_text(out, n->values[i]);
    }
    fputs(n->list ? " }\n" : "\n", out);
}

char *gh_ike_options_text(const struct gh_node *const *options, size_t count)
{
    char *text = NULL;
    size_t len, found = 0;
    FILE *out = gh_config_must(open_memstream(&text, &len));

    for (size_t i = 0; i < count; i++) {
        if (options[i] == NULL)
            continue;
        put_node(out, options[i], 1);
        found++;
    }
    fclose(out);
    if (found > 0)
        return gh_config_must(text);
    free(text);
    return NULL;
}

char *gh_ike_text(const struct gh_node *root)
{
    char *text = NULL;
    size_t len;
    FILE *out = gh_config_must(open_memstream(&text, &len));

    for (size_t i = 0; i < root->child_count; i++) {
        if (!gh_ike_is_section(&root->children[i]))
            continue;
        fputc('\n', out);
        put_section(out, &root->children[i], 0);
    }
    fclose(out);
    return gh_config_must(text);
}
