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

/* A secret in hex with "0x" and a newline, and room to see that a file is longer. */
enum { FILE_MAX = 2 * TCPAO_SECRET_MAX + 5 };

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

static int digit64(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

static size_t padding64(const char *text, size_t len)
{
    if (len < 4 || text[len - 1] != '=')
        return 0;
    return text[len - 2] == '=' ? 2 : 1;
}

/* RFC 4648 4, padded. False: other characters, or bits that stand for nothing. */
static bool decode_base64(const char *text, size_t len, uint8_t *out)
{
    size_t padding = padding64(text, len);
    unsigned bits = 0, held = 0;

    if (len % 4 != 0)
        return false;
    for (size_t i = 0; i < len - padding; i++) {
        int digit = digit64(text[i]);

        if (digit < 0)
            return false;
        bits = (bits << 6 | (unsigned)digit) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *out++ = (uint8_t)(bits >> held);
        }
    }
    return (bits & ((1u << held) - 1)) == 0;
}

enum coding { PLAIN, HEX, BASE64 };

static const struct {
    const char *name, *remedy;
    bool (*decode)(const char *text, size_t len, uint8_t *out);
} codings[] = {
    [HEX] = {"hexadecimal", "write an even number of digits 0-9 a-f", decode_hex},
    [BASE64] = {"base64", "write it as base64 prints it, with its padding", decode_base64}};

/* Steps over the prefix that says how the text is coded. */
static enum coding coding_of(enum gh_secret_format format, const char **text, size_t *len)
{
    enum coding coding = PLAIN;

    if (format == GH_SECRET_HEX)
        return HEX;
    if (format == GH_SECRET_PREFIXED && *len >= 2 && (*text)[0] == '0')
        coding = (*text)[1] == 'x' ? HEX : (*text)[1] == 's' ? BASE64 : PLAIN;
    if (coding != PLAIN) {
        *text += 2;
        *len -= 2;
    }
    return coding;
}

bool gh_secret_from_text(const char *text, size_t len, enum gh_secret_format format,
                         struct gh_secret *out, struct gh_secret_error *error)
{
    enum coding coding = coding_of(format, &text, &len);
    uint8_t octets[TCPAO_SECRET_MAX];
    size_t n = len;
    bool good;

    if (len == 0)
        return fail(error, "secret-format", "run gatectl key-chain generate for a strong one",
                    "the secret is empty");
    if (coding != PLAIN)
        n = coding == HEX ? len / 2 : (len + 3) / 4 * 3 - padding64(text, len);
    if (n > sizeof(octets))
        return fail(error, "secret-format", "shorten it", "the secret is longer than %d octets",
                    (int)TCPAO_SECRET_MAX);
    if (coding != PLAIN && !codings[coding].decode(text, len, octets)) {
        gh_wipe(octets, sizeof(octets));
        return fail(error, "secret-format", codings[coding].remedy, "the secret is not in %s",
                    codings[coding].name);
    }
    if (coding == PLAIN)
        memcpy(octets, text, n);
    good = gh_secret_set(out, octets, n);
    gh_wipe(octets, sizeof(octets));
    return good || fail(error, "secret-missing", "free some memory", "out of memory");
}

/* ---- Files ---------------------------------------------------------------------------------- */

/* Reads the open file, at most `max` octets of it. */
static bool read_file(int fd, const char *path, size_t max, struct gh_secret *out,
                      struct gh_secret_error *error)
{
    uint8_t *data = malloc(max);
    size_t n = 0;
    ssize_t got;
    bool good;

    if (data == NULL)
        return fail(error, "secret-missing", "free some memory", "out of memory");
    do {
        got = read(fd, data + n, max - n);
        if (got > 0)
            n += (size_t)got;
    } while ((got > 0 && n < max) || (got < 0 && errno == EINTR));
    if (got < 0)
        good = fail(error, "secret-missing", "look at the file system", "cannot read %s: %s", path,
                    strerror(errno));
    else
        good = gh_secret_set(out, data, n) ||
               fail(error, "secret-missing", "free some memory", "out of memory");
    gh_wipe(data, max);
    free(data);
    return good;
}

/* The text of a file without its last newline. */
static bool from_line(struct gh_secret *raw, enum gh_secret_format format, struct gh_secret *out,
                      struct gh_secret_error *error)
{
    const char *text = (const char *)raw->data;
    size_t n = raw->len;
    bool good;

    if (n > 0 && n < FILE_MAX && text[n - 1] == '\n') {
        n--;
        if (n > 0 && text[n - 1] == '\r')
            n--;
    }
    good = gh_secret_from_text(text, n, format, out, error);
    gh_secret_clear(raw);
    return good;
}

static bool fits(struct gh_secret *raw, size_t max, const char *path, struct gh_secret_error *error)
{
    if (raw->len <= max)
        return true;
    gh_secret_clear(raw);
    return fail(error, "secret-format", "look whether it is the right file",
                "%s is longer than %zu octets", path, max);
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
static int open_secret(const char *path, const char *remedy, struct gh_secret_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 && errno == ELOOP)
        fail(error, "secret-permissions", "write the path of the file it points to",
             "%s is a symbolic link", path);
    else if (fd < 0)
        fail(error, "secret-missing", remedy, "cannot open the secret file %s: %s", path,
             strerror(errno));
    return fd;
}

static bool read_checked(const char *path, const char *remedy, size_t max, struct gh_secret *out,
                         struct gh_secret_error *error)
{
    struct stat st;
    bool good;
    int fd = open_secret(path, remedy, error);

    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0)
        good = fail(error, "secret-missing", "look at the file system", "cannot look at %s: %s",
                    path, strerror(errno));
    else
        good = check_file(&st, path, error) && read_file(fd, path, max, out, error);
    close(fd);
    return good;
}

static bool read_credential(const char *name, size_t max, struct gh_secret *out,
                            struct gh_secret_error *error)
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
    fd = open_secret(path, "add LoadCredential= (or LoadCredentialEncrypted=) to the unit", error);
    if (fd < 0)
        return false;
    good = (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07) == 0) ||
           fail(error, "secret-permissions", "let systemd make it",
                "%s is not a file closed to others", path);
    good = good && read_file(fd, path, max, out, error);
    close(fd);
    return good;
}

bool gh_secret_from_file(const char *path, enum gh_secret_format format, struct gh_secret *out,
                         struct gh_secret_error *error)
{
    struct gh_secret raw = {.data = NULL};

    return read_checked(path, "gatectl key-chain generate makes one with the right mode", FILE_MAX,
                        &raw, error) &&
           from_line(&raw, format, out, error);
}

bool gh_secret_from_credential(const char *name, enum gh_secret_format format,
                               struct gh_secret *out, struct gh_secret_error *error)
{
    struct gh_secret raw = {.data = NULL};

    return read_credential(name, FILE_MAX, &raw, error) && from_line(&raw, format, out, error);
}

bool gh_secret_octets_from_file(const char *path, size_t max, struct gh_secret *out,
                                struct gh_secret_error *error)
{
    return read_checked(path, "write the path of the key's file", max + 1, out, error) &&
           fits(out, max, path, error);
}

bool gh_secret_octets_from_credential(const char *name, size_t max, struct gh_secret *out,
                                      struct gh_secret_error *error)
{
    return read_credential(name, max + 1, out, error) && fits(out, max, name, error);
}
