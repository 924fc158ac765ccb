#include "pki/identity.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "pki/pki_priv.h"
#include "wire/rd.h"

static const struct {
    uint8_t type;
    const char *name;
    const char *prefix; /* of the text */
} types[] = {{GH_ID_IPV4, "IPv4 address", "ipv4:"},   {GH_ID_IPV6, "IPv6 address", "ipv6:"},
             {GH_ID_FQDN, "FQDN", "fqdn:"},           {GH_ID_RFC822, "RFC 822 address", "email:"},
             {GH_ID_DN, "distinguished name", "dn:"}, {GH_ID_GN, "general name", "general-name:"},
             {GH_ID_KEY_ID, "key id", "key-id:"},     {GH_ID_NULL, "null", "null"}};

enum { TYPES = sizeof(types) / sizeof(types[0]) };

const char *gh_id_type_name(uint8_t type)
{
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].type == type)
            return types[i].name;
    return "unknown type";
}

/* ---- What an identity may be ---------------------------------------------------------------- */

static bool is_dn(const uint8_t *data, size_t len)
{
    const uint8_t *at = data;
    X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)len);
    /* An empty one would be equal to that of every certificate without a subject. */
    bool good = name != NULL && at == data + len && X509_NAME_entry_count(name) > 0;

    X509_NAME_free(name);
    ERR_clear_error();
    return good;
}

static bool is_general_name(const uint8_t *data, size_t len)
{
    const uint8_t *at = data;
    GENERAL_NAME *name = d2i_GENERAL_NAME(NULL, &at, (long)len);
    bool good = name != NULL && at == data + len;

    GENERAL_NAME_free(name);
    ERR_clear_error();
    return good;
}

/* No terminators (RFC 7296 3.5), nor anything that a log cannot show; UTF-8 only in mail addresses.
 */
static bool is_text(const uint8_t *data, size_t len, bool utf8)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] < (utf8 ? 0x20 : 0x21) || data[i] == 0x7f || (data[i] > 0x7f && !utf8))
            return false;
    return len > 0;
}

static bool is_valid(uint8_t type, const uint8_t *data, size_t len)
{
    if (len > GH_ID_DATA)
        return false;
    switch (type) {
    case GH_ID_IPV4:
        return len == 4;
    case GH_ID_IPV6:
        return len == 16;
    case GH_ID_FQDN:
        return is_text(data, len, false);
    case GH_ID_RFC822:
        return is_text(data, len, true);
    case GH_ID_DN:
        return is_dn(data, len);
    case GH_ID_GN:
        return is_general_name(data, len);
    case GH_ID_KEY_ID:
        return len > 0;
    case GH_ID_NULL:
        return len == 0;
    default:
        return false;
    }
}

static bool set(struct gh_identity *out, uint8_t type, const void *data, size_t len)
{
    if (!is_valid(type, data, len))
        return false;
    *out = (struct gh_identity){.type = type, .len = (uint16_t)len};
    if (len > 0)
        memcpy(out->data, data, len);
    return true;
}

/* ---- The payload ---------------------------------------------------------------------------- */

bool gh_identity_parse(struct gh_view body, struct gh_identity *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    uint8_t type = gh_rd_u8(&r);
    const uint8_t *data;
    size_t len;

    gh_rd_skip(&r, 3);
    len = gh_rd_left(&r);
    data = gh_rd_bytes(&r, len);
    return gh_rd_done(&r) && set(out, type, data, len);
}

void gh_identity_put(struct gh_wr *w, const struct gh_identity *id)
{
    gh_wr_u8(w, id->type);
    gh_wr_zero(w, 3);
    gh_wr_bytes(w, id->data, id->len);
}

struct gh_identity gh_identity_of_addr(const struct gh_addr *a)
{
    struct gh_identity id = {.type = GH_ID_NONE};

    if (a->len == 4 || a->len == 16)
        set(&id, a->len == 4 ? GH_ID_IPV4 : GH_ID_IPV6, a->octets, a->len);
    return id;
}

bool gh_identity_of_subject(const struct gh_cert *c, struct gh_identity *out)
{
    return set(out, GH_ID_DN, c->subject_der, c->subject_len);
}

/* ---- Text ----------------------------------------------------------------------------------- */

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Pairs of digits. False: others, or too many. */
static bool from_hex(const char *text, uint8_t *out, size_t *len)
{
    for (*len = 0; text[0] != '\0'; text += 2) {
        int high = nibble(text[0]), low = high >= 0 ? nibble(text[1]) : -1;

        if (low < 0 || *len == GH_ID_DATA)
            return false;
        out[(*len)++] = (uint8_t)(high * 16 + low);
    }
    return true;
}

/* Octets as they stand, but for \xHH. */
static bool from_escaped(const char *text, uint8_t *out, size_t *len)
{
    for (*len = 0; *text != '\0'; (*len)++) {
        int octet = (unsigned char)*text++;

        if (*len == GH_ID_DATA)
            return false;
        if (octet == '\\') {
            int high = text[0] == 'x' ? nibble(text[1]) : -1,
                low = high >= 0 ? nibble(text[2]) : -1;

            if (low < 0)
                return false;
            octet = high * 16 + low;
            text += 3;
        }
        out[*len] = (uint8_t)octet;
    }
    return true;
}

