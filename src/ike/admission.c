/*
 * The table of admission, and how a message is held against its row.
 *
 * Notify and Vendor ID may stand in every row, as often as one likes; the table does not repeat
 * them.
 */
#include "ike/admission.h"

#include "ike/sa.h"

#define P(name) IKE_SET(IKE_P_##name)

enum {
    NONE = IKE_STATE_NONE,
    HALF_OPEN = IKE_STATE_HALF_OPEN,
    ESTABLISHED = IKE_STATE_ESTABLISHED,
    ALWAYS_MAY = P(NOTIFY) | P(VENDOR),
    PAYLOAD_LAST = IKE_P_PS
};

/* What makes a Child SA. */
#define CHILD (P(SA) | P(TSI) | P(TSR))

enum { REQUEST, RESPONSE };

/* RFC 7296 1.2-1.4, C; what others add is named in the row. */
static const struct ike_admission rows[IKE_STEP_COUNT][2] = {
    [IKE_STEP_SA_INIT][REQUEST] = {.exchange = IKE_X_SA_INIT,
                                   .states = NONE,
                                   .need = P(SA) | P(KE) | P(NONCE),
                                   .may = P(PS), /* RFC 8019 */
                                   .story = "IKE_SA_INIT request"},
    [IKE_STEP_SA_INIT][RESPONSE] = {.exchange = IKE_X_SA_INIT,
                                    .states = HALF_OPEN,
                                    .need = P(SA) | P(KE) | P(NONCE),
                                    .may = P(CERTREQ),
                                    .many = P(CERTREQ),
                                    .error_instead = true,
                                    .instead = {IKE_N_COOKIE, IKE_N_REDIRECT},
                                    .story = "IKE_SA_INIT response"},
    /* RFC 5723 4.3: no KE, no SA; a puzzle as in IKE_SA_INIT (RFC 8019 7.1). */
    [IKE_STEP_RESUME][REQUEST] = {.exchange = IKE_X_SESSION_RESUME,
                                  .states = NONE,
                                  .need = P(NONCE) | P(NOTIFY),
                                  .may = P(PS),
                                  .need_notify = IKE_N_TICKET_OPAQUE,
                                  .story = "IKE_SESSION_RESUME request"},
    [IKE_STEP_RESUME][RESPONSE] = {.exchange = IKE_X_SESSION_RESUME,
                                   .states = HALF_OPEN,
                                   .need = P(NONCE),
                                   .error_instead = true,
                                   .instead = {IKE_N_COOKIE, IKE_N_REDIRECT, IKE_N_TICKET_NACK},
                                   .story = "IKE_SESSION_RESUME response"},
    /* RFC 9242; a KE for each additional key exchange (RFC 9370), else whatever was agreed on. */
    [IKE_STEP_INTERMEDIATE][REQUEST] = {.exchange = IKE_X_INTERMEDIATE,
                                        .states = HALF_OPEN,
                                        .sealed = true,
                                        .may = P(KE),
                                        .story = "IKE_INTERMEDIATE request"},
    [IKE_STEP_INTERMEDIATE][RESPONSE] = {.exchange = IKE_X_INTERMEDIATE,
                                         .states = HALF_OPEN,
                                         .sealed = true,
                                         .may = P(KE),
                                         .error_instead = true,
                                         .story = "IKE_INTERMEDIATE response"},
    /* No AUTH: EAP is wanted. Childless: RFC 6023. A puzzle's solution is in clear (RFC
       8019 7.2.2). */
    [IKE_STEP_AUTH][REQUEST] = {.exchange = IKE_X_AUTH,
                                .states = HALF_OPEN,
                                .sealed = true,
                                .need = P(IDI),
                                .may = P(AUTH) | P(CERT) | P(CERTREQ) | P(IDR) | P(CP) | CHILD,
                                .beside = P(PS),
                                .many = P(CERT) | P(CERTREQ),
                                .together = CHILD,
                                .story = "IKE_AUTH request"},
    [IKE_STEP_AUTH][RESPONSE] = {.exchange = IKE_X_AUTH,
                                 .states = HALF_OPEN,
                                 .sealed = true,
                                 .need = P(IDR) | P(AUTH),
                                 .may = P(CERT) | P(CP) | CHILD,
                                 .idle = P(NONCE), /* seen in a capture */
                                 .many = P(CERT),
                                 .together = CHILD,
                                 .error_instead = true,
                                 .story = "IKE_AUTH response"},
    /* The request is that of IKE_STEP_AUTH. AUTH is absent with RFC 5998. */
    [IKE_STEP_AUTH_EAP_BEGIN][REQUEST] = {.exchange = IKE_X_AUTH,
                                          .states = HALF_OPEN,
                                          .sealed = true,
                                          .need = P(IDI),
                                          .may = P(CERTREQ) | P(IDR) | P(CP) | CHILD,
                                          .beside = P(PS),
                                          .many = P(CERTREQ),
                                          .together = CHILD,
                                          .story = "IKE_AUTH request without AUTH"},
    [IKE_STEP_AUTH_EAP_BEGIN][RESPONSE] = {.exchange = IKE_X_AUTH,
                                           .states = HALF_OPEN,
                                           .sealed = true,
                                           .need = P(IDR) | P(EAP),
                                           .may = P(CERT) | P(AUTH),
                                           .many = P(CERT),
                                           .error_instead = true,
                                           .story = "IKE_AUTH response that begins EAP"},
    [IKE_STEP_AUTH_EAP][REQUEST] = {.exchange = IKE_X_AUTH,
                                    .states = HALF_OPEN,
                                    .sealed = true,
                                    .need = P(EAP),
                                    .story = "IKE_AUTH request with EAP"},
    [IKE_STEP_AUTH_EAP][RESPONSE] = {.exchange = IKE_X_AUTH,
                                     .states = HALF_OPEN,
                                     .sealed = true,
                                     .need = P(EAP),
                                     .error_instead = true,
                                     .story = "IKE_AUTH response with EAP"},
    [IKE_STEP_AUTH_EAP_END][REQUEST] = {.exchange = IKE_X_AUTH,
                                        .states = HALF_OPEN,
                                        .sealed = true,
                                        .need = P(AUTH),
                                        .story = "IKE_AUTH request after EAP"},
    /* RFC 4739 and 5998 have IDr there, some with certificates. */
    [IKE_STEP_AUTH_EAP_END][RESPONSE] = {.exchange = IKE_X_AUTH,
                                         .states = HALF_OPEN,
                                         .sealed = true,
                                         .need = P(AUTH),
                                         .may = P(IDR) | P(CERT) | P(CP) | CHILD,
                                         .many = P(CERT),
                                         .together = CHILD,
                                         .error_instead = true,
                                         .story = "IKE_AUTH response after EAP"},
    [IKE_STEP_CHILD_NEW][REQUEST] = {.exchange = IKE_X_CREATE_CHILD_SA,
                                     .states = ESTABLISHED,
                                     .sealed = true,
                                     .need = CHILD | P(NONCE),
                                     .may = P(KE) | P(CP),
                                     .story = "CREATE_CHILD_SA request for a new Child SA"},
    [IKE_STEP_CHILD_NEW][RESPONSE] = {.exchange = IKE_X_CREATE_CHILD_SA,
                                      .states = ESTABLISHED,
                                      .sealed = true,
                                      .need = CHILD | P(NONCE),
                                      .may = P(KE) | P(CP),
                                      .error_instead = true,
                                      .story = "CREATE_CHILD_SA response for a new Child SA"},
    [IKE_STEP_CHILD_REKEY][REQUEST] = {.exchange = IKE_X_CREATE_CHILD_SA,
                                       .states = ESTABLISHED,
                                       .sealed = true,
                                       .need = CHILD | P(NONCE) | P(NOTIFY),
                                       .may = P(KE),
                                       .need_notify = IKE_N_REKEY_SA,
                                       .story = "CREATE_CHILD_SA request that rekeys a Child SA"},
    [IKE_STEP_CHILD_REKEY][RESPONSE] = {.exchange = IKE_X_CREATE_CHILD_SA,
                                        .states = ESTABLISHED,
                                        .sealed = true,
                                        .need = CHILD | P(NONCE),
                                        .may = P(KE),
                                        .error_instead = true,
                                        .story = "CREATE_CHILD_SA response that rekeys a Child SA"},
    [IKE_STEP_IKE_REKEY][REQUEST] = {.exchange = IKE_X_CREATE_CHILD_SA,
                                     .states = ESTABLISHED,
                                     .sealed = true,
                                     .need = P(SA) | P(NONCE) | P(KE),
                                     .story = "CREATE_CHILD_SA request that rekeys the IKE SA"},
    [IKE_STEP_IKE_REKEY][RESPONSE] = {.exchange = IKE_X_CREATE_CHILD_SA,
                                      .states = ESTABLISHED,
                                      .sealed = true,
                                      .need = P(SA) | P(NONCE) | P(KE),
                                      .error_instead = true,
                                      .story = "CREATE_CHILD_SA response that rekeys the IKE SA"},
    /* RFC 9370 2.2.4 */
    [IKE_STEP_FOLLOWUP_KE][REQUEST] = {.exchange = IKE_X_FOLLOWUP_KE,
                                       .states = ESTABLISHED,
                                       .sealed = true,
                                       .need = P(KE) | P(NOTIFY),
                                       .need_notify = IKE_N_ADDITIONAL_KEY_EXCHANGE,
                                       .story = "IKE_FOLLOWUP_KE request"},
    [IKE_STEP_FOLLOWUP_KE][RESPONSE] = {.exchange = IKE_X_FOLLOWUP_KE,
                                        .states = ESTABLISHED,
                                        .sealed = true,
                                        .need = P(KE),
                                        .error_instead = true,
                                        .story = "IKE_FOLLOWUP_KE response"},
    /* Empty ones ask whether we are alive. */
    [IKE_STEP_INFORMATIONAL][REQUEST] = {.exchange = IKE_X_INFORMATIONAL,
                                         .states = ESTABLISHED,
                                         .sealed = true,
                                         .may = P(DELETE) | P(CP),
                                         .many = P(DELETE),
                                         .story = "INFORMATIONAL request"},
    [IKE_STEP_INFORMATIONAL][RESPONSE] = {.exchange = IKE_X_INFORMATIONAL,
                                          .states = ESTABLISHED,
                                          .sealed = true,
                                          .may = P(DELETE) | P(CP),
                                          .many = P(DELETE),
                                          .error_instead = true,
                                          .story = "INFORMATIONAL response"},
    /* RFC 7296 1.5, 2.21.4; with a token of RFC 6290. A hint, never to be believed alone. */
    [IKE_STEP_STRAY][REQUEST] = {.exchange = IKE_X_INFORMATIONAL,
                                 .states = NONE | HALF_OPEN | ESTABLISHED,
                                 .need = P(NOTIFY),
                                 .story = "notification outside of any IKE SA"},
    [IKE_STEP_STRAY][RESPONSE] = {.exchange = 0,
                                  .states = NONE | HALF_OPEN | ESTABLISHED,
                                  .need = P(NOTIFY),
                                  .story = "refusal outside of any IKE SA"},
};

const struct ike_admission *ike_admission_row(enum ike_step step, bool response)
{
    return &rows[step][response ? RESPONSE : REQUEST];
}

const char *ike_step_name(enum ike_step step)
{
#define STEP_NAME(constant, name) [constant] = (name),
    static const char *const names[] = {IKE_STEPS(STEP_NAME)};

    return names[step];
}

/* Types with a body that we can parse, and so those that are no surprise. */
static bool known(uint8_t type)
{
    return (type >= IKE_P_SA && type <= IKE_P_EAP && type != IKE_P_SK) || type == IKE_P_PS;
}

static ike_payload_set all_of(const struct ike_admission *row)
{
    return row->need | row->may | row->idle | ALWAYS_MAY;
}

static const char *row_fault(const struct ike_admission *row, bool response)
{
    ike_payload_set all = all_of(row);

    if (row->story == NULL || row->states == 0)
        return "a row is missing";
    if ((row->need & row->may) || ((row->need | row->may) & row->idle))
        return "a payload is two of needed, optional and idle";
    if (row->many & ~all)
        return "a payload may stand there often, but not at all";
    if (row->together & ~all)
        return "a group of payloads is not allowed";
    if (row->together != 0 && (row->together & row->need) != 0)
        return "a part of a group is needed anyway";
    if (row->need_notify != 0 && !(row->need & P(NOTIFY)))
        return "a notification is needed, but no Notify payload";
    if (!response && (row->error_instead || row->instead[0] != 0))
        return "a request that refuses";
    if (row->instead[0] != 0 && !row->error_instead)
        return "something may stand instead, but no error";
    if (row->beside != 0 && !row->sealed)
        return "something beside an envelope that is not there";
    if (row->sealed && (row->states & IKE_STATE_NONE))
        return "encrypted without an IKE SA";
    for (unsigned type = IKE_P_SA; type <= PAYLOAD_LAST; type++)
        if (((all | row->beside) & IKE_SET(type)) && !known((uint8_t)type))
            return "a payload that we cannot parse";
    return NULL;
}

