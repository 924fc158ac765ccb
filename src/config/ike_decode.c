/*
 * The parent is trusted, the octets are checked all the same: what the loader would not have made
 * is refused.
 */
#include "config/ike.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/ike_wire.h"
#include "config/ike_words.h"
#include "config/octets.h"
#include "config/sizes.h"
#include "config/traffic.h"
#include "tunnel/pmtu.h"
#include "tunnel/rate.h"
#include "ike/codes.h"
#include "pki/auth.h"

struct reading {
    struct gh_rd r;
    struct gh_ike_config *c;
    struct gh_cert **certs; /* a reference each */
    size_t cert_count;
};

/* Into an array of `size`, which a longer text does not fit. */
static void get_name(struct gh_rd *r, char *out, size_t size)
{
    char *text = gh_get_text(r, true);

    if (text == NULL)
        return;
    if (strlen(text) >= size)
        r->bad = true;
    else
        strcpy(out, text);
    free(text);
}

/* ---- Certificates --------------------------------------------------------------------------- */

static void get_certs(struct reading *x)
{
    size_t count = gh_rd_u32(&x->r);

    x->certs = gh_get_array(&x->r, count, GH_IKE_CERT_MIN, sizeof(struct gh_cert *));
    while (!x->r.bad && x->cert_count < count) {
        size_t len = gh_rd_u32(&x->r);
        const uint8_t *der = gh_rd_bytes(&x->r, len);
        struct gh_cert *cert = der != NULL ? gh_cert_parse(gh_view_of(der, len), NULL) : NULL;

        if (cert == NULL)
            x->r.bad = true;
        else
            x->certs[x->cert_count++] = cert;
    }
}

static struct gh_cert *get_cert_ref(struct reading *x)
{
    uint32_t place = gh_rd_u16(&x->r);

    if (place == 0 || place > x->cert_count)
        x->r.bad = true;
    return x->r.bad ? NULL : x->certs[place - 1];
}

static void get_raw_keys(struct reading *x)
{
    struct gh_ike_config *c = x->c;
    size_t count = gh_rd_u16(&x->r);

    c->raw_keys = gh_get_array(&x->r, count, 2, sizeof(struct gh_pubkey *));
    while (!x->r.bad && c->raw_key_count < count) {
        size_t len = gh_rd_u16(&x->r);
        const uint8_t *spki = gh_rd_bytes(&x->r, len);
        struct gh_pubkey *key = spki != NULL ? gh_pubkey_parse(gh_view_of(spki, len), NULL) : NULL;

        if (key == NULL)
            x->r.bad = true;
        else
            c->raw_keys[c->raw_key_count++] = key;
    }
}

static void get_trust(struct reading *x, struct gh_ike_trust *t)
{
    size_t anchors, known;

    t->name = gh_get_text(&x->r, true);
    anchors = gh_get_below(&x->r, gh_rd_u8(&x->r), GH_TRUST_ANCHORS + 1);
    t->trust = x->r.bad ? NULL : gh_trust_new(t->name);
    if (t->trust == NULL)
        x->r.bad = true;
    while (!x->r.bad && t->anchor_count < anchors) {
        struct gh_cert *ca = get_cert_ref(x);

        if (ca != NULL && gh_trust_add(t->trust, ca, NULL))
            t->anchors[t->anchor_count++] = gh_cert_ref(ca);
        else
            x->r.bad = true;
    }
    known = gh_rd_u16(&x->r);
    t->known = gh_get_array(&x->r, known, 2, sizeof(struct gh_cert *));
    while (!x->r.bad && t->known_count < known) {
        struct gh_cert *ca = get_cert_ref(x);

        if (ca != NULL && gh_trust_know(t->trust, ca, NULL))
            t->known[t->known_count++] = gh_cert_ref(ca);
        else
            x->r.bad = true;
    }
}

static void get_trusts(struct reading *x)
{
    struct gh_ike_config *c = x->c;
    size_t count = gh_rd_u16(&x->r);

    c->trusts = gh_get_array(&x->r, count, GH_IKE_TRUST_MIN, sizeof(*c->trusts));
    while (!x->r.bad && c->trust_count < count)
        get_trust(x, &c->trusts[c->trust_count++]);
}

