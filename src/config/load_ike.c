/*
 * IKE's part of a configuration: its sections in the order of what refers to what, and what holds
 * for all peers.
 */
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load.h"
#include "config/sizes.h"
#include "config/ike_print.h"
#include "ike/codes.h"
#include "tunnel/pmtu.h"

enum {
    GLOBAL_SAS,
    GLOBAL_HALF_OPEN,
    GLOBAL_COOKIE,
    GLOBAL_PUZZLE,
    GLOBAL_PUZZLE_BITS,
    GLOBAL_PUZZLE_UNSOLVED,
    GLOBAL_PUZZLE_BUDGET,
    GLOBAL_CHILDREN,
    GLOBAL_REASSEMBLY,
    GLOBAL_REDUCED,
    GLOBAL_TICKET,
    GLOBAL_STRAYS,
    GLOBAL_PATH_MTU,
    GLOBAL_PROHIBITED,
    GLOBAL_TCP_AO,
    GLOBAL_UNPROTECTED,
    GLOBAL_ESP_FRAGMENTS,
    GLOBAL_KEY_LOG,
    GLOBAL_SAS_HIGH,
    GLOBAL_SAS_LOW,
    GLOBAL_ESP_KEY_LOG,
    GLOBAL_WORKERS,
    GLOBAL_LOCKOUT,
    GLOBAL_ITEMS
};

static const struct gh_item global_items[GLOBAL_ITEMS] = {
    [GLOBAL_SAS] = {"sa-limit", GH_ITEM_VALUE},
    [GLOBAL_HALF_OPEN] = {"half-open-limit", GH_ITEM_VALUE},
    [GLOBAL_COOKIE] = {"cookie-threshold", GH_ITEM_VALUE},
    [GLOBAL_PUZZLE] = {"puzzle-threshold", GH_ITEM_VALUE},
    [GLOBAL_PUZZLE_BITS] = {"puzzle-difficulty", GH_ITEM_VALUE},
    [GLOBAL_PUZZLE_UNSOLVED] = {"puzzle-unsolved", GH_ITEM_VALUE},
    [GLOBAL_PUZZLE_BUDGET] = {"puzzle-budget", GH_ITEM_VALUE},
    [GLOBAL_CHILDREN] = {"child-limit", GH_ITEM_VALUE},
    [GLOBAL_REASSEMBLY] = {"reassembly-timeout", GH_ITEM_VALUE},
    [GLOBAL_REDUCED] = {"reduced-exchange-timeout", GH_ITEM_VALUE},
    [GLOBAL_TICKET] = {"ticket-lifetime", GH_ITEM_VALUE},
    [GLOBAL_STRAYS] = {"unknown-spi-answers", GH_ITEM_VALUE},
    [GLOBAL_PATH_MTU] = {"path-mtu-aging", GH_ITEM_VALUE},
    [GLOBAL_PROHIBITED] = {"icmp-prohibited", GH_ITEM_VALUE},
    [GLOBAL_TCP_AO] = {"tcp-ao-protocol", GH_ITEM_VALUE},
    [GLOBAL_UNPROTECTED] = {"unprotected", GH_ITEM_VALUE},
    [GLOBAL_ESP_FRAGMENTS] = {"esp-fragments", GH_ITEM_VALUE},
    [GLOBAL_KEY_LOG] = {"key-log", GH_ITEM_VALUE},
    [GLOBAL_SAS_HIGH] = {"sa-high-watermark", GH_ITEM_VALUE},
    [GLOBAL_SAS_LOW] = {"sa-low-watermark", GH_ITEM_VALUE},
    [GLOBAL_ESP_KEY_LOG] = {"esp-key-log", GH_ITEM_VALUE},
    [GLOBAL_WORKERS] = {"workers", GH_ITEM_VALUE},
    [GLOBAL_LOCKOUT] = {"lockout", GH_ITEM_SECTION},
};

enum {
    LOCKOUT_ATTEMPTS,
    LOCKOUT_DURATION,
    LOCKOUT_BLOCK,
    LOCKOUT_PORTS,
    LOCKOUT_CLIENTS,
    LOCKOUT_ITEMS
};

static const struct gh_item lockout_items[LOCKOUT_ITEMS] = {
    [LOCKOUT_ATTEMPTS] = {"attempts", GH_ITEM_VALUE},
    [LOCKOUT_DURATION] = {"duration", GH_ITEM_VALUE},
    [LOCKOUT_BLOCK] = {"block", GH_ITEM_VALUE},
    [LOCKOUT_PORTS] = {"max-ports", GH_ITEM_VALUE},
    [LOCKOUT_CLIENTS] = {"clients", GH_ITEM_VALUE},
};

