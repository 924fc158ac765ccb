/*
 * Splitting a message into its payloads.
 *
 *     | next payload | C| reserved | length (with these four octets) | body …
 */
#include "ike/payload.h"

#include "ike/auth.h"
#include "ike/cert.h"
#include "ike/certreq.h"
#include "ike/cp.h"
#include "ike/delete.h"
#include "ike/eap.h"
#include "ike/id.h"
#include "ike/ke_payload.h"
#include "ike/nonce.h"
#include "ike/notify.h"
#include "ike/puzzle.h"
#include "ike/sa.h"
#include "ike/ts.h"
#include "wire/rd.h"

/* One payload off the chain; *type becomes that of the next. */
static bool take_payload(struct gh_rd *r, uint8_t *type, struct ike_payload *out)
{
    uint8_t next = gh_rd_u8(r), flags = gh_rd_u8(r);
    uint16_t len = gh_rd_u16(r);
    struct gh_rd body;

    if (r->bad || len < IKE_PAYLOAD_HEADER_LEN)
        return false;
    body = gh_rd_sub(r, len - (size_t)IKE_PAYLOAD_HEADER_LEN);
    if (r->bad)
        return false;
    *out = (struct ike_payload){.type = *type,
                                .critical = (flags & IKE_CRITICAL_BIT) != 0,
                                .body = gh_view_of(body.p, gh_rd_left(&body))};
    *type = next;
    return true;
}

static bool is_sealed(uint8_t type)
{
    return type == IKE_P_SK || type == IKE_P_SKF;
}

/* Payloads up to the end of the chain or to an envelope, whose type is then left in *type. */
static enum ike_fault take_chain(struct gh_rd *r, uint8_t *type, struct ike_payloads *out)
{
    out->count = 0;
    while (*type != IKE_P_NONE && !is_sealed(*type)) {
        if (out->count == IKE_PAYLOADS_MAX)
            return IKE_TOO_MANY;
        if (!take_payload(r, type, &out->payload[out->count]))
            return IKE_SYNTAX;
        out->count++;
    }
    return IKE_OK;
}

enum ike_fault ike_message_parse(struct gh_view datagram, struct ike_message *out)
{
    struct gh_rd r = gh_rd_make(datagram.p, datagram.len);
    struct ike_message m = {0};
    struct ike_payload envelope;
    enum ike_fault fault = ike_header_parse(datagram, &m.h);
    uint8_t type;

    if (fault == IKE_OK)
        fault = ike_header_check(&m.h, datagram.len);
    if (fault != IKE_OK)
        return fault;
    type = m.h.next;
    gh_rd_skip(&r, IKE_HEADER_LEN);
    fault = take_chain(&r, &type, &m.clear);
    if (fault != IKE_OK)
        return fault;
    if (is_sealed(type)) {
        m.sealed.offset = datagram.len - gh_rd_left(&r);
        m.sealed.type = type;
        if (!take_payload(&r, &type, &envelope))
            return IKE_SYNTAX;
        m.sealed.first = type;
        m.sealed.flags = datagram.p[m.sealed.offset + 1];
        m.sealed.body = envelope.body;
    }
    if (!gh_rd_done(&r))
        return IKE_SYNTAX;
    *out = m;
    return IKE_OK;
}

enum ike_fault ike_payloads_parse(uint8_t first, struct gh_view octets, struct ike_payloads *out)
{
    struct gh_rd r = gh_rd_make(octets.p, octets.len);
    struct ike_payloads p;
    enum ike_fault fault = take_chain(&r, &first, &p);

    if (fault != IKE_OK)
        return fault;
    if (first != IKE_P_NONE || !gh_rd_done(&r))
        return IKE_SYNTAX;
    out->count = p.count;
    for (size_t i = 0; i < p.count; i++)
        out->payload[i] = p.payload[i];
    return IKE_OK;
}

const struct ike_payload *ike_find(const struct ike_payloads *p, uint8_t type, size_t nth)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->payload[i].type == type && nth-- == 0)
            return &p->payload[i];
    return NULL;
}

size_t ike_count(const struct ike_payloads *p, uint8_t type)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count; i++)
        n += p->payload[i].type == type;
    return n;
}

enum ike_fault ike_payload_check(const struct ike_payload *payload)
{
    union {
        struct ike_sa sa;
        struct ike_ke ke;
        struct ike_id id;
        struct ike_cert cert;
        struct ike_certreq certreq;
        struct ike_auth auth;
        struct gh_view view;
        struct ike_notify notify;
        struct ike_delete delete;
        struct ike_ts_list ts;
        struct ike_cp cp;
        struct ike_eap eap;
    } parsed;

    switch (payload->type) {
    case IKE_P_SA:
        return ike_sa_parse(payload->body, &parsed.sa);
    case IKE_P_KE:
        return ike_ke_parse(payload->body, &parsed.ke);
    case IKE_P_IDI:
    case IKE_P_IDR:
        return ike_id_parse(payload->body, &parsed.id);
    case IKE_P_CERT:
        return ike_cert_parse(payload->body, &parsed.cert);
    case IKE_P_CERTREQ:
        return ike_certreq_parse(payload->body, &parsed.certreq);
    case IKE_P_AUTH:
        return ike_auth_parse(payload->body, &parsed.auth);
    case IKE_P_NONCE:
        return ike_nonce_parse(payload->body, &parsed.view);
    case IKE_P_NOTIFY:
        return ike_notify_parse(payload->body, &parsed.notify);
    case IKE_P_DELETE:
        return ike_delete_parse(payload->body, &parsed.delete);
    case IKE_P_TSI:
    case IKE_P_TSR:
        return ike_ts_parse(payload->body, &parsed.ts);
    case IKE_P_CP:
        return ike_cp_parse(payload->body, &parsed.cp);
    case IKE_P_EAP:
        return ike_eap_parse(payload->body, &parsed.eap);
    case IKE_P_PS:
        return ike_puzzle_solution_parse(payload->body, &parsed.view);
    default:
        return IKE_OK;
    }
}
