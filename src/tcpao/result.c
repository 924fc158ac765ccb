/* Names and texts of results, from the one list in tcpao.h. */
#include "tcpao.h"

static const struct {
    const char *name, *text;
} results[] = {
#define RESULT(id, name, text) {name, text},
    TCPAO_RESULTS(RESULT)
#undef RESULT
};

const char *tcpao_result_name(enum tcpao_result r)
{
    return (unsigned)r < TCPAO_RESULT_COUNT ? results[r].name : "unknown";
}

const char *tcpao_result_text(enum tcpao_result r)
{
    return (unsigned)r < TCPAO_RESULT_COUNT ? results[r].text : "unknown";
}
