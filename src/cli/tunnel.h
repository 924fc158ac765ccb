/*
 * `show ipsec tunnel` and `gateway`: what IKE answers, and beside it what the IPsec engine's
 * process says of the same Child SAs, for nobody in the daemon knows both. And `show tunnel`: those
 * that the process carries, and those with a device of the kernel's, which the parent knows.
 */
#ifndef GH_CLI_TUNNEL_H
#define GH_CLI_TUNNEL_H

#include <jansson.h>

#include "cli/command.h"

/* Into each of the answer's tunnels: "sas", those of show-ipsec-sa for its peer and child. */
void cli_join_sas(const struct cli *cli, json_t *answer);
/* The same with the engine's answer at hand; NULL: there is none. */
void cli_tunnels_join(json_t *answer, const json_t *of_engine);
/* Both for show-ipsec-gateway: "in" and "out", what all SAs of a peer carried. */
void cli_join_traffic(const struct cli *cli, json_t *answer);
void cli_gateways_join(json_t *answer, const json_t *of_engine);

/* Into the answer to show-tunnel: the kernel's tunnels, and why others are not the kernel's. */
void cli_join_devices(const struct cli *cli, const json_t *request, json_t *answer);
/* The same with the parent's answer at hand; NULL: there is none. */
void cli_devices_join(json_t *answer, const json_t *of_parent);

#endif
