/*
 * gatectl's end of the control socket: one request, one answer, or a stream of events. Owns its
 * descriptor and its buffer.
 */
#ifndef GH_CLI_CLIENT_H
#define GH_CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

struct cli_client {
    int fd;
    char *buffer;
    size_t len, capacity;
};

/* False: errno says why. */
bool cli_client_open(struct cli_client *c, const char *path);
/* Takes the descriptor of a connected stream socket. */
void cli_client_adopt(struct cli_client *c, int fd);
void cli_client_close(struct cli_client *c);

bool cli_client_send(struct cli_client *c, const json_t *request);
/* The next line as JSON, or NULL: the other end closed, or sent no JSON. */
json_t *cli_client_receive(struct cli_client *c);

/* "cannot reach …" with a remedy that fits errno. */
void cli_client_explain(const char *path, int error, FILE *err);

#endif
