/*
 * Choosing a suite.
 *
 * One offered proposal is held against one of ours, type by type; what does not fit is counted, so
 * that the nearest miss can be told. ENCR and INTEG belong together (an AEAD has no INTEG), and all
 * key exchanges do (none may stand there twice).
 */
#include "ike/proposal.h"

#include "ike/tcp_ao.h"

enum { KE_TYPES = 8, TYPES = 256 };
enum { OFFERED = 1, OURS = 2 };

struct pair {
    const struct ike_proposal *offered, *ours;
    const struct ike_choice_rules *rules;
    struct ike_proposal *chosen;
    struct ike_choice_miss miss;
    uint8_t sides[TYPES]; /* which have transforms of a type: OFFERED, OURS */
    unsigned types;       /* beyond the last that either has, or that some protocol wants */
};

static void fail(struct pair *p, enum ike_mismatch why, uint8_t type)
{
    if (p->miss.misses++ == 0) {
        p->miss.why = why;
        p->miss.type = type;
    }
}

static bool same_transform(const struct ike_transform *a, const struct ike_transform *b)
{
    return a->type == b->type && a->id == b->id && a->key_bits == b->key_bits && a->odd.len == 0 &&
           b->odd.len == 0;
}

static bool has(const struct ike_proposal *p, const struct ike_transform *t)
{
    for (size_t i = 0; i < p->count; i++)
        if (same_transform(&p->transform[i], t))
            return true;
    return false;
}

static void note_side(struct pair *p, const struct ike_proposal *from, uint8_t side)
{
    for (size_t i = 0; i < from->count; i++) {
        uint8_t type = from->transform[i].type;

        p->sides[type] |= side;
        if (type >= p->types)
            p->types = type + 1u;
    }
}

static void note_types(struct pair *p)
{
    memset(p->sides, 0, sizeof(p->sides));
    p->types = IKE_T_SN + 1;
    note_side(p, p->offered, OFFERED);
    note_side(p, p->ours, OURS);
}

static bool is_offered(const struct pair *p, unsigned type)
{
    return p->sides[type] & OFFERED;
}

static bool is_ours(const struct pair *p, unsigned type)
{
    return p->sides[type] & OURS;
}

static bool has_none(const struct ike_proposal *p, uint8_t type)
{
    return has(p, &(struct ike_transform){.type = type});
}

/* Whether 0 means NONE for a type (of SN, say, it does not). */
static bool may_be_none(const struct pair *p, uint8_t type)
{
    if (type == IKE_T_KE)
        return p->offered->protocol != IKE_PROTO_IKE;
    return type == IKE_T_INTEG || ike_transform_is_ke(type);
}

static bool mandatory(uint8_t protocol, uint8_t type)
{
    switch (protocol) {
    case IKE_PROTO_IKE:
        return type == IKE_T_ENCR || type == IKE_T_PRF || type == IKE_T_KE;
    case IKE_PROTO_ESP:
        return type == IKE_T_ENCR || type == IKE_T_SN;
    case IKE_PROTO_AH:
        return type == IKE_T_INTEG || type == IKE_T_SN;
    default:
        return ike_protocol_is_tcp_ao(protocol) && (type == IKE_T_PRF || type == IKE_T_INTEG);
    }
}

static bool ignored(const struct pair *p, uint8_t type)
{
    return p->rules->without_ke && ike_transform_is_ke(type);
}

static bool understood(const struct pair *p, uint8_t type)
{
    if (type >= IKE_T_ADDKE1 && type <= IKE_T_ADDKE7)
        return p->rules->additional_ke;
    return (type >= IKE_T_ENCR && type <= IKE_T_SN) || is_ours(p, type);
}

static bool spi_fits(const struct ike_proposal *p)
{
    switch (p->protocol) {
    case IKE_PROTO_IKE:
        return p->spi_len == 0 || p->spi_len == IKE_SPI_LEN;
    case IKE_PROTO_AH:
    case IKE_PROTO_ESP:
        return p->spi_len == 4;
    default:
        return !ike_protocol_is_tcp_ao(p->protocol) || p->spi_len == IKE_TCP_AO_SPI_LEN;
    }
}

/* The nth transform of a type that both have, in the order of whoever decides; NULL: no more. */
static const struct ike_transform *common(const struct pair *p, uint8_t type, size_t nth)
{
    const struct ike_proposal *first = p->rules->prefer_theirs ? p->offered : p->ours;
    const struct ike_proposal *second = p->rules->prefer_theirs ? p->ours : p->offered;

    for (size_t i = 0; i < first->count; i++) {
        const struct ike_transform *t = &first->transform[i];

        if (t->type == type && has(second, t) && nth-- == 0)
            return t;
    }
    return NULL;
}

