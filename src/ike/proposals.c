#include "ike/proposals.h"

#include <stdlib.h>
#include <string.h>

enum {
    GENERIC_HEADER = 4,
    TRANSFORM = 12, /* with a Key Length */
    ROOM =
        GENERIC_HEADER + IKE_PROPOSALS_MAX * (8 + IKE_SA_SPI_MAX + IKE_TRANSFORMS_MAX * TRANSFORM),
    PROTOCOL_AT = 5 /* of a proposal */
};

static bool take(struct ike_proposals *p, const uint8_t *from, size_t len)
{
    uint8_t *octets = malloc(len > 0 ? len : 1);

    if (octets == NULL)
        return false;
    if (len > 0)
        memcpy(octets, from, len);
    ike_proposals_clear(p);
    *p = (struct ike_proposals){.octets = octets, .len = len};
    return true;
}

bool ike_proposals_set(struct ike_proposals *p, const struct ike_sa *sa)
{
    uint8_t mem[ROOM];
    struct ike_out o = ike_out_inner(mem, sizeof(mem));
    struct gh_view payload;

    ike_sa_emit(&o, sa);
    return ike_out_done(&o, &payload) &&
           take(p, payload.p + GENERIC_HEADER, payload.len - GENERIC_HEADER);
}

bool ike_proposals_copy(struct ike_proposals *to, const struct ike_proposals *from)
{
    return take(to, from->octets, from->len);
}

void ike_proposals_get(const struct ike_proposals *p, struct ike_sa *out)
{
    /* An SA payload has at least one. */
    if (p->len == 0 || ike_sa_parse(gh_view_of(p->octets, p->len), out) != IKE_OK)
        out->count = 0;
}

uint8_t ike_proposals_protocol(const struct ike_proposals *p)
{
    return p->len > 0 ? p->octets[PROTOCOL_AT] : 0;
}

void ike_proposals_clear(struct ike_proposals *p)
{
    free(p->octets);
    *p = (struct ike_proposals){.octets = NULL};
}
