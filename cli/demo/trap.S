/* SPDX-License-Identifier: MIT */
/*
 * Entry from exceptions and interrupts, and the switch between threads.
 *
 * Every vector has a stub of 16 bytes that makes the stack look alike: an error code (0 where the CPU
 * pushes none), then the vector. trap_common adds the general registers, which completes a struct
 * trap_frame (trap.h), and calls trap_dispatch(frame).
 */
    .file "trap.S"
    .cfi_sections .debug_frame  /* for debuggers: nothing of it is loaded */

#define STUB_BYTES 16
#define VECTORS    48           /* exceptions, and the sixteen interrupts of the 8259A pair */

/* Exceptions 8, 10..14, 17, 21, 29 and 30 push an error code. */
#define HAS_ERROR_CODE(v) ((0x60227d00 >> (v)) & 1)

    .text
    .balign STUB_BYTES
    .globl trap_stubs
    .type trap_stubs, @function
trap_stubs:
    .set vector, 0
    .rept VECTORS
    .balign STUB_BYTES
    .if vector >= 32
    pushq $0
    .elseif !HAS_ERROR_CODE(vector)
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
    .endr
    .balign STUB_BYTES
    .size trap_stubs, . - trap_stubs

    .type trap_common, @function
trap_common:
    /* The interrupted RIP is above vector and error code; CS, RFLAGS, RSP and SS follow it. */
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa rsp, 16
    .cfi_offset rip, 0
    .cfi_offset rsp, 24
    .macro SAVE reg
    pushq %\reg
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \reg, 0
    .endm
    .macro RESTORE reg
    popq %\reg
    .cfi_adjust_cfa_offset -8
    .cfi_restore \reg
    .endm
    SAVE rax
    SAVE rcx
    SAVE rdx
    SAVE rbx
    SAVE rbp
    SAVE rsi
    SAVE rdi
    SAVE r8
    SAVE r9
    SAVE r10
    SAVE r11
    SAVE r12
    SAVE r13
    SAVE r14
    SAVE r15
    movq %rsp, %rdi
    cld
    call trap_dispatch
    RESTORE r15
    RESTORE r14
    RESTORE r13
    RESTORE r12
    RESTORE r11
    RESTORE r10
    RESTORE r9
    RESTORE r8
    RESTORE rdi
    RESTORE rsi
    RESTORE rbp
    RESTORE rbx
    RESTORE rdx
    RESTORE rcx
    RESTORE rax
    addq $16, %rsp              /* vector, error code */
    .cfi_adjust_cfa_offset -16
    iretq
    .cfi_endproc
    .size trap_common, . - trap_common

    /*
     * void switch_stack(uint64_t *save_rsp, uint64_t rsp): leaves the running thread, whose stack
     * pointer goes to *save_rsp, and goes on where the other one called this. Interrupts are off.
     */
    .globl switch_stack
    .type switch_stack, @function
switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size switch_stack, . - switch_stack

    /* Where a new thread's first switch_stack returns to: RBX is its function. */
    .globl thread_start
    .type thread_start, @function
thread_start:
    .cfi_startproc
    .cfi_undefined rip          /* nobody called it */
    xorl %ebp, %ebp
    sti
    call *%rbx
    ud2                         /* threads do not end */
    .cfi_endproc
    .size thread_start, . - thread_start

    .section .note.GNU-stack, "", @progbits
