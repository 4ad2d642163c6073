/* SPDX-License-Identifier: MIT */
/* What a hunt says to the one who waits for it: a line of progress, and a table at the end. */
#ifndef CLI_HUNT_TABLE_H
#define CLI_HUNT_TABLE_H

#include <stdint.h>
#include <stdio.h>

struct hunt;

/* On a terminal, on standard error; nothing elsewhere. */
void table_show_progress(const struct hunt *h, uint64_t ns);
void table_end_progress(void);

/* Sites by how often they were met, how the other runs ended, and how to see one again. */
void table_print(const struct hunt *h, FILE *out);
/* For --stats. */
void table_print_time(const struct hunt *h, FILE *out);

/* A word for a POSIX shell, quoted where that is needed. */
void shell_word(const char *word, FILE *out);

#endif
