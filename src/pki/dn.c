/* Distinguished names from text: "C=CH, O=Net, CN=gw", escapes as in RFC 2253. */
#include <ctype.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/objects.h>

#include "pki/pki_priv.h"

enum { VALUE_MAX = 256, ATTRIBUTE_MAX = 64 };

/* One attribute: type=value up to a comma, a plus or the end. */
struct attribute {
    char type[ATTRIBUTE_MAX];
    uint8_t value[VALUE_MAX];
    size_t len;
    bool hex; /* "#…": the value's DER */
};

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *skip_space(const char *at)
{
    while (*at == ' ')
        at++;
    return at;
}

static const char *take_type(const char *at, struct attribute *a)
{
    size_t len = 0;

    at = skip_space(at);
    while (*at != '\0' && *at != '=' && *at != ' ' && len < sizeof(a->type) - 1)
        a->type[len++] = *at++;
    a->type[len] = '\0';
    at = skip_space(at);
    return *at == '=' && len > 0 ? skip_space(at + 1) : NULL;
}

/* NULL: a bad escape, or too long. Blanks at the end count only if they are escaped. */
static const char *take_value(const char *at, struct attribute *a)
{
    size_t kept = 0;

    a->len = 0;
    a->hex = *at == '#';
    if (a->hex)
        at++;
    for (; *at != '\0' && *at != ',' && *at != '+'; at++) {
        int octet = (unsigned char)*at;
        bool escaped = a->hex || *at == '\\';

        if (a->len == sizeof(a->value))
            return NULL;
        if (!a->hex && escaped)
            at++;
        if (escaped && nibble(at[0]) >= 0 && nibble(at[1]) >= 0) {
            octet = nibble(at[0]) * 16 + nibble(at[1]);
            at++;
        } else if (escaped && (a->hex || *at == '\0')) {
            return NULL;
        } else if (escaped) {
            octet = (unsigned char)*at;
        }
        a->value[a->len++] = (uint8_t)octet;
        if (escaped || octet != ' ')
            kept = a->len;
    }
    a->len = kept;
    return at;
}

/* "#…": the type of string is as it stands there. */
static bool add_der(X509_NAME *name, const ASN1_OBJECT *type, const struct attribute *a, int set)
{
    const uint8_t *at = a->value;
    ASN1_TYPE *value = d2i_ASN1_TYPE(NULL, &at, (long)a->len);
    bool good = value != NULL && at == a->value + a->len &&
                (ASN1_tag2bit(value->type) & (B_ASN1_DIRECTORYSTRING | B_ASN1_IA5STRING)) != 0;

    if (good) {
        const ASN1_STRING *string = value->value.asn1_string;

        good = X509_NAME_add_entry_by_OBJ(name, type, value->type, ASN1_STRING_get0_data(string),
                                          ASN1_STRING_length(string), -1, set) == 1;
    }
    ASN1_TYPE_free(value);
    return good;
}

static bool add(X509_NAME *name, const struct attribute *a, int set)
{
    ASN1_OBJECT *type = OBJ_txt2obj(strcasecmp(a->type, "E") == 0 ? "emailAddress" : a->type, 0);
    bool good = type != NULL;

    if (good && a->hex)
        good = add_der(name, type, a, set);
    else if (good)
        good = X509_NAME_add_entry_by_OBJ(name, type, MBSTRING_UTF8, a->value, (int)a->len, -1,
                                          set) == 1;
    ASN1_OBJECT_free(type);
    return good;
}

uint8_t *gh_dn_parse(const char *text, size_t *len, struct gh_pki_error *e)
{
    X509_NAME *name = X509_NAME_new();
    struct attribute a = {.len = 0};
    const char *at = text;
    uint8_t *der = NULL;
    int set = 0, n = 0;

    while (name != NULL && at != NULL) {
        at = take_type(at, &a);
        at = at != NULL ? take_value(at, &a) : NULL;
        if (at == NULL || a.len == 0 || !add(name, &a, set)) {
            at = NULL;
            break;
        }
        if (*at == '\0')
            break;
        set = *at++ == '+' ? -1 : 0; /* another value of the same RDN, or the next RDN */
    }
    if (at != NULL)
        n = i2d_X509_NAME(name, &der);
    X509_NAME_free(name);
    ERR_clear_error();
    if (n > 0) {
        *len = (size_t)n;
        return der;
    }
    gh_pki_fail(e, "identity", "write it like C=CH, O=Net, CN=gw",
                "\"%.80s\" is no distinguished name%s%s", text,
                a.type[0] != '\0' ? ": look at " : "", a.type);
    return NULL;
}
