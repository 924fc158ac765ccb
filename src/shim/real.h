/*
 * The functions that the preload library stands in front of, as the next object has them (libc, or
 * another preloaded library). The library calls these whenever it means the kernel.
 *
 * Found at the first use, which may come before any constructor has run.
 */
#ifndef GH_SHIM_REAL_H
#define GH_SHIM_REAL_H

/* For GH_REAL() only. `*slot` remembers the address. */
void *gh_real_find(void **slot, const char *name);

#define GH_REAL(function)                                                                          \
    ({                                                                                             \
        static void *slot_##function;                                                              \
        (__typeof__(&function))gh_real_find(&slot_##function, #function);                          \
    })

#endif
