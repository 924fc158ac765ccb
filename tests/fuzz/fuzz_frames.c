/*
 * What one Gatehouse process may read from another: frames off the stream and the setup behind
 * CONFIG. A child that an attacker owns must not own the parent.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ends.h"
#include "daemon/frame.h"
#include "daemon/setup.h"
#include "daemon/socket_flows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_ends(struct gh_rd *body)
{
    struct gh_rd before = *body;
    uint8_t again[GH_ENDS_MAX];
    struct gh_wr w = gh_wr_make(again, sizeof(again));
    struct gh_ends ends;
    size_t len = gh_rd_left(body);

    if (!gh_ends_take(body, &ends))
        return;
    gh_ends_put(&w, ends.zone, &ends.local, &ends.remote);
    if (!gh_wr_ok(&w) || w.len != len || memcmp(gh_rd_bytes(&before, len), again, len) != 0)
        abort(); /* one encoding for each value */
}

static void read_flows(struct gh_rd *body)
{
    struct gh_socket_flow flow;

    (void)gh_rd_u32(body);
    (void)gh_rd_u16(body);
    while (gh_rd_left(body) > 0) {
        struct gh_rd before = *body;
        uint8_t again[GH_SOCKET_FLOW_MAX];
        struct gh_wr w = gh_wr_make(again, sizeof(again));

        if (!gh_socket_flow_take(body, &flow))
            return;
        gh_socket_flow_put(&w, &flow);
        if (!gh_wr_ok(&w) || (flow.kind != GH_FLOW_STRICT && memcmp(before.p, again, w.len) != 0))
            abort(); /* one encoding for each value */
    }
}

static void read_frames(enum gh_receiver self, const uint8_t *data, size_t size)
{
    struct gh_rd r = gh_rd_make(data, size);
    struct gh_frame frame;

    while (gh_frame_next(self, &r, &frame) == GH_FRAME_WHOLE) {
        if (frame.type == GH_MESSAGE_GONE)
            (void)gh_rd_u8(&frame.body);
        if (frame.type == GH_MESSAGE_GONE || frame.type == GH_MESSAGE_ABORT ||
            frame.type == GH_MESSAGE_LOOKUP)
            read_ends(&frame.body);
        if (frame.type == GH_MESSAGE_FLOWS)
            read_flows(&frame.body);
        (void)gh_rd_u64(&frame.body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_setup s;

    read_frames(GH_TO_AO, data, size);
    read_frames(GH_TO_PARENT, data, size);
    read_frames(GH_TO_KEEPER, data, size);
    read_frames(GH_TO_DESK, data, size);
    read_frames(GH_TO_ASKER, data, size);
    read_frames(GH_TO_IKE, data, size);
    read_frames(GH_TO_ESP, data, size);
    read_frames(GH_TO_CARRIER, data, size);
    read_frames(GH_TO_KEYER, data, size);
    if (gh_setup_decode(data, size, &s)) {
        size_t len;
        uint8_t *again = gh_setup_encode(&s, &len);

        if (again == NULL || len != size)
            abort(); /* one encoding for each value */
        free(again);
        gh_setup_clear(&s);
    }
    return 0;
}
