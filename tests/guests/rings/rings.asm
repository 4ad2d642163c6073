; SPDX-License-Identifier: MIT
; Privilege: to ring 3 and back by IRETQ, SYSCALL and SYSRET, interrupt gates with a stack switch, SWAPGS,
; what ring 3 may not do, and compatibility mode (SDM vol. 3, chapter 5).
%include "guest64.inc"
    bits 64
%macro TO_USER 1                            ; IRETQ to %1 at CPL 3, 64-bit
    push UDS | 3
    push user_stack_top
    push 0x202
    push UCS64 | 3
    push %1
    iretq
%endmacro
main:
    ; INT 80h from ring 3: stack from the TSS, frame as the architecture says
    EXPECT_FAULT 0x80, .back
    TO_USER user_int
.back:
    CHECK "int-cs", [got_cs], UCS64 | 3
    CHECK "int-rsp", [got_rsp], user_stack_top - 8
    CHECK "int-rip", [got_rip], user_int.after

    ; what ring 3 may not do: #GP(0) each
%macro FORBIDDEN 1
    EXPECT_FAULT 13, %%back
    TO_USER %%user
%%user:
    %1
%%back:
    CHECK "forbidden", [got_error], 0
    CHECK "forbidden-rip", [got_rip], %%user
%endmacro
    FORBIDDEN hlt
    FORBIDDEN cli
    FORBIDDEN {mov cr0, rax}
    FORBIDDEN wrmsr
    FORBIDDEN {lidt [idt_pointer]}
    FORBIDDEN swapgs
    FORBIDDEN {out 0x80, al}
    FORBIDDEN invlpg [0]
    FORBIDDEN clts

    ; INT n through a gate of DPL 0: #GP(n * 8 + 2)
    and byte [IDT + 0x81 * 16 + 5], 0x9f
    EXPECT_FAULT 13, .dpl
    TO_USER .user_dpl
.user_dpl:
    int 0x81
.dpl:
    CHECK "gate-dpl", [got_error], 0x81 * 8 + 2

    ; a page of the supervisor's
    and byte [PD + 2 * 8], 0xfb             ; 400000h..5FFFFFh
    invlpg [0x400000]
    EXPECT_FAULT 14, .super
    TO_USER .user_read
.user_read:
    mov rax, [0x400010]
.super:
    CHECK "supervisor-page", [got_error], 5

    ; the I/O bitmap lets port E9h through
    mov word [TSS + 102], 0x68
    EXPECT_FAULT 0x80, .bitmap
    mov rdi, gdt + TSSSEL                   ; limit 2067h: room for the map
    mov word [rdi], 0x2067 & 0xffff
    mov byte [rdi + 5], 0x89
    mov ax, TSSSEL
    ltr ax
    mov byte [TSS + 0x68 + 0xe9 / 8], 0xff & ~(1 << (0xe9 & 7))
    TO_USER .user_port
.user_port:
    mov al, 10
    out 0xe9, al
    int 0x80
.bitmap:

    ; SYSCALL and SYSRET
    mov ecx, 0xc0000081
    xor eax, eax
    mov edx, (0x20 | 3) << 16 | CS64        ; SYSRET: 20h + 16 = 30h, SS 28h
    wrmsr
    mov ecx, 0xc0000082
    mov eax, on_syscall
    xor edx, edx
    wrmsr
    mov ecx, 0xc0000084
    mov eax, 0x600                          ; IF and DF are cleared
    wrmsr
    EXPECT_FAULT 0x80, .sysret
    TO_USER .user_syscall
.user_syscall:
    std
    syscall
.after_syscall:
    mov r15, 77
    int 0x80
.sysret:
    cld
    CHECK "syscall-rcx", [seen_rcx], .after_syscall
    CHECK "syscall-flags", [seen_flags], 0x602
    CHECK "syscall-masked", [seen_now], 2
    CHECK "sysret-resumed", r15, 77
    CHECK "sysret-cs", [got_cs], UCS64 | 3
    mov rax, [got_flags]
    and eax, 0x600
    CHECK "sysret-flags", rax, 0x600

    ; SWAPGS
    mov ecx, 0xc0000101
    mov eax, 0x1000
    xor edx, edx
    wrmsr
    mov ecx, 0xc0000102
    mov eax, 0x2000
    wrmsr
    swapgs
    mov ecx, 0xc0000101
    rdmsr
    CHECK "swapgs", rax, 0x2000

    ; compatibility mode: 32-bit code at CPL 3; registers are 32 bits wide there
    EXPECT_FAULT 0x80, .compat
    push UDS | 3
    push user_stack_top
    push 0x202
    push UCS32 | 3
    push user32
    mov rbx, 0x1111111122222222
    iretq
.compat:
    CHECK "compat-cs", [got_cs], UCS32 | 3
    CHECK "compat-inc", rbx, 0x22222223
    CHECK "compat-push", [got_rsp], user_stack_top - 4

    ; 32-bit code at CPL 0 by a far return, and back by a far jump
    push CS32
    push supervisor32
    retfq
back64:
    CHECK "far-return", r14, 0
    mov ax, DS64
    mov ss, ax
    ret

on_syscall:
    mov [seen_rcx], rcx
    mov [seen_flags], r11
    pushfq
    pop qword [seen_now]
    o64 sysret

user_int:
    push rax
    int 0x80
.after:
    ud2

    bits 32
user32:
    inc ebx
    push eax
    int 0x80
supervisor32:
    xor esi, esi
    jmp CS64:back_stub
    bits 64
back_stub:
    xor r14d, r14d
    jmp back64

    align 8
seen_rcx: dq 0
seen_flags: dq 0
seen_now: dq 0
%include "end.inc"
