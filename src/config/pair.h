/*
 * Which session and which key of one configuration face which of the other end's.
 *
 * Used by lint and by the simulator.
 */
#ifndef GH_CONFIG_PAIR_H
#define GH_CONFIG_PAIR_H

#include "config/config.h"

/* The session of `peer` that is the other end of `s`: its addresses are those of `s` crossed. Where
 * the addresses leave it open, the one of the same ports, if there is only one. NULL: none. */
const struct gh_session *gh_find_mirror(const struct gh_config *peer, const struct gh_session *s);

/* The key of the other end that has the ids of `key` crossed and is alive with it at some time;
 * else any with its ids crossed; NULL: none. */
const struct gh_key *gh_find_counterpart(const struct gh_key_chain *peer_chain,
                                         const struct gh_key *key, uint32_t tolerance);

#endif
