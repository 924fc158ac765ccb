#include "tcpao/header.h"

#include "wire/rd.h"

bool tcp_fields_read(const uint8_t *hdr, size_t hdr_len, struct tcp_fields *out)
{
    struct gh_rd r = gh_rd_make(hdr, hdr_len);
    uint8_t offset;

    if (hdr_len < TCPAO_TCP_HEADER_MIN || hdr_len > TCPAO_TCP_HEADER_MAX)
        return false;
    gh_rd_skip(&r, 4); /* ports: the endpoints are the caller's */
    out->seq = gh_rd_u32(&r);
    out->ack = gh_rd_u32(&r);
    offset = gh_rd_u8(&r);
    out->flags = gh_rd_u8(&r);
    return !r.bad && (size_t)(offset >> 4) * 4 == hdr_len;
}
