/* What makes IKEv2 last against quantum computers, core against core: PPKs (RFC 8784), and several
 * key exchanges (RFC 9370) in IKE_INTERMEDIATE (RFC 9242) and IKE_FOLLOWUP_KE. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/ke.h"
#include "ike/v2/followup.h"
#include "ike/v2/intermediate.h"
#include "ike/v2/keys.h"
#include "ike/v2/priv.h"
#include "ike_world.h"
#include "pki/privkey.h"
#include "unit.h"

static const char ppk[] = "a post-quantum preshared key of the simulation";

static struct ike_world *pair(uint64_t seed)
{
    struct ike_world *w = ike_world_new(seed, 2);

    w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    ike_world_policy(w, 0, 1);
    ike_world_policy(w, 1, 0);
    return w;
}

static struct ike2_policy *policy(struct ike_world *w, size_t i)
{
    return w->hosts[i].policies[0];
}

static void begin(struct ike_world *w)
{
    ike_world_configure(w, 0);
    ike_world_configure(w, 1);
    assert_true(ike2_initiate(w->hosts[0].core, w->now, "to-1", "net"));
}

static void assert_up(struct ike_world *w)
{
    const char *wrong = ike_world_agree(&w->hosts[0], &w->hosts[1]);

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ike_world_sas(&w->hosts[i], NULL), 1);
        assert_int_equal(ike_world_children(&w->hosts[i]), 1);
    }
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static void assert_nothing(struct ike_world *w)
{
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ike_world_sas(&w->hosts[i], NULL), 0);
        assert_int_equal(ike_world_children(&w->hosts[i]), 0);
        assert_int_equal(ike2_memory(w->hosts[i].core), 0);
    }
}

static uint64_t sa_of(const struct ike_host *h)
{
    struct ike2_sa_view v;

    assert_int_equal(ike_world_sas(h, &v), 1);
    return v.id;
}

static uint32_t child_of(const struct ike_host *h)
{
    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[i].used)
            return h->child[i].id;
    return 0;
}

/* ---- PPK ------------------------------------------------------------------------------------- */

static void know(struct ike_world *w, size_t i, const char *name, const char *value)
{
    struct gh_secret secret = {.data = NULL};

    assert_true(gh_secret_set(&secret, (const uint8_t *)value, strlen(value)));
    assert_true(gh_keeper_store_add_secret(w->hosts[i].keeper, GH_SECRET_PPK, name, &secret, NULL));
}

static void use(struct ike_world *w, size_t i, const char *name, bool required)
{
    strcpy(policy(w, i)->ppk, name);
    policy(w, i)->ppk_required = required;
}

enum outcome { REFUSED, PLAIN, MIXED };

/* RFC 8784's table 1 and what the initiator has to do; "": no PPK is configured. */
static const struct {
    const char *initiator;
    bool initiator_requires;
    const char *responder;
    bool responder_requires;
    enum outcome outcome;
} cases[] = {
    {"", false, "", false, PLAIN},
    {"", false, "ppk", false, PLAIN},
    {"", false, "ppk", true, REFUSED},
    {"ppk", false, "", false, PLAIN},
    {"ppk", true, "", false, REFUSED},
    {"ppk", false, "ppk", false, MIXED},
    {"ppk", false, "ppk", true, MIXED},
    {"ppk", true, "ppk", false, MIXED},
    {"ppk", true, "ppk", true, MIXED},
    {"ppk", false, "other", false, PLAIN},
    {"ppk", true, "other", false, REFUSED},
    {"ppk", false, "other", true, REFUSED},
    {"ppk", true, "other", true, REFUSED},
    {"ppk", false, "lost", false, PLAIN}, /* the responder's keeper has it not */
    {"ppk", false, "lost", true, REFUSED},
    {"lost", false, "ppk", false, REFUSED}, /* nor the initiator's: it said that it had */
    {"differs", false, "differs", false, REFUSED},
    {"differs", true, "differs", true, REFUSED},
};

/* PKCS #8 of an Ed25519 key, without its 32 octets. */
static const uint8_t ed25519[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                  0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

/* Host i signs with a key of its own; *pub is the caller's. */
static void give_key(struct ike_world *w, size_t i, struct gh_pubkey **pub)
{
    uint8_t der[sizeof(ed25519) + 32];
    struct gh_bundle bundle = {.key = NULL};

    memcpy(der, ed25519, sizeof(ed25519));
    memset(der + sizeof(ed25519), (int)(i + 1), 32);
    assert_true(gh_bundle_parse(gh_view_of(der, sizeof(der)), gh_view_of(NULL, 0), &bundle, NULL));
    *pub = gh_pubkey_parse(gh_pubkey_spki(gh_privkey_public(bundle.key)), NULL);
    assert_non_null(*pub);
    assert_true(gh_keeper_store_add_key(w->hosts[i].keeper, "key", &bundle, NULL));
    strcpy(policy(w, i)->raw_key, "key");
    policy(w, i)->raw_key_spki = gh_pubkey_spki(*pub);
    policy(w, !i)->peer_raw_key = *pub;
}

static struct ike_world *world_of_case(size_t i, enum ike2_auth method)
{
    struct ike_world *w = pair(100 + i);

    know(w, 0, "ppk", ppk);
    know(w, 1, "ppk", ppk);
    know(w, 1, "other", "another one");
    know(w, 0, "differs", "this is one value");
    know(w, 1, "differs", "this is another value");
    use(w, 0, cases[i].initiator, cases[i].initiator_requires);
    use(w, 1, cases[i].responder, cases[i].responder_requires);
    for (size_t side = 0; side < 2; side++) {
        policy(w, side)->local_auth = method;
        policy(w, side)->remote_auths = GH_BIT(method);
    }
    return w;
}

static void assert_outcome(struct ike_world *w, enum outcome outcome)
{
    if (outcome == REFUSED) {
        ike_world_run(w, 200 * 1000);
        assert_int_equal(w->hosts[0].installed + w->hosts[1].installed, 0);
        assert_nothing(w);
        return;
    }
    assert_up(w);
    assert_int_equal(w->carried, 4);
    for (size_t i = 0; i < 2; i++) {
        bool told = strstr(w->hosts[i].last[IKE2_EVENT_SA_UP], "without the PPK") != NULL;

        assert_int_equal(w->hosts[i].core->sas->ppk_used, outcome == MIXED);
        assert_int_equal(told, outcome == PLAIN && policy(w, i)->ppk[0] != '\0');
    }
}

/* Who proves itself by nothing else cannot do without a PPK (RFC 8784 5.2.3). */
static enum outcome outcome_of(size_t i, enum ike2_auth method)
{
    bool alone = method == IKE2_AUTH_NULL && cases[i].initiator[0] != '\0';

    return alone && cases[i].outcome == PLAIN ? REFUSED : cases[i].outcome;
}

static void every_configuration_of_both_ends(void **state)
{
    static const enum ike2_auth methods[] = {IKE2_AUTH_PSK, IKE2_AUTH_NULL, IKE2_AUTH_RAW_KEY};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t m = 0; m < sizeof(methods) / sizeof(methods[0]); m++) {
            struct ike_world *w = world_of_case(i, methods[m]);
            struct gh_pubkey *pub[2] = {NULL, NULL};

            for (size_t side = 0; side < 2 && methods[m] == IKE2_AUTH_RAW_KEY; side++)
                give_key(w, side, &pub[side]);

            begin(w);
            ike_world_run(w, 500);
            assert_outcome(w, outcome_of(i, methods[m]));
            ike_world_free(w);
            gh_pubkey_free(pub[0]);
            gh_pubkey_free(pub[1]);
        }
}

static void run_until_keys(struct ike_world *w)
{
    for (unsigned i = 0; i < 1000; i++) {
        const struct ike2_sa *sa = w->hosts[0].core->sas;

        if (sa != NULL && sa->state == IKE2_STATE_AUTH)
            return;
        ike_world_run(w, 1);
    }
    fail_msg("IKE_SA_INIT does not end");
}

/* prf(PPK, key | 1), by RFC 8784 3. */
static void assert_mixed(struct gh_view before, struct gh_view after)
{
    static const uint8_t one = 1;
    const struct gh_view parts[] = {before, gh_view_of(&one, 1)};
    uint8_t expected[GH_PRF_MAX];

    assert_true(gh_prf(GH_PRF_HMAC_SHA2_256, gh_view_of(ppk, strlen(ppk)), parts, 2, expected));
    assert_int_equal(before.len, 32);
    assert_int_equal(after.len, 32);
    assert_memory_equal(after.p, expected, 32);
}

static void three_keys_take_it(void **state)
{
    struct ike_world *w = pair(1);
    struct gh_secret before = {.data = NULL};
    struct ike2_sa plain, *sa;

    for (size_t i = 0; i < 2; i++) {
        know(w, i, "ppk", ppk);
        use(w, i, "ppk", true);
    }
    begin(w);
    run_until_keys(w);
    sa = w->hosts[0].core->sas;
    assert_true(gh_secret_set(&before, sa->sk.data, sa->sk.len));
    plain = *sa;
    plain.sk = before;
    ike_world_run(w, 1000);
    assert_up(w);
    assert_mixed(ike2_sk_d(&plain), ike2_sk_d(sa));
    assert_mixed(ike2_sk_p(&plain, true), ike2_sk_p(sa, true));
    assert_mixed(ike2_sk_p(&plain, false), ike2_sk_p(sa, false));
    /* And no other. */
    assert_memory_equal(before.data + 32, sa->sk.data + 32, sa->sk.len - 3 * 32);
    gh_secret_clear(&before);
    ike_world_free(w);
}

static void rekeying_does_not_apply_it_again(void **state)
{
    struct ike_world *w = pair(2);

    for (size_t i = 0; i < 2; i++) {
        know(w, i, "ppk", ppk);
        use(w, i, "ppk", i == 0);
    }
    begin(w);
    ike_world_run(w, 1000);
    assert_up(w);
    for (unsigned round = 0; round < 4; round++) {
        struct ike_host *h = &w->hosts[round % 2];

        assert_true(ike2_rekey_child(h->core, w->now, child_of(h)));
        ike_world_run(w, 1000);
        assert_true(ike2_rekey_ike(h->core, w->now, sa_of(h)));
        ike_world_run(w, 1000);
        assert_up(w);
        for (size_t i = 0; i < 2; i++) { /* it is still in the keys, and that is shown */
            struct ike2_sa_view v = {.id = 0};

            assert_int_equal(ike_world_sas(&w->hosts[i], &v), 1);
            assert_true(v.ppk && v.rekeys == round + 1);
        }
    }
    assert_int_equal(w->hosts[0].asked[GH_KEEPER_PPK], 3);
    assert_int_equal(w->hosts[1].asked[GH_KEEPER_PPK], 3);
    ike_world_free(w);
}

/* A peer that says it has PPKs, believes us without and uses none, although we gave it no
 * NO_PPK_AUTH: it is refused, and told. */
