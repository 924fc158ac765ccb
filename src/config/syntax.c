#include "config/syntax.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/alloc.h"

enum { DEPTH_MAX = 8 };

enum token { TOKEN_END, TOKEN_TEXT, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_EQUALS, TOKEN_COMMA, TOKEN_BAD };

/* The lexer with one token of lookahead. */
struct lexer {
    const char *file;
    const char *p, *end;
    int line;
    struct gh_problems *problems;
    /* the current token */
    enum token token;
    int token_line;
    char *text; /* of TOKEN_TEXT; wiped before it is reused */
    size_t text_len, text_cap;
};

static void put(struct lexer *x, char c)
{
    if (x->text_len + 1 >= x->text_cap) {
        size_t cap = x->text_cap > 0 ? x->text_cap * 2 : 64;
        char *bigger = gh_config_alloc(cap, 1);

        if (x->text != NULL) {
            memcpy(bigger, x->text, x->text_len);
            gh_wipe(x->text, x->text_cap);
            free(x->text);
        }
        x->text = bigger;
        x->text_cap = cap;
    }
    x->text[x->text_len++] = c;
    x->text[x->text_len] = '\0';
}

static bool at(const struct lexer *x, const char *s)
{
    size_t n = strlen(s);

    return (size_t)(x->end - x->p) >= n && memcmp(x->p, s, n) == 0;
}

static void skip_line_comment(struct lexer *x)
{
    while (x->p < x->end && *x->p != '\n')
        x->p++;
}

static void skip_block_comment(struct lexer *x)
{
    int start = x->line;

    for (x->p += 2; x->p < x->end; x->p++) {
        if (at(x, "*/")) {
            x->p += 2;
            return;
        }
        if (*x->p == '\n')
            x->line++;
    }
    gh_problem_add(x->problems, GH_PROBLEM_ERROR, x->file, start, "syntax",
                   "write */ where it ends", "this comment has no end");
}

static void skip_space(struct lexer *x)
{
    while (x->p < x->end) {
        if (*x->p == '\n')
            x->line++;
        if (memchr(" \t\r\n\f\v;", *x->p, 7) != NULL)
            x->p++;
        else if (*x->p == '#' || at(x, "//"))
            skip_line_comment(x);
        else if (at(x, "/*"))
            skip_block_comment(x);
        else
            return;
    }
}

static bool is_word_char(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f && strchr("{}=,\"'#;", c) == NULL;
}

static enum token bad(struct lexer *x, const char *remedy, const char *what)
{
    gh_problem_add(x->problems, GH_PROBLEM_ERROR, x->file, x->line, "syntax", remedy, "%s", what);
    return TOKEN_BAD;
}

/* After the backslash of a double-quoted string. */
static bool put_escape(struct lexer *x)
{
    char c = *x->p;

    switch (c) {
    case '"':
    case '\\':
        put(x, c);
        return true;
    case 'n':
        put(x, '\n');
        return true;
    case 't':
        put(x, '\t');
        return true;
    default:
        return false;
    }
}

static enum token read_string(struct lexer *x)
{
    char quote = *x->p++;
    bool known = true;

    for (; x->p < x->end && *x->p != '\n'; x->p++) {
        if (*x->p == quote) {
            x->p++;
            return known ? TOKEN_TEXT
                         : bad(x, "write \\\\ for a backslash; \\\" \\n \\t are known too",
                               "an unknown escape in a string");
        }
        if (*x->p == '\0')
            return bad(x, "remove it", "a NUL character in a string");
        if (*x->p != '\\' || quote == '\'') {
            put(x, *x->p);
            continue;
        }
        if (++x->p == x->end || *x->p == '\n')
            break;
        known = put_escape(x) && known;
    }
    return bad(x, "close it with the quote it began with, on the same line",
               "this string has no end");
}

static enum token read_token(struct lexer *x)
{
    char c;

    skip_space(x);
    x->token_line = x->line;
    x->text_len = 0;
    if (x->text != NULL)
        gh_wipe(x->text, x->text_cap);
    if (x->p == x->end)
        return TOKEN_END;
    c = *x->p;
    if (c == '"' || c == '\'') {
        put(x, '\0');
        x->text_len = 0;
        return read_string(x);
    }
    if (is_word_char(c)) {
        while (x->p < x->end && is_word_char(*x->p))
            put(x, *x->p++);
        return TOKEN_TEXT;
    }
    x->p++;
    switch (c) {
    case '{':
        return TOKEN_OPEN;
    case '}':
        return TOKEN_CLOSE;
    case '=':
        return TOKEN_EQUALS;
    case ',':
        return TOKEN_COMMA;
    default:
        return bad(x, "remove it", "a control character");
    }
}

static void next(struct lexer *x)
{
    x->token = read_token(x);
}

/* Only what cannot be a secret is shown: the first characters of a word in a wrong place may be
 * one, so that texts after an equals sign are never passed here. */
static void unexpected(struct lexer *x, const char *expected, const char *after)
{
    static const char *const names[] = {
        "the end of the file", "", "\"{\"", "\"}\"", "\"=\"", "\",\""};

    if (x->token == TOKEN_BAD)
        return; /* reported already */
    gh_problem_add(x->problems, GH_PROBLEM_ERROR, x->file, x->token_line, "syntax", NULL,
                   "expected %s after %s, found %s", expected, after,
                   x->token == TOKEN_TEXT ? "more text" : names[x->token]);
}

