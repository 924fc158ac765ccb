/*
 * Several requests of one IKE SA at a time (RFC 7296 2.3): how many, in which order they may come,
 * what is repeated, what waits. Who exceeds a window is told by what is on the wire.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/ke.h"
#include "ike/codes.h"
#include "ike/v2/followup.h"
#include "ike/v2/mobike.h"
#include "ike/v2/priv.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"
#include "ike/v2/window.h"
#include "ike_check.h"
#include "unit.h"

enum { CHILDREN = 8, IDS = 256, SEEN = 64 };

/* What left a host on its newest IKE SA. */
struct side {
    uint8_t spi_i[IKE_SPI_LEN];
    bool asked[IDS], answered[IDS]; /* by Message ID; answered by the other end */
    uint32_t spread;                /* of requests without an answer: at most */
};

static struct wire {
    struct ike_world *w;
    struct side side[2];
    /* The first so many transmissions of this one are lost. */
    uint8_t exchange;
    uint32_t id;
    bool response;
    unsigned lose;
    /* Requests of host 0, in sealed form, and host 1's last answer by Message ID. */
    uint8_t *request[SEEN], *answer[SEEN];
    size_t request_len[SEEN], answer_len[SEEN];
} wire;

static void keep(uint8_t **octets, size_t *len, const struct ike2_datagram *d)
{
    free(*octets);
    *octets = malloc(d->len);
    assert_non_null(*octets);
    memcpy(*octets, d->data, d->len);
    *len = d->len;
}

static void note_request(struct side *s, uint32_t id)
{
    uint32_t oldest = 0;

    s->asked[id] = true;
    while (oldest < id && (!s->asked[oldest] || s->answered[oldest]))
        oldest++;
    if (!s->answered[id] && id - oldest + 1 > s->spread)
        s->spread = id - oldest + 1;
}

static bool look(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    size_t i = from == &wire.w->hosts[1];
    struct ike_header h;
    bool response;

    if (ike_header_parse(gh_view_of(d->data, d->len), &h) != IKE_OK)
        return true;
    response = ike_header_is_response(&h);
    for (size_t k = 0; k < 2; k++) {
        if (memcmp(wire.side[k].spi_i, h.spi_i, IKE_SPI_LEN) == 0)
            continue;
        wire.side[k] = (struct side){.spread = wire.side[k].spread};
        memcpy(wire.side[k].spi_i, h.spi_i, IKE_SPI_LEN);
    }
    assert_true(h.id < IDS);
    if (response)
        wire.side[!i].answered[h.id] = true;
    else
        note_request(&wire.side[i], h.id);
    if (h.id < SEEN && !response && i == 0)
        keep(&wire.request[h.id], &wire.request_len[h.id], d);
    if (h.id < SEEN && response && i == 1)
        keep(&wire.answer[h.id], &wire.answer_len[h.id], d);
    if (wire.lose > 0 && h.id == wire.id && h.exchange == wire.exchange &&
        response == wire.response) {
        wire.lose--;
        return false;
    }
    return true;
}

static void lose(uint8_t exchange, uint32_t id, bool response, unsigned times)
{
    wire.exchange = exchange;
    wire.id = id;
    wire.response = response;
    wire.lose = times;
}

/* Host 0 with CHILDREN children for host 1, not begun. */
static struct ike_world *pair(uint64_t seed, uint8_t window_0, uint8_t window_1)
{
    struct ike_world *w = ike_world_new(seed, 2);

    memset(&wire, 0, sizeof(wire));
    wire.w = w;
    w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    w->after = ike_check_step;
    w->filter = look;
    for (size_t i = 0; i < 2; i++) {
        struct ike2_policy *p = ike_world_policy(w, i, !i);

        p->window = i == 0 ? window_0 : window_1;
        p->retransmits = p->liveness_retries = 10;
        for (size_t k = 1; k < CHILDREN; k++)
            ike_world_child(p, i, !i, k);
        for (size_t k = 0; k < CHILDREN; k++) /* so that each is for itself */
            p->children[k].local.ts[0].start.octets[3] =
                p->children[k].remote.ts[0].start.octets[3] = (uint8_t)(16 * k),
            p->children[k].local.ts[0].end.octets[3] = p->children[k].remote.ts[0].end.octets[3] =
                (uint8_t)(16 * k + 15);
    }
    return w;
}

static void done(struct ike_world *w)
{
    if (w->wrong[0] != '\0')
        fail_msg("%s", w->wrong);
    for (size_t i = 0; i < SEEN; i++) {
        free(wire.request[i]);
        free(wire.answer[i]);
    }
    ike_world_free(w);
}

static void configure(struct ike_world *w)
{
    for (size_t i = 0; i < 2; i++)
        ike_world_configure(w, i);
}

static struct ike2_sa *sa_of(const struct ike_world *w, size_t i)
{
    return w->hosts[i].core->sas;
}

static size_t under_way(const struct ike2_sa *sa)
{
    size_t count = 0;

    for (const struct ike2_task *t = sa->task; t != NULL; t = t->next)
        count++;
    return count;
}

static void begin_all(struct ike_world *w)
{
    const struct ike2_policy *p = w->hosts[0].policies[0];

    for (size_t k = 0; k < p->child_count; k++)
        assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", p->children[k].name));
}

static void rekey_all(struct ike_host *h)
{
    uint32_t id[CHILDREN];
    size_t count = 0;

    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[i].used && count < CHILDREN)
            id[count++] = h->child[i].id;
    for (size_t i = 0; i < count; i++)
        ike2_rekey_child(h->core, ike_world_now(h), id[i]); /* if nothing else is under way */
}

static void assert_up(struct ike_world *w)
{
    const char *wrong = ike_world_agree(&w->hosts[0], &w->hosts[1]);

    if (wrong != NULL)
        fail_msg("%s", wrong);
    if (w->wrong[0] != '\0')
        fail_msg("%s", w->wrong);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 1);
    assert_int_equal(ike_world_sas(&w->hosts[1], NULL), 1);
    assert_int_equal(ike_world_children(&w->hosts[0]), CHILDREN);
}

static struct ike_world *up(uint64_t seed, uint8_t window_0, uint8_t window_1)
{
    struct ike_world *w = pair(seed, window_0, window_1);

    configure(w);
    begin_all(w);
    ike_world_run(w, 2000);
    assert_up(w);
    return w;
}

static void make_bad(struct ike_world *w, unsigned loss)
{
    w->loss = loss;
    w->duplicated = 200;
    w->delay_most = 400;
    for (size_t i = 0; i < 2; i++)
        w->hosts[i].policies[0]->retransmit_ms = 200;
}

static uint64_t count(const struct ike_host *h, enum ike2_count what)
{
    return ike2_counters(h->core)[what];
}

/* ---- SET_WINDOW_SIZE ------------------------------------------------------------------------- */

static void assert_windows(const struct ike_world *w, uint8_t window_0, uint8_t window_1)
{
    assert_int_equal(sa_of(w, 0)->window, window_0);
    assert_int_equal(sa_of(w, 1)->peer_window, window_0);
    assert_int_equal(sa_of(w, 1)->window, window_1);
    assert_int_equal(sa_of(w, 0)->peer_window, window_1);
}

static void both_say_it_in_ike_auth(void **state)
{
    struct ike_world *w = up(1, 5, 64);

    assert_windows(w, 5, 64);
    done(w);
}

/* Whoever rekeys, and whether the other end wants a window or not. */
static void a_rekeyed_sa_has_it_again(void **state)
{
    static const uint8_t windows[][2] = {{8, 8}, {1, 8}, {8, 1}, {1, 1}, {3, 7}};

    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        for (size_t by = 0; by < 2; by++) {
            struct ike_world *w = up(10 + i, windows[i][0], windows[i][1]);
            struct ike_host *h = &w->hosts[by];
            uint64_t before = sa_of(w, by)->id;

            assert_true(ike2_rekey_ike(h->core, w->now, before));
            ike_world_run(w, 1000);
            assert_int_not_equal(sa_of(w, by)->id, before);
            if (windows[i][by] > 1) /* it begins at once */
                assert_windows(w, windows[i][0], windows[i][1]);
            ike_world_run(w, 40 * 1000); /* liveness: something that the responder can answer */
            assert_windows(w, windows[i][0], windows[i][1]);
            assert_up(w);
            done(w);
        }
    }
}

/* A smaller one is not defined, so it is as if it had not been said; nor is 0 a window. */
static void a_window_does_not_shrink(void **state)
{
    static const uint32_t sizes[] = {3, 8, 2, 0, 1000, 7};
    static const uint8_t then[] = {4, 8, 8, 8, IKE2_WINDOW_MAX, IKE2_WINDOW_MAX};
    struct ike_world *w = up(2, 4, 4);
    struct ike2_sa *sa = sa_of(w, 0);

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const uint8_t size[4] = {0, 0, (uint8_t)(sizes[i] >> 8), (uint8_t)sizes[i]};
        struct ike_payloads in = {.count = 0};
        uint8_t octets[64];
        struct ike_out o = ike_out_inner(octets, sizeof(octets));
        struct gh_view inner;

        ike_notify_emit_data(&o, IKE_N_SET_WINDOW_SIZE, gh_view_of(size, 4));
        assert_true(ike_out_done(&o, &inner));
        assert_int_equal(ike_payloads_parse(o.first, inner, &in), IKE_OK);
        ike2_window_heard(sa, &in);
        assert_int_equal(sa->peer_window, then[i]);
    }
    done(w);
}

/* ---- How many -------------------------------------------------------------------------------- */

static void as_many_as_both_want(void **state)
{
    static const uint8_t windows[][3] = {{8, 8, 7}, {1, 8, 1}, {8, 1, 1},
                                         {3, 8, 3}, {8, 3, 3}, {64, 64, 7}};

    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        struct ike_world *w = up(20 + i, windows[i][0], windows[i][1]);

        /* One child came with IKE_AUTH, the others have exchanges of their own. */
        assert_int_equal(wire.side[0].spread, windows[i][2]);
        assert_int_equal(w->most_under_way, windows[i][2]);
        done(w);
    }
}

/* Through a network that loses and reorders, by what is seen on the wire. */
static void no_window_is_exceeded(void **state)
{
    for (uint64_t seed = 30; seed < 60; seed++) {
        uint8_t window[2] = {(uint8_t)(1 + seed % 3), (uint8_t)(1 + seed % 5)};
        uint8_t least = window[0] < window[1] ? window[0] : window[1];
        struct ike_world *w = up(seed, window[0], window[1]);

        make_bad(w, 300);
        for (unsigned round = 0; round < 4; round++) {
            rekey_all(&w->hosts[round % 2]);
            ike_world_run(w, 60 * 1000);
        }
        w->loss = w->duplicated = 0;
        ike_world_run(w, 100 * 1000);
        assert_up(w);
        for (size_t i = 0; i < 2; i++)
            assert_in_range(wire.side[i].spread, 1, least);
        assert_true(least == 1 || wire.side[0].spread > 1);
        done(w);
    }
}

/* ---- Order ----------------------------------------------------------------------------------- */

/* IKE_AUTH is 1; the exchanges of the other children are 2 … 8. */
static void the_first_of_several_is_lost(void **state)
{
    for (int response = 0; response < 2; response++) {
        struct ike_world *w = pair(60, 8, 8);

        lose(IKE_X_CREATE_CHILD_SA, 2, response != 0, 2); /* until the third transmission: 3 s */
        configure(w);
        begin_all(w);
        ike_world_run(w, 900);
        assert_int_equal(ike_world_children(&w->hosts[0]), CHILDREN - 1);
        assert_int_equal(ike_world_children(&w->hosts[1]), response ? CHILDREN : CHILDREN - 1);
        assert_int_equal(under_way(sa_of(w, 0)), 1);
        assert_int_equal(sa_of(w, 1)->receive_id, response ? 9 : 2);
        assert_int_equal(sa_of(w, 1)->answered, response ? 0 : 0x7e);
        ike_world_run(w, 4000);
        assert_up(w);
        assert_int_equal(sa_of(w, 1)->receive_id, 9);
        assert_int_equal(sa_of(w, 1)->answered, 0);
        assert_int_equal(w->hosts[1].installed, CHILDREN);
        assert_int_equal(count(&w->hosts[1], IKE2_COUNT_REPEATED), response ? 2 : 0);
        done(w);
    }
}

/* While the oldest has no answer, the window stands still; then it goes on. */
static void the_window_waits_for_its_oldest(void **state)
{
    struct ike_world *w = pair(61, 3, 3);

    lose(IKE_X_CREATE_CHILD_SA, 2, false, 2);
    configure(w);
    begin_all(w);
    ike_world_run(w, 900);
    assert_int_equal(sa_of(w, 0)->send_id, 5); /* 2 is lost, 3 and 4 are answered */
    assert_int_equal(under_way(sa_of(w, 0)), 1);
    assert_non_null(sa_of(w, 0)->waiting);
    ike_world_run(w, 4000);
    assert_up(w);
    assert_int_equal(wire.side[0].spread, 3);
    done(w);
}

static void requests_come_in_any_order(void **state)
{
    uint64_t overtaken = 0;

    for (uint64_t seed = 100; seed < 130; seed++) {
        struct ike_world *w = pair(seed, 8, 8);

        w->delay_most = 300;
        configure(w);
        begin_all(w);
        ike_world_run(w, 5000);
        assert_up(w);
        rekey_all(&w->hosts[0]);
        rekey_all(&w->hosts[1]);
        ike_world_run(w, 20 * 1000);
        assert_up(w);
        overtaken += w->overtaken;
        done(w);
    }
    assert_true(overtaken > 100);
}

static void fragments_of_several_messages(void **state)
{
    size_t together = 0;

    for (uint64_t seed = 130; seed < 140; seed++) {
        struct ike_world *w = pair(seed, 8, 8);

        for (size_t i = 0; i < 2; i++)
            w->hosts[i].policies[0]->mtu = 512;
        w->delay_most = 200;
        w->loss = 100;
        /* Proposals that do not fit into one datagram. */
        for (size_t i = 0; i < 2; i++)
            for (size_t k = 0; k < CHILDREN; k++) {
                struct ike_proposals *proposals = &w->hosts[i].policies[0]->children[k].proposals;
                struct ike_sa sa;

                ike_proposals_get(proposals, &sa);
                for (; sa.count < 8; sa.count++) {
                    sa.proposal[sa.count] = sa.proposal[0];
                    sa.proposal[sa.count].number = (uint8_t)(sa.count + 1);
                }
                assert_true(ike_proposals_set(proposals, &sa));
            }
        configure(w);
        begin_all(w);
        for (unsigned ms = 0; ms < 60 * 1000; ms += 5) {
            const struct ike2_partial *p;
            size_t requests = 0;

            ike_world_run(w, 5);
            for (p = sa_of(w, 1) != NULL ? sa_of(w, 1)->partials : NULL; p != NULL; p = p->next)
                requests += !p->response;
            together = requests > together ? requests : together;
        }
        assert_up(w);
        done(w);
    }
    assert_true(together >= 4);
}

/* ---- Repeated -------------------------------------------------------------------------------- */

static void say_again(struct ike_world *w, uint32_t id)
{
    assert_non_null(wire.request[id]);
    ike_world_hand(w, &w->hosts[0], &w->hosts[1], wire.request[id], wire.request_len[id]);
}

/* The last four answers are kept, to the octet; what is older is dropped and counted. */
static void old_requests_come_again(void **state)
{
    struct ike_world *w = up(70, 4, 4);
    const struct ike_host *h = &w->hosts[1];
    size_t kept = 0;

    for (const struct ike2_flight *f = sa_of(w, 1)->responses; f != NULL; f = f->next)
        kept++;
    assert_int_equal(kept, 4);
    for (uint32_t id = 2; id <= 8; id++) {
        uint64_t repeated = count(h, IKE2_COUNT_REPEATED),
                 dropped = count(h, IKE2_COUNT_NOT_ADMITTED);
        unsigned said = h->said_count;

        say_again(w, id);
        assert_int_equal(h->said_count - said, id > 4);
        assert_int_equal(count(h, IKE2_COUNT_REPEATED) - repeated, id > 4);
        assert_int_equal(count(h, IKE2_COUNT_NOT_ADMITTED) - dropped, id <= 4);
        if (id > 4) {
            assert_int_equal(h->said.len, wire.answer_len[id]);
            assert_memory_equal(h->said_octets, wire.answer[id], wire.answer_len[id]);
        }
    }
    assert_int_equal(h->installed, CHILDREN);
    ike_world_run(w, 1000);
    assert_up(w);
    done(w);
}

