/* SPDX-License-Identifier: MIT */
/* `monitor` commands: what they share. monitor.c has the table, the other files the commands. */
#ifndef CLI_GDB_MONITOR_H
#define CLI_GDB_MONITOR_H

#include "session_internal.h"

#define MONITOR_WORDS 6

/* One command being carried out. Words after the command's own; text goes to gdb as it is written. */
struct monitor_call {
    struct session *s;
    FILE *out;
    char *words[MONITOR_WORDS];
    size_t n;
};

/* 0, or -1 after the reason was written to call->out. */
typedef int monitor_fn(struct monitor_call *call);

monitor_fn monitor_when, monitor_digest, monitor_handlers, monitor_seek, monitor_checkpoint, monitor_checkpoints, monitor_last_write,
    monitor_events;                                             /* monitor_time.c */
monitor_fn monitor_info, monitor_screen, monitor_registers;     /* monitor_info.c */
monitor_fn monitor_info_tlb, monitor_info_mem, monitor_xp, monitor_x; /* monitor_memory.c */

/* A number: decimal with or without commas, 0x..., or a symbol of the guest. False: none. */
bool monitor_number(const struct monitor_call *call, const char *text, uint64_t *value);

#endif
