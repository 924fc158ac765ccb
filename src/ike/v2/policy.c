#include "ike/v2/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/codes.h"
#include "pki/auth.h"

enum {
    LIFETIME_SECONDS = 86400,
    MTU = 1500,
    PUZZLE_BITS = 20,         /* seconds of work, in small portions */
    KEEPALIVE_MS = 20 * 1000, /* RFC 3948 4 */
    LIVENESS_MS = 30 * 1000,
    LIVENESS_RETRIES = 3,
    /* 1 + 2 + 4 + 8 + 16 + 32 seconds */
    RETRANSMIT_MS = 1000,
    RETRANSMITS = 6,
    HALF_OPEN_MS = 30 * 1000,
    WINDOW = 4, /* small answers to keep; more is for peers with many children */
    PATIENCE_MAX_MS = 86400 * 1000,
    PORT = 500
};

struct ike2_policy *ike2_policy_new(const char *name)
{
    struct ike2_policy *p = calloc(1, sizeof(*p));
    struct ike_sa proposals;

    if (p == NULL)
        return NULL;
    ike2_default_proposals(IKE_PROTO_IKE, &proposals);
    if (!ike_proposals_set(&p->proposals, &proposals)) {
        free(p);
        return NULL;
    }
    p->refs = 1;
    (void)snprintf(p->name, sizeof(p->name), "%s", name);
    p->port = PORT;
    p->mtu = MTU;
    p->fragmentation = true;
    p->intermediate = true;
    p->nat_keepalive_ms = KEEPALIVE_MS;
    p->local_auth = IKE2_AUTH_PSK;
    p->remote_auths = GH_BIT(IKE2_AUTH_PSK);
    p->match_id_to_cert = true;
    p->lifetime.seconds = LIFETIME_SECONDS;
    p->liveness_ms = LIVENESS_MS;
    p->liveness_retries = LIVENESS_RETRIES;
    p->retransmit_ms = RETRANSMIT_MS;
    p->retransmits = RETRANSMITS;
    p->half_open_ms = HALF_OPEN_MS;
    p->window = WINDOW;
    p->routability = true;
    p->puzzle_bits = PUZZLE_BITS;
    p->initial_contact = true;
    p->crash_tokens = true;
    return p;
}

struct ike2_policy *ike2_policy_like(const struct ike2_policy *from, const char *name)
{
    struct ike2_policy *p = ike2_policy_new(name), own;

    if (p == NULL || !ike_proposals_copy(&p->proposals, &from->proposals)) {
        ike2_policy_free(p);
        return NULL;
    }
    own = *p;
    *p = *from;
    p->refs = own.refs;
    memcpy(p->name, own.name, sizeof(p->name));
    p->proposals = own.proposals;
    return p;
}

struct ike2_policy *ike2_policy_ref(struct ike2_policy *p)
{
    p->refs++;
    return p;
}

void ike2_policy_free(struct ike2_policy *p)
{
    if (p == NULL || --p->refs > 0)
        return;
    gh_pattern_free(p->remote_id);
    ike_proposals_clear(&p->proposals);
    for (size_t i = 0; i < p->child_count; i++)
        ike_proposals_clear(&p->children[i].proposals);
    free(p->children);
    free(p);
}

const struct gh_addr *ike2_gateway(const struct ike2_policy *p, size_t n)
{
    return n == 0 ? &p->gateway : &p->backups[n - 1];
}

size_t ike2_gateway_count(const struct ike2_policy *p)
{
    return p->gateway.len != 0 ? 1 + (size_t)p->backup_count : 0;
}

bool ike2_gateway_is(const struct ike2_policy *p, const struct gh_addr *addr)
{
    for (size_t i = 0; i < ike2_gateway_count(p); i++)
        if (gh_addr_equal(ike2_gateway(p, i), addr))
            return true;
    return false;
}

bool ike2_policy_has_tcp_ao(const struct ike2_policy *p)
{
    for (size_t i = 0; i < p->child_count; i++)
        if (p->children[i].mode == IKE2_TCP_AO)
            return true;
    return false;
}

uint64_t ike2_policy_patience_ms(const struct ike2_policy *p)
{
    const uint64_t most = PATIENCE_MAX_MS;
    uint64_t interval = p->retransmit_ms, sum = interval;

    for (unsigned n = 1; n <= p->retransmits && interval > 0 && sum < most; n++) {
        if (n <= IKE2_DOUBLINGS)
            interval *= 2;
        sum += interval;
    }
    return sum < most ? sum : most;
}

static const struct ike_transform ike_defaults[] = {
    {.type = IKE_T_ENCR, .id = IKE_ENCR_AES_GCM_16, .key_bits = 256},
    {.type = IKE_T_PRF, .id = IKE_PRF_HMAC_SHA2_256},
    {.type = IKE_T_PRF, .id = IKE_PRF_HMAC_SHA2_384},
    {.type = IKE_T_KE, .id = IKE_KE_CURVE25519},
    {.type = IKE_T_KE, .id = IKE_KE_ECP_256},
};
static const struct ike_transform esp_defaults[] = {
    {.type = IKE_T_ENCR, .id = IKE_ENCR_AES_GCM_16, .key_bits = 256},
    {.type = IKE_T_KE, .id = IKE_KE_CURVE25519},
    {.type = IKE_T_KE, .id = IKE_KE_ECP_256},
    {.type = IKE_T_SN, .id = IKE_SN_64},
    {.type = IKE_T_SN, .id = IKE_SN_32},
};
static const struct ike_transform ah_defaults[] = {
    {.type = IKE_T_INTEG, .id = IKE_INTEG_HMAC_SHA2_256_128},
    {.type = IKE_T_KE, .id = IKE_KE_CURVE25519},
    {.type = IKE_T_KE, .id = IKE_KE_ECP_256},
    {.type = IKE_T_SN, .id = IKE_SN_64},
    {.type = IKE_T_SN, .id = IKE_SN_32},
};
/* Mandatory in RFC 5926, the better one first. */
static const struct ike_transform tcp_ao_defaults[] = {
    {.type = IKE_T_PRF, .id = IKE_PRF_AES128_CMAC},
    {.type = IKE_T_PRF, .id = IKE_PRF_HMAC_SHA1},
    {.type = IKE_T_INTEG, .id = IKE_INTEG_AES_CMAC_96},
    {.type = IKE_T_INTEG, .id = IKE_INTEG_HMAC_SHA1_96},
    {.type = IKE_T_KE, .id = IKE_KE_CURVE25519},
    {.type = IKE_T_KE, .id = IKE_KE_ECP_256},
};

static const struct {
    uint8_t protocol;
    const struct ike_transform *transforms;
    size_t count;
} defaults[] = {
    {IKE_PROTO_IKE, ike_defaults, sizeof(ike_defaults) / sizeof(ike_defaults[0])},
    {IKE_PROTO_ESP, esp_defaults, sizeof(esp_defaults) / sizeof(esp_defaults[0])},
    {IKE_PROTO_AH, ah_defaults, sizeof(ah_defaults) / sizeof(ah_defaults[0])},
    {IKE_PROTO_TCP_AO, tcp_ao_defaults, sizeof(tcp_ao_defaults) / sizeof(tcp_ao_defaults[0])},
};

void ike2_default_proposals(uint8_t protocol, struct ike_sa *out)
{
    *out = (struct ike_sa){.count = 0};
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        struct ike_proposal *p = &out->proposal[0];

        if (defaults[i].protocol != protocol)
            continue;
        *p = (struct ike_proposal){.number = 1, .protocol = protocol};
        for (size_t t = 0; t < defaults[i].count; t++)
            p->transform[p->count++] = defaults[i].transforms[t];
        out->count = 1;
    }
}
