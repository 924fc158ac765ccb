/*
 * What of IKE and IPsec a host's own firewall has to let through, as rules of nftables: `gatectl
 * firewall`. Pure.
 */
#ifndef GH_CONFIG_HOLES_H
#define GH_CONFIG_HOLES_H

#include <stdio.h>

#include "config/ike.h"

/* table: of the family inet, in which the two chains are to stand. One ruleset for each network
 * namespace with peers. */
void gh_holes_write(const struct gh_ike_config *config, const char *table, FILE *out);

#endif
