/*
 * SAs that are keyed by hand (config/manual.h), in the `esp` process of the first slot: from the
 * keys that the parent read and the policies of the configuration to children without an `ike`.
 *
 * Keys come right before the configuration that they belong to, and are kept no longer than until
 * that is in force: then the engine has them, and the memory of the children.
 */
#ifndef GH_DAEMON_ESP_MANUAL_H
#define GH_DAEMON_ESP_MANUAL_H

#include "config/ike.h"
#include "config/manual.h"
#include "daemon/esp_children.h"

/* u64 length of what `fd` has; takes it. False: malformed. */
bool gh_esp_manual_take(struct gh_manual_list *keys, struct gh_rd *body, int fd);

/* After the SPD. What cannot be is told and left out: packets for it are dropped. Wipes `keys`. */
void gh_esp_manual_apply(struct gh_manual_list *keys, const struct gh_ike_config *config,
                         struct gh_esp_children *children, uint64_t now_ms);

#endif
