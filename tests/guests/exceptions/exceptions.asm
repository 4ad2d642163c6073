; SPDX-License-Identifier: MIT
; Exceptions that instructions raise: vector, error code, saved RIP and flags (SDM vol. 3, chapter 6).
%include "guest64.inc"
    bits 64
main:
    ; #DE: a fault, RIP at the instruction, RF set in the pushed flags
    EXPECT_FAULT 0, .de
    xor ecx, ecx
    xor edx, edx
    mov eax, 1
.div:
    div ecx
.de:
    CHECK "de-rip", [got_rip], .div
    mov rax, [got_flags]
    shr rax, 16
    and eax, 1
    CHECK "de-rf", rax, 1

    ; #DE by a quotient that does not fit
    EXPECT_FAULT 0, .de2
    mov edx, 5
    mov eax, 0
    mov ecx, 5
    div ecx
.de2:
    ; IDIV: most negative value by -1
    EXPECT_FAULT 0, .de3
    mov rax, 0x8000000000000000
    cqo
    mov rcx, -1
    idiv rcx
.de3:

    ; no exception: the farthest RIP-relative operand, wherever in a run of code it stands
    times 12 nop
    db 0x48, 0x8d, 0x05                     ; lea rax, [rip + 7ffffff0h]
    dd 0x7ffffff0
.after_lea:
    mov rbx, .after_lea
    add rbx, 0x7ffffff0
    CHECK "far-rip", rax, rbx

    ; #BP: a trap, RIP after it
    EXPECT_FAULT 3, .bp
    int3
.after_bp:
.bp:
    CHECK "bp-rip", [got_rip], .after_bp
    mov rax, [got_flags]
    shr rax, 16
    and eax, 1
    CHECK "bp-rf", rax, 0

    ; INT n through a gate, RIP after it
    EXPECT_FAULT 0x55, .int
    int 0x55
.after_int:
.int:
    CHECK "int-rip", [got_rip], .after_int

    ; #UD
    EXPECT_FAULT 6, .ud
.ud2:
    ud2
.ud:
    CHECK "ud-rip", [got_rip], .ud2

    ; #GP(0): non-canonical data address; #SS(0) when it is the stack's
    EXPECT_FAULT 13, .gp
    mov rax, 0x8000000000000000
    mov rbx, [rax]
.gp:
    CHECK "gp-error", [got_error], 0
    EXPECT_FAULT 12, .ss
    mov rbp, 0x8000000000000000
    mov rbx, [rbp]
.ss:
    CHECK "ss-error", [got_error], 0

    ; #GP(selector): beyond the GDT; bits 1:0 of the selector are not part of the error code
    EXPECT_FAULT 13, .gp2
    mov ax, 0x1233
    mov ds, ax
.gp2:
    CHECK "gp-selector", [got_error], 0x1230

    ; #GP(vector * 8 + 2): an interrupt beyond the IDT's limit
    lidt [.short_idt]
    EXPECT_FAULT 13, .gp3
    int 0x80
.gp3:
    CHECK "gp-idt", [got_error], 0x80 * 8 + 2
    lidt [idt_pointer]

    ; #NP: a gate that is not present
    and byte [IDT + 0x60 * 16 + 5], 0x7f
    EXPECT_FAULT 11, .np
    int 0x60
.np:
    CHECK "np-gate", [got_error], 0x60 * 8 + 2
    or byte [IDT + 0x60 * 16 + 5], 0x80

    ; #NM and #MF are the FPU's; #NM here: CR0.TS
    mov rax, cr0
    or eax, 8
    mov cr0, rax
    EXPECT_FAULT 7, .nm
    fninit
.nm:
    clts

    ; reserved bits of control registers
    EXPECT_FAULT 13, .cr0
    mov rax, 0x100000000
    mov cr0, rax
.cr0:
    EXPECT_FAULT 13, .cr4
    mov rax, cr4
    bts rax, 40
    mov cr4, rax
.cr4:
    ; an MSR that does not exist
    EXPECT_FAULT 13, .msr
    mov ecx, 0x12345678
    rdmsr
.msr:

    ; #PF: error code and CR2: read, write, fetch of a page that is not present
    EXPECT_FAULT 14, .pf
    mov rax, [0x40000123]
.pf:
    CHECK "pf-read", [got_error], 0
    CHECK "pf-cr2", [got_cr2], 0x40000123
    EXPECT_FAULT 14, .pf2
    mov byte [0x40000fff], 1
.pf2:
    CHECK "pf-write", [got_error], 2
    EXPECT_FAULT 14, .pf3
    mov rax, 0x40000000
    jmp rax
.pf3:
    CHECK "pf-fetch", [got_error], 0x10
    CHECK "pf-fetch-rip", [got_rip], 0x40000000
    ; an operand across two pages: CR2 is the first byte that is not there
    EXPECT_FAULT 14, .pf4
    mov rax, [0x3ffffffc]
.pf4:
    CHECK "pf-split-cr2", [got_cr2], 0x40000000

    ; a store that faults leaves registers, memory and flags as they were
    mov qword [.cell], 41
    mov rax, 1
    stc
    EXPECT_FAULT 14, .pf5
    adc [0x40000000], rax
.pf5:
    mov rax, [got_flags]
    and eax, 1
    CHECK "pf-flags", rax, 1

    ; double fault: the #PF handler's stack is not there (IST for #DF)
    mov byte [IDT + 8 * 16 + 4], 1
    EXPECT_FAULT 8, .df
    mov rsp, 0x40000800
    mov rax, [0x40000000]
.df:
    CHECK "df-error", [got_error], 0
    ret
.short_idt:
    dw 0x7f * 16 + 15
    dq IDT
.cell: dq 0
%include "end.inc"
