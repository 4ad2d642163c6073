/* SPDX-License-Identifier: MIT */
/*
 * The emulated CPU against the host CPU: integer, x87, MMX and SSE instructions in 64-bit and 32-bit
 * user mode.
 *
 *   diff_cpu [--set integer|simd|x87|mixed|bytes] [--seed S] [--count N] [--sequence I] [--bits 32|64]
 *            [--keep-going N] [--self-test]
 *
 * Runs random sequences until N instructions (default a million) were executed and compared: all
 * registers, floating-point state, defined flags, exception with error code and CR2, and memory.
 * Each sequence runs three times: on the host, in the emulator in one go, and in the emulator an
 * instruction at a time; the two emulator runs must agree in everything, undefined flags and
 * instruction count included.
 *
 * A sequence that differs is reduced, and printed with what reproduces it.
 *
 * On a host that runs no 32-bit code (README.md) all sequences are of 64-bit code; their far
 * transfers to the missing segment have to fault on both sides.
 *
 * Exit status: 0 no difference, 1 differences, 2 usage or set-up, 77 (a skip, to meson) when 32-bit
 * code was asked for and the host runs none.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <Zydis/Zydis.h>

#include <emu/cpu.h>

#include "diff_compare.h"
#include "diff_encoding.h"
#include "diff_guest.h"
#include "diff_undef.h"
#include "gen.h"
#include "native.h"

#define RETRIES       5u /* of what failed, to tell a difference from a disturbance */
#define MAX_DISTURBED 2u /* and as many a million instructions */
#define DEFAULT_COUNT       1000000u
#define MAX_CUTS            40
#define STATUS_SETUP        2
#define STATUS_SKIP         77
#define REPORT_BYTES        4096

struct options {
    uint64_t seed, count, sequence;
    bool one_sequence, self_test;
    unsigned bits, keep_going;
    enum gen_set set;
};

/* One sequence on its way through both CPUs. */
struct run {
    struct gen_program program;
    struct seq seq;
    struct outcome guest; /* in one go or in slices */
    struct excused undef; /* not to be compared with the host */
    uint32_t insns;
    bool skip;   /* cannot be compared */
    bool broken; /* the emulator disagrees with itself: see report */
    char report[REPORT_BYTES];
};

struct batch {
    unsigned slot, count;
    struct run runs[NATIVE_BATCH];
    uint64_t index[NATIVE_BATCH];
};

struct session {
    struct options opt;
    uint8_t template[ARENA_BYTES];
    struct native *native;
    struct guest *guest;
    struct undef undef;
    struct outcome stepped;
    struct batch batches[NATIVE_SLOTS];
    struct run scratch; /* for reducing */
    bool inject;        /* self-test: spoil RAX after XADD */
    uint64_t next, insns, compared, skipped, cut, failures, disturbed;
    uint64_t vectors[32];
};

/* --- the emulator's runs --- */

static unsigned peek_arena(void *opaque, uint64_t va, uint8_t *out, unsigned len)
{
    return (unsigned)guest_peek(opaque, va, out, len);
}

static bool on_step(void *opaque, const struct cpu *cpu)
{
    struct session *s = opaque;
    uint8_t bytes[INSN_MAX_LEN];

    if (s->opt.set == GEN_BYTES &&
        encoding_is_not_for_hosts(cpu, bytes, peek_arena(s->guest, cpu->rip, bytes, sizeof(bytes)))) {
        s->undef.cut_rip = cpu->rip;
        return false;
    }
    return undef_step(&s->undef, cpu);
}

/* Stepped, with INT3 put where the outcome would be undefined. */
static enum guest_end run_stepped(struct session *s, struct run *r, uint64_t *icount)
{
    enum guest_end end;
    unsigned cuts;

    for (cuts = 0; cuts < MAX_CUTS; cuts++) {
        uint64_t offset;

        undef_begin(&s->undef);
        end = guest_run_stepped(s->guest, &r->seq, &s->stepped, icount, on_step, s);
        if (end != GUEST_CUT)
            return end;
        offset = s->undef.cut_rip - r->seq.rip;
        if (offset >= r->seq.code_len)
            return GUEST_CUT;
        r->seq.code[offset] = 0xcc;
        s->cut++;
    }
    return GUEST_CUT;
}

static void note_broken(struct run *r, const char *what, const char *more)
{
    r->broken = true;
    snprintf(r->report, sizeof(r->report), "  %s: %s\n", what, more);
}

/* Half of the sequences run in one go, half in slices of 2 to 9 instructions. */
static unsigned slice_of(const struct gen_program *p)
{
    return p->seed & 1 ? 0 : 2 + (unsigned)(p->seed >> 1 & 7);
}

/* Both runs in the emulator; leaves r->skip, r->broken or an outcome to compare with the host's. */
static void run_guest(struct session *s, struct run *r)
{
    uint64_t stepped_icount = 0, icount = 0;
    const struct excused nothing = {0};
    enum guest_end end;
    struct text t = {r->report, sizeof(r->report)};
    unsigned n;

    r->skip = r->broken = false;
    r->report[0] = '\0';
    r->insns = 0;
    if (!gen_assemble(&r->program, &r->seq)) {
        r->skip = true;
        return;
    }
    end = run_stepped(s, r, &stepped_icount);
    if (end == GUEST_BROKEN)
        note_broken(r, "stepped", guest_problem(s->guest));
    r->skip = end != GUEST_DONE;
    if (end != GUEST_DONE)
        return;
    end = guest_run(s->guest, &r->seq, slice_of(&r->program), &r->guest, &icount);
    if (end != GUEST_DONE) {
        note_broken(r, "sliced", end == GUEST_BROKEN ? guest_problem(s->guest) : "does not end");
        return;
    }
    say(&t, "  stepped (expected) and sliced (found):\n");
    n = compare(&s->stepped, &r->guest, &nothing, s->template, &t);
    n += compare_item(&t, "icount", stepped_icount, icount);
    r->broken = n != 0;
    r->insns = s->undef.insns;
    r->undef.flags = s->stepped.vector == 1 ? s->undef.after : s->undef.now;
    r->undef.x87_pointers = s->stepped.vector != EXC_MF || !s->undef.pointers_known;
    /* not preserved from 64-bit to 32-bit code (SDM vol. 1, 3.4.1.1) */
    r->undef.rsp_high = r->program.bits == 64 && r->guest.cs == USER_CS32;
    memcpy(r->undef.memory, s->undef.pointers, sizeof(r->undef.memory));
    if (s->inject && undef_saw(&s->undef, INSN_XADD))
        r->guest.regs[0] ^= 8;
}

/* --- what may differ between makers --- */

/* Up to INSN_MAX_LEN bytes of the instruction at the outcome's RIP; how many. */
static unsigned bytes_at(struct session *s, const struct run *r, uint8_t *bytes)
{
    uint64_t offset = r->guest.rip - r->seq.rip;
    unsigned n = 0;

    if (offset >= r->seq.code_len)
        return peek_arena(s->guest, r->guest.rip, bytes, INSN_MAX_LEN);
    memset(bytes, 0xcc, INSN_MAX_LEN); /* what is behind it */
    for (; n < INSN_MAX_LEN && offset + n < r->seq.code_len; n++)
        bytes[n] = r->seq.code[offset + n];
    return INSN_MAX_LEN;
}

static bool insn_at(struct session *s, const struct run *r, struct insn *in)
{
    uint8_t bytes[INSN_MAX_LEN];
    unsigned n = bytes_at(s, r, bytes);

    return insn_decode(bytes, n, r->guest.cs == USER_CS64 ? CODE_64 : CODE_32, in) == DECODE_OK;
}

/* How many bytes of an undefined encoding are fetched before that is known (UD1 has a ModRM byte
 * for Intel, not for AMD; invalid opcodes their immediates, or not): #UD here, there a page fault
 * of the fetch. */
static bool is_fetch_of_undefined(const struct outcome *ud, const struct outcome *pf)
{
    return ud->vector == EXC_UD && pf->vector == EXC_PF && (pf->error & PF_FETCH) &&
           pf->cr2 % PAGE == 0 && pf->rip == ud->rip && pf->cr2 - ud->rip < INSN_MAX_LEN;
}

/* How long an undefined encoding is: with so many prefixes, over 15 bytes for one maker and not for another. */
static bool is_long_undefined(struct session *s, const struct run *r, const struct outcome *ud,
                              const struct outcome *gp)
{
    uint8_t bytes[INSN_MAX_LEN];
    unsigned n = bytes_at(s, r, bytes);

    return ud->vector == EXC_UD && gp->vector == EXC_GP && gp->error == 0 && gp->rip == ud->rip &&
           encoding_front(bytes, n, ud->cs == USER_CS64).n >= 4;
}

