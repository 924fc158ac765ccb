/*
 * What a gateway's configuration brings about: the client database and its TS-lists, lockout, the
 * requests for certificates, NAT traversal, keepalives and liveness.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "ike_check.h"
#include "ike_creds.h"

#include "ike/certreq.h"
#include "ike/ts_set.h"
#include "ike/v2/priv.h"
#include "ike/v2/proof.h"
#include "ike/v2/tell.h"
#include "pki/bodies.h"

/* Host 1 is the gateway, host 0 its client. */
struct pair {
    struct ike_world *w;
    struct ike_host *client, *gateway;
    struct ike2_policy *pc, *pg;
};

static struct pair pair_new(void)
{
    struct pair p = {.w = ike_world_new(1, 2)};

    p.w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    p.w->after = ike_check_step;
    p.client = &p.w->hosts[0];
    p.gateway = &p.w->hosts[1];
    p.pc = ike_world_policy(p.w, 0, 1);
    p.pg = ike_world_policy(p.w, 1, 0);
    creds_give(p.client);
    creds_give(p.gateway);
    return p;
}

static void run(struct pair *p, uint64_t ms)
{
    ike_world_run(p->w, ms);
    if (p->w->wrong[0] != '\0')
        fail_msg("%s", p->w->wrong);
}

static void call(struct pair *p)
{
    assert_true(ike2_initiate(p->client->core, p->w->now, "to-1", "net"));
    run(p, 2000);
}

static void begin(struct pair *p)
{
    ike_world_configure(p->w, 0);
    ike_world_configure(p->w, 1);
    call(p);
}

static uint64_t count(const struct ike_host *h, enum ike2_count what)
{
    return ike2_counters(h->core)[what];
}

static void assert_up(struct pair *p, size_t children)
{
    const char *wrong = ike_check_agreement(p->w);

    assert_int_equal(ike_world_sas(p->client, NULL), 1);
    assert_int_equal(ike_world_sas(p->gateway, NULL), 1);
    assert_int_equal(ike_world_children(p->client), children);
    assert_int_equal(ike_world_children(p->gateway), children);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static void assert_words(const struct ike_host *h, enum ike2_count reason, const char *words)
{
    int64_t when;
    const char *text = ike2_last_failure(h->core, reason, &when);

    if (text == NULL || strstr(text, words) == NULL)
        fail_msg("%s: \"%s\" is not in \"%s\"", ike2_count_name(reason), words,
                 text != NULL ? text : "");
}

/* ---- The client database --------------------------------------------------------------------- */

static struct gh_client_db *database(const char *identity, const struct gh_client_gets *gets)
{
    struct gh_client_db *db = gh_client_db_new("clients", GH_CLIENT_BY_IDENTITY, false);
    struct gh_client client = {.index = 7, .name = "clients/7", .gets = *gets};

    client.identity = gh_pattern_new(identity, NULL);
    assert_non_null(client.identity);
    assert_true(gh_client_db_add(db, &client, NULL));
    return db;
}

/* A part of the client's net: its first 16 addresses. */
static struct ike_ts_list part_of(const struct ike_ts_list *list)
{
    struct ike_ts_list part = *list;

    part.ts[0].end = part.ts[0].start;
    part.ts[0].end.octets[3] = 15;
    return part;
}

static const struct world_child *child_of(const struct ike_host *h)
{
    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[i].used)
            return &h->child[i];
    fail_msg("no Child SA");
    return NULL;
}

static void assert_narrow(struct pair *p)
{
    assert_up(p, 1);
    assert_int_equal(child_of(p->client)->local.ts[0].end.octets[3], 15);
    assert_int_equal(child_of(p->gateway)->remote.ts[0].end.octets[3], 15);
}

static void a_client_gets_its_selectors(void **state)
{
    struct pair p = pair_new();
    struct ike_ts_list local = p.pg->children[0].local, remote = part_of(&p.pg->children[0].remote);
    struct gh_client_gets gets = {.ts_local = &local, .ts_remote = &remote};
    struct gh_client_db *db = database("192.0.2.1", &gets);

    p.pg->client_db = db;
    begin(&p);
    assert_narrow(&p);
    /* Whoever rekeys, and a second Child SA that the gateway begins: no more than that. */
    for (unsigned i = 0; i < 2; i++) {
        struct ike_host *h = i == 0 ? p.client : p.gateway;

        assert_true(ike2_rekey_child(h->core, p.w->now, child_of(h)->id));
        run(&p, 2000);
        assert_narrow(&p);
    }
    p.gateway->commanded = true;
    assert_true(ike2_terminate_child(p.gateway->core, p.w->now, child_of(p.gateway)->id));
    run(&p, 2000);
    assert_up(&p, 0);
    assert_true(ike2_initiate(p.gateway->core, p.w->now, "to-0", "net"));
    run(&p, 2000);
    assert_narrow(&p);
    ike_world_free(p.w);
    gh_client_db_free(db);
}

/* Another configuration of the gateway with this database. */
static void reload(struct pair *p, struct gh_client_db *db)
{
    ike2_policy_free(p->gateway->policies[0]);
    p->gateway->policy_count = 0;
    p->pg = ike_world_policy(p->w, 1, 0);
    p->pg->client_db = db;
    ike_world_configure(p->w, 1);
}

static void a_new_database_counts_from_the_next_rekeying_on(void **state)
{
    struct pair p = pair_new();
    struct ike_ts_list local = p.pg->children[0].local, all = p.pg->children[0].remote,
                       part = part_of(&all);
    struct gh_client_gets narrow = {.ts_local = &local, .ts_remote = &part},
                          wide = {.reject = false}, out = {.reject = true};
    struct gh_client_db *db[3] = {database("192.0.2.1", &narrow), database("192.0.2.1", &wide),
                                  database("192.0.2.1", &out)};

    p.pg->client_db = db[0];
    begin(&p);
    assert_narrow(&p);
    /* The same again: a reload does not lift the limit. */
    reload(&p, db[0]);
    assert_narrow(&p);
    assert_true(ike2_rekey_child(p.gateway->core, p.w->now, child_of(p.gateway)->id));
    run(&p, 2000);
    assert_narrow(&p);
    /* It may have more: what is in use stays, a new Child SA has it. */
    reload(&p, db[1]);
    assert_narrow(&p);
    p.client->commanded = true;
    assert_true(ike2_terminate_child(p.client->core, p.w->now, child_of(p.client)->id));
    run(&p, 2000);
    call(&p);
    assert_up(&p, 1);
    assert_true(ike_ts_equal(&child_of(p.gateway)->remote.ts[0], &all.ts[0]));
    /* It is to be rejected: it keeps what it has, and is not let in again. */
    reload(&p, db[2]);
    assert_up(&p, 1);
    ike_world_restart(p.w, 0);
    call(&p);
    assert_int_equal(ike_world_sas(p.client, NULL), 0);
    assert_words(p.gateway, IKE2_COUNT_AUTH_FAILED, "to be rejected");
    ike_world_free(p.w);
    for (unsigned i = 0; i < 3; i++)
        gh_client_db_free(db[i]);
}

static void selectors_beyond_a_clients_are_refused(void **state)
{
    struct pair p = pair_new();
    struct ike_ts_list local = p.pg->children[0].local, remote = local;
    struct gh_client_gets gets = {.ts_local = &local, .ts_remote = &remote};
    struct gh_client_db *db = database("192.0.2.1", &gets);

    p.pg->client_db = db;
    begin(&p);
    assert_up(&p, 0);
    assert_words(p.gateway, IKE2_COUNT_TS_UNACCEPTABLE, "does not meet ours");
    ike_world_free(p.w);
    gh_client_db_free(db);
}

/* ---- Traffic selectors ----------------------------------------------------------------------- */

/* Each of 8 with each of 5 is 40: more than can be said. */
static void more_than_32_results_are_refused(void **state)
{
    struct pair p = pair_new();
    struct ike_ts_list *theirs = &p.pc->children[0].local, *ours = &p.pg->children[0].remote;

    for (theirs->count = 0; theirs->count < 8; theirs->count++) {
        theirs->ts[theirs->count] = theirs->ts[0];
        theirs->ts[theirs->count].protocol = IPPROTO_TCP;
        theirs->ts[theirs->count].start_port = (uint16_t)(1000 * theirs->count);
        theirs->ts[theirs->count].end_port = (uint16_t)(1000 * theirs->count + 99);
    }
    for (ours->count = 0; ours->count < 5; ours->count++) {
        ours->ts[ours->count] = ours->ts[0];
        ours->ts[ours->count].start.octets[3] = (uint8_t)(20 * ours->count);
        ours->ts[ours->count].end.octets[3] = (uint8_t)(20 * ours->count + 9);
    }
    begin(&p);
    assert_up(&p, 0);
    assert_words(p.gateway, IKE2_COUNT_TS_UNACCEPTABLE, "more than 32 traffic selectors");
    assert_non_null(strstr(p.client->last[IKE2_EVENT_CHILD_FAILED], "TS_UNACCEPTABLE"));
    ike_world_free(p.w);
}

/* ---- Lockout --------------------------------------------------------------------------------- */

static void lock_out(struct pair *p, const struct gh_lockout_settings *s)
{
    p->gateway->settings.lockout = s;
    ike_world_restart(p->w, 1);
}

/* How many calls are refused until nobody is heard; at most 5. */
static unsigned refused(struct pair *p)
{
    for (unsigned n = 0; n < 5; n++) {
        uint64_t before = count(p->gateway, IKE2_COUNT_AUTH_FAILED);

        call(p);
        if (count(p->gateway, IKE2_COUNT_AUTH_FAILED) == before)
            return n;
    }
    return 5;
}

static void guess(struct pair *p)
{
    struct gh_secret secret = {.data = NULL};

    assert_true(gh_secret_set(&secret, (const uint8_t *)"a guess", 7));
    assert_true(
        gh_keeper_store_add_secret(p->client->keeper, GH_SECRET_PSK, "guess", &secret, NULL));
    strcpy(p->pc->psk, "guess");
}

/* RFC 7296 has many reasons to say AUTHENTICATION_FAILED; few of them are a client's guess. */
static void only_a_proof_that_fails_counts(void **state)
{
    const struct gh_lockout_settings s = gh_lockout_defaults();
    const struct gh_client_gets out = {.reject = true};
    struct gh_client_db *db = database("192.0.2.1", &out);

    for (unsigned n = 0; n < 5; n++) {
        struct pair p = pair_new();

        lock_out(&p, &s);
        ike_world_configure(p.w, 0);
        if (n == 0)
            p.pg->remote_id = gh_pattern_new("somebody.example.net", NULL);
        else if (n == 1)
            p.pg->client_db = db;
        else if (n == 2)
            strcpy(p.pg->psk, "none"); /* the keeper does not have it */
        else if (n == 3)
            guess(&p);
        else
            creds_use(p.pc, IKE2_AUTH_CERT,
                      CREDS_RSA); /* and so is a method that nobody asked for */
        assert_int_equal(refused(&p), n < 3 ? 5 : s.attempts);
        assert_int_equal(count(p.gateway, IKE2_COUNT_LOCKED_OUT) > 0, n >= 3);
        if (n >= 3)
            assert_words(p.gateway, IKE2_COUNT_LOCKED_OUT, "192.0.2.1 port 500 is locked out");
        ike_world_free(p.w);
    }
    gh_client_db_free(db);
}

static void certificates_that_are_not_believed_count(void **state)
{
    const struct gh_lockout_settings s = gh_lockout_defaults();
    struct pair p = pair_new();

    lock_out(&p, &s);
    ike_world_configure(p.w, 0);
    creds_use(p.pc, IKE2_AUTH_CERT, CREDS_RSA);
    p.pg->remote_auths = 1u << IKE2_AUTH_CERT;
    p.pg->trust = creds()->other_trust;
    assert_int_equal(refused(&p), s.attempts);
    ike_world_free(p.w);
}

static void move(struct pair *p, unsigned n)
{
    static const uint8_t outside[4] = {203, 0, 113, 7};

    p->client->behind_nat = true;
    p->client->nat_addr = gh_addr_from(outside, 4);
    p->client->nat_port = (uint16_t)(40000 + 10 * n);
}

