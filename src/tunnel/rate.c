#include "tunnel/rate.h"

static uint64_t window_ms(const struct tunnel_rate *r)
{
    return (uint64_t)r->seconds * 1000;
}

bool tunnel_rate_set(struct tunnel_rate *r, uint32_t messages, uint32_t seconds, uint64_t now_ms)
{
    if (messages == 0)
        messages = TUNNEL_RATE_MESSAGES;
    if (seconds == 0)
        seconds = TUNNEL_RATE_SECONDS;
    if (messages < TUNNEL_RATE_MESSAGES_MIN || messages > TUNNEL_RATE_MESSAGES_MAX ||
        seconds > TUNNEL_RATE_SECONDS_MAX)
        return false;
    *r = (struct tunnel_rate){.messages = messages, .seconds = seconds, .at_ms = now_ms};
    r->credit = messages * window_ms(r);
    return true;
}

bool tunnel_rate_take(struct tunnel_rate *r, uint64_t now_ms)
{
    uint64_t passed = now_ms - r->at_ms, whole = r->messages * window_ms(r);

    if (passed > window_ms(r))
        passed = window_ms(r);
    r->at_ms = now_ms;
    r->credit += passed * r->messages;
    if (r->credit > whole)
        r->credit = whole;
    if (r->credit < window_ms(r))
        return false;
    r->credit -= window_ms(r);
    return true;
}
