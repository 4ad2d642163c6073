/* SPDX-License-Identifier: MIT */
/*
 * The GDB remote serial protocol, from the stub's side: bytes in, bytes out, and a target described
 * by one struct of functions. The core does no I/O, has no globals and knows no architecture.
 *
 *     static const struct gdbstub_target target = {
 *         .struct_size = sizeof(target),
 *         .register_bytes = sizes, .nregisters = 17, .ng = 17,
 *         .read_register = read_register, .write_register = write_register,
 *         .read_memory = read_memory,     .write_memory = write_memory,
 *         .resume = resume,               .interrupt = interrupt,
 *     };
 *     struct gdbstub *s = gdbstub_create(&target, cpu);
 *     gdbstub_connected(s);                        // a client is there
 *     for (;;) {
 *         n = recv(fd, buf, sizeof(buf));
 *         gdbstub_receive(s, buf, n);              // answers, calls the target
 *         out = gdbstub_output(s, &len);           // what is to be sent
 *         gdbstub_sent(s, send(fd, out, len));
 *         if (gdbstub_running(s) && (stopped = cpu_run_a_while(cpu)))
 *             gdbstub_stopped(s, &stop);           // the stop reply
 *     }
 *
 * gdbstub/server.h has the sockets to go with it.
 *
 * Threading: one session is used by one thread at a time; sessions share nothing. Callbacks are called
 * from inside gdbstub_receive(), gdbstub_should_stop(), gdbstub_connected(), gdbstub_stopped() and
 * gdbstub_set_stop() (threads and registers only), and gdbstub_disconnected() (points only), and may
 * call gdbstub_console(), nothing else of this library.
 *
 * Ownership: the target and what it points to outlive the session. Strings and bytes that callbacks
 * return stay the target's, valid until the next callback. Everything passed in is copied.
 *
 * Errors: callbacks return 0 or a count on success and a negative number on failure, which the client
 * sees as an error reply. What a client sends can only lead to replies: malformed, oversized,
 * unknown and interleaved packets are answered as the protocol demands (GDB manual, appendix E).
 *
 * ABI: structs begin with struct_size; later versions add members at their ends.
 */
#ifndef GDBSTUB_GDBSTUB_H
#define GDBSTUB_GDBSTUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#define GDBSTUB_VERSION "0.1"
#define GDBSTUB_MAX_REGISTER 64    /* bytes of one register */
#define GDBSTUB_PACKET_BYTES 65536 /* the largest packet that is taken and announced */

struct gdbstub;

/* Threads are numbered from 1, as the protocol wants it. */
typedef uint32_t gdbstub_thread;

enum gdbstub_point_kind {
    GDBSTUB_SOFTWARE_BREAK = 0, /* Z0 */
    GDBSTUB_HARDWARE_BREAK = 1, /* Z1 */
    GDBSTUB_WRITE_WATCH = 2,    /* Z2 */
    GDBSTUB_READ_WATCH = 3,     /* Z3 */
    GDBSTUB_ACCESS_WATCH = 4,   /* Z4 */
};

/* Where the client wants to stop. */
struct gdbstub_point {
    enum gdbstub_point_kind kind;
    uint64_t address;
    uint64_t length; /* watchpoints: bytes, at least 1; breakpoints: the architecture's "kind" */
};

enum gdbstub_action {
    GDBSTUB_CONTINUE,
    GDBSTUB_STEP,             /* one instruction */
    GDBSTUB_RANGE_STEP,       /* until the PC is outside of [range_begin, range_end) */
    GDBSTUB_REVERSE_CONTINUE,
    GDBSTUB_REVERSE_STEP,
    GDBSTUB_HOLD,             /* this thread stays where it is (vCont with other threads' actions) */
};

struct gdbstub_thread_action {
    gdbstub_thread thread;
    enum gdbstub_action action;
    uint8_t signal; /* to be delivered (C, S); 0: none */
    uint64_t range_begin, range_end;
};

/*
 * One request to go on. `actions` has one entry per thread, in the target's order; `first` is the
 * entry of the thread that the request is about (stepped, or the current one).
 */
struct gdbstub_resume {
    const struct gdbstub_thread_action *actions;
    size_t nactions;
    size_t first;
};

enum gdbstub_stop_kind {
    GDBSTUB_STOP_SIGNAL,        /* `signal`: 2 after an interrupt, 5 after a step, 11 after a fault.. */
    GDBSTUB_STOP_SOFTWARE_BREAK,
    GDBSTUB_STOP_HARDWARE_BREAK,
    GDBSTUB_STOP_WRITE_WATCH,   /* `address`: inside of the watched range */
    GDBSTUB_STOP_READ_WATCH,
    GDBSTUB_STOP_ACCESS_WATCH,
    GDBSTUB_STOP_REPLAY_BEGIN,  /* replaylog:begin: there is nothing before */
    GDBSTUB_STOP_REPLAY_END,    /* replaylog:end: there is nothing after */
    GDBSTUB_STOP_LIBRARIES,     /* the list of libraries has changed */
    GDBSTUB_STOP_EXEC,          /* the target is described anew: `path` (need not exist) */
    GDBSTUB_STOP_EXITED,        /* W: the process is gone; `code` */
    GDBSTUB_STOP_TERMINATED,    /* X: `signal` */
};

struct gdbstub_stop {
    enum gdbstub_stop_kind kind;
    gdbstub_thread thread;
    uint8_t signal;     /* as the protocol numbers them; 0: SIGTRAP (5) */
    uint8_t code;
    uint64_t address;
    const char *path;
};

/*
 * What is debugged. Members marked (optional) may be NULL; what the client is told to be supported
 * follows from them. `user` is what gdbstub_create() got.
 */
struct gdbstub_target {
    size_t struct_size; /* sizeof(struct gdbstub_target) */

    /* --- registers, by the numbers of the target description (or of the client's default) --- */
    const uint16_t *register_bytes; /* size of each, 1..GDBSTUB_MAX_REGISTER */
    unsigned nregisters;
    unsigned ng;                    /* registers 0..ng-1 make up the g and G packets */
    const uint16_t *expedite;       /* (optional) registers that are sent with every stop */
    unsigned nexpedite;
    /* Writes register_bytes[reg] bytes, in the target's byte order. Negative: not available now. */
    int (*read_register)(void *user, gdbstub_thread thread, unsigned reg, uint8_t *out);
    int (*write_register)(void *user, gdbstub_thread thread, unsigned reg, const uint8_t *value);

    /* --- memory --- */
    /* Bytes read from `address` on, up to the first that is not readable. No side effects. */
    size_t (*read_memory)(void *user, uint64_t address, uint8_t *out, size_t len);
    /* All of them or, negative, none. */
    int (*write_memory)(void *user, uint64_t address, const uint8_t *data, size_t len);

    /* --- running --- */
    /* The client lets the target go. Returns at once; gdbstub_stopped() says when it stopped, from
     * outside of any callback. Negative: cannot (the reply is an error). */
    int (*resume)(void *user, const struct gdbstub_resume *how);
    /* The client wants it to stop (Ctrl-C, vCont;t): gdbstub_stopped() is to follow soon. Called only
     * while the target runs. */
    void (*interrupt)(void *user);
    bool can_reverse;               /* bs and bc are there */
    bool can_range_step;            /* vCont;r is there; else a range is stepped out of bit by bit */

    /* --- break- and watchpoints (optional, as a pair) --- */
    /* Inserting one that is there already, or removing one that is not, is fine. Positive: this kind is
     * not supported (an empty reply); negative: an error. */
    int (*insert_point)(void *user, const struct gdbstub_point *point);
    int (*remove_point)(void *user, const struct gdbstub_point *point);

    /* --- threads (optional; without: one thread, number 1) --- */
    size_t (*threads)(void *user, gdbstub_thread *out, size_t capacity); /* how many there are */
    const char *(*thread_name)(void *user, gdbstub_thread thread);       /* (optional) */
    const char *(*thread_extra)(void *user, gdbstub_thread thread);      /* (optional) one line */

    /* --- objects by name (qXfer:OBJECT:read:ANNEX) --- */
    /* (optional) "features" (annex "target.xml", ...), "memory-map", "libraries", "exec-file", ...
     * The content, which may hold NUL bytes, and its length; NULL: there is none. "threads" is made
     * by the library. */
    const char *(*object)(void *user, const char *object, const char *annex, size_t *len);
    /* (optional) NULL-terminated names of the objects that are to be announced, "features" .. */
    const char *const *objects;
    /* (optional) A file for the client to read by vFile, e.g. what exec-file names. */
    const uint8_t *(*file)(void *user, const char *path, size_t *len);
    /* (optional) How far the program was moved from where it was linked. False: not known. */
    bool (*offsets)(void *user, uint64_t *text, uint64_t *data);

    /* --- the rest, all optional --- */
    /* `monitor COMMAND`. Output goes to gdbstub_console(). 0, or negative: an error is shown. */
    int (*monitor)(void *user, struct gdbstub *stub, const char *command);
    /* Start from the beginning (R, vRun): the target is then stopped there. */
    int (*restart)(void *user);
    /* The client is leaving: D, k or vKill. After a kill the target is not to go on by itself. */
    void (*detach)(void *user);
    void (*kill)(void *user);
    /* Finds the first place of a pattern in [address, address + len): 1 and *found, 0: nowhere,
     * negative: unreadable. Without it the library searches by read_memory. */
    int (*search)(void *user, uint64_t address, uint64_t len, const uint8_t *pattern,
                  size_t pattern_len, uint64_t *found);
    /* Packets that the library does not know: writes a NUL-terminated reply and returns true. */
    bool (*packet)(void *user, const char *packet, char *reply, size_t capacity);
    bool big_endian;                /* byte order of registers and memory, for agent expressions */
    unsigned address_bytes;         /* size of an address; 0: 8 */
    /* The program counter's number, for requests to go on at an address (which gdb never makes: it
     * writes the register). Without it they are errors. */
    bool has_pc;
    unsigned pc_register;
};

/* NULL when out of memory, or when the target lacks a member that is not optional. */
struct gdbstub *gdbstub_create(const struct gdbstub_target *target, void *user);
/*
 * Other registers from now on: the members register_bytes, nregisters, ng, expedite, nexpedite, has_pc and
 * pc_register of `like`, which stay the caller's; the rest of it is not looked at. A client reads its
 * description when it connects: between gdbstub_connected() and its first packet is the time. 0, or -1 when they
 * make no sense, and stay as they were.
 */
int gdbstub_set_registers(struct gdbstub *s, const struct gdbstub_target *like);
/* NULL is fine. Calls no callback. */
void gdbstub_destroy(struct gdbstub *s);

/* A client has come: protocol state is as new (acknowledgements on, no features known). Points of the
 * last client have been removed by gdbstub_disconnected(). */
void gdbstub_connected(struct gdbstub *s);
/* It has gone, with or without a word: removes its points from the target, forgets its output. The
 * target runs or stands as it did: what to do about that is the caller's business. */
void gdbstub_disconnected(struct gdbstub *s);

/* Bytes from the client, in pieces of any size. They are always all taken. */
void gdbstub_receive(struct gdbstub *s, const void *data, size_t len);

/* Bytes for the client: valid until the next call to the session. */
const uint8_t *gdbstub_output(const struct gdbstub *s, size_t *len);
/* The first n of them are on their way. */
void gdbstub_sent(struct gdbstub *s, size_t n);

/* True from the client's resume to gdbstub_stopped(). */
bool gdbstub_running(const struct gdbstub *s);
/* The client said D, k or vKill: close the connection once the output is sent. A client in extended mode
 * ("target extended-remote") may stay after these, and go on by vRun. */
bool gdbstub_leaving(const struct gdbstub *s);
/* Output could not be kept (out of memory, or a client that does not read): close the connection. */
bool gdbstub_failed(const struct gdbstub *s);

/* The target has stopped: sends the stop reply. Ignored unless gdbstub_running(). The same stop is
 * given to a `?` that follows. */
void gdbstub_stopped(struct gdbstub *s, const struct gdbstub_stop *stop);
/* What `?` answers before anything ran, and after a target that stands elsewhere now (a monitor
 * command moved it). Sends nothing. */
void gdbstub_set_stop(struct gdbstub *s, const struct gdbstub_stop *stop);

/*
 * Whether a target that reached the point is to stop there for the client: evaluates the point's
 * conditions (agent expressions) with the target's registers and memory as they are now. True when it
 * has none, one of them is not zero, or one cannot be evaluated. A point that was never inserted
 * says true.
 */
bool gdbstub_should_stop(struct gdbstub *s, const struct gdbstub_point *point,
                         gdbstub_thread thread);

/* Text for the user: shown by the client while the target runs, or as output of a monitor command.
 * At other times it is kept until the next of these. */
void gdbstub_console(struct gdbstub *s, const char *text, size_t len);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
