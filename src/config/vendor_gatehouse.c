/*
 * The other end is a Gatehouse too: our configuration seen in a mirror.
 */
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/vendor.h"

static struct gh_session mirror(const struct gh_session *s)
{
    static const enum gh_direction opposite[] = {GH_BOTH, GH_PASSIVE, GH_ACTIVE};
    struct gh_session m = *s;

    m.peer = s->local;
    m.local = s->peer;
    m.direction = opposite[s->direction];
    m.description = NULL;
    m.netns = m.vrf = NULL; /* this end's business */
    return m;
}

void gh_write_gatehouse(const struct gh_far_end *e, FILE *out)
{
    struct gh_key_chain chain = *e->chain;

    chain.keys = gh_config_alloc(chain.key_count, sizeof(*chain.keys));
    for (size_t i = 0; i < chain.key_count; i++) {
        chain.keys[i] = e->chain->keys[i];
        chain.keys[i].mkt.send_id = e->chain->keys[i].mkt.recv_id;
        chain.keys[i].mkt.recv_id = e->chain->keys[i].mkt.send_id;
    }
    gh_config_print_chain(&chain, out);
    free(chain.keys);
    if (e->session == NULL)
        return;
    if (e->session->local.addr.len == 0) {
        fprintf(out,
                "# add a tcp-ao section with the address of the other end as its peer and\n"
                "# key-chain = \"%s\"\n",
                chain.name);
    } else {
        struct gh_session m = mirror(e->session);

        fputc('\n', out);
        gh_config_print_session(&m, &chain, out);
    }
}
