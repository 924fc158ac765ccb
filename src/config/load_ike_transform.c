/*
 * `ike-transform NAME { … }` and `ipsec-transform NAME { … }`: one proposal each.
 */
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load.h"
#include "config/ike_words.h"
#include "ike/codes.h"

enum {
    T_ENCRYPTION,
    T_INTEGRITY,
    T_KE,
    T_ADDKE1,
    T_ADDKE7 = T_ADDKE1 + 6,
    T_LEGACY,
    T_COMMON, /* what both sections have */
    T_PRF = T_COMMON,
    T_ESN,
    T_PROTOCOL,
    T_ITEMS
};

#define COMMON_ITEMS                                                                               \
    {"encryption", GH_ITEM_LIST}, {"integrity", GH_ITEM_LIST}, {"ke", GH_ITEM_LIST},               \
        {"additional-ke-1", GH_ITEM_LIST}, {"additional-ke-2", GH_ITEM_LIST},                      \
        {"additional-ke-3", GH_ITEM_LIST}, {"additional-ke-4", GH_ITEM_LIST},                      \
        {"additional-ke-5", GH_ITEM_LIST}, {"additional-ke-6", GH_ITEM_LIST},                      \
        {"additional-ke-7", GH_ITEM_LIST},                                                         \
    {                                                                                              \
        "legacy", GH_ITEM_VALUE                                                                    \
    }

static const struct gh_item ike_items[] = {COMMON_ITEMS, {"prf", GH_ITEM_LIST}};
static const struct gh_item ipsec_items[] = {
    COMMON_ITEMS, {"esn", GH_ITEM_LIST}, {"protocol", GH_ITEM_VALUE}};

static void collect(struct gh_ike_loader *x, const struct gh_node *section, bool ike,
                    const struct gh_node *got[T_ITEMS])
{
    got[T_PRF] = got[T_ESN] = got[T_PROTOCOL] = NULL;
    if (ike) {
        gh_items_collect(x->l, section, ike_items, T_COMMON + 1, got);
        return;
    }
    gh_items_collect(x->l, section, ipsec_items, T_COMMON + 2, got);
    got[T_PROTOCOL] = got[T_COMMON + 1];
    got[T_ESN] = got[T_COMMON];
    got[T_PRF] = NULL;
}

static uint8_t type_of(size_t item)
{
    switch (item) {
    case T_ENCRYPTION:
        return IKE_T_ENCR;
    case T_INTEGRITY:
        return IKE_T_INTEG;
    case T_PRF:
        return IKE_T_PRF;
    case T_KE:
        return IKE_T_KE;
    case T_ESN:
        return IKE_T_SN;
    default:
        return (uint8_t)(IKE_T_ADDKE1 + item - T_ADDKE1);
    }
}

/* One transform section while it is read. */
struct reading {
    struct gh_ike_loader *x;
    struct ike_proposal *p;
    unsigned use; /* GH_FOR_… */
    bool legacy;
};

static unsigned use_of(uint8_t protocol)
{
    return protocol == IKE_PROTO_IKE   ? GH_FOR_IKE
           : protocol == IKE_PROTO_ESP ? GH_FOR_ESP
           : protocol == IKE_PROTO_AH  ? GH_FOR_AH
                                       : GH_FOR_TCP_AO;
}

static bool usable(const struct reading *r, uint8_t type, const struct gh_ike_word *w)
{
    /* an additional key exchange may always be left out (RFC 9370 2.2.1) */
    return (w->use & r->use) != 0 || (w->id == IKE_KE_NONE && type >= IKE_T_ADDKE1);
}

static void unknown(const struct reading *r, const struct gh_node *n, size_t i, uint8_t type)
{
    const struct gh_ike_word *w = gh_ike_words(type);
    const char *names[64], *near;
    size_t count = 0;
    char *remedy;

    for (; w->name != NULL; w++) {
        if (usable(r, type, w))
            names[count++] = w->name;
    }
    names[count] = NULL;
    near = gh_nearest(n->values[i], names);
    if (near != NULL)
        remedy = gh_config_asprintf("did you mean \"%s\"?", near);
    else if (count > 0)
        remedy = gh_config_asprintf("write such as %s; gatehouse.conf(5) has the list", names[0]);
    else
        remedy = gh_config_strdup("remove it");
    gh_load_error(r->x->l, n->value_lines[i], "algorithm", remedy,
                  "\"%s\" does not know \"%.64s\" here", n->name, n->values[i]);
    free(remedy);
}

static void take(struct reading *r, const struct gh_node *n, size_t i, uint8_t type)
{
    const struct gh_ike_word *w = gh_ike_word(type, n->values[i]);
    struct gh_loader *l = r->x->l;
    int line = n->value_lines[i];

    if (w == NULL || !usable(r, type, w)) {
        unknown(r, n, i, type);
        return;
    }
    for (size_t t = 0; t < r->p->count; t++) {
        const struct ike_transform *other = &r->p->transform[t];

        if (other->type == type && other->id == w->id && other->key_bits == w->key_bits) {
            gh_load_error(l, line, "duplicate", "keep one of them", "\"%s\" has \"%s\" twice",
                          n->name, w->name);
            return;
        }
    }
    if (w->legacy && !r->legacy)
        gh_load_error(l, line, "legacy-algorithm",
                      "take another, or add legacy = yes if the peer has nothing better",
                      "\"%s\" is too weak for today", w->name);
    else if (w->legacy)
        gh_load_warning(l, line, "legacy-algorithm", "remove it as soon as the peer can do better",
                        "\"%s\" IS WEAK: what it protects can be broken", w->name);
    if (!gh_ike_word_available(type, w))
        gh_load_error(l, line, "algorithm-unavailable",
                      "take another, or install an OpenSSL that has it",
                      "this machine's OpenSSL has no \"%s\"", w->name);
    if (!ike_proposal_add(r->p, type, w->id, w->key_bits))
        gh_load_error(l, line, "range", "make two transforms of it",
                      "a transform has at most %d algorithms", (int)IKE_TRANSFORMS_MAX);
}

static void add_defaults(struct ike_proposal *p, uint8_t type)
{
    struct ike_sa sa;

    ike2_default_proposals(p->protocol, &sa);
    for (size_t i = 0; i < sa.proposal[0].count; i++) {
        const struct ike_transform *t = &sa.proposal[0].transform[i];

        if (t->type == type)
            ike_proposal_add(p, type, t->id, t->key_bits);
    }
}

/* How many ciphers of the proposal authenticate by themselves, and how many do not. */
static void count_ciphers(const struct ike_proposal *p, size_t *aead, size_t *plain)
{
    *aead = *plain = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (p->transform[i].type != IKE_T_ENCR)
            continue;
        if (ike_encr_is_aead(p->transform[i].id))
            ++*aead;
        else
            ++*plain;
    }
}

/* RFC 7296 3.3: an AEAD stands in a proposal without INTEG, the others in one with it. */
static void settle_integrity(struct reading *r, const struct gh_node *section,
                             const struct gh_node **got)
{
    size_t aead, plain;

    count_ciphers(r->p, &aead, &plain);
    if (aead > 0 && plain > 0)
        gh_load_error(r->x->l, got[T_ENCRYPTION]->line, "mixed-encryption",
                      "make two transforms of it and name both where one is used",
                      "the %s \"%s\" mixes ciphers that authenticate (GCM, CCM, "
                      "ChaCha20-Poly1305, GMAC) with others",
                      section->name, section->title);
    else if (aead > 0 && got[T_INTEGRITY] != NULL)
        gh_load_error(r->x->l, got[T_INTEGRITY]->line, "mixed-encryption", "remove \"integrity\"",
                      "the ciphers of \"%s\" authenticate by themselves", section->title);
    else if (plain > 0 && got[T_INTEGRITY] == NULL)
        ike_proposal_add(r->p, IKE_T_INTEG, IKE_INTEG_HMAC_SHA2_256_128, 0);
}

static bool wanted(uint8_t protocol, size_t item)
{
    switch (item) {
    case T_ENCRYPTION:
        return protocol != IKE_PROTO_AH;
    case T_PRF:
        return protocol == IKE_PROTO_IKE;
    case T_ESN:
        return protocol != IKE_PROTO_IKE;
    case T_INTEGRITY:
        return protocol == IKE_PROTO_AH;
    default:
        return item == T_KE;
    }
}

static void read_list(struct reading *r, const struct gh_node *n, size_t item)
{
    for (size_t i = 0; n != NULL && i < n->value_count; i++)
        take(r, n, i, type_of(item));
    if (n != NULL && n->value_count == 0)
        gh_load_error(r->x->l, n->line, "range", "remove it for the default, or name some",
                      "\"%s\" has no algorithm", n->name);
    if (n == NULL && wanted(r->p->protocol, item))
        add_defaults(r->p, type_of(item));
}

void gh_ike_key_exchanges(struct gh_ike_loader *x, const struct gh_node *const *lists,
                          struct ike_proposal *p)
{
    struct reading r = {.x = x, .p = p, .use = use_of(p->protocol)};

    for (size_t item = T_KE; item <= T_ADDKE7; item++)
        read_list(&r, lists[item - T_KE], item);
}

static void read_lists(struct reading *r, const struct gh_node *section, const struct gh_node **got)
{
    for (size_t item = 0; item < T_PROTOCOL; item++) {
        if (item != T_LEGACY)
            read_list(r, got[item], item);
    }
    if (r->p->protocol == IKE_PROTO_AH && got[T_ENCRYPTION] != NULL)
        gh_load_error(r->x->l, got[T_ENCRYPTION]->line, "algorithm", "remove it, or take esp",
                      "AH does not encrypt");
    else
        settle_integrity(r, section, got);
}

static uint8_t read_protocol(struct gh_ike_loader *x, const struct gh_node *n)
{
    static const char *const names[] = {"esp", "ah", NULL};
    unsigned choice = 0;

    gh_node_choice(x->l, n, names, &choice);
    return choice == 0 ? IKE_PROTO_ESP : IKE_PROTO_AH;
}

static struct ike_proposal read_transform(struct gh_ike_loader *x, const struct gh_node *section,
                                          bool ike)
{
    const struct gh_node *got[T_ITEMS];
    struct ike_proposal p = {.protocol = IKE_PROTO_IKE};
    struct reading r = {.x = x, .p = &p};

    collect(x, section, ike, got);
    if (!ike)
        p.protocol = read_protocol(x, got[T_PROTOCOL]);
    gh_node_bool(x->l, got[T_LEGACY], &r.legacy);
    r.use = use_of(p.protocol);
    read_lists(&r, section, got);
    return p;
}

void gh_load_ike_transform(struct gh_ike_loader *x, const struct gh_node *section)
{
    struct ike_proposal p = read_transform(x, section, true);

    gh_ike_define(x, "ike-transform", gh_ike_name(x, section), section->line,
                  x->ike_transform_count);
    x->ike_transforms = gh_config_grow(x->ike_transforms, x->ike_transform_count, sizeof(p));
    x->ike_transforms[x->ike_transform_count++] = p;
}

void gh_load_ipsec_transform(struct gh_ike_loader *x, const struct gh_node *section)
{
    struct ike_proposal p = read_transform(x, section, false);

    gh_ike_define(x, "ipsec-transform", gh_ike_name(x, section), section->line,
                  x->ipsec_transform_count);
    x->ipsec_transforms = gh_config_grow(x->ipsec_transforms, x->ipsec_transform_count, sizeof(p));
    x->ipsec_transforms[x->ipsec_transform_count++] = p;
}

void gh_ike_keep_proposals(struct ike_proposals *to, const struct ike_sa *sa)
{
    gh_config_must(ike_proposals_set(to, sa) ? to : NULL);
}

void gh_ike_proposals(struct gh_ike_loader *x, const struct gh_node *n, const char *section,
                      struct ike_proposals *out)
{
    const struct ike_proposal *from =
        strcmp(section, "ike-transform") == 0 ? x->ike_transforms : x->ipsec_transforms;
    struct ike_sa sa = {.count = 0};
    size_t index;

    if (n == NULL)
        return;
    if (n->value_count == 0 || n->value_count > GH_IKE_TRANSFORMS) {
        gh_load_error(x->l, n->line, "range", NULL, "\"%s\" names 1 to %d %s sections", n->name,
                      (int)GH_IKE_TRANSFORMS, section);
        return;
    }
    for (size_t i = 0; i < n->value_count; i++) {
        if (!gh_ike_refer(x, n, i, section, &index))
            continue;
        sa.proposal[sa.count] = from[index];
        sa.count++;
        sa.proposal[sa.count - 1].number = (uint8_t)sa.count;
    }
    gh_ike_keep_proposals(out, &sa);
}
