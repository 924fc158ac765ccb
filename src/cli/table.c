#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void cli_table_init(struct cli_table *t, const char *const *titles, size_t columns)
{
    *t = (struct cli_table){.titles = titles, .columns = columns};
}

void cli_table_row(struct cli_table *t)
{
    if (t->count == t->capacity) {
        size_t capacity = t->capacity * 2 + 16;
        char ***more = realloc(t->rows, capacity * sizeof(*more));

        if (more == NULL) {
            t->failed = true;
            return;
        }
        t->rows = more;
        t->capacity = capacity;
    }
    t->rows[t->count] = calloc(t->columns, sizeof(char *));
    if (t->rows[t->count] == NULL)
        t->failed = true;
    else
        t->count++;
}

void cli_table_cell(struct cli_table *t, size_t column, const char *fmt, ...)
{
    char **cell;
    va_list ap;

    if (t->failed || t->count == 0)
        return;
    cell = &t->rows[t->count - 1][column];
    free(*cell);
    va_start(ap, fmt);
    if (vasprintf(cell, fmt, ap) < 0) {
        *cell = NULL;
        t->failed = true;
    }
    va_end(ap);
}

/* Characters, not octets: UTF-8 continuation octets take no column. */
static size_t text_width(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void cli_put(const char *text, FILE *out)
{
    for (; *text != '\0'; text++)
        fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
}

static const char *title(const struct cli_table *t, size_t column)
{
    return t->titles[column] + (t->titles[column][0] == '>');
}

static void print_cell(const struct cli_table *t, size_t column, size_t width, bool last,
                       const char *text, FILE *out)
{
    size_t used = text_width(text);
    int pad = width > used ? (int)(width - used) : 0;

    if (t->titles[column][0] == '>')
        fprintf(out, "%*s", pad, "");
    cli_put(text, out);
    if (t->titles[column][0] != '>' && !last)
        fprintf(out, "%*s", pad, "");
}

/* cells NULL: the titles. Trailing empty cells leave no spaces behind. */
static void print_row(const struct cli_table *t, const size_t *widths, char *const *cells,
                      int indent, FILE *out)
{
    size_t last = t->columns;
    bool first = true;

    while (last > 0 && (widths[last - 1] == 0 || (cells != NULL && cells[last - 1] == NULL)))
        last--;
    fprintf(out, "%*s", indent, "");
    for (size_t c = 0; c < last; c++) {
        const char *text = cells == NULL ? title(t, c) : cells[c];

        if (widths[c] == 0)
            continue;
        if (!first)
            fputs("  ", out);
        first = false;
        print_cell(t, c, widths[c], c + 1 == last, text != NULL ? text : "", out);
    }
    fputc('\n', out);
}

void cli_table_print(struct cli_table *t, int indent, FILE *out)
{
    size_t widths[CLI_COLUMNS_MAX] = {0};

    for (size_t r = 0; r < t->count; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            size_t w = t->rows[r][c] != NULL ? text_width(t->rows[r][c]) : 0;

            widths[c] = w > widths[c] ? w : widths[c];
        }
    }
    for (size_t c = 0; c < t->columns; c++) {
        if (widths[c] > 0 && widths[c] < text_width(title(t, c)))
            widths[c] = text_width(title(t, c));
    }
    if (t->failed)
        fputs("out of memory: the table is not complete\n", out);
    if (t->count > 0)
        print_row(t, widths, NULL, indent, out);
    for (size_t r = 0; r < t->count; r++) {
        print_row(t, widths, t->rows[r], indent, out);
        for (size_t c = 0; c < t->columns; c++)
            free(t->rows[r][c]);
        free(t->rows[r]);
    }
    free(t->rows);
    *t = (struct cli_table){.titles = t->titles, .columns = t->columns};
}

void cli_wrap(const char *first, int indent, const char *text, int width, FILE *out)
{
    size_t column = text_width(first);
    bool begin = true;

    fputs(first, out);
    while (*text != '\0') {
        size_t octets = strcspn(text, " ");
        char *word = strndup(text, octets);
        size_t w = word != NULL ? text_width(word) : 0;

        if (!begin && width > 0 && column + 1 + w > (size_t)width) {
            fprintf(out, "\n%*s", indent, "");
            column = (size_t)indent;
            begin = true;
        }
        if (!begin)
            fputc(' ', out);
        column += w + !begin;
        begin = false;
        if (word != NULL)
            cli_put(word, out);
        free(word);
        text += octets;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}
