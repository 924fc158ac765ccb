/*
 * What a peer with keys may send: the chain inside of an Encrypted payload, held against our
 * proposals and selectors. Octet 0 is the type of the first payload.
 */
#include <stdlib.h>

#include "ike/admission.h"
#include "ike/notify_data.h"
#include "ike/proposal.h"
#include "ike/ts_set.h"
#include "ike_again.h"

enum { ROOM = 1 << 17 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void choose(const struct ike_payload *payload)
{
    static struct ike_sa offered, ours, answer;
    struct ike_choice_rules rules = {.additional_ke = true};
    struct ike_choice_miss miss;
    char text[200];

    if (payload == NULL || ike_sa_parse(payload->body, &offered) != IKE_OK)
        return;
    ours.count = 1;
    ours.proposal[0] = offered.proposal[offered.count - 1];
    for (unsigned prefer = 0; prefer < 2; prefer++) {
        rules.prefer_theirs = prefer != 0;
        if (!ike_proposal_choose(&offered, &ours, &rules, &answer.proposal[0], &miss)) {
            require(miss.why != IKE_MATCH);
            continue;
        }
        answer.count = 1;
        (void)ike_proposal_format(&answer.proposal[0], text, sizeof(text));
        require(ike_proposal_confirm(&answer, &offered, &rules, &ours.proposal[1], &miss));
    }
}

static void narrow(const struct ike_payload *i, const struct ike_payload *r)
{
    struct ike_ts_list theirs, ours, both;
    char text[IKE_TS_TEXT];

    if (i == NULL || r == NULL || ike_ts_parse(i->body, &theirs) != IKE_OK ||
        ike_ts_parse(r->body, &ours) != IKE_OK)
        return;
    if (ike_ts_narrow(&theirs, &ours, &both) < IKE_TS_NARROWED)
        return;
    require(both.count > 0 && both.count <= IKE_TS_MAX);
    require(ike_ts_list_contains(&theirs, &both) && ike_ts_list_contains(&ours, &both));
    for (size_t n = 0; n < both.count; n++)
        (void)ike_ts_format(&both.ts[n], text);
}

static void notification(const struct ike_notify *n)
{
    struct ike_redirect redirect;
    struct ike_ticket ticket;
    struct ike_id_sync sync;
    struct ike_ppk_id ppk;
    struct ike_puzzle puzzle;
    uint32_t set;
    uint64_t delta;

    (void)ike_redirect_read(n->data, &redirect);
    (void)ike_ticket_read(n->data, &ticket);
    (void)ike_id_sync_read(n->data, &sync);
    (void)ike_ppk_id_read(n->data, &ppk);
    (void)ike_puzzle_read(n->data, &puzzle);
    (void)ike_hashes_read(n->data, &set);
    (void)ike_counter_sync_read(n->data, &delta);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t first[ROOM], second[ROOM];
    struct ike_payloads p, again;
    struct ike_notify n;
    struct gh_view wrote, twice = {0};
    struct ike_out o;

    if (size < 1 || size > UINT16_MAX ||
        ike_payloads_parse(data[0], gh_view_of(data + 1, size - 1), &p) != IKE_OK)
        return 0;
    (void)ike_child_step(&p);
    choose(ike_find(&p, IKE_P_SA, 0));
    narrow(ike_find(&p, IKE_P_TSI, 0), ike_find(&p, IKE_P_TSR, 0));
    for (size_t i = 0; i < p.count; i++)
        if (p.payload[i].type == IKE_P_NOTIFY && ike_notify_parse(p.payload[i].body, &n) == IKE_OK)
            notification(&n);
    o = ike_out_inner(first, ROOM);
    if (ike_chain_again(&o, &p) != IKE_OK)
        return 0;
    require(ike_out_done(&o, &wrote));
    require(ike_payloads_parse(o.first, wrote, &again) == IKE_OK && again.count == p.count);
    o = ike_out_inner(second, ROOM);
    require(ike_chain_again(&o, &again) == IKE_OK && ike_out_done(&o, &twice));
    require(gh_view_equal(wrote, twice));
    return 0;
}
