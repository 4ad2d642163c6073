; SPDX-License-Identifier: MIT
; Up and down through the processor's modes, work and timer interrupts in each (SDM vol. 3, 9.8 and 9.9):
;
;     real -> 16-bit protected -> 32-bit protected -> 64-bit -> compatibility -> 64-bit
;          -> 32-bit protected -> 16-bit protected -> real
;
; ROUNDS times. A letter on COM1 for each stay: r p P L c. In the end the sums of each mode's work are compared
; with what they have to be.
;
; An ELF, linked at BASE, so that a debugger has a symbol for every linear address in every mode. One section:
; real-mode code reaches its data by offsets from `base`. There is no gate but the timer's: a fault ends in a
; triple fault.

%define BASE      0x10000
%define SEGMENT   (BASE >> 4)
%define ROUNDS    3
%define TICKS     2                         ; to be waited for in each stay
%define PIT_COUNT 12                        ; of 838 ns
%define STACK16   0xfff0                    ; offset in SEGMENT
%define STACK32   (BASE + STACK16)
%define VECTOR    0x20                      ; of IRQ 0
%define COM1      0x3f8

%define CS32 0x08
%define DS32 0x10
%define CS16 0x18
%define DS16 0x20
%define CS64 0x28

%define V(label) (label - base)             ; offset in SEGMENT, and in CS16 and DS16

%macro LETTER 1
    mov al, %1
    mov dx, COM1
    out dx, al
%endmacro

    section .text progbits alloc exec write align=16
    bits 32
base:
    dd 0x1badb002, 0, -0x1badb002

    global start:function
start:
    cld
    mov esp, STACK32
    lgdt [gdt_pointer]
    jmp CS32:.flat
.flat:
    mov ax, DS32
    mov ds, ax
    mov es, ax
    mov ss, ax
    call prepare
    jmp leave_pm32

; Descriptor and page tables, interrupt controller, timer.
prepare:
    mov edi, pml4
    xor eax, eax
    mov ecx, 3 * 4096 / 4
    rep stosd
    mov dword [pml4], pdpt + 3
    mov dword [pdpt], pd + 3
    mov dword [pd], 0x83                    ; the first 2 MiB
    mov edi, idt16
    mov ecx, (idt_end - idt16) / 4
    rep stosd
    mov word [VECTOR * 4], V(tick_real)
    mov word [VECTOR * 4 + 2], SEGMENT
    mov dword [idt16 + VECTOR * 8], CS16 << 16 | V(tick_pm16)
    mov dword [idt16 + VECTOR * 8 + 4], 0x8600
    mov dword [idt32 + VECTOR * 8], CS32 << 16 | V(tick_pm32)
    mov dword [idt32 + VECTOR * 8 + 4], 0x8e00 | BASE
    mov dword [idt64 + VECTOR * 16], CS64 << 16 | V(tick_long)
    mov dword [idt64 + VECTOR * 16 + 4], 0x8e00 | BASE
    mov esi, ports
.port:
    movzx edx, word [esi]
    mov al, [esi + 2]
    out dx, al
    add esi, 3
    cmp esi, ports_end
    jne .port
    ret

; --- real mode ---
    bits 16
    global real_entered:function
real_entered:
    mov ax, SEGMENT
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, STACK16
    lidt [V(idtr_real)]
    cmp word [V(round)], ROUNDS
    je finish
    inc word [V(round)]
    call work_real
    jmp leave_real

    global work_real:function
work_real:
    LETTER 'r'
    mov cx, 20
.next:
    call real_add
    loop .next
    call SEGMENT + 0x10:V(real_far) - 0x100 ; the same linear address by another segment
    inc word [V(count_real)]
    mov bx, [V(ticks_real)]
    add bx, TICKS
    sti
.wait:
    cmp [V(ticks_real)], bx
    jb .wait
    cli
    ret

real_add:
    add [V(sum_real)], cx
    ret

    global real_far:function
real_far:
    mov ax, cs
    add [V(sum_real)], ax
    retf

    global tick_real:function
tick_real:
    push ax
    inc word [cs:V(ticks_real)]
    mov al, 0x20
    out 0x20, al
    pop ax
    iret

    global leave_real:function
leave_real:
    lgdt [V(gdt_pointer)]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp CS16:V(pm16_up)

; --- 16-bit protected mode ---
    global pm16_up:function
pm16_up:
    call pm16_entered
    call work_pm16
    jmp dword CS32:pm32_up

pm16_entered:
    pop cx                                  ; SS still has the base that real mode gave it
    mov ax, DS16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, STACK16
    lidt [V(idtr_16)]
    jmp cx

    global work_pm16:function
