/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder: bytes to struct insn in one pass (Intel SDM vol. 2, chapter 2).
 *
 * Order of work: prefixes, opcode map, selectors (mandatory prefix, ModRM fields) down to a leaf of
 * decode_tables.c, validity, memory operand, immediate. Choices where the manual leaves room:
 *   - the last segment override and the last of F2h and F3h count; REX counts only directly before
 *     the opcode; REX.W goes before 66h;
 *   - in 64-bit code the ES, CS, SS and DS overrides are as if absent;
 *   - near branches in 64-bit code ignore 66h, as on Intel CPUs;
 *   - MOV to and from control and debug registers ignores ModRM.mod;
 *   - VEX, EVEX and XOP prefixes are undefined, which needs no code: their first bytes are LES,
 *     LDS, BOUND and POP, and every encoding that is not one of these is undefined anyway.
 *
 * Invariants:
 *   1. No byte at or past `limit` = min(n, 15) is read.
 *   2. A result other than DECODE_MORE does not depend on bytes that were not read, so more bytes
 *      after it do not change it.
 */
#include "decode_internal.h"

enum prefix_bit {
    P_66 = 0x01,
    P_67 = 0x02,
    P_LOCK = 0x04,
    P_REP = 0x08,
    P_REPNE = 0x10,
};

#define REX_W 8u
#define REX_R 4u
#define REX_X 2u
#define REX_B 1u
#define NO_SEG 0xffu

struct decoder {
    const uint8_t *bytes;
    uint32_t limit;
    uint32_t pos;
    uint8_t code;     /* enum code_size */
    uint8_t prefixes; /* enum prefix_bit */
    uint8_t seg;      /* override that counts, or NO_SEG */
    uint8_t rex;      /* the byte, or 0 */
    uint8_t opcode;   /* last opcode byte */
    uint8_t modrm;
    bool have_modrm;
    bool by_prefix;   /* a mandatory prefix table was consulted */
};

/* What a form does with reg and rm beyond reading general registers. */
#define FR_REG   0x01u /* has a reg operand that REX.R extends */
#define FR_REG_7 0x02u /* has a reg operand of eight: MMX, segment registers */
#define FR_RM    0x04u
#define FR_RM_7  0x08u
#define FR_LOCK  0x10u /* destination is rm */

static const uint8_t form_regs[FORM_COUNT] = {
    [FORM_RM] = FR_RM | FR_LOCK,
    [FORM_RM_R] = FR_REG | FR_RM | FR_LOCK,
    [FORM_R_RM] = FR_REG | FR_RM,
    [FORM_RM_IMM] = FR_RM | FR_LOCK,
    [FORM_RM_CL] = FR_RM,
    [FORM_R_RM_IMM] = FR_REG | FR_RM,
    [FORM_RM_R_IMM] = FR_REG | FR_RM,
    [FORM_RM_R_CL] = FR_REG | FR_RM,
    [FORM_M_FAR] = FR_REG,
    [FORM_RM_SREG] = FR_REG_7 | FR_RM,
    [FORM_SREG_RM] = FR_REG_7 | FR_RM,
    [FORM_R_CR] = FR_REG | FR_RM,
    [FORM_CR_R] = FR_REG | FR_RM,
    [FORM_R_DR] = FR_REG | FR_RM,
    [FORM_DR_R] = FR_REG | FR_RM,
    [FORM_ST0_STI] = FR_RM_7,
    [FORM_STI_ST0] = FR_RM_7,
    [FORM_STI] = FR_RM_7,
    [FORM_P_PM] = FR_REG_7 | FR_RM_7,
    [FORM_PM_P] = FR_REG_7 | FR_RM_7,
    [FORM_P_PM_IMM] = FR_REG_7 | FR_RM_7,
    [FORM_P_IMM] = FR_RM_7,
    [FORM_P_RM] = FR_REG_7 | FR_RM,
    [FORM_RM_P] = FR_REG_7 | FR_RM,
    [FORM_R_P] = FR_REG | FR_RM_7,
    [FORM_R_P_IMM] = FR_REG | FR_RM_7,
    [FORM_P_RM_IMM] = FR_REG_7 | FR_RM,
    [FORM_X_XM] = FR_REG | FR_RM,
    [FORM_XM_X] = FR_REG | FR_RM,
    [FORM_X_XM_IMM] = FR_REG | FR_RM,
    [FORM_X_IMM] = FR_RM,
    [FORM_XM_X_IMM] = FR_REG | FR_RM,
    [FORM_X_RM] = FR_REG | FR_RM,
    [FORM_RM_X] = FR_REG | FR_RM,
    [FORM_R_XM] = FR_REG | FR_RM,
    [FORM_R_X_IMM] = FR_REG | FR_RM,
    [FORM_X_RM_IMM] = FR_REG | FR_RM,
    [FORM_RM_X_IMM] = FR_REG | FR_RM,
    [FORM_P_XM] = FR_REG_7 | FR_RM,
    [FORM_X_PM] = FR_REG | FR_RM_7,
    [FORM_P_X] = FR_REG_7 | FR_RM,
    [FORM_X_P] = FR_REG | FR_RM_7,
    [FORM_M] = FR_LOCK,
};

static inline bool has_bytes(const struct decoder *d, uint32_t count)
{
    return d->pos + count <= d->limit;
}

/* Why `count` more bytes are not there. */
static enum decode_status short_status(const struct decoder *d, uint32_t count)
{
    return d->pos + count > INSN_MAX_LEN ? DECODE_TOO_LONG : DECODE_MORE;
}

/* Little-endian loads that compilers turn into one instruction. */
static inline uint32_t load_16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t load_32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The next `count` (1, 2, 4 or 8) bytes, little-endian; the caller checked has_bytes(). */
static inline uint64_t take(struct decoder *d, uint32_t count)
{
    const uint8_t *p = d->bytes + d->pos;

    d->pos += count;
    switch (count) {
    case 1: return p[0];
    case 2: return load_16(p);
    case 4: return load_32(p);
    default: return load_32(p) | (uint64_t)load_32(p + 4) << 32;
    }
}

static inline uint64_t sign_extend(uint64_t value, uint32_t count)
{
    uint32_t shift = 64 - 8 * count;
    return (uint64_t)((int64_t)(value << shift) >> shift);
}

/* One bit per prefix byte, 32 to a word; REX is apart, because it depends on the code size. */
static inline bool is_prefix(uint8_t byte, enum code_size code)
{
    static const uint32_t map[8] = {
        [0x26 >> 5] = 1u << (0x26 & 31) | 1u << (0x2e & 31) | 1u << (0x36 & 31) | 1u << (0x3e & 31),
        [0x64 >> 5] = 1u << (0x64 & 31) | 1u << (0x65 & 31) | 1u << (0x66 & 31) | 1u << (0x67 & 31),
        [0xf0 >> 5] = 1u << (0xf0 & 31) | 1u << (0xf2 & 31) | 1u << (0xf3 & 31),
    };
    return (map[byte >> 5] >> (byte & 31) & 1) != 0 || (code == CODE_64 && (byte & 0xf0) == 0x40);
}

static void apply_prefix(struct decoder *d, uint8_t byte)
{
    d->rex = 0;
    switch (byte) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: /* ES, CS, SS, DS */
        if (d->code != CODE_64)
            d->seg = byte >> 3 & 3;
        break;
    case 0x64:
        d->seg = SEG_FS;
        break;
    case 0x65:
        d->seg = SEG_GS;
        break;
    case 0x66:
        d->prefixes |= P_66;
        break;
    case 0x67:
        d->prefixes |= P_67;
        break;
    case 0xf0:
        d->prefixes |= P_LOCK;
        break;
    case 0xf2:
        d->prefixes = (uint8_t)((d->prefixes & ~P_REP) | P_REPNE);
        break;
    case 0xf3:
        d->prefixes = (uint8_t)((d->prefixes & ~P_REPNE) | P_REP);
        break;
    default:
        d->rex = byte;
        break;
    }
}

/* Takes prefixes and opcode bytes; *entry is the opcode's place in its map. */
static enum decode_status read_opcode(struct decoder *d, const struct dec_entry **entry)
{
    const struct dec_entry *map = dec_map_one;

    for (;;) {
        if (!has_bytes(d, 1))
            return short_status(d, 1);
        d->opcode = d->bytes[d->pos++];
        if (!is_prefix(d->opcode, (enum code_size)d->code))
            break;
        apply_prefix(d, d->opcode);
    }
    if (d->opcode == 0x0f) {
        if (!has_bytes(d, 1))
            return short_status(d, 1);
        d->opcode = d->bytes[d->pos++];
        map = dec_map_0f;
        if (d->opcode == 0x38 || d->opcode == 0x3a) {
            map = d->opcode == 0x38 ? dec_map_0f38 : dec_map_0f3a;
            if (!has_bytes(d, 1))
                return short_status(d, 1);
            d->opcode = d->bytes[d->pos++];
        }
    }
    *entry = &map[d->opcode];
    return DECODE_OK;
}

static inline enum decode_status need_modrm(struct decoder *d)
{
    if (d->have_modrm)
        return DECODE_OK;
    if (!has_bytes(d, 1))
        return short_status(d, 1);
    d->modrm = d->bytes[d->pos++];
    d->have_modrm = true;
    return DECODE_OK;
}

static inline uint32_t prefix_column(const struct decoder *d)
{
    if (d->prefixes & (P_REP | P_REPNE))
        return d->prefixes & P_REP ? 2 : 3;
    return d->prefixes & P_66 ? 1 : 0;
}

static uint32_t selector_index(const struct decoder *d, uint8_t sel)
{
    switch (sel) {
    case SEL_REG: return d->modrm >> 3 & 7;
    case SEL_RM: return d->modrm & 7;
    case SEL_MOD: return d->modrm >= 0xc0;
    case SEL_MODE64: return d->code == CODE_64;
    case SEL_REX_W: return (d->rex & REX_W) != 0;
    case SEL_REX_B: return (d->rex & REX_B) != 0;
    default: return prefix_column(d);
    }
}

/* Walks from the opcode's entry to a leaf. *shape says how its operands are coded. */
static enum decode_status find_leaf(struct decoder *d, const struct dec_entry *entry,
                                    const struct dec_entry **leaf, const struct dec_entry **shape)
{
    const struct dec_entry *above = entry;

    while (entry->sel != SEL_NONE) {
        if (entry->sel >= SEL_REG && entry->sel <= SEL_MOD) {
            enum decode_status status = need_modrm(d);
            if (status != DECODE_OK)
                return status;
        }
        d->by_prefix |= entry->sel == SEL_PREFIX;
        above = entry;
        entry = entry->sub + selector_index(d, entry->sel);
    }
    if (entry->id == INSN_INVALID)
        return DECODE_UNDEFINED;
    *leaf = entry;
    *shape = entry->flags & F_ID ? above : entry;
    return (*shape)->flags & F_MODRM ? need_modrm(d) : DECODE_OK;
}

static uint8_t operand_size(const struct decoder *d, uint8_t rule)
{
    bool word, wide = (d->rex & REX_W) != 0;
    uint8_t size;

    if (rule <= SZ_X)
        return rule;
    word = (d->code == CODE_16) != ((d->prefixes & P_66) != 0);
    size = wide ? OPSIZE_64 : word ? OPSIZE_16 : OPSIZE_32;
    switch (rule) {
    case SZ_Z: return size == OPSIZE_64 ? OPSIZE_32 : size;
    case SZ_Y: return wide ? OPSIZE_64 : OPSIZE_32;
    case SZ_D64: return d->code == CODE_64 && size == OPSIZE_32 ? OPSIZE_64 : size;
    case SZ_F64: return d->code == CODE_64 ? OPSIZE_64 : size;
    case SZ_MODE: return d->code == CODE_64 ? OPSIZE_64 : OPSIZE_32;
    default: return size;
    }
}

static uint8_t address_size(const struct decoder *d)
{
    bool given = (d->prefixes & P_67) != 0;

    switch (d->code) {
    case CODE_16: return given ? OPSIZE_32 : OPSIZE_16;
    case CODE_32: return given ? OPSIZE_16 : OPSIZE_32;
    default: return given ? OPSIZE_32 : OPSIZE_64;
    }
}

/* ModRM with 16-bit addresses (SDM vol. 2 table 2-1). Returns the displacement's bytes. */
static uint32_t decode_address_16(const struct decoder *d, struct insn *out)
{
    static const uint8_t bases[8] = {REG_RBX, REG_RBX, REG_RBP, REG_RBP,
                                     REG_RSI, REG_RDI, REG_RBP, REG_RBX};
    static const uint8_t indexes[8] = {REG_RSI,  REG_RDI,  REG_RSI,  REG_RDI,
                                       REG_NONE, REG_NONE, REG_NONE, REG_NONE};
    uint32_t mod = d->modrm >> 6, rm = d->modrm & 7;

    if (mod == 0 && rm == 6)
        return 2;
    out->base = bases[rm];
    out->index = indexes[rm];
    return mod; /* 0, 1 or 2 bytes */
}

