#include "config/cmd_common.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/lifetime.h"

/* Are all its errors about secrets and certificates that this user, or this machine, cannot read?
 */
static bool only_secrets_missing(const struct gh_problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->list[i].severity == GH_PROBLEM_ERROR &&
            strcmp(p->list[i].rule, "secret-missing") != 0 &&
            strcmp(p->list[i].rule, "file-missing") != 0)
            return false;
    }
    return p->errors > 0;
}

struct gh_config *gh_cmd_load(const char *path, struct gh_problems *problems)
{
    static const struct gh_config_options skip = {.skip_secrets = true};
    struct gh_problems first = {0};
    struct gh_config *c = gh_config_load(path, NULL, &first);

    if (c == NULL && only_secrets_missing(&first)) {
        fprintf(stderr,
                "%s: not all secrets and certificates can be read here; none is looked at\n", path);
        c = gh_config_load(path, &skip, problems);
    } else {
        for (size_t i = 0; i < first.count; i++) {
            const struct gh_problem *p = &first.list[i];

            gh_problem_add(problems, p->severity, p->file, p->line, p->rule, p->remedy, "%s",
                           p->message);
        }
    }
    gh_problems_clear(&first);
    return c;
}

bool gh_cmd_time(const char *option, const char *text, int64_t base, int64_t *out)
{
    const char *why, *why_not_duration;
    int64_t seconds;

    if (strcmp(text, "now") == 0) {
        *out = gh_cmd_now();
        return true;
    }
    if (gh_duration_parse(text, &seconds, &why_not_duration)) {
        *out = base + seconds;
        return true;
    }
    if (gh_instant_parse(text, out, &why))
        return true;
    fprintf(stderr, "%s: %s\n", option, why);
    return false;
}

void gh_cmd_print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
}

int64_t gh_cmd_now(void)
{
    return gh_clock_now().wall;
}

bool gh_cmd_write_secret(const char *path, const char *text, size_t len, const char *if_exists)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool good;

    if (fd < 0) {
        fprintf(stderr, "%s: %s%s%s\n", path, strerror(errno), errno == EEXIST ? "; " : "",
                errno == EEXIST ? if_exists : "");
        return false;
    }
    good = fchmod(fd, 0600) == 0 && write(fd, text, len) == (ssize_t)len &&
           write(fd, "\n", 1) == 1 && fsync(fd) == 0;
    if (!good) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        unlink(path);
    }
    close(fd);
    return good;
}

int gh_cmd_options(int argc, char **argv, const struct option *options,
                   bool (*take)(void *request, int option), void *request, void (*usage)(FILE *),
                   const char **argument)
{
    int option;

    optind = 0; /* gatectl has used getopt before */
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            usage(stdout);
            return CMD_GOOD;
        }
        if (!take(request, option))
            return CMD_USAGE;
    }
    if (argc - optind != 1) {
        usage(stderr);
        return CMD_USAGE;
    }
    *argument = argv[optind];
    return -1;
}
