; SPDX-License-Identifier: MIT
; A guest that minds time: it reads the time-stamp counter twice in a row, again and again. When no time passes between
; that it could not explain it says "done" and powers off; when a lot does, it says so and spins for ever.
;
; A flat Multiboot 1 image, entered in 32-bit protected mode, without interrupts.
bits 32
org 0x100000

PM1A_CNT    equ 0x604           ; PIIX4 power management; SLP_TYP 0 is S5 in its DSDT
SLP_EN      equ 0x2000
A_LOT       equ 100             ; of two readings: at one nanosecond an instruction there are two between
ROUNDS      equ 200000

header:
    dd 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
    dd header, header, end, end, start

start:
    mov esp, 0x90000
    mov ecx, ROUNDS
next:
    rdtsc
    mov edi, eax
    rdtsc
    sub eax, edi
    cmp eax, A_LOT
    ja jumped
    loop next
    mov esi, done
    call print
    mov dx, PM1A_CNT
    mov ax, SLP_EN
    out dx, ax
    hlt

jumped:
    mov esi, surprise
    call print
    mov ecx, 8
.digit:
    rol eax, 4
    push eax
    and al, 15
    cmp al, 10
    sbb al, 0x69                ; to a hexadecimal digit
    das
    out dx, al
    pop eax
    loop .digit
    mov al, 10
    out dx, al
    jmp $

print:
    mov dx, 0x3f8
.byte:
    lodsb
    test al, al
    jz .done
    out dx, al
    jmp .byte
.done:
    ret

done:     db "done", 10, 0
surprise: db "time jumped by 0x", 0
end:
