/* SPDX-License-Identifier: MIT */
/*
 * x87 instructions as functions of the floating-point state and operand bytes, independent of the
 * engine.
 *
 * An instruction reads memory, or writes memory, or neither:
 *
 *   x87_kind(id, form) == X87_LOAD, X87_NONE:  fetch the operand, then x87_execute(); it never fails.
 *   X87_STORE:  x87_store() works out bytes and consequences without changing the state; write the
 *               bytes if any (this may fault), then x87_store_commit().
 *
 * Exceptions become pending in FSW; nothing here raises #MF. Before an instruction for which x87_waits()
 * the engine checks x87_pending_exception(), and #NM by CR0.EM and TS before all of them.
 *
 * FOP, FCS:FIP and FDS:FDP are what the engine puts there. Not modelled: the FERR# line: with CR0.NE clear a
 * pending exception raises #MF as well.
 */
#ifndef EMU_CPU_X87_INTERNAL_H
#define EMU_CPU_X87_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/fpu_state.h>
#include <emu/insn.h>

struct x87_operand {
    uint64_t low;   /* memory operands of up to 8 bytes, little-endian */
    uint16_t high;  /* bytes 8 and 9 of an 80-bit one */
};

enum x87_kind { X87_NONE, X87_LOAD, X87_STORE };

/* What x87_execute() needs to know of the instruction. */
struct x87_insn {
    uint16_t id;        /* enum insn_id */
    uint8_t form;       /* enum insn_form */
    uint8_t opsize;     /* enum opsize of a memory operand; OPSIZE_128: 80 bits */
    uint8_t sti;        /* i of ST(i) */
    bool mem;
};

struct x87_store {
    struct x87_operand out;
    uint8_t bytes;      /* to write; 0: memory is left alone */
    uint16_t flags;     /* exceptions, FSW_SF */
    bool c1;
    uint8_t pops;
    bool sets_flags;    /* false for FNSTCW and FNSTSW */
};

enum x87_kind x87_kind(const struct x87_insn *in);
unsigned x87_operand_bytes(const struct x87_insn *in);
/* False for the FN instructions that run with an exception pending. */
bool x87_waits(enum insn_id id);
/* True when the instruction is recorded in FIP: all but control instructions. */
bool x87_is_recorded(enum insn_id id);

/* FCOMI and theirs return true and the six arithmetic flags. FCMOVcc takes the condition. */
bool x87_execute(struct fpu_state *fpu, const struct x87_insn *in, const struct x87_operand *operand,
                 bool condition, uint32_t *eflags);

void x87_store(const struct fpu_state *fpu, const struct x87_insn *in, struct x87_store *store);
void x87_store_commit(struct fpu_state *fpu, const struct x87_store *store);

#endif
