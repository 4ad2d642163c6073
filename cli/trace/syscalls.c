/* SPDX-License-Identifier: MIT */
/*
 * System calls of a Linux guest: entries by SYSCALL, SYSENTER and INT 80h, each paired with the return to user
 * mode that ends it.
 *
 * A return is that of the call which waits in the same task, and leads where the call came from: the same
 * stack pointer, the instruction after. So returns of page faults, of interrupts and into signal handlers in
 * between are told from it. execve() returns elsewhere, but in the same task. Where tasks are not known
 * (process.c), address spaces stand for them; children of vfork(), which share one, are told by their result.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syscall_args.h"
#include "values.h"

#define INSN_BYTES   2u /* of SYSCALL, SYSENTER and INT 80h */
#define LINUX_VECTOR 0x80u
#define MAX_WAITING  16384u

/* What a system call is to the pairing. */
enum role { ROLE_PLAIN, ROLE_FORK, ROLE_EXEC, ROLE_EXIT, ROLE_SIGRETURN };

struct waiting {
    uint64_t id;
    struct stamp at;
    struct syscall_call call;
    enum role role;
    uint64_t rip; /* it returns to; 0: anywhere */
    uint64_t rsp; /* likewise */
};

struct syscalls {
    struct waiting *list; /* the oldest first */
    size_t n, capacity;
};

int syscalls_create(struct tracer *t)
{
    t->syscalls = calloc(1, sizeof(*t->syscalls));
    return t->syscalls == NULL ? -1 : 0;
}

void syscalls_destroy(struct syscalls *s)
{
    if (s == NULL)
        return;
    free(s->list);
    free(s);
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

static enum role role_of(const struct syscall_row *row)
{
    static const char *const forks[] = {"fork", "vfork", "clone", "clone3", NULL};
    static const char *const execs[] = {"execve", "execveat", NULL};
    static const char *const exits[] = {"exit", "exit_group", NULL};
    static const char *const sigreturns[] = {"rt_sigreturn", "sigreturn", NULL};

    if (row == NULL)
        return ROLE_PLAIN;
    return is_one_of(row->name, forks)        ? ROLE_FORK
           : is_one_of(row->name, execs)      ? ROLE_EXEC
           : is_one_of(row->name, exits)      ? ROLE_EXIT
           : is_one_of(row->name, sigreturns) ? ROLE_SIGRETURN
                                              : ROLE_PLAIN;
}

/* --- entries --- */

static void call_64(const struct cpu *cpu, struct syscall_call *call)
{
    static const uint8_t args[SYSCALL_ARGS] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};

    call->number = cpu->regs[REG_RAX];
    call->row = syscall_64(call->number);
    for (unsigned i = 0; i < SYSCALL_ARGS; i++)
        call->args[i] = cpu->regs[args[i]];
}

static void call_32(const struct cpu *cpu, struct syscall_call *call)
{
    static const uint8_t args[SYSCALL_ARGS] = {REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP};

    call->is32 = true;
    call->number = (uint32_t)cpu->regs[REG_RAX];
    call->row = syscall_32(call->number);
    for (unsigned i = 0; i < SYSCALL_ARGS; i++)
        call->args[i] = (uint32_t)cpu->regs[args[i]];
}

/* The vDSO has pushed EBP, the sixth argument, and left the stack pointer in it. */
static void call_sysenter(const struct tracer *t, struct waiting *w)
{
    uint32_t sixth = 0;

    call_32(t->cpu, &w->call);
    w->rsp = (uint32_t)t->cpu->regs[REG_RBP];
    w->rip = 0;
    if (cpu_peek(t->cpu, w->rsp, &sixth, sizeof(sixth)) == sizeof(sixth))
        w->call.args[5] = sixth;
}

/* What the event says of a system call. False: it is none. */
static bool read_entry(const struct tracer *t, const struct watch_event *ev, struct waiting *w)
{
    *w = (struct waiting){.at = stamp_of(t, ev->at), .rip = ev->rip + INSN_BYTES};
    if (ev->kind == WATCH_SOFT_INTERRUPT) {
        if (ev->address != LINUX_VECTOR || ev->cpl != 3)
            return false;
        call_32(t->cpu, &w->call);
    } else if (ev->address == 1) {
        call_sysenter(t, w);
    } else {
        call_64(t->cpu, &w->call);
        w->rsp = t->cpu->regs[REG_RSP];
    }
    w->role = role_of(w->call.row);
    return true;
}

static void print_entry(struct tracer *t, const struct waiting *w, uint64_t rip)
{
    struct text text = {.len = 0};

    add_syscall(t, &text, &w->call);
    if (!t->out.json) {
        if (w->role == ROLE_EXIT || w->role == ROLE_SIGRETURN)
            text_add(&text, " = ?");
        out_line(t, &w->at, w->id, &text);
        return;
    }
    record_begin(t, &w->at, "syscall");
    record_number(t, "id", w->id);
    record_number(t, "bits", w->call.is32 ? 32 : 64);
    record_number(t, "number", w->call.number);
    if (w->call.row != NULL)
        record_text(t, "name", w->call.row->name);
    record_key(t, "args");
    for (size_t i = 0; i < syscall_nargs(&w->call); i++)
        printf("%s\"0x%" PRIx64 "\"", i > 0 ? ", " : "[", w->call.args[i]);
    fputs(syscall_nargs(&w->call) == 0 ? "[]" : "]", stdout);
    record_text(t, "text", text.data);
    record_address(t, "rip", rip);
    record_end(t);
}

/* A task_struct may be used again, for another task. */
static bool same_task(const struct process *a, const struct process *b)
{
    if (a->task == 0 || b->task == 0)
        return a->cr3 == b->cr3;
    return a->task == b->task && (!a->named || !b->named || a->pid == b->pid);
}

/* --- returns --- */

static void print_return(struct tracer *t, const struct waiting *w, const struct stamp *now, bool again)
{
    uint64_t result = t->cpu->regs[REG_RAX];
    struct text text = {.len = 0}, name = {.len = 0};

    if (t->out.json) {
        record_begin(t, now, "sysreturn");
        record_number(t, "id", w->id);
        if (w->call.row != NULL)
            record_text(t, "name", w->call.row->name);
        record_key(t, "result");
        if (again)
            printf("null");
        else
            printf("%" PRId64, w->call.is32 ? (int64_t)(int32_t)result : (int64_t)result);
        record_number(t, "instructions", now->at.icount - w->at.at.icount);
        record_number(t, "ns", now->vns - w->at.vns);
        record_end(t);
        return;
    }
    if (again)
        text_add(&text, " = ? restarted");
    else
        add_syscall_result(t, &text, &w->call, result);
    add_duration(t, &text, &w->at, now);
    if (out_join(t, w->id, &text))
        return;
    text_add(&name, "... %s%s", w->call.row != NULL ? w->call.row->name : "syscall", text.data);
    out_line(t, now, 0, &name);
}

static void forget(struct syscalls *s, size_t i)
{
    memmove(&s->list[i], &s->list[i + 1], (s->n - i - 1) * sizeof(s->list[0]));
    s->n--;
}

static bool leads_back(const struct tracer *t, const struct waiting *w, uint64_t rip)
{
    return (w->rip == 0 || w->rip == rip) && (w->rsp == 0 || w->rsp == t->cpu->regs[REG_RSP]);
}

/* A child that shares its parent's address space comes back from where the parent waits. */
static bool is_child(const struct tracer *t, const struct waiting *w, const struct process *who)
{
    return w->role == ROLE_FORK && t->cpu->regs[REG_RAX] == 0 && (who->task == 0 || w->at.who.task == 0);
}