static void choose(struct pair *p, const struct ike_transform *t)
{
    if (!ike_proposal_add(p->chosen, t->type, t->id, t->key_bits))
        fail(p, IKE_MISMATCH_COMMON, t->type);
}

static void choose_none(struct pair *p, uint8_t type)
{
    choose(p, &(struct ike_transform){.type = type});
}

/* A type that only one side has. */
static void one_sided(struct pair *p, uint8_t type)
{
    if (is_offered(p, type)) {
        if (may_be_none(p, type) && has_none(p->offered, type))
            choose_none(p, type);
        else
            fail(p, IKE_MISMATCH_COMMON, type);
    } else if (!may_be_none(p, type) || !has_none(p->ours, type)) {
        fail(p, IKE_MISMATCH_ABSENT, type);
    }
}

static void choose_plain(struct pair *p, uint8_t type)
{
    const struct ike_transform *t = common(p, type, 0);

    if (!is_offered(p, type) || !is_ours(p, type))
        one_sided(p, type);
    else if (t == NULL)
        fail(p, IKE_MISMATCH_COMMON, type);
    else
        choose(p, t);
}

/* The first INTEG that is not NONE and that both have. */
static const struct ike_transform *common_integ(const struct pair *p)
{
    const struct ike_transform *t;
    size_t nth = 0;

    do
        t = common(p, IKE_T_INTEG, nth++);
    while (t != NULL && t->id == IKE_INTEG_NONE);
    return t;
}

/* Encryption with what authenticates it. Nothing is chosen that would encrypt only (RFC 8221 4). */
static void choose_encr(struct pair *p)
{
    bool integ_offered = is_offered(p, IKE_T_INTEG);
    const struct ike_transform *encr, *integ = common_integ(p);

    if (common(p, IKE_T_ENCR, 0) == NULL) {
        fail(p, is_offered(p, IKE_T_ENCR) ? IKE_MISMATCH_COMMON : IKE_MISMATCH_ABSENT, IKE_T_ENCR);
        return;
    }
    for (size_t nth = 0; (encr = common(p, IKE_T_ENCR, nth)) != NULL; nth++) {
        if (ike_encr_is_aead(encr->id)) {
            if (integ_offered && !has_none(p->offered, IKE_T_INTEG))
                continue;
            choose(p, encr);
            if (integ_offered)
                choose_none(p, IKE_T_INTEG);
            return;
        }
        if (integ != NULL) {
            choose(p, encr);
            choose(p, integ);
            return;
        }
    }
    fail(p, integ_offered ? IKE_MISMATCH_COMMON : IKE_MISMATCH_ABSENT, IKE_T_INTEG);
}

/* A KDF with the MAC that belongs to it. */
static void choose_tcp_ao(struct pair *p)
{
    const struct ike_transform *prf;

    if (is_offered(p, IKE_T_ENCR))
        fail(p, IKE_MISMATCH_COMMON, IKE_T_ENCR);
    if (is_offered(p, IKE_T_SN))
        fail(p, IKE_MISMATCH_COMMON, IKE_T_SN);
    for (size_t nth = 0; (prf = common(p, IKE_T_PRF, nth)) != NULL; nth++) {
        const struct ike_transform integ = {.type = IKE_T_INTEG, .id = ike_tcp_ao_integ(prf->id)};

        if (integ.id != 0 && has(p->offered, &integ) && has(p->ours, &integ)) {
            choose(p, prf);
            choose(p, &integ);
            return;
        }
    }
    fail(p, IKE_MISMATCH_COMMON, common(p, IKE_T_PRF, 0) == NULL ? IKE_T_PRF : IKE_T_INTEG);
}

/* One key exchange of a suite, while all of them are being placed. */
struct slot {
    uint8_t type;
    bool fixed;
    const struct ike_transform *pick; /* NULL: none yet */
};

/* The types may differ. */
static bool same_method(const struct ike_transform *a, const struct ike_transform *b)
{
    return b != NULL && a->id == b->id && a->key_bits == b->key_bits;
}

/* Gives slot `s` a method, moving others that are in the way to another one of theirs. */
static bool place(const struct pair *p, struct slot *slots, size_t n, size_t s, bool *seen)
{
    const struct ike_transform *t, *old = slots[s].pick; /* which another wants */

    seen[s] = true;
    for (size_t nth = 0; (t = common(p, slots[s].type, nth)) != NULL; nth++) {
        size_t owner = n;

        if ((t->id == IKE_KE_NONE && !may_be_none(p, slots[s].type)) || same_method(t, old))
            continue;
        for (size_t i = 0; i < n && t->id != IKE_KE_NONE; i++)
            if (i != s && same_method(t, slots[i].pick))
                owner = i;
        if (owner < n && (slots[owner].fixed || seen[owner] || !place(p, slots, n, owner, seen)))
            continue;
        slots[s].pick = t;
        return true;
    }
    return false;
}

