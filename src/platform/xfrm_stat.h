/*
 * What the kernel's IPsec dropped, by the core's names: /proc/net/xfrm_stat. Pure.
 *
 * The counters are those of a whole network namespace, other programs' SAs and policies included.
 */
#ifndef GH_PLATFORM_XFRM_STAT_H
#define GH_PLATFORM_XFRM_STAT_H

#include "ipsec/ipsec.h"

struct gh_xfrm_stat {
    uint64_t counts[2][IPSEC_RESULT_COUNT]; /* by enum ipsec_way */
};

/* Sums the lines up, each under the result that it comes nearest to; a line that is not known, or
 * is none, does not count. */
void gh_xfrm_stat_parse(const char *text, size_t len, struct gh_xfrm_stat *out);
/* Its file in a network namespace, to be read again and again: a descriptor or a negative errno. */
int gh_xfrm_stat_open(const char *netns);
bool gh_xfrm_stat_again(int fd, struct gh_xfrm_stat *out);
/* Of a network namespace, as in platform/netns.h. False: this kernel does not count. */
bool gh_xfrm_stat_read(const char *netns, struct gh_xfrm_stat *out);

#endif
