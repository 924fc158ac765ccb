/*
 * Who is let in when there are many (RFC 7296 2.6, RFC 8019): whoever comes must show that it is
 * where it says by a cookie, and when even that is not enough, that it has work to spare by a
 * puzzle. And the other side of it: we bring cookies back and solve puzzles, a portion at each
 * tick.
 */
#include <string.h>

#include "ike/v2/auth.h"
#include "ike/v2/gate.h"
#include "ike/v2/init.h"
#include "ike/v2/priv.h"
#include "ike/v2/resume.h"
#include "ike/v2/tell.h"

enum {
    BITS_OF_OURS = 16, /* where the peer leaves the difficulty to us */
    PORTION_MS = 1
};

/* ---- Responder ------------------------------------------------------------------------------ */

/* A PRF of the initiator's that we know. 0: none. */
static uint16_t prf_of(const struct ike_sa *offer)
{
    uint16_t known = 0;

    for (size_t i = 0; offer != NULL && i < offer->count; i++)
        for (size_t t = 0; t < offer->proposal[i].count; t++) {
            const struct ike_transform *x = &offer->proposal[i].transform[t];

            if (x->type != IKE_T_PRF || gh_prf_len((enum gh_prf_alg)x->id) == 0)
                continue;
            if (known == 0 || x->id == IKE_PRF_HMAC_SHA2_256)
                known = x->id;
        }
    return known;
}

static bool is_solved(struct ike2 *c, const struct ike_message *m, struct gh_view cookie,
                      const struct ike_puzzle *puzzle)
{
    const struct ike_payload *p = ike_find(&m->clear, IKE_P_PS, 0);
    struct gh_view solution;
    unsigned bits = 0;

    if (p == NULL)
        return false;
    if (ike_puzzle_solution_parse(p->body, &solution) == IKE_OK &&
        ike_puzzle_verify(puzzle->prf, cookie, solution, &bits) && bits >= puzzle->difficulty) {
        ike2_count(c, IKE2_COUNT_PUZZLES_SOLVED);
        return true;
    }
    ike2_count(c, IKE2_COUNT_BAD_PUZZLE);
    return false;
}

/* RFC 8019 7.1: some of those who cannot solve puzzles, but are where they say. */
static bool is_lucky(struct ike2 *c)
{
    uint32_t r;

    c->ops.random(c->ops.ctx, &r, sizeof(r));
    return r % 1000 < c->settings.puzzle_legacy;
}

bool ike2_gate(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m,
               struct gh_view nonce, const struct ike_sa *offer)
{
    const struct ike_cookie_peer peer = {
        .nonce = nonce, .spi_i = m->h.spi_i, .addr = &d->remote.addr, .zone = d->local.zone};
    struct ike_puzzle given = {0},
                      puzzle = {.prf = prf_of(offer), .difficulty = c->settings.puzzle_bits};
    bool puzzles = c->half_open >= c->settings.half_open_puzzle && puzzle.prf != 0;
    uint8_t cookie[IKE_COOKIE_LEN];
    struct ike_notify n;

    if (c->half_open < c->settings.half_open_cookie)
        return true;
    if (ike_find_notify(&m->clear, IKE_N_COOKIE, 0, &n)) {
        switch (ike_cookie_check(&c->cookies, &peer, n.data, &given)) {
        case IKE_COOKIE_GOOD_PUZZLE:
            if (!puzzles || is_solved(c, m, n.data, &given) || is_lucky(c))
                return true;
            break;
        case IKE_COOKIE_GOOD:
            if (!puzzles)
                return true;
            break;
        default:
            ike2_count(c, IKE2_COUNT_BAD_COOKIE);
            break;
        }
    }
    if (!ike_cookie_make(&c->cookies, &peer, puzzles ? &puzzle : NULL, cookie))
        return false;
    ike2_count(c, puzzles ? IKE2_COUNT_PUZZLES_SENT : IKE2_COUNT_COOKIES_SENT);
    ike2_answer_plain(c, d, m, IKE_N_COOKIE, gh_view_of(cookie, sizeof(cookie)),
                      puzzles ? &puzzle : NULL);
    return false;
}

/* ---- Initiator ------------------------------------------------------------------------------ */

static void too_hard(struct ike2 *c, struct ike2_sa *sa, unsigned bits)
{
    ike2_fail(c, sa, IKE2_COUNT_PUZZLE_TOO_HARD,
              "the peer asks for a puzzle of %u bits to be solved, of which we do at most %u", bits,
              sa->policy->puzzle_bits);
}

/* False: the cookie alone may do. */
static bool begin_search(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m)
{
    struct ike2_setup *s = sa->setup;
    unsigned most = sa->policy->puzzle_bits;
    struct ike_puzzle puzzle;
    struct ike_notify n;
    unsigned bits;

    if (!ike_find_notify(&m->clear, IKE_N_PUZZLE, 0, &n) ||
        ike_puzzle_read(n.data, &puzzle) != IKE_OK)
        return false;
    bits = puzzle.difficulty;
    if (bits == 0)
        bits = most < BITS_OF_OURS ? most : BITS_OF_OURS;
    if (most > 0 && ike_puzzle_begin(&s->search, puzzle.prf, bits, most))
        return true;
    too_hard(c, sa, bits);
    return false;
}

bool ike2_gate_closed(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                      struct gh_view cookie)
{
    struct ike2_setup *s = sa->setup;

    if (sa->puzzle_at != 0 && gh_view_equal(s->cookie, cookie))
        return false; /* it says again what we are working at */
    s->cookies_taken++;
    memcpy(s->cookie_octets, cookie.p, cookie.len);
    s->cookie = gh_view_of(s->cookie_octets, cookie.len);
    s->solution = gh_view_of(NULL, 0);
    sa->puzzle_at = 0;
    if (!begin_search(c, sa, m)) {
        ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "the peer asks for a cookie");
        return true;
    }
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "the peer asks for a solved puzzle of %u bits",
              s->search.bits);
    sa->task->retransmit_at = 0;
    sa->puzzle_at = c->now.mono_ms + PORTION_MS;
    return false;
}

void ike2_gate_put(const struct ike2_sa *sa, struct ike_out *o)
{
    const struct ike2_setup *s = sa->setup;

    if (s->cookie.len > 0)
        ike_notify_emit_data(o, IKE_N_COOKIE, s->cookie);
    if (s->solution.len > 0)
        ike_puzzle_solution_emit(o, s->solution);
}

/* ---- Initiator, in IKE_AUTH (RFC 8019 7.2) --------------------------------------------------- */

void ike2_gate_answered(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m)
{
    struct ike2_setup *s = sa->setup;
    struct ike_notify n;

    sa->puzzle_at = 0; /* who let us in wants no other solution */
    s->solution = gh_view_of(NULL, 0);
    if (!ike_find_notify(&m->clear, IKE_N_PUZZLE, 0, &n) ||
        ike_puzzle_read(n.data, &s->auth_puzzle) != IKE_OK)
        s->auth_puzzle.difficulty = 0;
}

bool ike2_gate_before_auth(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_setup *s = sa->setup;

    if (s->auth_puzzle.difficulty == 0 || s->solution.len > 0)
        return false;
    if (!ike_puzzle_begin(&s->search, s->auth_puzzle.prf, s->auth_puzzle.difficulty,
                          sa->policy->puzzle_bits)) {
        too_hard(c, sa, s->auth_puzzle.difficulty);
        s->auth_puzzle.difficulty = 0;
        return false;
    }
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "the peer asks for a solved puzzle of %u bits again",
              s->search.bits);
    sa->puzzle_at = c->now.mono_ms + PORTION_MS;
    return true;
}

struct gh_view ike2_gate_solution(const struct ike2_sa *sa)
{
    const struct ike2_setup *s = sa->setup;

    return s != NULL && s->auth_puzzle.difficulty > 0 ? s->solution : gh_view_of(NULL, 0);
}

/* ---- The work ------------------------------------------------------------------------------- */

/* What is to be hashed with the keys: the cookie, or Nr | SPIr. */
static struct gh_view puzzle_text(const struct ike2_sa *sa,
                                  uint8_t out[IKE_NONCE_MAX + IKE_SPI_LEN])
{
    const struct ike2_setup *s = sa->setup;

    if (sa->state == IKE2_STATE_INIT)
        return s->cookie;
    memcpy(out, s->nonce_r, s->nonce_r_len);
    memcpy(out + s->nonce_r_len, sa->spi_r, IKE_SPI_LEN);
    return gh_view_of(out, s->nonce_r_len + IKE_SPI_LEN);
}

void ike2_puzzle_work(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_setup *s = sa->setup;
    uint8_t text[IKE_NONCE_MAX + IKE_SPI_LEN];

    switch (ike_puzzle_search(&s->search, puzzle_text(sa, text), c->settings.puzzle_budget,
                              &s->solution)) {
    case IKE_PUZZLE_MORE:
        sa->puzzle_at = c->now.mono_ms + PORTION_MS;
        return;
    case IKE_PUZZLE_HOPELESS:
        s->solution = gh_view_of(NULL, 0);
        s->auth_puzzle.difficulty = 0;
        break;
    case IKE_PUZZLE_SOLVED:
        break;
    }
    sa->puzzle_at = 0;
    if (sa->state == IKE2_STATE_AUTH)
        ike2_auth_start(c, sa);
    else if (s->resumed != NULL)
        ike2_resume_start(c, sa);
    else
        ike2_init_start(c, sa);
}
