/*
 * What problems.c gives the rest of this directory beyond config.h.
 */
#ifndef GH_CONFIG_PROBLEMS_H
#define GH_CONFIG_PROBLEMS_H

#include "config/config.h"

/* By line, from index `from` on; those of one line keep their order. */
void gh_problems_sort(struct gh_problems *p, size_t from);

#endif
