/*
 * The `ao` process's server for programs' sockets, with the test as its parent and as the programs:
 * what they are told while the parent cannot do its part. And the small tables that it is made of.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/ao_cookies.h"
#include "daemon/ao_facts.h"
#include "daemon/ao_md5.h"
#include "daemon/ao_sockets.h"
#include "daemon/ao_zones.h"
#include "daemon/ends.h"
#include "daemon/parent_priv.h"
#include "tcpao/engine.h"
#include "wire/wr.h"
#include "emulate_values.h"

enum { ZONE = 3, VRF = 12 };

/* ---- The parent and the program ---- */

static struct {
    uv_loop_t loop;
    struct gh_channel *ao, *parent;
    struct gh_ao_sockets *sockets;
    struct ao_engine *engine;
    struct gh_config config;
    struct gh_session sessions[1];
    uint16_t zones[1];
    struct gh_setup setup;
    /* what the parent does */
    uint16_t zone;
    bool rules_fail;
    /* what it heard */
    bool watch_confirmed; /* asked for something after WATCH */
    unsigned zones_asked, flows, watched, kept, forgotten;
    uint64_t last_watched;
} w;

static bool on_ao_message(void *ctx, struct gh_frame *frame, int fd)
{
    return gh_ao_sockets_message(w.sockets, frame, fd);
}

static void on_broken(void *ctx, const char *why)
{
    fail_msg("the channel broke: %s", why);
}

static void tell(enum gh_message type, struct gh_wr *out)
{
    assert_true(gh_wr_ok(out));
    assert_true(gh_channel_send(w.parent, type, out->base, out->len, -1));
}

static bool on_parent_message(void *ctx, struct gh_frame *frame, int fd)
{
    uint8_t body[16];
    struct gh_wr out = gh_wr_make(body, sizeof(body));
    uint32_t id;

    switch (frame->type) {
    case GH_MESSAGE_ZONE:
        id = gh_rd_u32(&frame->body);
        close(fd);
        w.zones_asked++;
        w.watch_confirmed = w.watched > 0;
        gh_wr_u32(&out, id);
        gh_wr_u16(&out, w.zone);
        tell(GH_MESSAGE_ZONED, &out);
        return true;
    case GH_MESSAGE_FLOWS:
        id = gh_rd_u32(&frame->body);
        w.flows++;
        w.watch_confirmed = w.watched > 0;
        gh_wr_u32(&out, id);
        gh_wr_u8(&out, !w.rules_fail);
        tell(GH_MESSAGE_FLOWED, &out);
        return true;
    case GH_MESSAGE_WATCH:
        gh_rd_skip(&frame->body, 2);
        w.last_watched = gh_rd_u64(&frame->body);
        w.watched++;
        return true;
    case GH_MESSAGE_KEEP:
        w.kept++;
        return true;
    case GH_MESSAGE_FORGET:
        w.forgotten++;
        return true;
    default:
        return true;
    }
}

static void pump(void)
{
    for (int i = 0; i < 50; i++)
        uv_run(&w.loop, UV_RUN_NOWAIT);
}

/* Records are told a moment after the change. */
static void pump_until_kept(void)
{
    for (int i = 0; i < 1000 && w.kept == 0; i++) {
        pump();
        usleep(1000);
    }
}

static struct gh_prefix prefix(const char *text)
{
    struct gh_prefix p;

    assert_true(gh_prefix_parse(text, &p));
    return p;
}

static uint8_t earlier[64][sizeof(w)] __attribute__((aligned(16)));
static size_t started;

static int start(void **state)
{
    static const struct gh_channel_ops ao = {.message = on_ao_message, .broken = on_broken};
    static const struct gh_channel_ops parent = {.message = on_parent_message, .broken = on_broken};
    static char name[] = "alpha";
    const struct ao_engine_settings settings = {.max_connections = 64};
    int pair[2];

    /* An `ao` is never freed, its process ends: what earlier tests had is still pointed to. */
    assert_true(started < sizeof(earlier) / sizeof(earlier[0]));
    memcpy(&earlier[started++], &w, sizeof(w));
    memset(&w, 0, sizeof(w));
    gh_log_setup("test", GH_LOG_ERROR);
    assert_int_equal(uv_loop_init(&w.loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    w.ao = gh_channel_new(&w.loop, pair[0], GH_TO_AO, &ao, NULL);
    w.parent = gh_channel_new(&w.loop, pair[1], GH_TO_PARENT, &parent, NULL);
    w.sockets = gh_ao_sockets_new(&w.loop, w.ao, false, &(struct gh_ao_sockets_ops){.flush = NULL});
    w.engine = ao_engine_new(&settings);
    w.sessions[0] = (struct gh_session){
        .name = name, .peer = prefix("10.0.0.0/24"), .port = 179, .backend = GH_BACKEND_ENGINE};
    w.zones[0] = w.zone = ZONE;
    w.config = (struct gh_config){.sessions = w.sessions, .session_count = 1};
    w.setup = (struct gh_setup){.config = &w.config, .zones = w.zones};
    assert_true(gh_ao_sockets_start(w.sockets, gh_clock_now(), w.engine));
    w.config.session_count = 0; /* its chain is of no interest here */
    gh_ao_sockets_configure(w.sockets, gh_clock_now(), &w.setup);
    w.config.session_count = 1;
    pump();
    return 0;
}

static int join_as(uint32_t uid)
{
    uint8_t body[8];
    struct gh_wr out = gh_wr_make(body, sizeof(body));
    int pair[2];

    gh_wr_u32(&out, 7);
    gh_wr_u32(&out, uid);

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_true(gh_channel_send(w.parent, GH_MESSAGE_SHIM, body, sizeof(body), pair[1]));
    close(pair[1]);
    pump();
    return pair[0];
}

static int join(void)
{
    return join_as(0);
}

static uint32_t room; /* of requests that are not answered with octets */

static void request(int program, enum gh_shim_op op, int option, const void *value, size_t len,
                    int fd)
{
    uint8_t header[GH_SHIM_REQUEST_HEADER];
    struct gh_wr out = gh_wr_make(header, sizeof(header));
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    struct iovec parts[2] = {{.iov_base = header, .iov_len = sizeof(header)},
                             {.iov_base = (void *)(uintptr_t)value, .iov_len = len}};
    struct msghdr msg = {.msg_iov = parts,
                         .msg_iovlen = 2,
                         .msg_control = control.room,
                         .msg_controllen = sizeof(control.room)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

    gh_wr_u8(&out, GH_SHIM_VERSION);
    gh_wr_u8(&out, op);
    gh_wr_u16(&out, (uint64_t)option);
    gh_wr_u32(&out, op == GH_SHIM_GETOPT ? len : room);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &fd, sizeof(int));
    assert_int_equal(sendmsg(program, &msg, 0), (ssize_t)(sizeof(header) + len));
}

struct said {
    unsigned action;
    int error;
};

static struct said ask(int program, enum gh_shim_op op, int option, const void *value, size_t len,
                       int fd)
{
    uint8_t answer[4096];
    struct gh_rd r;
    struct said said;
    ssize_t n;

    request(program, op, option, value, len, fd);
    pump();
    n = recv(program, answer, sizeof(answer), MSG_DONTWAIT);
    assert_true(n >= GH_SHIM_ANSWER_HEADER);
    r = gh_rd_make(answer, (size_t)n);
    gh_rd_skip(&r, 1);
    said.action = gh_rd_u8(&r);
    gh_rd_skip(&r, 2);
    said.error = (int)gh_rd_u32(&r);
    return said;
}

static struct sockaddr_in ipv4(const char *addr, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

    assert_int_equal(inet_pton(AF_INET, addr, &a.sin_addr), 1);
    return a;
}

static int tcp_socket(bool bound)
{
    struct sockaddr_in any = ipv4("127.0.0.1", 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    if (bound)
        assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
    return fd;
}

static struct said add_key(int program, int fd, const char *peer)
{
    uint8_t value[ADD_SIZE];

    value_add(value, peer, 32, 1, 2);
    return ask(program, GH_SHIM_SETOPT, EMU_TCP_AO_ADD_KEY, value, sizeof(value), fd);
}

static void assert_said(struct said s, enum gh_shim_action action, int error)
{
    assert_int_equal(s.error, error);
    assert_int_equal(s.action, action);
}

/* ---- While the parent cannot ---- */

static void keys_need_a_zone(void **state)
{
    int program = join(), fd = tcp_socket(true);

    w.zone = GH_NO_ZONE;
    assert_said(add_key(program, fd, "127.0.0.1"), GH_SHIM_DONE, ENOBUFS);
    w.zone = ZONE;
    assert_said(add_key(program, fd, "127.0.0.1"), GH_SHIM_DONE, 0);
    close(fd);
    close(program);
}

static void socket_stays_closed_when_its_zone_is_gone(void **state)
{
    int program = join(), fd = tcp_socket(true), other = tcp_socket(true);
    struct sockaddr_in peer = ipv4("127.0.0.1", 4000);

    assert_said(add_key(program, fd, "127.0.0.1"), GH_SHIM_DONE, 0);
    gh_ao_sockets_zone_closed(w.sockets, ZONE);
    w.zone = GH_NO_ZONE;
    assert_said(ask(program, GH_SHIM_CONNECT, 0, &peer, sizeof(peer), fd), GH_SHIM_DONE, ENOBUFS);
    assert_said(ask(program, GH_SHIM_LISTEN, 0, NULL, 0, fd), GH_SHIM_DONE, ENOBUFS);
    assert_said(ask(program, GH_SHIM_CONNECT, 0, &peer, sizeof(peer), other), GH_SHIM_PASS, 0);
    close(fd);
    close(other);
    close(program);
}

static void listener_without_rules_does_not_open(void **state)
{
    int program = join(), fd = tcp_socket(true), other = tcp_socket(true);

    assert_said(add_key(program, fd, "127.0.0.1"), GH_SHIM_DONE, 0);
    w.rules_fail = true;
    assert_said(ask(program, GH_SHIM_LISTEN, 0, NULL, 0, fd), GH_SHIM_DONE, ENOBUFS);
    assert_said(ask(program, GH_SHIM_LISTEN, 0, NULL, 0, fd), GH_SHIM_DONE, ENOBUFS);
    /* whoever has no keys has nothing to wait for */
    assert_said(ask(program, GH_SHIM_LISTEN, 0, NULL, 0, other), GH_SHIM_PASS, 0);
    w.rules_fail = false;
    assert_said(ask(program, GH_SHIM_LISTEN, 0, NULL, 0, fd), GH_SHIM_DONE, 0);
    assert_said(ask(program, GH_SHIM_LISTEN, 0, NULL, 0, fd), GH_SHIM_DONE, 0);
    close(fd);
    close(other);
    close(program);
}

/* Its program may be gone with the socket before the parent watches it, else nobody hears. */
static void socket_is_held_until_it_is_watched(void **state)
{
    int program = join(), fd = tcp_socket(true);

    assert_said(add_key(program, fd, "127.0.0.1"), GH_SHIM_DONE, 0);
    assert_int_equal(w.watched, 1);
    assert_true(w.watch_confirmed);
    assert_said(add_key(program, fd, "127.0.0.1"), GH_SHIM_DONE, EEXIST);
    assert_int_equal(w.zones_asked, 2); /* where it is, and that it is watched */
    close(fd);
    close(program);
}

/* What the library says of net.core.optmem_max is the program's word alone. */
static void memory_for_keys_has_an_end(void **state)
{
    int program = join(), fd = tcp_socket(true);
    struct said said = {.error = 0};
    char peer[16];
    unsigned keys = 0;

    room = UINT32_MAX;
    for (; said.error == 0 && keys < 6000; keys++) {
        snprintf(peer, sizeof(peer), "10.1.%u.%u", keys / 200, 1 + keys % 200);
        said = add_key(program, fd, peer);
    }
    room = 0;
    assert_int_equal(said.error, ENOMEM);
    assert_true(keys > 4000);
    close(fd);
    close(program);
}

/* ---- What programs pass ---- */

/* Its close() waits: for 20 s, because nobody reads what it has sent. */
static int lingering_socket(int *listener)
{
    static const uint8_t data[1 << 20];
    const struct linger linger = {.l_onoff = 1, .l_linger = 20};
    struct sockaddr_in end;
    socklen_t len = sizeof(end);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    *listener = tcp_socket(true);
    assert_int_equal(listen(*listener, 1), 0);
    assert_int_equal(getsockname(*listener, (struct sockaddr *)&end, &len), 0);
    connect(fd, (struct sockaddr *)&end, len);
    while (write(fd, data, sizeof(data)) > 0)
        ;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    return fd;
}

static void socket_that_lingers_does_not_stop_ao(void **state)
{
    int program = join(), listener, fd = lingering_socket(&listener);
    uint64_t before = gh_clock_now().mono_ms;

    request(program, GH_SHIM_ACCEPTED, 0, NULL, 0, fd);
    close(fd); /* from here on it is in ao's hands alone */
    pump();
    assert_int_equal(w.zones_asked, 1);
    assert_true(gh_clock_now().mono_ms - before < 5000);
    close(listener);
    close(program);
}

static void what_is_no_socket_goes_no_further(void **state)
{
    int pipes[2], good, fd = tcp_socket(true);

    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < 12; i++) {
        int program = join_as(1000);
        char octet;
        ssize_t n;

        request(program, GH_SHIM_ACCEPTED, 0, NULL, 0, pipes[0]);
        pump();
        n = recv(program, &octet, 1, MSG_DONTWAIT);
        assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
        close(program);
    }
    assert_int_equal(w.zones_asked, 0);
    good = join_as(1000); /* not heard any more; everybody else is */
    request(good, GH_SHIM_ACCEPTED, 0, NULL, 0, fd);
    pump();
    assert_int_equal(w.zones_asked, 0);
    close(good);
    good = join_as(1001);
    assert_said(ask(good, GH_SHIM_ACCEPTED, 0, NULL, 0, fd), GH_SHIM_PASS, 0);
    close(good);
    close(fd);
    close(pipes[0]);
    close(pipes[1]);
}

/* ---- TCP-MD5 ---- */

static struct said set_md5(int program, int fd, const char *peer, int bits, int ifindex)
{
    uint8_t value[MD5_SIZE];

    value_md5(value, peer, bits, ifindex);
    return ask(program, GH_SHIM_SETOPT, bits < 0 ? EMU_TCP_MD5SIG : EMU_TCP_MD5SIG_EXT, value,
               sizeof(value), fd);
}

/* A routing daemon makes a socket with such a key every few seconds. */
static void sockets_with_tcp_md5_alone_are_forgotten(void **state)
{
    int program = join(), fd = tcp_socket(false);
    uint8_t body[8];
    struct gh_wr out = gh_wr_make(body, sizeof(body));

    w.zone = GH_NO_ZONE;
    assert_said(set_md5(program, fd, "192.0.2.1", -1, -1), GH_SHIM_PASS, 0);
    pump();
    assert_int_equal(w.kept, 0); /* nobody would say when it ends */
    gh_ao_sockets_configure(w.sockets, gh_clock_now(), &w.setup);
    w.zone = ZONE;
    assert_said(set_md5(program, fd, "192.0.2.1", -1, -1), GH_SHIM_PASS, 0);
    pump_until_kept();
    assert_int_equal(w.kept, 1);
    assert_int_equal(w.watched, 1);
    gh_wr_u64(&out, w.last_watched);
    tell(GH_MESSAGE_SOCKET_GONE, &out);
    pump();
    assert_true(w.forgotten > 0);
    close(fd);
    close(program);
}

/* Only where all that the key is for is the session's, it is replaced. */
static void tcp_md5_is_replaced_for_a_sessions_peers_alone(void **state)
{
    static const struct {
        const char *peer;
        int bits, ifindex;
        enum gh_shim_action action;
    } keys[] = {{"10.0.0.1", -1, -1, GH_SHIM_DONE}, {"10.0.0.0", 24, -1, GH_SHIM_DONE},
                {"10.0.0.0", 23, -1, GH_SHIM_PASS}, {"10.0.0.0", 8, -1, GH_SHIM_PASS},
                {"10.0.1.1", -1, -1, GH_SHIM_PASS}, {"10.0.0.1", 32, VRF, GH_SHIM_PASS},
                {"10.0.0.1", 32, 0, GH_SHIM_DONE},  {"any", 0, -1, GH_SHIM_PASS}};
    int program = join(), bound;

    w.config.session_count = 1;
    gh_ao_sockets_configure(w.sockets, gh_clock_now(), &w.setup);
    gh_ao_sockets_link(w.sockets, ZONE, VRF, 1500, true);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        int fd = tcp_socket(false);

        assert_said(set_md5(program, fd, keys[i].peer, keys[i].bits, keys[i].ifindex),
                    keys[i].action, 0);
        close(fd);
    }
    bound = tcp_socket(false);
    gh_ao_sockets_link(w.sockets, ZONE, if_nametoindex("lo"), 65536, true); /* for once a VRF */
    assert_int_equal(setsockopt(bound, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
    assert_said(set_md5(program, bound, "10.0.0.1", -1, -1), GH_SHIM_PASS, 0);
    close(bound);
    close(program);
}

/* ---- The parent, asked for a socket in a zone that has just ended ---- */

static void zone_that_ended_is_no_reason_to_end_ao(void **state)
{
    struct gh_zone zone = {.vacant = true, .dynamic = true, .queue = -1};
    struct gh_zone *zones[] = {&zone};
    struct gh_parent parent = {.zones = {.list = zones, .count = 1}};
    const struct tcpao_endpoint end = {.addr_len = 4, .port = 179};

    for (uint16_t index = 0; index < 2; index++) {
        uint8_t body[GH_ENDS_MAX];
        struct gh_wr out = gh_wr_make(body, sizeof(body));
        struct gh_rd r;

        gh_ends_put(&out, index, &end, &end);
        r = gh_rd_make(body, out.len);
        assert_true(gh_parent_lookup(&parent, &r));
        r = gh_rd_make(body, out.len);
        assert_true(gh_parent_abort(&parent, &r));
        r = gh_rd_make(body, out.len - 1);
        assert_false(gh_parent_lookup(&parent, &r));
    }
}

/* ---- The tables ---- */

static void cookies_are_a_set(void **state)
{
    enum { MANY = 5000 };
    struct gh_cookies set = {.slots = NULL};

    gh_cookies_remove(&set, 1);
    for (uint64_t c = 1; c <= MANY; c++)
        assert_true(gh_cookies_add(&set, c * 64));
    for (uint64_t c = 1; c <= MANY; c++)
        assert_false(gh_cookies_add(&set, c * 64));
    assert_int_equal(set.count, MANY);
    for (uint64_t c = 1; c <= MANY; c += 2)
        gh_cookies_remove(&set, c * 64);
    gh_cookies_remove(&set, 7);
    assert_int_equal(set.count, MANY / 2);
    for (uint64_t c = 1; c <= MANY; c++)
        assert_int_equal(gh_cookies_add(&set, c * 64), c % 2);
    free(set.slots);
}

static void zones_and_namespaces(void **state)
{
    struct gh_ao_zones z = {.list = NULL};
    struct gh_ao_zone *three = gh_ao_zone_get(&z, 3), *four = gh_ao_zone_get(&z, 4);
    uint16_t zone = 9;

    assert_ptr_equal(gh_ao_zone_get(&z, 3), three);
    gh_ao_netns_set(&z, 0, 3); /* a kernel that does not tell */
    assert_false(gh_ao_netns_find(&z, 0, &zone));
    gh_ao_netns_set(&z, 70, 3);
    gh_ao_netns_set(&z, 71, 4);
    gh_ao_netns_set(&z, 72, GH_NO_ZONE);
    assert_true(gh_ao_netns_find(&z, 72, &zone));
    assert_int_equal(zone, GH_NO_ZONE);
    gh_ao_netns_forget_missing(&z);
    assert_false(gh_ao_netns_find(&z, 72, &zone));

    for (uint32_t i = 1; i <= GH_ZONE_VRFS + 5; i++)
        gh_ao_zone_set_vrf(four, i, true);
    gh_ao_zone_set_vrf(four, 2, true);
    assert_int_equal(four->vrf_count, GH_ZONE_VRFS);
    gh_ao_zone_set_vrf(four, 2, false);
    gh_ao_zone_set_vrf(four, 2, false);
    assert_false(gh_ao_zone_is_vrf(four, 2));
    assert_true(gh_ao_zone_is_vrf(four, GH_ZONE_VRFS));

    gh_ao_zone_forget(&z, 3);
    gh_ao_zone_forget(&z, 3);
    assert_null(gh_ao_zone(&z, 3));
    assert_false(gh_ao_netns_find(&z, 70, &zone));
    assert_true(gh_ao_netns_find(&z, 71, &zone));
    assert_int_equal(zone, 4);
    gh_ao_zone_forget(&z, 4);
    free(z.list);
    free(z.netns);
}

static void counters_are_as_they_were_when_the_program_asked(void **state)
{
    const uint64_t first[GH_ZONE_COUNTERS] = {3, 1}, second[GH_ZONE_COUNTERS] = {4, 1};
    struct gh_ao_zone z = {.index = 0};

    gh_ao_zone_count(&z, first, 0); /* when, nobody knows */
    assert_int_equal(gh_ao_zone_counted(&z, 1)[0], 3);
    gh_ao_zone_count(&z, second, 100);
    assert_int_equal(gh_ao_zone_counted(&z, 99)[0], 3);
    assert_int_equal(gh_ao_zone_counted(&z, 100)[0], 4);
    gh_ao_zone_count(&z, second, 200); /* nothing changed */
    assert_int_equal(gh_ao_zone_counted(&z, 150)[0], 4);
}

static bool stays_for_the_first(void *ctx, const struct gh_md5_request *r)
{
    (*(unsigned *)ctx)++;
    return r->peer.addr[3] == 1;
}

static void tcp_md5_keys_are_given_once(void **state)
{
    struct gh_md5_list l = {.list = NULL};
    uint8_t value[MD5_SIZE];
    struct gh_md5_request r;
    unsigned asked = 0;
    int fd = tcp_socket(false);

    value_md5(value, "10.0.0.1", -1, -1);
    assert_false(gh_md5_parse(EMU_TCP_MD5SIG, value, MD5_SIZE - 1, &r));
    assert_true(gh_md5_parse(EMU_TCP_MD5SIG, value, MD5_SIZE, &r));
    assert_true(gh_md5_keep(&l, 1, EMU_TCP_MD5SIG, value, &r));
    assert_true(gh_md5_keep(&l, 1, EMU_TCP_MD5SIG, value, &r)); /* in its place */
    assert_true(gh_md5_keep(&l, 2, EMU_TCP_MD5SIG, value, &r));
    value_md5(value, "10.0.0.2", -1, -1);
    assert_true(gh_md5_parse(EMU_TCP_MD5SIG, value, MD5_SIZE, &r));
    assert_true(gh_md5_keep(&l, 1, EMU_TCP_MD5SIG, value, &r));
    assert_int_equal(l.count, 3);
    assert_int_equal(gh_md5_give(&l, 1, fd, stays_for_the_first, &asked), 0);
    assert_int_equal(asked, 2);
    assert_int_equal(l.count, 2);
    value_u16(value, MD5_KEYLEN, 0);
    value_addr(value, "10.0.0.1");
    assert_true(gh_md5_parse(EMU_TCP_MD5SIG, value, MD5_SIZE, &r));
    assert_true(r.removes);
    assert_true(gh_md5_keep(&l, 1, EMU_TCP_MD5SIG, value, &r));
    assert_int_equal(l.count, 1);
    gh_md5_forget(&l, 2);
    assert_int_equal(l.count, 0);
    for (uint64_t c = 1; c <= 100; c++)
        assert_true(
            gh_md5_keep(&l, c, EMU_TCP_MD5SIG, value, &(struct gh_md5_request){.prefix = 1}));
    assert_int_equal(l.count, 100);
    free(l.list);
    close(fd);
}

static void endpoints_as_programs_write_them(void **state)
{
    struct sockaddr_in in = ipv4("192.0.2.7", 179);
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(179)};
    uint8_t octets[28];
    struct tcpao_endpoint e;

    memcpy(octets, &in, sizeof(in));
    assert_true(gh_facts_endpoint(octets, 8, &e));
    assert_int_equal(e.addr_len, 4);
    assert_int_equal(e.port, 179);
    assert_int_equal(e.addr[3], 7);
    for (size_t len = 0; len < 8; len++)
        assert_false(gh_facts_endpoint(octets, len, &e));
    memset(octets + 4, 0, 4);
    assert_true(gh_facts_endpoint(octets, 16, &e));
    assert_int_equal(e.addr_len, 0);

    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.7", &in6.sin6_addr), 1);
    memcpy(octets, &in6, sizeof(in6));
    assert_true(gh_facts_endpoint(octets, 24, &e));
    assert_int_equal(e.addr_len, 4);
    assert_int_equal(e.addr[0], 192);
    assert_false(gh_facts_endpoint(octets, 23, &e));
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::7", &in6.sin6_addr), 1);
    memcpy(octets, &in6, sizeof(in6));
    assert_true(gh_facts_endpoint(octets, sizeof(octets), &e));
    assert_int_equal(e.addr_len, 16);
    assert_int_equal(e.addr[15], 7);
    octets[0] = octets[1] = 0xee;
    assert_false(gh_facts_endpoint(octets, sizeof(octets), &e));
}

static void facts_are_asked_of_the_socket(void **state)
{
    struct gh_socket_facts f;
    int pair[2], fd = tcp_socket(true), udp = socket(AF_INET, SOCK_DGRAM, 0);

    assert_true(gh_facts_read(fd, &f));
    assert_int_equal(f.emu.state, EMU_CLOSED);
    assert_int_equal(f.emu.local.addr_len, 4);
    assert_true(f.emu.local.port != 0 && f.emu.cookie != 0 && f.inode != 0);
    assert_false(f.emu.ipv6);
    assert_int_equal(listen(fd, 1), 0);
    assert_true(gh_facts_read(fd, &f));
    assert_int_equal(f.emu.state, EMU_LISTEN);
    assert_false(gh_facts_read(udp, &f));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_false(gh_facts_read(pair[0], &f));
    close(pair[0]);
    close(pair[1]);
    close(udp);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(keys_need_a_zone, start),
        cmocka_unit_test_setup(socket_stays_closed_when_its_zone_is_gone, start),
        cmocka_unit_test_setup(listener_without_rules_does_not_open, start),
        cmocka_unit_test_setup(socket_is_held_until_it_is_watched, start),
        cmocka_unit_test_setup(memory_for_keys_has_an_end, start),
        cmocka_unit_test_setup(socket_that_lingers_does_not_stop_ao, start),
        cmocka_unit_test_setup(what_is_no_socket_goes_no_further, start),
        cmocka_unit_test_setup(sockets_with_tcp_md5_alone_are_forgotten, start),
        cmocka_unit_test_setup(tcp_md5_is_replaced_for_a_sessions_peers_alone, start),
        cmocka_unit_test(cookies_are_a_set),
        cmocka_unit_test(zones_and_namespaces),
        cmocka_unit_test(counters_are_as_they_were_when_the_program_asked),
        cmocka_unit_test(tcp_md5_keys_are_given_once),
        cmocka_unit_test(endpoints_as_programs_write_them),
        cmocka_unit_test(facts_are_asked_of_the_socket),
        cmocka_unit_test(zone_that_ended_is_no_reason_to_end_ao),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
