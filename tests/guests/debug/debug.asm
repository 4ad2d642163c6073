; SPDX-License-Identifier: MIT
; Debug registers and the trap flag (SDM vol. 3, chapter 17; 6.8.3 for MOV SS; table 6-2 for what comes first).
;
; On hardware TF makes a trap after each instruction that began with it set. INT n clears it on its way; after SYSCALL
; and SYSRET the TF that they have loaded decides; MOV SS forgets it. A breakpoint of DR0..DR3 on an instruction is a
; fault before it, for which RF is pushed as it is: the handler sets it to get past. Those on data and ports are traps.
%include "guest64.inc"
    bits 64
UNMAPPED equ 0x40000000
USER equ 0x600000                           ; scratch for level 3's stack
TF equ 0x100
RF equ 0x10000
BS equ 0x4000
BD equ 0x2000
GD equ 0x2000
%define ON_CODE 0
%define ON_WRITE 1
%define ON_PORT 2
%define ON_ANY 3
; of DR7: breakpoint n, on what, its length as DR7 has it
%define WATCH(n, what, length) (1 << ((n) * 2) | ((what) | (length) << 2) << (16 + (n) * 4))
%define BYTE_ 0
%define WORD_ 1
%define QWORD_ 2
%define DWORD_ 3

; TF for the next instruction and those behind it, until %1 traps have come.
%macro STEP 1
    mov qword [stop_at], %1
    pushfq
    or dword [rsp], TF
    popfq
%endmacro
; Where #DB came from since the last time: labels, in order.
%macro TRAPS 1-*
    CHECK {%1, " count"}, [hits], %0 - 1
    mov qword [hits], 0
%defstr NAME_ %1
%assign n 0
%rep %0 - 1
%rotate 1
    mov rcx, %1
    CHECK {NAME_, " at ", '0' + n}, [log + n * 16], rcx
%assign n n + 1
%endrep
%endmacro
%macro PUSHED_RF 3                          ; name, which trap, RF in its flags
    mov eax, [log + %2 * 16 + 8]
    and eax, RF
    CHECK %1, rax, %3
%endmacro
%macro DR6_IS 2                             ; at the last trap
    mov rax, [last_dr6]
    and eax, 0xe00f
    CHECK %1, rax, %2
%endmacro
%macro SET 2                                ; register, value
    mov rax, %2
    mov %1, rax
%endmacro

main:
    HOOK 1, on_debug
    HOOK 0x50, on_int
    call single_steps
    call stepped_system_calls
    call shadow_of_ss
    call code_breakpoints
    call data_breakpoints
    call port_breakpoints
    call general_detect
    call int1
    ret

single_steps:
    STEP 6
    nop
.a: nop
.b: jmp .to
    nop
.to:
    call .sub
.back:
    nop
.c: TRAPS "tf", .a, .b, .to, .sub, .back, .c
    DR6_IS "tf dr6", BS
    STEP 4                                  ; POPF that clears TF began with it
    pushfq
.d: and qword [rsp], ~TF
.e: popfq
.f: nop
    nop
    mov qword [stop_at], 0
    TRAPS "popf", .d, .e, .f
    STEP 1
    hlt                                     ; ends
.awake:
    TRAPS "hlt", .awake
    STEP 1
    sti                                     ; holds off interrupts only
.sti:
    cli
    TRAPS "sti", .sti
    ; INT n: its handler is not stepped; IRET brings TF back, to the instruction behind
    STEP 1
    int 0x50
    nop
.after_int:
    TRAPS "int", .after_int
    ; what faults does not trap, and its handler runs without TF
    EXPECT_FAULT 6, .ud
    STEP 1
    ud2
.ud:
    mov rax, [got_flags]
    and eax, TF
    CHECK "fault", rax, TF
    CHECK "fault traps", [hits], 0
    ; IRET
    mov rbx, rsp
    push DS64
    push rbx
    push 2
    push CS64
    push .cleared
    STEP 1
    iretq                                   ; began with TF
.cleared:
    nop
    TRAPS "iret clears", .cleared
    push DS64
    push rbx
    push TF | 2
    push CS64
    push .set
    mov qword [stop_at], 1
    iretq                                   ; began without
.set:
    nop
.set_after:
    TRAPS "iret sets", .set_after
    ; a trap after each iteration; RF is pushed set but for the last (17.3.1.1)
    mov rdi, cell
    mov ecx, 3
    xor eax, eax
    STEP 4
.rep:
    rep stosb
.rep_after:
    nop
.rep_end:
    TRAPS "rep", .rep, .rep, .rep_after, .rep_end
    PUSHED_RF "rep rf 1", 0, RF
    PUSHED_RF "rep rf 2", 1, RF
    PUSHED_RF "rep rf last", 2, 0
    xor ecx, ecx
    STEP 1
    rep stosb
.rep_none:
    TRAPS "rep none", .rep_none
    ret
.sub:
    ret

; To %1 at level 3 and back by INT 80h.
%macro AT_LEVEL_3 2                         ; label, flags
    EXPECT_FAULT 0x80, %%back
    push UDS | 3
    push USER
    push %2
    push UCS64 | 3
    push %1
    iretq
%%back:
%endmacro
%macro SET_MSR 3
    mov ecx, %1
    mov edx, %2
    mov eax, %3
    wrmsr
%endmacro
stepped_system_calls:
    SET_MSR 0xc0000081, (0x20 | 3) << 16 | CS64, 0
    SET_MSR 0xc0000082, 0, .enter
    SET_MSR 0xc0000084, 0, TF
    ; TF is in IA32_FMASK: no trap in the kernel; SYSRET loads it again and traps at once
    mov qword [stop_at], 2
    AT_LEVEL_3 .user, TF | 2
    TRAPS "syscall masked", .user2, .user3
    ; it is not: a trap at the entry, and one for each instruction there; SYSRET loads it clear
    SET_MSR 0xc0000084, 0, 0
    SET_MSR 0xc0000082, 0, .enter_stepped
    mov qword [stop_at], 9
    AT_LEVEL_3 .user, TF | 2
    mov qword [stop_at], 0
    TRAPS "syscall", .user2, .enter_stepped, .enter_stepped2
    ; SYSENTER leaves TF alone
    SET_MSR 0x174, 0, CS64
    SET_MSR 0x175, 0, stack_top - 0x4000
    SET_MSR 0x176, 0, .sysenter
    mov rbx, rsp
    STEP 2
    sysenter
.sysenter:
    nop
.sysenter2:
    mov rsp, rbx
    TRAPS "sysenter", .sysenter, .sysenter2
    mov ax, DS64
    mov ss, ax
    ret
.user:
    nop
.user2:
    syscall
.user3:
    int 0x80
.enter:
    o64 sysret
.enter_stepped:
    and r11d, ~TF
.enter_stepped2:
    o64 sysret

; MOV SS: no single step behind it, no instruction breakpoint on what follows it, data breakpoints one instruction late.
shadow_of_ss:
    mov ecx, DS64
    STEP 2
    mov ss, cx
    nop
.a: nop
.b: TRAPS "ss tf", .a, .b
    SET dr0, .target
    SET dr7, WATCH(0, ON_CODE, BYTE_)
    mov ecx, DS64
    mov ss, cx
.target:
    nop
    CHECK "ss code", [hits], 0
    SET dr0, selector
    SET dr7, WATCH(0, ON_ANY, WORD_)
    mov ss, [selector]
    nop
.late:
    nop
    TRAPS "ss data", .late
    DR6_IS "ss data dr6", 1
    mov ss, [selector]
    int 0x50                                ; the trap comes in its handler, before its first instruction
    TRAPS "ss int", stubs + 0x50 * 16
    EXPECT_FAULT 6, .ud
    mov ss, [selector]
    ud2                                     ; and in that of a fault
.ud:
    TRAPS "ss fault", stubs + 6 * 16
    SET_MSR 0xc0000082, 0, .enter
    mov ss, [selector]
    syscall
.enter:
    nop
    TRAPS "ss syscall", .enter
    mov qword [stop_at], 1
    lss rdx, [far_stack]                    ; all in one: nothing to hold off
.lss:
    TRAPS "lss data", .lss
    SET dr7, 0
    ret

; Faults before the instruction.
code_breakpoints:
    SET dr0, .here
    SET dr7, WATCH(0, ON_CODE, BYTE_)
    mov qword [stop_at], 3                  ; without RF again and again; then the handler sets it
    xor ebx, ebx
.here:
    inc ebx
    TRAPS "code", .here, .here, .here
    CHECK "code executed", rbx, 1
    PUSHED_RF "code rf", 0, 0
    DR6_IS "code dr6", 1
    mov qword [stop_at], 1
    ; G in place of L; one that is not enabled
    SET dr7, 2
    jmp .global
.global:
    xor ebx, ebx
    SET dr0, .here2
.here2:
    inc ebx
    TRAPS "code global", .here2
    SET dr7, 0
    jmp .off
.off:
    SET dr0, .here3
.here3:
    CHECK "code off", [hits], 0
    ; before a fault of the same instruction, for which RF is pushed
    SET dr0, .ud
    SET dr7, WATCH(0, ON_CODE, BYTE_)
    EXPECT_FAULT 6, .ud_back
.ud:
    ud2
.ud_back:
    TRAPS "code and fault", .ud
    mov rax, [got_flags]
    and eax, RF
    CHECK "fault rf", rax, RF
    ; once for all iterations
    SET dr0, .rep
    mov rdi, cell
    mov ecx, 3
.rep:
    rep stosb
    TRAPS "code rep", .rep
    ; the trap of the instruction before comes first
    SET dr0, .both
    STEP 2
    nop
.both:
    nop
    SET dr7, 0
    mov qword [stop_at], 1
    TRAPS "tf and code", .both, .both
    DR6_IS "tf and code dr6", 1
    ret