static void get_entry(struct reading *x, struct gh_ike_profile *p, struct gh_cert *const *known,
                      size_t known_count)
{
    char key_name[GH_KEY_NAME_MAX + 1] = "";
    struct gh_cert *cert, *send[GH_CHAIN_CAS];
    size_t count;
    bool pss;

    get_name(&x->r, key_name, sizeof(key_name));
    cert = get_cert_ref(x);
    count = gh_get_below(&x->r, gh_rd_u8(&x->r), GH_CHAIN_CAS + 1);
    for (size_t i = 0; i < count; i++)
        send[i] = get_cert_ref(x);
    pss = gh_get_flag(&x->r);
    if (!x->r.bad && !gh_cert_profile_add(p->profile, key_name, cert, send, count, known,
                                          known_count, pss, NULL))
        x->r.bad = true;
}

static void get_profiles(struct reading *x)
{
    struct gh_ike_config *c = x->c;
    size_t count = gh_rd_u16(&x->r), known_count;
    struct gh_cert **known = gh_ike_known_cas(c, &known_count);

    c->profiles = gh_get_array(&x->r, count, GH_IKE_PROFILE_MIN, sizeof(*c->profiles));
    while (!x->r.bad && c->profile_count < count) {
        struct gh_ike_profile *p = &c->profiles[c->profile_count++];
        size_t entries;

        p->name = gh_get_text(&x->r, true);
        entries = gh_get_below(&x->r, gh_rd_u8(&x->r), GH_PROFILE_ENTRIES + 1);
        p->profile = x->r.bad ? NULL : gh_cert_profile_new(p->name);
        if (p->profile == NULL)
            x->r.bad = true;
        for (size_t i = 0; !x->r.bad && i < entries; i++)
            get_entry(x, p, known, known_count);
    }
    free(known);
}

/* ---- Lists ---------------------------------------------------------------------------------- */

static void get_selector(struct gh_rd *r, struct ike_ts *ts)
{
    struct gh_addr start = {.len = 0}, end = {.len = 0};
    uint8_t protocol = gh_rd_u8(r);
    uint16_t start_port = gh_rd_u16(r), end_port = gh_rd_u16(r);

    gh_get_addr(r, true, &start);
    gh_get_addr(r, true, &end);
    if (start.len != end.len || memcmp(start.octets, end.octets, start.len) > 0 ||
        (start_port > end_port && (start_port != 0xffff || end_port != 0)))
        r->bad = true;
    if (r->bad)
        return;
    *ts = ike_ts_from_range(&start, &end);
    ts->protocol = protocol;
    ts->start_port = start_port;
    ts->end_port = end_port;
}

void gh_ike_get_selectors(struct gh_rd *r, struct ike_ts_list *list)
{
    size_t count = gh_get_below(r, gh_rd_u8(r), IKE_TS_MAX + 1);

    while (!r->bad && list->count < count)
        get_selector(r, &list->ts[list->count++]);
}

static void get_ts_lists(struct reading *x)
{
    struct gh_ike_config *c = x->c;
    size_t count = gh_rd_u16(&x->r);

    c->ts_lists = gh_get_array(&x->r, count, GH_IKE_TS_LIST_MIN, sizeof(*c->ts_lists));
    while (!x->r.bad && c->ts_list_count < count) {
        struct gh_ike_ts_list *list = &c->ts_lists[c->ts_list_count++];

        list->name = gh_get_text(&x->r, true);
        gh_ike_get_selectors(&x->r, &list->local);
        gh_ike_get_selectors(&x->r, &list->remote);
    }
}

static struct gh_pattern *get_pattern(struct gh_rd *r)
{
    char *text = gh_get_text(r, false);
    struct gh_pattern *pattern = NULL;

    if (text != NULL) {
        pattern = gh_pattern_new(text, NULL);
        if (pattern == NULL)
            r->bad = true;
    }
    free(text);
    return pattern;
}

static void get_client_ts_list(struct reading *x, struct gh_client *c)
{
    const struct gh_ike_ts_list *list;

    get_name(&x->r, c->gets.ts_list, sizeof(c->gets.ts_list));
    if (x->r.bad || c->gets.ts_list[0] == '\0')
        return;
    list = gh_ike_ts_list(x->c, c->gets.ts_list);
    if (list == NULL) {
        x->r.bad = true;
        return;
    }
    c->gets.ts_local = &list->local;
    c->gets.ts_remote = &list->remote;
}

static void get_client(struct reading *x, struct gh_ike_client_db *db)
{
    struct gh_client *c = &db->clients[db->count];
    struct gh_rd *r = &x->r;

    c->index = gh_rd_u16(r);
    (void)snprintf(c->name, sizeof(c->name), "%.58s/%u", db->name, c->index);
    c->identity = get_pattern(r);
    c->has_prefix = gh_get_flag(r);
    if (c->has_prefix)
        gh_get_prefix(r, false, &c->prefix);
    c->gets.reject = gh_get_flag(r);
    get_name(r, c->gets.psk, sizeof(c->gets.psk));
    get_client_ts_list(x, c);
    if (r->bad)
        gh_pattern_free(c->identity);
    else if (gh_client_db_add(db->db, c, NULL))
        db->count++;
    else
        r->bad = true;
}

static void get_client_dbs(struct reading *x)
{
    struct gh_ike_config *c = x->c;
    size_t count = gh_rd_u16(&x->r), clients;

    c->client_dbs = gh_get_array(&x->r, count, GH_IKE_CLIENT_DB_MIN, sizeof(*c->client_dbs));
    while (!x->r.bad && c->client_db_count < count) {
        struct gh_ike_client_db *db = &c->client_dbs[c->client_db_count++];

        db->name = gh_get_text(&x->r, true);
        db->match = gh_rd_u8(&x->r);
        db->fall_back = gh_get_flag(&x->r);
        clients = gh_get_below(&x->r, gh_rd_u16(&x->r), GH_CLIENTS + 1);
        db->clients = gh_get_array(&x->r, clients, GH_IKE_CLIENT_MIN, sizeof(*db->clients));
        db->db = x->r.bad ? NULL : gh_client_db_new(db->name, db->match, db->fall_back);
        if (db->db == NULL || (db->match & ~(GH_CLIENT_BY_IDENTITY | GH_CLIENT_BY_ADDRESS)) != 0)
            x->r.bad = true;
        for (size_t i = 0; !x->r.bad && i < clients; i++)
            get_client(x, db);
    }
}

/* ---- Policies ------------------------------------------------------------------------------- */

/* One that a configuration can name. */
static bool is_algorithm(const struct ike_transform *t, unsigned use)
{
    for (const struct gh_ike_word *w = gh_ike_words(t->type); w != NULL && w->name != NULL; w++) {
        if (w->id == t->id && w->key_bits == t->key_bits)
            return (w->use & use) != 0 || (t->type >= IKE_T_ADDKE1 && w->id == IKE_KE_NONE);
    }
    return false;
}

/* GH_FOR_…; 0: none. */
static unsigned use_of(uint8_t protocol)
{
    switch (protocol) {
    case IKE_PROTO_IKE:
        return GH_FOR_IKE;
    case IKE_PROTO_ESP:
        return GH_FOR_ESP;
    case IKE_PROTO_AH:
        return GH_FOR_AH;
    default:
        return ike_protocol_is_tcp_ao(protocol) ? GH_FOR_TCP_AO : 0;
    }
}

static void get_proposal(struct gh_rd *r, struct ike_proposal *p, unsigned uses)
{
    size_t count;
    unsigned use;

    p->protocol = gh_rd_u8(r);
    use = use_of(p->protocol);
    if ((use & uses) == 0)
        r->bad = true;
    count = gh_get_below(r, gh_rd_u8(r), IKE_TRANSFORMS_MAX + 1);
    while (!r->bad && p->count < count) {
        struct ike_transform *t = &p->transform[p->count++];

        t->type = gh_rd_u8(r);
        t->id = gh_rd_u16(r);
        t->key_bits = gh_rd_u16(r);
        if (!is_algorithm(t, use))
            r->bad = true;
    }
}

