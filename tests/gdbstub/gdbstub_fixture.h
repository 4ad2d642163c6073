/* SPDX-License-Identifier: MIT */
/*
 * A target of the tests that remembers what it was asked for, and a client that checks the framing
 * of what it gets.
 */
#ifndef TESTS_GDBSTUB_FIXTURE_H
#define TESTS_GDBSTUB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gdbstub/gdbstub.h>

/* Registers: two of 8 bytes, one each of 4, 16, 2 and 8; the last is not in g. */
#define FAKE_REGISTERS 6
#define FAKE_NG        5
#define FAKE_THREADS   3
#define FAKE_BASE      0x1000u
#define FAKE_MEMORY    0x20000u
#define FAKE_POINTS    64

struct fake {
    struct gdbstub *stub;
    uint8_t regs[FAKE_THREADS + 1][FAKE_REGISTERS][16];
    bool unavailable[FAKE_REGISTERS];
    bool read_only[FAKE_REGISTERS];
    uint8_t memory[FAKE_MEMORY];
    bool memory_is_read_only;

    size_t nthreads;
    const char *extra;

    unsigned resumes, interrupts, detaches, kills, restarts;
    int resume_result, restart_result, monitor_result;
    struct gdbstub_resume how;
    struct gdbstub_thread_action actions[FAKE_THREADS];

    struct gdbstub_point points[FAKE_POINTS]; /* those that are inserted */
    size_t npoints;
    unsigned inserts, removes;
    int insert_result;

    char monitor_command[256];
    const char *monitor_text;
    bool offsets_known;
    int search_calls;
};

extern struct fake fake;
extern const struct gdbstub_target fake_target; /* has everything but search */

/* cmocka's setup and teardown: a session with a client. */
int fake_setup(void **state);
int fake_teardown(void **state);
/* Another session, for a target with less, or more. */
void fake_begin(const struct gdbstub_target *target);

/* Bytes as they are, to the session. */
void give(const char *bytes);
void give_bytes(const void *bytes, size_t len);
/* What the session has for the client, as it is; taken from it. */
const char *taken(void);

/* A packet is sent, "+" and one packet in reply are expected: its content, without escapes. With ""
 * for no reply at all, ask_for_nothing. In no-ack mode there is no "+". */
const char *ask(const char *packet);
const char *ask_bytes(const void *packet, size_t len);
void ask_for_nothing(const char *packet);
/* One packet that comes without being asked for: its content, without escapes. */
const char *reply(void);
/* Length of what ask() or reply() returned last. */
size_t reply_len(void);
void expect_no_acks(void);

#endif