static bool from_address(uint8_t type, const char *text, struct gh_identity *out)
{
    struct gh_addr a;

    return gh_addr_parse(text, &a) && set(out, type, a.octets, a.len);
}

static bool from_dn(const char *text, struct gh_identity *out, struct gh_pki_error *e)
{
    size_t len = 0;
    uint8_t *der = gh_dn_parse(text, &len, e);
    bool good = der != NULL && set(out, GH_ID_DN, der, len);

    if (der != NULL && !good)
        gh_pki_fail(e, "identity", "take a shorter one",
                    "the distinguished name is longer than %d octets", (int)GH_ID_DATA);
    OPENSSL_free(der);
    return good;
}

static bool from_typed(uint8_t type, const char *text, struct gh_identity *out,
                       struct gh_pki_error *e)
{
    bool hex = strncmp(text, "0x", 2) == 0 && (type == GH_ID_KEY_ID || type == GH_ID_GN);
    uint8_t data[GH_ID_DATA];
    size_t len = 0;
    bool good;

    switch (type) {
    case GH_ID_DN:
        return from_dn(text, out, e);
    case GH_ID_IPV4:
    case GH_ID_IPV6:
        good = from_address(type, text, out);
        break;
    case GH_ID_NULL:
        good = text[0] == '\0' && set(out, type, NULL, 0);
        break;
    case GH_ID_GN:
        good = hex && from_hex(text + 2, data, &len) && set(out, type, data, len);
        break;
    default:
        good = (hex ? from_hex(text + 2, data, &len) : from_escaped(text, data, &len)) &&
               set(out, type, data, len);
        break;
    }
    return good ||
           gh_pki_fail(e, "identity",
                       "write a name, an address, user@domain, C=CH, CN=gw, or key-id:0x…",
                       "\"%.80s\" is no identity of the type %s", text, gh_id_type_name(type));
}

bool gh_identity_from_text(const char *text, struct gh_identity *out, struct gh_pki_error *e)
{
    struct gh_addr a;

    for (size_t i = 0; i < TYPES; i++) {
        size_t len = strlen(types[i].prefix);

        if (types[i].type == GH_ID_NULL ? strcmp(text, types[i].prefix) == 0
                                        : strncasecmp(text, types[i].prefix, len) == 0)
            return from_typed(types[i].type, text + len, out, e);
    }
    if (gh_addr_parse(text, &a)) {
        *out = gh_identity_of_addr(&a);
        return true;
    }
    if (strchr(text, '=') != NULL)
        return from_dn(text, out, e);
    return from_typed(strchr(text, '@') != NULL ? GH_ID_RFC822 : GH_ID_FQDN, text, out, e);
}

static void append(char *buf, size_t size, size_t *n, const char *text)
{
    size_t len = strlen(text);

    if (*n + len < size) {
        memcpy(buf + *n, text, len + 1);
        *n += len;
    }
}

static void append_hex(char *buf, size_t size, size_t *n, const struct gh_identity *id)
{
    char pair[3];

    append(buf, size, n, "0x");
    for (size_t i = 0; i < id->len; i++) {
        snprintf(pair, sizeof(pair), "%02x", id->data[i]);
        append(buf, size, n, pair);
    }
}

static void append_escaped(char *buf, size_t size, size_t *n, const struct gh_identity *id)
{
    char one[5];

    for (size_t i = 0; i < id->len; i++) {
        bool plain = id->data[i] >= 0x20 && id->data[i] < 0x7f && id->data[i] != '\\';

        snprintf(one, sizeof(one), plain ? "%c" : "\\x%02x", id->data[i]);
        append(buf, size, n, one);
    }
}

static void append_dn(char *buf, size_t size, size_t *n, const struct gh_identity *id)
{
    const uint8_t *at = id->data;
    X509_NAME *name = d2i_X509_NAME(NULL, &at, id->len);
    char *text = name != NULL ? gh_dn_text(name) : NULL;

    append(buf, size, n, text != NULL ? text : "?");
    OPENSSL_free(text);
    X509_NAME_free(name);
    ERR_clear_error();
}

/* Text that reads back as a key id. */
static bool key_id_is_text(const struct gh_identity *id)
{
    for (size_t i = 0; i < id->len; i++)
        if (id->data[i] < 0x20 || id->data[i] > 0x7e || id->data[i] == '\\')
            return false;
    return id->len < 2 || memcmp(id->data, "0x", 2) != 0;
}

