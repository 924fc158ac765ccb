#include <stdlib.h>
#include <sys/mman.h>

#include "base/secret.h"
#include "daemon/sealed.h"
#include "daemon/setup.h"

int gh_setup_seal(const struct gh_setup *s, size_t *len)
{
    uint8_t *data = gh_setup_encode(s, len);
    int fd;

    if (data == NULL)
        return -1;
    fd = gh_sealed_file("gatehouse-setup", data, *len);
    gh_wipe(data, *len);
    free(data);
    return fd;
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
