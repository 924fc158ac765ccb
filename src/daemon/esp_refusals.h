/*
 * Word to who sends what is not let out (RFC 4301 5.1.1): ICMP "destination unreachable",
 * administratively prohibited where policy discards it or has no entry, no such host where no SA
 * came in time. Only where the operator wants it, and with a limit: senders can be made up.
 *
 * As with packets that are too long (esp_path.h), the errors go into the device in the name of the
 * packet's destination. No input or output of its own, and no clock. For one thread.
 */
#ifndef GH_DAEMON_ESP_REFUSALS_H
#define GH_DAEMON_ESP_REFUSALS_H

#include <stddef.h>
#include <stdint.h>

#include "config/ike.h"
#include "ipsec/packet.h"
#include "tunnel/rate.h"

enum { GH_ESP_REFUSALS_HEAD = 256, GH_ESP_REFUSALS_ERROR = 1280 };

struct gh_esp_refusals_counts {
    uint64_t prohibited, unreachable; /* told */
    uint64_t limited;                 /* not told, for the limit or the rules of ICMP */
};

/* Zero-initialised but for the last two, it tells nobody. */
struct gh_esp_refusals {
    bool on;
    uint16_t messages, seconds; /* the limit in force */
    struct tunnel_rate rate;
    struct gh_esp_refusals_counts counts;
    uint8_t mem[GH_ESP_REFUSALS_HEAD + GH_ESP_REFUSALS_ERROR];
    void (*deliver)(void *ctx, struct ipsec_packet *p); /* to the device of its place */
    void *ctx;
};

void gh_esp_refusals_configure(struct gh_esp_refusals *r, const struct gh_ike_settings *s,
                               uint64_t now_ms);
/* A batch from the device went through the engine. */
void gh_esp_refusals_out(struct gh_esp_refusals *r, uint64_t now_ms,
                         const struct ipsec_packet *packets, size_t count);
/* A packet has waited for an SA in vain. */
void gh_esp_refusals_late(struct gh_esp_refusals *r, uint64_t now_ms, uint32_t place,
                          const uint8_t *packet, size_t len);

#endif
