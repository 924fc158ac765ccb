/*
 * Values of a configuration on their way between processes of one daemon: what its encodings share.
 *
 * On top of wire/rd.h and wire/wr.h, and as sticky: what cannot be sets `bad`.
 */
#ifndef GH_CONFIG_OCTETS_H
#define GH_CONFIG_OCTETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "wire/rd.h"
#include "wire/wr.h"

/* At most 65535 octets; NULL is told from "". */
void gh_put_text(struct gh_wr *w, const char *text);
void gh_put_addr(struct gh_wr *w, const struct gh_addr *a);
void gh_put_prefix(struct gh_wr *w, const struct gh_prefix *p);

bool gh_get_flag(struct gh_rd *r);
/* `value` if it is below `end`. */
uint32_t gh_get_below(struct gh_rd *r, uint32_t value, size_t end);
/* To be freed. `needed`, here and below: NULL, no address, is not allowed. */
char *gh_get_text(struct gh_rd *r, bool needed);
void gh_get_addr(struct gh_rd *r, bool needed, struct gh_addr *out);
void gh_get_prefix(struct gh_rd *r, bool needed, struct gh_prefix *out);
/* Zeroed, to be freed: for `count` elements of `size`, each of which takes at least `min` octets.
 * NULL sets bad. */
void *gh_get_array(struct gh_rd *r, size_t count, size_t min, size_t size);

#endif
