/*
 * OpenSSL as a back end: one packet after the other.
 */
#include "ipsec/crypt.h"

static void *start(void)
{
    static char always; /* there is nothing to keep */

    return &always;
}

static void stop(void *state)
{
}

static void *key_new(void *state, const struct ipsec_crypt_algs *algs, bool seal)
{
    return gh_cipher_new(algs->enc, algs->bits, algs->integ, algs->enc_key, algs->integ_key);
}

static void key_free(void *key)
{
    gh_cipher_free(key);
}

static void run(void *state, struct ipsec_crypt_job *const *jobs, void *const *keys, size_t count,
                bool seal)
{
    for (size_t i = 0; i < count; i++) {
        struct ipsec_crypt_job *j = jobs[i];
        struct gh_view aad = {j->aad, j->aad_len}, tail = {j->tail, j->tail_len};

        j->ok = seal ? gh_cipher_seal_tail(keys[i], aad, j->iv, j->data, j->len, tail, j->icv)
                     : gh_cipher_open_tail(keys[i], aad, j->iv, j->data, j->len, tail, j->icv);
    }
}

const struct ipsec_crypt_ops ipsec_crypt_openssl = {
    .name = "openssl",
    .start = start,
    .stop = stop,
    .key_new = key_new,
    .key_free = key_free,
    .run = run,
};
