/* SPDX-License-Identifier: MIT */
/* See zydis_compare.h: which of what two decoders say is the same, and what may differ. */
#include <string.h>

#include "zydis_compare.h"

#define ANY 0xff

/* --- decoding by both -------------------------------------------------------------------------- */

void pair_init_decoders(ZydisDecoder decoders[3])
{
    ZydisDecoderInit(&decoders[CODE_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&decoders[CODE_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&decoders[CODE_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (unsigned i = 0; i < 3; i++) {
        for (int m = ZYDIS_DECODER_MODE_MINIMAL + 1; m <= ZYDIS_DECODER_MODE_MAX_VALUE; m++)
            ZydisDecoderEnableMode(&decoders[i], (ZydisDecoderMode)m, ZYAN_FALSE);
    }
}
void pair_decode(const ZydisDecoder decoders[3], const uint8_t *bytes, size_t n, enum code_size mode,
                 struct pair *p)
{
    p->bytes = bytes;
    p->mode = mode;
    p->status = insn_decode(bytes, n, mode, &p->insn);
    p->zstatus = ZydisDecoderDecodeFull(&decoders[mode], bytes, n, &p->zinsn, p->zops);
}

bool pair_zydis_ok(const struct pair *p)
{
    return ZYAN_SUCCESS(p->zstatus);
}

static bool named(const struct pair *p, const char *name)
{
    return strcmp(ZydisMnemonicGetString(p->zinsn.mnemonic), name) == 0;
}

/* --- expected names --------------------------------------------------------------------------- */

/* Where Zydis's name is not ours, or depends on a size. ANY matches every opsize. */
struct renamed {
    uint16_t id;
    uint8_t opsize;
    const char *name;
};
static const struct renamed renamed[] = {
    {INSN_CBW, OPSIZE_32, "cwde"},      {INSN_CBW, OPSIZE_64, "cdqe"},
    {INSN_CWD, OPSIZE_32, "cdq"},       {INSN_CWD, OPSIZE_64, "cqo"},
    {INSN_PUSHA, OPSIZE_32, "pushad"},  {INSN_POPA, OPSIZE_32, "popad"},
    {INSN_PUSHF, OPSIZE_32, "pushfd"},  {INSN_PUSHF, OPSIZE_64, "pushfq"},
    {INSN_POPF, OPSIZE_32, "popfd"},    {INSN_POPF, OPSIZE_64, "popfq"},
    {INSN_IRET, OPSIZE_32, "iretd"},    {INSN_IRET, OPSIZE_64, "iretq"},
    {INSN_MOVS, OPSIZE_8, "movsb"},     {INSN_MOVS, OPSIZE_16, "movsw"},
    {INSN_MOVS, OPSIZE_32, "movsd"},    {INSN_MOVS, OPSIZE_64, "movsq"},
    {INSN_CMPS, OPSIZE_8, "cmpsb"},     {INSN_CMPS, OPSIZE_16, "cmpsw"},
    {INSN_CMPS, OPSIZE_32, "cmpsd"},    {INSN_CMPS, OPSIZE_64, "cmpsq"},
    {INSN_STOS, OPSIZE_8, "stosb"},     {INSN_STOS, OPSIZE_16, "stosw"},
    {INSN_STOS, OPSIZE_32, "stosd"},    {INSN_STOS, OPSIZE_64, "stosq"},
    {INSN_LODS, OPSIZE_8, "lodsb"},     {INSN_LODS, OPSIZE_16, "lodsw"},
    {INSN_LODS, OPSIZE_32, "lodsd"},    {INSN_LODS, OPSIZE_64, "lodsq"},
    {INSN_SCAS, OPSIZE_8, "scasb"},     {INSN_SCAS, OPSIZE_16, "scasw"},
    {INSN_SCAS, OPSIZE_32, "scasd"},    {INSN_SCAS, OPSIZE_64, "scasq"},
    {INSN_INS, OPSIZE_8, "insb"},       {INSN_INS, OPSIZE_16, "insw"},
    {INSN_INS, OPSIZE_32, "insd"},      {INSN_OUTS, OPSIZE_8, "outsb"},
    {INSN_OUTS, OPSIZE_16, "outsw"},    {INSN_OUTS, OPSIZE_32, "outsd"},
    {INSN_XLAT, ANY, "xlat"},           {INSN_RET_FAR, ANY, "ret"},
    {INSN_FXSAVE, OPSIZE_64, "fxsave64"},     {INSN_FXRSTOR, OPSIZE_64, "fxrstor64"},
    {INSN_XSAVE, OPSIZE_64, "xsave64"},       {INSN_XRSTOR, OPSIZE_64, "xrstor64"},
    {INSN_XSAVEOPT, OPSIZE_64, "xsaveopt64"}, {INSN_XSAVEC, OPSIZE_64, "xsavec64"},
    {INSN_MOVD_X_RM, OPSIZE_64, "movq"},      {INSN_MOVD_RM_X, OPSIZE_64, "movq"},
    {INSN_MOVD_P_RM, OPSIZE_64, "movq"},      {INSN_MOVD_RM_P, OPSIZE_64, "movq"},
    {INSN_PINSRD, OPSIZE_64, "pinsrq"},       {INSN_PEXTRD, OPSIZE_64, "pextrq"},
    {INSN_FNENI, ANY, "feni8087_nop"},        {INSN_FNDISI, ANY, "fdisi8087_nop"},
    {INSN_FNSETPM, ANY, "fsetpm287_nop"},
};

/* Names that one id of ours stands for. */
struct alias {
    uint16_t id;
    const char *name;
};
static const struct alias aliases[] = {
    {INSN_PREFETCH, "prefetchnta"}, {INSN_PREFETCH, "prefetcht0"}, {INSN_PREFETCH, "prefetcht1"},
    {INSN_PREFETCH, "prefetcht2"},  {INSN_PREFETCH, "prefetchw"},  {INSN_PREFETCH, "prefetchwt1"},
};

static bool name_matches(const struct pair *p)
{
    const struct insn *in = &p->insn;
    const char *expected = insn_info[in->id].mnemonic;

    if (in->id == INSN_JCXZ)
        expected = (const char *[]){"", "jcxz", "jecxz", "jrcxz"}[in->addrsize];
    for (size_t i = 0; i < sizeof(renamed) / sizeof(renamed[0]); i++) {
        const struct renamed *r = &renamed[i];
        if (r->id == in->id && (r->opsize == ANY || r->opsize == in->opsize))
            expected = r->name;
    }
    if (named(p, expected))
        return true;
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (aliases[i].id == in->id && named(p, aliases[i].name))
            return true;
    }
    return false;
}

/* --- expected operands ------------------------------------------------------------------------ */

enum reg_class { GPR, MMX, XMM, SEG, CR, DR, ST };

/*
 * Operands of a form as Zydis lists them: m rm, r reg, i immediate, c CL, d DX, a accumulator,
 * e ENTER's two, j branch target, p far pointer, o moffs, s ST0.
 */
struct form_spec {
    const char *ops;
    enum reg_class reg, rm;
};
static const struct form_spec form_specs[FORM_COUNT] = {
    [FORM_NONE] = {"", GPR, GPR},
    [FORM_RM] = {"m", GPR, GPR},
    [FORM_RM_R] = {"mr", GPR, GPR},
    [FORM_R_RM] = {"rm", GPR, GPR},
    [FORM_RM_IMM] = {"mi", GPR, GPR},
    [FORM_RM_CL] = {"mc", GPR, GPR},
    [FORM_R_RM_IMM] = {"rmi", GPR, GPR},
    [FORM_RM_R_IMM] = {"mri", GPR, GPR},
    [FORM_RM_R_CL] = {"mrc", GPR, GPR},
    [FORM_IMM] = {"i", GPR, GPR},
    [FORM_DX] = {"d", GPR, GPR},
    [FORM_REL] = {"j", GPR, GPR},
    [FORM_FAR] = {"p", GPR, GPR},
    [FORM_M_FAR] = {"rm", GPR, GPR},
    [FORM_R_MOFFS] = {"ao", GPR, GPR},
    [FORM_MOFFS_R] = {"oa", GPR, GPR},
    [FORM_SREG] = {"r", SEG, GPR},
    [FORM_RM_SREG] = {"mr", SEG, GPR},
    [FORM_SREG_RM] = {"rm", SEG, GPR},
    [FORM_R_CR] = {"mr", CR, GPR},
    [FORM_CR_R] = {"rm", CR, GPR},
    [FORM_R_DR] = {"mr", DR, GPR},
    [FORM_DR_R] = {"rm", DR, GPR},
    [FORM_ST0_M] = {"m", ST, ST},
    [FORM_ST0_STI] = {"sm", ST, ST},
    [FORM_STI_ST0] = {"ms", ST, ST},
    [FORM_STI] = {"m", ST, ST},
    [FORM_P_PM] = {"rm", MMX, MMX},
    [FORM_PM_P] = {"mr", MMX, MMX},
    [FORM_P_PM_IMM] = {"rmi", MMX, MMX},
    [FORM_P_IMM] = {"mi", MMX, MMX},
    [FORM_P_RM] = {"rm", MMX, GPR},
    [FORM_RM_P] = {"mr", MMX, GPR},
    [FORM_R_P] = {"rm", GPR, MMX},
    [FORM_R_P_IMM] = {"rmi", GPR, MMX},
    [FORM_P_RM_IMM] = {"rmi", MMX, GPR},
    [FORM_X_XM] = {"rm", XMM, XMM},
    [FORM_XM_X] = {"mr", XMM, XMM},
    [FORM_X_XM_IMM] = {"rmi", XMM, XMM},
    [FORM_X_IMM] = {"mi", XMM, XMM},
    [FORM_XM_X_IMM] = {"mri", XMM, XMM},
    [FORM_X_RM] = {"rm", XMM, GPR},
    [FORM_RM_X] = {"mr", XMM, GPR},
    [FORM_R_XM] = {"rm", GPR, XMM},
    [FORM_R_X_IMM] = {"rmi", GPR, XMM},
    [FORM_X_RM_IMM] = {"rmi", XMM, GPR},
    [FORM_RM_X_IMM] = {"mri", XMM, GPR},
    [FORM_P_XM] = {"rm", MMX, XMM},
    [FORM_X_PM] = {"rm", XMM, MMX},
    [FORM_P_X] = {"rm", MMX, XMM},
    [FORM_X_P] = {"rm", XMM, MMX},
    [FORM_M] = {"m", GPR, GPR},
};

static const char *operand_order(const struct pair *p)
{
    const struct insn *in = &p->insn;

    switch (in->id) {
    case INSN_FCOM: case INSN_FCOMP: case INSN_FUCOM: case INSN_FUCOMP:
        /* Zydis hides ST0 in some of these encodings. */
        return p->zinsn.operand_count_visible == 1 ? "m" : form_specs[in->form].ops;
    case INSN_IN: return in->form == FORM_DX ? "ad" : "ai";
    case INSN_OUT: return in->form == FORM_DX ? "da" : "ia";
    case INSN_ENTER: return "e";
    case INSN_CALL_FAR:
    case INSN_JMP_FAR: return in->form == FORM_M_FAR ? "m" : "p";
    default: return form_specs[in->form].ops;
    }
}

static unsigned bits(uint8_t opsize)
{
    return 8u << opsize;
}

/*
 * Widths of reg, of rm as a register, and of memory, where they are not opsize; 0: not compared,
 * because the engines need no such width or struct insn has it in the id.
 */
struct widths {
    uint16_t id;
    uint16_t reg, rm, mem;
};
#define SAME 0xffff
static const struct widths widths[] = {
    {INSN_MOVZX8, SAME, 8, 8},
    {INSN_MOVSX8, SAME, 8, 8},
    {INSN_MOVZX16, SAME, 16, 16},
    {INSN_MOVSX16, SAME, 16, 16},
    {INSN_LAR, SAME, SAME, 16},
    {INSN_LSL, SAME, 0, 16},   /* Zydis gives 32 bits for a 64-bit register */
    {INSN_LEA, SAME, SAME, 0},      /* Zydis gives the address size */
    {INSN_CRC32, 0, SAME, SAME},    /* the destination is written alike in 32 and 64 bits */
    {INSN_INVPCID, SAME, SAME, 128},
    {INSN_UD0, 0, 0, 0},            /* no operand is used */
    {INSN_UD1, 0, 0, 0},
    {INSN_SGDT, SAME, SAME, 0},     /* 16 bits and a base, by mode */
    {INSN_SIDT, SAME, SAME, 0},
    {INSN_LGDT, SAME, SAME, 0},
    {INSN_LIDT, SAME, SAME, 0},
    {INSN_CLFLUSH, SAME, SAME, 0},  /* Zydis gives a cache line */
    {INSN_FLDENV, SAME, SAME, 0},   /* areas: opsize tells the layout */
    {INSN_FNSTENV, SAME, SAME, 0},
    {INSN_FNSAVE, SAME, SAME, 0},
    {INSN_FRSTOR, SAME, SAME, 0},
    {INSN_FXSAVE, SAME, SAME, 0},
    {INSN_FXRSTOR, SAME, SAME, 0},
    {INSN_XSAVE, SAME, SAME, 0},
    {INSN_XSAVEC, SAME, SAME, 0},
    {INSN_XSAVEOPT, SAME, SAME, 0},
    {INSN_XRSTOR, SAME, SAME, 0},
    {INSN_MOVMSKPS, 0, 0, 0},
    {INSN_MOVMSKPD, 0, 0, 0},
    {INSN_PMOVMSKB, 0, 0, 0},
    {INSN_PEXTRW, 0, 0, SAME},
    {INSN_PEXTRB, 0, 32, SAME},
    {INSN_PINSRW, 0, 32, SAME},
    {INSN_PINSRB, 0, 32, SAME},
    {INSN_CVTTSS2SI, 32, 0, SAME},
    {INSN_CVTSS2SI, 32, 0, SAME},
    {INSN_CVTTSD2SI, 32, 0, SAME},
    {INSN_CVTSD2SI, 32, 0, SAME},
    {INSN_CVTTSS2SI_64, 64, 0, SAME},
    {INSN_CVTSS2SI_64, 64, 0, SAME},
    {INSN_CVTTSD2SI_64, 64, 0, SAME},
    {INSN_CVTSD2SI_64, 64, 0, SAME},
    {INSN_BSWAP, SAME, 0, SAME},    /* 66h BSWAP is undefined; opsize is what the prefix says */
};

static const struct widths *find_widths(uint16_t id)
{
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        if (widths[i].id == id)
            return &widths[i];
    }
    return NULL;
}

static unsigned class_bits(enum reg_class class, const struct insn *in)
{
    switch (class) {
    case MMX: case XMM: return 0; /* Zydis gives the part that is read */
    case SEG: return 16;
    case ST: return 80;
    default: return bits(in->opsize);
    }
}

/* Number of a Zydis register in our numbering, or -1 if of another class. */
static int register_number(ZydisRegister reg, enum reg_class class)
{
    static const ZydisRegisterClass classes[] = {
        [MMX] = ZYDIS_REGCLASS_MMX, [XMM] = ZYDIS_REGCLASS_XMM, [SEG] = ZYDIS_REGCLASS_SEGMENT,
        [CR] = ZYDIS_REGCLASS_CONTROL, [DR] = ZYDIS_REGCLASS_DEBUG, [ST] = ZYDIS_REGCLASS_X87};
    ZydisRegisterClass zclass = ZydisRegisterGetClass(reg);

    if (class != GPR)
        return zclass == classes[class] ? ZydisRegisterGetId(reg) : -1;
    if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
        return (int)(reg - ZYDIS_REGISTER_AH) + REG8_AH;
    if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL)
        return (int)(reg - ZYDIS_REGISTER_AL);
    if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B)
        return (int)(reg - ZYDIS_REGISTER_SPL) + REG_RSP;
    if (zclass >= ZYDIS_REGCLASS_GPR16 && zclass <= ZYDIS_REGCLASS_GPR64)
        return ZydisRegisterGetId(reg);
    return -1;
}

