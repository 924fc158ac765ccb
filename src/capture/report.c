#include "capture/report.h"

#include <inttypes.h>
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"

enum { END_TEXT = GH_ADDR_TEXT + 10, FLAGS_TEXT = 40, TIME_TEXT = 64 };

static const char *end_text(const struct tcpao_endpoint *e, char buf[END_TEXT])
{
    struct gh_addr a = gh_addr_from(e->addr, e->addr_len);
    char addr[GH_ADDR_TEXT];

    gh_addr_format(&a, addr);
    snprintf(buf, END_TEXT, a.len == 16 ? "[%s]:%u" : "%s:%u", addr, e->port);
    return buf;
}

static const char *flags_text(uint8_t flags, char buf[FLAGS_TEXT])
{
    static const struct {
        uint8_t flag;
        const char *name;
    } names[] = {{GH_TCP_SYN, "SYN"}, {GH_TCP_FIN, "FIN"}, {GH_TCP_RST, "RST"},
                 {GH_TCP_PSH, "PSH"}, {GH_TCP_ACK, "ACK"}, {GH_TCP_URG, "URG"}};
    size_t used = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if ((flags & names[i].flag) != 0)
            used += (size_t)snprintf(buf + used, FLAGS_TEXT - used, "%s%s", used > 0 ? "," : "",
                                     names[i].name);
    return buf;
}

/* "2021-06-19T20:17:28.239325Z" */
static const char *time_text(const struct cap_segment *seg, char buf[TIME_TEXT])
{
    size_t len;

    gh_time_format(seg->seconds, buf, TIME_TEXT);
    len = strlen(buf);
    if (len > 0 && buf[len - 1] == 'Z')
        snprintf(buf + len - 1, TIME_TEXT - (len - 1), ".%06" PRIu32 "Z", seg->microseconds);
    return buf;
}

bool cap_report_shows(const struct cap_segment *seg, bool verbose)
{
    if (verbose || cap_verdict_sum(seg->verdict) == CAP_FAILED)
        return true;
    if (seg->verdict == CAP_GOOD)
        return seg->note[0] != '\0';
    return seg->connection->verdicts[seg->verdict] <= CAP_SHOWN_PER_VERDICT;
}

void cap_report_segment(FILE *out, const struct cap_segment *seg)
{
    char src[END_TEXT], dst[END_TEXT], flags[FLAGS_TEXT], when[TIME_TEXT];

    fprintf(out, "%" PRIu64 " %s %s > %s %s seq %" PRIu32 " len %zu", seg->frame,
            time_text(seg, when), end_text(&seg->src, src), end_text(&seg->dst, dst),
            flags_text(seg->tcp.flags, flags), seg->tcp.seq, seg->tcp.payload_len);
    if (seg->option.ao)
        fprintf(out, " keyid %u rnext %u", seg->option.keyid, seg->option.rnext);
    fprintf(out, ": %s", cap_verdict_name(seg->verdict));
    if (seg->verdict == CAP_GOOD)
        fprintf(out, " (session %s, key %" PRIu32 "%s)", seg->session->name, seg->key,
                seg->repeated ? ", repeated" : "");
    if (seg->note[0] != '\0')
        fprintf(out, ": %s", seg->note);
    fputc('\n', out);
}

/* The session whose keys verified, or else the closest that covers the connection. */
static const char *session_of(const struct cap_connection *c)
{
    return c->matches.count > 0 ? c->matches.list[0].session->name : NULL;
}

static const char *handshake_text(const struct cap_connection *c)
{
    if (c->side[0].isn_known && c->side[1].isn_known)
        return "seen";
    return c->side[0].isn_known || c->side[1].isn_known ? "in part" : "missing";
}

static void report_side(FILE *out, const struct cap_side *s, const char *end)
{
    fprintf(out, "    %s sends with key %" PRIu32 ", SNE %" PRIu32, end, s->key,
            (uint32_t)(s->sne.highest >> 32));
    if (s->key_changes > 0)
        fprintf(out, ", since frame %" PRIu64 " (key changes: %u)", s->key_frame, s->key_changes);
    fputc('\n', out);
}

