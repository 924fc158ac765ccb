#include "daemon/orphans.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/rundir.h"
#include "daemon/socket_flows.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum {
    MAGIC = 0x47484f31,
    NAME_UNKNOWN = 65535,
    PER_ENTRY = 8 + 8 + 2 + 4 + 4,
    COUNT_MAX = 1 << 20
};

struct gh_orphans *gh_orphans_add(struct gh_orphan_list *l, const struct gh_netns_id *id,
                                  const char *netns)
{
    struct gh_orphans *list = realloc(l->list, (l->count + 1) * sizeof(*list));
    char *name = netns != NULL ? strdup(netns) : NULL;

    if (list != NULL)
        l->list = list;
    if (list == NULL || (netns != NULL && name == NULL)) {
        free(name);
        return NULL;
    }
    list[l->count] = (struct gh_orphans){.id = *id, .netns = name};
    return &list[l->count++];
}

bool gh_orphans_add_cookie(struct gh_orphans *o, uint64_t cookie)
{
    uint64_t *more = realloc(o->cookies, (o->cookie_count + 1) * sizeof(*more));

    if (more == NULL)
        return false;
    o->cookies = more;
    o->cookies[o->cookie_count++] = cookie;
    return true;
}

bool gh_orphans_add_rule(struct gh_orphans *o, const struct gh_socket_rule *rule)
{
    struct gh_socket_rule *more = realloc(o->rules, (o->rule_count + 1) * sizeof(*more));

    if (more == NULL)
        return false;
    o->rules = more;
    o->rules[o->rule_count] = *rule;
    o->rules[o->rule_count].kind = GH_RULE_DROP;
    o->rules[o->rule_count++].queue = 0;
    return true;
}

struct gh_orphans *gh_orphans_of(const struct gh_orphan_list *l, const struct gh_netns_id *id)
{
    for (size_t i = 0; i < l->count; i++)
        if (gh_netns_same(&l->list[i].id, id))
            return &l->list[i];
    return NULL;
}

static void let_go(struct gh_orphans *o)
{
    free(o->netns);
    free(o->cookies);
    free(o->rules);
}

void gh_orphans_drop(struct gh_orphan_list *l, struct gh_orphans *o)
{
    let_go(o);
    *o = l->list[--l->count];
}

void gh_orphans_clear(struct gh_orphan_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        let_go(&l->list[i]);
    free(l->list);
    *l = (struct gh_orphan_list){.list = NULL};
}

/* ---- The file ------------------------------------------------------------------------------- */

static size_t size_of(const struct gh_orphan_list *l)
{
    size_t size = 4;

    for (size_t i = 0; i < l->count; i++) {
        const struct gh_orphans *o = &l->list[i];

        size += PER_ENTRY + (o->netns != NULL ? strlen(o->netns) : 0) + 8 * o->cookie_count +
                GH_SOCKET_FLOW_MAX * o->rule_count;
    }
    return size;
}

static void put(struct gh_wr *w, const struct gh_orphans *o)
{
    size_t len = o->netns != NULL ? strlen(o->netns) : 0;

    gh_wr_u64(w, o->id.device);
    gh_wr_u64(w, o->id.inode);
    gh_wr_u16(w, o->netns != NULL ? len : NAME_UNKNOWN);
    gh_wr_bytes(w, o->netns != NULL ? o->netns : "", len);
    gh_wr_u32(w, o->cookie_count);
    for (size_t i = 0; i < o->cookie_count; i++)
        gh_wr_u64(w, o->cookies[i]);
    gh_wr_u32(w, o->rule_count);
    for (size_t i = 0; i < o->rule_count; i++) {
        const struct gh_socket_flow f = {.kind = GH_FLOW_QUEUE,
                                         .peer = o->rules[i].peer,
                                         .local = o->rules[i].local,
                                         .local_port = o->rules[i].local_port,
                                         .remote_port = o->rules[i].remote_port};

        gh_socket_flow_put(w, &f);
    }
}

bool gh_orphans_save(const struct gh_orphan_list *l, const char *run_directory)
{
    size_t size = size_of(l);
    uint8_t *data = malloc(size);
    struct gh_wr w = gh_wr_make(data, data != NULL ? size : 0);
    bool good;

    gh_wr_u32(&w, MAGIC);
    for (size_t i = 0; i < l->count; i++)
        put(&w, &l->list[i]);
    good = gh_wr_ok(&w) && gh_rundir_write(run_directory, "flows", data, w.len);
    free(data);
    return good;
}

static bool take_name(struct gh_rd *r, char **name)
{
    size_t len = gh_rd_u16(r);
    const uint8_t *text = len != NAME_UNKNOWN ? gh_rd_bytes(r, len) : NULL;

    *name = text != NULL ? strndup((const char *)text, len) : NULL;
    return !r->bad && (text == NULL || *name != NULL);
}

static bool take_rule(struct gh_rd *r, struct gh_orphans *o)
{
    struct gh_socket_flow f;
    struct gh_socket_rule rule;

    if (!gh_socket_flow_take(r, &f))
        return false;
    rule = (struct gh_socket_rule){
        .peer = f.peer, .local = f.local, .local_port = f.local_port, .remote_port = f.remote_port};
    return gh_orphans_add_rule(o, &rule);
}

static bool take(struct gh_rd *r, struct gh_orphan_list *l)
{
    struct gh_netns_id id;
    struct gh_orphans *o;
    char *name = NULL;
    uint32_t count;
    bool good;

    id.device = gh_rd_u64(r);
    id.inode = gh_rd_u64(r);
    good = take_name(r, &name);
    o = good ? gh_orphans_add(l, &id, name) : NULL;
    free(name);
    if (o == NULL)
        return false;
    count = gh_rd_u32(r);
    for (uint32_t i = 0; good && i < count; i++)
        good = count <= COUNT_MAX && gh_orphans_add_cookie(o, gh_rd_u64(r)) && !r->bad;
    count = gh_rd_u32(r);
    for (uint32_t i = 0; good && i < count; i++)
        good = count <= COUNT_MAX && take_rule(r, o);
    return good && !r->bad;
}

void gh_orphans_load(struct gh_orphan_list *l, const char *run_directory)
{
    size_t len = 0;
    uint8_t *data = gh_rundir_read(run_directory, "flows", &len);
    struct gh_rd r = gh_rd_make(data, data != NULL ? len : 0);

    if (gh_rd_u32(&r) == MAGIC)
        while (gh_rd_left(&r) > 0 && take(&r, l))
            ;
    free(data);
}
