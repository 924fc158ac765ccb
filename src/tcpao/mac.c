/*
 * RFC 5925 5.1: what the MAC of a segment covers.
 *
 *   SNE || IP pseudo-header || TCP header, checksum and MAC as zero || payload
 *
 * With the option flag off, of the options only TCP-AO itself counts. Everything before the
 * payload fits a small buffer, so the hash sees two pieces.
 */
#include "tcpao/segment.h"

#include <string.h>

#include "tcpao/header.h"
#include "wire/wr.h"

enum { PROTOCOL_TCP = 6, PSEUDO_HEADER_MAX = 40, IPV4_OCTETS = 4, IPV6_OCTETS = 16 };
enum { COVERED_HEAD_MAX = 4 + PSEUDO_HEADER_MAX + TCPAO_TCP_HEADER_MAX };

static bool write_pseudo_header(struct gh_wr *w, const struct tcpao_segment *s)
{
    size_t tcp_len = s->hdr_len + s->payload_len;
    uint8_t family = s->src->addr_len;

    if (s->dst->addr_len != family || (family != IPV4_OCTETS && family != IPV6_OCTETS))
        return false;
    gh_wr_bytes(w, s->src->addr, family);
    gh_wr_bytes(w, s->dst->addr, family);
    if (family == IPV4_OCTETS) { /* RFC 9293 3.1 */
        gh_wr_u8(w, 0);
        gh_wr_u8(w, PROTOCOL_TCP);
        gh_wr_u16(w, tcp_len);
    } else { /* RFC 8200 8.1 */
        gh_wr_u32(w, tcp_len);
        gh_wr_u32(w, PROTOCOL_TCP);
    }
    return gh_wr_ok(w);
}

static void write_header(struct gh_wr *w, const struct tcpao_segment *s, bool options_covered)
{
    size_t start = w->len, mac = s->option->offset + TCPAO_OPTION_HEADER;

    gh_wr_bytes(w, s->hdr, TCPAO_TCP_HEADER_MIN);
    gh_wr_put_u16(w, start + TCP_CHECKSUM, 0);
    if (options_covered)
        gh_wr_bytes(w, s->hdr + TCPAO_TCP_HEADER_MIN, mac - TCPAO_TCP_HEADER_MIN);
    else
        gh_wr_bytes(w, s->hdr + s->option->offset, TCPAO_OPTION_HEADER);
    gh_wr_zero(w, s->option->mac_len);
    if (options_covered) {
        size_t rest = mac + s->option->mac_len;

        gh_wr_bytes(w, s->hdr + rest, s->hdr_len - rest);
    }
}

enum tcpao_result tcpao_mac_over(struct gh_mac_key *key, bool options_covered,
                                 const struct tcpao_segment *s, uint8_t mac[TCPAO_MAC_MAX])
{
    uint8_t head[COVERED_HEAD_MAX];
    struct gh_wr w = gh_wr_make(head, sizeof(head));
    struct gh_mac m;

    gh_wr_u32(&w, s->sne);
    if (!write_pseudo_header(&w, s))
        return TCPAO_MALFORMED;
    write_header(&w, s, options_covered);
    if (!gh_wr_ok(&w))
        return TCPAO_MALFORMED;
    gh_mac_init(&m, key);
    gh_mac_update(&m, head, w.len);
    gh_mac_update(&m, s->payload, s->payload_len);
    return gh_mac_final(&m, mac) ? TCPAO_OK : TCPAO_CRYPTO_FAILED;
}

enum tcpao_result tcpao_segment_mac(enum tcpao_alg alg, const uint8_t *traffic_key,
                                    bool options_covered, unsigned mac_len,
                                    const struct tcpao_endpoint *src,
                                    const struct tcpao_endpoint *dst, uint32_t sne,
                                    const uint8_t *hdr, size_t hdr_len, const uint8_t *payload,
                                    size_t payload_len, uint8_t mac[TCPAO_MAC_MAX])
{
    struct tcpao_option option;
    const struct tcpao_segment s = {.src = src,
                                    .dst = dst,
                                    .sne = sne,
                                    .hdr = hdr,
                                    .hdr_len = hdr_len,
                                    .option = &option,
                                    .payload = payload,
                                    .payload_len = payload_len};
    struct gh_mac_key key = {0};
    uint8_t full[TCPAO_MAC_MAX];
    enum tcpao_result result = tcpao_option_find(hdr, hdr_len, &option);

    if (result == TCPAO_OK && !option.ao)
        result = TCPAO_MISSING_AO;
    if (result == TCPAO_OK && (option.mac_len != mac_len || mac_len > tcpao_mac_len_max(alg)))
        result = TCPAO_BAD_LENGTH;
    if (result != TCPAO_OK)
        return result;
    if (gh_mac_key_set(&key, tcpao_mac_alg(alg), traffic_key, tcpao_traffic_key_len(alg)))
        result = tcpao_mac_over(&key, options_covered, &s, full);
    else
        result = TCPAO_CRYPTO_FAILED;
    gh_mac_key_clear(&key);
    if (result == TCPAO_OK)
        memcpy(mac, full, mac_len);
    return result;
}
