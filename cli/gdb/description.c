/* SPDX-License-Identifier: MIT */
/*
 * The target description that gdb gets: its own feature names for what it knows, in its own order, and
 * one of ours for the system registers. The numbers are the view's (registers.c).
 */
#include "session_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] = "<?xml version=\"1.0\"?>\n"
                           "<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
                           "<target version=\"1.0\">\n";

struct bit {
    const char *name;
    unsigned at;
};

static const struct bit eflags_bits[] = {
    {"CF", 0},  {"", 1},    {"PF", 2},  {"AF", 4},  {"ZF", 6},   {"SF", 7},   {"TF", 8},
    {"IF", 9},  {"DF", 10}, {"OF", 11}, {"NT", 14}, {"RF", 16},  {"VM", 17},  {"AC", 18},
    {"VIF", 19}, {"VIP", 20}, {"ID", 21}, {NULL, 0}};
static const struct bit mxcsr_bits[] = {
    {"IE", 0}, {"DE", 1}, {"ZE", 2},  {"OE", 3},  {"UE", 4},  {"PE", 5},  {"DAZ", 6}, {"IM", 7},
    {"DM", 8}, {"ZM", 9}, {"OM", 10}, {"UM", 11}, {"PM", 12}, {"FZ", 15}, {NULL, 0}};
static const struct bit cr0_bits[] = {{"PE", 0},  {"MP", 1},  {"EM", 2},  {"TS", 3},
                                      {"ET", 4},  {"NE", 5},  {"WP", 16}, {"AM", 18},
                                      {"NW", 29}, {"CD", 30}, {"PG", 31}, {NULL, 0}};
static const struct bit cr4_bits[] = {
    {"VME", 0},   {"PVI", 1},    {"TSD", 2},         {"DE", 3},        {"PSE", 4},
    {"PAE", 5},   {"MCE", 6},    {"PGE", 7},         {"PCE", 8},       {"OSFXSR", 9},
    {"OSXMMEXCPT", 10}, {"UMIP", 11}, {"FSGSBASE", 16}, {"PCIDE", 17}, {"OSXSAVE", 18},
    {"SMEP", 20}, {"SMAP", 21},  {NULL, 0}};
static const struct bit efer_bits[] = {{"SCE", 0}, {"LME", 8}, {"LMA", 10}, {"NXE", 11}, {NULL, 0}};

static void put_flags(FILE *out, const char *id, unsigned bytes, const struct bit *bits)
{
    fprintf(out, "<flags id=\"%s\" size=\"%u\">", id, bytes);
    for (; bits->name != NULL; bits++)
        fprintf(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", bits->name, bits->at, bits->at);
    fputs("</flags>\n", out);
}

static void put_vector_types(FILE *out)
{
    static const struct {
        const char *id, *type;
        unsigned count;
    } vectors[] = {{"v4f", "ieee_single", 4}, {"v2d", "ieee_double", 2}, {"v16i8", "int8", 16},
                   {"v8i16", "int16", 8},     {"v4i32", "int32", 4},     {"v2i64", "int64", 2}};

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        fprintf(out, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>\n", vectors[i].id, vectors[i].type,
                vectors[i].count);
    fputs("<union id=\"vec128\">"
          "<field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
          "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
          "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
          "<field name=\"uint128\" type=\"uint128\"/></union>\n",
          out);
}

static const char *type_of(const struct register_view *v, unsigned reg)
{
    unsigned id = v->id[reg];

    switch (id) {
    case REG_ID_RBP:
    case REG_ID_RSP: return "data_ptr";
    case REG_ID_RIP: return "code_ptr";
    case REG_ID_EFLAGS: return "eflags";
    case REG_ID_MXCSR: return "mxcsr";
    case REG_ID_CR0: return "cr0";
    case REG_ID_CR4: return "cr4";
    case REG_ID_EFER: return "efer";
    case REG_ID_LSTAR:
    case REG_ID_CSTAR: return "code_ptr";
    default: break;
    }
    if (id >= REG_ID_ST0 && id < REG_ID_FCTRL)
        return "i387_ext";
    if (id >= REG_ID_XMM0 && id < REG_ID_MXCSR)
        return "vec128";
    if (id >= REG_ID_ICOUNT)
        return "uint64";
    return v->bytes[reg] == 8 ? "int64" : "int32";
}

static const char *group_of(unsigned id)
{
    if (id >= REG_ID_FCTRL && id <= REG_ID_FOP)
        return " group=\"float\"";
    if (id == REG_ID_MXCSR)
        return " group=\"vector\"";
    return id > REG_ID_GS_BASE ? " group=\"system\"" : "";
}

/* Registers [from, end) of the view as a feature; `types` writes what they need. */
static void put_feature(FILE *out, const struct register_view *v, const char *name, void (*types)(FILE *out),
                        unsigned from, unsigned end)
{
    if (from == end)
        return;
    fprintf(out, "<feature name=\"%s\">\n", name);
    if (types != NULL)
        types(out);
    for (unsigned reg = from; reg < end; reg++)
        fprintf(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"%s%s/>\n", v->name[reg],
                v->bytes[reg] * 8u, type_of(v, reg), reg, group_of(v->id[reg]),
                cpu_register_info(v->id[reg])->read_only ? " save-restore=\"no\"" : "");
    fputs("</feature>\n", out);
}

static void core_types(FILE *out)
{
    put_flags(out, "eflags", 4, eflags_bits);
}

static void sse_types(FILE *out)
{
    put_vector_types(out);
    put_flags(out, "mxcsr", 4, mxcsr_bits);
}

static void system_types(FILE *out)
{
    put_flags(out, "cr0", 8, cr0_bits);
    put_flags(out, "cr4", 8, cr4_bits);
    put_flags(out, "efer", 8, efer_bits);
}

char *session_describe_target(const struct register_view *v)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return NULL;
    fputs(head, out);
    fprintf(out, "<architecture>%s</architecture>\n", v->architecture);
    put_feature(out, v, "org.gnu.gdb.i386.core", core_types, 0, v->core_end);
    put_feature(out, v, "org.gnu.gdb.i386.sse", sse_types, v->core_end, v->sse_end);
    put_feature(out, v, "org.gnu.gdb.i386.segments", NULL, v->sse_end, v->segments_end);
    put_feature(out, v, "org.deja.x86.system", system_types, v->segments_end, v->count);
    fputs("</target>\n", out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
