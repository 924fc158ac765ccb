/*
 * From a setup to the engine's policies.
 */
#ifndef GH_DAEMON_POLICIES_H
#define GH_DAEMON_POLICIES_H

#include <stdbool.h>

#include "base/clock.h"
#include "daemon/setup.h"

struct ao_engine;

/* Builds chains and policies and gives them to the engine. False: no memory, nothing changed. */
bool gh_policies_apply(struct ao_engine *e, struct gh_now now, const struct gh_setup *s);

#endif
