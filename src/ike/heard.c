/*
 * Which notification is heard at which step. One row each: where, in which direction, and how long
 * its data may be. What is not in the table is ignored, as RFC 7296 3.10.1 asks.
 */
#include "ike/admission.h"
#include "ike/cookie.h"

#define S(step) (UINT32_C(1) << IKE_STEP_##step)

enum { REQ = 1, RESP = 2, BOTH = 3, ANY_LEN = 0xffff };

#define FIRST  (S(SA_INIT) | S(RESUME))
#define AUTHS  (S(AUTH) | S(AUTH_EAP_BEGIN) | S(AUTH_EAP) | S(AUTH_EAP_END))
#define CHILDS (S(AUTH) | S(AUTH_EAP_BEGIN) | S(AUTH_EAP_END) | S(CHILD_NEW) | S(CHILD_REKEY))
#define INFO   S(INFORMATIONAL)
/* Where the MOBIKE addresses of RFC 4555 3.4 stand. */
#define MOBIKE (AUTHS | INFO)

struct rule {
    uint16_t type;
    uint8_t direction;
    uint32_t steps;
    uint16_t min, max; /* octets of data */
    uint8_t spi_len;   /* that it must have */
};

static const struct rule rules[] = {
    {IKE_N_INITIAL_CONTACT, BOTH, AUTHS},
    {IKE_N_SET_WINDOW_SIZE, BOTH, AUTHS | INFO | S(IKE_REKEY), 4, 4},
    {IKE_N_ADDITIONAL_TS_POSSIBLE, RESP, CHILDS},
    {IKE_N_IPCOMP_SUPPORTED, BOTH, CHILDS, 3, 3},
    {IKE_N_NAT_DETECTION_SOURCE_IP, BOTH, FIRST | INFO, 20, 20},
    {IKE_N_NAT_DETECTION_DESTINATION_IP, BOTH, FIRST | INFO, 20, 20},
    {IKE_N_COOKIE, BOTH, FIRST, 1, IKE_COOKIE_MAX},
    {IKE_N_USE_TRANSPORT_MODE, BOTH, CHILDS},
    {IKE_N_HTTP_CERT_LOOKUP_SUPPORTED, BOTH, FIRST | AUTHS},
    {IKE_N_REKEY_SA, REQ, S(CHILD_REKEY), 0, 0, 4},
    {IKE_N_ESP_TFC_PADDING_NOT_SUPPORTED, BOTH, CHILDS},
    {IKE_N_NON_FIRST_FRAGMENTS_ALSO, BOTH, CHILDS},
    {IKE_N_MOBIKE_SUPPORTED, BOTH, AUTHS, 0, ANY_LEN},
    {IKE_N_ADDITIONAL_IP4_ADDRESS, BOTH, MOBIKE, 4, 4},
    {IKE_N_ADDITIONAL_IP6_ADDRESS, BOTH, MOBIKE, 16, 16},
    {IKE_N_NO_ADDITIONAL_ADDRESSES, BOTH, INFO},
    {IKE_N_UPDATE_SA_ADDRESSES, REQ, INFO},
    {IKE_N_COOKIE2, BOTH, INFO, 8, 64},
    {IKE_N_NO_NATS_ALLOWED, REQ, MOBIKE, 12, 36},
    {IKE_N_AUTH_LIFETIME, BOTH, AUTHS | INFO, 4, 4},
    {IKE_N_MULTIPLE_AUTH_SUPPORTED, BOTH, FIRST | AUTHS},
    {IKE_N_ANOTHER_AUTH_FOLLOWS, BOTH, AUTHS},
    {IKE_N_REDIRECT_SUPPORTED, REQ, FIRST},
    {IKE_N_REDIRECT, RESP, FIRST | AUTHS, 3, ANY_LEN},
    {IKE_N_REDIRECT, REQ, INFO, 3, ANY_LEN},
    {IKE_N_REDIRECTED_FROM, REQ, FIRST, 3, ANY_LEN},
    {IKE_N_TICKET_LT_OPAQUE, RESP, AUTHS | INFO | S(IKE_REKEY), 5, ANY_LEN},
    {IKE_N_TICKET_REQUEST, REQ, AUTHS | INFO | S(IKE_REKEY)},
    {IKE_N_TICKET_ACK, RESP, AUTHS | INFO | S(IKE_REKEY)},
    {IKE_N_TICKET_NACK, RESP, AUTHS | INFO | S(IKE_REKEY) | S(RESUME)},
    {IKE_N_TICKET_OPAQUE, REQ, S(RESUME), 1, ANY_LEN},
    {IKE_N_EAP_ONLY_AUTHENTICATION, REQ, AUTHS},
    {IKE_N_CHILDLESS_IKEV2_SUPPORTED, RESP, FIRST},
    {IKE_N_QUICK_CRASH_DETECTION, BOTH, AUTHS | INFO | S(IKE_REKEY), 16, 128},
    {IKE_N_QUICK_CRASH_DETECTION, BOTH, S(STRAY), 16, 128},
    {IKE_N_MESSAGE_ID_SYNC_SUPPORTED, BOTH, AUTHS},
    {IKE_N_REPLAY_COUNTER_SYNC_SUPPORTED, BOTH, AUTHS},
    {IKE_N_MESSAGE_ID_SYNC, BOTH, INFO, 12, 12},
    {IKE_N_REPLAY_COUNTER_SYNC, BOTH, INFO, 4, 8},
    {IKE_N_FRAGMENTATION_SUPPORTED, BOTH, FIRST},
    {IKE_N_SIGNATURE_HASH_ALGORITHMS, BOTH, FIRST, 2, ANY_LEN},
    {IKE_N_CLONE_IKE_SA_SUPPORTED, BOTH, AUTHS},
    {IKE_N_CLONE_IKE_SA, BOTH, S(IKE_REKEY)},
    {IKE_N_PUZZLE, RESP, FIRST, 3, 3},
    {IKE_N_USE_PPK, BOTH, FIRST},
    {IKE_N_PPK_IDENTITY, REQ, AUTHS, 2, ANY_LEN},
    {IKE_N_PPK_IDENTITY, RESP, AUTHS},
    {IKE_N_NO_PPK_AUTH, BOTH, AUTHS, 1, ANY_LEN},
    {IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED, BOTH, S(SA_INIT)},
    {IKE_N_IP4_ALLOWED, RESP, AUTHS},
    {IKE_N_IP6_ALLOWED, RESP, AUTHS},
    {IKE_N_ADDITIONAL_KEY_EXCHANGE, REQ, S(FOLLOWUP_KE), 0, ANY_LEN},
    {IKE_N_ADDITIONAL_KEY_EXCHANGE, RESP,
     S(FOLLOWUP_KE) | S(CHILD_NEW) | S(CHILD_REKEY) | S(IKE_REKEY), 0, ANY_LEN},
    {IKE_N_SUPPORTED_AUTH_METHODS, BOTH, S(SA_INIT) | S(INTERMEDIATE) | AUTHS, 0, ANY_LEN},
    {IKE_N_SA_RESOURCE_INFO, BOTH, CHILDS, 0, ANY_LEN},
    {IKE_N_USE_PPK_INT, BOTH, S(SA_INIT)},
    {IKE_N_PPK_IDENTITY_KEY, REQ, S(INTERMEDIATE), 2, ANY_LEN},
    {IKE_N_PPK_IDENTITY, BOTH, S(INTERMEDIATE), 0, ANY_LEN},
    {IKE_N_TCP_AO_SUPPORTED, BOTH, AUTHS, 1, 1},
    {IKE_N_TCP_AO_SUPPORTED, REQ, INFO, 1, 1},
    {IKE_N_TCP_AO_OPTIONS_NOT_COVERED, BOTH, CHILDS},
    {IKE_N_TCP_AO_MAC_LENGTH, BOTH, CHILDS, 1, 1},
};

/* Errors that may come as, or in, a request. */
static bool error_in_request(enum ike_step step, uint16_t type)
{
    switch (type) {
    case IKE_N_INVALID_SPI:
    case IKE_N_INVALID_IKE_SPI:
        return step == IKE_STEP_STRAY || step == IKE_STEP_INFORMATIONAL;
    case IKE_N_AUTHENTICATION_FAILED: /* RFC 7296 2.21.2: the initiator about our AUTH */
    case IKE_N_INVALID_MESSAGE_ID:
    case IKE_N_INVALID_SELECTORS:
    case IKE_N_UNACCEPTABLE_ADDRESSES:
    case IKE_N_UNEXPECTED_NAT_DETECTED:
        return step == IKE_STEP_INFORMATIONAL;
    default:
        return false;
    }
}

bool ike_notify_heard(enum ike_step step, bool response, const struct ike_notify *n,
                      enum ike_fault *syntax)
{
    unsigned direction = response ? RESP : REQ;

    if (syntax != NULL)
        *syntax = IKE_OK;
    if (ike_notify_is_error(n->type))
        return response || error_in_request(step, n->type);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct rule *rule = &rules[i];

        if (rule->type != n->type || !(rule->direction & direction) ||
            !(rule->steps & UINT32_C(1) << step))
            continue;
        if (syntax != NULL &&
            (n->data.len < rule->min || n->data.len > rule->max || n->spi.len != rule->spi_len))
            *syntax = IKE_SYNTAX;
        return true;
    }
    return false;
}
