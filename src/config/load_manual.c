/*
 * `manual-sa NAME { … }`: SAs whose keys both ends were given by hand (RFC 4301 4.5), as a policy
 * with one child that IKE has no part in, and its keys beside it (config/manual.h).
 */
#include <stdio.h>
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load.h"
#include "config/ike_words.h"
#include "config/secret_source.h"
#include "config/sizes.h"
#include "ike/codes.h"
#include "ipsec/replay.h"

enum {
    SA_NETNS,
    SA_VRF,
    SA_LOCAL,
    SA_REMOTE,
    SA_MODE,
    SA_LOCAL_TS,
    SA_REMOTE_TS,
    SA_WINDOW,
    SA_DESCRIPTION,
    SA_ESP,
    SA_AH,
    SA_SIZES,
    SA_ITEMS = SA_SIZES + GH_SIZES_ITEMS
};

static const struct gh_item sa_items[SA_ITEMS] = {
    [SA_NETNS] = {"netns", GH_ITEM_VALUE},
    [SA_VRF] = {"vrf", GH_ITEM_VALUE},
    [SA_LOCAL] = {"local", GH_ITEM_VALUE},
    [SA_REMOTE] = {"remote", GH_ITEM_VALUE},
    [SA_MODE] = {"mode", GH_ITEM_VALUE},
    [SA_LOCAL_TS] = {"local-ts", GH_ITEM_LIST},
    [SA_REMOTE_TS] = {"remote-ts", GH_ITEM_LIST},
    [SA_WINDOW] = {"replay-window", GH_ITEM_VALUE},
    [SA_DESCRIPTION] = {"description", GH_ITEM_VALUE},
    [SA_ESP] = {"esp", GH_ITEM_SECTION},
    [SA_AH] = {"ah", GH_ITEM_SECTION},
    GH_SIZES_TABLE(SA_SIZES),
};

enum { PART_INTEGRITY, PART_LEGACY, PART_IN, PART_OUT, PART_ENCRYPTION, PART_ITEMS };

static const struct gh_item part_items[PART_ITEMS] = {
    [PART_INTEGRITY] = {"integrity", GH_ITEM_VALUE},
    [PART_LEGACY] = {"legacy", GH_ITEM_VALUE},
    [PART_IN] = {"in", GH_ITEM_SECTION},
    [PART_OUT] = {"out", GH_ITEM_SECTION},
    [PART_ENCRYPTION] = {"encryption", GH_ITEM_VALUE}, /* the last: AH has none */
};

enum { WAY_SPI, WAY_INTEGRITY_KEY, WAY_ENCRYPTION_KEY, WAY_ITEMS };

static const struct gh_item way_items[WAY_ITEMS] = {
    [WAY_SPI] = {"spi", GH_ITEM_VALUE},
    [WAY_INTEGRITY_KEY] = {"integrity-key-file", GH_ITEM_VALUE},
    [WAY_ENCRYPTION_KEY] = {"encryption-key-file", GH_ITEM_VALUE}, /* the last: AH has none */
};

enum { AH_MAX = 48 }; /* its octets, in IPv6 with the longest ICV */

/* One section while it is read. */
struct reading {
    struct gh_ike_loader *x;
    const char *name;
    const struct ike2_policy *policy;
    struct gh_manual_sa *sa;
};

static void missing(const struct reading *r, int line, const char *what, const char *remedy)
{
    gh_load_error(r->x->l, line, "missing-option", remedy, "the manual-sa \"%s\" has no \"%s\"",
                  r->name, what);
}

/* The one section of this name; NULL: there is none. */
static const struct gh_node *subsection(struct gh_ike_loader *x, const struct gh_node *section,
                                        const char *name)
{
    const struct gh_node *found = NULL;

    for (size_t i = 0; i < section->child_count; i++) {
        const struct gh_node *n = &section->children[i];

        if (!n->section || n->title != NULL || strcmp(n->name, name) != 0)
            continue;
        if (found != NULL)
            gh_load_error(x->l, n->line, "duplicate", "keep one of them",
                          "there are two \"%s\" sections, the first on line %d", name, found->line);
        else
            found = n;
    }
    return found;
}

