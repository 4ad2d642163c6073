; SPDX-License-Identifier: MIT
; Hardware tasks and call gates (SDM vol. 3, chapters 5.8 and 8).
;
; On hardware a far JMP or CALL to a TSS, or to a task gate, and an event whose IDT entry is one, save the old task
; in its TSS and load all of the new one from its own. CALL and events nest: the new TSS links back, NT is set, the
; old TSS stays busy, and IRET goes back. What is wrong with the TSS itself faults in the old task, what is wrong
; with what it holds in the new one. A call gate enters a more privileged level on the stack that the TSS has for it,
; taking parameters along.
    bits 32
    org 0x200000
header:
    dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, header, load_end, load_end + 0x10000, start

STACK  equ 0x1f0000
STACK0 equ 0x1e0000                         ; of level 0, from level 3
USTACK equ 0x1d0000
BSTACK equ 0x1c0000
PD     equ 0x100000
PD_B   equ 0x101000
TSS_A  equ 0x106000
TSS_B  equ 0x106100
TSS_C  equ 0x106200                         ; 16-bit
IDT    equ 0x107000
STACK_C equ 0x8000
DSTACK equ 0x1b0000
TSS_D  equ 0x106300

CODE   equ 0x08
DATA   equ 0x10
UCODE  equ 0x18 | 3
UDATA  equ 0x20 | 3
A      equ 0x28
B      equ 0x30
C16    equ 0x38
TO_B   equ 0x40                             ; task gate
GATE32 equ 0x50                             ; call gates
GATE16 equ 0x58
LOW    equ 0x60                             ; code with base 200000h, for 16-bit offsets
GATE_ABSENT equ 0x68
GATE_DPL0 equ 0x70
TSS_ABSENT equ 0x78
TSS_SMALL equ 0x80
ABSENT equ 0x88                             ; data
CONFORMING equ 0x90
GATE_CONF equ 0x98
STACK16 equ 0xa0
TO_A   equ 0xa8
LIMITED  equ 0xb0                             ; code, limit fffh

D      equ 0xb8

%include "guest32.inc"
%macro CHECK_ESP 2
    mov [now_esp], esp                      ; CHECK itself pushes
    CHECK %1, [now_esp], %2
%endmacro

; field of a TSS
%define LINK 0
%define CR3_ 28
%define EIP_ 32
%define EFLAGS_ 36
%define EAX_ 40
%define ESP_ 56
%define ES_ 72
%define CS_ 76
%define SS_ 80
%define DS_ 84
%define FS_ 88
%define LDT_ 96
%define TRAP_ 100

start:
    ENTER_FLAT
    mov edi, TSS_A
    xor eax, eax
    mov ecx, 0x400 / 4
    rep stosd
    mov dword [TSS_A + 4], STACK0
    mov dword [TSS_A + 8], DATA
    mov ax, A
    ltr ax
    call jumps
    call calls
    call task16
    call gates_of_idt
    call refused
    call faults_of_the_new
    call trap_bit
    call address_spaces
    call call_gates
    jmp power_off

; B as it is at the beginning of each part: starts at eax.
reset_b:
    push edi
    push ecx
    push eax
    mov edi, TSS_B
    xor eax, eax
    mov ecx, 104 / 4
    rep stosd
    pop eax
    mov [TSS_B + EIP_], eax
    mov dword [TSS_B + EFLAGS_], 2
    mov dword [TSS_B + EAX_], 0xb0b0b0b0
    mov dword [TSS_B + ESP_], BSTACK
    mov dword [TSS_B + ES_], DATA
    mov dword [TSS_B + CS_], CODE
    mov dword [TSS_B + SS_], DATA
    mov dword [TSS_B + DS_], DATA
    mov eax, cr3
    mov [TSS_B + CR3_], eax
    and byte [gdt + B + 5], ~2              ; available
    pop ecx
    pop edi
    ret

%macro TYPE_IS 3                            ; of a system descriptor
    movzx eax, byte [gdt + %2 + 5]
    and eax, 15
    CHECK %1, eax, %3
%endmacro

; --- JMP ---
jumps:
    mov eax, .in_b
    call reset_b
    mov ebx, 0x12345678
    mov ebp, 0x55aa55aa
    clts
    stc
    jmp B:0x99999999                        ; the offset does not matter
.back:
    jc .carry
    CHECK "carry", 0, 1
