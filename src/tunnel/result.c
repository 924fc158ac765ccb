#include "tunnel/result.h"

static const struct {
    const char *name, *text;
} results[] = {
#define X(name, counter, text) {counter, text},
    TUNNEL_RESULTS(X)
#undef X
};

const char *tunnel_result_text(enum tunnel_result result)
{
    return (unsigned)result < TUNNEL_RESULT_COUNT ? results[result].text : "?";
}

const char *tunnel_result_name(enum tunnel_result result)
{
    return (unsigned)result < TUNNEL_RESULT_COUNT ? results[result].name : "?";
}
