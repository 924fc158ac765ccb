/*
 * What one Gatehouse process may read from another: frames off the stream and the setup behind
 * CONFIG. A child that an attacker owns must not own the parent.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "daemon/frame.h"
#include "daemon/setup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_frames(enum gh_receiver self, const uint8_t *data, size_t size)
{
    struct gh_rd r = gh_rd_make(data, size);
    struct gh_frame frame;

    while (gh_frame_next(self, &r, &frame) == GH_FRAME_WHOLE)
        (void)gh_rd_u64(&frame.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_setup s;

    read_frames(GH_TO_AO, data, size);
    read_frames(GH_TO_PARENT, data, size);
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
