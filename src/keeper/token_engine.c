/*
 * The key of a token through OpenSSL's engine `pkcs11` (libp11).
 *
 * OpenSSL 3 calls engines deprecated and OpenSSL 4 has none, but Debian 12 has no provider outside
 * its backports. This is the only file that uses the old interface, and the only one that asks not
 * to be warned of it; it goes when Debian 12 does. The engine knows RSA and ECDSA, and reads all
 * keys of a token before it picks one: an Ed25519 key among them makes it fail.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "keeper/token_priv.h"

#include <openssl/opensslconf.h>

#if defined(OPENSSL_NO_ENGINE) || OPENSSL_VERSION_MAJOR >= 4

EVP_PKEY *gh_token_engine_load(const struct gh_pkcs11_uri *u, UI_METHOD *ui, void *pin, bool *there)
{
    *there = false;
    return NULL;
}

#else

#include <openssl/engine.h>

EVP_PKEY *gh_token_engine_load(const struct gh_pkcs11_uri *u, UI_METHOD *ui, void *pin, bool *there)
{
    ENGINE *engine;

    ENGINE_load_builtin_engines();
    engine = ENGINE_by_id("pkcs11");
    *there = engine != NULL;
    if (engine == NULL)
        return NULL;
    if (ENGINE_ctrl_cmd_string(engine, "QUIET", NULL, 0) != 1 ||
        ENGINE_ctrl_cmd_string(engine, "MODULE_PATH", u->module, 0) != 1 ||
        ENGINE_init(engine) != 1) {
        ENGINE_free(engine);
        return NULL;
    }
    return ENGINE_load_private_key(engine, u->object, ui, pin); /* the engine stays with the key */
}

#endif
