/*
 * No peer draws another's packets: of one child of the configuration, which many peers may have
 * (`remote` a prefix, or any), two tunnels do not get selectors that overlap. Whoever has them
 * keeps them for as long as it has a Child SA; the other one is refused, and told whose they are.
 * Pure.
 *
 * A tunnel is a peer and the identity that it proved, as in esp_reverse.h: coming back from another
 * address, it takes its own over. Gateways of one peer (`backup`) are one tunnel. What both may
 * have (`route-overlap = allow`), both get: the longer prefix has the packets, of the same prefix
 * the newer SA. Children of other names are other policies, whose order says which packets are
 * whose.
 */
#ifndef GH_DAEMON_ESP_OVERLAP_H
#define GH_DAEMON_ESP_OVERLAP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/esp_messages.h"

struct gh_esp_overlap;

struct gh_esp_overlap *gh_esp_overlap_new(void); /* NULL: no memory */
void gh_esp_overlap_free(struct gh_esp_overlap *o);

/* `owner`: any number for the child, until it is released. policy: the number of the child's name.
 * False: another tunnel has some of it, or no memory: `why` says it, and nothing was claimed. */
bool gh_esp_overlap_claim(struct gh_esp_overlap *o, uint32_t owner, uint32_t policy,
                          const struct gh_esp_child *d, char why[GH_ESP_WHY]);
/* What was not claimed does not matter. */
void gh_esp_overlap_release(struct gh_esp_overlap *o, uint32_t owner);

#endif
