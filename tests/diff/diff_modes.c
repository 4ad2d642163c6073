/* SPDX-License-Identifier: MIT */
/*
 * The same program in two modes, in the emulator, has to leave the same state behind: 16-bit code as 32-bit
 * code with the prefixes that make the sizes equal (gen_16.c), 32-bit code as 64-bit code (gen_64.c).
 *
 * A 64-bit host need not run 32-bit code, and runs no 16-bit code without an LDT. 64-bit code is compared with any
 * host's CPU by diff_cpu; from there this leads to the other two.
 *
 *   diff_modes --bits 16|32 [--seed S] [--count N] [--sequence I]
 *
 * N sequences, a third of each set. Prints the first that differs. Exit status: 0, 1 for a
 * difference, 2 usage or set-up.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emu/cpu.h>
#include <emu/insn.h>

#include "diff_compare.h"
#include "diff_guest.h"
#include "diff_undef.h"
#include "gen.h"

#define DEFAULT_COUNT 150000u
#define STATUS_SETUP  2
#define STATE_WORDS   8u /* registers that 32-bit code has */

struct session {
    uint8_t template[ARENA_BYTES];
    struct guest *guest;
    struct undef undef;
    unsigned bits;
    uint64_t insns, compared, excused;
};

/* One run. `p`: watch the program for what is special. */
struct run {
    struct session *s;
    const struct gen_program *p;
    bool special;
};

static unsigned peek(void *opaque, uint64_t va, uint8_t *out, unsigned len)
{
    return (unsigned)guest_peek(opaque, va, out, len);
}

/* --- places --- */

static uint64_t code_base(const struct gen_program *p)
{
    return p->start + (p->bits == 16 ? 0 : CODE_VA);
}

/* RIP as item and offset in it, for the lengths differ. In 64-bit code, which may have some instructions for one, the
 * item counts. */
static uint64_t place_of(const struct gen_program *p, uint64_t rip)
{
    uint64_t at = code_base(p), offset;
    unsigned i;

    for (i = 0; i < p->n; i++) {
        unsigned len = p->items[i].dropped ? 0 : p->items[i].len;

        if (rip < at + len)
            break;
        at += len;
    }
    offset = rip - at;
    if (i < p->n && offset <= p->items[i].len && (p->bits == 64 || offset == p->items[i].pad))
        offset = 0;
    return (uint64_t)i << 32 | offset;
}

/* --- what need not be equal --- */

/*
 * Where the two need not agree: in the code, and in the sequences' own stack; and where 32-bit addresses end and begin.
 * An operand that goes on at address 0 with a limit of 4 GiB faults or not, as an implementation likes (SDM vol. 3,
 * 5.3); here, as the other segments are flat or not.
 */
static bool is_special(uint64_t linear)
{
    return (uint32_t)linear - (CODE_VA - CODE_BYTES) < 3 * CODE_BYTES ||
           (uint32_t)linear - (SCRATCH_VA - CODE_BYTES) < PAGE + CODE_BYTES ||
           (uint32_t)linear + FXSAVE_BYTES < 2 * FXSAVE_BYTES;
}

static bool accesses_special(const struct cpu *cpu, const struct insn *in)
{
    bool by_register = in->id >= INSN_BT && in->id <= INSN_BTC && in->form == FORM_RM_R;
    uint64_t operand = undef_linear(in, cpu), bit = cpu->regs[in->reg & 7];

    if (by_register)
        operand += (uint64_t)((in->opsize == OPSIZE_16 ? (int16_t)bit : (int32_t)bit) >> 3);
    if ((in->flags & INSN_MEM) && is_special(operand))
        return true;
    if (in->form == FORM_R_MOFFS || in->form == FORM_MOFFS_R)
        return is_special(in->imm);
    if (in->id == INSN_XLAT)
        return is_special(cpu->regs[REG_RBX]);
    if ((insn_info[in->id].attrs & IA_STRING) || in->id == INSN_MASKMOVQ || in->id == INSN_MASKMOVDQU)
        return is_special(cpu->regs[REG_RSI]) || is_special(cpu->regs[REG_RDI]);
    return is_special(cpu->regs[REG_RSP]) ||
           ((in->id == INSN_ENTER || in->id == INSN_LEAVE) && is_special(cpu->regs[REG_RBP]));
}

/* In an item, yet not at one of its instructions: the target of a branch that was computed. */
static bool is_inside(const struct gen_program *p, uint64_t rip)
{
    uint64_t place = place_of(p, rip);
    unsigned item = (unsigned)(place >> 32);

    return item < p->n && (uint32_t)place > p->items[item].pad;
}

