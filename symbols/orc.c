/* SPDX-License-Identifier: MIT */
/*
 * Reads ORC tables: 6 bytes an entry, beside an array of the code addresses where they begin to
 * hold.
 *
 *     int16_t sp_offset, bp_offset;
 *     uint16_t sp_reg : 4, bp_reg : 4, ...
 *
 * The rest of the last word differs between versions:
 *     up to 6.2:  type : 2, end : 1              types: call, registers, partial registers
 *     6.3:        type : 2, signal : 1, end : 1  the same
 *     from 6.4:   type : 3, signal : 1           types: unknown, end, call, registers, partial
 * Which one it is follows from the types: nearly all entries are calls, 0 in the old numbering and
 * 2 in the new. An old entry without a stack register is an end if either of the two bits is set,
 * for such an entry is no signal.
 */
#include "orc_internal.h"

#include <stdlib.h>

#include "memory_internal.h"

#define ENTRY_BYTES 6u
#define ENTRIES_MAX (4u << 20)
#define LAST_BYTES  16u /* for which the last entry holds; a guess, nothing says it */

enum orc_register {
    REG_UNDEFINED = 0,
    REG_PREV_SP = 1,
    REG_DX = 2,
    REG_DI = 3,
    REG_BP = 4,
    REG_SP = 5,
    REG_R10 = 6,
    REG_R13 = 7,
    REG_BP_INDIRECT = 8,
    REG_SP_INDIRECT = 9,
};

/* How entries number their types. */
enum orc_version { ORC_VERSION_UNKNOWN, ORC_VERSION_OLD, ORC_VERSION_NEW };

struct tables {
    uint8_t *ips, *entries;
    size_t count;
    uint64_t ip_gva;
    bool new_types;                   /* 6.4 and later */
    const struct symbol_table *guest; /* NULL: unknown */
};

/* --- entries --- */

static unsigned type_bits(uint16_t flags)
{
    return (flags >> 8) & 7;
}

static enum orc_kind kind_of(const struct tables *t, uint16_t flags)
{
    static const enum orc_kind kinds[8] = {ORC_UNKNOWN, ORC_END, ORC_CALL, ORC_REGS, ORC_PARTIAL};
    static const enum orc_kind old_kinds[4] = {ORC_CALL, ORC_REGS, ORC_PARTIAL};

    if (t->new_types)
        return kinds[type_bits(flags)];
    if ((flags & 15) == REG_UNDEFINED)
        return (flags & 0xc00) != 0 ? ORC_END : ORC_UNKNOWN;
    return old_kinds[type_bits(flags) & 3];
}

static void take_base(struct orc_row *row, unsigned reg)
{
    static const uint8_t dwarf[16] = {
        [REG_DX] = DWARF_RDX,          [REG_DI] = DWARF_RDI,         [REG_BP] = DWARF_RBP,
        [REG_SP] = DWARF_RSP,          [REG_R10] = DWARF_R10,        [REG_R13] = DWARF_R13,
        [REG_BP_INDIRECT] = DWARF_RBP, [REG_SP_INDIRECT] = DWARF_RSP};

    row->base_reg = dwarf[reg];
    if (reg == REG_BP_INDIRECT)
        row->base = ORC_BASE_REG_INDIRECT;
    else if (reg == REG_SP_INDIRECT)
        row->base = ORC_BASE_SP_INDIRECT;
    else if (reg >= REG_DX && reg <= REG_R13)
        row->base = ORC_BASE_REG;
    else
        row->kind = ORC_UNKNOWN;
}

/*
 * Behind the registers of a system call is user code, always. A backtrace ends there: a debugger
 * finds the user's stack below the kernel's, and takes that for corruption.
 */
static bool is_system_call(const struct symbol_table *guest, uint64_t ip)
{
    const struct symbol *s = symbol_table_by_address(guest, ip);

    return s != NULL &&
           (strncmp(s->name, "entry_SYS", 9) == 0 || strncmp(s->name, "entry_INT80", 11) == 0 ||
            strncmp(s->name, "ret_from_fork", 13) == 0);
}

static struct orc_row row_of(const struct tables *t, size_t i)
{
    const uint8_t *e = t->entries + i * ENTRY_BYTES;
    uint16_t flags = le16(e + 4);
    unsigned bp = (flags >> 4) & 15;
    struct orc_row row = {
        .ip = t->ip_gva + 4 * i + (uint64_t)(int64_t)(int32_t)le32(t->ips + 4 * i),
        .kind = kind_of(t, flags),
        .offset = (int16_t)le16(e),
        .bp_offset = (int16_t)le16(e + 2),
    };

    if (row.kind >= ORC_CALL)
        take_base(&row, flags & 15);
    if (row.kind >= ORC_REGS && t->guest != NULL && is_system_call(t->guest, row.ip))
        row.kind = ORC_END;
    if (bp == REG_PREV_SP || bp == REG_BP) {
        row.bp = ORC_BASE_REG;
        row.bp_reg = bp == REG_BP ? DWARF_RBP : DWARF_RSP;
    }
    return row;
}

/* --- tables --- */

static int load_array(const struct symbols_memory *mem, uint64_t gva, size_t len, uint8_t **out)
{
    uint8_t *bytes = malloc(len);

    if (bytes == NULL)
        return SYMBOLS_ERR_NO_MEMORY;
    if (!memory_read(mem, gva, bytes, len)) {
        free(bytes);
        return SYMBOLS_ERR_NOT_FOUND;
    }
    *out = bytes;
    return SYMBOLS_OK;
}

static int load_tables(const struct symbols_memory *mem, const struct orc_place *p,
                       struct tables *t)
{
    int status;

    t->count = (size_t)((p->ip_end - p->ip_begin) / 4);
    t->ip_gva = p->ip_begin;
    status = load_array(mem, p->ip_begin, t->count * 4, &t->ips);
    if (status == SYMBOLS_OK)
        status = load_array(mem, p->begin, t->count * ENTRY_BYTES, &t->entries);
    return status;
}

static enum orc_version find_version(const struct tables *t)
{
    size_t calls[2] = {0, 0};

    for (size_t i = 0; i < t->count; i++) {
        uint16_t flags = le16(t->entries + i * ENTRY_BYTES + 4);

        if ((flags & 15) == REG_SP) {
            calls[0] += type_bits(flags) == 0;
            calls[1] += type_bits(flags) == 2;
        }
    }
    return calls[1] > calls[0] ? ORC_VERSION_NEW : ORC_VERSION_OLD;
}

/* Of entries for one address the last one holds, and one that knows nothing is the first. */
static int compare_rows(const void *left, const void *right)
{
    const struct orc_row *a = left, *b = right;

    if (a->ip != b->ip)
        return a->ip < b->ip ? -1 : 1;
    return (a->kind > ORC_UNKNOWN) - (b->kind > ORC_UNKNOWN);
}

static bool same_rule(const struct orc_row *a, const struct orc_row *b)
{
    return a->kind == b->kind && a->base == b->base && a->base_reg == b->base_reg &&
           a->offset == b->offset && a->bp == b->bp && a->bp_reg == b->bp_reg &&
           (a->bp == ORC_BASE_NONE || a->bp_offset == b->bp_offset);
}

/* All rows in order, at least one, those left out that change nothing. *last: address of the last.
 */
static struct orc_row *decode(const struct tables *t, size_t *count, uint64_t *last)
{
    struct orc_row *rows = malloc(t->count * sizeof(*rows));
    bool sorted = true;
    size_t n = 0;

    if (rows == NULL)
        return NULL;
    for (size_t i = 0; i < t->count; i++) {
        rows[i] = row_of(t, i);
        sorted &= i == 0 || rows[i - 1].ip < rows[i].ip;
    }
    if (!sorted)
        qsort(rows, t->count, sizeof(*rows), compare_rows);
    *last = rows[t->count - 1].ip;
    for (size_t i = 0; i < t->count; i++)
        if ((i + 1 == t->count || rows[i + 1].ip != rows[i].ip) &&
            (n == 0 || !same_rule(&rows[n - 1], &rows[i])))
            rows[n++] = rows[i];
    *count = n;
    return rows;
}

static int write_frames(const struct tables *t, struct bytes *out)
{
    size_t count;
    uint64_t last;
    struct orc_row *rows = decode(t, &count, &last);

    if (rows == NULL)
        return SYMBOLS_ERR_NO_MEMORY;
    orc_write_dwarf(out, rows, count, last + LAST_BYTES);
    free(rows);
    return out->failed ? SYMBOLS_ERR_NO_MEMORY : SYMBOLS_OK;
}

static bool place_fits(const struct orc_place *p)
{
    uint64_t count = (p->ip_end - p->ip_begin) / 4;

    return p->ip_end > p->ip_begin && p->end > p->begin && count > 0 && count <= ENTRIES_MAX &&
           count == (p->end - p->begin) / ENTRY_BYTES;
}

/* Appends the frames of one pair of tables. */
static int append_frames(const struct symbols_memory *mem, const struct orc_place *p,
                         const struct symbol_table *guest, enum orc_version *version,
                         struct bytes *out)
{
    struct tables t = {.guest = guest};
    int status = place_fits(p) ? load_tables(mem, p, &t) : SYMBOLS_ERR_DAMAGED;

    if (status == SYMBOLS_OK) {
        if (*version == ORC_VERSION_UNKNOWN)
            *version = find_version(&t);
        t.new_types = *version == ORC_VERSION_NEW;
        status = write_frames(&t, out);
    }
    free(t.ips);
    free(t.entries);
    return status;
}

static const char *reason(int status)
{
    switch (status) {
    case SYMBOLS_ERR_NO_MEMORY: return "no memory for ORC tables";
    case SYMBOLS_ERR_DAMAGED: return "the guest's two ORC tables do not fit each other";
    default: return "the guest's ORC tables are not mapped";
    }
}

int orc_read_frames_at(const struct symbols_memory *mem, const struct orc_place *places,
                       size_t count, const struct symbol_table *guest, uint8_t **frames,
                       size_t *len, char *err, size_t errlen)
{
    enum orc_version version = ORC_VERSION_UNKNOWN;
    struct bytes out = {0};
    int failed = SYMBOLS_ERR_NOT_FOUND;

    for (size_t i = 0; i < count; i++) {
        int status = places[i].ip_begin != 0 ? append_frames(mem, &places[i], guest, &version, &out)
                                             : SYMBOLS_OK;

        if (status < 0)
            failed = status;
        if (status == SYMBOLS_ERR_NO_MEMORY)
            break;
    }
    if (failed == SYMBOLS_ERR_NO_MEMORY || out.len == 0) {
        bytes_fini(&out);
        return symbols_error(failed, err, errlen, "%s", reason(failed));
    }
    *frames = out.data;
    *len = out.len;
    return SYMBOLS_OK;
}

int orc_find_place(const struct symbol_table *guest, struct orc_place *place)
{
    struct orc_place p;

    if (!symbol_table_address(guest, "__start_orc_unwind_ip", &p.ip_begin) ||
        !symbol_table_address(guest, "__stop_orc_unwind_ip", &p.ip_end) ||
        !symbol_table_address(guest, "__start_orc_unwind", &p.begin) ||
        !symbol_table_address(guest, "__stop_orc_unwind", &p.end))
        return SYMBOLS_ERR_NOT_FOUND;
    *place = p;
    return SYMBOLS_OK;
}

int orc_read_frames(const struct symbols_memory *mem, const struct symbol_table *guest,
                    uint8_t **frames, size_t *len, char *err, size_t errlen)
{
    struct orc_place p;

    if (orc_find_place(guest, &p) < 0)
        return symbols_error(SYMBOLS_ERR_NOT_FOUND, err, errlen,
                             "the guest's symbols name no ORC tables");
    return orc_read_frames_at(mem, &p, 1, guest, frames, len, err, errlen);
}
