#include "daemon/esp_path.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/esp_quoted.h"
#include "daemon/esp_udp_sum.h"
#include "daemon/esp_whole.h"
#include "tunnel/fragment.h"
#include "tunnel/icmp.h"
#include "tunnel/mss.h"
#include "tunnel/mtu.h"
#include "tunnel/rate.h"

enum {
    HEAD = 256,
    SCRATCH = HEAD + 65536 + 128,
    ETHERNET = 1500, /* what is assumed of a path, where the kernel does not fragment for us */
    NO_LIMIT = UINT16_MAX
};

/* Of one child of the configuration. */
struct shape {
    bool known;
    struct ike2_child_path sizes;
    struct tunnel_mtu mtu;
    struct tunnel_rate rate;
};

struct gh_esp_path {
    struct ipsec *engine;
    struct gh_esp_children *children;
    const struct gh_esp_outers *outers;
    const struct gh_esp_path_ops *ops;
    void *ctx;
    struct shape *shapes; /* [policy] */
    size_t shape_count;
    struct tunnel_pmtu *mtus;
    struct gh_esp_whole *whole;
    uint16_t outer; /* packets up to this need no look after protection */
    bool mss;       /* somebody wants it touched */
    bool by_ports;  /* transport mode is only for some */
    bool stale;     /* limits of SAs are to be set anew */
    uint64_t now_ms;
    uint64_t counts[GH_ESP_PATH_COUNT];
    uint8_t piece[SCRATCH], outer_piece[SCRATCH], error[HEAD + 1280];
};

const char *gh_esp_path_count_name(enum gh_esp_path_count count)
{
    static const char *const names[] = {
#define X(name, text) text,
        GH_ESP_PATH_COUNTS(X)
#undef X
    };

    return (unsigned)count < GH_ESP_PATH_COUNT ? names[count] : "?";
}

static uint16_t lower_of(uint16_t a, uint16_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* NULL: the SA has outlived the configuration of its child. */
static struct shape *own_shape(const struct gh_esp_path *x, const struct ipsec_sa *sa)
{
    return sa->p.policy < x->shape_count && x->shapes[sa->p.policy].known ? &x->shapes[sa->p.policy]
                                                                          : NULL;
}

static const struct shape *shape_of(const struct gh_esp_path *x, const struct ipsec_sa *sa)
{
    static const struct shape none = {.sizes = {.ip_mtu = IKE2_IP_MTU},
                                      .mtu = {.ip_mtu = IKE2_IP_MTU}};
    const struct shape *own = own_shape(x, sa);

    return own != NULL ? own : &none;
}

static uint16_t path_of(const struct gh_esp_path *x, const struct ipsec_sa *sa, uint64_t now_ms)
{
    const struct tunnel_path path = {.place = gh_esp_outer(x->outers, sa->p.place),
                                     .local = sa->p.local,
                                     .remote = sa->p.remote};

    return tunnel_pmtu_get(x->mtus, now_ms, &path);
}

/* So that protected it fits the path; 0: not known. */
static uint16_t inner_of(const struct gh_esp_path *x, const struct ipsec_sa *sa, uint16_t path)
{
    const struct ipsec_sa *outer = sa->p.outer != 0 ? ipsec_get_sa(x->engine, sa->p.outer) : NULL;
    size_t room = outer != NULL && path != 0 ? ipsec_sa_payload_max(outer, path) : path;
    size_t inner = room != 0 ? ipsec_sa_payload_max(sa, room) : 0;

    return inner < NO_LIMIT ? (uint16_t)inner : NO_LIMIT;
}

void gh_esp_path_sizes(const struct gh_esp_path *x, const struct ipsec_sa *sa, uint64_t now_ms,
                       uint16_t *inner, uint16_t *path)
{
    *path = path_of(x, sa, now_ms);
    *inner = lower_of(shape_of(x, sa)->mtu.ip_mtu, inner_of(x, sa, *path));
}

/* ---- Limits --------------------------------------------------------------------------------- */

static enum ipsec_df df_of(enum ike2_outer_df df)
{
    switch (df) {
    case IKE2_DF_COPY:
        return IPSEC_DF_COPY;
    case IKE2_DF_SET:
        return IPSEC_DF_SET;
    default:
        return IPSEC_DF_CLEAR;
    }
}

static void set_limits(void *ctx, uint64_t id)
{
    struct gh_esp_path *x = ctx;
    const struct ipsec_sa *sa = ipsec_get_sa(x->engine, id);
    const struct shape *s;
    struct ipsec_tunnel tunnel;
    struct ipsec_aside aside;
    uint16_t path;

    if (sa == NULL)
        return;
    s = shape_of(x, sa);
    tunnel = sa->p.tunnel;
    tunnel.df = df_of(s->sizes.df);
    aside.syn = s->sizes.mss != 0;
    aside.fragments = true;
    gh_esp_path_sizes(x, sa, x->now_ms, &aside.longer, &path);
    if (path != 0 && path < x->outer)
        x->outer = path;
    ipsec_set_sa_tunnel(x->engine, id, &tunnel);
    ipsec_set_sa_aside(x->engine, id, &aside);
}

static void set_all_limits(struct gh_esp_path *x, uint64_t now_ms)
{
    x->now_ms = now_ms;
    x->stale = false;
    x->outer = NO_LIMIT;
    for (size_t i = 0; i < x->shape_count; i++)
        if (x->shapes[i].known)
            x->outer = lower_of(x->outer, x->shapes[i].mtu.encapsulated_ip_mtu);
    gh_esp_children_each_out(x->children, set_limits, x);
}

void gh_esp_path_changed(struct gh_esp_path *x, uint64_t sa, uint64_t now_ms)
{
    x->now_ms = now_ms;
    set_limits(x, sa);
}

static void take_shape(struct gh_esp_path *x, const struct ike2_child_path *sizes, size_t at,
                       uint64_t now_ms)
{
    struct shape *s = &x->shapes[at];
    bool same_rate = s->sizes.too_big_messages == sizes->too_big_messages &&
                     s->sizes.too_big_seconds == sizes->too_big_seconds;

    s->known = true;
    s->sizes = *sizes;
    s->mtu = (struct tunnel_mtu){.ip_mtu = sizes->ip_mtu,
                                 .encapsulated_ip_mtu = sizes->encapsulated_ip_mtu,
                                 .clear_df = sizes->clear_df,
                                 .ipv6 = sizes->ipv6_whole ? TUNNEL_MTU_IPV6_WHOLE
                                                           : TUNNEL_MTU_IPV6_DROP};
    if (!same_rate && sizes->too_big_messages != 0)
        tunnel_rate_set(&s->rate, sizes->too_big_messages, sizes->too_big_seconds, now_ms);
    x->mss |= sizes->mss != 0;
}

static bool make_room(struct gh_esp_path *x, size_t count)
{
    struct shape *more;

    if (count <= x->shape_count)
        return true;
    more = realloc(x->shapes, count * sizeof(*more));
    if (more == NULL)
        return false;
    memset(more + x->shape_count, 0, (count - x->shape_count) * sizeof(*more));
    x->shapes = more;
    x->shape_count = count;
    return true;
}

bool gh_esp_path_configure(struct gh_esp_path *x, const struct gh_ike_config *config,
                           struct gh_esp_names *policies, uint64_t now_ms)
{
    for (size_t i = 0; i < config->policy_count; i++)
        for (size_t k = 0; k < config->policies[i]->child_count; k++)
            if (gh_esp_number(policies, config->policies[i]->name,
                              config->policies[i]->children[k].name) == UINT32_MAX)
                return false;
    if (!make_room(x, policies->count))
        return false;
    tunnel_pmtu_set_age(x->mtus, config->settings.path_mtu_seconds);
    x->mss = false;
    x->by_ports = gh_esp_whole_by_ports(config);
    for (size_t i = 0; i < x->shape_count; i++)
        x->shapes[i].known = false;
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct ike2_policy *p = config->policies[i];

        for (size_t k = 0; k < p->child_count; k++)
            if (p->children[k].mode != IKE2_TCP_AO)
                take_shape(x, &p->children[k].path,
                           gh_esp_number(policies, p->name, p->children[k].name), now_ms);
    }
    set_all_limits(x, now_ms);
    return true;
}

/* ---- Out ------------------------------------------------------------------------------------ */

static struct ipsec_packet scratch(uint8_t *mem, size_t cap, uint32_t place)
{
    return (struct ipsec_packet){.mem = mem, .cap = cap, .at = HEAD, .place = place, .seen = true};
}

static uint32_t draw(struct gh_esp_path *x)
{
    uint32_t value;

    x->ops->random(x->ctx, &value, sizeof(value));
    return value;
}

