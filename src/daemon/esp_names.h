/*
 * Numbers for pairs of names, given once and for good: a place is a namespace and a VRF, a policy a
 * peer and its child. The IPsec engine knows both by number alone.
 */
#ifndef GH_DAEMON_ESP_NAMES_H
#define GH_DAEMON_ESP_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum { GH_ESP_NAMES_MAX = 1048576 }; /* as many as one configuration may have children, twice */

struct gh_esp_name {
    char *first, *second;
};

/* Zero-initialised is empty. */
struct gh_esp_names {
    struct gh_esp_name *list;
    size_t count;
};

/* UINT32_MAX: no memory, or too many. NULL is "". */
uint32_t gh_esp_number(struct gh_esp_names *n, const char *first, const char *second);

void gh_esp_names_free(struct gh_esp_names *n); /* empty again */

#endif
