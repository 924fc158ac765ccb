/*
 * From the syntax tree to typed values, with an error for whatever does not fit.
 *
 * A section's reader declares its options in a table, collects the nodes by table index and then
 * reads each as what it is. Used by load*.c only.
 */
#ifndef GH_CONFIG_SCHEMA_H
#define GH_CONFIG_SCHEMA_H

#include "config/config.h"
#include "config/syntax.h"

struct gh_loader {
    const char *file;
    const struct gh_config_options *options;
    struct gh_problems *problems;
    bool exposed; /* others can read the file that is loaded */
    struct gh_config *config;
    struct gh_ike_loader *ike; /* from gh_load_ike() to gh_load_ike_end(); NULL: no IKE */
};

enum gh_item_kind { GH_ITEM_VALUE, GH_ITEM_LIST, GH_ITEM_SECTION, GH_ITEM_TITLED_SECTION };

struct gh_item {
    const char *name;
    enum gh_item_kind kind;
};

/* Checks the children of a section against its table: unknown names, wrong kinds, repetition.
 * got[i] is the node of the value or list items[i], or NULL. Sections are the caller's to visit. */
void gh_items_collect(struct gh_loader *l, const struct gh_node *section,
                      const struct gh_item *items, size_t count, const struct gh_node **got);

/* Each reads the value of a node. NULL node: false, and `out` stays (its default). A wrong value:
 * an error, and false. */
bool gh_node_number(struct gh_loader *l, const struct gh_node *n, uint64_t min, uint64_t max,
                    uint64_t *out);
bool gh_node_bool(struct gh_loader *l, const struct gh_node *n, bool *out);
/* *out is the index in `choices`, which ends with NULL. */
bool gh_node_choice(struct gh_loader *l, const struct gh_node *n, const char *const *choices,
                    unsigned *out);
/* 1 … max characters, none of them a control character. */
bool gh_node_text(struct gh_loader *l, const struct gh_node *n, size_t max, const char **out);
/* A section's title as a name: 1 … GH_NAME_MAX characters. */
bool gh_node_name(struct gh_loader *l, const struct gh_node *section, const char **out);

/* The entry of `names` (ends with NULL) that `word` most likely means, or NULL. */
const char *gh_nearest(const char *word, const char *const *names);

/* "hmac-sha-256-128" says how long the MAC is, "hmac-sha-256" does not. */
bool gh_mac_length_in_name(const char *algorithm);

void gh_load_chain(struct gh_loader *l, const struct gh_node *section);
void gh_load_session(struct gh_loader *l, const struct gh_node *section);
/* `netns` and `vrf`, owned; what stands nowhere stays. */
void gh_load_place(struct gh_loader *l, const struct gh_node *netns, const struct gh_node *vrf,
                   char **netns_out, char **vrf_out);
void gh_load_check_backends(struct gh_loader *l); /* when all sessions are there */
void gh_load_ike(struct gh_loader *l, const struct gh_node *root);
void gh_load_ike_end(struct gh_loader *l); /* when the sessions have added to it */
void gh_load_globals(struct gh_loader *l, const struct gh_node *section);

#define gh_load_error(l, line, rule, remedy, ...)                                                  \
    gh_problem_add((l)->problems, GH_PROBLEM_ERROR, (l)->file, (line), (rule), (remedy),           \
                   __VA_ARGS__)
#define gh_load_warning(l, line, rule, remedy, ...)                                                \
    gh_problem_add((l)->problems, GH_PROBLEM_WARNING, (l)->file, (line), (rule), (remedy),         \
                   __VA_ARGS__)

#endif