static bool address_register_is(ZydisRegister reg, uint8_t ours, uint8_t addrsize)
{
    if (ours == REG_NONE)
        return reg == ZYDIS_REGISTER_NONE;
    if (ours == REG_RIP)
        return reg == (addrsize == OPSIZE_64 ? ZYDIS_REGISTER_RIP : ZYDIS_REGISTER_EIP);
    return register_number(reg, GPR) == ours && ZydisRegisterGetWidth(
               ZYDIS_MACHINE_MODE_LONG_64, reg) == bits(addrsize);
}

static bool memory_is(const struct insn *in, const ZydisDecodedOperand *op)
{
    const ZydisDecodedOperandMem *mem = &op->mem;
    unsigned scale = in->index == REG_NONE || in->addrsize == OPSIZE_16 ? 0 : 1u << in->scale;

    if (op->type != ZYDIS_OPERAND_TYPE_MEMORY || !(in->flags & INSN_MEM))
        return false;
    return address_register_is(mem->base, in->base, in->addrsize) &&
           address_register_is(mem->index, in->index, in->addrsize) &&
           (mem->scale == scale || (in->addrsize == OPSIZE_16 && mem->scale <= 1)) &&
           mem->disp.value == in->disp &&
           (mem->type == ZYDIS_MEMOP_TYPE_AGEN ||
            register_number(mem->segment, SEG) == in->seg);
}

