; SPDX-License-Identifier: MIT
; Debug registers and the trap flag (SDM vol. 3, chapter 18).
%include "guest64.inc"
    bits 64
main:
    ; TF: a trap after each instruction; RIP is the next one's
    HOOK 1, on_debug
    mov qword [hits], 0
    pushfq
    or qword [rsp], 0x100
    popfq
    nop                                     ; the first trap comes after this
    nop
    pushfq
    and qword [rsp], ~0x100
    popfq                                   ; this one still traps
    CHECK "tf-count", [hits], 5
    mov rax, [last_dr6]
    and eax, 0x4000
    CHECK "tf-bs", rax, 0x4000

    ; instruction breakpoint: a fault before the instruction; RF lets it go on
    mov qword [hits], 0
    mov rax, .here
    mov dr0, rax
    mov rax, 0x401
    mov dr7, rax
    xor ebx, ebx
.here:
    inc ebx
    CHECK "bp-once", [hits], 1
    CHECK "bp-executed", rbx, 1
    CHECK "bp-rip", [last_rip], .here
    mov rax, [last_dr6]
    and eax, 15
    CHECK "bp-dr6", rax, 1

    ; data breakpoint on writes: a trap after the store
    mov qword [hits], 0
    mov rax, cell
    mov dr1, rax
    mov rax, 0x400 | 4 | 0xd << 20         ; L1, write, four bytes
    mov dr7, rax
    mov rax, [cell]                         ; a read is none
    CHECK "watch-read", [hits], 0
    mov dword [cell], 5
.after:
    CHECK "watch-write", [hits], 1
    CHECK "watch-rip", [last_rip], .after
    mov byte [cell + 3], 1                  ; any byte of the four
    CHECK "watch-byte", [hits], 2
    mov byte [cell + 4], 1
    CHECK "watch-beside", [hits], 2
    inc dword [cell]
    CHECK "watch-rmw", [hits], 3
    ; string stores: the trap comes after the iteration
    mov rdi, cell - 8
    xor eax, eax
    mov ecx, 16
    cld
    rep stosb
    CHECK "watch-rep", [hits], 7

    ; GD: any access to a debug register faults
    mov rax, 0x2400
    mov dr7, rax
    mov qword [hits], 0
    mov rax, dr6
    CHECK "gd", [hits], 1
    xor eax, eax
    mov dr7, rax
    ret

on_debug:
    inc qword [hits]
    mov rax, dr6
    mov [last_dr6], rax
    mov rax, [rsp + 40]                     ; return address, rbx, rax, vector, error, RIP
    mov [last_rip], rax
    mov eax, 0xffff0ff0
    mov dr6, rax
    ret
    align 8
    dq 0
cell: dq 0, 0
hits: dq 0
last_dr6: dq 0
last_rip: dq 0
%include "end.inc"
