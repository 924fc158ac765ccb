#include "config/secret_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tcpao.h"

/* A secret in hex with a newline, and room to see that a file is longer. */
enum { FILE_MAX = 2 * TCPAO_SECRET_MAX + 3 };

static bool fail(struct gh_secret_error *e, const char *rule, const char *remedy, const char *fmt,
                 ...) __attribute__((format(printf, 4, 5)));

static bool fail(struct gh_secret_error *e, const char *rule, const char *remedy, const char *fmt,
                 ...)
{
    va_list ap;

    e->rule = rule;
    snprintf(e->remedy, sizeof(e->remedy), "%s", remedy);
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof(e->message), fmt, ap);
    va_end(ap);
    return false;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* False: an odd number of digits, or something that is none. */
static bool decode_hex(const char *text, size_t len, uint8_t *out)
{
    if (len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = nibble(text[i]), low = nibble(text[i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (uint8_t)(high * 16 + low);
    }
    return true;
}

bool gh_secret_from_text(const char *text, size_t len, enum gh_secret_format format,
                         struct gh_secret *out, struct gh_secret_error *error)
{
    uint8_t octets[TCPAO_SECRET_MAX];
    size_t n = format == GH_SECRET_HEX ? len / 2 : len;
    bool good;

    if (len == 0)
        return fail(error, "secret-format", "run gatectl key-chain generate for a strong one",
                    "the secret is empty");
    if (n > sizeof(octets))
        return fail(error, "secret-format", "shorten it", "the secret is longer than %d octets",
                    (int)TCPAO_SECRET_MAX);
    if (format == GH_SECRET_HEX && !decode_hex(text, len, octets)) {
        gh_wipe(octets, sizeof(octets));
        return fail(error, "secret-format", "write an even number of digits 0-9 a-f",
                    "the secret is not in hexadecimal");
    }
    if (format == GH_SECRET_ASCII)
        memcpy(octets, text, n);
    good = gh_secret_set(out, octets, n);
    gh_wipe(octets, sizeof(octets));
    return good || fail(error, "secret-missing", "free some memory", "out of memory");
}

/* Reads the open file whole, without its last newline. */
static bool read_secret(int fd, const char *path, enum gh_secret_format format,
                        struct gh_secret *out, struct gh_secret_error *error)
{
    char text[FILE_MAX];
    size_t n = 0;
    ssize_t got;
    bool good;

    do {
        got = read(fd, text + n, sizeof(text) - n);
        if (got > 0)
            n += (size_t)got;
    } while ((got > 0 && n < sizeof(text)) || (got < 0 && errno == EINTR));
    if (got < 0) {
        gh_wipe(text, sizeof(text));
        return fail(error, "secret-missing", "look at the file system", "cannot read %s: %s", path,
                    strerror(errno));
    }
    if (n > 0 && n < sizeof(text) && text[n - 1] == '\n') {
        n--;
        if (n > 0 && text[n - 1] == '\r')
            n--;
    }
    good = gh_secret_from_text(text, n, format, out, error);
    gh_wipe(text, sizeof(text));
    return good;
}

static bool check_file(const struct stat *st, const char *path, struct gh_secret_error *error)
{
    char remedy[384];

    if (!S_ISREG(st->st_mode))
        return fail(error, "secret-permissions", "write the path of a file",
                    "%s is not a regular file", path);
    if (st->st_uid != 0 && st->st_uid != geteuid()) {
        snprintf(remedy, sizeof(remedy), "chown root %s", path);
        return fail(error, "secret-permissions", remedy, "%s belongs to user %u, not to root", path,
                    (unsigned)st->st_uid);
    }
    if ((st->st_mode & 077) != 0) {
        snprintf(remedy, sizeof(remedy), "chmod 600 %s", path);
        return fail(error, "secret-permissions", remedy,
                    "%s is open to its group or to others (mode %04o)", path,
                    (unsigned)st->st_mode & 07777);
    }
    return true;
}

/* O_NONBLOCK: a FIFO must not hold us up before fstat tells what it is. */
static int open_secret(const char *path, struct gh_secret_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 && errno == ELOOP)
        fail(error, "secret-permissions", "write the path of the file it points to",
             "%s is a symbolic link", path);
    else if (fd < 0)
        fail(error, "secret-missing", "gatectl key-chain generate makes one with the right mode",
             "cannot open the secret file %s: %s", path, strerror(errno));
    return fd;
}

bool gh_secret_from_file(const char *path, enum gh_secret_format format, struct gh_secret *out,
                         struct gh_secret_error *error)
{
    struct stat st;
    bool good;
    int fd = open_secret(path, error);

    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0)
        good = fail(error, "secret-missing", "look at the file system", "cannot look at %s: %s",
                    path, strerror(errno));
    else
        good = check_file(&st, path, error) && read_secret(fd, path, format, out, error);
    close(fd);
    return good;
}

bool gh_secret_from_credential(const char *name, enum gh_secret_format format,
                               struct gh_secret *out, struct gh_secret_error *error)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    char path[4096];
    struct stat st;
    bool good;
    int fd;

    if (strchr(name, '/') != NULL || name[0] == '.')
        return fail(error, "secret-format",
                    "write the name given to LoadCredential=", "\"%s\" is no name of a credential",
                    name);
    if (dir == NULL)
        return fail(error, "secret-missing",
                    "add LoadCredential= (or LoadCredentialEncrypted=) to the unit",
                    "systemd passed no credentials ($CREDENTIALS_DIRECTORY is not set)");
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open_secret(path, error);
    if (fd < 0)
        return false;
    good = (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07) == 0) ||
           fail(error, "secret-permissions", "let systemd make it",
                "%s is not a file closed to others", path);
    good = good && read_secret(fd, path, format, out, error);
    close(fd);
    return good;
}