/* A register operand of ours against Zydis's. */
static void check_register(const ZydisDecodedOperand *op, enum reg_class class, int number,
                           unsigned width, uint32_t *diffs)
{
    if (op->type != ZYDIS_OPERAND_TYPE_REGISTER || register_number(op->reg.value, class) != number)
        *diffs |= 1u << BAD_REG;
    else if (width != 0 && op->size != width && class != CR && class != DR)
        *diffs |= 1u << BAD_WIDTH;
}

static void check_rm(const struct insn *in, const ZydisDecodedOperand *op, uint32_t *diffs)
{
    const struct form_spec *spec = &form_specs[in->form];
    const struct widths *special = find_widths(in->id);
    unsigned width = in->flags & INSN_MEM ? bits(in->opsize) : class_bits(spec->rm, in);
    unsigned wanted = !special ? SAME : in->flags & INSN_MEM ? special->mem : special->rm;

    if (in->form == FORM_M_FAR)
        width += 16;
    else if (in->id == INSN_BOUND)
        width *= 2;
    else if (in->id == INSN_MOVSXD)
        width = in->opsize == OPSIZE_16 && !(in->flags & INSN_MEM) ? 16 : 32;
    else if (in->form == FORM_ST0_M && in->opsize == OPSIZE_128)
        width = 80;

    if (wanted != SAME)
        width = wanted;
    if (!(in->flags & INSN_MEM))
        check_register(op, spec->rm, in->rm, width, diffs);
    else if (!memory_is(in, op))
        *diffs |= 1u << BAD_MEM;
    else if (width != 0 && op->size != width)
        *diffs |= 1u << BAD_WIDTH;
}

static void check_reg(const struct insn *in, const ZydisDecodedOperand *op, uint32_t *diffs)
{
    const struct form_spec *spec = &form_specs[in->form];
    const struct widths *special = find_widths(in->id);
    unsigned width = class_bits(spec->reg, in);

    if (special && special->reg != SAME)
        width = special->reg;
    check_register(op, spec->reg, in->reg, width, diffs);
}

static void check_far(const struct insn *in, const ZydisDecodedOperand *op, uint32_t *diffs)
{
    if (op->type != ZYDIS_OPERAND_TYPE_POINTER || op->ptr.offset != in->imm ||
        op->ptr.segment != in->disp)
        *diffs |= 1u << BAD_IMM;
}

static void check_moffs(const struct insn *in, const ZydisDecodedOperand *op, uint32_t *diffs)
{
    uint64_t mask = in->addrsize == OPSIZE_64 ? ~0ull : (1ull << bits(in->addrsize)) - 1;

    if (op->type != ZYDIS_OPERAND_TYPE_MEMORY || op->mem.base != ZYDIS_REGISTER_NONE ||
        op->mem.index != ZYDIS_REGISTER_NONE || ((uint64_t)op->mem.disp.value & mask) != in->imm ||
        register_number(op->mem.segment, SEG) != in->seg || in->flags & INSN_MEM)
        *diffs |= 1u << BAD_MEM;
    if (op->size != bits(in->opsize))
        *diffs |= 1u << BAD_WIDTH;
}