/* However long it lives, no more is kept than the window. */
static void memory_is_bounded(void **state)
{
    struct ike_world *w = up(71, 64, 64);
    size_t most = 0;

    for (unsigned i = 0; i < 12; i++) {
        rekey_all(&w->hosts[0]);
        ike_world_run(w, 1000);
        if (i == 5)
            most = ike2_memory(w->hosts[1].core);
        assert_true(i <= 5 || ike2_memory(w->hosts[1].core) <= most + 2000);
    }
    assert_up(w);
    done(w);
}

/* ---- Beyond ---------------------------------------------------------------------------------- */

static void a_request_beyond_the_window_is_told(void **state)
{
    struct ike_world *w = up(80, 4, 4);
    struct ike2_sa *sa = sa_of(w, 0);
    uint32_t awaited = sa_of(w, 1)->receive_id;
    uint64_t dropped = count(&w->hosts[1], IKE2_COUNT_NOT_ADMITTED);
    const char *words;
    uint32_t id = 0;
    int64_t when;

    w->after = NULL; /* it does wrong now */
    sa->send_id += 4;
    rekey_all(&w->hosts[0]);
    ike_world_run(w, 500);
    assert_int_equal(sa_of(w, 1)->receive_id, awaited);
    assert_int_equal(count(&w->hosts[1], IKE2_COUNT_NOT_ADMITTED), dropped + 4);
    assert_int_equal(w->hosts[1].installed, CHILDREN);
    assert_int_equal(sa_of(w, 1)->send_id, 1); /* one for all four */
    words = ike2_last_failure(w->hosts[0].core, IKE2_COUNT_NOT_ADMITTED, &when);
    assert_non_null(words);
    assert_non_null(strstr(words, "no room for our request "));
    sscanf(strstr(words, "request "), "request %u", &id);
    assert_in_range(id, awaited + 4, awaited + 7);
    for (unsigned ms = 500; ms < 900; ms += 100) {
        say_again(w, id);
        ike_world_run(w, 100);
    }
    assert_int_equal(sa_of(w, 1)->send_id, 1);
    ike_world_run(w, 600);
    assert_int_equal(sa_of(w, 1)->send_id, 2); /* they were repeated, and a second is over */
    done(w);
}

/* Who cannot seal gets no word. */
static void a_forged_one_is_not(void **state)
{
    struct ike_world *w = up(81, 4, 4);

    wire.request[8][IKE_HEADER_LEN - 5] = 100; /* its Message ID */
    say_again(w, 8);
    ike_world_run(w, 500);
    assert_int_equal(sa_of(w, 1)->send_id, 0);
    assert_up(w);
    done(w);
}

/* ---- What goes alone ------------------------------------------------------------------------- */

static bool is_out(const struct ike2_sa *sa, enum ike2_task_kind kind)
{
    for (const struct ike2_task *t = sa->task; t != NULL; t = t->next)
        if (t->kind == kind)
            return true;
    return false;
}

/* All children are rekeyed, the first of these exchanges takes three seconds; it may not overtake.
 */
static void assert_waits(struct ike_world *w, enum ike2_task_kind kind)
{
    const struct ike2_sa *sa = sa_of(w, 0);

    assert_true(ike2_task_waits(sa, kind) && !is_out(sa, kind));
    ike_world_run(w, 2000);
    assert_true(ike2_task_waits(sa, kind) && !is_out(sa, kind));
    assert_int_equal(under_way(sa), 1);
}

static struct ike_world *with_a_slow_one(uint64_t seed)
{
    struct ike_world *w = up(seed, 64, 64); /* it is not for want of room that anything waits */

    lose(IKE_X_CREATE_CHILD_SA, sa_of(w, 0)->send_id, false, 2);
    rekey_all(&w->hosts[0]);
    assert_int_equal(under_way(sa_of(w, 0)), 8);
    return w;
}

static void rekeying_the_ike_sa_waits(void **state)
{
    struct ike_world *w = with_a_slow_one(90);
    uint64_t before = sa_of(w, 0)->id;

    assert_true(ike2_rekey_ike(w->hosts[0].core, w->now, before));
    assert_waits(w, IKE2_TASK_IKE_REKEY);
    ike_world_run(w, 5000);
    assert_int_not_equal(sa_of(w, 0)->id, before);
    assert_up(w);
    assert_int_equal(w->hosts[0].removed, CHILDREN);
    done(w);
}

static void deleting_the_ike_sa_waits(void **state)
{
    struct ike_world *w = with_a_slow_one(91);

    w->hosts[0].commanded = w->hosts[1].commanded = true;
    assert_true(ike2_terminate_ike(w->hosts[0].core, w->now, sa_of(w, 0)->id));
    assert_waits(w, IKE2_TASK_IKE_DELETE);
    ike_world_run(w, 5000);
    assert_null(sa_of(w, 0));
    assert_null(sa_of(w, 1));
    done(w);
}

static struct ike_world *mobile_pair(uint64_t seed)
{
    const uint8_t second[4] = {192, 0, 2, 101};
    struct ike_world *w = pair(seed, 64, 64);

    for (size_t i = 0; i < 2; i++)
        w->hosts[i].policies[0]->mobike = true;
    w->hosts[1].policies[0]->remote.bits = 24;
    w->hosts[0].second = gh_addr_from(second, 4);
    configure(w);
    begin_all(w);
    ike_world_run(w, 2000);
    assert_up(w);
    return w;
}

/* What is under way goes on from the new address at once; UPDATE_SA_ADDRESSES comes after it. */
static void moving_waits(void **state)
{
    struct ike_world *w = mobile_pair(92);
    struct ike2_endpoint to = {.addr = w->hosts[0].second};

    lose(IKE_X_CREATE_CHILD_SA, sa_of(w, 0)->send_id, false, 3);
    rekey_all(&w->hosts[0]);
    assert_true(ike2_move(w->hosts[0].core, w->now, sa_of(w, 0)->id, &to));
    assert_waits(w, IKE2_TASK_MOVE);
    ike_world_run(w, 10 * 1000);
    assert_up(w);
    assert_true(gh_addr_equal(&sa_of(w, 1)->remote.addr, &to.addr));
    assert_true(gh_addr_equal(&w->hosts[1].child_remote.addr, &to.addr));
    done(w);
}

/* RFC 4555 3.5: an older one than what is known is answered, and that is all. */
static void an_overtaken_move_is_only_answered(void **state)
{
    struct ike_world *w = mobile_pair(93);
    struct ike2_endpoint to = {.addr = w->hosts[0].second};
    struct ike2_sa *sa = sa_of(w, 1);

    sa->mobile->updated = sa->receive_id + 1;
    assert_true(ike2_move(w->hosts[0].core, w->now, sa_of(w, 0)->id, &to));
    ike_world_run(w, 1000);
    assert_null(sa_of(w, 0)->task);
    assert_true(gh_addr_equal(&sa->remote.addr, &w->hosts[0].addr));
    assert_int_equal(w->hosts[1].updated, 0);
    sa->mobile->updated = sa->receive_id;
    to.addr = w->hosts[0].addr;
    assert_true(ike2_move(w->hosts[0].core, w->now, sa_of(w, 0)->id, &to));
    ike_world_run(w, 1000);
    assert_int_equal(w->hosts[1].updated, 1 * CHILDREN);
    done(w);
}

/* ---- Collisions ------------------------------------------------------------------------------ */

static void both_rekey_everything_at_once(void **state)
{
    for (uint64_t seed = 200; seed < 240; seed++) {
        struct ike_world *w = up(seed, (uint8_t)(1 + seed % 8), (uint8_t)(1 + seed / 8 % 8));

        make_bad(w, 200);
        for (unsigned round = 0; round < 3; round++) {
            rekey_all(&w->hosts[0]);
            rekey_all(&w->hosts[1]);
            if (round == 1)
                for (size_t i = 0; i < 2; i++)
                    ike2_rekey_ike(w->hosts[i].core, w->now, sa_of(w, i)->id);
            ike_world_run(w, 90 * 1000);
        }
        w->loss = w->duplicated = 0;
        ike_world_run(w, 100 * 1000);
        assert_up(w);
        assert_true(count(&w->hosts[0], IKE2_COUNT_COLLISIONS) > 0);
        if (w->hosts[0].events[IKE2_EVENT_CHILD_DOWN] > 0)
            fail_msg("seed %llu: %s", (unsigned long long)seed,
                     w->hosts[0].last[IKE2_EVENT_CHILD_DOWN]);
        done(w);
    }
}

/* ---- Exchanges of several steps ---------------------------------------------------------------
 */

/* CREATE_CHILD_SA and two of IKE_FOLLOWUP_KE for each child, all at the same time (RFC 9370). */
static struct ike_world *with_more_key_exchanges(uint64_t seed, uint8_t window)
{
    struct ike_world *w = pair(seed, window, window);

    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < CHILDREN; k++) {
            struct ike_proposals *p = &w->hosts[i].policies[0]->children[k].proposals;

            ike_world_add_transform(p, IKE_T_ADDKE1, GH_KE_ECP_384);
            ike_world_add_transform(p, IKE_T_ADDKE1 + 1, GH_KE_ECP_521);
        }
    configure(w);
    begin_all(w);
    ike_world_run(w, 3000);
    assert_up(w);
    return w;
}

static void several_additional_key_exchanges(void **state)
{
    size_t together = 0;
    struct ike_world *w = with_more_key_exchanges(300, 8);

    rekey_all(&w->hosts[0]);
    for (unsigned ms = 0; ms < 1000; ms++) {
        size_t pending = 0;

        ike_world_run(w, 1);
        for (const struct ike2_pending *p = sa_of(w, 1)->pending; p != NULL; p = p->next)
            pending++;
        together = pending > together ? pending : together;
    }
    assert_int_equal(together, 8);
    assert_null(sa_of(w, 1)->pending);
    assert_up(w);
    assert_int_equal(w->hosts[0].removed, CHILDREN);
    assert_int_equal(sa_of(w, 0)->followups_lost, 0);
    done(w);
}

static void more_key_exchanges_through_a_bad_network(void **state)
{
    for (uint64_t seed = 310; seed < 330; seed++) {
        struct ike_world *w = with_more_key_exchanges(seed, (uint8_t)(1 + seed % 8));

        make_bad(w, 150);
        for (unsigned round = 0; round < 3; round++) {
            rekey_all(&w->hosts[0]);
            if (round > 0)
                rekey_all(&w->hosts[1]);
            ike_world_run(w, 60 * 1000);
        }
        w->loss = w->duplicated = 0;
        ike_world_run(w, 100 * 1000);
        assert_up(w);
        done(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_say_it_in_ike_auth),
        cmocka_unit_test(a_rekeyed_sa_has_it_again),
        cmocka_unit_test(a_window_does_not_shrink),
        cmocka_unit_test(as_many_as_both_want),
        cmocka_unit_test(no_window_is_exceeded),
        cmocka_unit_test(the_first_of_several_is_lost),
        cmocka_unit_test(the_window_waits_for_its_oldest),
        cmocka_unit_test(requests_come_in_any_order),
        cmocka_unit_test(fragments_of_several_messages),
        cmocka_unit_test(old_requests_come_again),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(a_request_beyond_the_window_is_told),
        cmocka_unit_test(a_forged_one_is_not),
        cmocka_unit_test(rekeying_the_ike_sa_waits),
        cmocka_unit_test(deleting_the_ike_sa_waits),
        cmocka_unit_test(moving_waits),
        cmocka_unit_test(an_overtaken_move_is_only_answered),
        cmocka_unit_test(both_rekey_everything_at_once),
        cmocka_unit_test(several_additional_key_exchanges),
        cmocka_unit_test(more_key_exchanges_through_a_bad_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
