/*
 * The SPD as an operator reads it: the entries that the engine was given, in their order, with the
 * names that it does not know. Beside the engine's counts it is what `show ipsec policy` answers.
 * Owned by the `esp` process.
 */
#ifndef GH_DAEMON_ESP_SPD_H
#define GH_DAEMON_ESP_SPD_H

#include <jansson.h>

#include "daemon/esp_names.h"
#include "ike/v2/policy.h"
#include "ipsec/ipsec.h"

struct gh_esp_entry {
    uint32_t id, place; /* numbers of names */
    size_t at;          /* in the engine's array; SIZE_MAX: the kernel's, which counts for itself */
    enum ipsec_action action;
    enum ike2_mode mode; /* of what is protected */
    bool out, in;
    bool user, kernel; /* who has it */
    size_t local_count, remote_count;
    struct ike_ts *ts; /* local ones, then remote ones */
};

/* Zero-initialised is empty. */
struct gh_esp_spd {
    struct gh_esp_entry *list;
    size_t count, room;
    bool failed; /* no memory for one */
};

/* The next entry. e->at: its place in what the engine is given; `ts` and the counts are not set. */
void gh_esp_spd_add(struct gh_esp_spd *s, const struct gh_esp_entry *e,
                    const struct ike_ts_list *local, const struct ike_ts_list *remote);
void gh_esp_spd_free(struct gh_esp_spd *s); /* empty again */

/* An array; peer NULL: of all. */
json_t *gh_esp_spd_json(const struct gh_esp_spd *s, const struct ipsec *engine,
                        const struct gh_esp_names *policies, const struct gh_esp_names *places,
                        const char *peer);

#endif
