#include "ike_check.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/v2/child.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tasks.h"
#include "ike/v2/window.h"

enum {
    PAUSE = 120 * 1000,        /* before an SA that failed begins again, at most */
    LOOK_ALWAYS = 16,          /* SAs of a host that is looked at after each step */
    SA_MEMORY = 24 * 1024,     /* octets */
    REQUEST_MEMORY = 5 * 1024, /* that the window has room for */
    CHILD_MEMORY = 8 * 1024,
    TASKS = 8 /* beside two for each child, there or to be there */
};

static uint64_t mono(const struct ike_host *h)
{
    return ike_world_now(h).mono_ms;
}

/* ---- One SA ---------------------------------------------------------------------------------- */

static size_t waiting_of(const struct ike2_sa *sa)
{
    size_t count = 0;

    for (const struct ike2_task *t = sa->waiting; t != NULL; t = t->next)
        count++;
    return count;
}

static bool has_task_for(const struct ike2_sa *sa, uint32_t child)
{
    const struct ike2_task *lists[] = {sa->task, sa->waiting};

    for (size_t i = 0; i < 2; i++)
        for (const struct ike2_task *t = lists[i]; t != NULL; t = t->next)
            if (t->child == child)
                return true;
    return false;
}

static void check_deadlines(struct ike_world *w, struct ike_host *h, const struct ike2_sa *sa)
{
    const struct ike2 *c = h->core;
    const struct ike2_policy *p = sa->policy;
    uint64_t longest =
        PAUSE + p->half_open_ms + (uint64_t)p->retransmit_ms * (2u << p->retransmits);
    unsigned long long id = sa->id;

    if (sa->due != ike2_sa_due(sa) || (sa->due != 0) != (sa->heap_at != 0))
        ike_world_broken(w, h, "SA %llu: its deadline is not the one in the heap", id);
    else if (sa->heap_at != 0 && (sa->heap_at > c->heap_count || c->heap[sa->heap_at - 1] != sa))
        ike_world_broken(w, h, "SA %llu: it is not where it should be in the heap", id);
    if (sa->state < IKE2_STATE_ESTABLISHED) {
        if (sa->expire_at == 0 || sa->expire_at > mono(h) + longest)
            ike_world_broken(w, h, "SA %llu: half-open, and does not expire", id);
        if (sa->setup == NULL)
            ike_world_broken(w, h, "SA %llu: half-open without what it needs", id);
    } else if (sa->state > IKE2_STATE_ESTABLISHED && sa->expire_at == 0 && sa->task == NULL &&
               sa->task_at == 0) {
        ike_world_broken(w, h, "SA %llu: %s, and has no end", id, ike2_state_name(sa->state));
    } else if (sa->state == IKE2_STATE_ESTABLISHED && p->lifetime.seconds > 0 &&
               sa->expire_at == 0) {
        ike_world_broken(w, h, "SA %llu: established for ever", id);
    }
}

static uint32_t oldest_request(const struct ike2_sa *sa)
{
    uint32_t oldest = sa->send_id;

    for (const struct ike2_task *t = sa->task; t != NULL; t = t->next)
        if (t->request != NULL && t->request->id < oldest)
            oldest = t->request->id;
    return oldest;
}

/* What the peer takes, as far as our own policy wants it. */
static uint32_t window_of(const struct ike2_sa *sa)
{
    return sa->peer_window < sa->policy->window ? sa->peer_window : sa->policy->window;
}

static void check_request(struct ike_world *w, struct ike_host *h, const struct ike2_sa *sa,
                          const struct ike2_task *t)
{
    bool fits = t->request->id - oldest_request(sa) < window_of(sa);
    unsigned long long id = sa->id;

    if (t->request->id >= sa->send_id)
        ike_world_broken(w, h, "SA %llu: request %u under way, next is %u", id, t->request->id,
                         sa->send_id);
    if (t->transmissions > 0 ? t->retransmit_at == 0 && sa->puzzle_at == 0 : fits)
        ike_world_broken(w, h, "SA %llu: request %u is never repeated", id, t->request->id);
    /* The policy may have been replaced by one with a smaller window since. */
    if (t->transmissions > 0 && t->request->id - oldest_request(sa) >= sa->peer_window)
        ike_world_broken(w, h, "SA %llu: request %u is beyond the peer's window of %u", id,
                         t->request->id, sa->peer_window);
    for (const struct ike2_task *other = t->next; other != NULL; other = other->next)
        if (other->request != NULL && other->request->id == t->request->id)
            ike_world_broken(w, h, "SA %llu: two requests are %u", id, t->request->id);
}

static void check_requests(struct ike_world *w, struct ike_host *h, const struct ike2_sa *sa)
{
    unsigned long long id = sa->id;
    size_t count = 0;
    bool alone = false;

    for (const struct ike2_task *t = sa->task; t != NULL; t = t->next) {
        count++;
        alone = alone || ike2_task_is_alone(t);
        if (t->request != NULL)
            check_request(w, h, sa, t);
        else if (sa->job == IKE2_JOB_NONE && sa->puzzle_at == 0)
            ike_world_broken(w, h, "SA %llu: a task of kind %d without a request", id, t->kind);
    }
    if (count > w->most_under_way)
        w->most_under_way = (unsigned)count;
    if (alone && count > 1)
        ike_world_broken(w, h, "SA %llu: %zu tasks beside one that changes it", id, count - 1);
    if (sa->waiting != NULL && sa->task_at == 0 &&
        (count == 0 || (!alone && !ike2_task_is_alone(sa->waiting) &&
                        sa->send_id - oldest_request(sa) < window_of(sa))))
        ike_world_broken(w, h, "SA %llu: tasks wait for nothing", id);
    if (waiting_of(sa) > 2 * (sa->child_count + sa->policy->child_count) + TASKS)
        ike_world_broken(w, h, "SA %llu: %zu tasks wait", id, waiting_of(sa));
}

static bool is_answered(const struct ike2_sa *sa, uint32_t id)
{
    return id < sa->receive_id ||
           (id - sa->receive_id < 64 && sa->answered >> (id - sa->receive_id) & 1);
}

static void check_responses(struct ike_world *w, struct ike_host *h, const struct ike2_sa *sa)
{
    unsigned long long id = sa->id;
    size_t kept = 0, partials = 0;

    w->overtaken += sa->answered != 0;
    if ((sa->answered & 1) || (sa->window < 64 && sa->answered >> sa->window))
        ike_world_broken(w, h, "SA %llu: answered %llx behind %u, its window is %u", id,
                         (unsigned long long)sa->answered, sa->receive_id, sa->window);
    for (const struct ike2_flight *f = sa->responses; f != NULL; f = f->next) {
        kept++;
        if (!is_answered(sa, f->id) || (f->next != NULL && f->next->id >= f->id))
            ike_world_broken(w, h, "SA %llu: response %u is kept, next request is %u", id, f->id,
                             sa->receive_id);
    }
    if (kept > sa->window)
        ike_world_broken(w, h, "SA %llu: %zu responses are kept, its window is %u", id, kept,
                         sa->window);
    for (const struct ike2_partial *p = sa->partials; p != NULL; p = p->next) {
        partials++;
        if (p->r.total == 0 || (!p->response && is_answered(sa, p->id)))
            ike_world_broken(w, h, "SA %llu: fragments of %u are kept for nothing", id, p->id);
    }
    if (partials > sa->window + (size_t)sa->peer_window)
        ike_world_broken(w, h, "SA %llu: fragments of %zu messages", id, partials);
}

static void check_flights(struct ike_world *w, struct ike_host *h, const struct ike2_sa *sa)
{
    if (sa->state >= IKE2_STATE_DEAD)
        ike_world_broken(w, h, "SA %llu: dead among the living", (unsigned long long)sa->id);
    check_requests(w, h, sa);
    check_responses(w, h, sa);
}

static size_t check_children(struct ike_world *w, struct ike_host *h, const struct ike2_sa *sa)
{
    size_t count = 0;

    for (const struct ike2_child *c = sa->children; c != NULL; c = c->next) {
        count++;
        if (c->going && !has_task_for(sa, c->id))
            ike_world_broken(w, h, "Child SA %u of SA %llu: going, but nothing is done about it",
                             c->id, (unsigned long long)sa->id);
        if (c->replaced && !c->going && c->expire_at == 0)
            ike_world_broken(w, h, "Child SA %u of SA %llu: replaced, and has no end", c->id,
                             (unsigned long long)sa->id);
    }
    if (count != sa->child_count)
        ike_world_broken(w, h, "SA %llu: %zu children, %zu are counted", (unsigned long long)sa->id,
                         count, sa->child_count);
    return count;
}

/* ---- Both ends ------------------------------------------------------------------------------- */

static const struct ike_host *peer_of(const struct ike_host *h, const struct ike2_sa *sa)
{
    unsigned j;

    if (sa->policy == NULL || sscanf(sa->policy->name, "to-%u", &j) != 1 ||
        j >= h->world->host_count)
        return NULL;
    return &h->world->hosts[j];
}

static const struct ike2_sa *other_end(const struct ike_host *h, const struct ike2_sa *sa)
{
    const struct ike_host *peer = peer_of(h, sa);
    const struct ike2_sa *other =
        peer != NULL ? ike2_by_spi(peer->core, sa->initiator ? sa->spi_r : sa->spi_i) : NULL;

    return other != NULL && other->initiator != sa->initiator &&
                   memcmp(other->spi_i, sa->spi_i, IKE_SPI_LEN) == 0 &&
                   memcmp(other->spi_r, sa->spi_r, IKE_SPI_LEN) == 0
               ? other
               : NULL;
}

/* What one asks and the other answers. */
static void check_step_of(struct ike_world *w, struct ike_host *h, const struct ike2_sa *asks,
                          const struct ike2_sa *answers)
{
    unsigned long long id = asks->id;

    if (answers->receive_id < oldest_request(asks) || answers->receive_id > asks->send_id)
        ike_world_broken(w, h, "SA %llu: one end's requests are %u to %u, the other awaits %u", id,
                         oldest_request(asks), asks->send_id, answers->receive_id);
    if (asks->peer_window > answers->window)
        ike_world_broken(w, h, "SA %llu: one end believes in a window of %u, it is %u", id,
                         asks->peer_window, answers->window);
    for (const struct ike2_task *t = asks->task; t != NULL; t = t->next) {
        if (t->transmissions > 0 && t->request->id >= answers->receive_id + answers->window)
            ike_world_broken(w, h, "SA %llu: request %u, the other takes %u of %u", id,
                             t->request->id, answers->window, answers->receive_id);
        if (t->transmissions > 0 && is_answered(answers, t->request->id) &&
            ike2_kept_response(answers, t->request->id) == NULL)
            ike_world_broken(w, h, "SA %llu: the answer to %u is not kept", id, t->request->id);
    }
}

static bool same_suite(const struct ike2_suite *a, const struct ike2_suite *b)
{
    return memcmp(a, b, offsetof(struct ike2_suite, protocol)) == 0 && a->protocol == b->protocol;
}

static void check_both(struct ike_world *w, struct ike_host *h, const struct ike2_sa *sa)
{
    const struct ike2_sa *other = other_end(h, sa);

    if (other == NULL || sa->state < IKE2_STATE_ESTABLISHED ||
        other->state < IKE2_STATE_ESTABLISHED)
        return;
    if (!same_suite(&sa->suite, &other->suite))
        ike_world_broken(w, h, "SA %llu: suites differ", (unsigned long long)sa->id);
    if (!gh_secret_equal(&sa->sk, &other->sk) || sa->sk.len == 0)
        ike_world_broken(w, h, "SA %llu: keys differ", (unsigned long long)sa->id);
    check_step_of(w, h, sa, other);
    check_step_of(w, h, other, sa);
}

/* ---- A step ---------------------------------------------------------------------------------- */

