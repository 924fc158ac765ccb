#include "config/vendor.h"

#include <string.h>

/* What a vendor has. Lengths of MACs are in octets. */
struct vendor {
    const char *name, *title;
    void (*write)(const struct gh_far_end *e, FILE *out);
    uint8_t sha1[2], cmac[2], sha256[2]; /* lengths of MACs that it can; 0: none */
    uint32_t key_max;
    uint8_t id_max;
    size_t secret_max;
    bool options_switch;      /* can leave the other TCP options out of the MAC */
    bool options_per_session; /* but only for all keys at once */
    bool ids_once;            /* an id belongs to one key, in both directions */
    bool ids_once_direction;  /* an id belongs to one key, in each direction */
    bool starts_only;         /* a key lasts until the next one starts */
    bool plain_names;
};

static const struct vendor vendors[GH_VENDOR_COUNT] = {
    [GH_VENDOR_GATEHOUSE] = {.name = "gatehouse",
                             .title = "Gatehouse",
                             .write = gh_write_gatehouse,
                             .key_max = 2147483647,
                             .id_max = 255,
                             .secret_max = TCPAO_SECRET_MAX,
                             .options_switch = true},
    [GH_VENDOR_IOS_XE] = {.name = "ios-xe",
                          .title = "Cisco IOS XE",
                          .write = gh_write_ios_xe,
                          .sha1 = {12},
                          .cmac = {12},
                          .sha256 = {32},
                          .key_max = 2147483647,
                          .id_max = 255,
                          .secret_max = 80,
                          .options_switch = true,
                          .options_per_session = true,
                          .ids_once = true,
                          .plain_names = true},
    [GH_VENDOR_IOS_XR] = {.name = "ios-xr",
                          .title = "Cisco IOS XR",
                          .write = gh_write_ios_xr,
                          .sha1 = {12},
                          .cmac = {12},
                          .key_max = 2147483647,
                          .id_max = 255,
                          .secret_max = 80,
                          .options_switch = true,
                          .options_per_session = true,
                          .ids_once_direction = true,
                          .plain_names = true},
    [GH_VENDOR_JUNOS] = {.name = "junos",
                         .title = "Juniper Junos",
                         .write = gh_write_junos,
                         .sha1 = {12},
                         .cmac = {12},
                         .key_max = 63,
                         .id_max = 255,
                         .secret_max = 126,
                         .options_switch = true,
                         .ids_once = true,
                         .starts_only = true,
                         .plain_names = true},
    [GH_VENDOR_SR_OS] = {.name = "sr-os",
                         .title = "Nokia SR OS",
                         .write = gh_write_sr_os,
                         .sha1 = {12},
                         .cmac = {12},
                         .sha256 = {12, 16},
                         .key_max = 2147483647,
                         .id_max = 63,
                         .secret_max = 80,
                         .ids_once_direction = true,
                         .starts_only = true,
                         .plain_names = true},
    [GH_VENDOR_BIRD] = {.name = "bird",
                        .title = "BIRD 2.17 and newer",
                        .write = gh_write_bird,
                        .sha1 = {12},
                        .cmac = {12},
                        .sha256 = {12},
                        .key_max = 2147483647,
                        .id_max = 255,
                        .secret_max = 80,
                        .ids_once_direction = true,
                        .plain_names = true},
};

const char *gh_vendor_name(enum gh_vendor v)
{
    return vendors[v].name;
}

const char *gh_vendor_title(enum gh_vendor v)
{
    return vendors[v].title;
}

bool gh_vendor_parse(const char *name, enum gh_vendor *out)
{
    for (unsigned v = 0; v < GH_VENDOR_COUNT; v++) {
        if (strcmp(vendors[v].name, name) == 0) {
            *out = (enum gh_vendor)v;
            return true;
        }
    }
    return false;
}

/* ---- Checks ---- */

static bool can_mac(const struct vendor *v, const struct tcpao_mkt *m)
{
    const uint8_t *lengths = m->alg == TCPAO_HMAC_SHA_1     ? v->sha1
                             : m->alg == TCPAO_AES_128_CMAC ? v->cmac
                                                            : v->sha256;

    if (v->write == gh_write_gatehouse)
        return true;
    return m->mac_len != 0 && (lengths[0] == m->mac_len || lengths[1] == m->mac_len);
}

/* A secret that every command line takes as it stands. */
static bool is_plain(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"\\?'`$;#!{}", c) != NULL)
            return false;
    }
    return len > 0;
}

#define refuse(why, ...) (snprintf(why, GH_WHY_TEXT, __VA_ARGS__), false)

