/* SPDX-License-Identifier: MIT */
/*
 * Call frames from the code of a 32-bit kernel: symbols/frame_pointer.h.
 *
 * A function of C begins with PUSH EBP, behind a call of or a gap for the tracer at most, soon followed by MOV EBP,
 * ESP; or it has both together where it is past a quick way out. It ends with LEAVE; RET or POP EBP; RET, perhaps in
 * several places. These bytes are looked for, not decoded: inside of another instruction they make one address wrong
 * by a frame.
 *
 * Of code that the kernel has freed since it was up, it is taken for granted that its frames are made.
 *
 * Entry code (arch/x86/entry/entry_32.S) saves struct pt_regs and sets EBP to its address with the highest bit
 * cleared, before it calls a handler; that is a signal frame (augmentation "S"). Entry code that does not is where a
 * stack ends, and so is ret_from_fork.
 */
#include <stdlib.h>
#include <string.h>

#include <symbols/frame_pointer.h>

#include "dwarf_frame_internal.h"
#include "memory_internal.h"

/* As the i386 psABI numbers registers for DWARF. */
enum { DWARF_EAX, DWARF_ECX, DWARF_EDX, DWARF_EBX, DWARF_ESP, DWARF_EBP, DWARF_ESI, DWARF_EDI, DWARF_EIP, DWARF_EFLAGS };

#define FUNCTION_MAX    65536u        /* of a longer one, what is looked at */
#define BUDGET          (256u << 20)  /* bytes, of all functions: no kernel has as many */
#define PT_REGS_BYTES   68            /* to the end of SS */

#define PUSH_EBP        0x55u
#define TRACER_BYTES    5u            /* CALL __fentry__, or as many bytes that do nothing */
#define MOV_WITHIN      48u           /* bytes behind PUSH EBP */

static const uint8_t mov_ebp_esp[] = {0x89, 0xe5};
static const uint8_t push_and_mov[] = {PUSH_EBP, 0x89, 0xe5};
static const uint8_t marks_pt_regs[] = {0x89, 0xe5, 0x81, 0xe5, 0xff, 0xff, 0xff, 0x7f};

/* Offsets behind PUSH EBP, and behind MOV EBP, ESP. */
struct prologue {
    size_t pushed, moved;
};

enum kind { KIND_CALL, KIND_REGS, KIND_END, KINDS };

struct writer {
    const struct symbols_memory *mem;
    const struct symbol_table *guest;
    struct bytes out;
    size_t cie[KINDS];
    uint8_t *code; /* FUNCTION_MAX bytes */
    uint64_t budget;
    struct range {
        uint64_t begin, end; /* 0, 0: not known */
    } entry, init;           /* assembly that is entered by the CPU; what is freed once the kernel is up */
    uint64_t regs_end; /* of the last entry code that marks its pt_regs */
    size_t written;
};

/* --- CIEs --- */

/* But for ESP, which follows from the CFA, and EBP. */
static void others_are_unknown(struct bytes *b)
{
    static const uint8_t others[] = {DWARF_EAX, DWARF_ECX, DWARF_EDX, DWARF_EBX, DWARF_ESI, DWARF_EDI};

    for (size_t i = 0; i < sizeof(others); i++)
        dwarf_rule(b, CFA_UNDEFINED, others[i]);
}

/* The CFA is the end of struct pt_regs, from where EBP leads: (EBP | 1 << 31) + its size. The order of registers is
 * arch/x86/include/asm/ptrace.h's, from the end down; SS is the first word. */
static void regs_rules(struct bytes *b)
{
    struct bytes block = {0};

    dwarf_breg(&block, DWARF_EBP, 0);
    bytes_append_byte(&block, OP_CONST4U);
    dwarf_word(&block, 0x80000000u, 4);
    bytes_append_byte(&block, OP_OR);
    bytes_append_byte(&block, OP_PLUS_UCONST);
    dwarf_uleb(&block, PT_REGS_BYTES);
    bytes_append_byte(b, CFA_DEF_CFA_EXPRESSION);
    dwarf_append_block(b, &block);
    bytes_fini(&block);
    dwarf_saved(b, DWARF_ESP, 2);
    dwarf_saved(b, DWARF_EFLAGS, 3);
    dwarf_saved(b, DWARF_EIP, 5);
    dwarf_saved(b, DWARF_EAX, 11);
    dwarf_saved(b, DWARF_EBP, 12);
    dwarf_saved(b, DWARF_EDI, 13);
    dwarf_saved(b, DWARF_ESI, 14);
    dwarf_saved(b, DWARF_EDX, 15);
    dwarf_saved(b, DWARF_ECX, 16);
    dwarf_saved(b, DWARF_EBX, 17);
}

