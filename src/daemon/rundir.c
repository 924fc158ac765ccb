#include "daemon/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

enum { PATIENCE_MS = 3000, RETRY_MS = 20, FILE_MAX = 64 * 1048576 };

bool gh_rundir_path(const char *directory, const char *name, char path[GH_PATH])
{
    int n = snprintf(path, GH_PATH, "%s/%s", directory, name);

    return n > 0 && n < GH_PATH;
}

int gh_rundir_lock(const char *directory)
{
    char path[GH_PATH];
    int fd;

    if (mkdir(directory, 0755) != 0 && errno != EEXIST) {
        gh_error("%s: %s", directory, strerror(errno));
        return -1;
    }
    if (!gh_rundir_path(directory, "lock", path))
        return -1;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        gh_error("%s: %s", path, strerror(errno));
        return -1;
    }
    for (unsigned waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += RETRY_MS) {
        if (errno != EWOULDBLOCK || waited >= PATIENCE_MS) {
            gh_error("%s: %s", path,
                     errno == EWOULDBLOCK ? "another gatehoused is running" : strerror(errno));
            close(fd);
            return -1;
        }
        poll(NULL, 0, RETRY_MS);
    }
    return fd;
}

/* ---- The note: "nftables" or "iptables", then a namespace a line --------------------------- */

bool gh_rules_note_has(const struct gh_rules_note *n, const char *netns)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->netns[i], netns != NULL ? netns : "") == 0)
            return true;
    return false;
}

bool gh_rules_note_has_id(const struct gh_rules_note *n, const struct gh_netns_id *id)
{
    for (size_t i = 0; i < n->count; i++) {
        struct gh_netns_id its;

        if (gh_netns_identify(n->netns[i], &its) == 0 && gh_netns_same(&its, id))
            return true;
    }
    return false;
}

void gh_rules_note_drop(struct gh_rules_note *n, const char *netns)
{
    for (size_t i = 0; i < n->count; i++) {
        if (strcmp(n->netns[i], netns != NULL ? netns : "") == 0) {
            free(n->netns[i]);
            n->netns[i] = n->netns[--n->count];
            return;
        }
    }
}

bool gh_rules_note_add(struct gh_rules_note *n, const char *netns)
{
    char **list;

    if (gh_rules_note_has(n, netns))
        return true;
    list = realloc(n->netns, (n->count + 1) * sizeof(*list));
    if (list == NULL)
        return false;
    n->netns = list;
    list[n->count] = strdup(netns != NULL ? netns : "");
    if (list[n->count] == NULL)
        return false;
    n->count++;
    return true;
}

void gh_rules_note_clear(struct gh_rules_note *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->netns[i]);
    free(n->netns);
    *n = (struct gh_rules_note){.known = false};
}

/* ---- Whole files ---- */

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

bool gh_rundir_write(const char *directory, const char *name, const void *data, size_t len)
{
    char path[GH_PATH], fresh[GH_PATH], temporary[64];
    bool good;
    int fd;

    snprintf(temporary, sizeof(temporary), "%s.new", name);
    if (!gh_rundir_path(directory, name, path) || !gh_rundir_path(directory, temporary, fresh))
        return false;
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    good = fd >= 0 && write_all(fd, data, len);
    if (fd >= 0)
        good = close(fd) == 0 && good;
    return good && rename(fresh, path) == 0;
}

uint8_t *gh_rundir_read(const char *directory, const char *name, size_t *len)
{
    char path[GH_PATH];
    int fd = gh_rundir_path(directory, name, path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    uint8_t *data = NULL;
    struct stat st;
    ssize_t n = 0;

    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= FILE_MAX)
        data = malloc((size_t)st.st_size);
    if (data != NULL)
        n = read(fd, data, (size_t)st.st_size);
    if (fd >= 0)
        close(fd);
    *len = n > 0 ? (size_t)n : 0;
    return data;
}

/* ---- Where rules are ---- */

bool gh_rules_note_save(const struct gh_rules_note *n, const char *directory)
{
    char path[GH_PATH], fresh[GH_PATH];
    FILE *f;
    bool good;

    if (!gh_rundir_path(directory, "rules", path) || !gh_rundir_path(directory, "rules.new", fresh))
        return false;
    f = fopen(fresh, "we");
    if (f == NULL)
        return false;
    fprintf(f, "%s\n", gh_rules_backend_name(n->backend));
    for (size_t i = 0; i < n->count; i++)
        if (!gh_netns_is_own_descriptor(n->netns[i])) /* means nothing to another process */
            fprintf(f, "%s\n", n->netns[i]);
    good = ferror(f) == 0;
    return fclose(f) == 0 && good && rename(fresh, path) == 0;
}

void gh_rules_note_load(struct gh_rules_note *n, const char *directory)
{
    char path[GH_PATH], line[GH_PATH];
    FILE *f;

    gh_rules_note_clear(n);
    f = gh_rundir_path(directory, "rules", path) ? fopen(path, "re") : NULL;
    if (f == NULL)
        return;
    while (fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (n->known) {
            gh_rules_note_add(n, line);
        } else {
            n->known = true;
            n->backend = strcmp(line, "nftables") == 0 ? GH_RULES_NFTABLES : GH_RULES_IPTABLES;
        }
    }
    fclose(f);
}
