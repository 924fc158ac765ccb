#include "daemon/esp_strangers.h"

#include "ipsec/header.h"
#include "wire/rd.h"

enum { SILENT_MS = 60 * 1000 };

/* Its ends and its SPI. False: it is not there, although it was. */
static bool read_packet(const struct ipsec_packet *p, struct gh_esp_stranger *out)
{
    const uint8_t *data = ipsec_packet_data(p);
    struct ipsec_layout layout;
    struct gh_rd r;

    if (!ipsec_layout_read(data, p->len, &layout))
        return false;
    r = gh_rd_make(data, p->len);
    gh_rd_skip(&r, layout.l4_at);
    if (data[layout.l4_next_at] == IPSEC_PROTO_UDP)
        gh_rd_skip(&r, IPSEC_UDP_HEADER);
    else if (data[layout.l4_next_at] == IPSEC_PROTO_AH)
        gh_rd_skip(&r, 4);
    *out =
        (struct gh_esp_stranger){.local = layout.dst, .remote = layout.src, .spi = gh_rd_u32(&r)};
    return !r.bad;
}

static bool was_told(const struct gh_esp_strangers *s, const struct gh_esp_stranger *x,
                     uint64_t now_ms)
{
    for (size_t i = 0; i < GH_ESP_STRANGERS; i++)
        if (s->told[i].spi == x->spi && now_ms < s->told[i].until_ms &&
            gh_addr_equal(&s->told[i].remote, &x->remote))
            return true;
    return false;
}

bool gh_esp_stranger(struct gh_esp_strangers *s, const struct ipsec_packet *p, uint64_t now_ms,
                     struct gh_esp_stranger *out)
{
    uint64_t second = now_ms / 1000;

    if (second == s->second && s->count >= GH_ESP_STRANGERS_A_SECOND)
        return false;
    if (!read_packet(p, out) || was_told(s, out, now_ms))
        return false;
    s->count = second == s->second ? s->count + 1 : 1;
    s->second = second;
    s->told[s->next].remote = out->remote;
    s->told[s->next].spi = out->spi;
    s->told[s->next].until_ms = now_ms + SILENT_MS;
    s->next = (s->next + 1) % GH_ESP_STRANGERS;
    return true;
}
