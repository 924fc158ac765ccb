/*
 * ESP (RFC 4303), in tunnel and transport mode, with or without UDP around it (RFC 3948).
 *
 * Called by the engine, in two halves with the batch's cryptography between them. Each half says
 * IPSEC_OK or why the packet is dropped. Sequence numbers are the engine's; the replay window is
 * asked in the first half and told in the second.
 */
#ifndef IPSEC_ESP_H
#define IPSEC_ESP_H

#include "ipsec/work.h"

enum { IPSEC_ESP_HEADER = 8, IPSEC_ESP_TRAILER = 2 };

/* The largest payload (tunnel mode: the packet) that makes at most `room` octets of ESP, UDP
 * header included. 0: none. */
size_t ipsec_esp_payload_max(const struct ipsec_sa *sa, size_t room);

/* Needs packet, sa, layout (transport mode), seq, random, ip_id. All is written but what the job
 * does. IPSEC_NO_ROOM leaves the packet as it is. */
enum ipsec_result ipsec_esp_wrap(struct ipsec_work *w);
/* After the job: the UDP checksum over IPv6. */
void ipsec_esp_wrapped(struct ipsec_work *w);
/* A packet of `len` octets of nothing (RFC 4303 2.6) instead of the packet's content; needs no
 * layout. Tunnel mode only. */
enum ipsec_result ipsec_esp_wrap_dummy(struct ipsec_work *w, size_t len);

/* Needs packet, sa and layout; data_at is where ESP begins. */
enum ipsec_result ipsec_esp_unwrap(struct ipsec_work *w);
/* After the job, if it went well: the packet is what was inside, unchecked against selectors. */
enum ipsec_result ipsec_esp_unwrapped(struct ipsec_work *w);

/* For both directions, `esp` is where ESP begins: the job's IV, in the packet or implicit. */
void ipsec_esp_iv(struct ipsec_work *w, uint8_t *esp);
/* For both directions: what the ICV covers besides the IV and what is sealed. */
void ipsec_esp_cover(struct ipsec_work *w);

#endif
