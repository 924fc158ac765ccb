#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/problems.h"

void gh_problem_add(struct gh_problems *p, enum gh_severity severity, const char *file, int line,
                    const char *rule, const char *remedy, const char *fmt, ...)
{
    struct gh_problem *new;
    va_list ap;

    p->list = gh_config_grow(p->list, p->count, sizeof(*p->list));
    new = &p->list[p->count++];
    new->severity = severity;
    new->file = gh_config_strdup(file);
    new->line = line;
    new->rule = gh_config_strdup(rule);
    new->remedy = gh_config_strdup(remedy);
    va_start(ap, fmt);
    if (vasprintf(&new->message, fmt, ap) < 0)
        new->message = gh_config_strdup(fmt);
    va_end(ap);
    if (severity == GH_PROBLEM_ERROR)
        p->errors++;
}

/* Insertion sort: stable, and the list is short. */
void gh_problems_sort(struct gh_problems *p, size_t from)
{
    for (size_t i = from + 1; i < p->count; i++) {
        struct gh_problem moving = p->list[i];
        size_t at = i;

        while (at > from && p->list[at - 1].line > moving.line) {
            p->list[at] = p->list[at - 1];
            at--;
        }
        p->list[at] = moving;
    }
}

void gh_problems_print(const struct gh_problems *p, FILE *out)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct gh_problem *q = &p->list[i];
        const char *kind = q->severity == GH_PROBLEM_ERROR ? "error" : "warning";

        if (q->line > 0)
            fprintf(out, "%s:%d: %s: %s", q->file, q->line, kind, q->message);
        else
            fprintf(out, "%s: %s: %s", q->file, kind, q->message);
        if (q->remedy != NULL)
            fprintf(out, "; %s", q->remedy);
        fprintf(out, " [%s]\n", q->rule);
    }
}

void gh_problems_clear(struct gh_problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->list[i].file);
        free(p->list[i].rule);
        free(p->list[i].message);
        free(p->list[i].remedy);
    }
    free(p->list);
    memset(p, 0, sizeof(*p));
}
