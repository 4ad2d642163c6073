; SPDX-License-Identifier: MIT
; Segments of protected mode (SDM vol. 3, 3.4.5, 5.3 to 5.8): limits of data, code and stacks, those that expand down,
; types, levels, conforming code, accessed bits. body.inc, assembled as 32-bit and as 16-bit code.
;
; On hardware what is wrong with a descriptor is found when its selector is loaded, with the selector as error code, and
; the register stays as it was; limit and type are looked at with each access, with 0 as error code: #SS(0) for SS,
; #GP(0) for the others.
    bits 32
    org 0x200000
header:
    dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, header, load_end, load_end + 0x10000, start

STACK  equ 0x1f0000
USTACK equ 0x1d0000
TSS    equ 0x106000
IDT    equ 0x107000
LDT    equ 0x108000
MEM    equ 0x120000                         ; scratch; the small segments begin here

%include "guest32.inc"
%include "both.inc"

; Descriptors: DESC name, base, limit field, its bits 55:40 (G, D, and limit 19:16 are 0; P, DPL, S, type)
%assign next_selector 8
%macro DESC 4
%1 equ next_selector
%assign next_selector next_selector + 8
    dq (%3 & 0xffff) | (%2 & 0xffffff) << 16 | (%4) << 40 | (%3 & 0xf0000) << 32 | (%2 >> 24 & 0xff) << 56
%endmacro
BIG  equ 0x4000                             ; D or B
PAGES equ 0x8000                            ; G
ALL  equ 0xfffff
    align 8
gdt:
    dq 0
    DESC CODE, 0, ALL, 0x9b | BIG | PAGES
    DESC DATA, 0, ALL, 0x93 | BIG | PAGES
    DESC UCODE_, 0, ALL, 0xfb | BIG | PAGES
    DESC UDATA_, 0, ALL, 0xf3 | BIG | PAGES
    DESC TSSSEL, TSS, 0x67, 0x89
    DESC LDTSEL, LDT, 0x17, 0x82
    DESC CODE16, 0x200000, 0xffff, 0x9b
    DESC UCODE16_, 0x200000, 0xffff, 0xfb
    DESC BYTES, MEM, 0xff, 0xf3             ; offsets 0 to FFh
    DESC PAGE, MEM, 0, 0xf3 | PAGES         ; 0 to FFFh
    DESC HIGH, 0xffff0000, ALL, 0xf3 | PAGES
    DESC DOWN32, 0, 0xfff, 0xf7 | BIG       ; from 1000h up
    DESC DOWN16, 0, 0xfff, 0xf7             ; 1000h to FFFFh
    DESC DOWNPAGES, 0, 1, 0xf7 | BIG | PAGES ; from 2000h up
    DESC EMPTY, 0, ALL, 0xf7 | BIG | PAGES  ; nothing
    DESC READ, 0, ALL, 0xf1 | BIG | PAGES
    DESC FRESH, 0, ALL, 0xf2 | BIG | PAGES  ; not accessed
    DESC FRESH_ABSENT, 0, ALL, 0x72 | BIG | PAGES
    DESC ABSENT, 0, ALL, 0x13 | BIG | PAGES ; of level 0
    DESC EXECUTE_32, 0, ALL, 0x99 | BIG | PAGES
    DESC EXECUTE_16, 0x200000, 0xffff, 0x99
    DESC CONF_32, 0, ALL, 0x9f | BIG | PAGES
    DESC CONF_16, 0x200000, 0xffff, 0x9f
    DESC CONF_ABSENT, 0, ALL, 0x1f | BIG | PAGES
    DESC CONF_X, 0, ALL, 0x9d | BIG | PAGES ; conforming, not readable
    DESC UCONF, 0, ALL, 0xff | BIG | PAGES  ; conforming, of level 3
    DESC LEVEL1, 0, ALL, 0xb3 | BIG | PAGES
    DESC TINY_32, MEM + 0x1000, 0xff, 0x9b | BIG
    DESC TINY_16, MEM + 0x1000, 0xff, 0x9b
    DESC USMALL32, MEM, 0xff, 0xf3 | BIG    ; stacks for level 3
    DESC USMALL16, MEM, 0xff, 0xf3
    DESC UDOWN32, MEM, 0xfff, 0xf7 | BIG
    DESC UDOWN16, MEM, 0xfff, 0xf7
    DESC UWORDS, MEM, 0xffff, 0xf3
    DESC NO_ENTRY, 0, 0, 0                  ; a system descriptor of a type that is reserved
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
    dd gdt
