/*
 * The problems of a configuration as JSON: `gatectl lint --json` and the answer to a reload say
 * them alike.
 */
#ifndef GH_CONFIG_PROBLEMS_JSON_H
#define GH_CONFIG_PROBLEMS_JSON_H

#include <jansson.h>

#include "config/config.h"

/* A list of {"severity", "file", "line", "rule", "message", "remedy"}; remedy may be null. */
json_t *gh_problems_json(const struct gh_problems *problems);

#endif
