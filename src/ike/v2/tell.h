/* What is said: events, failures, counters (tell.c). Called by all. */
#ifndef IKE2_TELL_H
#define IKE2_TELL_H

#include "ike/v2/priv.h"

void ike2_tell(struct ike2 *c, const struct ike2_sa *sa, enum ike2_event_kind kind, uint32_t child,
               const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Somebody reads the words: where they are dear to make. */
bool ike2_is_read(const struct ike2 *c, enum ike2_event_kind kind);
/* A step of the story: who offers what. */
void ike2_tell_offer(struct ike2 *c, const struct ike2_sa *sa, const char *who,
                     const struct ike_sa *offer);
/* Counts a reason and keeps its words for `show`. That an SA never comes up or ends for it is told
 * as a failure, so is the refusal of somebody whom nobody knows, if none was lately; else a story.
 */
void ike2_fail(struct ike2 *c, const struct ike2_sa *sa, enum ike2_count reason, const char *format,
               ...) __attribute__((format(printf, 4, 5)));
/* The same of a Child SA that did not come about; child: the one that it was to replace, or 0. */
void ike2_fail_child(struct ike2 *c, const struct ike2_sa *sa, enum ike2_count reason,
                     uint32_t child, const char *format, ...) __attribute__((format(printf, 5, 6)));
enum ike2_count ike2_count_of(uint16_t notify); /* of a refused Child SA */
void ike2_count(struct ike2 *c, enum ike2_count what);

#endif
