/* SPDX-License-Identifier: MIT */
/*
 * The opcode maps (Intel SDM vol. 2, appendix A), for a CPU of the x86-64-v2 level.
 *
 * Not here, so undefined: VMX but for VMCALL, SVM, SMX, SGX, CET (its hint NOPs are NOPs), MPX
 * (likewise), TSX, AES, PCLMULQDQ, SHA, GFNI, ADX, PKU, 3DNow!, SSE4a, CLFLUSHOPT, CLWB, XSAVES,
 * all of VEX, EVEX and XOP. TZCNT, LZCNT and WBNOINVD are BSF, BSR and WBINVD with a prefix that does
 * nothing, as on CPUs without them.
 */
#include "decode_internal.h"

/* A leaf with ModRM, one without, one with the register in the opcode, one inheriting its shape. */
#define MR(i, f, s, m, fl)                                                                         \
    {.id = INSN_##i, .form = FORM_##f, .size = SZ_##s, .imm = IMM_##m, .flags = F_MODRM | (fl)}
#define NM(i, f, s, m, fl)                                                                         \
    {.id = INSN_##i, .form = FORM_##f, .size = SZ_##s, .imm = IMM_##m, .flags = (fl)}
#define OPR(i, f, s, m, fl) NM(i, f, s, m, F_OPR | (fl))
#define I(i) {.id = INSN_##i, .flags = F_ID}
#define U {.id = INSN_INVALID}

/* Selectors; BY gives a shape to entries below that have F_ID. */
#define BY(s_, f, s, m, fl, ...)                                                                   \
    {.sel = SEL_##s_, .form = FORM_##f, .size = SZ_##s, .imm = IMM_##m, .flags = F_MODRM | (fl),   \
     .sub = __VA_ARGS__}
#define SEL(s_, ...) {.sel = SEL_##s_, .sub = (const struct dec_entry[]){__VA_ARGS__}}
#define PFX(...) SEL(PREFIX, __VA_ARGS__)
#define GROUP(...) SEL(REG, __VA_ARGS__)
#define MEM_REG(...) SEL(MOD, __VA_ARGS__)

/* Vector leaves: X by form and memory width, XI with a control byte, MM both MMX and XMM. */
#define X(i, f, s) MR(i, f, s, NONE, 0)
#define XM(i, f, s) MR(i, f, s, NONE, F_MEM)
#define XR(i, f, s) MR(i, f, s, NONE, F_REG)
#define XI(i, f, s) MR(i, f, s, UB, 0)
#define MM(i) PFX(X(i, P_PM, Q), X(i, X_XM, X), U, U)
#define PX(none, p66) PFX(X(none, X_XM, X), X(p66, X_XM, X), U, U)
#define FP4(i) PFX(X(i##PS, X_XM, X), X(i##PD, X_XM, X), X(i##SS, X_XM, D), X(i##SD, X_XM, Q))
#define X66(i, s) PFX(U, X(i, X_XM, s), U, U)
#define X66I(i, f, s) PFX(U, XI(i, f, s), U, U)

/* Sixteen conditions in a row. */
#define CC(b, p, f, s, m, fl)                                                                      \
    [(b) + 0] = NM(p##O, f, s, m, fl), [(b) + 1] = NM(p##NO, f, s, m, fl),                         \
    [(b) + 2] = NM(p##B, f, s, m, fl), [(b) + 3] = NM(p##NB, f, s, m, fl),                         \
    [(b) + 4] = NM(p##Z, f, s, m, fl), [(b) + 5] = NM(p##NZ, f, s, m, fl),                         \
    [(b) + 6] = NM(p##BE, f, s, m, fl), [(b) + 7] = NM(p##NBE, f, s, m, fl),                       \
    [(b) + 8] = NM(p##S, f, s, m, fl), [(b) + 9] = NM(p##NS, f, s, m, fl),                         \
    [(b) + 10] = NM(p##P, f, s, m, fl), [(b) + 11] = NM(p##NP, f, s, m, fl),                       \
    [(b) + 12] = NM(p##L, f, s, m, fl), [(b) + 13] = NM(p##NL, f, s, m, fl),                       \
    [(b) + 14] = NM(p##LE, f, s, m, fl), [(b) + 15] = NM(p##NLE, f, s, m, fl)

/* The six encodings of an arithmetic instruction. */
#define ALU(b, i)                                                                                  \
    [(b) + 0] = MR(i, RM_R, B, NONE, F_8), [(b) + 1] = MR(i, RM_R, V, NONE, 0),                    \
    [(b) + 2] = MR(i, R_RM, B, NONE, F_8), [(b) + 3] = MR(i, R_RM, V, NONE, 0),                    \
    [(b) + 4] = NM(i, RM_IMM, B, SB, 0), [(b) + 5] = NM(i, RM_IMM, V, Z, 0)

/* Integer groups, numbered as in the manual. */
static const struct dec_entry group1[8] = {I(ADD), I(OR), I(ADC), I(SBB),
                                           I(AND), I(SUB), I(XOR), I(CMP)};
static const struct dec_entry group2[8] = {I(ROL), I(ROR), I(RCL), I(RCR),
                                           I(SHL), I(SHR), I(SHL), I(SAR)};
static const struct dec_entry group8[8] = {U, U, U, U, I(BT), I(BTS), I(BTR), I(BTC)};
/* Shifts by immediate: PSRAQ does not exist; the byte shifts have XMM only. */
static const struct dec_entry group12[8] = {U, U, I(PSRLW), U, I(PSRAW), U, I(PSLLW), U};
static const struct dec_entry group13[8] = {U, U, I(PSRLD), U, I(PSRAD), U, I(PSLLD), U};
static const struct dec_entry group14_mmx[8] = {U, U, I(PSRLQ), U, U, U, I(PSLLQ), U};
static const struct dec_entry group14_xmm[8] = {U, U, I(PSRLQ), I(PSRLDQ),
                                                U, U, I(PSLLQ), I(PSLLDQ)};
#define SHIFT_GROUP(mmx, xmm)                                                                      \
    PFX(BY(REG, P_IMM, Q, UB, F_REG, mmx), BY(REG, X_IMM, X, UB, F_REG, xmm), U, U)

/*
 * x87. Register encodings that the manual leaves reserved and every CPU executes as an alias
 * (FCOM2, FCOMP3, FCOMP5, FXCH4, FXCH7, FSTP8, FSTP9) are the instruction they alias.
 */
#define ST(i, f) MR(i, f, X, NONE, 0)
#define FM(i, s) MR(i, ST0_M, s, NONE, 0)

static const struct dec_entry x87_arith[8] = {I(FADD), I(FMUL), I(FCOM), I(FCOMP),
                                              I(FSUB), I(FSUBR), I(FDIV), I(FDIVR)};
static const struct dec_entry x87_int_arith[8] = {I(FIADD), I(FIMUL), I(FICOM), I(FICOMP),
                                                  I(FISUB), I(FISUBR), I(FIDIV), I(FIDIVR)};
static const struct dec_entry x87_d9_mem[8] = {
    FM(FLD, D), U, FM(FST, D), FM(FSTP, D), FM(FLDENV, Z), FM(FLDCW, W), FM(FNSTENV, Z),
    FM(FNSTCW, W)};
static const struct dec_entry x87_d9_reg[8] = {
    ST(FLD, STI),
    ST(FXCH, STI),
    BY(RM, NONE, X, NONE, 0, (const struct dec_entry[]){I(FNOP), U, U, U, U, U, U, U}),
    ST(FSTPNCE, STI),
    BY(RM, NONE, X, NONE, 0,
       (const struct dec_entry[]){I(FCHS), I(FABS), U, U, I(FTST), I(FXAM), U, U}),
    BY(RM, NONE, X, NONE, 0,
       (const struct dec_entry[]){I(FLD1), I(FLDL2T), I(FLDL2E), I(FLDPI), I(FLDLG2), I(FLDLN2),
                                  I(FLDZ), U}),
    BY(RM, NONE, X, NONE, 0,
       (const struct dec_entry[]){I(F2XM1), I(FYL2X), I(FPTAN), I(FPATAN), I(FXTRACT), I(FPREM1),
                                  I(FDECSTP), I(FINCSTP)}),
    BY(RM, NONE, X, NONE, 0,
       (const struct dec_entry[]){I(FPREM), I(FYL2XP1), I(FSQRT), I(FSINCOS), I(FRNDINT),
                                  I(FSCALE), I(FSIN), I(FCOS)}),
};
static const struct dec_entry x87_da_reg[8] = {
    ST(FCMOVB, ST0_STI), ST(FCMOVE, ST0_STI), ST(FCMOVBE, ST0_STI), ST(FCMOVU, ST0_STI), U,
    BY(RM, NONE, X, NONE, 0, (const struct dec_entry[]){U, I(FUCOMPP), U, U, U, U, U, U}), U, U};
static const struct dec_entry x87_db_mem[8] = {
    FM(FILD, D), FM(FISTTP, D), FM(FIST, D), FM(FISTP, D), U, FM(FLD, X), U, FM(FSTP, X)};
static const struct dec_entry x87_db_reg[8] = {
    ST(FCMOVNB, ST0_STI),
    ST(FCMOVNE, ST0_STI),
    ST(FCMOVNBE, ST0_STI),
    ST(FCMOVNU, ST0_STI),
    BY(RM, NONE, X, NONE, 0,
       (const struct dec_entry[]){I(FNENI), I(FNDISI), I(FNCLEX), I(FNINIT), I(FNSETPM), U, U, U}),
    ST(FUCOMI, ST0_STI),
    ST(FCOMI, ST0_STI),
    U};
static const struct dec_entry x87_dc_reg[8] = {
    ST(FADD, STI_ST0),  ST(FMUL, STI_ST0), ST(FCOM, ST0_STI),  ST(FCOMP, ST0_STI),
    ST(FSUBR, STI_ST0), ST(FSUB, STI_ST0), ST(FDIVR, STI_ST0), ST(FDIV, STI_ST0)};
static const struct dec_entry x87_dd_mem[8] = {
    FM(FLD, Q), FM(FISTTP, Q), FM(FST, Q), FM(FSTP, Q), FM(FRSTOR, Z), U, FM(FNSAVE, Z),
    FM(FNSTSW, W)};
static const struct dec_entry x87_dd_reg[8] = {
    ST(FFREE, STI), ST(FXCH, STI), ST(FST, STI), ST(FSTP, STI), ST(FUCOM, ST0_STI),
    ST(FUCOMP, ST0_STI), U, U};
static const struct dec_entry x87_de_reg[8] = {
    ST(FADDP, STI_ST0),
    ST(FMULP, STI_ST0),
    ST(FCOMP, ST0_STI),
    BY(RM, NONE, X, NONE, 0, (const struct dec_entry[]){U, I(FCOMPP), U, U, U, U, U, U}),
    ST(FSUBRP, STI_ST0),
    ST(FSUBP, STI_ST0),
    ST(FDIVRP, STI_ST0),
    ST(FDIVP, STI_ST0)};
static const struct dec_entry x87_df_mem[8] = {
    FM(FILD, W), FM(FISTTP, W), FM(FIST, W), FM(FISTP, W), FM(FBLD, X), FM(FILD, Q), FM(FBSTP, X),
    FM(FISTP, Q)};
static const struct dec_entry x87_df_reg[8] = {
    ST(FFREEP, STI),
    ST(FXCH, STI),
    ST(FSTP, STI),
    ST(FSTP, STI),
    BY(RM, RM, W, NONE, F_AX, (const struct dec_entry[]){I(FNSTSW), U, U, U, U, U, U, U}),
    ST(FUCOMIP, ST0_STI),
    ST(FCOMIP, ST0_STI),
    U};

#define X87(mem, reg)                                                                              \
    MEM_REG({.sel = SEL_REG, .sub = mem}, {.sel = SEL_REG, .sub = reg})
#define X87_ARITH(mem, s, reg)                                                                     \
    MEM_REG(BY(REG, ST0_M, s, NONE, 0, mem), {.sel = SEL_REG, .sub = reg})

const struct dec_entry dec_map_one[256] = {
    ALU(0x00, ADD),
    ALU(0x08, OR),
    ALU(0x10, ADC),
    ALU(0x18, SBB),
    ALU(0x20, AND),
    ALU(0x28, SUB),
    ALU(0x30, XOR),
    ALU(0x38, CMP),
    [0x06] = NM(PUSH_SREG, SREG, D64, NONE, F_NO64),
    [0x07] = NM(POP_SREG, SREG, D64, NONE, F_NO64),
    [0x0e] = NM(PUSH_SREG, SREG, D64, NONE, F_NO64),
    [0x16] = NM(PUSH_SREG, SREG, D64, NONE, F_NO64),
    [0x17] = NM(POP_SREG, SREG, D64, NONE, F_NO64),
    [0x1e] = NM(PUSH_SREG, SREG, D64, NONE, F_NO64),
    [0x1f] = NM(POP_SREG, SREG, D64, NONE, F_NO64),
    [0x27] = NM(DAA, NONE, B, NONE, F_NO64),
    [0x2f] = NM(DAS, NONE, B, NONE, F_NO64),
    [0x37] = NM(AAA, NONE, B, NONE, F_NO64),
    [0x3f] = NM(AAS, NONE, B, NONE, F_NO64),
    [0x40 ... 0x47] = OPR(INC, RM, V, NONE, 0), /* in 64-bit code REX, which never gets here */
    [0x48 ... 0x4f] = OPR(DEC, RM, V, NONE, 0),
    [0x50 ... 0x57] = OPR(PUSH, RM, D64, NONE, 0),
    [0x58 ... 0x5f] = OPR(POP, RM, D64, NONE, 0),
    [0x60] = NM(PUSHA, NONE, V, NONE, F_NO64),
    [0x61] = NM(POPA, NONE, V, NONE, F_NO64),
    [0x62] = MR(BOUND, R_RM, V, NONE, F_NO64 | F_MEM),
    [0x63] = SEL(MODE64, MR(ARPL, RM_R, W, NONE, 0), MR(MOVSXD, R_RM, V, NONE, 0)),
    [0x68] = NM(PUSH, IMM, D64, Z, 0),
    [0x69] = MR(IMUL2, R_RM_IMM, V, Z, 0),
    [0x6a] = NM(PUSH, IMM, D64, SB, 0),
    [0x6b] = MR(IMUL2, R_RM_IMM, V, SB, 0),
    [0x6c] = NM(INS, NONE, B, NONE, 0),
    [0x6d] = NM(INS, NONE, Z, NONE, 0),
    [0x6e] = NM(OUTS, NONE, B, NONE, F_SEG),
    [0x6f] = NM(OUTS, NONE, Z, NONE, F_SEG),
    CC(0x70, J, REL, F64, SB, 0),
    [0x80] = BY(REG, RM_IMM, B, SB, F_8, group1),
    [0x81] = BY(REG, RM_IMM, V, Z, 0, group1),
    [0x82] = BY(REG, RM_IMM, B, SB, F_8 | F_NO64, group1),
    [0x83] = BY(REG, RM_IMM, V, SB, 0, group1),
    [0x84] = MR(TEST, RM_R, B, NONE, F_8),
    [0x85] = MR(TEST, RM_R, V, NONE, 0),
    [0x86] = MR(XCHG, RM_R, B, NONE, F_8),
    [0x87] = MR(XCHG, RM_R, V, NONE, 0),
    [0x88] = MR(MOV, RM_R, B, NONE, F_8),
    [0x89] = MR(MOV, RM_R, V, NONE, 0),
    [0x8a] = MR(MOV, R_RM, B, NONE, F_8),
    [0x8b] = MR(MOV, R_RM, V, NONE, 0),
    [0x8c] = MR(MOV_FROM_SREG, RM_SREG, V, NONE, F_MEM16),
    [0x8d] = MR(LEA, R_RM, V, NONE, F_MEM),
    [0x8e] = MR(MOV_TO_SREG, SREG_RM, W, NONE, 0),
    [0x8f] = GROUP(MR(POP, RM, D64, NONE, 0), U, U, U, U, U, U, U),
    [0x90] = SEL(REX_B,
                 PFX(NM(NOP, NONE, V, NONE, 0), NM(NOP, NONE, V, NONE, 0),
                     NM(PAUSE, NONE, V, NONE, 0), NM(NOP, NONE, V, NONE, 0)),
                 OPR(XCHG, RM_R, V, NONE, 0)),
    [0x91 ... 0x97] = OPR(XCHG, RM_R, V, NONE, 0),
    [0x98] = NM(CBW, NONE, V, NONE, 0),
    [0x99] = NM(CWD, NONE, V, NONE, 0),
    [0x9a] = NM(CALL_FAR, FAR, V, FAR, F_NO64),
    [0x9b] = NM(FWAIT, NONE, X, NONE, 0),
    [0x9c] = NM(PUSHF, NONE, D64, NONE, 0),
    [0x9d] = NM(POPF, NONE, D64, NONE, 0),
    [0x9e] = NM(SAHF, NONE, B, NONE, 0),
    [0x9f] = NM(LAHF, NONE, B, NONE, 0),
    [0xa0] = NM(MOV, R_MOFFS, B, MOFFS, F_SEG),
    [0xa1] = NM(MOV, R_MOFFS, V, MOFFS, F_SEG),
    [0xa2] = NM(MOV, MOFFS_R, B, MOFFS, F_SEG),
    [0xa3] = NM(MOV, MOFFS_R, V, MOFFS, F_SEG),
    [0xa4] = NM(MOVS, NONE, B, NONE, F_SEG),
    [0xa5] = NM(MOVS, NONE, V, NONE, F_SEG),
    [0xa6] = NM(CMPS, NONE, B, NONE, F_SEG),
    [0xa7] = NM(CMPS, NONE, V, NONE, F_SEG),
    [0xa8] = NM(TEST, RM_IMM, B, SB, 0),
    [0xa9] = NM(TEST, RM_IMM, V, Z, 0),
    [0xaa] = NM(STOS, NONE, B, NONE, 0),
    [0xab] = NM(STOS, NONE, V, NONE, 0),
    [0xac] = NM(LODS, NONE, B, NONE, F_SEG),
    [0xad] = NM(LODS, NONE, V, NONE, F_SEG),
    [0xae] = NM(SCAS, NONE, B, NONE, 0),
    [0xaf] = NM(SCAS, NONE, V, NONE, 0),
    [0xb0 ... 0xb7] = OPR(MOV, RM_IMM, B, V, F_RM8),
    [0xb8 ... 0xbf] = OPR(MOV, RM_IMM, V, V, 0),
    [0xc0] = BY(REG, RM_IMM, B, UB, F_8, group2),
    [0xc1] = BY(REG, RM_IMM, V, UB, 0, group2),
    [0xc2] = NM(RET, IMM, F64, UW, 0),
    [0xc3] = NM(RET, NONE, F64, NONE, 0),
    [0xc4] = MR(LES, M_FAR, V, NONE, F_NO64 | F_MEM),
    [0xc5] = MR(LDS, M_FAR, V, NONE, F_NO64 | F_MEM),
    [0xc6] = GROUP(MR(MOV, RM_IMM, B, SB, F_8), U, U, U, U, U, U, U),
    [0xc7] = GROUP(MR(MOV, RM_IMM, V, Z, 0), U, U, U, U, U, U, U),
    [0xc8] = NM(ENTER, IMM, D64, ENTER, 0),
    [0xc9] = NM(LEAVE, NONE, D64, NONE, 0),
    [0xca] = NM(RET_FAR, IMM, V, UW, 0),
    [0xcb] = NM(RET_FAR, NONE, V, NONE, 0),
    [0xcc] = NM(INT3, NONE, V, NONE, 0),
    [0xcd] = NM(INT, IMM, V, UB, 0),
    [0xce] = NM(INTO, NONE, V, NONE, F_NO64),
    [0xcf] = NM(IRET, NONE, V, NONE, 0),
    [0xd0] = BY(REG, RM_IMM, B, ONE, F_8, group2),
    [0xd1] = BY(REG, RM_IMM, V, ONE, 0, group2),
    [0xd2] = BY(REG, RM_CL, B, NONE, F_8, group2),
    [0xd3] = BY(REG, RM_CL, V, NONE, 0, group2),
    [0xd4] = NM(AAM, IMM, B, UB, F_NO64),
    [0xd5] = NM(AAD, IMM, B, UB, F_NO64),
    [0xd6] = NM(SALC, NONE, B, NONE, F_NO64),
    [0xd7] = NM(XLAT, NONE, B, NONE, F_SEG),
    [0xd8] = MEM_REG(BY(REG, ST0_M, D, NONE, 0, x87_arith),
                     BY(REG, ST0_STI, X, NONE, 0, x87_arith)),
    [0xd9] = X87(x87_d9_mem, x87_d9_reg),
    [0xda] = X87_ARITH(x87_int_arith, D, x87_da_reg),
    [0xdb] = X87(x87_db_mem, x87_db_reg),
    [0xdc] = X87_ARITH(x87_arith, Q, x87_dc_reg),
    [0xdd] = X87(x87_dd_mem, x87_dd_reg),
    [0xde] = X87_ARITH(x87_int_arith, W, x87_de_reg),
    [0xdf] = X87(x87_df_mem, x87_df_reg),
    [0xe0] = NM(LOOPNE, REL, F64, SB, 0),
    [0xe1] = NM(LOOPE, REL, F64, SB, 0),
    [0xe2] = NM(LOOP, REL, F64, SB, 0),
    [0xe3] = NM(JCXZ, REL, F64, SB, 0),
    [0xe4] = NM(IN, IMM, B, UB, 0),
    [0xe5] = NM(IN, IMM, Z, UB, 0),
    [0xe6] = NM(OUT, IMM, B, UB, 0),
    [0xe7] = NM(OUT, IMM, Z, UB, 0),
    [0xe8] = NM(CALL, REL, F64, Z, 0),
    [0xe9] = NM(JMP, REL, F64, Z, 0),
    [0xea] = NM(JMP_FAR, FAR, V, FAR, F_NO64),
    [0xeb] = NM(JMP, REL, F64, SB, 0),
    [0xec] = NM(IN, DX, B, NONE, 0),
    [0xed] = NM(IN, DX, Z, NONE, 0),
    [0xee] = NM(OUT, DX, B, NONE, 0),
    [0xef] = NM(OUT, DX, Z, NONE, 0),
    [0xf1] = NM(INT1, NONE, V, NONE, 0),
    [0xf4] = NM(HLT, NONE, V, NONE, 0),
    [0xf5] = NM(CMC, NONE, V, NONE, 0),
    [0xf6] = GROUP(MR(TEST, RM_IMM, B, SB, F_8), MR(TEST, RM_IMM, B, SB, F_8),
                   MR(NOT, RM, B, NONE, F_8), MR(NEG, RM, B, NONE, F_8), MR(MUL, RM, B, NONE, F_8),
                   MR(IMUL, RM, B, NONE, F_8), MR(DIV, RM, B, NONE, F_8),
                   MR(IDIV, RM, B, NONE, F_8)),
    [0xf7] = GROUP(MR(TEST, RM_IMM, V, Z, 0), MR(TEST, RM_IMM, V, Z, 0), MR(NOT, RM, V, NONE, 0),
                   MR(NEG, RM, V, NONE, 0), MR(MUL, RM, V, NONE, 0), MR(IMUL, RM, V, NONE, 0),
                   MR(DIV, RM, V, NONE, 0), MR(IDIV, RM, V, NONE, 0)),
    [0xf8] = NM(CLC, NONE, V, NONE, 0),
    [0xf9] = NM(STC, NONE, V, NONE, 0),
    [0xfa] = NM(CLI, NONE, V, NONE, 0),
    [0xfb] = NM(STI, NONE, V, NONE, 0),
    [0xfc] = NM(CLD, NONE, V, NONE, 0),
    [0xfd] = NM(STD, NONE, V, NONE, 0),
    [0xfe] = GROUP(MR(INC, RM, B, NONE, F_8), MR(DEC, RM, B, NONE, F_8), U, U, U, U, U, U),
    [0xff] = GROUP(MR(INC, RM, V, NONE, 0), MR(DEC, RM, V, NONE, 0), MR(CALL, RM, F64, NONE, 0),
                   MR(CALL_FAR, M_FAR, V, NONE, F_MEM), MR(JMP, RM, F64, NONE, 0),
                   MR(JMP_FAR, M_FAR, V, NONE, F_MEM), MR(PUSH, RM, D64, NONE, 0), U),
};

/* Group 7, 0F 01: system tables with memory; with a register each rm is an instruction. */
#define NP(i) PFX(MR(i, NONE, V, NONE, 0), U, U, U)
static const struct dec_entry group7_mem[8] = {
    MR(SGDT, M, F64, NONE, 0), MR(SIDT, M, F64, NONE, 0), MR(LGDT, M, F64, NONE, 0),
    MR(LIDT, M, F64, NONE, 0), MR(SMSW, RM, V, NONE, F_MEM16), U, MR(LMSW, RM, W, NONE, 0),
    MR(INVLPG, M, B, NONE, 0)};
static const struct dec_entry group7_reg[8] = {
    SEL(RM, U, NP(VMCALL), U, U, U, U, U, U),
    SEL(RM, NP(MONITOR), NP(MWAIT), NP(CLAC), NP(STAC), U, U, U, U),
    SEL(RM, NP(XGETBV), NP(XSETBV), U, U, U, U, U, U),
    U,
    MR(SMSW, RM, V, NONE, F_MEM16),
    U,
    MR(LMSW, RM, W, NONE, 0),
    SEL(RM, MR(SWAPGS, NONE, V, NONE, F_ONLY64), MR(RDTSCP, NONE, V, NONE, 0), U, U, U, U, U, U),
};

/* Group 15, 0F AE. */
#define NP_M(i, s) PFX(MR(i, M, s, NONE, 0), U, U, U)
#define FSGS(i) PFX(U, U, MR(i, RM, Y, NONE, F_ONLY64), U)
static const struct dec_entry group15_mem[8] = {
    NP_M(FXSAVE, Y),  NP_M(FXRSTOR, Y), NP_M(LDMXCSR, D),  NP_M(STMXCSR, D),
    NP_M(XSAVE, Y),   NP_M(XRSTOR, Y),  NP_M(XSAVEOPT, Y), NP_M(CLFLUSH, B)};
static const struct dec_entry group15_reg[8] = {
    FSGS(RDFSBASE), FSGS(RDGSBASE), FSGS(WRFSBASE), FSGS(WRGSBASE),
    U,              NP(LFENCE),     NP(MFENCE),     NP(SFENCE)};

/* Hint NOPs: the whole of 0F 18..1F that means nothing to this CPU. */
#define HINT MR(NOP, RM, V, NONE, 0)
#define PREFETCH_HINT MEM_REG(MR(PREFETCH, M, B, NONE, 0), HINT)

const struct dec_entry dec_map_0f[256] = {
    [0x00] = GROUP(MR(SLDT, RM, V, NONE, F_MEM16), MR(STR, RM, V, NONE, F_MEM16),
                   MR(LLDT, RM, W, NONE, 0), MR(LTR, RM, W, NONE, 0), MR(VERR, RM, W, NONE, 0),
                   MR(VERW, RM, W, NONE, 0), U, U),
    [0x01] = MEM_REG({.sel = SEL_REG, .sub = group7_mem}, {.sel = SEL_REG, .sub = group7_reg}),
    [0x02] = MR(LAR, R_RM, V, NONE, 0),
    [0x03] = MR(LSL, R_RM, V, NONE, 0),
    [0x05] = NM(SYSCALL, NONE, V, NONE, 0),
    [0x06] = NM(CLTS, NONE, V, NONE, 0),
    [0x07] = NM(SYSRET, NONE, V, NONE, 0),
    [0x08] = NM(INVD, NONE, V, NONE, 0),
    [0x09] = NM(WBINVD, NONE, V, NONE, 0),
    [0x0b] = NM(UD2, NONE, V, NONE, 0),
    [0x0d] = PREFETCH_HINT,
    [0x10] = PFX(X(MOVUPS, X_XM, X), X(MOVUPD, X_XM, X), X(MOVSS, X_XM, D),
                 X(MOVSD_XMM, X_XM, Q)),
    [0x11] = PFX(X(MOVUPS, XM_X, X), X(MOVUPD, XM_X, X), X(MOVSS, XM_X, D),
                 X(MOVSD_XMM, XM_X, Q)),
    [0x12] = PFX(MEM_REG(X(MOVLPS, X_XM, Q), X(MOVHLPS, X_XM, Q)), XM(MOVLPD, X_XM, Q),
                 X(MOVSLDUP, X_XM, X), X(MOVDDUP, X_XM, Q)),
    [0x13] = PFX(XM(MOVLPS, XM_X, Q), XM(MOVLPD, XM_X, Q), U, U),
    [0x14] = PX(UNPCKLPS, UNPCKLPD),
    [0x15] = PX(UNPCKHPS, UNPCKHPD),
    [0x16] = PFX(MEM_REG(X(MOVHPS, X_XM, Q), X(MOVLHPS, X_XM, Q)), XM(MOVHPD, X_XM, Q),
                 X(MOVSHDUP, X_XM, X), U),
    [0x17] = PFX(XM(MOVHPS, XM_X, Q), XM(MOVHPD, XM_X, Q), U, U),
    [0x18] = GROUP(PREFETCH_HINT, PREFETCH_HINT, PREFETCH_HINT, PREFETCH_HINT, HINT, HINT, HINT,
                   HINT),
    [0x19 ... 0x1f] = HINT,
    [0x20] = MR(MOV_FROM_CR, R_CR, MODE, NONE, F_NOMOD),
    [0x21] = MR(MOV_FROM_DR, R_DR, MODE, NONE, F_NOMOD),
    [0x22] = MR(MOV_TO_CR, CR_R, MODE, NONE, F_NOMOD),
    [0x23] = MR(MOV_TO_DR, DR_R, MODE, NONE, F_NOMOD),
    [0x28] = PX(MOVAPS, MOVAPD),
    [0x29] = PFX(X(MOVAPS, XM_X, X), X(MOVAPD, XM_X, X), U, U),
    [0x2a] = PFX(X(CVTPI2PS, X_PM, Q), X(CVTPI2PD, X_PM, Q), X(CVTSI2SS, X_RM, Y),
                 X(CVTSI2SD, X_RM, Y)),
    [0x2b] = PFX(XM(MOVNTPS, XM_X, X), XM(MOVNTPD, XM_X, X), U, U),
    [0x2c] = PFX(X(CVTTPS2PI, P_XM, Q), X(CVTTPD2PI, P_XM, X),
                 SEL(REX_W, X(CVTTSS2SI, R_XM, D), X(CVTTSS2SI_64, R_XM, D)),
                 SEL(REX_W, X(CVTTSD2SI, R_XM, Q), X(CVTTSD2SI_64, R_XM, Q))),
    [0x2d] = PFX(X(CVTPS2PI, P_XM, Q), X(CVTPD2PI, P_XM, X),
                 SEL(REX_W, X(CVTSS2SI, R_XM, D), X(CVTSS2SI_64, R_XM, D)),
                 SEL(REX_W, X(CVTSD2SI, R_XM, Q), X(CVTSD2SI_64, R_XM, Q))),
    [0x2e] = PFX(X(UCOMISS, X_XM, D), X(UCOMISD, X_XM, Q), U, U),
    [0x2f] = PFX(X(COMISS, X_XM, D), X(COMISD, X_XM, Q), U, U),
    [0x30] = NM(WRMSR, NONE, V, NONE, 0),
    [0x31] = NM(RDTSC, NONE, V, NONE, 0),
    [0x32] = NM(RDMSR, NONE, V, NONE, 0),
    [0x33] = NM(RDPMC, NONE, V, NONE, 0),
    [0x34] = NM(SYSENTER, NONE, V, NONE, 0),
    [0x35] = NM(SYSEXIT, NONE, V, NONE, 0),
    CC(0x40, CMOV, R_RM, V, NONE, F_MODRM),
    [0x50] = PFX(XR(MOVMSKPS, R_XM, X), XR(MOVMSKPD, R_XM, X), U, U),
    [0x51] = FP4(SQRT),
    [0x52] = PFX(X(RSQRTPS, X_XM, X), U, X(RSQRTSS, X_XM, D), U),
    [0x53] = PFX(X(RCPPS, X_XM, X), U, X(RCPSS, X_XM, D), U),
    [0x54] = PX(ANDPS, ANDPD),
    [0x55] = PX(ANDNPS, ANDNPD),
    [0x56] = PX(ORPS, ORPD),
    [0x57] = PX(XORPS, XORPD),
    [0x58] = FP4(ADD),
    [0x59] = FP4(MUL),
    [0x5a] = PFX(X(CVTPS2PD, X_XM, Q), X(CVTPD2PS, X_XM, X), X(CVTSS2SD, X_XM, D),
                 X(CVTSD2SS, X_XM, Q)),
    [0x5b] = PFX(X(CVTDQ2PS, X_XM, X), X(CVTPS2DQ, X_XM, X), X(CVTTPS2DQ, X_XM, X), U),
    [0x5c] = FP4(SUB),
    [0x5d] = FP4(MIN),
    [0x5e] = FP4(DIV),
    [0x5f] = FP4(MAX),
    [0x60] = PFX(X(PUNPCKLBW, P_PM, D), X(PUNPCKLBW, X_XM, X), U, U),
    [0x61] = PFX(X(PUNPCKLWD, P_PM, D), X(PUNPCKLWD, X_XM, X), U, U),
    [0x62] = PFX(X(PUNPCKLDQ, P_PM, D), X(PUNPCKLDQ, X_XM, X), U, U),
    [0x63] = MM(PACKSSWB),
    [0x64] = MM(PCMPGTB),
    [0x65] = MM(PCMPGTW),
    [0x66] = MM(PCMPGTD),
    [0x67] = MM(PACKUSWB),
    [0x68] = MM(PUNPCKHBW),
    [0x69] = MM(PUNPCKHWD),
    [0x6a] = MM(PUNPCKHDQ),
    [0x6b] = MM(PACKSSDW),
    [0x6c] = X66(PUNPCKLQDQ, X),
    [0x6d] = X66(PUNPCKHQDQ, X),
    [0x6e] = PFX(X(MOVD_P_RM, P_RM, Y), X(MOVD_X_RM, X_RM, Y), U, U),
    [0x6f] = PFX(X(MOVQ_P_PM, P_PM, Q), X(MOVDQA, X_XM, X), X(MOVDQU, X_XM, X), U),
    [0x70] = PFX(XI(PSHUFW, P_PM_IMM, Q), XI(PSHUFD, X_XM_IMM, X), XI(PSHUFHW, X_XM_IMM, X),
                 XI(PSHUFLW, X_XM_IMM, X)),
    [0x71] = SHIFT_GROUP(group12, group12),
    [0x72] = SHIFT_GROUP(group13, group13),
    [0x73] = SHIFT_GROUP(group14_mmx, group14_xmm),
    [0x74] = MM(PCMPEQB),
    [0x75] = MM(PCMPEQW),
    [0x76] = MM(PCMPEQD),
    [0x77] = PFX(NM(EMMS, NONE, Q, NONE, 0), U, U, U),
    [0x7c] = PFX(U, X(HADDPD, X_XM, X), U, X(HADDPS, X_XM, X)),
    [0x7d] = PFX(U, X(HSUBPD, X_XM, X), U, X(HSUBPS, X_XM, X)),
    [0x7e] = PFX(X(MOVD_RM_P, RM_P, Y), X(MOVD_RM_X, RM_X, Y), X(MOVQ_X_XM, X_XM, Q), U),
    [0x7f] = PFX(X(MOVQ_PM_P, PM_P, Q), X(MOVDQA, XM_X, X), X(MOVDQU, XM_X, X), U),
    CC(0x80, J, REL, F64, Z, 0),
    CC(0x90, SET, RM, B, NONE, F_MODRM | F_RM8),
    [0xa0] = NM(PUSH_SREG, SREG, D64, NONE, 0),
    [0xa1] = NM(POP_SREG, SREG, D64, NONE, 0),
    [0xa2] = NM(CPUID, NONE, V, NONE, 0),
    [0xa3] = MR(BT, RM_R, V, NONE, 0),
    [0xa4] = MR(SHLD, RM_R_IMM, V, UB, 0),
    [0xa5] = MR(SHLD, RM_R_CL, V, NONE, 0),
    [0xa8] = NM(PUSH_SREG, SREG, D64, NONE, 0),
    [0xa9] = NM(POP_SREG, SREG, D64, NONE, 0),
    [0xaa] = NM(RSM, NONE, V, NONE, 0),
    [0xab] = MR(BTS, RM_R, V, NONE, 0),
    [0xac] = MR(SHRD, RM_R_IMM, V, UB, 0),
    [0xad] = MR(SHRD, RM_R_CL, V, NONE, 0),
    [0xae] = MEM_REG({.sel = SEL_REG, .sub = group15_mem}, {.sel = SEL_REG, .sub = group15_reg}),
    [0xaf] = MR(IMUL2, R_RM, V, NONE, 0),
    [0xb0] = MR(CMPXCHG, RM_R, B, NONE, F_8),
    [0xb1] = MR(CMPXCHG, RM_R, V, NONE, 0),
    [0xb2] = MR(LSS, M_FAR, V, NONE, F_MEM),
    [0xb3] = MR(BTR, RM_R, V, NONE, 0),
    [0xb4] = MR(LFS, M_FAR, V, NONE, F_MEM),
    [0xb5] = MR(LGS, M_FAR, V, NONE, F_MEM),
    [0xb6] = MR(MOVZX8, R_RM, V, NONE, F_RM8),
    [0xb7] = MR(MOVZX16, R_RM, V, NONE, 0),
    [0xb8] = PFX(U, U, MR(POPCNT, R_RM, V, NONE, 0), U),
    [0xb9] = MR(UD1, R_RM, V, NONE, 0),
    [0xba] = BY(REG, RM_IMM, V, UB, 0, group8),
    [0xbb] = MR(BTC, RM_R, V, NONE, 0),
    [0xbc] = MR(BSF, R_RM, V, NONE, 0),
    [0xbd] = MR(BSR, R_RM, V, NONE, 0),
    [0xbe] = MR(MOVSX8, R_RM, V, NONE, F_RM8),
    [0xbf] = MR(MOVSX16, R_RM, V, NONE, 0),
    [0xc0] = MR(XADD, RM_R, B, NONE, F_8),
    [0xc1] = MR(XADD, RM_R, V, NONE, 0),
    [0xc2] = PFX(XI(CMPPS, X_XM_IMM, X), XI(CMPPD, X_XM_IMM, X), XI(CMPSS, X_XM_IMM, D),
                 XI(CMPSD_XMM, X_XM_IMM, Q)),
    [0xc3] = PFX(MR(MOVNTI, RM_R, Y, NONE, F_MEM), U, U, U),
    [0xc4] = PFX(XI(PINSRW, P_RM_IMM, W), XI(PINSRW, X_RM_IMM, W), U, U),
    [0xc5] = PFX(MR(PEXTRW, R_P_IMM, Q, UB, F_REG), MR(PEXTRW, R_X_IMM, X, UB, F_REG), U, U),
    [0xc6] = PFX(XI(SHUFPS, X_XM_IMM, X), XI(SHUFPD, X_XM_IMM, X), U, U),
    [0xc7] = MEM_REG(GROUP(U,
                           SEL(REX_W, MR(CMPXCHG8B, M, Q, NONE, 0), MR(CMPXCHG16B, M, X, NONE, 0)),
                           U, U, NP_M(XSAVEC, Y), U, U, U),
                     GROUP(U, U, U, U, U, U,
                           PFX(MR(RDRAND, RM, V, NONE, 0), MR(RDRAND, RM, V, NONE, 0), U, U),
                           PFX(MR(RDSEED, RM, V, NONE, 0), MR(RDSEED, RM, V, NONE, 0),
                               MR(RDPID, RM, MODE, NONE, 0), U))),
    [0xc8 ... 0xcf] = OPR(BSWAP, RM, V, NONE, 0),
    [0xd0] = PFX(U, X(ADDSUBPD, X_XM, X), U, X(ADDSUBPS, X_XM, X)),
    [0xd1] = MM(PSRLW),
    [0xd2] = MM(PSRLD),
    [0xd3] = MM(PSRLQ),
    [0xd4] = MM(PADDQ),
    [0xd5] = MM(PMULLW),
    [0xd6] = PFX(U, X(MOVQ_XM_X, XM_X, Q), XR(MOVQ2DQ, X_P, Q), XR(MOVDQ2Q, P_X, Q)),
    [0xd7] = PFX(XR(PMOVMSKB, R_P, Q), XR(PMOVMSKB, R_XM, X), U, U),
    [0xd8] = MM(PSUBUSB),
    [0xd9] = MM(PSUBUSW),
    [0xda] = MM(PMINUB),
    [0xdb] = MM(PAND),
    [0xdc] = MM(PADDUSB),
    [0xdd] = MM(PADDUSW),
    [0xde] = MM(PMAXUB),
    [0xdf] = MM(PANDN),
    [0xe0] = MM(PAVGB),
    [0xe1] = MM(PSRAW),
    [0xe2] = MM(PSRAD),
    [0xe3] = MM(PAVGW),
    [0xe4] = MM(PMULHUW),
    [0xe5] = MM(PMULHW),
    [0xe6] = PFX(U, X(CVTTPD2DQ, X_XM, X), X(CVTDQ2PD, X_XM, Q), X(CVTPD2DQ, X_XM, X)),
    [0xe7] = PFX(XM(MOVNTQ, PM_P, Q), XM(MOVNTDQ, XM_X, X), U, U),
    [0xe8] = MM(PSUBSB),
    [0xe9] = MM(PSUBSW),
    [0xea] = MM(PMINSW),
    [0xeb] = MM(POR),
    [0xec] = MM(PADDSB),
    [0xed] = MM(PADDSW),
    [0xee] = MM(PMAXSW),
    [0xef] = MM(PXOR),
    [0xf0] = PFX(U, U, U, XM(LDDQU, X_XM, X)),
    [0xf1] = MM(PSLLW),
    [0xf2] = MM(PSLLD),
    [0xf3] = MM(PSLLQ),
    [0xf4] = MM(PMULUDQ),
    [0xf5] = MM(PMADDWD),
    [0xf6] = MM(PSADBW),
    [0xf7] = PFX(MR(MASKMOVQ, P_PM, Q, NONE, F_REG | F_SEG),
                 MR(MASKMOVDQU, X_XM, X, NONE, F_REG | F_SEG), U, U),
    [0xf8] = MM(PSUBB),
    [0xf9] = MM(PSUBW),
    [0xfa] = MM(PSUBD),
    [0xfb] = MM(PSUBQ),
    [0xfc] = MM(PADDB),
    [0xfd] = MM(PADDW),
    [0xfe] = MM(PADDD),
    [0xff] = MR(UD0, R_RM, V, NONE, 0),
};

const struct dec_entry dec_map_0f38[256] = {
    [0x00] = MM(PSHUFB),
    [0x01] = MM(PHADDW),
    [0x02] = MM(PHADDD),
    [0x03] = MM(PHADDSW),
    [0x04] = MM(PMADDUBSW),
    [0x05] = MM(PHSUBW),
    [0x06] = MM(PHSUBD),
    [0x07] = MM(PHSUBSW),
    [0x08] = MM(PSIGNB),
    [0x09] = MM(PSIGNW),
    [0x0a] = MM(PSIGND),
    [0x0b] = MM(PMULHRSW),
    [0x10] = X66(PBLENDVB, X),
    [0x14] = X66(BLENDVPS, X),
    [0x15] = X66(BLENDVPD, X),
    [0x17] = X66(PTEST, X),
    [0x1c] = MM(PABSB),
    [0x1d] = MM(PABSW),
    [0x1e] = MM(PABSD),
    [0x20] = X66(PMOVSXBW, Q),
    [0x21] = X66(PMOVSXBD, D),
    [0x22] = X66(PMOVSXBQ, W),
    [0x23] = X66(PMOVSXWD, Q),
    [0x24] = X66(PMOVSXWQ, D),
    [0x25] = X66(PMOVSXDQ, Q),
    [0x28] = X66(PMULDQ, X),
    [0x29] = X66(PCMPEQQ, X),
    [0x2a] = PFX(U, XM(MOVNTDQA, X_XM, X), U, U),
    [0x2b] = X66(PACKUSDW, X),
    [0x30] = X66(PMOVZXBW, Q),
    [0x31] = X66(PMOVZXBD, D),
    [0x32] = X66(PMOVZXBQ, W),
    [0x33] = X66(PMOVZXWD, Q),
    [0x34] = X66(PMOVZXWQ, D),
    [0x35] = X66(PMOVZXDQ, Q),
    [0x37] = X66(PCMPGTQ, X),
    [0x38] = X66(PMINSB, X),
    [0x39] = X66(PMINSD, X),
    [0x3a] = X66(PMINUW, X),
    [0x3b] = X66(PMINUD, X),
    [0x3c] = X66(PMAXSB, X),
    [0x3d] = X66(PMAXSD, X),
    [0x3e] = X66(PMAXUW, X),
    [0x3f] = X66(PMAXUD, X),
    [0x40] = X66(PMULLD, X),
    [0x41] = X66(PHMINPOSUW, X),
    [0x82] = PFX(U, MR(INVPCID, R_RM, MODE, NONE, F_MEM), U, U),
    [0xf0] = PFX(MR(MOVBE, R_RM, V, NONE, F_MEM), MR(MOVBE, R_RM, V, NONE, F_MEM), U,
                 MR(CRC32, R_RM, B, NONE, F_RM8)),
    [0xf1] = PFX(MR(MOVBE, RM_R, V, NONE, F_MEM), MR(MOVBE, RM_R, V, NONE, F_MEM), U,
                 MR(CRC32, R_RM, V, NONE, 0)),
};

const struct dec_entry dec_map_0f3a[256] = {
    [0x08] = X66I(ROUNDPS, X_XM_IMM, X),
    [0x09] = X66I(ROUNDPD, X_XM_IMM, X),
    [0x0a] = X66I(ROUNDSS, X_XM_IMM, D),
    [0x0b] = X66I(ROUNDSD, X_XM_IMM, Q),
    [0x0c] = X66I(BLENDPS, X_XM_IMM, X),
    [0x0d] = X66I(BLENDPD, X_XM_IMM, X),
    [0x0e] = X66I(PBLENDW, X_XM_IMM, X),
    [0x0f] = PFX(XI(PALIGNR, P_PM_IMM, Q), XI(PALIGNR, X_XM_IMM, X), U, U),
    [0x14] = X66I(PEXTRB, RM_X_IMM, B),
    [0x15] = X66I(PEXTRW, RM_X_IMM, W),
    [0x16] = X66I(PEXTRD, RM_X_IMM, Y),
    [0x17] = X66I(EXTRACTPS, RM_X_IMM, D),
    [0x20] = X66I(PINSRB, X_RM_IMM, B),
    [0x21] = X66I(INSERTPS, X_XM_IMM, D),
    [0x22] = X66I(PINSRD, X_RM_IMM, Y),
    [0x40] = X66I(DPPS, X_XM_IMM, X),
    [0x41] = X66I(DPPD, X_XM_IMM, X),
    [0x42] = X66I(MPSADBW, X_XM_IMM, X),
    [0x60] = PFX(U, SEL(REX_W, XI(PCMPESTRM, X_XM_IMM, X), XI(PCMPESTRM_64, X_XM_IMM, X)), U, U),
    [0x61] = PFX(U, SEL(REX_W, XI(PCMPESTRI, X_XM_IMM, X), XI(PCMPESTRI_64, X_XM_IMM, X)), U, U),
    [0x62] = X66I(PCMPISTRM, X_XM_IMM, X),
    [0x63] = X66I(PCMPISTRI, X_XM_IMM, X),
};
