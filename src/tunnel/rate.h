/*
 * A limit on messages that we send because of what strangers do: so many within so many seconds
 * (RFC 4443 2.4 (f)). A token bucket: what was saved may go at once. Pure; owns nothing.
 */
#ifndef TUNNEL_RATE_H
#define TUNNEL_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TUNNEL_RATE_MESSAGES_MIN = 10,
    TUNNEL_RATE_MESSAGES_MAX = 1000,
    TUNNEL_RATE_MESSAGES = 100,
    TUNNEL_RATE_SECONDS_MIN = 1,
    TUNNEL_RATE_SECONDS_MAX = 60,
    TUNNEL_RATE_SECONDS = 10
};

struct tunnel_rate {
    uint32_t messages, seconds;
    uint64_t credit; /* in messages * milliseconds of a window */
    uint64_t at_ms;
};

/* 0: the default. False: outside of the ranges; nothing changed. Begins with the whole of it. */
bool tunnel_rate_set(struct tunnel_rate *r, uint32_t messages, uint32_t seconds, uint64_t now_ms);
/* One more may go. */
bool tunnel_rate_take(struct tunnel_rate *r, uint64_t now_ms);

#endif
