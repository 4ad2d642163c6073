; SPDX-License-Identifier: MIT
; When interrupts are taken: NMI, and what holds them and others off (SDM vol. 3, 6.7.1, 6.8.1, 6.8.3, 6.9; vol. 2, STI).
;
; On hardware an NMI does not ask IF. From its delivery to the next IRET, of whatever handler, one more is kept and the
; rest is lost. STI that sets IF, and MOV SS, let one more instruction run before an interrupt; POPF and IRET do not.
%include "guest64.inc"
    bits 64
APIC   equ 0xfee00000
IOAPIC equ 0xfec00000
ICR    equ 0x300
EOI    equ 0xb0
SELF_41 equ 0x40041                         ; fixed, vector 41h, to itself
NMI_TO_0 equ 0x4400                         ; NMI, to the APIC in ICR's high half: 0

%macro SEND 1
    mov dword [rbp + ICR], %1
%endmacro
%macro TAKEN 3                              ; name, how many since the last time, RIP of the last
    CHECK {%1, " count"}, [hits], %2
    mov qword [hits], 0
    mov rcx, %3
    CHECK {%1, " rip"}, [last_rip], rcx
%endmacro
%macro NONE 1
    CHECK %1, [hits], 0
%endmacro

main:
    mov al, 0x13                            ; one 8259A, vectors from 20h, masked
    out 0x20, al
    mov al, 0x20
    out 0x21, al
    mov al, 1
    out 0x21, al
    mov al, 0xff
    out 0x21, al
    out 0xa1, al
    mov rdi, 0x112000                       ; C0000000h..FFFFFFFFh: device memory
    mov qword [PDPT + 3 * 8], 0x112007
    mov eax, IOAPIC | 0x9b
    mov [rdi + 502 * 8], rax
    mov eax, APIC | 0x9b
    mov [rdi + 503 * 8], rax
    mov ebp, APIC
    mov dword [rbp + 0xf0], 0x1ff
    mov dword [rbp + 0x310], 0
    HOOK 2, on_nmi
    HOOK 0x41, on_interrupt
    HOOK 0x50, on_software
    call interrupt_flag
    call nmi
    call nmi_blocked
    call stack_sled
    ret

interrupt_flag:
    SEND SELF_41
    sti
    cli                                     ; the one instruction more
    nop
    NONE "sti, cli"
    sti
    nop
.sti:
    cli
    TAKEN "sti", 1, .sti
    SEND SELF_41
    pushfq
    or dword [rsp], 0x200
    popfq
.popf:
    nop
    cli
    TAKEN "popf", 1, .popf
    SEND SELF_41
    mov rbx, rsp
    push DS64
    push rbx
    push 0x202
    push CS64
    push .iret
    iretq
.iret:
    cli
    TAKEN "iret", 1, .iret
    SEND SELF_41
    sti
    hlt
.hlt:
    cli
    TAKEN "sti, hlt", 1, .hlt
    ; STI that finds IF set holds nothing off: TPR lets the interrupt through at the end of the instruction before it
    mov eax, 15
    mov cr8, rax
    SEND SELF_41
    sti
    nop
    nop
    NONE "tpr"
    xor eax, eax
    mov cr8, rax
.tpr:
    sti
    cli
    TAKEN "tpr opens", 1, .tpr
    ret

nmi:
    SEND NMI_TO_0                           ; IF is clear
.sent:
    TAKEN "nmi", 1, .sent
    CHECK "nmi vector", [last], 2
    call pit_nmi
    hlt                                     ; with IF clear
.awake:
    TAKEN "hlt, nmi", 1, .awake
    call pit_off
    mov al, 0xfe                            ; and by way of the 8259A and LINT0, as a watchdog of old has it
    out 0x21, al
    mov dword [rbp + 0x350], 0x400
    call pit_nmi
    call pit_off
    hlt
.awake_lint0:
    TAKEN "hlt, nmi by lint0", 1, .awake_lint0
    mov dword [rbp + 0x350], 0x10000
    mov al, 0xff
    out 0x21, al
    ; its handler sends one more, and opens the way for an interrupt: at its IRET both wait, and the NMI comes first
    mov eax, 15
    mov cr8, rax
    SEND SELF_41
    mov qword [on_nmi.first], .send_and_open
    mov qword [order], 0
    sti
    SEND NMI_TO_0
    nop
    cli
    CHECK "order", [order], 0x020241
    mov qword [hits], 0
    ret
.send_and_open:
    SEND NMI_TO_0
    xor eax, eax
    mov cr8, rax
    ret

nmi_blocked:
    ; three are sent while one is handled: one of them comes, after IRET
    mov qword [on_nmi.first], .send_three
    SEND NMI_TO_0
.three:
    TAKEN "three", 2, .three
    CHECK "nested", [deepest], 1
    ; IRET of a software interrupt in the handler opens it
    mov qword [on_nmi.first], .send_and_int
    mov qword [deepest], 0
    SEND NMI_TO_0
.opened:
    CHECK "opened", [deepest], 2
    CHECK "opened twice", [hits], 2
    mov qword [hits], 0
    ; INT 2 blocks nothing
    mov qword [on_nmi.first], send_nmi
    mov qword [deepest], 0
    int 2
    CHECK "int 2", [deepest], 2
    mov qword [hits], 0
    ; an IRET that faults opens it, too
    mov qword [on_nmi.first], .send_and_fault
    mov qword [deepest], 0
    SEND NMI_TO_0
    CHECK "faulting iret", [deepest], 2
    mov qword [hits], 0
    ret
.send_three:
    SEND NMI_TO_0
    SEND NMI_TO_0
    SEND NMI_TO_0
    CHECK "waits", [hits], 1
    ret
.send_and_int:
    SEND NMI_TO_0
    CHECK "waits too", [hits], 1
    int 0x50
    CHECK "waits no more", [hits], 2
    ret
.send_and_fault:
    SEND NMI_TO_0
    EXPECT_FAULT 13, .iret_faulted
    push DS64
    push rsp
    push 2
    push 0x1230                             ; no such segment
    push .iret_faulted
    iretq
.iret_faulted:
    ret
send_nmi:
    SEND NMI_TO_0
    ret

; An interrupt of the timer, and an NMI of the 8254, somewhere in pairs of MOV SS and NOP: never between the two.
SLED equ 2000
stack_sled:
    xor r12d, r12d
.next:
    mov dword [rbp + 0x3e0], 0xb            ; divide by 1
    mov dword [rbp + 0x320], 0x41
    mov dword [rbp + 0x380], 20
    sti
    call sled
    cli
    mov rbx, [hits]
    CHECK "timer came", rbx, 1
    call .check
    call pit_nmi
    call sled
    mov rbx, [hits]
    CHECK "nmi came", rbx, 1
    call .check
    call pit_off
    inc r12d
    cmp r12d, 8
    jne .next
    ret
.check:
    mov qword [hits], 0
    mov rax, [last_rip]
    sub rax, sled.begin
    xor edx, edx
    mov ecx, 3                              ; bytes of a pair
    div rcx
    CHECK "behind mov ss", rdx, 0
    ret
sled:
    mov ecx, r12d                           ; so that it comes elsewhere
    jrcxz .go
.delay:
    loop .delay                             ; an instruction each: it comes at every place of a pair
.go:
    mov ecx, DS64
.begin:
%rep SLED
    mov ss, cx
    nop
%endrep
    ret

; Channel 0 of the 8254, pin 2 of the I/O APIC, in a microsecond or so: as an NMI.
pit_nmi:
    push rax
    push rbx
    mov ebx, IOAPIC
    mov dword [rbx], 0x10 + 2 * 2 + 1
    mov dword [rbx + 0x10], 0
    mov al, 0x30                            ; mode 0: once
    out 0x43, al
    mov dword [rbx], 0x10 + 2 * 2
    mov dword [rbx + 0x10], 0x400
    mov al, 2
    out 0x40, al
    mov al, 0
    out 0x40, al
    pop rbx
    pop rax
    ret
pit_off:
    push rbx
    mov ebx, IOAPIC
    mov dword [rbx], 0x10 + 2 * 2
    mov dword [rbx + 0x10], 0x10000
    pop rbx
    ret

%macro COUNT 1                              ; vector; return address, rbx, rax, vector, error, RIP
    inc qword [hits]
    mov qword [last], %1
    shl qword [order], 8
    or qword [order], %1
    mov rax, [rsp + 40]
    mov [last_rip], rax
%endmacro
on_nmi:
    COUNT 2
    inc qword [depth]
    mov rax, [depth]
    cmp rax, [deepest]
    jbe .not_deeper
    mov [deepest], rax
.not_deeper:
    mov rax, [.first]
    mov qword [.first], 0
    test rax, rax
    jz .done
    call rax
.done:
    dec qword [depth]
    ret
.first: dq 0
on_interrupt:
    COUNT 0x41
    mov dword [rbp + EOI], 0
on_software:
    ret
    align 8
hits: dq 0
last: dq 0
last_rip: dq 0
order: dq 0
depth: dq 0
deepest: dq 0
%include "end.inc"
