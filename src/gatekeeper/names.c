/* What steps, events and states of keys are called. */
#include "gatekeeper/gatekeeper.h"

#define NAME(constant, name)            [constant] = name,
#define STEP_NAME(constant, name, text) [constant] = name,
#define STEP_TEXT(constant, name, text) [constant] = text,

const char *gk_step_name(enum gk_step step)
{
    static const char *const names[] = {GK_STEPS(STEP_NAME)};

    return names[step];
}

const char *gk_step_text(enum gk_step step)
{
    static const char *const texts[] = {GK_STEPS(STEP_TEXT)};

    return texts[step];
}

const char *gk_event_name(enum gk_event_kind kind)
{
    static const char *const names[] = {GK_EVENTS(NAME)};

    return names[kind];
}

const char *gk_key_state_name(enum gk_key_state state)
{
    static const char *const names[] = {[GK_KEY_LIVE] = "live",
                                        [GK_KEY_REPLACED] = "replaced",
                                        [GK_KEY_ORPHAN] = "orphan",
                                        [GK_KEY_LEAVING] = "leaving"};

    return names[state];
}
