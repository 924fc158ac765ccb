/*
 * Questions to the kernel's IPsec and its answers, over a netlink socket; for xfrm*.c only.
 */
#ifndef GH_PLATFORM_XFRM_ASK_H
#define GH_PLATFORM_XFRM_ASK_H

#include "platform/xfrm_message.h"

/* A socket whose errors do not bring the request back, which may have keys in it. -1 and errno. */
int gh_xfrm_ask_open(void);

/* Called with each message of the answer. */
typedef void (*gh_xfrm_message_fn)(void *ctx, const struct gh_nl_message *m);

/* Sends a request that wants an acknowledgement or is a dump, waits for its end (2 seconds for each
 * part), and wipes what it has read. 0, or a negative errno, of which `why` has the kernel's own
 * words if it gives any. fn may be NULL. */
int gh_xfrm_ask(int fd, const struct gh_wr *request, gh_xfrm_message_fn fn, void *ctx,
                struct gh_xfrm_why *why);

/* Pure: does `m` end the answer? *result: 0 or a negative errno. */
bool gh_xfrm_parse_end(const struct gh_nl_message *m, int *result, struct gh_xfrm_why *why);

#endif
