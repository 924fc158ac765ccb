/*
 * The IKEv2 core between two hosts that do not agree: each reason for a refusal is said at both
 * ends, leaves nothing behind, and what differs without harm comes to agree. Also every way to
 * authenticate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike_check.h"
#include "ike_creds.h"

/* ---- Pairs ----------------------------------------------------------------------------------- */

struct pair {
    struct ike_world *w;
    struct ike_host *a, *b; /* a begins */
    struct ike2_policy *pa, *pb;
    struct ike2_child_policy *ca, *cb;
};

static struct pair pair_new(void)
{
    struct pair p = {.w = ike_world_new(1, 2)};

    p.w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    p.w->after = ike_check_step;
    p.a = &p.w->hosts[0];
    p.b = &p.w->hosts[1];
    p.pa = ike_world_policy(p.w, 0, 1);
    p.pb = ike_world_policy(p.w, 1, 0);
    p.ca = p.pa->children;
    p.cb = p.pb->children;
    creds_give(p.a);
    creds_give(p.b);
    return p;
}

static void run(struct pair *p, uint64_t ms)
{
    ike_world_run(p->w, ms);
    if (p->w->wrong[0] != '\0')
        fail_msg("%s", p->w->wrong);
}

static void begin(struct pair *p)
{
    ike_world_configure(p->w, 0);
    ike_world_configure(p->w, 1);
    assert_true(ike2_initiate(p->a->core, p->w->now, "to-1", "net"));
    run(p, 2000);
}

static void end(struct pair *p)
{
    ike_world_free(p->w);
}

static uint64_t count(const struct ike_host *h, enum ike2_count what)
{
    return ike2_counters(h->core)[what];
}

static void assert_up(struct pair *p, size_t children)
{
    const char *wrong = ike_check_agreement(p->w);

    assert_int_equal(ike_world_sas(p->a, NULL), 1);
    assert_int_equal(ike_world_sas(p->b, NULL), 1);
    assert_int_equal(ike_world_children(p->a), children);
    assert_int_equal(ike_world_children(p->b), children);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

/* Neither has anything, and later nothing is kept of it. */
static void assert_nothing(struct pair *p)
{
    assert_int_equal(ike_world_sas(p->a, NULL) + ike_world_sas(p->b, NULL), 0);
    assert_int_equal(p->a->installed + p->b->installed, 0);
    run(p, 300 * 1000);
    assert_int_equal(ike2_memory(p->a->core), 0);
    assert_int_equal(ike2_memory(p->b->core), 0);
}

/* Both ends say why. */
static void assert_words(const struct ike_host *h, enum ike2_count reason, const char *words)
{
    int64_t when;
    const char *text = ike2_last_failure(h->core, reason, &when);

    if (text == NULL || strstr(text, words) == NULL)
        fail_msg("%s: \"%s\" is not in \"%s\"", ike2_count_name(reason), words,
                 text != NULL ? text : "");
}

static void prefer(struct ike_proposals *proposals, uint16_t first, uint16_t second)
{
    struct ike_sa sa;
    struct ike_proposal *p = &sa.proposal[0];
    size_t kept = 0;

    ike_proposals_get(proposals, &sa);
    for (size_t i = 0; i < p->count; i++)
        if (p->transform[i].type != IKE_T_KE)
            p->transform[kept++] = p->transform[i];
    p->count = kept;
    ike_proposal_add(p, IKE_T_KE, first, 0);
    if (second != 0)
        ike_proposal_add(p, IKE_T_KE, second, 0);
    assert_true(ike_proposals_set(proposals, &sa));
}

static void weaken(struct ike_proposals *proposals)
{
    struct ike_sa sa;
    struct ike_proposal *p = &sa.proposal[0];

    ike_proposals_get(proposals, &sa);
    for (size_t i = 0; i < p->count; i++)
        if (p->transform[i].type == IKE_T_ENCR)
            p->transform[i].key_bits = 128;
    assert_true(ike_proposals_set(proposals, &sa));
}

/* ---- IKE_SA_INIT ----------------------------------------------------------------------------- */

static void no_proposal_in_common(void **state)
{
    struct pair p = pair_new();

    prefer(&p.pa->proposals, IKE_KE_CURVE25519, 0);
    prefer(&p.pb->proposals, IKE_KE_ECP_384, 0);
    begin(&p);
    assert_words(p.b, IKE2_COUNT_NO_PROPOSAL,
                 "no proposal chosen: no transform in common: KE: ours ECP384, offered CURVE25519");
    assert_words(p.a, IKE2_COUNT_NO_PROPOSAL, "NO_PROPOSAL_CHOSEN");
    assert_nothing(&p);
    end(&p);
}

static void another_group_is_asked_for(void **state)
{
    struct pair p = pair_new();

    prefer(&p.pa->proposals, IKE_KE_CURVE25519, IKE_KE_ECP_384);
    prefer(&p.pb->proposals, IKE_KE_ECP_384, 0);
    begin(&p);
    assert_int_equal(count(p.b, IKE2_COUNT_INVALID_KE), 1);
    assert_up(&p, 1);
    end(&p);
}

static void a_stranger_is_not_answered(void **state)
{
    struct pair p = pair_new();

    p.pb->remote.addr.octets[0] = 198;
    begin(&p);
    assert_true(count(p.b, IKE2_COUNT_NO_POLICY) >= 1);
    assert_int_equal(count(p.b, IKE2_COUNT_OUT), 0);
    assert_nothing(&p);
    assert_words(p.a, IKE2_COUNT_TIMED_OUT, "no answer");
    end(&p);
}

static void a_cookie_is_asked_for_and_shown(void **state)
{
    struct pair p = pair_new();

    p.b->settings.half_open_cookie = 0;
    ike_world_restart(p.w, 1);
    begin(&p);
    assert_int_equal(count(p.b, IKE2_COUNT_COOKIES_SENT), 1);
    assert_int_equal(count(p.b, IKE2_COUNT_BAD_COOKIE), 0);
    assert_up(&p, 1);
    end(&p);
}

/* ---- IKE_AUTH -------------------------------------------------------------------------------- */

static void every_method_with_every_other(void **state)
{
    for (unsigned n = 0; n < 36; n++) {
        static const enum ike2_auth methods[6] = {IKE2_AUTH_PSK,  IKE2_AUTH_CERT,
                                                  IKE2_AUTH_CERT, IKE2_AUTH_RAW_KEY,
                                                  IKE2_AUTH_NULL, IKE2_AUTH_CERT};
        static const enum creds_kind kinds[6] = {
            [1] = CREDS_ECDSA, [2] = CREDS_RSA, [5] = CREDS_ED25519};
        struct pair p = pair_new();

        creds_use(p.pa, methods[n / 6], kinds[n / 6]);
        creds_use(p.pb, methods[n % 6], kinds[n % 6]);
        p.pa->remote_auths = 1u << methods[n % 6];
        p.pb->remote_auths = 1u << methods[n / 6];
        p.pa->mtu = p.pb->mtu = n / 6 == 5 ? 576 : 1500;
        begin(&p);
        assert_up(&p, 1);
        end(&p);
    }
}

static void refused_by_responder(struct pair *p, const char *words)
{
    begin(p);
    assert_words(p->b, IKE2_COUNT_AUTH_FAILED, words);
    assert_words(p->a, IKE2_COUNT_AUTH_FAILED, "AUTHENTICATION_FAILED");
    assert_nothing(p);
    end(p);
}

static void names_that_are_not_expected(void **state)
{
    struct pair p = pair_new();

    p.pb->remote_id = gh_pattern_new("somebody.example.net", NULL);
    refused_by_responder(&p, "no peer is called 192.0.2.1");
    p = pair_new();
    p.pa->remote_id = gh_pattern_new("somebody.example.net", NULL);
    begin(&p);
    assert_words(p.a, IKE2_COUNT_AUTH_FAILED, "it calls itself 192.0.2.2");
    assert_int_equal(ike_world_children(p.a), 0);
    run(&p, 300 * 1000); /* the responder finds that nobody is there */
    assert_int_equal(ike2_memory(p.b->core), 0);
    end(&p);
}

static struct pair with_certs(void)
{
    struct pair p = pair_new();

    creds_use(p.pa, IKE2_AUTH_CERT, CREDS_RSA);
    creds_use(p.pb, IKE2_AUTH_CERT, CREDS_ED25519);
    p.pa->remote_auths = p.pb->remote_auths = 1u << IKE2_AUTH_CERT;
    return p;
}

static void certificates_that_are_not_believed(void **state)
{
    struct pair p = with_certs();

    p.pa->cert_profile = creds()->by_expired;
    refused_by_responder(&p, "CN=expired expired at");
    p = with_certs();
    p.pb->trust = creds()->other_trust;
    refused_by_responder(&p, "CN=rsa was issued by");
    p = with_certs();
    p.w->now.wall = CREDS_UNTIL + 1;
    refused_by_responder(&p, "CN=rsa expired at");
    p = with_certs();
    assert_true(gh_identity_from_text("other.example.net", &p.pa->local_id, NULL));
    refused_by_responder(&p, "other.example.net");
}

static void methods_that_are_not_allowed(void **state)
{
    struct pair p = pair_new();

    p.pb->remote_auths = 1u << IKE2_AUTH_CERT;
    refused_by_responder(&p, "by pre-shared key, which is not allowed");
    p = pair_new();
    creds_use(p.pa, IKE2_AUTH_NULL, CREDS_ED25519);
    p.pa->remote_auths = 1u << IKE2_AUTH_PSK;
    refused_by_responder(&p, "not allowed");
    p = pair_new();
    creds_use(p.pa, IKE2_AUTH_RAW_KEY, CREDS_ED25519);
    p.pb->remote_auths = 1u << IKE2_AUTH_RAW_KEY; /* and no key of it */
    refused_by_responder(&p, "its raw public key is not the one");
    p = pair_new();
    strcpy(p.pb->psk, "none");
    refused_by_responder(&p, "no pre-shared key");
}

static void we_have_no_secret(void **state)
{
    struct pair p = pair_new();

    strcpy(p.pa->psk, "none");
    begin(&p);
    assert_words(p.a, IKE2_COUNT_AUTH_FAILED, "the keeper has no secret");
    assert_nothing(&p);
    assert_int_equal(count(p.b, IKE2_COUNT_HALF_OPEN_EXPIRED), 1);
    end(&p);
}

static void the_client_database_decides(void **state)
{
    static const char *const words[2] = {"the client database has no entry for it",
                                         "its entry of the client database is to be rejected"};

    for (unsigned n = 0; n < 3; n++) {
        struct pair p = pair_new();
        struct gh_client_db *db = gh_client_db_new("clients", GH_CLIENT_BY_IDENTITY, false);
        struct gh_client client = {.index = 1, .name = "one", .gets = {.reject = n == 1}};

        client.identity = gh_pattern_new(n == 0 ? "192.0.2.99" : "192.0.2.1", NULL);
        assert_true(gh_client_db_add(db, &client, NULL));
        p.pb->client_db = db;
        if (n == 2) {
            begin(&p);
            assert_up(&p, 1);
            end(&p);
        } else {
            refused_by_responder(&p, words[n]);
        }
        gh_client_db_free(db);
    }
}

static void who_fails_too_often_is_not_heard(void **state)
{
    struct pair p = pair_new();
    struct gh_lockout_settings lockout = gh_lockout_defaults();
    uint64_t out;

    p.b->settings.lockout = &lockout;
    ike_world_restart(p.w, 1);
    creds_use(p.pa, IKE2_AUTH_NULL, CREDS_ED25519);
    p.pa->remote_auths = 1u << IKE2_AUTH_PSK;
    begin(&p);
    for (unsigned n = 1; n < lockout.attempts; n++) {
        assert_int_equal(count(p.b, IKE2_COUNT_LOCKED_OUT), 0);
        assert_true(ike2_initiate(p.a->core, p.w->now, "to-1", "net"));
        run(&p, 2000);
    }
    assert_int_equal(count(p.b, IKE2_COUNT_AUTH_FAILED), lockout.attempts);
    out = count(p.b, IKE2_COUNT_OUT);
    p.pa->local_auth = IKE2_AUTH_PSK; /* even with the right secret */
    assert_true(ike2_initiate(p.a->core, p.w->now, "to-1", "net"));
    run(&p, 60 * 1000);
    assert_true(count(p.b, IKE2_COUNT_LOCKED_OUT) > 0);
    assert_int_equal(count(p.b, IKE2_COUNT_OUT), out);
    run(&p, lockout.block * 60 * 1000);
    ike2_initiate(p.a->core, p.w->now, "to-1", "net");
    run(&p, 2000);
    assert_up(&p, 1);
    end(&p);
}

/* ---- Child SAs ------------------------------------------------------------------------------- */

static void refused_child(struct pair *p, enum ike2_count reason, const char *name)
{
    begin(p);
    assert_up(p, 0);
    assert_int_equal(count(p->b, reason), 1);
    assert_non_null(strstr(p->a->last[IKE2_EVENT_CHILD_FAILED], name));
    /* By an exchange of its own, too. */
    assert_true(ike2_initiate(p->a->core, p->w->now, "to-1", "net"));
    run(p, 2000);
    assert_up(p, 0);
    assert_int_equal(count(p->b, reason), 2);
    end(p);
}

static void child_sas_that_are_refused(void **state)
{
    struct pair p = pair_new();

    p.cb->local.ts[0].start.octets[0] = p.cb->local.ts[0].end.octets[0] = 11;
    refused_child(&p, IKE2_COUNT_TS_UNACCEPTABLE, "TS_UNACCEPTABLE");
    p = pair_new();
    weaken(&p.cb->proposals);
    refused_child(&p, IKE2_COUNT_NO_PROPOSAL, "NO_PROPOSAL_CHOSEN");
    p = pair_new();
    p.cb->mode = IKE2_TRANSPORT;
    refused_child(&p, IKE2_COUNT_NO_PROPOSAL, "NO_PROPOSAL_CHOSEN");
}

static void too_many_children_are_refused(void **state)
{
    struct pair p = pair_new();

    for (size_t k = 1; k < 4; k++) {
        ike_world_child(p.pa, 0, 1, k);
        ike_world_child(p.pb, 1, 0, k);
    }
    p.b->settings.children_max = 2;
    ike_world_restart(p.w, 1);
    begin(&p);
    for (size_t k = 1; k < 4; k++)
        assert_true(ike2_initiate(p.a->core, p.w->now, "to-1", p.pa->children[k].name));
    run(&p, 2000);
    assert_up(&p, 2);
    assert_non_null(strstr(p.a->last[IKE2_EVENT_CHILD_FAILED], "NO_ADDITIONAL_SAS"));
    end(&p);
}

/* Of `single` children the peer gets no second SA, but may rekey the one, and have one of
 * another child. */
static void a_child_may_have_one_sa_alone(void **state)
{
    struct pair p = pair_new();

    ike_world_child(p.pa, 0, 1, 1); /* of `net` at the other end */
    ike_world_child(p.pa, 0, 1, 2);
    ike_world_child(p.pb, 1, 0, 2);
    p.pb->children[0].single = true;
    ike_world_restart(p.w, 1);
    begin(&p);
    assert_up(&p, 1);
    assert_true(ike2_initiate(p.a->core, p.w->now, "to-1", p.pa->children[1].name));
    run(&p, 2000);
    assert_up(&p, 1);
    assert_non_null(strstr(p.a->last[IKE2_EVENT_CHILD_FAILED], "NO_ADDITIONAL_SAS"));
    assert_non_null(strstr(p.b->last[IKE2_EVENT_CHILD_FAILED], "has a Child SA already"));
    assert_true(ike2_initiate(p.a->core, p.w->now, "to-1", p.pa->children[2].name));
    run(&p, 2000);
    assert_up(&p, 2);
    assert_true(ike2_rekey_child(p.a->core, p.w->now, p.a->child[0].id));
    run(&p, 5000);
    assert_up(&p, 2);
    end(&p);
}

static void selectors_are_narrowed_to_what_both_have(void **state)
{
    struct pair p = pair_new();

    p.cb->local.ts[0].end.octets[3] = 63;
    p.cb->remote.ts[0].protocol = 6;
    begin(&p);
    assert_up(&p, 1);
    assert_int_equal(p.a->child[0].remote.ts[0].end.octets[3], 63);
    assert_int_equal(p.a->child[0].local.ts[0].protocol, 6);
    /* Rekeyed from the end that would have more: it keeps what is in use. */
    assert_true(ike2_rekey_child(p.a->core, p.w->now, p.a->child[0].id));
    run(&p, 2000);
    assert_up(&p, 1);
    end(&p);
}

static void transport_mode_and_other_groups(void **state)
{
    for (unsigned n = 0; n < 4; n++) {
        struct pair p = pair_new();
        struct ike_host *h = n % 2 ? p.a : p.b;

        p.ca->mode = p.cb->mode = n < 2 ? IKE2_TRANSPORT : IKE2_TUNNEL;
        prefer(&p.ca->proposals, IKE_KE_CURVE25519, IKE_KE_ECP_256);
        prefer(&p.cb->proposals, IKE_KE_ECP_256, IKE_KE_CURVE25519);
        begin(&p);
        assert_up(&p, 1);
        assert_true(ike2_rekey_child(h->core, p.w->now, h->child[0].id));
        run(&p, 2000);
        assert_up(&p, 1);
        assert_int_equal(p.a->installed, 2);
        assert_true(count(p.a, IKE2_COUNT_INVALID_KE) + count(p.b, IKE2_COUNT_INVALID_KE) <= 1);
        end(&p);
    }
}

/* NON_FIRST_FRAGMENTS_ALSO (RFC 7296 1.3.1): both ends have it if both want it, in tunnel mode;
 * neither is refused for it. */
static void later_fragments_if_both_want_them(void **state)
{
    for (unsigned n = 0; n < 6; n++) {
        struct pair p = pair_new();
        bool want = n == 3;

        p.ca->fragments_also = n >= 4 || (n & 1) != 0;
        p.cb->fragments_also = n >= 4 || (n & 2) != 0;
        p.cb->kernel = n == 5; /* which cannot */
        p.ca->mode = p.cb->mode = n == 4 ? IKE2_TRANSPORT : IKE2_TUNNEL;
        begin(&p);
        assert_up(&p, 1);
        assert_int_equal(p.a->child[0].fragments_also, want);
        assert_int_equal(p.b->child[0].fragments_also, want);
        assert_true(ike2_rekey_child(p.b->core, p.w->now, p.b->child[0].id));
        run(&p, 2000);
        assert_up(&p, 1);
        assert_int_equal(p.a->installed, 2);
        for (size_t i = 0; i < 2; i++)
            assert_true(!p.a->child[i].used || p.a->child[i].fragments_also == want);
        end(&p);
    }
}

/* The data plane does not carry it: an event says why, and both ends are without it. */
static void a_child_that_is_not_carried(void **state)
{
    struct pair p = pair_new();

    begin(&p);
    assert_up(&p, 1);
    p.a->commanded = p.b->commanded = true;
    assert_false(ike2_child_refused(p.b->core, p.w->now, 999, "there is none"));
    assert_true(ike2_child_refused(p.b->core, p.w->now, p.b->child[0].id, "it overlaps"));
    assert_non_null(strstr(p.b->last[IKE2_EVENT_CHILD_FAILED], ": it overlaps"));
    run(&p, 2000);
    assert_non_null(strstr(p.b->last[IKE2_EVENT_CHILD_DOWN], "the data plane does not carry it"));
    assert_int_equal(p.a->removed, 1);
    assert_int_equal(p.b->removed, 1);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_proposal_in_common),
        cmocka_unit_test(another_group_is_asked_for),
        cmocka_unit_test(a_stranger_is_not_answered),
        cmocka_unit_test(a_cookie_is_asked_for_and_shown),
        cmocka_unit_test(every_method_with_every_other),
        cmocka_unit_test(names_that_are_not_expected),
        cmocka_unit_test(certificates_that_are_not_believed),
        cmocka_unit_test(methods_that_are_not_allowed),
        cmocka_unit_test(we_have_no_secret),
        cmocka_unit_test(the_client_database_decides),
        cmocka_unit_test(who_fails_too_often_is_not_heard),
        cmocka_unit_test(child_sas_that_are_refused),
        cmocka_unit_test(too_many_children_are_refused),
        cmocka_unit_test(a_child_may_have_one_sa_alone),
        cmocka_unit_test(selectors_are_narrowed_to_what_both_have),
        cmocka_unit_test(transport_mode_and_other_groups),
        cmocka_unit_test(later_fragments_if_both_want_them),
        cmocka_unit_test(a_child_that_is_not_carried),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    creds_free();
    return failed;
}
