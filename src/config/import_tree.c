#include "config/import_tree.h"

#include <string.h>

#include "config/import_words.h"

enum { WORDS = 96, DEPTH = 32 };

struct tree {
    struct gh_import *im;
    struct gh_words lexer;
    bool newline_ends;
    gh_import_leaf *leaf;
    void *ctx;
    char *words[WORDS]; /* the path of the open braces, then the statement being read */
    size_t count, base; /* all words; those of the path */
    size_t frames[DEPTH], depth;
    char *edit[WORDS]; /* of "[edit a b]": before every `set` */
    size_t edit_count;
    bool flat; /* in a `set` or a command: ends with its line */
    int line;  /* of the statement */
};

static void add(struct tree *t, char *word)
{
    if (t->count == t->base)
        t->line = t->lexer.line;
    if (t->count < WORDS)
        t->words[t->count++] = word;
}

static void drop_statement(struct tree *t)
{
    t->count = t->base;
    t->flat = false;
}

static void finish(struct tree *t)
{
    if (t->count > t->base)
        t->leaf(t->im, t->words, t->count, t->line, t->ctx);
    drop_statement(t);
}

static void close_brace(struct tree *t)
{
    finish(t);
    if (t->depth > 0)
        t->base = t->count = t->frames[--t->depth];
}

static void open_brace(struct tree *t)
{
    if (t->count == t->base) {
        gh_import_warn(t->im, t->lexer.line, "brace", "look at the braces of the text",
                       "an opening brace with nothing before it; taken as a closing one");
        close_brace(t);
        return;
    }
    if (t->depth == DEPTH) {
        gh_import_error(t->im, t->lexer.line, "brace", "look at the braces of the text",
                        "braces within braces, %d deep", (int)DEPTH);
        drop_statement(t);
        return;
    }
    t->frames[t->depth++] = t->base;
    t->base = t->count;
}

/* A terminal's log begins a new tree at each prompt. */
static void start_over(struct tree *t)
{
    t->count = t->base = t->depth = 0;
    t->flat = true;
}

static bool is_prompt(const char *word)
{
    size_t n = strlen(word);

    return n > 2 && (word[n - 1] == '#' || word[n - 1] == '>') && strpbrk(word, "@:") != NULL;
}

/* "[edit", then words up to one with the closing bracket. */
static void read_edit(struct tree *t)
{
    char *first = t->lexer.text;

    start_over(t);
    t->edit_count = 0;
    if (strchr(first, ']') != NULL)
        return;
    while (gh_words_next(&t->lexer) == GH_WORD_TEXT) {
        char *end = strchr(t->lexer.text, ']');

        if (end != NULL)
            *end = '\0';
        if (t->lexer.text[0] != '\0' && t->edit_count < WORDS / 2)
            t->edit[t->edit_count++] = t->lexer.text;
        if (end != NULL)
            return;
    }
}

static void start_set(struct tree *t)
{
    finish(t);
    start_over(t);
    for (size_t i = 0; i < t->edit_count; i++)
        add(t, t->edit[i]);
    t->base = 0;
    t->line = t->lexer.line;
}

static void text_word(struct tree *t)
{
    char *word = t->lexer.text;

    if (t->lexer.quoted) {
        add(t, word);
    } else if (strncmp(word, "[edit", 5) == 0) {
        finish(t);
        read_edit(t);
    } else if (is_prompt(word)) {
        finish(t);
        start_over(t);
    } else if (strcmp(word, "set") == 0 && (t->flat || t->count == t->base)) {
        start_set(t);
    } else if (strcmp(word, "/configure") == 0 && t->count == t->base) {
        start_over(t);
    } else if (strcmp(word, "[") != 0 && strcmp(word, "]") != 0) {
        add(t, word);
    }
}

void gh_import_tree(struct gh_import *im, char *text, bool newline_ends, gh_import_leaf *leaf,
                    void *ctx)
{
    struct tree t = {.im = im, .newline_ends = newline_ends, .leaf = leaf, .ctx = ctx};

    gh_words_start(&t.lexer, text);
    t.lexer.hash_inside = true;
    while (gh_words_next(&t.lexer) != GH_WORD_END) {
        switch (t.lexer.kind) {
        case GH_WORD_TEXT:
            text_word(&t);
            break;
        case GH_WORD_OPEN:
            open_brace(&t);
            break;
        case GH_WORD_CLOSE:
            close_brace(&t);
            break;
        case GH_WORD_NEWLINE:
            if (t.newline_ends || t.flat)
                finish(&t);
            break;
        default:
            finish(&t);
        }
    }
    finish(&t);
}
