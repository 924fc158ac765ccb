#include "control/outlook.h"

#include <stddef.h>

#include "config/lifetime.h"

static const char *direction(bool send, bool receive)
{
    if (send)
        return receive ? "send-receive" : "send";
    return receive ? "receive" : "inactive";
}

bool gh_key_sends(const struct tcpao_mkt *k, int64_t now)
{
    return gh_lifetime_includes(&k->send, now);
}

struct tcpao_lifetime gh_key_accept_widened(const struct tcpao_mkt *k, uint32_t tolerance)
{
    return gh_lifetime_widen(&k->accept, tolerance);
}

bool gh_key_accepts(const struct tcpao_mkt *k, uint32_t tolerance, int64_t now)
{
    struct tcpao_lifetime l = gh_key_accept_widened(k, tolerance);

    return gh_lifetime_includes(&l, now);
}

const char *gh_key_state(const struct tcpao_mkt *k, uint32_t tolerance, int64_t now)
{
    return direction(gh_key_sends(k, now), gh_key_accepts(k, tolerance, now));
}

const char *gh_key_mode(const struct tcpao_mkt *k)
{
    return direction(!gh_lifetime_empty(&k->send), !gh_lifetime_empty(&k->accept));
}

static void outlook_send(const struct tcpao_chain *chain, int64_t now, struct gh_outlook *o)
{
    o->send = o->send_next = tcpao_chain_preferred(chain, now);
    o->send_change = now;
    do {
        o->send_change = tcpao_chain_next_change(chain, o->send_change);
        if (o->send_change != TCPAO_TIME_MAX)
            o->send_next = tcpao_chain_preferred(chain, o->send_change);
    } while (o->send_change != TCPAO_TIME_MAX && o->send_next == o->send);
    if (o->send_change == TCPAO_TIME_MAX)
        o->send_next = NULL;
}

static void outlook_receive(const struct tcpao_chain *chain, int64_t now, struct gh_outlook *o)
{
    uint32_t tolerance = tcpao_chain_tolerance(chain);

    o->receive_change = TCPAO_TIME_MAX;
    for (size_t i = 0; i < tcpao_chain_count(chain); i++) {
        const struct tcpao_mkt *k = tcpao_chain_at(chain, i);
        struct tcpao_lifetime l = gh_key_accept_widened(k, tolerance);

        if (gh_lifetime_includes(&l, now)) {
            if (o->receive == NULL || k->accept.from >= o->receive->accept.from)
                o->receive = k;
        } else if (l.from > now && !gh_lifetime_empty(&l) && l.from < o->receive_change) {
            o->receive_next = k;
            o->receive_change = l.from;
        }
    }
}

struct gh_outlook gh_outlook(const struct tcpao_chain *chain, int64_t now)
{
    struct gh_outlook o = {.expiry = tcpao_chain_expiry(chain)};

    outlook_send(chain, now, &o);
    outlook_receive(chain, now, &o);
    return o;
}
