/*
 * The kernel's policies as the configuration has them: one for each child that it carries, in the
 * namespaces of those also `ipsec-policy` sections, in their order; and what keeps in and out
 * packets of tunnels with a device of the kernel's that no child is for. For esp_kernel.c. Pure.
 */
#ifndef GH_DAEMON_ESP_KERNEL_ENTRIES_H
#define GH_DAEMON_ESP_KERNEL_ENTRIES_H

#include "config/ike.h"
#include "daemon/esp_names.h"
#include "daemon/plane_messages.h"

struct gh_kernel_entry {
    bool child;   /* else an ipsec-policy or a tunnel, without a tie */
    bool clients; /* may have selectors of their own */
    char netns[GH_ESP_NETNS];
    struct gh_plane_policy policy; /* its tie is not set */
};

/* To be freed. NULL: no memory. */
struct gh_kernel_entry *gh_kernel_entries(const struct gh_ike_config *config,
                                          struct gh_esp_names *policies, size_t *count);
/* Does it lead to an SA of this protocol, with these selectors and addresses? */
bool gh_kernel_entry_leads(const struct gh_kernel_entry *e, const struct gh_plane_policy *sa);

#endif
