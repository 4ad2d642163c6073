/* SPDX-License-Identifier: MIT */
/*
 * Entry from exceptions and interrupts, and the switch between threads.
 *
 * Every vector has a stub of 16 bytes that makes the stack look alike: an error code (0 where the CPU
 * pushes none), then the vector. trap_common adds the general registers, which completes a struct
 * trap_frame (trap.h), and calls trap_dispatch(frame).
 */
    .file "trap.S"

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
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    cld
    call trap_dispatch
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp              /* vector, error code */
    iretq
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
    xorl %ebp, %ebp
    sti
    call *%rbx
    ud2                         /* threads do not end */
    .size thread_start, . - thread_start

    .section .note.GNU-stack, "", @progbits
