#include "ike/v2/tasks.h"

#include <stdlib.h>

#include "crypto/ke.h"
#include "ike/v2/auth.h"
#include "ike/v2/create.h"
#include "ike/v2/flight.h"
#include "ike/v2/followup.h"
#include "ike/v2/gate.h"
#include "ike/v2/inform.h"
#include "ike/v2/init.h"
#include "ike/v2/intermediate.h"
#include "ike/v2/paths.h"
#include "ike/v2/priv.h"
#include "ike/v2/resume.h"
#include "ike/v2/tell.h"
#include "ike/v2/window.h"

static struct ike2_task *task_new(enum ike2_task_kind kind)
{
    struct ike2_task *t = calloc(1, sizeof(*t));

    if (t != NULL)
        t->kind = kind;
    return t;
}

struct ike2_task *ike2_task_add(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind)
{
    struct ike2_task *t = task_new(kind);

    if (t == NULL) {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        return NULL;
    }
    if (sa->waiting_tail != NULL)
        sa->waiting_tail->next = t;
    else
        sa->waiting = t;
    sa->waiting_tail = t;
    return t;
}

struct ike2_task *ike2_task_first(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind)
{
    struct ike2_task *t = task_new(kind);

    if (t == NULL) {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        return NULL;
    }
    t->next = sa->waiting;
    sa->waiting = t;
    if (sa->waiting_tail == NULL)
        sa->waiting_tail = t;
    return t;
}

void ike2_tasks_forget(struct ike2_sa *sa, uint32_t child)
{
    struct ike2_task **at = &sa->waiting;

    sa->waiting_tail = NULL;
    while (*at != NULL) {
        struct ike2_task *t = *at;

        if (t->child != child) {
            sa->waiting_tail = t;
            at = &t->next;
            continue;
        }
        *at = t->next;
        ike2_task_free(t);
    }
}

static void take_out(struct ike2_sa *sa, struct ike2_task *t)
{
    struct ike2_task **at = &sa->task;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
}

void ike2_task_done(struct ike2_sa *sa, struct ike2_task *t)
{
    take_out(sa, t);
    ike2_task_free(t);
}

/* Waits for no failed one to be tried again. */
static bool is_urgent(const struct ike2_task *t)
{
    return t->kind == IKE2_TASK_IKE_DELETE || t->kind == IKE2_TASK_MOVE ||
           t->kind == IKE2_TASK_ROUTABILITY || t->kind == IKE2_TASK_ADDRESSES;
}

void ike2_task_again(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    struct ike2_task **at = &sa->waiting;

    take_out(sa, t);
    free(t->request);
    gh_ke_free(t->ke);
    ike2_followup_free(t->followup);
    *t = (struct ike2_task){.kind = t->kind,
                            .child = t->child,
                            .policy = t->policy,
                            .packets = t->packets,
                            .why = t->why,
                            .refused_at = t->refused_at};
    while (*at != NULL && is_urgent(*at))
        at = &(*at)->next;
    t->next = *at;
    *at = t;
    if (t->next == NULL)
        sa->waiting_tail = t;
    sa->task_at = c->now.mono_ms + IKE2_RETRY_MS;
}

bool ike2_task_is_alone(const struct ike2_task *t)
{
    switch (t->kind) {
    case IKE2_TASK_CHILD_NEW:
    case IKE2_TASK_CHILD_REKEY:
    case IKE2_TASK_CHILD_DELETE:
    case IKE2_TASK_LIVENESS:
    case IKE2_TASK_WINDOW:
    case IKE2_TASK_BEYOND:
    case IKE2_TASK_TOKEN:
    case IKE2_TASK_TICKET:
    case IKE2_TASK_REDIRECT:
    case IKE2_TASK_TCP_AO:
    case IKE2_TASK_INVALID_SPI:
        return false;
    default:
        return true;
    }
}

static bool may_begin(const struct ike2_sa *sa, const struct ike2_task *t)
{
    if ((sa->task_at != 0 || ike2_pending_holds(sa)) && !is_urgent(t))
        return false;
    return sa->task == NULL || (!ike2_task_is_alone(sa->task) && !ike2_task_is_alone(t) &&
                                ike2_window_has(sa, sa->send_id));
}

static void begin(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    switch (t->kind) {
    case IKE2_TASK_INIT:
        ike2_init_start(c, sa);
        break;
    case IKE2_TASK_RESUME:
        ike2_resume_start(c, sa);
        break;
    case IKE2_TASK_INTERMEDIATE:
        ike2_intermediate_start(c, sa);
        break;
    case IKE2_TASK_AUTH:
        ike2_auth_start(c, sa);
        break;
    case IKE2_TASK_CHILD_NEW:
    case IKE2_TASK_CHILD_REKEY:
    case IKE2_TASK_IKE_REKEY:
        ike2_create_start(c, sa, t);
        break;
    default:
        ike2_inform_start(c, sa, t);
        break;
    }
}

void ike2_tasks_run(struct ike2 *c, struct ike2_sa *sa)
{
    if (sa->local.addr.len == 0 && !ike2_path_begin(c, sa))
        return; /* ike2_paths_changed() */
    ike2_requests_go(c, sa);
    while (sa->state != IKE2_STATE_DEAD && sa->waiting != NULL && may_begin(sa, sa->waiting)) {
        struct ike2_task *t = sa->waiting, **at = &sa->task;

        sa->waiting = t->next;
        if (sa->waiting == NULL)
            sa->waiting_tail = NULL;
        t->next = NULL;
        while (*at != NULL)
            at = &(*at)->next;
        *at = t;
        begin(c, sa, t);
    }
}

static const struct ike2_task *find(const struct ike2_task *list, enum ike2_task_kind kind)
{
    while (list != NULL && list->kind != kind)
        list = list->next;
    return list;
}

bool ike2_task_waits(const struct ike2_sa *sa, enum ike2_task_kind kind)
{
    return find(sa->task, kind) != NULL || find(sa->waiting, kind) != NULL;
}

struct ike2_task *ike2_task_under_way(const struct ike2_sa *sa, enum ike2_task_kind kind,
                                      uint32_t child)
{
    struct ike2_task *t = sa->task;

    while (t != NULL && (t->kind != kind || t->child != child))
        t = t->next;
    return t;
}

bool ike2_task_deletes(const struct ike2_sa *sa, uint32_t child)
{
    const struct ike2_task *t = sa->waiting;

    if (ike2_task_under_way(sa, IKE2_TASK_CHILD_DELETE, child) != NULL)
        return true;
    while (t != NULL && (t->kind != IKE2_TASK_CHILD_DELETE || t->child != child))
        t = t->next;
    return t != NULL;
}

bool ike2_task_makes_children(const struct ike2_sa *sa, bool deletes)
{
    return find(sa->task, IKE2_TASK_CHILD_NEW) != NULL ||
           find(sa->task, IKE2_TASK_CHILD_REKEY) != NULL ||
           (deletes && find(sa->task, IKE2_TASK_CHILD_DELETE) != NULL);
}

void ike2_task_free(struct ike2_task *t)
{
    if (t == NULL)
        return;
    if (t->their_sa != NULL)
        t->their_sa->rival_of = NULL;
    free(t->request);
    gh_ke_free(t->ke);
    ike2_followup_free(t->followup);
    free(t->packets);
    gh_wipe(t, sizeof(*t));
    free(t);
}

void ike2_tasks_free(struct ike2_task **list)
{
    while (*list != NULL) {
        struct ike2_task *t = *list;

        *list = t->next;
        ike2_task_free(t);
    }
}