data_breakpoints:
    SET dr1, cell
    SET dr7, WATCH(1, ON_WRITE, DWORD_)
    mov rax, [cell]                         ; a read is none
    CHECK "read", [hits], 0
    mov dword [cell], 5
.after:
    TRAPS "write", .after
    DR6_IS "write dr6", 2
    PUSHED_RF "write rf", 0, 0
    mov byte [cell + 3], 1                  ; any byte of the four
.byte:
    mov byte [cell + 4], 1
    mov word [cell - 1], 1
.across:
    TRAPS "bytes", .byte, .across
    inc dword [cell]
.rmw:
    TRAPS "rmw", .rmw
    mov rdi, cell - 8                       ; after the iteration, RF set between two
    xor eax, eax
    mov ecx, 12
.rep:
    rep stosb
.rep_after:
    TRAPS "rep", .rep, .rep, .rep, .rep_after
    PUSHED_RF "rep rf", 2, RF
    PUSHED_RF "rep rf last", 3, 0
    ; eight bytes, aligned to them; reads
    SET dr1, cell + 5
    SET dr7, WATCH(1, ON_ANY, QWORD_)
    mov al, [cell]
.read:
    mov al, [cell + 8]
    TRAPS "eight", .read
    ; two at once, and TF
    SET dr2, cell + 2
    SET dr7, WATCH(1, ON_ANY, QWORD_) | WATCH(2, ON_WRITE, WORD_)
    STEP 1
    mov [cell], rax
.both:
    TRAPS "both", .both
    DR6_IS "both dr6", BS | 4 | 2
    ; an instruction that faults has reached nothing
    mov rbx, rsp
    EXPECT_FAULT 14, .fault
    mov rsp, UNMAPPED + 0x800
    mov byte [IDT + 14 * 16 + 4], 1         ; IST 1
    push qword [cell]
.fault:
    mov byte [IDT + 14 * 16 + 4], 0
    CHECK "faulted", [hits], 0
    SET dr7, 0
    ret

; With CR4.DE (17.2.4).
port_breakpoints:
    mov rax, cr4
    or eax, 8
    mov cr4, rax
    SET dr3, 0x82
    SET dr7, WATCH(3, ON_PORT, WORD_)
    in al, 0x81
    in al, 0x84
    out 0x80, al
    CHECK "beside", [hits], 0
    in al, 0x83
.in:
    DR6_IS "port dr6", 8
    out 0x80, eax
.out:
    TRAPS "ports", .in, .out
    mov edx, 0x82
    mov rsi, cell
    mov ecx, 2
.rep:
    rep outsb
.rep_after:
    TRAPS "rep outs", .rep, .rep_after
    PUSHED_RF "rep outs rf", 0, RF
    mov rdi, cell
    insb
.ins:
    TRAPS "ins", .ins
    mov byte [0x82], 1                      ; memory is not meant
    CHECK "memory", [hits], 0
    SET dr7, 0
    mov rax, cr4
    and eax, ~8
    mov cr4, rax
    ret

; GD: a fault of any access to a debug register; any #DB clears it.
general_detect:
    SET dr7, GD | 0x400
.from:
    mov rax, dr6
    TRAPS "gd", .from
    DR6_IS "gd dr6", BD
    PUSHED_RF "gd rf", 0, RF
    mov rax, dr7
    CHECK "gd cleared", rax, 0x400
    SET dr7, GD | 0x400
.to:
    mov dr0, rax
    TRAPS "gd write", .to
    SET dr7, GD | 0x400
    STEP 1
    nop
.step:
    TRAPS "gd step", .step                  ; the handler's own accesses did not fault
    mov rax, dr7
    CHECK "gd cleared by a trap", rax, 0x400
    ret

int1:
    db 0xf1
.after:
    TRAPS "int1", .after
    DR6_IS "int1 dr6", 0
    PUSHED_RF "int1 rf", 0, 0
    STEP 1
    db 0xf1                                 ; clears TF as INT n does
    nop
.stepped:
    mov qword [stop_at], 1
    TRAPS "int1 stepped", .stepped_at
    ret
.stepped_at equ .stepped - 1

; Keeps where it came from; clears TF, and sets RF, when enough have come.
on_debug:
    push rcx
    mov rcx, [hits]
    shl ecx, 4
    mov rax, [rsp + 48]                     ; rcx, return address, rbx, rax, vector, error, RIP
    mov [log + rcx], rax
    mov rax, [rsp + 64]
    mov [log + rcx + 8], rax
    inc qword [hits]
    mov rax, dr6
    mov [last_dr6], rax
    mov eax, 0xffff0ff0
    mov dr6, rax
    mov rax, [hits]
    cmp rax, [stop_at]
    jb .more
    and dword [rsp + 64], ~TF
    test byte [last_dr6], 15
    jz .more
    or dword [rsp + 64], RF
.more:
    pop rcx
on_int:
    ret
    align 8
    dq 0
cell: dq 0, 0
hits: dq 0
stop_at: dq 1
last_dr6: dq 0
log: times 64 dq 0
far_stack: dq 0
selector: dw DS64
%include "end.inc"
