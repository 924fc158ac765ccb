/* Known answers of the MACs, and that pieces, reuse and refusal behave. */
#include "unit.h"

#include <string.h>

#include "crypto/mac.h"

struct known {
    const char *source;
    enum gh_mac_alg alg;
    const char *key;
    size_t key_len;
    const char *message;
    size_t len;
    const char *tag;
};

#define AES_KEY "\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c"
#define AES_TEXT                                                                                   \
    "\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a"                             \
    "\xae\x2d\x8a\x57\x1e\x03\xac\x9c\x9e\xb7\x6f\xac\x45\xaf\x8e\x51"                             \
    "\x30\xc8\x1c\x46\xa3\x5c\xe4\x11"
#define XCBC_KEY  "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
#define TEN_AA    "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
#define EIGHTY_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA
#define LONG_TEXT "Test Using Larger Than Block-Size Key - Hash Key First"

static const char thousand_zeros[1000];

static const struct known answers[] = {
    {"RFC 2202 3.2", GH_MAC_HMAC_SHA_1, "Jefe", 4, "what do ya want for nothing?", 28,
     "\xef\xfc\xdf\x6a\xe5\xeb\x2f\xa2\xd2\x74\x16\xd5\xf1\x84\xdf\x9c\x25\x9a\x7c\x79"},
    {"RFC 2202 3.6", GH_MAC_HMAC_SHA_1, EIGHTY_AA, 80, LONG_TEXT, 54,
     "\xaa\x4a\xe5\xe1\x52\x72\xd0\x0e\x95\x70\x56\x37\xce\x8a\x3b\x55\xed\x40\x21\x12"},
    {"RFC 4231 4.3", GH_MAC_HMAC_SHA_256, "Jefe", 4, "what do ya want for nothing?", 28,
     "\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24\x26\x08\x95\x75\xc7"
     "\x5a\x00\x3f\x08\x9d\x27\x39\x83\x9d\xec\x58\xb9\x64\xec\x38\x43"},
    {"RFC 4231 4.7", GH_MAC_HMAC_SHA_256, EIGHTY_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA "\xaa", 131,
     LONG_TEXT, 54,
     "\x60\xe4\x31\x59\x1e\xe0\xb6\x7f\x0d\x8a\x26\xaa\xcb\xf5\xb7\x7f"
     "\x8e\x0b\xc6\x21\x37\x28\xc5\x14\x05\x46\x04\x0f\x0e\xe3\x7f\x54"},
    {"RFC 4493 4 example 1", GH_MAC_AES_128_CMAC, AES_KEY, 16, "", 0,
     "\xbb\x1d\x69\x29\xe9\x59\x37\x28\x7f\xa3\x7d\x12\x9b\x75\x67\x46"},
    {"RFC 4493 4 example 2", GH_MAC_AES_128_CMAC, AES_KEY, 16, AES_TEXT, 16,
     "\x07\x0a\x16\xb4\x6b\x4d\x41\x44\xf7\x9b\xdd\x9d\xd0\x4a\x28\x7c"},
    {"RFC 4493 4 example 3", GH_MAC_AES_128_CMAC, AES_KEY, 16, AES_TEXT, 40,
     "\xdf\xa6\x67\x47\xde\x9a\xe6\x30\x30\xca\x32\x61\x14\x97\xc8\x27"},
    {"RFC 3566 4.6 #1", GH_MAC_AES_128_XCBC, XCBC_KEY, 16, "", 0,
     "\x75\xf0\x25\x1d\x52\x8a\xc0\x1c\x45\x73\xdf\xd5\x84\xd7\x9f\x29"},
    {"RFC 3566 4.6 #2", GH_MAC_AES_128_XCBC, XCBC_KEY, 16, "\x00\x01\x02", 3,
     "\x5b\x37\x65\x80\xae\x2f\x19\xaf\xe7\x21\x9c\xee\xf1\x72\x75\x6f"},
    {"RFC 3566 4.6 #3", GH_MAC_AES_128_XCBC, XCBC_KEY, 16,
     "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 16,
     "\xd2\xa2\x46\xfa\x34\x9b\x68\xa7\x99\x98\xa4\x39\x4f\xf7\xa2\x63"},
    {"RFC 3566 4.6 #4", GH_MAC_AES_128_XCBC, XCBC_KEY, 16,
     "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13", 20,
     "\x47\xf5\x1b\x45\x64\x96\x62\x15\xb8\x98\x5c\x63\x05\x5e\xd3\x08"},
    {"RFC 3566 4.6 #5", GH_MAC_AES_128_XCBC, XCBC_KEY, 16,
     "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13"
     "\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f",
     32, "\xf5\x4f\x0e\xc8\xd2\xb9\xf3\xd3\x68\x07\x73\x4b\xd5\x28\x3f\xd4"},
    {"RFC 3566 4.6 #6", GH_MAC_AES_128_XCBC, XCBC_KEY, 16,
     "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13"
     "\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21",
     34, "\xbe\xcb\xb3\xbc\xcd\xb5\x18\xa3\x06\x77\xd5\x48\x1f\xb6\xb4\xd8"},
    {"RFC 3566 4.6 #7", GH_MAC_AES_128_XCBC, XCBC_KEY, 16, thousand_zeros, 1000,
     "\xf0\xda\xfe\xe8\x95\xdb\x30\x25\x37\x61\x10\x3b\x5d\x84\x52\x8f"},
    {"RFC 2202 2.2", GH_MAC_HMAC_MD5, "Jefe", 4, "what do ya want for nothing?", 28,
     "\x75\x0c\x78\x3e\x6a\xb0\xb5\x03\xea\xa8\x6e\x31\x0a\x5d\xb7\x38"},
    {"RFC 4231 4.3", GH_MAC_HMAC_SHA_384, "Jefe", 4, "what do ya want for nothing?", 28,
     "\xaf\x45\xd2\xe3\x76\x48\x40\x31\x61\x7f\x78\xd2\xb5\x8a\x6b\x1b\x9c\x7e\xf4\x64"
     "\xf5\xa0\x1b\x47\xe4\x2e\xc3\x73\x63\x22\x44\x5e\x8e\x22\x40\xca\x5e\x69\xe2\xc7"
     "\x8b\x32\x39\xec\xfa\xb2\x16\x49"},
    {"RFC 4231 4.3", GH_MAC_HMAC_SHA_512, "Jefe", 4, "what do ya want for nothing?", 28,
     "\x16\x4b\x7a\x7b\xfc\xf8\x19\xe2\xe3\x95\xfb\xe7\x3b\x56\xe0\xa3\x87\xbd\x64\x22"
     "\x2e\x83\x1f\xd6\x10\x27\x0c\xd7\xea\x25\x05\x54\x97\x58\xbf\x75\xc0\x5a\x99\x4a"
     "\x6d\x03\x4f\x65\xf8\xf0\xe6\xfd\xca\xea\xb1\xa3\x4d\x4a\x6b\x4b\x63\x6e\x07\x0a"
     "\x38\xbc\xe7\x37"},
    {"RFC 2202 2.6", GH_MAC_HMAC_MD5, EIGHTY_AA, 80, LONG_TEXT, 54,
     "\x6b\x1a\xb7\xfe\x4b\xd7\xbf\x8f\x0b\x62\xe6\xce\x61\xb9\xd0\xcd"},
    {"RFC 4231 4.7", GH_MAC_HMAC_SHA_384, EIGHTY_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA "\xaa", 131,
     LONG_TEXT, 54,
     "\x4e\xce\x08\x44\x85\x81\x3e\x90\x88\xd2\xc6\x3a\x04\x1b\xc5\xb4\x4f\x9e\xf1\x01"
     "\x2a\x2b\x58\x8f\x3c\xd1\x1f\x05\x03\x3a\xc4\xc6\x0c\x2e\xf6\xab\x40\x30\xfe\x82"
     "\x96\x24\x8d\xf1\x63\xf4\x49\x52"},
    {"RFC 4231 4.7", GH_MAC_HMAC_SHA_512, EIGHTY_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA "\xaa", 131,
     LONG_TEXT, 54,
     "\x80\xb2\x42\x63\xc7\xc1\xa3\xeb\xb7\x14\x93\xc1\xdd\x7b\xe8\xb4\x9b\x46\xd1\xf4"
     "\x1b\x4a\xee\xc1\x12\x1b\x01\x37\x83\xf8\xf3\x52\x6b\x56\xd0\x37\xe0\x5f\x25\x98"
     "\xbd\x0f\xd2\x21\x5d\x6a\x1e\x52\x95\xe6\x4f\x73\xf6\x3f\x0a\xec\x8b\x91\x5a\x98"
     "\x5d\x78\x65\x98"},
};

#define EACH(k)                                                                                    \
    for (const struct known *k = answers; k < answers + sizeof(answers) / sizeof(answers[0]); k++)

static void known_answers(void **state)
{
    EACH(k)
    {
        struct gh_mac_key key = {0};
        struct gh_mac m;
        uint8_t tag[GH_MAC_TAG_MAX];

        assert_true(gh_mac_key_set(&key, k->alg, (const uint8_t *)k->key, k->key_len));
        gh_mac_init(&m, &key);
        gh_mac_update(&m, k->message, k->len);
        assert_true(gh_mac_final(&m, tag));
        assert_memory_equal(tag, k->tag, gh_mac_tag_len(k->alg));
        gh_mac_key_clear(&key);
    }
}

/* Wherever the message is cut, and however often the key was used before. */
static void pieces_give_the_same(void **state)
{
    EACH(k)
    {
        struct gh_mac_key key = {0};
        struct gh_mac m;
        uint8_t tag[GH_MAC_TAG_MAX];

        assert_true(gh_mac_key_set(&key, k->alg, (const uint8_t *)k->key, k->key_len));
        for (size_t cut = 0; cut <= k->len; cut++) {
            gh_mac_init(&m, &key);
            gh_mac_update(&m, k->message, cut);
            gh_mac_update(&m, NULL, 0);
            gh_mac_update(&m, k->message + cut, k->len - cut);
            assert_true(gh_mac_final(&m, tag));
            assert_memory_equal(tag, k->tag, gh_mac_tag_len(k->alg));
        }
        gh_mac_key_clear(&key);
    }
}

static void keys_of_wrong_length_are_refused(void **state)
{
    static const uint8_t octets[17];
    struct gh_mac_key key = {0};
    struct gh_mac m;
    uint8_t tag[GH_MAC_TAG_MAX];

    assert_false(gh_mac_key_set(&key, GH_MAC_AES_128_CMAC, octets, 15));
    assert_false(gh_mac_key_set(&key, GH_MAC_AES_128_CMAC, octets, 17));
    assert_false(gh_mac_key_set(&key, GH_MAC_AES_128_XCBC, octets, 15));
    assert_false(gh_mac_key_set(&key, GH_MAC_AES_128_XCBC, octets, 17));
    assert_false(gh_mac_key_set(&key, GH_MAC_NONE, octets, 16));
    assert_int_equal(gh_mac_tag_len(GH_MAC_NONE), 0);

    /* The refused key is empty: nothing that looks like a MAC comes out of it. */
    memset(tag, 0xff, sizeof(tag));
    gh_mac_init(&m, &key);
    gh_mac_update(&m, "x", 1);
    assert_false(gh_mac_final(&m, tag));
    for (size_t i = 0; i < sizeof(tag); i++)
        assert_int_equal(tag[i], 0xff);
}

static void clearing_leaves_nothing(void **state)
{
    struct gh_mac_key key = {0};
    const uint8_t *octets = (const uint8_t *)&key;

    assert_true(gh_mac_key_set(&key, GH_MAC_HMAC_SHA_1, (const uint8_t *)"key", 3));
    gh_mac_key_clear(&key);
    for (size_t i = 0; i < sizeof(key); i++)
        assert_int_equal(octets[i], 0);
    gh_mac_key_clear(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(pieces_give_the_same),
        cmocka_unit_test(keys_of_wrong_length_are_refused),
        cmocka_unit_test(clearing_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
