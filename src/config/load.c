/*
 * Files and memory in, a checked configuration out; and its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/alloc.h"
#include "config/problems.h"
#include "config/schema.h"

enum {
    FILE_SIZE_MAX = 16 * 1024 * 1024,
    USER_NAME_MAX = 32,
    SHIM_USERS_MAX = 64,
    DEFAULT_QUEUE_BASE = 17900,
    DEFAULT_QUEUE_LENGTH = 65535,
    CONNECTIONS_MIN = 16,
    CONNECTIONS_MAX = 1048576
};

enum {
    GLOBAL_USER,
    GLOBAL_FIREWALL,
    GLOBAL_QUEUE_BASE,
    GLOBAL_QUEUE_LENGTH,
    GLOBAL_MAX_CONNECTIONS,
    GLOBAL_SHIM_USERS,
    GLOBAL_ITEMS
};

static const struct gh_item global_items[GLOBAL_ITEMS] = {
    [GLOBAL_USER] = {"user", GH_ITEM_VALUE},
    [GLOBAL_FIREWALL] = {"firewall", GH_ITEM_VALUE},
    [GLOBAL_QUEUE_BASE] = {"queue-base", GH_ITEM_VALUE},
    [GLOBAL_QUEUE_LENGTH] = {"queue-length", GH_ITEM_VALUE},
    [GLOBAL_MAX_CONNECTIONS] = {"max-connections", GH_ITEM_VALUE},
    [GLOBAL_SHIM_USERS] = {"shim-users", GH_ITEM_LIST},
};

static const struct gh_item root_items[] = {
    {"gatehouse", GH_ITEM_SECTION},
    {"key-chain", GH_ITEM_TITLED_SECTION},
    {"tcp-ao", GH_ITEM_TITLED_SECTION},
    {"ike", GH_ITEM_SECTION},
    {"ike-peer", GH_ITEM_TITLED_SECTION},
    {"ike-policy", GH_ITEM_TITLED_SECTION},
    {"ike-transform", GH_ITEM_TITLED_SECTION},
    {"ipsec-transform", GH_ITEM_TITLED_SECTION},
    {"ts-list", GH_ITEM_TITLED_SECTION},
    {"ike-psk", GH_ITEM_TITLED_SECTION},
    {"ike-ppk", GH_ITEM_TITLED_SECTION},
    {"ike-key", GH_ITEM_TITLED_SECTION},
    {"cert-profile", GH_ITEM_TITLED_SECTION},
    {"trust-anchor-profile", GH_ITEM_TITLED_SECTION},
    {"client-db", GH_ITEM_TITLED_SECTION},
    {"manual-sa", GH_ITEM_TITLED_SECTION},
    {"tunnel", GH_ITEM_TITLED_SECTION},
    {"ipsec-policy", GH_ITEM_TITLED_SECTION},
    {"tunnel-group", GH_ITEM_TITLED_SECTION},
};
enum { ROOT_ITEMS = sizeof(root_items) / sizeof(root_items[0]) };

static void read_user(struct gh_loader *l, const struct gh_node *n)
{
    const char *text;

    if (!gh_node_text(l, n, USER_NAME_MAX, &text))
        return;
    if (strcmp(text, "root") == 0)
        gh_load_error(l, n->line, "user", "leave it out, or name an unprivileged user",
                      "the processes that handle packets do not run as root");
    free(l->config->user);
    l->config->user = gh_config_strdup(text);
}

static bool is_user_or_group(const char *text)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-$";
    size_t len;

    text += *text == '@';
    len = strlen(text);
    return len > 0 && len <= USER_NAME_MAX && *text != '-' && strspn(text, fine) == len;
}

/* Whether they exist is seen when they come: a daemon's package may be installed later. */
static void read_shim_users(struct gh_loader *l, const struct gh_node *n)
{
    struct gh_config *c = l->config;

    if (n == NULL)
        return;
    if (n->value_count > SHIM_USERS_MAX) {
        gh_load_error(l, n->line, "range", "name a group that they are in",
                      "\"shim-users\" has at most %d names", (int)SHIM_USERS_MAX);
        return;
    }
    for (size_t i = 0; i < n->value_count; i++) {
        if (!is_user_or_group(n->values[i])) {
            gh_load_error(l, n->line, "user", "write names as in { \"frr\", \"@bgp\" }",
                          "\"shim-users\" names users, and groups with an \"@\" before them");
            continue;
        }
        c->shim_users = gh_config_grow(c->shim_users, c->shim_user_count, sizeof(*c->shim_users));
        c->shim_users[c->shim_user_count++] = gh_config_strdup(n->values[i]);
    }
}

void gh_load_globals(struct gh_loader *l, const struct gh_node *section)
{
    static const char *const firewalls[] = {"auto", "nftables", "iptables", NULL};
    const struct gh_node *got[GLOBAL_ITEMS];
    struct gh_config *c = l->config;
    unsigned firewall = c->firewall;
    uint64_t base = c->queue_base, length = c->queue_length, connections = c->max_connections;

    gh_items_collect(l, section, global_items, GLOBAL_ITEMS, got);
    read_user(l, got[GLOBAL_USER]);
    read_shim_users(l, got[GLOBAL_SHIM_USERS]);
    gh_node_choice(l, got[GLOBAL_FIREWALL], firewalls, &firewall);
    gh_node_number(l, got[GLOBAL_QUEUE_BASE], 0, 65535, &base);
    gh_node_number(l, got[GLOBAL_QUEUE_LENGTH], 64, 1048576, &length);
    gh_node_number(l, got[GLOBAL_MAX_CONNECTIONS], CONNECTIONS_MIN, CONNECTIONS_MAX, &connections);
    c->firewall = (enum gh_firewall)firewall;
    c->queue_base = (uint16_t)base;
    c->queue_length = (uint32_t)length;
    c->max_connections = (uint32_t)connections;
}

static bool is(const struct gh_node *n, const char *name)
{
    return n->section && strcmp(n->name, name) == 0;
}

/* Sessions come last, because they refer to chains and IKE peers that may be written after them. */
static void read_sections(struct gh_loader *l, const struct gh_node *root)
{
    const struct gh_node *got[ROOT_ITEMS], *globals = NULL;

    gh_items_collect(l, root, root_items, ROOT_ITEMS, got);
    for (size_t i = 0; i < root->child_count; i++) {
        const struct gh_node *n = &root->children[i];

        if (is(n, "key-chain") && n->title != NULL)
            gh_load_chain(l, n);
        if (!is(n, "gatehouse"))
            continue;
        if (globals != NULL)
            gh_load_error(l, n->line, "duplicate", "make them one",
                          "there are two \"gatehouse\" sections, the first on line %d",
                          globals->line);
        globals = n;
        gh_load_globals(l, n);
    }
    gh_load_ike(l, root);
    for (size_t i = 0; i < root->child_count; i++) {
        if (is(&root->children[i], "tcp-ao") && root->children[i].title != NULL)
            gh_load_session(l, &root->children[i]);
    }
    gh_load_ike_end(l);
}

/* The children's user where none is configured. */
static const char *default_user(void)
{
    return getpwnam("gatehouse") != NULL ? "gatehouse" : "nobody";
}

static struct gh_config *parse(const char *name, const char *text, size_t len, bool exposed,
                               const struct gh_config_options *options,
                               struct gh_problems *problems)
{
    static const struct gh_config_options none;
    struct gh_config *c = gh_config_alloc(1, sizeof(*c));
    struct gh_loader l = {.file = name,
                          .options = options != NULL ? options : &none,
                          .problems = problems,
                          .exposed = exposed,
                          .config = c};
    size_t first = problems->count, errors = problems->errors;
    struct gh_node root;

    c->path = gh_config_strdup(name);
    c->user = gh_config_strdup(default_user());
    c->queue_base = DEFAULT_QUEUE_BASE;
    c->queue_length = DEFAULT_QUEUE_LENGTH;
    c->max_connections = GH_CONNECTIONS_DEFAULT;
    gh_syntax_parse(name, text, len, &root, problems);
    read_sections(&l, &root);
    if (problems->errors == errors)
        gh_load_check_backends(&l);
    gh_syntax_free(&root);
    gh_problems_sort(problems, first);
    if (problems->errors > errors) {
        gh_config_free(c);
        return NULL;
    }
    return c;
}

struct gh_config *gh_config_parse(const char *name, const char *text, size_t len,
                                  const struct gh_config_options *options,
                                  struct gh_problems *problems)
{
    return parse(name, text, len, false, options, problems);
}

/* NULL and a reason, or the file's text. Wipe it: there may be secrets in it. */
static char *read_file(int fd, size_t size, size_t *len)
{
    char *text = gh_config_alloc(size + 1, 1);
    size_t n = 0;

    while (n <= size) {
        ssize_t got = read(fd, text + n, size + 1 - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            gh_wipe(text, size + 1);
            free(text);
            return NULL;
        }
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *len = n;
    return text;
}

struct gh_config *gh_config_load(const char *path, const struct gh_config_options *options,
                                 struct gh_problems *problems)
{
    struct gh_config *c = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char *text = NULL;
    struct stat st;
    size_t len = 0;

    if (fd < 0 || fstat(fd, &st) != 0) {
        gh_problem_add(problems, GH_PROBLEM_ERROR, path, 0, "file",
                       "write it, or name another file", "cannot read it: %s", strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > FILE_SIZE_MAX) {
        gh_problem_add(problems, GH_PROBLEM_ERROR, path, 0, "file", NULL,
                       "it is not a file of at most %d octets", (int)FILE_SIZE_MAX);
    } else if ((text = read_file(fd, (size_t)st.st_size, &len)) == NULL) {
        gh_problem_add(problems, GH_PROBLEM_ERROR, path, 0, "file", "look at the file system",
                       "cannot read it: %s", strerror(errno));
    } else if (len > (size_t)st.st_size) {
        gh_problem_add(problems, GH_PROBLEM_ERROR, path, 0, "file", "try again",
                       "it grew while it was read");
    } else {
        c = parse(path, text, len, (st.st_mode & 044) != 0, options, problems);
    }
    if (text != NULL)
        gh_wipe(text, (size_t)st.st_size + 1);
    free(text);
    if (fd >= 0)
        close(fd);
    return c;
}

static void free_chain(struct gh_key_chain *k)
{
    for (size_t i = 0; i < k->key_count; i++) {
        gh_secret_clear(&k->keys[i].secret);
        free(k->keys[i].secret_source);
    }
    free(k->keys);
    free(k->name);
    free(k->description);
}

void gh_config_free(struct gh_config *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->chain_count; i++)
        free_chain(&c->chains[i]);
    for (size_t i = 0; i < c->session_count; i++) {
        free(c->sessions[i].name);
        free(c->sessions[i].description);
        free(c->sessions[i].netns);
        free(c->sessions[i].vrf);
        free(c->sessions[i].ike_peer);
        free(c->sessions[i].ike_text);
    }
    for (size_t i = 0; i < c->shim_user_count; i++)
        free(c->shim_users[i]);
    gh_ike_config_free(c->ike);
    gh_keeper_order_clear(&c->keeper);
    gh_manual_clear(&c->manual);
    free(c->ike_text);
    free(c->chains);
    free(c->sessions);
    free(c->shim_users);
    free(c->user);
    free(c->path);
    free(c);
}