/* uses: of what the protocols may be. */
static void get_proposals(struct gh_rd *r, struct ike_proposals *proposals, unsigned uses)
{
    size_t count = gh_get_below(r, gh_rd_u8(r), GH_IKE_TRANSFORMS + 1);
    struct ike_sa sa = {.count = 0};

    if (count == 0)
        r->bad = true;
    while (!r->bad && sa.count < count) {
        struct ike_proposal *p = &sa.proposal[sa.count++];

        p->number = (uint8_t)sa.count;
        get_proposal(r, p, uses);
    }
    if (!r->bad && !ike_proposals_set(proposals, &sa))
        r->bad = true;
}

static struct ike2_lifetime get_lifetime(struct gh_rd *r, uint32_t least)
{
    struct ike2_lifetime l = {.seconds = gh_rd_u32(r)};

    l.octets = gh_rd_u64(r);
    l.packets = gh_rd_u64(r);
    if (l.seconds < least || l.seconds > GH_LIFETIME_MAX)
        r->bad = true;
    return l;
}

static void get_child(struct gh_rd *r, struct ike2_child_policy *c)
{
    get_name(r, c->name, sizeof(c->name));
    c->mode = gh_get_below(r, gh_rd_u8(r), IKE2_TCP_AO + 1);
    get_proposals(r, &c->proposals,
                  c->mode == IKE2_TCP_AO ? GH_FOR_TCP_AO : GH_FOR_ESP | GH_FOR_AH);
    gh_ike_get_selectors(r, &c->local);
    gh_ike_get_selectors(r, &c->remote);
    c->lifetime =
        get_lifetime(r, c->mode == IKE2_TCP_AO ? GH_TCP_AO_LIFETIME_MIN : GH_LIFETIME_MIN);
    c->tcp_ao.mac_len = gh_rd_u8(r);
    c->tcp_ao.options_covered = gh_get_flag(r);
    if (c->mode == IKE2_TCP_AO && (c->tcp_ao.mac_len < TCPAO_MAC_MIN ||
                                   c->tcp_ao.mac_len > tcpao_mac_len_max(TCPAO_HMAC_SHA_256)))
        r->bad = true;
    c->start = gh_get_flag(r);
    c->admin = gh_get_below(r, gh_rd_u8(r), IKE2_ADMIN_DOWN + 1);
    c->idle_seconds = gh_get_below(r, gh_rd_u32(r), GH_IDLE_MAX + 1);
    c->kernel = gh_get_flag(r);
    c->slot = (uint8_t)gh_get_below(r, gh_rd_u8(r), GH_SLOTS);
    c->last_slot = (uint8_t)gh_get_below(r, gh_rd_u8(r), GH_SLOTS);
    c->reverse_route = gh_get_flag(r);
    c->route_overlap = gh_get_flag(r);
    c->route_metric = (uint16_t)gh_rd_u16(r);
    c->icmp_header = gh_get_flag(r);
    c->fragments_also = gh_get_flag(r);
    c->single = gh_get_flag(r);
    if (c->mode == IKE2_TCP_AO)
        return;
    gh_sizes_get(r, &c->path);
    gh_traffic_get(r, &c->traffic);
}

static void get_borrowed(struct reading *x, struct ike2_policy *p)
{
    struct gh_rd *r = &x->r;
    struct gh_ike_config *c = x->c;
    size_t profile = gh_get_below(r, gh_rd_u16(r), c->profile_count + 1);
    size_t trust = gh_get_below(r, gh_rd_u16(r), c->trust_count + 1);
    size_t clients = gh_get_below(r, gh_rd_u16(r), c->client_db_count + 1);
    size_t ours = gh_get_below(r, gh_rd_u16(r), c->raw_key_count + 1);
    size_t theirs = gh_get_below(r, gh_rd_u16(r), c->raw_key_count + 1);

    if (r->bad)
        return;
    p->cert_profile = profile > 0 ? c->profiles[profile - 1].profile : NULL;
    p->trust = trust > 0 ? c->trusts[trust - 1].trust : NULL;
    p->client_db = clients > 0 ? c->client_dbs[clients - 1].db : NULL;
    if (ours > 0)
        p->raw_key_spki = gh_pubkey_spki(c->raw_keys[ours - 1]);
    p->peer_raw_key = theirs > 0 ? c->raw_keys[theirs - 1] : NULL;
}

