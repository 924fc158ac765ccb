/* Keys by hand as octets, which the first slot's process reads of the parent. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/manual.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[GH_MANUAL_WIRE_MAX];
    struct gh_wr w = gh_wr_make(again, sizeof(again));
    struct gh_manual_list list;

    if (size > sizeof(again) || !gh_manual_get(gh_view_of(data, size), &list))
        return 0;
    gh_manual_put(&w, &list);
    if (!gh_wr_ok(&w) || w.len != size || memcmp(again, data, size) != 0)
        abort();
    gh_manual_clear(&list);
    return 0;
}
