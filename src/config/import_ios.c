/*
 * Cisco IOS XE (`key chain NAME tcp`) and IOS XR (`key chain` beside `tcp ao`): lines, of which the
 * indentation, or the prompt of a terminal's log, says what they belong to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/alloc.h"
#include "config/import_model.h"
#include "config/import_words.h"
#include "config/lifetime.h"

enum { WORDS = 24, TIME_TEXT = 160, KEY_MAX = 2147483647 };

struct ios {
    struct gh_import *im;
    int line;
    char *chain;      /* name of the key chain whose section this is, or NULL */
    bool has_key, ao; /* in a key of it; it stands under `tcp ao` */
    uint32_t key;
    bool tcp_ao;       /* in the section of that name */
    char *auth_option; /* chain of `tcp auth-option` */
    char *interface;
    char **used; /* names of the key chains that something uses for TCP-AO */
    size_t used_count;
    struct gh_ios_bgp bgp;
};

static bool is(const char *word, const char *want)
{
    return strcasecmp(word, want) == 0;
}

/* ---- The clock ---- */

/* clock timezone CET 1 0: hours and minutes east. XR may name a city instead. */
static void read_clock(struct ios *x, char **w, size_t n)
{
    struct gh_import *im = x->im;

    if (n >= 4 && is(w[1], "timezone")) {
        int64_t hours = strtol(w[3], NULL, 10), minutes = n >= 5 ? strtol(w[4], NULL, 10) : 0;

        if (hours < -14 || hours > 14 || minutes < 0 || minutes > 59)
            return;
        im->zone_known = true;
        im->zone_east = hours * 3600 + (w[3][0] == '-' ? -minutes : minutes) * 60;
        im->zone_moves = im->zone_moves || (strspn(w[3], "+-0123456789") != strlen(w[3]));
    } else if (n >= 2 && is(w[1], "summer-time")) {
        im->zone_moves = true;
    }
}

static int64_t shift(int64_t t, int64_t by)
{
    return t == TCPAO_TIME_MIN || t == TCPAO_TIME_MAX ? t : t - by;
}

/* The router's local time is that of its own `clock timezone`, else of this machine. */
static bool read_local(struct ios *x, const char *text, struct tcpao_lifetime *out,
                       const char **why)
{
    const struct gh_import *im = x->im;
    char here[TIME_TEXT + 8];

    if (im->zone_known && !im->zone_moves) {
        if (!gh_lifetime_parse(text, out, why))
            return false;
        out->from = shift(out->from, im->zone_east);
        out->until = shift(out->until, im->zone_east);
        return true;
    }
    snprintf(here, sizeof(here), "local %s", text);
    gh_import_warn(im, x->line, "local-time", "write the times with an offset or in UTC",
                   "local time of a router whose clock this text does not tell; taken as the "
                   "time zone of this machine");
    return gh_lifetime_parse(here, out, why);
}

static void read_lifetime(struct ios *x, bool local, char **w, size_t n, struct tcpao_lifetime *out,
                          bool *set)
{
    char text[TIME_TEXT];
    const char *why;
    bool good;

    if (n > 0 && is(w[0], "local")) {
        local = true;
        w++;
        n--;
    }
    gh_words_join(w, n, text, sizeof(text));
    good = local ? read_local(x, text, out, &why) : gh_lifetime_parse(text, out, &why);
    if (good)
        *set = true;
    else
        gh_import_error(x->im, x->line, "lifetime", "write it by hand in the result",
                        "the lifetime is not understood: %s", why);
}

/* ---- A key ---- */

/* `rest` is the line after the keyword: secrets may hold blanks. */
static void read_secret(struct ios *x, struct gh_import_key *k, const char *rest)
{
    static const char *const plain[] = {"0 ", "clear "};
    static const char *const hidden[] = {"6 ", "7 ", "password ", "password6 ", "encrypted "};

    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        if (strncmp(rest, hidden[i], strlen(hidden[i])) == 0) {
            gh_import_hidden_secret(x->im, k, x->line);
            return;
        }
    }
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (strncmp(rest, plain[i], strlen(plain[i])) == 0)
            rest += strlen(plain[i]);
    }
    gh_import_secret(x->im, k, x->line, rest);
}

static bool read_ids(struct ios *x, struct gh_import_key *k, char **w, size_t n)
{
    if (n < 2)
        return false;
    if (is(w[0], "send-id") || is(w[0], "SendID"))
        gh_import_id(x->im, x->line, "send-id", w[1], &k->send_id);
    else if (is(w[0], "recv-id") || is(w[0], "rcv-id") || is(w[0], "ReceiveID"))
        gh_import_id(x->im, x->line, "recv-id", w[1], &k->recv_id);
    else
        return false;
    return true;
}

static bool read_key_line(struct ios *x, const struct gh_import_chain *c, struct gh_import_key *k,
                          char **w, size_t n, const char *rest)
{
    bool no = is(w[0], "no") && n > 1;
    const char *what = w[no ? 1 : 0];

    if (is(what, "include-tcp-options"))
        k->covered = !no;
    else if (is(what, "accept-ao-mismatch"))
        k->accept_mismatch = !no;
    else if (no)
        return false;
    else if (is(what, "key-string"))
        read_secret(x, k, rest);
    else if (is(what, "cryptographic-algorithm") && n > 1)
        gh_import_algorithm(x->im, k, x->line, w[1]);
    else if (is(what, "send-lifetime"))
        read_lifetime(x, c->local_time, w + 1, n - 1, &k->send, &k->send_set);
    else if (is(what, "accept-lifetime"))
        read_lifetime(x, c->local_time, w + 1, n - 1, &k->accept, &k->accept_set);
    else
        return read_ids(x, k, w, n);
    return true;
}

/* ---- A key chain ---- */

static void leave(struct ios *x)
{
    free(x->chain);
    x->chain = NULL;
    x->has_key = x->ao = false;
}

/* key N, or under `tcp ao` key N SendID s ReceiveID r. */
static void open_key(struct ios *x, struct gh_import_chain *c, char **w, size_t n)
{
    struct gh_import_key *k;
    int64_t number;

    x->has_key = gh_import_number(x->im, x->line, "key", w[1], KEY_MAX, &number);
    if (!x->has_key)
        return;
    x->key = (uint32_t)number;
    k = gh_import_key(c, x->key, x->line);
    for (size_t i = 2; i + 1 < n; i += 2) {
        if (!read_ids(x, k, w + i, 2))
            gh_import_not_carried(x->im, x->line, w[i]);
    }
}

static void read_tolerance(struct ios *x, struct gh_import_chain *c, const char *text)
{
    if (is(text, "infinite")) {
        gh_import_warn(x->im, x->line, "tolerance", "give it a figure at both ends",
                       "an infinite tolerance is not carried over; taken as 3600 s");
        return;
    }
    gh_import_number(x->im, x->line, "accept-tolerance", text, 8640000, &c->tolerance);
}

/* False: it is no line of a key chain. */
static bool read_chain_line(struct ios *x, char **w, size_t n, const char *rest)
{
    struct gh_import_chain *c = gh_import_chain(x->im, x->chain, x->line);

    if (is(w[0], "key") && n >= 2 && !is(w[1], "chain"))
        open_key(x, c, w, n);
    else if (is(w[0], "timezone") && n >= 2)
        c->local_time = is(w[1], "local");
    else if (is(w[0], "accept-tolerance") && n >= 2)
        read_tolerance(x, c, w[1]);
    else if (is(w[0], "description") && n >= 2)
        gh_import_set(&c->description, rest);
    else if (x->has_key)
        return read_key_line(x, c, gh_import_key(c, x->key, x->line), w, n, rest);
    else
        return false;
    return true;
}

static bool is_used(const struct ios *x, const char *name)
{
    for (size_t i = 0; i < x->used_count; i++) {
        if (strcmp(x->used[i], name) == 0)
            return true;
    }
    return false;
}

/* Those for routing protocols and MACsec look the same and are skipped. */
static void open_chain(struct ios *x, const char *name, bool tcp, bool ao)
{
    struct gh_import_chain *c;

    leave(x);
    x->bgp.inside = false;
    if (!tcp && !ao && !is_used(x, name))
        return;
    c = gh_import_chain(x->im, name, x->line);
    x->chain = gh_config_strdup(name);
    x->ao = ao;
    c->for_tcp = c->for_tcp || tcp || ao;
    if (x->im->vendor == GH_VENDOR_IOS_XR && !ao)
        c->local_time = true; /* unless `timezone gmt` follows */
}

/* ---- LISP ---- */

static bool read_lisp(struct ios *x, char **w, size_t n)
{
    struct gh_import_peer *p;
    char *id;

    if (n >= 3 && is(w[0], "tcp") && is(w[1], "auth-option")) {
        gh_import_set(&x->auth_option, w[2]);
        return true;
    }
    if (n < 2 || x->auth_option == NULL || !is(w[0], "peer"))
        return false;
    id = gh_config_asprintf("lisp %s", w[1]);
    p = gh_import_peer(x->im, id, x->line);
    free(id);
    gh_import_set(&p->chain, x->auth_option);
    p->port = GH_PORT_LISP;
    if (is(w[1], "accept")) {
        gh_import_set(&p->address, "0.0.0.0/0");
        p->direction = GH_PASSIVE;
        gh_import_warn(x->im, x->line, "any-peer",
                       "write a session for each ETR, or narrow the prefix",
                       "\"peer accept\" means every ETR: taken as the peer 0.0.0.0/0");
    } else {
        gh_import_set(&p->address, w[1]);
    }
    return true;
}

/* ---- Lines ---- */

static unsigned mask_bits(const char *mask)
{
    struct gh_addr a;
    unsigned bits = 0;

    if (!gh_addr_parse(mask, &a) || a.len != 4)
        return 32;
    while (bits < 32 && (a.octets[bits / 8] & (0x80 >> (bits % 8))) != 0)
        bits++;
    return bits;
}

static void read_interface_line(struct ios *x, char **w, size_t n)
{
    if (n < 3 || (!is(w[1], "address")))
        return;
    if ((is(w[0], "ip") || is(w[0], "ipv4")) && n >= 4)
        gh_import_address(x->im, x->interface, w[2], mask_bits(w[3]));
    else if (is(w[0], "ipv4") || is(w[0], "ipv6"))
        gh_import_address(x->im, x->interface, w[2], 128);
}

/* A section of the first level, or false. */
static bool open_section(struct ios *x, char **w, size_t n)
{
    if (n >= 3 && is(w[0], "key") && is(w[1], "chain")) {
        open_chain(x, w[2], n >= 4 && is(w[3], "tcp"), false);
    } else if (n >= 2 && is(w[0], "tcp") && is(w[1], "ao")) {
        leave(x);
        x->tcp_ao = true;
    } else if (x->tcp_ao && n >= 2 && is(w[0], "keychain")) {
        open_chain(x, w[1], true, true);
    } else if (n >= 2 && is(w[0], "interface")) {
        leave(x);
        gh_import_set(&x->interface, w[n - 1]);
        if (n >= 3 && !is(w[1], "preconfigure") && w[2][0] >= '0' && w[2][0] <= '9') {
            free(x->interface);
            x->interface = gh_config_asprintf("%s%s", w[1], w[2]);
        }
    } else {
        return false;
    }
    return true;
}

static void read_top(struct ios *x, char **w, size_t n)
{
    leave(x);
    x->tcp_ao = false;
    x->bgp.inside = n >= 2 && is(w[0], "router") && is(w[1], "bgp");
    gh_import_set(&x->auth_option, NULL);
    gh_import_set(&x->interface, NULL);
}

