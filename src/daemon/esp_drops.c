#include "daemon/esp_drops.h"

#include <stdio.h>

/* What depends on what others send, or on lifetimes; not what a wish of the operator's drops, nor
 * what waits for an SA. */
static bool is_told(int way, int result)
{
    if (way == IPSEC_OUT)
        return result == IPSEC_EXHAUSTED || result == IPSEC_EXPIRED || result == IPSEC_NO_RANDOM ||
               result == IPSEC_CRYPTO;
    return result == IPSEC_CLEAR || (result >= IPSEC_EXPIRED && result < IPSEC_RESULT_COUNT);
}

bool gh_esp_drops_put(struct gh_esp_drops *d, const struct ipsec *engine, uint64_t now_ms,
                      struct gh_wr *w)
{
    unsigned count = 0;

    if (now_ms < d->next_ms)
        return false;
    gh_wr_u8(w, 0);
    for (int way = IPSEC_OUT; way <= IPSEC_IN; way++)
        for (int i = 0; i < IPSEC_RESULT_COUNT; i++) {
            uint64_t now = ipsec_count(engine, (enum ipsec_way)way, (enum ipsec_result)i);
            uint64_t more = now - d->told[way][i];

            d->told[way][i] = now;
            if (more == 0 || !is_told(way, i))
                continue;
            gh_wr_u8(w, (uint64_t)way);
            gh_wr_u8(w, (uint64_t)i);
            gh_wr_u32(w, more < UINT32_MAX ? more : UINT32_MAX);
            count++;
        }
    if (count == 0)
        return false;
    w->base[0] = (uint8_t)count;
    d->next_ms = now_ms + GH_ESP_DROPS_MS;
    return gh_wr_ok(w);
}

bool gh_esp_drops_take(struct gh_rd *r, char text[GH_ESP_DROPS_TEXT])
{
    unsigned count = (unsigned)gh_rd_u8(r);
    int last = -1;
    size_t len = 0;

    for (unsigned i = 0; i < count; i++) {
        unsigned way = (unsigned)gh_rd_u8(r), result = (unsigned)gh_rd_u8(r);
        unsigned packets = (unsigned)gh_rd_u32(r);
        const char *before = (int)way == last ? ", " : way == IPSEC_IN ? "in: " : "out: ";

        if (r->bad || way > IPSEC_IN || result >= IPSEC_RESULT_COUNT ||
            len + 64 > GH_ESP_DROPS_TEXT)
            return false;
        len += (size_t)snprintf(text + len, GH_ESP_DROPS_TEXT - len, "%s%s%s %u",
                                last >= 0 && (int)way != last ? "; " : "", before,
                                ipsec_result_name((enum ipsec_result)result), packets);
        last = (int)way;
    }
    return count > 0 && !r->bad && gh_rd_left(r) == 0;
}
