/*
 * Algorithms of TCP-AO by name and by number: RFC 5926's two, and HMAC-SHA-256.
 */
#include "tcpao.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The bits of every MAC length from TCPAO_MAC_MIN to TCPAO_MAC_MAX octets, in order. */
#define MAC_BITS(X)                                                                                \
    X(8)                                                                                           \
    X(16)                                                                                          \
    X(24)                                                                                          \
    X(32)                                                                                          \
    X(40)                                                                                          \
    X(48)                                                                                          \
    X(56)                                                                                          \
    X(64)                                                                                          \
    X(72)                                                                                          \
    X(80)                                                                                          \
    X(88)                                                                                          \
    X(96)                                                                                          \
    X(104)                                                                                         \
    X(112)                                                                                         \
    X(120)                                                                                         \
    X(128)                                                                                         \
    X(136)                                                                                         \
    X(144)                                                                                         \
    X(152)                                                                                         \
    X(160)                                                                                         \
    X(168)                                                                                         \
    X(176)                                                                                         \
    X(184)                                                                                         \
    X(192)                                                                                         \
    X(200)                                                                                         \
    X(208)                                                                                         \
    X(216)                                                                                         \
    X(224)                                                                                         \
    X(232)                                                                                         \
    X(240)                                                                                         \
    X(248)                                                                                         \
    X(256)

static const char *const sha1_names[] = {
#define NAME(bits) "hmac-sha-1-" #bits,
    MAC_BITS(NAME)
#undef NAME
};
static const char *const cmac_names[] = {
#define NAME(bits) "aes-128-cmac-" #bits,
    MAC_BITS(NAME)
#undef NAME
};
static const char *const sha256_names[] = {
#define NAME(bits) "hmac-sha-256-" #bits,
    MAC_BITS(NAME)
#undef NAME
};

size_t tcpao_mac_len_max(enum tcpao_alg alg)
{
    switch (alg) {
    case TCPAO_HMAC_SHA_1:
        return 20;
    case TCPAO_AES_128_CMAC:
        return 16;
    case TCPAO_HMAC_SHA_256:
        return 32;
    }
    return 0;
}

size_t tcpao_traffic_key_len(enum tcpao_alg alg)
{
    return tcpao_mac_len_max(alg); /* in all three the key is as long as the untruncated MAC */
}

const char *tcpao_alg_name(enum tcpao_alg alg, unsigned mac_len)
{
    if (mac_len < TCPAO_MAC_MIN || mac_len > tcpao_mac_len_max(alg))
        return "unknown";
    mac_len -= TCPAO_MAC_MIN;
    switch (alg) {
    case TCPAO_HMAC_SHA_1:
        return sha1_names[mac_len];
    case TCPAO_AES_128_CMAC:
        return cmac_names[mac_len];
    case TCPAO_HMAC_SHA_256:
        return sha256_names[mac_len];
    }
    return "unknown";
}

/* Spellings with case and punctuation taken away; where one begins another, the longer comes
 * first. */
static const struct {
    const char *text;
    enum tcpao_alg alg;
} spellings[] = {
    {"hmacsha256", TCPAO_HMAC_SHA_256}, {"sha256", TCPAO_HMAC_SHA_256},
    {"hmacsha1", TCPAO_HMAC_SHA_1},     {"sha1", TCPAO_HMAC_SHA_1},
    {"aes128cmac", TCPAO_AES_128_CMAC}, {"cmacaes128", TCPAO_AES_128_CMAC},
    {"aescmac128", TCPAO_AES_128_CMAC}, {"cmacaes", TCPAO_AES_128_CMAC},
    {"aes128", TCPAO_AES_128_CMAC},
};

/* Letters and digits only, lower case. False: too long, or a character no spelling has. */
static bool squeeze(const char *name, char *out, size_t size)
{
    size_t n = 0;

    for (; *name != '\0'; name++) {
        unsigned char c = (unsigned char)*name;

        if (strchr("-_()/ ", c) != NULL)
            continue;
        if (!isalnum(c) || n + 1 >= size)
            return false;
        out[n++] = (char)tolower(c);
    }
    out[n] = '\0';
    return true;
}

/* "96" and "128" are bits; below 32 they are octets, as in IOS XR's HMAC-SHA1-12. A shorter MAC
 * than the shortest number of bits has no name to be read. */
enum { NAMED_MIN = 4 };

static bool parse_length(const char *digits, enum tcpao_alg alg, unsigned *mac_len)
{
    unsigned long n;
    char *end;

    if (*digits == '\0') {
        *mac_len = 12;
        return true;
    }
    if (!isdigit((unsigned char)*digits) || strlen(digits) > 3)
        return false;
    n = strtoul(digits, &end, 10);
    if (*end != '\0' || (n >= 8 * NAMED_MIN && n % 8 != 0))
        return false;
    *mac_len = (unsigned)(n >= 8 * NAMED_MIN ? n / 8 : n);
    return *mac_len >= NAMED_MIN && *mac_len <= tcpao_mac_len_max(alg);
}

bool tcpao_alg_parse(const char *name, enum tcpao_alg *alg, unsigned *mac_len)
{
    char text[32];

    if (!squeeze(name, text, sizeof(text)))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        size_t n = strlen(spellings[i].text);

        if (strncmp(text, spellings[i].text, n) == 0) {
            *alg = spellings[i].alg;
            return parse_length(text + n, *alg, mac_len);
        }
    }
    return false;
}
