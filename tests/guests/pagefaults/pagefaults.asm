; SPDX-License-Identifier: MIT
; Rights of pages of 4 KiB, 2 MiB and 1 GiB with 4-level paging: lib/pagefaults.inc.
%define GUEST64
%include "guest64.inc"
    bits 64
PT    equ 0x110000
PD2   equ 0x111000
PDPT2 equ 0x112000
USER_PAGE equ 0x600000
WIN_4K equ 0x40000000
WIN_2M equ 0x40200000
WIN_1G equ 0x8000000000 + TARGET

main:
    mov rdi, PT
    xor eax, eax
    mov ecx, 0x3000 / 8
    rep stosq
    mov word [TARGET], 0x80cd
    mov rsi, accesses
    mov rdi, USER_PAGE
    mov ecx, accesses_end - accesses
    rep movsb
    mov rdi, PD                             ; the kernel's
    mov ecx, 512
.kernel:
    and byte [rdi], ~4
    add rdi, 8
    loop .kernel
    or byte [PD + (USER_PAGE >> 21) * 8], 4
    mov qword [PDPT + 8], PD2 | 7
    mov qword [PD2], PT | 7
    mov qword [PML4 + 8], PDPT2 | 7

    mov dword [leaf_at], PT
    mov dword [reserved_high], 1 << 19      ; bit 51: physical addresses have fewer
    mov dword [upper_at], PD2
    mov dword [upper_base], PT
    mov rax, WIN_4K
    mov [target], rax
    call check_layout

    mov dword [leaf_at], PD2 + 8
    mov dword [leaf_base], TARGET | 0x80
    mov dword [upper_at], PDPT + 8
    mov dword [upper_base], PD2
    mov rax, WIN_2M
    mov [target], rax
    call check_layout
    mov dword [reserved_high], 0
    mov dword [reserved_low], 1 << 13       ; of the frame's low bits; bit 12 is PAT
    call check_layout

    mov dword [leaf_at], PDPT2
    mov dword [leaf_base], 0x80
    mov dword [reserved_low], 1 << 21
    mov dword [upper_at], PML4 + 8
    mov dword [upper_base], PDPT2
    mov rax, WIN_1G
    mov [target], rax
    call check_layout
    ; PS is reserved in the top level
    mov qword [PDPT2], 0x87
    mov qword [PML4 + 8], PDPT2 | 0x87
    mov rdi, WIN_1G
    EXPECT_FAULT 14, .ps
    mov al, [rdi]
.ps:
    CHECK "ps of a pml4e", [got_error], 9
    ret

load_target:
    mov rdi, [target]
    ret
to_level_3:                                 ; at rax
    push UDS | 3
    push USER_PAGE + 0x1000
    push 2
    push UCS64 | 3
    push rax
    iretq

    align 8
target: dq 0
%include "pagefaults.inc"
%include "end.inc"