.carry:
    CHECK "ebx", ebx, 0x12345678
    CHECK "ebp", ebp, 0x55aa55aa
    CHECK_ESP "esp", [.esp]
    CHECK "b-eip", [TSS_B + EIP_], .b_next
    CHECK "b-eax", [TSS_B + EAX_], 0xbeef
    str ax
    movzx eax, ax
    CHECK "tr-a", eax, A
    TYPE_IS "a-busy", A, 11
    TYPE_IS "b-available", B, 9
    ; once more: B goes on where it left
    mov dword [.where], .back2
    jmp TO_B:0
.back2:
    CHECK "b-again", [TSS_B + EAX_], 0xcafe
    ret
.in_b:
    mov dword [.where], .back
    CHECK "b-starts-with-eax", eax, 0xb0b0b0b0
    CHECK_ESP "b-esp", BSTACK
    str ax
    movzx eax, ax
    CHECK "tr-b", eax, B
    TYPE_IS "a-available", A, 9
    TYPE_IS "b-busy", B, 11
    mov eax, cr0
    and eax, 8
    CHECK "ts", eax, 8
    pushfd
    pop eax
    and eax, 0x4001
    CHECK "nt-cf", eax, 0
    mov eax, [TSS_A + ESP_]
    mov [.esp], eax
    CHECK "a-ebx", [TSS_A + 52], 0x12345678
    mov eax, [TSS_A + EFLAGS_]
    and eax, 1
    CHECK "a-cf", eax, 1
    CHECK "no-link", [TSS_B + LINK], 0
    CHECK "a-eip", [TSS_A + EIP_], .back
    mov eax, 0xbeef
    jmp A:0
.b_next:
    mov eax, 0xcafe
    mov ecx, [.where]
    mov [TSS_A + EIP_], ecx
    jmp TO_A:0
.where: dd 0
.esp: dd 0

; --- CALL and IRET ---
calls:
    mov eax, .in_b
    call reset_b
    mov esi, 0x51515151
    call B:0
.back:
    CHECK "esi", esi, 0x51515151
    pushfd
    pop eax
    and eax, 0x4000
    CHECK "nt-gone", eax, 0
    TYPE_IS "b-available-again", B, 9
    TYPE_IS "a-still-busy", A, 11
    mov eax, [TSS_B + EFLAGS_]
    and eax, 0x4000
    CHECK "nt-not-saved", eax, 0
    CHECK "b-after-iret", [TSS_B + EIP_], .after
    call TO_B:0                             ; behind its IRET
    CHECK "twice", [.count], 2
    ret
.in_b:
    inc dword [.count]
    CHECK "link", [TSS_B + LINK], A
    pushfd
    pop eax
    and eax, 0x4000
    CHECK "nt", eax, 0x4000
    TYPE_IS "both-busy", A, 11
    TYPE_IS "both-busy-b", B, 11
    iretd
.after:
    inc dword [.count]
    iretd
.count: dd 0

; --- a 16-bit task ---
task16:
    mov edi, TSS_C
    xor eax, eax
    mov ecx, 44 / 4
    rep stosd
    mov word [TSS_C + 14], in_c - 0x200000
    mov word [TSS_C + 16], 2
    mov word [TSS_C + 18], 0xaaaa
    mov word [TSS_C + 26], STACK_C
    mov word [TSS_C + 34], DATA
    mov word [TSS_C + 36], LOW
    mov word [TSS_C + 38], STACK16
    mov word [TSS_C + 40], DATA
    mov ebx, 0xabcd1234
    call C16:0
    CHECK "16-ebx", ebx, 0xabcd1234
    movzx eax, word [TSS_C + 18]
    CHECK "16-ax", eax, 0xbbbb
    movzx eax, word [TSS_C + 14]
    CHECK "16-ip", eax, in_c_after - 0x200000
    TYPE_IS "16-available", C16, 1
    ret
in_c:
    CHECK "16-link", [TSS_C + LINK], A
    movzx eax, ax
    CHECK "16-starts-with-ax", eax, 0xaaaa
    movzx eax, sp
    CHECK "16-sp", eax, STACK_C
    mov ax, fs
    movzx eax, ax
    CHECK "16-fs", eax, 0
    TYPE_IS "16-busy", C16, 3
    mov ax, 0xbbbb
    iretd
in_c_after:

; --- task gates in the IDT ---
%macro TASK_GATE 1-2 B                      ; vector, task
    mov dword [IDT + %1 * 8], %2 << 16
    mov dword [IDT + %1 * 8 + 4], 0xe500
%endmacro
%macro OWN_GATE 1
    mov eax, stubs + %1 * 16
    mov [IDT + %1 * 8], ax
    mov word [IDT + %1 * 8 + 2], CODE
    mov [IDT + %1 * 8 + 4], eax
    mov word [IDT + %1 * 8 + 4], 0xee00
%endmacro
gates_of_idt:
    ; an exception with an error code
    mov eax, .on_gp
    call reset_b
    TASK_GATE 13
    mov ecx, 0x77
    mov ax, 0xfff0                          ; outside of the GDT
.faults:
    mov es, ax
.resumed:
    CHECK "ecx", ecx, 0x77
    CHECK "handled", [.error], 0xfff0
    ; an exception without: its RF is in the saved flags
    mov eax, .on_ud
    call reset_b
    TASK_GATE 6
.bad:
    ud2
.good:
    CHECK "ud-handled", [.ud_flags], 0x10000
    OWN_GATE 6
    ; INT n
    mov eax, .on_int
    call reset_b
    TASK_GATE 0x40
    int 0x40
.next:
    CHECK "int-seen", [.ints], 1
    CHECK "int-eip", [.int_eip], .next
    OWN_GATE 13
    ; the gate names a TSS that is busy
    mov word [IDT + 0x40 * 8 + 2], A
    EXPECT_FAULT 13, .busy
    int 0x40
.busy:
    CHECK "int-busy", [got_error], A
    ret
.on_gp:
    pop dword [.error]
    CHECK "saved-eip", [TSS_A + EIP_], .faults
    CHECK_ESP "error-esp", BSTACK
    mov dword [TSS_A + EIP_], .resumed
    iretd
.on_ud:
    mov eax, [TSS_A + EFLAGS_]
    and eax, 0x10000
    mov [.ud_flags], eax
    CHECK_ESP "no-error", BSTACK
    mov dword [TSS_A + EIP_], .good
    iretd
.on_int:
    inc dword [.ints]
    mov eax, [TSS_A + EIP_]
    mov [.int_eip], eax
    iretd
.error: dd 0
.ud_flags: dd 0
.ints: dd 0
.int_eip: dd 0

; --- what is refused before the switch ---
refused:
    EXPECT_FAULT 13, .r1
    jmp A:0                                 ; the running task is busy
.r1:
    CHECK "busy", [got_error], A
    EXPECT_FAULT 11, .r2
    jmp TSS_ABSENT:0
.r2:
    CHECK "absent", [got_error], TSS_ABSENT
    EXPECT_FAULT 10, .r3
    call TSS_SMALL:0
.r3:
    CHECK "small", [got_error], TSS_SMALL
    ; NT set, and a link to a task that is not busy
    mov word [TSS_A + LINK], B
    and byte [gdt + B + 5], ~2
    pushfd
    or dword [esp], 0x4000
    popfd
    EXPECT_FAULT 10, .r4
    iretd
.r4:
    CHECK "link-available", [got_error], B
    pushfd
    and dword [esp], ~0x4000
    popfd
    mov word [TSS_A + LINK], 0
    str ax
    movzx eax, ax
    CHECK "still-a", eax, A
    TYPE_IS "still-busy", A, 11
    ; level 3 may not name a TSS of level 0
    EXPECT_FAULT 13, .r5
    push dword UDATA
    push dword USTACK
    pushfd
    push dword UCODE
    push dword .user
    iretd
.user:
    jmp B:0
.r5:
    CHECK "dpl", [got_error], B
    CHECK "dpl-eip", [got_eip], .user
    ret

; --- what faults in the new task ---
; There may be no stack for a handler then: D handles it, a task. %1 name, %2 field, %3 value, %4 vector, %5 error
%macro BAD_FIELD 5
    mov eax, never
    call reset_b
    mov dword [TSS_B + %2], %3
    mov [.a_esp], esp
    mov dword [got_error], -1
    TASK_GATE %4, D
    call B:0
    CHECK %1, [got_error], %5
    CHECK_ESP "a-stack", [.a_esp]
    OWN_GATE %4
%endmacro
faults_of_the_new:
    mov edi, TSS_D
    mov esi, TSS_B
    mov ecx, 104 / 4
    rep movsd
    mov dword [TSS_D + EIP_], in_d
    mov dword [TSS_D + ESP_], DSTACK
    BAD_FIELD "no-code", CS_, DATA, 10, DATA
    BAD_FIELD "null-code", CS_, 0, 10, 0
    BAD_FIELD "code-level", CS_, UCODE & ~3, 10, UCODE & ~3
    BAD_FIELD "stack-not-writable", SS_, CODE, 10, CODE
    BAD_FIELD "null-stack", SS_, 0, 10, 0
    BAD_FIELD "stack-level", SS_, UDATA, 10, UDATA & ~3
    BAD_FIELD "stack-absent", SS_, ABSENT, 12, ABSENT
    BAD_FIELD "data-absent", DS_, ABSENT, 11, ABSENT
    BAD_FIELD "data-gate", FS_, GATE32, 10, GATE32
    BAD_FIELD "no-ldt", LDT_, DATA, 10, DATA
    BAD_FIELD "beyond-limit", CS_, LIMITED, 13, 0
    ; with a stack, an ordinary handler does
    mov eax, never
    call reset_b
    mov dword [TSS_B + ES_], ABSENT
    EXPECT_FAULT 11, .in_b
    call B:0
    ret
.in_b:
    CHECK "ordinary", [got_error], ABSENT
    CHECK "first-eip", [got_eip], never
    str ax
    movzx eax, ax
    CHECK "in-b", eax, B
    pushfd
    or dword [esp], 0x4000
    popfd
    iretd
.a_esp: dd 0
never:
    jmp fail_exit
in_d:
    pop dword [got_error]
    CHECK "d-link", [TSS_D + LINK], B
    CHECK "d-of-the-new-task", [TSS_B + EIP_], never
    and byte [gdt + A + 5], ~2              ; leave both behind
    jmp A:0
    jmp in_d

; --- the T bit: #DB before the first instruction, which runs when the handler is through ---
trap_bit:
    mov eax, .in_b
    call reset_b
    mov word [TSS_B + TRAP_], 1
    mov eax, 0xffff0ff0
    mov dr6, eax
    EXPECT_FAULT 1, .trapped
    call B:0
    ret
.in_b:
    jmp fail_exit
.trapped:
    CHECK "t-eip", [got_eip], .in_b
    mov eax, dr6
    and eax, 0xe00f
    CHECK "bt", eax, 0x8000
    pushfd
    or dword [esp], 0x4000
    popfd
    iretd

; --- CR3 ---
address_spaces:
    mov edi, PD
    mov eax, 0x87
    mov ecx, 1024
.fill:
    mov [edi], eax
    mov [edi + 0x1000], eax
    add eax, 0x400000
    add edi, 4
    loop .fill
    mov dword [PD_B + 4 * 4], 0x01400087    ; 16 MiB is 20 MiB in B
    mov dword [0x1000000], 0xa
    mov dword [0x1400000], 0xb
    mov eax, cr4
    or eax, 0x10
    mov cr4, eax
    mov eax, PD
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov eax, .in_b
    call reset_b
    mov dword [TSS_B + CR3_], PD_B
    mov dword [TSS_A + CR3_], PD            ; a switch does not save it
    mov eax, [0x1000000]
    CHECK "a-sees", eax, 0xa
    call B:0
    CHECK "b-saw", [TSS_B + EAX_], 0xb
    mov eax, [0x1000000]
    CHECK "a-sees-again", eax, 0xa
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    ret
.in_b:
    mov eax, [0x1000000]
    iretd

; --- call gates ---
call_gates:
    ; same level: nothing is copied
    mov dword [.what], .same
    mov [.esp], esp
    push dword 0x11
    push dword 0x22
    call GATE32:0x1234
.back:
    add esp, 8
    CHECK_ESP "same-esp", [.esp]
    ; from level 3, two parameters
    mov dword [.what], .from3
    EXPECT_FAULT 3, .user_done
    push dword UDATA
    push dword USTACK
    pushfd
    push dword UCODE
    push dword .user
    iretd
.user:
    mov ax, UDATA
    mov ds, ax
    push dword 0x33
    push dword 0x44
    call GATE32 | 3:0
.user_back:
    mov ecx, esp
    int3
.user_done:
    CHECK "user-esp", ecx, USTACK           ; RETF 8 took the parameters from both stacks
    CHECK "user-eax", eax, 0x33440000
    ; 16-bit gate: pushes words
    mov dword [.what], .low - 0x200000
    mov ebx, esp
    call GATE16:0
.low_back:
    CHECK_ESP "low-esp", ebx
    CHECK "low-ran", edx, 0x1616
    ; JMP through a gate
    mov dword [.what], .jumped
    jmp GATE32:0
.jumped:
    ; refused
    EXPECT_FAULT 11, .g1
    call GATE_ABSENT:0
.g1:
    CHECK "gate-absent", [got_error], GATE_ABSENT
    EXPECT_FAULT 13, .g2
    push dword UDATA
    push dword USTACK
    pushfd
    push dword UCODE
    push dword .user2
    iretd
.user2:
    mov ax, UDATA
    mov ds, ax
    call GATE_DPL0 | 3:0
.g2:
    CHECK "gate-dpl", [got_error], GATE_DPL0
    EXPECT_FAULT 13, .g3                    ; JMP may not raise the level
    push dword UDATA
    push dword USTACK
    pushfd
    push dword UCODE
    push dword .user3
    iretd
.user3:
    mov ax, UDATA
    mov ds, ax
    jmp GATE32 | 3:0
.g3:
    CHECK "jmp-level", [got_error], CODE
    ; conforming code stays at level 3, on the same stack
    mov dword [.what], .conforming
    EXPECT_FAULT 3, .g4
    push dword UDATA
    push dword USTACK
    pushfd
    push dword UCODE
    push dword .user4
    iretd
.user4:
    mov ax, UDATA
    mov ds, ax
    call GATE_CONF | 3:0
    int3
.g4:
    CHECK "conf-cs", edx, CONFORMING | 3
    ; the stack that the TSS has for level 0 is bad
    mov dword [TSS_A + 8], CODE
    mov dword [IDT + 10 * 8 + 4], 0x8500    ; a task gate: there is no stack for a handler
    mov word [IDT + 10 * 8 + 2], B
    mov eax, .on_ts
    call reset_b
    push dword UDATA
    push dword USTACK
    pushfd
    push dword UCODE
    push dword .user
    mov [.esp], esp
    iretd
.g5:
    CHECK "bad-stack", [.error], CODE
    ret
.on_ts:
    pop dword [.error]
    mov dword [TSS_A + 8], DATA
    mov dword [TSS_A + EIP_], .g5
    mov dword [TSS_A + CS_], CODE
    mov dword [TSS_A + SS_], DATA
    mov dword [TSS_A + DS_], DATA
    mov dword [TSS_A + ES_], DATA
    mov eax, [.esp]
    add eax, 20
    mov [TSS_A + ESP_], eax
    iretd
.same:
    mov ebp, esp
    CHECK "gate-eip", [ebp], .back
    CHECK "gate-cs", [ebp + 4], CODE
    CHECK "gate-stack", [ebp + 8], 0x22
    retf
.from3:
    mov ebp, esp
    CHECK "inner-eip", [ebp], .user_back
    CHECK "inner-cs", [ebp + 4], UCODE
    CHECK "parameter-last", [ebp + 8], 0x44
    CHECK "parameter-first", [ebp + 12], 0x33
    CHECK "outer-esp", [ebp + 16], USTACK - 8
    CHECK "outer-ss", [ebp + 20], UDATA
    CHECK_ESP "inner-esp", STACK0 - 24
    mov eax, [ebp + 12]
    shl eax, 8
    or eax, [ebp + 8]
    shl eax, 16
    retf 8
.low:
    mov ebp, esp
    movzx ecx, word [ebp + 2]
    CHECK "low-cs", ecx, CODE
    movzx ecx, word [ebp]
    CHECK "low-ip", ecx, .low_back - 0x200000 ; a word of it
    mov edx, 0x1616
    add esp, 4
    jmp CODE:.low_back
.conforming:
    mov dx, cs
    movzx edx, dx
    retf
.what: dd 0
.esp: dd 0
.error: dd 0
gate_target:
    jmp [call_gates.what]

now_esp: dd 0

    RUNTIME32
    align 8
%define OFFSET(x) ((x) - header + 0x200000)
gdt:
    dq 0
    dq 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
    dq 0x0000890000000067 | (TSS_A & 0xffffff) << 16
    dq 0x0000890000000067 | (TSS_B & 0xffffff) << 16
    dq 0x000081000000002b | (TSS_C & 0xffffff) << 16
    dq 0x0000850000000000 | B << 16
    dq 0
    ; call gates: offset, selector, parameters, type
    dw OFFSET(gate_target) & 0xffff, CODE, 0xec02, OFFSET(gate_target) >> 16
    dw gate_target - header, LOW, 0x8400, 0
    dq 0x00409b200000ffff                   ; LOW
    dw 0, CODE, 0x6c00, 0x20
    dw 0, CODE, 0x8c00, 0x20
    dq 0x0000090000000067 | (TSS_B & 0xffffff) << 16
    dq 0x0000890000000066 | (TSS_B & 0xffffff) << 16
    dq 0x00cf13000000ffff
    dq 0x00cf9f000000ffff                   ; CONFORMING
    dw OFFSET(gate_target) & 0xffff, CONFORMING, 0xec00, OFFSET(gate_target) >> 16
    dq 0x000093000000ffff
    dq 0x0000850000000000 | A << 16
    dq 0x00409b0000000fff                   ; LIMITED
    dq 0x0000890000000067 | (TSS_D & 0xffffff) << 16
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
    dd gdt
    align 4096
load_end:
