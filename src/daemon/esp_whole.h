/*
 * Whole datagrams for transport mode: ESP and AH protect nothing less (RFC 4303 3.3.4, RFC 4301 7),
 * but what is longer than the device takes comes from the kernel in fragments. They are put
 * together here; what becomes of them with their headers is fragmented like any packet.
 *
 * For esp_path.c. No clock, no input or output. For one thread.
 */
#ifndef GH_DAEMON_ESP_WHOLE_H
#define GH_DAEMON_ESP_WHOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "config/ike.h"
#include "ipsec/ipsec.h"
#include "tunnel/result.h"

struct gh_esp_whole;

struct gh_esp_whole *gh_esp_whole_new(const struct gh_hash_seed *seed); /* NULL: no memory */
void gh_esp_whole_free(struct gh_esp_whole *w);                         /* NULL is fine */

/* Is it a fragment, and so to be taken instead of protected? */
bool gh_esp_whole_is_due(const struct ipsec_packet *p);
/* True: *out is the datagram, in its own memory until the next call. False: there is more to come,
 * or it was dropped. */
bool gh_esp_whole_take(struct gh_esp_whole *w, uint64_t now_ms, const struct ipsec_packet *p,
                       struct ipsec_packet *out);
void gh_esp_whole_tick(struct gh_esp_whole *w, uint64_t now_ms);

/* Has a child of transport mode selectors with ports? Of its datagrams only the first fragments
 * fit them. */
bool gh_esp_whole_by_ports(const struct gh_ike_config *config);

/* A whole packet in transport mode: OK, or TOO_BIG for its sender to fragment before. inner: what
 * fits the path. */
enum tunnel_result gh_esp_whole_judge(struct ipsec_packet *p, uint16_t inner);

#endif
