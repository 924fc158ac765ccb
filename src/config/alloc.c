#include "config/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

void *gh_config_must(void *p)
{
    if (p == NULL) {
        gh_error("out of memory while reading the configuration");
        abort();
    }
    return p;
}

void *gh_config_alloc(size_t n, size_t size)
{
    return gh_config_must(calloc(n > 0 ? n : 1, size));
}

void *gh_config_grow(void *old, size_t count, size_t size)
{
    char *p = gh_config_must(reallocarray(old, count + 1, size));

    memset(p + count * size, 0, size);
    return p;
}

char *gh_config_strdup(const char *s)
{
    return s != NULL ? gh_config_must(strdup(s)) : NULL;
}

char *gh_config_asprintf(const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return gh_config_must(n < 0 ? NULL : s);
}