/* Places all that are not fixed; *stuck is the first that cannot be. */
static bool place_all(const struct pair *p, struct slot *slots, size_t n, size_t *stuck)
{
    for (size_t i = 0; i < n; i++)
        if (!slots[i].fixed)
            slots[i].pick = NULL;
    for (size_t i = 0; i < n; i++) {
        bool seen[KE_TYPES] = {false};

        if (!slots[i].fixed && !place(p, slots, n, i, seen)) {
            *stuck = i;
            return false;
        }
    }
    return true;
}

/* The most wanted method for each slot in turn with which the others still find one. */
static void choose_ke(struct pair *p, struct slot *slots, size_t n)
{
    size_t stuck;

    if (!place_all(p, slots, n, &stuck)) {
        fail(p, IKE_MISMATCH_REPEATED, slots[stuck].type);
        return;
    }
    for (size_t s = 0; s < n; s++) {
        const struct ike_transform *t;

        for (size_t nth = 0; (t = common(p, slots[s].type, nth)) != NULL; nth++) {
            bool taken = t->id == IKE_KE_NONE && !may_be_none(p, slots[s].type);

            for (size_t i = 0; i < s && t->id != IKE_KE_NONE; i++)
                taken =
                    taken || (slots[i].pick->id == t->id && slots[i].pick->key_bits == t->key_bits);
            slots[s].fixed = true;
            slots[s].pick = t;
            if (!taken && place_all(p, slots, n, &stuck))
                break;
        }
        choose(p, slots[s].pick);
    }
}

static void choose_all_ke(struct pair *p)
{
    struct slot slots[KE_TYPES];
    size_t n = 0;

    for (uint8_t type = IKE_T_KE; type <= IKE_T_ADDKE7; type++) {
        const struct ike_transform *t = common(p, type, 0);

        if (!ike_transform_is_ke(type) || ignored(p, type) ||
            (!is_offered(p, type) && !is_ours(p, type)))
            continue;
        if (!is_offered(p, type) && !understood(p, type))
            continue; /* ours, but they may not offer it */
        if (!is_offered(p, type) || !is_ours(p, type))
            one_sided(p, type);
        else if (t == NULL ||
                 (t->id == IKE_KE_NONE && !may_be_none(p, type) && common(p, type, 1) == NULL))
            fail(p, IKE_MISMATCH_COMMON, type);
        else
            slots[n++] = (struct slot){.type = type};
    }
    choose_ke(p, slots, n);
}

/* Types that are absent although the protocol wants them, or there although nobody knows them. */
static void check_types(struct pair *p)
{
    for (unsigned type = 0; type < p->types; type++) {
        if (ignored(p, (uint8_t)type))
            continue;
        if (p->sides[type] == 0 && mandatory(p->offered->protocol, (uint8_t)type))
            fail(p, IKE_MISMATCH_ABSENT, (uint8_t)type);
        if (is_offered(p, type) && !understood(p, (uint8_t)type))
            fail(p, IKE_MISMATCH_UNKNOWN, (uint8_t)type);
    }
}

static bool match(struct pair *p)
{
    *p->chosen = (struct ike_proposal){.number = p->offered->number,
                                       .protocol = p->offered->protocol,
                                       .spi_len = p->offered->spi_len};
    memcpy(p->chosen->spi, p->offered->spi, sizeof(p->chosen->spi));
    p->miss = (struct ike_choice_miss){.number = p->offered->number};
    if (p->offered->protocol != p->ours->protocol) {
        fail(p, IKE_MISMATCH_PROTOCOL, 0);
        p->miss.misses = TYPES;
        return false;
    }
    note_types(p);
    if (!spi_fits(p->offered))
        fail(p, IKE_MISMATCH_SPI, 0);
    check_types(p);
    if (ike_protocol_is_tcp_ao(p->ours->protocol)) {
        choose_tcp_ao(p);
        choose_all_ke(p);
        return p->miss.misses == 0;
    }
    if (is_offered(p, IKE_T_ENCR) || is_ours(p, IKE_T_ENCR))
        choose_encr(p);
    else if (is_offered(p, IKE_T_INTEG) || is_ours(p, IKE_T_INTEG))
        choose_plain(p, IKE_T_INTEG);
    for (unsigned type = 0; type < p->types; type++) {
        uint8_t t = (uint8_t)type;

        if (p->sides[t] != 0 && t != IKE_T_ENCR && t != IKE_T_INTEG && !ike_transform_is_ke(t) &&
            (is_offered(p, t) ? understood(p, t) : is_ours(p, t)))
            choose_plain(p, t);
    }
    choose_all_ke(p);
    return p->miss.misses == 0;
}

