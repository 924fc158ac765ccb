#include "daemon/esp_messages.h"

#include <string.h>

#include "config/octets.h"
#include "config/traffic.h"
#include "ike/codes.h"

enum { KEY_MAX = 256 };

void gh_esp_put_string(struct gh_wr *w, const char *text)
{
    size_t len = strlen(text);

    gh_wr_u8(w, len);
    gh_wr_bytes(w, text, len);
}

void gh_esp_take_string(struct gh_rd *r, char *out, size_t size)
{
    size_t len = gh_rd_u8(r);
    const uint8_t *p = gh_rd_bytes(r, len);

    if (r->bad || len >= size || memchr(p, '\0', len) != NULL) {
        r->bad = true;
        return;
    }
    memcpy(out, p, len);
    out[len] = '\0';
}

static void put_ts(struct gh_wr *w, const struct ike_ts *ts)
{
    gh_wr_u8(w, ts->protocol);
    gh_wr_u16(w, ts->start_port);
    gh_wr_u16(w, ts->end_port);
    gh_put_addr(w, &ts->start);
    gh_put_addr(w, &ts->end);
}

static void take_ts(struct gh_rd *r, struct ike_ts *ts)
{
    ts->protocol = gh_rd_u8(r);
    ts->start_port = gh_rd_u16(r);
    ts->end_port = gh_rd_u16(r);
    gh_get_addr(r, true, &ts->start);
    gh_get_addr(r, true, &ts->end);
    ts->type = ts->start.len == 4 ? IKE_TS_IPV4 : IKE_TS_IPV6;
    if (ts->start.len != ts->end.len)
        r->bad = true;
}

void gh_esp_put_ts_list(struct gh_wr *w, const struct ike_ts_list *list)
{
    gh_wr_u8(w, list->count);
    for (size_t i = 0; i < list->count; i++)
        put_ts(w, &list->ts[i]);
}

void gh_esp_take_ts_list(struct gh_rd *r, struct ike_ts_list *list)
{
    size_t count = gh_get_below(r, gh_rd_u8(r), IKE_TS_MAX + 1);

    for (size_t i = 0; i < count && !r->bad; i++)
        take_ts(r, &list->ts[i]);
    list->count = count;
}

static void put_key(struct gh_wr *w, struct gh_view key)
{
    gh_wr_u16(w, key.len);
    gh_wr_bytes(w, key.p, key.len);
}

static struct gh_view take_key(struct gh_rd *r)
{
    size_t len = gh_get_below(r, gh_rd_u16(r), KEY_MAX + 1);
    const uint8_t *p = gh_rd_bytes(r, len);

    return gh_view_of(p, r->bad ? 0 : len);
}

void gh_esp_put_child(struct gh_wr *w, const struct gh_esp_child *c)
{
    gh_wr_u32(w, c->id);
    gh_wr_u32(w, c->replaces);
    gh_wr_u8(w, c->initiator);
    gh_wr_u8(w, c->protocol);
    gh_wr_u8(w, c->mode);
    gh_esp_put_string(w, c->netns);
    gh_esp_put_string(w, c->vrf);
    gh_esp_put_string(w, c->peer);
    gh_esp_put_string(w, c->name);
    gh_wr_u32(w, c->spi_in);
    gh_wr_u32(w, c->spi_out);
    gh_wr_u16(w, c->enc);
    gh_wr_u16(w, c->enc_bits);
    gh_wr_u16(w, c->integ);
    gh_wr_u8(w, c->esn);
    gh_wr_u8(w, c->follows);
    gh_wr_u8(w, c->kernel);
    gh_put_addr(w, &c->local);
    gh_put_addr(w, &c->remote);
    gh_wr_u16(w, c->local_port);
    gh_wr_u16(w, c->remote_port);
    gh_wr_u32(w, c->seconds);
    gh_wr_u64(w, c->octets);
    gh_wr_u64(w, c->packets);
    gh_wr_u8(w, c->icmp_header);
    gh_wr_u8(w, c->fragments_also);
    gh_esp_put_ts_list(w, &c->ts_local);
    gh_esp_put_ts_list(w, &c->ts_remote);
    gh_wr_u8(w, c->reverse);
    gh_wr_u8(w, c->overlap);
    gh_wr_u16(w, c->metric);
    gh_wr_bytes(w, c->tunnel, sizeof(c->tunnel));
    gh_esp_put_string(w, c->who);
    gh_traffic_put(w, &c->traffic);
    gh_wr_u8(w, c->bundle);
    put_key(w, c->key_in);
    put_key(w, c->key_out);
}

bool gh_esp_take_child(struct gh_rd *r, struct gh_esp_child *c)
{
    memset(c, 0, sizeof(*c));
    c->id = gh_rd_u32(r);
    c->replaces = gh_rd_u32(r);
    c->initiator = gh_get_flag(r);
    c->protocol = (enum ipsec_protocol)gh_rd_u8(r);
    c->mode = (enum ipsec_mode)gh_get_below(r, gh_rd_u8(r), IPSEC_TRANSPORT + 1);
    gh_esp_take_string(r, c->netns, sizeof(c->netns));
    gh_esp_take_string(r, c->vrf, sizeof(c->vrf));
    gh_esp_take_string(r, c->peer, sizeof(c->peer));
    gh_esp_take_string(r, c->name, sizeof(c->name));
    c->spi_in = gh_rd_u32(r);
    c->spi_out = gh_rd_u32(r);
    c->enc = (enum gh_enc_alg)gh_rd_u16(r);
    c->enc_bits = gh_rd_u16(r);
    c->integ = (enum gh_integ_alg)gh_rd_u16(r);
    c->esn = gh_get_flag(r);
    c->follows = gh_get_flag(r);
    c->kernel = gh_get_flag(r);
    gh_get_addr(r, true, &c->local);
    gh_get_addr(r, true, &c->remote);
    c->local_port = gh_rd_u16(r);
    c->remote_port = gh_rd_u16(r);
    c->seconds = gh_rd_u32(r);
    c->octets = gh_rd_u64(r);
    c->packets = gh_rd_u64(r);
    c->icmp_header = gh_get_flag(r);
    c->fragments_also = gh_get_flag(r);
    gh_esp_take_ts_list(r, &c->ts_local);
    gh_esp_take_ts_list(r, &c->ts_remote);
    c->reverse = gh_get_flag(r);
    c->overlap = gh_get_flag(r);
    c->metric = (uint16_t)gh_rd_u16(r);
    gh_rd_copy(r, c->tunnel, sizeof(c->tunnel));
    gh_esp_take_string(r, c->who, sizeof(c->who));
    gh_traffic_get(r, &c->traffic);
    c->bundle = (enum gh_esp_bundle)gh_get_below(r, gh_rd_u8(r), GH_ESP_INSIDE + 1);
    c->key_in = take_key(r);
    c->key_out = take_key(r);
    return gh_rd_done(r) && (c->protocol == IPSEC_ESP || c->protocol == IPSEC_AH);
}

bool gh_esp_take_hello(struct gh_rd *r, uint64_t *epoch, struct gh_rd *ids)
{
    size_t count;

    *epoch = gh_rd_u64(r);
    count = gh_rd_u32(r);
    *ids = gh_rd_sub(r, count * sizeof(uint32_t));
    return gh_rd_done(r);
}

void gh_esp_put_ends(struct gh_wr *w, const struct gh_esp_ends *e)
{
    gh_wr_u32(w, e->id);
    gh_put_addr(w, &e->local);
    gh_put_addr(w, &e->remote);
    gh_wr_u16(w, e->local_port);
    gh_wr_u16(w, e->remote_port);
}

bool gh_esp_take_ends(struct gh_rd *r, struct gh_esp_ends *out)
{
    memset(out, 0, sizeof(*out));
    out->id = gh_rd_u32(r);
    gh_get_addr(r, true, &out->local);
    gh_get_addr(r, true, &out->remote);
    out->local_port = gh_rd_u16(r);
    out->remote_port = gh_rd_u16(r);
    return gh_rd_done(r);
}

void gh_esp_put_refusal(struct gh_wr *w, const struct gh_esp_refusal *x)
{
    gh_wr_u32(w, x->id);
    gh_esp_put_string(w, x->why);
}

bool gh_esp_take_refusal(struct gh_rd *r, struct gh_esp_refusal *out)
{
    memset(out, 0, sizeof(*out));
    out->id = gh_rd_u32(r);
    gh_esp_take_string(r, out->why, sizeof(out->why));
    return gh_rd_done(r);
}

void gh_esp_put_usage(struct gh_wr *w, const struct gh_esp_usage *u)
{
    gh_wr_u32(w, u->id);
    gh_wr_u64(w, u->octets);
    gh_wr_u64(w, u->packets);
    gh_wr_u8(w, u->incoming);
}

bool gh_esp_take_usage(struct gh_rd *r, struct gh_esp_usage *out)
{
    memset(out, 0, sizeof(*out));
    out->id = gh_rd_u32(r);
    out->octets = gh_rd_u64(r);
    out->packets = gh_rd_u64(r);
    out->incoming = gh_get_flag(r);
    return gh_rd_done(r);
}

