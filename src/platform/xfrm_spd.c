/* The kernel's policies, as far as they are ours. */
#include <stdlib.h>

#include "platform/xfrm.h"
#include "platform/xfrm_ask.h"
#include "platform/xfrm_select.h"

enum { TRIES = 64 };

/* ---- One policy of the kernel's ------------------------------------------------------------- */

struct found_policy {
    struct gh_xfrm_policy_info info;
    bool found;
};

static void on_found_policy(void *ctx, const struct gh_nl_message *m)
{
    struct found_policy *f = ctx;

    f->found = gh_xfrm_parse_policy(m, &f->info);
}

static struct found_policy find(struct gh_xfrm *x, const struct gh_xfrm_policy *p,
                                const struct xfrm_selector *selector, uint8_t dir)
{
    const struct gh_xfrm_policy_id id = {.selector = *selector,
                                         .dir = dir,
                                         .if_id = p->tie.if_id,
                                         .mark = p->tie.mark,
                                         .mark_mask = p->tie.mark_mask};
    uint8_t mem[GH_XFRM_MESSAGE];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct found_policy f = {.found = false};
    struct gh_xfrm_why why;

    gh_xfrm_put_policy_id(&w, XFRM_MSG_GETPOLICY, ++x->seq, &id);
    f.found = gh_xfrm_ask(x->ask, &w, on_found_policy, &f, &why) == 0 && f.found;
    return f;
}

static void remove_one(struct gh_xfrm *x, const struct gh_xfrm_policy_id *id)
{
    uint8_t mem[GH_XFRM_MESSAGE];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_xfrm_why why;

    gh_xfrm_put_policy_id(&w, XFRM_MSG_DELPOLICY, ++x->seq, id);
    (void)gh_xfrm_ask(x->ask, &w, NULL, NULL, &why); /* or it is gone already */
}

/* ---- Lists of them -------------------------------------------------------------------------- */

struct listed {
    struct gh_xfrm_policy_id id;
    bool wanted;
};

struct list {
    struct listed *p;
    size_t count, room;
    bool no_memory;
};

static void list_add(struct list *l, const struct gh_xfrm_policy_id *id)
{
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 64 : 2 * l->room;
        struct listed *p = reallocarray(l->p, room, sizeof(*p));

        l->no_memory |= p == NULL;
        if (p == NULL)
            return;
        l->p = p;
        l->room = room;
    }
    l->p[l->count++] = (struct listed){.id = *id};
}

static void on_listed(void *ctx, const struct gh_xfrm_policy_info *policy)
{
    list_add(ctx, &policy->id);
}

static int by_index(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;

    return x->id.index < y->id.index ? -1 : x->id.index > y->id.index;
}

/* In a list that is sorted. NULL: not there. */
static struct listed *list_find(const struct list *l, uint32_t index)
{
    const struct listed sought = {.id = {.index = index}};

    return l->count == 0 ? NULL : bsearch(&sought, l->p, l->count, sizeof(*l->p), by_index);
}

struct each_policy {
    gh_xfrm_policy_fn fn;
    void *ctx;
};

static void on_policy(void *ctx, const struct gh_nl_message *m)
{
    const struct each_policy *each = ctx;
    struct gh_xfrm_policy_info info;

    if (gh_xfrm_parse_policy(m, &info) && gh_xfrm_index_is_ours(info.id.index))
        each->fn(each->ctx, &info);
}

int gh_xfrm_each_policy(struct gh_xfrm *x, gh_xfrm_policy_fn fn, void *ctx)
{
    struct each_policy each = {fn, ctx};
    uint8_t mem[GH_NL_HEADER];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_xfrm_why why;

    gh_xfrm_put_dump(&w, XFRM_MSG_GETPOLICY, ++x->seq);
    return gh_xfrm_ask(x->ask, &w, on_policy, &each, &why);
}

/* ---- One policy of ours, which is several of the kernel's ----------------------------------- */

/* What is forwarded came out of a tunnel, or is no policy's that protects by transport mode. */
static bool wants(const struct gh_xfrm_policy *p, uint8_t dir)
{
    if (dir == XFRM_POLICY_OUT)
        return p->policy->out;
    if (dir == XFRM_POLICY_FWD && p->template_count > 0 && p->templates[0].mode == IPSEC_TRANSPORT)
        return false;
    return p->policy->in;
}

typedef bool (*piece_fn)(void *ctx, const struct gh_xfrm_policy *p,
                         const struct xfrm_selector *selector, uint8_t dir,
                         struct gh_xfrm_why *why);

static bool each_piece(const struct gh_xfrm_policy *p, piece_fn fn, void *ctx,
                       struct gh_xfrm_why *why)
{
    static struct xfrm_selector pieces[GH_XFRM_EXPANDED];

    for (size_t i = 0; i < p->policy->selector_count; i++)
        for (uint8_t dir = 0; dir < XFRM_POLICY_MAX; dir++) {
            size_t count;

            if (!wants(p, dir))
                continue;
            count = gh_xfrm_expand(&p->policy->selectors[i], dir, pieces, why);
            if (count == 0)
                return false;
            for (size_t j = 0; j < count; j++)
                if (!fn(ctx, p, &pieces[j], dir, why))
                    return false;
        }
    return true;
}

struct giving {
    struct gh_xfrm *x;
    struct list had; /* before, by index; wanted: given again */
    uint32_t first;  /* next_policy before */
    struct list made;
};

static bool made_here(const struct giving *g, uint32_t index)
{
    return ((index >> 3) - g->first) % GH_XFRM_POLICIES < g->x->next_policy - g->first;
}

