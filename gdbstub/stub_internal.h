/* SPDX-License-Identifier: MIT */
/*
 * Inside of the library: one session, and what its files offer each other. All names that are not
 * static begin with stub_, so that the static library takes no others from whoever links it.
 *
 * Invariants:
 * 1. A packet from the client gets exactly one reply, or none where the protocol has none (k, R,
 * and what resumes the target, which is answered by the stop).
 * 2. What a client can make the session hold is bounded: one packet, one reply, STUB_OUTPUT_MAX of
 *    output, STUB_MAX_POINTS points with STUB_CONDITION_BYTES of conditions, STUB_MAX_FILES names.
 * 3. Points in the list are inserted in the target, and no others of this client are.
 */
#ifndef GDBSTUB_STUB_INTERNAL_H
#define GDBSTUB_STUB_INTERNAL_H

#include <gdbstub/gdbstub.h>

#define STUB_OUTPUT_MAX      (16u << 20)
#define STUB_CONSOLE_MAX     65536u /* text that waits for a time when it can be shown */
#define STUB_MAX_THREADS     65536u
#define STUB_MAX_POINTS      4096u
#define STUB_CONDITION_BYTES (1u << 20)
#define STUB_CONDITION_STEPS 16384u /* of all conditions of a point, at one hit */
#define STUB_MAX_FILES       8u
#define STUB_MAX_PATH        4096u
#define STUB_SCAN_MAX        (256u << 20) /* what one qSearch or qCRC looks at */

/* Numbers in error replies. Clients only show them; they are errno's, as the File-I/O protocol has
 * them (GDB manual, E.13.9), so that they mean something to who sees them. */
enum stub_error {
    STUB_EPERM = 1,
    STUB_ENOENT = 2,
    STUB_E2BIG = 7,
    STUB_EBADF = 9,
    STUB_ENOMEM = 12,
    STUB_EFAULT = 14,
    STUB_EBUSY = 16,
    STUB_EINVAL = 22,
    STUB_EMFILE = 24,
    STUB_EROFS = 30,
    STUB_ENAMETOOLONG = 91,
};

/* Thread-ids that are not a thread (GDB manual, E.2). */
#define STUB_ANY_THREAD  0
#define STUB_ALL_THREADS (-1)

/* ---- text.c: reading requests, writing replies ---- */

/* What is left to read of a packet. A NUL follows `end`. */
struct stub_cursor {
    const char *p, *end;
};

struct stub_bytes {
    uint8_t *data;
    size_t len, cap;
};

/* One reply, before framing. What does not fit sets `overflow`, and an error is sent in its place.
 */
struct stub_reply {
    size_t len;
    bool overflow;
    bool none; /* nothing is to be sent */
    uint8_t data[GDBSTUB_PACKET_BYTES];
};

/* False, and nothing is changed, if that would be more than `limit` bytes or memory is out. */
bool stub_bytes_reserve(struct stub_bytes *b, size_t more, size_t limit);
bool stub_bytes_add(struct stub_bytes *b, const void *data, size_t len, size_t limit);
bool stub_bytes_text(struct stub_bytes *b, const char *text, size_t limit);
void stub_bytes_fini(struct stub_bytes *b);

int stub_hex_digit(int c); /* its value, or -1 */
/* Each consumes what it describes and returns true, or consumes nothing certain and returns false.
 */
bool stub_read_char(struct stub_cursor *c, char wanted);
bool stub_read_literal(struct stub_cursor *c, const char *wanted);
bool stub_read_number(struct stub_cursor *c, uint64_t *value); /* hexadecimal, up to 64 bits */
bool stub_read_bytes(struct stub_cursor *c, uint8_t *out, size_t len); /* two digits a byte */
/* "address,length" */
bool stub_read_range(struct stub_cursor *c, uint64_t *address, uint64_t *len);
size_t stub_left(const struct stub_cursor *c);

void stub_put(struct stub_reply *r, const void *data, size_t len);
void stub_put_text(struct stub_reply *r, const char *text);
void stub_put_number(struct stub_reply *r, uint64_t value);
void stub_put_byte(struct stub_reply *r, uint8_t value); /* two digits */
void stub_put_bytes(struct stub_reply *r, const uint8_t *data, size_t len);
/* As much of the data as fits into a packet once escaped: how much that is. */
size_t stub_put_binary(struct stub_reply *r, const uint8_t *data, size_t len);

/* ---- packet.c: framing ---- */

enum stub_input_state {
    STUB_IDLE, /* between packets */
    STUB_BODY,
    STUB_ESCAPED, /* after a '}' */
    STUB_SUM_HIGH,
    STUB_SUM_LOW,
};

struct stub_input {
    enum stub_input_state state;
    uint8_t sum;     /* of the bytes as they came */
    uint8_t claimed; /* the first digit of the checksum */
    bool bad_sum;
    size_t wire; /* bytes as they came */
    size_t len;  /* without escapes */
    char data[GDBSTUB_PACKET_BYTES + 1];
};

void stub_send_packet(struct gdbstub *s, const void *data, size_t len);
void stub_send_reply(struct gdbstub *s);
void stub_receive_byte(struct gdbstub *s, uint8_t byte);

/* ---- the session ---- */

struct stub_point {
    struct gdbstub_point at;
    uint8_t *conditions; /* for each: length (2 bytes, in the host's order), bytecode */
    size_t nconditions_bytes;
};

struct gdbstub {
    struct gdbstub_target target;
    void *user;

    struct stub_input input;
    struct stub_reply reply;
    uint8_t scratch[GDBSTUB_PACKET_BYTES];

    struct stub_bytes output;
    size_t output_sent; /* the first bytes of it that are gone already */
    struct stub_bytes
        last; /* the last packet, for when it is to be sent again; without acks: empty */
    bool failed;

    bool no_ack, no_ack_next; /* next: once the reply is out */
    bool extended;            /* "!" */
    bool wants_swbreak, wants_hwbreak, wants_exec;
    bool leaving;
    bool killed; /* as this client sees it: the target itself stands where it did */

    bool running;
    bool reply_due; /* the client waits for a stop reply */
    struct gdbstub_stop stop;
    char *stop_path; /* what stop.path points to */

    gdbstub_thread general; /* Hg, or the thread that stopped last */
    int64_t continuing;     /* Hc */
    gdbstub_thread *threads;
    size_t nthreads, threads_cap;
    size_t threads_told; /* qsThreadInfo goes on there */
    struct gdbstub_thread_action *actions;
    bool *decided;
    size_t actions_cap;
    struct stub_bytes threads_xml;

    struct stub_point *points;
    size_t npoints, points_cap;
    size_t condition_bytes;

    char *files[STUB_MAX_FILES]; /* paths of what is open */

    bool in_monitor;
    struct stub_bytes console;
    bool console_cut;
};

void stub_error(struct gdbstub *s, enum stub_error error);
void stub_ok(struct gdbstub *s);

/* command.c */
void stub_dispatch(struct gdbstub *s);

/* A handler of a packet reads what follows the packet's name. It starts with an empty reply, which
 * says "not supported". */
typedef void stub_handler(struct gdbstub *s, struct stub_cursor *c);

/* register.c */
stub_handler stub_read_registers, stub_write_registers, stub_read_register, stub_write_register;
/* Its value in hexadecimal, or x's when it is not available. */
void stub_put_register(struct gdbstub *s, gdbstub_thread thread, unsigned reg);
/* Writes a number into a register of up to 8 bytes, in the target's byte order. */
bool stub_set_register(struct gdbstub *s, gdbstub_thread thread, unsigned reg, uint64_t value);

/* memory.c */
stub_handler stub_read_memory, stub_read_memory_binary, stub_write_memory, stub_write_memory_binary;
stub_handler stub_search_memory, stub_crc_memory;

/* point.c */
stub_handler stub_insert_point, stub_remove_point;
void stub_remove_all_points(struct gdbstub *s);

/* agent.c: false if the expression cannot be evaluated. Each instruction takes one of the steps. */
bool stub_evaluate(struct gdbstub *s, gdbstub_thread thread, const uint8_t *code, size_t len,
                   unsigned *steps_left, uint64_t *value);

/* resume.c */
stub_handler stub_continue, stub_continue_signal, stub_step, stub_step_signal;
stub_handler stub_reverse_continue, stub_reverse_step;
stub_handler stub_vcont, stub_vcont_query, stub_vctrlc;
void stub_interrupt(struct gdbstub *s);

/* stop.c */
stub_handler stub_why_stopped;
bool stub_set_stop(struct gdbstub *s, const struct gdbstub_stop *stop);
void stub_put_stop(struct gdbstub *s);
/* Shows text that waited. */
void stub_flush_console(struct gdbstub *s);

/* thread.c */
stub_handler stub_select_thread, stub_thread_alive, stub_current_thread;
stub_handler stub_first_threads, stub_more_threads, stub_thread_extra;
/* Asks the target for its threads, into s->threads. */
void stub_list_threads(struct gdbstub *s);
/* Whether it is in the list, as it was asked for last. */
bool stub_thread_listed(const struct gdbstub *s, gdbstub_thread thread);
/* A thread to look at that exists. */
void stub_settle_thread(struct gdbstub *s, gdbstub_thread preferred);
bool stub_read_thread(struct stub_cursor *c, int64_t *thread);
/* The document of qXfer:threads:read. */
bool stub_make_threads_xml(struct gdbstub *s);

/* query.c */
stub_handler stub_supported, stub_no_ack_mode, stub_attached, stub_symbol, stub_offsets;
stub_handler stub_monitor, stub_signals, stub_thread_events, stub_non_stop;

/* xfer.c */
stub_handler stub_transfer;

/* file.c */
stub_handler stub_file_open, stub_file_close, stub_file_pread, stub_file_fstat;
stub_handler stub_file_readlink, stub_file_setfs, stub_file_read_only;
void stub_close_files(struct gdbstub *s);

/* life.c */
stub_handler stub_extend, stub_restart, stub_run, stub_attach, stub_detach, stub_kill, stub_vkill;

#endif
