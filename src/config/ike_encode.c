#include "config/ike.h"

#include <stdlib.h>
#include <string.h>

#include "config/ike_wire.h"
#include "config/octets.h"
#include "config/sizes.h"
#include "config/traffic.h"

/* One encoding: certificates are written once, whoever uses them. */
struct writing {
    struct gh_wr w;
    const struct gh_ike_config *c;
    const struct gh_cert **certs; /* borrowed */
    size_t cert_count, cert_room;
    bool no_memory;
};

/* ---- Certificates --------------------------------------------------------------------------- */

static void know(struct writing *x, const struct gh_cert *cert)
{
    for (size_t i = 0; i < x->cert_count; i++) {
        if (gh_cert_equal(x->certs[i], cert))
            return;
    }
    if (x->cert_count == x->cert_room) {
        size_t room = x->cert_room * 2 + 16;
        const struct gh_cert **more = realloc(x->certs, room * sizeof(*more));

        if (more == NULL) {
            x->no_memory = true;
            return;
        }
        x->certs = more;
        x->cert_room = room;
    }
    x->certs[x->cert_count++] = cert;
}

static void know_all(struct writing *x)
{
    for (size_t t = 0; t < x->c->trust_count; t++) {
        const struct gh_ike_trust *trust = &x->c->trusts[t];

        for (size_t i = 0; i < trust->anchor_count; i++)
            know(x, trust->anchors[i]);
        for (size_t i = 0; i < trust->known_count; i++)
            know(x, trust->known[i]);
    }
    for (size_t p = 0; p < x->c->profile_count; p++) {
        const struct gh_cert_profile *profile = x->c->profiles[p].profile;

        for (size_t i = 0; i < gh_cert_profile_count(profile); i++) {
            const struct gh_cert_entry *e = gh_cert_profile_entry(profile, i);

            know(x, e->cert);
            for (size_t s = 0; s < e->send_count; s++)
                know(x, e->send[s]);
        }
    }
}

static void put_certs(struct writing *x)
{
    gh_wr_u32(&x->w, x->cert_count);
    for (size_t i = 0; i < x->cert_count; i++) {
        struct gh_view der = gh_cert_der(x->certs[i]);

        gh_wr_u32(&x->w, der.len);
        gh_wr_bytes(&x->w, der.p, der.len);
    }
}

static void put_cert_ref(struct writing *x, const struct gh_cert *cert)
{
    size_t i = 0;

    while (i < x->cert_count && !gh_cert_equal(x->certs[i], cert))
        i++;
    gh_wr_u16(&x->w, i + 1);
}

static void put_trusts(struct writing *x)
{
    gh_wr_u16(&x->w, x->c->trust_count);
    for (size_t t = 0; t < x->c->trust_count; t++) {
        const struct gh_ike_trust *trust = &x->c->trusts[t];

        gh_put_text(&x->w, trust->name);
        gh_wr_u8(&x->w, trust->anchor_count);
        for (size_t i = 0; i < trust->anchor_count; i++)
            put_cert_ref(x, trust->anchors[i]);
        gh_wr_u16(&x->w, trust->known_count);
        for (size_t i = 0; i < trust->known_count; i++)
            put_cert_ref(x, trust->known[i]);
    }
}

static void put_profiles(struct writing *x)
{
    gh_wr_u16(&x->w, x->c->profile_count);
    for (size_t p = 0; p < x->c->profile_count; p++) {
        const struct gh_cert_profile *profile = x->c->profiles[p].profile;

        gh_put_text(&x->w, x->c->profiles[p].name);
        gh_wr_u8(&x->w, gh_cert_profile_count(profile));
        for (size_t i = 0; i < gh_cert_profile_count(profile); i++) {
            const struct gh_cert_entry *e = gh_cert_profile_entry(profile, i);

            gh_put_text(&x->w, e->key_name);
            put_cert_ref(x, e->cert);
            gh_wr_u8(&x->w, e->send_count);
            for (size_t s = 0; s < e->send_count; s++)
                put_cert_ref(x, e->send[s]);
            gh_wr_u8(&x->w, e->pss);
        }
    }
}

static void put_raw_keys(struct writing *x)
{
    gh_wr_u16(&x->w, x->c->raw_key_count);
    for (size_t i = 0; i < x->c->raw_key_count; i++) {
        struct gh_view spki = gh_pubkey_spki(x->c->raw_keys[i]);

        gh_wr_u16(&x->w, spki.len);
        gh_wr_bytes(&x->w, spki.p, spki.len);
    }
}

/* ---- Lists ---------------------------------------------------------------------------------- */

void gh_ike_put_selectors(struct gh_wr *w, const struct ike_ts_list *list)
{
    gh_wr_u8(w, list->count);
    for (size_t i = 0; i < list->count; i++) {
        const struct ike_ts *ts = &list->ts[i];

        gh_wr_u8(w, ts->protocol);
        gh_wr_u16(w, ts->start_port);
        gh_wr_u16(w, ts->end_port);
        gh_put_addr(w, &ts->start);
        gh_put_addr(w, &ts->end);
    }
}

static void put_ts_lists(struct writing *x)
{
    gh_wr_u16(&x->w, x->c->ts_list_count);
    for (size_t i = 0; i < x->c->ts_list_count; i++) {
        gh_put_text(&x->w, x->c->ts_lists[i].name);
        gh_ike_put_selectors(&x->w, &x->c->ts_lists[i].local);
        gh_ike_put_selectors(&x->w, &x->c->ts_lists[i].remote);
    }
}

static void put_client(struct gh_wr *w, const struct gh_client *c)
{
    gh_wr_u16(w, c->index);
    gh_put_text(w, c->identity != NULL ? gh_pattern_text(c->identity) : NULL);
    gh_wr_u8(w, c->has_prefix);
    if (c->has_prefix)
        gh_put_prefix(w, &c->prefix);
    gh_wr_u8(w, c->gets.reject);
    gh_put_text(w, c->gets.psk);
    gh_put_text(w, c->gets.ts_list);
}

static void put_client_dbs(struct writing *x)
{
    gh_wr_u16(&x->w, x->c->client_db_count);
    for (size_t i = 0; i < x->c->client_db_count; i++) {
        const struct gh_ike_client_db *db = &x->c->client_dbs[i];

        gh_put_text(&x->w, db->name);
        gh_wr_u8(&x->w, db->match);
        gh_wr_u8(&x->w, db->fall_back);
        gh_wr_u16(&x->w, db->count);
        for (size_t k = 0; k < db->count; k++)
            put_client(&x->w, &db->clients[k]);
    }
}

/* ---- Policies ------------------------------------------------------------------------------- */

static void put_proposals(struct gh_wr *w, const struct ike_proposals *proposals)
{
    struct ike_sa sa;

    ike_proposals_get(proposals, &sa);
    gh_wr_u8(w, sa.count);
    for (size_t i = 0; i < sa.count; i++) {
        const struct ike_proposal *p = &sa.proposal[i];

        gh_wr_u8(w, p->protocol);
        gh_wr_u8(w, p->count);
        for (size_t t = 0; t < p->count; t++) {
            gh_wr_u8(w, p->transform[t].type);
            gh_wr_u16(w, p->transform[t].id);
            gh_wr_u16(w, p->transform[t].key_bits);
        }
    }
}

static void put_lifetime(struct gh_wr *w, const struct ike2_lifetime *l)
{
    gh_wr_u32(w, l->seconds);
    gh_wr_u64(w, l->octets);
    gh_wr_u64(w, l->packets);
}

static void put_child(struct gh_wr *w, const struct ike2_child_policy *c)
{
    gh_put_text(w, c->name);
    gh_wr_u8(w, c->mode);
    put_proposals(w, &c->proposals);
    gh_ike_put_selectors(w, &c->local);
    gh_ike_put_selectors(w, &c->remote);
    put_lifetime(w, &c->lifetime);
    gh_wr_u8(w, c->tcp_ao.mac_len);
    gh_wr_u8(w, c->tcp_ao.options_covered);
    gh_wr_u8(w, c->start);
    gh_wr_u8(w, c->admin);
    gh_wr_u32(w, c->idle_seconds);
    gh_wr_u8(w, c->kernel);
    gh_wr_u8(w, c->slot);
    gh_wr_u8(w, c->last_slot);
    gh_wr_u8(w, c->reverse_route);
    gh_wr_u8(w, c->route_overlap);
    gh_wr_u16(w, c->route_metric);
    gh_wr_u8(w, c->icmp_header);
    gh_wr_u8(w, c->fragments_also);
    gh_wr_u8(w, c->single);
    if (c->mode == IKE2_TCP_AO)
        return;
    gh_sizes_put(w, &c->path);
    gh_traffic_put(w, &c->traffic);
}

/* Where in its list stands what a policy borrows: from 1, 0 for none. */
static size_t profile_place(const struct gh_ike_config *c, const struct gh_cert_profile *p)
{
    size_t i = 0;

    while (p != NULL && i < c->profile_count && c->profiles[i].profile != p)
        i++;
    return p != NULL ? i + 1 : 0;
}

static size_t trust_place(const struct gh_ike_config *c, const struct gh_trust *t)
{
    size_t i = 0;

    while (t != NULL && i < c->trust_count && c->trusts[i].trust != t)
        i++;
    return t != NULL ? i + 1 : 0;
}

static size_t client_db_place(const struct gh_ike_config *c, const struct gh_client_db *db)
{
    size_t i = 0;

    while (db != NULL && i < c->client_db_count && c->client_dbs[i].db != db)
        i++;
    return db != NULL ? i + 1 : 0;
}

static size_t raw_key_place(const struct gh_ike_config *c, struct gh_view spki)
{
    for (size_t i = 0; spki.len > 0 && i < c->raw_key_count; i++) {
        if (gh_view_equal(gh_pubkey_spki(c->raw_keys[i]), spki))
            return i + 1;
    }
    return 0;
}

static void put_borrowed(struct writing *x, const struct ike2_policy *p)
{
    struct gh_view peer = {NULL, 0};

    if (p->peer_raw_key != NULL)
        peer = gh_pubkey_spki(p->peer_raw_key);
    gh_wr_u16(&x->w, profile_place(x->c, p->cert_profile));
    gh_wr_u16(&x->w, trust_place(x->c, p->trust));
    gh_wr_u16(&x->w, client_db_place(x->c, p->client_db));
    gh_wr_u16(&x->w, raw_key_place(x->c, p->raw_key_spki));
    gh_wr_u16(&x->w, raw_key_place(x->c, peer));
}

static void put_auth(struct writing *x, const struct ike2_policy *p)
{
    struct gh_wr *w = &x->w;

    gh_wr_u8(w, p->local_auth);
    gh_wr_u8(w, p->remote_auths);
    gh_wr_u8(w, p->local_id.type);
    gh_wr_u16(w, p->local_id.len);
    gh_wr_bytes(w, p->local_id.data, p->local_id.len);
    gh_put_text(w, p->remote_id != NULL ? gh_pattern_text(p->remote_id) : NULL);
    gh_wr_u8(w, p->match_id_to_cert);
    gh_put_text(w, p->psk);
    gh_put_text(w, p->raw_key);
    gh_put_text(w, p->ppk);
    gh_wr_u8(w, p->ppk_required);
    put_borrowed(x, p);
}

static void put_zones(struct writing *x)
{
    gh_wr_u16(&x->w, x->c->zone_count);
    for (size_t i = 0; i < x->c->zone_count; i++) {
        gh_put_text(&x->w, x->c->zones[i].netns);
        gh_put_text(&x->w, x->c->zones[i].vrf);
    }
}

static void put_mobike(struct gh_wr *w, const struct ike2_policy *p)
{
    gh_wr_u8(w, p->mobike);
    gh_wr_u8(w, p->no_nats);
    gh_wr_u8(w, p->others_all);
    gh_wr_u8(w, p->other_count);
    for (size_t i = 0; i < p->other_count; i++)
        gh_put_addr(w, &p->others[i]);
    gh_put_prefix(w, &p->moves_to);
}

static void put_gateways(struct gh_wr *w, const struct ike2_policy *p)
{
    gh_wr_u8(w, p->admin);
    gh_wr_u32(w, p->revert_ms);
    gh_wr_u8(w, p->backup_count);
    for (size_t i = 0; i < p->backup_count; i++)
        gh_put_addr(w, &p->backups[i]);
}

static void put_policy(struct writing *x, const struct ike2_policy *p)
{
    struct gh_wr *w = &x->w;

    gh_put_text(w, p->name);
    gh_wr_u16(w, p->zone);
    gh_wr_u16(w, p->private_zone);
    gh_wr_u8(w, p->manual);
    gh_put_addr(w, &p->local);
    gh_put_prefix(w, &p->remote);
    gh_put_addr(w, &p->gateway);
    gh_wr_u16(w, p->port);
    gh_wr_u8(w, p->responder_only);
    put_proposals(w, &p->proposals);
    gh_wr_u8(w, p->prefer_theirs);
    gh_wr_u16(w, p->mtu);
    gh_wr_u8(w, p->fragmentation);
    gh_wr_u8(w, p->force_nat_t);
    gh_wr_u32(w, p->nat_keepalive_ms);
    gh_wr_u8(w, p->force_keepalive);
    gh_wr_u8(w, p->puzzle_bits);
    gh_wr_u8(w, p->childless);
    gh_wr_u8(w, p->intermediate);
    put_auth(x, p);
    put_lifetime(w, &p->lifetime);
    gh_wr_u8(w, p->reauthenticate);
    gh_wr_u32(w, p->liveness_ms);
    gh_wr_u32(w, p->liveness_retries);
    gh_wr_u32(w, p->retransmit_ms);
    gh_wr_u32(w, p->retransmits);
    gh_wr_u32(w, p->half_open_ms);
    gh_wr_u8(w, p->window);
    put_mobike(w, p);
    gh_wr_u8(w, p->initial_contact);
    gh_wr_u8(w, p->redirects);
    gh_put_prefix(w, &p->follows_to);
    gh_wr_u8(w, p->redirect_at);
    gh_put_addr(w, &p->redirect_to);
    gh_wr_u8(w, p->resumption);
    gh_wr_u8(w, p->crash_tokens);
    gh_wr_u8(w, p->routability);
    put_gateways(w, p);
    gh_wr_u8(w, p->plane);
    gh_wr_u8(w, p->child_count);
    for (size_t i = 0; i < p->child_count; i++)
        put_child(w, &p->children[i]);
}

