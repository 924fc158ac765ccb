#include "pki/error.h"

#include <stdarg.h>
#include <stdio.h>

bool gh_pki_fail(struct gh_pki_error *e, const char *rule, const char *remedy, const char *fmt, ...)
{
    va_list ap;

    if (e == NULL)
        return false;
    e->rule = rule;
    snprintf(e->remedy, sizeof(e->remedy), "%s", remedy);
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof(e->message), fmt, ap);
    va_end(ap);
    return false;
}
