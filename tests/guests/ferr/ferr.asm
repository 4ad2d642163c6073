; SPDX-License-Identifier: MIT
; x87 errors as PCs since the AT report them, with CR0.NE clear (SDM vol. 1, 8.7.2 and the appendix on handlers; Intel
; 290550, PIIX3: FERR#, IGNNE#, port F0h).
;
; On hardware an instruction that leaves an unmasked error goes on; the next one that waits (x87, MMX, WAIT) makes the
; processor drive FERR# and stand still in front of it, until an interrupt comes. The board makes IRQ 13 of FERR#. Its
; handler writes to port F0h: the interrupt line goes low, and IGNNE# lets waiting instructions pass as long as the error
; is there. When the error is cleared, FERR# and IGNNE# are gone, and the next error begins anew.
    bits 32
    org 0x200000
header:
    dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, header, load_end, load_end + 0x10000, start

STACK  equ 0x1f0000
USTACK equ 0x1d0000
TSS    equ 0x106000
IDT    equ 0x107000
MEM    equ 0x120000
AREA   equ 0x121000
CODE   equ 0x08
DATA   equ 0x10
UCODE  equ 0x18 | 3
UDATA  equ 0x20 | 3
TSSSEL equ 0x28
VSEG   equ 0x1000                           ; where the 8086's code is copied
IRQ_BASE equ 0x70                           ; of the second 8259A: IRQ 13 is vector 75h
TIMER  equ 0x68                             ; of IRQ 0

%include "guest32.inc"

; The error: 1 / 0. It is pending behind this.
%macro FAIL_1_BY_0 0
    fninit
    fldcw [unmasked]
    fld1
    fldz
    fdivp
%endmacro
; An instruction in front of which IRQ 13 comes, and which is executed when its handler has returned
%macro STOPS 2+                             ; name, instruction
    mov dword [count], 0
    sti
%%at:
    %2
%%behind:
    cli
    CHECK {%1, " irq 13"}, [count], 1
    CHECK {%1, " eip"}, [irq_eip], %%at
%endmacro
%macro PASSES 2+
    mov dword [count], 0
    sti
    %2
    nop
    cli
    CHECK {%1, " irq 13"}, [count], 0
%endmacro

start:
    ENTER_FLAT
    LOAD_TSS STACK - 0x8000
    mov eax, cr0
    and eax, ~0x2c                          ; NE, TS, EM
    or eax, 2                               ; MP
    mov cr0, eax
    mov eax, cr4
    or eax, 0x600
    mov cr4, eax
    call controllers
    mov eax, IRQ_BASE + 5
    mov edi, on_irq_13
    call set_gate
    mov eax, TIMER
    mov edi, on_timer
    call set_gate
    call waiting_instructions
    call not_waiting
    call ignored
    call cleared
    call held
    call native
    call other_modes
    jmp power_off

controllers:                                ; all masked but the cascade and IRQ 13
    mov al, 0x11
    out 0x20, al
    out 0xa0, al
    mov al, TIMER
    out 0x21, al
    mov al, IRQ_BASE
    out 0xa1, al
    mov al, 4
    out 0x21, al
    mov al, 2
    out 0xa1, al
    mov al, 1
    out 0x21, al
    out 0xa1, al
    mov al, 0xfb
    out 0x21, al
    mov al, 0xdf
    out 0xa1, al
    ret
set_gate:                                   ; vector EAX to EDI
    mov [IDT + eax * 8], di
    mov edx, edi
    shr edx, 16
    mov [IDT + eax * 8 + 6], dx
    mov word [IDT + eax * 8 + 4], 0xee00
    ret

; What the handler does between writing to F0h and its end: [action].
on_irq_13:
    push eax
    push ds
    mov ax, DATA
    mov ds, ax
    inc dword [count]
    mov eax, [esp + 8]
    mov [irq_eip], eax
    xor al, al
    out 0xf0, al
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    call [action]
    pop ds
    pop eax
    iret
on_timer:
    push eax
    inc dword [ticks]
    mov eax, [esp + 4]
    mov [tick_eip], eax
    mov al, 0x20
    out 0x20, al
    mov al, 0xff                            ; once
    out 0x21, al
    mov al, 0xdf                            ; and IRQ 13 from now on
    out 0xa1, al
    mov al, 0xfb
    out 0x21, al
    pop eax
    iret
clear_it:
    fnclex
    ret
nothing:
    ret

; Those that wait: the handler clears the error, and they are executed.
waiting_instructions:
    mov dword [action], clear_it
    mov edi, MEM
    FAIL_1_BY_0
    fnstsw ax                               ; sees it, and does not wait
    and eax, 0x80
    CHECK "es", eax, 0x80
    STOPS "wait", wait
    FAIL_1_BY_0
    STOPS "fld1", fld1
    fistp dword [edi]
    CHECK "fld1 done", [edi], 1
    FAIL_1_BY_0
    STOPS "fild", fild dword [edi]
    FAIL_1_BY_0
    mov dword [edi], 0x1111
    STOPS "fstp", fstp dword [edi]
    CHECK "fstp done", [edi], 0             ; the divisor: no quotient took its place
    FAIL_1_BY_0
    STOPS "fldcw", fldcw [unmasked]
    FAIL_1_BY_0
    STOPS "fldenv", fldenv [environment]
    FAIL_1_BY_0
    STOPS "frstor", frstor [environment]
    FAIL_1_BY_0
    mov eax, 0x1234
    STOPS "movd", movd mm0, eax
    movd ecx, mm0
    CHECK "movd done", ecx, 0x1234
    emms
    ret

not_waiting:
    mov edi, AREA
    FAIL_1_BY_0
    PASSES "fnstsw", fnstsw ax
    PASSES "fnstcw", fnstcw [edi]
    PASSES "fxsave", fxsave [edi]
    PASSES "xorps", xorps xmm0, xmm0        ; SSE has errors of its own
    PASSES "fnclex", fnclex
    PASSES "wait", wait
    FAIL_1_BY_0
    PASSES "fninit", fninit
    PASSES "wait again", wait
    FAIL_1_BY_0
    PASSES "fnsave", fnsave [edi]
    FAIL_1_BY_0
    PASSES "fnstenv", fnstenv [edi]         ; masks all
    PASSES "wait masked", wait
    ret

; After F0h: the handler uses the x87, and so does who comes after it, as long as the error stays.
ignored:
    mov dword [action], .use
    mov edi, MEM
    FAIL_1_BY_0
    STOPS "ignored", wait
    CHECK "in the handler", [MEM + 8], 5
    PASSES "wait with ignne", wait
    mov dword [edi], 9
    PASSES "fild with ignne", fild dword [edi]
    PASSES "fistp with ignne", fistp dword [edi]
    CHECK "stored with ignne", [edi], 9
    fnstsw ax
    and eax, 0x84
    CHECK "still there", eax, 0x84
    ; what faults in between changes nothing
    EXPECT_FAULT 13, .fault
    fild dword [cs:0x7ffffffc]
    mov eax, [gs:0xffffffff]
.fault:
    PASSES "wait after a fault", wait
    fnclex
    fninit
    ret
.use:
    mov dword [MEM + 8], 5
    fild dword [MEM + 8]
    fistp dword [MEM + 8]
    ret

; However the error goes, IGNNE# goes with it.
%macro ANEW 2+
    FAIL_1_BY_0
    STOPS {%1, ", first"}, wait             ; and IGNNE# is active
    %2
    FAIL_1_BY_0_
    STOPS {%1, ", second"}, wait
    fnclex
%endmacro
%macro FAIL_1_BY_0_ 0                       ; without FNINIT
    fldcw [unmasked]
    fld1
    fldz
    fdivp
%endmacro
cleared:
    mov dword [action], nothing
    fninit
    mov edi, AREA
    fnsave [edi]
    mov edi, AREA + 0x200
    fxsave [edi]
    ANEW "fnclex", fnclex
    ANEW "fninit", fninit
    ANEW "fnsave", fnsave [AREA + 0x400]
    ANEW "frstor", frstor [AREA]
    ANEW "fldenv", fldenv [AREA]
    ANEW "fxrstor", fxrstor [AREA + 0x200]
    ; another state with an error, loaded behind one without: the CPU executes nothing that would look in between
    FAIL_1_BY_0
    fnsave [AREA + 0x400]
    frstor [AREA + 0x400]                   ; the error is back
    fxsave [AREA + 0x600]
    STOPS "frstor twice, first", wait
    fxrstor [AREA + 0x200]
    fxrstor [AREA + 0x600]
    STOPS "fxrstor twice", wait
    frstor [AREA]
    fxrstor [AREA + 0x600]
    STOPS "frstor, fxrstor", wait
    fldenv [AREA]
    fxrstor [AREA + 0x600]
    STOPS "fldenv, fxrstor", wait
    fnsave [AREA + 0x800]
    fxrstor [AREA + 0x600]
    STOPS "fnsave, fxrstor", wait
    mov eax, cr4
    or eax, 1 << 18                         ; OSXSAVE
    mov cr4, eax
    mov eax, 1
    xor edx, edx
    xsave [AREA + 0x800]                    ; with the error
    fxrstor [AREA + 0x200]
    xsave [AREA + 0xc00]
    xrstor [AREA + 0x800]
    STOPS "xrstor", wait
    xrstor [AREA + 0xc00]
    xrstor [AREA + 0x800]
    STOPS "xrstor twice", wait
    fninit
    ; masked, it is none; unmasked, it is one again
    FAIL_1_BY_0
    STOPS "fldcw, first", wait
    fldcw [masked]
    fldcw [unmasked]
    STOPS "fldcw, second", wait
    fninit
    ret

held:
    ; a write to F0h ahead of the error is for nothing
    mov dword [action], clear_it
    out 0xf0, al
    FAIL_1_BY_0
    STOPS "early f0", wait
    ; IRQ 13 is masked: the CPU stands still, for any interrupt
    mov al, 0xff
    out 0xa1, al
    call .one_tick
    FAIL_1_BY_0
    mov dword [count], 0
    sti
.wait:
    wait
.waited:
    cli
    CHECK "masked ticks", [ticks], 1
    CHECK "masked tick eip", [tick_eip], .wait
    CHECK "masked irq 13", [count], 1
    CHECK "masked eip", [irq_eip], .wait
    ret
.one_tick:                                  ; of the 8254, after a millisecond
    mov dword [ticks], 0
    mov al, 0xfa
    out 0x21, al
    mov al, 0x30
    out 0x43, al
    mov al, 0xa9
    out 0x40, al
    mov al, 4
    out 0x40, al
    ret

; With CR0.NE: #MF, and no IRQ 13.
native:
    FAIL_1_BY_0
    mov eax, cr0
    or eax, 0x20
    mov cr0, eax
    mov dword [count], 0
    sti
    EXPECT_FAULT 16, .mf
.wait:
    wait
.mf:
    sti
    nop
    cli
    CHECK "mf eip", [got_eip], .wait
    CHECK "mf without irq 13", [count], 0
    mov eax, cr0
    and eax, ~0x20
    mov cr0, eax
    fninit
    ret

; At level 3, and in the 8086.
other_modes:
    mov dword [action], clear_it
    mov dword [count], 0
    FAIL_1_BY_0
    EXPECT_FAULT 0x80, .back
    push dword UDATA
    push dword USTACK
    push dword 0x202
    push dword UCODE
    push dword .user
    iret
.user:
    wait
    int 0x80
.back:
    mov ax, DATA
    mov ds, ax
    mov es, ax
    CHECK "level 3", [count], 1
    CHECK "level 3 eip", [irq_eip], .user
    mov byte [VSEG * 16], 0x9b              ; WAIT
    mov word [VSEG * 16 + 1], 0x80cd        ; INT 80h
    mov dword [count], 0
    FAIL_1_BY_0
    EXPECT_FAULT 0x80, .from_vm
    push dword 0
    push dword 0
    push dword DATA
    push dword DATA
    push dword 0x2000
    push dword 0x100
    push dword 0x23202
    push dword VSEG
    push dword 0
    iret
.from_vm:
    mov ax, DATA
    mov ds, ax
    mov es, ax
    CHECK "8086", [count], 1
    CHECK "8086 ip", [irq_eip], 0
    ret

    RUNTIME32
    align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
    dq 0x0000890000000067 | (TSS & 0xffffff) << 16
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
    dd gdt
count: dd 0
irq_eip: dd 0
ticks: dd 0
tick_eip: dd 0
action: dd nothing
unmasked: dw 0x37b                          ; all but division by zero masked
masked: dw 0x37f
    align 4
environment: dd 0xffff037f, 0xffff0000, 0xffffffff, 0, 0, 0, 0
    times 80 db 0
    align 4096
load_end:
