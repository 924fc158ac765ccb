/*
 * IKE's sections in canonical form: as they were written, one option a line, secrets left out.
 */
#ifndef GH_CONFIG_IKE_PRINT_H
#define GH_CONFIG_IKE_PRINT_H

#include <stdbool.h>

#include "config/syntax.h"

/* To be freed. */
char *gh_ike_text(const struct gh_node *root);
/* Options of one section, a line each; NULLs are left out. To be freed; NULL: there is none. */
char *gh_ike_options_text(const struct gh_node *const *options, size_t count);
bool gh_ike_is_section(const struct gh_node *n); /* in load_ike.c */

#endif
