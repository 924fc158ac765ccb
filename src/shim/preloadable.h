/*
 * Can the preload library be put into a program? Looks at its file, as the kernel and the loader
 * will.
 */
#ifndef GH_SHIM_PRELOADABLE_H
#define GH_SHIM_PRELOADABLE_H

#include <stdbool.h>
#include <stddef.h>

/* program and library: paths of existing files. A script is judged by its interpreter. False: *why
 * says it, as the end of a sentence that begins with the program's name; in the caller's memory. */
bool gh_preloadable(const char *program, const char *library, char *why, size_t why_size);

#endif
