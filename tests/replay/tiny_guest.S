/* SPDX-License-Identifier: MIT */
/*
 * Firmware of the tiny machine (tiny_machine.h): counts, takes timer and serial interrupts, echoes
 * what it receives and obeys single letters.
 *
 *   0:0500  word   counts iterations of the main loop
 *   0:0504  byte   1: the main loop halts between interrupts
 *   0:0508  dword  timer interrupts seen
 *   0:050c  word   sum of the bytes received, rotated by one before each
 */
    .section .note.GNU-stack, "", @progbits
    .section .rodata
    .globl tiny_guest
    .globl tiny_guest_end

    .set SEGMENT, 0xf000
    .set ROM, 0xf000              /* the 4 KiB image is F000:F000 to F000:FFFF */
    .set TIMER_PORT, 0x40
    .set DATA_PORT, 0x10
    .set RESET_PORT, 0x64
    .set POWER_PORT, 0x65
    .set EXIT_PORT, 0xf4

    .code16
tiny_guest:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7000, %sp
    movw $(on_timer - tiny_guest + ROM), 0x20 * 4
    movw $SEGMENT, 0x20 * 4 + 2
    movw $(on_serial - tiny_guest + ROM), 0x21 * 4
    movw $SEGMENT, 0x21 * 4 + 2
    outb %al, $TIMER_PORT
    sti
1:  incw 0x500
    cmpb $0, 0x504
    je 1b
    hlt
    jmp 1b

on_timer:
    incl 0x508
    iretw

on_serial:
    pushw %ax
    inb $DATA_PORT, %al
    outb %al, $DATA_PORT
    xorb %ah, %ah
    rolw $1, 0x50c
    addw %ax, 0x50c
    cmpb $'h', %al
    jne 1f
    movb $1, 0x504
1:  cmpb $'b', %al
    jne 1f
    movb $0, 0x504
1:  cmpb $'r', %al
    jne 1f
    outb %al, $RESET_PORT
1:  cmpb $'p', %al
    jne 1f
    outb %al, $POWER_PORT
1:  cmpb $'x', %al
    jne 1f
    outb %al, $EXIT_PORT
1:  cmpb $'d', %al                /* dies: an exception without a table to take it */
    jne 1f
    lidtl %cs:(no_table - tiny_guest + ROM)
    ud2
1:  cmpb $'s', %al                /* sleeps for ever */
    jne 1f
    hlt
1:  popw %ax
    iretw

no_table:
    .fill 6, 1, 0

    .org tiny_guest + 0xff0
    ljmpw $SEGMENT, $ROM
    .org tiny_guest + 0x1000
tiny_guest_end:
