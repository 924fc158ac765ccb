/*
 * Namespaces where the parent has set something for IPsec that stays when the daemon is killed:
 * routes, policies, devices of tunnels. Written down in the run directory, for the next instance
 * and for --remove-rules.
 */
#ifndef GH_DAEMON_NOTED_NAMESPACES_H
#define GH_DAEMON_NOTED_NAMESPACES_H

#include <stdbool.h>

/* netns: as in platform/netns.h. The log says why it could not be. */
void gh_note_namespace(const char *run_directory, const char *netns);
/* fn() is called with each that is still there; false from it: try again another time. True: none
 * said so. */
bool gh_noted_namespaces(const char *run_directory, bool (*fn)(void *ctx, const char *netns),
                         void *ctx);
void gh_noted_namespaces_forget(const char *run_directory);

#endif
