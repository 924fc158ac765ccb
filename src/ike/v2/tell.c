/* What the core says: names, counters, events, and the last words of each failure. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ike/v2/priv.h"
#include "ike/v2/tell.h"

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

bool ike2_is_read(const struct ike2 *c, enum ike2_event_kind kind)
{
    return c->ops.reads == NULL || c->ops.reads(c->ops.ctx, kind);
}

void ike2_tell(struct ike2 *c, const struct ike2_sa *sa, enum ike2_event_kind kind, uint32_t child,
               const char *format, ...)
{
    char text[512];
    va_list args;

    if (kind == IKE2_EVENT_STORY && !ike2_is_read(c, kind))
        return;
    text[0] = '\0';
    if (ike2_is_read(c, kind)) {
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
    }
    tell(c, sa, kind, child, text);
}

void ike2_tell_offer(struct ike2 *c, const struct ike2_sa *sa, const char *who,
                     const struct ike_sa *offer)
{
    char text[400] = "";
    size_t at = 0;

    if (!ike2_is_read(c, IKE2_EVENT_STORY))
        return;
    for (size_t i = 0; i < offer->count && at + 3 < sizeof(text); i++) {
        if (i > 0)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "; ");
        ike_proposal_format(&offer->proposal[i], text + at, sizeof(text) - at);
        at += strlen(text + at);
    }
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "%s: %s", who, text);
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
    bool ends = reason == IKE2_COUNT_AUTH_FAILED || reason == IKE2_COUNT_PEER_DEAD ||
                reason == IKE2_COUNT_PEER_CRASHED;
    /* Anybody can make us refuse him, so that is not told each time. */
    bool told = sa != NULL ? ends || sa->state < IKE2_STATE_ESTABLISHED
                           : c->now.wall - c->failures[reason].when >= IKE2_STRANGERS_S;
    enum ike2_event_kind kind = reason == IKE2_COUNT_NOT_MOVED ? IKE2_EVENT_NOT_MOVED
                                : told                         ? IKE2_EVENT_SA_FAILED
                                                               : IKE2_EVENT_STORY;
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fail(c, sa, reason, kind, 0, text);
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
