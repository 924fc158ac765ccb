/*
 * The engine's end of the gatekeeper: which keys no connection uses any more. Called by the `ao`
 * process now and then, and by the simulator; what it finds goes to gk_key_unused().
 */
#ifndef GK_UNUSED_H
#define GK_UNUSED_H

#include "tcpao/engine.h"

/* fn for each negotiated key of a session's chain, but the one that goes before all others, that no
 * established connection sends with, has last been heard with, or asks its peer for. The same keys
 * every time, until they are removed or may not be sent with any more. */
void gk_each_unused(const struct ao_engine *e, const char *session, const struct tcpao_chain *chain,
                    int64_t now, void (*fn)(void *ctx, uint32_t number), void *ctx);

#endif
