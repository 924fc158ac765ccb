/*
 * Packets that met no SA while IKE makes one (RFC 4301 4.4.1 lets them wait): copies, few and not
 * for long, by policy. Pure.
 */
#ifndef GH_DAEMON_ESP_WAITING_H
#define GH_DAEMON_ESP_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GH_ESP_WAITING_MS = 2000,
    GH_ESP_WAITING_PACKETS = 32, /* of one policy */
    GH_ESP_WAITING_OCTETS = 65536,
    GH_ESP_WAITING_ALL = 8 * 1048576 /* octets of all policies together */
};

#define GH_ESP_WAITING_COUNTS(X)                                                                   \
    X(KEPT, "kept")         /* they wait, or did */                                                \
    X(RELEASED, "released") /* and then went on */                                                 \
    X(LATE, "late")         /* dropped: there was no SA in time */                                 \
    X(FULL, "full")         /* dropped at once: enough are waiting */

enum gh_esp_waiting_count {
#define X(name, text) GH_ESP_WAITING_##name,
    GH_ESP_WAITING_COUNTS(X)
#undef X
        GH_ESP_WAITING_COUNT
};
const char *gh_esp_waiting_count_name(enum gh_esp_waiting_count count);

struct gh_esp_waiting;

struct gh_esp_waiting *gh_esp_waiting_new(void); /* NULL: no memory */
void gh_esp_waiting_free(struct gh_esp_waiting *w);

/* since_ms: when it came first. */
void gh_esp_waiting_keep(struct gh_esp_waiting *w, uint64_t since_ms, uint32_t policy,
                         uint32_t place, const uint8_t *packet, size_t len);
/* Calls fn() with each that waits for this policy, in their order; it may keep it again. */
void gh_esp_waiting_release(struct gh_esp_waiting *w, uint32_t policy,
                            void (*fn)(void *ctx, uint64_t since_ms, uint32_t place,
                                       const uint8_t *packet, size_t len),
                            void *ctx);
/* Drops what has waited for too long, and calls fn() (NULL: nobody) with each. */
void gh_esp_waiting_tick(struct gh_esp_waiting *w, uint64_t now_ms,
                         void (*fn)(void *ctx, uint32_t place, const uint8_t *packet, size_t len),
                         void *ctx);

const uint64_t *gh_esp_waiting_counts(const struct gh_esp_waiting *w); /* [GH_ESP_WAITING_COUNT] */

#endif
