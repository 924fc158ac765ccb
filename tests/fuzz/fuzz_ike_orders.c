/*
 * What the next `ike` reads of the orders that the one before left: octets that the parent kept
 * unread.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ike_orders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void nothing(void *ctx, void *out, size_t len)
{
    memset(out, 1, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ike2_ops ops = {.random = nothing};
    const struct ike2_settings settings = ike2_default_settings();
    struct ike2 *core = ike2_new(&ops, &settings, (struct gh_now){.mono_ms = 1});
    size_t len;
    uint8_t *again;

    if (core == NULL)
        return 0;
    if (gh_ike_orders_take(core, gh_view_of(data, size))) {
        again = gh_ike_orders_encode(core, &len);
        if (again == NULL || len > size) /* less, where one comes twice */
            abort();
        free(again);
    }
    ike2_free(core);
    return 0;
}
