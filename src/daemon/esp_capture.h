/*
 * Packets for `gatectl capture`: copies of what goes through the engine, in clear and encrypted.
 *
 * esp.c has one and hands it the requests that ask for it. While somebody captures, it is the
 * engine's tap: whoever calls the engine, it sees the packets. Whoever captures fetches what there
 * is, so that nothing waits for him: what finds no room until then is counted as lost, and he is
 * given so much a second at most. If he does not come any more, the capture ends. One at a time;
 * that he may is the parent's to say.
 */
#ifndef GH_DAEMON_ESP_CAPTURE_H
#define GH_DAEMON_ESP_CAPTURE_H

#include <jansson.h>

#include "base/clock.h"
#include "daemon/esp_names.h"
#include "ipsec/ipsec.h"

enum {
    GH_ESP_CAPTURE_MEMORY = 4 * 1048576, /* octets that wait to be fetched */
    GH_ESP_CAPTURE_ANSWER = 128 * 1024,  /* octets of packets in one answer, about */
    GH_ESP_CAPTURE_EVERY_MS = 10,        /* sooner, an answer is empty */
    GH_ESP_CAPTURE_LEASE_MS = 5000       /* without a request, it is over */
};

struct gh_esp_capture;

/* policies: names of peers and their children by the numbers of the SPD; borrowed, as the engine.
 * on_plane: whether a policy's packets are the kernel's (or, `kernel` false, this engine's). NULL:
 * no memory. */
struct gh_esp_capture *gh_esp_capture_new(struct ipsec *engine, const struct gh_esp_names *policies,
                                          bool (*on_plane)(void *ctx, uint32_t policy, bool kernel),
                                          void *ctx);
void gh_esp_capture_free(struct gh_esp_capture *c); /* NULL is fine */

/* Is it a request for this? */
bool gh_esp_capture_is_op(const char *op);
/* A new object with "ok". NULL only without memory. */
json_t *gh_esp_capture_handle(struct gh_esp_capture *c, struct gh_now now, const json_t *request);
/* Once a second or so. */
void gh_esp_capture_tick(struct gh_esp_capture *c, uint64_t now_ms);

#endif