static bool has(const struct gh_node *section, const char *name)
{
    for (size_t i = 0; i < section->child_count; i++)
        if (strcmp(section->children[i].name, name) == 0)
            return true;
    return false;
}

/* ---- Keys ----------------------------------------------------------------------------------- */

/* Behind what `out` has already. */
static void read_key(const struct reading *r, const struct gh_node *n, const char *algorithm,
                     size_t octets, struct gh_secret *out)
{
    struct gh_loader *l = r->x->l;
    struct gh_secret key = {.data = NULL}, both = {.data = NULL};
    struct gh_secret_error e;
    const char *path;

    if (!gh_node_text(l, n, GH_IKE_PATH_MAX, &path))
        return;
    if (path[0] != '/') {
        gh_load_error(l, n->line, "secret-missing", "write the path from / on",
                      "\"%s\" must be an absolute path", n->name);
        return;
    }
    if (l->options->skip_secrets)
        return;
    if (!gh_secret_from_file(path, GH_SECRET_PREFIXED, &key, &e)) {
        gh_load_error(l, n->line, e.rule, e.remedy, "%s", e.message);
    } else if (key.len != octets) {
        gh_load_error(l, n->line, "key-length",
                      "write it as 0x and hexadecimal digits, or as 0s and base64",
                      "the key in \"%s\" has %zu octets, and \"%s\" takes %zu", n->name, key.len,
                      algorithm, octets);
    } else {
        uint8_t joined[GH_MANUAL_KEY_MAX];

        if (out->len > 0)
            memcpy(joined, out->data, out->len);
        memcpy(joined + out->len, key.data, key.len);
        if (gh_secret_set(&both, joined, out->len + key.len)) {
            gh_secret_clear(out);
            *out = both;
        }
        gh_wipe(joined, sizeof(joined));
    }
    gh_secret_clear(&key);
}

static void need_key(const struct reading *r, const struct gh_node *section,
                     const struct gh_node *n, const char *what, bool wanted)
{
    if (n == NULL && wanted)
        missing(r, section->line, what,
                "name a file with the key in it: 0x and hexadecimal digits");
    if (n != NULL && !wanted)
        gh_load_error(r->x->l, n->line, "range", "remove it", "\"%s\": \"null\" has no key",
                      n->name);
}

static void read_way(const struct reading *r, const struct gh_node *part,
                     const struct gh_ike_word *enc, const struct gh_ike_word *integ, bool in,
                     bool ah, const struct gh_manual_part *p, struct gh_manual_way *out)
{
    const char *which = in ? "in" : "out";
    const struct gh_node *section = subsection(r->x, part, which), *got[WAY_ITEMS] = {NULL};
    size_t enc_octets = enc != NULL ? gh_enc_key_len(p->enc, p->enc_bits) : 0;

    if (section == NULL) {
        missing(r, part->line, which, "add in { spi = … } and out { spi = … }, one for each way");
        return;
    }
    gh_items_collect(r->x->l, section, way_items, WAY_ITEMS - ah, got);
    if (got[WAY_SPI] == NULL)
        missing(r, section->line, "spi", "write a number from 256 to 16383");
    gh_ike_u32(r->x, got[WAY_SPI], GH_MANUAL_SPI_MIN, GH_MANUAL_SPI_MAX, &out->spi);
    need_key(r, section, got[WAY_INTEGRITY_KEY], way_items[WAY_INTEGRITY_KEY].name, true);
    if (!ah && enc != NULL) {
        need_key(r, section, got[WAY_ENCRYPTION_KEY], way_items[WAY_ENCRYPTION_KEY].name,
                 enc_octets > 0);
        if (enc_octets > 0)
            read_key(r, got[WAY_ENCRYPTION_KEY], enc->name, enc_octets, &out->key);
    }
    if (integ != NULL)
        read_key(r, got[WAY_INTEGRITY_KEY], integ->name, gh_integ_key_len(p->integ), &out->key);
}

/* ---- ESP, AH -------------------------------------------------------------------------------- */

/* NULL: an error was reported. */
static const struct gh_ike_word *read_word(const struct reading *r, const struct gh_node *n,
                                           uint8_t type, unsigned use, bool legacy)
{
    const struct gh_ike_word *w = gh_ike_word(type, n->values[0]);
    struct gh_loader *l = r->x->l;

    if (w == NULL || (w->use & use) == 0) {
        gh_load_error(l, n->line, "algorithm",
                      type == IKE_T_ENCR
                          ? "write such as aes-256-cbc; gatehouse.conf(5) has the list"
                          : "write such as hmac-sha-256-128",
                      "\"%s\" does not know \"%.64s\" here", n->name, n->values[0]);
        return NULL;
    }
    if (type == IKE_T_ENCR && !gh_manual_may_have((enum gh_enc_alg)w->id)) {
        gh_load_error(
            l, n->line, "counter-mode",
            "write aes-256-cbc with integrity = hmac-sha-256-128, or let IKE make the keys",
            "\"%s\" is a counter mode, which MUST NOT be used with manual keys: after a "
            "restart counters are used twice, and that gives the packets away (RFC 8221)",
            w->name);
        return NULL;
    }
    if (w->legacy && !legacy)
        gh_load_error(l, n->line, "legacy-algorithm",
                      "take another, or add legacy = yes if the peer has nothing better",
                      "\"%s\" is too weak for today", w->name);
    else if (w->legacy)
        gh_load_warning(l, n->line, "legacy-algorithm",
                        "remove it as soon as the peer can do better",
                        "\"%s\" IS WEAK: what it protects can be broken", w->name);
    if (!gh_ike_word_available(type, w))
        gh_load_error(l, n->line, "algorithm-unavailable",
                      "take another, or install an OpenSSL that has it",
                      "this machine's OpenSSL has no \"%s\"", w->name);
    return w;
}

static void read_part(const struct reading *r, const struct gh_node *section, bool ah,
                      struct gh_manual_part *out)
{
    const struct gh_node *got[PART_ITEMS] = {NULL};
    const struct gh_ike_word *enc = NULL, *integ = NULL;
    const unsigned use = ah ? GH_FOR_AH : GH_FOR_ESP;
    bool legacy = false;

    gh_items_collect(r->x->l, section, part_items, PART_ITEMS - ah, got);
    gh_node_bool(r->x->l, got[PART_LEGACY], &legacy);
    out->there = true;
    out->enc = GH_ENC_NULL;
    if (!ah && got[PART_ENCRYPTION] == NULL)
        missing(r, section->line, "encryption", "write such as encryption = aes-256-cbc");
    else if (!ah)
        enc = read_word(r, got[PART_ENCRYPTION], IKE_T_ENCR, use, legacy);
    if (enc != NULL) {
        out->enc = (enum gh_enc_alg)enc->id;
        out->enc_bits = enc->key_bits;
    }
    if (got[PART_INTEGRITY] == NULL)
        missing(r, section->line, "integrity", "write such as integrity = hmac-sha-256-128");
    else
        integ = read_word(r, got[PART_INTEGRITY], IKE_T_INTEG, use, legacy);
    if (integ != NULL)
        out->integ = (enum gh_integ_alg)integ->id;
    read_way(r, section, enc, integ, true, ah, out, &out->in);
    read_way(r, section, enc, integ, false, ah, out, &out->out);
}

/* ---- SPIs ----------------------------------------------------------------------------------- */

static const struct ike2_policy *policy_of(const struct gh_ike_loader *x, const char *name)
{
    for (size_t i = 0; i < x->ike->policy_count; i++)
        if (x->ike->policies[i]->manual && strcmp(x->ike->policies[i]->name, name) == 0)
            return x->ike->policies[i];
    return NULL;
}

/* What comes in is told by its SPI alone, what leaves by the peer's address, too. */
static void check_spis(const struct reading *r, int line, const char *what,
                       const struct gh_manual_part *mine, const struct gh_manual_sa *other,
                       const struct gh_manual_part *theirs)
{
    const struct ike2_policy *p = policy_of(r->x, other->name);
    bool in = mine->in.spi == theirs->in.spi, out = mine->out.spi == theirs->out.spi && p != NULL &&
                                                    p->zone == r->policy->zone &&
                                                    gh_addr_equal(&p->gateway, &r->policy->gateway);

    if (mine->there && theirs->there && mine->in.spi != 0 && (in || out))
        gh_load_error(r->x->l, line, "spi-in-use", "give each its own",
                      "the SPI %u of what %s is that of \"%s\", too, for %s",
                      in ? mine->in.spi : mine->out.spi, in ? "comes in" : "goes out", other->name,
                      what);
}

