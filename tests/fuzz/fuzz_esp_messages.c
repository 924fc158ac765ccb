/*
 * What the IPsec engine's process reads from `ike`, which faces the network, and the reverse, and
 * what the parent reads of it. The first octet says which of the messages it is to be.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp_drops.h"
#include "daemon/esp_messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHILD, ENDS, USAGE, WANTED, HELLO, STRAY, ROUTE, REACH, STRANGER, REFUSAL, DROPS, KINDS };

/* Takes it and writes it down again. False: refused. */
static bool pass(uint8_t kind, struct gh_rd r, struct gh_wr *w)
{
    struct gh_esp_child child;
    struct gh_esp_ends ends;
    struct gh_esp_usage usage;
    struct gh_esp_wanted wanted;
    struct gh_esp_stray stray;
    struct gh_esp_route_wish route;
    char netns[GH_ESP_NETNS], vrf[GH_ESP_VRF];
    struct gh_esp_reach reach;
    struct gh_esp_stranger stranger;
    struct gh_esp_refusal refusal;
    char text[GH_ESP_DROPS_TEXT];
    struct gh_rd ids;
    uint64_t epoch;

    switch (kind) {
    case CHILD:
        if (!gh_esp_take_child(&r, &child))
            return false;
        gh_esp_put_child(w, &child);
        return true;
    case ENDS:
        if (!gh_esp_take_ends(&r, &ends))
            return false;
        gh_esp_put_ends(w, &ends);
        return true;
    case USAGE:
        if (!gh_esp_take_usage(&r, &usage))
            return false;
        gh_esp_put_usage(w, &usage);
        return true;
    case WANTED:
        if (!gh_esp_take_wanted(&r, &wanted))
            return false;
        gh_esp_put_wanted(w, &wanted);
        return true;
    case STRAY:
        if (!gh_esp_take_stray(&r, &stray))
            return false;
        gh_esp_put_stray(w, &stray);
        return true;
    case ROUTE:
        if (!gh_esp_take_route(&r, netns, vrf, &route))
            return false;
        gh_esp_put_route(w, netns, vrf, &route);
        return true;
    case REACH:
        if (!gh_esp_take_reach(&r, &reach))
            return false;
        gh_esp_put_reach(w, &reach);
        return true;
    case STRANGER:
        if (!gh_esp_take_stranger(&r, &stranger))
            return false;
        gh_esp_put_stranger(w, &stranger);
        return true;
    case REFUSAL:
        if (!gh_esp_take_refusal(&r, &refusal))
            return false;
        gh_esp_put_refusal(w, &refusal);
        return true;
    case DROPS: /* words alone */
        gh_wr_bytes(w, r.p, gh_rd_left(&r));
        return gh_esp_drops_take(&r, text);
    default:
        if (!gh_esp_take_hello(&r, &epoch, &ids))
            return false;
        gh_wr_u64(w, epoch);
        gh_wr_u32(w, gh_rd_left(&ids) / sizeof(uint32_t));
        gh_wr_bytes(w, ids.p, gh_rd_left(&ids));
        return true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t kind = size > 0 ? data[0] % KINDS : 0;
    struct gh_wr w;
    uint8_t *again;

    if (size == 0)
        return 0;
    again = malloc(size);
    w = gh_wr_make(again, size - 1);
    if (pass(kind, gh_rd_make(data + 1, size - 1), &w) &&
        (!gh_wr_ok(&w) || w.len != size - 1 || memcmp(again, data + 1, w.len) != 0))
        abort(); /* one encoding for each value */
    free(again);
    return 0;
}
