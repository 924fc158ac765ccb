/* The IKEv2 core against itself: two hosts, exchange by exchange, and many through a bad network.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/codes.h"
#include "ike/payload.h"
#include "ike/sk.h"
#include "ike/v2/priv.h"
#include "ike/v2/whose.h"
#include "ike_creds.h"
#include "ike_world.h"
#include "pki/auth.h"
#include "unit.h"

static struct ike_world *pair(uint64_t seed)
{
    struct ike_world *w = ike_world_new(seed, 2);

    w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    ike_world_policy(w, 0, 1);
    ike_world_policy(w, 1, 0);
    return w;
}

static void configure(struct ike_world *w)
{
    for (size_t i = 0; i < w->host_count; i++)
        ike_world_configure(w, i);
}

static void assert_up(struct ike_world *w, size_t children)
{
    const char *wrong = ike_world_agree(&w->hosts[0], &w->hosts[1]);

    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 1);
    assert_int_equal(ike_world_sas(&w->hosts[1], NULL), 1);
    assert_int_equal(ike_world_children(&w->hosts[0]), children);
    assert_int_equal(ike_world_children(&w->hosts[1]), children);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static struct ike_world *up(uint64_t seed)
{
    struct ike_world *w = pair(seed);

    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    return w;
}

static uint64_t sa_of(const struct ike_host *h)
{
    struct ike2_sa_view v;

    assert_int_equal(ike_world_sas(h, &v), 1);
    return v.id;
}

static uint64_t last_sa_of(const struct ike_host *h)
{
    struct ike2_sa_view v = {.id = 0};

    ike_world_sas(h, &v);
    return v.id;
}

static uint32_t child_of(const struct ike_host *h)
{
    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[i].used)
            return h->child[i].id;
    return 0;
}

/* ---- What a peer that is not ours might say ---------------------------------------------------
 */

enum { KEY_AND_SALT = 36, NOTIFY_LEN = 8 };

static size_t from_hex(const char **text, uint8_t *out, size_t most)
{
    size_t n = 0;
    unsigned octet;

    while (n < most && sscanf(*text, "%2x", &octet) == 1) {
        out[n++] = (uint8_t)octet;
        *text += 2;
    }
    *text += **text == ',';
    return n;
}

/* What `h` seals with, by its key log; for AES-GCM. `h` is the initiator of that SA, or not. */
static struct gh_cipher *cipher_of(const struct ike_host *h, bool initiator, uint8_t spis[16])
{
    const char *text = h->key_line;
    uint8_t key[2][KEY_AND_SALT];
    struct gh_cipher *c;

    assert_int_equal(from_hex(&text, spis, 8), 8);
    assert_int_equal(from_hex(&text, spis + 8, 8), 8);
    assert_int_equal(from_hex(&text, key[0], KEY_AND_SALT), KEY_AND_SALT);
    assert_int_equal(from_hex(&text, key[1], KEY_AND_SALT), KEY_AND_SALT);
    c = gh_cipher_new(GH_ENC_AES_GCM_16, 256, GH_INTEG_NONE,
                      gh_view_of(key[!initiator], KEY_AND_SALT), gh_view_of(NULL, 0));
    assert_non_null(c);
    return c;
}

/* A sealed request with these octets inside, from host 0, which began the IKE SA. */
static void forge(struct ike_world *w, uint8_t exchange, uint32_t id, uint8_t first,
                  struct gh_view inner)
{
    static const uint8_t iv[8] = {0xff, 0xee};
    struct ike_header h = {
        .version = IKE_VERSION_2, .exchange = exchange, .flags = IKE_FLAG_INITIATOR, .id = id};
    uint8_t spis[16], mem[WORLD_DATAGRAM];
    struct gh_cipher *c = cipher_of(&w->hosts[1], true, spis);
    struct gh_view datagram;

    memcpy(h.spi_i, spis, 8);
    memcpy(h.spi_r, spis + 8, 8);
    assert_true(ike_sk_seal(c, &h, first, inner, gh_view_of(iv, 8), mem, sizeof(mem), &datagram));
    ike_world_hand(w, &w->hosts[0], &w->hosts[1], datagram.p, datagram.len);
    gh_cipher_free(c);
}

static uint16_t added;        /* the notification that add_notify() adds, to messages of … */
static bool added_alone;      /* instead of all else */
static uint8_t added_for;     /* instead of this payload; 0: beside all */
static uint8_t added_to;      /* … this exchange … */
static bool added_to_answers; /* … in this direction */

/* A world's tamper: puts a notification in front of what is sealed. */
static size_t add_notify(struct ike_world *w, const struct ike_host *from, uint8_t *octets,
                         size_t len)
{
    static const uint8_t iv[8] = {0xff, 0xdd};
    uint8_t spis[16], inside[WORLD_DATAGRAM], mem[WORLD_DATAGRAM];
    struct ike_out o = ike_out_inner(inside, sizeof(inside));
    struct ike_payloads in = {.count = 0};
    struct gh_view inner, datagram;
    struct ike_message m;
    struct gh_cipher *c;

    assert_int_equal(ike_message_parse(gh_view_of(octets, len), &m), IKE_OK);
    if (m.sealed.type != IKE_P_SK || m.h.exchange != added_to ||
        ike_header_is_response(&m.h) != added_to_answers)
        return len;
    c = cipher_of(from, ike_header_from_initiator(&m.h), spis);
    assert_int_equal(ike_sk_open(c, octets, &m, &inner), IKE_OK);
    assert_int_equal(ike_payloads_parse(m.sealed.first, inner, &in), IKE_OK);
    ike_notify_emit_data(&o, added, gh_view_of(NULL, 0));
    for (size_t i = 0; i < in.count && !added_alone; i++)
        if (in.payload[i].type != added_for)
            ike_out_payload(&o, in.payload[i].type, in.payload[i].critical, in.payload[i].body);
    assert_true(ike_out_done(&o, &inner));
    assert_true(
        ike_sk_seal(c, &m.h, o.first, inner, gh_view_of(iv, 8), mem, sizeof(mem), &datagram));
    memcpy(octets, datagram.p, datagram.len);
    gh_cipher_free(c);
    return datagram.len;
}

static void add(struct ike_world *w, uint16_t notify, uint8_t exchange, bool answers)
{
    added = notify;
    added_to = exchange;
    added_to_answers = answers;
    added_alone = false;
    added_for = 0;
    w->tamper = add_notify;
}

/* ---- One exchange after the other -------------------------------------------------------------
 */

static void a_tunnel_by_a_shared_key(void **state)
{
    struct ike_world *w = up(1);

    assert_int_equal(w->hosts[0].events[IKE2_EVENT_SA_UP], 1);
    assert_int_equal(w->hosts[1].events[IKE2_EVENT_SA_UP], 1);
    assert_int_equal(w->carried, 4);
    assert_string_equal(w->hosts[0].key_line, w->hosts[1].key_line);
    assert_non_null(strstr(w->hosts[0].key_line,
                           ",\"AES-GCM-256 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\""));
    ike_world_free(w);
}

static void events_that_nobody_reads_have_no_words(void **state)
{
    struct ike_world *w = pair(1);

    w->hosts[1].unread = true;
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(w->hosts[i].events[IKE2_EVENT_SA_UP], 1);
        assert_int_equal(w->hosts[i].events[IKE2_EVENT_CHILD_UP], 1);
    }
    assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_CHILD_UP], "net: 10."));
    assert_string_equal(w->hosts[1].last[IKE2_EVENT_SA_UP], "");
    assert_string_equal(w->hosts[1].last[IKE2_EVENT_CHILD_UP], "");
    assert_string_equal(w->hosts[1].last[IKE2_EVENT_STORY], "");
    ike_world_free(w);
}

static void both_begin_at_once(void **state)
{
    for (uint64_t seed = 2; seed < 42; seed++) {
        struct ike_world *w = pair(seed);

        configure(w);
        assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
        assert_true(ike2_initiate(w->hosts[1].core, w->now, "to-0", "net"));
        ike_world_run(w, 5000);
        assert_null(ike_world_agree(&w->hosts[0], &w->hosts[1]));
        assert_true(ike_world_children(&w->hosts[0]) >= 1);
        ike_world_free(w);
    }
}

static void a_wrong_key_is_refused(void **state)
{
    struct ike_world *w = pair(3);
    static const char other[] = "another pre-shared key altogether";
    struct gh_secret secret = {.data = NULL};

    gh_keeper_store_free(w->hosts[1].keeper);
    w->hosts[1].keeper = gh_keeper_store_new();
    assert_true(gh_secret_set(&secret, (const uint8_t *)other, sizeof(other) - 1));
    assert_true(
        gh_keeper_store_add_secret(w->hosts[1].keeper, GH_SECRET_PSK, "psk", &secret, NULL));
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 60000);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 0);
    assert_int_equal(ike_world_sas(&w->hosts[1], NULL), 0);
    assert_int_equal(w->hosts[0].installed + w->hosts[1].installed, 0);
    assert_int_equal(ike2_counters(w->hosts[1].core)[IKE2_COUNT_AUTH_FAILED], 1);
    assert_non_null(strstr(w->hosts[1].last[IKE2_EVENT_SA_FAILED], "pre-shared keys differ"));
    assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_SA_FAILED], "AUTHENTICATION_FAILED"));
    ike_world_free(w);
}

static void rekeying_from_either_end(void **state)
{
    struct ike_world *w = up(4);

    for (unsigned round = 0; round < 6; round++) {
        struct ike_host *h = &w->hosts[round % 2];
        uint32_t before = child_of(h);

        assert_true(ike2_rekey_child(h->core, w->now, before));
        ike_world_run(w, 1000);
        assert_up(w, 1);
        assert_int_not_equal(child_of(h), before);
        assert_true(ike2_rekey_ike(h->core, w->now, sa_of(h)));
        ike_world_run(w, 1000);
        assert_up(w, 1);
    }
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_CHILD_DOWN], 0);
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_SA_DOWN], 0);
    ike_world_free(w);
}

/* Not what it asked for itself, twice. */
static bool refuses_its_own(struct ike_host *h, const struct ike2_child_view *v)
{
    unsigned *left = h->hooks_ctx;

    if (!v->initiator || *left == 0)
        return true;
    --*left;
    return false;
}

/* … and one of them cannot install what it has asked for. What stays can be rekeyed. */
static void a_collision_whose_child_cannot_be_installed(void **state)
{
    uint64_t collisions = 0;

    for (uint64_t seed = 100; seed < 200; seed++) {
        struct ike_world *w = up(seed);
        struct ike_host *h = &w->hosts[seed % 2];
        unsigned refusals = 2;
        uint32_t before;

        h->installs = refuses_its_own;
        h->hooks_ctx = &refusals;
        for (unsigned i = 0; i < 2; i++) {
            ike2_rekey_child(w->hosts[i].core, w->now, child_of(&w->hosts[i]));
            ike_world_run(w, ike_world_random(w, 8));
        }
        ike_world_run(w, 40000);
        for (unsigned i = 0; i < 2; i++) {
            before = child_of(&w->hosts[i]);
            assert_true(ike2_rekey_child(w->hosts[i].core, w->now, before));
            ike_world_run(w, 20000);
            assert_up(w, 1);
            assert_int_not_equal(child_of(&w->hosts[i]), before);
        }
        collisions += ike2_counters(w->hosts[0].core)[IKE2_COUNT_COLLISIONS];
        ike_world_free(w);
    }
    assert_true(collisions > 20);
}

static void rekeying_from_both_ends_at_once(void **state)
{
    uint64_t collisions = 0;

    for (uint64_t seed = 100; seed < 300; seed++) {
        struct ike_world *w = up(seed);
        bool ike = seed % 2;
        unsigned begun = 0;

        for (unsigned i = 0; i < 2; i++) {
            struct ike_host *h = &w->hosts[i];

            /* The second may find that the first was there already. */
            if (ike)
                begun += ike2_rekey_ike(h->core, w->now, last_sa_of(h));
            else
                begun += ike2_rekey_child(h->core, w->now, child_of(h));
            ike_world_run(w, ike_world_random(w, 8));
        }
        ike_world_run(w, 20000);
        assert_up(w, 1);
        if (w->hosts[0].events[IKE2_EVENT_CHILD_DOWN] + w->hosts[0].events[IKE2_EVENT_SA_DOWN] > 0)
            fail_msg("seed %llu: %s %s", (unsigned long long)seed,
                     w->hosts[0].last[IKE2_EVENT_CHILD_DOWN], w->hosts[0].last[IKE2_EVENT_SA_DOWN]);
        assert_true(begun >= 1);
        assert_int_equal(w->hosts[0].events[IKE2_EVENT_CHILD_DOWN], 0);
        assert_int_equal(w->hosts[0].events[IKE2_EVENT_SA_DOWN], 0);
        collisions += ike2_counters(w->hosts[0].core)[IKE2_COUNT_COLLISIONS];
        ike_world_free(w);
    }
    assert_true(collisions > 40);
}

static void ends_are_told(void **state)
{
    struct ike_world *w = up(5);

    assert_true(ike2_terminate_child(w->hosts[0].core, w->now, child_of(&w->hosts[0])));
    ike_world_run(w, 1000);
    assert_up(w, 0);
    assert_true(ike2_initiate(w->hosts[1].core, w->now, "to-0", "net"));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    assert_true(ike2_terminate_ike(w->hosts[1].core, w->now, sa_of(&w->hosts[1])));
    ike_world_run(w, 1000);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ike_world_sas(&w->hosts[i], NULL), 0);
        assert_int_equal(ike_world_children(&w->hosts[i]), 0);
        assert_int_equal(ike2_memory(w->hosts[i].core), 0);
    }
    ike_world_free(w);
}

static void a_dead_peer_is_noticed(void **state)
{
    struct ike_world *w = up(6);

    w->hosts[1].dead = true;
    ike_world_run(w, 120000);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 0);
    assert_int_equal(ike_world_children(&w->hosts[0]), 0);
    assert_int_equal(ike2_counters(w->hosts[0].core)[IKE2_COUNT_PEER_DEAD], 1);
    ike_world_free(w);
}

static void lifetimes_end_in_rekeying(void **state)
{
    struct ike_world *w = up(7);

    ike_world_run(w, 3 * 86400 * (uint64_t)1000);
    assert_up(w, 1);
    assert_true(ike2_counters(w->hosts[0].core)[IKE2_COUNT_SA_REKEYED] >= 3);
    assert_true(w->hosts[0].events[IKE2_EVENT_CHILD_REKEYED] >= 70);
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_CHILD_DOWN], 0);
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_SA_DOWN], 0);
    ike_world_free(w);
}

static void fragments_pass_where_datagrams_do_not(void **state)
{
    struct ike_world *w = pair(8);

    for (unsigned i = 0; i < 2; i++) {
        struct ike2_child_policy *child = &w->hosts[i].policies[0]->children[0];

        w->hosts[i].policies[0]->mtu = 576;
        for (child->local.count = 1; child->local.count < 20; child->local.count++) {
            child->local.ts[child->local.count] = child->local.ts[0];
            child->local.ts[child->local.count].start.octets[3] = (uint8_t)child->local.count;
            child->local.ts[child->local.count].end.octets[3] = (uint8_t)child->local.count;
        }
        child->local.ts[0].protocol = 6;
        child->remote = child->local;
    }
    for (unsigned i = 0; i < 2; i++)
        w->hosts[i].policies[0]->children[0].remote = w->hosts[!i].policies[0]->children[0].local;
    configure(w);
    w->datagram_max = 576;
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    assert_int_equal(w->too_long, 0);
    assert_true(w->carried > 4);
    ike_world_free(w);
}

static void through_a_nat(void **state)
{
    static const uint8_t outside[4] = {203, 0, 113, 7};
    struct ike_world *w = pair(9);
    struct ike2_sa_view v;

    w->hosts[0].behind_nat = true;
    w->hosts[0].nat_addr = gh_addr_from(outside, 4);
    w->hosts[0].nat_port = 40000;
    w->hosts[1].policies[0]->remote = (struct gh_prefix){.addr = {.len = 4}};
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    ike_world_sas(&w->hosts[0], &v);
    assert_true(v.nat_local && !v.nat_remote);
    ike_world_sas(&w->hosts[1], &v);
    assert_true(!v.nat_local && v.nat_remote);
    assert_int_equal(v.remote.port, 40001);
    w->hosts[0].nat_port = 50000; /* the NAT forgot, and begins anew */
    ike_world_run(w, 60000);
    ike_world_sas(&w->hosts[1], &v);
    assert_int_equal(v.remote.port, 50001);
    assert_up(w, 1);
    ike_world_free(w);
}

static void between_two_nats_answers_go_back(void **state)
{
    struct ike_world *w = pair(20);
    struct ike2_sa_view v;

    for (uint8_t i = 0; i < 2; i++) {
        const uint8_t outside[4] = {203, 0, 113, (uint8_t)(7 + i)};

        w->hosts[i].behind_nat = true;
        w->hosts[i].nat_addr = gh_addr_from(outside, 4);
        w->hosts[i].nat_port = i == 0 ? 40000 : IKE2_PORT;
        w->hosts[!i].policies[0]->remote = (struct gh_prefix){.addr = {.len = 4}};
        w->hosts[!i].policies[0]->gateway = w->hosts[i].nat_addr;
    }
    w->hosts[1].nat_is_static = true;
    w->hosts[1].policies[0]->liveness_ms = 0;
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    w->hosts[0].nat_port = 50000;
    ike_world_run(w, 200000); /* host 1 is behind a NAT itself: it does not follow, but answers */
    assert_int_equal(ike2_counters(w->hosts[0].core)[IKE2_COUNT_PEER_DEAD], 0);
    assert_up(w, 1);
    ike_world_sas(&w->hosts[1], &v);
    assert_int_equal(v.remote.port, 40001);
    ike_world_free(w);
}

/* RFC 7296 2.5, 3.1: the answer has our version, no flag of a higher one, and not often. */
static void a_higher_version_is_told_ours(void **state)
{
    struct ike_world *w = pair(21);
    uint8_t octets[36] = {1, 2, 3, 4, 5, 6, 7, 8, [16] = 33, 0x30, 34, 0x08, [27] = 36, [31] = 8};
    struct ike_host *h = &w->hosts[1];

    configure(w);
    ike_world_hand(w, &w->hosts[0], h, octets, sizeof(octets));
    assert_int_equal(h->said_count, 1);
    assert_memory_equal(h->said_octets, octets, 16);
    assert_int_equal(h->said_octets[17], 0x20);
    assert_int_equal(h->said_octets[18], 34);
    assert_int_equal(h->said_octets[19], 0x20);
    assert_int_equal(h->said_octets[35], 5); /* INVALID_MAJOR_VERSION */
    ike_world_hand(w, &w->hosts[0], h, octets, sizeof(octets));
    assert_int_equal(h->said_count, 1);
    ike_world_run(w, 1000);
    octets[19] |= 0x20; /* a response has no answer */
    ike_world_hand(w, &w->hosts[0], h, octets, sizeof(octets));
    assert_int_equal(h->said_count, 1);
    ike_world_free(w);
}

static void a_restarted_peer_comes_again(void **state)
{
    struct ike_world *w = up(10);

    ike_world_restart(w, 0);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 2000);
    assert_up(w, 1); /* INITIAL_CONTACT: the earlier one is gone */
    ike_world_free(w);
}

/* RFC 7296 2.4: the responder says that it has lost all that was before. */
static void initial_contact_in_an_answer(void **state)
{
    struct ike_world *w = pair(22);
    struct ike2_policy *p = w->hosts[0].policies[0];

    p->reauthenticate = true;
    p->lifetime.seconds = 600;
    p->liveness_ms = 0;
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    ike_world_restart(w, 1);
    add(w, IKE_N_INITIAL_CONTACT, IKE_X_AUTH, true);
    for (unsigned i = 0; i < 600 && w->hosts[0].events[IKE2_EVENT_SA_UP] < 2; i++)
        ike_world_run(w, 1000);
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_SA_UP], 2);
    ike_world_run(w, 1000); /* the old one's deletion would be under way for a minute */
    assert_up(w, 1);
    ike_world_free(w);
}

static uint32_t next_id(const struct ike_host *h)
{
    struct ike2_sa_view v = {.next_send_id = 0};

    ike_world_sas(h, &v);
    return v.next_send_id;
}

/* RFC 7296 2.21.3: every request has an answer, and INVALID_SYNTAX ends the IKE SA at both ends. */
static void malformed_requests_end_the_sa(void **state)
{
    static const uint8_t half[6] = {0, 0, 0, 40};
    static const struct {
        uint8_t exchange, first;
        struct gh_view inner;
    } requests[] = {{IKE_X_INFORMATIONAL, IKE_P_NOTIFY, {half, sizeof(half)}},
                    {IKE_X_AUTH, IKE_P_NONE, {half, 0}},
                    {IKE_X_INTERMEDIATE, IKE_P_NONE, {half, 0}}};

    for (size_t i = 0; i < 3; i++) {
        struct ike_world *w = up(25 + i);
        unsigned said = w->hosts[1].said_count;

        forge(w, requests[i].exchange, next_id(&w->hosts[0]), requests[i].first, requests[i].inner);
        assert_int_equal(w->hosts[1].said_count, said + 1);
        assert_int_equal(w->hosts[1].said_octets[18], requests[i].exchange);
        assert_int_equal(ike_world_sas(&w->hosts[1], NULL), 0);
        assert_int_equal(ike_world_children(&w->hosts[1]), 0);
        ike_world_free(w);
    }
}

static void an_answer_of_invalid_syntax_ends_the_sa(void **state)
{
    struct ike_world *w = pair(28);
    uint64_t before;

    w->hosts[0].policies[0]->children[0].start = true;
    w->hosts[1].policies[0]->liveness_ms = 0;
    configure(w);
    ike_world_run(w, 1000);
    assert_up(w, 1);
    before = sa_of(&w->hosts[0]);
    add(w, IKE_N_INVALID_SYNTAX, IKE_X_INFORMATIONAL, true);
    for (unsigned i = 0; i < 60 && ike_world_sas(&w->hosts[0], NULL) > 0; i++)
        ike_world_run(w, 1000);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 0);
    w->tamper = NULL;
    ike_world_run(w, 6000); /* after a pause it begins again */
    assert_up(w, 1);
    assert_int_not_equal(sa_of(&w->hosts[0]), before);
    ike_world_free(w);
}

/* An unknown critical payload in IKE_AUTH: no second attempt under the same keys. */
static void a_refused_ike_auth_is_the_last(void **state)
{
    static const uint8_t critical[4] = {0, 0x80, 0, 4};
    struct ike_world *w = pair(29);
    uint64_t errors;

    configure(w);
    w->hosts[1].policies[0]->half_open_ms = 200000;
    w->loss = 0;
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    while (w->hosts[1].said_count == 0) /* the answer to IKE_SA_INIT */
        ike_world_run(w, 1);
    forge(w, IKE_X_AUTH, 1, 200, gh_view_of(critical, 4));
    assert_int_equal(w->hosts[1].said_count, 2);
    errors = ike2_counters(w->hosts[1].core)[IKE2_COUNT_NOT_ADMITTED];
    forge(w, IKE_X_AUTH, 2, 200, gh_view_of(critical, 4));
    assert_int_equal(w->hosts[1].said_count, 2);
    assert_true(ike2_counters(w->hosts[1].core)[IKE2_COUNT_NOT_ADMITTED] > errors);
    ike_world_run(w, 250000);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL) + ike_world_sas(&w->hosts[1], NULL), 0);
    ike_world_free(w);
}

/* RFC 7296 2.1: also a refusal is said again when the request comes again. */
static void a_lost_refusal_is_repeated(void **state)
{
    struct ike_world *w = pair(43);

    creds_use(w->hosts[1].policies[0], IKE2_AUTH_CERT, CREDS_ED25519);
    w->hosts[0].policies[0]->remote_auths = GH_BIT(IKE2_AUTH_CERT);
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    while (w->hosts[1].asked[GH_KEEPER_SIGN] == 0)
        ike_world_run(w, 1); /* what the peer proves is known, our own is not */
    w->hosts[0].dead = true;
    ike_world_run(w, 100);
    assert_int_equal(w->hosts[1].said_count, 2);
    assert_non_null(strstr(w->hosts[1].last[IKE2_EVENT_SA_FAILED], "we cannot authenticate"));
    w->hosts[0].dead = false;
    ike_world_run(w, 5000);
    assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_SA_FAILED], "AUTHENTICATION_FAILED"));
    ike_world_run(w, 60000);
    assert_int_equal(ike2_memory(w->hosts[1].core), 0);
    ike_world_free(w);
    creds_free();
}

/* RFC 7296 2.21.2: the initiator does not believe the responder, and says so. */
static void a_responder_hears_that_it_is_not_believed(void **state)
{
    struct ike_world *w = pair(30);

    w->hosts[0].policies[0]->remote_id = gh_pattern_new("somebody.else.example", NULL);
    w->hosts[1].policies[0]->liveness_ms = 0;
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_int_equal(w->hosts[1].events[IKE2_EVENT_SA_UP], 1);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL) + ike_world_sas(&w->hosts[1], NULL), 0);
    assert_int_equal(ike_world_children(&w->hosts[1]), 0);
    ike_world_free(w);
}

/* What the operator ended stays ended, even if the peer does not confirm it. */
static void an_unconfirmed_end_is_an_end(void **state)
{
    struct ike_world *w = pair(31);

    w->hosts[0].policies[0]->children[0].start = true;
    configure(w);
    ike_world_run(w, 1000);
    assert_up(w, 1);
    w->hosts[1].dead = true;
    assert_true(ike2_terminate_ike(w->hosts[0].core, w->now, sa_of(&w->hosts[0])));
    ike_world_run(w, 300000);
    assert_int_equal(ike2_memory(w->hosts[0].core), 0);
    ike_world_free(w);
}

/* RFC 7296 1.3.1, 2.9: what the initiator cannot take is deleted at the responder. */
static void children_that_do_not_suit_are_deleted(void **state)
{
    struct ike_world *w = pair(32);

    configure(w);
    w->hosts[0].refuses = true;
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_int_equal(w->hosts[1].installed, 1);
    assert_up(w, 0);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_int_equal(w->hosts[1].installed, 2);
    assert_up(w, 0);
    w->hosts[0].refuses = false;
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    w->hosts[0].refuses = true; /* and the same with one that should replace another */
    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, child_of(&w->hosts[0])));
    ike_world_run(w, 1000);
    assert_int_equal(w->hosts[1].installed, 4);
    assert_up(w, 1);
    w->hosts[0].refuses = false;
    ike_world_run(w, 30000);
    assert_up(w, 1);
    assert_true(w->hosts[0].events[IKE2_EVENT_CHILD_REKEYED] >= 1);
    ike_world_free(w);
}

/* RFC 7296 2.8, 2.25: a Child SA ends with its lifetime, and an IKE SA under which nothing can be
 * done for minutes ends, too. */
static void temporary_failures_do_not_last(void **state)
{
    struct ike_world *w = pair(33);
    uint64_t before;

    w->hosts[0].policies[0]->children[0].start = true;
    w->hosts[0].policies[0]->children[0].lifetime.seconds = 100;
    configure(w);
    ike_world_run(w, 1000);
    assert_up(w, 1);
    before = sa_of(&w->hosts[0]);
    add(w, IKE_N_TEMPORARY_FAILURE, IKE_X_CREATE_CHILD_SA, true);
    added_alone = true;
    ike_world_run(w, 98000);
    assert_int_equal(ike_world_children(&w->hosts[0]), 1);
    ike_world_run(w, 2000);
    assert_int_equal(ike_world_children(&w->hosts[0]), 0);
    assert_int_equal(sa_of(&w->hosts[0]), before);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 170000);
    assert_int_equal(sa_of(&w->hosts[0]), before);
    ike_world_run(w, 30000);
    assert_int_not_equal(sa_of(&w->hosts[0]), before);
    w->tamper = NULL;
    ike_world_run(w, 10000);
    assert_up(w, 1);
    ike_world_free(w);
}

/* RFC 7296 4: where the responder makes no more SAs under this IKE SA, another takes its place. */
static void no_additional_sas_means_a_new_ike_sa(void **state)
{
    struct ike_world *w = up(34);
    uint64_t before = sa_of(&w->hosts[0]);

    w->hosts[1].refuses = true;
    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, child_of(&w->hosts[0])));
    for (unsigned i = 0; i < 100 && w->hosts[1].events[IKE2_EVENT_CHILD_FAILED] == 0; i++)
        ike_world_run(w, 1);
    assert_true(w->hosts[1].events[IKE2_EVENT_CHILD_FAILED] > 0);
    w->hosts[1].refuses = false;
    ike_world_run(w, 2000);
    assert_up(w, 1);
    assert_int_not_equal(sa_of(&w->hosts[0]), before);
    ike_world_free(w);
}

static void strip_ke(struct ike_proposals *proposals)
{
    struct ike_sa sa;
    struct ike_proposal *p = &sa.proposal[0];
    size_t kept = 0;

    ike_proposals_get(proposals, &sa);
    for (size_t i = 0; i < p->count; i++)
        if (p->transform[i].type != IKE_T_KE)
            p->transform[kept++] = p->transform[i];
    p->count = kept;
    assert_true(ike_proposals_set(proposals, &sa));
}

/* RFC 7296 3.3.6: the responder chooses none of our groups, but NONE. */
static void no_key_exchange_is_a_choice(void **state)
{
    struct ike_world *w = pair(35);

    ike_world_add_transform(&w->hosts[0].policies[0]->children[0].proposals, IKE_T_KE, IKE_KE_NONE);
    strip_ke(&w->hosts[1].policies[0]->children[0].proposals);
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, child_of(&w->hosts[0])));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_CHILD_REKEYED], 1);
    ike_world_free(w);
}

static struct ike_ts_list selectors(const char *first, const char *second)
{
    struct ike_ts_list list = {.count = 0};
    struct gh_prefix p;

    assert_true(gh_prefix_parse(first, &p));
    list.ts[list.count++] = ike_ts_from_prefix(&p);
    if (second != NULL) {
        assert_true(gh_prefix_parse(second, &p));
        list.ts[list.count++] = ike_ts_from_prefix(&p);
    }
    return list;
}

/* RFC 7296 2.9: the first selectors are what the initiator needs. */
static void the_first_selectors_choose(void **state)
{
    struct ike_world *w = pair(36);
    struct ike2_policy *p = w->hosts[1].policies[0];

    ike_world_child(p, 1, 0, 1);
    strcpy(p->children[1].name, "other");
    p->children[1].remote = p->children[0].remote;
    p->children[1].local = selectors("10.9.0.0/16", NULL);
    w->hosts[0].policies[0]->children[0].remote = selectors("10.9.0.5/32", "10.0.0.0/8");
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    for (size_t i = 0; i < w->hosts[0].child_room; i++)
        if (w->hosts[0].child[i].used)
            assert_int_equal(w->hosts[0].child[i].remote.ts[0].start.octets[1], 9);
    ike_world_free(w);
}

/* RFC 7296 2.9.2 */
static void rekeying_does_not_narrow(void **state)
{
    struct ike_world *w = up(37);
    struct ike_host *h = &w->hosts[1];

    ike2_policy_free(h->policies[0]);
    h->policy_count = 0;
    ike_world_policy(w, 1, 0)->children[0].local = selectors("10.0.1.0/25", NULL);
    ike_world_configure(w, 1);
    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, child_of(&w->hosts[0])));
    ike_world_run(w, 1000);
    assert_int_equal(ike2_counters(h->core)[IKE2_COUNT_TS_UNACCEPTABLE], 1);
    assert_up(w, 1);
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_CHILD_REKEYED], 0);
    ike_world_free(w);
}

/* A packet meets no SA: the first host's outgoing selectors are wider than what the second grants.
 */
static void meet(struct ike_world *w, const char *remote)
{
    struct ike_ts_list from = selectors("10.0.0.5/32", NULL), to = selectors(remote, NULL);

    assert_true(ike2_acquire(w->hosts[0].core, ike_world_now(&w->hosts[0]), "to-1", "net",
                             &from.ts[0], &to.ts[0]));
    ike_world_run(w, 1000);
}

static void what_the_peer_does_not_grant(void **state)
{
    struct ike_world *w = pair(39);
    const unsigned *up = &w->hosts[0].events[IKE2_EVENT_CHILD_UP];

    w->hosts[1].policies[0]->children[0].local = selectors("10.0.1.0/25", NULL);
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    for (int i = 0; i < 10; i++)
        meet(w, "10.0.1.200/32");
    assert_int_equal(*up, 2); /* asked once, and what came of it went again */
    meet(w, "10.0.1.201/32"); /* another one: asked once, too */
    assert_int_equal(*up, 3);
    assert_up(w, 1);
    ike_world_run(w, 60000);
    meet(w, "10.0.1.201/32"); /* the peer may have changed its mind */
    assert_int_equal(*up, 4);
    assert_up(w, 1);
    ike_world_free(w);
}

static void what_the_peer_refuses(void **state)
{
    struct ike_world *w = pair(40);
    const uint64_t *refused = &ike2_counters(w->hosts[1].core)[IKE2_COUNT_TS_UNACCEPTABLE];

    w->hosts[0].policies[0]->children[0].remote = selectors("10.7.0.0/16", NULL);
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_up(w, 0);
    assert_int_equal(*refused, 1);
    for (int i = 0; i < 5; i++)
        meet(w, "10.7.1.1/32");
    assert_int_equal(*refused, 2);
    ike_world_free(w);
}

/* RFC 7296 2.4: whoever ends an IKE SA says so. */
static void an_expired_sa_is_deleted_at_both_ends(void **state)
{
    struct ike_world *w = pair(38);

    w->hosts[0].policies[0]->lifetime.seconds = 0;
    w->hosts[1].policies[0]->lifetime.seconds = 600;
    w->hosts[1].policies[0]->reauthenticate = true;
    w->hosts[1].policies[0]->responder_only = true;
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 599000);
    assert_up(w, 1);
    ike_world_run(w, 2000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(w->hosts[i].events[IKE2_EVENT_SA_DOWN], 1);
        assert_int_equal(ike2_memory(w->hosts[i].core), 0);
        assert_int_equal(ike_world_children(&w->hosts[i]), 0);
    }
    assert_string_equal(w->hosts[0].last[IKE2_EVENT_SA_DOWN], "deleted by the peer");
    ike_world_free(w);
}

static void ends_that_cross(void **state)
{
    struct ike_world *w = up(39);

    for (size_t i = 0; i < 2; i++)
        assert_true(ike2_terminate_ike(w->hosts[i].core, w->now, sa_of(&w->hosts[i])));
    ike_world_run(w, 1000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(w->hosts[i].events[IKE2_EVENT_SA_DOWN], 1);
        assert_int_equal(w->hosts[i].events[IKE2_EVENT_CHILD_DOWN], 1);
        assert_int_equal(ike2_memory(w->hosts[i].core), 0);
    }
    ike_world_free(w);
}

/* RFC 7296 2.6: the same again behind the cookie, but not for ever. */
static void cookies_are_given_back(void **state)
{
    static const uint8_t cookie[4] = {0xc0, 0x0c, 0x1e, 0x5a};
    struct ike_world *w = pair(40);
    struct ike_host *h = &w->hosts[0];
    uint8_t first[sizeof(h->said_octets)], answer[40] = {0};
    size_t len;

    configure(w);
    w->hosts[1].dead = true;
    assert_true(ike2_initiate(h->core, w->now, "to-1", "net"));
    len = h->said.len;
    memcpy(first, h->said_octets, len);
    memcpy(answer, first, 8);
    memcpy(answer + 16, (const uint8_t[]){IKE_P_NOTIFY, 0x20, IKE_X_SA_INIT, 0x20}, 4);
    answer[27] = sizeof(answer);
    answer[31] = 12;
    answer[34] = IKE_N_COOKIE >> 8;
    answer[35] = IKE_N_COOKIE & 0xff;
    memcpy(answer + 36, cookie, 4);
    answer[23] = 1; /* not the Message ID of IKE_SA_INIT */
    ike_world_hand(w, &w->hosts[1], h, answer, sizeof(answer));
    assert_int_equal(h->said_count, 1);
    answer[23] = 0;
    for (unsigned i = 1; i <= 5; i++) {
        ike_world_hand(w, &w->hosts[1], h, answer, sizeof(answer));
        assert_int_equal(h->said_count, 1 + i);
        assert_int_equal(h->said.len, len + 12);
        assert_int_equal(h->said_octets[16], IKE_P_NOTIFY);
        assert_int_equal(h->said_octets[28], first[16]);
        assert_memory_equal(h->said_octets + 36, cookie, 4);
        assert_memory_equal(h->said_octets + 40, first + 28, len - 28);
    }
    ike_world_hand(w, &w->hosts[1], h, answer, sizeof(answer));
    assert_int_equal(h->said_count, 6);
    ike_world_free(w);
}

static size_t zero_spi(struct ike_world *w, const struct ike_host *from, uint8_t *octets,
                       size_t len)
{
    if (from == &w->hosts[1])
        memset(octets + 8, 0, 8);
    return len;
}

/* RFC 7296 3.1 */
static void an_answer_needs_an_spi(void **state)
{
    struct ike_world *w = pair(41);

    configure(w);
    w->tamper = zero_spi;
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 500);
    assert_int_equal(w->hosts[1].said_count, 1);
    assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_SA_FAILED], "its SPI is zero"));
    assert_int_equal(w->hosts[0].said_count, 1);
    ike_world_free(w);
}

static uint8_t inside_seen[WORLD_DATAGRAM]; /* by look_and_lie(): of host 1's last answer */
static size_t inside_seen_len;

/* Host 0's question whether somebody is there becomes the deletion of its Child SA. */
static size_t look_and_lie(struct ike_world *w, const struct ike_host *from, uint8_t *octets,
                           size_t len)
{
    static const uint8_t iv[8] = {0xff, 0xcc};
    uint8_t spis[16], mem[WORLD_DATAGRAM], lie[12] = {0, 0, 0, 12, IKE_PROTO_ESP, 4, 0, 1};
    struct gh_view inner, datagram;
    struct ike_message m;
    struct gh_cipher *c;
    uint8_t copy[WORLD_DATAGRAM];

    memcpy(copy, octets, len);
    assert_int_equal(ike_message_parse(gh_view_of(copy, len), &m), IKE_OK);
    c = cipher_of(from, ike_header_from_initiator(&m.h), spis);
    assert_int_equal(ike_sk_open(c, copy, &m, &inner), IKE_OK);
    if (from == &w->hosts[1] && m.h.exchange == IKE_X_CREATE_CHILD_SA) {
        memcpy(inside_seen, inner.p, inner.len);
        inside_seen_len = inner.len;
    } else if (from == &w->hosts[0] && m.h.exchange == IKE_X_INFORMATIONAL && inner.len == 0) {
        memcpy(lie + 8, from->child[0].spi_in, 4);
        assert_true(ike_sk_seal(c, &m.h, IKE_P_DELETE, gh_view_of(lie, sizeof(lie)),
                                gh_view_of(iv, 8), mem, sizeof(mem), &datagram));
        memcpy(octets, datagram.p, datagram.len);
        len = datagram.len;
    }
    gh_cipher_free(c);
    return len;
}

/* RFC 7296 2.2 */
static void message_ids_do_not_run_out(void **state)
{
    struct ike_world *w = pair(46);
    struct ike2_sa_view v;

    for (size_t i = 0; i < 2; i++)
        w->hosts[i].policies[0]->lifetime.seconds = 0;
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    w->hosts[0].core->sas->send_id = w->hosts[1].core->sas->receive_id = UINT32_C(0xffff0000);
    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, child_of(&w->hosts[0])));
    ike_world_run(w, 20000);
    assert_up(w, 1);
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_CHILD_REKEYED], 1);
    ike_world_sas(&w->hosts[0], &v);
    assert_int_equal(v.rekeys, 1);
    assert_true(v.next_send_id < 100);
    ike_world_free(w);
}

/* RFC 7296 5: not even where both are configured so. */
static void an_ike_sa_is_encrypted(void **state)
{
    struct ike_world *w = pair(45);

    for (size_t i = 0; i < 2; i++) {
        struct ike_sa sa = {.count = 1};
        struct ike_proposal *p = &sa.proposal[0];

        *p = (struct ike_proposal){.number = 1, .protocol = IKE_PROTO_IKE};
        assert_true(ike_proposal_add(p, IKE_T_ENCR, IKE_ENCR_NULL, 0) &&
                    ike_proposal_add(p, IKE_T_INTEG, IKE_INTEG_HMAC_SHA2_256_128, 0) &&
                    ike_proposal_add(p, IKE_T_PRF, IKE_PRF_HMAC_SHA2_256, 0) &&
                    ike_proposal_add(p, IKE_T_KE, IKE_KE_CURVE25519, 0) &&
                    ike_proposals_set(&w->hosts[i].policies[0]->proposals, &sa));
    }
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 2000);
    assert_int_equal(w->hosts[1].said_count, 0);
    assert_int_equal(ike2_counters(w->hosts[1].core)[IKE2_COUNT_SA_ANSWERED], 0);
    ike_world_free(w);
}

static uint8_t order[2][16]; /* by note_order(): payloads of a request, of its answer */

static size_t note_order(struct ike_world *w, const struct ike_host *from, uint8_t *octets,
                         size_t len)
{
    uint8_t spis[16], copy[WORLD_DATAGRAM], *at;
    struct ike_payloads in;
    struct gh_view inner;
    struct ike_message m;
    struct gh_cipher *c;

    memcpy(copy, octets, len);
    assert_int_equal(ike_message_parse(gh_view_of(copy, len), &m), IKE_OK);
    if (m.h.exchange != IKE_X_CREATE_CHILD_SA)
        return len;
    c = cipher_of(from, ike_header_from_initiator(&m.h), spis);
    assert_int_equal(ike_sk_open(c, copy, &m, &inner), IKE_OK);
    gh_cipher_free(c);
    assert_int_equal(ike_payloads_parse(m.sealed.first, inner, &in), IKE_OK);
    at = order[ike_header_is_response(&m.h)];
    for (size_t i = 0; i < in.count; i++)
        at[i] = in.payload[i].type;
    return len;
}

/* RFC 7296 2.5: in the order of the figures of 1.3.3. */
static void payloads_are_in_order(void **state)
{
    static const uint8_t request[] = {IKE_P_NOTIFY, IKE_P_SA,  IKE_P_NONCE,
                                      IKE_P_KE,     IKE_P_TSI, IKE_P_TSR};
    struct ike_world *w = up(44);

    w->tamper = note_order;
    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, child_of(&w->hosts[0])));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    assert_memory_equal(order[0], request, sizeof(request));
    assert_memory_equal(order[1], request + 1, sizeof(request) - 1);
    ike_world_free(w);
}

/* RFC 7296 2.25.1, 3.10: the peer does not know what is to be rekeyed, and says which. */
static void a_child_that_the_peer_lost_is_made_anew(void **state)
{
    struct ike_world *w = pair(42);
    uint8_t spi[4];

    w->hosts[1].policies[0]->liveness_ms = 0;
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    memcpy(spi, w->hosts[0].child[0].spi_in, 4);
    w->tamper = look_and_lie;
    ike_world_run(w, 31000);
    assert_int_equal(ike_world_children(&w->hosts[1]), 0);
    assert_int_equal(ike_world_children(&w->hosts[0]), 1);
    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, child_of(&w->hosts[0])));
    for (unsigned i = 0; i < 100 && inside_seen_len == 0; i++)
        ike_world_run(w, 1);
    assert_int_equal(inside_seen_len, 12);
    assert_memory_equal(inside_seen, ((const uint8_t[]){0, 0, 0, 12, IKE_PROTO_ESP, 4, 0, 44}), 8);
    assert_memory_equal(inside_seen + 8, spi, 4);
    ike_world_run(w, 1000);
    assert_up(w, 1);
    ike_world_free(w);
}

static void anonymous(struct ike_world *w)
{
    w->hosts[0].policies[0]->local_auth = IKE2_AUTH_NULL;
    assert_true(gh_identity_from_text("gw0.example", &w->hosts[0].policies[0]->local_id, NULL));
    w->hosts[1].policies[0]->remote_auths = GH_BIT(IKE2_AUTH_NULL) | GH_BIT(IKE2_AUTH_PSK);
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
}

/* RFC 7619 2.2 and 2.3: no name, and so no earlier life either. */
static void who_proves_nothing_is_nobody(void **state)
{
    struct ike_world *w = pair(23);
    struct ike2_sa_view v;

    anonymous(w);
    assert_up(w, 1);
    ike_world_sas(&w->hosts[1], &v);
    assert_int_equal(v.remote_id->type, GH_ID_NULL);
    ike_world_restart(w, 0);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    ike_world_run(w, 1000);
    assert_int_equal(ike_world_sas(&w->hosts[1], NULL), 2); /* in spite of INITIAL_CONTACT */
    ike_world_free(w);
}

static void a_name_without_proof_opens_no_policy(void **state)
{
    struct ike_world *w = pair(24);

    w->hosts[1].policies[0]->remote_id = gh_pattern_new("gw0.example", NULL);
    anonymous(w);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL) + ike_world_sas(&w->hosts[1], NULL), 0);
    assert_int_equal(ike2_counters(w->hosts[1].core)[IKE2_COUNT_AUTH_FAILED], 1);
    ike_world_free(w);
}

static void reauthentication_makes_before_it_breaks(void **state)
{
    struct ike_world *w = pair(11);

    w->hosts[0].policies[0]->reauthenticate = true;
    w->hosts[0].policies[0]->lifetime.seconds = 600;
    w->hosts[1].policies[0]->lifetime.seconds = 0;
    configure(w);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
    for (unsigned i = 0; i < 600; i++) {
        ike_world_run(w, 10000);
        assert_true(ike_world_children(&w->hosts[0]) >= 1);
    }
    assert_up(w, 1);
    assert_true(w->hosts[0].events[IKE2_EVENT_SA_UP] >= 10);
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_SA_DOWN], 0);
    ike_world_free(w);
}

static void a_new_configuration_takes_over(void **state)
{
    struct ike_world *w = up(12);
    struct ike_host *h = &w->hosts[0];
    uint64_t sa = sa_of(h);
    struct ike2_sa_view v;

    ike2_policy_free(h->policies[0]);
    h->policy_count = 0;
    ike_world_policy(w, 0, 1)->children[0].start = true;
    ike_world_configure(w, 0);
    ike_world_run(w, 1000);
    assert_up(w, 1);
    assert_int_equal(sa_of(h), sa);
    ike_world_sas(h, &v);
    assert_ptr_equal(v.policy, h->policies[0]);
    assert_true(ike2_rekey_child(h->core, w->now, child_of(h)));
    ike_world_run(w, 1000);
    assert_up(w, 1);
    ike_world_free(w);
}

/* Everything goes wrong for a while; afterwards both ends agree. */
static void storm(uint64_t seed, unsigned rounds)
{
    struct ike_world *w = pair(seed);

    for (unsigned i = 0; i < 2; i++) {
        w->hosts[i].policies[0]->children[0].lifetime.seconds = 60;
        w->hosts[i].policies[0]->lifetime.seconds = 200;
        w->hosts[i].policies[0]->children[0].start = i == 0;
    }
    w->loss = 300;
    w->duplicated = 100;
    w->delay_most = 400;
    configure(w);
    for (unsigned i = 0; i < rounds; i++) {
        struct ike_host *h = &w->hosts[ike_world_random(w, 2)];
        struct ike2_sa_view v;

        ike_world_run(w, ike_world_random(w, 4000));
        switch (ike_world_random(w, 8)) {
        case 0:
            ike2_rekey_child(h->core, w->now, child_of(h));
            break;
        case 1:
            if (ike_world_sas(h, &v) > 0)
                ike2_rekey_ike(h->core, w->now, v.id);
            break;
        case 2:
            if (ike_world_random(w, 20) == 0)
                ike_world_restart(w, (size_t)(h - w->hosts));
            break;
        case 3:
            if (ike_world_random(w, 8) == 0)
                ike2_terminate_child(h->core, w->now, child_of(h));
            break;
        default:
            break;
        }
        assert_true(ike_world_children(h) < 40);
        assert_true(ike2_memory(h->core) < 400000);
    }
    w->loss = w->duplicated = 0;
    w->delay_most = 5;
    ike_world_run(w, 400 * 1000);
    ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"); /* if an operator ended it */
    ike_world_run(w, 1000);
    if (ike_world_agree(&w->hosts[0], &w->hosts[1]) != NULL)
        fail_msg("seed %llu: %s", (unsigned long long)seed,
                 ike_world_agree(&w->hosts[0], &w->hosts[1]));
    if (ike_world_children(&w->hosts[0]) == 0)
        fail_msg("seed %llu: nothing came up again", (unsigned long long)seed);
    ike_world_free(w);
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void storms(void **state)
{
    uint64_t first = from_environment("GATEHOUSE_SIM_SEED", 1000);
    uint64_t seeds = from_environment("GATEHOUSE_SIM_STORMS", 40);

    for (uint64_t seed = first; seed < first + seeds; seed++)
        storm(seed, 200);
}

/* An error and all that is needed but one payload: it is refused, nothing is looked for in vain. */
static void an_error_instead_of_one_payload(void **state)
{
    static const uint8_t of_auth[] = {IKE_P_IDR, IKE_P_AUTH};
    static const uint8_t of_create[] = {IKE_P_SA, IKE_P_NONCE, IKE_P_KE, IKE_P_TSI, IKE_P_TSR};

    for (size_t i = 0; i < sizeof(of_auth); i++) {
        struct ike_world *w = pair(400 + i);

        configure(w);
        add(w, IKE_N_AUTHENTICATION_FAILED, IKE_X_AUTH, true);
        added_for = of_auth[i];
        assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
        ike_world_run(w, 1000);
        assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 0);
        assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_SA_FAILED], "refuses IKE_AUTH"));
        ike_world_free(w);
    }
    for (size_t i = 0; i < sizeof(of_create); i++) {
        struct ike_world *w = up(410 + i);
        uint32_t child = child_of(&w->hosts[0]);

        add(w, IKE_N_NO_PROPOSAL_CHOSEN, IKE_X_CREATE_CHILD_SA, true);
        added_for = of_create[i];
        assert_true(ike2_rekey_child(w->hosts[0].core, w->now, child));
        ike_world_run(w, 1000);
        assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 1);
        assert_int_equal(child_of(&w->hosts[0]), child);
        ike_world_free(w);
    }
}

/* ---- Whose a message is ---------------------------------------------------------------------- */

enum { MANY = 300 };

static struct gh_addr address(uint32_t r)
{
    const uint8_t octets[4] = {10, 0, (uint8_t)(r >> 8 & 1), (uint8_t)(r & 63)};

    return gh_addr_from(octets, 4);
}

/* As one would find them without any table. */
static bool belongs(const struct ike2_policy *p, const struct gh_addr *local,
                    const struct gh_addr *remote)
{
    return (p->local.len == 0 || gh_addr_equal(&p->local, local)) &&
           (p->remote.bits == 0 || gh_prefix_contains(&p->remote, remote));
}

static void each_policy_for_a_peer_is_found_in_order(void **state)
{
    struct ike2_policy **list = calloc(MANY, sizeof(struct ike2_policy *)), *found;
    struct ike2_whose w;
    unsigned several = 0;
    uint32_t seed = 1;

    for (size_t i = 0; i < MANY; i++) {
        static const uint8_t bits[] = {32, 32, 32, 28, 23, 0};
        char name[16];

        (void)snprintf(name, sizeof(name), "p%zu", i);
        list[i] = ike2_policy_new(name);
        seed = seed * 1664525 + 1013904223;
        list[i]->remote = (struct gh_prefix){.addr = address(seed >> 8)};
        list[i]->remote.bits = i % 10 == 0 ? bits[(seed >> 20) % sizeof(bits)] : 32;
        if (list[i]->remote.bits < 32)
            list[i]->remote.addr.octets[3] = list[i]->remote.addr.octets[2] = 0;
        if (i % 97 == 96)
            list[i]->remote = (struct gh_prefix){.addr = {.len = 0}};
        if (i % 3 == 0)
            list[i]->local = address(i % 2);
    }
    assert_true(ike2_whose_make(&w, list, MANY));
    for (uint32_t r = 0; r < 512; r++) {
        struct gh_addr local = address(r % 3), remote = address(r);
        const struct ike2_endpoint at = {.addr = local};
        unsigned count = 0;

        found = NULL;
        for (size_t i = 0; i < MANY; i++) {
            if (!belongs(list[i], &local, &remote))
                continue;
            found = ike2_policy_for(&w, &at, &remote, found);
            assert_ptr_equal(found, list[i]);
            count++;
        }
        if (count > 0)
            assert_null(ike2_policy_for(&w, &at, &remote, found));
        several += count > 1;
    }
    assert_true(several > 100);
    for (size_t i = 0; i < MANY; i++)
        assert_ptr_equal(ike2_policy_named(&w, list[i]->name), list[i]);
    assert_null(ike2_policy_named(&w, "p"));
    for (size_t i = 0; i < MANY; i++)
        ike2_policy_free(list[i]);
    ike2_whose_clear(&w);
    assert_null(ike2_policy_named(&w, "p1"));
}

/* ---- Memory ---------------------------------------------------------------------------------- */

enum { PEERS = 60 };

static size_t held(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

/* What malloc gets back when a core ends. */
static size_t given_back(struct ike_host *h)
{
    size_t before = held();

    ike2_free(h->core);
    h->core = NULL;
    return before - held();
}

/* Host 0 has a policy for each of the others, and each of them one for it. */
static struct ike_world *star(void)
{
    struct ike_world *w = ike_world_new(46, 1 + PEERS);

    for (size_t i = 1; i <= PEERS; i++) {
        ike_world_policy(w, 0, i);
        ike_world_policy(w, i, 0);
    }
    configure(w);
    return w;
}

/* malloc's own share is a tenth, and some of what it gets back it does not show. */
static void assert_counted(struct ike_world *w, size_t empty)
{
    size_t told = ike2_memory(w->hosts[0].core), is = given_back(&w->hosts[0]) - empty;

    if (told < is - is / 5 || told > is + is / 5)
        fail_msg("%zu octets are told, %zu were held", told, is);
    ike_world_free(w);
}

static void memory_is_counted(void **state)
{
    struct ike_world *w;
    size_t empty;

    if (held() == 0) {
        puts("skipped: a sanitizer's malloc does not say what it holds");
        skip();
    }
    w = star();
    empty = given_back(&w->hosts[0]);
    ike_world_free(w);

    w = star();
    for (size_t i = 1; i <= PEERS; i++)
        assert_true(ike2_initiate(w->hosts[i].core, w->now, "to-0", "net"));
    ike_world_run(w, 2000);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), PEERS);
    assert_int_equal(w->hosts[0].child_count, PEERS);
    assert_counted(w, empty);

    w = star(); /* half-open as responder */
    for (size_t i = 1; i <= PEERS; i++) {
        assert_true(ike2_initiate(w->hosts[i].core, w->now, "to-0", "net"));
        w->hosts[i].dead = true;
    }
    ike_world_run(w, 20);
    assert_int_equal(w->hosts[0].core->half_open, PEERS);
    assert_counted(w, empty);

    w = star(); /* half-open as initiator */
    for (size_t i = 1; i <= PEERS; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "to-%zu", i);
        assert_true(ike2_initiate(w->hosts[0].core, w->now, name, "net"));
    }
    assert_counted(w, empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tunnel_by_a_shared_key),
        cmocka_unit_test(events_that_nobody_reads_have_no_words),
        cmocka_unit_test(both_begin_at_once),
        cmocka_unit_test(each_policy_for_a_peer_is_found_in_order),
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(a_wrong_key_is_refused),
        cmocka_unit_test(rekeying_from_either_end),
        cmocka_unit_test(rekeying_from_both_ends_at_once),
        cmocka_unit_test(a_collision_whose_child_cannot_be_installed),
        cmocka_unit_test(ends_are_told),
        cmocka_unit_test(a_dead_peer_is_noticed),
        cmocka_unit_test(lifetimes_end_in_rekeying),
        cmocka_unit_test(fragments_pass_where_datagrams_do_not),
        cmocka_unit_test(through_a_nat),
        cmocka_unit_test(between_two_nats_answers_go_back),
        cmocka_unit_test(a_higher_version_is_told_ours),
        cmocka_unit_test(a_restarted_peer_comes_again),
        cmocka_unit_test(initial_contact_in_an_answer),
        cmocka_unit_test(malformed_requests_end_the_sa),
        cmocka_unit_test(an_answer_of_invalid_syntax_ends_the_sa),
        cmocka_unit_test(a_refused_ike_auth_is_the_last),
        cmocka_unit_test(a_responder_hears_that_it_is_not_believed),
        cmocka_unit_test(an_unconfirmed_end_is_an_end),
        cmocka_unit_test(children_that_do_not_suit_are_deleted),
        cmocka_unit_test(temporary_failures_do_not_last),
        cmocka_unit_test(no_additional_sas_means_a_new_ike_sa),
        cmocka_unit_test(no_key_exchange_is_a_choice),
        cmocka_unit_test(the_first_selectors_choose),
        cmocka_unit_test(rekeying_does_not_narrow),
        cmocka_unit_test(what_the_peer_does_not_grant),
        cmocka_unit_test(what_the_peer_refuses),
        cmocka_unit_test(an_expired_sa_is_deleted_at_both_ends),
        cmocka_unit_test(ends_that_cross),
        cmocka_unit_test(cookies_are_given_back),
        cmocka_unit_test(an_answer_needs_an_spi),
        cmocka_unit_test(a_child_that_the_peer_lost_is_made_anew),
        cmocka_unit_test(a_lost_refusal_is_repeated),
        cmocka_unit_test(message_ids_do_not_run_out),
        cmocka_unit_test(an_ike_sa_is_encrypted),
        cmocka_unit_test(payloads_are_in_order),
        cmocka_unit_test(who_proves_nothing_is_nobody),
        cmocka_unit_test(a_name_without_proof_opens_no_policy),
        cmocka_unit_test(reauthentication_makes_before_it_breaks),
        cmocka_unit_test(a_new_configuration_takes_over),
        cmocka_unit_test(storms),
        cmocka_unit_test(an_error_instead_of_one_payload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