static void append_value(char *buf, size_t size, size_t *n, const struct gh_identity *id)
{
    struct gh_addr a;
    char text[GH_ADDR_TEXT];

    switch (id->type) {
    case GH_ID_IPV4:
    case GH_ID_IPV6:
        a = gh_addr_from(id->data, (uint8_t)id->len);
        append(buf, size, n, gh_addr_format(&a, text));
        return;
    case GH_ID_DN:
        append_dn(buf, size, n, id);
        return;
    case GH_ID_GN:
        append_hex(buf, size, n, id);
        return;
    case GH_ID_KEY_ID:
        if (!key_id_is_text(id)) {
            append_hex(buf, size, n, id);
            return;
        }
        break;
    default:
        break;
    }
    append_escaped(buf, size, n, id);
}

const char *gh_identity_format(const struct gh_identity *id, char *buf, size_t size)
{
    struct gh_identity again;
    size_t n = 0;

    if (size == 0)
        return "";
    buf[0] = '\0';
    append_value(buf, size, &n, id);
    if (id->type == GH_ID_DN ||
        (gh_identity_from_text(buf, &again, NULL) && gh_identity_equal(id, &again)))
        return buf;
    /* It would be read as another type: say which it is. */
    n = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].type == id->type)
            append(buf, size, &n, types[i].prefix);
    if (id->type == GH_ID_NONE)
        append(buf, size, &n, "none");
    append_value(buf, size, &n, id);
    return buf;
}

/* ---- Comparison ----------------------------------------------------------------------------- */

static bool dn_equal(const struct gh_identity *a, const struct gh_identity *b)
{
    const uint8_t *at_a = a->data, *at_b = b->data;
    X509_NAME *name_a = d2i_X509_NAME(NULL, &at_a, a->len);
    X509_NAME *name_b = d2i_X509_NAME(NULL, &at_b, b->len);
    bool equal = name_a != NULL && name_b != NULL && X509_NAME_cmp(name_a, name_b) == 0;

    X509_NAME_free(name_a);
    X509_NAME_free(name_b);
    ERR_clear_error();
    return equal;
}

static bool same_letters(const uint8_t *a, const uint8_t *b, size_t len)
{
    return strncasecmp((const char *)a, (const char *)b, len) == 0; /* neither has a zero octet */
}

static bool mail_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    const uint8_t *at = memrchr(a, '@', len);
    size_t local = at != NULL ? (size_t)(at - a) : len;

    return memcmp(a, b, local) == 0 && same_letters(a + local, b + local, len - local);
}

bool gh_identity_equal(const struct gh_identity *a, const struct gh_identity *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == GH_ID_DN)
        return dn_equal(a, b);
    if (a->len != b->len)
        return false;
    if (a->type == GH_ID_FQDN)
        return same_letters(a->data, b->data, a->len);
    if (a->type == GH_ID_RFC822)
        return mail_equal(a->data, b->data, a->len);
    return memcmp(a->data, b->data, a->len) == 0;
}

/* ---- Certificates --------------------------------------------------------------------------- */

/* False: a kind of name that IKE has no identity for. */
static bool of_general_name(const GENERAL_NAME *name, struct gh_identity *out)
{
    const ASN1_STRING *text;
    uint8_t type;

    switch (name->type) {
    case GEN_DNS:
        type = GH_ID_FQDN;
        text = name->d.dNSName;
        break;
    case GEN_EMAIL:
        type = GH_ID_RFC822;
        text = name->d.rfc822Name;
        break;
    case GEN_IPADD:
        type = ASN1_STRING_length(name->d.iPAddress) == 4 ? GH_ID_IPV4 : GH_ID_IPV6;
        text = name->d.iPAddress;
        break;
    default:
        return false;
    }
    return set(out, type, ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
}

/* The first alternative name that is wanted: this identity, or if it is NULL one of this type. */
static bool find_alternative(X509 *x509, const struct gh_identity *id, uint8_t type,
                             struct gh_identity *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    struct gh_identity other;
    bool found = false;

    for (int i = 0; names != NULL && !found && i < sk_GENERAL_NAME_num(names); i++)
        found = of_general_name(sk_GENERAL_NAME_value(names, i), &other) &&
                (id != NULL ? gh_identity_equal(id, &other) : other.type == type);
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    if (found && out != NULL)
        *out = other;
    return found;
}

bool gh_identity_of_alternative(const struct gh_cert *c, enum gh_id_type type,
                                struct gh_identity *out)
{
    return find_alternative(c->x509, NULL, type, out);
}

bool gh_identity_in_cert(const struct gh_identity *id, const struct gh_cert *c,
                         struct gh_pki_error *e)
{
    char text[GH_ID_TEXT];
    struct gh_identity subject;

    if (id->type == GH_ID_DN && gh_identity_of_subject(c, &subject) &&
        gh_identity_equal(id, &subject))
        return true;
    if (find_alternative(c->x509, id, GH_ID_NONE, NULL))
        return true;
    return gh_pki_fail(
        e, "cert-identity",
        id->type == GH_ID_DN ? "have the peer claim the certificate's subject"
                             : "have the certificate issued with that name among "
                               "its subject's alternative names",
        "the peer claims to be %.200s (%s), but the certificate of %.200s is not for "
        "it",
        gh_identity_format(id, text, sizeof(text)), gh_id_type_name(id->type), c->subject);
}
