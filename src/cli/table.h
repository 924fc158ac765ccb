/*
 * The one table renderer of gatectl: rows of cells, columns as wide as their widest cell. Control
 * characters are printed as '?', so that no text can move the operator's cursor.
 */
#ifndef GH_CLI_TABLE_H
#define GH_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { CLI_COLUMNS_MAX = 16 };

struct cli_table {
    const char *const *titles; /* one a column; a '>' in front: aligned right */
    size_t columns;
    char ***rows;
    size_t count, capacity;
    bool failed; /* out of memory */
};

/* At most CLI_COLUMNS_MAX. */
void cli_table_init(struct cli_table *t, const char *const *titles, size_t columns);
/* Begins a row of empty cells. */
void cli_table_row(struct cli_table *t);
/* Sets a cell of the last row. */
void cli_table_cell(struct cli_table *t, size_t column, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints with this indentation and frees. Columns without any text are left out. */
void cli_table_print(struct cli_table *t, int indent, FILE *out);

/* Text in lines of at most `width` columns (0: one line), each after `indent` spaces, the first
 * after `first` instead. */
void cli_wrap(const char *first, int indent, const char *text, int width, FILE *out);
/* Text with control characters made harmless. */
void cli_put(const char *text, FILE *out);

#endif
