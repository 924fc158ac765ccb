#include "ipsec/esp.h"

#include <string.h>

#include "ipsec/outer.h"
#include "ipsec/udp.h"
#include "wire/wr.h"

enum { PACKET_MAX = 65535, ALIGN = 4 };

static size_t udp_len(const struct ipsec_sa *sa)
{
    return sa->p.local_port != 0 ? IPSEC_UDP_HEADER : 0;
}

/* What payload, padding, its length and the next header have to be a multiple of (RFC 4303 2.4). */
static size_t unit_of(const struct ipsec_sa *sa)
{
    return sa->block > ALIGN ? sa->block : ALIGN;
}

size_t ipsec_esp_payload_max(const struct ipsec_sa *sa, size_t room)
{
    size_t around = udp_len(sa) + IPSEC_ESP_HEADER + sa->iv_len + sa->icv_len;
    size_t sealed = room > around ? (room - around) / unit_of(sa) * unit_of(sa) : 0;

    return sealed > IPSEC_ESP_TRAILER ? sealed - IPSEC_ESP_TRAILER : 0;
}

/* Octets that go between the packet and the padding (RFC 4303 2.7). */
static size_t tfc_fill(const struct ipsec_sa *sa, size_t payload)
{
    size_t want = sa->p.tfc, most = PACKET_MAX;

    if (sa->p.mtu > 0)
        most = ipsec_sa_payload_max(sa, sa->p.mtu);
    if (sa->aside.longer > 0 && most > sa->aside.longer)
        most = sa->aside.longer;
    if (want > most)
        want = most;
    return want > payload ? want - payload : 0;
}

static void put_trailer(uint8_t *at, size_t tfc, size_t padding, uint8_t next)
{
    struct gh_wr w = gh_wr_make(at, tfc + padding + IPSEC_ESP_TRAILER);

    gh_wr_zero(&w, tfc);
    for (size_t i = 1; i <= padding; i++)
        gh_wr_u8(&w, i);
    gh_wr_u8(&w, padding);
    gh_wr_u8(&w, next);
}

/* RFC 3602 3: of CBC, unpredictable. Of the others, never used before under this key: the sequence
 * number (RFC 3686 3.1, RFC 4106 3.1). */
static void put_iv(const struct ipsec_work *w, uint8_t *at)
{
    struct gh_wr out = gh_wr_make(at, w->sa->iv_len);

    if (w->sa->random_iv)
        gh_wr_bytes(&out, w->random, w->sa->iv_len);
    else if (w->sa->iv_len > 0)
        gh_wr_u64(&out, w->seq);
}

/* The ESP header at `esp`, and the job for what follows it. */
static void put_esp(struct ipsec_work *w, uint8_t *esp, size_t sealed)
{
    struct gh_wr out = gh_wr_make(esp, IPSEC_ESP_HEADER);
    struct ipsec_crypt_job *j = &w->job;

    gh_wr_u32(&out, w->sa->p.spi);
    gh_wr_u32(&out, w->seq & UINT32_MAX);
    put_iv(w, esp + IPSEC_ESP_HEADER);
    ipsec_esp_cover(w);
    j->key = w->sa->key;
    ipsec_esp_iv(w, esp);
    j->data = esp + IPSEC_ESP_HEADER + w->sa->iv_len;
    j->len = sealed;
    j->icv = j->data + sealed;
}

/* How long each part of the result is; `header` octets of the packet stay in front of ESP. */
struct parts {
    size_t header, outer, udp, esp, tfc, padding, sealed, total;
};

static struct parts parts_of(const struct ipsec_sa *sa, size_t len, size_t header)
{
    struct parts s = {.header = header,
                      .outer = sa->p.mode == IPSEC_TUNNEL ? ipsec_outer_len(&sa->p.local) : 0,
                      .udp = udp_len(sa),
                      .esp = IPSEC_ESP_HEADER + sa->iv_len};
    size_t payload = len - header, unit = unit_of(sa), over;

    s.tfc = sa->p.mode == IPSEC_TUNNEL ? tfc_fill(sa, payload) : 0;
    over = (payload + s.tfc + IPSEC_ESP_TRAILER) % unit;
    s.padding = over > 0 ? unit - over : 0;
    s.sealed = payload + s.tfc + s.padding + IPSEC_ESP_TRAILER;
    s.total = s.outer + header + s.udp + s.esp + s.sealed + sa->icv_len;
    return s;
}

static enum ipsec_result wrap(struct ipsec_work *w, const struct parts *s, uint8_t next)
{
    uint8_t protocol = s->udp > 0 ? IPSEC_PROTO_UDP : IPSEC_PROTO_ESP;
    struct ipsec_packet *p = w->packet;
    size_t front = s->outer + s->udp + s->esp, behind = s->total - front - p->len;
    uint8_t *data, *esp;

    if (s->total > PACKET_MAX)
        return IPSEC_TOO_BIG;
    if (front > p->at || behind > ipsec_packet_tailroom(p))
        return IPSEC_NO_ROOM;
    put_trailer(ipsec_packet_data(p) + p->len, s->tfc, s->padding, next);
    data = ipsec_packet_push(p, front);
    memmove(data, data + front, s->header);
    p->len = s->total;
    esp = data + s->outer + s->header + s->udp;
    put_esp(w, esp, s->sealed);
    if (s->udp > 0)
        ipsec_udp_write(esp - s->udp, w->sa->p.local_port, w->sa->p.remote_port,
                        s->total - s->outer - s->header);
    if (s->outer > 0)
        return ipsec_outer_put(w, data, s->total, protocol) ? IPSEC_OK : IPSEC_TOO_BIG;
    return ipsec_header_fix(data, s->total, w->layout.insert_next_at, protocol) ? IPSEC_OK
                                                                                : IPSEC_TOO_BIG;
}

enum ipsec_result ipsec_esp_wrap(struct ipsec_work *w)
{
    bool tunnel = w->sa->p.mode == IPSEC_TUNNEL;
    struct parts s = parts_of(w->sa, w->packet->len, tunnel ? 0 : w->layout.insert_at);
    uint8_t next = ipsec_packet_data(w->packet)[w->layout.insert_next_at];

    if (tunnel)
        next = w->layout.version == 4 ? IPSEC_PROTO_IPV4 : IPSEC_PROTO_IPV6;
    return wrap(w, &s, next);
}

enum ipsec_result ipsec_esp_wrap_dummy(struct ipsec_work *w, size_t len)
{
    struct ipsec_packet *p = w->packet;
    struct parts s;

    if (w->sa->p.mode != IPSEC_TUNNEL)
        return IPSEC_NEXT_HEADER;
    if (len > p->cap - p->at)
        return IPSEC_NO_ROOM;
    p->len = len;
    memset(ipsec_packet_data(p), 0, len);
    s = parts_of(w->sa, len, 0);
    w->layout = (struct ipsec_layout){0};
    return wrap(w, &s, IPSEC_PROTO_NONE);
}

void ipsec_esp_wrapped(struct ipsec_work *w)
{
    if (w->sa->p.local_port != 0 && w->sa->p.local.len == 16)
        ipsec_udp_set_checksum(ipsec_packet_data(w->packet), w->packet->len);
}
