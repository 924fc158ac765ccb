#include "ipsec/result.h"

static const struct {
    const char *name, *text;
} results[] = {
#define X(name, counter, text) {counter, text},
    IPSEC_RESULTS(X)
#undef X
};

const char *ipsec_result_text(enum ipsec_result result)
{
    return (unsigned)result < IPSEC_RESULT_COUNT ? results[result].text : "?";
}

const char *ipsec_result_name(enum ipsec_result result)
{
    return (unsigned)result < IPSEC_RESULT_COUNT ? results[result].name : "?";
}
