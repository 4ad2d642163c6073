; SPDX-License-Identifier: MIT
; A fault on the way to the handler of double faults: the processor shuts down (SDM vol. 3, 6.15), and the machine ends.
    bits 32
    org 0x200000
header:
    dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, header, load_end, load_end + 0x10000, start

STACK equ 0x1f0000
IDT   equ 0x107000
CODE  equ 0x08
DATA  equ 0x10

%include "guest32.inc"

start:
    ENTER_FLAT
    mov byte [IDT + 6 * 8 + 5], 0x6e        ; #UD, #NP and #DF have gates that are not present: one is not enough ..
    EXPECT_FAULT 11, .one
    ud2
.one:
    mov byte [IDT + 11 * 8 + 5], 0x6e       ; .. nor are two
    EXPECT_FAULT 8, .two
    ud2
.two:
    mov byte [IDT + 8 * 8 + 5], 0x6e
    ud2                                     ; #NP, #DF, and no more
    mov esi, text_fail
    call puts
    jmp fail_exit

    RUNTIME32
    align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
    dd gdt
    align 4096
load_end:
