/* What the core and the gatekeeper tell: for the log, for monitors, and for the notes. */
#include <stdlib.h>

#include "base/log.h"
#include "control/control.h"
#include "control/ike.h"
#include "daemon/channel.h"
#include "daemon/ike_gatekeeper.h"
#include "daemon/ike_priv.h"

enum {
    EVENTS_WAITING = 4 * 1048576, /* octets for the parent: beyond, events are not told */
    LINES_A_SECOND = 50           /* of the log: strangers can make events */
};

static enum gh_log_level level_of(enum ike2_event_kind kind)
{
    switch (kind) {
    case IKE2_EVENT_SA_FAILED:
    case IKE2_EVENT_CHILD_FAILED:
    case IKE2_EVENT_NOT_MOVED:
    case IKE2_EVENT_GATEWAY:
    case IKE2_EVENT_LIMIT:
        return GH_LOG_WARNING;
    case IKE2_EVENT_SA_BEGUN:
    case IKE2_EVENT_CHILD_REKEYED:
    case IKE2_EVENT_SA_REKEYED:
        return GH_LOG_INFO;
    case IKE2_EVENT_STORY:
        return GH_LOG_DEBUG;
    default:
        return GH_LOG_NOTICE;
    }
}

static bool may_log(struct ike *ike)
{
    uint64_t second = ike->now.mono_ms / 1000;

    if (second != ike->log_second) {
        if (ike->log_left_out > 0)
            gh_warning("%u events more, in one second, are not in the log", ike->log_left_out);
        ike->log_second = second;
        ike->log_lines = ike->log_left_out = 0;
    }
    if (ike->log_lines == LINES_A_SECOND) {
        ike->log_left_out++;
        return false;
    }
    ike->log_lines++;
    return true;
}

bool gh_ike_reads(void *ctx, enum ike2_event_kind kind)
{
    const struct ike *ike = ctx;

    if (ike->monitored || kind == IKE2_EVENT_GATEWAY || kind == IKE2_EVENT_SA_FAILED ||
        kind == IKE2_EVENT_CHILD_FAILED)
        return true; /* failures are for `show` and `explain`, too */
    return gh_log_wants(level_of(kind)) &&
           (kind == IKE2_EVENT_STORY || ike->log_lines < LINES_A_SECOND ||
            ike->log_second != ike->now.mono_ms / 1000);
}

static void log_event(struct ike *ike, const struct ike2_event *e)
{
    char remote[GH_ADDR_TEXT] = "";

    if (e->kind != IKE2_EVENT_STORY && !may_log(ike))
        return;
    if (e->remote != NULL)
        gh_addr_format(&e->remote->addr, remote);
    gh_log(level_of(e->kind), "%s%s%s%s%s: %s", e->policy,
           e->policy[0] != '\0' && remote[0] != '\0' ? " " : "", remote,
           e->policy[0] != '\0' || remote[0] != '\0' ? ": " : "", ike2_event_name(e->kind),
           e->text);
}

void gh_ike_event(void *ctx, const struct ike2_event *e)
{
    struct ike *ike = ctx;
    json_t *object = ike->monitored ? gh_ike_event_json(e, ike->now) : NULL;
    size_t len = 0;
    char *line = object != NULL ? gh_control_line(object, &len) : NULL;

    log_event(ike, e);
    if (e->kind == IKE2_EVENT_SA_FAILED || e->kind == IKE2_EVENT_CHILD_FAILED)
        gk_failed(gh_ike_gatekeeper_core(ike->gatekeeper), ike->now, e->policy, e->text);
    gh_ike_notes_event(ike->notes, e, ike->now);
    if (line != NULL && ike->parent->out_len < EVENTS_WAITING)
        gh_channel_send(ike->parent, GH_MESSAGE_EVENT, line, len, -1);
    free(line);
    json_decref(object);
}

void gh_ike_gatekeeper_event(void *ctx, const struct gk_event *e)
{
    struct ike *ike = ctx;
    json_t *object = ike->monitored ? gh_gatekeeper_event_json(e, ike->now) : NULL;
    size_t len = 0;
    char *line = object != NULL ? gh_control_line(object, &len) : NULL;

    if (may_log(ike))
        gh_log(e->kind == GK_EVENT_FAILED || e->kind == GK_EVENT_FALLBACK ||
                       e->kind == GK_EVENT_ORPHANED
                   ? GH_LOG_WARNING
                   : GH_LOG_NOTICE,
               "%s: %s: %s", e->session, gk_event_name(e->kind), e->text);
    if (line != NULL && ike->parent->out_len < EVENTS_WAITING)
        gh_channel_send(ike->parent, GH_MESSAGE_EVENT, line, len, -1);
    free(line);
    json_decref(object);
}
