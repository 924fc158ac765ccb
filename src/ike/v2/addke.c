/*
 * Additional key exchanges in proposals (RFC 9370 2.2.1): which of a policy's proposals can be
 * offered and accepted here and now, and which key exchanges a suite has.
 */
#include "ike/v2/priv.h"

/* Transforms of a type that can be done, moved to the front; `none`: NONE alone. */
static bool keep(const struct ike_transform *t, bool additional, bool *none)
{
    if (!ike_transform_is_ke(t->type))
        return true;
    *none = t->id == IKE_KE_NONE;
    if (t->type != IKE_T_KE && !additional)
        return false;
    return *none || gh_ke_available(t->id);
}

static bool is_whole(const struct ike_proposal *from, const struct ike_proposal *kept,
                     const bool none[IKE_T_ADDKE7 + 1])
{
    for (size_t i = 0; i < from->count; i++) {
        uint8_t type = from->transform[i].type;

        if (ike_transform_is_ke(type) && ike_proposal_find(kept, type) == NULL && !none[type])
            return false;
    }
    return true;
}

void ike2_offer(const struct ike_sa *proposals, bool additional, struct ike_sa *out)
{
    out->count = 0;
    for (size_t i = 0; i < proposals->count; i++) {
        const struct ike_proposal *from = &proposals->proposal[i];
        struct ike_proposal *to = &out->proposal[out->count];
        bool none[IKE_T_ADDKE7 + 1] = {false};

        *to = *from;
        to->count = 0;
        for (size_t t = 0; t < from->count; t++) {
            const struct ike_transform *transform = &from->transform[t];
            bool is_none = false;

            if (keep(transform, additional, &is_none))
                to->transform[to->count++] = *transform;
            if (is_none)
                none[transform->type] = true;
        }
        if (is_whole(from, to, none))
            to->number = (uint8_t)++out->count;
    }
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
