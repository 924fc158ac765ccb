/*
 * What the `ao` process works by: the checked configuration and the zone of each session; and its
 * passage between the processes as bytes.
 *
 * The parent encodes it into a sealed file without a name, which the child decodes. The bytes hold
 * secrets: whoever has them wipes them.
 */
#ifndef GH_DAEMON_SETUP_H
#define GH_DAEMON_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

struct gh_setup {
    struct gh_config *config; /* owned */
    uint16_t *zones;          /* owned; [config->session_count] */
};

void gh_setup_clear(struct gh_setup *s); /* wipes; empty afterwards */

/* To be wiped and freed. NULL: no memory, or a value that cannot be (a name of 64 KiB …). */
uint8_t *gh_setup_encode(const struct gh_setup *s, size_t *len);
/* False (and empty) for anything that gh_setup_encode() would not write. */
bool gh_setup_decode(const uint8_t *data, size_t len, struct gh_setup *out);

/* The same through a sealed memory file: the descriptor, or -1. */
int gh_setup_seal(const struct gh_setup *s, size_t *len);
bool gh_setup_open(int fd, size_t len, struct gh_setup *out);

/* "NETNS%VRF", either part may be empty: the same zone in every instance of the daemon. */
void gh_zone_name(const char *netns, const char *vrf, char *buf, size_t size);

#endif
