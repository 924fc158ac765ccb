#include "gatekeeper/unused.h"

#include <string.h>

#include "gatekeeper/gatekeeper.h"

struct search {
    const char *session;
    uint32_t number;
    bool used;
};

static void look_at(void *ctx, const struct ao_connection_view *v)
{
    struct search *s = ctx;
    const struct tcpao_conn_state *c = &v->conn;

    /* One that opens or closes may hang for minutes; its few segments are verified for as long as
     * late ones are. */
    if (v->own_keys || v->state != AO_STATE_ESTABLISHED || strcmp(v->session, s->session) != 0)
        return;
    s->used = s->used || (c->current_known && c->current_key == s->number) ||
              (c->rnext_known && c->rnext_key == s->number) ||
              (c->last_recv_known && c->last_recv_key == s->number);
}

void gk_each_unused(const struct ao_engine *e, const char *session, const struct tcpao_chain *chain,
                    int64_t now, void (*fn)(void *ctx, uint32_t number), void *ctx)
{
    const struct tcpao_mkt *first = tcpao_chain_preferred(chain, now);

    for (size_t i = 0; i < tcpao_chain_count(chain); i++) {
        const struct tcpao_mkt *mkt = tcpao_chain_at(chain, i);
        struct search s = {.session = session, .number = mkt->number};

        bool leaving = mkt->send.from >= mkt->send.until;

        if (mkt == first || mkt->number < GK_FIRST_NUMBER || leaving)
            continue;
        ao_engine_each_connection(e, look_at, &s);
        if (!s.used)
            fn(ctx, mkt->number);
    }
}
