/* Random payloads from a seed, each valid, for tests that hold for all of them. */
#ifndef GH_TESTS_UNIT_IKE_RANDOM_H
#define GH_TESTS_UNIT_IKE_RANDOM_H

#include "../ike_again.h"

#include "ike/ts_set.h"

/* xorshift: the same numbers everywhere. */
struct ike_rng {
    uint64_t x;
};

static inline uint64_t rng_next(struct ike_rng *r)
{
    r->x ^= r->x << 13;
    r->x ^= r->x >> 7;
    r->x ^= r->x << 17;
    return r->x;
}

static inline unsigned rng_below(struct ike_rng *r, unsigned n)
{
    return (unsigned)(rng_next(r) >> 16) % n;
}

/* A view of random octets that stays until the pool is used up and begins anew. */
static inline struct gh_view rng_view(struct ike_rng *r, size_t len)
{
    static uint8_t pool[1 << 16];
    static size_t at;
    struct gh_view v;

    if (at + len > sizeof(pool))
        at = 0;
    v = gh_view_of(pool + at, len);
    for (size_t i = 0; i < len; i++)
        pool[at + i] = (uint8_t)rng_next(r);
    at += len;
    return v;
}

static inline void rng_sa(struct ike_rng *r, struct ike_sa *sa)
{
    memset(sa, 0, sizeof(*sa));
    sa->count = 1 + rng_below(r, rng_below(r, 8) == 0 ? IKE_PROPOSALS_MAX : 3);
    for (size_t i = 0; i < sa->count; i++) {
        struct ike_proposal *p = &sa->proposal[i];

        p->number = (uint8_t)(i + 1);
        p->protocol = (uint8_t)rng_next(r);
        p->spi_len = (uint8_t)rng_below(r, IKE_SA_SPI_MAX + 1);
        memcpy(p->spi, rng_view(r, p->spi_len).p, p->spi_len);
        p->count = rng_below(r, rng_below(r, 8) == 0 ? IKE_TRANSFORMS_MAX + 1 : 8);
        for (size_t j = 0; j < p->count; j++) {
            /* A long attribute that nobody knows, now and then. */
            static const uint8_t odd[] = {0x00, 0x63, 0x00, 0x02, 0xab, 0xcd};

            p->transform[j] =
                (struct ike_transform){.type = (uint8_t)rng_next(r), .id = (uint16_t)rng_next(r)};
            if (rng_below(r, 4) == 0)
                p->transform[j].odd = gh_view_of(odd, sizeof(odd));
            else if (rng_below(r, 2) == 0)
                p->transform[j].key_bits = (uint16_t)(1 + rng_below(r, 65535));
        }
    }
}

static inline struct ike_ts rng_ts(struct ike_rng *r)
{
    uint8_t len = rng_below(r, 2) ? 4 : 16;
    struct gh_addr a = gh_addr_from(rng_view(r, len).p, len);
    struct gh_addr b = gh_addr_from(rng_view(r, len).p, len);
    bool swap = memcmp(a.octets, b.octets, len) > 0;
    struct ike_ts ts = ike_ts_from_range(swap ? &b : &a, swap ? &a : &b);
    uint16_t p = (uint16_t)rng_next(r), q = (uint16_t)rng_next(r);

    ts.protocol = (uint8_t)rng_next(r);
    if (rng_below(r, 3) == 0) {
        ts.start_port = p < q ? p : q;
        ts.end_port = p < q ? q : p;
    } else if (rng_below(r, 4) == 0) {
        ts.start_port = 0xffff;
        ts.end_port = 0;
    }
    return ts;
}

static inline void rng_ts_list(struct ike_rng *r, struct ike_ts_list *list)
{
    *list = (struct ike_ts_list){.count = 1 + rng_below(r, IKE_TS_MAX)};
    for (size_t i = 0; i < list->count; i++)
        list->ts[i] = rng_ts(r);
}

static inline void rng_id(struct ike_rng *r, struct ike_out *o, uint8_t payload)
{
    static const uint8_t types[] = {
        IKE_ID_IPV4_ADDR, IKE_ID_FQDN, IKE_ID_RFC822_ADDR, IKE_ID_IPV6_ADDR, IKE_ID_KEY_ID,
        IKE_ID_NULL,      200};
    uint8_t type = types[rng_below(r, sizeof(types))];
    size_t len = type == IKE_ID_IPV4_ADDR   ? 4
                 : type == IKE_ID_IPV6_ADDR ? 16
                 : type == IKE_ID_NULL      ? 0
                                            : 1 + rng_below(r, 40);

    ike_id_emit(o, payload, &(struct ike_id){type, rng_view(r, len)});
}

