/* SPDX-License-Identifier: MIT */
/*
 * What a condition depends on where the machine stands: the bytes of RAM that it reads, and the table entries by
 * which their virtual addresses are translated. As long as none of them is stored to, control state
 * (emu/inspect.h) stays as it is, and nothing more is printed, a condition on memory, control state and output
 * holds or does not as it does now.
 */
#ifndef CLI_REACH_H
#define CLI_REACH_H

#include <stdbool.h>
#include <stddef.h>

#include <emu/debug.h>

#define REACH_MAX 64u

struct condition;
struct machine;

struct reach {
    struct debug_point points[REACH_MAX]; /* DEBUG_WRITE_PHYSICAL, by address, none twice */
    size_t n;
    bool beyond; /* it reads what is no RAM, or more than there is room for: it may change at any moment */
};

/* Whether the condition holds; *reach: what that depends on. */
bool reach_look(struct reach *reach, struct condition *c, const struct machine *m);
bool reach_is_same(const struct reach *a, const struct reach *b);

#endif
