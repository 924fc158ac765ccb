/*
 * What the engine's process reads from the gatekeeper's, which faces the network, and the reverse.
 * The first octet says which of the messages it is to be.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/gk_messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(uint8_t kind, struct gh_rd r, struct gh_gk_message *m)
{
    switch (kind) {
    case 0:
        return gh_gk_take_session(&r, m);
    case 1:
        return gh_gk_take_key(&r, true, m);
    case 2:
        return gh_gk_take_key(&r, false, m);
    case 3:
        return gh_gk_take_number(&r, m);
    case 5:
        return gh_gk_take_usage(&r, m);
    default:
        return gh_gk_take_flag(&r, m);
    }
}

static void put(uint8_t kind, struct gh_wr *w, const struct gh_gk_message *m)
{
    switch (kind) {
    case 0:
        gh_gk_put_session(w, m->session);
        break;
    case 1:
    case 2:
        gh_gk_put_key(w, m->session, &m->mkt, m->left_ms, kind == 1);
        break;
    case 3:
        gh_gk_put_number(w, m->session, m->number);
        break;
    case 5:
        gh_gk_put_usage(w, m->session, m->number, m->octets, m->segments);
        break;
    default:
        gh_gk_put_flag(w, m->session, m->flag);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t kind = size > 0 ? data[0] % 6 : 0;
    struct gh_gk_message m;
    struct gh_wr w;
    uint8_t *again;

    if (size == 0 || !take(kind, gh_rd_make(data + 1, size - 1), &m))
        return 0;
    if (memchr(m.session, '\0', sizeof(m.session)) == NULL)
        abort();
    if ((kind == 1) != (m.mkt.secret_len > 0))
        abort();
    again = malloc(size);
    w = gh_wr_make(again, size - 1);
    put(kind, &w, &m);
    if (!gh_wr_ok(&w) || w.len != size - 1 || memcmp(again, data + 1, w.len) != 0)
        abort(); /* one encoding for each value */
    free(again);
    return 0;
}
