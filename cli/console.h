/* SPDX-License-Identifier: MIT */
/*
 * The live end of a machine's serial lines: the source of a run's inputs, and where its output
 * goes.
 *
 *     struct console *c;
 *     int status = console_open(&c, &options, m);       // 0, or an exit status, error printed
 *     machine_set_source(m, console_source(c));
 *     ... machine_run(m, UINT64_MAX); an observer calls console_write(c, port, data, len) ...
 *     failed = console_failed(c);
 *     console_close(c);                                  // before anything else is printed
 *
 * One console a process: it owns the terminal's mode and the signal handlers while it is open.
 * Used by the machine's thread alone.
 */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console;
struct input_source;
struct machine;
struct run_options;

/*
 * Opens what the options name, puts a terminal on standard input in raw mode and takes SIGINT,
 * SIGTERM and SIGHUP, which become INPUT_STOP. `m` is the machine that it will be the source of.
 * 0, or an exit status after the error was printed; *out is NULL then.
 */
int console_open(struct console **out, const struct run_options *o, struct machine *m);

/* Belongs to the console. */
const struct input_source *console_source(struct console *c);

/* What the guest sent on serial line `port`. Kept in a buffer until the guest idles, a slice of the
 * run has passed, or (on a terminal) a line is whole; waits for a reader that is slow. */
void console_write(struct console *c, unsigned port, const uint8_t *data, size_t len);

/* What the guest wrote to its debug console. */
void console_debug_write(struct console *c, uint8_t byte);

/*
 * Somebody else who wants to look at the host now and then, from inside of a run: a debugger. `visit`
 * returning true stops the machine (STOP_SOURCE); `pollfds` says what ends a wait of the guest early, as
 * many as it may, and returns how many. Neither may run the machine.
 */
struct pollfd;
struct console_visitor {
    bool (*visit)(void *opaque);
    size_t (*pollfds)(void *opaque, struct pollfd *out, size_t capacity);
    void *opaque;
};
void console_set_visitor(struct console *c, const struct console_visitor *visitor);

/* Looks at the terminal and the signals while the machine stands: true when the user wants the run to end. */
bool console_stop_asked(struct console *c);

/* Output was lost because a file or pipe did not take it; it was said on standard error. */
bool console_failed(const struct console *c);

/* Writes what is left, restores the terminal and the signals. NULL is fine. */
void console_close(struct console *c);

#endif
