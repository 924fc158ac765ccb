/*
 * The sockets by which `esp` hears ICMP errors about what it sent, one of each family in a place.
 * The parent opens them.
 */
#ifndef GH_DAEMON_ESP_ICMP_H
#define GH_DAEMON_ESP_ICMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct gh_esp_icmp;

/* A whole packet, with its IP header. */
typedef void (*gh_esp_icmp_fn)(void *ctx, uint32_t place, const uint8_t *packet, size_t len);

/* NULL: no memory. */
struct gh_esp_icmp *gh_esp_icmp_new(uv_loop_t *loop, gh_esp_icmp_fn fn, void *ctx);
/* Takes the socket, in the place of the one that was there. False: no memory. */
bool gh_esp_icmp_open(struct gh_esp_icmp *x, uint32_t place, bool v6, int fd);
void gh_esp_icmp_leave(struct gh_esp_icmp *x, uint32_t place); /* closes both */

#endif
