/*
 * What the rest of libtcpao needs of a chain beyond tcpao.h: when to forget what was derived from
 * its keys.
 */
#ifndef GH_KEYS_CHAIN_H
#define GH_KEYS_CHAIN_H

#include "tcpao.h"

/* Changes whenever a key was added or removed. */
uint64_t tcpao_chain_generation(const struct tcpao_chain *c);

/* `t` lies in the lifetime after both its ends are moved outwards by `tolerance` seconds. An empty
 * lifetime stays empty, "since ever" and "infinite" stay what they are. */
bool tcpao_lifetime_includes(struct tcpao_lifetime l, int64_t t, uint32_t tolerance);

#endif
