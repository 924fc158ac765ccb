/*
 * Names of IKE's sections, and references to them.
 */
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load.h"

const char *gh_ike_name(struct gh_ike_loader *x, const struct gh_node *section)
{
    const char *name;

    if (!gh_node_name(x->l, section, &name))
        return "?";
    if (strlen(name) <= GH_IKE_NAME_MAX && gh_keeper_name_valid(gh_view_of(name, strlen(name))))
        return name;
    gh_load_error(x->l, section->line, "name-length", "choose another name",
                  "the name of \"%s\" has 1 to %d printable ASCII characters and no spaces",
                  section->name, (int)GH_IKE_NAME_MAX);
    return "?";
}

/* FNV-1a */
static uint32_t hash_of(const char *name)
{
    uint32_t h = 0x811c9dc5;

    for (const char *c = name; *c != '\0'; c++)
        h = (h ^ (uint8_t)*c) * 0x01000193;
    return h;
}

static struct gh_ike_definition *find(const struct gh_ike_loader *x, const char *section,
                                      const char *name)
{
    uint32_t hash = hash_of(name);

    for (size_t i = 0; i < x->ike->definition_count; i++) {
        struct gh_ike_definition *d = &x->ike->definitions[i];

        if (d->hash == hash && strcmp(d->section, section) == 0 && strcmp(d->name, name) == 0)
            return d;
    }
    return NULL;
}

void gh_ike_define(struct gh_ike_loader *x, const char *section, const char *name, int line,
                   size_t index)
{
    struct gh_ike_config *c = x->ike;
    const struct gh_ike_definition *other = find(x, section, name);

    if (other != NULL && strcmp(name, "?") != 0)
        gh_load_error(x->l, line > other->line ? line : other->line, "duplicate",
                      "give them different names", "the %s \"%s\" is defined already, on line %d",
                      section, name, line > other->line ? other->line : line);
    c->definitions = gh_config_grow(c->definitions, c->definition_count, sizeof(*c->definitions));
    c->definitions[c->definition_count++] =
        (struct gh_ike_definition){.section = section,
                                   .name = gh_config_strdup(name),
                                   .hash = hash_of(name),
                                   .line = line,
                                   .index = index};
}

static bool may_be_secret(const char *section)
{
    return strcmp(section, "ike-psk") == 0 || strcmp(section, "ike-ppk") == 0;
}

/* "did you mean X?", or how to make one. The caller frees it. */
static char *suggest(const struct gh_ike_loader *x, const char *section, const char *word)
{
    const struct gh_ike_config *c = x->ike;
    const char **names = gh_config_alloc(c->definition_count + 1, sizeof(*names)), *near;
    size_t count = 0;

    for (size_t i = 0; i < c->definition_count; i++) {
        if (strcmp(c->definitions[i].section, section) == 0)
            names[count++] = c->definitions[i].name;
    }
    near = gh_nearest(word, names);
    free(names);
    if (near != NULL)
        return gh_config_asprintf("did you mean \"%s\"?", near);
    if (may_be_secret(section))
        return gh_config_asprintf("define it with %s NAME { … }; a secret itself belongs into "
                                  "a file",
                                  section);
    return gh_config_asprintf("define it with %s NAME { … }", section);
}

bool gh_ike_refer(struct gh_ike_loader *x, const struct gh_node *n, size_t i, const char *section,
                  size_t *index)
{
    struct gh_ike_definition *d = find(x, section, n->values[i]);
    char *remedy;

    if (d != NULL) {
        d->used = true;
        *index = d->index;
        return true;
    }
    remedy = suggest(x, section, n->values[i]);
    if (may_be_secret(section))
        gh_load_error(x->l, n->value_lines[i], "unknown-reference", remedy,
                      "\"%s\" names a section %s, and there is none of this name", n->name,
                      section);
    else
        gh_load_error(x->l, n->value_lines[i], "unknown-reference", remedy,
                      "there is no %s \"%.64s\"", section, n->values[i]);
    free(remedy);
    return false;
}

bool gh_ike_refer_option(struct gh_ike_loader *x, const struct gh_node *n, const char *section,
                         size_t *index)
{
    return n != NULL && gh_ike_refer(x, n, 0, section, index);
}
