/*
 * What `key-chain generate` and `key-chain peer-config` share: a list of vendors, and printing the
 * far end for each of them.
 */
#ifndef GH_CONFIG_CMD_VENDOR_H
#define GH_CONFIG_CMD_VENDOR_H

#include <jansson.h>

#include "config/vendor.h"

struct gh_vendor_list {
    bool all; /* "all": what a vendor cannot do is only noted */
    bool wanted[GH_VENDOR_COUNT];
};

/* "junos", "ios-xe,bird", "all". False: says what is possible. */
bool gh_cmd_vendors(const char *text, struct gh_vendor_list *out);

/* Do all vendors that were asked for by name accept it? Says why not. */
bool gh_cmd_vendors_check(const struct gh_vendor_list *list, const struct gh_far_end *e);

/* Prints, or adds to the object `json` where that is not NULL: name → text, or → { "refused" }.
 * headings: a comment line before each. */
void gh_cmd_vendors_write(const struct gh_vendor_list *list, const struct gh_far_end *e,
                          bool headings, json_t *json);

/* 1 … 4294967295. */
bool gh_cmd_as(const char *option, const char *text, uint32_t *out);
/* One address. */
bool gh_cmd_host(const char *option, const char *text, struct gh_prefix *out);
bool gh_cmd_number(const char *option, const char *text, long min, long max, long *out);

#endif
