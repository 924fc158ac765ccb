/*
 * From a configured key chain to the protocol's.
 */
#include "config/config.h"

struct tcpao_chain *gh_key_chain_build(const struct gh_key_chain *k)
{
    struct tcpao_chain *chain = tcpao_chain_new(k->tolerance);

    for (size_t i = 0; chain != NULL && i < k->key_count; i++) {
        if (tcpao_chain_add(chain, &k->keys[i].mkt, NULL) != TCPAO_CHAIN_OK) {
            tcpao_chain_put(chain);
            chain = NULL;
        }
    }
    return chain;
}
