/*
 * The cryptography of packets in batches, over one of several back ends: OpenSSL (crypt_openssl.c,
 * always there) and intel-ipsec-mb (crypt_mb.c), which works on several packets at a time.
 *
 * A back end is chosen when the engine is made. A key is one direction of one SA and belongs to
 * the back end that made it: all that depends on the key alone is computed then, and a packet
 * neither allocates nor sets a key up. What a back end does not do itself it hands to OpenSSL, so
 * that every algorithm works with each. Which algorithms and octets: src/crypto/cipher.h.
 *
 * One ipsec_crypt and all its keys are for one thread. Keys are freed before it.
 */
#ifndef IPSEC_CRYPT_H
#define IPSEC_CRYPT_H

#include "crypto/cipher.h"

enum {
    IPSEC_BATCH = 64,    /* jobs that run at once, at most */
    IPSEC_AAD_MAX = 320, /* AH: an IP header with options or extension headers */
    IPSEC_TAIL = 4       /* the high half of an extended sequence number */
};

struct ipsec_crypt;
struct ipsec_crypt_key;

struct ipsec_crypt_job {
    struct ipsec_crypt_key *key;
    const uint8_t *iv;
    uint8_t *data; /* sealed or opened in place */
    size_t len;
    uint8_t *icv; /* sealing writes it, opening reads it */
    uint8_t aad[IPSEC_AAD_MAX];
    size_t aad_len;
    uint8_t tail[IPSEC_TAIL];
    size_t tail_len; /* 0 or IPSEC_TAIL: what the MAC covers behind the data; none with AEAD */
    bool ok;         /* false: as with gh_cipher_seal() and gh_cipher_open(), data is wiped */
};

struct ipsec_crypt_algs {
    enum gh_enc_alg enc;
    unsigned bits; /* of the key, where the algorithm has several lengths; else 0 */
    enum gh_integ_alg integ;
    struct gh_view enc_key, integ_key; /* copied */
};

/* What one back end is. */
struct ipsec_crypt_ops {
    const char *name;
    /* NULL: not on this machine (no library, not these CPU flags). */
    void *(*start)(void);
    void (*stop)(void *state);
    /* NULL: not this algorithm; then OpenSSL takes the SA. */
    void *(*key_new)(void *state, const struct ipsec_crypt_algs *algs, bool seal);
    void (*key_free)(void *key); /* wipes */
    /* The jobs are of one direction and all have keys of this back end; `keys` are theirs. */
    void (*run)(void *state, struct ipsec_crypt_job *const *jobs, void *const *keys, size_t count,
                bool seal);
};

extern const struct ipsec_crypt_ops ipsec_crypt_openssl;
extern const struct ipsec_crypt_ops ipsec_crypt_mb;

/* name: "openssl", "ipsec-mb", or NULL for the fastest there is. NULL: not there, or no memory.
 * Call it before entering a sandbox: it may load a library. */
struct ipsec_crypt *ipsec_crypt_new(const char *name);
void ipsec_crypt_free(struct ipsec_crypt *c); /* NULL is fine */
const char *ipsec_crypt_name(const struct ipsec_crypt *c);

/*
 * seal: for sealing, else for opening. in_line: the first octets of each job's `aad` that are not
 * the IV's stand right before `iv`, and this right before `data` (ESP): only then may a back end
 * that reads one piece of memory take the key. NULL: as gh_cipher_new().
 */
struct ipsec_crypt_key *ipsec_crypt_key_new(struct ipsec_crypt *c,
                                            const struct ipsec_crypt_algs *algs, bool seal,
                                            bool in_line);
void ipsec_crypt_key_free(struct ipsec_crypt_key *key); /* wipes; NULL is fine */
/* The name of the back end that does the work of this key. */
const char *ipsec_crypt_key_by(const struct ipsec_crypt_key *key);

/* Begins to fetch a key that will be used when the batch is complete. */
void ipsec_crypt_key_prefetch(const struct ipsec_crypt_key *key);

/* At most IPSEC_BATCH jobs, all sealing or all opening; sets `ok` in each. */
void ipsec_crypt_run(struct ipsec_crypt *c, struct ipsec_crypt_job *const *jobs, size_t count,
                     bool seal);

#endif
