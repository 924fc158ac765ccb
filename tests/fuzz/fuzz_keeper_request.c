/*
 * What the keeper reads from the process that faces the network: an attacker who owns that one must
 * not own the keys. Orders and answers, too, for they come through the same reader.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/order.h"
#include "keeper/pkcs11_uri.h"
#include "keeper/request.h"
#include "keeper/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Secrets only: a signature for every input would leave no time for inputs. */
static struct gh_keeper_store *store(void)
{
    static struct gh_keeper_store *s;
    struct gh_secret secret = {.data = NULL};

    if (s != NULL)
        return s;
    s = gh_keeper_store_new();
    if (!gh_secret_set(&secret, (const uint8_t *)"secret", 6) ||
        !gh_keeper_store_add_secret(s, GH_SECRET_PSK, "peer", &secret, NULL) ||
        !gh_secret_set(&secret, (const uint8_t *)"secret", 6) ||
        !gh_keeper_store_add_secret(s, GH_SECRET_PPK, "ppk", &secret, NULL))
        abort();
    return s;
}

static void read_request(struct gh_view in)
{
    struct gh_keeper_request r;
    struct gh_keeper_answer a;
    struct gh_wr w;
    uint8_t *again, *answer;
    size_t len;

    if (!gh_keeper_request_parse(in, &r)) {
        if (gh_keeper_store_answer(store(), in, &len) != NULL)
            abort(); /* answered what is no request */
        return;
    }
    again = malloc(in.len);
    w = gh_wr_make(again, in.len);
    if (!gh_keeper_request_put(&w, &r) || w.len != in.len || memcmp(again, in.p, in.len) != 0)
        abort(); /* one encoding for each value */
    free(again);
    if (r.kind == GH_KEEPER_LIST && in.len > 5)
        abort();
    answer = gh_keeper_store_answer(store(), in, &len);
    if (answer == NULL || !gh_keeper_answer_parse(gh_view_of(answer, len), &a) || a.id != r.id)
        abort();
    if (a.result == GH_KEEPER_OK && r.kind != GH_KEEPER_LIST &&
        !gh_view_equal(r.name, gh_view_of(r.kind == GH_KEEPER_PSK ? "peer" : "ppk",
                                          r.kind == GH_KEEPER_PSK ? 4 : 3)))
        abort(); /* answered without the right name */
    free(answer);
}

static void read_order(struct gh_view in)
{
    struct gh_keeper_order o;
    uint8_t *again;
    size_t len;

    if (!gh_keeper_order_decode(in, &o))
        return;
    again = gh_keeper_order_encode(&o, &len);
    if (again == NULL || len != in.len || memcmp(again, in.p, len) != 0)
        abort();
    free(again);
    gh_keeper_order_clear(&o);
}

static void read_list(struct gh_view in)
{
    struct gh_keeper_entry e;

    while (gh_keeper_entry_next(&in, &e))
        for (size_t i = 0; i <= e.cert_count; i++) {
            struct gh_view der = gh_keeper_entry_cert(&e, i);

            if (der.len > 0 && (der.p < e.certs.p || der.p + der.len > e.certs.p + e.certs.len))
                abort();
        }
}

/* Of a token: what is taken names a module by its path and has no query left. */
static void read_uri(struct gh_view in)
{
    char *text = strndup((const char *)in.p, in.len);
    struct gh_pkcs11_uri u;

    if (gh_pkcs11_uri_parse(text, &u, NULL)) {
        if (u.module[0] != '/' || strncmp(u.object, "pkcs11:", 7) != 0 ||
            strchr(u.object, '?') != NULL || strstr(u.object, "type=private") == NULL)
            abort();
        gh_pkcs11_uri_clear(&u);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_view in = gh_view_of(data, size);
    struct gh_keeper_answer a;

    read_request(in);
    read_order(in);
    read_list(in);
    read_uri(in);
    (void)gh_keeper_answer_parse(in, &a);
    return 0;
}
