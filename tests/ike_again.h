/*
 * A payload parsed and written again, by whatever its type asks for: what parse∘emit = identity is
 * tested with, by unit tests and fuzz targets alike.
 */
#ifndef GH_TESTS_IKE_AGAIN_H
#define GH_TESTS_IKE_AGAIN_H

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
#include "ike/vendor.h"

#define IKE_AGAIN(function, value, ...)                                                            \
    {                                                                                              \
        fault = function##_parse(p->body, &value);                                                 \
        if (fault == IKE_OK)                                                                       \
            function##_emit(__VA_ARGS__);                                                          \
        return fault;                                                                              \
    }

static inline enum ike_fault ike_again(struct ike_out *o, const struct ike_payload *p)
{
    static struct ike_sa sa;
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
    enum ike_fault fault = IKE_OK;

    switch (p->type) {
    case IKE_P_SA:
        IKE_AGAIN(ike_sa, sa, o, &sa)
    case IKE_P_KE:
        IKE_AGAIN(ike_ke, ke, o, &ke)
    case IKE_P_IDI:
    case IKE_P_IDR:
        IKE_AGAIN(ike_id, id, o, p->type, &id)
    case IKE_P_CERT:
        IKE_AGAIN(ike_cert, cert, o, &cert)
    case IKE_P_CERTREQ:
        IKE_AGAIN(ike_certreq, certreq, o, &certreq)
    case IKE_P_AUTH:
        IKE_AGAIN(ike_auth, auth, o, &auth)
    case IKE_P_NONCE:
        IKE_AGAIN(ike_nonce, view, o, view)
    case IKE_P_NOTIFY:
        IKE_AGAIN(ike_notify, notify, o, &notify)
    case IKE_P_DELETE:
        IKE_AGAIN(ike_delete, delete, o, &delete)
    case IKE_P_VENDOR:
        ike_vendor_emit(o, p->body);
        return IKE_OK;
    case IKE_P_TSI:
    case IKE_P_TSR:
        fault = ike_ts_parse(p->body, &ts);
        /* Selectors of unknown types are not written again; a payload needs one. */
        if (fault == IKE_OK && ts.count == 0)
            ike_out_payload(o, p->type, false, p->body);
        else if (fault == IKE_OK)
            ike_ts_emit(o, p->type, &ts);
        return fault;
    case IKE_P_CP:
        IKE_AGAIN(ike_cp, cp, o, &cp)
    case IKE_P_EAP:
        IKE_AGAIN(ike_eap, eap, o, eap.packet)
    case IKE_P_PS:
        IKE_AGAIN(ike_puzzle_solution, view, o, view)
    default:
        ike_out_payload(o, p->type, p->critical, p->body);
        return IKE_OK;
    }
}

/* All of a chain; the first fault. */
static inline enum ike_fault ike_chain_again(struct ike_out *o, const struct ike_payloads *p)
{
    enum ike_fault fault = IKE_OK;

    for (size_t i = 0; i < p->count && fault == IKE_OK; i++)
        fault = ike_again(o, &p->payload[i]);
    return fault;
}

#endif
