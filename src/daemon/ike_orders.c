#include "daemon/ike_orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/octets.h"
#include "daemon/frame.h"

enum { ORDER_MAX = 2 * (3 + IKE2_NAME) + 2 };

static void count(void *ctx, const struct ike2_order_view *v)
{
    ++*(size_t *)ctx;
}

static void put(void *ctx, const struct ike2_order_view *v)
{
    struct gh_wr *w = ctx;

    gh_put_text(w, v->policy);
    gh_put_text(w, v->child);
    gh_wr_u8(w, v->down);
    gh_wr_u8(w, v->configured);
}

uint8_t *gh_ike_orders_encode(const struct ike2 *core, size_t *len)
{
    size_t n = 0;
    uint8_t *octets;
    struct gh_wr w;

    ike2_each_order(core, count, &n);
    octets = malloc(n * ORDER_MAX + 1);
    w = gh_wr_make(octets, octets != NULL ? n * ORDER_MAX : 0);
    ike2_each_order(core, put, &w);
    if (octets == NULL || !gh_wr_ok(&w)) {
        free(octets);
        return NULL;
    }
    *len = w.len;
    return octets;
}

static bool take_name(struct gh_rd *r, bool needed, char out[IKE2_NAME + 1])
{
    char *text = gh_get_text(r, false);
    size_t len = text != NULL ? strlen(text) : 0;
    bool good = !r->bad && len <= IKE2_NAME && (len > 0 || !needed);

    if (good)
        (void)snprintf(out, IKE2_NAME + 1, "%s", text != NULL ? text : "");
    free(text);
    return good;
}

bool gh_ike_orders_take(struct ike2 *core, struct gh_view octets)
{
    struct gh_rd r = gh_rd_make(octets.p, octets.len);

    while (gh_rd_left(&r) > 0) {
        struct ike2_order_view v;

        if (!take_name(&r, true, v.policy) || !take_name(&r, false, v.child))
            return false;
        v.down = gh_get_flag(&r);
        v.configured = gh_get_below(&r, gh_rd_u8(&r), IKE2_ADMIN_DOWN + 1);
        if (r.bad || !ike2_order_take(core, &v))
            return false;
    }
    return true;
}
