/* SPDX-License-Identifier: MIT */
/*
 * 16-bit code against 32-bit code, in the emulator: the same instructions with the prefixes that make
 * the sizes equal (gen_16.c) have to do the same. No 64-bit host runs 16-bit code without an LDT, and
 * diff_cpu compares the 32-bit form with the host's.
 *
 *   diff_16 [--seed S] [--count N] [--sequence I]
 *
 * N sequences, a third of each set. Prints the first that differs. Exit status: 0, 1 for a
 * difference, 2 usage or set-up.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emu/cpu.h>

#include "diff_compare.h"
#include "diff_guest.h"
#include "diff_undef.h"
#include "gen.h"

#define DEFAULT_COUNT 150000u
#define STATUS_SETUP  2

struct session {
    uint8_t template[ARENA_BYTES];
    struct guest *guest;
    struct undef undef;
    uint64_t insns;
};

static unsigned peek(void *opaque, uint64_t va, uint8_t *out, unsigned len)
{
    return (unsigned)guest_peek(opaque, va, out, len);
}

/* Nothing is cut: what is undefined is the same for both. */
static bool step(void *opaque, const struct cpu *cpu)
{
    undef_step(opaque, cpu);
    return true;
}

static bool run(struct session *s, const struct gen_program *p, struct seq *seq, struct outcome *out)
{
    uint64_t icount;
    bool ok;

    undef_begin(&s->undef);
    ok = gen_assemble(p, seq) &&
         guest_run_stepped(s->guest, seq, out, &icount, step, &s->undef) == GUEST_DONE;
    if (ok)
        s->insns += icount;
    return ok;
}

/* RIP as item and offset in it, for the lengths differ. */
static uint64_t place_of(const struct gen_program *p, uint64_t rip)
{
    uint64_t at = p->start + (p->bits == 16 ? 0 : CODE_VA);
    unsigned i;

    for (i = 0; i < p->n; i++) {
        unsigned len = p->items[i].dropped ? 0 : p->items[i].len;

        if (rip < at + len)
            break;
        at += len;
    }
    return (uint64_t)i << 32 | (rip - at);
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

/* An operand that goes on at address 0: with a limit of 4 GiB that faults or not, as an implementation
 * likes (SDM vol. 3, 5.3); here, as the other segments are flat or not. If not, it may not be aligned. */
static bool wraps(const struct outcome *flat, const struct outcome *other)
{
    bool wrapped = flat->vector == EXC_PF && flat->cr2 > UINT32_MAX - FXSAVE_BYTES;

    return (wrapped && (other->vector == EXC_GP || other->vector == EXC_SS)) ||
           (flat->vector == EXC_GP && other->vector == EXC_SS);
}

/* Whether a 32-bit program does something else where its code lies elsewhere: it read its code. */
static bool reads_code(struct session *s, const struct gen_program *p32,
                       const struct outcome *expected, const struct excused *excused)
{
    static struct outcome moved;
    struct gen_program p = *p32;
    char report[256];
    struct text t = {report, sizeof(report)};
    struct seq seq;

    p.start += 0x600;
    if (!run(s, &p, &seq, &moved))
        return true;
    moved.rip = place_of(&p, moved.rip);
    forget_code(&moved, &p, &seq);
    return compare(expected, &moved, excused, s->template, &t) != 0;
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

/* False for a difference. */
static bool check(struct session *s, uint64_t seed, uint64_t index)
{
    static struct outcome expected, found;
    struct gen_program p32, p16;
    struct excused excused = {.x87_pointers = true};
    struct seq seq32, seq16;
    bool wrote;
    char report[4096] = "";
    struct text t = {report, sizeof(report)};

    gen_program(&p32, seed * 0x9e3779b97f4a7c15ULL + index, 32, (enum gen_set)(index % GEN_SETS));
    gen_to_16(&p32, &p16);
    if (!run(s, &p32, &seq32, &expected) || !run(s, &p16, &seq16, &found))
        return true;
    memcpy(excused.memory, s->undef.pointers, sizeof(excused.memory));
    expected.rip = place_of(&p32, expected.rip);
    found.rip = place_of(&p16, found.rip);
    found.cs = expected.cs;
    wrote = forget_code(&expected, &p32, &seq32);
    wrote |= forget_code(&found, &p16, &seq16);
    if (wrote || wraps(&expected, &found) || compare(&expected, &found, &excused, s->template, &t) == 0 ||
        reads_code(s, &p32, &expected, &excused))
        return true;
    printf("DIFFERENCE: diff_16 --seed %" PRIu64 " --sequence %" PRIu64 "\n", seed, index);
    print_bytes("32-bit code", &seq32);
    print_bytes("16-bit code", &seq16);
    print_registers(&seq32);
    printf(" 32-bit (expected) and 16-bit (found):\n%s", report);
    return false;
}

static int run_all(struct session *s, uint64_t seed, uint64_t first, uint64_t count)
{
    uint64_t i;

    for (i = first; i < first + count; i++)
        if (!check(s, seed, i))
            return 1;
    printf("seed %" PRIu64 ": %" PRIu64 " sequences, %" PRIu64 " instructions in two modes\n", seed,
           count, s->insns / 2);
    return 0;
}

int main(int argc, char **argv)
{
    static struct session s;
    uint64_t seed = 1, count = DEFAULT_COUNT, first = 0;
    int i, status;

    for (i = 1; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 0);

        if (strcmp(argv[i], "--seed") == 0)
            seed = value;
        else if (strcmp(argv[i], "--count") == 0)
            count = value;
        else if (strcmp(argv[i], "--sequence") == 0)
            first = value, count = 1;
        else
            break;
    }
    if (i != argc) {
        fprintf(stderr, "usage: diff_16 [--seed S] [--count N] [--sequence I]\n");
        return STATUS_SETUP;
    }
    gen_template(s.template, seed);
    s.guest = guest_create(s.template, true);
    if (s.guest == NULL)
        return STATUS_SETUP;
    guest_add_code16(s.guest);
    s.undef.peek = peek;
    s.undef.opaque = s.guest;
    status = run_all(&s, seed, first, count);
    guest_destroy(s.guest);
    return status;
}
