/* The kernel's plane of the `esp` process: what it tells `xfrm`, and what it makes of the answers.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/alloc.h"
#include "daemon/esp_kernel.h"
#include "esp_child.h"
#include "ike/codes.h"

enum { ROOM = 65536 };

static struct {
    uv_loop_t loop;
    struct gh_esp_names policies;
    struct gh_esp_kernel *kernel;
    struct gh_ike_config *config;
    int xfrm; /* the other end of its socket */
    unsigned again, came, moved, worn;
    uint64_t refused, marked;
    char why[64];
    uint32_t wanted;
    uint8_t mem[ROOM];
    size_t len;
} t;

static void on_again(void *ctx)
{
    t.again++;
}

static void on_refused(void *ctx, uint64_t sa, const char *why)
{
    t.refused = sa;
    snprintf(t.why, sizeof(t.why), "%s", why);
}

static void on_worn(void *ctx, uint64_t sa)
{
    t.worn++;
}

static void on_came(void *ctx, uint64_t sa)
{
    t.came++;
}

static void on_moved(void *ctx, uint64_t sa, const struct gh_addr *from, uint16_t from_port)
{
    t.moved++;
}

static void on_wanted(void *ctx, uint32_t policy, const struct ipsec_flow *flow)
{
    t.wanted = policy;
}

static void on_marked(void *ctx, uint64_t mark)
{
    t.marked = mark;
}

/* As esp_child() has it; gateway: NULL: it may be anywhere. */
static struct gh_ike_config *configuration(const char *gateway)
{
    struct gh_ike_config *c = gh_ike_config_new();
    struct ike2_policy *p = ike2_policy_new("berlin");
    struct gh_esp_child child = esp_child(1);
    struct ike_sa defaults;

    p->local = child.local;
    if (gateway != NULL)
        assert_true(gh_addr_parse(gateway, &p->gateway));
    p->children = calloc(1, sizeof(*p->children));
    p->child_count = 1;
    snprintf(p->children[0].name, sizeof(p->children[0].name), "lan");
    ike2_default_proposals(IKE_PROTO_ESP, &defaults);
    assert_true(ike_proposals_set(&p->children[0].proposals, &defaults));
    p->children[0].kernel = true;
    p->children[0].local = child.ts_local;
    p->children[0].remote = child.ts_remote;
    c->policies = gh_config_grow(c->policies, 0, sizeof(struct ike2_policy *));
    c->policies[c->policy_count++] = p;
    return c;
}

static int set_up(void **state)
{
    static const struct gh_esp_kernel_ops ops = {.again = on_again,
                                                 .refused = on_refused,
                                                 .worn = on_worn,
                                                 .came = on_came,
                                                 .moved = on_moved,
                                                 .wanted = on_wanted,
                                                 .marked = on_marked};

    memset(&t, 0, sizeof(t));
    assert_int_equal(uv_loop_init(&t.loop), 0);
    t.kernel = gh_esp_kernel_new(&t.loop, &t.policies, &ops, NULL);
    assert_non_null(t.kernel);
    t.config = configuration("192.0.2.2");
    t.wanted = UINT32_MAX;
    return 0;
}

static int tear_down(void **state)
{
    gh_esp_kernel_free(t.kernel);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&t.loop), 0);
    gh_ike_config_free(t.config);
    gh_esp_names_free(&t.policies);
    close(t.xfrm);
    return 0;
}

static void open_xfrm(void)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    t.xfrm = pair[1];
    assert_true(gh_esp_kernel_open(t.kernel, pair[0]));
}

/* The next message to `xfrm`. */
static bool next(struct gh_frame *f)
{
    static uint8_t body[ROOM];
    struct gh_rd r;
    ssize_t n;

    for (int i = 0; i < 3; i++)
        uv_run(&t.loop, UV_RUN_NOWAIT);
    n = recv(t.xfrm, t.mem + t.len, sizeof(t.mem) - t.len, 0);
    t.len += n > 0 ? (size_t)n : 0;
    r = gh_rd_make(t.mem, t.len);
    if (gh_frame_next(GH_TO_PLANE, &r, f) != GH_FRAME_WHOLE)
        return false;
    n = (ssize_t)gh_rd_left(&f->body);
    memcpy(body, f->body.p, (size_t)n);
    f->body = gh_rd_make(body, (size_t)n);
    t.len = gh_rd_left(&r);
    memmove(t.mem, r.p, t.len);
    return true;
}

static struct gh_rd expect(enum gh_message type)
{
    struct gh_frame f;

    assert_true(next(&f));
    assert_string_equal(gh_message_name(f.type), gh_message_name(type));
    return f.body;
}

static void expect_nothing(void)
{
    struct gh_frame f;

    assert_false(next(&f));
}

/* The policies of the daemon's own namespace. */
static size_t expect_policies(struct gh_plane_policy out[4])
{
    struct gh_rd body = expect(GH_MESSAGE_PLANE_POLICIES);
    char netns[GH_ESP_NETNS];
    size_t count;

    gh_esp_take_string(&body, netns, sizeof(netns));
    assert_string_equal(netns, "");
    count = gh_rd_u32(&body);
    assert_true(count <= 4);
    for (size_t i = 0; i < count; i++)
        assert_true(gh_plane_take_policy(&body, &out[i]));
    assert_true(gh_rd_done(&body));
    return count;
}

static void tell(enum gh_message type, const struct gh_wr *w)
{
    uint8_t header[GH_FRAME_HEADER];

    assert_true(gh_wr_ok(w) && gh_frame_header(type, w->len, header));
    assert_int_equal(send(t.xfrm, header, sizeof(header), 0), sizeof(header));
    assert_int_equal(send(t.xfrm, w->base, w->len, 0), w->len);
    for (int i = 0; i < 3; i++)
        uv_run(&t.loop, UV_RUN_NOWAIT);
}

static bool add(uint64_t id, const struct gh_esp_child *c, uint32_t *tie, bool there)
{
    const struct gh_esp_plane *plane = gh_esp_kernel_plane(t.kernel);
    const struct gh_esp_plane_sa sa = {.id = id,
                                       .way = id % 2 == 0 ? IPSEC_IN : IPSEC_OUT,
                                       .policy = gh_esp_number(&t.policies, c->peer, c->name),
                                       .tie = tie,
                                       .there = there,
                                       .child = c};

    return plane->add(plane->ctx, &sa);
}

static struct gh_plane_sa expect_sa(void)
{
    struct gh_rd body = expect(GH_MESSAGE_PLANE_SA);
    struct gh_plane_sa sa;

    assert_true(gh_plane_take_sa(&body, &sa));
    return sa;
}

static void begin(void)
{
    struct gh_plane_policy p[4];

    open_xfrm();
    assert_true(gh_esp_kernel_configure(t.kernel, t.config));
    expect(GH_MESSAGE_PLANE_BEGIN);
    assert_int_equal(expect_policies(p), 1);
    expect(GH_MESSAGE_PLANE_END);
    assert_int_equal(t.again, 1);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

/* Else it would take what an earlier instance left for nobody's. */
static void nothing_is_said_before_the_configuration(void **state)
{
    struct gh_esp_child c = esp_child(1);
    uint32_t tie = 9;
    struct gh_plane_policy p[4];

    open_xfrm();
    assert_true(add(1, &c, &tie, true));
    expect_nothing();
    assert_true(gh_esp_kernel_configure(t.kernel, t.config));
    expect(GH_MESSAGE_PLANE_BEGIN);
    assert_int_equal(expect_policies(p), 1);
    assert_int_equal(p[0].tie, 9); /* as in the SA that is there */
    assert_int_equal(p[0].action, IPSEC_PROTECT);
    expect(GH_MESSAGE_PLANE_END);
}

static void an_sa_of_the_configured_ends_needs_no_policy(void **state)
{
    struct gh_esp_child c = esp_child(1);
    struct gh_plane_sa sa;
    uint32_t tie = 0;

    begin();
    assert_true(add(1, &c, &tie, false));
    sa = expect_sa();
    assert_true(sa.tie == tie && tie != 0 && !sa.there && sa.way == IPSEC_OUT);
    assert_true(sa.child.key_out.len > 0 && sa.child.key_in.len == 0);
    expect_nothing();
    assert_true(add(1, &c, &tie, false)); /* `xfrm` has forgotten */
    sa = expect_sa();
    assert_true(sa.there);
}

static void other_ends_have_a_policy_of_their_own(void **state)
{
    const struct gh_esp_plane *plane;
    struct gh_esp_child c = esp_child(1);
    struct gh_plane_policy p[4];
    uint32_t tie = 0;

    gh_ike_config_free(t.config);
    t.config = configuration(NULL);
    begin();
    assert_true(add(1, &c, &tie, false));
    expect_sa();
    assert_int_equal(expect_policies(p), 2);
    assert_int_equal(p[0].action, IPSEC_PROTECT);
    assert_true(gh_addr_equal(&p[0].remote, &c.remote));
    assert_int_equal(p[1].action, IPSEC_DISCARD);
    plane = gh_esp_kernel_plane(t.kernel);
    plane->remove(plane->ctx, 1);
    expect(GH_MESSAGE_PLANE_REMOVE);
    assert_int_equal(expect_policies(p), 1);
    assert_int_equal(p[0].action, IPSEC_DISCARD);
}

static void entries_beside_children(void **state)
{
    struct gh_esp_child child = esp_child(1);
    struct gh_spd_entry *spd = calloc(2, sizeof(*spd));
    struct gh_plane_policy p[4];

    for (size_t i = 0; i < 2; i++)
        spd[i] = (struct gh_spd_entry){.name = strdup(i == 0 ? "late" : "early"),
                                       .discard = i == 0,
                                       .after = i == 0,
                                       .out = true,
                                       .in = i == 0,
                                       .local = child.ts_local,
                                       .remote = child.ts_remote};
    t.config->spd = spd;
    t.config->spd_count = 2;
    open_xfrm();
    assert_true(gh_esp_kernel_configure(t.kernel, t.config));
    expect(GH_MESSAGE_PLANE_BEGIN);
    assert_int_equal(expect_policies(p), 3);
    assert_true(p[0].action == IPSEC_PASS && p[0].out && !p[0].in);
    assert_true(p[1].action == IPSEC_PROTECT && p[1].out && p[1].in);
    assert_true(p[2].action == IPSEC_DISCARD && p[2].out && p[2].in);
    expect(GH_MESSAGE_PLANE_END);
    t.config->policies[0]->children[0].kernel = false; /* nothing of the kernel's is there */
    assert_true(gh_esp_kernel_configure(t.kernel, t.config));
    assert_int_equal(expect_policies(p), 0);
}

/* Behind the children, and before what could let its packets pass. */
static void what_keeps_tunnels_closed(void **state)
{
    struct gh_esp_child child = esp_child(1);
    struct gh_tunnel *tunnels = calloc(2, sizeof(*tunnels));
    struct gh_spd_entry *spd = calloc(1, sizeof(*spd));
    struct gh_plane_policy p[8];

    spd[0] = (struct gh_spd_entry){.name = strdup("late"),
                                   .after = true,
                                   .out = true,
                                   .local = child.ts_local,
                                   .remote = child.ts_remote};
    t.config->spd = spd;
    t.config->spd_count = 1;
    for (size_t i = 0; i < 2; i++)
        tunnels[i] = (struct gh_tunnel){
            .name = strdup("t"),
            .device = strdup("t"),
            .peer = i == 0 ? strdup("berlin") : NULL,
            .kernel = true,
            .p = {.kind = TUNNEL_IP_IP, .local = child.local, .remote = child.remote}};
    t.config->tunnels = tunnels;
    t.config->tunnel_count = 2;
    open_xfrm();
    assert_true(gh_esp_kernel_configure(t.kernel, t.config));
    expect(GH_MESSAGE_PLANE_BEGIN);
    assert_int_equal(expect_policies(p), 4); /* nothing of the one that nobody protects */
    assert_int_equal(p[0].action, IPSEC_PROTECT);
    for (size_t i = 1; i < 3; i++) {
        assert_true(p[i].action == IPSEC_DISCARD && p[i].out && p[i].in);
        assert_int_equal(p[i].ts_local.ts[0].protocol, i == 1 ? 4 : 41);
        assert_true(gh_addr_equal(&p[i].ts_local.ts[0].start, &child.local));
        assert_true(gh_addr_equal(&p[i].ts_remote.ts[0].end, &child.remote));
    }
    assert_int_equal(p[3].action, IPSEC_PASS);
    expect(GH_MESSAGE_PLANE_END);
    tunnels[0].kernel = false; /* `esp` sees to it */
    assert_true(gh_esp_kernel_configure(t.kernel, t.config));
    assert_int_equal(expect_policies(p), 2);
}

static void what_the_configuration_does_not_want_any_more(void **state)
{
    struct gh_esp_child c = esp_child(1);
    struct gh_plane_policy p[4];
    uint32_t tie = 0;

    begin();
    assert_true(add(1, &c, &tie, false));
    expect_sa();
    t.config->policies[0]->children[0].remote.ts[0] = esp_child_ts("10.3.0.0/24");
    assert_true(gh_esp_kernel_configure(t.kernel, t.config));
    assert_int_equal(expect_policies(p), 1); /* none that leads to the old SA */
    t.config->policies[0]->children[0].kernel = false;
    assert_true(gh_esp_kernel_configure(t.kernel, t.config));
    assert_int_equal(expect_policies(p), 0);
    assert_false(gh_esp_kernel_has(t.kernel, 0));
}

static void what_xfrm_says(void **state)
{
    const struct gh_esp_plane *plane = gh_esp_kernel_plane(t.kernel);
    struct gh_esp_child c = esp_child(1);
    struct gh_plane_moved moved = {.id = 2, .from = c.remote};
    struct gh_plane_wanted wanted = {.flow = {.local = c.local, .remote = c.remote}};
    const struct ipsec_sa *sa;
    uint8_t body[300];
    struct gh_wr w = gh_wr_make(body, sizeof(body));
    uint32_t tie = 0;

    begin();
    assert_true(add(2, &c, &tie, false));
    gh_plane_put_used(
        &w, &(struct gh_plane_used){
                .id = 2, .packets = 3, .octets = 99, .sequence = 7, .icv = 1, .incoming = true});
    tell(GH_MESSAGE_PLANE_USED, &w);
    sa = plane->get(plane->ctx, 2);
    assert_non_null(sa);
    assert_true(sa->counts.packets == 3 && sa->counts.octets == 99 && sa->replay.top == 7);
    assert_int_equal(sa->counts.results[IPSEC_ICV], 1);
    assert_null(sa->key);
    assert_int_equal(t.came, 1);

    w = gh_wr_make(body, sizeof(body));
    gh_plane_put_moved(&w, &moved); /* where it is already */
    tell(GH_MESSAGE_PLANE_MOVED, &w);
    assert_int_equal(t.moved, 0);
    moved.from_port = 1025;
    w = gh_wr_make(body, sizeof(body));
    gh_plane_put_moved(&w, &moved);
    tell(GH_MESSAGE_PLANE_MOVED, &w);
    assert_int_equal(t.moved, 1);

    wanted.tie = 0x47000000u | tie;
    w = gh_wr_make(body, sizeof(body));
    gh_plane_put_wanted(&w, &wanted);
    tell(GH_MESSAGE_PLANE_WANTED, &w);
    assert_int_equal(t.wanted, gh_esp_number(&t.policies, "berlin", "lan"));

    w = gh_wr_make(body, sizeof(body));
    gh_plane_put_refused(&w, &(struct gh_plane_refused){.id = 2, .why = "no such algorithm"});
    tell(GH_MESSAGE_PLANE_REFUSED, &w);
    assert_int_equal(t.refused, 2);
    assert_string_equal(t.why, "no such algorithm");
    t.refused = 0;
    w = gh_wr_make(body, sizeof(body));
    gh_plane_put_refused(&w, &(struct gh_plane_refused){.id = 99, .why = "gone"});
    tell(GH_MESSAGE_PLANE_REFUSED, &w); /* it went meanwhile */
    assert_int_equal(t.refused, 0);
}

/* The policies that an SA wants are before it, and nobody waits for an `xfrm` that is not there. */
static void a_mark_is_behind_all_before_it(void **state)
{
    struct gh_esp_child c = esp_child(1);
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));
    struct gh_rd r;
    uint32_t tie = 0;

    gh_esp_kernel_mark(t.kernel, 1);
    assert_int_equal(t.marked, 1);
    begin();
    c.remote.octets[3]++;
    assert_true(add(1, &c, &tie, false));
    gh_esp_kernel_mark(t.kernel, 2);
    expect(GH_MESSAGE_PLANE_SA);
    expect(GH_MESSAGE_PLANE_POLICIES);
    r = expect(GH_MESSAGE_PLANE_MARK);
    assert_int_equal(gh_rd_u64(&r), 2);
    assert_int_equal(t.marked, 1);
    gh_wr_u64(&w, 2);
    tell(GH_MESSAGE_PLANE_MARKED, &w);
    assert_int_equal(t.marked, 2);

    gh_esp_kernel_mark(t.kernel, 3);
    expect(GH_MESSAGE_PLANE_MARK);
    assert_int_equal(t.marked, 2);
    shutdown(t.xfrm, SHUT_RDWR);
    expect_nothing();
    assert_int_equal(t.marked, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_said_before_the_configuration, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(entries_beside_children, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_keeps_tunnels_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_sa_of_the_configured_ends_needs_no_policy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_ends_have_a_policy_of_their_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_configuration_does_not_want_any_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_xfrm_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mark_is_behind_all_before_it, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
