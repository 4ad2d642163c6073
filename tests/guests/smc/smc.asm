; SPDX-License-Identifier: MIT
; Code that changes code: the next instruction must see it (one CPU; SDM vol. 3, 11.6: a processor of
; today needs a jump in between, and takes it without one too, as the P6 family did).
%include "guest64.inc"
    bits 64
main:
    ; a store into the instruction that follows it
    lea rdi, [.patched + 1]
    mov byte [rdi], 7
.patched:
    mov al, 1
    movzx rax, al
    CHECK "next-instruction", rax, 7

    ; a loop that patches its own body each time round
    xor rbx, rbx
    mov ecx, 200
.loop:
    mov [.imm + 2], cl
.imm:
    add bl, 0                               ; 80 c3 ib
    dec ecx
    jnz .loop
    CHECK "loop", rbx, (200 * 201 / 2) & 0xff

    ; a function replaced between calls, and replaced by a longer one
    mov dword [.fn], 0xc3c0fe               ; inc al; ret
    xor eax, eax
    call .fn
    call .fn
    mov dword [.fn], 0x90c3c8fe             ; dec al; ret
    call .fn
    movzx rax, al
    CHECK "function", rax, 1

    ; REP STOSB over code that has run; then it runs again
    mov rdi, .sled
    call .sled
    mov al, 0x90
    mov ecx, 4
    rep stosb
    mov eax, 5
    call .sled
    CHECK "rep-stos", rax, 5

    ; an instruction across a page, patched in its second page
    mov rdi, 0x300ffe
    mov byte [rdi], 0xb8                    ; mov eax, imm32
    mov dword [rdi + 1], 0x11223344
    mov byte [rdi + 5], 0xc3
    call rdi
    CHECK "straddle-1", rax, 0x11223344
    mov byte [rdi + 4], 0x55
    call rdi
    CHECK "straddle-2", rax, 0x55223344

    ; the same physical code through another mapping
    mov qword [PDPT + 8], 0x87              ; 1 GiB page: 40000000h is 0 again
    mov rdi, 0x300000
    mov dword [rdi], 0xc301b0               ; mov al, 1; ret
    call rdi
    mov byte [rdi + 0x40000001], 9
    xor eax, eax
    call rdi
    CHECK "alias", rax, 9

    ; data beside code in one page: stores that touch no code change nothing, and none is lost
    mov ecx, 1000
.data:
    inc qword [.counter]
    dec ecx
    jnz .data
    CHECK "data-beside-code", [.counter], 1000
    ret
    align 8
.counter: dq 0
.fn: times 8 nop
.sled:
    xor eax, eax
    xor eax, eax
    ret
%include "end.inc"
