/* The parts of the `ike` process: its datagrams, its desk at the keeper, what it remembers. */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/ike_notes.h"
#include "daemon/channel.h"
#include "daemon/ike_desk.h"
#include "daemon/ike_places.h"
#include "daemon/ike_kept.h"
#include "daemon/ike_udp.h"
#include "daemon/randomness.h"
#include "platform/udp.h"

enum { TURNS = 200 };

/* ---- Datagrams ------------------------------------------------------------------------------ */

static void what_comes_is_sorted(void **state)
{
    static const uint8_t message[8] = {0, 0, 0, 0, 1, 2, 3, 4}, esp[8] = {0, 0, 0, 1},
                         ff[] = {0xff};

    assert_int_equal(gh_ike_kind_of(true, message, 8), GH_IKE_MESSAGE);
    assert_int_equal(gh_ike_kind_of(true, message, 4), GH_IKE_MESSAGE);
    assert_int_equal(gh_ike_kind_of(true, message, 3), GH_IKE_SHORT);
    assert_int_equal(gh_ike_kind_of(true, esp, 8), GH_IKE_ESP);
    assert_int_equal(gh_ike_kind_of(true, ff, 1), GH_IKE_KEEPALIVE);
    assert_int_equal(gh_ike_kind_of(true, NULL, 0), GH_IKE_SHORT);
    assert_int_equal(gh_ike_kind_of(false, esp, 8), GH_IKE_MESSAGE);
    assert_int_equal(gh_ike_kind_of(false, message, 3), GH_IKE_MESSAGE);
    assert_int_equal(gh_ike_kind_of(false, ff, 1), GH_IKE_KEEPALIVE);
    assert_int_equal(gh_ike_kind_of(false, NULL, 0), GH_IKE_SHORT);
}

struct wire {
    uv_loop_t loop;
    struct gh_ike_udp *udp;
    struct gh_ike_batch *batch;
    uint64_t counters[GH_IKE_UDP_COUNT];
    struct ike2_datagram last;
    uint8_t data[100];
    unsigned count, batches;
    bool echo;
    int peer;
    struct sockaddr_in at; /* where the socket is, on 127.0.0.7 */
};

static void on_datagram(void *ctx, struct ike2_datagram *d)
{
    struct wire *w = ctx;

    w->count++;
    w->last = *d;
    assert_true(d->len <= sizeof(w->data));
    memcpy(w->data, d->data, d->len);
    if (w->echo)
        gh_ike_udp_send(w->udp, d, 0);
}

static void on_done(void *ctx)
{
    struct wire *w = ctx;

    w->batches++;
    gh_ike_udp_flush(w->udp, 0);
}

static void wire_start(struct wire *w, bool nat_t)
{
    static const struct gh_ike_udp_ops ops = {.datagram = on_datagram, .done = on_done};
    struct gh_ike_udp_settings s = {
        .loop = &w->loop, .ops = &ops, .ctx = w, .counters = w->counters, .nat_t = nat_t};
    const struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f000009)}};
    socklen_t len = sizeof(w->at);
    int fd;

    memset(w, 0, sizeof(*w));
    assert_int_equal(uv_loop_init(&w->loop), 0);
    w->batch = gh_ike_batch_new();
    fd = gh_udp_open(NULL, NULL, false, 0, getuid());
    assert_true(fd >= 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&w->at, &len), 0);
    w->at.sin_addr.s_addr = htonl(0x7f000007);
    s.port = ntohs(w->at.sin_port);
    s.batch = w->batch;
    w->udp = gh_ike_udp_new(fd, &s);
    assert_non_null(w->udp);
    w->peer = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(w->peer, (const struct sockaddr *)&own, sizeof(own)), 0);
}

static void wire_end(struct wire *w)
{
    gh_ike_udp_close(w->udp);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    gh_ike_batch_free(w->batch);
    close(w->peer);
}

static void say(struct wire *w, const char *octets, size_t len)
{
    assert_int_equal(
        sendto(w->peer, octets, len, 0, (const struct sockaddr *)&w->at, sizeof(w->at)), len);
}

/* Loopback delivers while the sender sends. */
static void turn(struct wire *w)
{
    uv_run(&w->loop, UV_RUN_NOWAIT);
}

static void a_datagram_tells_both_ends(void **state)
{
    struct wire w;

    wire_start(&w, false);
    say(&w, "hello", 5);
    turn(&w);
    assert_int_equal(w.count, 0); /* nothing is read before it is started */
    gh_ike_udp_start(w.udp);
    turn(&w);
    assert_int_equal(w.count, 1);
    assert_memory_equal(w.data, "hello", 5);
    assert_int_equal(w.last.len, 5);
    assert_false(w.last.marker);
    assert_memory_equal(w.last.local.addr.octets, "\177\0\0\7", 4);
    assert_int_equal(w.last.local.port, ntohs(w.at.sin_port));
    assert_memory_equal(w.last.remote.addr.octets, "\177\0\0\11", 4);
    wire_end(&w);
}

static void answers_leave_from_where_the_question_came_to(void **state)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    char back[100];
    struct wire w;

    wire_start(&w, true);
    gh_ike_udp_start(w.udp);
    w.echo = true;
    say(&w, "\0\0\0\0hello", 9);
    turn(&w);
    assert_int_equal(w.count, 1);
    assert_int_equal(w.last.len, 5);
    assert_true(w.last.marker);
    assert_int_equal(recvfrom(w.peer, back, sizeof(back), 0, (struct sockaddr *)&from, &len), 9);
    assert_memory_equal(back, "\0\0\0\0hello", 9);
    assert_int_equal(from.sin_addr.s_addr, w.at.sin_addr.s_addr);
    assert_int_equal(from.sin_port, w.at.sin_port);
    wire_end(&w);
}

static void a_keepalive_has_no_marker(void **state)
{
    struct ike2_datagram d = {.marker = true};
    char back[100];
    struct wire w;

    wire_start(&w, true);
    gh_ike_udp_start(w.udp);
    say(&w, "\0\0\0\0x", 5);
    turn(&w);
    d.local = w.last.local;
    d.remote = w.last.remote;
    gh_ike_udp_send(w.udp, &d, 0);
    gh_ike_udp_flush(w.udp, 0);
    assert_int_equal(recv(w.peer, back, sizeof(back), 0), 1);
    assert_int_equal((uint8_t)back[0], 0xff);
    wire_end(&w);
}

static void many_go_both_ways(void **state)
{
    enum { MANY = 100 };
    struct wire w;
    char back[100];

    wire_start(&w, false);
    gh_ike_udp_start(w.udp);
    w.echo = true;
    for (unsigned i = 0; i < MANY; i++)
        say(&w, (const char *)&i, sizeof(i));
    for (unsigned i = 0; i < TURNS && w.count < MANY; i++)
        turn(&w);
    assert_int_equal(w.count, MANY);
    assert_true(w.batches < MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(recv(w.peer, back, sizeof(back), 0), sizeof(i));
        assert_memory_equal(back, &i, sizeof(i));
    }
    wire_end(&w);
}

/* One that the kernel refuses does not keep the others back. */
static void what_cannot_be_sent_is_counted(void **state)
{
    uint8_t text[] = "x";
    struct ike2_datagram d = {.data = text, .len = 1};
    struct wire w;
    char back[10];

    wire_start(&w, false);
    gh_ike_udp_start(w.udp);
    say(&w, "hi", 2);
    turn(&w);
    d.remote = w.last.remote;
    d.local = w.last.local;
    d.local.addr.octets[0] = 192; /* 192.0.0.7 is not ours */
    gh_ike_udp_send(w.udp, &d, 0);
    d.local = w.last.local;
    gh_ike_udp_send(w.udp, &d, 0);
    gh_ike_udp_flush(w.udp, 0);
    assert_int_equal(w.counters[GH_IKE_UDP_SEND_FAILED], 1);
    assert_int_equal(recv(w.peer, back, sizeof(back), 0), 1);
    assert_int_equal(recv(w.peer, back, sizeof(back), 0), -1);
    wire_end(&w);
}

/* And nothing that was said later overtakes it. */
static void what_has_a_mark_waits_for_it(void **state)
{
    uint8_t text[] = "ab";
    struct ike2_datagram d = {.data = text, .len = 1};
    struct wire w;
    char back[10];

    wire_start(&w, false);
    gh_ike_udp_start(w.udp);
    say(&w, "hi", 2);
    turn(&w);
    d.remote = w.last.remote;
    d.local = w.last.local;
    gh_ike_udp_send(w.udp, &d, 7);
    d.data = text + 1;
    gh_ike_udp_send(w.udp, &d, 0);
    gh_ike_udp_flush(w.udp, 6);
    assert_int_equal(recv(w.peer, back, sizeof(back), 0), -1);
    gh_ike_udp_flush(w.udp, 7);
    assert_int_equal(recv(w.peer, back, sizeof(back), 0), 1);
    assert_int_equal(back[0], 'a');
    assert_int_equal(recv(w.peer, back, sizeof(back), 0), 1);
    assert_int_equal(back[0], 'b');
    wire_end(&w);
}

/* ---- The desk ------------------------------------------------------------------------------- */

struct asker {
    unsigned count;
    struct gh_keeper_answer last;
    char text[100];
};

struct office {
    uv_loop_t loop;
    struct gh_ike_desk *desk;
    struct gh_channel *keeper;
    unsigned asked, lost;
    uint32_t numbers[20];
    bool silent;
};

static void on_answer(void *who, const struct gh_keeper_answer *a)
{
    struct asker *asker = who;

    asker->count++;
    asker->last = *a;
    snprintf(asker->text, sizeof(asker->text), "%.*s", (int)a->value.len, (const char *)a->value.p);
}

static void on_lost(void *ctx)
{
    ((struct office *)ctx)->lost++;
}

static void reply(struct office *o, uint32_t number, const char *text)
{
    const struct gh_keeper_answer a = {.id = number, .value = gh_view_of(text, strlen(text))};
    uint8_t body[100];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    assert_true(gh_keeper_answer_put(&w, &a));
    assert_true(gh_channel_send(o->keeper, GH_MESSAGE_KEEPER_ANSWER, body, w.len, -1));
}

static bool keeper_hears(void *ctx, struct gh_frame *frame, int fd)
{
    struct office *o = ctx;
    size_t len = gh_rd_left(&frame->body);
    struct gh_keeper_request q;

    assert_true(gh_keeper_request_parse(gh_view_of(gh_rd_bytes(&frame->body, len), len), &q));
    o->numbers[o->asked++] = q.id;
    return true;
}

static void keeper_broken(void *ctx, const char *why)
{
}

/* A keeper at the other end of a new desk. */
static void office_open(struct office *o)
{
    static const struct gh_channel_ops ops = {.message = keeper_hears, .broken = keeper_broken};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    o->keeper = gh_channel_new(&o->loop, pair[0], GH_TO_DESK, &ops, o);
    gh_ike_desk_open(o->desk, pair[1]);
}

static void office_start(struct office *o)
{
    static const struct gh_ike_desk_ops ops = {.answer = on_answer, .lost = on_lost};

    memset(o, 0, sizeof(*o));
    assert_int_equal(uv_loop_init(&o->loop), 0);
    o->desk = gh_ike_desk_new(&o->loop, &ops, o);
    assert_non_null(o->desk);
}

static void office_end(struct office *o)
{
    gh_ike_desk_free(o->desk);
    gh_channel_close(o->keeper);
    uv_run(&o->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&o->loop), 0);
}

static void office_turn(struct office *o)
{
    for (unsigned i = 0; i < 5; i++)
        uv_run(&o->loop, UV_RUN_NOWAIT);
}

static bool ask(struct office *o, struct asker *asker, uint32_t id)
{
    const struct gh_keeper_request q = {.kind = GH_KEEPER_PSK,
                                        .id = id,
                                        .name = gh_view_of("branch", 6),
                                        .prf = GH_PRF_HMAC_SHA2_256,
                                        .octets = gh_view_of("octets", 6)};
    bool asked = gh_ike_desk_ask(o->desk, asker, &q);

    gh_ike_desk_flush(o->desk);
    return asked;
}

static void answers_come_in_any_order(void **state)
{
    struct asker one = {0}, two = {0};
    struct office o;

    office_start(&o);
    office_open(&o);
    assert_true(ask(&o, &one, 7));
    assert_true(ask(&o, &two, 7)); /* ids are the askers' own */
    office_turn(&o);
    assert_int_equal(o.asked, 2);
    reply(&o, o.numbers[1], "second");
    office_turn(&o);
    assert_int_equal(one.count, 0);
    assert_string_equal(two.text, "second");
    assert_int_equal(two.last.id, 7);
    reply(&o, o.numbers[0], "first");
    office_turn(&o);
    assert_string_equal(one.text, "first");
    assert_int_equal(gh_ike_desk_waiting(o.desk), 0);
    office_end(&o);
}

static void requests_outlive_the_keeper(void **state)
{
    struct asker one = {0};
    struct office o;

    office_start(&o);
    assert_true(ask(&o, &one, 1)); /* before there is a desk */
    office_open(&o);
    office_turn(&o);
    assert_int_equal(o.asked, 1);
    gh_channel_close(o.keeper);
    office_turn(&o);
    assert_int_equal(o.lost, 1);
    assert_false(gh_ike_desk_is_open(o.desk));
    office_open(&o);
    office_turn(&o);
    assert_int_equal(o.asked, 2);
    assert_int_equal(o.numbers[0], o.numbers[1]);
    reply(&o, o.numbers[1], "at last");
    office_turn(&o);
    assert_string_equal(one.text, "at last");
    office_end(&o);
}

static void a_request_that_breaks_every_desk_is_refused(void **state)
{
    struct asker one = {0}, other = {0};
    struct office o;

    office_start(&o);
    assert_true(ask(&o, &one, 1));
    for (unsigned i = 0; i < GH_DESK_TRIES; i++) {
        office_open(&o);
        office_turn(&o);
        assert_int_equal(one.count, 0);
        gh_channel_close(o.keeper);
        office_turn(&o);
    }
    assert_int_equal(o.lost, GH_DESK_TRIES);
    assert_true(ask(&o, &other, 1));
    office_open(&o);
    office_turn(&o);
    assert_int_equal(one.last.result, GH_KEEPER_REFUSED);
    assert_int_equal(other.count, 0);
    assert_int_equal(gh_ike_desk_waiting(o.desk), 1);
    office_end(&o);
}

static void a_keeper_that_makes_things_up_is_not_believed(void **state)
{
    struct asker one = {0};
    struct office o;

    office_start(&o);
    office_open(&o);
    assert_true(ask(&o, &one, 1));
    office_turn(&o);
    reply(&o, o.numbers[0] + 1, "to nobody");
    office_turn(&o);
    assert_int_equal(o.lost, 1);
    assert_int_equal(one.count, 0);
    assert_int_equal(gh_ike_desk_waiting(o.desk), 1);
    office_end(&o);
}

static void who_is_forgotten_hears_nothing(void **state)
{
    struct asker one = {0};
    struct office o;

    office_start(&o);
    office_open(&o);
    assert_true(ask(&o, &one, 1));
    office_turn(&o);
    gh_ike_desk_forget(o.desk, &one);
    reply(&o, o.numbers[0], "too late");
    office_turn(&o);
    assert_int_equal(one.count, 0);
    assert_int_equal(o.lost, 0);
    office_end(&o);
}

static void what_cannot_be_asked_is_refused_at_once(void **state)
{
    const struct gh_keeper_request nameless = {
        .kind = GH_KEEPER_PSK, .prf = GH_PRF_HMAC_SHA2_256, .octets = gh_view_of("x", 1)};
    struct asker one = {0};
    struct office o;

    office_start(&o);
    assert_false(gh_ike_desk_ask(o.desk, &one, &nameless));
    for (unsigned i = 0; i < GH_DESK_WAITING_MAX; i++)
        assert_true(ask(&o, &one, i));
    assert_false(ask(&o, &one, 0));
    office_end(&o);
}

/* ---- Notes ---------------------------------------------------------------------------------- */

static struct gh_now at(int64_t second)
{
    return (struct gh_now){.wall = 1000000 + second, .mono_ms = (uint64_t)second * 1000 + 500};
}

static void up(struct gh_ike_notes *n, const char *policy, int64_t second)
{
    const struct ike2_event e = {.kind = IKE2_EVENT_SA_UP, .policy = policy, .text = "up"};

    gh_ike_notes_event(n, &e, at(second));
}

static void set_ups_are_counted_by_the_second(void **state)
{
    struct gh_ike_notes *n = gh_ike_notes_new();

    assert_int_equal(gh_ike_notes_rate(n, at(0), 60), 0);
    up(n, "a", 100);
    up(n, "b", 100);
    up(n, "a", 109);
    assert_int_equal(gh_ike_notes_rate(n, at(109), 1), 1);
    assert_int_equal(gh_ike_notes_rate(n, at(109), 9), 1);
    assert_int_equal(gh_ike_notes_rate(n, at(109), 10), 3);
    assert_int_equal(gh_ike_notes_rate(n, at(159), 60), 3);
    assert_int_equal(gh_ike_notes_rate(n, at(160), 60), 1);
    assert_int_equal(gh_ike_notes_rate(n, at(169), 60), 0);
    up(n, "a", 170); /* where the ring had one of 110 seconds */
    assert_int_equal(gh_ike_notes_rate(n, at(170), 60), 1);
    up(n, "a", 5000);
    assert_int_equal(gh_ike_notes_rate(n, at(5000), 60), 1);
    assert_int_equal(gh_ike_notes_find(n, "a")->up, at(5000).wall);
    assert_int_equal(gh_ike_notes_find(n, "b")->up, at(100).wall);
    assert_null(gh_ike_notes_find(n, "c"));
    gh_ike_notes_free(n);
}

static void notes_of_policies_that_are_gone_go(void **state)
{
    struct ike2_policy *a = ike2_policy_new("a");
    struct gh_ike_notes *n = gh_ike_notes_new();

    up(n, "a", 1);
    up(n, "b", 1);
    gh_ike_notes_keep(n, &a, 1);
    assert_non_null(gh_ike_notes_find(n, "a"));
    assert_null(gh_ike_notes_find(n, "b"));
    gh_ike_notes_keep(n, NULL, 0);
    assert_null(gh_ike_notes_find(n, "a"));
    gh_ike_notes_free(n);
    ike2_policy_free(a);
}

/* ---- Places and ways ------------------------------------------------------------------------ */

struct asked {
    unsigned count;
    struct gh_addr last;
    char netns[32], vrf[32];
};

static void on_ask(void *ctx, const char *netns, const char *vrf, const struct gh_addr *remote)
{
    struct asked *a = ctx;

    a->count++;
    a->last = *remote;
    snprintf(a->netns, sizeof(a->netns), "%s", netns != NULL ? netns : "-");
    snprintf(a->vrf, sizeof(a->vrf), "%s", vrf != NULL ? vrf : "-");
}

static struct gh_addr host(uint8_t last)
{
    const uint8_t octets[4] = {192, 0, 2, last};

    return gh_addr_from(octets, 4);
}

static const struct gh_ike_places_ops places_ops = {.ask = on_ask};

static void places_have_their_numbers_for_good(void **state)
{
    struct asked asked = {0};
    struct gh_ike_places *p = gh_ike_places_new(&places_ops, &asked);

    assert_int_equal(gh_ike_place(p, NULL, NULL), 0);
    assert_int_equal(gh_ike_place(p, "blue", NULL), 1);
    assert_int_equal(gh_ike_place(p, "blue", "red"), 2);
    assert_int_equal(gh_ike_place(p, NULL, "red"), 3);
    assert_int_equal(gh_ike_place(p, "blue", NULL), 1);
    assert_string_equal(gh_ike_place_netns(p, 2), "blue");
    assert_string_equal(gh_ike_place_vrf(p, 2), "red");
    assert_null(gh_ike_place_netns(p, 3));
    gh_ike_places_free(p);
}

static void ways_are_asked_for_once(void **state)
{
    struct asked asked = {0};
    struct gh_ike_places *p = gh_ike_places_new(&places_ops, &asked);
    uint16_t blue = gh_ike_place(p, "blue", "red");
    struct gh_addr to = host(2), from = host(1), found;
    int error;

    assert_int_equal(gh_ike_way(p, blue, &to, &found, NULL), IKE2_WAY_UNKNOWN);
    assert_int_equal(gh_ike_way(p, blue, &to, &found, &error), IKE2_WAY_UNKNOWN);
    assert_int_equal(error, 0);
    assert_int_equal(asked.count, 1);
    assert_string_equal(asked.netns, "blue");
    assert_string_equal(asked.vrf, "red");
    assert_true(gh_ike_way_answered(p, blue, &to, &from, 0));
    assert_false(gh_ike_way_answered(p, blue, &to, &from, 0)); /* nobody asked */
    assert_int_equal(gh_ike_way(p, blue, &to, &found, NULL), IKE2_WAY_THERE);
    assert_true(gh_addr_equal(&found, &from));
    /* The same address elsewhere is another one. */
    assert_int_equal(gh_ike_way(p, 0, &to, &found, NULL), IKE2_WAY_UNKNOWN);
    assert_true(gh_ike_way_answered(p, 0, &to, NULL, ENETUNREACH));
    assert_int_equal(gh_ike_way(p, 0, &to, &found, &error), IKE2_WAY_NONE);
    assert_int_equal(error, ENETUNREACH);
    assert_int_equal(gh_ike_way(p, blue, &to, &found, NULL), IKE2_WAY_THERE);
    assert_int_equal(gh_ike_way(p, 77, &to, &found, NULL), IKE2_WAY_UNKNOWN); /* no such place */
    assert_int_equal(asked.count, 2);
    gh_ike_places_free(p);
}

static void a_change_asks_anew_and_tells_when_all_is_known(void **state)
{
    struct asked asked = {0};
    struct gh_ike_places *p = gh_ike_places_new(&places_ops, &asked);
    struct gh_addr list[2] = {host(1), host(9)}, to[3] = {host(2), host(3), host(4)}, found;
    size_t count = 0, fit = 0;

    assert_null(gh_ike_place_list(p, 0, &count, &fit));
    for (size_t i = 0; i < 3; i++) {
        gh_ike_way(p, 0, &to[i], &found, NULL);
        gh_ike_way_answered(p, 0, &to[i], &list[0], 0);
    }
    gh_ike_place_addresses(p, 0, list, 2, 1);
    assert_int_equal(asked.count, 6);
    assert_false(gh_ike_places_settled(p));
    assert_int_equal(gh_ike_place_list(p, 0, &count, &fit)[1].octets[3], 9);
    assert_int_equal(count, 2);
    assert_int_equal(fit, 1);
    /* What was known holds until the answer is there; then all are told at once. */
    assert_int_equal(gh_ike_way(p, 0, &to[0], &found, NULL), IKE2_WAY_THERE);
    assert_false(gh_ike_way_answered(p, 0, &to[0], &list[1], 0));
    assert_false(gh_ike_way_answered(p, 0, &to[1], &list[1], 0));
    gh_ike_place_addresses(p, 0, NULL, 0, 0); /* once more, while one is missing */
    assert_null(gh_ike_place_list(p, 0, &count, &fit));
    assert_false(gh_ike_way_answered(p, 0, &to[2], &list[1], 0));
    assert_int_equal(asked.count, 8); /* nobody wanted to know of to[1] since */
    assert_false(gh_ike_way_answered(p, 0, &to[1], &list[1], 0));
    assert_false(gh_ike_way_answered(p, 0, &to[0], &list[0], 0));
    assert_true(gh_ike_way_answered(p, 0, &to[2], &list[0], 0));
    assert_false(gh_ike_places_settled(p));
    assert_int_equal(gh_ike_way(p, 0, &to[0], &found, NULL), IKE2_WAY_THERE);
    assert_true(gh_addr_equal(&found, &list[0]));
    gh_ike_place_addresses(p, 0, list, 2, 1);
    gh_ike_way_answered(p, 0, &to[0], &list[0], 0);
    gh_ike_place_addresses(p, 0, list, 2, 1); /* nobody wanted to know anything any more */
    assert_true(gh_ike_places_settled(p));
    assert_false(gh_ike_places_settled(p));
    gh_ike_places_free(p);
}

/* ---- Randomness ----------------------------------------------------------------------------- */

static void randomness_is_given_out_once(void **state)
{
    struct gh_random r = {.left = 0};
    uint8_t pieces[100][16], large[GH_RANDOM_STORE + 1] = {0};
    size_t zeros = 0;

    for (size_t i = 0; i < 100; i++) {
        gh_random_take(&r, pieces[i], sizeof(pieces[i]));
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(pieces[i], pieces[k], sizeof(pieces[i]));
        for (size_t at = 0; at < sizeof(r.octets) - r.left; at++)
            assert_int_equal(r.octets[at], 0); /* nothing given out stays */
    }
    gh_random_take(&r, large, sizeof(large));
    for (size_t i = 0; i < sizeof(large); i++)
        zeros += large[i] == 0;
    assert_true(zeros < 64);
    gh_random_take(&r, large, GH_RANDOM_STORE);
    assert_int_equal(r.left, 0);
}

/* ---- What the parent keeps ------------------------------------------------------------------ */

static void kept_in(const char *directory, uint8_t secret[IKE2_CRASH_SECRET])
{
    struct gh_ike_kept k = {.tickets = -1};

    assert_true(gh_ike_kept_open(&k, directory));
    assert_true(k.has_crash_secret);
    memcpy(secret, k.crash_secret, IKE2_CRASH_SECRET);
    assert_true(gh_ike_kept_open(&k, "/nowhere")); /* once it has it, it has it */
    gh_ike_kept_clear(&k);
    assert_false(k.has_crash_secret);
}

static void the_secret_of_crash_tokens_stays(void **state)
{
    char dir[] = "/tmp/gh-kept-XXXXXX", inner[64], path[96];
    uint8_t first[IKE2_CRASH_SECRET], again[IKE2_CRASH_SECRET];
    struct stat st;

    assert_non_null(mkdtemp(dir));
    snprintf(inner, sizeof(inner), "%s/state", dir);
    snprintf(path, sizeof(path), "%s/crash-secret", inner);
    kept_in(inner, first);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, IKE2_CRASH_SECRET);
    kept_in(inner, again);
    assert_memory_equal(first, again, IKE2_CRASH_SECRET);
    /* Who could read it could end SAs of ours: another one takes its place. */
    assert_int_equal(chmod(path, 0640), 0);
    kept_in(inner, again);
    assert_memory_not_equal(first, again, IKE2_CRASH_SECRET);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* So it is where the file is damaged. */
    assert_int_equal(truncate(path, IKE2_CRASH_SECRET - 1), 0);
    kept_in(inner, first);
    assert_memory_not_equal(first, again, IKE2_CRASH_SECRET);
    unlink(path);
    rmdir(inner);
    rmdir(dir);
}

static void without_a_place_there_is_no_secret(void **state)
{
    struct gh_ike_kept k = {.tickets = -1};
    const uint8_t none[IKE2_CRASH_SECRET] = {0};

    assert_false(gh_ike_kept_open(&k, "/proc/nowhere"));
    assert_false(k.has_crash_secret);
    assert_memory_equal(k.crash_secret, none, IKE2_CRASH_SECRET);
    gh_ike_kept_clear(&k);
}

static void each_configuration_has_other_memory_for_tickets(void **state)
{
    struct gh_ike_kept k = {.tickets = -1};
    size_t len = ike2_ticket_memory();

    for (unsigned i = 0; i < 2; i++) {
        uint8_t *memory;

        assert_true(gh_ike_kept_renew(&k));
        memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, k.tickets, 0);
        assert_true(memory != MAP_FAILED);
        for (size_t at = 0; at < len; at++)
            assert_int_equal(memory[at], 0);
        memset(memory, 7, len);
        assert_int_equal(munmap(memory, len), 0);
        assert_int_equal(ftruncate(k.tickets, 0), -1); /* nobody can take it away under it */
    }
    gh_ike_kept_clear(&k);
    assert_int_equal(k.tickets, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_have_their_numbers_for_good),
        cmocka_unit_test(ways_are_asked_for_once),
        cmocka_unit_test(a_change_asks_anew_and_tells_when_all_is_known),
        cmocka_unit_test(what_comes_is_sorted),
        cmocka_unit_test(a_datagram_tells_both_ends),
        cmocka_unit_test(answers_leave_from_where_the_question_came_to),
        cmocka_unit_test(a_keepalive_has_no_marker),
        cmocka_unit_test(many_go_both_ways),
        cmocka_unit_test(what_cannot_be_sent_is_counted),
        cmocka_unit_test(what_has_a_mark_waits_for_it),
        cmocka_unit_test(answers_come_in_any_order),
        cmocka_unit_test(requests_outlive_the_keeper),
        cmocka_unit_test(a_request_that_breaks_every_desk_is_refused),
        cmocka_unit_test(a_keeper_that_makes_things_up_is_not_believed),
        cmocka_unit_test(who_is_forgotten_hears_nothing),
        cmocka_unit_test(what_cannot_be_asked_is_refused_at_once),
        cmocka_unit_test(set_ups_are_counted_by_the_second),
        cmocka_unit_test(notes_of_policies_that_are_gone_go),
        cmocka_unit_test(randomness_is_given_out_once),
        cmocka_unit_test(the_secret_of_crash_tokens_stays),
        cmocka_unit_test(without_a_place_there_is_no_secret),
        cmocka_unit_test(each_configuration_has_other_memory_for_tickets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
