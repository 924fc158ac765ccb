#include "pki/pattern.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum kind { ANY, EXACT, PREFIX, FAMILY, BEGINS, ENDS, EXPRESSION };

struct gh_pattern {
    char text[GH_PATTERN_TEXT + 1];
    enum kind kind;
    uint8_t type; /* of FAMILY, BEGINS and ENDS */
    struct gh_identity id;
    struct gh_prefix prefix;
    char part[GH_PATTERN_TEXT + 1]; /* of BEGINS and ENDS */
    regex_t expression;
};

static bool is(const char *text, const char *word)
{
    return strcasecmp(text, word) == 0;
}

/* Steps over "word". */
static bool begins(const char **text, const char *word)
{
    size_t len = strlen(word);

    if (strncasecmp(*text, word, len) != 0)
        return false;
    *text += len;
    return true;
}

/* ---- Making --------------------------------------------------------------------------------- */

static bool has_back_reference(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '\\' && *++text >= '1' && *text <= '9')
            return true;
        else if (*text == '\0')
            return false;
    return false;
}

static bool make_expression(struct gh_pattern *p, const char *text, struct gh_pki_error *e)
{
    char why[128];
    int error;

    if (text[0] == '\0' || strlen(text) > GH_REGEX_MAX)
        return gh_pki_fail(e, "pattern", "write a shorter one",
                           "a regular expression has 1 to %d characters", (int)GH_REGEX_MAX);
    if (has_back_reference(text))
        return gh_pki_fail(e, "pattern", "write it without \\1 to \\9",
                           "the regular expression \"%s\" refers back to a group", text);
    error = regcomp(&p->expression, text, REG_EXTENDED | REG_ICASE);
    if (error != 0) {
        regerror(error, &p->expression, why, sizeof(why));
        return gh_pki_fail(e, "pattern", "write a POSIX extended regular expression",
                           "the regular expression \"%s\": %s", text, why);
    }
    p->kind = EXPRESSION;
    return true;
}

static bool make_part(struct gh_pattern *p, const char *whole, const char *text,
                      struct gh_pki_error *e)
{
    const char *star = strchr(text, '*');
    size_t len = strlen(text);

    if (p->type == GH_ID_NONE)
        p->type = strchr(text, '@') != NULL ? GH_ID_RFC822 : GH_ID_FQDN;
    if (len == 1)
        return gh_pki_fail(e, "pattern", "write any", "\"%.80s\" matches everything", whole);
    if (star != strrchr(text, '*') || (star != text && star[1] != '\0'))
        return gh_pki_fail(e, "pattern", "write regex: for more",
                           "\"%.80s\": one * may stand at the beginning or at the end", whole);
    if (star == text && p->type != GH_ID_KEY_ID && text[1] != '.' && text[1] != '@')
        return gh_pki_fail(e, "pattern", "write *.domain or *@domain, or regex: if that is meant",
                           "\"%.80s\" would also match other domains that end so", whole);
    p->kind = star == text ? ENDS : BEGINS;
    snprintf(p->part, sizeof(p->part), "%.*s", (int)(len - 1), star == text ? text + 1 : text);
    return true;
}

static bool make(struct gh_pattern *p, struct gh_pki_error *e)
{
    const char *text = p->text, *rest = text;

    if (is(text, "any")) {
        p->kind = ANY;
        return true;
    }
    if (is(text, "ipv4:any") || is(text, "ipv6:any")) {
        p->kind = FAMILY;
        p->type = is(text, "ipv4:any") ? GH_ID_IPV4 : GH_ID_IPV6;
        return true;
    }
    if (begins(&rest, "regex:"))
        return make_expression(p, rest, e);
    if (gh_prefix_parse(text, &p->prefix)) {
        p->kind = PREFIX;
        return true;
    }
    if (begins(&rest, "fqdn:"))
        p->type = GH_ID_FQDN;
    else if (begins(&rest, "email:"))
        p->type = GH_ID_RFC822;
    else if (begins(&rest, "key-id:"))
        p->type = GH_ID_KEY_ID;
    if (strchr(rest, '*') != NULL && (p->type != GH_ID_NONE || strchr(rest, '=') == NULL))
        return make_part(p, text, rest, e);
    p->kind = EXACT;
    return gh_identity_from_text(text, &p->id, e);
}

struct gh_pattern *gh_pattern_new(const char *text, struct gh_pki_error *e)
{
    struct gh_pattern *p = calloc(1, sizeof(*p));

    if (p == NULL || strlen(text) > GH_PATTERN_TEXT) {
        gh_pki_fail(e, "pattern", "write a shorter one", "a pattern has at most %d characters",
                    (int)GH_PATTERN_TEXT);
        free(p);
        return NULL;
    }
    snprintf(p->text, sizeof(p->text), "%s", text);
    if (make(p, e))
        return p;
    free(p); /* a failed regcomp() leaves nothing behind */
    return NULL;
}

void gh_pattern_free(struct gh_pattern *p)
{
    if (p == NULL)
        return;
    if (p->kind == EXPRESSION)
        regfree(&p->expression);
    free(p);
}

const char *gh_pattern_text(const struct gh_pattern *p)
{
    return p->text;
}

/* ---- Matching ------------------------------------------------------------------------------- */

/* Letters' case counts in key ids and, of mail addresses, at their beginning. */
static bool part_matches(const struct gh_pattern *p, const struct gh_identity *id)
{
    size_t len = strlen(p->part);
    const uint8_t *at = id->data;

    if (id->type != p->type || id->len <= len) /* the * stands for at least one octet */
        return false;
    if (p->kind == ENDS)
        at += id->len - len;
    if (id->type == GH_ID_KEY_ID || (id->type == GH_ID_RFC822 && p->kind == BEGINS))
        return memcmp(at, p->part, len) == 0;
    return strncasecmp((const char *)at, p->part, len) == 0;
}

static bool prefix_matches(const struct gh_pattern *p, const struct gh_identity *id)
{
    struct gh_addr a;

    if (id->type != GH_ID_IPV4 && id->type != GH_ID_IPV6)
        return false;
    a = gh_addr_from(id->data, (uint8_t)id->len);
    return gh_prefix_contains(&p->prefix, &a);
}

/* Whole, so that "gw1" does not let "evil-gw1.example" in. Leftmost and longest is what POSIX
 * promises: if the whole text matches, that is the match. */
static enum gh_match expression_matches(const struct gh_pattern *p, const struct gh_identity *id)
{
    char text[GH_REGEX_SUBJECT_MAX + 1], buf[GH_ID_TEXT];
    regmatch_t match;
    size_t len;
    int error;

    if (id->type == GH_ID_FQDN || id->type == GH_ID_RFC822 || id->type == GH_ID_KEY_ID) {
        len = id->len;
        if (len >= sizeof(text) || memchr(id->data, '\0', len) != NULL)
            return GH_MATCH_NO;
        memcpy(text, id->data, len);
    } else {
        gh_identity_format(id, buf, sizeof(buf));
        len = strlen(buf);
        if (len >= sizeof(text))
            return GH_MATCH_NO;
        memcpy(text, buf, len);
    }
    text[len] = '\0';
    error = regexec(&p->expression, text, 1, &match, 0);
    if (error != 0)
        return error == REG_NOMATCH ? GH_MATCH_NO : GH_MATCH_FAILED;
    return match.rm_so == 0 && (size_t)match.rm_eo == len ? GH_MATCH_YES : GH_MATCH_NO;
}

enum gh_match gh_pattern_match(const struct gh_pattern *p, const struct gh_identity *id)
{
    bool yes = false;

    if (id->type == GH_ID_NONE)
        return GH_MATCH_NO;
    if (id->type == GH_ID_NULL && p->kind != EXACT)
        return GH_MATCH_NO; /* nobody is matched only by name */
    switch (p->kind) {
    case ANY:
        yes = true;
        break;
    case EXACT:
        yes = gh_identity_equal(&p->id, id);
        break;
    case PREFIX:
        yes = prefix_matches(p, id);
        break;
    case FAMILY:
        yes = id->type == p->type;
        break;
    case BEGINS:
    case ENDS:
        yes = part_matches(p, id);
        break;
    case EXPRESSION:
        return expression_matches(p, id);
    }
    return yes ? GH_MATCH_YES : GH_MATCH_NO;
}
