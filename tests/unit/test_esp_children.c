/* The Child SAs of the `esp` process: installed, replaced, removed, and taken over by the next one.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/esp_children.h"
#include "esp_child.h"
#include "wire/checksum.h"

enum { ROOM = 2048, HEAD = 256, START_MS = 1000 };

/* One end: an engine and the children in it. */
struct end {
    struct end *next; /* of those of this test */
    struct ipsec *engine;
    struct gh_esp_names policies, places;
    struct gh_esp_children *children;
    int memory;
    uint64_t told[2]; /* octets, by enum ipsec_way */
    uint32_t missing; /* the last that was */
    uint32_t used_up; /* the same */
};

static struct end *ends;

static bool give_random(void *arg, uint8_t *out, size_t len)
{
    memset(out, 7, len);
    return true;
}

static void on_used(void *ctx, const struct gh_esp_usage *u)
{
    struct end *e = ctx;

    e->told[u->incoming ? IPSEC_IN : IPSEC_OUT] += u->octets;
}

static void on_missing(void *ctx, uint32_t id)
{
    struct end *e = ctx;

    e->missing = id;
}

static void on_used_up(void *ctx, uint32_t id)
{
    struct end *e = ctx;

    e->used_up = id;
}

static void set_policy(struct end *e, const struct gh_esp_child *c)
{
    struct ipsec_selector s[IPSEC_SELECTORS_MAX];
    const struct ipsec_policy p = {.id = gh_esp_number(&e->policies, c->peer, c->name),
                                   .place = gh_esp_number(&e->places, c->netns, c->vrf),
                                   .action = IPSEC_PROTECT,
                                   .out = true,
                                   .in = true,
                                   .selectors = s,
                                   .selector_count =
                                       gh_esp_selectors(&c->ts_local, &c->ts_remote, s)};

    assert_int_equal(p.selector_count, 1);
    assert_true(ipsec_set_policies(e->engine, &p, 1));
}

static void end_process(struct end *e)
{
    gh_esp_children_free(e->children);
    gh_esp_names_free(&e->policies);
    gh_esp_names_free(&e->places);
    ipsec_free(e->engine);
}

static int free_ends(void **state)
{
    while (ends != NULL) {
        struct end *e = ends;

        ends = e->next;
        end_process(e);
        close(e->memory);
        free(e);
    }
    return 0;
}

/* A process begins, with the memory that an earlier one left. */
static void begin(struct end *e, const struct gh_esp_child *policy, uint64_t now_ms)
{
    static const struct gh_esp_children_ops ops = {
        .used = on_used, .missing = on_missing, .used_up = on_used_up};
    const struct ipsec_setup setup = {.back_end = "openssl", .random = give_random};

    end_process(e);
    e->engine = ipsec_new(&setup);
    e->children = gh_esp_children_new(e->engine, &e->policies, &e->places, &ops, e);
    assert_true(gh_esp_children_map(e->children, e->memory, now_ms));
    set_policy(e, policy);
}

static struct end *end_new(const struct gh_esp_child *policy)
{
    struct end *e = calloc(1, sizeof(*e));

    e->next = ends;
    ends = e;
    e->memory = memfd_create("test", 0);
    assert_int_equal(ftruncate(e->memory, (off_t)gh_esp_children_memory()), 0);
    begin(e, policy, START_MS);
    return e;
}

static void say_hello(struct end *e, uint64_t epoch, const uint32_t *ids, size_t count)
{
    uint8_t mem[100];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_rd r;

    gh_wr_u64(&w, epoch);
    gh_wr_u32(&w, count);
    for (size_t i = 0; i < count; i++)
        gh_wr_u32(&w, ids[i]);
    r = gh_rd_make(mem, w.len);
    assert_true(gh_esp_children_hello(e->children, &r));
}

/* False: refused. */
static bool install(struct end *e, const struct gh_esp_child *c, uint64_t now_ms)
{
    uint8_t mem[GH_ESP_CHILD_MAX];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_rd r;
    uint32_t id;
    bool refused;

    gh_esp_put_child(&w, c);
    r = gh_rd_make(mem, w.len);
    assert_true(gh_esp_children_install(e->children, &r, now_ms, &id, &refused));
    assert_int_equal(id, c->id);
    return !refused;
}

static void remove_child(struct end *e, uint32_t id, enum ike2_removal why, uint64_t now_ms)
{
    uint8_t mem[5];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_rd r;

    gh_wr_u32(&w, id);
    gh_wr_u8(&w, why);
    r = gh_rd_make(mem, sizeof(mem));
    assert_true(gh_esp_children_remove(e->children, &r, now_ms));
}

/* What the child says of packets is in both SAs, and in those of the next process. */
static void traffic_of_a_child(void **state)
{
    struct gh_esp_child c = esp_child(1);
    struct end *e = end_new(&c);

    c.traffic = (struct ike2_child_traffic){
        .window = 8192, .tfc = IKE2_TFC_MTU, .set_dscp = true, .dscp = 10, .no_ecn = true};
    c.traffic.dscp_from_outer = true;
    say_hello(e, 1, NULL, 0);
    assert_true(install(e, &c, START_MS));
    for (int life = 0; life < 2; life++) {
        const struct ipsec_sa *out = ipsec_get_sa(e->engine, 1), *in = ipsec_get_sa(e->engine, 2);

        assert_int_equal(in->p.window, 8192);
        assert_true(in->p.tunnel.dscp_to_inner);
        assert_int_equal(out->p.tfc, UINT16_MAX);
        assert_true(out->p.tunnel.set_dscp && out->p.tunnel.dscp == 10 && out->p.tunnel.no_ecn);
        begin(e, &c, START_MS + 1);
    }
}

/* ---- The kernel's plane --------------------------------------------------------------------- */

/* One that does nothing but count. */
static struct {
    size_t added, moved, removed, there;
    uint32_t tie;
    struct ipsec_sa sa[2]; /* by enum ipsec_way */
    bool has[2];
    struct gh_addr remote;
    uint64_t gone; /* the last SA that was removed */
} fake;

static bool fake_add(void *ctx, const struct gh_esp_plane_sa *sa)
{
    fake.added++;
    fake.there += sa->there;
    if (*sa->tie == 0)
        *sa->tie = 77;
    fake.tie = *sa->tie;
    fake.has[sa->way] = true;
    return true;
}

static void fake_move(void *ctx, const struct gh_esp_plane_sa *sa)
{
    fake.moved++;
    fake.remote = sa->child->remote;
}

static void fake_remove(void *ctx, uint64_t sa)
{
    fake.removed++;
    fake.gone = sa;
    fake.has[sa % 2 == 0 ? IPSEC_IN : IPSEC_OUT] = false;
}

static const struct ipsec_sa *fake_get(void *ctx, uint64_t sa)
{
    enum ipsec_way way = sa % 2 == 0 ? IPSEC_IN : IPSEC_OUT;

    return fake.has[way] ? &fake.sa[way] : NULL;
}

static const struct gh_esp_plane fake_plane = {
    .add = fake_add, .move = fake_move, .remove = fake_remove, .get = fake_get};

static struct gh_esp_child kernel_child(uint32_t id)
{
    struct gh_esp_child c = esp_child(id);

    c.kernel = true;
    return c;
}

static struct end *end_with_kernel(const struct gh_esp_child *c)
{
    struct end *e = end_new(c);

    memset(&fake, 0, sizeof(fake));
    gh_esp_children_set_kernel(e->children, &fake_plane);
    say_hello(e, 11, NULL, 0);
    return e;
}

struct packet {
    uint8_t mem[ROOM];
    struct ipsec_packet p;
};

/* Between 10.1.0.1 and 10.2.0.1. */
static void make_packet(struct packet *k, bool back)
{
    static const uint8_t header[20] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, 253};
    uint8_t *at = k->mem + HEAD;

    memset(k, 0, sizeof(*k));
    memcpy(at, header, sizeof(header));
    memcpy(at + 12, back ? "\x0a\x02\x00\x01\x0a\x01\x00\x01" : "\x0a\x01\x00\x01\x0a\x02\x00\x01",
           8);
    ipsec_header_set_checksum(at);
    k->p = (struct ipsec_packet){.mem = k->mem, .cap = ROOM, .at = HEAD, .len = 40};
}

static enum ipsec_result go_out(struct end *e, struct packet *k)
{
    ipsec_out(e->engine, 1, &k->p, 1);
    gh_esp_children_passed(e->children, &k->p, 1);
    return k->p.result;
}

static enum ipsec_result come_in(struct end *e, struct packet *k)
{
    ipsec_in(e->engine, 1, &k->p, 1);
    gh_esp_children_passed(e->children, &k->p, 1);
    return k->p.result;
}

static uint32_t spi_of(const struct packet *k)
{
    struct gh_rd r = gh_rd_make(k->mem + k->p.at + 20, 4);

    return gh_rd_u32(&r);
}

struct count {
    size_t all, orphans, sending;
};

static void count_one(void *ctx, const struct gh_esp_child_view *v)
{
    struct count *n = ctx;

    n->all++;
    n->orphans += v->orphan;
    n->sending += v->out != NULL;
    assert_int_equal(v->child->key_in.len, 0);
}

static struct count count(const struct end *e)
{
    struct count n = {.all = 0};

    gh_esp_children_each(e->children, count_one, &n);
    return n;
}

/* Two ends that have child 1. */
struct pair {
    struct end *a, *b;
};

static struct pair make_pair(void)
{
    struct gh_esp_child here = esp_child(1), there = esp_child_there(&here);
    struct pair p = {end_new(&here), end_new(&there)};

    say_hello(p.a, 11, NULL, 0);
    say_hello(p.b, 22, NULL, 0);
    assert_true(install(p.a, &here, START_MS));
    assert_true(install(p.b, &there, START_MS));
    return p;
}

static void assert_passes(struct pair *p)
{
    struct packet k;

    make_packet(&k, false);
    assert_int_equal(go_out(p->a, &k), IPSEC_OK);
    assert_int_equal(come_in(p->b, &k), IPSEC_OK);
    make_packet(&k, true);
    assert_int_equal(go_out(p->b, &k), IPSEC_OK);
    assert_int_equal(come_in(p->a, &k), IPSEC_OK);
}

static void packets_pass_and_are_told(void **state)
{
    struct pair p = make_pair();

    for (int i = 0; i < 3; i++)
        assert_passes(&p);
    gh_esp_children_tick(p.a->children, START_MS);
    gh_esp_children_tick(p.a->children, START_MS);
    assert_int_equal(p.a->told[IPSEC_OUT], 120);
    assert_int_equal(p.a->told[IPSEC_IN], 120);
}

/* The next process: no number is used twice, nothing is taken twice. */
static void the_next_process_carries_on(void **state)
{
    struct pair p = make_pair();
    struct gh_esp_child policy = esp_child(1);
    struct packet replayed, k;

    for (int i = 0; i < 100; i++)
        assert_passes(&p);
    make_packet(&k, true);
    assert_int_equal(go_out(p.b, &k), IPSEC_OK);
    replayed = k;
    replayed.p.mem = replayed.mem;
    assert_int_equal(come_in(p.a, &k), IPSEC_OK);

    begin(p.a, &policy, START_MS + 10); /* the old one is just gone */
    assert_int_equal(count(p.a).all, 1);
    assert_int_not_equal(come_in(p.a, &replayed), IPSEC_OK);
    make_packet(&k, false);
    assert_int_equal(go_out(p.a, &k), IPSEC_OK);
    assert_int_equal(come_in(p.b, &k), IPSEC_OK); /* not behind the window, not seen before */
    assert_passes(&p);
    say_hello(p.a, 11, (const uint32_t[]){1}, 1);
    assert_int_equal(count(p.a).orphans, 0);
}

/* RFC 4301 4.4.2.1: hard, of packets and of octets, however often the process is another. */
static void a_lifetime_ends_for_good(void **state)
{
    enum { PACKETS = 20 };

    for (int octets = 0; octets < 2; octets++) {
        struct gh_esp_child c = esp_child(1), there = esp_child_there(&c);
        struct pair p = {.a = end_new(&c), .b = end_new(&there)};
        struct packet k;
        uint64_t first = 0;

        make_packet(&k, false);
        c.packets = octets ? 0 : PACKETS;
        c.octets = octets ? PACKETS * k.p.len : 0;
        say_hello(p.a, 11, NULL, 0);
        say_hello(p.b, 12, NULL, 0);
        assert_true(install(p.a, &c, START_MS));
        assert_true(install(p.b, &there, START_MS));
        for (int i = 0; i < PACKETS; i++) {
            make_packet(&k, false);
            assert_int_equal(go_out(p.a, &k), IPSEC_OK);
            if (i != PACKETS / 2)
                continue;
            gh_esp_children_tick(p.a->children, START_MS);
            first = p.a->told[IPSEC_OUT];
            begin(p.a, &c, START_MS + 10);
            say_hello(p.a, 11, (const uint32_t[]){1}, 1);
            gh_esp_children_tick(p.a->children, START_MS + 10);
            assert_true(first > 0 && p.a->told[IPSEC_OUT] == first); /* not told twice */
        }
        gh_esp_children_tick(p.a->children, START_MS + 20);
        assert_int_equal(count(p.a).all, 1);
        make_packet(&k, false);
        assert_int_equal(go_out(p.a, &k), IPSEC_EXPIRED);
        assert_int_equal(p.a->used_up, 0);
        gh_esp_children_tick(p.a->children, START_MS + 30);
        assert_int_equal(p.a->used_up, 1);
        assert_int_equal(count(p.a).all, 0);
    }
}

static void without_a_kernel_its_children_are_refused(void **state)
{
    struct gh_esp_child c = kernel_child(1);
    struct end *e = end_new(&c);

    say_hello(e, 11, NULL, 0);
    assert_false(install(e, &c, START_MS));
    assert_int_equal(count(e).all, 0);
}

static void the_kernel_carries_and_tells(void **state)
{
    struct gh_esp_child c = kernel_child(1);
    struct end *e = end_with_kernel(&c);
    struct gh_addr elsewhere;

    assert_true(install(e, &c, START_MS));
    assert_int_equal(fake.added, 2);
    assert_int_equal(fake.there, 0);
    assert_int_equal(count(e).sending, 1);
    fake.sa[IPSEC_IN].counts = (struct ipsec_sa_counts){.packets = 2, .octets = 80};
    gh_esp_children_tick(e->children, START_MS);
    gh_esp_children_tick(e->children, START_MS);
    assert_int_equal(e->told[IPSEC_IN], 80);
    c.follows = true;
    remove_child(e, 1, IKE2_REMOVED_DELETED, START_MS);
    assert_int_equal(fake.removed, 2);
    assert_true(install(e, &c, START_MS));
    assert_true(gh_addr_parse("198.51.100.7", &elsewhere));
    gh_esp_children_moved(e->children, 2, &elsewhere, 1025);
    assert_int_equal(fake.moved, 2);
    assert_true(gh_addr_equal(&fake.remote, &elsewhere));
}

/* It has the SAs of an earlier process, and what they carried was told. */
static void the_kernel_keeps_them_for_the_next_process(void **state)
{
    struct gh_esp_child c = kernel_child(1);
    struct end *e = end_with_kernel(&c);
    static const struct gh_esp_children_ops ops = {.used = on_used, .missing = on_missing};

    assert_true(install(e, &c, START_MS));
    fake.added = 0;
    fake.tie = 0;
    gh_esp_children_free(e->children);
    e->children = gh_esp_children_new(e->engine, &e->policies, &e->places, &ops, e);
    gh_esp_children_set_kernel(e->children, &fake_plane);
    assert_true(gh_esp_children_map(e->children, e->memory, START_MS));
    assert_int_equal(fake.added, 2);
    assert_int_equal(fake.there, 2);
    assert_int_equal(fake.tie, 77);
    say_hello(e, 11, (const uint32_t[]){1}, 1);
    fake.sa[IPSEC_OUT].counts = (struct ipsec_sa_counts){.packets = 9, .octets = 900};
    gh_esp_children_tick(e->children, START_MS);
    assert_int_equal(e->told[IPSEC_OUT], 0);
    fake.sa[IPSEC_OUT].counts.octets = 1000;
    fake.sa[IPSEC_OUT].counts.packets = 10;
    gh_esp_children_tick(e->children, START_MS);
    assert_int_equal(e->told[IPSEC_OUT], 100);
    gh_esp_children_again(e->children);
    assert_int_equal(fake.added, 4);
}

static void a_responder_sends_when_the_kernel_has_heard(void **state)
{
    struct gh_esp_child c = kernel_child(1), next = kernel_child(2);
    struct end *e = end_with_kernel(&c);

    assert_true(install(e, &c, START_MS));
    next.initiator = false;
    next.replaces = 1;
    assert_true(install(e, &next, START_MS));
    assert_int_equal(fake.added, 3);
    gh_esp_children_came(e->children, 4); /* by the new child's incoming SA */
    assert_int_equal(fake.added, 4);
}

/* The initiator of a rekeying: of two SAs from the same second the kernel may send by the old one.
 */
static void the_kernel_sends_by_the_new_one_alone(void **state)
{
    struct gh_esp_child c = kernel_child(1), next = kernel_child(2);
    struct end *e = end_with_kernel(&c);

    assert_true(install(e, &c, START_MS));
    next.initiator = true;
    next.replaces = 1;
    assert_true(install(e, &next, START_MS));
    assert_int_equal(fake.added, 4);
    assert_int_equal(fake.removed, 1);
    assert_int_equal(fake.gone, 1); /* the first child's outgoing one */
}

static bool never_kernel(void *ctx, uint32_t policy, uint32_t place, bool kernel)
{
    return !kernel;
}

static void what_the_kernel_does_not_carry_ends(void **state)
{
    struct gh_esp_child c = kernel_child(1), which;
    struct end *e = end_with_kernel(&c);
    uint32_t id;

    assert_true(install(e, &c, START_MS));
    assert_false(gh_esp_children_fail(e->children, 9, &id, &which));
    assert_true(gh_esp_children_fail(e->children, 1, &id, &which));
    assert_int_equal(id, 1);
    assert_string_equal(which.peer, "berlin");
    assert_int_equal(which.key_in.len, 0);
    assert_int_equal(count(e).all, 0);

    assert_true(install(e, &c, START_MS));
    gh_esp_children_check(e->children, never_kernel, NULL); /* the configuration has changed */
    assert_int_equal(count(e).all, 0);
    assert_int_equal(e->missing, 1);

    assert_true(install(e, &c, START_MS)); /* by an `ike` that does not know of it yet */
    assert_false(gh_esp_children_check_one(e->children, c.id, never_kernel, NULL));
    assert_int_equal(count(e).all, 0);
    assert_int_equal(e->missing, 1); /* its answer says so */
    c.kernel = false;
    assert_true(install(e, &c, START_MS));
    assert_true(gh_esp_children_check_one(e->children, c.id, never_kernel, NULL));
    assert_false(gh_esp_children_check_one(e->children, c.id + 1, never_kernel, NULL));
}

static void nothing_is_taken_over_when_its_time_is_up(void **state)
{
    struct pair p = make_pair();
    struct gh_esp_child policy = esp_child(1);

    begin(p.a, &policy, START_MS + 3600 * 1000);
    assert_int_equal(count(p.a).all, 0);
    gh_esp_children_tick(p.b->children, START_MS + 3600 * 1000);
    assert_int_equal(count(p.b).all, 0);
}

/* As responder we send by the old SA until the peer uses the new one. */
static void new_sa_waits(uint32_t replaces)
{
    struct pair p = make_pair();
    struct gh_esp_child here = esp_child(2), there;
    struct packet k;

    here.replaces = replaces;
    there = esp_child_there(&here);
    assert_true(install(p.b, &there, START_MS)); /* and answers; a has not got that yet */
    make_packet(&k, true);
    assert_int_equal(go_out(p.b, &k), IPSEC_OK);
    assert_int_equal(spi_of(&k), 0x1001);
    assert_int_equal(come_in(p.a, &k), IPSEC_OK);

    assert_true(install(p.a, &here, START_MS));
    make_packet(&k, false);
    assert_int_equal(go_out(p.a, &k), IPSEC_OK); /* who asked may send at once */
    assert_int_equal(spi_of(&k), 0x2002);
    assert_int_equal(come_in(p.b, &k), IPSEC_OK);
    make_packet(&k, true);
    assert_int_equal(go_out(p.b, &k), IPSEC_OK);
    assert_int_equal(spi_of(&k), 0x1002);
    assert_int_equal(come_in(p.a, &k), IPSEC_OK);
}

static void a_new_sa_waits_for_the_peer(void **state)
{
    new_sa_waits(1);
}

/* Both ends began at once, or the peer begins anew. */
static void one_more_sa_waits_for_the_peer(void **state)
{
    new_sa_waits(0);
}

/* Nothing waits beside what is another peer's, an earlier `ike`'s, or another address's. */
static void beside_what_is_another_nothing_waits(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct pair p = make_pair();
        struct gh_esp_child here = esp_child(2), there = esp_child_there(&here);
        struct packet k;

        if (i == 0)
            there.tunnel[0] ^= 1;
        else if (i == 1)
            say_hello(p.b, 77, NULL, 0);
        else
            there.remote.octets[3] ^= 1;
        assert_true(install(p.b, &there, START_MS));
        make_packet(&k, true);
        assert_int_equal(go_out(p.b, &k), IPSEC_OK);
        assert_int_equal(spi_of(&k), 0x1002);
    }
}

static void a_silent_peer_is_waited_for_no_longer(void **state)
{
    for (int how = 0; how < 4; how++) {
        const bool deleted = how % 2 == 1;
        struct pair p = make_pair();
        struct gh_esp_child here = esp_child(2), there;
        struct packet k;

        here.replaces = how < 2 ? 1 : 0;
        there = esp_child_there(&here);
        assert_true(install(p.b, &there, START_MS));
        if (deleted)
            remove_child(p.b, 1, IKE2_REMOVED_REPLACED, START_MS);
        else
            gh_esp_children_tick(p.b->children, START_MS + 2000);
        make_packet(&k, true);
        assert_int_equal(go_out(p.b, &k), IPSEC_OK);
        assert_int_equal(spi_of(&k), 0x1002);
    }
}

