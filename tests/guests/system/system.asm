; SPDX-License-Identifier: MIT
; System instructions in 32-bit and in 16-bit code of protected mode: body.inc, assembled twice. 16-bit code has a
; segment that begins with the image, so that near branches, which cut EIP to 16 bits, reach all of it.
    bits 32
    org 0x200000
header:
    dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, header, load_end, load_end + 0x10000, start

STACK  equ 0x1f0000
USTACK equ 0x1d0000
PD     equ 0x100000
PT     equ 0x101000
TSS    equ 0x106000
IDT    equ 0x107000
MEM    equ 0x120000                         ; scratch, on 64 bytes
WINDOW equ 0x800000                         ; one page, mapped by PT
CODE   equ 0x08
DATA   equ 0x10
UCODE  equ 0x18 | 3                         ; SYSEXIT's: CODE + 16
UDATA  equ 0x20 | 3
TSSSEL equ 0x28
CODE16 equ 0x30
UCODE16 equ 0x38 | 3
SMALL  equ 0x40                             ; data, DPL 3

%include "guest32.inc"
%include "both.inc"

start:
    ENTER_FLAT
    LOAD_TSS STACK - 0x8000
    call map
    call body_32
    call CODE16:body_16 - header
    jmp power_off

; The first 8 MiB one to one, for all levels, and the window behind them; SSE and XSAVE on.
map:
    mov edi, PD
    xor eax, eax
    mov ecx, 2048
    rep stosd
    mov dword [PD], 0x87
    mov dword [PD + 4], 0x400087
    mov dword [PD + 8], PT | 7
    mov eax, cr4
    or eax, 1 << 4 | 1 << 9 | 1 << 10 | 1 << 18 ; PSE, OSFXSR, OSXMMEXCPT, OSXSAVE
    mov cr4, eax
    mov eax, PD
    mov cr3, eax
    mov eax, cr0
    and eax, ~0xc                           ; no EM, no TS
    or eax, 0x80010022                      ; PG, WP, NE, MP
    mov cr0, eax
    ret

; Each of these bits of CR4 is refused.
%macro NO_CR4 1-*
%rep %0
    mov eax, cr4
    bts eax, %1
    FAULTS "cr4", 13, mov cr4, eax
%rotate 1
%endrep
%endmacro
; LDS, LES, LFS, LGS, LSS: an offset of the operand size, a selector behind it. All or nothing.
%macro FAR_POINTER 3                        ; instruction, segment register, selector
%defstr INSTRUCTION %1
    mov edi, MEM
    mov dword [es:edi], 0x89abcdef
    mov word [es:edi + W / 8], %3
    mov ebx, 0x11111111
    %1 BX_, [es:edi]
    mov dx, %2
    mov cx, DATA
    mov %2, cx
    movzx edx, dx
    SAME {INSTRUCTION, " selector"}, edx, %3
    SAME {INSTRUCTION, " offset"}, ebx, LOADED
    mov word [es:edi + W / 8], 0x7f8        ; beyond the GDT
    FAULTS {INSTRUCTION, " beyond"}, 13, %1 BX_, [es:edi]
    SAME {INSTRUCTION, " error"}, [dword got_error], 0x7f8
    SAME {INSTRUCTION, " kept"}, ebx, LOADED
    mov dx, %2
    movzx edx, dx
    SAME {INSTRUCTION, " kept selector"}, edx, DATA
%endmacro
%macro FIRST 2                              ; name, integer in ST(0), which is popped
    fistp dword [edi]
    SAME %1, [dword MEM], %2
%endmacro
; Relative error below 1.5 * 2^-12.
%macro NEAR 2                               ; name, float; in the low element of xmm1
    movd eax, xmm1
    sub eax, %2
    add eax, 0x3000
    shr eax, 15
    SAME %1, eax, 0
%endmacro

%define W 32
%include "body.inc"
%define W 16
%include "body.inc"

    RUNTIME32
    GO_ON_16
    align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
    dq 0x0000890000000067 | (TSS & 0xffffff) << 16
    dq 0x00009b000000ffff | 0x20 << 32      ; base 200000h
    dq 0x0000fb000000ffff | 0x20 << 32
    dq 0x0040f300000000ff
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
    dd gdt
saved_esp: dd 0
text: db "SCRATCH"
text_end:
    align 4096
load_end:
