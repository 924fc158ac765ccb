/* The messages between the processes: frames, the setup's passage, MTUs, the state file. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/channel.h"
#include "daemon/ends.h"
#include "daemon/frame.h"
#include "daemon/mtus.h"
#include "daemon/setup.h"
#include "daemon/socket_flows.h"
#include "daemon/state.h"
#include "wire/wr.h"

/* ---- Frames --------------------------------------------------------------------------------- */

static size_t frame_bytes(uint8_t *mem, uint16_t type, uint16_t zero, uint32_t len, size_t body)
{
    struct gh_wr w = gh_wr_make(mem, 256);

    gh_wr_u16(&w, type);
    gh_wr_u16(&w, zero);
    gh_wr_u32(&w, len);
    gh_wr_zero(&w, body);
    return w.len;
}

static void a_frame_in_pieces(void **state)
{
    uint8_t mem[256];
    size_t len = frame_bytes(mem, GH_MESSAGE_LINK, 0, 11, 11);
    struct gh_frame frame;

    for (size_t n = 0; n < len; n++) {
        struct gh_rd r = gh_rd_make(mem, n);

        assert_int_equal(gh_frame_next(GH_TO_AO, &r, &frame), GH_FRAME_MORE);
        assert_int_equal(gh_rd_left(&r), n);
    }
    len += frame_bytes(mem + len, GH_MESSAGE_PING, 0, 0, 0);

    struct gh_rd r = gh_rd_make(mem, len);

    assert_int_equal(gh_frame_next(GH_TO_AO, &r, &frame), GH_FRAME_WHOLE);
    assert_int_equal(frame.type, GH_MESSAGE_LINK);
    assert_int_equal(gh_rd_left(&frame.body), 11);
    assert_int_equal(gh_frame_next(GH_TO_AO, &r, &frame), GH_FRAME_WHOLE);
    assert_int_equal(frame.type, GH_MESSAGE_PING);
    assert_int_equal(gh_frame_next(GH_TO_AO, &r, &frame), GH_FRAME_MORE);
}

static void bad_frames(void **state)
{
    static const struct {
        enum gh_receiver self;
        uint16_t type, zero;
        uint32_t len;
    } bad[] = {
        {GH_TO_AO, GH_MESSAGE_COUNT, 0, 0}, /* unknown */
        {GH_TO_AO, GH_MESSAGE_PING, 1, 0},  /* reserved octets */
        {GH_TO_AO, GH_MESSAGE_PING, 0, 1},  /* too long */
        {GH_TO_AO, GH_MESSAGE_LINK, 0, 9},  /* too short */
        {GH_TO_AO, GH_MESSAGE_PONG, 0, 0},  /* against the direction */
        {GH_TO_PARENT, GH_MESSAGE_CONFIG, 0, 12},
        {GH_TO_PARENT, GH_MESSAGE_ANSWER, 0, GH_FRAME_BODY_MAX + 1},
        {GH_TO_AO, GH_MESSAGE_REQUEST, 0, 4 + GH_REQUEST_MAX + 1},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t mem[256];
        size_t len = frame_bytes(mem, bad[i].type, bad[i].zero, bad[i].len, 16);
        struct gh_rd r = gh_rd_make(mem, len);
        struct gh_frame frame;

        assert_int_equal(gh_frame_next(bad[i].self, &r, &frame), GH_FRAME_BAD);
    }
}

static void headers_keep_the_same_rules(void **state)
{
    uint8_t header[GH_FRAME_HEADER];

    assert_true(gh_frame_header(GH_MESSAGE_PING, 0, header));
    assert_false(gh_frame_header(GH_MESSAGE_PING, 1, header));
    assert_false(gh_frame_header(GH_MESSAGE_LINK, 9, header));
    assert_false(gh_frame_header(GH_MESSAGE_COUNT, 0, header));
}

struct heard {
    unsigned messages;
    char why[100];
};

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    ((struct heard *)ctx)->messages++;
    return true;
}

static void on_broken(void *ctx, const char *why)
{
    snprintf(((struct heard *)ctx)->why, sizeof(((struct heard *)ctx)->why), "%s", why);
}

/* What a process that is not trusted any more may send: it is not listened to. */
static void a_message_without_its_descriptor_breaks_the_channel(void **state)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    struct heard heard = {.messages = 0};
    struct gh_channel *c;
    uint8_t mem[256];
    size_t len = frame_bytes(mem, GH_MESSAGE_PING, 0, 0, 0);
    uv_loop_t loop;
    int pair[2];

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    c = gh_channel_new(&loop, pair[0], GH_TO_AO, &ops, &heard);
    assert_non_null(c);
    len += frame_bytes(mem + len, GH_MESSAGE_QUEUE, 0, 4, 4);
    len += frame_bytes(mem + len, GH_MESSAGE_PING, 0, 0, 0);
    assert_int_equal(write(pair[1], mem, len), len);
    uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(heard.messages, 1);
    assert_string_equal(heard.why, "QUEUE without its descriptor");
    assert_false(gh_channel_send(c, GH_MESSAGE_PONG, NULL, 0, -1));
    gh_channel_close(c);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    close(pair[1]);
}

/* ---- Connections ---------------------------------------------------------------------------- */

static struct gh_ends some_ends(uint8_t octets)
{
    struct gh_ends ends = {.zone = 7,
                           .local = {.addr_len = octets, .port = 179},
                           .remote = {.addr_len = octets, .port = 40000}};

    for (uint8_t i = 0; i < octets; i++) {
        ends.local.addr[i] = i;
        ends.remote.addr[i] = (uint8_t)(100 + i);
    }
    return ends;
}

static size_t put_ends(const struct gh_ends *ends, uint8_t mem[64])
{
    struct gh_wr w = gh_wr_make(mem, 64);

    gh_ends_put(&w, ends->zone, &ends->local, &ends->remote);
    assert_true(gh_wr_ok(&w));
    return w.len;
}

static bool take_ends(const uint8_t *mem, size_t len, struct gh_ends *out)
{
    struct gh_rd r = gh_rd_make(mem, len);

    return gh_ends_take(&r, out);
}

static void ends_survive_the_passage(void **state)
{
    for (uint8_t octets = 4; octets <= 16; octets += 12) {
        struct gh_ends in = some_ends(octets), out;
        uint8_t mem[64], header[GH_FRAME_HEADER];
        size_t len = put_ends(&in, mem);

        assert_true(len <= GH_ENDS_MAX);
        assert_true(gh_frame_header(GH_MESSAGE_ABORT, len, header));
        assert_true(gh_frame_header(GH_MESSAGE_LOOKUP, len, header));
        assert_true(gh_frame_header(GH_MESSAGE_GONE, len + 1, header));
        memset(&out, 0, sizeof(out));
        assert_true(take_ends(mem, len, &out));
        assert_int_equal(out.zone, in.zone);
        assert_memory_equal(&out.local, &in.local, sizeof(in.local));
        assert_memory_equal(&out.remote, &in.remote, sizeof(in.remote));
    }
}

static void malformed_ends(void **state)
{
    struct gh_ends in = some_ends(4), out;
    uint8_t mem[64] = {0};
    size_t len = put_ends(&in, mem);

    for (size_t n = 0; n < len; n++) {
        uint8_t *exact = malloc(n + 1);

        memcpy(exact, mem, n);
        assert_false(take_ends(exact, n, &out));
        free(exact);
    }
    assert_false(take_ends(mem, len + 1, &out)); /* something follows */
    mem[2] = 5;
    assert_false(take_ends(mem, len + 1, &out)); /* no such address */
    in.remote.addr_len = 16;
    assert_false(take_ends(mem, put_ends(&in, mem), &out)); /* of two families */
}

/* ---- Flows of sockets ----------------------------------------------------------------------- */

static size_t put_flow(const struct gh_socket_flow *f, uint8_t mem[GH_SOCKET_FLOW_MAX])
{
    struct gh_wr w = gh_wr_make(mem, GH_SOCKET_FLOW_MAX);

    gh_socket_flow_put(&w, f);
    assert_true(gh_wr_ok(&w));
    return w.len;
}

static bool take_flow(const uint8_t *mem, size_t len, struct gh_socket_flow *out)
{
    struct gh_rd r = gh_rd_make(mem, len);

    return gh_socket_flow_take(&r, out) && gh_rd_done(&r);
}

static struct gh_socket_flow some_flow(enum gh_socket_flow_kind kind, const char *peer,
                                       const char *local)
{
    struct gh_socket_flow f = {.kind = kind, .local_port = 179, .remote_port = 40000};

    assert_true(gh_prefix_parse(peer, &f.peer));
    if (local != NULL)
        assert_true(gh_addr_parse(local, &f.local));
    return f;
}

static void flows_survive_the_passage(void **state)
{
    const struct gh_socket_flow flows[] = {
        some_flow(GH_FLOW_QUEUE, "192.0.2.1", "192.0.2.2"),
        some_flow(GH_FLOW_QUEUE, "192.0.2.0/25", NULL),
        some_flow(GH_FLOW_GUARD, "2001:db8::1", "2001:db8::2"),
        some_flow(GH_FLOW_GUARD, "::/0", NULL),
        some_flow(GH_FLOW_KEYED, "192.0.2.1", NULL),
    };

    for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
        struct gh_socket_flow out;
        uint8_t mem[GH_SOCKET_FLOW_MAX];
        size_t len = put_flow(&flows[i], mem);

        assert_true(take_flow(mem, len, &out));
        assert_int_equal(out.kind, flows[i].kind);
        assert_memory_equal(&out.peer, &flows[i].peer, sizeof(out.peer));
        assert_memory_equal(&out.local, &flows[i].local, sizeof(out.local));
        assert_int_equal(out.local_port, 179);
        assert_int_equal(out.remote_port, 40000);
        for (size_t n = 0; n < len; n++)
            assert_false(take_flow(mem, n, &out));
    }
}

/* STRICT has no addresses, not even of a family. */
static void a_strict_flow_is_nothing_but_its_kind(void **state)
{
    const struct gh_socket_flow f = {.kind = GH_FLOW_STRICT};
    struct gh_socket_flow out;
    uint8_t mem[GH_SOCKET_FLOW_MAX];

    assert_true(take_flow(mem, put_flow(&f, mem), &out));
    assert_int_equal(out.kind, GH_FLOW_STRICT);
}

static void malformed_flows(void **state)
{
    struct gh_socket_flow f = some_flow(GH_FLOW_QUEUE, "192.0.2.0/25", "192.0.2.2"), out;
    uint8_t mem[GH_SOCKET_FLOW_MAX];
    size_t len = put_flow(&f, mem);
    static const struct {
        size_t at;
        uint8_t octet;
    } bad[] = {
        {0, 4},   /* no such kind */
        {1, 5},   /* no such address */
        {6, 33},  /* more bits than it has */
        {6, 24},  /* fine, but then: */
        {5, 129}, /* host bits */
        {7, 16},  /* ends of two families */
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t changed[GH_SOCKET_FLOW_MAX];

        memcpy(changed, mem, len);
        changed[bad[i].at] = bad[i].octet;
        assert_int_equal(take_flow(changed, len, &out), i == 3);
    }
}

/* ---- The setup ------------------------------------------------------------------------------ */

static const char text[] =
    "gatehouse { queue-base = 100 }\n"
    "key-chain core {\n"
    "    description = \"to the core\"\n"
    "    tolerance = 60\n"
    "    key 1 { send-id = 3  recv-id = 8  algorithm = \"hmac-sha-1-96\"\n"
    "            secret = \"a strong secret, one\"\n"
    "            send-lifetime = \"2026-12-01T00:00:00Z/2026-12-31T00:00:00Z\" }\n"
    "    key 2 { send-id = 4  recv-id = 9  algorithm = \"aes-128-cmac-96\"\n"
    "            secret = \"a strong secret, two\"\n"
    "            send-lifetime = \"2026-12-31T00:00:00Z/infinite\" }\n"
    "}\n"
    "key-chain edge {\n"
    "    key 7 { send-id = 1  recv-id = 1  algorithm = \"hmac-sha-256-128\"\n"
    "            secret = \"a strong secret, three\" }\n"
    "}\n"
    "tcp-ao upstream { peer = \"192.0.2.2\"  port = 179  key-chain = core  backend = kernel }\n"
    "tcp-ao customers { peer = \"2001:db8::/32\"  local = \"2001:db8::1\"  port = 179\n"
    "                   key-chain = edge  direction = passive  vrf = \"red\"  netns = \"blue\" }\n"
    "ike-peer berlin { remote = \"192.0.2.2\"  psk-secret = \"a strong secret, four\"\n"
    "    local = \"192.0.2.1\"\n"
    "    child lan { local-ts = \"10.1.0.0/16\"  remote-ts = \"10.2.0.0/16\" } }\n"
    "tcp-ao negotiated { peer = \"192.0.2.2\"  port = 646  ike-peer = berlin  rekey = 600 }\n"
    "tcp-ao several { peer = \"192.0.2.2\"  port = 646  source-port = 4000-4999\n"
    "    ike-peer = berlin  key-chain = core  fallback = yes }\n";

static struct gh_setup make_setup(void)
{
    struct gh_problems problems = {.list = NULL};
    struct gh_setup s = {.config = gh_config_parse("test.conf", text, strlen(text),
                                                   &(struct gh_config_options){0}, &problems)};

    if (s.config == NULL)
        gh_problems_print(&problems, stderr);
    assert_non_null(s.config);
    gh_problems_clear(&problems);
    s.zones = calloc(s.config->session_count, sizeof(*s.zones));
    s.zones[0] = 5;
    s.zones[1] = 9;
    assert_true(s.config->sessions[2].chain == GH_NO_CHAIN);
    return s;
}

static char *printed(const struct gh_config *c)
{
    char *out = NULL;
    size_t len;
    FILE *f = open_memstream(&out, &len);

    gh_config_print(c, f);
    fclose(f);
    return out;
}

static void expect_same(const struct gh_setup *a, const struct gh_setup *b)
{
    char *x = printed(a->config), *y = printed(b->config);

    assert_string_equal(x, y);
    assert_non_null(strstr(y, "ike-peer"));
    free(x);
    free(y);
    assert_string_equal(a->config->path, b->config->path);
    assert_int_equal(a->config->queue_base, b->config->queue_base);
    for (size_t i = 0; i < a->config->session_count; i++) {
        assert_int_equal(a->zones[i], b->zones[i]);
        assert_int_equal(a->config->sessions[i].line, b->config->sessions[i].line);
        assert_true(a->config->sessions[i].chain == b->config->sessions[i].chain);
    }
    for (size_t i = 0; i < a->config->chain_count; i++)
        for (size_t k = 0; k < a->config->chains[i].key_count; k++) {
            const struct gh_key *p = &a->config->chains[i].keys[k];
            const struct gh_key *q = &b->config->chains[i].keys[k];

            assert_true(gh_secret_equal(&p->secret, &q->secret));
            assert_ptr_equal(q->mkt.secret, q->secret.data);
            assert_int_equal(q->mkt.secret_len, q->secret.len);
            assert_true(p->mkt.send.from == q->mkt.send.from);
            assert_true(p->mkt.accept.until == q->mkt.accept.until);
        }
}

static void a_setup_survives_the_passage(void **state)
{
    struct gh_setup a = make_setup(), b, c;
    size_t len, sealed_len;
    uint8_t *data = gh_setup_encode(&a, &len);
    int fd = gh_setup_seal(&a, &sealed_len);

    assert_non_null(data);
    assert_true(gh_setup_decode(data, len, &b));
    expect_same(&a, &b);
    assert_true(fd >= 0);
    assert_int_equal(sealed_len, len);
    assert_true(write(fd, "x", 1) < 0); /* sealed */
    assert_true(gh_setup_open(fd, sealed_len, &c));
    expect_same(&a, &c);
    close(fd);
    free(data);
    gh_setup_clear(&a);
    gh_setup_clear(&b);
    gh_setup_clear(&c);
}

static void a_setup_cut_anywhere_is_refused(void **state)
{
    struct gh_setup a = make_setup(), b;
    size_t len;
    uint8_t *data = gh_setup_encode(&a, &len);

    for (size_t n = 0; n < len; n++) {
        uint8_t *exact = malloc(n + 1);

        memcpy(exact, data, n);
        assert_false(gh_setup_decode(exact, n, &b));
        assert_null(b.config);
        free(exact);
    }
    free(data);
    gh_setup_clear(&a);
}

/* A MAC longer than the algorithm makes would be read beyond its end. */
static void a_setup_with_an_overlong_mac_is_refused(void **state)
{
    struct gh_setup a = make_setup(), b;
    size_t len;
    uint8_t *data;

    a.config->chains[0].keys[0].mkt.mac_len = 21; /* SHA-1 has 20 */
    data = gh_setup_encode(&a, &len);
    assert_false(gh_setup_decode(data, len, &b));
    free(data);
    gh_setup_clear(&a);
}