/* What the peer sent by it before is let in for a while. */
static void a_replaced_sa_goes_late(void **state)
{
    struct pair p = make_pair();
    struct gh_esp_child here = esp_child(2);
    struct packet late, later;

    make_packet(&late, true);
    make_packet(&later, true);
    assert_int_equal(go_out(p.b, &late), IPSEC_OK);
    assert_int_equal(go_out(p.b, &later), IPSEC_OK);
    here.replaces = 1;
    assert_true(install(p.a, &here, START_MS));
    remove_child(p.a, 1, IKE2_REMOVED_REPLACED, START_MS);
    assert_int_equal(come_in(p.a, &late), IPSEC_OK);
    assert_int_equal(count(p.a).sending, 1);
    gh_esp_children_tick(p.a->children, START_MS + 4999);
    assert_int_equal(count(p.a).all, 2);
    gh_esp_children_tick(p.a->children, START_MS + 5000);
    assert_int_equal(count(p.a).all, 1);
    assert_int_equal(come_in(p.a, &later), IPSEC_UNKNOWN_SPI);
}

static void a_deleted_one_goes_at_once(void **state)
{
    struct pair p = make_pair();
    struct packet k;

    remove_child(p.a, 1, IKE2_REMOVED_DELETED, START_MS);
    assert_int_equal(count(p.a).all, 0);
    make_packet(&k, false);
    assert_int_equal(go_out(p.a, &k), IPSEC_NO_SA);
    remove_child(p.a, 1, IKE2_REMOVED_DELETED, START_MS); /* no harm */
}

/* `ike` has ended: the child goes on, until the next one's is there for long enough. */
static void an_orphan_goes_on_until_it_is_superseded(void **state)
{
    struct pair p = make_pair();
    struct gh_esp_child next = esp_child(5);

    next.id = 1; /* the new `ike` counts from 1, too */
    say_hello(p.a, 12, NULL, 0);
    assert_int_equal(count(p.a).orphans, 1);
    assert_passes(&p);
    gh_esp_children_tick(p.a->children, START_MS + 60000);
    assert_int_equal(count(p.a).orphans, 1);
    assert_true(install(p.a, &next, START_MS + 60000));
    remove_child(p.a, 77, IKE2_REMOVED_DELETED, START_MS);
    assert_int_equal(count(p.a).all, 2);
    gh_esp_children_tick(p.a->children, START_MS + 90000);
    assert_int_equal(count(p.a).all, 1);
    assert_int_equal(count(p.a).orphans, 0);
}

/* `ike` has its peer in another process; what it has itself it does not give up so. */
static void an_orphan_yields(void **state)
{
    struct pair p = make_pair();

    gh_esp_children_yield(p.a->children, 0);
    gh_esp_children_yield(p.a->children, 1);
    assert_int_equal(count(p.a).all, 1);
    say_hello(p.a, 12, NULL, 0);
    gh_esp_children_yield(p.a->children, 1);
    assert_int_equal(count(p.a).orphans, 1);
    gh_esp_children_yield(p.a->children, 0);
    assert_int_equal(count(p.a).all, 0);
}

/* What was said to an `esp` that did not live to hear it. */
static void hello_tells_what_is_missing(void **state)
{
    struct pair p = make_pair();

    say_hello(p.a, 11, (const uint32_t[]){1}, 1);
    assert_int_equal(p.a->missing, 0);
    say_hello(p.a, 11, (const uint32_t[]){8, 1}, 2);
    assert_int_equal(p.a->missing, 8);
    assert_passes(&p);
}

/* What `ike` removed while `esp` was away. */
static void hello_drops_what_is_no_more(void **state)
{
    struct pair p = make_pair();
    struct gh_esp_child other = esp_child(9);
    struct packet k;

    assert_true(install(p.a, &other, START_MS));
    say_hello(p.a, 11, (const uint32_t[]){9}, 1);
    assert_int_equal(count(p.a).all, 1);
    make_packet(&k, false);
    assert_int_equal(go_out(p.a, &k), IPSEC_OK);
    assert_int_equal(spi_of(&k), 0x2009);
}

/* The NAT gives the peer another port: what goes to it goes there, if it may. */
static void a_peer_behind_a_nat_is_followed(void **state)
{
    for (int follows = 0; follows < 2; follows++) {
        struct gh_esp_child here = esp_child(1);
        struct end *e = end_new(&here);
        struct gh_addr from;
        struct packet k;

        here.local_port = here.remote_port = 4500;
        here.follows = follows == 1;
        assert_true(gh_addr_parse("192.0.2.77", &from));
        assert_true(install(e, &here, START_MS));
        gh_esp_children_moved(e->children, 2, &from, 1025); /* the SA that comes in */
        gh_esp_children_moved(e->children, 99, &from, 1025);
        make_packet(&k, false);
        assert_int_equal(go_out(e, &k), IPSEC_OK);
        assert_memory_equal(k.mem + k.p.at + 16, follows == 1 ? from.octets : here.remote.octets,
                            4);
        assert_int_equal(k.mem[k.p.at + 22] << 8 | k.mem[k.p.at + 23], follows == 1 ? 1025 : 4500);
        begin(e, &here, START_MS); /* and the next process knows */
        make_packet(&k, false);
        assert_int_equal(go_out(e, &k), IPSEC_OK);
        assert_int_equal(k.mem[k.p.at + 22] << 8 | k.mem[k.p.at + 23], follows == 1 ? 1025 : 4500);
    }
}

static void what_cannot_be_is_refused(void **state)
{
    struct pair p = make_pair();
    struct gh_esp_child c = esp_child(1);

    c.id = 2; /* the SPI of another */
    assert_false(install(p.a, &c, START_MS));
    c = esp_child(3);
    c.key_in.len--;
    assert_false(install(p.a, &c, START_MS));
    c = esp_child(3);
    c.ts_remote.count = 0;
    assert_false(install(p.a, &c, START_MS));
    assert_int_equal(count(p.a).all, 1);
    assert_passes(&p);
}

/* ---- Keyed by hand -------------------------------------------------------------------------- */

static struct gh_esp_child plain(struct gh_esp_child c, uint32_t id)
{
    static uint8_t key[256];

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i * 7);
    c.id = 0;
    c.enc = GH_ENC_AES_CBC;
    c.enc_bits = 128;
    c.integ = GH_INTEG_HMAC_SHA2_256_128;
    c.traffic = (struct ike2_child_traffic){.window = 64};
    c.seconds = 0;
    c.key_in = gh_view_of(key + id, 48);
    c.key_out = gh_view_of(key + id + 1, 48);
    return c;
}

/* AH around ESP, by the same SPIs. */
static void bundle(const struct gh_esp_child *esp, struct gh_esp_child out[2])
{
    out[0] = out[1] = *esp;
    out[1].bundle = GH_ESP_INSIDE;
    out[0].bundle = GH_ESP_AROUND;
    out[0].protocol = IPSEC_AH;
    out[0].mode = IPSEC_TRANSPORT;
    out[0].enc = GH_ENC_NULL;
    out[0].enc_bits = 0;
    out[0].key_in.len = out[0].key_out.len = 32;
    out[0].ts_local.ts[0] = esp_child_ts(esp->local.octets[3] == 1 ? "192.0.2.1" : "192.0.2.2");
    out[0].ts_remote.ts[0] = esp_child_ts(esp->local.octets[3] == 1 ? "192.0.2.2" : "192.0.2.1");
}

/* No word of an `ike` and no end of it touches them; the next process has their numbers. */
static void by_hand_they_go_on(void **state)
{
    struct gh_esp_child esp = plain(esp_child(1), 1), here[2], there[2], back;
    struct pair p;
    const struct ipsec_sa *sa;

    bundle(&esp, here);
    back = esp_child_there(&esp);
    bundle(&back, there);
    p = (struct pair){end_new(&here[1]), end_new(&there[1])};
    say_hello(p.a, 11, NULL, 0);
    assert_int_equal(gh_esp_children_manual(p.a->children, here, 2, START_MS), 0);
    assert_int_equal(gh_esp_children_manual(p.b->children, there, 2, START_MS), 0);
    for (int life = 0; life < 3; life++) {
        assert_passes(&p);
        assert_int_equal(count(p.a).all, 2);
        assert_int_equal(count(p.a).orphans, 0);
        sa = ipsec_get_sa(p.a->engine, 1);
        assert_int_equal(sa->p.protocol, IPSEC_AH);
        assert_int_equal(sa->seq, ipsec_get_sa(p.a->engine, 3)->seq);
        assert_true(sa->seq > 0);
        begin(p.a, &here[1],
              START_MS + 1); /* the window of the other end sees each number used again */
        assert_true(ipsec_get_sa(p.a->engine, 3)->seq > 0);
        assert_int_equal(ipsec_get_sa(p.a->engine, 3)->p.outer, 1);
        say_hello(p.a, 12 + (uint64_t)life, NULL, 0);
        assert_int_equal(gh_esp_children_manual(p.a->children, here, 2, START_MS), 0);
    }
}

