#include "daemon/esp_refusals.h"

#include "tunnel/icmp.h"

void gh_esp_refusals_configure(struct gh_esp_refusals *r, const struct gh_ike_settings *s,
                               uint64_t now_ms)
{
    bool same = r->messages == s->prohibited_messages && r->seconds == s->prohibited_seconds;

    r->on = s->prohibited_messages != 0;
    r->messages = s->prohibited_messages;
    r->seconds = s->prohibited_seconds;
    if (r->on && !same)
        tunnel_rate_set(&r->rate, r->messages, r->seconds, now_ms);
}

static struct gh_addr destination(const struct ipsec_packet *p)
{
    const uint8_t *data = ipsec_packet_data(p);

    return data[0] >> 4 == 4 ? gh_addr_from(data + 16, 4) : gh_addr_from(data + 24, 16);
}

static void tell(struct gh_esp_refusals *r, uint64_t now_ms, const struct ipsec_packet *p,
                 enum tunnel_unreachable why)
{
    struct ipsec_packet error = {
        .mem = r->mem, .cap = sizeof(r->mem), .at = GH_ESP_REFUSALS_HEAD, .place = p->place};
    const struct gh_addr from = destination(p);

    if (!tunnel_source_valid(&from) || !tunnel_rate_take(&r->rate, now_ms) ||
        tunnel_icmp_unreachable(p, why, &from, &error) != TUNNEL_OK) {
        r->counts.limited++;
        return;
    }
    if (why == TUNNEL_PROHIBITED)
        r->counts.prohibited++;
    else
        r->counts.unreachable++;
    r->deliver(r->ctx, &error);
}

void gh_esp_refusals_out(struct gh_esp_refusals *r, uint64_t now_ms,
                         const struct ipsec_packet *packets, size_t count)
{
    for (size_t i = 0; r->on && i < count; i++)
        if (packets[i].result == IPSEC_NO_POLICY || packets[i].result == IPSEC_DISCARDED)
            tell(r, now_ms, &packets[i], TUNNEL_PROHIBITED);
}

void gh_esp_refusals_late(struct gh_esp_refusals *r, uint64_t now_ms, uint32_t place,
                          const uint8_t *packet, size_t len)
{
    union {
        const uint8_t *read;
        uint8_t *mem; /* struct ipsec_packet wants one; nobody writes */
    } u = {.read = packet};
    const struct ipsec_packet p = {.mem = u.mem, .cap = len, .len = len, .place = place};

    if (r->on)
        tell(r, now_ms, &p, TUNNEL_NO_HOST);
}