static void check_immediate(const struct pair *p, const ZydisDecodedOperand *op, uint32_t *diffs)
{
    const struct insn *in = &p->insn;
    uint64_t expected = op->imm.value.u;

    /* Zydis sign-extends the immediate of MOV r,imm (B0h..BFh); the instruction does not. */
    if (in->id == INSN_MOV && p->zinsn.opcode >= 0xb0 && p->zinsn.opcode <= 0xbf &&
        in->opsize != OPSIZE_64)
        expected &= (1ull << bits(in->opsize)) - 1;
    if (op->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || expected != in->imm ||
        op->imm.is_relative != (in->form == FORM_REL))
        *diffs |= 1u << BAD_IMM;
}

static void check_enter(const struct pair *p, uint32_t *diffs)
{
    if (p->zinsn.operand_count_visible != 2 ||
        p->insn.imm != (p->zops[0].imm.value.u | p->zops[1].imm.value.u << 16))
        *diffs |= 1u << BAD_IMM;
}

static void check_operands(const struct pair *p, uint32_t *diffs)
{
    const struct insn *in = &p->insn;
    const char *order = operand_order(p);

    if (in->id == INSN_NOP)
        return; /* Zydis gives the hint NOPs a second operand; nobody reads either */
    if (order[0] == 'e') {
        check_enter(p, diffs);
        return;
    }
    if (p->zinsn.operand_count_visible != strlen(order)) {
        *diffs |= 1u << BAD_COUNT;
        return;
    }
    for (unsigned i = 0; order[i] != '\0'; i++) {
        const ZydisDecodedOperand *op = &p->zops[i];
        switch (order[i]) {
        case 'm': check_rm(in, op, diffs); break;
        case 'r': check_reg(in, op, diffs); break;
        case 'p': check_far(in, op, diffs); break;
        case 'o': check_moffs(in, op, diffs); break;
        case 'c': check_register(op, GPR, REG_RCX, 8, diffs); break;
        case 'd': check_register(op, GPR, REG_RDX, 16, diffs); break;
        case 'a': check_register(op, GPR, REG_RAX, bits(in->opsize), diffs); break;
        case 's': check_register(op, ST, 0, 80, diffs); break;
        default: check_immediate(p, op, diffs); break;
        }
    }
}

