; SPDX-License-Identifier: MIT
; One of everything that emu/watch.h tells, and of what it must not tell: accesses that fault before the device
; sees them. Between two writes to port 80h, B0h and E0h, exactly the events of the table at `events` happen,
; which tests/replay/test_watch.c compares. The list is in the order of the code.
%include "guest64.inc"
    bits 64
NOBODY  equ 0x1230                          ; a port, and below a page of the memory bus, that no device has
NOWHERE equ 0xfe001000
LAPIC   equ 0xfee00000
MMIO_PD equ 0x108000                        ; maps the last GiB below 4 GiB
UNMAPPED equ 0x40000000                     ; behind the first

%macro TO_USER 1
    push UDS | 3
    push user_stack_top
    push 0x202
    push UCS64 | 3
    push %1
%endmacro

main:
    call map_devices
    call start_timer
    mov al, 0xb0
    out 0x80, al

    ; ports, by immediate and DX, in all sizes
    mov eax, 0x11223344
p1: out 0xed, al
    mov dx, NOBODY
p2: out dx, ax
p3: out dx, eax
p4: in al, 0xed
p5: in ax, dx
p6: in eax, dx

    ; repeated: one event an iteration; none for a count of 0
    mov esi, text
    mov ecx, 3
    mov dx, 0xe9
p7: rep outsb
    rep outsb
    mov dx, NOBODY
    mov edi, buffer
    mov ecx, 2
p8: rep insw

    ; what faults before the port: a store that cannot be done, a load likewise, no permission
    EXPECT_FAULT 14, after_ins
    mov edi, UNMAPPED
p9: insb
after_ins:
    EXPECT_FAULT 14, after_outs
    mov esi, UNMAPPED
p10: outsb
after_outs:
    EXPECT_FAULT 13, after_port
    TO_USER p12
p11: iretq
p12: out 0xed, al
after_port:

    ; devices in memory: read, write, both, 8 bytes, across pages
    mov ebx, LAPIC
m1: mov eax, [rbx + 0x30]
    mov eax, 0x10
m2: mov [rbx + 0x80], eax
m3: and dword [rbx + 0x80], 0
    mov ebx, NOWHERE
m4: mov rax, [rbx]
m5: mov [rbx - 2], eax

    ; a device is read, the store that was to follow faults; the store before it would reach a device
    EXPECT_FAULT 14, after_movs
    mov esi, NOWHERE
    mov edi, UNMAPPED
m6: movsd
after_movs:
    EXPECT_FAULT 14, after_movs2
    mov esi, UNMAPPED
    mov edi, NOWHERE
m7: movsd
after_movs2:
    mov esi, NOWHERE
    mov edi, buffer
    mov ecx, 2
m8: rep movsb

    ; model-specific registers, and two that are none
    mov ecx, 0xc0000080
r1: rdmsr
    mov ecx, 0xc0000103
    mov eax, 5
    xor edx, edx
r2: wrmsr
    mov ecx, 0x12345
    EXPECT_FAULT 13, after_rdmsr
r3: rdmsr
after_rdmsr:
    EXPECT_FAULT 13, after_wrmsr
r4: wrmsr
after_wrmsr:

    ; control registers
    mov rax, cr0
    or eax, 8
c1: mov cr0, rax
c2: clts
    mov eax, 0x1b                           ; PE, MP, TS, and bit 4, which LMSW does not reach
c3: lmsw ax
c4: clts
    mov rax, cr3
c5: mov cr3, rax
    mov rax, cr4
    bts rax, 63
    EXPECT_FAULT 13, after_cr4
c6: mov cr4, rax
after_cr4:
    btr rax, 63
c7: mov cr4, rax
    mov eax, 5
c8: mov cr8, rax
    xor eax, eax
c9: mov cr8, rax
    mov eax, 0x1234
c10: mov cr2, rax

    ; exceptions, and INT, which is none unless it may not
    EXPECT_FAULT 6, after_ud
x1: ud2
after_ud:
    EXPECT_FAULT 14, after_pf
    mov ebx, UNMAPPED + 8
x2: mov [rbx], eax
after_pf:
    EXPECT_FAULT 3, after_int3
x3: int3
after_int3:
    EXPECT_FAULT 0x90, after_int
x4: int 0x90
after_int:
    and byte [IDT + 0x91 * 16 + 5], 0x9f    ; DPL 0
    EXPECT_FAULT 13, after_dpl
    TO_USER x6
x5: iretq
x6: int 0x91
after_dpl:
    ; the gate of #PF is not present: #NP while #PF is delivered makes a double fault
    and byte [IDT + 14 * 16 + 5], 0x7f
    EXPECT_FAULT 8, after_df
x7: mov [rbx], eax
after_df:
    or byte [IDT + 14 * 16 + 5], 0x80

    ; an interrupt, while the CPU sleeps
    sti
    hlt
