; SPDX-License-Identifier: MIT
; Flat 32-bit code, for which the engine has ways of its own: branches that know their target, a stack without
; limits. Each thing runs often enough to be fast before it is to be otherwise.
    bits 32
    org 0x200000
header:
    dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, header, load_end, load_end + 0x10000, start

STACK equ 0x1f0000
PD    equ 0x100000
PT    equ 0x101000
PT_HIGH equ 0x102000
TSS   equ 0x106000
IDT   equ 0x107000
CODE equ 0x08
DATA equ 0x10
UCODE equ 0x18
UDATA equ 0x20
TSSSEL equ 0x28
SHORT_CODE equ 0x30                         ; code, base 0, limit 50FFh
BASED_CODE equ 0x38                         ; code, base 1000h

LOW   equ 0x5000                            ; where the page of code is mapped: below 64 KiB
HIGH  equ 0x405000                          ; and above
COPY  equ 0x300000                          ; where it lies
OTHER equ 0x301000                          ; and another one
TURNS equ 1000

%include "guest32.inc"

start:
    ENTER_FLAT
    LOAD_TSS STACK - 0x8000
    call paging
    call two_addresses
    call other_page
    call cut_to_16
    call limits
    call stack_wraps
    jmp power_off

; 4 MiB one to one, but for the page LOW; HIGH by itself; the last page below 4 GiB for stacks.
paging:
    mov edi, PD
    xor eax, eax
    mov ecx, 3072
    rep stosd
    mov dword [PD], PT | 7
    mov dword [PD + 4], PT_HIGH | 7
    mov dword [PD + 0xffc], PT_HIGH | 7
    mov edi, PT
    mov eax, 7
.entry:
    stosd
    add eax, 0x1000
    cmp eax, 0x400007
    jne .entry
    mov dword [PT + 4 * (LOW >> 12)], COPY | 7
    mov dword [PT_HIGH + 4 * (HIGH >> 12 & 0x3ff)], COPY | 7
    mov dword [PT_HIGH + 0xffc], 0x302007
    mov eax, PD
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80010000
    mov cr0, eax
    mov esi, page_code
    mov edi, COPY
    mov ecx, page_end - page_code
    rep movsb
    mov esi, page_code
    mov edi, OTHER
    mov ecx, page_end - page_code
    rep movsb
    mov byte [OTHER + page_mark + 1 - page_code], 2
    mov byte [OTHER + page_cut_mark + 1 - page_code], 2
    ret

; One page at two addresses: a branch that knows its target at one must not lead there from the other.
two_addresses:
    mov ebp, TURNS
.turn:
    mov eax, LOW
    call eax
    CHECK "low-address", edx, LOW + (page_here - page_code)
    CHECK "low-sum", ecx, 55
    mov eax, HIGH
    call eax
    CHECK "high-address", edx, HIGH + (page_here - page_code)
    CHECK "high-mark", ebx, 1
    dec ebp
    jnz .turn
    ret

; Another page at the same address, once CR3 has been loaded.
other_page:
    mov dword [PT + 4 * (LOW >> 12)], OTHER | 7
    mov eax, cr3
    mov cr3, eax
    mov eax, LOW
    call eax
    CHECK "other-mark", ebx, 2
    mov dword [PT + 4 * (LOW >> 12)], COPY | 7
    invlpg [LOW]
    mov eax, LOW
    call eax
    CHECK "first-mark", ebx, 1
    ret

; JMP with 16-bit operands cuts EIP (SDM vol. 2, JMP): below 64 KiB it stays in the page, above it leaves it.
cut_to_16:
    mov ebp, TURNS
.turn:
    mov eax, LOW + (page_cut - page_code)
    call eax
    CHECK "cut-low", edx, LOW + (page_cut_here - page_code)
    dec ebp
    jnz .turn
    mov dword [PT + 4 * (LOW >> 12)], OTHER | 7
    mov eax, cr3
    mov cr3, eax
    mov eax, HIGH + (page_cut - page_code)
    call eax
    CHECK "cut-high", edx, LOW + (page_cut_here - page_code)
    CHECK "cut-mark", ebx, 2
    mov dword [PT + 4 * (LOW >> 12)], COPY | 7
    invlpg [LOW]
    ret

