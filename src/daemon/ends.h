/*
 * A connection as the messages between the processes name it: u16 zone and two ends, each u8 octets
 * of address, the address, u16 port.
 *
 * `ao` writes it in ABORT and LOOKUP, the parent in GONE. Pure.
 */
#ifndef GH_DAEMON_ENDS_H
#define GH_DAEMON_ENDS_H

#include "tcpao.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { GH_ENDS_MAX = 2 + 2 * (1 + 16 + 2) };

struct gh_ends {
    uint16_t zone;
    struct tcpao_endpoint local, remote;
};

void gh_ends_put(struct gh_wr *w, uint16_t zone, const struct tcpao_endpoint *local,
                 const struct tcpao_endpoint *remote);
/* Reads one, which must be all that is left. False: it is malformed. */
bool gh_ends_take(struct gh_rd *r, struct gh_ends *out);

#endif
