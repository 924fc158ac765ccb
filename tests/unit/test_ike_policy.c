/* What a peer gets where nothing is configured, and whose a policy is. */
#include "unit.h"

#include <limits.h>

#include <stdlib.h>
#include <string.h>

#include "ike/codes.h"
#include "ike/proposal.h"
#include "ike/v2/policy.h"
#include "pki/auth.h"

static void defaults_are_those_of_the_documentation(void **state)
{
    struct ike2_policy *p = ike2_policy_new("berlin");

    assert_non_null(p);
    assert_int_equal(p->refs, 1);
    assert_string_equal(p->name, "berlin");
    assert_int_equal(p->port, 500);
    assert_int_equal(p->mtu, 1500);
    assert_true(p->fragmentation);
    assert_int_equal(p->nat_keepalive_ms, 20000);
    assert_int_equal(p->local_auth, IKE2_AUTH_PSK);
    assert_int_equal(p->remote_auths, GH_BIT(IKE2_AUTH_PSK));
    assert_true(p->match_id_to_cert);
    assert_int_equal(p->lifetime.seconds, 86400);
    assert_int_equal(p->liveness_ms, 30000);
    assert_int_equal(p->liveness_retries, 3);
    assert_int_equal(p->half_open_ms, 30000);
    assert_int_equal(p->window, 4);
    assert_true(p->initial_contact);
    assert_false(p->reauthenticate);
    assert_int_equal(p->child_count, 0);
    ike2_policy_free(p);
}

static void the_last_reference_frees(void **state)
{
    struct ike2_policy *p = ike2_policy_new("a"), *again = ike2_policy_ref(p);
    struct ike_sa sa;

    assert_ptr_equal(p, again);
    p->remote_id = gh_pattern_new("gw.example", NULL);
    p->children = calloc(1, sizeof(*p->children));
    p->child_count = 1;
    ike2_default_proposals(IKE_PROTO_ESP, &sa);
    assert_true(ike_proposals_set(&p->children[0].proposals, &sa));
    ike2_policy_free(p);
    assert_int_equal(again->refs, 1);
    ike2_policy_free(again); /* the sanitizers see whether pattern and children went with it */
    ike2_policy_free(NULL);
}

/* Ten thousand of them are to fit into what a gateway can spare. */
static void a_policy_is_small(void **state)
{
    assert_true(sizeof(struct ike2_policy) <= 2048);
    assert_true(sizeof(struct ike2_child_policy) <= 3072);
}

static uint64_t patience(uint32_t interval_ms, unsigned retransmits)
{
    const struct ike2_policy p = {.retransmit_ms = interval_ms, .retransmits = retransmits};

    return ike2_policy_patience_ms(&p);
}

/* 60 seconds and 10 retransmissions, the most that can be configured, are more than 32 bits of
 * milliseconds have room for where each interval is twice the one before. */
static void patience_ends(void **state)
{
    assert_true(patience(1000, 0) == 1000);
    assert_true(patience(1000, 6) == 127000);
    assert_true(patience(1000, 7) == 191000);
    assert_true(patience(60000, 10) == 60000 * (127 + 4 * 64));
    assert_true(patience(1000, 31) == 1000 * (127 + 25 * 64));
    assert_true(patience(UINT32_MAX, 0) == 86400000);
    assert_true(patience(UINT32_MAX, UINT_MAX) == 86400000);
    assert_true(patience(1, UINT_MAX) == 86400000);
    assert_true(patience(0, UINT_MAX) == 0);
}

static void a_long_name_is_cut(void **state)
{
    char name[200];
    struct ike2_policy *p;

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    p = ike2_policy_new(name);
    assert_int_equal(strlen(p->name), IKE2_NAME);
    ike2_policy_free(p);
}

/* Both ends with the defaults agree. */
static void default_proposals_choose_each_other(void **state)
{
    static const uint8_t protocols[] = {IKE_PROTO_IKE, IKE_PROTO_ESP, IKE_PROTO_AH};
    static const struct ike_choice_rules rules;

    for (size_t i = 0; i < sizeof(protocols); i++) {
        struct ike_sa ours, theirs;
        struct ike_proposal chosen;

        ike2_default_proposals(protocols[i], &ours);
        theirs = ours;
        assert_int_equal(ours.count, 1);
        if (protocols[i] != IKE_PROTO_IKE)
            theirs.proposal[0].spi_len = 4;
        assert_true(ike_proposal_choose(&theirs, &ours, &rules, &chosen, NULL));
        assert_int_equal(ike_proposal_id(&chosen, IKE_T_KE), IKE_KE_CURVE25519);
        if (protocols[i] != IKE_PROTO_AH) {
            assert_int_equal(ike_proposal_find(&chosen, IKE_T_ENCR)->key_bits, 256);
            assert_null(ike_proposal_find(&chosen, IKE_T_INTEG));
        }
        if (protocols[i] == IKE_PROTO_IKE)
            assert_int_equal(ike_proposal_id(&chosen, IKE_T_PRF), IKE_PRF_HMAC_SHA2_256);
        else
            assert_int_equal(ike_proposal_id(&chosen, IKE_T_SN), IKE_SN_64);
    }
}

static void an_unknown_protocol_has_none(void **state)
{
    struct ike_sa sa = {.count = 7};

    ike2_default_proposals(200, &sa);
    assert_int_equal(sa.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(defaults_are_those_of_the_documentation),
                                       cmocka_unit_test(the_last_reference_frees),
                                       cmocka_unit_test(a_policy_is_small),
                                       cmocka_unit_test(patience_ends),
                                       cmocka_unit_test(a_long_name_is_cut),
                                       cmocka_unit_test(default_proposals_choose_each_other),
                                       cmocka_unit_test(an_unknown_protocol_has_none)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
