/* SPDX-License-Identifier: MIT */
/* Which kernel runs, and where: a made-up vmlinux in made-up memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include <symbols/kernel.h>

#include "fake_guest.h"

#define LINK    0xffffffff81000000u
#define OFFSET  0x1a600000u
#define NOTE_AT 0x3000u
#define IDT_AT  0x5000u
#define ENTRY   0x80u
#define FAULT   0x1230u

static uint8_t bytes[0x10000];
static struct fake_guest guest = {.base = LINK + OFFSET, .bytes = bytes, .len = sizeof(bytes)};
static struct symbols_memory mem = {.read = fake_guest_read, .user = &guest};

/* A file of a null section, .notes and names, and one with nothing but a null section. */
struct file {
    Elf64_Ehdr head;
    Elf64_Shdr sections[3];
    char names[16];
    struct {
        Elf64_Nhdr head;
        char name[4];
        uint8_t id[20];
    } note;
};

static struct file vmlinux_file(uint8_t id)
{
    struct file f = {
        .head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                             EV_CURRENT},
                 .e_type = ET_EXEC,
                 .e_machine = EM_X86_64,
                 .e_shoff = offsetof(struct file, sections),
                 .e_shentsize = sizeof(Elf64_Shdr),
                 .e_shnum = 3,
                 .e_shstrndx = 2},
        .names = "\0.notes",
        .note = {.head = {4, 20, NT_GNU_BUILD_ID}, .name = "GNU"},
    };

    f.sections[1] = (Elf64_Shdr){.sh_name = 1,
                                 .sh_type = SHT_NOTE,
                                 .sh_flags = SHF_ALLOC,
                                 .sh_addr = LINK + NOTE_AT,
                                 .sh_offset = offsetof(struct file, note),
                                 .sh_size = sizeof(f.note)};
    f.sections[2] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
                                 .sh_offset = offsetof(struct file, names),
                                 .sh_size = sizeof(f.names)};
    memset(f.note.id, id, sizeof(f.note.id));
    return f;
}

static struct symbol_table *symbols_at(uint64_t base)
{
    struct symbol_table *t = symbol_table_create();

    symbol_table_add(t, "_text", 5, base, 0, 'T');
    symbol_table_add(t, "entry_SYSCALL_64", 16, base + ENTRY, 0, 'T');
    symbol_table_add(t, "asm_exc_page_fault", 18, base + FAULT, 0, 'T');
    symbol_table_add(t, "__start_notes", 13, base + NOTE_AT, 0, 'R');
    symbol_table_add(t, "__stop_notes", 12, base + NOTE_AT + 36, 0, 'R');
    symbol_table_add(t, "linux_banner", 12, base + 0x4000, 0, 'R');
    assert_int_equal(symbol_table_finish(t), SYMBOLS_OK);
    return t;
}

/* The guest runs the kernel whose build-id is all `id`. */
static void fill_guest(uint8_t id)
{
    struct file f = vmlinux_file(id);
    uint64_t fault = LINK + OFFSET + FAULT;
    size_t at = IDT_AT + 14 * 16;

    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes + NOTE_AT, &f.note, sizeof(f.note));
    strcpy((char *)bytes + 0x4000, "Linux version 6.1.0 (x\033[31m) #1\n");
    fake_guest_put(&guest, &at, fault & 0xffff, 2);
    fake_guest_put(&guest, &at, 0x8e000010, 4);
    fake_guest_put(&guest, &at, fault >> 16, 6);
}

struct answer {
    int status;
    struct kernel_place place;
    char err[300];
};

static struct answer find(uint8_t file_id, const struct symbols_hints *hints, bool with_kallsyms)
{
    struct file f = vmlinux_file(file_id);
    struct elf_file *vmlinux = elf_file_open_memory("vmlinux", &f, sizeof(f), NULL, 0);
    struct symbol_table *linked = symbols_at(LINK), *run = symbols_at(LINK + OFFSET);
    struct answer a = {0};

    if (file_id == 0) { /* a file without a build-id */
        elf_file_close(vmlinux);
        f.sections[1].sh_type = SHT_PROGBITS;
        vmlinux = elf_file_open_memory("vmlinux", &f, sizeof(f), NULL, 0);
    }
    assert_non_null(vmlinux);
    a.status = kernel_find_place(&mem, hints, with_kallsyms ? run : NULL, vmlinux, linked, &a.place,
                                 a.err, sizeof(a.err));
    symbol_table_destroy(linked);
    symbol_table_destroy(run);
    elf_file_close(vmlinux);
    return a;
}

static void expect(struct answer a, enum kernel_evidence evidence, bool verified)
{
    assert_int_equal(a.status, SYMBOLS_OK);
    assert_int_equal(a.place.offset, OFFSET);
    assert_int_equal(a.place.evidence, evidence);
    assert_int_equal(a.place.verified, verified);
}

static const struct symbols_hints nothing = {.struct_size = sizeof(nothing), .long_mode = true};
static const struct symbols_hints syscall_hint = {
    .struct_size = sizeof(nothing), .long_mode = true, .lstar = LINK + OFFSET + ENTRY};
static const struct symbols_hints idt_hint = {.struct_size = sizeof(nothing),
                                              .long_mode = true,
                                              .idt_base = LINK + OFFSET + IDT_AT,
                                              .idt_limit = 0xfff};

static void each_kind_of_evidence(void **state)
{
    (void)state;
    fill_guest(0x11);
    expect(find(0x11, &nothing, true), KERNEL_BY_KALLSYMS, true);
    expect(find(0x11, &syscall_hint, false), KERNEL_BY_SYSCALL, true);
    expect(find(0x11, &idt_hint, false), KERNEL_BY_IDT, true);
    expect(find(0x11, &nothing, false), KERNEL_BY_SEARCH, true);
}

static void wrong_hints_do_no_harm(void **state)
{
    struct symbols_hints h = {.struct_size = sizeof(h),
                              .long_mode = true,
                              .lstar = 0x1234,
                              .sysenter_eip = UINT64_MAX,
                              .idt_base = UINT64_MAX - 100,
                              .idt_limit = UINT32_MAX};

    (void)state;
    fill_guest(0x11);
    expect(find(0x11, &h, false), KERNEL_BY_SEARCH, true);
}

static void another_kernel_is_told(void **state)
{
    struct answer a;

    (void)state;
    fill_guest(0x11);
    a = find(0x22, &syscall_hint, true);
    assert_int_equal(a.status, SYMBOLS_ERR_OTHER_KERNEL);
    assert_string_equal(a.err, "vmlinux: build-id 2222222222222222222222222222222222222222 is not "
                               "the guest's, 1111111111111111111111111111111111111111: its "
                               "symbols do not fit");
    assert_int_equal(find(0x22, &syscall_hint, false).status, SYMBOLS_ERR_NOT_FOUND);
}

/* Then a hint is all there is, and it must be plausible. */
static void file_without_build_id(void **state)
{
    struct symbols_hints odd = syscall_hint;

    (void)state;
    fill_guest(0x11);
    expect(find(0, &syscall_hint, false), KERNEL_BY_SYSCALL, false);
    odd.lstar += 8;
    assert_int_equal(find(0, &odd, false).status, SYMBOLS_ERR_NOT_FOUND);
    assert_int_equal(find(0, &nothing, false).status, SYMBOLS_ERR_NOT_FOUND);
}

static void file_for_another_cpu(void **state)
{
    struct symbols_hints h = {.struct_size = sizeof(h), .long_mode = false};

    (void)state;
    assert_int_equal(find(0x11, &h, false).status, SYMBOLS_ERR_ARGUMENT);
}

static void banner_is_fit_for_a_terminal(void **state)
{
    struct symbol_table *run = symbols_at(LINK + OFFSET);
    char text[100], little[8];

    (void)state;
    fill_guest(0x11);
    assert_int_equal(kernel_read_banner(&mem, run, text, sizeof(text)), SYMBOLS_OK);
    assert_string_equal(text, "Linux version 6.1.0 (x?[31m) #1");
    assert_int_equal(kernel_read_banner(&mem, run, little, sizeof(little)), SYMBOLS_OK);
    assert_string_equal(little, "Linux v");
    bytes[0x4000] = 'l';
    assert_int_equal(kernel_read_banner(&mem, run, text, sizeof(text)), SYMBOLS_ERR_NOT_FOUND);
    symbol_table_destroy(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_evidence),  cmocka_unit_test(wrong_hints_do_no_harm),
        cmocka_unit_test(another_kernel_is_told), cmocka_unit_test(file_without_build_id),
        cmocka_unit_test(file_for_another_cpu),   cmocka_unit_test(banner_is_fit_for_a_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
