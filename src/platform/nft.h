/*
 * The program nft in a namespace, for tables of Gatehouse's own: unprotected.c, mss_rules.c.
 */
#ifndef GH_PLATFORM_NFT_H
#define GH_PLATFORM_NFT_H

#include <stdbool.h>
#include <stddef.h>

#include "platform/rules.h"

/* With these words, at most 10 and NULL, and this on its standard input (or NULL). `said`: what it
 * wrote, or why it did not run. */
bool gh_nft_run(const char *netns, const char *const words[], const char *input, char *said,
                size_t size);
/* A whole text at once, which is freed. NULL, no memory, fails. */
bool gh_nft_apply(const char *netns, char *text, char said[GH_RULES_SAID]);
/* Removes a table of the family inet, whether it is there or not. */
bool gh_nft_remove_table(const char *netns, const char *table, char said[GH_RULES_SAID]);

#endif