static void read_line(struct ios *x, char **w, size_t n, int indent, const char *rest)
{
    static const char *const frame[] = {"exit", "end", "!", "commit", "enable", "configure"};

    if (x->chain != NULL && read_chain_line(x, w, n, rest))
        return;
    for (size_t i = 0; i < sizeof(frame) / sizeof(frame[0]); i++) {
        if (is(w[0], frame[i]))
            return;
    }
    if (open_section(x, w, n) || read_lisp(x, w, n))
        return;
    if (indent == 0) {
        read_top(x, w, n);
    } else if (x->chain != NULL && gh_import_chain(x->im, x->chain, x->line)->for_tcp) {
        gh_import_not_carried(x->im, x->line, w[0]);
    } else if (x->bgp.inside) {
        gh_import_ios_bgp(x->im, &x->bgp, w, n, indent, x->line);
    } else if (x->interface != NULL) {
        read_interface_line(x, w, n);
    }
}

/* Steps over "Device(config-router-lisp)# "; *indent says how deep such a line belongs. */
static char *skip_prompt(char *line, int *indent)
{
    size_t n = strcspn(line, " \t#>");
    char *paren = strchr(line, '(');

    if (n == 0 || (line[n] != '#' && line[n] != '>'))
        return line;
    *indent = paren != NULL && paren < line + n && strncmp(paren, "(config)", 8) != 0;
    line += n + 1;
    return line + strspn(line, " \t");
}

static void take_line(struct ios *x, char *line)
{
    char *words[WORDS], *rest;
    size_t blanks = strspn(line, " \t"), n = strlen(line);
    int indent = (int)blanks;

    while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == ' ' || line[n - 1] == '\t'))
        line[--n] = '\0';
    line += blanks < n ? blanks : n;
    line = skip_prompt(line, &indent);
    if (*line == '\0' || *line == '!')
        return;
    n = strcspn(line, " \t");
    rest = line + n + strspn(line + n, " \t");
    if (strncasecmp(line, "key-string", 10) == 0 || strncasecmp(line, "description", 11) == 0) {
        line[n] = '\0';
        words[0] = line;
        words[1] = rest;
        read_line(x, words, *rest != '\0' ? 2 : 1, indent, rest);
        return;
    }
    n = gh_words_split(line, words, WORDS);
    if (n > 0)
        read_line(x, words, n, indent, "");
}

static void note_used(struct ios *x, char **w, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        if (!is(w[i], "keychain") && !is(w[i], "ao") && !is(w[i], "auth-option"))
            continue;
        x->used = gh_config_grow(x->used, x->used_count, sizeof(*x->used));
        x->used[x->used_count++] = gh_config_strdup(w[i + 1]);
    }
}

/* What may stand after the key chains and is needed to read them. No line with a secret is copied.
 */
static void look_ahead(struct ios *x, const char *text)
{
    static const char *const wanted[] = {"clock ", "keychain ", "ao ", "neighbor ", "tcp "};

    for (const char *p = text; p != NULL; p = strchr(p, '\n')) {
        char line[320], *words[WORDS];
        size_t n;

        p += *p == '\n';
        p += strspn(p, " \t");
        n = strcspn(p, "\r\n");
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
            if (strncmp(p, wanted[i], strlen(wanted[i])) != 0)
                continue;
            snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : sizeof(line) - 1), p);
            n = gh_words_split(line, words, WORDS);
            if (i == 0)
                read_clock(x, words, n);
            else
                note_used(x, words, n);
            break;
        }
    }
}

void gh_import_ios(struct gh_import *im, char *text)
{
    struct ios x = {.im = im};
    char *rest = text, *line;

    look_ahead(&x, text);
    while ((line = strsep(&rest, "\n")) != NULL) {
        x.line++;
        take_line(&x, line);
    }
    leave(&x);
    for (size_t i = 0; i < x.used_count; i++)
        free(x.used[i]);
    free(x.used);
    free(x.auth_option);
    free(x.interface);
    free(x.bgp.vrf);
    free(x.bgp.peer);
}
