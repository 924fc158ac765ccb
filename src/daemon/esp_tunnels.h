/*
 * Tunnels in the `esp` process: GRE and IP in IP between their devices and the IPsec engine, or the
 * network where the operator has said that nobody protects them.
 *
 *   device → fits? cut? → header in front → engine: an SA of the tunnel's peer → network
 *   network → engine → of this peer's SA, between these ends? → together? → header off → device
 *
 * A protected tunnel neither sends nor takes a packet in clear, nor one by an SA of somebody else.
 * Its headers are packets of the protected side, like any that come into the place's own device:
 * the child may be one of transport mode or of tunnel mode.
 *
 * No input or output of its own, and no clock. For one thread.
 */
#ifndef GH_DAEMON_ESP_TUNNELS_H
#define GH_DAEMON_ESP_TUNNELS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/ike.h"
#include "daemon/esp_messages.h"
#include "daemon/esp_names.h"
#include "ipsec/ipsec.h"

struct gh_esp_tunnels_ops {
    void (*random)(void *ctx, void *out, size_t len);
    /* Packets went through the engine on their way out; those OK afterwards leave. */
    void (*passed)(void *ctx, struct ipsec_packet *packets, size_t count);
    /* Those that are OK go to the network; all are of one place. */
    void (*send)(void *ctx, struct ipsec_packet *packets, size_t count);
    /* To the device of a tunnel, by its number. How many it took. */
    size_t (*deliver)(void *ctx, uint32_t tunnel, const struct ipsec_packet *packets, size_t count);
};

/* names: tunnels by name, whose numbers others use too; policies, places: of the SPD. */
struct gh_esp_tunnels_setup {
    struct ipsec *engine;
    struct gh_esp_names *names, *policies, *places;
    const struct gh_esp_tunnels_ops *ops;
    void *ctx;
};

struct gh_esp_tunnels;

/* NULL: no memory. */
struct gh_esp_tunnels *gh_esp_tunnels_new(const struct gh_esp_tunnels_setup *setup);
void gh_esp_tunnels_free(struct gh_esp_tunnels *t); /* NULL is fine */

/* Tunnels that stay as they were keep their counts. False: no memory. */
bool gh_esp_tunnels_configure(struct gh_esp_tunnels *t, const struct gh_ike_config *config,
                              uint64_t now_ms);
bool gh_esp_tunnels_has(const struct gh_esp_tunnels *t, uint32_t tunnel);
void gh_esp_tunnels_reach(struct gh_esp_tunnels *t, const struct gh_esp_reach *reach);

/* At most GH_ESP_PACKETS packets came from the tunnel's device. */
void gh_esp_tunnels_out(struct gh_esp_tunnels *t, uint64_t now_ms, uint32_t tunnel,
                        struct ipsec_packet *packets, size_t count);
/* Packets that the engine has opened: those of a tunnel are not OK any more afterwards. */
void gh_esp_tunnels_in(struct gh_esp_tunnels *t, uint64_t now_ms, struct ipsec_packet *packets,
                       size_t count);
/* Those that came clear. */
void gh_esp_tunnels_clear(struct gh_esp_tunnels *t, uint64_t now_ms, struct ipsec_packet *packets,
                          size_t count);
/* An ICMP error, ours or others', in a place. True: it is about a packet of a tunnel. */
bool gh_esp_tunnels_icmp(struct gh_esp_tunnels *t, uint64_t now_ms, uint32_t place, bool ours,
                         const uint8_t *packet, size_t len);
/* As gh_esp_path_too_long(), about a packet in clear. */
void gh_esp_tunnels_too_long(struct gh_esp_tunnels *t, uint64_t now_ms, uint32_t place,
                             const uint8_t *packet, size_t len);
void gh_esp_tunnels_tick(struct gh_esp_tunnels *t, uint64_t now_ms);

/* For `show tunnel`: an array. name: of one, or NULL. */
/* Packets that came by an SA, or clear, and belong to no one tunnel, by reason. */
json_t *gh_esp_tunnels_unclear(const struct gh_esp_tunnels *t);
json_t *gh_esp_tunnels_show(const struct gh_esp_tunnels *t, const char *name, uint64_t now_ms);

#endif
