#include "shim/real.h"

#include <dlfcn.h>
#include <stddef.h>

void *gh_real_find(void **slot, const char *name)
{
    void *found = __atomic_load_n(slot, __ATOMIC_RELAXED);

    /* Threads may look twice: they find the same. A once-only lock could meet itself, should the
     * loader allocate and the allocator open a file. */
    if (found == NULL) {
        found = dlsym(RTLD_NEXT, name);
        __atomic_store_n(slot, found, __ATOMIC_RELAXED);
    }
    return found;
}
