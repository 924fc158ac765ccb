/*
 * Key chains and TCP-AO sessions out of other vendors' configurations.
 *
 * gh_import() reads the text of a whole router configuration, keeps what concerns TCP-AO and
 * returns a configuration of ours that means the same: the same keys on the wire at the same times.
 * What cannot be carried over becomes a problem with file and line: an error where something is
 * missing from the result or has to be done first, a warning where a guess or a default was taken.
 * Pure: it reads no file and writes none. Called by `gatectl key-chain import` and the tests.
 */
#ifndef GH_CONFIG_IMPORT_H
#define GH_CONFIG_IMPORT_H

#include "config/config.h"
#include "config/vendor.h"

struct gh_import_options {
    enum gh_vendor from;    /* GH_VENDOR_COUNT: guess */
    bool as_peer;           /* the other end of the router's sessions; else the router itself */
    const char *secret_dir; /* where the secret files will stand */
};

/* Which vendor's words are these? GH_VENDOR_COUNT: nobody's. */
enum gh_vendor gh_import_guess(const char *text, size_t len);

/* Never NULL; it owns its secrets, those of keys whose secret the text hides are empty. The chain
 * of a session is always one of its chains. Free it with gh_config_free(). */
struct gh_config *gh_import(const char *file, const char *text, size_t len,
                            const struct gh_import_options *options, struct gh_problems *problems);

/* The key chains and sessions as text. */
void gh_import_print(const struct gh_config *c, FILE *out);

#endif
