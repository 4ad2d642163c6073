; SPDX-License-Identifier: MIT
; A guest for tests of the console and of how runs end. It greets, then sends back each byte that it
; receives on COM1; some capitals make it do something instead. When the line's carrier drops it says
; so and powers off.
;
; A flat Multiboot 1 image, entered in 32-bit protected mode, polled, without interrupts.
bits 32
org 0x100000

PM1A_CNT    equ 0x604           ; PIIX4 power management; SLP_TYP 0 is S5 in its DSDT
SLP_EN      equ 0x2000

header:
    dd 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
    dd header, header, end, end, start

start:
    mov esp, 0x90000
    mov esi, greeting
    call print
next:
    mov dx, 0x3fe
    in al, dx
    test al, 0x80               ; DCD
    jz carrier_lost
    mov dx, 0x3fd
    in al, dx
    test al, 1                  ; a byte is there
    jz next
    mov dx, 0x3f8
    in al, dx
    mov esi, commands
find:
    cmp byte [esi], 0
    je echo
    cmp al, [esi]
    je found
    add esi, 5
    jmp find
found:
    jmp [esi + 1]
echo:
    out dx, al
    jmp next

commands:
    db 'Q'
    dd power_off
    db 'E'
    dd debug_exit
    db 'H'
    dd halt
    db 'T'
    dd triple_fault
    db 'R'
    dd reset
    db 'P'
    dd panic
    db 'F'
    dd flood
    db 'D'
    dd debug_port
    db 0

carrier_lost:
    mov esi, lost
    call print
power_off:
    mov dx, PM1A_CNT
    mov ax, SLP_EN
    out dx, ax
    jmp halt

debug_exit:                     ; status 21 * 2 + 1
    mov dx, 0xf4
    mov al, 21
    out dx, al

halt:
    cli
    hlt
    jmp halt

triple_fault:
    lidt [no_idt]
    ud2

reset:
    mov dx, 0xcf9
    mov al, 6
    out dx, al
    jmp $

panic:
    mov dx, 0x505
    mov al, 1
    out dx, al
    jmp next

debug_port:
    mov al, 'd'
    out 0xe9, al
    mov dx, 0x402
    out dx, al
    jmp next

flood:                          ; a million bytes, in lines of ten
    mov ecx, 100000
    mov dx, 0x3f8
.line:
    mov esi, ten
    call print
    loop .line
    jmp next

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

greeting: db "echo guest", 13, 10, 0
lost:     db "carrier lost", 13, 10, 0
ten:      db "012345678", 10, 0
no_idt:   times 6 db 0
end:
