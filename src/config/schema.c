#include "config/schema.h"

#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"

enum { WORD_MAX = 64 };

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

/* Levenshtein's distance; WORD_MAX for what is too long to be a slip. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > WORD_MAX || lb > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[lb];
}

const char *gh_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)strlen(word) / 2 + 1;

    for (; *names != NULL; names++) {
        unsigned d = distance(word, *names);

        if (d < best_distance) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}

/* "a, b, c" */
static char *join(const char *const *names)
{
    char *all = gh_config_strdup("");

    for (size_t i = 0; names[i] != NULL; i++) {
        char *longer = gh_config_asprintf("%s%s%s", all, i > 0 ? ", " : "", names[i]);

        free(all);
        all = longer;
    }
    return all;
}

/* "did you mean X?" or the list of what is possible. The caller frees it. */
static char *suggest(const char *word, const char *const *names)
{
    const char *near = gh_nearest(word, names);
    char *all, *text;

    if (near != NULL)
        return gh_config_asprintf("did you mean \"%s\"?", near);
    all = join(names);
    text = gh_config_asprintf("write one of: %s", all);
    free(all);
    return text;
}

static void unknown_name(struct gh_loader *l, const struct gh_node *section,
                         const struct gh_node *n, const struct gh_item *items, size_t count)
{
    const char **names = gh_config_alloc(count + 1, sizeof(*names));
    char *remedy;

    for (size_t i = 0; i < count; i++)
        names[i] = items[i].name;
    remedy = suggest(n->name, names);
    if (section->name != NULL)
        gh_load_error(l, n->line, "unknown-option", remedy, "\"%.*s\" is not known in \"%s\"",
                      WORD_MAX, n->name, section->name);
    else
        gh_load_error(l, n->line, "unknown-option", remedy, "there is no section \"%.*s\"",
                      WORD_MAX, n->name);
    free(remedy);
    free(names);
}

/* Section or option, list or value, title or none, as the table says. */
static bool right_kind(struct gh_loader *l, const struct gh_node *n, enum gh_item_kind kind)
{
    bool section = kind == GH_ITEM_SECTION || kind == GH_ITEM_TITLED_SECTION;

    if (n->section != section) {
        gh_load_error(l, n->line, "syntax",
                      section ? "write it with braces" : "write it with \"=\"", "\"%s\" is %s",
                      n->name, section ? "a section" : "an option");
        return false;
    }
    if (section && (n->title != NULL) != (kind == GH_ITEM_TITLED_SECTION)) {
        gh_load_error(l, n->line, "syntax", NULL, "\"%s\" %s", n->name,
                      n->title != NULL ? "takes no name" : "needs a name before its \"{\"");
        return false;
    }
    if (!section && kind == GH_ITEM_VALUE && n->list) {
        gh_load_error(l, n->line, "syntax", "remove the braces", "\"%s\" takes one value", n->name);
        return false;
    }
    return true;
}

void gh_items_collect(struct gh_loader *l, const struct gh_node *section,
                      const struct gh_item *items, size_t count, const struct gh_node **got)
{
    for (size_t i = 0; i < count; i++)
        got[i] = NULL;
    for (size_t c = 0; c < section->child_count; c++) {
        const struct gh_node *n = &section->children[c];
        size_t i = 0;

        while (i < count && strcmp(items[i].name, n->name) != 0)
            i++;
        if (i == count) {
            unknown_name(l, section, n, items, count);
        } else if (right_kind(l, n, items[i].kind) && !n->section) {
            if (got[i] != NULL)
                gh_load_error(l, n->line, "duplicate", "keep one of them",
                              "\"%s\" is set twice, first on line %d", n->name, got[i]->line);
            else
                got[i] = n;
        }
    }
}

static bool digits_only(const char *s)
{
    return *s != '\0' && s[strspn(s, "0123456789")] == '\0';
}

bool gh_node_number(struct gh_loader *l, const struct gh_node *n, uint64_t min, uint64_t max,
                    uint64_t *out)
{
    const char *text;
    unsigned long long v = 0;

    if (n == NULL)
        return false;
    text = n->values[0];
    if (digits_only(text) && strlen(text) <= 18)
        v = strtoull(text, NULL, 10);
    else
        v = UINT64_MAX;
    if (v < min || v > max) {
        gh_load_error(l, n->line, "range", NULL, "\"%s\" must be a number from %llu to %llu",
                      n->name, (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *out = v;
    return true;
}

bool gh_node_bool(struct gh_loader *l, const struct gh_node *n, bool *out)
{
    static const char *const texts[] = {"false", "true", "no", "yes", "off", "on", NULL};

    if (n == NULL)
        return false;
    for (unsigned i = 0; texts[i] != NULL; i++) {
        if (strcmp(n->values[0], texts[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    }
    gh_load_error(l, n->line, "range", "write true or false", "\"%s\" is a yes-or-no option",
                  n->name);
    return false;
}

bool gh_node_choice(struct gh_loader *l, const struct gh_node *n, const char *const *choices,
                    unsigned *out)
{
    char *remedy;

    if (n == NULL)
        return false;
    for (unsigned i = 0; choices[i] != NULL; i++) {
        if (strcmp(n->values[0], choices[i]) == 0) {
            *out = i;
            return true;
        }
    }
    remedy = suggest(n->values[0], choices);
    gh_load_error(l, n->line, "range", remedy, "\"%s\" does not know \"%.*s\"", n->name, WORD_MAX,
                  n->values[0]);
    free(remedy);
    return false;
}

static bool printable(const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return false;
    }
    return true;
}

bool gh_node_text(struct gh_loader *l, const struct gh_node *n, size_t max, const char **out)
{
    if (n == NULL)
        return false;
    if (n->values[0][0] == '\0' || strlen(n->values[0]) > max || !printable(n->values[0])) {
        gh_load_error(l, n->line, "range", NULL,
                      "\"%s\" must have 1 to %zu characters and no control characters", n->name,
                      max);
        return false;
    }
    *out = n->values[0];
    return true;
}

bool gh_node_name(struct gh_loader *l, const struct gh_node *section, const char **out)
{
    const char *t = section->title;

    if (t == NULL)
        return false; /* reported by gh_items_collect */
    if (*t == '\0' || strlen(t) > GH_NAME_MAX || !printable(t)) {
        gh_load_error(l, section->line, "name-length", "choose a shorter name",
                      "the name of a \"%s\" has 1 to %d characters and no control characters; "
                      "this one has %zu",
                      section->name, (int)GH_NAME_MAX, strlen(t));
        return false;
    }
    *out = t;
    return true;
}