static uint64_t reg_of(const struct outcome *o, unsigned reg)
{
    return reg < REG_NONE ? o->regs[reg] : 0;
}

/* AMD wants an operand of FS or GS canonical before the segment's base is added; for Intel the sum
 * counts (SDM vol. 1, 3.3.7.1). */
static bool is_offset_not_canonical(const struct insn *in, const struct outcome *host,
                                    const struct outcome *guest)
{
    int64_t offset = (int64_t)(guest->cr2 - GS_BASE);

    if (guest->vector == EXC_AC && (in->flags & INSN_MEM)) /* which says no address */
        offset = (int64_t)(reg_of(guest, in->base) + (reg_of(guest, in->index) << in->scale)) + in->disp;
    return in->seg >= SEG_FS && host->vector == EXC_GP && (guest->vector == EXC_PF || guest->vector == EXC_AC) &&
           offset >> 47 != 0 && offset >> 47 != -1;
}

static bool is_memory_fault(unsigned vector)
{
    return vector == EXC_PF || vector == EXC_SS || vector == EXC_AC || vector == EXC_GP;
}

static bool is_state_image(unsigned id)
{
    return id == INSN_FNSTENV || id == INSN_FNSAVE || id == INSN_FLDENV || id == INSN_FRSTOR ||
           id == INSN_FXSAVE || id == INSN_FXRSTOR || (id >= INSN_XSAVE && id <= INSN_XRSTOR);
}

/*
 * Faults of instructions that access memory more than once, where makers differ in what they report
 * or have done by then. All else has to be equal. CALL to a non-canonical address with a stack that
 * cannot be written: Intel checks the address first (SDM vol. 2, CALL, the operation section), AMD
 * pushes first. Images of the x87's state: which byte of the bad page CR2 tells. CMPS with two bad
 * operands: the AMD that this was written on reads ES:rDI first, but with REPE and bytes DS:rSI.
 * RETF, IRET: the order in which the words are read, and against the checks of the selector. POPA:
 * that AMD has loaded the registers of the words before the one that cannot be read. Operands of 80 bits that go beyond
 * the end of the address space: an AMD stores, or loads by CS, and faults, by 64 and 16 bits.
 */
static bool has_two_reasons(const struct insn *in, const struct outcome *guest)
{
    bool is_wide = in->id == INSN_FBLD || in->id == INSN_FBSTP ||
                   ((in->id == INSN_FLD || in->id == INSN_FSTP) && in->opsize == OPSIZE_128);

    return (is_wide && guest->vector != EXC_PF) || is_state_image(in->id) || in->id == INSN_CMPS ||
           in->id == INSN_RET_FAR || in->id == INSN_IRET || in->id == INSN_POPA ||
           (in->id == INSN_CALL && guest->vector == EXC_GP);
}

/* RF is pushed set when a repeated string instruction is stepped through (SDM vol. 3, 17.3.1.1); an AMD pushes it
 * clear. */
static bool is_between_iterations(struct session *s, const struct run *r)
{
    struct insn in;

    return r->guest.vector == EXC_DB && insn_at(s, r, &in) && (insn_info[in.id].attrs & IA_STRING) &&
           (in.flags & (INSN_REP | INSN_REPNE));
}

/* The two differ as makers do; all else has to be equal. */
static bool is_makers_choice(struct session *s, const struct run *r, const struct outcome *host)
{
    struct outcome *same = &s->stepped;
    struct insn in;
    char buf[256];
    struct text t = {buf, sizeof(buf)};

    if (is_fetch_of_undefined(&r->guest, host) || is_fetch_of_undefined(host, &r->guest) ||
        is_long_undefined(s, r, &r->guest, host) || is_long_undefined(s, r, host, &r->guest))
        return true;
    if (!is_memory_fault(host->vector) || !is_memory_fault(r->guest.vector) || !insn_at(s, r, &in))
        return false;
    if (!is_offset_not_canonical(&in, host, &r->guest) && !has_two_reasons(&in, &r->guest))
        return false;
    *same = *host;
    if (in.id == INSN_POPA)
        memcpy(same->regs, r->guest.regs, sizeof(same->regs));
    same->regs[REG_RSP] = host->regs[REG_RSP];
    same->vector = r->guest.vector;
    same->error = r->guest.error;
    same->cr2 = r->guest.cr2;
    return compare(same, &r->guest, &r->undef, s->template, &t) == 0;
}

/* --- reporting and reducing --- */

static const char *const set_names[] = {"integer", "simd", "x87", "mixed", "bytes"};

static bool differs(struct session *s, struct run *r, const struct outcome *host)
{
    struct text t = {r->report, sizeof(r->report)};

    r->report[0] = '\0';
    if (is_between_iterations(s, r))
        r->undef.flags |= RFLAGS_RF;
    say(&t, "  host (expected) and emulator (found):\n");
    return compare(host, &r->guest, &r->undef, s->template, &t) != 0 &&
           !is_makers_choice(s, r, host);
}

/* Runs one program alone. True when it fails; r->report says how. */
static bool fails(struct session *s, struct run *r)
{
    struct native_batch *b = native_slot(s->native, 0);
    unsigned culprit;

    run_guest(s, r);
    if (r->broken)
        return true;
    if (r->skip)
        return false;
    b->count = 1;
    b->seqs[0] = r->seq;
    if (native_submit(s->native, 0) != 0 || native_wait(s->native, 0, &culprit) != 0) {
        snprintf(r->report, sizeof(r->report), "  the native child died\n");
        return true;
    }
    return differs(s, r, &b->outcomes[0]);
}

static bool drop_items(struct session *s, struct run *r)
{
    bool changed = false;
    unsigned i;

    for (i = r->program.n; i-- > 0;) {
        if (r->program.items[i].dropped)
            continue;
        r->program.items[i].dropped = true;
        if (fails(s, r))
            changed = true;
        else
            r->program.items[i].dropped = false;
    }
    return changed;
}

static void clear_registers(struct session *s, struct run *r)
{
    uint64_t old;
    unsigned i;

    for (i = 0; i < 16; i++) {
        old = r->program.regs[i];
        r->program.regs[i] = 0;
        if (old != 0 && !fails(s, r))
            r->program.regs[i] = old;
    }
    old = r->program.rflags;
    r->program.rflags = 0;
    if (!fails(s, r))
        r->program.rflags = old;
}

/* Puts `bytes` of the floating-point state to a plain value if the program still fails. */
static void try_fx(struct session *s, struct run *r, unsigned at, unsigned bytes, unsigned value)
{
    uint8_t old[16];

    memcpy(old, r->program.fx + at, bytes);
    memset(r->program.fx + at, 0, bytes);
    r->program.fx[at] = (uint8_t)value;
    r->program.fx[at + 1] = (uint8_t)(value >> 8);
    if (memcmp(old, r->program.fx + at, bytes) != 0 && !fails(s, r))
        memcpy(r->program.fx + at, old, bytes);
}

static void clear_fx(struct session *s, struct run *r)
{
    unsigned i;

    for (i = 0; i < 8; i++)
        try_fx(s, r, FX_ST + 16 * i, 10, 0);
    for (i = 0; i < 16; i++)
        try_fx(s, r, FX_XMM + 16 * i, 16, 0);
    try_fx(s, r, FX_CW, 2, 0x37f);
    try_fx(s, r, FX_SW, 2, 0);
    try_fx(s, r, FX_TAGS, 2, 0);
    try_fx(s, r, FX_MXCSR, 2, 0x1f80);
}

static unsigned items_left(const struct gen_program *p)
{
    unsigned i, n = 0;

    for (i = 0; i < p->n; i++)
        n += !p->items[i].dropped;
    return n;
}

static void print_code(const struct run *r)
{
    ZydisMachineMode mode = r->program.bits == 64 ? ZYDIS_MACHINE_MODE_LONG_64
                                                  : ZYDIS_MACHINE_MODE_LONG_COMPAT_32;
    ZydisDisassembledInstruction in;
    unsigned at = 0, i;

    while (at < r->seq.code_len) {
        unsigned len = 1;

        printf("  %08" PRIx64 ":", r->seq.rip + at);
        if (ZYAN_SUCCESS(ZydisDisassembleIntel(mode, r->seq.rip + at, r->seq.code + at,
                                               r->seq.code_len - at, &in)))
            len = in.info.length;
        else
            snprintf(in.text, sizeof(in.text), "(bad)");
        for (i = 0; i < 15; i++)
            printf(i < len ? " %02x" : "   ", i < len ? r->seq.code[at + i] : 0);
        printf("  %s\n", in.text);
        at += len;
    }
}

static void print_failure(const struct session *s, const struct run *r, uint64_t index)
{
    unsigned i;

    printf("DIFFERENCE: diff_cpu --seed %" PRIu64 " --sequence %" PRIu64 " --set %s%s\n",
           s->opt.seed, index, set_names[s->opt.set],
           s->opt.bits == 32   ? " --bits 32"
           : s->opt.bits == 64 ? " --bits 64"
                               : "");
    printf(" reduced to %u of %u instructions, %u-bit code\n", items_left(&r->program),
           r->program.n, r->program.bits);
    print_code(r);
    for (i = 0; i < 16; i++)
        printf("  %-3s %016" PRIx64 "%s", reg_names[i], r->seq.regs[i], i % 4 == 3 ? "\n" : "");
    print_fx(r->seq.fx);
    printf("  rflags %" PRIx64 "; not compared: %x\n%s\n", r->seq.rflags, r->undef.flags, r->report);
    fflush(stdout);
}

/* Whether any of several more runs of what failed fails. */
static bool fails_again(struct session *s, const struct run *failed)
{
    for (unsigned i = 0; i < RETRIES; i++) {
        memcpy(&s->scratch, failed, sizeof(*failed));
        if (fails(s, &s->scratch))
            return true;
    }
    return false;
}

/*
 * Reduces what failed, and prints it. The native child must be idle.
 *
 * The emulator does the same each time; a host may not: where it is a virtual machine itself, being interrupted
 * while NT is set has been seen to clear it (once in some million sequences). So what never fails again is
 * printed, and counts as a failure only when it is more than a few a million.
 */
static void report(struct session *s, const struct run *failed, uint64_t index)
{
    struct run *r = &s->scratch;

    if (!fails_again(s, failed)) {
        printf("the host did otherwise once, and not again in %u runs: sequence %" PRIu64 "\n", RETRIES, index);
        memcpy(r, failed, sizeof(*r));
        print_failure(s, r, index);
        s->failures += ++s->disturbed > MAX_DISTURBED * (1 + s->insns / 1000000);
        return;
    }
    s->failures++;
    while (drop_items(s, r))
        ;
    clear_registers(s, r);
    clear_fx(s, r);
    fails(s, r);
    print_failure(s, r, index);
}

/* --- batches --- */

static uint64_t sequence_seed(uint64_t seed, uint64_t index)
{
    struct rng r = {seed ^ index * 0xd1342543de82ef95ULL};

    return rng_next(&r);
}

/* Generates, runs in the emulator, hands over to the host. */
static void start_batch(struct session *s, struct batch *b)
{
    struct native_batch *nb = native_slot(s->native, b->slot);
    unsigned i;

    b->count = s->opt.one_sequence ? 1 : NATIVE_BATCH;
    nb->count = 0;
    for (i = 0; i < b->count; i++) {
        struct run *r = &b->runs[i];

        b->index[i] = s->next++;
        gen_program(&r->program, sequence_seed(s->opt.seed, b->index[i]), s->opt.bits,
                    s->opt.set);
        run_guest(s, r);
        if (!r->skip && !r->broken)
            nb->seqs[nb->count++] = r->seq;
    }
    if (nb->count > 0 && native_submit(s->native, b->slot) != 0)
        nb->count = 0;
}

/* Takes the host's outcomes. Marks what failed as broken. */
static void finish_batch(struct session *s, struct batch *b)
{
    const struct native_batch *nb = native_slot(s->native, b->slot);
    unsigned i, k = 0, culprit = UINT32_MAX;
    bool died = nb->count > 0 && native_wait(s->native, b->slot, &culprit) != 0;

    for (i = 0; i < b->count; i++) {
        struct run *r = &b->runs[i];

        s->skipped += r->skip;
        if (r->skip || r->broken)
            continue;
        if (died) {
            r->broken = k == culprit;
            snprintf(r->report, sizeof(r->report), "  the native child died\n");
        } else if (differs(s, r, &nb->outcomes[k])) {
            r->broken = true;
        } else {
            s->insns += r->insns;
            s->compared++;
            s->vectors[r->guest.vector & 31]++;
        }
        k++;
    }
}

