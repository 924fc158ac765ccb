/*
 * `tunnel NAME { … }`: GRE or IP in IP, and who protects it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load.h"
#include "config/kernel_plane.h"
#include "config/sizes.h"
#include "config/tunnel_cover.h"
#include "tunnel/mss.h"
#include "tunnel/reassembly.h"

enum {
    TUNNEL_TYPE,
    TUNNEL_LOCAL,
    TUNNEL_REMOTE,
    TUNNEL_BACKUP,
    TUNNEL_PROTECT,
    TUNNEL_UNPROTECTED,
    TUNNEL_DEVICE_NAME,
    TUNNEL_NETNS,
    TUNNEL_VRF,
    TUNNEL_OUTER_NETNS,
    TUNNEL_OUTER_VRF,
    TUNNEL_ADDRESS,
    TUNNEL_DEST,
    TUNNEL_KEY,
    TUNNEL_SEND_KEY,
    TUNNEL_RECEIVE_KEY,
    TUNNEL_IGNORE_KEY,
    TUNNEL_SEND_CHECKSUM,
    TUNNEL_SEQUENCE,
    TUNNEL_TTL_VALUE,
    TUNNEL_DSCP,
    TUNNEL_LIMIT_VALUE,
    TUNNEL_REASSEMBLY,
    TUNNEL_SIZE_IP_MTU,
    TUNNEL_SIZE_ENCAPSULATED,
    TUNNEL_CLEAR_DF,
    TUNNEL_OUTER_DF,
    TUNNEL_LONG_IPV6,
    TUNNEL_MSS,
    TUNNEL_ICMP,
    TUNNEL_DATAPLANE,
    TUNNEL_DESCRIPTION,
    TUNNEL_ITEMS
};

static const struct gh_item tunnel_items[TUNNEL_ITEMS] = {
    [TUNNEL_TYPE] = {"type", GH_ITEM_VALUE},
    [TUNNEL_LOCAL] = {"local", GH_ITEM_VALUE},
    [TUNNEL_REMOTE] = {"remote", GH_ITEM_VALUE},
    [TUNNEL_BACKUP] = {"backup-remote", GH_ITEM_VALUE},
    [TUNNEL_PROTECT] = {"protect", GH_ITEM_VALUE},
    [TUNNEL_UNPROTECTED] = {"unprotected", GH_ITEM_VALUE},
    [TUNNEL_DEVICE_NAME] = {"device", GH_ITEM_VALUE},
    [TUNNEL_NETNS] = {"netns", GH_ITEM_VALUE},
    [TUNNEL_VRF] = {"vrf", GH_ITEM_VALUE},
    [TUNNEL_OUTER_NETNS] = {"outer-netns", GH_ITEM_VALUE},
    [TUNNEL_OUTER_VRF] = {"outer-vrf", GH_ITEM_VALUE},
    [TUNNEL_ADDRESS] = {"address", GH_ITEM_LIST},
    [TUNNEL_DEST] = {"dest", GH_ITEM_LIST},
    [TUNNEL_KEY] = {"key", GH_ITEM_VALUE},
    [TUNNEL_SEND_KEY] = {"send-key", GH_ITEM_VALUE},
    [TUNNEL_RECEIVE_KEY] = {"receive-key", GH_ITEM_VALUE},
    [TUNNEL_IGNORE_KEY] = {"ignore-key", GH_ITEM_VALUE},
    [TUNNEL_SEND_CHECKSUM] = {"checksum", GH_ITEM_VALUE},
    [TUNNEL_SEQUENCE] = {"sequence", GH_ITEM_VALUE},
    [TUNNEL_TTL_VALUE] = {"ttl", GH_ITEM_VALUE},
    [TUNNEL_DSCP] = {"dscp", GH_ITEM_VALUE},
    [TUNNEL_LIMIT_VALUE] = {"encapsulation-limit", GH_ITEM_VALUE},
    [TUNNEL_REASSEMBLY] = {"reassembly", GH_ITEM_VALUE},
    [TUNNEL_SIZE_IP_MTU] = {"ip-mtu", GH_ITEM_VALUE},
    [TUNNEL_SIZE_ENCAPSULATED] = {"encapsulated-ip-mtu", GH_ITEM_VALUE},
    [TUNNEL_CLEAR_DF] = {"clear-df", GH_ITEM_VALUE},
    [TUNNEL_OUTER_DF] = {"outer-df", GH_ITEM_VALUE},
    [TUNNEL_LONG_IPV6] = {"long-ipv6", GH_ITEM_VALUE},
    [TUNNEL_MSS] = {"mss", GH_ITEM_VALUE},
    [TUNNEL_ICMP] = {"icmp-too-big", GH_ITEM_VALUE},
    [TUNNEL_DATAPLANE] = {"dataplane", GH_ITEM_VALUE},
    [TUNNEL_DESCRIPTION] = {"description", GH_ITEM_VALUE},
};

/* ---- The two ends --------------------------------------------------------------------------- */

static void read_ends(struct gh_ike_loader *x, const struct gh_node *section,
                      const struct gh_node **got, struct gh_tunnel *t)
{
    struct tunnel_params *p = &t->p;

    for (size_t item = TUNNEL_LOCAL; item <= TUNNEL_REMOTE; item++)
        if (got[item] == NULL)
            gh_load_error(x->l, section->line, "missing-option", "add it, as in 192.0.2.1",
                          "the tunnel \"%s\" has no \"%s\"", t->name, tunnel_items[item].name);
    gh_ike_addr(x, got[TUNNEL_LOCAL], &p->local);
    gh_ike_addr(x, got[TUNNEL_REMOTE], &p->remote);
    gh_ike_addr(x, got[TUNNEL_BACKUP], &p->backup);
    if (p->local.len == 0 || p->remote.len == 0)
        return;
    if (p->local.len != p->remote.len || (p->backup.len != 0 && p->backup.len != p->local.len))
        gh_load_error(x->l, section->line, "address", "write all as IPv4 or all as IPv6",
                      "the ends of the tunnel \"%s\" are of different address families", t->name);
    else if (gh_addr_equal(&p->local, &p->remote) || gh_addr_equal(&p->local, &p->backup) ||
             gh_addr_equal(&p->remote, &p->backup))
        gh_load_error(x->l, section->line, "address", "write the other end's as \"remote\"",
                      "the tunnel \"%s\" has one address twice", t->name);
}

static void check_covered(struct gh_ike_loader *x, const struct gh_node *n,
                          const struct ike2_policy *p, const struct gh_tunnel *t)
{
    const struct gh_addr *ends[] = {&t->p.remote, &t->p.backup};
    char local[GH_ADDR_TEXT], remote[GH_ADDR_TEXT];

    for (size_t i = 0; i < 2; i++)
        if (t->p.local.len != 0 && ends[i]->len != 0 && !gh_tunnel_covered(p, &t->p, ends[i]))
            gh_load_error(x->l, n->line, "not-protected",
                          "add child tunnel { mode = transport local-ts = \"ADDRESS 47\" "
                          "remote-ts = \"ADDRESS 47\" } to it (4 and 41 instead of 47 for ipip)",
                          "no child of the ike-peer \"%s\" is for the packets of the tunnel \"%s\" "
                          "from %s to %s",
                          p->name, t->name, gh_addr_format(&t->p.local, local),
                          gh_addr_format(ends[i], remote));
}

/* The zone of an unprotected one must be that of some peer, where there are sockets. */
static void find_zone(struct gh_ike_loader *x, const struct gh_node *section,
                      const struct gh_node **got, struct gh_tunnel *t)
{
    char *netns = NULL, *vrf = NULL;
    bool found = false;

    gh_load_place(x->l, got[TUNNEL_OUTER_NETNS], got[TUNNEL_OUTER_VRF], &netns, &vrf);
    for (size_t i = 0; i < x->ike->policy_count && !found; i++) {
        uint16_t zone = x->ike->policies[i]->zone;

        found = gh_config_text_equal(zone > 0 ? x->ike->zones[zone - 1].netns : NULL, netns) &&
                gh_config_text_equal(zone > 0 ? x->ike->zones[zone - 1].vrf : NULL, vrf);
        if (found)
            t->zone = zone;
    }
    if (!found)
        gh_load_error(x->l, section->line, "place",
                      "name one with outer-netns and outer-vrf, or an ike-peer with \"protect\"",
                      "no ike-peer is where the packets of the tunnel \"%s\" are to leave",
                      t->name);
    free(netns);
    free(vrf);
}

