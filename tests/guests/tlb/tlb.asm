; SPDX-License-Identifier: MIT
; No stale translation, ever: a page is remapped many thousand times while CR3 is reloaded, CR4.PGE
; toggled and INVLPG used in changing rhythms; each read must see the page that is mapped now, through
; a global and an ordinary mapping.
%include "guest64.inc"
    bits 64
PT   equ 0x110000
PD2  equ 0x111000
DATA equ 0x120000
WIN  equ 0x40000000
main:
    mov qword [PDPT + 8], PD2 | 7
    mov qword [PD2], PT | 7
    mov rax, cr4
    or eax, 0x80                            ; PGE
    mov cr4, rax
    ; page n of DATA holds n
    xor ecx, ecx
    mov rdi, DATA
.fill:
    mov [rdi], rcx
    add rdi, 4096
    inc ecx
    cmp ecx, 8
    jne .fill
    mov r12d, 40000                         ; rounds
    mov r13, 0x9e3779b97f4a7c15             ; a little randomness
.round:
    mov rax, r13
    shl rax, 13
    xor r13, rax
    mov rax, r13
    shr rax, 7
    xor r13, rax
    mov rax, r13
    shl rax, 17
    xor r13, rax
    ; one of eight slots to one of eight pages; odd slots are global
    mov ebx, r13d
    and ebx, 7
    mov eax, r13d
    shr eax, 3
    and eax, 7
    mov r14, rax                            ; what is to be read
    shl eax, 12
    add eax, DATA | 7
    mov ecx, ebx
    and ecx, 1
    shl ecx, 8
    or eax, ecx
    mov [PT + rbx * 8], rax
    mov r15, rbx
    shl r15, 12
    bt r13, 10
    jnc .no_cr3
    mov rax, cr3
    mov cr3, rax
.no_cr3:
    mov eax, r13d
    shr eax, 11
    and eax, 15
    jnz .no_pge
    mov rax, cr4
    btc rax, 7
    mov cr4, rax
    btc rax, 7
    mov cr4, rax
.no_pge:
    invlpg [r15 + WIN]                      ; what the architecture asks for
    mov rax, [r15 + WIN]
    CHECK "mapped-now", rax, r14
    ; another slot, whatever it maps: the table says
    mov ebx, r13d
    shr ebx, 20
    and ebx, 7
    mov rcx, [PT + rbx * 8]
    test cl, 1
    jz .next
    and rcx, 0xfffff000
    mov rcx, [rcx]
    shl ebx, 12
    mov rax, [rbx + WIN]
    CHECK "mapped-before", rax, rcx
.next:
    dec r12d
    jnz .round
    ret
%include "end.inc"
