/*
 * What the kernel's own TCP-AO can do of what a session asks for: asked by the loader about
 * backend = kernel, and by the kernel backend about backend = auto.
 */
#ifndef GH_CONFIG_BACKEND_H
#define GH_CONFIG_BACKEND_H

#include "config/config.h"

enum { GH_BACKEND_WHY_MAX = 640 };

/* False: `why` says what it cannot, as a sentence's end. Says nothing of the running kernel. */
bool gh_backend_kernel_can(const struct gh_config *c, const struct gh_session *s, char *why,
                           size_t size);

#endif
