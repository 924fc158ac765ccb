#include "shim/netstat.h"

#include <stdio.h>
#include <string.h>

#include "wire/wr.h"

static const char *const names[GH_NETSTAT_COUNTERS] = {"TCPAOGood", "TCPAOBad", "TCPAOKeyNotFound",
                                                       "TCPAORequired", "TCPAODroppedIcmps"};

bool gh_netstat_path(const char *path, pid_t self)
{
    char own[32];
    size_t len;

    if (strncmp(path, "/proc/", 6) != 0)
        return false;
    path += 6;
    snprintf(own, sizeof own, "%d/", (int)self);
    len = strlen(own);
    if (strncmp(path, "self/", 5) == 0)
        path += 5;
    else if (strncmp(path, "thread-self/", 12) == 0)
        path += 12;
    else if (strncmp(path, own, len) == 0)
        path += len;
    return strcmp(path, "net/netstat") == 0;
}

struct words {
    const char *p, *end;
};

/* The next word of a line; false at its end. */
static bool next_word(struct words *line, const char **word, size_t *len)
{
    while (line->p < line->end && *line->p == ' ')
        line->p++;
    *word = line->p;
    while (line->p < line->end && *line->p != ' ')
        line->p++;
    *len = (size_t)(line->p - *word);
    return *len > 0;
}

static struct words line_at(const char *p, const char *end)
{
    const char *newline = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;

    return (struct words){.p = p, .end = newline != NULL ? newline : end};
}

static int counter_named(const char *word, size_t len)
{
    for (int i = 0; i < GH_NETSTAT_COUNTERS; i++)
        if (strlen(names[i]) == len && memcmp(word, names[i], len) == 0)
            return i;
    return -1;
}

static void put_value(struct gh_wr *w, uint64_t value)
{
    char text[24];

    gh_wr_bytes(w, text, (size_t)snprintf(text, sizeof text, " %llu", (unsigned long long)value));
}

static bool is_tcp_ext(struct words line)
{
    return line.end - line.p >= 7 && memcmp(line.p, "TcpExt:", 7) == 0;
}

/* The line of values, word by word beside the line of names. */
static void merge_values(struct gh_wr *w, struct words header, struct words line,
                         const uint64_t values[GH_NETSTAT_COUNTERS], bool seen[GH_NETSTAT_COUNTERS])
{
    const char *name, *value;
    size_t name_len, value_len;
    bool first = true;

    while (next_word(&header, &name, &name_len) && next_word(&line, &value, &value_len)) {
        int counter = counter_named(name, name_len);

        if (counter >= 0) {
            seen[counter] = true;
            put_value(w, values[counter]);
        } else {
            if (!first)
                gh_wr_u8(w, ' ');
            gh_wr_bytes(w, value, value_len);
        }
        first = false;
    }
}

static void merge_lines(struct gh_wr *w, struct words header, struct words line,
                        const uint64_t values[GH_NETSTAT_COUNTERS])
{
    bool seen[GH_NETSTAT_COUNTERS] = {false};
    char merged[16384];
    struct gh_wr v = gh_wr_make(merged, sizeof merged);

    merge_values(&v, header, line, values, seen);
    gh_wr_bytes(w, header.p, (size_t)(header.end - header.p));
    for (int i = 0; i < GH_NETSTAT_COUNTERS; i++) {
        if (seen[i])
            continue;
        gh_wr_u8(w, ' ');
        gh_wr_bytes(w, names[i], strlen(names[i]));
        put_value(&v, values[i]);
    }
    gh_wr_u8(w, '\n');
    gh_wr_bytes(w, merged, v.len);
    gh_wr_u8(w, '\n');
    w->bad |= v.bad;
}

size_t gh_netstat_merge(const char *text, size_t len, const uint64_t values[GH_NETSTAT_COUNTERS],
                        char *out, size_t room)
{
    const char *end = text + len;
    struct gh_wr w = gh_wr_make(out, room);
    bool done = false;

    for (const char *p = text; p < end;) {
        struct words line = line_at(p, end);
        struct words second = line_at(line.end < end ? line.end + 1 : end, end);

        if (!done && is_tcp_ext(line) && is_tcp_ext(second)) {
            merge_lines(&w, line, second, values);
            done = true;
            line = second;
        } else {
            gh_wr_bytes(&w, line.p, (size_t)(line.end - line.p));
            if (line.end < end)
                gh_wr_u8(&w, '\n');
        }
        p = line.end < end ? line.end + 1 : end;
    }
    return done && gh_wr_ok(&w) ? w.len : 0;
}
