/*
 * Whose packet an ICMP error is about: the outgoing SA that sent it not long ago. For esp_path.c.
 */
#ifndef GH_DAEMON_ESP_QUOTED_H
#define GH_DAEMON_ESP_QUOTED_H

#include "daemon/esp_outers.h"
#include "ipsec/ipsec.h"
#include "tunnel/quote.h"

/* Its packets left by the sockets of this place: it is there, or at a private side behind it. NULL:
 * nobody's. */
const struct ipsec_sa *gh_esp_quoted_sa(const struct ipsec *engine,
                                        const struct gh_esp_outers *outers, uint32_t place,
                                        const struct tunnel_quote *q);

#endif
