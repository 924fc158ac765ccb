/* The core's tables, what comes in, what is asked of it, and what it shows. */
#include "ike/v2/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/v2/priv.h"

enum { TABLE_FIRST = 64, COOKIE_SECRET_MS = 60 * 1000, VERSION_MS = 100 };
#define IDS_LAST UINT32_C(0xffff0000)

/* ---- Names ---------------------------------------------------------------------------------- */

#define NAME(constant, name) [constant] = name,

const char *ike2_event_name(enum ike2_event_kind kind)
{
    static const char *const names[] = {IKE2_EVENTS(NAME)};

    return names[kind];
}

const char *ike2_count_name(enum ike2_count count)
{
    static const char *const names[] = {IKE2_COUNTS(NAME)};

    return names[count];
}

const char *ike2_state_name(enum ike2_state state)
{
    static const char *const names[] = {IKE2_STATES(NAME)};

    return names[state];
}

/* ---- Made and freed ------------------------------------------------------------------------- */

struct ike2_settings ike2_default_settings(void)
{
    return (struct ike2_settings){.sas_max = 65536,
                                  .half_open_max = 4096,
                                  .half_open_cookie = 64,
                                  .half_open_puzzle = 1024,
                                  .puzzle_bits = 16,
                                  .puzzle_legacy = 30,
                                  .puzzle_budget = 1024,
                                  .children_max = 64,
                                  .reassembly_ms = 2000,
                                  .reduced_exchange_ms = 2000,
                                  .ticket_seconds = 8 * 3600,
                                  .strays_per_second = 20};
}

static void renew_cookies(struct ike2 *c)
{
    uint8_t fresh[IKE_COOKIE_SECRET_LEN];

    c->ops.random(c->ops.ctx, fresh, sizeof(fresh));
    ike_cookie_renew(&c->cookies, fresh);
    gh_wipe(fresh, sizeof(fresh));
    c->cookies_at = c->now.mono_ms + COOKIE_SECRET_MS;
}

struct ike2 *ike2_new(const struct ike2_ops *ops, const struct ike2_settings *settings,
                      struct gh_now now)
{
    struct ike2 *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->ops = *ops;
    c->settings = *settings;
    c->settings.crash_secret = NULL; /* borrowed */
    c->now = now;
    c->next_id = c->next_child = c->next_job = 1;
    c->asking_end = &c->asking;
    c->table_mask = TABLE_FIRST - 1;
    c->by_spi = calloc(TABLE_FIRST, sizeof(struct ike2_sa *));
    c->by_init = calloc(TABLE_FIRST, sizeof(struct ike2_sa *));
    c->by_name = calloc(TABLE_FIRST, sizeof(struct ike2_sa *));
    c->by_child = calloc(TABLE_FIRST, sizeof(struct ike2_child *));
    if (settings->lockout != NULL)
        c->lockout = gh_lockout_new(settings->lockout);
    if (c->by_spi == NULL || c->by_init == NULL || c->by_name == NULL || c->by_child == NULL ||
        (settings->lockout != NULL && c->lockout == NULL)) {
        ike2_free(c);
        return NULL;
    }
    c->ops.random(c->ops.ctx, &c->hash_seed, sizeof(c->hash_seed));
    renew_cookies(c);
    if (settings->crash_secret != NULL)
        memcpy(c->crash_secret, settings->crash_secret, IKE2_CRASH_SECRET);
    c->has_crash_secret = settings->crash_secret != NULL;
    return c;
}

static void bury(struct ike2 *c)
{
    while (c->dead != NULL) {
        struct ike2_sa *sa = c->dead;

        c->dead = sa->next_spi;
        ike2_sa_free(sa);
    }
}

void ike2_free(struct ike2 *c)
{
    if (c == NULL)
        return;
    bury(c);
    while (c->sas != NULL) {
        struct ike2_sa *sa = c->sas;

        c->sas = sa->next;
        sa->policy->sas = NULL;
        ike2_sa_free(sa);
    }
    for (size_t i = 0; i < c->policy_count; i++)
        ike2_policy_free(c->policies[i]);
    free(c->policies);
    free(c->by_spi);
    free(c->by_init);
    free(c->by_name);
    free(c->by_child);
    free(c->heap);
    ike2_resume_free(c);
    ike2_redirect_free(c);
    gh_lockout_free(c->lockout);
    gh_wipe(c, sizeof(*c));
    free(c);
}

/* ---- Tables --------------------------------------------------------------------------------- */

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

static struct ike2_sa *by_init(const struct ike2 *c, const uint8_t spi_i[IKE_SPI_LEN],
                               const struct ike2_endpoint *remote)
{
    struct ike2_sa *sa = c->by_init[slot_of(c, spi_i, &remote->addr)];

    while (sa != NULL && (memcmp(sa->spi_i, spi_i, IKE_SPI_LEN) != 0 ||
                          !gh_addr_equal(&sa->init_addr, &remote->addr)))
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

/* ---- Deadlines: a heap of all SAs that have one ---------------------------------------------- */

static void heap_put(struct ike2 *c, size_t at, struct ike2_sa *sa)
{
    c->heap[at] = sa;
    sa->heap_at = at + 1;
}

static void heap_up(struct ike2 *c, size_t at, struct ike2_sa *sa)
{
    while (at > 0 && c->heap[(at - 1) / 2]->due > sa->due) {
        heap_put(c, at, c->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(c, at, sa);
}

static void heap_down(struct ike2 *c, size_t at, struct ike2_sa *sa)
{
    for (size_t child; (child = 2 * at + 1) < c->heap_count; at = child) {
        if (child + 1 < c->heap_count && c->heap[child + 1]->due < c->heap[child]->due)
            child++;
        if (c->heap[child]->due >= sa->due)
            break;
        heap_put(c, at, c->heap[child]);
    }
    heap_put(c, at, sa);
}

static void heap_remove(struct ike2 *c, struct ike2_sa *sa)
{
    size_t at = sa->heap_at - 1;
    struct ike2_sa *last;

    if (sa->heap_at == 0)
        return;
    sa->heap_at = 0;
    last = c->heap[--c->heap_count];
    if (last == sa)
        return;
    if (at > 0 && c->heap[(at - 1) / 2]->due > last->due)
        heap_up(c, at, last);
    else
        heap_down(c, at, last);
}

void ike2_schedule(struct ike2 *c, struct ike2_sa *sa)
{
    uint64_t due = ike2_sa_due(sa);

    if (due == sa->due && sa->heap_at != 0)
        return;
    heap_remove(c, sa);
    sa->due = due;
    if (due != 0)
        heap_up(c, c->heap_count++, sa);
}

static void forget_asking(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_sa **at = &c->asking;

    while (*at != NULL && *at != sa)
        at = &(*at)->next_asking;
    if (*at == NULL)
        return;
    *at = sa->next_asking;
    if (c->asking_end == &sa->next_asking)
        c->asking_end = at;
    sa->next_asking = NULL;
    sa->job = IKE2_JOB_NONE;
}

void ike2_sa_unlink(struct ike2 *c, struct ike2_sa *sa)
{
    take_from_tables(c, sa);
    leave_policy(sa);
    heap_remove(c, sa);
    if (sa->job != IKE2_JOB_NONE)
        forget_asking(c, sa);
    if (sa->previous != NULL)
        sa->previous->next = sa->next;
    else
        c->sas = sa->next;
    if (sa->next != NULL)
        sa->next->previous = sa->previous;
    c->sa_count--;
}

/* ---- Words ---------------------------------------------------------------------------------- */

void ike2_count(struct ike2 *c, enum ike2_count what)
{
    c->counters[what]++;
}

static void tell(struct ike2 *c, const struct ike2_sa *sa, enum ike2_event_kind kind,
                 uint32_t child, const char *text)
{
    const struct ike2_event e = {.kind = kind,
                                 .policy = sa != NULL && sa->policy != NULL ? sa->policy->name : "",
                                 .sa = sa != NULL ? sa->id : 0,
                                 .child = child,
                                 .remote = sa != NULL ? &sa->remote : NULL,
                                 .text = text};

    c->ops.event(c->ops.ctx, &e);
}

void ike2_tell(struct ike2 *c, const struct ike2_sa *sa, enum ike2_event_kind kind, uint32_t child,
               const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    tell(c, sa, kind, child, text);
}

static void fail(struct ike2 *c, const struct ike2_sa *sa, enum ike2_count reason,
                 enum ike2_event_kind kind, uint32_t child, const char *text)
{
    ike2_count(c, reason);
    c->failures[reason].when = c->now.wall;
    snprintf(c->failures[reason].text, sizeof(c->failures[reason].text), "%s%s%.*s",
             sa != NULL && sa->policy != NULL ? sa->policy->name : "",
             sa != NULL && sa->policy != NULL ? ": " : "",
             (int)sizeof(c->failures[reason].text) - 70, text);
    tell(c, sa, kind, child, text);
}

void ike2_fail(struct ike2 *c, const struct ike2_sa *sa, enum ike2_count reason, const char *format,
               ...)
{
    bool ends = reason == IKE2_COUNT_AUTH_FAILED || reason == IKE2_COUNT_PEER_DEAD;
    /* Anybody can make us refuse him, so that is not told each time. */
    bool told = sa != NULL ? ends || sa->state < IKE2_STATE_ESTABLISHED
                           : c->now.wall - c->failures[reason].when >= IKE2_STRANGERS_S;
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fail(c, sa, reason, told ? IKE2_EVENT_SA_FAILED : IKE2_EVENT_STORY, 0, text);
}

void ike2_fail_child(struct ike2 *c, const struct ike2_sa *sa, enum ike2_count reason,
                     uint32_t child, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fail(c, sa, reason, IKE2_EVENT_CHILD_FAILED, child, text);
}

enum ike2_count ike2_count_of(uint16_t notify)
{
    switch (notify) {
    case IKE_N_TS_UNACCEPTABLE:
        return IKE2_COUNT_TS_UNACCEPTABLE;
    case IKE_N_NO_PROPOSAL_CHOSEN:
        return IKE2_COUNT_NO_PROPOSAL;
    case IKE_N_INVALID_KE_PAYLOAD:
        return IKE2_COUNT_INVALID_KE;
    default:
        return IKE2_COUNT_NOT_ADMITTED;
    }
}

/* ---- Policies ------------------------------------------------------------------------------- */

static int by_index(const void *x, const void *y)
{
    const struct ike2_policy *a = *(struct ike2_policy *const *)x;
    const struct ike2_policy *b = *(struct ike2_policy *const *)y;

    return a->index < b->index ? -1 : a->index > b->index;
}

static struct ike2_child_policy *child_named(struct ike2_policy *p, const char *name)
{
    for (size_t i = 0; i < p->child_count; i++)
        if (strcmp(p->children[i].name, name) == 0)
            return &p->children[i];
    return NULL;
}

/* Whether all that hangs on the SA has its place in the new policy, too. */
static bool fits(const struct ike2_sa *sa, struct ike2_policy *p)
{
    bool all =
        sa->state >= IKE2_STATE_ESTABLISHED &&
        (sa->task == NULL || sa->task->policy == NULL || child_named(p, sa->task->policy->name));

    for (const struct ike2_child *child = sa->children; all && child != NULL; child = child->next)
        all = child_named(p, child->policy->name) != NULL;
    for (const struct ike2_task *t = sa->waiting; all && t != NULL; t = t->next)
        all = t->policy == NULL || child_named(p, t->policy->name) != NULL;
    return all;
}

/* What the new policy says counts from the next rekeying on. */
static void adopt(struct ike2_sa *sa, struct ike2_policy *p)
{
    for (struct ike2_child *child = sa->children; child != NULL; child = child->next)
        child->policy = child_named(p, child->policy->name);
    for (struct ike2_task *t = sa->waiting; t != NULL; t = t->next)
        t->policy = t->policy != NULL ? child_named(p, t->policy->name) : NULL;
    if (sa->task != NULL && sa->task->policy != NULL)
        sa->task->policy = child_named(p, sa->task->policy->name);
    sa->client = NULL;
    ike2_pending_clear(sa); /* it was judged by the old one */
    ike2_set_policy(sa, p);
}

static void take_over(struct ike2_policy *old, struct ike2_policy *p)
{
    struct ike2_sa *next;

    for (struct ike2_sa *sa = old->sas; sa != NULL; sa = next) {
        next = sa->next_peer;
        if (fits(sa, p))
            adopt(sa, p);
    }
}

bool ike2_set_policies(struct ike2 *c, struct gh_now now, struct ike2_policy *const *policies,
                       size_t count)
{
    struct ike2_policy **copy = calloc(count + 1, sizeof(struct ike2_policy *));

    if (copy == NULL)
        return false;
    c->now = now;
    for (size_t i = 0; i < count; i++)
        copy[i] = ike2_policy_ref(policies[i]);
    if (count > 0)
        qsort(copy, count, sizeof(struct ike2_policy *), by_index);
    for (size_t i = 0; i < c->policy_count; i++) {
        struct ike2_policy *old = c->policies[i];
        bool stays = false;

        for (size_t k = 0; k < count; k++)
            stays = stays || copy[k] == old;
        if (!stays) {
            ike2_resume_forget(c, old);
            ike2_redirect_forget(c, old);
        }
        for (size_t k = 0; k < count; k++)
            if (copy[k] != old && strcmp(copy[k]->name, old->name) == 0)
                take_over(old, copy[k]);
        ike2_policy_free(old);
    }
    free(c->policies);
    c->policies = copy;
    c->policy_count = count;
    for (size_t i = 0; i < count; i++)
        ike2_begin_again(c, copy[i]);
    bury(c);
    return true;
}

static bool is_for(const struct ike2_policy *p, const struct gh_addr *local,
                   const struct gh_addr *remote)
{
    return (p->local.len == 0 || gh_addr_equal(&p->local, local)) &&
           (p->remote.bits == 0 ? p->remote.addr.len == 0 || p->remote.addr.len == remote->len
                                : gh_prefix_contains(&p->remote, remote));
}

struct ike2_policy *ike2_policy_for(struct ike2 *c, const struct gh_addr *local,
                                    const struct gh_addr *remote, const struct ike2_policy *after)
{
    bool seen = after == NULL;

    for (size_t i = 0; i < c->policy_count; i++) {
        if (seen && is_for(c->policies[i], local, remote))
            return c->policies[i];
        seen = seen || c->policies[i] == after;
    }
    return NULL;
}

static struct ike2_policy *policy_named(const struct ike2 *c, const char *name)
{
    for (size_t i = 0; i < c->policy_count; i++)
        if (strcmp(c->policies[i]->name, name) == 0)
            return c->policies[i];
    return NULL;
}

/* ---- In ------------------------------------------------------------------------------------- */

/* Before Message IDs begin again at 0, the IKE SA is rekeyed (RFC 7296 2.2). */
static void spare_ids(struct ike2 *c, struct ike2_sa *sa)
{
    uint64_t at = c->now.mono_ms + IKE2_RETRY_MS;

    if (sa->state == IKE2_STATE_ESTABLISHED &&
        (sa->send_id >= IDS_LAST || sa->receive_id >= IDS_LAST) &&
        (sa->rekey_at == 0 || sa->rekey_at > at))
        sa->rekey_at = at;
}

static void settle(struct ike2 *c, struct ike2_sa *sa)
{
    if (sa->state != IKE2_STATE_DEAD)
        ike2_tasks_run(c, sa);
    if (sa->state != IKE2_STATE_DEAD) {
        if (sa->state >= IKE2_STATE_ESTABLISHED) {
            ike2_ciphers_drop(sa);
            if (sa->liveness_at == 0 && sa->state == IKE2_STATE_ESTABLISHED &&
                (sa->policy->liveness_ms > 0 || sa->nat_local))
                sa->liveness_at = c->now.mono_ms + 1;
            spare_ids(c, sa);
        }
        ike2_schedule(c, sa);
    }
}

/* Only a higher major version than ours is answered (RFC 7296 2.5), and nothing of it is believed.
 */
static void answer_version(struct ike2 *c, const struct ike2_datagram *d,
                           const struct ike_header *h)
{
    uint8_t octets[IKE_HEADER_LEN + 16];
    struct ike_header answer = *h;
    struct gh_view whole;
    struct ike_out o;

    if (ike_header_is_response(h) || c->now.mono_ms < c->version_at)
        return;
    c->version_at = c->now.mono_ms + VERSION_MS; /* whoever asks may be anybody */
    answer.version = IKE_VERSION_2;
    answer.flags = IKE_FLAG_RESPONSE;
    o = ike_out_message(octets, sizeof(octets), &answer);
    ike_notify_emit_data(&o, IKE_N_INVALID_MAJOR_VERSION, gh_view_of(NULL, 0));
    if (ike_out_done(&o, &whole))
        ike2_send(c, &d->local, &d->remote, d->marker, whole);
}

static void init_message(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m)
{
    struct ike2_sa *sa;

    if (ike_header_is_response(&m->h)) {
        sa = ike2_by_spi(c, m->h.spi_i);
        if (sa == NULL || !sa->initiator || sa->state != IKE2_STATE_INIT || m->h.id != 0 ||
            ike_header_from_initiator(&m->h)) {
            ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
            return;
        }
        if (sa->task != NULL && sa->task->kind == IKE2_TASK_RESUME)
            ike2_resume_response(c, sa, d, m);
        else
            ike2_init_response(c, sa, d, m);
        settle(c, sa);
        return;
    }
    if (!ike_header_from_initiator(&m->h) || m->h.id != 0 || !ike2_spi_is_zero(m->h.spi_r) ||
        ike2_spi_is_zero(m->h.spi_i)) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    sa = by_init(c, m->h.spi_i, &d->remote);
    if (sa != NULL) { /* said again: answered again, as long as it is still that exchange */
        ike2_count(c, IKE2_COUNT_REPEATED);
        if (sa->state == IKE2_STATE_AUTH && sa->receive_id == 1 && sa->setup != NULL &&
            sa->setup->request.len == d->len &&
            memcmp(sa->setup->request.data, d->data, d->len) == 0) {
            sa->asked = ike2_path_of(d);
            ike2_send_response(c, sa);
        }
        return;
    }
    if (m->h.exchange == IKE_X_SESSION_RESUME)
        ike2_resume_request(c, d, m);
    else
        ike2_init_request(c, d, m);
}

void ike2_input(struct ike2 *c, struct gh_now now, const struct ike2_datagram *d)
{
    struct ike_message m;
    struct ike2_sa *sa;
    enum ike_fault fault;

    c->now = now;
    ike2_count(c, IKE2_COUNT_IN);
    if (c->lockout != NULL &&
        gh_lockout_blocked(c->lockout, now.mono_ms, &d->remote.addr, d->remote.port)) {
        ike2_count(c, IKE2_COUNT_LOCKED_OUT);
        return;
    }
    fault = ike_message_parse(gh_view_of(d->data, d->len), &m);
    if (fault == IKE_NEW_VERSION) {
        struct ike_header h;

        if (ike_header_parse(gh_view_of(d->data, d->len), &h) == IKE_OK)
            answer_version(c, d, &h);
    }
    if (fault != IKE_OK) {
        ike2_count(c, IKE2_COUNT_MALFORMED);
        return;
    }
    if (m.h.exchange == IKE_X_SA_INIT || m.h.exchange == IKE_X_SESSION_RESUME) {
        init_message(c, d, &m);
        bury(c);
        return;
    }
    sa = ike2_by_spi(c, ike_header_from_initiator(&m.h) ? m.h.spi_r : m.h.spi_i);
    if (sa == NULL || memcmp(sa->initiator ? sa->spi_r : sa->spi_i,
                             sa->initiator ? m.h.spi_r : m.h.spi_i, IKE_SPI_LEN) != 0) {
        ike2_count(c, IKE2_COUNT_UNKNOWN_SPI);
        ike2_stray(c, d, &m);
        return;
    }
    c->arriving = d;
    ike2_sealed(c, sa, d, &m);
    c->arriving = NULL;
    settle(c, sa);
    bury(c);
}

/* ---- Time and jobs -------------------------------------------------------------------------- */

uint64_t ike2_next_deadline(const struct ike2 *c)
{
    uint64_t first = c->heap_count > 0 ? c->heap[0]->due : UINT64_MAX;

    return c->half_open > 0 && c->cookies_at < first ? c->cookies_at : first;
}

void ike2_tick(struct ike2 *c, struct gh_now now)
{
    c->now = now;
    if (now.mono_ms >= c->cookies_at)
        renew_cookies(c);
    while (c->heap_count > 0 && c->heap[0]->due <= now.mono_ms) {
        struct ike2_sa *sa = c->heap[0];
        uint64_t was = sa->due;

        ike2_sa_tick(c, sa);
        if (sa->state == IKE2_STATE_DEAD)
            continue;
        settle(c, sa);
        if (sa->heap_at != 0 && sa->due <= was && sa->due <= now.mono_ms) {
            /* A deadline that its tick does not move would be one for ever. */
            heap_remove(c, sa);
            sa->due = now.mono_ms + 1000;
            heap_up(c, c->heap_count++, sa);
        }
    }
    bury(c);
}

bool ike2_ask(struct ike2 *c, struct ike2_sa *sa, enum ike2_job job, struct gh_keeper_request *r)
{
    sa->job_id = r->id = c->next_job++;
    sa->job = job;
    sa->next_asking = NULL;
    *c->asking_end = sa;
    c->asking_end = &sa->next_asking;
    if (c->ops.ask(c->ops.ctx, r))
        return true;
    forget_asking(c, sa);
    return false;
}

void ike2_complete(struct ike2 *c, struct gh_now now, const struct gh_keeper_answer *a)
{
    struct ike2_sa *sa = c->asking;
    enum ike2_job job;

    c->now = now;
    while (sa != NULL && sa->job_id != a->id)
        sa = sa->next_asking;
    if (sa == NULL)
        return; /* its SA is gone */
    job = sa->job;
    forget_asking(c, sa);
    ike2_auth_answered(c, sa, job, a);
    settle(c, sa);
    bury(c);
}

/* ---- Commands ------------------------------------------------------------------------------- */

static struct ike2_sa *sa_of_policy(const struct ike2_policy *p)
{
    struct ike2_sa *sa = p->sas;

    while (sa != NULL && (sa->state > IKE2_STATE_ESTABLISHED ||
                          (!sa->initiator && sa->state < IKE2_STATE_ESTABLISHED)))
        sa = sa->next_peer;
    return sa;
}

static bool has_child(const struct ike2_sa *sa, const struct ike2_child_policy *p)
{
    for (const struct ike2_child *child = sa->children; child != NULL; child = child->next)
        if (child->policy == p && !child->replaced)
            return true;
    for (const struct ike2_task *t = sa->waiting; t != NULL; t = t->next)
        if (t->kind == IKE2_TASK_CHILD_NEW && t->policy == p)
            return true;
    return sa->task != NULL && sa->task->kind == IKE2_TASK_CHILD_NEW && sa->task->policy == p;
}

static void want_child(struct ike2 *c, struct ike2_sa *sa, size_t index)
{
    const struct ike2_child_policy *p = &sa->policy->children[index];
    struct ike2_task *t;

    if (sa->state != IKE2_STATE_ESTABLISHED) {
        sa->wanted |= 1u << index;
        return;
    }
    if (has_child(sa, p))
        return;
    t = ike2_task_add(c, sa, IKE2_TASK_CHILD_NEW);
    if (t != NULL)
        t->policy = p;
}

static struct ike2_sa *begin_sa(struct ike2 *c, struct ike2_policy *p)
{
    const struct ike2_endpoint local = {.addr = p->local, .port = IKE2_PORT};
    const struct ike2_endpoint remote = {.addr = ike2_redirect_gateway(c, p), .port = p->port};
    struct ike2_sa *sa = ike2_sa_new(c, p, true, &local, &remote);

    if (sa == NULL)
        return NULL;
    if (!ike2_sa_link(c, sa)) {
        ike2_sa_free(sa);
        return NULL;
    }
    sa->expire_at = c->now.mono_ms + p->half_open_ms + p->retransmit_ms * (2u << p->retransmits);
    ike2_task_add(c, sa, ike2_resume_possible(c, sa) ? IKE2_TASK_RESUME : IKE2_TASK_INIT);
    if (c->pause_ms > 0) {
        sa->task_at = c->now.mono_ms + c->pause_ms;
        sa->expire_at += c->pause_ms;
    }
    return sa;
}

void ike2_begin_anew(struct ike2 *c, struct ike2_sa *sa, const char *why)
{
    struct ike2_policy *policy = ike2_policy_ref(sa->policy);
    uint32_t wanted = sa->wanted;
    struct ike2_sa *fresh;

    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "%s", why);
    ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
    fresh = begin_sa(c, policy);
    if (fresh != NULL) {
        fresh->wanted = wanted;
        settle(c, fresh);
    } else {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
    }
    ike2_policy_free(policy);
}

bool ike2_initiate(struct ike2 *c, struct gh_now now, const char *policy, const char *child)
{
    struct ike2_policy *p = policy_named(c, policy);
    struct ike2_sa *sa;
    bool found = child == NULL;

    c->now = now;
    for (size_t i = 0; p != NULL && !found && i < p->child_count; i++)
        found = strcmp(p->children[i].name, child) == 0;
    if (p == NULL || !found || p->gateway.len == 0 || p->local.len == 0)
        return false;
    sa = sa_of_policy(p);
    if (sa == NULL)
        sa = begin_sa(c, p);
    if (sa == NULL) {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        return false;
    }
    for (size_t i = 0; i < p->child_count; i++)
        if (child == NULL ? p->children[i].start || p->child_count == 1
                          : strcmp(p->children[i].name, child) == 0)
            want_child(c, sa, i);
    settle(c, sa);
    return true;
}

static struct ike2_sa *sa_numbered(const struct ike2 *c, uint64_t id)
{
    struct ike2_sa *sa = c->sas;

    while (sa != NULL && sa->id != id)
        sa = sa->next;
    return sa;
}

static struct ike2_child *child_numbered(const struct ike2 *c, uint32_t id)
{
    struct ike2_child *child = c->by_child[id & c->table_mask];

    while (child != NULL && child->id != id)
        child = child->next_id;
    return child;
}

bool ike2_move(struct ike2 *c, struct gh_now now, uint64_t id, const struct ike2_endpoint *local)
{
    struct ike2_sa *sa = sa_numbered(c, id);

    c->now = now;
    if (sa == NULL || !ike2_mobike_move(c, sa, local))
        return false;
    settle(c, sa);
    return true;
}

bool ike2_redirect(struct ike2 *c, struct gh_now now, uint64_t id, const struct gh_addr *to)
{
    struct ike2_sa *sa = sa_numbered(c, id);

    c->now = now;
    if (sa == NULL || !ike2_redirect_sa(c, sa, to))
        return false;
    settle(c, sa);
    return true;
}

bool ike2_rekey_ike(struct ike2 *c, struct gh_now now, uint64_t id)
{
    struct ike2_sa *sa = sa_numbered(c, id);

    c->now = now;
    if (sa == NULL || sa->state != IKE2_STATE_ESTABLISHED ||
        ike2_task_waits(sa, IKE2_TASK_IKE_REKEY))
        return false;
    if (ike2_task_add(c, sa, IKE2_TASK_IKE_REKEY) == NULL)
        return false;
    settle(c, sa);
    return true;
}

static bool child_task(struct ike2 *c, struct gh_now now, uint32_t id, enum ike2_task_kind kind)
{
    struct ike2_child *child = child_numbered(c, id);
    struct ike2_sa *sa = child != NULL ? child->sa : NULL;
    struct ike2_task *t;

    c->now = now;
    if (child == NULL || child->going || child->replaced || sa->state != IKE2_STATE_ESTABLISHED)
        return false;
    t = ike2_task_add(c, sa, kind);
    if (t == NULL)
        return false;
    t->child = id;
    t->policy = child->policy;
    t->why = IKE2_REMOVED_COMMAND;
    child->going = true;
    settle(c, sa);
    return true;
}

bool ike2_rekey_child(struct ike2 *c, struct gh_now now, uint32_t child)
{
    return child_task(c, now, child, IKE2_TASK_CHILD_REKEY);
}

bool ike2_terminate_child(struct ike2 *c, struct gh_now now, uint32_t child)
{
    return child_task(c, now, child, IKE2_TASK_CHILD_DELETE);
}

bool ike2_terminate_ike(struct ike2 *c, struct gh_now now, uint64_t id)
{
    struct ike2_sa *sa = sa_numbered(c, id);
    struct ike2_task *t;

    c->now = now;
    if (sa == NULL || sa->state == IKE2_STATE_DELETING || ike2_task_waits(sa, IKE2_TASK_IKE_DELETE))
        return false;
    if (sa->state < IKE2_STATE_ESTABLISHED) {
        ike2_sa_die(c, sa, IKE2_REMOVED_COMMAND);
        bury(c);
        return true;
    }
    t = ike2_task_first(c, sa, IKE2_TASK_IKE_DELETE);
    if (t == NULL)
        return false;
    t->why = IKE2_REMOVED_COMMAND;
    settle(c, sa);
    return true;
}

void ike2_child_used(struct ike2 *c, struct gh_now now, uint32_t id, uint64_t octets,
                     uint64_t packets, bool incoming)
{
    struct ike2_child *child = child_numbered(c, id);
    const struct ike2_lifetime *l;

    c->now = now;
    if (child == NULL)
        return;
    if (incoming)
        child->sa->last_in_ms = now.mono_ms;
    child->octets += octets;
    child->packets += packets;
    l = &child->policy->lifetime;
    if (!child->going && !child->replaced &&
        ((l->octets > 0 && child->octets >= l->octets - l->octets / 10) ||
         (l->packets > 0 && child->packets >= l->packets - l->packets / 10)))
        ike2_rekey_child(c, now, id);
}

/* ---- Looking --------------------------------------------------------------------------------- */

void ike2_each_sa(const struct ike2 *c, void (*fn)(void *ctx, const struct ike2_sa_view *v),
                  void *ctx)
{
    for (const struct ike2_sa *sa = c->sas; sa != NULL; sa = sa->next) {
        const struct ike2_suite *s = &sa->suite;
        struct ike2_sa_view v = {.id = sa->id,
                                 .initiator = sa->initiator,
                                 .state = sa->state,
                                 .policy = sa->policy,
                                 .local = sa->local,
                                 .remote = sa->remote,
                                 .local_id = sa->local_id,
                                 .remote_id = sa->remote_id,
                                 .encr = {IKE_T_ENCR, s->encr, s->encr_bits, {NULL, 0}},
                                 .prf = {IKE_T_PRF, s->prf, 0, {NULL, 0}},
                                 .integ = {IKE_T_INTEG, s->integ, 0, {NULL, 0}},
                                 .ke = {IKE_T_KE, s->ke, 0, {NULL, 0}},
                                 .nat_local = sa->nat_local,
                                 .nat_remote = sa->nat_remote,
                                 .fragmentation = sa->fragmentation,
                                 .mobike = sa->mobile != NULL,
                                 .established_ms = sa->established_ms,
                                 .rekey_ms = sa->rekey_at,
                                 .expire_ms = sa->expire_at,
                                 .children = sa->child_count,
                                 .next_send_id = sa->send_id,
                                 .next_receive_id = sa->receive_id,
                                 .rekeys = sa->rekeys};

        memcpy(v.spi_i, sa->spi_i, IKE_SPI_LEN);
        memcpy(v.spi_r, sa->spi_r, IKE_SPI_LEN);
        for (size_t i = 0; i < IKE2_ADDKES; i++)
            if (s->addke[i] != IKE_KE_NONE)
                v.addke[i] =
                    (struct ike_transform){.type = (uint8_t)(IKE_T_ADDKE1 + i), .id = s->addke[i]};
        fn(ctx, &v);
    }
}

void ike2_each_child(const struct ike2 *c, uint64_t id,
                     void (*fn)(void *ctx, const struct ike2_child_view *v), void *ctx)
{
    const struct ike2_sa *sa = sa_numbered(c, id);

    for (const struct ike2_child *child = sa != NULL ? sa->children : NULL; child != NULL;
         child = child->next) {
        struct ike_ts_list local, remote;
        struct ike_proposal suite;
        struct ike2_child_view v;

        ike2_child_view_of(sa, child, &v, &suite, &local, &remote);
        fn(ctx, &v);
    }
}

const uint64_t *ike2_counters(const struct ike2 *c)
{
    return c->counters;
}

const char *ike2_last_failure(const struct ike2 *c, enum ike2_count reason, int64_t *when)
{
    *when = c->failures[reason].when;
    return c->failures[reason].text[0] != '\0' ? c->failures[reason].text : NULL;
}

struct gh_lockout *ike2_lockout(struct ike2 *c)
{
    return c->lockout;
}

size_t ike2_memory(const struct ike2 *c)
{
    size_t sum = 0;

    for (const struct ike2_sa *sa = c->sas; sa != NULL; sa = sa->next) {
        sum += sizeof(*sa) + sa->sk.len + sa->request.len + sa->response.len;
        sum += sa->pending != NULL ? sizeof(*sa->pending) : 0;
        sum += sa->setup != NULL ? sizeof(*sa->setup) + sa->setup->request.len +
                                       sa->setup->response.len + sa->setup->inner.len
                                 : 0;
        sum += sa->token.len + (sa->mobile != NULL ? sizeof(*sa->mobile) : 0);
        for (const struct ike2_child *child = sa->children; child != NULL; child = child->next)
            sum += sizeof(*child) +
                   (child->local_count + (size_t)child->remote_count) * sizeof(struct ike_ts);
    }
    return sum;
}
