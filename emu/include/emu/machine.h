/* SPDX-License-Identifier: MIT */
/*
 * The machine: CPUs, RAM, buses, clock, input door and the board's devices, as one deterministic
 * function of its configuration and its inputs.
 *
 *     struct machine *m = machine_create(&config, &pc_board, err, sizeof(err));
 *     machine_set_source(m, &source);         // where inputs come from; none: no inputs
 *     machine_set_observer(m, &observer);     // who watches; none: nobody
 *     enum machine_stop why = machine_run(m, UINT64_MAX);
 *     machine_destroy(m);
 *
 * Threading: one machine is used by one thread at a time; machines share nothing.
 * Nothing in here reaches a host clock, file or random source.
 */
#ifndef EMU_MACHINE_H
#define EMU_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/clock.h>
#include <emu/debug.h>
#include <emu/input.h>
#include <emu/intc.h>
#include <emu/irq.h>
#include <emu/perturb.h>
#include <emu/ram.h>
#include <emu/state.h>
#include <emu/watch.h>

#define MACHINE_MAX_PARTS 32
#define MACHINE_MAX_SERIAL 2

struct cpu;
struct debugger;
struct machine;

enum machine_engine { ENGINE_INTERPRETER = 0 };

/* All that fixes a machine but its inputs. Embedded images are owned by the caller and read during
 * machine_create and machine_reset; they must outlive the machine. */
struct machine_image {
    const char *name;      /* as given by the user; "" when built in */
    const uint8_t *data;   /* NULL: absent */
    size_t len;
};

struct machine_config {
    size_t struct_size;    /* sizeof(struct machine_config) */
    uint64_t ram_bytes;    /* a multiple of 1 MiB, 1 MiB..MACHINE_MAX_RAM */
    uint64_t seed;         /* entropy of the machine: RDRAND, setup_data seed, ... */
    int64_t rtc_base;      /* seconds since 1970 at power-on, as the RTC shows them */
    uint64_t ns_per_insn;  /* 1 unless asked otherwise */
    enum machine_engine engine; /* not part of what fixes the run: any engine gives the same */
    struct machine_image kernel;
    struct machine_image initrd;     /* Linux initrd, or Multiboot module list head (see boot.h) */
    struct machine_image bios;       /* flat image mapped below 4 GiB and at the end of 1 MiB */
    struct machine_image vgabios;    /* option ROM that a firmware is offered for the text screen */
    const char *cmdline;             /* NULL: empty */
    uint32_t boot32;                 /* 1: enter bzImage by the 32-bit protocol */
    /* 1: the machine starts in `bios`, with a board as firmware wants it: nothing done in advance, shadow RAM
     * that opens and closes, fw_cfg. 0 with a `bios`: the board of the first version, all shadow RAM open. */
    uint32_t firmware;
    uint32_t hpet;                   /* 1: a high precision event timer */
    uint32_t mouse;                  /* 1: a PS/2 mouse */
    struct perturb_config perturb;   /* timing that differs from the plain machine's; zero: none */
};

#define MACHINE_MAX_RAM (64ULL << 30)

/* Why machine_run returned. */
enum machine_stop {
    STOP_ICOUNT = 0,     /* reached the icount asked for */
    STOP_POWEROFF,       /* ACPI S5 */
    STOP_EXIT,           /* isa-debug-exit: m->exit_code */
    STOP_RESET,          /* reset requested; machine_reset() makes it so, or the caller ends the run */
    STOP_TRIPLE_FAULT,   /* shutdown cycle */
    STOP_HALTED,         /* halted with nothing that could ever wake it */
    STOP_USER,           /* INPUT_STOP was delivered */
    STOP_LIVELOCK,       /* exceptions only: no instruction can retire any more */
    STOP_SOURCE,         /* the source or observer asked to stop: machine_request_stop() */
    STOP_DEBUG,          /* at a debugger's point: machine_debug_hits() */
    STOP_REASON_COUNT
};
const char *machine_stop_name(enum machine_stop why);

/*
 * A source of inputs. All functions get `opaque`.
 */
struct input_source {
    /* Offers the next input for this moment in *in (kind, port, data, len) and returns true, or
     * false: none now. Called at every boundary where the machine stops, until false. */
    bool (*poll)(void *opaque, struct machine *m, struct input *in);
    /* The machine may run to this icount before it polls again. Above the current icount. */
    uint64_t (*horizon)(void *opaque, uint64_t icount);
    /*
     * The guest is halted until `deadline_ns` (CLOCK_NEVER: for ever). Returns the virtual time to
     * which the clock may jump, at most deadline_ns, at least now: all of it when nothing can come
     * before, less when an input became available; poll is called next. CLOCK_NEVER is returned only
     * for a deadline of CLOCK_NEVER when no input can ever come.
     */
    uint64_t (*wait)(void *opaque, struct machine *m, uint64_t deadline_ns);
    void *opaque;
};

/* Who watches. Any member may be NULL. Observers never change the machine. */
struct machine_observer {
    void (*input)(void *opaque, const struct input *in);     /* accepted, stamped, not yet delivered */
    void (*interrupt)(void *opaque, uint64_t icount, struct intr_ack ack); /* about to be taken */
    void (*serial_out)(void *opaque, unsigned port, const uint8_t *data, size_t len);
    void (*debug_out)(void *opaque, uint16_t port, uint8_t byte); /* E9h, 402h */
    void (*post_code)(void *opaque, uint8_t byte);                /* port 80h */
    /* The machine's own perturbation is about to do what an input of this kind, port and bytes would. */
    void (*perturbed)(void *opaque, const struct input *in);
    void *opaque;
};

