/*
 * Network namespaces: do something in another one and come back.
 *
 * The parent calls it to open sockets and to run the firewall programs where a session lives. The
 * process must have one thread: it is moved there and back.
 */
#ifndef GH_PLATFORM_NETNS_H
#define GH_PLATFORM_NETNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which namespace it is, to tell one that was made anew under an old name. */
struct gh_netns_id {
    uint64_t device, inode;
};

/* name: below /run/netns, or a path when it has a slash; NULL or "": the process's own.
 * 0, or a negative errno. */
int gh_netns_identify(const char *name, struct gh_netns_id *out);
bool gh_netns_same(const struct gh_netns_id *a, const struct gh_netns_id *b);

/* A namespace without a name, which an open descriptor of this process stands for. */
enum { GH_NETNS_DESCRIPTOR = 32 };
void gh_netns_of_descriptor(int fd, char name[GH_NETNS_DESCRIPTOR]);
bool gh_netns_is_own_descriptor(const char *name);

/* A descriptor of it, close-on-exec, or a negative errno. */
int gh_netns_open(const char *name);
/* Enters it; *back is what gh_netns_leave() needs. 0, or a negative errno (then nothing changed).
 */
int gh_netns_enter(const char *name, int *back);
/* Returns to where gh_netns_enter() came from. A process that cannot go back ends itself, for it
 * would act in the wrong namespace. */
void gh_netns_leave(int back);

#endif
