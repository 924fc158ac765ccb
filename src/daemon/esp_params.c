/* What a child says, in the words of the engine: selectors, and the parameters of its SAs. */
#include "daemon/esp_children.h"

static struct ipsec_range range_of(const struct ike_ts *ts)
{
    return (struct ipsec_range){
        .start = ts->start, .end = ts->end, .start_port = ts->start_port, .end_port = ts->end_port};
}

size_t gh_esp_selectors(const struct ike_ts_list *local, const struct ike_ts_list *remote,
                        struct ipsec_selector out[IPSEC_SELECTORS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < local->count; i++) {
        for (size_t k = 0; k < remote->count; k++) {
            const struct ike_ts *a = &local->ts[i], *b = &remote->ts[k];

            if (a->type != b->type ||
                (a->protocol != 0 && b->protocol != 0 && a->protocol != b->protocol))
                continue;
            if (n == IPSEC_SELECTORS_MAX)
                return 0;
            out[n++] =
                (struct ipsec_selector){.local = range_of(a),
                                        .remote = range_of(b),
                                        .protocol = a->protocol != 0 ? a->protocol : b->protocol};
        }
    }
    return n;
}

/* Soft: as `ike` has it, which counts both directions and hears of it a little later. */
static struct ipsec_lifetime lifetime_of(const struct gh_esp_child *d)
{
    return (struct ipsec_lifetime){.soft_octets = d->octets - d->octets / 10,
                                   .hard_octets = d->octets,
                                   .soft_packets = d->packets - d->packets / 10,
                                   .hard_packets = d->packets};
}

bool gh_esp_child_params(const struct gh_esp_child *d, enum ipsec_way way,
                         struct ipsec_selector selectors[IPSEC_SELECTORS_MAX],
                         struct ipsec_sa_params *out)
{
    struct gh_view key = way == IPSEC_IN ? d->key_in : d->key_out;
    size_t enc = gh_enc_key_len(d->enc, d->enc_bits);
    struct ipsec_sa_params p = {.spi = way == IPSEC_IN ? d->spi_in : d->spi_out,
                                .protocol = d->protocol,
                                .mode = d->mode,
                                .way = way,
                                .local = d->local,
                                .remote = d->remote,
                                .local_port = d->local_port,
                                .remote_port = d->remote_port,
                                .esn = d->esn,
                                .window = d->traffic.window,
                                .icmp_header = d->icmp_header,
                                .fragments_also = d->fragments_also,
                                .lifetime = lifetime_of(d),
                                .selectors = selectors,
                                .tunnel = {.df = IPSEC_DF_CLEAR,
                                           .set_dscp = d->traffic.set_dscp,
                                           .dscp = d->traffic.dscp,
                                           .no_ecn = d->traffic.no_ecn,
                                           .dscp_to_inner = d->traffic.dscp_from_outer},
                                .tfc = d->traffic.tfc};

    p.selector_count = gh_esp_selectors(&d->ts_local, &d->ts_remote, selectors);
    if (key.len < enc)
        return false;
    p.algs = (struct ipsec_crypt_algs){.enc = d->enc,
                                       .bits = d->enc_bits,
                                       .integ = d->integ,
                                       .enc_key = gh_view_of(key.p, enc),
                                       .integ_key = gh_view_of(key.p + enc, key.len - enc)};
    *out = p;
    return true;
}
