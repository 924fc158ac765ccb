/*
 * The `esp` process: packets through IPsec (src/ipsec), by the keys that `ike` negotiates.
 *
 * The parent starts it, hands it tunnel devices and sockets and restarts it when it ends. Policies
 * come from the configuration, SAs from `ike` (esp_messages.h); it goes on while that is away.
 */
#ifndef GH_DAEMON_ESP_H
#define GH_DAEMON_ESP_H

#include <sys/types.h>

/* Runs until the parent goes away; returns the exit status. */
int gh_esp_main(uid_t uid, gid_t gid);

#endif
