/*
 * What `show ipsec sa`, `show ipsec counters` and `show tunnel` answer, as JSON. Pure: it looks at
 * what the `esp` process has. Answers hold no key.
 */
#ifndef GH_DAEMON_ESP_SHOW_H
#define GH_DAEMON_ESP_SHOW_H

#include <jansson.h>
#include <stdbool.h>

#include "base/clock.h"
#include "daemon/esp_children.h"
#include "daemon/esp_net.h"
#include "daemon/esp_waiting.h"
#include "daemon/esp_spd.h"
#include "daemon/plane_messages.h"
#include "daemon/esp_path.h"
#include "daemon/esp_refusals.h"
#include "daemon/esp_tunnels.h"

struct gh_esp_view {
    const struct ipsec *engine;
    const struct gh_esp_children *children;
    const struct gh_esp_net *net;
    const struct gh_esp_spd *spd;
    const struct gh_esp_names *policies, *places;
    const struct gh_plane_counts *kernel; /* NULL: it carries nothing */
    const struct gh_esp_waiting *waiting;
    const struct gh_esp_path *path;
    const struct gh_esp_tunnels *tunnels;
    const struct gh_esp_refusals *refusals;
};

/* Is it for `esp`? */
bool gh_esp_is_op(const char *op);
/* A new object with "ok". NULL only without memory. */
json_t *gh_esp_handle(const struct gh_esp_view *view, struct gh_now now, const json_t *request);

#endif
