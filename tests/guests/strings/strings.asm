; SPDX-License-Identifier: MIT
; String instructions: counts, directions, faults in the middle, overlaps, REPE and REPNE, 32-bit
; addresses, and a timer interrupt between iterations (SDM vol. 2, REP).
%include "guest64.inc"
    bits 64
BUF equ 0x300000
main:
    ; REP with RCX 0 does nothing
    xor ecx, ecx
    mov rdi, BUF
    mov byte [rdi], 0x11
    rep stosb
    CHECK "rcx-0", rdi, BUF
    ; a fault in the middle: registers say how far it came; it can go on
    and byte [PD + 2 * 8], 0xfe             ; 400000h is not there
    invlpg [0x400000]
    mov rdi, 0x3ffff0
    mov rcx, 64
    mov al, 0x5a
    EXPECT_FAULT 14, .fault
    rep stosb
.fault:
    CHECK "fault-rcx", rcx, 48
    CHECK "fault-rdi", rdi, 0x400000
    CHECK "fault-cr2", [got_cr2], 0x400000
    or byte [PD + 2 * 8], 1
    rep stosb
    CHECK "resumed", [0x400028], 0x5a5a5a5a5a5a5a5a
    ; overlap forwards replicates, an element at a time
    mov rsi, BUF
    mov rdi, BUF + 1
    mov byte [rsi], 0x77
    mov ecx, 9000
    rep movsb
    mov rax, [BUF + 8990]
    mov rbx, 0x7777777777777777
    CHECK "replicate", rax, rbx
    ; overlap at a distance of three with quadwords
    mov rdi, BUF
    mov ecx, 64
    xor eax, eax
.fill:
    mov [rdi], al
    inc al
    inc rdi
    loop .fill
    mov rsi, BUF
    mov rdi, BUF + 3
    mov ecx, 3
    rep movsq
    mov rax, [BUF + 19]
    ; round 1: [3..10] = 0..7; round 2 reads [8..15] = 5 6 7 11..15, writes [11..18];
    ; round 3 reads [16..23] = 13 14 15 19..23, writes [19..26]
    mov rbx, 0x17161514130f0e0d
    CHECK "overlap-3", rax, rbx
    ; backwards
    std
    mov rsi, BUF + 0x1008
    mov rdi, BUF + 0x2008
    mov rax, 0x1122334455667788
    mov [rsi], rax
    mov [rsi - 0x800], rax
    mov ecx, 0x101
    rep movsq
    cld
    CHECK "backwards", [BUF + 0x1808], rax
    CHECK "backwards-rsi", rsi, BUF + 0x1008 - 0x808
    ; REPNE SCASB finds, REPE CMPSB differs; flags and registers
    mov rdi, BUF + 0x5000
    mov ecx, 100
    xor eax, eax
    rep stosb
    mov byte [BUF + 0x5000 + 40], 9
    mov rdi, BUF + 0x5000
    mov ecx, 100
    mov al, 9
    repne scasb
    setz bl
    movzx rbx, bl
    CHECK "scas-zf", rbx, 1
    CHECK "scas-rdi", rdi, BUF + 0x5000 + 41
    CHECK "scas-rcx", rcx, 59
    mov rsi, BUF + 0x5000
    mov rdi, BUF + 0x6000
    mov ecx, 100
    repe cmpsb
    CHECK "cmps-rcx", rcx, 59
    ; 32-bit addresses: RDI's high half is cleared, RCX is ECX
    mov rdi, 0x100000000 | BUF
    mov rcx, 0x100000002
    mov eax, 0x42
    a32 rep stosb
    CHECK "a32-rdi", rdi, BUF + 2
    CHECK "a32-rcx", rcx, 0
    ; across pages in one go, checked at the ends and at the seam
    mov rdi, BUF + 0xffd
    mov ecx, 0x3001
    mov eax, 0x01020304
    rep stosd
    CHECK "seam", [BUF + 0x1ffd], 0x0102030401020304
    CHECK "end", rdi, BUF + 0xffd + 0x3001 * 4
    ; an interrupt in the middle: RIP at the instruction, and it is finished afterwards
    HOOK 0x20, .tick
    mov al, 0x11
    out 0x20, al
    mov al, 0x20
    out 0x21, al
    mov al, 4
    out 0x21, al
    mov al, 1
    out 0x21, al
    mov al, 0xfe
    out 0x21, al
    mov al, 0x34
    out 0x43, al
    mov al, 200
    out 0x40, al
    xor al, al
    out 0x40, al
    sti
    mov rdi, BUF
    mov ecx, 2000000
    mov al, 0x33
.rep:
    rep stosb
    cli
    CHECK "interrupted", [inside], 1
    CHECK "finished", [BUF + 2000000 - 8], 0x3333333333333333
    ret
.tick:
    mov rax, [rsp + 40]
    cmp rax, .rep
    jne .eoi
    mov qword [inside], 1
.eoi:
    mov al, 0x20
    out 0x20, al
    ret
    align 8
inside: dq 0
%include "end.inc"
