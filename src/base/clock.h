/*
 * Time as the cores see it: always a parameter, frozen for one call.
 *
 * Key lifetimes live in wall time (seconds since 1970 UTC); timers and ages in monotonic
 * milliseconds. The two never mix: only shells read clocks, through gh_clock_now().
 */
#ifndef GH_BASE_CLOCK_H
#define GH_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct gh_now {
    int64_t wall;     /* seconds since 1970-01-01T00:00:00Z */
    uint64_t mono_ms; /* milliseconds since some start, never goes back */
};

/* For shells only. */
struct gh_now gh_clock_now(void);
uint64_t gh_clock_mono_ns(void); /* of the same monotonic clock, CLOCK_MONOTONIC */

/* "2026-12-01T00:00:00Z"; INT64_MIN gives "always", INT64_MAX "infinite". buf of 32 is enough. */
const char *gh_time_format(int64_t wall, char *buf, size_t len);

#endif
