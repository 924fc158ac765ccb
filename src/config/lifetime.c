#include "config/lifetime.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"

#define DAY INT64_C(86400)
/* A hundred years: longer lifetimes are written "infinite". */
#define DURATION_MAX (36525 * DAY)
/* So that every end has a year of four digits too. */
#define YEAR_MAX 9000

/* A cursor with the reason of the first failure. */
struct scan {
    const char *p;
    const char *why;
};

struct civil {
    int year, month, day, hour, minute, second;
};

static bool fail(struct scan *s, const char *why)
{
    if (s->why == NULL)
        s->why = why;
    return false;
}

static void skip_spaces(struct scan *s)
{
    while (*s->p == ' ' || *s->p == '\t')
        s->p++;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A whole word, any case, steps over it. */
static bool word(struct scan *s, const char *w)
{
    size_t n = strlen(w);

    if (strncasecmp(s->p, w, n) != 0 || is_letter(s->p[n]) || is_digit(s->p[n]))
        return false;
    s->p += n;
    return true;
}

/* Between `least` and `most` digits. */
static bool number(struct scan *s, int least, int most, int *out)
{
    int n = 0, v = 0;

    while (is_digit(s->p[n]) && n < most)
        v = v * 10 + (s->p[n++] - '0');
    if (n < least || is_digit(s->p[n]))
        return false;
    s->p += n;
    *out = v;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

static bool check_civil(struct scan *s, const struct civil *c)
{
    if (c->year < 1970 || c->year > YEAR_MAX)
        return fail(s, "the year must be 1970 to 9000");
    if (c->month < 1 || c->month > 12)
        return fail(s, "the month must be 1 to 12");
    if (c->day < 1 || c->day > days_in_month(c->year, c->month))
        return fail(s, "this month has no such day");
    if (c->hour > 23 || c->minute > 59 || c->second > 59)
        return fail(s, "a time of day is 00:00:00 to 23:59:59");
    return true;
}

/* Days since 1970-01-01, years counted from March so that the leap day comes last. */
static int64_t days_from_civil(const struct civil *c)
{
    int64_t y = c->month <= 2 ? c->year - 1 : c->year;
    int64_t era = y / 400, of_era = y % 400;
    int64_t of_year = (153 * ((c->month + 9) % 12) + 2) / 5 + c->day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t utc(const struct civil *c)
{
    return days_from_civil(c) * DAY + c->hour * 3600 + c->minute * 60 + c->second;
}

/* One reading of a local time: with or without daylight saving. False: no such reading. */
static bool local_reading(const struct civil *c, int isdst, int64_t *out)
{
    struct tm tm = {.tm_year = c->year - 1900,
                    .tm_mon = c->month - 1,
                    .tm_mday = c->day,
                    .tm_hour = c->hour,
                    .tm_min = c->minute,
                    .tm_sec = c->second,
                    .tm_isdst = isdst};

    *out = mktime(&tm);
    return tm.tm_mday == c->day && tm.tm_hour == c->hour && tm.tm_min == c->minute &&
           tm.tm_isdst == isdst;
}

static bool local(struct scan *s, const struct civil *c, int64_t *out)
{
    int64_t winter, summer;
    bool w = local_reading(c, 0, &winter), d = local_reading(c, 1, &summer);

    if (w && d && winter != summer)
        return fail(s, "this local time exists twice (clocks go back); write an offset instead");
    if (!w && !d)
        return fail(s, "this local time does not exist (clocks go forward)");
    *out = w ? winter : summer;
    return true;
}

static bool time_of_day(struct scan *s, struct civil *c, bool seconds_needed)
{
    if (!number(s, 1, 2, &c->hour) || *s->p != ':')
        return fail(s, "a time of day is HH:MM or HH:MM:SS");
    s->p++;
    if (!number(s, 2, 2, &c->minute))
        return fail(s, "minutes have two digits");
    c->second = 0;
    if (*s->p != ':')
        return !seconds_needed || fail(s, "a time of day before the date is HH:MM:SS");
    s->p++;
    if (!number(s, 2, 2, &c->second))
        return fail(s, "seconds have two digits");
    if (*s->p == '.' || *s->p == ',')
        return fail(s, "fractions of seconds are not supported");
    return true;
}

/* 2026-12-01, then T, a dot or a space and the time of day, or nothing. */
static bool iso_instant(struct scan *s, struct civil *c)
{
    if (!number(s, 4, 4, &c->year))
        return fail(s, "a year has four digits");
    s->p++;
    if (!number(s, 1, 2, &c->month) || *s->p != '-')
        return fail(s, "a date is YYYY-MM-DD");
    s->p++;
    if (!number(s, 1, 2, &c->day))
        return fail(s, "a date is YYYY-MM-DD");
    if (*s->p == 'T' || *s->p == 't' || *s->p == '.') {
        s->p++;
        return time_of_day(s, c, false);
    }
    if (*s->p == ' ' && is_digit(s->p[1]) &&
        (s->p[2] == ':' || (is_digit(s->p[2]) && s->p[3] == ':'))) {
        s->p++;
        return time_of_day(s, c, false);
    }
    return true;
}

static bool month_name(struct scan *s, int *month)
{
    static const char *const names[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};

    for (int i = 0; i < 12; i++) {
        char abbreviated[4] = {names[i][0], names[i][1], names[i][2], '\0'};

        if (word(s, names[i]) || word(s, abbreviated)) {
            *month = i + 1;
            return true;
        }
    }
    return false;
}

/* 12:00:00 28 Feb 2018 or 12:00:00 Feb 28 2018. */
static bool ios_instant(struct scan *s, struct civil *c)
{
    bool good;

    if (!time_of_day(s, c, true))
        return false;
    skip_spaces(s);
    if (is_digit(*s->p)) {
        good = number(s, 1, 2, &c->day);
        skip_spaces(s);
        good = good && month_name(s, &c->month);
    } else {
        good = month_name(s, &c->month);
        skip_spaces(s);
        good = good && number(s, 1, 2, &c->day);
    }
    skip_spaces(s);
    return (good && number(s, 4, 4, &c->year)) ||
           fail(s, "after a time of day comes a date such as 28 Feb 2018");
}

/* Z, UTC, GMT, +02:00, -0700, +02: true with the seconds east of Greenwich if there is one. */
static bool offset(struct scan *s, bool *found, int64_t *east)
{
    struct scan ahead = {.p = s->p};
    int sign, hours, minutes = 0;

    *found = true;
    *east = 0;
    skip_spaces(&ahead);
    if (word(&ahead, "Z") || word(&ahead, "UTC") || word(&ahead, "GMT")) {
        s->p = ahead.p;
        return true;
    }
    if (*ahead.p != '+' && *ahead.p != '-') {
        *found = false;
        return true;
    }
    sign = *ahead.p++ == '-' ? -1 : 1;
    if (number(&ahead, 4, 4, &hours)) {
        minutes = hours % 100;
        hours /= 100;
    } else if (!number(&ahead, 2, 2, &hours)) {
        return fail(s, "an offset is +HH:MM or +HHMM");
    } else if (*ahead.p == ':') {
        ahead.p++;
        if (!number(&ahead, 2, 2, &minutes))
            return fail(s, "an offset is +HH:MM or +HHMM");
    }
    if (hours > 14 || minutes > 59)
        return fail(s, "an offset is at most 14 hours");
    *east = sign * (hours * INT64_C(3600) + minutes * 60);
    s->p = ahead.p;
    return true;
}

/* *is_local: whether "local" holds already (from the lifetime's start), and whether it was read. */
static bool instant(struct scan *s, bool *is_local, int64_t *out)
{
    struct civil c = {0};
    bool has_offset, good, said_local;
    int64_t east;

    skip_spaces(s);
    said_local = word(s, "local");
    if (said_local)
        skip_spaces(s);
    if (!is_digit(*s->p))
        return fail(s, "an instant such as 2026-12-01T00:00:00Z is missing");
    good = s->p[strspn(s->p, "0123456789")] == ':' ? ios_instant(s, &c) : false;
    if (!good && s->why == NULL) {
        if (s->p[strspn(s->p, "0123456789")] != '-')
            return fail(s, "an instant is YYYY-MM-DDTHH:MM:SSZ or HH:MM:SS DD Mon YYYY");
        good = iso_instant(s, &c);
    }
    if (!good || !check_civil(s, &c) || !offset(s, &has_offset, &east))
        return false;
    if (has_offset && said_local)
        return fail(s, "\"local\" and an offset exclude each other");
    *is_local = said_local || (*is_local && !has_offset);
    if (*is_local && !local(s, &c, out))
        return false;
    if (!*is_local)
        *out = utc(&c) - east;
    return *out >= 0 || fail(s, "an instant is not before 1970-01-01T00:00:00Z");
}

static int64_t unit_seconds(char c)
{
    switch (c) {
    case 'w':
    case 'W':
        return 7 * DAY;
    case 'd':
    case 'D':
        return DAY;
    case 'h':
    case 'H':
        return 3600;
    case 'm':
    case 'M':
        return 60;
    case 's':
    case 'S':
        return 1;
    default:
        return 0;
    }
}

/* One "30d". Units must get smaller; *last holds the one before. */
static bool duration_part(struct scan *s, int64_t *last, int64_t *total)
{
    int64_t v = 0, unit;

    if (!is_digit(*s->p))
        return fail(s, "a duration is seconds, or such as 90m, 12h, 30d, 4w, P30D, PT20S");
    while (is_digit(*s->p)) {
        v = v * 10 + (*s->p++ - '0');
        if (v > DURATION_MAX)
            return fail(s, "a duration is at most 100 years; write \"infinite\"");
    }
    if (is_letter(*s->p)) {
        unit = unit_seconds(*s->p++);
        if (unit == 0)
            return fail(s, "the units of a duration are s, m, h, d, w (a month has no length)");
    } else {
        unit = 1;
    }
    if (unit >= *last)
        return fail(s, "the units of a duration go from large to small");
    *last = unit;
    *total += v * unit;
    return *total <= DURATION_MAX || fail(s, "a duration is at most 100 years; write \"infinite\"");
}

/* After "P". Months and minutes share a letter: before the T it is a month, which has no length. */
static bool iso_duration(struct scan *s, int64_t *total)
{
    int64_t last = INT64_MAX;
    bool in_time = false;

    do {
        size_t digits;

        if (!in_time && (*s->p == 'T' || *s->p == 't')) {
            in_time = true;
            s->p++;
        }
        digits = strspn(s->p, "0123456789");
        if (!is_letter(s->p[digits]) || in_time != (memchr("hmsHMS", s->p[digits], 6) != NULL))
            return fail(s, "an ISO duration is P30D, PT12H, PT20S or P1DT12H; months and years "
                           "have no fixed length");
        if (!duration_part(s, &last, total))
            return false;
    } while (is_digit(*s->p) || (!in_time && (*s->p == 'T' || *s->p == 't')));
    return true;
}

static bool duration(struct scan *s, int64_t *seconds)
{
    int64_t last = INT64_MAX, total = 0;

    skip_spaces(s);
    if (*s->p == 'P' || *s->p == 'p') {
        s->p++;
        if (!iso_duration(s, &total))
            return false;
    } else {
        do {
            if (!duration_part(s, &last, &total))
                return false;
        } while (is_digit(*s->p));
    }
    if (total == 0)
        return fail(s, "a duration is at least one second");
    *seconds = total;
    return true;
}

/* Digits and units without any of an instant's signs, or P…. */
static bool looks_like_duration(const char *p)
{
    size_t n = strspn(p, "0123456789wdhmsWDHMS");

    return *p == 'P' || *p == 'p' || (n > 0 && (p[n] == '\0' || p[n] == ' ' || p[n] == '\t'));
}

static bool lifetime_end(struct scan *s, bool is_local, struct tcpao_lifetime *out)
{
    bool slash, for_seconds;
    int64_t seconds;

    skip_spaces(s);
    slash = *s->p == '/';
    if (slash)
        s->p++;
    skip_spaces(s);
    if (word(s, "infinite")) {
        out->until = TCPAO_TIME_MAX;
        return true;
    }
    for_seconds = word(s, "duration");
    skip_spaces(s);
    if (*s->p == '\0')
        return fail(s, "a lifetime is START/END, START/DURATION or START/infinite");
    if (!for_seconds && !(slash && looks_like_duration(s->p)))
        return instant(s, &is_local, &out->until);
    if (!duration(s, &seconds))
        return false;
    if (out->from == TCPAO_TIME_MIN)
        return fail(s, "\"always\" has no start that a duration could count from");
    out->until = out->from + seconds;
    return true;
}

static bool lifetime(struct scan *s, struct tcpao_lifetime *out)
{
    bool is_local = false;

    skip_spaces(s);
    if (word(s, "infinite")) {
        *out = (struct tcpao_lifetime){TCPAO_TIME_MIN, TCPAO_TIME_MAX};
        return true;
    }
    if (word(s, "never")) {
        *out = gh_lifetime_never();
        return true;
    }
    if (word(s, "always")) {
        out->from = TCPAO_TIME_MIN;
        skip_spaces(s);
        if (*s->p == '\0') {
            out->until = TCPAO_TIME_MAX;
            return true;
        }
    } else if (!instant(s, &is_local, &out->from)) {
        return false;
    }
    if (!lifetime_end(s, is_local, out))
        return false;
    return out->from < out->until || fail(s, "the end must be after the start");
}

static bool finish(struct scan *s, bool good, const char **why)
{
    skip_spaces(s);
    if (good && *s->p != '\0')
        good = fail(s, "there is text after the end");
    *why = good ? NULL : s->why;
    return good;
}

bool gh_instant_parse(const char *text, int64_t *out, const char **why)
{
    struct scan s = {.p = text};
    bool is_local = false;
    int64_t t = 0;

    if (!finish(&s, instant(&s, &is_local, &t), why))
        return false;
    *out = t;
    return true;
}

bool gh_duration_parse(const char *text, int64_t *seconds, const char **why)
{
    struct scan s = {.p = text};
    int64_t t = 0;

    if (!finish(&s, duration(&s, &t), why))
        return false;
    *seconds = t;
    return true;
}

bool gh_lifetime_parse(const char *text, struct tcpao_lifetime *out, const char **why)
{
    struct scan s = {.p = text};
    struct tcpao_lifetime l = {0, 0};

    if (!finish(&s, lifetime(&s, &l), why))
        return false;
    *out = l;
    return true;
}

const char *gh_lifetime_format(const struct tcpao_lifetime *l, char buf[GH_LIFETIME_TEXT])
{
    char from[32], until[32];

    if (gh_lifetime_empty(l))
        snprintf(buf, GH_LIFETIME_TEXT, "never");
    else if (l->from == TCPAO_TIME_MIN && l->until == TCPAO_TIME_MAX)
        snprintf(buf, GH_LIFETIME_TEXT, "infinite");
    else
        snprintf(buf, GH_LIFETIME_TEXT, "%s/%s", gh_time_format(l->from, from, sizeof(from)),
                 gh_time_format(l->until, until, sizeof(until)));
    return buf;
}

const char *gh_duration_text(int64_t seconds, char buf[GH_LIFETIME_TEXT])
{
    static const char units[] = "dhm";
    char unit = 's';

    for (const char *u = units; *u != '\0'; u++) {
        if (seconds != 0 && seconds % unit_seconds(*u) == 0) {
            unit = *u;
            break;
        }
    }
    snprintf(buf, GH_LIFETIME_TEXT, "%lld%c", (long long)(seconds / unit_seconds(unit)), unit);
    return buf;
}

struct tcpao_lifetime gh_lifetime_never(void)
{
    return (struct tcpao_lifetime){0, 0};
}

bool gh_lifetime_empty(const struct tcpao_lifetime *l)
{
    return l->from >= l->until;
}

bool gh_lifetime_overlap(const struct tcpao_lifetime *a, const struct tcpao_lifetime *b)
{
    return !gh_lifetime_empty(a) && !gh_lifetime_empty(b) && a->from < b->until &&
           b->from < a->until;
}

bool gh_lifetime_includes(const struct tcpao_lifetime *l, int64_t t)
{
    return l->from <= t && t < l->until;
}

struct tcpao_lifetime gh_lifetime_widen(const struct tcpao_lifetime *l, int64_t by)
{
    struct tcpao_lifetime w = *l;

    if (gh_lifetime_empty(l))
        return w;
    w.from = l->from < TCPAO_TIME_MIN + by ? TCPAO_TIME_MIN : l->from - by;
    w.until = l->until > TCPAO_TIME_MAX - by ? TCPAO_TIME_MAX : l->until + by;
    return w;
}