/* ---- The section ---------------------------------------------------------------------------- */

static void read_ends(const struct reading *r, const struct gh_node *section,
                      const struct gh_node **got, struct ike2_policy *p)
{
    if (got[SA_LOCAL] == NULL)
        missing(r, section->line, "local", "add local = ADDRESS, one of this host's");
    if (got[SA_REMOTE] == NULL)
        missing(r, section->line, "remote", "add remote = ADDRESS");
    gh_ike_addr(r->x, got[SA_LOCAL], &p->local);
    gh_ike_addr(r->x, got[SA_REMOTE], &p->gateway);
    p->remote = (struct gh_prefix){.addr = p->gateway, .bits = (uint8_t)(p->gateway.len * 8)};
    if (p->local.len != 0 && p->gateway.len != 0 && p->local.len != p->gateway.len)
        gh_load_error(r->x->l, got[SA_LOCAL]->line, "address", "write both as IPv4 or both as IPv6",
                      "\"remote\" and \"local\" are of different address families");
}

/* In transport mode all is between the two hosts. */
static void read_side(const struct reading *r, const struct gh_node *section,
                      const struct gh_node *n, size_t item, const struct gh_addr *host,
                      enum ike2_mode mode, struct ike_ts_list *out)
{
    if (n == NULL && mode == IKE2_TUNNEL)
        missing(r, section->line, sa_items[item].name, "add it, as in \"10.1.0.0/16\"");
    gh_ike_selectors(r->x, n, out);
    if (mode == IKE2_TUNNEL || host->len == 0)
        return;
    if (n == NULL)
        out->ts[out->count++] = ike_ts_from_range(host, host);
    for (size_t i = 0; i < out->count; i++)
        if (!gh_addr_equal(&out->ts[i].start, host) || !gh_addr_equal(&out->ts[i].end, host))
            gh_load_error(
                r->x->l, n->value_lines[i], "traffic-selector",
                "write the host's own address, or mode = tunnel",
                "transport mode of \"%s\" is between the two hosts alone, and \"%s\" names "
                "others",
                r->name, n->name);
}

static void read_window(const struct reading *r, const struct gh_node *n,
                        struct ike2_child_policy *child)
{
    uint32_t v;

    child->traffic = ike2_child_traffic_default();
    child->traffic.window = 0; /* RFC 4303 3.3.3: a restart of the peer begins its numbers anew */
    if (n == NULL || strcmp(n->values[0], "off") == 0)
        return;
    if (gh_ike_u32(r->x, n, IPSEC_WINDOW_MIN, IPSEC_WINDOW_MAX, &v))
        child->traffic.window = (uint16_t)v;
    gh_load_warning(r->x->l, n->line, "replay",
                    "leave it off unless the peer keeps its sequence numbers when it restarts",
                    "with \"%s\", packets of \"%s\" are dropped after the peer has restarted with "
                    "the same keys",
                    n->name, r->name);
}

static void read_child(const struct reading *r, const struct gh_node *section,
                       const struct gh_node **got, const struct ike2_policy *p,
                       struct ike2_child_policy *child)
{
    static const char *const modes[] = {"tunnel", "transport", NULL};
    struct ike_sa defaults;
    unsigned mode = 0;

    (void)snprintf(child->name, sizeof(child->name), "%s", GH_MANUAL_CHILD);
    gh_node_choice(r->x->l, got[SA_MODE], modes, &mode);
    child->mode = mode == 0 ? IKE2_TUNNEL : IKE2_TRANSPORT;
    read_side(r, section, got[SA_LOCAL_TS], SA_LOCAL_TS, &p->local, child->mode, &child->local);
    read_side(r, section, got[SA_REMOTE_TS], SA_REMOTE_TS, &p->gateway, child->mode,
              &child->remote);
    read_window(r, got[SA_WINDOW], child);
    gh_ike_sizes(r->x, &got[SA_SIZES], &child->path);
    if (got[SA_SIZES + GH_SIZES_IP_MTU] == NULL && has(section, "esp") && has(section, "ah"))
        child->path.ip_mtu = IKE2_IP_MTU - AH_MAX;
    /* Of no meaning; the encoding has them. */
    child->lifetime.seconds = GH_CHILD_LIFETIME;
    ike2_default_proposals(IKE_PROTO_ESP, &defaults);
    gh_ike_keep_proposals(&child->proposals, &defaults);
}

