/*
 * What is looked at in a packet beside its own addresses and ports: what an ICMP error quotes
 * (RFC 4301 6.2), which first fragment a later one belongs to (7.2 to 7.4), the type of a Mobility
 * Header (4.4.1.1), and of SAs in transport mode whose peer it is for.
 */
#include "ipsec_pair.h"

#include "ipsec/fragments.h"

static struct buffer one, two;

static void plan(struct pair *x)
{
    pair_plan(x, algs_of(GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE), "192.0.2.1", "192.0.2.2");
}

/* An ICMP error that quotes what is in `one`. */
static void make_error(const char *from, const char *to)
{
    bool v6 = strchr(from, ':') != NULL;
    size_t header = v6 ? 40 : 20;

    make_packet(&two, from, to, 8 + 48, 0, true);
    two.mem[HEAD + (v6 ? 6 : 9)] = v6 ? 58 : 1;
    two.mem[HEAD + header] = v6 ? 1 : 3;
    two.mem[HEAD + header + 1] = 1;
    memcpy(two.mem + HEAD + header + 8, one.mem + HEAD, 48);
}

/* Part of the datagram `id`, from octet `at` on. */
static void make_fragment(const char *src, const char *dst, uint8_t id, uint16_t at, bool more)
{
    make_packet(&one, src, dst, 24, 0, false);
    one.mem[HEAD + 4] = 0;
    one.mem[HEAD + 5] = id;
    one.mem[HEAD + 6] = (uint8_t)((more ? 0x20 : 0) | at / 8 >> 8);
    one.mem[HEAD + 7] = (uint8_t)(at / 8);
}

static enum ipsec_result pass(struct pair *x, struct buffer *b)
{
    assert_int_equal(send_one(x, b), IPSEC_OK);
    return receive_one(x, b);
}

/* A peer that may send anything of its own side's sends an error about somebody else's packet. */
static void quotes_of_errors(void **state)
{
    static const char *const ours[2] = {"10.9.0.5", "2001:db8:b::5"};
    static const char *const theirs[2] = {"10.0.0.5", "2001:db8:a::5"};
    static const char *const others[2] = {"10.7.0.5", "2001:db8:c::5"};
    struct ipsec_selector both[2] = {between("10.9.0.0/24", "10.0.0.0/24"),
                                     between("2001:db8:b::/48", "2001:db8:a::/48")};
    struct ipsec_selector with_icmp[3];

    for (int v6 = 0; v6 < 2; v6++) {
        struct pair x;

        plan(&x);
        x.in.selectors = both;
        pair_up(&x, NULL, NULL);
        make_packet(&one, ours[v6], theirs[v6], 60, 0, true);
        make_error(theirs[v6], ours[v6]);
        assert_int_equal(pass(&x, &two), IPSEC_OK);
        make_packet(&one, ours[v6], others[v6], 60, 0, true);
        make_error(theirs[v6], ours[v6]);
        assert_int_equal(pass(&x, &two), IPSEC_QUOTED);
        make_error(others[v6], ours[v6]); /* neither fits */
        assert_int_equal(pass(&x, &two), IPSEC_SELECTORS);
        make_packet(&one, theirs[v6], ours[v6], 60, 0, true); /* it came from there itself */
        make_error(theirs[v6], ours[v6]);
        assert_int_equal(pass(&x, &two), IPSEC_QUOTED);
        memset(one.mem + HEAD, 0xff, 48); /* no packet */
        make_error(theirs[v6], ours[v6]);
        assert_int_equal(pass(&x, &two), IPSEC_QUOTED);
        /* Many of one kind in a batch are looked at each. */
        for (int i = 0; i < 2; i++) {
            make_packet(&one, ours[v6], i == 0 ? theirs[v6] : others[v6], 60, 0, true);
            make_error(theirs[v6], ours[v6]);
            assert_int_equal(pass(&x, &two), i == 0 ? IPSEC_OK : IPSEC_QUOTED);
        }
        make_packet(&two, theirs[v6], ours[v6], 60, 0, true); /* an echo is no error */
        two.mem[HEAD + (v6 ? 6 : 9)] = v6 ? 58 : 1;
        two.mem[HEAD + (v6 ? 40 : 20)] = v6 ? 128 : 8;
        assert_int_equal(pass(&x, &two), IPSEC_OK);
        assert_int_equal(ipsec_count(x.b, IPSEC_IN, IPSEC_QUOTED), 4);
        pair_down(&x);

        plan(&x); /* the operator wants no such look */
        x.in.selectors = both;
        x.in.icmp_header = true;
        pair_up(&x, NULL, NULL);
        make_packet(&one, ours[v6], others[v6], 60, 0, true);
        make_error(theirs[v6], ours[v6]);
        assert_int_equal(pass(&x, &two), IPSEC_OK);
        pair_down(&x);

        plan(&x); /* ICMP is named */
        with_icmp[0] = both[v6];
        with_icmp[0].protocol = 17;
        with_icmp[1] = both[v6];
        with_icmp[1].protocol = v6 ? 58 : 1;
        x.in.selectors = with_icmp;
        pair_up(&x, NULL, NULL);
        make_packet(&one, ours[v6], others[v6], 60, 0, true);
        make_error(theirs[v6], ours[v6]);
        assert_int_equal(pass(&x, &two), IPSEC_OK);
        pair_down(&x);
    }
}

static void a_quote_is_not_taken_over_from_the_packet_before(void **state)
{
    static struct buffer about_ours;
    struct ipsec_selector only = between("10.9.0.0/24", "10.0.0.0/24");
    struct ipsec_packet batch[2];
    struct pair x;

    plan(&x);
    x.in.selectors = &only;
    x.in.selector_count = 1;
    pair_up(&x, NULL, NULL);
    make_packet(&one, "10.9.0.5", "10.0.0.5", 60, 0, true);
    make_error("10.0.0.5", "10.9.0.5");
    assert_int_equal(send_one(&x, &two), IPSEC_OK);
    copy_buffer(&about_ours, &two);
    make_packet(&one, "10.9.0.5", "10.7.0.5", 60, 0, true);
    make_error("10.0.0.5", "10.9.0.5");
    assert_int_equal(send_one(&x, &two), IPSEC_OK);
    batch[0] = about_ours.p;
    batch[1] = two.p;
    ipsec_in(x.b, 6, batch, 2);
    assert_int_equal(batch[0].result, IPSEC_OK);
    assert_int_equal(batch[1].result, IPSEC_QUOTED);
    pair_down(&x);
}

/* One of UDP's ports, with or without what both ends have agreed to. */
static void plan_ports(struct pair *x, struct ipsec_selector s[2], bool also)
{
    s[0] = between("10.0.0.0/24", "10.9.0.0/24");
    s[0].protocol = 17;
    s[0].remote.start_port = s[0].remote.end_port = 2000;
    s[1] = between("10.9.0.0/24", "10.0.0.0/24");
    s[1].protocol = 17;
    s[1].local.start_port = s[1].local.end_port = 2000;
    plan(x);
    x->out.selectors = &s[0];
    x->in.selectors = &s[1];
    x->out.selector_count = x->in.selector_count = 1;
    x->out.fragments_also = x->in.fragments_also = also;
    pair_up(x, NULL, NULL);
}

static void later_fragments_follow_their_first(void **state)
{
    struct ipsec_selector s[2];
    struct pair x;

    plan_ports(&x, s, true);
    make_fragment("10.0.0.5", "10.9.0.5", 9, 24, true); /* before its first one */
    assert_int_equal(send_one(&x, &one), IPSEC_NO_SA);
    make_fragment("10.0.0.5", "10.9.0.5", 9, 0, true);
    assert_int_equal(pass(&x, &one), IPSEC_OK);
    make_fragment("10.0.0.5", "10.9.0.5", 9, 24, true);
    assert_int_equal(pass(&x, &one), IPSEC_OK);
    make_fragment("10.0.0.5", "10.9.0.5", 9, 48, false);
    assert_int_equal(pass(&x, &one), IPSEC_OK);
    make_fragment("10.0.0.5", "10.9.0.5", 10, 24, true); /* another datagram's */
    assert_int_equal(send_one(&x, &one), IPSEC_NO_SA);
    make_fragment("10.0.0.6", "10.9.0.5", 9, 24, true);
    assert_int_equal(send_one(&x, &one), IPSEC_NO_SA);
    make_fragment("10.0.0.5", "10.9.0.5", 11, 0, true); /* to a port that it is not for */
    one.mem[HEAD + 23] = 1;
    assert_int_equal(send_one(&x, &one), IPSEC_NO_SA);
    make_fragment("10.0.0.5", "10.9.0.5", 11, 24, true);
    assert_int_equal(send_one(&x, &one), IPSEC_NO_SA);
    make_fragment("10.0.0.5", "10.9.0.5", 9, 24, true); /* too late */
    ipsec_out(x.a, 5 + IPSEC_FRAGMENTS_MS, &one.p, 1);
    assert_int_equal(one.p.result, IPSEC_NO_SA);
    pair_down(&x);
}

static void the_receiver_looks_for_the_first_itself(void **state)
{
    struct ipsec_selector s[2];
    struct pair x;

    plan_ports(&x, s, true);
    assert_true(ipsec_remove_sa(x.a, OUT_ID));
    x.out.id = 30; /* a sender that takes everything */
    x.out.selectors = anything();
    x.out.selector_count = 2;
    x.out.last_seq = 100;
    assert_true(ipsec_add_sa(x.a, &x.out));
    make_fragment("10.0.0.5", "10.9.0.5", 9, 24, true);
    assert_int_equal(pass(&x, &one), IPSEC_SELECTORS);
    make_fragment("10.0.0.5", "10.9.0.5", 9, 0, true);
    one.mem[HEAD + 23] = 1; /* not its port */
    assert_int_equal(pass(&x, &one), IPSEC_SELECTORS);
    make_fragment("10.0.0.5", "10.9.0.5", 9, 24, true);
    assert_int_equal(pass(&x, &one), IPSEC_SELECTORS);
    make_fragment("10.0.0.5", "10.9.0.5", 9, 0, true);
    assert_int_equal(pass(&x, &one), IPSEC_OK);
    make_fragment("10.0.0.5", "10.9.0.5", 9, 24, true);
    assert_int_equal(pass(&x, &one), IPSEC_OK);
    pair_down(&x);
}

static void without_agreement_later_fragments_stay_out(void **state)
{
    struct ipsec_policy policies[2] = {
        {.id = POLICY, .action = IPSEC_PROTECT, .out = true, .in = true, .selector_count = 1},
        {.id = 2, .action = IPSEC_PASS, .out = true, .selectors = anything(), .selector_count = 2}};
    struct ipsec_selector s[2];
    struct pair x;

    plan_ports(&x, s, false);
    make_fragment("10.0.0.5", "10.9.0.5", 9, 0, true);
    assert_int_equal(pass(&x, &one), IPSEC_OK);
    make_fragment("10.0.0.5", "10.9.0.5", 9, 24, true);
    assert_int_equal(send_one(&x, &one), IPSEC_NO_SA);
    /* Nor do they leave in clear by an entry that matches what has no ports. */
    policies[0].selectors = &s[0];
    assert_true(ipsec_set_policies(x.a, policies, 2));
    assert_int_equal(send_one(&x, &one), IPSEC_FRAGMENT);
    make_fragment("10.0.0.5", "10.9.0.5", 10, 24, true);
    assert_int_equal(send_one(&x, &one), IPSEC_BYPASS);
    pair_down(&x);
}

/* RFC 4301 7.4, D.4: what is not protected, by ports, both ways. */
static void fragments_past_and_away(void **state)
{
    struct ipsec_selector ports = between("10.0.0.0/24", "10.9.0.0/24"), any = ports;
    struct ipsec_policy policies[2] = {
        {.id = 1, .out = true, .in = true, .selectors = &ports, .selector_count = 1},
        {.id = 2,
         .action = IPSEC_PASS,
         .out = true,
         .in = true,
         .selectors = &any,
         .selector_count = 1}};
    struct listener l = {.count = 0};
    struct ipsec *e = engine(&l, NULL);

    ports.protocol = 17;
    ports.remote.start_port = ports.remote.end_port = 2000;
    for (int passes = 0; passes < 2; passes++) {
        policies[0].action = passes ? IPSEC_PASS : IPSEC_DISCARD;
        assert_true(ipsec_set_policies(e, policies, passes ? 1 : 2));
        make_fragment("10.0.0.5", "10.9.0.5", (uint8_t)passes, 0, true);
        ipsec_out(e, 1, &one.p, 1);
        assert_int_equal(one.p.result, passes ? IPSEC_BYPASS : IPSEC_DISCARDED);
        make_fragment("10.0.0.5", "10.9.0.5", (uint8_t)passes, 24, false);
        ipsec_out(e, 1, &one.p, 1);
        assert_int_equal(one.p.result, passes ? IPSEC_BYPASS : IPSEC_DISCARDED);
        make_fragment("10.0.0.5", "10.9.0.5", 20, 24, false);
        ipsec_out(e, 1, &one.p, 1);
        assert_int_equal(one.p.result, passes ? IPSEC_NO_POLICY : IPSEC_BYPASS);
    }
    ports = between("10.0.0.0/24", "10.9.0.0/24");
    ports.protocol = 17;
    ports.local.start_port = ports.local.end_port = 2000;
    assert_true(ipsec_set_policies(e, policies, 1));
    for (int first = 0; first < 2; first++) {
        if (first) {
            make_fragment("10.9.0.5", "10.0.0.5", 33, 0, true);
            ipsec_in(e, 1, &one.p, 1);
            assert_int_equal(one.p.result, IPSEC_BYPASS);
        }
        make_fragment("10.9.0.5", "10.0.0.5", 33, 24, true);
        ipsec_in(e, 1, &one.p, 1);
        assert_int_equal(one.p.result, first ? IPSEC_BYPASS : IPSEC_NO_POLICY);
    }
    ipsec_free(e);
}

/* RFC 1858: over TCP's flags; of an SA for later fragments alone (RFC 4301 7.2). */
static void fragments_over_a_header(void **state)
{
    struct ipsec_selector opaque = between("10.9.0.0/24", "10.0.0.0/24");
    struct pair x;

    opaque.protocol = 6;
    opaque.local.start_port = opaque.remote.start_port = 0xffff;
    opaque.local.end_port = opaque.remote.end_port = 0;
    plan(&x);
    x.in.selectors = &opaque;
    x.in.selector_count = 1;
    pair_up(&x, NULL, NULL);
    for (uint16_t at = 8; at <= 24; at += 8) {
        make_fragment("10.0.0.5", "10.9.0.5", 9, at, false);
        one.mem[HEAD + 9] = 6;
        assert_int_equal(pass(&x, &one), at < 16 ? IPSEC_FRAGMENT : IPSEC_OK);
    }
    pair_down(&x);
}

static struct ipsec_flow fragment_flow(uint32_t id, uint16_t at, const char *remote)
{
    return (struct ipsec_flow){.local = addr("10.0.0.1"),
                               .remote = addr(remote),
                               .local_port = at == 0 ? (uint16_t)id : 0,
                               .protocol = 17,
                               .ports = at == 0,
                               .fragment = true,
                               .fragment_offset = at,
                               .fragment_id = id};
}

/* Never more than its places; the newest are there, whoever fills it. */
static void the_table_is_bounded(void **state)
{
    enum { PLACES = IPSEC_FRAGMENTS_SETS * IPSEC_FRAGMENTS_WAYS };
    const struct gh_hash_seed seed = {{1, 2}};
    struct ipsec_fragments *t = ipsec_fragments_new(&seed, 100);
    struct ipsec_flow first, later, found;
    size_t known = 0;

    for (uint32_t id = 0; id < 4 * PLACES; id++) {
        first = fragment_flow(id, 0, "10.9.0.1");
        ipsec_fragments_keep(t, id, IPSEC_FRAGMENTS_SA, 5, &first);
        later = fragment_flow(id, 32, "10.9.0.1");
        assert_true(ipsec_fragments_find(t, id, IPSEC_FRAGMENTS_SA, 5, &later, &found));
        assert_true(found.ports && found.local_port == (uint16_t)id);
        assert_int_equal(found.fragment_offset, 32);
    }
    for (uint32_t id = 0; id < 4 * PLACES; id++) {
        later = fragment_flow(id, 32, "10.9.0.1");
        known += ipsec_fragments_find(t, 0, IPSEC_FRAGMENTS_SA, 5, &later, &found);
        assert_false(ipsec_fragments_find(t, 0, IPSEC_FRAGMENTS_SA, 6, &later, &found));
        assert_false(ipsec_fragments_find(t, 0, IPSEC_FRAGMENTS_PLACE, 5, &later, &found));
    }
    assert_int_equal(known, PLACES);
    first = fragment_flow(7, 0, "10.9.0.1"); /* no first one of those without ports */
    first.ports = false;
    first.remote = addr("10.9.0.2");
    ipsec_fragments_keep(t, 0, IPSEC_FRAGMENTS_SA, 5, &first);
    later = fragment_flow(7, 32, "10.9.0.2");
    assert_false(ipsec_fragments_find(t, 0, IPSEC_FRAGMENTS_SA, 5, &later, &found));
    ipsec_fragments_free(t);
}

/* RFC 8200 4.5: of IPv6, a later fragment may name another header than the first one's ports. */
static void fragments_of_ipv6(void **state)
{
    static const uint8_t destination[8] = {17, 0, 1, 4};
    struct ipsec_selector s = between("2001:db8:b::/48", "2001:db8:a::/48");
    struct pair x;

    s.protocol = 17;
    s.local.start_port = s.local.end_port = 2000;
    plan(&x);
    x.in.selectors = &s;
    x.in.selector_count = 1;
    x.in.fragments_also = true;
    pair_up(&x, NULL, NULL);
    for (int later = 0; later < 3; later++) {
        make_packet(&one, "2001:db8:a::5", "2001:db8:b::5", 40, 0, true);
        memmove(one.mem + HEAD + 56, one.mem + HEAD + 40, 24);
        one.mem[HEAD + 6] = 44;
        memset(one.mem + HEAD + 40, 0, 8);
        one.mem[HEAD + 40] = 60;
        one.mem[HEAD + 43] = later > 0 ? 48 : 1;
        one.mem[HEAD + 47] = later < 2 ? 99 : 98; /* another datagram's */
        memcpy(one.mem + HEAD + 48, destination, 8);
        assert_int_equal(pass(&x, &one), later < 2 ? IPSEC_OK : IPSEC_SELECTORS);
    }
    pair_down(&x);
}

static void mobility_types(void **state)
{
    enum { BINDING_UPDATE = 5, HOME_TEST = 3 };
    struct ipsec_selector out = between("::/0", "::/0"), in = out;
    struct pair x;

    out.protocol = in.protocol = 135; /* as ICMP's: on the sender's side, the other is opaque */
    out.local.start_port = BINDING_UPDATE << 8;
    out.local.end_port = BINDING_UPDATE << 8 | 0xff;
    out.remote.start_port = 0xffff;
    out.remote.end_port = 0;
    in.remote = out.local;
    in.local = out.remote;
    plan(&x);
    x.out.selectors = &out;
    x.in.selectors = &in;
    x.out.selector_count = x.in.selector_count = 1;
    pair_up(&x, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        make_packet(&one, "2001:db8:a::5", "2001:db8:b::5", 24, 0, true);
        if (i < 2)
            one.mem[HEAD + 6] = 135;
        one.mem[HEAD + 40] = 59;
        one.mem[HEAD + 41] = 2;
        one.mem[HEAD + 42] = i == 0 ? BINDING_UPDATE : HOME_TEST;
        if (i == 0)
            assert_int_equal(pass(&x, &one), IPSEC_OK);
        else
            assert_int_equal(send_one(&x, &one), IPSEC_NO_SA);
    }
    assert_true(ipsec_remove_sa(x.a, OUT_ID)); /* a sender that takes everything */
    x.out.selectors = anything();
    x.out.selector_count = 2;
    x.out.last_seq = 10;
    assert_true(ipsec_add_sa(x.a, &x.out));
    make_packet(&one, "2001:db8:a::5", "2001:db8:b::5", 24, 0, true);
    one.mem[HEAD + 6] = 135;
    one.mem[HEAD + 42] = HOME_TEST;
    assert_int_equal(pass(&x, &one), IPSEC_SELECTORS);
    pair_down(&x);
}

/* RFC 3948 5.2: wide selectors of two peers in transport mode. */
static void transport_goes_to_its_peer(void **state)
{
    struct pair x;

    plan(&x);
    x.out.mode = x.in.mode = IPSEC_TRANSPORT;
    pair_up(&x, NULL, NULL);
    x.out.id = 30;
    x.out.spi = 0x2000;
    x.out.remote = addr("192.0.2.3");
    assert_true(ipsec_add_sa(x.a, &x.out));
    make_packet(&one, "192.0.2.1", "192.0.2.2", 20, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(one.p.sa, OUT_ID);
    make_packet(&one, "192.0.2.1", "192.0.2.3", 20, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(one.p.sa, 30);
    make_packet(&one, "192.0.2.1", "192.0.2.4", 20, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_ADDRESS);
    pair_down(&x);
}

/* Of one policy: whoever has wide selectors does not draw what another one has, however new. */
static void the_longer_prefix_goes_first(void **state)
{
    struct ipsec_selector wide = between("0.0.0.0/0", "10.0.0.0/8");
    struct ipsec_selector narrow = between("0.0.0.0/0", "10.9.0.0/24");
    struct pair x;

    plan(&x);
    x.out.selectors = &narrow;
    x.out.selector_count = 1;
    pair_up(&x, NULL, NULL);
    x.out.selectors = &wide;
    x.out.id = 30;
    x.out.spi = 0x2000;
    assert_true(ipsec_add_sa(x.a, &x.out));
    make_packet(&one, "192.0.2.1", "10.9.0.5", 20, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(one.p.sa, OUT_ID);
    make_packet(&one, "192.0.2.1", "10.9.1.5", 20, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(one.p.sa, 30);
    assert_true(ipsec_remove_sa(x.a, OUT_ID));
    make_packet(&one, "192.0.2.1", "10.9.0.5", 20, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(one.p.sa, 30);
    pair_down(&x);
}

/* What an earlier instance carried counts. */
static void a_lifetime_goes_on(void **state)
{
    struct pair x;

    plan(&x);
    x.out.lifetime = (struct ipsec_lifetime){.soft_packets = 9, .hard_packets = 10};
    x.out.used_packets = 8;
    x.out.used_octets = 4000;
    pair_up(&x, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        make_packet(&one, "10.0.0.5", "10.9.0.5", 20, 0, true);
        assert_int_equal(send_one(&x, &one), i < 2 ? IPSEC_OK : IPSEC_EXPIRED);
    }
    assert_int_equal(x.a_hears.count, 2);
    assert_int_equal(x.a_hears.events[0].kind, IPSEC_SOFT);
    assert_int_equal(x.a_hears.events[1].kind, IPSEC_HARD);
    assert_int_equal(ipsec_get_sa(x.a, OUT_ID)->counts.octets, 4080);
    pair_down(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_of_errors),
        cmocka_unit_test(a_quote_is_not_taken_over_from_the_packet_before),
        cmocka_unit_test(later_fragments_follow_their_first),
        cmocka_unit_test(the_receiver_looks_for_the_first_itself),
        cmocka_unit_test(without_agreement_later_fragments_stay_out),
        cmocka_unit_test(fragments_past_and_away),
        cmocka_unit_test(fragments_over_a_header),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(fragments_of_ipv6),
        cmocka_unit_test(mobility_types),
        cmocka_unit_test(transport_goes_to_its_peer),
        cmocka_unit_test(the_longer_prefix_goes_first),
        cmocka_unit_test(a_lifetime_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