/* Segment of the implied memory operand of string instructions, XLAT and MASKMOVDQU. */
static void check_implied_memory(const struct pair *p, uint32_t *diffs)
{
    const struct insn *in = &p->insn;
    bool masked = in->id == INSN_MASKMOVQ || in->id == INSN_MASKMOVDQU;

    if (!(insn_info[in->id].attrs & IA_STRING) && in->id != INSN_XLAT && !masked)
        return;
    for (unsigned i = 0; i < p->zinsn.operand_count; i++) {
        const ZydisDecodedOperand *op = &p->zops[i];
        if (op->type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        if (register_number(op->mem.base, GPR) == REG_RDI && !masked)
            continue; /* ES, not in struct insn */
        if (register_number(op->mem.segment, SEG) != in->seg)
            *diffs |= 1u << BAD_MEM;
    }
}

/* The size of instructions whose operands do not show it. */
static bool opsize_matters(uint16_t id)
{
    switch (id) {
    case INSN_RET: case INSN_RET_FAR: case INSN_CALL_FAR: case INSN_JMP_FAR: case INSN_ENTER:
    case INSN_LEAVE: case INSN_PUSH: case INSN_POP: case INSN_PUSH_SREG: case INSN_POP_SREG:
    case INSN_CALL: case INSN_JMP: case INSN_JO: case INSN_JNLE: case INSN_SYSRET:
    case INSN_LES: case INSN_LDS: case INSN_LSS: case INSN_LFS: case INSN_LGS:
        return true;
    default:
        return false;
    }
}

static void check_prefixes(const struct pair *p, uint32_t *diffs)
{
    ZydisInstructionAttributes at = p->zinsn.attributes;
    uint8_t flags = p->insn.flags;
    bool lock = (at & ZYDIS_ATTRIB_HAS_LOCK) != 0;
    bool rep = (at & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) != 0;
    bool repne = (at & ZYDIS_ATTRIB_HAS_REPNE) != 0;

    if (lock != ((flags & INSN_LOCK) != 0) || rep != ((flags & INSN_REP) != 0) ||
        repne != ((flags & INSN_REPNE) != 0))
        *diffs |= 1u << BAD_PREFIX;
}

/* Status flags of insn.def, which the translator's liveness leans on. */
static void check_flags(const struct pair *p, uint32_t *diffs)
{
    static const ZydisAccessedFlags none = {0};
    const ZydisAccessedFlags *z = p->zinsn.cpu_flags ? p->zinsn.cpu_flags : &none;
    const struct insn_info *info = &insn_info[p->insn.id];
    uint32_t written = z->modified | z->set_0 | z->set_1 | z->undefined;

    if ((z->tested & FL_ARITH) != info->flags_read)
        *diffs |= 1u << BAD_FLAGS_READ;
    if ((written & FL_ARITH) != info->flags_written)
        *diffs |= 1u << BAD_FLAGS_WRITTEN;
    if ((z->undefined & FL_ARITH) != info->flags_undef)
        *diffs |= 1u << BAD_FLAGS_UNDEF;
}

uint32_t pair_compare(const struct pair *p)
{
    uint32_t diffs = 0;

    if (p->status == DECODE_OK && !pair_zydis_ok(p))
        return 1u << ONLY_OURS;
    if (p->status != DECODE_OK && pair_zydis_ok(p))
        return 1u << ONLY_ZYDIS;
    if (p->status != DECODE_OK)
        return 0;
    if (p->insn.len != p->zinsn.length)
        diffs |= 1u << BAD_LENGTH;
    if (!name_matches(p))
        diffs |= 1u << BAD_NAME;
    if (bits(p->insn.addrsize) != p->zinsn.address_width)
        diffs |= 1u << BAD_ADDRSIZE;
    if (opsize_matters(p->insn.id) && bits(p->insn.opsize) != p->zinsn.operand_width)
        diffs |= 1u << BAD_OPSIZE;
    check_operands(p, &diffs);
    check_implied_memory(p, &diffs);
    check_prefixes(p, &diffs);
    check_flags(p, &diffs);
    return diffs;
}

/* --- what may differ, and why ----------------------------------------------------------------- */

static bool is_pause_with_rex_b(const struct pair *p)
{
    return p->insn.id == INSN_XCHG && named(p, "pause") && p->zinsn.raw.rex.B;
}

/* mod 0 with a SIB base of 5: a displacement and no base, whatever REX.B (SDM vol. 2 table 2-5). */
static bool is_sib_base_13(const struct pair *p)
{
    return p->mode == CODE_64 && p->insn.base == REG_NONE && p->zinsn.raw.modrm.mod == 0 &&
           p->zinsn.raw.modrm.rm == 4 && p->zinsn.raw.sib.base == 5 && p->zinsn.raw.rex.B &&
           p->zinsn.address_width == 32;
}

static bool is_repeatable_compare(const struct pair *p)
{
    return p->insn.id == INSN_CMPS || p->insn.id == INSN_SCAS;
}

static bool is_control_move(const struct pair *p)
{
    return p->insn.form >= FORM_R_CR && p->insn.form <= FORM_DR_R;
}

static bool is_sbb(const struct pair *p)
{
    return p->insn.id == INSN_SBB;
}

static bool is_syscall(const struct pair *p)
{
    return p->insn.id == INSN_SYSCALL;
}

static bool is_vmcall(const struct pair *p)
{
    return p->insn.id == INSN_VMCALL;
}

static struct zydis_exception exceptions[] = {
    {"F3 41 90 is XCHG on hardware, Zydis says PAUSE", 1u << BAD_NAME | 1u << BAD_COUNT,
     is_pause_with_rex_b, 0},
    {"Zydis has base R13D where 67h, mod 0 and SIB base 5 have none", 1u << BAD_MEM,
     is_sib_base_13, 0},
    {"CMPS and SCAS test the ZF that they made, not one they found", 1u << BAD_FLAGS_READ,
     is_repeatable_compare, 0},
    {"MOV of control and debug registers leaves flags undefined (SDM), Zydis has them unchanged",
     1u << BAD_FLAGS_WRITTEN | 1u << BAD_FLAGS_UNDEF, is_control_move, 0},
    {"SBB defines AF (SDM), Zydis has it undefined for some encodings", 1u << BAD_FLAGS_UNDEF,
     is_sbb, 0},
    {"SYSCALL saves RFLAGS in R11 (SDM), Zydis has no flag read", 1u << BAD_FLAGS_READ,
     is_syscall, 0},
    {"VMCALL is #UD here, Zydis has what a hypervisor would do", 1u << BAD_FLAGS_WRITTEN,
     is_vmcall, 0},
};

bool pair_isa_missing(const struct pair *p)
{
    static const ZydisISAExt missing[] = {
        ZYDIS_ISA_EXT_ADOX_ADCX, ZYDIS_ISA_EXT_AES, ZYDIS_ISA_EXT_AMD3DNOW,
        ZYDIS_ISA_EXT_AMD_INVLPGB, ZYDIS_ISA_EXT_CET, ZYDIS_ISA_EXT_CLFLUSHOPT, ZYDIS_ISA_EXT_CLWB,
        ZYDIS_ISA_EXT_CLZERO, ZYDIS_ISA_EXT_ENQCMD, ZYDIS_ISA_EXT_GFNI, ZYDIS_ISA_EXT_HRESET,
        ZYDIS_ISA_EXT_KEYLOCKER, ZYDIS_ISA_EXT_KEYLOCKER_WIDE, ZYDIS_ISA_EXT_MCOMMIT,
        ZYDIS_ISA_EXT_MONITORX, ZYDIS_ISA_EXT_MOVDIR, ZYDIS_ISA_EXT_MPX, ZYDIS_ISA_EXT_PADLOCK,
        ZYDIS_ISA_EXT_PCLMULQDQ, ZYDIS_ISA_EXT_PCONFIG, ZYDIS_ISA_EXT_PKU, ZYDIS_ISA_EXT_PT,
        ZYDIS_ISA_EXT_RDPRU, ZYDIS_ISA_EXT_RTM, ZYDIS_ISA_EXT_SERIALIZE, ZYDIS_ISA_EXT_SGX,
        ZYDIS_ISA_EXT_SGX_ENCLV, ZYDIS_ISA_EXT_SHA, ZYDIS_ISA_EXT_SMX, ZYDIS_ISA_EXT_SNP,
        ZYDIS_ISA_EXT_SSE4A, ZYDIS_ISA_EXT_SVM, ZYDIS_ISA_EXT_TDX, ZYDIS_ISA_EXT_TSX_LDTRK,
        ZYDIS_ISA_EXT_UINTR, ZYDIS_ISA_EXT_VMFUNC, ZYDIS_ISA_EXT_VTX, ZYDIS_ISA_EXT_WAITPKG,
        ZYDIS_ISA_EXT_XSAVES};

    if (!pair_zydis_ok(p))
        return false;
    if (p->zinsn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return true;
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        if (p->zinsn.meta.isa_ext == missing[i])
            return true;
    }
    return false;
}

uint32_t pair_explain(const struct pair *p, uint32_t diffs)
{
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]) && diffs != 0; i++) {
        struct zydis_exception *e = &exceptions[i];
        if ((diffs & e->diffs) != 0 && e->applies(p)) {
            diffs &= ~e->diffs;
            e->count++;
        }
    }
    return diffs;
}

const struct zydis_exception *zydis_exceptions(size_t *count)
{
    *count = sizeof(exceptions) / sizeof(exceptions[0]);
    return exceptions;
}