i1: cli

    ; SYSCALL and SYSRET, SYSENTER and SYSEXIT, a far return to CPL 3
    EXPECT_FAULT 0x92, after_back
    TO_USER s2
s1: iretq
s2: syscall
s3: nop
s4: int 0x92
after_back:
    EXPECT_FAULT 0x92, after_back2
    TO_USER s6
s5: iretq
s6: sysenter
s7: int 0x92
after_back2:
    EXPECT_FAULT 0x92, after_back3
    push UDS | 3
    push user_stack_top
    push UCS64 | 3
    push s9
s8: retfq
s9: int 0x92
after_back3:
    ; IRET that stays
    mov rax, rsp
    push DS64
    push rax
    push 2
    push CS64
    push s11
s10: iretq
s11:
    mov al, 0xe0
    out 0x80, al
    CHECK "outs", rsi, NOWHERE + 2
    ret

on_syscall:
s12: o64 sysret

on_sysenter:
    mov rsp, [want_rsp]
    mov rdx, s7
    mov rcx, user_stack_top
s13: o64 sysexit

on_tick:
    mov al, 0x20
t1: out 0x20, al
    ret
t2 equ on_exception.hooked                  ; its IRET

map_devices:
    mov dword [PDPT + 3 * 8], MMIO_PD | 7
    mov edi, MMIO_PD
    mov eax, 0xc0000087
.next:
    mov [rdi], eax
    mov dword [rdi + 4], 0
    add eax, 0x200000
    add rdi, 8
    cmp rdi, MMIO_PD + 4096
    jne .next
    mov ecx, 0xc0000081
    xor eax, eax
    mov edx, (0x20 | 3) << 16 | CS64
    wrmsr
    mov ecx, 0xc0000082
    mov eax, on_syscall
    xor edx, edx
    wrmsr
    mov ecx, 0x174                          ; SYSEXIT to 30h needs CS 32 below it, SS 40 below: CS 10h
    mov eax, 0x10
    wrmsr
    mov ecx, 0x176
    mov eax, on_sysenter
    wrmsr
    ret

; One interrupt, by the 8254's mode 0.
start_timer:
    HOOK 0x20, on_tick
%macro PORT 2
    mov al, %2
    out %1, al
%endmacro
    PORT 0x20, 0x11
    PORT 0x21, 0x20
    PORT 0x21, 4
    PORT 0x21, 1
    PORT 0x21, 0xfe
    PORT 0x43, 0x30
    PORT 0x40, 0x00
    PORT 0x40, 0x10
    ret

text: db "abc"
    align 8
buffer: dq 0, 0

; kind, rip, address, value, extra, size, cpl
%macro EV 7
    dq %1, %2, %3, %4, %5
    dd %6, %7
%endmacro
EV_PORT_READ equ 0
EV_PORT_WRITE equ 1
EV_MMIO_READ equ 2
EV_MMIO_WRITE equ 3
EV_MSR_READ equ 4
EV_MSR_WRITE equ 5
EV_CR_WRITE equ 6
EV_EXCEPTION equ 7
EV_INTERRUPT equ 8
EV_SOFT equ 9
EV_SYSCALL equ 10
EV_USER_RETURN equ 11
EV_IRET equ 12
BY_IRET equ 0
BY_SYSRET equ 1
BY_SYSEXIT equ 2
BY_RETF equ 3
CR0_NOW equ 0x80010033
CR4_NOW equ 1 << 5 | 1 << 9 | 1 << 10
%macro TO_USER_BY_IRET 2                    ; both of its events
    EV EV_USER_RETURN, %1, %2, BY_IRET, 0, 0, 0
    EV EV_IRET, %1, %2, BY_IRET, 0, 0, 0
%endmacro

    align 8
