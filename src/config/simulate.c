#include "config/simulate.h"

#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/lifetime.h"

enum { HOLD_DEFAULT = 180, ROUNDS = 4, KEEPALIVE = 19, HEADER = 20, SYN = 0x02, ACK = 0x10 };

/* One end: its keys, its clock, its connection. */
struct side {
    struct tcpao_chain *chain;
    struct tcpao_conn *conn; /* NULL: none is open */
    struct tcpao_endpoint self;
    int64_t skew;
    uint32_t seq;
};

struct play {
    struct side side[2];
    uint32_t isn; /* of the next connection */
};

/* ---- Segments ---- */

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

static void make_header(uint8_t hdr[HEADER], const struct side *from, const struct side *to,
                        uint8_t flags)
{
    memset(hdr, 0, HEADER);
    hdr[0] = (uint8_t)(from->self.port >> 8);
    hdr[1] = (uint8_t)from->self.port;
    hdr[2] = (uint8_t)(to->self.port >> 8);
    hdr[3] = (uint8_t)to->self.port;
    put32(hdr + 4, from->seq);
    if (flags & ACK)
        put32(hdr + 8, to->seq);
    hdr[12] = HEADER / 4 << 4;
    hdr[13] = flags;
}

/* A segment on the wire, signed or not. */
struct segment {
    enum tcpao_result signed_;
    uint8_t hdr[TCPAO_TCP_HEADER_MAX];
    size_t hdr_len;
    uint32_t seq;
    uint8_t flags;
    uint8_t payload[KEEPALIVE];
    size_t payload_len;
};

static struct segment send_segment(struct side *from, const struct side *to, int64_t t,
                                   uint8_t flags)
{
    struct segment s = {
        .flags = flags, .seq = from->seq, .payload_len = flags & SYN ? 0 : KEEPALIVE};
    uint8_t hdr[HEADER];

    make_header(hdr, from, to, flags);
    s.signed_ = tcpao_conn_sign(from->conn, t + from->skew, hdr, HEADER, s.payload, s.payload_len,
                                s.hdr, &s.hdr_len);
    if (s.signed_ == TCPAO_OK)
        from->seq += flags & SYN ? 1 : KEEPALIVE;
    return s;
}

static enum tcpao_result receive_segment(struct side *to, const struct side *from, int64_t t,
                                         const struct segment *s)
{
    enum tcpao_result r = s->signed_;
    struct tcpao_seen seen;

    if (r != TCPAO_OK)
        return r;
    if (s->flags != SYN)
        return tcpao_conn_verify(to->conn, t + to->skew, s->hdr, s->hdr_len, s->payload,
                                 s->payload_len, &seen);
    r = tcpao_verify_syn(to->chain, &to->self, &from->self, t + to->skew, s->hdr, s->hdr_len,
                         s->payload, s->payload_len, &seen);
    if (r == TCPAO_OK)
        tcpao_conn_accept_syn(to->conn, t + to->skew, s->seq, &seen);
    return r;
}

/* ---- Connections ---- */

static void close_connection(struct play *p)
{
    for (size_t i = 0; i < 2; i++) {
        tcpao_conn_free(p->side[i].conn);
        p->side[i].conn = NULL;
    }
}

/* Segment after segment of a handshake that `a` begins. refused[i]: why i's did not arrive. */
static bool handshake(struct play *p, size_t a, int64_t t, enum tcpao_result refused[2])
{
    static const uint8_t flags[] = {SYN, SYN | ACK, ACK};

    for (size_t i = 0; i < 2; i++) {
        struct side *s = &p->side[i];

        s->conn = tcpao_conn_new(s->chain, &s->self, &p->side[1 - i].self);
        s->seq = p->isn += 0x10001;
        refused[i] = TCPAO_OK;
        if (s->conn == NULL)
            refused[i] = TCPAO_CRYPTO_FAILED;
    }
    for (size_t i = 0; i < 3; i++) {
        size_t from = i % 2 == 0 ? a : 1 - a;
        struct segment s;

        if (p->side[from].conn == NULL || p->side[1 - from].conn == NULL)
            break;
        s = send_segment(&p->side[from], &p->side[1 - from], t, flags[i]);
        refused[from] = receive_segment(&p->side[1 - from], &p->side[from], t, &s);
        if (refused[from] != TCPAO_OK)
            break;
    }
    if (refused[0] == TCPAO_OK && refused[1] == TCPAO_OK)
        return true;
    close_connection(p);
    return false;
}

/* Either end may open, as in BGP. */
static bool connect_ends(struct play *p, int64_t t, enum tcpao_result refused[2])
{
    enum tcpao_result second[2];
    bool up;

    if (handshake(p, GH_SIM_HERE, t, refused))
        return true;
    up = handshake(p, GH_SIM_THERE, t, second);
    for (size_t i = 0; i < 2; i++) {
        if (up || refused[i] == TCPAO_OK)
            refused[i] = second[i];
    }
    return up;
}

/* A segment each way, sent and received at times that may differ. */
static bool exchange(struct play *p, int64_t sent, int64_t received, enum tcpao_result refused[2])
{
    struct segment s[2];
    bool good = true;

    for (size_t i = 0; i < 2; i++)
        s[i] = send_segment(&p->side[i], &p->side[1 - i], sent, ACK);
    for (size_t i = 0; i < 2; i++) {
        enum tcpao_result r = receive_segment(&p->side[1 - i], &p->side[i], received, &s[i]);

        if (r != TCPAO_OK) {
            refused[i] = r;
            good = false;
        }
    }
    return good;
}

/* ---- What one end looks like ---- */

static void describe(const struct side *s, int64_t now, struct gh_sim_end *out)
{
    const struct tcpao_mkt *send = tcpao_chain_preferred(s->chain, now), *rnext = send;
    struct tcpao_conn_state state;

    if (s->conn != NULL) {
        tcpao_conn_export(s->conn, &state);
        if (state.current_known) /* may be one that the peer asked for, by the tolerance */
            send = tcpao_chain_find(s->chain, state.current_key);
        if (state.rnext_known)
            rnext = tcpao_chain_find(s->chain, state.rnext_key);
    }
    out->sends = send != NULL;
    out->announces = send != NULL && rnext != NULL;
    if (out->sends) {
        out->send_key = send->number;
        out->send_id = send->send_id;
    }
    if (out->announces) {
        out->rnext_key = rnext->number;
        out->rnext_id = rnext->recv_id;
    }
    for (unsigned id = 0; id < 256; id++) {
        if (tcpao_chain_by_recv_id(s->chain, (uint8_t)id, now) != NULL)
            out->accepts[out->accept_count++] = (uint8_t)id;
    }
}

/* ---- The play ---- */

static int64_t next_change(const struct play *p, int64_t t)
{
    int64_t soonest = TCPAO_TIME_MAX;

    for (size_t i = 0; i < 2; i++) {
        const struct side *s = &p->side[i];
        int64_t change = tcpao_chain_next_change(s->chain, t + s->skew);

        if (change != TCPAO_TIME_MAX && change - s->skew < soonest)
            soonest = change - s->skew;
    }
    return soonest;
}

/* Segments in flight across the instant, then enough of them for RNextKeyID to do its work. */
static bool talk(struct play *p, int64_t t, bool first, enum tcpao_result refused[2])
{
    bool good = first || exchange(p, t - 1, t, refused);

    for (int i = 0; i < ROUNDS; i++)
        good = exchange(p, t, t, refused) && good;
    return good;
}

static void play_step(struct play *p, const struct gh_sim_setup *setup, int64_t t, int64_t next,
                      struct gh_sim *sim)
{
    struct gh_sim_step *step;
    enum tcpao_result refused[2] = {TCPAO_OK, TCPAO_OK};
    int64_t hold = setup->hold > 0 ? setup->hold : HOLD_DEFAULT;
    bool first = sim->count == 0, was_up = p->side[0].conn != NULL;

    sim->steps = gh_config_grow(sim->steps, sim->count, sizeof(*sim->steps));
    step = &sim->steps[sim->count++];
    step->time = t;
    if (was_up && !talk(p, t, first, refused)) {
        sim->refusals++;
        step->status = GH_SIM_WAITS;
        if (next == TCPAO_TIME_MAX || next - t > hold)
            close_connection(p);
    }
    for (size_t i = 0; i < 2; i++)
        step->end[i].refused = refused[i];
    if (p->side[0].conn == NULL) {
        if (connect_ends(p, t, refused) && talk(p, t, true, refused)) {
            step->status = was_up ? GH_SIM_RESET : GH_SIM_UP;
            sim->resets += was_up;
        } else {
            close_connection(p);
            step->status = GH_SIM_DOWN;
            for (size_t i = 0; i < 2; i++)
                step->end[i].refused = refused[i];
        }
    }
    for (size_t i = 0; i < 2; i++)
        describe(&p->side[i], t + p->side[i].skew, &step->end[i]);
}

static bool same_step(const struct gh_sim_step *a, const struct gh_sim_step *b)
{
    if (a->status != b->status)
        return false;
    for (size_t i = 0; i < 2; i++) {
        const struct gh_sim_end *x = &a->end[i], *y = &b->end[i];

        if (x->sends != y->sends || x->send_key != y->send_key || x->announces != y->announces ||
            x->rnext_key != y->rnext_key || x->refused != y->refused ||
            x->accept_count != y->accept_count ||
            memcmp(x->accepts, y->accepts, x->accept_count) != 0)
            return false;
    }
    return true;
}

/* Keys whose secret was not loaded get the same one everywhere; then none is compared. */
static struct tcpao_chain *build_chain(const struct gh_key_chain *k, bool cross, bool no_secrets)
{
    static const uint8_t stand_in[] = "stands in for all secrets";
    struct tcpao_chain *chain = tcpao_chain_new(k->tolerance);

    for (size_t i = 0; chain != NULL && i < k->key_count; i++) {
        struct tcpao_mkt mkt = k->keys[i].mkt;

        if (cross) {
            mkt.send_id = k->keys[i].mkt.recv_id;
            mkt.recv_id = k->keys[i].mkt.send_id;
        }
        if (no_secrets) {
            mkt.secret = stand_in;
            mkt.secret_len = sizeof(stand_in) - 1;
        }
        mkt.accept_mismatch = false; /* what is played is protection, not its absence */
        if (tcpao_chain_add(chain, &mkt, NULL) != TCPAO_CHAIN_OK) {
            /* crossed, an accept lifetime longer than the send lifetime may meet another key's id
             */
            mkt.accept = mkt.send;
            if (tcpao_chain_add(chain, &mkt, NULL) == TCPAO_CHAIN_OK)
                continue;
            tcpao_chain_put(chain);
            chain = NULL;
        }
    }
    return chain;
}

static bool lacks_secret(const struct gh_key_chain *k)
{
    for (size_t i = 0; i < k->key_count; i++) {
        if (k->keys[i].secret.len == 0)
            return true;
    }
    return false;
}

static int64_t later_finite(int64_t latest, int64_t t)
{
    return t != TCPAO_TIME_MIN && t != TCPAO_TIME_MAX && t > latest ? t : latest;
}

int64_t gh_sim_last_change(const struct gh_key_chain *here, const struct gh_key_chain *there)
{
    const struct gh_key_chain *chains[] = {here, there != NULL ? there : here};
    int64_t latest = TCPAO_TIME_MIN;

    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < chains[c]->key_count; i++) {
            const struct tcpao_mkt *m = &chains[c]->keys[i].mkt;
            struct tcpao_lifetime wide = gh_lifetime_widen(&m->accept, chains[c]->tolerance);

            if (!gh_lifetime_empty(&m->send))
                latest = later_finite(later_finite(latest, m->send.from), m->send.until);
            if (!gh_lifetime_empty(&m->accept))
                latest = later_finite(later_finite(latest, wide.from), wide.until);
        }
    }
    return latest;
}

/* The first step of those at the end in which the session is down. */
static int64_t day_of_death(const struct gh_sim *sim)
{
    int64_t dies = TCPAO_TIME_MAX;

    for (size_t i = sim->count; i-- > 0 && sim->steps[i].status == GH_SIM_DOWN;)
        dies = sim->steps[i].time;
    return dies;
}

bool gh_simulate(const struct gh_sim_setup *setup, struct gh_sim *out)
{
    const struct gh_key_chain *there = setup->there != NULL ? setup->there : setup->here;
    bool no_secrets = lacks_secret(setup->here) || lacks_secret(there);
    struct play p = {.side = {{.self = {.addr = {192, 0, 2, 1}, .addr_len = 4, .port = 50000}},
                              {.self = {.addr = {192, 0, 2, 2}, .addr_len = 4, .port = 179},
                               .skew = setup->skew}}};
    int64_t t = setup->from, next;
    bool good;

    *out = (struct gh_sim){.from = setup->from,
                           .to = setup->to,
                           .skew = setup->skew,
                           .secrets_taken_as_equal = no_secrets};
    p.side[0].chain = build_chain(setup->here, false, no_secrets);
    p.side[1].chain = build_chain(there, setup->there == NULL, no_secrets);
    good = p.side[0].chain != NULL && p.side[1].chain != NULL;
    for (; good && t < setup->to; t = next) {
        next = next_change(&p, t);
        play_step(&p, setup, t, next, out);
        if (out->count > 1 && same_step(&out->steps[out->count - 2], &out->steps[out->count - 1]))
            out->count--;
        if (next == TCPAO_TIME_MAX)
            break;
    }
    close_connection(&p);
    tcpao_chain_put(p.side[0].chain);
    tcpao_chain_put(p.side[1].chain);
    out->dies = day_of_death(out);
    return good;
}

void gh_sim_free(struct gh_sim *sim)
{
    free(sim->steps);
    memset(sim, 0, sizeof(*sim));
}

const char *gh_sim_status_name(enum gh_sim_status s)
{
    static const char *const names[] = {"up", "reset", "waits", "down"};

    return names[s];
}