static void by_hand_they_change(void **state)
{
    struct gh_esp_child esp = plain(esp_child(1), 1), two[2];
    struct end *e = end_new(&esp);
    const struct ipsec_sa *sa;
    struct packet k;

    assert_int_equal(gh_esp_children_manual(e->children, &esp, 1, START_MS), 0);
    make_packet(&k, false);
    assert_int_equal(go_out(e, &k), IPSEC_OK);
    assert_int_equal(gh_esp_children_manual(e->children, &esp, 1, START_MS), 0);
    sa = ipsec_get_sa(e->engine, 1);
    assert_true(sa != NULL && sa->counts.packets == 1); /* the same one */

    esp.traffic.window = 128; /* same SPI and key: its numbers go on */
    assert_int_equal(gh_esp_children_manual(e->children, &esp, 1, START_MS), 0);
    assert_int_equal(ipsec_get_sa(e->engine, 1)->seq, 1);
    assert_int_equal(ipsec_get_sa(e->engine, 2)->p.window, 128);

    bundle(&esp, two);
    two[1].key_out.p++; /* another key: anew */
    assert_int_equal(gh_esp_children_manual(e->children, two, 2, START_MS), 0);
    assert_int_equal(count(e).all, 2);
    assert_int_equal(ipsec_get_sa(e->engine, 3)->seq, 0);

    assert_int_equal(gh_esp_children_manual(e->children, &two[1], 1, START_MS), 1); /* AH is away */
    assert_int_equal(count(e).all, 0);
    make_packet(&k, false);
    assert_int_equal(go_out(e, &k), IPSEC_NO_SA);
    assert_int_equal(gh_esp_children_manual(e->children, NULL, 0, START_MS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(by_hand_they_go_on, free_ends),
        cmocka_unit_test_teardown(by_hand_they_change, free_ends),
        cmocka_unit_test_teardown(traffic_of_a_child, free_ends),
        cmocka_unit_test_teardown(packets_pass_and_are_told, free_ends),
        cmocka_unit_test_teardown(the_next_process_carries_on, free_ends),
        cmocka_unit_test_teardown(a_lifetime_ends_for_good, free_ends),
        cmocka_unit_test_teardown(without_a_kernel_its_children_are_refused, free_ends),
        cmocka_unit_test_teardown(the_kernel_carries_and_tells, free_ends),
        cmocka_unit_test_teardown(the_kernel_keeps_them_for_the_next_process, free_ends),
        cmocka_unit_test_teardown(a_responder_sends_when_the_kernel_has_heard, free_ends),
        cmocka_unit_test_teardown(the_kernel_sends_by_the_new_one_alone, free_ends),
        cmocka_unit_test_teardown(what_the_kernel_does_not_carry_ends, free_ends),
        cmocka_unit_test_teardown(nothing_is_taken_over_when_its_time_is_up, free_ends),
        cmocka_unit_test_teardown(a_new_sa_waits_for_the_peer, free_ends),
        cmocka_unit_test_teardown(one_more_sa_waits_for_the_peer, free_ends),
        cmocka_unit_test_teardown(beside_what_is_another_nothing_waits, free_ends),
        cmocka_unit_test_teardown(a_silent_peer_is_waited_for_no_longer, free_ends),
        cmocka_unit_test_teardown(a_replaced_sa_goes_late, free_ends),
        cmocka_unit_test_teardown(a_deleted_one_goes_at_once, free_ends),
        cmocka_unit_test_teardown(an_orphan_yields, free_ends),
        cmocka_unit_test_teardown(an_orphan_goes_on_until_it_is_superseded, free_ends),
        cmocka_unit_test_teardown(hello_tells_what_is_missing, free_ends),
        cmocka_unit_test_teardown(hello_drops_what_is_no_more, free_ends),
        cmocka_unit_test_teardown(a_peer_behind_a_nat_is_followed, free_ends),
        cmocka_unit_test_teardown(what_cannot_be_is_refused, free_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
