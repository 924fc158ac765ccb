/* shim.sock: programs that have the preload library connect here. The parent looks who it is and
 * hands the connection to `ao`; it reads nothing of it. Of each one it keeps a copy, only to hear
 * when it ends and how many there are: so `ao` ends one by shutdown(), not by close() alone. */
#include "daemon/parent_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "wire/wr.h"

enum {
    BACKLOG = 128,
    TURN = 64, /* connections that are taken before others get their turn */
    CONNECTIONS_MAX = 4096,
    CONNECTIONS_OF_USER_MAX = 256, /* of one that is not root */
    GROUPS_MAX = 256,
    REFUSAL_MS = 10000, /* between two lines of the log */
    DESCRIPTORS = 16384,
    NAME = 64
};

struct gh_shim_connection {
    uv_poll_t poll; /* first */
    struct gh_parent *parent;
    struct gh_shim_connection *next;
    uid_t uid;
    int fd;
};

/* ---- Who it is ------------------------------------------------------------------------------ */

void gh_parent_shim_configure(struct gh_parent *p)
{
    struct gh_shim_door *door = &p->shim;
    const struct gh_config *c = p->config;

    free(door->ids);
    door->id_count = 0;
    door->ids = calloc(c->shim_user_count + 1, sizeof(*door->ids));
    for (size_t i = 0; door->ids != NULL && i < c->shim_user_count; i++) {
        const char *name = c->shim_users[i];
        const struct group *group = name[0] == '@' ? getgrnam(name + 1) : NULL;
        const struct passwd *user = name[0] == '@' ? NULL : getpwnam(name);

        if (group != NULL)
            door->ids[door->id_count++] =
                (struct gh_shim_id){.is_group = true, .number = group->gr_gid};
        else if (user != NULL)
            door->ids[door->id_count++] = (struct gh_shim_id){.number = user->pw_uid};
        else
            gh_warning("shim-users: there is no %s %s (yet): reload once there is",
                       name[0] == '@' ? "group" : "user", name[0] == '@' ? name + 1 : name);
    }
}

static bool is_allowed(const struct gh_shim_door *door, const struct ucred *who,
                       const gid_t *groups, size_t group_count)
{
    if (who->uid == 0)
        return true;
    for (size_t i = 0; i < door->id_count; i++) {
        const struct gh_shim_id *id = &door->ids[i];

        if (id->number == (id->is_group ? who->gid : who->uid))
            return true;
        for (size_t k = 0; id->is_group && k < group_count; k++)
            if (id->number == groups[k])
                return true;
    }
    return false;
}

static bool may_come_in(const struct gh_shim_door *door, int fd, struct ucred *who)
{
    socklen_t len = sizeof(*who);
    gid_t groups[GROUPS_MAX];

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &len) != 0)
        return false;
    len = sizeof(groups);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
        len = 0; /* more than have room here: a user who is in so many is named alone */
    return is_allowed(door, who, groups, len / sizeof(groups[0]));
}

static bool may_log(struct gh_parent *p)
{
    uint64_t now = uv_now(&p->loop);

    if (p->shim.refused != 0 && now - p->shim.refused < REFUSAL_MS)
        return false;
    p->shim.refused = now;
    return true;
}

static void log_stranger(struct gh_parent *p, const struct ucred *who)
{
    const struct passwd *user;
    char name[NAME];

    if (!may_log(p))
        return;
    user = getpwuid(who->uid);
    snprintf(name, sizeof(name), "%s", user != NULL ? user->pw_name : "NAME");
    gh_warning("process %d of user %s (%u) loaded Gatehouse's library but may not use it: write "
               "shim-users = { \"%s\" } in the section gatehouse and reload",
               (int)who->pid, user != NULL ? name : "without a name", (unsigned)who->uid, name);
}

static bool has_room(struct gh_parent *p, const struct ucred *who)
{
    size_t all = 0, its = 0;

    for (const struct gh_shim_connection *c = p->shim.connections; c != NULL; c = c->next) {
        all++;
        its += c->uid == who->uid;
    }
    if (all < CONNECTIONS_MAX && (who->uid == 0 || its < CONNECTIONS_OF_USER_MAX))
        return true;
    if (may_log(p))
        gh_warning("no more programs with Gatehouse's library are let in: %zu are, %zu of them of "
                   "user %u",
                   all, its, (unsigned)who->uid);
    return false;
}

/* ---- Connections ---------------------------------------------------------------------------- */

static void on_connection_closed(uv_handle_t *handle)
{
    free(handle);
}

static void end(struct gh_shim_connection *c)
{
    struct gh_shim_connection **at = &c->parent->shim.connections;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    uv_poll_stop(&c->poll);
    uv_close((uv_handle_t *)&c->poll, on_connection_closed);
    close(c->fd);
}

static void on_end(uv_poll_t *poll, int status, int events)
{
    end((struct gh_shim_connection *)poll);
}

/* Takes the descriptor. */
static bool keep(struct gh_parent *p, int fd, const struct ucred *who)
{
    struct gh_shim_connection *c = calloc(1, sizeof(*c));

    if (c == NULL || uv_poll_init(&p->loop, &c->poll, fd) != 0) {
        free(c);
        close(fd);
        return false;
    }
    c->parent = p;
    c->uid = who->uid;
    c->fd = fd;
    c->next = p->shim.connections;
    p->shim.connections = c;
    uv_poll_start(&c->poll, UV_DISCONNECT, on_end);
    return true;
}

static void let_in(struct gh_parent *p, int fd, const struct ucred *who)
{
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u32(&w, (uint64_t)who->pid);
    gh_wr_u32(&w, who->uid);
    if (keep(p, fd, who) && !gh_channel_send(p->ao.channel, GH_MESSAGE_SHIM, body, w.len, fd))
        end(p->shim.connections); /* `ao` is away: the library comes again */
}

static void on_arrivals(uv_poll_t *poll, int status, int events)
{
    struct gh_parent *p = poll->data;

    for (size_t i = 0; i < TURN; i++) {
        int fd = accept4(p->shim.fd, NULL, NULL, SOCK_CLOEXEC);
        struct ucred who = {.pid = 0};

        if (fd < 0)
            return;
        if (!may_come_in(&p->shim, fd, &who)) {
            log_stranger(p, &who);
            close(fd);
        } else if (!has_room(p, &who)) {
            close(fd);
        } else {
            let_in(p, fd, &who);
        }
    }
}

void gh_parent_shim_end_all(struct gh_parent *p)
{
    while (p->shim.connections != NULL) {
        shutdown(p->shim.connections->fd, SHUT_RDWR);
        end(p->shim.connections);
    }
}

/* ---- The door ------------------------------------------------------------------------------- */

/* Whoever may connect must also be able to reach the socket: everything else in the directory has
 * modes of its own. */
static void let_pass(const char *directory)
{
    struct stat st;

    if (stat(directory, &st) == 0 && (st.st_mode & S_IXOTH) == 0 &&
        chmod(directory, (st.st_mode & 07777) | S_IXGRP | S_IXOTH) == 0)
        gh_info("%s: others may reach the sockets in it", directory);
}

/* Each connection takes a descriptor, here and in `ao`. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= DESCRIPTORS)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(at.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(at.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if ((unlink(path) != 0 && errno != ENOENT) ||
        bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 || chmod(path, 0666) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

bool gh_parent_shim_open(struct gh_parent *p)
{
    char path[GH_PATH];

    if (!gh_rundir_path(p->options->run_directory, "shim.sock", path))
        return false;
    raise_limit();
    let_pass(p->options->run_directory);
    p->shim.fd = listen_at(path);
    if (p->shim.fd < 0 || uv_poll_init(&p->loop, &p->shim.poll, p->shim.fd) != 0) {
        gh_error("%s: %s", path, strerror(errno));
        return false;
    }
    p->shim.poll.data = p;
    gh_parent_shim_configure(p);
    return uv_poll_start(&p->shim.poll, UV_READABLE, on_arrivals) == 0;
}

void gh_parent_shim_close(struct gh_parent *p)
{
    gh_parent_shim_end_all(p);
    uv_poll_stop(&p->shim.poll);
    close(p->shim.fd);
}
