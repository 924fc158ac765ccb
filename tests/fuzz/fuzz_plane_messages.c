/*
 * What the process that gives SAs to the kernel reads from `esp`, and the reverse. The first octet
 * says which of the messages it is to be.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/plane_messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SA, POLICY, USED, WANTED, MOVED, REFUSED, COUNTS, KINDS };

#define PASS(type)                                                                                 \
    do {                                                                                           \
        struct gh_plane_##type x;                                                                  \
                                                                                                   \
        if (!gh_plane_take_##type(&r, &x) || !gh_rd_done(&r))                                      \
            return false;                                                                          \
        gh_plane_put_##type(w, &x);                                                                \
        return true;                                                                               \
    } while (0)

/* Takes it and writes it down again. False: refused. */
static bool pass(uint8_t kind, struct gh_rd r, struct gh_wr *w)
{
    switch (kind) {
    case SA:
        PASS(sa);
    case POLICY:
        PASS(policy);
    case USED:
        PASS(used);
    case WANTED:
        PASS(wanted);
    case MOVED:
        PASS(moved);
    case REFUSED:
        PASS(refused);
    default:
        PASS(counts);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t kind = size > 0 ? data[0] % KINDS : 0;
    struct gh_wr w;
    uint8_t *again;

    if (size == 0)
        return 0;
    again = malloc(size);
    w = gh_wr_make(again, size - 1);
    if (pass(kind, gh_rd_make(data + 1, size - 1), &w) &&
        (!gh_wr_ok(&w) || w.len != size - 1 || memcmp(again, data + 1, w.len) != 0))
        abort(); /* one encoding for each value */
    free(again);
    return 0;
}
