/* SPDX-License-Identifier: MIT */
/*
 * Where a vmlinux is in the guest. What the CPU must know (the entry of system calls, the handlers
 * of exceptions) has a name in vmlinux; each pair gives a candidate for the offset. A candidate is
 * right when the file's build-id, or banner, is in guest memory at that offset. KASLR moves the
 * kernel by multiples of 2 MiB inside of 1 GiB, so when no candidate is right, all of these are
 * tried.
 */
#include <symbols/kernel.h>

#include "memory_internal.h"

#define PLACE_STEP_64 (2u << 20)
#define PLACE_STEP_32 (1u << 20)
#define PLACE_RANGE   (1u << 30)
#define NOTES_MAX     65536u
#define BANNER_MAX    256u
#define VECTOR_DE     0u
#define VECTOR_PF     14u

struct search {
    const struct symbols_memory *mem;
    const struct symbols_hints *hints;
    const struct symbol_table *guest;
    const struct elf_file *vmlinux;
    const struct symbol_table *linked;
    struct build_id id;
    uint64_t id_at; /* link address */
    char banner[BANNER_MAX];
    size_t banner_len; /* 0: unknown */
    uint64_t banner_at;
};

const char *kernel_evidence_name(enum kernel_evidence evidence)
{
    switch (evidence) {
    case KERNEL_BY_KALLSYMS: return "kallsyms";
    case KERNEL_BY_SYSCALL: return "syscall entry";
    case KERNEL_BY_SYSENTER: return "sysenter entry";
    case KERNEL_BY_IDT: return "exception handler";
    case KERNEL_BY_SEARCH: return "search";
    }
    return "unknown";
}

/* --- the guest --- */

bool kernel_idt_handler(const struct symbols_memory *mem, const struct symbols_hints *hints,
                        unsigned vector, uint64_t *handler)
{
    unsigned size = hints->long_mode ? 16 : 8;
    uint64_t at = hints->idt_base + (uint64_t)vector * size;
    uint8_t gate[16] = {0};

    if (hints->idt_base == 0 || (vector + 1) * size > (uint64_t)hints->idt_limit + 1 ||
        !memory_read(mem, at, gate, size) || (gate[5] & 0x80) == 0)
        return false;
    *handler = le16(gate) | (uint64_t)le16(gate + 6) << 16 | (uint64_t)le32(gate + 8) << 32;
    return true;
}

int kernel_read_build_id(const struct symbols_memory *mem, const struct symbol_table *guest,
                         struct build_id *id)
{
    uint8_t notes[4096];
    uint64_t begin, end;

    if (!symbol_table_address(guest, "__start_notes", &begin) ||
        !symbol_table_address(guest, "__stop_notes", &end) || end <= begin)
        return SYMBOLS_ERR_NOT_FOUND;
    if (end - begin > sizeof(notes))
        end = begin + sizeof(notes);
    if (!memory_read(mem, begin, notes, (size_t)(end - begin)) ||
        !build_id_in_notes(notes, (size_t)(end - begin), id, NULL))
        return SYMBOLS_ERR_NOT_FOUND;
    return SYMBOLS_OK;
}

int kernel_read_banner(const struct symbols_memory *mem, const struct symbol_table *guest,
                       char *out, size_t len)
{
    char text[512];
    uint64_t at;
    size_t n;

    if (len == 0 || !symbol_table_address(guest, "linux_banner", &at) ||
        !memory_read_string(mem, at, text, sizeof(text)) ||
        strncmp(text, "Linux version ", 14) != 0)
        return SYMBOLS_ERR_NOT_FOUND;
    n = strcspn(text, "\n");
    if (n >= len)
        n = len - 1;
    for (size_t i = 0; i < n; i++) /* it goes to a terminal */
        out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    out[n] = '\0';
    return SYMBOLS_OK;
}

/* --- the file --- */

static void load_marks(struct search *s)
{
    if (elf_file_build_id(s->vmlinux, &s->id, &s->id_at) < 0)
        s->id.len = 0;
    if (symbol_table_address(s->linked, "linux_banner", &s->banner_at)) {
        size_t len = 0;

        while (len < BANNER_MAX &&
               elf_file_read(s->vmlinux, s->banner_at + len, &s->banner[len], 1) &&
               s->banner[len] != '\0')
            len++;
        s->banner_len = len;
    }
}

/* --- candidates --- */

static uint64_t run_address(const struct search *s, uint64_t linked, uint64_t offset)
{
    return s->hints->long_mode ? linked + offset : (linked + offset) & UINT32_MAX;
}

/* 1: the file's marks are at that offset; 0: they are not; -1: it has none. */
static int verify(const struct search *s, uint64_t offset)
{
    uint8_t there[BANNER_MAX];

    if (s->id.len > 0)
        return memory_read(s->mem, run_address(s, s->id_at, offset), there, s->id.len) &&
               memcmp(there, s->id.bytes, s->id.len) == 0;
    if (s->banner_len > 0)
        return memory_read(s->mem, run_address(s, s->banner_at, offset), there, s->banner_len) &&
               memcmp(there, s->banner, s->banner_len) == 0;
    return -1;
}

/* True: the offset is right, or may be; *place is filled. */
static bool accept(const struct search *s, uint64_t offset, enum kernel_evidence evidence,
                   struct kernel_place *place)
{
    int verified;

