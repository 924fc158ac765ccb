/*
 * Packets that the IPsec engine drops and somebody should know of: wrong ICVs, repeated packets,
 * packets that a peer may not send. They are counted, never logged one by one; now and then `esp`
 * tells the parent how many there were, for the log and for monitors. Pure.
 */
#ifndef GH_DAEMON_ESP_DROPS_H
#define GH_DAEMON_ESP_DROPS_H

#include "ipsec/ipsec.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum {
    GH_ESP_DROPS_MS = 60 * 1000, /* between two reports */
    GH_ESP_DROPS_MAX = 1 + 2 * IPSEC_RESULT_COUNT * 6,
    GH_ESP_DROPS_TEXT = 1024
};

struct gh_esp_drops {
    uint64_t told[2][IPSEC_RESULT_COUNT];
    uint64_t next_ms;
};

/* A report to the parent, for DROPS, if there is one; false: not now, or there is nothing new. */
bool gh_esp_drops_put(struct gh_esp_drops *d, const struct ipsec *engine, uint64_t now_ms,
                      struct gh_wr *w);
/* In words: "in: icv 10, replay 3; out: expired 2". False: malformed. */
bool gh_esp_drops_take(struct gh_rd *r, char text[GH_ESP_DROPS_TEXT]);

#endif
