/*
 * ID payloads of peers who have proved nothing yet: parsed, printed, compared, matched against the
 * client database's patterns. The same octets as text are what a configuration may say.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pki/identity.h"
#include "pki/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match_all(const struct gh_identity *id)
{
    static const char *const texts[] = {"any",           "192.0.2.0/24",   "ipv6:any",
                                        "*.example.net", "*@example.net",  "gw-*",
                                        "key-id:gw-*",   "regex:(gw|a+)*", "CN=gw"};
    static struct gh_pattern *patterns[sizeof(texts) / sizeof(texts[0])];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (patterns[i] == NULL)
            patterns[i] = gh_pattern_new(texts[i], NULL);
        if (gh_pattern_match(patterns[i], id) == GH_MATCH_FAILED)
            abort();
    }
}

static void check(const struct gh_identity *id)
{
    char text[GH_ID_TEXT];
    uint8_t mem[GH_ID_BODY];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_identity again;

    gh_identity_put(&w, id);
    if (!gh_wr_ok(&w) || !gh_identity_parse(gh_view_of(mem, w.len), &again) ||
        again.type != id->type || again.len != id->len ||
        memcmp(again.data, id->data, id->len) != 0 || !gh_identity_equal(id, &again))
        abort();
    gh_identity_format(id, text, sizeof(text));
    for (const char *c = text; *c != '\0'; c++)
        if (*c < 0x20 || *c > 0x7e)
            abort(); /* a peer writes into our log */
    if (id->type != GH_ID_DN &&
        (!gh_identity_from_text(text, &again, NULL) || !gh_identity_equal(id, &again)))
        abort();
    match_all(id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct gh_identity id;
    struct gh_pattern *p;

    if (gh_identity_parse(gh_view_of(data, size), &id))
        check(&id);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (gh_identity_from_text(text, &id, NULL))
        check(&id);
    /* Expressions are the configuration's; the C library's compiler is not what is tested here. */
    p = strncasecmp(text, "regex:", 6) != 0 ? gh_pattern_new(text, NULL) : NULL;
    if (p != NULL && gh_identity_parse(gh_view_of(data, size), &id))
        (void)gh_pattern_match(p, &id);
    gh_pattern_free(p);
    free(text);
    return 0;
}
