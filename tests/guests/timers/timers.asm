; SPDX-License-Identifier: MIT
; The 8254 through the 8259A, the RTC's periodic interrupt, the PM timer and the TSC: all tell the same
; time, and interrupts arrive when IF allows and not before.
%include "guest64.inc"
    bits 64
main:
    call pic_init
    ; 8254 channel 0, mode 2, 1193 counts: a thousand times a second
    HOOK 0x20, on_tick
    mov al, 0x34
    out 0x43, al
    mov al, 1193 & 0xff
    out 0x40, al
    mov al, 1193 >> 8
    out 0x40, al
    mov al, 0xfe
    out 0x21, al
    ; masked by IF: time passes, nothing comes
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov r8, rax
.wait:
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, r8
    cmp rax, 3000000
    jb .wait
    CHECK "masked", [ticks], 0
    ; HLT until ten ticks have come
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov r8, rax
    sti
.halt:
    hlt
    cmp qword [ticks], 10
    jb .halt
    cli
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, r8
    ; ten ticks of 999847 ns, the first of which was waiting
    cmp rax, 8900000
    mov rbx, 0
    setb bl
    CHECK "too-early", rbx, 0
    cmp rax, 9100000
    seta bl
    CHECK "too-late", rbx, 0

    ; STI holds interrupts off for one instruction; STI CLI never opens the window
    mov qword [ticks], 0
    mov al, 0x20
    out 0x20, al
    mov ecx, 2000000
.window:
    sti
    cli
    dec ecx
    jnz .window
    CHECK "sti-cli", [ticks], 0
    ; STI NOP CLI does
    mov ecx, 4
.window2:
    sti
    nop
    cli
    dec ecx
    jnz .window2
    CHECK "sti-nop-cli", [ticks], 1

    ; RTC periodic: 1024 Hz on IRQ 8
    mov al, 0xff
    out 0x21, al
    HOOK 0x28, on_rtc
    mov al, 0x0a
    out 0x70, al
    mov al, 0x26
    out 0x71, al
    mov al, 0x0b
    out 0x70, al
    in al, 0x71
    mov bl, al
    mov al, 0x0b
    out 0x70, al
    mov al, bl
    or al, 0x40
    out 0x71, al
    mov al, 0xfb
    out 0x21, al
    mov al, 0xfe
    out 0xa1, al
    sti
.rtc:
    hlt
    cmp qword [rtc_ticks], 5
    jb .rtc
    cli
    ; PM timer against the TSC: 3.579545 MHz over about 1 ms
    mov dx, 0x608
    in eax, dx
    mov r9d, eax
    rdtsc
    mov r8d, eax
.pm:
    rdtsc
    sub eax, r8d
    cmp eax, 1000000
    jb .pm
    mov dx, 0x608
    in eax, dx
    sub eax, r9d
    and eax, 0xffffff
    sub eax, 3579
    cmp eax, 3                              ; unsigned: not before, at most two counts after
    mov rbx, 0
    setae bl
    CHECK "pm-timer", rbx, 0
    ret

on_tick:
    inc qword [ticks]
    mov al, 0x20
    out 0x20, al
    ret
on_rtc:
    inc qword [rtc_ticks]
    mov al, 0x0c
    out 0x70, al
    in al, 0x71
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    ret

pic_init:
    mov al, 0x11
    out 0x20, al
    out 0xa0, al
    mov al, 0x20
    out 0x21, al
    mov al, 0x28
    out 0xa1, al
    mov al, 4
    out 0x21, al
    mov al, 2
    out 0xa1, al
    mov al, 1
    out 0x21, al
    out 0xa1, al
    mov al, 0xff
    out 0x21, al
    out 0xa1, al
    ret
    align 8
ticks: dq 0
rtc_ticks: dq 0
%include "end.inc"
