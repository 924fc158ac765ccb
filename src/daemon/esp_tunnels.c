#include "daemon/esp_tunnels.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "daemon/esp_tunnels_priv.h"
#include "tunnel/fragment.h"
#include "tunnel/icmp.h"

enum {
    HEAD = 256,
    SCRATCH = HEAD + 65536 + 128,
    REASSEMBLY_OCTETS = 1048576, /* of one tunnel */
    NO_LIMIT = UINT16_MAX
};

/* Memory for one packet beside the batch, for each step that needs one. */
struct scratches {
    uint8_t piece[SCRATCH], outer_piece[SCRATCH], whole[SCRATCH], error[HEAD + 1280];
};

static struct ipsec_packet scratch(uint8_t *mem, size_t cap, uint32_t place)
{
    return (struct ipsec_packet){.mem = mem, .cap = cap, .at = HEAD, .place = place};
}

static uint32_t draw(struct gh_esp_tunnels *x)
{
    uint32_t value;

    x->setup.ops->random(x->setup.ctx, &value, sizeof(value));
    return value;
}

static uint16_t lower_of(uint16_t a, uint16_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static struct gh_esp_tunnel *own_of(const struct gh_esp_tunnels *x, const struct tunnel *t)
{
    return &x->list[t->p.id];
}

/* Its other end as it is now; 0: nothing is known of the path. */
static uint16_t path_of(const struct gh_esp_tunnels *x, const struct tunnel *t, uint64_t now_ms)
{
    const struct gh_addr *remote = tunnel_remote(t);
    struct tunnel_path path = {.place = t->p.place, .local = t->p.local};

    if (remote == NULL)
        return 0;
    path.remote = *remote;
    return tunnel_pmtu_get(x->mtus, now_ms, &path);
}

uint16_t gh_esp_tunnel_limit(const struct gh_esp_tunnels *x, const struct tunnel *t,
                             uint64_t now_ms)
{
    uint16_t path = path_of(x, t, now_ms), room;

    room = path > tunnel_overhead(&t->p) ? (uint16_t)(path - tunnel_overhead(&t->p)) : 0;
    return lower_of(t->p.mtu.ip_mtu, room);
}

/* ---- Out ------------------------------------------------------------------------------------ */

static bool is_by_peer(const struct gh_esp_tunnels *x, uint64_t id, const char *peer)
{
    const struct ipsec_sa *sa = ipsec_get_sa(x->setup.engine, id);

    return sa != NULL && peer != NULL && sa->p.policy < x->setup.policies->count &&
           strcmp(x->setup.policies->list[sa->p.policy].first, peer) == 0;
}

/* What the engine says of it, and what the configuration does. BYPASS: it leaves in clear, for the
 * operator says so and no policy is against it. */
static void check_protection(struct gh_esp_tunnels *x, struct gh_esp_tunnel *own,
                             struct ipsec_packet *p)
{
    bool is_protected = p->result == IPSEC_OK || p->result == IPSEC_ASIDE;
    bool is_free = p->result == IPSEC_BYPASS || p->result == IPSEC_NO_POLICY;

    if (own->peer == NULL && is_free) {
        p->result = IPSEC_BYPASS;
    } else if (!is_protected) {
        own->counts[p->result == IPSEC_NO_SA ? GH_TUNNEL_NO_SA : GH_TUNNEL_NOT_PROTECTED]++;
        p->result = IPSEC_DISCARDED;
    } else if (own->peer != NULL && !is_by_peer(x, p->sa, own->peer)) {
        own->counts[GH_TUNNEL_NOT_PROTECTED]++;
        p->result = IPSEC_DISCARDED;
    }
}

/* Packets with their outer headers, of one tunnel. */
static void leave(struct gh_esp_tunnels *x, struct gh_esp_tunnel *own, struct ipsec_packet *packets,
                  size_t count)
{
    if (count == 0)
        return;
    ipsec_out(x->setup.engine, x->now_ms, packets, count);
    for (size_t i = 0; i < count; i++)
        check_protection(x, own, &packets[i]);
    x->setup.ops->passed(x->setup.ctx, packets, count);
    for (size_t i = 0; i < count; i++)
        if (packets[i].result == IPSEC_BYPASS)
            packets[i].result = IPSEC_OK;
    x->setup.ops->send(x->setup.ctx, packets, count);
}

/* Also before a packet overtakes them: GRE's sequence numbers are theirs already. */
static void leave_together(struct gh_esp_tunnels *x, struct gh_esp_tunnel *own)
{
    leave(x, own, x->leaving, x->leaving_count);
    x->leaving_count = 0;
}

static void leave_in_pieces(struct gh_esp_tunnels *x, struct gh_esp_tunnel *own,
                            struct ipsec_packet *p)
{
    struct ipsec_packet piece;
    struct tunnel_cut cut;

    if (tunnel_cut_begin(&cut, ipsec_packet_data(p), p->len, p->mtu, draw(x)) != TUNNEL_OK)
        return;
    leave_together(x, own);
    own->counts[GH_TUNNEL_CUT_AFTER]++;
    while (tunnel_cut_more(&cut)) {
        piece = scratch(x->scratches->outer_piece, SCRATCH, p->place);
        if (tunnel_cut_next(&cut, &piece) != TUNNEL_OK)
            return;
        leave(x, own, &piece, 1);
    }
}

static void deliver_together(struct gh_esp_tunnels *x)
{
    size_t count = x->arrived_count;

    x->arrived_count = 0;
    if (count > 0)
        own_of(x, x->arrived_of)->counts[GH_TUNNEL_DEVICE_FAILED] +=
            count -
            x->setup.ops->deliver(x->setup.ctx, (uint32_t)x->arrived_of->p.id, x->arrived, count);
}

/* Its octets have to stay until deliver_together(). */
static void deliver(struct gh_esp_tunnels *x, const struct tunnel *t, const struct ipsec_packet *p)
{
    if (x->arrived_of != t || x->arrived_count == GH_ESP_PACKETS)
        deliver_together(x);
    x->arrived_of = t;
    x->arrived[x->arrived_count++] = *p;
}

static void refuse(struct gh_esp_tunnels *x, struct gh_esp_tunnel *own, struct tunnel *t,
                   struct ipsec_packet *p, uint32_t pointer)
{
    struct ipsec_packet error = scratch(x->scratches->error, sizeof(x->scratches->error), 0);
    const uint8_t *data = ipsec_packet_data(p);
    struct gh_addr from =
        data[0] >> 4 == 4 ? gh_addr_from(data + 16, 4) : gh_addr_from(data + 24, 16);
    enum tunnel_result result;

    if (own->too_big_messages == 0 || !tunnel_source_valid(&from) ||
        !tunnel_rate_take(&own->rate, x->now_ms)) {
        own->counts[GH_TUNNEL_NOT_TOLD]++;
        return;
    }
    result = pointer != 0 ? tunnel_icmp_parameter(p, pointer, &from, &error)
                          : tunnel_icmp_too_big(p, p->mtu, &from, &error);
    own->counts[result == TUNNEL_OK ? GH_TUNNEL_TOLD : GH_TUNNEL_NOT_TOLD]++;
    if (result == TUNNEL_OK) {
        deliver(x, t, &error);
        deliver_together(x);
    }
}

/* True: it is to leave as it is now, with its outer header. */
static bool wrap(struct gh_esp_tunnels *x, struct gh_esp_tunnel *own, struct tunnel *t,
                 uint16_t path, struct ipsec_packet *p)
{
    uint32_t pointer = 0;
    enum tunnel_result result = tunnel_encapsulate(t, (uint16_t)draw(x), p, &pointer);

    if (result == TUNNEL_ENCAPSULATION_LIMIT)
        refuse(x, own, t, p, pointer);
    if (result != TUNNEL_OK)
        return false;
    /* IPv6 of up to 1280 octets has to pass, though the path takes less (RFC 4213 3.2). */
    if (path != 0 && p->len > path)
        tunnel_clear_df(ipsec_packet_data(p), (uint16_t)draw(x));
    if (tunnel_mtu_after(&t->p.mtu, 0, (uint16_t)draw(x), p) != TUNNEL_TO_FRAGMENT)
        return true;
    leave_in_pieces(x, own, p);
    return false;
}

static void cut(struct gh_esp_tunnels *x, struct gh_esp_tunnel *own, struct tunnel *t,
                uint16_t path, struct ipsec_packet *p)
{
    struct ipsec_packet piece;
    struct tunnel_cut c;

    if (tunnel_cut_begin(&c, ipsec_packet_data(p), p->len, p->mtu, draw(x)) != TUNNEL_OK)
        return;
    leave_together(x, own);
    own->counts[GH_TUNNEL_CUT]++;
    while (tunnel_cut_more(&c)) {
        piece = scratch(x->scratches->piece, SCRATCH, p->place);
        if (tunnel_cut_next(&c, &piece) != TUNNEL_OK)
            return;
        if (wrap(x, own, t, path, &piece))
            leave(x, own, &piece, 1);
    }
}

void gh_esp_tunnels_out(struct gh_esp_tunnels *x, uint64_t now_ms, uint32_t number,
                        struct ipsec_packet *packets, size_t count)
{
    struct tunnel *t = tunnel_table_get(x->table, number);
    struct gh_esp_tunnel *own;
    uint16_t path, limit;

    if (t == NULL)
        return;
    own = own_of(x, t);
    x->now_ms = now_ms;
    limit = gh_esp_tunnel_limit(x, t, now_ms);
    path = path_of(x, t, now_ms);
    for (size_t i = 0; i < count; i++) {
        switch (tunnel_mtu_before(&t->p.mtu, limit, (uint16_t)draw(x), &packets[i])) {
        case TUNNEL_OK:
            if (wrap(x, own, t, path, &packets[i]))
                x->leaving[x->leaving_count++] = packets[i];
            break;
        case TUNNEL_TO_FRAGMENT:
            cut(x, own, t, path, &packets[i]);
            break;
        case TUNNEL_TOO_BIG:
            tunnel_count(&t->out, TUNNEL_TOO_BIG);
            refuse(x, own, t, &packets[i], 0);
            break;
        default:
            tunnel_count(&t->out, TUNNEL_MALFORMED);
            break;
        }
    }
    leave_together(x, own);
}

/* ---- In ------------------------------------------------------------------------------------- */

static bool have_reassembly(struct gh_esp_tunnels *x, struct gh_esp_tunnel *own)
{
    const struct tunnel_reassembly_limits limits = {.octets = REASSEMBLY_OCTETS,
                                                    .wait_ms = own->reassembly_ms};
    struct gh_hash_seed seed;

    if (own->reassembly == NULL && own->reassembly_ms != 0) {
        x->setup.ops->random(x->setup.ctx, &seed, sizeof(seed));
        own->reassembly = tunnel_reassembly_new(&limits, &seed);
    }
    return own->reassembly != NULL;
}

static void unwrap(struct gh_esp_tunnels *x, struct tunnel *t, struct ipsec_packet *p)
{
    switch (tunnel_decapsulate(t, p)) {
    case TUNNEL_OK:
        deliver(x, t, p);
        break;
    case TUNNEL_KEEPALIVE:
        if (p->len > 0)
            leave(x, own_of(x, t), p, 1);
        break;
    default:
        break;
    }
}

/* The tunnel's, and come as it should. */
static void receive(struct gh_esp_tunnels *x, struct tunnel *t, struct ipsec_packet *p)
{
    struct ipsec_packet whole = scratch(x->scratches->whole, SCRATCH, p->place);
    struct gh_esp_tunnel *own = own_of(x, t);
    struct tunnel_fragment f;
    enum tunnel_result result;

    if (tunnel_fragment_read(ipsec_packet_data(p), p->len, &f) != TUNNEL_OK)
        return;
    if (!f.is_fragment && !f.atomic) {
        unwrap(x, t, p);
        return;
    }
    result = have_reassembly(x, own) ? tunnel_reassemble(own->reassembly, x->now_ms, p, &whole)
                                     : TUNNEL_REASSEMBLY_OFF;
    if (result != TUNNEL_OK) {
        if (result != TUNNEL_KEPT)
            tunnel_count(&t->in, result);
        return;
    }
    own->counts[GH_TUNNEL_REASSEMBLED]++;
    /* Of two tunnels between the same ends, its key tells now whose it is. */
    if (tunnel_table_find(x->table, &whole, &t) == TUNNEL_OK &&
        gh_config_text_equal(own_of(x, t)->peer, own->peer))
        unwrap(x, t, &whole);
    deliver_together(x);
}

/* So that all others cost next to nothing. */
static bool may_be_tunnel(const struct ipsec_packet *p)
{
    enum { FRAGMENT = 44 };
    const uint8_t *data = ipsec_packet_data(p);
    uint8_t protocol = data[0] >> 4 == 4 ? data[9] : data[6];

    return protocol == TUNNEL_PROTO_GRE || protocol == IPSEC_PROTO_IPV4 ||
           protocol == IPSEC_PROTO_IPV6 ||
           (data[0] >> 4 == 6 && (protocol == FRAGMENT || protocol == TUNNEL_PROTO_DEST_OPTIONS));
}

void gh_esp_tunnels_in(struct gh_esp_tunnels *x, uint64_t now_ms, struct ipsec_packet *packets,
                       size_t count)
{
    x->now_ms = now_ms;
    for (size_t i = 0; tunnel_table_count(x->table) > 0 && i < count; i++) {
        struct ipsec_packet *p = &packets[i];
        enum tunnel_result found;
        struct tunnel *t;

        if (p->result != IPSEC_OK || !may_be_tunnel(p))
            continue;
        found = tunnel_table_find(x->table, p, &t);
        if (found == TUNNEL_NO_TUNNEL)
            continue;
        if (t == NULL) {
            x->unclear[found]++;
        } else if (!is_by_peer(x, p->sa, own_of(x, t)->peer)) {
            own_of(x, t)->counts[GH_TUNNEL_NOT_PROTECTED]++;
        } else {
            receive(x, t, p);
        }
        p->result = IPSEC_ASIDE;
    }
    deliver_together(x);
}

static void receive_clear(struct gh_esp_tunnels *x, struct ipsec_packet *p)
{
    struct tunnel *t;
    enum tunnel_result found = tunnel_table_find(x->table, p, &t);

    if (t == NULL) {
        x->unclear[found]++;
        return;
    }
    if (own_of(x, t)->peer == NULL) {
        ipsec_in(x->setup.engine, x->now_ms, p, 1);
        if (p->result == IPSEC_BYPASS || p->result == IPSEC_NO_POLICY) {
            receive(x, t, p);
            return;
        }
    }
    own_of(x, t)->counts[GH_TUNNEL_NOT_PROTECTED]++;
}

void gh_esp_tunnels_clear(struct gh_esp_tunnels *x, uint64_t now_ms, struct ipsec_packet *packets,
                          size_t count)
{
    x->now_ms = now_ms;
    for (size_t i = 0; i < count; i++)
        receive_clear(x, &packets[i]);
    deliver_together(x);
}

/* ---- ICMP ----------------------------------------------------------------------------------- */

bool gh_esp_tunnels_icmp(struct gh_esp_tunnels *x, uint64_t now_ms, uint32_t place, bool ours,
                         const uint8_t *packet, size_t len)
{
    struct gh_esp_tunnel *own;
    struct tunnel_quote q;
    struct tunnel *t;
    uint16_t mtu;
    bool lower;

    if (tunnel_table_count(x->table) == 0 || tunnel_quote_read(packet, len, &q) != TUNNEL_OK)
        return false;
    t = tunnel_table_quoted(x->table, place, &q.local, &q.remote, q.protocol,
                            q.has_gre_key ? &q.gre_key : NULL);
    if (t == NULL)
        return false;
    own = own_of(x, t);
    /* From the network nobody can have seen what is protected; of the rest, only who sees the
     * packets knows their key. */
    if (!ours && (own->peer != NULL || (t->p.has_send_key && !q.has_gre_key)))
        own->counts[GH_TUNNEL_ICMP_FORGED]++;
    else if (tunnel_pmtu_learn(x->mtus, now_ms, place, &q, &mtu, &lower) == TUNNEL_OK && lower)
        own->counts[GH_TUNNEL_LEARNED]++;
    return true;
}

void gh_esp_tunnels_too_long(struct gh_esp_tunnels *x, uint64_t now_ms, uint32_t place,
                             const uint8_t *packet, size_t len)
{
    struct tunnel_fragment f;
    struct tunnel_quote q = {.kind = TUNNEL_QUOTE_TOO_BIG};
    struct tunnel *t;
    uint16_t mtu;
    bool lower;

    if (tunnel_fragment_read(packet, len, &f) != TUNNEL_OK)
        return;
    q.version = f.version;
    q.mtu = f.version == 6 ? TUNNEL_IPV6_MTU_MIN : 0;
    q.local = f.src;
    q.remote = f.dst;
    q.total_len = f.total_len;
    t = tunnel_table_quoted(x->table, place, &f.src, &f.dst, f.protocol, NULL);
    if (t != NULL && tunnel_pmtu_learn(x->mtus, now_ms, place, &q, &mtu, &lower) == TUNNEL_OK &&
        lower)
        own_of(x, t)->counts[GH_TUNNEL_LEARNED]++;
}

void gh_esp_tunnels_tick(struct gh_esp_tunnels *x, uint64_t now_ms)
{
    tunnel_pmtu_tick(x->mtus, now_ms, NULL, NULL);
    for (size_t i = 0; i < x->count; i++)
        if (x->list[i].reassembly != NULL)
            tunnel_reassembly_tick(x->list[i].reassembly, now_ms);
}

/* ---- The configuration ---------------------------------------------------------------------- */

bool gh_esp_tunnels_has(const struct gh_esp_tunnels *x, uint32_t tunnel)
{
    return tunnel_table_get(x->table, tunnel) != NULL;
}

void gh_esp_tunnels_reach(struct gh_esp_tunnels *x, const struct gh_esp_reach *reach)
{
    uint32_t number = gh_esp_number(x->setup.names, reach->tunnel, NULL);
    struct tunnel *t = tunnel_table_get(x->table, number);

    if (number < x->count) {
        x->list[number].primary = reach->primary;
        x->list[number].backup = reach->backup;
        x->list[number].heard = true;
    }
    if (t != NULL)
        tunnel_set_reach(t, reach->primary, reach->backup);
}

static bool make_room(struct gh_esp_tunnels *x, size_t count)
{
    struct gh_esp_tunnel *more;

    if (count <= x->count)
        return true;
    more = realloc(x->list, count * sizeof(*more));
    if (more == NULL)
        return false;
    memset(more + x->count, 0, (count - x->count) * sizeof(*more));
    x->list = more;
    x->count = count;
    return true;
}

static void forget(struct gh_esp_tunnel *own)
{
    free(own->peer);
    free(own->device);
    tunnel_reassembly_free(own->reassembly);
    own->peer = own->device = NULL;
    own->reassembly = NULL;
}

static struct tunnel_params params_of(struct gh_esp_tunnels *x, const struct gh_ike_config *config,
                                      const struct gh_tunnel *want, uint32_t number)
{
    const struct gh_ike_zone *zone = want->zone > 0 ? &config->zones[want->zone - 1] : NULL;
    struct tunnel_params p = want->p;

    p.id = number;
    p.place = gh_esp_number(x->setup.places, zone != NULL ? zone->netns : NULL,
                            zone != NULL ? zone->vrf : NULL);
    p.private_place = gh_esp_number(x->setup.places, want->netns, want->vrf);
    p.dest_count = 0; /* packets come by the tunnel's own device: nobody asks for next hops */
    return p;
}

/* As it was, it goes on counting. */
static bool take(struct gh_esp_tunnels *x, const struct gh_ike_config *config,
                 const struct gh_tunnel *want, const struct tunnel_table *before, uint64_t now_ms)
{
    uint32_t number = gh_esp_number(x->setup.names, want->name, NULL);
    const struct tunnel *old = tunnel_table_get(before, number);
    struct tunnel_params p = params_of(x, config, want, number);
    struct gh_esp_tunnel *own = &x->list[number];
    struct tunnel *t;

    if (p.place == UINT32_MAX || p.private_place == UINT32_MAX)
        return false;
    if (tunnel_table_add(x->table, &p) != TUNNEL_ADDED) {
        gh_error("tunnel %s: another one has its ends and key", want->name);
        return true; /* it is not there: nothing goes through it */
    }
    t = tunnel_table_get(x->table, number);
    if (old != NULL) {
        struct tunnel_params now = t->p;

        *t = *old;
        t->p = now;
    }
    forget(own);
    own->peer = want->peer != NULL ? strdup(want->peer) : NULL;
    own->device = strdup(want->device);
    own->reassembly_ms = want->reassembly_ms;
    own->dest_count = want->p.dest_count;
    memcpy(own->dests, want->p.dests, sizeof(own->dests));
    if (old == NULL || own->too_big_messages != want->too_big_messages) {
        own->too_big_messages = want->too_big_messages;
        if (want->too_big_messages != 0)
            tunnel_rate_set(&own->rate, want->too_big_messages, want->too_big_seconds, now_ms);
    }
    if (own->heard)
        tunnel_set_reach(t, own->primary, own->backup);
    return (own->peer != NULL || want->peer == NULL) && own->device != NULL;
}

bool gh_esp_tunnels_configure(struct gh_esp_tunnels *x, const struct gh_ike_config *config,
                              uint64_t now_ms)
{
    struct tunnel_table *before = x->table;
    struct gh_hash_seed seed;
    bool good = true;

    tunnel_pmtu_set_age(x->mtus, config->settings.path_mtu_seconds);
    x->setup.ops->random(x->setup.ctx, &seed, sizeof(seed));
    x->table = tunnel_table_new(GH_TUNNELS, &seed);
    if (x->table == NULL) {
        x->table = before;
        return false;
    }
    for (size_t i = 0; i < config->tunnel_count; i++)
        good &= gh_esp_number(x->setup.names, config->tunnels[i].name, NULL) != UINT32_MAX;
    good = good && make_room(x, x->setup.names->count);
    for (size_t i = 0; good && i < config->tunnel_count; i++)
        good = config->tunnels[i].kernel || take(x, config, &config->tunnels[i], before, now_ms);
    tunnel_table_free(before);
    return good;
}

/* ---- Life ----------------------------------------------------------------------------------- */

struct gh_esp_tunnels *gh_esp_tunnels_new(const struct gh_esp_tunnels_setup *setup)
{
    const struct tunnel_pmtu_setup pmtu = {.paths = 0};
    struct gh_esp_tunnels *x = calloc(1, sizeof(*x));
    struct gh_hash_seed seeds[2];

    if (x == NULL)
        return NULL;
    x->setup = *setup;
    setup->ops->random(setup->ctx, seeds, sizeof(seeds));
    x->scratches = calloc(1, sizeof(*x->scratches));
    x->table = tunnel_table_new(GH_TUNNELS, &seeds[0]);
    x->mtus = tunnel_pmtu_new(&pmtu, &seeds[1]);
    if (x->scratches != NULL && x->table != NULL && x->mtus != NULL)
        return x;
    gh_esp_tunnels_free(x);
    return NULL;
}

void gh_esp_tunnels_free(struct gh_esp_tunnels *x)
{
    if (x == NULL)
        return;
    for (size_t i = 0; i < x->count; i++)
        forget(&x->list[i]);
    free(x->list);
    free(x->scratches);
    tunnel_table_free(x->table);
    tunnel_pmtu_free(x->mtus);
    free(x);
}