/* Nobody is left without keys, or with those of a chain and of IKE. */
static void a_setup_with_keys_from_nowhere_is_refused(void **state)
{
    for (size_t i = 0; i < 4; i++) {
        struct gh_setup a = make_setup(), b;
        struct gh_session *s = &a.config->sessions[i];
        size_t len;
        uint8_t *data;

        s->chain = s->chain != GH_NO_CHAIN ? GH_NO_CHAIN : 0;
        data = gh_setup_encode(&a, &len);
        assert_false(gh_setup_decode(data, len, &b));
        free(data);
        gh_setup_clear(&a);
    }
}

/* Any octet may be wrong: it is refused or yields a value that can be freed. The sanitizers see. */
static void a_setup_with_any_octet_changed(void **state)
{
    struct gh_setup a = make_setup(), b;
    size_t len;
    uint8_t *data = gh_setup_encode(&a, &len);

    for (size_t n = 0; n < len; n++) {
        data[n] ^= 0xff;
        if (gh_setup_decode(data, len, &b))
            gh_setup_clear(&b);
        data[n] ^= 0xff;
    }
    free(data);
    gh_setup_clear(&a);
}

/* ---- MTUs ----------------------------------------------------------------------------------- */

static void mtus(void **state)
{
    struct gh_mtus m = {.list = NULL};

    assert_int_equal(gh_mtus_get(&m, 1), 0);
    for (uint32_t i = 0; i < 100; i++)
        assert_true(gh_mtus_set(&m, (i * 37) % 101 + 1, 1000 + (i * 37) % 101));
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(gh_mtus_get(&m, (i * 37) % 101 + 1), 1000 + (i * 37) % 101);
    assert_true(gh_mtus_set(&m, 5, 9000));
    assert_int_equal(gh_mtus_get(&m, 5), 9000);
    assert_true(gh_mtus_set(&m, 5, 0));
    assert_true(gh_mtus_set(&m, 5, 0));
    assert_int_equal(gh_mtus_get(&m, 5), 0);
    assert_int_equal(gh_mtus_get(&m, 6), 1005);
    gh_mtus_clear(&m);
}

/* ---- The state file ------------------------------------------------------------------------- */

static void state_outlives_its_mapping(void **state)
{
    char path[] = "/tmp/gatehouse-test-XXXXXX";
    int fd = mkstemp(path);
    uint8_t *p;
    struct stat st;

    close(fd);
    fd = gh_state_open(path, 10000);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    p = gh_state_map(fd, 10000);
    assert_non_null(p);
    assert_int_equal(p[9999], 0);
    p[9999] = 42;
    close(fd);

    fd = gh_state_open(path, 10000);
    assert_int_equal(*((uint8_t *)gh_state_map(fd, 10000) + 9999), 42);
    /* the mark of the boot */
    assert_int_equal(pwrite(fd, "x", 1, 20), 1);
    close(fd);
    fd = gh_state_open(path, 10000);
    assert_int_equal(*((uint8_t *)gh_state_map(fd, 10000) + 9999), 0);
    close(fd);
    /* another size */
    fd = gh_state_open(path, 20000);
    assert_int_equal(*((uint8_t *)gh_state_map(fd, 20000) + 9999), 0);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_in_pieces),
        cmocka_unit_test(bad_frames),
        cmocka_unit_test(headers_keep_the_same_rules),
        cmocka_unit_test(a_message_without_its_descriptor_breaks_the_channel),
        cmocka_unit_test(ends_survive_the_passage),
        cmocka_unit_test(malformed_ends),
        cmocka_unit_test(flows_survive_the_passage),
        cmocka_unit_test(a_strict_flow_is_nothing_but_its_kind),
        cmocka_unit_test(malformed_flows),
        cmocka_unit_test(a_setup_survives_the_passage),
        cmocka_unit_test(a_setup_cut_anywhere_is_refused),
        cmocka_unit_test(a_setup_with_an_overlong_mac_is_refused),
        cmocka_unit_test(a_setup_with_keys_from_nowhere_is_refused),
        cmocka_unit_test(a_setup_with_any_octet_changed),
        cmocka_unit_test(mtus),
        cmocka_unit_test(state_outlives_its_mapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
