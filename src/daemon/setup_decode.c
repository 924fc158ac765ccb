#include "daemon/setup.h"

#include <stdlib.h>
#include <string.h>

#include "config/octets.h"
#include "daemon/setup_wire.h"

static struct tcpao_lifetime get_lifetime(struct gh_rd *r)
{
    struct tcpao_lifetime l = {.from = (int64_t)gh_rd_u64(r)};

    l.until = (int64_t)gh_rd_u64(r);
    return l;
}

static void get_secret(struct gh_rd *r, struct gh_key *k)
{
    size_t len = gh_rd_u8(r);
    const uint8_t *p = gh_rd_bytes(r, len);

    if (r->bad)
        return;
    if (!gh_secret_set(&k->secret, p, len))
        r->bad = true;
    k->mkt.secret = k->secret.data;
    k->mkt.secret_len = k->secret.len;
}

static void get_key(struct gh_rd *r, struct gh_key *k)
{
    k->mkt.number = gh_rd_u32(r);
    k->mkt.send_id = gh_rd_u8(r);
    k->mkt.recv_id = gh_rd_u8(r);
    k->mkt.alg = gh_rd_u8(r);
    k->mkt.mac_len = gh_rd_u8(r);
    if (k->mkt.mac_len < GH_MAC_MIN || k->mkt.mac_len > tcpao_mac_len_max(k->mkt.alg))
        r->bad = true; /* also for an unknown algorithm, whose longest MAC is 0 */
    k->mkt.options_covered = gh_get_flag(r);
    k->mkt.accept_mismatch = gh_get_flag(r);
    k->mkt.send = get_lifetime(r);
    k->mkt.accept = get_lifetime(r);
    get_secret(r, k);
    k->secret_source = gh_get_text(r, false);
    k->send_set = gh_get_flag(r);
    k->accept_set = gh_get_flag(r);
    k->line = (int)gh_rd_u32(r);
}

static void get_chain(struct gh_rd *r, struct gh_key_chain *c)
{
    size_t count;

    c->name = gh_get_text(r, true);
    c->description = gh_get_text(r, false);
    c->tolerance = gh_rd_u32(r);
    c->warn_count = gh_get_below(r, gh_rd_u8(r), GH_WARN_TIMES_MAX + 1);
    for (size_t i = 0; i < c->warn_count; i++)
        c->warn_before[i] = (int64_t)gh_rd_u64(r);
    count = gh_get_below(r, gh_rd_u16(r), GH_KEYS_MAX + 1);
    c->keys = gh_get_array(r, count, GH_SETUP_KEY_MIN, sizeof(*c->keys));
    while (!r->bad && c->key_count < count)
        get_key(r, &c->keys[c->key_count++]);
    c->line = (int)gh_rd_u32(r);
}

static void get_session(struct gh_rd *r, struct gh_session *s, uint16_t *zone, size_t chains)
{
    size_t chain;

    *zone = gh_rd_u16(r);
    s->name = gh_get_text(r, true);
    s->description = gh_get_text(r, false);
    gh_get_prefix(r, true, &s->peer);
    gh_get_prefix(r, false, &s->local);
    s->port = gh_rd_u16(r);
    s->direction = gh_get_below(r, gh_rd_u8(r), GH_PASSIVE + 1);
    s->mode = gh_get_below(r, gh_rd_u8(r), GH_ACCEPT_MISMATCH + 1);
    s->backend = gh_get_below(r, gh_rd_u8(r), GH_BACKEND_KERNEL + 1);
    s->accept_icmp = gh_get_flag(r);
    s->netns = gh_get_text(r, false);
    s->vrf = gh_get_text(r, false);
    s->source_first = gh_rd_u16(r);
    s->source_last = gh_rd_u16(r);
    chain = gh_get_below(r, gh_rd_u32(r), chains + 1);
    s->chain = chain > 0 ? chain - 1 : GH_NO_CHAIN;
    s->ike_peer = gh_get_text(r, false);
    s->fallback = gh_get_flag(r);
    s->ike_text = gh_get_text(r, false);
    s->ike_mac_len = gh_get_below(r, gh_rd_u8(r), TCPAO_MAC_MAX + 1);
    /* Without keys of its own it has those of IKE, and the reverse. */
    if ((s->chain == GH_NO_CHAIN) != (s->ike_peer != NULL && !s->fallback) ||
        s->source_first > s->source_last)
        r->bad = true;
    s->line = (int)gh_rd_u32(r);
}

static char *get_ike_text(struct gh_rd *r)
{
    size_t len = gh_rd_u32(r);
    const uint8_t *p = gh_rd_bytes(r, len);
    char *text = NULL;

    if (len == 0 || r->bad)
        return NULL;
    if (memchr(p, 0, len) == NULL)
        text = strndup((const char *)p, len);
    if (text == NULL)
        r->bad = true;
    return text;
}

static void get_config(struct gh_rd *r, struct gh_setup *s)
{
    struct gh_config *c = s->config;
    size_t count;

    if (gh_rd_u32(r) != GH_SETUP_MAGIC)
        r->bad = true;
    c->path = gh_get_text(r, true);
    c->user = gh_get_text(r, false);
    c->firewall = gh_get_below(r, gh_rd_u8(r), GH_FIREWALL_IPTABLES + 1);
    c->queue_base = gh_rd_u16(r);
    c->queue_length = gh_rd_u32(r);
    c->max_connections = gh_rd_u32(r);
    count = gh_rd_u32(r);
    c->chains = gh_get_array(r, count, GH_SETUP_CHAIN_MIN, sizeof(*c->chains));
    while (!r->bad && c->chain_count < count)
        get_chain(r, &c->chains[c->chain_count++]);
    count = gh_rd_u32(r);
    c->sessions = gh_get_array(r, count, GH_SETUP_SESSION_MIN, sizeof(*c->sessions));
    s->zones = gh_get_array(r, count, GH_SETUP_SESSION_MIN, sizeof(*s->zones));
    while (!r->bad && c->session_count < count) {
        size_t i = c->session_count++;

        get_session(r, &c->sessions[i], &s->zones[i], c->chain_count);
    }
    c->ike_text = get_ike_text(r);
}

bool gh_setup_decode(const uint8_t *data, size_t len, struct gh_setup *out)
{
    struct gh_rd r = gh_rd_make(data, len);

    *out = (struct gh_setup){.config = calloc(1, sizeof(*out->config))};
    if (out->config == NULL)
        return false;
    get_config(&r, out);
    if (gh_rd_done(&r))
        return true;
    gh_setup_clear(out);
    return false;
}

void gh_setup_clear(struct gh_setup *s)
{
    gh_config_free(s->config);
    free(s->zones);
    *s = (struct gh_setup){.config = NULL};
}
