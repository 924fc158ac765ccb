#include "daemon/randomness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/secret.h"

static void from_kernel(uint8_t *p, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno != EINTR)
            abort();
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

void gh_random_take(struct gh_random *r, void *out, size_t len)
{
    uint8_t *from;

    if (len > sizeof(r->octets)) {
        from_kernel(out, len);
        return;
    }
    if (len > r->left) {
        from_kernel(r->octets, sizeof(r->octets));
        r->left = sizeof(r->octets);
    }
    from = r->octets + sizeof(r->octets) - r->left;
    memcpy(out, from, len);
    gh_wipe(from, len);
    r->left -= len;
}
