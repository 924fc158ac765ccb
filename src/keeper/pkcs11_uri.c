#include "keeper/pkcs11_uri.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char scheme[] = "pkcs11:", rule[] = "key-uri";

/* An attribute, borrowed from the URI. */
struct attribute {
    const char *name, *value;
    size_t name_len, value_len;
};

/* RFC 7512 2.3, those that tell tokens, slots, modules and objects apart. */
static const char *const path_names[] = {"token",
                                         "manufacturer",
                                         "serial",
                                         "model",
                                         "object",
                                         "type",
                                         "id",
                                         "library-manufacturer",
                                         "slot-id",
                                         "library-description",
                                         "library-version",
                                         "slot-manufacturer",
                                         "slot-description"};
enum { PATH_NAMES = sizeof(path_names) / sizeof(path_names[0]) };

void gh_pkcs11_uri_clear(struct gh_pkcs11_uri *u)
{
    free(u->object);
    free(u->module);
    *u = (struct gh_pkcs11_uri){.object = NULL};
}

static bool is(const struct attribute *a, const char *name)
{
    return a->name_len == strlen(name) && memcmp(a->name, name, a->name_len) == 0;
}

static bool has_value(const struct attribute *a, const char *value)
{
    return a->value_len == strlen(value) && memcmp(a->value, value, a->value_len) == 0;
}

static bool check_characters(const char *text, struct gh_pki_error *e)
{
    size_t len = strlen(text);

    if (len > GH_PKCS11_URI_MAX)
        return gh_pki_fail(e, rule, "name the token and the object, no more",
                           "the URI is longer than %d characters", (int)GH_PKCS11_URI_MAX);
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return gh_pki_fail(e, rule, "write a blank as %20, other octets likewise",
                               "the URI has a character that must be percent-encoded");
        if (text[i] == '%' &&
            !(isxdigit((unsigned char)text[i + 1]) && isxdigit((unsigned char)text[i + 2])))
            return gh_pki_fail(e, rule, "write a percent sign as %25",
                               "in the URI a \"%%\" has no two hexadecimal digits after it");
    }
    return true;
}

/* The next attribute of a part of the URI. False: there is none left, or it has no name. */
static bool next(const char **at, const char *end, char separator, struct attribute *out)
{
    const char *stop, *equals;

    if (*at >= end)
        return false;
    stop = memchr(*at, separator, (size_t)(end - *at));
    if (stop == NULL)
        stop = end;
    equals = memchr(*at, '=', (size_t)(stop - *at));
    if (equals == NULL || equals == *at)
        return false;
    *out = (struct attribute){.name = *at,
                              .value = equals + 1,
                              .name_len = (size_t)(equals - *at),
                              .value_len = (size_t)(stop - equals - 1)};
    *at = stop < end ? stop + 1 : end;
    return true;
}

static bool no_attribute(struct gh_pki_error *e)
{
    return gh_pki_fail(e, rule, "write \"pkcs11:token=NAME;object=NAME?module-path=/usr/lib/….so\"",
                       "the URI has something that is no name=value");
}

static size_t index_of(const struct attribute *a)
{
    size_t i = 0;

    while (i < PATH_NAMES && !is(a, path_names[i]))
        i++;
    return i;
}

static bool is_vendors(const struct attribute *a)
{
    return a->name_len > 2 && memcmp(a->name, "x-", 2) == 0;
}

/* What stands before the '?': it has to name one object. */
static bool check_path(const char *at, const char *end, bool *typed, struct gh_pki_error *e)
{
    bool seen[PATH_NAMES] = {false}, named = false, placed = false;
    struct attribute a;

    while (next(&at, end, ';', &a)) {
        size_t i = index_of(&a);

        if (i == PATH_NAMES && !is_vendors(&a))
            return gh_pki_fail(e, rule, "RFC 7512 2.3 has the names, as token, serial, object, id",
                               "the URI has no attribute \"%.*s\" before \"?\"",
                               (int)(a.name_len < 32 ? a.name_len : 32), a.name);
        if (i < PATH_NAMES && seen[i])
            return gh_pki_fail(e, rule, "keep one of them", "the URI has \"%s\" twice",
                               path_names[i]);
        if (i < PATH_NAMES)
            seen[i] = true;
        if (is(&a, "type") && !has_value(&a, "private"))
            return gh_pki_fail(e, rule, "write type=private, or nothing",
                               "the URI names an object that is no private key");
        *typed = *typed || is(&a, "type");
        named = named || ((is(&a, "object") || is(&a, "id")) && a.value_len > 0);
        placed = placed ||
                 ((is(&a, "token") || is(&a, "serial") || is(&a, "slot-id")) && a.value_len > 0);
    }
    if (at < end)
        return no_attribute(e);
    if (!placed)
        return gh_pki_fail(e, rule, "add token=NAME, or serial=NUMBER", "the URI names no token");
    return named ||
           gh_pki_fail(e, rule, "add object=NAME, or id=%01", "the URI names no key of the token");
}

static int digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* NULL: a zero octet, or no memory. */
static char *decode(const struct attribute *a)
{
    char *out = malloc(a->value_len + 1);
    size_t n = 0;

    for (size_t i = 0; out != NULL && i < a->value_len; i++) {
        out[n] = a->value[i];
        if (out[n] == '%') {
            out[n] = (char)(digit(a->value[i + 1]) * 16 + digit(a->value[i + 2]));
            i += 2;
        }
        if (out[n++] == '\0') {
            free(out);
            return NULL;
        }
    }
    if (out != NULL)
        out[n] = '\0';
    return out;
}

/* What stands behind the '?': the module, and nothing that would be a secret. */
static bool check_query(const char *at, const char *end, char **module, struct gh_pki_error *e)
{
    struct attribute a;

    while (next(&at, end, '&', &a)) {
        if (is(&a, "pin-value") || is(&a, "pin-source"))
            return gh_pki_fail(e, rule, "take it out and write the PIN into the file of pin-file",
                               "a PIN does not belong into the URI");
        if (!is(&a, "module-path"))
            return gh_pki_fail(e, rule, "write only module-path there",
                               "the URI has another attribute than module-path behind \"?\"");
        if (*module != NULL)
            return gh_pki_fail(e, rule, "keep one of them", "the URI has \"module-path\" twice");
        *module = decode(&a);
        if (*module == NULL || (*module)[0] != '/')
            return gh_pki_fail(e, rule, "write the path from / on",
                               "the module-path of the URI is no absolute path");
    }
    if (at < end)
        return no_attribute(e);
    return *module != NULL ||
           gh_pki_fail(e, rule, "add ?module-path=/usr/lib/….so, the token's PKCS #11 module",
                       "the URI names no module");
}

bool gh_pkcs11_uri_parse(const char *text, struct gh_pkcs11_uri *out, struct gh_pki_error *e)
{
    const char *path = text + strlen(scheme), *end, *query;
    struct gh_pkcs11_uri u = {.object = NULL};
    bool typed = false;

    if (strncasecmp(text, scheme, strlen(scheme)) != 0)
        return gh_pki_fail(e, rule, "write \"pkcs11:token=NAME;object=NAME\" and so on (RFC 7512)",
                           "the URI does not begin with \"%s\"", scheme);
    if (!check_characters(text, e))
        return false;
    end = path + strcspn(path, "?");
    query = *end == '?' ? end + 1 : end;
    if (!check_path(path, end, &typed, e) ||
        !check_query(query, query + strlen(query), &u.module, e)) {
        gh_pkcs11_uri_clear(&u);
        return false;
    }
    if (asprintf(&u.object, "%s%.*s%s", scheme, (int)(end - path), path,
                 typed ? "" : ";type=private") < 0) {
        u.object = NULL;
        gh_pkcs11_uri_clear(&u);
        return gh_pki_fail(e, "no-memory", "free some memory", "out of memory");
    }
    *out = u;
    return true;
}