static void get_auth(struct reading *x, struct ike2_policy *p)
{
    struct gh_rd *r = &x->r;

    p->local_auth = gh_get_below(r, gh_rd_u8(r), IKE2_AUTH_NULL + 1);
    p->remote_auths = gh_get_below(r, gh_rd_u8(r), GH_BIT(IKE2_AUTH_NULL + 1));
    p->local_id.type = gh_rd_u8(r);
    p->local_id.len = (uint16_t)gh_get_below(r, gh_rd_u16(r), GH_ID_DATA + 1);
    gh_rd_copy(r, p->local_id.data, p->local_id.len);
    p->remote_id = get_pattern(r);
    p->match_id_to_cert = gh_get_flag(r);
    get_name(r, p->psk, sizeof(p->psk));
    get_name(r, p->raw_key, sizeof(p->raw_key));
    get_name(r, p->ppk, sizeof(p->ppk));
    p->ppk_required = gh_get_flag(r);
    get_borrowed(x, p);
    /* Nobody is taken for authentic because a part got lost; nobody at all by IKE, where there is
     * none. */
    if ((p->remote_auths == 0) != p->manual ||
        ((p->remote_auths & GH_BIT(IKE2_AUTH_CERT)) != 0 && p->trust == NULL) ||
        ((p->remote_auths & GH_BIT(IKE2_AUTH_PSK)) != 0 && p->psk[0] == '\0' &&
         p->client_db == NULL))
        r->bad = true;
}

static void get_zones(struct reading *x)
{
    struct gh_ike_config *c = x->c;
    size_t count = gh_get_below(&x->r, gh_rd_u16(&x->r), GH_IKE_ZONES + 1);

    c->zones = gh_get_array(&x->r, count, GH_IKE_ZONE_MIN, sizeof(*c->zones));
    while (!x->r.bad && c->zone_count < count) {
        struct gh_ike_zone *zone = &c->zones[c->zone_count++];

        zone->netns = gh_get_text(&x->r, false);
        zone->vrf = gh_get_text(&x->r, false);
        if (zone->netns == NULL && zone->vrf == NULL)
            x->r.bad = true;
    }
}

static void get_mobike(struct gh_rd *r, struct ike2_policy *p)
{
    size_t count;

    p->mobike = gh_get_flag(r);
    p->no_nats = gh_get_flag(r);
    p->others_all = gh_get_flag(r);
    count = gh_get_below(r, gh_rd_u8(r), IKE2_ADDRESSES + 1);
    while (!r->bad && p->other_count < count)
        gh_get_addr(r, true, &p->others[p->other_count++]);
    gh_get_prefix(r, false, &p->moves_to);
}

static void get_gateways(struct gh_rd *r, struct ike2_policy *p)
{
    size_t count;

    p->admin = gh_get_below(r, gh_rd_u8(r), IKE2_ADMIN_DOWN + 1);
    p->revert_ms = gh_get_below(r, gh_rd_u32(r), GH_REVERT_MAX * 1000 + 1);
    count = gh_get_below(r, gh_rd_u8(r), IKE2_BACKUPS + 1);
    if (count > 0 && p->gateway.len == 0)
        r->bad = true;
    while (!r->bad && p->backup_count < count)
        gh_get_addr(r, true, &p->backups[p->backup_count++]);
}