void cap_report_connection(FILE *out, const struct cap_connection *c)
{
    const char *session = session_of(c);
    char end[2][END_TEXT];

    fprintf(out, "connection %u: %s - %s, %s%s, handshake %s:", c->number,
            end_text(&c->end[0], end[0]), end_text(&c->end[1], end[1]),
            session != NULL ? "session " : "no session", session != NULL ? session : "",
            handshake_text(c));
    for (int v = 0, shown = 0; v < CAP_VERDICT_COUNT; v++)
        if (c->verdicts[v] > 0)
            fprintf(out, "%s %s %" PRIu64, shown++ > 0 ? "," : "",
                    cap_verdict_name((enum cap_verdict)v), c->verdicts[v]);
    fputc('\n', out);
    for (int i = 0; i <= 1; i++)
        if (c->side[i].key_known)
            report_side(out, &c->side[i], end[i]);
}

void cap_report_totals(FILE *out, const struct cap_totals *t)
{
    if (t->sums[CAP_UNSIGNED] > 0)
        fprintf(out, "%" PRIu64 " segments of configured sessions carry no TCP-AO\n",
                t->sums[CAP_UNSIGNED]);
    if (t->other_tcp > 0)
        fprintf(out,
                "%" PRIu64
                " TCP segments carry no TCP-AO and belong to no session: not looked at\n",
                t->other_tcp);
    fprintf(out, "verified %" PRIu64 ", failed %" PRIu64 ", incomplete %" PRIu64 "\n",
            t->sums[CAP_VERIFIED], t->sums[CAP_FAILED], t->sums[CAP_INCOMPLETE]);
}

/* ---- The same as JSON ----------------------------------------------------------------------- */

static void set_text(json_t *o, const char *key, const char *text)
{
    json_object_set_new(o, key, text != NULL ? json_string(text) : json_null());
}

static void set_number(json_t *o, const char *key, uint64_t n)
{
    json_object_set_new(o, key, json_integer((json_int_t)n));
}

json_t *cap_json_segment(const struct cap_segment *seg)
{
    json_t *o = json_object();
    char when[TIME_TEXT], end[END_TEXT], flags[FLAGS_TEXT];

    set_number(o, "frame", seg->frame);
    set_text(o, "time", time_text(seg, when));
    set_number(o, "connection", seg->connection->number);
    set_text(o, "src", end_text(&seg->src, end));
    set_text(o, "dst", end_text(&seg->dst, end));
    set_text(o, "flags", flags_text(seg->tcp.flags, flags));
    set_number(o, "seq", seg->tcp.seq);
    set_number(o, "ack", seg->tcp.ack);
    set_number(o, "length", seg->tcp.payload_len);
    if (seg->option.ao) {
        set_number(o, "keyid", seg->option.keyid);
        set_number(o, "rnextkeyid", seg->option.rnext);
        set_number(o, "mac_length", seg->option.mac_len);
    }
    set_text(o, "verdict", cap_verdict_name(seg->verdict));
    set_text(o, "session", seg->session != NULL ? seg->session->name : NULL);
    if (seg->verdict == CAP_GOOD) {
        set_number(o, "key", seg->key);
        json_object_set_new(o, "repeated", json_boolean(seg->repeated));
    }
    if (seg->note[0] != '\0')
        set_text(o, "note", seg->note);
    return o;
}

static json_t *json_side(const struct cap_connection *c, int i)
{
    const struct cap_side *s = &c->side[i];
    json_t *o = json_object();
    char text[END_TEXT];

    set_text(o, "address", end_text(&c->end[i], text));
    if (s->isn_known)
        set_number(o, "isn", s->isn);
    if (s->key_known) {
        set_number(o, "key", s->key);
        set_number(o, "key_since_frame", s->key_frame);
        set_number(o, "key_changes", s->key_changes);
        set_number(o, "sne", s->sne.highest >> 32);
    }
    return o;
}

json_t *cap_json_connection(const struct cap_connection *c)
{
    json_t *o = json_object(), *verdicts = json_object();

    set_number(o, "number", c->number);
    set_text(o, "session", session_of(c));
    set_text(o, "handshake", handshake_text(c));
    json_object_set_new(o, "ends", json_pack("[o,o]", json_side(c, 0), json_side(c, 1)));
    for (int v = 0; v < CAP_VERDICT_COUNT; v++)
        set_number(verdicts, cap_verdict_name((enum cap_verdict)v), c->verdicts[v]);
    json_object_set_new(o, "segments", verdicts);
    return o;
}

json_t *cap_json_totals(const struct cap_totals *t)
{
    json_t *o = json_object();

    set_number(o, "verified", t->sums[CAP_VERIFIED]);
    set_number(o, "failed", t->sums[CAP_FAILED]);
    set_number(o, "incomplete", t->sums[CAP_INCOMPLETE]);
    set_number(o, "unsigned", t->sums[CAP_UNSIGNED]);
    set_number(o, "other_tcp", t->other_tcp);
    return o;
}
