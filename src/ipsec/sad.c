#include "ipsec/sad.h"

#include <stdlib.h>

enum { FIRST_BUCKETS = 64 };

static size_t bucket(const struct ipsec_sad *sad, uint64_t key)
{
    uint64_t h = (key ^ sad->seed) * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(h >> 32) & (sad->buckets - 1);
}

/* Those of the two directions are apart: what comes in does not look through what goes out. */
static uint64_t spi_key(enum ipsec_way way, uint8_t protocol, uint32_t spi)
{
    return (uint64_t)way << 40 | (uint64_t)protocol << 32 | spi;
}

static size_t spi_bucket(const struct ipsec_sad *sad, const struct ipsec_sa *sa)
{
    return bucket(sad, spi_key(sa->p.way, (uint8_t)sa->p.protocol, sa->p.spi));
}

static void link_in(struct ipsec_sad *sad, struct ipsec_sa *sa)
{
    struct ipsec_sa **list = &sad->by_id[bucket(sad, sa->p.id)];

    sa->next_by_id = *list;
    *list = sa;
    list = &sad->by_spi[spi_bucket(sad, sa)];
    sa->next_by_spi = *list;
    *list = sa;
}

static bool grow(struct ipsec_sad *sad)
{
    struct ipsec_sad wider = *sad;

    wider.buckets = sad->buckets == 0 ? FIRST_BUCKETS : sad->buckets * 2;
    wider.by_id = calloc(wider.buckets, sizeof(struct ipsec_sa *));
    wider.by_spi = calloc(wider.buckets, sizeof(struct ipsec_sa *));
    if (wider.by_id == NULL || wider.by_spi == NULL) {
        free(wider.by_id);
        free(wider.by_spi);
        return false;
    }
    for (size_t b = 0; b < sad->buckets; b++)
        for (struct ipsec_sa *sa = sad->by_id[b], *next; sa != NULL; sa = next) {
            next = sa->next_by_id;
            link_in(&wider, sa);
        }
    free(sad->by_id);
    free(sad->by_spi);
    *sad = wider;
    return true;
}

bool ipsec_sad_add(struct ipsec_sad *sad, struct ipsec_sa *sa)
{
    if (ipsec_sad_by_id(sad, sa->p.id) != NULL ||
        (sa->p.way == IPSEC_IN &&
         ipsec_sad_by_spi(sad, (uint8_t)sa->p.protocol, sa->p.spi) != NULL) ||
        (sad->count >= sad->buckets && !grow(sad)))
        return false;
    link_in(sad, sa);
    sad->count++;
    return true;
}

struct ipsec_sa *ipsec_sad_take(struct ipsec_sad *sad, uint64_t id)
{
    struct ipsec_sa *sa = ipsec_sad_by_id(sad, id), **list;

    if (sa == NULL)
        return NULL;
    for (list = &sad->by_id[bucket(sad, id)]; *list != sa;)
        list = &(*list)->next_by_id;
    *list = sa->next_by_id;
    for (list = &sad->by_spi[spi_bucket(sad, sa)]; *list != sa;)
        list = &(*list)->next_by_spi;
    *list = sa->next_by_spi;
    sad->count--;
    return sa;
}

struct ipsec_sa *ipsec_sad_by_id(const struct ipsec_sad *sad, uint64_t id)
{
    struct ipsec_sa *sa = sad->buckets > 0 ? sad->by_id[bucket(sad, id)] : NULL;

    while (sa != NULL && sa->p.id != id)
        sa = sa->next_by_id;
    return sa;
}

struct ipsec_sa *ipsec_sad_by_spi(const struct ipsec_sad *sad, uint8_t protocol, uint32_t spi)
{
    struct ipsec_sa *sa =
        sad->buckets > 0 ? sad->by_spi[bucket(sad, spi_key(IPSEC_IN, protocol, spi))] : NULL;

    while (sa != NULL && (sa->p.spi != spi || sa->p.protocol != protocol || sa->p.way != IPSEC_IN))
        sa = sa->next_by_spi;
    return sa;
}

const void *ipsec_sad_ahead(const struct ipsec_sad *sad, uint8_t protocol, uint32_t spi)
{
    const void *at = NULL;

    if (sad->buckets > 0) {
        at = &sad->by_spi[bucket(sad, spi_key(IPSEC_IN, protocol, spi))];
        __builtin_prefetch(at);
    }
    return at;
}

void ipsec_sad_ahead_sa(const void *bucket)
{
    const struct ipsec_sa *sa = *(struct ipsec_sa *const *)bucket;

    if (sa != NULL)
        ipsec_sa_prefetch(sa);
}

struct ipsec_sa *ipsec_sad_out(const struct ipsec_sad *sad, uint32_t place, uint8_t protocol,
                               uint32_t spi, const struct gh_addr *remote)
{
    struct ipsec_sa *sa =
        sad->buckets > 0 ? sad->by_spi[bucket(sad, spi_key(IPSEC_OUT, protocol, spi))] : NULL;

    while (sa != NULL &&
           (sa->p.spi != spi || sa->p.protocol != protocol || sa->p.way != IPSEC_OUT ||
            sa->p.place != place || !gh_addr_equal(&sa->p.remote, remote)))
        sa = sa->next_by_spi;
    return sa;
}

void ipsec_sad_clear(struct ipsec_sad *sad)
{
    for (size_t b = 0; b < sad->buckets; b++)
        for (struct ipsec_sa *sa = sad->by_id[b], *next; sa != NULL; sa = next) {
            next = sa->next_by_id;
            ipsec_sa_free(sa);
        }
    free(sad->by_id);
    free(sad->by_spi);
    *sad = (struct ipsec_sad){.seed = sad->seed};
}
