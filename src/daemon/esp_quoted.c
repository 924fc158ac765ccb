#include "daemon/esp_quoted.h"

#include "ipsec/header.h"

/* Errors may be so many packets behind: a second's at 64,000 a second. */
enum { QUOTE_WINDOW = 65536 };

static const struct ipsec_sa *quoted_here(const struct ipsec *engine, uint32_t place,
                                          const struct tunnel_quote *q)
{
    enum ipsec_protocol protocol = q->protocol == IPSEC_PROTO_AH ? IPSEC_AH : IPSEC_ESP;
    const struct ipsec_sa *sa =
        q->has_spi ? ipsec_get_sa_out(engine, place, protocol, q->spi, &q->remote) : NULL;
    struct tunnel_quote_sa is;

    if (sa == NULL)
        return NULL;
    is = (struct tunnel_quote_sa){.local = sa->p.local,
                                  .remote = sa->p.remote,
                                  .protocol = (uint8_t)sa->p.protocol,
                                  .remote_port = sa->p.remote_port,
                                  .spi = sa->p.spi,
                                  .seq = sa->seq};
    return tunnel_quote_fits(q, &is, QUOTE_WINDOW) ? sa : NULL;
}

const struct ipsec_sa *gh_esp_quoted_sa(const struct ipsec *engine,
                                        const struct gh_esp_outers *outers, uint32_t place,
                                        const struct tunnel_quote *q)
{
    const struct ipsec_sa *sa = NULL;

    for (uint32_t i = 0; sa == NULL && i < GH_ESP_PLACES_MAX; i++)
        if (gh_esp_outer(outers, i) == place)
            sa = quoted_here(engine, i, q);
    return sa;
}
