/*
 * What an IKE SA has to do, one exchange after the other: added by anybody, run by core.c
 * when a turn ends.
 */
#ifndef IKE2_TASKS_H
#define IKE2_TASKS_H

#include "ike/v2/priv.h"

struct ike2_task *ike2_task_add(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind);
struct ike2_task *ike2_task_first(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind);
/* One of this kind is under way or waits. */
bool ike2_task_waits(const struct ike2_sa *sa, enum ike2_task_kind kind);
/* The one of this kind, about this Child SA, that is under way; NULL: there is none. */
struct ike2_task *ike2_task_under_way(const struct ike2_sa *sa, enum ike2_task_kind kind,
                                      uint32_t child);
/* We delete this Child SA, or are about to. */
bool ike2_task_deletes(const struct ike2_sa *sa, uint32_t child);
/* One that makes Child SAs, rekeys them or (`deletes`) ends them is under way. */
bool ike2_task_makes_children(const struct ike2_sa *sa, bool deletes);
/* It changes the IKE SA itself, or where it runs: nothing else is out at the same time. */
bool ike2_task_is_alone(const struct ike2_task *t);
/* What waits to be done about a Child SA that is gone. */
void ike2_tasks_forget(struct ike2_sa *sa, uint32_t child);
void ike2_task_done(struct ike2_sa *sa, struct ike2_task *t);
/* After IKE2_RETRY_MS. */
void ike2_task_again(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t);
void ike2_task_free(struct ike2_task *t);
void ike2_tasks_free(struct ike2_task **list);
void ike2_tasks_run(struct ike2 *c, struct ike2_sa *sa);

#endif
