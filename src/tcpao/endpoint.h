/*
 * An end of a connection as a value: made from an address, compared, and written where it is kept
 * or sent from process to process (u8 octets of address, the address, u16 port). Pure.
 */
#ifndef GH_TCPAO_ENDPOINT_H
#define GH_TCPAO_ENDPOINT_H

#include "base/addr.h"
#include "tcpao.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { AO_ENDPOINT_MAX = 1 + 16 + 2 };

struct tcpao_endpoint ao_endpoint_of(const struct gh_addr *addr, uint16_t port);
bool ao_endpoint_equal(const struct tcpao_endpoint *a, const struct tcpao_endpoint *b);
void ao_endpoint_put(struct gh_wr *w, const struct tcpao_endpoint *end);
/* addr_len 0 (any address, or none) is taken too; r->bad: it is malformed. */
struct tcpao_endpoint ao_endpoint_take(struct gh_rd *r);

#endif
