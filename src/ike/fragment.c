/*
 * Splitting into and putting together of IKE fragments. An Encrypted Fragment payload is an
 * envelope (sk.c) with number and total in front of the IV.
 */
#include "ike/fragment.h"

#include <stdlib.h>

#include "ike/sk_priv.h"
#include "wire/rd.h"

enum { UDP_HEADER = 8, NON_ESP_MARKER = 4 };

/* Content octets of a fragment in a datagram of this size; 0: none. Padding is counted at its
 * worst, which with whole blocks is none at all. */
static size_t chunk_len(const struct gh_cipher *c, size_t datagram_max, size_t overhead,
                        size_t prefix_len)
{
    size_t block = gh_cipher_block(c);
    size_t fixed = overhead + ike_envelope_len(c, prefix_len, 0) - block;

    if (datagram_max < fixed + block)
        return 0;
    return (datagram_max - fixed) / block * block - 1;
}

static size_t overhead(size_t ip_header, bool marker)
{
    return ip_header + UDP_HEADER + (marker ? NON_ESP_MARKER : 0u);
}

bool ike_fragment_needless(const struct gh_cipher *c, size_t inner_len, size_t datagram_max,
                           size_t ip_header, bool marker)
{
    return overhead(ip_header, marker) + ike_sk_message_len(c, inner_len) <= datagram_max;
}

bool ike_fragment_plan(const struct gh_cipher *c, size_t inner_len, size_t datagram_max,
                       size_t ip_header, bool marker, uint16_t above,
                       struct ike_fragment_plan *plan)
{
    size_t chunk = chunk_len(c, datagram_max, overhead(ip_header, marker), IKE_SKF_PREFIX_LEN);
    size_t total;

    if (chunk == 0)
        return false;
    total = inner_len == 0 ? 1 : (inner_len + chunk - 1) / chunk;
    if (total <= above) {
        /* Smaller pieces than needed, so that the receiver can tell the sets apart. */
        total = above + 1u;
        chunk = (inner_len + total - 1) / total;
        if (chunk == 0 || (inner_len + chunk - 1) / chunk != total)
            return false;
    }
    if (total > IKE_FRAGMENTS_MAX)
        return false;
    *plan = (struct ike_fragment_plan){chunk, (uint16_t)total};
    return true;
}

bool ike_fragment_seal_beside(struct gh_cipher *c, const struct ike_header *h,
                              const struct ike_payload *beside, uint8_t first, struct gh_view inner,
                              const struct ike_fragment_plan *plan, uint16_t number,
                              struct gh_view iv, uint8_t *mem, size_t cap, struct gh_view *datagram)
{
    uint8_t prefix[IKE_SKF_PREFIX_LEN];
    struct gh_wr w = gh_wr_make(prefix, sizeof(prefix));
    size_t start = (number - (size_t)1) * plan->chunk, len = plan->chunk;

    if (number == 0 || number > plan->total || start > inner.len)
        return false;
    if (len > inner.len - start)
        len = inner.len - start;
    gh_wr_u16(&w, number);
    gh_wr_u16(&w, plan->total);
    return ike_envelope_seal(c, h, number == 1 ? beside : NULL, IKE_P_SKF,
                             number == 1 ? first : IKE_P_NONE, gh_view_of(prefix, sizeof(prefix)),
                             gh_view_of(len == 0 ? NULL : inner.p + start, len), iv, mem, cap,
                             datagram);
}

bool ike_fragment_seal(struct gh_cipher *c, const struct ike_header *h, uint8_t first,
                       struct gh_view inner, const struct ike_fragment_plan *plan, uint16_t number,
                       struct gh_view iv, uint8_t *mem, size_t cap, struct gh_view *datagram)
{
    return ike_fragment_seal_beside(c, h, NULL, first, inner, plan, number, iv, mem, cap, datagram);
}

/* Fragments, not what a full set was put together into. */
static void drop_fragments(struct ike_reassembly *r)
{
    for (size_t i = 0; r->fragment != NULL && i < r->total; i++)
        gh_secret_clear(&r->fragment[i]);
    free(r->fragment);
    r->fragment = NULL;
}

void ike_reassembly_clear(struct ike_reassembly *r)
{
    drop_fragments(r);
    gh_secret_clear(&r->whole);
    *r = (struct ike_reassembly){0};
}

bool ike_reassembly_expired(const struct ike_reassembly *r, uint64_t mono_ms)
{
    return r->total > 0 && mono_ms >= r->deadline_ms;
}

