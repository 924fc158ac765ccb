#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/secret.h"
#include "daemon/setup.h"

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return true;
}

int gh_setup_seal(const struct gh_setup *s, size_t *len)
{
    const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    uint8_t *data = gh_setup_encode(s, len);
    int fd = data != NULL ? memfd_create("gatehouse-setup", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
    bool good = fd >= 0 && write_all(fd, data, *len) && fcntl(fd, F_ADD_SEALS, seals) == 0;

    if (data != NULL)
        gh_wipe(data, *len);
    free(data);
    if (good)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool gh_setup_open(int fd, size_t len, struct gh_setup *out)
{
    void *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    bool good;

    if (data == MAP_FAILED)
        return false;
    good = gh_setup_decode(data, len, out);
    munmap(data, len);
    return good;
}
