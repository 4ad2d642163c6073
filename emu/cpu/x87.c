/* SPDX-License-Identifier: MIT */
/*
 * x87 instructions (Intel SDM vol. 1, chapter 8; vol. 2, F*).
 *
 * Every non-control instruction but FCMOVcc clears C1 unless it says otherwise; a stack fault sets IE and SF, and C1
 * for overflow. An unmasked exception that is found before the operation leaves operands, stack and
 * condition codes as they are; one found after it (overflow, underflow, inexact) delivers its result
 * first. The rules for which flags come together are those of emu/fp.
 */
#include <string.h>

#include "fp.h"
#include "x87_internal.h"

#define CC_ALL (FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3)

/* --- the stack --- */

static inline unsigned slot(const struct fpu_state *f, unsigned i)
{
    return (f->top + i) & 7;
}
static inline struct f80 *st(struct fpu_state *f, unsigned i)
{
    return &f->st[slot(f, i)];
}
static inline bool empty(const struct fpu_state *f, unsigned i)
{
    return ((f->valid >> slot(f, i)) & 1) == 0;
}
static inline void set(struct fpu_state *f, unsigned i, struct f80 v)
{
    *st(f, i) = v;
    f->valid |= (uint8_t)(1u << slot(f, i));
}
static inline void pop(struct fpu_state *f)
{
    f->valid &= (uint8_t)~(1u << f->top);
    f->top = (f->top + 1) & 7;
}
static inline void push(struct fpu_state *f, struct f80 v)
{
    f->top = (f->top - 1) & 7;
    set(f, 0, v);
}

/* --- exceptions --- */

static void raise(struct fpu_state *f, unsigned flags)
{
    f->sw |= (uint16_t)flags;
    if (f->sw & ~f->cw & FP_ALL)
        f->sw |= FSW_ES | FSW_B;
}
static inline void set_c1(struct fpu_state *f, bool v)
{
    f->sw = (uint16_t)(v ? f->sw | FSW_C1 : f->sw & ~FSW_C1);
}
/* True when the masked response is to be given. */
static bool stack_fault(struct fpu_state *f, bool overflow)
{
    set_c1(f, overflow);
    raise(f, FP_IE | FSW_SF);
    return (f->cw & FP_IE) != 0;
}
/* Takes over what an operation raised. True when its result is delivered. */
static bool settle(struct fpu_state *f, const struct fp_env *env)
{
    bool delivered = (env->flags & ~env->masked & FP_PRE) == 0;

    set_c1(f, delivered && env->rounded_up);
    raise(f, env->flags);
    return delivered;
}

/* --- loads --- */

static void push_result(struct fpu_state *f, struct f80 v)
{
    if (!empty(f, 7)) {
        if (stack_fault(f, true))
            push(f, F80_DEFAULT_NAN);
        return;
    }
    set_c1(f, false);
    push(f, v);
}

static void load_float(struct fpu_state *f, const struct x87_insn *in, const struct x87_operand *m)
{
    struct fp_env env = fp_env_from_fcw(f->cw);
    struct f80 v = {m->low, m->high};

    if (!empty(f, 7)) {
        push_result(f, v);
        return;
    }
    if (in->opsize == OPSIZE_32)
        v = f80_from_f32(&env, (uint32_t)m->low);
    else if (in->opsize == OPSIZE_64)
        v = f80_from_f64(&env, m->low);
    /* a denormal is loaded even when its exception is unmasked */
    bool refused = (env.flags & ~env.masked & FP_IE) != 0;
    set_c1(f, false);
    raise(f, env.flags);
    if (!refused)
        push(f, v);
}

static void fld(struct fpu_state *f, const struct x87_insn *in, const struct x87_operand *m)
{
    if (in->mem) {
        load_float(f, in, m);
    } else if (empty(f, in->sti)) {
        if (stack_fault(f, false))
            push(f, F80_DEFAULT_NAN);
    } else {
        push_result(f, *st(f, in->sti));
    }
}

static int64_t signed_operand(const struct x87_insn *in, const struct x87_operand *m)
{
    switch (in->opsize) {
    case OPSIZE_16: return (int16_t)m->low;
    case OPSIZE_32: return (int32_t)m->low;
    default: return (int64_t)m->low;
    }
}

static struct f80 bcd_operand(const struct x87_operand *m)
{
    uint8_t bytes[10];

    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(m->low >> (8 * i));
    bytes[8] = (uint8_t)m->high;
    bytes[9] = (uint8_t)(m->high >> 8);
    return f80_from_bcd(bytes);
}

/* --- arithmetic of two operands --- */

enum arith { ADD, MUL, SUB, SUBR, DIV, DIVR };

static struct f80 compute(struct fp_env *env, enum arith op, struct f80 a, struct f80 b)
{
    switch (op) {
    case ADD: return f80_add(env, a, b);
    case MUL: return f80_mul(env, a, b);
    case SUB: return f80_sub(env, a, b);
    case SUBR: return f80_sub(env, b, a);
    case DIV: return f80_div(env, a, b);
    default: return f80_div(env, b, a);
    }
}

/*
 * A memory operand as the arithmetic sees it: a signalling NaN stays one, and a denormal, which is
 * normal in the register format, is remembered.
 */
static struct f80 memory_operand(const struct x87_insn *in, const struct x87_operand *m, bool integer,
                                 bool *denormal)
{
    struct fp_env env = fp_env_from_fcw(FCW_INIT);
    struct f80 v;

    *denormal = false;
    if (integer)
        return f80_from_i64(signed_operand(in, m));
    v = in->opsize == OPSIZE_32 ? f80_from_f32(&env, (uint32_t)m->low) : f80_from_f64(&env, m->low);
    *denormal = (env.flags & FP_DE) != 0;
    if (env.flags & FP_IE)
        v.sig &= ~((uint64_t)1 << 62);
    return v;
}

/* DE of a memory operand yields to what has precedence over it: NaNs, invalid, division by zero. */
static void add_denormal(struct fp_env *env, struct f80 other)
{
    enum f80_class c = f80_classify(other);

    if ((env->flags & (FP_IE | FP_ZE)) != 0 || c == F80_NAN || c == F80_UNSUPPORTED)
        return;
    env->flags |= FP_DE;
    if ((env->masked & FP_DE) == 0)
        env->flags &= FP_PRE;
}

static void arith_memory(struct fpu_state *f, enum arith op, const struct x87_insn *in,
                         const struct x87_operand *m, bool integer)
{
    struct fp_env env = fp_env_from_fcw(f->cw);
    bool denormal;
    struct f80 b = memory_operand(in, m, integer, &denormal);

    if (empty(f, 0)) {
        if (stack_fault(f, false))
            set(f, 0, F80_DEFAULT_NAN);
        return;
    }
    struct f80 a = *st(f, 0), r = compute(&env, op, a, b);
    if (denormal)
        add_denormal(&env, a);
    if (settle(f, &env))
        set(f, 0, r);
}

/* Operands ST(0) and ST(i); the destination is either. `op` is as seen from the destination. */
static void arith_stack(struct fpu_state *f, enum arith op, const struct x87_insn *in, bool pops)
{
    unsigned dst = in->form == FORM_ST0_STI ? 0 : in->sti;
    unsigned src = in->form == FORM_ST0_STI ? in->sti : 0;
    struct fp_env env = fp_env_from_fcw(f->cw);

    if (empty(f, dst) || empty(f, src)) {
        if (!stack_fault(f, false))
            return;
        set(f, dst, F80_DEFAULT_NAN);
    } else {
        struct f80 r = compute(&env, op, *st(f, dst), *st(f, src));
        if (!settle(f, &env))
            return;
        set(f, dst, r);
    }
    if (pops)
        pop(f);
}

/* --- comparison --- */

static const uint16_t relation_cc[] = {
    [FP_LESS] = FSW_C0, [FP_EQUAL] = FSW_C3, [FP_GREATER] = 0,
    [FP_UNORDERED] = FSW_C0 | FSW_C2 | FSW_C3};
static const uint8_t relation_eflags[] = {
    [FP_LESS] = FL_CF, [FP_EQUAL] = FL_ZF, [FP_GREATER] = 0,
    [FP_UNORDERED] = FL_CF | FL_ZF | FL_PF};

/* The outcome, "unordered" without operands, is stored even where an exception is unmasked: seen on
 * hardware, and nothing in SDM vol. 1, 8.5 is against it but for TOP. False: then nothing is popped. */
