; SPDX-License-Identifier: MIT
; Which ports level 3 may use (SDM vol. 1, 19.5): all with an IOPL of 3, else those whose bits in the map of the TSS are
; clear. body.inc, assembled as 32-bit and as 16-bit code; 64-bit code is in `rings`, virtual-8086 mode in
; `vm86`.
;
; On hardware the two bytes that begin with the port's are read, whatever its size; both have to lie within the TSS. A
; TSS of 16 bits has no map.
    bits 32
    org 0x200000
header:
    dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, header, load_end, load_end + 0x10000, start

STACK  equ 0x1f0000
USTACK equ 0x1d0000
TSS    equ 0x110000
TSS_16 equ 0x113000
IDT    equ 0x107000
CODE   equ 0x08
DATA   equ 0x10
UCODE  equ 0x18 | 3
UDATA  equ 0x20 | 3
CODE16 equ 0x28
UCODE16 equ 0x30 | 3
ALL    equ 0x38                             ; the TSS with the whole map, ..
SHORT_ equ 0x40                             ; .. without the byte behind it, ..
CUT    equ 0x48                             ; .. with the ports to 7Fh, ..
NONE   equ 0x50                             ; .. without a map
OLD    equ 0x58                             ; of 16 bits
MAP    equ 0x88                             ; its place in the TSS

%include "guest32.inc"
%include "both.inc"
%macro USE 1                                ; a TSS
    and byte [dword gdt + %1 + 5], ~2       ; not busy
    mov cx, %1
    ltr cx
%endmacro
%macro REFUSED 2                            ; name, label: #GP(0) there
    AT_LEVEL_3 {%1}, 13, %2
    SAME_EIP {%1, " eip"}, %2
    SAME {%1, " error"}, [dword got_error], 0
%endmacro
%macro ALLOWED 2
    AT_LEVEL_3 {%1}, 0x80, %2
%endmacro

start:
    ENTER_FLAT
    mov edi, TSS
    xor eax, eax
    mov ecx, 0x4000 / 4
    rep stosd
    mov dword [TSS + 4], STACK - 0x8000
    mov dword [TSS + 8], DATA
    mov word [TSS + 102], MAP
    mov byte [TSS + MAP + 0x2000], 0xff
    mov byte [TSS + MAP + 0x88 / 8], 0x08   ; 8Bh is refused
    mov word [TSS_16 + 2], 0x8000
    mov word [TSS_16 + 4], DATA
    call body_32
    call CODE16:body_16 - header
    jmp power_off

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
    dq 0x00009b000000ffff | 0x20 << 32
    dq 0x0000fb000000ffff | 0x20 << 32
%macro TSS_TO 2                             ; last byte, type
    dq ((%1) & 0xffff) | (TSS & 0xffffff) << 16 | (%2) << 40
%endmacro
    TSS_TO MAP + 0x2000, 0x89
    TSS_TO MAP + 0x1fff, 0x89
    TSS_TO MAP + 0x10, 0x89
    TSS_TO 0x67, 0x89
    dq 0x0000810000000067 | (TSS_16 & 0xffffff) << 16
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
    dd gdt
    align 4096
load_end:
