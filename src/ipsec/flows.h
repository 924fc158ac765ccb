/*
 * The flows of a batch that goes out, read before any of them is looked up, so that what the
 * lookups need comes from memory for all of them at once (classify.h).
 */
#ifndef IPSEC_FLOWS_H
#define IPSEC_FLOWS_H

#include "ipsec/engine.h"

struct ipsec_flows {
    struct ipsec_flow flow[IPSEC_BATCH];
    bool good[IPSEC_BATCH]; /* false: no flow, the packet is malformed */
};

/* At most IPSEC_BATCH packets; cuts each to the length that its header says. */
void ipsec_flows_read(const struct ipsec *e, struct ipsec_packet *packets, size_t count,
                      struct ipsec_flows *flows);

#endif
