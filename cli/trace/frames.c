/* SPDX-License-Identifier: MIT */
/*
 * Calls that have not returned: calls.h.
 *
 * A call is known by where its return address lies and what it is. It returns when the machine comes to
 * that address with the stack pointer just above that place, whatever ran in between, on whichever stack.
 *
 * A function that runs without a CALL behind it is the handler of an event, which returns to where the event came
 * from, or was jumped to: then nothing is known of its return.
 *
 * What a new call with its return address in the place of another's says of that other one: a different
 * address has replaced it: it is gone. The same address, and a CALL of the new function before it: called again
 * from there, the other is gone. The same address otherwise: the other one has jumped to the new function
 * in its end (a tail call), and they will return together. The same function: called again too, unless its code
 * jumps to its own beginning: then it is in a loop, and this is no call.
 *
 * Depth, for indentation, is how many calls are above on the same stack. Where stacks end is not known: nothing
 * but a distance (MAX_STACK) and pages that are not mapped separate them at first; when code above a call
 * runs while that call waits, they must be on two stacks, and a border between them is noted.
 *
 * In user mode all this is in an address space of its own. Of a Linux guest the task is known too: another one that
 * comes to that address, with a stack that was given to it after the first had ended, does not return from its call.
 */
#include "calls.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../moments.h"
#include "branches.h"
#include "values.h"

#define MAX_STACK_KERNEL (64u << 10)
#define MAX_STACK_USER   (8u << 20)
#define MAX_POPPED       256u  /* bytes of arguments that a 32-bit function may pop as it returns */
#define SWEEP_AT_FIRST   256u
#define MAX_FRAMES       65536u
#define MAX_BORDERS      64u

struct frames {
    struct frame *list; /* the oldest first */
    size_t n, capacity;
    size_t sweep_at;
    uint64_t borders[MAX_BORDERS]; /* slots that are the highest of their stacks */
    size_t nborders;
};

struct frames *frames_create(void)
{
    struct frames *f = calloc(1, sizeof(*f));

    if (f != NULL)
        f->sweep_at = SWEEP_AT_FIRST;
    return f;
}

void frames_destroy(struct frames *f)
{
    if (f == NULL)
        return;
    free(f->list);
    free(f);
}

/* --- the stack --- */

unsigned stack_word(const struct cpu *cpu)
{
    switch (cpu_code_size(cpu)) {
    case CODE_64: return 8;
    case CODE_32: return 4;
    default: return 2;
    }
}

uint64_t stack_top(const struct cpu *cpu)
{
    uint64_t sp = cpu->regs[REG_RSP];

    if (cpu_code_size(cpu) == CODE_64)
        return sp;
    sp = cpu->seg[SEG_SS].ar & AR_DB ? (uint32_t)sp : (uint16_t)sp;
    return (uint32_t)(cpu->seg[SEG_SS].base + sp);
}

/* False: not mapped. */
static bool read_slot(const struct cpu *cpu, uint64_t slot, unsigned word, uint64_t *value)
{
    *value = 0;
    return cpu_peek(cpu, slot, value, word) == word;
}

static bool same_space(const struct tracer *t, const struct frame *frame)
{
    return frame->cpl == t->cpu->cpl &&
           (frame->cpl != 3 || frame->at.who.cr3 == (t->cpu->cr3 & ~(uint64_t)0xfff));
}

/* Of a Linux guest it is known that another task runs: then this one's stack is another, or was its before. */
static bool is_of_other_task(const struct frame *frame, const struct process *who)
{
    return frame->at.who.task != 0 && who->task != 0 && frame->at.who.task != who->task;
}

/* Something else lies where its return address was: it will not return. */
static bool is_gone(const struct tracer *t, const struct frame *frame)
{
    uint64_t value;

    return same_space(t, frame) && read_slot(t->cpu, frame->slot, frame->word, &value) && value != frame->pushed;
}

/* Its return address is still where it was. */
static bool is_intact(const struct tracer *t, const struct frame *frame)
{
    uint64_t value;

    return read_slot(t->cpu, frame->slot, frame->word, &value) && value == frame->pushed;
}

/* --- stacks --- */

static uint64_t max_stack(unsigned cpl)
{
    return cpl == 3 ? MAX_STACK_USER : MAX_STACK_KERNEL;
}

static bool border_between(const struct frames *f, uint64_t low, uint64_t high)
{
    for (size_t i = 0; i < f->nborders; i++)
        if (low <= f->borders[i] && f->borders[i] < high)
            return true;
    return false;
}

static bool mapped_between(const struct cpu *cpu, uint64_t low, uint64_t high)
{
    for (uint64_t page = low | 0xfff; page < high; page += 0x1000)
        if (cpu_peek_translate(cpu, page + 1) == UINT64_MAX)
            return false;
    return true;
}

/* Code runs with its stack at `top`: calls below that wait are on another one. */
static void learn_border(const struct tracer *t, struct frames *f, uint64_t top)
{
    uint64_t highest = 0;

    if (t->tasks.known)
        return; /* tasks tell stacks apart */
    for (size_t i = 0; i < f->n; i++) {
        const struct frame *a = &f->list[i];

        if (a->slot < top && top - a->slot <= max_stack(a->cpl) && a->slot > highest && same_space(t, a) &&
            is_intact(t, a))
            highest = a->slot;
    }
    if (highest == 0 || border_between(f, highest, top) || !mapped_between(t->cpu, highest, top))
        return;
    if (f->nborders == MAX_BORDERS)
        memmove(f->borders, f->borders + 1, --f->nborders * sizeof(f->borders[0]));
    f->borders[f->nborders++] = highest;
}

/* What was taken for the call of another stack will never return: there may be no such stack. */
static void forget_border(struct frames *f, uint64_t slot)
{
    for (size_t i = f->nborders; i-- > 0;)
        if (f->borders[i] == slot)
            f->borders[i] = f->borders[--f->nborders];
}

/* --- how calls end --- */

static void print_end(struct tracer *t, const struct frame *frame, const char *type, const struct text *how,
                      const struct stamp *at)
{
    struct text line = {.len = 0};
    struct stamp now = *at;

    now.who = frame->at.who;
    if (t->out.json) {
        record_begin(t, &now, type);
        record_number(t, "id", frame->id);
        record_text(t, "function", frame->function->name);
        if (strcmp(type, "return") == 0 && frame->entered != BY_EVENT)
            record_address(t, "value", t->cpu->regs[REG_RAX]);
        record_number(t, "instructions", now.at.icount - frame->at.at.icount);
        record_number(t, "ns", now.vns - frame->at.vns);
        record_number(t, "depth", frame->depth);
        record_end(t);
        return;
    }
    if (out_join(t, frame->id, how))
        return;
    text_add(&line, "%*s%s%s", (int)(2 * (frame->depth < 20 ? frame->depth : 20)), "", frame->function->name,
             how->data);
    out_line(t, &now, 0, &line);
}

static void forget(struct frames *f, size_t i)
{
    memmove(&f->list[i], &f->list[i + 1], (f->n - i - 1) * sizeof(f->list[0]));
    f->n--;
}

static void print_return(struct tracer *t, const struct frame *frame, const struct stamp *now)
{
    struct text how = {.len = 0};

    add_returned(t, &how, frame);
    add_duration(t, &how, &frame->at, now);
    print_end(t, frame, "return", &how, now);
}

/* It will not return, or had not when the run was over: `type` is "lost" or "unfinished". */
static void print_no_return(struct tracer *t, const struct frame *frame, const char *type)
{
    struct text how = {.len = 0};
    struct stamp now = stamp_now(t);
    char n[MOMENT_TEXT];

    text_add(&how, "%s", strcmp(type, "lost") == 0 ? " never returned" : " has not returned");
    if (t->out.held_id != frame->id)
        text_add(&how, ", called at %s", moment_text(frame->at.at, n));
    print_end(t, frame, type, &how, &now);
}

static void give_up(struct tracer *t, struct frames *f, size_t i)
{
    print_no_return(t, &f->list[i], "lost");
    forget_border(f, f->list[i].slot);
    forget(f, i);
}

/* Of many that wait, those whose return address is gone. */
static void sweep(struct tracer *t, struct frames *f)
{
    if (f->n < f->sweep_at)
        return;
    for (size_t i = 0; i < f->n;)
        if (is_gone(t, &f->list[i]))
            give_up(t, f, i);
        else
            i++;
    f->sweep_at = 2 * f->n > SWEEP_AT_FIRST ? 2 * f->n : SWEEP_AT_FIRST;
}

/* --- the place of a new call --- */

/* What a waiting call whose return address lies where the new one's does has become. */
enum relation { RELATION_GONE, RELATION_TAIL, RELATION_LOOP };

static enum relation relation_of(const struct tracer *t, const struct frame *old, const struct frame *new,
                                 struct function *function)
{
    if (old->ret != new->ret || new->entered == BY_EVENT || is_of_other_task(old, &new->at.who))
        return RELATION_GONE;
    if (old->function == function) {
        if (function->loops == LOOPS_UNKNOWN)
            function->loops = leads_to_itself(t->cpu, function->address, function->size) ? LOOPS_YES : LOOPS_NO;
        return function->loops == LOOPS_YES ? RELATION_LOOP : RELATION_GONE;
    }
    return is_called_before(t->cpu, new->ret, function->address) ? RELATION_GONE : RELATION_TAIL;
}

/* Looks at the calls whose return address lies in the same place, the latest first. The index of that which
 * jumped here; SIZE_MAX: none. *loop: this is no call. */
static size_t settle_slot(struct tracer *t, struct frames *f, const struct frame *new, struct function *function,
                          bool *loop)
{
    size_t tail = SIZE_MAX;

    *loop = false;
    for (size_t i = f->n; i-- > 0;) {
        if (f->list[i].slot != new->slot || !same_space(t, &f->list[i]))
            continue;
        switch (relation_of(t, &f->list[i], new, function)) {
        case RELATION_GONE: /* with all that it had jumped to */
            give_up(t, f, i);
            tail = tail == SIZE_MAX ? tail : tail - 1;
            break;
        case RELATION_LOOP: *loop = true; return SIZE_MAX;
        case RELATION_TAIL: tail = tail == SIZE_MAX ? i : tail; break;
        }
    }
    return tail;
}

/* The nearest call above `slot`, not more than `distance` away; of several that return together the innermost.
 * SIZE_MAX: none. */
static size_t nearest_above(const struct tracer *t, const struct frames *f, uint64_t slot, uint64_t distance,
                            const struct process *who)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < f->n; i++) {
        const struct frame *a = &f->list[i];

        if (a->slot > slot && a->slot - slot <= distance && same_space(t, a) && !is_of_other_task(a, who) &&
            (best == SIZE_MAX || a->slot < f->list[best].slot ||
             (a->slot == f->list[best].slot && a->depth >= f->list[best].depth)))
            best = i;
    }
    return best;
}

/* The call that a new one is in: the nearest above it on the same stack; SIZE_MAX: none. */
static size_t find_parent(struct tracer *t, struct frames *f, const struct frame *new)
{
    size_t best;

    while ((best = nearest_above(t, f, new->slot, max_stack(new->cpl), &new->at.who)) != SIZE_MAX) {
        const struct frame *above = &f->list[best];

        if (is_gone(t, above))
            give_up(t, f, best);
        else if (border_between(f, new->slot, above->slot) || !mapped_between(t->cpu, new->slot, above->slot))
            return SIZE_MAX;
        else
            return best;
    }
    return SIZE_MAX;
}

/* --- entries and returns --- */

