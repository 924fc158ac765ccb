/* Which command is meant: words, abbreviations, completion. */
#include "cli/command.h"

#include <string.h>

/* The n-th word of a command. *len 0: it has fewer words. */
static const char *nth_word(const struct cli_command *c, int n, size_t *len)
{
    const char *w = c->words;

    for (; n > 0; n--) {
        w += strcspn(w, " ");
        w += strspn(w, " ");
    }
    *len = strcspn(w, " ");
    return w;
}

enum fit { FIT_NONE, FIT_PREFIX, FIT_EXACT };

static enum fit fits(const struct cli_command *c, int n, const char *word)
{
    size_t len, given = strlen(word);
    const char *w = nth_word(c, n, &len);

    if (given == 0 || given > len || strncmp(w, word, given) != 0)
        return FIT_NONE;
    return given == len ? FIT_EXACT : FIT_PREFIX;
}

/* The commands still meant after some words, and after how many. */
struct choice {
    bool in[CLI_COMMANDS_MAX];
    int depth;
};

/* Keeps the commands whose next word fits best. False (and nothing kept back): none fits. */
static bool narrow(struct choice *choice, const char *word)
{
    enum fit best = FIT_NONE;

    for (size_t i = 0; i < cli_command_count; i++) {
        enum fit f = choice->in[i] ? fits(&cli_commands[i], choice->depth, word) : FIT_NONE;

        best = f > best ? f : best;
    }
    if (best == FIT_NONE)
        return false;
    for (size_t i = 0; i < cli_command_count; i++)
        choice->in[i] = choice->in[i] && fits(&cli_commands[i], choice->depth, word) == best;
    choice->depth++;
    return true;
}

static struct choice choose(int argc, char *const *argv)
{
    struct choice choice = {.depth = 0};

    for (size_t i = 0; i < cli_command_count; i++)
        choice.in[i] = true;
    while (choice.depth < argc && narrow(&choice, argv[choice.depth]))
        ;
    return choice;
}

/* How many commands end here; *found is the last of them. */
static int ending(const struct choice *choice, const struct cli_command **found)
{
    int count = 0;

    *found = NULL;
    for (size_t i = 0; i < cli_command_count; i++) {
        size_t len;

        nth_word(&cli_commands[i], choice->depth, &len);
        if (choice->in[i] && len == 0) {
            *found = &cli_commands[i];
            count++;
        }
    }
    return count;
}

/* Calls fn for each different n-th word of the commands still meant (equal words are neighbours in
 * the table). */
static void list_words(const struct choice *choice, int n, const char *prefix, cli_candidate_fn fn,
                       void *ctx)
{
    char last[64] = "", word[64];

    for (size_t i = 0; i < cli_command_count; i++) {
        size_t len;
        const char *w = nth_word(&cli_commands[i], n, &len);

        snprintf(word, sizeof(word), "%.*s", (int)len, w);
        if (!choice->in[i] || len == 0 || strncmp(word, prefix, strlen(prefix)) != 0 ||
            strcmp(word, last) == 0)
            continue;
        fn(ctx, word);
        strcpy(last, word);
    }
}

static void print_word(void *ctx, const char *word)
{
    fprintf(ctx, " %s", word);
}

const struct cli_command *cli_find(int argc, char *const *argv, int *used, FILE *err)
{
    struct choice choice = choose(argc, argv);
    const struct cli_command *found;
    int count = ending(&choice, &found);

    *used = choice.depth;
    if (count == 1)
        return found;
    if (count > 1) {
        fprintf(err, "gatectl: which one is meant?");
        list_words(&choice, choice.depth - 1, "", print_word, err);
    } else {
        if (choice.depth < argc && strcmp(argv[choice.depth], "?") != 0)
            fprintf(err, "gatectl: there is no command \"%s\" here; one of:", argv[choice.depth]);
        else
            fprintf(err, "gatectl: go on with one of:");
        list_words(&choice, choice.depth, "", print_word, err);
    }
    fputc('\n', err);
    return NULL;
}

enum cli_arg cli_complete(int argc, char *const *argv, const char *prefix, cli_candidate_fn fn,
                          void *ctx)
{
    struct choice choice = choose(argc, argv);
    const struct cli_command *c;
    int given = argc - choice.depth;

    if (ending(&choice, &c) != 1) {
        if (given == 0)
            list_words(&choice, argc, prefix, fn, ctx);
        return CLI_ARG_NONE;
    }
    if (c->arg == CLI_ARG_COMMAND)
        return cli_complete(given, argv + choice.depth, prefix, fn, ctx);
    if (strstr(c->args, "detail") != NULL && given <= 1 &&
        strncmp("detail", prefix, strlen(prefix)) == 0)
        fn(ctx, "detail");
    return given == 0 || c->arg == CLI_ARG_FILE ? c->arg : CLI_ARG_NONE;
}

/* ---- Splitting a line ----------------------------------------------------------------------- */

/* Takes one word from *from, unquoted in place. False: an open quote. */
static bool take_word(char **from, char **word)
{
    char *in = *from, *out = *from, quote = '\0';

    *word = out;
    for (; *in != '\0' && (quote != '\0' || strchr(" \t\r\n", *in) == NULL); in++) {
        if (quote != '\0' && *in == quote)
            quote = '\0';
        else if (quote == '\0' && (*in == '"' || *in == '\''))
            quote = *in;
        else if (*in == '\\' && quote != '\'' && in[1] != '\0')
            *out++ = *++in;
        else
            *out++ = *in;
    }
    *from = *in == '\0' ? in : in + 1;
    *out = '\0';
    return quote == '\0';
}

int cli_split(char *line, char **argv, int max)
{
    int argc = 0;

    for (;;) {
        line += strspn(line, " \t\r\n");
        if (*line == '\0' || *line == '#')
            return argc;
        if (argc == max || !take_word(&line, &argv[argc]))
            return -1;
        argc++;
    }
}