static bool check_key(const struct vendor *v, const struct gh_far_end *e, const struct gh_key *k,
                      char why[GH_WHY_TEXT])
{
    const struct tcpao_mkt *m = &k->mkt;

    if (!can_mac(v, m))
        return refuse(why, "%s has no %s (key %u)", v->title, tcpao_alg_name(m->alg, m->mac_len),
                      m->number);
    if (!m->options_covered && !v->options_switch)
        return refuse(why, "%s always covers the other TCP options; key %u leaves them out",
                      v->title, m->number);
    if (m->options_covered != e->chain->keys[0].mkt.options_covered && v->options_per_session)
        return refuse(why, "%s has one include-tcp-options for a whole session; the keys differ",
                      v->title);
    if (m->number > v->key_max)
        return refuse(why, "%s numbers keys 0 to %u; there is a key %u", v->title, v->key_max,
                      m->number);
    if (m->send_id > v->id_max || m->recv_id > v->id_max)
        return refuse(why, "%s has ids 0 to %u; key %u has send-id %u and recv-id %u", v->title,
                      v->id_max, m->number, m->send_id, m->recv_id);
    if (k->secret.len > v->secret_max)
        return refuse(why, "%s takes secrets of at most %zu octets; that of key %u has %zu",
                      v->title, v->secret_max, m->number, k->secret.len);
    if (v->write != gh_write_gatehouse && k->secret.len > 0 &&
        !is_plain((const char *)k->secret.data, k->secret.len))
        return refuse(why,
                      "the secret of key %u has characters that %s does not take in its "
                      "command line",
                      m->number, v->title);
    return true;
}

static bool check_keys_together(const struct vendor *v, const struct gh_key *a,
                                const struct gh_key *b, char why[GH_WHY_TEXT])
{
    const struct tcpao_mkt *x = &a->mkt, *y = &b->mkt;
    bool direction = x->send_id == y->send_id || x->recv_id == y->recv_id;
    bool across = x->send_id == y->recv_id || x->recv_id == y->send_id;

    if ((v->ids_once && (direction || across)) || (v->ids_once_direction && direction))
        return refuse(why,
                      "%s wants different ids for each key of a chain; keys %u and %u share "
                      "one",
                      v->title, x->number, y->number);
    if (v->starts_only && x->send.from == y->send.from)
        return refuse(why, "%s tells keys apart by their starts; keys %u and %u have the same",
                      v->title, x->number, y->number);
    return true;
}

/* Where only starts count, a key that ends without a successor does not end at the other end. */
bool gh_vendor_check(enum gh_vendor vendor, const struct gh_far_end *e, char why[GH_WHY_TEXT])
{
    const struct vendor *v = &vendors[vendor];
    const struct gh_key_chain *c = e->chain;

    if (v->plain_names && !is_plain(c->name, strlen(c->name)))
        return refuse(why, "%s takes no key chain with the name \"%.64s\"", v->title, c->name);
    for (size_t i = 0; i < c->key_count; i++) {
        if (!check_key(v, e, &c->keys[i], why))
            return false;
        for (size_t j = 0; j < i; j++) {
            if (!check_keys_together(v, &c->keys[j], &c->keys[i], why))
                return false;
        }
    }
    return true;
}

void gh_vendor_write(enum gh_vendor v, const struct gh_far_end *e, FILE *out)
{
    vendors[v].write(e, out);
}

/* ---- Shared by the writers ---- */

void gh_far_secret(const struct gh_far_end *e, const struct gh_key *key, struct gh_secret_text *out)
{
    const char *where = key->secret_source;

    if (e->show_secrets && key->secret.len > 0)
        snprintf(out->text, sizeof(out->text), "%.*s", (int)key->secret.len,
                 (const char *)key->secret.data);
    else if (where != NULL && strncmp(where, "file ", 5) == 0)
        snprintf(out->text, sizeof(out->text), "<text-of:%s>", where + 5);
    else
        snprintf(out->text, sizeof(out->text), "<secret-of-key-%u>", key->mkt.number);
}

bool gh_far_knows_neighbour(const struct gh_far_end *e)
{
    return e->session != NULL && gh_prefix_is_host(&e->session->local);
}

const char *gh_far_neighbour(const struct gh_far_end *e, char buf[GH_PREFIX_TEXT])
{
    if (!gh_far_knows_neighbour(e))
        return "<gatehouse-address>";
    return gh_prefix_format(&e->session->local, buf);
}

const char *gh_far_as(uint32_t as, const char *placeholder, char buf[16])
{
    if (as == 0)
        return placeholder;
    snprintf(buf, 16, "%u", as);
    return buf;
}

int64_t gh_far_start(const struct gh_key *key)
{
    return key->mkt.send.from == TCPAO_TIME_MIN ? 946684800 : key->mkt.send.from; /* 2000-01-01 */
}
