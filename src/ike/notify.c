/* The Notify payload: | protocol | SPI size | type | SPI | data … */
#include "ike/notify.h"

#include "wire/rd.h"

enum ike_fault ike_notify_parse(struct gh_view body, struct ike_notify *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    struct ike_notify n = {.protocol = gh_rd_u8(&r)};
    uint8_t spi_len = gh_rd_u8(&r);

    n.type = gh_rd_u16(&r);
    n.spi = gh_view_of(gh_rd_bytes(&r, spi_len), spi_len);
    n.data = gh_view_of(r.p, gh_rd_left(&r));
    if (r.bad)
        return IKE_SYNTAX;
    *out = n;
    return IKE_OK;
}

void ike_notify_emit(struct ike_out *o, const struct ike_notify *n)
{
    ike_out_open(o, IKE_P_NOTIFY, false);
    gh_wr_u8(&o->w, n->protocol);
    gh_wr_u8(&o->w, n->spi.len);
    gh_wr_u16(&o->w, n->type);
    ike_out_view(o, n->spi);
    ike_out_view(o, n->data);
    ike_out_close(o);
}

void ike_notify_emit_data(struct ike_out *o, uint16_t type, struct gh_view data)
{
    ike_notify_emit(o, &(struct ike_notify){.type = type, .data = data});
}

/* The nth notification that `wanted` says yes to. */
static bool find(const struct ike_payloads *p, bool (*wanted)(uint16_t type, uint16_t arg),
                 uint16_t arg, size_t nth, struct ike_notify *out)
{
    for (size_t i = 0; i < p->count; i++) {
        struct ike_notify n;

        if (p->payload[i].type != IKE_P_NOTIFY ||
            ike_notify_parse(p->payload[i].body, &n) != IKE_OK || !wanted(n.type, arg) || nth-- > 0)
            continue;
        *out = n;
        return true;
    }
    return false;
}

static bool has_type(uint16_t type, uint16_t arg)
{
    return type == arg;
}

static bool is_error(uint16_t type, uint16_t arg)
{
    return ike_notify_is_error(type);
}

bool ike_find_notify(const struct ike_payloads *p, uint16_t type, size_t nth,
                     struct ike_notify *out)
{
    return find(p, has_type, type, nth, out);
}

bool ike_has_notify(const struct ike_payloads *p, uint16_t type)
{
    struct ike_notify n;

    return ike_find_notify(p, type, 0, &n);
}

bool ike_find_error(const struct ike_payloads *p, struct ike_notify *out)
{
    return find(p, is_error, 0, 0, out);
}
