/*
 * Where secrets come from: a file with checked permissions, a systemd credential, the text of the
 * configuration. No error text ever holds a part of a secret.
 */
#ifndef GH_CONFIG_SECRET_SOURCE_H
#define GH_CONFIG_SECRET_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/secret.h"

enum gh_secret_format {
    GH_SECRET_ASCII,
    GH_SECRET_HEX,
    GH_SECRET_PREFIXED /* "0x…" is hexadecimal, "0s…" is base64, anything else is the text itself */
};

/* What is wrong, and what to do about it. */
struct gh_secret_error {
    const char *rule; /* "secret-permissions", "secret-missing" or "secret-format" */
    char message[512];
    char remedy[512];
};

/* A regular file that belongs to root or to the user who reads it, and that nobody else may read
 * or write. One newline at its end is no part of the secret. */
bool gh_secret_from_file(const char *path, enum gh_secret_format format, struct gh_secret *out,
                         struct gh_secret_error *error);
/* The file `name` in $CREDENTIALS_DIRECTORY, whose permissions are systemd's business. */
bool gh_secret_from_credential(const char *name, enum gh_secret_format format,
                               struct gh_secret *out, struct gh_secret_error *error);
bool gh_secret_from_text(const char *text, size_t len, enum gh_secret_format format,
                         struct gh_secret *out, struct gh_secret_error *error);

/* The same checks for what is no line of text, a private key: the file's octets as they are. */
bool gh_secret_octets_from_file(const char *path, size_t max, struct gh_secret *out,
                                struct gh_secret_error *error);
bool gh_secret_octets_from_credential(const char *name, size_t max, struct gh_secret *out,
                                      struct gh_secret_error *error);

#endif