static void read_minutes(struct gh_ike_loader *x, const struct gh_node *n, uint32_t most,
                         unsigned *out)
{
    uint32_t v;

    if (gh_ike_u32(x, n, 1, most, &v))
        *out = v;
}

static void read_lockout(struct gh_ike_loader *x, const struct gh_node *section)
{
    const struct gh_node *got[LOCKOUT_ITEMS];
    struct gh_lockout_settings *s = &x->ike->settings.lockout;
    const struct gh_node *block;
    uint32_t v;

    gh_items_collect(x->l, section, lockout_items, LOCKOUT_ITEMS, got);
    x->ike->settings.lock_out = true;
    if (gh_ike_u32(x, got[LOCKOUT_ATTEMPTS], GH_LOCKOUT_ATTEMPTS_MIN, GH_LOCKOUT_ATTEMPTS_MAX, &v))
        s->attempts = v;
    read_minutes(x, got[LOCKOUT_DURATION], GH_LOCKOUT_DURATION_MAX, &s->duration);
    block = got[LOCKOUT_BLOCK];
    if (block != NULL && strcmp(block->values[0], "infinite") == 0)
        s->block = 0;
    else
        read_minutes(x, block, GH_LOCKOUT_BLOCK_MAX, &s->block);
    if (gh_ike_u32(x, got[LOCKOUT_PORTS], GH_LOCKOUT_PORTS_MIN, GH_LOCKOUT_PORTS_MAX, &v))
        s->max_ports = v;
    if (gh_ike_u32(x, got[LOCKOUT_CLIENTS], 16, 1048576, &v))
        s->clients = v;
}

static void read_key_log(struct gh_ike_loader *x, const struct gh_node *n, const char *whose,
                         char **out)
{
    const char *path;

    if (!gh_node_text(x->l, n, GH_IKE_PATH_MAX, &path))
        return;
    if (path[0] != '/')
        gh_load_error(x->l, n->line, "range", "write the path from / on",
                      "\"%s\" must be an absolute path", n->name);
    gh_load_warning(x->l, n->line, "key-log", "remove it when the search for the fault is over",
                    "THE KEYS OF ALL %s SAS ARE WRITTEN TO A FILE: whoever reads it reads "
                    "everything",
                    whose);
    free(*out);
    *out = gh_config_strdup(path);
}

/* Cookies come before puzzles; a default that says otherwise gives way to what is written. */
static void read_puzzles(struct gh_ike_loader *x, const struct gh_node **got)
{
    struct gh_ike_settings *s = &x->ike->settings;
    const struct gh_node *threshold = got[GLOBAL_PUZZLE];
    uint32_t v;

    if (threshold != NULL && strcmp(threshold->values[0], "never") == 0)
        s->half_open_puzzle = GH_PUZZLES_NEVER;
    else if (gh_ike_u32(x, threshold, 0, 1000000, &s->half_open_puzzle) &&
             (s->half_open_puzzle < s->half_open_cookie || s->half_open_puzzle > s->half_open_max))
        gh_load_error(x->l, threshold->line, "range", "set it between the two, or to never",
                      "\"puzzle-threshold\" (%u) must be from \"cookie-threshold\" (%u) to "
                      "\"half-open-limit\" (%u)",
                      s->half_open_puzzle, s->half_open_cookie, s->half_open_max);
    else if (s->half_open_puzzle < s->half_open_cookie)
        s->half_open_puzzle = s->half_open_cookie;
    if (gh_ike_u32(x, got[GLOBAL_PUZZLE_BITS], 1, GH_PUZZLE_BITS_MAX, &v))
        s->puzzle_bits = (uint8_t)v;
    gh_ike_u32(x, got[GLOBAL_PUZZLE_UNSOLVED], 0, GH_PUZZLE_UNSOLVED_MAX, &s->puzzle_legacy);
    gh_ike_u32(x, got[GLOBAL_PUZZLE_BUDGET], 64, 1048576, &s->puzzle_budget);
}