/* Who carries the child carries the tunnel. */
static void check_planes(struct gh_ike_loader *x, const struct gh_node **got,
                         enum ike2_plane of_peer, const struct gh_tunnel *t)
{
    if (of_peer == IKE2_PLANE_KERNEL && t->plane == IKE2_PLANE_USER)
        gh_load_error(
            x->l, got[TUNNEL_PROTECT]->line, "range",
            "write dataplane = kernel or auto for the tunnel, or user or auto for the peer",
            "the ike-peer \"%s\" has dataplane = kernel, and the packets of the tunnel "
            "\"%s\" go by Gatehouse's own process",
            t->peer, t->name);
    if (of_peer == IKE2_PLANE_USER && t->plane == IKE2_PLANE_KERNEL)
        gh_load_error(x->l, got[TUNNEL_DATAPLANE]->line, "range",
                      "write dataplane = kernel or auto for the peer, or auto for the tunnel",
                      "the ike-peer \"%s\" has dataplane = user, which does not see the packets of "
                      "a device of the kernel's",
                      t->peer);
}

static void read_protection(struct gh_ike_loader *x, const struct gh_node *section,
                            const struct gh_node **got, struct gh_tunnel *t)
{
    bool unprotected = false;
    size_t index;

    gh_node_bool(x->l, got[TUNNEL_UNPROTECTED], &unprotected);
    if ((got[TUNNEL_PROTECT] != NULL) == unprotected) {
        gh_load_error(x->l, section->line, "not-protected",
                      "write protect = PEER, the name of an ike-peer, or unprotected = yes",
                      "the tunnel \"%s\" must be either protected or not", t->name);
        return;
    }
    if (unprotected) {
        find_zone(x, section, got, t);
        return;
    }
    for (size_t item = TUNNEL_OUTER_NETNS; item <= TUNNEL_OUTER_VRF; item++)
        if (got[item] != NULL)
            gh_load_error(x->l, got[item]->line, "range", "remove it",
                          "\"%s\" of a protected tunnel is its ike-peer's", got[item]->name);
    if (!gh_ike_refer_option(x, got[TUNNEL_PROTECT], "ike-peer", &index) ||
        index >= x->ike->policy_count)
        return;
    t->peer = gh_config_strdup(x->ike->policies[index]->name);
    t->zone = x->ike->policies[index]->zone;
    if (x->ike->policies[index]->private_zone > 0)
        gh_load_error(x->l, got[TUNNEL_PROTECT]->line, "private-side",
                      "name a peer without one; netns and vrf of the tunnel are its private side",
                      "the ike-peer \"%s\" has a private side, where no tunnel can begin", t->peer);
    check_planes(x, got, x->ike->policies[index]->plane, t);
    check_covered(x, got[TUNNEL_PROTECT], x->ike->policies[index], t);
}

/* ---- The device ----------------------------------------------------------------------------- */

static void read_device(struct gh_ike_loader *x, const struct gh_node *section,
                        const struct gh_node *n, struct gh_tunnel *t)
{
    const char *name = n != NULL ? n->values[0] : t->name;
    int line = n != NULL ? n->line : section->line;

    if (strlen(name) > GH_TUNNEL_DEVICE || name[0] == '\0' || strpbrk(name, "/ \t%:") != NULL ||
        strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        gh_load_error(x->l, line, "range", "add device = gre1, for example",
                      "\"%s\" cannot be the name of a network device, which has 1 to %d characters",
                      name, (int)GH_TUNNEL_DEVICE);
        name = "?";
    }
    t->device = gh_config_strdup(name);
}

static bool parse_address(const char *text, struct gh_prefix *out)
{
    char copy[GH_PREFIX_TEXT];
    char *slash, *end;
    unsigned long bits;

    if (strlen(text) >= sizeof(copy))
        return false;
    (void)snprintf(copy, sizeof(copy), "%s", text);
    slash = strchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    if (!gh_addr_parse(copy, &out->addr) || gh_addr_is_any(&out->addr))
        return false;
    bits = slash != NULL ? strtoul(slash + 1, &end, 10) : 8ul * out->addr.len;
    if (slash != NULL && (slash[1] < '0' || slash[1] > '9' || *end != '\0'))
        return false;
    out->bits = (uint8_t)bits;
    return bits >= 1 && bits <= 8ul * out->addr.len;
}

static void read_addresses(struct gh_ike_loader *x, const struct gh_node *n, struct gh_tunnel *t)
{
    for (size_t i = 0; n != NULL && i < n->value_count; i++) {
        if (t->address_count == GH_TUNNEL_ADDRESSES)
            gh_load_error(x->l, n->value_lines[i], "too-many-addresses", "remove some",
                          "a tunnel's device has at most %d addresses", (int)GH_TUNNEL_ADDRESSES);
        else if (!parse_address(n->values[i], &t->addresses[t->address_count]))
            gh_load_error(x->l, n->value_lines[i], "address",
                          "write such as 10.0.0.1/30 or 2001:db8::1/64",
                          "\"%s\" is not the address of an interface", n->values[i]);
        else
            t->address_count++;
    }
}

/* N17: each lies in a subnet of the device, or it could not be a next hop. */
static void read_dests(struct gh_ike_loader *x, const struct gh_node *n, struct gh_tunnel *t)
{
    struct tunnel_params *p = &t->p;

    for (size_t i = 0; n != NULL && i < n->value_count; i++) {
        struct gh_addr a;

        if (!gh_addr_parse(n->values[i], &a)) {
            gh_load_error(x->l, n->value_lines[i], "address", "write such as 10.0.0.2",
                          "\"%s\" is not an address", n->values[i]);
        } else if (p->dest_count == TUNNEL_DESTS_MAX) {
            gh_load_error(x->l, n->value_lines[i], "too-many-addresses", "remove some",
                          "\"dest\" has at most %d addresses", (int)TUNNEL_DESTS_MAX);
        } else {
            p->dests[p->dest_count++] = a;
            if (!tunnel_dests_within(p, t->addresses, t->address_count) &&
                !(a.len == 16 && a.octets[0] == 0xfe && (a.octets[1] & 0xc0) == 0x80))
                gh_load_error(x->l, n->value_lines[i], "address",
                              "add an \"address\" whose prefix has it",
                              "\"%s\" is in no subnet of the tunnel's own addresses", n->values[i]);
        }
    }
}

/* ---- Headers and sizes ---------------------------------------------------------------------- */

static void read_key(struct gh_ike_loader *x, const struct gh_node *n, bool *has, uint32_t *key)
{
    uint64_t v;

    if (gh_node_number(x->l, n, 0, UINT32_MAX, &v)) {
        *has = true;
        *key = (uint32_t)v;
    }
}

static void read_gre(struct gh_ike_loader *x, const struct gh_node *section,
                     const struct gh_node **got, struct tunnel_params *p)
{
    static const char *const sequences[] = {"no", "send", "check", NULL};
    unsigned sequence = 0;

    for (size_t item = TUNNEL_KEY; item <= TUNNEL_SEQUENCE; item++)
        if (got[item] != NULL && p->kind != TUNNEL_GRE)
            gh_load_error(x->l, got[item]->line, "range", "write type = gre, or remove it",
                          "\"%s\" is in GRE's header alone", got[item]->name);
    if (p->kind != TUNNEL_GRE)
        return;
    read_key(x, got[TUNNEL_KEY], &p->has_send_key, &p->send_key);
    read_key(x, got[TUNNEL_KEY], &p->has_receive_key, &p->receive_key);
    for (size_t item = TUNNEL_SEND_KEY; item <= TUNNEL_RECEIVE_KEY; item++)
        if (got[TUNNEL_KEY] != NULL && got[item] != NULL)
            gh_load_error(x->l, got[item]->line, "duplicate", "keep one of them",
                          "\"key\" is that of both directions");
    read_key(x, got[TUNNEL_SEND_KEY], &p->has_send_key, &p->send_key);
    read_key(x, got[TUNNEL_RECEIVE_KEY], &p->has_receive_key, &p->receive_key);
    gh_node_bool(x->l, got[TUNNEL_IGNORE_KEY], &p->ignore_key);
    if (p->ignore_key && p->has_receive_key)
        gh_load_error(x->l, got[TUNNEL_IGNORE_KEY]->line, "range", "remove one of them",
                      "a key to receive cannot be ignored");
    gh_node_bool(x->l, got[TUNNEL_SEND_CHECKSUM], &p->send_checksum);
    gh_node_choice(x->l, got[TUNNEL_SEQUENCE], sequences, &sequence);
    p->send_sequence = sequence >= 1;
    p->check_sequence = sequence == 2;
}

static void read_header(struct gh_ike_loader *x, const struct gh_node **got,
                        struct tunnel_params *p)
{
    static const char *const df[] = {"copy", "set", "clear", NULL};
    const struct gh_node *dscp = got[TUNNEL_DSCP];
    unsigned choice = 0;
    uint32_t v;