/* Each guess from another port: the address goes as a whole, whatever it knows now. */
static void guesses_from_many_ports_lock_out_the_address(void **state)
{
    struct gh_lockout_settings s = gh_lockout_defaults();
    struct pair p = pair_new();
    unsigned n;

    s.max_ports = 4;
    p.pg->remote = (struct gh_prefix){.addr = {.len = 4}};
    lock_out(&p, &s);
    ike_world_configure(p.w, 0);
    guess(&p);
    for (n = 0; n <= s.max_ports; n++) {
        assert_int_equal(count(p.gateway, IKE2_COUNT_LOCKED_OUT), 0);
        move(&p, n);
        call(&p);
    }
    assert_int_equal(count(p.gateway, IKE2_COUNT_AUTH_FAILED), s.max_ports + 1);
    assert_words(p.gateway, IKE2_COUNT_LOCKED_OUT, "203.0.113.7 is locked out with all its ports");
    strcpy(p.pc->psk, "psk");
    move(&p, n);
    call(&p);
    assert_int_equal(ike_world_sas(p.client, NULL), 0);
    assert_int_equal(gh_lockout_clear(ike2_lockout(p.gateway->core), &p.client->nat_addr, 0), 1);
    run(&p, 300 * 1000);
    call(&p);
    assert_up(&p, 1);
    ike_world_free(p.w);
}

/* ---- Half-open IKE SAs ----------------------------------------------------------------------- */

static bool without_ike_auth(void *ctx, struct ike_host *from, struct ike2_datagram *d)
{
    return d->len <= 18 || d->data[18] != IKE_X_AUTH;
}

/* While cookies are asked for there is less patience with who does not go on. */
static void crowds_shorten_the_first_exchanges(void **state)
{
    for (unsigned crowded = 0; crowded < 2; crowded++) {
        struct pair p = pair_new();

        p.gateway->settings.half_open_cookie = crowded ? 0 : 64;
        p.gateway->settings.reduced_exchange_ms = 4000;
        ike_world_restart(p.w, 1);
        p.w->filter = without_ike_auth;
        begin(&p); /* 2 seconds */
        assert_int_equal(count(p.gateway, IKE2_COUNT_COOKIES_SENT), crowded);
        assert_int_equal(count(p.gateway, IKE2_COUNT_HALF_OPEN_EXPIRED), 0);
        run(&p, 3000);
        assert_int_equal(count(p.gateway, IKE2_COUNT_HALF_OPEN_EXPIRED), crowded);
        run(&p, 30 * 1000);
        assert_int_equal(count(p.gateway, IKE2_COUNT_HALF_OPEN_EXPIRED), 1);
        ike_world_free(p.w);
    }
}

/* ---- Requests for certificates --------------------------------------------------------------- */

/* Some hosts name every CA that they know: hundreds, in one payload or in many. */
static void every_ca_may_be_named(void **state)
{
    enum { PAYLOADS = 40, HASHES = 20 };
    static uint8_t octets[PAYLOADS * (5 + HASHES * GH_SPKI_HASH)];
    static struct ike_payloads in;
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));
    struct ike2_setup s = {.group = 0};
    static const uint8_t hash[GH_SPKI_HASH] = {1};

    for (unsigned i = 0; i < PAYLOADS; i++) {
        gh_wr_u8(&w, i + 1 < PAYLOADS ? IKE_P_CERTREQ : 0);
        gh_wr_u8(&w, 0);
        gh_wr_u16(&w, 5 + HASHES * GH_SPKI_HASH);
        gh_wr_u8(&w, GH_CERT_X509);
        for (unsigned k = 0; k < HASHES; k++)
            gh_wr_bytes(&w, hash, sizeof(hash));
    }
    assert_true(gh_wr_ok(&w));
    assert_int_equal(ike_payloads_parse(IKE_P_CERTREQ, gh_view_of(octets, w.len), &in), IKE_OK);
    assert_true(ike2_take_certreqs(&s, &in));
    assert_int_equal(s.certreqs.len, PAYLOADS * (3 + HASHES * GH_SPKI_HASH));
    gh_secret_clear(&s.certreqs);
}

/* ---- NAT traversal and liveness -------------------------------------------------------------- */

/* Where there is no NAT, too, and whichever end wants it. */
static void forced_nat_traversal_encapsulates(void **state)
{
    for (unsigned n = 0; n < 2; n++) {
        struct pair p = pair_new();
        struct ike2_sa_view v;

        (n == 0 ? p.pc : p.pg)->force_nat_t = true;
        begin(&p);
        assert_up(&p, 1);
        for (unsigned i = 0; i < 2; i++) {
            ike_world_sas(&p.w->hosts[i], &v);
            assert_int_equal(v.local.port, IKE2_PORT_NAT_T);
            assert_int_equal(v.remote.port, IKE2_PORT_NAT_T);
            assert_true(v.nat_local || v.nat_remote);
        }
        ike_world_free(p.w);
    }
}

/* Every 120 s for 1210 s; forced: also by the end that is not behind the NAT. */
static void keep_open(bool forced)
{
    static const uint8_t outside[4] = {203, 0, 113, 7};
    struct pair p = pair_new();
    unsigned said;

    p.client->behind_nat = true;
    p.client->nat_addr = gh_addr_from(outside, 4);
    p.client->nat_port = 40000;
    p.pg->remote = (struct gh_prefix){.addr = {.len = 4}};
    p.pc->liveness_ms = p.pg->liveness_ms = 0;
    p.pc->nat_keepalive_ms = p.pg->nat_keepalive_ms = 120 * 1000;
    p.pg->force_keepalive = forced;
    begin(&p);
    assert_up(&p, 1);
    said = p.client->said_count + p.gateway->said_count;
    run(&p, 1210 * 1000);
    assert_int_equal(p.client->keepalives, 10);
    assert_int_equal(p.gateway->keepalives, forced ? 10 : 0); /* it is not behind one */
    assert_int_equal(p.client->said_count + p.gateway->said_count, said);
    ike_world_free(p.w);
}

static void who_is_behind_a_nat_keeps_it_open(void **state)
{
    keep_open(false);
}

static void keepalives_can_be_forced(void **state)
{
    struct pair p = pair_new();

    keep_open(true);
    p.pc->force_keepalive = true; /* no NAT, port 500: there are none of RFC 3948's */
    p.pc->liveness_ms = p.pg->liveness_ms = 0;
    begin(&p);
    assert_up(&p, 1);
    run(&p, 1210 * 1000);
    assert_int_equal(p.client->keepalives, 0);
    ike_world_free(p.w);
}

static void who_only_replies_never_asks(void **state)
{
    struct pair p = pair_new();
    unsigned said;

    p.pc->liveness_ms = 0;
    begin(&p);
    assert_up(&p, 1);
    said = p.client->said_count;
    run(&p, 300 * 1000);
    assert_true(p.client->said_count >= said + 9); /* it answers the other one's questions */
    said = p.client->said_count;
    p.gateway->dead = true;
    run(&p, 600 * 1000);
    assert_int_equal(p.client->said_count, said); /* and nobody notices */
    assert_int_equal(ike_world_sas(p.client, NULL), 1);
    ike_world_free(p.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_gets_its_selectors),
        cmocka_unit_test(a_new_database_counts_from_the_next_rekeying_on),
        cmocka_unit_test(selectors_beyond_a_clients_are_refused),
        cmocka_unit_test(more_than_32_results_are_refused),
        cmocka_unit_test(only_a_proof_that_fails_counts),
        cmocka_unit_test(certificates_that_are_not_believed_count),
        cmocka_unit_test(guesses_from_many_ports_lock_out_the_address),
        cmocka_unit_test(crowds_shorten_the_first_exchanges),
        cmocka_unit_test(every_ca_may_be_named),
        cmocka_unit_test(forced_nat_traversal_encapsulates),
        cmocka_unit_test(who_is_behind_a_nat_keeps_it_open),
        cmocka_unit_test(keepalives_can_be_forced),
        cmocka_unit_test(who_only_replies_never_asks),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    creds_free();
    return failed;
}
