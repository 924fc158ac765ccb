/*
 * A Child SA as `ike` tells `esp` of it, and the same of the other end.
 */
#ifndef GH_TESTS_UNIT_ESP_CHILD_H
#define GH_TESTS_UNIT_ESP_CHILD_H

#include <stdio.h>

#include "daemon/esp_messages.h"
#include "ike/codes.h"

static inline struct ike_ts esp_child_ts(const char *prefix)
{
    struct gh_prefix p;

    assert_true(gh_prefix_parse(prefix, &p));
    return ike_ts_from_prefix(&p);
}

/* From 10.1.0.0/24 to 10.2.0.0/24, AES-256-GCM; SPIs and keys are others for each id. */
static inline struct gh_esp_child esp_child(uint32_t id)
{
    static uint8_t keys[2][36];
    struct gh_esp_child c = {.id = id,
                             .initiator = true,
                             .protocol = IPSEC_ESP,
                             .mode = IPSEC_TUNNEL,
                             .peer = "berlin",
                             .name = "lan",
                             .spi_in = 0x1000 + id,
                             .spi_out = 0x2000 + id,
                             .enc = GH_ENC_AES_GCM_16,
                             .enc_bits = 256,
                             .seconds = 3600,
                             .traffic = {.window = 128, .set_dscp = true, .dscp = 46},
                             .key_in = {keys[0], sizeof(keys[0])},
                             .key_out = {keys[1], sizeof(keys[1])}};

    for (size_t i = 0; i < sizeof(keys[0]); i++) {
        keys[0][i] = (uint8_t)(i + id);
        keys[1][i] = (uint8_t)(i + 100 + id);
    }
    assert_true(gh_addr_parse("192.0.2.1", &c.local) && gh_addr_parse("192.0.2.2", &c.remote));
    c.ts_local.count = c.ts_remote.count = 1;
    c.ts_local.ts[0] = esp_child_ts("10.1.0.0/24");
    c.ts_remote.ts[0] = esp_child_ts("10.2.0.0/24");
    return c;
}

/* The same child, as the peer has it. */
static inline struct gh_esp_child esp_child_there(const struct gh_esp_child *here)
{
    struct gh_esp_child c = *here;

    c.initiator = !here->initiator;
    c.spi_in = here->spi_out;
    c.spi_out = here->spi_in;
    c.key_in = here->key_out;
    c.key_out = here->key_in;
    c.local = here->remote;
    c.remote = here->local;
    c.ts_local = here->ts_remote;
    c.ts_remote = here->ts_local;
    return c;
}

#endif