static void read_parts(const struct reading *r, const struct gh_node *section)
{
    const struct gh_node *esp = subsection(r->x, section, "esp"),
                         *ah = subsection(r->x, section, "ah");
    const struct gh_manual_list *all = &r->x->l->config->manual;

    if (esp == NULL && ah == NULL)
        missing(r, section->line, "esp", "add esp { … }, or ah { … }, or both for AH around ESP");
    if (esp != NULL)
        read_part(r, esp, false, &r->sa->esp);
    if (ah != NULL)
        read_part(r, ah, true, &r->sa->ah);
    for (size_t i = 0; i + 1 < all->count; i++) {
        check_spis(r, esp != NULL ? esp->line : section->line, "ESP", &r->sa->esp, &all->sas[i],
                   &all->sas[i].esp);
        check_spis(r, ah != NULL ? ah->line : section->line, "AH", &r->sa->ah, &all->sas[i],
                   &all->sas[i].ah);
    }
}

void gh_load_manual_sa(struct gh_ike_loader *x, const struct gh_node *section)
{
    const struct gh_node *got[SA_ITEMS];
    struct gh_ike_config *c = x->ike;
    struct gh_manual_list *all = &x->l->config->manual;
    struct reading r = {.x = x, .name = gh_ike_name(x, section)};
    struct gh_ike_place place = {.line = section->line, .child_lines = {section->line}};
    struct ike2_policy *p;
    const char *text;

    gh_items_collect(x->l, section, sa_items, SA_ITEMS, got);
    if (all->count == GH_MANUAL_SAS || c->policy_count == GH_IKE_PEERS) {
        gh_load_error(x->l, section->line, "too-many-sas", "let IKE make the keys of the others",
                      "at most %d manual-sa sections are possible", (int)GH_MANUAL_SAS);
        return;
    }
    gh_node_text(x->l, got[SA_DESCRIPTION], GH_IKE_DESCRIPTION_MAX, &text);
    gh_ike_define(x, "manual-sa", r.name, section->line, c->policy_count);
    c->definitions[c->definition_count - 1].used = true;
    p = gh_config_must(ike2_policy_new(r.name));
    p->index = (unsigned)c->policy_count + 1;
    p->manual = true;
    p->remote_auths = 0;
    read_ends(&r, section, got, p);
    gh_ike_zone(x, got[SA_NETNS], got[SA_VRF], p);
    p->children = gh_config_grow(p->children, 0, sizeof(*p->children));
    p->children[p->child_count++].path = ike2_child_path_default();
    read_child(&r, section, got, p, &p->children[0]);
    all->sas = gh_config_grow(all->sas, all->count, sizeof(*all->sas));
    r.policy = p;
    r.sa = &all->sas[all->count++];
    r.sa->name = gh_config_strdup(r.name);
    read_parts(&r, section);
    c->policies = gh_config_grow(c->policies, c->policy_count, sizeof(struct ike2_policy *));
    c->places = gh_config_grow(c->places, c->policy_count, sizeof(*c->places));
    c->places[c->policy_count] = place;
    c->policies[c->policy_count++] = p;
}

/* One name is one peer to all that show and carry. */
void gh_check_manual_sas(struct gh_ike_loader *x)
{
    const struct gh_ike_config *c = x->ike;

    for (size_t i = 0; x->l->config->manual.count > 0 && i < c->policy_count; i++)
        for (size_t k = 0; c->policies[i]->manual && k < c->policy_count; k++)
            if (!c->policies[k]->manual && strcmp(c->policies[i]->name, c->policies[k]->name) == 0)
                gh_load_error(x->l, c->places[i].line, "duplicate", "give them different names",
                              "the ike-peer on line %d is called \"%s\", too", c->places[k].line,
                              c->policies[i]->name);
}
