#include "config/problems_json.h"

json_t *gh_problems_json(const struct gh_problems *problems)
{
    json_t *list = json_array();

    for (size_t i = 0; i < problems->count; i++) {
        const struct gh_problem *p = &problems->list[i];
        json_t *o = json_object();

        json_object_set_new(o, "severity",
                            json_string(p->severity == GH_PROBLEM_ERROR ? "error" : "warning"));
        json_object_set_new(o, "file", json_string(p->file));
        json_object_set_new(o, "line", json_integer(p->line));
        json_object_set_new(o, "rule", json_string(p->rule));
        json_object_set_new(o, "message", json_string(p->message));
        json_object_set_new(o, "remedy", p->remedy != NULL ? json_string(p->remedy) : json_null());
        json_array_append_new(list, o);
    }
    return list;
}
