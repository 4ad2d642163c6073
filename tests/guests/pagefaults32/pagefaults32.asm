; SPDX-License-Identifier: MIT
; Rights of pages of 4 KiB and 4 MiB with 32-bit paging, of 4 KiB and 2 MiB with PAE: lib/pagefaults.inc.
    bits 32
    org 0x200000
header:
    dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, header, load_end, load_end + 0x10000, start

STACK  equ 0x1f0000
PD     equ 0x100000
PT     equ 0x101000
PDPT   equ 0x102000
PAE_PD equ 0x103000
PAE_PD2 equ 0x104000
TSS    equ 0x106000
IDT    equ 0x107000
CODE   equ 0x08
DATA   equ 0x10
UCODE  equ 0x18 | 3
UDATA  equ 0x20 | 3
TSSSEL equ 0x28
USER_PAGE equ 0x600000
WINDOW equ 0x80000000                       ; and what is mapped by the next entry above

%include "guest32.inc"

start:
    ENTER_FLAT
    mov edi, PD
    xor eax, eax
    mov ecx, 0x7000 / 4
    rep stosd
    LOAD_TSS STACK - 0x8000
    mov word [TARGET], 0x80cd
    mov esi, accesses
    mov edi, USER_PAGE
    mov ecx, accesses_end - accesses
    rep movsb
    call load_idt
    call in_32bit
    call in_pae
    jmp power_off

in_32bit:
    mov dword [PD], 0x83
    mov dword [PD + 4], 0x400087
    mov dword [PD + (WINDOW >> 22) * 4], PT | 7
    mov eax, cr4
    or eax, 0x10                            ; PSE
    mov cr4, eax
    mov eax, PD
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80010000
    mov cr0, eax
    mov dword [entry_bytes], 4
    mov dword [leaf_at], PT
    mov dword [upper_at], PD + (WINDOW >> 22) * 4
    mov dword [upper_base], PT
    mov dword [target], WINDOW
    call check_layout
    mov dword [leaf_at], PD + (WINDOW >> 22) * 4 + 4
    mov dword [leaf_base], TARGET | 0x80
    mov dword [reserved_low], 1 << 21
    mov dword [upper_at], 0
    mov dword [target], WINDOW + 0x400000
    call check_layout
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    ret

in_pae:
    mov dword [PDPT], PAE_PD | 1
    mov dword [PDPT + (WINDOW >> 30) * 8], PAE_PD2 | 1
    mov dword [PAE_PD], 0x83
    mov dword [PAE_PD + 8], 0x200083
    mov dword [PAE_PD + 16], 0x400083
    mov dword [PAE_PD + 24], 0x600087
    mov dword [PAE_PD2], PT | 7
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, PDPT
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80010000
    mov cr0, eax
    mov dword [entry_bytes], 8
    mov dword [leaf_at], PT
    mov dword [leaf_base], TARGET
    mov dword [reserved_low], 0
    mov dword [reserved_high], 1 << 19      ; bit 51: physical addresses have fewer
    mov dword [upper_at], PAE_PD2
    mov dword [upper_base], PT
    mov dword [target], WINDOW
    call check_layout
    mov dword [reserved_high], 1 << 30      ; bits 62:52 are nothing without long mode
    call check_layout
    mov dword [leaf_at], PAE_PD2 + 8
    mov dword [leaf_base], TARGET | 0x80
    mov dword [reserved_low], 1 << 13
    mov dword [reserved_high], 0
    mov dword [upper_at], 0
    mov dword [target], WINDOW + 0x200000
    call check_layout
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    ret

load_target:
    mov edi, [target]
    ret
to_level_3:                                 ; at eax
    push dword UDATA
    push dword USER_PAGE + 0x1000
    push dword 2
    push dword UCODE
    push eax
    mov cx, UDATA
    mov ds, cx
    iretd

%include "pagefaults.inc"
    RUNTIME32
    align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
    dq 0x0000890000000067 | (TSS & 0xffffff) << 16
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
    dd gdt
target: dd 0
    align 4096
load_end:
