/*
 * What a simulation found, as text and as JSON.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/lifetime.h"
#include "config/simulate.h"

enum { ACCEPTS_TEXT = 24 };

static const char *at(int64_t t, char buf[32])
{
    return gh_time_format(t, buf, 32);
}

/* "2d3h" of a number of seconds; the two largest units. */
static const char *span(int64_t seconds, char buf[32])
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    size_t n = 0, used = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && used < 2; i++) {
        if (seconds < units[i].seconds)
            continue;
        n += (size_t)snprintf(buf + n, 32 - n, "%lld%c", (long long)(seconds / units[i].seconds),
                              units[i].unit);
        seconds %= units[i].seconds;
        used++;
    }
    return buf;
}

/* "3 8" or, of many, "3 8 …". */
static void format_accepts(const struct gh_sim_end *e, char buf[ACCEPTS_TEXT])
{
    size_t n = 0;

    snprintf(buf, ACCEPTS_TEXT, "-");
    for (size_t i = 0; i < e->accept_count; i++) {
        if (n + 8 > ACCEPTS_TEXT) {
            snprintf(buf + n, ACCEPTS_TEXT - n, " …");
            return;
        }
        n += (size_t)snprintf(buf + n, ACCEPTS_TEXT - n, "%s%u", i > 0 ? " " : "", e->accepts[i]);
    }
}

/* width: of the last column */
static void print_end(const struct gh_sim_end *e, int width, FILE *out)
{
    char sends[32] = "nothing", asks[8] = "-", accepts[ACCEPTS_TEXT];

    if (e->sends)
        snprintf(sends, sizeof(sends), "key %u (%u)", e->send_key, e->send_id);
    if (e->announces)
        snprintf(asks, sizeof(asks), "%u", e->rnext_id);
    format_accepts(e, accepts);
    fprintf(out, "  %-16s %-4s %-*s", sends, asks, width, accepts);
}

static void print_timeline(const struct gh_sim *sim, const char *here, const char *there, FILE *out)
{
    char text[32];

    fprintf(out, "%-22s%-7s  %-34s  %s\n", "", "", here, there);
    fprintf(out, "%-22s%-7s  %-16s %-4s %-12s  %-16s %-4s %s\n", "time", "session", "sends (KeyID)",
            "asks", "accepts", "sends (KeyID)", "asks", "accepts");
    for (size_t i = 0; i < sim->count; i++) {
        const struct gh_sim_step *s = &sim->steps[i];

        fprintf(out, "%-22s%-7s", at(s->time, text), gh_sim_status_name(s->status));
        print_end(&s->end[GH_SIM_HERE], 12, out);
        print_end(&s->end[GH_SIM_THERE], 0, out);
        fputc('\n', out);
    }
}

static void print_reasons(const struct gh_sim_step *s, const char *const names[2], FILE *out)
{
    const char *glue = "";

    for (size_t i = 0; i < 2; i++) {
        if (s->end[i].refused == TCPAO_OK)
            continue;
        if (s->end[i].refused == TCPAO_NO_SEND_KEY)
            fprintf(out, "%s%s has no key to send with", glue, names[i]);
        else
            fprintf(out, "%sthe segments of %s are refused (%s: %s)", glue, names[i],
                    tcpao_result_name(s->end[i].refused), tcpao_result_text(s->end[i].refused));
        glue = "; ";
    }
}

static int64_t step_end(const struct gh_sim *sim, size_t i)
{
    return i + 1 < sim->count ? sim->steps[i + 1].time : sim->to;
}

/* Where a run of down steps that begins at i ends. */
static size_t down_until(const struct gh_sim *sim, size_t i)
{
    while (i + 1 < sim->count && sim->steps[i + 1].status == GH_SIM_DOWN)
        i++;
    return i;
}

static void print_findings(const struct gh_sim *sim, const char *const names[2], FILE *out)
{
    char from[32], until[32], length[32];

    for (size_t i = 0; i < sim->count; i++) {
        const struct gh_sim_step *s = &sim->steps[i];
        size_t last = i;

        if (s->time == sim->dies)
            break;
        if (s->status == GH_SIM_UP)
            continue;
        if (s->status == GH_SIM_DOWN) {
            last = down_until(sim, i);
            fprintf(out, "Gap: no session from %s to %s (%s): ", at(s->time, from),
                    at(step_end(sim, last), until), span(step_end(sim, last) - s->time, length));
        } else {
            fprintf(out, "%s at %s: ",
                    s->status == GH_SIM_RESET ? "The session is reset" : "Segments are lost",
                    at(s->time, from));
        }
        print_reasons(s, names, out);
        fprintf(out, ".\n");
        i = last;
    }
}

void gh_sim_print(const struct gh_sim *sim, const char *here, const char *there, FILE *out)
{
    const char *const names[2] = {here, there};
    char text[32];

    if (sim->skew != 0)
        fprintf(out, "The clock of %s is %lld s %s.\n", there,
                (long long)(sim->skew < 0 ? -sim->skew : sim->skew),
                sim->skew < 0 ? "behind" : "ahead");
    print_timeline(sim, here, there, out);
    print_findings(sim, names, out);
    if (sim->dies != TCPAO_TIME_MAX) {
        size_t i = 0;

        while (sim->steps[i].time != sim->dies)
            i++;
        if (i == 0)
            fprintf(out, "The session does not come up in this time: ");
        else
            fprintf(out, "The session dies at %s: ", at(sim->dies, text));
        print_reasons(&sim->steps[i], names, out);
        fprintf(out, ".\n");
    } else {
        fprintf(out, "The session is up at the end of the simulation, %s.\n", at(sim->to, text));
    }
    if (sim->refusals == 0 && sim->dies == TCPAO_TIME_MAX)
        fprintf(out, "No segment is refused.\n");
    if (sim->secrets_taken_as_equal)
        fprintf(out, "The secrets were not compared: not all of them could be read.\n");
}

/* ---- JSON ---- */

static json_t *instant(int64_t t)
{
    char text[32];

    return t == TCPAO_TIME_MAX ? json_null() : json_string(at(t, text));
}

static json_t *end_json(const struct gh_sim_end *e)
{
    json_t *o = json_object(), *accepts = json_array();

    json_object_set_new(o, "send-key", e->sends ? json_integer(e->send_key) : json_null());
    json_object_set_new(o, "send-id", e->sends ? json_integer(e->send_id) : json_null());
    json_object_set_new(o, "rnext-key", e->announces ? json_integer(e->rnext_key) : json_null());
    json_object_set_new(o, "rnext-id", e->announces ? json_integer(e->rnext_id) : json_null());
    for (size_t i = 0; i < e->accept_count; i++)
        json_array_append_new(accepts, json_integer(e->accepts[i]));
    json_object_set_new(o, "accepts", accepts);
    json_object_set_new(o, "refused",
                        e->refused == TCPAO_OK ? json_null()
                                               : json_string(tcpao_result_name(e->refused)));
    return o;
}

json_t *gh_sim_json(const struct gh_sim *sim)
{
    json_t *o = json_object(), *steps = json_array();

    for (size_t i = 0; i < sim->count; i++) {
        const struct gh_sim_step *s = &sim->steps[i];
        json_t *step = json_object();

        json_object_set_new(step, "time", instant(s->time));
        json_object_set_new(step, "session", json_string(gh_sim_status_name(s->status)));
        json_object_set_new(step, "here", end_json(&s->end[GH_SIM_HERE]));
        json_object_set_new(step, "peer", end_json(&s->end[GH_SIM_THERE]));
        json_array_append_new(steps, step);
    }
    json_object_set_new(o, "from", instant(sim->from));
    json_object_set_new(o, "to", instant(sim->to));
    json_object_set_new(o, "skew", json_integer(sim->skew));
    json_object_set_new(o, "steps", steps);
    json_object_set_new(o, "resets", json_integer((json_int_t)sim->resets));
    json_object_set_new(o, "refusals", json_integer((json_int_t)sim->refusals));
    json_object_set_new(o, "dies", instant(sim->dies));
    json_object_set_new(o, "secrets-compared", json_boolean(!sim->secrets_taken_as_equal));
    return o;
}
