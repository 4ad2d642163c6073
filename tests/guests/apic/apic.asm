; SPDX-License-Identifier: MIT
; The local APIC and the I/O APIC (SDM vol. 3, chapter 11): timer in its three modes, self IPI,
; priorities and TPR, EOI, a routed ISA interrupt, x2APIC.
%include "guest64.inc"
    bits 64
APIC equ 0xfee00000
IOAPIC equ 0xfec00000
%macro APICW 2
    mov dword [rbp + %1], %2
%endmacro
main:
    ; both PICs masked
    mov al, 0xff
    out 0x21, al
    out 0xa1, al
    ; map C0000000h..FFFFFFFFh: device memory
    mov rdi, 0x112000
    mov qword [PDPT + 3 * 8], 0x112007
    mov eax, IOAPIC | 0x9b                  ; 2 MiB pages, uncached
    mov [rdi + 502 * 8], rax
    mov eax, APIC | 0x9b
    mov [rdi + 503 * 8], rax
    mov ebp, APIC
    APICW 0xf0, 0x1ff                       ; enabled, spurious vector FFh
    mov eax, [rbp + 0x30]
    and eax, 0xf0
    CHECK "version", rax, 0x10

    ; self IPI by ICR; taken when IF opens
    HOOK 0x41, on_41
    HOOK 0x51, on_51
    HOOK 0x61, on_61
    APICW 0x310, 0
    APICW 0x300, 0x40041                    ; self
    CHECK "irr", [hits], 0
    sti
    nop
    cli
    CHECK "self-ipi", [hits], 1

    ; the higher class first; the lower waits for EOI
    APICW 0x300, 0x40041
    APICW 0x300, 0x40061
    APICW 0x300, 0x40051
    mov qword [order], 0
    sti
    nop
    nop
    nop
    cli
    CHECK "order", [order], 0x615141

    ; TPR holds class 4 and 5 back, also through CR8
    mov rax, 5
    mov cr8, rax
    mov eax, [rbp + 0x80]
    CHECK "tpr", rax, 0x50
    mov qword [order], 0
    APICW 0x300, 0x40051
    APICW 0x300, 0x40061
    sti
    nop
    cli
    CHECK "tpr-order", [order], 0x61
    sti
    xor eax, eax
    mov cr8, rax
    nop
    cli
    CHECK "tpr-open", [order], 0x6151

    ; timer: one-shot. Divide by 1, 25 MHz
    mov qword [hits], 0
    APICW 0x3e0, 0xb
    APICW 0x320, 0x41
    APICW 0x380, 25000                      ; a millisecond
    rdtsc
    mov r8d, eax
    sti
    hlt
    cli
    rdtsc
    sub eax, r8d
    sub eax, 999000
    cmp eax, 2000
    mov rbx, 0
    setae bl
    CHECK "one-shot-time", rbx, 0
    CHECK "one-shot", [hits], 1
    mov eax, [rbp + 0x390]
    CHECK "one-shot-count", rax, 0

    ; periodic
    APICW 0x320, 0x20041
    APICW 0x380, 2500
    sti
.periodic:
    hlt
    cmp qword [hits], 6
    jb .periodic
    cli
    APICW 0x320, 0x10041

    ; TSC deadline
    mov qword [hits], 0
    APICW 0x320, 0x40041
    rdtsc
    shl rdx, 32
    or rax, rdx
    add rax, 50000
    mov rdx, rax
    shr rdx, 32
    mov ecx, 0x6e0
    wrmsr
    sti
    hlt
    cli
    CHECK "deadline", [hits], 1
    mov ecx, 0x6e0
    rdmsr
    CHECK "deadline-disarmed", rax, 0

    ; the deadline is a number without a sign: all ones is the last one, not one that has passed
    xor eax, eax
    dec rax
    mov rdx, rax
    wrmsr
    sti
    nop
    cli
    CHECK "deadline-far", [hits], 1
    rdmsr
    shl rdx, 32
    or rax, rdx
    CHECK "deadline-stands", rax, -1
    xor eax, eax
    xor edx, edx
    wrmsr

    ; I/O APIC: the 8254 is pin 2, edge, vector 51h to APIC 0
    mov qword [order], 0
    mov ebx, IOAPIC
    mov dword [rbx], 0x10 + 2 * 2 + 1
    mov dword [rbx + 0x10], 0
    mov dword [rbx], 0x10 + 2 * 2
    mov dword [rbx + 0x10], 0x51
    mov al, 0x34
    out 0x43, al
    mov al, 0
    out 0x40, al
    mov al, 4
    out 0x40, al
    sti
    hlt
    cli
    CHECK "ioapic", [order], 0x51
    mov dword [rbx + 0x10], 0x10051

    ; x2APIC: the same registers as MSRs, MMIO gone
    mov ecx, 0x1b
    rdmsr
    or eax, 0xc00
    wrmsr
    mov qword [hits], 0
    mov byte [x2], 1
    mov ecx, 0x83f                          ; SELF_IPI
    mov eax, 0x41
    xor edx, edx
    wrmsr
    sti
    nop
    cli
    CHECK "x2apic-self", [hits], 1
    EXPECT_FAULT 13, .reserved
    mov ecx, 0x80e                          ; DFR does not exist in x2APIC mode
    rdmsr
.reserved:
    ret

%macro HANDLER_OF 1
on_%1:
    inc qword [hits]
    shl qword [order], 8
    or qword [order], 0x%1
    cmp byte [x2], 0
    jne eoi_x2
    mov dword [rbp + 0xb0], 0
    ret
%endmacro
HANDLER_OF 41
HANDLER_OF 51
HANDLER_OF 61
eoi_x2:
    push rcx
    push rdx
    mov ecx, 0x80b
    xor eax, eax
    xor edx, edx
    wrmsr
    pop rdx
    pop rcx
    ret
    align 8
hits: dq 0
order: dq 0
x2: db 0
%include "end.inc"
