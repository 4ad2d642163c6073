/* SPDX-License-Identifier: MIT */
/*
 * The machine on the command line, spelled as QEMU's options are, with one dash or two:
 *
 *     struct run_options o;
 *     int status = options_parse(&o, argc, argv, FOR_RECORD);
 *
 *     if (status != 0)
 *         return status;              // the error is printed already
 *     m = machine_create(&o.config, &pc_board, err, sizeof(err));
 *     ...
 *     options_free(&o);               // after machine_destroy
 *
 * After a successful parse `config` is complete: images are in memory; the seed has been read from the
 * host (once, here, and nowhere else) unless one was chosen, and so has the wall clock unless -rtc or
 * a chosen seed fixes it (FOR_HUNT, one is always chosen: OPTIONS_HUNT_SEED); and without -kernel and -bios the kernel is the embedded demo guest, under the name OPTIONS_DEMO_NAME.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>

#include <emu/machine.h>

#define OPTIONS_GDB_DEFAULT "tcp:1234" /* QEMU's */
#define OPTIONS_DEMO_NAME "demo (built in)"
#define OPTIONS_HUNT_SEED 1u

enum options_for { FOR_RUN, FOR_RECORD, FOR_HUNT };

/* Where a serial line, or the debug console, leads. */
enum serial_kind { SERIAL_NULL, SERIAL_STDIO, SERIAL_FILE, SERIAL_UNIX, SERIAL_PTY };

struct serial_spec {
    enum serial_kind kind;
    char *path;  /* SERIAL_FILE, SERIAL_UNIX: owned; else NULL */
    bool server; /* SERIAL_UNIX: listen, and wait for the first client, instead of connecting */
    bool nowait; /* with server: start without a client */
};

struct run_options {
    struct machine_config config;
    struct serial_spec serial[MACHINE_MAX_SERIAL];
    struct serial_spec debugcon; /* ports E9h and 402h; NULL, STDIO or FILE */
    const char *trace_path;      /* FOR_RECORD: never NULL after a successful parse */
    bool sync;                   /* FOR_RECORD: fdatasync after each flush of the trace */
    const char *gdb;             /* where to listen for a debugger; NULL: nowhere */
    bool stopped;                /* the guest waits for the debugger before its first instruction */
    bool stats;
    bool no_reboot;    /* a reset ends the run */
    bool ignore_panic; /* a panic that the guest reports does not end the run */
    bool no_sandbox;
    bool seed_given;
    bool demo; /* no image was given */

    /* owned */
    uint8_t *kernel_data, *initrd_data, *bios_data, *vgabios_data;
    char *cmdline;
    char *vgabios_path; /* where it was looked for */
};

/*
 * Parses argv[1..argc) and loads the images. 0, or an exit status after the error was printed; *o
 * needs no options_free() then.
 */
int options_parse(struct run_options *o, int argc, char **argv, enum options_for what);
void options_free(struct run_options *o);

/*
 * The same for a command with options of its own: `take` is asked about each argument that begins an option. 1: it
 * was its own, *i has moved to its value, if there is one; 0: it is the machine's; -1: an error, said already.
 */
typedef int options_take_fn(void *opaque, int argc, char **argv, int *i);
int options_parse_beside(struct run_options *o, int argc, char **argv, enum options_for what,
                         options_take_fn *take, void *opaque);

/* The machine options for `deja help run` and its like, on standard output. */
void options_help(enum options_for what);

#endif
