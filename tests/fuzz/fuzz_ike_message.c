/*
 * A datagram as anybody may send it: the chain, every payload's body, admission at every step; and
 * what parses is written again and must parse to the same.
 */
#include <stdlib.h>

#include "ike/admission.h"
#include "ike_again.h"

enum { ROOM = 1 << 17 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static struct gh_view write_again(const struct ike_message *m, uint8_t mem[ROOM])
{
    struct ike_out o = ike_out_message(mem, ROOM, &m->h);
    struct gh_view all;

    require(ike_chain_again(&o, &m->clear) == IKE_OK);
    if (m->sealed.type != 0) {
        ike_out_payload(&o, m->sealed.type, false, m->sealed.body);
        gh_wr_put_u8(&o.w, o.start_at, m->sealed.first);
    }
    require(ike_out_done(&o, &all));
    return all;
}

static void admit_everywhere(const struct ike_message *m)
{
    struct ike_verdict v;

    for (unsigned step = 0; step < IKE_STEP_COUNT; step++)
        if (ike_admit((enum ike_step)step, ike_header_is_response(&m->h), IKE_STATE_HALF_OPEN, m,
                      &m->clear, &v))
            require(v.fault == IKE_OK && v.notify == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t first[ROOM], second[ROOM];
    struct ike_message m, again;
    struct gh_view wrote, twice;

    if (size > UINT16_MAX || ike_message_parse(gh_view_of(data, size), &m) != IKE_OK)
        return 0;
    admit_everywhere(&m);
    for (size_t i = 0; i < m.clear.count; i++)
        if (ike_payload_check(&m.clear.payload[i]) != IKE_OK)
            return 0;
    wrote = write_again(&m, first);
    require(ike_message_parse(wrote, &again) == IKE_OK);
    require(again.clear.count == m.clear.count && again.sealed.type == m.sealed.type &&
            again.sealed.first == m.sealed.first &&
            gh_view_equal(again.sealed.body, m.sealed.body));
    twice = write_again(&again, second);
    require(gh_view_equal(wrote, twice));
    return 0;
}
