/*
 * What was inside of ESP or AH becomes the packet again (RFC 4301 5.1.2, 5.2): the tunnel's header
 * goes, or the original header is put back in front.
 */
#ifndef IPSEC_INNER_H
#define IPSEC_INNER_H

#include "ipsec/work.h"

/* The `len` octets at packet + `at` are what `next` says. In a tunnel, octets behind the inner
 * packet are traffic flow confidentiality padding and go away. */
enum ipsec_result ipsec_inner(struct ipsec_work *w, size_t at, size_t len, uint8_t next);
/* The whole 64 bits of the sequence number that the packet carries (w->seq), and whether it may
 * come: before the ICV is checked. */
enum ipsec_result ipsec_inner_seq(struct ipsec_work *w, uint32_t low);

#endif