bool ike_fragment_number(const struct ike_message *m, uint16_t *number, uint16_t *total)
{
    struct gh_rd r = gh_rd_make(m->sealed.body.p, m->sealed.body.len);
    uint16_t n = gh_rd_u16(&r), of = gh_rd_u16(&r);

    if (m->sealed.type != IKE_P_SKF || r.bad || n == 0 || n > of)
        return false;
    /* RFC 7383 2.5: only the first says what it begins with. */
    if (n > 1 && m->sealed.first != IKE_P_NONE)
        return false;
    *number = n;
    *total = of;
    return true;
}

static bool have(const struct ike_reassembly *r, uint16_t number)
{
    return (r->have[(number - 1) / 8] >> (number - 1) % 8 & 1) != 0;
}

/* All that can be told before the ICV is known. */
static enum ike_fault check_numbers(const struct ike_reassembly *r,
                                    const struct ike_reassembly_limits *limits,
                                    const struct ike_message *m, uint16_t number, uint16_t total)
{
    if (r->total > 0 && m->h.id != r->id)
        return IKE_FRAGMENT_OTHER;
    if (total < r->total)
        return IKE_FRAGMENT_OLD;
    if (r->whole.data != NULL || (total == r->total && have(r, number)))
        return IKE_FRAGMENT_REPLAY;
    if (total > limits->fragments || total > IKE_FRAGMENTS_MAX)
        return IKE_FRAGMENT_LIMIT;
    return IKE_OK;
}

/* An empty set for the message. The deadline of one that it replaces stays. */
static bool begin(struct ike_reassembly *r, const struct ike_message *m, uint16_t total,
                  uint64_t deadline_ms)
{
    struct gh_secret *fragments = calloc(total, sizeof(*fragments));

    if (fragments == NULL)
        return false;
    if (r->total > 0)
        deadline_ms = r->deadline_ms;
    ike_reassembly_clear(r);
    *r = (struct ike_reassembly){
        .id = m->h.id, .total = total, .deadline_ms = deadline_ms, .fragment = fragments};
    return true;
}

static enum ike_fault store(struct ike_reassembly *r, const struct ike_reassembly_limits *limits,
                            uint64_t mono_ms, const struct ike_message *m, uint16_t number,
                            uint16_t total, struct gh_view content)
{
    size_t before = total == r->total ? r->octets : 0;

    if (content.len > limits->octets || before > limits->octets - content.len)
        return IKE_FRAGMENT_LIMIT;
    if (total != r->total && !begin(r, m, total, mono_ms + limits->lifetime_ms))
        return IKE_LOCAL;
    if (!gh_secret_set(&r->fragment[number - 1], content.p, content.len))
        return IKE_LOCAL;
    r->have[(number - 1) / 8] |= (uint8_t)(1u << (number - 1) % 8);
    r->octets += content.len;
    r->stored++;
    if (number == 1) {
        r->first = m->sealed.first;
        r->flags = m->sealed.flags;
    }
    return IKE_OK;
}

static bool put_together(struct ike_reassembly *r)
{
    uint8_t *all = malloc(r->octets > 0 ? r->octets : 1);
    struct gh_wr w = gh_wr_make(all, r->octets);

    if (all == NULL)
        return false;
    for (size_t i = 0; i < r->total; i++)
        if (r->fragment[i].len > 0)
            gh_wr_bytes(&w, r->fragment[i].data, r->fragment[i].len);
    drop_fragments(r);
    r->whole = (struct gh_secret){all, w.len};
    return gh_wr_ok(&w);
}

static enum ike_reassembled refuse(enum ike_fault why, enum ike_fault *fault)
{
    *fault = why;
    return IKE_FRAGMENT_REFUSED;
}

enum ike_reassembled ike_reassembly_take(struct ike_reassembly *r,
                                         const struct ike_reassembly_limits *limits,
                                         uint64_t mono_ms, struct gh_cipher *c, uint8_t *datagram,
                                         const struct ike_message *m, struct gh_view *inner,
                                         enum ike_fault *fault)
{
    uint16_t number, total;
    struct gh_view content;
    enum ike_fault why;

    if (!ike_fragment_number(m, &number, &total))
        return refuse(IKE_FRAGMENT_NUMBER, fault);
    if (ike_reassembly_expired(r, mono_ms))
        ike_reassembly_clear(r);
    why = check_numbers(r, limits, m, number, total);
    if (why == IKE_OK)
        why = ike_envelope_open(c, datagram, m, IKE_SKF_PREFIX_LEN, &content);
    if (why == IKE_OK)
        why = store(r, limits, mono_ms, m, number, total, content);
    if (why != IKE_OK)
        return refuse(why, fault);
    if (r->stored < r->total)
        return IKE_FRAGMENT_STORED;
    if (!put_together(r)) {
        ike_reassembly_clear(r);
        return refuse(IKE_LOCAL, fault);
    }
    *inner = gh_view_of(r->whole.data, r->whole.len);
    return IKE_FRAGMENT_WHOLE;
}