/* Protected, and to leave in fragments of p->mtu. */
static void cut_after(struct gh_esp_path *x, struct ipsec_packet *p)
{
    struct ipsec_packet piece;
    struct tunnel_cut cut;

    gh_esp_udp_sum(p);
    p->result = IPSEC_TO_FRAGMENT;
    if (tunnel_cut_begin(&cut, ipsec_packet_data(p), p->len, p->mtu, draw(x)) != TUNNEL_OK) {
        x->counts[GH_ESP_PATH_MALFORMED]++;
        return;
    }
    x->counts[GH_ESP_PATH_CUT_AFTER]++;
    while (tunnel_cut_more(&cut)) {
        piece = scratch(x->outer_piece, sizeof(x->outer_piece), p->place);
        if (tunnel_cut_next(&cut, &piece) != TUNNEL_OK)
            return;
        x->ops->send(x->ctx, &piece);
    }
}

/* Longer than somebody's path or encapsulated-ip-mtu? */
static void look_after(struct gh_esp_path *x, struct ipsec_packet *p)
{
    const struct ipsec_sa *sa = ipsec_get_sa(x->engine, p->sa);

    if (sa != NULL && tunnel_mtu_after(&shape_of(x, sa)->mtu, path_of(x, sa, x->now_ms),
                                       (uint16_t)draw(x), p) == TUNNEL_TO_FRAGMENT)
        cut_after(x, p);
}

/* Through the engine again. */
static void protect(struct gh_esp_path *x, struct ipsec_packet *p)
{
    p->seen = true;
    ipsec_out(x->engine, x->now_ms, p, 1);
    x->ops->passed(x->ctx, p);
    if (p->result == IPSEC_OK && p->len > x->outer)
        look_after(x, p);
}

static void cut(struct gh_esp_path *x, struct ipsec_packet *p)
{
    struct ipsec_packet piece;
    struct tunnel_cut c;

    if (tunnel_cut_begin(&c, ipsec_packet_data(p), p->len, p->mtu, draw(x)) != TUNNEL_OK) {
        x->counts[GH_ESP_PATH_MALFORMED]++;
        return;
    }
    x->counts[GH_ESP_PATH_CUT]++;
    while (tunnel_cut_more(&c)) {
        piece = scratch(x->piece, sizeof(x->piece), p->place);
        if (tunnel_cut_next(&c, &piece) != TUNNEL_OK)
            return;
        protect(x, &piece);
        if (piece.result == IPSEC_OK)
            x->ops->send(x->ctx, &piece);
    }
}

static struct gh_addr destination(const struct ipsec_packet *p)
{
    const uint8_t *data = ipsec_packet_data(p);

    return data[0] >> 4 == 4 ? gh_addr_from(data + 16, 4) : gh_addr_from(data + 24, 16);
}

static void refuse(struct gh_esp_path *x, struct shape *s, struct ipsec_packet *p)
{
    struct ipsec_packet error = scratch(x->error, sizeof(x->error), p->place);
    struct gh_addr from = destination(p);

    x->counts[GH_ESP_PATH_TOO_BIG]++;
    if (s == NULL || s->sizes.too_big_messages == 0 || !tunnel_source_valid(&from) ||
        !tunnel_rate_take(&s->rate, x->now_ms) ||
        tunnel_icmp_too_big(p, p->mtu, &from, &error) != TUNNEL_OK) {
        x->counts[GH_ESP_PATH_NOT_TOLD]++;
        return;
    }
    x->counts[GH_ESP_PATH_TOLD]++;
    x->ops->deliver(x->ctx, &error);
}

static void lower_mss(struct gh_esp_path *x, const struct ipsec_sa *sa, struct ipsec_packet *p)
{
    const struct shape *s = shape_of(x, sa);
    uint16_t mss = s->sizes.mss, inner, path;

    if (mss == 0)
        return;
    if (mss == IKE2_MSS_AUTO) {
        gh_esp_path_sizes(x, sa, x->now_ms, &inner, &path);
        mss = tunnel_mss_for(ipsec_packet_data(p)[0] >> 4, inner);
    }
    x->counts[GH_ESP_PATH_MSS] += tunnel_mss_lower(ipsec_packet_data(p), p->len, mss);
}

static enum tunnel_result judge(struct gh_esp_path *x, const struct ipsec_sa *sa,
                                struct ipsec_packet *p)
{
    const struct shape *s = shape_of(x, sa);
    enum tunnel_result result;
    struct tunnel_fragment f;
    uint16_t inner, path;

    gh_esp_path_sizes(x, sa, x->now_ms, &inner, &path);
    if (sa->p.mode == IPSEC_TRANSPORT)
        return gh_esp_whole_judge(p, inner);
    if (tunnel_fragment_read(ipsec_packet_data(p), p->len, &f) != TUNNEL_OK)
        return TUNNEL_MALFORMED;
    result = tunnel_mtu_before(&s->mtu, inner_of(x, sa, path), (uint16_t)draw(x), p);
    x->counts[GH_ESP_PATH_DF_CLEARED] += result == TUNNEL_TO_FRAGMENT && f.df;
    return result;
}

/* A fragment that must not go alone. The whole is protected, however long it is: for IPv6, too, its
 * source is this host, which may fragment it afterwards. False: it is none. */
static bool complete(struct gh_esp_path *x, const struct ipsec_packet *p)
{
    struct ipsec_packet whole;

    if (!gh_esp_whole_is_due(p))
        return false;
    if (!gh_esp_whole_take(x->whole, x->now_ms, p, &whole))
        return true;
    x->counts[GH_ESP_PATH_WHOLE]++;
    protect(x, &whole);
    whole.mtu = ETHERNET;
    if (whole.result == IPSEC_OK && whole.len > ETHERNET &&
        gh_esp_path_is_raw(ipsec_packet_data(&whole)))
        cut_after(x, &whole);
    else if (whole.result == IPSEC_OK)
        x->ops->send(x->ctx, &whole);
    return true;
}

static void put_aside(struct gh_esp_path *x, struct ipsec_packet *p)
{
    const struct ipsec_sa *sa = ipsec_get_sa(x->engine, p->sa);

    if (sa == NULL || (sa->p.mode == IPSEC_TRANSPORT && complete(x, p)))
        return;
    lower_mss(x, sa, p);
    switch (judge(x, sa, p)) {
    case TUNNEL_OK:
        protect(x, p);
        break;
    case TUNNEL_TO_FRAGMENT:
        cut(x, p);
        break;
    case TUNNEL_TOO_BIG:
        refuse(x, own_shape(x, sa), p);
        break;
    default:
        x->counts[GH_ESP_PATH_MALFORMED]++;
        break;
    }
}

void gh_esp_path_out(struct gh_esp_path *x, uint64_t now_ms, struct ipsec_packet *packets,
                     size_t count)
{
    x->now_ms = now_ms;
    for (size_t i = 0; i < count; i++) {
        if (packets[i].result == IPSEC_ASIDE)
            put_aside(x, &packets[i]);
        else if (packets[i].result == IPSEC_OK && packets[i].len > x->outer)
            look_after(x, &packets[i]);
        else if (packets[i].result == IPSEC_NO_POLICY && x->by_ports)
            complete(x, &packets[i]);
    }
}

/* ---- In ------------------------------------------------------------------------------------- */

/* So that all others cost next to nothing. */
static bool may_open_tcp(const struct ipsec_packet *p)
{
    enum { TCP = 6, FLAGS_AT = 13, SYN = 2 };
    const uint8_t *data = ipsec_packet_data(p);
    bool v4 = data[0] >> 4 == 4;
    size_t header = v4 ? 4 * (data[0] & 15u) : IPSEC_IPV6_HEADER;

    if (p->len <= header + FLAGS_AT)
        return false;
    if (!v4 && data[6] != TCP)
        return data[6] == 0 || data[6] == 43 || data[6] == 60; /* extension headers before it */
    return (v4 ? data[9] : data[6]) == TCP && (data[header + FLAGS_AT] & SYN) != 0;
}

void gh_esp_path_in(struct gh_esp_path *x, uint64_t now_ms, struct ipsec_packet *packets,
                    size_t count)
{
    x->now_ms = now_ms;
    for (size_t i = 0; x->mss && i < count; i++) {
        const struct ipsec_sa *sa = packets[i].result == IPSEC_OK && may_open_tcp(&packets[i])
                                        ? ipsec_get_sa(x->engine, packets[i].sa)
                                        : NULL;

        if (sa != NULL)
            lower_mss(x, sa, &packets[i]);
    }
}

/* ---- ICMP ----------------------------------------------------------------------------------- */

void gh_esp_path_icmp(struct gh_esp_path *x, uint64_t now_ms, uint32_t place, const uint8_t *packet,
                      size_t len)
{
    const struct ipsec_sa *sa;
    struct tunnel_quote q;
    uint16_t mtu;
    bool lower;

    if (tunnel_quote_read(packet, len, &q) != TUNNEL_OK ||
        (q.protocol != IPSEC_PROTO_ESP && q.protocol != IPSEC_PROTO_AH &&
         q.protocol != IPSEC_PROTO_UDP))
        return;
    x->counts[GH_ESP_PATH_ICMP]++;
    sa = gh_esp_quoted_sa(x->engine, x->outers, place, &q);
    if (sa == NULL) {
        x->counts[GH_ESP_PATH_FORGED]++;
    } else if (shape_of(x, sa)->sizes.ignores_icmp ||
               tunnel_pmtu_learn(x->mtus, now_ms, place, &q, &mtu, &lower) != TUNNEL_OK) {
        x->counts[GH_ESP_PATH_IGNORED]++;
    } else if (lower) {
        x->counts[GH_ESP_PATH_LEARNED]++;
        x->stale = true; /* others that go the same way follow with the next tick */
        gh_esp_path_changed(x, sa->p.id, now_ms);
    }
}

void gh_esp_path_too_long(struct gh_esp_path *x, uint64_t now_ms, uint32_t place,
                          const uint8_t *packet, size_t len)
{
    struct tunnel_fragment f;
    struct tunnel_quote q;
    uint16_t mtu;
    bool lower;

    if (len == 0 || !gh_esp_path_is_raw(packet) ||
        tunnel_fragment_read(packet, len, &f) != TUNNEL_OK)
        return;
    q = (struct tunnel_quote){.kind = TUNNEL_QUOTE_TOO_BIG,
                              .version = f.version,
                              .mtu = f.version == 6 ? TUNNEL_IPV6_MTU_MIN : 0,
                              .local = f.src,
                              .remote = f.dst,
                              .total_len = f.total_len};
    if (tunnel_pmtu_learn(x->mtus, now_ms, place, &q, &mtu, &lower) == TUNNEL_OK && lower)
        set_all_limits(x, now_ms);
}

static void on_aged(void *arg, const struct tunnel_path *path)
{
    ((struct gh_esp_path *)arg)->stale = true;
}

void gh_esp_path_tick(struct gh_esp_path *x, uint64_t now_ms)
{
    tunnel_pmtu_tick(x->mtus, now_ms, on_aged, x);
    gh_esp_whole_tick(x->whole, now_ms);
    if (x->stale)
        set_all_limits(x, now_ms);
}

/* ---- Life ----------------------------------------------------------------------------------- */

const uint64_t *gh_esp_path_counts(const struct gh_esp_path *x)
{
    return x->counts;
}

const struct tunnel_pmtu *gh_esp_path_mtus(const struct gh_esp_path *x)
{
    return x->mtus;
}

bool gh_esp_path_is_raw(const uint8_t *packet)
{
    enum { DF_OFFSET_MORE = 0x7f };
    bool v4 = packet[0] >> 4 == 4;
    uint8_t protocol = packet[v4 ? 9 : 6];

    return (protocol != IPSEC_PROTO_ESP && protocol != IPSEC_PROTO_UDP) ||
           (v4 && ((packet[6] & DF_OFFSET_MORE) != 0 || packet[7] != 0));
}

struct gh_esp_path *gh_esp_path_new(struct ipsec *engine, struct gh_esp_children *children,
                                    const struct gh_esp_outers *outers,
                                    const struct gh_esp_path_ops *ops, void *ctx)
{
    const struct tunnel_pmtu_setup setup = {.paths = 0};
    struct gh_esp_path *x = calloc(1, sizeof(*x));
    struct gh_hash_seed seeds[2];

    if (x == NULL)
        return NULL;
    x->engine = engine;
    x->children = children;
    x->outers = outers;
    x->ops = ops;
    x->ctx = ctx;
    x->outer = NO_LIMIT;
    ops->random(ctx, seeds, sizeof(seeds));
    x->mtus = tunnel_pmtu_new(&setup, &seeds[0]);
    x->whole = gh_esp_whole_new(&seeds[1]);
    if (x->mtus != NULL && x->whole != NULL)
        return x;
    gh_esp_path_free(x);
    return NULL;
}

void gh_esp_path_free(struct gh_esp_path *x)
{
    if (x == NULL)
        return;
    gh_esp_whole_free(x->whole);
    tunnel_pmtu_free(x->mtus);
    free(x->shapes);
    free(x);
}