    if (!s->hints->long_mode)
        offset &= UINT32_MAX;
    verified = verify(s, offset);
    if (verified == 0 || (verified < 0 && offset % GUEST_PAGE != 0))
        return false;
    *place =
        (struct kernel_place){.offset = offset, .evidence = evidence, .verified = verified > 0};
    return true;
}

/* `address` is where the guest has the first of these that vmlinux knows. */
static bool try_names(const struct search *s, uint64_t address, const char *const names[],
                      enum kernel_evidence evidence, struct kernel_place *place)
{
    uint64_t linked;

    if (address == 0)
        return false;
    for (size_t i = 0; names[i] != NULL; i++)
        if (symbol_table_address(s->linked, names[i], &linked) &&
            accept(s, address - linked, evidence, place))
            return true;
    return false;
}

static bool try_kallsyms(const struct search *s, struct kernel_place *place)
{
    static const char *const names[] = {"_text", "_stext", "start_kernel", "linux_banner"};

    for (size_t i = 0; s->guest != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        const char *const one[] = {names[i], NULL};
        uint64_t address;

        if (symbol_table_address(s->guest, names[i], &address) &&
            try_names(s, address, one, KERNEL_BY_KALLSYMS, place))
            return true;
    }
    return false;
}

static bool try_cpu(const struct search *s, struct kernel_place *place)
{
    static const char *const syscall[] = {"entry_SYSCALL_64", "system_call", NULL};
    static const char *const sysenter[] = {"entry_SYSENTER_32", "entry_SYSENTER_compat",
                                           "ia32_sysenter_target", NULL};
    static const char *const page_fault[] = {"asm_exc_page_fault", "page_fault", "async_page_fault",
                                             "early_idt_handler_array", NULL};
    static const char *const divide[] = {"asm_exc_divide_error", "divide_error", NULL};
    uint64_t handler;

    return try_names(s, s->hints->lstar, syscall, KERNEL_BY_SYSCALL, place) ||
           try_names(s, s->hints->sysenter_eip, sysenter, KERNEL_BY_SYSENTER, place) ||
           (kernel_idt_handler(s->mem, s->hints, VECTOR_PF, &handler) &&
            try_names(s, handler, page_fault, KERNEL_BY_IDT, place)) ||
           (kernel_idt_handler(s->mem, s->hints, VECTOR_DE, &handler) &&
            try_names(s, handler, divide, KERNEL_BY_IDT, place));
}

static bool try_everywhere(const struct search *s, struct kernel_place *place)
{
    uint64_t step = s->hints->long_mode ? PLACE_STEP_64 : PLACE_STEP_32;

    if (verify(s, 0) < 0)
        return false;
    for (uint64_t offset = 0; offset < PLACE_RANGE; offset += step)
        if (accept(s, offset, KERNEL_BY_SEARCH, place))
            return true;
    return false;
}

/* --- the answer --- */

static int not_there(const struct search *s, char *err, size_t errlen)
{
    struct build_id guest;
    char ours[2 * BUILD_ID_MAX + 1], theirs[2 * BUILD_ID_MAX + 1], banner[160];
    const char *name = elf_file_name(s->vmlinux);

    if (s->guest != NULL && kernel_read_build_id(s->mem, s->guest, &guest) == SYMBOLS_OK &&
        s->id.len > 0)
        return symbols_error(SYMBOLS_ERR_OTHER_KERNEL, err, errlen,
                             "%s: build-id %s is not the guest's, %s: its symbols do not fit", name,
                             build_id_text(&s->id, ours, sizeof(ours)),
                             build_id_text(&guest, theirs, sizeof(theirs)));
    if (s->guest != NULL &&
        kernel_read_banner(s->mem, s->guest, banner, sizeof(banner)) == SYMBOLS_OK)
        return symbols_error(SYMBOLS_ERR_OTHER_KERNEL, err, errlen,
                             "%s: not the guest's kernel, which is: %s", name, banner);
    return symbols_error(SYMBOLS_ERR_NOT_FOUND, err, errlen,
                         "%s: this kernel is not mapped in the guest, or not yet", name);
}

int kernel_find_place(const struct symbols_memory *mem, const struct symbols_hints *hints,
                      const struct symbol_table *guest, const struct elf_file *vmlinux,
                      const struct symbol_table *linked, struct kernel_place *place, char *err,
                      size_t errlen)
{
    struct search s = {
        .mem = mem, .hints = hints, .guest = guest, .vmlinux = vmlinux, .linked = linked};
    enum elf_file_machine want = hints->long_mode ? ELF_FILE_X86_64 : ELF_FILE_I386;

    if (elf_file_is_relocatable(vmlinux))
        return symbols_error(SYMBOLS_ERR_ARGUMENT, err, errlen,
                             "%s: a module or object file, not a kernel", elf_file_name(vmlinux));
    if (elf_file_machine(vmlinux) != want)
        return symbols_error(SYMBOLS_ERR_ARGUMENT, err, errlen,
                             "%s: not for %s, which the guest runs as now", elf_file_name(vmlinux),
                             hints->long_mode ? "x86-64" : "i386");
    load_marks(&s);
    if (try_kallsyms(&s, place) || try_cpu(&s, place) || try_everywhere(&s, place))
        return SYMBOLS_OK;
    return not_there(&s, err, errlen);
}
