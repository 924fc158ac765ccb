/*
 * Policies and SAs (RFC 4301): order, directions, what comes in clear, selectors of every kind, the
 * classifier against a list, and 32,000 tunnels.
 */
#include "ipsec_pair.h"

#include "ipsec/classify.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct buffer one, two;

static struct ipsec_crypt_algs gcm(void)
{
    return algs_of(GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE);
}

static enum ipsec_result goes_out(struct ipsec *e, const char *src, const char *dst)
{
    make_packet(&one, src, dst, 20, 0, true);
    ipsec_out(e, 1, &one.p, 1);
    return one.p.result;
}

static enum ipsec_result comes_in(struct ipsec *e, const char *src, const char *dst)
{
    make_packet(&one, src, dst, 20, 0, true);
    ipsec_in(e, 1, &one.p, 1);
    return one.p.result;
}

static void nothing_is_allowed_at_first(void **state)
{
    struct listener l = {.count = 0};
    struct ipsec *e = engine(&l, NULL);

    assert_int_equal(goes_out(e, "10.0.0.1", "10.0.0.2"), IPSEC_NO_POLICY);
    assert_int_equal(comes_in(e, "10.0.0.1", "10.0.0.2"), IPSEC_NO_POLICY);
    assert_int_equal(ipsec_count(e, IPSEC_OUT, IPSEC_NO_POLICY), 1);
    assert_int_equal(ipsec_count(e, IPSEC_IN, IPSEC_NO_POLICY), 1);
    ipsec_free(e);
}

static void hits_are_counted(void **state)
{
    const struct ipsec_selector a = between("10.0.0.1/32", "0.0.0.0/0");
    const struct ipsec_selector b = between("10.0.0.2/32", "0.0.0.0/0");
    const struct ipsec_policy policies[] = {
        {.id = 1,
         .action = IPSEC_PASS,
         .out = true,
         .in = true,
         .selectors = &a,
         .selector_count = 1},
        {.id = 2,
         .action = IPSEC_PROTECT,
         .out = true,
         .in = true,
         .selectors = &b,
         .selector_count = 1},
    };
    const struct ipsec_policy turned[] = {policies[1], policies[0]};
    struct listener l = {.count = 0};
    struct ipsec *e = engine(&l, NULL);
    struct ipsec_policy_counts counts;

    assert_false(ipsec_policy_look(e, 0, &counts));
    assert_true(ipsec_set_policies(e, policies, 2));
    goes_out(e, "10.0.0.1", "10.9.0.1");
    comes_in(e, "10.9.0.1", "10.0.0.1");
    goes_out(e, "10.0.0.2", "10.9.0.1");
    goes_out(e, "10.0.0.2", "10.9.0.1");
    goes_out(e, "10.0.0.3", "10.9.0.1");
    assert_true(ipsec_policy_look(e, 0, &counts));
    assert_true(counts.out == 1 && counts.in == 1 && counts.no_sa == 0);
    /* They are those of the policy, wherever it stands. */
    assert_true(ipsec_set_policies(e, turned, 2));
    assert_true(ipsec_policy_look(e, 0, &counts));
    assert_true(counts.out == 2 && counts.in == 0 && counts.no_sa == 2);
    assert_true(ipsec_policy_look(e, 1, &counts));
    assert_true(counts.out == 1 && counts.in == 1 && counts.no_sa == 0);
    assert_false(ipsec_policy_look(e, 2, &counts));
    assert_true(ipsec_set_policies(e, policies, 1));
    assert_true(ipsec_set_policies(e, policies, 2));
    assert_true(ipsec_policy_look(e, 1, &counts));
    assert_true(counts.out == 0); /* it was gone */
    ipsec_free(e);
}

static void order_and_directions(void **state)
{
    const struct ipsec_selector host = between("10.0.0.1/32", "10.9.0.1/32");
    const struct ipsec_selector mute = between("10.0.0.3/32", "0.0.0.0/0");
    const struct ipsec_selector net = between("10.0.0.0/24", "10.9.0.0/16");
    const struct ipsec_selector wide = between("0.0.0.0/0", "0.0.0.0/0");
    const struct ipsec_selector v6 = between("::/0", "2001:db8::/32");
    const struct ipsec_policy policies[] = {
        {.id = 1, .action = IPSEC_PASS, .out = true, .selectors = &host, .selector_count = 1},
        {.id = 7, .action = IPSEC_DISCARD, .out = true, .selectors = &mute, .selector_count = 1},
        {.id = 2, .action = IPSEC_DISCARD, .in = true, .selectors = &host, .selector_count = 1},
        {.id = 3,
         .action = IPSEC_PROTECT,
         .out = true,
         .in = true,
         .selectors = &net,
         .selector_count = 1},
        {.id = 4,
         .action = IPSEC_DISCARD,
         .out = true,
         .in = true,
         .selectors = &net,
         .selector_count = 1},
        {.id = 5,
         .action = IPSEC_PASS,
         .out = true,
         .in = true,
         .selectors = &wide,
         .selector_count = 1},
        {.id = 6, .action = IPSEC_PASS, .in = true, .selectors = &v6, .selector_count = 1},
    };
    struct listener l = {.count = 0};
    struct ipsec *e = engine(&l, NULL);

    assert_true(ipsec_set_policies(e, policies, COUNT(policies)));
    assert_int_equal(goes_out(e, "10.0.0.1", "10.9.0.1"), IPSEC_BYPASS);
    assert_int_equal(comes_in(e, "10.9.0.1", "10.0.0.1"), IPSEC_DISCARDED);
    assert_int_equal(goes_out(e, "10.0.0.3", "10.9.0.3"), IPSEC_DISCARDED);
    assert_int_equal(l.count, 0);
    assert_int_equal(goes_out(e, "10.0.0.1", "10.9.0.2"), IPSEC_NO_SA);
    assert_int_equal(l.count, 1);
    assert_int_equal(l.events[0].kind, IPSEC_ACQUIRE);
    assert_int_equal(l.events[0].policy, 3);
    assert_int_equal(l.flow.remote_port, 2000);
    assert_int_equal(comes_in(e, "10.9.0.2", "10.0.0.1"), IPSEC_CLEAR);
    assert_int_equal(ipsec_count(e, IPSEC_IN, IPSEC_CLEAR), 1);
    assert_int_equal(goes_out(e, "10.0.1.1", "10.9.0.2"), IPSEC_BYPASS);
    assert_int_equal(comes_in(e, "10.0.0.1", "10.9.0.2"), IPSEC_BYPASS); /* the other way round */
    assert_int_equal(goes_out(e, "2001:db8::1", "2001:db8::2"), IPSEC_NO_POLICY);
    assert_int_equal(comes_in(e, "2001:db8::1", "2001:db8::2"), IPSEC_BYPASS);
    /* Another place has policies of its own, here none. */
    make_packet(&one, "10.0.1.1", "10.9.0.2", 20, 0, true);
    one.p.place = 1;
    ipsec_out(e, 1, &one.p, 1);
    assert_int_equal(one.p.result, IPSEC_NO_POLICY);
    /* All or nothing: one that cannot be leaves the others as they were. */
    {
        struct ipsec_selector bad = wide;
        struct ipsec_policy p = {
            .action = IPSEC_PASS, .out = true, .selectors = &bad, .selector_count = 1};

        bad.remote.start_port = 9;
        bad.remote.end_port = 8;
        assert_false(ipsec_set_policies(e, &p, 1));
        assert_int_equal(goes_out(e, "10.0.1.1", "10.9.0.2"), IPSEC_BYPASS);
    }
    assert_true(ipsec_set_policies(e, NULL, 0));
    assert_int_equal(goes_out(e, "10.0.1.1", "10.9.0.2"), IPSEC_NO_POLICY);
    ipsec_free(e);
}

/* RFC 4301 5.2 step 4: what is inside must be what the SA is for. */
static void inner_packets_are_checked(void **state)
{
    const struct ipsec_selector narrow =
        between("10.9.0.0/24", "10.0.0.0/24"); /* of the receiver */
    struct pair x;

    pair_plan(&x, gcm(), "192.0.2.1", "192.0.2.2");
    x.in.selectors = &narrow;
    x.in.selector_count = 1;
    x.in.place = 7;
    pair_up(&x, NULL, NULL);
    make_packet(&one, "10.0.0.5", "10.9.0.5", 20, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    assert_int_equal(one.p.place, 7); /* the protected side */
    make_packet(&one, "10.0.1.5", "10.9.0.5", 20, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_SELECTORS);
    make_packet(&one, "10.9.0.5", "10.0.0.5", 20, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_SELECTORS);
    make_packet(&one, "2001:db8::1", "2001:db8::2", 20, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_SELECTORS);
    assert_int_equal(ipsec_get_sa(x.b, IN_ID)->counts.results[IPSEC_SELECTORS], 3);
    pair_down(&x);
}

/* A flow as from a packet. */
static struct ipsec_flow flow(enum ipsec_way way, uint8_t protocol, uint16_t local, uint16_t remote)
{
    return (struct ipsec_flow){.local = addr("10.0.0.1"),
                               .remote = addr("10.9.0.1"),
                               .protocol = protocol,
                               .local_port = local,
                               .remote_port = remote,
                               .ports = true,
                               .one_sided = protocol == 1,
                               .way = way};
}

static void ports_and_protocols(void **state)
{
    struct ipsec_selector s = between("10.0.0.0/24", "10.9.0.0/24");
    struct ipsec_flow f = flow(IPSEC_OUT, 6, 179, 30000), later = f;

    later.ports = false;
    assert_true(ipsec_selector_matches(&s, &f));
    assert_true(ipsec_selector_matches(&s, &later)); /* ANY: packets without ports too */
    s.protocol = 17;
    assert_false(ipsec_selector_matches(&s, &f));
    s.protocol = 6;
    s.local.start_port = s.local.end_port = 179;
    assert_true(ipsec_selector_matches(&s, &f));
    assert_false(ipsec_selector_matches(&s, &later));
    s.remote.start_port = 30001;
    assert_false(ipsec_selector_matches(&s, &f));
    s.remote.start_port = 29999;
    s.remote.end_port = 30000;
    assert_true(ipsec_selector_matches(&s, &f));
    s.local.start_port = s.remote.start_port = 0xffff; /* OPAQUE: only what has none */
    s.local.end_port = s.remote.end_port = 0;
    assert_true(ipsec_selector_valid(&s));
    assert_false(ipsec_selector_matches(&s, &f));
    assert_true(ipsec_selector_matches(&s, &later));
}

/* What make_packet() makes, without its first 16 octets: no port can be seen. */
static void make_later_fragment(struct buffer *b, const char *src, const char *dst)
{
    make_packet(b, src, dst, 20, 0, false);
    b->mem[HEAD + 7] = 2;
    ipsec_header_set_checksum(b->mem + HEAD);
}

/* RFC 4301 7.3, 7.4: where ports are to be right, a fragment that shows none does not pass, neither
 * through an SA nor in clear; entries may discard such fragments alone. */
static void fragments_without_ports(void **state)
{
    struct ipsec_selector ports = between("10.9.0.0/24", "10.0.0.0/24");
    struct ipsec_selector opaque, any = ports;
    struct ipsec_policy policies[2] = {{.id = 1, .out = true, .in = true, .selector_count = 1},
                                       {.id = 2, .out = true, .in = true, .selector_count = 1}};
    struct pair x;

    ports.protocol = 17; /* of b's side: what comes in is from port 1000 to port 2000 */
    ports.local.start_port = ports.local.end_port = 2000;
    opaque = ports;
    opaque.local.start_port = 0xffff;
    opaque.local.end_port = 0;

    pair_plan(&x, gcm(), "192.0.2.1", "192.0.2.2");
    x.in.selectors = &ports;
    x.in.selector_count = 1;
    pair_up(&x, NULL, NULL);
    make_packet(&one, "10.0.0.5", "10.9.0.5", 20, 0, false);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    make_later_fragment(&one, "10.0.0.5", "10.9.0.5");
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_SELECTORS);

    policies[0].action = IPSEC_PASS;
    policies[0].selectors = &ports;
    assert_true(ipsec_set_policies(x.b, policies, 1));
    assert_int_equal(comes_in(x.b, "10.0.0.5", "10.9.0.5"), IPSEC_BYPASS);
    make_later_fragment(&one, "10.0.0.5", "10.9.0.5");
    assert_int_equal(receive_one(&x, &one), IPSEC_NO_POLICY);
    make_later_fragment(&one, "10.9.0.5", "10.0.0.5");
    ipsec_out(x.b, 1, &one.p, 1);
    assert_int_equal(one.p.result, IPSEC_NO_POLICY);

    policies[0].action = IPSEC_DISCARD;
    policies[0].selectors = &opaque;
    policies[1].action = IPSEC_PASS;
    policies[1].selectors = &any;
    assert_true(ipsec_set_policies(x.b, policies, 2));
    assert_int_equal(comes_in(x.b, "10.0.0.5", "10.9.0.5"), IPSEC_BYPASS);
    make_later_fragment(&one, "10.0.0.5", "10.9.0.5");
    assert_int_equal(receive_one(&x, &one), IPSEC_DISCARDED);
    pair_down(&x);
}

/* RFC 4301 4.1: SAs of the same selectors are there side by side, and what comes is taken by any of
 * them, whatever its DSCP. */
static void side_by_side(void **state)
{
    struct pair x;

    pair_plan(&x, gcm(), "192.0.2.1", "192.0.2.2");
    pair_up(&x, NULL, NULL);
    make_packet(&one, "10.0.0.5", "10.9.0.5", 20, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    x.out.id = 20;
    x.in.id = 21;
    x.out.spi = x.in.spi = 0x2000;
    assert_true(ipsec_add_sa(x.a, &x.out));
    assert_true(ipsec_add_sa(x.b, &x.in));
    make_packet(&two, "10.0.0.5", "10.9.0.5", 20, 0xb8, true);
    assert_int_equal(send_one(&x, &two), IPSEC_OK);
    assert_int_equal(two.p.sa, 20);
    ipsec_header_set_ds(octets_of(&two), 0x28); /* changed on the way */
    assert_int_equal(receive_one(&x, &two), IPSEC_OK);
    assert_int_equal(two.p.sa, 21);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    assert_int_equal(one.p.sa, IN_ID);
    pair_down(&x);
}

/* RFC 4301 4.4.1.3, examples C and D: it may send echo requests and not take any, or the reverse.
 */
static void icmp_types(void **state)
{
    struct ipsec_selector s = between("10.0.0.0/24", "10.9.0.0/24");
    struct ipsec_flow out = flow(IPSEC_OUT, 1, 8 << 8, 8 << 8),
                      in = flow(IPSEC_IN, 1, 8 << 8, 8 << 8);

    s.protocol = 1;
    s.local.start_port = s.local.end_port = 8 << 8;
    s.remote.start_port = 0xffff;
    s.remote.end_port = 0;
    assert_true(ipsec_selector_matches(&s, &out));
    assert_false(ipsec_selector_matches(&s, &in));
    s.remote = (struct ipsec_range){s.remote.start, s.remote.end, 8 << 8, 8 << 8};
    s.local.start_port = 0xffff;
    s.local.end_port = 0;
    assert_false(ipsec_selector_matches(&s, &out));
    assert_true(ipsec_selector_matches(&s, &in));
}

/* An error about an echo request that came in goes back through the SA whose peer may send these.
 */
static void error_about_an_echo(void **state)
{
    struct ipsec_selector s = between("10.0.0.0/24", "10.9.0.0/24");
    struct ipsec_policy policy = {.id = POLICY,
                                  .action = IPSEC_PROTECT,
                                  .out = true,
                                  .in = true,
                                  .selectors = &s,
                                  .selector_count = 1};
    struct octets echo;
    struct pair x;

    s.protocol = 1;
    s.remote.start_port = s.remote.end_port = 8 << 8;
    s.local.start_port = 0xffff;
    s.local.end_port = 0;
    pair_plan(&x, gcm(), "192.0.2.1", "192.0.2.2");
    x.out.selectors = &s;
    x.out.selector_count = 1;
    pair_up(&x, NULL, NULL);
    assert_true(ipsec_set_policies(x.a, &policy, 1));
    for (uint8_t type = 8; type <= 13; type += 5) {
        make_packet(&two, "10.9.0.5", "10.0.0.5", 20, 0, true);
        two.mem[HEAD + 9] = 1;
        two.mem[HEAD + 20] = type;
        two.mem[HEAD + 21] = 0;
        echo = octets_now(&two);
        make_packet(&one, "172.16.0.1", "10.9.0.5", 8 + 28, 0, true);
        one.mem[HEAD + 9] = 1;
        memset(one.mem + HEAD + 20, 0, 8);
        one.mem[HEAD + 20] = 3;
        memcpy(one.mem + HEAD + 28, echo.p, 28);
        assert_int_equal(send_one(&x, &one), type == 8 ? IPSEC_OK : IPSEC_NO_POLICY);
    }
    pair_down(&x);
}

static void flows_of_packets(void **state)
{
    struct ipsec_flow f;
    size_t len;

    make_packet(&one, "10.0.0.1", "10.9.0.1", 20, 0, false);
    len = one.p.len + 9; /* a frame's padding */
    assert_true(ipsec_flow_of(octets_of(&one), &len, IPSEC_IN, &f));
    assert_int_equal(len, one.p.len);
    assert_true(f.ports && !f.fragment && !f.one_sided);
    assert_int_equal(f.local_port, 2000);
    assert_int_equal(f.remote_port, 1000);
    octets_of(&one)[7] = 2; /* at octet 16: no ports */
    assert_true(ipsec_flow_of(octets_of(&one), &len, IPSEC_OUT, &f));
    assert_true(!f.ports && f.fragment);
    assert_int_equal(f.fragment_offset, 16);
    make_packet(&one, "10.0.0.1", "10.9.0.1", 20, 0, false);
    one.mem[HEAD + 9] = 1;
    one.mem[HEAD + 20] = 8;
    one.mem[HEAD + 21] = 3;
    len = one.p.len;
    assert_true(ipsec_flow_of(octets_of(&one), &len, IPSEC_OUT, &f));
    assert_true(f.one_sided && f.ports);
    assert_int_equal(f.local_port, 0x0803);
    make_packet(&one, "10.0.0.1", "10.9.0.1", 3, 0, false); /* shorter than its ports */
    len = one.p.len;
    assert_true(ipsec_flow_of(octets_of(&one), &len, IPSEC_OUT, &f));
    assert_false(f.ports);
    len--;
    assert_false(ipsec_flow_of(octets_of(&one), &len, IPSEC_OUT, &f));
    make_packet(&one, "10.0.0.1", "10.9.0.1", 20, 0, false);
    len = one.p.len;
    one.mem[HEAD + 9] = 99; /* a protocol without ports */
    assert_true(ipsec_flow_of(octets_of(&one), &len, IPSEC_OUT, &f));
    assert_false(f.ports);
}

/* An ICMP error, of destination unreachable, from a router; it quotes the first `cut` octets of the
 * packet that is in `one`. */
static void make_error(struct buffer *b, const char *from, const char *to, uint8_t type, size_t cut)
{
    struct octets quoted = octets_now(&one);
    bool v6 = strchr(from, ':') != NULL;
    size_t header = v6 ? 40 : 20;

    make_packet(b, from, to, 8 + cut, 0, true);
    b->mem[HEAD + (v6 ? 6 : 9)] = v6 ? 58 : 1;
    memset(b->mem + HEAD + header, 0, 8);
    b->mem[HEAD + header] = type;
    memcpy(b->mem + HEAD + header + 8, quoted.p, cut);
}

/* RFC 4301 6.2: a router of the peer's, which is not in the selectors, may send errors about what
 * went through the SA, and about nothing else. */
static void icmp_errors(void **state)
{
    static const char *const site[2][2] = {{"10.0.0.5", "10.9.0.5"},
                                           {"2001:db8:a::5", "2001:db8:b::5"}};
    static const char *const router[2] = {"172.16.0.1", "2001:db8:c::1"};
    struct ipsec_selector here[2] = {between("10.0.0.0/24", "10.9.0.0/24"),
                                     between("2001:db8:a::/48", "2001:db8:b::/48")};
    struct ipsec_selector there[2] = {between("10.9.0.0/24", "10.0.0.0/24"),
                                      between("2001:db8:b::/48", "2001:db8:a::/48")};
    struct ipsec_policy policy = {.id = POLICY,
                                  .action = IPSEC_PROTECT,
                                  .out = true,
                                  .in = true,
                                  .selectors = here,
                                  .selector_count = 2};
    struct pair x;

    for (int i = 0; i < 2; i++) /* ports that the quoted packet has to have */
        here[i].remote.start_port = here[i].remote.end_port = there[i].local.start_port =
            there[i].local.end_port = 1000;
    pair_plan(&x, gcm(), "192.0.2.1", "192.0.2.2");
    x.out.selectors = here;
    x.in.selectors = there;
    pair_up(&x, NULL, NULL);
    assert_true(ipsec_set_policies(x.a, &policy, 1));
    for (int v6 = 0; v6 < 2; v6++) {
        uint8_t type = v6 ? 1 : 3;

        /* About a packet that came from the other site, port 1000. */
        make_packet(&one, site[v6][1], site[v6][0], 60, 0, true);
        make_error(&two, router[v6], site[v6][1], type, v6 ? 48 : 28);
        assert_int_equal(send_one(&x, &two), IPSEC_OK);
        assert_int_equal(receive_one(&x, &two), IPSEC_OK);
        make_error(&two, router[v6], site[v6][1], type, v6 ? 40 : 20); /* no ports to be seen */
        assert_int_equal(send_one(&x, &two), IPSEC_NO_POLICY);
        make_error(&two, router[v6], site[v6][1], v6 ? 128 : 8, 48); /* an echo */
        assert_int_equal(send_one(&x, &two), IPSEC_NO_POLICY);
        make_packet(&one, site[v6][0], site[v6][1], 60, 0, true); /* the other direction */
        make_error(&two, router[v6], site[v6][1], type, 48);
        assert_int_equal(send_one(&x, &two), IPSEC_NO_POLICY);

        /* A sender that does not check: the receiver does. */
        set_policy(x.a, IPSEC_PROTECT);
        x.out.id = 30;
        x.out.selectors = anything();
        x.out.last_seq += 100;
        assert_true(ipsec_add_sa(x.a, &x.out));
        make_error(&two, router[v6], site[v6][1], type, 48);
        assert_int_equal(send_one(&x, &two), IPSEC_OK);
        assert_int_equal(receive_one(&x, &two), IPSEC_SELECTORS);
        assert_true(ipsec_remove_sa(x.a, 30));
        assert_true(ipsec_remove_sa(x.a, OUT_ID));
        x.out.id = OUT_ID;
        x.out.selectors = here;
        x.out.last_seq += 100;
        assert_true(ipsec_add_sa(x.a, &x.out));
        assert_true(ipsec_set_policies(x.a, &policy, 1));
    }
    pair_down(&x);
}

/* The same SPI of ESP and of AH are two SAs. */
static void spi_and_protocol(void **state)
{
    struct ipsec_sa_params p;
    struct pair x;

    pair_plan(&x, gcm(), "192.0.2.1", "192.0.2.2");
    pair_up(&x, NULL, NULL);
    p = x.in;
    p.id = 60;
    p.protocol = IPSEC_AH;
    p.algs = algs_of(GH_ENC_NULL, 0, GH_INTEG_HMAC_SHA1_96);
    assert_true(ipsec_add_sa(x.b, &p));
    assert_int_equal(goes_out(x.a, "10.0.0.1", "10.9.0.1"), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    assert_int_equal(one.p.sa, IN_ID);
    p.id = 61;
    p.way = IPSEC_OUT;
    p.local = x.out.local;
    p.remote = x.out.remote;
    assert_true(ipsec_add_sa(x.a, &p));
    assert_int_equal(goes_out(x.a, "10.0.0.1", "10.9.0.1"), IPSEC_OK);
    assert_int_equal(one.p.sa, 61);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    assert_int_equal(one.p.sa, 60);
    pair_down(&x);
}

/* The newest SA of the policy takes the traffic; another policy's never does. */
static void rekeying(void **state)
{
    struct pair x;

    pair_plan(&x, gcm(), "192.0.2.1", "192.0.2.2");
    pair_up(&x, NULL, NULL);
    assert_int_equal(goes_out(x.a, "10.0.0.1", "10.9.0.1"), IPSEC_OK);
    assert_int_equal(one.p.sa, OUT_ID);
    x.out.id = 20;
    x.out.spi = 0x2000;
    assert_true(ipsec_add_sa(x.a, &x.out));
    assert_int_equal(goes_out(x.a, "10.0.0.1", "10.9.0.1"), IPSEC_OK);
    assert_int_equal(one.p.sa, 20);
    x.out.id = 21;
    x.out.policy = POLICY + 1;
    assert_true(ipsec_add_sa(x.a, &x.out));
    assert_int_equal(goes_out(x.a, "10.0.0.1", "10.9.0.1"), IPSEC_OK);
    assert_int_equal(one.p.sa, 20);
    assert_true(ipsec_remove_sa(x.a, 20));
    assert_int_equal(goes_out(x.a, "10.0.0.1", "10.9.0.1"), IPSEC_OK);
    assert_int_equal(one.p.sa, OUT_ID);
    assert_true(ipsec_remove_sa(x.a, OUT_ID));
    assert_int_equal(goes_out(x.a, "10.0.0.1", "10.9.0.1"), IPSEC_NO_SA);
    pair_down(&x);
}

static unsigned random_state = 7;

static unsigned roll(unsigned n)
{
    random_state = random_state * 1103515245 + 12345;
    return (random_state >> 8) % n;
}

/* Few bits differ, so that much overlaps. */
static struct gh_addr rolled_addr(bool v6)
{
    struct gh_addr a = {.len = v6 ? 16 : 4};

    a.octets[0] = 10;
    a.octets[a.len - 2] = (uint8_t)roll(4);
    a.octets[a.len - 1] = (uint8_t)roll(256);
    return a;
}

static struct ipsec_range rolled_range(bool v6)
{
    struct gh_addr a = rolled_addr(v6), b = rolled_addr(v6);
    bool in_order = memcmp(a.octets, b.octets, 16) <= 0;
    struct ipsec_range r = {
        .start = in_order ? a : b, .end = in_order ? b : a, .end_port = roll(2) ? 0xffff : 1500};

    if (roll(3) == 0)
        r.end = r.start;
    return r;
}

enum { SELECTORS = 400, FLOWS = 4000 };

struct model {
    struct ipsec_selector s;
    uint32_t place;
    uint64_t order;
    bool there;
};

static void check_against(const struct ipsec_classifier *c, const struct model *m)
{
    for (size_t i = 0; i < FLOWS; i++) {
        bool v6 = roll(2);
        struct ipsec_flow f = {.local = rolled_addr(v6),
                               .remote = rolled_addr(v6),
                               .protocol = 6,
                               .local_port = (uint16_t)roll(3000),
                               .remote_port = 9,
                               .ports = true};
        uint32_t place = roll(2);
        const struct model *want = NULL;

        for (size_t n = 0; n < SELECTORS; n++)
            if (m[n].there && m[n].place == place && ipsec_selector_matches(&m[n].s, &f) &&
                (want == NULL || m[n].order < want->order))
                want = &m[n];
        assert_ptr_equal(ipsec_classify(c, place, &f, NULL, NULL), want);
    }
}

/* Ranges that are no prefixes, of both versions, added in any order and removed again. */
static void classifier_against_a_list(void **state)
{
    static struct model m[SELECTORS];
    struct ipsec_classifier *c = ipsec_classifier_new(99);

    for (size_t i = 0; i < SELECTORS; i++) {
        bool v6 = i % 2;

        m[i] = (struct model){.s = {.local = rolled_range(v6), .remote = rolled_range(v6)},
                              .place = roll(2),
                              .order = (i * 7919) % 100003,
                              .there = true};
        assert_true(ipsec_classifier_add(c, m[i].place, m[i].order, &m[i].s, &m[i]));
    }
    check_against(c, m);
    for (size_t i = 0; i < SELECTORS; i += 3) {
        ipsec_classifier_remove(c, m[i].place, m[i].order, &m[i].s, &m[i]);
        ipsec_classifier_remove(c, m[i].place, m[i].order, &m[i].s, &m[i]); /* twice is once */
        m[i].there = false;
    }
    check_against(c, m);
    for (size_t i = 0; i < SELECTORS; i += 3) {
        assert_true(ipsec_classifier_add(c, m[i].place, m[i].order, &m[i].s, &m[i]));
        m[i].there = true;
    }
    check_against(c, m);
    for (size_t i = 0; i < SELECTORS; i++)
        ipsec_classifier_remove(c, m[i].place, m[i].order, &m[i].s, &m[i]);
    memset(m, 0, sizeof(m));
    check_against(c, m);
    ipsec_classifier_free(c);
}

enum { TUNNELS = 32000 };

static struct gh_addr tunnel_addr(uint8_t first, size_t i)
{
    const uint8_t octets[4] = {first, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

    return gh_addr_from(octets, 4);
}

static struct ipsec_selector tunnel_selector(size_t i, bool turned)
{
    struct gh_prefix site = {.addr = tunnel_addr(10, i), .bits = 32}, all = {.addr = {.len = 4}};

    return turned ? ipsec_selector_between(&site, &all) : ipsec_selector_between(&all, &site);
}

/* Each tunnel has a policy and two SAs of its own; every packet finds its own way and back. */
static void thirty_two_thousand_tunnels(void **state)
{
    static struct ipsec_policy policies[TUNNELS];
    static struct ipsec_selector selectors[TUNNELS];
    struct listener la = {.count = 0}, lb = {.count = 0};
    struct ipsec *a = engine(&la, NULL), *b = engine(&lb, NULL);
    struct pair x;

    pair_plan(&x, gcm(), "192.0.2.1", "192.0.2.2");
    for (size_t i = 0; i < TUNNELS; i++) {
        struct ipsec_selector other = tunnel_selector(i, true);

        selectors[i] = tunnel_selector(i, false);
        policies[i] = (struct ipsec_policy){.id = (uint32_t)i,
                                            .action = IPSEC_PROTECT,
                                            .out = true,
                                            .in = true,
                                            .selectors = &selectors[i],
                                            .selector_count = 1};
        x.out.id = x.in.id = i + 1;
        x.out.spi = x.in.spi = (uint32_t)(1000 + i * 77);
        x.out.policy = (uint32_t)i;
        x.out.selectors = &selectors[i];
        x.in.selectors = &other;
        x.out.selector_count = x.in.selector_count = 1;
        assert_true(ipsec_add_sa(a, &x.out));
        assert_true(ipsec_add_sa(b, &x.in));
    }
    assert_true(ipsec_set_policies(a, policies, TUNNELS));
    for (size_t i = 0; i < TUNNELS; i += 7) {
        char dst[GH_ADDR_TEXT];
        struct gh_addr d = tunnel_addr(10, i);

        make_packet(&one, "172.16.0.1", gh_addr_format(&d, dst), 20, 0, true);
        copy_buffer(&two, &one);
        ipsec_out(a, 1, &one.p, 1);
        assert_int_equal(one.p.result, IPSEC_OK);
        assert_int_equal(one.p.sa, i + 1);
        ipsec_in(b, 1, &one.p, 1);
        assert_int_equal(one.p.result, IPSEC_OK);
        assert_int_equal(one.p.sa, i + 1);
        assert_memory_equal(octets_of(&one), octets_of(&two), two.p.len);
        assert_int_equal(comes_in(a, dst, "172.16.0.1"), IPSEC_CLEAR);
    }
    for (size_t i = 0; i < TUNNELS; i += 2)
        assert_true(ipsec_remove_sa(a, i + 1));
    for (size_t i = 0; i < 2000; i++) {
        char dst[GH_ADDR_TEXT];
        struct gh_addr d = tunnel_addr(10, i);

        la.count = 0;
        assert_int_equal(goes_out(a, "172.16.0.1", gh_addr_format(&d, dst)),
                         i % 2 == 0 ? IPSEC_NO_SA : IPSEC_OK);
    }
    ipsec_free(a);
    ipsec_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_allowed_at_first),
        cmocka_unit_test(hits_are_counted),
        cmocka_unit_test(order_and_directions),
        cmocka_unit_test(inner_packets_are_checked),
        cmocka_unit_test(ports_and_protocols),
        cmocka_unit_test(fragments_without_ports),
        cmocka_unit_test(side_by_side),
        cmocka_unit_test(icmp_types),
        cmocka_unit_test(flows_of_packets),
        cmocka_unit_test(icmp_errors),
        cmocka_unit_test(error_about_an_echo),
        cmocka_unit_test(spi_and_protocol),
        cmocka_unit_test(rekeying),
        cmocka_unit_test(classifier_against_a_list),
        cmocka_unit_test(thirty_two_thousand_tunnels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