/* Nothing is cut: what is undefined is the same for both. */
static bool step(void *opaque, const struct cpu *cpu)
{
    struct run *r = opaque;
    uint8_t bytes[INSN_MAX_LEN];
    struct insn in;
    size_t n;

    undef_step(&r->s->undef, cpu);
    if (r->p == NULL)
        return true;
    n = guest_peek(r->s->guest, cpu->rip, bytes, sizeof(bytes));
    if (insn_decode(bytes, n, CODE_32, &in) == DECODE_OK)
        r->special |= accesses_special(cpu, &in);
    r->special |= is_inside(r->p, cpu->rip);
    return true;
}

static bool run(struct session *s, const struct gen_program *p, struct seq *seq, struct outcome *out,
                struct run *watch)
{
    struct run plain = {.s = s};
    uint64_t icount;
    bool ok;

    undef_begin(&s->undef);
    ok = gen_assemble(p, seq) && guest_run_stepped(s->guest, seq, out, &icount, step,
                                                   watch ? watch : &plain) == GUEST_DONE;
    if (ok)
        s->insns += s->undef.insns;
    return ok;
}

/* Whether a 32-bit program accesses what is special, as its own bytes, or jumps between instructions. */
static bool is_special_program(struct session *s, const struct gen_program *p32)
{
    static struct outcome out;
    struct run watch = {.s = s, .p = p32};
    struct seq seq;

    return !run(s, p32, &seq, &out, &watch) || watch.special;
}

/* Whether a line has other bytes than the program (`at`: its offset in the code) and INT3. */
static bool is_changed(const struct line *line, const struct seq *seq, uint32_t at)
{
    uint32_t i;

    for (i = 0; i < LINE_BYTES; i++) {
        uint32_t offset = line->index * LINE_BYTES + i - at;

        if (line->bytes[i] != (offset < seq->code_len ? seq->code[offset] : 0xcc))
            return true;
    }
    return false;
}

/* Takes the code, which is not the same for both, out of the outcome. True if it wrote there. */
static bool forget_code(struct outcome *o, const struct gen_program *p, const struct seq *seq)
{
    uint32_t i, kept = 0;
    bool wrote = false;

    for (i = 0; i < o->nlines; i++)
        if (o->lines[i].index >= CODE_BYTES / LINE_BYTES)
            o->lines[kept++] = o->lines[i];
        else
            wrote |= is_changed(&o->lines[i], seq, p->start);
    o->nlines = kept;
    return wrote;
}

/* What 64-bit code has more: an address below 0, and registers that 32-bit code has to leave as they were. */
static void narrow(struct outcome *o, const struct seq *seq32)
{
    o->cr2 = (uint32_t)o->cr2;
    memcpy(o->regs + STATE_WORDS, seq32->regs + STATE_WORDS, STATE_WORDS * sizeof(o->regs[0]));
    memcpy(o->fx + FX_XMM + 16 * STATE_WORDS, seq32->fx + FX_XMM + 16 * STATE_WORDS, 16 * STATE_WORDS);
}

/* Of an FXSAVE area 32-bit code leaves out the places of XMM8 to XMM15 (SDM vol. 2, FXSAVE). */
static struct undef_range other_registers_saved(const struct undef *u)
{
    if (u->pointers[1].len == 0)
        return (struct undef_range){0};
    return (struct undef_range){u->pointers[0].va - FX_POINTERS + FX_XMM + 16 * STATE_WORDS,
                                16 * STATE_WORDS};
}

/* Single steps go by instructions, of which one form of a program may have more. */
static bool is_single_step(const struct outcome *a, const struct outcome *b)
{
    return a->vector == EXC_DB || b->vector == EXC_DB;
}

/* A null selector popped by chance: what is addressed by it faults, in 64-bit mode it does not (SDM vol. 3, 5.4.1). */
static bool is_null_segment(const struct outcome *found)
{
    return found->vector == EXC_GP && found->error == 0 && ((found->ds & ~3u) == 0 || (found->es & ~3u) == 0);
}

static void print_bytes(const char *what, const struct seq *seq)
{
    unsigned i;

    printf(" %s:", what);
    for (i = 0; i < seq->code_len; i++)
        printf(" %02x", seq->code[i]);
    printf("\n");
}

