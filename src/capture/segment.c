#include "capture/segment.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *cap_verdict_name(enum cap_verdict v)
{
    static const char *const names[] = {
#define CAP_VERDICT_NAME(id, name, sum) name,
        CAP_VERDICTS(CAP_VERDICT_NAME)
#undef CAP_VERDICT_NAME
    };
    return names[v];
}

enum cap_sum cap_verdict_sum(enum cap_verdict v)
{
    static const enum cap_sum sums[] = {
#define CAP_VERDICT_SUM(id, name, sum) CAP_##sum,
        CAP_VERDICTS(CAP_VERDICT_SUM)
#undef CAP_VERDICT_SUM
    };
    return sums[v];
}

void cap_note(struct cap_segment *seg, const char *fmt, ...)
{
    size_t used = strlen(seg->note);
    va_list ap;

    if (used > 0 && used + 3 < sizeof(seg->note)) {
        memcpy(seg->note + used, "; ", 3);
        used += 2;
    }
    va_start(ap, fmt);
    vsnprintf(seg->note + used, sizeof(seg->note) - used, fmt, ap);
    va_end(ap);
}
