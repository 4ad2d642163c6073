; SPDX-License-Identifier: MIT
; A fault on the way to the handler of another (SDM vol. 3, 6.15, "Interrupt 8" and its table 6-5).
;
; On hardware exceptions are benign, contributory (#DE, #TS, #NP, #SS, #GP) or page faults. A contributory one on the way
; of a contributory one, and any of both on the way of a page fault, is a double fault, with an error code of 0; all else
; is handled one after the other: the second handler returns to where the first was raised. INT n is benign.
    bits 32
    org 0x200000
header:
    dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, header, load_end, load_end + 0x10000, start

STACK  equ 0x1f0000
DSTACK equ 0x1e0000                         ; of the task that handles double faults
USTACK equ 0x1d0000
STACK0 equ 0x1c0000
PD     equ 0x100000
TSS    equ 0x106000
TSS_D  equ 0x106100
IDT    equ 0x107000
UNMAPPED equ 0x800000
LDT    equ UNMAPPED + 0x1000
CODE   equ 0x08
DATA   equ 0x10
UCODE  equ 0x18 | 3
UDATA  equ 0x20 | 3
A      equ 0x28
D      equ 0x30
LDTSEL equ 0x38
ABSENT equ 0x40                             ; data
SMALL_TSS equ 0x48
LOW    equ 0x50                             ; code, to FFFh
AWAY   equ 0x0c                             ; in the LDT, which nobody can read

%include "guest32.inc"

%define GATE(v) IDT + (v) * 8

; What is wrong with the gate of the first: not present (#NP), no gate at all (#GP), a segment in the LDT (#PF).
%macro BREAK_NP 1
    and byte [GATE(%1) + 5], 0x7f
%endmacro
%macro BREAK_GP 1
    mov byte [GATE(%1) + 5], 0x80
%endmacro
%macro BREAK_PF 1
    mov word [GATE(%1) + 2], AWAY
%endmacro
%macro RAISE 4+                             ; name, the first, expected vector, instruction that raises the first
    EXPECT_FAULT %3, %%back
%%at:
    %4
%%back:
    mov byte [GATE(%2) + 5], 0xee
    mov word [GATE(%2) + 2], CODE
    CHECK {%1, " vector"}, [got_vector], %3
    CHECK {%1, " eip"}, [got_eip], %%at
%endmacro
%macro BENIGN 3+                            ; name, vector, instruction
    BREAK_NP %2
    RAISE {%1, ", np"}, %2, 11, %3
    CHECK {%1, ", np error"}, [got_error], %2 * 8 + 3
    BREAK_GP %2
    RAISE {%1, ", gp"}, %2, 13, %3
    CHECK {%1, ", gp error"}, [got_error], %2 * 8 + 3
    SERIAL_PF %1, %2, %3
%endmacro
%macro SERIAL_PF 3+
    BREAK_PF %2
    xor eax, eax
    mov cr2, eax
    RAISE {%1, ", pf"}, %2, 14, %3
    CHECK {%1, ", pf error"}, [got_error], 0
    mov eax, cr2
    CHECK {%1, ", pf cr2"}, eax, LDT + (AWAY & ~7)
%endmacro
%macro DOUBLE 4+                            ; name, vector, what breaks its gate, instruction
    %3 %2
    RAISE {%1}, %2, 8, %4
    CHECK {%1, " error"}, [got_error], 0
%endmacro
%macro CONTRIBUTORY 3+
    DOUBLE {%1, ", np"}, %2, BREAK_NP, %3
    DOUBLE {%1, ", gp"}, %2, BREAK_GP, %3
    SERIAL_PF %1, %2, %3
%endmacro

start:
    ENTER_FLAT
    call map
    mov ax, A
    ltr ax
    mov ax, LDTSEL
    lldt ax
    call benign
    call contributory
    call page_faults
    call software
    call by_task
    jmp power_off

map:                                        ; 8 MiB one to one, nothing behind
    mov edi, PD
    xor eax, eax
    mov ecx, 1024
    rep stosd
    mov dword [PD], 0x87
    mov dword [PD + 4], 0x400087
    mov edi, TSS
    mov ecx, 0x200 / 4
    rep stosd
    mov eax, cr4
    or eax, 0x10                            ; PSE
    mov cr4, eax
    mov eax, PD
    mov cr3, eax
    mov eax, cr0
    and eax, ~0xc
    or eax, 0x80000022                      ; PG, NE, MP
    mov cr0, eax
    ret

benign:
    BENIGN "br", 5, bound ecx, [limits]
    BENIGN "ud", 6, ud2
    mov eax, cr0
    or eax, 8                               ; TS
    mov cr0, eax
    BENIGN "nm", 7, fnop
    clts
    fninit
    fldcw [no_masks]
    fldz
    fld1
    fdivrp                                  ; zero divide: pending
    BENIGN "mf", 16, fwait
    fninit
    ret

contributory:
    xor ecx, ecx
    CONTRIBUTORY "de", 0, div ecx
    CONTRIBUTORY "ts", 10, jmp SMALL_TSS:0
    mov ecx, ABSENT
    CONTRIBUTORY "np", 11, mov fs, cx
    CONTRIBUTORY "ss", 12, mov ss, cx
    xor ecx, ecx
    CONTRIBUTORY "gp", 13, mov ss, cx
    ret

page_faults:
    mov edi, UNMAPPED
    DOUBLE "pf, np", 14, BREAK_NP, mov [edi], eax
    DOUBLE "pf, gp", 14, BREAK_GP, mov [edi], eax
    DOUBLE "pf, pf", 14, BREAK_PF, mov [edi], eax
    mov eax, cr2                            ; of the second
    CHECK "pf, pf cr2", eax, LDT + (AWAY & ~7)
    ret

; What INT n meets on its way is its own fault, with EXT clear; INT1 and all other events have it set (6.13).
software:
    BREAK_NP 0x90
    RAISE "int, np", 0x90, 11, int 0x90
    CHECK "int, np error", [got_error], 0x90 * 8 + 2
    BREAK_GP 3
    RAISE "int3, gp", 3, 13, int3
    CHECK "int3, gp error", [got_error], 3 * 8 + 2
    BREAK_NP 1
    RAISE "int1, np", 1, 11, db 0xf1
    CHECK "int1, np error", [got_error], 1 * 8 + 3
    BREAK_PF 0x90
    RAISE "int, pf", 0x90, 14, int 0x90
    BREAK_NP 11
    BREAK_NP 0x90
    RAISE "int, np, np", 0x90, 8, int 0x90  ; the #NP is contributory
    mov byte [GATE(11) + 5], 0xee
    ; the handler's segment: of a level that is not reached, or it ends before the handler
    mov word [GATE(6) + 2], UCODE & ~3
    RAISE "outward", 6, 13, ud2
    CHECK "outward error", [got_error], (UCODE & ~3) | 1
    mov word [GATE(6) + 2], LOW
    RAISE "beyond", 6, 13, ud2
    CHECK "beyond error", [got_error], 1
    mov word [GATE(0x90) + 2], LOW
    RAISE "int, beyond", 0x90, 13, int 0x90
    CHECK "int, beyond error", [got_error], 0
    ret

; Double faults that only a task of their own can handle: there is no stack.
by_task:
    mov dword [TSS + 28], PD
    mov dword [TSS_D + 28], PD
    mov dword [TSS_D + 32], .task
    mov dword [TSS_D + 36], 2
    mov dword [TSS_D + 56], DSTACK
    mov dword [TSS_D + 72], DATA
    mov dword [TSS_D + 76], CODE
    mov dword [TSS_D + 80], DATA
    mov dword [TSS_D + 84], DATA
    mov word [TSS_D + 102], 0x68
    mov dword [GATE(8)], D << 16
    mov dword [GATE(8) + 4], 0x8500
    mov [.esp], esp
    mov dword [.back], .overflowed
    mov esp, UNMAPPED + 0x10
.store:
    mov [UNMAPPED + 0x500], eax             ; #PF, for which there is no stack
.overflowed:
    CHECK "overflow eip", [seen_eip], .store
    CHECK "overflow cr2", [seen_cr2], UNMAPPED + 0xc
    ; level 3 without a stack for level 0: #TS on the way of a contributory one
    mov dword [.back], .no_stack
    mov dword [TSS + 4], STACK0
    mov dword [TSS + 8], 0
    push UDATA
    push USTACK
    push 2
    push UCODE
    push .user
    iret
.user:
    div cl
.no_stack:
    CHECK "no stack eip", [seen_eip], .user
    CHECK "no stack cs", [seen_cs], UCODE
    ret
.task:
    pop eax                                 ; the error code
    CHECK "task error", eax, 0
    mov [seen_esp], esp
    CHECK "task esp", [seen_esp], DSTACK
    CHECK "task link", [TSS_D], A
    mov eax, cr2
    mov [seen_cr2], eax
    mov eax, [TSS + 32]
    mov [seen_eip], eax
    mov eax, [TSS + 76]
    mov [seen_cs], eax
    mov eax, [.back]                        ; back to A, at level 0
    mov [TSS + 32], eax
    mov eax, [.esp]
    mov [TSS + 56], eax
    mov dword [TSS + 72], DATA
    mov dword [TSS + 76], CODE
    mov dword [TSS + 80], DATA
    mov dword [TSS + 84], DATA
    iret
    jmp .task
.back: dd 0
.esp: dd 0

    RUNTIME32
    align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
    dq 0x0000890000000067 | (TSS & 0xffffff) << 16
    dq 0x0000890000000067 | (TSS_D & 0xffffff) << 16
    dq 0x0000820000000fff | (LDT & 0xffffff) << 16
    dq 0x00cf13000000ffff
    dq 0x0000890000000066 | (TSS & 0xffffff) << 16
    dq 0x00409b0000000fff
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
    dd gdt
limits: dd 1, 2
no_masks: dw 0x340
seen_cr2: dd 0
seen_eip: dd 0
seen_cs: dd 0
seen_esp: dd 0
    align 4096
load_end:
