/* Where SAs and Child SAs are found: by SPI, by first message, by name, by number; and each
 * policy's. */
#include <stdlib.h>
#include <string.h>

#include "ike/v2/core_priv.h"
#include "ike/v2/deadlines.h"
#include "ike/v2/priv.h"
#include "ike/v2/tables.h"
#include "ike/v2/tell.h"

enum { TABLE_FIRST = 64 };

bool ike2_tables_new(struct ike2 *c)
{
    c->table_mask = TABLE_FIRST - 1;
    c->by_spi = calloc(TABLE_FIRST, sizeof(struct ike2_sa *));
    c->by_init = calloc(TABLE_FIRST, sizeof(struct ike2_sa *));
    c->by_name = calloc(TABLE_FIRST, sizeof(struct ike2_sa *));
    c->by_child = calloc(TABLE_FIRST, sizeof(struct ike2_child *));
    c->ops.random(c->ops.ctx, &c->hash_seed, sizeof(c->hash_seed));
    return c->by_spi != NULL && c->by_init != NULL && c->by_name != NULL && c->by_child != NULL;
}

void ike2_tables_free(struct ike2 *c)
{
    free(c->by_spi);
    free(c->by_init);
    free(c->by_name);
    free(c->by_child);
    free(c->heap);
}

static size_t slot_of(const struct ike2 *c, const uint8_t spi[IKE_SPI_LEN],
                      const struct gh_addr *addr)
{
    uint64_t h = c->hash_seed;

    for (size_t i = 0; i < IKE_SPI_LEN; i++)
        h = (h ^ spi[i]) * 0x100000001b3u;
    for (size_t i = 0; addr != NULL && i < addr->len; i++)
        h = (h ^ addr->octets[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32) & c->table_mask;
}

static const uint8_t *own_spi(const struct ike2_sa *sa)
{
    return sa->initiator ? sa->spi_i : sa->spi_r;
}

struct ike2_sa *ike2_by_spi(const struct ike2 *c, const uint8_t spi[IKE_SPI_LEN])
{
    struct ike2_sa *sa = c->by_spi[slot_of(c, spi, NULL)];

    while (sa != NULL && memcmp(own_spi(sa), spi, IKE_SPI_LEN) != 0)
        sa = sa->next_spi;
    return sa;
}

struct ike2_sa *ike2_by_init(const struct ike2 *c, const uint8_t spi_i[IKE_SPI_LEN],
                             const struct ike2_datagram *d)
{
    struct ike2_sa *sa = c->by_init[slot_of(c, spi_i, &d->remote.addr)];

    while (sa != NULL &&
           (memcmp(sa->spi_i, spi_i, IKE_SPI_LEN) != 0 || sa->local.zone != d->local.zone ||
            !gh_addr_equal(&sa->init_addr, &d->remote.addr)))
        sa = sa->next_init;
    return sa;
}

bool ike2_spi_is_zero(const uint8_t spi[IKE_SPI_LEN])
{
    static const uint8_t zero[IKE_SPI_LEN];

    return memcmp(spi, zero, IKE_SPI_LEN) == 0;
}

void ike2_new_spi(struct ike2 *c, uint8_t spi[IKE_SPI_LEN])
{
    do
        c->ops.random(c->ops.ctx, spi, IKE_SPI_LEN);
    while (ike2_spi_is_zero(spi) || ike2_by_spi(c, spi) != NULL);
}

static void put_into_tables(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_sa **at = &c->by_spi[slot_of(c, own_spi(sa), NULL)];

    sa->next_spi = *at;
    *at = sa;
    if (!sa->in_init_table)
        return;
    at = &c->by_init[slot_of(c, sa->spi_i, &sa->init_addr)];
    sa->next_init = *at;
    *at = sa;
}

static size_t name_slot(const struct ike2 *c, const struct gh_identity *id)
{
    uint64_t h = (c->hash_seed ^ id->type) * 0x100000001b3u;

    for (size_t i = 0; i < id->len; i++)
        h = (h ^ id->data[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32) & c->table_mask;
}

void ike2_sa_name(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_sa **at = &c->by_name[name_slot(c, sa->remote_id)];

    sa->named = true;
    sa->next_name = *at;
    *at = sa;
}

struct ike2_sa *ike2_by_name(const struct ike2 *c, const struct gh_identity *id,
                             const struct ike2_sa *after)
{
    return after != NULL ? after->next_name : c->by_name[name_slot(c, id)];
}

void ike2_child_link(struct ike2 *c, struct ike2_sa *sa, struct ike2_child *child)
{
    struct ike2_child **at = &c->by_child[child->id & c->table_mask];

    child->sa = sa;
    child->next = sa->children;
    sa->children = child;
    sa->child_count++;
    child->next_id = *at;
    *at = child;
}

void ike2_child_unlink(struct ike2 *c, struct ike2_child *child)
{
    struct ike2_child **at = &child->sa->children;

    while (*at != child)
        at = &(*at)->next;
    *at = child->next;
    child->sa->child_count--;
    at = &c->by_child[child->id & c->table_mask];
    while (*at != child)
        at = &(*at)->next_id;
    *at = child->next_id;
}

static void put_all_into_tables(struct ike2 *c)
{
    for (struct ike2_sa *sa = c->sas; sa != NULL; sa = sa->next) {
        put_into_tables(c, sa);
        if (sa->named)
            ike2_sa_name(c, sa);
        for (struct ike2_child *child = sa->children; child != NULL; child = child->next) {
            struct ike2_child **at = &c->by_child[child->id & c->table_mask];

            child->next_id = *at;
            *at = child;
        }
    }
}

static void grow_tables(struct ike2 *c)
{
    size_t size = 2 * (c->table_mask + 1);
    struct ike2_sa **tables[3];
    struct ike2_child **children;
    bool all = true;

    if (c->sa_count <= c->table_mask)
        return;
    for (size_t i = 0; i < 3; i++)
        all = (tables[i] = calloc(size, sizeof(struct ike2_sa *))) != NULL && all;
    children = calloc(size, sizeof(struct ike2_child *));
    if (!all || children == NULL) { /* chains grow longer, that is all */
        for (size_t i = 0; i < 3; i++)
            free(tables[i]);
        free(children);
        return;
    }
    free(c->by_spi);
    free(c->by_init);
    free(c->by_name);
    free(c->by_child);
    c->by_spi = tables[0];
    c->by_init = tables[1];
    c->by_name = tables[2];
    c->by_child = children;
    c->table_mask = size - 1;
    put_all_into_tables(c);
}

/* ---- The SAs of a policy ----------------------------------------------------------------------
 */

static void leave_policy(struct ike2_sa *sa)
{
    if (sa->policy == NULL)
        return;
    if (sa->previous_peer != NULL)
        sa->previous_peer->next_peer = sa->next_peer;
    else
        sa->policy->sas = sa->next_peer;
    if (sa->next_peer != NULL)
        sa->next_peer->previous_peer = sa->previous_peer;
    sa->next_peer = sa->previous_peer = NULL;
}

static void join_policy(struct ike2_sa *sa)
{
    sa->next_peer = sa->policy->sas;
    if (sa->next_peer != NULL)
        sa->next_peer->previous_peer = sa;
    sa->policy->sas = sa;
}

void ike2_set_policy(struct ike2_sa *sa, struct ike2_policy *policy)
{
    struct ike2_policy *was = sa->policy;

    if (was == policy)
        return;
    leave_policy(sa);
    sa->policy = ike2_policy_ref(policy);
    join_policy(sa);
    ike2_policy_free(was);
}

/* ---- In and out of the tables -----------------------------------------------------------------
 */

/* Told once on the way up and once on the way down. */
static void watch_limit(struct ike2 *c)
{
    const struct ike2_settings *s = &c->settings;

    if (!c->crowded && s->sas_high > 0 && c->sa_count >= s->sas_high) {
        c->crowded = true;
        ike2_tell(c, NULL, IKE2_EVENT_LIMIT, 0, "%zu IKE SAs; beyond %zu nobody else comes in",
                  c->sa_count, s->sas_max);
    } else if (c->crowded && c->sa_count < s->sas_low) {
        c->crowded = false;
        ike2_tell(c, NULL, IKE2_EVENT_LIMIT, 0, "only %zu IKE SAs again", c->sa_count);
    }
}

bool ike2_sa_link(struct ike2 *c, struct ike2_sa *sa)
{
    if (c->heap_room < c->sa_count + 1) {
        size_t room = 2 * c->heap_room + 16;
        struct ike2_sa **more = realloc(c->heap, room * sizeof(struct ike2_sa *));

        if (more == NULL)
            return false;
        c->heap = more;
        c->heap_room = room;
    }
    sa->in_init_table = !sa->initiator;
    sa->init_addr = sa->remote.addr;
    grow_tables(c);
    join_policy(sa);
    sa->next = c->sas;
    if (c->sas != NULL)
        c->sas->previous = sa;
    c->sas = sa;
    c->sa_count++;
    put_into_tables(c, sa);
    watch_limit(c);
    return true;
}

static void take_from_tables(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_sa **at = &c->by_spi[slot_of(c, own_spi(sa), NULL)];

    while (*at != sa)
        at = &(*at)->next_spi;
    *at = sa->next_spi;
    if (sa->in_init_table) {
        at = &c->by_init[slot_of(c, sa->spi_i, &sa->init_addr)];
        while (*at != sa)
            at = &(*at)->next_init;
        *at = sa->next_init;
    }
    if (sa->named) {
        at = &c->by_name[name_slot(c, sa->remote_id)];
        while (*at != sa)
            at = &(*at)->next_name;
        *at = sa->next_name;
    }
}

void ike2_sa_unlink(struct ike2 *c, struct ike2_sa *sa)
{
    take_from_tables(c, sa);
    leave_policy(sa);
    ike2_unschedule(c, sa);
    if (sa->job != IKE2_JOB_NONE)
        ike2_forget_asking(c, sa);
    if (sa->previous != NULL)
        sa->previous->next = sa->next;
    else
        c->sas = sa->next;
    if (sa->next != NULL)
        sa->next->previous = sa->previous;
    c->sa_count--;
    watch_limit(c);
}

/* ---- By number ------------------------------------------------------------------------------- */

struct ike2_sa *ike2_by_number(const struct ike2 *c, uint64_t id)
{
    struct ike2_sa *sa = c->sas;

    while (sa != NULL && sa->id != id)
        sa = sa->next;
    return sa;
}

struct ike2_child *ike2_child_by_number(const struct ike2 *c, uint32_t id)
{
    struct ike2_child *child = c->by_child[id & c->table_mask];

    while (child != NULL && child->id != id)
        child = child->next_id;
    return child;
}