    if (gh_ike_u32(x, got[TUNNEL_TTL_VALUE], 1, 255, &v))
        p->ttl = (uint8_t)v;
    if (dscp != NULL && strcmp(dscp->values[0], "copy") != 0 && gh_ike_u32(x, dscp, 0, 63, &v)) {
        p->set_dscp = true;
        p->dscp = (uint8_t)v;
    }
    if (gh_ike_u32(x, got[TUNNEL_LIMIT_VALUE], 0, 255, &v)) {
        p->has_encapsulation_limit = true;
        p->encapsulation_limit = (uint8_t)v;
        if (p->local.len == 4)
            gh_load_error(x->l, got[TUNNEL_LIMIT_VALUE]->line, "range", "remove it",
                          "\"encapsulation-limit\" is in IPv6 headers alone");
    }
    gh_node_choice(x->l, got[TUNNEL_OUTER_DF], df, &choice);
    p->df = (enum tunnel_df)choice;
}

static void read_reassembly(struct gh_ike_loader *x, const struct gh_node *n, struct gh_tunnel *t)
{
    t->reassembly_ms = TUNNEL_REASSEMBLY_WAIT_MS;
    if (n != NULL && strcmp(n->values[0], "off") == 0)
        t->reassembly_ms = 0;
    else
        gh_ike_u32(x, n, 1, TUNNEL_REASSEMBLY_WAIT_MAX_MS, &t->reassembly_ms);
    t->p.reassembly = t->reassembly_ms != 0;
}

/* After the header, whose length counts. */
static void read_sizes(struct gh_ike_loader *x, const struct gh_node **got, struct gh_tunnel *t)
{
    enum { ETHERNET = 1500 };
    static const char *const ipv6[] = {"drop", "whole", NULL};
    struct tunnel_params *p = &t->p;
    unsigned whole = 0;

    p->mtu.ip_mtu = (uint16_t)((t->peer != NULL ? IKE2_IP_MTU : ETHERNET) - tunnel_overhead(p));
    gh_ike_sizes_ip_mtu(x, got[TUNNEL_SIZE_IP_MTU], &p->mtu.ip_mtu);
    gh_ike_sizes_ip_mtu(x, got[TUNNEL_SIZE_ENCAPSULATED], &p->mtu.encapsulated_ip_mtu);
    gh_node_bool(x->l, got[TUNNEL_CLEAR_DF], &p->mtu.clear_df);
    gh_node_choice(x->l, got[TUNNEL_LONG_IPV6], ipv6, &whole);
    p->mtu.ipv6 = whole == 1 ? TUNNEL_MTU_IPV6_WHOLE : TUNNEL_MTU_IPV6_DROP;
    if (tunnel_mtu_conflict(&p->mtu, tunnel_overhead(p)))
        gh_load_warning(x->l, got[TUNNEL_SIZE_ENCAPSULATED]->line, "fragmentation",
                        "lower \"ip-mtu\", or raise this one",
                        "a packet of \"ip-mtu\" (%u octets) is fragmented in the tunnel",
                        p->mtu.ip_mtu);
    gh_ike_sizes_mss(x, got[TUNNEL_MSS], &p->mss);
    if (p->mss == IKE2_MSS_AUTO) /* for both IP versions: that of the longer header */
        p->mss = tunnel_mss_for(6, p->mtu.ip_mtu);
    t->too_big_messages = IKE2_TOO_BIG_MESSAGES;
    t->too_big_seconds = IKE2_TOO_BIG_SECONDS;
    gh_ike_sizes_rate(x, got[TUNNEL_ICMP], &t->too_big_messages, &t->too_big_seconds);
}

/* After all that a device of the kernel's may not have. */
static void check_kernel(struct gh_ike_loader *x, const struct gh_node *const *got,
                         const struct gh_tunnel *t)
{
    const struct gh_kernel_lack *lack = gh_kernel_tunnel_lacks(t);
    int line = t->line;

    if (t->plane != IKE2_PLANE_KERNEL || lack == NULL)
        return;
    for (size_t i = 0; i < TUNNEL_ITEMS; i++)
        if (got[i] != NULL && strcmp(tunnel_items[i].name, lack->option) == 0)
            line = got[i]->line;
    gh_load_error(x->l, line, "range", "write dataplane = user or auto, or remove it",
                  "the tunnel \"%s\" cannot be a device of the kernel's with its \"%s\": %s",
                  t->name, lack->option, lack->why);
}

/* ---- Tunnels among each other --------------------------------------------------------------- */

