/*
 * gatehouse.conf: whatever stands in it, reading it ends with a configuration or with errors; a
 * configuration survives being printed and read again, and IKE's part being carried as octets; lint
 * and the build of its chains take it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NOW INT64_C(1796083200)

static const struct gh_config_options skip_secrets = {.skip_secrets = true};

static struct gh_config *parse(const char *text, size_t len, struct gh_problems *p)
{
    struct gh_config *c = gh_config_parse("fuzz.conf", text, len, &skip_secrets, p);

    if ((c == NULL) != (p->errors > 0))
        abort();
    return c;
}

/* Of an inline secret only a comment is printed, so that the text alone is no configuration. */
static bool has_inline_secret(const struct gh_config *c)
{
    for (size_t i = 0; i < c->chain_count; i++) {
        for (size_t k = 0; k < c->chains[i].key_count; k++) {
            if (strcmp(c->chains[i].keys[k].secret_source, "inline") == 0)
                return true;
        }
    }
    for (size_t i = 0; i < c->keeper.count; i++) {
        if (c->keeper.items[i].source.place == GH_PLACE_TEXT ||
            c->keeper.items[i].passphrase.place == GH_PLACE_TEXT)
            return true;
    }
    return false;
}

static char *print(const struct gh_config *c, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);

    if (out == NULL)
        abort();
    gh_config_print(c, out);
    fclose(out);
    return text;
}

static void print_and_parse(const struct gh_config *c)
{
    struct gh_problems p = {0};
    struct gh_config *again;
    size_t len, len_again;
    char *text = print(c, &len), *text_again;

    again = parse(text, len, &p);
    if (again == NULL)
        abort();
    text_again = print(again, &len_again);
    if (strcmp(text, text_again) != 0)
        abort();
    gh_config_check_change(c, again, NOW, &p);
    if (p.errors > 0)
        abort();
    free(text);
    free(text_again);
    gh_problems_clear(&p);
    gh_config_free(again);
}

/* What was read goes through octets as it is. */
static void encode_and_decode(const struct gh_ike_config *c)
{
    size_t len, len_again;
    uint8_t *octets = gh_ike_config_encode(c, &len), *again;
    struct gh_ike_config *got =
        octets != NULL ? gh_ike_config_decode(gh_view_of(octets, len)) : NULL;

    if (got == NULL)
        abort();
    again = gh_ike_config_encode(got, &len_again);
    if (again == NULL || len != len_again || memcmp(octets, again, len) != 0)
        abort();
    free(octets);
    free(again);
    gh_ike_config_free(got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct gh_problems p = {0};
    struct gh_config *c = parse((const char *)data, len, &p);
    size_t printed_len;
    char *printed = NULL;
    FILE *out = open_memstream(&printed, &printed_len);

    if (c != NULL) {
        gh_lint(c, c, NOW, &p);
        if (c->ike != NULL)
            encode_and_decode(c->ike);
        if (!has_inline_secret(c))
            print_and_parse(c);
    }
    if (out != NULL) {
        gh_problems_print(&p, out);
        fclose(out);
    }
    free(printed);
    gh_problems_clear(&p);
    gh_config_free(c);
    return 0;
}
