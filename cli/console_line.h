/* SPDX-License-Identifier: MIT */
/*
 * The host's end of one serial line: descriptors, and the bytes on their way.
 *
 * Output is buffered and waits for a reader that is slow; bytes are given up only when nobody is at
 * the other end (a pty or server socket without a client), after an error that was said, or when
 * the user stops the run while waiting. Input is read when none is left, so that what the guest
 * does not take stays with the sender.
 */
#ifndef CLI_CONSOLE_LINE_H
#define CLI_CONSOLE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

struct line {
    const struct serial_spec *spec; /* NULL: leads nowhere */
    int in;                         /* -1: nothing can come now */
    int out;                        /* -1: what is sent is lost */
    int listening;                  /* a server's socket, or -1 */
    bool own;                       /* in and out are one descriptor of our own, non-blocking */
    bool terminal_in;               /* keys come from a terminal: escapes are looked for */
    bool terminal_out;
    bool hung;  /* a pty that nobody has opened */
    bool ended; /* the other end is gone: INPUT_SERIAL_EOF is due, after the bytes */
    bool end_told;
    bool lost; /* output was lost to an error */
    uint8_t input[512];
    size_t in_pos, in_len;
    uint8_t output[4096];
    size_t out_len;
};

/* Opens what `spec` names; `option` names it in messages. 0, or an exit status, error printed. */
int line_open(struct line *l, const struct serial_spec *spec, const char *option);
void line_close(struct line *l);

void line_write(struct line *l, const uint8_t *data, size_t len);
void line_flush(struct line *l);

/* The descriptor to wait for, -1: none. A hung pty has none, and is to be looked at now and then.
 */
int line_wait_fd(const struct line *l);
/* Reads what there is, or accepts a client, without waiting. */
void line_look(struct line *l);

#endif