static bool relate(struct fpu_state *f, bool missing, struct f80 b, bool denormal, bool signaling,
                   enum fp_relation *r)
{
    struct fp_env env = fp_env_from_fcw(f->cw);

    *r = FP_UNORDERED;
    if (missing)
        return stack_fault(f, false);
    *r = f80_compare(&env, *st(f, 0), b, signaling);
    if (denormal)
        add_denormal(&env, *st(f, 0));
    return settle(f, &env);
}

static bool compare_cc(struct fpu_state *f, bool missing, struct f80 b, bool denormal,
                       bool signaling)
{
    enum fp_relation r;
    bool may_pop = relate(f, missing, b, denormal, signaling, &r);

    f->sw = (uint16_t)((f->sw & ~CC_ALL) | relation_cc[r]);
    return may_pop;
}

static void fcom(struct fpu_state *f, const struct x87_insn *in, const struct x87_operand *m,
                 bool integer, bool signaling, unsigned pops)
{
    unsigned i = pops == 2 ? 1 : in->sti; /* FCOMPP, FUCOMPP: with ST(1) */
    bool denormal = false, missing = empty(f, 0) || (!in->mem && empty(f, i));
    struct f80 b = in->mem ? memory_operand(in, m, integer, &denormal) : *st(f, i);

    if (compare_cc(f, missing, b, denormal, signaling)) {
        while (pops-- > 0)
            pop(f);
    }
}

static bool fcomi(struct fpu_state *f, const struct x87_insn *in, bool signaling, bool pops,
                  uint32_t *eflags)
{
    bool missing = empty(f, 0) || empty(f, in->sti);
    enum fp_relation r;

    if (relate(f, missing, *st(f, in->sti), false, signaling, &r) && pops)
        pop(f);
    *eflags = relation_eflags[r];
    return true;
}

static void fxam(struct fpu_state *f)
{
    unsigned c = empty(f, 0) ? F80_EMPTY : f80_classify(*st(f, 0));

    f->sw = (uint16_t)((f->sw & ~CC_ALL) | (c & 4 ? FSW_C3 : 0) | (c & 2 ? FSW_C2 : 0) |
                       (c & 1 ? FSW_C0 : 0) | (st(f, 0)->se & 0x8000 ? FSW_C1 : 0));
}

/* --- one operand --- */

typedef struct f80 unary_fn(struct fp_env *env, struct f80 a);

static void unary(struct fpu_state *f, unary_fn *fn)
{
    struct fp_env env = fp_env_from_fcw(f->cw);

    if (empty(f, 0)) {
        if (stack_fault(f, false))
            set(f, 0, F80_DEFAULT_NAN);
        return;
    }
    struct f80 r = fn(&env, *st(f, 0));
    if (settle(f, &env))
        set(f, 0, r);
}

static struct f80 change_sign(struct fp_env *env, struct f80 a)
{
    (void)env;
    a.se ^= 0x8000;
    return a;
}

static struct f80 absolute(struct fp_env *env, struct f80 a)
{
    (void)env;
    a.se &= 0x7fff;
    return a;
}

/* ST(1) and ST(0) to ST(1), popping: FPATAN, FYL2X, FYL2XP1. */
typedef struct f80 binary_fn(struct fp_env *env, struct f80 st1, struct f80 st0);

static void binary_pop(struct fpu_state *f, binary_fn *fn)
{
    struct fp_env env = fp_env_from_fcw(f->cw);

    if (empty(f, 0) || empty(f, 1)) {
        if (!stack_fault(f, false))
            return;
        set(f, 1, F80_DEFAULT_NAN);
    } else {
        struct f80 r = fn(&env, *st(f, 1), *st(f, 0));
        if (!settle(f, &env))
            return;
        set(f, 1, r);
    }
    pop(f);
}

static void fscale(struct fpu_state *f)
{
    struct fp_env env = fp_env_from_fcw(f->cw);

    if (empty(f, 0) || empty(f, 1)) {
        if (stack_fault(f, false))
            set(f, 0, F80_DEFAULT_NAN);
        return;
    }
    struct f80 r = f80_scale(&env, *st(f, 0), *st(f, 1));
    if (settle(f, &env))
        set(f, 0, r);
}

/* C2: incomplete; C0, C3, C1: bits 2, 1, 0 of the quotient. */
static void fprem(struct fpu_state *f, bool nearest)
{
    struct fp_env env = fp_env_from_fcw(f->cw);
    unsigned q;
    bool partial;

    f->sw &= (uint16_t)~FSW_C2;
    if (empty(f, 0) || empty(f, 1)) {
        if (stack_fault(f, false))
            set(f, 0, F80_DEFAULT_NAN);
        return;
    }
    struct f80 r = f80_rem(&env, *st(f, 0), *st(f, 1), nearest, &q, &partial);
    env.rounded_up = false;
    if (!settle(f, &env))
        return;
    set(f, 0, r);
    if (f80_classify(r) == F80_NAN) /* there is no quotient to report */
        return;
    f->sw = (uint16_t)((f->sw & ~CC_ALL) | (partial ? FSW_C2 : 0) | (q & 4 ? FSW_C0 : 0) |
                       (q & 2 ? FSW_C3 : 0) | (q & 1 ? FSW_C1 : 0));
}

/* --- one operand, two results: the second is pushed --- */

/* True when ST(0) can be read and the result pushed; else the fault was dealt with. */
static bool room_for_two(struct fpu_state *f)
{
    bool missing = empty(f, 0);

    if (!missing && empty(f, 7))
        return true;
    if (stack_fault(f, !missing)) {
        set(f, 0, F80_DEFAULT_NAN);
        push(f, F80_DEFAULT_NAN);
    }
    return false;
}

static void fxtract(struct fpu_state *f)
{
    struct fp_env env = fp_env_from_fcw(f->cw);
    struct f80 significand;

    if (!room_for_two(f))
        return;
    struct f80 exponent = f80_extract(&env, *st(f, 0), &significand);
    if (!settle(f, &env))
        return;
    set(f, 0, exponent);
    push(f, significand);
}

static void out_of_range(struct fpu_state *f)
{
    f->sw = (uint16_t)((f->sw & ~FSW_C1) | FSW_C2);
}

static bool is_nan(struct f80 v)
{
    return f80_classify(v) == F80_NAN;
}

static void fptan(struct fpu_state *f)
{
    struct fp_env env = fp_env_from_fcw(f->cw);
    struct f80 r;

    f->sw &= (uint16_t)~FSW_C2;
    if (!room_for_two(f))
        return;
    if (!f80_tan(&env, *st(f, 0), &r)) {
        out_of_range(f);
        return;
    }
    if (!settle(f, &env))
        return;
    set(f, 0, r);
    push(f, is_nan(r) ? r : (struct f80){(uint64_t)1 << 63, 16383});
}

static void fsincos(struct fpu_state *f)
{
    struct fp_env env = fp_env_from_fcw(f->cw);
    struct f80 s, c;

    f->sw &= (uint16_t)~FSW_C2;
    if (!room_for_two(f))
        return;
    if (!f80_sincos(&env, *st(f, 0), &s, &c)) {
        out_of_range(f);
        return;
    }
    if (!settle(f, &env))
        return;
    set(f, 0, s);
    push(f, c);
}

static void fsin_fcos(struct fpu_state *f, bool cosine)
{
    struct fp_env env = fp_env_from_fcw(f->cw);
    struct f80 r;

    f->sw &= (uint16_t)~FSW_C2;
    if (empty(f, 0)) {
        if (stack_fault(f, false))
            set(f, 0, F80_DEFAULT_NAN);
        return;
    }
    if (!f80_sincos(&env, *st(f, 0), cosine ? NULL : &r, cosine ? &r : NULL)) {
        out_of_range(f);
        return;
    }
    if (!settle(f, &env))
        return;
    set(f, 0, r);
}

/* --- moves inside of the stack --- */

static void fxch(struct fpu_state *f, unsigned i)
{
    if (empty(f, 0) || empty(f, i)) {
        if (!stack_fault(f, false))
            return;
        if (empty(f, 0))
            set(f, 0, F80_DEFAULT_NAN);
        if (empty(f, i))
            set(f, i, F80_DEFAULT_NAN);
    } else {
        set_c1(f, false);
    }
    struct f80 t = *st(f, 0);
    *st(f, 0) = *st(f, i);
    *st(f, i) = t;
}

/* As FSTP ST(i), but nothing is checked. */
static void fstpnce(struct fpu_state *f, unsigned i)
{
    set_c1(f, false);
    if (!empty(f, 0))
        set(f, i, *st(f, 0));
    pop(f);
}

static void fst_register(struct fpu_state *f, unsigned i, bool pops)
{
    if (empty(f, 0)) {
        if (!stack_fault(f, false))
            return;
        set(f, i, F80_DEFAULT_NAN);
    } else {
        set_c1(f, false);
        set(f, i, *st(f, 0));
    }
    if (pops)
        pop(f);
}

static void fcmov(struct fpu_state *f, unsigned i, bool condition)
{
    if (empty(f, 0) || empty(f, i)) {
        if (stack_fault(f, false))
            set(f, 0, F80_DEFAULT_NAN);
        return;
    }
    if (condition)
        set(f, 0, *st(f, i));
}

static void ffree(struct fpu_state *f, unsigned i)
{
    set_c1(f, false);
    f->valid &= (uint8_t)~(1u << slot(f, i));
}

static void constant(struct fpu_state *f, enum f80_constant which)
{
    struct fp_env env = fp_env_from_fcw(f->cw);

    push_result(f, f80_constant(&env, which));
}

/* --- the instructions --- */

static bool execute_arith(struct fpu_state *f, const struct x87_insn *in, const struct x87_operand *m)
{
    enum arith op;
    bool integer = in->id >= INSN_FIADD && in->id <= INSN_FIDIVR;

    switch (in->id) {
    case INSN_FADD: case INSN_FADDP: case INSN_FIADD: op = ADD; break;
    case INSN_FMUL: case INSN_FMULP: case INSN_FIMUL: op = MUL; break;
    case INSN_FSUB: case INSN_FSUBP: case INSN_FISUB: op = SUB; break;
    case INSN_FSUBR: case INSN_FSUBRP: case INSN_FISUBR: op = SUBR; break;
    case INSN_FDIV: case INSN_FDIVP: case INSN_FIDIV: op = DIV; break;
    case INSN_FDIVR: case INSN_FDIVRP: case INSN_FIDIVR: op = DIVR; break;
    default: return false;
    }
    if (in->mem)
        arith_memory(f, op, in, m, integer);
    else
        arith_stack(f, op, in, in->id >= INSN_FADDP && in->id <= INSN_FDIVP);
    return true;
}

static bool execute_compare(struct fpu_state *f, const struct x87_insn *in,
                            const struct x87_operand *m)
{
    switch (in->id) {
    case INSN_FCOM: fcom(f, in, m, false, true, 0); return true;
    case INSN_FCOMP: fcom(f, in, m, false, true, 1); return true;
    case INSN_FCOMPP: fcom(f, in, m, false, true, 2); return true;
    case INSN_FICOM: fcom(f, in, m, true, true, 0); return true;
    case INSN_FICOMP: fcom(f, in, m, true, true, 1); return true;
    case INSN_FUCOM: fcom(f, in, m, false, false, 0); return true;
    case INSN_FUCOMP: fcom(f, in, m, false, false, 1); return true;
    case INSN_FUCOMPP: fcom(f, in, m, false, false, 2); return true;
    case INSN_FTST: compare_cc(f, empty(f, 0), (struct f80){0, 0}, false, true); return true;
    case INSN_FXAM: fxam(f); return true;
    default: return false;
    }
}

static bool execute_function(struct fpu_state *f, const struct x87_insn *in)
{
    switch (in->id) {
    case INSN_FCHS: unary(f, change_sign); return true;
    case INSN_FABS: unary(f, absolute); return true;
    case INSN_FSQRT: unary(f, f80_sqrt); return true;
    case INSN_FRNDINT: unary(f, f80_round_to_integral); return true;
    case INSN_F2XM1: unary(f, f80_2xm1); return true;
    case INSN_FYL2X: binary_pop(f, f80_yl2x); return true;
    case INSN_FYL2XP1: binary_pop(f, f80_yl2xp1); return true;
    case INSN_FPATAN: binary_pop(f, f80_atan2); return true;
    case INSN_FPTAN: fptan(f); return true;
    case INSN_FSIN: fsin_fcos(f, false); return true;
    case INSN_FCOS: fsin_fcos(f, true); return true;
    case INSN_FSINCOS: fsincos(f); return true;
    case INSN_FXTRACT: fxtract(f); return true;
    case INSN_FPREM: fprem(f, false); return true;
    case INSN_FPREM1: fprem(f, true); return true;
    case INSN_FSCALE: fscale(f); return true;
    default: return false;
    }
}

static void execute_load(struct fpu_state *f, const struct x87_insn *in, const struct x87_operand *m,
                         bool condition)
{
    switch (in->id) {
    case INSN_FLD: fld(f, in, m); break;
    case INSN_FILD: push_result(f, f80_from_i64(signed_operand(in, m))); break;
    case INSN_FBLD: push_result(f, bcd_operand(m)); break;
    case INSN_FST: fst_register(f, in->sti, false); break;
    case INSN_FSTP: fst_register(f, in->sti, true); break;
    case INSN_FSTPNCE: fstpnce(f, in->sti); break;
    case INSN_FXCH: fxch(f, in->sti); break;
    case INSN_FCMOVB: case INSN_FCMOVE: case INSN_FCMOVBE: case INSN_FCMOVU: case INSN_FCMOVNB:
    case INSN_FCMOVNE: case INSN_FCMOVNBE: case INSN_FCMOVNU: fcmov(f, in->sti, condition); break;
    case INSN_FLD1: constant(f, F80_ONE); break;
    case INSN_FLDL2T: constant(f, F80_LOG2_10); break;
    case INSN_FLDL2E: constant(f, F80_LOG2_E); break;
    case INSN_FLDPI: constant(f, F80_PI); break;
    case INSN_FLDLG2: constant(f, F80_LOG10_2); break;
    case INSN_FLDLN2: constant(f, F80_LN_2); break;
    case INSN_FLDZ: constant(f, F80_PLUS_ZERO); break;
    default: break;
    }
}

static bool execute_control(struct fpu_state *f, const struct x87_insn *in,
                            const struct x87_operand *m)
{
    switch (in->id) {
    case INSN_FDECSTP: set_c1(f, false); f->top = (f->top - 1) & 7; return true;
    case INSN_FINCSTP: set_c1(f, false); f->top = (f->top + 1) & 7; return true;
    case INSN_FFREE: ffree(f, in->sti); return true;
    case INSN_FFREEP: ffree(f, in->sti); pop(f); return true;
    case INSN_FNCLEX: f->sw &= (uint16_t)~(FP_ALL | FSW_SF | FSW_ES | FSW_B); return true;
    case INSN_FNINIT: fpu_init(f); return true;
    case INSN_FLDCW: fpu_set_control_word(f, (uint16_t)m->low); return true;
    case INSN_FNOP: case INSN_FNENI: case INSN_FNDISI: case INSN_FNSETPM: case INSN_FWAIT:
        return true;
    default: return false;
    }
}

bool x87_execute(struct fpu_state *fpu, const struct x87_insn *in, const struct x87_operand *operand,
                 bool condition, uint32_t *eflags)
{
    switch (in->id) {
    case INSN_FCOMI: return fcomi(fpu, in, true, false, eflags);
    case INSN_FCOMIP: return fcomi(fpu, in, true, true, eflags);
    case INSN_FUCOMI: return fcomi(fpu, in, false, false, eflags);
    case INSN_FUCOMIP: return fcomi(fpu, in, false, true, eflags);
    default: break;
    }
    if (!execute_arith(fpu, in, operand) && !execute_compare(fpu, in, operand) &&
        !execute_function(fpu, in) && !execute_control(fpu, in, operand))
        execute_load(fpu, in, operand, condition);
    return false;
}

/* --- stores --- */

static void store_float(struct x87_store *s, struct fp_env *env, const struct x87_insn *in,
                        struct f80 v)
{
    s->bytes = (uint8_t)x87_operand_bytes(in);
    switch (in->opsize) {
    case OPSIZE_32: s->out.low = f80_to_f32(env, v); break;
    case OPSIZE_64: s->out.low = f80_to_f64(env, v); break;
    default: s->out = (struct x87_operand){v.sig, v.se}; break; /* no conversion, no exception */
    }
}

static void store_integer(struct x87_store *s, struct fp_env *env, const struct x87_insn *in,
                          struct f80 v)
{
    unsigned bits = 8u << in->opsize;
    enum fp_rounding rounding = in->id == INSN_FISTTP ? FP_TRUNCATE : env->rounding;

    s->bytes = (uint8_t)x87_operand_bytes(in);
    s->out.low = (uint64_t)f80_to_int(env, v, bits, rounding);
}

static void store_bcd(struct x87_store *s, struct fp_env *env, struct f80 v)
{
    uint8_t bytes[10];

    f80_to_bcd(env, v, bytes);
    s->bytes = sizeof(bytes);
    memcpy(&s->out.low, bytes, 8);
    s->out.high = (uint16_t)(bytes[8] | bytes[9] << 8);
}

static void store_value(struct x87_store *s, struct fp_env *env, const struct x87_insn *in,
                        struct f80 v)
{
    switch (in->id) {
    case INSN_FST:
    case INSN_FSTP: store_float(s, env, in, v); break;
    case INSN_FBSTP: store_bcd(s, env, v); break;
    default: store_integer(s, env, in, v); break;
    }
}

void x87_store(const struct fpu_state *fpu, const struct x87_insn *in, struct x87_store *store)
{
    struct fp_env env = fp_env_from_fcw(fpu->cw);
    struct x87_store *s = store;

    *s = (struct x87_store){.sets_flags = true};
    if (in->id == INSN_FNSTCW || in->id == INSN_FNSTSW) {
        s->out.low = in->id == INSN_FNSTCW ? fpu->cw : fpu_status_word(fpu);
        s->bytes = 2;
        s->sets_flags = false;
        return;
    }
    bool missing = empty(fpu, 0);
    /* the masked response to an empty register is that to an unsupported operand, with SF */
    store_value(s, &env, in, missing ? F80_DEFAULT_NAN : fpu->st[fpu->top]);
    s->flags = missing ? FP_IE | FSW_SF : env.flags;
    bool stopped = (s->flags & ~fpu->cw & (FP_IE | FP_OE | FP_UE)) != 0;
    if (stopped)
        s->bytes = 0;
    s->c1 = !missing && !stopped && env.rounded_up;
    s->pops = !stopped && in->id != INSN_FST && in->id != INSN_FIST;
}

void x87_store_commit(struct fpu_state *fpu, const struct x87_store *store)
{
    if (!store->sets_flags)
        return;
    set_c1(fpu, store->c1);
    raise(fpu, store->flags);
    if (store->pops)
        pop(fpu);
}

/* --- about instructions --- */

enum x87_kind x87_kind(const struct x87_insn *in)
{
    switch (in->id) {
    case INSN_FST: case INSN_FSTP: return in->mem ? X87_STORE : X87_NONE;
    case INSN_FIST: case INSN_FISTP: case INSN_FISTTP: case INSN_FBSTP: case INSN_FNSTCW:
    case INSN_FNSTSW: return X87_STORE;
    default: return in->mem ? X87_LOAD : X87_NONE;
    }
}

unsigned x87_operand_bytes(const struct x87_insn *in)
{
    return in->opsize == OPSIZE_128 ? 10 : 1u << in->opsize;
}

bool x87_waits(enum insn_id id)
{
    switch (id) {
    case INSN_FNCLEX: case INSN_FNINIT: case INSN_FNSTCW: case INSN_FNSTSW: case INSN_FNSTENV:
    case INSN_FNSAVE: case INSN_FNENI: case INSN_FNDISI: case INSN_FNSETPM: return false;
    default: return true;
    }
}

bool x87_is_recorded(enum insn_id id)
{
    switch (id) {
    case INSN_FNCLEX: case INSN_FNINIT: case INSN_FNSTCW: case INSN_FNSTSW: case INSN_FNSTENV:
    case INSN_FNSAVE: case INSN_FLDCW: case INSN_FLDENV: case INSN_FRSTOR: case INSN_FWAIT:
    case INSN_FNENI: case INSN_FNDISI: case INSN_FNSETPM: return false;
    default: return true;
    }
}
