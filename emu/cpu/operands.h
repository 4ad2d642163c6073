/* SPDX-License-Identifier: MIT */
/*
 * Registers by width, and the pieces of which handlers are stamped.
 *
 * EA_<kind>(bytes, write) is the linear address of an op's memory operand, for each of the four address
 * kinds that lower.c tells apart; FOR_EA(X, ...) stamps X once per kind.
 */
#ifndef EMU_CPU_OPERANDS_H
#define EMU_CPU_OPERANDS_H

#include "interp_internal.h"

#define RD8(n)  (*reg8(cpu, (n)))
#define RD16(n) ((uint16_t)cpu->regs[n])
#define RD32(n) ((uint32_t)cpu->regs[n])
#define RD64(n) (cpu->regs[n])
#define WR8(n, v)  (*reg8(cpu, (n)) = (uint8_t)(v))
#define WR16(n, v) (cpu->regs[n] = (cpu->regs[n] & ~0xffffULL) | (uint16_t)(v))
#define WR32(n, v) (cpu->regs[n] = (uint32_t)(v))
#define WR64(n, v) (cpu->regs[n] = (uint64_t)(v))

#define EA_bd(bytes, write)   ea_bd(cpu, op)
#define EA_bisd(bytes, write) ea_bisd(cpu, op)
#define EA_e32(bytes, write)  ea_32(cpu, op)
#define EA_any(bytes, write)  ea_any(cpu, op, (bytes), (write))

/* In the order of enum ea_kind. */
#define FOR_EA(X, ...) X(bd, __VA_ARGS__) X(bisd, __VA_ARGS__) X(e32, __VA_ARGS__) X(any, __VA_ARGS__)
#define EA_TABLE(prefix) {prefix##_bd, prefix##_bisd, prefix##_e32, prefix##_any}
#define EA_KINDS 4

#define FOR_SIZES(X, ...) X(8, __VA_ARGS__) X(16, __VA_ARGS__) X(32, __VA_ARGS__) X(64, __VA_ARGS__)

/* Byte offset of an 8-bit register operand (enum reg_name or REG8_AH..) in cpu->regs. */
static inline uint8_t reg8_offset(unsigned reg)
{
    return (uint8_t)(reg >= REG8_AH ? (reg - REG8_AH) * 8 + 1 : reg * 8);
}

/* Choosers, one per file of handlers: the handler for `in`, NULL when it is not theirs. They may
 * change how `op` holds the operands. */
op_fn *lower_alu(const struct insn *in, enum ea_kind kind, struct op *op);
op_fn *lower_bits(const struct insn *in, enum ea_kind kind, struct op *op);
op_fn *lower_mov(const struct insn *in, enum ea_kind kind, struct op *op);
op_fn *lower_branch(const struct cpu *cpu, const struct insn *in, enum ea_kind kind, struct op *op);
op_fn *lower_stack(const struct cpu *cpu, const struct insn *in, enum ea_kind kind, struct op *op);
op_fn *lower_string(const struct insn *in, struct op *op);
op_fn *lower_far(const struct insn *in, struct op *op);
op_fn *lower_system(const struct insn *in, enum ea_kind kind, struct op *op);

#endif
