/* SPDX-License-Identifier: MIT */
/*
 * What commands that put a question to a recording share: their common options, and places given by symbol.
 *
 *     case: query_option(&q, argc, argv, &i)             // --between, --jobs, --vmlinux, ...
 *     place_parse("do_idle+4,8", &place)                 // by number or by symbol
 *     place.address += symbol's
 */
#ifndef CLI_QUERY_H
#define CLI_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/debug.h>

enum { QUERY_JOBS = 1, QUERY_MODULES = 2 };

struct query_options {
    const char *command;          /* for messages */
    unsigned takes;               /* which of those that not all commands have */
    const char *vmlinux, *modules; /* NULL: not given */
    struct moment from, to;       /* --between A..B: at or after `from`, before `to` */
    uint64_t jobs;                /* 0: all CPUs */
    bool json, no_sandbox;
};

#define QUERY_USAGE \
    "  --between A..B        only from instruction A to B; also A,B where neither has commas\n" \
    "  --vmlinux FILE        the guest kernel with its symbols\n" \
    "  --modules DIR         the guest's kernel modules (.ko)\n" \
    "  --jobs N              how many processes at most [one for each CPU]\n" \
    "  --json                JSON lines\n" \
    "  -sandbox on|off       system call filter around the running guest [on]\n"

void query_options_init(struct query_options *q, const char *command, unsigned takes);
/* Takes argv[*i] and its value if it is one of the options above, moving *i to the last taken. 1: taken; 0: it is
 * another option; -1: an error, said on standard error. */
int query_option(struct query_options *q, int argc, char **argv, int *i);

#define PLACE_SYMBOL_MAX 256u

/* A place in memory: a number, or a symbol and how far behind it. */
struct place {
    char symbol[PLACE_SYMBOL_MAX]; /* empty: none */
    uint64_t address;              /* or, with a symbol, what is to be added to its address */
    uint64_t length;               /* bytes; 0: not given */
    bool physical;
};
/* "0x1000", "0x1000,8", "phys:0x1000", "jiffies_64", "do_idle+0x12/0x200", "ffffffff81000000" (as kernels print
 * addresses). False: it is none. */
bool place_parse(const char *text, struct place *place);

#endif
