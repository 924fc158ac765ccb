#include "ipsec/sa.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "ipsec/ah.h"
#include "ipsec/esp.h"
#include "ipsec/outer.h"

enum { SPI_RESERVED = 255 };

static bool algorithms_fit(const struct ipsec_sa_params *p)
{
    if (p->protocol == IPSEC_ESP)
        return true;
    return p->protocol == IPSEC_AH &&
           (p->algs.enc == GH_ENC_NULL || p->algs.enc == GH_ENC_NULL_AES_GMAC);
}

bool ipsec_sa_addresses_fit(const struct ipsec_sa_params *p)
{
    bool ports = p->local_port != 0 && p->remote_port != 0;
    bool no_ports = p->local_port == 0 && p->remote_port == 0;

    return (p->local.len == 4 || p->local.len == 16) && p->local.len == p->remote.len &&
           (no_ports || (ports && p->protocol == IPSEC_ESP));
}

static bool selectors_fit(const struct ipsec_sa_params *p)
{
    if (p->selector_count == 0 || p->selector_count > IPSEC_SELECTORS_MAX)
        return false;
    for (size_t i = 0; i < p->selector_count; i++)
        if (!ipsec_selector_valid(&p->selectors[i]))
            return false;
    return true;
}

/* They may come from another process. */
static bool choices_known(const struct ipsec_sa_params *p)
{
    return (p->way == IPSEC_OUT || p->way == IPSEC_IN) &&
           (p->mode == IPSEC_TUNNEL || p->mode == IPSEC_TRANSPORT) &&
           (p->tunnel.df == IPSEC_DF_COPY || p->tunnel.df == IPSEC_DF_SET ||
            p->tunnel.df == IPSEC_DF_CLEAR);
}

static bool params_fit(const struct ipsec_sa_params *p)
{
    if (p->id == 0 || p->spi <= SPI_RESERVED || p->tunnel.dscp > 63 ||
        (p->way == IPSEC_IN && p->esn && p->window == 0) ||
        (p->tfc > 0 && (p->mode != IPSEC_TUNNEL || p->protocol != IPSEC_ESP)) || p->outer == p->id)
        return false;
    return choices_known(p) && algorithms_fit(p) && ipsec_sa_addresses_fit(p) && selectors_fit(p);
}

static bool set_up(struct ipsec_sa *sa, struct ipsec_crypt *crypt)
{
    struct ipsec_sa_params *p = &sa->p;
    struct ipsec_selector *selectors = calloc(p->selector_count, sizeof(*selectors));

    if (selectors != NULL)
        memcpy(selectors, p->selectors, p->selector_count * sizeof(*selectors));
    p->selectors = selectors;
    sa->key = ipsec_crypt_key_new(crypt, &p->algs, p->way == IPSEC_OUT, p->protocol == IPSEC_ESP);
    p->algs.enc_key = p->algs.integ_key = (struct gh_view){0};
    return selectors != NULL && sa->key != NULL &&
           (p->way == IPSEC_OUT || ipsec_replay_init(&sa->replay, p->window, p->last_seq));
}

struct ipsec_sa *ipsec_sa_new(struct ipsec_crypt *crypt, const struct ipsec_sa_params *params)
{
    struct ipsec_sa *sa;

    if (!params_fit(params))
        return NULL;
    sa = calloc(1, sizeof(*sa));
    if (sa == NULL)
        return NULL;
    sa->p = *params;
    if (sa->p.tunnel.ttl == 0)
        sa->p.tunnel.ttl = IPSEC_TTL;
    sa->seq = params->last_seq;
    sa->counts.octets = params->used_octets;
    sa->counts.packets = params->used_packets;
    sa->implicit_iv = gh_enc_iv_implicit(params->algs.enc);
    sa->iv_len = sa->implicit_iv ? 0 : gh_enc_iv_len(params->algs.enc);
    sa->icv_len = gh_icv_len(params->algs.enc, params->algs.integ);
    sa->block = gh_enc_block(params->algs.enc);
    sa->aead = gh_enc_is_aead(params->algs.enc);
    sa->random_iv = gh_enc_iv_random(params->algs.enc);
    if (set_up(sa, crypt))
        return sa;
    ipsec_sa_free(sa);
    return NULL;
}

void ipsec_sa_free(struct ipsec_sa *sa)
{
    struct ipsec_selector *selectors;

    if (sa == NULL)
        return;
    memcpy(&selectors, &sa->p.selectors, sizeof(selectors)); /* ours, though others only read */
    free(selectors);
    ipsec_crypt_key_free(sa->key);
    ipsec_replay_free(&sa->replay);
    gh_wipe(sa, sizeof(*sa));
    free(sa);
}

uint64_t ipsec_sa_last_seq(const struct ipsec_sa *sa)
{
    return sa->p.esn ? UINT64_MAX : UINT32_MAX;
}

size_t ipsec_sa_payload_max(const struct ipsec_sa *sa, size_t mtu)
{
    size_t header = ipsec_outer_len(&sa->p.local), room = mtu > header ? mtu - header : 0, payload;

    if (sa->p.protocol == IPSEC_AH)
        payload = room > ipsec_ah_len(sa) ? room - ipsec_ah_len(sa) : 0;
    else
        payload = ipsec_esp_payload_max(sa, room);
    return sa->p.mode == IPSEC_TUNNEL || payload == 0 ? payload : payload + header;
}