static inline void rng_eap(struct ike_rng *r, struct ike_out *o)
{
    uint8_t packet[64] = {(uint8_t)(1 + rng_below(r, 4)), (uint8_t)rng_next(r)};
    size_t len = packet[0] <= IKE_EAP_RESPONSE ? 5 + rng_below(r, sizeof(packet) - 5) : 4;

    packet[3] = (uint8_t)len;
    ike_eap_emit(o, gh_view_of(packet, len));
}

/* One valid payload of the type. */
static inline void rng_payload(struct ike_rng *r, struct ike_out *o, uint8_t type)
{
    static struct ike_sa sa;
    struct ike_ts_list ts;
    struct ike_cp cp = {.type = (uint8_t)rng_next(r)};
    uint16_t count = (uint16_t)rng_below(r, 9);

    switch (type) {
    case IKE_P_SA:
        rng_sa(r, &sa);
        ike_sa_emit(o, &sa);
        break;
    case IKE_P_KE:
        ike_ke_emit(o, &(struct ike_ke){(uint16_t)rng_next(r), rng_view(r, 1 + rng_below(r, 300))});
        break;
    case IKE_P_IDI:
    case IKE_P_IDR:
        rng_id(r, o, type);
        break;
    case IKE_P_CERT:
        ike_cert_emit(o,
                      &(struct ike_cert){(uint8_t)rng_next(r), rng_view(r, 1 + rng_below(r, 900))});
        break;
    case IKE_P_CERTREQ:
        ike_certreq_emit(o, &(struct ike_certreq){(uint8_t)rng_below(r, 16),
                                                  rng_view(r, (size_t)20 * rng_below(r, 10))});
        break;
    case IKE_P_AUTH:
        ike_auth_emit(o,
                      &(struct ike_auth){(uint8_t)rng_next(r), rng_view(r, 1 + rng_below(r, 300))});
        break;
    case IKE_P_NONCE:
        ike_nonce_emit(o, rng_view(r, IKE_NONCE_MIN + rng_below(r, 241)));
        break;
    case IKE_P_NOTIFY:
        ike_notify_emit(o, &(struct ike_notify){(uint8_t)rng_next(r), (uint16_t)rng_next(r),
                                                rng_view(r, rng_below(r, 9)),
                                                rng_view(r, rng_below(r, 50))});
        break;
    case IKE_P_DELETE:
        ike_delete_emit(o, &(struct ike_delete){IKE_PROTO_ESP, 4, count, rng_view(r, 4u * count)});
        break;
    case IKE_P_VENDOR:
        ike_vendor_emit(o, rng_view(r, rng_below(r, 40)));
        break;
    case IKE_P_TSI:
    case IKE_P_TSR:
        rng_ts_list(r, &ts);
        ike_ts_emit(o, type, &ts);
        break;
    case IKE_P_CP:
        for (unsigned i = 0; i < count; i++)
            (void)ike_cp_add(&cp, rng_next(r) & 0x7fff, rng_view(r, rng_below(r, 20)));
        ike_cp_emit(o, &cp);
        break;
    case IKE_P_EAP:
        rng_eap(r, o);
        break;
    case IKE_P_PS:
        ike_puzzle_solution_emit(o, rng_view(r, (size_t)4 * (1 + rng_below(r, 16))));
        break;
    default:
        ike_out_payload(o, type, rng_below(r, 2) == 0, rng_view(r, rng_below(r, 60)));
    }
}

/* What a chain may be made of, SK and SKF left out; 60 and 200 are unknown. */
static const uint8_t ike_random_types[] = {
    IKE_P_SA,     IKE_P_KE,     IKE_P_IDI,    IKE_P_IDR, IKE_P_CERT, IKE_P_CERTREQ,
    IKE_P_AUTH,   IKE_P_NONCE,  IKE_P_NOTIFY, IKE_P_TSI, IKE_P_TSR,  IKE_P_CP,
    IKE_P_DELETE, IKE_P_VENDOR, IKE_P_EAP,    IKE_P_PS,  60,         200};

static inline uint8_t rng_type(struct ike_rng *r)
{
    return ike_random_types[rng_below(r, sizeof(ike_random_types))];
}

#endif
