/*
 * The syntax of gatehouse.conf: text in, a tree of sections and options out. No meaning.
 *
 *     name = value                  an option
 *     name = { value, value }       an option with a list
 *     name [title] { … }            a section
 *
 * Values are words or strings in double quotes (\" \\ \n \t) or single quotes (nothing special).
 * Comments: # or // to the end of the line, and those of C. A semicolon is white space.
 *
 * Every node knows its line. After an error parsing goes on, so that one run lists them all.
 * Called by load.c. The tree may hold secrets: freeing it wipes its values.
 */
#ifndef GH_CONFIG_SYNTAX_H
#define GH_CONFIG_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

struct gh_node {
    char *name;
    int line;
    bool section;
    char *title; /* of a section, or NULL */
    bool list;   /* the values stood in braces */
    char **values;
    int *value_lines; /* of each value: a list may take many */
    size_t value_count;
    struct gh_node *children;
    size_t child_count;
};

/* Never fails as a whole: what could be read is in `root` (a section without a name). */
void gh_syntax_parse(const char *file, const char *text, size_t len, struct gh_node *root,
                     struct gh_problems *problems);
void gh_syntax_free(struct gh_node *root);

#endif