/* ModRM and SIB with 32 and 64-bit addresses (tables 2-2, 2-3). Takes the SIB byte. */
static uint32_t decode_address_32(struct decoder *d, struct insn *out)
{
    uint32_t mod = d->modrm >> 6, rm = d->modrm & 7;

    if (rm == 4) {
        uint8_t sib = d->bytes[d->pos++];
        uint8_t index = (sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0);

        if (index != REG_RSP) {
            out->index = index;
            out->scale = (sib >> 6) & 3u;
        }
        rm = sib & 7;
        if (rm == 5 && mod == 0)
            return 4; /* no base */
    } else if (rm == 5 && mod == 0) {
        if (d->code == CODE_64)
            out->base = REG_RIP;
        return 4;
    }
    out->base = (uint8_t)(rm | (d->rex & REX_B ? 8 : 0));
    return mod == 2 ? 4 : mod;
}

static enum decode_status decode_memory(struct decoder *d, struct insn *out)
{
    uint32_t count;

    out->flags |= INSN_MEM;
    if (out->addrsize == OPSIZE_16) {
        count = decode_address_16(d, out);
    } else {
        if ((d->modrm & 7) == 4 && !has_bytes(d, 1))
            return short_status(d, 1);
        count = decode_address_32(d, out);
    }
    if (count != 0) {
        if (!has_bytes(d, count))
            return short_status(d, count);
        out->disp = (int32_t)sign_extend(take(d, count), count);
    }
    if (d->seg != NO_SEG) {
        out->seg = d->seg & 7;
        out->flags |= INSN_SEG;
    } else if (out->base == REG_RSP || out->base == REG_RBP) {
        out->seg = SEG_SS;
    }
    return DECODE_OK;
}

/* Without REX, byte registers 4..7 are AH, CH, DH, BH. */
static inline uint8_t byte_register(const struct decoder *d, uint8_t reg)
{
    return d->rex == 0 && reg >= 4 ? (uint8_t)(reg - 4 + REG8_AH) : reg;
}

static enum decode_status decode_modrm(struct decoder *d, const struct dec_entry *shape,
                                       struct insn *out)
{
    bool memory = d->modrm < 0xc0 && !(shape->flags & F_NOMOD);
    uint8_t regs = form_regs[shape->form];

    if (shape->flags & (memory ? F_REG : F_MEM))
        return DECODE_UNDEFINED;
    if (regs & (FR_REG | FR_REG_7)) {
        out->reg = (d->modrm >> 3 & 7) | (regs & FR_REG && d->rex & REX_R ? 8 : 0);
        if (shape->flags & F_REG8)
            out->reg = byte_register(d, out->reg);
    }
    if (memory) {
        if (shape->flags & F_MEM16)
            out->opsize = OPSIZE_16;
        return decode_memory(d, out);
    }
    if (regs & (FR_RM | FR_RM_7) && !(shape->flags & F_AX)) {
        out->rm = (d->modrm & 7) | (regs & FR_RM && d->rex & REX_B ? 8 : 0);
        if (shape->flags & F_RM8)
            out->rm = byte_register(d, out->rm);
    }
    return DECODE_OK;
}

/* Operands that the opcode names or implies. */
static void decode_implied(const struct decoder *d, const struct dec_entry *shape,
                           struct insn *out)
{
    if (shape->flags & F_OPR) {
        out->rm = (d->opcode & 7) | (d->rex & REX_B ? 8 : 0);
        if (shape->flags & F_RM8)
            out->rm = byte_register(d, out->rm);
    } else if (shape->form == FORM_SREG) {
        out->reg = d->opcode >> 3 & 7; /* 06h.. 1Fh: ES to DS; A0h, A8h: FS, GS */
    }
    if (shape->flags & F_SEG && d->seg != NO_SEG) {
        out->seg = d->seg & 7;
        out->flags |= INSN_SEG;
    }
}