static bool shares_end(const struct tunnel_params *a, const struct tunnel_params *b)
{
    return gh_addr_equal(&a->remote, &b->remote) || gh_addr_equal(&a->remote, &b->backup) ||
           gh_addr_equal(&a->backup, &b->remote) ||
           (a->backup.len != 0 && gh_addr_equal(&a->backup, &b->backup));
}

static void check_others(struct gh_ike_loader *x, const struct gh_tunnel *t, int line)
{
    for (size_t i = 0; i < x->ike->tunnel_count; i++) {
        const struct gh_tunnel *other = &x->ike->tunnels[i];

        if (strcmp(t->device, other->device) == 0 && strcmp(t->device, "?") != 0 &&
            gh_config_text_equal(t->netns, other->netns))
            gh_load_error(x->l, line, "duplicate", "give them different devices",
                          "the tunnel \"%s\" has the device of \"%s\"", t->name, other->name);
        if (t->zone == other->zone && t->p.kind == other->p.kind &&
            gh_addr_equal(&t->p.local, &other->p.local) && shares_end(&t->p, &other->p) &&
            t->p.has_receive_key == other->p.has_receive_key &&
            t->p.receive_key == other->p.receive_key)
            gh_load_error(x->l, line, "duplicate", "tell them apart by their keys",
                          "the tunnel \"%s\" has the ends and key of \"%s\"", t->name, other->name);
    }
}

void gh_load_tunnel(struct gh_ike_loader *x, const struct gh_node *section)
{
    static const char *const types[] = {"gre", "ipip", NULL};
    static const char *const planes[] = {[IKE2_PLANE_USER] = "user",
                                         [IKE2_PLANE_KERNEL] = "kernel",
                                         [IKE2_PLANE_AUTO] = "auto",
                                         NULL};
    const struct gh_node *got[TUNNEL_ITEMS];
    struct gh_ike_config *c = x->ike;
    struct gh_tunnel t = {.name = gh_config_strdup(gh_ike_name(x, section)), .line = section->line};
    size_t errors = x->l->problems->errors;
    const char *text;
    unsigned type = 0, plane = IKE2_PLANE_USER;

    gh_items_collect(x->l, section, tunnel_items, TUNNEL_ITEMS, got);
    if (c->tunnel_count == GH_TUNNELS) {
        gh_load_error(x->l, section->line, "too-many-tunnels", NULL, "at most %d are possible",
                      (int)GH_TUNNELS);
        gh_tunnel_free(&t);
        return;
    }
    gh_ike_define(x, "tunnel", t.name, section->line, c->tunnel_count);
    c->definitions[c->definition_count - 1].used = true;
    gh_node_text(x->l, got[TUNNEL_DESCRIPTION], GH_IKE_DESCRIPTION_MAX, &text);
    gh_node_choice(x->l, got[TUNNEL_TYPE], types, &type);
    gh_node_choice(x->l, got[TUNNEL_DATAPLANE], planes, &plane);
    t.plane = (enum ike2_plane)plane;
    if (got[TUNNEL_DATAPLANE] != NULL)
        t.line = got[TUNNEL_DATAPLANE]->line;
    t.p.kind = type == 0 ? TUNNEL_GRE : TUNNEL_IP_IP;
    gh_load_place(x->l, got[TUNNEL_NETNS], got[TUNNEL_VRF], &t.netns, &t.vrf);
    read_ends(x, section, got, &t);
    read_protection(x, section, got, &t);
    read_device(x, section, got[TUNNEL_DEVICE_NAME], &t);
    read_addresses(x, got[TUNNEL_ADDRESS], &t);
    read_dests(x, got[TUNNEL_DEST], &t);
    read_gre(x, section, got, &t.p);
    read_header(x, got, &t.p);
    read_reassembly(x, got[TUNNEL_REASSEMBLY], &t);
    read_sizes(x, got, &t);
    check_kernel(x, got, &t);
    check_others(x, &t, section->line);
    if (t.p.local.len != 0 && t.p.remote.len != 0 && x->l->problems->errors == errors &&
        !tunnel_params_valid(&t.p))
        gh_load_error(x->l, section->line, "address",
                      "write addresses of hosts, and each \"dest\" once",
                      "the tunnel \"%s\" cannot be: an address is of no host", t.name);
    c->tunnels = gh_config_grow(c->tunnels, c->tunnel_count, sizeof(*c->tunnels));
    c->tunnels[c->tunnel_count++] = t;
}
