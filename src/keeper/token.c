#include "keeper/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>

#include "keeper/token_priv.h"

struct pin {
    struct gh_view digits;
    bool given;
};

/* In place of OpenSSL's, which would ask on a terminal. */
static int give_pin(char *buf, int size, int writing, void *ctx)
{
    struct pin *pin = ctx;

    if (pin->digits.len == 0 || pin->digits.len > (size_t)size)
        return -1;
    pin->given = true;
    memcpy(buf, pin->digits.p, pin->digits.len);
    return (int)pin->digits.len;
}

/* It runs with the rights of who opens the key, so only root may have put it there. */
static bool check_module(const char *path, struct gh_pki_error *e)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return gh_pki_fail(e, "token-module", "install it, or correct module-path",
                           "the PKCS #11 module %.200s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022) != 0)
        return gh_pki_fail(e, "token-module", "chown root and chmod 644 it, or name another",
                           "the PKCS #11 module %.200s is not a file that only root can write",
                           path);
    return true;
}

/* ---- The provider --------------------------------------------------------------------------- */

static EVP_PKEY *first_key(OSSL_STORE_CTX *store)
{
    EVP_PKEY *key = NULL;

    while (key == NULL && OSSL_STORE_eof(store) == 0) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);

        if (info == NULL)
            break;
        key = OSSL_STORE_INFO_get1_PKEY(info); /* NULL: it is something else */
        OSSL_STORE_INFO_free(info);
    }
    return key;
}

static EVP_PKEY *load_by_provider(const char *object, UI_METHOD *ui, struct pin *pin)
{
    OSSL_STORE_CTX *store =
        OSSL_STORE_open_ex(object, NULL, "provider=pkcs11", ui, pin, NULL, NULL, NULL);
    EVP_PKEY *key = NULL;

    if (store != NULL && OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY) == 1)
        key = first_key(store);
    OSSL_STORE_close(store);
    return key;
}

/* Without the default provider beside it nothing else would be left to verify and to hash with. */
static bool has_provider(const char *module)
{
    bool there = setenv("PKCS11_PROVIDER_MODULE", module, 1) == 0 &&
                 OSSL_PROVIDER_load(NULL, "default") != NULL &&
                 OSSL_PROVIDER_load(NULL, "pkcs11") != NULL;

    ERR_clear_error();
    return there;
}

/* ---- Both ----------------------------------------------------------------------------------- */

static bool no_key(bool there, bool given, struct gh_pki_error *e)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    const char *dash = reason != NULL ? ": " : "";

    ERR_clear_error();
    reason = reason != NULL ? reason : "";
    if (!there)
        return gh_pki_fail(e, "token-openssl",
                           "install pkcs11-provider (or libengine-pkcs11-openssl)",
                           "OpenSSL has neither a provider nor an engine for PKCS #11");
    if (given)
        return gh_pki_fail(e, "token-key", "look at pin-file, and at the key's name in the token",
                           "the token was given its PIN but shows no such private key%s%s", dash,
                           reason);
    return gh_pki_fail(e, "token-key",
                       "is it plugged in, may the user gatehouse use it, does it need a pin-file?",
                       "no token shows that private key%s%s", dash, reason);
}

static EVP_PKEY *load(const struct gh_pkcs11_uri *u, struct pin *pin, struct gh_pki_error *e)
{
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(give_pin, 0); /* never freed: a key may ask */
    EVP_PKEY *key;
    bool there;

    if (ui == NULL) {
        gh_pki_fail(e, "no-memory", "free some memory", "out of memory");
        return NULL;
    }
    there = has_provider(u->module);
    key = there ? load_by_provider(u->object, ui, pin) : gh_token_engine_load(u, ui, pin, &there);
    if (key == NULL)
        no_key(there, pin->given, e);
    return key;
}

struct gh_privkey *gh_token_open(const char *uri, struct gh_view pin, struct gh_view spki,
                                 bool *pin_given, struct gh_pki_error *e)
{
    static struct pin asked; /* as long as the key, whose login may be renewed */
    struct gh_pkcs11_uri u;
    EVP_PKEY *key;

    *pin_given = false;
    if (!gh_pkcs11_uri_parse(uri, &u, e))
        return NULL;
    asked = (struct pin){.digits = pin};
    key = check_module(u.module, e) ? load(&u, &asked, e) : NULL;
    gh_pkcs11_uri_clear(&u);
    *pin_given = asked.given;
    return key != NULL ? gh_privkey_of_token(key, spki, e) : NULL;
}
