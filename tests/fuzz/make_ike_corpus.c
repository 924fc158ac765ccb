/*
 * Writes the first inputs of fuzz_ike_message, fuzz_ike_inner and fuzz_ike_fragment: one message of
 * each payload, some of several, fragments in and out of order. Argument: the corpus directory.
 */
#include <stdio.h>
#include <stdlib.h>

#include "unit/ike_random.h"

enum { ROOM = 1 << 16, LONGEST = 700, MIXED = 12 };

static void save(const char *directory, const char *target, unsigned number, struct gh_view octets)
{
    char path[512];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s/made-%02u", directory, target, number);
    f = fopen(path, "wb");
    if (f == NULL || fwrite(octets.p, 1, octets.len, f) != octets.len || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

/* The same chain as a message and as the inside of one. */
static void save_chain(const char *directory, unsigned number, const uint8_t *types, size_t n,
                       uint64_t seed)
{
    static const struct ike_header h = {.version = IKE_VERSION_2, .exchange = IKE_X_SA_INIT};
    static uint8_t mem[ROOM + 1];
    struct gh_view made;
    struct ike_out o;

    do {
        struct ike_rng rng = {seed++};

        o = ike_out_message(mem, ROOM, &h);
        for (size_t i = 0; i < n; i++)
            rng_payload(&rng, &o, types[i]);
    } while (!ike_out_done(&o, &made) || made.len > LONGEST);
    save(directory, "ike_message", number, made);
    mem[IKE_HEADER_LEN - 1] = o.first;
    save(directory, "ike_inner", number,
         gh_view_of(mem + IKE_HEADER_LEN - 1, made.len - IKE_HEADER_LEN + 1));
}

int main(int argc, char **argv)
{
    static const uint8_t fragments[][24] = {
        {0, 1, 3, 15, 0, 2, 3, 15, 0, 3, 3, 9},
        {0, 3, 3, 15, 0, 1, 3, 15, 0, 1, 3, 9, 0, 2, 3, 9},
        {0, 1, 2, 15, 0, 1, 3, 15, 0, 2, 3, 9, 1, 3, 3, 9, 0, 3, 3, 9},
        {0, 1, 2, 15, 4, 2, 2, 15, 0, 0, 0, 255, 0, 2, 2, 255},
    };
    static const uint8_t child[] = {IKE_P_NOTIFY, IKE_P_SA, IKE_P_NONCE, IKE_P_TSI, IKE_P_TSR};
    struct ike_rng rng = {7296};
    unsigned number = 0;

    if (argc != 2)
        return 2;
    for (size_t i = 0; i < sizeof(ike_random_types); i++)
        save_chain(argv[1], number++, &ike_random_types[i], 1, 1000 + i);
    save_chain(argv[1], number++, child, sizeof(child), 4242);
    for (unsigned i = 0; i < MIXED; i++) {
        uint8_t types[4];

        for (size_t j = 0; j < sizeof(types); j++)
            types[j] = rng_type(&rng);
        save_chain(argv[1], number++, types, sizeof(types), 5000 + i);
    }
    for (unsigned i = 0; i < sizeof(fragments) / sizeof(fragments[0]); i++)
        save(argv[1], "ike_fragment", i, gh_view_of(fragments[i], sizeof(fragments[i])));
    return 0;
}
