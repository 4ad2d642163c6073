/* SPDX-License-Identifier: MIT */
/* What the files of the session share. */
#ifndef CLI_GDB_SESSION_INTERNAL_H
#define CLI_GDB_SESSION_INTERNAL_H

#include <emu/registers.h>
#include <gdbstub/gdbstub.h>
#include <gdbstub/server.h>
#include <traces/trace.h>

#include "session.h"

#define SESSION_THREAD(cpu) ((gdbstub_thread)(cpu) + 1)

struct guest_symbols;

/* Where an interrupted program goes on: the same place of the same stack. */
struct handler_place {
    uint64_t rip, rsp;
};

#define VIEW_EXPEDITED 5

/* The client's registers: registers.c. */
struct register_view {
    const char *architecture; /* gdb's name */
    bool i386;
    unsigned count;
    unsigned core_end, sse_end, segments_end; /* features, from 0 on; the rest is ours */
    uint8_t id[CPU_REGISTER_COUNT];           /* enum register_id */
    uint16_t bytes[CPU_REGISTER_COUNT];       /* as the client sees it */
    const char *name[CPU_REGISTER_COUNT];
    uint16_t expedited[VIEW_EXPEDITED];
};

struct session {
    struct session_options options;
    struct machine *m;
    struct timeline *timeline; /* NULL: live */
    struct live *live;         /* NULL: replay */
    struct gdbstub *stub;
    struct gdbstub_server *server;
    struct trace_reader *events; /* of the replay's trace, for listings */
    struct guest_symbols *symbols;
    struct gdbstub_point *points; /* that the client inserted */
    size_t npoints, capacity;
    struct gdbstub_thread_action action; /* what the client asked for last */
    bool interrupt;   /* the client, or a signal, wants the run to stop */
    bool killed;      /* the client ended the session */
    bool detached;    /* it left, and the guest may go on */
    bool left;        /* a client's connection has ended, since this was last cleared */
    bool ended;       /* stdio: there will be no other client */
    bool in_monitor;  /* inside of the library's callback: it must not be called */
    bool pass_handlers; /* steps back do not go into handlers (monitor handlers) */
    struct handler_place returned_to;
    bool physical;    /* memory packets are about guest-physical addresses */
    bool over;        /* live: the guest has ended, as: */
    enum machine_stop end;
    struct debug_hit hit; /* of the last HIT */
    struct register_view view;
    char *description;    /* target.xml of the view */
};

/* --- target.c: what gdbstub calls --- */
struct gdbstub_target session_target(const struct session *s);
/* Text for the user. */
void session_say(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- points.c: what the client inserted --- */
bool session_has_point(const struct session *s, const struct gdbstub_point *point);
int session_insert_point(struct session *s, const struct gdbstub_point *point);
int session_remove_point(struct session *s, const struct gdbstub_point *point);
struct debug_point session_debug_point(const struct gdbstub_point *point);

/* The timeline is to know of them as they are. */
int session_tell_points(struct session *s);

/* --- handlers.c --- */
struct handler_place handler_place_now(const struct session *s);
bool handler_place_is(const struct session *s, const struct handler_place *at);
/* One moment back, or past a handler. */
enum timeline_status session_step_back(struct session *s);

/* --- run.c: moving the machine --- */
/* Does what s->action says; the stop to tell the client. */
struct gdbstub_stop session_resume(struct session *s);
/* The timeline moved for another reason than a resume: what it is at. */
struct gdbstub_stop session_stop_of(struct session *s, enum timeline_status status);
/* Whether a hit is to stop a run for the client. */
bool session_accept(void *opaque, const struct debug_hit *hit);
/* Debugger's changes: of the live machine, or in a branch. 0 or -1. */
int session_write_memory(struct session *s, uint64_t gpa, const void *data, size_t len);
int session_set_register(struct session *s, unsigned cpu, unsigned id, const uint8_t *value);

/* --- description.c --- */
/* target.xml for these registers. Allocated; NULL: out of memory. */
char *session_describe_target(const struct register_view *v);

/* --- registers.c --- */
void register_view_init(struct register_view *v, bool i386);
/* Sets the members that gdbstub_set_registers looks at; they point into the view. */
void register_view_fill(const struct register_view *v, struct gdbstub_target *target);
void register_view_read(const struct register_view *v, const struct cpu *cpu, unsigned reg, uint8_t *out);
/* The client's value as the machine's: above a narrow one are zeros. */
void register_view_widen(const struct register_view *v, unsigned reg, const uint8_t *value,
                         uint8_t wide[GDBSTUB_MAX_REGISTER]);

/* --- monitor.c and its commands --- */
int session_monitor(struct session *s, const char *command);

#endif
