#include "daemon/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/octets.h"
#include "daemon/setup_wire.h"

static void put_lifetime(struct gh_wr *w, const struct tcpao_lifetime *l)
{
    gh_wr_u64(w, (uint64_t)l->from);
    gh_wr_u64(w, (uint64_t)l->until);
}

static void put_key(struct gh_wr *w, const struct gh_key *k)
{
    gh_wr_u32(w, k->mkt.number);
    gh_wr_u8(w, k->mkt.send_id);
    gh_wr_u8(w, k->mkt.recv_id);
    gh_wr_u8(w, k->mkt.alg);
    gh_wr_u8(w, k->mkt.mac_len);
    gh_wr_u8(w, k->mkt.options_covered);
    gh_wr_u8(w, k->mkt.accept_mismatch);
    put_lifetime(w, &k->mkt.send);
    put_lifetime(w, &k->mkt.accept);
    gh_wr_u8(w, k->secret.len);
    gh_wr_bytes(w, k->secret.data, k->secret.len);
    gh_put_text(w, k->secret_source);
    gh_wr_u8(w, k->send_set);
    gh_wr_u8(w, k->accept_set);
    gh_wr_u32(w, (uint32_t)k->line);
}

static void put_chain(struct gh_wr *w, const struct gh_key_chain *c)
{
    gh_put_text(w, c->name);
    gh_put_text(w, c->description);
    gh_wr_u32(w, c->tolerance);
    gh_wr_u8(w, c->warn_count);
    for (size_t i = 0; i < c->warn_count; i++)
        gh_wr_u64(w, (uint64_t)c->warn_before[i]);
    gh_wr_u16(w, c->key_count);
    for (size_t i = 0; i < c->key_count; i++)
        put_key(w, &c->keys[i]);
    gh_wr_u32(w, (uint32_t)c->line);
}

static void put_session(struct gh_wr *w, const struct gh_session *s, uint16_t zone)
{
    gh_wr_u16(w, zone);
    gh_put_text(w, s->name);
    gh_put_text(w, s->description);
    gh_put_prefix(w, &s->peer);
    gh_put_prefix(w, &s->local);
    gh_wr_u16(w, s->port);
    gh_wr_u8(w, s->direction);
    gh_wr_u8(w, s->mode);
    gh_wr_u8(w, s->backend);
    gh_wr_u8(w, s->accept_icmp);
    gh_put_text(w, s->netns);
    gh_put_text(w, s->vrf);
    gh_wr_u16(w, s->source_first);
    gh_wr_u16(w, s->source_last);
    gh_wr_u32(w, s->chain != GH_NO_CHAIN ? s->chain + 1 : 0);
    gh_put_text(w, s->ike_peer);
    gh_wr_u8(w, s->fallback);
    gh_put_text(w, s->ike_text);
    gh_wr_u8(w, s->ike_mac_len);
    gh_wr_u32(w, (uint32_t)s->line);
}

/* Not shim-users: the parent alone lets programs in. Of IKE only the text to show: the rest is
 * another process's. */
static void put_setup(struct gh_wr *w, const struct gh_setup *s)
{
    const struct gh_config *c = s->config;
    size_t ike = c->ike_text != NULL ? strlen(c->ike_text) : 0;

    gh_wr_u32(w, GH_SETUP_MAGIC);
    gh_put_text(w, c->path);
    gh_put_text(w, c->user);
    gh_wr_u8(w, c->firewall);
    gh_wr_u16(w, c->queue_base);
    gh_wr_u32(w, c->queue_length);
    gh_wr_u32(w, c->max_connections);
    gh_wr_u32(w, c->chain_count);
    for (size_t i = 0; i < c->chain_count; i++)
        put_chain(w, &c->chains[i]);
    gh_wr_u32(w, c->session_count);
    for (size_t i = 0; i < c->session_count; i++)
        put_session(w, &c->sessions[i], s->zones[i]);
    gh_wr_u32(w, ike);
    gh_wr_bytes(w, c->ike_text, ike);
}

uint8_t *gh_setup_encode(const struct gh_setup *s, size_t *len)
{
    for (size_t cap = 65536; cap <= GH_SETUP_MAX; cap *= 2) {
        uint8_t *data = malloc(cap);
        struct gh_wr w = gh_wr_make(data, data != NULL ? cap : 0);

        put_setup(&w, s);
        if (gh_wr_ok(&w)) {
            *len = w.len;
            return data;
        }
        gh_wipe(data, cap);
        free(data);
    }
    return NULL;
}

void gh_zone_name(const char *netns, const char *vrf, char *buf, size_t size)
{
    snprintf(buf, size, "%s%%%s", netns != NULL ? netns : "", vrf != NULL ? vrf : "");
}