void gh_esp_put_wanted(struct gh_wr *w, const struct gh_esp_wanted *x)
{
    gh_esp_put_string(w, x->peer);
    gh_esp_put_string(w, x->name);
    put_ts(w, &x->local);
    put_ts(w, &x->remote);
}

bool gh_esp_take_wanted(struct gh_rd *r, struct gh_esp_wanted *out)
{
    memset(out, 0, sizeof(*out));
    gh_esp_take_string(r, out->peer, sizeof(out->peer));
    gh_esp_take_string(r, out->name, sizeof(out->name));
    take_ts(r, &out->local);
    take_ts(r, &out->remote);
    return gh_rd_done(r);
}

void gh_esp_put_stranger(struct gh_wr *w, const struct gh_esp_stranger *x)
{
    gh_esp_put_string(w, x->netns);
    gh_esp_put_string(w, x->vrf);
    gh_put_addr(w, &x->local);
    gh_put_addr(w, &x->remote);
    gh_wr_u32(w, x->spi);
}

bool gh_esp_take_stranger(struct gh_rd *r, struct gh_esp_stranger *out)
{
    memset(out, 0, sizeof(*out));
    gh_esp_take_string(r, out->netns, sizeof(out->netns));
    gh_esp_take_string(r, out->vrf, sizeof(out->vrf));
    gh_get_addr(r, true, &out->local);
    gh_get_addr(r, true, &out->remote);
    out->spi = gh_rd_u32(r);
    return gh_rd_done(r);
}

void gh_esp_put_stray(struct gh_wr *w, const struct gh_esp_stray *x)
{
    gh_esp_put_string(w, x->netns);
    gh_esp_put_string(w, x->vrf);
    gh_put_addr(w, &x->local);
    gh_put_addr(w, &x->remote);
    gh_wr_u16(w, x->port);
    gh_wr_u16(w, x->data.len);
    gh_wr_bytes(w, x->data.p, x->data.len);
}

bool gh_esp_take_stray(struct gh_rd *r, struct gh_esp_stray *out)
{
    size_t len;
    const uint8_t *p;

    memset(out, 0, sizeof(*out));
    gh_esp_take_string(r, out->netns, sizeof(out->netns));
    gh_esp_take_string(r, out->vrf, sizeof(out->vrf));
    gh_get_addr(r, true, &out->local);
    gh_get_addr(r, true, &out->remote);
    out->port = gh_rd_u16(r);
    len = gh_rd_u16(r);
    p = gh_rd_bytes(r, len);
    out->data = gh_view_of(p, r->bad ? 0 : len);
    return gh_rd_done(r) && out->local.len == out->remote.len;
}

void gh_esp_put_route(struct gh_wr *w, const char *netns, const char *vrf,
                      const struct gh_esp_route_wish *x)
{
    gh_esp_put_string(w, netns);
    gh_esp_put_string(w, vrf);
    gh_wr_u8(w, x->up);
    gh_put_prefix(w, &x->to);
    gh_wr_u16(w, x->metric);
    gh_wr_u8(w, x->holds_peer);
    gh_put_addr(w, &x->source);
}

bool gh_esp_take_route(struct gh_rd *r, char netns[GH_ESP_NETNS], char vrf[GH_ESP_VRF],
                       struct gh_esp_route_wish *out)
{
    memset(out, 0, sizeof(*out));
    gh_esp_take_string(r, netns, GH_ESP_NETNS);
    gh_esp_take_string(r, vrf, GH_ESP_VRF);
    out->up = gh_get_flag(r);
    gh_get_prefix(r, true, &out->to);
    out->metric = (uint16_t)gh_rd_u16(r);
    out->holds_peer = gh_get_flag(r);
    gh_get_addr(r, false, &out->source);
    return gh_rd_done(r) && (out->source.len == 0 || out->source.len == out->to.addr.len);
}

void gh_esp_put_reach(struct gh_wr *w, const struct gh_esp_reach *x)
{
    gh_esp_put_string(w, x->tunnel);
    gh_wr_u8(w, x->primary);
    gh_wr_u8(w, x->backup);
}

bool gh_esp_take_reach(struct gh_rd *r, struct gh_esp_reach *out)
{
    memset(out, 0, sizeof(*out));
    gh_esp_take_string(r, out->tunnel, sizeof(out->tunnel));
    out->primary = gh_get_flag(r);
    out->backup = gh_get_flag(r);
    return gh_rd_done(r);
}