static void check_host(struct ike_world *w, struct ike_host *h, bool both)
{
    const struct ike2 *c = h->core;
    size_t sas = 0, half_open = 0, children = 0, windows = 0;

    if (c->dead != NULL)
        ike_world_broken(w, h, "the dead are not buried");
    if (c->sa_count > LOOK_ALWAYS && h->steps % (c->sa_count / (LOOK_ALWAYS / 2)) != 0)
        return;
    for (const struct ike2_sa *sa = c->sas; sa != NULL; sa = sa->next) {
        sas++;
        half_open += sa->half_open;
        windows += sa->window;
        check_deadlines(w, h, sa);
        check_flights(w, h, sa);
        children += check_children(w, h, sa);
        if (both)
            check_both(w, h, sa);
        if (ike2_by_spi(c, sa->initiator ? sa->spi_i : sa->spi_r) != sa)
            ike_world_broken(w, h, "SA %llu: not found by its SPI", (unsigned long long)sa->id);
    }
    if (sas != c->sa_count || half_open != c->half_open)
        ike_world_broken(w, h, "%zu SAs of which %zu are half-open, %zu and %zu are counted", sas,
                         half_open, c->sa_count, c->half_open);
    if (children != h->child_count)
        ike_world_broken(w, h, "%zu Child SAs, %zu are installed", children, h->child_count);
    if (c->heap_count > sas)
        ike_world_broken(w, h, "%zu deadlines of %zu SAs", c->heap_count, sas);
    if (ike2_memory(c) > sas * SA_MEMORY + windows * REQUEST_MEMORY + children * CHILD_MEMORY)
        ike_world_broken(w, h, "%zu octets for %zu SAs", ike2_memory(c), sas);
}

void ike_check_step(struct ike_world *w, struct ike_host *h)
{
    check_host(w, h, true);
}

void ike_check_alone(struct ike_world *w, struct ike_host *h)
{
    check_host(w, h, false);
}

/* ---- Causes ---------------------------------------------------------------------------------- */

static const struct ike2_child *in_core(const struct ike_host *h, uint32_t id,
                                        const struct ike2_sa **sa)
{
    for (*sa = h->core->sas; *sa != NULL; *sa = (*sa)->next) {
        const struct ike2_child *c = ike2_child_by_id(*sa, id);

        if (c != NULL)
            return c;
    }
    return NULL;
}

/* The peer's end of it, if the peer means to keep it. */
static bool peer_keeps(const struct ike_host *h, const struct world_child *c)
{
    const struct world_child *theirs;
    const struct ike2_child *child;
    const struct ike_host *peer;
    const struct ike2_sa *sa;
    unsigned j;

    if (sscanf(c->policy, "to-%u", &j) != 1)
        return false;
    peer = &h->world->hosts[j];
    theirs = ike_world_match(peer, c);
    child = theirs != NULL ? in_core(peer, theirs->id, &sa) : NULL;
    return child != NULL && !child->going && !child->replaced &&
           sa->state == IKE2_STATE_ESTABLISHED && other_end(peer, sa) != NULL;
}

void ike_check_removal(struct ike_host *h, const struct world_child *c, enum ike2_removal why)
{
    struct ike_world *w = h->world;
    uint64_t now = mono(h);

    if (w->after != ike_check_step) /* no peer's word can be relied on */
        return;
    switch (why) {
    case IKE2_REMOVED_COMMAND:
        if (!h->commanded)
            ike_world_broken(w, h, "Child SA %u ended by an operator that there is not", c->id);
        break;
    case IKE2_REMOVED_DELETED:
        if (peer_keeps(h, c))
            ike_world_broken(w, h, "Child SA %u deleted by the peer, which still has it", c->id);
        break;
    case IKE2_REMOVED_REPLACED:
        if (!c->accompanied)
            ike_world_broken(w, h, "Child SA %u replaced by nothing", c->id);
        break;
    case IKE2_REMOVED_EXPIRED:
        if (now < c->since + 1000 * (uint64_t)c->seconds && now < 1000 * (uint64_t)c->sa_seconds)
            ike_world_broken(w, h, "Child SA %u expired too early", c->id);
        break;
    case IKE2_REMOVED_REFUSED:
        if (!h->commanded)
            ike_world_broken(w, h, "Child SA %u refused by a plane that there is not", c->id);
        break;
    case IKE2_REMOVED_IDLE:
        break;
    case IKE2_REMOVED_LOST:
        w->lost_with_cause++;
        if (h->causes == 0 && peer_keeps(h, c))
            ike_world_broken(w, h, "Child SA %u lost without a cause", c->id);
        break;
    }
}

