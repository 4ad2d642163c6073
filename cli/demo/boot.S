/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader to C: a Multiboot kernel is entered in flat 32-bit mode with paging off, EAX the
 * loader's magic, EBX its information. Here the first GiB is mapped one to one, long mode switched
 * on, and kernel_main(magic, info) called on a stack of its own.
 *
 * Page 0 stays unmapped, so that a null pointer faults.
 */
    .file "boot.S"

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000003 /* page-aligned modules, memory sizes */

#define CR0_PE_PG   0x80000001
#define CR0_WP      0x00010000
#define CR4_PAE     0x00000020
#define MSR_EFER    0xc0000080
#define EFER_LME    0x00000100

#define PTE_PRESENT 0x001
#define PTE_WRITE   0x002
#define PTE_LARGE   0x080

#define STACK_BYTES 16384

    .section .multiboot, "a"
    .balign 4
    .long MULTIBOOT_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .text
    .code32
    .globl start
    .type start, @function
start:
    cli
    movl %eax, %edi             /* kernel_main's arguments, kept until the call */
    movl %ebx, %esi

    /* Four levels: the first 2 MiB by pages of 4 KiB, the rest of the GiB by pages of 2 MiB. */
    movl $pdpt + PTE_PRESENT + PTE_WRITE, pml4
    movl $pd + PTE_PRESENT + PTE_WRITE, pdpt
    movl $1, %ecx               /* entry 0 of the lowest table: not present */
    movl $0x1000 + PTE_PRESENT + PTE_WRITE, %eax
1:  movl %eax, pt(, %ecx, 8)
    addl $0x1000, %eax
    incl %ecx
    cmpl $512, %ecx
    jb 1b
    movl $1, %ecx
    movl $0x200000 + PTE_PRESENT + PTE_WRITE + PTE_LARGE, %eax
2:  movl %eax, pd(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $512, %ecx
    jb 2b
    movl $pt + PTE_PRESENT + PTE_WRITE, pd

    movl %cr4, %eax
    orl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    wrmsr
    movl %cr0, %eax
    orl $CR0_PE_PG | CR0_WP, %eax
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $0x08, $start64
    .size start, . - start

    .code64
    .type start64, @function
start64:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $boot_stack + STACK_BYTES, %esp
    xorl %ebp, %ebp             /* a backtrace ends here */
    call kernel_main
3:  cli
    hlt
    jmp 3b
    .size start64, . - start64

    /* Enough to get into long mode; trap.c brings the real one. */
    .section .rodata
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* 08: code, 64-bit */
    .quad 0x00cf93000000ffff    /* 10: data */
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long boot_gdt
    .long 0

    .bss
    .balign 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
pd:
    .skip 4096
pt:
    .skip 4096
    .balign 16
boot_stack:
    .skip STACK_BYTES

    .section .note.GNU-stack, "", @progbits
