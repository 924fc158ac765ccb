#include "daemon/control_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "control/control.h"

enum {
    CLIENTS_MAX = 64,
    BACKLOG = 16,
    WAITING_MAX = 16 * 1048576 /* octets for a client that does not read: then it is dropped */
};

struct client {
    uv_pipe_t pipe; /* first */
    struct gh_control_server *server;
    struct client *next;
    uint32_t number;
    unsigned owed[GH_ANSWERERS]; /* requests without an answer */
    bool monitor, closing;
    size_t len;
    char line[GH_CONTROL_LINE_MAX + 1];
};

struct gh_control_server {
    uv_pipe_t pipe; /* first */
    uv_loop_t *loop;
    gh_request_fn fn;
    void *ctx;
    struct client *clients;
    size_t count;
    uint32_t last_number;
};

struct write {
    uv_write_t request; /* first */
    char data[];
};

/* ---- Clients -------------------------------------------------------------------------------- */

static void on_client_closed(uv_handle_t *handle)
{
    struct client *client = (struct client *)handle;
    struct client **at = &client->server->clients;

    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    client->server->count--;
    free(client);
}

static void drop(struct client *client)
{
    if (client->closing)
        return;
    client->closing = true;
    uv_close((uv_handle_t *)client, on_client_closed);
}

static void on_written(uv_write_t *request, int status)
{
    struct client *client = (struct client *)request->handle;

    if (status < 0)
        drop(client);
    free(request);
}

static void send_line(struct client *client, const char *line, size_t len)
{
    struct write *w;
    uv_buf_t buf;

    if (client->closing)
        return;
    if (uv_stream_get_write_queue_size((uv_stream_t *)client) > WAITING_MAX) {
        drop(client);
        return;
    }
    w = malloc(sizeof(*w) + len);
    if (w == NULL) {
        drop(client);
        return;
    }
    memcpy(w->data, line, len);
    buf = uv_buf_init(w->data, (unsigned)len);
    if (uv_write(&w->request, (uv_stream_t *)client, &buf, 1, on_written) != 0) {
        free(w);
        drop(client);
    }
}

static void send_json(struct client *client, json_t *answer)
{
    size_t len = 0;
    char *line = answer != NULL ? gh_control_line(answer, &len) : NULL;

    if (line != NULL)
        send_line(client, line, len);
    else
        drop(client);
    free(line);
    json_decref(answer);
}

static void take_line(struct client *client, const char *line, size_t len)
{
    json_t *refusal, *request = gh_control_parse(line, len, &refusal);

    if (request == NULL) {
        send_json(client, refusal);
        return;
    }
    client->owed[GH_ANSWERER_PARENT]++;
    client->server->fn(client->server->ctx, client->number, request, line, len);
    json_decref(request);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct client *client = (struct client *)handle;

    *buf = uv_buf_init(client->line + client->len, (unsigned)(sizeof(client->line) - client->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *client = (struct client *)stream;
    char *start = client->line, *newline;

    if (n < 0) {
        drop(client);
        return;
    }
    client->len += (size_t)n;
    while (!client->closing && (newline = memchr(start, '\n', client->len)) != NULL) {
        size_t len = (size_t)(newline - start);

        take_line(client, start, len);
        client->len -= len + 1;
        start = newline + 1;
    }
    memmove(client->line, start, client->len);
    if (client->len == sizeof(client->line) && !client->closing) {
        send_json(client,
                  gh_control_refusal(NULL, "a request longer than %d octets", GH_CONTROL_LINE_MAX));
        drop(client);
    }
}

static struct client *find(const struct gh_control_server *s, uint32_t number)
{
    for (struct client *c = s->clients; c != NULL; c = c->next)
        if (c->number == number && !c->closing)
            return c;
    return NULL;
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct gh_control_server *s = (struct gh_control_server *)stream;
    struct client *client = status == 0 ? calloc(1, sizeof(*client)) : NULL;

    if (client == NULL)
        return;
    client->server = s;
    client->number = ++s->last_number;
    client->next = s->clients;
    s->clients = client;
    s->count++;
    uv_pipe_init(s->loop, &client->pipe, 0);
    if (uv_accept(stream, (uv_stream_t *)client) != 0 ||
        uv_read_start((uv_stream_t *)client, on_alloc, on_read) != 0) {
        drop(client);
    } else if (s->count > CLIENTS_MAX) {
        send_json(client, gh_control_refusal("close some of them", "there are %d clients already",
                                             CLIENTS_MAX));
        drop(client);
    }
}

/* ---- The server ----------------------------------------------------------------------------- */

static bool listen_at(struct gh_control_server *s, const char *path, gid_t group)
{
    mode_t mask;
    int error;

    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        gh_error("%s: too long for a socket", path);
        return false;
    }
    /* Whoever is here runs under the lock of the run directory: an old socket is a dead one. */
    if (unlink(path) != 0 && errno != ENOENT) {
        gh_error("%s: %s", path, strerror(errno));
        return false;
    }
    mask = umask(0117);
    error = uv_pipe_bind(&s->pipe, path);
    umask(mask);
    if (error == 0 && chown(path, (uid_t)-1, group) != 0)
        error = -errno;
    if (error == 0)
        error = uv_listen((uv_stream_t *)&s->pipe, BACKLOG, on_connection);
    if (error != 0)
        gh_error("%s: %s", path, uv_strerror(error));
    return error == 0;
}

static void on_server_closed(uv_handle_t *handle)
{
    free(handle);
}

struct gh_control_server *gh_control_server_new(uv_loop_t *loop, const char *path, gid_t group,
                                                gh_request_fn fn, void *ctx)
{
    struct gh_control_server *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    *s = (struct gh_control_server){.loop = loop, .fn = fn, .ctx = ctx};
    uv_pipe_init(loop, &s->pipe, 0);
    if (listen_at(s, path, group))
        return s;
    uv_close((uv_handle_t *)&s->pipe, on_server_closed);
    return NULL;
}

void gh_control_server_close(struct gh_control_server *s)
{
    if (s == NULL)
        return;
    for (struct client *c = s->clients; c != NULL; c = c->next)
        drop(c);
    uv_close((uv_handle_t *)&s->pipe, NULL); /* and frees nothing: the process is ending */
}

bool gh_control_server_is_root(const struct gh_control_server *s, uint32_t client)
{
    const struct client *c = find(s, client);
    struct ucred who;
    socklen_t len = sizeof(who);
    uv_os_fd_t fd;

    return c != NULL && uv_fileno((const uv_handle_t *)c, &fd) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == 0;
}

void gh_control_server_owed(struct gh_control_server *s, uint32_t client, enum gh_answerer from)
{
    struct client *c = find(s, client);

    if (c == NULL || c->owed[GH_ANSWERER_PARENT] == 0)
        return;
    c->owed[GH_ANSWERER_PARENT]--;
    c->owed[from]++;
}

void gh_control_server_answer(struct gh_control_server *s, uint32_t client, enum gh_answerer from,
                              const char *line, size_t len)
{
    struct client *c = find(s, client);

    if (c == NULL || c->owed[from] == 0)
        return;
    c->owed[from]--;
    send_line(c, line, len);
}

void gh_control_server_answer_json(struct gh_control_server *s, uint32_t client,
                                   enum gh_answerer from, json_t *answer)
{
    size_t len = 0;
    char *line = answer != NULL ? gh_control_line(answer, &len) : NULL;

    if (line != NULL)
        gh_control_server_answer(s, client, from, line, len);
    free(line);
    json_decref(answer);
}

void gh_control_server_subscribe(struct gh_control_server *s, uint32_t client)
{
    struct client *c = find(s, client);

    if (c != NULL)
        c->monitor = true;
}

bool gh_control_server_has_monitors(const struct gh_control_server *s)
{
    const struct client *c = s->clients;

    while (c != NULL && !c->monitor)
        c = c->next;
    return c != NULL;
}

void gh_control_server_publish(struct gh_control_server *s, const char *line, size_t len)
{
    for (struct client *c = s->clients; c != NULL; c = c->next)
        if (c->monitor)
            send_line(c, line, len);
}

void gh_control_server_refuse_waiting(struct gh_control_server *s, enum gh_answerer from,
                                      const char *why)
{
    for (struct client *c = s->clients; c != NULL; c = c->next)
        for (; c->owed[from] > 0; c->owed[from]--)
            send_json(c, gh_control_refusal("try again", "%s", why));
}
