/*
 * `router bgp` of IOS XE (a line for each property of a neighbour) and IOS XR (a section for each).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/alloc.h"
#include "config/import_model.h"

static bool is(const char *word, const char *want)
{
    return strcasecmp(word, want) == 0;
}

static bool is_address(const char *text)
{
    struct gh_prefix p;

    return gh_prefix_parse(text, &p);
}

static char *peer_id(const struct gh_ios_bgp *b, const char *name)
{
    return gh_config_asprintf("bgp %s %s", is_address(name) && b->vrf != NULL ? b->vrf : "-", name);
}

static struct gh_import_peer *find(struct gh_import *im, const struct gh_ios_bgp *b,
                                   const char *name, int line)
{
    char *id = peer_id(b, name);
    struct gh_import_peer *p = gh_import_peer(im, id, line);

    free(id);
    if (is_address(name)) {
        gh_import_set(&p->address, name);
        gh_import_set(&p->vrf, b->vrf);
    }
    return p;
}

static void inherit(struct gh_import_peer *p, const char *group)
{
    free(p->parent);
    p->parent = gh_config_asprintf("bgp - %s", group);
}

/* ao CHAIN [include-tcp-options [enable|disable]] [accept-ao-mismatch…] */
static void read_ao(struct gh_import *im, struct gh_import_peer *p, char **w, size_t n, int line)
{
    gh_import_set(&p->chain, w[0]);
    p->line = line;
    p->covered = false;
    for (size_t i = 1; i < n; i++) {
        if (is(w[i], "include-tcp-options"))
            p->covered = true;
        else if (is(w[i], "disable"))
            p->covered = false;
        else if (strncasecmp(w[i], "accept-ao-mismatch", 18) == 0)
            p->mode = GH_ACCEPT_MISMATCH;
        else if (!is(w[i], "enable"))
            gh_import_not_carried(im, line, w[i]);
    }
}

/* What both write after the neighbour. */
static void read_property(struct gh_import *im, struct gh_import_peer *p, char **w, size_t n,
                          int line)
{
    if (n >= 2 && is(w[0], "ao"))
        read_ao(im, p, w + 1, n - 1, line);
    else if (n >= 2 && is(w[0], "peer-group"))
        inherit(p, w[1]);
    else if (n >= 3 && is(w[0], "use") && (is(w[1], "neighbor-group") || is(w[1], "session-group")))
        inherit(p, w[2]);
    else if (n >= 3 && is(w[0], "inherit") && is(w[1], "peer-session"))
        inherit(p, w[2]);
    else if (n >= 2 && is(w[0], "update-source"))
        gh_import_set(&p->source, w[n - 1]);
    else if (n >= 3 && is(w[0], "transport") && is(w[1], "connection-mode"))
        p->direction = is(w[2], "passive") ? GH_PASSIVE : GH_ACTIVE;
    else if (n >= 2 && is(w[0], "session-open-mode"))
        p->direction = is(w[1], "passive-only")  ? GH_PASSIVE
                       : is(w[1], "active-only") ? GH_ACTIVE
                                                 : GH_BOTH;
}

/* bgp listen range PREFIX peer-group GROUP */
static void read_range(struct gh_import *im, struct gh_ios_bgp *b, char **w, size_t n, int line)
{
    if (n < 6 || !is(w[1], "listen") || !is(w[2], "range") || !is(w[4], "peer-group"))
        return;
    inherit(find(im, b, w[3], line), w[5]);
}

static bool opens_section(const char *word)
{
    return is(word, "neighbor") || is(word, "neighbor-group") || is(word, "session-group") ||
           is(word, "peer-session");
}

static void enter(struct gh_import *im, struct gh_ios_bgp *b, const char *name, int indent,
                  int line)
{
    find(im, b, name, line);
    free(b->peer);
    b->peer = peer_id(b, name);
    b->peer_indent = indent;
}

static void set_vrf(struct gh_ios_bgp *b, const char *vrf, int indent)
{
    gh_import_set(&b->vrf, vrf);
    b->vrf_indent = indent;
}

void gh_import_ios_bgp(struct gh_import *im, struct gh_ios_bgp *b, char **w, size_t n, int indent,
                       int line)
{
    if (b->peer != NULL && indent <= b->peer_indent)
        gh_import_set(&b->peer, NULL);
    if (b->vrf != NULL && indent <= b->vrf_indent)
        gh_import_set(&b->vrf, NULL);
    if (n >= 2 && is(w[0], "vrf"))
        set_vrf(b, w[1], indent);
    else if (n >= 2 && is(w[0], "address-family") && b->peer == NULL && is(w[n - 2], "vrf"))
        set_vrf(b, w[n - 1], indent);
    else if (is(w[0], "bgp"))
        read_range(im, b, w, n, line);
    else if (n == 2 && opens_section(w[0]))
        enter(im, b, w[1], indent, line);
    else if (n == 3 && is(w[0], "template") && opens_section(w[1]))
        enter(im, b, w[2], indent, line);
    else if (n >= 3 && is(w[0], "neighbor"))
        read_property(im, find(im, b, w[1], line), w + 2, n - 2, line);
    else if (b->peer != NULL)
        read_property(im, gh_import_peer(im, b->peer, line), w, n, line);
    else if (is(w[0], "ao"))
        gh_import_error(im, line, "no-neighbour", "write the session by hand",
                        "it is not clear which neighbour \"ao\" belongs to");
}
