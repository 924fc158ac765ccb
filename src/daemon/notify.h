/*
 * What systemd wants to hear: sd_notify's datagrams, and descriptors kept across restarts.
 *
 * Without $NOTIFY_SOCKET nothing is sent.
 */
#ifndef GH_DAEMON_NOTIFY_H
#define GH_DAEMON_NOTIFY_H

#include <stdint.h>

/* Lines such as "READY=1\nSTATUS=…". */
void gh_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Has the service manager keep a copy of `fd` under a name; "" as long as it does not. */
void gh_notify_store(const char *name, int fd);
void gh_notify_forget(const char *name);

/* Milliseconds between two WATCHDOG=1, half of what systemd allows; 0: not wanted. */
uint64_t gh_notify_watchdog(void);

typedef void (*gh_stored_fn)(void *ctx, const char *name, int fd);
/* Each descriptor that the service manager kept for us; the callee owns it. Once. */
void gh_notify_stored(gh_stored_fn fn, void *ctx);

#endif
