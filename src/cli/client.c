#include "cli/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control.h"

bool cli_client_open(struct cli_client *c, const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(addr.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(addr.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return false;
    }
    cli_client_adopt(c, fd);
    return true;
}

void cli_client_adopt(struct cli_client *c, int fd)
{
    *c = (struct cli_client){.fd = fd};
}

void cli_client_close(struct cli_client *c)
{
    close(c->fd);
    free(c->buffer);
    *c = (struct cli_client){.fd = -1};
}

bool cli_client_send(struct cli_client *c, const json_t *request)
{
    size_t len, sent = 0;
    char *line = gh_control_line(request, &len);

    while (line != NULL && sent < len) {
        ssize_t n = send(c->fd, line + sent, len - sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        sent += (size_t)n;
    }
    free(line);
    return line != NULL && sent == len;
}

/* Reads some more; false at the end. */
static bool fill(struct cli_client *c)
{
    ssize_t n;

    if (c->len == c->capacity) {
        size_t capacity = c->capacity * 2 + 4096;
        char *more = realloc(c->buffer, capacity);

        if (more == NULL)
            return false;
        c->buffer = more;
        c->capacity = capacity;
    }
    do
        n = read(c->fd, c->buffer + c->len, c->capacity - c->len);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    c->len += (size_t)n;
    return true;
}

json_t *cli_client_receive(struct cli_client *c)
{
    size_t scanned = 0;
    char *end;
    json_t *object;

    for (;;) {
        end = c->len > scanned ? memchr(c->buffer + scanned, '\n', c->len - scanned) : NULL;
        if (end != NULL)
            break;
        scanned = c->len;
        if (!fill(c))
            return NULL;
    }
    object = json_loadb(c->buffer, (size_t)(end - c->buffer), 0, NULL);
    c->len -= (size_t)(end + 1 - c->buffer);
    memmove(c->buffer, end + 1, c->len);
    return object;
}

void cli_client_explain(const char *path, int error, FILE *err)
{
    fprintf(err, "gatectl: cannot reach gatehoused at %s: %s\n", path, strerror(error));
    if (error == EACCES || error == EPERM)
        fprintf(err, "  Only root and the group of the socket may: try sudo.\n");
    else if (error == ENOENT || error == ECONNREFUSED)
        fprintf(err, "  Is it running? `systemctl status gatehouse` tells; -s SOCKET names another "
                     "socket.\n");
}