static bool give(struct gh_xfrm *x, uint16_t type, const struct gh_xfrm_policy *p,
                 const struct xfrm_selector *selector, uint32_t index, struct gh_xfrm_why *why)
{
    uint8_t mem[GH_XFRM_MESSAGE];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));

    return gh_xfrm_put_policy(&w, type, ++x->seq, p, selector, index, why) &&
           gh_xfrm_ask(x->ask, &w, NULL, NULL, why) == 0;
}

/* A new policy of ours. An index that is taken the kernel silently replaces by one of its own,
 * which would not be ours: then another is tried. */
static bool make_piece(struct giving *g, const struct gh_xfrm_policy *p,
                       const struct xfrm_selector *selector, uint8_t dir, struct gh_xfrm_why *why)
{
    struct found_policy f = {.found = false};

    for (unsigned tries = 0; tries < TRIES; tries++) {
        uint32_t index = gh_xfrm_index(g->x->next_policy++, dir);

        if (!give(g->x, XFRM_MSG_NEWPOLICY, p, selector, index, why))
            return false;
        f = find(g->x, p, selector, dir);
        if (f.found && f.info.id.index == index)
            break;
        if (f.found)
            remove_one(g->x, &f.info.id);
        f.found = false;
    }
    if (!f.found)
        return gh_xfrm_refuse(why, "the kernel gives no index of ours");
    list_add(&g->made, &f.info.id);
    if (g->made.no_memory)
        remove_one(g->x, &f.info.id);
    return !g->made.no_memory || gh_xfrm_refuse(why, "no memory");
}

static bool give_piece(void *ctx, const struct gh_xfrm_policy *p,
                       const struct xfrm_selector *selector, uint8_t dir, struct gh_xfrm_why *why)
{
    struct giving *g = ctx;
    struct found_policy f = find(g->x, p, selector, dir);
    struct listed *had;

    if (!f.found)
        return make_piece(g, p, selector, dir, why);
    if (!gh_xfrm_index_is_ours(f.info.id.index))
        return gh_xfrm_refuse(why, "another program has a policy for the same packets");
    had = list_find(&g->had, f.info.id.index);
    if (made_here(g, f.info.id.index) || (had != NULL && had->wanted))
        return true; /* the first of the same selectors counts */
    if (!give(g->x, XFRM_MSG_UPDPOLICY, p, selector, f.info.id.index, why))
        return false;
    if (had != NULL)
        had->wanted = true;
    return true;
}

static bool give_all(struct giving *g, const struct gh_xfrm_policy *list, size_t count,
                     struct gh_xfrm_why *why)
{
    bool good = true;

    for (size_t i = 0; i < count && good; i++)
        good = each_piece(&list[i], give_piece, g, why);
    for (size_t i = 0; i < g->made.count && !good; i++)
        remove_one(g->x, &g->made.p[i].id);
    return good;
}

bool gh_xfrm_add_policy(struct gh_xfrm *x, const struct gh_xfrm_policy *policy,
                        struct gh_xfrm_why *why)
{
    struct giving g = {.x = x, .first = x->next_policy};
    bool good = give_all(&g, policy, 1, why);

    free(g.had.p);
    free(g.made.p);
    return good;
}

static bool has_piece(void *ctx, const struct gh_xfrm_policy *p,
                      const struct xfrm_selector *selector, uint8_t dir, struct gh_xfrm_why *why)
{
    struct found_policy f;

    if (dir == XFRM_POLICY_FWD) /* there are none of it in transport mode */
        return true;
    f = find(ctx, p, selector, dir);
    return f.found && gh_xfrm_index_is_ours(f.info.id.index);
}

bool gh_xfrm_has_policy(struct gh_xfrm *x, const struct ipsec_selector *selector)
{
    const struct ipsec_policy both = {
        .out = true, .in = true, .selectors = selector, .selector_count = 1};
    const struct gh_xfrm_policy p = {.policy = &both};
    struct gh_xfrm_why why;

    return each_piece(&p, has_piece, x, &why);
}

static bool remove_piece(void *ctx, const struct gh_xfrm_policy *p,
                         const struct xfrm_selector *selector, uint8_t dir, struct gh_xfrm_why *why)
{
    struct gh_xfrm *x = ctx;
    struct found_policy f = find(x, p, selector, dir);

    if (f.found && gh_xfrm_index_is_ours(f.info.id.index))
        remove_one(x, &f.info.id);
    return true;
}

void gh_xfrm_remove_policy(struct gh_xfrm *x, const struct gh_xfrm_policy *policy)
{
    struct gh_xfrm_why why;

    (void)each_piece(policy, remove_piece, x, &why);
}

bool gh_xfrm_set_policies(struct gh_xfrm *x, const struct gh_xfrm_policy *list, size_t count,
                          struct gh_xfrm_why *why)
{
    struct giving g = {.x = x, .first = x->next_policy};
    bool good = gh_xfrm_each_policy(x, on_listed, &g.had) == 0 && !g.had.no_memory;

    if (!good)
        gh_xfrm_refuse(why, "the kernel does not list its policies");
    else if (g.had.count > 0)
        qsort(g.had.p, g.had.count, sizeof(*g.had.p), by_index);
    good = good && give_all(&g, list, count, why);
    for (size_t i = 0; i < g.had.count && good; i++)
        if (!g.had.p[i].wanted)
            remove_one(x, &g.had.p[i].id);
    free(g.had.p);
    free(g.made.p);
    return good;
}
