/*
 * The grammar of times, durations and lifetimes in the configuration and on command lines.
 *
 *   instant   2026-12-01T00:00:00Z  2026-12-01 00:00  2026-12-01     UTC unless an offset is given
 *             2026-12-01T02:00:00+02:00
 *             2022-5-18.04:00  2022-5-18.04:00:00 -0700              as in Junos
 *             12:00:00 28 Feb 2018  12:00:00 Feb 28 2018             as in IOS
 *             local INSTANT                                          in the machine's time zone
 *   duration  20  3600s  90m  12h  30d  4w  1d12h  P30D  PT20S
 *   lifetime  INSTANT/INSTANT  INSTANT/infinite  INSTANT/DURATION  always/INSTANT
 *             INSTANT infinite  INSTANT duration SECONDS  INSTANT INSTANT     as in IOS
 *             infinite  never
 *
 * Lifetimes are half-open. A local time that does not exist, or exists twice, because clocks are
 * changed, is refused: nobody should have to guess when a key begins.
 * Pure but for the time zone of the process (mktime). Called by the loader and the tools.
 */
#ifndef GH_CONFIG_LIFETIME_H
#define GH_CONFIG_LIFETIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpao.h"

enum { GH_LIFETIME_TEXT = 64 };

/* False: *why says what is wrong, in a static text. The whole text must be used up. */
bool gh_instant_parse(const char *text, int64_t *out, const char **why);
bool gh_duration_parse(const char *text, int64_t *seconds, const char **why);
bool gh_lifetime_parse(const char *text, struct tcpao_lifetime *out, const char **why);

/* Canonical texts: what the parsers read. */
const char *gh_lifetime_format(const struct tcpao_lifetime *l, char buf[GH_LIFETIME_TEXT]);
const char *gh_duration_text(int64_t seconds, char buf[GH_LIFETIME_TEXT]);

/* The lifetime that includes no instant: "never". */
struct tcpao_lifetime gh_lifetime_never(void);
bool gh_lifetime_empty(const struct tcpao_lifetime *l);
bool gh_lifetime_overlap(const struct tcpao_lifetime *a, const struct tcpao_lifetime *b);
bool gh_lifetime_includes(const struct tcpao_lifetime *l, int64_t t);
/* Widened by `by` seconds at both ends, without leaving the range; an empty one stays empty. */
struct tcpao_lifetime gh_lifetime_widen(const struct tcpao_lifetime *l, int64_t by);

#endif