/* Unless written, nine and eight tenths of the limit. */
static void read_watermarks(struct gh_ike_loader *x, const struct gh_node **got)
{
    const struct gh_node *high = got[GLOBAL_SAS_HIGH], *low = got[GLOBAL_SAS_LOW];
    struct gh_ike_settings *s = &x->ike->settings;

    if (gh_ike_u32(x, high, 1, 1000000, &s->sas_high) && s->sas_high > s->sas_max)
        gh_load_error(x->l, high->line, "range", "make it smaller, or raise sa-limit",
                      "\"%s\" (%u) is beyond \"sa-limit\" (%u), so that it is never reached",
                      high->name, s->sas_high, s->sas_max);
    if (gh_ike_u32(x, low, 1, 1000000, &s->sas_low) && s->sas_low > gh_ike_sas_high(s))
        gh_load_error(x->l, low->line, "range", "make it the smaller one",
                      "\"%s\" (%u) is beyond \"sa-high-watermark\" (%u)", low->name, s->sas_low,
                      gh_ike_sas_high(s));
}

void gh_load_ike_globals(struct gh_ike_loader *x, const struct gh_node *section)
{
    static const char *const unprotected[] = {"drop", "pass", NULL};
    static const char *const fragments[] = {"reassemble", "drop", NULL};
    const struct gh_node *got[GLOBAL_ITEMS], *lockout = NULL;
    struct gh_ike_settings *s = &x->ike->settings;
    unsigned choice = 0;
    uint32_t v;

    gh_items_collect(x->l, section, global_items, GLOBAL_ITEMS, got);
    gh_ike_u32(x, got[GLOBAL_SAS], 1, 1000000, &s->sas_max);
    read_watermarks(x, got);
    gh_ike_u32(x, got[GLOBAL_HALF_OPEN], 1, 1000000, &s->half_open_max);
    gh_ike_u32(x, got[GLOBAL_COOKIE], 0, 1000000, &s->half_open_cookie);
    gh_ike_u32(x, got[GLOBAL_CHILDREN], 1, 4096, &s->children_max);
    if (gh_ike_seconds(x, got[GLOBAL_REASSEMBLY], 1, 5, &v))
        s->reassembly_ms = v * 1000;
    if (gh_ike_seconds(x, got[GLOBAL_REDUCED], 2, 60, &v))
        s->reduced_exchange_ms = v * 1000;
    read_puzzles(x, got);
    gh_ike_seconds(x, got[GLOBAL_TICKET], GH_TICKET_SECONDS_MIN, GH_TICKET_SECONDS_MAX,
                   &s->ticket_seconds);
    gh_ike_u32(x, got[GLOBAL_STRAYS], 0, 10000, &s->strays_per_second);
    gh_ike_seconds(x, got[GLOBAL_PATH_MTU], TUNNEL_PMTU_AGE_MIN_S, TUNNEL_PMTU_AGE_MAX_S,
                   &s->path_mtu_seconds);
    gh_ike_sizes_rate(x, got[GLOBAL_PROHIBITED], &s->prohibited_messages, &s->prohibited_seconds);
    if (gh_ike_u32(x, got[GLOBAL_TCP_AO], IKE_PROTO_TCP_AO, UINT8_MAX, &v))
        s->tcp_ao_protocol = (uint8_t)v;
    s->pass_unprotected =
        gh_node_choice(x->l, got[GLOBAL_UNPROTECTED], unprotected, &choice) && choice == 1;
    s->drop_fragments =
        gh_node_choice(x->l, got[GLOBAL_ESP_FRAGMENTS], fragments, &choice) && choice == 1;
    read_key_log(x, got[GLOBAL_KEY_LOG], "IKE", &x->ike->settings.key_log);
    gh_load_ike_workers(x, got[GLOBAL_WORKERS], &x->ike->groups[0]);
    read_key_log(x, got[GLOBAL_ESP_KEY_LOG], "ESP", &x->ike->settings.esp_key_log);
    for (size_t i = 0; i < section->child_count; i++) {
        const struct gh_node *n = &section->children[i];

        if (!n->section || n->title != NULL || strcmp(n->name, "lockout") != 0)
            continue;
        if (lockout != NULL)
            gh_load_error(x->l, n->line, "duplicate", "make them one",
                          "there are two \"lockout\" sections, the first on line %d",
                          lockout->line);
        lockout = n;
        read_lockout(x, n);
    }
    if (s->half_open_cookie > s->half_open_max)
        gh_load_error(x->l, section->line, "range", "make \"cookie-threshold\" the smaller one",
                      "\"cookie-threshold\" (%u) is beyond \"half-open-limit\" (%u), so that no "
                      "cookie would ever be asked for",
                      s->half_open_cookie, s->half_open_max);
}

