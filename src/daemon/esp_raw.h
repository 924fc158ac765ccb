/*
 * Raw sockets of a place beside those of ESP and AH: ICMP errors about what `esp` sent, and, where
 * a tunnel is to be without protection, GRE and IP in IP. The parent opens them.
 */
#ifndef GH_DAEMON_ESP_RAW_H
#define GH_DAEMON_ESP_RAW_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "ipsec/packet.h"

/* What a socket of the kind (enum gh_esp_socket) hears. False: it is none of these. */
bool gh_esp_raw_kind(int kind, bool *v6, uint8_t *protocol);

struct gh_esp_raw;

/* Whole packets of one socket, at most GH_ESP_PACKETS, with their IP headers and with room around
 * each. */
typedef void (*gh_esp_raw_fn)(void *ctx, uint8_t protocol, struct ipsec_packet *packets,
                              size_t count);

/* NULL: no memory. */
struct gh_esp_raw *gh_esp_raw_new(uv_loop_t *loop, gh_esp_raw_fn fn, void *ctx);
/* Takes the socket, in the place of the one that was there. False: no memory. */
bool gh_esp_raw_open(struct gh_esp_raw *x, uint32_t place, int kind, int fd);
void gh_esp_raw_leave(struct gh_esp_raw *x, uint32_t place); /* closes all of it */

#endif
