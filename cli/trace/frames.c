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
 * In user mode all this is in an address space of its own.
 */
#include "calls.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "../numbers.h"
#include "values.h"

#define MAX_STACK_KERNEL (64u << 10)
#define MAX_STACK_USER   (8u << 20)
#define MAX_POPPED       256u  /* bytes of arguments that a 32-bit function may pop as it returns */
#define SWEEP_AT_FIRST   256u
#define MAX_BORDERS      64u
#define MAX_CALL         8u    /* bytes of a CALL */
#define MAX_CODE         (64u << 10) /* of a function that is looked at */

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

/* Its return address is still where it was. */
static bool is_intact(const struct tracer *t, const struct frame *frame)
{
    uint64_t value;

    return read_slot(t->cpu, frame->slot, frame->word, &value) && value == frame->pushed;
}

/* --- how calls end --- */

static void print_end(struct tracer *t, const struct frame *frame, const char *type, const struct text *how,
                      const struct place *at)
{
    struct text line = {.len = 0};
    struct place now = *at;

    now.who = frame->at.who;
    if (t->out.json) {
        json_begin(t, &now, type);
        json_number(t, "id", frame->id);
        json_text(t, "function", frame->function->name);
        if (strcmp(type, "return") == 0 && frame->entered != BY_EVENT)
            json_address(t, "value", t->cpu->regs[REG_RAX]);
        json_number(t, "instructions", now.icount - frame->at.icount);
        json_number(t, "ns", now.vns - frame->at.vns);
        json_number(t, "depth", frame->depth);
        json_end(t);
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

static void print_return(struct tracer *t, const struct frame *frame, uint64_t icount)
{
    struct text how = {.len = 0};
    struct place now = place_of(t, icount);

    add_returned(t, &how, frame);
    add_duration(t, &how, &frame->at, &now);
    print_end(t, frame, "return", &how, &now);
}

/* It will not return, or had not when the run was over: `type` is "lost" or "unfinished". */
static void print_no_return(struct tracer *t, const struct frame *frame, const char *type)
{
    struct text how = {.len = 0};
    struct place now = place_of(t, t->m->clock.icount);
    char n[NUMBER_TEXT];

    text_add(&how, "%s", strcmp(type, "lost") == 0 ? " never returned" : " has not returned");
    if (t->out.held_id != frame->id)
        text_add(&how, ", called at %s", number_text(frame->at.icount, n));
    print_end(t, frame, type, &how, &now);
}

static void give_up(struct tracer *t, struct frames *f, size_t i)
{
    print_no_return(t, &f->list[i], "lost");
    forget(f, i);
}

/* Of many that wait, those whose return address is gone. */
static void sweep(struct tracer *t, struct frames *f)
{
    if (f->n < f->sweep_at)
        return;
    for (size_t i = f->n; i-- > 0;)
        if (same_space(t, &f->list[i]) && !is_intact(t, &f->list[i]))
            give_up(t, f, i);
    f->sweep_at = 2 * f->n > SWEEP_AT_FIRST ? 2 * f->n : SWEEP_AT_FIRST;
}

/* --- the place of a new call --- */

static void init_decoder(const struct cpu *cpu, ZydisDecoder *decoder)
{
    switch (cpu_code_size(cpu)) {
    case CODE_64: ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64); break;
    case CODE_32: ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32); break;
    default: ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16); break;
    }
}

/* A decoded branch: how long, of which kind, and where it leads if its code says so. */
struct branch {
    size_t len;  /* 0: no instruction */
    bool call, jump, direct;
    uint64_t to; /* cut to the width of the code's addresses */
};

static struct branch decode(const ZydisDecoder *decoder, const uint8_t *code, size_t len, uint64_t at)
{
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    struct branch b = {0};
    ZyanU64 to = 0;

    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, code, len, &insn, operands)))
        return b;
    b.len = insn.length;
    b.call = insn.meta.category == ZYDIS_CATEGORY_CALL;
    b.jump = insn.meta.category == ZYDIS_CATEGORY_COND_BR || insn.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
    b.direct = (b.call || b.jump) && operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
               ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&insn, &operands[0], at, &to));
    b.to = to;
    return b;
}

static bool leads_to(const struct cpu *cpu, const struct branch *b, uint64_t target)
{
    uint64_t difference = b->to ^ target;

    switch (cpu_code_size(cpu)) {
    case CODE_64: return b->direct && difference == 0;
    case CODE_32: return b->direct && (uint32_t)difference == 0;
    default: return b->direct && (uint16_t)difference == 0;
    }
}

/* The CALL before `ret`. False: there is none. */
static bool find_call(const struct cpu *cpu, uint64_t ret, struct branch *call)
{
    uint8_t code[MAX_CALL];
    ZydisDecoder decoder;

    init_decoder(cpu, &decoder);
    for (size_t len = 2; len <= MAX_CALL; len++) {
        if (cpu_peek(cpu, ret - len, code, len) != len)
            return false;
        *call = decode(&decoder, code, len, ret - len);
        if (call->len == len && call->call)
            return true;
    }
    return false;
}

static enum loops find_loop(const struct cpu *cpu, const struct function *function)
{
    size_t size = function->size != 0 && function->size < MAX_CODE ? (size_t)function->size : 4096, len;
    uint8_t *code = malloc(size);
    enum loops answer = LOOPS_NO;
    ZydisDecoder decoder;
    struct branch b;

    if (code == NULL)
        return LOOPS_NO;
    len = cpu_peek(cpu, function->address, code, size);
    init_decoder(cpu, &decoder);
    for (size_t at = 0; at < len && answer == LOOPS_NO; at += b.len) {
        b = decode(&decoder, code + at, len - at, function->address + at);
        if (b.jump && leads_to(cpu, &b, function->address))
            answer = LOOPS_YES;
        if (b.len == 0)
            break;
    }
    free(code);
    return answer;
}

/* What a waiting call whose return address lies where the new one's does has become. */
enum relation { RELATION_GONE, RELATION_TAIL, RELATION_LOOP };

static enum relation relation_of(const struct tracer *t, const struct frame *old, const struct frame *new,
                                 struct function *function)
{
    struct branch call;

    if (old->ret != new->ret || new->entered == BY_EVENT)
        return RELATION_GONE;
    if (old->function == function) {
        if (function->loops == LOOPS_UNKNOWN)
            function->loops = find_loop(t->cpu, function);
        return function->loops == LOOPS_YES ? RELATION_LOOP : RELATION_GONE;
    }
    return find_call(t->cpu, new->ret, &call) && leads_to(t->cpu, &call, function->address) ? RELATION_GONE
                                                                                            : RELATION_TAIL;
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

/* The nearest call above `slot` on the same stack; SIZE_MAX: none. */
static size_t find_parent(const struct tracer *t, const struct frames *f, uint64_t slot)
{
    size_t best = SIZE_MAX;
    uint64_t nearest = slot + max_stack(t->cpu->cpl);

    for (size_t i = 0; i < f->n; i++) {
        const struct frame *a = &f->list[i];

        if (a->slot <= slot || a->slot > nearest || !same_space(t, a) || !is_intact(t, a))
            continue;
        if (best != SIZE_MAX && a->slot == nearest && a->depth < f->list[best].depth)
            continue;
        best = i;
        nearest = a->slot;
    }
    if (best == SIZE_MAX || border_between(f, slot, nearest) || !mapped_between(t->cpu, slot, nearest))
        return SIZE_MAX;
    return best;
}

/* Code of the stack `stack` runs at `slot`: calls below that wait are on another one. */
static void learn_border(const struct tracer *t, struct frames *f, uint64_t stack, uint64_t slot)
{
    uint64_t highest = 0;

    for (size_t i = 0; i < f->n; i++)
        if (f->list[i].stack == stack && f->list[i].slot < slot && same_space(t, &f->list[i]) &&
            is_intact(t, &f->list[i]) && f->list[i].slot > highest)
            highest = f->list[i].slot;
    if (highest == 0 || f->nborders == MAX_BORDERS || border_between(f, highest, slot))
        return;
    f->borders[f->nborders++] = highest;
    for (size_t i = 0; i < f->n; i++)
        if (f->list[i].stack == stack && f->list[i].slot <= highest)
            f->list[i].stack = f->list[i].id;
}

/* --- entries and returns --- */

static bool append(struct tracer *t, struct frames *f, const struct frame *new)
{
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
    struct branch call;

    if (moment_equal(machine_moment(t->m), origin->entered))
        return BY_EVENT;
    return new->ret != 0 && find_call(t->cpu, new->ret, &call) ? BY_CALL : BY_JUMP;
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
                            .at = place_of(t, t->m->clock.icount)};
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
        parent = find_parent(t, f, frame->slot);
    frame->id = next_id(t);
    frame->stack = parent == SIZE_MAX ? frame->id : f->list[parent].stack;
    frame->depth = parent == SIZE_MAX ? 0 : f->list[parent].depth + 1;
    if (parent != SIZE_MAX)
        learn_border(t, f, frame->stack, frame->slot);
    return frame->entered == BY_JUMP || append(t, f, frame);
}

static bool returns_now(const struct tracer *t, const struct frame *frame, uint64_t linear, uint64_t top)
{
    uint64_t popped = top - frame->slot - frame->word;

    return frame->ret == linear && frame->entered != BY_EVENT && same_space(t, frame) &&
           (frame->word == 8 ? popped == 0 : popped <= MAX_POPPED);
}

void frames_return(struct tracer *t, struct frames *f, uint64_t linear)
{
    uint64_t top = stack_top(t->cpu), slot = 0;

    for (size_t i = 0; i < f->n; i++)
        if (returns_now(t, &f->list[i], linear, top) && f->list[i].slot > slot)
            slot = f->list[i].slot;
    for (size_t i = f->n; slot != 0 && i-- > 0;) {
        if (f->list[i].slot != slot || !returns_now(t, &f->list[i], linear, top))
            continue;
        print_return(t, &f->list[i], t->m->clock.icount);
        forget(f, i);
    }
}

void frames_far_return(struct tracer *t, struct frames *f, uint64_t rip, uint64_t icount)
{
    for (size_t i = f->n; i-- > 0;) {
        const struct origin *o = &f->list[i].origin;

        if (f->list[i].entered != BY_EVENT || o->rip != rip || o->rsp != t->cpu->regs[REG_RSP] ||
            o->cpl != t->cpu->cpl || (o->cpl == 3 && o->cr3 != (t->cpu->cr3 & ~(uint64_t)0xfff)))
            continue;
        print_return(t, &f->list[i], icount);
        forget(f, i);
        return;
    }
}

void frames_end(struct tracer *t, struct frames *f)
{
    for (size_t i = 0; i < f->n; i++) {
        bool gone = same_space(t, &f->list[i]) && !is_intact(t, &f->list[i]);

        print_no_return(t, &f->list[i], gone ? "lost" : "unfinished");
    }
    f->n = 0;
}