/* ---- When all is quiet ----------------------------------------------------------------------- */

static bool is_quiet(const struct ike_world *w)
{
    if (w->event_count > 0)
        return false;
    for (size_t i = 0; i < w->host_count; i++)
        for (const struct ike2_sa *sa = w->hosts[i].core->sas; sa != NULL; sa = sa->next)
            if (sa->state != IKE2_STATE_ESTABLISHED || sa->task != NULL || sa->waiting != NULL)
                return false;
    return true;
}

bool ike_check_settle(struct ike_world *w, uint64_t ms)
{
    uint64_t end = w->now.mono_ms + ms;

    while (w->now.mono_ms < end && !is_quiet(w) && w->wrong[0] == '\0')
        ike_world_run(w, 20);
    return is_quiet(w);
}

static const char *check_children_of(const struct ike_world *w, const struct ike_host *h,
                                     char text[160])
{
    for (size_t i = 0; i < h->child_room; i++) {
        const struct world_child *x = &h->child[i], *y;
        const char *wrong;
        unsigned j;

        if (!x->used || sscanf(x->policy, "to-%u", &j) != 1)
            continue;
        y = ike_world_match(&w->hosts[j], x);
        wrong = y != NULL ? ike_world_mirrors(x, y) : "it is not there";
        if (wrong == NULL)
            continue;
        snprintf(text, 160, "host %zu, Child SA %u with host %u: %s", (size_t)(h - w->hosts), x->id,
                 j, wrong);
        return text;
    }
    return NULL;
}

const char *ike_check_agreement(struct ike_world *w)
{
    static char text[160];

    if (w->wrong[0] != '\0')
        return w->wrong;
    for (size_t i = 0; i < w->host_count; i++) {
        const struct ike_host *h = &w->hosts[i];

        if (check_children_of(w, h, text) != NULL)
            return text;
        for (const struct ike2_sa *sa = h->core->sas; sa != NULL; sa = sa->next) {
            if (other_end(h, sa) != NULL)
                continue;
            snprintf(text, sizeof(text), "host %zu, SA %llu (%s): the peer does not have it", i,
                     (unsigned long long)sa->id, sa->policy->name);
            return text;
        }
    }
    return NULL;
}

size_t ike_check_children(const struct ike_host *h, const struct ike2_policy *p,
                          const struct ike2_child_policy *child)
{
    size_t count = 0;

    for (size_t i = 0; i < h->child_room; i++)
        count += h->child[i].used && strcmp(h->child[i].policy, p->name) == 0 &&
                 strcmp(h->child[i].wanted, child->name) == 0;
    return count;
}

/* ---- Exchanges ------------------------------------------------------------------------------- */

static bool is_out(const struct ike2_sa *sa, uint32_t id)
{
    const struct ike2_task *t = sa->task;

    while (t != NULL && (t->request == NULL || t->request->id != id))
        t = t->next;
    return t != NULL;
}

struct ike_check_awaited ike_check_awaited(const struct ike2 *core, struct gh_view datagram)
{
    struct ike_check_awaited a = {.awaited = false};
    const struct ike2_sa *sa;
    struct ike_header h;

    if (ike_header_parse(datagram, &h) != IKE_OK || !ike_header_is_response(&h))
        return a;
    memcpy(a.spi, ike_header_from_initiator(&h) ? h.spi_r : h.spi_i, IKE_SPI_LEN);
    sa = ike2_by_spi(core, a.spi);
    a.awaited = sa != NULL && is_out(sa, h.id);
    a.id = h.id;
    return a;
}

bool ike_check_answered(const struct ike2 *core, const struct ike_check_awaited *a)
{
    const struct ike2_sa *sa = a->awaited ? ike2_by_spi(core, a->spi) : NULL;

    return a->awaited && (sa == NULL || !is_out(sa, a->id));
}