UCODE  equ UCODE_ | 3
UDATA  equ UDATA_ | 3
UCODE16 equ UCODE16_ | 3
BEYOND equ 0x7f8
LOCAL  equ 0x0c                             ; in the LDT
LOCAL_BEYOND equ 0x1c
%define CODE_OF(w) CODE_OF_ %+ w
CODE_OF_32 equ CODE
CODE_OF_16 equ CODE16
UCODE_OF_32 equ UCODE
UCODE_OF_16 equ UCODE16

; Accesses through FS
%macro OK 2                                 ; selector, operand with its size
    mov cx, %1
    mov fs, cx
    cmp %2, 0
%endmacro
%macro REFUSED 3                            ; name, selector, operand
    mov cx, %2
    mov fs, cx
    FAULTS {%1}, 13, cmp %3, 0
    SAME {%1, " error"}, [dword got_error], 0
%endmacro
; MOV to a segment register
%macro NO_LOAD 5                            ; name, register, selector, vector, error
    mov bx, %2
    mov cx, %3
    FAULTS {%1}, %4, mov %2, cx
    SAME {%1, " error"}, [dword got_error], %5
    mov cx, %2
    movzx ecx, cx
    movzx ebx, bx
    SAME {%1, " kept"}, ecx, ebx
%endmacro
%macro FAULTS_WITH 4+                       ; name, vector, error, instruction
    FAULTS {%1}, %2, %4
    SAME {%1, " error"}, [dword got_error], %3
%endmacro

; Refused as the target of far transfers, which leave the stack alone.
%macro FAR 4                                ; name, selector, vector, error
    FAULTS_WITH {%1, ", jmp"}, %3, %4, jmp %2:0
    mov esi, esp
    FAULTS_WITH {%1, ", call"}, %3, %4, call %2:0
    mov ecx, esp
    SAME {%1, ", esp"}, ecx, esi
    push dword %2
    push dword 0
    mov esi, esp
    FAULTS_WITH {%1, ", retf"}, %3, %4, o32 retf
    mov ecx, esp
    SAME {%1, ", retf esp"}, ecx, esi
    add esp, 8
%endmacro
; A segment of 256 bytes: jumps out of it fault where they are, running off its end at what does not fit.
%macro TINY 4+                              ; name, offset, EIP of the #GP, bytes there
    mov edi, MEM + 0x1000 + %2
    mov esi, %%bytes
    mov ecx, %%bytes_end - %%bytes
    cld
    a32 rep movsb
    EXPECT 13, %%back
    jmp TINY_ %+ W:%2
%%bytes:
    db %4
%%bytes_end:
%%back:
    SAME {%1}, [dword got_vector], 13
    SAME {%1, " error"}, [dword got_error], 0
    SAME {%1, " eip"}, [dword got_eip], %3
%endmacro
; Stacks of level 3, so that the handler has another.
%macro STACK_FAULT 4                        ; name, label, SS, ESP
    AT_LEVEL_3 {%1}, 12, %2, %3 | 3, %4
    SAME {%1, " error"}, [dword got_error], 0
    SAME {%1, " esp"}, [dword got_esp], %4
    SAME_EIP {%1, " eip"}, %2
%endmacro
%macro STACK_OK 5                           ; name, label, SS, ESP, ESP then
    AT_LEVEL_3 {%1}, 0x80, %2, %3 | 3, %4
    SAME {%1, " esp"}, [dword got_esp], %5
%endmacro

start:
    ENTER_FLAT
    LOAD_TSS STACK - 0x8000
    mov dword [LDT + 8], 0x0000ffff
    mov dword [LDT + 12], 0x00cff300
    call body_32
    call CODE16:body_16 - header
    jmp power_off

%define W 32
%include "body.inc"
%define W 16
%include "body.inc"

    RUNTIME32
    GO_ON_16
    align 4096
load_end:
