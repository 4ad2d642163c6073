; SPDX-License-Identifier: MIT
; Compatibility mode: 32-bit and 16-bit code under a 64-bit kernel (SDM vol. 3, 5.8.3.1, 5.8.4, 6.14, 8.7; vol. 2).
;
; On hardware its segments have bases, limits and types as in protected mode, its addresses have 32 bits, and what 64-bit
; mode has lost is there. Whatever leads out of it, gates, SYSENTER, exceptions, enters 64-bit code, and pushes
; eight-byte words on a stack that is made a multiple of 16, with a null SS. There are no hardware tasks, no task gates,
; no gates of other sizes.
%include "guest64.inc"
    bits 64
GDT2  equ 0x140000
LDT   equ 0x141000
MEM   equ 0x142000
USTACK32 equ 0x1d0000
UNMAPPED equ 0x40000000
; behind the library's descriptors
UCS16  equ 0x48 | 3
SMALL  equ 0x50 | 3                         ; data at MEM, FFh bytes and one
GATE   equ 0x58                             ; to gate_target, in 64-bit code
GATE_32 equ 0x68                            ; to 32-bit code
LDTSEL equ 0x78
TSS2   equ 0x88
TASK_GATE equ 0x98
L_AND_D equ 0xa8                            ; code with L and D
LIMITED equ 0xb0 | 3                        ; 32-bit code, which ends at `limited_end`
LOCAL  equ 0x0f                             ; the second of the LDT, level 3

%macro USER 4-5 USTACK32                    ; name, CS, offset, vector that ends it, ESP
    EXPECT_FAULT %4, %%back
    mov qword [got_error], -1
    mov eax, UDS | 3
    mov ds, ax
    mov es, ax
    push UDS | 3
    push %5
    push 2
    push %2
    push %3
    iretq
%%back:
    CHECK {%1}, [got_vector], %4
%endmacro
%macro USER32 3-4 USTACK32                  ; name, label, vector, ESP
    USER {%1}, UCS32 | 3, %2, %3, %4
%endmacro
%macro FAULT32 4                            ; name, label, vector, error: the instruction at the label
    USER32 {%1}, %2, %3
    CHECK {%1, " rip"}, [got_rip], %2
    CHECK {%1, " error"}, [got_error], %4
%endmacro
%macro REFUSED 4+                           ; name, vector, error, instruction in 64-bit code
    EXPECT_FAULT %2, %%next
%%at:
    %4
%%next:
    CHECK {%1}, [got_vector], %2
    CHECK {%1, " rip"}, [got_rip], %%at
    CHECK {%1, " error"}, [got_error], %3
%endmacro
%macro SET_MSR 3
    mov ecx, %1
    mov edx, %2
    mov eax, %3
    wrmsr
%endmacro

main:
    mov rsi, gdt
    mov rdi, GDT2
    mov ecx, (gdt_end - gdt) / 8
    rep movsq
    mov rsi, more
    mov ecx, (more_end - more) / 8
    rep movsq
    lgdt [gdt2_pointer]
    mov rax, 0x0040f30000000000 | (MEM & 0xffffff) << 16 | 0x1f
    mov [LDT + 8], rax
    mov eax, LDTSEL
    lldt ax
    call frames
    call segments
    call addresses
    call lost_in_64
    call gates
    call fast_calls
    call sixteen
    call none_of_these
    call returns
    ret

; What an exception pushes.
frames:
    mov qword [TSS + 4], stack_top - 0x8000 - 8 ; it is aligned
    USER32 "int", u_int, 0x80, USTACK32 - 2
    mov qword [TSS + 4], stack_top - 0x8000
    CHECK "int rip", [got_rip], u_int.after
    CHECK "int cs", [got_cs], UCS32 | 3
    CHECK "int rsp", [got_rsp], USTACK32 - 6
    mov rax, stack_top - 0x8010 - 8
    CHECK "int ss", [rax], UDS | 3
        FAULT32 "ud", u_ud, 6, 0
    mov rax, [got_flags]
    and eax, 0x10000
    CHECK "ud rf", rax, 0x10000
    USER32 "pf", u_pf, 14
    CHECK "pf error", [got_error], 4
    CHECK "pf cr2", [got_cr2], UNMAPPED + 0x123
    ret

segments:
    USER32 "limit allows", u_limit_ok, 0x80
    FAULT32 "limit", u_limit, 13, 0
    FAULT32 "null", u_null, 13, 0
    FAULT32 "write to code", u_write_code, 13, 0
    USER32 "ss limit", u_ss_limit, 12
    CHECK "ss limit error", [got_error], 0
    USER32 "ldt", u_local, 0x80
    CHECK "ldt base", rcx, 0x7788
    ; of code
    USER "code limit", LIMITED, u_runs_off - header, 13
    CHECK "code limit rip", [got_rip], limited_end - header
    ; 64-bit code asks for neither limits nor types, and bases count for FS and GS alone
    mov dword [MEM + 0x200], 0x1122
    mov eax, SMALL
    mov fs, ax
    mov ds, ax
    mov eax, [fs:0x200]
    CHECK "64 limit", rax, 0x1122
    mov eax, [MEM + 0x200]
    CHECK "64 base", rax, 0x1122
    mov eax, DS64
    mov ds, ax
    ret

; 32 bits, and wrap.
addresses:
    mov dword [MEM], 0x99aabbcc
    USER32 "wraps", u_wraps, 0x80
    CHECK "wrapped", rcx, 0x99aabbcc
    USER32 "16-bit address", u_a16, 0x80
    mov r14d, [0x510]
    CHECK "a16", rcx, r14
    ; what it writes to is extended by zeros
    mov rbx, -1
    USER32 "zeros", u_zeros, 0x80
    CHECK "zero-extended", rbx, 0x5
    ret

; Instructions that 64-bit mode has no more, and encodings that mean something else there.
lost_in_64:
    USER32 "lost", u_lost, 0x80
    CHECK "daa", rcx, 0x47
    CHECK "inc, dec", rdi, 8
    FAULT32 "bound", u_bound, 5, 0
    USER32 "into", u_into, 4
    USER32 "les", u_les, 0x80
    CHECK "les offset", rbx, 0x12345678
    ret

gates:
    USER32 "call gate", u_gate, 0x80
    CHECK "gate cs", [seen], CS64
    CHECK "gate ss", [seen + 8], 0
    CHECK "gate rip", [seen + 16], u_gate.after
    CHECK "gate pushed cs", [seen + 24], UCS32 | 3
    CHECK "gate pushed rsp", [seen + 32], USTACK32 - 4
    CHECK "gate pushed ss", [seen + 40], UDS | 3
    CHECK "gate at", [seen + 48], stack_top - 0x8000 - 32
    CHECK "back rsp", [got_rsp], USTACK32 - 4
    FAULT32 "gate to 32-bit code", u_gate_32, 13, CS32
    ; from 64-bit code at the same level: no other stack
    mov rbx, rsp
    call dword far [.pointer]
    sub rbx, 16
    CHECK "same level", [seen + 48], rbx
    ret
.pointer: dd 0
    dw GATE

fast_calls:
    SET_MSR 0x174, 0, CS64
    SET_MSR 0x175, 0x7f00, 0x00120000       ; above 4 GiB: all of it is loaded
    SET_MSR 0x176, 0, .entered
    mov [saved_rsp], rsp
    EXPECT_FAULT 0x80, .done
    push UDS | 3
    push USTACK32
    push 0x202
    push UCS32 | 3
    push u_sysenter
    iretq
.entered:
    mov [seen], rsp
    mov rsp, [saved_rsp]
    mov eax, cs
    mov [seen + 8], rax
    mov eax, ss
    mov [seen + 16], rax
    pushfq
    pop qword [seen + 24]
    mov ecx, USTACK32 - 0x100
    mov edx, u_sysexit
    mov rax, 0xffffffff00000000
    or rcx, rax                             ; but these halves do not count
    or rdx, rax
    sysexit
.done:
    mov rax, 0x7f0000120000
    CHECK "sysenter rsp", [seen], rax
    CHECK "sysenter cs", [seen + 8], CS64
    CHECK "sysenter ss", [seen + 16], DS64
    mov rax, [seen + 24]
    and eax, 0x200
    CHECK "sysenter if", rax, 0
    CHECK "sysexit cs", [got_cs], (CS64 + 16) | 3
    CHECK "sysexit rsp", [got_rsp], USTACK32 - 0x100
    CHECK "sysexit to 32 bits", rbx, 6
    FAULT32 "syscall", u_syscall, 6, 0
    FAULT32 "sysret", u_sysret, 6, 0
    ; to 64-bit code
    EXPECT_FAULT 0x80, .done64
    mov rcx, USTACK32 - 0x200
    mov rdx, .user64
    o64 sysexit
.user64:
    mov rbx, 0x123456789
    int 0x80
.done64:
    CHECK "sysexit64 cs", [got_cs], (CS64 + 32) | 3
    CHECK "sysexit64 rsp", [got_rsp], USTACK32 - 0x200
    mov rax, 0x123456789
    CHECK "sysexit to 64 bits", rbx, rax
    mov rcx, 1 << 47
    REFUSED "sysexit, rsp not canonical", 13, 0, o64 sysexit
    ret

sixteen:
    USER "16 bits", UCS16, u_16 - header, 0x80
    CHECK "16 rip", [got_rip], u_16.after - header
    CHECK "16 rsp", [got_rsp], USTACK32 - 2
    mov ebx, ebx
    CHECK "16 bx", rbx, 0x89ab5678
    ret

; What only IA-32e mode refuses.
none_of_these:
    REFUSED "jmp to a tss", 13, TSS2, jmp dword far [.tss]
    REFUSED "call to a tss", 13, TSS2, call dword far [.tss]
    REFUSED "jmp to a task gate", 13, TASK_GATE, jmp dword far [.task_gate]
    REFUSED "l and d", 13, L_AND_D, jmp dword far [.l_and_d]
    mov al, [IDT + 0x90 * 16 + 5]
    mov byte [IDT + 0x90 * 16 + 5], 0xe5    ; task gate
    REFUSED "task gate", 13, 0x90 * 8 + 2, int 0x90
    mov byte [IDT + 0x90 * 16 + 5], 0xe6    ; 16-bit interrupt gate
    REFUSED "16-bit gate", 13, 0x90 * 8 + 2, int 0x90
    mov byte [IDT + 0x90 * 16 + 5], 0xee
    mov word [IDT + 0x90 * 16 + 2], CS32
    REFUSED "gate to 32 bits", 13, CS32, int 0x90
    mov word [IDT + 0x90 * 16 + 2], CS64
    mov dword [IDT + 0x90 * 16 + 8], 0x00800000
    REFUSED "gate not canonical", 13, 0, int 0x90
    mov dword [IDT + 0x90 * 16 + 8], 0
    pushfq
    or dword [rsp], 0x4000                  ; NT
    popfq
    REFUSED "iret with nt", 13, 0, iretq
    ret
.tss: dd 0
    dw TSS2
.task_gate: dd 0
    dw TASK_GATE
.l_and_d: dd 0
    dw L_AND_D

%macro FRAME 5                              ; SS, RSP, flags, CS, RIP
    push %1
    push %2
    push %3
    push %4
    mov rax, %5
    push rax
%endmacro
returns:
    mov r13, rsp
    FRAME 0, r13, 2, CS64, .null_ss         ; to 64-bit code at level 0
    iretq
.null_ss:
    mov eax, ss
    CHECK "null ss", rax, 0
    mov eax, DS64
    mov ss, ax
    FRAME 0, r13, 2, CS32, .null_ss
    REFUSED "null ss for 32 bits", 13, 0, iretq
    FRAME 3, r13, 2, UCS64 | 3, .null_ss
    REFUSED "null ss for level 3", 13, 0, iretq
    FRAME DS64, r13, 2, CS64, 1 << 47
    REFUSED "rip not canonical", 13, 0, iretq
    FRAME UDS | 3, r13, 2, UCS32 | 3, 0x100000000
    REFUSED "eip beyond", 13, 0, iretq
    FRAME UDS | 3, r13, 2, L_AND_D, 0
    REFUSED "iret, l and d", 13, L_AND_D, iretq
    mov rsp, r13
    ret

gate_target:
    mov eax, cs
    mov [seen], rax
    mov eax, ss
    mov [seen + 8], rax
    mov rax, [rsp]
    mov [seen + 16], rax
    mov rax, [rsp + 8]
    mov [seen + 24], rax
    mov rax, [rsp + 16]
    mov [seen + 32], rax
    mov rax, [rsp + 24]
    mov [seen + 40], rax
    mov [seen + 48], rsp
    retfq

    bits 32
u_int:
    push eax
    int 0x80
.after:
u_ud:
    ud2
u_pf:
    mov eax, [UNMAPPED + 0x123]
u_limit_ok:
    mov ax, SMALL
    mov fs, ax
    mov eax, [fs:0xfc]
    int 0x80
u_limit:
    mov eax, [fs:0xfd]                      ; FS as above
u_null:
    mov eax, [gs:0]
u_write_code:
    mov [cs:MEM], eax
u_ss_limit:
    mov ax, SMALL
    mov ss, ax
    mov esp, 0x102
    push eax
u_local:
    mov ax, LOCAL
    mov gs, ax
    mov dword [gs:0x10], 0x7788
    mov eax, [MEM + 0x10]
    jmp give
u_wraps:
    mov ebx, 0xfffffff0
    mov eax, [ebx + MEM + 0x10]
    jmp give
u_a16:
    mov ebx, 0xabcd0500
    a16 mov eax, [bx + 0x10]
    jmp give
u_zeros:
    mov ebx, 5
    int 0x80
u_lost:
    pusha
    popa
    mov al, 0x19
    add al, 0x28
    daa
    movzx eax, al
    mov edi, 8
    inc edi                                 ; 47h, REX in 64-bit code
    dec edi
    push ds
    pop ds
give:                                       ; EAX, in ECX
    mov ecx, eax
    int 0x80
u_bound:
    bound esp, [bounds]
u_into:
    mov al, 0x7f
    add al, al
    into
u_les:
    les ebx, [far_pointer]
    int 0x80
u_gate:
    push eax
    call GATE:0x12345678
.after:
    int 0x80
u_gate_32:
    call GATE_32:0
u_sysenter:
    sysenter
u_sysexit:
    mov ebx, 5
    inc ebx                                 ; 43h, REX in 64-bit code
    int 0x80
u_syscall:
    syscall
u_sysret:
    sysret
u_runs_off:
    nop
    nop
limited_end:
    nop
    bits 16
u_16:
    mov ebx, 0x89abcdef
    mov bx, 0x5678
    push ax
    int 0x80
.after:
    bits 64

    align 8
bounds: dd 1, 2
far_pointer: dd 0x12345678
    dw UDS | 3
    align 8
more:
    dq 0x0000fb200000ffff
    dq 0x0040f30000000000 | (MEM & 0xffffff) << 16 | 0xff
    dq (gate_target - header + 0x200000) & 0xffff | CS64 << 16 | 0xec00 << 32 | ((gate_target - header + 0x200000) >> 16) << 48, 0
    dq CS32 << 16 | 0xec00 << 32, 0
    dq 0x0000820000000000 | (LDT & 0xffffff) << 16 | 0x0f, 0
    dq 0x0000890000000067 | (MEM & 0xffffff) << 16, 0
    dq (TSSSEL << 16) | 0x8500 << 32, 0
    dq 0x00ef9b000000ffff
    dq 0x0040fb2000000000 | limited_end - header - 1
more_end:
gdt2_pointer:
    dw gdt_end - gdt + more_end - more - 1
    dq GDT2
saved_rsp: dq 0
seen: times 8 dq 0
%include "end.inc"
