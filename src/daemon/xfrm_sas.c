#include "daemon/xfrm_sas.h"

#include <stdlib.h>

static size_t id_bucket(uint64_t id)
{
    return (size_t)(id % GH_KERNEL_SA_BUCKETS);
}

/* SPIs are random: peers choose those of what goes out, but only peers that we trust with an SA. */
static size_t name_bucket(const struct gh_xfrm_sa_id *name)
{
    return name->spi % GH_KERNEL_SA_BUCKETS;
}

struct gh_kernel_sa *gh_kernel_sas_add(struct gh_kernel_sas *t, const struct gh_kernel_sa *sa)
{
    struct gh_kernel_sa **by_id = &t->by_id[id_bucket(sa->id)];
    struct gh_kernel_sa **by_name = &t->by_name[name_bucket(&sa->name)];
    struct gh_kernel_sa *own = malloc(sizeof(*own));

    if (own == NULL)
        return NULL;
    *own = *sa;
    own->next_by_id = *by_id;
    own->next_by_name = *by_name;
    *by_id = *by_name = own;
    return own;
}

struct gh_kernel_sa *gh_kernel_sas_find(const struct gh_kernel_sas *t, uint64_t id)
{
    struct gh_kernel_sa *sa = t->by_id[id_bucket(id)];

    while (sa != NULL && sa->id != id)
        sa = sa->next_by_id;
    return sa;
}

struct gh_kernel_sa *gh_kernel_sas_named(const struct gh_kernel_sas *t, uint32_t place,
                                         const struct gh_xfrm_sa_id *name)
{
    struct gh_kernel_sa *sa = t->by_name[name_bucket(name)];

    while (sa != NULL && !(sa->name.spi == name->spi && sa->name.protocol == name->protocol &&
                           sa->place == place && gh_addr_equal(&sa->name.dst, &name->dst)))
        sa = sa->next_by_name;
    return sa;
}

void gh_kernel_sas_remove(struct gh_kernel_sas *t, struct gh_kernel_sa *sa)
{
    struct gh_kernel_sa **at = &t->by_id[id_bucket(sa->id)];

    while (*at != sa)
        at = &(*at)->next_by_id;
    *at = sa->next_by_id;
    at = &t->by_name[name_bucket(&sa->name)];
    while (*at != sa)
        at = &(*at)->next_by_name;
    *at = sa->next_by_name;
    free(sa);
}

void gh_kernel_sas_clear(struct gh_kernel_sas *t)
{
    for (size_t i = 0; i < GH_KERNEL_SA_BUCKETS; i++)
        while (t->by_id[i] != NULL)
            gh_kernel_sas_remove(t, t->by_id[i]);
}