static void get_policy(struct reading *x, struct ike2_policy *p)
{
    struct gh_rd *r = &x->r;
    size_t children;

    p->zone = (uint16_t)gh_get_below(r, gh_rd_u16(r), x->c->zone_count + 1);
    p->private_zone = (uint16_t)gh_get_below(r, gh_rd_u16(r), x->c->zone_count + 1);
    p->manual = gh_get_flag(r);

    gh_get_addr(r, false, &p->local);
    gh_get_prefix(r, false, &p->remote);
    gh_get_addr(r, false, &p->gateway);
    p->port = gh_rd_u16(r);
    p->responder_only = gh_get_flag(r);
    get_proposals(r, &p->proposals, GH_FOR_IKE);
    p->prefer_theirs = gh_get_flag(r);
    p->mtu = gh_rd_u16(r);
    p->fragmentation = gh_get_flag(r);
    p->force_nat_t = gh_get_flag(r);
    p->nat_keepalive_ms = gh_rd_u32(r);
    p->force_keepalive = gh_get_flag(r);
    p->puzzle_bits = (uint8_t)gh_get_below(r, gh_rd_u8(r), GH_PUZZLE_BITS_MAX + 1);
    p->childless = gh_get_flag(r);
    p->intermediate = gh_get_flag(r);
    get_auth(x, p);
    p->lifetime = get_lifetime(r, GH_LIFETIME_MIN);
    p->reauthenticate = gh_get_flag(r);
    p->liveness_ms = gh_rd_u32(r);
    p->liveness_retries = gh_rd_u32(r);
    p->retransmit_ms = gh_rd_u32(r);
    p->retransmits = gh_rd_u32(r);
    p->half_open_ms = gh_rd_u32(r);
    p->window = gh_rd_u8(r);
    if (p->window < 1 || p->window > IKE2_WINDOW_MAX)
        r->bad = true;
    get_mobike(r, p);
    p->initial_contact = gh_get_flag(r);
    p->redirects = gh_get_flag(r);
    gh_get_prefix(r, false, &p->follows_to);
    p->redirect_at = gh_get_below(r, gh_rd_u8(r), IKE2_REDIRECT_AUTH + 1);
    gh_get_addr(r, false, &p->redirect_to);
    p->resumption = gh_get_flag(r);
    p->crash_tokens = gh_get_flag(r);
    p->routability = gh_get_flag(r);
    get_gateways(r, p);
    p->plane = gh_get_below(r, gh_rd_u8(r), IKE2_PLANE_AUTO + 1);
    children = gh_get_below(r, gh_rd_u8(r), IKE2_CHILDREN + 1);
    if (r->bad)
        return;
    p->children = calloc(children + 1, sizeof(*p->children));
    if (p->children == NULL)
        r->bad = true;
    while (!r->bad && p->child_count < children)
        get_child(r, &p->children[p->child_count++]);
}

static void get_policies(struct reading *x)
{
    struct gh_ike_config *c = x->c;
    size_t count = gh_get_below(&x->r, gh_rd_u16(&x->r), GH_IKE_PEERS + 1);

    c->policies = gh_get_array(&x->r, count, GH_IKE_POLICY_MIN, sizeof(struct ike2_policy *));
    while (!x->r.bad && c->policy_count < count) {
        char name[IKE2_NAME + 1] = "";
        struct ike2_policy *p;

        get_name(&x->r, name, sizeof(name));
        p = x->r.bad ? NULL : ike2_policy_new(name);
        if (p == NULL) {
            x->r.bad = true;
            return;
        }
        c->policies[c->policy_count++] = p;
        p->index = (unsigned)c->policy_count;
        get_policy(x, p);
    }
}

/* There is such a child for TCP-AO's keys, or none is meant. */
static bool names_child(const struct ike2_policy *p, const char *name)
{
    for (size_t i = 0; i < p->child_count; i++) {
        if (strcmp(p->children[i].name, name) == 0)
            return p->children[i].mode == IKE2_TCP_AO;
    }
    return name[0] == '\0';
}

static void get_session(struct reading *x, struct gk_policy *s)
{
    const struct ike2_policy *p = NULL;
    struct gh_rd *r = &x->r;

    get_name(r, s->name, sizeof(s->name));
    get_name(r, s->ike, sizeof(s->ike));
    get_name(r, s->active, sizeof(s->active));
    get_name(r, s->passive, sizeof(s->passive));
    gh_get_addr(r, true, &s->local);
    gh_get_addr(r, true, &s->remote);
    s->port = gh_rd_u16(r);
    s->source_first = gh_rd_u16(r);
    s->source_last = gh_rd_u16(r);
    gh_rd_copy(r, s->static_send, sizeof(s->static_send));
    gh_rd_copy(r, s->static_recv, sizeof(s->static_recv));
    s->fallback = gh_get_flag(r);
    s->patience_ms = gh_rd_u32(r);
    s->settle_ms = gh_rd_u32(r);
    for (size_t i = 0; i < x->c->policy_count; i++) {
        if (strcmp(x->c->policies[i]->name, s->ike) == 0)
            p = x->c->policies[i];
    }
    if (s->name[0] == '\0' || p == NULL || !names_child(p, s->active) ||
        !names_child(p, s->passive) || (s->active[0] == '\0' && s->passive[0] == '\0') ||
        s->local.len != s->remote.len || s->port == 0 || s->source_first > s->source_last)
        r->bad = true;
}