; The same code in segments that are not flat: a limit before the branch's target, and a base.
limits:
    EXPECT_FAULT 13, .beyond
    jmp SHORT_CODE:LOW + (page_far - page_code)
.beyond:
    CHECK "limit-error", [got_error], 0
    CHECK "limit-cs", [got_cs], SHORT_CODE
    CHECK "limit-at-branch", [got_eip], LOW + (page_far_branch - page_code)
    mov ebp, TURNS
.turn:
    call CODE:LOW + (page_far_flat - page_code)
    CHECK "far-flat", edx, 0x600d
    dec ebp
    jnz .turn
    EXPECT_FAULT 13, .again
    jmp SHORT_CODE:LOW + (page_far - page_code)
.again:
    CHECK "limit-again", [got_eip], LOW + (page_far_branch - page_code)
    call BASED_CODE:LOW - 0x1000 + (page_based - page_code)
    CHECK "based", edx, LOW - 0x1000 + (page_based_here - page_code)
    ret

; The stack goes on from 0 to the last page; what crosses the end is #SS(0). At level 3, so that the handler has
; another stack.
stack_wraps:
    mov dword [0xfffffffc], 0
    mov eax, user_wrap
    call at_level_3
    CHECK "wrap-vector", [got_vector], 3
    CHECK "wrap-pushed", [0x302ffc], call_returned
    CHECK "wrap-popped", edi, 0x1234567
    CHECK "wrap-esp", esi, 0
    CHECK "wrap-return", ebx, call_returned
%macro STACK_FAULT 3                        ; name, ESP, code
    mov dword [user_esp], %2
    EXPECT_FAULT 12, %%faulted
    mov eax, %3
    jmp enter_level_3
%%faulted:
    CHECK %1, [got_eip], %3
    CHECK %1, [got_error], 0
    CHECK %1, [got_esp], %2
%endmacro
    STACK_FAULT "push-across", 2, user_push
    STACK_FAULT "push-imm-across", 1, user_push_imm
    STACK_FAULT "pop-across", 0xfffffffe, user_pop
    STACK_FAULT "call-across", 3, user_call
    STACK_FAULT "ret-across", 0xfffffffd, user_ret
    STACK_FAULT "leave-across", 0x1000, user_leave
    ret

; Code of level 3 at EAX, up to its INT3.
at_level_3:
    mov dword [user_esp], 0
    EXPECT_FAULT 3, back_from_3
enter_level_3:
    push dword UDATA | 3
    push dword [user_esp]
    push dword 0x3002
    push dword UCODE | 3
    push eax
    mov ebp, 0xfffffffe
    iret
back_from_3:
    ret

user_wrap:                                  ; ESP is 0
    push dword 0x1234567
    pop edi
    mov esi, esp
    call wrap_next
call_returned:
    int3
wrap_next:
    mov ebx, [esp]
    ret
user_push:
    push eax
user_push_imm:
    push dword 5
user_pop:
    pop eax
user_call:
    call user_wrap
user_ret:
    ret
user_leave:
    leave

; Runs wherever it is mapped: EDX is where, ECX a sum, EBX which copy.
page_code:
    mov eax, 10
    xor ecx, ecx
.sum:
    add ecx, eax
    dec eax
    jz .done
    jmp .sum
.done:
page_mark:
    mov bl, 1
    movzx ebx, bl
    call page_next
page_here:
    ret
page_next:
    mov edx, [esp]
    ret
page_cut:
    o16 jmp .cut
    nop
.cut:
page_cut_mark:
    mov bl, 1
    movzx ebx, bl
    call page_next
page_cut_here:
    ret
page_far_flat:
    xor edx, edx
    call page_far
    retf
page_far:
    test esp, esp
page_far_branch:
    jnz page_beyond
    hlt
page_based:
    call page_based_next
page_based_here:
    retf
page_based_next:
    mov edx, [esp]
    ret
    times 0x100 - ($ - page_code) nop
page_beyond:
    mov edx, 0x600d
    ret
page_end:

    RUNTIME32
    align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
    dq 0x0000890000000067 | ((TSS & 0xffffff) << 16)
    dq 0x00409b00000050ff
    dq 0x00cf9b001000ffff
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
    dd gdt
user_esp: dd 0
load_end:
