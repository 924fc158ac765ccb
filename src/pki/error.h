/*
 * Why a certificate, key, identity or secret was refused, in words for the operator: which one,
 * what is wrong with it, what would be right. No text ever holds a part of a secret.
 */
#ifndef GH_PKI_ERROR_H
#define GH_PKI_ERROR_H

#include <stdbool.h>

struct gh_pki_error {
    const char *rule; /* stable name of the reason: "cert-expired", "key-format" … */
    char message[512];
    char remedy[256];
};

/* Fills the error (NULL is fine) and gives false, to be returned at once. */
bool gh_pki_fail(struct gh_pki_error *e, const char *rule, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