/* execve() that went well: where tasks are not known, in an address space that nobody waits in. */
static bool is_exec_done(const struct tracer *t, const struct waiting *w, const struct process *who,
                         uint64_t rip)
{
    const struct syscalls *s = t->syscalls;

    if (w->role != ROLE_EXEC || t->cpu->regs[REG_RAX] != 0)
        return false;
    if (who->task != 0 && w->at.who.task != 0)
        return same_task(who, &w->at.who);
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].at.who.cr3 == who->cr3 || (s->list[i].role == ROLE_FORK && s->list[i].rip == rip))
            return false;
    return true;
}

static void on_return(struct tracer *t, const struct watch_event *ev)
{
    struct syscalls *s = t->syscalls;
    struct stamp now = stamp_after(t, ev);

    for (size_t i = s->n; i-- > 0;) {
        struct waiting *w = &s->list[i];

        if (!is_exec_done(t, w, &now.who, ev->address) &&
            (!same_task(&w->at.who, &now.who) || !leads_back(t, w, ev->address) || is_child(t, w, &now.who)))
            continue;
        print_return(t, w, &now, false);
        forget(s, i);
        return;
    }
}

/* The same task makes another call: the one that it waits in was begun anew, or given up in a signal
 * handler that did not come back. One from elsewhere is made in a handler. */
static void drop_restarted(struct tracer *t, const struct waiting *next)
{
    struct syscalls *s = t->syscalls;

    for (size_t i = s->n; i-- > 0;) {
        struct waiting *w = &s->list[i];

        if (!same_task(&w->at.who, &next->at.who) || w->rip != next->rip || w->rsp != next->rsp)
            continue;
        print_return(t, w, &next->at, true);
        forget(s, i);
    }
}

/* Calls of tasks that were killed in them stay: not too many of them. */
static int remember(struct syscalls *s, const struct waiting *w)
{
    if (s->n == MAX_WAITING)
        forget(s, 0);
    if (s->n == s->capacity) {
        size_t capacity = s->capacity == 0 ? 64 : 2 * s->capacity;
        struct waiting *list = realloc(s->list, capacity * sizeof(*list));

        if (list == NULL)
            return -1;
        s->list = list;
        s->capacity = capacity;
    }
    s->list[s->n++] = *w;
    return 0;
}

/* A task that ends leaves nothing behind that waits. */
static void drop_task(struct syscalls *s, const struct process *who)
{
    for (size_t i = s->n; i-- > 0;)
        if (who->task != 0 && s->list[i].at.who.task == who->task)
            forget(s, i);
}

static void print_unfinished(struct tracer *t, const struct waiting *w)
{
    struct stamp now = stamp_now(t);
    struct text end = {.len = 0}, line = {.len = 0};

    now.who = w->at.who;
    if (t->out.json) {
        record_begin(t, &now, "unfinished");
        record_number(t, "id", w->id);
        record_end(t);
        return;
    }
    text_add(&end, " has not returned");
    if (out_join(t, w->id, &end))
        return;
    text_add(&line, "... %s%s", w->call.row != NULL ? w->call.row->name : "syscall", end.data);
    out_line(t, &now, 0, &line);
}

static void on_entry(struct tracer *t, const struct watch_event *ev)
{
    struct waiting w;

    if (!is_wanted(t) || !read_entry(t, ev, &w))
        return;
    drop_restarted(t, &w);
    w.id = next_id(t);
    print_entry(t, &w, ev->rip);
    if (w.role == ROLE_EXIT)
        drop_task(t->syscalls, &w.at.who);
    else if (w.role != ROLE_SIGRETURN && remember(t->syscalls, &w) != 0)
        t->failed = true;
}

void syscalls_event(struct tracer *t, const struct watch_event *ev)
{
    if (ev->kind == WATCH_USER_RETURN)
        on_return(t, ev);
    else if (ev->kind == WATCH_SYSCALL || ev->kind == WATCH_SOFT_INTERRUPT)
        on_entry(t, ev);
}

void syscalls_end(struct tracer *t)
{
    for (size_t i = 0; i < t->syscalls->n; i++)
        print_unfinished(t, &t->syscalls->list[i]);
}
