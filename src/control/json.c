#include "control/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/format.h"

json_t *gh_json_text(const char *text)
{
    json_t *value;
    char *copy;

    if (text == NULL)
        return json_null();
    value = json_string(text);
    if (value != NULL)
        return value;
    copy = strdup(text);
    if (copy == NULL)
        return NULL;
    for (char *p = copy; *p != '\0'; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
    value = json_string(copy);
    free(copy);
    return value;
}

json_t *gh_json_time(int64_t wall)
{
    char buf[32];

    return json_string(gh_time_format(wall, buf, sizeof(buf)));
}

json_t *gh_json_past(int64_t wall)
{
    return wall == 0 ? json_null() : gh_json_time(wall);
}

json_t *gh_json_endpoint(const struct tcpao_endpoint *e)
{
    char buf[GH_ENDPOINT_TEXT];

    return e->addr_len != 0 ? json_string(gh_endpoint_format(e, buf)) : json_null();
}

json_t *gh_json_prefix(const struct gh_prefix *p)
{
    char buf[GH_PREFIX_TEXT];

    return json_string(gh_prefix_format(p, buf));
}

json_t *gh_json_counters(const uint64_t *counters, bool all)
{
    json_t *object = json_object();

    for (unsigned i = 0; i < AO_COUNTERS; i++) {
        if (all || counters[i] != 0)
            json_object_set_new(object, ao_counter_name(i), json_integer((json_int_t)counters[i]));
    }
    return object;
}

json_t *gh_json_key_counters(const struct ao_session_view *v)
{
    const struct ao_key_counters *keys = v->keys;
    json_t *array = json_array();

    for (size_t i = 0; i < v->key_count; i++) {
        json_array_append_new(
            array, json_pack("{s:I, s:I, s:I, s:I}", "key", (json_int_t)keys[i].number, "good_in",
                             (json_int_t)keys[i].good_in, "bad_in", (json_int_t)keys[i].bad_in,
                             "out", (json_int_t)keys[i].out));
    }
    return array;
}

json_t *gh_json_warning(const char *kind, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return json_pack("{s:s, s:o}", "kind", kind, "text", gh_json_text(text));
}

bool gh_counter_is_drop(unsigned counter)
{
    switch (counter) {
    case TCPAO_OK:
    case AO_COUNT_SIGNED:
    case AO_COUNT_SENT_UNSIGNED:
    case AO_COUNT_RECEIVED_UNSIGNED:
    case AO_COUNT_MISMATCH_ACCEPTED:
    case AO_COUNT_REPEATED:
    case AO_COUNT_ICMP_IGNORED:
    case AO_COUNT_RESET_INJECTED:
    case AO_COUNT_HELD:
        return false;
    default:
        return true;
    }
}
