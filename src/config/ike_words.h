/*
 * Algorithms of IKE, ESP, AH and TCP-AO's keys by the names of the configuration.
 */
#ifndef GH_CONFIG_IKE_WORDS_H
#define GH_CONFIG_IKE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GH_FOR_IKE = 1, GH_FOR_ESP = 2, GH_FOR_AH = 4, GH_FOR_TCP_AO = 8 };

struct gh_ike_word {
    const char *name;
    uint16_t id, key_bits;
    unsigned use; /* GH_FOR_… */
    bool legacy;  /* weak: only if it is asked for */
};

/* The words for a transform type (IKE_T_ENCR, _PRF, _INTEG, _KE, _SN); the ADDKE types have KE's.
 * Ends with a NULL name. NULL: a type without words. */
const struct gh_ike_word *gh_ike_words(uint8_t type);
/* By name; key exchanges also by number. NULL: not known. */
const struct gh_ike_word *gh_ike_word(uint8_t type, const char *name);
/* The running OpenSSL can do it. */
bool gh_ike_word_available(uint8_t type, const struct gh_ike_word *word);

#endif
