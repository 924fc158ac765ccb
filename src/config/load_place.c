/*
 * `netns` and `vrf`: the place of a TCP-AO session or an IKE peer.
 */
#include <string.h>

#include "config/alloc.h"
#include "config/schema.h"

enum { DEVICE_NAME_MAX = 15, NETNS_NAME_MAX = 255 };

void gh_load_place(struct gh_loader *l, const struct gh_node *netns, const struct gh_node *vrf,
                   char **netns_out, char **vrf_out)
{
    const char *text;

    if (gh_node_text(l, netns, NETNS_NAME_MAX, &text)) {
        if (strchr(text, '/') != NULL || text[0] == '.')
            gh_load_error(l, netns->line, "range", "write the name that `ip netns list` shows",
                          "\"netns\" is a name, not a path");
        *netns_out = gh_config_strdup(text);
    }
    if (gh_node_text(l, vrf, DEVICE_NAME_MAX, &text)) {
        if (strpbrk(text, "/ \t\"\\*") != NULL) /* also what firewall rules read otherwise */
            gh_load_error(l, vrf->line, "range",
                          "write the name that `ip link show type vrf` shows",
                          "\"vrf\" is the name of a network device");
        *vrf_out = gh_config_strdup(text);
    }
}