static void print_registers(const struct seq *seq)
{
    unsigned i;

    for (i = 0; i < 8; i++)
        printf(" %s %08" PRIx64 "%s", reg_names[i], seq->regs[i], i == 7 ? "\n" : "");
    print_fx(seq->fx);
}

static void print_difference(const struct session *s, uint64_t seed, uint64_t index,
                             const struct seq *from, const struct seq *to, const char *report)
{
    printf("DIFFERENCE: diff_modes --bits %u --seed %" PRIu64 " --sequence %" PRIu64 "\n", s->bits, seed, index);
    print_bytes(s->bits == 16 ? "32-bit code" : "64-bit code", from);
    print_bytes(s->bits == 16 ? "16-bit code" : "32-bit code", to);
    print_registers(to);
    printf(" %u-bit (expected) and %u-bit (found):\n%s", s->bits * 2, s->bits, report);
}

/* False for a difference. */
static bool check(struct session *s, uint64_t seed, uint64_t index)
{
    static struct gen_program p32, other;
    static struct outcome expected, found;
    const struct gen_program *from = s->bits == 16 ? &p32 : &other, *to = s->bits == 16 ? &other : &p32;
    struct excused excused = {.x87_pointers = true};
    struct seq seq_from, seq_to;
    bool wrote;
    char report[4096] = "";
    struct text t = {report, sizeof(report)};

    gen_program(&p32, seed * 0x9e3779b97f4a7c15ULL + index, 32, (enum gen_set)(index % GEN_SETS));
    if (s->bits == 16)
        gen_to_16(&p32, &other);
    else
        gen_to_64(&p32, &other);
    if (!run(s, from, &seq_from, &expected, NULL) || !run(s, to, &seq_to, &found, NULL)) {
        s->excused++;
        return true;
    }
    memcpy(excused.memory, s->undef.pointers, sizeof(excused.memory));
    if (s->bits == 32) {
        narrow(&expected, &seq_to);
        excused.memory[1] = other_registers_saved(&s->undef);
    }
    expected.rip = place_of(from, expected.rip);
    found.rip = place_of(to, found.rip);
    found.cs = expected.cs;
    wrote = forget_code(&expected, from, &seq_from);
    wrote |= forget_code(&found, to, &seq_to);
    s->compared++;
    if (compare(&expected, &found, &excused, s->template, &t) == 0)
        return true;
    s->excused++;
    if (wrote ||
        (s->bits == 32 && (is_single_step(&expected, &found) || is_null_segment(&found))) ||
        is_special_program(s, &p32))
        return true;
    print_difference(s, seed, index, &seq_from, &seq_to, report);
    return false;
}

static int run_all(struct session *s, uint64_t seed, uint64_t first, uint64_t count)
{
    uint64_t i;

    for (i = first; i < first + count; i++)
        if (!check(s, seed, i))
            return 1;
    printf("seed %" PRIu64 ": %" PRIu64 " sequences, %" PRIu64 " instructions in %u-bit and %u-bit code; %" PRIu64
           " sequences cannot be compared\n",
           seed, s->compared, s->insns / 2, s->bits, 2 * s->bits, s->excused);
    return 0;
}

static int session_open(struct session *s, uint64_t seed)
{
    gen_template(s->template, seed);
    s->guest = guest_create(s->template, true);
    if (s->guest == NULL)
        return -1;
    if (s->bits == 16)
        guest_add_code16(s->guest);
    else
        guest_add_scratch(s->guest);
    s->undef.peek = peek;
    s->undef.opaque = s->guest;
    return 0;
}

int main(int argc, char **argv)
{
    static struct session s;
    uint64_t seed = 1, count = DEFAULT_COUNT, first = 0;
    int i, status;

    for (i = 1; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 0);

        if (strcmp(argv[i], "--bits") == 0)
            s.bits = (unsigned)value;
        else if (strcmp(argv[i], "--seed") == 0)
            seed = value;
        else if (strcmp(argv[i], "--count") == 0)
            count = value;
        else if (strcmp(argv[i], "--sequence") == 0)
            first = value, count = 1;
        else
            break;
    }
    if (i != argc || (s.bits != 16 && s.bits != 32)) {
        fprintf(stderr, "usage: diff_modes --bits 16|32 [--seed S] [--count N] [--sequence I]\n");
        return STATUS_SETUP;
    }
    if (session_open(&s, seed) != 0)
        return STATUS_SETUP;
    status = run_all(&s, seed, first, count);
    guest_destroy(s.guest);
    return status;
}
