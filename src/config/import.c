#include "config/import.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/alloc.h"
#include "config/import_model.h"
#include "config/problems.h"

/* A NUL would end the text early. The copy is wiped: there are secrets in it. */
static char *copy_text(const char *text, size_t len)
{
    char *copy = gh_config_alloc(len + 1, 1);

    for (size_t i = 0; i < len; i++)
        copy[i] = text[i] != '\0' ? text[i] : ' ';
    return copy;
}

static enum gh_vendor guess(const char *text)
{
    static const struct {
        const char *word;
        enum gh_vendor vendor;
    } marks[] = {
        {"authentication-key-chain", GH_VENDOR_JUNOS},
        {"tcp-option-number", GH_VENDOR_SR_OS},
        {"authentication-keychain", GH_VENDOR_SR_OS},
        {"keychains", GH_VENDOR_SR_OS},
        {"authentication ao", GH_VENDOR_BIRD},
        {"protocol bgp", GH_VENDOR_BIRD},
        {"tcp auth-option", GH_VENDOR_IOS_XE},
        {"keychain-tcp", GH_VENDOR_IOS_XE}, /* in a prompt */
        {"\ntcp ao", GH_VENDOR_IOS_XR},
        {"SendID", GH_VENDOR_IOS_XR},
        {"accept-tolerance", GH_VENDOR_IOS_XR},
        {"key chain", GH_VENDOR_IOS_XE},
    };

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (strcasestr(text, marks[i].word) != NULL)
            return marks[i].vendor;
    }
    return GH_VENDOR_COUNT;
}

enum gh_vendor gh_import_guess(const char *text, size_t len)
{
    char *copy = copy_text(text, len);
    enum gh_vendor v = guess(copy);

    gh_wipe(copy, len);
    free(copy);
    return v;
}

void gh_import_print(const struct gh_config *c, FILE *out)
{
    for (size_t i = 0; i < c->chain_count; i++) {
        if (i > 0)
            fputc('\n', out);
        gh_config_print_chain(&c->chains[i], out);
    }
    for (size_t i = 0; i < c->session_count; i++) {
        fputc('\n', out);
        gh_config_print_session(&c->sessions[i], gh_config_chain(c, &c->sessions[i]), out);
    }
}

/* Rules that hold here and not there: the loader knows them all. */
static void check_result(struct gh_import *im, const struct gh_config *c)
{
    static const struct gh_config_options skip = {.skip_secrets = true};
    struct gh_problems found = {0};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return;
    gh_import_print(c, out);
    fclose(out);
    gh_config_free(gh_config_parse(im->file, text, len, &skip, &found));
    for (size_t i = 0; i < found.count; i++) {
        const struct gh_problem *p = &found.list[i];

        if (p->severity == GH_PROBLEM_ERROR)
            gh_import_error(im, 0, p->rule, p->remedy, "the result has on line %d: %s", p->line,
                            p->message);
    }
    gh_problems_clear(&found);
    free(text);
}

static void free_model(struct gh_import *im)
{
    for (size_t i = 0; i < im->chain_count; i++) {
        for (size_t k = 0; k < im->chains[i].key_count; k++)
            gh_secret_clear(&im->chains[i].keys[k].secret);
        free(im->chains[i].keys);
        free(im->chains[i].name);
        free(im->chains[i].description);
    }
    for (size_t i = 0; i < im->peer_count; i++) {
        struct gh_import_peer *p = &im->peers[i];
        char *texts[] = {p->id,        p->parent, p->address, p->chain,
                         p->algorithm, p->local,  p->source,  p->vrf};

        for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++)
            free(texts[t]);
    }
    for (size_t i = 0; i < im->address_count; i++)
        free(im->addresses[i].interface);
    free(im->chains);
    free(im->peers);
    free(im->addresses);
    free(im->router_id);
}

static void read_text(struct gh_import *im, char *text)
{
    switch (im->vendor) {
    case GH_VENDOR_IOS_XE:
    case GH_VENDOR_IOS_XR:
        gh_import_ios(im, text);
        break;
    case GH_VENDOR_JUNOS:
        gh_import_junos(im, text);
        break;
    case GH_VENDOR_SR_OS:
        gh_import_sr_os(im, text);
        break;
    case GH_VENDOR_BIRD:
        gh_import_bird(im, text);
        break;
    default:
        gh_import_error(im, 0, "vendor", "say it with --from",
                        "this is not the configuration of a vendor that is known here");
    }
}

struct gh_config *gh_import(const char *file, const char *text, size_t len,
                            const struct gh_import_options *options, struct gh_problems *problems)
{
    char *copy = copy_text(text, len);
    struct gh_import im = {.file = file, .vendor = options->from, .problems = problems};
    size_t first = problems->count, errors = problems->errors;
    struct gh_config *c;

    if (im.vendor == GH_VENDOR_COUNT)
        im.vendor = guess(copy);
    read_text(&im, copy);
    gh_wipe(copy, len);
    free(copy);
    c = gh_import_build(&im, options);
    check_result(&im, c);
    if (c->chain_count == 0 && problems->errors == errors)
        gh_import_error(&im, 0, "nothing-found", "look whether it is the right file",
                        "there is no key chain for TCP-AO in it");
    gh_problems_sort(problems, first);
    free_model(&im);
    return c;
}