work_pm16:
    LETTER 'p'
    mov cx, 16
.next:
    call pm16_multiply
    loop .next
    inc word [V(count_pm16)]
    mov bx, [V(ticks_pm16)]
    add bx, TICKS
.wait:
    sti
    hlt
    cli
    cmp [V(ticks_pm16)], bx
    jb .wait
    ret

pm16_multiply:
    imul ax, [V(sum_pm16)], 5
    inc ax
    mov [V(sum_pm16)], ax
    ret

    global tick_pm16:function
tick_pm16:
    push ax
    inc word [V(ticks_pm16)]
    mov al, 0x20
    out 0x20, al
    pop ax
    iret

    global pm16_down:function
pm16_down:
    mov ax, DS16
    mov ss, ax
    mov sp, STACK16
    call pm16_entered
    call work_pm16
    global leave_pm16:function
leave_pm16:
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    jmp SEGMENT:V(real_entered)

; --- 32-bit protected mode ---
    bits 32
    global pm32_up:function
pm32_up:
    mov ax, DS32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK32
    lidt [idtr_32]
    call work_pm32
    global enter_long:function
enter_long:
    mov eax, cr4
    or eax, 1 << 5                          ; PAE
    mov cr4, eax
    mov eax, pml4
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 1 << 8                          ; LME
    wrmsr
    mov eax, cr0
    or eax, 1 << 31                         ; PG
    mov cr0, eax
    jmp CS64:long_entered

    global work_pm32:function
work_pm32:
    LETTER 'P'
    mov ecx, 10
.next:
    call fibonacci
    loop .next
    inc dword [count_pm32]
    mov ebx, [ticks_pm32]
    add ebx, TICKS
    sti
.wait:
    cmp [ticks_pm32], ebx
    jb .wait
    cli
    ret

fibonacci:
    mov eax, [sum_pm32]
    xadd [fib_other], eax
    mov [sum_pm32], eax
    ret

    global tick_pm32:function
tick_pm32:
    push eax
    inc dword [ticks_pm32]
    mov al, 0x20
    out 0x20, al
    pop eax
    iret

    global pm32_down:function
pm32_down:
    lidt [idtr_32]
    call work_pm32
    global leave_pm32:function
leave_pm32:
    jmp CS16:V(pm16_down)

; --- 64-bit mode ---
    bits 64
    global long_entered:function
long_entered:
    lidt [idtr_64]
    mov rsp, STACK32
    call work_long
    global enter_compat:function
enter_compat:
    push CS32
    push work_compat
    retfq
    global long_again:function
long_again:
    call work_long
    push CS32
    push leave_long
    retfq

    global work_long:function
work_long:
    LETTER 'L'
    mov ecx, 10
    mov rax, 0x100000001
.next:
    call long_add
    loop .next
    mov esi, pattern
    mov edi, copy
    mov ecx, pattern_end - pattern
    rep movsb
    inc qword [count_long]
    mov rbx, [ticks_long]
    add rbx, TICKS
.wait:
    sti
    hlt
    cli
    cmp [ticks_long], rbx
    jb .wait
    ret

    global long_add:function
long_add:
    mov r8, rax
    imul r8, rcx
    add [sum_long], r8
    ret

    global tick_long:function
tick_long:
    push rax
    cmp word [rsp + 16], CS64
    jne .compat
    inc qword [ticks_long]
    jmp .done
.compat:
    inc dword [ticks_compat]
.done:
    mov al, 0x20
    out 0x20, al
    pop rax
    iretq

; --- compatibility mode ---
    bits 32
    global work_compat:function
work_compat:
    LETTER 'c'
    mov ecx, 12
.next:
    call compat_subtract
    loop .next
    inc dword [count_compat]
    mov ebx, [ticks_compat]
    add ebx, TICKS
    sti
.wait:
    cmp [ticks_compat], ebx
    jb .wait
    cli
    global leave_compat:function
leave_compat:
    jmp CS64:long_again

compat_subtract:
    sub dword [sum_compat], 7
    ret

    global leave_long:function
leave_long:
    mov eax, cr0
    and eax, ~(1 << 31)
    mov cr0, eax
    mov ecx, 0xc0000080
    rdmsr
    and eax, ~(1 << 8)
    wrmsr
    jmp pm32_down

; --- the end, in real mode ---
    bits 16
%macro CHECK 3                              ; name, dword in memory, expected
    cmp dword [V(%2)], %3
    je %%ok
    mov si, V(%%name)
    jmp failed
%%name: db "FAIL ", %1, 10, 0
%%ok:
%endmacro

    global finish:function
finish:
    CHECK "count-real", count_real, ROUNDS
    CHECK "count-pm16", count_pm16, 2 * ROUNDS + 1 ; one on the way down from `start`
    CHECK "count-pm32", count_pm32, 2 * ROUNDS
    CHECK "count-long", count_long, 2 * ROUNDS
    CHECK "count-compat", count_compat, ROUNDS
    CHECK "sum-real", sum_real, (ROUNDS * (210 + SEGMENT + 0x10)) & 0xffff
%assign n 0
%rep 16 * (2 * ROUNDS + 1)
%assign n (n * 5 + 1) & 0xffff
%endrep
    CHECK "sum-pm16", sum_pm16, n
%assign n 0
%assign other 1
%rep 10 * 2 * ROUNDS
%assign sum (n + other) & 0xffffffff
%assign n other
%assign other sum
%endrep
    CHECK "sum-pm32", sum_pm32, n
    CHECK "sum-long-low", sum_long, 2 * ROUNDS * 55
    CHECK "sum-long-high", sum_long + 4, 2 * ROUNDS * 55
    CHECK "sum-compat", sum_compat, 100000 - 12 * 7 * ROUNDS
    CHECK "ticks-real", ticks_real, TICKS * ROUNDS
    CHECK "ticks-pm16", ticks_pm16, TICKS * (2 * ROUNDS + 1)
    CHECK "ticks-pm32", ticks_pm32, TICKS * 2 * ROUNDS
    CHECK "ticks-long", ticks_long, TICKS * 2 * ROUNDS
    CHECK "ticks-compat", ticks_compat, TICKS * ROUNDS
    mov cx, pattern_end - pattern
    mov si, V(pattern)
    mov di, V(copy)
    repe cmpsb
    mov [V(different)], cx
    CHECK "copy", different, 0
    LETTER 10
    mov dx, 0x604                           ; PM1a_CNT: SLP_EN, type of S5
    mov ax, 0x2000
    out dx, ax
    hlt

failed:
    mov dx, COM1
.next:
    lodsb
    test al, al
    jz .done
    out dx, al
    jmp .next
.done:
    mov dx, 0xf4
    mov al, 1                               ; status 1 * 2 + 1 = 3
    out dx, al
    hlt

; --- data ---
    align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff                   ; 08 code, 32-bit, flat
    dq 0x00cf93000000ffff                   ; 10 data, flat
    dq 0x00009b000000ffff | BASE << 16      ; 18 code, 16-bit, 64 KiB at BASE
    dq 0x000093000000ffff | BASE << 16      ; 20 data, 64 KiB at BASE
    dq 0x00af9b000000ffff                   ; 28 code, 64-bit
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dd gdt
idtr_real:
    dw 0x3ff
    dd 0
idtr_16:
    dw 0x40 * 8 - 1
    dd idt16
idtr_32:
    dw 0x40 * 8 - 1
    dd idt32
idtr_64:
    dw 0x40 * 16 - 1
    dq idt64
ports:                                      ; 8259A: vectors from 20h, IRQ 0 alone; 8254 channel 0: mode 2
%macro PORT 2
    dw %1
    db %2
%endmacro
    PORT 0x20, 0x11
    PORT 0xa0, 0x11
    PORT 0x21, VECTOR
    PORT 0xa1, VECTOR + 8
    PORT 0x21, 4
    PORT 0xa1, 2
    PORT 0x21, 1
    PORT 0xa1, 1
    PORT 0x21, 0xfe
    PORT 0xa1, 0xff
    PORT 0x43, 0x34
    PORT 0x40, PIT_COUNT & 0xff
    PORT 0x40, PIT_COUNT >> 8
ports_end:
pattern: db "the quick brown fox jumps over the lazy dog"
pattern_end:
    align 8
copy:         times 48 db 0
round:        dd 0
different:    dd 0
count_real:   dd 0
count_pm16:   dd 0
count_pm32:   dd 0
count_compat: dd 0
count_long:   dq 0
ticks_real:   dd 0
ticks_pm16:   dd 0
ticks_pm32:   dd 0
ticks_compat: dd 0
ticks_long:   dq 0
sum_real:     dd 0
sum_pm16:     dd 0
sum_pm32:     dd 0
fib_other:    dd 1
sum_compat:   dd 100000
    align 8
sum_long:     dq 0

    section .bss nobits alloc write align=4096
pml4:  resb 4096
pdpt:  resb 4096
pd:    resb 4096
idt16: resb 0x40 * 8
idt32: resb 0x40 * 8
idt64: resb 0x40 * 16
idt_end:
