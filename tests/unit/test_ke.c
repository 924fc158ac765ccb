/*
 * Key exchange: published numbers, numbers computed elsewhere, both sides against each other, and
 * public values that have to be refused.
 */
#include "hex.h"

#include <pthread.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/ke.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The seeds are chosen so that the private keys are the published ones: of ECP, d - 1. */
static const struct {
    const char *source;
    unsigned group;
    const char *seed_i, *seed_r, *public_i, *public_r, *secret;
} answers[] = {
    {"RFC 5903 8.1", 19,
     "0000000000000000c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1432",
     "0000000000000000c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee52",
     "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f"
     "1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
     "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157"
     "854c13c58d6aac23f046ada30f8353e74f33039872ab",
     "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"},
    {"RFC 5903 8.2", 20,
     "0000000000000000099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b"
     "538041e649ee3faef896783ab193",
     "000000000000000041cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e030"
     "8312916b8ed2960e4bd55a7448fb",
     "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c887"
     "32aee95f41aa9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3"
     "c2c947dae69b4c634573a81c",
     "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda"
     "41d0774a3571dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa401"
     "42209dff5eaad96db9e6386c",
     "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5"
     "d4a270f59746"},
    {"RFC 5903 8.3", 21,
     "00000000000000000037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa"
     "85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d4a51",
     "00000000000000000145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c67"
     "7d600b343757a3bdbf2a3163e4c2f869cca7458aa4a4effc311f5cb151685eb8",
     "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380aea"
     "e57c2d107564941885942af5a7f4601723c4195d176ced3e017cae20b6641d2eeb695786d8c946146239"
     "d099e18e1d5a514c739d7cb4a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb"
     "6ca3926f9582",
     "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95bb"
     "0352f6be64a6c2912d4ef2d0433ced2b6171640012d9460f015c68226383956e3bd066e797b623c27ce0"
     "eac2f551a10c2c724d9852077b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44"
     "fcd17f0fc56a",
     "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a34"
     "786859810c06b3c715a3a8cc3151f2bee417996d19f3ddea"},
    {"RFC 7027 A.1", 28,
     "000000000000000081db1ee100150ff2ea338d708271be38300cb54241d79950f77b063039804f1c",
     "000000000000000055e40bc41e37e3e2ad25c3c6654511ffa8474a91a0032087593852d3e7d76bd2",
     "44106e913f92bc02a1705d9953a8414db95e1aaa49e81d9e85f929a8e3100be58ab4846f11caccb73ce4"
     "9cbdd120f5a900a69fd32c272223f789ef10eb089bdc",
     "8d2d688c6cf93e1160ad04cc4429117dc2c41825e1e9fca0addd34e6f1b39f7b990c57520812be512641"
     "e47034832106bc7d3e8dd0e4c7f1136d7006547cec6a",
     "89afc39d41d3b327814b80940b042590f96556ec91e6ae7939bce31f3a18bf2b"},
    {"RFC 8031 A", 31, "751fb4308655b476b6789b7325f9ea8cddd16a58533ff6d9e60009464a5f9d94",
     "0a54645253290d60ddadd0e030bacd9e5501efdc220755a1e978f1b839a05688",
     "48d5ddd4061257ba166fa3f9bbdb74f1a4e81c089384fa77f790709f0dfbc766",
     "0be7c1f5aad87d7e448662673298a443478b859745179eaf564c79c0ef6eee25",
     "c74950607a12327f3204d94b6825bfb068b7f8319a9e3708ed3d43ce8130c950"},
    {"RFC 7748 6.2", 32,
     "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391"
     "006382a6f127ab1d9ac2d8c0a598726b",
     "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21"
     "374c9c921b09d1b0366f10b65173992d",
     "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d4"
     "0c5b12da88120d53177f80e532c41fa0",
     "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13c"
     "a706dcb57aec3dae07bdc1c67bf33609",
     "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936"
     "521c24403085d59a449a5037514a879d"},
};

/*
 * SHA2-256 of both public values and of the secret, for the seeds 1, 8, 15 … and 2, 13, 24 … modulo
 * 256. MODP: computed by Python's pow(), with the primes made from pi by the formulas of RFC 2409
 * and 3526. ML-KEM: computed in Python by the algorithms of FIPS 203, with hashlib's SHA-3.
 */
static const struct {
    unsigned group;
    const char *public_i, *public_r, *secret;
} computed[] = {
    {1, "ee5f6b13778097b8437ccea1279da850d5960cadf01839e9b1fb7a8e798971bf",
     "64ce62c2ad627b255d3a2ed2bf473e433f9c87a1db9c3c9b7ba271c84f23c33e",
     "0ad39b243ea37a408b747699928690cca983267428c2d216297d47e41523ea3a"},
    {2, "1a7198bd991b1337489a9a498da7a791d1450cbd0927a08b811a058b5836e1fc",
     "381e84ae3804f46c355b3b2cbb39cca49bcdb6c42d0e15b94a03074607e1acbe",
     "196f7988a7e759ad1db091ba902811730b28ad37da653ee6c8f7f44b0b505178"},
    {5, "6626dbbc65cbaed49d52b3d0e2995c3fa467b355af16d5474df3d4a5aeb89697",
     "282c92b3d48ffbd262c5f2da64bec87cb26c013a29061f4a72193da7cf7cbcc2",
     "1347181d4dc27ff6e4d2862756b248e798682762442a8b06aaee342a64e8d292"},
    {14, "688b73ccffa631130635f80eda46360fe324a18ad422f6981fd96130cee52859",
     "37d63014af6210706f78988d8d9ae4f7396635d1dd9fcc2d49ae430bbbfeb385",
     "b83335dea21e6f0faa202536168a143b4df49a40d3b62ff48a93e23bdc0098d2"},
    {15, "dac03c1fc3f5e9a6432d5b0d70ceec3214ab5521857cde0c7bf38d6bdd4147a1",
     "0e6d267f3cfcbbf543f1356391b2930ca957c4b92c832ea483920b54921f40b8",
     "2d16dd3f634c9b0cd37fd5bcd43b87bb2adc81192f5121bad6112cf6ab7cb0b7"},
    {16, "4dab27c15dceb14605547ad4617a10a391386f70c401b3aa395fa998fd56f1a3",
     "120c38a9850c6abeae4cbfc63f35a40ebe9d53e60592079ec2e0a88a1d84e6fb",
     "fd363f513fe025efd34b5f190950621c3d3b8d3ff643f4a48b675983cb283e19"},
    {17, "adbcacc332044018115e9b907f09c747df243ad1ca74d4f004a1e2c209ce676a",
     "93c1c26d4e7f2accd2bae77bd37ca08bd5ce107af143f1005506d42735a9c66b",
     "f2bd1f4a1e0814f7db4e0b920e6468fa45e0df35cd41e723946d70a634489194"},
    {18, "014f3f10cfee01e5932a9e6c591ad9fe8a009e81b21f51907ce0138bd5cfd626",
     "b4aab717bc981ee58472f731292365586aed081f218a72bd9e23da9c45428978",
     "f93b0486c2d37d581990482dfb76737c27156bbb4ae0810951f367187cac364c"},
    {35, "5b37141f90d6704242a9ea7a3a0724398a45758d03f012ef85afdd3a59392211",
     "44e6e04f84385e824ad0c8220cf55b610a8482c2348426eba7d45f1493122e94",
     "abdc828ec9b1880655f70a7bb980e164d6b8fcc81de5b01b04bf3d98448d03a7"},
    {36, "7e15f7c17db9bc5ad298e8e9d4c4b6829a3f76c1dd0b4c00032fdefb00a66226",
     "faabf2f3dfeb4e26ea53353961a671c3506d24c00332b72581b69e867ccc7b53",
     "8a5beae759f2de52452294f8646349d7a1dd8dbe55276f86b7f1475322b1c9b8"},
    {37, "e408df2edbdca5b7e82ec5b229cf77805d25c087c6ce4eee4f876786a6f7b84a",
     "0d0afe78bbe7b9a58409398f6fde589e40611253b97d8719e82e6df4ba064d54",
     "bdb99295e34982032b969a5d59e42fd10a3ee0321957ac95de5ecd4aa8cf75a3"},
};

static const unsigned all[] = {1,  2,  5,  14, 15, 16, 17, 18, 19, 20,
                               21, 28, 29, 30, 31, 32, 35, 36, 37};

struct seed {
    uint8_t octets[GH_KE_SEED_MAX];
};

static struct gh_view seed_of(struct seed *s, unsigned group, unsigned step, unsigned first)
{
    const size_t len = gh_ke_seed_len(group);

    assert_true(len > 0 && len <= sizeof(s->octets));
    for (size_t i = 0; i < len; i++)
        s->octets[i] = (uint8_t)(i * step + first);
    return gh_view_of(s->octets, len);
}

static void assert_digest(const char *want_text, struct gh_view octets)
{
    const struct octets want = hex(want_text);
    uint8_t digest[GH_HASH_MAX];

    assert_true(gh_hash(GH_HASH_SHA2_256, &octets, 1, digest));
    assert_memory_equal(digest, want.p, 32);
}

static struct gh_view secret_view(const struct gh_secret *s)
{
    return gh_view_of(s->data, s->len);
}

static void *use_every_group(void *arg)
{
    struct gh_ke **made = arg;

    for (size_t i = 0; i < COUNT(all); i++) {
        uint8_t seed[GH_KE_SEED_MAX] = {1, 2, 3};

        made[i] = gh_ke_available(all[i])
                      ? gh_ke_new(all[i], gh_view_of(seed, gh_ke_seed_len(all[i])))
                      : NULL;
    }
    return NULL;
}

/* Runs first: the groups are prepared at their first use, by whoever comes. */
static void first_use_by_many_threads(void **state)
{
    static struct gh_ke *made[4][COUNT(all)];
    pthread_t threads[COUNT(made)];

    for (size_t t = 0; t < COUNT(made); t++)
        assert_int_equal(pthread_create(&threads[t], NULL, use_every_group, made[t]), 0);
    for (size_t t = 0; t < COUNT(made); t++)
        assert_int_equal(pthread_join(threads[t], NULL), 0);
    for (size_t i = 0; i < COUNT(all); i++) {
        for (size_t t = 0; t < COUNT(made); t++) {
            assert_int_equal(made[t][i] != NULL, gh_ke_available(all[i]));
            if (made[t][i] != NULL)
                assert_true(gh_view_equal(gh_ke_public(made[t][i]), gh_ke_public(made[0][i])));
        }
        for (size_t t = 0; t < COUNT(made); t++)
            gh_ke_free(made[t][i]);
    }
}

static void known_answers(void **state)
{
    for (size_t i = 0; i < COUNT(answers); i++) {
        const unsigned group = answers[i].group;
        const struct octets seed_i = hex(answers[i].seed_i), seed_r = hex(answers[i].seed_r),
                            public_i = hex(answers[i].public_i),
                            public_r = hex(answers[i].public_r), want = hex(answers[i].secret);
        struct gh_ke *ke = gh_ke_new(group, view_of(&seed_i));
        struct gh_secret secret = {0};
        uint8_t public_value[GH_KE_PUBLIC_MAX];

        assert_non_null(ke);
        assert_int_equal(gh_ke_group(ke), group);
        assert_true(gh_view_equal(gh_ke_public(ke), view_of(&public_i)));
        assert_true(gh_ke_answer(group, view_of(&seed_r), gh_ke_public(ke), public_value, &secret));
        assert_memory_equal(public_value, public_r.p, public_r.len);
        assert_int_equal(gh_ke_public_len(group, true), public_r.len);
        assert_true(gh_view_equal(secret_view(&secret), view_of(&want)));
        gh_secret_clear(&secret);
        assert_true(gh_ke_shared(ke, view_of(&public_r), &secret));
        assert_true(gh_view_equal(secret_view(&secret), view_of(&want)));
        gh_secret_clear(&secret);
        gh_ke_free(ke);
    }
}

/* Of all groups, only these may be missing. */
static bool is_ml_kem(unsigned group)
{
    return group >= GH_KE_ML_KEM_512 && group <= GH_KE_ML_KEM_1024;
}

static void as_computed_elsewhere(void **state)
{
    for (size_t i = 0; i < COUNT(computed); i++) {
        const unsigned group = computed[i].group;
        struct seed a, b;
        struct gh_ke *ke = gh_ke_new(group, seed_of(&a, group, 7, 1));
        struct gh_secret secret = {0};
        uint8_t public_value[GH_KE_PUBLIC_MAX];

        if (ke == NULL && is_ml_kem(group)) {
            print_message("group %u: this OpenSSL does not have ML-KEM\n", group);
            continue;
        }
        assert_non_null(ke);
        assert_digest(computed[i].public_i, gh_ke_public(ke));
        assert_true(gh_ke_answer(group, seed_of(&b, group, 11, 2), gh_ke_public(ke), public_value,
                                 &secret));
        assert_digest(computed[i].public_r,
                      gh_view_of(public_value, gh_ke_public_len(group, true)));
        assert_digest(computed[i].secret, secret_view(&secret));
        gh_secret_clear(&secret);
        assert_true(
            gh_ke_shared(ke, gh_view_of(public_value, gh_ke_public_len(group, true)), &secret));
        assert_digest(computed[i].secret, secret_view(&secret));
        gh_secret_clear(&secret);
        gh_ke_free(ke);
    }
}

static void both_sides_agree(void **state)
{
    for (size_t i = 0; i < COUNT(all); i++) {
        const unsigned group = all[i];
        struct gh_secret ours = {0}, theirs = {0};
        struct seed a, b;
        struct gh_ke *ke, *same;
        uint8_t answer[GH_KE_PUBLIC_MAX], again[GH_KE_PUBLIC_MAX];
        const size_t len = gh_ke_public_len(group, true);

        assert_true(gh_ke_known(group));
        seed_of(&a, group, 3, 5);
        if (!gh_ke_available(group)) {
            assert_true(is_ml_kem(group));
            assert_null(gh_ke_new(group, seed_of(&a, group, 3, 5)));
            print_message("group %u: this OpenSSL does not have ML-KEM\n", group);
            continue;
        }
        ke = gh_ke_new(group, seed_of(&a, group, 3, 5));
        same = gh_ke_new(group, seed_of(&a, group, 3, 5));
        assert_non_null(ke);
        assert_non_null(same);
        assert_int_equal(gh_ke_public(ke).len, gh_ke_public_len(group, false));
        assert_true(gh_view_equal(gh_ke_public(ke), gh_ke_public(same)));
        for (int round = 0; round < 3; round++) {
            assert_true(
                gh_ke_answer(group, seed_of(&b, group, 5, 9), gh_ke_public(ke), answer, &theirs));
            assert_true(
                gh_ke_answer(group, seed_of(&b, group, 5, 9), gh_ke_public(ke), again, &theirs));
            assert_memory_equal(answer, again, len);
            assert_true(gh_ke_shared(round < 2 ? ke : same, gh_view_of(answer, len), &ours));
            assert_true(gh_secret_equal(&ours, &theirs));
            assert_true(ours.len >= 32);
        }
        /* Another seed, another exchange. */
        assert_true(
            gh_ke_answer(group, seed_of(&b, group, 5, 10), gh_ke_public(ke), again, &theirs));
        assert_memory_not_equal(answer, again, len);
        assert_false(gh_secret_equal(&ours, &theirs));
        gh_secret_clear(&ours);
        gh_secret_clear(&theirs);
        gh_ke_free(ke);
        gh_ke_free(same);
    }
}

/* Refused by both sides; and whoever is refused has changed nothing. */
static void assert_refused(unsigned group, struct gh_view peer)
{
    struct seed a;
    struct gh_ke *ke = gh_ke_new(group, seed_of(&a, group, 3, 5));
    struct gh_secret secret = {0};
    uint8_t answer[GH_KE_PUBLIC_MAX];

    assert_non_null(ke);
    assert_true(gh_secret_set(&secret, (const uint8_t *)"before", 6));
    memset(answer, 0xa5, sizeof(answer));
    assert_false(gh_ke_shared(ke, peer, &secret));
    assert_false(gh_ke_answer(group, seed_of(&a, group, 3, 5), peer, answer, &secret));
    for (size_t i = 0; i < sizeof(answer); i++)
        assert_int_equal(answer[i], 0xa5);
    assert_int_equal(secret.len, 6);
    assert_memory_equal(secret.data, "before", 6);
    gh_secret_clear(&secret);
    gh_ke_free(ke);
}