events:
    dq "EVENTS--", (events_end - events - 16) / 48
    EV EV_PORT_WRITE, p1, 0xed, 0x44, 0, 1, 0
    EV EV_PORT_WRITE, p2, NOBODY, 0x3344, 0, 2, 0
    EV EV_PORT_WRITE, p3, NOBODY, 0x11223344, 0, 4, 0
    EV EV_PORT_READ, p4, 0xed, 0xff, 0, 1, 0
    EV EV_PORT_READ, p5, NOBODY, 0xffff, 0, 2, 0
    EV EV_PORT_READ, p6, NOBODY, 0xffffffff, 0, 4, 0
    EV EV_PORT_WRITE, p7, 0xe9, 'a', 0, 1, 0
    EV EV_PORT_WRITE, p7, 0xe9, 'b', 0, 1, 0
    EV EV_PORT_WRITE, p7, 0xe9, 'c', 0, 1, 0
    EV EV_PORT_READ, p8, NOBODY, 0xffff, 0, 2, 0
    EV EV_PORT_READ, p8, NOBODY, 0xffff, 0, 2, 0
    EV EV_EXCEPTION, p9, 14, 2, UNMAPPED, 0, 0
    EV EV_EXCEPTION, p10, 14, 0, UNMAPPED, 0, 0
    TO_USER_BY_IRET p11, p12
    EV EV_EXCEPTION, p12, 13, 0, 0, 0, 3
    EV EV_MMIO_READ, m1, LAPIC + 0x30, 0x1050014, 0, 4, 0
    EV EV_MMIO_WRITE, m2, LAPIC + 0x80, 0x10, 0, 4, 0
    EV EV_MMIO_READ, m3, LAPIC + 0x80, 0x10, 0, 4, 0
    EV EV_MMIO_WRITE, m3, LAPIC + 0x80, 0, 0, 4, 0
    EV EV_MMIO_READ, m4, NOWHERE, 0xffffffffffffffff, 0, 8, 0
    EV EV_MMIO_WRITE, m5, NOWHERE - 2, 0xff, 0, 1, 0
    EV EV_MMIO_WRITE, m5, NOWHERE - 1, 0xff, 0, 1, 0
    EV EV_MMIO_WRITE, m5, NOWHERE, 0xff, 0, 1, 0
    EV EV_MMIO_WRITE, m5, NOWHERE + 1, 0xff, 0, 1, 0
    EV EV_MMIO_READ, m6, NOWHERE, 0xffffffff, 0, 4, 0
    EV EV_EXCEPTION, m6, 14, 2, UNMAPPED, 0, 0
    EV EV_EXCEPTION, m7, 14, 0, UNMAPPED, 0, 0
    EV EV_MMIO_READ, m8, NOWHERE, 0xff, 0, 1, 0
    EV EV_MMIO_READ, m8, NOWHERE + 1, 0xff, 0, 1, 0
    EV EV_MSR_READ, r1, 0xc0000080, 0xd01, 0, 0, 0
    EV EV_MSR_WRITE, r2, 0xc0000103, 5, 0, 0, 0
    EV EV_EXCEPTION, r3, 13, 0, 0, 0, 0
    EV EV_EXCEPTION, r4, 13, 0, 0, 0, 0
    EV EV_CR_WRITE, c1, 0, CR0_NOW | 8, CR0_NOW, 0, 0
    EV EV_CR_WRITE, c2, 0, CR0_NOW, CR0_NOW | 8, 0, 0
    EV EV_CR_WRITE, c3, 0, (CR0_NOW & ~15) | 11, CR0_NOW, 0, 0
    EV EV_CR_WRITE, c4, 0, CR0_NOW, CR0_NOW | 8, 0, 0
    EV EV_CR_WRITE, c5, 3, PML4, PML4, 0, 0
    EV EV_EXCEPTION, c6, 13, 0, 0, 0, 0
    EV EV_CR_WRITE, c7, 4, CR4_NOW, CR4_NOW, 0, 0
    EV EV_CR_WRITE, c8, 8, 5, 0, 0, 0
    EV EV_CR_WRITE, c9, 8, 0, 5, 0, 0
    EV EV_CR_WRITE, c10, 2, 0x1234, UNMAPPED, 0, 0
    EV EV_EXCEPTION, x1, 6, 0, 0, 0, 0
    EV EV_EXCEPTION, x2, 14, 2, UNMAPPED + 8, 0, 0
    EV EV_SOFT, x3, 3, 0, 0, 0, 0
    EV EV_SOFT, x4, 0x90, 0, 0, 0, 0
    TO_USER_BY_IRET x5, x6
    EV EV_EXCEPTION, x6, 13, 0x91 * 8 + 2, 0, 0, 3
    EV EV_EXCEPTION, x7, 14, 2, UNMAPPED + 8, 0, 0
    EV EV_EXCEPTION, x7, 11, 14 * 8 + 3, 0, 0, 0
    EV EV_EXCEPTION, x7, 8, 0, 0, 0, 0
    EV EV_INTERRUPT, i1, 0x20, 1, 0, 0, 0
    EV EV_PORT_WRITE, t1, 0x20, 0x20, 0, 1, 0
    EV EV_IRET, t2, i1, BY_IRET, 0, 0, 0
    TO_USER_BY_IRET s1, s2
    EV EV_SYSCALL, s2, 0, 0, 0, 0, 3
    EV EV_USER_RETURN, s12, s3, BY_SYSRET, 0, 0, 0
    EV EV_SOFT, s4, 0x92, 0, 0, 0, 3
    TO_USER_BY_IRET s5, s6
    EV EV_SYSCALL, s6, 1, 0, 0, 0, 3
    EV EV_USER_RETURN, s13, s7, BY_SYSEXIT, 0, 0, 0
    EV EV_SOFT, s7, 0x92, 0, 0, 0, 3
    EV EV_USER_RETURN, s8, s9, BY_RETF, 0, 0, 0
    EV EV_SOFT, s9, 0x92, 0, 0, 0, 3
    EV EV_IRET, s10, s11, BY_IRET, 0, 0, 0
events_end:
%include "end.inc"