/* Bytes of an immediate; IMM_ENTER and IMM_FAR have two parts, this is both together. */
static uint32_t immediate_bytes(const struct insn *out, uint8_t kind)
{
    uint32_t z = out->opsize == OPSIZE_16 ? 2 : 4;

    switch (kind) {
    case IMM_SB: case IMM_UB: return 1;
    case IMM_UW: return 2;
    case IMM_Z: return z;
    case IMM_V: return 1u << out->opsize;
    case IMM_ENTER: return 3;
    case IMM_FAR: return z + 2;
    case IMM_MOFFS: return 1u << out->addrsize;
    default: return 0;
    }
}

static enum decode_status decode_immediate(struct decoder *d, uint8_t kind, struct insn *out)
{
    uint32_t count = immediate_bytes(out, kind);

    if (!has_bytes(d, count))
        return short_status(d, count);
    switch (kind) {
    case IMM_SB: case IMM_Z:
        out->imm = sign_extend(take(d, count), count);
        break;
    case IMM_ENTER:
        out->imm = take(d, 2);
        out->imm |= take(d, 1) << 16;
        break;
    case IMM_FAR:
        out->imm = take(d, count - 2);
        out->disp = (int32_t)take(d, 2);
        break;
    case IMM_ONE:
        out->imm = 1;
        break;
    default:
        out->imm = take(d, count);
        break;
    }
    return DECODE_OK;
}

/* Register numbers that do not exist. */
static bool registers_valid(const struct insn *out)
{
    switch (out->form) {
    case FORM_R_CR: case FORM_CR_R: /* CR0, CR2, CR3, CR4, CR8 */
        return out->reg < 9 && (0x11du >> out->reg & 1) != 0;
    case FORM_R_DR: case FORM_DR_R:
        return out->reg < 8;
    case FORM_RM_SREG:
        return out->reg <= SEG_GS;
    case FORM_SREG_RM:
        return out->reg <= SEG_GS && out->reg != SEG_CS;
    default:
        return true;
    }
}

/* Prefixes as the engines see them; false if LOCK is not allowed here. */
static bool finish_prefixes(const struct decoder *d, const struct dec_entry *shape,
                            struct insn *out)
{
    uint16_t attrs = insn_info[out->id].attrs;

    if (d->prefixes & P_LOCK) {
        if (!(out->flags & INSN_MEM) || !(attrs & IA_LOCK) || !(form_regs[out->form] & FR_LOCK))
            return false;
        out->flags |= INSN_LOCK;
    }
    if (attrs & IA_STRING) {
        if (d->prefixes & P_REP)
            out->flags |= INSN_REP;
        if (d->prefixes & P_REPNE)
            out->flags |= INSN_REPNE;
    }
    if (d->prefixes & P_66 && !(d->by_prefix && shape->size <= SZ_X))
        out->flags |= INSN_OPSZ;
    return true;
}

static enum decode_status decode_body(struct decoder *d, struct insn *out)
{
    const struct dec_entry *entry, *leaf, *shape;
    enum decode_status status = read_opcode(d, &entry);

    if (status == DECODE_OK)
        status = find_leaf(d, entry, &leaf, &shape);
    if (status != DECODE_OK)
        return status;
    if (shape->flags & (d->code == CODE_64 ? F_NO64 : F_ONLY64))
        return DECODE_UNDEFINED;
    out->id = leaf->id;
    out->form = shape->form;
    out->opsize = operand_size(d, shape->size);
    out->addrsize = address_size(d);
    out->base = REG_NONE;
    out->index = REG_NONE;
    out->seg = SEG_DS;
    if (shape->flags & F_MODRM)
        status = decode_modrm(d, shape, out);
    if (status != DECODE_OK)
        return status;
    decode_implied(d, shape, out);
    if (shape->imm != IMM_NONE)
        status = decode_immediate(d, shape->imm, out);
    if (status != DECODE_OK)
        return status;
    if (!registers_valid(out) || !finish_prefixes(d, shape, out))
        return DECODE_UNDEFINED;
    return DECODE_OK;
}

enum decode_status insn_decode(const uint8_t *bytes, size_t n, enum code_size size,
                               struct insn *out)
{
    struct decoder d = {
        .bytes = bytes,
        .limit = n < INSN_MAX_LEN ? (uint32_t)n : INSN_MAX_LEN,
        .code = (uint8_t)size,
        .seg = NO_SEG,
    };
    enum decode_status status;

    *out = (struct insn){.id = INSN_INVALID};
    status = decode_body(&d, out);
    if (status != DECODE_OK)
        *out = (struct insn){.id = INSN_INVALID};
    out->len = (uint8_t)d.pos;
    return status;
}
