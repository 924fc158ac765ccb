#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/ao_kernel_priv.h"
#include "tcpao/endpoint.h"
#include "wire/rd.h"
#include "wire/wr.h"

/* What the emulation keeps begins with another octet. */
enum { KEEP_VERSION = 0, LISTENING = 1, ACTIVE = 2 };

struct kernel_socket *kernel_find(const struct gh_kernel *k, uint64_t cookie)
{
    struct kernel_socket *s = k->sockets;

    while (s != NULL && s->cookie != cookie)
        s = s->next;
    return s;
}

static struct kernel_socket *insert(struct gh_kernel *k, uint64_t cookie)
{
    struct kernel_socket *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->cookie = cookie;
    s->next = k->sockets;
    k->sockets = s;
    k->socket_count++;
    return s;
}

struct kernel_socket *kernel_track(struct gh_kernel *k, struct gh_now now,
                                   const struct gh_socket_facts *f)
{
    struct kernel_socket *s = kernel_find(k, f->emu.cookie);

    if (s == NULL) {
        s = insert(k, f->emu.cookie);
        if (s == NULL)
            return NULL;
        k->ops.watch(k->ops.ctx, f->emu.zone, f->emu.cookie);
    }
    s->inode = f->inode;
    s->pid = f->pid;
    s->zone = f->emu.zone;
    s->local = f->emu.local;
    s->remote = f->emu.remote;
    s->due_ms = now.mono_ms + KERNEL_POLL;
    s->tracked_ms = now.mono_ms;
    return s;
}

void kernel_free_socket(struct kernel_socket *s)
{
    for (size_t i = 0; i < s->name_count; i++)
        free(s->names[i]);
    free(s->names);
    free(s->seen);
    free(s);
}

void kernel_forget(struct gh_kernel *k, struct kernel_socket *s)
{
    struct kernel_socket **at = &k->sockets;

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    k->socket_count--;
    if (s->fetch != 0)
        k->fetching--;
    k->ops.keep(k->ops.ctx, s->cookie, NULL, 0);
    kernel_free_socket(s);
}

/* ---- Sessions of a socket ------------------------------------------------------------------- */

bool kernel_carries(const struct kernel_socket *s, const char *session)
{
    for (size_t i = 0; i < s->name_count; i++)
        if (strcmp(s->names[i], session) == 0)
            return true;
    return false;
}

static bool add_name(struct kernel_socket *s, char *name)
{
    char **more = name != NULL ? realloc(s->names, (s->name_count + 1) * sizeof(*more)) : NULL;

    if (more == NULL) {
        free(name);
        return false;
    }
    s->names = more;
    s->names[s->name_count++] = name;
    return true;
}

bool kernel_set_carries(struct kernel_socket *s, const char *session, bool carries)
{
    if (carries)
        return kernel_carries(s, session) || add_name(s, strdup(session));
    for (size_t i = 0; i < s->name_count; i++) {
        if (strcmp(s->names[i], session) == 0) {
            free(s->names[i]);
            s->names[i] = s->names[--s->name_count];
            break;
        }
    }
    return true;
}

/* ---- What outlives the process: no secret is in it ------------------------------------------ */

void kernel_keep(struct gh_kernel *k, const struct kernel_socket *s)
{
    size_t room = 128;
    uint8_t *data;
    struct gh_wr w;

    for (size_t i = 0; i < s->name_count; i++)
        room += 2 + strlen(s->names[i]);
    data = malloc(room);
    if (data == NULL)
        return; /* only a restart of this process would have needed it */
    w = gh_wr_make(data, room);
    gh_wr_u8(&w, KEEP_VERSION);
    gh_wr_u8(&w, (s->listening ? LISTENING : 0) | (s->active ? ACTIVE : 0));
    gh_wr_u16(&w, s->zone);
    gh_wr_u32(&w, s->pid);
    gh_wr_u64(&w, s->inode);
    ao_endpoint_put(&w, &s->local);
    ao_endpoint_put(&w, &s->remote);
    gh_wr_u32(&w, s->name_count);
    for (size_t i = 0; i < s->name_count; i++) {
        gh_wr_u16(&w, strlen(s->names[i]));
        gh_wr_bytes(&w, s->names[i], strlen(s->names[i]));
    }
    if (gh_wr_ok(&w))
        k->ops.keep(k->ops.ctx, s->cookie, data, w.len);
    free(data);
}

static bool take_names(struct gh_rd *r, struct kernel_socket *s)
{
    uint32_t count = gh_rd_u32(r);

    for (uint32_t i = 0; i < count; i++) {
        size_t len = gh_rd_u16(r);
        const uint8_t *p = gh_rd_bytes(r, len);

        if (p == NULL || !add_name(s, strndup((const char *)p, len)))
            return false;
    }
    return true;
}

static bool take(struct gh_rd *r, struct kernel_socket *s)
{
    uint8_t version = gh_rd_u8(r), flags = gh_rd_u8(r);

    s->listening = (flags & LISTENING) != 0;
    s->active = (flags & ACTIVE) != 0;
    s->zone = gh_rd_u16(r);
    s->pid = gh_rd_u32(r);
    s->inode = gh_rd_u64(r);
    s->local = ao_endpoint_take(r);
    s->remote = ao_endpoint_take(r);
    return version == KEEP_VERSION && flags <= (LISTENING | ACTIVE) && take_names(r, s) &&
           gh_rd_done(r);
}

void gh_kernel_restore(struct gh_kernel *k, uint64_t cookie, const uint8_t *data, size_t len)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct kernel_socket *s;

    if (kernel_find(k, cookie) != NULL)
        return;
    s = insert(k, cookie);
    if (s != NULL)
        s->restored = s->inherited = true;
    if (s == NULL || !take(&r, s)) {
        gh_error("a socket with keys in the kernel cannot be followed on: what was kept of it is "
                 "damaged");
        if (s != NULL)
            kernel_forget(k, s);
        return;
    }
    k->ops.watch(k->ops.ctx, s->zone, cookie);
}