/* To the first token of a later line or to a closing brace; blocks that open meanwhile go too. */
static void recover(struct lexer *x, int line)
{
    int depth = 0;

    while (x->token != TOKEN_END) {
        if (depth == 0 && (x->token == TOKEN_CLOSE || x->token_line > line))
            return;
        if (x->token == TOKEN_OPEN)
            depth++;
        else if (x->token == TOKEN_CLOSE && --depth == 0)
            line = x->token_line;
        next(x);
    }
}

static void add_value(struct gh_node *n, const char *text, int line)
{
    n->value_lines = gh_config_grow(n->value_lines, n->value_count, sizeof(*n->value_lines));
    n->value_lines[n->value_count] = line;
    n->values = gh_config_grow(n->values, n->value_count, sizeof(*n->values));
    n->values[n->value_count++] = gh_config_strdup(text);
}

/* After the opening brace of a list; a comma may follow the last value. */
static bool parse_list(struct lexer *x, struct gh_node *n)
{
    n->list = true;
    next(x);
    while (x->token == TOKEN_TEXT) {
        add_value(n, x->text, x->token_line);
        next(x);
        if (x->token == TOKEN_COMMA)
            next(x);
        else if (x->token != TOKEN_CLOSE)
            break;
    }
    if (x->token != TOKEN_CLOSE) {
        unexpected(x, "\",\" or \"}\"", "a value of the list");
        return false;
    }
    next(x);
    return true;
}

static bool parse_option(struct lexer *x, struct gh_node *n)
{
    next(x);
    if (x->token == TOKEN_OPEN)
        return parse_list(x, n);
    if (x->token != TOKEN_TEXT) {
        unexpected(x, "a value", "\"=\"");
        return false;
    }
    add_value(n, x->text, x->token_line);
    next(x);
    return true;
}

static void parse_block(struct lexer *x, struct gh_node *parent, int depth);

/* After the name: a title, or the brace itself. */
static bool parse_section(struct lexer *x, struct gh_node *n, int depth)
{
    n->section = true;
    if (x->token == TOKEN_TEXT && x->token_line == n->line) {
        n->title = gh_config_strdup(x->text);
        next(x);
    }
    if (x->token != TOKEN_OPEN) {
        if (x->token != TOKEN_BAD)
            gh_problem_add(x->problems, GH_PROBLEM_ERROR, x->file, n->line, "syntax",
                           "write NAME = VALUE or NAME { … }; a value with spaces needs quotes",
                           "this is neither an option nor a section");
        return false;
    }
    if (depth == DEPTH_MAX) {
        gh_problem_add(x->problems, GH_PROBLEM_ERROR, x->file, x->token_line, "syntax", NULL,
                       "sections are nested deeper than %d", DEPTH_MAX);
        return false;
    }
    next(x);
    parse_block(x, n, depth + 1);
    if (x->token == TOKEN_CLOSE) {
        next(x);
        return true;
    }
    gh_problem_add(x->problems, GH_PROBLEM_ERROR, x->file, n->line, "syntax", "close it with \"}\"",
                   "the section that begins here has no end");
    return true;
}

/* An option or a section. False: recover. */
static bool parse_statement(struct lexer *x, struct gh_node *parent, int depth)
{
    struct gh_node *n;
    bool good;

    if (x->token != TOKEN_TEXT) {
        unexpected(x, "an option or a section", "what came before");
        return false;
    }
    parent->children =
        gh_config_grow(parent->children, parent->child_count, sizeof(*parent->children));
    n = &parent->children[parent->child_count++];
    n->name = gh_config_strdup(x->text);
    n->line = x->token_line;
    next(x);
    good = x->token == TOKEN_EQUALS ? parse_option(x, n) : parse_section(x, n, depth);
    if (!good) { /* what is left of it means nothing */
        gh_syntax_free(n);
        parent->child_count--;
    }
    return good;
}

/* Statements up to a closing brace or the end. */
static void parse_block(struct lexer *x, struct gh_node *parent, int depth)
{
    while (x->token != TOKEN_END && x->token != TOKEN_CLOSE) {
        int line = x->token_line;

        if (!parse_statement(x, parent, depth))
            recover(x, x->token == TOKEN_TEXT ? line : x->token_line);
    }
}

void gh_syntax_parse(const char *file, const char *text, size_t len, struct gh_node *root,
                     struct gh_problems *problems)
{
    struct lexer x = {.file = file, .p = text, .end = text + len, .line = 1, .problems = problems};

    memset(root, 0, sizeof(*root));
    root->section = true;
    next(&x);
    parse_block(&x, root, 0);
    while (x.token == TOKEN_CLOSE) {
        gh_problem_add(problems, GH_PROBLEM_ERROR, file, x.token_line, "syntax", "remove it",
                       "this \"}\" closes nothing");
        next(&x);
        parse_block(&x, root, 0);
    }
    if (x.text != NULL)
        gh_wipe(x.text, x.text_cap);
    free(x.text);
}

static void wipe_text(char *s)
{
    if (s != NULL)
        gh_wipe(s, strlen(s));
    free(s);
}

void gh_syntax_free(struct gh_node *root)
{
    for (size_t i = 0; i < root->child_count; i++)
        gh_syntax_free(&root->children[i]);
    for (size_t i = 0; i < root->value_count; i++)
        wipe_text(root->values[i]);
    free(root->children);
    free(root->values);
    free(root->value_lines);
    free(root->name);
    free(root->title);
    memset(root, 0, sizeof(*root));
}
