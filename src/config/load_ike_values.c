/*
 * Values that several of IKE's sections have, and TS-lists.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/alloc.h"
#include "config/ike_load.h"
#include "config/ike_ts_text.h"
#include "config/lifetime.h"
#include "ike/ts_set.h"

enum { FILE_SIZE_MAX = 1048576 };

bool gh_ike_seconds(struct gh_ike_loader *x, const struct gh_node *n, uint32_t min, uint32_t max,
                    uint32_t *out)
{
    const char *why;
    int64_t seconds;

    if (n == NULL)
        return false;
    if (!gh_duration_parse(n->values[0], &seconds, &why)) {
        gh_load_error(x->l, n->line, "range", "write seconds, or such as \"8h\"", "\"%s\": %s",
                      n->name, why);
        return false;
    }
    if (seconds < min || seconds > max) {
        gh_load_error(x->l, n->line, "range", NULL, "\"%s\" must be from %u to %u seconds", n->name,
                      min, max);
        return false;
    }
    *out = (uint32_t)seconds;
    return true;
}

bool gh_ike_u32(struct gh_ike_loader *x, const struct gh_node *n, uint32_t min, uint32_t max,
                uint32_t *out)
{
    uint64_t v;

    if (!gh_node_number(x->l, n, min, max, &v))
        return false;
    *out = (uint32_t)v;
    return true;
}

bool gh_ike_addr(struct gh_ike_loader *x, const struct gh_node *n, struct gh_addr *out)
{
    if (n == NULL)
        return false;
    if (gh_addr_parse(n->values[0], out) && !gh_addr_is_any(out))
        return true;
    *out = (struct gh_addr){.len = 0};
    gh_load_error(x->l, n->line, "address", "write such as 192.0.2.2 or 2001:db8::2",
                  "\"%s\" is not the address of a host", n->name);
    return false;
}

void gh_ike_pki_error(struct gh_ike_loader *x, int line, const struct gh_pki_error *e)
{
    gh_load_error(x->l, line, e->rule, e->remedy, "%s", e->message);
}

/* ---- Traffic selectors ---------------------------------------------------------------------- */

/* `ts` is not in `out` yet; `lines` are those of the ones that are. */
static bool overlaps(struct gh_ike_loader *x, const struct gh_node *n, const struct ike_ts *ts,
                     int line, const struct ike_ts_list *out, const int *lines)
{
    char mine[IKE_TS_TEXT], other[IKE_TS_TEXT];

    for (size_t i = 0; i < out->count; i++) {
        if (!ike_ts_overlap(&out->ts[i], ts))
            continue;
        gh_load_error(x->l, line, "ts-overlap",
                      "keep the wider one, or cut them so that no packet is in both",
                      "\"%s\": %s (line %d) and %s (line %d) overlap", n->name,
                      ike_ts_format(ts, mine), line, ike_ts_format(&out->ts[i], other), lines[i]);
        return true;
    }
    return false;
}

void gh_ike_selectors(struct gh_ike_loader *x, const struct gh_node *n, struct ike_ts_list *out)
{
    int lines[IKE_TS_MAX];

    if (n == NULL)
        return;
    if (n->value_count == 0)
        gh_load_error(x->l, n->line, "range", "write such as \"10.1.0.0/16\"",
                      "\"%s\" has no traffic selector", n->name);
    for (size_t i = 0; i < n->value_count; i++) {
        int line = n->value_lines[i];
        struct ike_ts ts;
        const char *why;

        if (i == IKE_TS_MAX) {
            gh_load_error(x->l, line, "too-many-selectors",
                          "join neighbours, or make a second child",
                          "\"%s\" has %zu traffic "
                          "selectors, %d are possible",
                          n->name, n->value_count, (int)IKE_TS_MAX);
            return;
        }
        if (!gh_ike_ts_parse(n->values[i], &ts, &why)) {
            gh_load_error(x->l, line, "traffic-selector", why,
                          "\"%s\": \"%.64s\" is no traffic selector", n->name, n->values[i]);
            continue;
        }
        if (overlaps(x, n, &ts, line, out, lines))
            continue;
        lines[out->count] = line;
        out->ts[out->count++] = ts;
    }
}

enum { LIST_LOCAL, LIST_REMOTE, LIST_ITEMS };

static const struct gh_item list_items[LIST_ITEMS] = {
    [LIST_LOCAL] = {"local", GH_ITEM_LIST},
    [LIST_REMOTE] = {"remote", GH_ITEM_LIST},
};

void gh_load_ike_ts_list(struct gh_ike_loader *x, const struct gh_node *section)
{
    const struct gh_node *got[LIST_ITEMS];
    struct gh_ike_config *c = x->ike;
    struct gh_ike_ts_list list = {.line = section->line};
    const char *name = gh_ike_name(x, section);

    gh_items_collect(x->l, section, list_items, LIST_ITEMS, got);
    for (size_t i = 0; i < LIST_ITEMS; i++) {
        if (got[i] == NULL)
            gh_load_error(x->l, section->line, "missing-option", "add it",
                          "the ts-list \"%s\" has no \"%s\"", name, list_items[i].name);
    }
    gh_ike_selectors(x, got[LIST_LOCAL], &list.local);
    gh_ike_selectors(x, got[LIST_REMOTE], &list.remote);
    gh_ike_define(x, "ts-list", name, section->line, c->ts_list_count);
    list.name = gh_config_strdup(name);
    c->ts_lists = gh_config_grow(c->ts_lists, c->ts_list_count, sizeof(*c->ts_lists));
    c->ts_lists[c->ts_list_count++] = list;
}

/* ---- Files ---------------------------------------------------------------------------------- */

static bool read_all(int fd, struct gh_secret *out)
{
    uint8_t *data = gh_config_alloc(FILE_SIZE_MAX + 1, 1);
    size_t n = 0;
    ssize_t got = 1;
    bool good;

    while (n <= FILE_SIZE_MAX && got != 0) {
        got = read(fd, data + n, FILE_SIZE_MAX + 1 - n);
        if (got < 0 && errno != EINTR)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    good = got == 0 && gh_secret_set(out, data, n);
    free(data);
    return good;
}

bool gh_ike_read_file(struct gh_ike_loader *x, const char *path, int line, struct gh_secret *out)
{
    struct stat st;
    bool good = false;
    int fd;

    if (path[0] != '/') {
        gh_load_error(x->l, line, "file-missing", "write the path from / on",
                      "\"%.256s\" is not an absolute path", path);
        return false;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0)
        gh_load_error(x->l, line, "file-missing", "put the file there, or correct the path",
                      "cannot open %s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        gh_load_error(x->l, line, "file-permissions", "write the path of a file",
                      "%s is not a regular file", path);
    else if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022) != 0)
        gh_load_error(x->l, line, "file-permissions",
                      "let root own it (chown root), and nobody else write it (chmod go-w)",
                      "%s can be changed by others than root: whoever does decides whom we trust",
                      path);
    else if (st.st_size == 0 || st.st_size > FILE_SIZE_MAX || !read_all(fd, out))
        gh_load_error(x->l, line, "file-missing", "look whether it is the right file",
                      "cannot read %s, or it is empty or longer than %d octets", path,
                      (int)FILE_SIZE_MAX);
    else
        good = true;
    if (fd >= 0)
        close(fd);
    return good;
}