const char *ike_admission_self_check(void)
{
    for (unsigned step = 0; step < IKE_STEP_COUNT; step++)
        for (unsigned response = REQUEST; response <= RESPONSE; response++) {
            const char *fault = row_fault(&rows[step][response], response == RESPONSE);

            if (fault != NULL)
                return fault;
        }
    return NULL;
}

static bool refuse(struct ike_verdict *v, enum ike_fault fault, uint8_t payload, bool response)
{
    v->fault = fault;
    v->payload = payload;
    v->notify = response ? 0 : (uint16_t)ike_fault_notify(fault);
    return false;
}

bool ike_admit_header(enum ike_step step, bool response, enum ike_state state,
                      const struct ike_message *m, struct ike_verdict *v)
{
    const struct ike_admission *row = ike_admission_row(step, response);

    *v = (struct ike_verdict){.fault = IKE_OK, .story = row->story};
    if ((row->exchange != 0 && m->h.exchange != row->exchange) ||
        ike_header_is_response(&m->h) != response || !(row->states & state))
        return refuse(v, IKE_WRONG_EXCHANGE, 0, response);
    if (row->sealed && m->sealed.type == 0)
        return refuse(v, IKE_NOT_SEALED, 0, response);
    if (!row->sealed && m->sealed.type != 0)
        return refuse(v, IKE_SEALED, m->sealed.type, response);
    return true;
}