/* Keeps the nearest miss. */
static void remember(struct ike_choice_miss *nearest, const struct pair *p, size_t ours)
{
    if (nearest->why != IKE_MATCH && nearest->misses <= p->miss.misses)
        return;
    *nearest = p->miss;
    nearest->ours = ours;
}

static bool try_pair(const struct ike_sa *offered, size_t theirs, const struct ike_sa *ours,
                     size_t our, const struct ike_choice_rules *rules, struct ike_proposal *chosen,
                     struct ike_choice_miss *nearest)
{
    struct ike_proposal draft;
    struct pair p = {.offered = &offered->proposal[theirs],
                     .ours = &ours->proposal[our],
                     .rules = rules,
                     .chosen = &draft};

    if (!match(&p)) {
        remember(nearest, &p, our);
        return false;
    }
    *chosen = draft;
    return true;
}

static bool missed(const struct ike_choice_miss *nearest, struct ike_choice_miss *miss)
{
    if (miss != NULL)
        *miss = *nearest;
    return false;
}

bool ike_proposal_choose(const struct ike_sa *offered, const struct ike_sa *ours,
                         const struct ike_choice_rules *rules, struct ike_proposal *chosen,
                         struct ike_choice_miss *miss)
{
    struct ike_choice_miss nearest = {.why = IKE_MATCH};
    size_t outer = rules->prefer_theirs ? offered->count : ours->count;
    size_t inner = rules->prefer_theirs ? ours->count : offered->count;

    for (size_t i = 0; i < outer; i++)
        for (size_t j = 0; j < inner; j++)
            if (try_pair(offered, rules->prefer_theirs ? i : j, ours, rules->prefer_theirs ? j : i,
                         rules, chosen, &nearest))
                return true;
    if (nearest.why == IKE_MATCH)
        nearest.why = IKE_MISMATCH_NUMBER;
    return missed(&nearest, miss);
}

/* A type that stands there twice: a suite has one of each. 0: none does. */
static uint8_t repeated_type(const struct ike_proposal *p)
{
    bool seen[TYPES] = {false};

    for (size_t i = 0; i < p->count; i++) {
        if (seen[p->transform[i].type])
            return p->transform[i].type;
        seen[p->transform[i].type] = true;
    }
    return 0;
}

bool ike_proposal_confirm(const struct ike_sa *answer, const struct ike_sa *offered,
                          const struct ike_choice_rules *rules, struct ike_proposal *chosen,
                          struct ike_choice_miss *miss)
{
    struct ike_choice_miss nearest = {.why = IKE_MISMATCH_NUMBER};

    if (answer->count != 1)
        return missed(&nearest, miss);
    nearest.number = answer->proposal[0].number;
    nearest.type = repeated_type(&answer->proposal[0]);
    if (nearest.type != 0) {
        nearest.why = IKE_MISMATCH_COMMON;
        return missed(&nearest, miss);
    }
    for (size_t i = 0; i < offered->count; i++) {
        if (offered->proposal[i].number != answer->proposal[0].number)
            continue;
        nearest.why = IKE_MATCH;
        return try_pair(answer, 0, offered, i, rules, chosen, &nearest) || missed(&nearest, miss);
    }
    return missed(&nearest, miss);
}

uint16_t ike_ke_guess(const struct ike_sa *ours)
{
    for (size_t i = 0; i < ours->count; i++)
        for (size_t j = 0; j < ours->proposal[i].count; j++) {
            const struct ike_transform *t = &ours->proposal[i].transform[j];

            if (t->type == IKE_T_KE && t->id != IKE_KE_NONE)
                return t->id;
        }
    return IKE_KE_NONE;
}

bool ike_ke_retry(const struct ike_sa *ours, uint16_t tried, uint16_t asked)
{
    if (asked == IKE_KE_NONE || asked == tried)
        return false;
    for (size_t i = 0; i < ours->count; i++)
        if (has(&ours->proposal[i], &(struct ike_transform){.type = IKE_T_KE, .id = asked}))
            return true;
    return false;
}

const char *ike_mismatch_text(enum ike_mismatch why)
{
#define MISMATCH_TEXT(constant, text) [constant] = (text),
    static const char *const texts[] = {IKE_MISMATCHES(MISMATCH_TEXT)};

    return texts[why];
}