static void a_peer_that_leaves_it_out_is_told(void **state)
{
    struct ike_world *w = pair(3);
    struct ike2_sa *sa;

    know(w, 0, "ppk", ppk);
    use(w, 0, "ppk", false);
    know(w, 1, "other", "another one");
    use(w, 1, "other", false);
    begin(w);
    run_until_keys(w);
    sa = w->hosts[0].core->sas;
    while (sa->task->request == NULL)
        ike_world_run(w, 1);
    gh_secret_clear(&sa->setup->ppk.own_auth); /* as if it had not been sent */
    ike_world_run(w, 1000);
    assert_nothing(w);
    assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_SA_FAILED], "does not use the PPK"));
    assert_int_equal(w->hosts[0].installed, 0);
    assert_int_equal(w->hosts[1].installed, w->hosts[1].removed);
    ike_world_free(w);
}

/* USE_PPK was said by both, but IKE_AUTH names none. */
static void who_said_so_has_to_name_one(void **state)
{
    struct ike_world *w = pair(4);

    for (size_t i = 0; i < 2; i++) {
        know(w, i, "ppk", ppk);
        use(w, i, "ppk", false);
    }
    begin(w);
    run_until_keys(w);
    w->hosts[0].core->sas->setup->ppk.agreed = false;
    ike_world_run(w, 60 * 1000);
    assert_nothing(w);
    assert_non_null(strstr(w->hosts[1].last[IKE2_EVENT_SA_FAILED], "PPK"));
    assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_SA_FAILED], "AUTHENTICATION_FAILED"));
    ike_world_free(w);
}

static void ppks_through_a_bad_network(void **state)
{
    for (uint64_t seed = 300; seed < 330; seed++) {
        struct ike_world *w = pair(seed);

        for (size_t i = 0; i < 2; i++) {
            know(w, i, "ppk", ppk);
            use(w, i, "ppk", seed % 2);
            policy(w, i)->children[0].start = i == 0;
        }
        w->loss = 300;
        w->duplicated = 100;
        w->delay_most = 300;
        begin(w);
        ike_world_run(w, 300 * 1000);
        w->loss = w->duplicated = 0;
        ike_world_run(w, 300 * 1000);
        assert_up(w);
        assert_true(w->hosts[0].core->sas->ppk_used && w->hosts[1].core->sas->ppk_used);
        ike_world_free(w);
    }
}

/* ---- IKE_INTERMEDIATE ------------------------------------------------------------------------ */

static void add_ke(struct ike_world *w, size_t i, uint8_t type, uint16_t group)
{
    policy(w, i)->intermediate = true;
    ike_world_add_transform(&policy(w, i)->proposals, type, group);
}

/* Both ends have X25519, then two more, which may not be left out. */
static struct ike_world *hybrid(uint64_t seed)
{
    struct ike_world *w = pair(seed);

    for (size_t i = 0; i < 2; i++) {
        add_ke(w, i, IKE_T_ADDKE1, GH_KE_ECP_384);
        add_ke(w, i, IKE_T_ADDKE1 + 2, GH_KE_MODP_3072);
    }
    return w;
}

static void three_key_exchanges(void **state)
{
    struct ike_world *w = hybrid(10);
    const struct ike2_suite *s;

    begin(w);
    ike_world_run(w, 3000);
    assert_up(w);
    assert_int_equal(w->carried, 8);
    s = &w->hosts[1].core->sas->suite;
    assert_int_equal(s->ke, GH_KE_X25519);
    assert_int_equal(s->addke[0], GH_KE_ECP_384);
    assert_int_equal(s->addke[1], GH_KE_NONE);
    assert_int_equal(s->addke[2], GH_KE_MODP_3072);
    assert_int_equal(w->hosts[0].core->sas->send_id, 4);
    ike_world_free(w);
}

/* Each exchange makes all keys anew; both ends have the same ones. */
static void keys_change_with_each(void **state)
{
    struct ike_world *w = hybrid(11);
    uint8_t seen[8][32];
    size_t count = 0;

    begin(w);
    for (unsigned i = 0; i < 1000 && ike_world_children(&w->hosts[0]) == 0; i++) {
        const struct ike2_sa *sa = w->hosts[0].core->sas;
        bool fresh = sa->sk.data != NULL;

        for (size_t k = 0; k < count && fresh; k++)
            fresh = memcmp(seen[k], sa->sk.data, 32) != 0;
        if (fresh) {
            assert_true(count < 8);
            memcpy(seen[count++], sa->sk.data, 32);
        }
        ike_world_run(w, 1);
    }
    ike_world_run(w, 1000);
    assert_up(w);
    assert_int_equal(count, 3);
    assert_true(gh_secret_equal(&w->hosts[0].core->sas->sk, &w->hosts[1].core->sas->sk));
    ike_world_free(w);
}

/* RFC 9242 3.3.2 by hand: a request in one piece, a response that came in fragments. */
static void int_auth_is_as_in_the_rfc(void **state)
{
    struct ike_world *w = hybrid(12);
    struct ike_header h = {.spi_i = {1, 2, 3, 4, 5, 6, 7, 8},
                           .spi_r = {9, 10, 11, 12, 13, 14, 15, 16},
                           .next = IKE_P_SKF,
                           .version = IKE_VERSION_2,
                           .exchange = IKE_X_INTERMEDIATE,
                           .flags = IKE_FLAG_INITIATOR,
                           .id = 1,
                           .length = 999};
    static const uint8_t a[] = {1,  2,  3,  4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,   15, 16,
                                46, 32, 43, 8, 0, 0, 0, 1, 0, 0,  0,  35, 34, 0x2a, 0,  7};
    static const uint8_t p[] = {0xaa, 0xbb, 0xcc};
    const struct gh_view inner = gh_view_of(p, sizeof(p));
    uint8_t first[GH_PRF_MAX], second[GH_PRF_MAX], octets[IKE2_INT_AUTH_MAX];
    struct gh_view parts[] = {gh_view_of(NULL, 0), gh_view_of(a, sizeof(a)), inner};
    struct ike2_sa *sa;

    begin(w);
    run_until_keys(w);
    sa = w->hosts[0].core->sas;
    memset(&sa->setup->intermediate, 0, sizeof(sa->setup->intermediate));
    assert_int_equal(ike2_int_auth_put(sa, octets), 0);
    assert_true(ike2_int_auth(sa, true, &h, gh_view_of(NULL, 0), 0x2a, 34, inner));
    assert_true(gh_prf(GH_PRF_HMAC_SHA2_256, ike2_sk_p(sa, true), parts, 3, first));
    sa->setup->intermediate.done = 1;
    assert_int_equal(ike2_int_auth_put(sa, octets), 68);
    assert_memory_equal(octets, first, 32);
    assert_memory_equal(octets + 64, ((uint8_t[]){0, 0, 0, 2}), 4);
    parts[0] = gh_view_of(first, 32);
    assert_true(ike2_int_auth(sa, true, &h, gh_view_of(NULL, 0), 0x2a, 34, inner));
    assert_true(gh_prf(GH_PRF_HMAC_SHA2_256, ike2_sk_p(sa, true), parts, 3, second));
    ike2_int_auth_put(sa, octets);
    assert_memory_equal(octets, second, 32);
    ike_world_free(w);
}

static void what_was_said_there_is_authenticated(void **state)
{
    for (size_t which = 0; which < 2; which++) {
        struct ike_world *w = hybrid(13);
        const struct ike2_sa *sa;

        begin(w);
        run_until_keys(w);
        sa = w->hosts[0].core->sas;
        while (sa->setup->intermediate.done == 0)
            ike_world_run(w, 1);
        w->hosts[1].core->sas->setup->intermediate.auth[which][0] ^= 1;
        ike_world_run(w, 200 * 1000);
        assert_nothing(w);
        assert_int_equal(w->hosts[0].installed + w->hosts[1].installed, 0);
        assert_int_equal(ike2_counters(w->hosts[1].core)[IKE2_COUNT_AUTH_FAILED], 1);
        ike_world_free(w);
    }
}

/* The path takes 576 octets; MODP-8192 has public values of 1024. */
static void fragments_are_authenticated_whole(void **state)
{
    struct ike_world *w = pair(14);

    for (size_t i = 0; i < 2; i++) {
        add_ke(w, i, IKE_T_ADDKE1, GH_KE_MODP_8192);
        policy(w, i)->mtu = 576;
    }
    w->datagram_max = 576;
    begin(w);
    ike_world_run(w, 3000);
    assert_up(w);
    assert_int_equal(w->too_long, 0);
    assert_true(w->carried >= 4 + 6);
    ike_world_free(w);
}

/* Port 4500 from the first exchange after IKE_SA_INIT on. */
static void through_a_nat(void **state)
{
    static const uint8_t outside[4] = {203, 0, 113, 7};
    struct ike_world *w = hybrid(18);
    struct ike2_sa_view v;

    w->hosts[0].behind_nat = true;
    w->hosts[0].nat_addr = gh_addr_from(outside, 4);
    w->hosts[0].nat_port = 40000;
    policy(w, 1)->remote = (struct gh_prefix){.addr = {.len = 4}};
    begin(w);
    run_until_keys(w);
    while (w->hosts[1].core->sas->setup->intermediate.done == 0)
        ike_world_run(w, 1);
    assert_int_equal(w->hosts[1].core->sas->remote.port, 40001);
    ike_world_run(w, 1000);
    assert_up(w);
    ike_world_sas(&w->hosts[1], &v);
    assert_true(v.nat_remote);
    ike_world_free(w);
}

/* Who has it how: ADDKE1 in the only proposal, in the first of two, with NONE, or not at all. */
enum have { HAVE_NOT, HAVE_ONLY, HAVE_FIRST, HAVE_OR_NONE, HAVE_BUT_MAY_NOT };

static void give(struct ike_world *w, size_t i, enum have have)
{
    struct ike_proposals *proposals = &policy(w, i)->proposals;
    struct ike_sa sa;

    ike_proposals_get(proposals, &sa);
    if (have == HAVE_FIRST) {
        sa.proposal[sa.count] = sa.proposal[0];
        sa.proposal[sa.count++].number = 2;
        assert_true(ike_proposals_set(proposals, &sa));
    }
    if (have != HAVE_NOT)
        add_ke(w, i, IKE_T_ADDKE1, GH_KE_ECP_384);
    if (have == HAVE_OR_NONE)
        add_ke(w, i, IKE_T_ADDKE1, GH_KE_NONE);
    policy(w, i)->intermediate = have != HAVE_NOT && have != HAVE_BUT_MAY_NOT;
}

static void who_has_it_and_who_does_not(void **state)
{
    /* The additional key exchange is done, left out, or there is no IKE SA. */
    static const char expected[5][6] = {
        /* the responder, in the order of the enum */
        [HAVE_NOT] = "-x--x",         [HAVE_ONLY] = "x+++x",
        [HAVE_FIRST] = "-+++x",       [HAVE_OR_NONE] = "x+++x", /* a type that it does not know */
        [HAVE_BUT_MAY_NOT] = "xxxxx",
    };

    for (enum have i = HAVE_NOT; i <= HAVE_BUT_MAY_NOT; i++)
        for (enum have r = HAVE_NOT; r <= HAVE_BUT_MAY_NOT; r++) {
            struct ike_world *w = pair(400 + 10 * i + r);

            give(w, 0, i);
            give(w, 1, r);
            begin(w);
            ike_world_run(w, 2000);
            if (expected[i][r] == 'x') {
                ike_world_run(w, 200 * 1000);
                assert_nothing(w);
                assert_int_equal(w->carried > 0, i != HAVE_BUT_MAY_NOT);
            } else {
                assert_up(w);
                assert_int_equal(w->carried, expected[i][r] == '+' ? 6 : 4);
            }
            ike_world_free(w);
        }
}

static void what_openssl_lacks_is_not_offered(void **state)
{
    struct ike_world *w = pair(15);
    bool ml_kem = gh_ke_available(GH_KE_ML_KEM_768);

    for (size_t i = 0; i < 2; i++) {
        add_ke(w, i, IKE_T_ADDKE1, GH_KE_ML_KEM_768);
        add_ke(w, i, IKE_T_ADDKE1, GH_KE_ECP_521);
    }
    begin(w);
    ike_world_run(w, 2000);
    assert_up(w);
    assert_int_equal(w->hosts[0].core->sas->suite.addke[0],
                     ml_kem ? GH_KE_ML_KEM_768 : GH_KE_ECP_521);
    ike_world_free(w);
}

static void ppk_and_key_exchanges_together(void **state)
{
    struct ike_world *w = hybrid(16);

    for (size_t i = 0; i < 2; i++) {
        know(w, i, "ppk", ppk);
        use(w, i, "ppk", false);
    }
    begin(w);
    ike_world_run(w, 3000);
    assert_up(w);
    assert_true(w->hosts[1].core->sas->ppk_used);
    ike_world_free(w);
}

/* The first IKE_AUTH with nothing in between: the responder takes nothing for granted. */
static void no_exchange_is_left_out(void **state)
{
    struct ike_world *w = hybrid(17);
    struct ike2_sa *sa;

    begin(w);
    run_until_keys(w);
    sa = w->hosts[0].core->sas;
    memset(sa->suite.addke, 0, sizeof(sa->suite.addke)); /* it forgets them after the first */
    ike_world_run(w, 200 * 1000);
    assert_nothing(w);
    assert_non_null(strstr(w->hosts[1].last[IKE2_EVENT_SA_FAILED], "left out"));
    ike_world_free(w);
}

static void another_method_is_refused(void **state)
{
    struct ike_world *w = hybrid(18);

    begin(w);
    run_until_keys(w);
    w->hosts[0].core->sas->suite.addke[2] = GH_KE_MODP_2048; /* agreed on: the 3072 */
    ike_world_run(w, 200 * 1000);
    assert_nothing(w);
    assert_non_null(
        strstr(w->hosts[1].last[IKE2_EVENT_SA_FAILED], "not the one that was agreed on"));
    assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_SA_FAILED], "malformed"));
    ike_world_free(w);
}

/* RFC 9242 3.1: what else the notification may say one day changes nothing. */
static void data_beside_the_notification_is_ignored(void **state)
{
    const struct ike_header h = {
        .version = IKE_VERSION_2, .exchange = IKE_X_SA_INIT, .flags = IKE_FLAG_INITIATOR};

    for (size_t len = 0; len < 3; len++) {
        struct ike_message m;
        struct gh_view octets;
        uint8_t buf[200];
        struct ike_out o = ike_out_message(buf, sizeof(buf), &h);

        ike_notify_emit_data(&o, IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED,
                             gh_view_of((const uint8_t *)"later", len));
        assert_true(ike_out_done(&o, &octets));
        assert_int_equal(ike_message_parse(octets, &m), IKE_OK);
        assert_true(ike2_intermediate_heard(&m));
    }
}

static void key_exchanges_through_a_bad_network(void **state)
{
    for (uint64_t seed = 500; seed < 520; seed++) {
        struct ike_world *w = hybrid(seed);

        for (size_t i = 0; i < 2; i++) {
            policy(w, i)->mtu = 576;
            policy(w, i)->children[0].start = i == 0;
        }
        w->loss = 300;
        w->duplicated = 100;
        w->delay_most = 300;
        begin(w);
        ike_world_run(w, 300 * 1000);
        w->loss = w->duplicated = 0;
        ike_world_run(w, 300 * 1000);
        assert_up(w);
        ike_world_free(w);
    }
}

/* ---- IKE_FOLLOWUP_KE ------------------------------------------------------------------------- */

static void add_child_ke(struct ike_world *w, size_t i, uint8_t type, uint16_t group)
{
    ike_world_add_transform(&policy(w, i)->children[0].proposals, type, group);
}

/* Two more key exchanges for a Child SA, one more for the IKE SA. */
static struct ike_world *hybrid_children(uint64_t seed)
{
    struct ike_world *w = pair(seed);

    for (size_t i = 0; i < 2; i++) {
        add_ke(w, i, IKE_T_ADDKE1, GH_KE_ECP_384);
        add_child_ke(w, i, IKE_T_ADDKE1, GH_KE_ECP_521);
        add_child_ke(w, i, IKE_T_ADDKE1 + 6, GH_KE_ECP_384);
    }
    return w;
}

static struct ike_world *hybrid_up(uint64_t seed)
{
    struct ike_world *w = hybrid_children(seed);

    begin(w);
    ike_world_run(w, 1000);
    assert_up(w);
    return w;
}

static void rekeying_with_more_key_exchanges(void **state)
{
    struct ike_world *w = hybrid_up(20);

    for (unsigned round = 0; round < 6; round++) {
        struct ike_host *h = &w->hosts[round % 2];
        uint64_t carried = w->carried;
        uint32_t before = child_of(h);

        assert_true(ike2_rekey_child(h->core, w->now, before));
        ike_world_run(w, 1000);
        assert_up(w);
        assert_int_not_equal(child_of(h), before);
        assert_int_equal(w->carried - carried, 2 + 2 * 2 + 2); /* and the deletion */
        carried = w->carried;
        assert_true(ike2_rekey_ike(h->core, w->now, sa_of(h)));
        ike_world_run(w, 1000);
        assert_up(w);
        assert_int_equal(w->carried - carried, 2 + 2 + 2 + 2); /* and window sizes */
        assert_int_equal(w->hosts[0].core->sas->suite.addke[0], GH_KE_ECP_384);
        assert_null(w->hosts[0].core->sas->pending);
        assert_null(w->hosts[1].core->sas->pending);
    }
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_CHILD_DOWN], 0);
    assert_int_equal(w->hosts[0].events[IKE2_EVENT_SA_DOWN], 0);
    ike_world_free(w);
}

static void a_new_child_with_more_key_exchanges(void **state)
{
    struct ike_world *w = hybrid_up(21);

    assert_true(ike2_terminate_child(w->hosts[0].core, w->now, child_of(&w->hosts[0])));
    ike_world_run(w, 1000);
    assert_true(ike2_initiate(w->hosts[1].core, w->now, "to-0", "net"));
    ike_world_run(w, 1000);
    assert_up(w);
    assert_int_equal(w->hosts[0].core->sas->children->suite.addke[6], GH_KE_ECP_384);
    ike_world_free(w);
}

/* SKEYSEED = prf(SK_d, SK(0) | Ni | Nr | SK(1) | …), and KEYMAT by prf+ of the same. */
static void keys_are_as_in_the_rfc(void **state)
{
    struct ike_world *w = hybrid_up(22);
    struct ike2_sa *sa = w->hosts[0].core->sas, fresh = {.suite = sa->suite};
    static const uint8_t together[] = "SK0NiNrSK1SK2";
    const struct gh_view all = gh_view_of(together, 13), ni = gh_view_of(together + 3, 2),
                         nr = gh_view_of(together + 5, 2), more = gh_view_of(together + 7, 6);
    struct gh_secret shared = {.data = NULL}, out = {.data = NULL}, in = {.data = NULL};
    const struct ike2_suite *child = &sa->children->suite;
    uint8_t seed[GH_PRF_MAX], expected[32], keymat[2 * WORLD_KEY];
    struct gh_view parts[4] = {ni, nr, gh_view_of(fresh.spi_i, 8), gh_view_of(fresh.spi_r, 8)};

    assert_true(gh_secret_set(&shared, together, 3));
    assert_true(ike2_derive_rekeyed(&fresh, sa, &shared, ni, nr, more));
    assert_true(gh_prf(GH_PRF_HMAC_SHA2_256, ike2_sk_d(sa), &all, 1, seed));
    assert_true(gh_prf_plus(GH_PRF_HMAC_SHA2_256, gh_view_of(seed, 32), parts, 4, expected, 32));
    assert_memory_equal(ike2_sk_d(&fresh).p, expected, 32);

    assert_true(ike2_keymat(sa, child, &shared, ni, nr, more, &out, &in));
    assert_true(gh_prf_plus(GH_PRF_HMAC_SHA2_256, ike2_sk_d(sa), &all, 1, keymat, 2 * out.len));
    assert_memory_equal(keymat, out.data, out.len);
    assert_memory_equal(keymat + out.len, in.data, in.len);
    gh_secret_clear(&shared);
    gh_secret_clear(&out);
    gh_secret_clear(&in);
    gh_secret_clear(&fresh.sk);
    ike_world_free(w);
}

static void one_end_has_no_more_key_exchanges(void **state)
{
    struct ike_world *w = pair(23);
    uint32_t before;

    add_child_ke(w, 0, IKE_T_ADDKE1, GH_KE_ECP_521);
    begin(w);
    ike_world_run(w, 1000);
    assert_up(w); /* key exchanges count for nothing in IKE_AUTH */
    before = child_of(&w->hosts[0]);
    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, before));
    ike_world_run(w, 1000);
    assert_up(w);
    assert_int_equal(child_of(&w->hosts[0]), before);
    assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_CHILD_FAILED], "NO_PROPOSAL_CHOSEN"));
    before = child_of(&w->hosts[1]);
    assert_true(ike2_rekey_child(w->hosts[1].core, w->now, before));
    ike_world_run(w, 1000);
    assert_int_equal(child_of(&w->hosts[1]), before);
    ike_world_free(w);
}

static void one_end_may_do_without(void **state)
{
    struct ike_world *w = pair(24);
    uint32_t before;

    add_child_ke(w, 0, IKE_T_ADDKE1, GH_KE_ECP_521);
    add_child_ke(w, 0, IKE_T_ADDKE1, GH_KE_NONE);
    begin(w);
    ike_world_run(w, 1000);
    for (size_t i = 0; i < 2; i++) { /* offered with NONE; then not offered at all */
        before = child_of(&w->hosts[i]);
        assert_true(ike2_rekey_child(w->hosts[i].core, w->now, before));
        ike_world_run(w, 1000);
        assert_up(w);
        assert_int_not_equal(child_of(&w->hosts[i]), before);
    }
    ike_world_free(w);
}

static bool run_until_followup(struct ike_world *w)
{
    for (unsigned i = 0; i < 100; i++) {
        const struct ike2_sa *sa = w->hosts[0].core->sas;

        if (sa->task != NULL && sa->task->followup != NULL)
            return true;
        ike_world_run(w, 1);
    }
    return false;
}

static void a_forgotten_exchange_begins_again(void **state)
{
    for (size_t what = 0; what < 2; what++) {
        struct ike_world *w = hybrid_up(25 + what);
        struct ike_host *h = &w->hosts[0];
        uint32_t before = child_of(h);
        uint64_t sa = sa_of(h);

        assert_true(what == 0 ? ike2_rekey_child(h->core, w->now, before)
                              : ike2_rekey_ike(h->core, w->now, sa));
        assert_true(run_until_followup(w));
        w->loss = 1000;
        ike_world_run(w, 25 * 1000);
        assert_null(w->hosts[1].core->sas->pending); /* 20 seconds are over */
        w->loss = 0;
        ike_world_run(w, 60 * 1000);
        assert_up(w);
        assert_true(what == 0 ? child_of(h) != before : sa_of(h) != sa);
        assert_int_equal(h->events[IKE2_EVENT_CHILD_DOWN] + h->events[IKE2_EVENT_SA_DOWN], 0);
        ike_world_free(w);
    }
}

static void who_forgets_always_is_left(void **state)
{
    struct ike_world *w = hybrid_up(27);
    struct ike_host *h = &w->hosts[0];
    unsigned began = 0;

    assert_true(ike2_rekey_child(h->core, w->now, child_of(h)));
    for (unsigned i = 0; i < 60 * 1000 && w->hosts[1].core->sas != NULL; i++) {
        if (w->hosts[1].core->sas->pending != NULL) {
            began++;
            ike2_pending_clear(w->hosts[1].core->sas);
        }
        ike_world_run(w, 1);
    }
    assert_int_equal(began, 4);
    ike_world_run(w, 1000);
    assert_nothing(w);
    ike_world_free(w);
}

static void what_is_not_linked_is_not_answered(void **state)
{
    struct ike_world *w = hybrid_up(28);
    struct ike_host *h = &w->hosts[0];
    uint32_t before = child_of(h);

    assert_true(ike2_rekey_child(h->core, w->now, before));
    assert_true(run_until_followup(w));
    w->hosts[1].core->sas->pending->link.data[0] ^= 1;
    ike_world_run(w, 1000);
    assert_int_equal(child_of(h), before);
    assert_int_equal(h->core->sas->followups_lost, 1);
    ike_world_run(w, 10 * 1000);
    assert_up(w);
    assert_int_not_equal(child_of(h), before);
    ike_world_free(w);
}

/* INVALID_SYNTAX ends the IKE SA (RFC 7296 2.21.3). */
static void another_method_is_refused_there_too(void **state)
{
    struct ike_world *w = hybrid_up(30);
    struct ike_host *h = &w->hosts[0];
    struct ike2_followup *f;

    assert_true(ike2_rekey_child(h->core, w->now, child_of(h)));
    assert_true(run_until_followup(w));
    f = h->core->sas->task->followup;
    for (size_t i = 0; i < IKE2_ADDKES; i++)
        if (f->suite.addke[i] != IKE_KE_NONE)
            f->suite.addke[i] = GH_KE_MODP_2048;
    ike_world_run(w, 1000);
    assert_nothing(w);
    assert_int_equal(ike2_counters(w->hosts[1].core)[IKE2_COUNT_INVALID_KE], 1);
    assert_int_equal(w->hosts[0].installed, 1); /* the Child SA of IKE_AUTH alone */
    ike_world_free(w);
}

/* The peer wants to rekey what we are in the middle of: not now. */
static void who_comes_late_is_told_to_wait(void **state)
{
    for (size_t what = 0; what < 2; what++) {
        struct ike_world *w = hybrid_up(40 + what);
        struct ike_host *first = &w->hosts[0], *late = &w->hosts[1];

        assert_true(what == 0 ? ike2_rekey_child(first->core, w->now, child_of(first))
                              : ike2_rekey_ike(first->core, w->now, sa_of(first)));
        assert_true(run_until_followup(w));
        late->dead = true; /* IKE_FOLLOWUP_KE is lost, once */
        ike_world_run(w, 20);
        late->dead = false;
        ike2_pending_clear(late->core->sas); /* it has forgotten all about it */
        assert_true(what == 0 ? ike2_rekey_child(late->core, w->now, child_of(late))
                              : ike2_rekey_ike(late->core, w->now, sa_of(late)));
        ike_world_run(w, 20);
        assert_null(first->core->sas->pending);
        assert_int_not_equal(late->core->sas->task_at, 0); /* TEMPORARY_FAILURE: again later */
        ike_world_run(w, 30 * 1000);
        assert_up(w);
        ike_world_free(w);
    }
}

static void a_new_policy_in_between(void **state)
{
    struct ike_world *w = hybrid_up(29);
    struct ike_host *h = &w->hosts[1];

    assert_true(ike2_rekey_child(w->hosts[0].core, w->now, child_of(&w->hosts[0])));
    assert_true(run_until_followup(w));
    assert_non_null(h->core->sas->pending);
    ike2_policy_free(h->policies[0]);
    h->policy_count = 0;
    ike_world_policy(w, 1, 0);
    add_ke(w, 1, IKE_T_ADDKE1, GH_KE_ECP_384);
    add_child_ke(w, 1, IKE_T_ADDKE1, GH_KE_ECP_521);
    add_child_ke(w, 1, IKE_T_ADDKE1 + 6, GH_KE_ECP_384);
    ike_world_configure(w, 1);
    assert_null(h->core->sas->pending);
    ike_world_run(w, 20 * 1000);
    assert_up(w);
    ike_world_free(w);
}

static uint64_t last_sa_of(const struct ike_host *h)
{
    struct ike2_sa_view v = {.id = 0};

    ike_world_sas(h, &v);
    return v.id;
}

static void collisions_with_more_key_exchanges(void **state)
{
    uint64_t collisions = 0, known = 0;

    for (uint64_t seed = 600; seed < 760; seed++) {
        struct ike_world *w = hybrid_up(seed);
        unsigned installed = w->hosts[0].installed, begun = 0;
        bool ike = seed % 2, collided;

        w->loss = seed % 4 < 2 ? 0 : 200;
        for (unsigned i = 0; i < 2; i++) {
            struct ike_host *h = &w->hosts[i];

            begun += ike ? ike2_rekey_ike(h->core, w->now, last_sa_of(h))
                         : ike2_rekey_child(h->core, w->now, child_of(h));
            ike_world_run(w, ike_world_random(w, 12));
        }
        ike_world_run(w, 25 * 1000); /* before anybody asks whether the other lives */
        w->loss = 0;
        ike_world_run(w, 100 * 1000);
        if (ike_world_agree(&w->hosts[0], &w->hosts[1]) != NULL)
            fail_msg("seed %llu", (unsigned long long)seed);
        if (ike_world_children(&w->hosts[0]) != 1)
            fail_msg("seed %llu: %zu children", (unsigned long long)seed,
                     ike_world_children(&w->hosts[0]));
        assert_up(w);
        assert_true(begun >= 1);
        for (unsigned i = 0; i < 2; i++)
            if (w->hosts[i].events[IKE2_EVENT_CHILD_DOWN] + w->hosts[i].events[IKE2_EVENT_SA_DOWN])
                fail_msg("seed %llu host %u: %s %s", (unsigned long long)seed, i,
                         w->hosts[i].last[IKE2_EVENT_CHILD_DOWN],
                         w->hosts[i].last[IKE2_EVENT_SA_DOWN]);
        collided = ike2_counters(w->hosts[0].core)[IKE2_COUNT_COLLISIONS] > 0;
        collisions += collided;
        /* Both know, nothing is lost: one is made, not two of which one is deleted. */
        if (collided && seed % 4 < 2 &&
            ike2_counters(w->hosts[1].core)[IKE2_COUNT_COLLISIONS] > 0) {
            known++;
            assert_int_equal(w->hosts[0].installed, installed + !ike);
            assert_int_equal(w->hosts[0].core->next_id, 2 + ike);
            assert_int_equal(w->hosts[1].core->next_id, 2 + ike);
        }
        ike_world_free(w);
    }
    assert_true(collisions > 30);
    assert_true(known > 10);
}

/* Everything goes wrong for a while; afterwards both ends agree. */
static void storm(uint64_t seed)
{
    struct ike_world *w = hybrid_children(seed);

    for (unsigned i = 0; i < 2; i++) {
        know(w, i, "ppk", ppk);
        use(w, i, "ppk", true);
        policy(w, i)->children[0].lifetime.seconds = 60;
        policy(w, i)->lifetime.seconds = 200;
        policy(w, i)->children[0].start = i == 0;
    }
    w->loss = 300;
    w->duplicated = 100;
    w->delay_most = 400;
    begin(w);
    for (unsigned i = 0; i < 120; i++) {
        struct ike_host *h = &w->hosts[ike_world_random(w, 2)];

        ike_world_run(w, ike_world_random(w, 8000));
        switch (ike_world_random(w, 8)) {
        case 0:
            ike2_rekey_child(h->core, w->now, child_of(h));
            break;
        case 1:
            if (ike_world_sas(h, NULL) > 0)
                ike2_rekey_ike(h->core, w->now, last_sa_of(h));
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
    ike_world_run(w, 2000);
    if (ike_world_agree(&w->hosts[0], &w->hosts[1]) != NULL)
        fail_msg("seed %llu: %s", (unsigned long long)seed,
                 ike_world_agree(&w->hosts[0], &w->hosts[1]));
    if (ike_world_children(&w->hosts[0]) == 0)
        fail_msg("seed %llu: nothing came up again", (unsigned long long)seed);
    ike_world_free(w);
}

static void storms(void **state)
{
    const char *first = getenv("GATEHOUSE_SIM_SEED"), *count = getenv("GATEHOUSE_SIM_STORMS");
    uint64_t begin_at = first != NULL ? strtoull(first, NULL, 10) : 2000;
    uint64_t seeds = count != NULL ? strtoull(count, NULL, 10) : 30;

    for (uint64_t seed = begin_at; seed < begin_at + seeds; seed++)
        storm(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_configuration_of_both_ends),
        cmocka_unit_test(three_keys_take_it),
        cmocka_unit_test(rekeying_does_not_apply_it_again),
        cmocka_unit_test(a_peer_that_leaves_it_out_is_told),
        cmocka_unit_test(who_said_so_has_to_name_one),
        cmocka_unit_test(ppks_through_a_bad_network),
        cmocka_unit_test(three_key_exchanges),
        cmocka_unit_test(keys_change_with_each),
        cmocka_unit_test(int_auth_is_as_in_the_rfc),
        cmocka_unit_test(what_was_said_there_is_authenticated),
        cmocka_unit_test(fragments_are_authenticated_whole),
        cmocka_unit_test(through_a_nat),
        cmocka_unit_test(who_has_it_and_who_does_not),
        cmocka_unit_test(what_openssl_lacks_is_not_offered),
        cmocka_unit_test(ppk_and_key_exchanges_together),
        cmocka_unit_test(no_exchange_is_left_out),
        cmocka_unit_test(another_method_is_refused),
        cmocka_unit_test(data_beside_the_notification_is_ignored),
        cmocka_unit_test(key_exchanges_through_a_bad_network),
        cmocka_unit_test(rekeying_with_more_key_exchanges),
        cmocka_unit_test(a_new_child_with_more_key_exchanges),
        cmocka_unit_test(keys_are_as_in_the_rfc),
        cmocka_unit_test(one_end_has_no_more_key_exchanges),
        cmocka_unit_test(one_end_may_do_without),
        cmocka_unit_test(a_forgotten_exchange_begins_again),
        cmocka_unit_test(who_forgets_always_is_left),
        cmocka_unit_test(what_is_not_linked_is_not_answered),
        cmocka_unit_test(another_method_is_refused_there_too),
        cmocka_unit_test(who_comes_late_is_told_to_wait),
        cmocka_unit_test(a_new_policy_in_between),
        cmocka_unit_test(collisions_with_more_key_exchanges),
        cmocka_unit_test(storms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
