#include "tcpao/engine_priv.h"

#include <stdlib.h>

struct ao_key_counters *ao_counters_at(struct ao_key_counters *keys, size_t count,
                                       uint32_t key_number)
{
    for (size_t i = 0; i < count; i++)
        if (keys[i].number == key_number)
            return &keys[i];
    return NULL;
}

bool ao_counters_follow(struct ao_key_counters **keys, size_t *count,
                        const struct tcpao_chain *chain)
{
    size_t fresh_count = tcpao_chain_count(chain);
    struct ao_key_counters *fresh = calloc(fresh_count + 1, sizeof(*fresh));

    if (fresh == NULL)
        return false;
    for (size_t i = 0; i < fresh_count; i++) {
        uint32_t number = tcpao_chain_at(chain, i)->number;
        const struct ao_key_counters *k = ao_counters_at(*keys, *count, number);

        fresh[i] = k != NULL ? *k : (struct ao_key_counters){.number = number};
    }
    free(*keys);
    *keys = fresh;
    *count = fresh_count;
    return true;
}