static void wrong_lengths_are_refused(void **state)
{
    for (size_t i = 0; i < COUNT(all); i++) {
        const unsigned group = all[i];
        uint8_t value[GH_KE_PUBLIC_MAX + 1] = {0};
        struct gh_ke *ke;
        struct seed s;

        if (!gh_ke_available(group))
            continue;
        ke = gh_ke_new(group, seed_of(&s, group, 3, 5));
        memcpy(value + 1, gh_ke_public(ke).p, gh_ke_public(ke).len);
        assert_refused(group, (struct gh_view){0});
        if (gh_ke_public_len(group, false) == gh_ke_public_len(group, true)) {
            assert_refused(group, gh_view_of(value + 1, gh_ke_public(ke).len - 1));
            assert_refused(group, gh_view_of(value, gh_ke_public(ke).len + 1));
        }
        assert_null(gh_ke_new(group, gh_view_of(value, gh_ke_seed_len(group) - 1)));
        assert_null(gh_ke_new(group, gh_view_of(value, gh_ke_seed_len(group) + 1)));
        gh_ke_free(ke);
    }
}

/* RFC 6989 2.1: 1 < y < p - 1. The primes all end in 64 ones. */
static void modp_out_of_range_is_refused(void **state)
{
    static const char prime_768[] =
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22"
        "514a08798e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6"
        "f44c42e9a63a3620ffffffffffffffff";

    for (size_t i = 0; i < COUNT(computed) && !is_ml_kem(computed[i].group); i++) {
        const size_t len = gh_ke_public_len(computed[i].group, false);
        uint8_t y[GH_KE_PUBLIC_MAX] = {0};

        assert_refused(computed[i].group, gh_view_of(y, len));
        y[len - 1] = 1;
        assert_refused(computed[i].group, gh_view_of(y, len));
        memset(y, 0xff, len);
        assert_refused(computed[i].group, gh_view_of(y, len));
    }
    for (unsigned below = 0; below < 4; below++) {
        struct octets y = hex(prime_768);

        y.p[y.len - 1] = (uint8_t)(0xff - below);
        if (below < 2) {
            assert_refused(GH_KE_MODP_768, view_of(&y)); /* p and p - 1 */
        } else {
            struct gh_secret secret = {0};
            struct seed s;
            uint8_t answer[GH_KE_PUBLIC_MAX];

            assert_true(gh_ke_answer(GH_KE_MODP_768, seed_of(&s, GH_KE_MODP_768, 3, 5), view_of(&y),
                                     answer, &secret));
            gh_secret_clear(&secret);
        }
    }
}

/* RFC 6989 2.3: on the curve, whatever bit was changed. */
static void points_off_the_curve_are_refused(void **state)
{
    static const unsigned curves[] = {19, 20, 21, 28, 29, 30};

    for (size_t i = 0; i < COUNT(curves); i++) {
        const size_t len = gh_ke_public_len(curves[i], false);
        uint8_t point[GH_KE_PUBLIC_MAX] = {0};
        struct gh_ke *ke;
        struct seed s;

        assert_refused(curves[i], gh_view_of(point, len));
        memset(point, 0xff, len);
        assert_refused(curves[i], gh_view_of(point, len));
        ke = gh_ke_new(curves[i], seed_of(&s, curves[i], 3, 5));
        memcpy(point, gh_ke_public(ke).p, len);
        for (size_t n = 0; n < len; n += 5) {
            point[n] ^= 1;
            assert_refused(curves[i], gh_view_of(point, len));
            point[n] ^= 1;
        }
        gh_ke_free(ke);
    }
}

/* On P-256, x = p + 5 stands for a point whose x is 5: the coordinate has to be below p. */
static void coordinates_not_reduced_are_refused(void **state)
{
    /* x = 5, and y of it; then x + p. */
    const struct octets low =
                            hex("0000000000000000000000000000000000000000000000000000000000000005"
                                "459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc"),
                        high =
                            hex("ffffffff00000001000000000000000000000001000000000000000000000004"
                                "459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc");
    struct gh_secret secret = {0};
    struct seed s;
    uint8_t answer[GH_KE_PUBLIC_MAX];

    assert_true(gh_ke_answer(GH_KE_ECP_256, seed_of(&s, GH_KE_ECP_256, 3, 5), view_of(&low), answer,
                             &secret));
    assert_refused(GH_KE_ECP_256, view_of(&high));
    gh_secret_clear(&secret);
}

/* RFC 7748 6: points of small order give a secret of zeros, whoever's key it is. */
static void small_orders_are_refused(void **state)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    uint8_t x448[56] = {0};

    for (size_t i = 0; i < COUNT(points); i++) {
        const struct octets point = hex(points[i]);

        assert_refused(GH_KE_X25519, view_of(&point));
    }
    assert_refused(GH_KE_X448, gh_view_of(x448, sizeof(x448)));
    x448[0] = 1;
    assert_refused(GH_KE_X448, gh_view_of(x448, sizeof(x448)));
}

/* FIPS 203: a key with a coefficient that is not below q is refused by the responder; a ciphertext
 * that was changed gives another secret, for the initiator must not show that it saw it. */
static void ml_kem_refuses_keys_and_hides_ciphertexts(void **state)
{
    for (unsigned group = GH_KE_ML_KEM_512; group <= GH_KE_ML_KEM_1024; group++) {
        const size_t len = gh_ke_public_len(group, true);
        struct gh_secret ours = {0}, theirs = {0};
        uint8_t key[GH_KE_PUBLIC_MAX], answer[GH_KE_PUBLIC_MAX];
        struct seed s;
        struct gh_ke *ke;

        if (!gh_ke_available(group)) {
            print_message("group %u: this OpenSSL does not have ML-KEM\n", group);
            continue;
        }
        ke = gh_ke_new(group, seed_of(&s, group, 3, 5));
        memcpy(key, gh_ke_public(ke).p, gh_ke_public(ke).len);
        assert_true(
            gh_ke_answer(group, seed_of(&s, group, 5, 9), gh_ke_public(ke), answer, &theirs));
        answer[len - 1] ^= 1;
        assert_true(gh_ke_shared(ke, gh_view_of(answer, len), &ours));
        assert_false(gh_secret_equal(&ours, &theirs));
        assert_false(gh_ke_shared(ke, gh_view_of(answer, len - 1), &ours));
        memset(key, 0xff, 3); /* two coefficients of 4095 */
        assert_false(gh_ke_answer(group, seed_of(&s, group, 5, 9),
                                  gh_view_of(key, gh_ke_public(ke).len), answer, &theirs));
        assert_false(gh_ke_answer(group, seed_of(&s, group, 5, 9),
                                  gh_view_of(gh_ke_public(ke).p, gh_ke_public(ke).len - 1), answer,
                                  &theirs));
        gh_secret_clear(&ours);
        gh_secret_clear(&theirs);
        gh_ke_free(ke);
    }
}

static void unknown_groups_are_refused(void **state)
{
    const uint8_t seed[GH_KE_SEED_MAX] = {1};
    struct gh_secret secret = {0};
    uint8_t answer[GH_KE_PUBLIC_MAX];

    for (unsigned group = 0; group < 70000; group++) {
        bool known = false;

        for (size_t i = 0; i < COUNT(all); i++)
            known = known || all[i] == group;
        assert_int_equal(gh_ke_known(group), known);
        if (known)
            continue;
        assert_false(gh_ke_available(group));
        assert_int_equal(gh_ke_public_len(group, false), 0);
        assert_int_equal(gh_ke_seed_len(group), 0);
        assert_null(gh_ke_new(group, (struct gh_view){0}));
        assert_null(gh_ke_new(group, gh_view_of(seed, 32)));
        assert_false(
            gh_ke_answer(group, gh_view_of(seed, 32), gh_view_of(seed, 32), answer, &secret));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_use_by_many_threads),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(as_computed_elsewhere),
        cmocka_unit_test(both_sides_agree),
        cmocka_unit_test(wrong_lengths_are_refused),
        cmocka_unit_test(modp_out_of_range_is_refused),
        cmocka_unit_test(points_off_the_curve_are_refused),
        cmocka_unit_test(coordinates_not_reduced_are_refused),
        cmocka_unit_test(small_orders_are_refused),
        cmocka_unit_test(ml_kem_refuses_keys_and_hides_ciphertexts),
        cmocka_unit_test(unknown_groups_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
