/*
 * The SAs that the `xfrm` process has given to the kernel: found by the number that `esp` has for
 * them, and by what the kernel calls them. Owned by that process; no keys.
 */
#ifndef GH_DAEMON_XFRM_SAS_H
#define GH_DAEMON_XFRM_SAS_H

#include "platform/xfrm_message.h"

struct gh_kernel_sa {
    struct gh_kernel_sa *next_by_id, *next_by_name;
    uint64_t id;
    uint32_t place;
    struct gh_xfrm_sa_id name;
    enum ipsec_way way;
    enum ipsec_mode mode;
    struct gh_addr local, remote;
    uint16_t local_port, remote_port;
    uint64_t told; /* sum of all that the kernel counted, when it was told last */
};

enum { GH_KERNEL_SA_BUCKETS = 16384 };
struct gh_kernel_sas {
    struct gh_kernel_sa *by_id[GH_KERNEL_SA_BUCKETS], *by_name[GH_KERNEL_SA_BUCKETS];
};

/* A copy of it is added. NULL: no memory. */
struct gh_kernel_sa *gh_kernel_sas_add(struct gh_kernel_sas *t, const struct gh_kernel_sa *sa);
struct gh_kernel_sa *gh_kernel_sas_find(const struct gh_kernel_sas *t, uint64_t id);
struct gh_kernel_sa *gh_kernel_sas_named(const struct gh_kernel_sas *t, uint32_t place,
                                         const struct gh_xfrm_sa_id *name);
void gh_kernel_sas_remove(struct gh_kernel_sas *t, struct gh_kernel_sa *sa); /* frees it */
void gh_kernel_sas_clear(struct gh_kernel_sas *t);

#endif
