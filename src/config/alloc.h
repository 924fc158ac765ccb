/*
 * Memory for a configuration. It is small and read at start, at reload and by tools; running out
 * of memory here ends the program, so that no reader of this directory checks for it.
 */
#ifndef GH_CONFIG_ALLOC_H
#define GH_CONFIG_ALLOC_H

#include <stddef.h>

/* Zeroed. */
void *gh_config_alloc(size_t n, size_t size);
/* The array `old` of `count` elements with room for one more, zeroed. */
void *gh_config_grow(void *old, size_t count, size_t size);
char *gh_config_strdup(const char *s); /* NULL gives NULL */
/* What another part made: NULL ends the program too. */
void *gh_config_must(void *p);
char *gh_config_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