static bool append(struct tracer *t, struct frames *f, const struct frame *new)
{
    if (f->n == MAX_FRAMES)
        give_up(t, f, 0); /* the oldest: so many do not wait, they are lost */
    if (f->n == f->capacity) {
        size_t capacity = f->capacity == 0 ? 64 : 2 * f->capacity;
        struct frame *list = realloc(f->list, capacity * sizeof(*list));

        if (list == NULL) {
            t->failed = true;
            return false;
        }
        f->list = list;
        f->capacity = capacity;
    }
    f->list[f->n++] = *new;
    return true;
}

static enum entered how_entered(const struct tracer *t, const struct frame *new, const struct origin *origin)
{
    if (moment_equal(machine_moment(t->m), origin->entered))
        return BY_EVENT;
    return new->ret != 0 && is_call_before(t->cpu, new->ret) ? BY_CALL : BY_JUMP;
}

bool frames_enter(struct tracer *t, struct frames *f, struct function *function, const struct origin *origin,
                  struct frame *frame)
{
    size_t parent;
    bool loop;

    *frame = (struct frame){.function = function,
                            .origin = *origin,
                            .slot = stack_top(t->cpu),
                            .word = stack_word(t->cpu),
                            .cpl = t->cpu->cpl,
                            .at = stamp_now(t)};
    if (read_slot(t->cpu, frame->slot, frame->word, &frame->pushed))
        frame->ret = frame->word == 8 ? frame->pushed
                                      : (uint32_t)(frame->pushed + t->cpu->seg[SEG_CS].base);
    frame->entered = how_entered(t, frame, origin);
    sweep(t, f);
    parent = settle_slot(t, f, frame, function, &loop);
    if (loop)
        return false;
    if (parent != SIZE_MAX && frame->entered == BY_CALL)
        frame->entered = BY_TAIL;
    if (parent == SIZE_MAX)
        parent = find_parent(t, f, frame);
    frame->id = next_id(t);
    frame->depth = parent == SIZE_MAX ? 0 : f->list[parent].depth + 1;
    learn_border(t, f, frame->slot);
    return frame->entered == BY_JUMP || append(t, f, frame);
}

static bool returns_now(const struct tracer *t, const struct frame *frame, uint64_t linear, uint64_t top,
                        const struct process *who)
{
    uint64_t popped = top - frame->slot - frame->word;

    return frame->ret == linear && frame->entered != BY_EVENT && same_space(t, frame) &&
           !is_of_other_task(frame, who) &&
           (frame->word == 8 ? popped == 0 : popped <= MAX_POPPED);
}

void frames_return(struct tracer *t, struct frames *f, uint64_t linear)
{
    uint64_t top = stack_top(t->cpu), slot = 0;
    struct stamp now;

    if (f->n == 0)
        return;
    now = stamp_now(t);
    for (size_t i = 0; i < f->n; i++)
        if (returns_now(t, &f->list[i], linear, top, &now.who) && f->list[i].slot > slot)
            slot = f->list[i].slot;
    for (size_t i = f->n; slot != 0 && i-- > 0;) {
        if (f->list[i].slot != slot || !returns_now(t, &f->list[i], linear, top, &now.who))
            continue;
        print_return(t, &f->list[i], &now);
        forget(f, i);
    }
    learn_border(t, f, top);
}

void frames_far_return(struct tracer *t, struct frames *f, const struct watch_event *ev)
{
    struct stamp now;

    for (size_t i = f->n; i-- > 0;) {
        const struct origin *o = &f->list[i].origin;

        if (f->list[i].entered != BY_EVENT || o->rip != ev->address || o->rsp != t->cpu->regs[REG_RSP] ||
            o->cpl != t->cpu->cpl || (o->cpl == 3 && o->cr3 != (t->cpu->cr3 & ~(uint64_t)0xfff)))
            continue;
        now = stamp_after(t, ev);
        print_return(t, &f->list[i], &now);
        forget(f, i);
        return;
    }
}

void frames_end(struct tracer *t, struct frames *f)
{
    for (size_t i = 0; i < f->n; i++) {
        bool gone = is_gone(t, &f->list[i]);

        print_no_return(t, &f->list[i], gone ? "lost" : "unfinished");
    }
    f->n = 0;
}