/* In the order in which they are read. */
static const struct {
    const char *name;
    bool titled;
    void (*load)(struct gh_ike_loader *x, const struct gh_node *section);
    bool beside; /* read with those above it: their order among each other counts */
} sections[] = {
    {"ike", false, gh_load_ike_globals, false},
    {"tunnel-group", true, gh_load_ike_group, false},
    {"ike-psk", true, gh_load_ike_psk, false},
    {"ike-ppk", true, gh_load_ike_ppk, false},
    {"ike-key", true, gh_load_ike_key, false},
    {"ike-transform", true, gh_load_ike_transform, false},
    {"ipsec-transform", true, gh_load_ipsec_transform, false},
    {"ts-list", true, gh_load_ike_ts_list, false},
    {"trust-anchor-profile", true, gh_load_ike_trust, false},
    {"cert-profile", true, gh_load_ike_profile, false},
    {"client-db", true, gh_load_ike_clients, false},
    {"ike-policy", true, gh_load_ike_policy, false},
    {"ike-peer", true, gh_load_ike_peer, false},
    {"manual-sa", true, gh_load_manual_sa, true},
    {"tunnel", true, gh_load_tunnel, false},
    {"ipsec-policy", true, gh_load_ipsec_policy, false},
};
enum { SECTIONS = sizeof(sections) / sizeof(sections[0]) };

static bool is_section(const struct gh_node *n, size_t s)
{
    return n->section && (n->title != NULL) == sections[s].titled &&
           strcmp(n->name, sections[s].name) == 0;
}

bool gh_ike_is_section(const struct gh_node *n)
{
    for (size_t s = 0; s < SECTIONS; s++) {
        if (is_section(n, s))
            return true;
    }
    return false;
}

/* The section among those from `s` on that are read together; SECTIONS: another. */
static size_t which(const struct gh_node *n, size_t s)
{
    do {
        if (is_section(n, s))
            return s;
        s++;
    } while (s < SECTIONS && sections[s].beside);
    return SECTIONS;
}

static void load_all(struct gh_ike_loader *x, const struct gh_node *root, size_t s)
{
    const struct gh_node *first = NULL;

    for (size_t i = 0; i < root->child_count; i++) {
        const struct gh_node *n = &root->children[i];
        size_t at = which(n, s);

        if (at == SECTIONS)
            continue;
        if (first != NULL && !sections[s].titled)
            gh_load_error(x->l, n->line, "duplicate", "make them one",
                          "there are two \"%s\" sections, the first on line %d", n->name,
                          first->line);
        first = n;
        sections[at].load(x, n);
    }
}

void gh_load_ike(struct gh_loader *l, const struct gh_node *root)
{
    struct gh_ike_loader *x;
    bool any = false;

    for (size_t i = 0; i < root->child_count; i++)
        any = any || gh_ike_is_section(&root->children[i]);
    if (!any)
        return;
    x = l->ike = gh_config_alloc(1, sizeof(*x));
    *x = (struct gh_ike_loader){.l = l, .order = &l->config->keeper};
    x->ike = l->config->ike = gh_ike_config_new();
    gh_ike_default_group(x);
    for (size_t s = 0; s < SECTIONS; s++)
        if (!sections[s].beside)
            load_all(x, root, s);
    l->config->ike_text = gh_ike_text(root);
}

static bool has_session(const struct gh_config *c, const char *peer)
{
    for (size_t i = 0; i < c->session_count; i++) {
        if (gh_config_text_equal(c->sessions[i].ike_peer, peer))
            return true;
    }
    return false;
}

/* What sessions ask of a peer counts as its children. */
static void check_children(const struct gh_ike_loader *x)
{
    for (size_t i = 0; i < x->ike->policy_count; i++) {
        const struct ike2_policy *p = x->ike->policies[i];

        if (p->child_count == 0 && !p->childless && !has_session(x->l->config, p->name))
            gh_load_error(x->l, x->ike->places[i].line, "missing-option",
                          "add child NAME { local-ts = \"…\"  remote-ts = \"…\" }, or a tcp-ao "
                          "section that names it",
                          "the ike-peer \"%s\" has no child", p->name);
    }
}

void gh_load_ike_end(struct gh_loader *l)
{
    struct gh_ike_loader *x = l->ike;

    if (x == NULL)
        return;
    check_children(x);
    gh_check_ike_private(x);
    gh_check_manual_sas(x);
    gh_check_ipsec_policies(x);
    gh_check_ike_groups(x);
    for (size_t i = 0; i < x->template_count; i++)
        ike2_policy_free(x->templates[i]);
    for (size_t i = 0; i < x->key_count; i++)
        gh_pubkey_free(x->keys[i]);
    free(x->templates);
    free(x->keys);
    free(x->ike_transforms);
    free(x->ipsec_transforms);
    free(x);
    l->ike = NULL;
}
