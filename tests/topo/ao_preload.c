/*
 * Preloaded into BIRD inside a lab-kernel guest (uml.py): changes the TCP-AO keys that it gives the
 * kernel in ways that BIRD's own configuration has no words for.
 *
 *   GH_AO_EXCLUDE_OPTIONS=1   TCP options other than TCP-AO are not covered by the MAC
 *   GH_AO_MACLEN=N            the length of the MAC
 */
#include <dlfcn.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    ADD_KEY = 38,       /* TCP_AO_ADD_KEY, newer than this host's headers */
    ADD_SIZE = 288,     /* sizeof(struct tcp_ao_add) */
    MACLEN_AT = 205,    /* octet maclen */
    KEYFLAGS_AT = 206,  /* octet keyflags */
    EXCLUDE_OPTIONS = 2 /* TCP_AO_KEYF_EXCLUDE_OPT */
};

__attribute__((visibility("default"))) int setsockopt(int fd, int level, int name,
                                                      const void *value, socklen_t length)
{
    int (*next)(int, int, int, const void *, socklen_t);
    *(void **)&next = dlsym(RTLD_NEXT, "setsockopt");
    if (level != IPPROTO_TCP || name != ADD_KEY || length != ADD_SIZE)
        return next(fd, level, name, value, length);
    uint8_t key[ADD_SIZE];
    memcpy(key, value, sizeof(key));
    const char *exclude = getenv("GH_AO_EXCLUDE_OPTIONS");
    const char *maclen = getenv("GH_AO_MACLEN");
    if (exclude && exclude[0] == '1')
        key[KEYFLAGS_AT] |= EXCLUDE_OPTIONS;
    if (maclen)
        key[MACLEN_AT] = (uint8_t)atoi(maclen);
    return next(fd, level, name, key, sizeof(key));
}
