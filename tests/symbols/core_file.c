/* SPDX-License-Identifier: MIT */
#include "core_file.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#define PAGE        4096u
#define STACK_BYTES 16384u /* THREAD_SIZE of x86-64, and its alignment */
#define PAGES_MAX   8192u
#define KERNEL_HALF 0xffff800000000000u
#define IMAGE       0xffffffff80000000u

struct pages {
    uint64_t gva[PAGES_MAX];
    size_t count;
};

static bool has_page(const struct pages *p, uint64_t gva)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->gva[i] == gva)
            return true;
    return false;
}

static void add_page(struct pages *p, const struct cpu *cpu, uint64_t gva)
{
    gva &= ~(uint64_t)(PAGE - 1);
    if (p->count < PAGES_MAX && cpu_peek_translate(cpu, gva) != UINT64_MAX && !has_page(p, gva))
        p->gva[p->count++] = gva;
}

static void add_stack(struct pages *p, const struct cpu *cpu, uint64_t at, unsigned depth)
{
    uint64_t begin = at & ~(uint64_t)(STACK_BYTES - 1);

    for (uint64_t page = begin; page < begin + STACK_BYTES; page += PAGE)
        add_page(p, cpu, page);
    for (uint64_t word = begin; word < begin + STACK_BYTES; word += 8) {
        uint64_t value;

        if (cpu_peek(cpu, word, &value, 8) != 8 || value < KERNEL_HALF)
            continue;
        if (value < IMAGE && depth > 0 && !has_page(p, value & ~(uint64_t)(PAGE - 1)))
            add_stack(p, cpu, value, depth - 1);
        else
            add_page(p, cpu, value);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return x < y ? -1 : x > y;
}

static void fill_registers(const struct cpu *cpu, struct elf_prstatus *status)
{
    struct user_regs_struct r = {.r15 = cpu->regs[15],
                                 .r14 = cpu->regs[14],
                                 .r13 = cpu->regs[13],
                                 .r12 = cpu->regs[12],
                                 .r11 = cpu->regs[11],
                                 .r10 = cpu->regs[10],
                                 .r9 = cpu->regs[9],
                                 .r8 = cpu->regs[8],
                                 .rdi = cpu->regs[7],
                                 .rsi = cpu->regs[6],
                                 .rbp = cpu->regs[5],
                                 .rsp = cpu->regs[4],
                                 .rbx = cpu->regs[3],
                                 .rdx = cpu->regs[2],
                                 .rcx = cpu->regs[1],
                                 .rax = cpu->regs[0],
                                 .rip = cpu->rip,
                                 .eflags = cpu_rflags(cpu),
                                 .cs = cpu->seg[1].selector,
                                 .ss = cpu->seg[2].selector,
                                 .orig_rax = UINT64_MAX};

    memset(status, 0, sizeof(*status));
    status->pr_pid = 1;
    memcpy(&status->pr_reg, &r, sizeof(r));
}

static void write_headers(FILE *f, const struct pages *p, uint64_t note_at, size_t note_len,
                          uint64_t data_at)
{
    Elf64_Ehdr e = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(e),
        .e_ehsize = sizeof(e),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (uint16_t)(p->count + 1)};
    Elf64_Phdr note = {.p_type = PT_NOTE, .p_offset = note_at, .p_filesz = note_len};

    fwrite(&e, sizeof(e), 1, f);
    fwrite(&note, sizeof(note), 1, f);
    for (size_t i = 0; i < p->count; i++) {
        Elf64_Phdr load = {.p_type = PT_LOAD,
                           .p_flags = PF_R | PF_W | PF_X,
                           .p_offset = data_at + i * PAGE,
                           .p_vaddr = p->gva[i],
                           .p_filesz = PAGE,
                           .p_memsz = PAGE,
                           .p_align = PAGE};

        fwrite(&load, sizeof(load), 1, f);
    }
}

bool core_file_write(const char *path, const struct cpu *cpu)
{
    static struct pages pages;
    struct {
        Elf64_Nhdr head;
        char name[8];
    } note = {.head = {5, sizeof(struct elf_prstatus), NT_PRSTATUS}, .name = "CORE"};
    struct elf_prstatus status;
    uint64_t note_at, data_at;
    FILE *f = fopen(path, "wb");

    if (f == NULL)
        return false;
    pages.count = 0;
    add_page(&pages, cpu, cpu->rip);
    add_stack(&pages, cpu, cpu->regs[4], 2);
    qsort(pages.gva, pages.count, sizeof(pages.gva[0]), compare);
    fill_registers(cpu, &status);
    note_at = sizeof(Elf64_Ehdr) + (pages.count + 1) * sizeof(Elf64_Phdr);
    data_at = (note_at + sizeof(note) + sizeof(status) + PAGE - 1) / PAGE * PAGE;
    write_headers(f, &pages, note_at, sizeof(note) + sizeof(status), data_at);
    fwrite(&note, sizeof(note), 1, f);
    fwrite(&status, sizeof(status), 1, f);
    for (size_t i = 0; i < pages.count; i++) {
        uint8_t bytes[PAGE];

        cpu_peek(cpu, pages.gva[i], bytes, PAGE);
        fseek(f, (long)(data_at + i * PAGE), SEEK_SET);
        fwrite(bytes, PAGE, 1, f);
    }
    return fclose(f) == 0;
}