static void cfa_is(struct bytes *b, unsigned reg, unsigned offset)
{
    dwarf_rule(b, CFA_DEF_CFA, reg);
    dwarf_uleb(b, offset);
}

static void write_cie(struct bytes *b, enum kind kind)
{
    size_t at = dwarf_begin_entry(b);

    dwarf_word(b, 0xffffffff, 4); /* a CIE */
    bytes_append_byte(b, 1);      /* version */
    bytes_append(b, "zS", kind == KIND_REGS ? 2 : 0);
    bytes_append_byte(b, 0);
    dwarf_uleb(b, 1);                      /* code alignment */
    dwarf_sleb(b, -4);                     /* data alignment */
    bytes_append_byte(b, DWARF_EIP);       /* return address */
    if (kind == KIND_REGS) {
        dwarf_uleb(b, 0); /* length of augmentation data */
        regs_rules(b);
    } else {
        cfa_is(b, DWARF_ESP, 4);
        if (kind == KIND_CALL)
            dwarf_saved(b, DWARF_EIP, 1);
        else
            dwarf_rule(b, CFA_UNDEFINED, DWARF_EIP);
        others_are_unknown(b);
    }
    dwarf_end_entry(b, at, 4);
}

/* --- FDEs --- */

static size_t begin_fde(struct writer *w, enum kind kind, uint64_t from, uint64_t end)
{
    size_t at = dwarf_begin_entry(&w->out);

    dwarf_word(&w->out, w->cie[kind], 4);
    dwarf_word(&w->out, from, 4);
    dwarf_word(&w->out, end - from, 4);
    if (kind == KIND_REGS)
        dwarf_uleb(&w->out, 0); /* length of augmentation data */
    w->written++;
    return at;
}

static void plain_fde(struct writer *w, enum kind kind, uint64_t from, uint64_t end)
{
    if (from < end)
        dwarf_end_entry(&w->out, begin_fde(w, kind, from, end), 4);
}

static void frame_is_there(struct bytes *b)
{
    cfa_is(b, DWARF_EBP, 8);
    dwarf_saved(b, DWARF_EBP, 2);
}

static void frame_is_gone(struct bytes *b)
{
    cfa_is(b, DWARF_ESP, 4);
    dwarf_rule(b, CFA_SAME_VALUE, DWARF_EBP);
}

/* LEAVE or POP EBP, then RET with or without an operand. */
static bool is_epilogue(const uint8_t *code)
{
    return (code[0] == 0xc9 || code[0] == 0x5d) && (code[1] == 0xc3 || code[1] == 0xc2);
}

/* A function with this prologue. */
static void function_fde(struct writer *w, const struct symbol *s, size_t len, const struct prologue *p)
{
    struct bytes *b = &w->out;
    size_t fde = begin_fde(w, KIND_CALL, s->address, s->address + s->size), told = p->moved;

    dwarf_advance(b, p->pushed);
    dwarf_rule(b, CFA_DEF_CFA_OFFSET, 8);
    dwarf_saved(b, DWARF_EBP, 2);
    dwarf_advance(b, p->moved - p->pushed);
    dwarf_rule(b, CFA_DEF_CFA_REGISTER, DWARF_EBP);
    for (size_t i = told; i + 2 <= len; i++) {
        size_t next = i + 1 + (w->code[i + 1] == 0xc2 ? 3 : 1);

        if (!is_epilogue(&w->code[i]))
            continue;
        dwarf_advance(b, i + 1 - told);
        frame_is_gone(b);
        dwarf_advance(b, next - (i + 1));
        frame_is_there(b);
        told = next;
        i = next - 1;
    }
    dwarf_end_entry(b, fde, 4);
}

/* --- symbols --- */

static const uint8_t *find(const uint8_t *code, size_t len, const uint8_t *what, size_t n)
{
    return memmem(code, len, what, n);
}

static bool find_prologue(const uint8_t *code, size_t len, struct prologue *p)
{
    size_t push = len > 0 && code[0] == PUSH_EBP ? 0 : TRACER_BYTES, room;
    const uint8_t *at;

    if (push < len && code[push] == PUSH_EBP) {
        room = len - push < MOV_WITHIN ? len - push : MOV_WITHIN;
        at = find(code + push, room, mov_ebp_esp, sizeof(mov_ebp_esp));
    } else {
        at = find(code, len, push_and_mov, sizeof(push_and_mov));
        push = at != NULL ? (size_t)(at - code) : 0;
        at = at != NULL ? at + 1 : NULL;
    }
    if (at == NULL)
        return false;
    *p = (struct prologue){.pushed = push + 1, .moved = (size_t)(at - code) + sizeof(mov_ebp_esp)};
    return true;
}

/* What the compiler moved out of a function runs in its frame. */
static bool is_cold_part(const struct writer *w, const struct symbol *s)
{
    const char *suffix = strstr(s->name, ".cold");
    const struct symbol *whole;
    char name[256];
    struct prologue p;
    uint8_t code[64];
    size_t len;

    if (suffix == NULL || (size_t)(suffix - s->name) >= sizeof(name))
        return false;
    memcpy(name, s->name, (size_t)(suffix - s->name));
    name[suffix - s->name] = '\0';
    whole = symbol_table_by_name(w->guest, name);
    if (whole == NULL)
        return false;
    len = whole->size < sizeof(code) ? (size_t)whole->size : sizeof(code);
    return memory_read(w->mem, whole->address, code, len) && find_prologue(code, len, &p);
}

static bool is_in(const struct symbol *s, struct range r)
{
    return s->address >= r.begin && s->address < r.end;
}

static void framed_fde(struct writer *w, const struct symbol *s)
{
    size_t fde = begin_fde(w, KIND_CALL, s->address, s->address + s->size);

    frame_is_there(&w->out);
    dwarf_end_entry(&w->out, fde, 4);
}

/* Entry code up to where it has marked its pt_regs, if it does. The last call of it returns to what follows; a
 * debugger looks for a signal frame there, not at the byte before as for other callers. */
static void entry_fdes(struct writer *w, const struct symbol *s, const uint8_t *marked)
{
    uint64_t from = s->address > w->regs_end ? s->address : w->regs_end, end = s->address + s->size, at = end;

    if (marked != NULL)
        at = s->address + (uint64_t)(marked - w->code) + sizeof(marks_pt_regs);
    plain_fde(w, KIND_END, from, at);
    if (marked == NULL)
        return;
    w->regs_end = end + 1;
    plain_fde(w, KIND_REGS, at, w->regs_end);
}

static void write_symbol(struct writer *w, const struct symbol *s)
{
    size_t len = s->size < FUNCTION_MAX ? (size_t)s->size : FUNCTION_MAX;
    struct prologue prologue;
    const uint8_t *marked;

    if (s->address + s->size > UINT32_MAX || len == 0 || len > w->budget)
        return;
    w->budget -= len;
    if (!memory_read(w->mem, s->address, w->code, len))
        len = 0;
    marked = find(w->code, len, marks_pt_regs, sizeof(marks_pt_regs));
    if (marked != NULL || is_in(s, w->entry) || strcmp(s->name, "ret_from_fork") == 0)
        entry_fdes(w, s, marked);
    else if (find_prologue(w->code, len, &prologue))
        function_fde(w, s, len, &prologue);
    else if (is_in(s, w->init) || is_cold_part(w, s))
        framed_fde(w, s);
}

static void write_all(struct writer *w)
{
    uint64_t before = UINT64_MAX;

    for (enum kind kind = KIND_CALL; kind < KINDS; kind++) {
        w->cie[kind] = w->out.len;
        write_cie(&w->out, kind);
    }
    for (size_t i = 0; i < symbol_table_count(w->guest) && !w->out.failed; i++) {
        const struct symbol *s = symbol_table_at(w->guest, i);

        if (symbol_is_absolute(s) || !symbol_is_code(s) || s->address == before)
            continue;
        before = s->address;
        write_symbol(w, s);
    }
}

static struct range range_of(const struct symbol_table *guest, const char *begin, const char *end)
{
    struct range r;

    if (!symbol_table_address(guest, begin, &r.begin) || !symbol_table_address(guest, end, &r.end))
        r.begin = r.end = 0;
    return r;
}

int frame_pointer_read_frames(const struct symbols_memory *mem, const struct symbol_table *guest,
                              uint8_t **frames, size_t *len, char *err, size_t errlen)
{
    struct writer w = {.mem = mem, .guest = guest, .budget = BUDGET, .code = malloc(FUNCTION_MAX)};

    w.entry = range_of(guest, "__entry_text_start", "__entry_text_end");
    w.init = range_of(guest, "_sinittext", "_einittext");
    if (w.code != NULL)
        write_all(&w);
    if (w.code == NULL || w.out.failed || w.written == 0) {
        bool memory = w.code == NULL || w.out.failed;

        free(w.code);
        bytes_fini(&w.out);
        return memory ? symbols_error(SYMBOLS_ERR_NO_MEMORY, err, errlen, "out of memory")
                      : symbols_error(SYMBOLS_ERR_NOT_FOUND, err, errlen, "no code with frame pointers is there");
    }
    free(w.code);
    *frames = w.out.data;
    *len = w.out.len;
    return SYMBOLS_OK;
}