/* One payload by itself. */
static enum ike_fault admit_payload(const struct ike_admission *row, const struct ike_payload *p,
                                    ike_payload_set *seen)
{
    ike_payload_set bit;

    if (!known(p->type))
        return IKE_OK;
    bit = IKE_SET(p->type);
    if (!(all_of(row) & bit))
        return IKE_MISPLACED;
    if ((*seen & bit) && !((row->many | ALWAYS_MAY) & bit))
        return IKE_TWICE;
    *seen |= bit;
    return ike_payload_check(p);
}

/* The notification because of which what is needed may be absent; 0: none. */
static uint16_t instead(const struct ike_admission *row, const struct ike_payloads *p)
{
    struct ike_notify n;

    for (unsigned i = 0; i < IKE_INSTEAD_MAX; i++)
        if (row->instead[i] != 0 && ike_has_notify(p, row->instead[i]))
            return row->instead[i];
    return row->error_instead && ike_find_error(p, &n) ? n.type : 0;
}

static uint8_t first_of(ike_payload_set set)
{
    return (uint8_t)(IKE_P_SA + __builtin_ctz(set));
}

/* What the row needs is there, and no part of what belongs together is missing. */
static bool admit_set(const struct ike_admission *row, const struct ike_payloads *p,
                      ike_payload_set seen, bool response, struct ike_verdict *v)
{
    ike_payload_set missing = row->need & ~seen;

    if ((seen & row->together) != 0)
        missing |= row->together & ~seen;
    if (missing != 0) {
        v->refused = instead(row, p);
        return v->refused != 0 || refuse(v, IKE_MISSING, first_of(missing), response);
    }
    if (row->need_notify != 0 && !ike_has_notify(p, row->need_notify))
        return refuse(v, IKE_MISSING, IKE_P_NOTIFY, response);
    return true;
}

/* What stands in clear beside an envelope. */
static bool admit_beside(const struct ike_admission *row, const struct ike_payloads *clear,
                         bool response, struct ike_verdict *v)
{
    ike_payload_set seen = 0;

    for (size_t i = 0; i < clear->count; i++) {
        const struct ike_payload *p = &clear->payload[i];
        ike_payload_set bit = known(p->type) ? IKE_SET(p->type) : 0;
        enum ike_fault fault = ike_payload_check(p);

        if (bit == 0 && p->critical)
            fault = IKE_CRITICAL;
        else if (bit & ~row->beside)
            fault = IKE_MISPLACED;
        else if (bit & seen)
            fault = IKE_TWICE;
        if (fault != IKE_OK)
            return refuse(v, fault, p->type, response);
        seen |= bit;
    }
    return true;
}

bool ike_admit(enum ike_step step, bool response, enum ike_state state, const struct ike_message *m,
               const struct ike_payloads *inner, struct ike_verdict *v)
{
    const struct ike_admission *row = ike_admission_row(step, response);
    const struct ike_payloads *p = row->sealed ? inner : &m->clear;
    ike_payload_set seen = 0;

    if (!ike_admit_header(step, response, state, m, v))
        return false;
    if (p == NULL)
        return refuse(v, IKE_NOT_SEALED, 0, response);
    if (row->sealed && !admit_beside(row, &m->clear, response, v))
        return false;
    /* An unknown critical payload goes first: it may be why the others look wrong. */
    for (size_t i = 0; i < p->count; i++)
        if (p->payload[i].critical && !known(p->payload[i].type))
            return refuse(v, IKE_CRITICAL, p->payload[i].type, response);
    for (size_t i = 0; i < p->count; i++) {
        enum ike_fault fault = admit_payload(row, &p->payload[i], &seen);

        if (fault != IKE_OK)
            return refuse(v, fault, p->payload[i].type, response);
    }
    return admit_set(row, p, seen, response, v);
}

enum ike_step ike_child_step(const struct ike_payloads *inner)
{
    const struct ike_payload *payload = ike_find(inner, IKE_P_SA, 0);
    struct ike_sa sa;

    if (ike_has_notify(inner, IKE_N_REKEY_SA))
        return IKE_STEP_CHILD_REKEY;
    if (payload != NULL && ike_sa_parse(payload->body, &sa) == IKE_OK &&
        sa.proposal[0].protocol == IKE_PROTO_IKE)
        return IKE_STEP_IKE_REKEY;
    return IKE_STEP_CHILD_NEW;
}
