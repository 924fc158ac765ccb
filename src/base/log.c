#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *log_name = "gatehouse";
static enum gh_log_level log_max = GH_LOG_INFO;
static gh_log_sink log_sink;
static void *log_sink_ctx;

void gh_log_setup(const char *name, enum gh_log_level max)
{
    log_name = name;
    log_max = max;
}

bool gh_log_wants(enum gh_log_level level)
{
    return level <= log_max;
}

void gh_log_set_sink(gh_log_sink sink, void *ctx)
{
    log_sink = sink;
    log_sink_ctx = ctx;
}

void gh_log(enum gh_log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    if (!gh_log_wants(level))
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (log_sink != NULL)
        log_sink(log_sink_ctx, level, line);
    else if (getenv("JOURNAL_STREAM") != NULL)
        fprintf(stderr, "<%d>%s: %s\n", (int)level, log_name, line);
    else
        fprintf(stderr, "%s: %s\n", log_name, line);
}
