#include "daemon/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/wr.h"

enum {
    HEADER = 4096, /* so that the engine's part is aligned to pages */
    HEADER_USED = 64,
    BOOT_ID = 36
};

static const char magic[8] = "gh-state";

/* The header that a file of this boot and size has. */
static bool make_header(uint8_t header[HEADER_USED], size_t size)
{
    struct gh_wr w = gh_wr_make(header, HEADER_USED);
    char boot[BOOT_ID];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, boot, sizeof(boot));
    close(fd);
    if (n != BOOT_ID)
        return false;
    gh_wr_bytes(&w, magic, sizeof(magic));
    gh_wr_u64(&w, size);
    gh_wr_bytes(&w, boot, sizeof(boot));
    gh_wr_zero(&w, HEADER_USED - w.len);
    return gh_wr_ok(&w);
}

static bool is_ours(int fd, const uint8_t header[HEADER_USED], size_t size)
{
    uint8_t found[HEADER_USED];
    struct stat st;

    return fstat(fd, &st) == 0 && (size_t)st.st_size == HEADER + size &&
           pread(fd, found, sizeof(found), 0) == (ssize_t)sizeof(found) &&
           memcmp(found, header, sizeof(found)) == 0;
}

/* Empties the file, and takes all its room now, so that no write to the mapping can fail. */
static int make_anew(int fd, const uint8_t header[HEADER_USED], size_t size)
{
    int result;

    if (ftruncate(fd, 0) != 0)
        return -errno;
    result = posix_fallocate(fd, 0, (off_t)(HEADER + size));
    if (result != 0)
        return -result;
    return pwrite(fd, header, HEADER_USED, 0) == HEADER_USED ? 0 : -EIO;
}

int gh_state_open(const char *path, size_t size)
{
    uint8_t header[HEADER_USED];
    int fd, result = 0;

    if (!make_header(header, size))
        return -EIO;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0600) != 0)
        result = -errno;
    else if (!is_ours(fd, header, size))
        result = make_anew(fd, header, size);
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

void *gh_state_map(int fd, size_t size)
{
    uint8_t *p = mmap(NULL, HEADER + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return p != MAP_FAILED ? p + HEADER : NULL;
}
