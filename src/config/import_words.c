#include "config/import_words.h"

#include <stdio.h>
#include <string.h>

void gh_words_start(struct gh_words *w, char *text)
{
    memset(w, 0, sizeof(*w));
    w->p = text;
    w->held = *text;
    w->line = w->next_line = 1;
}

static void step(struct gh_words *w)
{
    if (w->held == '\n')
        w->next_line++;
    w->held = *++w->p;
}

static void skip_comment(struct gh_words *w)
{
    while (w->held != '\0' && w->held != '\n')
        step(w);
}

static bool block_comment(struct gh_words *w)
{
    if (w->held != '/' || w->p[1] != '*')
        return false;
    step(w);
    step(w);
    while (w->held != '\0' && !(w->held == '*' && w->p[1] == '/'))
        step(w);
    for (int i = 0; i < 2 && w->held != '\0'; i++)
        step(w);
    return true;
}

static void skip_blank(struct gh_words *w)
{
    for (;;) {
        if (w->held == ' ' || w->held == '\t' || w->held == '\r')
            step(w);
        else if (w->held == '#')
            skip_comment(w);
        else if (!block_comment(w))
            return;
    }
}

/* Up to the closing quote, or the end of the line. */
static void quoted(struct gh_words *w)
{
    char *to;

    step(w);
    w->text = to = w->p;
    while (w->held != '\0' && w->held != '"' && w->held != '\n') {
        if (w->held == '\\' && (w->p[1] == '"' || w->p[1] == '\\'))
            step(w);
        *to++ = w->held;
        step(w);
    }
    if (w->held == '"')
        step(w);
    *to = '\0';
}

static void bare(struct gh_words *w)
{
    const char *ends = w->hash_inside ? " \t\r\n{};\"" : " \t\r\n{};\"#";

    w->text = w->p;
    while (w->held != '\0' && strchr(ends, w->held) == NULL)
        step(w);
    *w->p = '\0'; /* what stood here is in `held` */
}

enum gh_word gh_words_next(struct gh_words *w)
{
    skip_blank(w);
    w->line = w->next_line;
    w->quoted = false;
    switch (w->held) {
    case '\0':
        w->kind = GH_WORD_END;
        return w->kind;
    case '{':
        w->kind = GH_WORD_OPEN;
        break;
    case '}':
        w->kind = GH_WORD_CLOSE;
        break;
    case ';':
        w->kind = GH_WORD_SEMICOLON;
        break;
    case '\n':
        w->kind = GH_WORD_NEWLINE;
        break;
    default:
        w->kind = GH_WORD_TEXT;
        w->quoted = w->held == '"';
        if (w->quoted)
            quoted(w);
        else
            bare(w);
        return w->kind;
    }
    step(w);
    return w->kind;
}

size_t gh_words_split(char *line, char **words, size_t max)
{
    char *rest = line, *word;
    size_t n = 0;

    while ((word = strsep(&rest, " \t\r")) != NULL) {
        if (*word != '\0' && n < max)
            words[n++] = word;
    }
    return n;
}

const char *gh_words_join(char *const *words, size_t count, char *buf, size_t size)
{
    size_t used = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s%s", i > 0 ? " " : "", words[i]);
    return buf;
}