static void get_sessions(struct reading *x)
{
    struct gh_ike_config *c = x->c;
    size_t count = gh_rd_u32(&x->r);

    c->sessions = gh_get_array(&x->r, count, GH_IKE_SESSION_MIN, sizeof(*c->sessions));
    while (!x->r.bad && c->session_count < count)
        get_session(x, &c->sessions[c->session_count++]);
}

static void get_settings(struct gh_rd *r, struct gh_ike_settings *s)
{
    s->sas_max = gh_rd_u32(r);
    s->sas_high = gh_rd_u32(r);
    s->sas_low = gh_rd_u32(r);
    s->half_open_max = gh_rd_u32(r);
    s->half_open_cookie = gh_rd_u32(r);
    s->half_open_puzzle = gh_rd_u32(r);
    s->puzzle_bits = (uint8_t)gh_get_below(r, gh_rd_u8(r), GH_PUZZLE_BITS_MAX + 1);
    s->puzzle_legacy = gh_get_below(r, gh_rd_u32(r), GH_PUZZLE_UNSOLVED_MAX + 1);
    s->puzzle_budget = gh_rd_u32(r);
    s->children_max = gh_rd_u32(r);
    s->reassembly_ms = gh_rd_u32(r);
    s->reduced_exchange_ms = gh_rd_u32(r);
    s->ticket_seconds = gh_get_below(r, gh_rd_u32(r), GH_TICKET_SECONDS_MAX + 1);
    s->strays_per_second = gh_rd_u32(r);
    s->path_mtu_seconds = gh_get_below(r, gh_rd_u32(r), TUNNEL_PMTU_AGE_MAX_S + 1);
    s->prohibited_messages = (uint16_t)gh_get_below(r, gh_rd_u16(r), TUNNEL_RATE_MESSAGES_MAX + 1);
    s->prohibited_seconds = (uint16_t)gh_get_below(r, gh_rd_u16(r), TUNNEL_RATE_SECONDS_MAX + 1);
    if (s->prohibited_seconds == 0 ||
        (s->prohibited_messages != 0 && s->prohibited_messages < TUNNEL_RATE_MESSAGES_MIN))
        r->bad = true;
    s->tcp_ao_protocol = gh_rd_u8(r);
    if (s->path_mtu_seconds < TUNNEL_PMTU_AGE_MIN_S || !ike_protocol_is_tcp_ao(s->tcp_ao_protocol))
        r->bad = true;
    s->lock_out = gh_get_flag(r);
    s->lockout.attempts = gh_rd_u32(r);
    s->lockout.duration = gh_rd_u32(r);
    s->lockout.block = gh_rd_u32(r);
    s->lockout.max_ports = gh_rd_u32(r);
    s->lockout.clients = gh_rd_u32(r);
    s->pass_unprotected = gh_get_flag(r);
    s->drop_fragments = gh_get_flag(r);
    s->key_log = gh_get_text(r, false);
    s->esp_key_log = gh_get_text(r, false);
}

static void get_config(struct reading *x)
{
    if (gh_rd_u32(&x->r) != GH_IKE_MAGIC)
        x->r.bad = true;
    get_settings(&x->r, &x->c->settings);
    get_certs(x);
    get_raw_keys(x);
    get_trusts(x);
    get_profiles(x);
    get_ts_lists(x);
    get_client_dbs(x);
    get_zones(x);
    get_policies(x);
    get_sessions(x);
    gh_tunnels_get(&x->r, x->c->zone_count, &x->c->tunnels, &x->c->tunnel_count);
    gh_spd_get(&x->r, x->c->zone_count, &x->c->spd, &x->c->spd_count);
}

struct gh_ike_config *gh_ike_config_decode(struct gh_view data)
{
    struct reading x = {.r = gh_rd_make(data.p, data.len), .c = calloc(1, sizeof(*x.c))};

    if (x.c == NULL)
        return NULL;
    get_config(&x);
    for (size_t i = 0; i < x.cert_count; i++)
        gh_cert_free(x.certs[i]);
    free(x.certs);
    if (gh_rd_done(&x.r))
        return x.c;
    gh_ike_config_free(x.c);
    return NULL;
}
