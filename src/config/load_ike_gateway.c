/*
 * Which gateways a peer has beside its first, when its tunnels go back to that, and what is
 * administratively down.
 */
#include <string.h>

#include "config/ike_load_peer.h"

void gh_ike_admin(struct gh_ike_loader *x, const struct gh_node *n, enum ike2_admin *out)
{
    static const char *const states[] = {"up", "down", NULL};
    unsigned state;

    if (n == NULL)
        return;
    state = 0;
    gh_node_choice(x->l, n, states, &state);
    *out = state == 0 ? IKE2_ADMIN_UP : IKE2_ADMIN_DOWN;
}

static void read_backup(struct gh_ike_loader *x, const struct gh_node *n, size_t i,
                        struct ike2_policy *p)
{
    const char *text = n->values[i];
    int line = n->value_lines[i];
    struct gh_addr a;

    if (!gh_addr_parse(text, &a) || gh_addr_is_any(&a))
        gh_load_error(x->l, line, "address", "write such as 192.0.2.2 or 2001:db8::2",
                      "\"%s\" is not the address of a host", text);
    else if (a.len != p->gateway.len)
        gh_load_error(x->l, line, "address", "write all as IPv4 or all as IPv6",
                      "\"%s\" is of another address family than the peer's first gateway", text);
    else if (ike2_gateway_is(p, &a))
        gh_load_error(x->l, line, "duplicate", "write each once", "\"%s\" is given already", text);
    else if (p->backup_count == IKE2_BACKUPS)
        gh_load_error(x->l, line, "too-many-addresses", "keep the best ones",
                      "\"%s\" has more than %d addresses", n->name, (int)IKE2_BACKUPS);
    else
        p->backups[p->backup_count++] = a;
}

void gh_load_ike_gateways(struct gh_ike_loader *x, const struct gh_node **got,
                          struct ike2_policy *p)
{
    const struct gh_node *backup = got[PEER_BACKUP], *revert = got[PEER_REVERT];
    uint32_t seconds;

    gh_ike_admin(x, got[PEER_ADMIN], &p->admin);
    if (backup != NULL && (p->gateway.len == 0 || p->responder_only))
        gh_load_error(x->l, backup->line, "missing-option",
                      "give it one address as remote or gateway, without responder-only",
                      "\"%s\" is for peers that are called, and \"%s\" only calls", backup->name,
                      p->name);
    for (size_t i = 0; backup != NULL && p->gateway.len != 0 && i < backup->value_count; i++)
        read_backup(x, backup, i, p);
    if (revert == NULL)
        return;
    if (backup == NULL)
        gh_load_error(x->l, revert->line, "missing-option", "add backup = { ADDRESS }",
                      "\"%s\" without \"backup\" has no meaning", revert->name);
    if (strcmp(revert->values[0], "manual") != 0 &&
        gh_ike_seconds(x, revert, GH_REVERT_MIN, GH_REVERT_MAX, &seconds))
        p->revert_ms = seconds * 1000;
}
