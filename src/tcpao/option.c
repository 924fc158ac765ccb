/*
 * The TCP-AO option on the wire (RFC 5925 2.2): finding it, taking it out, and how much room it
 * leaves for others.
 */
#include "tcpao.h"

#include <string.h>

#include "tcpao/header.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { KIND_END = 0, KIND_NOP = 1, OPTIONS_MAX = TCPAO_TCP_HEADER_MAX - TCPAO_TCP_HEADER_MIN };

/* One AO option's body, after kind and length. */
static enum tcpao_result read_ao(struct gh_rd body, struct tcpao_option *out)
{
    if (out->ao || out->md5)
        return TCPAO_DUPLICATE_OPTION;
    out->ao = true;
    out->keyid = gh_rd_u8(&body);
    out->rnext = gh_rd_u8(&body);
    out->mac_len = (uint8_t)gh_rd_left(&body);
    /* RFC 5925 2.2: a length below 4 is an error; an AO without a MAC says nothing. */
    return body.bad ? TCPAO_MALFORMED : TCPAO_OK;
}

static enum tcpao_result read_md5(struct tcpao_option *out)
{
    if (out->ao || out->md5)
        return TCPAO_DUPLICATE_OPTION;
    out->md5 = true;
    return TCPAO_OK;
}

enum tcpao_result tcpao_option_find(const uint8_t *hdr, size_t hdr_len, struct tcpao_option *out)
{
    struct tcp_fields fields;
    struct gh_rd r = gh_rd_make(hdr, hdr_len);
    enum tcpao_result result = TCPAO_OK;

    *out = (struct tcpao_option){0};
    if (!tcp_fields_read(hdr, hdr_len, &fields))
        return TCPAO_MALFORMED;
    gh_rd_skip(&r, TCPAO_TCP_HEADER_MIN);
    while (gh_rd_left(&r) > 0 && result == TCPAO_OK) {
        size_t offset = hdr_len - gh_rd_left(&r);
        uint8_t kind = gh_rd_u8(&r), len;
        struct gh_rd body;

        if (kind == KIND_END)
            break;
        if (kind == KIND_NOP)
            continue;
        len = gh_rd_u8(&r);
        if (r.bad || len < 2)
            return TCPAO_MALFORMED;
        body = gh_rd_sub(&r, len - 2u);
        if (body.bad)
            return TCPAO_MALFORMED;
        if (kind == TCPAO_OPTION_KIND) {
            result = read_ao(body, out);
            if (result == TCPAO_OK)
                out->offset = (uint8_t)offset;
        } else if (kind == TCPAO_MD5_OPTION_KIND) {
            result = read_md5(out);
        }
    }
    return result;
}

size_t tcpao_option_space(unsigned mac_len)
{
    return (TCPAO_OPTION_HEADER + (size_t)mac_len + 3) / 4 * 4;
}

enum tcpao_result tcpao_option_strip(const uint8_t *hdr, size_t hdr_len,
                                     uint8_t out[TCPAO_TCP_HEADER_MAX], size_t *out_len)
{
    struct tcpao_option option;
    enum tcpao_result result = tcpao_option_find(hdr, hdr_len, &option);
    struct gh_wr w = gh_wr_make(out, TCPAO_TCP_HEADER_MAX);
    size_t end, padded_end;

    if (result != TCPAO_OK)
        return result;
    end = option.offset;
    if (option.ao) {
        end += TCPAO_OPTION_HEADER + option.mac_len;
        padded_end = option.offset + tcpao_option_space(option.mac_len);
        while (end < padded_end && end < hdr_len && hdr[end] == KIND_NOP)
            end++;
    }
    gh_wr_bytes(&w, hdr, option.offset);
    gh_wr_bytes(&w, hdr + end, hdr_len - end);
    gh_wr_zero(&w, (4 - w.len % 4) % 4);
    gh_wr_put_u8(&w, TCP_DATA_OFFSET, (w.len / 4) << 4 | (hdr[TCP_DATA_OFFSET] & 0x0f));
    if (!gh_wr_ok(&w))
        return TCPAO_MALFORMED;
    *out_len = w.len;
    return TCPAO_OK;
}

/* Where the options end: at the end-of-option-list octet, or with the header. `packed` gets where
 * they would end without trailing NOPs. */
static size_t options_end(const uint8_t *hdr, size_t hdr_len, size_t *packed)
{
    struct gh_rd r = gh_rd_make(hdr, hdr_len);

    gh_rd_skip(&r, TCPAO_TCP_HEADER_MIN);
    *packed = TCPAO_TCP_HEADER_MIN;
    while (gh_rd_left(&r) > 0) {
        size_t offset = hdr_len - gh_rd_left(&r);
        uint8_t kind = gh_rd_u8(&r), len;

        if (kind == KIND_END)
            return offset;
        if (kind == KIND_NOP)
            continue;
        len = gh_rd_u8(&r);
        gh_rd_skip(&r, len < 2 ? 0 : len - 2u);
        *packed = hdr_len - gh_rd_left(&r);
    }
    return hdr_len;
}

enum tcpao_result tcpao_option_append(const uint8_t *hdr, size_t hdr_len, struct tcpao_option *ao,
                                      uint8_t out[TCPAO_TCP_HEADER_MAX], size_t *out_len)
{
    static const uint8_t nops[] = {KIND_NOP, KIND_NOP, KIND_NOP};
    struct gh_wr w = gh_wr_make(out, TCPAO_TCP_HEADER_MAX);
    size_t len = TCPAO_OPTION_HEADER + (size_t)ao->mac_len;
    size_t packed, end = options_end(hdr, hdr_len, &packed);

    if (end + len > TCPAO_TCP_HEADER_MAX && packed + len <= TCPAO_TCP_HEADER_MAX)
        end = TCPAO_TCP_HEADER_MAX - len;
    gh_wr_bytes(&w, hdr, end);
    gh_wr_put_u16(&w, TCP_CHECKSUM, 0);
    ao->offset = (uint8_t)end;
    gh_wr_u8(&w, TCPAO_OPTION_KIND);
    gh_wr_u8(&w, len);
    gh_wr_u8(&w, ao->keyid);
    gh_wr_u8(&w, ao->rnext);
    gh_wr_zero(&w, ao->mac_len);
    gh_wr_bytes(&w, nops, (4 - w.len % 4) % 4);
    gh_wr_put_u8(&w, TCP_DATA_OFFSET, (w.len / 4) << 4 | (hdr[TCP_DATA_OFFSET] & 0x0f));
    if (!gh_wr_ok(&w))
        return TCPAO_NO_SPACE;
    *out_len = w.len;
    return TCPAO_OK;
}

size_t tcpao_syn_option_room(unsigned mac_len)
{
    size_t space = tcpao_option_space(mac_len);

    return space >= OPTIONS_MAX ? 0 : OPTIONS_MAX - space;
}

size_t tcpao_sack_blocks_room(unsigned mac_len, bool timestamps)
{
    enum { TIMESTAMPS = 12, SACK_HEADER = 4, SACK_BLOCK = 8 }; /* with their NOPs */
    size_t room = tcpao_syn_option_room(mac_len);
    size_t taken = SACK_HEADER + (timestamps ? TIMESTAMPS : 0u);

    return room < taken ? 0 : (room - taken) / SACK_BLOCK;
}
