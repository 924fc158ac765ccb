#include "daemon/keep_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/rundir.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { MAGIC = 0x47484b31, HEADER = 4, ENTRY = 12, FILE_MAX = 16 * 1048576 };

static bool is_open_record(const struct gh_kept *e)
{
    return e->len > 0 && e->data[0] == 0;
}

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

bool gh_keep_save(const struct gh_keep *k, const char *run_directory)
{
    char path[GH_PATH], fresh[GH_PATH];
    size_t size = HEADER;
    struct gh_wr w;
    uint8_t *data;
    bool good;
    int fd;

    for (size_t i = 0; i < k->count; i++)
        if (is_open_record(&k->list[i]))
            size += ENTRY + k->list[i].len;
    data = malloc(size);
    if (data == NULL || !gh_rundir_path(run_directory, "sockets", path) ||
        !gh_rundir_path(run_directory, "sockets.new", fresh)) {
        free(data);
        return false;
    }
    w = gh_wr_make(data, size);
    gh_wr_u32(&w, MAGIC);
    for (size_t i = 0; i < k->count; i++) {
        if (!is_open_record(&k->list[i]))
            continue;
        gh_wr_u64(&w, k->list[i].cookie);
        gh_wr_u32(&w, k->list[i].len);
        gh_wr_bytes(&w, k->list[i].data, k->list[i].len);
    }
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    good = fd >= 0 && gh_wr_ok(&w) && write_all(fd, data, w.len);
    if (fd >= 0)
        good = close(fd) == 0 && good;
    free(data);
    return good && rename(fresh, path) == 0;
}

static uint8_t *read_file(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *data = NULL;
    struct stat st;

    *len = 0;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= FILE_MAX)
        data = malloc((size_t)st.st_size);
    if (data != NULL) {
        ssize_t n = read(fd, data, (size_t)st.st_size);

        *len = n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    return data;
}

void gh_keep_load(struct gh_keep *k, const char *run_directory)
{
    char path[GH_PATH];
    size_t len = 0;
    uint8_t *data = gh_rundir_path(run_directory, "sockets", path) ? read_file(path, &len) : NULL;
    struct gh_rd r = gh_rd_make(data, data != NULL ? len : 0);

    if (gh_rd_u32(&r) != MAGIC)
        r = gh_rd_make(NULL, 0);
    while (gh_rd_left(&r) > 0) {
        struct gh_kept e = {.cookie = gh_rd_u64(&r)};
        const uint8_t *record;

        e.len = gh_rd_u32(&r);
        record = gh_rd_bytes(&r, e.len);
        if (record == NULL || e.len == 0 || record[0] != 0 ||
            !gh_keep_put(k, e.cookie, record, e.len))
            break;
    }
    free(data);
}