static void put_session(struct gh_wr *w, const struct gk_policy *s)
{
    gh_put_text(w, s->name);
    gh_put_text(w, s->ike);
    gh_put_text(w, s->active);
    gh_put_text(w, s->passive);
    gh_put_addr(w, &s->local);
    gh_put_addr(w, &s->remote);
    gh_wr_u16(w, s->port);
    gh_wr_u16(w, s->source_first);
    gh_wr_u16(w, s->source_last);
    gh_wr_bytes(w, s->static_send, sizeof(s->static_send));
    gh_wr_bytes(w, s->static_recv, sizeof(s->static_recv));
    gh_wr_u8(w, s->fallback);
    gh_wr_u32(w, s->patience_ms);
    gh_wr_u32(w, s->settle_ms);
}

static void put_settings(struct gh_wr *w, const struct gh_ike_settings *s)
{
    gh_wr_u32(w, s->sas_max);
    gh_wr_u32(w, s->sas_high);
    gh_wr_u32(w, s->sas_low);
    gh_wr_u32(w, s->half_open_max);
    gh_wr_u32(w, s->half_open_cookie);
    gh_wr_u32(w, s->half_open_puzzle);
    gh_wr_u8(w, s->puzzle_bits);
    gh_wr_u32(w, s->puzzle_legacy);
    gh_wr_u32(w, s->puzzle_budget);
    gh_wr_u32(w, s->children_max);
    gh_wr_u32(w, s->reassembly_ms);
    gh_wr_u32(w, s->reduced_exchange_ms);
    gh_wr_u32(w, s->ticket_seconds);
    gh_wr_u32(w, s->strays_per_second);
    gh_wr_u32(w, s->path_mtu_seconds);
    gh_wr_u16(w, s->prohibited_messages);
    gh_wr_u16(w, s->prohibited_seconds);
    gh_wr_u8(w, s->tcp_ao_protocol);
    gh_wr_u8(w, s->lock_out);
    gh_wr_u32(w, s->lockout.attempts);
    gh_wr_u32(w, s->lockout.duration);
    gh_wr_u32(w, s->lockout.block);
    gh_wr_u32(w, s->lockout.max_ports);
    gh_wr_u32(w, s->lockout.clients);
    gh_wr_u8(w, s->pass_unprotected);
    gh_wr_u8(w, s->drop_fragments);
    gh_put_text(w, s->key_log);
    gh_put_text(w, s->esp_key_log);
}

static void put_config(struct writing *x)
{
    gh_wr_u32(&x->w, GH_IKE_MAGIC);
    put_settings(&x->w, &x->c->settings);
    put_certs(x);
    put_raw_keys(x);
    put_trusts(x);
    put_profiles(x);
    put_ts_lists(x);
    put_client_dbs(x);
    put_zones(x);
    gh_wr_u16(&x->w, x->c->policy_count);
    for (size_t i = 0; i < x->c->policy_count; i++)
        put_policy(x, x->c->policies[i]);
    gh_wr_u32(&x->w, x->c->session_count);
    for (size_t i = 0; i < x->c->session_count; i++)
        put_session(&x->w, &x->c->sessions[i]);
    gh_tunnels_put(&x->w, x->c->tunnels, x->c->tunnel_count);
    gh_spd_put(&x->w, x->c->spd, x->c->spd_count);
}

uint8_t *gh_ike_config_encode(const struct gh_ike_config *c, size_t *len)
{
    struct writing x = {.c = c};
    uint8_t *done = NULL;

    know_all(&x);
    for (size_t cap = 65536; !x.no_memory && done == NULL && cap <= GH_IKE_WIRE_MAX; cap *= 2) {
        uint8_t *data = malloc(cap);

        x.w = gh_wr_make(data, data != NULL ? cap : 0);
        put_config(&x);
        if (gh_wr_ok(&x.w)) {
            *len = x.w.len;
            done = data;
        } else {
            free(data);
        }
    }
    free(x.certs);
    return done;
}
