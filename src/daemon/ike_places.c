#include "daemon/ike_places.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1024, PLACES_MAX = 4096 };

/* From where an address is reached. */
struct way {
    struct way *next; /* hash chain */
    uint16_t place;
    struct gh_addr remote, local;
    int error;
    bool known;       /* there was an answer; it holds until the next one */
    unsigned waiting; /* for so many */
    bool used;        /* somebody wanted to know since it was asked for */
};

struct place {
    char *netns, *vrf;
    bool known;
    struct gh_addr *list;
    size_t count, fit;
};

struct gh_ike_places {
    const struct gh_ike_places_ops *ops;
    void *ctx;
    struct place *list;
    size_t count;
    struct way *slots[SLOTS];
    size_t ways, waiting;
    bool changed; /* and nobody was told */
};

struct gh_ike_places *gh_ike_places_new(const struct gh_ike_places_ops *ops, void *ctx)
{
    struct gh_ike_places *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->ops = ops;
    p->ctx = ctx;
    if (gh_ike_place(p, NULL, NULL) == 0)
        return p;
    gh_ike_places_free(p);
    return NULL;
}

void gh_ike_places_free(struct gh_ike_places *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++) {
        free(p->list[i].netns);
        free(p->list[i].vrf);
        free(p->list[i].list);
    }
    for (size_t s = 0; s < SLOTS; s++) {
        while (p->slots[s] != NULL) {
            struct way *w = p->slots[s];

            p->slots[s] = w->next;
            free(w);
        }
    }
    free(p->list);
    free(p);
}

/* ---- Places --------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

uint16_t gh_ike_place(struct gh_ike_places *p, const char *netns, const char *vrf)
{
    struct place *more, fresh = {.known = false};

    for (size_t i = 0; i < p->count; i++)
        if (same_text(p->list[i].netns, netns) && same_text(p->list[i].vrf, vrf))
            return (uint16_t)i;
    if (p->count == PLACES_MAX)
        return UINT16_MAX;
    more = realloc(p->list, (p->count + 1) * sizeof(*more));
    if (more == NULL)
        return UINT16_MAX;
    p->list = more;
    fresh.netns = netns != NULL ? strdup(netns) : NULL;
    fresh.vrf = vrf != NULL ? strdup(vrf) : NULL;
    if ((netns != NULL && fresh.netns == NULL) || (vrf != NULL && fresh.vrf == NULL)) {
        free(fresh.netns);
        free(fresh.vrf);
        return UINT16_MAX;
    }
    p->list[p->count] = fresh;
    return (uint16_t)p->count++;
}

const char *gh_ike_place_netns(const struct gh_ike_places *p, uint16_t place)
{
    return place < p->count ? p->list[place].netns : NULL;
}

const char *gh_ike_place_vrf(const struct gh_ike_places *p, uint16_t place)
{
    return place < p->count ? p->list[place].vrf : NULL;
}

const struct gh_addr *gh_ike_place_list(const struct gh_ike_places *p, uint16_t place,
                                        size_t *count, size_t *fit)
{
    if (place >= p->count || !p->list[place].known)
        return NULL;
    *count = p->list[place].count;
    *fit = p->list[place].fit;
    return p->list[place].list;
}

/* ---- Ways ----------------------------------------------------------------------------------- */

static struct way **slot_of(struct gh_ike_places *p, uint16_t place, const struct gh_addr *remote)
{
    uint32_t h = place * 0x9e3779b1u;

    for (size_t i = 0; i < remote->len; i++)
        h = (h ^ remote->octets[i]) * 0x01000193u;
    return &p->slots[(h ^ h >> 16) % SLOTS];
}

static struct way *find(struct gh_ike_places *p, uint16_t place, const struct gh_addr *remote)
{
    struct way *w = *slot_of(p, place, remote);

    while (w != NULL && (w->place != place || !gh_addr_equal(&w->remote, remote)))
        w = w->next;
    return w;
}

static void ask(struct gh_ike_places *p, struct way *w)
{
    w->waiting++;
    p->waiting++;
    p->ops->ask(p->ctx, p->list[w->place].netns, p->list[w->place].vrf, &w->remote);
}

enum ike2_way gh_ike_way(struct gh_ike_places *p, uint16_t place, const struct gh_addr *remote,
                         struct gh_addr *out, int *error)
{
    struct way *w = place < p->count ? find(p, place, remote) : NULL;

    if (error != NULL)
        *error = 0;
    if (w == NULL && place < p->count && p->ways < GH_IKE_WAYS_MAX)
        w = calloc(1, sizeof(*w));
    if (w == NULL)
        return IKE2_WAY_UNKNOWN;
    w->used = true;
    if (w->remote.len == 0) {
        struct way **at = slot_of(p, place, remote);

        w->place = place;
        w->remote = *remote;
        w->next = *at;
        *at = w;
        p->ways++;
        ask(p, w);
    }
    if (!w->known)
        return IKE2_WAY_UNKNOWN;
    if (error != NULL)
        *error = w->error;
    if (w->local.len != 0)
        *out = w->local;
    return w->local.len != 0 ? IKE2_WAY_THERE : IKE2_WAY_NONE;
}

bool gh_ike_way_answered(struct gh_ike_places *p, uint16_t place, const struct gh_addr *remote,
                         const struct gh_addr *local, int error)
{
    struct way *w = find(p, place, remote);

    if (w == NULL || w->waiting == 0)
        return false;
    w->waiting--;
    w->known = true;
    w->local = local != NULL ? *local : (struct gh_addr){.len = 0};
    w->error = local != NULL ? 0 : error;
    p->waiting--;
    p->changed = true;
    return gh_ike_places_settled(p);
}

bool gh_ike_places_settled(struct gh_ike_places *p)
{
    bool settled = p->changed && p->waiting == 0;

    if (settled)
        p->changed = false;
    return settled;
}

static void ask_anew(struct gh_ike_places *p, uint16_t place, struct way **at)
{
    while (*at != NULL) {
        struct way *w = *at;

        if (w->place == place && !w->used && w->waiting == 0) {
            *at = w->next;
            p->ways--;
            free(w);
            continue;
        }
        if (w->place == place) {
            w->used = false;
            ask(p, w);
        }
        at = &w->next;
    }
}

void gh_ike_place_addresses(struct gh_ike_places *p, uint16_t place, const struct gh_addr *list,
                            size_t count, size_t fit)
{
    struct gh_addr *copy = list != NULL ? calloc(count + 1, sizeof(*copy)) : NULL;
    struct place *x = place < p->count ? &p->list[place] : NULL;

    if (x == NULL) {
        free(copy);
        return;
    }
    if (copy != NULL)
        memcpy(copy, list, count * sizeof(*copy));
    free(x->list);
    x->list = copy;
    x->known = copy != NULL;
    x->count = count;
    x->fit = fit;
    p->changed = true;
    for (size_t s = 0; s < SLOTS; s++)
        ask_anew(p, place, &p->slots[s]);
}
