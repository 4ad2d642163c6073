/* SPDX-License-Identifier: MIT */
/*
 * The registers by the client's numbers. In the view of 64 bits these are those of emu/registers.h. A 32-bit
 * kernel's symbols make gdb take it for an i386, whose core registers are 32 bits wide and in another order (GDB
 * manual, G.5.7); gdb refuses the other description then. What is not named there is as in the other view.
 */
#include "session_internal.h"

#include <string.h>

#include <emu/registers.h>

#define I386_CORE  32u /* EAX to FOP */
#define I386_SSE   9u  /* XMM0 to XMM7, MXCSR */
#define NARROW     9u  /* EAX to EDI, EIP: 64 bits in the machine */

static const uint8_t i386_core[I386_CORE] = {
    /* EAX ECX EDX EBX ESP EBP ESI EDI */
    REG_ID_RAX, REG_ID_RAX + 2, REG_ID_RAX + 3, REG_ID_RAX + 1, REG_ID_RSP, REG_ID_RBP, REG_ID_RAX + 4, REG_ID_RAX + 5,
    REG_ID_RIP, REG_ID_EFLAGS, REG_ID_CS, REG_ID_CS + 1, REG_ID_CS + 2, REG_ID_CS + 3, REG_ID_CS + 4, REG_ID_GS,
    REG_ID_ST0, REG_ID_ST0 + 1, REG_ID_ST0 + 2, REG_ID_ST0 + 3, REG_ID_ST0 + 4, REG_ID_ST0 + 5, REG_ID_ST0 + 6,
    REG_ID_ST0 + 7, REG_ID_FCTRL, REG_ID_FCTRL + 1, REG_ID_FCTRL + 2, REG_ID_FCTRL + 3, REG_ID_FCTRL + 4,
    REG_ID_FCTRL + 5, REG_ID_FCTRL + 6, REG_ID_FOP};
static const char *const i386_names[NARROW] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip"};

static unsigned natural_bytes(unsigned id)
{
    return cpu_register_info(id)->bytes;
}

static void add(struct register_view *v, unsigned id, unsigned bytes, const char *name)
{
    v->id[v->count] = (uint8_t)id;
    v->bytes[v->count] = (uint16_t)bytes;
    v->name[v->count] = name;
    v->count++;
}

static void add_natural(struct register_view *v, unsigned from, unsigned end)
{
    for (unsigned id = from; id < end; id++)
        add(v, id, natural_bytes(id), cpu_register_info(id)->name);
}

/* What gdb wants to know first of every stop. */
static void expedite(struct register_view *v, unsigned frame, unsigned stack, unsigned pc)
{
    const uint16_t first[VIEW_EXPEDITED] = {(uint16_t)frame, (uint16_t)stack, (uint16_t)pc, (uint16_t)(pc + 1),
                                            (uint16_t)(pc + 2)}; /* and EFLAGS, CS */

    memcpy(v->expedited, first, sizeof(first));
}

static void view_64(struct register_view *v)
{
    v->architecture = "i386:x86-64";
    add_natural(v, REG_ID_RAX, CPU_REGISTER_COUNT);
    v->core_end = REG_ID_XMM0;
    v->sse_end = REG_ID_FS_BASE;
    v->segments_end = REG_ID_K_GS_BASE;
    expedite(v, REG_ID_RBP, REG_ID_RSP, REG_ID_RIP);
}

static void view_i386(struct register_view *v)
{
    v->architecture = "i386";
    for (unsigned n = 0; n < I386_CORE; n++) {
        bool narrow = n < NARROW;

        add(v, i386_core[n], narrow ? 4 : natural_bytes(i386_core[n]),
            narrow ? i386_names[n] : cpu_register_info(i386_core[n])->name);
    }
    v->core_end = v->count;
    add_natural(v, REG_ID_XMM0, REG_ID_XMM0 + I386_SSE - 1);
    add_natural(v, REG_ID_MXCSR, REG_ID_MXCSR + 1);
    v->sse_end = v->segments_end = v->count;
    add_natural(v, REG_ID_FS_BASE, REG_ID_K_GS_BASE); /* the i386 core knows no bases of segments */
    add_natural(v, REG_ID_CR0, REG_ID_STAR);          /* nor SYSCALL */
    add_natural(v, REG_ID_CPL, CPU_REGISTER_COUNT);
    expedite(v, 5, 4, 8);
}

void register_view_init(struct register_view *v, bool i386)
{
    memset(v, 0, sizeof(*v));
    v->i386 = i386;
    if (i386)
        view_i386(v);
    else
        view_64(v);
}

void register_view_fill(const struct register_view *v, struct gdbstub_target *target)
{
    target->register_bytes = v->bytes;
    target->nregisters = v->count;
    target->ng = v->core_end;
    target->expedite = v->expedited;
    target->nexpedite = VIEW_EXPEDITED;
}

void register_view_read(const struct register_view *v, const struct cpu *cpu, unsigned reg, uint8_t *out)
{
    uint8_t value[GDBSTUB_MAX_REGISTER];

    cpu_register_read(cpu, v->id[reg], value);
    memcpy(out, value, v->bytes[reg]); /* little-endian: a narrow one is the low half */
}

void register_view_widen(const struct register_view *v, unsigned reg, const uint8_t *value,
                         uint8_t wide[GDBSTUB_MAX_REGISTER])
{
    memset(wide, 0, GDBSTUB_MAX_REGISTER);
    memcpy(wide, value, v->bytes[reg]);
}