static void report_batch(struct session *s, struct batch *b)
{
    unsigned i;

    for (i = 0; i < b->count; i++)
        if (b->runs[i].broken && s->failures < s->opt.keep_going)
            report(s, &b->runs[i], b->index[i]);
}

static bool any_broken(const struct batch *b)
{
    unsigned i;

    for (i = 0; i < b->count; i++)
        if (b->runs[i].broken)
            return true;
    return false;
}

/* One batch runs on the host while the next is generated and emulated. */
static void run_all(struct session *s)
{
    unsigned slot = 0;

    start_batch(s, &s->batches[0]);
    for (;;) {
        struct batch *now = &s->batches[slot], *next = &s->batches[slot ^ 1];
        bool last = s->insns >= s->opt.count || s->opt.one_sequence;

        if (!last)
            start_batch(s, next);
        finish_batch(s, now);
        if (any_broken(now)) {
            if (!last)
                finish_batch(s, next);
            report_batch(s, now);
            if (last || s->failures >= s->opt.keep_going)
                break;
            report_batch(s, next);
            start_batch(s, now);
            continue;
        }
        if (last)
            break;
        slot ^= 1;
    }
}

/* --- self-test: that a difference is seen --- */

static bool notices(const struct outcome *a, const struct outcome *b, const uint8_t *template)
{
    const struct excused nothing = {0};
    char buf[REPORT_BYTES];
    struct text t = {buf, sizeof(buf)};

    return compare(a, b, &nothing, template, &t) != 0;
}

