/*
 * Additional key exchanges in proposals (RFC 9370 2.2.1): which of a policy's proposals can be
 * offered and accepted here and now, and which key exchanges a suite has.
 */
#include "crypto/ke.h"
#include "ike/v2/addke.h"
#include "ike/v2/priv.h"

/* none: NONE alone is what it says. */
static bool can_be_done(const struct ike_transform *t, bool additional, bool *none)
{
    if (!ike_transform_is_ke(t->type))
        return true;
    *none = t->id == IKE_KE_NONE;
    if (t->type != IKE_T_KE && !additional)
        return false;
    return *none || gh_ke_available(t->id);
}

/* Leaves the transforms that can be done. False: of a key exchange that must be, none can. */
static bool keep(struct ike_proposal *p, bool additional)
{
    bool wanted[IKE_T_ADDKE7 + 1] = {false}, none[IKE_T_ADDKE7 + 1] = {false};
    size_t kept = 0;

    for (size_t i = 0; i < p->count; i++) {
        const struct ike_transform t = p->transform[i];
        bool is_none = false;

        if (can_be_done(&t, additional, &is_none))
            p->transform[kept++] = t;
        if (ike_transform_is_ke(t.type)) {
            wanted[t.type] = true;
            none[t.type] = none[t.type] || is_none;
        }
    }
    p->count = kept;
    for (uint8_t type = 0; type <= IKE_T_ADDKE7; type++)
        if (wanted[type] && !none[type] && ike_proposal_find(p, type) == NULL)
            return false;
    return true;
}

void ike2_offer(const struct ike_proposals *proposals, bool additional, struct ike_sa *out)
{
    size_t kept = 0;

    ike_proposals_get(proposals, out);
    for (size_t i = 0; i < out->count; i++) {
        if (!keep(&out->proposal[i], additional))
            continue;
        if (kept != i)
            out->proposal[kept] = out->proposal[i];
        out->proposal[kept].number = (uint8_t)(kept + 1);
        kept++;
    }
    out->count = kept;
}

bool ike2_has_addke(const struct ike_sa *sa)
{
    for (size_t i = 0; i < sa->count; i++)
        if (ike2_proposal_has_addke(&sa->proposal[i]))
            return true;
    return false;
}

bool ike2_proposal_has_addke(const struct ike_proposal *p)
{
    for (size_t t = 0; t < p->count; t++)
        if (p->transform[t].type != IKE_T_KE && ike_transform_is_ke(p->transform[t].type))
            return true;
    return false;
}

uint16_t ike2_addke(const struct ike2_suite *s, unsigned n)
{
    for (size_t i = 0; i < IKE2_ADDKES; i++)
        if (s->addke[i] != IKE_KE_NONE && n-- == 0)
            return s->addke[i];
    return IKE_KE_NONE;
}
