#include "base/clock.h"

#include <stdio.h>
#include <time.h>

struct gh_now gh_clock_now(void)
{
    struct timespec wall, mono;

    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_MONOTONIC, &mono);
    return (struct gh_now){.wall = wall.tv_sec,
                           .mono_ms =
                               (uint64_t)mono.tv_sec * 1000 + (uint64_t)mono.tv_nsec / 1000000};
}

uint64_t gh_clock_mono_ns(void)
{
    struct timespec mono;

    clock_gettime(CLOCK_MONOTONIC, &mono);
    return (uint64_t)mono.tv_sec * 1000000000 + (uint64_t)mono.tv_nsec;
}

const char *gh_time_format(int64_t wall, char *buf, size_t len)
{
    struct tm tm;
    time_t t = wall;

    if (wall == INT64_MIN)
        snprintf(buf, len, "always");
    else if (wall == INT64_MAX)
        snprintf(buf, len, "infinite");
    else if (gmtime_r(&t, &tm) == NULL || strftime(buf, len, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(buf, len, "%lld", (long long)wall);
    return buf;
}
