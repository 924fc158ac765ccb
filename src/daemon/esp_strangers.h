/*
 * Packets whose SPI no SA has: which of them `ike` is told of, so that their sender hears that it
 * sends in vain (RFC 7296 1.5). Anybody can send such packets: few are told, and no sender and SPI
 * twice in a minute.
 */
#ifndef GH_DAEMON_ESP_STRANGERS_H
#define GH_DAEMON_ESP_STRANGERS_H

#include "daemon/esp_messages.h"
#include "ipsec/packet.h"

enum { GH_ESP_STRANGERS = 64, GH_ESP_STRANGERS_A_SECOND = 5 };

/* Zero-initialised is empty. */
struct gh_esp_strangers {
    struct {
        struct gh_addr remote;
        uint32_t spi;
        uint64_t until_ms;
    } told[GH_ESP_STRANGERS]; /* the oldest gives way */
    size_t next;
    uint64_t second; /* of the last that was told, and how many in it */
    unsigned count;
};

/* A packet whose result is IPSEC_UNKNOWN_SPI. True: `ike` is to be told *out, all but its place. */
bool gh_esp_stranger(struct gh_esp_strangers *s, const struct ipsec_packet *p, uint64_t now_ms,
                     struct gh_esp_stranger *out);

#endif
