#include "control/answer.h"

json_t *gh_control_event(const struct ao_event *event)
{
    json_t *object = json_pack("{s:s, s:o, s:o, s:o}", "event", ao_event_name(event->kind), "time",
                               gh_json_time(event->now.wall), "session",
                               gh_json_text(event->session), "text", gh_json_text(event->text));

    if (event->has_endpoints) {
        json_object_set_new(object, "local", gh_json_endpoint(&event->local));
        json_object_set_new(object, "remote", gh_json_endpoint(&event->remote));
    }
    if (event->counter >= 0)
        json_object_set_new(object, "reason",
                            json_string(ao_counter_name((unsigned)event->counter)));
    return object;
}
