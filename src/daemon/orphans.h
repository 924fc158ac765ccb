/*
 * Sockets whose keys an earlier instance of the daemon had from their programs: the keys went with
 * it, the sockets may live on, and to the kernel they are sockets like others. What concerns them
 * is dropped until they are gone; a program that comes back brings keys for new ones.
 *
 * An instance writes its sockets' flows (never a key) to the run directory; the next one reads
 * them. One entry a network namespace. parent_orphans.c uses it. Pure but for memory and the file.
 */
#ifndef GH_DAEMON_ORPHANS_H
#define GH_DAEMON_ORPHANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/netns.h"
#include "platform/rules.h"

enum { GH_ORPHANS_MISSING = 2 }; /* lists in a row without any of its sockets */

struct gh_orphans {
    struct gh_netns_id id;
    char *netns; /* "" the daemon's own, a name of the configuration's, or NULL: not known */
    uint64_t *cookies;
    size_t cookie_count;
    struct gh_socket_rule *rules; /* kind GH_RULE_DROP */
    size_t rule_count;
    unsigned missing;
    bool there; /* in the list of the moment */
};

struct gh_orphan_list {
    struct gh_orphans *list;
    size_t count;
};

/* A new entry, empty, with a copy of the name; the caller adds to it. NULL: no memory. */
struct gh_orphans *gh_orphans_add(struct gh_orphan_list *l, const struct gh_netns_id *id,
                                  const char *netns);
bool gh_orphans_add_cookie(struct gh_orphans *o, uint64_t cookie);
/* Any kind of rule; it is remembered as one that drops. */
bool gh_orphans_add_rule(struct gh_orphans *o, const struct gh_socket_rule *rule);
/* The entry of a namespace, or NULL. */
struct gh_orphans *gh_orphans_of(const struct gh_orphan_list *l, const struct gh_netns_id *id);
void gh_orphans_drop(struct gh_orphan_list *l, struct gh_orphans *o);
void gh_orphans_clear(struct gh_orphan_list *l);

/* False: it could not be written. */
bool gh_orphans_save(const struct gh_orphan_list *l, const char *run_directory);
/* Reads what there is into an empty list; a damaged file ends the reading. */
void gh_orphans_load(struct gh_orphan_list *l, const char *run_directory);

#endif
