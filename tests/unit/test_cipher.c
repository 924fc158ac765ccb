/*
 * Sealing and opening: published ciphertexts and ICVs, an independent CCM, and everything that has
 * to be refused.
 */
#include "hex.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>

#include "crypto/cipher.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *source;
    enum gh_enc_alg enc;
    unsigned bits;
    const char *key, *iv, *aad, *plain, *sealed, *icv; /* icv "": HMAC-SHA1-96 is beside it */
} answers[] = {
    {"FIPS 81", GH_ENC_DES, 0, "0123456789abcdef", "1234567890abcdef", "",
     "4e6f77206973207468652074696d6520666f7220616c6c20",
     "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6", ""},
    /* With the same key thrice, it is DES. */
    {"FIPS 81", GH_ENC_3DES, 0, "0123456789abcdef 0123456789abcdef 0123456789abcdef",
     "1234567890abcdef", "", "4e6f77206973207468652074696d6520666f7220616c6c20",
     "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6", ""},
    /* One block, so that CBC with an IV of zeros is the cipher itself. */
    {"SP 800-67 B.1", GH_ENC_3DES, 0, "0123456789abcdef 23456789abcdef01 456789abcdef0123",
     "0000000000000000", "", "5468652071756663", "a826fd8ce53b855f", ""},
    {"RFC 3713 A", GH_ENC_CAMELLIA_CBC, 128, "0123456789abcdeffedcba9876543210",
     "00000000000000000000000000000000", "", "0123456789abcdeffedcba9876543210",
     "67673138549669730857065648eabe43", ""},
    {"RFC 3713 A", GH_ENC_CAMELLIA_CBC, 192, "0123456789abcdeffedcba98765432100011223344556677",
     "00000000000000000000000000000000", "", "0123456789abcdeffedcba9876543210",
     "b4993401b3e996f84ee5cee7d79b09b9", ""},
    {"RFC 3713 A", GH_ENC_CAMELLIA_CBC, 256,
     "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff",
     "00000000000000000000000000000000", "", "0123456789abcdeffedcba9876543210",
     "9acc237dff16d76c20ef7c919e3a7509", ""},
    {"RFC 3602 4 #1", GH_ENC_AES_CBC, 128, "06a9214036b8a15b512e03d534120006",
     "3dafba429d9eb430b422da802c9fac41", "", "53696e676c6520626c6f636b206d7367",
     "e353779c1079aeb82708942dbe77181a", ""},
    {"RFC 3602 4 #2", GH_ENC_AES_CBC, 128, "c286696d887c9aa0611bbb3e2025a45a",
     "562e17996d093d28ddb3ba695a2e6f58", "",
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1", ""},
    {"RFC 3602 4 #4", GH_ENC_AES_CBC, 128, "56e47a38c5598974bc46903dba290349",
     "8ce82eefbea0da3c44699ed7db51b7d9", "",
     "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
     "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
     "c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e"
     "35907aa632c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55",
     ""},
    {"SP 800-38A F.2.3", GH_ENC_AES_CBC, 192, "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
     "000102030405060708090a0b0c0d0e0f", "", "6bc1bee22e409f96e93d7e117393172a",
     "4f021db243bc633d7178183a9fa071e8", ""},
    {"SP 800-38A F.2.5", GH_ENC_AES_CBC, 256,
     "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
     "000102030405060708090a0b0c0d0e0f", "", "6bc1bee22e409f96e93d7e117393172a",
     "f58c4c04d6e5f1ba779eabfb5f7bfbd6", ""},
    {"RFC 3686 6 #1", GH_ENC_AES_CTR, 128,
     "ae6852f8121067cc4bf7a5765577f39e"
     "00000030",
     "0000000000000000", "", "53696e676c6520626c6f636b206d7367", "e4095d4fb7a7b3792d6175a3261311b8",
     ""},
    {"RFC 3686 6 #2", GH_ENC_AES_CTR, 128,
     "7e24067817fae0d743d6ce1f32539163"
     "006cb6db",
     "c0543b59da48d90b", "", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28", ""},
    {"RFC 3686 6 #3", GH_ENC_AES_CTR, 128,
     "7691be035e5020a8ac6e618529f9a0dc"
     "00e0017b",
     "27777f3f4a1786f0", "",
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
     "c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f", ""},
    {"RFC 3686 6 #4", GH_ENC_AES_CTR, 192,
     "16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb78515"
     "00000048",
     "36733c147d6d93cb", "", "53696e676c6520626c6f636b206d7367", "4b55384fe259c9c84e7935a003cbe928",
     ""},
    {"RFC 3686 6 #5", GH_ENC_AES_CTR, 192,
     "7c5cb2401b3dc33c19e7340819e0f69c678c3db8e6f6a91a"
     "0096b03b",
     "020c6eadc2cb500d", "", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "453243fc609b23327edfaafa7131cd9f8490701c5ad4a79cfc1fe0ff42f4fb00", ""},
    {"RFC 3686 6 #6", GH_ENC_AES_CTR, 192,
     "02bf391ee8ecb159b959617b0965279bf59b60a786d3e0fe"
     "0007bdfd",
     "5cbd60278dcc0912", "",
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
     "96893fc55e5c722f540b7dd1ddf7e758d288bc95c69165884536c811662f2188abee0935", ""},
    {"RFC 3686 6 #7", GH_ENC_AES_CTR, 256,
     "776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c104"
     "00000060",
     "db5672c97aa8f0b2", "", "53696e676c6520626c6f636b206d7367", "145ad01dbf824ec7560863dc71e3e0c0",
     ""},
    {"RFC 3686 6 #8", GH_ENC_AES_CTR, 256,
     "f6d66d6bd52d59bb0796365879eff886c66dd51a5b6a99744b50590c87a23884"
     "00faac24",
     "c1585ef15a43d875", "", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "f05e231b3894612c49ee000b804eb2a9b8306b508f839d6a5530831d9344af1c", ""},
    {"RFC 3686 6 #9", GH_ENC_AES_CTR, 256,
     "ff7a617ce69148e4f1726e2f43581de2aa62d9f805532edff1eed687fb54153d"
     "001cc5b7",
     "51a51d70a1c11148", "",
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
     "eb6c52821d0bbbf7ce7594462aca4faab407df866569fd07f48cc0b583d6071f1ec0e6b8", ""},
#define GCM_PLAIN                                                                                  \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"                             \
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define GCM_AAD "feedfacedeadbeeffeedfacedeadbeefabaddad2"
    {"GCM case 4", GH_ENC_AES_GCM_16, 128, "feffe9928665731c6d6a8f9467308308 cafebabe",
     "facedbaddecaf888", GCM_AAD, GCM_PLAIN,
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {"GCM case 4, short", GH_ENC_AES_GCM_12, 128, "feffe9928665731c6d6a8f9467308308 cafebabe",
     "facedbaddecaf888", GCM_AAD, GCM_PLAIN,
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
     "5bc94fbc3221a5db94fae95a"},
    {"GCM case 4, shorter", GH_ENC_AES_GCM_8, 128, "feffe9928665731c6d6a8f9467308308 cafebabe",
     "facedbaddecaf888", GCM_AAD, GCM_PLAIN,
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
     "5bc94fbc3221a5db"},
    {"GCM case 10", GH_ENC_AES_GCM_16, 192,
     "feffe9928665731c6d6a8f9467308308feffe9928665731c cafebabe", "facedbaddecaf888", GCM_AAD,
     GCM_PLAIN,
     "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
     "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
     "2519498e80f1478f37ba55bd6d27618c"},
    {"GCM case 16", GH_ENC_AES_GCM_16, 256,
     "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308 cafebabe",
     "facedbaddecaf888", GCM_AAD, GCM_PLAIN,
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"RFC 7634 A", GH_ENC_CHACHA20_POLY1305, 0,
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f a0a1a2a3",
     "1011121314151617", "0102030400000005",
     "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10"
     "0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223"
     "2425262728292a2b2c2d2e2f303132333435363701020204",
     "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6"
     "14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
     "cbec163fac469b502773f6fb94e664da9165b82829f641e0",
     "76aaa8266b7fb0f7b11b369907e1ad43"},
    {"RFC 7634 B", GH_ENC_CHACHA20_POLY1305, 0,
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f a0a1a2a3",
     "1011121314151617", "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029",
     "0000000c000040010000000a00", "610394701f8d017f7c12924889",
     "6b71bfe25236efd7cdc67066906315b2"},
};

static const struct {
    const char *source;
    enum gh_integ_alg integ;
    const char *key, *message, *icv;
} macs[] = {
    {"RFC 2202 2.1", GH_INTEG_HMAC_MD5_96, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "9294727a3638bb1c13f48ef8"},
    {"RFC 2202 3.1", GH_INTEG_HMAC_SHA1_96, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "4869205468657265", "b617318655057264e28bc0b6"},
    {"RFC 3566 #2", GH_INTEG_AES_XCBC_96, "000102030405060708090a0b0c0d0e0f", "000102",
     "5b376580ae2f19afe7219cee"},
    {"RFC 3566 #3", GH_INTEG_AES_XCBC_96, "000102030405060708090a0b0c0d0e0f",
     "000102030405060708090a0b0c0d0e0f", "d2a246fa349b68a79998a439"},
    {"RFC 3566 #4", GH_INTEG_AES_XCBC_96, "000102030405060708090a0b0c0d0e0f",
     "000102030405060708090a0b0c0d0e0f10111213", "47f51b4564966215b8985c63"},
    {"RFC 3566 #5", GH_INTEG_AES_XCBC_96, "000102030405060708090a0b0c0d0e0f",
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "f54f0ec8d2b9f3d36807734b"},
    {"RFC 3566 #6", GH_INTEG_AES_XCBC_96, "000102030405060708090a0b0c0d0e0f",
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021",
     "becbb3bccdb518a30677d548"},
    {"RFC 4494 4.1 #2", GH_INTEG_AES_CMAC_96, "2b7e151628aed2a6abf7158809cf4f3c",
     "6bc1bee22e409f96e93d7e117393172a", "070a16b46b4d4144f79bdd9d"},
    {"RFC 4494 4.1 #3", GH_INTEG_AES_CMAC_96, "2b7e151628aed2a6abf7158809cf4f3c",
     "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411",
     "dfa66747de9ae63030ca3261"},
    {"RFC 4868 AUTH256-1", GH_INTEG_HMAC_SHA2_256_128,
     "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "198a607eb44bfbc69903a0f1cf2bbdc5"},
    {"RFC 4868 AUTH384-1", GH_INTEG_HMAC_SHA2_384_192,
     "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
     "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "4869205468657265", "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973"},
    {"RFC 4868 AUTH512-1", GH_INTEG_HMAC_SHA2_512_256,
     "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
     "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "4869205468657265", "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"},
};

static const enum gh_integ_alg integs[] = {
    GH_INTEG_NONE,
    GH_INTEG_HMAC_MD5_96,
    GH_INTEG_HMAC_SHA1_96,
    GH_INTEG_AES_XCBC_96,
    GH_INTEG_AES_CMAC_96,
    GH_INTEG_HMAC_SHA2_256_128,
    GH_INTEG_HMAC_SHA2_384_192,
    GH_INTEG_HMAC_SHA2_512_256,
};

/* Every algorithm with every key length that it has. */
static const unsigned key_bits[] = {0, 128, 192, 256};

static const uint8_t zero[128];

static void known_ciphertexts(void **state)
{
    for (size_t i = 0; i < COUNT(answers); i++) {
        const struct octets key = hex(answers[i].key), iv = hex(answers[i].iv),
                            aad = hex(answers[i].aad), plain = hex(answers[i].plain),
                            sealed = hex(answers[i].sealed);
        const enum gh_integ_alg integ =
            answers[i].icv[0] != '\0' ? GH_INTEG_NONE : GH_INTEG_HMAC_SHA1_96;
        struct octets icv = hex(answers[i].icv);
        struct gh_cipher *c;
        uint8_t data[128], tag[GH_CIPHER_ICV_MAX];

        if (!gh_enc_available(answers[i].enc, answers[i].bits)) {
            /* Of all, only DES may be missing. */
            assert_int_equal(answers[i].enc, GH_ENC_DES);
            print_message("no DES: OpenSSL's legacy provider is not installed\n");
            continue;
        }
        c = gh_cipher_new(answers[i].enc, answers[i].bits, integ, view_of(&key),
                          gh_view_of(zero, gh_integ_key_len(integ)));
        assert_non_null(c);
        assert_int_equal(gh_cipher_iv_len(c), iv.len);
        if (integ != GH_INTEG_NONE) {
            memcpy(data, iv.p, iv.len);
            memcpy(data + iv.len, sealed.p, sealed.len);
            assert_non_null(HMAC(EVP_sha1(), zero, 20, data, iv.len + sealed.len, icv.p, NULL));
            icv.len = 12;
        }
        assert_int_equal(gh_cipher_icv_len(c), icv.len);
        /* Twice, and each way in between: one packet leaves nothing for the next. */
        for (int twice = 0; twice < 2; twice++) {
            memcpy(data, plain.p, plain.len);
            assert_true(gh_cipher_seal(c, view_of(&aad), iv.p, data, plain.len, tag));
            assert_memory_equal(data, sealed.p, sealed.len);
            assert_memory_equal(tag, icv.p, icv.len);
            assert_true(gh_cipher_open(c, view_of(&aad), iv.p, data, plain.len, tag));
            assert_memory_equal(data, plain.p, plain.len);
        }
        gh_cipher_free(c);
    }
}

/* The MAC's input, cut anywhere into what stands before, data, and what stands after. */
static void known_icvs(void **state)
{
    for (size_t i = 0; i < COUNT(macs); i++) {
        const struct octets key = hex(macs[i].key), message = hex(macs[i].message),
                            want = hex(macs[i].icv);
        struct gh_cipher *c =
            gh_cipher_new(GH_ENC_NULL, 0, macs[i].integ, (struct gh_view){0}, view_of(&key));

        assert_non_null(c);
        assert_int_equal(gh_cipher_icv_len(c), want.len);
        for (size_t from = 0; from < message.len; from++)
            for (size_t to = from + 1; to <= message.len; to++) {
                const struct gh_view aad = {message.p, from},
                                     tail = {message.p + to, message.len - to};
                uint8_t data[64], icv[GH_CIPHER_ICV_MAX];

                memcpy(data, message.p + from, to - from);
                assert_true(gh_cipher_seal_tail(c, aad, NULL, data, to - from, tail, icv));
                assert_memory_equal(data, message.p + from, to - from);
                assert_memory_equal(icv, want.p, want.len);
                assert_true(gh_cipher_open_tail(c, aad, NULL, data, to - from, tail, icv));
                assert_memory_equal(data, message.p + from, to - from);
            }
        gh_cipher_free(c);
    }
}

/*
 * CCM by the text of RFC 3610 and nothing but AES on single blocks. Its own examples have nonces of
 * 13 octets, IPsec's are of 11 (RFC 4309), so they check this model and the model checks the
 * cipher.
 */
static void aes(const uint8_t *key, size_t key_len, const uint8_t in[16], uint8_t out[16])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;

    assert_int_equal(EVP_EncryptInit_ex(ctx,
                                        key_len == 16   ? EVP_aes_128_ecb()
                                        : key_len == 24 ? EVP_aes_192_ecb()
                                                        : EVP_aes_256_ecb(),
                                        NULL, key, NULL),
                     1);
    assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, in, 16), 1);
    EVP_CIPHER_CTX_free(ctx);
}

static void model_ccm(struct gh_view key, struct gh_view nonce, struct gh_view aad, uint8_t *data,
                      size_t len, uint8_t *icv, size_t icv_len)
{
    uint8_t x[16] = {0}, a[16] = {0}, s[16], header[2 + 254];
    const size_t l = 15 - nonce.len;

    x[0] = (uint8_t)((aad.len > 0 ? 0x40 : 0) | (icv_len - 2) / 2 << 3 | (l - 1));
    memcpy(x + 1, nonce.p, nonce.len);
    for (size_t i = 0; i < l && i < sizeof(len); i++)
        x[15 - i] = (uint8_t)(len >> 8 * i);
    aes(key.p, key.len, x, x);

    assert_true(aad.len <= 254);
    header[0] = 0;
    header[1] = (uint8_t)aad.len;
    if (aad.len > 0)
        memcpy(header + 2, aad.p, aad.len);
    for (size_t i = 0; aad.len > 0 && i < 2 + aad.len; i++) {
        x[i % 16] ^= header[i];
        if (i % 16 == 15 || i == 1 + aad.len)
            aes(key.p, key.len, x, x);
    }
    for (size_t i = 0; i < len; i++) {
        x[i % 16] ^= data[i];
        if (i % 16 == 15 || i == len - 1)
            aes(key.p, key.len, x, x);
    }

    a[0] = (uint8_t)(l - 1);
    memcpy(a + 1, nonce.p, nonce.len);
    aes(key.p, key.len, a, s);
    for (size_t i = 0; i < icv_len; i++)
        icv[i] = x[i] ^ s[i];
    for (size_t i = 0; i < len; i++) {
        a[15] = (uint8_t)(i / 16 + 1);
        aes(key.p, key.len, a, s);
        data[i] ^= s[i % 16];
    }
}

static void the_model_of_ccm(void **state)
{
    /* RFC 3610 8, packet vector 1 */
    const struct octets key = hex("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"),
                        nonce = hex("00000003020100a0a1a2a3a4a5"), aad = hex("0001020304050607"),
                        sealed = hex("588c979a61c663d2f066d0c2c0f989806d5f6b61dac384"),
                        want = hex("17e8d12cfdf926e0");
    struct octets data = hex("08090a0b0c0d0e0f101112131415161718191a1b1c1d1e");
    uint8_t icv[8];

    model_ccm(view_of(&key), view_of(&nonce), view_of(&aad), data.p, data.len, icv, 8);
    assert_memory_equal(data.p, sealed.p, sealed.len);
    assert_memory_equal(icv, want.p, want.len);
}

static void ccm_is_as_the_model(void **state)
{
    static const enum gh_enc_alg ccms[] = {GH_ENC_AES_CCM_8, GH_ENC_AES_CCM_12, GH_ENC_AES_CCM_16};
    uint8_t octets[256];

    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (uint8_t)(i * 7 + 3);
    for (size_t k = 1; k < COUNT(key_bits); k++)
        for (size_t i = 0; i < COUNT(ccms); i++) {
            const size_t key_len = key_bits[k] / 8;
            const struct gh_view key = {octets, key_len + 3}, nonce = {octets + key_len, 11};
            struct gh_cipher *c =
                gh_cipher_new(ccms[i], key_bits[k], GH_INTEG_NONE, key, (struct gh_view){0});

            assert_non_null(c);
            for (size_t aad_len = 0; aad_len < 34; aad_len++)
                for (size_t len = 1; len < 50; len++) {
                    const struct gh_view aad = {octets + 64, aad_len};
                    uint8_t want[64], data[64], want_icv[16], icv[16];

                    memcpy(want, octets + 128, len);
                    memcpy(data, octets + 128, len);
                    model_ccm(gh_view_of(octets, key_len), nonce, aad, want, len, want_icv,
                              gh_cipher_icv_len(c));
                    assert_true(gh_cipher_seal(c, aad, octets + key_len + 3, data, len, icv));
                    assert_memory_equal(data, want, len);
                    assert_memory_equal(icv, want_icv, gh_cipher_icv_len(c));
                }
            gh_cipher_free(c);
        }
}

/* RFC 4543 3.5: AES-GMAC over what stands before, the IV, and data, which stays clear. */
static void gmac_covers_everything(void **state)
{
    const struct octets key = hex("feffe9928665731c6d6a8f9467308308 cafebabe"),
                        iv = hex("facedbaddecaf888"), aad = hex("0102030400000005");
    const struct octets covered = hex("0102030400000005 facedbaddecaf888 cafe00ff"),
                        nonce = hex("cafebabe facedbaddecaf888");
    struct gh_cipher *c =
        gh_cipher_new(GH_ENC_NULL_AES_GMAC, 128, GH_INTEG_NONE, view_of(&key), (struct gh_view){0});
    struct octets data = hex("cafe00ff");
    uint8_t want[16], icv[16];
    size_t len;
    EVP_MAC *gmac = EVP_MAC_fetch(NULL, "GMAC", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(gmac);
    struct octets n = nonce;
    char name[] = "AES-128-GCM";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("cipher", name, 0),
                                 OSSL_PARAM_construct_octet_string("iv", n.p, n.len),
                                 OSSL_PARAM_construct_end()};

    assert_int_equal(EVP_MAC_init(ctx, key.p, 16, params), 1);
    assert_int_equal(EVP_MAC_update(ctx, covered.p, covered.len), 1);
    assert_int_equal(EVP_MAC_final(ctx, want, &len, sizeof(want)), 1);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(gmac);

    assert_non_null(c);
    assert_true(gh_cipher_seal(c, view_of(&aad), iv.p, data.p, data.len, icv));
    assert_memory_equal(icv, want, 16);
    assert_memory_equal(data.p, covered.p + 16, 4);
    assert_true(gh_cipher_open(c, view_of(&aad), iv.p, data.p, data.len, icv));
    assert_memory_equal(data.p, covered.p + 16, 4);
    gh_cipher_free(c);
}

static struct gh_cipher *cipher_of(unsigned enc, unsigned bits, enum gh_integ_alg integ)
{
    uint8_t keys[128];

    for (size_t i = 0; i < sizeof(keys); i++)
        keys[i] = (uint8_t)(i * 5 + enc);
    return gh_cipher_new((enum gh_enc_alg)enc, bits, integ,
                         gh_view_of(keys, gh_enc_key_len((enum gh_enc_alg)enc, bits)),
                         gh_view_of(keys + 40, gh_integ_key_len(integ)));
}

struct packet {
    uint8_t aad[28], iv[GH_CIPHER_IV_MAX], data[48], tail[4], icv[GH_CIPHER_ICV_MAX];
    size_t tail_len;
};

static bool opens(struct gh_cipher *c, const struct packet *sealed, struct packet *out)
{
    *out = *sealed;
    return gh_cipher_open_tail(c, gh_view_of(out->aad, sizeof(out->aad)), out->iv, out->data,
                               sizeof(out->data), gh_view_of(out->tail, out->tail_len), out->icv);
}

/* A flipped bit in any of `len` octets. */
static void refuses_changes(struct gh_cipher *c, const struct packet *sealed, size_t at, size_t len)
{
    struct packet p = *sealed, out;

    for (size_t i = at; i < at + len; i++) {
        ((uint8_t *)&p)[i] ^= (uint8_t)(1u << i % 8);
        assert_false(opens(c, &p, &out));
        assert_memory_equal(out.data, zero, sizeof(out.data));
        ((uint8_t *)&p)[i] ^= (uint8_t)(1u << i % 8);
    }
}

static void check_pair(unsigned enc, unsigned bits, enum gh_integ_alg integ)
{
    struct gh_cipher *c = cipher_of(enc, bits, integ);
    const bool aead = gh_enc_is_aead((enum gh_enc_alg)enc);
    struct packet plain = {.tail_len = aead ? 0 : sizeof(plain.tail)}, sealed, out;

    assert_non_null(c);
    for (size_t i = 0; i < sizeof(plain.data); i++)
        plain.data[i] = (uint8_t)i;
    sealed = plain;
    assert_true(gh_cipher_seal_tail(c, gh_view_of(sealed.aad, sizeof(sealed.aad)), sealed.iv,
                                    sealed.data, sizeof(sealed.data),
                                    gh_view_of(sealed.tail, sealed.tail_len), sealed.icv));
    if (enc == GH_ENC_NULL || enc == GH_ENC_NULL_AES_GMAC)
        assert_memory_equal(sealed.data, plain.data, sizeof(plain.data));
    else
        assert_memory_not_equal(sealed.data, plain.data, sizeof(plain.data));
    assert_true(opens(c, &sealed, &out));
    assert_memory_equal(out.data, plain.data, sizeof(plain.data));

    refuses_changes(c, &sealed, offsetof(struct packet, aad), sizeof(sealed.aad));
    refuses_changes(c, &sealed, offsetof(struct packet, iv), gh_cipher_iv_len(c));
    refuses_changes(c, &sealed, offsetof(struct packet, data), sizeof(sealed.data));
    refuses_changes(c, &sealed, offsetof(struct packet, tail), sealed.tail_len);
    refuses_changes(c, &sealed, offsetof(struct packet, icv), gh_cipher_icv_len(c));
    /* And refusing has harmed nothing. */
    assert_true(opens(c, &sealed, &out));
    assert_memory_equal(out.data, plain.data, sizeof(plain.data));
    gh_cipher_free(c);
}

static void tampering_is_refused(void **state)
{
    unsigned pairs = 0;

    for (unsigned enc = 0; enc < 300; enc++)
        for (size_t k = 0; k < COUNT(key_bits); k++)
            for (size_t i = 0; i < COUNT(integs); i++)
                if (gh_enc_available((enum gh_enc_alg)enc, key_bits[k]) &&
                    gh_icv_len((enum gh_enc_alg)enc, integs[i]) > 0) {
                    check_pair(enc, key_bits[k], integs[i]);
                    pairs++;
                }
    /* 3 × 7 AEAD and ChaCha20, 2 × 3 + 1 with an implicit IV; CBC and CTR of AES and Camellia,
     * 3DES, NULL (and DES) × 7 MACs */
    assert_int_equal(pairs, 29 + (12 + 2 + (gh_enc_available(GH_ENC_DES, 0) ? 1u : 0u)) * 7);
}

/* Another key, another length of the same data: refused. */
static void what_is_not_ours_is_refused(void **state)
{
    struct gh_cipher *a = cipher_of(GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA2_256_128);
    struct gh_cipher *b = cipher_of(GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE);
    struct gh_cipher *both[] = {a, b};

    for (size_t i = 0; i < 2; i++) {
        uint8_t data[64] = {1, 2, 3}, icv[GH_CIPHER_ICV_MAX], copy[64], iv[16] = {0};
        struct gh_view aad = gh_view_of("header", 6);

        assert_true(gh_cipher_seal(both[i], aad, iv, data, 64, icv));
        memcpy(copy, data, 64);
        assert_false(gh_cipher_open(both[1 - i], aad, iv, copy, 64, icv));
        memcpy(copy, data, 64);
        assert_false(gh_cipher_open(both[i], aad, iv, copy, 48, icv));
        memcpy(copy, data, 64);
        assert_false(gh_cipher_open(both[i], gh_view_of("header", 5), iv, copy, 64, icv));
        memcpy(copy, data, 64);
        assert_false(gh_cipher_open(both[i], (struct gh_view){0}, iv, copy, 64, icv));
        memcpy(copy, data, 64);
        assert_true(gh_cipher_open(both[i], aad, iv, copy, 64, icv));
    }
    gh_cipher_free(a);
    gh_cipher_free(b);
}

static void lengths_of_data(void **state)
{
    for (unsigned enc = 0; enc < 300; enc++)
        for (size_t k = 0; k < COUNT(key_bits); k++) {
            const enum gh_integ_alg integ =
                gh_enc_is_aead((enum gh_enc_alg)enc) ? GH_INTEG_NONE : GH_INTEG_HMAC_SHA2_256_128;
            struct gh_cipher *c;
            uint8_t data[80] = {0}, icv[GH_CIPHER_ICV_MAX], iv[16] = {0};

            if (!gh_enc_available((enum gh_enc_alg)enc, key_bits[k]))
                continue;
            c = cipher_of(enc, key_bits[k], integ);
            assert_int_equal(gh_cipher_block(c), gh_enc_block((enum gh_enc_alg)enc));
            for (size_t len = 0; len <= sizeof(data); len++) {
                const bool fits = len > 0 && len % gh_cipher_block(c) == 0;

                assert_int_equal(gh_cipher_seal(c, (struct gh_view){0}, iv, data, len, icv), fits);
                assert_int_equal(gh_cipher_open(c, (struct gh_view){0}, iv, data, len, icv), fits);
                if (!fits)
                    assert_memory_equal(icv, zero, gh_cipher_icv_len(c));
                /* What an AEAD could not cover is not ignored. */
                if (integ == GH_INTEG_NONE) {
                    const struct gh_view tail = gh_view_of("tail", 4);

                    assert_false(gh_cipher_seal_tail(c, tail, iv, data, len, tail, icv));
                    assert_false(gh_cipher_open_tail(c, tail, iv, data, len, tail, icv));
                }
            }
            gh_cipher_free(c);
        }
}

static void keys_of_wrong_length_are_refused(void **state)
{
    for (unsigned enc = 0; enc < 300; enc++)
        for (size_t k = 0; k < COUNT(key_bits); k++)
            for (size_t i = 0; i < COUNT(integs); i++) {
                const enum gh_enc_alg e = (enum gh_enc_alg)enc;
                const size_t key_len = gh_enc_key_len(e, key_bits[k]),
                             integ_len = gh_integ_key_len(integs[i]);

                if (!gh_enc_available(e, key_bits[k]) || gh_icv_len(e, integs[i]) == 0)
                    continue;
                for (size_t len = 0; len < sizeof(zero); len++) {
                    struct gh_cipher *c =
                        gh_cipher_new(e, key_bits[k], integs[i], gh_view_of(zero, len),
                                      gh_view_of(zero, integ_len));

                    assert_int_equal(c != NULL, len == key_len);
                    gh_cipher_free(c);
                    c = gh_cipher_new(e, key_bits[k], integs[i], gh_view_of(zero, key_len),
                                      gh_view_of(zero, len));
                    assert_int_equal(c != NULL, len == integ_len);
                    gh_cipher_free(c);
                }
            }
}

/* Never encryption without integrity, never two integrities. */
static void pairs_that_may_not_be(void **state)
{
    assert_int_equal(gh_icv_len(GH_ENC_AES_CBC, GH_INTEG_NONE), 0);
    assert_int_equal(gh_icv_len(GH_ENC_NULL, GH_INTEG_NONE), 0);
    assert_int_equal(gh_icv_len(GH_ENC_AES_GCM_16, GH_INTEG_HMAC_SHA1_96), 0);
    assert_null(cipher_of(GH_ENC_AES_CBC, 128, GH_INTEG_NONE));
    assert_null(cipher_of(GH_ENC_AES_CTR, 128, GH_INTEG_NONE));
    assert_null(cipher_of(GH_ENC_NULL, 0, GH_INTEG_NONE));
    assert_null(cipher_of(GH_ENC_AES_GCM_16, 128, GH_INTEG_HMAC_SHA1_96));
    assert_null(cipher_of(GH_ENC_CHACHA20_POLY1305, 0, GH_INTEG_AES_XCBC_96));
    assert_null(cipher_of(GH_ENC_AES_CBC, 128, (enum gh_integ_alg)3));
    assert_null(cipher_of(1, 0, GH_INTEG_HMAC_SHA1_96));
}

static void lengths_of_keys(void **state)
{
    assert_int_equal(gh_enc_key_len(GH_ENC_AES_CBC, 256), 32);
    assert_int_equal(gh_enc_key_len(GH_ENC_AES_CTR, 128), 20);
    assert_int_equal(gh_enc_key_len(GH_ENC_AES_CCM_8, 128), 19);
    assert_int_equal(gh_enc_key_len(GH_ENC_AES_GCM_16, 256), 36);
    assert_int_equal(gh_enc_key_len(GH_ENC_CHACHA20_POLY1305, 0), 36);
    assert_int_equal(gh_enc_key_len(GH_ENC_3DES, 0), 24);
    assert_int_equal(gh_enc_key_len(GH_ENC_NULL, 0), 0);
    /* A key length where there is no choice, none where there is, and one that does not exist. */
    assert_false(gh_enc_known(GH_ENC_CHACHA20_POLY1305, 256));
    assert_false(gh_enc_known(GH_ENC_3DES, 192));
    assert_false(gh_enc_known(GH_ENC_NULL, 128));
    assert_false(gh_enc_known(GH_ENC_AES_CBC, 0));
    assert_false(gh_enc_known(GH_ENC_AES_CBC, 160));
    assert_false(gh_enc_known(GH_ENC_AES_GCM_16, 512));
    assert_true(gh_enc_known(GH_ENC_NULL, 0));
    assert_true(gh_enc_iv_random(GH_ENC_AES_CBC));
    assert_false(gh_enc_iv_random(GH_ENC_AES_GCM_16));
    assert_false(gh_enc_iv_random(GH_ENC_AES_CTR));
    for (unsigned enc = 0; enc < 300; enc++)
        assert_int_equal(gh_enc_iv_implicit((enum gh_enc_alg)enc), enc >= 29 && enc <= 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_ciphertexts),
        cmocka_unit_test(known_icvs),
        cmocka_unit_test(the_model_of_ccm),
        cmocka_unit_test(ccm_is_as_the_model),
        cmocka_unit_test(gmac_covers_everything),
        cmocka_unit_test(tampering_is_refused),
        cmocka_unit_test(what_is_not_ours_is_refused),
        cmocka_unit_test(lengths_of_data),
        cmocka_unit_test(keys_of_wrong_length_are_refused),
        cmocka_unit_test(pairs_that_may_not_be),
        cmocka_unit_test(lengths_of_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
