/* SPDX-License-Identifier: MIT */
/* The demo kernel as bytes in the program: DEMO_KERNEL is the path of its ELF file. */

    .section .rodata
    .globl deja_demo_kernel
    .type deja_demo_kernel, @object
    .balign 16
deja_demo_kernel:
    .incbin DEMO_KERNEL
demo_kernel_end:
    .size deja_demo_kernel, demo_kernel_end - deja_demo_kernel

    .globl deja_demo_kernel_len
    .type deja_demo_kernel_len, @object
    .balign 8
deja_demo_kernel_len:
    .quad demo_kernel_end - deja_demo_kernel
    .size deja_demo_kernel_len, 8

    .section .note.GNU-stack, "", @progbits
