/*
 * Words of a configuration with braces (Junos, SR OS, BIRD), cut in place: nothing is copied, so
 * that secrets stay in the one buffer that its owner wipes.
 */
#ifndef GH_CONFIG_IMPORT_WORDS_H
#define GH_CONFIG_IMPORT_WORDS_H

#include <stdbool.h>
#include <stddef.h>

enum gh_word {
    GH_WORD_END,
    GH_WORD_TEXT,
    GH_WORD_OPEN,      /* { */
    GH_WORD_CLOSE,     /* } */
    GH_WORD_SEMICOLON, /* ; */
    GH_WORD_NEWLINE
};

struct gh_words {
    char *p;
    char held; /* the octet at p, where a word's end was written over it */
    int line;  /* of the current word */
    int next_line;
    bool hash_inside; /* a # within a word is part of it; else it starts a comment */
    enum gh_word kind;
    char *text;
    bool quoted;
};

void gh_words_start(struct gh_words *w, char *text);
enum gh_word gh_words_next(struct gh_words *w);

/* Splits a line at blanks. Returns how many words; those beyond max are dropped. */
size_t gh_words_split(char *line, char **words, size_t max);
/* The words from one on, with blanks between, cut off where the buffer ends. */
const char *gh_words_join(char *const *words, size_t count, char *buf, size_t size);

#endif
