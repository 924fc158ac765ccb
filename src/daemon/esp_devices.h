/*
 * The devices of tunnels in the `esp` process: packets that are routed into them, and those that
 * come out of the tunnels. The parent opens them; they outlive this process.
 */
#ifndef GH_DAEMON_ESP_DEVICES_H
#define GH_DAEMON_ESP_DEVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "ipsec/packet.h"

struct gh_esp_devices;

/* At most GH_ESP_PACKETS packets of one device, with room around each. */
typedef void (*gh_esp_devices_fn)(void *ctx, uint32_t number, struct ipsec_packet *packets,
                                  size_t count);

/* NULL: no memory. */
struct gh_esp_devices *gh_esp_devices_new(uv_loop_t *loop, gh_esp_devices_fn fn, void *ctx);
/* Takes the descriptor, in the place of the one that was there. datagrams: as in esp_net.h. False:
 * no memory. */
bool gh_esp_devices_open(struct gh_esp_devices *d, uint32_t number, int fd, bool datagrams);
void gh_esp_devices_close(struct gh_esp_devices *d, uint32_t number);
/* From here on packets are read. */
void gh_esp_devices_start(struct gh_esp_devices *d);
/* Closes those that `stays` says no to. */
void gh_esp_devices_keep(struct gh_esp_devices *d, bool (*stays)(void *ctx, uint32_t number));
/* As gh_esp_net_fill(). */
void gh_esp_devices_fill(struct gh_esp_devices *d, size_t octets);
/* At most GH_ESP_PACKETS packets into the device, which changes their octets. How many it took. */
size_t gh_esp_devices_put(struct gh_esp_devices *d, uint32_t number,
                          const struct ipsec_packet *packets, size_t count);

#endif
