/* Building chains: each payload's type is written into the one before it, or into the header. */
#include "ike/out.h"

enum { NEXT_IN_PAYLOAD = 0, LENGTH_IN_PAYLOAD = 2 };

struct ike_out ike_out_message(void *mem, size_t cap, const struct ike_header *h)
{
    struct ike_out o = {.w = gh_wr_make(mem, cap), .message = true, .next_at = IKE_HEADER_NEXT};
    struct ike_header blank = *h;

    blank.next = IKE_P_NONE;
    blank.length = 0;
    ike_header_emit(&o.w, &blank);
    return o;
}

struct ike_out ike_out_inner(void *mem, size_t cap)
{
    return (struct ike_out){.w = gh_wr_make(mem, cap), .next_at = SIZE_MAX};
}

bool ike_out_done(struct ike_out *o, struct gh_view *octets)
{
    if (o->message)
        gh_wr_put_u32(&o->w, IKE_HEADER_LENGTH, o->w.len);
    if (!gh_wr_ok(&o->w))
        return false;
    *octets = gh_view_of(o->w.base, o->w.len);
    return true;
}

void ike_out_open(struct ike_out *o, uint8_t type, bool critical)
{
    if (o->first == IKE_P_NONE)
        o->first = type;
    if (o->next_at != SIZE_MAX)
        gh_wr_put_u8(&o->w, o->next_at, type);
    o->start_at = o->w.len;
    o->next_at = o->w.len + NEXT_IN_PAYLOAD;
    gh_wr_u8(&o->w, IKE_P_NONE);
    gh_wr_u8(&o->w, critical ? IKE_CRITICAL_BIT : 0);
    gh_wr_u16(&o->w, 0);
}

void ike_out_close(struct ike_out *o)
{
    gh_wr_put_u16(&o->w, o->start_at + LENGTH_IN_PAYLOAD, o->w.len - o->start_at);
}

void ike_out_view(struct ike_out *o, struct gh_view octets)
{
    if (octets.len > 0)
        gh_wr_bytes(&o->w, octets.p, octets.len);
}

void ike_out_payload(struct ike_out *o, uint8_t type, bool critical, struct gh_view body)
{
    ike_out_open(o, type, critical);
    ike_out_view(o, body);
    ike_out_close(o);
}
