/*
 * What is remembered of IKE peers beside their SAs: when each was last up, why it failed, and how
 * fast SAs come up. The core's counters are of all peers together; `show` and `explain` need them
 * apart.
 *
 * Pure. The shell tells it of every event, and has it look at the core's counters after each call.
 */
#ifndef GH_CONTROL_IKE_NOTES_H
#define GH_CONTROL_IKE_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "ike/v2/core.h"

enum { GH_IKE_NOTE_TEXT = 512, GH_IKE_RATE_SECONDS = 60 };

struct gh_ike_failure {
    int64_t first, when; /* wall time of the first and the last; 0: never */
    uint64_t count;
    char text[GH_IKE_NOTE_TEXT];
};

/* Of one policy. */
struct gh_ike_note {
    struct gh_ike_note *next, *next_same; /* all; of the same hash */
    bool kept;                            /* within gh_ike_notes_keep() */
    char name[IKE2_NAME + 1];
    char from[GH_ADDR_TEXT + 8]; /* how the core names its address in words; "": it has no one */
    int64_t begun, up, down;     /* wall time of the last event of an IKE SA; 0: never */
    int64_t child_up;
    struct gh_ike_failure child; /* the last Child SA that did not come about */
    /* By reason: those that gh_ike_count_is_failure() names, the others never. NULL: never. */
    struct gh_ike_failure *failures[IKE2_COUNT_COUNT];
};

struct gh_ike_notes;

struct gh_ike_notes *gh_ike_notes_new(void);
void gh_ike_notes_free(struct gh_ike_notes *n); /* NULL is fine */

/* Forgets all policies but these. */
void gh_ike_notes_keep(struct gh_ike_notes *n, struct ike2_policy *const *policies, size_t count);
void gh_ike_notes_event(struct gh_ike_notes *n, const struct ike2_event *e, struct gh_now now);
/* After a call of the core: which failures are new, and whose they are. */
void gh_ike_notes_look(struct gh_ike_notes *n, const struct ike2 *core);

/* NULL: nothing is known of it. */
const struct gh_ike_note *gh_ike_notes_find(const struct gh_ike_notes *n, const char *policy);
/* The latest failure of any reason, not older than `since`; NULL: none. */
const struct gh_ike_failure *gh_ike_note_latest(const struct gh_ike_note *note, int64_t since,
                                                enum ike2_count *reason);
/* IKE SAs that came up within the last 1 … GH_IKE_RATE_SECONDS seconds. */
unsigned gh_ike_notes_rate(const struct gh_ike_notes *n, struct gh_now now, unsigned seconds);

/* Is it a reason for which SAs do not come up, or end? */
bool gh_ike_count_is_failure(enum ike2_count c);

#endif
