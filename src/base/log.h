/*
 * The operator's log. One line an event, to standard error (journald reads <N> priorities there)
 * or to a function that a test sets. Never called per packet: packets are counted.
 */
#ifndef GH_BASE_LOG_H
#define GH_BASE_LOG_H

#include <stdbool.h>

enum gh_log_level {
    GH_LOG_ERROR = 3,
    GH_LOG_WARNING = 4,
    GH_LOG_NOTICE = 5,
    GH_LOG_INFO = 6,
    GH_LOG_DEBUG = 7
};

typedef void (*gh_log_sink)(void *ctx, enum gh_log_level level, const char *line);

/* name: prefix of each line, kept by reference. Lines above max are dropped. */
void gh_log_setup(const char *name, enum gh_log_level max);
/* Whether a line of this level comes out, for who would make its words in vain. */
bool gh_log_wants(enum gh_log_level level);
/* NULL restores standard error. */
void gh_log_set_sink(gh_log_sink sink, void *ctx);

void gh_log(enum gh_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define gh_error(...)   gh_log(GH_LOG_ERROR, __VA_ARGS__)
#define gh_warning(...) gh_log(GH_LOG_WARNING, __VA_ARGS__)
#define gh_notice(...)  gh_log(GH_LOG_NOTICE, __VA_ARGS__)
#define gh_info(...)    gh_log(GH_LOG_INFO, __VA_ARGS__)
#define gh_debug(...)   gh_log(GH_LOG_DEBUG, __VA_ARGS__)

#endif
