/*
 * A line of Wireshark's esp_sa for one direction of a Child SA. Pure; `ike` writes it where the
 * configuration says so: whoever has the line can read all that the SA protects.
 */
#ifndef GH_DAEMON_ESP_KEYS_H
#define GH_DAEMON_ESP_KEYS_H

#include <stdbool.h>

#include "ike/v2/core.h"

enum { GH_ESP_KEYS_LINE = 512 };

/* False: AH, or an algorithm that Wireshark does not know. The caller wipes the line. */
bool gh_esp_keys_line(const struct ike2_child_view *c, bool outgoing, char line[GH_ESP_KEYS_LINE]);

#endif