static int test_compare(struct session *s)
{
    static struct outcome a, b;
    unsigned i, missed = 0;

    memset(&a, 0, sizeof(a));
    a.vector = 14;
    a.nlines = 1;
    a.lines[0].index = 150;
    memcpy(a.lines[0].bytes, s->template + 150 * LINE_BYTES, LINE_BYTES);
    a.lines[0].bytes[5] ^= 1;
    b = a;
    missed += notices(&a, &b, s->template);
#define SPOIL(statement)                                                                           \
    do {                                                                                           \
        b = a;                                                                                     \
        statement;                                                                                 \
        if (!notices(&a, &b, s->template)) {                                                       \
            printf("not noticed: %s\n", #statement);                                               \
            missed++;                                                                              \
        }                                                                                          \
    } while (0)
    for (i = 0; i < 16; i++)
        SPOIL(b.regs[i] ^= 1ULL << (i * 4));
    for (i = 0; i < 12; i++)
        if (COMPARED_FLAGS >> i & 1)
            SPOIL(b.rflags ^= 1u << i);
    SPOIL(b.rip++);
    SPOIL(b.cr2 ^= 8);
    SPOIL(b.error ^= 2);
    SPOIL(b.vector = 13);
    SPOIL(b.cs = USER_CS32);
    SPOIL(b.ss = 0x2b);
    SPOIL(b.ds = 0x2b);
    SPOIL(b.es = 0x2b);
    SPOIL(b.nlines = 0);
    SPOIL(b.lines[0].index = 151);
    SPOIL(b.lines[0].bytes[63] ^= 0x80);
    for (i = 0; i < 8; i++)
        SPOIL(b.fx[FX_ST + 16 * i + i + 2] ^= 1);
    for (i = 0; i < 16; i++)
        SPOIL(b.fx[FX_XMM + 16 * i + i] ^= 1);
    SPOIL(b.fx[FX_CW + 1] ^= 1);
    SPOIL(b.fx[FX_SW + 1] ^= 0x40);
    SPOIL(b.fx[FX_TAGS] ^= 0x40);
    SPOIL(b.fx[FX_MXCSR] ^= 1);
    return missed == 0 ? 0 : 1;
}

/* A spoilt result of one instruction is found, and reduced to that instruction. */
static int test_reduction(struct session *s)
{
    struct run *r = &s->scratch;
    struct insn in;
    uint64_t i;

    s->inject = true;
    for (i = 0; i < 20000; i++) {
        gen_program(&r->program, sequence_seed(s->opt.seed, i), 64, GEN_INTEGER);
        if (r->program.n > 4 && fails(s, r))
            break;
    }
    if (i == 20000) {
        printf("a spoilt result was not noticed\n");
        return 1;
    }
    report(s, r, i);
    s->inject = false;
    if (items_left(&r->program) == 1 &&
        insn_decode(r->seq.code, r->seq.code_len, CODE_64, &in) == DECODE_OK && in.id == INSN_XADD)
        return 0;
    printf("not reduced to the one instruction\n");
    return 1;
}

/* --- command line --- */

static int usage(void)
{
    fprintf(stderr, "usage: diff_cpu [--set integer|simd|x87|mixed|bytes] [--seed S] [--count N]\n"
                    "                [--sequence I] [--bits 32|64] [--keep-going N] [--self-test]\n");
    return STATUS_SETUP;
}

/* GEN_BYTES + 1: no such set. */
static enum gen_set set_of(const char *name)
{
    unsigned i;

    for (i = 0; i <= GEN_BYTES; i++)
        if (strcmp(name, set_names[i]) == 0)
            break;
    return (enum gen_set)i;
}

static int parse(struct options *o, int argc, char **argv)
{
    int i;

    *o = (struct options){.seed = 1, .count = DEFAULT_COUNT, .keep_going = 5, .set = GEN_MIXED};
    for (i = 1; i < argc; i++) {
        uint64_t value;

        if (strcmp(argv[i], "--self-test") == 0) {
            o->self_test = true;
            continue;
        }
        if (i + 1 >= argc)
            return -1;
        value = strtoull(argv[i + 1], NULL, 0);
        if (strcmp(argv[i], "--set") == 0 && set_of(argv[i + 1]) <= GEN_BYTES)
            o->set = set_of(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            o->seed = value;
        else if (strcmp(argv[i], "--count") == 0)
            o->count = value;
        else if (strcmp(argv[i], "--keep-going") == 0)
            o->keep_going = (unsigned)value;
        else if (strcmp(argv[i], "--bits") == 0 && (value == 32 || value == 64))
            o->bits = (unsigned)value;
        else if (strcmp(argv[i], "--sequence") == 0) {
            o->sequence = value;
            o->one_sequence = true;
        } else
            return -1;
        i++;
    }
    return 0;
}

/* Settles the bits of the sequences with what the host can run. 0, or an exit status. */
static int choose_bits(struct options *o, int code32)
{
    if (code32 < 0)
        return STATUS_SETUP;
    if (code32 || o->bits == 64)
        return 0;
    printf("the host runs no 32-bit code: it has no code segment at selector %#x%s\n", USER_CS32,
           o->bits == 32 ? "" : "; 64-bit sequences only");
    if (o->bits == 32)
        return STATUS_SKIP;
    o->bits = 64;
    return 0;
}

/* 0, or an exit status. */
static int session_open(struct session *s)
{
    int code32, status;

    gen_template(s->template, s->opt.seed);
    s->next = s->opt.sequence;
    s->batches[1].slot = 1;
    s->native = native_create(s->template);
    if (s->native == NULL)
        return STATUS_SETUP;
    code32 = native_runs_32bit(s->native);
    status = choose_bits(&s->opt, code32);
    if (status != 0)
        return status;
    s->guest = guest_create(s->template, code32);
    if (s->guest == NULL)
        return STATUS_SETUP;
    s->undef.peek = peek_arena;
    s->undef.opaque = s->guest;
    return 0;
}

static void print_summary(const struct session *s, double seconds)
{
    unsigned i;

    printf("seed %" PRIu64 ": %" PRIu64 " instructions in %" PRIu64 " sequences compared, %" PRIu64
           " skipped, %" PRIu64 " cut; %" PRIu64 " failures, %" PRIu64
           " disturbed by the host\n",
           s->opt.seed, s->insns, s->compared, s->skipped, s->cut, s->failures,
           s->disturbed);
    printf("%.1f s, %.0f instructions/s; ended by vector:", seconds, (double)s->insns / seconds);
    for (i = 0; i < 32; i++)
        if (s->vectors[i] != 0)
            printf(" %u:%" PRIu64, i, s->vectors[i]);
    printf("\n");
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct session *s = calloc(1, sizeof(*s));
    double start = now();
    int status;

    if (s == NULL || parse(&s->opt, argc, argv) != 0) {
        free(s);
        return usage();
    }
    status = session_open(s);
    if (status == 0) {
        if (s->opt.self_test) {
            status = test_compare(s) | test_reduction(s);
        } else {
            run_all(s);
            print_summary(s, now() - start);
            status = s->failures != 0;
        }
    }
    native_destroy(s->native);
    guest_destroy(s->guest);
    free(s);
    return status;
}
