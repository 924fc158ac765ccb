/*
 * Junos and SR OS write the same tree in two ways, as braces and as one line for each leaf
 * (`set …`, `/configure …`). Here both become whole paths: the words from the root to a leaf.
 */
#ifndef GH_CONFIG_IMPORT_TREE_H
#define GH_CONFIG_IMPORT_TREE_H

#include "config/import_model.h"

/* count > 0; the words are those of the text. */
typedef void gh_import_leaf(struct gh_import *im, char **words, size_t count, int line, void *ctx);

/* newline_ends: a leaf ends with its line (SR OS), not only at a semicolon (Junos). */
void gh_import_tree(struct gh_import *im, char *text, bool newline_ends, gh_import_leaf *leaf,
                    void *ctx);

#endif
