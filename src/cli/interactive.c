#include "cli/interactive.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <histedit.h>

#include "cli/complete.h"

enum { HISTORY_MAX = 500 };

static const char *prompt(EditLine *el)
{
    return "gatectl> ";
}

static int run_line(const struct cli *cli, char *line)
{
    char *argv[CLI_WORDS_MAX];
    int argc = cli_split(line, argv, CLI_WORDS_MAX);

    if (argc < 0) {
        fprintf(cli->err, "gatectl: a quote is not closed, or there are too many words\n");
        return CLI_USAGE;
    }
    return argc == 0 ? CLI_OK : cli_run(cli, argc, argv);
}

int cli_batch(const struct cli *cli, FILE *in)
{
    char *line = NULL;
    size_t capacity = 0;
    int first = CLI_OK;

    while (getline(&line, &capacity, in) >= 0) {
        int status = run_line(cli, line);

        if (status == CLI_LEAVE)
            break;
        if (first == CLI_OK)
            first = status;
    }
    free(line);
    return first;
}

/* ---- Completion ----------------------------------------------------------------------------- */

struct candidates {
    char common[256]; /* what all begin with */
    size_t count;
    FILE *list;
};

static void add_candidate(void *ctx, const char *word)
{
    struct candidates *c = ctx;
    size_t n = 0;

    if (c->count++ == 0) {
        snprintf(c->common, sizeof(c->common), "%s", word);
    } else {
        while (c->common[n] != '\0' && c->common[n] == word[n])
            n++;
        c->common[n] = '\0';
    }
    fprintf(c->list, "  %s\n", word);
}

static unsigned char complete(EditLine *el, int ch)
{
    struct cli *cli;
    const LineInfo *info = el_line(el);
    char *line = strndup(info->buffer, (size_t)(info->cursor - info->buffer));
    char *argv[CLI_WORDS_MAX + 1], empty[] = "", *text = NULL;
    struct candidates found = {.count = 0};
    size_t len = 0, typed;
    unsigned char result = CC_ERROR;
    int argc;

    el_get(el, EL_CLIENTDATA, &cli);
    found.list = open_memstream(&text, &len);
    if (line == NULL || found.list == NULL)
        goto out;
    typed = strlen(line);
    argc = cli_split(line, argv, CLI_WORDS_MAX);
    if (argc < 0)
        goto out;
    if (argc == 0 || info->cursor == info->buffer || info->cursor[-1] == ' ')
        argv[argc++] = empty;
    typed = strlen(argv[argc - 1]);
    if (cli_candidates(cli, argc, argv, add_candidate, &found) == CLI_ARG_FILE) {
        result = _el_fn_complete(el, ch);
        goto out;
    }
    fflush(found.list);
    if (found.count > 0 && strlen(found.common) > typed) {
        el_insertstr(el, found.common + typed);
        result = CC_REFRESH;
    }
    if (found.count == 1) {
        el_insertstr(el, " ");
        result = CC_REFRESH;
    } else if (found.count > 1 && result == CC_ERROR) {
        fprintf(cli->out, "\n%s", text);
        fflush(cli->out);
        result = CC_REDISPLAY;
    }
out:
    if (found.list != NULL)
        fclose(found.list);
    free(text);
    free(line);
    return result;
}

/* ---- The loop ------------------------------------------------------------------------------- */

static void interrupted(int sig)
{
}

/* Ctrl-C ends a command that waits, such as `monitor`, not gatectl. */
static int run_interruptibly(const struct cli *cli, char *line)
{
    struct sigaction act = {.sa_handler = interrupted}, old;
    int status;

    sigaction(SIGINT, &act, &old);
    status = run_line(cli, line);
    fflush(cli->out);
    sigaction(SIGINT, &old, NULL);
    return status;
}

static void loop(const struct cli *cli, EditLine *el, History *h)
{
    const char *read;
    HistEvent event;
    int count, status = CLI_OK;

    while (status != CLI_LEAVE && (read = el_gets(el, &count)) != NULL && count > 0) {
        char *line = strdup(read);

        if (line == NULL)
            return;
        if (line[strspn(line, " \t\n")] != '\0')
            history(h, &event, H_ENTER, read);
        status = run_interruptibly(cli, line);
        free(line);
    }
    if (status != CLI_LEAVE)
        fputc('\n', cli->out);
}

/* $HOME/.gatectl_history, to be freed; NULL: none. */
static char *history_path(void)
{
    const char *home = getenv("HOME");
    char *path;

    if (home == NULL || asprintf(&path, "%s/.gatectl_history", home) < 0)
        return NULL;
    return path;
}

int cli_interactive(const struct cli *cli)
{
    struct cli own = *cli;
    EditLine *el = el_init("gatectl", stdin, stdout, stderr);
    History *h = history_init();
    char *path = history_path();
    HistEvent event;

    if (el == NULL || h == NULL) {
        fprintf(cli->err, "gatectl: this terminal cannot be used\n");
        return CLI_USAGE;
    }
    history(h, &event, H_SETSIZE, HISTORY_MAX);
    history(h, &event, H_SETUNIQUE, 1);
    if (path != NULL)
        history(h, &event, H_LOAD, path);
    el_set(el, EL_PROMPT, prompt);
    el_set(el, EL_EDITOR, "emacs");
    el_set(el, EL_SIGNAL, 1);
    el_set(el, EL_HIST, history, h);
    el_set(el, EL_CLIENTDATA, &own);
    el_set(el, EL_ADDFN, "gatectl-complete", "Complete the word", complete);
    el_set(el, EL_BIND, "^I", "gatectl-complete", NULL);
    el_set(el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    loop(&own, el, h);
    if (path != NULL)
        history(h, &event, H_SAVE, path);
    free(path);
    history_end(h);
    el_end(el);
    return CLI_OK;
}
