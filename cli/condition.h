/* SPDX-License-Identifier: MIT */
/*
 * A condition (replay/expr.h) asked along a timeline: what seen() asks for is looked up in what the timeline
 * knows of the output.
 *
 *     struct condition *c = condition_create("u32[jiffies] > 5", symbols, t, err, sizeof(err));
 *     timeline_seek(t, ...);
 *     if (condition_holds(c)) ...
 */
#ifndef CLI_CONDITION_H
#define CLI_CONDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <replay/expr.h>

struct condition;
struct guest_symbols;
struct timeline;

/* `symbols` NULL: there are none. NULL with one line in `err`. */
struct condition *condition_create(const char *text, const struct guest_symbols *symbols,
                                   const struct timeline *t, char *err, size_t errlen);
void condition_destroy(struct condition *c); /* NULL is fine */

const struct expr *condition_expr(const struct condition *c);

/* Where the timeline's machine stands. */
bool condition_holds(struct condition *c);
/* The same, telling each read of memory as expr_view.read does. */
bool condition_holds_telling(struct condition *c,
                             void (*read)(void *opaque, bool physical, uint64_t address, unsigned bytes),
                             void *opaque);

/*
 * The next icount after `icount` from which on something that is asked for has been seen, as far as the
 * output is known: the condition's seen() do not change before it. UINT64_MAX: there is none.
 */
uint64_t condition_next_seen(struct condition *c, uint64_t icount);

#endif