/* A part of the machine that has state. */
struct machine_part {
    const struct state_desc *desc;
    void *obj;
    unsigned instance;             /* 0 for the first part of that description */
    void (*reset)(void *obj);      /* power-on state, every field */
};

/* What the machine is assembled from; one table per board, in devices/. */
struct machine_board {
    const char *name;
    /* Creates the devices and wires them. NULL on failure with one line in `err`. */
    void *(*create)(struct machine *m, char *err, size_t errlen);
    void (*destroy)(void *board);
    /* Writes firmware tables (ACPI) into RAM at power-on; called after RAM is cleared, before the
     * kernel is placed. Returns the physical address of the RSDP, 0 for none. */
    uint64_t (*place_tables)(void *board, struct machine *m);
};

struct machine {
    struct clock clock;
    struct ram ram;
    struct bus ports;
    struct bus memory;             /* physical addresses outside RAM */
    struct input_door door;
    struct cpu *cpus;
    unsigned ncpus;
    struct machine_config config;  /* a copy; images by reference */
    const struct machine_board *board_type;
    void *board;
    struct machine_part parts[MACHINE_MAX_PARTS];
    unsigned nparts;
    struct input_source source;
    struct machine_observer observer;
    void (*ferr)(void *opaque);    /* NULL: not connected */
    void *ferr_opaque;
    bool a20_mask;                 /* true: A20 is open (normal) */
    enum machine_stop stop_request; /* STOP_ICOUNT: none */
    uint8_t exit_code;             /* STOP_EXIT: what to exit with, value * 2 + 1 */
    uint64_t resets;               /* how often machine_reset ran after power-on */
    struct perturb perturb;        /* see emu/perturb.h; state, but in no digest */
    struct debugger *debugger;     /* see emu/debug.h; never part of the state */
    struct machine_watcher watcher; /* see emu/watch.h; likewise */
};

struct machine *machine_create(const struct machine_config *config,
                               const struct machine_board *board, char *err, size_t errlen);
void machine_destroy(struct machine *m);

void machine_set_source(struct machine *m, const struct input_source *source);
void machine_set_observer(struct machine *m, const struct machine_observer *observer);

/* Runs until `icount` instructions have retired since power-on, or a stop. */
enum machine_stop machine_run(struct machine *m, uint64_t icount);

/* Runs until the machine stands at `until` or, when there is no such moment, at the next one after it
 * (STOP_ICOUNT), or a stop. At or past `until` it only does what is due now. */
enum machine_stop machine_run_to(struct machine *m, struct moment until);

/* Delivers an input at the boundary where the machine stands, between two runs, as if its source had
 * offered it. 0, or -1: none is taken at this boundary (see machine_debug_write()). */
int machine_deliver(struct machine *m, const struct input *in);

/* Between two runs: from here on the machine's perturbation is another. Before the first instruction it is as if the
 * machine had been created with that. The mean must be at most PERTURB_MAX_MEAN. */
void machine_perturb(struct machine *m, const struct perturb_config *config);

/* At power-on: it becomes the machine that it would be with this seed. 0, or -1 with a line. */
int machine_reseed(struct machine *m, uint64_t seed, char *err, size_t errlen);

/* Power-on or reset: all parts, then the boot images are placed again. 0, or -1 with a line. */
int machine_reset(struct machine *m, char *err, size_t errlen);

/* Digest of the whole state: parts in order, then RAM. Only dirty pages are hashed again. */
uint64_t machine_digest(struct machine *m);

/* --- for devices --- */

/* Registers a part; `obj` lives as long as the machine. The order of calls is the order of saved
 * state and of reset. */
void machine_add_part(struct machine *m, const struct state_desc *desc, void *obj,
                      void (*reset)(void *obj));

/* Takes effect at the next instruction boundary. The first request of a boundary wins. */
void machine_request_stop(struct machine *m, enum machine_stop why);
void machine_request_exit(struct machine *m, uint8_t code);

/* Connects CPU `n` with its interrupt controller. Returns the CPU's lines. */
struct cpu_lines machine_connect_intc(struct machine *m, unsigned n, const struct intc_ops *ops,
                                      void *opaque);
/* What FERR# of the CPUs is wired to: called when it becomes active (SDM vol. 1, 8.7.2). */
void machine_connect_ferr(struct machine *m, void (*ferr)(void *opaque), void *opaque);
/* IGNNE# becomes active, where FERR# is; and stays so as long as that is. */
void machine_ignore_fpu_error(struct machine *m);
/* The A20 gate (port 92h, keyboard controller): true lets address bit 20 through. */
void machine_set_a20(struct machine *m, bool open);

/* From now on block `block` (16 KiB each, from C0000h) of the low ROM area shows this. */
void machine_set_window(struct machine *m, unsigned block, enum ram_window what);

/* What the guest sends out; to the observer. */
void machine_serial_out(struct machine *m, unsigned port, const uint8_t *data, size_t len);
void machine_debug_out(struct machine *m, uint16_t port, uint8_t byte);
void machine_post_code(struct machine *m, uint8_t byte);

#endif
